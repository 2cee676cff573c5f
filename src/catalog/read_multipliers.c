/* Reads multipliers of prices: by dimension, and by hours of the local day and days of the week. */
#include "catalog/private.h"

#include <stdlib.h>

/* ---- hours ---- */

static bool digits(slice text, int *out) {
  *out = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') {
      return false;
    }
    *out = *out * 10 + (text.ptr[i] - '0');
  }
  return text.len == 2;
}

/* "08:30" as minutes of the day; "24:00" is its end. */
static bool clock_minutes(slice text, int *out) {
  int hour, minute;
  if (text.len != 5 || text.ptr[2] != ':' || !digits((slice){text.ptr, 2}, &hour) ||
      !digits((slice){text.ptr + 3, 2}, &minute)) {
    return false;
  }
  *out = hour * 60 + minute;
  return minute < 60 && *out <= 1440;
}

static void read_clock(struct loader *l, const struct yaml *node, struct hours *out) {
  *out = (struct hours){.from_minute = 0, .to_minute = 1440};
  if (!node || !scalar(l, node)) {
    return;
  }
  slice text = slice_trim(node->text);
  bool fine = text.len == 11 && text.ptr[5] == '-' && clock_minutes((slice){text.ptr, 5}, &out->from_minute) &&
              clock_minutes((slice){text.ptr + 6, 5}, &out->to_minute) && out->from_minute < 1440;
  if (!fine) {
    problem(l, node, "is \"%s\", expected hours of the local day such as \"08:00-20:00\" or \"22:00-06:00\"",
            shown(l, node->text));
  } else if (out->from_minute == out->to_minute) {
    problem(l, node, "begins when it ends: write \"00:00-24:00\" for a whole day");
  }
}

static unsigned read_days(struct loader *l, const struct yaml *node) {
  static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL};
  unsigned days = 0;
  if (!node) {
    return 0x7F;
  }
  if (node->kind == YAML_SCALAR) {
    return 1u << choice_of(l, node, names, 0);
  }
  size_t count = list_count(l, node, 7);
  const struct yaml *item = count ? node->child : NULL;
  for (; item; item = item->next) {
    unsigned day = 1u << choice_of(l, item, names, 0);
    if (days & day) {
      problem(l, item, "is in the list twice, or not a day");
    }
    days |= day;
  }
  if (node->kind == YAML_LIST && node->count == 0) {
    problem(l, node, "is empty: leave it out for all days");
  }
  return days;
}

static const struct hours *read_hours(struct loader *l, const struct yaml *map, const struct meter *meter) {
  const struct yaml *clock = field(map, "hours"), *days = field(map, "days"), *zone = field(map, "time_zone");
  if (!clock && !days) {
    if (zone) {
      problem(l, zone, "goes with \"hours\" or \"days\"");
    }
    return NULL;
  }
  struct hours *hours = arena_alloc(l->arena, sizeof *hours);
  read_clock(l, clock, hours);
  hours->days = read_days(l, days);
  hours->time_zone = zone_of(l, zone, l->catalog->time_zone);
  if (meter && (meter->aggregation == AGG_MAX || meter->aggregation == AGG_MIN || meter->aggregation == AGG_LATEST)) {
    problem(l, clock ? clock : days, "meter \"%s\" has one value for the whole month, which falls in no hours",
            shown(l, meter->name));
  }
  return hours;
}

static bool same_hours(const struct hours *a, const struct hours *b) {
  return a->from_minute == b->from_minute && a->to_minute == b->to_minute && a->days == b->days &&
         slice_eq(slice_of(a->time_zone), slice_of(b->time_zone));
}

typedef VEC(const struct hours *) hours_list;

static void add_hours(hours_list *list, const struct hours *wanted) {
  for (size_t i = 0; i < list->count; i++) {
    if (same_hours(list->items[i], wanted)) {
      return;
    }
  }
  vec_push(list, wanted);
}

void gather_hours(struct loader *l, const struct yaml *list, struct plan *plan) {
  hours_list found = {0};
  for (size_t p = 0; p < plan->price_count; p++) {
    for (size_t m = 0; m < plan->prices[p].multiplier_count && found.count <= HOURS_MAX; m++) {
      if (plan->prices[p].multipliers[m].hours) {
        add_hours(&found, plan->prices[p].multipliers[m].hours);
      }
    }
  }
  if (found.count > HOURS_MAX) {
    problem(l, list, "has multipliers by more than %d different stretches of hours", HOURS_MAX);
  }
  const struct hours **copy = arena_array(l->arena, found.count, sizeof *copy);
  for (size_t i = 0; i < found.count; i++) {
    copy[i] = found.items[i];
  }
  plan->hours = copy;
  plan->hours_count = found.count;
  vec_free(&found);
}

/* ---- multipliers ---- */

void read_multipliers(struct loader *l, const struct yaml *list, struct price_rule *out) {
  static const char *const keys[] = {"match", "hours", "days", "time_zone", "by", NULL};
  static const rate highest = {1000 * AMOUNT_E12};
  size_t count = list_count(l, list, VALUES_MAX);
  struct multiplier *multipliers = arena_array(l->arena, count, sizeof *multipliers);
  const struct yaml *item = count ? list->child : NULL;
  for (size_t i = 0; i < count; i++, item = item->next) {
    struct multiplier *m = &multipliers[i];
    if (!is_map_of(l, item, keys)) {
      continue;
    }
    m->hours = read_hours(l, item, out->meter);
    const struct yaml *match =
        m->hours ? field(item, "match")
                 : needed(l, item, "match", "which usage it is for; for all usage change the price itself");
    m->matches = matches_of(l, match, out->meter, &m->match_count);
    rate_of(l, needed(l, item, "by", "such as 1.05 for 5 % more"), (rate){0}, highest, &m->by);
  }
  out->multipliers = multipliers;
  out->multiplier_count = count;
}
