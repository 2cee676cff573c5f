/* Integral meters in every calendar, of parts of a GPU, and of very large levels. */
#include "integral.h"

/* ---- calendars ---- */

static const struct change one_gpu[] = {SET("2026-01-01T00:00:00Z", "a", "1")};

static void assert_length(const char *period, const char *zone, const char *hours) {
  meter(&(struct ask){.period = period, .zone = zone}, one_gpu, 1);
  assert_hours(NULL, hours);
  struct period p = period_of(&(struct ask){.period = period, .zone = zone});
  int64_t at_ns = p.from.ns;
  for (size_t i = 0; i < first.count; i++) { /* the rows are the period, without a gap */
    assert_int_equal(first.rows[i].from.ns, at_ns);
    at_ns = first.rows[i].to.ns;
  }
  assert_int_equal(at_ns, p.to.ns);
}

static void days_in_amsterdam_have_23_24_and_25_hours(void **state) {
  (void)state;
  assert_length("2026-03-28", "Europe/Amsterdam", "24");
  assert_length("2026-03-29", "Europe/Amsterdam", "23");
  assert_length("2026-10-25", "Europe/Amsterdam", "25");
  assert_length("2026-03", "Europe/Amsterdam", "743");
  assert_length("2026-10", "Europe/Amsterdam", "745");
}

static void days_in_new_york_have_23_24_and_25_hours(void **state) {
  (void)state;
  assert_length("2026-03-07", "America/New_York", "24");
  assert_length("2026-03-08", "America/New_York", "23");
  assert_length("2026-11-01", "America/New_York", "25");
  assert_length("2026-03", "America/New_York", "743");
  assert_length("2026-11", "America/New_York", "721");
}

static void half_hour_zones_cut_the_first_and_last_hour(void **state) {
  (void)state;
  assert_length("2026-10-02", "Asia/Kolkata", "24");
  assert_int_equal(first.count, 25);
  assert_true(first.rows[0].value.e9 == 1800 * QUANTITY_E9 && first.rows[24].value.e9 == 1800 * QUANTITY_E9);
  assert_length("2026-10", "Asia/Kolkata", "744");
  assert_length("2026-10-04", "Australia/Lord_Howe", "23.5"); /* half an hour of daylight saving */
  assert_length("2026-04-05", "Australia/Lord_Howe", "24.5");
}

/* The hour that exists twice has two instants for each of its times: both count. */
static void the_hour_that_comes_twice_counts_twice(void **state) {
  (void)state;
  static const struct change changes[] = {SET("2026-10-25T02:30:00+02:00", "a", "4"),
                                          SET("2026-10-25T02:30:00+01:00", "a", "0")};
  meter(&(struct ask){.period = "2026-10-25", .zone = "Europe/Amsterdam"}, changes, COUNT(changes));
  assert_hours(NULL, "4");
}

/* 23:59:60 is the first second of the next day: two changes around it share all time between them. */
static void a_leap_second_is_the_next_second(void **state) {
  (void)state;
  static const struct change changes[] = {SET("2016-12-31T23:59:59Z", "a", "1"), SET("2016-12-31T23:59:60Z", "a", "10"),
                                          SET("2016-12-31T23:59:60.25Z", "a", "100"),
                                          SET("2017-01-01T00:00:01Z", "a", "0")},
                             through[] = {SET("2016-12-31T23:59:58Z", "a", "1"), SET("2017-01-01T00:00:02Z", "a", "0")},
                             same[] = {SET("2016-12-31T23:59:60Z", "a", "1"), SET("2017-01-01T00:00:00Z", "a", "1"),
                                       SET("2017-01-01T01:00:00Z", "a", "0")};
  meter(&(struct ask){.period = "2016"}, changes, COUNT(changes));
  assert_seconds(NULL, "1");
  meter(&(struct ask){.period = "2017"}, changes, COUNT(changes));
  assert_seconds(NULL, "77.5"); /* 10 / 4 + 100 x 3 / 4 */
  meter(&(struct ask){.period = "2016-12-01/2017-02-01"}, through, COUNT(through));
  assert_seconds(NULL, "4"); /* as the clock of the system counts */
  meter(&(struct ask){.period = "2017"}, same, COUNT(same));
  assert_seconds(NULL, "3600");
  struct error err = {0};
  instant t;
  assert_false(time_parse_rfc3339(SLICE("2016-12-31T23:59:61Z"), &t, &err));
  assert_false(time_parse_rfc3339(SLICE("2199-12-31T23:59:60Z"), &t, &err)); /* beyond the last */
}

/* ---- parts of a GPU ---- */

static void four_quarters_make_one_gpu_hour(void **state) {
  (void)state;
  static const struct change changes[] = {
      SET("2026-10-02T00:00:00Z", "a", "0.25"), SET("2026-10-02T00:00:00Z", "b", "0.25"),
      SET("2026-10-02T00:00:00Z", "c", "0.25"), SET("2026-10-02T00:00:00Z", "d", "0.25"),
      SET("2026-10-02T01:00:00Z", "a", "0"),    SET("2026-10-02T01:00:00Z", "b", "0"),
      SET("2026-10-02T01:00:00Z", "c", "0"),    SET("2026-10-02T01:00:00Z", "d", "0")};
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_hours(NULL, "1");
}

static const struct change sevenths[] = {
    SET("2026-10-02T00:00:00Z", "a", "0.142857143"), SET("2026-10-02T00:00:00Z", "b", "0.142857143"),
    SET("2026-10-02T00:00:00Z", "c", "0.142857143"), SET("2026-10-02T00:00:00Z", "d", "0.142857143"),
    SET("2026-10-02T00:00:00Z", "e", "0.142857143"), SET("2026-10-02T00:00:00Z", "f", "0.142857143"),
    SET("2026-10-02T00:00:00Z", "g", "0.142857143"), SET("2026-10-02T01:00:00Z", "a", "0"),
    SET("2026-10-02T01:00:00Z", "b", "0"),           SET("2026-10-02T01:00:00Z", "c", "0"),
    SET("2026-10-02T01:00:00Z", "d", "0"),           SET("2026-10-02T01:00:00Z", "e", "0"),
    SET("2026-10-02T01:00:00Z", "f", "0"),           SET("2026-10-02T01:00:00Z", "g", "0")};

static void seven_sevenths_are_what_was_written(void **state) {
  (void)state;
  meter(&(struct ask){0}, sevenths, COUNT(sevenths));
  assert_hours(NULL, "1.000000001"); /* 7 x 0.142857143 */
}

static void a_level_finer_than_1e_9_is_refused(void **state) {
  (void)state;
  static const struct change bad = SET("2026-10-02T00:00:00Z", "a", "0.1428571428");
  struct event e = event_of(&bad, 1);
  struct error err = {0};
  assert_false(event_check(&e, catalog, &err)); /* rather than billed as something else */
  assert_non_null(strstr(err.message, "9 decimals"));
}

static void rate_first(struct rating *out) {
  struct error err = {0};
  const struct customer *acme = catalog_customer(catalog, SLICE("acme"));
  assert_non_null(acme);
  if (!rate_customer(arena, catalog, acme, period_of(&(struct ask){0}), first.rows, first.count, out, &err)) {
    fail_msg("%s", err.message);
  }
}

/* Instances of a slice are counted, and the plan says what share of a GPU's price each kind is. */
static void mig_slices_are_a_dimension_and_a_multiplier(void **state) {
  (void)state;
  static const struct change changes[] = {WITH("2026-10-02T00:00:00Z", "a", "7", .mig = "1g.10gb"),
                                          WITH("2026-10-02T00:00:00Z", "b", "4", .mig = "2g.20gb"),
                                          WITH("2026-10-02T00:00:00Z", "c", "1", .mig = "3g.40gb"),
                                          SET("2026-10-02T00:00:00Z", "d", "1"),
                                          WITH("2026-10-02T01:00:00Z", "a", "0", .mig = "1g.10gb"),
                                          WITH("2026-10-02T01:00:00Z", "b", "0", .mig = "2g.20gb"),
                                          WITH("2026-10-02T02:00:00Z", "c", "0", .mig = "3g.40gb"),
                                          SET("2026-10-02T01:00:00Z", "d", "0")};
  struct rating rating;
  char text[DECIMAL_TEXT_MAX];
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_hours(NULL, "14");
  assert_true(seconds(NULL, "1g.10gb").e9 == 7 * 3600 * QUANTITY_E9);
  assert_true(seconds(NULL, "2g.20gb").e9 == 4 * 3600 * QUANTITY_E9);
  assert_true(seconds(NULL, "").e9 == 3600 * QUANTITY_E9);
  rate_first(&rating);
  /* 3.50 x (7 x 0.142857142857 + 4 x 0.25 + 2 x 0.5 + 1), each kind rounded once to 1e-12 */
  assert_string_equal(amount_text(rating.total, text), "13.999999999996");
}

static void a_slice_can_be_cut_anew_within_its_lease(void **state) {
  (void)state;
  static const struct change changes[] = {WITH("2026-10-02T00:00:00Z", "a", "1", .mig = "1g.10gb"),
                                          WITH("2026-10-02T00:30:00Z", "a", "1", .mig = "3g.40gb"),
                                          SET("2026-10-02T02:00:00Z", "a", "0")};
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_true(seconds(NULL, "1g.10gb").e9 == 1800 * QUANTITY_E9);
  assert_true(seconds(NULL, "3g.40gb").e9 == 5400 * QUANTITY_E9);
  assert_hours(NULL, "2");
}

/* ---- very large ---- */

static void large_levels_are_exact(void **state) {
  (void)state;
  static const struct change changes[] = {SET("2026-10-02T00:00:00Z", "a", "999999999999999999.999999999"),
                                          SET("2026-10-02T00:00:01.000000001Z", "a", "0")};
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_seconds(NULL, "1000000000999999999.999999999"); /* x 1.000000001, rounded once */
}

static void assert_overflow(const struct change *changes, size_t count, const struct ask *ask) {
  meter(ask, changes, count);
  assert_false(first.ok);
  assert_int_equal(first.err.code, ERR_OVERFLOW);
  assert_non_null(strstr(first.err.message, "acme"));
  assert_non_null(strstr(first.err.message, ask->meter ? ask->meter : "gpu_hours"));
}

static void overflow_is_an_error_that_names_customer_and_meter(void **state) {
  (void)state;
  static const struct change one[] = {SET("2026-10-02T00:00:00Z", "a", "1e29")},
                             sum[] = {SET("2026-10-02T00:00:00Z", "a", "1e22"),
                                      SET("2026-10-02T00:00:00Z", "b", "1e22")};
  struct change many[60];
  assert_overflow(one, 1, &(struct ask){0});
  for (size_t i = 0; i < COUNT(many); i++) { /* each is fine, the hour they share is not */
    many[i] = (struct change)SET("2026-10-31T23:00:00Z", arena_printf(arena, "l%zu", i), "1e24");
  }
  meter(&(struct ask){.period = "2026-10"}, sum, COUNT(sum)); /* each hour fits */
  assert_true(first.ok);
  assert_overflow(many, COUNT(many), &(struct ask){0});
}

static void the_whole_calendar_can_be_metered(void **state) {
  (void)state;
  static const struct change changes[] = {SET("1970-01-01T00:00:00Z", "a", "1"), SET("1970-01-01T05:00:00Z", "a", "0"),
                                          SET("2199-12-31T23:00:00Z", "a", "1")};
  meter(&(struct ask){.period = "1970-01-01/2199-12-31"}, changes, COUNT(changes));
  assert_hours(NULL, "5");
  meter(&(struct ask){.period = "2199-12-31T00:00:00Z/2199-12-31T23:59:59.999999999Z"}, changes, COUNT(changes));
  assert_seconds(NULL, "3599.999999999");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(days_in_amsterdam_have_23_24_and_25_hours),
      cmocka_unit_test(days_in_new_york_have_23_24_and_25_hours),
      cmocka_unit_test(half_hour_zones_cut_the_first_and_last_hour),
      cmocka_unit_test(the_hour_that_comes_twice_counts_twice),
      cmocka_unit_test(a_leap_second_is_the_next_second),
      cmocka_unit_test(four_quarters_make_one_gpu_hour),
      cmocka_unit_test(seven_sevenths_are_what_was_written),
      cmocka_unit_test(a_level_finer_than_1e_9_is_refused),
      cmocka_unit_test(mig_slices_are_a_dimension_and_a_multiplier),
      cmocka_unit_test(a_slice_can_be_cut_anew_within_its_lease),
      cmocka_unit_test(large_levels_are_exact),
      cmocka_unit_test(overflow_is_an_error_that_names_customer_and_meter),
      cmocka_unit_test(the_whole_calendar_can_be_metered),
  };
  return cmocka_run_group_tests_name("integral units", tests, set_up, tear_down);
}
