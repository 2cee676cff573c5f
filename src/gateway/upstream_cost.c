/* What an upstream costs a nanosecond, from its pool's costs of the month, and the clock that shares it out. */
#include "gateway/upstream_cost.h"
#include "finance/finance.h"

#define NS_PER_HOUR (3600 * NS_PER_S)
#define HOUR_MAX 1000000000
#define PASS_NS_MAX (365 * 24 * NS_PER_HOUR) /* a clock that leaps further must not overflow the sum */

/* Not in service before the month is over: no time to share its cost over. */
static int64_t service_ns(const struct pool *pool, struct period month) {
  return month.to.ns - time_later(pool->from, month.from).ns;
}

bool upstream_cost_start(const struct catalog *catalog, const struct upstream *upstream, instant now,
                         struct upstream_cost *out, struct error *err) {
  const struct pool *pool = upstream->pool;
  struct month month;
  struct pool_cost_result cost;
  *out = (struct upstream_cost){.at_ns = now.ns};
  if (pool == NULL || pool->count.e9 <= 0) {
    return true;
  }
  if (!time_month_at(now, 1, catalog->time_zone, &month, err) ||
      !finance_pool_cost(pool, month.span, catalog->time_zone, &cost, err)) {
    return error_at(err, "upstream " SLICE_FMT, SLICE_ARG(upstream->name));
  }
  int64_t ns = service_ns(pool, month.span);
  int128 whole;
  if (ns <= 0) {
    return true;
  }
  if (!int128_muldiv(cost.total.e12, NS_PER_HOUR, ns, ROUND_HALF_EVEN, &whole, err) ||
      !int128_muldiv(whole, upstream->units.e9, pool->count.e9, ROUND_HALF_EVEN, &out->hour.e12, err) ||
      out->hour.e12 > HOUR_MAX * AMOUNT_E12) {
    return error_set(err, ERR_OVERFLOW,
                     "upstream " SLICE_FMT
                     " costs more than 1000000000 an hour: check the costs and the count of pool " SLICE_FMT,
                     SLICE_ARG(upstream->name), SLICE_ARG(pool->name));
  }
  out->rate_e24 = out->hour.e12 * COST_E24_PER_E12 / NS_PER_HOUR;
  return true;
}

void upstream_cost_pass(struct upstream_cost *cost, uint32_t running, instant now) {
  if (now.ns <= cost->at_ns) {
    return;
  }
  int64_t passed_ns = now.ns - cost->at_ns;
  if (running > 0 && cost->rate_e24 > 0) {
    cost->clock_e24 += cost->rate_e24 * (passed_ns < PASS_NS_MAX ? passed_ns : PASS_NS_MAX) / running;
  }
  cost->at_ns = now.ns;
}
