/* What a pool of capacity sold and what it cost over a period. */
#include "finance/private.h"

/* count x share of something, where both are at most a pool's size: overflow is reported, not expected. */
static bool times_count(amount each, quantity count, amount *out, struct error *err) {
  return price_times((struct price){each, QUANTITY_ONE}, count, out, err);
}

static bool depreciate(const struct pool *pool, rate months, amount *out, struct error *err) {
  const struct pool_cost *cost = &pool->cost;
  if (cost->life_months <= 0) {
    return true;
  }
  rate written_off = {RATE_ONE.e12 - cost->residual.e12};
  amount base, monthly;
  return times_count(cost->capex, pool->count, &base, err) &&
         amount_times_rate(base, written_off, ROUND_HALF_EVEN, &base, err) &&
         price_times((struct price){base, {cost->life_months * QUANTITY_E9}}, QUANTITY_ONE, &monthly, err) &&
         amount_times_rate(monthly, months, ROUND_HALF_EVEN, out, err);
}

static bool kilowatts(const struct pool *pool, quantity *out, struct error *err) {
  int128 e9;
  if (!int128_muldiv(pool->cost.power_kw.e9, pool->count.e9, QUANTITY_E9, ROUND_HALF_EVEN, &e9, err)) {
    return false;
  }
  *out = (quantity){e9};
  return true;
}

static bool energy_cost(const struct pool *pool, quantity kw, int64_t seconds, amount *out, struct error *err) {
  quantity drawn, hours;
  int128 kwh_e9;
  hours = (quantity){(int128)seconds * QUANTITY_E9 / 3600};
  return quantity_times_rate(kw, pool->cost.load, ROUND_HALF_EVEN, &drawn, err) &&
         quantity_times_rate(drawn, pool->cost.pue, ROUND_HALF_EVEN, &drawn, err) &&
         int128_muldiv(drawn.e9, hours.e9, QUANTITY_E9, ROUND_HALF_EVEN, &kwh_e9, err) &&
         times_count(pool->cost.energy_kwh, (quantity){kwh_e9}, out, err);
}

static struct period in_service(const struct pool *pool, struct period period) {
  if (pool->from.ns > period.from.ns) {
    period.from = pool->from;
  }
  if (period.from.ns > period.to.ns) {
    period.from = period.to;
  }
  return period;
}

bool finance_pool_cost(const struct pool *pool, struct period period, const char *zone, struct pool_cost_result *out,
                       struct error *err) {
  *out = (struct pool_cost_result){0};
  struct period p = in_service(pool, period);
  int64_t seconds = (p.to.ns - p.from.ns) / NS_PER_S;
  if (!pool->cost.known || seconds == 0) {
    return true;
  }
  rate months;
  quantity kw;
  amount yearly, colocation;
  bool ok = rate_months(p.from, p.to, zone, &months, err) && kilowatts(pool, &kw, err) &&
            depreciate(pool, months, &out->depreciation, err) && energy_cost(pool, kw, seconds, &out->energy, err) &&
            times_count(pool->cost.colocation_kw_month, kw, &colocation, err) &&
            amount_times_rate(colocation, months, ROUND_HALF_EVEN, &out->colocation, err) &&
            times_count(pool->cost.opex_year, pool->count, &yearly, err) &&
            amount_times_rate(yearly, (rate){months.e12 / 12}, ROUND_HALF_EVEN, &out->operations, err) &&
            amount_times_rate(pool->cost.other_month_total, months, ROUND_HALF_EVEN, &out->other, err);
  const amount *parts[] = {&out->depreciation, &out->energy, &out->colocation, &out->operations, &out->other};
  for (size_t i = 0; ok && i < sizeof parts / sizeof *parts; i++) {
    ok = amount_add(out->total, *parts[i], &out->total, err);
  }
  return ok || error_at(err, "cost of pool " SLICE_FMT, SLICE_ARG(pool->name));
}

static bool sold_units(const struct pool *pool, const struct usage_row *rows, size_t row_count, quantity *out,
                       struct error *err) {
  quantity raw = QUANTITY_ZERO;
  for (size_t i = 0; i < row_count; i++) {
    if (rows[i].meter != pool->meter || !match_all(pool->matches, pool->match_count, rows[i].dimensions)) {
      continue;
    }
    if (!quantity_add(raw, rows[i].value, &raw, err)) {
      return false;
    }
  }
  return int128_muldiv(raw.e9, QUANTITY_E9, pool->meter->base_per_unit.e9, ROUND_HALF_EVEN, &out->e9, err);
}

/* A pool fed by an integral meter offers count x time; fed by anything else it offers `count` units a period. */
static bool available_units(const struct pool *pool, struct period period, quantity *out, struct error *err) {
  *out = pool->count;
  if (pool->meter->aggregation != AGG_INTEGRAL) {
    return true;
  }
  struct period p = in_service(pool, period);
  return int128_muldiv(pool->count.e9, p.to.ns - p.from.ns, pool->meter->base_per_unit.e9, ROUND_HALF_EVEN, &out->e9,
                       err);
}

bool finance_pool(const struct catalog *catalog, const struct pool *pool, struct period period,
                  const struct usage_row *rows, size_t row_count, struct pool_result *out, struct error *err) {
  *out = (struct pool_result){.pool = pool};
  if (!finance_pool_cost(pool, period, catalog->time_zone, &out->cost, err)) {
    return false;
  }
  if (pool->meter == NULL) {
    return true;
  }
  if (!sold_units(pool, rows, row_count, &out->sold, err) || !available_units(pool, period, &out->available, err)) {
    return error_at(err, "pool " SLICE_FMT, SLICE_ARG(pool->name));
  }
  if (out->available.e9 > 0 &&
      !int128_muldiv(out->sold.e9, AMOUNT_E12, out->available.e9, ROUND_HALF_EVEN, &out->utilization.e12, err)) {
    return false;
  }
  return out->sold.e9 == 0 ||
         price_times((struct price){out->cost.total, out->sold}, QUANTITY_ONE, &out->cost_per_sold_unit, err);
}
