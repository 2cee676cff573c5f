/* Which upstream takes a call, what runs where, and what of an upstream's cost each call bears. */
#include "gateway/routes.h"
#include "base/hash.h"
#include "gateway/circuit.h"
#include "gateway/rendezvous.h"
#include "gateway/upstream_cost.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define NS_PER_MS 1000000
#define RETRY_UNKNOWN_MS 1000 /* a health check or a trial decides, and either is soon */
#define HEALTH_FAILURES_MAX 2
#define RETRY_AFTER_MS_MAX (600 * 1000)
/* Of a weighted share, what one target may run at most: 5/4. */
#define BOUND_OVER 5
#define BOUND_UNDER 4

struct server {
  const struct upstream *upstream;
  uint64_t seed; /* in rendezvous hashing: by its name, so that it is the same after a restart */
  uint32_t running;
  uint32_t unhealthy; /* checks that failed in a row */
  instant full_until; /* it said so itself */
  struct circuit circuit;
  struct upstream_cost cost;
  uint64_t calls, failed, refused;
  int128 spent_e12;
};
struct routes {
  pthread_mutex_t lock;
  struct rendezvous rendezvous;
  _Atomic uint64_t turn; /* stands in for the affinity of calls that have none */
  size_t count;
  struct server servers[];
};

bool routes_new(const struct catalog *catalog, instant now, struct routes **out, struct error *err) {
  size_t count = catalog->upstream_count;
  must(count <= CATALOG_UPSTREAMS_MAX);
  struct routes *r = mem_alloc(sizeof *r + count * sizeof *r->servers);
  must(pthread_mutex_init(&r->lock, NULL) == 0);
  r->count = count;
  rendezvous_start(&r->rendezvous);
  for (size_t i = 0; i < count; i++) {
    const struct upstream *u = &catalog->upstreams[i];
    r->servers[i].upstream = u;
    r->servers[i].seed = hash64(u->name, 0);
    if (!upstream_cost_start(catalog, u, now, &r->servers[i].cost, err)) {
      routes_free(r);
      return false;
    }
  }
  *out = r;
  return true;
}

void routes_free(struct routes *r) {
  if (r != NULL) {
    pthread_mutex_destroy(&r->lock);
    free(r);
  }
}

static struct server *server_of(struct routes *r, const struct upstream *u) {
  must(u->index < r->count && r->servers[u->index].upstream == u);
  return &r->servers[u->index];
}

enum standing { STANDS_FREE, STANDS_FULL, STANDS_DOWN };
static enum standing standing_of(const struct server *s, instant now) {
  if (s->unhealthy >= HEALTH_FAILURES_MAX || !circuit_lets(&s->circuit, now)) {
    return STANDS_DOWN;
  }
  bool full = s->upstream->concurrency > 0 && s->running >= s->upstream->concurrency;
  return full || now.ns < s->full_until.ns ? STANDS_FULL : STANDS_FREE;
}

/* Targets that may take the call, all of one priority; and why the others may not. */
struct candidates {
  struct candidate {
    const struct model_target *target;
    struct server *server;
    uint64_t distance;
  } of[CATALOG_TARGETS_MAX];
  size_t count;
  bool any_full, room_when_one_ends;
  int64_t full_ms, down_ms; /* until the first may take a call; -1: none is known */
};

static void note_sooner(int64_t *ms, int64_t found) {
  if (*ms < 0 || found < *ms) {
    *ms = found;
  }
}

static void note_full(struct candidates *c, const struct server *s, instant now) {
  c->any_full = true;
  if (now.ns < s->full_until.ns) {
    note_sooner(&c->full_ms, (s->full_until.ns - now.ns + NS_PER_MS - 1) / NS_PER_MS);
  } else {
    c->room_when_one_ends = true;
  }
}

static void note_down(struct candidates *c, const struct server *s, instant now) {
  int64_t ms = s->unhealthy >= HEALTH_FAILURES_MAX ? 0 : circuit_wait_ms(&s->circuit, now);
  note_sooner(&c->down_ms, ms > 0 ? ms : RETRY_UNKNOWN_MS);
}

static uint64_t tried_bits(const struct route_call *call) {
  uint64_t bits = 0;
  for (size_t i = 0; i < call->tried_count && i < ROUTE_TRIES_MAX; i++) {
    must(call->tried[i] < CATALOG_TARGETS_MAX);
    bits |= UINT64_C(1) << call->tried[i];
  }
  return bits;
}

/* Narrows what prepare listed down to the best priority that has room. */
static void narrow(struct candidates *c, instant now) {
  size_t kept = 0;
  for (size_t i = 0; i < c->count; i++) {
    struct candidate one = c->of[i];
    enum standing standing = standing_of(one.server, now);
    if (standing == STANDS_FULL) {
      note_full(c, one.server, now);
    } else if (standing == STANDS_DOWN) {
      note_down(c, one.server, now);
    } else if (kept == 0 || one.target->priority <= c->of[0].target->priority) {
      kept = kept > 0 && one.target->priority < c->of[0].target->priority ? 0 : kept;
      c->of[kept++] = one;
    }
  }
  c->count = kept;
}

/* What needs no lock: the targets that were not tried, and how the affinity likes them. */
static void prepare(struct routes *r, const struct route_call *call, struct candidates *c) {
  const struct model *m = call->model;
  uint64_t tried = tried_bits(call), key = call->affinity;
  must(m->target_count <= CATALOG_TARGETS_MAX);
  if (key == 0) {
    key = atomic_fetch_add_explicit(&r->turn, 1, memory_order_relaxed);
  }
  c->count = 0;
  c->any_full = c->room_when_one_ends = false;
  c->full_ms = c->down_ms = -1;
  for (size_t i = 0; i < m->target_count; i++) {
    if (!(tried >> i & 1)) {
      struct server *s = server_of(r, m->targets[i].upstream);
      uint64_t distance = m->target_count > 1 ? rendezvous_distance(&r->rendezvous, key, s->seed) : 0;
      c->of[c->count++] = (struct candidate){&m->targets[i], s, distance};
    }
  }
}

static bool is_liked_better(const struct candidate *a, const struct candidate *b) {
  return rendezvous_cmp(a->distance, a->target->weight, b->distance, b->target->weight) < 0;
}

static const struct candidate *least_loaded(const struct candidates *c) {
  const struct candidate *best = &c->of[0];
  for (size_t i = 1; i < c->count; i++) {
    const struct candidate *one = &c->of[i];
    int64_t mine = one->server->running * best->target->weight, its = best->server->running * one->target->weight;
    if (mine < its || (mine == its && is_liked_better(one, best))) {
      best = one;
    }
  }
  return best;
}

/* The bounds of all candidates sum to more than what runs, so there is always one that is below its own. */
static const struct candidate *liked_with_room(const struct candidates *c) {
  int64_t running = 1, weights = 0;
  for (size_t i = 0; i < c->count; i++) {
    running += c->of[i].server->running;
    weights += c->of[i].target->weight;
  }
  const struct candidate *best = NULL;
  for (size_t i = 0; i < c->count; i++) {
    const struct candidate *one = &c->of[i];
    int64_t bound = (BOUND_OVER * running * one->target->weight + BOUND_UNDER * weights - 1) / (BOUND_UNDER * weights);
    if (one->server->running < bound && (best == NULL || is_liked_better(one, best))) {
      best = one;
    }
  }
  must(best != NULL);
  return best;
}

static void begin(const struct candidate *chosen, instant now, struct route_place *out) {
  struct server *s = chosen->server;
  upstream_cost_pass(&s->cost, s->running, now);
  s->running++;
  s->calls++;
  *out = (struct route_place){chosen->target, s->cost.clock_e24, circuit_take(&s->circuit, now)};
}

enum route_verdict route_pick(struct routes *r, const struct route_call *call, instant now, struct route_place *out,
                              int64_t *retry_ms) {
  struct candidates c;
  prepare(r, call, &c);
  *retry_ms = 0;
  must(pthread_mutex_lock(&r->lock) == 0);
  narrow(&c, now);
  if (c.count > 0) {
    begin(call->affinity != 0 ? liked_with_room(&c) : least_loaded(&c), now, out);
  }
  must(pthread_mutex_unlock(&r->lock) == 0);
  if (c.count > 0) {
    return ROUTE_FOUND;
  }
  if (c.any_full) {
    *retry_ms = c.room_when_one_ends ? 0 : c.full_ms;
    return ROUTE_FULL;
  }
  *retry_ms = c.down_ms < 0 ? RETRY_UNKNOWN_MS : c.down_ms;
  return ROUTE_DOWN;
}

void route_answered(struct routes *r, const struct route_place *place, instant now) {
  if (place->trial != 0) {
    struct server *s = server_of(r, place->target->upstream);
    must(pthread_mutex_lock(&r->lock) == 0);
    circuit_answered(&s->circuit, place->trial, now);
    must(pthread_mutex_unlock(&r->lock) == 0);
  }
}

static void refuse(struct server *s, int64_t retry_after_ms, instant now) {
  int64_t ms = retry_after_ms < 0 ? 0 : retry_after_ms < RETRY_AFTER_MS_MAX ? retry_after_ms : RETRY_AFTER_MS_MAX;
  s->refused++;
  s->full_until = time_later(s->full_until, (instant){now.ns + ms * NS_PER_MS});
}

static void learn(struct server *s, const struct route_place *place, enum route_outcome outcome, int64_t retry_after_ms,
                  instant now) {
  switch (outcome) {
  case ROUTE_OK:
    circuit_succeeded(&s->circuit, place->trial, now);
    return;
  case ROUTE_FAILED:
    s->failed++;
    circuit_failed(&s->circuit, place->trial, now);
    return;
  case ROUTE_REFUSED:
    refuse(s, retry_after_ms, now);
    circuit_unknown(&s->circuit, place->trial);
    return;
  case ROUTE_ABANDONED:
    circuit_unknown(&s->circuit, place->trial);
    return;
  }
}

amount route_ended(struct routes *r, const struct route_place *place, enum route_outcome outcome,
                   int64_t retry_after_ms, instant now) {
  struct server *s = server_of(r, place->target->upstream);
  must(pthread_mutex_lock(&r->lock) == 0);
  must(s->running > 0);
  upstream_cost_pass(&s->cost, s->running, now);
  s->running--;
  amount cost = {(s->cost.clock_e24 - place->clock_before_e24) / COST_E24_PER_E12};
  s->spent_e12 += cost.e12;
  learn(s, place, outcome, retry_after_ms, now);
  must(pthread_mutex_unlock(&r->lock) == 0);
  return cost;
}

void route_health(struct routes *r, const struct upstream *upstream, bool healthy) {
  struct server *s = server_of(r, upstream);
  must(pthread_mutex_lock(&r->lock) == 0);
  s->unhealthy = healthy ? 0 : s->unhealthy + (s->unhealthy < HEALTH_FAILURES_MAX);
  must(pthread_mutex_unlock(&r->lock) == 0);
}

static const char *state_name(const struct server *s, instant now) {
  if (s->unhealthy >= HEALTH_FAILURES_MAX) {
    return "down";
  }
  if (s->circuit.state != CIRCUIT_CLOSED) {
    return s->circuit.state == CIRCUIT_OPEN && now.ns < s->circuit.until.ns ? "open" : "half-open";
  }
  return standing_of(s, now) == STANDS_FULL ? "full" : "up";
}

size_t route_figures(struct routes *r, instant now, struct route_figures *out, size_t max) {
  must(pthread_mutex_lock(&r->lock) == 0);
  for (size_t i = 0; i < r->count && i < max; i++) {
    const struct server *s = &r->servers[i];
    out[i] = (struct route_figures){.upstream = s->upstream,
                                    .state = state_name(s, now),
                                    .running = s->running,
                                    .calls = s->calls,
                                    .failed = s->failed,
                                    .refused = s->refused,
                                    .cost = {s->spent_e12},
                                    .cost_hour = s->cost.hour};
  }
  must(pthread_mutex_unlock(&r->lock) == 0);
  return r->count;
}
