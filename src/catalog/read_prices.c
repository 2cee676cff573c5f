/* Reads the terms that plans and contracts have in common: prices, fees, allowances and the minimum. */
#include "catalog/private.h"

#include <stdlib.h>

/* ---- matches ---- */

static bool dimension_named(const struct meter *meter, slice name, uint32_t *out) {
  for (*out = 0; *out < meter->dimension_count; (*out)++) {
    if (slice_eq(meter->dimensions[*out], name)) {
      return true;
    }
  }
  return false;
}

static slice dimension_at(const void *dimensions, size_t i) {
  return ((const slice *)dimensions)[i];
}

const struct match *matches_of(struct loader *l, const struct yaml *node, const struct meter *meter, size_t *count) {
  *count = 0;
  if (!node || !meter) {
    return NULL;
  }
  if (node->kind != YAML_MAP || node->count > 2 * CATALOG_DIMENSIONS_MAX) {
    problem(l, node, "expected a map of dimensions and their values, such as {gpu: H100}");
    return NULL;
  }
  struct match *matches = arena_array(l->arena, node->count, sizeof *matches);
  for (const struct yaml *item = node->child; item; item = item->next) {
    struct match *m = &matches[*count];
    if (!dimension_named(meter, item->key, &m->dimension)) {
      problem(l, item, "meter \"%s\" has no dimension \"%s\"%s", shown(l, meter->name), shown(l, item->key),
              did_you_mean_any(l, item->key, dimension_at, meter->dimensions, meter->dimension_count));
      continue;
    }
    m->values = names_of(l, item, VALUES_MAX, &m->count);
    (*count)++;
  }
  return matches;
}

/* "GPU compute H100 on_demand/priority": what a price without a name is called. */
static slice default_name(struct loader *l, const struct price_rule *p) {
  struct buf name;
  buf_init(&name, NAME_BYTES_MAX);
  buf_add(&name, p->product);
  for (size_t i = 0; i < p->match_count; i++) {
    for (size_t v = 0; v < p->matches[i].count; v++) {
      buf_addc(&name, v ? '/' : ' ');
      buf_add(&name, p->matches[i].values[v]);
    }
  }
  slice text = name.failed ? p->product : arena_copy(l->arena, buf_slice(&name));
  buf_free(&name);
  return text;
}

/* ---- prices ---- */

static const char *const models[] = {"per_unit", "graduated", "volume", "package", "stairstep", "flat", NULL};

static bool has_tiers(enum price_model model) {
  return model == PRICE_GRADUATED || model == PRICE_VOLUME || model == PRICE_STAIRSTEP;
}

static void read_tier_amounts(struct loader *l, const struct yaml *map, enum price_model model, struct tier *out) {
  const struct yaml *price = field(map, "price"), *flat = field(map, "flat");
  if (model != PRICE_STAIRSTEP) {
    if (!price && !flat) {
      needed(l, map, "price", "what one unit of this tier costs");
    }
    amount_of(l, price, &out->each);
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

static void read_single_price(struct loader *l, const struct yaml *map, struct price_rule *out) {
  struct tier *tier = arena_array(l->arena, 1, sizeof *tier);
  tier->last = true;
  amount_of(l, needed(l, map, "price", "what it costs; 0 when it is free"), &tier->each);
  out->tiers = tier;
  out->tier_count = 1;
}

static void refuse(struct loader *l, const struct yaml *node, enum price_model model, const char *instead) {
  if (node) {
    problem(l, node, "has no meaning for model: %s%s", models[model], instead);
  }
}

static void read_model(struct loader *l, const struct yaml *map, struct price_rule *out) {
  const struct yaml *tiers = field(map, "tiers"), *per = field(map, "per"), *model = field(map, "model");
  out->model = (enum price_model)choice_of(l, model, models, PRICE_PER_UNIT);
  if (has_tiers(out->model)) {
    refuse(l, field(map, "price"), out->model, ": each tier has its own");
    read_tiers(l, tiers ? tiers : needed(l, map, "tiers", "such as [{up_to: 1000, price: 0}, {price: 0.02}]"), out);
  } else {
    refuse(l, tiers, out->model, model ? "" : " (the default): write graduated, volume or stairstep");
    read_single_price(l, map, out);
  }
  if (out->model == PRICE_FLAT || out->model == PRICE_STAIRSTEP) {
    refuse(l, per, out->model, "");
  } else if (out->model == PRICE_PACKAGE && !per) {
    needed(l, map, "per", "how many units are in a package");
  }
  out->per = QUANTITY_ONE;
  if (per) {
    quantity_of(l, per, &out->per);
  }
}

static void read_limits(struct loader *l, const struct yaml *map, struct price_rule *out) {
  const struct yaml *minimum = field(map, "minimum"), *maximum = field(map, "maximum");
  out->has_minimum = amount_of(l, minimum, &out->minimum);
  out->has_maximum = amount_of(l, maximum, &out->maximum);
  if (out->has_minimum && out->has_maximum && amount_cmp(out->minimum, out->maximum) > 0) {
    problem(l, maximum, "is below the minimum on line %d", minimum->line);
  }
}

static void read_multipliers(struct loader *l, const struct yaml *list, struct price_rule *out) {
  static const char *const keys[] = {"match", "by", NULL};
  static const rate highest = {1000 * AMOUNT_E12};
  size_t count = list_count(l, list, VALUES_MAX);
  struct multiplier *multipliers = arena_array(l->arena, count, sizeof *multipliers);
  const struct yaml *item = count ? list->child : NULL;
  for (size_t i = 0; i < count; i++, item = item->next) {
    struct multiplier *m = &multipliers[i];
    if (!is_map_of(l, item, keys)) {
      continue;
    }
    const struct yaml *match = needed(l, item, "match", "which usage it is for; for all usage change the price itself");
    m->matches = matches_of(l, match, out->meter, &m->match_count);
    rate_of(l, needed(l, item, "by", "such as 1.05 for 5 % more"), (rate){0}, highest, &m->by);
  }
  out->multipliers = multipliers;
  out->multiplier_count = count;
}

static void read_price(struct loader *l, const struct yaml *map, struct price_rule *out) {
  static const char *const keys[] = {"name", "product", "meter",   "match",   "model",       "price",
                                     "per",  "tiers",   "minimum", "maximum", "multipliers", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *name = field(map, "name"), *product = field(map, "product");
  out->meter = meter_named(l, needed(l, map, "meter", "which usage it prices"));
  out->matches = matches_of(l, field(map, "match"), out->meter, &out->match_count);
  out->product = product ? name_of(l, product) : out->meter ? out->meter->product : (slice){0};
  out->name = name ? name_of(l, name) : default_name(l, out);
  read_model(l, map, out);
  read_limits(l, map, out);
  read_multipliers(l, field(map, "multipliers"), out);
}

static void read_prices(struct loader *l, const struct yaml *list, struct plan *out) {
  size_t count = list_count(l, list, PRICES_PER_PLAN_MAX);
  if (count > PRICES_MAX - l->price_count) {
    problem(l, list, "makes more than %d prices in the whole catalog", PRICES_MAX);
    return;
  }
  l->price_count += count;
  struct price_rule *prices = arena_array(l->arena, count, sizeof *prices);
  const struct yaml **nodes = arena_array(l->scratch, count, sizeof *nodes);
  struct map seen = {0};
  const struct yaml *item = count ? list->child : NULL;
  size_t problems_before = l->problems.count;
  for (size_t i = 0; i < count; i++, item = item->next) {
    nodes[i] = item;
    prices[i].index = (uint32_t)i;
    prices[i].place = place_of(l, item);
    read_price(l, item, &prices[i]);
    if (item->kind == YAML_MAP && field(item, "name")) {
      must_be_new(l, &seen, prices[i].name, item, "price");
    }
  }
  map_free(&seen);
  if (l->problems.count == problems_before) { /* half-read prices would only raise false alarms */
    check_prices_reachable(l, prices, nodes, count);
  }
  out->prices = prices;
  out->price_count = count;
}

/* ---- fees and allowances ---- */

static void read_fee(struct loader *l, const struct yaml *map, struct fee *out) {
  static const char *const keys[] = {"name", "product", "price", "every", "count", "in_advance", NULL};
  static const char *const every[] = {"once", "month", "hour", "quarter", "year", NULL};
  static const char *const no_yes[] = {"false", "true", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *product = field(map, "product"), *count = field(map, "count");
  out->name = name_of(l, needed(l, map, "name", "it stands on the invoice"));
  out->product = product ? name_of(l, product) : out->name;
  out->every = (enum fee_every)choice_of(l, field(map, "every"), every, FEE_MONTH);
  amount_of(l, needed(l, map, "price", "what it costs each time"), &out->each);
  out->in_advance = choice_of(l, field(map, "in_advance"), no_yes, 0) == 1;
  if (out->in_advance && out->every == FEE_HOUR) {
    problem(l, field(map, "in_advance"), "has no meaning for every: hour: say month, quarter, year or once");
  }
  out->count = QUANTITY_ONE;
  if (count) {
    quantity_of(l, count, &out->count);
  }
}

static void read_fees(struct loader *l, const struct yaml *list, struct plan *out) {
  size_t count = list_count(l, list, ENTRIES_MAX);
  struct fee *fees = arena_array(l->arena, count, sizeof *fees);
  struct map seen = {0};
  const struct yaml *item = count ? list->child : NULL;
  for (size_t i = 0; i < count; i++, item = item->next) {
    fees[i].place = place_of(l, item);
    read_fee(l, item, &fees[i]);
    must_be_new(l, &seen, fees[i].name, item, "fee");
  }
  map_free(&seen);
  out->fees = fees;
  out->fee_count = count;
}

static void read_allowance(struct loader *l, const struct yaml *map, struct allowance *out) {
  static const char *const keys[] = {"name", "meter", "match", "included", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *name = field(map, "name");
  out->meter = meter_named(l, needed(l, map, "meter", "which usage is included"));
  out->matches = matches_of(l, field(map, "match"), out->meter, &out->match_count);
  out->name = name ? name_of(l, name) : out->meter ? out->meter->product : (slice){0};
  quantity_of(l, needed(l, map, "included", "how many units a month"), &out->included);
}

static void read_allowances(struct loader *l, const struct yaml *list, struct plan *out) {
  size_t count = list_count(l, list, VALUES_MAX);
  struct allowance *allowances = arena_array(l->arena, count, sizeof *allowances);
  const struct yaml *item = count ? list->child : NULL;
  for (size_t i = 0; i < count; i++, item = item->next) {
    allowances[i].index = (uint32_t)i;
    allowances[i].place = place_of(l, item);
    read_allowance(l, item, &allowances[i]);
  }
  out->allowances = allowances;
  out->allowance_count = count;
}

void read_terms(struct loader *l, const struct yaml *map, struct plan *out) {
  read_prices(l, field(map, "prices"), out);
  read_fees(l, field(map, "fees"), out);
  read_allowances(l, field(map, "allowances"), out);
  out->has_minimum = amount_of(l, field(map, "minimum"), &out->minimum);
}
