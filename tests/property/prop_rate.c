/* Random catalogs and usage, rated by the engine and by a slow rater on GMP rationals: every charge must agree exactly.
 */
#include "base/hash.h"
#include "catalog/private.h"
#include "rate/rate.h"

#include <gmp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  METERS = 3,
  VERSIONS = 3,
  PLANS = VERSIONS + 1,
  CONTRACTS = 2,
  BORDERS_MAX = 16,
  ROWS_MAX = 8000,
  CUTS_MAX = 2000
};

/* COARSE numbers meet borders exactly; VAST ones leave 128 bits unless fractions are reduced. */
enum sizes { USUAL, COARSE, VAST };

struct world {
  struct random random;
  enum sizes sizes;
  struct arena *arena;
  struct catalog catalog;
  struct meter meters[METERS];
  struct plan plans[PLANS];
  struct plan own[CONTRACTS];
  struct contract contracts[CONTRACTS];
  struct customer customer;
  struct period period;
  const struct hours *hours; /* of all multipliers by time; NULL: there are none in this world */
  instant borders[BORDERS_MAX];
  size_t border_count;
  const struct segment *segments;
  size_t segment_count;
  instant cuts[CUTS_MAX];
  size_t cut_count;
  struct usage_row *rows;
  size_t row_count;
  uint64_t seed, number;
};

static _Noreturn void fail(const struct world *w, const char *what, slice name) {
  fprintf(stderr, "SEED=%llu case %llu: %s differs (" SLICE_FMT ")\n", (unsigned long long)w->seed,
          (unsigned long long)w->number, what, SLICE_ARG(name));
  exit(1);
}

static void expect(const struct world *w, bool holds, const char *what, slice name) {
  if (!holds) {
    fail(w, what, name);
  }
}

/* ---- making a world ---- */

static size_t pick(struct world *w, size_t bound) {
  return (size_t)random_below(&w->random, bound);
}

static bool chance(struct world *w, unsigned percent) {
  return pick(w, 100) < percent;
}

static amount some_amount(struct world *w) {
  static const int64_t scale[] = {1, 1000, 10000000000, 1000000000000};
  return (amount){(int128)(1 + pick(w, 9999)) * scale[pick(w, w->sizes == VAST ? 2 : 4)]};
}

static quantity some_quantity(struct world *w) {
  static const int64_t scale[] = {1, 1000000, 1000000000, 1000000000000};
  if (w->sizes == COARSE) {
    return (quantity){(int128)(1 + pick(w, 5)) * QUANTITY_E9};
  }
  int128 vast = w->sizes == VAST ? AMOUNT_E12 : 1;
  return (quantity){(int128)(1 + pick(w, 99999)) * scale[pick(w, 4)] * vast};
}

static instant some_time(struct world *w) {
  int64_t length = w->period.to.ns - w->period.from.ns;
  int64_t at = (int64_t)random_below(&w->random, (uint64_t)length);
  return (instant){w->period.from.ns + (chance(w, 70) ? at - at % NS_PER_S : at)};
}

static slice some_name(struct world *w, const char *kind) {
  return slice_of(arena_printf(w->arena, "%s%llu", kind, (unsigned long long)random_below(&w->random, 1000000)));
}

static const char *const dimension_values[] = {"", "a", "b", "c"};

static const struct match *some_matches(struct world *w, size_t *count) {
  struct match *list = arena_array(w->arena, 2, sizeof *list);
  *count = 0;
  for (uint32_t d = 0; d < 2; d++) {
    if (chance(w, 60)) {
      continue;
    }
    slice *values = arena_array(w->arena, 2, sizeof *values);
    size_t n = 1 + pick(w, 2);
    for (size_t i = 0; i < n; i++) {
      values[i] = slice_of(dimension_values[1 + pick(w, 3)]);
    }
    list[(*count)++] = (struct match){d, values, n};
  }
  return list;
}

/* In zones whose clocks are off by halves and quarters, or change by half an hour; from time to time passing midnight.
 */
static void make_hours(struct world *w) {
  static const char *const zones[] = {"UTC",
                                      "Europe/Amsterdam",
                                      "America/New_York",
                                      "Asia/Kolkata",
                                      "Asia/Kathmandu",
                                      "Australia/Lord_Howe",
                                      "America/St_Johns",
                                      "Pacific/Chatham"};
  struct hours *h = arena_alloc(w->arena, sizeof *h);
  h->from_minute = (int)pick(w, 1440);
  h->to_minute = (int)pick(w, 1441);
  h->from_minute -= chance(w, 70) ? h->from_minute % (chance(w, 50) ? 60 : 15) : 0;
  h->to_minute += h->to_minute == h->from_minute ? 1 : 0;
  h->days = chance(w, 50) ? 0x7F : (unsigned)pick(w, 128);
  h->time_zone = zones[pick(w, 8)];
  w->hours = h;
}

static const struct multiplier *some_multipliers(struct world *w, size_t *count) {
  struct multiplier *list = arena_array(w->arena, 3, sizeof *list);
  *count = chance(w, 50) ? 0 : 1 + pick(w, 3);
  for (size_t i = 0; i < *count; i++) {
    list[i].matches = some_matches(w, &list[i].match_count);
    list[i].by = (rate){(int128)pick(w, 30000) * 100000000};
    list[i].hours = chance(w, 40) ? w->hours : NULL;
  }
  return list;
}

static const struct tier *some_tiers(struct world *w, enum price_model model, size_t *count) {
  bool tiered = model == PRICE_GRADUATED || model == PRICE_VOLUME || model == PRICE_STAIRSTEP ||
                (model == PRICE_PERCENTAGE && chance(w, 50));
  *count = tiered ? 1 + pick(w, 4) : 1;
  struct tier *tiers = arena_array(w->arena, *count, sizeof *tiers);
  quantity border = QUANTITY_ZERO;
  for (size_t i = 0; i < *count; i++) {
    border.e9 += i == 0 && chance(w, 5) ? 0 : some_quantity(w).e9;
    tiers[i] = (struct tier){.last = i + 1 == *count, .up_to = border, .each = some_amount(w)};
    if (model == PRICE_STAIRSTEP || (tiered && chance(w, 30))) {
      tiers[i].flat = some_amount(w);
    }
  }
  return tiers;
}

static bool combines(const struct meter *m) {
  return m->aggregation == AGG_MAX || m->aggregation == AGG_MIN || m->aggregation == AGG_LATEST;
}

static void make_price(struct world *w, struct price_rule *p) {
  static const int64_t pers[] = {1000000000, 1000000000000, 3000000000, 700000001};
  *p = (struct price_rule){.name = some_name(w, "price"), .product = SLICE("p"), .meter = &w->meters[pick(w, METERS)]};
  p->matches = some_matches(w, &p->match_count);
  p->model = (enum price_model)pick(w, PRICE_PERCENTAGE + 1);
  p->per = p->model == PRICE_PERCENTAGE ? QUANTITY_ONE : (quantity){pers[pick(w, 4)]};
  p->tiers = some_tiers(w, p->model, &p->tier_count);
  p->multipliers = some_multipliers(w, &p->multiplier_count);
  for (size_t i = 0; combines(p->meter) && i < p->multiplier_count; i++) {
    ((struct multiplier *)(uintptr_t)p->multipliers)[i].hours = NULL; /* one value for the month falls in no hours */
  }
  p->has_minimum = chance(w, 20);
  p->has_maximum = chance(w, 20);
  p->minimum = some_amount(w);
  p->maximum = (amount){p->minimum.e12 + some_amount(w).e12};
  p->place = (struct place){"random.yaml", 1};
}

static void make_terms(struct world *w, struct plan *plan, slice name, instant valid_from) {
  *plan =
      (struct plan){.name = name, .valid_from = valid_from, .has_minimum = chance(w, 30), .minimum = some_amount(w)};
  plan->price_count = pick(w, 6);
  struct price_rule *prices = arena_array(w->arena, 6, sizeof *prices);
  for (size_t i = 0; i < plan->price_count; i++) {
    make_price(w, &prices[i]);
  }
  plan->prices = prices;
  plan->hours = &w->hours;
  plan->hours_count = w->hours ? 1 : 0;
  plan->price_index = chance(w, 50) ? price_index_build(w->arena, prices, plan->price_count) : NULL;
  plan->fee_count = pick(w, 4);
  struct fee *fees = arena_array(w->arena, 4, sizeof *fees);
  for (size_t i = 0; i < plan->fee_count; i++) {
    fees[i] = (struct fee){.name = some_name(w, "fee"), .each = some_amount(w), .every = (enum fee_every)pick(w, 3)};
    fees[i].count = chance(w, 50) ? QUANTITY_ONE : some_quantity(w);
  }
  plan->fees = fees;
  plan->allowance_count = pick(w, 3);
  struct allowance *allowances = arena_array(w->arena, 3, sizeof *allowances);
  for (size_t i = 0; i < plan->allowance_count; i++) {
    allowances[i] = (struct allowance){.meter = &w->meters[pick(w, METERS)], .included = some_quantity(w)};
    allowances[i].matches = some_matches(w, &allowances[i].match_count);
  }
  plan->allowances = allowances;
}

static void make_meters(struct world *w) {
  static const slice dimensions[] = {{"x", 1}, {"y", 1}};
  static const int64_t bases[] = {60, 3600, 2628000};
  static const slice names[METERS] = {{"m0", 2}, {"m1", 2}, {"m2", 2}};
  for (uint32_t i = 0; i < METERS; i++) {
    enum aggregation aggregation = (enum aggregation)pick(w, AGG_INTEGRAL + 1);
    w->meters[i] = (struct meter){.name = names[i], .aggregation = aggregation, .dimensions = dimensions, .index = i};
    w->meters[i].dimension_count = 2;
    w->meters[i].base_per_unit = QUANTITY_ONE;
    if (aggregation == AGG_INTEGRAL) {
      w->meters[i].base_per_unit.e9 *= bases[pick(w, 3)];
    }
  }
}

static instant at_month(int year, int month, int day, const char *zone) {
  instant t;
  struct error err;
  struct civil c = time_add_months((struct civil){.year = year, .month = 1, .day = day}, month - 1);
  must(time_from_civil(c, zone, &t, &err));
  return t;
}

static void make_period(struct world *w) {
  static const char *const zones[] = {"UTC", "Europe/Amsterdam", "America/New_York", "Asia/Kolkata"};
  w->customer.time_zone = zones[pick(w, 4)];
  int month = 1 + (int)pick(w, 12), length = chance(w, 80) ? 1 : 1 + (int)pick(w, 4);
  int day = chance(w, 80) ? 1 : 1 + (int)pick(w, 28);
  w->period.from = at_month(2024, month, day, w->customer.time_zone);
  w->period.to = at_month(2024, month + length, chance(w, 80) ? day : 28, w->customer.time_zone);
}

static void make_plans(struct world *w) {
  instant from = chance(w, 80) ? (instant){0} : some_time(w);
  size_t versions = 1 + pick(w, VERSIONS);
  for (size_t i = 0; i < versions; i++) {
    make_terms(w, &w->plans[i], SLICE("alpha"), from);
    instant next = some_time(w);
    from = next.ns > from.ns ? next : (instant){from.ns + 1 + (int64_t)pick(w, 1000000)};
  }
  make_terms(w, &w->plans[versions], SLICE("beta"), chance(w, 80) ? (instant){0} : some_time(w));
  w->catalog.plans = w->plans;
  w->catalog.plan_count = versions + 1;
}

static void make_contracts(struct world *w) {
  instant from = chance(w, 60) ? (instant){NS_PER_S} : some_time(w);
  size_t count = 0;
  while (count < CONTRACTS && from.ns < w->period.to.ns) {
    struct contract *c = &w->contracts[count];
    instant to = some_time(w);
    *c = (struct contract){.plan_name = chance(w, 70) ? SLICE("alpha") : SLICE("beta"), .from = from};
    c->to = chance(w, 60) || to.ns <= from.ns ? INSTANT_MAX : to;
    if (chance(w, 40)) {
      make_terms(w, &w->own[count], SLICE("own"), from);
      c->own = &w->own[count];
    }
    count++;
    from = chance(w, 50) || c->to.ns == INSTANT_MAX.ns ? c->to : (instant){c->to.ns + (int64_t)pick(w, 1000000000)};
  }
  w->customer.id = SLICE("cus");
  w->customer.contracts = w->contracts;
  w->customer.contract_count = count;
}

static void add_border(struct world *w, instant t) {
  if (t.ns < w->period.from.ns || t.ns > w->period.to.ns) {
    return;
  }
  size_t at = 0;
  while (at < w->border_count && w->borders[at].ns < t.ns) {
    at++;
  }
  if (at < w->border_count && w->borders[at].ns == t.ns) {
    return;
  }
  must(w->border_count < BORDERS_MAX);
  memmove(w->borders + at + 1, w->borders + at, (w->border_count - at) * sizeof *w->borders);
  w->borders[at] = t;
  w->border_count++;
}

static void find_borders(struct world *w) {
  add_border(w, w->period.from);
  add_border(w, w->period.to);
  for (size_t i = 0; i < w->customer.contract_count; i++) {
    add_border(w, w->contracts[i].from);
    add_border(w, w->contracts[i].to);
  }
  for (size_t i = 0; i < w->catalog.plan_count; i++) {
    add_border(w, w->plans[i].valid_from);
  }
}

/* ---- local time, as the C library knows it ---- */

static void use_zone(const char *zone) {
  setenv("TZ", zone, 1);
  tzset();
}

/* The zone is in use. */
static bool naive_within(const struct hours *h, instant t) {
  time_t seconds = (time_t)(t.ns / NS_PER_S);
  struct tm local;
  must(localtime_r(&seconds, &local) != NULL);
  int minute = local.tm_hour * 60 + local.tm_min, today = (local.tm_wday + 6) % 7, yesterday = (today + 6) % 7;
  bool passes_midnight = h->from_minute > h->to_minute;
  if (!passes_midnight) {
    return minute >= h->from_minute && minute < h->to_minute && (h->days >> today & 1);
  }
  return minute >= h->from_minute ? h->days >> today & 1 : minute < h->to_minute && (h->days >> yesterday & 1);
}

/* The rows that rate_cuts cuts lie on one side of the hours; where there is no contract it does not cut. */
static void expect_one_side(struct world *w, instant from, instant to) {
  bool in_segment = false;
  for (size_t i = 0; i < w->segment_count; i++) {
    in_segment = in_segment || (w->segments[i].from.ns <= from.ns && to.ns <= w->segments[i].to.ns);
  }
  if (!in_segment) {
    return;
  }
  bool inside = naive_within(w->hours, from);
  for (int i = 0; i < 6; i++) {
    int64_t ns = i == 0 ? to.ns - 1 : from.ns + (int64_t)random_below(&w->random, (uint64_t)(to.ns - from.ns));
    expect(w, naive_within(w->hours, (instant){ns}) == inside, "side of the hours", slice_of(w->hours->time_zone));
  }
}

/* ---- usage ---- */

static instant next_cut(const struct world *w, instant t, instant end) {
  for (size_t i = 0; i < w->border_count; i++) {
    end = w->borders[i].ns > t.ns && w->borders[i].ns < end.ns ? w->borders[i] : end;
  }
  for (size_t i = 0; i < w->cut_count; i++) {
    end = w->cuts[i].ns > t.ns && w->cuts[i].ns < end.ns ? w->cuts[i] : end;
  }
  return end;
}

/* Random hours of one dimension set, each cut at every border and every cut. */
static void make_run(struct world *w, const struct meter *meter, const slice *dimensions) {
  int64_t hour = 3600 * NS_PER_S, at = w->period.from.ns - w->period.from.ns % hour;
  size_t left = pick(w, 20);
  while (left-- > 0) {
    at += (int64_t)pick(w, 60) * hour;
    instant from = {at > w->period.from.ns ? at : w->period.from.ns};
    instant end = {at + hour < w->period.to.ns ? at + hour : w->period.to.ns};
    for (instant to; from.ns < end.ns; from = to) {
      to = next_cut(w, from, end);
      must(w->row_count < ROWS_MAX);
      w->rows[w->row_count++] = (struct usage_row){meter,
                                                   w->customer.id,
                                                   dimensions,
                                                   from,
                                                   to,
                                                   chance(w, 10) ? QUANTITY_ZERO : some_quantity(w),
                                                   1 + (uint32_t)pick(w, 5)};
      if (w->hours) {
        expect_one_side(w, from, to);
      }
    }
    at += hour;
  }
}

static void make_rows(struct world *w) {
  w->rows = arena_array(w->arena, ROWS_MAX, sizeof *w->rows);
  for (size_t m = 0; m < METERS; m++) {
    for (size_t x = 0; x < 4; x++) {
      for (size_t y = 0; y < 4; y++) {
        slice *dimensions = arena_array(w->arena, 2, sizeof *dimensions);
        dimensions[0] = slice_of(dimension_values[x]);
        dimensions[1] = slice_of(dimension_values[y]);
        if (chance(w, 40)) {
          make_run(w, &w->meters[m], dimensions);
        }
      }
    }
  }
}

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
