/* Usage that no price took, gathered by meter, dimensions and reason, so that it is seen and not given away. */
#include "rate/private.h"

#include <stdlib.h>

struct leftover {
  const struct item *item;
  const char *why;
};
struct leftovers {
  struct leftover *items;
  size_t count, capacity;
};

static struct leftovers find_leftovers(const struct stretch *stretches, size_t stretch_count) {
  struct leftovers found = {0};
  for (size_t s = 0; s < stretch_count; s++) {
    const char *why = stretches[s].segment ? "no price matches" : "no contract at this time";
    for (size_t i = 0; i < stretches[s].count; i++) {
      const struct item *item = &stretches[s].items[i];
      if (!item->run->price && item_open(item).e9 > 0) {
        vec_push(&found, (struct leftover){item, why});
      }
    }
  }
  return found;
}

static int compare_kind(const struct leftover *a, const struct leftover *b) {
  const struct meter *meter = a->item->run->meter;
  if (meter != b->item->run->meter) {
    return meter->index < b->item->run->meter->index ? -1 : 1;
  }
  for (size_t i = 0; i < meter->dimension_count; i++) {
    int order = slice_cmp(a->item->run->dimensions[i], b->item->run->dimensions[i]);
    if (order != 0) {
      return order;
    }
  }
  return slice_cmp(slice_of(a->why), slice_of(b->why));
}

static int by_kind_then_time(const void *a, const void *b) {
  const struct leftover *x = a, *y = b;
  int order = compare_kind(x, y);
  if (order != 0) {
    return order;
  }
  return x->item->sequence < y->item->sequence ? -1 : x->item->sequence > y->item->sequence;
}

static const slice *copy_dimensions(struct arena *arena, const struct run *run) {
  slice *copy = arena_array(arena, run->meter->dimension_count, sizeof *copy);
  for (size_t i = 0; i < run->meter->dimension_count; i++) {
    copy[i] = arena_copy(arena, run->dimensions[i]);
  }
  return copy;
}

static bool add_leftover(struct unpriced *to, const struct item *item, bool first, struct error *err) {
  to->to = item->to;
  to->events = count_add(to->events, item->events);
  return usage_combine(to->meter->aggregation, &to->raw, item_open(item), first, err) &&
         quantity_units(to->meter, to->raw, &to->units, err);
}

static bool gather(struct arena *arena, const struct leftovers *found, struct rating *out, struct error *err) {
  struct unpriced *list = arena_array(arena, found->count, sizeof *list);
  size_t count = 0;
  for (size_t i = 0; i < found->count; i++) {
    const struct leftover *l = &found->items[i];
    bool first = i == 0 || compare_kind(&found->items[i - 1], l) != 0;
    if (first) {
      list[count++] = (struct unpriced){.meter = l->item->run->meter,
                                        .dimensions = copy_dimensions(arena, l->item->run),
                                        .from = l->item->from,
                                        .why = l->why};
    }
    if (!add_leftover(&list[count - 1], l->item, first, err)) {
      return error_at(err, "unpriced usage of meter \"" SLICE_FMT "\"", SLICE_ARG(l->item->run->meter->name));
    }
  }
  out->unpriced = list;
  out->unpriced_count = count;
  return true;
}

bool list_unpriced(struct arena *arena, const struct stretch *stretches, size_t stretch_count, struct rating *out,
                   struct error *err) {
  struct leftovers found = find_leftovers(stretches, stretch_count);
  if (found.count > 1) {
    qsort(found.items, found.count, sizeof *found.items, by_kind_then_time);
  }
  bool ok = gather(arena, &found, out, err);
  vec_free(&found);
  return ok;
}
