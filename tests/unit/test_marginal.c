/* Tests of what more usage costs, by hand; and of which segment an instant lies in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "rate/rate.h"

static const char TEXT[] =
    "currency: EUR\n"
    "meters: [{name: m, event: e, aggregation: sum, value: v, dimensions: [d]}]\n"
    "plans:\n"
    "  - name: p\n"
    "    valid_from: 2026-01-01\n"
    "    prices:\n"
    "      - {meter: m, match: {d: unit}, price: 2.5, per: 1000000}\n"
    "      - {meter: m, match: {d: climb}, model: graduated,\n"
    "         tiers: [{up_to: 10, price: 3}, {up_to: 20, price: 2, flat: 7}, {price: 1}]}\n"
    "      - {meter: m, match: {d: volume}, model: volume,\n"
    "         tiers: [{up_to: 10, price: 3}, {price: 1}]}\n"
    "      - {meter: m, match: {d: package}, model: package, price: 5, per: 100, minimum: 50}\n"
    "      - {meter: m, match: {d: steps}, model: stairstep,\n"
    "         tiers: [{up_to: 10, flat: 4}, {up_to: 20, flat: 9}, {flat: 11}]}\n"
    "      - {meter: m, match: {d: flat}, model: flat, price: 99}\n"
    "      - {meter: m, match: {d: part}, model: percentage, price: 2.9 %}\n"
    "      - {meter: m, match: {d: hours}, price: 1,\n"
    "         multipliers: [{hours: \"08:00-20:00\", by: 2}, {hours: \"22:00-06:00\", by: 0.5}]}\n"
    "      - {meter: m, match: {d: free}, price: 0}\n"
    "      - {meter: m, match: {d: dear}, price: 1000000000000}\n"
    "  - {name: p, valid_from: 2026-03-10}\n"
    "customers:\n"
    "  - {id: c, billing: {every: quarter},\n"
    "     contracts: [{plan: p, from: 2026-02-10, to: 2026-03-20}, {plan: p, from: 2026-03-25}]}\n"
    "  - {id: fifteenth, plan: p, billing: {day: 15}}\n";

static int load(void **state) {
  struct catalog_text file = {"c.yaml", SLICE(TEXT)};
  struct catalog *catalog;
  struct error err = {0};
  if (!catalog_parse(&file, 1, &catalog, &err)) {
    fail_msg("%s", err.message);
  }
  *state = catalog;
  return 0;
}

static int unload(void **state) {
  catalog_free(*state);
  return 0;
}

static instant at(const char *text) {
  struct error err;
  instant t = {0};
  assert_true(time_parse_loose(slice_of(text), "UTC", &t, &err));
  return t;
}

static quantity units(int64_t n) {
  return (quantity){(int128)n * QUANTITY_E9};
}

static const struct price_rule *price_of(const struct catalog *c, slice *dimension) {
  const struct price_rule *price = catalog_price(&c->plans[0], &c->meters[0], dimension);
  assert_non_null(price);
  return price;
}

static void costs(void **state, const char *kind, const char *time, int64_t before, int64_t raw, const char *expected) {
  slice dimension = slice_of(kind);
  struct error err = {0};
  amount cost;
  char text[DECIMAL_TEXT_MAX];
  if (!rate_marginal(price_of(*state, &dimension), &dimension, at(time), units(before), units(raw), &cost, &err)) {
    fail_msg("%s", err.message);
  }
  assert_string_equal(amount_text(cost, text), expected);
}

static void most(void **state, const char *kind, int64_t raw, const char *expected) {
  slice dimension = slice_of(kind);
  struct error err = {0};
  amount cost;
  char text[DECIMAL_TEXT_MAX];
  if (!rate_marginal_most(price_of(*state, &dimension), &dimension, units(raw), &cost, &err)) {
    fail_msg("%s", err.message);
  }
  assert_string_equal(amount_text(cost, text), expected);
}

static const char noon[] = "2026-02-20 12:00:00";

static void test_costs(void **state) {
  costs(state, "unit", noon, 0, 1000, "0.0025");
  costs(state, "unit", noon, 123456789, 1000, "0.0025");
  costs(state, "unit", noon, 5, 0, "0");
  costs(state, "climb", noon, 0, 10, "30");
  costs(state, "climb", noon, 9, 2, "12");   /* 3, then 7 on entering, and 2 */
  costs(state, "climb", noon, 10, 11, "28"); /* 7, 10 x 2, and 1 */
  costs(state, "climb", noon, 11, 1, "2");
  costs(state, "volume", noon, 10, 1, "-19"); /* 30 become 11 */
  costs(state, "package", noon, 0, 1, "5");   /* the minimum is of the month, not of a call */
  costs(state, "package", noon, 1, 99, "0");
  costs(state, "package", noon, 100, 101, "10");
  costs(state, "steps", noon, 0, 11, "9");
  costs(state, "steps", noon, 11, 10, "2");
  costs(state, "flat", noon, 0, 1, "99");
  costs(state, "flat", noon, 1, 1000, "0");
  costs(state, "part", noon, 50, 100, "2.9");
  costs(state, "hours", noon, 50, 1, "2");
  costs(state, "hours", "2026-02-20 21:00:00", 50, 1, "1");
  costs(state, "hours", "2026-02-20 23:00:00", 50, 1, "0.5");
}

static void test_most(void **state) {
  most(state, "unit", 1000, "0.002500000002");
  most(state, "climb", 2, "12.999999999006");  /* all but a trace at 3, and 7 for the trace */
  most(state, "climb", 11, "39.000000000006"); /* 10 x 3, 7, 2 */
  most(state, "volume", 1, "3.000000000004");
  most(state, "volume", 11, "30.000000000004"); /* ten of them cost more than eleven */
  most(state, "package", 1, "5.000000000002");
  most(state, "package", 101, "10.000000000002");
  most(state, "steps", 1, "5.000000000006");
  most(state, "flat", 1, "99.000000000002");
  most(state, "part", 100, "2.900000000002");
  most(state, "hours", 1, "2.000000000002");
  most(state, "hours", 0, "0");
  most(state, "free", 1000000, "0");
}

static void test_refused(void **state) {
  slice unit = SLICE("unit"), dear = SLICE("dear");
  struct error err = {0};
  amount cost;
  assert_false(rate_marginal(price_of(*state, &unit), &unit, at(noon), units(-1), units(1), &cost, &err));
  assert_false(rate_marginal(price_of(*state, &unit), &unit, at(noon), units(1), units(-1), &cost, &err));
  assert_false(rate_marginal_most(price_of(*state, &unit), &unit, units(-1), &cost, &err));
  assert_int_equal(err.code, ERR_INVALID);
  assert_false(rate_marginal(price_of(*state, &dear), &dear, at(noon), units(0), units(INT64_MAX), &cost, &err));
  assert_int_equal(err.code, ERR_OVERFLOW);
  assert_non_null(strstr(err.message, "c.yaml:"));
}

static void check_segment(void **state, const char *customer, const char *t, bool sold, const char *from,
                          const char *to) {
  const struct catalog *c = *state;
  struct segment s;
  struct error err = {0};
  if (!rate_segment_at(c, catalog_customer(c, slice_of(customer)), at(t), &s, &err)) {
    fail_msg("%s", err.message);
  }
  assert_true((s.contract != NULL) == sold && (s.plan != NULL) == sold);
  assert_int_equal(s.from.ns, at(from).ns);
  assert_int_equal(s.to.ns, at(to).ns);
}

static void test_segments(void **state) {
  check_segment(state, "c", "2026-01-15", false, "2026-01-01", "2026-02-01");
  check_segment(state, "c", "2026-02-05", false, "2026-02-01", "2026-02-10");
  check_segment(state, "c", "2026-02-10", true, "2026-02-10", "2026-03-01");
  check_segment(state, "c", "2026-03-09", true, "2026-03-01", "2026-03-10");
  check_segment(state, "c", "2026-03-10", true, "2026-03-10", "2026-03-20");
  check_segment(state, "c", "2026-03-20", false, "2026-03-20", "2026-03-25");
  check_segment(state, "c", "2026-03-31", true, "2026-03-25", "2026-04-01");
  check_segment(state, "fifteenth", "2026-03-09", true, "2026-02-15", "2026-03-10");
  check_segment(state, "fifteenth", "2026-03-14", true, "2026-03-10", "2026-03-15");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_costs), cmocka_unit_test(test_most),
                                     cmocka_unit_test(test_refused), cmocka_unit_test(test_segments)};
  return cmocka_run_group_tests(tests, load, unload);
}
