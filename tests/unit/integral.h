/* Worlds of changing levels for the tests of integral meters: each is metered in several orders and ways, which must
 * all agree to the row. */
#ifndef METERHOUSE_TESTS_UNIT_INTEGRAL_H
#define METERHOUSE_TESTS_UNIT_INTEGRAL_H
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
#endif
