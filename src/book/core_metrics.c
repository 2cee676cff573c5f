/* What the core did, for Prometheus: how deep the queue is, how large its batches are, how long commits take. Written
 * by the core's thread alone, read by any. */
#include "book/private.h"
#include <string.h>

#define FIGURE_TEXT_MAX 32
#define US_PER_S UINT64_C(1000000)

void core_figures_start(struct core_figures *f) {
  static const struct core_figures empty = {
      .commit_us = {.bounds = {1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000},
                    .bound_count = 11},
      .batch_commands = {.bounds = {1, 2, 4, 8, 16, 32, 64, 128, 256}, .bound_count = 9},
      .batch_events = {.bounds = {0, 1, 10, 100, 1000, 10000, 100000}, .bound_count = 7}};
  memcpy(f, &empty, sizeof empty);
}

void histogram_add(struct histogram *h, uint64_t value) {
  size_t bucket = 0;
  while (bucket < h->bound_count && value > h->bounds[bucket]) {
    bucket++;
  }
  atomic_fetch_add_explicit(&h->counts[bucket], 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&h->sum, value, memory_order_relaxed);
}

static void family(struct buf *out, const char *name, const char *type, const char *help) {
  buf_addf(out, "# HELP meterhouse_core_%s %s\n# TYPE meterhouse_core_%s %s\n", name, help, name, type);
}

/* Whole numbers as they are, microseconds as seconds. */
static const char *figure(uint64_t value, uint64_t unit, char text[FIGURE_TEXT_MAX]) {
  int n = snprintf(text, FIGURE_TEXT_MAX, "%llu", (unsigned long long)(value / unit));
  if (value % unit > 0) {
    snprintf(text + n, (size_t)(FIGURE_TEXT_MAX - n), ".%06llu", (unsigned long long)(value % unit));
  }
  return text;
}

/* Buckets are told with all below them, as Prometheus wants them. */
static void print_histogram(const char *name, const char *help, const struct histogram *h, uint64_t unit,
                            struct buf *out) {
  char text[FIGURE_TEXT_MAX];
  uint64_t below = 0;
  family(out, name, "histogram", help);
  for (size_t i = 0; i < h->bound_count; i++) {
    below += atomic_load(&h->counts[i]);
    buf_addf(out, "meterhouse_core_%s_bucket{le=\"%s\"} %llu\n", name, figure(h->bounds[i], unit, text),
             (unsigned long long)below);
  }
  below += atomic_load(&h->counts[h->bound_count]);
  buf_addf(out, "meterhouse_core_%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)below);
  buf_addf(out, "meterhouse_core_%s_sum %s\nmeterhouse_core_%s_count %llu\n", name,
           figure(atomic_load(&h->sum), unit, text), name, (unsigned long long)below);
}

static void print_number(const char *name, const char *type, const char *help, uint64_t value, struct buf *out) {
  family(out, name, type, help);
  buf_addf(out, "meterhouse_core_%s %llu\n", name, (unsigned long long)value);
}

void core_metrics(struct core *core, struct buf *out) {
  struct core_figures *f = core_figures_of(core);
  print_number("queue_commands", "gauge", "Commands that wait to be written.", atomic_load(&f->queued), out);
  print_number("queue_bytes", "gauge", "Memory of the commands that wait to be written.", atomic_load(&f->queued_bytes),
               out);
  print_number("refused_total", "counter", "Commands refused because the queue was full.", atomic_load(&f->refused),
               out);
  print_histogram("commit_seconds", "Time from taking a batch from the queue until it is durable.", &f->commit_us,
                  US_PER_S, out);
  print_histogram("batch_commands", "Commands written by one commit.", &f->batch_commands, 1, out);
  print_histogram("batch_events", "Events accepted by one commit.", &f->batch_events, 1, out);
}
