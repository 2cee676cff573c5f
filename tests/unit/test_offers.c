/* Offers: what can be had now, what later, at what price; and what is not sold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sell/offers.h"
#include <stdlib.h>

#define NOW "2026-10-05T06:00:00Z" /* a Monday */

static const char catalog_text[] =
    "currency: EUR\n"
    "meters: [{name: hours, event: e, value: v, aggregation: integral, series: s, over: hour, unit: GPU hour,\n"
    "          dimensions: [gpu, class]}]\n"
    "taxes: [{name: vat, label: VAT, category: S, rate: 20 %}]\n"
    "plans:\n"
    "  - name: p\n"
    "    prices:\n"
    "      - {meter: hours, match: {class: spot}, price: 1}\n"
    "      - {meter: hours, match: {class: on_demand}, price: 2,\n"
    "         multipliers: [{hours: '08:30-20:00', time_zone: UTC, by: 1.5}]}\n"
    "      - {meter: hours, match: {class: priority}, model: graduated, tiers: [{up_to: 10, price: 4}, {price: 3}]}\n"
    "      - {meter: hours, match: {class: reserved}, price: 1.5}\n"
    "customers:\n"
    "  - {id: acme, tax: vat, contracts: [{plan: p, from: 2026-01-01}]}\n"
    "  - {id: gone, tax: vat, contracts: [{plan: p, from: 2026-01-01, to: 2026-10-06}]}\n"
    "pools:\n"
    "  - {name: a, kind: H100, count: 10, owner: 2, node: {gpus: 4}, shares: [1, 0.5], meter: hours, engine: local,\n"
    "     classes: {on_demand: {minimum: 1 minute}, reserved: {terms: [1 month, 1 year]}, priority: {},\n"
    "               spot: {reserve: 10 %}}}\n"
    "  - {name: b, kind: A100, count: 2, meter: hours, engine: local, classes: {on_demand: {}}}\n"
    "  - {name: c, kind: L4, count: 2}\n";

struct house {
  struct catalog *catalog;
  struct arena *arena;
  struct calendar *calendars[3];
  struct pool_calendar pools[3];
  struct offer *offers;
  size_t count;
  struct error err;
};

static void done(bool ok, const struct error *err) {
  if (!ok) {
    fail_msg("%s", err->message);
  }
}
static instant at(const char *text) {
  instant t = {0};
  struct error err = {0};
  done(time_parse_rfc3339(slice_of(text), &t, &err), &err);
  return t;
}
static quantity units(const char *text) {
  quantity q = {0};
  struct error err = {0};
  done(quantity_parse(slice_of(text), &q, &err), &err);
  return q;
}

static int open_house(void **state) {
  struct house *h = mem_alloc(sizeof *h);
  const struct catalog_text file = {"c.yaml", SLICE(catalog_text)};
  done(catalog_parse(&file, 1, &h->catalog, &h->err), &h->err);
  h->arena = arena_new();
  for (size_t i = 0; i < 3; i++) {
    h->calendars[i] = calendar_new();
    const struct pool *p = &h->catalog->pools[i];
    calendar_set_capacity(h->calendars[i], (instant){0}, (quantity){p->count.e9 - p->owner.e9});
    h->pools[i] = (struct pool_calendar){p, h->calendars[i]};
  }
  *state = h;
  return 0;
}
static int close_house(void **state) {
  struct house *h = *state;
  for (size_t i = 0; i < 3; i++) {
    calendar_free(h->calendars[i]);
  }
  arena_free(h->arena);
  catalog_free(h->catalog);
  free(h);
  return 0;
}

static struct offer_request request(struct house *h, const char *gpu, const char *count, int64_t hours) {
  return (struct offer_request){.customer = catalog_customer(h->catalog, SLICE("acme")),
                                .gpu = slice_of(gpu),
                                .units = units(count),
                                .seconds = hours * 3600,
                                .now = at(NOW)};
}
static bool find(struct house *h, const struct offer_request *r) {
  h->err = (struct error){0};
  return offers_find(h->arena, h->catalog, h->pools, 3, r, &h->offers, &h->count, &h->err);
}
static void hold(struct house *h, const char *id, const char *count, const char *from, const char *to,
                 enum calendar_layer layer) {
  const struct calendar_entry e = {slice_of(id), layer, at(from), at(to), units(count)};
  done(calendar_put(h->calendars[0], &e, false, NULL, &h->err), &h->err);
}
static void assert_amount(amount a, const char *expected) {
  char text[DECIMAL_TEXT_MAX];
  assert_string_equal(amount_text(a, text), expected);
}
static void assert_time(instant t, const char *expected) {
  char text[TIME_TEXT_MAX];
  assert_string_equal(time_format(t, text), expected);
}
static void refused(const struct house *h, enum error_code code, const char *part) {
  assert_string_equal(error_code_name(h->err.code), error_code_name(code));
  if (!strstr(h->err.message, part)) {
    fail_msg("\"%s\" is not in: %s", part, h->err.message);
  }
}

static void test_all_classes(void **state) {
  struct house *h = *state;
  const struct offer_request r = request(h, "h100", "4", 4);
  done(find(h, &r), &h->err);
  assert_int_equal(h->count, 4);
  const struct offer *o = h->offers;
  assert_true(o[0].possible && o[0].at_once);
  assert_amount(o[0].cost.unit_hour, "2");
  assert_amount(o[0].cost.total, "38"); /* 4 GPUs: 2.5 hours at 2, 1.5 at 3 */
  assert_amount(o[0].cost.with_tax, "45.6");
  assert_amount(o[0].minimum, "0.16");
  assert_int_equal(o[1].held.class, POOL_RESERVED);
  assert_time(o[1].span.to, "2026-11-05T06:00:00Z");
  assert_amount(o[1].cost.total, "4464");
  assert_amount(o[1].minimum, "5356.8");
  assert_amount(o[2].cost.total, "58"); /* 16 GPU hours: 10 at 4, 6 at 3 */
  assert_false(o[2].preempts);
  assert_amount(o[3].cost.total, "16");
}

static void test_later(void **state) {
  struct house *h = *state;
  hold(h, "x", "6", "2026-10-05T00:00:00Z", "2026-10-05T12:00:00Z", CALENDAR_FIRM);
  hold(h, "y", "2", "2026-10-05T00:00:00Z", "2026-10-05T18:00:00Z", CALENDAR_SPOT);
  const struct offer_request r = request(h, "H100", "2", 1);
  done(find(h, &r), &h->err);
  const struct offer *o = h->offers;
  assert_true(o[0].possible && !o[0].at_once);
  assert_time(o[0].span.from, "2026-10-05T12:00:00Z");
  assert_time(o[0].span.to, "2026-10-05T13:00:00Z");
  assert_time(o[1].span.from, "2026-10-05T12:00:00Z");
  assert_time(o[1].span.to, "2026-11-05T12:00:00Z");
  assert_true(o[2].at_once && o[2].preempts);
  assert_time(o[3].span.from, "2026-10-05T12:00:00Z");
}

static void test_never(void **state) {
  struct house *h = *state;
  hold(h, "x", "8", "2026-10-05T00:00:00Z", "2030-10-05T12:00:00Z", CALENDAR_FIRM);
  struct offer_request r = request(h, "H100", "1", 1);
  done(find(h, &r), &h->err);
  assert_int_equal(h->count, 4);
  for (size_t i = 0; i < h->count; i++) {
    assert_false(h->offers[i].possible);
    assert_true(amount_is_zero(h->offers[i].cost.total));
  }
}

static void test_spot_reserve(void **state) {
  struct house *h = *state;
  struct offer_request r = request(h, "H100", "8", 1);
  r.one_class = true;
  r.class = POOL_SPOT;
  done(find(h, &r), &h->err);
  assert_false(h->offers[0].possible);
  r.units = units("4");
  done(find(h, &r), &h->err);
  assert_true(h->offers[0].at_once);
}

static void test_shares(void **state) {
  struct house *h = *state;
  struct offer_request r = request(h, "H100", "0.5", 1);
  r.one_class = true;
  done(find(h, &r), &h->err);
  assert_amount(h->offers[0].cost.total, "1"); /* half a GPU is not charged as a whole one */
  r.units = units("0.25");
  assert_false(find(h, &r));
  refused(h, ERR_INVALID, "not sold in such parts");
  r.units = units("1.5");
  assert_false(find(h, &r));
  refused(h, ERR_INVALID, "not sold in such parts");
}

static void test_errors(void **state) {
  struct house *h = *state;
  struct offer_request r = request(h, "H100", "9", 1);
  assert_false(find(h, &r));
  refused(h, ERR_INVALID, "count: is 9, the pool a has 8 for sale");
  r.units = units("5");
  assert_false(find(h, &r));
  refused(h, ERR_INVALID, "whole nodes");
  r.units = units("-1");
  assert_false(find(h, &r));
  refused(h, ERR_INVALID, "count: ");
  r = request(h, "H100", "1", 0);
  assert_false(find(h, &r));
  refused(h, ERR_INVALID, "hours: should be above zero");
  r.seconds = -3600;
  assert_false(find(h, &r));
  refused(h, ERR_INVALID, "hours: ");
  r.seconds = OFFER_SECONDS_MAX + 1;
  assert_false(find(h, &r));
  refused(h, ERR_INVALID, "hours: ");
  r = request(h, "H100", "1", 1);
  r.from = at("2026-10-05T05:59:59Z");
  assert_false(find(h, &r));
  refused(h, ERR_INVALID, "from: 2026-10-05T05:59:59Z is in the past");
  r.from = at("2199-01-01T00:00:00Z");
  assert_false(find(h, &r));
  refused(h, ERR_INVALID, "too far ahead");
  r = request(h, "L4", "1", 1);
  assert_false(find(h, &r));
  refused(h, ERR_NOT_FOUND, "no pool sells \"L4\"");
  r = request(h, "A100", "1", 1);
  r.one_class = true;
  r.class = POOL_SPOT;
  assert_false(find(h, &r));
  refused(h, ERR_NOT_FOUND, "as spot");
  r = request(h, "H100", "1", 48);
  r.customer = catalog_customer(h->catalog, SLICE("gone"));
  assert_false(find(h, &r));
  refused(h, ERR_INVALID, "has no plan in force at 2026-10-06T00:00:00Z");
  r = request(h, "H100", "1", 24 * 400);
  r.one_class = true;
  r.class = POOL_RESERVED;
  assert_false(find(h, &r));
  refused(h, ERR_INVALID, "longer than any term");
}

static void test_charged(void **state) {
  (void)state;
  struct class_terms t = {.minimum_s = 90, .increment_s = 60};
  assert_int_equal(held_charged_ns(&t, 0), 0);
  assert_int_equal(held_charged_ns(&t, 1), 120 * NS_PER_S);
  assert_int_equal(held_charged_ns(&t, 121 * NS_PER_S), 180 * NS_PER_S);
  assert_int_equal(held_least_ns(&t), 120 * NS_PER_S);
  t = (struct class_terms){0};
  assert_int_equal(held_charged_ns(&t, 1), NS_PER_S);
  assert_int_equal(held_charged_ns(&t, 7 * NS_PER_S), 7 * NS_PER_S);
}

int main(void) {
#define IN_A_HOUSE(test) cmocka_unit_test_setup_teardown(test, open_house, close_house)
  const struct CMUnitTest tests[] = {
      IN_A_HOUSE(test_all_classes),   IN_A_HOUSE(test_later),  IN_A_HOUSE(test_never),
      IN_A_HOUSE(test_spot_reserve),  IN_A_HOUSE(test_shares), IN_A_HOUSE(test_errors),
      cmocka_unit_test(test_charged),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
