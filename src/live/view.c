/* The view follows the journal: periods begin, new events are added, what was corrected is marked to be loaded anew. */
#include "live/private.h"
#include <stdlib.h>

struct live_view *live_view_new(const struct catalog *catalog) {
  struct live_view *v = mem_alloc(sizeof *v);
  v->catalog = catalog;
  v->customer_count = catalog->customer_count;
  v->customers = mem_alloc(v->customer_count * sizeof *v->customers);
  v->alerts_version = -1;
  v->alert_arena = arena_new();
  v->late_arena = arena_new();
  v->crossed_arena = arena_new();
  for (size_t i = 0; i < v->customer_count; i++) {
    v->customers[i].customer = &catalog->customers[i];
  }
  for (size_t i = 0; i < catalog->meter_count; i++) {
    v->has_integral |= catalog->meters[i].aggregation == AGG_INTEGRAL;
  }
  must(pthread_rwlock_init(&v->lock, NULL) == 0);
  return v;
}

void live_view_free(struct live_view *v) {
  if (v == NULL) {
    return;
  }
  for (size_t i = 0; i < v->customer_count; i++) {
    for (enum watch_per per = WATCH_MONTH; per < WATCH_PERS; per++) {
      span_clear(&v->customers[i].spans[per]);
    }
  }
  free(v->customers);
  vec_free(&v->suspended);
  vec_free(&v->alerts);
  vec_free(&v->late);
  map_free(&v->late_seen);
  map_free(&v->crossed);
  arena_free(v->alert_arena);
  arena_free(v->late_arena);
  arena_free(v->crossed_arena);
  must(pthread_rwlock_destroy(&v->lock) == 0);
  free(v);
}

struct live_customer *view_customer(struct live_view *v, slice id) {
  const struct customer *c = catalog_customer(v->catalog, id);
  return c ? &v->customers[c->index] : NULL;
}

/* ---- the alerts of the API ---- */

struct reading {
  struct live_view *view;
  struct arena *arena;
};

static bool keep_alert(void *context, const struct live_alert *a, struct error *err) {
  (void)err;
  const struct reading *r = context;
  const struct customer *c = catalog_customer(r->view->catalog, a->customer);
  if (c == NULL || (a->alert.meter == NULL && amount_is_zero(a->alert.spend))) {
    return true; /* the catalog no longer has its customer or its meter */
  }
  struct kept_alert kept = {.customer = c->index, .of = *a};
  int *percents = arena_array(r->arena, a->alert.percent_count, sizeof *percents);
  for (size_t i = 0; i < a->alert.percent_count; i++) {
    percents[i] = a->alert.percents[i];
  }
  kept.of.id = arena_copy(r->arena, a->id);
  kept.of.customer = c->id;
  kept.of.alert.name = arena_copy(r->arena, a->alert.name);
  kept.of.alert.percents = percents;
  vec_push(&r->view->alerts, kept);
  return true;
}

static int by_customer(const void *a, const void *b) {
  const struct kept_alert *x = a, *y = b;
  return x->customer != y->customer ? (x->customer < y->customer ? -1 : 1) : slice_cmp(x->of.id, y->of.id);
}

bool view_read_alerts(struct live_view *v, struct db *db, struct error *err) {
  int64_t version;
  if (!state_get(db, "alerts", 0, &version, err) || version == v->alerts_version) {
    return version == v->alerts_version;
  }
  arena_reset(v->alert_arena);
  v->alerts.count = 0;
  struct reading r = {v, v->alert_arena};
  if (!live_alerts(db, v->catalog, (slice){0}, (slice){0}, LIVE_ALERTS_MAX, keep_alert, &r, err)) {
    return false;
  }
  if (v->alerts.count > 0) {
    qsort(v->alerts.items, v->alerts.count, sizeof *v->alerts.items, by_customer);
  }
  v->alerts_version = version;
  v->next_roll = (instant){0}; /* other periods may be wanted now */
  for (size_t i = 0; i < v->customer_count; i++) {
    v->customers[i].changed = v->customers[i].spend_stale = true;
  }
  return true;
}

/* ---- periods that begin ---- */

/* What grew up to the end of the period, or was not loaded yet, is looked at once more. */
static bool leave_period(struct live_view *v, const struct live_customer *c, enum watch_per per, struct error *err) {
  const struct live_span *s = &c->spans[per];
  bool unseen = s->stale || s->growing || c->changed || c->spend_stale;
  return s->period.to.ns == 0 || !unseen || late_mark(v, c, per, s->period.from, (instant){s->period.to.ns - 1}, err);
}

static bool begin_period(struct live_view *v, struct live_customer *c, enum watch_per per, instant now,
                         struct error *err) {
  struct live_span *s = &c->spans[per];
  struct period period;
  if ((s->wanted && !leave_period(v, c, per, err)) || !span_period(c->customer, per, now, &period, err)) {
    return false;
  }
  must(pthread_rwlock_wrlock(&v->lock) == 0);
  span_clear(s);
  s->period = period;
  s->wanted = s->stale = true;
  must(pthread_rwlock_unlock(&v->lock) == 0);
  c->changed = c->spend_stale = true;
  return true;
}

static void leave_alone(struct live_view *v, struct live_span *s) {
  must(pthread_rwlock_wrlock(&v->lock) == 0);
  s->wanted = s->stale = false;
  span_clear(s);
  must(pthread_rwlock_unlock(&v->lock) == 0);
}

static bool roll_span(struct live_view *v, struct live_customer *c, enum watch_per per, instant now,
                      struct error *err) {
  struct live_span *s = &c->spans[per];
  bool wanted = per == WATCH_MONTH || view_watches(v, c, per);
  bool holds = now.ns >= s->period.from.ns && now.ns < s->period.to.ns;
  if (!wanted) {
    if (s->wanted) {
      leave_alone(v, s);
    }
    return true;
  }
  if ((!s->wanted || !holds) && !begin_period(v, c, per, now, err)) {
    return false;
  }
  s->stale |= s->growing && now.ns >= s->growth.to.ns;
  if (s->period.to.ns < v->next_roll.ns) {
    v->next_roll = s->period.to;
  }
  return true;
}

static bool roll_periods(struct live_view *v, instant now, struct error *err) {
  if (now.ns < v->next_roll.ns && now.ns >= v->as_of.ns) {
    return true;
  }
  v->next_roll.ns = now.ns - now.ns % HOUR_NS + HOUR_NS; /* levels grow evenly no longer than that */
  for (size_t i = 0; i < v->customer_count; i++) {
    for (enum watch_per per = WATCH_MONTH; per < WATCH_PERS; per++) {
      if (!roll_span(v, &v->customers[i], per, now, err)) {
        v->next_roll.ns = 0;
        return false;
      }
    }
  }
  return true;
}

/* ---- new events ---- */

/* Rows are of whole hours; a border inside an hour must cut them. Few zones have any. */
static void open_new_window(const struct live_view *v, struct usage *usage) {
  instant cuts[16];
  size_t count = 0;
  for (size_t i = 0; i < v->customer_count; i++) {
    for (enum watch_per per = WATCH_MONTH; per < WATCH_HOUR; per++) {
      const instant from = v->customers[i].spans[per].period.from, to = v->customers[i].spans[per].period.to;
      const instant borders[] = {from, to};
      for (size_t b = 0; b < 2; b++) {
        size_t at = 0;
        while (at < count && cuts[at].ns < borders[b].ns) {
          at++;
        }
        if (borders[b].ns % HOUR_NS == 0 || (at < count && cuts[at].ns == borders[b].ns) || count == 16) {
          continue;
        }
        for (size_t move = count++; move > at; move--) {
          cuts[move] = cuts[move - 1];
        }
        cuts[at] = borders[b];
      }
    }
  }
  const struct period always = {{0}, {INSTANT_MAX.ns / HOUR_NS * HOUR_NS}};
  usage_without_evidence(usage);
  usage_window(usage, (slice){0}, always, cuts, count);
}

static bool take_new_row(struct live_view *v, struct live_customer *c, const struct usage_row *row, struct error *err) {
  c->spend_stale = true;
  for (enum watch_per per = WATCH_MONTH; per < WATCH_PERS; per++) {
    struct live_span *s = &c->spans[per];
    if (!s->wanted) {
      continue;
    }
    if (row->from.ns < s->period.from.ns && !late_mark(v, c, per, row->from, (instant){row->to.ns - 1}, err)) {
      return false;
    }
    if (row->from.ns >= s->period.to.ns || row->to.ns <= s->period.from.ns) {
      continue;
    }
    bool inside = row->from.ns >= s->period.from.ns && row->to.ns <= s->period.to.ns;
    c->changed = true;
    if (!inside || !adds_up(row->meter)) {
      s->stale = true;
    } else if (!s->stale && !span_add_row(s, v->catalog->meter_count, row, err)) {
      return false;
    }
  }
  return true;
}

struct levels {
  struct live_view *view;
  bool ok;
  struct error *err;
};

/* A level set in the past holds in every period since. */
static void take_level(void *context, slice customer, const struct meter *meter, instant time) {
  (void)meter;
  struct levels *l = context;
  struct live_customer *c = view_customer(l->view, customer);
  for (enum watch_per per = WATCH_MONTH; c && per < WATCH_PERS; per++) {
    struct live_span *s = &c->spans[per];
    if (s->wanted && time.ns < s->period.to.ns) {
      s->stale = true;
      l->ok = l->ok && (time.ns >= s->period.from.ns ||
                        late_mark(l->view, c, per, time, (instant){s->period.from.ns - 1}, l->err));
    }
  }
}

static void take_corrected(void *context, slice customer) {
  struct live_customer *c = view_customer(context, customer);
  for (enum watch_per per = WATCH_MONTH; c && per < WATCH_PERS; per++) {
    c->spans[per].stale = true;
  }
}

static bool take_new_rows(struct live_view *v, const struct usage_row *rows, size_t count, struct error *err) {
  struct live_customer *c = NULL;
  bool ok = true;
  must(pthread_rwlock_wrlock(&v->lock) == 0);
  for (size_t i = 0; ok && i < count; i++) {
    if (c == NULL || !slice_eq(c->customer->id, rows[i].customer)) {
      c = view_customer(v, rows[i].customer);
    }
    ok = c == NULL || take_new_row(v, c, &rows[i], err);
  }
  must(pthread_rwlock_unlock(&v->lock) == 0);
  return ok;
}

static bool take_new(struct live_view *v, struct db *db, uint64_t last, struct error *err) {
  struct usage *usage = usage_new(v->catalog);
  const struct usage_row *rows;
  size_t count;
  struct levels levels = {v, true, err};
  open_new_window(v, usage);
  bool ok = usage_corrected(db, v->position, last, take_corrected, v, err) &&
            usage_load_new(usage, db, v->position, last, take_level, &levels, err) && levels.ok &&
            usage_finish(usage, &rows, &count, err) && take_new_rows(v, rows, count, err);
  usage_free(usage);
  return ok;
}

/* After a failure half of the new events may be in: all is loaded anew. */
static void all_stale(struct live_view *v) {
  for (size_t i = 0; i < v->customer_count; i++) {
    for (enum watch_per per = WATCH_MONTH; per < WATCH_PERS; per++) {
      v->customers[i].spans[per].stale = true;
    }
  }
}

static bool follow(struct live_view *v, struct db *db, instant now, bool reload, struct error *err) {
  uint64_t last;
  if (!view_read_alerts(v, db, err) || !view_read_suspended(v, db, err) || !journal_last(db, &last, err) ||
      !roll_periods(v, now, err)) {
    return false;
  }
  if (last > v->position && !take_new(v, db, last, err)) {
    all_stale(v);
    return false;
  }
  v->position = last;
  if (reload && !view_load_stale(v, db, now, err)) {
    return false;
  }
  must(pthread_rwlock_wrlock(&v->lock) == 0);
  v->as_of = now;
  v->loaded |= reload;
  must(pthread_rwlock_unlock(&v->lock) == 0);
  return true;
}

/* All of it from one snapshot of the store. */
bool live_view_follow(struct live_view *v, struct book *reader, instant now, bool reload, struct error *err) {
  struct db *db = book_db(reader);
  struct error ignored;
  if (!db_run(db, "BEGIN", DB_NO_VALUES, NULL, err)) {
    return false;
  }
  bool ok = follow(v, db, now, reload, err);
  bool ended = db_run(db, "COMMIT", DB_NO_VALUES, NULL, ok ? err : &ignored);
  return ok && ended;
}

bool view_look_back(struct live_view *v, instant since, struct error *err) {
  for (size_t i = 0; v->has_integral && i < v->customer_count; i++) {
    for (enum watch_per per = WATCH_MONTH; per < WATCH_PERS; per++) {
      const struct live_span *s = &v->customers[i].spans[per];
      if (s->wanted && !late_mark(v, &v->customers[i], per, since, (instant){s->period.from.ns - 1}, err)) {
        return false;
      }
    }
  }
  return true;
}

bool view_all_seen(const struct live_view *v) {
  bool seen = v->late.count == 0;
  for (size_t i = 0; seen && i < v->customer_count; i++) {
    seen = !v->customers[i].changed && !v->customers[i].spend_stale;
  }
  return seen;
}

bool live_view_usage(struct live_view *v, slice customer, slice meter, enum watch_per per, instant now, quantity *raw,
                     struct period *period) {
  const struct meter *m = catalog_meter(v->catalog, meter);
  struct live_customer *c = view_customer(v, customer);
  struct error ignored;
  if (c == NULL || m == NULL) {
    return false;
  }
  must(pthread_rwlock_rdlock(&v->lock) == 0);
  const struct live_span *s = &c->spans[per];
  bool ok = v->loaded && s->wanted && span_usage(s, m, now, raw, &ignored);
  *period = s->period;
  must(pthread_rwlock_unlock(&v->lock) == 0);
  return ok;
}
