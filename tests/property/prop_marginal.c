/* Random prices of every model and random calls: what each more call costs adds up to what rating charges for all of
 * them, and the most that one can cost is never passed. */
#include "base/hash.h"
#include "rate/rate.h"

#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 60, HOURS = 24 * 31, GROUPS_MAX = 8 };

struct world {
  uint64_t seed, number;
  struct random random;
  struct arena *arena;
  struct catalog *catalog;
  const struct customer *customer;
  const struct price_rule *price;
  struct segment segment;
  struct period period;
  slice values[2][1]; /* dimensions of the calls */
  struct usage_row rows[2 * CALLS_MAX];
  size_t row_count, call_count;
  const struct usage_row *calls[CALLS_MAX]; /* in the order of time */
};

static _Noreturn void fail(const struct world *w, const char *what) {
  fprintf(stderr, "SEED=%llu case %llu: %s\n" SLICE_FMT "\n", (unsigned long long)w->seed,
          (unsigned long long)w->number, what, SLICE_ARG(w->catalog->texts[0].text));
  exit(1);
}

static void expect(const struct world *w, bool holds, const char *what) {
  if (!holds) {
    fail(w, what);
  }
}

static uint64_t pick(struct world *w, uint64_t bound) {
  return random_below(&w->random, bound);
}

/* ---- a catalog with one price ---- */

static bool tiered(enum price_model model) {
  return model == PRICE_GRADUATED || model == PRICE_VOLUME || model == PRICE_STAIRSTEP || model == PRICE_PERCENTAGE;
}

static void write_number(struct world *w, struct buf *text) {
  static const char *const ends[] = {"", ".5", ".07", ".000003", ".000000000001", "00000"};
  buf_addf(text, "%llu%s", (unsigned long long)pick(w, 40), ends[pick(w, 6)]);
}

static void write_each(struct world *w, struct buf *text, enum price_model model) {
  if (model == PRICE_PERCENTAGE) {
    buf_addf(text, "0.%06llu", (unsigned long long)pick(w, 1000000));
  } else {
    write_number(w, text);
  }
}

static void write_tiers(struct world *w, struct buf *text, enum price_model model) {
  uint64_t count = 1 + pick(w, 5), border = 0;
  buf_add(text, SLICE(", tiers: ["));
  for (uint64_t i = 0; i < count; i++) {
    buf_add(text, i ? SLICE(", {") : SLICE("{"));
    if (i + 1 < count) {
      border += 1 + pick(w, pick(w, 2) ? 30 : 3000);
      buf_addf(text, "up_to: %llu%s, ", (unsigned long long)border, pick(w, 3) ? "" : ".25");
    }
    if (model != PRICE_STAIRSTEP) {
      buf_add(text, SLICE("price: "));
      write_each(w, text, model);
    }
    if (model == PRICE_STAIRSTEP || pick(w, 3) == 0) {
      buf_add(text, model == PRICE_STAIRSTEP ? SLICE("flat: ") : SLICE(", flat: "));
      write_number(w, text);
    }
    buf_addc(text, '}');
  }
  buf_addc(text, ']');
}

static void write_multipliers(struct world *w, struct buf *text) {
  static const char *const lists[] = {
      "",
      "",
      ", multipliers: [{match: {d: [a, b]}, by: 1.37}]",
      ", multipliers: [{match: {d: a}, by: 0.333333333333}]",
      ", multipliers: [{match: {d: a}, by: 2}, {match: {d: [a, b]}, by: 1.01}]",
      ", multipliers: [{hours: \"20:00-08:00\", by: 0.1}, {hours: \"09:00-10:00\", by: 0}]",
      ", multipliers: [{hours: \"08:00-20:00\", by: 1.5}, {hours: \"22:00-06:00\", by: 70 %, match: {d: b}}]"};
  buf_addf(text, "%s", lists[pick(w, sizeof lists / sizeof *lists)]);
}

static void make_catalog(struct world *w) {
  static const char *const meters[] = {"aggregation: sum, value: v", "aggregation: integral, value: v, over: hour",
                                       "aggregation: count"};
  static const char *const pers[] = {"", ", per: 1000", ", per: 7", ", per: 0.3", ", per: 1000000"};
  enum price_model model = (enum price_model)pick(w, 7);
  struct buf text;
  struct error err = {0};
  buf_init(&text, 10000);
  buf_addf(&text, "currency: EUR\nmeters: [{name: m, event: e, %s, dimensions: [d]}]\n",
           meters[model == PRICE_PERCENTAGE ? 0 : pick(w, 3)]);
  buf_addf(&text, "plans:\n  - name: p\n    prices: [{meter: m, name: x, model: %s", price_model_name(model));
  if (tiered(model)) {
    write_tiers(w, &text, model);
  } else {
    buf_add(&text, SLICE(", price: "));
    write_each(w, &text, model);
  }
  if (model != PRICE_STAIRSTEP && model != PRICE_FLAT && model != PRICE_PERCENTAGE) {
    buf_addf(&text, "%s", pers[model == PRICE_PACKAGE ? 1 + pick(w, 4) : pick(w, 5)]);
  }
  write_multipliers(w, &text);
  buf_addf(&text, "}]\ncustomers: [{id: c, plan: p}]\n");
  struct catalog_text file = {"p.yaml", arena_copy(w->arena, buf_slice(&text))};
  buf_free(&text);
  if (!catalog_parse(&file, 1, &w->catalog, &err)) {
    fprintf(stderr, "%s\n" SLICE_FMT "\n", err.message, SLICE_ARG(file.text));
    exit(1);
  }
}

/* ---- calls ---- */

static quantity some_raw(struct world *w) {
  static const int64_t scale[] = {1, 1000000, QUANTITY_E9, 1000 * QUANTITY_E9};
  int128 raw = (int128)pick(w, 3000) * scale[pick(w, 4)];
  bool hours = w->price->meter->base_per_unit.e9 > QUANTITY_E9 && pick(w, 2);
  return (quantity){hours ? raw * 3600 : raw};
}

static int by_dimension(const void *a, const void *b) {
  const struct usage_row *x = a, *y = b;
  int order = slice_cmp(x->dimensions[0], y->dimensions[0]);
  return order != 0 ? order : (x->from.ns > y->from.ns) - (x->from.ns < y->from.ns);
}

static int by_time(const void *a, const void *b) {
  const struct usage_row *const *x = a, *const *y = b;
  return ((*x)->from.ns > (*y)->from.ns) - ((*x)->from.ns < (*y)->from.ns);
}

/* Each in an hour of its own, so that their order is that of time. */
static void make_calls(struct world *w) {
  w->values[0][0] = SLICE("a");
  w->values[1][0] = SLICE("b");
  bool mixed = pick(w, 2) == 0;
  uint64_t hour = 0;
  w->call_count = 1 + pick(w, CALLS_MAX);
  for (size_t i = 0; i < w->call_count; i++) {
    hour += 1 + pick(w, HOURS / CALLS_MAX - 1);
    instant from = {w->period.from.ns + (int64_t)hour * 3600 * NS_PER_S};
    w->rows[i] = (struct usage_row){.meter = w->price->meter,
                                    .customer = w->customer->id,
                                    .dimensions = w->values[mixed ? pick(w, 2) : 0],
                                    .from = from,
                                    .to = {from.ns + 3600 * NS_PER_S},
                                    .value = some_raw(w),
                                    .events = 1};
  }
  qsort(w->rows, w->call_count, sizeof *w->rows, by_dimension);
  for (size_t i = 0; i < w->call_count; i++) {
    w->calls[i] = &w->rows[i];
  }
  qsort(w->calls, w->call_count, sizeof *w->calls, by_time);
}

/* ---- what must hold ---- */

static amount most_of(const struct world *w, const slice *dimensions, quantity raw) {
  struct error err = {0};
  amount most;
  if (!rate_marginal_most(w->price, dimensions, raw, &most, &err)) {
    fail(w, err.message);
  }
  return most;
}

static amount marginal_of(struct world *w, const struct usage_row *call, quantity before, quantity raw) {
  struct error err = {0};
  amount cost;
  if (!rate_marginal(w->price, call->dimensions, call->from, before, raw, &cost, &err)) {
    fail(w, err.message);
  }
  expect(w, cost.e12 <= most_of(w, call->dimensions, raw).e12, "a call costs more than the most");
  quantity more = {raw.e9 + some_raw(w).e9};
  expect(w, cost.e12 <= most_of(w, call->dimensions, more).e12, "a call costs more than the most of a larger one");
  return cost;
}

/* The multiplier of a call, from the steps of a rating of it alone. */
static rate multiplier_of(struct world *w, const struct usage_row *call) {
  struct rating rating;
  struct error err = {0};
  struct usage_row row = *call;
  row.value = QUANTITY_ONE;
  expect(w, rate_customer(w->arena, w->catalog, w->customer, w->period, &row, 1, &rating, &err), "rating of one call");
  return rating.charge_count ? rating.charges[0].steps[0].multiplier : RATE_ONE;
}

struct group {
  rate multiplier;
  quantity before;
};

/* The sum over the calls; `apart`: each multiplier counts what was before by itself. */
static amount sum_of_calls(struct world *w, bool apart, size_t *group_count) {
  struct group groups[GROUPS_MAX];
  quantity all = QUANTITY_ZERO;
  amount sum = AMOUNT_ZERO;
  *group_count = 0;
  for (size_t i = 0; i < w->call_count; i++) {
    const struct usage_row *call = w->calls[i];
    rate multiplier = multiplier_of(w, call);
    size_t g = 0;
    while (g < *group_count && groups[g].multiplier.e12 != multiplier.e12) {
      g++;
    }
    if (g == *group_count) {
      must(g < GROUPS_MAX);
      groups[(*group_count)++] = (struct group){multiplier, QUANTITY_ZERO};
    }
    sum.e12 += marginal_of(w, call, apart ? groups[g].before : all, call->value).e12;
    groups[g].before.e9 += call->value.e9;
    all.e9 += call->value.e9;
  }
  return sum;
}

static void compare_sum(struct world *w) {
  enum price_model model = w->price->model;
  bool apart = model == PRICE_PACKAGE || model == PRICE_STAIRSTEP || model == PRICE_FLAT;
  struct rating rating;
  struct error err = {0};
  size_t groups;
  amount sum = sum_of_calls(w, apart, &groups);
  expect(w, rate_customer(w->arena, w->catalog, w->customer, w->period, w->rows, w->call_count, &rating, &err),
         "rating");
  int128 difference = rating.total.e12 - sum.e12;
  int128 allowed = groups <= 1 || apart ? 0 : (int128)(w->call_count * w->price->tier_count);
  if (groups > 1 && model == PRICE_VOLUME && w->price->tier_count > 1) {
    return; /* what was before is priced anew, each at its own multiplier */
  }
  expect(w, difference <= allowed && -difference <= allowed, "the calls do not add up to the charge");
}

/* Near borders, and far beyond them. */
static void try_anywhere(struct world *w) {
  for (int i = 0; i < 20; i++) {
    const struct tier *tier = &w->price->tiers[pick(w, w->price->tier_count)];
    int128 base = w->price->meter->base_per_unit.e9 / QUANTITY_E9;
    int128 border = tier->last ? 0 : tier->up_to.e9 * base, near = border + (int128)pick(w, 5) - 2;
    quantity raw = pick(w, 2) ? some_raw(w) : (quantity){(int128)pick(w, 5)};
    quantity before = pick(w, 2) ? (quantity){near} : (quantity){border - raw.e9 + (int128)pick(w, 5) - 2};
    if (pick(w, 5) == 0) {
      before.e9 = (int128)pick(w, 1000000000000000) * QUANTITY_E9 * base;
    }
    before.e9 = before.e9 < 0 ? 0 : before.e9;
    marginal_of(w, w->calls[pick(w, w->call_count)], before, raw);
  }
}

static void run_case(struct world *w) {
  struct error err = {0};
  random_seed(&w->random, w->seed, w->number);
  w->arena = arena_new();
  make_catalog(w);
  w->customer = &w->catalog->customers[0];
  must(time_parse_period(SLICE("2026-10"), "UTC", &w->period, &err));
  expect(w, rate_segment_at(w->catalog, w->customer, w->period.from, &w->segment, &err) && w->segment.contract != NULL,
         "segment");
  w->price = rate_price_of(w->catalog, &w->segment, &w->catalog->meters[0], (slice[]){SLICE("a")});
  expect(w, w->price != NULL && w->price->meter == &w->catalog->meters[0], "price");
  make_calls(w);
  compare_sum(w);
  try_anywhere(w);
  catalog_free(w->catalog);
  arena_free(w->arena);
}

static uint64_t number_from(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text ? strtoull(text, NULL, 10) : otherwise;
}

int main(void) {
  static struct world w;
  uint64_t cases = number_from("CASES", 1500);
  w.seed = number_from("SEED", 20261121);
  printf("SEED=%llu CASES=%llu\n", (unsigned long long)w.seed, (unsigned long long)cases);
  for (w.number = 0; w.number < cases; w.number++) {
    run_case(&w);
  }
  return 0;
}
