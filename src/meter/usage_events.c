/* The events behind a customer's usage of one meter, one by one: those that count, corrections applied. */
#include "meter/private.h"

struct telling {
  const struct usage_events *wanted;
  struct corrections corrections;
  usage_event_each each;
  void *context;
};

static bool counts(const struct telling *t, const struct event *e, uint64_t number) {
  const struct usage_events *w = t->wanted;
  return e->time.ns < w->before.ns && e->time.ns >= w->from.ns && slice_eq(e->subject, w->customer) &&
         slice_eq(e->type, w->meter->event_type) && meter_filter_passes(w->meter, e) &&
         !meter_value_left_out(w->meter, e) &&
         !corrections_hide(&t->corrections, number, e->subject, w->meter, e->time);
}

static bool look_at(void *context, const struct event *e, const struct arrival *arrival, struct error *err) {
  struct telling *t = context;
  const struct meter *meter = t->wanted->meter;
  slice dimensions[CATALOG_DIMENSIONS_MAX];
  quantity value = QUANTITY_ONE;
  if (!counts(t, e, arrival->number)) {
    return true;
  }
  bool has_value = meter->aggregation != AGG_COUNT && meter->aggregation != AGG_UNIQUE;
  if (has_value && !meter_value(meter, e, &value, err)) {
    return error_at(err, "event %llu", (unsigned long long)arrival->number);
  }
  for (size_t d = 0; d < meter->dimension_count; d++) {
    dimensions[d] = event_field_value(e, meter->dimensions[d]);
  }
  return t->each(t->context, e, arrival, dimensions, value, err);
}

bool usage_events_behind(struct db *db, const struct catalog *catalog, const struct usage_events *wanted,
                         usage_event_each each, void *context, struct error *err) {
  struct telling t = {.wanted = wanted, .each = each, .context = context};
  struct journal_range range = {.until = wanted->position, .from = wanted->from, .before = wanted->before};
  struct arena *arena = arena_new();
  bool ok = corrections_load(arena, db, catalog, 0, wanted->position, &t.corrections, err) &&
            journal_scan(db, &range, look_at, &t, err);
  corrections_free(&t.corrections);
  arena_free(arena);
  return ok;
}
