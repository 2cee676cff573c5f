/* Routes under random calls beside a naive model that knows the rules as sentences; then eight threads that fight over
 * places; then the shares that weights give. */
#include "../unit/gateway_world.h"
#include "base/hash.h"
#include "gateway/routes.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define OPEN_MAX 64
#define RESULTS_MAX 4096

/* What one upstream is known to have been through, as it happened. */
struct naive {
  uint32_t running;
  int failed_checks, row;
  int64_t full_until_ms, open_until_ms, wait_ms, closed_ms;
  enum { CLOSED, OPEN, TRYING } circuit;
  size_t trial; /* slot of the open call that tries */
  struct {
    int64_t ms;
    bool ok;
  } results[RESULTS_MAX];
  size_t result_count, first_result;
  int128 share_e24, handed_out_e12;
};
struct open_call {
  bool used;
  struct route_place place;
  size_t target;
  int128 cost_e24; /* its share so far, added up moment by moment */
};
struct test {
  struct gateway_world world;
  struct routes *routes;
  struct naive up[WORLD_UPSTREAMS];
  struct open_call open[OPEN_MAX];
  int64_t ms;
  uint64_t pace_ms; /* busy lives fill the window of 30 s, slow ones leave it empty */
  size_t upstreams;
};

static struct random rng;

static instant now_of(const struct test *t) {
  return (instant){WORLD_NOW + t->ms * MS};
}

static void make(struct test *t) {
  struct error err = {0};
  memset(t, 0, sizeof *t);
  t->upstreams = 1 + random_below(&rng, WORLD_UPSTREAMS);
  t->pace_ms = random_below(&rng, 2) ? 300 : 20;
  world_start(&t->world, t->upstreams);
  for (size_t i = 0; i < t->upstreams; i++) {
    t->world.targets[i].weight = 1 + (int64_t)random_below(&rng, 5);
    t->world.targets[i].priority = (int64_t)random_below(&rng, 2);
    t->world.upstreams[i].concurrency = (int64_t)random_below(&rng, 6);
    t->world.upstreams[i].units = (quantity){(int128)random_below(&rng, 9) * QUANTITY_E9};
  }
  must(routes_new(&t->world.catalog, now_of(t), &t->routes, &err));
}

/* Each call that runs bears an equal part; one millisecond of 12.50 an hour for 8 units, in 1e-24. */
static void pass(struct test *t, int64_t ms) {
  for (size_t i = 0; i < OPEN_MAX; i++) {
    if (t->open[i].used) {
      size_t u = t->open[i].target;
      int128 units = t->world.upstreams[u].units.e9 / QUANTITY_E9;
      int128 hour_e24 = units * AMOUNT_E12 * AMOUNT_E12 * 100 / 64;
      t->open[i].cost_e24 += hour_e24 * ms / (3600 * 1000) / t->up[u].running;
    }
  }
  t->ms += ms;
}

static bool healthy(const struct test *t, size_t i) {
  const struct naive *n = &t->up[i];
  return n->failed_checks < 2 && (n->circuit == CLOSED || (n->circuit == OPEN && t->ms >= n->open_until_ms));
}
static bool full(const struct test *t, size_t i) {
  int64_t most = t->world.upstreams[i].concurrency;
  return (most > 0 && t->up[i].running >= most) || t->ms < t->up[i].full_until_ms;
}
static bool was_tried(const struct route_call *call, size_t i) {
  for (size_t k = 0; k < call->tried_count; k++) {
    if (call->tried[k] == i) {
      return true;
    }
  }
  return false;
}
static bool may(const struct test *t, const struct route_call *call, size_t i) {
  return !was_tried(call, i) && healthy(t, i) && !full(t, i);
}

/* May the call go to `chosen`, of those it may go to? */
static void chosen_well(const struct test *t, const struct route_call *call, size_t chosen) {
  const struct model_target *targets = t->world.targets;
  int64_t running = 1, weights = 0;
  must(chosen < t->upstreams && may(t, call, chosen));
  for (size_t i = 0; i < t->upstreams; i++) {
    if (may(t, call, i)) {
      must(targets[i].priority >= targets[chosen].priority);
      if (targets[i].priority == targets[chosen].priority) {
        running += t->up[i].running;
        weights += targets[i].weight;
      }
      if (call->affinity == 0 && targets[i].priority == targets[chosen].priority) {
        must(t->up[chosen].running * targets[i].weight <= t->up[i].running * targets[chosen].weight);
      }
    }
  }
  must(weights > 0);
  /* at most 5/4 of its share, rounded up to the next whole call */
  int64_t most = (5 * running * targets[chosen].weight + 4 * weights - 1) / (4 * weights);
  must(call->affinity == 0 || t->up[chosen].running + 1 <= most);
}

static void none_might(const struct test *t, const struct route_call *call, enum route_verdict verdict) {
  bool any_full = false;
  for (size_t i = 0; i < t->upstreams; i++) {
    must(!may(t, call, i));
    any_full = any_full || (!was_tried(call, i) && healthy(t, i));
  }
  must(verdict == (any_full ? ROUTE_FULL : ROUTE_DOWN));
}

static void step_pick(struct test *t) {
  size_t slot = 0;
  while (slot < OPEN_MAX && t->open[slot].used) {
    slot++;
  }
  if (slot == OPEN_MAX) {
    return;
  }
  struct route_call call = {.model = &t->world.models[0], .affinity = random_below(&rng, 4)};
  while (call.tried_count < ROUTE_TRIES_MAX && random_below(&rng, 4) == 0) {
    call.tried[call.tried_count++] = (uint32_t)random_below(&rng, t->upstreams);
  }
  struct open_call *o = &t->open[slot];
  int64_t retry_ms = -1;
  enum route_verdict verdict = route_pick(t->routes, &call, now_of(t), &o->place, &retry_ms);
  must(retry_ms >= 0);
  if (verdict != ROUTE_FOUND) {
    none_might(t, &call, verdict);
    return;
  }
  o->target = o->place.target->index;
  chosen_well(t, &call, o->target);
  struct naive *n = &t->up[o->target];
  if (n->circuit == OPEN) {
    n->circuit = TRYING;
    n->trial = slot;
  }
  n->running++;
  o->used = true;
  o->cost_e24 = 0;
}

static void naive_open(struct test *t, struct naive *n, bool steady) {
  n->wait_ms = n->wait_ms == 0 || steady ? 1000 : n->wait_ms * 2 > 60000 ? 60000 : n->wait_ms * 2;
  n->circuit = OPEN;
  n->open_until_ms = t->ms + n->wait_ms;
  n->trial = OPEN_MAX;
}
static void naive_close(struct test *t, struct naive *n) {
  n->circuit = CLOSED;
  n->row = 0;
  n->closed_ms = t->ms + WORLD_NOW / MS;
  n->first_result = n->result_count;
  n->trial = OPEN_MAX;
}

/* The window is counted by threes of seconds: from the beginning of the ninth before the present one. */
static void naive_result(struct test *t, struct naive *n, bool ok) {
  size_t good = 0, bad = 0;
  int64_t at = WORLD_NOW / MS + t->ms, oldest = (at / 3000 - 9) * 3000;
  must(n->result_count < RESULTS_MAX);
  n->results[n->result_count].ms = at;
  n->results[n->result_count++].ok = ok;
  for (size_t i = n->first_result; i < n->result_count; i++) {
    if (n->results[i].ms >= oldest) {
      good += n->results[i].ok;
      bad += !n->results[i].ok;
    }
  }
  n->row = ok ? 0 : n->row + 1;
  if (!ok && (n->row >= 5 || (good + bad >= 20 && 2 * bad >= good + bad))) {
    naive_open(t, n, at - n->closed_ms >= 60000);
  }
}

static void naive_ended(struct test *t, size_t slot, enum route_outcome outcome, int64_t retry_after_ms) {
  struct naive *n = &t->up[t->open[slot].target];
  bool trial = n->circuit == TRYING && n->trial == slot;
  if (outcome == ROUTE_REFUSED && t->ms + retry_after_ms > n->full_until_ms) {
    n->full_until_ms = t->ms + retry_after_ms;
  }
  if (outcome == ROUTE_OK) {
    if (trial) {
      naive_close(t, n);
    }
    if (n->circuit == CLOSED) {
      naive_result(t, n, true);
    }
  } else if (outcome == ROUTE_FAILED) {
    if (trial) {
      naive_open(t, n, false);
    } else if (n->circuit == CLOSED) {
      naive_result(t, n, false);
    }
  } else if (trial) {
    n->circuit = OPEN; /* due a try at once */
    n->open_until_ms = t->ms;
    n->trial = OPEN_MAX;
  }
}

static void step_end(struct test *t) {
  size_t slot = random_below(&rng, OPEN_MAX);
  struct open_call *o = &t->open[slot];
  if (!o->used) {
    return;
  }
  struct naive *n = &t->up[o->target];
  uint64_t luck = random_below(&rng, 10);
  enum route_outcome outcome = luck < 5   ? (o->target % 2 ? ROUTE_OK : ROUTE_FAILED)
                               : luck < 7 ? ROUTE_OK
                               : luck < 8 ? ROUTE_REFUSED
                               : luck < 9 ? ROUTE_ABANDONED
                                          : ROUTE_FAILED;
  int64_t retry_after_ms = (int64_t)random_below(&rng, 3000);
  if (random_below(&rng, 4) == 0) {
    route_answered(t->routes, &o->place, now_of(t));
    if (n->circuit == TRYING && n->trial == slot) {
      naive_close(t, n);
    }
  }
  amount cost = route_ended(t->routes, &o->place, outcome, retry_after_ms, now_of(t));
  naive_ended(t, slot, outcome, retry_after_ms);
  n->running--;
  o->used = false;
  int128 expected = o->cost_e24 / AMOUNT_E12;
  must(cost.e12 - expected <= 1 && expected - cost.e12 <= 1);
  n->handed_out_e12 += cost.e12;
}

static void step_health(struct test *t) {
  size_t i = random_below(&rng, t->upstreams);
  bool good = random_below(&rng, 3) > 0;
  t->up[i].failed_checks = good ? 0 : t->up[i].failed_checks + 1;
  route_health(t->routes, &t->world.upstreams[i], good);
}

static void same_figures(struct test *t) {
  struct route_figures figures[WORLD_UPSTREAMS];
  must(route_figures(t->routes, now_of(t), figures, WORLD_UPSTREAMS) == t->upstreams);
  for (size_t i = 0; i < t->upstreams; i++) {
    must(figures[i].running == t->up[i].running);
    must(figures[i].cost.e12 == t->up[i].handed_out_e12);
    const char *expected = t->up[i].failed_checks >= 2                                   ? "down"
                           : t->up[i].circuit == TRYING                                  ? "half-open"
                           : t->up[i].circuit == OPEN && t->ms >= t->up[i].open_until_ms ? "half-open"
                           : t->up[i].circuit == OPEN                                    ? "open"
                           : full(t, i)                                                  ? "full"
                                                                                         : "up";
    must(strcmp(figures[i].state, expected) == 0);
  }
}

static void one_life(void) {
  struct test *t = mem_alloc(sizeof *t);
  make(t);
  for (int i = 0; i < 2000; i++) {
    uint64_t what = random_below(&rng, 20);
    if (what < 8) {
      step_pick(t);
    } else if (what < 15) {
      step_end(t);
    } else if (what == 15) {
      step_health(t);
    } else {
      pass(t, (int64_t)random_below(&rng, random_below(&rng, 50) == 0 ? 70000 : t->pace_ms));
    }
    same_figures(t);
  }
  routes_free(t->routes);
  free(t);
}

/* ---- threads: no place is given twice, and what is handed out is no more than the time cost ---- */
#define THREADS 8
#define PLACES 5
#define CALLS 20000
struct fight {
  struct gateway_world world;
  struct routes *routes;
  _Atomic int running[WORLD_UPSTREAMS];
  _Atomic int64_t clock_ns;
  _Atomic bool passed;
};
struct fighter {
  struct fight *fight;
  struct random rng;
  int128 cost_e12;
};

static void *fight_on(void *context) {
  struct fighter *me = context;
  struct fight *f = me->fight;
  for (int i = 0; i < CALLS; i++) {
    struct route_call call = {.model = &f->world.models[0], .affinity = random_below(&me->rng, 9)};
    struct route_place place;
    int64_t retry_ms;
    instant now = {WORLD_NOW + atomic_fetch_add(&f->clock_ns, 1000)};
    if (route_pick(f->routes, &call, now, &place, &retry_ms) != ROUTE_FOUND) {
      continue;
    }
    uint32_t at = place.target->index;
    if (atomic_fetch_add(&f->running[at], 1) >= PLACES) {
      atomic_store(&f->passed, true);
    }
    for (uint64_t spin = random_below(&me->rng, 200); spin > 0; spin--) {
      atomic_signal_fence(memory_order_seq_cst);
    }
    atomic_fetch_sub(&f->running[at], 1);
    now = (instant){WORLD_NOW + atomic_fetch_add(&f->clock_ns, 1000)};
    me->cost_e12 += route_ended(f->routes, &place, ROUTE_OK, 0, now).e12;
  }
  return NULL;
}

static void threads_fight(uint64_t seed) {
  struct fight *f = mem_alloc(sizeof *f);
  struct fighter fighters[THREADS];
  pthread_t threads[THREADS];
  struct error err = {0};
  world_start(&f->world, 2);
  f->world.upstreams[0].concurrency = f->world.upstreams[1].concurrency = PLACES;
  must(routes_new(&f->world.catalog, (instant){WORLD_NOW}, &f->routes, &err));
  for (size_t i = 0; i < THREADS; i++) {
    fighters[i] = (struct fighter){.fight = f};
    random_seed(&fighters[i].rng, seed, i + 1);
    must(pthread_create(&threads[i], NULL, fight_on, &fighters[i]) == 0);
  }
  int128 handed_out = 0;
  for (size_t i = 0; i < THREADS; i++) {
    must(pthread_join(threads[i], NULL) == 0);
    handed_out += fighters[i].cost_e12;
  }
  must(!atomic_load(&f->passed));
  struct route_figures figures[2];
  route_figures(f->routes, (instant){WORLD_NOW}, figures, 2);
  must(figures[0].running == 0 && figures[1].running == 0);
  must(figures[0].cost.e12 + figures[1].cost.e12 == handed_out);
  must(handed_out > 0);
  /* two upstreams at 12.50 an hour for the whole of the time */
  must(handed_out * 3600 <= (int128)atomic_load(&f->clock_ns) * 25 * 1000);
  routes_free(f->routes);
  free(f);
}

/* ---- weights: alone and crowded, with an affinity and without ---- */
static void shares(bool affine, size_t crowd) {
  enum { DRAWS = 20000 };
  struct gateway_world w;
  struct routes *routes;
  struct error err = {0};
  world_start(&w, 4);
  int64_t weights = 0, got[4] = {0};
  for (size_t i = 0; i < 4; i++) {
    w.targets[i].weight = 1 + (int64_t)random_below(&rng, 9);
    weights += w.targets[i].weight;
  }
  must(routes_new(&w.catalog, (instant){WORLD_NOW}, &routes, &err));
  struct route_place *places = mem_alloc((crowd + 1) * sizeof *places);
  for (size_t i = 0; i < DRAWS; i++) {
    struct route_call call = {.model = &w.models[0], .affinity = affine ? random_u64(&rng) | 1 : 0};
    struct route_place *place = &places[i % (crowd + 1)];
    int64_t retry_ms;
    if (i > crowd) {
      route_ended(routes, place, ROUTE_OK, 0, (instant){WORLD_NOW});
    }
    must(route_pick(routes, &call, (instant){WORLD_NOW}, place, &retry_ms) == ROUTE_FOUND);
    got[place->target->index]++;
  }
  for (size_t i = 0; i < 4; i++) {
    int64_t fair = DRAWS * w.targets[i].weight / weights, off = got[i] - fair;
    if (off > DRAWS / 50 || off < -DRAWS / 50) { /* 2 % of all, six deviations and more */
      fprintf(stderr, "target %zu of weight %lld got %lld of %d instead of %lld\n", i, (long long)w.targets[i].weight,
              (long long)got[i], DRAWS, (long long)fair);
      abort();
    }
  }
  free(places);
  routes_free(routes);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 7;
  uint64_t cases = cases_text ? strtoull(cases_text, NULL, 10) : 200;
  printf("SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  random_seed(&rng, seed, 0);
  for (uint64_t i = 0; i < cases; i++) {
    one_life();
  }
  for (int i = 0; i < 3; i++) {
    shares(false, 0);
    shares(true, 0);
    shares(false, 400);
    shares(true, 400);
  }
  threads_fight(seed);
  return 0;
}
