/* Integral meters at every edge of changes and of periods. */
#include "integral.h"

/* ---- changes ---- */

static void changes_in_any_order_of_arrival_give_the_same_rows(void **state) {
  (void)state;
  static const struct change changes[5] = {
      SET("2026-10-02T00:00:00Z", "a", "2"), SET("2026-10-02T06:30:00Z", "a", "4.5"),
      WITH("2026-10-02T06:30:00.000000001Z", "a", "1", .gpu = "A100"), SET("2026-10-02T09:15:00Z", "a", "0"),
      SET("2026-10-02T06:30:00Z", "a", "3")};
  const struct ask ask = {.until = "2026-10-03T00:00:00Z"};
  struct event events[5];
  size_t order[5] = {0, 1, 2, 3, 4}, turns[5] = {0}, seen = 1;
  meter(&ask, changes, 5);
  for (size_t i = 0; i < 5; i++) {
    events[i] = event_of(&changes[i], i);
  }
  for (size_t i = 1; i < 5;) { /* Heap's permutations */
    if (turns[i] == i) {
      turns[i++] = 0;
      continue;
    }
    size_t j = i % 2 ? turns[i] : 0, swapped = order[j];
    order[j] = order[i];
    order[i] = swapped;
    turns[i]++;
    i = 1;
    seen++;
    meter_events(&ask, events, order, 5, &other);
    assert_same_rows(&first, &other);
    assert_string_equal(first.evidence, other.evidence);
  }
  assert_int_equal(seen, 120);
}

static void a_reset_ends_the_level_and_a_new_one_begins(void **state) {
  (void)state;
  static const struct change changes[] = {SET("2026-10-02T00:00:00Z", "a", "8"), SET("2026-10-02T01:00:00Z", "a", "0"),
                                          SET("2026-10-02T05:00:00Z", "a", "2"), SET("2026-10-02T05:30:00Z", "a", "0")};
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_hours(NULL, "9");
  assert_int_equal(first.count, 2); /* no rows for the hours in between */
  meter(&(struct ask){0}, changes, 1);
  assert_hours(NULL, "5760"); /* without its end it runs on: 8 x 30 days */
}

static void series_of_one_customer_overlap_and_add(void **state) {
  (void)state;
  static const struct change changes[] = {
      SET("2026-10-02T00:00:00Z", "a", "8"), WITH("2026-10-02T00:30:00Z", "b", "4", .source = "other"),
      WITH("2026-10-02T01:30:00Z", "b", "0", .source = "other"), SET("2026-10-02T02:00:00Z", "a", "0")};
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_hours(NULL, "20");
}

static void one_series_of_two_sources_follows_the_later_change(void **state) {
  (void)state;
  static const struct change changes[] = {WITH("2026-10-02T00:00:00Z", "a", "8", .source = "scheduler"),
                                          WITH("2026-10-02T00:30:00Z", "a", "8", .source = "node"),
                                          WITH("2026-10-02T01:00:00Z", "a", "6", .source = "node"),
                                          WITH("2026-10-02T02:00:00Z", "a", "0", .source = "scheduler")};
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_hours(NULL, "14"); /* not 8 + 8: a level is set, not added */
}

/* Two sources contradict each other at one ns: one of them stands, whoever came first. */
static void a_tie_is_decided_by_the_events_not_by_their_arrival(void **state) {
  (void)state;
  static const struct change changes[] = {WITH("2026-10-02T00:00:00Z", "a", "8", .source = "scheduler"),
                                          WITH("2026-10-02T00:00:00Z", "a", "5", .source = "node"),
                                          WITH("2026-10-02T01:00:00Z", "a", "0", .source = "node")};
  meter(&(struct ask){0}, changes, COUNT(changes)); /* holds both orders against each other */
  int128 hours = seconds(NULL, NULL).e9 / 3600;
  assert_true(hours == 8 * QUANTITY_E9 || hours == 5 * QUANTITY_E9);
}

/* A lease that is held ends and begins anew at one instant: it goes on. */
static void an_end_and_a_beginning_at_once_of_what_is_held_goes_on(void **state) {
  (void)state;
  struct change changes[] = {SET("2026-10-02T00:00:00Z", "a", "8"), SET("2026-10-02T01:00:00Z", "a", "0"),
                             WITH("2026-10-02T01:00:00Z", "a", "4", .gpu = "A100"),
                             SET("2026-10-02T02:00:00Z", "a", "0")};
  static const char *const sources[] = {"s", "t", "u", "v", "w"};
  for (size_t i = 0; i < COUNT(sources); i++) { /* whatever their names say */
    changes[2].source = sources[i];
    meter(&(struct ask){0}, changes, COUNT(changes));
    assert_hours("H100", "8");
    assert_hours("A100", "4");
  }
}

/* A pod that failed at once: begin and end carry one time. It must not be billed for ever. */
static void a_beginning_and_an_end_at_once_of_what_is_not_held_is_nothing(void **state) {
  (void)state;
  struct change changes[] = {SET("2026-10-02T00:00:00Z", "a", "8"), SET("2026-10-02T00:00:00Z", "a", "0"),
                             SET("2026-10-02T05:00:00Z", "b", "1"), SET("2026-10-02T06:00:00Z", "b", "0")};
  static const char *const sources[] = {"s", "t", "u", "v", "w"};
  for (size_t i = 0; i < COUNT(sources); i++) {
    changes[i % 2].source = sources[i];
    meter(&(struct ask){0}, changes, COUNT(changes));
    assert_hours(NULL, "1");
    struct change swapped = changes[0];
    changes[0] = changes[1];
    changes[1] = swapped;
  }
}

static void customers_do_not_share_a_series(void **state) {
  (void)state;
  static const struct change changes[] = {
      SET("2026-10-02T00:00:00Z", "a", "8"), WITH("2026-10-02T01:00:00Z", "a", "3", .customer = "bolt"),
      SET("2026-10-02T02:00:00Z", "a", "0"), WITH("2026-10-02T02:00:00Z", "a", "0", .customer = "bolt")};
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_hours(NULL, "16");
  meter(&(struct ask){.customer = "bolt"}, changes, COUNT(changes));
  assert_hours(NULL, "3");
}

static void a_series_that_moves_ends_in_the_old_set_where_the_new_begins(void **state) {
  (void)state;
  static const struct change changes[] = {WITH("2026-10-02T00:00:00Z", "a", "8", .gpu = "A100"),
                                          WITH("2026-10-02T00:20:00.000000003Z", "a", "4", .gpu = "H100"),
                                          WITH("2026-10-02T01:00:00Z", "a", "0", .gpu = "H100")};
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_seconds("A100", "9600.000000024");
  assert_seconds("H100", "9599.999999988");
}

static void without_a_series_each_set_of_dimensions_is_a_level(void **state) {
  (void)state;
  static const struct change changes[] = {WITH("2026-10-02T00:00:00Z", NULL, "100", .gpu = "ssd", .type = "disk"),
                                          WITH("2026-10-03T00:00:00Z", NULL, "40", .gpu = "hdd", .type = "disk"),
                                          WITH("2026-10-04T00:00:00Z", NULL, "0", .gpu = "ssd", .type = "disk"),
                                          WITH("2026-10-04T00:00:00Z", NULL, "0", .gpu = "hdd", .type = "disk")};
  meter(&(struct ask){.meter = "stored"}, changes, COUNT(changes));
  assert_seconds("ssd", "17280000"); /* 200 GB-days */
  assert_seconds("hdd", "3456000");
}

/* What a filter leaves out is not this meter's event, so it changes no level of it. */
static void an_event_the_filter_leaves_out_changes_no_level(void **state) {
  (void)state;
  static const struct change changes[] = {WITH("2026-10-02T00:00:00Z", "a", "8", .mig = "eu"),
                                          WITH("2026-10-02T01:00:00Z", "a", "5", .mig = "us"),
                                          WITH("2026-10-02T02:00:00Z", "a", "0", .mig = "eu")};
  meter(&(struct ask){.meter = "eu_hours"}, changes, COUNT(changes));
  assert_hours(NULL, "16");
}

static void a_level_set_again_changes_nothing(void **state) {
  (void)state;
  static const struct change once[] = {SET("2026-10-02T00:00:00.5Z", "a", "0.333333333"),
                                       SET("2026-10-02T03:00:00.7Z", "a", "0")},
                             again[] = {SET("2026-10-02T00:00:00.5Z", "a", "0.333333333"),
                                        SET("2026-10-02T01:10:00.000000007Z", "a", "0.333333333"),
                                        SET("2026-10-02T01:10:00.111111111Z", "a", "0.3333333330"),
                                        SET("2026-10-02T03:00:00.7Z", "a", "0")};
  char text[DECIMAL_TEXT_MAX], hours[4][DECIMAL_TEXT_MAX];
  meter(&(struct ask){0}, once, COUNT(once));
  quantity_text(seconds(NULL, NULL), text);
  assert_int_equal(first.count, 4);
  for (size_t i = 0; i < 4; i++) {
    quantity_text(first.rows[i].value, hours[i]);
  }
  meter(&(struct ask){0}, again, COUNT(again));
  assert_seconds(NULL, text);
  assert_int_equal(first.count, 4);
  for (size_t i = 0; i < 4; i++) {
    assert_string_equal(quantity_text(first.rows[i].value, text), hours[i]);
  }
}

static void zero_length_counts_nothing(void **state) {
  (void)state;
  static const struct change changes[] = {SET("2026-10-02T00:00:00Z", "a", "1000"),
                                          SET("2026-10-02T00:00:00Z", "a", "1000"),
                                          SET("2026-10-02T00:00:00.000000001Z", "a", "0")},
                             zero[] = {SET("2026-10-02T00:00:00Z", "a", "0")};
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_seconds(NULL, "0.000001"); /* one ns of 1000, once */
  meter(&(struct ask){0}, zero, 1);
  assert_int_equal(first.count, 0);
}

static void negative_levels_are_refused(void **state) {
  (void)state;
  static const struct change bad = SET("2026-10-02T00:00:00Z", "a", "-0.000000001"),
                             none = SET("2026-10-02T00:00:00Z", "a", "-0");
  struct event e = event_of(&bad, 1);
  struct error err = {0};
  assert_false(event_check(&e, catalog, &err));
  assert_int_equal(err.code, ERR_INVALID);
  assert_non_null(strstr(err.message, "negative"));
  struct usage *u = open_usage(&(struct ask){0}, false);
  assert_false(usage_add(u, &e, &err)); /* nor is one metered that was kept before */
  usage_free(u);
  e = event_of(&none, 1);
  assert_true(event_check(&e, catalog, &err));
}

static void a_level_without_its_series_is_refused(void **state) {
  (void)state;
  static const struct change bad = SET("2026-10-02T00:00:00Z", NULL, "1");
  struct event e = event_of(&bad, 1);
  struct error err = {0};
  assert_false(event_check(&e, catalog, &err));
  assert_non_null(strstr(err.message, "data.lease"));
}

/* ---- the edges of a period ---- */

static void an_open_level_runs_to_the_end_of_a_closed_period(void **state) {
  (void)state;
  static const struct change changes[] = {SET("2026-10-31T00:00:00Z", "a", "2")};
  meter(&(struct ask){.until = "2026-11-20T00:00:00Z"}, changes, 1);
  assert_hours(NULL, "48");
  meter(&(struct ask){.period = "2026-11", .until = "2027-01-01T00:00:00Z"}, changes, 1);
  assert_hours(NULL, "1440"); /* and on into the next */
}

static void an_open_level_runs_to_now_in_a_running_period(void **state) {
  (void)state;
  static const struct change changes[] = {SET("2026-10-30T00:00:00Z", "a", "2"),
                                          SET("2026-10-30T12:00:00Z", "a", "100")};
  meter(&(struct ask){.until = "2026-10-30T01:30:00Z"}, changes, COUNT(changes));
  assert_hours(NULL, "3");
  meter(&(struct ask){.until = "2026-10-30T00:00:00Z"}, changes, COUNT(changes));
  assert_int_equal(first.count, 0);
  meter(&(struct ask){.until = "2026-10-29T00:00:00Z"}, changes, COUNT(changes)); /* all of it is to come */
  assert_int_equal(first.count, 0);
}

static void a_level_set_long_before_still_holds(void **state) {
  (void)state;
  static const struct change changes[] = {SET("1970-01-01T00:00:00Z", "a", "1"),
                                          SET("2019-05-05T05:05:05Z", "b", "0.5"),
                                          SET("2026-10-01T12:00:00Z", "b", "0")};
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_hours(NULL, "750");
  assert_int_equal(first.evidence_events, 3); /* the invoice rests on both levels and the change */
}

static void a_change_on_the_first_instant_belongs_to_the_period(void **state) {
  (void)state;
  static const struct change changes[] = {SET("2026-09-30T23:00:00Z", "a", "7"), SET("2026-10-01T00:00:00Z", "a", "1"),
                                          SET("2026-10-01T01:00:00Z", "a", "0")};
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_hours(NULL, "1");
  meter(&(struct ask){.period = "2026-09"}, changes, COUNT(changes));
  assert_hours(NULL, "7");
}

static void a_change_on_the_last_instant_belongs_to_the_next_period(void **state) {
  (void)state;
  static const struct change changes[] = {
      SET("2026-10-31T23:00:00Z", "a", "3"), SET("2026-10-31T23:59:59.999999999Z", "b", "1"),
      SET("2026-11-01T00:00:00Z", "a", "5"), SET("2026-11-01T00:00:00.000000001Z", "a", "0"),
      SET("2026-11-01T00:00:00.000000001Z", "b", "0")};
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_seconds(NULL, "10800.000000001");
  meter(&(struct ask){.period = "2026-11"}, changes, COUNT(changes));
  assert_seconds(NULL, "0.000000006");
}

static void changes_on_hour_borders_leave_no_empty_rows(void **state) {
  (void)state;
  static const struct change changes[] = {SET("2026-10-02T01:00:00Z", "a", "1"), SET("2026-10-02T02:00:00Z", "a", "2"),
                                          SET("2026-10-02T03:00:00Z", "a", "0")};
  meter(&(struct ask){0}, changes, COUNT(changes));
  assert_int_equal(first.count, 2);
  assert_true(first.rows[0].value.e9 == 3600 * QUANTITY_E9 && first.rows[1].value.e9 == 7200 * QUANTITY_E9);
  assert_int_equal(first.rows[0].to.ns, first.rows[1].from.ns);
}

/* Cuts of an hour, months of a year, single days: the same in all. */
static void parts_of_a_period_sum_to_the_whole(void **state) {
  (void)state;
  static const struct change changes[] = {SET("2026-10-02T00:00:00.123456789Z", "a", "0.142857143"),
                                          SET("2026-10-05T07:08:09.987654321Z", "a", "0.3"),
                                          SET("2026-10-09T00:00:00.000000001Z", "a", "0")};
  int128 sum = 0;
  meter(&(struct ask){0}, changes, COUNT(changes));
  quantity whole = seconds(NULL, NULL);
  meter(&(struct ask){.cuts = {"2026-10-02T00:00:01.000000007Z", "2026-10-02T00:00:01.000000008Z",
                               "2026-10-05T07:08:09.987654320Z", "2026-10-08T23:59:59.999999999Z"}},
        changes, COUNT(changes));
  assert_true(seconds(NULL, NULL).e9 == whole.e9);
  static const char *const parts[] = {"2026-09-01/2026-10-03",
                                      "2026-10-03T00:00:00Z/2026-10-03T00:00:00.000000001Z",
                                      "2026-10-03T00:00:00.000000001Z/2026-10-04T11:11:11.111111111Z",
                                      "2026-10-04T11:11:11.111111111Z/2026-10-05T07:08:09.5Z",
                                      "2026-10-05T07:08:09.5Z/2026-10-07T00:00:00.333333333Z",
                                      "2026-10-07T00:00:00.333333333Z/2027-01-01T00:00:00Z"};
  for (size_t i = 0; i < COUNT(parts); i++) {
    meter(&(struct ask){.period = parts[i]}, changes, COUNT(changes));
    sum += seconds(NULL, NULL).e9;
  }
  assert_true(sum == whole.e9);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(changes_in_any_order_of_arrival_give_the_same_rows),
      cmocka_unit_test(a_reset_ends_the_level_and_a_new_one_begins),
      cmocka_unit_test(series_of_one_customer_overlap_and_add),
      cmocka_unit_test(one_series_of_two_sources_follows_the_later_change),
      cmocka_unit_test(a_tie_is_decided_by_the_events_not_by_their_arrival),
      cmocka_unit_test(an_end_and_a_beginning_at_once_of_what_is_held_goes_on),
      cmocka_unit_test(a_beginning_and_an_end_at_once_of_what_is_not_held_is_nothing),
      cmocka_unit_test(customers_do_not_share_a_series),
      cmocka_unit_test(a_series_that_moves_ends_in_the_old_set_where_the_new_begins),
      cmocka_unit_test(without_a_series_each_set_of_dimensions_is_a_level),
      cmocka_unit_test(an_event_the_filter_leaves_out_changes_no_level),
      cmocka_unit_test(a_level_set_again_changes_nothing),
      cmocka_unit_test(zero_length_counts_nothing),
      cmocka_unit_test(negative_levels_are_refused),
      cmocka_unit_test(a_level_without_its_series_is_refused),
      cmocka_unit_test(an_open_level_runs_to_the_end_of_a_closed_period),
      cmocka_unit_test(an_open_level_runs_to_now_in_a_running_period),
      cmocka_unit_test(a_level_set_long_before_still_holds),
      cmocka_unit_test(a_change_on_the_first_instant_belongs_to_the_period),
      cmocka_unit_test(a_change_on_the_last_instant_belongs_to_the_next_period),
      cmocka_unit_test(changes_on_hour_borders_leave_no_empty_rows),
      cmocka_unit_test(parts_of_a_period_sum_to_the_whole),
  };
  return cmocka_run_group_tests_name("integral", tests, set_up, tear_down);
}
