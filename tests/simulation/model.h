/* What the book has promised: the events, transfers and holds it acknowledged, kept in the plainest way there is. */
#ifndef METERHOUSE_SIMULATION_MODEL_H
#define METERHOUSE_SIMULATION_MODEL_H
#include "base/hash.h"
#include "ledger/ledger.h"
#include "meter/meter.h"

#define MODEL_EVENTS 8192
#define MODEL_VARIANTS 3 /* the same identity with other content is a conflict */
#define MODEL_ACCOUNTS 5
#define MODEL_TRANSFERS 1024
#define MODEL_HOLDS 256
#define MODEL_INVOICES 64

struct model_transfer {
  int from, to;
  int64_t cents;
};
struct model_hold {
  struct model_transfer transfer;
  int64_t expires_ns, settled;
  enum { HOLD_OPEN, HOLD_SETTLED, HOLD_RELEASED } state;
};
/* A value: a transaction works on a copy, which becomes the model when the commit is acknowledged. */
struct naive {
  uint8_t accepted[MODEL_EVENTS]; /* 0: not; else its variant + 1 */
  uint32_t accepted_count;
  int64_t balance[MODEL_ACCOUNTS], held[MODEL_ACCOUNTS], floor[MODEL_ACCOUNTS];
  bool has_floor[MODEL_ACCOUNTS];
  struct model_transfer transfers[MODEL_TRANSFERS];
  size_t transfer_count;
  struct model_hold holds[MODEL_HOLDS];
  size_t hold_count;
  uint64_t invoices[MODEL_INVOICES]; /* digests */
  size_t invoice_count;
  uint64_t answers, last_answer; /* kept answers, the key of the newest */
};

/* Event `number` of a seed with one of its contents; `number` is found again in its id. */
struct event model_event(struct arena *arena, uint64_t seed, uint32_t number, unsigned variant);
bool model_event_number(slice id, uint32_t *number);
enum verdict model_take(struct naive *m, uint32_t number, unsigned variant);

slice model_account(int account);
amount model_amount(int64_t cents);
/* What the ledger is to answer; ERR_NONE: done (or done before), and the model has moved. */
enum error_code model_transfer(struct naive *m, size_t number, const struct model_transfer *t);
enum error_code model_hold(struct naive *m, size_t number, const struct model_transfer *t, instant expires);
enum error_code model_settle(struct naive *m, size_t number, int64_t cents);
enum error_code model_release(struct naive *m, size_t number);
enum error_code model_floor(struct naive *m, int account, bool has_floor, int64_t cents);
void model_expire(struct naive *m, instant now);
#endif
