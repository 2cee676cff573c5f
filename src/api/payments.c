/* Payments: list, record, apply, refund. */
#include "api/private.h"
#include <string.h>

struct collect call_collect(struct api_call *call, struct book *book) {
  return (struct collect){book_db(book), book_ledger(book), book_catalog(book), clock_now(), call->arena};
}

/* ---- reading ---- */

struct payments {
  struct list_page page;
  const struct collect *collect;
};

static bool put_one(void *context, const struct payment *p, struct error *err) {
  struct payments *list = context;
  return !page_takes(&list->page, p->id) || payment_put(list->collect, &list->page.call->json, p, err);
}

bool payments_read(struct api_call *call, struct book *book, struct error *err) {
  struct collect c = call_collect(call, book);
  struct payments list = {.collect = &c};
  struct payment_query query = {.customer = call->customer,
                                .state = http_query(call->http, "state"),
                                .invoice = http_query(call->http, "invoice")};
  if (!page_begin(call, &list.page, &query.after_id, err)) {
    return false;
  }
  query.limit = list.page.limit + 1;
  if (!payment_list(c.db, &query, put_one, &list, err)) {
    return false;
  }
  page_end(&list.page);
  return true;
}

static bool find(struct api_call *call, const struct collect *c, struct payment *out, struct error *err) {
  return payment_find(c, http_param(call->http, "payment"), out, err) && call_may_see(call, out->customer, err);
}

bool payment_read(struct api_call *call, struct book *book, struct error *err) {
  struct collect c = call_collect(call, book);
  struct payment p;
  return find(call, &c, &p, err) && payment_put(&c, &call->json, &p, err);
}

static bool answer_payment(struct api_call *call, const struct collect *c, slice id, struct error *err) {
  struct payment p;
  return payment_find(c, id, &p, err) && payment_put(c, &call->json, &p, err);
}

/* ---- recording ---- */

static bool take_received(struct api_call *call, slice text, instant *out, struct error *err) {
  *out = (instant){0};
  return text.len == 0 || time_parse_loose(text, book_catalog(call->api->book)->time_zone, out, err) ||
         error_at(err, "received");
}

/* A misspelt "invoice" would leave the money waiting as if nobody knew whose it is. */
static bool only_known(const struct json *body, struct error *err) {
  static const char *const names[] = {"id",    "amount",   "currency",  "invoice", "customer",
                                      "payer", "received", "reference", NULL};
  for (const struct json *m = body->child; m; m = m->next) {
    size_t i = 0;
    while (names[i] && !slice_is(m->key, names[i])) {
      i++;
    }
    if (!names[i]) {
      return error_set(err, ERR_INVALID,
                       "a payment has no member \"%.*s\": id, amount, currency, invoice, customer, payer, received and "
                       "reference",
                       (int)(m->key.len < 60 ? m->key.len : 60), m->key.ptr);
    }
    if (m->kind == JSON_ARRAY || m->kind == JSON_OBJECT) {
      return error_set(err, ERR_INVALID, "%s: expected one text", names[i]);
    }
  }
  return true;
}

bool payment_prepare(struct api_call *call, struct error *err) {
  const struct json *body;
  struct payment_request *r = arena_alloc(call->arena, sizeof *r);
  call->state = r;
  if (!call_body(call, &body, err) || !only_known(body, err)) {
    return false;
  }
  *r = (struct payment_request){.source = PAYMENT_MANUAL,
                                .key = json_text(body, "id"),
                                .currency = json_text(body, "currency"),
                                .customer = json_text(body, "customer"),
                                .invoice = json_text(body, "invoice"),
                                .payer = json_text(body, "payer"),
                                .text = json_text(body, "reference")};
  if (r->customer.len > 0 && catalog_customer(book_catalog(call->api->book), r->customer) == NULL) {
    return error_set(err, ERR_INVALID, "customer: there is no such customer; leave it out when it is not known");
  }
  return take_received(call, json_text(body, "received"), &r->received, err) &&
         (amount_parse(json_text(body, "amount"), &r->amount, err) || error_at(err, "amount"));
}

bool payment_record_apply(struct api_call *call, struct book *book, struct error *err) {
  struct collect c = call_collect(call, book);
  struct payment_request r = *(const struct payment_request *)call->state;
  struct payment_result result;
  if (r.received.ns == 0) {
    r.received = c.now;
  }
  if (!payment_record(&c, &r, &result, err)) {
    return false;
  }
  call->status = result.repeated ? 200 : 201;
  return answer_payment(call, &c, result.id, err);
}

struct invoice_state {
  amount open;
  slice status, currency;
  struct arena *arena;
};

static bool take_state(void *context, const struct stored_invoice *i, struct error *err) {
  struct invoice_state *s = context;
  s->status = arena_copy(s->arena, i->status);
  s->currency = arena_copy(s->arena, i->currency);
  return stored_invoice_open(i, &s->open, err);
}

static bool takes_payment(const struct invoice_state *s, slice invoice, amount value, struct error *err) {
  if (!slice_is(s->status, "finalized")) {
    return error_set(err, ERR_CONFLICT, "invoice " SLICE_FMT " is " SLICE_FMT ": it takes no payment",
                     SLICE_ARG(invoice), SLICE_ARG(s->status));
  }
  return amount_cmp(value, s->open) <= 0 || error_set(err, ERR_INVALID,
                                                      "this payment is more than what is open on invoice " SLICE_FMT
                                                      ": if that much came in, record it with POST /api/v1/payments",
                                                      SLICE_ARG(invoice));
}

bool pay_invoice(struct api_call *call, struct book *book, slice invoice, slice payment_id, amount value,
                 struct error *err) {
  struct collect c = call_collect(call, book);
  struct invoice_state state = {.arena = call->arena};
  struct invoice_query query = {.id = invoice, .limit = 1};
  struct payment earlier;
  struct payment_result result;
  bool found;
  if (!invoice_list(c.db, &query, take_state, &state, err) ||
      !payment_find_key(&c, PAYMENT_MANUAL, payment_id, &found, &earlier, err)) {
    return false;
  }
  struct payment_request r = {.source = PAYMENT_MANUAL,
                              .key = payment_id,
                              .currency = state.currency,
                              .amount = value,
                              .received = c.now,
                              .invoice = invoice};
  return (found || takes_payment(&state, invoice, value, err)) && payment_record(&c, &r, &result, err);
}

/* ---- applying and refunding ---- */

struct step {
  slice invoice;
  amount amount;
};

/* "amount" may be left out; then it is zero. */
static bool take_step(struct api_call *call, struct step **out, struct error *err) {
  const struct json *body;
  struct step *s = arena_alloc(call->arena, sizeof *s);
  call->state = *out = s;
  if (http_body(call->http).len == 0) {
    return true;
  }
  if (!call_body(call, &body, err)) {
    return false;
  }
  s->invoice = json_text(body, "invoice");
  if (json_get(body, "amount") == NULL) {
    return true;
  }
  if (!amount_parse(json_text(body, "amount"), &s->amount, err)) {
    return error_at(err, "amount");
  }
  return amount_cmp(s->amount, AMOUNT_ZERO) > 0 ||
         error_set(err, ERR_INVALID, "amount: more than zero; leave it out for all there is");
}

bool payment_apply_prepare(struct api_call *call, struct error *err) {
  struct step *s;
  return take_step(call, &s, err) &&
         (s->invoice.len > 0 || error_set(err, ERR_INVALID, "invoice: say which, by id or number"));
}

bool payment_apply_apply(struct api_call *call, struct book *book, struct error *err) {
  struct collect c = call_collect(call, book);
  const struct step *s = call->state;
  slice id = http_param(call->http, "payment");
  return payment_apply(&c, id, s->invoice, s->amount, err) && answer_payment(call, &c, id, err);
}

bool payment_refund_prepare(struct api_call *call, struct error *err) {
  struct step *s;
  return take_step(call, &s, err);
}

bool payment_refund_apply(struct api_call *call, struct book *book, struct error *err) {
  struct collect c = call_collect(call, book);
  const struct step *s = call->state;
  slice id = http_param(call->http, "payment");
  return payment_refund(&c, id, s->amount, err) && answer_payment(call, &c, id, err);
}
