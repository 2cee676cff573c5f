/* A slow rater on GMP rationals, written from docs/rating.md and not from the engine. */
#ifndef METERHOUSE_TESTS_RATE_SLOW_H
#define METERHOUSE_TESTS_RATE_SLOW_H
#include "local.h"
#include "world.h"

#include <gmp.h>

/* ---- rationals ---- */

static void set_int(mpz_t z, int128 value) {
  uint128 size = value < 0 ? -(uint128)value : (uint128)value;
  mpz_set_ui(z, (unsigned long)(size >> 64));
  mpz_mul_2exp(z, z, 64);
  mpz_add_ui(z, z, (unsigned long)size);
  if (value < 0) {
    mpz_neg(z, z);
  }
}

static void set_ratio(mpq_t q, int128 num, int128 den) {
  set_int(mpq_numref(q), num);
  set_int(mpq_denref(q), den);
  mpq_canonicalize(q);
}

static void times_ratio(mpq_t q, int128 num, int128 den) {
  mpq_t factor;
  mpq_init(factor);
  set_ratio(factor, num, den);
  mpq_mul(q, q, factor);
  mpq_clear(factor);
}

/* Nearest whole number, ties to even. */
static int128 nearest(const mpq_t q) {
  mpz_t whole, rest;
  mpz_inits(whole, rest, NULL);
  mpz_fdiv_qr(whole, rest, mpq_numref(q), mpq_denref(q));
  mpz_mul_2exp(rest, rest, 1);
  int order = mpz_cmp(rest, mpq_denref(q));
  if (order > 0 || (order == 0 && mpz_odd_p(whole))) {
    mpz_add_ui(whole, whole, 1);
  }
  must(mpz_sizeinbase(whole, 2) < 127);
  bool negative = mpz_sgn(whole) < 0;
  mpz_abs(whole, whole);
  mpz_fdiv_q_2exp(rest, whole, 64);
  uint128 high = mpz_get_ui(rest);
  mpz_fdiv_r_2exp(rest, whole, 64);
  uint128 size = high << 64 | mpz_get_ui(rest);
  mpz_clears(whole, rest, NULL);
  return negative ? -(int128)size : (int128)size;
}

/* ---- the slow rater ---- */

struct entry {
  const struct usage_row *row; /* the first of its rows */
  int128 raw, covered;
  const struct price_rule *price;
  int128 multiplier;
};

struct span {
  const struct contract *contract;
  const struct plan *plan;
  instant from, to;
};

struct lost {
  const struct usage_row *row;
  bool no_contract;
  int128 raw;
};

struct naive {
  const struct world *w;
  const struct rating *rating;
  size_t next_charge;
  struct span span;
  const struct plan *terms[2];
  size_t term_count;
  mpq_t months;
  struct entry entries[ROWS_MAX];
  size_t count;
  int128 spent, total;
  struct lost lost[ROWS_MAX];
  size_t lost_count;
};

static bool holds(const struct match *matches, size_t count, const slice *dimensions) {
  for (size_t i = 0; i < count; i++) {
    bool any = false;
    for (size_t v = 0; v < matches[i].count; v++) {
      any = any || slice_eq(matches[i].values[v], dimensions[matches[i].dimension]);
    }
    if (!any) {
      return false;
    }
  }
  return true;
}

static int128 combined(const struct meter *m, int128 a, int128 b) {
  switch (m->aggregation) {
  case AGG_MAX:
    return a > b ? a : b;
  case AGG_MIN:
    return a < b ? a : b;
  case AGG_LATEST:
    return b;
  default:
    return a + b;
  }
}

static bool alike(const struct usage_row *a, const struct usage_row *b) {
  return a->meter == b->meter && slice_eq(a->dimensions[0], b->dimensions[0]) &&
         slice_eq(a->dimensions[1], b->dimensions[1]);
}

static void find_price(const struct naive *n, struct entry *e) {
  for (size_t t = 0; t < n->term_count; t++) {
    for (size_t i = 0; i < n->terms[t]->price_count; i++) {
      const struct price_rule *p = &n->terms[t]->prices[i];
      if (p->meter == e->row->meter && holds(p->matches, p->match_count, e->row->dimensions)) {
        mpq_t product;
        mpq_init(product);
        set_ratio(product, 1, 1);
        for (size_t m = 0; m < p->multiplier_count; m++) {
          const struct hours *h = p->multipliers[m].hours;
          if (holds(p->multipliers[m].matches, p->multipliers[m].match_count, e->row->dimensions) &&
              (!h || naive_within(h, e->row->from))) {
            times_ratio(product, p->multipliers[m].by.e12, RATE_ONE.e12);
          }
        }
        times_ratio(product, RATE_ONE.e12, 1);
        e->price = p;
        e->multiplier = nearest(product);
        mpq_clear(product);
        return;
      }
    }
  }
}

static void take_entries(struct naive *n) {
  n->count = 0;
  for (size_t i = 0; i < n->w->row_count; i++) {
    const struct usage_row *row = &n->w->rows[i];
    if (row->from.ns < n->span.from.ns || row->from.ns >= n->span.to.ns) {
      continue;
    }
    struct entry *last = n->count ? &n->entries[n->count - 1] : NULL;
    if (last && combines(row->meter) && alike(last->row, row)) {
      last->raw = combined(row->meter, last->raw, row->value.e9);
      continue;
    }
    n->entries[n->count] = (struct entry){.row = row, .raw = row->value.e9};
    find_price(n, &n->entries[n->count++]);
  }
  for (size_t i = 1; i < n->count; i++) { /* insertion keeps the order of equal times */
    for (size_t j = i; j > 0 && n->entries[j - 1].row->from.ns > n->entries[j].row->from.ns; j--) {
      struct entry swap = n->entries[j];
      n->entries[j] = n->entries[j - 1];
      n->entries[j - 1] = swap;
    }
  }
}

static void cover_entries(struct naive *n) {
  for (size_t t = 0; t < n->term_count; t++) {
    for (size_t i = 0; i < n->terms[t]->allowance_count; i++) {
      const struct allowance *a = &n->terms[t]->allowances[i];
      mpq_t share;
      mpq_init(share);
      mpq_set(share, n->months);
      times_ratio(share, a->included.e9, 1);
      times_ratio(share, a->meter->base_per_unit.e9, QUANTITY_E9);
      int128 left = nearest(share);
      mpq_clear(share);
      for (size_t e = 0; e < n->count; e++) {
        struct entry *entry = &n->entries[e];
        if (entry->row->meter == a->meter && holds(a->matches, a->match_count, entry->row->dimensions)) {
          int128 open = entry->raw - entry->covered, part = open < left ? open : left;
          entry->covered += part;
          left -= part;
        }
      }
    }
  }
}

static void find_months(struct naive *n) {
  const char *zone = n->w->customer.time_zone;
  mpq_t part;
  mpq_init(part);
  mpq_set_ui(n->months, 0, 1);
  for (int month = 1; month <= 24; month++) {
    int64_t from = at_month(2024, month, 1, zone).ns, to = at_month(2024, month + 1, 1, zone).ns;
    int64_t first = from > n->span.from.ns ? from : n->span.from.ns;
    int64_t last = to < n->span.to.ns ? to : n->span.to.ns;
    if (first < last) {
      set_ratio(part, last - first, to - from);
      mpq_add(n->months, n->months, part);
    }
  }
  mpq_clear(part);
}

/* each x q x multiplier / (per x base), rounded once. */
static int128 priced(int128 each, int128 raw, int128 multiplier, const struct price_rule *p) {
  mpq_t q;
  mpq_init(q);
  set_ratio(q, each, 1);
  times_ratio(q, raw, p->per.e9);
  times_ratio(q, QUANTITY_E9, p->meter->base_per_unit.e9);
  times_ratio(q, multiplier, RATE_ONE.e12);
  int128 result = nearest(q);
  mpq_clear(q);
  return result;
}

static int128 border(const struct price_rule *p, size_t tier) {
  return p->tiers[tier].up_to.e9 * (p->meter->base_per_unit.e9 / QUANTITY_E9);
}

static size_t tier_of(const struct price_rule *p, int128 raw) {
  for (size_t i = 0; i + 1 < p->tier_count; i++) {
    if (raw <= border(p, i)) {
      return i;
    }
  }
  return p->tier_count - 1;
}

/* What of the price's usage lies between two marks on the axis of quantity, of one multiplier. */
static int128 between(const struct naive *n, const struct price_rule *p, int128 low, int128 high, int128 multiplier) {
  int128 reached = 0, sum = 0;
  for (size_t i = 0; i < n->count; i++) {
    const struct entry *e = &n->entries[i];
    if (e->price == p) {
      int128 from = reached, to = reached + e->raw - e->covered;
      reached = to;
      from = from > low ? from : low;
      to = to < high ? to : high;
      sum += e->multiplier == multiplier && from < to ? to - from : 0;
    }
  }
  return sum;
}

static const int128 endless = (int128)1 << 120;

static int128 naive_group(const struct naive *n, const struct price_rule *p, int128 all, int128 multiplier) {
  int128 sum = 0, mine = between(n, p, 0, endless, multiplier);
  size_t tier = tier_of(p, p->model == PRICE_VOLUME ? all : mine);
  switch (p->model) {
  case PRICE_PER_UNIT:
  case PRICE_VOLUME:
    return priced(p->tiers[tier].each.e12, mine, multiplier, p);
  case PRICE_GRADUATED:
  case PRICE_PERCENTAGE:
    for (size_t i = 0; i < p->tier_count; i++) {
      int128 high = i + 1 < p->tier_count ? border(p, i) : endless;
      sum += priced(p->tiers[i].each.e12, between(n, p, i ? border(p, i - 1) : 0, high, multiplier), multiplier, p);
    }
    return sum;
  case PRICE_PACKAGE: {
    int128 size = p->per.e9 * (p->meter->base_per_unit.e9 / QUANTITY_E9);
    return priced(p->tiers[0].each.e12, (mine + size - 1) / size * size, multiplier, p);
  }
  case PRICE_STAIRSTEP:
  case PRICE_FLAT:
    break;
  }
  amount once = p->model == PRICE_FLAT ? p->tiers[0].each : p->tiers[tier].flat;
  mpq_t q;
  mpq_init(q);
  set_ratio(q, mine > 0 ? once.e12 : 0, 1);
  times_ratio(q, multiplier, RATE_ONE.e12);
  sum = nearest(q);
  mpq_clear(q);
  return sum;
}

static int128 naive_flats(const struct price_rule *p, int128 all) {
  int128 sum = 0;
  for (size_t i = 0; i < p->tier_count && all > 0; i++) {
    bool entered = i == 0 || all > border(p, i - 1);
    bool climbs = p->model == PRICE_GRADUATED || p->model == PRICE_PERCENTAGE;
    if (climbs ? entered : p->model == PRICE_VOLUME && i == tier_of(p, all)) {
      sum += p->tiers[i].flat.e12;
    }
  }
  return sum;
}

static int128 of_months(const struct naive *n, amount monthly) {
  mpq_t q;
  mpq_init(q);
  mpq_set(q, n->months);
  times_ratio(q, monthly.e12, 1);
  int128 result = nearest(q);
  mpq_clear(q);
  return result;
}

static int128 naive_price(const struct naive *n, const struct price_rule *p) {
  int128 sum = 0, all = 0;
  for (size_t i = 0; i < n->count; i++) {
    all += n->entries[i].price == p ? n->entries[i].raw - n->entries[i].covered : 0;
  }
  for (size_t i = 0; i < n->count; i++) {
    bool first = n->entries[i].price == p;
    for (size_t j = 0; j < i && first; j++) {
      first = n->entries[j].price != p || n->entries[j].multiplier != n->entries[i].multiplier;
    }
    sum += first ? naive_group(n, p, all, n->entries[i].multiplier) : 0;
  }
  sum += naive_flats(p, all);
  int128 minimum = of_months(n, p->minimum), maximum = of_months(n, p->maximum);
  sum = p->has_minimum && all > 0 && sum < minimum ? minimum : sum;
  return p->has_maximum && sum > maximum ? maximum : sum;
}

#endif
