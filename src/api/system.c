/* Health, metrics and the summary. */
#include "api/private.h"
#include <string.h>

bool health_prepare(struct api_call *call, struct error *err) {
  (void)err;
  buf_add(&call->out, SLICE("{\"status\":\"ok\"}\n"));
  return true;
}

static void metric(struct buf *out, const char *name, const char *type, const char *help, uint64_t value) {
  buf_addf(out, "# HELP meterhouse_%s %s\n# TYPE meterhouse_%s %s\nmeterhouse_%s %llu\n", name, help, name, type, name,
           (unsigned long long)value);
}

static void verdicts(const struct api *api, struct buf *out) {
  buf_addf(out, "# HELP meterhouse_ingest_events_total Events decided since start, by verdict.\n# TYPE "
                "meterhouse_ingest_events_total counter\n");
  const struct {
    const char *name;
    uint64_t value;
  } all[] = {{"accepted", atomic_load(&api->events_accepted)},
             {"duplicate", atomic_load(&api->events_duplicate)},
             {"conflict", atomic_load(&api->events_conflict)},
             {"invalid", atomic_load(&api->events_invalid)}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    buf_addf(out, "meterhouse_ingest_events_total{verdict=\"%s\"} %llu\n", all[i].name,
             (unsigned long long)all[i].value);
  }
}

bool metrics_read(struct api_call *call, struct book *book, struct error *err) {
  const struct api *api = call->api;
  struct book_stats stats;
  if (!book_stats(book, &stats, err)) {
    return false;
  }
  verdicts(api, &call->out);
  metric(&call->out, "journal_events", "gauge", "Events kept in the journal.", stats.events);
  metric(&call->out, "journal_blocks", "gauge", "Blocks of the journal.", stats.blocks);
  metric(&call->out, "http_requests_total", "counter", "Requests taken since start.", atomic_load(&api->requests));
  metric(&call->out, "http_requests_failed_total", "counter", "Requests answered with a problem since start.",
         atomic_load(&api->requests_failed));
  metric(&call->out, "uptime_seconds", "gauge", "Seconds since start.",
         (uint64_t)((clock_now().ns - api->started.ns) / NS_PER_S));
  if (api->pull) {
    pull_metrics(api->pull, &call->out);
  }
  return true;
}

bool summary_read(struct api_call *call, struct book *book, struct error *err) {
  slice period;
  return book_default_period(book, http_query(call->http, "period"), call->arena, &period, err) &&
         book_summary(book, period, NULL, &call->out, err);
}
