/* One call from the edge to its answer: who asks, may they, then the endpoint's stages. The one place where roles are
 * enforced. */
#include "api/private.h"
#include "base/log.h"
#include "documents/documents.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void call_arrived(struct http_request *r, void *context);

/* ---- ending ---- */

/* The state lives in the request's memory, which is gone as soon as the request is answered: it is dropped before. */
static void call_drop_state(struct api_call *call) {
  if (call->drop && call->state) {
    call->drop(call->state);
  }
  call->state = NULL;
}

static void call_free(struct api_call *call) {
  buf_free(&call->out);
  free(call);
}

static void call_fail_status(struct api_call *call, int status, const struct error *err) {
  atomic_fetch_add(&call->api->requests_failed, 1);
  if (status == 403 && call->who.role == ROLE_NONE) {
    status = 401;
  }
  call_drop_state(call);
  http_problem_status(call->http, status, error_code_name(err->code), err->message);
  call_free(call);
}

static void call_fail(struct api_call *call, const struct error *err) {
  call_fail_status(call, http_status_of(err->code), err);
}

/* Any list can be asked for as CSV; other answers stay what they are, whatever is accepted. */
static bool wants_csv(const struct api_call *call) {
  bool is_list = call->endpoint->answer_type == NULL && slice_is(http_method(call->http), "GET") &&
                 slice_starts(buf_slice(&call->out), "{\"data\":[");
  slice accept = http_header(call->http, "accept");
  return is_list && (slice_is(http_query(call->http, "format"), "csv") || slice_starts(accept, "text/csv"));
}

static bool turn_into_csv(struct api_call *call, struct error *err) {
  struct buf csv;
  slice cursor;
  buf_init(&csv, API_ANSWER_BYTES_MAX);
  if (!csv_from_list(call->arena, buf_slice(&call->out), &csv, &cursor, err)) {
    buf_free(&csv);
    return false;
  }
  if (cursor.len > 0) {
    http_add_header(call->http, "x-next-cursor", cursor.ptr);
  }
  buf_free(&call->out);
  call->out = csv;
  return true;
}

static void call_answer(struct api_call *call) {
  if (call->out.failed) {
    struct error err = {0};
    error_set(&err, ERR_LIMIT, "the answer is larger than %zu bytes: ask for less", API_ANSWER_BYTES_MAX);
    call_fail(call, &err);
    return;
  }
  const char *type = call->endpoint->answer_type ? call->endpoint->answer_type : "application/json";
  if (wants_csv(call)) {
    struct error err = {0};
    if (!turn_into_csv(call, &err)) {
      call_fail(call, &err);
      return;
    }
    type = "text/csv; charset=utf-8; header=present";
  }
  call_drop_state(call);
  http_answer(call->http, call->status, type, buf_slice(&call->out));
  call_free(call);
}

/* ---- stages ---- */

/* A stage writes its answer anew: it may be its second run. */
static void start_answer(struct api_call *call) {
  buf_free(&call->out);
  buf_init(&call->out, API_ANSWER_BYTES_MAX);
  json_out_init(&call->json, &call->out, false);
  call->status = 200;
}

static bool core_apply(struct command *c, struct book *book, struct error *err) {
  struct api_call *call = (struct api_call *)c;
  start_answer(call);
  if (call->idempotency_key.len == 0) {
    return call->endpoint->apply(call, book, err);
  }
  if (!answer_find(call, book, &call->replayed, err)) {
    return false;
  }
  if (call->replayed) {
    return true;
  }
  if (!call->endpoint->apply(call, book, err)) {
    return false;
  }
  if (call->answer) {
    call->answer(call);
  }
  return answer_keep(call, book, err);
}

static void answer_on_edge(struct http_request *r, void *context) {
  (void)r;
  struct api_call *call = context;
  if (call->answer && call->idempotency_key.len == 0) {
    call->answer(call);
  }
  call_answer(call);
}

static void core_done(struct command *c, const struct error *err) {
  struct api_call *call = (struct api_call *)c;
  if (err) {
    call_fail(call, err);
  } else {
    webhooks_committed(call->api);
    if (call->committed && !call->replayed) {
      call->committed(call);
    }
    http_on_edge(call->http, answer_on_edge, call);
  }
}

static void go_to_core(struct api_call *call) {
  struct error err = {0};
  call->command = (struct command){.apply = core_apply,
                                   .done = core_done,
                                   .reads_only = call->endpoint->reads_only,
                                   .bytes = http_body(call->http).len + arena_used_bytes(call->arena)};
  if (!core_submit(call->api->core, &call->command, &err)) {
    call_fail(call, &err);
  }
}

static void on_worker(struct http_request *r, void *context) {
  (void)r;
  struct api_call *call = context;
  struct book *reader = NULL;
  struct error err = {0};
  bool ok = book_open_reader(call->api->book, &reader, &err) && call->endpoint->read(call, reader, &err);
  book_close(reader);
  if (!ok) {
    call_fail(call, &err);
  } else if (call->endpoint->apply) {
    go_to_core(call);
  } else {
    call_answer(call);
  }
}

static void run_stages(struct api_call *call) {
  struct error err = {0};
  start_answer(call);
  if (call->endpoint->prepare && !call->endpoint->prepare(call, &err)) {
    /* A request beyond a limit does not get smaller by coming again: 413 and not 429. */
    call_fail_status(call, err.code == ERR_LIMIT ? 413 : http_status_of(err.code), &err);
  } else if (call->endpoint->read) {
    if (!http_work(call->http, on_worker, call, &err)) {
      call_fail(call, &err);
    }
  } else if (call->endpoint->apply) {
    go_to_core(call);
  } else {
    call_answer(call);
  }
}

/* ---- who, and may they ---- */

static unsigned role_bit(enum role role) {
  switch (role) {
  case ROLE_CUSTOMER:
    return ALLOW_CUSTOMER;
  case ROLE_INVESTOR:
    return ALLOW_INVESTOR;
  case ROLE_OPERATOR:
    return ALLOW_OPERATOR;
  case ROLE_NONE:
    break;
  }
  return 0;
}

static bool identify(struct api_call *call, struct error *err) {
  slice header = http_header(call->http, "authorization");
  if (call->endpoint->allow & ALLOW_PUBLIC) {
    return true;
  }
  if (header.len == 0) {
    return error_set(err, ERR_DENIED, "this needs a key: send \"Authorization: Bearer mh_...\"");
  }
  if (!slice_starts(header, "Bearer ")) {
    return error_set(err, ERR_DENIED, "the Authorization header should be \"Bearer mh_...\"");
  }
  slice key = slice_trim((slice){header.ptr + strlen("Bearer "), header.len - strlen("Bearer ")});
  return key_check(call->api->book, key, &call->who, err);
}

static slice named_customer(const struct api_call *call) {
  const char *name = call->endpoint->customer_param;
  if (name == NULL) {
    return (slice){0};
  }
  slice in_path = http_param(call->http, name);
  return in_path.len ? in_path : http_query(call->http, name);
}

static bool authorize(struct api_call *call, struct error *err) {
  if (!identify(call, err)) {
    return false;
  }
  if ((call->endpoint->allow & (ALLOW_PUBLIC | role_bit(call->who.role))) == 0) {
    return error_set(err, ERR_DENIED, "a key of role %s may not do this", role_name(call->who.role));
  }
  if (call->who.role != ROLE_NONE && !key_may(&call->who, KEY_SCOPE_MANAGE, err)) {
    return false;
  }
  call->customer = named_customer(call);
  if (call->who.role != ROLE_CUSTOMER) {
    return true;
  }
  if (call->customer.len > 0) {
    return call_may_see(call, call->customer, err);
  }
  call->customer = call->who.customer;
  return true;
}

bool call_may_see(const struct api_call *call, slice customer, struct error *err) {
  if (call->who.role != ROLE_CUSTOMER || slice_eq(call->who.customer, customer)) {
    return true;
  }
  return error_set(err, ERR_NOT_FOUND, "there is no such thing among yours");
}

/* ---- arriving ---- */

/* Path and body: what must be the same when an Idempotency-Key comes again. */
static struct digest digest_request(const struct http_request *r) {
  struct buf b;
  buf_init(&b, HTTP_BODY_BYTES_MAX + HTTP_HEADER_BYTES_MAX);
  buf_add(&b, http_method(r));
  buf_add(&b, http_path(r));
  buf_addc(&b, '\n');
  buf_add(&b, http_body(r));
  struct digest d = digest_of(buf_slice(&b));
  buf_free(&b);
  return d;
}

static bool take_idempotency_key(struct api_call *call, struct error *err) {
  slice key = http_header(call->http, "idempotency-key");
  if (key.len == 0 || call->endpoint->reads_only) {
    return true;
  }
  if (key.len > LIMIT_IDEMPOTENCY_KEY_BYTES) {
    return error_set(err, ERR_INVALID, "an Idempotency-Key has at most %d bytes", LIMIT_IDEMPOTENCY_KEY_BYTES);
  }
  call->idempotency_key = key;
  call->request_digest = digest_request(call->http);
  return true;
}

void call_arrived(struct http_request *r, void *context) {
  struct api_call *call = mem_alloc(sizeof *call);
  struct error err = {0};
  call->api = context;
  call->endpoint = http_route_data(r);
  call->http = r;
  call->arena = http_arena(r);
  atomic_fetch_add(&call->api->requests, 1);
  if (!authorize(call, &err) || !take_idempotency_key(call, &err)) {
    call_fail(call, &err);
    return;
  }
  run_stages(call);
}

/* ---- what stages share ---- */

bool call_page(struct api_call *call, size_t *limit, slice *after, struct error *err) {
  slice limit_text = http_query(call->http, "limit"), cursor = http_query(call->http, "cursor");
  *limit = API_PAGE_DEFAULT;
  *after = (slice){0};
  if (limit_text.len > 0) {
    char *end;
    unsigned long n = strtoul(limit_text.ptr, &end, 10);
    if (*end != '\0' || n == 0 || n > API_PAGE_MAX) {
      return error_set(err, ERR_INVALID, "limit is a number from 1 to %d", API_PAGE_MAX);
    }
    *limit = n;
  }
  if (cursor.len == 0) {
    return true;
  }
  char *text = arena_alloc(call->arena, cursor.len + 1);
  size_t length;
  if (sodium_base642bin((unsigned char *)text, cursor.len, cursor.ptr, cursor.len, NULL, &length, NULL,
                        sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0) {
    return error_set(err, ERR_INVALID, "the cursor is not one this server gave out");
  }
  *after = (slice){text, length};
  return true;
}

void list_begin(struct api_call *call) {
  json_open_object(&call->json);
  json_key(&call->json, "data");
  json_open_array(&call->json);
}

void list_end(struct api_call *call, slice next_after) {
  json_close_array(&call->json);
  json_key(&call->json, "next_cursor");
  if (next_after.len > 0) {
    size_t size = sodium_base64_ENCODED_LEN(next_after.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *text = arena_alloc(call->arena, size);
    sodium_bin2base64(text, size, (const unsigned char *)next_after.ptr, next_after.len,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    json_str(&call->json, slice_of(text));
  } else {
    json_null(&call->json);
  }
  json_close_object(&call->json);
}

bool page_begin(struct api_call *call, struct list_page *page, slice *after, struct error *err) {
  *page = (struct list_page){.call = call};
  if (!call_page(call, &page->limit, after, err)) {
    return false;
  }
  list_begin(call);
  return true;
}

bool page_takes(struct list_page *page, slice key) {
  page->more = page->written == page->limit;
  if (!page->more) {
    page->last = arena_copy(page->call->arena, key);
    page->written++;
  }
  return !page->more;
}

void page_end(struct list_page *page) {
  list_end(page->call, page->more ? page->last : (slice){0});
}

bool call_body(struct api_call *call, const struct json **out, struct error *err) {
  if (!json_parse(call->arena, http_body(call->http), out, err)) {
    return error_at(err, "the body");
  }
  return (*out)->kind == JSON_OBJECT || error_set(err, ERR_INVALID, "the body should be a JSON object");
}

bool call_period(struct api_call *call, struct period *out, struct error *err) {
  slice period = http_query(call->http, "period"), from = http_query(call->http, "from"),
        to = http_query(call->http, "to");
  const char *zone = book_catalog(call->api->book)->time_zone;
  if (period.len > 0) {
    return time_parse_period(period, zone, out, err) || error_at(err, "period");
  }
  if (from.len == 0 || to.len == 0) {
    return error_set(err, ERR_INVALID, "say period=2026-10, or from= and to= as RFC 3339 times");
  }
  if (!time_parse_loose(from, zone, &out->from, err)) {
    return error_at(err, "from");
  }
  if (!time_parse_loose(to, zone, &out->to, err)) {
    return error_at(err, "to");
  }
  return out->from.ns < out->to.ns || error_set(err, ERR_INVALID, "from should come before to");
}
