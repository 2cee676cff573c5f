/* Inside gateway: prices as calls need them, credit in memory, a call on its way. */
#ifndef METERHOUSE_GATEWAY_PRIVATE_H
#define METERHOUSE_GATEWAY_PRIVATE_H
#include "base/hash.h"
#include "gateway/figures.h"
#include "gateway/gateway.h"
#include "gateway/limits.h"
#include "gateway/routes.h"
#include "rate/rate.h"
#include "wire/wire.h"
#include <pthread.h>
#include <stdatomic.h>

#define GATEWAY_MAGIC 0x4d484757u
#define CALL_MAGIC 0x4d48434cu
#define CALL_SOURCE SLICE("meterhouse:gateway") /* of the events */
#define RESERVES_MAX 4096                       /* purses that are asked for at once */

/* ---- prices.c: what a call costs one customer ---- */

/* What is counted of a call, each a field of its event. */
enum kind {
  KIND_REQUESTS,
  KIND_INPUT,
  KIND_CACHED,
  KIND_CACHE_WRITE,
  KIND_INPUT_AUDIO,
  KIND_OUTPUT,
  KIND_REASONING,
  KIND_OUTPUT_AUDIO,
  KINDS
};
const char *kind_name(enum kind kind); /* the field: "input_tokens" */

#define PARTS_MAX                                                                                                      \
  32 /* meters of one call that have a price; and prices and allowances that remember what they took                   \
      */
/* What one meter makes of a call. */
struct part {
  const struct meter *meter;
  enum kind kind;
  const struct price_rule *price;
  const slice *dimensions;
  rate factor;     /* from the plan's currency, before tax, to the customer's with it */
  rate net_factor; /* the same before tax */
  int allowance;   /* of the terms, the first that covers it; -1: none. Further ones come into play on the invoice */
  int tally;       /* of the terms, the one of its price; -1: each unit costs the same */
};
/* What calls of a model in a tier cost one customer, until a price may change. */
struct quote {
  slice id; /* model, tier and what else the meters ask for, as a key of the buyer's map */
  const struct part *parts;
  size_t count;
  enum kind counts_as[KINDS]; /* a kind that is not priced apart counts as input or output */
  int128 each_e12[KINDS];     /* at most, with tax; -1: it depends on how many */
  bool sold;
};
/* How much a price, or an allowance, has taken this month. */
struct tally {
  const struct price_rule *price;
  quantity raw;
};
struct allowance_left {
  const struct allowance *allowance;
  quantity raw;
};
/* A customer's prices of a month. Calls keep a reference, since it is replaced when the month or the contract ends. */
struct terms {
  atomic_int references;
  struct arena *arena;
  struct segment segment; /* of the month, in which no price changes */
  struct map quotes;
  struct tally tallies[PARTS_MAX];
  size_t tally_count;
  struct allowance_left allowances[PARTS_MAX];
  size_t allowance_count;
  size_t known_tallies, known_allowances; /* those that what was used before was read for */
};
struct buyer {
  const struct customer *customer;
  struct purse *purse;
  pthread_mutex_t lock; /* of all below */
  struct terms *terms;  /* NULL: none yet */
};
/* Was what these prices and allowances took this month read from the book? */
bool terms_know(const struct terms *terms);
/* Reads it; on the core thread or over a reader. The buyer's lock is not held. */
MUST_USE bool terms_learn(struct gateway *gateway, struct buyer *buyer, struct terms *terms, struct book *book,
                          struct error *err);
/* The prices in force, a reference; NULL with err when the customer has no contract now or a tax can not be told. */
struct terms *buyer_terms(struct gateway *gateway, struct buyer *buyer, instant now, struct error *err);
void terms_drop(struct terms *terms);
struct call_facts {
  slice model, tier, service, door, key, project, upstream; /* service: the tier, empty for the default one */
};
/* Made on first use; the buyer's lock is held. ERR_INVALID when a tax or an exchange rate is missing. */
MUST_USE bool terms_quote(struct gateway *gateway, struct buyer *buyer, struct terms *terms,
                          const struct call_facts *facts, instant now, const struct quote **out, struct error *err);
/* What allowances have left that a call may use is set aside for it, by part. */
struct set_aside {
  quantity raw[PARTS_MAX];
};
/* bound.c: the most a call can cost, with tax: `input_tokens` and `output_tokens`, split over their kinds in whichever
 * way costs most. What allowances cover is set aside. The buyer's lock is held. */
MUST_USE bool quote_bound(struct terms *terms, const struct quote *quote, int64_t input_tokens, int64_t output_tokens,
                          struct set_aside *aside, amount *out, struct error *err);
/* Where each unit of a kind costs the same at most, whatever came before: finds how much that is. */
MUST_USE bool quote_find_each(struct quote *quote, enum kind kind, struct error *err);
quantity kind_units(int64_t count); /* as prices count them */
bool kind_is_input(enum kind kind);
bool kind_is_output(enum kind kind);
void quote_give_back(struct terms *terms, const struct quote *quote, const struct set_aside *aside);
struct price_paid {
  amount net, gross;
};
/* What a call did cost, `counts` by kind as folded. The buyer's lock is held. */
MUST_USE bool quote_price(const struct terms *terms, const struct quote *quote, const int64_t counts[KINDS], instant at,
                          const struct set_aside *aside, struct price_paid *out, struct error *err);
/* It has: what was set aside is used or given back, and prices that climb remember it. The buyer's lock is held. */
void quote_take(struct terms *terms, const struct quote *quote, const int64_t counts[KINDS],
                const struct set_aside *aside);
/* Usage as the customer's prices tell it apart. */
void quote_fold(const struct quote *quote, const struct wire_usage *usage, int64_t counts[KINDS]);

/* ---- purse.c: a payer's credit in memory ---- */

/* A slice of the payer's credit is reserved on the book; calls hold and spend of it here, so that a call needs neither
 * the disk nor another thread before it is forwarded. granted >= settled + pending + held, always. */
struct purse {
  struct command command; /* of a reserve; first: the core hands back this address */
  struct gateway *gateway;
  const struct customer *payer;
  bool unlimited;
  pthread_mutex_t lock; /* of all below */
  amount granted;       /* the slice, as of the last reserve */
  amount held;          /* by calls under way */
  amount pending;       /* spent, on its way to the book */
  amount settled;       /* spent and on the book, since the last reserve */
  amount typical;       /* what calls hold, about */
  amount slack;         /* to reserve beyond what is held */
  amount needed;        /* by calls that wait */
  amount wanted;        /* by the reserve that runs, beyond that */
  amount asked, given;  /* by it in all, and what it got; the core's own until it is done */
  bool reserving;
  bool dry;    /* the last reserve got less than it asked for */
  bool failed; /* the last reserve could not be made */
  uint64_t round, rounds_done;
  struct call *waiting;
  instant reserved_at, used_at;
  struct period period; /* the last that was asked for */
  amount batch;         /* on the core: spent by calls of one settlement, in the period that ends then */
  instant batch_to;
};
/* Of a clock that nobody sets, from anywhere: for spans of time within the process. */
instant steady_now(void);
struct purse *purse_new(struct gateway *gateway, const struct customer *payer);
void purse_free(struct purse *purse);
amount purse_free_credit(struct purse *purse);
amount purse_held_credit(struct purse *purse);
enum hold_verdict {
  HOLD_DONE,
  HOLD_WAITS, /* the call is told by call_resume when the book has answered */
  HOLD_LATER, /* not now: calls under way will give back enough */
  HOLD_NEVER, /* it alone is more than there is */
  HOLD_FAILED /* the book can not be written */
};
/* `now`: steady_now. `*most`: what could be held just now, for LATER and NEVER. */
enum hold_verdict purse_hold(struct purse *purse, struct call *call, amount value, instant now, amount *most);
/* The call holds nothing any more; `spent` of it is on its way to the book, from where purse_spent tells that it has
 * arrived. */
void purse_release(struct purse *purse, amount held, amount spent);
void purse_spent(struct purse *purse, amount spent, bool booked);
/* The end of the period in which what is spent at `at` will be invoiced. */
MUST_USE bool purse_period(struct purse *purse, instant at, instant *to, struct error *err);
/* Once a second, with steady_now: slices that nobody uses go back. */
void purse_rest(struct purse *purse, instant now);
/* All of it, when no call is under way any more; waits for the core. */
MUST_USE bool purse_return(struct purse *purse, struct error *err);

/* ---- reserve.c: on the core thread ---- */
/* Reserves up to `wanted` for the payer beside what is spent. */
MUST_USE bool reserve_credit(struct book *book, const struct customer *payer, slice product, amount wanted,
                             amount *granted, struct error *err);

/* ---- keys.c: what calls of one key did, over its rotations ---- */
struct key_state {
  slice family;
  pthread_mutex_t lock;
  struct period period; /* that spend counts in; empty: not read from the book yet */
  amount spent, held;
};
struct key_state *key_state_of(struct gateway *gateway, slice family);
void key_states_free(struct gateway *gateway);
/* Is the spend of the period that `now` lies in known? */
MUST_USE bool key_period(const struct key_terms *terms, const struct customer *customer, instant now,
                         struct period *out, struct error *err);
bool key_spend_known(struct key_state *state, struct period period);
/* On the core thread or over a reader. */
MUST_USE bool key_spend_learn(struct key_state *state, struct book *book, struct period period, struct error *err);
/* False when it would pass the limit. */
bool key_spend_hold(struct key_state *state, const struct key_terms *terms, amount value);
void key_spend_end(struct key_state *state, amount held);
/* A call that began in this period cost so much; below 0: it could not be booked after all. */
void key_spend_count(struct key_state *state, struct period period, amount spent);

/* ---- a call on its way; it belongs to its edge's thread, and to the core while its command is there ---- */

enum call_end {
  END_OK,
  END_CLIENT_GONE,
  END_UPSTREAM_FAILED, /* in the midst of an answer, or before any and no other upstream was left */
  END_REFUSED          /* never forwarded: no record is made */
};
const char *call_end_name(enum call_end end);

struct call {
  struct command command; /* first: the core hands back this address */
  uint32_t magic;
  struct gateway *gateway;
  struct edge *edge;
  struct call *next_on_edge, **place_on_edge;
  struct http_request *http;
  struct arena *arena; /* of the request */
  enum wire_door door;
  struct wire_request request;
  const struct model *model;
  enum model_tier tier;
  struct key_identity who;
  struct key_state *key_state; /* NULL: no spend limit */
  struct period key_period;
  struct buyer *buyer;
  struct terms *terms;
  const struct quote *quote;
  struct set_aside aside;
  bool set_aside, holds, key_holds;
  amount held;
  int64_t max_tokens; /* that the upstream is told */
  struct limiter *limiters[2];
  struct call_limits limits[2];
  int64_t tokens_estimated;
  struct limit_state limit_state;
  uint64_t credit_round;
  struct call *next_waiting; /* in a list of calls that wait */
  bool waits;                /* parked: its next step comes by call_resume */
  bool learning;
  instant begun, sent, first_byte, parked;
  struct route_call route;
  struct route_place place;
  bool placed;
  struct buf body; /* for the upstream */
  struct http_exchange *exchange;
  int upstream_status;
  int64_t retry_after_ms;
  int64_t answer_length;
  char answer_type[64];
  struct buf kept;    /* of the answer: what need not leave before its end */
  struct buf refusal; /* what the upstream said instead of an answer */
  struct wire_reader *reader, *idle_reader;
  bool streaming;     /* bytes went to the client */
  bool answer_whole;  /* the client's content-length is known */
  bool settles_later; /* other calls of its edge are being booked just now */
  bool paused, gone, settling, noted, unbooked;
  instant heard;   /* when the client last got something */
  const char *why; /* the answer ends in the midst of it */
  unsigned tries;
  enum call_end end;
  struct figures_call figures;
  bool told;
  /* what it came to */
  struct wire_outcome outcome;
  int64_t counts[KINDS];
  struct price_paid paid;
  amount upstream_cost;
  instant ended;
  bool charged;
  bool kept_in_book; /* by the core: its event is new there */
  struct event event;
  instant period_to;
};

/* Calls that become durable in one step. */
struct settlement {
  struct command command; /* first: the core hands back this address */
  struct call *calls;
  atomic_bool busy;
  int64_t begun_ns; /* of the last one, by the monotonic clock */
};
/* What belongs to one edge. */
struct edge {
  struct gateway *gateway;
  unsigned index;
  struct event_base *base;
  struct http_client **clients; /* by upstream; NULL until it is used */
  struct event *tick;
  struct call *calls;               /* all, the newest first */
  struct call *parked[MODEL_TIERS]; /* wait for room on an upstream, the oldest first */
  struct call *ended, **last_ended; /* to be in the next settlement */
  size_t ended_count, call_count;
  struct settlement settlement;
  struct event *gathered; /* the time to settle has come */
  struct buf piece;       /* for the client, one at a time */
  uint64_t ticks;
  struct call *idle_calls; /* memory for the next ones */
  size_t idle_count;
  struct buf log; /* lines of calls that ended */
  bool unparking;
};

struct door {
  struct gateway *gateway;
  enum wire_door door;
};
struct gateway {
  uint32_t magic;
  struct book *book;
  struct core *core;
  const struct catalog *catalog;
  struct routes *routes;
  struct limiters *limiters;
  struct figures *figures;
  slice product;      /* of what calls are charged for; credit with this scope pays them too */
  const slice *asked; /* names of dimensions and filters that meters of calls have */
  size_t asked_count;
  slice *upstream_headers; /* by upstream: lines with its key */
  struct arena *arena;
  struct door doors[WIRE_DOORS];
  struct http_route routes_of_http[WIRE_DOORS + 2];
  pthread_mutex_t lock; /* of the tables */
  struct map buyers, purses, key_states;
  _Atomic int64_t failing_until_ns; /* of steady_now: the book could not be written: no new calls until then */
  pthread_t thread;                 /* health checks and rest */
  struct event_base *base;
  struct keeper *keeper;
};

/* ---- call.c ---- */
void call_arrived_at_door(struct http_request *r, void *context);
/* Goes on from wherever it stands. */
void call_advance(struct call *call);
/* Each of a list goes on, on its own edge. */
void calls_resume(struct call *list);
/* The call ends here, without an answer of an upstream. `code` may be NULL. */
struct refusal {
  int status;
  const char *message, *code, *param;
  enum figures_cause cause; /* REFUSED_CAUSES: it is not to be counted */
  int64_t retry_ms;         /* 0: not worth trying again; -1: nothing is said */
};
void call_refuse(struct call *call, const struct refusal *refusal);
/* Gives back all it holds and frees it; the request has been answered. */
void call_close(struct call *call);

/* ---- admit.c ---- */
/* The headers that tell how much of the limits is left. */
void call_put_limits(struct call *call);
/* Finds the prices for the call, of the upstream it is placed on if that matters. */
MUST_USE bool call_quote(struct call *call, struct error *err);
/* Who, what, how much: true when the call may be forwarded; false when it was refused or waits. */
bool call_admit(struct call *call);

/* ---- forward.c ---- */
void call_forward(struct call *call);
/* There may be room on an upstream now, or it has waited long enough. */
void call_unparked(struct call *call);
/* Status and headers of the client's answer. */
void call_begin_answer(struct call *call);
/* Its exchange is over, or no longer of interest. */
void call_leave_upstream(struct call *call);
void call_client_gone(struct call *call);
void call_client_drained(struct call *call);
/* Comments for a client that has waited long. */
void call_keep_alive(struct call *call, instant now);

/* ---- settle.c ---- */
void call_settle(struct call *call, enum call_end end);
/* On the edge, once the call is booked, or can not be. */
void call_settled(struct http_request *r, void *context);
/* What it used and what that costs, as it stands at `at`, were it to end like this. */
MUST_USE bool call_price(struct call *call, enum call_end end, instant at, struct error *err);

/* ---- settlement.c ---- */
/* The call is to be booked; then call_settled is called on the edge. */
void edge_add_settled(struct edge *edge, struct call *call);
/* Books what has ended, unless a settlement of the edge is under way. */
void edge_settle(struct edge *edge);

/* ---- record.c: the event of a call ---- */
/* In the arena. `status`: "ok", "client_gone", "upstream_failed", "interrupted". */
void call_record(struct arena *arena, const struct call *call, const char *status, instant at, struct event *out);

/* ---- notes.c: calls that run long are noted in the book, so that a crash loses little of them ---- */
void edge_note_calls(struct edge *edge, instant now);
MUST_USE bool note_drop(struct book *book, slice id, struct error *err);

/* ---- edge.c ---- */
struct call *edge_new_call(struct edge *edge);
void edge_old_call(struct edge *edge, struct call *call);
struct edge *edge_of(struct gateway *gateway, struct http_request *r);
/* NULL with err: its name or its certificates can not be used. */
struct http_client *edge_client(struct edge *edge, const struct upstream *upstream, struct error *err);
void edge_park(struct edge *edge, struct call *call);
/* An upstream has room again, perhaps. */
void edge_unpark(struct edge *edge);

/* ---- tell.c ---- */
/* A call is let in; has its first token; has ended, with what the client was told: figures and log line. */
void call_tell_begun(struct call *call);
void call_tell_first(struct call *call);
void call_tell(struct call *call, int status);
/* Lines that were gathered go out. */
void edge_write_log(struct edge *edge);

/* ---- gateway.c ---- */
struct buyer *buyer_of(struct gateway *gateway, const struct customer *customer);
struct purse *purse_of(struct gateway *gateway, const struct customer *payer);

/* ---- keeper.c ---- */
void keeper_start_thread(struct gateway *gateway);
void keeper_stop_thread(struct gateway *gateway);

/* ---- models.c: /v1/models ---- */
void models_arrived(struct http_request *r, void *context);
/* The key of a request, of either kind of header. */
slice key_text_of(const struct http_request *r);

#endif
