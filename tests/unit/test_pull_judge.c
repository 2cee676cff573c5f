/* From scrapes to events: rises, resets, gaps, levels; refusals of the book; and the memory that outlives a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pull/private.h"
#include "store/store.h"
#include <stdlib.h>
#include <string.h>

#define MINUTE (60 * NS_PER_S)
#define START (INT64_C(1790000040) * NS_PER_S)

static const char *const file =
    "targets:\n"
    "  - name: t\n"
    "    url: http://h\n"
    "    interval: 1m\n"
    "    rules:\n"
    "      - {metric: tokens_total, as: counter, type: tokens, field: n,\n"
    "         customer: {label: team, map: {a: acme, b: bolt}}, dimensions: {model: m},\n"
    "         set: {direction: out}}\n"
    "      - {metric: late_total, as: counter, type: late, field: n, customer: acme,\n"
    "         new_series: from_zero}\n"
    "      - {metric: gpus, as: gauge, type: gpus, field: n, customer: {label: team},\n"
    "         series: s}\n"
    "      - {metric: disks, as: gauge, type: disks, field: n, customer: acme, absent: zero,\n"
    "         series: s}\n";

/* A book that takes everything, or refuses events, or fails; and keeps the rows in a real store. */
static struct world {
  struct pull_targets *targets;
  struct db *db;
  struct states states;
  struct target_state *state;
  bool refuses, fails;
  uint64_t refused;
  size_t count; /* of the last scrape's events, told in words below */
  char events[20][400], ids[20][40];
  uint64_t resets, unmatched, unreadable;
  int64_t gap_s;
} w;

static void tell_event(const struct event *e) {
  char time[TIME_TEXT_MAX];
  assert_true(w.count < 20);
  char *to = w.events[w.count];
  int at = snprintf(to, 400, "%.*s %.*s", (int)e->type.len, e->type.ptr, (int)e->subject.len, e->subject.ptr);
  for (size_t i = 0; i < e->field_count; i++) {
    at += snprintf(to + at, (size_t)(400 - at), " %.*s=%.*s", (int)e->fields[i].name.len, e->fields[i].name.ptr,
                   (int)e->fields[i].value.len, e->fields[i].value.ptr);
  }
  snprintf(to + at, (size_t)(400 - at), " @%s", time_format((instant){e->time.ns - START}, time) + 11);
  assert_true(slice_is(e->source, "scrape/t"));
  snprintf(w.ids[w.count++], 40, "%.*s", (int)e->id.len, e->id.ptr);
}

static bool write_step(void *context, const struct pull_step *step, bool *stood, struct error *err) {
  (void)context;
  if (w.fails) {
    return error_set(err, ERR_IO, "the disk is full");
  }
  for (size_t i = 0; i < step->event_count; i++) {
    stood[i] = !w.refuses;
    tell_event(&step->events[i]);
  }
  return db_begin(w.db, err) && pull_step_keep(w.db, step, stood, err) && db_commit(w.db, err);
}

static const struct pull_writer writer = {.write = write_step};

static void load(void) {
  struct error err = {0};
  if (!states_load(w.db, w.targets, &w.states, &err)) {
    fail_msg("%s", err.message);
  }
  w.state = w.states.items.items[0];
}

static int begin(void **state) {
  (void)state;
  struct error err = {0};
  memset(&w, 0, sizeof w);
  if (!pull_targets_parse("t.yaml", slice_of(file), &w.targets, &err) ||
      !db_open(":memory:", DB_READ_WRITE, &w.db, &err) ||
      !db_migrate(w.db, pull_migrations, pull_migration_count, &err)) {
    fail_msg("%s", err.message);
  }
  load();
  return 0;
}

static int end(void **state) {
  (void)state;
  states_free(&w.states);
  db_close(w.db);
  pull_targets_free(w.targets);
  return 0;
}

static void restart(void) {
  states_free(&w.states);
  load();
}

static bool scrape_says(int minute, const char *text, struct error *err) {
  struct judged j = {.arena = arena_new()};
  struct exposition parsed;
  instant at = {START + minute * MINUTE};
  w.count = 0;
  bool ok = exposition_parse(j.arena, slice_of(text), false, &parsed, err) &&
            judge_scrape(w.state, &parsed, at, &j, err) &&
            judged_write(w.state, &j, true, at, &writer, &w.refused, err);
  w.resets = j.resets;
  w.unmatched = j.unmatched;
  w.unreadable = j.unreadable;
  w.gap_s = j.gap.ns / NS_PER_S;
  arena_free(j.arena);
  judged_free(&j);
  return ok;
}

static void scrape(int minute, const char *text) {
  struct error err = {0};
  if (!scrape_says(minute, text, &err)) {
    fail_msg("%s", err.message);
  }
}

static void absent(int minute) {
  struct judged j = {.arena = arena_new()};
  struct error err = {0};
  instant now = {START + minute * MINUTE};
  w.count = 0;
  assert_true(levels_absent(w.state, now, &j, &err) &&
              judged_write(w.state, &j, false, now, &writer, &w.refused, &err));
  arena_free(j.arena);
  judged_free(&j);
}

static void event_is(size_t i, const char *words) {
  if (i >= w.count || strcmp(w.events[i], words) != 0) {
    fail_msg("event %zu of %zu is \"%s\", not \"%s\"", i, w.count, i < w.count ? w.events[i] : "", words);
  }
}

static void a_counter_counts_what_it_rises(void **state) {
  (void)state;
  scrape(0, "tokens_total{team=\"a\",model=\"x\"} 100\n");
  assert_int_equal(w.count, 0); /* at first sight it is only remembered */
  scrape(1, "tokens_total{model=\"x\",team=\"a\"} 107.5\n");
  assert_int_equal(w.count, 1);
  event_is(0, "tokens acme direction=out m=x n=7.5 @00:01:00Z");
  scrape(2, "tokens_total{team=\"a\",model=\"x\"} 107.5\n");
  assert_int_equal(w.count, 0);
  scrape(3, "tokens_total{team=\"a\",model=\"x\"} 1.08e2\ntokens_total{team=\"b\"} 5\ntokens_total{team=\"c\"} 5\n");
  assert_int_equal(w.count, 1);
  event_is(0, "tokens acme direction=out m=x n=0.5 @00:03:00Z");
  assert_int_equal(w.unmatched, 1);
}

static void a_smaller_value_counts_from_zero(void **state) {
  (void)state;
  scrape(0, "tokens_total{team=\"a\"} 100\n");
  scrape(1, "tokens_total{team=\"a\"} 3\n");
  event_is(0, "tokens acme direction=out n=3 scrape_reset=true @00:01:00Z");
  assert_int_equal(w.resets, 1);
  scrape(2, "tokens_total{team=\"a\"} 0\n");
  assert_int_equal(w.count, 0);
  assert_int_equal(w.resets, 1);
  scrape(3, "tokens_total{team=\"a\"} 4\n");
  event_is(0, "tokens acme direction=out n=4 @00:03:00Z");
}

static void a_new_beginning_is_a_reset_even_when_larger(void **state) {
  (void)state;
  scrape(0, "tokens_total{team=\"a\"} 100\ntokens_created{team=\"a\"} 1.7899e9\n");
  scrape(1, "tokens_total{team=\"a\"} 130\ntokens_created{team=\"a\"} 1790000050\n");
  event_is(0, "tokens acme direction=out n=130 scrape_reset=true @00:01:00Z");
}

static void a_new_series_counts_when_it_is_known_to_be_new(void **state) {
  (void)state;
  scrape(0, "late_total 5\n");
  assert_int_equal(w.count, 0); /* the target itself was never seen before */
  scrape(1, "late_total 5\nlate_total{x=\"1\"} 7\ntokens_total{team=\"a\"} 9\n");
  assert_int_equal(w.count, 1);
  event_is(0, "late acme n=7 @00:01:00Z");
  scrape(2, "late_total 5\nlate_total{x=\"1\"} 7\ntokens_total{team=\"a\"} 9\ntokens_total{team=\"b\"} 4\n"
            "tokens_created{team=\"b\"} 1790000130.5\n"); /* between the scrapes of minute 1 and 2 */
  assert_int_equal(w.count, 1);
  event_is(0, "tokens bolt direction=out n=4 @00:02:00Z");
}

static void a_gap_loses_nothing(void **state) {
  (void)state;
  scrape(0, "tokens_total{team=\"a\"} 1\n");
  scrape(5, "tokens_total{team=\"a\"} 11\n");
  event_is(0, "tokens acme direction=out n=10 scrape_gap_s=300 @00:05:00Z");
  assert_int_equal(w.gap_s, 300);
}

static void refusal_and_failure_lose_nothing(void **state) {
  (void)state;
  struct error err = {0};
  scrape(0, "tokens_total{team=\"a\"} 1\n");
  w.refuses = true;
  scrape(1, "tokens_total{team=\"a\"} 2\nlate_total 5\n");
  assert_int_equal(w.refused, 2);
  w.refuses = false;
  w.fails = true;
  assert_false(scrape_says(2, "tokens_total{team=\"a\"} 3\nlate_total 5\n", &err));
  w.fails = false;
  restart();
  scrape(3, "tokens_total{team=\"a\"} 4\nlate_total 6\n");
  assert_int_equal(w.count, 2);
  event_is(0, "tokens acme direction=out n=3 scrape_gap_s=120 @00:03:00Z");
  event_is(1, "late acme n=6 scrape_gap_s=120 @00:03:00Z");
}

static void memory_outlives_a_restart(void **state) {
  (void)state;
  scrape(0, "tokens_total{team=\"a\"} 10\ngpus{team=\"acme\"} 2\n");
  restart();
  scrape(1, "tokens_total{team=\"a\"} 12\n");
  assert_int_equal(w.count, 2);
  event_is(0, "tokens acme direction=out n=2 @00:01:00Z");
  event_is(1, "gpus acme n=0 s=t:gpus{team=\"acme\"} @00:01:00Z");
}

static void the_same_scrape_gives_the_same_event(void **state) {
  (void)state;
  struct error err = {0};
  char first[400], id[40];
  scrape(0, "tokens_total{team=\"a\"} 10\ngpus{team=\"acme\"} 2\n");
  w.refuses = true; /* as if the program died before anything was kept */
  scrape(1, "tokens_total{team=\"a\"} 12\n");
  memcpy(first, w.events[0], sizeof first);
  memcpy(id, w.ids[0], sizeof id);
  w.refuses = false;
  assert_true(db_run(w.db, "UPDATE pull_target SET last_good = $1", DB_VALUES(DB_I(START)), NULL, &err));
  restart();
  scrape(1, "tokens_total{team=\"a\"} 12\n");
  assert_string_equal(w.events[0], first);
  assert_string_equal(w.ids[0], id);
  scrape(2, "tokens_total{team=\"a\"} 14\n");
  assert_string_not_equal(w.ids[0], id);
}

static void a_level_is_told_when_it_changes_and_hourly(void **state) {
  (void)state;
  scrape(0, "gpus{team=\"acme\",gpu=\"1\"} 8\n");
  event_is(0, "gpus acme n=8 s=t:gpus{gpu=\"1\",team=\"acme\"} @00:00:00Z");
  for (int minute = 1; minute < 60; minute++) {
    scrape(minute, "gpus{team=\"acme\",gpu=\"1\"} 8.0\n");
    assert_int_equal(w.count, 0);
  }
  scrape(60, "gpus{team=\"acme\",gpu=\"1\"} 8\n");
  event_is(0, "gpus acme n=8 s=t:gpus{gpu=\"1\",team=\"acme\"} @01:00:00Z");
  scrape(61, "gpus{team=\"acme\",gpu=\"1\"} 6\n");
  event_is(0, "gpus acme n=6 s=t:gpus{gpu=\"1\",team=\"acme\"} @01:01:00Z");
  scrape(62, "gpus{team=\"acme\",gpu=\"1\"} NaN\n");
  assert_int_equal(w.count, 0); /* not known is not zero */
  assert_int_equal(w.unreadable, 1);
  scrape(63, "other 1\n");
  event_is(0, "gpus acme n=0 s=t:gpus{gpu=\"1\",team=\"acme\"} @01:03:00Z");
  scrape(64, "other 1\n");
  assert_int_equal(w.count, 0);
  scrape(60, "gpus{team=\"acme\",gpu=\"1\"} 8\n"); /* the clock went back */
  assert_int_equal(w.count, 0);
}

static void out_of_reach_keeps_or_ends_levels(void **state) {
  (void)state;
  scrape(0, "gpus{team=\"acme\"} 8\ndisks 3\n");
  absent(5);
  assert_int_equal(w.count, 0);
  absent(6);
  assert_int_equal(w.count, 1);
  event_is(0, "disks acme n=0 s=t:disks @00:01:00Z"); /* one interval after it was last seen */
  absent(7);
  assert_int_equal(w.count, 0);
  scrape(8, "gpus{team=\"acme\"} 8\ndisks 3\n");
  assert_int_equal(w.count, 1);
  event_is(0, "disks acme n=3 s=t:disks @00:08:00Z");
}

static void a_level_is_handed_over(void **state) {
  (void)state;
  struct error err = {0};
  scrape(0, "disks 3\n");
  pull_targets_free(w.targets);
  struct buf text;
  buf_init(&text, 4096);
  buf_addf(&text, "targets: [{name: t, url: 'http://h', interval: 1m, rules: [{metric: disks, as: gauge, type: disks,"
                  " field: n, customer: bolt, series: s}]}]\n");
  assert_true(pull_targets_parse("t.yaml", buf_slice(&text), &w.targets, &err));
  buf_free(&text);
  restart();
  scrape(1, "disks 3\n");
  assert_int_equal(w.count, 2);
  event_is(0, "disks acme n=0 s=t:disks @00:01:00Z");
  event_is(1, "disks bolt n=3 s=t:disks @00:01:00Z");
}

static void a_series_that_is_there_twice_fails_the_scrape(void **state) {
  (void)state;
  struct error err = {0};
  assert_false(scrape_says(0, "disks 3\ndisks 4\n", &err));
  assert_non_null(strstr(err.message, "line 2: the series disks is there twice"));
}

static void tells_figures(void **state) {
  (void)state;
  struct target_figures figures[] = {
      {.name = SLICE("a"), .tried = true, .up = true, .last_success = {START}, .matched = 3, .resets = 2},
      {.name = SLICE("b"), .tried = true, .unknown_since = {START + NS_PER_S / 2}, .failures = 1}};
  struct buf out;
  buf_init(&out, 1u << 20);
  figures_print(figures, 2, &out);
  buf_addc(&out, '\0');
  assert_non_null(strstr(out.ptr, "\nmeterhouse_scrape_up{target=\"a\"} 1\nmeterhouse_scrape_up{target=\"b\"} 0\n"));
  assert_non_null(
      strstr(out.ptr, "\nmeterhouse_scrape_last_success_timestamp_seconds{target=\"a\"} 1790000040.000\n#"));
  assert_non_null(
      strstr(out.ptr, "\nmeterhouse_scrape_unknown_since_timestamp_seconds{target=\"b\"} 1790000040.500\n"));
  assert_non_null(strstr(out.ptr, "\nmeterhouse_scrape_resets_total{target=\"a\"} 2\n"));
  struct exposition parsed;
  struct error err = {0};
  struct arena *arena = arena_new();
  assert_true(exposition_parse(arena, (slice){out.ptr, out.len - 1}, false, &parsed, &err));
  arena_free(arena);
  buf_free(&out);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_WORLD(a_counter_counts_what_it_rises),
      WITH_WORLD(a_smaller_value_counts_from_zero),
      WITH_WORLD(a_new_beginning_is_a_reset_even_when_larger),
      WITH_WORLD(a_new_series_counts_when_it_is_known_to_be_new),
      WITH_WORLD(a_gap_loses_nothing),
      WITH_WORLD(refusal_and_failure_lose_nothing),
      WITH_WORLD(memory_outlives_a_restart),
      WITH_WORLD(the_same_scrape_gives_the_same_event),
      WITH_WORLD(a_level_is_told_when_it_changes_and_hourly),
      WITH_WORLD(out_of_reach_keeps_or_ends_levels),
      WITH_WORLD(a_level_is_handed_over),
      WITH_WORLD(a_series_that_is_there_twice_fails_the_scrape),
      cmocka_unit_test(tells_figures),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
