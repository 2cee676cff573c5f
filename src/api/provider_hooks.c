/* Webhooks of payment providers: verified on the edge, acted upon on the core. */
#include "api/private.h"
#include "credit/credit.h"

bool provider_hook_prepare(struct api_call *call, struct error *err) {
  struct provider_event *event = arena_alloc(call->arena, sizeof *event);
  const struct provider_delivery delivery = {.provider = http_param(call->http, "provider"),
                                             .body = http_body(call->http),
                                             .id = http_header(call->http, "webhook-id"),
                                             .timestamp = http_header(call->http, "webhook-timestamp"),
                                             .signature = http_header(call->http, "webhook-signature"),
                                             .stripe_signature = http_header(call->http, "stripe-signature")};
  call->state = event;
  return provider_verify(call->api->providers, &delivery, clock_now(), err) &&
         provider_read(call->arena, book_catalog(call->api->book), &delivery, clock_now(), event, err);
}

struct asked_for {
  struct credit_top_up top_up;
  bool found;
};

static bool take_top_up(void *context, const struct credit_top_up *t, struct error *err) {
  (void)err;
  struct asked_for *a = context;
  a->top_up = *t;
  a->found = true;
  return true;
}

/* The money of a payment for a top-up becomes the credit that was asked for. What fits none (unknown, decided before,
 * another amount) waits as unapplied money for someone to look at. */
static bool pay_top_up(const struct collect *c, struct book *book, const struct payment_result *result,
                       struct error *err) {
  struct credit_query query = {.id = result->top_up, .limit = 1};
  struct asked_for a = {0};
  struct payment p;
  if (!credit_top_up_list(book_db(book), &query, take_top_up, &a, err) || !payment_find(c, result->id, &p, err)) {
    return false;
  }
  bool fits = a.found && amount_cmp(a.top_up.amount, p.amount) == 0;
  if (!fits) {
    return true;
  }
  struct buf purpose;
  buf_init(&purpose, 200);
  buf_addf(&purpose, "top_up:" SLICE_FMT, SLICE_ARG(result->top_up));
  /* The payment brought it in through cash, from where prepaid credit is booked. */
  bool ok =
      payment_hand_over(c, result->id, SLICE("cash"), buf_slice(&purpose), err) &&
      credit_top_up_paid(book_db(book), book_ledger(book), book_catalog(book), result->top_up, result->id, c->now, err);
  buf_free(&purpose);
  return ok;
}

bool provider_hook_apply(struct api_call *call, struct book *book, struct error *err) {
  struct collect c = call_collect(call, book);
  const struct provider_event *event = call->state;
  struct payment_result result;
  struct json_out *w = &call->json;
  if (!provider_apply(&c, http_param(call->http, "provider"), event, &result, err) ||
      (result.top_up.len > 0 && !result.repeated && !pay_top_up(&c, book, &result, err))) {
    return false;
  }
  json_open_object(w);
  json_put_bool(w, "ignored", event->kind == PROVIDER_IGNORED);
  json_put_bool(w, "repeated", result.repeated);
  if (result.id.len > 0) {
    json_put_str(w, "payment", result.id);
  }
  json_close_object(w);
  return true;
}
