/* Limits of calls: exactly as many as may pass do, from any number of threads, in any 60 seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/limits.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define START_S INT64_C(1793491200)

static instant at_ms(int64_t ms) {
  return (instant){START_S * NS_PER_S + ms * (NS_PER_S / 1000)};
}

struct one {
  struct limiters *all;
  struct limiter *l;
  struct limit_state state;
  int64_t retry_ms;
};

static int make_one(void **state) {
  struct one *o = calloc(1, sizeof *o);
  assert_non_null(o);
  o->all = limiters_new();
  o->l = limiter_of(o->all, SLICE("key_1"));
  *state = o;
  return 0;
}

static int free_one(void **state) {
  struct one *o = *state;
  limiter_drop(o->all, o->l);
  limiters_free(o->all);
  free(o);
  return 0;
}

static enum limit_verdict take(struct one *o, struct call_limits most, int64_t tokens, int64_t ms) {
  return limiter_take(o->l, &most, tokens, at_ms(ms), &o->state, &o->retry_ms);
}

static void test_requests(void **state) {
  struct one *o = *state;
  const struct call_limits most = {.requests_a_minute = 3};
  assert_int_equal(take(o, most, 0, 0), LIMIT_PASSED);
  assert_int_equal(take(o, most, 0, 10000), LIMIT_PASSED);
  assert_int_equal(o->state.requests_limit, 3);
  assert_int_equal(o->state.requests_remaining, 1);
  assert_int_equal(o->state.requests_reset_ms, 60000);
  assert_int_equal(o->state.tokens_limit, 0);
  assert_int_equal(o->retry_ms, 0);
  assert_int_equal(take(o, most, 0, 59999), LIMIT_PASSED);
  assert_int_equal(take(o, most, 0, 59999), LIMIT_REQUESTS);
  assert_int_equal(o->retry_ms, 1);
  assert_int_equal(o->state.requests_remaining, 0);
  assert_int_equal(take(o, most, 0, 60000), LIMIT_PASSED);
  assert_int_equal(take(o, most, 0, 60000), LIMIT_REQUESTS);
  assert_int_equal(o->retry_ms, 10000);
  assert_int_equal(take(o, most, 0, 1000000), LIMIT_PASSED);
  assert_int_equal(o->state.requests_remaining, 2);
}

static void test_tokens(void **state) {
  struct one *o = *state;
  const struct call_limits most = {.tokens_a_minute = 1000};
  assert_int_equal(take(o, most, 600, 0), LIMIT_PASSED);
  assert_int_equal(take(o, most, 401, 1000), LIMIT_TOKENS);
  assert_int_equal(o->retry_ms, 59000);
  assert_int_equal(o->state.tokens_remaining, 400);
  assert_int_equal(take(o, most, 400, 1000), LIMIT_PASSED);
  assert_int_equal(o->state.tokens_remaining, 0);
  limiter_give(o->l, at_ms(0), 600, 100, false, at_ms(2000)); /* the estimate was high */
  assert_int_equal(take(o, most, 500, 2000), LIMIT_PASSED);
  limiter_give(o->l, at_ms(1000), 400, 450, false, at_ms(3000)); /* and this one low */
  assert_int_equal(take(o, most, 0, 3000), LIMIT_TOKENS);
  assert_int_equal(o->retry_ms, 57000);
  assert_int_equal(o->state.tokens_remaining, 0);
  assert_int_equal(take(o, most, 1001, 3000), LIMIT_TOKENS);
  assert_int_equal(o->retry_ms, -1);
  assert_int_equal(take(o, most, 50, 60000), LIMIT_PASSED);
}

static void test_refused_takes_nothing(void **state) {
  struct one *o = *state;
  const struct call_limits most = {.requests_a_minute = 10, .tokens_a_minute = 100, .concurrency = 1};
  assert_int_equal(take(o, most, 50, 0), LIMIT_PASSED);
  for (int i = 0; i < 50; i++) {
    assert_int_equal(take(o, most, 10, i), LIMIT_CONCURRENCY);
    assert_true(o->retry_ms > 0);
    assert_int_equal(take(o, most, 60, i), LIMIT_TOKENS);
  }
  assert_int_equal(o->state.requests_remaining, 9);
  assert_int_equal(o->state.tokens_remaining, 50);
  limiter_give(o->l, at_ms(0), 50, 0, true, at_ms(60)); /* it never ran */
  assert_int_equal(take(o, most, 100, 60), LIMIT_PASSED);
  assert_int_equal(o->state.requests_remaining, 9);
}

static void test_given_long_after(void **state) {
  struct one *o = *state;
  const struct call_limits most = {.requests_a_minute = 2, .tokens_a_minute = 100};
  assert_int_equal(take(o, most, 90, 0), LIMIT_PASSED);
  assert_int_equal(take(o, most, 90, 60000), LIMIT_PASSED);
  limiter_give(o->l, at_ms(0), 90, 5000, false, at_ms(60001));
  assert_int_equal(take(o, most, 10, 60001), LIMIT_PASSED);
}

static void test_remembered(void **state) {
  struct one *o = *state;
  const struct call_limits most = {.requests_a_minute = 3, .tokens_a_minute = 100};
  limiter_remember(o->l, at_ms(20000), 30);
  limiter_remember(o->l, at_ms(10000), 60); /* in any order */
  limiter_remember(o->l, at_ms(-50000), 1000);
  assert_int_equal(take(o, most, 11, 65000), LIMIT_TOKENS);
  assert_int_equal(o->retry_ms, 5000);
  assert_int_equal(take(o, most, 10, 65000), LIMIT_PASSED);
  assert_int_equal(take(o, most, 0, 65000), LIMIT_REQUESTS);
}

/* A clock that is set back neither locks out for as long nor frees what counts. */
static void test_clock_set_back(void **state) {
  struct one *o = *state;
  const struct call_limits most = {.requests_a_minute = 1};
  assert_int_equal(take(o, most, 0, 3600000), LIMIT_PASSED);
  assert_int_equal(take(o, most, 0, 0), LIMIT_REQUESTS);
  assert_int_equal(o->retry_ms, 60000);
  assert_int_equal(take(o, most, 0, 60000), LIMIT_PASSED);
}

/* A thread that was held up between looking at the clock and asking makes nothing older. */
static void test_late_threads(void **state) {
  struct one *o = *state;
  const struct call_limits most = {.requests_a_minute = 1};
  assert_int_equal(take(o, most, 0, 0), LIMIT_PASSED);
  for (int i = 0; i < 100; i++) {
    assert_int_equal(take(o, most, 0, 30000), LIMIT_REQUESTS);
    assert_int_equal(take(o, most, 0, 1000), LIMIT_REQUESTS);
    assert_int_equal(o->retry_ms, 30000);
  }
}

static void test_large_limit(void **state) {
  struct one *o = *state;
  const struct call_limits most = {.requests_a_minute = 100000};
  for (int i = 0; i < 100000; i++) {
    assert_int_equal(take(o, most, 7, i / 2), LIMIT_PASSED);
  }
  assert_int_equal(take(o, most, 7, 50000), LIMIT_REQUESTS);
  assert_true(o->retry_ms >= 10000 && o->retry_ms <= 10600);
  assert_int_equal(take(o, most, 7, 59999), LIMIT_REQUESTS);
  assert_int_equal(take(o, most, 7, 60600), LIMIT_PASSED);
  assert_int_equal(take(o, most, 7, 110600), LIMIT_PASSED);
  assert_int_equal(o->state.requests_remaining, 99998);
}

/* ---- threads ---- */

#define THREADS 8
#define HAMMERED_MS 3000

struct hammer {
  struct limiters *all;
  struct call_limits most;
  bool gives;
  _Atomic int passed, running, most_running;
};

static void *hammer(void *context) {
  struct hammer *h = context;
  for (int ms = 0; ms < HAMMERED_MS; ms++) {
    struct limiter *l = limiter_of(h->all, SLICE("key_2"));
    struct limit_state state;
    int64_t retry_ms;
    if (limiter_take(l, &h->most, 1, at_ms(ms), &state, &retry_ms) == LIMIT_PASSED) {
      int running = ++h->running, most = h->most_running;
      h->passed++;
      while (running > most && !atomic_compare_exchange_weak(&h->most_running, &most, running)) {
      }
      h->running--;
      if (h->gives) {
        limiter_give(l, at_ms(ms), 1, 1, false, at_ms(ms));
      }
    }
    limiter_drop(h->all, l);
  }
  return NULL;
}

static void run_hammers(struct hammer *h) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, hammer, h), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  }
}

static void test_threads_requests(void **state) {
  struct one *o = *state;
  struct hammer h = {.all = o->all, .most = {.requests_a_minute = 100}};
  run_hammers(&h);
  assert_int_equal(h.passed, 100);
}

static void test_threads_tokens(void **state) {
  struct one *o = *state;
  struct hammer h = {.all = o->all, .most = {.tokens_a_minute = 300}, .gives = true};
  run_hammers(&h);
  assert_int_equal(h.passed, 300);
}

static void test_threads_concurrency(void **state) {
  struct one *o = *state;
  struct hammer h = {.all = o->all, .most = {.concurrency = 2}, .gives = true};
  run_hammers(&h);
  assert_true(h.passed > HAMMERED_MS / THREADS);
  assert_true(h.most_running <= 2);
  h.gives = false;
  h.passed = 0;
  run_hammers(&h);
  assert_int_equal(h.passed, 2);
}

/* ---- many ---- */

static void use(struct limiters *all, int number, int64_t ms, bool keep_running) {
  char name[32];
  const struct call_limits most = {.requests_a_minute = 1};
  struct limit_state limit_state;
  int64_t retry_ms;
  int length = snprintf(name, sizeof name, "key_%d", number);
  struct limiter *l = limiter_of(all, (slice){name, (size_t)length});
  assert_int_equal(limiter_take(l, &most, 1, at_ms(ms), &limit_state, &retry_ms), LIMIT_PASSED);
  assert_int_equal(limiter_take(l, &most, 1, at_ms(ms), &limit_state, &retry_ms), LIMIT_REQUESTS);
  if (!keep_running) {
    limiter_give(l, at_ms(ms), 1, 1, false, at_ms(ms));
  }
  limiter_drop(all, l);
}

static void test_idle_ones_go(void **state) {
  (void)state;
  struct limiters *all = limiters_new();
  for (int i = 0; i < 10000; i++) {
    use(all, i, 0, i % 100 == 0);
  }
  assert_int_equal(limiters_count(all), 10000);
  for (int i = 10000; i < 20000; i++) { /* after 9 minutes none goes */
    use(all, i, 540000, false);
  }
  assert_int_equal(limiters_count(all), 20000);
  for (int i = 20000; i < 30000; i++) {
    use(all, i, 600001, false);
  }
  assert_in_range(limiters_count(all), 20100, 20200); /* a few chains hold some until the next time */
  limiters_free(all);
}

static void test_reset_text(void **state) {
  (void)state;
  static const struct {
    int64_t ms;
    const char *text;
  } cases[] = {{0, "0s"},           {1, "1ms"},          {12, "12ms"},         {999, "999ms"},  {1000, "1s"},
               {1500, "1.5s"},      {1050, "1.05s"},     {59999, "59.999s"},   {60000, "1m0s"}, {360000, "6m0s"},
               {90250, "1m30.25s"}, {3600000, "1h0m0s"}, {86461000, "24h1m1s"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[32];
    assert_string_equal(limit_reset_text(cases[i].ms, text), cases[i].text);
  }
}

#define WITH_ONE(test) cmocka_unit_test_setup_teardown(test, make_one, free_one)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_ONE(test_requests),
      WITH_ONE(test_tokens),
      WITH_ONE(test_refused_takes_nothing),
      WITH_ONE(test_given_long_after),
      WITH_ONE(test_remembered),
      WITH_ONE(test_clock_set_back),
      WITH_ONE(test_late_threads),
      WITH_ONE(test_large_limit),
      WITH_ONE(test_threads_requests),
      WITH_ONE(test_threads_tokens),
      WITH_ONE(test_threads_concurrency),
      cmocka_unit_test(test_idle_ones_go),
      cmocka_unit_test(test_reset_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
