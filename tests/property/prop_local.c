/* Random starts, stops, kills and reopenings of the local engine against a model: nothing is held twice, every run is
 * told once and as it was, each ends within the moments in which it was ended, and who is refused had no room. */
#include "../unit/local_world.h"
#include "base/log.h"
#include <signal.h>

#define GPUS 4
#define STEPS 40

struct held {
  char name[16];
  quantity gpus;
  bool ended;
  instant from, to;
  slice reference;
};
struct expected {
  struct local_world world;
  struct random random;
  uint64_t seed;
  bool shares;
  struct held leases[STEPS];
  size_t count;
  int128 held_e9;
};

static void expect(const struct expected *m, bool holds, const char *what) {
  if (!holds) {
    fprintf(stderr, "prop_local: SEED=%llu: %s (%s)\n", (unsigned long long)m->seed, what, m->world.err.message);
    exit(1);
  }
}

static struct held *any_held(struct expected *m) {
  size_t first = m->count > 0 ? random_below(&m->random, m->count) : 0;
  for (size_t i = 0; i < m->count; i++) {
    struct held *l = &m->leases[(first + i) % m->count];
    if (!l->ended) {
      return l;
    }
  }
  return NULL;
}

static void begin_one(struct expected *m) {
  struct held *l = &m->leases[m->count];
  struct engine_run run = {0};
  snprintf(l->name, sizeof l->name, "l%zu", m->count);
  l->gpus.e9 = m->shares ? QUANTITY_E9 >> random_below(&m->random, 3)
                         : (int128)(1 + random_below(&m->random, GPUS)) * QUANTITY_E9;
  struct engine_request r = world_request(l->name, random_below(&m->random, 2) ? "sleep 600" : "");
  r.gpus = l->gpus;
  int128 free_e9 = GPUS * QUANTITY_E9 - m->held_e9;
  instant before = local_now();
  if (!world_run(&m->world, &r)) {
    /* A share that finds no room leaves less than itself free on each GPU. */
    expect(m, m->world.err.code == ERR_LIMIT, "refused for another reason than room");
    expect(m, free_e9 < (m->shares ? GPUS * l->gpus.e9 : l->gpus.e9), "refused although there was room");
    return;
  }
  expect(m, world_find(&m->world, l->name, &run), "started and not told");
  expect(m, run.from.ns >= before.ns && run.from.ns <= local_now().ns, "begins at another moment");
  l->from = run.from;
  l->to = INSTANT_MAX;
  l->reference = run.reference;
  m->held_e9 += l->gpus.e9;
  expect(m, m->held_e9 <= GPUS * QUANTITY_E9, "more is held than there is");
  m->count++;
}

static void note_end(struct expected *m, struct held *l, instant not_before, instant not_after) {
  struct engine_run run = {0};
  expect(m, world_wait_ended(&m->world, l->name, &run), "does not end");
  expect(m, run.to.ns >= not_before.ns && run.to.ns >= l->from.ns && run.to.ns <= not_after.ns,
         "ends at another moment");
  l->to = run.to;
  l->ended = true;
  m->held_e9 -= l->gpus.e9;
}

static void stop_one(struct expected *m, struct held *l) {
  instant before = local_now();
  bool by_end = random_below(&m->random, 2);
  const struct engine_driver *driver = m->world.engine->driver;
  bool ok = by_end ? driver->set_end(m->world.engine, slice_of(l->name), before, &m->world.err)
                   : driver->stop(m->world.engine, slice_of(l->name), 0, &m->world.err);
  expect(m, ok, "is not stopped");
  note_end(m, l, before, local_now());
}

static void kill_one(struct expected *m, struct held *l) {
  char folder[128];
  struct local_started started;
  snprintf(folder, sizeof folder, "%s/allocations/%s", m->world.folder, l->name);
  expect(m, started_read(folder, &started, &m->world.err), "left no record of its beginning");
  if (random_below(&m->random, 2)) {
    world_close(&m->world);
  }
  instant now = local_now();
  expect(m, process_signal(&started.supervisor, SIGKILL), "has no supervisor");
  expect(m, m->world.engine || world_again(&m->world), "can not be opened again");
  /* a beat a second, and a slow machine */
  note_end(m, l, (instant){now.ns - 4 * NS_PER_S}, local_now());
}

static void ask_again(struct expected *m) {
  if (m->count > 0) {
    struct held *l = &m->leases[random_below(&m->random, m->count)];
    struct engine_run run = {0};
    expect(m, world_find(&m->world, l->name, &run) && run.number == 1, "is not told");
    expect(m, m->world.engine->driver->stop(m->world.engine, slice_of("l0"), 0, &m->world.err) || m->count == 0,
           "ending again is refused");
    if (!m->leases[0].ended) {
      note_end(m, &m->leases[0], m->leases[0].from, local_now());
    }
  }
}

static void compare(struct expected *m) {
  struct engine_run *runs;
  size_t count;
  expect(m, m->world.engine->driver->runs(m->world.engine, m->world.arena, (instant){0}, &runs, &count, &m->world.err),
         "runs are not told");
  expect(m, count == m->count, "not as many runs as were started");
  for (size_t i = 0; i < m->count; i++) {
    const struct held *l = &m->leases[i];
    size_t found = 0;
    for (size_t j = 0; j < count; j++) {
      if (slice_is(runs[j].lease, l->name)) {
        found++;
        expect(m,
               runs[j].from.ns == l->from.ns && runs[j].to.ns == l->to.ns && runs[j].gpus.e9 == l->gpus.e9 &&
                   slice_eq(runs[j].reference, l->reference) && (runs[j].state == ENGINE_RUNNING) == !l->ended,
               "is told otherwise than before");
      }
    }
    expect(m, found == 1, "is not told once");
  }
}

static void run_case(uint64_t seed) {
  struct expected *m = mem_alloc(sizeof *m);
  m->seed = seed;
  m->shares = seed % 2;
  random_seed(&m->random, seed, 0);
  expect(m, world_start(&m->world, GPUS), "does not open");
  for (int step = 0; step < STEPS; step++) {
    uint64_t what = random_below(&m->random, 10);
    struct held *l = any_held(m);
    if (what < 5 || !l) {
      begin_one(m);
    } else if (what < 7) {
      stop_one(m, l);
    } else if (what < 8) {
      kill_one(m, l);
    } else if (what < 9) {
      expect(m, world_again(&m->world), "can not be opened again");
    } else {
      ask_again(m);
    }
    compare(m);
  }
  world_end(&m->world);
  free(m);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], LOCAL_SUPERVISE) == 0) {
    return local_supervise(argv[2]);
  }
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : (uint64_t)local_now().ns % 1000000;
  uint64_t cases = cases_text ? strtoull(cases_text, NULL, 10) : seed_text ? 1 : 6;
  log_set_level(LOG_ERROR);
  printf("prop_local: SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  for (uint64_t i = 0; i < cases; i++) {
    run_case(seed + i);
  }
  return 0;
}
