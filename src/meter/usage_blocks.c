/* Usage straight from the columns of journal blocks: what most events need is found by small numbers, not by text. */
#include "meter/block.h"
#include "meter/private.h"
#include <stdlib.h>
#include <string.h>

#define SET_SLOTS_MIN 1024
#define QUEUE_MAX 64
#define READ_AHEAD_FROM_EVENTS (UINT64_C(16) * JOURNAL_BLOCK_EVENTS)

/* One meter that wants the events of a form. */
struct want {
  const struct meter *meter;
  bool by_columns; /* else event by event */
  const uint64_t *value;
  const uint64_t *dimensions[CATALOG_DIMENSIONS_MAX]; /* codes; NULL when the form lacks the field */
  const uint64_t *filters[CATALOG_DIMENSIONS_MAX];
};
struct form_plan {
  struct want *wants;
  size_t count;
};
/* The set of a meter, a subject and dimensions, as numbers of words that hold through the whole scan. */
struct set_key {
  const struct meter *meter;
  uint32_t subject;
  uint32_t dimensions[CATALOG_DIMENSIONS_MAX];
};
struct set_slot {
  uint64_t hash; /* 0: empty */
  struct set_key *key;
  struct usage_set *set;
};
struct subject {
  struct window *window;
  bool ignored; /* a customer nobody asked for */
};
struct columns {
  struct usage *usage;
  struct arena *kept;  /* for the scan */
  struct arena *arena; /* of the block */
  const struct block *block;
  uint64_t first; /* number of the block's first event */
  struct form_plan *plans;
  slice *ids;                   /* NULL until an event is needed whole */
  struct map words;             /* to one past the number in the scan */
  VEC(struct subject) subjects; /* by that number */
  uint32_t *numbers;            /* of this block's words, 0 until asked for */
  struct set_slot *sets;
  size_t set_count, set_capacity;
  struct addition {
    const struct want *want;
    struct window *window;
    uint32_t event;
    struct set_key key;
    uint64_t hash;
    struct usage_set *set;
  } queue[QUEUE_MAX];
  size_t queued;
};

static bool find_codes(const struct block_form *form, slice name, bool want_number, const uint64_t **codes) {
  for (size_t f = 0; f < form->field_count; f++) {
    if (slice_eq(form->fields[f].name, name)) {
      *codes = form->codes[f];
      return form->fields[f].number == want_number;
    }
  }
  *codes = NULL;
  return !want_number;
}

static bool form_has(const struct block_form *form, slice name) {
  for (size_t f = 0; f < form->field_count; f++) {
    if (slice_eq(form->fields[f].name, name)) {
      return true;
    }
  }
  return false;
}

static bool additive(enum aggregation a) {
  return a == AGG_SUM || a == AGG_COUNT || a == AGG_MAX || a == AGG_MIN;
}

static struct want plan_want(const struct block_form *form, const struct meter *meter) {
  struct want w = {.meter = meter, .by_columns = additive(meter->aggregation)};
  w.by_columns &= meter->filter_count <= CATALOG_DIMENSIONS_MAX;
  if (meter->aggregation != AGG_COUNT) {
    w.by_columns &= find_codes(form, meter->value_field, true, &w.value);
  }
  for (size_t d = 0; d < meter->dimension_count && w.by_columns; d++) {
    w.by_columns = find_codes(form, meter->dimensions[d], false, &w.dimensions[d]);
  }
  for (size_t f = 0; f < meter->filter_count && w.by_columns; f++) {
    w.by_columns = find_codes(form, meter->filters[f].field, false, &w.filters[f]);
  }
  return w;
}

static void plan_forms(struct columns *c) {
  c->plans = arena_array(c->arena, c->block->form_count, sizeof *c->plans);
  for (uint32_t f = 0; f < c->block->form_count; f++) {
    const struct meter *meters[METERS_OF_TYPE_MAX];
    size_t count = catalog_meters_of_type(c->usage->catalog, c->block->forms[f].type, meters, METERS_OF_TYPE_MAX);
    count = count < METERS_OF_TYPE_MAX ? count : METERS_OF_TYPE_MAX;
    c->plans[f].wants = arena_array(c->arena, count, sizeof *c->plans[f].wants);
    for (size_t m = 0; m < count; m++) {
      if (!meters[m]->optional || form_has(&c->block->forms[f], meters[m]->value_field)) {
        c->plans[f].wants[c->plans[f].count++] = plan_want(&c->block->forms[f], meters[m]);
      }
    }
  }
}

/* One past the number that a word of this block has in the whole scan. */
static uint32_t number_of(struct columns *c, uint32_t word) {
  if (c->numbers[word] == 0) {
    slice text = c->block->words[word];
    void *known = map_get(&c->words, text);
    if (known == NULL) {
      struct subject subject = {.window = usage_window_of(c->usage, text)};
      subject.ignored = subject.window == NULL && catalog_customer(c->usage->catalog, text) != NULL;
      vec_push(&c->subjects, subject);
      known = (void *)(uintptr_t)c->subjects.count;
      *map_put(&c->words, arena_copy(c->kept, text)) = known;
    }
    c->numbers[word] = (uint32_t)(uintptr_t)known;
  }
  return c->numbers[word];
}

/* ---- whole events ---- */

static bool whole_event(struct columns *c, uint32_t i, struct event *out, struct error *err) {
  if (c->ids == NULL) {
    c->ids = arena_array(c->arena, c->block->count, sizeof *c->ids);
    if (!block_ids(c->arena, c->block, c->ids, err)) {
      return false;
    }
  }
  block_event(c->arena, c->block, i, out);
  out->id = c->ids[i];
  return true;
}

/* ---- by columns ---- */

static slice word_of(const struct block *b, const uint64_t *codes, uint32_t place) {
  return codes ? b->words[codes[place]] : (slice){0};
}

static bool passes(const struct columns *c, const struct want *w, uint32_t place) {
  for (size_t f = 0; f < w->meter->filter_count; f++) {
    const struct filter *filter = &w->meter->filters[f];
    slice value = word_of(c->block, w->filters[f], place);
    bool any = false;
    for (size_t v = 0; v < filter->count && !any; v++) {
      any = slice_eq(value, filter->values[v]);
    }
    if (!any) {
      return false;
    }
  }
  return true;
}

static bool same_key(const struct set_key *a, const struct set_key *b) {
  bool same = a->meter == b->meter && a->subject == b->subject;
  for (size_t d = 0; same && d < a->meter->dimension_count; d++) {
    same = a->dimensions[d] == b->dimensions[d];
  }
  return same;
}

static struct set_slot *slot_of(const struct columns *c, uint64_t hash, const struct set_key *key) {
  for (size_t at = hash & (c->set_capacity - 1);; at = (at + 1) & (c->set_capacity - 1)) {
    struct set_slot *slot = &c->sets[at];
    if (slot->hash == 0 || (slot->hash == hash && same_key(slot->key, key))) {
      return slot;
    }
  }
}

static void widen_sets(struct columns *c) {
  struct set_slot *old = c->sets;
  size_t old_capacity = c->set_capacity;
  c->set_capacity = old_capacity ? old_capacity * 2 : SET_SLOTS_MIN;
  c->sets = mem_alloc(c->set_capacity * sizeof *c->sets);
  for (size_t i = 0; i < old_capacity; i++) {
    if (old[i].hash != 0) {
      *slot_of(c, old[i].hash, old[i].key) = old[i];
    }
  }
  free(old);
}

static struct usage_set *new_set(struct columns *c, const struct want *w, struct window *window, uint32_t i) {
  slice dimensions[CATALOG_DIMENSIONS_MAX];
  for (size_t d = 0; d < w->meter->dimension_count; d++) {
    dimensions[d] = word_of(c->block, w->dimensions[d], c->block->place[i]);
  }
  return usage_set_of(c->usage, w->meter, c->block->words[c->block->subject[i]], dimensions, window);
}

static struct usage_set *set_of(struct columns *c, const struct addition *a) {
  if (c->set_count * 2 >= c->set_capacity) {
    widen_sets(c);
  }
  struct set_slot *slot = slot_of(c, a->hash, &a->key);
  if (slot->hash == 0) {
    *slot = (struct set_slot){a->hash, arena_alloc(c->kept, sizeof a->key), new_set(c, a->want, a->window, a->event)};
    *slot->key = a->key;
    c->set_count++;
  }
  return slot->set;
}

static bool add_value(const struct columns *c, const struct addition *a, struct error *err) {
  quantity value = QUANTITY_ONE;
  const struct want *w = a->want;
  if (w->value && !block_quantity(c->block, w->value[c->block->place[a->event]], &value, err)) {
    return false;
  }
  const instant time = {c->block->times_ns[a->event]};
  struct usage_bin *bin = a->set->last < a->set->bins.count ? &a->set->bins.items[a->set->last] : NULL;
  if (bin == NULL || time.ns < bin->from.ns || time.ns >= bin->to.ns) {
    bin = usage_bin_of(a->set, time);
  }
  bool first = bin->events++ == 0;
  return w->meter->aggregation == AGG_SUM ? quantity_add(bin->value, value, &bin->value, err)
                                          : usage_combine(w->meter->aggregation, &bin->value, value, first, err);
}

/* Sets and bins lie all over memory. Many are asked for at each step before the first is used, so that the waits
 * overlap: this is worth a factor of two. */
static bool add_queued(struct columns *c, struct error *err) {
  for (size_t i = 0; i < c->queued && c->set_capacity > 0; i++) {
    const struct set_slot *slot = &c->sets[c->queue[i].hash & (c->set_capacity - 1)];
    __builtin_prefetch(slot->key);
    __builtin_prefetch(slot->set);
  }
  for (size_t i = 0; i < c->queued; i++) {
    struct addition *a = &c->queue[i];
    a->set = set_of(c, a);
    __builtin_prefetch(a->set->bins.items + a->set->last);
  }
  for (size_t i = 0; i < c->queued; i++) {
    if (!add_value(c, &c->queue[i], err)) {
      return false;
    }
  }
  c->queued = 0;
  return true;
}

static bool queue_addition(struct columns *c, const struct want *w, struct window *window, uint32_t i,
                           struct error *err) {
  const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
  uint32_t place = c->block->place[i];
  if (!passes(c, w, place)) {
    return true;
  }
  struct addition *a = &c->queue[c->queued++];
  a->want = w;
  a->window = window;
  a->event = i;
  a->key.meter = w->meter;
  a->key.subject = number_of(c, c->block->subject[i]);
  uint64_t hash = (a->key.subject + ((uint64_t)w->meter->index << 32)) * golden;
  for (size_t d = 0; d < w->meter->dimension_count; d++) {
    a->key.dimensions[d] = w->dimensions[d] ? number_of(c, (uint32_t)w->dimensions[d][place]) : 0;
    hash = (hash ^ hash >> 29 ^ a->key.dimensions[d]) * golden;
  }
  a->hash = (hash ^ hash >> 32) | UINT64_C(1) << 63;
  if (c->set_capacity > 0) {
    __builtin_prefetch(&c->sets[a->hash & (c->set_capacity - 1)]);
  }
  return c->queued < QUEUE_MAX || add_queued(c, err);
}

static bool hidden(const struct columns *c, const struct meter *meter, uint32_t i) {
  return usage_hides(c->usage, c->first + i, c->block->words[c->block->subject[i]], meter,
                     (instant){c->block->times_ns[i]});
}

static bool add_wanted(struct columns *c, const struct form_plan *plan, struct window *window, uint32_t i,
                       struct error *err) {
  const instant time = {c->block->times_ns[i]};
  const bool inside = window_holds(window, time);
  struct event whole = {0};
  bool proven = !(inside && window->wants_evidence);
  for (size_t m = 0; m < plan->count; m++) {
    const struct want *w = &plan->wants[m];
    if (hidden(c, w->meter, i) || (c->usage->only_by_event && w->meter->aggregation == AGG_INTEGRAL)) {
      continue;
    }
    if (whole.type.ptr == NULL && (!w->by_columns || !proven) && !whole_event(c, i, &whole, err)) {
      return false;
    }
    if (!proven) {
      usage_add_evidence(window, &whole);
      proven = true;
    }
    bool ok = w->by_columns ? !inside || queue_addition(c, w, window, i, err)
                            : usage_add_to(c->usage, w->meter, window, &whole, c->first + i, err);
    if (!ok) {
      return false;
    }
  }
  return true;
}

static bool asked_for(const struct usage *u, const struct window *w, instant t) {
  return !u->only_by_event ||
         (t.ns >= u->only_between.from.ns && t.ns < u->only_between.to.ns && window_asks_events(w, t));
}

static bool add_event(struct columns *c, uint32_t i, struct error *err) {
  const struct form_plan *plan = &c->plans[c->block->form[i]];
  uint32_t number = number_of(c, c->block->subject[i]);
  const struct subject *subject = &c->subjects.items[number - 1];
  struct window *window = subject->window;
  if (subject->ignored) {
    return true;
  }
  if (window && plan->count > 0) {
    return !asked_for(c->usage, window, (instant){c->block->times_ns[i]}) || add_wanted(c, plan, window, i, err);
  }
  if (c->usage->whole_hours || c->usage->only_by_event) {
    return true;
  }
  struct event whole;
  return whole_event(c, i, &whole, err) && usage_add(c->usage, &whole, err);
}

static bool add_block(void *context, struct arena **arena, const struct block_span *span, struct error *err) {
  struct columns *c = context;
  c->arena = *arena;
  c->block = span->block;
  c->first = span->first;
  c->ids = NULL;
  c->numbers = arena_array(*arena, c->block->word_count, sizeof *c->numbers);
  plan_forms(c);
  for (uint32_t i = span->from; i < span->to; i++) {
    if (!add_event(c, i, err)) {
      return error_at(err, "event %llu", (unsigned long long)(span->first + i));
    }
  }
  return add_queued(c, err);
}

static struct columns *columns_new(struct usage *u) {
  struct columns *c = mem_alloc(sizeof *c);
  c->usage = u;
  c->kept = arena_new();
  return c;
}

static void columns_free(struct columns *c) {
  free(c->sets);
  vec_free(&c->subjects);
  map_free(&c->words);
  arena_free(c->kept);
  free(c);
}

static bool scan_alone(struct usage *u, struct db *db, const struct journal_range *range, bool ahead,
                       struct error *err) {
  struct columns *c = columns_new(u);
  void *const context = c;
  bool ok = ahead ? journal_scan_ahead(db, range, add_block, &context, 1, err)
                  : journal_scan_blocks(db, range, add_block, c, err);
  columns_free(c);
  return ok;
}

static bool scan_with_twin(struct usage *u, struct db *db, const struct journal_range *range, struct error *err) {
  struct usage *twin = usage_twin(u);
  struct columns *mine = columns_new(u), *other = columns_new(twin);
  void *const contexts[] = {mine, other};
  bool ok = journal_scan_ahead(db, range, add_block, contexts, 2, err) && usage_absorb(u, twin, err);
  columns_free(mine);
  columns_free(other);
  usage_free(twin);
  return ok;
}

/* More threads are worth their start when there is much to read. */
bool usage_scan_blocks(struct usage *u, struct db *db, const struct journal_range *range, struct error *err) {
  uint64_t last = range->until;
  if (last == 0 && !journal_last(db, &last, err)) {
    return false;
  }
  bool much = last > range->after + READ_AHEAD_FROM_EVENTS;
  return much && u->no_evidence && !u->only_by_event ? scan_with_twin(u, db, range, err)
                                                     : scan_alone(u, db, range, much, err);
}

bool usage_scan_as_of(struct usage *u, struct db *db, const struct journal_range *range, uint64_t corrected,
                      struct error *err) {
  corrections_free(&u->corrections);
  return corrections_load(u->arena, db, u->catalog, 0, corrected, &u->corrections, err) &&
         usage_scan_blocks(u, db, range, err);
}
