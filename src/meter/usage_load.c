/* Usage as of a position: whole hours from the kept aggregates, the rest from the events themselves. Which way it was
 * read makes no difference to what is read. */
#include "meter/rollup.h"
#include <stdlib.h>
#include <string.h>

#define HOUR_NS (INT64_C(3600) * NS_PER_S)

/* ---- hours that the aggregates can not give ---- */

static int by_time(const void *a, const void *b) {
  const instant *x = a, *y = b;
  return (x->ns > y->ns) - (x->ns < y->ns);
}

static void ask_events(struct window *w, instant t) {
  instant hour = {t.ns - t.ns % HOUR_NS};
  if (t.ns >= w->period.from.ns - HOUR_NS && hour.ns < w->period.to.ns) {
    vec_push(&w->by_event, hour);
  }
}

static void ask_events_at_border(struct window *w, instant t) {
  if (t.ns % HOUR_NS != 0) {
    ask_events(w, t);
  }
}

static void ask_events_of_corrections(struct window *w, slice customer, const struct corrections *c) {
  for (size_t i = 0; i < c->items.count; i++) {
    const struct correction *one = &c->items.items[i];
    if (customer.len > 0 && !slice_eq(one->customer, customer)) {
      continue;
    }
    int64_t from = one->from.ns > w->period.from.ns ? one->from.ns : w->period.from.ns;
    int64_t to = one->to.ns < w->period.to.ns ? one->to.ns : w->period.to.ns;
    for (int64_t t = from - from % HOUR_NS; t < to; t += HOUR_NS) {
      ask_events(w, (instant){t});
    }
  }
}

static void find_hours(struct window *w, const struct corrections *fresh) {
  ask_events_at_border(w, w->period.from);
  ask_events_at_border(w, w->period.to);
  for (size_t i = 0; i < w->cut_count; i++) {
    ask_events_at_border(w, w->cuts[i]);
  }
  ask_events_of_corrections(w, w->customer, fresh);
  if (w->by_event.count > 0) {
    qsort(w->by_event.items, w->by_event.count, sizeof *w->by_event.items, by_time);
  }
}

bool window_asks_events(const struct window *w, instant t) {
  instant hour = {t.ns - t.ns % HOUR_NS};
  return w->by_event.count > 0 && bsearch(&hour, w->by_event.items, w->by_event.count, sizeof hour, by_time) != NULL;
}

bool window_takes_hour(const struct window *w, instant hour) {
  return hour.ns >= w->period.from.ns && hour.ns + HOUR_NS <= w->period.to.ns && !window_asks_events(w, hour);
}

/* ---- reading ---- */

struct reading {
  struct usage *usage;
  VEC(instant) hours; /* of all windows */
  struct period span; /* of all windows */
  slice customer;     /* the only one; empty: several */
  struct corrections fresh;
};

static void look_at_window(struct reading *r, struct window *w) {
  find_hours(w, &r->fresh);
  for (size_t i = 0; i < w->by_event.count; i++) {
    vec_push(&r->hours, w->by_event.items[i]);
  }
  r->span.from.ns = w->period.from.ns < r->span.from.ns ? w->period.from.ns : r->span.from.ns;
  r->span.to.ns = w->period.to.ns > r->span.to.ns ? w->period.to.ns : r->span.to.ns;
  r->customer = w->customer;
}

static void look_at_windows(struct reading *r) {
  struct usage *u = r->usage;
  size_t count = 0;
  r->span = (struct period){{INT64_MAX}, {0}};
  for (size_t i = 0; i < u->windows.capacity; i++) {
    if (u->windows.slots[i].hash != 0) {
      look_at_window(r, u->windows.slots[i].value);
      count++;
    }
  }
  if (u->default_window) {
    look_at_window(r, u->default_window);
    count = 2;
  }
  if (count != 1) {
    r->customer = (slice){0};
  }
}

static bool import_row(const struct db_row *row, void *context, struct error *err) {
  struct rollup_place place = {db_bytes(row, 0), (enum rollup_kind)db_int(row, 1), db_int(row, 2)};
  return rollup_import(context, &place, db_bytes(row, 3), err) ||
         error_at(err, "customer " SLICE_FMT, SLICE_ARG(place.customer));
}

static bool import_parts(const struct reading *r, struct db *db, struct error *err) {
  int64_t first = rollup_page(r->span.from), last = rollup_page((instant){r->span.to.ns - 1});
  if (r->customer.len > 0) {
    return db_query(db,
                    "SELECT customer, kind, page, bytes FROM rollup WHERE customer = $1 AND page <= $2"
                    " AND (page >= $3 OR kind = 1)",
                    DB_VALUES(DB_T(r->customer), DB_I(last), DB_I(first)), import_row, r->usage, err);
  }
  return db_query(db, "SELECT customer, kind, page, bytes FROM rollup WHERE page <= $1 AND (page >= $2 OR kind = 1)",
                  DB_VALUES(DB_I(last), DB_I(first)), import_row, r->usage, err);
}

/* Neighbouring hours are read in one go. */
static bool read_hours(struct reading *r, struct db *db, uint64_t until, struct error *err) {
  if (r->hours.count == 0 || until == 0) {
    return true;
  }
  qsort(r->hours.items, r->hours.count, sizeof *r->hours.items, by_time);
  r->usage->only_by_event = true;
  bool ok = true;
  for (size_t i = 0; i < r->hours.count && ok;) {
    struct journal_range range = {.until = until, .from = r->hours.items[i]};
    int64_t end = range.from.ns + HOUR_NS;
    for (; i < r->hours.count && r->hours.items[i].ns <= end; i++) {
      end = r->hours.items[i].ns + HOUR_NS;
    }
    r->usage->only_between = (struct period){range.from, {end}};
    range.before.ns = end;
    ok = usage_scan_blocks(r->usage, db, &range, err);
  }
  r->usage->only_by_event = false;
  return ok;
}

static bool read_kept(struct usage *u, struct db *db, uint64_t kept, uint64_t position, struct error *err) {
  struct arena *arena = arena_new();
  struct reading r = {.usage = u};
  bool ok = corrections_load(arena, db, u->catalog, kept, position, &r.fresh, err);
  look_at_windows(&r);
  struct journal_range tail = {.after = kept, .until = position, .before = r.span.to};
  ok = ok && import_parts(&r, db, err) && read_hours(&r, db, kept, err) && usage_scan_blocks(u, db, &tail, err);
  corrections_free(&r.fresh);
  vec_free(&r.hours);
  arena_free(arena);
  return ok;
}

static bool wants_evidence(const struct usage *u) {
  return !u->no_evidence && u->windows.count > 0;
}

static instant latest_end(const struct usage *u) {
  instant end = u->default_window ? u->default_window->period.to : (instant){0};
  for (size_t i = 0; i < u->windows.capacity; i++) {
    const struct window *w = u->windows.slots[i].value;
    if (u->windows.slots[i].hash != 0 && w->period.to.ns > end.ns) {
      end = w->period.to;
    }
  }
  return end;
}

bool usage_from_events(struct usage *u, struct db *db, uint64_t position, struct error *err) {
  struct journal_range range = {.until = position, .before = latest_end(u)};
  return usage_scan_as_of(u, db, &range, position, err);
}

bool usage_load(struct usage *u, struct db *db, uint64_t position, struct error *err) {
  uint64_t kept, last = position;
  if (!rollup_position(db, u->catalog, &kept, err) || (position == 0 && !journal_last(db, &last, err))) {
    return false;
  }
  if (last == 0) {
    return true;
  }
  if (wants_evidence(u) || kept == 0 || last < kept) {
    return usage_from_events(u, db, last, err);
  }
  return corrections_load(u->arena, db, u->catalog, 0, last, &u->corrections, err) && read_kept(u, db, kept, last, err);
}
