/* A journal long enough to be read by several threads gives the same usage as one event after the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "meter/meter.h"
#include <stdlib.h>
#include <string.h>

#define EVENTS 160000
#define BATCH 8000

static const char catalog_text[] =
    "currency: EUR\n"
    "seller: {name: S, country: NL, invoice_prefix: S-}\n"
    "meters:\n"
    "  - {name: held, event: e, value: v, aggregation: integral, over: hour, unit: u, series: s, dimensions: [d]}\n"
    "  - {name: total, event: e, value: v, unit: u, dimensions: [d, s]}\n"
    "  - {name: peak, event: e, value: v, aggregation: max, unit: u, dimensions: [d]}\n"
    "  - {name: low, event: e, value: v, aggregation: min, unit: u}\n"
    "  - {name: last, event: e, value: v, aggregation: latest, unit: u}\n"
    "  - {name: distinct, event: e, value: s, aggregation: unique, unit: u}\n"
    "plans:\n  - {name: p, prices: [{meter: total, price: 1}]}\n"
    "customers:\n  - {id: b, name: B, country: NL, plan: p}\n  - {id: c, name: C, country: NL, plan: p}\n";

static const int64_t start_s = 1790812800;

static void make_event(struct arena *arena, struct random *r, int number, struct event *e) {
  static const char *const customers[] = {"b", "c", "nobody"};
  struct event_field *fields = arena_array(arena, 3, sizeof *fields);
  fields[0] = (struct event_field){SLICE("d"), slice_of(arena_printf(arena, "d%d", (int)random_below(r, 5))), false};
  fields[1] = (struct event_field){SLICE("s"), slice_of(arena_printf(arena, "s%d", (int)random_below(r, 9))), false};
  fields[2] = (struct event_field){SLICE("v"), slice_of(arena_printf(arena, "%d.5", (int)random_below(r, 1000))), true};
  *e = (struct event){.id = slice_of(arena_printf(arena, "e%d", number)),
                      .source = SLICE("lanes"),
                      .type = random_below(r, 500) ? SLICE("e") : SLICE("unmetered"),
                      .subject = slice_of(customers[random_below(r, 50) ? random_below(r, 2) : 2]),
                      .time = {(start_s + (int64_t)random_below(r, 40 * 3600)) * NS_PER_S + number},
                      .fields = fields,
                      .field_count = 3};
}

static void fill(struct db *db, struct journal *j) {
  struct random r;
  struct error err = {0};
  struct arena *arena = arena_new();
  enum verdict verdicts[BATCH];
  random_seed(&r, 5, 0);
  for (int first = 0; first < EVENTS; first += BATCH) {
    arena_reset(arena);
    struct event *events = arena_array(arena, BATCH, sizeof *events);
    for (int i = 0; i < BATCH; i++) {
      make_event(arena, &r, first + i, &events[i]);
    }
    assert_true(db_begin(db, &err) && journal_append(j, events, BATCH, verdicts, &err) && journal_flush(j, &err) &&
                db_commit(db, &err));
    journal_done(j);
  }
  arena_free(arena);
}

static struct usage *open_usage(const struct catalog *catalog) {
  struct usage *u = usage_new(catalog);
  struct period period = {{(start_s + 1800) * NS_PER_S}, {(start_s + 120000) * NS_PER_S}};
  const instant cuts[] = {{(start_s + 7777) * NS_PER_S}};
  usage_without_evidence(u);
  usage_window(u, SLICE("b"), period, cuts, 1);
  usage_window(u, SLICE("c"), period, NULL, 0);
  return u;
}

static bool add(void *context, const struct event *e, const struct arrival *arrival, struct error *err) {
  (void)arrival;
  return usage_add(context, e, err);
}

static void same(struct usage *a, struct usage *b) {
  const struct usage_row *x, *y;
  size_t x_count = 0, y_count = 0;
  struct error err = {0};
  assert_true(usage_finish(a, &x, &x_count, &err) && usage_finish(b, &y, &y_count, &err));
  assert_int_equal(x_count, y_count);
  for (size_t i = 0; i < x_count; i++) {
    assert_true(x[i].meter == y[i].meter && slice_eq(x[i].customer, y[i].customer) && x[i].from.ns == y[i].from.ns &&
                x[i].to.ns == y[i].to.ns && x[i].value.e9 == y[i].value.e9 && x[i].events == y[i].events);
  }
  uint64_t a_notes = 0, b_notes = 0;
  size_t a_count, b_count;
  const struct usage_note *p = usage_unmetered(a, &a_count), *q = usage_unmetered(b, &b_count);
  for (size_t i = 0; i < a_count; i++) {
    a_notes += p[i].events;
  }
  for (size_t i = 0; i < b_count; i++) {
    b_notes += q[i].events;
  }
  assert_int_equal(a_count, b_count);
  assert_int_equal(a_notes, b_notes);
}

static void lanes_agree_with_one_by_one(void **state) {
  (void)state;
  char dir[] = "/tmp/mh_lanes.XXXXXX", path[64], command[64];
  struct db *db = NULL;
  struct journal *j = NULL;
  struct catalog *catalog;
  struct error err = {0};
  struct catalog_text text = {"catalog.yaml", SLICE(catalog_text)};
  const struct db_migration migrations[] = {journal_migrations[0], journal_migrations[1]};
  assert_true(catalog_parse(&text, 1, &catalog, &err));
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/book.db", dir);
  assert_true(db_open(path, DB_READ_WRITE, &db, &err) && db_migrate(db, migrations, 2, &err) &&
              journal_open(db, dir, NULL, &j, &err));
  fill(db, j);
  struct usage *lanes = open_usage(catalog), *single = open_usage(catalog);
  const struct journal_range all = {0};
  assert_true(usage_from_events(lanes, db, EVENTS, &err) && journal_scan(db, &all, add, single, &err));
  same(lanes, single);
  usage_free(lanes);
  usage_free(single);
  journal_close(j);
  db_close(db);
  catalog_free(catalog);
  snprintf(command, sizeof command, "rm -rf %s", dir);
  assert_int_equal(system(command), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(lanes_agree_with_one_by_one)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
