/* What the shards of the figures are made of. One thread writes a shard, any thread reads it: numbers are atomic, and
 * what belongs together is read again when it changed meanwhile. */
#ifndef METERHOUSE_GATEWAY_FIGURES_PARTS_H
#define METERHOUSE_GATEWAY_FIGURES_PARTS_H
#include "gateway/figures.h"
#include <stdatomic.h>

/* ---- numbers with one writer: no locked instruction is needed ---- */
static inline void figure_set(_Atomic uint64_t *figure, uint64_t value) {
  atomic_store_explicit(figure, value, memory_order_release);
}
static inline uint64_t figure_of(const _Atomic uint64_t *figure) {
  return atomic_load_explicit(figure, memory_order_acquire);
}
static inline void figure_add(_Atomic uint64_t *figure, uint64_t more) {
  figure_set(figure, atomic_load_explicit(figure, memory_order_relaxed) + more);
}

/* ---- what is written together ----
 * A sequence lock: whoever reads a number of a later change, which is released, sees that the change had begun. */
struct written {
  _Atomic uint32_t times; /* odd: in the midst of it */
};
static inline void write_begin(struct written *w) {
  atomic_store_explicit(&w->times, atomic_load_explicit(&w->times, memory_order_relaxed) + 1, memory_order_relaxed);
}
static inline void write_end(struct written *w) {
  atomic_store_explicit(&w->times, atomic_load_explicit(&w->times, memory_order_relaxed) + 1, memory_order_release);
}
static inline uint32_t read_begin(const struct written *w) {
  return atomic_load_explicit(&w->times, memory_order_acquire);
}
/* Did nothing change since? Otherwise the writer is let on. */
bool read_holds(const struct written *w, uint32_t begun);
/* An amount in two halves, read and written between those. */
struct halves {
  _Atomic uint64_t low, high;
};
static inline void halves_set(struct halves *h, int128 value) {
  figure_set(&h->low, (uint64_t)value);
  figure_set(&h->high, (uint64_t)((uint128)value >> 64));
}
static inline int128 halves_of(const struct halves *h) {
  uint64_t low = figure_of(&h->low), high = figure_of(&h->high);
  return (int128)((uint128)high << 64 | low);
}
/* One by itself. */
struct exact {
  struct written written;
  struct halves value;
};
void exact_add(struct exact *e, int128 more);
int128 exact_of(const struct exact *e);

/* ---- histograms ---- */
#define BOUNDS_MAX 16
struct scale {
  size_t count;
  uint64_t bounds[BOUNDS_MAX]; /* ns, or tokens */
};
extern const struct scale scale_duration, scale_first_token, scale_per_token, scale_tokens;
struct tally {
  _Atomic uint64_t counts[BOUNDS_MAX + 1], sum; /* each by its upper bound, the last without one */
};
void tally_add(struct tally *t, const struct scale *scale, uint64_t value);

/* ---- the last five minutes ---- */
#define LIVE_SLICE_S 15
#define LIVE_SLICES 21 /* the present one and 5 minutes before it */
#define LIVE_MINUTE 5  /* the present one and a minute before it */
struct live {
  struct written written;
  _Atomic uint64_t open;
  struct live_slice {
    _Atomic uint64_t number; /* of LIVE_SLICE_S since 1970 */
    _Atomic uint64_t calls, foreign, input, output;
    struct halves charged, cost;
  } slices[LIVE_SLICES];
};
struct live_sum {
  uint64_t calls;
  uint64_t foreign; /* calls that were charged in another currency than that of costs: they are not in `charged` */
  uint64_t input, output; /* tokens */
  int128 charged, cost;
};
void figures_live_open(struct live *l);
/* A call ended, with what it adds. */
void live_close(struct live *l, instant now, const struct live_sum *more);
/* Adds what the last `slices` hold; not in the midst of a change. */
void live_add_up(const struct live *l, instant now, uint64_t slices, struct live_sum *sum);

/* Customers that were lately seen, least lately first to be forgotten. */
struct live_customer {
  _Atomic(const struct customer *) customer;
  struct live live;
  uint16_t newer, older; /* slot + 1; 0: none */
};
#define LIVE_CHUNK 100
struct live_customers {
  uint16_t *slot_of; /* by the customer's index: slot + 1; 0: none */
  uint16_t newest, oldest;
  _Atomic uint32_t count;
  _Atomic(struct live_customer *) chunks[FIGURES_CUSTOMERS_MAX / LIVE_CHUNK];
};
struct live_customer *live_customer_at(const struct live_customers *all, uint32_t slot);
/* Its slot + 1, as the newest; 0 when all slots are of customers with open calls. */
uint32_t live_customer_take(struct live_customers *all, const struct customer *customer);
/* Of a slot, between two changes; NULL: nobody is in it. */
const struct customer *live_customer_read(const struct live_customer *one, instant now, uint64_t *open,
                                          struct live_sum *minute, struct live_sum *minutes);
void live_customers_free(struct live_customers *all);

/* ---- shards ---- */
enum call_status { STATUS_OK, STATUS_4XX, STATUS_5XX, STATUS_LEFT, CALL_STATUSES };
enum call_operation { OPERATION_CHAT, OPERATION_COMPLETION, OPERATION_EMBEDDINGS, CALL_OPERATIONS };
#define TOKEN_KINDS 7
extern const char *const token_kinds[TOKEN_KINDS]; /* in the order of struct wire_usage */
const char *call_status_name(enum call_status status);
const char *call_operation_name(enum call_operation operation);
void usage_tokens(const struct wire_usage *usage, uint64_t tokens[TOKEN_KINDS]);

/* Calls of one model for one operation on one target. */
struct cell {
  struct tally duration[CALL_STATUSES], first_token, per_token, input, output;
  _Atomic uint64_t tokens[TOKEN_KINDS];
  struct exact cost;
};
struct model_shard {
  struct live live;
  _Atomic(struct cell *) cells[]; /* target x CALL_OPERATIONS + operation; one target more stands for none */
};
struct money_shard {
  _Atomic uint64_t held, settled; /* how many */
  struct exact held_amount, settled_amount;
};
struct shard {
  _Atomic uint64_t refused[REFUSED_CAUSES], left, estimated, retries, unsettled;
  struct money_shard *money; /* by the figures' currencies */
  _Atomic(struct model_shard *) *models;
  struct live_customers customers;
};
struct figures {
  const struct catalog *catalog;
  struct routes *routes;
  const struct currency **currencies; /* each that a customer has, once */
  size_t currency_count;
  uint16_t *currency_of; /* by the customer's index */
  unsigned edges;
  struct shard *shards;
};
#endif
