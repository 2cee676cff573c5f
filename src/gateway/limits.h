/* How much a key or a customer may call: requests and tokens in any 60 seconds, calls at a time, spend in a period.
 * In memory, exact under load, shared by all edges. Time is the caller's. docs/gateway.md states the rules. */
#ifndef METERHOUSE_GATEWAY_LIMITS_H
#define METERHOUSE_GATEWAY_LIMITS_H
#include "base/time.h"
#include "book/book.h"

/* Those of one key, or of one customer: struct call_limits says how much; each 0 is no limit. */
struct limiter;
struct limiters; /* all of them, by name; made on first use, dropped when idle for 10 minutes and nothing is under way
                  */
struct limiters *limiters_new(void);
void limiters_free(struct limiters *all);
/* A reference: to be given back with limiter_drop. */
struct limiter *limiter_of(struct limiters *all, slice name);
void limiter_drop(struct limiters *all, struct limiter *l);
size_t limiters_count(struct limiters *all); /* that are kept in memory */

struct limit_state {                                                          /* for the x-ratelimit headers */
  int64_t requests_limit, requests_remaining, tokens_limit, tokens_remaining; /* limit 0: none */
  int64_t requests_reset_ms, tokens_reset_ms;                                 /* until all of it is free again */
};
enum limit_verdict { LIMIT_PASSED, LIMIT_REQUESTS, LIMIT_TOKENS, LIMIT_CONCURRENCY };
/* Takes one request, `tokens` (an estimate) and one place, all or none. `*retry_ms`: when it is worth trying again, 0
 * when it passed, -1 when never: one call of so many tokens is more than the limit. In any 60 seconds no more than the
 * limit pass. Exactly the limit does when asked often enough: the last 112 calls are known by their times; of more than
 * these in one minute, some count up to 0.6 s longer than a minute. */
enum limit_verdict limiter_take(struct limiter *l, const struct call_limits *most, int64_t tokens, instant now,
                                struct limit_state *state, int64_t *retry_ms);
/* The call is over: its place is free, and it counts `tokens_used` in place of the estimate it came in with at `begun`.
 * With `never_ran` (refused by something else) the request does not count either. */
void limiter_give(struct limiter *l, instant begun, int64_t tokens, int64_t tokens_used, bool never_ran, instant now);
/* After a restart: a call that was made before it. */
void limiter_remember(struct limiter *l, instant at, int64_t tokens);
/* "12ms", "6m0s": a Go duration, as these headers have it. */
char *limit_reset_text(int64_t ms, char text[32]);
#endif
