/* Random catalogs and usage, rated by the engine and by a slow rater on GMP rationals: every charge must agree exactly.
 */
#include "rate/slow.h"
#include "rate/use.h"

/* ---- comparing ---- */

static const struct charge *next_charge(struct naive *n, enum charge_kind kind, slice name, int128 exact) {
  expect(n->w, n->next_charge < n->rating->charge_count, "number of charges", name);
  const struct charge *c = &n->rating->charges[n->next_charge++];
  expect(n->w, c->kind == kind, "kind of charge", name);
  expect(n->w, kind == CHARGE_TRUE_UP || slice_eq(c->name, name), "order of charges", name);
  expect(n->w, c->exact.e12 == exact, "amount", name);
  expect(n->w, c->segment->from.ns == n->span.from.ns && c->segment->to.ns == n->span.to.ns, "segment", name);
  int128 steps = 0;
  for (size_t i = 0; i < c->step_count; i++) {
    steps += c->steps[i].amount.e12;
  }
  expect(n->w, steps == exact, "sum of steps", name);
  n->spent += exact;
  n->total += exact;
  return c;
}

static void naive_fees(struct naive *n) {
  int64_t start = INT64_MAX;
  for (size_t i = 0; i < n->w->catalog.plan_count; i++) {
    const struct plan *p = &n->w->plans[i];
    start = slice_eq(p->name, n->span.plan->name) && p->valid_from.ns < start ? p->valid_from.ns : start;
  }
  start = start > n->span.contract->from.ns ? start : n->span.contract->from.ns;
  for (size_t t = 0; t < n->term_count; t++) {
    for (size_t i = 0; i < n->terms[t]->fee_count; i++) {
      const struct fee *f = &n->terms[t]->fees[i];
      if (f->every == FEE_ONCE && (start < n->span.from.ns || start >= n->span.to.ns)) {
        continue;
      }
      mpq_t q;
      mpq_init(q);
      set_ratio(q, f->each.e12, 1);
      times_ratio(q, f->count.e9, QUANTITY_E9);
      if (f->every == FEE_MONTH) {
        mpq_mul(q, q, n->months);
      } else if (f->every == FEE_HOUR) {
        times_ratio(q, n->span.to.ns - n->span.from.ns, 3600 * NS_PER_S);
      }
      next_charge(n, CHARGE_FEE, f->name, nearest(q));
      mpq_clear(q);
    }
  }
}

static void compare_usage(struct naive *n, const struct price_rule *p) {
  int128 raw = 0, covered = 0, step_raw = 0, step_included = 0;
  for (size_t i = 0; i < n->count; i++) {
    if (n->entries[i].price == p) {
      raw += n->entries[i].raw;
      covered += n->entries[i].covered;
    }
  }
  if (raw == 0) {
    return;
  }
  const struct charge *c = next_charge(n, CHARGE_USAGE, p->name, naive_price(n, p));
  expect(n->w, c->raw.e9 == raw, "raw quantity", p->name);
  for (size_t i = 0; i < c->step_count; i++) {
    step_raw += c->steps[i].raw.e9;
    step_included += c->steps[i].included.e9;
  }
  expect(n->w, step_raw == raw && step_included == covered, "quantity of steps", p->name);
  mpq_t q;
  mpq_init(q);
  set_ratio(q, covered, 1);
  times_ratio(q, QUANTITY_E9, p->meter->base_per_unit.e9);
  expect(n->w, c->included_units.e9 == nearest(q), "included units", p->name);
  mpq_clear(q);
}

static void lose(struct naive *n, const struct entry *e, bool no_contract) {
  int128 open = e->raw - e->covered;
  for (size_t i = 0; i < n->lost_count; i++) {
    struct lost *l = &n->lost[i];
    if (l->no_contract == no_contract && alike(l->row, e->row)) {
      l->raw = combined(e->row->meter, l->raw, open);
      return;
    }
  }
  n->lost[n->lost_count++] = (struct lost){e->row, no_contract, open};
}

static void compare_span(struct naive *n) {
  n->term_count = 0;
  n->spent = 0;
  if (n->span.plan) {
    if (n->span.contract->own) {
      n->terms[n->term_count++] = n->span.contract->own;
    }
    n->terms[n->term_count++] = n->span.plan;
    find_months(n);
  }
  take_entries(n);
  cover_entries(n);
  for (size_t i = 0; i < n->count; i++) {
    if (!n->entries[i].price && n->entries[i].raw > n->entries[i].covered) {
      lose(n, &n->entries[i], !n->span.plan);
    }
  }
  if (!n->span.plan) {
    return;
  }
  naive_fees(n);
  for (size_t t = 0; t < n->term_count; t++) {
    for (size_t i = 0; i < n->terms[t]->price_count; i++) {
      compare_usage(n, &n->terms[t]->prices[i]);
    }
  }
  const struct plan *least = n->terms[0]->has_minimum ? n->terms[0] : n->terms[n->term_count - 1];
  int128 missing = least->has_minimum ? of_months(n, least->minimum) - n->spent : 0;
  if (missing > 0) {
    next_charge(n, CHARGE_TRUE_UP, least->name, missing);
  }
}

static void compare_lost(const struct naive *n) {
  const struct rating *r = n->rating;
  expect(n->w, r->unpriced_count == n->lost_count, "number of unpriced", SLICE("unpriced"));
  for (size_t i = 0; i < n->lost_count; i++) {
    const struct lost *l = &n->lost[i];
    bool found = false;
    for (size_t j = 0; j < r->unpriced_count && !found; j++) {
      const struct unpriced *u = &r->unpriced[j];
      found = u->meter == l->row->meter && slice_eq(u->dimensions[0], l->row->dimensions[0]) &&
              slice_eq(u->dimensions[1], l->row->dimensions[1]) && u->raw.e9 == l->raw &&
              slice_is(slice_of(u->why), l->no_contract ? "no contract at this time" : "no price matches");
    }
    expect(n->w, found, "unpriced usage", l->row->meter->name);
  }
}

static struct span span_at(const struct world *w, instant from, instant to) {
  struct span s = {.from = from, .to = to};
  for (size_t i = 0; i < w->customer.contract_count; i++) {
    if (w->contracts[i].from.ns <= from.ns && from.ns < w->contracts[i].to.ns) {
      s.contract = &w->contracts[i];
    }
  }
  for (size_t i = 0; s.contract && i < w->catalog.plan_count; i++) {
    if (slice_eq(w->plans[i].name, s.contract->plan_name) && w->plans[i].valid_from.ns <= from.ns) {
      s.plan = &w->plans[i];
    }
  }
  s.contract = s.plan ? s.contract : NULL;
  return s;
}

static void compare(const struct world *w, const struct rating *rating) {
  struct naive *n = mem_alloc(sizeof *n);
  n->w = w;
  n->rating = rating;
  mpq_init(n->months);
  for (size_t b = 0; b + 1 < w->border_count; b++) {
    n->span = span_at(w, w->borders[b], w->borders[b + 1]);
    while (b + 2 < w->border_count) {
      struct span next = span_at(w, w->borders[b + 1], w->borders[b + 2]);
      if (next.contract != n->span.contract || next.plan != n->span.plan) {
        break;
      }
      n->span.to = next.to;
      b++;
    }
    compare_span(n);
  }
  expect(w, n->next_charge == rating->charge_count, "number of charges", SLICE("all"));
  expect(w, n->total == rating->total.e12, "total", SLICE("all"));
  compare_lost(n);
  mpq_clear(n->months);
  free(n);
}

/* ---- running ---- */

static void find_cuts(struct world *w) {
  struct error err;
  must(rate_segments(w->arena, &w->catalog, &w->customer, w->period, &w->segments, &w->segment_count, &err));
  size_t max = rate_cuts_max(&w->catalog, w->segments, w->segment_count);
  must(max <= CUTS_MAX);
  w->cut_count = rate_cuts(&w->catalog, w->segments, w->segment_count, w->cuts, max);
  for (size_t i = 0; i < w->cut_count; i++) {
    bool known = w->hours && w->cuts[i].ns % (3600 * NS_PER_S) != 0;
    for (size_t b = 0; b < w->border_count; b++) {
      known = known || w->borders[b].ns == w->cuts[i].ns;
    }
    expect(w, known && (i == 0 || w->cuts[i - 1].ns < w->cuts[i].ns), "cut", SLICE("cuts"));
  }
}

static size_t run_case(uint64_t seed, uint64_t number) {
  struct world *w = mem_alloc(sizeof *w);
  struct rating rating;
  struct error err;
  w->seed = seed;
  w->number = number;
  w->arena = arena_new();
  random_seed(&w->random, seed, number);
  w->sizes = (enum sizes)pick(w, 3);
  make_period(w);
  make_meters(w);
  if (chance(w, 40)) {
    make_hours(w);
    use_zone(w->hours->time_zone);
  }
  make_plans(w);
  make_contracts(w);
  find_borders(w);
  find_cuts(w);
  make_rows(w);
  if (!rate_customer(w->arena, &w->catalog, &w->customer, w->period, w->rows, w->row_count, &rating, &err)) {
    fail(w, err.message, SLICE("error"));
  }
  compare(w, &rating);
  size_t charges = rating.charge_count;
  arena_free(w->arena);
  free(w);
  return charges;
}

static uint64_t number_from(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text ? strtoull(text, NULL, 10) : otherwise;
}

int main(void) {
  uint64_t seed = number_from("SEED", 20261121), cases = number_from("CASES", 3000), charges = 0;
  printf("SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  for (uint64_t i = 0; i < cases; i++) {
    charges += run_case(seed, i);
  }
  printf("%llu charges agree\n", (unsigned long long)charges);
  return charges > 0 || cases == 0 ? 0 : 1;
}
