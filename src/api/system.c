/* Health, limits, metrics and the summary. */
#include "api/private.h"
#include <string.h>

bool health_prepare(struct api_call *call, struct error *err) {
  (void)err;
  buf_add(&call->out, SLICE("{\"status\":\"ok\"}\n"));
  return true;
}

bool gateway_prepare(struct api_call *call, struct error *err) {
  (void)err;
  gateway_view(call->api->gateway, &call->out);
  return true;
}

bool limits_prepare(struct api_call *call, struct error *err) {
  (void)err;
  struct json_out *w = &call->json;
  list_begin(call);
  for (size_t i = 0; i < limit_count; i++) {
    json_open_object(w);
    json_put_cstr(w, "name", limits[i].name);
    json_put_int(w, "value", limits[i].value);
    json_key(w, "status");
    if (limits[i].status > 0) {
      json_int(w, limits[i].status);
    } else {
      json_null(w);
    }
    json_put_cstr(w, "bounds", limits[i].what);
    json_close_object(w);
  }
  list_end(call, (slice){0});
  return true;
}

static void metric(struct buf *out, const char *name, const char *type, const char *help, uint64_t value) {
  buf_addf(out, "# HELP meterhouse_%s %s\n# TYPE meterhouse_%s %s\nmeterhouse_%s %llu\n", name, help, name, type, name,
           (unsigned long long)value);
}

static void verdicts(const struct api *api, struct buf *out) {
  buf_addf(out, "# HELP meterhouse_ingest_events_total Events decided since start, by verdict.\n# TYPE "
                "meterhouse_ingest_events_total counter\n");
  for (size_t v = 0; v < sizeof api->events / sizeof *api->events; v++) {
    buf_addf(out, "meterhouse_ingest_events_total{verdict=\"%s\"} %llu\n", verdict_name((enum verdict)v),
             (unsigned long long)atomic_load(&api->events[v]));
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
  metric(&call->out, "journal_bytes", "gauge", "Bytes of the journal's blocks.", stats.journal_bytes);
  metric(&call->out, "http_requests_total", "counter", "Requests taken since start.", atomic_load(&api->requests));
  metric(&call->out, "http_requests_failed_total", "counter", "Requests answered with a problem since start.",
         atomic_load(&api->requests_failed));
  metric(&call->out, "uptime_seconds", "gauge", "Seconds since start.",
         (uint64_t)((clock_now().ns - api->started.ns) / NS_PER_S));
  core_metrics(api->core, &call->out);
  gateway_metrics(api->gateway, &call->out);
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
