/* Cuts a contract into parts: phases follow each other by plan, changes take effect now or at the end of a period or
 * term. A part knows until when it was meant to run, because that is what was charged in advance. */
#include "catalog/private.h"

#include <stdlib.h>
#include <string.h>

/* What holds in the part at hand. */
struct state {
  struct loader *l;
  const struct customer *customer;
  struct contract_draft *draft;
  struct contract part;
  size_t phase;      /* index of the one that holds; phase_count when the plan itself holds */
  instant phase_end; /* INSTANT_MAX when the plan itself holds */
  instant end;       /* of the contract, as far as it is known */
};

/* ---- when a change takes effect ---- */

static bool nth_term(const struct state *s, int n, instant *end, struct error *err) {
  const struct time_span *term = &s->draft->term;
  struct time_span span = {term->months * n, term->days * n, term->seconds * n};
  return time_add_span(s->draft->base.from, span, s->customer->time_zone, end, err);
}

/* Beyond the end of time is after `at` as well. */
static bool ends_by(const struct state *s, int n, instant at) {
  struct error ignored;
  instant end;
  return nth_term(s, n, &end, &ignored) && end.ns <= at.ns;
}

/* The first end after `at`, by halves: terms of an hour are two million until 2199. */
static bool term_end(const struct state *s, instant at, instant *out, struct error *err) {
  int low = 0, high = 1;
  while (ends_by(s, high, at)) {
    low = high;
    high *= 2;
  }
  while (high - low > 1) {
    int middle = low + (high - low) / 2;
    *(ends_by(s, middle, at) ? &low : &high) = middle;
  }
  return nth_term(s, high, out, err);
}

static bool effect_of(const struct state *s, struct change *c, struct error *err) {
  struct period period;
  c->effect = c->at;
  switch (c->when) {
  case CHANGE_NOW:
    return true;
  case CHANGE_TERM_END:
    return term_end(s, c->at, &c->effect, err);
  case CHANGE_PERIOD_END:
    break;
  }
  if (!billing_period_at(s->customer, c->at, &period, err)) {
    return false;
  }
  c->effect = period.from.ns == c->at.ns ? c->at : period.to;
  return true;
}

static int by_effect(const void *a, const void *b) {
  const struct change *x = a, *y = b;
  if (x->effect.ns != y->effect.ns) {
    return x->effect.ns < y->effect.ns ? -1 : 1;
  }
  return x->index < y->index ? -1 : 1;
}

static bool order_changes(struct state *s) {
  struct error err = {0};
  for (size_t i = 0; i < s->draft->change_count; i++) {
    struct change *c = &s->draft->changes[i];
    if (!effect_of(s, c, &err)) {
      problem(s->l, c->node, "%s", err.message);
      return false;
    }
  }
  if (s->draft->change_count > 0) {
    qsort(s->draft->changes, s->draft->change_count, sizeof *s->draft->changes, by_effect);
  }
  return true;
}

/* ---- what a change does ---- */

static void set_fee_counts(struct state *s, const struct change *c) {
  struct contract *p = &s->part;
  struct fee_count *counts = arena_array(s->l->arena, p->fee_count_count + c->fee_count_count, sizeof *counts);
  size_t count = 0;
  for (size_t i = 0; i < p->fee_count_count; i++) {
    bool replaced = false;
    for (size_t k = 0; k < c->fee_count_count; k++) {
      replaced |= slice_eq(c->fee_counts[k].fee, p->fee_counts[i].fee);
    }
    if (!replaced) {
      counts[count++] = p->fee_counts[i];
    }
  }
  for (size_t k = 0; k < c->fee_count_count; k++) {
    counts[count++] = c->fee_counts[k];
  }
  p->fee_counts = counts;
  p->fee_count_count = count;
}

static bool leaves(const struct change *c, slice add_on) {
  bool gone = false;
  for (size_t i = 0; i < c->removed_count; i++) {
    gone |= slice_eq(c->removed[i], add_on);
  }
  for (size_t i = 0; i < c->add_on_count; i++) {
    gone |= slice_eq(c->add_ons[i].plan_name, add_on); /* comes again with its new count */
  }
  return gone;
}

static void set_add_ons(struct state *s, const struct change *c) {
  struct contract *p = &s->part;
  check_removed(s->l, c, p);
  struct add_on *add_ons = arena_array(s->l->arena, p->add_on_count + c->add_on_count, sizeof *add_ons);
  size_t count = 0;
  for (size_t i = 0; i < p->add_on_count; i++) {
    if (!leaves(c, p->add_ons[i].plan_name)) {
      add_ons[count++] = p->add_ons[i];
    }
  }
  for (size_t i = 0; i < c->add_on_count; i++) {
    add_ons[count++] = c->add_ons[i];
  }
  if (count > CONTRACT_ADD_ONS_MAX) {
    problem(s->l, c->node, "a contract has at most %d add-ons at a time", CONTRACT_ADD_ONS_MAX);
    count = CONTRACT_ADD_ONS_MAX;
  }
  p->add_ons = add_ons;
  p->add_on_count = count;
}

/* A new plan ends what phases were still to come. */
static void apply_change(struct state *s, const struct change *c) {
  if (c->plan_name.len > 0) {
    s->part.plan_name = c->plan_name;
    s->phase = s->draft->phase_count;
    s->phase_end = INSTANT_MAX;
  }
  set_fee_counts(s, c);
  set_add_ons(s, c);
}

/* ---- phases ---- */

static void enter_phase(struct state *s, instant at) {
  const struct contract_draft *d = s->draft;
  struct error err = {0};
  s->phase_end = INSTANT_MAX;
  s->part.plan_name = d->base.plan_name;
  if (s->phase < d->phase_count) {
    s->part.plan_name = d->phases[s->phase].plan_name;
    if (!time_add_span(at, d->phases[s->phase].length, s->customer->time_zone, &s->phase_end, &err)) {
      problem(s->l, d->phases[s->phase].node, "%s", err.message);
    }
  }
}

/* ---- cutting ---- */

static void close_part(struct state *s, instant to, instant planned_to, struct parts *out) {
  s->part.to = to;
  s->part.planned_to = planned_to;
  if (s->part.from.ns < to.ns) {
    vec_push(out, s->part);
  }
  s->part.keeps_rest = false;
}

static void open_part(struct state *s, instant from, enum part_cause cause) {
  s->part.from = from;
  s->part.cause = cause;
}

/* All changes that take effect at one instant make one new part. */
static size_t change_at(struct state *s, size_t first, struct parts *out) {
  struct contract_draft *d = s->draft;
  instant at = d->changes[first].effect, planned = time_earlier(s->phase_end, s->end);
  size_t next = first;
  bool cancelled = false;
  for (size_t i = first; i < d->change_count && d->changes[i].effect.ns == at.ns; i++) {
    s->part.keeps_rest |= d->changes[i].keeps_rest;
    cancelled |= d->changes[i].cancels;
  }
  close_part(s, at, planned, out);
  for (; next < d->change_count && d->changes[next].effect.ns == at.ns; next++) {
    apply_change(s, &d->changes[next]);
  }
  open_part(s, at, PART_CHANGE);
  if (cancelled) {
    s->end = at;
  }
  return next;
}

void contract_cut(struct loader *l, const struct customer *customer, struct contract_draft *draft, struct parts *out) {
  struct state s = {.l = l, .customer = customer, .draft = draft, .part = draft->base, .end = draft->base.to};
  size_t next = 0;
  s.part.start = draft->base.from;
  enter_phase(&s, draft->base.from);
  open_part(&s, draft->base.from, PART_START);
  if (!order_changes(&s)) {
    return;
  }
  while (s.part.from.ns < s.end.ns) {
    instant change = next < draft->change_count ? draft->changes[next].effect : INSTANT_MAX;
    if (s.phase_end.ns < s.end.ns && s.phase_end.ns <= change.ns) {
      instant at = s.phase_end;
      close_part(&s, at, at, out);
      s.phase++;
      enter_phase(&s, at);
      open_part(&s, at, PART_PHASE);
    } else if (change.ns < s.end.ns) {
      next = change_at(&s, next, out);
    } else {
      close_part(&s, s.end, s.end, out);
      break;
    }
  }
  draft->end = s.end;
  check_changes_in_time(l, draft);
}
