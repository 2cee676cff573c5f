/* The test clock of a book made for testing: where it stands, and moving it on through all that falls due. */
#include "api/private.h"

static bool put_clock(struct api_call *call, struct book *book, const struct due_result *result, struct error *err) {
  instant t;
  bool found;
  if (!book_test_clock(book, &t, &found, err)) {
    return false;
  }
  json_open_object(&call->json);
  json_put_instant(&call->json, "now", clock_now());
  json_key(&call->json, "test_clock");
  json_bool(&call->json, found);
  if (result) {
    json_put_int(&call->json, "invoices", (int64_t)result->invoices);
    json_put_int(&call->json, "held", (int64_t)result->held);
  }
  json_close_object(&call->json);
  return true;
}

bool clock_read(struct api_call *call, struct book *book, struct error *err) {
  return put_clock(call, book, NULL, err);
}

struct move {
  bool by; /* `span` from where the clock stands, else to `to` */
  struct time_span span;
  instant to;
};

/* {"advance": "1 month"} or {"to": time} */
bool clock_prepare(struct api_call *call, struct error *err) {
  const struct json *body;
  if (!call_body(call, &body, err)) {
    return false;
  }
  slice by = json_text(body, "advance"), to = json_text(body, "to");
  struct move *move = arena_alloc(call->arena, sizeof *move);
  *move = (struct move){.by = by.len > 0};
  call->state = move;
  if ((by.len > 0) == (to.len > 0)) {
    return error_set(err, ERR_INVALID, "say either \"advance\": \"1 month\" or \"to\": a time");
  }
  if (to.len > 0) {
    return time_parse_rfc3339(to, &move->to, err) || error_at(err, "to");
  }
  return time_parse_span(by, &move->span, err) || error_at(err, "advance");
}

bool clock_advance(struct api_call *call, struct book *book, struct error *err) {
  struct move *move = call->state;
  struct due_writer writer = core_due_writer(call->api->core);
  struct due_result result;
  instant now;
  bool found;
  if (!book_test_clock(book, &now, &found, err)) {
    return false;
  }
  if (!found) {
    return error_set(err, ERR_CONFLICT,
                     "this book runs by real time: `meterhouse clock --set` gives an empty book a "
                     "test clock");
  }
  if (move->by && !time_add_span(now, move->span, book_catalog(book)->time_zone, &move->to, err)) {
    return error_at(err, "advance");
  }
  if (move->to.ns <= now.ns) {
    return error_set(err, ERR_INVALID, "a clock does not go back");
  }
  return book_run_due(book, move->to, &writer, (struct due_notes){0}, &result, err) &&
         put_clock(call, book, &result, err);
}
