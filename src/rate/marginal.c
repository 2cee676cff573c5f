/* What more usage costs under a price: the difference of two charges, and the most that it can be. */
#include "rate/private.h"

#define UNITS_BEFORE_MAX INT64_C(1000000000000000)

/* A price as a function of the raw quantity, at one multiplier. */
struct curve {
  const struct price_rule *price;
  quantity borders[CATALOG_TIERS_MAX]; /* raw; the last tier has none */
  quantity per;                        /* raw */
  rate multiplier;
};

static bool curve_of(const struct price_rule *price, struct curve *out, struct error *err) {
  must(price->tier_count > 0 && price->tier_count <= CATALOG_TIERS_MAX);
  out->price = price;
  for (size_t i = 0; i + 1 < price->tier_count; i++) {
    if (!price_border(price, i, &out->borders[i], err)) {
      return false;
    }
  }
  return price_per_raw(price, &out->per, err);
}

/* ---- the charge ---- */

static bool priced(const struct curve *c, size_t tier, int128 raw, amount *out, struct error *err) {
  return amount_of_usage(c->price->tiers[tier].each, raw, c->per.e9, c->multiplier, out, err);
}

/* All of it at the tier it reaches. */
static bool whole_charge(const struct curve *c, quantity q, amount *out, struct error *err) {
  size_t tier = price_tier(c->price, c->borders, q);
  const struct tier *t = &c->price->tiers[tier];
  *out = AMOUNT_ZERO;
  if (quantity_is_zero(q)) {
    return true;
  }
  switch (c->price->model) {
  case PRICE_PACKAGE:
    return amount_of_usage(t->each, quantity_packages(q, c->per), 1, c->multiplier, out, err);
  case PRICE_FLAT:
    return amount_of_usage(t->each, 1, 1, c->multiplier, out, err);
  case PRICE_STAIRSTEP:
    return amount_of_usage(t->flat, 1, 1, c->multiplier, out, err);
  case PRICE_PER_UNIT:
  case PRICE_VOLUME:
  case PRICE_GRADUATED:
  case PRICE_PERCENTAGE:
    break;
  }
  return priced(c, tier, q.e9, out, err) && amount_add(*out, t->flat, out, err);
}

/* A tier's part of the way from one quantity to another, both counted from where the tier begins. */
static bool tier_difference(const struct curve *c, size_t tier, int128 from, int128 to, amount *sum,
                            struct error *err) {
  amount before = AMOUNT_ZERO, after, flat = from <= 0 ? c->price->tiers[tier].flat : AMOUNT_ZERO;
  return (from <= 0 || priced(c, tier, from, &before, err)) && priced(c, tier, to, &after, err) &&
         amount_sub(after, before, &after, err) && amount_add(*sum, after, sum, err) &&
         amount_add(*sum, flat, sum, err);
}

static bool climb(const struct curve *c, quantity from, quantity to, amount *out, struct error *err) {
  int128 begins = 0;
  *out = AMOUNT_ZERO;
  for (size_t i = 0; i < c->price->tier_count && to.e9 > begins; i++) {
    bool last = i + 1 == c->price->tier_count;
    int128 ends = last || to.e9 < c->borders[i].e9 ? to.e9 : c->borders[i].e9;
    if (from.e9 < ends && !tier_difference(c, i, from.e9 - begins, ends - begins, out, err)) {
      return false;
    }
    begins = ends;
  }
  return true;
}

static bool difference(const struct curve *c, quantity from, quantity to, amount *out, struct error *err) {
  amount before;
  if (price_climbs(c->price)) {
    return climb(c, from, to, out, err);
  }
  return whole_charge(c, from, &before, err) && whole_charge(c, to, out, err) && amount_sub(*out, before, out, err);
}

static bool not_negative(quantity q, struct error *err) {
  return q.e9 >= 0 || error_set(err, ERR_INVALID, "the cost of a quantity below zero is not defined");
}

bool rate_marginal(const struct price_rule *price, const slice *dimensions, instant at, quantity before, quantity raw,
                   amount *out, struct error *err) {
  struct curve c;
  quantity all;
  instant until = INSTANT_MAX;
  if (!not_negative(before, err) || !not_negative(raw, err)) {
    return false;
  }
  return (curve_of(price, &c, err) && price_multiplier(price, dimensions, at, &c.multiplier, &until, err) &&
          quantity_add(before, raw, &all, err) && difference(&c, before, all, out, err)) ||
         error_at_price(price, err);
}

/* ---- the most it can be ---- */

/* Between two neighbouring corners a charge is a straight line, and so is a difference of two: the most lies where one
 * of its ends is at a corner. */
struct search {
  struct curve curve;
  quantity raw, latest; /* no `before` is beyond */
  amount most;
};

static bool look(struct search *s, int128 from, int128 to, struct error *err) {
  amount found;
  int128 shift = from > s->latest.e9 ? s->latest.e9 - from : 0;
  if (!difference(&s->curve, (quantity){from + shift}, (quantity){to + shift}, &found, err)) {
    return false;
  }
  s->most = amount_cmp(found, s->most) > 0 ? found : s->most;
  return true;
}

/* The i-th corner: nothing and the first step from it, each border and the first step beyond. */
static int128 corner_at(const struct search *s, size_t i) {
  return (i < 2 ? 0 : s->curve.borders[i / 2 - 1].e9) + (int128)(i % 2);
}

static bool look_everywhere(struct search *s, struct error *err) {
  size_t corners = 2 * s->curve.price->tier_count;
  bool may_fall = s->curve.price->model == PRICE_VOLUME || s->curve.price->model == PRICE_STAIRSTEP;
  for (size_t i = 0; i < corners; i++) {
    int128 corner = corner_at(s, i);
    if (!look(s, corner, corner + s->raw.e9, err) ||
        (corner >= s->raw.e9 && !look(s, corner - s->raw.e9, corner, err))) {
      return false;
    }
    for (size_t j = i + 1; may_fall && j < corners && corner_at(s, j) - corner <= s->raw.e9; j++) {
      if (!look(s, corner, corner_at(s, j), err)) {
        return false;
      }
    }
  }
  return true;
}

/* The least and the largest product of multipliers at any hour. */
static bool multiplier_range(const struct price_rule *price, const slice *dimensions, rate *least, rate *largest,
                             struct error *err) {
  *least = *largest = RATE_ONE;
  for (size_t i = 0; i < price->multiplier_count; i++) {
    const struct multiplier *m = &price->multipliers[i];
    bool sometimes = m->hours != NULL, more = m->by.e12 > RATE_ONE.e12;
    if (match_all(m->matches, m->match_count, dimensions) &&
        ((!(sometimes && more) && !rate_times(*least, m->by, least, err)) ||
         (!(sometimes && !more) && !rate_times(*largest, m->by, largest, err)))) {
      return false;
    }
  }
  return true;
}

static bool is_free(const struct price_rule *price) {
  for (size_t i = 0; i < price->tier_count; i++) {
    if (!amount_is_zero(price->tiers[i].each) || !amount_is_zero(price->tiers[i].flat)) {
      return false;
    }
  }
  return true;
}

static bool find_most(struct search *s, const slice *dimensions, struct error *err) {
  const struct price_rule *price = s->curve.price;
  /* What roundings may hide: half of the last digit for each of two charges, in what is found and in what it bounds. */
  const amount slack = {2 * (int128)price->tier_count};
  rate least, largest;
  if (!curve_of(price, &s->curve, err) || !multiplier_range(price, dimensions, &least, &largest, err)) {
    return false;
  }
  s->curve.multiplier = largest;
  if (!look_everywhere(s, err)) {
    return false;
  }
  s->curve.multiplier = least;
  return (least.e12 == largest.e12 || look_everywhere(s, err)) && amount_add(s->most, slack, &s->most, err);
}

bool rate_marginal_most(const struct price_rule *price, const slice *dimensions, quantity raw, amount *out,
                        struct error *err) {
  struct search s = {.curve = {.price = price}, .raw = raw, .most = AMOUNT_ZERO};
  s.latest.e9 = UNITS_BEFORE_MAX * price->meter->base_per_unit.e9;
  *out = AMOUNT_ZERO;
  if (!not_negative(raw, err)) {
    return false;
  }
  if (quantity_is_zero(raw) || is_free(price)) {
    return true;
  }
  if (!find_most(&s, dimensions, err)) {
    return error_at_price(price, err);
  }
  *out = s.most;
  return true;
}
