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

/* Each piece is the difference of the areas up to its ends, so that pieces of a stretch always sum to the stretch. */
static bool lay_over_bins(struct usage *u, const struct level_change *c, instant from, instant to, struct error *err) {
  struct usage_set *set = usage_set_of(u, c->meter, c->customer, c->dimensions, c->window);
  quantity before = QUANTITY_ZERO, until, piece;
  for (instant t = from; t.ns < to.ns;) {
    struct usage_bin *bin = usage_bin_of(set, t);
    instant end = bin->to.ns < to.ns ? bin->to : to;
    if (!area(c->level, end.ns - from.ns, &until, err) || !quantity_sub(until, before, &piece, err) ||
        !quantity_add(bin->value, piece, &bin->value, err)) {
      return false;
    }
    bin->events += t.ns == from.ns;
    before = until;
    t = end;
  }
  return true;
}

static bool integrate_one(struct usage *u, const struct level_change *c, const struct level_change *next,
                          struct error *err) {
  const struct period *p = &c->window->period;
  instant from = c->time.ns > p->from.ns ? c->time : p->from;
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
  return lay_over_bins(u, c, from, to, err) ||
         error_at(err, "customer " SLICE_FMT ", meter " SLICE_FMT, SLICE_ARG(c->customer), SLICE_ARG(c->meter->name));
}

bool usage_integrate(struct usage *u, struct error *err) {
  size_t count = u->changes.count;
  if (count == 0) {
    return true;
  }
  qsort(u->changes.items, count, sizeof *u->changes.items, change_order);
  for (size_t i = 0; i < count; i++) {
    const struct level_change *c = &u->changes.items[i];
    const struct level_change *next = i + 1 < count && same_series(c, c + 1) ? c + 1 : NULL;
    if (!integrate_one(u, c, next, err)) {
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
  *events = arena_array(arena, u->changes.count + 1, sizeof **events);
  if (u->changes.count > 0) {
    qsort(u->changes.items, u->changes.count, sizeof *u->changes.items, change_order);
  }
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
