/* The gateway's own thread: it checks the health of upstreams, and gives back credit that nobody uses. */
#include "base/log.h"
#include "gateway/private.h"
#include <event2/event.h>
#include <stdlib.h>

#define HEALTH_S 5
#define HEALTH_TIMEOUT_MS 4000

/* One upstream under observation. */
struct checkup {
  struct gateway *gateway;
  const struct upstream *upstream;
  struct http_client *client;
  struct http_exchange *exchange;
  int status;
};
struct keeper {
  struct checkup *checkups;
  struct event *health, *rest, *stop;
};

static void judge(struct checkup *c, bool healthy) {
  c->exchange = NULL;
  route_health(c->gateway->routes, c->upstream, healthy);
}

static void on_head(void *context, const struct http_reply *reply) {
  ((struct checkup *)context)->status = reply->status;
}

static void on_body(void *context, slice piece) {
  (void)context;
  (void)piece;
}

static void on_done(void *context) {
  struct checkup *c = context;
  judge(c, c->status >= 200 && c->status < 300);
}

static void on_failed(void *context, enum http_failure why, const char *detail) {
  struct checkup *c = context;
  log_line(LOG_WARN, "gateway", "upstream " SLICE_FMT " is not healthy: %s: %s", SLICE_ARG(c->upstream->name),
           http_failure_name(why), detail);
  judge(c, false);
}

static void check(struct checkup *c) {
  static const struct http_exchange_hooks hooks = {on_head, on_body, NULL, on_done, on_failed};
  const struct upstream *u = c->upstream;
  struct error err = {0};
  const struct http_origin origin = {.host = u->host,
                                     .port = u->port,
                                     .tls = u->tls,
                                     .connect_timeout_ms = HEALTH_TIMEOUT_MS,
                                     .silence_timeout_ms = HEALTH_TIMEOUT_MS,
                                     .idle_max = 1};
  if (u->health.len == 0 || c->exchange) {
    return;
  }
  if (c->client == NULL && !http_client_new(c->gateway->base, &origin, &c->client, &err)) {
    judge(c, false);
    return;
  }
  c->status = 0;
  c->exchange =
      http_client_send(c->client, "GET", u->health, c->gateway->upstream_headers[u->index], (slice){0}, &hooks, c);
}

static void check_all(evutil_socket_t fd, short what, void *context) {
  struct gateway *gateway = context;
  (void)fd;
  (void)what;
  for (size_t i = 0; i < gateway->catalog->upstream_count; i++) {
    check(&gateway->keeper->checkups[i]);
  }
}

static void rest(evutil_socket_t fd, short what, void *context) {
  struct gateway *gateway = context;
  instant now = clock_now();
  (void)fd;
  (void)what;
  pthread_mutex_lock(&gateway->lock);
  for (size_t i = 0; i < gateway->purses.capacity; i++) {
    if (gateway->purses.slots[i].value) {
      purse_rest(gateway->purses.slots[i].value, now);
    }
  }
  pthread_mutex_unlock(&gateway->lock);
}

static void stop(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  event_base_loopbreak(((struct gateway *)context)->base);
}

static void *run(void *context) {
  struct gateway *gateway = context;
  event_base_loop(gateway->base, EVLOOP_NO_EXIT_ON_EMPTY);
  return NULL;
}

static struct event *timer(struct gateway *gateway, int seconds, event_callback_fn fn) {
  struct event *event = event_new(gateway->base, -1, EV_PERSIST, fn, gateway);
  must(event && event_add(event, &(struct timeval){.tv_sec = seconds}) == 0);
  return event;
}

void keeper_start_thread(struct gateway *gateway) {
  struct keeper *keeper = mem_alloc(sizeof *keeper);
  size_t count = gateway->catalog->upstream_count;
  gateway->keeper = keeper;
  gateway->base = event_base_new();
  keeper->checkups = mem_alloc((count + 1) * sizeof *keeper->checkups);
  for (size_t i = 0; i < count; i++) {
    keeper->checkups[i] = (struct checkup){.gateway = gateway, .upstream = &gateway->catalog->upstreams[i]};
  }
  keeper->health = timer(gateway, HEALTH_S, check_all);
  keeper->rest = timer(gateway, 1, rest);
  keeper->stop = event_new(gateway->base, -1, EV_PERSIST, stop, gateway);
  event_active(keeper->health, EV_TIMEOUT, 0);
  must(keeper->stop && pthread_create(&gateway->thread, NULL, run, gateway) == 0);
  pthread_setname_np(gateway->thread, "gateway");
}

void keeper_stop_thread(struct gateway *gateway) {
  struct keeper *keeper = gateway->keeper;
  event_active(keeper->stop, EV_TIMEOUT, 0);
  pthread_join(gateway->thread, NULL);
  for (size_t i = 0; i < gateway->catalog->upstream_count; i++) {
    http_client_free(keeper->checkups[i].client);
  }
  event_free(keeper->health);
  event_free(keeper->rest);
  event_free(keeper->stop);
  event_base_free(gateway->base);
  free(keeper->checkups);
  free(keeper);
  gateway->keeper = NULL;
}
