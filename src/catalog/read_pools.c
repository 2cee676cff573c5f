/* Reads the pools of capacity and what they cost. */
#include "catalog/private.h"

static const rate pue_max = {10 * AMOUNT_E12};

/* An amount that is left out is zero. */
static void cost_of(struct loader *l, const struct yaml *map, const char *key, amount *out) {
  amount_of(l, field(map, key), out);
}

static void read_power(struct loader *l, const struct yaml *map, struct pool_cost *out) {
  const struct yaml *kw = field(map, "power_kw"), *energy = field(map, "energy_kwh");
  const struct yaml *colocation = field(map, "colocation_kw_month");
  out->load = out->pue = RATE_ONE;
  cost_of(l, map, "energy_kwh", &out->energy_kwh);
  cost_of(l, map, "colocation_kw_month", &out->colocation_kw_month);
  rate_of(l, field(map, "load"), (rate){0}, RATE_ONE, &out->load);
  rate_of(l, field(map, "pue"), RATE_ONE, pue_max, &out->pue);
  quantity_of(l, kw, &out->power_kw);
  if (!kw && (energy || colocation)) {
    problem(l, map, "\"power_kw\" is missing: \"%s\" is per kW, say how many kW one of the pool draws",
            energy ? "energy_kwh" : "colocation_kw_month");
  }
}

static void read_costs(struct loader *l, const struct yaml *map, struct pool_cost *out) {
  static const char *const keys[] = {"capex",      "residual", "life_months", "opex_year", "colocation_kw_month",
                                     "energy_kwh", "load",     "pue",         "power_kw",  "other_month_total",
                                     NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  out->known = true;
  cost_of(l, map, "capex", &out->capex);
  rate_of(l, field(map, "residual"), (rate){0}, RATE_ONE, &out->residual);
  if (field(map, "capex")) {
    const struct yaml *life = needed(l, map, "life_months", "over how many months the capex is written off");
    out->life_months = integer_of(l, life, 1, 1200, 0);
  }
  cost_of(l, map, "opex_year", &out->opex_year);
  cost_of(l, map, "other_month_total", &out->other_month_total);
  read_power(l, map, out);
}

static void read_pool(struct loader *l, const struct yaml *map, struct pool *out) {
  static const char *const keys[] = {"name", "kind",   "site",  "count",       "from",   "meter",   "match", "costs",
                                     "node", "shares", "owner", "maintenance", "engine", "classes", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *meter = field(map, "meter"), *match = field(map, "match"), *costs = field(map, "costs");
  out->name = name_of(l, needed(l, map, "name", "reports name the pool"));
  out->kind = name_of(l, field(map, "kind"));
  out->site = name_of(l, field(map, "site"));
  quantity_of(l, needed(l, map, "count", "how many units of capacity the pool has"), &out->count);
  instant_of(l, field(map, "from"), l->catalog->time_zone, &out->from);
  out->meter = meter_named(l, meter);
  if (match && !meter) {
    problem(l, match, "needs a \"meter\" whose dimensions it names");
  }
  out->matches = matches_of(l, match, out->meter, &out->match_count);
  if (costs) {
    read_costs(l, costs, &out->cost);
  }
  read_selling(l, map, out);
}

slice pool_name_at(const void *pools, size_t i) {
  return ((const struct pool *)pools)[i].name;
}

void read_pools(struct loader *l) {
  size_t count = section_count(l, "pools", ENTRIES_MAX);
  struct pool *pools = arena_array(l->arena, count, sizeof *pools);
  struct section section = {.key = "pools"};
  struct map seen = {0};
  for (size_t i = 0; i < count; i++) {
    const struct yaml *node = section_next(l, &section);
    pools[i].place = place_of(l, node);
    read_pool(l, node, &pools[i]);
    must_be_new(l, &seen, pools[i].name, node, "pool");
  }
  map_free(&seen);
  l->catalog->pools = pools;
  l->catalog->pool_count = count;
}
