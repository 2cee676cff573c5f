/* Reads the plans, puts the versions of each in order, and checks that versions agree. */
#include "catalog/private.h"

#include <stdlib.h>

struct read_plan {
  struct plan plan;
  const struct yaml *node;
};

static void read_plan(struct loader *l, const struct yaml *map, struct plan *out) {
  static const char *const keys[] = {"name",     "title",    "valid_from", "currency", "prices_include_tax",
                                     TERMS_KEYS, WATCH_KEYS, "calls",      NULL};
  out->currency = l->catalog->currency;
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *title = field(map, "title");
  out->name = name_of(l, needed(l, map, "name", "contracts refer to a plan by its name"));
  out->title = title ? name_of(l, title) : out->name;
  out->currency = any_currency_of(l, field(map, "currency"), l->catalog->currency);
  out->prices_include_tax = flag_of(l, field(map, "prices_include_tax"), false);
  instant_of(l, field(map, "valid_from"), l->catalog->time_zone, &out->valid_from);
  read_terms(l, map, out);
  read_covers(l, map, l->catalog->time_zone, NULL, out);
  read_commitments(l, map, l->catalog->time_zone, NULL, out);
  read_watches(l, map, &out->watches);
  read_call_limits(l, field(map, "calls"), &out->call_limits);
}

/* By name, then by time; of equal ones the one written first comes first. */
static int compare(const void *a, const void *b) {
  const struct read_plan *x = a, *y = b;
  int order = slice_cmp(x->plan.name, y->plan.name);
  if (order == 0) {
    order = (x->plan.valid_from.ns > y->plan.valid_from.ns) - (x->plan.valid_from.ns < y->plan.valid_from.ns);
  }
  return order != 0 ? order : (x->node->line > y->node->line) - (x->node->line < y->node->line);
}

static void check_versions(struct loader *l, const struct read_plan *before, const struct read_plan *after) {
  const struct plan *a = &before->plan, *b = &after->plan;
  char text[TIME_TEXT_MAX];
  if (a->name.len == 0 || !slice_eq(a->name, b->name)) {
    return;
  }
  if (a->valid_from.ns == b->valid_from.ns) {
    problem(l, after->node,
            "plan \"%s\" has a version valid from %s on %s:%d already: give the next version a later valid_from",
            shown(l, b->name), b->valid_from.ns ? time_format(b->valid_from, text) : "the beginning", a->place.file,
            a->place.line);
  }
  if (a->currency != b->currency) {
    problem(l, after->node, "plan \"%s\" is in %s here and in %s on %s:%d: all versions have one currency",
            shown(l, b->name), b->currency->code, a->currency->code, a->place.file, a->place.line);
  }
}

void read_plans(struct loader *l) {
  size_t count = section_count(l, "plans", ENTRIES_MAX);
  struct read_plan *read = arena_array(l->scratch, count, sizeof *read);
  struct plan *plans = arena_array(l->arena, count, sizeof *plans);
  struct section section = {.key = "plans"};
  for (size_t i = 0; i < count; i++) {
    read[i].node = section_next(l, &section);
    read[i].plan.place = place_of(l, read[i].node);
    read_plan(l, read[i].node, &read[i].plan);
  }
  if (count > 0) {
    qsort(read, count, sizeof *read, compare);
  }
  for (size_t i = 0; i < count; i++) {
    plans[i] = read[i].plan;
    if (i > 0) {
      check_versions(l, &read[i - 1], &read[i]);
    }
  }
  l->catalog->plans = plans;
  l->catalog->plan_count = count;
}

slice plan_name_at(const void *plans, size_t i) {
  return ((const struct plan *)plans)[i].name;
}
