/* Random calls against a limiter and a slow one that keeps every call: never more pass than may in any 60 seconds, and
 * never is one refused that may pass; beyond 112 calls a minute, none longer than 0.6 s. */
#include "base/hash.h"
#include "gateway/limits.h"
#include <stdio.h>
#include <stdlib.h>

#define WINDOW_NS (60 * NS_PER_S)
#define LATE_NS (WINDOW_NS + 6 * (NS_PER_S / 10))
#define EXACT_CALLS 111
#define STEPS 3000
#define CALLS_MAX (2 * STEPS)

struct call {
  int64_t at, tokens;
  bool counts, runs;
};
struct world {
  uint64_t seed;
  struct random random;
  struct call_limits most;
  struct call calls[CALLS_MAX];
  size_t count;
  int64_t running, now;
  bool leaps; /* to the moments when calls leave their minute, which are also moments without many calls */
  struct limiter *limiter;
};

static void expect(const struct world *w, bool holds, const char *what) {
  if (!holds) {
    fprintf(stderr, "prop_limits: SEED=%llu: %s, at %lld ns\n", (unsigned long long)w->seed, what, (long long)w->now);
    exit(1);
  }
}

static int64_t below(struct world *w, int64_t bound) {
  return (int64_t)random_below(&w->random, (uint64_t)bound);
}

/* May it pass when calls count for so long? */
static bool may(const struct world *w, int64_t tokens, int64_t window_ns) {
  int64_t requests_in = 0, tokens_in = 0;
  for (size_t i = 0; i < w->count; i++) {
    if (w->calls[i].counts && w->now - w->calls[i].at < window_ns) {
      requests_in++;
      tokens_in += w->calls[i].tokens;
    }
  }
  return (w->most.requests_a_minute == 0 || requests_in < w->most.requests_a_minute) &&
         (w->most.tokens_a_minute == 0 || tokens_in + tokens <= w->most.tokens_a_minute) &&
         (w->most.concurrency == 0 || w->running < w->most.concurrency);
}

static size_t recent(const struct world *w) {
  size_t n = 0;
  for (size_t i = 0; i < w->count; i++) {
    n += w->now - w->calls[i].at < 2 * LATE_NS;
  }
  return n;
}

static void take(struct world *w) {
  int64_t tokens = below(w, 40), retry_ms;
  struct limit_state state;
  enum limit_verdict verdict = limiter_take(w->limiter, &w->most, tokens, (instant){w->now}, &state, &retry_ms);
  if (verdict == LIMIT_PASSED) {
    expect(w, may(w, tokens, WINDOW_NS), "one too many passed");
    w->calls[w->count++] = (struct call){.at = w->now, .tokens = tokens, .counts = true, .runs = true};
    w->running++;
    return;
  }
  expect(w, !may(w, tokens, LATE_NS), "refused what may pass");
  if (recent(w) <= EXACT_CALLS) {
    expect(w, !may(w, tokens, WINDOW_NS), "refused what may pass, of few calls");
    if (verdict != LIMIT_CONCURRENCY && retry_ms > 0) {
      struct world later = *w; /* nothing else happening */
      later.most.concurrency = 0;
      later.now += retry_ms * 1000000;
      expect(w, may(&later, tokens, WINDOW_NS), "told to come again too early");
      later.now -= 1000000;
      expect(w, !may(&later, tokens, WINDOW_NS), "told to come again too late");
    }
  }
}

static void give(struct world *w) {
  size_t nth = (size_t)below(w, w->running);
  struct call *c = w->calls;
  for (;; c++) {
    if (c->runs && nth-- == 0) {
      break;
    }
  }
  int64_t used = below(w, 60);
  bool never_ran = below(w, 8) == 0;
  limiter_give(w->limiter, (instant){c->at}, c->tokens, used, never_ran, (instant){w->now});
  c->runs = false;
  w->running--;
  if (w->now - c->at < WINDOW_NS) {
    c->counts = !never_ran;
    c->tokens = used;
  }
}

static void recall(struct world *w) {
  int64_t at = w->now - below(w, 70000) * 1000000, tokens = below(w, 40);
  limiter_remember(w->limiter, (instant){at}, tokens);
  if (w->now - at < WINDOW_NS) {
    w->calls[w->count++] = (struct call){.at = at, .tokens = tokens, .counts = true};
  }
}

/* On by some time; now and then to the moment before a call leaves its minute, or to that moment. */
static void pass_time(struct world *w, int64_t pace_us) {
  w->now += below(w, 2 * pace_us) * 1000;
  if (below(w, 200) == 0) {
    w->now += below(w, 70) * NS_PER_S;
  }
  if (w->leaps && w->count > 0 && below(w, 50) == 0) {
    size_t back = (size_t)below(w, w->count < 100 ? (int64_t)w->count : 100);
    int64_t leaves = w->calls[w->count - 1 - back].at + WINDOW_NS - below(w, 2) * 1000;
    w->now = leaves > w->now ? leaves : w->now;
  }
}

static void run_case(uint64_t seed) {
  static struct world w;
  w = (struct world){.seed = seed, .now = INT64_C(1793491200) * NS_PER_S};
  random_seed(&w.random, seed, 1);
  struct limiters *all = limiters_new();
  w.limiter = limiter_of(all, SLICE("it"));
  w.leaps = below(&w, 2);
  int64_t pace_us = INT64_C(1) << below(&w, 24);
  w.most = (struct call_limits){.requests_a_minute = below(&w, 3) ? 1 + below(&w, below(&w, 2) ? 50 : 1000) : 0,
                                .tokens_a_minute = below(&w, 3) ? 40 + below(&w, below(&w, 2) ? 500 : 20000) : 0,
                                .concurrency = below(&w, 3) ? 0 : 1 + below(&w, 20)};
  for (int i = 0; i < STEPS; i++) {
    pass_time(&w, pace_us);
    if (w.running > 0 && below(&w, 3) == 0) {
      give(&w);
    } else if (w.count > 0 && below(&w, 100) == 0) {
      recall(&w);
    } else {
      take(&w);
    }
  }
  limiter_drop(all, w.limiter);
  limiters_free(all);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 1;
  uint64_t cases = seed_text ? 1 : cases_text ? strtoull(cases_text, NULL, 10) : 100;
  printf("prop_limits: seeds %llu to %llu\n", (unsigned long long)seed, (unsigned long long)(seed + cases - 1));
  for (uint64_t i = 0; i < cases; i++) {
    run_case(seed + i);
  }
  return 0;
}
