/* Two builders of one usage: a second one with the same windows, filled by another thread, then taken into the first.
 * The result depends on the set of events alone, so it does not matter who saw which. */
#include "meter/private.h"

static void copy_window(struct usage *into, const struct window *w) {
  usage_window(into, w->customer, w->period, w->cuts, w->cut_count);
}

struct usage *usage_twin(const struct usage *u) {
  struct usage *twin = usage_new(u->catalog);
  must(u->no_evidence && !u->only_by_event);
  twin->no_evidence = true;
  twin->whole_hours = u->whole_hours;
  twin->until = u->until;
  for (size_t i = 0; i < u->windows.capacity; i++) {
    if (u->windows.slots[i].hash != 0) {
      copy_window(twin, u->windows.slots[i].value);
    }
  }
  if (u->default_window) {
    copy_window(twin, u->default_window);
  }
  for (size_t i = 0; i < u->corrections.items.count; i++) {
    vec_push(&twin->corrections.items, u->corrections.items.items[i]);
  }
  twin->corrections.backfills = u->corrections.backfills;
  return twin;
}

static bool absorb_bin(struct usage_set *into, const struct usage_set *from, size_t i, struct error *err) {
  const struct usage_bin *bin = &from->bins.items[i];
  struct usage_bin *mine = usage_bin_of(into, bin->from);
  bool first = mine->events == 0;
  mine->events += bin->events;
  if (into->meter->aggregation == AGG_LATEST) {
    struct usage_latest *kept = &into->latest.items[mine - into->bins.items];
    const struct usage_latest *other = &from->latest.items[i];
    if (!first && (other->time.ns < kept->time.ns || (other->time.ns == kept->time.ns && other->tie <= kept->tie))) {
      return true;
    }
    *kept = *other;
  }
  return usage_combine(into->meter->aggregation, &mine->value, bin->value, first, err);
}

static struct usage_set *my_set(struct usage *u, const struct usage_set *other) {
  return usage_set_of(u, other->meter, other->customer, other->dimensions, usage_window_of(u, other->customer));
}

static bool absorb_sets(struct usage *u, const struct usage *twin, struct error *err) {
  for (size_t s = 0; s < twin->all_sets.count; s++) {
    const struct usage_set *from = twin->all_sets.items[s];
    struct usage_set *into = my_set(u, from);
    for (size_t i = 0; i < from->bins.count; i++) {
      if (!absorb_bin(into, from, i, err)) {
        return false;
      }
    }
  }
  return true;
}

bool usage_absorb(struct usage *u, const struct usage *twin, struct error *err) {
  if (!absorb_sets(u, twin, err)) {
    return false;
  }
  for (size_t i = 0; i < twin->changes.count; i++) {
    struct level_change c = twin->changes.items[i];
    c.window = usage_window_of(u, c.customer);
    usage_add_change(u, &c, c.customer, c.dimensions);
  }
  for (size_t i = 0; i < twin->all_sights.count; i++) {
    const struct first_sight *s = twin->all_sights.items[i];
    usage_add_sight(u, my_set(u, s->set), s->value, s->time);
  }
  for (size_t i = 0; i < twin->note_list.count; i++) {
    usage_note(u, twin->note_list.items[i].what, twin->note_list.items[i].events);
  }
  return true;
}
