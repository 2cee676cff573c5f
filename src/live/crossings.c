/* Thresholds against usage and spend: what is crossed and was not told yet. */
#include "live/private.h"

#define KEY_BYTES_MAX 2048

bool live_threshold(const struct alert *alert, int percent, quantity *units, amount *spend, struct error *err) {
  *units = QUANTITY_ZERO;
  *spend = AMOUNT_ZERO;
  return alert->meter ? int128_muldiv(alert->at.e9, percent, 100, ROUND_UP, &units->e9, err)
                      : int128_muldiv(alert->spend.e12, percent, 100, ROUND_UP, &spend->e12, err);
}

/* ---- told already? The store decides; this only spares it the question. ---- */

static void key_of(const struct live_crossing *x, struct buf *key) {
  buf_init(key, KEY_BYTES_MAX);
  buf_addf(key, "%u|%d|%s|%lld|", x->customer->index, (int)x->per, x->threshold, (long long)x->period.from.ns);
  buf_add(key, x->meter ? x->meter->name : SLICE("spend"));
  buf_addc(key, '|');
  buf_add(key, x->alert);
}

static bool was_told(const struct live_view *v, const struct live_crossing *x) {
  struct buf key;
  key_of(x, &key);
  bool told_it = map_get(&v->crossed, buf_slice(&key)) != NULL;
  buf_free(&key);
  return told_it;
}

void crossing_told(struct live_view *v, const struct live_crossing *crossing) {
  struct buf key;
  key_of(crossing, &key);
  if (map_get(&v->crossed, buf_slice(&key)) == NULL) {
    *map_put(&v->crossed, arena_copy(v->crossed_arena, buf_slice(&key))) = v;
  }
  buf_free(&key);
}

void crossings_forget(struct live_view *v) {
  map_free(&v->crossed);
  arena_reset(v->crossed_arena);
}

/* ---- judging ---- */

struct judging {
  struct live_view *view;
  const struct live_customer *customer;
  enum watch_per per;
  const struct live_span *span; /* NULL: it is spend that is judged */
  amount spend;
  struct period period;
  instant now;
  struct crossings *out;
};

/* `value` is that of the threshold's kind. */
static bool judge_percent(const struct judging *j, slice id, const struct alert *a, int percent, quantity units,
                          struct error *err) {
  quantity at;
  amount spend_at;
  char text[DECIMAL_TEXT_MAX];
  if (!live_threshold(a, percent, &at, &spend_at, err)) {
    return true; /* more than numbers hold: never reached */
  }
  bool crossed = a->meter ? quantity_cmp(units, at) >= 0 : amount_cmp(j->spend, spend_at) >= 0;
  if (!crossed) {
    return true;
  }
  struct live_crossing x = {.customer = j->customer->customer,
                            .alert = id,
                            .name = a->name,
                            .meter = a->meter,
                            .per = j->per,
                            .percent = percent,
                            .period = j->period,
                            .time = j->now};
  x.threshold = a->meter ? quantity_text(at, text) : amount_text(spend_at, text);
  if (was_told(j->view, &x)) {
    return true;
  }
  x.threshold = arena_printf(j->out->arena, "%s", text);
  x.value = arena_printf(j->out->arena, "%s", a->meter ? quantity_text(units, text) : amount_text(j->spend, text));
  vec_push(&j->out->items, x);
  return true;
}

static bool judge(void *context, slice id, const struct alert *a, struct error *err) {
  const struct judging *j = context;
  quantity raw, units = QUANTITY_ZERO;
  bool of_usage = j->span != NULL;
  if (of_usage != (a->meter != NULL) || (of_usage && a->per != j->per)) {
    return true;
  }
  if (of_usage && (!span_usage(j->span, a->meter, j->now, &raw, err) || !in_units(a->meter, raw, &units, err))) {
    return false;
  }
  for (size_t i = 0; i < a->percent_count; i++) {
    if (!judge_percent(j, id, a, a->percents[i], units, err)) {
      return false;
    }
  }
  return true;
}

/* The alerts of a period that is over are those of its end. */
static instant alerts_time(struct period period, instant now) {
  return now.ns < period.to.ns ? now : (instant){period.to.ns - 1};
}

bool cross_usage(struct live_view *v, const struct live_customer *c, enum watch_per per, const struct live_span *span,
                 instant now, struct crossings *out, struct error *err) {
  struct judging j = {v, c, per, span, AMOUNT_ZERO, span->period, now, out};
  return view_alerts(v, c, alerts_time(span->period, now), judge, &j, err);
}

bool cross_spend(struct live_view *v, const struct live_customer *c, amount spend, struct period period, instant now,
                 struct crossings *out, struct error *err) {
  struct judging j = {v, c, WATCH_MONTH, NULL, spend, period, now, out};
  return view_alerts(v, c, alerts_time(period, now), judge, &j, err);
}

static bool grows(const struct live_customer *c) {
  return c->spans[WATCH_MONTH].growing || c->spans[WATCH_DAY].growing || c->spans[WATCH_HOUR].growing;
}

bool cross_changed(struct live_view *v, instant now, bool growing, bool all, struct crossings *out, struct error *err) {
  for (size_t i = 0; i < v->customer_count; i++) {
    struct live_customer *c = &v->customers[i];
    if (!(all || c->changed || (growing && grows(c)))) {
      continue;
    }
    bool waits = false;
    for (enum watch_per per = WATCH_MONTH; per < WATCH_PERS; per++) {
      const struct live_span *s = &c->spans[per];
      waits |= s->wanted && s->stale;
      if (s->wanted && !s->stale && !cross_usage(v, c, per, s, now, out, err)) {
        return false;
      }
    }
    c->changed = waits;
  }
  return true;
}
