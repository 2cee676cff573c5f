/* Inside api: an endpoint, and one call of it on its way through edge, worker and core. */
#ifndef METERHOUSE_API_PRIVATE_H
#define METERHOUSE_API_PRIVATE_H
#include "api/api.h"
#include "base/hash.h"
#include "base/json.h"
#include "collect/collect.h"
#include "gateway/gateway.h"
#include <stdatomic.h>

#define API_ANSWER_BYTES_MAX ((size_t)256 << 20)
#define API_PAGE_DEFAULT 100
#define API_PAGE_MAX 1000

enum { ALLOW_PUBLIC = 1, ALLOW_CUSTOMER = 2, ALLOW_INVESTOR = 4, ALLOW_OPERATOR = 8 };
#define ALLOW_OWNER (ALLOW_CUSTOMER | ALLOW_OPERATOR) /* customers see their own */

struct api_call;
struct api_endpoint {
  const char *method, *path, *summary;
  const char *query;       /* names of query parameters, separated by blanks; for the OpenAPI document */
  const char *body;        /* what a POST takes, in words; NULL when nothing */
  const char *answer_type; /* default application/json */
  unsigned allow;
  /* Where the customer it concerns is named: a path or query parameter. A customer's key is held to its own there. */
  const char *customer_param;
  /* The three stages, each optional, in this order. On the edge: parse, must not block. */
  bool (*prepare)(struct api_call *call, struct error *err);
  /* On a worker, over a read-only snapshot. */
  bool (*read)(struct api_call *call, struct book *reader, struct error *err);
  /* On the core thread: inside a durable batch, or (reads_only) beside it. May run twice: see struct command. */
  bool (*apply)(struct api_call *call, struct book *book, struct error *err);
  bool reads_only;
};
extern const struct api_endpoint api_endpoints[];
extern const size_t api_endpoint_count;

struct webhooks;
struct notify_vault;
struct live;

struct api {
  struct book *book;
  struct core *core;
  struct pull *pull; /* NULL: nothing is scraped */
  struct http_server *http;
  struct webhooks *webhooks;
  struct live *live;
  struct providers *providers;
  struct gateway *gateway;
  struct http_route *routes;
  bool open_overview;
  instant started;
  _Atomic uint64_t events[4]; /* by verdict */
  _Atomic uint64_t requests, requests_failed;
};

struct api_call {
  struct command command; /* first: the core hands back this address */
  struct api *api;
  const struct api_endpoint *endpoint;
  struct http_request *http;
  struct arena *arena;
  struct key_identity who;
  slice customer; /* the one it is about: from customer_param, or the key's own */
  int status;     /* of the answer; 200 unless a stage says otherwise */
  struct buf out; /* the answer */
  struct json_out json;
  struct digest request_digest;
  slice idempotency_key;
  bool replayed; /* the answer is one that was kept */
  /* Set by prepare where apply leaves the answer to it: written on the edge after the commit, or, with an
   * Idempotency-Key, whose answer is kept, on the core right after apply. */
  void (*answer)(struct api_call *call);
  void (*committed)(struct api_call *call); /* set by prepare: once the work stands and is not a replay; on the core */
  void *state;                              /* a stage's, for the next one */
  void (*drop)(void *state);                /* frees it; may be NULL */
};

/* May this caller see things of `customer`? ERR_NOT_FOUND when not, as if they were not there. */
MUST_USE bool call_may_see(const struct api_call *call, slice customer, struct error *err);
/* "limit" and "cursor" of a list. `after` is what the cursor holds. */
MUST_USE bool call_page(struct api_call *call, size_t *limit, slice *after, struct error *err);
/* {"data":[ ... ],"next_cursor": ...}: begin, write elements, end with the last element's key when there may be more.
 */
void list_begin(struct api_call *call);
void list_end(struct api_call *call, slice next_after);
/* A page of a list on its way into the answer. Ask the store for `limit` + 1: one more tells whether there is a next.
 */
struct list_page {
  struct api_call *call;
  size_t limit, written;
  slice last; /* what the next page goes on after */
  bool more;
};
/* Begins the answer of a list. */
MUST_USE bool page_begin(struct api_call *call, struct list_page *page, slice *after, struct error *err);
/* Is there room for this element, which the cursor knows as `key`? */
bool page_takes(struct list_page *page, slice key);
void page_end(struct list_page *page);
/* The JSON body as an object; ERR_INVALID otherwise. */
MUST_USE bool call_body(struct api_call *call, const struct json **out, struct error *err);
/* The query's period: "period", or "from" and "to"; `otherwise` when neither is given. */
MUST_USE bool call_period(struct api_call *call, struct period *out, struct error *err);

/* What the rooms of collecting work with, over this book and in the call's memory. */
struct collect call_collect(struct api_call *call, struct book *book);

/* Replays for ever what an Idempotency-Key was answered; on the core, inside the batch. */
MUST_USE bool answer_find(struct api_call *call, struct book *book, bool *found, struct error *err);
MUST_USE bool answer_keep(struct api_call *call, struct book *book, struct error *err);

/* A pull_writer's `write` over the core; the context is the api. */
MUST_USE bool scrape_write(void *context, const struct pull_step *step, bool *stood, struct error *err);
/* The sending of webhooks: a thread of its own over the core. It is stopped before the core and freed after it. */
MUST_USE bool webhooks_start(struct api *api, struct error *err);
void webhooks_stop(struct api *api);
void webhooks_free(struct api *api);
/* To be called after a commit, on the core thread: wakes the sender when messages were made. */
void webhooks_committed(struct api *api);
const struct notify_vault *webhooks_vault(const struct api *api);

/* The stages, one file a resource. */
typedef bool api_stage(struct api_call *call, struct error *err);
typedef bool api_work(struct api_call *call, struct book *book, struct error *err);
api_stage gateway_prepare, limits_prepare, events_prepare, page_prepare, openapi_prepare, health_prepare, pay_prepare,
    finalize_prepare, key_prepare, key_rotate_prepare;
api_stage correction_prepare, backfill_prepare;
api_work correction_apply, correction_preview, corrections_read, backfill_apply, backfill_preview, backfill_commit,
    backfill_drop, backfills_read;
api_work events_apply, customers_read, customer_read, plans_read, plan_read, usage_read, invoices_read, invoice_read,
    pdf_read, ubl_read, explain_read, preview_read, finalize_read, finalize_apply, pay_apply, void_apply,
    accounts_apply, entries_apply, keys_read, key_apply, key_rotate_apply, key_revoke_apply, summary_read, metrics_read,
    page_read;
api_stage webhook_prepare, webhook_rotate_prepare, replay_prepare;
api_work webhooks_read, webhook_read, webhook_apply, webhook_rotate_apply, webhook_enable_apply, webhook_delete_apply,
    deliveries_read, replay_apply, webhook_test_apply;
api_stage credit_prepare, top_up_prepare;
api_work credits_read, credit_read, credit_apply, credit_expire_apply, credit_revoke_apply, balance_read, top_ups_read,
    top_up_paid_apply, top_up_failed_apply;
api_stage note_prepare;
api_work note_apply;
api_work commitments_read;
api_stage clock_prepare;
api_work clock_read, clock_advance, export_read;
api_stage alert_prepare, entitlement_prepare;
api_work alerts_read, alert_apply, alert_delete_apply;
api_stage payment_prepare, payment_apply_prepare, payment_refund_prepare, provider_hook_prepare, statement_prepare;
api_work payments_read, payment_read, payment_record_apply, payment_apply_apply, payment_refund_apply, dunning_read,
    statement_apply, provider_hook_apply, bank_file_read, bank_file_apply;
/* Records a payment of one invoice; more than is open is refused, so that a slip is not taken for generosity. */
MUST_USE bool pay_invoice(struct api_call *call, struct book *book, slice invoice, slice payment_id, amount value,
                          struct error *err);
#endif
