/* Tests what a good catalog becomes: every field, its default, the order of things, look-ups, files and the examples.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "catalog/catalog.h"

static struct catalog *load(const char *text) {
  struct catalog_text file = {"test.yaml", slice_of(text)};
  struct catalog *catalog;
  struct error err = {0};
  if (!catalog_parse(&file, 1, &catalog, &err)) {
    fail_msg("%s", err.message);
  }
  return catalog;
}

static instant at(const char *text) {
  instant t;
  struct error err;
  assert_true(time_parse_loose(slice_of(text), "UTC", &t, &err));
  return t;
}

#define assert_slice(s, text) assert_true(slice_is((s), (text)))
static void assert_amount(amount a, const char *text) {
  char written[DECIMAL_TEXT_MAX];
  assert_string_equal(amount_text(a, written), text);
}
static void assert_quantity(quantity q, const char *text) {
  char written[DECIMAL_TEXT_MAX];
  assert_string_equal(quantity_text(q, written), text);
}
static void assert_rate(rate r, const char *text) {
  char written[DECIMAL_TEXT_MAX];
  assert_string_equal(rate_text(r, written), text);
}

#define METERS                                                                                                         \
  "currency: USD\n"                                                                                                    \
  "meters:\n"                                                                                                          \
  "  - {name: gpu_hours, event: gpu.lease, value: gpus, aggregation: integral, unit: GPU-hour, series: lease,\n"       \
  "     dimensions: [gpu, class, site], product: GPU compute}\n"                                                       \
  "  - {name: tokens, event: model.call, value: n, dimensions: model, filter: {status: ok, kind: [a, b]}}\n"           \
  "  - {name: calls, event: model.call, aggregation: count, unit: call}\n"

static void test_meters(void **state) {
  (void)state;
  struct catalog *c = load(METERS);
  const struct meter *gpu = catalog_meter(c, SLICE("gpu_hours")), *tokens = catalog_meter(c, SLICE("tokens"));
  const struct meter *fed[4];
  assert_int_equal(gpu->aggregation, AGG_INTEGRAL);
  assert_quantity(gpu->base_per_unit, "3600");
  assert_slice(gpu->series_field, "lease");
  assert_int_equal(gpu->dimension_count, 3);
  assert_slice(gpu->product, "GPU compute");
  assert_int_equal(gpu->place.line, 3);
  assert_int_equal(tokens->aggregation, AGG_SUM);
  assert_quantity(tokens->base_per_unit, "1");
  assert_slice(tokens->unit, "unit");
  assert_slice(tokens->product, "tokens");
  assert_slice(tokens->dimensions[0], "model");
  assert_int_equal(tokens->filter_count, 2);
  assert_slice(tokens->filters[1].field, "kind");
  assert_slice(tokens->filters[1].values[1], "b");
  assert_int_equal(tokens->index, 1);
  assert_int_equal(catalog_meters_of_type(c, SLICE("model.call"), fed, 4), 2);
  assert_ptr_equal(fed[0], tokens);
  assert_int_equal(catalog_meters_of_type(c, SLICE("model.call"), fed, 1), 1);
  assert_int_equal(catalog_meters_of_type(c, SLICE("other"), fed, 4), 0);
  assert_null(catalog_meter(c, SLICE("gpu")));
  catalog_free(c);
}

static void test_spans(void **state) {
  (void)state;
  static const char *const spans[][2] = {
      {"second", "1"}, {"minute", "60"}, {"hour", "3600"}, {"day", "86400"}, {"month", "2628000"}};
  for (size_t i = 0; i < 5; i++) {
    char text[200];
    snprintf(text, sizeof text, "meters: [{name: m, event: e, value: v, aggregation: integral, over: %s}]",
             spans[i][0]);
    struct catalog *c = load(text);
    assert_quantity(c->meters[0].base_per_unit, spans[i][1]);
    catalog_free(c);
  }
}

static void test_prices(void **state) {
  (void)state;
  struct catalog *c =
      load(METERS "plans:\n"
                  "  - name: p\n"
                  "    prices:\n"
                  "      - {meter: gpu_hours, match: {gpu: H100, class: [on_demand, spot]}, price: 2.49,\n"
                  "         minimum: 10, maximum: '100', multipliers: [{match: {site: ams1}, by: 105 %}]}\n"
                  "      - {name: Rest, meter: gpu_hours, price: 1, product: Other}\n"
                  "      - {meter: tokens, model: graduated, per: 1000000,\n"
                  "         tiers: [{up_to: 1e6, price: 0}, {price: 0.02, flat: 3}]}\n"
                  "      - {meter: calls, model: package, price: 5, per: 1000}\n");
  const struct plan *p = &c->plans[0];
  const struct price_rule *gpu = &p->prices[0], *tokens = &p->prices[2], *calls = &p->prices[3];
  assert_int_equal(p->price_count, 4);
  assert_slice(p->title, "p");
  assert_slice(gpu->name, "GPU compute H100 on_demand/spot");
  assert_int_equal(gpu->model, PRICE_PER_UNIT);
  assert_amount(gpu->tiers[0].each, "2.49");
  assert_true(gpu->tiers[0].last);
  assert_int_equal(gpu->matches[1].dimension, 1);
  assert_true(gpu->has_minimum && gpu->has_maximum);
  assert_amount(gpu->maximum, "100");
  assert_rate(gpu->multipliers[0].by, "1.05");
  assert_int_equal(gpu->multipliers[0].matches[0].dimension, 2);
  assert_slice(p->prices[1].product, "Other");
  assert_int_equal(p->prices[1].index, 1);
  assert_int_equal(tokens->tier_count, 2);
  assert_quantity(tokens->tiers[0].up_to, "1000000");
  assert_quantity(tokens->per, "1000000");
  assert_amount(tokens->tiers[1].flat, "3");
  assert_false(tokens->tiers[0].last);
  assert_true(tokens->tiers[1].last);
  assert_quantity(calls->per, "1000");
  assert_string_equal(price_model_name(calls->model), "package");
  catalog_free(c);
}

static void test_fees_allowances_minimum(void **state) {
  (void)state;
  struct catalog *c =
      load(METERS "plans:\n"
                  "  - name: p\n"
                  "    minimum: 10000\n"
                  "    fees: [{name: Platform, price: 500}, {name: Reserved, price: 1.5, every: hour, count: 64},\n"
                  "           {name: Setup, price: 99, every: once, product: Services}]\n"
                  "    allowances: [{meter: gpu_hours, match: {gpu: L40S}, included: 200}]\n");
  const struct plan *p = &c->plans[0];
  assert_true(p->has_minimum);
  assert_amount(p->minimum, "10000");
  assert_int_equal(p->fees[0].every, FEE_MONTH);
  assert_quantity(p->fees[0].count, "1");
  assert_slice(p->fees[0].product, "Platform");
  assert_int_equal(p->fees[1].every, FEE_HOUR);
  assert_quantity(p->fees[1].count, "64");
  assert_int_equal(p->fees[2].every, FEE_ONCE);
  assert_slice(p->fees[2].product, "Services");
  assert_quantity(p->allowances[0].included, "200");
  assert_slice(p->allowances[0].name, "GPU compute");
  catalog_free(c);
}

static void test_versions_in_force(void **state) {
  (void)state;
  struct catalog *c = load("currency: EUR\n"
                           "plans:\n"
                           "  - {name: b, valid_from: 2026-07-01}\n"
                           "  - {name: a, title: late, valid_from: 2026-02-01T12:00:00Z}\n"
                           "  - {name: b, valid_from: 2026-01-01}\n"
                           "  - {name: a, title: early}\n");
  assert_slice(c->plans[0].title, "early");
  assert_int_equal(c->plans[3].valid_from.ns, at("2026-07-01").ns);
  assert_slice(catalog_plan_at(c, SLICE("a"), (instant){0})->title, "early");
  assert_slice(catalog_plan_at(c, SLICE("a"), at("2026-02-01T11:59:59.999999999Z"))->title, "early");
  assert_slice(catalog_plan_at(c, SLICE("a"), at("2026-02-01T12:00:00Z"))->title, "late");
  assert_slice(catalog_plan_at(c, SLICE("a"), INSTANT_MAX)->title, "late");
  assert_null(catalog_plan_at(c, SLICE("b"), at("2025-12-31")));
  assert_null(catalog_plan_at(c, SLICE("c"), INSTANT_MAX));
  catalog_free(c);
}

static void test_customers(void **state) {
  (void)state;
  struct catalog *c = load("currency: EUR\n"
                           "taxes: [{name: vat, label: VAT 21 %, rate: 21 %}]\n"
                           "plans: [{name: p, title: P, valid_from: 2026-01-01}]\n"
                           "customers:\n"
                           "  - {id: zeta, plan: p}\n"
                           "  - id: acme\n"
                           "    name: Acme AI\n"
                           "    address: |\n"
                           "      Street 1\n"
                           "      1000 Town\n"
                           "    country: NL\n"
                           "    tax: vat\n"
                           "    group: enterprise\n"
                           "    time_zone: Asia/Tokyo\n"
                           "    payment_days: 14\n"
                           "    contracts:\n"
                           "      - {plan: p, from: 2026-06-01}\n"
                           "      - {plan: p, from: 2026-02-01, to: 2026-06-01, minimum: 5}\n");
  const struct customer *acme = catalog_customer(c, SLICE("acme")), *zeta = catalog_customer(c, SLICE("zeta"));
  assert_ptr_equal(acme, &c->customers[0]);
  assert_int_equal(zeta->index, 1);
  assert_slice(zeta->party.name, "zeta");
  assert_int_equal(zeta->payment_days, 30);
  assert_null(zeta->tax);
  assert_string_equal(zeta->time_zone, "UTC");
  assert_int_equal(zeta->contracts[0].from.ns, at("2026-01-01").ns);
  assert_int_equal(zeta->contracts[0].to.ns, INSTANT_MAX.ns);
  assert_int_equal(acme->party.address_count, 2);
  assert_slice(acme->party.address[1], "1000 Town");
  assert_rate(acme->tax->rate, "0.21");
  assert_slice(acme->tax->category, "S");
  assert_int_equal(acme->payment_days, 14);
  assert_int_equal(acme->contract_count, 2);
  assert_int_equal(acme->contracts[0].from.ns, at("2026-01-31T15:00:00Z").ns); /* midnight in Tokyo */
  assert_int_equal(acme->contracts[0].to.ns, acme->contracts[1].from.ns);
  assert_amount(acme->contracts[0].own->minimum, "5");
  assert_slice(acme->contracts[0].own->title, "P");
  assert_null(acme->contracts[1].own);
  assert_null(catalog_customer(c, SLICE("acm")));
  catalog_free(c);
}

static void test_selling(void **state) {
  (void)state;
  struct catalog *c =
      load("currency: EUR\n"
           "meters: [{name: gpu_hours, event: g, value: v, aggregation: integral, series: s, over: hour, dimensions: "
           "[gpu]}]\n"
           "pools:\n"
           "  - name: h100-ams1\n    kind: H100\n    count: 512\n    meter: gpu_hours\n    match: {gpu: H100}\n"
           "    node: {gpus: 8}\n    shares: [1, 0.5, 0.25]\n    owner: 64\n    engine: slurm\n"
           "    maintenance: [{from: 2026-12-01, to: 2026-12-02, count: 64, note: firmware}]\n"
           "    classes:\n      on_demand: {minimum: 1 minute, increment: 10 seconds}\n"
           "      reserved: {terms: [1 month, 1 year]}\n      spot: {notice: 30 s, reserve: 5 %}\n"
           "  - {name: plain, count: 4}\n");
  const struct pool *p = &c->pools[0];
  assert_int_equal(p->node_gpus, 8);
  assert_int_equal(p->share_count, 3);
  assert_true(p->shares[1].e9 == QUANTITY_E9 / 2);
  assert_true(p->owner.e9 == 64 * QUANTITY_E9);
  assert_int_equal(p->maintenance_count, 1);
  assert_true(p->maintenance[0].units.e9 == 64 * QUANTITY_E9 && slice_is(p->maintenance[0].note, "firmware"));
  assert_true(p->maintenance[0].to.ns - p->maintenance[0].from.ns == 86400 * NS_PER_S);
  assert_int_equal(p->engine, POOL_ENGINE_SLURM);
  assert_true(p->is_sold);
  assert_int_equal(p->classes[POOL_ON_DEMAND].minimum_s, 60);
  assert_int_equal(p->classes[POOL_ON_DEMAND].increment_s, 10);
  assert_int_equal(p->classes[POOL_RESERVED].terms[1].months, 12);
  assert_int_equal(p->classes[POOL_RESERVED].increment_s, 1);
  assert_false(p->classes[POOL_PRIORITY].sold);
  assert_int_equal(p->classes[POOL_SPOT].notice_s, 30);
  assert_true(p->classes[POOL_SPOT].reserve.e12 == AMOUNT_E12 / 20);
  assert_false(c->pools[1].is_sold);
  assert_int_equal(c->pools[1].share_count, 1);
  assert_int_equal(c->pools[1].engine, POOL_ENGINE_NONE);
  catalog_free(c);
}

static void test_pools(void **state) {
  (void)state;
  struct catalog *c =
      load(METERS "pools:\n"
                  "  - {name: h100-ams1, kind: H100, site: ams1, count: 512, from: 2025-06-01,\n"
                  "     meter: gpu_hours, match: {gpu: H100, site: ams1}, costs: {capex: 47000,\n"
                  "     residual: 15 %, life_months: 60, energy_kwh: 0.0828, load: 80 %, power_kw: 1.275}}\n"
                  "  - {name: bare, count: 0.5}\n");
  const struct pool *p = &c->pools[0];
  assert_quantity(p->count, "512");
  assert_int_equal(p->match_count, 2);
  assert_true(p->cost.known);
  assert_amount(p->cost.capex, "47000");
  assert_rate(p->cost.residual, "0.15");
  assert_int_equal(p->cost.life_months, 60);
  assert_rate(p->cost.load, "0.8");
  assert_rate(p->cost.pue, "1");
  assert_quantity(p->cost.power_kw, "1.275");
  assert_false(c->pools[1].cost.known);
  assert_null(c->pools[1].meter);
  catalog_free(c);
}

static void test_match_all(void **state) {
  (void)state;
  const slice gpus[] = {SLICE("H100"), SLICE("B200")}, absent[] = {SLICE("")};
  const struct match matches[] = {{0, gpus, 2}, {1, absent, 1}};
  const slice fits[] = {SLICE("B200"), SLICE("")}, other[] = {SLICE("A100"), SLICE("")};
  const slice present[] = {SLICE("H100"), SLICE("ams1")};
  assert_true(match_all(matches, 2, fits));
  assert_false(match_all(matches, 2, other));
  assert_false(match_all(matches, 2, present));
  assert_true(match_all(matches, 0, other));
}

/* The order of the texts does not count, their names and bytes do; a section may go on in another file. */
static void test_files_and_digest(void **state) {
  (void)state;
  struct catalog_text texts[] = {{"x/b.yaml", SLICE("plans: [{name: p}]\ncustomers: [{id: one, plan: p}]\n")},
                                 {"x/a.yaml", SLICE("# settings\ncurrency: EUR\ncustomers: [{id: two, plan: p}]\n")},
                                 {"x/empty.yaml", SLICE("# nothing yet\n")}};
  struct catalog *first, *second, *third;
  struct error err = {0};
  assert_true(catalog_parse(texts, 3, &first, &err));
  assert_int_equal(first->customer_count, 2);
  assert_string_equal(catalog_customer(first, SLICE("two"))->place.file, "x/a.yaml");
  struct catalog_text swapped[] = {texts[1], texts[2], texts[0]};
  swapped[0].name = "y/a.yaml";
  assert_true(catalog_parse(swapped, 3, &second, &err));
  assert_int_equal(first->digest_hex.len, 64);
  assert_true(slice_eq(first->digest_hex, second->digest_hex));
  swapped[0].name = "y/aa.yaml";
  assert_true(catalog_parse(swapped, 3, &third, &err));
  assert_false(slice_eq(first->digest_hex, third->digest_hex));
  catalog_free(first);
  catalog_free(second);
  catalog_free(third);
}

static void put(const char *folder, const char *name, const char *text) {
  char path[300];
  struct error err;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_true(file_write(path, slice_of(text), &err));
}

static void drop(const char *folder, const char *name) {
  char path[300];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  unlink(path);
}

static void test_folder(void **state) {
  (void)state;
  char folder[] = "test_catalog_XXXXXX", path[300];
  struct catalog *c;
  struct error err = {0};
  assert_non_null(mkdtemp(folder));
  assert_false(catalog_load(folder, &c, &err));
  assert_int_equal(err.code, ERR_NOT_FOUND);
  put(folder, "one.yaml", "currency: EUR\nseller: {name: S, logo: logo.png}\n");
  put(folder, "two.yml", "plans: [{name: p}]\n");
  put(folder, "usage.map.yaml", "columns: {}\n");
  put(folder, ".three.yaml", "junk: 1\n");
  put(folder, "notes.txt", "junk");
  if (!catalog_load(folder, &c, &err)) {
    fail_msg("%s", err.message);
  }
  snprintf(path, sizeof path, "%s/logo.png", folder);
  assert_slice(c->seller.logo_path, path);
  assert_int_equal(c->plan_count, 1);
  catalog_free(c);
  snprintf(path, sizeof path, "%s/one.yaml", folder);
  assert_true(catalog_load(path, &c, &err));
  assert_int_equal(c->plan_count, 0);
  catalog_free(c);
  const char *names[] = {"one.yaml", "two.yml", "usage.map.yaml", ".three.yaml", "notes.txt"};
  for (size_t i = 0; i < 5; i++) {
    drop(folder, names[i]);
  }
  assert_int_equal(rmdir(folder), 0);
  assert_false(catalog_load(folder, &c, &err));
  assert_int_equal(err.code, ERR_NOT_FOUND);
  assert_null(c);
}

static void test_examples(void **state) {
  (void)state;
  static const char *const names[] = {"token-api",  "openb",       "usage-based", "subscription", "freemium",
                                      "enterprise", "gpu-classes", "vector-db",   "dbu",          "sites"};
  const char *root = getenv("MH_ROOT");
  if (!root) {
    skip();
  }
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[1000];
    struct catalog *c;
    struct error err = {0};
    snprintf(path, sizeof path, "%s/examples/%s", root, names[i]);
    if (!catalog_load(path, &c, &err)) {
      fail_msg("%s", err.message);
    }
    assert_true(c->customer_count > 0 && c->plan_count > 0 && c->meter_count > 0);
    catalog_free(c);
  }
}

/* Many customers with terms of their own load in time that grows with their number, not with its square. */
static void test_many_customers(void **state) {
  (void)state;
  enum { CUSTOMERS = 100000 };
  struct buf text;
  buf_init(&text, 64u << 20);
  buf_add(&text, SLICE(METERS "plans: [{name: p, prices: [{meter: calls, price: 1}]}]\ncustomers:\n"));
  for (int i = 0; i < CUSTOMERS; i++) {
    int n = (int)(((long)i * 7919) % CUSTOMERS);
    buf_addf(&text, "  - {id: cus-%d, name: Customer %d, country: NL, time_zone: Europe/Amsterdam, ", n, n);
    buf_addf(&text, i % 2 ? "plan: p}\n" : "contracts: [{plan: p, from: 2026-01-01, minimum: %d}]}\n", i);
  }
  buf_addc(&text, '\0');
  struct timespec start, end;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
  struct catalog *c = load(text.ptr);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
  print_message("%d customers in %.2f s\n", CUSTOMERS,
                (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
  assert_int_equal(c->customer_count, CUSTOMERS);
  assert_slice(catalog_customer(c, SLICE("cus-77777"))->party.name, "Customer 77777");
  catalog_free(c);
  buf_free(&text);
  assert_true(end.tv_sec - start.tv_sec < 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_meters),
      cmocka_unit_test(test_spans),
      cmocka_unit_test(test_prices),
      cmocka_unit_test(test_fees_allowances_minimum),
      cmocka_unit_test(test_versions_in_force),
      cmocka_unit_test(test_customers),
      cmocka_unit_test(test_pools),
      cmocka_unit_test(test_selling),
      cmocka_unit_test(test_match_all),
      cmocka_unit_test(test_files_and_digest),
      cmocka_unit_test(test_folder),
      cmocka_unit_test(test_examples),
      cmocka_unit_test(test_many_customers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
