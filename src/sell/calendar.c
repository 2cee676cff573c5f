/* The capacity calendar: entries by id, and beside them what they and the capacity add up to over time. */
#include "sell/calendar.h"
#include "base/hash.h"
#include "sell/levels.h"
#include <stdlib.h>

/* Ids are spread over many maps, so that the one that has to be widened is never large. */
#define ID_MAPS 64
#define ID_SEED UINT64_C(0x63616c656e646172)

struct held {
  struct calendar_entry entry; /* its id is the calendar's own copy */
  uint64_t number;             /* in the order of being put */
};
struct step {
  instant from;
  int64_t units_e9;
};
struct calendar {
  VEC(struct held) entries; /* in no order */
  struct map ids[ID_MAPS];  /* place in `entries`, plus one */
  VEC(struct step) steps;   /* in order of time */
  struct levels levels;
  uint64_t put;
};

struct calendar *calendar_new(void) {
  return mem_alloc(sizeof(struct calendar));
}

void calendar_free(struct calendar *calendar) {
  if (calendar == NULL) {
    return;
  }
  for (size_t i = 0; i < calendar->entries.count; i++) {
    free((char *)calendar->entries.items[i].entry.id.ptr);
  }
  vec_free(&calendar->entries);
  for (size_t i = 0; i < ID_MAPS; i++) {
    map_free(&calendar->ids[i]);
  }
  vec_free(&calendar->steps);
  levels_free(&calendar->levels);
  free(calendar);
}

/* ---- capacity ---- */

/* How many steps are at or before `t`. */
static size_t steps_until(const struct calendar *calendar, instant t) {
  size_t low = 0, high = calendar->steps.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (calendar->steps.items[middle].from.ns <= t.ns) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

static void change_capacity(struct calendar *calendar, instant at, int64_t change_e9) {
  levels_change(&calendar->levels, at, (struct level){.capacity_e9 = change_e9});
}

void calendar_set_capacity(struct calendar *calendar, instant from, quantity units) {
  must(from.ns >= 0 && from.ns < INSTANT_MAX.ns);
  must(units.e9 >= 0 && units.e9 <= CALENDAR_UNITS_MAX * QUANTITY_E9);
  size_t next = steps_until(calendar, from);
  int64_t units_e9 = (int64_t)units.e9, before_e9 = next > 0 ? calendar->steps.items[next - 1].units_e9 : 0;
  change_capacity(calendar, from, units_e9 - before_e9);
  if (next < calendar->steps.count) {
    change_capacity(calendar, calendar->steps.items[next].from, before_e9 - units_e9);
  }
  if (next > 0 && calendar->steps.items[next - 1].from.ns == from.ns) {
    calendar->steps.items[next - 1].units_e9 = units_e9;
    return;
  }
  vec_push(&calendar->steps, (struct step){0});
  struct step *step = &calendar->steps.items[next];
  memmove(step + 1, step, (calendar->steps.count - 1 - next) * sizeof *step);
  *step = (struct step){from, units_e9};
}

/* ---- entries ---- */

static size_t map_of(slice id) {
  return hash64(id, ID_SEED) % ID_MAPS;
}

/* The map keeps the id's bytes, which are the calendar's own. */
static void keep_place(struct calendar *calendar, slice id, size_t place) {
  *map_put(&calendar->ids[map_of(id)], id) = (void *)(place + 1);
}

static struct held *find(const struct calendar *calendar, slice id) {
  size_t place = (size_t)map_get(&calendar->ids[map_of(id)], id);
  return place > 0 ? &calendar->entries.items[place - 1] : NULL;
}

const struct calendar_entry *calendar_find(const struct calendar *calendar, slice id) {
  const struct held *held = find(calendar, id);
  return held ? &held->entry : NULL;
}

size_t calendar_count(const struct calendar *calendar) {
  return calendar->entries.count;
}

/* From `at` on an entry holds its units (sign 1), or no longer (-1). */
static void change_held(struct calendar *calendar, const struct calendar_entry *entry, instant at, int sign) {
  int64_t change_e9 = sign * (int64_t)entry->units.e9;
  bool firm = entry->layer == CALENDAR_FIRM;
  levels_change(&calendar->levels, at,
                (struct level){.firm_e9 = firm ? change_e9 : 0, .spot_e9 = firm ? 0 : change_e9});
}

static void add_entry(struct calendar *calendar, const struct calendar_entry *entry) {
  struct held held = {*entry, calendar->put++};
  /* Room for the longest: small pieces that are given back are gathered by malloc at some later call, a hundred
   * thousand of them in one that takes 10 ms. */
  char *id = mem_alloc(CALENDAR_ID_BYTES_MAX);
  memcpy(id, entry->id.ptr, entry->id.len);
  held.entry.id.ptr = id;
  vec_push(&calendar->entries, held);
  keep_place(calendar, held.entry.id, calendar->entries.count - 1);
  change_held(calendar, entry, entry->from, 1);
  change_held(calendar, entry, entry->to, -1);
}

/* The last one takes its place. */
static void remove_entry(struct calendar *calendar, struct held *held) {
  size_t place = (size_t)(held - calendar->entries.items);
  change_held(calendar, &held->entry, held->entry.from, -1);
  change_held(calendar, &held->entry, held->entry.to, 1);
  must(map_remove(&calendar->ids[map_of(held->entry.id)], held->entry.id) == (void *)(place + 1));
  free((char *)held->entry.id.ptr);
  const struct held *last = &calendar->entries.items[--calendar->entries.count];
  if (held != last) {
    *held = *last;
    keep_place(calendar, held->entry.id, place);
  }
}

static enum level_view view_of(enum calendar_layer layer, bool may_preempt) {
  return layer == CALENDAR_FIRM && may_preempt ? LEFT_BY_FIRM : LEFT_BY_ALL;
}

static bool check_entry(const struct calendar *calendar, const struct calendar_entry *entry, struct error *err) {
  if (entry->id.len == 0 || entry->id.len > CALENDAR_ID_BYTES_MAX) {
    return error_set(err, ERR_INVALID, "the id has %zu bytes: give it 1 to %d", entry->id.len, CALENDAR_ID_BYTES_MAX);
  }
  if (entry->from.ns < 0 || entry->from.ns >= entry->to.ns || entry->to.ns > INSTANT_MAX.ns) {
    return error_set(err, ERR_INVALID, SLICE_FMT ": the end must come after the beginning, both from 1970 to 2199",
                     SLICE_ARG(entry->id));
  }
  if (entry->units.e9 <= 0 || entry->units.e9 > CALENDAR_UNITS_MAX * QUANTITY_E9) {
    char units[DECIMAL_TEXT_MAX];
    return error_set(err, ERR_INVALID, SLICE_FMT ": %s units: ask for more than 0 and at most %lld",
                     SLICE_ARG(entry->id), quantity_text(entry->units, units), (long long)CALENDAR_UNITS_MAX);
  }
  if (find(calendar, entry->id) != NULL) {
    return error_set(err, ERR_CONFLICT, SLICE_FMT " is in the calendar already", SLICE_ARG(entry->id));
  }
  if (calendar->entries.count >= CALENDAR_ENTRIES_MAX) {
    return error_set(err, ERR_LIMIT, SLICE_FMT ": the calendar holds %d entries, as many as it can: forget old ones",
                     SLICE_ARG(entry->id), CALENDAR_ENTRIES_MAX);
  }
  return true;
}

/* "4 units from ... to ...: 2.5 are free", for what did not fit. */
static bool say_full(const struct calendar_entry *wanted, quantity free_units, const char *hint, struct error *err) {
  char texts[2][DECIMAL_TEXT_MAX], from[TIME_TEXT_MAX], to[TIME_TEXT_MAX + 4] = "";
  if (wanted->to.ns < INSTANT_MAX.ns) {
    memcpy(to, " to ", 4);
    time_format(wanted->to, to + 4);
  }
  return error_set(err, ERR_LIMIT, SLICE_FMT ": %s units from %s%s%s: %s are free; %s", SLICE_ARG(wanted->id),
                   quantity_text(wanted->units, texts[0]), time_format(wanted->from, from), to, *to ? "" : " on",
                   quantity_text(free_units, texts[1]), hint);
}

static bool refuse_put(const struct calendar *calendar, const struct calendar_entry *entry, bool may_preempt,
                       struct error *err) {
  int64_t length_ns = entry->to.ns < INSTANT_MAX.ns ? entry->to.ns - entry->from.ns : INT64_MAX;
  char hint[TIME_TEXT_MAX + 32] = "there is no later time with as many", when[TIME_TEXT_MAX];
  instant start;
  if (calendar_earliest(calendar, entry->units, length_ns, entry->from, INSTANT_MAX, entry->layer, may_preempt,
                        &start)) {
    snprintf(hint, sizeof hint, "as many would be from %s on", time_format(start, when));
  }
  return say_full(entry, calendar_free_units(calendar, entry->from, entry->to, entry->layer, may_preempt), hint, err);
}

/* Does it fit over [from, to) beside all that is there? SPOT that is in the way is counted. */
static bool fits(const struct calendar *calendar, const struct calendar_entry *wanted, bool may_preempt,
                 quantity *preempted) {
  int128 units_e9 = wanted->units.e9;
  if (levels_least(&calendar->levels, wanted->from, wanted->to, view_of(wanted->layer, may_preempt)) < units_e9) {
    return false;
  }
  if (preempted) {
    int128 in_the_way_e9 = units_e9 - levels_least(&calendar->levels, wanted->from, wanted->to, LEFT_BY_ALL);
    preempted->e9 = in_the_way_e9 > 0 ? in_the_way_e9 : 0;
  }
  return true;
}

bool calendar_put(struct calendar *calendar, const struct calendar_entry *entry, bool may_preempt, quantity *preempted,
                  struct error *err) {
  if (!check_entry(calendar, entry, err)) {
    return false;
  }
  if (!fits(calendar, entry, may_preempt, preempted)) {
    return refuse_put(calendar, entry, may_preempt, err);
  }
  add_entry(calendar, entry);
  return true;
}

static void move_end(struct calendar *calendar, struct held *held, instant to) {
  change_held(calendar, &held->entry, held->entry.to, 1);
  held->entry.to = to;
  change_held(calendar, &held->entry, to, -1);
}

bool calendar_end(struct calendar *calendar, slice id, instant at) {
  struct held *held = find(calendar, id);
  if (held == NULL) {
    return false;
  }
  if (at.ns <= held->entry.from.ns) {
    remove_entry(calendar, held);
  } else if (at.ns < held->entry.to.ns) {
    move_end(calendar, held, at);
  }
  return true;
}

bool calendar_extend(struct calendar *calendar, slice id, instant to, bool may_preempt, quantity *preempted,
                     struct error *err) {
  struct held *held = find(calendar, id);
  if (held == NULL) {
    return error_set(err, ERR_NOT_FOUND, SLICE_FMT " is not in the calendar", SLICE_ARG(id));
  }
  struct calendar_entry added = held->entry;
  added.from = held->entry.to;
  added.to = to;
  char when[TIME_TEXT_MAX];
  if (to.ns < added.from.ns || to.ns > INSTANT_MAX.ns) {
    return error_set(err, ERR_INVALID, SLICE_FMT ": it lasts to %s: give a later end, up to 2199", SLICE_ARG(id),
                     time_format(added.from, when));
  }
  if (to.ns == added.from.ns) {
    if (preempted) {
      *preempted = QUANTITY_ZERO;
    }
    return true;
  }
  if (!fits(calendar, &added, may_preempt, preempted)) {
    char hint[TIME_TEXT_MAX + 32];
    instant last =
        levels_until(&calendar->levels, (int64_t)added.units.e9, added.from, to, view_of(added.layer, may_preempt));
    snprintf(hint, sizeof hint, "it could last to %s", time_format(last, when));
    return say_full(&added, calendar_free_units(calendar, added.from, to, added.layer, may_preempt), hint, err);
  }
  move_end(calendar, held, to);
  return true;
}

/* ---- questions ---- */

quantity calendar_free_units(const struct calendar *calendar, instant from, instant to, enum calendar_layer layer,
                             bool may_preempt) {
  if (from.ns >= to.ns) {
    return QUANTITY_ZERO;
  }
  int64_t least_e9 = levels_least(&calendar->levels, from, to, view_of(layer, may_preempt));
  return (quantity){least_e9 > 0 ? least_e9 : 0};
}

bool calendar_earliest(const struct calendar *calendar, quantity units, int64_t length_ns, instant after, instant until,
                       enum calendar_layer layer, bool may_preempt, instant *start) {
  struct period within = {after, time_earlier(until, INSTANT_MAX)};
  if (units.e9 <= 0 || units.e9 > CALENDAR_UNITS_MAX * QUANTITY_E9 || length_ns <= 0 ||
      within.from.ns >= within.to.ns) {
    return false;
  }
  return levels_earliest(&calendar->levels, (int64_t)units.e9, length_ns, within, view_of(layer, may_preempt), start);
}

quantity calendar_short(const struct calendar *calendar, instant t) {
  int64_t left_e9 = level_left(levels_at(&calendar->levels, t), LEFT_BY_ALL);
  return (quantity){left_e9 < 0 ? -left_e9 : 0};
}

static void add_stretch(void *context, struct period stretch, struct level level) {
  struct calendar_sums *sums = context;
  int128 length_ns = stretch.to.ns - stretch.from.ns;
  sums->capacity_e18s += level.capacity_e9 * length_ns;
  sums->firm_e18s += level.firm_e9 * length_ns;
  sums->spot_e18s += level.spot_e9 * length_ns;
}

void calendar_sums(const struct calendar *calendar, instant from, instant to, struct calendar_sums *out) {
  *out = (struct calendar_sums){0};
  levels_each(&calendar->levels, (struct period){from, to}, add_stretch, out);
}

static int by_beginning(const void *a, const void *b) {
  const struct held *x = *(const struct held *const *)a, *y = *(const struct held *const *)b;
  int order = (x->entry.from.ns > y->entry.from.ns) - (x->entry.from.ns < y->entry.from.ns);
  return order != 0 ? order : (x->number > y->number) - (x->number < y->number);
}

void calendar_list(const struct calendar *calendar, instant from, instant to, calendar_each each, void *context) {
  VEC(const struct held *) found = {0};
  for (size_t i = 0; from.ns < to.ns && i < calendar->entries.count; i++) {
    const struct held *held = &calendar->entries.items[i];
    if (held->entry.from.ns < to.ns && held->entry.to.ns > from.ns) {
      vec_push(&found, held);
    }
  }
  if (found.count > 0) {
    qsort(found.items, found.count, sizeof *found.items, by_beginning);
  }
  for (size_t i = 0; i < found.count && each(context, &found.items[i]->entry); i++) {
  }
  vec_free(&found);
}

/* What is there at `before` counts from the first step on. */
static void forget_steps(struct calendar *calendar, instant before) {
  size_t count = steps_until(calendar, before);
  if (count < 2) {
    return;
  }
  struct step *steps = calendar->steps.items;
  for (size_t i = 1; i < count; i++) {
    change_capacity(calendar, steps[i].from, steps[i - 1].units_e9 - steps[i].units_e9);
    change_capacity(calendar, steps[0].from, steps[i].units_e9 - steps[i - 1].units_e9);
  }
  steps[0].units_e9 = steps[count - 1].units_e9;
  calendar->steps.count -= count - 1;
  memmove(steps + 1, steps + count, (calendar->steps.count - 1) * sizeof *steps);
}

void calendar_forget(struct calendar *calendar, instant before) {
  for (size_t i = calendar->entries.count; i-- > 0;) {
    if (calendar->entries.items[i].entry.to.ns <= before.ns) {
      remove_entry(calendar, &calendar->entries.items[i]);
    }
  }
  forget_steps(calendar, before);
}
