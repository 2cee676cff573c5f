/* Clocks, the counter of instructions, medians, and the line of a figure. */
#include "measure.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
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

double measure_quantile(const double *sorted, size_t count, double share) {
  size_t at = (size_t)((double)count * share);
  return count == 0 ? 0 : sorted[at < count ? at : count - 1];
}

double measure_process_cpu_s(pid_t pid) {
  char path[64], text[1024] = "";
  unsigned long user = 0, kernel = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *f = fopen(path, "re");
  must(f != NULL && fread(text, 1, sizeof text - 1, f) > 0);
  fclose(f);
  const char *after = strrchr(text, ')');
  must(after != NULL && sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) == 2);
  return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

double measure_process_kb(pid_t pid, const char *field) {
  char path[64], line[256];
  double kb = 0;
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE *f = fopen(path, "re");
  must(f != NULL);
  while (fgets(line, sizeof line, f)) {
    if (strncmp(line, field, strlen(field)) == 0 && line[strlen(field)] == ':') {
      kb = strtod(line + strlen(field) + 1, NULL);
    }
  }
  fclose(f);
  return kb;
}

#define SYNCS 31
double measure_sync_ms(const char *folder) {
  double took[SYNCS];
  char path[256], page[4096] = "";
  snprintf(path, sizeof path, "%s/sync", folder);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  must(fd >= 0);
  for (int i = 0; i < SYNCS; i++) {
    double begin = measure_wall_s();
    must(pwrite(fd, page, sizeof page, (i % 8) * (off_t)sizeof page) > 0 && fdatasync(fd) == 0);
    took[i] = (measure_wall_s() - begin) * 1e3;
  }
  close(fd);
  unlink(path);
  return measure_median(took, SYNCS);
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
