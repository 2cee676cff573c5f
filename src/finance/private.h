/* Inside finance: what the summary asks of the pools. */
#ifndef METERHOUSE_FINANCE_PRIVATE_H
#define METERHOUSE_FINANCE_PRIVATE_H
#include "finance/finance.h"

MUST_USE bool finance_pool(const struct catalog *catalog, const struct pool *pool, struct period period,
                           const struct usage_row *rows, size_t row_count, struct pool_result *out, struct error *err);
#endif
