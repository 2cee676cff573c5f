/* A catalog of upstreams and models made by hand, for tests of the gateway's parts. */
#ifndef METERHOUSE_TESTS_GATEWAY_WORLD_H
#define METERHOUSE_TESTS_GATEWAY_WORLD_H
#include "catalog/catalog.h"
#include <string.h>

#define WORLD_UPSTREAMS 8
#define WORLD_NOW INT64_C(1794571200000000000) /* 2026-11-13T12:00:00Z */
#define MS INT64_C(1000000)

struct gateway_world {
  struct catalog catalog;
  struct pool pool;
  struct customer customers[2];
  struct upstream upstreams[WORLD_UPSTREAMS];
  struct model_target targets[WORLD_UPSTREAMS];
  struct model models[2]; /* "small" has all targets, "tiny" the first alone */
};

/* The pool has 64 units and costs 72000 a month: 100 an hour in November, 12.50 for the 8 of each upstream. */
static inline void world_start(struct gateway_world *w, size_t upstreams) {
  static const char *const names[WORLD_UPSTREAMS] = {"gpu-a", "gpu-b", "gpu-c", "gpu-d",
                                                     "gpu-e", "gpu-f", "gpu-g", "gpu-h"};
  memset(w, 0, sizeof *w);
  w->pool = (struct pool){
      .name = SLICE("h100"),
      .count = {64 * QUANTITY_E9},
      .cost = {.known = true, .load = RATE_ONE, .pue = RATE_ONE, .other_month_total = {72000 * AMOUNT_E12}}};
  for (size_t i = 0; i < upstreams; i++) {
    w->upstreams[i] = (struct upstream){.name = slice_of(names[i]),
                                        .host = SLICE("127.0.0.1"),
                                        .port = 8000,
                                        .pool = &w->pool,
                                        .units = {8 * QUANTITY_E9},
                                        .index = (uint32_t)i};
    w->targets[i] =
        (struct model_target){.upstream = &w->upstreams[i], .model = SLICE("m"), .weight = 1, .index = (uint32_t)i};
  }
  w->models[0] = (struct model){.name = SLICE("small"), .targets = w->targets, .target_count = upstreams};
  w->models[1] = (struct model){.name = SLICE("tiny"), .targets = w->targets, .target_count = 1, .index = 1};
  w->customers[0] = (struct customer){.id = SLICE("acme"), .currency = currency_find(SLICE("USD"))};
  w->customers[1] = (struct customer){.id = SLICE("euro"), .currency = currency_find(SLICE("EUR")), .index = 1};
  w->catalog = (struct catalog){.time_zone = "UTC",
                                .currency = currency_find(SLICE("USD")),
                                .pools = &w->pool,
                                .pool_count = 1,
                                .customers = w->customers,
                                .customer_count = 2,
                                .upstreams = w->upstreams,
                                .upstream_count = upstreams,
                                .models = w->models,
                                .model_count = 2};
}
#endif
