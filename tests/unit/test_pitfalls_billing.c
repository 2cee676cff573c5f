/* What went wrong in other billing systems, one test each: docs/pitfalls.md says which line is tested where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bill/bill.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct arena *arena;
static struct catalog *catalog;

static int set_up(void **state) {
  (void)state;
  arena = arena_new();
  catalog = NULL;
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  catalog_free(catalog);
  arena_free(arena);
  return 0;
}

static const struct customer *load(const char *yaml) {
  struct error err = {0};
  const struct catalog_text text = {"catalog.yaml", slice_of(yaml)};
  if (!catalog_parse(&text, 1, &catalog, &err)) {
    fail_msg("%s", err.message);
  }
  return &catalog->customers[0];
}

/* A draft of a period named like "2026-10", of that many calls a day at noon. */
static void draft_of(const struct customer *c, const char *period, int calls, struct invoice *out) {
  struct error err = {0};
  struct rating *rating = arena_alloc(arena, sizeof *rating);
  struct usage_row *rows = arena_array(arena, 31, sizeof *rows);
  size_t count = 0;
  struct period p;
  bool none;
  char none_used[65] = "";
  assert_true(billing_period_named(c, slice_of(period), &p, &none, &err) && !none);
  for (instant t = {p.from.ns + 12 * 3600 * NS_PER_S}; calls > 0 && t.ns < p.to.ns && count < 31; count++) {
    rows[count] = (struct usage_row){.meter = &catalog->meters[0], .customer = c->id, .from = t, .events = 1};
    rows[count].to = (instant){t.ns + 3600 * NS_PER_S};
    rows[count].value = (quantity){calls * QUANTITY_E9};
    t.ns += 24 * 3600 * NS_PER_S;
  }
  if (!rate_customer(arena, catalog, c, p, rows, count, rating, &err) ||
      !invoice_build(arena, catalog, rating, NULL, count, none_used, out, &err)) {
    fail_msg("%s", err.message);
  }
}

static void assert_amount(amount found, const char *expected) {
  char text[DECIMAL_TEXT_MAX];
  assert_string_equal(amount_text(found, text), expected);
}

/* ---- rounding ---- */

static void rounds_to(const char *currency, const char *price, const char *line, const char *tax, const char *total) {
  struct invoice invoice;
  const struct customer *c =
      load(arena_printf(arena,
                        "currency: %s\ntaxes: [{name: vat, label: VAT, rate: 27 %%, category: S}]\n"
                        "plans: [{name: p, fees: [{name: F, price: %s}]}]\ncustomers: [{id: a, plan: p, tax: vat}]\n",
                        currency, price));
  draft_of(c, "2026-10", 0, &invoice);
  assert_int_equal(invoice.line_count, 1);
  assert_amount(invoice.lines[0].exact, price);
  assert_amount(invoice.lines[0].amount, line);
  assert_amount(invoice.tax, tax);
  assert_amount(invoice.total, total);
  catalog_free(catalog);
  catalog = NULL;
}

/* Half to even at the currency's own minor unit: none of the yen, a thousandth of the dinar. */
static void currencies_round_at_their_own_minor_unit(void **state) {
  (void)state;
  rounds_to("JPY", "1000.5", "1000", "270", "1270");
  rounds_to("JPY", "1001.5", "1002", "271", "1273");
  rounds_to("KWD", "1.0005", "1", "0.27", "1.27");
  rounds_to("KWD", "1.0015", "1.002", "0.271", "1.273");
  rounds_to("HUF", "1000.125", "1000.12", "270.03", "1270.15");
}

static void prices_of_a_hundred_and_more_keep_every_digit(void **state) {
  (void)state;
  rounds_to("EUR", "100.000000000001", "100", "27", "127");
  rounds_to("EUR", "123456789012.123456789012", "123456789012.12", "33333333033.27", "156790122045.39");
}

/* The rest of a year is credited with its tax, to the cent: 304/365 of 3650, and 21 % of that. */
static void a_credit_note_gives_the_tax_back(void **state) {
  (void)state;
  struct invoice invoice;
  const struct customer *c = load("currency: EUR\ntaxes: [{name: vat, label: VAT, rate: 21 %, category: S}]\n"
                                  "plans: [{name: p, fees: [{name: Year, price: 3650.15, every: year, in_advance: "
                                  "true}]}]\ncustomers:\n  - {id: a, tax: vat, contracts: [{plan: p, from: "
                                  "2026-10-01, changes: [{at: 2026-12-01, cancel: true}]}]}\n");
  draft_of(c, "2026-11", 0, &invoice);
  assert_true(invoice_is_credit(&invoice));
  assert_amount(invoice.lines[0].exact, "-3040.124931506849");
  assert_amount(invoice.subtotal, "-3040.12");
  assert_amount(invoice.tax, "-638.43");
  assert_amount(invoice.total, "-3678.55");
}

/* ---- time that does not end ---- */

static const char many_head[] = "currency: EUR\nmeters: [{name: calls, event: c, aggregation: count}]\nplans:\n"
                                "  - {name: p, fees: [{name: Base, price: 31, in_advance: true}, {name: Year, price: "
                                "365, every: year, in_advance: true}], minimum: 50}\n"
                                "  - {name: q, fees: [{name: Base, price: 31, in_advance: true}]}\n"
                                "customers:\n  - id: a\n    contracts:\n      - {plan: p, from: 1970-02-01";

/* An endless loop is killed by the alarm, which fails the test. */
static void contracts_to_the_end_of_time_are_rated_at_once(void **state) {
  (void)state;
  struct invoice invoice;
  alarm(60);
  const struct customer *c = load(arena_printf(arena, "%s, to: 2199-01-01}\n", many_head));
  draft_of(c, "2198-11", 0, &invoice);
  assert_amount(invoice.exact, "31"); /* Base of December */
  alarm(0);
}

/* Half a thousand changes at the end of terms of an hour: each end is the hour after it was decided. */
static void terms_of_an_hour_for_two_centuries_end_at_once(void **state) {
  (void)state;
  struct buf yaml;
  buf_init(&yaml, 1 << 20);
  alarm(60);
  buf_addf(&yaml, "%s, term: 1 hours, renew: true, changes: [\n", many_head);
  for (int i = 0; i < 500; i++) {
    buf_addf(&yaml, "        {at: \"2198-06-%02d %02d:30:00\", when: term_end, plan: %s},\n", 1 + i / 24, i % 24,
             i % 2 ? "p" : "q");
  }
  buf_addf(&yaml, "]}\n");
  buf_addc(&yaml, '\0');
  const struct customer *c = load(yaml.ptr);
  struct civil begins = time_civil_utc(c->contracts[1].from);
  struct invoice invoice;
  assert_int_equal(c->contract_count, 501);
  assert_true(begins.year == 2198 && begins.month == 6 && begins.day == 1 && begins.hour == 1 && begins.minute == 0);
  draft_of(c, "2198-06", 0, &invoice);
  assert_true(invoice.line_count > 500);
  alarm(0);
  buf_free(&yaml);
}

static void lengths_of_nothing_are_refused(void **state) {
  (void)state;
  static const char *const bad[] = {"term: 0 days", "term: 0 months, renew: true", "phases: [{plan: q, for: 0 hours}]",
                                    "phases: [{plan: q, for: 51 years}]", "to: 1970-02-01"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct error err = {0};
    const char *yaml = arena_printf(arena, "%s, %s}\n", many_head, bad[i]);
    const struct catalog_text text = {"catalog.yaml", slice_of(yaml)};
    assert_false(catalog_parse(&text, 1, &catalog, &err));
    assert_non_null(strstr(err.message, "catalog.yaml:"));
  }
}

/* ---- month ends ---- */

/* The year is charged once, usage each month, in tiers that begin anew. */
static void an_annual_plan_bills_usage_monthly(void **state) {
  (void)state;
  struct invoice invoice;
  const struct customer *c =
      load("currency: EUR\nmeters: [{name: calls, event: c, aggregation: count}]\nplans:\n  - {name: p, fees: [{name: "
           "Year, price: 1200, every: year, in_advance: true}], prices: [{meter: calls, model: graduated, tiers: "
           "[{up_to: 100, price: 0}, {price: 0.5}]}]}\ncustomers:\n  - {id: a, contracts: [{plan: p, from: "
           "2026-01-31}], billing: {day: 31}}\n");
  draft_of(c, "2026-01", 10, &invoice); /* 28 days: 280 calls */
  assert_amount(invoice.total, "90");
  draft_of(c, "2026-02", 10, &invoice); /* 28 February to 31 March */
  assert_amount(invoice.total, "105");
  draft_of(c, "2026-12", 10, &invoice); /* up to and with 31 January 2027, where the next year begins */
  assert_int_equal(invoice.line_count, 2);
  assert_amount(invoice.total, "1305");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(currencies_round_at_their_own_minor_unit, set_up, tear_down),
      cmocka_unit_test_setup_teardown(prices_of_a_hundred_and_more_keep_every_digit, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_credit_note_gives_the_tax_back, set_up, tear_down),
      cmocka_unit_test_setup_teardown(contracts_to_the_end_of_time_are_rated_at_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown(terms_of_an_hour_for_two_centuries_end_at_once, set_up, tear_down),
      cmocka_unit_test_setup_teardown(lengths_of_nothing_are_refused, set_up, tear_down),
      cmocka_unit_test_setup_teardown(an_annual_plan_bills_usage_monthly, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
