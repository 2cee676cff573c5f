/* Rating a customer's period: usage to items, allowances off them, then fees, prices and true-ups a segment. */
#include "rate/rate.h"

#include "rate/private.h"

#include <stdlib.h>

const char *charge_kind_name(enum charge_kind kind) {
  switch (kind) {
  case CHARGE_USAGE:
    return "usage";
  case CHARGE_FEE:
    return "fee";
  case CHARGE_TRUE_UP:
    return "true_up";
  case CHARGE_ADJUSTMENT:
    return "adjustment";
  case CHARGE_CREDIT:
    return "credit";
  case CHARGE_COMMITMENT:
    return "commitment";
  case CHARGE_DRAWDOWN:
    return "drawdown";
  case CHARGE_DISCOUNT:
    return "discount";
  case CHARGE_OVERAGE:
    return "overage";
  }
  return "unknown";
}

struct work {
  struct arena *arena, *scratch;
  const struct catalog *catalog;
  const struct customer *customer;
  struct stretch *stretches;
  size_t stretch_count;
  struct charges charges;
  struct steps steps; /* of the charge at hand */
  tallies covers;
  bool hourly;
};

/* ---- one charge ---- */

/* Parts of raw stay in range when it does. */
static bool total_items(const struct taken *taken, struct charge *charge, struct error *err) {
  quantity included = QUANTITY_ZERO, covered = QUANTITY_ZERO;
  for (size_t i = 0; i < taken->item_count; i++) {
    if (!quantity_add(charge->raw, taken->items[i]->raw, &charge->raw, err)) {
      return false;
    }
    included.e9 += taken->items[i]->included.e9;
    covered.e9 += taken->items[i]->covered.e9;
  }
  return quantity_units(charge->meter, charge->raw, &charge->units, err) &&
         quantity_units(charge->meter, included, &charge->included_units, err) &&
         quantity_units(charge->meter, covered, &charge->covered_units, err);
}

/* One price for all: a model of prices per unit, a single tier met, nothing flat on top. */
static void find_unit_price(const struct steps *steps, struct charge *charge) {
  enum price_model model = charge->price->model;
  bool per_unit = model == PRICE_PER_UNIT || model == PRICE_VOLUME || price_climbs(charge->price);
  for (size_t i = 0; i < steps->count; i++) {
    const struct trace_step *step = &steps->items[i];
    if (step->tier != steps->items[0].tier || (step->note && step->rows == 0)) {
      per_unit = false;
    }
  }
  if (per_unit && steps->count > 0) {
    charge->has_unit_price = true;
    charge->unit_price = (struct price){steps->items[0].price.each, charge->price->per};
  }
}

static bool keep_steps(struct work *w, struct charge *charge, struct error *err) {
  struct trace_step *copy = arena_array(w->arena, w->steps.count, sizeof *copy);
  for (size_t i = 0; i < w->steps.count; i++) {
    copy[i] = w->steps.items[i];
    if (!amount_add(charge->exact, copy[i].amount, &charge->exact, err)) {
      return false;
    }
  }
  charge->steps = copy;
  charge->step_count = w->steps.count;
  return true;
}

static bool charge_price(struct work *w, const struct taken *taken, struct error *err) {
  const struct price_rule *price = taken->price;
  struct charge charge = {.kind = CHARGE_USAGE,
                          .name = price->name,
                          .product = price->product,
                          .unit = price->meter->unit,
                          .segment = taken->stretch->segment,
                          .price = price,
                          .meter = price->meter};
  w->steps.count = 0;
  if (!total_items(taken, &charge, err) ||
      (!quantity_is_zero(charge.raw) && (!rate_taken(taken, &w->steps, err) || !keep_steps(w, &charge, err)))) {
    return error_at_price(price, err);
  }
  if (!quantity_is_zero(charge.raw)) {
    find_unit_price(&w->steps, &charge);
    vec_push(&w->charges, charge);
  }
  return true;
}

/* ---- one stretch ---- */

/* Prices in their order, items of one in theirs: all stand in one array. */
static int by_slot(const void *a, const void *b) {
  const struct item *const *x = a, *const *y = b;
  size_t slot = (*x)->run->slot, other = (*y)->run->slot;
  return slot != other ? (slot > other) - (slot < other) : (*x > *y) - (*x < *y);
}

/* Sorted rather than counted by price: a customer uses few of thousands of prices. */
static const struct item **by_price(const struct work *w, const struct stretch *s, size_t *count) {
  const struct item **sorted = arena_array(w->scratch, s->count, sizeof *sorted);
  *count = 0;
  for (size_t i = 0; i < s->count; i++) {
    if (s->items[i].run->price) {
      sorted[(*count)++] = &s->items[i];
    }
  }
  if (*count > 1) {
    qsort(sorted, *count, sizeof *sorted, by_slot);
  }
  return sorted;
}

static bool charge_prices(struct work *w, const struct stretch *s, struct error *err) {
  size_t count;
  const struct item **sorted = by_price(w, s, &count);
  for (size_t from = 0, to; from < count; from = to) {
    for (to = from + 1; to < count && sorted[to]->run->slot == sorted[from]->run->slot; to++) {
    }
    const struct taken taken = {.arena = w->arena,
                                .scratch = w->scratch,
                                .stretch = s,
                                .price = sorted[from]->run->price,
                                .items = sorted + from,
                                .item_count = to - from};
    if (!charge_price(w, &taken, err)) {
      return false;
    }
  }
  return true;
}

static bool rate_stretch(struct work *w, struct stretch *s, struct error *err) {
  size_t first = w->charges.count;
  if (!s->segment) {
    return true;
  }
  return draw_allowances(s, err) && draw_covers(w->scratch, s, w->hourly, err) &&
         charge_fees(w->arena, w->catalog, s, &w->charges, err) && charge_covers(w->arena, s, &w->charges, err) &&
         charge_prices(w, s, err) && charge_true_up(w->arena, w->catalog, s, &w->charges, first, err);
}

/* ---- the whole ---- */

static bool keep_charges(const struct work *w, struct rating *out, struct error *err) {
  struct charge *copy = arena_array(w->arena, w->charges.count, sizeof *copy);
  for (size_t i = 0; i < w->charges.count; i++) {
    copy[i] = w->charges.items[i];
    if (!amount_add(out->total, copy[i].exact, &out->total, err)) {
      return false;
    }
  }
  out->charges = copy;
  out->charge_count = w->charges.count;
  return true;
}

static bool rate_all(struct work *w, const struct usage_row *rows, size_t row_count, struct rating *out,
                     struct error *err) {
  const struct segment *segments;
  size_t segment_count;
  if (!rate_segments(w->arena, w->catalog, w->customer, out->period, &segments, &segment_count, err) ||
      !stretches_of(w->arena, w->catalog, w->customer, out->period, segments, segment_count, &w->stretches,
                    &w->stretch_count, err)) {
    return false;
  }
  const struct intake intake = {w->scratch, w->customer, out->period, w->stretches, w->stretch_count};
  if (!find_covers(w->scratch, w->stretches, w->stretch_count, &w->covers, err) ||
      !collect_items(&intake, rows, row_count, err)) {
    return false;
  }
  for (size_t i = 0; i < w->stretch_count; i++) {
    if (!rate_stretch(w, &w->stretches[i], err)) {
      return false;
    }
  }
  return charge_long_fees(w->arena, w->catalog, w->customer, out->period, &w->charges, err) &&
         convert_charges(w->arena, w->catalog, out, &w->charges, err) &&
         list_unpriced(w->arena, w->stretches, w->stretch_count, out, err) &&
         report_coverage(w->arena, &w->covers, out, err) && find_commitments(w->arena, w->catalog, out, err) &&
         keep_charges(w, out, err);
}

static void free_work(struct work *w) {
  for (size_t i = 0; i < w->stretch_count; i++) {
    vec_free(&w->stretches[i]);
  }
  for (size_t i = 0; i < w->covers.count; i++) {
    vec_free(&w->covers.items[i]->hourly);
    vec_free(&w->covers.items[i]->uses);
  }
  vec_free(&w->covers);
  vec_free(&w->charges);
  vec_free(&w->steps);
  arena_free(w->scratch);
}

static bool rate_work(struct work *w, struct period period, const struct usage_row *rows, size_t row_count,
                      struct rating *out, struct error *err) {
  *out = (struct rating){.customer = w->customer, .period = period};
  bool ok = rate_all(w, rows, row_count, out, err);
  free_work(w);
  return ok || error_at(err, "customer " SLICE_FMT, SLICE_ARG(w->customer->id));
}

bool rate_customer(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                   struct period period, const struct usage_row *rows, size_t row_count, struct rating *out,
                   struct error *err) {
  struct work w = {.arena = arena, .scratch = arena_new(), .catalog = catalog, .customer = customer};
  return rate_work(&w, period, rows, row_count, out, err);
}

bool rate_customer_hourly(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                          struct period period, const struct usage_row *rows, size_t row_count, struct rating *out,
                          struct error *err) {
  struct work w = {.arena = arena, .scratch = arena_new(), .catalog = catalog, .customer = customer, .hourly = true};
  return rate_work(&w, period, rows, row_count, out, err);
}

bool rate_opening(struct arena *arena, const struct catalog *catalog, const struct customer *customer, instant at,
                  struct rating *out, struct error *err) {
  struct work w = {.arena = arena, .catalog = catalog, .customer = customer};
  struct period period;
  *out = (struct rating){.customer = customer, .opening = true};
  bool ok =
      billing_period_at(customer, at, &period, err) && charge_opening(arena, catalog, customer, at, &w.charges, err);
  out->period = (struct period){at, period.to};
  ok = ok && convert_charges(arena, catalog, out, &w.charges, err) && find_commitments(arena, catalog, out, err) &&
       keep_charges(&w, out, err);
  vec_free(&w.charges);
  return ok || error_at(err, "customer " SLICE_FMT, SLICE_ARG(customer->id));
}

bool rate_opens(const struct customer *customer, const struct contract *part, bool *opens, struct error *err) {
  return part_opens(customer, part, opens, err);
}
