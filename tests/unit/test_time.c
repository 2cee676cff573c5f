/* Times to the ns, calendars, zones with their gaps and overlaps, periods. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/time.h"
#include <string.h>

static int64_t at(const char *text) {
  instant t;
  struct error err = {0};
  if (!time_parse_rfc3339(slice_of(text), &t, &err)) {
    fail_msg("%s: %s", text, err.message);
  }
  return t.ns;
}

static void refused(const char *text, const char *why) {
  instant t;
  struct error err = {0};
  assert_false(time_parse_rfc3339(slice_of(text), &t, &err));
  if (strstr(err.message, why) == NULL) {
    fail_msg("%s: \"%s\" should say \"%s\"", text, err.message, why);
  }
}

static void reads_to_the_nanosecond(void **state) {
  (void)state;
  assert_int_equal(at("1970-01-01T00:00:00Z"), 0);
  assert_int_equal(at("2026-10-01T00:00:00.123456789Z") % NS_PER_S, 123456789);
  assert_int_equal(at("2026-10-01T02:00:00+02:00"), at("2026-10-01T00:00:00Z"));
  assert_int_equal(at("2024-02-29T12:00:00Z"), INT64_C(1709208000) * NS_PER_S);
  assert_int_equal(at("2016-12-31T23:59:60Z"), at("2017-01-01T00:00:00Z"));
}

static void refuses_with_a_reason(void **state) {
  (void)state;
  refused("2026-02-29T00:00:00Z", "no day 29");
  refused("0001-01-01T00:00:00Z", "out of range");
  refused("9999-12-31T23:59:59Z", "out of range");
  refused("2026-10-01T00:00:00.1234567890Z", "9 fraction digits");
  refused("2026-10-01T24:00:00Z", "no time of day");
  refused("2026-13-01T00:00:00Z", "no month");
  refused("2026-10-01 00:00:00Z", "not a time");
  refused("2026-10-01T00:00:00", "not a time");
  refused("2026-10-01T00:00:00.Z", "not a time");
  refused("", "not a time");
}

static void prints_the_shortest(void **state) {
  (void)state;
  char text[TIME_TEXT_MAX];
  assert_string_equal(time_format((instant){0}, text), "1970-01-01T00:00:00Z");
  assert_string_equal(time_format((instant){500000000}, text), "1970-01-01T00:00:00.5Z");
  assert_string_equal(time_format((instant){1}, text), "1970-01-01T00:00:00.000000001Z");
  assert_string_equal(time_format(INSTANT_MAX, text), "2199-12-31T23:59:59.999999999Z");
}

static int64_t local(const char *text, const char *zone) {
  instant t;
  struct error err = {0};
  if (!time_parse_loose(slice_of(text), zone, &t, &err)) {
    fail_msg("%s: %s", text, err.message);
  }
  return t.ns;
}

static void knows_daylight_saving(void **state) {
  (void)state;
  assert_int_equal(local("2026-03-29 01:59:59", "Europe/Amsterdam"), at("2026-03-29T00:59:59Z"));
  /* 02:30 does not exist: it moves forward by the gap. */
  assert_int_equal(local("2026-03-29 02:30:00", "Europe/Amsterdam"), at("2026-03-29T01:30:00Z"));
  /* 02:30 exists twice: the first. */
  assert_int_equal(local("2026-10-25 02:30:00", "Europe/Amsterdam"), at("2026-10-25T00:30:00Z"));
  assert_int_equal(local("2026-10-25 03:00:00", "Europe/Amsterdam"), at("2026-10-25T02:00:00Z"));
  assert_int_equal(local("2026-11-01 01:30:00", "America/New_York"), at("2026-11-01T05:30:00Z"));
  assert_int_equal(local("2026-07-01 00:00:00", "Asia/Kolkata"), at("2026-06-30T18:30:00Z"));
  assert_int_equal(local("2026-01-15 00:00:00", "Australia/Lord_Howe"), at("2026-01-14T13:00:00Z"));
  assert_int_equal(local("2026-07-15 00:00:00", "Australia/Lord_Howe"), at("2026-07-14T13:30:00Z"));
}

/* Beyond the table of the zone file the rule in its footer goes on. */
static void goes_on_after_the_table(void **state) {
  (void)state;
  assert_int_equal(local("2095-07-01 00:00:00", "Europe/Amsterdam"), at("2095-06-30T22:00:00Z"));
  assert_int_equal(local("2095-01-01 00:00:00", "Europe/Amsterdam"), at("2094-12-31T23:00:00Z"));
}

static void refuses_strange_zones(void **state) {
  (void)state;
  assert_true(time_zone_known("Europe/Amsterdam"));
  assert_true(time_zone_known("UTC"));
  assert_false(time_zone_known("Mars/Olympus"));
  assert_false(time_zone_known("../../etc/passwd"));
  assert_false(time_zone_known("/etc/localtime"));
  assert_false(time_zone_known(""));
}

static void adds_months_to_month_ends(void **state) {
  (void)state;
  struct civil c = time_add_months((struct civil){.year = 2026, .month = 1, .day = 31}, 1);
  assert_int_equal(c.month, 2);
  assert_int_equal(c.day, 28);
  c = time_add_months((struct civil){.year = 2024, .month = 1, .day = 31}, 1);
  assert_int_equal(c.day, 29);
  c = time_add_months((struct civil){.year = 2026, .month = 12, .day = 31}, 1);
  assert_int_equal(c.year, 2027);
  assert_int_equal(c.month, 1);
  c = time_add_months((struct civil){.year = 2026, .month = 1, .day = 15}, -1);
  assert_int_equal(c.year, 2025);
  assert_int_equal(c.month, 12);
}

static void names_periods(void **state) {
  (void)state;
  static const char *const same[] = {"2026-10", "2026", "2026-10-05", "2026-10-01/2026-10-15",
                                     "2026-10-25T00:00:01Z/2026-10-25T00:00:02Z"};
  char text[2 * TIME_TEXT_MAX];
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    struct period p;
    struct error err = {0};
    assert_true(time_parse_period(slice_of(same[i]), "Europe/Amsterdam", &p, &err));
    assert_string_equal(time_format_period(p, "Europe/Amsterdam", text), same[i]);
  }
  struct period october;
  struct error err = {0};
  assert_true(time_parse_period(SLICE("2026-10"), "Europe/Amsterdam", &october, &err));
  assert_int_equal((october.to.ns - october.from.ns) / NS_PER_S, 31 * 86400 + 3600); /* the clocks go back */
  assert_true(time_parse_period(SLICE("2026-10-01/2026-11-01"), "UTC", &october, &err));
  assert_string_equal(time_format_period(october, "UTC", text), "2026-10");
  assert_false(time_parse_period(SLICE("2026-11-01/2026-10-01"), "UTC", &october, &err));
  assert_false(time_parse_period(SLICE("2026-13"), "UTC", &october, &err));
  assert_false(time_parse_period(SLICE("October"), "UTC", &october, &err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_to_the_nanosecond),   cmocka_unit_test(refuses_with_a_reason),
      cmocka_unit_test(prints_the_shortest),       cmocka_unit_test(knows_daylight_saving),
      cmocka_unit_test(goes_on_after_the_table),   cmocka_unit_test(refuses_strange_zones),
      cmocka_unit_test(adds_months_to_month_ends), cmocka_unit_test(names_periods),
  };
  return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
