/* The oracle's second half: a period is cut into stretches; each has its fees, usage, and what is missing to a minimum.
 */
#ifndef METERHOUSE_TESTS_CONTRACTS_STRETCHES_H
#define METERHOUSE_TESTS_CONTRACTS_STRETCHES_H
#include "oracle.h"

#define STRETCHES_MAX 128

struct naive_bill {
  VEC(struct naive_charge) charges;
  mpq_t unpriced[METERS]; /* raw */
};
struct stretch_at_hand {
  const struct oracle *o;
  const struct naive_part *part; /* NULL: no contract */
  int part_index;
  seconds from, to;
  struct span month;
  int128 sum; /* of its charges so far */
  struct naive_bill *bill;
};

static inline void add_charge(struct stretch_at_hand *s, enum kind kind, const char *name, int128 e12) {
  struct naive_charge c = {.kind = kind, .from = s->from, .to = s->to, .e12 = e12};
  snprintf(c.name, sizeof c.name, "%s", name);
  vec_push(&s->bill->charges, c);
  s->sum += e12;
}

/* ---- usage, raw ---- */

static inline int64_t overlap(int64_t a, int64_t b, int64_t from, int64_t to) {
  int64_t low = a > from ? a : from, high = b < to ? b : to;
  return high > low ? high - low : 0;
}

/* A level holds from its event to the next of its series. */
static inline int64_t level_until(const struct oracle *o, const struct event_made *e) {
  int64_t until = INT64_MAX;
  for (int i = 0; i < o->event_count; i++) {
    const struct event_made *x = &o->events[i];
    if (x->meter == LEASE && x->series == e->series && x->ns > e->ns && x->ns < until) {
      until = x->ns;
    }
  }
  return until;
}

static inline void metered(const struct oracle *o, int meter, seconds from, seconds to, mpq_t raw) {
  int64_t a = from * 1000000000, b = to * 1000000000;
  mpq_t part;
  mpq_init(part);
  mpq_set_ui(raw, 0, 1);
  for (int i = 0; i < o->event_count; i++) {
    const struct event_made *e = &o->events[i];
    if (e->meter != meter) {
      continue;
    }
    mpq_set_ui(part, 1, 1);
    if (meter == LEASE) {
      times(part, e->value, 1);
      times(part, overlap(e->ns, level_until(o, e), a, b), 1000000000);
    } else {
      times(part, e->ns >= a && e->ns < b, 1);
      times(part, meter == TOKENS ? e->value : 1000, 1000);
    }
    mpq_add(raw, raw, part);
  }
  mpq_clear(part);
}

/* ---- prices ---- */

static inline int64_t base_of(int meter) {
  return meter == LEASE ? 3600 : 1;
}

/* Part of `q` between two borders in thousandths of a unit; `to` below 0: no upper one. */
static inline void part_between(mpq_t out, const mpq_t q, int64_t from, int64_t to) {
  mpq_t low;
  mpq_init(low);
  mpq_set_si(low, from, 1000);
  mpq_canonicalize(low);
  mpq_set_si(out, to, 1000);
  mpq_canonicalize(out);
  if (to < 0 || mpq_cmp(q, out) < 0) {
    mpq_set(out, q);
  }
  mpq_sub(out, out, low);
  if (mpq_sgn(out) < 0) {
    mpq_set_ui(out, 0, 1);
  }
  mpq_clear(low);
}

static inline int tier_of(const struct price_terms *p, const mpq_t units) {
  int i = 0;
  while (i + 1 < p->tiers) {
    mpq_t rest;
    mpq_init(rest);
    part_between(rest, units, p->up_to[i], -1);
    bool beyond = mpq_sgn(rest) > 0;
    mpq_clear(rest);
    if (!beyond) {
      break;
    }
    i++;
  }
  return i;
}

static inline int128 at_price(const struct price_terms *p, int tier, const mpq_t units) {
  mpq_t q;
  mpq_init(q);
  mpq_set(q, units);
  times(q, p->each[tier], 1000000);
  times(q, 1, p->per);
  int128 e12 = to_e12(q);
  mpq_clear(q);
  return e12;
}

static inline int128 graduated(const struct price_terms *p, const mpq_t units) {
  int128 sum = 0;
  mpq_t part;
  mpq_init(part);
  for (int i = 0; i < p->tiers; i++) {
    part_between(part, units, i > 0 ? p->up_to[i - 1] : 0, i + 1 < p->tiers ? p->up_to[i] : -1);
    if (mpq_sgn(part) > 0) {
      sum += at_price(p, i, part) + (int128)p->flat[i] * 1000000;
    }
  }
  mpq_clear(part);
  return sum;
}

static inline int128 packages(const struct price_terms *p, const mpq_t units) {
  mpq_t q;
  mpq_init(q);
  mpq_set(q, units);
  times(q, 1, p->per);
  mpz_cdiv_q(mpq_numref(q), mpq_numref(q), mpq_denref(q));
  mpz_set_ui(mpq_denref(q), 1);
  times(q, p->each[0], 1000000);
  int128 e12 = to_e12(q);
  mpq_clear(q);
  return e12;
}

static inline int128 by_model(const struct price_terms *p, const mpq_t units) {
  int tier = tier_of(p, units);
  if (mpq_sgn(units) == 0) {
    return 0;
  }
  switch (p->model) {
  case PER_UNIT:
    return at_price(p, 0, units);
  case GRADUATED:
    return graduated(p, units);
  case VOLUME:
    return at_price(p, tier, units) + (int128)p->flat[tier] * 1000000;
  case PACKAGE:
    return packages(p, units);
  case STAIRSTEP:
    return (int128)p->flat[tier] * 1000000;
  case FLAT:
    return (int128)p->each[0] * 1000000;
  }
  return 0;
}

static inline int128 share_of_month(const struct stretch_at_hand *s, int64_t millionths) {
  return fee_amount(millionths, 1000, 1000, s->to - s->from, s->month.to - s->month.from);
}

static inline int128 priced(const struct stretch_at_hand *s, const struct price_terms *p, const mpq_t units) {
  int128 e12 = by_model(p, units), low = share_of_month(s, p->minimum), high = share_of_month(s, p->maximum);
  if (p->minimum > 0 && mpq_sgn(units) > 0 && e12 < low) {
    return low;
  }
  return p->maximum > 0 && e12 > high ? high : e12;
}

/* Units included for the stretch, raw: each allowance rounded by itself. */
static inline void draw_included(const struct stretch_at_hand *s, int meter, mpq_t left) {
  mpq_t included;
  mpq_init(included);
  for (int seat = 0; s->part && seat < SEATS; seat++) {
    int64_t often;
    const struct terms *t = seat_at(s->o, s->part, seat, s->from, &often);
    if (!t || t->included[meter] == 0) {
      continue;
    }
    mpq_set_ui(included, 1, 1);
    times(included, t->included[meter] * base_of(meter), 1000);
    times(included, s->to - s->from, s->month.to - s->month.from);
    times(included, 1000000000, 1);
    int128 whole = nearest(included);
    mpq_set_si(included, (int64_t)whole, 1000000000);
    mpq_canonicalize(included);
    if (mpq_cmp(included, left) > 0) {
      mpq_set(included, left);
    }
    mpq_sub(left, left, included);
  }
  mpq_clear(included);
}

/* The order of terms: own, plan, then add-ons as they came. */
static inline const struct price_terms *price_for(const struct stretch_at_hand *s, int meter) {
  int seats[SEATS] = {0, 1}, count = 2;
  for (int i = 0; s->part && i < s->part->add_on_count; i++) {
    seats[count++] = 2 + s->part->add_ons[i].plan - PLANS;
  }
  for (int k = 0; s->part && k < count; k++) {
    int64_t often;
    const struct terms *t = seat_at(s->o, s->part, seats[k], s->from, &often);
    for (int i = 0; t && i < t->price_count; i++) {
      if (t->prices[i].meter == meter) {
        return &t->prices[i];
      }
    }
  }
  return NULL;
}

static inline void charge_usage(struct stretch_at_hand *s, int meter) {
  mpq_t raw, units;
  mpq_inits(raw, units, NULL);
  metered(s->o, meter, s->from, s->to, raw);
  mpq_set(units, raw);
  draw_included(s, meter, units);
  const struct price_terms *p = price_for(s, meter);
  if (!p) {
    mpq_add(s->bill->unpriced[meter], s->bill->unpriced[meter], units);
  } else if (mpq_sgn(raw) > 0) {
    times(units, 1, base_of(meter));
    add_charge(s, USAGE, meter_names[meter], priced(s, p, units));
  }
  mpq_clears(raw, units, NULL);
}

/* ---- fees and minimum ---- */

static inline void charge_short_fees(struct stretch_at_hand *s, int seat) {
  int64_t often;
  const struct terms *t = seat_at(s->o, s->part, seat, s->from, &often);
  seconds length = s->to - s->from, month = s->month.to - s->month.from;
  for (int i = 0; t && i < t->fee_count; i++) {
    const struct fee_terms *f = &t->fees[i];
    int64_t count = s->part->counted[f->name] ? s->part->counts[f->name] : f->count;
    const struct fee_key once = {seat, f->name, ONCE, false};
    if (f->in_advance) {
      continue;
    }
    if (f->every == MONTH) {
      add_charge(s, FEE, fee_names[f->name], fee_amount(f->price, count, often, length, month));
    } else if (f->every == HOUR) {
      add_charge(s, FEE, fee_names[f->name], fee_amount(f->price, count, often, length, 3600));
    } else if (f->every == ONCE && s->from == s->part->from && once_is_new(s->o, s->part_index, once)) {
      add_charge(s, FEE, fee_names[f->name], fee_amount(f->price, count, often, 1, 1));
    }
  }
}

static inline void charge_minimum(struct stretch_at_hand *s) {
  for (int seat = 0; seat < SEATS; seat++) {
    int order = seat < 2 ? seat : seat - 2 < s->part->add_on_count ? 2 + s->part->add_ons[seat - 2].plan - PLANS : -1;
    int64_t often;
    const struct terms *t = order < 0 ? NULL : seat_at(s->o, s->part, order, s->from, &often);
    if (!t || t->minimum < 0) {
      continue;
    }
    int128 spent = s->sum, wanted = share_of_month(s, t->minimum);
    for (size_t i = 0; i < s->o->spells.count; i++) {
      const struct spell *x = &s->o->spells.items[i];
      seconds part = (seconds)overlap(x->from, x->until, s->from, s->to);
      spent += part > 0 ? fee_amount(x->price, x->count, x->times, part, x->whole.to - x->whole.from) : 0;
    }
    if (wanted > spent) {
      add_charge(s, TRUE_UP, "minimum spend", wanted - spent);
    }
    return;
  }
}

/* ---- a period ---- */

static inline void rate_stretch(struct stretch_at_hand *s) {
  s->month = month_around(s->from, s->o->deal->day);
  for (int seat = 0; s->part && seat < SEATS; seat++) {
    charge_short_fees(s, seat);
  }
  for (int meter = 0; meter < METERS; meter++) {
    charge_usage(s, meter);
  }
  if (s->part) {
    charge_minimum(s);
  }
}

static inline seconds end_of_stretch(const struct oracle *o, const struct naive_part *p, seconds from, seconds to) {
  seconds end = sooner(to, month_around(from, o->deal->day).to);
  for (int i = 0; i < o->part_count; i++) { /* a gap ends where a part begins */
    end = o->parts[i].from > from ? sooner(end, o->parts[i].from) : end;
  }
  if (!p) {
    return end;
  }
  end = sooner(end, p->to);
  for (int seat = 1; seat < SEATS; seat++) {
    int plan = seat == 1 ? p->plan : PLANS + seat - 2;
    int64_t often;
    for (int v = 0; seat_at(o, p, seat, from, &often) && v < o->deal->plans[plan].version_count; v++) {
      seconds valid = o->deal->plans[plan].valid_from[v];
      end = valid > from ? sooner(end, valid) : end;
    }
  }
  return end;
}

static inline int part_holding(const struct oracle *o, seconds t) {
  for (int i = 0; i < o->part_count; i++) {
    if (o->parts[i].from <= t && t < o->parts[i].to) {
      return i;
    }
  }
  return -1;
}

static inline void bill_begin(struct naive_bill *bill) {
  *bill = (struct naive_bill){0};
  for (int i = 0; i < METERS; i++) {
    mpq_init(bill->unpriced[i]);
  }
}

static inline void bill_end(struct naive_bill *bill) {
  for (int i = 0; i < METERS; i++) {
    mpq_clear(bill->unpriced[i]);
  }
  vec_free(&bill->charges);
}

static inline void oracle_period(const struct oracle *o, struct span period, struct naive_bill *bill) {
  for (seconds t = period.from; t < period.to;) {
    int i = part_holding(o, t);
    struct stretch_at_hand s = {.o = o, .part_index = i, .from = t, .bill = bill};
    s.part = i >= 0 ? &o->parts[i] : NULL;
    s.to = end_of_stretch(o, s.part, t, period.to);
    rate_stretch(&s);
    t = s.to;
  }
  for (size_t i = 0; i < o->fees.count; i++) {
    const struct naive_charge *c = &o->fees.items[i];
    if (!c->opening && c->due > period.from && c->due <= period.to) {
      vec_push(&bill->charges, *c);
    }
  }
}

static inline void oracle_opening(const struct oracle *o, seconds at, struct naive_bill *bill) {
  for (size_t i = 0; i < o->fees.count; i++) {
    if (o->fees.items[i].opening && o->fees.items[i].due == at) {
      vec_push(&bill->charges, o->fees.items[i]);
    }
  }
}
#endif
