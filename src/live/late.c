/* Periods that are over and got usage late: each is loaded once more and looked at. */
#include "base/log.h"
#include "live/private.h"
#include <stdlib.h>

#define BATCHES_AT_ONCE 16

static bool matters(const struct live_view *v, const struct live_customer *c, enum watch_per per) {
  return view_watches(v, c, per) || (per == WATCH_MONTH && view_watches_spend(v, c));
}

static void mark_one(struct live_view *v, const struct live_customer *c, enum watch_per per, struct period period) {
  char text[80];
  snprintf(text, sizeof text, "%u|%d|%lld", c->customer->index, (int)per, (long long)period.from.ns);
  if (map_get(&v->late_seen, slice_of(text)) != NULL) {
    return;
  }
  if (v->late.count < LATE_MAX) {
    *map_put(&v->late_seen, arena_copy(v->late_arena, slice_of(text))) = v;
    vec_push(&v->late, (struct late_span){c->customer->index, per, period});
  } else if (!v->late_lost) {
    v->late_lost = true;
    log_line(LOG_WARN, "live", "more than %d past periods got usage late: alerts of some are not looked at", LATE_MAX);
  }
}

/* Hours and days longer ago than this many are not gone through one by one: their month still is. */
#define PERIODS_BACK_MAX 1000

bool late_mark(struct live_view *v, const struct live_customer *c, enum watch_per per, instant from, instant to,
               struct error *err) {
  struct period p;
  if (!matters(v, c, per)) {
    return true;
  }
  for (int i = 0; from.ns <= to.ns && i < PERIODS_BACK_MAX; i++, from = p.to) {
    if (!span_period(c->customer, per, from, &p, err)) {
      return false;
    }
    mark_one(v, c, per, p);
  }
  return true;
}

/* ---- working it off ---- */

static int by_kind(const void *a, const void *b) {
  const struct late_span *x = a, *y = b;
  if (x->per != y->per) {
    return x->per < y->per ? -1 : 1;
  }
  if (x->period.from.ns != y->period.from.ns) {
    return x->period.from.ns < y->period.from.ns ? -1 : 1;
  }
  return x->customer != y->customer ? (x->customer < y->customer ? -1 : 1) : 0;
}

struct batch {
  VEC(struct live_customer *) customers;
  VEC(struct live_span *) spans;
};

static void batch_free(struct batch *b) {
  for (size_t i = 0; i < b->spans.count; i++) {
    span_clear(b->spans.items[i]);
    free(b->spans.items[i]);
  }
  vec_free(&b->spans);
  vec_free(&b->customers);
}

/* The first ones of one kind of period and one beginning: no customer comes twice. */
static size_t take_batch(struct live_view *v, size_t from, struct batch *b) {
  size_t at = from;
  const struct late_span *first = &v->late.items[from];
  for (; at < v->late.count; at++) {
    const struct late_span *l = &v->late.items[at];
    if (l->per != first->per || l->period.from.ns != first->period.from.ns) {
      break;
    }
    struct live_span *span = mem_alloc(sizeof *span);
    span->period = l->period;
    vec_push(&b->spans, span);
    vec_push(&b->customers, &v->customers[l->customer]);
  }
  return at;
}

static bool late_spend(struct live_view *v, struct book *reader, const struct batch *b, instant now,
                       struct crossings *out, struct error *err) {
  VEC(struct spend_wish) wishes = {0};
  for (size_t i = 0; i < b->spans.count; i++) {
    if (view_watches_spend(v, b->customers.items[i])) {
      vec_push(&wishes, (struct spend_wish){b->customers.items[i], b->spans.items[i]->period});
    }
  }
  bool ok = spend_of(v, reader, wishes.items, wishes.count, now, out, err);
  vec_free(&wishes);
  return ok;
}

static bool look_at(struct live_view *v, struct book *reader, struct batch *b, enum watch_per per, instant now,
                    struct crossings *out, struct error *err) {
  bool ok = load_spans(v, book_db(reader), now, b->customers.items, b->spans.items, b->spans.count, err);
  for (size_t i = 0; ok && i < b->spans.count; i++) {
    ok = cross_usage(v, b->customers.items[i], per, b->spans.items[i], now, out, err);
  }
  return ok && (per != WATCH_MONTH || late_spend(v, reader, b, now, out, err));
}

static void drop_first(struct live_view *v, size_t count) {
  v->late.count -= count;
  for (size_t i = 0; i < v->late.count; i++) {
    v->late.items[i] = v->late.items[i + count];
  }
  map_free(&v->late_seen);
  arena_reset(v->late_arena);
  for (size_t i = 0; i < v->late.count; i++) {
    const struct late_span *l = &v->late.items[i];
    slice key =
        slice_of(arena_printf(v->late_arena, "%u|%d|%lld", l->customer, (int)l->per, (long long)l->period.from.ns));
    *map_put(&v->late_seen, key) = v;
  }
}

bool late_work(struct live_view *v, struct book *reader, instant now, struct crossings *out, struct error *err) {
  size_t done = 0;
  bool ok = true;
  if (v->late.count == 0) {
    return true;
  }
  qsort(v->late.items, v->late.count, sizeof *v->late.items, by_kind);
  for (int i = 0; ok && i < BATCHES_AT_ONCE && done < v->late.count; i++) {
    struct batch b = {0};
    size_t next = take_batch(v, done, &b);
    ok = look_at(v, reader, &b, v->late.items[done].per, now, out, err);
    batch_free(&b);
    done = ok ? next : done;
  }
  drop_first(v, done);
  v->late_lost &= v->late.count > 0;
  return ok;
}
