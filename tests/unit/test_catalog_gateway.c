/* Tests of what the catalog says of the gateway: upstreams, models, limits of calls and credit lines; and of what it
 * may not say, refused with its place and what was expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/url.h"
#include "catalog/catalog.h"

static struct catalog *load(const char *text) {
  struct catalog_text file = {"c.yaml", slice_of(text)};
  struct catalog *catalog;
  struct error err = {0};
  if (!catalog_parse(&file, 1, &catalog, &err)) {
    fail_msg("%s", err.message);
  }
  return catalog;
}

static void refused(const char *text, const char *place, const char *why) {
  struct catalog_text file = {"c.yaml", slice_of(text)};
  struct catalog *catalog;
  struct error err = {0};
  if (catalog_parse(&file, 1, &catalog, &err)) {
    fail_msg("accepted: %s", text);
  }
  if (!strstr(err.message, place) || !strstr(err.message, why)) {
    fail_msg("%s\ngave: %s\nexpected: %s ... %s", text, err.message, place, why);
  }
}

static const char WHOLE[] =
    "currency: EUR\n"
    "seller: {name: Northwind}\n"
    "gateway: {event: llm.call, queue: 5 s}\n"
    "pools: [{name: ams1, count: 16}]\n"
    "upstreams:\n"
    "  - {name: a, url: 'http://10.0.0.5:8000', key_env: VLLM_KEY, pool: ams1, units: 8, concurrency: 64,\n"
    "     health: /health, timeout: 60 s, connect_timeout: 500ms}\n"
    "  - {name: b, url: 'https://models.internal/base/v1/', shape: anthropic, key_file: /etc/key}\n"
    "  - {name: c, url: 'http://[::1]:81/'}\n"
    "models:\n"
    "  - {name: zeta, upstream: a}\n"
    "  - name: coder\n"
    "    upstreams: [a, {upstream: c, model: Qwen/Coder-32B, weight: 2, priority: 1}]\n"
    "    context: 131072\n"
    "    max_output: 8192\n"
    "    doors: [chat, responses, embeddings]\n"
    "    tiers: [flex, batch]\n"
    "    owned_by: Qwen\n"
    "    created: 2026-01-01\n"
    "  - {name: claude, upstream: b, context: 2000}\n"
    "plans:\n"
    "  - {name: small, valid_from: 2026-01-01, calls: {requests_a_minute: 10, concurrency: 2}}\n"
    "  - {name: small, valid_from: 2026-02-01, calls: {requests_a_minute: 20}}\n"
    "customers:\n"
    "  - {id: own, plan: small, credit_line: 5000.50, calls: {tokens_a_minute: 200000, concurrency: 5}}\n"
    "  - {id: post, plan: small, credit_line: unlimited}\n"
    "  - {id: pre, plan: small, currency: EUR}\n";

static void test_upstreams(void **state) {
  (void)state;
  struct catalog *c = load(WHOLE);
  assert_int_equal(c->upstream_count, 3);
  const struct upstream *a = &c->upstreams[0], *b = &c->upstreams[1], *plain = &c->upstreams[2];
  assert_true(slice_is(a->name, "a") && slice_is(a->host, "10.0.0.5") && slice_is(a->path, ""));
  assert_int_equal(a->port, 8000);
  assert_false(a->tls || a->anthropic);
  assert_true(slice_is(a->key_env, "VLLM_KEY") && a->key_file.len == 0 && slice_is(a->health, "/health"));
  assert_int_equal(a->concurrency, 64);
  assert_int_equal(a->timeout_s, 60);
  assert_int_equal(a->connect_timeout_ms, 500);
  assert_ptr_equal(a->pool, &c->pools[0]);
  assert_true(a->units.e9 == 8 * QUANTITY_E9);
  assert_true(b->tls && b->anthropic && slice_is(b->host, "models.internal") && slice_is(b->path, "/base"));
  assert_int_equal(b->port, 443);
  assert_true(slice_is(b->key_file, "/etc/key"));
  assert_true(slice_is(plain->host, "::1") && slice_is(plain->path, ""));
  assert_int_equal(plain->port, 81);
  assert_int_equal(plain->timeout_s, 900);
  assert_int_equal(plain->connect_timeout_ms, 2000);
  assert_int_equal(plain->concurrency, 0);
  assert_int_equal(plain->index, 2);
  assert_null(plain->pool);
  catalog_free(c);
}

static void test_models(void **state) {
  (void)state;
  struct catalog *c = load(WHOLE);
  const unsigned all_but_embeddings = 1 | 2 | 8 | 16;
  assert_true(slice_is(c->gateway.event_type, "llm.call"));
  assert_int_equal(c->gateway.queue_ms, 5000);
  assert_int_equal(c->model_count, 3);
  for (size_t i = 0; i < 3; i++) {
    assert_ptr_equal(catalog_model(c, c->models[i].name), &c->models[i]);
    assert_int_equal(c->models[i].index, i);
  }
  assert_null(catalog_model(c, SLICE("coder2")));
  const struct model *zeta = catalog_model(c, SLICE("zeta")), *coder = catalog_model(c, SLICE("coder"));
  const struct model *claude = catalog_model(c, SLICE("claude"));
  assert_int_equal(zeta->doors, all_but_embeddings);
  assert_int_equal(zeta->tiers, 1);
  assert_int_equal(zeta->output_tokens_max, 4096);
  assert_int_equal(zeta->context_tokens, 0);
  assert_int_equal(zeta->created, 0);
  assert_true(slice_is(zeta->owned_by, "Northwind"));
  assert_int_equal(zeta->target_count, 1);
  assert_true(zeta->targets[0].upstream == &c->upstreams[0] && slice_is(zeta->targets[0].model, "zeta"));
  assert_int_equal(zeta->targets[0].weight, 1);
  assert_int_equal(coder->target_count, 2);
  assert_true(coder->targets[1].upstream == &c->upstreams[2] && slice_is(coder->targets[1].model, "Qwen/Coder-32B"));
  assert_int_equal(coder->targets[1].weight, 2);
  assert_int_equal(coder->targets[1].priority, 1);
  assert_int_equal(coder->targets[1].index, 1);
  assert_int_equal(coder->doors, 1 | 4 | 8);
  assert_int_equal(coder->tiers, 1 | 2 | 8);
  assert_int_equal(coder->context_tokens, 131072);
  assert_int_equal(coder->output_tokens_max, 8192);
  assert_int_equal(coder->created, 1767225600);
  assert_true(slice_is(coder->owned_by, "Qwen"));
  assert_int_equal(claude->doors, 16);
  assert_int_equal(claude->output_tokens_max, 2000);
  assert_string_equal(model_tier_name(TIER_PRIORITY), "priority");
  catalog_free(c);
}

static void test_customers(void **state) {
  (void)state;
  struct catalog *c = load(WHOLE);
  const instant january = {1767225600 * NS_PER_S}, february = {1769904000 * NS_PER_S}, before = {1000};
  const struct customer *own = catalog_customer(c, SLICE("own")), *post = catalog_customer(c, SLICE("post"));
  assert_true(own->credit_line.e12 == (int128)5000 * AMOUNT_E12 + AMOUNT_E12 / 2 && !own->unlimited_credit);
  assert_true(post->unlimited_credit && amount_is_zero(post->credit_line));
  const struct customer *pre = catalog_customer(c, SLICE("pre"));
  assert_true(!pre->unlimited_credit && amount_is_zero(pre->credit_line));
  struct call_limits limits = catalog_call_limits(c, own, january);
  assert_int_equal(limits.requests_a_minute, 10);
  assert_int_equal(limits.tokens_a_minute, 200000);
  assert_int_equal(limits.concurrency, 5);
  limits = catalog_call_limits(c, post, february);
  assert_int_equal(limits.requests_a_minute, 20);
  assert_int_equal(limits.tokens_a_minute, 0);
  assert_int_equal(limits.concurrency, 0);
  limits = catalog_call_limits(c, own, before);
  assert_int_equal(limits.requests_a_minute, 0);
  assert_int_equal(limits.concurrency, 5);
  catalog_free(c);
}

static void test_without(void **state) {
  (void)state;
  struct catalog *c = load("models: []\n");
  assert_true(slice_is(c->gateway.event_type, "model.call"));
  assert_int_equal(c->gateway.queue_ms, 30000);
  assert_int_equal(c->model_count + c->upstream_count, 0);
  assert_null(catalog_model(c, SLICE("")));
  catalog_free(c);
}

/* What a customer may see of the catalog says nothing of the servers behind it. */
static void test_reduced(void **state) {
  (void)state;
  struct catalog *c = load(WHOLE);
  struct arena *arena = arena_new();
  struct catalog_text *texts;
  size_t count;
  struct error err = {0};
  assert_true(catalog_reduce(arena, c, SLICE("own"), &texts, &count, &err));
  assert_int_equal(count, 1);
  assert_null(strstr(texts[0].text.ptr, "VLLM_KEY"));
  assert_null(strstr(texts[0].text.ptr, "10.0.0.5"));
  assert_null(strstr(texts[0].text.ptr, "Qwen"));
  assert_non_null(strstr(texts[0].text.ptr, "5000.50"));
  assert_non_null(strstr(texts[0].text.ptr, "requests_a_minute"));
  arena_free(arena);
  catalog_free(c);
}

#define UPSTREAM(more) "upstreams: [{name: u, " more "}]\n"
#define AT(more) UPSTREAM("url: 'http://h:8000', " more)

static void test_wrong_upstreams(void **state) {
  (void)state;
  refused("upstreams: [{url: 'http://h'}]\n", "c.yaml:1: upstreams[0]: ", "\"name\" is missing");
  refused("upstreams: [{name: u}]\n", "upstreams[0]: ", "\"url\" is missing");
  refused("upstreams:\n- {name: u, url: 'http://h'}\n- {name: u, url: 'http://i'}\n",
          "c.yaml:3: ", "stands on c.yaml:2 already");
  refused(UPSTREAM("url: h"), "upstreams[0].url: ", "begin with http");
  refused(UPSTREAM("url: 'ftp://h'"), "upstreams[0].url: ", "begin with http");
  refused(UPSTREAM("url: 'http://'"), "upstreams[0].url: ", "no host");
  refused(UPSTREAM("url: 'http://:80'"), "upstreams[0].url: ", "no host");
  refused(UPSTREAM("url: 'http://h?x'"), "upstreams[0].url: ", "no host");
  refused(UPSTREAM("url: 'http://::1'"), "upstreams[0].url: ", "no host");
  refused(UPSTREAM("url: 'http://h:0'"), "upstreams[0].url: ", "1 to 65535");
  refused(UPSTREAM("url: 'http://h:65536'"), "upstreams[0].url: ", "1 to 65535");
  refused(UPSTREAM("url: 'http://h:'"), "upstreams[0].url: ", "1 to 65535");
  refused(UPSTREAM("url: 'http://me:pass@h'"), "upstreams[0].url: ", "leave out user and password");
  refused(UPSTREAM("url: 'http://h/a?b=c'"), "upstreams[0].url: ", "leave out the query");
  refused(UPSTREAM("url: 'http://h/a b'"), "upstreams[0].url: ", "blanks");
  refused(UPSTREAM("url: 'http://h/#a'"), "upstreams[0].url: ", "fragment");
  refused(AT("shape: openapi"), "upstreams[0].shape: ", "did you mean \"openai\"?");
  refused(AT("key: sk-1"), "upstreams[0].key: ", "name the environment variable that holds it");
  refused(AT("key_env: sk-secret"), "upstreams[0].key_env: ", "no name of an environment variable");
  refused(AT("key_env: 1A"), "upstreams[0].key_env: ", "no digit first");
  refused(AT("key_env: A, key_file: b"), "upstreams[0].key_file: ", "keep one of the two");
  refused(AT("concurrency: 0"), "upstreams[0].concurrency: ", "whole number from 1");
  refused(AT("health: health"), "upstreams[0].health: ", "expected a path such as /health");
  refused(AT("timeout: 900"), "upstreams[0].timeout: ", "expected a time such as 15s");
  refused(AT("timeout: 500 ms"), "upstreams[0].timeout: ", "expected 1000 ms to 86400 s");
  refused(AT("timeout: 999999999 hours"), "upstreams[0].timeout: ", "at most 24 hours");
  refused(AT("connect_timeout: 0 s"), "upstreams[0].connect_timeout: ", "expected 1 ms to 600 s");
  refused(AT("units: 1"), "upstreams[0].units: ", "needs a \"pool\"");
  refused("currency: EUR\npools: [{name: ams1, count: 4}]\n" AT("pool: ams2, units: 1"),
          "c.yaml:3: upstreams[0].pool: ", "there is no pool \"ams2\": did you mean \"ams1\"?");
  refused("currency: EUR\npools: [{name: ams1, count: 4}]\n" AT("pool: ams1"),
          "upstreams[0]: ", "\"units\" is missing");
  refused("currency: EUR\npools: [{name: ams1, count: 4}]\n" AT("pool: ams1, units: 5"),
          "upstreams[0].units: ", "more than the pool \"ams1\" has: 4");
}

#define MODEL(more)                                                                                                    \
  "upstreams: [{name: u, url: 'http://h'}, {name: v, url: 'http://i', shape: anthropic}]\nmodels: [{" more "}]\n"

static void test_wrong_models(void **state) {
  (void)state;
  refused(MODEL("upstream: u"), "c.yaml:2: models[0]: ", "\"name\" is missing");
  refused(MODEL("name: m"), "models[0]: ", "either \"upstream\"");
  refused(MODEL("name: m, upstream: u, upstreams: [u]"), "models[0]: ", "either \"upstream\"");
  refused(MODEL("name: m, upstreams: []"), "models[0].upstreams: ", "is empty");
  refused(MODEL("name: m, upstreams: u"), "models[0].upstreams: ", "expected a list");
  refused(MODEL("name: m, upstream: uu"), "models[0].upstream: ", "there is no upstream \"uu\": did you mean \"u\"?");
  refused(MODEL("name: m, upstreams: [[u]]"), "models[0].upstreams[0]: ", "not a list");
  refused(MODEL("name: m, upstreams: [{model: x}]"), "models[0].upstreams[0]: ", "\"upstream\" is missing");
  refused(MODEL("name: m, upstreams: [u, u]"), "models[0].upstreams[1]: ", "is in the list already");
  refused(MODEL("name: m, upstreams: [{upstream: u, weight: 0}]"), "upstreams[0].weight: ", "from 1 to 1000");
  refused(MODEL("name: m, upstreams: [{upstream: u, priority: 101}]"), "upstreams[0].priority: ", "from 0 to 100");
  refused(MODEL("name: m, upstream: u, doors: []"), "models[0].doors: ", "is empty");
  refused(MODEL("name: m, upstream: u, doors: [chats]"), "models[0].doors[0]: ", "did you mean \"chat\"?");
  refused(MODEL("name: m, upstream: v, doors: [chat]"), "models[0].doors: ", "upstream \"v\" has shape: anthropic");
  refused(MODEL("name: m, upstream: u, tiers: [fast]"), "models[0].tiers[0]: ", "default, flex, priority, batch");
  refused(MODEL("name: m, upstream: u, context: 0"), "models[0].context: ", "whole number from 1");
  refused(MODEL("name: m, upstream: u, context: 10, max_output: 11"), "models[0].max_output: ", "more than the 10");
  refused(MODEL("name: m, upstream: u, created: now"), "models[0].created: ", "expected a date");
  refused(MODEL("name: m, upstream: u}, {name: m, upstream: u"), "models[1]: ", "already: give each a name of its own");
}

static void test_wrong_rest(void **state) {
  (void)state;
  refused("gateway: {queue: 11 minutes}\n", "c.yaml:1: gateway.queue: ", "expected 0 ms to 600 s");
  refused("gateway: {events: a}\n", "gateway.events: ", "event");
  refused("gateway: {event: ''}\n", "gateway.event: ", "must not be empty");
#define CUSTOMER(more) "currency: EUR\nplans: [{name: p}]\ncustomers: [{id: c, plan: p, " more "}]\n"
  refused(CUSTOMER("credit_line: -1"), "c.yaml:3: customers[0].credit_line: ", "0 or more in EUR, or unlimited");
  refused(CUSTOMER("credit_line: none"), "customers[0].credit_line: ", "0 or more in EUR, or unlimited");
  refused(CUSTOMER("calls: {}"), "customers[0].calls: ", "says nothing");
  refused(CUSTOMER("calls: {rpm: 1}"), "customers[0].calls", "rpm");
  refused(CUSTOMER("calls: {requests_a_minute: 0}"), "calls.requests_a_minute: ", "whole number from 1");
  refused(CUSTOMER("calls: {tokens_a_minute: 1e6}"), "calls.tokens_a_minute: ", "whole number from 1");
}

static void test_url(void **state) {
  (void)state;
  struct url url;
  struct error err;
  assert_true(url_split(SLICE("https://[fe80::1]/x?y"), &url, &err));
  assert_true(url.tls && url.port == 443 && slice_is(url.host, "fe80::1") && slice_is(url.path, "/x?y"));
  assert_true(url_split(SLICE("http://a_b.c-d:65535"), &url, &err));
  assert_true(!url.tls && url.port == 65535 && slice_is(url.host, "a_b.c-d") && url.path.len == 0);
  assert_false(url_split(SLICE(""), &url, &err));
  assert_false(url_split(SLICE("http://[]"), &url, &err));
  assert_false(url_split(SLICE("http://h\r\nX: y"), &url, &err));
}

static void test_durations(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t ms;
  } good[] = {{"0 s", 0},    {"500ms", 500},        {"15s", 15000}, {"1 second", 1000}, {"2 minutes", 120000},
              {"1m", 60000}, {"24 hours", 86400000}};
  static const char *const bad[] = {"", "s", "1", "-1 s", "1.5 s", "25 h", "999999999h", "1 day", "9999999999 ms"};
  duration d;
  struct error err;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    assert_true(time_parse_duration(slice_of(good[i].text), &d, &err));
    assert_int_equal(d.ns, good[i].ms * (NS_PER_S / 1000));
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_false(time_parse_duration(slice_of(bad[i]), &d, &err));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_upstreams),    cmocka_unit_test(test_models),
                                     cmocka_unit_test(test_customers),    cmocka_unit_test(test_without),
                                     cmocka_unit_test(test_reduced),      cmocka_unit_test(test_wrong_upstreams),
                                     cmocka_unit_test(test_wrong_models), cmocka_unit_test(test_wrong_rest),
                                     cmocka_unit_test(test_url),          cmocka_unit_test(test_durations)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
