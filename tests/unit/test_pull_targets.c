/* The targets file: what it may say, and that what it may not say is refused with file, line and key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pull/private.h"
#include <stdlib.h>
#include <string.h>

#define RULE "{metric: m, as: counter, type: t, field: n, customer: acme}"

static void refused(const char *text, const char *why) {
  struct pull_targets *targets;
  struct error err = {0};
  assert_false(pull_targets_parse("t.yaml", slice_of(text), &targets, &err));
  if (strstr(err.message, why) == NULL) {
    fail_msg("%s: \"%s\" should say \"%s\"", text, err.message, why);
  }
}

static struct pull_targets *taken(const char *text) {
  struct pull_targets *targets = NULL;
  struct error err = {0};
  if (!pull_targets_parse("t.yaml", slice_of(text), &targets, &err)) {
    fail_msg("%s: %s", text, err.message);
  }
  return targets;
}

static void reads_all_of_it(void **state) {
  (void)state;
  struct pull_targets *targets =
      taken("rules:\n"
            "  - metric: tokens_total\n"
            "    match: {model: [a, b], kind: out}\n"
            "    as: counter\n"
            "    type: tokens\n"
            "    field: n\n"
            "    customer: {label: team, map: {x: acme}}\n"
            "    dimensions: {model: model_name}\n"
            "    set: {direction: out}\n"
            "    new_series: from_zero\n"
            "targets:\n"
            "  - {name: a, url: 'http://h:9100/metrics?x=1'}\n"
            "  - name: b\n"
            "    url: http://[::1]:9400\n"
            "    interval: 1m\n"
            "    timeout: 500ms\n"
            "    bearer_file: /x/token\n"
            "    rules: [{metric: g, as: gauge, type: l, field: v, customer: acme, series: s, "
            "absent: zero}]\n");
  assert_int_equal(targets->count, 2);
  const struct pull_target *a = &targets->items[0], *b = &targets->items[1];
  assert_string_equal(a->host.ptr, "h");
  assert_int_equal(a->port, 9100);
  assert_string_equal(a->path.ptr, "/metrics?x=1");
  assert_int_equal(a->interval.ns, 15 * NS_PER_S);
  assert_int_equal(a->rules[0].match_count, 2);
  assert_true(a->rules[0].new_from_zero);
  assert_true(slice_is(a->rules[0].key, "counter tokens.n"));
  assert_true(slice_is(*(const slice *)map_get(&a->rules[0].table, SLICE("x")), "acme"));
  assert_string_equal(b->host.ptr, "::1");
  assert_string_equal(b->path.ptr, "/metrics");
  assert_int_equal(b->timeout.ns, NS_PER_S / 2);
  assert_true(b->rules[0].gauge && b->rules[0].absent_zero);
  pull_targets_free(targets);
}

static void names_the_place(void **state) {
  (void)state;
  refused("targets:\n  - name: a\n    url: http://h\n    intervall: 1s\n", "t.yaml:4: targets[0].intervall");
  refused("target: []\n", "t.yaml:1: target");
  refused("targets:\n- {name: a, url: 'http://h', rules: [{metric: m, as: counter, type: t, feild: n}]}\n", "feild");
  refused("targets:\n- {name: a, url: 'http://h', rules: [{metric: m, as: count, type: t, field: n}]}\n",
          "expected counter or gauge");
  refused("targets:\n- {name: a, url: 'http://h', rules: [{metric: m, as: gauge, type: t, field: n}]}\n",
          "\"customer\" is missing");
}

static void refuses_what_can_not_be(void **state) {
  (void)state;
  refused("", "");
  refused("targets: []\n", "expected a list");
  refused("targets: [{name: a, url: 'http://h'}]\n", "\"rules\" is missing");
  refused("rules: [" RULE "]\ntargets: [{name: a, url: 'https://h'}]\n", "only plain http");
  refused("rules: [" RULE "]\ntargets: [{name: a, url: 'http://h:0'}]\n", "HOST:PORT");
  refused("rules: [" RULE "]\ntargets: [{name: a, url: 'http://h:99999'}]\n", "HOST:PORT");
  refused("rules: [" RULE "]\ntargets: [{name: a, url: 'http://u@h'}]\n", "without a user");
  refused("rules: [" RULE "]\ntargets: [{name: 'a b', url: 'http://h'}]\n", "letters, digits");
  refused("rules: [" RULE "]\ntargets: [{name: a, url: 'http://h'}, {name: a, url: 'http://i'}]\n", "is taken");
  refused("rules: [" RULE "]\ntargets: [{name: a, url: 'http://h', interval: 10ms}]\n", "should be from");
  refused("rules: [" RULE "]\ntargets: [{name: a, url: 'http://h', interval: fast}]\n", "expected a time");
  refused("rules: [" RULE "]\ntargets: [{name: a, url: 'http://h', interval: 2s, timeout: 3s}]\n", "should be from");
  refused("rules: [{metric: m, as: counter, type: t, field: n, customer: a, absent: zero}]\ntargets: []\n",
          "belongs to gauges");
  refused("rules: [{metric: m, as: gauge, type: t, field: n, customer: a, new_series: from_zero}]\ntargets: []\n",
          "belongs to counters");
  refused("rules: [{metric: m, as: gauge, type: t, field: n, customer: a, dimensions: {x: n}}]\ntargets: []\n",
          "two things are called");
  refused("rules: [{metric: m, as: gauge, type: t, field: scrape_x, customer: a}]\ntargets: []\n", "are taken");
}

static void gather(void *context, const char *what) {
  buf_addf(context, "%s\n", what);
}

static void tells_what_is_not_meant(void **state) {
  (void)state;
  static const struct catalog_text text = {
      "c.yaml", SLICE("currency: EUR\nseller: {name: T, country: NL, invoice_prefix: T-}\nmeters:\n"
                      "  - {name: total, event: t, value: n, unit: x}\n"
                      "  - {name: held, event: l, value: n, unit: h, aggregation: integral, over: hour, series: s}\n"
                      "plans: [{name: p, prices: [{meter: total, price: 1}, {meter: held, price: 1}]}]\n"
                      "customers: [{id: acme, name: A, country: NL, plan: p}]\n")};
  struct catalog *catalog;
  struct error err = {0};
  struct buf said;
  buf_init(&said, 10000);
  if (!catalog_parse(&text, 1, &catalog, &err)) {
    fail_msg("%s", err.message);
  }
  struct pull_targets *targets =
      taken("targets: [{name: a, url: 'http://h', rules: ["
            "{metric: good, as: counter, type: t, field: n, customer: acme},"
            "{metric: held, as: gauge, type: l, field: n, series: s, customer: {label: x, map: {y: bolt}}},"
            "{metric: g, as: gauge, type: t, field: n, customer: acme},"
            "{metric: c, as: counter, type: l, field: n, customer: acme},"
            "{metric: nobody, as: counter, type: u, field: n, customer: acme}]}]\n");
  pull_targets_check(targets, catalog, gather, &said);
  buf_addc(&said, '\0');
  assert_string_equal(
      said.ptr, "held: customer bolt is not in the catalog\n"
                "g: a gauge gives levels, and meter total would add them up: make it an integral, or max or latest\n"
                "c: a counter gives increases, and meter held takes them for levels: make it a sum\n"
                "nobody: no meter counts events of type u: they are kept, and not billed\n");
  buf_free(&said);
  pull_targets_free(targets);
  catalog_free(catalog);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_all_of_it),
      cmocka_unit_test(names_the_place),
      cmocka_unit_test(refuses_what_can_not_be),
      cmocka_unit_test(tells_what_is_not_meant),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
