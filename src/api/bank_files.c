/* A bank file over HTTP: read on a worker, its payments recorded by the core as one step. */
#include "api/private.h"
#include <stdlib.h>

#define ENTRIES_MAX 5000 /* of one request: the core has others to serve */

struct bank_entry {
  uint64_t line;
  struct payment_request request;
  const char *refused; /* why; NULL: it is to be recorded */
};
struct intake {
  struct arena *arena;
  VEC(struct bank_entry) entries;
  uint64_t passed_over;
};

static void drop(void *state) {
  struct intake *in = state;
  vec_free(&in->entries);
}

static bool take(void *context, uint64_t line, const struct payment_request *r, struct error *err) {
  struct intake *in = context;
  struct bank_entry e = {.line = line, .request = *r};
  slice *const texts[] = {&e.request.key, &e.request.currency, &e.request.customer, &e.request.payer, &e.request.text};
  if (in->entries.count == ENTRIES_MAX) {
    return error_set(err, ERR_INVALID,
                     "a file of one request has at most %d entries: split it, or use `payments import`", ENTRIES_MAX);
  }
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    *texts[i] = arena_copy(in->arena, *texts[i]);
  }
  vec_push(&in->entries, e);
  return true;
}

static void refuse(void *context, uint64_t line, const struct error *why) {
  struct intake *in = context;
  if (in->entries.count < ENTRIES_MAX) {
    vec_push(&in->entries, (struct bank_entry){.line = line, .refused = arena_printf(in->arena, "%s", why->message)});
  }
}

static void pass_over(void *context, uint64_t line, const char *why) {
  struct intake *in = context;
  (void)line;
  (void)why;
  in->passed_over++;
}

bool bank_file_read(struct api_call *call, struct book *reader, struct error *err) {
  struct intake *in = arena_alloc(call->arena, sizeof *in);
  const struct bank_hooks hooks = {take, refuse, pass_over, in};
  in->arena = call->arena;
  call->state = in;
  call->drop = drop;
  return bank_file_parse("the body", http_body(call->http), book_catalog(reader)->time_zone, &hooks, err);
}

static bool put_payment(const struct collect *c, struct json_out *w, slice id, struct error *err) {
  struct payment p;
  json_key(w, "payment");
  return payment_find(c, id, &p, err) && payment_put(c, w, &p, err);
}

/* What is wrong with one payment was found before anything of it was written: the others go on. */
static bool record_one(const struct collect *c, struct json_out *w, const struct bank_entry *e, uint64_t counts[3],
                       struct error *err) {
  struct payment_result result = {0};
  struct error why = {0};
  const char *reason = e->refused;
  if (reason == NULL && !payment_record(c, &e->request, &result, &why)) {
    if (why.code != ERR_INVALID && why.code != ERR_CONFLICT) {
      *err = why;
      return false;
    }
    reason = why.message;
  }
  counts[reason ? 2 : result.repeated ? 1 : 0]++;
  json_open_object(w);
  json_put_int(w, "line", (int64_t)e->line);
  json_put_cstr(w, "verdict", reason ? "refused" : result.repeated ? "repeated" : "recorded");
  if (reason) {
    json_put_cstr(w, "reason", reason);
  }
  bool ok = reason != NULL || put_payment(c, w, result.id, err);
  json_close_object(w);
  return ok;
}

bool bank_file_apply(struct api_call *call, struct book *book, struct error *err) {
  struct collect c = call_collect(call, book);
  const struct intake *in = call->state;
  uint64_t counts[3] = {0};
  struct json_out *w = &call->json;
  json_open_object(w);
  json_key(w, "data");
  json_open_array(w);
  for (size_t i = 0; i < in->entries.count; i++) {
    if (!record_one(&c, w, &in->entries.items[i], counts, err)) {
      return false;
    }
  }
  json_close_array(w);
  json_put_int(w, "recorded", (int64_t)counts[0]);
  json_put_int(w, "repeated", (int64_t)counts[1]);
  json_put_int(w, "refused", (int64_t)counts[2]);
  json_put_int(w, "passed_over", (int64_t)in->passed_over);
  json_close_object(w);
  call->status = counts[2] ? 207 : 200;
  return true;
}
