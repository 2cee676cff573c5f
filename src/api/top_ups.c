/* Top-ups: what rules asked for, and the word of whoever takes payments. */
#include "api/private.h"
#include "credit/credit.h"

static bool put_one(void *context, const struct credit_top_up *t, struct error *err) {
  struct list_page *page = context;
  struct json_out *w = &page->call->json;
  (void)err;
  if (!page_takes(page, t->id)) {
    return true;
  }
  json_open_object(w);
  json_put_str(w, "id", t->id);
  json_put_str(w, "customer", t->customer);
  json_put_str(w, "state", t->state);
  json_put_str(w, "currency", t->currency);
  json_put_amount(w, "amount", t->amount);
  json_put_instant(w, "created", t->created);
  if (t->decided.ns != 0) {
    json_put_instant(w, "decided", t->decided);
  }
  json_close_object(w);
  return true;
}

bool top_ups_read(struct api_call *call, struct book *book, struct error *err) {
  struct list_page page;
  struct credit_query query = {.customer = call->customer};
  if (!page_begin(call, &page, &query.after_id, err)) {
    return false;
  }
  query.limit = page.limit + 1;
  if (!credit_top_up_list(book_db(book), &query, put_one, &page, err)) {
    return false;
  }
  page_end(&page);
  return true;
}

static bool answer_one(struct api_call *call, struct book *book, slice id, struct error *err) {
  struct list_page page = {.call = call, .limit = 1};
  struct credit_query query = {.id = id, .limit = 1};
  return credit_top_up_list(book_db(book), &query, put_one, &page, err);
}

/* The body may be left out. */
bool top_up_prepare(struct api_call *call, struct error *err) {
  const struct json *body = NULL;
  slice *reference = arena_alloc(call->arena, sizeof *reference);
  call->state = reference;
  if (http_body(call->http).len > 0 && !call_body(call, &body, err)) {
    return false;
  }
  *reference = body ? json_text(body, "reference") : (slice){0};
  return true;
}

bool top_up_paid_apply(struct api_call *call, struct book *book, struct error *err) {
  slice id = http_param(call->http, "top_up");
  return credit_top_up_paid(book_db(book), book_ledger(book), book_catalog(book), id, *(const slice *)call->state,
                            clock_now(), err) &&
         answer_one(call, book, id, err);
}

bool top_up_failed_apply(struct api_call *call, struct book *book, struct error *err) {
  slice id = http_param(call->http, "top_up");
  return credit_top_up_failed(book_db(book), id, clock_now(), err) && answer_one(call, book, id, err);
}
