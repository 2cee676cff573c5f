/* Integral meters: a level holds until the next change of its series; its area is laid over the hours without losing a
 * ns. */
#include "meter/private.h"
#include <stdlib.h>

static int change_order(const void *a, const void *b) {
  const struct level_change *x = a, *y = b;
  if (x->meter->index != y->meter->index) {
    return x->meter->index < y->meter->index ? -1 : 1;
  }
  int order = slice_cmp(x->customer, y->customer);
  if (order == 0) {
    order = slice_cmp(x->series, y->series);
  }
  if (order != 0) {
    return order;
  }
  if (x->time.ns != y->time.ns) {
    return x->time.ns < y->time.ns ? -1 : 1;
  }
  return (x->tie > y->tie) - (x->tie < y->tie);
}

static bool same_series(const struct level_change *a, const struct level_change *b) {
  return a->meter == b->meter && slice_eq(a->customer, b->customer) && slice_eq(a->series, b->series);
}

/* level x ns as value x seconds to 1e-9. */
static bool area(quantity level, int64_t ns, quantity *out, struct error *err) {
  return int128_muldiv(level.e9, ns, NS_PER_S, ROUND_HALF_EVEN, &out->e9, err);
}

/* Each piece is the difference of two areas since the level was set, so that pieces sum to the stretch however it is
 * cut: by the hour, by prices, or by months that are metered one at a time. */
static bool lay_over_bins(struct usage *u, const struct level_change *c, instant since, struct period stretch,
                          struct error *err) {
  struct usage_set *set = usage_set_of(u, c->meter, c->customer, c->dimensions, c->window);
  quantity before, until, piece;
  if (!area(c->level, stretch.from.ns - since.ns, &before, err)) {
    return false;
  }
  for (instant t = stretch.from; t.ns < stretch.to.ns;) {
    struct usage_bin *bin = usage_bin_of(set, t);
    instant end = time_earlier(bin->to, stretch.to);
    if (!area(c->level, end.ns - since.ns, &until, err) || !quantity_sub(until, before, &piece, err) ||
        !quantity_add(bin->value, piece, &bin->value, err)) {
      return false;
    }
    bin->events += t.ns == stretch.from.ns;
    before = until;
    t = end;
  }
  return true;
}

static bool integrate_one(struct usage *u, const struct level_change *c, const struct level_change *next, instant since,
                          struct error *err) {
  const struct period *p = &c->window->period;
  instant from = time_later(c->time, p->from);
  instant to = next && next->time.ns < p->to.ns ? next->time : p->to;
  if (to.ns > u->until.ns) {
    to = u->until;
  }
  if (from.ns >= to.ns || quantity_is_zero(c->level)) {
    return true;
  }
  /* It was set before the period began and still holds: the invoice rests on it, so it is evidence too. */
  if (c->time.ns < p->from.ns && c->window->wants_evidence) {
    evidence_add(c->window, c->digest);
  }
  return lay_over_bins(u, c, since, (struct period){from, to}, err) ||
         error_at(err, "customer " SLICE_FMT ", meter " SLICE_FMT, SLICE_ARG(c->customer), SLICE_ARG(c->meter->name));
}

/* Of changes of one series at one instant one stands, whatever the order they came in. An end together with another
 * level: what was held ended and began anew; what was not began and ended at once. Else their order decides. */
static size_t standing(const struct level_change *changes, size_t first, size_t end, bool held) {
  for (size_t i = end; i > first; i--) {
    if (quantity_is_zero(changes[i - 1].level) != held) {
      return i - 1;
    }
  }
  return end - 1;
}

/* Sorts the changes and leaves those that stand: at most one a series and instant. */
static void settle(struct usage *u) {
  struct level_change *c = u->changes.items;
  size_t count = u->changes.count, kept = 0;
  if (count > 0) {
    qsort(c, count, sizeof *c, change_order);
  }
  for (size_t i = 0, end; i < count; i = end) {
    for (end = i + 1; end < count && same_series(&c[i], &c[end]) && c[i].time.ns == c[end].time.ns;) {
      end++;
    }
    bool held = kept > 0 && same_series(&c[kept - 1], &c[i]) && !quantity_is_zero(c[kept - 1].level);
    struct level_change stands = c[standing(c, i, end, held)];
    c[kept++] = stands;
  }
  u->changes.count = kept;
}

static bool goes_on(const struct level_change *before, const struct level_change *c) {
  return same_series(before, c) && before->dimensions == c->dimensions && before->level.e9 == c->level.e9;
}

bool usage_integrate(struct usage *u, struct error *err) {
  instant since = {0};
  settle(u);
  for (size_t i = 0; i < u->changes.count; i++) {
    const struct level_change *c = &u->changes.items[i];
    const struct level_change *next = i + 1 < u->changes.count && same_series(c, c + 1) ? c + 1 : NULL;
    since = i > 0 && goes_on(c - 1, c) ? since : c->time;
    if (!integrate_one(u, c, next, since, err)) {
      return false;
    }
  }
  return true;
}

/* ---- levels at a moment ---- */

/* The fields that make a meter count this level: its filters' first values, its dimensions, its series and value. */
static struct event event_of_level(struct arena *arena, const struct level_change *c) {
  const struct meter *m = c->meter;
  char text[DECIMAL_TEXT_MAX];
  struct event e = {.type = m->event_type, .subject = arena_copy(arena, c->customer)};
  struct event_field *fields = arena_array(arena, m->filter_count + m->dimension_count + 2, sizeof *fields);
  slice level = arena_copy(arena, slice_of(quantity_text(c->level, text)));
  fields[e.field_count++] = (struct event_field){m->value_field, level, true};
  if (m->series_field.len > 0) {
    fields[e.field_count++] = (struct event_field){m->series_field, arena_copy(arena, c->series), false};
  }
  e.fields = fields;
  for (size_t d = 0; d < m->dimension_count; d++) {
    bool there = slice_eq(m->dimensions[d], m->series_field) || c->dimensions[d].len == 0;
    if (!there) {
      fields[e.field_count++] = (struct event_field){m->dimensions[d], arena_copy(arena, c->dimensions[d]), false};
    }
  }
  for (size_t f = 0; f < m->filter_count; f++) {
    bool there = false;
    for (size_t i = 0; i < e.field_count && !there; i++) {
      there = slice_eq(fields[i].name, m->filters[f].field);
    }
    if (!there) {
      fields[e.field_count++] = (struct event_field){m->filters[f].field, m->filters[f].values[0], false};
    }
  }
  return e;
}

bool usage_levels(struct usage *u, struct arena *arena, const struct meter *meter, instant at, bool unchanged,
                  struct event **events, size_t *count, struct error *err) {
  *count = 0;
  settle(u);
  *events = arena_array(arena, u->changes.count + 1, sizeof **events);
  for (size_t i = 0; i < u->changes.count; i++) {
    const struct level_change *c = &u->changes.items[i];
    const struct level_change *next = i + 1 < u->changes.count && same_series(c, c + 1) ? c + 1 : NULL;
    bool holds = c->time.ns < at.ns && (next == NULL || next->time.ns >= at.ns + unchanged);
    if (c->meter != meter || !holds || quantity_is_zero(c->level)) {
      continue;
    }
    struct event e = event_of_level(arena, c);
    if (!event_sort_fields((struct event_field *)e.fields, e.field_count, err)) {
      return false;
    }
    (*events)[(*count)++] = e;
  }
  return true;
}
