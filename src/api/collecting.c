/* Dunning and statements of account. */
#include "api/private.h"

/* ---- dunning ---- */

struct page {
  struct api_call *call;
  size_t limit, written;
  slice last;
  bool more;
};

static bool put_step(void *context, const struct dunning_event *e, struct error *err) {
  (void)err;
  struct page *page = context;
  struct json_out *w = &page->call->json;
  if (page->written++ == page->limit) {
    page->more = true;
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
  page->last = arena_copy(page->call->arena, e->cursor);
  return true;
}

bool dunning_read(struct api_call *call, struct book *book, struct error *err) {
  struct page page = {.call = call};
  slice after;
  if (!call_page(call, &page.limit, &after, err)) {
    return false;
  }
  list_begin(call);
  if (!dunning_list(book_db(book), call->customer, after, page.limit + 1, put_step, &page, err)) {
    return false;
  }
  list_end(call, page.more ? page.last : (slice){0});
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
