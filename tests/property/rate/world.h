/* A random customer to be rated: meters, versions of plans, contracts, a period, and the borders these make. */
#ifndef METERHOUSE_TESTS_RATE_WORLD_H
#define METERHOUSE_TESTS_RATE_WORLD_H
#include "base/hash.h"
#include "catalog/private.h"
#include "rate/rate.h"

#include <stdlib.h>
#include <string.h>

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

#endif
