/* Choosing upstreams: priority, room, affinity, the circuit's rules, what full ones say, and who bears what cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/rendezvous.h"
#include "gateway/routes.h"
#include "gateway_world.h"

struct road {
  struct gateway_world world;
  struct routes *routes;
  instant now;
};

static void begin(struct road *road) {
  struct error err = {0};
  road->now = (instant){WORLD_NOW};
  if (!routes_new(&road->world.catalog, road->now, &road->routes, &err)) {
    fail_msg("%s", err.message);
  }
}

static void start(struct road *road, size_t upstreams) {
  world_start(&road->world, upstreams);
  begin(road);
}

static void pass_ms(struct road *road, int64_t ms) {
  road->now.ns += ms * MS;
}

static enum route_verdict pick(struct road *road, uint64_t affinity, struct route_place *place, int64_t *retry_ms) {
  struct route_call call = {.model = &road->world.models[0], .affinity = affinity};
  return route_pick(road->routes, &call, road->now, place, retry_ms);
}

static struct route_place found(struct road *road, uint64_t affinity) {
  struct route_place place;
  int64_t retry_ms;
  assert_int_equal(pick(road, affinity, &place, &retry_ms), ROUTE_FOUND);
  return place;
}

static amount end(struct road *road, const struct route_place *place, enum route_outcome outcome) {
  return route_ended(road->routes, place, outcome, 0, road->now);
}

static void call(struct road *road, enum route_outcome outcome) {
  struct route_place place = found(road, 0);
  end(road, &place, outcome);
}

static void is_down_for(struct road *road, int64_t ms) {
  struct route_place place;
  int64_t retry_ms = -1;
  assert_int_equal(pick(road, 0, &place, &retry_ms), ROUTE_DOWN);
  assert_int_equal(retry_ms, ms);
}

static const char *state(struct road *road) {
  struct route_figures figures[WORLD_UPSTREAMS];
  assert_true(route_figures(road->routes, road->now, figures, WORLD_UPSTREAMS) > 0);
  return figures[0].state;
}

static void test_the_lower_priority_first_and_the_next_when_it_is_full(void **unused) {
  (void)unused;
  struct road road;
  world_start(&road.world, 3);
  road.world.targets[0].priority = 1;
  road.world.targets[2].priority = 1;
  road.world.upstreams[1].concurrency = 2;
  begin(&road);
  struct route_place a = found(&road, 0), b = found(&road, 77);
  assert_ptr_equal(a.target, &road.world.targets[1]);
  assert_ptr_equal(b.target, &road.world.targets[1]);
  struct route_place spilled = found(&road, 0);
  assert_ptr_not_equal(spilled.target, &road.world.targets[1]);
  end(&road, &a, ROUTE_OK);
  struct route_place again = found(&road, 0);
  assert_ptr_equal(again.target, &road.world.targets[1]);
  routes_free(road.routes);
}

static void test_full_until_a_call_ends(void **unused) {
  (void)unused;
  struct road road;
  world_start(&road.world, 1);
  road.world.upstreams[0].concurrency = 1;
  begin(&road);
  struct route_place place = found(&road, 0), other;
  int64_t retry_ms = -1;
  assert_int_equal(pick(&road, 0, &other, &retry_ms), ROUTE_FULL);
  assert_int_equal(retry_ms, 0);
  assert_string_equal(state(&road), "full");
  end(&road, &place, ROUTE_OK);
  found(&road, 0);
  routes_free(road.routes);
}

static void test_who_says_it_is_full_is_left_alone_for_as_long(void **unused) {
  (void)unused;
  struct road road;
  start(&road, 1);
  struct route_place place = found(&road, 0), other;
  int64_t retry_ms = -1;
  route_ended(road.routes, &place, ROUTE_REFUSED, 1500, road.now);
  pass_ms(&road, 500);
  assert_int_equal(pick(&road, 0, &other, &retry_ms), ROUTE_FULL);
  assert_int_equal(retry_ms, 1000);
  pass_ms(&road, 1000);
  call(&road, ROUTE_OK);
  assert_string_equal(state(&road), "up");
  routes_free(road.routes);
}

static void test_what_failed_the_call_is_not_picked_for_it_again(void **unused) {
  (void)unused;
  struct road road;
  start(&road, 3);
  struct route_call asked = {.model = &road.world.models[0], .affinity = 5};
  struct route_place place;
  int64_t retry_ms;
  unsigned seen = 0;
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(route_pick(road.routes, &asked, road.now, &place, &retry_ms), ROUTE_FOUND);
    route_ended(road.routes, &place, ROUTE_FAILED, 0, road.now);
    seen |= 1u << place.target->index;
    asked.tried[asked.tried_count++] = place.target->index;
  }
  assert_int_equal(seen, 7);
  assert_int_equal(route_pick(road.routes, &asked, road.now, &place, &retry_ms), ROUTE_DOWN);
  assert_int_equal(retry_ms, 1000);
  routes_free(road.routes);
}

static void test_five_in_a_row_open_and_the_wait_doubles(void **unused) {
  (void)unused;
  struct road road;
  start(&road, 1);
  for (int i = 0; i < 4; i++) {
    call(&road, ROUTE_FAILED);
  }
  call(&road, ROUTE_OK);
  for (int i = 0; i < 5; i++) {
    assert_string_equal(state(&road), "up");
    call(&road, ROUTE_FAILED);
  }
  for (int64_t wait = 1000; wait < 200000; wait *= 2) {
    int64_t shown = wait < 60000 ? wait : 60000;
    assert_string_equal(state(&road), "open");
    is_down_for(&road, shown);
    pass_ms(&road, shown - 1);
    is_down_for(&road, 1);
    pass_ms(&road, 1);
    assert_string_equal(state(&road), "half-open");
    call(&road, ROUTE_FAILED);
  }
  routes_free(road.routes);
}

static void open_circuit(struct road *road) {
  for (int i = 0; i < 5; i++) {
    call(road, ROUTE_FAILED);
  }
}

static void test_one_call_tries_a_half_open_one(void **unused) {
  (void)unused;
  struct road road;
  start(&road, 1);
  struct route_place old = found(&road, 0);
  open_circuit(&road);
  pass_ms(&road, 1000);
  struct route_place trial = found(&road, 0);
  is_down_for(&road, 1000);
  end(&road, &old, ROUTE_FAILED); /* began before: says nothing of now */
  assert_string_equal(state(&road), "half-open");
  end(&road, &trial, ROUTE_ABANDONED); /* nothing was learnt: the next one tries */
  trial = found(&road, 0);
  is_down_for(&road, 1000);
  route_answered(road.routes, &trial, road.now);
  assert_string_equal(state(&road), "up");
  struct route_place next = found(&road, 0);
  end(&road, &next, ROUTE_OK);
  end(&road, &trial, ROUTE_FAILED); /* one ordinary failure by now */
  assert_string_equal(state(&road), "up");
  routes_free(road.routes);
}

static void test_a_minute_of_peace_forgets_the_doubling(void **unused) {
  (void)unused;
  struct road road;
  start(&road, 1);
  open_circuit(&road);
  pass_ms(&road, 1000);
  call(&road, ROUTE_OK);
  open_circuit(&road);
  is_down_for(&road, 2000);
  pass_ms(&road, 2000);
  call(&road, ROUTE_OK);
  pass_ms(&road, 60000);
  open_circuit(&road);
  is_down_for(&road, 1000);
  routes_free(road.routes);
}

static void fail_every_second(struct road *road, int calls, int64_t gap_ms) {
  for (int i = 0; i < calls; i++) {
    call(road, i % 2 ? ROUTE_FAILED : ROUTE_OK);
    pass_ms(road, gap_ms);
  }
}

static void test_half_of_twenty_in_thirty_seconds(void **unused) {
  (void)unused;
  struct road road;
  start(&road, 1);
  fail_every_second(&road, 19, 1);
  assert_string_equal(state(&road), "up");
  fail_every_second(&road, 1, 1); /* a success: 11 of 20 went well */
  assert_string_equal(state(&road), "up");
  call(&road, ROUTE_FAILED);
  call(&road, ROUTE_FAILED);
  assert_string_equal(state(&road), "open");
  routes_free(road.routes);
  start(&road, 1);
  fail_every_second(&road, 100, 2000); /* never twenty within 30 s */
  assert_string_equal(state(&road), "up");
  routes_free(road.routes);
}

static void test_two_failed_checks_take_it_out_and_one_good_one_puts_it_back(void **unused) {
  (void)unused;
  struct road road;
  start(&road, 1);
  const struct upstream *u = &road.world.upstreams[0];
  route_health(road.routes, u, false);
  assert_string_equal(state(&road), "up");
  route_health(road.routes, u, false);
  route_health(road.routes, u, false);
  assert_string_equal(state(&road), "down");
  is_down_for(&road, 1000);
  route_health(road.routes, u, true);
  call(&road, ROUTE_OK);
  routes_free(road.routes);
}

static void test_an_affinity_stays_where_it_is_and_moves_alone(void **unused) {
  (void)unused;
  struct road road;
  start(&road, 4);
  const struct model_target *home[64];
  for (uint64_t a = 1; a < 64; a++) {
    struct route_place place = found(&road, a);
    home[a] = place.target;
    end(&road, &place, ROUTE_OK);
  }
  route_health(road.routes, &road.world.upstreams[2], false);
  route_health(road.routes, &road.world.upstreams[2], false);
  size_t moved = 0;
  for (uint64_t a = 1; a < 64; a++) {
    struct route_place place = found(&road, a);
    if (home[a] == &road.world.targets[2]) {
      assert_ptr_not_equal(place.target, home[a]);
      moved++;
    } else {
      assert_ptr_equal(place.target, home[a]);
    }
    end(&road, &place, ROUTE_OK);
  }
  assert_in_range(moved, 5, 30);
  routes_free(road.routes);
}

static void test_a_busy_affinity_spills_over(void **unused) {
  (void)unused;
  struct road road;
  start(&road, 2);
  size_t at[2] = {0};
  for (int i = 0; i < 100; i++) {
    at[found(&road, 42).target->index]++;
  }
  size_t more = at[0] > at[1] ? at[0] : at[1];
  assert_in_range(more, 62, 63); /* 5/4 of half, rounded up */
  routes_free(road.routes);
}

static void test_the_cost_is_split_moment_by_moment(void **unused) {
  (void)unused;
  struct road road;
  start(&road, 1);
  struct route_place a = found(&road, 0);
  pass_ms(&road, 1800 * 1000); /* alone for half an hour: 6.25 */
  struct route_place b = found(&road, 0);
  pass_ms(&road, 3600 * 1000); /* an hour for two: 6.25 each */
  amount cost_a = end(&road, &a, ROUTE_OK), cost_b = end(&road, &b, ROUTE_ABANDONED);
  pass_ms(&road, 3600 * 1000); /* nobody pays for idling */
  struct route_place c = found(&road, 0);
  amount nothing = end(&road, &c, ROUTE_FAILED);
  int128 unit = AMOUNT_E12 / 4, slack = 1;
  assert_true(cost_a.e12 <= 50 * unit && cost_a.e12 >= 50 * unit - slack);
  assert_true(cost_b.e12 <= 25 * unit && cost_b.e12 >= 25 * unit - slack);
  assert_true(amount_is_zero(nothing));
  struct route_figures figures;
  route_figures(road.routes, road.now, &figures, 1);
  assert_true(figures.cost.e12 == cost_a.e12 + cost_b.e12);
  assert_int_equal(figures.calls, 3);
  assert_int_equal(figures.failed, 1);
  assert_int_equal(figures.running, 0);
  routes_free(road.routes);
}

static void test_a_pool_that_began_in_the_month_and_one_that_costs_nothing(void **unused) {
  (void)unused;
  struct road road;
  world_start(&road.world, 1);
  road.world.pool.from = (instant){WORLD_NOW - 6 * 3600 * NS_PER_S};
  begin(&road); /* a month's cost by the second of what is left of it: the same an hour */
  struct route_place place = found(&road, 0);
  pass_ms(&road, 3600 * 1000);
  int128 cost = end(&road, &place, ROUTE_OK).e12, hour = 25 * AMOUNT_E12 / 2;
  assert_true(cost <= hour + 100 && cost >= hour - 100); /* months are fractions to 1e-12 */
  routes_free(road.routes);
  world_start(&road.world, 1);
  road.world.upstreams[0].pool = NULL;
  begin(&road);
  place = found(&road, 0);
  pass_ms(&road, 3600 * 1000);
  assert_true(amount_is_zero(end(&road, &place, ROUTE_OK)));
  routes_free(road.routes);
}

static void test_a_cost_beyond_reason_is_refused(void **unused) {
  (void)unused;
  struct gateway_world world;
  struct routes *routes;
  struct error err = {0};
  world_start(&world, 1);
  world.pool.cost.other_month_total = (amount){(int128)1000000000000000 * AMOUNT_E12};
  assert_false(routes_new(&world.catalog, (instant){WORLD_NOW}, &routes, &err));
  assert_int_equal(err.code, ERR_OVERFLOW);
  assert_non_null(strstr(err.message, "gpu-a"));
  assert_non_null(strstr(err.message, "h100"));
}

static void test_a_clock_that_runs_back_costs_nothing(void **unused) {
  (void)unused;
  struct road road;
  start(&road, 1);
  struct route_place place = found(&road, 0);
  pass_ms(&road, -5000);
  assert_true(amount_is_zero(end(&road, &place, ROUTE_OK)));
  routes_free(road.routes);
}

static void test_a_clock_that_leaps_a_century_overflows_nothing(void **unused) {
  (void)unused;
  struct road road;
  world_start(&road.world, 1);
  road.world.pool.cost.other_month_total = (amount){(int128)5000000000000 * AMOUNT_E12}; /* 8.7e8 an hour for 8 */
  begin(&road);
  struct route_place place = found(&road, 0);
  road.now = INSTANT_MAX;
  assert_true(end(&road, &place, ROUTE_OK).e12 / AMOUNT_E12 == (int128)5000000000000 * 8760 / 720 / 8);
  routes_free(road.routes);
}

static void test_distances_follow_the_logarithm(void **unused) {
  (void)unused;
  struct rendezvous r;
  rendezvous_start(&r);
  assert_int_equal(r.log2_e40[0], 0);
  assert_int_equal(r.log2_e40[128], UINT64_C(643173071355)); /* log2 1.5 = 0.5849625007211562 */
  uint64_t sum = 0;
  for (uint64_t i = 0; i < 100000; i++) {
    sum += rendezvous_distance(&r, i, 9) >> 10;
  }
  /* The mean of -log2 of what is uniform is 1/ln 2 = 1.442695; its deviation, over 100000 of them, 0.0046. */
  uint64_t mean_e6 = sum / 100000 * 1000000 >> 30;
  assert_in_range(mean_e6, 1442695 - 18000, 1442695 + 18000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_lower_priority_first_and_the_next_when_it_is_full),
      cmocka_unit_test(test_full_until_a_call_ends),
      cmocka_unit_test(test_who_says_it_is_full_is_left_alone_for_as_long),
      cmocka_unit_test(test_what_failed_the_call_is_not_picked_for_it_again),
      cmocka_unit_test(test_five_in_a_row_open_and_the_wait_doubles),
      cmocka_unit_test(test_one_call_tries_a_half_open_one),
      cmocka_unit_test(test_a_minute_of_peace_forgets_the_doubling),
      cmocka_unit_test(test_half_of_twenty_in_thirty_seconds),
      cmocka_unit_test(test_two_failed_checks_take_it_out_and_one_good_one_puts_it_back),
      cmocka_unit_test(test_an_affinity_stays_where_it_is_and_moves_alone),
      cmocka_unit_test(test_a_busy_affinity_spills_over),
      cmocka_unit_test(test_the_cost_is_split_moment_by_moment),
      cmocka_unit_test(test_a_pool_that_began_in_the_month_and_one_that_costs_nothing),
      cmocka_unit_test(test_a_cost_beyond_reason_is_refused),
      cmocka_unit_test(test_a_clock_that_runs_back_costs_nothing),
      cmocka_unit_test(test_a_clock_that_leaps_a_century_overflows_nothing),
      cmocka_unit_test(test_distances_follow_the_logarithm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
