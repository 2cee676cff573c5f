/* Segments, cuts and shares of months: which terms are in force when, to the nanosecond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rate/rate.h"

#include <stdlib.h>

static instant at(const char *text) {
  instant t;
  struct error err;
  if (!time_parse_rfc3339(slice_of(text), &t, &err)) {
    fail_msg("%s", err.message);
  }
  return t;
}

static struct period span(const char *from, const char *to) {
  return (struct period){at(from), at(to)};
}

/* ---- months ---- */

static void assert_months(const char *from, const char *to, const char *zone, const char *expected) {
  rate months;
  struct error err;
  char text[DECIMAL_TEXT_MAX];
  assert_true(rate_months(at(from), at(to), zone, &months, &err));
  assert_string_equal(rate_text(months, text), expected);
}

static void whole_months_are_exactly_one(void **state) {
  (void)state;
  assert_months("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "UTC", "1");
  assert_months("2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z", "UTC", "1");
  assert_months("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "UTC", "12");
  /* March has 743 hours and October 745 in Amsterdam */
  assert_months("2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z", "Europe/Amsterdam", "1");
  assert_months("2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z", "Europe/Amsterdam", "1");
  assert_months("2026-10-31T18:30:00Z", "2026-11-30T18:30:00Z", "Asia/Kolkata", "1");
}

static void parts_of_months_count_by_the_second(void **state) {
  (void)state;
  assert_months("2026-10-20T00:00:00Z", "2026-11-01T00:00:00Z", "UTC", "0.387096774194"); /* 12/31 */
  assert_months("2024-02-01T00:00:00Z", "2024-02-02T00:00:00Z", "UTC", "0.034482758621"); /* 1/29 */
  assert_months("2026-01-16T12:00:00Z", "2026-02-15T00:00:00Z", "UTC", "1");              /* 1/2 + 14/28 */
  assert_months("2026-01-16T12:00:00Z", "2026-04-16T00:00:00Z", "UTC", "3");              /* 1/2 + 2 + 1/2 */
  assert_months("2026-10-01T00:00:00Z", "2026-10-01T00:00:01Z", "UTC", "0.000000373357");
  assert_months("2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z", "UTC", "0");
  /* an hour of October in Amsterdam is one of 745 */
  assert_months("2026-10-10T00:00:00Z", "2026-10-10T01:00:00Z", "Europe/Amsterdam", "0.001342281879");
}

static void months_do_not_run_backwards(void **state) {
  (void)state;
  rate months;
  struct error err;
  assert_false(rate_months(at("2026-10-02T00:00:00Z"), at("2026-10-01T00:00:00Z"), "UTC", &months, &err));
  assert_int_equal(err.code, ERR_INVALID);
}

/* ---- segments ---- */

struct world {
  struct arena *arena;
  struct plan plans[4];
  struct contract contracts[3];
  struct customer customer;
  struct catalog catalog;
  const struct segment *segments;
  size_t count;
  instant cuts[8];
  size_t cut_count;
};

static int set_up(void **state) {
  struct world *w = mem_alloc(sizeof *w);
  w->arena = arena_new();
  w->plans[0] = (struct plan){.name = SLICE("basic"), .valid_from = at("2026-01-01T00:00:00Z")};
  w->plans[1] = (struct plan){.name = SLICE("basic"), .valid_from = at("2026-10-10T12:00:00.000000001Z")};
  w->plans[2] = (struct plan){.name = SLICE("basic"), .valid_from = at("2027-01-01T00:00:00Z")};
  w->plans[3] = (struct plan){.name = SLICE("late"), .valid_from = at("2026-10-20T00:00:00Z")};
  w->contracts[0] =
      (struct contract){.plan_name = SLICE("basic"), .from = at("2026-01-01T00:00:00Z"), .to = INSTANT_MAX};
  w->customer =
      (struct customer){.id = SLICE("acme"), .time_zone = "UTC", .contracts = w->contracts, .contract_count = 1};
  w->catalog = (struct catalog){.plans = w->plans, .plan_count = 4};
  *state = w;
  return 0;
}

static int tear_down(void **state) {
  struct world *w = *state;
  arena_free(w->arena);
  free(w);
  return 0;
}

static void find(struct world *w, const char *from, const char *to) {
  struct error err;
  assert_true(rate_segments(w->arena, &w->catalog, &w->customer, span(from, to), &w->segments, &w->count, &err));
  w->cut_count = rate_cuts(&w->catalog, w->segments, w->count, w->cuts, 8);
}

static void assert_segment(const struct world *w, size_t i, const struct plan *plan, const char *from, const char *to) {
  char text[TIME_TEXT_MAX];
  assert_true(i < w->count);
  assert_ptr_equal(w->segments[i].plan, plan);
  assert_string_equal(time_format(w->segments[i].from, text), from);
  assert_string_equal(time_format(w->segments[i].to, text), to);
}

static void an_ordinary_month_is_one_segment_without_cuts(void **state) {
  struct world *w = *state;
  find(w, "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z");
  assert_int_equal(w->count, 1);
  assert_segment(w, 0, &w->plans[0], "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z");
  assert_int_equal(w->cut_count, 0);
}

static void a_new_version_takes_over_at_its_nanosecond(void **state) {
  struct world *w = *state;
  find(w, "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z");
  assert_int_equal(w->count, 2);
  assert_segment(w, 0, &w->plans[0], "2026-10-01T00:00:00Z", "2026-10-10T12:00:00.000000001Z");
  assert_segment(w, 1, &w->plans[1], "2026-10-10T12:00:00.000000001Z", "2026-11-01T00:00:00Z");
  assert_int_equal(w->cut_count, 1);
  assert_true(w->cuts[0].ns == w->plans[1].valid_from.ns);
  assert_int_equal(rate_cuts(&w->catalog, w->segments, w->count, w->cuts, 0), 0);
}

static void contracts_leave_gaps(void **state) {
  struct world *w = *state;
  w->contracts[0].to = at("2026-09-05T00:00:00Z");
  w->contracts[1] = (struct contract){
      .plan_name = SLICE("basic"), .from = at("2026-09-05T00:00:00Z"), .to = at("2026-09-10T00:00:00Z")};
  w->contracts[2] =
      (struct contract){.plan_name = SLICE("basic"), .from = at("2026-09-20T00:00:00Z"), .to = INSTANT_MAX};
  w->customer.contract_count = 3;
  find(w, "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z");
  assert_int_equal(w->count, 3);
  assert_int_equal(w->cut_count, 3);
  assert_segment(w, 1, &w->plans[0], "2026-09-05T00:00:00Z", "2026-09-10T00:00:00Z");
  assert_segment(w, 2, &w->plans[0], "2026-09-20T00:00:00Z", "2026-10-01T00:00:00Z");
}

static void a_plan_that_begins_later_leaves_a_gap(void **state) {
  struct world *w = *state;
  w->contracts[0].plan_name = SLICE("late");
  find(w, "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z");
  assert_int_equal(w->count, 1);
  assert_segment(w, 0, &w->plans[3], "2026-10-20T00:00:00Z", "2026-11-01T00:00:00Z");
  assert_int_equal(w->cut_count, 1);
  find(w, "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z");
  assert_int_equal(w->count, 0);
  w->contracts[0].plan_name = SLICE("unknown");
  find(w, "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z");
  assert_int_equal(w->count, 0);
}

static void an_empty_period_is_refused(void **state) {
  struct world *w = *state;
  struct error err;
  struct period empty = span("2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z");
  assert_false(rate_segments(w->arena, &w->catalog, &w->customer, empty, &w->segments, &w->count, &err));
  assert_int_equal(err.code, ERR_INVALID);
}

/* ---- rating across a change ---- */

static amount money(const char *text) {
  amount a;
  struct error err;
  assert_true(amount_parse(slice_of(text), &a, &err));
  return a;
}

static void both_sides_of_a_change_are_charged_at_their_own_terms(void **state) {
  struct world *w = *state;
  static const struct tier old = {.last = true, .each = {1000000000000}}, new = {.last = true, .each = {2000000000000}};
  const struct meter meter = {.name = SLICE("calls"), .unit = SLICE("call"), .base_per_unit = QUANTITY_ONE};
  const struct price_rule before = {
      .name = SLICE("call"), .meter = &meter, .per = QUANTITY_ONE, .tiers = &old, .tier_count = 1};
  struct price_rule after = before;
  after.tiers = &new;
  w->plans[0].prices = &before;
  w->plans[1].prices = &after;
  w->plans[0].price_count = w->plans[1].price_count = 1;
  const struct fee once = {.name = SLICE("set-up"), .each = money("5"), .count = QUANTITY_ONE, .every = FEE_ONCE};
  w->plans[0].fees = w->plans[1].fees = &once;
  w->plans[0].fee_count = w->plans[1].fee_count = 1;
  w->contracts[0].from = at("2026-10-02T00:00:00Z");
  instant change = w->plans[1].valid_from;
  const quantity three = {3000000000};
  const struct usage_row rows[] = {{&meter, w->customer.id, NULL, {change.ns - 1}, change, three, 1},
                                   {&meter, w->customer.id, NULL, change, {change.ns + 1}, three, 1}};
  struct rating rating;
  struct error err;
  assert_true(rate_customer(w->arena, &w->catalog, &w->customer, span("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
                            rows, 2, &rating, &err));
  assert_int_equal(rating.charge_count, 3);
  assert_int_equal(amount_cmp(rating.charges[0].exact, money("5")), 0);
  assert_int_equal(amount_cmp(rating.charges[1].exact, money("3")), 0);
  assert_int_equal(amount_cmp(rating.charges[2].exact, money("6")), 0);
  assert_true(rating.charges[1].segment->to.ns == change.ns && rating.charges[2].segment->from.ns == change.ns);
}

static void a_set_up_fee_waits_for_its_plan(void **state) {
  struct world *w = *state;
  const struct fee once = {.name = SLICE("set-up"), .each = money("5"), .count = QUANTITY_ONE, .every = FEE_ONCE};
  w->plans[3].fees = &once;
  w->plans[3].fee_count = 1;
  w->contracts[0].plan_name = SLICE("late");
  struct rating rating;
  struct error err;
  assert_true(rate_customer(w->arena, &w->catalog, &w->customer, span("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
                            NULL, 0, &rating, &err));
  assert_int_equal(rating.charge_count, 1);
  assert_true(rate_customer(w->arena, &w->catalog, &w->customer, span("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
                            NULL, 0, &rating, &err));
  assert_int_equal(rating.charge_count, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_months_are_exactly_one),
      cmocka_unit_test(parts_of_months_count_by_the_second),
      cmocka_unit_test(months_do_not_run_backwards),
      TEST(an_ordinary_month_is_one_segment_without_cuts),
      TEST(a_new_version_takes_over_at_its_nanosecond),
      TEST(contracts_leave_gaps),
      TEST(a_plan_that_begins_later_leaves_a_gap),
      TEST(an_empty_period_is_refused),
      TEST(both_sides_of_a_change_are_charged_at_their_own_terms),
      TEST(a_set_up_fee_waits_for_its_plan),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
