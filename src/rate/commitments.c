/* The intervals of commitments that a period touches: how much of each is committed to, and when it is invoiced. */
#include "rate/private.h"
#include <stdlib.h>

#define DAY_S INT64_C(86400)

/* Parts of a contract, one after the other, in which the same terms hold. */
struct tenure {
  const struct contract *first, *last;
  const struct plan *terms;
};
struct finding {
  struct arena *arena;
  const struct catalog *catalog;
  const struct rating *rating;
  bool opens; /* what the tenure at hand charges in advance when it begins has an invoice of its own */
  VEC(struct commitment_span) spans;
};
/* A commitment where it is in force. */
struct holding {
  const struct commitment *commitment;
  const struct tenure *tenure;
  instant from, to, planned_to;
  struct time_span every; /* all zero: one interval */
};

static bool is_none(struct time_span every) {
  return every.months == 0 && every.days == 0 && every.seconds == 0;
}

static struct time_span length_of(const struct commitment *c, const struct contract *contract, instant planned_to) {
  switch (c->per) {
  case COMMITMENT_MONTH:
    return (struct time_span){.months = 1};
  case COMMITMENT_QUARTER:
    return (struct time_span){.months = 3};
  case COMMITMENT_TERM:
    if (!is_none(contract->term) || planned_to.ns < INSTANT_MAX.ns) {
      return contract->term;
    }
    break;
  case COMMITMENT_YEAR:
    break;
  }
  return (struct time_span){.months = 12};
}

/* ---- intervals ---- */

static bool nth(const struct finding *f, const struct holding *h, int64_t n, struct period *out, struct error *err) {
  const char *zone = f->rating->customer->time_zone;
  if (is_none(h->every)) {
    *out = n == 0 ? (struct period){h->from, h->planned_to} : (struct period){h->to, h->to};
    return true;
  }
  struct time_span from = {(int)(h->every.months * n), (int)(h->every.days * n), h->every.seconds * n};
  struct time_span to = {from.months + h->every.months, from.days + h->every.days, from.seconds + h->every.seconds};
  return time_add_span(h->from, from, zone, &out->from, err) && time_add_span(h->from, to, zone, &out->to, err);
}

/* One that is not after the one in which `t` lies: no interval is longer than it is taken for. */
static int64_t not_after(const struct holding *h, instant t) {
  int64_t longest = h->every.months * 31 * DAY_S + (h->every.days ? h->every.days * DAY_S + 3600 : 0) +
                    h->every.seconds + (h->every.months ? 3600 : 0);
  return longest == 0 || t.ns <= h->from.ns ? 0 : (t.ns - h->from.ns) / NS_PER_S / longest;
}

static bool share_of(const struct finding *f, const struct commitment *c, struct period part, struct period whole,
                     amount *out, struct error *err) {
  struct fraction share = {part.to.ns - part.from.ns, whole.to.ns - whole.from.ns};
  fraction_reduce(&share);
  return amount_times_fraction(c->amount, share, out, err) &&
         amount_round(*out, f->rating->customer->currency, ROUND_HALF_EVEN, out, err);
}

static bool split_installments(struct finding *f, const struct commitment *c, instant planned_to,
                               struct commitment_span *span, struct error *err) {
  int months = c->installments == COMMITMENT_QUARTERLY ? 3 : 1;
  instant due[COMMITMENT_INSTALLMENTS_MAX];
  size_t count = 0;
  for (instant t = span->from; t.ns < planned_to.ns;) {
    if (count == COMMITMENT_INSTALLMENTS_MAX) {
      return error_set(err, ERR_LIMIT, "an interval has at most %d installments", COMMITMENT_INSTALLMENTS_MAX);
    }
    due[count++] = t;
    struct time_span next = {.months = months * (int)count};
    if (c->installments == COMMITMENT_ONCE) {
      break;
    }
    if (!time_add_span(span->from, next, f->rating->customer->time_zone, &t, err)) {
      return false;
    }
  }
  struct installment *parts = arena_array(f->arena, count, sizeof *parts);
  amount *weights = arena_array(f->arena, count, sizeof *weights), *sums = arena_array(f->arena, count, sizeof *sums);
  for (size_t i = 0; i < count; i++) {
    weights[i] = (amount){AMOUNT_E12};
  }
  if (!amount_split(span->amount, f->rating->customer->currency, weights, count, sums, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    parts[i] = (struct installment){due[i], sums[i]};
  }
  span->installments = parts;
  span->installment_count = count;
  return true;
}

static bool add_span(struct finding *f, const struct holding *h, struct period interval, struct error *err) {
  const struct commitment *c = h->commitment;
  instant planned_to = time_earlier(interval.to, h->planned_to), to = time_earlier(interval.to, h->to);
  struct commitment_span span = {.commitment = c, .from = interval.from, .to = to, .cut = to.ns < planned_to.ns};
  struct segment *segment = arena_alloc(f->arena, sizeof *segment);
  instant counted_to = c->kind == COMMITMENT_MINIMUM ? to : planned_to;
  amount part;
  *segment = (struct segment){h->tenure->first, h->tenure->terms, span.from, to};
  span.segment = segment;
  if (f->spans.count == COMMITMENT_SPANS_MAX) {
    return error_set(err, ERR_LIMIT, "more than %d intervals of commitments in one period: make them longer",
                     COMMITMENT_SPANS_MAX);
  }
  if (!share_of(f, c, (struct period){interval.from, counted_to}, interval, &span.amount, err) ||
      !amount_times_rate(span.amount, c->roll_share, ROUND_DOWN, &part, err) ||
      !amount_add(part, c->roll_amount, &part, err) ||
      !amount_round(part, f->rating->customer->currency, ROUND_DOWN, &span.roll_most, err)) {
    return false;
  }
  const struct commitment_span *before = f->spans.count > 0 ? &f->spans.items[f->spans.count - 1] : NULL;
  span.follows = before && before->commitment == c && before->to.ns == span.from.ns && !before->cut;
  if (c->shape == COMMITMENT_PREPAID && !split_installments(f, c, planned_to, &span, err)) {
    return false;
  }
  must(f->spans.count == f->spans.capacity || f->spans.items);
  vec_push(&f->spans, span);
  return true;
}

/* An opening holds what begins with it; a period what is in force in it, and what begins where it ends. */
static bool touches(const struct finding *f, const struct holding *h, struct period interval) {
  struct period p = f->rating->period;
  if (f->rating->opening) {
    return interval.from.ns == p.from.ns;
  }
  bool apart = f->opens && interval.from.ns == h->tenure->first->from.ns;
  return time_earlier(interval.to, h->to).ns > p.from.ns &&
         (interval.from.ns < p.to.ns || (interval.from.ns == p.to.ns && !apart));
}

static bool find_intervals(struct finding *f, const struct holding *h, struct error *err) {
  for (int64_t n = not_after(h, f->rating->period.from);; n++) {
    struct period interval;
    if (!nth(f, h, n, &interval, err)) {
      return false;
    }
    if (interval.from.ns >= h->to.ns || interval.from.ns > f->rating->period.to.ns) {
      return true;
    }
    if (touches(f, h, interval) && !add_span(f, h, interval, err)) {
      return false;
    }
  }
}

/* ---- tenures ---- */

static bool replaced_by_own(const struct tenure *tenure, const struct commitment *c) {
  const struct plan *own = tenure->first->own;
  return c->kind == COMMITMENT_MINIMUM && own && own != tenure->terms && own->has_minimum;
}

static bool find_in_tenure(struct finding *f, const struct tenure *tenure, struct error *err) {
  instant from = tenure->first->from, planned_to = contract_planned_to(tenure->last);
  struct period p = f->rating->period;
  if (tenure->terms == NULL || tenure->terms->commitment_count == 0 || from.ns > p.to.ns ||
      tenure->last->to.ns <= p.from.ns) {
    return true;
  }
  if (!part_opens(f->rating->customer, tenure->first, &f->opens, err)) {
    return false;
  }
  for (size_t i = 0; i < tenure->terms->commitment_count; i++) {
    const struct commitment *c = &tenure->terms->commitments[i];
    struct holding h = {.commitment = c, .tenure = tenure, .to = time_earlier(tenure->last->to, c->to)};
    h.from = time_later(c->from, from);
    h.planned_to = time_earlier(planned_to, c->to);
    h.every = length_of(c, tenure->first, h.planned_to);
    if (h.from.ns < h.to.ns && !replaced_by_own(tenure, c) && !find_intervals(f, &h, err)) {
      return error_at(err, "%s:%d: commitment \"" SLICE_FMT "\"", c->place.file, c->place.line, SLICE_ARG(c->name));
    }
  }
  return true;
}

/* The version of the plan that is in force when the tenure begins holds through all of it: it was agreed on. */
static bool find_in_plans(struct finding *f, const struct contract *first, const struct contract *last,
                          struct error *err) {
  for (const struct contract *part = first; part <= last;) {
    struct tenure tenure = {.first = part, .terms = catalog_plan_at(f->catalog, part->plan_name, part->from)};
    for (tenure.last = part++; part <= last && slice_eq(part->plan_name, tenure.first->plan_name); part++) {
      tenure.last = part;
    }
    if (!find_in_tenure(f, &tenure, err)) {
      return false;
    }
  }
  return true;
}

bool find_commitments(struct arena *arena, const struct catalog *catalog, struct rating *rating, struct error *err) {
  struct finding f = {.arena = arena, .catalog = catalog, .rating = rating};
  const struct customer *customer = rating->customer;
  bool ok = true;
  for (size_t i = 0; ok && i < customer->contract_count;) {
    const struct contract *first = &customer->contracts[i];
    for (i++; i < customer->contract_count && customer->contracts[i].cause != PART_START; i++) {
    }
    const struct contract *last = &customer->contracts[i - 1];
    const struct tenure own = {first, last, first->own};
    ok = find_in_tenure(&f, &own, err) && find_in_plans(&f, first, last, err);
  }
  struct commitment_span *copy = arena_array(arena, f.spans.count, sizeof *copy);
  for (size_t i = 0; i < f.spans.count; i++) {
    copy[i] = f.spans.items[i];
  }
  rating->commitments = copy;
  rating->commitment_count = f.spans.count;
  vec_free(&f.spans);
  return ok;
}
