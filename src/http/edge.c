/* An edge: its loop, its connections with what their bodies take of the memory, and what other threads hand to it. */
#include "base/limits.h"
#include "http/private.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdlib.h>

#define IDLE_ARENAS_MAX 64
#define IDLE_ARENA_BYTES_MAX ((size_t)1 << 20)
#define SWEEP_MS 50
#define SWEEP_AT_LEAST ((size_t)512)
/* What is longer is refused by evhttp, as HTML; up to here bodies that are too large are read and refused in the shape
 * that clients know. */
#define READ_BODY_BYTES (LIMIT_BODY_BYTES * 2)

/* So that what is handed over by the edge itself is done at once. */
static _Thread_local struct http_edge *this_edge;

/* ---- connections, and the memory of the bodies they bring ---- */

void edge_take_room(struct http_edge *edge, size_t bytes) {
  atomic_fetch_add(&edge->server->bodies_bytes, bytes);
}

void edge_give_room(struct http_edge *edge, size_t bytes) {
  atomic_fetch_sub(&edge->server->bodies_bytes, bytes);
}

static bool room_is_left(const struct http_edge *edge) {
  return atomic_load(&edge->server->bodies_bytes) < LIMIT_BODIES_BYTES;
}

/* Bytes came in, or were taken out as a request. */
static void input_changed(struct evbuffer *input, const struct evbuffer_cb_info *info, void *context) {
  struct http_connection *c = context;
  (void)input;
  c->buffered_bytes += info->n_added - info->n_deleted;
  atomic_fetch_add(&c->edge->server->bodies_bytes, info->n_added - info->n_deleted);
  if (info->n_added > 0 && !room_is_left(c->edge)) {
    event_active(c->edge->sweep, EV_TIMEOUT, 0);
  }
}

static void heed_connection_limit(struct http_edge *edge) {
  struct evconnlistener *listener = edge->bound ? evhttp_bound_socket_get_listener(edge->bound) : NULL;
  if (listener == NULL) {
    return;
  }
  if (edge->connections.count >= LIMIT_CONNECTIONS / edge->server->edge_count) {
    evconnlistener_disable(listener);
  } else {
    evconnlistener_enable(listener);
  }
}

/* evhttp asks for the buffers of a connection it accepted. It does not say when it drops them, so a reference is kept
 * and swept; the socket belongs to the buffers, and its number is not used again before they are gone. */
static struct bufferevent *connection_opened(struct event_base *base, void *context) {
  struct http_edge *edge = context;
  struct http_connection *c = mem_alloc(sizeof *c);
  c->edge = edge;
  c->buffers = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
  must(c->buffers != NULL && evbuffer_add_cb(bufferevent_get_input(c->buffers), input_changed, c) != NULL);
  bufferevent_incref(c->buffers);
  vec_push(&edge->connections, c);
  heed_connection_limit(edge);
  return c->buffers;
}

static bool connection_is_closed(const struct http_connection *c) {
  bufferevent_data_cb on_read, on_write;
  bufferevent_event_cb on_event;
  void *argument;
  bufferevent_getcb(c->buffers, &on_read, &on_write, &on_event, &argument);
  return on_read == NULL && on_write == NULL && on_event == NULL;
}

static void connection_free(struct http_connection *c) {
  edge_give_room(c->edge, c->buffered_bytes);
  bufferevent_decref(c->buffers);
  free(c);
}

/* Each time a part of them, so that thousands that are open cost little. */
static void sweep_closed(struct http_edge *edge) {
  size_t quarter = edge->connections.count / 4;
  for (size_t n = quarter > SWEEP_AT_LEAST ? quarter : SWEEP_AT_LEAST; n > 0 && edge->connections.count > 0; n--) {
    size_t i = edge->swept < edge->connections.count ? edge->swept : 0;
    struct http_connection *c = edge->connections.items[i];
    edge->swept = i + 1;
    if (connection_is_closed(c)) {
      edge->connections.items[i] = edge->connections.items[--edge->connections.count];
      edge->swept = i;
      edge->held -= c->held ? 1 : 0;
      connection_free(c);
    }
  }
}

/* The one that has come furthest always goes on, so that there is an end to it. */
static struct http_connection *furthest(const struct http_edge *edge) {
  struct http_connection *most = NULL;
  for (size_t i = 0; i < edge->connections.count; i++) {
    struct http_connection *c = edge->connections.items[i];
    most = most == NULL || c->buffered_bytes > most->buffered_bytes ? c : most;
  }
  return most;
}

/* Without room, bodies that are being read wait in the network; with room again they go on. */
static void hold_or_go_on(struct http_edge *edge) {
  bool room = room_is_left(edge);
  if (room && edge->held == 0) {
    return;
  }
  const struct http_connection *first = room ? NULL : furthest(edge);
  for (size_t i = 0; i < edge->connections.count; i++) {
    struct http_connection *c = edge->connections.items[i];
    if (c->held && (room || c == first)) {
      c->held = false;
      edge->held--;
      bufferevent_enable(c->buffers, EV_READ);
    } else if (!room && c != first && c->buffered_bytes > 0 && (bufferevent_get_enabled(c->buffers) & EV_READ)) {
      c->held = true;
      edge->held++;
      bufferevent_disable(c->buffers, EV_READ);
    }
  }
}

static void sweep(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  struct http_edge *edge = context;
  sweep_closed(edge);
  hold_or_go_on(edge);
  heed_connection_limit(edge);
}

/* ---- memory of requests, used again ---- */

struct arena *edge_arena(struct http_edge *edge) {
  return edge->idle_arenas.count > 0 ? edge->idle_arenas.items[--edge->idle_arenas.count] : arena_new();
}

void edge_arena_back(struct http_edge *edge, struct arena *arena) {
  if (edge->idle_arenas.count == IDLE_ARENAS_MAX || arena_used_bytes(arena) > IDLE_ARENA_BYTES_MAX) {
    arena_free(arena);
    return;
  }
  arena_reset(arena);
  vec_push(&edge->idle_arenas, arena);
}

/* ---- what other threads hand over ---- */

static void take_handed(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  struct http_edge *edge = context;
  pthread_mutex_lock(&edge->lock);
  struct http_request *r = edge->handed;
  edge->handed = NULL;
  edge->last_handed = &edge->handed;
  pthread_mutex_unlock(&edge->lock);
  while (r) {
    struct http_request *next = r->next;
    r->then(r, r->then_context);
    r = next;
  }
}

void edge_hand_over(struct http_request *r, void (*then)(struct http_request *r, void *context), void *context) {
  struct http_edge *edge = r->edge;
  r->then = then;
  r->then_context = context;
  r->next = NULL;
  pthread_mutex_lock(&edge->lock);
  bool first = edge->handed == NULL;
  *edge->last_handed = r;
  edge->last_handed = &r->next;
  pthread_mutex_unlock(&edge->lock);
  if (first) { /* else it is awake already, or about to be */
    event_active(edge->wake, EV_TIMEOUT, 0);
  }
}

void http_on_edge(struct http_request *r, void (*then)(struct http_request *r, void *context), void *context) {
  if (r->edge == this_edge) {
    then(r, context);
  } else {
    edge_hand_over(r, then, context);
  }
}

/* ---- of the edge, for those who answer ---- */

struct event_base *http_base(const struct http_request *r) {
  return r->edge->base;
}
unsigned http_edge_index(const struct http_request *r) {
  return (unsigned)(r->edge - r->edge->server->edges);
}
void **http_edge_slot(struct http_request *r) {
  return &r->edge->slot;
}

/* The server stops: to those who answer it is as if all clients had left. */
void edge_tell_gone(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  struct http_edge *edge = context;
  struct http_request *r;
  while ((r = LIST_FIRST(&edge->watched)) != NULL) {
    stream_tell_gone(r);
  }
}

/* ---- the loop ---- */

static void *edge_run(void *context) {
  struct http_edge *edge = context;
  this_edge = edge;
  event_base_loop(edge->base, EVLOOP_NO_EXIT_ON_EMPTY);
  return NULL;
}

/* Changes of interest are handed to the kernel once a turn, and only what is left of them. */
static struct event_base *new_base(void) {
  struct event_config *config = event_config_new();
  must(config && event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0);
  struct event_base *base = event_base_new_with_config(config);
  event_config_free(config);
  return base;
}

void edge_start(struct http_server *server, struct http_edge *edge, int fd) {
  edge->server = server;
  edge->base = new_base();
  edge->http = evhttp_new(edge->base);
  edge->last_handed = &edge->handed;
  must(edge->base && edge->http && pthread_mutex_init(&edge->lock, NULL) == 0);
  edge->wake = event_new(edge->base, -1, EV_PERSIST, take_handed, edge);
  edge->sweep = event_new(edge->base, -1, EV_PERSIST, sweep, edge);
  must(edge->wake && edge->sweep && event_add(edge->sweep, &(struct timeval){.tv_usec = SWEEP_MS * 1000}) == 0);
  evhttp_set_max_body_size(edge->http, READ_BODY_BYTES);
  evhttp_set_max_headers_size(edge->http, LIMIT_HEADER_BYTES);
  evhttp_set_timeout(edge->http, LIMIT_REQUEST_TIMEOUT_S);
  evhttp_set_allowed_methods(edge->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                             EVHTTP_REQ_PATCH | EVHTTP_REQ_HEAD);
  evhttp_set_bevcb(edge->http, connection_opened, edge);
  evhttp_set_gencb(edge->http, request_arrived, edge);
  edge->bound = evhttp_accept_socket_with_handle(edge->http, fd);
  must(edge->bound != NULL && pthread_create(&edge->thread, NULL, edge_run, edge) == 0);
  pthread_setname_np(edge->thread, "edge");
}

void edge_stop_accepting(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  struct http_edge *edge = context;
  evhttp_del_accept_socket(edge->http, edge->bound);
  edge->bound = NULL;
}

/* After its thread has ended. */
void edge_free(struct http_edge *edge) {
  if (edge->slot) {
    edge->server->options.edge_slot_free(edge->slot);
  }
  evhttp_free(edge->http);
  for (size_t i = 0; i < edge->connections.count; i++) {
    connection_free(edge->connections.items[i]);
  }
  event_free(edge->wake);
  event_free(edge->sweep);
  event_base_free(edge->base);
  for (size_t i = 0; i < edge->idle_arenas.count; i++) {
    arena_free(edge->idle_arenas.items[i]);
  }
  vec_free(&edge->idle_arenas);
  vec_free(&edge->connections);
  pthread_mutex_destroy(&edge->lock);
}
