/* Random reservations and savings plans over random hours: the engine, which sorts bids and merges, against a rater on
 * GMP rationals that looks for the best bid of an hour again and again. Every taken unit and every report must agree.
 */
#include "base/hash.h"
#include "rate/rate.h"

#include <gmp.h>
#include <stdlib.h>
#include <string.h>

enum { METERS = 2, PRICES = 4, COVERS = 4, ROWS_MAX = 600, SEGMENTS_MAX = 8 };
#define HOUR (3600 * NS_PER_S)

struct world {
  struct random random;
  struct arena *arena;
  struct meter meters[METERS];
  struct plan plans[2], own;
  struct contract contract;
  struct customer customer;
  struct catalog catalog;
  struct period period;
  struct usage_row rows[ROWS_MAX];
  int128 left[ROWS_MAX]; /* raw, not covered by the slow rater */
  size_t row_count;
  uint64_t seed, number, checks;
};

static void expect(struct world *w, bool holds, const char *what) {
  w->checks++;
  if (!holds) {
    fprintf(stderr, "SEED=%llu case %llu: %s differs\n", (unsigned long long)w->seed, (unsigned long long)w->number,
            what);
    exit(1);
  }
}

/* ---- making a world ---- */

static size_t pick(struct world *w, size_t bound) {
  return (size_t)random_below(&w->random, bound);
}

static bool chance(struct world *w, unsigned percent) {
  return pick(w, 100) < percent;
}

static slice some_name(struct world *w, const char *kind) {
  return slice_of(arena_printf(w->arena, "%s%llu", kind, (unsigned long long)random_u64(&w->random)));
}

static instant some_time(struct world *w) {
  static const int64_t grains[] = {HOUR, 60 * NS_PER_S, NS_PER_S, 1};
  int64_t length = w->period.to.ns - w->period.from.ns, grain = grains[pick(w, 4)];
  int64_t at = (int64_t)random_below(&w->random, (uint64_t)length);
  return (instant){w->period.from.ns + at - at % grain};
}

static const char *const classes[] = {"a", "b", "c"};

static const struct match *some_match(struct world *w, uint32_t dimension, size_t *count) {
  struct match *m = arena_alloc(w->arena, sizeof *m);
  slice *values = arena_array(w->arena, 2, sizeof *values);
  *count = chance(w, 40) ? 0 : 1;
  values[0] = slice_of(classes[pick(w, 3)]);
  values[1] = slice_of(classes[pick(w, 3)]);
  *m = (struct match){dimension, values, 1 + pick(w, 2)};
  return m;
}

static void make_prices(struct world *w, struct plan *plan) {
  static const enum price_model models[] = {PRICE_PER_UNIT, PRICE_PER_UNIT, PRICE_GRADUATED, PRICE_FLAT};
  struct price_rule *prices = arena_array(w->arena, PRICES, sizeof *prices);
  for (size_t i = 0; i < PRICES; i++) {
    struct price_rule *p = &prices[i];
    struct tier *tiers = arena_array(w->arena, 2, sizeof *tiers);
    struct multiplier *multiplier = arena_alloc(w->arena, sizeof *multiplier);
    *p = (struct price_rule){.name = some_name(w, "price"), .meter = &w->meters[pick(w, METERS)], .place = {"r", 1}};
    p->matches = some_match(w, 0, &p->match_count);
    p->model = models[pick(w, 4)];
    p->per = (quantity){QUANTITY_E9 * (chance(w, 50) ? 1 : 3)};
    p->tier_count = p->model == PRICE_GRADUATED ? 2 : 1;
    tiers[0] = (struct tier){p->tier_count == 1, {QUANTITY_E9 * 5}, {(int128)pick(w, 400) * 10000000000}, {0}};
    tiers[1] = (struct tier){true, {0}, {(int128)pick(w, 400) * 10000000000}, {0}};
    p->tiers = tiers;
    multiplier->matches = some_match(w, 1, &multiplier->match_count);
    multiplier->by = (rate){(int128)pick(w, 20) * 100000000000};
    p->multipliers = multiplier;
    p->multiplier_count = pick(w, 2);
  }
  plan->prices = prices;
  plan->price_count = PRICES;
}

static void make_usage(struct world *w, struct cover *c) {
  struct cover_usage *usage = arena_array(w->arena, 2, sizeof *usage);
  c->usage_count = c->kind == COVER_RESERVATION ? 1 : 1 + pick(w, 2);
  for (size_t i = 0; i < c->usage_count; i++) {
    usage[i].meter = &w->meters[pick(w, METERS)];
    usage[i].matches = some_match(w, (uint32_t)pick(w, 2), &usage[i].match_count);
    usage[i].discount = (rate){(int128)(1 + pick(w, 9)) * 100000000000};
  }
  c->usage = usage;
}

static void make_covers(struct world *w, struct plan *plan, bool payments) {
  struct cover *covers = arena_array(w->arena, COVERS, sizeof *covers);
  plan->cover_count = pick(w, COVERS + 1);
  size_t reserved = pick(w, plan->cover_count + 1);
  for (size_t i = 0; i < plan->cover_count; i++) {
    struct cover *c = &covers[i];
    *c = (struct cover){.kind = i < reserved ? COVER_RESERVATION : COVER_SAVINGS_PLAN, .each_s = 3600};
    c->name = some_name(w, "cover");
    c->quantity = c->kind == COVER_SAVINGS_PLAN ? QUANTITY_ONE : (quantity){(int128)(1 + pick(w, 9000)) * 1000000};
    c->each = (amount){(int128)(1 + pick(w, 9999)) * (chance(w, 50) ? 1000000001 : 333333333)};
    make_usage(w, c);
    if (c->kind == COVER_RESERVATION && c->usage[0].meter->aggregation == AGG_INTEGRAL) {
      c->each_s = (int64_t)(c->usage[0].meter->base_per_unit.e9 / QUANTITY_E9);
    }
    instant from = some_time(w), to = some_time(w);
    bool open = chance(w, 40) || to.ns <= from.ns;
    c->from = open ? w->contract.from : from;
    c->to = open ? w->contract.to : to;
    c->payment = payments && c->to.ns < INSTANT_MAX.ns ? (enum cover_payment)pick(w, 3) : COVER_MONTHLY;
    c->upfront = (amount){c->payment == COVER_PARTIAL ? 1000001 : 0};
    c->place = (struct place){"r", 2};
  }
  plan->covers = covers;
}

static void make_world(struct world *w) {
  static const slice dimensions[] = {{"x", 1}, {"y", 1}};
  static const int64_t bases[] = {60, 3600, 2628000};
  for (uint32_t i = 0; i < METERS; i++) {
    w->meters[i] = (struct meter){.name = i ? SLICE("sum") : SLICE("level"),
                                  .aggregation = i ? AGG_SUM : AGG_INTEGRAL,
                                  .base_per_unit = {QUANTITY_E9 * (i ? 1 : bases[pick(w, 3)])},
                                  .dimensions = dimensions,
                                  .dimension_count = 2,
                                  .index = i};
  }
  w->period.from.ns = (INT64_C(1790812800) + (int64_t)pick(w, 48) * 1800) * NS_PER_S;
  w->period.to.ns = w->period.from.ns + (int64_t)(2 + pick(w, 140)) * 1800 * NS_PER_S;
  w->contract = (struct contract){.plan_name = SLICE("p"), .from = {NS_PER_S}, .to = INSTANT_MAX, .own = &w->own};
  if (chance(w, 40)) {
    w->contract.from = some_time(w);
  }
  if (chance(w, 60)) {
    instant to = some_time(w);
    w->contract.to = to.ns > w->contract.from.ns ? to : w->period.to;
  }
  w->plans[0] = (struct plan){.name = SLICE("p")};
  w->plans[1] = (struct plan){.name = SLICE("p"), .valid_from = some_time(w)};
  w->own = (struct plan){.name = SLICE("own")};
  for (size_t i = 0; i < 2; i++) {
    make_prices(w, &w->plans[i]);
    make_covers(w, &w->plans[i], false);
  }
  make_covers(w, &w->own, true);
  w->customer =
      (struct customer){.id = SLICE("cus"), .time_zone = "UTC", .contracts = &w->contract, .contract_count = 1};
  w->catalog = (struct catalog){.plans = w->plans, .plan_count = 1 + pick(w, 2)};
}

/* Hours of a dimension set, cut where the engine's caller would cut them. */
static void make_run(struct world *w, const struct meter *meter, const slice *dimensions, const instant *cuts,
                     size_t cut_count) {
  int64_t at = w->period.from.ns;
  while (at < w->period.to.ns && w->row_count < ROWS_MAX) {
    int64_t end = at - at % HOUR + HOUR;
    end = end < w->period.to.ns ? end : w->period.to.ns;
    for (size_t i = 0; i < cut_count; i++) {
      end = cuts[i].ns > at && cuts[i].ns < end ? cuts[i].ns : end;
    }
    if (chance(w, 60)) {
      int128 value = (int128)pick(w, 9000) * 1000003 * (meter->aggregation == AGG_INTEGRAL ? 1800 : 1);
      w->rows[w->row_count++] =
          (struct usage_row){meter, w->customer.id, dimensions, {at}, {end}, {value}, 1 + (uint32_t)pick(w, 3)};
    }
    at = end;
  }
}

static void make_rows(struct world *w, const instant *cuts, size_t cut_count) {
  for (size_t m = 0; m < METERS; m++) {
    for (size_t x = 0; x < 3; x++) {
      for (size_t y = 0; y < 3; y++) {
        slice *dimensions = arena_array(w->arena, 2, sizeof *dimensions);
        dimensions[0] = slice_of(classes[x]);
        dimensions[1] = slice_of(classes[y]);
        if (chance(w, 40)) {
          make_run(w, &w->meters[m], dimensions, cuts, cut_count);
        }
      }
    }
  }
}

/* ---- rationals ---- */

static void set_int(mpz_t z, int128 value) {
  mpz_set_si(z, (long)(value >> 64));
  mpz_mul_2exp(z, z, 64);
  mpz_add_ui(z, z, (unsigned long)(uint64_t)value);
}

/* product of num / product of den, rounded half-even, or down. */
static int128 ratio(const int128 *num, size_t nums, const int128 *den, size_t dens, bool down) {
  mpz_t top, bottom, factor, rest;
  mpz_inits(top, bottom, factor, rest, NULL);
  mpz_set_ui(top, 1);
  mpz_set_ui(bottom, 1);
  for (size_t i = 0; i < nums; i++) {
    set_int(factor, num[i]);
    mpz_mul(top, top, factor);
  }
  for (size_t i = 0; i < dens; i++) {
    set_int(factor, den[i]);
    mpz_mul(bottom, bottom, factor);
  }
  mpz_fdiv_qr(top, rest, top, bottom);
  mpz_mul_2exp(rest, rest, 1);
  int order = mpz_cmp(rest, bottom);
  if (!down && (order > 0 || (order == 0 && mpz_odd_p(top)))) {
    mpz_add_ui(top, top, 1);
  }
  mpz_fdiv_q_2exp(rest, top, 64);
  int128 out = (int128)(uint128)(((uint128)mpz_get_ui(rest) << 64) | mpz_get_ui(top));
  mpz_clears(top, bottom, factor, rest, NULL);
  return out;
}
#define COUNT_OF(list) (sizeof(list) / sizeof *(list))

/* ---- the slow rater ---- */

struct seen { /* of one cover in the whole period */
  int128 capacity, used, matching, cost, spent, list, matching_list;
  uint32_t hours, unused;
};
struct slow {
  struct world *w;
  const struct plan *terms[2];
  struct seen own[COVERS], plan[2][COVERS];
  instant from, to; /* of the segment */
  const struct plan *version;
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

static const struct price_rule *price_of(const struct plan *plan, const struct usage_row *row) {
  for (size_t i = 0; i < plan->price_count; i++) {
    const struct price_rule *p = &plan->prices[i];
    if (p->meter == row->meter && holds(p->matches, p->match_count, row->dimensions)) {
      return p;
    }
  }
  return NULL;
}

static int128 multiplier_of(const struct price_rule *p, const struct usage_row *row) {
  bool applies =
      p->multiplier_count > 0 && holds(p->multipliers[0].matches, p->multipliers[0].match_count, row->dimensions);
  return applies ? p->multipliers[0].by.e12 : AMOUNT_E12;
}

/* each x multiplier x part x raw / (per x base), zero where units have no price. */
static int128 list_of(const struct slow *s, const struct usage_row *row, int128 raw, int128 part) {
  const struct price_rule *p = price_of(s->version, row);
  if (!p || p->model == PRICE_FLAT) {
    return 0;
  }
  const int128 num[] = {p->tiers[0].each.e12, multiplier_of(p, row), part, raw, QUANTITY_E9};
  const int128 den[] = {AMOUNT_E12, AMOUNT_E12, p->per.e9, p->meter->base_per_unit.e9};
  return ratio(num, COUNT_OF(num), den, COUNT_OF(den), false);
}

static int128 units_for(const struct slow *s, const struct usage_row *row, int128 money, int128 part) {
  const struct price_rule *p = price_of(s->version, row);
  const int128 num[] = {money, p->per.e9, p->meter->base_per_unit.e9, AMOUNT_E12, AMOUNT_E12};
  const int128 den[] = {p->tiers[0].each.e12, multiplier_of(p, row), part, QUANTITY_E9};
  return ratio(num, COUNT_OF(num), den, COUNT_OF(den), true);
}

static int128 accrued(const struct cover *c, int64_t t) {
  const int128 num[] = {c->each.e12, c->quantity.e9, t - c->from.ns};
  const int128 den[] = {QUANTITY_E9, c->each_s, NS_PER_S};
  return ratio(num, COUNT_OF(num), den, COUNT_OF(den), false);
}

static const struct cover_usage *usage_of(const struct slow *s, const struct cover *c, const struct usage_row *row) {
  for (size_t i = 0; i < c->usage_count; i++) {
    if (c->usage[i].meter == row->meter && holds(c->usage[i].matches, c->usage[i].match_count, row->dimensions)) {
      bool worth = c->kind == COVER_RESERVATION || list_of(s, row, 1000000 * QUANTITY_E9 * 3600, AMOUNT_E12) > 0;
      return worth ? &c->usage[i] : NULL;
    }
  }
  return NULL;
}

struct slow_hour {
  const struct cover *covers[2 * COVERS];
  struct seen *seen[2 * COVERS];
  int128 room[2 * COVERS], whole[2 * COVERS];
  size_t cover_count;
  size_t rows[ROWS_MAX];
  size_t row_count;
  bool done[2 * COVERS][ROWS_MAX];
};

static void open_cover(const struct cover *c, struct seen *seen, int64_t from, int64_t to, struct slow_hour *h) {
  from = c->from.ns > from ? c->from.ns : from;
  to = c->to.ns < to ? c->to.ns : to;
  if (from >= to) {
    return;
  }
  size_t at = h->cover_count++;
  h->covers[at] = c;
  h->seen[at] = seen;
  if (c->kind == COVER_RESERVATION) {
    const int128 num[] = {c->quantity.e9, to - from};
    const int128 den[] = {NS_PER_S, c->usage[0].meter->aggregation == AGG_INTEGRAL ? 1 : 3600};
    h->whole[at] = ratio(num, 2, den, 2, true);
    seen->capacity += h->whole[at];
  } else {
    h->whole[at] = accrued(c, to) - accrued(c, from);
  }
  h->room[at] = h->whole[at];
  seen->hours++;
}

/* Greater is better; covers and rows are walked in order, so that the first of equals stays. */
static int128 saving_of(const struct slow *s, const struct cover *c, const struct usage_row *row) {
  if (c->kind == COVER_SAVINGS_PLAN) {
    return usage_of(s, c, row)->discount.e12;
  }
  return list_of(s, row, 1000000 * row->meter->base_per_unit.e9, AMOUNT_E12);
}

static bool best_bid(struct slow *s, struct slow_hour *h, enum cover_kind kind, size_t *cover, size_t *row) {
  int128 best = -1;
  for (size_t c = 0; c < h->cover_count; c++) {
    for (size_t r = 0; r < h->row_count; r++) {
      const struct usage_row *usage = &s->w->rows[h->rows[r]];
      if (h->covers[c]->kind == kind && !h->done[c][r] && usage_of(s, h->covers[c], usage) &&
          saving_of(s, h->covers[c], usage) > best) {
        best = saving_of(s, h->covers[c], usage);
        *cover = c;
        *row = r;
      }
    }
  }
  return best >= 0;
}

static void take_bid(struct slow *s, struct slow_hour *h, size_t c, size_t r) {
  const struct usage_row *row = &s->w->rows[h->rows[r]];
  int128 *left = &s->w->left[h->rows[r]], taken = *left < h->room[c] ? *left : h->room[c], used = taken;
  if (h->covers[c]->kind == COVER_SAVINGS_PLAN) {
    int128 part = AMOUNT_E12 - usage_of(s, h->covers[c], row)->discount.e12;
    taken = *left;
    used = list_of(s, row, taken, part);
    if (used > h->room[c]) {
      used = h->room[c];
      taken = units_for(s, row, used, part);
      taken = taken < *left ? taken : *left;
    }
  }
  h->seen[c]->list += list_of(s, row, taken, AMOUNT_E12);
  h->room[c] -= used;
  *left -= taken;
}

static void slow_kind(struct slow *s, struct slow_hour *h, enum cover_kind kind) {
  size_t c, r;
  for (c = 0; c < h->cover_count; c++) {
    for (r = 0; r < h->row_count; r++) {
      const struct usage_row *row = &s->w->rows[h->rows[r]];
      if (h->covers[c]->kind == kind && usage_of(s, h->covers[c], row)) {
        h->seen[c]->matching += s->w->left[h->rows[r]];
        h->seen[c]->matching_list += list_of(s, row, s->w->left[h->rows[r]], AMOUNT_E12);
      }
    }
  }
  while (best_bid(s, h, kind, &c, &r)) {
    h->done[c][r] = true;
    if (h->room[c] > 0 && s->w->left[h->rows[r]] > 0) {
      take_bid(s, h, c, r);
    }
  }
}

static void slow_hour(struct slow *s, int64_t hour) {
  struct slow_hour *h = mem_alloc(sizeof *h);
  int64_t from = hour > s->from.ns ? hour : s->from.ns, to = hour + HOUR < s->to.ns ? hour + HOUR : s->to.ns;
  for (size_t i = 0; i < s->w->own.cover_count; i++) {
    open_cover(&s->w->own.covers[i], &s->own[i], from, to, h);
  }
  for (size_t i = 0; i < s->version->cover_count; i++) {
    open_cover(&s->version->covers[i], &s->plan[s->version - s->w->plans][i], from, to, h);
  }
  for (size_t i = 0; i < s->w->row_count; i++) {
    if (s->w->rows[i].from.ns >= from && s->w->rows[i].from.ns < to) {
      h->rows[h->row_count++] = i;
    }
  }
  slow_kind(s, h, COVER_RESERVATION);
  slow_kind(s, h, COVER_SAVINGS_PLAN);
  for (size_t c = 0; c < h->cover_count; c++) {
    bool units = h->covers[c]->kind == COVER_RESERVATION;
    *(units ? &h->seen[c]->used : &h->seen[c]->spent) += h->whole[c] - h->room[c];
    h->seen[c]->unused += h->room[c] > 0;
  }
  free(h);
}

/* ---- comparing ---- */

static const struct seen *seen_of(const struct slow *s, const struct cover *cover) {
  for (size_t i = 0; i < COVERS; i++) {
    if (&s->w->own.covers[i] == cover) {
      return &s->own[i];
    }
    for (size_t p = 0; p < 2; p++) {
      if (&s->w->plans[p].covers[i] == cover) {
        return &s->plan[p][i];
      }
    }
  }
  return NULL;
}

static int128 in_units(const struct cover *c, int128 raw) {
  const int128 num[] = {raw, QUANTITY_E9}, den[] = {c->usage[0].meter->base_per_unit.e9};
  return ratio(num, 2, den, 1, false);
}

static int128 share(int128 part, int128 whole) {
  const int128 num[] = {part, AMOUNT_E12};
  return ratio(num, 2, &whole, 1, false);
}

static void compare_report(struct slow *s, const struct coverage *c) {
  struct world *w = s->w;
  const struct seen *n = seen_of(s, c->cover);
  bool units = c->cover->kind == COVER_RESERVATION;
  expect(w, n && n->hours == c->hours && n->unused == c->hours_unused, "number of hours");
  int128 cost = accrued(c->cover, c->to.ns) - accrued(c->cover, c->from.ns);
  expect(w, c->cost.e12 - cost <= 1 && cost - c->cost.e12 <= 1, "cost"); /* differences of each stretch */
  expect(w, c->spent.e12 == n->spent && c->list.e12 == n->list, "spent or list price");
  expect(w, c->saved.e12 == c->list.e12 - c->cost.e12, "saved");
  expect(w, units || c->matching_list.e12 == n->matching_list, "list price of matching usage");
  if (units) {
    expect(w, c->capacity.e9 == in_units(c->cover, n->capacity), "capacity");
    expect(w, c->used.e9 == in_units(c->cover, n->used), "used");
    expect(w, c->matching.e9 == in_units(c->cover, n->matching), "matching");
    expect(w, n->used <= n->capacity && n->used <= n->matching, "bounds of what is used");
  } else {
    expect(w, c->spent.e12 <= c->cost.e12, "bounds of what is spent");
  }
  int128 whole = units ? n->capacity : cost, part = units ? n->used : n->spent;
  expect(w, c->has_utilization == (whole > 0) && (whole == 0 || c->utilization.e12 == share(part, whole)),
         "utilization");
  whole = units ? n->matching : n->matching_list;
  part = units ? n->used : n->list;
  expect(w, c->has_coverage == (whole > 0) && (whole == 0 || c->coverage.e12 == share(part, whole)), "coverage");
}

static void compare_hourly(struct world *w, const struct coverage *c) {
  int128 used = 0, spent = 0, committed = 0;
  uint32_t unused = 0;
  for (size_t i = 0; i < c->hourly_count; i++) {
    const struct coverage_hour *h = &c->hourly[i];
    expect(w, h->from.ns < h->to.ns && (i == 0 || c->hourly[i - 1].to.ns == h->from.ns), "order of hours");
    used += h->used.e9;
    spent += h->spent.e12;
    committed += h->committed.e12;
    unused += h->used.e9 < h->capacity.e9 || h->spent.e12 < h->committed.e12;
  }
  int128 rounding = used > c->used.e9 ? used - c->used.e9 : c->used.e9 - used;
  expect(w, c->hourly_count == c->hours && rounding <= (int128)c->hours && spent == c->spent.e12, "sum of the hours");
  expect(w, c->cover->kind == COVER_RESERVATION || committed == c->cost.e12, "sum committed");
  expect(w, unused <= c->hours_unused, "hours not full");
}

/* What is left for a price, and what that costs when it is per unit: by groups of one multiplier. */
static void compare_charge(struct slow *s, const struct charge *c) {
  struct world *w = s->w;
  int128 raw = 0, left = 0, covered = 0, open = 0;
  for (size_t i = 0; i < w->row_count; i++) {
    const struct usage_row *row = &w->rows[i];
    if (row->from.ns >= c->segment->from.ns && row->from.ns < c->segment->to.ns &&
        price_of(c->segment->plan, row) == c->price) {
      raw += row->value.e9;
      left += w->left[i];
    }
  }
  for (size_t i = 0; i < c->step_count; i++) {
    const struct trace_step *step = &c->steps[i];
    covered += step->covered.e9;
    open += step->raw.e9 - step->covered.e9;
    if (c->price->model == PRICE_PER_UNIT) {
      const int128 num[] = {c->price->tiers[0].each.e12, step->raw.e9 - step->covered.e9, step->multiplier.e12,
                            QUANTITY_E9};
      const int128 den[] = {c->price->per.e9, c->meter->base_per_unit.e9, AMOUNT_E12};
      expect(w, step->amount.e12 == ratio(num, 4, den, 3, false), "amount of a step");
    }
  }
  expect(w, c->raw.e9 == raw && open == left && covered == raw - left, "covered usage of a price");
}

static int128 fees_of(const struct rating *r, const struct cover *cover) {
  int128 sum = 0;
  for (size_t i = 0; i < r->charge_count; i++) {
    sum += r->charges[i].cover == cover ? r->charges[i].exact.e12 : 0;
  }
  return sum;
}

static void rate_rows(struct world *w, struct period period, const struct usage_row *rows, size_t count,
                      struct rating *out) {
  struct error err;
  if (!rate_customer_hourly(w->arena, &w->catalog, &w->customer, period, rows, count, out, &err)) {
    expect(w, false, err.message);
  }
}

/* The fees of two halves are those of the whole, and those of the whole term its total, however it is paid. */
static void compare_fees(struct world *w) {
  struct rating whole, halves[2];
  instant middle = some_time(w);
  if (middle.ns <= w->period.from.ns) {
    return;
  }
  rate_rows(w, w->period, NULL, 0, &whole);
  rate_rows(w, (struct period){w->period.from, middle}, NULL, 0, &halves[0]);
  rate_rows(w, (struct period){middle, w->period.to}, NULL, 0, &halves[1]);
  expect(w, whole.total.e12 == halves[0].total.e12 + halves[1].total.e12, "fees of two halves");
  struct rating opening;
  struct error err;
  expect(w, rate_opening(w->arena, &w->catalog, &w->customer, w->contract.from, &opening, &err), "an opening");
  for (size_t i = 0; i < w->own.cover_count; i++) {
    const struct cover *c = &w->own.covers[i];
    if (c->from.ns >= w->period.from.ns && c->to.ns <= w->period.to.ns && c->from.ns >= w->contract.from.ns &&
        c->to.ns <= w->contract.to.ns) {
      expect(w, fees_of(&opening, c) + fees_of(&whole, c) == accrued(c, c->to.ns), "fees of a whole term");
    }
  }
}

/* What it covered, price by price, is all it covered and costs all but what is unused. */
static void compare_uses(struct world *w, const struct coverage *c) {
  int128 cost = c->unused.e12, raw = 0, used;
  struct error ignored;
  for (size_t i = 0; i < c->use_count; i++) {
    const struct coverage_use *use = &c->uses[i];
    cost += use->cost.e12;
    raw += use->raw.e9;
    for (size_t other = 0; other < i; other++) {
      const struct coverage_use *o = &c->uses[other];
      expect(w,
             o->price != use->price || o->meter != use->meter || o->segment != use->segment ||
                 o->multiplier.e12 != use->multiplier.e12,
             "each use once");
    }
  }
  expect(w, cost == c->cost.e12, "costs of uses");
  expect(w, c->cover->kind == COVER_RESERVATION || c->unused.e12 == c->cost.e12 - c->spent.e12, "unused money");
  if (c->cover->kind == COVER_RESERVATION) {
    must(int128_muldiv(raw, QUANTITY_E9, c->cover->usage[0].meter->base_per_unit.e9, ROUND_HALF_EVEN, &used, &ignored));
    expect(w, used == c->used.e9, "units of uses");
    expect(w, c->unused.e12 >= 0, "no more than all is used");
  }
}

static uint64_t run_case(uint64_t seed, uint64_t number) {
  struct world *w = mem_alloc(sizeof *w);
  const struct segment *segments;
  struct error err;
  struct rating rating;
  instant cuts[2 * SEGMENTS_MAX];
  size_t segment_count;
  w->seed = seed;
  w->number = number;
  w->arena = arena_new();
  random_seed(&w->random, seed, number);
  make_world(w);
  must(rate_segments(w->arena, &w->catalog, &w->customer, w->period, &segments, &segment_count, &err));
  must(segment_count <= SEGMENTS_MAX);
  make_rows(w, cuts, rate_cuts(&w->catalog, segments, segment_count, cuts, 2 * SEGMENTS_MAX));
  rate_rows(w, w->period, w->rows, w->row_count, &rating);
  struct slow s = {.w = w};
  for (size_t i = 0; i < w->row_count; i++) {
    w->left[i] = w->rows[i].value.e9;
  }
  for (size_t i = 0; i < segment_count; i++) {
    s.version = segments[i].plan;
    s.from = segments[i].from;
    s.to = segments[i].to;
    for (int64_t hour = s.from.ns - s.from.ns % HOUR; hour < s.to.ns; hour += HOUR) {
      slow_hour(&s, hour);
    }
  }
  for (size_t i = 0; i < rating.coverage_count; i++) {
    compare_uses(w, &rating.coverages[i]);
    compare_report(&s, &rating.coverages[i]);
    compare_hourly(w, &rating.coverages[i]);
  }
  for (size_t i = 0; i < rating.charge_count; i++) {
    if (rating.charges[i].kind == CHARGE_USAGE) {
      compare_charge(&s, &rating.charges[i]);
    }
  }
  compare_fees(w);
  uint64_t checks = w->checks;
  arena_free(w->arena);
  free(w);
  return checks;
}

static uint64_t number_from(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text ? strtoull(text, NULL, 10) : otherwise;
}

int main(void) {
  uint64_t seed = number_from("SEED", 20261121), cases = number_from("CASES", 1500), checks = 0;
  printf("SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  for (uint64_t i = 0; i < cases; i++) {
    checks += run_case(seed, i);
  }
  printf("%llu checks hold\n", (unsigned long long)checks);
  return checks > 0 || cases == 0 ? 0 : 1;
}
