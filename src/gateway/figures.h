/* What operators look at: counts, times and money of calls, for Prometheus, for the live view and as a line a call.
 * Each edge writes a shard of its own without locks; reading sums them up. No content of calls comes in here.
 * docs/gateway.md, What operators look at. */
#ifndef METERHOUSE_GATEWAY_FIGURES_H
#define METERHOUSE_GATEWAY_FIGURES_H
#include "gateway/routes.h"
#include "wire/wire.h"

struct figures;
#define FIGURES_EDGES_MAX 64
#define FIGURES_CUSTOMERS_MAX 10000 /* an edge; beyond it who has been quiet the longest is forgotten */
#define FIGURES_CUSTOMERS_SHOWN 100
/* `catalog` and `routes` must outlive it; customers, models and targets are those of the catalog, by index. `routes`
 * may be NULL: then nothing is said of upstreams by themselves. Memory grows with what is called, not with the catalog
 * (beyond 8 bytes a model and 2 a customer, an edge). */
struct figures *figures_new(const struct catalog *catalog, struct routes *routes, unsigned edges);
void figures_free(struct figures *figures);

/* Why a call was not taken. */
enum figures_cause {
  REFUSED_NO_KEY,
  REFUSED_MODEL,
  REFUSED_RATE_REQUESTS,
  REFUSED_RATE_TOKENS,
  REFUSED_CONCURRENCY,
  REFUSED_CREDIT,
  REFUSED_CREDIT_WAIT, /* running calls will free credit */
  REFUSED_SPEND_LIMIT,
  REFUSED_UPSTREAM_FULL,
  REFUSED_UPSTREAM_DOWN,
  REFUSED_INVALID,
  REFUSED_TOO_LARGE,
  REFUSED_BOOKS, /* the books can not be read or written, or a price not be told */
  REFUSED_CAUSES
};
const char *figures_cause_name(enum figures_cause cause); /* "no_key" ... */

enum figures_settlement {
  CALL_FREE,     /* nothing was to be settled */
  CALL_SETTLED,  /* durably, before its last byte left */
  CALL_UNSETTLED /* it should have been, and could not be */
};
/* One call, from figures_begin to figures_end, kept by whoever runs it; all zero before it is filled. */
struct figures_call {
  const char *id;
  const struct customer *customer;
  slice key_id, project;
  const struct model *model;
  enum wire_door door;
  bool stream;
  instant begun;
  /* set here: */
  instant first_token, ended; /* 0: not yet */
  amount held;
  uint32_t customer_slot;
  /* known by its end: */
  const struct model_target *target; /* that took it, or the last one tried; NULL: none was found */
  int status;                        /* as the client was told; 499: it left before it was told any */
  bool client_left;                  /* before the end, whatever the status */
  struct wire_usage usage;           /* `reported` false with any token in it: an estimate */
  enum figures_settlement settlement;
  amount charged; /* in the customer's currency, before tax */
  amount cost;    /* of the upstream: what route_ended returned, of all tries; in the catalog's currency */
  slice finish;   /* finish reason as told; may be empty */
  unsigned tries; /* upstreams that were asked; 0: none */
};

/* Each edge's thread calls these for its own `edge` alone, from 0; none takes a lock or, but for the first call of a
 * model on an upstream, memory. */
/* A call was let in: customer, model, door, stream and begun are set. It will be ended by figures_end. */
void figures_begin(struct figures *f, unsigned edge, struct figures_call *call);
/* Credit is held for it now; replaces what was held before. Given back by figures_end. */
void figures_held(struct figures *f, unsigned edge, struct figures_call *call, amount held);
/* The first generated content passed to the client of a stream; `target` is set. Later ones are not listened to. */
void figures_first_token(struct figures *f, unsigned edge, struct figures_call *call, instant now);
void figures_end(struct figures *f, unsigned edge, struct figures_call *call, instant now);
/* One that was not let in, or was let in and then turned away: then figures_end is said as well. */
void figures_refused(struct figures *f, unsigned edge, enum figures_cause cause);

/* From any thread. Prometheus' text format; names and buckets of the gen_ai_ metrics are those of OpenTelemetry's
 * semantic conventions for generative AI. */
void figures_metrics(struct figures *f, instant now, struct buf *out);
/* The live view: one JSON object. */
void figures_json(struct figures *f, instant now, struct buf *out);
/* "call=... customer=... ..." in logfmt without a line break; nothing of what was asked or answered. */
void figures_log_line(const struct figures_call *call, struct buf *out);
#endif
