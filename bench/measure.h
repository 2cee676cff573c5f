/* What every program of bench/ measures with: clocks, a counter of instructions, medians, and the line of a figure. */
#ifndef METERHOUSE_BENCH_MEASURE_H
#define METERHOUSE_BENCH_MEASURE_H
#include "base/base.h"
#include <sys/types.h>

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
/* Of values that are sorted; share 0.99 is the 99th percentile. */
double measure_quantile(const double *sorted, size_t count, double share);

/* ---- of another process on this machine ---- */
double measure_process_cpu_s(pid_t pid);                 /* user and system time so far, all its threads */
double measure_process_kb(pid_t pid, const char *field); /* of /proc/PID/status: "VmRSS", "VmHWM" */
/* What the disk that holds `folder` takes for a small write to be durable, the median of 31. */
double measure_sync_ms(const char *folder);

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
