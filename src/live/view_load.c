/* Spans loaded whole: at the start, when a period begins, after corrections, and for what can not be added up. */
#include "live/private.h"
#include <stdlib.h>

/* What is held grows evenly up to here: the end of the hour, or of the period. */
static instant growth_end(const struct live_span *span, instant now) {
  int64_t hour = now.ns - now.ns % HOUR_NS + HOUR_NS;
  return (instant){hour < span->period.to.ns ? hour : span->period.to.ns};
}

static instant growth_start(const struct live_span *span, instant now) {
  const struct period *p = &span->period;
  return now.ns <= p->from.ns ? p->from : now.ns >= p->to.ns ? p->to : now;
}

/* Levels count up to `now`, and from there to the end of the hour in rows of their own, which are what is to come. */
static void open_windows(const struct live_view *view, struct usage *usage, instant now,
                         struct live_customer *const *customers, struct live_span *const *spans, size_t count) {
  usage_without_evidence(usage);
  usage_until(usage, (instant){now.ns - now.ns % HOUR_NS + HOUR_NS});
  for (size_t i = 0; i < count; i++) {
    struct live_span *s = spans[i];
    bool cut = view->has_integral && now.ns > s->period.from.ns && now.ns < s->period.to.ns;
    span_clear(s);
    s->growth = (struct period){growth_start(s, now), growth_end(s, now)};
    usage_window(usage, customers[i]->customer->id, s->period, &now, cut ? 1 : 0);
  }
}

/* Rows and customers are both in order of id. Levels known for later hours already are not usage yet. */
static bool take_rows(const struct live_view *view, const struct usage_row *rows, size_t row_count,
                      struct live_customer *const *customers, struct live_span *const *spans, size_t count,
                      struct error *err) {
  size_t at = 0;
  for (size_t i = 0; i < row_count; i++) {
    const struct usage_row *row = &rows[i];
    while (at < count && slice_cmp(customers[at]->customer->id, row->customer) < 0) {
      at++;
    }
    if (at == count) {
      return true;
    }
    if (!slice_eq(customers[at]->customer->id, row->customer)) {
      continue;
    }
    bool later = row->meter->aggregation == AGG_INTEGRAL && spans[at]->growth.from.ns < spans[at]->period.to.ns &&
                 row->from.ns >= spans[at]->growth.to.ns;
    if (!later && !span_add_row(spans[at], view->catalog->meter_count, row, err)) {
      return error_at(err, "customer " SLICE_FMT, SLICE_ARG(row->customer));
    }
  }
  return true;
}

bool load_spans(const struct live_view *view, struct db *db, instant now, struct live_customer *const *customers,
                struct live_span *const *spans, size_t count, struct error *err) {
  struct usage *usage = usage_new(view->catalog);
  const struct usage_row *rows;
  size_t row_count;
  open_windows(view, usage, now, customers, spans, count);
  bool ok = (view->position == 0 || usage_load(usage, db, view->position, err)) &&
            usage_finish(usage, &rows, &row_count, err) &&
            take_rows(view, rows, row_count, customers, spans, count, err);
  usage_free(usage);
  return ok;
}

/* ---- those of the view ---- */

struct stale {
  VEC(struct live_customer *) customers;
  VEC(struct live_span *) spans; /* filled beside the view, which is read meanwhile */
};

static void find_stale(struct live_view *view, enum watch_per per, struct stale *out) {
  for (size_t i = 0; i < view->customer_count; i++) {
    struct live_customer *c = &view->customers[i];
    if (c->spans[per].wanted && c->spans[per].stale) {
      struct live_span *fresh = mem_alloc(sizeof *fresh);
      *fresh = c->spans[per];
      fresh->cells = NULL;
      vec_push(&out->customers, c);
      vec_push(&out->spans, fresh);
    }
  }
}

static void put_fresh(struct live_view *view, enum watch_per per, struct stale *s) {
  must(pthread_rwlock_wrlock(&view->lock) == 0);
  for (size_t i = 0; i < s->spans.count; i++) {
    struct live_customer *c = s->customers.items[i];
    span_clear(&c->spans[per]);
    c->spans[per] = *s->spans.items[i];
    c->spans[per].stale = false;
    c->changed = c->spend_stale = true;
    s->spans.items[i]->cells = NULL;
  }
  must(pthread_rwlock_unlock(&view->lock) == 0);
}

static void stale_free(struct stale *s) {
  for (size_t i = 0; i < s->spans.count; i++) {
    span_clear(s->spans.items[i]);
    free(s->spans.items[i]);
  }
  vec_free(&s->spans);
  vec_free(&s->customers);
}

bool view_load_stale(struct live_view *view, struct db *db, instant now, struct error *err) {
  for (enum watch_per per = WATCH_MONTH; per < WATCH_PERS; per++) {
    struct stale s = {0};
    find_stale(view, per, &s);
    bool ok = s.spans.count == 0 || load_spans(view, db, now, s.customers.items, s.spans.items, s.spans.count, err);
    if (ok) {
      put_fresh(view, per, &s);
    }
    stale_free(&s);
    if (!ok) {
      return false;
    }
  }
  return true;
}
