/* What went wrong in other metering systems, one test each: docs/pitfalls.md says which line is tested where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "meter/meter.h"
#include <stdlib.h>
#include <string.h>

static const char catalog_text[] =
    "currency: EUR\n"
    "meters:\n"
    "  - {name: held, event: lease, value: gpus, aggregation: integral, over: second, unit: GPU-second,"
    " series: lease}\n"
    "  - {name: calls, event: call, value: n, unit: call}\n"
    "plans:\n  - {name: p, prices: [{meter: held, price: 1}, {meter: calls, price: 1}]}\n"
    "customers:\n  - {id: acme, plan: p}\n  - {id: bolt, plan: p}\n";

static struct arena *arena;
static struct catalog *catalog;

static int set_up(void **state) {
  (void)state;
  struct error err = {0};
  struct catalog_text text = {"catalog.yaml", SLICE(catalog_text)};
  arena = arena_new();
  if (!catalog_parse(&text, 1, &catalog, &err)) {
    fail_msg("%s", err.message);
  }
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  catalog_free(catalog);
  arena_free(arena);
  return 0;
}

static struct event event_of(const char *id, const char *type, const char *customer, const char *time,
                             const char *data) {
  struct event e;
  struct error err = {0};
  const char *text = arena_printf(arena,
                                  "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"s\",\"type\":\"%s\","
                                  "\"subject\":\"%s\",\"time\":\"%s\",\"data\":%s}",
                                  id, type, customer, time, data);
  if (!event_from_text(arena, slice_of(text), (instant){0}, &e, &err) || !event_check(&e, catalog, &err)) {
    fail_msg("%s", err.message);
  }
  return e;
}

static struct event level(const char *id, const char *time, const char *gpus) {
  return event_of(id, "lease", "acme", time, arena_printf(arena, "{\"lease\":\"a\",\"gpus\":%s}", gpus));
}

static struct usage *window(const char *period) {
  struct usage *u = usage_new(catalog);
  struct period p;
  struct error err = {0};
  assert_true(time_parse_period(slice_of(period), "UTC", &p, &err));
  usage_window(u, SLICE("acme"), p, NULL, 0);
  return u;
}

/* Raw usage of the period, of the one meter these events feed. */
static const char *metered(const char *period, const struct event *events, size_t count) {
  struct usage *u = window(period);
  const struct usage_row *rows;
  size_t row_count;
  struct error err = {0};
  quantity sum = QUANTITY_ZERO;
  char *text = arena_alloc(arena, DECIMAL_TEXT_MAX);
  for (size_t i = 0; i < count; i++) {
    assert_true(usage_add(u, &events[i], &err));
  }
  assert_true(usage_finish(u, &rows, &row_count, &err));
  for (size_t i = 0; i < row_count; i++) {
    assert_true(rows[i].value.e9 >= 0 && quantity_add(sum, rows[i].value, &sum, &err));
  }
  usage_free(u);
  return quantity_text(sum, text);
}

static enum verdict decide(struct identity *identity, const struct event *e) {
  return identity_decide(identity, e->source, e->id, event_content_hash(e));
}

static void the_same_id_at_another_time_is_no_new_event(void **state) {
  (void)state;
  const uint8_t key[16] = {1};
  struct identity *i = identity_new(key);
  struct event e = event_of("1", "call", "acme", "2026-10-02T00:00:00Z", "{\"n\":1}"),
               later = event_of("1", "call", "acme", "2026-10-02T00:00:01Z", "{\"n\":1}"),
               other = event_of("1", "call", "acme", "2026-10-02T00:00:00Z", "{\"n\":2}");
  assert_int_equal(decide(i, &e), EVENT_ACCEPTED);
  assert_int_equal(decide(i, &later), EVENT_CONFLICT);
  assert_int_equal(decide(i, &other), EVENT_CONFLICT);
  assert_int_equal(decide(i, &e), EVENT_DUPLICATE);
  assert_int_equal(identity_count(i), 1);
  identity_free(i);
}

/* A sender that makes up a fresh id for each try can not bill a level four times. */
static void a_level_retried_under_fresh_ids_is_billed_once(void **state) {
  (void)state;
  const struct event events[] = {level("r1", "2026-10-02T00:00:00Z", "8"), level("r2", "2026-10-02T00:00:00Z", "8"),
                                 level("r3", "2026-10-02T00:00:00Z", "8"), level("r4", "2026-10-02T00:00:00Z", "8"),
                                 level("r5", "2026-10-02T00:00:10Z", "0"), level("r6", "2026-10-02T00:00:10Z", "0")};
  assert_string_equal(metered("2026-10", events, 6), "80");
}

/* A state set at .918 with a boundary at .918285 is neither dropped nor counted on both sides. */
static void a_boundary_inside_a_millisecond_drops_nothing(void **state) {
  (void)state;
  const struct event events[] = {level("1", "2026-10-02T00:00:00.918Z", "1"),
                                 level("2", "2026-10-02T00:00:00.919Z", "0")};
  assert_string_equal(metered("2026-10-01/2026-10-02T00:00:00.918285", events, 2), "0.000285");
  assert_string_equal(metered("2026-10-02T00:00:00.918285/2026-10-03", events, 2), "0.000715");
  const struct event calls[] = {event_of("1", "call", "acme", "2026-10-02T00:00:00.918Z", "{\"n\":1}"),
                                event_of("2", "call", "acme", "2026-10-02T00:00:00.918285Z", "{\"n\":10}")};
  assert_string_equal(metered("2026-10-01/2026-10-02T00:00:00.918285", calls, 2), "1");
  assert_string_equal(metered("2026-10-02T00:00:00.918285/2026-10-03", calls, 2), "10");
}

static void no_microsecond_is_lost_to_rounding(void **state) {
  (void)state;
  const struct event events[] = {level("1", "2026-10-02T00:00:00.100001Z", "1"),
                                 level("2", "2026-10-02T00:00:00.327588Z", "0")};
  assert_string_equal(metered("2026-10", events, 2), "0.227587");
}

/* Ends without a beginning, ends twice, ends that come first: nothing is ever less than nothing, nor a phantom. */
static void ends_without_beginnings_bill_no_phantoms(void **state) {
  (void)state;
  const struct event events[] = {level("1", "2026-10-02T00:00:05Z", "0"), level("2", "2026-10-02T00:00:07Z", "0"),
                                 level("3", "2026-10-02T00:00:10Z", "1"), level("4", "2026-10-02T00:00:12Z", "0"),
                                 level("5", "2026-10-02T00:00:13Z", "0")};
  assert_string_equal(metered("2026-10", events, 5), "2");
}

/* A unit held all month is one unit of it, however late in a month it was first seen elsewhere: value x time has no
 * share of a month to get wrong. */
static void a_unit_held_all_period_is_the_whole_period(void **state) {
  (void)state;
  const struct event events[] = {level("1", "2026-09-11T15:40:12.345Z", "1"), level("2", "2026-11-02T00:00:00Z", "0")};
  assert_string_equal(metered("2026-10", events, 2), "2678400");
}

static bool listed(const struct usage *u, const char *what, uint64_t events) {
  size_t count;
  const struct usage_note *notes = usage_unmetered(u, &count);
  for (size_t i = 0; i < count; i++) {
    if (slice_is(notes[i].what, what) && notes[i].events == events) {
      return true;
    }
  }
  return false;
}

/* Accepted and never aggregated: it is said. */
static void events_that_nobody_counts_are_listed(void **state) {
  (void)state;
  struct usage *u = window("2026-10");
  struct error err = {0};
  const struct event events[] = {event_of("1", "cal", "acme", "2026-10-02T00:00:00Z", "{\"n\":1}"),
                                 event_of("2", "cal", "acme", "2026-10-02T00:00:00Z", "{\"n\":1}"),
                                 event_of("3", "call", "acne", "2026-10-02T00:00:00Z", "{\"n\":1}"),
                                 event_of("4", "call", "bolt", "2026-10-02T00:00:00Z", "{\"n\":1}")};
  for (size_t i = 0; i < 4; i++) {
    assert_true(usage_add(u, &events[i], &err));
  }
  assert_true(listed(u, "type \"cal\": no meter counts it", 2));
  assert_true(listed(u, "customer \"acne\": not in the catalog", 1));
  size_t count;
  usage_unmetered(u, &count);
  assert_int_equal(count, 2); /* bolt is a customer, and was not asked for */
  usage_free(u);
}

/* The field is misspelt in the event: it is refused, not metered as nothing. */
static void an_event_without_the_metered_value_is_refused(void **state) {
  (void)state;
  struct event e = event_of("1", "other", "acme", "2026-10-02T00:00:00Z", "{\"gpu\":8,\"lease\":\"a\"}");
  struct error err = {0};
  e.type = SLICE("lease");
  assert_false(event_check(&e, catalog, &err));
  assert_non_null(strstr(err.message, "data.gpus is missing"));
}

/* 29 February and the ends of months: each instant is in one month. */
static void months_meet_without_gap_or_overlap(void **state) {
  (void)state;
  static const char *const months[] = {"2024-01", "2024-02", "2024-03", "2024-04"};
  static const char *const expected[] = {"59", "2505600", "2678400", "2591999.5"};
  const struct event events[] = {level("1", "2024-01-31T23:59:01Z", "1"), level("2", "2024-02-29T00:00:00Z", "1"),
                                 level("3", "2024-04-30T23:59:59.5Z", "0")};
  for (size_t i = 0; i < 4; i++) {
    assert_string_equal(metered(months[i], events, 3), expected[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_id_at_another_time_is_no_new_event),
      cmocka_unit_test(a_level_retried_under_fresh_ids_is_billed_once),
      cmocka_unit_test(a_boundary_inside_a_millisecond_drops_nothing),
      cmocka_unit_test(no_microsecond_is_lost_to_rounding),
      cmocka_unit_test(ends_without_beginnings_bill_no_phantoms),
      cmocka_unit_test(a_unit_held_all_period_is_the_whole_period),
      cmocka_unit_test(events_that_nobody_counts_are_listed),
      cmocka_unit_test(an_event_without_the_metered_value_is_refused),
      cmocka_unit_test(months_meet_without_gap_or_overlap),
  };
  return cmocka_run_group_tests_name("pitfalls", tests, set_up, tear_down);
}
