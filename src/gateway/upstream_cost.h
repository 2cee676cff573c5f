/* What an upstream costs, shared out over the calls that run on it: processor sharing, in exact whole numbers. */
#ifndef METERHOUSE_GATEWAY_UPSTREAM_COST_H
#define METERHOUSE_GATEWAY_UPSTREAM_COST_H
#include "catalog/catalog.h"

#define COST_E24_PER_E12 ((int128)1000000000000)
/* 1e-24 of the currency's major unit: an hour of a cheap upstream is shared by many calls over microseconds. */
struct upstream_cost {
  amount hour;      /* what an hour of the upstream costs, to 1e-12 half-even; zero: not known */
  int128 rate_e24;  /* a nanosecond of it, rounded down */
  int128 clock_e24; /* what a call that ran since ever would have cost */
  int64_t at_ns;
};
/* The cost of its part of its pool, on average over the month `now` lies in (or what of it the pool is in service).
 * ERR_OVERFLOW when it is above 1e9 an hour. */
MUST_USE bool upstream_cost_start(const struct catalog *catalog, const struct upstream *upstream, instant now,
                                  struct upstream_cost *out, struct error *err);
/* Time passed with so many calls running. A clock that runs back stands still; of a leap counts a
 * year at most. */
void upstream_cost_pass(struct upstream_cost *cost, uint32_t running, instant now);
#endif
