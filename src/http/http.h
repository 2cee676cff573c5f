/* HTTP on libevent: a small server with edge threads, routes with path parameters, problem+json, limits and time-outs;
 * answers in pieces; and a client for the edges, with connections kept for the next request. */
#ifndef METERHOUSE_HTTP_HTTP_H
#define METERHOUSE_HTTP_HTTP_H
#include "base/limits.h"

struct event_base;

#define HTTP_PARAMS_MAX 4
#define HTTP_BODY_BYTES_MAX LIMIT_BODY_BYTES
#define HTTP_HEADER_BYTES_MAX LIMIT_HEADER_BYTES

struct http_server;
struct http_request; /* lives until it is answered; answering is allowed from any thread, exactly once */

struct http_route {
  const char *method, *path;                             /* "/api/v1/invoices/{id}/pdf" */
  const void *data;                                      /* the caller\'s own description of the route */
  void (*handle)(struct http_request *r, void *context); /* on an edge thread; must not block */
};
struct http_options {
  const char *listen; /* "127.0.0.1:8080", "[::1]:0" */
  unsigned edge_threads;
  const struct http_route *routes;
  size_t route_count;
  void *context;
  /* Problems under paths that begin with `problem_prefix` are answered by `problem`, with http_answer. NULL: none. */
  const char *problem_prefix;
  void (*problem)(struct http_request *r, int status, const char *code, const char *detail);
  /* Frees what http_edge_slot holds, when the edge has stopped and before its event base goes; not for an empty slot.
   */
  void (*edge_slot_free)(void *held);
};
MUST_USE bool http_start(const struct http_options *options, struct http_server **out, struct error *err);
int http_port(const struct http_server *server);
/* Stops accepting, lets requests under way finish (up to grace_ms), tells those that are watched that their client is
 * `gone`, joins. */
void http_stop(struct http_server *server, int grace_ms);

/* Of a request; slices live until it is answered. */
struct arena *http_arena(struct http_request *r);
const void *http_route_data(const struct http_request *r); /* `data` of the route that was taken */
slice http_method(const struct http_request *r);
slice http_path(const struct http_request *r);
slice http_param(const struct http_request *r, const char *name); /* path parameter, decoded; empty when absent */
slice http_query(const struct http_request *r, const char *name); /* query parameter, decoded; empty when absent */
slice http_header(const struct http_request *r, const char *name);
slice http_body(const struct http_request *r);
const char *http_request_id(const struct http_request *r);

/* The body, read and no longer needed, gives back its memory; http_body is empty from here on. On the edge. */
void http_forget_body(struct http_request *r);

/* Answers. `body` is copied. Adds x-request-id, and cache-control: no-store unless set. */
void http_add_header(struct http_request *r, const char *name, const char *value);
void http_answer(struct http_request *r, int status, const char *content_type, slice body);
/* RFC 9457 from an error: status by code, stable `code`, `detail`, `instance` = request id. */
void http_problem(struct http_request *r, const struct error *err);
/* The same with a status of the caller's choice: 401, 413, 415, 422. */
void http_problem_status(struct http_request *r, int status, const char *code, const char *detail);
int http_status_of(enum error_code code);
/* Runs `then` on the request's edge, from whichever thread: at once when this is it. It must not block. */
void http_on_edge(struct http_request *r, void (*then)(struct http_request *r, void *context), void *context);
/* Of the edge that serves the request, for what belongs to an edge and is used on its thread only. */
struct event_base *http_base(const struct http_request *r);
unsigned http_edge_index(const struct http_request *r); /* 0 to edge_threads - 1 */
void **http_edge_slot(struct http_request *r);          /* NULL inside until the owner of the options fills it */

/* ---- answers in pieces: all on the request's edge (http_on_edge leads there) ---- */

/* Status and headers: with those of http_add_header, and as http_answer adds them. `content_length` -1 when it is not
 * known: chunked for HTTP/1.1, until the connection closes for 1.0. They leave with the first piece, or with the end,
 * or when http_stream_send is given an empty piece. */
void http_stream_begin(struct http_request *r, int status, const char *content_type, int64_t content_length);
/* Copied, and written to the network at once as far as it takes it. A piece is dropped when the client has gone and
 * when the answer has no body (HEAD, 204, 304). Pieces that together are not content_length are a must(). */
void http_stream_send(struct http_request *r, slice piece);
/* The last piece (may be empty) and the end in one write. The request is gone after it. */
void http_stream_finish(struct http_request *r, slice last);
void http_stream_end(struct http_request *r);
/* Closes the connection without a proper end, begun or not: the client sees that the answer is not whole. The request
 * is gone after it. */
void http_stream_abort(struct http_request *r);
/* Bytes that the client's network has not taken. Whoever streams holds this down: stop at HTTP_STREAM_HIGH_BYTES, go on
 * at `drained`. A client that takes nothing for LIMIT_REQUEST_TIMEOUT_S while bytes wait is cut (`gone`); a stream that
 * is quiet is not. */
size_t http_stream_waiting(const struct http_request *r);
#define HTTP_STREAM_HIGH_BYTES ((size_t)256 << 10)
#define HTTP_STREAM_LOW_BYTES ((size_t)32 << 10)

/* What a request's owner is told, on its edge, from the loop and never from within a call above. */
struct http_watch {
  void (*gone)(void *context);    /* the client closed or reset; at most once. The request still has to be ended, by
                                     http_answer or http_stream_end/finish/abort, now or later: that frees it */
  void (*drained)(void *context); /* what waited fell to HTTP_STREAM_LOW_BYTES; NULL: not needed */
};
/* From here on, before anything is answered as well. A client that shuts down its sending side counts as gone. What it
 * sends meanwhile (the next request) waits, at most HTTP_WATCH_BYTES_MAX of it; beyond that its
 * leaving is seen only when something is written. Once a request, before http_stream_begin; on the edge. */
void http_watch(struct http_request *r, const struct http_watch *watch, void *context);
#define HTTP_WATCH_BYTES_MAX ((size_t)16 << 10)

/* Work that may take long (PDF, summaries) leaves the edge: runs on a small pool, then answers. ERR_LIMIT when the
 * pool's queue is full. */
MUST_USE bool http_work(struct http_request *r, void (*work)(struct http_request *r, void *context), void *context,
                        struct error *err);

/* ---- the client: HTTP/1.1 to one origin, on one event base and its thread ---- */

/* Where requests go. Each 0 takes the value in brackets. */
struct http_origin {
  slice host; /* a name, or an address of IPv4 or IPv6 (without the brackets) */
  int port;   /* [80; 443 with tls] */
  bool tls;   /* the certificate is verified against the system's store (SSL_CERT_FILE is heeded) and the host */
  int connect_timeout_ms;     /* to connect, TLS included, over all addresses of a name [5000] */
  int64_t silence_timeout_ms; /* that the other side sends nothing, or takes nothing, while it should [120000] */
  size_t idle_max;            /* connections kept open without a request [64]; the last used is used first */
};
struct http_client;
/* Copies `origin`; connects on the first request. ERR_INVALID for a host or port that can not be, ERR_IO when the
 * system's certificates can not be read. */
MUST_USE bool http_client_new(struct event_base *base, const struct http_origin *origin, struct http_client **out,
                              struct error *err);
/* Closes all; exchanges under way are cancelled. NULL is fine. Not from within a hook. */
void http_client_free(struct http_client *client);

struct http_field {
  slice name, value;
};
/* The head of an answer; 1xx are left out. Lives during the callback. */
struct http_reply {
  int status;
  const struct http_field *fields;
  size_t field_count;
};
slice http_reply_header(const struct http_reply *reply, const char *name); /* the first; empty when absent */

enum http_failure {
  HTTP_FAILED_CONNECT,  /* the name is not known, or nobody answers there */
  HTTP_FAILED_TLS,      /* the certificate is not trusted or not of this host; no common protocol */
  HTTP_FAILED_TIMEOUT,  /* connect_timeout_ms or silence_timeout_ms passed */
  HTTP_FAILED_CLOSED,   /* the connection ended before the answer did */
  HTTP_FAILED_MALFORMED /* what came is not HTTP/1.1, or is beyond its limits */
};
const char *http_failure_name(enum http_failure why); /* "connect", "tls", "timeout", "closed", "malformed" */

/* All on the client's thread, from the loop and never from within http_client_send. Either `done` or `failed` comes
 * last, once; the exchange is gone when it returns. Any hook may cancel its own exchange, and send others. */
struct http_exchange_hooks {
  void (*head)(void *context, const struct http_reply *reply);
  void (*body)(void *context, slice piece); /* unchunked; lives during the callback; any number of times */
  void (*rest)(void *context); /* all that was read at once was handed over, and the answer goes on; may be NULL. It may
                                  pause the exchange, but not cancel it */
  void (*done)(void *context);
  void (*failed)(void *context, enum http_failure why, const char *detail);
};
struct http_exchange;
/* Sends at once over a kept connection, or connects. `headers` are whole lines ("name: value\r\n"...) or empty, without
 * host and content-length, which are added; none that is about the connection (connection, transfer-encoding, expect,
 * upgrade). `path` begins with '/'. `body` is not copied: it stays as it is until `head` or the end. All else is
 * copied. A request that dies on a kept connection before any byte of its answer is sent once more on a fresh one,
 * since the other side closes connections as it likes; otherwise nothing is sent twice. */
struct http_exchange *http_client_send(struct http_client *client, const char *method, slice path, slice headers,
                                       slice body, const struct http_exchange_hooks *hooks, void *context);
/* Flow control: no hook is called between pause and resume, what was read already (at most 64 KiB) is kept, and the
 * time does not count as silence. From hooks as well. */
void http_exchange_pause(struct http_exchange *x);
void http_exchange_resume(struct http_exchange *x);
/* Closes its connection at once, so that the other side notices. No hook is called any more, the exchange is gone. */
void http_exchange_cancel(struct http_exchange *x);

struct http_client_figures {
  size_t busy, idle; /* open connections */
  uint64_t connected, reused, sent_again;
};
void http_client_figures(const struct http_client *client, struct http_client_figures *out);
#endif
