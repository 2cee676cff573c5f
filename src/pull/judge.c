/* From the samples of a scrape and what is remembered to events and to what is remembered next. Pure: no clock, no
 * network, no store. */
#include "pull/private.h"
#include <stdlib.h>
#include <string.h>

#define LEVEL_REPEAT_NS (3600 * NS_PER_S)
#define READABLE_SERIES_BYTES_MAX 256

struct judging {
  struct target_state *state;
  struct judged *out;
  instant at;
  struct map by_metric; /* metric -> first rule of it; the others follow in the list */
  struct map created;   /* series of a counter -> its "_created" sample */
};

void judged_free(struct judged *j) {
  vec_free(&j->events);
  vec_free(&j->rows);
}

/* ---- events ---- */

slice event_id(struct arena *arena, slice rule, slice series, slice subject, instant at, quantity from, quantity to) {
  char from_text[DECIMAL_TEXT_MAX], to_text[DECIMAL_TEXT_MAX], hex[65];
  const char *text =
      arena_printf(arena, SLICE_FMT "\n" SLICE_FMT "\n" SLICE_FMT "\n%lld\n%s\n%s", SLICE_ARG(rule), SLICE_ARG(series),
                   SLICE_ARG(subject), (long long)at.ns, quantity_text(from, from_text), quantity_text(to, to_text));
  digest_hex(digest_of(slice_of(text)), hex);
  return arena_copy(arena, (slice){hex, 32});
}

slice event_source(struct arena *arena, slice target) {
  return slice_of(arena_printf(arena, "scrape/" SLICE_FMT, SLICE_ARG(target)));
}

static slice value_text(struct arena *arena, quantity value) {
  char text[DECIMAL_TEXT_MAX];
  return arena_copy(arena, slice_of(quantity_text(value, text)));
}

/* Readable when it is short; else its digest. */
static slice series_name(struct arena *arena, slice target, slice key) {
  char hex[65];
  slice name = slice_of(arena_printf(arena, SLICE_FMT ":" SLICE_FMT, SLICE_ARG(target), SLICE_ARG(key)));
  return name.len <= READABLE_SERIES_BYTES_MAX ? name : arena_copy(arena, slice_of(digest_hex(digest_of(name), hex)));
}

static int by_name(const void *a, const void *b) {
  return slice_cmp(((const struct event_field *)a)->name, ((const struct event_field *)b)->name);
}

#define NOTES_MAX 2
struct notes {
  bool reset;
  int64_t gap_s;
};

static struct event make_event(struct judging *g, const struct pull_rule *rule, const struct series *series,
                               const struct sample *s, slice customer, quantity value, struct notes notes) {
  struct arena *arena = g->out->arena;
  struct event_field *f = arena_array(arena, rule->dimension_count + rule->constant_count + 2 + NOTES_MAX, sizeof *f);
  size_t count = 0;
  f[count++] = (struct event_field){rule->field, value_text(arena, value), true};
  for (size_t i = 0; i < rule->dimension_count; i++) {
    slice text = sample_label_value(s, rule->dimensions[i].from);
    if (text.len > 0) {
      f[count++] = (struct event_field){rule->dimensions[i].to, text, false};
    }
  }
  for (size_t i = 0; i < rule->constant_count; i++) {
    f[count++] = (struct event_field){rule->constants[i].from, rule->constants[i].to, false};
  }
  if (rule->series_field.len > 0) {
    f[count++] = (struct event_field){rule->series_field, series_name(arena, g->state->name, series->key), false};
  }
  if (notes.reset) {
    f[count++] = (struct event_field){SLICE("scrape_reset"), SLICE("true"), false};
  }
  if (notes.gap_s > 0) {
    slice seconds = slice_of(arena_printf(arena, "%lld", (long long)notes.gap_s));
    f[count++] = (struct event_field){SLICE("scrape_gap_s"), seconds, true};
  }
  qsort(f, count, sizeof *f, by_name);
  return (struct event){.source = event_source(arena, g->state->name),
                        .type = rule->type,
                        .subject = customer,
                        .time = g->at,
                        .fields = f,
                        .field_count = count};
}

static struct pull_row row_of(const struct series *series) {
  return (struct pull_row){.rule = series->rule,
                           .series = series->key,
                           .gauge = series->gauge,
                           .value = series->value,
                           .time = series->time,
                           .has_created = series->has_created,
                           .created = series->created,
                           .level_event = slice_of(series->level_event),
                           .event = PULL_NO_EVENT};
}

/* ---- counters ---- */

/* The time at which the exporter says that this counter began. */
static bool created_of(struct judging *g, const struct series *series, quantity *out) {
  const struct sample *s = map_get(&g->created, series->key);
  return s != NULL && sample_quantity(s->value, out) && out->e9 > 0;
}

/* A new series counts from zero when it is sure that it began after the last good scrape, or the rule says so. */
static bool counts_from_zero(const struct judging *g, const struct pull_rule *rule, const struct pull_row *row) {
  const struct target_state *state = g->state;
  return state->has_last_good && (rule->new_from_zero || (row->has_created && row->created.e9 > state->last_good.ns));
}

static bool counter_reset(const struct series *series, const struct pull_row *row) {
  return quantity_cmp(row->value, series->value) < 0 ||
         (row->has_created && series->has_created && quantity_cmp(row->created, series->created) > 0);
}

static void remember_zero(struct judging *g, struct series *series, const struct pull_row *row) {
  struct pull_row zero = *row;
  zero.value = QUANTITY_ZERO;
  zero.time = g->at;
  vec_push(&g->out->rows, (struct judged_row){series, zero});
}

static bool judge_counter(struct judging *g, const struct pull_rule *rule, struct series *series,
                          const struct sample *s, slice customer, quantity value, struct error *err) {
  struct pull_row row = row_of(series);
  row.gauge = false;
  row.value = value;
  row.level_event = SLICE("");
  row.has_created = created_of(g, series, &row.created);
  bool reset = series->known && counter_reset(series, &row);
  bool from_zero = reset || (!series->known && counts_from_zero(g, rule, &row));
  quantity from = series->known && !reset ? series->value : from_zero ? QUANTITY_ZERO : value, rise;
  if (!quantity_sub(value, from, &rise, err)) {
    return false;
  }
  g->out->resets += reset;
  if (rise.e9 > 0 && !series->known) {
    remember_zero(g, series, &row); /* so that nothing is lost if the book does not take the event */
  }
  if (rise.e9 > 0) {
    struct notes notes = {reset, series->known ? g->out->gap.ns / NS_PER_S : 0};
    struct event e = make_event(g, rule, series, s, customer, rise, notes);
    e.id = event_id(g->out->arena, rule->key, series->key, customer, g->at, from, value);
    row.event = g->out->events.count;
    vec_push(&g->out->events, e);
  }
  bool news = !series->known || reset || rise.e9 > 0 || row.has_created != series->has_created;
  if (news) {
    row.time = g->at;
    vec_push(&g->out->rows, (struct judged_row){series, row});
  }
  return true;
}

/* ---- gauges ---- */

static bool customer_changed(struct judging *g, const struct series *series, slice customer, bool *changed,
                             struct error *err) {
  struct event before;
  *changed = false;
  if (!series->known || quantity_is_zero(series->value)) {
    return true;
  }
  if (!event_from_text(g->out->arena, slice_of(series->level_event), g->at, &before, err)) {
    return error_at(err, "pull_series: " SLICE_FMT, SLICE_ARG(series->key));
  }
  *changed = !slice_eq(before.subject, customer);
  return true;
}

static bool judge_gauge(struct judging *g, const struct pull_rule *rule, struct series *series, const struct sample *s,
                        slice customer, quantity value, struct error *err) {
  bool handed_over, same = series->known && quantity_cmp(series->value, value) == 0;
  if (series->known && g->at.ns <= series->time.ns) {
    return true; /* the clock went back: a level can not change before it was set */
  }
  if (!customer_changed(g, series, customer, &handed_over, err)) {
    return false;
  }
  if (same && !handed_over && (quantity_is_zero(value) || g->at.ns - series->time.ns < LEVEL_REPEAT_NS)) {
    return true;
  }
  if (handed_over && !level_end(g->state, series, g->at, g->out, err)) {
    return false;
  }
  struct pull_row row = row_of(series);
  struct event e = make_event(g, rule, series, s, customer, value, (struct notes){0});
  e.id = event_id(g->out->arena, rule->key, series->key, customer, g->at, row.value, value);
  row.gauge = true;
  row.value = value;
  row.time = g->at;
  row.event = g->out->events.count;
  struct buf json;
  buf_init(&json, EVENT_BYTES_MAX);
  event_to_json(&e, &json);
  row.level_event = arena_copy(g->out->arena, buf_slice(&json));
  buf_free(&json);
  vec_push(&g->out->events, e);
  vec_push(&g->out->rows, (struct judged_row){series, row});
  return true;
}

/* ---- which rule takes a sample ---- */

static bool matches(const struct pull_rule *rule, const struct sample *s) {
  for (size_t m = 0; m < rule->match_count; m++) {
    slice value = sample_label_value(s, rule->matches[m].label);
    bool found = false;
    for (size_t v = 0; v < rule->matches[m].count && !found; v++) {
      found = slice_eq(value, rule->matches[m].values[v]);
    }
    if (!found) {
      return false;
    }
  }
  return true;
}

/* Empty when nobody is known to have used it. */
static slice customer_of(const struct pull_rule *rule, const struct sample *s) {
  if (rule->customer_label.len == 0) {
    return rule->customer;
  }
  slice value = sample_label_value(s, rule->customer_label);
  if (rule->has_table) {
    const slice *customer = map_get(&rule->table, value);
    return customer ? *customer : (slice){0};
  }
  return value.len <= EVENT_ATTRIBUTE_BYTES_MAX ? value : (slice){0};
}

static bool labels_fit(const struct sample *s) {
  for (size_t i = 0; i < s->label_count; i++) {
    if (s->labels[i].value.len > PULL_LABEL_BYTES_MAX) {
      return false;
    }
  }
  return true;
}

/* A series is taken once for each type and field: by the first rule that wants it. */
static bool take(struct judging *g, const struct pull_rule *rule, const struct sample *s, slice customer,
                 struct error *err) {
  quantity value;
  slice key = sample_series(g->out->arena, s->metric, s);
  if (key.len == 0 || !labels_fit(s)) {
    g->out->unreadable++;
    return true;
  }
  struct series *series = state_place(g->state, rule->key, key);
  if (series == NULL) {
    return error_set(err, ERR_LIMIT, "the target has over %d series: narrow the rules", PULL_SERIES_MAX);
  }
  if (series->seen == g->state->scrape) {
    return series->taken_by != rule ||
           error_set(err, ERR_INVALID, "line %zu: the series " SLICE_FMT " is there twice", s->line, SLICE_ARG(key));
  }
  series->seen = g->state->scrape;
  series->taken_by = rule;
  if (!sample_quantity(s->value, &value) || value.e9 < 0) {
    g->out->unreadable++;
    return true;
  }
  g->out->matched++;
  return rule->gauge ? judge_gauge(g, rule, series, s, customer, value, err)
                     : judge_counter(g, rule, series, s, customer, value, err);
}

static bool judge_sample(struct judging *g, const struct sample *s, struct error *err) {
  const struct pull_target *target = g->state->target;
  const struct pull_rule *rule = map_get(&g->by_metric, s->metric), *end = target->rules + target->rule_count;
  bool named = rule != NULL, taken = false;
  for (; rule && rule < end; rule++) {
    if (!slice_eq(rule->metric, s->metric) || !matches(rule, s)) {
      continue;
    }
    slice customer = customer_of(rule, s);
    if (customer.len > 0) {
      taken = true;
      if (!take(g, rule, s, customer, err)) {
        return false;
      }
    }
  }
  g->out->unmatched += named && !taken;
  return true;
}

static void index_rules(struct judging *g) {
  const struct pull_target *target = g->state->target;
  for (size_t i = 0; i < target->rule_count; i++) {
    void **place = map_put(&g->by_metric, target->rules[i].metric);
    if (*place == NULL) {
      *place = (void *)(uintptr_t)&target->rules[i];
    }
  }
}

/* "x_created" says when the counter "x_total", or "x", of the same labels began. */
static void index_created(struct judging *g, const struct exposition *text) {
  static const char *const endings[] = {"_total", ""};
  const slice suffix = SLICE("_created");
  for (size_t i = 0; i < text->count; i++) {
    const struct sample *s = &text->samples[i];
    if (s->metric.len <= suffix.len ||
        memcmp(s->metric.ptr + s->metric.len - suffix.len, suffix.ptr, suffix.len) != 0) {
      continue;
    }
    for (size_t k = 0; k < 2; k++) {
      slice metric =
          slice_of(arena_printf(g->out->arena, "%.*s%s", (int)(s->metric.len - suffix.len), s->metric.ptr, endings[k]));
      if (map_get(&g->by_metric, metric)) {
        *map_put(&g->created, sample_series(g->out->arena, metric, s)) = (void *)(uintptr_t)s;
      }
    }
  }
}

static void note_gap(struct judging *g) {
  const struct target_state *state = g->state;
  if (state->has_last_good && g->at.ns - state->last_good.ns > state->target->interval.ns) {
    g->out->gap.ns = g->at.ns - state->last_good.ns;
  }
}

bool judge_scrape(struct target_state *state, const struct exposition *text, instant at, struct judged *out,
                  struct error *err) {
  struct judging g = {.state = state, .out = out, .at = at};
  bool ok = true;
  state->scrape++;
  out->samples = text->count;
  note_gap(&g);
  index_rules(&g);
  index_created(&g, text);
  for (size_t i = 0; i < text->count && ok; i++) {
    ok = judge_sample(&g, &text->samples[i], err);
  }
  map_free(&g.by_metric);
  map_free(&g.created);
  return ok && levels_vanish(state, at, out, err);
}
