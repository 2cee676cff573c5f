/* One limiter: what was called in the last 60 seconds, in buckets of memory that has a bound; and how it is told. */
#include "gateway/limits.h"
#include "gateway/limits_private.h"
#include <stdlib.h>
#include <string.h>

#define WINDOW_US INT64_C(60000000)
/* Buckets of one slot are joined when room is short: 60 s are at most 101 slots, so that some is found. */
#define SLOT_US 600000u
#define STEP_BACK_US WINDOW_US /* a clock that goes back further was set; less may be a thread that was held up */
#define TOKENS_MAX INT64_C(1000000000000)
#define PLACE_RETRY_MS 1000 /* nobody knows when a call under way ends */

_Static_assert(WINDOW_US / SLOT_US + 2 <= LIMITER_BUCKETS, "a full limiter has buckets to join");

/* ---- time ---- */

static int64_t up_to_us(instant t) {
  return (t.ns + 999) / 1000;
}

/* Of a bucket, at the limiter's time. Times in buckets are cut to 32 bits, for none is older than two minutes. */
static int64_t age_us(const struct limiter *l, uint32_t us) {
  return (int32_t)((uint32_t)l->latest_us - us);
}

static void forget(struct limiter *l, uint32_t at) {
  l->requests -= l->buckets[at].requests;
  l->tokens -= l->buckets[at].tokens;
}

static void shift_back(struct limiter *l, int64_t by_us) {
  for (uint32_t i = l->head; i < l->tail; i++) {
    l->buckets[i].last_us -= (uint32_t)by_us;
  }
  l->latest_us -= by_us;
}

/* What came a moment late counts as if it came now. */
static void advance(struct limiter *l, int64_t now_us) {
  if (now_us < l->latest_us - STEP_BACK_US) {
    shift_back(l, l->latest_us - now_us);
  } else if (now_us - l->latest_us >= 2 * WINDOW_US) {
    l->head = l->tail = 0;
    l->requests = l->tokens = 0;
  }
  l->latest_us = now_us > l->latest_us ? now_us : l->latest_us;
  while (l->head < l->tail && age_us(l, l->buckets[l->head].last_us) >= WINDOW_US) {
    forget(l, l->head++);
  }
}

/* ---- buckets, by the time of their last call ---- */

static bool is_empty(const struct limit_bucket *b) {
  return b->requests == 0 && b->tokens == 0;
}

static void make_room(struct limiter *l) {
  uint32_t out = 0, first = l->head;
  bool join = first == 0;
  for (uint32_t i = first; i < l->tail; i++) {
    struct limit_bucket b = l->buckets[i];
    if (is_empty(&b)) {
      continue;
    }
    struct limit_bucket *before = out > 0 ? &l->buckets[out - 1] : NULL;
    if (join && before && before->last_us / SLOT_US == b.last_us / SLOT_US) {
      before->last_us = b.last_us;
      before->requests += b.requests;
      before->tokens += b.tokens;
    } else {
      l->buckets[out++] = b;
    }
  }
  l->head = 0;
  l->tail = out;
  must(out < LIMITER_BUCKETS);
}

/* The first that has no call before `us`: there a call of that time is, if it still counts. */
static uint32_t bucket_of(const struct limiter *l, uint32_t us) {
  uint32_t at = l->tail;
  while (at > l->head && (int32_t)(l->buckets[at - 1].last_us - us) >= 0) {
    at--;
  }
  return at;
}

static void count(struct limiter *l, uint32_t us, int64_t tokens) {
  if (l->tail == LIMITER_BUCKETS) {
    make_room(l);
  }
  uint32_t at = bucket_of(l, us);
  if (at == l->tail || l->buckets[at].last_us != us) {
    memmove(&l->buckets[at + 1], &l->buckets[at], (l->tail - at) * sizeof *l->buckets);
    l->buckets[at] = (struct limit_bucket){.last_us = us};
    l->tail++;
  }
  l->buckets[at].requests++;
  l->buckets[at].tokens += tokens;
  l->requests++;
  l->tokens += tokens;
}

static int64_t hold_tokens(int64_t tokens) {
  return tokens < 0 ? 0 : tokens > TOKENS_MAX ? TOKENS_MAX : tokens;
}

/* ---- how long ---- */

static int64_t ms_until_free(const struct limiter *l, const struct limit_bucket *b) {
  return (WINDOW_US - age_us(l, b->last_us) + 999) / 1000;
}

/* Until so many requests and tokens of what counts now have left the window. */
static int64_t ms_until_gone(const struct limiter *l, int64_t requests, int64_t tokens) {
  for (uint32_t i = l->head; i < l->tail; i++) {
    requests -= l->buckets[i].requests;
    tokens -= l->buckets[i].tokens;
    if (requests <= 0 && tokens <= 0) {
      return ms_until_free(l, &l->buckets[i]);
    }
  }
  return WINDOW_US / 1000;
}

static void tell_state(const struct limiter *l, const struct call_limits *most, struct limit_state *out) {
  *out = (struct limit_state){.requests_limit = most->requests_a_minute, .tokens_limit = most->tokens_a_minute};
  if (most->requests_a_minute > 0 && l->requests < most->requests_a_minute) {
    out->requests_remaining = most->requests_a_minute - l->requests;
  }
  if (most->tokens_a_minute > 0 && l->tokens < most->tokens_a_minute) {
    out->tokens_remaining = most->tokens_a_minute - l->tokens;
  }
  bool requests = l->requests > 0, tokens = l->tokens > 0; /* are yet to be found */
  for (uint32_t i = l->tail; i > l->head && (requests || tokens); i--) {
    const struct limit_bucket *b = &l->buckets[i - 1];
    if (requests && b->requests > 0) {
      out->requests_reset_ms = ms_until_free(l, b);
      requests = false;
    }
    if (tokens && b->tokens > 0) {
      out->tokens_reset_ms = ms_until_free(l, b);
      tokens = false;
    }
  }
}

/* ---- taking and giving ---- */

static enum limit_verdict judge(const struct limiter *l, const struct call_limits *most, int64_t tokens,
                                int64_t *retry_ms) {
  int64_t requests_over = most->requests_a_minute > 0 ? l->requests + 1 - most->requests_a_minute : 0;
  int64_t tokens_over = most->tokens_a_minute > 0 ? l->tokens + tokens - most->tokens_a_minute : 0;
  *retry_ms = 0;
  if (most->tokens_a_minute > 0 && tokens > most->tokens_a_minute) {
    *retry_ms = -1;
    return LIMIT_TOKENS;
  }
  if (requests_over > 0 || tokens_over > 0) {
    *retry_ms = ms_until_gone(l, requests_over, tokens_over);
    return requests_over > 0 ? LIMIT_REQUESTS : LIMIT_TOKENS;
  }
  if (most->concurrency > 0 && l->running >= most->concurrency) {
    *retry_ms = PLACE_RETRY_MS;
    return LIMIT_CONCURRENCY;
  }
  return LIMIT_PASSED;
}

enum limit_verdict limiter_take(struct limiter *l, const struct call_limits *most, int64_t tokens, instant now,
                                struct limit_state *state, int64_t *retry_ms) {
  tokens = hold_tokens(tokens);
  pthread_mutex_lock(&l->lock);
  advance(l, now.ns / 1000);
  enum limit_verdict verdict = judge(l, most, tokens, retry_ms);
  if (verdict == LIMIT_PASSED) {
    int64_t us = up_to_us(now);
    count(l, (uint32_t)(us > l->latest_us ? us : l->latest_us), tokens);
    l->running++;
  }
  tell_state(l, most, state);
  pthread_mutex_unlock(&l->lock);
  return verdict;
}

static void correct(struct limiter *l, uint32_t begun_us, int64_t tokens_more, bool never_ran) {
  uint32_t at = bucket_of(l, begun_us);
  while (at < l->tail && l->buckets[at].requests == 0) {
    at++;
  }
  if (at == l->tail) {
    return;
  }
  l->buckets[at].tokens += tokens_more;
  l->tokens += tokens_more;
  if (never_ran) {
    l->buckets[at].requests--;
    l->requests--;
  }
}

void limiter_give(struct limiter *l, instant begun, int64_t tokens, int64_t tokens_used, bool never_ran, instant now) {
  int64_t begun_us = up_to_us(begun), more = (never_ran ? 0 : hold_tokens(tokens_used)) - hold_tokens(tokens);
  pthread_mutex_lock(&l->lock);
  must(l->running > 0);
  l->running--;
  advance(l, now.ns / 1000);
  if (l->latest_us - begun_us < WINDOW_US) {
    correct(l, (uint32_t)begun_us, more, never_ran);
  }
  pthread_mutex_unlock(&l->lock);
}

void limiter_remember(struct limiter *l, instant at, int64_t tokens) {
  int64_t us = up_to_us(at);
  pthread_mutex_lock(&l->lock);
  if (us > l->latest_us) {
    advance(l, us);
  }
  if (l->latest_us - us < WINDOW_US) {
    count(l, (uint32_t)us, hold_tokens(tokens));
  }
  pthread_mutex_unlock(&l->lock);
}

/* ---- telling ---- */

/* printf would be a good part of what admitting a call costs. */
static char *put_digits(char *to, int64_t value, const char *unit) {
  char text[DIGITS_MAX];
  slice digits = number_digits((uint64_t)value, text);
  size_t length = strlen(unit);
  memcpy(to, digits.ptr, digits.len);
  memcpy(to + digits.len, unit, length + 1);
  return to + digits.len + length;
}

char *limit_reset_text(int64_t ms, char text[32]) {
  if (ms <= 0) {
    snprintf(text, 32, "0s");
    return text;
  }
  if (ms < 1000) {
    put_digits(text, ms, "ms");
    return text;
  }
  int64_t seconds = ms / 1000, hours = seconds / 3600, minutes = seconds / 60 % 60;
  char *at = text;
  at = hours > 0 ? put_digits(at, hours, "h") : at;
  at = hours > 0 || minutes > 0 ? put_digits(at, minutes, "m") : at;
  at = put_digits(at, seconds % 60, "");
  if (ms % 1000 > 0) {
    *at++ = '.';
    at = put_digits(at, 1000 + ms % 1000, ""); /* the leading 1 keeps the zeros, and goes */
    memmove(at - 4, at - 3, 3);
    for (at--; at[-1] == '0'; at--) {
    }
  }
  memcpy(at, "s", 2);
  return text;
}
