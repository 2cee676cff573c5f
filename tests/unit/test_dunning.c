/* Dunning: on which instant a day after the due date begins, in which zone, and which steps that makes due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collect/collect.h"
#include <stdlib.h>
#include <string.h>

static instant at(const char *text) {
  instant t;
  struct error err = {0};
  if (!time_parse_rfc3339(slice_of(text), &t, &err)) {
    fail_msg("%s", err.message);
  }
  return t;
}

static void begins(const char *due, int days, const char *zone, const char *expected) {
  instant t;
  char text[TIME_TEXT_MAX];
  struct error err = {0};
  if (!dunning_day(at(due), days, zone, &t, &err)) {
    fail_msg("%s", err.message);
  }
  assert_string_equal(time_format(t, text), expected);
}

static void days_are_those_of_the_customer(void **state) {
  (void)state;
  begins("2026-11-19T22:59:59Z", 3, "Europe/Amsterdam", "2026-11-21T23:00:00Z");
  begins("2026-11-19T23:00:00Z", 3, "Europe/Amsterdam", "2026-11-22T23:00:00Z");
  begins("2026-11-19T23:00:00Z", 3, "UTC", "2026-11-22T00:00:00Z");
  begins("2026-11-19T10:00:00Z", 1, "Pacific/Auckland", "2026-11-19T11:00:00Z");
  begins("2026-11-19T10:00:00Z", 1, "America/Los_Angeles", "2026-11-20T08:00:00Z");
}

/* Spring 2026 in Amsterdam lacks an hour on 29 March, autumn repeats one on 25 October. */
static void days_of_23_and_25_hours_are_days(void **state) {
  (void)state;
  begins("2026-03-26T12:00:00Z", 3, "Europe/Amsterdam", "2026-03-28T23:00:00Z");
  begins("2026-03-26T12:00:00Z", 4, "Europe/Amsterdam", "2026-03-29T22:00:00Z");
  begins("2026-10-22T12:00:00Z", 3, "Europe/Amsterdam", "2026-10-24T22:00:00Z");
  begins("2026-10-22T12:00:00Z", 4, "Europe/Amsterdam", "2026-10-25T23:00:00Z");
  /* Midnight of 8 March 2026 does not exist in Havana: the day begins at one. */
  begins("2026-03-05T12:00:00Z", 3, "America/Havana", "2026-03-08T05:00:00Z");
}

static void months_and_years_end(void **state) {
  (void)state;
  begins("2026-01-31T12:00:00Z", 30, "UTC", "2026-03-02T00:00:00Z");
  begins("2028-02-26T12:00:00Z", 3, "UTC", "2028-02-29T00:00:00Z");
  begins("2027-02-26T12:00:00Z", 3, "UTC", "2027-03-01T00:00:00Z");
  begins("2026-12-31T23:59:59Z", 1, "UTC", "2027-01-01T00:00:00Z");
  begins("2026-12-05T00:00:00Z", 30, "UTC", "2027-01-04T00:00:00Z");
}

static struct catalog *load(const char *more) {
  struct catalog *catalog;
  struct error err = {0};
  char text[1000];
  snprintf(text, sizeof text,
           "currency: EUR\nplans: [{name: p}]\n%s"
           "customers: [{id: a, plan: p, time_zone: Europe/Amsterdam}, {id: b, plan: p, dunning: false}]\n",
           more);
  struct catalog_text texts[] = {{"all.yaml", slice_of(text)}};
  if (!catalog_parse(texts, 1, &catalog, &err)) {
    fail_msg("%s", err.message);
  }
  return catalog;
}

static void reached(const struct catalog *catalog, const char *customer, const char *now, bool overdue, size_t steps) {
  bool is_overdue;
  size_t count;
  struct error err = {0};
  assert_true(dunning_reached(catalog, catalog_customer(catalog, slice_of(customer)), at("2026-11-19T10:00:00Z"),
                              at(now), &is_overdue, &count, &err));
  assert_int_equal(is_overdue, overdue);
  assert_int_equal(count, steps);
}

static void steps_become_due_one_by_one(void **state) {
  (void)state;
  struct catalog *catalog = load("");
  assert_int_equal(catalog->dunning_count, 4);
  reached(catalog, "a", "2026-11-19T10:00:01Z", false, 0); /* its last day is not over */
  reached(catalog, "a", "2026-11-19T22:59:59.999999999Z", false, 0);
  reached(catalog, "a", "2026-11-19T23:00:00Z", true, 0);
  reached(catalog, "a", "2026-11-21T22:59:59Z", true, 0);
  reached(catalog, "a", "2026-11-21T23:00:00Z", true, 1);
  reached(catalog, "a", "2026-11-28T23:00:00Z", true, 2);
  reached(catalog, "a", "2026-12-09T23:00:00Z", true, 3);
  reached(catalog, "a", "2026-12-18T22:59:59Z", true, 3);
  reached(catalog, "a", "2026-12-18T23:00:00Z", true, 4);
  reached(catalog, "a", "2030-01-01T00:00:00Z", true, 4);
  reached(catalog, "b", "2030-01-01T00:00:00Z", false, 0);
  catalog_free(catalog);
}

static void the_catalog_says_which_steps(void **state) {
  (void)state;
  struct catalog *catalog = load("dunning: [{after_days: 5, do: suspend}]\n");
  assert_int_equal(catalog->dunning_count, 1);
  assert_int_equal(catalog->dunning[0].action, DUNNING_SUSPEND);
  reached(catalog, "a", "2026-11-23T22:59:59Z", true, 0);
  reached(catalog, "a", "2026-11-23T23:00:00Z", true, 1);
  catalog_free(catalog);
  catalog = load("dunning: []\n");
  reached(catalog, "a", "2030-01-01T00:00:00Z", true, 0);
  catalog_free(catalog);
}

static void refused(const char *text, const char *words) {
  struct catalog *catalog;
  struct error err = {0};
  struct catalog_text texts[] = {{"all.yaml", slice_of(text)}};
  assert_false(catalog_parse(texts, 1, &catalog, &err));
  if (strstr(err.message, words) == NULL) {
    fail_msg("\"%s\" is not in: %s", words, err.message);
  }
}

static void wrong_settings_are_named(void **state) {
  (void)state;
  refused("dunning: [{after_days: 5, do: remind}, {after_days: 5, do: warn}]\n", "in order");
  refused("dunning: [{after_days: 0, do: remind}]\n", "from 1 to");
  refused("dunning: [{after_days: 5, do: susend}]\n", "did you mean \"suspend\"");
  refused("dunning: [{after_days: 5}]\n", "\"do\"");
  refused("dunning: 5\n", "all.yaml:1");
  refused("payment_providers: [{name: a}]\n", "secret_env");
  refused("payment_providers: [{name: a, secret_env: A, secret_file: b}]\n", "either");
  refused("payment_providers: [{name: A/b, secret_env: A}]\n", "URL");
  refused("payment_providers: [{name: a, secret: hush, secret_env: A}]\n", "secret");
  refused("payment_providers: [{name: a, secret_env: A}, {name: a, secret_env: B}]\n", "payment provider");
  refused("payment_providers: [{name: a, secret_env: A, scheme: strip}]\n", "did you mean \"stripe\"");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(days_are_those_of_the_customer), cmocka_unit_test(days_of_23_and_25_hours_are_days),
      cmocka_unit_test(months_and_years_end),           cmocka_unit_test(steps_become_due_one_by_one),
      cmocka_unit_test(the_catalog_says_which_steps),   cmocka_unit_test(wrong_settings_are_named),
  };
  return cmocka_run_group_tests_name("dunning", tests, NULL, NULL);
}
