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
