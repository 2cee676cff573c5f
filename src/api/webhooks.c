/* Webhooks: endpoints that are told what happens, their secrets, deliveries and replays. docs/webhooks.md is the page
 * for receivers. */
#include "api/private.h"
#include "notify/notify.h"

/* ---- reading ---- */

static void put_events(struct json_out *w, slice events) {
  json_key(w, "events");
  json_open_array(w);
  while (events.len > 0) {
    slice word = {events.ptr, 0};
    while (word.len < events.len && word.ptr[word.len] != ' ') {
      word.len++;
    }
    json_str(w, word);
    size_t skip = word.len + (word.len < events.len);
    events = (slice){events.ptr + skip, events.len - skip};
  }
  json_close_array(w);
}

static void put_endpoint(struct json_out *w, const struct notify_endpoint *e, const char *secret) {
  json_open_object(w);
  json_put_str(w, "id", e->id);
  json_put_str(w, "url", e->url);
  put_events(w, e->events);
  if (e->customer.len > 0) {
    json_put_str(w, "customer", e->customer);
  }
  json_put_instant(w, "created", e->created);
  json_put_bool(w, "disabled", e->disabled);
  if (secret) {
    json_put_cstr(w, "secret", secret);
  }
  json_close_object(w);
}

static bool put_one(void *context, const struct notify_endpoint *e, struct error *err) {
  (void)err;
  put_endpoint(context, e, NULL);
  return true;
}

bool webhooks_read(struct api_call *call, struct book *book, struct error *err) {
  list_begin(call);
  if (!notify_endpoints(book_db(book), (slice){0}, put_one, &call->json, err)) {
    return false;
  }
  list_end(call, (slice){0});
  return true;
}

bool webhook_read(struct api_call *call, struct book *book, struct error *err) {
  return notify_endpoints(book_db(book), http_param(call->http, "webhook"), put_one, &call->json, err);
}

/* ---- making and changing ---- */

/* Answers that carry a secret are not kept, so there is none to replay. */
static bool no_idempotency_key(const struct api_call *call, struct error *err) {
  return call->idempotency_key.len == 0 ||
         error_set(err, ERR_INVALID, "this takes no Idempotency-Key: a secret is not kept to be replayed");
}

static bool take_events(struct api_call *call, const struct json *body, slice *out, struct error *err) {
  const struct json *list = json_get(body, "events");
  struct buf words;
  if (list == NULL) {
    return true;
  }
  buf_init(&words, 2000);
  bool ok = list->kind == JSON_ARRAY;
  for (const struct json *e = ok ? list->child : NULL; e; e = e->next) {
    ok = ok && e->kind == JSON_STRING && e->text.len > 0;
    if (words.len > 0) {
      buf_addc(&words, ' ');
    }
    buf_add(&words, e->text);
  }
  ok = ok && !words.failed;
  *out = ok ? arena_copy(call->arena, buf_slice(&words)) : (slice){0};
  buf_free(&words);
  return ok ||
         error_set(err, ERR_INVALID, "events: a list of types such as [\"invoice.finalized\"]; leave it out for all");
}

static bool known_customer(const struct api_call *call, slice customer, struct error *err) {
  return customer.len == 0 || catalog_customer(book_catalog(call->api->book), customer) != NULL ||
         error_set(err, ERR_INVALID, "customer: there is no \"" SLICE_FMT "\" in the catalog", SLICE_ARG(customer));
}

bool webhook_prepare(struct api_call *call, struct error *err) {
  const struct json *body;
  struct notify_endpoint *e = arena_alloc(call->arena, sizeof *e);
  call->state = e;
  if (!no_idempotency_key(call, err) || !call_body(call, &body, err)) {
    return false;
  }
  e->url = json_text(body, "url");
  e->customer = json_text(body, "customer");
  return take_events(call, body, &e->events, err) && known_customer(call, e->customer, err);
}

bool webhook_apply(struct api_call *call, struct book *book, struct error *err) {
  struct notify_endpoint e = *(const struct notify_endpoint *)call->state;
  char id[ID_TEXT_MAX], secret[NOTIFY_SECRET_TEXT_MAX];
  e.created = clock_now();
  if (!notify_endpoint_create(book_db(book), webhooks_vault(call->api), &e, e.created, id, secret, err)) {
    return false;
  }
  e.id = slice_of(id);
  put_endpoint(&call->json, &e, secret);
  call->status = 201;
  return true;
}

bool webhook_rotate_prepare(struct api_call *call, struct error *err) {
  return no_idempotency_key(call, err);
}

bool webhook_rotate_apply(struct api_call *call, struct book *book, struct error *err) {
  char secret[NOTIFY_SECRET_TEXT_MAX];
  slice id = http_param(call->http, "webhook");
  instant now = clock_now();
  if (!notify_endpoint_rotate(book_db(book), webhooks_vault(call->api), id, now, secret, err)) {
    return false;
  }
  json_open_object(&call->json);
  json_put_str(&call->json, "id", id);
  json_put_cstr(&call->json, "secret", secret);
  json_put_instant(&call->json, "old_secret_until", (instant){now.ns + NOTIFY_OLD_SECRET_S * NS_PER_S});
  json_close_object(&call->json);
  return true;
}

bool webhook_enable_apply(struct api_call *call, struct book *book, struct error *err) {
  slice id = http_param(call->http, "webhook");
  return notify_endpoint_enable(book_db(book), id, err) &&
         notify_endpoints(book_db(book), id, put_one, &call->json, err);
}

bool webhook_delete_apply(struct api_call *call, struct book *book, struct error *err) {
  if (!notify_endpoint_delete(book_db(book), http_param(call->http, "webhook"), err)) {
    return false;
  }
  json_open_object(&call->json);
  json_put_bool(&call->json, "deleted", true);
  json_close_object(&call->json);
  return true;
}

/* ---- deliveries ---- */

struct delivery_page {
  struct api_call *call;
  size_t limit, written;
  slice last;
  bool more;
};

static bool put_delivery(void *context, const struct notify_delivery *d, struct error *err) {
  (void)err;
  struct delivery_page *page = context;
  struct json_out *w = &page->call->json;
  if (page->written++ == page->limit) {
    page->more = true;
    return true;
  }
  page->last = arena_copy(page->call->arena, d->message);
  json_open_object(w);
  json_put_str(w, "message", d->message);
  json_put_str(w, "type", d->type);
  json_put_instant(w, "created", d->created);
  json_put_str(w, "status", d->status);
  json_put_int(w, "attempts", d->attempts);
  if (d->last_code != 0) {
    json_put_int(w, "last_code", d->last_code);
  }
  if (d->last_error.len > 0) {
    json_put_str(w, "last_error", d->last_error);
  }
  if (slice_is(d->status, "pending")) {
    json_put_instant(w, "next_attempt", d->next_attempt);
  }
  json_close_object(w);
  return true;
}

bool deliveries_read(struct api_call *call, struct book *book, struct error *err) {
  struct delivery_page page = {.call = call};
  slice before;
  if (!call_page(call, &page.limit, &before, err)) {
    return false;
  }
  list_begin(call);
  if (!notify_deliveries(book_db(book), http_param(call->http, "webhook"), http_query(call->http, "status"), before,
                         page.limit + 1, put_delivery, &page, err)) {
    return false;
  }
  list_end(call, page.more ? page.last : (slice){0});
  return true;
}

struct wanted_replay {
  slice message;
  instant since;
};

bool replay_prepare(struct api_call *call, struct error *err) {
  const struct json *body;
  struct wanted_replay *r = arena_alloc(call->arena, sizeof *r);
  call->state = r;
  if (!call_body(call, &body, err)) {
    return false;
  }
  r->message = json_text(body, "message");
  slice since = json_text(body, "since");
  if ((r->message.len > 0) == (since.len > 0)) {
    return error_set(err, ERR_INVALID, "say either {\"since\": time} or {\"message\": id}");
  }
  return since.len == 0 || time_parse_rfc3339(since, &r->since, err) || error_at(err, "since");
}

bool replay_apply(struct api_call *call, struct book *book, struct error *err) {
  const struct wanted_replay *r = call->state;
  slice id = http_param(call->http, "webhook");
  int64_t count = 1;
  bool ok = r->message.len > 0 ? notify_replay_message(book_db(book), id, r->message, clock_now(), err)
                               : notify_replay_since(book_db(book), id, r->since, clock_now(), &count, err);
  if (!ok) {
    return false;
  }
  json_open_object(&call->json);
  json_put_int(&call->json, "replayed", count);
  json_close_object(&call->json);
  call->status = 202;
  return true;
}

bool webhook_test_apply(struct api_call *call, struct book *book, struct error *err) {
  char message[ID_TEXT_MAX];
  if (!notify_enqueue_test(book_db(book), http_param(call->http, "webhook"), clock_now(), message, err)) {
    return false;
  }
  json_open_object(&call->json);
  json_put_cstr(&call->json, "message", message);
  json_close_object(&call->json);
  call->status = 202;
  return true;
}
