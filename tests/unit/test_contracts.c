/* Contracts over months: billing days and cadences, phases, changes, add-ons, fees in advance and in arrears. Each case
 * names what a period or an opening charges, to the digit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rate/rate.h"

#include <stdlib.h>
#include <string.h>

#define PLANS                                                                                                          \
  "currency: USD\n"                                                                                                    \
  "meters: [{name: calls, event: c, aggregation: count, unit: call}]\n"                                                \
  "plans:\n"                                                                                                           \
  "  - {name: trial, prices: [{meter: calls, price: 0}]}\n"                                                            \
  "  - {name: pro, fees: [{name: Base, price: 310, in_advance: true}, {name: Setup, price: 50, every: once}]}\n"       \
  "  - {name: max, fees: [{name: Base, price: 620, in_advance: true}, {name: Setup, price: 50, every: once}]}\n"       \
  "  - {name: yearly, fees: [{name: Year, price: 3650, every: year, in_advance: true}]}\n"                             \
  "  - {name: quarterly, fees: [{name: Quarter, price: 900, every: quarter}]}\n"                                       \
  "  - {name: floor, minimum: 1000, fees: [{name: Base, price: 310, in_advance: true}]}\n"                             \
  "  - {name: backup, fees: [{name: Backup, price: 31}]}\n"                                                            \
  "  - {name: care, fees: [{name: Base, price: 31, in_advance: true}]}\n"                                              \
  "  - {name: welcome, fees: [{name: Gift, price: 50, every: once, in_advance: true}]}\n"                              \
  "  - {name: shrinks, minimum: 1000, fees: [{name: Base, price: 310, in_advance: true}]}\n"                           \
  "  - {name: shrinks, valid_from: 2026-10-11, minimum: 1000}\n"

static struct catalog *load(const char *customer) {
  struct catalog *catalog;
  struct error err;
  char text[4096];
  snprintf(text, sizeof text, PLANS "customers:\n  - %s\n", customer);
  const struct catalog_text file = {"test.yaml", slice_of(text)};
  if (!catalog_parse(&file, 1, &catalog, &err)) {
    fail_msg("%s", err.message);
  }
  return catalog;
}

static void list_charges(const struct rating *rating, char *out, size_t size) {
  size_t at = 0;
  out[0] = '\0';
  for (size_t i = 0; i < rating->charge_count; i++) {
    const struct charge *c = &rating->charges[i];
    char text[DECIMAL_TEXT_MAX];
    at += (size_t)snprintf(out + at, size - at, "%s" SLICE_FMT " %s", i ? "; " : "", SLICE_ARG(c->name),
                           amount_text(c->exact, text));
  }
}

static void assert_charges(const struct rating *rating, const char *what, const char *expected) {
  char found[1000];
  list_charges(rating, found, sizeof found);
  if (strcmp(found, expected) != 0) {
    fail_msg("%s: expected \"%s\", found \"%s\"", what, expected, found);
  }
}

static void period_charges(const struct catalog *catalog, const char *period, const char *expected) {
  struct arena *arena = arena_new();
  struct rating rating = {0};
  struct period p;
  struct error err = {0};
  bool none;
  const struct customer *c = &catalog->customers[0];
  if (!billing_period_named(c, slice_of(period), &p, &none, &err) ||
      (!none && !rate_customer(arena, catalog, c, p, NULL, 0, &rating, &err))) {
    fail_msg("%s", err.message);
  }
  assert_charges(&rating, period, none ? "" : expected);
  assert_true(!none || *expected == '\0');
  arena_free(arena);
}

static void opening_charges(const struct catalog *catalog, const char *at, const char *expected) {
  struct arena *arena = arena_new();
  struct rating rating;
  struct error err = {0};
  instant t;
  assert_true(time_parse_rfc3339(slice_of(at), &t, &err));
  if (!rate_opening(arena, catalog, &catalog->customers[0], t, &rating, &err)) {
    fail_msg("%s", err.message);
  }
  assert_charges(&rating, at, expected);
  arena_free(arena);
}

/* ---- the calendar ---- */

static void test_billing_day_31(void **state) {
  (void)state;
  struct catalog *catalog = load("{id: a, plan: pro, billing: {day: 31}}");
  const struct customer *c = &catalog->customers[0];
  static const char *const cases[][3] = {{"2027-01", "2027-01-31", "2027-02-28"},
                                         {"2027-02", "2027-02-28", "2027-03-31"},
                                         {"2028-02", "2028-02-29", "2028-03-31"},
                                         {"2027-04", "2027-04-30", "2027-05-31"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct period p, again;
    struct error err;
    bool none;
    char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX], name[2 * TIME_TEXT_MAX];
    assert_true(billing_period_named(c, slice_of(cases[i][0]), &p, &none, &err) && !none);
    assert_string_equal(time_format_date(p.from, "UTC", from), cases[i][1]);
    assert_string_equal(time_format_date(p.to, "UTC", to), cases[i][2]);
    assert_string_equal(billing_period_name(c, p, name), cases[i][0]);
    assert_true(billing_period_at(c, (instant){p.to.ns - 1}, &again, &err) && again.from.ns == p.from.ns);
    assert_true(billing_period_at(c, p.to, &again, &err) && again.from.ns == p.to.ns);
  }
  catalog_free(catalog);
}

/* A civil month is no period of a customer who is billed on the 15th, so it may not take the name of one. */
static void test_names_do_not_clash(void **state) {
  (void)state;
  struct catalog *catalog = load("{id: a, plan: pro, billing: {day: 15}}");
  struct period p;
  struct error err;
  char name[2 * TIME_TEXT_MAX];
  assert_true(time_parse_period(SLICE("2026-10"), "UTC", &p, &err));
  assert_string_equal(billing_period_name(&catalog->customers[0], p, name), "2026-10-01/2026-11-01");
  catalog_free(catalog);
}

static void test_quarters_have_three_months(void **state) {
  (void)state;
  struct catalog *catalog = load("{id: a, billing: {every: quarter, month: 2}, contracts: [{plan: backup, "
                                 "from: 2026-02-01, allowances: [], fees: [{name: Own, price: 1}]}]}");
  period_charges(catalog, "2026-02", "Own 1; Backup 31; Own 1; Backup 31; Own 1; Backup 31");
  period_charges(catalog, "2026-03", "");
  period_charges(catalog, "2026-05", "Own 1; Backup 31; Own 1; Backup 31; Own 1; Backup 31");
  catalog_free(catalog);
}

/* From the 15th to the 15th is one month exactly, though it lies in a month of 31 days and one of 30. */
static void test_a_month_from_the_15th_is_whole(void **state) {
  (void)state;
  struct catalog *catalog =
      load("{id: a, billing: {day: 15}, contracts: [{plan: backup, from: 2026-10-15, to: 2026-11-20}]}");
  period_charges(catalog, "2026-10", "Backup 31");
  period_charges(catalog, "2026-11", "Backup 5.166666666667");
  catalog_free(catalog);
}

/* ---- in advance ---- */

static void test_in_advance(void **state) {
  (void)state;
  struct catalog *catalog = load("{id: a, contracts: [{plan: pro, from: 2026-10-12, to: 2026-12-01}]}");
  opening_charges(catalog, "2026-10-12T00:00:00Z", "Base 200");
  period_charges(catalog, "2026-09", "");
  period_charges(catalog, "2026-10", "Setup 50; Base 310");
  period_charges(catalog, "2026-11", "");
  catalog_free(catalog);
}

static void test_year_from_29_february(void **state) {
  (void)state;
  struct catalog *catalog = load("{id: a, contracts: [{plan: yearly, from: 2024-02-29}]}");
  opening_charges(catalog, "2024-02-29T00:00:00Z", "Year 3650");
  period_charges(catalog, "2025-02", "Year 3650"); /* from 28 February */
  period_charges(catalog, "2025-01", "");
  period_charges(catalog, "2028-02", "Year 3650"); /* from 29 February again */
  catalog_free(catalog);
}

static void test_quarter_in_arrears(void **state) {
  (void)state;
  struct catalog *catalog = load("{id: a, contracts: [{plan: quarterly, from: 2026-01-10, to: 2026-05-01}]}");
  period_charges(catalog, "2026-03", "");
  period_charges(catalog, "2026-04", "Quarter 900; Quarter 207.692307692308"); /* 21 of 91 days */
  catalog_free(catalog);
}

/* What is charged in advance counts for the month it is for. */
static void test_minimum_counts_fees_in_advance(void **state) {
  (void)state;
  struct catalog *catalog = load("{id: a, contracts: [{plan: floor, from: 2026-10-01, to: 2026-11-16}]}");
  period_charges(catalog, "2026-10", "minimum spend 690; Base 155");
  period_charges(catalog, "2026-11", "minimum spend 345");
  catalog_free(catalog);
}

/* ---- phases and changes ---- */

static void test_phases(void **state) {
  (void)state;
  struct catalog *catalog =
      load("{id: a, contracts: [{plan: max, from: 2026-10-05, phases: [{plan: trial, for: 7 days}, "
           "{plan: pro, for: 1 month}]}]}");
  opening_charges(catalog, "2026-10-05T00:00:00Z", "");
  opening_charges(catalog, "2026-10-12T00:00:00Z", "Base 200");
  period_charges(catalog, "2026-10", "Setup 50; Base 113.666666666667"); /* November 1 to 11: 11 of 30 days */
  opening_charges(catalog, "2026-11-12T00:00:00Z", "Base 392.666666666667");
  period_charges(catalog, "2026-11", "Base 620");
  catalog_free(catalog);
}

static void test_upgrade_now(void **state) {
  (void)state;
  struct catalog *catalog =
      load("{id: a, contracts: [{plan: pro, from: 2026-10-01, changes: [{at: 2026-10-11, plan: max}]}]}");
  opening_charges(catalog, "2026-10-01T00:00:00Z", "Base 310");
  opening_charges(catalog, "2026-10-11T00:00:00Z", "");
  period_charges(catalog, "2026-10", "Setup 50; Base, unused time -210; Base 420; Base 620");
  catalog_free(catalog);
}

static void test_downgrade_at_period_end(void **state) {
  (void)state;
  struct catalog *catalog = load("{id: a, contracts: [{plan: max, from: 2026-10-01, changes: [{at: 2026-10-11, "
                                 "when: period_end, plan: pro}]}]}");
  period_charges(catalog, "2026-10", "Setup 50; Base 310");
  period_charges(catalog, "2026-11", "Base 310");
  catalog_free(catalog);
}

static void test_cancel(void **state) {
  (void)state;
  struct catalog *credited =
      load("{id: a, contracts: [{plan: yearly, from: 2026-10-01, changes: [{at: 2026-12-01, cancel: true}]}]}");
  struct catalog *kept = load("{id: a, contracts: [{plan: yearly, from: 2026-10-01, changes: [{at: 2026-12-01, cancel: "
                              "true, credit: false}]}]}");
  struct catalog *at_term = load("{id: a, contracts: [{plan: yearly, from: 2026-10-01, term: 1 year, renew: true, "
                                 "changes: [{at: 2028-01-15, cancel: true, when: term_end}]}]}");
  period_charges(credited, "2026-11", "Year, unused time -3040"); /* 304 days */
  period_charges(credited, "2027-09", "");
  period_charges(kept, "2026-11", "");
  period_charges(at_term, "2027-09", "Year 3650");
  period_charges(at_term, "2028-09", "");
  catalog_free(credited);
  catalog_free(kept);
  catalog_free(at_term);
}

/* A fee that a change leaves as it was is neither credited nor charged again. */
static void test_quantities_and_add_ons(void **state) {
  (void)state;
  struct catalog *catalog =
      load("{id: a, contracts: [{plan: pro, from: 2026-11-01, quantities: {Base: 2}, changes: ["
           "{at: 2026-11-16, add_ons: [{plan: backup, count: 3}]}, {at: 2026-12-01, quantities: {Base: 1}},"
           "{at: 2026-12-11, remove: backup}]}]}");
  opening_charges(catalog, "2026-11-01T00:00:00Z", "Base 620");
  period_charges(catalog, "2026-11", "Setup 50; Backup 46.5; Base 310");
  period_charges(catalog, "2026-12", "Backup 30; Base 310");
  catalog_free(catalog);
}

/* By the second: noon of 11 October, then noon again. */
static void test_two_changes_in_a_day(void **state) {
  (void)state;
  struct catalog *catalog =
      load("{id: a, contracts: [{plan: pro, from: 2026-10-01, changes: [{at: \"2026-10-11 06:00:00\", plan: max}, "
           "{at: \"2026-10-11 18:00:00\", plan: pro}]}]}");
  period_charges(catalog, "2026-10",
                 "Setup 50; Base, unused time -207.5; Base 415; Base, unused time -405; Base 202.5; Base 310");
  catalog_free(catalog);
}

/* ---- what goes on ---- */

/* The first phase was charged to its own end only, so that the same fee of the next begins there. */
static void test_the_same_fee_in_the_next_phase(void **state) {
  (void)state;
  struct catalog *catalog =
      load("{id: a, contracts: [{plan: floor, from: 2026-10-01, phases: [{plan: pro, for: 10 days}]}]}");
  opening_charges(catalog, "2026-10-01T00:00:00Z", "Base 100");
  opening_charges(catalog, "2026-10-11T00:00:00Z", "Base 210");
  catalog_free(catalog);
}

/* A change ends phases to come: the fee goes on beyond where the phase, and what was charged, would have ended. */
static void test_a_change_ends_a_phase_but_not_its_fee(void **state) {
  (void)state;
  struct catalog *catalog =
      load("{id: a, contracts: [{plan: max, from: 2026-10-01, phases: [{plan: pro, for: 10 days}], "
           "changes: [{at: 2026-10-06, plan: floor}]}]}");
  opening_charges(catalog, "2026-10-01T00:00:00Z", "Base 100");
  period_charges(catalog, "2026-10", "Setup 50; minimum spend 578.709677419355; Base 210; Base 310");
  catalog_free(catalog);
}

/* Base of the add-on is not Base of the plan. */
static void test_an_add_on_with_the_plans_fee_name(void **state) {
  (void)state;
  struct catalog *catalog = load("{id: a, contracts: [{plan: pro, from: 2026-10-01, add_ons: [{plan: care}], "
                                 "changes: [{at: 2026-10-11, plan: max}]}]}");
  opening_charges(catalog, "2026-10-01T00:00:00Z", "Base 310; Base 31");
  period_charges(catalog, "2026-10", "Setup 50; Base, unused time -210; Base 420; Base 620; Base 31");
  catalog_free(catalog);
  catalog = load("{id: a, contracts: [{plan: pro, from: 2026-10-01, add_ons: [{plan: care}], "
                 "changes: [{at: 2026-10-11, remove: care}]}]}");
  period_charges(catalog, "2026-10", "Setup 50; Base, unused time -21; Base 310");
  catalog_free(catalog);
}

static void test_once_in_advance_is_once(void **state) {
  (void)state;
  struct catalog *catalog = load(
      "{id: a, contracts: [{plan: welcome, from: 2026-10-01, changes: [{at: 2026-10-11, quantities: {Gift: 3}}]}]}");
  opening_charges(catalog, "2026-10-01T00:00:00Z", "Gift 50");
  period_charges(catalog, "2026-10", "");
  catalog_free(catalog);
}

/* The month was charged with 310 before the plan's new version dropped the fee: both stretches have their share. */
static void test_minimum_counts_a_fee_that_a_version_dropped(void **state) {
  (void)state;
  struct catalog *catalog = load("{id: a, contracts: [{plan: shrinks, from: 2026-10-01}]}");
  period_charges(catalog, "2026-10", "minimum spend 222.58064516129; minimum spend 467.41935483871");
  period_charges(catalog, "2026-11", "minimum spend 1000");
  catalog_free(catalog);
}

/* 01:30Z is the second 02:30 of that night; counted by its civil time, the year would begin an hour earlier. */
static void test_a_year_from_a_second_that_exists_twice(void **state) {
  (void)state;
  struct catalog *catalog =
      load("{id: a, time_zone: Europe/Amsterdam, contracts: [{plan: yearly, from: \"2026-10-25T01:30:00Z\"}]}");
  opening_charges(catalog, "2026-10-25T01:30:00Z", "Year 3650");
  catalog_free(catalog);
}

/* ---- what is refused ---- */

static void assert_refused(const char *customer, const char *why) {
  struct catalog *catalog = NULL;
  struct error err = {0};
  char text[4096];
  snprintf(text, sizeof text, PLANS "customers:\n  - %s\n", customer);
  const struct catalog_text file = {"test.yaml", slice_of(text)};
  assert_false(catalog_parse(&file, 1, &catalog, &err));
  if (!strstr(err.message, why)) {
    fail_msg("expected \"%s\" in \"%s\"", why, err.message);
  }
}

static void test_refused(void **state) {
  (void)state;
  assert_refused("{id: a, plan: pro, billing: {day: 32}}", "whole number from 1 to 31");
  assert_refused("{id: a, plan: pro, billing: {month: 3}}", "has no meaning for every: month");
  assert_refused("{id: a, contracts: [{plan: pro, term: soon}]}", "is no length of time");
  assert_refused("{id: a, contracts: [{plan: pro, renew: true}]}", "goes with a term");
  assert_refused("{id: a, contracts: [{plan: pro, to: 2027-01-01, term: 1 year}]}", "keep one of the two");
  assert_refused("{id: a, contracts: [{plan: pro, from: 2026-01-01, changes: [{at: 2025-12-01, plan: max}]}]}",
                 "is not within the contract");
  assert_refused("{id: a, contracts: [{plan: pro, from: 2026-01-01, changes: [{at: 2026-12-01, cancel: true, "
                 "when: term_end}]}]}",
                 "has no term");
  assert_refused("{id: a, contracts: [{plan: pro, phases: [{plan: trail, for: 7 days}]}]}", "did you mean");
  assert_refused("{id: a, contracts: [{plan: pro, fees: [{name: x, price: 1, every: hour, in_advance: true}]}]}",
                 "has no meaning for every: hour");
}

#define CHANGED(...) "{id: a, contracts: [{plan: pro, from: 2026-01-01, changes: [" __VA_ARGS__ "]}]}"
/* What would be passed over without a word. */
static void test_refused_without_effect(void **state) {
  (void)state;
  assert_refused(CHANGED("{at: 2026-02-01}"), "changes nothing");
  assert_refused(CHANGED("{at: 2026-02-01, credit: false}"), "changes nothing");
  assert_refused(CHANGED("{at: 2026-02-01, cancel: true, plan: max}"), "cancels, and changes something else");
  assert_refused(CHANGED("{at: 2026-02-01, cancel: true}, {at: 2026-03-01, plan: max}"), "ended 2026-02-01T00:00:00Z");
  assert_refused(CHANGED("{at: 2026-02-01, remove: care}"), "has no add-on \"care\"");
  assert_refused(CHANGED("{at: 2026-02-01, add_ons: [{plan: care}]}, {at: 2026-03-01, remove: cara}"),
                 "did you mean \"care\"?");
  assert_refused(CHANGED("{at: 2026-02-01, quantities: {Bose: 2}}"), "has a fee \"Bose\"");
  assert_refused("{id: a, contracts: [{plan: pro, quantities: {Bose: 2}}]}", "has a fee \"Bose\"");
  assert_refused("{id: a, contracts: [{plan: pro, commitments: [{name: c, amount: 9, products: [Nothing]}]}]}",
                 "nothing is sold as product \"Nothing\"");
  catalog_free(load(CHANGED("{at: 2026-02-10, when: period_end, plan: max}, {at: 2026-02-20, cancel: true}")));
  catalog_free(load(CHANGED("{at: 2026-02-01, plan: max, quantities: {Base: 2}}")));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_billing_day_31),
      cmocka_unit_test(test_names_do_not_clash),
      cmocka_unit_test(test_quarters_have_three_months),
      cmocka_unit_test(test_a_month_from_the_15th_is_whole),
      cmocka_unit_test(test_in_advance),
      cmocka_unit_test(test_year_from_29_february),
      cmocka_unit_test(test_quarter_in_arrears),
      cmocka_unit_test(test_minimum_counts_fees_in_advance),
      cmocka_unit_test(test_phases),
      cmocka_unit_test(test_upgrade_now),
      cmocka_unit_test(test_downgrade_at_period_end),
      cmocka_unit_test(test_cancel),
      cmocka_unit_test(test_refused_without_effect),
      cmocka_unit_test(test_quantities_and_add_ons),
      cmocka_unit_test(test_two_changes_in_a_day),
      cmocka_unit_test(test_the_same_fee_in_the_next_phase),
      cmocka_unit_test(test_a_change_ends_a_phase_but_not_its_fee),
      cmocka_unit_test(test_an_add_on_with_the_plans_fee_name),
      cmocka_unit_test(test_once_in_advance_is_once),
      cmocka_unit_test(test_minimum_counts_a_fee_that_a_version_dropped),
      cmocka_unit_test(test_a_year_from_a_second_that_exists_twice),
      cmocka_unit_test(test_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
