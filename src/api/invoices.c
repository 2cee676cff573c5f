/* Invoices: list, document, PDF, explanation, preview, finalize, payments, void. */
#include "api/private.h"
#include "base/file.h"
#include "documents/documents.h"
#include "notify/notify.h"
#include <string.h>

#define EXPLAIN_EVENTS 20
#define EXPLAIN_EVENTS_MAX 10000

static bool list_one(void *context, const struct stored_invoice *i, struct error *err) {
  (void)err;
  struct list_page *page = context;
  if (page_takes(page, i->id)) {
    stored_invoice_put(&page->call->json, i);
  }
  return true;
}

bool invoices_read(struct api_call *call, struct book *book, struct error *err) {
  struct list_page page;
  struct invoice_query query = {.customer = call->customer,
                                .period = http_query(call->http, "period"),
                                .status = http_query(call->http, "status"),
                                .kind = http_query(call->http, "kind")};
  if (query.kind.len > 0 && !slice_is(query.kind, "invoice") && !slice_is(query.kind, "credit_note") &&
      !slice_is(query.kind, "opening")) {
    return error_set(err, ERR_INVALID, "kind: expected invoice, credit_note or opening");
  }
  if (query.status.len > 0 && !slice_is(query.status, "finalized") && !slice_is(query.status, "paid") &&
      !slice_is(query.status, "void")) {
    return error_set(err, ERR_INVALID, "status: expected finalized, paid or void");
  }
  if (!page_begin(call, &page, &query.after_id, err)) {
    return false;
  }
  query.limit = page.limit + 1;
  if (!invoice_list(book_db(book), &query, list_one, &page, err)) {
    return false;
  }
  page_end(&page);
  return true;
}

/* The invoice named in the path, if the caller may see it. */
struct found {
  struct api_call *call;
  slice document, id, status, customer;
  bool found;
};

static bool take(void *context, const struct stored_invoice *i, struct error *err) {
  struct found *f = context;
  if (!call_may_see(f->call, i->customer, err)) {
    return false;
  }
  f->found = true;
  f->id = arena_copy(f->call->arena, i->id);
  f->status = arena_copy(f->call->arena, i->status);
  f->customer = arena_copy(f->call->arena, i->customer);
  f->document = arena_copy(f->call->arena, i->document);
  return true;
}

static bool find_invoice(struct api_call *call, struct book *book, struct found *out, struct error *err) {
  slice name = http_param(call->http, "invoice");
  struct invoice_query query = {.id = name, .limit = 1, .with_document = true};
  *out = (struct found){.call = call};
  return invoice_list(book_db(book), &query, take, out, err) &&
         (out->found || error_set(err, ERR_NOT_FOUND, "there is no invoice \"" SLICE_FMT "\"", SLICE_ARG(name)));
}

bool invoice_read(struct api_call *call, struct book *book, struct error *err) {
  struct found f;
  if (!find_invoice(call, book, &f, err)) {
    return false;
  }
  document_print(f.document, &call->out);
  return true;
}

bool pdf_read(struct api_call *call, struct book *book, struct error *err) {
  struct found f;
  return find_invoice(call, book, &f, err) && document_pdf(f.document, book_catalog(book), &call->out, err);
}

bool ubl_read(struct api_call *call, struct book *book, struct error *err) {
  struct found f;
  if (!find_invoice(call, book, &f, err)) {
    return false;
  }
  if (!document_ubl(f.document, &call->out, err)) {
    err->code = err->code == ERR_INVALID ? ERR_CONFLICT : err->code; /* it is the invoice that lacks something */
    return false;
  }
  return true;
}

struct asked {
  struct api_call *call;
  struct book *book;
  struct explain_options options;
  bool found;
};

static bool explain_one(void *context, const struct stored_invoice *i, struct error *err) {
  struct asked *a = context;
  a->found = true;
  return call_may_see(a->call, i->customer, err) &&
         book_explain(a->book, i, http_query(a->call->http, "line"), a->options, &a->call->out, err);
}

static bool explain_options(struct api_call *call, struct explain_options *out, struct error *err) {
  quantity events = {EXPLAIN_EVENTS * QUANTITY_E9};
  slice text = http_query(call->http, "events");
  *out = (struct explain_options){.json = slice_is(http_query(call->http, "format"), "json")};
  if (http_query(call->http, "line").len == 0) {
    return error_set(err, ERR_INVALID, "say line=N: the number of a line on the invoice; or total, tax or rounding");
  }
  if (text.len > 0 && (!quantity_parse(text, &events, err) || events.e9 < 0)) {
    return error_set(err, ERR_INVALID, "events: should be a number, how many are listed");
  }
  out->events_max =
      events.e9 / QUANTITY_E9 > EXPLAIN_EVENTS_MAX ? EXPLAIN_EVENTS_MAX : (size_t)(events.e9 / QUANTITY_E9);
  return true;
}

bool explain_read(struct api_call *call, struct book *book, struct error *err) {
  slice name = http_param(call->http, "invoice");
  struct asked a = {.call = call, .book = book};
  if (!explain_options(call, &a.options, err)) {
    return false;
  }
  struct invoice_query query = {.id = name, .limit = 1, .with_document = true};
  return invoice_list(book_db(book), &query, explain_one, &a, err) &&
         (a.found || error_set(err, ERR_NOT_FOUND, "there is no invoice \"" SLICE_FMT "\"", SLICE_ARG(name)));
}

/* ---- preview and finalize: the same draft ---- */

struct draft {
  struct rating_set set;
  const struct rating *rating;
  struct invoice invoice;
  bool early, allow_unpriced;
  slice customer, period;
};

static void drop_draft(void *state) {
  struct draft *d = state;
  if (d->set.arena) {
    rating_set_free(&d->set);
  }
}

static bool draft_invoice(struct book *book, struct draft *d, struct error *err) {
  if (!book_rate(book, d->customer, d->period, &d->set, err)) {
    return false;
  }
  if (d->set.rating_count == 0) {
    return error_set(err, ERR_NOT_FOUND, "customer " SLICE_FMT " has no charges in " SLICE_FMT, SLICE_ARG(d->customer),
                     SLICE_ARG(d->period));
  }
  d->rating = rating_set_find(&d->set, d->customer);
  if (d->rating == NULL) {
    return error_set(err, ERR_CONFLICT, "customer " SLICE_FMT " is on the invoice of " SLICE_FMT ", who pays for it",
                     SLICE_ARG(d->customer), SLICE_ARG(d->set.ratings[0].customer->id));
  }
  return book_invoice(book, &d->set, d->rating, &d->invoice, err);
}

bool preview_read(struct api_call *call, struct book *book, struct error *err) {
  struct draft d = {.customer = call->customer, .period = http_query(call->http, "period")};
  if (d.customer.len == 0 || d.period.len == 0) {
    return error_set(err, ERR_INVALID, "say customer= and period=2026-10");
  }
  bool ok = draft_invoice(book, &d, err);
  if (ok) {
    invoice_to_json(&d.invoice, &call->out);
  }
  drop_draft(&d);
  return ok;
}

static bool body_flag(const struct json *body, const char *key) {
  const struct json *flag = json_get(body, key);
  return flag && flag->kind == JSON_BOOL && flag->boolean;
}

bool finalize_prepare(struct api_call *call, struct error *err) {
  const struct json *body;
  if (!call_body(call, &body, err)) {
    return false;
  }
  struct draft *d = arena_alloc(call->arena, sizeof *d);
  *d = (struct draft){.customer = json_text(body, "customer"),
                      .period = json_text(body, "period"),
                      .early = body_flag(body, "early"),
                      .allow_unpriced = body_flag(body, "allow_unpriced")};
  call->state = d;
  call->drop = drop_draft;
  return (d->customer.len > 0 && d->period.len > 0) ||
         error_set(err, ERR_INVALID, "the body should name customer and period");
}

bool finalize_read(struct api_call *call, struct book *book, struct error *err) {
  struct draft *d = call->state;
  if (!draft_invoice(book, d, err)) {
    return false;
  }
  if (!d->early && d->invoice.period.to.ns > d->set.as_of.ns) {
    return error_set(err, ERR_CONFLICT, "the period has not ended; \"early\": true finalizes it all the same");
  }
  if (d->invoice.rating->unpriced_count > 0 && !d->allow_unpriced) {
    return error_set(err, ERR_CONFLICT,
                     "%zu kinds of usage have no price (see the preview); \"allow_unpriced\": true leaves them out",
                     d->invoice.rating->unpriced_count);
  }
  return d->invoice.line_count > 0 || error_set(err, ERR_CONFLICT, "there is nothing to invoice in this period");
}

bool finalize_apply(struct api_call *call, struct book *book, struct error *err) {
  struct draft *d = call->state;
  struct invoice invoice;
  bool existed;
  slice id;
  if (!book_finalize(book, &d->set, d->rating, &invoice, &existed, &id, err)) {
    return false;
  }
  struct found f = {.call = call};
  struct invoice_query query = {.id = id, .limit = 1, .with_document = true};
  if (!invoice_list(book_db(book), &query, take, &f, err)) {
    return false;
  }
  must(f.found);
  document_print(f.document, &call->out);
  call->status = existed ? 200 : 201;
  return true;
}

/* ---- payments and void ---- */

struct named_payment {
  slice id;
  amount amount;
};

bool pay_prepare(struct api_call *call, struct error *err) {
  const struct json *body;
  struct named_payment *p = arena_alloc(call->arena, sizeof *p);
  if (!call_body(call, &body, err)) {
    return false;
  }
  p->id = json_text(body, "id");
  call->state = p;
  if (p->id.len == 0 || p->id.len > 100) {
    return error_set(err, ERR_INVALID,
                     "id: a payment needs one of at most 100 bytes; again with the same id books nothing twice");
  }
  return amount_parse(json_text(body, "amount"), &p->amount, err) || error_at(err, "amount");
}

static bool answer_stored(struct api_call *call, struct book *book, slice id, struct error *err) {
  struct list_page page = {.call = call, .limit = 1};
  struct invoice_query query = {.id = id, .limit = 1};
  return invoice_list(book_db(book), &query, list_one, &page, err);
}

bool pay_apply(struct api_call *call, struct book *book, struct error *err) {
  const struct named_payment *p = call->state;
  struct found f;
  return find_invoice(call, book, &f, err) && pay_invoice(call, book, f.id, p->id, p->amount, err) &&
         answer_stored(call, book, f.id, err);
}

bool void_apply(struct api_call *call, struct book *book, struct error *err) {
  struct found f;
  struct collect c = call_collect(call, book);
  return find_invoice(call, book, &f, err) && invoice_void(book_db(book), book_ledger(book), f.id, clock_now(), err) &&
         (slice_is(f.status, "void") || book_tell_invoice(book, "invoice.voided", f.id, err)) &&
         suspension_review(&c, f.customer, err) && answer_stored(call, book, f.id, err);
}
