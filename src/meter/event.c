/* What an event is worth to the meters: its fields, its check against the catalog, and the hash of its content. */
#include "base/hash.h"
#include "meter/private.h"
#include <stdlib.h>
#include <string.h>

#define CONTENT_SEED UINT64_C(0x636f6e74656e7401)

const char *verdict_name(enum verdict v) {
  static const char *const names[] = {"accepted", "duplicate", "conflict", "invalid"};
  must((unsigned)v < sizeof names / sizeof *names);
  return names[v];
}

slice event_field_value(const struct event *e, slice name) {
  size_t low = 0, high = e->field_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = slice_cmp(e->fields[middle].name, name);
    if (order == 0) {
      return e->fields[middle].value;
    }
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return (slice){0};
}

struct event event_copy(struct arena *arena, const struct event *e) {
  struct event_field *fields = arena_array(arena, e->field_count, sizeof *fields);
  for (size_t i = 0; i < e->field_count; i++) {
    fields[i] = (struct event_field){arena_copy(arena, e->fields[i].name), arena_copy(arena, e->fields[i].value),
                                     e->fields[i].number};
  }
  return (struct event){.id = arena_copy(arena, e->id),
                        .source = arena_copy(arena, e->source),
                        .type = arena_copy(arena, e->type),
                        .subject = arena_copy(arena, e->subject),
                        .time = e->time,
                        .fields = fields,
                        .field_count = e->field_count};
}

static int by_name(const void *a, const void *b) {
  return slice_cmp(((const struct event_field *)a)->name, ((const struct event_field *)b)->name);
}

bool event_sort_fields(struct event_field *fields, size_t count, struct error *err) {
  qsort(fields, count, sizeof *fields, by_name);
  for (size_t i = 1; i < count; i++) {
    if (slice_eq(fields[i - 1].name, fields[i].name)) {
      return error_set(err, ERR_INVALID, "data: the field \"" SLICE_FMT "\" is there twice", SLICE_ARG(fields[i].name));
    }
  }
  return true;
}

bool meter_filter_passes(const struct meter *meter, const struct event *e) {
  for (size_t f = 0; f < meter->filter_count; f++) {
    slice value = event_field_value(e, meter->filters[f].field);
    bool passes = false;
    for (size_t v = 0; v < meter->filters[f].count && !passes; v++) {
      passes = slice_eq(value, meter->filters[f].values[v]);
    }
    if (!passes) {
      return false;
    }
  }
  return true;
}

bool meter_value_left_out(const struct meter *meter, const struct event *e) {
  return meter->optional && event_field_value(e, meter->value_field).len == 0;
}

bool meter_value(const struct meter *meter, const struct event *e, quantity *out, struct error *err) {
  slice text = event_field_value(e, meter->value_field);
  if (text.len == 0) {
    return error_set(err, ERR_INVALID, "data." SLICE_FMT " is missing: meter " SLICE_FMT " counts it",
                     SLICE_ARG(meter->value_field), SLICE_ARG(meter->name));
  }
  if (!quantity_parse(text, out, err)) {
    return error_at(err, "data." SLICE_FMT, SLICE_ARG(meter->value_field));
  }
  if (out->e9 < 0) {
    return error_set(err, ERR_INVALID,
                     "data." SLICE_FMT " is negative (" SLICE_FMT "): usage is never less than nothing",
                     SLICE_ARG(meter->value_field), SLICE_ARG(text));
  }
  return true;
}

static bool check_for(const struct meter *meter, const struct event *e, struct error *err) {
  quantity ignored;
  if (!meter_filter_passes(meter, e) || meter->aggregation == AGG_COUNT || meter_value_left_out(meter, e)) {
    return true;
  }
  if (meter->aggregation == AGG_UNIQUE) {
    return event_field_value(e, meter->value_field).len > 0 ||
           error_set(err, ERR_INVALID, "data." SLICE_FMT " is missing: meter " SLICE_FMT " counts its values",
                     SLICE_ARG(meter->value_field), SLICE_ARG(meter->name));
  }
  if (!meter_value(meter, e, &ignored, err)) {
    return false;
  }
  if (meter->aggregation == AGG_INTEGRAL && meter->series_field.len > 0 &&
      event_field_value(e, meter->series_field).len == 0) {
    return error_set(err, ERR_INVALID,
                     "data." SLICE_FMT " is missing: it says which level of meter " SLICE_FMT " changes",
                     SLICE_ARG(meter->series_field), SLICE_ARG(meter->name));
  }
  return true;
}

bool event_check(const struct event *e, const struct catalog *catalog, struct error *err) {
  if (slice_starts(e->type, "meterhouse.")) {
    return error_set(err, ERR_INVALID, "type: those that begin with \"meterhouse.\" are our own");
  }
  const struct meter *meters[METERS_OF_TYPE_MAX];
  size_t count = catalog_meters_of_type(catalog, e->type, meters, METERS_OF_TYPE_MAX);
  for (size_t i = 0; i < count && i < METERS_OF_TYPE_MAX; i++) {
    if (!check_for(meters[i], e, err)) {
      return false;
    }
  }
  return true;
}

/* Each part with its length, so that no two different contents run together into the same bytes. */
static uint64_t mix(uint64_t h, slice part) {
  return hash64(part, h + part.len);
}

uint64_t event_content_hash(const struct event *e) {
  uint64_t h = mix(mix(CONTENT_SEED, e->type), e->subject);
  h = mix(h, (slice){(const char *)&e->time.ns, sizeof e->time.ns});
  for (size_t i = 0; i < e->field_count; i++) {
    h = mix(mix(h, e->fields[i].name), e->fields[i].value) + e->fields[i].number;
  }
  return h;
}
