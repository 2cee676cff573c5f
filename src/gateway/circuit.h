/* When to leave an upstream alone that fails, and when to try it again. The rules stand at route_ended in routes.h;
 * whoever calls holds the lock. */
#ifndef METERHOUSE_GATEWAY_CIRCUIT_H
#define METERHOUSE_GATEWAY_CIRCUIT_H
#include "base/time.h"

#define CIRCUIT_SLOTS 10 /* of 3 s: what counts is between 27 and 30 s old at most */
struct circuit {
  enum { CIRCUIT_CLOSED, CIRCUIT_OPEN, CIRCUIT_HALF_OPEN } state;
  bool trying;           /* one call is let through */
  uint32_t trial;        /* number of that call, or of the last one that was */
  uint32_t row;          /* failures without a success between them */
  int64_t wait_ms;       /* how long it opened the last time; 0: never yet */
  instant until, closed; /* open until; closed since */
  struct circuit_slot {
    int64_t number; /* of 3 s since 1970 */
    uint32_t ok, failed;
  } slots[CIRCUIT_SLOTS];
};
/* May a call go through now? */
bool circuit_lets(const struct circuit *c, instant now);
/* A call that circuit_lets let goes through. Returns its trial number, 0 for an ordinary call. */
uint32_t circuit_take(struct circuit *c, instant now);
/* The call's answer began: a trial closes the circuit. */
void circuit_answered(struct circuit *c, uint32_t trial, instant now);
void circuit_succeeded(struct circuit *c, uint32_t trial, instant now);
void circuit_failed(struct circuit *c, uint32_t trial, instant now);
/* It ended and nothing was learnt: the next call is the trial. */
void circuit_unknown(struct circuit *c, uint32_t trial);
/* Until a call may go through, when none may now and none is on trial; 0 otherwise. */
int64_t circuit_wait_ms(const struct circuit *c, instant now);
#endif
