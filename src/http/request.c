/* A request from its arrival to its answer: body (plain or gzip), parameters, headers, problem+json. */
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "http/private.h"
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

struct arena *http_arena(struct http_request *r) {
  return r->arena;
}
const void *http_route_data(const struct http_request *r) {
  return r->route->data;
}
slice http_path(const struct http_request *r) {
  return r->path;
}
slice http_body(const struct http_request *r) {
  return r->body;
}
void http_forget_body(struct http_request *r) {
  struct evbuffer *input = evhttp_request_get_input_buffer(r->ev);
  evbuffer_drain(input, evbuffer_get_length(input));
  buf_free(&r->unpacked);
  edge_give_room(r->edge, r->body_bytes);
  r->body_bytes = 0;
  r->body = SLICE("");
}
const char *http_request_id(const struct http_request *r) {
  return r->id;
}

slice http_method(const struct http_request *r) {
  switch (evhttp_request_get_command(r->ev)) {
  case EVHTTP_REQ_GET:
    return SLICE("GET");
  case EVHTTP_REQ_POST:
    return SLICE("POST");
  case EVHTTP_REQ_PUT:
    return SLICE("PUT");
  case EVHTTP_REQ_DELETE:
    return SLICE("DELETE");
  case EVHTTP_REQ_PATCH:
    return SLICE("PATCH");
  case EVHTTP_REQ_HEAD:
    return SLICE("HEAD");
  default:
    return SLICE("OTHER");
  }
}

slice http_param(const struct http_request *r, const char *name) {
  for (size_t i = 0; i < r->param_count; i++) {
    if (slice_is(r->params[i].name, name)) {
      return r->params[i].value;
    }
  }
  return (slice){0};
}

slice http_query(const struct http_request *r, const char *name) {
  return slice_of(evhttp_find_header(&r->query, name));
}
slice http_header(const struct http_request *r, const char *name) {
  return slice_of(evhttp_find_header(evhttp_request_get_input_headers(r->ev), name));
}

/* ---- answering ---- */

/* evhttp waits for the socket to be writable before it writes. It nearly always is, so the answer leaves at once, and
 * the next request is waited for; what does not fit now goes the usual way. */
void write_at_once(struct bufferevent *buffers) {
  struct evbuffer *output = bufferevent_get_output(buffers);
  evbuffer_unfreeze(output, 1);
  int written = evbuffer_write(output, bufferevent_getfd(buffers));
  evbuffer_freeze(output, 1);
  if (written > 0 && evbuffer_get_length(output) == 0) {
    bufferevent_disable(buffers, EV_WRITE);
    bufferevent_trigger(buffers, EV_WRITE, 0);
  }
}

void request_free(struct http_request *r) {
  evhttp_clear_headers(&r->query);
  edge_arena_back(r->edge, r->arena);
  edge_give_room(r->edge, r->body_bytes);
  buf_free(&r->unpacked);
  buf_free(&r->headers);
  if (r->answer) {
    evbuffer_free(r->answer);
  }
  atomic_fetch_sub(&r->edge->server->in_flight, 1);
  r->magic = 0;
  free(r);
}

static bool is_bare(const struct http_request *r) {
  return r->status == 204 || r->status == 304 || evhttp_request_get_command(r->ev) == EVHTTP_REQ_HEAD;
}

/* evhttp's own callbacks but the one for reading: it does not want to hear from the client now. */
static void write_answer(struct http_request *r, struct bufferevent *buffers) {
  struct evbuffer *output = bufferevent_get_output(buffers);
  bufferevent_data_cb unused, written;
  bufferevent_event_cb event;
  void *argument;
  bufferevent_getcb(buffers, &unused, &written, &event, &argument);
  bufferevent_setcb(buffers, NULL, written, event, argument);
  head_write(r, output, r->status, r->answer_type, (int64_t)evbuffer_get_length(r->answer));
  must(is_bare(r) || evbuffer_add_buffer(output, r->answer) == 0);
  bufferevent_enable(buffers, EV_WRITE);
}

/* Back on the request's own edge, where libevent wants to be called. */
static void send_answer(struct http_request *r, void *context) {
  (void)context;
  must(r->magic == REQUEST_MAGIC);
  stream_give_back(r);
  struct evhttp_connection *connection = evhttp_request_get_connection(r->ev); /* NULL: it was closed meanwhile */
  struct bufferevent *buffers = connection ? evhttp_connection_get_bufferevent(connection) : NULL;
  if (buffers) {
    write_answer(r, buffers);
  }
  evhttp_send_reply_end(r->ev);
  if (buffers && !r->edge->in_evhttp) {
    write_at_once(buffers);
  }
  request_free(r);
}

void http_answer(struct http_request *r, int status, const char *content_type, slice body) {
  must(r->magic == REQUEST_MAGIC && !atomic_exchange(&r->answered, true));
  r->status = status;
  r->answer_type = arena_copy(r->arena, slice_of(content_type));
  r->answer = evbuffer_new();
  must(r->answer != NULL && evbuffer_add(r->answer, body.ptr, body.len) == 0);
  http_on_edge(r, send_answer, NULL);
}

int http_status_of(enum error_code code) {
  switch (code) {
  case ERR_NONE:
    return 200;
  case ERR_INVALID:
  case ERR_USAGE:
    return 400;
  case ERR_OVERFLOW:
  case ERR_REUSED:
    return 422;
  case ERR_NOT_FOUND:
    return 404;
  case ERR_CONFLICT:
    return 409;
  case ERR_LIMIT:
    return 429;
  case ERR_DENIED:
    return 403;
  case ERR_FUNDS:
    return 402;
  case ERR_BUSY:
    return 503;
  case ERR_CORRUPT:
  case ERR_IO:
    break;
  }
  return 500;
}

static const char *title_of(int status) {
  switch (status) {
  case 400:
    return "Bad request";
  case 401:
    return "Not signed in";
  case 402:
    return "Not enough credit";
  case 403:
    return "Not allowed";
  case 404:
    return "Not found";
  case 405:
    return "Method not allowed";
  case 409:
    return "Conflict";
  case 413:
    return "Too large";
  case 415:
    return "Unsupported media type";
  case 422:
    return "Can not be done";
  case 429:
    return "Too many requests";
  case 503:
    return "Busy";
  default:
    return "Internal error";
  }
}

void http_problem_status(struct http_request *r, int status, const char *code, const char *detail) {
  const struct http_options *options = &r->edge->server->options;
  if (status >= 500) {
    log_line(LOG_ERROR, r->id, "%d %s: %s", status, code, detail);
  }
  if (options->problem && slice_starts(r->path, options->problem_prefix)) {
    options->problem(r, status, code, detail);
    return;
  }
  struct buf body;
  struct json_out w;
  buf_init(&body, 1u << 16);
  json_out_init(&w, &body, false);
  json_open_object(&w);
  json_put_cstr(&w, "type", "about:blank");
  json_put_cstr(&w, "title", title_of(status));
  json_put_int(&w, "status", status);
  json_put_cstr(&w, "code", code);
  json_put_cstr(&w, "detail", detail);
  json_put_cstr(&w, "instance", r->id);
  json_close_object(&w);
  if (status == 429 || status == 503) {
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%d", LIMIT_RETRY_AFTER_S);
    http_add_header(r, "retry-after", seconds);
  }
  if (status == 401) {
    http_add_header(r, "www-authenticate", "Bearer");
  }
  http_answer(r, status, "application/problem+json", buf_slice(&body));
  buf_free(&body);
}

void http_problem(struct http_request *r, const struct error *err) {
  http_problem_status(r, http_status_of(err->code), error_code_name(err->code), err->message);
}

/* ---- arriving ---- */

static bool inflate_all(struct http_request *r, z_stream *z, struct error *err) {
  struct buf *out = &r->unpacked;
  buf_init(out, HTTP_BODY_BYTES_MAX);
  int state = Z_OK;
  while (state == Z_OK && !out->failed) {
    char chunk[16384];
    z->next_out = (Bytef *)chunk;
    z->avail_out = sizeof chunk;
    state = inflate(z, Z_NO_FLUSH);
    buf_add(out, (slice){chunk, sizeof chunk - z->avail_out});
    if (state == Z_BUF_ERROR && z->avail_in == 0) {
      break;
    }
  }
  bool ok = state == Z_STREAM_END && !out->failed;
  if (out->failed) {
    error_set(err, ERR_LIMIT, "the body is larger than %u bytes once unpacked", HTTP_BODY_BYTES_MAX);
  }
  if (!ok && !out->failed) {
    error_set(err, ERR_INVALID, "the gzip body is damaged or cut short");
  }
  if (ok) {
    r->body = buf_slice(out);
    edge_take_room(r->edge, r->body.len);
    r->body_bytes += r->body.len;
  }
  return ok;
}

static bool unpack_body(struct http_request *r, struct error *err) {
  slice encoding = http_header(r, "content-encoding");
  if (encoding.len == 0 || slice_is(encoding, "identity")) {
    return true;
  }
  if (!slice_is(encoding, "gzip")) {
    return error_set(err, ERR_INVALID, "content-encoding \"" SLICE_FMT "\" is not known: send gzip or none",
                     SLICE_ARG(encoding));
  }
  z_stream z = {.next_in = (Bytef *)(uintptr_t)r->body.ptr, .avail_in = (uInt)r->body.len};
  must(inflateInit2(&z, 16 + MAX_WBITS) == Z_OK);
  bool ok = inflate_all(r, &z, err);
  inflateEnd(&z);
  return ok;
}

static bool read_url(struct http_request *r, struct error *err) {
  const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(r->ev);
  const char *path = uri ? evhttp_uri_get_path(uri) : NULL, *query = uri ? evhttp_uri_get_query(uri) : NULL;
  r->path = slice_of(path && *path ? path : "/");
  if (query && evhttp_parse_query_str(query, &r->query) != 0) {
    return error_set(err, ERR_INVALID, "the query string can not be read");
  }
  return true;
}

static bool check_size(const struct http_request *r, struct error *err) {
  return r->body.len <= HTTP_BODY_BYTES_MAX ||
         error_set(err, ERR_LIMIT, "the body is larger than %u bytes", HTTP_BODY_BYTES_MAX);
}

static void dispatch(struct http_request *r) {
  const struct http_options *options = &r->edge->server->options;
  struct error err = {0};
  if (!read_url(r, &err) || !check_size(r, &err) || !unpack_body(r, &err)) {
    if (err.code == ERR_LIMIT) {
      http_problem_status(r, 413, "limit", err.message);
    } else {
      http_problem(r, &err);
    }
    return;
  }
  slice method = http_method(r);
  int route = route_find(options, slice_is(method, "HEAD") ? SLICE("GET") : method, r->path, r);
  if (route >= 0) {
    r->route = &options->routes[route];
    r->route->handle(r, options->context);
  } else if (route == -2) {
    http_problem_status(r, 405, "method_not_allowed", "this path knows other methods; see /api/v1/openapi.json");
  } else {
    http_problem_status(r, 404, "not_found", "there is nothing at this path; see /api/v1/openapi.json");
  }
}

void request_arrived(struct evhttp_request *ev, void *context) {
  struct http_edge *edge = context;
  struct http_request *r = mem_alloc(sizeof *r);
  r->magic = REQUEST_MAGIC;
  r->edge = edge;
  r->ev = ev;
  r->arena = edge_arena(edge);
  TAILQ_INIT(&r->query);
  atomic_fetch_add(&edge->server->in_flight, 1);
  char id[ID_TEXT_MAX];
  snprintf(r->id, sizeof r->id, "%s", id_new("req", id));
  struct evbuffer *input = evhttp_request_get_input_buffer(ev);
  r->body.len = evbuffer_get_length(input);
  r->body.ptr = r->body.len ? (const char *)evbuffer_pullup(input, -1) : "";
  r->body_bytes = r->body.len;
  edge_take_room(edge, r->body_bytes);
  edge->in_evhttp = true;
  dispatch(r);
  edge->in_evhttp = false;
}

bool http_work(struct http_request *r, void (*work)(struct http_request *r, void *context), void *context,
               struct error *err) {
  return workers_add(r->edge->server->workers, work, r, context, err);
}
