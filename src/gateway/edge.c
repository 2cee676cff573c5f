/* What belongs to one edge thread: its connections to the upstreams, its calls, and those that wait for room. */
#include "base/log.h"
#include "gateway/private.h"
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 20
#define TICKS_A_SECOND (1000 / TICK_MS)
#define IDLE_CONNECTIONS 1024
#define IDLE_CALLS_MAX 256

/* ---- memory of calls, used again; with it the reader of the answer ---- */

struct call *edge_new_call(struct edge *edge) {
  struct call *call = edge->idle_calls;
  if (call == NULL) {
    return mem_alloc(sizeof *call);
  }
  struct wire_reader *reader = call->idle_reader;
  edge->idle_calls = call->next_waiting;
  edge->idle_count--;
  memset(call, 0, sizeof *call);
  call->idle_reader = reader;
  return call;
}

void edge_old_call(struct edge *edge, struct call *call) {
  if (call->reader) {
    wire_reader_free(call->idle_reader);
    call->idle_reader = call->reader;
  }
  if (edge->idle_count == IDLE_CALLS_MAX) {
    wire_reader_free(call->idle_reader);
    free(call);
    return;
  }
  call->next_waiting = edge->idle_calls;
  edge->idle_calls = call;
  edge->idle_count++;
}

static void free_idle(struct edge *edge) {
  while (edge->idle_calls) {
    struct call *next = edge->idle_calls->next_waiting;
    wire_reader_free(edge->idle_calls->idle_reader);
    free(edge->idle_calls);
    edge->idle_calls = next;
  }
}

static void tick(evutil_socket_t fd, short what, void *context) {
  struct edge *edge = context;
  instant now = clock_now();
  (void)fd;
  (void)what;
  edge->ticks++;
  edge_settle(edge);
  edge_write_log(edge);
  edge_unpark(edge);
  if (edge->ticks % TICKS_A_SECOND == 0) {
    for (struct call *call = edge->calls, *next; call; call = next) {
      next = call->next_on_edge;
      call_keep_alive(call, now);
    }
  }
  if (edge->ticks % (2 * TICKS_A_SECOND) == 0 && edge->calls) {
    edge_note_calls(edge, now);
  }
}

static void gathered(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  edge_settle(context);
}

struct edge *edge_of(struct gateway *gateway, struct http_request *r) {
  void **slot = http_edge_slot(r);
  if (*slot == NULL) {
    struct edge *edge = mem_alloc(sizeof *edge);
    edge->gateway = gateway;
    edge->index = http_edge_index(r);
    edge->base = http_base(r);
    edge->clients = mem_alloc((gateway->catalog->upstream_count + 1) * sizeof(struct http_client *));
    buf_init(&edge->piece, (size_t)LIMIT_BODY_BYTES * 4);
    edge->last_ended = &edge->ended;
    edge->gathered = event_new(edge->base, -1, 0, gathered, edge);
    must(edge->gathered != NULL);
    buf_init(&edge->log, (size_t)1 << 20);
    edge->tick = event_new(edge->base, -1, EV_PERSIST, tick, edge);
    must(edge->tick && event_add(edge->tick, &(struct timeval){.tv_usec = TICK_MS * 1000}) == 0);
    *slot = edge;
  }
  return *slot;
}

/* The server has stopped: what still runs is cut off, as in a crash, and told by its notes. */
void gateway_edge_free(void *held) {
  struct edge *edge = held;
  event_free(edge->tick);
  event_free(edge->gathered);
  for (size_t i = 0; i < edge->gateway->catalog->upstream_count; i++) {
    http_client_free(edge->clients[i]);
  }
  free_idle(edge);
  free(edge->clients);
  edge_write_log(edge);
  buf_free(&edge->log);
  buf_free(&edge->piece);
  free(edge);
}

struct http_client *edge_client(struct edge *edge, const struct upstream *upstream, struct error *err) {
  struct http_client **client = &edge->clients[upstream->index];
  const struct http_origin origin = {.host = upstream->host,
                                     .port = upstream->port,
                                     .tls = upstream->tls,
                                     .connect_timeout_ms = (int)upstream->connect_timeout_ms,
                                     .silence_timeout_ms = upstream->timeout_s * 1000,
                                     .idle_max = IDLE_CONNECTIONS};
  return *client || http_client_new(edge->base, &origin, client, err) ? *client : NULL;
}

/* ---- waiting for room ---- */

void edge_park(struct edge *edge, struct call *call) {
  struct call **place = &edge->parked[call->tier];
  while (*place) {
    place = &(*place)->next_waiting;
  }
  if (call->parked.ns == 0) {
    call->parked = clock_now();
  }
  call->next_waiting = NULL;
  call->waits = true;
  *place = call;
}

/* The dearest tier goes first. A model whose upstreams are full does not keep those of others waiting. */
void edge_unpark(struct edge *edge) {
  static const enum model_tier order[MODEL_TIERS] = {TIER_PRIORITY, TIER_DEFAULT, TIER_FLEX, TIER_BATCH};
  if (edge->unparking) {
    return;
  }
  edge->unparking = true;
  for (size_t t = 0; t < MODEL_TIERS; t++) {
    struct call *list = edge->parked[order[t]];
    edge->parked[order[t]] = NULL;
    while (list) {
      struct call *call = list;
      list = list->next_waiting;
      call_unparked(call);
    }
  }
  edge->unparking = false;
}
