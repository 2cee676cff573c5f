/* Prices, allowances, fees and minimums of the rating engine, on small worlds built by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rate/rate.h"

#include <stdlib.h>
#include <string.h>

#define OCTOBER ((struct period){{INT64_C(1790812800) * NS_PER_S}, {INT64_C(1793491200) * NS_PER_S}})
#define UNITS(n) ((quantity){(int128)(n)*1000000000})
#define HOUR (3600 * NS_PER_S)

/* One customer with one contract on one plan; the test fills in what it is about. */
struct world {
  struct arena *arena;
  struct meter meter;
  struct plan plan, own;
  struct contract contract;
  struct customer customer;
  struct catalog catalog;
  struct usage_row rows[16];
  size_t row_count;
  struct rating rating;
  struct error err;
};

static const slice dimension_names[] = {{"class", 5}};

static int set_up(void **state) {
  struct world *w = mem_alloc(sizeof *w);
  w->arena = arena_new();
  w->meter = (struct meter){.name = SLICE("tokens"),
                            .unit = SLICE("token"),
                            .aggregation = AGG_SUM,
                            .base_per_unit = QUANTITY_ONE,
                            .dimensions = dimension_names,
                            .dimension_count = 1};
  w->plan = (struct plan){.name = SLICE("basic"), .place = {"plans.yaml", 3}};
  w->own = (struct plan){.name = SLICE("own"), .place = {"customers.yaml", 9}};
  w->contract = (struct contract){.plan_name = SLICE("basic"), .from = {0}, .to = INSTANT_MAX};
  w->customer =
      (struct customer){.id = SLICE("acme"), .time_zone = "UTC", .contracts = &w->contract, .contract_count = 1};
  w->catalog = (struct catalog){.meters = &w->meter, .meter_count = 1, .plans = &w->plan, .plan_count = 1};
  *state = w;
  return 0;
}

static int tear_down(void **state) {
  struct world *w = *state;
  arena_free(w->arena);
  free(w);
  return 0;
}

static amount money(const char *text) {
  amount a;
  struct error err;
  assert_true(amount_parse(slice_of(text), &a, &err));
  return a;
}

static quantity units(const char *text) {
  quantity q;
  struct error err;
  assert_true(quantity_parse(slice_of(text), &q, &err));
  return q;
}

static rate factor(const char *text) {
  rate r;
  struct error err;
  assert_true(rate_parse(slice_of(text), &r, &err));
  return r;
}

static void assert_money(amount a, const char *expected) {
  char text[DECIMAL_TEXT_MAX];
  assert_string_equal(amount_text(a, text), expected);
}

static void assert_units(quantity q, const char *expected) {
  char text[DECIMAL_TEXT_MAX];
  assert_string_equal(quantity_text(q, text), expected);
}

/* A row of the given hour of October. */
static struct usage_row *use(struct world *w, const char *class_name, int64_t hour, const char *value) {
  slice *dimensions = arena_array(w->arena, 1, sizeof *dimensions);
  dimensions[0] = slice_of(class_name);
  int64_t from = OCTOBER.from.ns + hour * HOUR;
  struct usage_row *row = &w->rows[w->row_count++];
  *row = (struct usage_row){&w->meter, w->customer.id, dimensions, {from}, {from + HOUR}, units(value), 2};
  return row;
}

static void rate_october(struct world *w) {
  bool ok = rate_customer(w->arena, &w->catalog, &w->customer, OCTOBER, w->rows, w->row_count, &w->rating, &w->err);
  if (!ok) {
    fail_msg("%s", w->err.message);
  }
}

static void set_price(struct world *w, struct price_rule price) {
  struct price_rule *copy = arena_alloc(w->arena, sizeof *copy);
  price.meter = &w->meter;
  price.place = (struct place){"plans.yaml", 7};
  if (quantity_is_zero(price.per)) {
    price.per = QUANTITY_ONE;
  }
  *copy = price;
  w->plan.prices = copy;
  w->plan.price_count = 1;
}

static const struct match *class_is(struct world *w, const char *value) {
  struct match *match = arena_alloc(w->arena, sizeof *match);
  slice *values = arena_alloc(w->arena, sizeof *values);
  *values = slice_of(value);
  *match = (struct match){0, values, 1};
  return match;
}

/* The amount of one quantity at a price; no charge at all is "none". */
static void assert_rated(struct world *w, const char *quantity_used, const char *expected) {
  w->row_count = 0;
  use(w, "a", 0, quantity_used);
  rate_october(w);
  if (strcmp(expected, "none") == 0) {
    assert_int_equal(w->rating.charge_count, 0);
  } else {
    assert_int_equal(w->rating.charge_count, 1);
    assert_money(w->rating.charges[0].exact, expected);
    assert_money(w->rating.total, expected);
  }
}

/* ---- models ---- */

static void tokens_of_a_real_bill_are_exact(void **state) {
  struct world *w = *state;
  static const struct tier input = {.last = true, .each = {550000000000}},
                           output = {.last = true, .each = {2190000000000}};
  const struct price_rule prices[] = {{.name = SLICE("input"),
                                       .meter = &w->meter,
                                       .matches = class_is(w, "input"),
                                       .match_count = 1,
                                       .per = UNITS(1000000),
                                       .tiers = &input,
                                       .tier_count = 1},
                                      {.name = SLICE("output"),
                                       .meter = &w->meter,
                                       .matches = class_is(w, "output"),
                                       .match_count = 1,
                                       .per = UNITS(1000000),
                                       .tiers = &output,
                                       .tier_count = 1}};
  w->plan.prices = prices;
  w->plan.price_count = 2;
  use(w, "input", 5, "18059974");
  use(w, "output", 5, "245896");
  rate_october(w);
  assert_int_equal(w->rating.charge_count, 2);
  assert_money(w->rating.charges[0].exact, "9.9329857");
  assert_money(w->rating.charges[1].exact, "0.53851224");
  assert_money(w->rating.total, "10.47149794");
  assert_true(w->rating.charges[0].has_unit_price);
  assert_money(w->rating.charges[0].unit_price.each, "0.55");
  assert_units(w->rating.charges[0].unit_price.per, "1000000");
  assert_int_equal(w->rating.unpriced_count, 0);
}

static const struct tier three_tiers[] = {{.up_to = {100000000000}, .each = {1000000000000}, .flat = {0}},
                                          {.up_to = {200000000000}, .each = {500000000000}, .flat = {5000000000000}},
                                          {.last = true, .each = {250000000000}, .flat = {7000000000000}}};

static void graduated_charges_each_part_at_its_tier(void **state) {
  struct world *w = *state;
  set_price(w, (struct price_rule){.model = PRICE_GRADUATED, .tiers = three_tiers, .tier_count = 3});
  assert_rated(w, "0", "none");
  assert_rated(w, "99.5", "99.5");
  assert_rated(w, "100", "100");
  assert_rated(w, "100.000000001", "105.0000000005");
  assert_rated(w, "200", "155");
  assert_rated(w, "204", "163");
  const struct charge *c = &w->rating.charges[0];
  assert_int_equal(c->step_count, 5);
  assert_false(c->has_unit_price);
  assert_string_equal(c->steps[2].note, "tier 2 entered: flat 5");
  assert_units(c->steps[3].raw, "4");
  assert_int_equal(c->steps[3].tier, 2);
  assert_int_equal(c->steps[3].rows, 1);
  assert_int_equal(c->steps[3].events, 2);
}

static void volume_charges_all_at_the_tier_it_falls_in(void **state) {
  struct world *w = *state;
  set_price(w, (struct price_rule){.model = PRICE_VOLUME, .tiers = three_tiers, .tier_count = 3});
  assert_rated(w, "0", "none");
  assert_rated(w, "100", "100");
  assert_true(w->rating.charges[0].has_unit_price);
  assert_rated(w, "100.000000001", "55.0000000005");
  assert_false(w->rating.charges[0].has_unit_price);
  assert_rated(w, "200", "105");
  assert_rated(w, "400", "107");
}

static void packages_are_whole(void **state) {
  struct world *w = *state;
  static const struct tier tier = {.last = true, .each = {3000000000000}};
  set_price(w, (struct price_rule){.model = PRICE_PACKAGE, .per = UNITS(1000), .tiers = &tier, .tier_count = 1});
  assert_rated(w, "0.000000001", "3");
  assert_rated(w, "1000", "3");
  assert_rated(w, "1000.000000001", "6");
  assert_string_equal(w->rating.charges[0].steps[0].note, "2 packages");
  assert_rated(w, "0", "none");
}

static void stairs_charge_the_step_reached(void **state) {
  struct world *w = *state;
  set_price(w, (struct price_rule){.model = PRICE_STAIRSTEP, .tiers = three_tiers, .tier_count = 3});
  assert_rated(w, "100", "0");
  assert_rated(w, "101", "5");
  assert_rated(w, "200.1", "7");
  assert_string_equal(w->rating.charges[0].steps[0].note, "step 3: flat 7");
}

static void flat_is_charged_once(void **state) {
  struct world *w = *state;
  static const struct tier tier = {.last = true, .each = {9000000000000}};
  set_price(w, (struct price_rule){.model = PRICE_FLAT, .tiers = &tier, .tier_count = 1});
  assert_rated(w, "0.001", "9");
  assert_rated(w, "1000000", "9");
  assert_rated(w, "0", "none");
}

static const struct tier one_each = {.last = true, .each = {1000000000000}};

static void gpu_seconds_are_priced_by_the_hour(void **state) {
  struct world *w = *state;
  static const struct tier tier = {.last = true, .each = {2490000000000}};
  w->meter.aggregation = AGG_INTEGRAL;
  w->meter.base_per_unit = UNITS(3600);
  set_price(w, (struct price_rule){.tiers = &tier, .tier_count = 1});
  assert_rated(w, "3600", "2.49");
  assert_units(w->rating.charges[0].units, "1");
  assert_units(w->rating.charges[0].steps[0].price.per, "3600");
  assert_rated(w, "1", "0.000691666667");
}

/* ---- matching ---- */

static void overlapping_filters_never_bill_twice(void **state) {
  struct world *w = *state;
  const struct price_rule prices[] = {
      {.name = SLICE("first"),
       .meter = &w->meter,
       .matches = class_is(w, "a"),
       .match_count = 1,
       .per = QUANTITY_ONE,
       .tiers = &one_each,
       .tier_count = 1},
      {.name = SLICE("inner"),
       .meter = &w->meter,
       .matches = class_is(w, "a"),
       .match_count = 1,
       .per = QUANTITY_ONE,
       .tiers = &one_each,
       .tier_count = 1},
      {.name = SLICE("rest"), .meter = &w->meter, .per = QUANTITY_ONE, .tiers = &one_each, .tier_count = 1}};
  w->plan.prices = prices;
  w->plan.price_count = 3;
  use(w, "a", 0, "10");
  use(w, "b", 0, "1");
  rate_october(w);
  assert_int_equal(w->rating.charge_count, 2);
  assert_true(slice_is(w->rating.charges[0].name, "first"));
  assert_true(slice_is(w->rating.charges[1].name, "rest"));
  assert_money(w->rating.total, "11");
}

static void own_prices_match_before_the_plan(void **state) {
  struct world *w = *state;
  static const struct tier cheap = {.last = true, .each = {500000000000}};
  const struct price_rule own = {.name = SLICE("own"),
                                 .meter = &w->meter,
                                 .matches = class_is(w, "a"),
                                 .match_count = 1,
                                 .per = QUANTITY_ONE,
                                 .tiers = &cheap,
                                 .tier_count = 1};
  set_price(w, (struct price_rule){.name = SLICE("list"), .tiers = &one_each, .tier_count = 1});
  w->own.prices = &own;
  w->own.price_count = 1;
  w->contract.own = &w->own;
  use(w, "a", 0, "10");
  use(w, "b", 0, "10");
  rate_october(w);
  assert_int_equal(w->rating.charge_count, 2);
  assert_true(slice_is(w->rating.charges[0].name, "own"));
  assert_money(w->rating.charges[0].exact, "5");
  assert_money(w->rating.charges[1].exact, "10");
}

static void usage_without_a_price_is_listed(void **state) {
  struct world *w = *state;
  use(w, "a", 0, "10");
  use(w, "a", 1, "5");
  use(w, "b", 1, "0");
  rate_october(w);
  assert_int_equal(w->rating.charge_count, 0);
  assert_int_equal(w->rating.unpriced_count, 1);
  const struct unpriced *u = &w->rating.unpriced[0];
  assert_units(u->raw, "15");
  assert_int_equal(u->events, 4);
  assert_string_equal(u->why, "no price matches");
  assert_true(slice_is(u->dimensions[0], "a"));
  assert_true(u->from.ns == OCTOBER.from.ns && u->to.ns == OCTOBER.from.ns + 2 * HOUR);
}

static void usage_without_a_contract_is_listed(void **state) {
  struct world *w = *state;
  w->contract.from.ns = OCTOBER.from.ns + 2 * HOUR;
  set_price(w, (struct price_rule){.tiers = &one_each, .tier_count = 1});
  use(w, "a", 1, "10");
  use(w, "a", 2, "5");
  rate_october(w);
  assert_int_equal(w->rating.charge_count, 1);
  assert_money(w->rating.total, "5");
  assert_int_equal(w->rating.unpriced_count, 1);
  assert_string_equal(w->rating.unpriced[0].why, "no contract at this time");
  assert_units(w->rating.unpriced[0].raw, "10");
}

/* ---- combining ---- */

static void peaks_of_series_are_summed(void **state) {
  struct world *w = *state;
  static const struct allowance free_three = {.included = {3000000000}};
  struct allowance allowance = free_three;
  allowance.meter = &w->meter;
  w->meter.aggregation = AGG_MAX;
  set_price(w, (struct price_rule){.tiers = &one_each, .tier_count = 1});
  use(w, "a", 0, "4");
  use(w, "a", 1, "9");
  use(w, "a", 2, "2");
  use(w, "b", 0, "5");
  rate_october(w);
  assert_money(w->rating.total, "14");
  assert_int_equal(w->rating.charges[0].steps[0].rows, 4);
  w->plan.allowances = &allowance;
  w->plan.allowance_count = 1;
  rate_october(w);
  assert_money(w->rating.total, "11");
  assert_units(w->rating.charges[0].included_units, "3");
}

/* ---- allowances ---- */

static void allowances_are_drawn_in_order_of_time(void **state) {
  struct world *w = *state;
  static const struct tier dear = {.last = true, .each = {10000000000000}};
  const struct price_rule prices[] = {{.name = SLICE("a"),
                                       .meter = &w->meter,
                                       .matches = class_is(w, "a"),
                                       .match_count = 1,
                                       .per = QUANTITY_ONE,
                                       .tiers = &one_each,
                                       .tier_count = 1},
                                      {.name = SLICE("b"),
                                       .meter = &w->meter,
                                       .matches = class_is(w, "b"),
                                       .match_count = 1,
                                       .per = QUANTITY_ONE,
                                       .tiers = &dear,
                                       .tier_count = 1}};
  const struct allowance allowances[] = {{.meter = &w->meter, .included = UNITS(8)}};
  w->plan.prices = prices;
  w->plan.price_count = 2;
  w->plan.allowances = allowances;
  w->plan.allowance_count = 1;
  use(w, "a", 0, "5");
  use(w, "a", 4, "5");
  use(w, "b", 2, "5");
  rate_october(w);
  assert_money(w->rating.charges[0].exact, "5");
  assert_units(w->rating.charges[0].included_units, "5");
  assert_money(w->rating.charges[1].exact, "20");
  assert_units(w->rating.charges[1].steps[0].included, "3");
}

static void covered_usage_needs_no_price(void **state) {
  struct world *w = *state;
  const struct allowance allowances[] = {
      {.meter = &w->meter, .matches = class_is(w, "b"), .match_count = 1, .included = UNITS(100)},
      {.meter = &w->meter, .included = UNITS(8)}};
  w->plan.allowances = allowances;
  w->plan.allowance_count = 2;
  use(w, "a", 0, "5");
  rate_october(w);
  assert_int_equal(w->rating.charge_count + w->rating.unpriced_count, 0);
  use(w, "a", 1, "5");
  rate_october(w);
  assert_int_equal(w->rating.unpriced_count, 1);
  assert_units(w->rating.unpriced[0].raw, "2");
}

/* ---- multipliers ---- */

static void multipliers_are_folded_into_one_rounding(void **state) {
  struct world *w = *state;
  const struct multiplier multipliers[] = {{.matches = class_is(w, "spot"), .match_count = 1, .by = factor("0.3")},
                                           {.by = factor("1.5")}};
  set_price(
      w, (struct price_rule){
             .per = UNITS(7), .tiers = &one_each, .tier_count = 1, .multipliers = multipliers, .multiplier_count = 2});
  use(w, "spot", 0, "10");
  use(w, "usual", 0, "10");
  rate_october(w);
  const struct charge *c = &w->rating.charges[0];
  assert_int_equal(c->step_count, 2);
  assert_money(c->steps[0].amount, "0.642857142857"); /* 10 x 0.45 / 7 */
  assert_money(c->steps[1].amount, "2.142857142857"); /* 10 x 1.5 / 7 */
}

static void groups_climb_the_tiers_together(void **state) {
  struct world *w = *state;
  const struct multiplier half = {.matches = class_is(w, "b"), .match_count = 1, .by = factor("0.5")};
  set_price(w, (struct price_rule){.model = PRICE_GRADUATED,
                                   .tiers = three_tiers,
                                   .tier_count = 3,
                                   .multipliers = &half,
                                   .multiplier_count = 1});
  use(w, "a", 0, "60");
  use(w, "a", 2, "20");
  use(w, "b", 1, "60");
  rate_october(w);
  /* a 60 and b 40 at 1, then b 20 and a 20 at 0.5, and the second tier's 5 */
  assert_money(w->rating.total, "100");
  assert_units(w->rating.charges[0].steps[0].raw, "40");
  assert_money(w->rating.charges[0].steps[0].amount, "20");
}

/* ---- limits ---- */

static void a_price_minimum_wants_usage(void **state) {
  struct world *w = *state;
  set_price(w, (struct price_rule){.tiers = &one_each,
                                   .tier_count = 1,
                                   .has_minimum = true,
                                   .minimum = money("10"),
                                   .has_maximum = true,
                                   .maximum = money("20")});
  assert_rated(w, "0", "none");
  assert_rated(w, "4", "10");
  assert_string_equal(w->rating.charges[0].steps[1].note, "minimum 10");
  assert_money(w->rating.charges[0].steps[1].amount, "6");
  assert_false(w->rating.charges[0].has_unit_price);
  assert_rated(w, "15", "15");
  assert_rated(w, "50", "20");
  assert_string_equal(w->rating.charges[0].steps[1].note, "maximum 20");
  assert_money(w->rating.charges[0].steps[1].amount, "-30");
  const struct allowance allowance = {.meter = &w->meter, .included = UNITS(4)};
  w->plan.allowances = &allowance;
  w->plan.allowance_count = 1;
  assert_rated(w, "4", "0");
}

static void the_plan_minimum_is_trued_up(void **state) {
  struct world *w = *state;
  set_price(w, (struct price_rule){.tiers = &one_each, .tier_count = 1});
  w->plan.has_minimum = true;
  w->plan.minimum = money("100");
  rate_october(w);
  assert_int_equal(w->rating.charge_count, 1);
  assert_int_equal(w->rating.charges[0].kind, CHARGE_TRUE_UP);
  assert_money(w->rating.total, "100");
  use(w, "a", 0, "99.5");
  rate_october(w);
  assert_int_equal(w->rating.charge_count, 2);
  assert_money(w->rating.charges[1].exact, "0.5");
  w->own.has_minimum = true;
  w->own.minimum = money("50");
  w->contract.own = &w->own;
  rate_october(w);
  assert_int_equal(w->rating.charge_count, 1);
}

/* ---- fees ---- */

static void fees_come_once_by_the_month_and_by_the_hour(void **state) {
  struct world *w = *state;
  const struct fee fees[] = {{.name = SLICE("set-up"), .each = money("50"), .count = QUANTITY_ONE, .every = FEE_ONCE},
                             {.name = SLICE("seat"), .each = money("20"), .count = UNITS(3), .every = FEE_MONTH},
                             {.name = SLICE("gpu"), .each = money("2"), .count = UNITS(8), .every = FEE_HOUR}};
  w->plan.fees = fees;
  w->plan.fee_count = 3;
  rate_october(w);
  assert_int_equal(w->rating.charge_count, 2);
  assert_money(w->rating.charges[0].exact, "60");
  assert_money(w->rating.charges[1].exact, "11904"); /* 744 hours */
  assert_units(w->rating.charges[1].units, "5952");
  w->contract.from.ns = OCTOBER.from.ns + 19 * 24 * HOUR;
  rate_october(w);
  assert_int_equal(w->rating.charge_count, 3);
  assert_money(w->rating.charges[0].exact, "50");
  assert_money(w->rating.charges[1].exact, "23.225806451613");
  assert_string_equal(w->rating.charges[1].steps[0].note, "prorated 12 of 31 days");
  assert_money(w->rating.charges[2].exact, "4608");
  w->contract.to.ns = w->contract.from.ns + 1;
  rate_october(w);
  assert_money(w->rating.charges[2].exact, "0.000000000004"); /* 16 / 3600e9 */
  assert_string_equal(w->rating.charges[1].steps[0].note, "prorated 0.000000001 of 2678400 seconds");
}

/* ---- refusals ---- */

static void assert_refused(struct world *w, enum error_code code, const char *part) {
  w->err = (struct error){0};
  assert_false(rate_customer(w->arena, &w->catalog, &w->customer, OCTOBER, w->rows, w->row_count, &w->rating, &w->err));
  assert_int_equal(w->err.code, code);
  if (!strstr(w->err.message, part)) {
    fail_msg("\"%s\" is not in \"%s\"", part, w->err.message);
  }
}

static void overflow_names_customer_and_price(void **state) {
  struct world *w = *state;
  static const struct tier dear = {.last = true, .each = {(int128)1 << 120}};
  set_price(w, (struct price_rule){.name = SLICE("dear"), .tiers = &dear, .tier_count = 1});
  use(w, "a", 0, "1000000000");
  assert_refused(w, ERR_OVERFLOW, "customer acme: plans.yaml:7: price \"dear\"");
  w->rows[0].value.e9 = (int128)1 << 126;
  use(w, "a", 1, "0")->value.e9 = (int128)1 << 126;
  assert_refused(w, ERR_OVERFLOW, "customer acme: plans.yaml:7: price \"dear\"");
}

static void bad_rows_are_refused(void **state) {
  struct world *w = *state;
  struct usage_row *row = use(w, "a", 0, "1");
  const struct usage_row good = *row;
  row->value.e9 = -1;
  assert_refused(w, ERR_INVALID, "negative");
  *row = good;
  row->customer = SLICE("other");
  assert_refused(w, ERR_INVALID, "another customer");
  *row = good;
  row->from = row->to = OCTOBER.to;
  assert_refused(w, ERR_INVALID, "outside the period");
  *row = good;
  w->contract.from.ns = row->from.ns + 1;
  assert_refused(w, ERR_INVALID, "rate_cuts");
}

static void charge_kinds_have_names(void **state) {
  (void)state;
  assert_string_equal(charge_kind_name(CHARGE_USAGE), "usage");
  assert_string_equal(charge_kind_name(CHARGE_FEE), "fee");
  assert_string_equal(charge_kind_name(CHARGE_TRUE_UP), "true_up");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(tokens_of_a_real_bill_are_exact),
      TEST(graduated_charges_each_part_at_its_tier),
      TEST(volume_charges_all_at_the_tier_it_falls_in),
      TEST(packages_are_whole),
      TEST(stairs_charge_the_step_reached),
      TEST(flat_is_charged_once),
      TEST(gpu_seconds_are_priced_by_the_hour),
      TEST(overlapping_filters_never_bill_twice),
      TEST(own_prices_match_before_the_plan),
      TEST(usage_without_a_price_is_listed),
      TEST(usage_without_a_contract_is_listed),
      TEST(peaks_of_series_are_summed),
      TEST(allowances_are_drawn_in_order_of_time),
      TEST(covered_usage_needs_no_price),
      TEST(multipliers_are_folded_into_one_rounding),
      TEST(groups_climb_the_tiers_together),
      TEST(a_price_minimum_wants_usage),
      TEST(the_plan_minimum_is_trued_up),
      TEST(fees_come_once_by_the_month_and_by_the_hour),
      TEST(overflow_names_customer_and_price),
      TEST(bad_rows_are_refused),
      TEST(charge_kinds_have_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
