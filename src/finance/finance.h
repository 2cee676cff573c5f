/* What the capital did: utilization, revenue, cost and margin of a period, from measured usage, charges and pools.
 * Pure. */
#ifndef METERHOUSE_FINANCE_FINANCE_H
#define METERHOUSE_FINANCE_FINANCE_H
#include "bill/bill.h"

/* One pool over a period. Utilization here is sold / available: metered hours over count x hours in service. */
struct pool_result {
  const struct pool *pool;
  quantity available, sold; /* in the meter's units (GPU-hours) */
  rate utilization;         /* 1e-12; may pass 1 when more was sold than the catalog says is there */
  struct pool_cost_result {
    amount depreciation, energy, colocation, operations, other, total;
  } cost;
  amount cost_per_sold_unit; /* total cost / sold units; 0 when nothing was sold */
};
/* Straight-line depreciation capex x (1 - residual) / life; colocation kW x $/kW-month; energy kW x load x PUE x hours
 * x $/kWh; operations opex_year x years. Months and years as fractions by the second in `zone`. The monthly `other` is
 * for the pool. */
MUST_USE bool finance_pool_cost(const struct pool *pool, struct period period, const char *zone,
                                struct pool_cost_result *out, struct error *err);

struct finance_share {
  slice name;
  amount amount;
  uint64_t count;
};
/* The picture of a period that `summary`, `/` and `/api/v1/summary` show. */
struct finance_summary {
  struct period period;
  const struct currency *currency; /* customers in other currencies are listed in `skipped` */
  const struct pool_result *pools;
  size_t pool_count;
  const struct finance_share *products;
  size_t product_count; /* revenue before tax, largest first */
  const struct finance_share *customers;
  size_t customer_count; /* revenue before tax, largest first */
  amount revenue, cost, margin;
  rate margin_share;   /* margin / revenue, 0 when there is no revenue */
  rate hhi, top_share; /* concentration: sum of squared shares; share of the largest */
  uint64_t unpriced, skipped;
};
/* `ratings` and `rows` belong to the same period; rows of all customers. Lives in the arena. */
MUST_USE bool finance_summarize(struct arena *arena, const struct catalog *catalog, struct period period,
                                const struct rating *ratings, size_t rating_count, const struct usage_row *rows,
                                size_t row_count, struct finance_summary *out, struct error *err);
#endif
