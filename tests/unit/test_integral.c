/* Integral meters at every edge: each world is metered in several orders and ways, which must all agree to the row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rate/rate.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHANGES_MAX 64
#define HOUR_NS (3600 * NS_PER_S)
#define COUNT(list) (sizeof(list) / sizeof *(list))

static const char catalog_text[] =
    "currency: EUR\n"
    "meters:\n"
    "  - {name: gpu_hours, event: lease, value: gpus, aggregation: integral, unit: GPU-hour, series: lease,"
    " dimensions: [gpu, mig]}\n"
    "  - {name: eu_hours, event: lease, value: gpus, aggregation: integral, unit: GPU-hour, series: lease,"
    " filter: {mig: eu}}\n"
    "  - {name: stored, event: disk, value: gpus, aggregation: integral, over: day, unit: GB-day, dimensions: [gpu]}\n"
    "plans:\n"
    "  - name: p\n"
    "    prices:\n"
    "      - {meter: gpu_hours, price: 3.50, multipliers: [{match: {mig: 1g.10gb}, by: 0.142857142857},"
    " {match: {mig: 2g.20gb}, by: 0.25}, {match: {mig: 3g.40gb}, by: 0.5}]}\n"
    "      - {meter: eu_hours, price: 0}\n"
    "      - {meter: stored, price: 0.01}\n"
    "customers:\n"
    "  - {id: acme, plan: p}\n"
    "  - {id: bolt, plan: p}\n";

struct change {
  const char *time, *lease, *gpus;
  const char *gpu, *mig, *source, *customer, *type; /* NULL: H100, none, "s", acme, lease */
};
#define SET(when, whose, level)                                                                                        \
  { .time = when, .lease = whose, .gpus = level }
#define WITH(when, whose, level, ...)                                                                                  \
  { .time = when, .lease = whose, .gpus = level, __VA_ARGS__ }
/* What is asked: one customer's period, cut, with levels known up to a moment. */
struct ask {
  const char *period, *zone, *customer, *until; /* NULL: 2026-10, UTC, acme, for ever */
  const char *meter;                            /* whose rows are summed; NULL: gpu_hours */
  const char *cuts[4];
};
struct answer {
  bool ok;
  struct usage_row rows[2000];
  size_t count;
  uint64_t evidence_events;
  char evidence[65];
  struct error err;
};

static struct arena *arena;
static struct catalog *catalog;
static struct answer first, other;

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

static instant at(const char *text) {
  instant t;
  struct error err = {0};
  if (!time_parse_rfc3339(slice_of(text), &t, &err)) {
    fail_msg("%s", err.message);
  }
  return t;
}

static struct period period_of(const struct ask *a) {
  struct period p;
  struct error err = {0};
  if (!time_parse_period(slice_of(a->period ? a->period : "2026-10"), a->zone ? a->zone : "UTC", &p, &err)) {
    fail_msg("%s", err.message);
  }
  return p;
}

static struct event event_of(const struct change *c, size_t number) {
  struct event_field *fields = arena_array(arena, 4, sizeof *fields);
  struct event e = {.id = slice_of(arena_printf(arena, "e%zu", number)),
                    .source = slice_of(c->source ? c->source : "s"),
                    .type = slice_of(c->type ? c->type : "lease"),
                    .subject = slice_of(c->customer ? c->customer : "acme"),
                    .time = at(c->time),
                    .fields = fields};
  fields[e.field_count++] = (struct event_field){SLICE("gpu"), slice_of(c->gpu ? c->gpu : "H100"), false};
  fields[e.field_count++] = (struct event_field){SLICE("gpus"), slice_of(c->gpus), true};
  if (c->lease) {
    fields[e.field_count++] = (struct event_field){SLICE("lease"), slice_of(c->lease), false};
  }
  if (c->mig) {
    fields[e.field_count++] = (struct event_field){SLICE("mig"), slice_of(c->mig), false};
  }
  return e;
}

/* ---- the ways ---- */

static struct usage *open_usage(const struct ask *a, bool evidence) {
  struct usage *u = usage_new(catalog);
  instant cuts[COUNT(a->cuts)];
  size_t count = 0;
  for (; count < COUNT(a->cuts) && a->cuts[count]; count++) {
    cuts[count] = at(a->cuts[count]);
  }
  if (a->until) {
    usage_until(u, at(a->until));
  }
  if (!evidence) {
    usage_without_evidence(u);
  }
  usage_window(u, slice_of(a->customer ? a->customer : "acme"), period_of(a), cuts, count);
  return u;
}

/* Rows of other meters are left out; names outlive the builder. */
static void close_usage(struct usage *u, const struct ask *a, bool ok, struct answer *out) {
  const struct usage_row *rows;
  size_t count;
  slice customer = slice_of(a->customer ? a->customer : "acme");
  out->count = 0;
  out->ok = ok && usage_finish(u, &rows, &count, &out->err);
  for (size_t i = 0; out->ok && i < count; i++) {
    if (slice_is(rows[i].meter->name, a->meter ? a->meter : "gpu_hours")) {
      assert_true(out->count < COUNT(out->rows));
      struct usage_row *row = &out->rows[out->count++];
      slice *dimensions = arena_array(arena, rows[i].meter->dimension_count + 1, sizeof *dimensions);
      *row = rows[i];
      row->customer = customer;
      for (size_t d = 0; d < row->meter->dimension_count; d++) {
        dimensions[d] = arena_copy(arena, rows[i].dimensions[d]);
      }
      row->dimensions = dimensions;
    }
  }
  usage_evidence(u, customer, &out->evidence_events, out->evidence);
  usage_free(u);
}

static void meter_events(const struct ask *a, const struct event *events, const size_t *order, size_t count,
                         struct answer *out) {
  struct usage *u = open_usage(a, true);
  bool ok = true;
  *out = (struct answer){0};
  for (size_t i = 0; i < count && ok; i++) {
    ok = usage_add(u, &events[order ? order[i] : i], &out->err);
  }
  close_usage(u, a, ok, out);
}

static void assert_same_rows(const struct answer *x, const struct answer *y) {
  if (x->ok != y->ok) {
    fail_msg("%s", x->ok ? y->err.message : x->err.message);
  }
  assert_int_equal(x->count, y->count);
  for (size_t i = 0; i < x->count; i++) {
    const struct usage_row *a = &x->rows[i], *b = &y->rows[i];
    assert_true(a->meter == b->meter && a->from.ns == b->from.ns && a->to.ns == b->to.ns && a->events == b->events);
    assert_true(a->value.e9 == b->value.e9);
    for (size_t d = 0; d < a->meter->dimension_count; d++) {
      assert_true(slice_eq(a->dimensions[d], b->dimensions[d]));
    }
  }
}

struct store {
  char dir[40];
  struct db *db;
  struct journal *journal;
};

static void open_store(struct store *s) {
  char path[64];
  struct error err = {0};
  const struct db_migration steps[] = {journal_migrations[0], journal_migrations[1], rollup_migrations[0]};
  snprintf(s->dir, sizeof s->dir, "/tmp/mh_integral.XXXXXX");
  assert_non_null(mkdtemp(s->dir));
  snprintf(path, sizeof path, "%s/book.db", s->dir);
  if (!db_open(path, DB_READ_WRITE, &s->db, &err) || !db_migrate(s->db, steps, COUNT(steps), &err) ||
      !journal_open(s->db, s->dir, NULL, &s->journal, &err)) {
    fail_msg("%s", err.message);
  }
}

static void close_store(struct store *s) {
  char command[64];
  journal_close(s->journal);
  db_close(s->db);
  snprintf(command, sizeof command, "rm -rf %s", s->dir);
  assert_int_equal(system(command), 0);
}

static void keep_events(struct store *s, const struct event *events, size_t count) {
  enum verdict verdicts[CHANGES_MAX];
  struct error err = {0};
  assert_true(db_begin(s->db, &err));
  if (!journal_append(s->journal, events, count, verdicts, &err) || !journal_flush(s->journal, &err) ||
      !db_commit(s->db, &err)) {
    fail_msg("%s", err.message);
  }
  journal_done(s->journal);
}

static void aggregate(struct store *s) {
  struct rollup *r;
  struct error err = {0};
  if (!rollup_prepare(s->db, catalog, 1, &r, &err) || (r && !rollup_write(s->db, r, &err))) {
    fail_msg("%s", err.message);
  }
  rollup_free(r);
}

static void assert_store_agrees(struct store *s, const struct ask *a) {
  bool (*const ways[])(struct usage *, struct db *, uint64_t, struct error *) = {usage_from_events, usage_load};
  for (size_t w = 0; w < COUNT(ways); w++) {
    struct usage *u = open_usage(a, false);
    other = (struct answer){0};
    bool ok = ways[w](u, s->db, 0, &other.err);
    close_usage(u, a, ok, &other);
    assert_same_rows(&first, &other);
  }
}

/* The events come in two batches; asked for before, between and after the aggregates are brought along. */
static void assert_store_says_the_same(const struct ask *a, const struct event *events, size_t count) {
  struct store s;
  size_t half = count / 2;
  open_store(&s);
  if (half > 0) {
    keep_events(&s, events, half);
    aggregate(&s);
  }
  keep_events(&s, events + half, count - half);
  assert_store_agrees(&s, a);
  aggregate(&s);
  assert_store_agrees(&s, a);
  close_store(&s);
}

/* Meters the changes as given into `first`: backwards, from the journal and from the aggregates it is the same. */
static void meter(const struct ask *a, const struct change *changes, size_t count) {
  struct event events[CHANGES_MAX];
  size_t backwards[CHANGES_MAX];
  assert_true(count > 0 && count <= CHANGES_MAX);
  for (size_t i = 0; i < count; i++) {
    events[i] = event_of(&changes[i], i);
    backwards[i] = count - 1 - i;
  }
  meter_events(a, events, NULL, count, &first);
  meter_events(a, events, backwards, count, &other);
  assert_same_rows(&first, &other);
  assert_string_equal(first.evidence, other.evidence);
  assert_int_equal(first.evidence_events, other.evidence_events);
  assert_store_says_the_same(a, events, count);
}

/* Value x seconds of a GPU kind, or of a mig slice, or of all when NULL. */
static quantity seconds(const char *gpu, const char *mig) {
  quantity sum = QUANTITY_ZERO;
  struct error err = {0};
  for (size_t i = 0; i < first.count; i++) {
    const struct usage_row *r = &first.rows[i];
    assert_true(r->value.e9 >= 0);
    if ((gpu == NULL || slice_is(r->dimensions[0], gpu)) && (mig == NULL || slice_is(r->dimensions[1], mig))) {
      assert_true(quantity_add(sum, r->value, &sum, &err));
    }
  }
  return sum;
}

static void assert_seconds(const char *gpu, const char *expected) {
  char text[DECIMAL_TEXT_MAX];
  if (!first.ok) {
    fail_msg("%s", first.err.message);
  }
  assert_string_equal(quantity_text(seconds(gpu, NULL), text), expected);
}

static void assert_hours(const char *gpu, const char *expected) {
  quantity hours;
  char text[DECIMAL_TEXT_MAX];
  if (!first.ok) {
    fail_msg("%s", first.err.message);
  }
  assert_true(seconds(gpu, NULL).e9 % 3600 == 0);
  hours.e9 = seconds(gpu, NULL).e9 / 3600;
  assert_string_equal(quantity_text(hours, text), expected);
}

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
  return cmocka_run_group_tests_name("integral", tests, set_up, tear_down);
}
