/* One GET of an exporter's metrics over plain http, within limits and a time-out, on a libevent base. */
#include "base/file.h"
#include "pull/private.h"
#include <event2/buffer.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>

#define BEARER_BYTES_MAX 8192
#define ACCEPT "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"

struct fetch {
  const struct pull_target *target;
  struct evhttp_connection *connection;
  struct event *deadline, *end;
  void (*done)(void *context, const struct fetch_answer *answer);
  void *context;
  struct error failure;
};

static void answer(struct fetch *f, const struct fetch_answer *a) {
  if (f->done) {
    void (*done)(void *, const struct fetch_answer *) = f->done;
    f->done = NULL;
    done(f->context, a);
  }
  event_active(f->end, EV_TIMEOUT, 0); /* the connection may not be freed from within its own callback */
}

static void fail(struct fetch *f) {
  answer(f, &(struct fetch_answer){.failure = &f->failure});
}

static void fetch_free(struct fetch *f) {
  if (f->connection) {
    evhttp_connection_free(f->connection);
  }
  event_free(f->deadline);
  event_free(f->end);
  free(f);
}

static void on_end(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  fetch_free(context);
}

static void on_deadline(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  struct fetch *f = context;
  if (f->failure.code == ERR_NONE) {
    error_set(&f->failure, ERR_IO, "no answer within %lld ms", (long long)(f->target->timeout.ns / 1000000));
  }
  fail(f);
}

static void on_error(enum evhttp_request_error error, void *context) {
  struct fetch *f = context;
  static const char *const words[] = {
      [EVREQ_HTTP_TIMEOUT] = "the connection timed out",
      [EVREQ_HTTP_EOF] = "the connection was closed before the answer was complete",
      [EVREQ_HTTP_INVALID_HEADER] = "the answer's headers are no HTTP",
      [EVREQ_HTTP_BUFFER_ERROR] = "the connection failed",
      [EVREQ_HTTP_REQUEST_CANCEL] = "the request was cancelled",
      [EVREQ_HTTP_DATA_TOO_LONG] = "the answer is over 16 MiB",
  };
  bool known = (unsigned)error < sizeof words / sizeof *words && words[error];
  error_set(&f->failure, ERR_IO, "%s", known ? words[error] : "the connection failed");
}

static bool has_type(const char *type, const char *wanted) {
  return type && strncmp(type, wanted, strlen(wanted)) == 0;
}

static void on_answer(struct evhttp_request *request, void *context) {
  struct fetch *f = context;
  int status = request ? evhttp_request_get_response_code(request) : 0;
  if (status == 0) {
    if (f->failure.code == ERR_NONE) {
      error_set(&f->failure, ERR_IO, "no connection to %s, port %u", f->target->host.ptr, (unsigned)f->target->port);
    }
    fail(f);
    return;
  }
  const char *type = evhttp_find_header(evhttp_request_get_input_headers(request), "Content-Type");
  if (status != 200) {
    error_set(&f->failure, ERR_IO, "answered with HTTP status %d", status);
    fail(f);
    return;
  }
  struct evbuffer *in = evhttp_request_get_input_buffer(request);
  size_t length = evbuffer_get_length(in);
  slice body = {length > 0 ? (const char *)evbuffer_pullup(in, -1) : "", length};
  answer(f, &(struct fetch_answer){.body = body, .open_metrics = has_type(type, "application/openmetrics-text")});
}

/* Read anew each time, so that a token may be replaced while we run. */
static bool add_bearer(const struct pull_target *target, struct evkeyvalq *headers, struct error *err) {
  if (target->bearer_file.len == 0) {
    return true;
  }
  struct arena *arena = arena_new();
  slice token;
  bool ok = file_read(arena, target->bearer_file.ptr, BEARER_BYTES_MAX, &token, err);
  if (ok) {
    token = slice_trim(token);
    const char *value = arena_printf(arena, "Bearer " SLICE_FMT, SLICE_ARG(token));
    ok = evhttp_add_header(headers, "Authorization", value) == 0 ||
         error_set(err, ERR_INVALID, "%s: is no token of one line", target->bearer_file.ptr);
  }
  arena_free(arena);
  return ok;
}

static bool add_headers(const struct pull_target *target, struct evkeyvalq *headers, struct error *err) {
  char host[1100];
  bool six = memchr(target->host.ptr, ':', target->host.len) != NULL;
  snprintf(host, sizeof host, "%s%s%s:%u", six ? "[" : "", target->host.ptr, six ? "]" : "", (unsigned)target->port);
  must(evhttp_add_header(headers, "Host", host) == 0);
  must(evhttp_add_header(headers, "Accept", ACCEPT) == 0);
  must(evhttp_add_header(headers, "Connection", "close") == 0);
  must(evhttp_add_header(headers, "User-Agent", "meterhouse") == 0);
  return add_bearer(target, headers, err);
}

static bool send_request(struct fetch *f, struct event_base *base, struct evdns_base *dns) {
  f->connection = evhttp_connection_base_new(base, dns, f->target->host.ptr, f->target->port);
  must(f->connection != NULL);
  evhttp_connection_set_max_body_size(f->connection, PULL_BODY_BYTES_MAX);
  evhttp_connection_set_max_headers_size(f->connection, PULL_HEADER_BYTES_MAX);
  struct evhttp_request *request = evhttp_request_new(on_answer, f);
  must(request != NULL);
  evhttp_request_set_error_cb(request, on_error);
  if (!add_headers(f->target, evhttp_request_get_output_headers(request), &f->failure)) {
    evhttp_request_free(request);
    return false;
  }
  if (evhttp_make_request(f->connection, request, EVHTTP_REQ_GET, f->target->path.ptr) != 0) {
    return error_set(&f->failure, ERR_IO, "no connection");
  }
  return true;
}

struct fetch *fetch_start(struct event_base *base, struct evdns_base *dns, const struct pull_target *target,
                          void (*done)(void *context, const struct fetch_answer *answer), void *context) {
  struct fetch *f = mem_alloc(sizeof *f);
  f->target = target;
  f->done = done;
  f->context = context;
  f->deadline = event_new(base, -1, 0, on_deadline, f);
  f->end = event_new(base, -1, 0, on_end, f);
  must(f->deadline && f->end);
  int64_t timeout_ns = send_request(f, base, dns) ? target->timeout.ns : 0;
  struct timeval wait = {.tv_sec = timeout_ns / NS_PER_S, .tv_usec = timeout_ns % NS_PER_S / 1000};
  must(evtimer_add(f->deadline, &wait) == 0);
  return f;
}

void fetch_cancel(struct fetch *f) {
  f->done = NULL;
  fetch_free(f);
}
