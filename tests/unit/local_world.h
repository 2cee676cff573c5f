/* A local engine with simulated GPUs in a folder of its own, for tests; the test's program holds its allocations. */
#ifndef METERHOUSE_TESTS_LOCAL_WORLD_H
#define METERHOUSE_TESTS_LOCAL_WORLD_H
#include "sell/local_private.h"
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WORLD_WAIT_MS 20000

struct local_world {
  char folder[64];
  struct local_options options;
  struct engine *engine;
  struct arena *arena;
  struct error err;
};

static inline int world_remove(const char *path, const struct stat *st, int kind, struct FTW *at) {
  (void)st;
  (void)kind;
  (void)at;
  return remove(path);
}

/* Open to look through: commands run as another user when the test runs as root. */
static inline bool world_start(struct local_world *w, uint32_t gpus) {
  *w = (struct local_world){.folder = "/tmp/test_local.XXXXXX", .arena = arena_new()};
  must(mkdtemp(w->folder) && chmod(w->folder, 0711) == 0);
  w->options =
      (struct local_options){.folder = w->folder, .fake_gpus = gpus, .run_as = geteuid() == 0 ? "nobody" : NULL};
  w->engine = local_open(&w->options, &w->err);
  return w->engine != NULL;
}

static inline void world_close(struct local_world *w) {
  if (w->engine) {
    w->engine->driver->close(w->engine);
    w->engine = NULL;
  }
}

static inline bool world_again(struct local_world *w) {
  world_close(w);
  w->engine = local_open(&w->options, &w->err);
  return w->engine != NULL;
}

/* Stops what still runs: nothing is left behind by a test. */
static inline void world_end(struct local_world *w) {
  struct engine_run *runs;
  size_t count = 0;
  if (w->engine && w->engine->driver->runs(w->engine, w->arena, (instant){0}, &runs, &count, &w->err)) {
    for (size_t i = 0; i < count; i++) {
      must(w->engine->driver->stop(w->engine, runs[i].lease, 0, &w->err));
    }
  }
  world_close(w);
  arena_free(w->arena);
  nftw(w->folder, world_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct engine_request world_request(const char *lease, const char *command) {
  return (struct engine_request){.lease = slice_of(lease),
                                 .customer = SLICE("acme"),
                                 .class = CLASS_ON_DEMAND,
                                 .gpus = QUANTITY_ONE,
                                 .nodes = 1,
                                 .ends = INSTANT_MAX,
                                 .command = slice_of(command)};
}

static inline bool world_run(struct local_world *w, const struct engine_request *r) {
  slice reference;
  return w->engine->driver->start(w->engine, w->arena, r, &reference, &w->err);
}

static inline bool world_find(struct local_world *w, const char *lease, struct engine_run *out) {
  struct engine_run *runs;
  size_t count;
  if (!w->engine->driver->runs(w->engine, w->arena, (instant){0}, &runs, &count, &w->err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (slice_is(runs[i].lease, lease)) {
      *out = runs[i];
      return true;
    }
  }
  return false;
}

static inline void world_pause_ms(int64_t ms) {
  const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&pause, NULL);
}

static inline bool world_wait_ended(struct local_world *w, const char *lease, struct engine_run *out) {
  for (int ms = 0; ms < WORLD_WAIT_MS; ms += 10) {
    if (world_find(w, lease, out) && out->to.ns < INSTANT_MAX.ns) {
      return true;
    }
    world_pause_ms(10);
  }
  return false;
}

/* The text of a file in the lease's working folder; "" when it is not there. */
static inline const char *world_output(struct local_world *w, const char *lease, const char *name) {
  char path[256], text[8192];
  snprintf(path, sizeof path, "%s/work/%s/%s", w->folder, lease, name);
  FILE *f = fopen(path, "r");
  size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  if (f) {
    fclose(f);
  }
  text[n] = '\0';
  return arena_printf(w->arena, "%s", text);
}

static inline const char *world_wait_output(struct local_world *w, const char *lease, const char *name,
                                            const char *wanted) {
  const char *text = "";
  for (int ms = 0; ms < WORLD_WAIT_MS; ms += 10) {
    text = world_output(w, lease, name);
    if (strstr(text, wanted)) {
      break;
    }
    world_pause_ms(10);
  }
  return text;
}
#endif
