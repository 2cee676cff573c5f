/* Clocks, the counter of instructions, medians, and the line of a figure. */
#include "measure.h"
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COUNTER_UNTRIED (-2)
static int counter = COUNTER_UNTRIED;

/* Like `perf stat -e instructions:u`, of this process and the threads it starts from now on. */
static void start_counter(void) {
  struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE,
                                       .size = sizeof attributes,
                                       .config = PERF_COUNT_HW_INSTRUCTIONS,
                                       .inherit = 1,
                                       .exclude_kernel = 1,
                                       .exclude_hv = 1};
  counter = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static double seconds_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double measure_wall_s(void) {
  return seconds_of(CLOCK_MONOTONIC);
}

bool measure_counts_instructions(void) {
  if (counter == COUNTER_UNTRIED) {
    start_counter();
  }
  return counter >= 0;
}

struct measure measure_now(void) {
  uint64_t count = 0;
  if (measure_counts_instructions()) {
    must(read(counter, &count, sizeof count) == sizeof count);
  }
  return (struct measure){measure_wall_s(), seconds_of(CLOCK_PROCESS_CPUTIME_ID), (double)count};
}

void measure_add(struct measure *sum, const struct measure *begin) {
  struct measure now = measure_now();
  sum->wall_s += now.wall_s - begin->wall_s;
  sum->cpu_s += now.cpu_s - begin->cpu_s;
  sum->instructions += now.instructions - begin->instructions;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double measure_median(double *values, size_t count) {
  qsort(values, count, sizeof *values, by_size);
  return values[count / 2];
}

void measure_report(const struct figure *f) {
  double ratio = f->ours / f->peers;
  printf("{\"bench\":\"%s\",\"unit\":\"%s\",\"meterhouse\":%.0f,\"peer\":\"%s\",\"peer_value\":%.0f,\"ratio\":%.*f",
         f->bench, f->unit, f->ours, f->peer, f->peers, ratio < 10 ? 2 : 1, ratio);
  if (f->events) {
    printf(",\"events\":%llu,\"peer_events\":%llu", (unsigned long long)f->events, (unsigned long long)f->peer_events);
  }
  printf("}\n");
  fflush(stdout);
}

void measure_check(bool ok, const struct error *err) {
  if (!ok) {
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, err->message);
  }
  must(ok);
}
