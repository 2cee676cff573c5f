/* Levels that end: of series that are gone, and of targets that stay out of reach. */
#include "pull/private.h"
#include <string.h>

/* The last level event once more, with nothing as its value: same customer, same dimensions. */
bool level_end(struct target_state *state, struct series *series, instant at, struct judged *out, struct error *err) {
  struct event e;
  if (!event_from_text(out->arena, slice_of(series->level_event), at, &e, err)) {
    return error_at(err, "pull_series: " SLICE_FMT, SLICE_ARG(series->key));
  }
  size_t dot = strlen("gauge ") + e.type.len + 1; /* the rule is "gauge type.field" */
  slice field = series->rule.len > dot ? (slice){series->rule.ptr + dot, series->rule.len - dot} : (slice){0};
  struct event_field *fields = arena_array(out->arena, e.field_count, sizeof *fields);
  for (size_t i = 0; i < e.field_count; i++) {
    fields[i] = e.fields[i];
    if (slice_eq(fields[i].name, field)) {
      fields[i].value = SLICE("0");
    }
  }
  e.fields = fields;
  e.time = at;
  e.id = event_id(out->arena, series->rule, series->key, e.subject, at, series->value, QUANTITY_ZERO);
  e.source = event_source(out->arena, state->name);
  struct pull_row row = {.rule = series->rule,
                         .series = series->key,
                         .gauge = true,
                         .time = at,
                         .level_event = arena_copy(out->arena, slice_of(series->level_event)),
                         .event = out->events.count};
  vec_push(&out->events, e);
  vec_push(&out->rows, (struct judged_row){series, row});
  return true;
}

static bool holds(const struct series *series, instant at) {
  return series->known && series->gauge && !quantity_is_zero(series->value) && at.ns > series->time.ns;
}

bool levels_vanish(struct target_state *state, instant at, struct judged *out, struct error *err) {
  for (size_t i = 0; i < state->series.count; i++) {
    struct series *series = state->series.items[i];
    if (series->seen != state->scrape && holds(series, at) && !level_end(state, series, at, out, err)) {
      return false;
    }
  }
  return true;
}

static slice metric_of(slice key) {
  const char *labels = memchr(key.ptr, '{', key.len);
  return (slice){key.ptr, labels ? (size_t)(labels - key.ptr) : key.len};
}

static bool ends_when_absent(const struct target_state *state, const struct series *series) {
  for (size_t i = 0; i < state->target->rule_count; i++) {
    const struct pull_rule *rule = &state->target->rules[i];
    if (slice_eq(rule->key, series->rule) && slice_eq(metric_of(series->key), rule->metric)) {
      return rule->absent_zero;
    }
  }
  return false;
}

bool levels_absent(struct target_state *state, instant now, struct judged *out, struct error *err) {
  int64_t interval_ns = state->target->interval.ns;
  if (!state->has_last_good || now.ns - state->last_good.ns <= PULL_ABSENT_INTERVALS * interval_ns) {
    return true;
  }
  instant end = {state->last_good.ns + interval_ns};
  for (size_t i = 0; i < state->series.count; i++) {
    struct series *series = state->series.items[i];
    if (holds(series, end) && ends_when_absent(state, series) && !level_end(state, series, end, out, err)) {
      return false;
    }
  }
  return true;
}
