/* Alerts and entitlements: thresholds, what is told once, which alerts hold, what is left of a limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "live/live.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char catalog_text[] =
    "currency: EUR\n"
    "seller: {name: S, country: NL, invoice_prefix: S-}\n"
    "meters:\n"
    "  - {name: calls, event: e, value: v, unit: call}\n"
    "  - {name: hours, event: g, value: v, aggregation: integral, over: hour, unit: GPU-hour, series: s}\n"
    "plans:\n"
    "  - name: p\n"
    "    prices: [{meter: calls, price: 1}]\n"
    "    allowances: [{meter: calls, included: 10}]\n"
    "    alerts: [{name: x, meter: calls, at: 7, at_percent: [33, 100]}, {name: y, spend: 5}]\n"
    "    entitlements: [{meter: calls, limit: 20}]\n"
    "  - {name: p, valid_from: 2026-11-10, prices: [{meter: calls, price: 1}], alerts: [{name: z, spend: 9}]}\n"
    "customers:\n"
    "  - {id: a, name: A, country: NL, plan: p}\n"
    "  - id: b\n"
    "    contracts: [{plan: p, to: 2026-11-20}]\n"
    "    alerts: [{name: x, spend: 1}]\n"
    "    entitlements: [{meter: calls, limit: 3, per: day}]\n";

struct house {
  char dir[64];
  struct book *book, *reader;
  struct live_view *view;
  unsigned next_id;
};

static void done(bool ok, const struct error *err) {
  if (!ok) {
    fail_msg("%s", err->message);
  }
}

static instant at(const char *text) {
  instant t;
  struct error err = {0};
  done(time_parse_rfc3339(slice_of(text), &t, &err), &err);
  return t;
}

static void open_house(struct house *h) {
  struct error err = {0};
  char path[96];
  *h = (struct house){.dir = "/tmp/test_live.XXXXXX"};
  assert_non_null(mkdtemp(h->dir));
  snprintf(path, sizeof path, "%s/c.yaml", h->dir);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_true(fputs(catalog_text, f) >= 0 && fclose(f) == 0);
  done(book_open(h->dir, path, BOOK_WRITE, &h->book, &err), &err);
  done(book_open_reader(h->book, &h->reader, &err), &err);
  h->view = live_view_new(book_catalog(h->book));
}

static void close_house(struct house *h) {
  char command[96];
  live_view_free(h->view);
  book_close(h->reader);
  book_close(h->book);
  snprintf(command, sizeof command, "rm -rf %s", h->dir);
  assert_int_equal(system(command), 0);
}

static void use(struct house *h, const char *type, const char *customer, const char *time, const char *value) {
  struct error err = {0};
  struct arena *arena = arena_new();
  struct ingest_result result;
  struct event_field fields[] = {{SLICE("s"), SLICE("one"), false}, {SLICE("v"), slice_of(value), true}};
  struct event e = {.id = slice_of(arena_printf(arena, "%u", h->next_id++)),
                    .source = SLICE("test"),
                    .type = slice_of(type),
                    .subject = slice_of(customer),
                    .time = at(time),
                    .fields = fields,
                    .field_count = 2};
  done(book_begin(h->book, &err) && book_ingest(h->book, arena, &e, 1, &result, &err) && book_commit(h->book, &err),
       &err);
  assert_int_equal(result.verdict, EVENT_ACCEPTED);
  arena_free(arena);
}

static void follow(struct house *h, const char *now) {
  struct error err = {0};
  done(live_view_follow(h->view, h->reader, at(now), true, &err), &err);
}

static void says(const struct house *h, const char *customer, const char *meter, const char *now, const char *usage,
                 bool has_access) {
  struct live_entitlement e;
  struct error err = {0};
  char text[DECIMAL_TEXT_MAX];
  done(live_entitlement(h->view, slice_of(customer), slice_of(meter), at(now), &e, &err), &err);
  assert_string_equal(quantity_text(e.usage, text), usage);
  assert_int_equal(e.has_access, has_access);
  assert_int_equal(e.reason == NULL, has_access);
}

/* ---- thresholds ---- */

static void test_thresholds(void **state) {
  (void)state;
  struct error err = {0};
  struct meter meter = {.name = SLICE("m")};
  struct alert a = {.meter = &meter, .at = {7 * QUANTITY_E9}};
  quantity units;
  amount spend;
  char text[DECIMAL_TEXT_MAX];
  done(live_threshold(&a, 100, &units, &spend, &err), &err);
  assert_string_equal(quantity_text(units, text), "7");
  done(live_threshold(&a, 33, &units, &spend, &err), &err);
  assert_string_equal(quantity_text(units, text), "2.31");
  /* Up, never below what was meant. */
  a.at.e9 = 1;
  done(live_threshold(&a, 50, &units, &spend, &err), &err);
  assert_string_equal(quantity_text(units, text), "0.000000001");
  a = (struct alert){.spend = {500 * AMOUNT_E12}};
  done(live_threshold(&a, 80, &units, &spend, &err), &err);
  assert_string_equal(amount_text(spend, text), "400");
  a.spend.e12 = (int128)1 << 126;
  assert_false(live_threshold(&a, 1000, &units, &spend, &err));
}

/* ---- once ---- */

static bool count_row(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(int64_t *)context = db_int(row, 0);
  return true;
}

static int64_t messages(const struct house *h) {
  struct error err = {0};
  int64_t count = 0;
  done(db_query(book_db(h->book), "SELECT count(*) FROM webhook_message WHERE type = 'alert.crossed'", DB_NO_VALUES,
                count_row, &count, &err),
       &err);
  return count;
}

static void cross(const struct house *h, const struct live_crossing *x, bool keep) {
  struct error err = {0};
  done(book_begin(h->book, &err) && live_cross(book_db(h->book), x, &err), &err);
  if (keep) {
    done(book_commit(h->book, &err), &err);
  } else {
    book_undo(h->book);
  }
}

static void test_once(void **state) {
  (void)state;
  struct house h;
  open_house(&h);
  struct live_crossing x = {.customer = catalog_customer(book_catalog(h.book), SLICE("a")),
                            .alert = SLICE("x"),
                            .name = SLICE("x"),
                            .meter = catalog_meter(book_catalog(h.book), SLICE("calls")),
                            .percent = 100,
                            .threshold = "7",
                            .value = "8",
                            .period = {at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z")},
                            .time = at("2026-11-05T10:00:00Z")};
  cross(&h, &x, false);
  assert_int_equal(messages(&h), 0);
  cross(&h, &x, true);
  x.value = "9";
  cross(&h, &x, true);
  assert_int_equal(messages(&h), 1);
  x.threshold = "6";
  cross(&h, &x, true);
  x.period.from = at("2026-12-01T00:00:00Z");
  cross(&h, &x, true);
  x.meter = NULL;
  cross(&h, &x, true);
  x.customer = catalog_customer(book_catalog(h.book), SLICE("b"));
  cross(&h, &x, true);
  assert_int_equal(messages(&h), 5);
  close_house(&h);
}

/* ---- which alerts hold ---- */

static bool add_name(void *context, const struct live_alert *a, struct error *err) {
  (void)err;
  buf_addf(context, SLICE_FMT "%s ", SLICE_ARG(a->alert.name), a->alert.meter ? "" : "$");
  return true;
}

static void hold(const struct house *h, const char *customer, const char *time, const char *names) {
  struct error err = {0};
  struct buf b;
  buf_init(&b, 1000);
  const struct catalog *c = book_catalog(h->book);
  done(live_catalog_alerts(c, catalog_customer(c, slice_of(customer)), at(time), add_name, &b, &err), &err);
  assert_true(slice_is(buf_slice(&b), names));
  buf_free(&b);
}

static void test_which_hold(void **state) {
  (void)state;
  struct house h;
  open_house(&h);
  hold(&h, "a", "2026-11-05T10:00:00Z", "x y$ ");
  hold(&h, "a", "2026-11-10T00:00:00Z", "z$ ");
  hold(&h, "b", "2026-11-05T10:00:00Z", "x$ y$ "); /* its own x in place of the plan's */
  hold(&h, "b", "2026-11-20T00:00:00Z", "x$ ");
  close_house(&h);
}

/* ---- entitlements ---- */

static void test_entitlements(void **state) {
  (void)state;
  struct house h;
  struct live_entitlement e;
  struct error err = {0};
  open_house(&h);
  assert_false(live_entitlement(h.view, SLICE("a"), SLICE("calls"), at("2026-11-05T10:00:00Z"), &e, &err));
  assert_int_equal(err.code, ERR_BUSY);
  use(&h, "e", "a", "2026-11-05T09:00:00Z", "19.5");
  use(&h, "e", "b", "2026-11-04T23:59:59Z", "2");
  use(&h, "e", "b", "2026-11-05T00:00:00Z", "1");
  use(&h, "g", "a", "2026-11-05T08:30:00Z", "2");
  follow(&h, "2026-11-05T10:00:00Z");
  says(&h, "a", "calls", "2026-11-05T10:00:00Z", "19.5", true);
  says(&h, "b", "calls", "2026-11-05T10:00:00Z", "1", true);
  says(&h, "a", "hours", "2026-11-05T10:00:00Z", "3", true);
  says(&h, "a", "hours", "2026-11-05T10:15:00Z", "3.5", true); /* held on, without a look at the store */
  use(&h, "e", "a", "2026-11-05T10:16:00Z", "0.5");
  use(&h, "e", "b", "2026-11-05T10:16:00Z", "2.1");
  follow(&h, "2026-11-05T10:16:00Z");
  says(&h, "a", "calls", "2026-11-05T10:16:00Z", "20", false);
  says(&h, "b", "calls", "2026-11-05T10:16:00Z", "3.1", false);
  done(live_entitlement(h.view, SLICE("a"), SLICE("calls"), at("2026-11-05T10:16:00Z"), &e, &err), &err);
  assert_true(e.included.e9 == 10 * QUANTITY_E9 && e.overage.e9 == 10 * QUANTITY_E9 && e.remaining.e9 == 0);
  /* The new version of the plan has no limit; b's day is over, and later its contract. */
  follow(&h, "2026-11-10T00:00:00Z");
  says(&h, "a", "calls", "2026-11-10T00:00:00Z", "20", true);
  says(&h, "b", "calls", "2026-11-10T00:00:00Z", "0", true);
  says(&h, "a", "hours", "2026-11-10T00:00:00Z", "223", true);
  says(&h, "b", "calls", "2026-11-20T00:00:00Z", "0", false);
  follow(&h, "2026-12-01T00:00:00Z");
  says(&h, "a", "calls", "2026-12-01T00:00:00Z", "0", true);
  says(&h, "a", "hours", "2026-12-01T01:00:00Z", "2", true);
  assert_false(live_entitlement(h.view, SLICE("none"), SLICE("calls"), at("2026-12-01T00:00:00Z"), &e, &err));
  assert_int_equal(err.code, ERR_NOT_FOUND);
  close_house(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_thresholds), cmocka_unit_test(test_once),
                                     cmocka_unit_test(test_which_hold), cmocka_unit_test(test_entitlements)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
