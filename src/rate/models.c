/* The price models: how the usage one price took becomes steps, each one product rounded once. */
#include "rate/private.h"

#include <stdlib.h>

/* Usage that one tier and one multiplier share. */
struct cell {
  quantity raw, included, covered;
  instant from, to;
  uint32_t rows, events;
};

struct rating_work {
  const struct taken *taken;
  struct steps *steps;
  const quantity *borders; /* of the tiers, raw; the last is open */
  rate *groups;            /* multipliers met, ascending */
  size_t group_count;
  struct cell *cells; /* [tier][group]; only prices that climb have more than one tier of cells */
  size_t cell_tiers;
  quantity billable; /* of all cells */
};

static struct cell *cell_at(const struct rating_work *w, size_t tier, size_t group) {
  return &w->cells[tier * w->group_count + group];
}

static quantity cell_billable(const struct cell *cell) {
  return (quantity){cell->raw.e9 - cell->included.e9 - cell->covered.e9};
}

/* ---- preparing ---- */

/* Rounded down: a raw quantity, a whole number of 1e-9, is within the border exactly when it is within this. */
bool price_border(const struct price_rule *price, size_t tier, quantity *border, struct error *err) {
  return int128_muldiv(price->tiers[tier].up_to.e9, price->meter->base_per_unit.e9, QUANTITY_E9, ROUND_FLOOR,
                       &border->e9, err);
}

bool price_per_raw(const struct price_rule *price, quantity *per, struct error *err) {
  return int128_muldiv(price->per.e9, price->meter->base_per_unit.e9, QUANTITY_E9, ROUND_HALF_EVEN, &per->e9, err);
}

size_t price_tier(const struct price_rule *price, const quantity *borders, quantity q) {
  size_t tier = 0;
  while (tier + 1 < price->tier_count && q.e9 > borders[tier].e9) {
    tier++;
  }
  return tier;
}

static bool find_borders(struct rating_work *w, struct error *err) {
  const struct price_rule *price = w->taken->price;
  quantity *borders = arena_array(w->taken->scratch, price->tier_count, sizeof *borders);
  for (size_t i = 0; i + 1 < price->tier_count; i++) {
    if (!price_border(price, i, &borders[i], err)) {
      return false;
    }
  }
  w->borders = borders;
  return true;
}

static int by_rate(const void *a, const void *b) {
  const rate *x = a, *y = b;
  return x->e12 < y->e12 ? -1 : x->e12 > y->e12;
}

static void find_groups(struct rating_work *w) {
  const struct taken *taken = w->taken;
  rate *groups = arena_array(taken->scratch, taken->item_count, sizeof *groups);
  size_t count = 0;
  for (size_t i = 0; i < taken->item_count; i++) {
    rate multiplier = taken->items[i]->run->multiplier;
    if (count == 0 || groups[count - 1].e12 != multiplier.e12) {
      groups[count++] = multiplier;
    }
  }
  qsort(groups, count, sizeof *groups, by_rate);
  for (size_t i = 0; i < count; i++) {
    if (w->group_count == 0 || groups[w->group_count - 1].e12 != groups[i].e12) {
      groups[w->group_count++] = groups[i];
    }
  }
  w->groups = groups;
}

static size_t group_of(const struct rating_work *w, const struct item *item) {
  const rate *found = bsearch(&item->run->multiplier, w->groups, w->group_count, sizeof *w->groups, by_rate);
  return (size_t)(found - w->groups);
}

static bool cell_add(struct cell *cell, const struct item *item, quantity billable, bool with_free, struct error *err) {
  quantity raw = {billable.e9 + (with_free ? item->included.e9 + item->covered.e9 : 0)};
  if (!quantity_add(cell->raw, raw, &cell->raw, err)) {
    return false;
  }
  cell->included.e9 += with_free ? item->included.e9 : 0;
  cell->covered.e9 += with_free ? item->covered.e9 : 0;
  if (cell->rows == 0 || item->from.ns < cell->from.ns) {
    cell->from = item->from;
  }
  if (cell->rows == 0 || item->to.ns > cell->to.ns) {
    cell->to = item->to;
  }
  cell->rows = count_add(cell->rows, item->rows);
  cell->events = count_add(cell->events, item->events);
  return true;
}

/* In order of time, each part of the usage to the tier it reaches; what is included or covered goes where its row
 * begins. */
static bool fill_cells(struct rating_work *w, struct error *err) {
  size_t tier = 0;
  for (size_t i = 0; i < w->taken->item_count; i++) {
    const struct item *item = w->taken->items[i];
    size_t group = group_of(w, item);
    quantity open = item_open(item);
    bool some_free = open.e9 < item->raw.e9;
    while (tier + 1 < w->cell_tiers && open.e9 > w->borders[tier].e9 - w->billable.e9) {
      quantity room = {w->borders[tier].e9 - w->billable.e9};
      if ((room.e9 > 0 || some_free) && !cell_add(cell_at(w, tier, group), item, room, some_free, err)) {
        return false;
      }
      some_free = false;
      open.e9 -= room.e9;
      w->billable = w->borders[tier++];
    }
    if ((open.e9 > 0 || some_free || item->raw.e9 == 0) &&
        (!cell_add(cell_at(w, tier, group), item, open, some_free, err) ||
         !quantity_add(w->billable, open, &w->billable, err))) {
      return false;
    }
  }
  return true;
}

/* ---- steps ---- */

static bool raw_price(const struct rating_work *w, amount each, struct price *out, struct error *err) {
  out->each = each;
  return price_per_raw(w->taken->price, &out->per, err);
}

static struct trace_step *add_step(struct rating_work *w, size_t tier, const struct cell *cell, struct price price,
                                   rate multiplier) {
  vec_push(w->steps, (struct trace_step){.tier = (uint32_t)tier,
                                         .raw = cell->raw,
                                         .included = cell->included,
                                         .covered = cell->covered,
                                         .price = price,
                                         .multiplier = multiplier,
                                         .from = cell->from,
                                         .to = cell->to,
                                         .rows = cell->rows,
                                         .events = cell->events});
  return &w->steps->items[w->steps->count - 1];
}

static bool metered_step(struct rating_work *w, size_t tier, size_t cell_tier, size_t group, struct error *err) {
  struct price price;
  const struct cell *cell = cell_at(w, cell_tier, group);
  if (cell->rows == 0) {
    return true;
  }
  if (!raw_price(w, w->taken->price->tiers[tier].each, &price, err)) {
    return false;
  }
  struct trace_step *step = add_step(w, tier, cell, price, w->groups[group]);
  return amount_of_usage(price.each, cell_billable(cell).e9, price.per.e9, step->multiplier, &step->amount, err);
}

static void flat_step(struct rating_work *w, size_t tier) {
  amount flat = w->taken->price->tiers[tier].flat;
  char text[DECIMAL_TEXT_MAX];
  if (amount_is_zero(flat)) {
    return;
  }
  const struct stretch *stretch = w->taken->stretch;
  const struct cell none = {.from = stretch->from, .to = stretch->to};
  struct trace_step *step = add_step(w, tier, &none, (struct price){flat, QUANTITY_ONE}, RATE_ONE);
  step->amount = flat;
  step->note = arena_printf(w->taken->arena, "tier %zu entered: flat %s", tier + 1, amount_text(flat, text));
}

static bool any_billable(const struct rating_work *w, size_t tier) {
  for (size_t group = 0; group < w->group_count; group++) {
    if (cell_billable(cell_at(w, tier, group)).e9 > 0) {
      return true;
    }
  }
  return false;
}

static bool graduated(struct rating_work *w, struct error *err) {
  for (size_t tier = 0; tier < w->cell_tiers; tier++) {
    for (size_t group = 0; group < w->group_count; group++) {
      if (!metered_step(w, tier, tier, group, err)) {
        return false;
      }
    }
    if (any_billable(w, tier) || (tier == 0 && w->billable.e9 > 0)) {
      flat_step(w, tier);
    }
  }
  return true;
}

/* One tier for all of it: the only one of per_unit, the one the whole quantity falls in of volume. */
static bool all_at_one_tier(struct rating_work *w, struct error *err) {
  size_t tier = price_tier(w->taken->price, w->borders, w->billable);
  for (size_t group = 0; group < w->group_count; group++) {
    if (!metered_step(w, tier, 0, group, err)) {
      return false;
    }
  }
  if (w->billable.e9 > 0) {
    flat_step(w, tier);
  }
  return true;
}

static bool packages(struct rating_work *w, size_t group, struct error *err) {
  char text[DECIMAL_TEXT_MAX];
  struct price price;
  const struct cell *cell = cell_at(w, 0, group);
  if (!raw_price(w, w->taken->price->tiers[0].each, &price, err)) {
    return false;
  }
  struct trace_step *step = add_step(w, 0, cell, price, w->groups[group]);
  int128 count = quantity_packages(cell_billable(cell), price.per);
  quantity shown;
  if (!int128_muldiv(count, QUANTITY_E9, 1, ROUND_HALF_EVEN, &shown.e9, err)) {
    return false;
  }
  step->note = arena_printf(w->taken->arena, "%s packages", quantity_text(shown, text));
  return amount_of_usage(price.each, count, 1, step->multiplier, &step->amount, err);
}

/* stairstep: the flat amount of the step that the group's quantity reaches; flat: the one amount. */
static bool one_amount(struct rating_work *w, size_t group, struct error *err) {
  const struct price_rule *price = w->taken->price;
  const struct cell *cell = cell_at(w, 0, group);
  quantity billable = cell_billable(cell);
  size_t tier = price_tier(price, w->borders, billable);
  bool stairs = price->model == PRICE_STAIRSTEP;
  amount flat = stairs ? price->tiers[tier].flat : price->tiers[tier].each;
  char text[DECIMAL_TEXT_MAX];
  struct trace_step *step = add_step(w, tier, cell, (struct price){flat, QUANTITY_ONE}, w->groups[group]);
  if (billable.e9 == 0) {
    return true;
  }
  step->note = stairs ? arena_printf(w->taken->arena, "step %zu: flat %s", tier + 1, amount_text(flat, text))
                      : arena_printf(w->taken->arena, "flat %s", amount_text(flat, text));
  return amount_of_usage(flat, 1, 1, step->multiplier, &step->amount, err);
}

static bool each_group(struct rating_work *w, bool (*rate_group)(struct rating_work *, size_t, struct error *),
                       struct error *err) {
  for (size_t group = 0; group < w->group_count; group++) {
    if (!rate_group(w, group, err)) {
      return false;
    }
  }
  return true;
}

static bool apply_model(struct rating_work *w, struct error *err) {
  switch (w->taken->price->model) {
  case PRICE_GRADUATED:
  case PRICE_PERCENTAGE:
    return graduated(w, err);
  case PRICE_PER_UNIT:
  case PRICE_VOLUME:
    return all_at_one_tier(w, err);
  case PRICE_PACKAGE:
    return each_group(w, packages, err);
  case PRICE_STAIRSTEP:
  case PRICE_FLAT:
    break;
  }
  return each_group(w, one_amount, err);
}

/* ---- minimum and maximum ---- */

static bool sum_steps(const struct steps *steps, amount *sum, struct error *err) {
  *sum = AMOUNT_ZERO;
  for (size_t i = 0; i < steps->count; i++) {
    if (!amount_add(*sum, steps->items[i].amount, sum, err)) {
      return false;
    }
  }
  return true;
}

/* Adds or cuts what separates the sum of the steps from a limit; the limit is of a month, prorated. */
static bool hold_limit(struct rating_work *w, const char *what, amount monthly, int wanted_side, struct error *err) {
  const struct stretch *stretch = w->taken->stretch;
  amount limit, sum, difference;
  char text[DECIMAL_TEXT_MAX];
  if (!amount_times_fraction(monthly, stretch->months, &limit, err) || !sum_steps(w->steps, &sum, err)) {
    return false;
  }
  if (amount_cmp(sum, limit) * wanted_side >= 0) {
    return true;
  }
  if (!amount_sub(limit, sum, &difference, err)) {
    return false;
  }
  const struct cell none = {.from = stretch->from, .to = stretch->to};
  struct trace_step *step = add_step(w, 0, &none, (struct price){monthly, QUANTITY_ONE}, RATE_ONE);
  step->amount = difference;
  step->note = arena_printf(w->taken->arena, "%s %s%s%s", what, amount_text(monthly, text),
                            stretch->prorated ? ", " : "", stretch->prorated ? stretch->prorated : "");
  return true;
}

static bool hold_limits(struct rating_work *w, struct error *err) {
  const struct price_rule *price = w->taken->price;
  if (price->has_minimum && w->billable.e9 > 0 && !hold_limit(w, "minimum", price->minimum, 1, err)) {
    return false;
  }
  return !price->has_maximum || hold_limit(w, "maximum", price->maximum, -1, err);
}

bool rate_taken(const struct taken *taken, struct steps *steps, struct error *err) {
  struct rating_work w = {.taken = taken, .steps = steps};
  w.cell_tiers = price_climbs(taken->price) ? taken->price->tier_count : 1;
  find_groups(&w);
  w.cells = arena_array(taken->scratch, w.cell_tiers * w.group_count, sizeof *w.cells);
  return find_borders(&w, err) && fill_cells(&w, err) && apply_model(&w, err) && hold_limits(&w, err);
}
