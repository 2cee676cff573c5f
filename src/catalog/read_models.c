/* Reads how a price charges: its model, its tiers or single price, its minimum and maximum. */
#include "catalog/private.h"

static const char *const models[] = {"per_unit",  "graduated", "volume",     "package",
                                     "stairstep", "flat",      "percentage", NULL};

/* A percentage may have tiers, or one price for all. */

static bool has_tiers(enum price_model model) {
  return model == PRICE_GRADUATED || model == PRICE_VOLUME || model == PRICE_STAIRSTEP;
}

/* What one unit costs; of a percentage the part that is charged, as an amount for each 1 of money. */
static void read_each(struct loader *l, const struct yaml *node, enum price_model model, amount *out) {
  static const rate highest = {10 * AMOUNT_E12};
  rate part = {0};
  if (model != PRICE_PERCENTAGE) {
    amount_of(l, node, out);
  } else if (rate_of(l, node, (rate){0}, highest, &part)) {
    *out = (amount){part.e12};
  }
}

static void read_tier_amounts(struct loader *l, const struct yaml *map, enum price_model model, struct tier *out) {
  const struct yaml *price = field(map, "price"), *flat = field(map, "flat");
  if (model != PRICE_STAIRSTEP) {
    if (!price && !flat) {
      needed(l, map, "price", "what one unit of this tier costs");
    }
    read_each(l, price, model, &out->each);
  } else if (price) {
    problem(l, price, "a stairstep costs one amount whatever the usage within the step: write flat instead of price");
  } else if (!flat) {
    needed(l, map, "flat", "what this step costs");
  }
  amount_of(l, flat, &out->flat);
}

/* Borders ascend, and only the last tier has none. */
static void read_border(struct loader *l, const struct yaml *map, const struct tier *before, struct tier *out) {
  const struct yaml *up_to = field(map, "up_to");
  char text[DECIMAL_TEXT_MAX];
  out->last = map->next == NULL;
  if (out->last && up_to) {
    problem(l, up_to, "the last tier is open, so that all usage has a price: leave up_to out, or add a tier after it");
  } else if (!out->last && !up_to) {
    problem(l, map, "\"up_to\" is missing: only the last tier is open");
  } else if (quantity_of(l, up_to, &out->up_to) && before && quantity_cmp(out->up_to, before->up_to) <= 0) {
    problem(l, up_to, "is not above the tier before it, which ends at %s", quantity_text(before->up_to, text));
  }
}

static void read_tiers(struct loader *l, const struct yaml *list, struct price_rule *out) {
  static const char *const keys[] = {"up_to", "price", "flat", NULL};
  size_t count = list_count(l, list, CATALOG_TIERS_MAX);
  if (list && list->kind == YAML_LIST && list->count == 0) {
    problem(l, list, "is empty: expected at least one tier");
  }
  struct tier *tiers = arena_array(l->arena, count, sizeof *tiers);
  const struct yaml *item = list && count ? list->child : NULL;
  for (size_t i = 0; i < count && item; i++, item = item->next) {
    if (is_map_of(l, item, keys)) {
      read_tier_amounts(l, item, out->model, &tiers[i]);
      read_border(l, item, i ? &tiers[i - 1] : NULL, &tiers[i]);
    }
  }
  out->tiers = tiers;
  out->tier_count = count;
}

void read_single_price(struct loader *l, const struct yaml *price, struct price_rule *out) {
  struct tier *tier = arena_array(l->arena, 1, sizeof *tier);
  tier->last = true;
  read_each(l, price, out->model, &tier->each);
  out->tiers = tier;
  out->tier_count = 1;
}

static void refuse(struct loader *l, const struct yaml *node, enum price_model model, const char *instead) {
  if (node) {
    problem(l, node, "has no meaning for model: %s%s", models[model], instead);
  }
}

/* Percentages are of money that is added up. */
static void check_percentage(struct loader *l, const struct yaml *model, const struct meter *meter) {
  if (meter &&
      (meter->aggregation == AGG_COUNT || meter->aggregation == AGG_UNIQUE || meter->aggregation == AGG_INTEGRAL)) {
    problem(l, model, "a percentage is taken of money: meter \"%s\" does not add up a field that holds some",
            shown(l, meter->name));
  }
}

static void read_prices_of_model(struct loader *l, const struct yaml *map, struct price_rule *out) {
  const struct yaml *tiers = field(map, "tiers"), *price = field(map, "price"), *matrix = field(map, "matrix");
  bool tiered = has_tiers(out->model) || (out->model == PRICE_PERCENTAGE && tiers);
  if (matrix && (price || tiers)) {
    problem(l, matrix, "has the prices already: leave %s out", price ? "price" : "tiers");
  } else if (matrix && tiered) {
    problem(l, matrix, "has no meaning for model: %s: a matrix holds one price for each set of values",
            models[out->model]);
  } else if (tiered) {
    refuse(l, price, out->model, ": each tier has its own");
    read_tiers(l, tiers ? tiers : needed(l, map, "tiers", "such as [{up_to: 1000, price: 0}, {price: 0.02}]"), out);
  } else if (!matrix) {
    refuse(l, tiers, out->model,
           field(map, "model") ? "" : " (the default): write graduated, volume, stairstep or percentage");
    read_single_price(l, needed(l, map, "price", "what it costs; 0 when it is free"), out);
  }
}

void read_model(struct loader *l, const struct yaml *map, struct price_rule *out) {
  const struct yaml *per = field(map, "per"), *model = field(map, "model");
  out->model = (enum price_model)choice_of(l, model, models, PRICE_PER_UNIT);
  read_prices_of_model(l, map, out);
  if (out->model == PRICE_PERCENTAGE) {
    check_percentage(l, model, out->meter);
  }
  if (out->model == PRICE_FLAT || out->model == PRICE_STAIRSTEP || out->model == PRICE_PERCENTAGE) {
    refuse(l, per, out->model, "");
  } else if (out->model == PRICE_PACKAGE && !per) {
    needed(l, map, "per", "how many units are in a package");
  }
  out->per = QUANTITY_ONE;
  if (per) {
    quantity_of(l, per, &out->per);
  }
}

void read_limits(struct loader *l, const struct yaml *map, struct price_rule *out) {
  const struct yaml *minimum = field(map, "minimum"), *maximum = field(map, "maximum");
  out->has_minimum = amount_of(l, minimum, &out->minimum);
  out->has_maximum = amount_of(l, maximum, &out->maximum);
  if (out->has_minimum && out->has_maximum && amount_cmp(out->minimum, out->maximum) > 0) {
    problem(l, maximum, "is below the minimum on line %d", minimum->line);
  }
}
