/* Made-up calls to models, with random UUIDs as ids, and the catalog that meters them: what the ingest benchmarks eat.
 */
#ifndef METERHOUSE_BENCH_CALLS_H
#define METERHOUSE_BENCH_CALLS_H
#include "base/hash.h"
#include "meter/meter.h"
void calls_write_catalog(const char *path);
/* A month of calls in order of time, a few seconds apart at most, by a thousand customers: `count` of `total`, from
 * number `first` on. */
void calls_make(struct arena *arena, struct random *r, struct event *events, size_t count, uint64_t first,
                uint64_t total);
#endif
