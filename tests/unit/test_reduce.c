/* The part of a catalog that concerns one customer: what is in it, what is not, and on which lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "catalog/catalog.h"

static const char TEXT[] = "currency: EUR # of all\n"
                           "meters:\n"
                           "  - {name: calls, event: api.call, aggregation: count, dimensions: [kind]}\n"
                           "plans:\n"
                           "  - name: hidden\n"
                           "    prices: [{meter: calls, price: 9}]\n"
                           "  - name: open\n"
                           "    prices:\n"
                           "      - {meter: calls, match: {kind: \"\"}, price: \"0.02\"}\n"
                           "      - meter: calls\n"
                           "        price: 0.03\n"
                           "customers:\n"
                           "  - {id: rival, plan: hidden}\n"
                           "  - id: acme\n"
                           "    name: 'Acme: \"the, best\" {one}'\n"
                           "    address: ~\n"
                           "    plan: open\n";
static const char POOLS[] = "pools:\n"
                            "  - {name: p, kind: H100, site: ams1, count: 8, from: 2025-06-01, meter: calls,\n"
                            "     costs: {capex: 47001, life_months: 60}}\n";

static struct catalog *load(const struct catalog_text *texts, size_t count) {
  struct catalog *catalog;
  struct error err = {0};
  if (!catalog_parse(texts, count, &catalog, &err)) {
    fail_msg("%s", err.message);
  }
  return catalog;
}

static void test_part(void **state) {
  (void)state;
  const struct catalog_text whole[] = {{"a.yaml", SLICE(TEXT)}, {"pools.yaml", SLICE(POOLS)}};
  struct catalog *catalog = load(whole, 2);
  struct arena *arena = arena_new();
  struct catalog_text *texts;
  size_t count;
  struct error err = {0};
  assert_true(catalog_reduce(arena, catalog, SLICE("acme"), &texts, &count, &err));
  assert_int_equal(count, 1);
  assert_string_equal(texts[0].name, "a.yaml");
  assert_null(strstr(texts[0].text.ptr, "rival"));
  assert_null(strstr(texts[0].text.ptr, "hidden"));
  struct catalog *part = load(texts, count);
  assert_int_equal(part->plan_count, 1);
  assert_int_equal(part->customer_count, 1);
  assert_int_equal(part->pool_count, 0);
  const struct plan *before = catalog_plan_at(catalog, SLICE("open"), (instant){1});
  const struct plan *after = catalog_plan_at(part, SLICE("open"), (instant){1});
  assert_int_equal(after->price_count, before->price_count);
  for (size_t i = 0; i < after->price_count; i++) {
    assert_int_equal(after->prices[i].place.line, before->prices[i].place.line);
    assert_true(after->prices[i].tiers[0].each.e12 == before->prices[i].tiers[0].each.e12);
    assert_int_equal(after->prices[i].match_count, before->prices[i].match_count);
  }
  assert_int_equal(after->prices[0].place.line, 9);
  const struct customer *acme = catalog_customer(part, SLICE("acme"));
  assert_true(slice_is(acme->party.name, "Acme: \"the, best\" {one}"));
  assert_int_equal(acme->place.line, catalog_customer(catalog, SLICE("acme"))->place.line);
  assert_int_equal(acme->party.address_count, 0);
  catalog_free(part);
  catalog_free(catalog);
  arena_free(arena);
}

static void test_unknown_customer(void **state) {
  (void)state;
  const struct catalog_text whole = {"a.yaml", SLICE(TEXT)};
  struct catalog *catalog = load(&whole, 1);
  struct arena *arena = arena_new();
  struct catalog_text *texts;
  size_t count;
  struct error err = {0};
  assert_false(catalog_reduce(arena, catalog, SLICE("nobody"), &texts, &count, &err));
  assert_int_equal(err.code, ERR_NOT_FOUND);
  arena_free(arena);
  catalog_free(catalog);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_part), cmocka_unit_test(test_unknown_customer)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
