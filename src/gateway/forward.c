/* A call that was admitted, on its way to an upstream and back: the choice of the upstream, another one when it fails
 * before its first byte, and the answer as it streams through. */
#include "base/log.h"
#include "gateway/private.h"
#include <stdlib.h>
#include <string.h>

#define REFUSAL_BYTES_MAX ((size_t)64 << 10)
#define AFFINE_BODY_BYTES 1024 /* shorter prompts have nothing worth finding again */
#define IDLE_BYTES_MAX ((size_t)1024)
#define KEPT_BYTES_MAX ((size_t)64 << 10)
#define COMMENT_NS (15 * NS_PER_S)

static void next_try(struct call *call, enum route_outcome outcome);

/* ---- the request ---- */

static bool turns(const struct call *call) {
  return call->door == WIRE_MESSAGES && !call->place.target->upstream->anthropic;
}

static bool write_body(struct call *call, struct error *err) {
  const struct model_target *target = call->place.target;
  bool generates = call->door != WIRE_EMBEDDINGS;
  const struct wire_edits edits = {.model = slice_eq(target->model, call->request.model) ? (slice){0} : target->model,
                                   .max_tokens = generates ? call->max_tokens : -1,
                                   .ask_usage = call->request.stream};
  buf_free(&call->body);
  buf_init(&call->body, (size_t)LIMIT_BODY_BYTES * 2);
  if (turns(call)) {
    return wire_messages_to_chat(call->arena, &call->request, &edits, &call->body, err);
  }
  wire_request_write(&call->request, &edits, &call->body);
  return true;
}

static slice write_headers(struct call *call) {
  const struct upstream *upstream = call->place.target->upstream;
  slice own = call->gateway->upstream_headers[upstream->index];
  slice version = upstream->anthropic ? http_header(call->http, "anthropic-version") : (slice){0};
  slice beta = upstream->anthropic ? http_header(call->http, "anthropic-beta") : (slice){0};
  struct buf out;
  buf_init(&out, 4096);
  buf_addf(&out, "content-type: application/json\r\naccept: %s\r\nx-request-id: %s\r\n",
           call->request.stream ? "text/event-stream" : "application/json", http_request_id(call->http));
  if (upstream->anthropic) {
    buf_addf(&out, "anthropic-version: " SLICE_FMT "\r\n", SLICE_ARG(version.len ? version : SLICE("2023-06-01")));
  }
  if (beta.len > 0) {
    buf_addf(&out, "anthropic-beta: " SLICE_FMT "\r\n", SLICE_ARG(beta));
  }
  buf_add(&out, own);
  slice lines = arena_copy(call->arena, buf_slice(&out));
  buf_free(&out);
  return lines;
}

static slice path_of(const struct call *call) {
  slice base = call->place.target->upstream->path;
  const char *path = wire_door_path(turns(call) ? WIRE_CHAT : call->door);
  return base.len == 0 ? slice_of(path) : slice_of(arena_printf(call->arena, SLICE_FMT "%s", SLICE_ARG(base), path));
}

/* ---- the answer ---- */

static void forget_request(struct call *call) {
  buf_free(&call->body);
  buf_init(&call->body, 1);
  http_forget_body(call->http);
  call->request.body = (slice){0};
}

static void start_reader(struct call *call) {
  if (call->reader) {
    return;
  }
  const struct wire_reader_options options = {
      .door = call->door,
      .shape = call->placed && call->place.target->upstream->anthropic ? WIRE_ANTHROPIC : WIRE_OPENAI,
      .stream = call->request.stream,
      .hide_usage = !call->request.usage_asked,
      .hear_later = true,
      .model = call->model->name,
      .id = http_request_id(call->http)};
  call->reader = wire_reader_again(call->idle_reader, &options);
  call->idle_reader = NULL;
}

void call_begin_answer(struct call *call) {
  const char *type = call->request.stream ? "text/event-stream; charset=utf-8" : call->answer_type;
  int64_t length = call->request.stream || turns(call) ? -1 : call->answer_length;
  call->streaming = true;
  call->answer_whole = length >= 0;
  if (call->request.stream) {
    http_add_header(call->http, "cache-control", "no-cache");
    http_add_header(call->http, "x-accel-buffering", "no");
  }
  http_stream_begin(call->http, call->upstream_status ? call->upstream_status : 200, type, length);
}

static void start_kept(struct call *call) {
  if (call->kept.ptr == NULL) {
    buf_init(&call->kept, (size_t)LIMIT_BODY_BYTES * 4);
  }
}

static void send_kept(struct call *call) {
  if (call->kept.len == 0) {
    return;
  }
  if (!call->streaming) {
    call_begin_answer(call);
  }
  http_stream_send(call->http, buf_slice(&call->kept));
  call->kept.len = 0;
  if (call->kept.capacity > IDLE_BYTES_MAX) { /* ten thousand streams may be open */
    buf_free(&call->kept);
    start_kept(call);
  }
  call->heard = clock_now();
  if (call->first_byte.ns > 0) {
    call_tell_first(call);
  }
  if (!call->paused && call->exchange && http_stream_waiting(call->http) > HTTP_STREAM_HIGH_BYTES) {
    call->paused = true;
    http_exchange_pause(call->exchange);
  }
}

/* What was read at once leaves at once, in one write. Where the end is near, and other calls are being booked before
 * this one, it leaves with the end; and so does a JSON text, of which a client can read nothing before that. */
static void on_rest(void *context) {
  struct call *call = context;
  bool near = call->request.stream ? call->settles_later : atomic_load(&call->edge->settlement.busy);
  if (!near || call->kept.len > KEPT_BYTES_MAX) {
    send_kept(call);
  }
}

void call_client_drained(struct call *call) {
  if (call->paused && call->exchange) {
    call->paused = false;
    http_exchange_resume(call->exchange);
  }
}

static bool is_answer(int status) {
  return status == 200;
}

static void on_head(void *context, const struct http_reply *reply) {
  struct call *call = context;
  must(call->magic == CALL_MAGIC);
  slice type = http_reply_header(reply, "content-type"), length = http_reply_header(reply, "content-length");
  slice retry = http_reply_header(reply, "retry-after");
  quantity number;
  struct error ignored = {0};
  call->upstream_status = reply->status;
  call->answer_length =
      length.len > 0 && quantity_parse(length, &number, &ignored) ? (int64_t)(number.e9 / QUANTITY_E9) : -1;
  call->retry_after_ms =
      retry.len > 0 && quantity_parse(retry, &number, &ignored) ? (int64_t)(number.e9 / (QUANTITY_E9 / 1000)) : 0;
  snprintf(call->answer_type, sizeof call->answer_type, "%.*s", (int)(type.len < 63 ? type.len : 63),
           type.len ? type.ptr : "application/json");
  slice encoding = http_reply_header(reply, "content-encoding");
  bool packed = encoding.len > 0 && !slice_is(encoding, "identity");
  if (packed || (reply->status / 100 == 2 && !is_answer(reply->status))) {
    call->upstream_status = 502; /* nobody asked for it, and what is in it can not be told */
  }
  if (is_answer(call->upstream_status)) {
    wire_reader_free(call->reader); /* one that wrote comments while the upstream was not known */
    call->reader = NULL;
    start_reader(call);
  } else {
    buf_init(&call->refusal, REFUSAL_BYTES_MAX);
  }
}

static void first_byte(struct call *call) {
  if (call->first_byte.ns == 0) {
    call->first_byte = clock_now();
    forget_request(call);
  }
}

static void on_body(void *context, slice piece) {
  struct call *call = context;
  struct error err = {0};
  if (!is_answer(call->upstream_status)) {
    buf_add(&call->refusal, piece);
    return;
  }
  if (call->settling) {
    return; /* after the last event */
  }
  first_byte(call);
  start_kept(call);
  bool follows = wire_reader_take(call->reader, piece, &call->kept, &err);
  if (!call->request.stream) {
    on_rest(call);
    wire_reader_hear(call->reader);
  }
  if (!follows) {
    call->why = "The upstream's answer could not be read.";
    call_settle(call, END_UPSTREAM_FAILED);
  } else if (wire_reader_is_done(call->reader) && (call->request.stream || call->answer_length < 0)) {
    call_settle(call, END_OK); /* else blanks may follow, and the client was told of them as well */
  }
}

/* ---- the ways it ends ---- */

static void leave_upstream(struct call *call, enum route_outcome outcome) {
  if (call->placed) {
    call->upstream_cost.e12 +=
        route_ended(call->gateway->routes, &call->place, outcome, call->retry_after_ms, clock_now()).e12;
    call->placed = false;
    edge_unpark(call->edge);
  }
}

/* Another upstream may do better: it is down, it is full, or it refuses its operator's key. */
static bool is_upstreams_fault(int status) {
  return status >= 500 || status == 429 || status == 401 || status == 403 || status == 404 || status == 408 ||
         status == 409;
}

static void on_done(void *context) {
  struct call *call = context;
  call->exchange = NULL;
  on_rest(call);
  if (is_answer(call->upstream_status)) {
    leave_upstream(call, ROUTE_OK);
    if (!call->settling) {
      wire_reader_outcome(call->reader, &call->outcome);
      bool whole = call->outcome.complete && !(call->outcome.failed && call->request.stream);
      call->why = whole ? NULL : "The upstream ended its answer before it was complete.";
      call_settle(call, whole ? END_OK : END_UPSTREAM_FAILED);
    }
    return;
  }
  bool full = call->upstream_status == 429 || (call->upstream_status == 503 && call->retry_after_ms > 0);
  if (is_upstreams_fault(call->upstream_status)) {
    next_try(call, full ? ROUTE_REFUSED : call->upstream_status >= 500 ? ROUTE_FAILED : ROUTE_OK);
  } else {
    leave_upstream(call, ROUTE_OK);
    call_settle(call, END_UPSTREAM_FAILED);
  }
}

static void on_failed(void *context, enum http_failure why, const char *detail) {
  struct call *call = context;
  call->exchange = NULL;
  log_line(LOG_WARN, http_request_id(call->http), "upstream " SLICE_FMT ": %s: %s",
           SLICE_ARG(call->place.target->upstream->name), http_failure_name(why), detail);
  if (call->settling) {
    leave_upstream(call, ROUTE_OK);
  } else if (call->first_byte.ns > 0) {
    leave_upstream(call, ROUTE_FAILED);
    call->why = "The upstream failed in the midst of its answer.";
    call_settle(call, END_UPSTREAM_FAILED);
  } else {
    call->upstream_status = why == HTTP_FAILED_TIMEOUT ? 504 : 502;
    next_try(call, ROUTE_FAILED);
  }
}

void call_client_gone(struct call *call) {
  call->gone = true;
  if (call->exchange && !call->settling) {
    http_exchange_cancel(call->exchange);
    call->exchange = NULL;
    leave_upstream(call, ROUTE_ABANDONED);
    call_settle(call, END_CLIENT_GONE);
  }
}

/* ---- the choice ---- */

static void refuse_upstream(struct call *call, enum route_verdict verdict, int64_t retry_ms) {
  const struct refusal full = {.status = 503,
                               .message = "All servers of this model are busy: try again shortly.",
                               .code = "overloaded",
                               .cause = REFUSED_UPSTREAM_FULL,
                               .retry_ms = 1000};
  const struct refusal down = {.status = 503,
                               .message = "No server of this model can be reached at the moment.",
                               .code = "upstream_unavailable",
                               .cause = REFUSED_UPSTREAM_DOWN,
                               .retry_ms = retry_ms > 0 ? retry_ms : 1000};
  call_refuse(call, verdict == ROUTE_FULL ? &full : &down);
}

static void skip_unfit(struct call *call) {
  for (size_t i = 0; i < call->model->target_count && call->route.tried_count < ROUTE_TRIES_MAX; i++) {
    if (call->model->targets[i].upstream->anthropic && call->door != WIRE_MESSAGES) {
      call->route.tried[call->route.tried_count++] = (uint32_t)i;
    }
  }
}

static void begin_route(struct call *call) {
  slice session = call->request.session;
  call->route.model = call->model;
  call->route.affinity = session.len > 0                               ? hash64(session, 1)
                         : call->request.body.len >= AFFINE_BODY_BYTES ? call->request.prefix
                                                                       : 0;
  skip_unfit(call);
}

/* What has to be done before the answer, and need not be done before the request. */
static void while_upstream_works(struct call *call) {
  if (call->tries == 1) {
    call_put_limits(call);
    call_tell_begun(call);
  }
}

static void send_upstream(struct call *call) {
  static const struct http_exchange_hooks hooks = {on_head, on_body, on_rest, on_done, on_failed};
  struct error err = {0};
  struct http_client *client = edge_client(call->edge, call->place.target->upstream, &err);
  if (client == NULL) {
    log_line(LOG_ERROR, http_request_id(call->http), "upstream " SLICE_FMT ": %s",
             SLICE_ARG(call->place.target->upstream->name), err.message);
    call->upstream_status = 502;
    next_try(call, ROUTE_FAILED);
    return;
  }
  if (!write_body(call, &err)) {
    leave_upstream(call, ROUTE_ABANDONED);
    const struct refusal refusal = {.status = 400, .message = err.message, .cause = REFUSED_INVALID, .retry_ms = -1};
    call_refuse(call, &refusal);
    return;
  }
  call->tries++;
  call->sent = clock_now();
  call->exchange =
      http_client_send(client, "POST", path_of(call), write_headers(call), buf_slice(&call->body), &hooks, call);
  while_upstream_works(call);
}

void call_forward(struct call *call) {
  int64_t retry_ms = 0;
  instant now = clock_now();
  if (call->route.model == NULL) {
    begin_route(call);
  }
  enum route_verdict verdict = route_pick(call->gateway->routes, &call->route, now, &call->place, &retry_ms);
  if (verdict == ROUTE_FOUND) {
    call->placed = true;
    send_upstream(call);
    return;
  }
  bool waited =
      call->parked.ns > 0 && now.ns - call->parked.ns > call->gateway->catalog->gateway.queue_ms * (NS_PER_S / 1000);
  if (verdict == ROUTE_FULL && !waited && call->tries == 0) {
    edge_park(call->edge, call);
  } else if (call->tries > 0) {
    call_settle(call, END_UPSTREAM_FAILED); /* with what the last one said */
  } else {
    refuse_upstream(call, verdict, retry_ms);
  }
}

static void next_try(struct call *call, enum route_outcome outcome) {
  uint32_t index = call->place.target->index;
  leave_upstream(call, outcome);
  wire_reader_free(call->reader);
  call->reader = NULL;
  if (call->gone) {
    call_settle(call, END_CLIENT_GONE);
    return;
  }
  if (call->route.tried_count < ROUTE_TRIES_MAX) {
    call->route.tried[call->route.tried_count++] = index;
  }
  if (call->route.tried_count == ROUTE_TRIES_MAX) {
    call_settle(call, END_UPSTREAM_FAILED);
    return;
  }
  call_forward(call);
}

void call_unparked(struct call *call) {
  call->waits = false;
  if (call->gone) {
    const struct refusal left = {.status = 499, .message = "", .cause = REFUSED_CAUSES, .retry_ms = -1};
    call_refuse(call, &left);
  } else {
    call_forward(call);
  }
}

void call_leave_upstream(struct call *call) {
  if (call->exchange) {
    http_exchange_cancel(call->exchange); /* it said the last there is to say, and does not end */
    call->exchange = NULL;
  }
  leave_upstream(call, ROUTE_OK);
}

/* ---- patience ---- */

void call_keep_alive(struct call *call, instant now) {
  instant last = call->heard.ns ? call->heard : call->begun;
  if (!call->request.stream || call->settling || call->gone || now.ns - last.ns < COMMENT_NS) {
    return;
  }
  start_reader(call);
  start_kept(call);
  buf_add(&call->kept, WIRE_KEEP_ALIVE);
  send_kept(call);
}
