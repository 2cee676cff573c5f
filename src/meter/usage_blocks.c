/* Usage straight from the columns of journal blocks: what most events need is found by small numbers, not by text. */
#include "meter/block.h"
#include "meter/private.h"
#include <stdlib.h>
#include <string.h>

#define SET_SLOTS 4096 /* power of two */

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
/* The set of a meter, a subject and dimensions, as numbers of the words of one block. */
struct set_slot {
  uint64_t block;
  const struct meter *meter;
  uint32_t subject;
  uint64_t dimensions[CATALOG_DIMENSIONS_MAX];
  struct usage_set *set;
};
struct columns {
  struct usage *usage;
  struct arena *arena; /* of the block */
  const struct block_span *span;
  const struct block *block;
  struct form_plan *plans;
  struct window **windows; /* by word; filled as subjects come up */
  bool *known_windows;
  slice *ids; /* NULL until an event is needed whole */
  uint64_t block_number;
  struct set_slot *sets;
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
    c->plans[f].count = count;
    for (size_t m = 0; m < count; m++) {
      c->plans[f].wants[m] = plan_want(&c->block->forms[f], meters[m]);
    }
  }
}

static struct window *window_of(struct columns *c, uint32_t subject) {
  if (!c->known_windows[subject]) {
    c->known_windows[subject] = true;
    c->windows[subject] = usage_window_of(c->usage, c->block->words[subject]);
  }
  return c->windows[subject];
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

static bool slot_holds(const struct columns *c, const struct set_slot *slot, const struct want *w, uint32_t subject,
                       const uint64_t *codes) {
  return slot->block == c->block_number && slot->meter == w->meter && slot->subject == subject &&
         memcmp(slot->dimensions, codes, w->meter->dimension_count * sizeof *codes) == 0;
}

static struct usage_set *set_of(struct columns *c, const struct want *w, struct window *window, uint32_t i,
                                uint32_t place) {
  uint64_t codes[CATALOG_DIMENSIONS_MAX];
  uint32_t subject = c->block->subject[i];
  uint64_t hash = subject * UINT64_C(0x9e3779b97f4a7c15) + w->meter->index;
  for (size_t d = 0; d < w->meter->dimension_count; d++) {
    codes[d] = w->dimensions[d] ? w->dimensions[d][place] : 0;
    hash = (hash ^ codes[d]) * UINT64_C(0x9e3779b97f4a7c15);
  }
  struct set_slot *slot = &c->sets[hash >> 40 & (SET_SLOTS - 1)];
  if (!slot_holds(c, slot, w, subject, codes)) {
    slice dimensions[CATALOG_DIMENSIONS_MAX];
    for (size_t d = 0; d < w->meter->dimension_count; d++) {
      dimensions[d] = word_of(c->block, w->dimensions[d], place);
    }
    *slot = (struct set_slot){.block = c->block_number, .meter = w->meter, .subject = subject};
    memcpy(slot->dimensions, codes, w->meter->dimension_count * sizeof *codes);
    slot->set = usage_set_of(c->usage, w->meter, c->block->words[subject], dimensions, window);
  }
  return slot->set;
}

static bool add_columns(struct columns *c, const struct want *w, struct window *window, uint32_t i, struct error *err) {
  uint32_t place = c->block->place[i];
  quantity value = QUANTITY_ONE;
  if (!passes(c, w, place)) {
    return true;
  }
  if (w->value && !block_quantity(c->block, w->value[place], &value, err)) {
    return false;
  }
  struct usage_bin *bin = usage_bin_of(set_of(c, w, window, i, place), (instant){c->block->times_ns[i]});
  bool first = bin->events++ == 0;
  return usage_combine(w->meter->aggregation, &bin->value, value, first, err);
}

static bool add_wanted(struct columns *c, const struct form_plan *plan, struct window *window, uint32_t i,
                       struct error *err) {
  struct event whole = {0};
  for (size_t m = 0; m < plan->count; m++) {
    const struct want *w = &plan->wants[m];
    if (w->by_columns) {
      if (window_holds(window, (instant){c->block->times_ns[i]}) && !add_columns(c, w, window, i, err)) {
        return false;
      }
      continue;
    }
    if (whole.type.ptr == NULL && !whole_event(c, i, &whole, err)) {
      return false;
    }
    if (!usage_add_to(c->usage, w->meter, window, &whole, err)) {
      return false;
    }
  }
  return true;
}

static bool add_event(struct columns *c, uint32_t i, struct error *err) {
  const struct form_plan *plan = &c->plans[c->block->form[i]];
  struct window *window = window_of(c, c->block->subject[i]);
  bool evidence = window && window->wants_evidence && window_holds(window, (instant){c->block->times_ns[i]});
  if (window && plan->count > 0 && !evidence) {
    return add_wanted(c, plan, window, i, err);
  }
  struct event whole;
  return whole_event(c, i, &whole, err) && usage_add(c->usage, &whole, err);
}

static bool add_block(void *context, struct arena *arena, const struct block_span *span, struct error *err) {
  struct columns *c = context;
  c->arena = arena;
  c->span = span;
  c->block = span->block;
  c->block_number++;
  c->ids = NULL;
  c->windows = arena_array(arena, c->block->word_count, sizeof(struct window *));
  c->known_windows = arena_array(arena, c->block->word_count, sizeof *c->known_windows);
  plan_forms(c);
  for (uint32_t i = span->from; i < span->to; i++) {
    if (!add_event(c, i, err)) {
      return error_at(err, "event %llu", (unsigned long long)(span->first + i));
    }
  }
  return true;
}

bool usage_scan(struct usage *u, struct db *db, const struct journal_range *range, struct error *err) {
  struct columns c = {.usage = u, .sets = mem_alloc(SET_SLOTS * sizeof *c.sets)};
  bool ok = journal_scan_blocks(db, range, add_block, &c, err);
  free(c.sets);
  return ok;
}
