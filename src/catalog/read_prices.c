/* Reads the terms that plans and contracts have in common: prices, fees and allowances. */
#include "catalog/private.h"

#include <stdlib.h>

/* ---- matches ---- */

static slice dimension_at(const void *dimensions, size_t i) {
  return ((const slice *)dimensions)[i];
}

bool dimension_of(struct loader *l, const struct yaml *node, slice name, const struct meter *meter, uint32_t *out) {
  for (*out = 0; *out < meter->dimension_count; (*out)++) {
    if (slice_eq(meter->dimensions[*out], name)) {
      return true;
    }
  }
  problem(l, node, "meter \"%s\" has no dimension \"%s\"%s", shown(l, meter->name), shown(l, name),
          did_you_mean_any(l, name, dimension_at, meter->dimensions, meter->dimension_count));
  return false;
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
    if (!dimension_of(l, item, item->key, meter, &m->dimension)) {
      continue;
    }
    m->values = names_of(l, item, VALUES_MAX, &m->count);
    (*count)++;
  }
  return matches;
}

/* "GPU compute H100 on_demand/priority". */
slice price_name(struct loader *l, slice first, const struct price_rule *p, size_t skip) {
  struct buf name;
  buf_init(&name, NAME_BYTES_MAX);
  buf_add(&name, first);
  for (size_t i = skip; i < p->match_count; i++) {
    for (size_t v = 0; v < p->matches[i].count; v++) {
      buf_addc(&name, v ? '/' : ' ');
      buf_add(&name, p->matches[i].values[v]);
    }
  }
  slice text = name.failed ? first : arena_copy(l->arena, buf_slice(&name));
  buf_free(&name);
  return text;
}

/* ---- prices ---- */

void add_rule(struct loader *l, struct read_rules *rules, const struct price_rule *rule, const struct yaml *node) {
  if (rules->full) {
    return;
  }
  rules->full = rules->count == PRICES_PER_PLAN_MAX || l->price_count == PRICES_MAX;
  if (rules->full) {
    problem(l, node, "is one price too many: at most %d are allowed in a plan, %d in the whole catalog",
            PRICES_PER_PLAN_MAX, PRICES_MAX);
    return;
  }
  vec_push(rules, (struct read_rule){*rule, node});
  rules->items[rules->count - 1].rule.index = (uint32_t)rules->count - 1;
  l->price_count++;
}

static void read_price(struct loader *l, const struct yaml *map, struct read_rules *rules) {
  static const char *const keys[] = {"name",  "product", "meter",   "match",       "model",  "price", "per",
                                     "tiers", "minimum", "maximum", "multipliers", "matrix", NULL};
  struct price_rule rule = {.place = place_of(l, map)};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *name = field(map, "name"), *product = field(map, "product"), *matrix = field(map, "matrix");
  rule.meter = meter_named(l, needed(l, map, "meter", "which usage it prices"));
  rule.matches = matches_of(l, field(map, "match"), rule.meter, &rule.match_count);
  rule.product = product ? name_of(l, product) : rule.meter ? rule.meter->product : (slice){0};
  rule.name = name ? name_of(l, name) : price_name(l, rule.product, &rule, 0);
  read_model(l, map, &rule);
  read_limits(l, map, &rule);
  read_multipliers(l, field(map, "multipliers"), &rule);
  if (matrix) {
    read_matrix(l, matrix, &rule, name, rules);
  } else {
    add_rule(l, rules, &rule, map);
  }
}

static void take_rules(struct loader *l, const struct read_rules *rules, struct plan *out) {
  struct price_rule *prices = arena_array(l->arena, rules->count, sizeof *prices);
  for (size_t i = 0; i < rules->count; i++) {
    prices[i] = rules->items[i].rule;
  }
  out->prices = prices;
  out->price_count = rules->count;
}

static void read_prices(struct loader *l, const struct yaml *list, struct plan *out) {
  size_t count = list_count(l, list, PRICES_PER_PLAN_MAX);
  struct read_rules rules = {0};
  struct map seen = {0};
  const struct yaml *item = count ? list->child : NULL;
  size_t problems_before = l->problems.count;
  for (; item; item = item->next) {
    size_t first = rules.count;
    read_price(l, item, &rules);
    for (size_t i = first; item->kind == YAML_MAP && field(item, "name") && i < rules.count; i++) {
      must_be_new(l, &seen, rules.items[i].rule.name, rules.items[i].node, "price");
    }
  }
  map_free(&seen);
  take_rules(l, &rules, out);
  gather_hours(l, list, out);
  if (l->problems.count == problems_before) { /* half-read prices would only raise false alarms */
    out->price_index = price_index_build(l->arena, out->prices, out->price_count);
    check_prices_reachable(l, out, &rules);
  }
  vec_free(&rules);
}

/* ---- fees and allowances ---- */

static void read_fee(struct loader *l, const struct yaml *map, struct fee *out) {
  static const char *const keys[] = {"name", "product", "price", "every", "count", "in_advance", NULL};
  static const char *const every[] = {"once", "month", "hour", "quarter", "year", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *product = field(map, "product"), *count = field(map, "count");
  out->name = name_of(l, needed(l, map, "name", "it stands on the invoice"));
  out->product = product ? name_of(l, product) : out->name;
  out->every = (enum fee_every)choice_of(l, field(map, "every"), every, FEE_MONTH);
  amount_of(l, needed(l, map, "price", "what it costs each time"), &out->each);
  out->in_advance = flag_of(l, field(map, "in_advance"), false);
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
}
