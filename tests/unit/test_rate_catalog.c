/* From YAML and events to charges: the worked examples of docs/rating.md through catalog, meter and rating together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rating_world.h"

#include <stdlib.h>
#include <string.h>

/* Loads a catalog whose only customer is "acme" and opens its window for the period. */
static void open_world(struct world *w, const char *yaml, const char *period) {
  struct error err;
  const struct segment *segments;
  size_t count;
  instant cuts[8];
  const struct catalog_text text = {"test.yaml", slice_of(yaml)};
  if (!catalog_parse(&text, 1, &w->catalog, &err)) {
    fail_msg("%s", err.message);
  }
  w->customer = catalog_customer(w->catalog, SLICE("acme"));
  assert_non_null(w->customer);
  assert_true(time_parse_period(slice_of(period), w->customer->time_zone, &w->period, &err));
  assert_true(rate_segments(w->arena, w->catalog, w->customer, w->period, &segments, &count, &err));
  w->usage = usage_new(w->catalog);
  usage_window(w->usage, w->customer->id, w->period, cuts, rate_cuts(w->catalog, segments, count, cuts, 8));
}

/* An event of type "use" with `data` as flat JSON members. */
static void send(struct world *w, const char *time, const char *data) {
  struct error err;
  struct event event;
  const char *text =
      arena_printf(w->arena,
                   "{\"specversion\":\"1.0\",\"id\":\"%u\",\"source\":\"test\",\"type\":\"use\",\"subject\":\"acme\","
                   "\"time\":\"%s\",\"data\":{%s}}",
                   ++w->events, time, data);
  if (!event_from_text(w->arena, slice_of(text), (instant){0}, &event, &err) || !usage_add(w->usage, &event, &err)) {
    fail_msg("%s", err.message);
  }
}

static void rate_world(struct world *w) {
  struct error err;
  const struct usage_row *rows;
  size_t count;
  if (!usage_finish(w->usage, &rows, &count, &err) ||
      !rate_customer(w->arena, w->catalog, w->customer, w->period, rows, count, &w->rating, &err)) {
    fail_msg("%s", err.message);
  }
}

static void assert_charges(const struct world *w, const char *expected) {
  char text[DECIMAL_TEXT_MAX];
  struct buf all;
  buf_init(&all, 4096);
  for (size_t i = 0; i < w->rating.charge_count; i++) {
    const struct charge *c = &w->rating.charges[i];
    buf_addf(&all, "%s" SLICE_FMT "=%s", i ? " " : "", SLICE_ARG(c->name), amount_text(c->exact, text));
  }
  const char *found = arena_copy(w->arena, buf_slice(&all)).ptr;
  buf_free(&all);
  assert_string_equal(found, expected);
}

static void a_price_change_falls_at_its_instant(void **state) {
  struct world *w = *state;
  open_world(w,
             "currency: USD\n"
             "meters: [{name: calls, event: use, aggregation: count, unit: call}]\n"
             "plans:\n"
             "  - {name: basic, prices: [{name: call, meter: calls, price: 1}]}\n"
             "  - {name: basic, valid_from: 2026-10-10 12:00:00, prices: [{name: call, meter: calls, price: 2}]}\n"
             "customers: [{id: acme, plan: basic}]\n",
             "2026-10");
  send(w, "2026-10-10T11:59:59.999999999Z", "\"n\":1");
  send(w, "2026-10-10T11:00:00Z", "\"n\":1");
  send(w, "2026-10-01T00:00:00Z", "\"n\":1");
  send(w, "2026-10-10T12:00:00Z", "\"n\":1");
  send(w, "2026-10-31T23:59:59.999999999Z", "\"n\":1");
  send(w, "2026-11-01T00:00:00Z", "\"n\":1");
  rate_world(w);
  assert_charges(w, "call=3 call=4");
}

static void allowances_follow_time_across_classes(void **state) {
  struct world *w = *state;
  open_world(w,
             "currency: USD\n"
             "meters: [{name: jobs, event: use, value: n, dimensions: [class]}]\n"
             "plans:\n"
             "  - name: basic\n"
             "    minimum: 30\n"
             "    prices:\n"
             "      - {name: a, meter: jobs, match: {class: a}, price: 1}\n"
             "      - {name: b, meter: jobs, match: {class: b}, price: 10}\n"
             "    allowances: [{meter: jobs, included: 8}]\n"
             "customers: [{id: acme, plan: basic}]\n",
             "2026-10");
  send(w, "2026-10-01T02:00:00Z", "\"n\":5,\"class\":\"b\"");
  send(w, "2026-10-01T00:00:00Z", "\"n\":5,\"class\":\"a\"");
  send(w, "2026-10-01T04:00:00Z", "\"n\":5,\"class\":\"a\"");
  send(w, "2026-10-01T05:00:00Z", "\"n\":7,\"class\":\"c\"");
  rate_world(w);
  assert_charges(w, "a=5 b=20 minimum spend=5");
  assert_int_equal(w->rating.unpriced_count, 1);
  assert_string_equal(w->rating.unpriced[0].why, "no price matches");
}

static void contracts_bring_their_own_terms(void **state) {
  struct world *w = *state;
  open_world(w,
             "currency: EUR\n"
             "time_zone: Europe/Amsterdam\n"
             "meters: [{name: gpu, event: use, value: n, aggregation: integral, over: hour, series: lease,"
             " unit: GPU-hour, dimensions: [class]}]\n"
             "plans:\n"
             "  - {name: list, prices: [{name: any, meter: gpu, price: 2.49}]}\n"
             "customers:\n"
             "  - id: acme\n"
             "    contracts:\n"
             "      - plan: list\n"
             "        from: 2026-10-20\n"
             "        prices: [{name: h100, meter: gpu, match: {class: H100}, price: 1.99}]\n"
             "        fees: [{name: seat, price: 20, count: 3}, {name: reserved, price: 2, count: 8, every: hour}]\n",
             "2026-10");
  /* two hours of H100 from the start of the contract, one second of L4, one hour before there was a contract */
  send(w, "2026-10-20T00:00:00+02:00", "\"n\":1,\"class\":\"H100\",\"lease\":\"x\"");
  send(w, "2026-10-20T02:00:00+02:00", "\"n\":0,\"class\":\"H100\",\"lease\":\"x\"");
  send(w, "2026-10-21T00:00:00+02:00", "\"n\":1,\"class\":\"L4\",\"lease\":\"y\"");
  send(w, "2026-10-21T00:00:01+02:00", "\"n\":0,\"class\":\"L4\",\"lease\":\"y\"");
  send(w, "2026-10-02T00:00:00+02:00", "\"n\":1,\"class\":\"L4\",\"lease\":\"z\"");
  send(w, "2026-10-02T01:00:00+02:00", "\"n\":0,\"class\":\"L4\",\"lease\":\"z\"");
  rate_world(w);
  /* 289 of the 745 hours of October: the clocks go back on the 25th */
  assert_charges(w, "seat=23.275167785235 reserved=4624 h100=3.98 any=0.000691666667");
  assert_int_equal(w->rating.unpriced_count, 1);
  assert_string_equal(w->rating.unpriced[0].why, "no contract at this time");
  char text[DECIMAL_TEXT_MAX];
  assert_string_equal(quantity_text(w->rating.unpriced[0].units, text), "1");
}

static void peaks_combine_within_a_series_and_add_across(void **state) {
  struct world *w = *state;
  open_world(w,
             "currency: USD\n"
             "meters: [{name: peak, event: use, value: n, aggregation: max, dimensions: [cluster]}]\n"
             "plans: [{name: basic, prices: [{name: peak, meter: peak, price: 1}]}]\n"
             "customers: [{id: acme, plan: basic}]\n",
             "2026-10");
  send(w, "2026-10-01T00:00:00Z", "\"n\":4,\"cluster\":\"a\"");
  send(w, "2026-10-01T01:00:00Z", "\"n\":9,\"cluster\":\"a\"");
  send(w, "2026-10-01T02:00:00Z", "\"n\":2,\"cluster\":\"a\"");
  send(w, "2026-10-01T00:00:00Z", "\"n\":5,\"cluster\":\"b\"");
  rate_world(w);
  assert_charges(w, "peak=14");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_price_change_falls_at_its_instant),
      TEST(allowances_follow_time_across_classes),
      TEST(contracts_bring_their_own_terms),
      TEST(peaks_combine_within_a_series_and_add_across),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
