/* A connection of the client: connecting to one address after the other, TLS, reading, writing, silence. On the bare
 * socket and not on libevent's buffers: an answer is read into memory that all connections of a thread share, so that
 * thousands that wait take none. */
#include "http/client.h"
#include <errno.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define ATTEMPT_MS_MIN 250

int64_t client_now_ms(void) {
  struct timespec t;
  must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void set_timer(struct client_connection *c, int64_t ms) {
  struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
  must(evtimer_add(&c->timer, &wait) == 0);
}

void connection_fail(struct client_connection *c, enum http_failure why, const char *detail) {
  if (!c->has_failed) {
    c->has_failed = true;
    c->failure = why;
    snprintf(c->detail, sizeof c->detail, "%s", detail);
    event_active(&c->timer, EV_TIMEOUT, 0);
  }
}

/* ---- bytes ---- */

static enum io ssl_outcome(struct client_connection *c, int result) {
  switch (SSL_get_error(c->ssl, result)) {
  case SSL_ERROR_NONE:
    return IO_SOME;
  case SSL_ERROR_WANT_READ:
    return IO_WAIT;
  case SSL_ERROR_WANT_WRITE:
    event_add(&c->writable, NULL);
    return IO_WAIT;
  case SSL_ERROR_ZERO_RETURN:
    return IO_END;
  default:
    return IO_BROKEN;
  }
}

static enum io socket_outcome(ssize_t result) {
  if (result > 0) {
    return IO_SOME;
  }
  if (result == 0) {
    return IO_END;
  }
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? IO_WAIT : IO_BROKEN;
}

enum io connection_read(struct client_connection *c, slice *out) {
  static _Thread_local char bytes[CLIENT_READ_BYTES];
  enum io outcome;
  ssize_t got;
  if (c->ssl) {
    ERR_clear_error();
    got = SSL_read(c->ssl, bytes, sizeof bytes);
    outcome = ssl_outcome(c, (int)got);
  } else {
    got = read(c->fd, bytes, sizeof bytes);
    outcome = socket_outcome(got);
  }
  *out = (slice){bytes, outcome == IO_SOME ? (size_t)got : 0};
  return outcome;
}

static int unsent(const struct http_exchange *x, struct iovec parts[2]) {
  int count = 0;
  size_t skip = x->sent_bytes;
  if (skip < x->head_bytes) {
    parts[count++] = (struct iovec){x->head + skip, x->head_bytes - skip};
    skip = 0;
  } else {
    skip -= x->head_bytes;
  }
  if (skip < x->body.len) {
    parts[count++] = (struct iovec){(void *)(uintptr_t)(x->body.ptr + skip), x->body.len - skip};
  }
  return count;
}

/* Head and body in one record, when both fit. */
static ssize_t write_tls(struct client_connection *c, const struct iovec *parts, int count, enum io *outcome) {
  static _Thread_local char record[16 << 10];
  size_t length = 0;
  for (int i = 0; i < count && length < sizeof record; i++) {
    size_t room = sizeof record - length, part = parts[i].iov_len < room ? parts[i].iov_len : room;
    memcpy(record + length, parts[i].iov_base, part);
    length += part;
  }
  ERR_clear_error();
  int sent = SSL_write(c->ssl, record, (int)length);
  *outcome = ssl_outcome(c, sent);
  return sent;
}

static ssize_t write_some(struct client_connection *c, struct iovec *parts, int count, enum io *outcome) {
  if (c->ssl) {
    return write_tls(c, parts, count, outcome);
  }
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
  ssize_t sent = sendmsg(c->fd, &message, MSG_NOSIGNAL);
  *outcome = socket_outcome(sent);
  return sent;
}

/* A connection that takes no more bytes is left to the reader: an answer may have come before it broke. */
void connection_write(struct client_connection *c) {
  struct http_exchange *x = c->exchange;
  struct iovec parts[2];
  if (c->state != CONNECTION_OPEN || x == NULL) {
    return;
  }
  for (int count; (count = unsent(x, parts)) > 0;) {
    enum io outcome;
    ssize_t sent = write_some(c, parts, count, &outcome);
    if (outcome == IO_WAIT) {
      event_add(&c->writable, NULL);
    }
    if (outcome != IO_SOME) {
      return;
    }
    x->sent_bytes += (size_t)sent;
    c->active_ms = client_now_ms();
  }
}

/* ---- connecting ---- */

static void open_now(struct client_connection *c) {
  c->state = CONNECTION_OPEN;
  c->active_ms = client_now_ms();
  c->client->figures.connected++;
  set_timer(c, c->client->silence_timeout_ms);
  connection_want_read(c, !c->exchange->paused);
  connection_write(c);
}

static void shake_hands(struct client_connection *c) {
  ERR_clear_error();
  int result = SSL_do_handshake(c->ssl);
  if (result == 1) {
    open_now(c);
  } else if (ssl_outcome(c, result) != IO_WAIT) {
    connection_fail(c, HTTP_FAILED_TLS, tls_problem(c->ssl));
  }
}

static void connected(struct client_connection *c) {
  if (c->client->tls == NULL) {
    open_now(c);
    return;
  }
  c->state = CONNECTION_HANDSHAKE;
  c->ssl = tls_start(c->client, c->fd);
  connection_want_read(c, true);
  shake_hands(c);
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  struct client_connection *c = context;
  if (c->state == CONNECTION_HANDSHAKE) {
    shake_hands(c);
    return;
  }
  if (c->ssl) { /* which may have waited for a byte from there before it could write on */
    connection_write(c);
  }
  exchange_readable(c);
}

static void drop_socket(struct client_connection *c) {
  if (c->has_events) {
    event_del(&c->readable);
    event_del(&c->writable);
    c->has_events = false;
  }
  if (c->ssl) {
    SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else its session could not be used again */
    SSL_free(c->ssl);
    c->ssl = NULL;
  }
  if (c->fd >= 0) {
    close(c->fd);
  }
  c->fd = -1;
}

static void try_next_address(struct client_connection *c, const char *why);

static void on_writable(evutil_socket_t fd, short what, void *context) {
  (void)what;
  struct client_connection *c = context;
  if (c->state == CONNECTION_CONNECTING) {
    int error = 0;
    socklen_t size = sizeof error;
    must(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0);
    if (error == 0) {
      connected(c);
    } else {
      drop_socket(c);
      try_next_address(c, strerror(error));
    }
  } else if (c->state == CONNECTION_HANDSHAKE) {
    shake_hands(c);
  } else {
    connection_write(c);
    if (c->ssl) {
      connection_read_soon(c);
    }
  }
}

static int open_socket(const struct client_address *to) {
  int on = 1, fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return -1;
  }
  must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
  if (connect(fd, (const struct sockaddr *)&to->address, to->length) != 0 && errno != EINPROGRESS) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

/* Each address has its share of the time, so that one that is silent does not use it all. */
static int64_t attempt_ms(const struct http_client *client) {
  int64_t share = client->connect_timeout_ms / (int64_t)client->address_count;
  return share > ATTEMPT_MS_MIN || client->address_count == 1 ? share : ATTEMPT_MS_MIN;
}

static void try_next_address(struct client_connection *c, const char *why) {
  struct http_client *client = c->client;
  while (c->fd < 0 && c->next_address < client->address_count) {
    c->fd = open_socket(&client->addresses[c->next_address++]);
    why = c->fd < 0 ? strerror(errno) : why;
  }
  if (c->fd < 0) {
    connection_fail(c, HTTP_FAILED_CONNECT, why);
    return;
  }
  c->state = CONNECTION_CONNECTING;
  event_assign(&c->readable, client->base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
  event_assign(&c->writable, client->base, c->fd, EV_WRITE, on_writable, c);
  c->has_events = true;
  event_add(&c->writable, NULL);
  set_timer(c, attempt_ms(client));
}

void connection_address_known(struct client_connection *c, const char *problem) {
  if (problem) {
    connection_fail(c, HTTP_FAILED_CONNECT, problem);
  } else {
    try_next_address(c, "there is no address");
  }
}

/* ---- time ---- */

static bool may_be_silent(const struct client_connection *c) {
  return c->exchange && c->exchange->paused;
}

/* It goes off now and then only, and looks how long nothing has happened. */
static void on_silence_timer(struct client_connection *c) {
  int64_t now = client_now_ms(), silent_ms = may_be_silent(c) ? 0 : now - c->active_ms;
  if (silent_ms < c->client->silence_timeout_ms) {
    set_timer(c, c->client->silence_timeout_ms - silent_ms);
  } else if (c->exchange) {
    exchange_failed(c, HTTP_FAILED_TIMEOUT, "the other side is silent");
  } else {
    connection_free(c);
  }
}

static void on_timer(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  struct client_connection *c = context;
  if (c->has_failed) {
    exchange_failed(c, c->failure, c->detail);
  } else if (c->state == CONNECTION_OPEN) {
    on_silence_timer(c);
  } else if (c->state == CONNECTION_CONNECTING && c->next_address < c->client->address_count) {
    drop_socket(c);
    try_next_address(c, "there is no address");
  } else {
    exchange_failed(c, HTTP_FAILED_TIMEOUT, "no connection in time");
  }
}

/* ---- one of them ---- */

struct client_connection *connection_new(struct http_client *client, struct http_exchange *x) {
  struct client_connection *c = mem_alloc(sizeof *c);
  c->client = client;
  c->exchange = x;
  c->fd = -1;
  reply_init(&c->reader, x->to_head);
  must(evtimer_assign(&c->timer, client->base, on_timer, c) == 0);
  LIST_INSERT_HEAD(&client->busy, c, entry);
  client->figures.busy++;
  set_timer(c, client->connect_timeout_ms);
  return c;
}

void connection_free(struct client_connection *c) {
  (c->exchange ? &c->client->figures.busy : &c->client->figures.idle)[0]--;
  LIST_REMOVE(c, entry);
  event_del(&c->timer);
  drop_socket(c);
  reply_free(&c->reader);
  if (c->freed) {
    *c->freed = true;
  }
  free(c);
}

void connection_reset(struct client_connection *c) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  if (c->fd >= 0) {
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
}

void connection_want_read(struct client_connection *c, bool wanted) {
  if (c->has_events) {
    must((wanted ? event_add(&c->readable, NULL) : event_del(&c->readable)) == 0);
  }
}

void connection_read_soon(struct client_connection *c) {
  event_active(&c->readable, EV_READ, 0);
}
