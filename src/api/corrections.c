/* Corrections: void and amend an event; backfills, which are made, looked at, then applied or dropped.
 * docs/corrections.md.
 */
#include "api/private.h"

#define BACKFILL_EVENTS_MAX 100000

/* ---- requests ---- */

static slice own_or_new_id(struct api_call *call, const struct json *body, const char *prefix) {
  char text[ID_TEXT_MAX];
  slice id = json_text(body, "id");
  return id.len > 0 ? id : arena_copy(call->arena, slice_of(id_new(prefix, text)));
}

static bool take_target(const struct json *body, const char *key, struct correction_request *r) {
  const struct json *target = json_get(body, key);
  if (target == NULL || target->kind != JSON_OBJECT) {
    return false;
  }
  r->source = json_text(target, "source");
  r->event_id = json_text(target, "id");
  return true;
}

/* Who amends need not think of names: the correction gives the event its own. */
static bool take_replacement(struct arena *arena, const struct json *body, struct correction_request *r,
                             struct error *err) {
  const struct json *json = json_get(body, "event");
  struct event *e = arena_alloc(arena, sizeof *e);
  if (json == NULL || !event_from_json(arena, json, (instant){0}, e, err)) {
    return json == NULL ? error_set(err, ERR_INVALID, "event: the CloudEvent that is to count instead")
                        : error_at(err, "event");
  }
  r->events = e;
  r->count = 1;
  return true;
}

bool correction_prepare(struct api_call *call, struct error *err) {
  const struct json *body;
  struct correction_request *r = arena_alloc(call->arena, sizeof *r);
  call->state = r;
  if (!call_body(call, &body, err)) {
    return false;
  }
  *r = (struct correction_request){.id = own_or_new_id(call, body, "cor"), .reason = json_text(body, "reason")};
  if (take_target(body, "void", r)) {
    r->kind = CORRECT_VOID;
    return true;
  }
  if (take_target(body, "amend", r)) {
    r->kind = CORRECT_AMEND;
    return take_replacement(call->arena, body, r, err);
  }
  return error_set(err, ERR_INVALID,
                   "say {\"void\": {\"source\", \"id\"}} or {\"amend\": {\"source\", \"id\"}, \"event\": {...}}");
}

static bool take_events(struct arena *arena, const struct json *body, struct correction_request *r, struct error *err) {
  const struct json *list = json_get(body, "events");
  if (list == NULL || list->kind != JSON_ARRAY) {
    return error_set(err, ERR_INVALID, "events: the list of CloudEvents that count between from and to; [] for none");
  }
  if (list->count > BACKFILL_EVENTS_MAX) {
    return error_set(err, ERR_LIMIT, "a backfill has at most %d events: split its stretch of time",
                     BACKFILL_EVENTS_MAX);
  }
  struct event *events = arena_array(arena, list->count, sizeof *events);
  for (const struct json *one = list->child; one; one = one->next, r->count++) {
    if (!event_from_json(arena, one, (instant){0}, &events[r->count], err)) {
      return error_at(err, "events[%zu]", r->count);
    }
  }
  r->events = events;
  return true;
}

static bool read_backfill(struct arena *arena, const struct json *body, struct correction_request *r,
                          struct error *err) {
  r->kind = CORRECT_BACKFILL;
  r->customer = json_text(body, "customer");
  r->meter = json_text(body, "meter");
  r->reason = json_text(body, "reason");
  if (!time_parse_rfc3339(json_text(body, "from"), &r->range.from, err)) {
    return error_at(err, "from");
  }
  if (!time_parse_rfc3339(json_text(body, "to"), &r->range.to, err)) {
    return error_at(err, "to");
  }
  return take_events(arena, body, r, err);
}

bool backfill_prepare(struct api_call *call, struct error *err) {
  const struct json *body;
  struct correction_request *r = arena_alloc(call->arena, sizeof *r);
  call->state = r;
  if (!call_body(call, &body, err) || !read_backfill(call->arena, body, r, err)) {
    return false;
  }
  r->id = own_or_new_id(call, body, "bfl");
  return true;
}

/* ---- answers ---- */

static bool put_effects(struct json_out *w, const struct correction_result *result, struct error *err) {
  json_key(w, "effects");
  json_open_array(w);
  for (size_t i = 0; i < result->effect_count; i++) {
    const struct correction_effect *e = &result->effects[i];
    amount difference;
    if (!amount_sub(e->after, e->before, &difference, err)) {
      return false;
    }
    json_open_object(w);
    json_put_str(w, "customer", e->customer);
    json_put_str(w, "period", e->period);
    json_put_cstr(w, "currency", e->currency->code);
    json_put_amount(w, "before", e->before);
    json_put_amount(w, "after", e->after);
    json_put_amount(w, "difference", difference);
    json_put_bool(w, "invoiced", e->invoiced);
    json_close_object(w);
  }
  json_close_array(w);
  return true;
}

bool correction_apply(struct api_call *call, struct book *book, struct error *err) {
  struct correction_result result;
  if (!book_correct(book, call->arena, call->state, &result, err)) {
    return false;
  }
  json_open_object(&call->json);
  json_put_str(&call->json, "id", result.id);
  json_put_int(&call->json, "number", (int64_t)result.number);
  json_close_object(&call->json);
  call->status = result.repeated ? 200 : 201;
  return true;
}

bool correction_preview(struct api_call *call, struct book *book, struct error *err) {
  struct correction_result result;
  if (!book_correct_preview(book, call->arena, call->state, &result, err)) {
    return false;
  }
  json_open_object(&call->json);
  bool ok = put_effects(&call->json, &result, err);
  json_close_object(&call->json);
  return ok;
}

struct listing {
  struct api_call *call;
  size_t limit, count;
  uint64_t last;
};

static bool put_correction(void *context, const struct correction_row *c, struct error *err) {
  (void)err;
  struct listing *l = context;
  struct json_out *w = &l->call->json;
  if (l->count++ == l->limit) {
    return true;
  }
  json_open_object(w);
  json_put_str(w, "id", c->id);
  json_put_str(w, "kind", c->kind);
  json_put_int(w, "number", (int64_t)c->number);
  json_put_str(w, "customer", c->customer);
  if (c->target > 0) {
    json_put_int(w, "target", (int64_t)c->target);
  } else {
    json_put_str(w, "meter", c->meter);
  }
  json_put_instant(w, "from", c->from);
  json_put_instant(w, "to", c->to);
  json_close_object(w);
  l->last = c->number;
  return true;
}

bool corrections_read(struct api_call *call, struct book *book, struct error *err) {
  struct listing l = {.call = call};
  slice after;
  quantity before = QUANTITY_ZERO;
  if (!call_page(call, &l.limit, &after, err) || (after.len > 0 && !quantity_parse(after, &before, err))) {
    return false;
  }
  list_begin(call);
  if (!correction_list(book_db(book), call->customer, (uint64_t)(before.e9 / QUANTITY_E9), l.limit + 1, put_correction,
                       &l, err)) {
    return false;
  }
  list_end(call,
           l.count > l.limit ? slice_of(arena_printf(call->arena, "%llu", (unsigned long long)l.last)) : (slice){0});
  return true;
}

/* ---- backfills ---- */

bool backfill_apply(struct api_call *call, struct book *book, struct error *err) {
  const struct correction_request *r = call->state;
  if (r->id.len > CORRECTION_ID_BYTES_MAX) {
    return error_set(err, ERR_INVALID, "id: has at most %d bytes", CORRECTION_ID_BYTES_MAX);
  }
  if (!backfill_create(book, r->id, r->customer, http_body(call->http), clock_now(), err)) {
    return false;
  }
  json_open_object(&call->json);
  json_put_str(&call->json, "id", r->id);
  json_put_cstr(&call->json, "state", "draft");
  json_close_object(&call->json);
  call->status = 201;
  return true;
}

struct one_backfill {
  struct api_call *call;
  struct correction_request request;
  struct backfill kept;
  bool found;
};

static bool take_backfill(void *context, const struct backfill *b, struct error *err) {
  struct one_backfill *one = context;
  const struct json *body;
  struct arena *arena = one->call->arena;
  one->found = true;
  one->kept = (struct backfill){.id = arena_copy(arena, b->id),
                                .customer = arena_copy(arena, b->customer),
                                .state = arena_copy(arena, b->state),
                                .created = b->created};
  one->request.id = one->kept.id;
  return json_parse(arena, arena_copy(arena, b->body), &body, err) && read_backfill(arena, body, &one->request, err);
}

static bool find_backfill(struct api_call *call, struct book *book, struct one_backfill *one, struct error *err) {
  slice id = http_param(call->http, "backfill");
  const struct backfill_list list = {take_backfill, one};
  *one = (struct one_backfill){.call = call};
  return backfill_each(book, id, (slice){0}, 1, &list, err) &&
         (one->found || error_set(err, ERR_NOT_FOUND, "there is no backfill \"" SLICE_FMT "\"", SLICE_ARG(id)));
}

static void put_backfill(struct json_out *w, const struct one_backfill *one) {
  json_put_str(w, "id", one->kept.id);
  json_put_str(w, "state", one->kept.state);
  json_put_str(w, "customer", one->kept.customer);
  json_put_str(w, "meter", one->request.meter);
  json_put_instant(w, "from", one->request.range.from);
  json_put_instant(w, "to", one->request.range.to);
  json_put_int(w, "events", (int64_t)one->request.count);
  json_put_instant(w, "created", one->kept.created);
}

/* A draft is tried out each time it is looked at: usage goes on meanwhile. */
bool backfill_preview(struct api_call *call, struct book *book, struct error *err) {
  struct one_backfill one;
  struct correction_result result;
  if (!find_backfill(call, book, &one, err)) {
    return false;
  }
  json_open_object(&call->json);
  put_backfill(&call->json, &one);
  bool ok = true;
  if (slice_is(one.kept.state, "draft")) {
    ok = book_correct_preview(book, call->arena, &one.request, &result, err) && put_effects(&call->json, &result, err);
  }
  json_close_object(&call->json);
  return ok;
}

static bool answer_decided(struct api_call *call, struct one_backfill *one, const char *state) {
  one->kept.state = slice_of(state);
  json_open_object(&call->json);
  put_backfill(&call->json, one);
  json_close_object(&call->json);
  return true;
}

bool backfill_commit(struct api_call *call, struct book *book, struct error *err) {
  struct one_backfill one;
  struct correction_result result;
  return find_backfill(call, book, &one, err) && backfill_decide(book, one.kept.id, "applied", err) &&
         book_correct(book, call->arena, &one.request, &result, err) && answer_decided(call, &one, "applied");
}

bool backfill_drop(struct api_call *call, struct book *book, struct error *err) {
  struct one_backfill one;
  return find_backfill(call, book, &one, err) && backfill_decide(book, one.kept.id, "dropped", err) &&
         answer_decided(call, &one, "dropped");
}

struct backfill_rows {
  struct api_call *call;
  size_t limit, count;
  slice last;
};

static bool put_row(void *context, const struct backfill *b, struct error *err) {
  (void)err;
  struct backfill_rows *rows = context;
  struct json_out *w = &rows->call->json;
  if (rows->count++ == rows->limit) {
    return true;
  }
  json_open_object(w);
  json_put_str(w, "id", b->id);
  json_put_str(w, "state", b->state);
  json_put_str(w, "customer", b->customer);
  json_put_instant(w, "created", b->created);
  json_close_object(w);
  rows->last = arena_copy(rows->call->arena, b->id);
  return true;
}

bool backfills_read(struct api_call *call, struct book *book, struct error *err) {
  struct backfill_rows rows = {.call = call};
  const struct backfill_list list = {put_row, &rows};
  slice after;
  if (!call_page(call, &rows.limit, &after, err)) {
    return false;
  }
  list_begin(call);
  if (!backfill_each(book, (slice){0}, after, rows.limit + 1, &list, err)) {
    return false;
  }
  list_end(call, rows.count > rows.limit ? rows.last : (slice){0});
  return true;
}
