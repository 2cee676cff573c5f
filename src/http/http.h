/* HTTP on libevent: a small server with edge threads, routes with path parameters, problem+json, limits and time-outs.
 */
#ifndef METERHOUSE_HTTP_HTTP_H
#define METERHOUSE_HTTP_HTTP_H
#include "base/limits.h"

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
};
MUST_USE bool http_start(const struct http_options *options, struct http_server **out, struct error *err);
int http_port(const struct http_server *server);
/* Stops accepting, lets requests under way finish (up to grace_ms), joins. */
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
/* Work that may take long (PDF, summaries) leaves the edge: runs on a small pool, then answers. ERR_LIMIT when the
 * pool's queue is full. */
MUST_USE bool http_work(struct http_request *r, void (*work)(struct http_request *r, void *context), void *context,
                        struct error *err);
#endif
