/* The figures of each target as Prometheus text. */
#include "pull/private.h"

static void family(struct buf *out, const char *name, const char *type, const char *help) {
  buf_addf(out, "# HELP meterhouse_scrape_%s %s\n# TYPE meterhouse_scrape_%s %s\n", name, help, name, type);
}

static void instant_text(instant t, char text[32]) {
  snprintf(text, 32, "%lld.%03lld", (long long)(t.ns / NS_PER_S), (long long)(t.ns % NS_PER_S / 1000000));
}

/* Nothing is said of a time that has not come yet. */
static void print_instants(const struct target_figures *figures, size_t count, struct buf *out) {
  char text[32];
  family(out, "last_success_timestamp_seconds", "gauge", "When the target was last seen.");
  for (size_t i = 0; i < count; i++) {
    if (figures[i].last_success.ns > 0) {
      instant_text(figures[i].last_success, text);
      buf_addf(out, "meterhouse_scrape_last_success_timestamp_seconds{target=\"" SLICE_FMT "\"} %s\n",
               SLICE_ARG(figures[i].name), text);
    }
  }
  family(out, "unknown_since_timestamp_seconds", "gauge", "Since when a target that is down has not been seen.");
  for (size_t i = 0; i < count; i++) {
    if (figures[i].tried && !figures[i].up) {
      instant_text(figures[i].unknown_since, text);
      buf_addf(out, "meterhouse_scrape_unknown_since_timestamp_seconds{target=\"" SLICE_FMT "\"} %s\n",
               SLICE_ARG(figures[i].name), text);
    }
  }
}

void figures_print(const struct target_figures *figures, size_t count, struct buf *out) {
  static const struct {
    const char *name, *type, *help;
    size_t offset;
  } all[] = {
      {"scrapes_total", "counter", "Scrapes since start.", offsetof(struct target_figures, scrapes)},
      {"failures_total", "counter", "Scrapes that failed since start.", offsetof(struct target_figures, failures)},
      {"samples", "gauge", "Samples of the last good scrape.", offsetof(struct target_figures, samples)},
      {"series", "gauge", "Series taken by a rule in the last good scrape.", offsetof(struct target_figures, matched)},
      {"series_unmatched", "gauge", "Series of a metric that rules name, but none took: other labels or no customer.",
       offsetof(struct target_figures, unmatched)},
      {"series_unreadable", "gauge", "Series with NaN, a negative value, or too long a name in the last good scrape.",
       offsetof(struct target_figures, unreadable)},
      {"resets_total", "counter", "Counters that began anew since start.", offsetof(struct target_figures, resets)},
      {"gaps_total", "counter", "Times a target was seen again after missed scrapes.",
       offsetof(struct target_figures, gaps)},
      {"gap_seconds_total", "counter", "Seconds not seen in those.", offsetof(struct target_figures, gap_seconds)},
      {"events_total", "counter", "Events the book took since start.", offsetof(struct target_figures, events)},
      {"events_refused_total", "counter", "Events the book refused since start; they are tried again.",
       offsetof(struct target_figures, refused)},
  };
  family(out, "up", "gauge", "1 when the last scrape of the target went well.");
  for (size_t i = 0; i < count; i++) {
    buf_addf(out, "meterhouse_scrape_up{target=\"" SLICE_FMT "\"} %d\n", SLICE_ARG(figures[i].name), figures[i].up);
  }
  print_instants(figures, count, out);
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
    family(out, all[k].name, all[k].type, all[k].help);
    for (size_t i = 0; i < count; i++) {
      const uint64_t *value = (const void *)((const char *)&figures[i] + all[k].offset);
      buf_addf(out, "meterhouse_scrape_%s{target=\"" SLICE_FMT "\"} %llu\n", all[k].name, SLICE_ARG(figures[i].name),
               (unsigned long long)*value);
    }
  }
}
