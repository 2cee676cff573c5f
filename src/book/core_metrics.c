/* What the core did, for Prometheus: how deep the queue is, how large its batches are, how long commits take. Written
 * by the core's thread alone, read by any. */
#include "book/private.h"

void histogram_add(struct histogram *h, double value) {
  size_t bucket = 0;
  while (bucket < h->bound_count && value > h->bounds[bucket]) {
    bucket++;
  }
  atomic_fetch_add_explicit(&h->counts[bucket], 1, memory_order_relaxed);
  atomic_store_explicit(&h->sum, atomic_load_explicit(&h->sum, memory_order_relaxed) + value, memory_order_relaxed);
}

static void family(struct buf *out, const char *name, const char *type, const char *help) {
  buf_addf(out, "# HELP meterhouse_core_%s %s\n# TYPE meterhouse_core_%s %s\n", name, help, name, type);
}

/* Buckets are told with all below them, as Prometheus wants them. */
static void print_histogram(const char *name, const char *help, const struct histogram *h, struct buf *out) {
  uint64_t below = 0;
  family(out, name, "histogram", help);
  for (size_t i = 0; i < h->bound_count; i++) {
    below += atomic_load(&h->counts[i]);
    buf_addf(out, "meterhouse_core_%s_bucket{le=\"%g\"} %llu\n", name, h->bounds[i], (unsigned long long)below);
  }
  below += atomic_load(&h->counts[h->bound_count]);
  buf_addf(out, "meterhouse_core_%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)below);
  buf_addf(out, "meterhouse_core_%s_sum %.17g\nmeterhouse_core_%s_count %llu\n", name, atomic_load(&h->sum), name,
           (unsigned long long)below);
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
  print_histogram("commit_seconds", "Time from taking a batch from the queue until it is durable.", &f->commit_seconds,
                  out);
  print_histogram("batch_commands", "Commands written by one commit.", &f->batch_commands, out);
  print_histogram("batch_events", "Events accepted by one commit.", &f->batch_events, out);
}
