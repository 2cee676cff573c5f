/* Inside http: the server, its edges, and a request on its way. */
#ifndef METERHOUSE_HTTP_PRIVATE_H
#define METERHOUSE_HTTP_PRIVATE_H
#include "http/http.h"
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#define HTTP_MAGIC 0x4d485454u
#define REQUEST_MAGIC 0x4d485251u
#define EDGE_THREADS_MAX 16

/* An open connection, or one that was closed a moment ago. */
struct http_connection {
  struct http_edge *edge;
  struct bufferevent *buffers;
  size_t buffered_bytes; /* read, and not yet a request */
  bool held;             /* is not read from, for want of room */
};
struct http_edge {
  struct http_server *server;
  struct event_base *base;
  struct evhttp *http;
  struct evhttp_bound_socket *bound; /* NULL: no longer accepting */
  pthread_t thread;
  VEC(struct http_connection *) connections;
  VEC(struct arena *) idle_arenas;
  pthread_mutex_t lock; /* of what other threads hand over */
  struct http_request *handed, **last_handed;
  struct event *wake, *sweep;
  LIST_HEAD(, http_request) watched;
  size_t swept, held; /* the next connection to look at; how many are not read from */
  void *slot;
  time_t date_s; /* of the second that `date` tells, as a line of a head */
  char date[64];
  size_t date_length;
  bool in_evhttp; /* which has called and is not done: an answer is not to end the connection under its feet */
};

struct http_server {
  uint32_t magic;
  struct http_options options;
  struct http_edge edges[EDGE_THREADS_MAX];
  unsigned edge_count;
  int port;
  _Atomic uint64_t in_flight;
  _Atomic size_t bodies_bytes;
  struct workers *workers;
};

struct http_param {
  slice name, value;
};
/* Of a request that is watched or answered in pieces: its connection's callbacks are ours until it ends. */
struct http_stream {
  bool ours, begun, is_watched, gone;
  bool is_low; /* what waits is below the low mark, or was not above it */
  bool has_body;
  int64_t left; /* of content_length; -1: not known */
  struct http_watch watch;
  void *context;
  bufferevent_data_cb evhttp_written;
  bufferevent_event_cb evhttp_event;
  void *evhttp_argument;
};
struct http_request {
  uint32_t magic;
  struct http_edge *edge;
  struct evhttp_request *ev;
  struct evkeyvalq query;
  struct arena *arena;
  slice path, body;
  const struct http_route *route;
  struct http_param params[HTTP_PARAMS_MAX];
  size_t param_count;
  char id[40];
  struct buf headers; /* of the answer, as lines */
  bool has_cache_control;
  atomic_bool answered;
  int status;
  struct evbuffer *answer;
  slice answer_type;
  size_t body_bytes; /* counted as taken */
  struct buf unpacked;
  struct http_stream stream;
  LIST_ENTRY(http_request) watched;
  /* handed over to the edge */
  struct http_request *next;
  void (*then)(struct http_request *r, void *context);
  void *then_context;
};

/* Finds the route; -1 none, -2 the path exists under other methods. */
int route_find(const struct http_options *options, slice method, slice path, struct http_request *r);
/* Percent-decodes into the arena; ERR_INVALID for a broken escape or a NUL. */
MUST_USE bool url_decode(struct arena *arena, slice text, slice *out, struct error *err);

/* The general callback of evhttp. */
void request_arrived(struct evhttp_request *ev, void *context);
/* ---- head.c ---- */
/* Status, headers and framing of an answer of `length` bytes; -1: in chunks, or until the connection closes. On the
 * edge. */
void head_write(struct http_request *r, struct evbuffer *output, int status, slice content_type, int64_t length);
void request_free(struct http_request *r); /* all but what is evhttp's */
void write_at_once(struct bufferevent *buffers);
/* stream.c: evhttp has its connection back. */
void stream_give_back(struct http_request *r);
void stream_tell_gone(struct http_request *r);

void edge_start(struct http_server *server, struct http_edge *edge, int fd); /* the socket becomes its own */
void edge_stop_accepting(evutil_socket_t fd, short what, void *context);
void edge_free(struct http_edge *edge);
/* For later, also when this is the request's edge. */
void edge_hand_over(struct http_request *r, void (*then)(struct http_request *r, void *context), void *context);
void edge_tell_gone(evutil_socket_t fd, short what, void *context);
/* Memory of bodies, over all edges: beyond the limit, reading from connections waits. */
void edge_take_room(struct http_edge *edge, size_t bytes);
void edge_give_room(struct http_edge *edge, size_t bytes);
/* Arenas for requests, kept for the next one. */
struct arena *edge_arena(struct http_edge *edge);
void edge_arena_back(struct http_edge *edge, struct arena *arena);

struct workers;
struct workers *workers_start(unsigned threads);
MUST_USE bool workers_add(struct workers *w, void (*run)(struct http_request *r, void *context), struct http_request *r,
                          void *context, struct error *err);
void workers_stop(struct workers *w);
#endif
