/* What every program of bench/ measures with: clocks, a counter of instructions, medians, and the line of a figure. */
#ifndef METERHOUSE_BENCH_MEASURE_H
#define METERHOUSE_BENCH_MEASURE_H
#include "base/base.h"

/* What a stretch of work took; all threads of the process count. */
struct measure {
  double wall_s, cpu_s, instructions;
};
/* The clocks now. The first call starts the counter, and only threads that are born later are counted by it. */
struct measure measure_now(void);
void measure_add(struct measure *sum, const struct measure *begin); /* sum += now - begin */
/* In user mode; false where the processor's counters are out of reach, as in many virtual machines (`perf stat` then
 * says "not supported"): `instructions` stays 0. */
bool measure_counts_instructions(void);
double measure_wall_s(void);

double measure_median(double *values, size_t count); /* sorts them */

/* A figure beside a peer's: one JSON line. The numbers of events are told when they are not zero. */
struct figure {
  const char *bench, *unit, *peer;
  double ours, peers;
  uint64_t events, peer_events;
};
void measure_report(const struct figure *f);

/* A benchmark that can not go on says why and stops. */
void measure_check(bool ok, const struct error *err);
#endif
