/* From events to usage: each event goes to its customer's window and to every meter that wants it. */
#include "meter/private.h"
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES_MAX ((size_t)64 << 10)

struct usage *usage_new(const struct catalog *catalog) {
  struct usage *u = mem_alloc(sizeof *u);
  u->catalog = catalog;
  u->until = INSTANT_MAX;
  u->arena = arena_new();
  buf_init(&u->key, KEY_BYTES_MAX);
  return u;
}

void usage_free(struct usage *u) {
  for (size_t i = 0; i < u->all_sets.count; i++) {
    vec_free(&u->all_sets.items[i]->bins);
    vec_free(&u->all_sets.items[i]->latest);
  }
  vec_free(&u->all_sets);
  for (size_t i = 0; i < u->windows.capacity; i++) {
    if (u->windows.slots[i].hash != 0) {
      vec_free(&((struct window *)u->windows.slots[i].value)->by_event);
    }
  }
  if (u->default_window) {
    vec_free(&u->default_window->by_event);
  }
  corrections_free(&u->corrections);
  vec_free(&u->changes);
  vec_free(&u->all_sights);
  vec_free(&u->note_list);
  map_free(&u->windows);
  map_free(&u->sets);
  map_free(&u->notes);
  map_free(&u->sights);
  map_free(&u->series_names);
  buf_free(&u->key);
  arena_free(u->arena);
  free(u->rows);
  free(u);
}

void usage_without_evidence(struct usage *u) {
  u->no_evidence = true;
}

void usage_until(struct usage *u, instant until) {
  u->until = until;
}

void usage_window(struct usage *u, slice customer, struct period period, const instant *cuts, size_t cut_count) {
  struct window *w = arena_alloc(u->arena, sizeof *w);
  instant *own = arena_array(u->arena, cut_count, sizeof *own);
  if (cut_count > 0) {
    memcpy(own, cuts, cut_count * sizeof *own);
  }
  *w = (struct window){.customer = arena_copy(u->arena, customer),
                       .period = period,
                       .cuts = own,
                       .cut_count = cut_count,
                       .wants_evidence = customer.len > 0 && !u->no_evidence};
  if (customer.len == 0) {
    u->default_window = w;
  } else {
    *map_put(&u->windows, w->customer) = w;
  }
}

#define HOUR_NS (INT64_C(3600) * NS_PER_S)

void usage_whole_hours(struct usage *u) {
  const struct period always = {{0}, {(INSTANT_MAX.ns / HOUR_NS + 1) * HOUR_NS}};
  u->whole_hours = u->no_evidence = true;
  usage_window(u, (slice){0}, always, NULL, 0);
}

void usage_only(struct usage *u, slice customer, struct period period) {
  vec_free(&u->default_window->by_event);
  u->default_window = NULL;
  usage_window(u, customer, period, NULL, 0);
}

/* ---- what no meter or no customer takes ---- */

void usage_note(struct usage *u, slice what, uint64_t events) {
  size_t place = (size_t)map_get(&u->notes, what);
  if (place == 0) {
    slice text = arena_copy(u->arena, what);
    vec_push(&u->note_list, (struct usage_note){.what = text});
    place = u->note_list.count;
    *map_put(&u->notes, text) = (void *)place;
  }
  u->note_list.items[place - 1].events += events;
}

static void note(struct usage *u, const char *what, slice name, const char *why) {
  u->key.len = 0;
  buf_addf(&u->key, "%s \"%.*s\": %s", what, name.len > 100 ? 100 : (int)name.len, name.ptr, why);
  usage_note(u, buf_slice(&u->key), 1);
}

const struct usage_note *usage_unmetered(const struct usage *u, size_t *count) {
  *count = u->note_list.count;
  return u->note_list.items;
}

/* ---- evidence: a sum of digests, the same in any order ---- */

void evidence_add(struct window *w, struct digest digest) {
  unsigned __int128 carry = 0;
  for (size_t i = 0; i < 4; i++) {
    uint64_t word;
    memcpy(&word, digest.bytes + 8 * i, sizeof word);
    carry += (unsigned __int128)w->evidence[i] + word;
    w->evidence[i] = (uint64_t)carry;
    carry >>= 64;
  }
  w->evidence_events++;
}

static struct digest digest_event(const struct event *e) {
  struct buf bytes;
  buf_init(&bytes, EVENT_BYTES_MAX * 4);
  event_to_json(e, &bytes);
  struct digest d = digest_of(buf_slice(&bytes));
  buf_free(&bytes);
  return d;
}

struct window *usage_window_of(const struct usage *u, slice customer) {
  struct window *w = map_get(&u->windows, customer);
  return w ? w : u->default_window;
}

void usage_evidence(const struct usage *u, slice customer, uint64_t *events, char digest_hex_text[65]) {
  const struct window *w = map_get(&u->windows, customer);
  struct digest d = {{0}};
  *events = w ? w->evidence_events : 0;
  if (w) {
    memcpy(d.bytes, w->evidence, sizeof d.bytes);
  }
  digest_hex(d, digest_hex_text);
}

/* ---- adding ---- */

static void dimensions_of(const struct meter *meter, const struct event *e, slice dimensions[CATALOG_DIMENSIONS_MAX]) {
  for (size_t d = 0; d < meter->dimension_count; d++) {
    dimensions[d] = event_field_value(e, meter->dimensions[d]);
  }
}

/* Ties at one instant are decided by identity, so that the order of arrival never matters. */
static uint64_t tie_of(const struct event *e) {
  return hash64(e->id, hash64(e->source, 1));
}

void usage_add_sight(struct usage *u, struct usage_set *set, slice value, instant t) {
  int64_t hour = u->whole_hours ? t.ns / HOUR_NS : 0;
  u->key.len = 0;
  buf_add(&u->key, (slice){(const char *)&set, sizeof set});
  buf_add(&u->key, (slice){(const char *)&hour, sizeof hour});
  buf_add(&u->key, value);
  struct first_sight *sight = map_get(&u->sights, buf_slice(&u->key));
  if (sight == NULL) {
    slice key = arena_copy(u->arena, buf_slice(&u->key));
    sight = arena_alloc(u->arena, sizeof *sight);
    *sight = (struct first_sight){set, {key.ptr + key.len - value.len, value.len}, t};
    *map_put(&u->sights, key) = sight;
    vec_push(&u->all_sights, sight);
  }
  if (t.ns < sight->time.ns) {
    sight->time = t;
  }
}

/* Is this the latest of its bin so far? */
static bool take_latest(struct usage_latest *latest, bool first, const struct event *e) {
  uint64_t tie = tie_of(e);
  if (!first && (e->time.ns < latest->time.ns || (e->time.ns == latest->time.ns && tie <= latest->tie))) {
    return false;
  }
  *latest = (struct usage_latest){e->time, tie};
  return true;
}

static bool add_value(struct usage_set *set, struct usage_bin *bin, const struct event *e, struct error *err) {
  const struct meter *meter = set->meter;
  quantity value = QUANTITY_ONE;
  bool first = bin->events == 0;
  if (meter->aggregation != AGG_COUNT && !meter_value(meter, e, &value, err)) {
    return false;
  }
  bin->events++;
  if (meter->aggregation == AGG_LATEST && !take_latest(&set->latest.items[bin - set->bins.items], first, e)) {
    return true;
  }
  return usage_combine(meter->aggregation, &bin->value, value, first, err);
}

static slice intern(struct usage *u, slice name) {
  const char *kept = map_get(&u->series_names, name);
  if (kept == NULL) {
    slice copy = arena_copy(u->arena, name);
    kept = copy.ptr;
    *map_put(&u->series_names, copy) = (void *)(uintptr_t)kept;
  }
  return (slice){kept, name.len};
}

void usage_add_change(struct usage *u, const struct level_change *change, slice customer, const slice *dimensions) {
  struct level_change kept = *change;
  const struct usage_set *set = usage_set_of(u, change->meter, customer, dimensions, change->window);
  kept.dimensions = set->dimensions;
  kept.customer = set->customer;
  kept.series =
      intern(u, change->meter->series_field.len ? change->series
                                                : (slice){(const char *)&set->dimensions, sizeof set->dimensions});
  vec_push(&u->changes, kept);
}

static bool add_level(struct usage *u, const struct meter *meter, struct window *w, const struct event *e,
                      uint64_t number, struct error *err) {
  struct level_change change = {.meter = meter, .time = e->time, .tie = tie_of(e), .number = number, .window = w};
  slice dimensions[CATALOG_DIMENSIONS_MAX];
  /* What is kept is kept page by page: an earlier level has its own page, and may be there already. */
  if (e->time.ns >= w->period.to.ns || (u->whole_hours && e->time.ns < w->period.from.ns)) {
    return true;
  }
  if (!meter_value(meter, e, &change.level, err)) {
    return false;
  }
  dimensions_of(meter, e, dimensions);
  change.series = event_field_value(e, meter->series_field);
  if (w->wants_evidence && !window_holds(w, e->time)) {
    change.digest = digest_event(e);
  }
  usage_add_change(u, &change, e->subject, dimensions);
  return true;
}

bool usage_add_to(struct usage *u, const struct meter *meter, struct window *w, const struct event *e, uint64_t number,
                  struct error *err) {
  slice dimensions[CATALOG_DIMENSIONS_MAX];
  if (!meter_filter_passes(meter, e)) {
    return true;
  }
  if (meter->aggregation == AGG_INTEGRAL) {
    return add_level(u, meter, w, e, number, err);
  }
  if (!window_holds(w, e->time) || meter_value_left_out(meter, e)) {
    return true;
  }
  dimensions_of(meter, e, dimensions);
  struct usage_set *set = usage_set_of(u, meter, e->subject, dimensions, w);
  struct usage_bin *bin = usage_bin_of(set, e->time);
  if (meter->aggregation != AGG_UNIQUE) {
    return add_value(set, bin, e, err);
  }
  bin->events++;
  usage_add_sight(u, set, event_field_value(e, meter->value_field), e->time);
  return true;
}

void usage_add_evidence(struct window *w, const struct event *e) {
  evidence_add(w, digest_event(e));
}

bool usage_add(struct usage *u, const struct event *e, struct error *err) {
  must(!u->finished);
  struct window *w = usage_window_of(u, e->subject);
  if (w == NULL) {
    if (catalog_customer(u->catalog, e->subject) == NULL) {
      note(u, "customer", e->subject, "not in the catalog");
    }
    return true;
  }
  const struct meter *meters[METERS_OF_TYPE_MAX];
  size_t count = catalog_meters_of_type(u->catalog, e->type, meters, METERS_OF_TYPE_MAX);
  if (count == 0) {
    note(u, "type", e->type, "no meter counts it");
  }
  if (w->wants_evidence && window_holds(w, e->time)) {
    usage_add_evidence(w, e);
  }
  for (size_t i = 0; i < count && i < METERS_OF_TYPE_MAX; i++) {
    if (!usage_add_to(u, meters[i], w, e, 0, err)) {
      return error_at(err, "source \"" SLICE_FMT "\", id \"" SLICE_FMT "\"", SLICE_ARG(e->source), SLICE_ARG(e->id));
    }
  }
  return true;
}
