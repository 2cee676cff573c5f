/* A catalog, a meter and a rating under test: what the tests of rating from YAML and events share. */
#ifndef METERHOUSE_TESTS_UNIT_RATING_WORLD_H
#define METERHOUSE_TESTS_UNIT_RATING_WORLD_H
#include "rate/rate.h"
#include <stdlib.h>

struct world {
  struct arena *arena;
  struct catalog *catalog;
  struct usage *usage;
  const struct customer *customer;
  struct period period;
  struct rating rating;
  unsigned events;
};

static int set_up(void **state) {
  struct world *w = mem_alloc(sizeof *w);
  w->arena = arena_new();
  *state = w;
  return 0;
}

static int tear_down(void **state) {
  struct world *w = *state;
  if (w->usage) {
    usage_free(w->usage);
  }
  catalog_free(w->catalog);
  arena_free(w->arena);
  free(w);
  return 0;
}
#endif
