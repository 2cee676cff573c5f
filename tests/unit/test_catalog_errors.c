/* Tests that each mistake in a catalog is refused with its place, what was expected, and the name that was meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "catalog/catalog.h"

static bool parse(const char *text, struct error *err) {
  struct catalog_text file = {"c.yaml", slice_of(text)};
  struct catalog *catalog;
  bool ok = catalog_parse(&file, 1, &catalog, err);
  assert_true(ok || !catalog);
  catalog_free(catalog);
  return ok;
}

struct mistake {
  const char *text, *message[3];
};

static void check(const char *before, const struct mistake *mistakes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char *text = malloc(strlen(before) + strlen(mistakes[i].text) + 1);
    struct error err = {0};
    assert_non_null(text);
    memcpy(text, before, strlen(before));
    memcpy(text + strlen(before), mistakes[i].text, strlen(mistakes[i].text) + 1);
    if (parse(text, &err)) {
      fail_msg("accepted: %s", mistakes[i].text);
    }
    for (size_t m = 0; m < 3 && mistakes[i].message[m]; m++) {
      if (!strstr(err.message, mistakes[i].message[m])) {
        fail_msg("%s\ngave: %s\nexpected: %s", mistakes[i].text, err.message, mistakes[i].message[m]);
      }
    }
    free(text);
  }
}
#define CHECK(before, ...)                                                                                             \
  do {                                                                                                                 \
    static const struct mistake mistakes[] = {__VA_ARGS__};                                                            \
    check(before, mistakes, sizeof mistakes / sizeof *mistakes);                                                       \
  } while (0)

static void test_settings(void **state) {
  (void)state;
  CHECK("", {"currancy: USD\n", {"c.yaml:1: ", "currancy", "currency"}}, {"- 1\n", {"c.yaml:1: ", "map"}},
        {"currency: UDS\n", {"c.yaml:1: currency: ", "UDS", "USD"}}, {"currency: eur\n", {"mean \"EUR\"?"}},
        {"currency: [USD]\n", {"one value, not a list"}},
        {"time_zone: Europe/Amsterdm\n", {"c.yaml:1: time_zone: ", "Europe/Amsterdam\"?"}},
        {"time_zone: ../../etc/passwd\n", {"not a time zone"}}, {"plans: []\n", {"\"currency\" is missing"}},
        {"meters: {a: 1}\n", {"c.yaml:1: meters: ", "list"}}, {"meters: [x]\n", {"meters[0]", "map"}},
        {"a: 1\na: 2\n", {"c.yaml:2: "}}, {"seller: {country: NL}\n", {"\"name\" is missing"}},
        {"seller: {name: A, country: Netherlands}\n", {"seller.country", "two capital letters"}},
        {"seller: {name: A, endpoint: {scheme: iban, id: 1}}\n", {"endpoint.scheme", "EAS"}},
        {"seller: {name: A, endpoint: {scheme: \"0106\"}}\n", {"\"id\" is missing"}},
        {"seller: {name: A, email: nobody}\n", {"seller.email", "e-mail"}},
        {"seller: {name: A, invoice_prefix: ../}\n", {"invoice_prefix"}},
        {"seller: {name: ''}\n", {"must not be empty"}}, {"seller: {name: \"a\\eb\"}\n", {"a?b", "control character"}},
        {"\"a\\e[31m\\nb\": 1\n", {"a?[31m?b"}});
}

static void test_taxes(void **state) {
  (void)state;
  CHECK("", {"taxes: [{rate: 21 %}]\n", {"taxes[0]", "\"name\" is missing"}},
        {"taxes: [{name: a}]\n", {"\"rate\" is missing"}},
        {"taxes: [{name: a, rate: 21}]\n", {"taxes[0].rate", "0 to 1"}},
        {"taxes: [{name: a, rate: -1 %}]\n", {"taxes[0].rate"}}, {"taxes: [{name: a, rate: x}]\n", {"expected a rate"}},
        {"taxes: [{name: a, rate: 0}]\n", {"category S needs a rate above 0"}},
        {"taxes: [{name: a, rate: 5 %, category: AE}]\n", {"category AE needs a rate of 0"}},
        {"taxes: [{name: a, rate: 5 %, category: Q}]\n", {"expected one of S, Z, E, AE, G, O"}},
        {"taxes:\n  - {name: a, rate: 5 %}\n  - {name: a, rate: 6 %}\n", {"c.yaml:3: ", "stands on c.yaml:2 already"}});
}

static void test_meters(void **state) {
  (void)state;
  CHECK("", {"meters: [{event: e, value: v}]\n", {"\"name\" is missing"}},
        {"meters: [{name: m, value: v}]\n", {"\"event\" is missing"}},
        {"meters: [{name: m, event: e}]\n", {"\"value\" is missing"}},
        {"meters: [{name: m, event: e, value: v, aggregation: integrl}]\n", {"expected one of", "\"integral\"?"}},
        {"meters: [{name: m, event: e, value: v, aggregation: count}]\n", {"meters[0].value", "reads no value"}},
        {"meters: [{name: m, event: e, value: v, over: hour}]\n", {"meters[0].over", "integral only"}},
        {"meters: [{name: m, event: e, value: v, series: s}]\n", {"meters[0].series", "integral only"}},
        {"meters: [{name: m, event: e, value: v, aggregation: integral, over: week}]\n", {"second, minute, hour"}},
        {"meters: [{name: m, event: e, value: v, dimensions: [a, b, a]}]\n", {"dimension \"a\""}},
        {"meters: [{name: m, event: e, value: v, dimensions: []}]\n", {"meters[0].dimensions", "1 to 16"}},
        {"meters: [{name: m, event: e, value: v, filter: [a]}]\n", {"meters[0].filter", "map"}},
        {"meters: [{name: m, event: e, value: v, filter: {a: []}}]\n", {"meters[0].filter.a", "list of 0 values"}},
        {"meters: [{name: m, event: e, value: v, filter: {a: }}]\n", {"has no value"}},
        {"meters:\n- {name: m, event: e, value: v}\n- {name: m, event: f, value: v}\n",
         {"meter \"m\" stands on c.yaml:2"}});
}

#define BEFORE                                                                                                         \
  "currency: USD\n"                                                                                                    \
  "taxes: [{name: vat, rate: 21 %}]\n"                                                                                 \
  "meters: [{name: gpu_hours, event: e, value: v, dimensions: [gpu, site]}, {name: calls, event: f, aggregation: "     \
  "count}]\n"
#define PRICES BEFORE "plans:\n  - name: p\n    prices:\n"

static void test_prices(void **state) {
  (void)state;
  CHECK(PRICES, {"    - {price: 1}\n", {"c.yaml:7: plans[0].prices[0]: ", "\"meter\" is missing"}},
        {"    - {meter: gpu_hour, price: 1}\n", {"prices[0].meter: there is no meter", "did you mean \"gpu_hours\"?"}},
        {"    - {meter: calls}\n", {"\"price\" is missing"}},
        {"    - {meter: calls, price: -1}\n", {"prices[0].price: ", "a credit is not a price"}},
        {"    - {meter: calls, price: $5}\n", {"is not a decimal number"}},
        {"    - {meter: calls, price: 0.0000000000001}\n", {"more than 12 decimals"}},
        {"    - {meter: calls, price: 1e99}\n", {"prices[0].price: "}},
        {"    - {meter: calls, price: .nan}\n", {"is not a decimal number"}},
        {"    - {meter: calls, price: [1]}\n", {"one value, not a list"}},
        {"    - {meter: calls, price: 1, per: 0}\n", {"prices[0].per: ", "more than 0"}},
        {"    - {meter: calls, price: 1, per: -5}\n", {"more than 0"}},
        {"    - {meter: calls, price: 1, prize: 2}\n", {"prize", "price"}},
        {"    - {meter: calls, price: 1, model: graded}\n", {"prices[0].model: ", "graduated"}},
        {"    - {meter: calls, price: 1, model: package}\n", {"\"per\" is missing"}},
        {"    - {meter: calls, price: 1, model: flat, per: 5}\n", {"no meaning for model: flat"}},
        {"    - {meter: calls, price: 1, minimum: 5, maximum: 4}\n", {"prices[0].maximum: ", "below the minimum"}},
        {"    - {meter: calls, price: 1, minimum: -5}\n", {"prices[0].minimum: "}},
        {"    - {meter: calls, price: 1, multipliers: [{by: 2}]}\n", {"\"match\" is missing"}},
        {"    - {meter: gpu_hours, price: 1, multipliers: [{match: {site: a}}]}\n", {"\"by\" is missing"}},
        {"    - {meter: gpu_hours, price: 1, multipliers: [{match: {site: a}, by: -1}]}\n", {"multipliers[0].by: "}},
        {"    - {meter: gpu_hours, price: 1, match: {sites: a}}\n", {"no dimension \"sites\"", "\"site\"?"}},
        {"    - {meter: gpu_hours, price: 1, match: {site: []}}\n", {"match.site: ", "1 to"}},
        {"    - {meter: gpu_hours, price: 1, match: {site: {a: 1}}}\n", {"not a map"}},
        {"    - {meter: gpu_hours, price: 1, match: [site]}\n", {"expected a map of dimensions"}});
}

static void test_tiers(void **state) {
  (void)state;
  CHECK(PRICES "    - {meter: calls, ", {"price: 1, tiers: [{price: 1}]}\n", {"the default", "graduated, volume"}},
        {"model: volume}\n", {"\"tiers\" is missing"}}, {"model: volume, tiers: []}\n", {"at least one tier"}},
        {"model: volume, price: 1, tiers: [{price: 1}]}\n", {"each tier has its own"}},
        {"model: volume, tiers: [{up_to: 5, price: 1}]}\n", {"tiers[0].up_to: ", "the last tier is open"}},
        {"model: volume, tiers: [{price: 1}, {price: 2}]}\n", {"tiers[0]: ", "only the last tier is open"}},
        {"model: volume, tiers: [{up_to: 5, price: 1}, {up_to: 5, price: 1}, {price: 2}]}\n",
         {"tiers[1].up_to: ", "not above the tier before it, which ends at 5"}},
        {"model: volume, tiers: [{up_to: 0, price: 1}, {price: 2}]}\n", {"more than 0"}},
        {"model: graduated, tiers: [{up_to: 5}, {price: 2}]}\n", {"\"price\" is missing"}},
        {"model: stairstep, tiers: [{price: 2}]}\n", {"write flat instead of price"}},
        {"model: stairstep, tiers: [{}]}\n", {"\"flat\" is missing"}},
        {"model: stairstep, per: 5, tiers: [{flat: 2}]}\n", {"no meaning for model: stairstep"}},
        {"model: graduated, tiers: [{upto: 5, price: 1}, {price: 2}]}\n", {"upto", "up_to"}});
}

static void test_price_that_never_applies(void **state) {
  (void)state;
  CHECK(
      PRICES "    - {meter: gpu_hours, price: 1, match: {gpu: [A, B]}}\n",
      {"    - {meter: gpu_hours, price: 2, match: {gpu: [B, A]}}\n",
       {"c.yaml:8: plans[0].prices[1]: can never apply", "price on line 7 first"}},
      {"    - {meter: gpu_hours, price: 2, match: {gpu: B}}\n", {"can never apply"}},
      {"    - {meter: gpu_hours, price: 2, match: {site: x, gpu: A}}\n", {"can never apply"}},
      {"    - {meter: gpu_hours, price: 2}\n    - {meter: gpu_hours, price: 2, match: {site: x}}\n",
       {"on line 8 first"}},
      {"    - {name: A, meter: gpu_hours, price: 2}\n    - {name: A, meter: calls, price: 2}\n", {"the price \"A\""}});
  struct error err = {0};
  bool ok = parse(PRICES "    - {meter: gpu_hours, price: 1, match: {gpu: [A, B]}}\n"
                         "    - {meter: gpu_hours, price: 1, match: {gpu: [A, C]}}\n"
                         "    - {meter: gpu_hours, price: 1, match: {site: x}}\n"
                         "    - {meter: calls, price: 1}\n"
                         "    - {meter: gpu_hours, price: 1}\n",
                  &err);
  assert_string_equal(err.message, "");
  assert_true(ok);
}

static void test_terms(void **state) {
  (void)state;
  CHECK(BEFORE, {"plans: [{title: T}]\n", {"\"name\" is missing"}},
        {"plans: [{name: p, fees: [{price: 5}]}]\n", {"\"name\" is missing"}},
        {"plans: [{name: p, fees: [{name: F}]}]\n", {"\"price\" is missing"}},
        {"plans: [{name: p, fees: [{name: F, price: 5, every: week}]}]\n", {"fees[0].every: ", "once, month, hour"}},
        {"plans: [{name: p, fees: [{name: F, price: 5, count: 0}]}]\n", {"fees[0].count: "}},
        {"plans: [{name: p, fees: [{name: F, price: 5}, {name: F, price: 5}]}]\n", {"the fee \"F\""}},
        {"plans: [{name: p, allowances: [{included: 5}]}]\n", {"\"meter\" is missing"}},
        {"plans: [{name: p, allowances: [{meter: calls}]}]\n", {"\"included\" is missing"}},
        {"plans: [{name: p, minimum: -1}]\n", {"plans[0].minimum: "}},
        {"plans: [{name: p, valid_from: soon}]\n", {"plans[0].valid_from: ", "expected a date"}},
        {"plans: [{name: p, valid_from: 2026-02-29}]\n", {"plans[0].valid_from: "}},
        {"plans:\n  - {name: p, valid_from: 2026-01-01}\n  - {name: p, valid_from: 2026-01-01}\n",
         {"c.yaml:6: ", "2026-01-01T00:00:00Z on c.yaml:5 already"}},
        {"plans: [{name: p}, {name: p}]\n", {"valid from the beginning"}},
        {"plans: [{name: p}, {name: p, valid_from: 2026-01-01, currency: EUR}]\n", {"all versions have one currency"}});
}

#define CUSTOMERS BEFORE "plans: [{name: standard, valid_from: 2026-01-01}]\ncustomers:\n"

static void test_customers(void **state) {
  (void)state;
  CHECK(
      CUSTOMERS, {"  - {name: A}\n", {"\"id\" is missing"}},
      {"  - {id: a, plan: standart}\n", {"customers[0].plan: there is no plan", "\"standard\"?"}},
      {"  - {id: a, tax: vta}\n", {"customers[0].tax: there is no tax", "\"vat\"?"}},
      {"  - {id: a, plan: standard, currency: EUR}\n", {"in USD but the customer pays in EUR"}},
      {"  - {id: a, plan: standard, since: 2025-12-31}\n", {"customers[0].since: ", "valid from 2026-01-01T00:00:00Z"}},
      {"  - {id: a, since: 2026-12-31}\n", {"goes with the short form"}},
      {"  - {id: a, plan: standard, contracts: [{plan: standard}]}\n", {"keep one of the two forms"}},
      {"  - {id: a, contracts: [{from: 2026-02-01}]}\n", {"\"plan\" is missing"}},
      {"  - {id: a, contracts: [{plan: standard, from: 2026-02-01, to: 2026-02-01}]}\n", {"ends before it begins"}},
      {"  - {id: a, contracts: [{plan: standard, from: 2026-02-01}, {plan: standard, from: 2026-01-01}]}\n",
       {"contracts[0]: overlaps the contract on line 6"}},
      {"  - {id: a, contracts: [{plan: standard, prices: [{meter: call, price: 1}]}]}\n", {"did you mean \"calls\"?"}},
      {"  - {id: a, payment_days: 400}\n", {"0 to 365"}}, {"  - {id: a, payment_days: 1.5}\n", {"whole number"}},
      {"  - {id: a, time_zone: Amsterdam}\n", {"customers[0].time_zone: "}},
      {"  - {id: a}\n  - {id: a}\n", {"c.yaml:7: ", "customer \"a\" stands on c.yaml:6"}});
}

static void test_watches(void **state) {
  (void)state;
  CHECK(BEFORE "plans:\n  - name: p\n    ",
        {"alerts: [{meter: calls, at: 5}]\n", {"plans[0].alerts[0]", "\"name\" is missing"}},
        {"alerts: [{name: a}]\n", {"either \"meter\"", "\"spend\""}},
        {"alerts: [{name: a, meter: calls, at: 1, spend: 5}]\n", {"either \"meter\""}},
        {"alerts: [{name: a, meter: cals, at: 1}]\n", {"there is no meter", "did you mean \"calls\"?"}},
        {"alerts: [{name: a, meter: calls}]\n", {"\"at\" is missing"}},
        {"alerts: [{name: a, meter: calls, at: 0}]\n", {"alerts[0].at: ", "more than 0"}},
        {"alerts: [{name: a, meter: calls, at: 1, per: week}]\n", {"expected one of month, day, hour"}},
        {"alerts: [{name: a, spend: 0}]\n", {"alerts[0].spend: ", "is 0"}},
        {"alerts: [{name: a, spend: 5, per: day}]\n", {"a month", "without \"at\" and \"per\""}},
        {"alerts: [{name: a, spend: 5, at_percent: [80, 50]}]\n", {"at_percent[1]: ", "ascending"}},
        {"alerts: [{name: a, spend: 5, at_percent: [50, 50]}]\n", {"ascending"}},
        {"alerts: [{name: a, spend: 5, at_percent: [0]}]\n", {"1 to 1000"}},
        {"alerts: [{name: a, spend: 5, at_percent: []}]\n", {"is empty"}},
        {"alerts: [{name: a, spend: 5}, {name: a, spend: 6}]\n", {"alert \"a\" stands on"}},
        {"entitlements: [{limit: 5}]\n", {"entitlements[0]", "\"meter\" is missing"}},
        {"entitlements: [{meter: calls}]\n", {"\"limit\" is missing"}},
        {"entitlements: [{meter: calls, limit: -1}]\n", {"entitlements[0].limit"}},
        {"entitlements: [{meter: calls, limit: 1, per: year}]\n", {"expected one of month, day, hour"}},
        {"entitlements: [{meter: calls, limit: 1}, {meter: calls, limit: 2, per: day}]\n", {"one a meter"}});
}

static void test_pools(void **state) {
  (void)state;
  CHECK(BEFORE, {"pools: [{count: 1}]\n", {"\"name\" is missing"}}, {"pools: [{name: a}]\n", {"\"count\" is missing"}},
        {"pools: [{name: a, count: 1, match: {gpu: A}}]\n", {"needs a \"meter\""}},
        {"pools: [{name: a, count: 1, meter: calls, match: {gpu: A}}]\n", {"no dimension \"gpu\""}},
        {"pools: [{name: a, count: 1, costs: {capex: 5}}]\n", {"\"life_months\" is missing"}},
        {"pools: [{name: a, count: 1, costs: {energy_kwh: 0.1}}]\n", {"\"power_kw\" is missing"}},
        {"pools: [{name: a, count: 1, costs: {pue: 0.9}}]\n", {"costs.pue: "}},
        {"pools: [{name: a, count: 1, costs: {residual: 110 %}}]\n", {"costs.residual: "}},
        {"pools: [{name: a, count: 1, costs: {load: 80}}]\n", {"costs.load: "}});
}

#define POOL "pools: [{name: a, count: 8, "
#define SOLD                                                                                                           \
  "currency: USD\nmeters: [{name: hours, event: h, value: v, aggregation: integral, series: s, over: hour}]\n"
static void test_selling(void **state) {
  (void)state;
  CHECK(BEFORE, {POOL "node: {gpus: 0}}]\n", {"node.gpus: "}}, {POOL "node: {}}]\n", {"\"gpus\" is missing"}},
        {POOL "shares: [2]}]\n", {"shares[0]: is a share of one unit"}}, {POOL "shares: [0]}]\n", {"shares[0]: "}},
        {POOL "shares: []}]\n", {"names no share"}}, {POOL "shares: [0.5, 0.50]}]\n", {"shares[1]: is there twice"}},
        {POOL "owner: 9}]\n", {"owner: is more than the pool has: 8"}},
        {POOL "maintenance: [{from: 2026-12-02, to: 2026-12-02, count: 1}]}]\n", {"should be after \"from\""}},
        {POOL "maintenance: [{to: 2026-12-02, count: 1}]}]\n", {"\"from\" is missing"}},
        {POOL "maintenance: [{from: 2026-12-01, to: 2026-12-02}]}]\n", {"\"count\" is missing"}},
        {POOL "maintenance: [{from: 2026-12-01, to: 2026-12-02, count: 9}]}]\n", {"count: is more than the pool has"}},
        {POOL "engine: slrum}]\n", {"engine: "}},
        {POOL "engine: local, classes: {on_demand: {}}}]\n", {"needs a \"meter\""}},
        {POOL "meter: calls, engine: local, classes: {on_demand: {}}}]\n", {"should have the aggregation integral"}});
  CHECK(
      SOLD, {POOL "meter: hours, classes: {on_demand: {}}}]\n", {"needs an \"engine\""}},
      {POOL "meter: hours, engine: local, classes: {on_demnad: {}}}]\n", {"on_demand"}},
      {POOL "meter: hours, engine: local, classes: {on_demand: {notice: 30 s}}}]\n", {"notice"}},
      {POOL "meter: hours, engine: local, classes: {on_demand: {minimum: soon}}}]\n", {"on_demand.minimum: "}},
      {POOL "meter: hours, engine: local, classes: {on_demand: {increment: 0 s}}}]\n", {"on_demand.increment: "}},
      {POOL "meter: hours, engine: local, classes: {on_demand: {increment: 1500 ms}}}]\n", {"expected whole seconds"}},
      {POOL "meter: hours, engine: local, classes: {reserved: {}}}]\n", {"\"terms\" is missing"}},
      {POOL "meter: hours, engine: local, classes: {reserved: {terms: [ever]}}}]\n", {"reserved.terms[0]: "}},
      {POOL "meter: hours, engine: local, classes: {spot: {reserve: 110 %}}}]\n", {"spot.reserve: "}});
}

static void test_two_files(void **state) {
  (void)state;
  struct catalog_text texts[] = {{"a.yaml", SLICE("currency: USD\ncustomers: [{id: x}]\n")},
                                 {"b.yaml", SLICE("currency: EUR\ncustomers: [{id: x}]\n")}};
  struct catalog *c;
  struct error err = {0};
  assert_false(catalog_parse(texts, 2, &c, &err));
  assert_non_null(strstr(err.message, "b.yaml:1: currency: is set on a.yaml:1 already"));
  assert_non_null(strstr(err.message, "\nb.yaml:2: customers[0]: the customer \"x\" stands on a.yaml:2 already"));
}

static void test_limits(void **state) {
  (void)state;
  struct buf text;
  struct error err = {0};
  buf_init(&text, 1 << 20);
  buf_addf(&text, "currency: USD\ncustomers: [{id: %0201d}]\n", 1);
  buf_addc(&text, '\0');
  assert_false(parse(text.ptr, &err));
  assert_non_null(strstr(err.message, "customers[0].id: is 201 bytes long, at most 200"));
  text.len = 0;
  buf_add(&text, SLICE(PRICES "    - {meter: calls, model: volume, tiers: ["));
  for (int i = 1; i <= CATALOG_TIERS_MAX; i++) {
    buf_addf(&text, "{up_to: %d, price: 1}, ", i);
  }
  buf_add(&text, SLICE("{price: 1}]}\n"));
  buf_addc(&text, '\0');
  assert_false(parse(text.ptr, &err));
  assert_non_null(strstr(err.message, "prices[0].tiers: has 65 items, at most 64"));
  text.len = 0;
  buf_add(&text, SLICE("meters:\n"));
  for (int i = 0; i <= CATALOG_METERS_PER_TYPE_MAX; i++) {
    buf_addf(&text, "- {name: m%d, event: e, aggregation: count}\n", i);
  }
  buf_addc(&text, '\0');
  assert_false(parse(text.ptr, &err));
  assert_non_null(strstr(err.message, "c.yaml:66: meters[64]: more than 64 meters count events of type \"e\""));
  buf_free(&text);
}

static size_t lines_of(const char *text) {
  size_t lines = 1;
  for (; *text; text++) {
    lines += *text == '\n';
  }
  return lines;
}

static void test_many_at_once(void **state) {
  (void)state;
  struct buf text;
  struct error err = {0};
  buf_init(&text, 1 << 20);
  buf_add(&text, SLICE("currency: USD\nplans:\n"));
  for (int i = 0; i < 30; i++) {
    buf_addf(&text, "- {name: p%d, minimum: -1}\n", i);
  }
  buf_addc(&text, '\0');
  assert_false(parse(text.ptr, &err));
  assert_true(lines_of(err.message) > 5 && lines_of(err.message) <= 11);
  assert_non_null(strstr(err.message, "c.yaml:3: plans[0].minimum: "));
  assert_non_null(strstr(err.message, " more)"));
  buf_free(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_settings),     cmocka_unit_test(test_taxes),
      cmocka_unit_test(test_meters),       cmocka_unit_test(test_prices),
      cmocka_unit_test(test_tiers),        cmocka_unit_test(test_price_that_never_applies),
      cmocka_unit_test(test_terms),        cmocka_unit_test(test_customers),
      cmocka_unit_test(test_pools),        cmocka_unit_test(test_selling),
      cmocka_unit_test(test_watches),      cmocka_unit_test(test_two_files),
      cmocka_unit_test(test_many_at_once), cmocka_unit_test(test_limits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
