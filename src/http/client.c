/* The client: its pool of connections, and an exchange from the request to the last byte of its answer. */
#include "http/client.h"
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000
#define SILENCE_TIMEOUT_MS 120000
#define IDLE_MAX 64
#define HOST_BYTES_MAX 255
#define READS_IN_A_ROW 4

const char *http_failure_name(enum http_failure why) {
  static const char *const names[] = {[HTTP_FAILED_CONNECT] = "connect",
                                      [HTTP_FAILED_TLS] = "tls",
                                      [HTTP_FAILED_TIMEOUT] = "timeout",
                                      [HTTP_FAILED_CLOSED] = "closed",
                                      [HTTP_FAILED_MALFORMED] = "malformed"};
  return names[why];
}

/* ---- an exchange, and the connection it has ---- */

static void exchange_free(struct http_exchange *x) {
  free(x->head);
  free(x->own_body);
  free(x->kept);
  free(x);
}

static void connect_for(struct http_exchange *x) {
  x->sent_bytes = 0;
  x->reused = false;
  x->connection = connection_new(x->client, x);
  if (client_resolve(x->client)) {
    connection_address_known(x->connection, NULL);
  }
}

static void tell_failure(struct http_exchange *x, enum http_failure why, const char *detail) {
  x->connection = NULL;
  x->over = true;
  x->hooks.failed(x->context, why, detail);
  exchange_free(x);
}

void exchange_failed(struct client_connection *c, enum http_failure why, const char *detail) {
  struct http_exchange *x = c->exchange;
  char words[sizeof c->detail];
  snprintf(words, sizeof words, "%s", detail);
  connection_reset(c);
  connection_free(c);
  tell_failure(x, why, words);
}

/* Kept connections are closed by the other side as it likes, also just when a request is on its way there. */
static void connection_ended(struct client_connection *c, const char *detail) {
  struct http_exchange *x = c->exchange;
  if (x && x->reused && !x->answered) {
    x->client->figures.sent_again++;
    connection_free(c);
    connect_for(x);
  } else if (x) {
    exchange_failed(c, HTTP_FAILED_CLOSED, detail);
  } else {
    connection_free(c);
  }
}

static bool may_be_kept(const struct client_connection *c, slice left) {
  const struct http_exchange *x = c->exchange;
  return c->reader.keep_alive && left.len == 0 && x->sent_bytes == x->head_bytes + x->body.len &&
         c->client->idle_max > 0;
}

static void keep_idle(struct client_connection *c) {
  struct http_client *client = c->client;
  LIST_REMOVE(c, entry);
  LIST_INSERT_HEAD(&client->idle, c, entry);
  c->exchange = NULL;
  c->active_ms = client_now_ms();
  client->figures.busy--;
  if (++client->figures.idle > client->idle_max) {
    struct client_connection *oldest = c;
    for (struct client_connection *each = c; each; each = LIST_NEXT(each, entry)) {
      oldest = each;
    }
    connection_free(oldest);
  }
}

static void exchange_done(struct client_connection *c, slice left) {
  struct http_exchange *x = c->exchange;
  if (may_be_kept(c, left)) {
    keep_idle(c);
  } else {
    connection_free(c);
  }
  x->connection = NULL;
  x->over = true;
  x->hooks.done(x->context);
  exchange_free(x);
}

/* The answer came before the request was sent whole: its body may go any moment, so what is left of it is copied. */
static void own_the_rest(struct http_exchange *x) {
  size_t sent = x->sent_bytes > x->head_bytes ? x->sent_bytes - x->head_bytes : 0, left = x->body.len - sent;
  if (left > 0 && x->own_body == NULL) {
    x->own_body = mem_alloc(left);
    memcpy(x->own_body, x->body.ptr + sent, left);
    x->body = (slice){x->own_body, left};
    x->sent_bytes -= sent;
  }
}

static void keep_for_later(struct http_exchange *x, slice left) {
  char *kept = mem_alloc(left.len);
  memcpy(kept, left.ptr, left.len);
  free(x->kept);
  x->kept = kept;
  x->kept_bytes = left.len;
}

/* True: there is more to come on this connection, and it still is one. */
static bool one_step(struct client_connection *c, slice *input, bool *more) {
  struct http_exchange *x = c->exchange;
  bool freed = false;
  slice piece;
  c->freed = &freed;
  enum reply_step step = reply_read(&c->reader, input, &piece);
  if (step == REPLY_HEAD) {
    own_the_rest(x);
    x->hooks.head(x->context, &c->reader.reply);
  } else if (step == REPLY_BODY) {
    x->hooks.body(x->context, piece);
  } else if (step == REPLY_DONE) {
    c->freed = NULL;
    exchange_done(c, *input);
    return false;
  } else if (step == REPLY_BAD) {
    exchange_failed(c, HTTP_FAILED_MALFORMED, c->reader.problem);
    return false;
  }
  if (!freed) {
    c->freed = NULL;
  }
  *more = step != REPLY_MORE;
  return !freed;
}

/* True: the connection goes on with the same exchange. */
static bool feed(struct client_connection *c, slice input) {
  struct http_exchange *x = c->exchange;
  for (bool more = true; more;) {
    if (x->paused) {
      keep_for_later(x, input);
      return true;
    }
    if (!one_step(c, &input, &more)) {
      return false;
    }
  }
  if (x->hooks.rest) {
    x->hooks.rest(x->context);
  }
  return true;
}

static bool feed_kept(struct client_connection *c) {
  struct http_exchange *x = c->exchange;
  char *kept = x->kept;
  slice input = {kept, x->kept_bytes};
  x->kept = NULL;
  x->kept_bytes = 0;
  bool goes_on = feed(c, input);
  free(kept);
  return goes_on;
}

static void exchange_ended(struct client_connection *c) {
  if (c->exchange && c->exchange->answered && reply_closed(&c->reader) == REPLY_DONE) {
    c->reader.keep_alive = false;
    exchange_done(c, (slice){0});
  } else {
    connection_ended(c, "the connection ended before the answer did");
  }
}

/* What is read at once is bounded, so that a fast answer does not keep the others waiting. */
void exchange_readable(struct client_connection *c) {
  if (c->exchange && c->exchange->kept && !c->exchange->paused && !feed_kept(c)) {
    return;
  }
  for (int i = 0; c->exchange == NULL || !c->exchange->paused; i++) {
    slice input;
    enum io outcome = connection_read(c, &input);
    if (outcome == IO_WAIT) {
      return;
    }
    if (outcome == IO_BROKEN) {
      connection_ended(c, "the connection broke");
      return;
    }
    if (outcome == IO_END) {
      exchange_ended(c);
      return;
    }
    if (c->exchange == NULL) { /* nothing was asked */
      connection_free(c);
      return;
    }
    c->exchange->answered = true;
    c->active_ms = client_now_ms();
    if (!feed(c, input)) {
      return;
    }
    if (c->ssl == NULL || SSL_pending(c->ssl) == 0) {
      return;
    }
    if (i == READS_IN_A_ROW) {
      connection_read_soon(c);
      return;
    }
  }
}

void http_exchange_pause(struct http_exchange *x) {
  if (!x->paused && !x->over) {
    x->paused = true;
    if (x->connection->state == CONNECTION_OPEN) {
      connection_want_read(x->connection, false);
    }
  }
}

void http_exchange_resume(struct http_exchange *x) {
  if (x->paused && !x->over) {
    x->paused = false;
    if (x->connection->state == CONNECTION_OPEN) {
      x->connection->active_ms = client_now_ms();
      connection_want_read(x->connection, true);
      connection_read_soon(x->connection);
    }
  }
}

void http_exchange_cancel(struct http_exchange *x) {
  if (x->over) { /* its last hook is being called */
    return;
  }
  connection_reset(x->connection);
  connection_free(x->connection);
  exchange_free(x);
}

/* ---- sending ---- */

static bool takes_body(const char *method) {
  return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

static void write_head(struct http_exchange *x, const char *method, slice path, slice headers) {
  size_t room = strlen(method) + path.len + headers.len + strlen(x->client->host_line) + 96;
  char length[48] = "";
  if (x->body.len > 0 || takes_body(method)) {
    snprintf(length, sizeof length, "content-length: %zu\r\n", x->body.len);
  }
  x->head = mem_alloc(room);
  int written = snprintf(x->head, room, "%s " SLICE_FMT " HTTP/1.1\r\n%s%s" SLICE_FMT "\r\n", method, SLICE_ARG(path),
                         x->client->host_line, length, SLICE_ARG(headers));
  must(written > 0 && (size_t)written < room);
  x->head_bytes = (size_t)written;
}

static void send_over(struct http_exchange *x, struct client_connection *c) {
  LIST_REMOVE(c, entry);
  LIST_INSERT_HEAD(&x->client->busy, c, entry);
  x->client->figures.idle--;
  x->client->figures.busy++;
  x->client->figures.reused++;
  x->reused = true;
  x->connection = c;
  c->exchange = x;
  c->active_ms = client_now_ms();
  reply_free(&c->reader);
  reply_init(&c->reader, x->to_head);
  connection_write(c);
}

struct http_exchange *http_client_send(struct http_client *client, const char *method, slice path, slice headers,
                                       slice body, const struct http_exchange_hooks *hooks, void *context) {
  must(path.len > 0 && path.ptr[0] == '/');
  struct http_exchange *x = mem_alloc(sizeof *x);
  x->client = client;
  x->hooks = *hooks;
  x->context = context;
  x->body = body;
  x->to_head = strcmp(method, "HEAD") == 0;
  write_head(x, method, path, headers);
  struct client_connection *kept = LIST_FIRST(&client->idle);
  if (kept) {
    send_over(x, kept);
  } else {
    connect_for(x);
  }
  return x;
}

void client_resolved(struct http_client *client, const char *problem) {
  struct client_connection *c, *next;
  for (c = LIST_FIRST(&client->busy); c; c = next) {
    next = LIST_NEXT(c, entry);
    if (c->state == CONNECTION_RESOLVING) {
      connection_address_known(c, problem);
    }
  }
}

/* ---- the client itself ---- */

static bool is_host(slice host) {
  for (size_t i = 0; i < host.len; i++) {
    unsigned char c = (unsigned char)host.ptr[i];
    if (c <= ' ' || c >= 0x7f || strchr("/@?#[]\\", c)) {
      return false;
    }
  }
  return host.len > 0 && host.len <= HOST_BYTES_MAX;
}

static char *text_of(const char *format, const char *open, slice host, const char *close, int port) {
  char *text;
  must(asprintf(&text, format, open, SLICE_ARG(host), close, port) >= 0);
  return text;
}

static void name_host(struct http_client *client, slice host, bool default_port) {
  bool six = memchr(host.ptr, ':', host.len) != NULL;
  const char *open = six ? "[" : "", *close = six ? "]" : "";
  client->host = strndup(host.ptr, host.len);
  must(client->host != NULL);
  client->host_line =
      text_of(default_port ? "host: %s%.*s%s\r\n" : "host: %s%.*s%s:%d\r\n", open, host, close, client->port);
}

bool http_client_new(struct event_base *base, const struct http_origin *origin, struct http_client **out,
                     struct error *err) {
  SSL_CTX *tls = NULL;
  int usual_port = origin->tls ? 443 : 80, port = origin->port ? origin->port : usual_port;
  if (!is_host(origin->host) || port < 1 || port > 65535) {
    return error_set(err, ERR_INVALID, "\"" SLICE_FMT "\" port %d is not a host and a port to connect to",
                     SLICE_ARG(origin->host), port);
  }
  if (origin->tls && (tls = tls_context(err)) == NULL) {
    return false;
  }
  struct http_client *client = mem_alloc(sizeof *client);
  client->base = base;
  client->port = port;
  client->tls = tls;
  client->connect_timeout_ms = origin->connect_timeout_ms ? origin->connect_timeout_ms : CONNECT_TIMEOUT_MS;
  client->silence_timeout_ms = origin->silence_timeout_ms ? origin->silence_timeout_ms : SILENCE_TIMEOUT_MS;
  client->idle_max = origin->idle_max ? origin->idle_max : IDLE_MAX;
  LIST_INIT(&client->idle);
  LIST_INIT(&client->busy);
  name_host(client, origin->host, port == usual_port);
  if (!client_names_init(client, err)) {
    http_client_free(client);
    return false;
  }
  *out = client;
  return true;
}

void http_client_free(struct http_client *client) {
  if (client == NULL) {
    return;
  }
  struct client_connection *c, *next;
  for (c = LIST_FIRST(&client->busy); c; c = next) {
    next = LIST_NEXT(c, entry);
    http_exchange_cancel(c->exchange);
  }
  for (c = LIST_FIRST(&client->idle); c; c = next) {
    next = LIST_NEXT(c, entry);
    connection_free(c);
  }
  client_names_free(client);
  SSL_SESSION_free(client->session);
  free(client->host);
  free(client->host_line);
  free(client);
}

void http_client_figures(const struct http_client *client, struct http_client_figures *out) {
  *out = client->figures;
}
