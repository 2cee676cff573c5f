/* Answers in pieces, and clients that leave. evhttp waits for the loop's next turn before it writes, and does not look
 * at a connection while its request is being handled; so the connection's callbacks are taken from it meanwhile. */
#include "http/private.h"
#include <event2/buffer.h>
#include <event2/http_struct.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SMALL_PIECE_BYTES ((size_t)4096)

/* NULL: the client has gone. */
static struct bufferevent *buffers_of(const struct http_request *r) {
  struct evhttp_connection *connection = evhttp_request_get_connection(r->ev);
  return connection ? evhttp_connection_get_bufferevent(connection) : NULL;
}

/* ---- the connection, taken and given back ---- */

static void set_timeouts(struct bufferevent *buffers, bool reading) {
  struct timeval limit = {.tv_sec = LIMIT_REQUEST_TIMEOUT_S};
  bufferevent_set_timeouts(buffers, reading ? &limit : NULL, &limit);
}

static void on_written(struct bufferevent *buffers, void *context) {
  struct http_request *r = context;
  size_t waiting = evbuffer_get_length(bufferevent_get_output(buffers));
  if (waiting == 0) {
    bufferevent_disable(buffers, EV_WRITE); /* the next piece is written at once, without waiting to be asked */
  }
  if (!r->stream.is_low && waiting <= HTTP_STREAM_LOW_BYTES) {
    r->stream.is_low = true;
    if (r->stream.watch.drained) {
      r->stream.watch.drained(r->stream.context);
    }
  }
}

/* evhttp closes the connection and leaves the request to its owner. */
void stream_tell_gone(struct http_request *r) {
  struct http_stream *s = &r->stream;
  struct http_stream before = *s;
  struct bufferevent *buffers = buffers_of(r);
  stream_give_back(r);
  s->gone = true;
  if (buffers) {
    before.evhttp_event(buffers, BEV_EVENT_READING | BEV_EVENT_EOF, before.evhttp_argument);
  }
  must(evhttp_request_get_connection(r->ev) == NULL);
  if (before.is_watched) {
    before.watch.gone(before.context);
  }
}

static void on_event(struct bufferevent *buffers, short what, void *context) {
  (void)buffers;
  if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) {
    stream_tell_gone(context);
  }
}

static void set_callbacks(struct http_request *r, struct bufferevent *buffers) {
  bufferevent_setcb(buffers, NULL, on_written, on_event, r);
}

static void take_over(struct http_request *r, struct bufferevent *buffers) {
  struct http_stream *s = &r->stream;
  if (s->ours) {
    return;
  }
  bufferevent_data_cb unused;
  bufferevent_getcb(buffers, &unused, &s->evhttp_written, &s->evhttp_event, &s->evhttp_argument);
  s->ours = true;
  s->is_low = true;
  set_callbacks(r, buffers);
  bufferevent_setwatermark(buffers, EV_READ, 0, HTTP_WATCH_BYTES_MAX);
  bufferevent_setwatermark(buffers, EV_WRITE, HTTP_STREAM_LOW_BYTES, 0);
  set_timeouts(buffers, false);
  bufferevent_enable(buffers, EV_READ);
}

/* Whoever ended the request is not told of it any more. */
static void unwatch(struct http_request *r) {
  if (r->stream.is_watched) {
    LIST_REMOVE(r, watched);
    r->stream.is_watched = false;
    r->stream.watch = (struct http_watch){0};
  }
}

void stream_give_back(struct http_request *r) {
  struct http_stream *s = &r->stream;
  unwatch(r);
  struct bufferevent *buffers = buffers_of(r);
  if (s->ours && buffers) {
    bufferevent_setcb(buffers, NULL, s->evhttp_written, s->evhttp_event, s->evhttp_argument);
    bufferevent_setwatermark(buffers, EV_READ, 0, 0);
    bufferevent_setwatermark(buffers, EV_WRITE, 0, 0);
    set_timeouts(buffers, true);
  }
  s->ours = false;
}

void http_watch(struct http_request *r, const struct http_watch *watch, void *context) {
  struct http_stream *s = &r->stream;
  struct bufferevent *buffers = buffers_of(r);
  must(r->magic == REQUEST_MAGIC && !s->is_watched && buffers != NULL);
  s->watch = *watch;
  s->context = context;
  s->is_watched = true;
  LIST_INSERT_HEAD(&r->edge->watched, r, watched);
  take_over(r, buffers);
}

/* ---- pieces ---- */

static bool has_body(const struct http_request *r, int status) {
  return status != 204 && status != 304 && evhttp_request_get_command(r->ev) != EVHTTP_REQ_HEAD;
}

/* evhttp would give an answer of unknown length on a kept connection of HTTP/1.0 a length of 0. */
static void end_with_connection(struct http_request *r) {
  if (r->ev->major == 1 && r->ev->minor == 0) {
    evhttp_remove_header(evhttp_request_get_input_headers(r->ev), "connection");
  }
}

void http_stream_begin(struct http_request *r, int status, const char *content_type, int64_t content_length) {
  struct http_stream *s = &r->stream;
  struct bufferevent *buffers = buffers_of(r);
  must(r->magic == REQUEST_MAGIC && !atomic_exchange(&r->answered, true));
  s->begun = true;
  s->has_body = has_body(r, status);
  s->left = content_length;
  if (buffers == NULL) {
    return;
  }
  take_over(r, buffers);
  head_write(r, bufferevent_get_output(buffers), status, slice_of(content_type), content_length);
  if (content_length < 0) {
    end_with_connection(r);
  }
  bufferevent_disable(buffers, EV_WRITE);
}

static size_t put_size(char *to, size_t size) {
  char digits[18];
  size_t count = 0;
  for (; size > 0; size >>= 4) {
    digits[count++] = "0123456789abcdef"[size & 15];
  }
  for (size_t i = 0; i < count; i++) {
    to[i] = digits[count - 1 - i];
  }
  memcpy(to + count, "\r\n", 2);
  return count + 2;
}

static void add_chunk(struct evbuffer *output, slice piece) {
  char small[SMALL_PIECE_BYTES + 24];
  size_t used = put_size(small, piece.len);
  if (piece.len <= SMALL_PIECE_BYTES) {
    memcpy(small + used, piece.ptr, piece.len);
    memcpy(small + used + piece.len, "\r\n", 2);
    must(evbuffer_add(output, small, used + piece.len + 2) == 0);
    return;
  }
  must(evbuffer_add(output, small, used) == 0 && evbuffer_add(output, piece.ptr, piece.len) == 0 &&
       evbuffer_add(output, "\r\n", 2) == 0);
}

static void add_piece(struct http_request *r, struct bufferevent *buffers, slice piece) {
  struct http_stream *s = &r->stream;
  must(s->begun && (s->left < 0 || piece.len <= (uint64_t)s->left));
  s->left -= s->left < 0 ? 0 : (int64_t)piece.len;
  if (buffers == NULL || !s->has_body || piece.len == 0) {
    return;
  }
  if (r->ev->chunked) {
    add_chunk(bufferevent_get_output(buffers), piece);
  } else {
    must(evbuffer_add(bufferevent_get_output(buffers), piece.ptr, piece.len) == 0);
  }
}

void http_stream_send(struct http_request *r, slice piece) {
  struct bufferevent *buffers = buffers_of(r);
  add_piece(r, buffers, piece);
  if (buffers == NULL || (bufferevent_get_enabled(buffers) & EV_WRITE)) {
    r->stream.is_low = r->stream.is_low && http_stream_waiting(r) <= HTTP_STREAM_LOW_BYTES;
    return; /* what was sent before waits as well */
  }
  struct evbuffer *output = bufferevent_get_output(buffers);
  evbuffer_unfreeze(output, 1);
  evbuffer_write(output, bufferevent_getfd(buffers));
  evbuffer_freeze(output, 1);
  size_t waiting = evbuffer_get_length(output);
  if (waiting > 0) { /* an error is found again by the loop, which tells it */
    r->stream.is_low = waiting <= HTTP_STREAM_LOW_BYTES;
    bufferevent_enable(buffers, EV_WRITE);
  }
}

size_t http_stream_waiting(const struct http_request *r) {
  struct bufferevent *buffers = buffers_of(r);
  return buffers ? evbuffer_get_length(bufferevent_get_output(buffers)) : 0;
}

/* ---- ends ---- */

static void end_now(struct http_request *r, void *context) {
  (void)context;
  struct bufferevent *buffers = buffers_of(r);
  stream_give_back(r);
  bool waits = buffers && (r->ev->chunked || http_stream_waiting(r) > 0);
  if (waits) {
    bufferevent_enable(buffers, EV_WRITE);
  }
  evhttp_send_reply_end(r->ev);
  if (waits) {
    write_at_once(buffers);
  }
  request_free(r);
}

void http_stream_finish(struct http_request *r, slice last) {
  must(r->magic == REQUEST_MAGIC && r->stream.begun);
  add_piece(r, buffers_of(r), last);
  must(r->stream.left <= 0 || !r->stream.has_body || buffers_of(r) == NULL);
  unwatch(r);
  if (r->edge->in_evhttp) {
    edge_hand_over(r, end_now, NULL);
  } else {
    end_now(r, NULL);
  }
}

void http_stream_end(struct http_request *r) {
  http_stream_finish(r, (slice){0});
}

/* An answer that ends where its connection does would look whole: it is reset. */
static void reset_connection(struct bufferevent *buffers) {
  struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
  (void)connect(bufferevent_getfd(buffers), &nowhere, sizeof nowhere);
}

static void abort_now(struct http_request *r, void *context) {
  (void)context;
  struct evhttp_connection *connection = evhttp_request_get_connection(r->ev);
  struct bufferevent *buffers = buffers_of(r);
  stream_give_back(r);
  if (connection == NULL) {
    evhttp_request_free(r->ev);
  } else {
    if (!r->ev->chunked && r->stream.left < 0) {
      reset_connection(buffers);
    }
    evhttp_connection_free(connection); /* and its request */
  }
  request_free(r);
}

void http_stream_abort(struct http_request *r) {
  must(r->magic == REQUEST_MAGIC);
  unwatch(r);
  if (r->edge->in_evhttp) {
    edge_hand_over(r, abort_now, NULL);
  } else {
    abort_now(r, NULL);
  }
}
