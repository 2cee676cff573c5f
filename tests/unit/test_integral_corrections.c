/* Integral meters under corrections: voids, amendments and backfills of levels, from events and from aggregates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "book/book.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const char catalog_text[] =
    "currency: EUR\n"
    "seller: {name: S, country: NL, invoice_prefix: S-}\n"
    "meters:\n"
    "  - {name: gpu_hours, event: lease, value: gpus, aggregation: integral, unit: GPU-hour, series: lease,"
    " dimensions: [gpu]}\n"
    "  - {name: pool_hours, event: pool, value: gpus, aggregation: integral, unit: GPU-hour, dimensions: [gpu]}\n"
    "plans:\n"
    "  - {name: p, prices: [{meter: gpu_hours, price: 2}, {meter: pool_hours, price: 1}]}\n"
    "customers:\n"
    "  - {id: acme, name: Acme, country: NL, plan: p}\n"
    "  - {id: bolt, name: Bolt, country: NL, plan: p}\n";

struct change {
  const char *id, *time, *lease, *gpus, *gpu; /* a lease NULL: type pool */
};
struct world {
  char dir[40];
  struct arena *arena;
  struct book *book;
  bool kept; /* aggregates are brought along after every step */
  int corrections;
};

static void open_world(struct world *w, bool kept) {
  char path[64];
  struct error err = {0};
  *w = (struct world){.arena = arena_new(), .kept = kept};
  snprintf(w->dir, sizeof w->dir, "/tmp/mh_levels.XXXXXX");
  assert_non_null(mkdtemp(w->dir));
  snprintf(path, sizeof path, "%s/catalog.yaml", w->dir);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_true(fputs(catalog_text, f) >= 0 && fclose(f) == 0);
  if (!book_open(w->dir, path, BOOK_WRITE, &w->book, &err)) {
    fail_msg("%s", err.message);
  }
}

static void close_world(struct world *w) {
  char command[64];
  book_close(w->book);
  arena_free(w->arena);
  snprintf(command, sizeof command, "rm -rf %s", w->dir);
  assert_int_equal(system(command), 0);
}

static instant at(const char *text) {
  instant t;
  struct error err = {0};
  if (!time_parse_rfc3339(slice_of(text), &t, &err)) {
    fail_msg("%s", err.message);
  }
  return t;
}

static struct event event_of(struct world *w, const struct change *c) {
  struct event_field *fields = arena_array(w->arena, 3, sizeof *fields);
  struct event e = {.id = slice_of(c->id),
                    .source = SLICE("s"),
                    .type = c->lease ? SLICE("lease") : SLICE("pool"),
                    .subject = SLICE("acme"),
                    .time = at(c->time),
                    .fields = fields};
  fields[e.field_count++] = (struct event_field){SLICE("gpu"), slice_of(c->gpu), false};
  fields[e.field_count++] = (struct event_field){SLICE("gpus"), slice_of(c->gpus), true};
  if (c->lease) {
    fields[e.field_count++] = (struct event_field){SLICE("lease"), slice_of(c->lease), false};
  }
  return e;
}

static struct event *events_of(struct world *w, const struct change *changes, size_t count) {
  struct event *events = arena_array(w->arena, count + 1, sizeof *events);
  for (size_t i = 0; i < count; i++) {
    events[i] = event_of(w, &changes[i]);
  }
  return events;
}

static void bring_along(struct world *w) {
  struct error err = {0};
  if (w->kept && !book_aggregate(w->book, &err)) {
    fail_msg("%s", err.message);
  }
}

static void report(struct world *w, const struct change *changes, size_t count) {
  struct ingest_result results[16];
  struct error err = {0};
  assert_true(count <= COUNT(results) && book_begin(w->book, &err));
  if (!book_ingest(w->book, w->arena, events_of(w, changes, count), count, results, &err) ||
      !book_commit(w->book, &err)) {
    fail_msg("%s", err.message);
  }
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(results[i].verdict, EVENT_ACCEPTED);
  }
  bring_along(w);
}

static void correct(struct world *w, struct correction_request r) {
  struct correction_result result;
  struct error err = {0};
  r.id = slice_of(arena_printf(w->arena, "c%d", ++w->corrections));
  assert_true(book_begin(w->book, &err));
  if (!book_correct(w->book, w->arena, &r, &result, &err) || !book_commit(w->book, &err)) {
    fail_msg("%s", err.message);
  }
}

static void withdraw(struct world *w, const char *id) {
  correct(w, (struct correction_request){.kind = CORRECT_VOID, .source = SLICE("s"), .event_id = slice_of(id)});
}

static void amend(struct world *w, const char *id, struct change change) {
  change.id = "ignored";
  correct(w, (struct correction_request){.kind = CORRECT_AMEND,
                                         .source = SLICE("s"),
                                         .event_id = slice_of(id),
                                         .events = events_of(w, &change, 1),
                                         .count = 1});
}

static void backfill(struct world *w, const char *meter, const char *from, const char *to, const struct change *changes,
                     size_t count) {
  correct(w, (struct correction_request){.kind = CORRECT_BACKFILL,
                                         .customer = SLICE("acme"),
                                         .meter = slice_of(meter),
                                         .range = {at(from), at(to)},
                                         .events = events_of(w, changes, count),
                                         .count = count});
}

/* ---- asking, in every way ---- */

static void add_hours(struct world *w, const char *meter, const char *gpu, struct period p, bool from_events,
                      char text[DECIMAL_TEXT_MAX]) {
  const struct usage_row *rows;
  size_t count = 0;
  struct error err = {0};
  quantity sum = QUANTITY_ZERO;
  struct usage *u = usage_new(book_catalog(w->book));
  usage_without_evidence(u);
  usage_window(u, SLICE("acme"), p, NULL, 0);
  if (!(from_events ? usage_from_events : usage_load)(u, book_db(w->book), 0, &err) ||
      !usage_finish(u, &rows, &count, &err)) {
    fail_msg("%s", err.message);
  }
  for (size_t i = 0; i < count; i++) {
    assert_true(rows[i].value.e9 >= 0);
    if (slice_is(rows[i].meter->name, meter) && (gpu == NULL || slice_is(rows[i].dimensions[0], gpu))) {
      assert_true(quantity_add(sum, rows[i].value, &sum, &err));
    }
  }
  assert_true(sum.e9 % 3600 == 0);
  sum.e9 /= 3600;
  quantity_text(sum, text);
  usage_free(u);
}

static void assert_hours_of(struct world *w, const char *meter, const char *gpu, const char *expected) {
  const struct period days = {at("2026-10-01T00:00:00Z"), at("2026-10-11T00:00:00Z")};
  char text[DECIMAL_TEXT_MAX];
  add_hours(w, meter, gpu, days, true, text);
  assert_string_equal(text, expected);
  add_hours(w, meter, gpu, days, false, text);
  assert_string_equal(text, expected);
  bring_along(w);
  add_hours(w, meter, gpu, days, false, text);
  assert_string_equal(text, expected);
}

static void assert_hours(struct world *w, const char *expected) {
  assert_hours_of(w, "gpu_hours", NULL, expected);
}

/* A lease of 8 from 00:00, 4 from 06:00, ended at 10:00: 64 GPU-hours of 2 October. */
static const struct change lease[] = {{"e1", "2026-10-02T00:00:00Z", "a", "8", "H100"},
                                      {"e2", "2026-10-02T06:00:00Z", "a", "4", "H100"},
                                      {"e3", "2026-10-02T10:00:00Z", "a", "0", "H100"}};

/* Runs a case twice: read from events, and with aggregates that follow every step. */
#define IN_BOTH_WAYS(w)                                                                                                \
  for (int kept = 0; kept < 2; kept++)                                                                                 \
    for (bool once = (open_world(&(w), kept), report(&(w), lease, 3), true); once; once = (close_world(&(w)), false))

/* ---- voids and amendments ---- */

static void a_voided_change_leaves_the_level_before_it(void **state) {
  (void)state;
  struct world w;
  IN_BOTH_WAYS(w) {
    assert_hours(&w, "64");
    withdraw(&w, "e2");
    assert_hours(&w, "80");
  }
}

static void a_voided_beginning_leaves_nothing(void **state) {
  (void)state;
  struct world w;
  IN_BOTH_WAYS(w) {
    withdraw(&w, "e1");
    assert_hours(&w, "16");
    withdraw(&w, "e2");
    assert_hours(&w, "0");
  }
}

static void a_voided_end_lets_the_level_run_on(void **state) {
  (void)state;
  struct world w;
  IN_BOTH_WAYS(w) {
    withdraw(&w, "e3");
    assert_hours(&w, "888"); /* 48 + 4 x 210 hours to the end of the 10th */
  }
}

static void an_amended_level_and_time_count_instead(void **state) {
  (void)state;
  struct world w;
  IN_BOTH_WAYS(w) {
    amend(&w, "e2", (struct change){NULL, "2026-10-02T06:00:00Z", "a", "5", "H100"});
    assert_hours(&w, "68");
    amend(&w, "e3", (struct change){NULL, "2026-10-02T09:00:00Z", "a", "0", "H100"});
    assert_hours(&w, "63");
    amend(&w, "e1", (struct change){NULL, "2026-10-02T05:30:00Z", "a", "8", "H100"});
    assert_hours(&w, "19");
  }
}

static void an_amended_dimension_moves_the_level(void **state) {
  (void)state;
  struct world w;
  IN_BOTH_WAYS(w) {
    amend(&w, "e2", (struct change){NULL, "2026-10-02T06:00:00Z", "a", "4", "A100"});
    assert_hours_of(&w, "gpu_hours", "H100", "48");
    assert_hours_of(&w, "gpu_hours", "A100", "16");
  }
}

/* Events of three months in one block, corrections in all of them, before the aggregates come along once. */
static void corrections_far_apart_are_aggregated_together(void **state) {
  (void)state;
  static const struct change far[] = {
      {"f1", "2026-06-02T00:00:00Z", "f", "1", "H100"}, {"f2", "2026-06-03T00:00:00Z", "f", "2", "H100"},
      {"f3", "2026-08-02T00:00:00Z", "f", "3", "H100"}, {"f4", "2026-08-03T00:00:00Z", "f", "4", "H100"},
      {"f5", "2026-10-02T00:00:00Z", "f", "5", "H100"}, {"f6", "2026-10-03T00:00:00Z", "f", "0", "H100"}};
  struct world w;
  IN_BOTH_WAYS(w) {
    report(&w, far, COUNT(far));
    assert_hours(&w, "280"); /* 64 + 4 x 24 of the 1st + 5 x 24 */
    withdraw(&w, "f2");
    withdraw(&w, "f4");
    withdraw(&w, "f5");
    assert_hours(&w, "208"); /* 64 + 3 x 48 */
    withdraw(&w, "f3");
    withdraw(&w, "e2");
    assert_hours(&w, "128"); /* 80 + 1 x 48 */
  }
}

/* ---- backfills ---- */

static void a_backfill_replaces_a_part_of_a_lease(void **state) {
  (void)state;
  static const struct change truth[] = {{"b1", "2026-10-02T02:00:00Z", "a", "1", "H100"},
                                        {"b2", "2026-10-02T03:00:00Z", "a", "2", "H100"}};
  struct world w;
  IN_BOTH_WAYS(w) {
    backfill(&w, "gpu_hours", "2026-10-02T02:00:00Z", "2026-10-02T07:00:00Z", truth, COUNT(truth));
    assert_hours(&w, "37"); /* 8 x 2, 1 x 1, 2 x 4, then 4 x 3 as it was */
  }
}

static void a_backfill_of_nothing_empties_its_stretch(void **state) {
  (void)state;
  struct world w;
  IN_BOTH_WAYS(w) {
    backfill(&w, "gpu_hours", "2026-10-02T02:00:00Z", "2026-10-02T07:00:00Z", NULL, 0);
    assert_hours(&w, "28");
  }
}

static void a_backfilled_level_ends_with_its_stretch(void **state) {
  (void)state;
  static const struct change unknown[] = {{"b1", "2026-10-02T02:00:00Z", "b", "1", "H100"}},
                             longer[] = {{"b2", "2026-10-02T09:00:00Z", "a", "2", "H100"}};
  struct world w;
  IN_BOTH_WAYS(w) {
    backfill(&w, "gpu_hours", "2026-10-02T02:00:00Z", "2026-10-02T03:00:00Z", unknown, 1);
    assert_hours(&w, "57"); /* an hour of "a" is replaced by one of "b", which nobody else knows */
    backfill(&w, "gpu_hours", "2026-10-02T09:00:00Z", "2026-10-02T12:00:00Z", longer, 1);
    assert_hours(&w, "59"); /* three hours of 2 instead of one of 4; at 12:00 it is over, as it was before */
  }
}

static void a_change_at_the_end_of_a_backfill_stands(void **state) {
  (void)state;
  static const struct change truth[] = {{"b1", "2026-10-02T04:00:00Z", "a", "1", "H100"}},
                             before[] = {{"b2", "2026-10-01T23:00:00Z", "a", "3", "H100"}};
  struct world w;
  IN_BOTH_WAYS(w) {
    backfill(&w, "gpu_hours", "2026-10-02T04:00:00Z", "2026-10-02T06:00:00Z", truth, 1);
    assert_hours(&w, "50");
    backfill(&w, "gpu_hours", "2026-10-01T23:00:00Z", "2026-10-02T00:00:00Z", before, 1);
    assert_hours(&w, "53");
  }
}

static void a_backfill_resumes_what_the_lease_had_become(void **state) {
  (void)state;
  static const struct change move[] = {{"m1", "2026-10-02T04:00:00Z", "a", "2", "A100"}},
                             truth[] = {{"b1", "2026-10-02T03:00:00Z", "a", "1", "L40S"}};
  struct world w;
  IN_BOTH_WAYS(w) {
    report(&w, move, 1);
    backfill(&w, "gpu_hours", "2026-10-02T03:00:00Z", "2026-10-02T05:00:00Z", truth, 1);
    assert_hours_of(&w, "gpu_hours", "H100", "40"); /* 8 x 3, 4 x 4 */
    assert_hours_of(&w, "gpu_hours", "L40S", "2");
    assert_hours_of(&w, "gpu_hours", "A100", "2");
  }
}

static void backfills_of_levels_without_a_series(void **state) {
  (void)state;
  static const struct change pool[] = {{"p1", "2026-10-02T00:00:00Z", NULL, "10", "H100"},
                                       {"p2", "2026-10-02T10:00:00Z", NULL, "0", "H100"}},
                             truth[] = {{"b1", "2026-10-02T01:00:00Z", NULL, "1", "H100"},
                                        {"b2", "2026-10-02T01:00:00Z", NULL, "1", "A100"}};
  struct world w;
  IN_BOTH_WAYS(w) {
    report(&w, pool, COUNT(pool));
    backfill(&w, "pool_hours", "2026-10-02T01:00:00Z", "2026-10-02T02:00:00Z", truth, COUNT(truth));
    assert_hours_of(&w, "pool_hours", "H100", "91");
    assert_hours_of(&w, "pool_hours", "A100", "1");
    assert_hours(&w, "64"); /* the other meter is as it was */
  }
}

static void a_backfill_over_a_backfill_wins_where_it_says(void **state) {
  (void)state;
  static const struct change one[] = {{"b1", "2026-10-02T02:00:00Z", "a", "1", "H100"}},
                             two[] = {{"b2", "2026-10-02T03:00:00Z", "a", "2", "H100"}};
  struct world w;
  IN_BOTH_WAYS(w) {
    backfill(&w, "gpu_hours", "2026-10-02T02:00:00Z", "2026-10-02T04:00:00Z", one, 1);
    assert_hours(&w, "50");
    backfill(&w, "gpu_hours", "2026-10-02T03:00:00Z", "2026-10-02T05:00:00Z", two, 1);
    assert_hours(&w, "45"); /* 8 x 2, 1, 2 x 2, 8, 4 x 4 */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_voided_change_leaves_the_level_before_it),
      cmocka_unit_test(a_voided_beginning_leaves_nothing),
      cmocka_unit_test(a_voided_end_lets_the_level_run_on),
      cmocka_unit_test(an_amended_level_and_time_count_instead),
      cmocka_unit_test(an_amended_dimension_moves_the_level),
      cmocka_unit_test(corrections_far_apart_are_aggregated_together),
      cmocka_unit_test(a_backfill_replaces_a_part_of_a_lease),
      cmocka_unit_test(a_backfill_of_nothing_empties_its_stretch),
      cmocka_unit_test(a_backfilled_level_ends_with_its_stretch),
      cmocka_unit_test(a_change_at_the_end_of_a_backfill_stands),
      cmocka_unit_test(a_backfill_resumes_what_the_lease_had_become),
      cmocka_unit_test(backfills_of_levels_without_a_series),
      cmocka_unit_test(a_backfill_over_a_backfill_wins_where_it_says),
  };
  clock_set_test(at("2026-11-05T00:00:00Z"));
  return cmocka_run_group_tests_name("integral corrections", tests, NULL, NULL);
}
