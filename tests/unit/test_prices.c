/* Prices from YAML and events to charges: percentages, hours of the local day, matrices, other currencies, mixes of
 * meters on one call; and what the loader refuses of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rating_world.h"

#include <stdlib.h>
#include <string.h>

static void load(struct world *w, const char *yaml) {
  struct error err;
  const struct catalog_text text = {"test.yaml", slice_of(yaml)};
  if (!catalog_parse(&text, 1, &w->catalog, &err)) {
    fail_msg("%s", err.message);
  }
  w->customer = catalog_customer(w->catalog, SLICE("acme"));
}

/* Opens the window of the only customer, "acme". */
static void open_world(struct world *w, const char *yaml, const char *period) {
  struct error err;
  const struct segment *segments;
  size_t count;
  load(w, yaml);
  assert_true(time_parse_period(slice_of(period), w->customer->time_zone, &w->period, &err));
  assert_true(rate_segments(w->arena, w->catalog, w->customer, w->period, &segments, &count, &err));
  instant *cuts = arena_array(w->arena, rate_cuts_max(w->catalog, segments, count), sizeof *cuts);
  size_t cut_count = rate_cuts(w->catalog, segments, count, cuts, rate_cuts_max(w->catalog, segments, count));
  w->usage = usage_new(w->catalog);
  usage_window(w->usage, w->customer->id, w->period, cuts, cut_count);
}

static void send(struct world *w, const char *time, const char *data) {
  struct error err;
  struct event event;
  const char *text =
      arena_printf(w->arena,
                   "{\"specversion\":\"1.0\",\"id\":\"%u\",\"source\":\"test\",\"type\":\"use\",\"subject\":\"acme\","
                   "\"time\":\"%s\",\"data\":{%s}}",
                   ++w->events, time, data);
  if (!event_from_text(w->arena, slice_of(text), (instant){0}, &event, &err) ||
      !event_check(&event, w->catalog, &err) || !usage_add(w->usage, &event, &err)) {
    fail_msg("%s", err.message);
  }
}

static bool try_rate(struct world *w, struct error *err) {
  const struct usage_row *rows;
  size_t count;
  return usage_finish(w->usage, &rows, &count, err) &&
         rate_customer(w->arena, w->catalog, w->customer, w->period, rows, count, &w->rating, err);
}

static void assert_charges(struct world *w, const char *expected) {
  char text[DECIMAL_TEXT_MAX];
  struct buf all;
  struct error err;
  if (!try_rate(w, &err)) {
    fail_msg("%s", err.message);
  }
  buf_init(&all, 4096);
  for (size_t i = 0; i < w->rating.charge_count; i++) {
    const struct charge *c = &w->rating.charges[i];
    buf_addf(&all, "%s" SLICE_FMT "=%s", i ? " " : "", SLICE_ARG(c->name), amount_text(c->exact, text));
  }
  const char *found = arena_copy(w->arena, buf_slice(&all)).ptr;
  buf_free(&all);
  assert_string_equal(found, expected);
}

static void assert_refused(const char *yaml, const char *what, const char *more) {
  struct error err = {0};
  struct catalog *catalog;
  const struct catalog_text text = {"c.yaml", slice_of(yaml)};
  if (catalog_parse(&text, 1, &catalog, &err)) {
    fail_msg("accepted: %s", yaml);
  }
  if (!strstr(err.message, what) || !strstr(err.message, more)) {
    fail_msg("%s\ngave: %s\nexpected: %s ... %s", yaml, err.message, what, more);
  }
}

static void assert_accepted(const char *yaml) {
  struct world w = {.arena = NULL};
  load(&w, yaml);
  catalog_free(w.catalog);
}

/* ---- percentages ---- */

#define SALES                                                                                                          \
  "currency: EUR\n"                                                                                                    \
  "meters: [{name: sales, event: use, value: eur, unit: EUR, dimensions: [via]}]\n"                                    \
  "customers: [{id: acme, plan: p}]\n"                                                                                 \
  "plans: [{name: p, prices: ["

static void a_percentage_of_what_was_sold(void **state) {
  struct world *w = *state;
  open_world(w,
             SALES "{name: card, meter: sales, match: {via: card}, model: percentage, price: 2.9 %, minimum: 1},"
                   " {name: bank, meter: sales, match: {via: bank}, model: percentage, price: 0.5 %, maximum: 5},"
                   " {name: cash, meter: sales, model: percentage,"
                   "  tiers: [{up_to: 1000, price: 0}, {up_to: 5000, price: 1 %, flat: 2}, {price: 0.25 %}]}]}]\n",
             "2026-10");
  send(w, "2026-10-02T00:00:00Z", "\"eur\":19.99,\"via\":\"card\"");
  send(w, "2026-10-03T00:00:00Z", "\"eur\":100.01,\"via\":\"card\"");
  send(w, "2026-10-03T00:00:00Z", "\"eur\":2000,\"via\":\"bank\"");
  send(w, "2026-10-03T00:00:00Z", "\"eur\":6000,\"via\":\"cash\"");
  assert_charges(w, "card=3.48 bank=5 cash=44.5");
  char text[DECIMAL_TEXT_MAX];
  assert_true(w->rating.charges[0].has_unit_price);
  assert_string_equal(amount_text(w->rating.charges[0].unit_price.each, text), "0.029");
}

static void percentages_are_of_money(void **state) {
  (void)state;
  assert_refused(SALES "{meter: sales, model: percentage, price: 2.9 %, per: 2}]}]\n", "per: ", "no meaning");
  assert_refused(SALES "{meter: sales, model: percentage, price: 1100 %}]}]\n", "price: is 1100 %", "expected 0 to 10");
  assert_refused(SALES "{meter: sales, model: percentage, price: 1, tiers: [{price: 1 %}]}]}]\n",
                 "price: ", "each tier has its own");
  assert_refused("currency: EUR\nmeters: [{name: n, event: use, aggregation: count}]\n"
                 "plans: [{name: p, prices: [{meter: n, model: percentage, price: 1 %}]}]\n",
                 "a percentage is taken of money", "\"n\"");
}

/* ---- hours ---- */

#define LEASES(zone)                                                                                                   \
  "currency: USD\ntime_zone: " zone "\n"                                                                               \
  "meters: [{name: gpu, event: use, value: n, aggregation: integral, over: minute, series: lease,"                     \
  " dimensions: [site]}]\n"                                                                                            \
  "customers: [{id: acme, plan: p}]\n"                                                                                 \
  "plans: [{name: p, prices: [{name: gpu, meter: gpu, price: 1, multipliers: "

/* 25 October 2026 in Amsterdam: from 02:00 to 03:00 the hour comes twice. 30 minutes before, 60 + 60 within, 30 after.
 */
static void an_hour_that_comes_twice_counts_twice(void **state) {
  struct world *w = *state;
  open_world(w, LEASES("Europe/Amsterdam") "[{hours: \"02:00-03:00\", by: 3}]}]}]\n", "2026-10");
  send(w, "2026-10-24T23:30:00Z", "\"n\":1,\"lease\":\"a\"");
  send(w, "2026-10-25T02:30:00Z", "\"n\":0,\"lease\":\"a\"");
  assert_charges(w, "gpu=420");
  assert_int_equal(w->rating.charges[0].step_count, 2);
}

/* 28 March 2027: from 02:00 to 03:00 there is no local time at all. */
static void an_hour_that_is_left_out_counts_nothing(void **state) {
  struct world *w = *state;
  open_world(w, LEASES("Europe/Amsterdam") "[{hours: \"02:00-03:00\", by: 3}]}]}]\n", "2027-03");
  send(w, "2027-03-28T00:30:00Z", "\"n\":1,\"lease\":\"a\"");
  send(w, "2027-03-28T01:30:00Z", "\"n\":0,\"lease\":\"a\"");
  assert_charges(w, "gpu=60");
}

/* Half-hour zone: 08:00 in Kolkata is 02:30 UTC, in the middle of a row. */
static void borders_within_an_hour_are_cut(void **state) {
  struct world *w = *state;
  open_world(w, LEASES("Asia/Kolkata") "[{hours: \"08:00-20:00\", match: {site: blr1}, by: 2}]}]}]\n", "2026-10");
  send(w, "2026-10-05T02:00:00Z", "\"n\":1,\"lease\":\"a\",\"site\":\"blr1\"");
  send(w, "2026-10-05T03:00:00Z", "\"n\":0,\"lease\":\"a\",\"site\":\"blr1\"");
  send(w, "2026-10-05T02:00:00Z", "\"n\":1,\"lease\":\"b\",\"site\":\"ams1\"");
  send(w, "2026-10-05T03:00:00Z", "\"n\":0,\"lease\":\"b\",\"site\":\"ams1\"");
  assert_charges(w, "gpu=150");
}

/* Lord Howe puts its clocks forward by half an hour on 4 October 2026, at 15:30 UTC of the 3rd: 02:00 becomes 02:30. */
static void clocks_may_move_by_half_an_hour(void **state) {
  struct world *w = *state;
  open_world(w, LEASES("UTC") "[{hours: \"02:15-04:00\", time_zone: Australia/Lord_Howe, by: 10}]}]}]\n", "2026-10");
  send(w, "2026-10-03T15:00:00Z", "\"n\":1,\"lease\":\"a\"");
  send(w, "2026-10-03T18:00:00Z", "\"n\":0,\"lease\":\"a\"");
  assert_charges(w, "gpu=990"); /* 30 minutes before, 90 within, 60 after: 30 + 900 + 60 */
}

/* The night of Friday goes on into Saturday; that of Sunday is no weekend night any more. */
static void a_night_belongs_to_the_day_it_began(void **state) {
  struct world *w = *state;
  open_world(w, LEASES("UTC") "[{hours: \"22:00-06:00\", days: [fri, sat], by: 50 %}]}]}]\n", "2026-10");
  const char *const times[] = {"2026-10-02T05:00:00Z", "2026-10-02T23:00:00Z", "2026-10-03T05:00:00Z",
                               "2026-10-03T06:00:00Z", "2026-10-04T05:59:00Z", "2026-10-04T22:00:00Z",
                               "2026-10-05T01:00:00Z"};
  for (size_t i = 0; i < 7; i++) { /* a minute each; of the seven three are at half price */
    char data[64];
    snprintf(data, sizeof data, "\"n\":1,\"lease\":\"%zu\"", i);
    send(w, times[i], data);
    snprintf(data, sizeof data, "\"n\":0,\"lease\":\"%zu\"", i);
    instant t;
    char end[TIME_TEXT_MAX];
    struct error err;
    assert_true(time_parse_rfc3339(slice_of(times[i]), &t, &err));
    send(w, time_format((instant){t.ns + 60 * NS_PER_S}, end), data);
  }
  assert_charges(w, "gpu=5.5");
}

static void hours_are_checked(void **state) {
  (void)state;
#define HOURS(text) LEASES("UTC") "[{" text ", by: 2}]}]}]\n"
  assert_refused(HOURS("hours: \"8:00-20:00\""), "multipliers[0].hours", "\"08:00-20:00\"");
  assert_refused(HOURS("hours: \"08:00-24:01\""), "hours", "expected hours of the local day");
  assert_refused(HOURS("hours: \"08:00-08:00\""), "begins when it ends", "00:00-24:00");
  assert_refused(HOURS("hours: \"24:00-08:00\""), "hours", "expected hours of the local day");
  assert_refused(HOURS("days: [mon, monday]"), "days[1]", "mon, tue, wed");
  assert_refused(HOURS("days: [mon, mon]"), "days[1]", "twice");
  assert_refused(HOURS("days: []"), "days", "leave it out for all days");
  assert_refused(HOURS("hours: \"08:00-09:00\", time_zone: Europe/Amsterdm"), "time_zone", "Europe/Amsterdam");
  assert_refused(HOURS("match: {site: a}, time_zone: UTC"), "time_zone", "goes with \"hours\"");
  assert_refused("currency: USD\nmeters: [{name: m, event: use, value: n, aggregation: max}]\n"
                 "plans: [{name: p, prices: [{meter: m, price: 1, multipliers: [{days: sun, by: 2}]}]}]\n",
                 "one value for the whole month", "\"m\"");
}

static void days_stand_alone(void **state) {
  struct world *w = *state;
  open_world(w, LEASES("UTC") "[{days: sun, by: 0}, {hours: \"00:00-24:00\", by: 2}]}]}]\n", "2026-10");
  send(w, "2026-10-03T23:58:00Z", "\"n\":1,\"lease\":\"a\"");
  send(w, "2026-10-04T00:10:00Z", "\"n\":0,\"lease\":\"a\"");
  assert_charges(w, "gpu=4");
}

/* ---- matrices ---- */

#define CLASSES                                                                                                        \
  "currency: USD\n"                                                                                                    \
  "meters: [{name: h, event: use, value: n, dimensions: [gpu, site, class], product: GPU compute}]\n"                  \
  "customers: [{id: acme, plan: p}]\n"                                                                                 \
  "plans: [{name: p, prices: ["

static void a_matrix_is_a_price_for_each_leaf(void **state) {
  struct world *w = *state;
  open_world(w,
             CLASSES "{meter: h, match: {class: spot}, price: 0.5, name: spot},"
                     " {meter: h, per: 2, matrix: {by: [gpu, site], prices: {H100: {ams1: 2.49, zrh1: 2.70, \"*\": 3},"
                     "  L40S: {ams1: 1.29}, \"*\": {ams1: 9, \"*\": 10}}}}]}]\n",
             "2026-10");
  assert_int_equal(w->catalog->plans[0].price_count, 7);
  assert_int_equal(w->catalog->plans[0].prices[3].index, 3);
  assert_int_equal(w->catalog->plans[0].prices[3].place.line, 4);
  send(w, "2026-10-02T00:00:00Z", "\"n\":2,\"gpu\":\"H100\",\"site\":\"ams1\"");
  send(w, "2026-10-02T00:00:00Z", "\"n\":4,\"gpu\":\"H100\",\"site\":\"zrh1\"");
  send(w, "2026-10-02T00:00:00Z", "\"n\":2,\"gpu\":\"H100\",\"site\":\"lon1\"");
  send(w, "2026-10-02T00:00:00Z", "\"n\":2,\"gpu\":\"L40S\",\"site\":\"ams1\"");
  send(w, "2026-10-02T00:00:00Z", "\"n\":2,\"gpu\":\"A10\",\"site\":\"ams1\"");
  send(w, "2026-10-02T00:00:00Z", "\"n\":2,\"gpu\":\"L40S\",\"site\":\"lon1\"");
  send(w, "2026-10-02T00:00:00Z", "\"n\":2,\"gpu\":\"H100\",\"site\":\"ams1\",\"class\":\"spot\"");
  assert_charges(w, "spot=1 GPU compute H100 ams1=2.49 GPU compute H100 zrh1=5.4 GPU compute H100=3 "
                    "GPU compute L40S ams1=1.29 GPU compute ams1=9 GPU compute=10");
}

static void matrices_are_checked(void **state) {
  (void)state;
  assert_refused(CLASSES "{meter: h, matrix: {by: [gpu, sit], prices: {a: {b: 1}}}}]}]\n", "matrix.by[1]",
                 "no dimension \"sit\": did you mean \"site\"?");
  assert_refused(CLASSES "{meter: h, matrix: {by: [gpu, gpu], prices: {a: {b: 1}}}}]}]\n", "matrix.by[1]", "twice");
  assert_refused(CLASSES "{meter: h, match: {gpu: a}, matrix: {by: gpu, prices: {a: 1}}}]}]\n", "matrix.by",
                 "matched by the price itself");
  assert_refused(CLASSES "{meter: h, matrix: {by: gpu, prices: {a: {b: 1}}}}]}]\n", "matrix.prices.a",
                 "one value, not a map");
  assert_refused(CLASSES "{meter: h, matrix: {by: [gpu, site], prices: {a: 1}}}]}]\n", "matrix.prices.a", "\"site\"");
  assert_refused(CLASSES "{meter: h, matrix: {by: gpu, prices: {\"*\": 1, a: 2}}}]}]\n", "matrix.prices.*",
                 "put it last");
  assert_refused(CLASSES "{meter: h, price: 1, matrix: {by: gpu, prices: {a: 2}}}]}]\n", "matrix", "leave price out");
  assert_refused(CLASSES "{meter: h, model: volume, matrix: {by: gpu, prices: {a: 2}}}]}]\n", "matrix",
                 "one price for each set");
  assert_refused(CLASSES "{meter: h, matrix: {by: gpu, prices: {a: }}}]}]\n", "matrix.prices.a", "has no price");
  assert_refused(CLASSES "{meter: h, matrix: {by: gpu, prices: {a: -1}}}]}]\n", "matrix.prices.a", "negative");
  assert_refused(CLASSES "{meter: h, matrix: {by: gpu, prices: {\"*\": 1}}}, {meter: h, price: 1}]}]\n",
                 "can never apply", "line 4");
  assert_refused(CLASSES "{meter: h, matrix: {by: gpu}}]}]\n", "\"prices\" is missing", "matrix");
}

static void several_prices_together_may_leave_nothing(void **state) {
  (void)state;
  assert_refused(CLASSES "\n{meter: h, match: {gpu: a}, price: 1},\n{meter: h, match: {gpu: b}, price: 2},\n"
                         "{meter: h, match: {gpu: [a, b], site: x}, price: 3}]}]\n",
                 "c.yaml:7", "lines 5 and 6");
}

/* ---- other currencies ---- */

static void a_plan_in_euros_is_paid_in_dollars(void **state) {
  struct world *w = *state;
  open_world(w,
             "currency: USD\n"
             "exchange_rates:\n"
             "  - {from: EUR, to: USD, rate: 1.1, on: 2026-11-01}\n"
             "  - {from: EUR, to: USD, rate: 1.085, on: 2026-10-01}\n"
             "  - {from: EUR, to: USD, rate: 1.093333333333, on: 2026-10-31}\n"
             "meters: [{name: calls, event: use, value: n}]\n"
             "plans: [{name: p, currency: EUR, minimum: 10, fees: [{name: seat, price: 3}],"
             " prices: [{name: call, meter: calls, price: 1.000000000001}]}]\n"
             "customers: [{id: acme, contracts: [{plan: p, allowances: [{meter: calls, included: 1}]}]}]\n",
             "2026-10");
  send(w, "2026-10-02T00:00:00Z", "\"n\":2");
  assert_charges(w, "seat=3.279999999999 call=1.093333333334 minimum spend=6.559999999997");
  const struct conversion *c = w->rating.charges[1].conversion;
  char text[DECIMAL_TEXT_MAX];
  assert_non_null(c);
  assert_string_equal(amount_text(c->exact, text), "1.000000000001");
  assert_string_equal(c->rate->from->code, "EUR");
  assert_int_equal(c->rate->place.line, 5);
}

static void a_plan_in_credits_is_paid_in_money(void **state) {
  struct world *w = *state;
  open_world(w,
             "currency: USD\n"
             "virtual_currencies: [{code: CRED, name: Compute credits, decimals: 2}]\n"
             "exchange_rates: [{from: CRED, to: USD, rate: 0.01, on: 2026-01-01}]\n"
             "meters: [{name: calls, event: use, value: n}]\n"
             "plans: [{name: p, currency: CRED, prices: [{name: call, meter: calls, price: 25}]}]\n"
             "customers: [{id: acme, plan: p}]\n",
             "2026-10");
  send(w, "2026-10-02T00:00:00Z", "\"n\":3");
  assert_charges(w, "call=0.75");
}

static void a_rate_must_be_in_force(void **state) {
  struct world *w = *state;
  struct error err;
  open_world(w,
             "currency: USD\n"
             "exchange_rates: [{from: EUR, to: USD, rate: 1.1, on: 2026-11-01}, {from: USD, to: EUR, rate: 0.9, on: "
             "2026-01-01}]\n"
             "meters: [{name: calls, event: use, value: n}]\n"
             "plans: [{name: p, currency: EUR, prices: [{name: call, meter: calls, price: 1}]}]\n"
             "customers: [{id: acme, plan: p}]\n",
             "2026-10");
  send(w, "2026-10-02T00:00:00Z", "\"n\":3");
  assert_false(try_rate(w, &err));
  assert_non_null(strstr(err.message, "customer acme"));
  assert_non_null(strstr(err.message, "from EUR to USD is in force on 2026-10-31"));
}

/* What is charged in advance, at the beginning of a contract, takes the rate of that moment. */
static void an_opening_takes_the_rate_of_its_beginning(void **state) {
  struct world *w = *state;
  struct error err;
  char text[DECIMAL_TEXT_MAX];
  load(w, "currency: USD\n"
          "exchange_rates: [{from: EUR, to: USD, rate: 2, on: 2026-01-01}, {from: EUR, to: USD, rate: 3, on: "
          "2026-10-20}]\n"
          "plans: [{name: p, currency: EUR, fees: [{name: seat, price: 31, in_advance: true}]}]\n"
          "customers: [{id: acme, plan: p, since: 2026-10-01}]\n");
  assert_true(rate_opening(w->arena, w->catalog, w->customer, w->customer->contracts[0].from, &w->rating, &err));
  assert_string_equal(amount_text(w->rating.total, text), "62");
  struct period october = {w->customer->contracts[0].from,
                           {w->customer->contracts[0].from.ns + 31 * INT64_C(86400) * NS_PER_S}};
  assert_true(rate_customer(w->arena, w->catalog, w->customer, october, NULL, 0, &w->rating, &err));
  assert_string_equal(amount_text(w->rating.total, text), "93"); /* of November, at the rate of the end of October */
}

static void what_holds_together_has_one_currency(void **state) {
  (void)state;
#define TWO_PLANS(contract)                                                                                            \
  "currency: USD\nexchange_rates: [{from: EUR, to: USD, rate: 1, on: 2026-01-01}]\n"                                   \
  "plans: [{name: p}, {name: q, currency: EUR}]\ncustomers:\n  - {id: c, contracts: [{" contract "}]}\n"
  assert_refused(TWO_PLANS("plan: p, add_ons: [{plan: q}]"), "c.yaml:5", "\"p\" is in USD but \"q\", which holds");
  assert_accepted(TWO_PLANS("plan: q, add_ons: [{plan: q}], fees: [{name: f, price: 1}]"));
  assert_accepted(TWO_PLANS("plan: q, phases: [{plan: p, for: 14 days}]"));
  assert_refused(TWO_PLANS("plan: q, phases: [{plan: p, for: 14 days}], fees: [{name: f, price: 1}]"), "c.yaml:5",
                 "the contract's own terms");
}

static void currencies_are_checked(void **state) {
  (void)state;
#define RATES(text) "currency: USD\nexchange_rates: [" text "]\n"
  assert_refused(RATES("{from: EUR, to: EUR, rate: 1, on: 2026-01-01}"), "exchange_rates[0].to", "same as \"from\"");
  assert_refused(RATES("{from: EUR, to: USD, rate: 0, on: 2026-01-01}"), "exchange_rates[0].rate", "expected 0.0000");
  assert_refused(RATES("{from: EUR, to: USD, rate: 1}"), "\"on\" is missing", "exchange_rates[0]");
  assert_refused(RATES("{from: CRED, to: USD, rate: 1, on: 2026-01-01}"), "exchange_rates[0].from", "\"CRED\" is not");
  assert_refused(RATES("{from: EUR, to: USD, rate: 1, on: 2026-01-01}, {from: EUR, to: USD, rate: 2, on: 2026-01-01}"),
                 "exchange_rates[1]", "already");
  assert_refused("currency: USD\nvirtual_currencies: [{code: EUR}]\n", "virtual_currencies[0].code", "ISO 4217");
  assert_refused("currency: USD\nvirtual_currencies: [{code: cred}]\n", "virtual_currencies[0].code", "capital");
  assert_refused("currency: USD\nvirtual_currencies: [{code: CREDITSXX}]\n", "virtual_currencies[0].code", "3 to 8");
  assert_refused("currency: USD\nvirtual_currencies: [{code: AAA}, {code: AAA}]\n", "virtual_currencies[1]", "already");
  assert_refused("currency: CRED\nvirtual_currencies: [{code: CRED}]\n", "currency", "not a currency of ISO 4217");
  assert_refused(RATES("{from: USD, to: EUR, rate: 1, on: 2026-01-01}") "plans: [{name: p, currency: EUR}]\n"
                                                                        "customers: [{id: acme, plan: p}]\n",
                 "customers[0].plan", "a rate from EUR to USD");
}

/* ---- several meters on one call ---- */

static void calls_and_tokens_are_priced_side_by_side(void **state) {
  struct world *w = *state;
  open_world(w,
             "currency: USD\n"
             "meters:\n"
             "  - {name: requests, event: use, aggregation: count, dimensions: [model]}\n"
             "  - {name: input, event: use, value: input, dimensions: [model]}\n"
             "  - {name: cached, event: use, value: cached, optional: true, dimensions: [model]}\n"
             "plans:\n"
             "  - name: p\n"
             "    prices:\n"
             "      - {name: call, meter: requests, price: 0.005}\n"
             "      - {name: in, meter: input, match: {model: big}, price: 3, per: 1000000}\n"
             "      - {name: in small, meter: input, price: 0.15, per: 1000000}\n"
             "      - {name: cached, meter: cached, price: 0.3, per: 1000000}\n"
             "customers: [{id: acme, plan: p}]\n",
             "2026-10");
  send(w, "2026-10-02T00:00:00Z", "\"input\":1001,\"cached\":7,\"model\":\"big\"");
  send(w, "2026-10-02T00:00:00Z", "\"input\":13,\"model\":\"big\"");
  send(w, "2026-10-02T00:00:01Z", "\"input\":999,\"model\":\"tiny\"");
  assert_charges(w, "call=0.015 in=0.003042 in small=0.00014985 cached=0.0000021");
  assert_int_equal(w->rating.unpriced_count, 0);
  assert_int_equal(w->rating.charges[3].steps[0].events, 1);
}

static void a_value_may_be_left_out_only_where_it_is_said(void **state) {
  struct world *w = *state;
  struct error err;
  struct event event;
  load(w, "meters: [{name: a, event: use, value: x, optional: true}, {name: b, event: use, value: y}]\n");
  const char *text = "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"test\",\"type\":\"use\",\"subject\":\"acme\","
                     "\"time\":\"2026-10-01T00:00:00Z\",\"data\":{\"x\":1}}";
  assert_true(event_from_text(w->arena, slice_of(text), (instant){0}, &event, &err));
  assert_false(event_check(&event, w->catalog, &err));
  assert_non_null(strstr(err.message, "data.y is missing"));
  assert_refused("meters: [{name: a, event: use, aggregation: count, optional: true}]\n", "meters[0].optional",
                 "count");
}

/* ---- the same usage twice (pitfall 1) ---- */

#define TWO(more_a, more_b, prices)                                                                                    \
  "currency: USD\nmeters:\n"                                                                                           \
  "  - {name: all, event: use, value: n, dimensions: [model]" more_a "}\n"                                             \
  "  - {name: part, event: use, value: n, dimensions: [model]" more_b "}\n"                                            \
  "plans:\n  - {name: p, prices: [" prices "]}\n"

static void usage_is_not_billed_twice(void **state) {
  (void)state;
#define BOTH "{meter: all, price: 1},\n {meter: part, price: 2}"
  assert_refused(TWO("", ", filter: {model: x}", BOTH), "c.yaml:7",
                 "meters \"all\" and \"part\" count the same events");
  assert_refused(TWO(", filter: {model: [x, y]}", ", filter: {model: [y, z]}", BOTH), "bills usage of \"all\"",
                 "overlaps: [all] at meter \"part\"");
  assert_refused(
      TWO("", "", "{meter: all, match: {model: [a, b]}, price: 1}, {meter: part, match: {model: b}, price: 1}"),
      "count the same", "again");
  assert_refused(
      TWO("", ", filter: {kind: a}", "{meter: all, price: 1}") "customers:\n  - {id: c, contracts: [{plan: p,"
                                                               " prices: [{meter: part, price: 3}]}]}\n",
      "c.yaml:8", "again");
  assert_accepted(TWO(", filter: {model: x}", ", filter: {model: [y, z]}", BOTH));
  assert_accepted(TWO("", ", filter: {model: x}, overlaps: [all]", BOTH));
  assert_accepted(TWO(", overlaps: part", ", filter: {model: x}", BOTH));
  assert_accepted(TWO("", ", aggregation: max", BOTH));
  assert_accepted(TWO("", ", filter: {model: x}", "{meter: all, price: 1}, {meter: part, price: 0}"));
  assert_refused(TWO("", ", filter: {model: x}", "{meter: all, price: 1}, {meter: part, price: 0, minimum: 1}"),
                 "count the same", "again");
  assert_accepted(TWO("", ", filter: {model: x}", "{meter: part, price: 1}"));
  assert_accepted(
      TWO("", ", filter: {model: x}", "{meter: all, match: {model: [y, z]}, price: 1}, {meter: part, price: 1}"));
  assert_accepted(TWO("", "", "{meter: all, match: {model: a}, price: 1}, {meter: part, match: {model: b}, price: 1}"));
#define ADD_ON                                                                                                         \
  "  - {name: q, prices: [{meter: part, price: 2}]}\n"                                                                 \
  "customers:\n  - {id: c, contracts: [{plan: p, add_ons: [{plan: q}]}]}\n"
  assert_refused(TWO("", "", "{meter: all, price: 1}") ADD_ON, "c.yaml:7", "again");
  assert_accepted(TWO("", ", overlaps: all", "{meter: all, price: 1}") ADD_ON);
  assert_refused(TWO("", ", overlaps: [al]", BOTH), "meters[1].overlaps",
                 "no other meter \"al\": did you mean \"all\"?");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_percentage_of_what_was_sold),
      cmocka_unit_test(percentages_are_of_money),
      TEST(an_hour_that_comes_twice_counts_twice),
      TEST(an_hour_that_is_left_out_counts_nothing),
      TEST(borders_within_an_hour_are_cut),
      TEST(clocks_may_move_by_half_an_hour),
      TEST(a_night_belongs_to_the_day_it_began),
      TEST(days_stand_alone),
      cmocka_unit_test(hours_are_checked),
      TEST(a_matrix_is_a_price_for_each_leaf),
      cmocka_unit_test(matrices_are_checked),
      cmocka_unit_test(several_prices_together_may_leave_nothing),
      TEST(a_plan_in_euros_is_paid_in_dollars),
      TEST(a_plan_in_credits_is_paid_in_money),
      TEST(a_rate_must_be_in_force),
      TEST(an_opening_takes_the_rate_of_its_beginning),
      cmocka_unit_test(what_holds_together_has_one_currency),
      cmocka_unit_test(currencies_are_checked),
      TEST(calls_and_tokens_are_priced_side_by_side),
      TEST(a_value_may_be_left_out_only_where_it_is_said),
      cmocka_unit_test(usage_is_not_billed_twice),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
