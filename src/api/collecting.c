/* Dunning and statements of account. */
#include "api/private.h"

/* ---- dunning ---- */

static bool put_step(void *context, const struct dunning_event *e, struct error *err) {
  (void)err;
  struct list_page *page = context;
  struct json_out *w = &page->call->json;
  if (!page_takes(page, e->cursor)) {
    return true;
  }
  json_open_object(w);
  json_put_str(w, "customer", e->customer);
  json_put_str(w, "invoice", e->invoice);
  json_put_str(w, "number", e->number);
  json_put_str(w, "step", e->what);
  json_put_int(w, "after_days", e->after_days);
  json_put_instant(w, "time", e->time);
  json_close_object(w);
  return true;
}

bool dunning_read(struct api_call *call, struct book *book, struct error *err) {
  struct list_page page;
  slice after;
  if (!page_begin(call, &page, &after, err)) {
    return false;
  }
  if (!dunning_list(book_db(book), call->customer, after, page.limit + 1, put_step, &page, err)) {
    return false;
  }
  page_end(&page);
  return true;
}

/* ---- statements ---- */

/* Dates count in the customer's time zone; without them it is all there is, up to now. */
bool statement_prepare(struct api_call *call, struct error *err) {
  const struct customer *customer = catalog_customer(book_catalog(call->api->book), call->customer);
  slice from = http_query(call->http, "from"), to = http_query(call->http, "to");
  struct period *p = arena_alloc(call->arena, sizeof *p);
  call->state = p;
  if (call->customer.len == 0) {
    return error_set(err, ERR_INVALID, "say customer=");
  }
  if (customer == NULL) {
    return error_set(err, ERR_NOT_FOUND, "there is no customer \"" SLICE_FMT "\"", SLICE_ARG(call->customer));
  }
  /* Up to and with this instant. */
  *p = (struct period){{0}, {clock_now().ns + 1}};
  if (from.len > 0 && !time_parse_loose(from, customer->time_zone, &p->from, err)) {
    return error_at(err, "from");
  }
  if (to.len > 0 && !time_parse_loose(to, customer->time_zone, &p->to, err)) {
    return error_at(err, "to");
  }
  return p->from.ns < p->to.ns || error_set(err, ERR_INVALID, "from should come before to");
}

bool statement_apply(struct api_call *call, struct book *book, struct error *err) {
  struct collect c = call_collect(call, book);
  struct statement s;
  if (!statement_make(&c, call->customer, *(const struct period *)call->state, &s, err)) {
    return false;
  }
  statement_put(&call->json, &s);
  return true;
}
