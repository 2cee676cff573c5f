/* Sets, bins and rows: where a moment falls, how values combine, and the sorted result. */
#include "meter/private.h"
#include <stdlib.h>
#include <string.h>

#define HOUR_NS (INT64_C(3600) * NS_PER_S)

bool usage_combine(enum aggregation aggregation, quantity *into, quantity next, bool first, struct error *err) {
  switch (aggregation) {
  case AGG_MAX:
    if (first || quantity_cmp(next, *into) > 0) {
      *into = next;
    }
    return true;
  case AGG_MIN:
    if (first || quantity_cmp(next, *into) < 0) {
      *into = next;
    }
    return true;
  case AGG_LATEST:
    *into = next;
    return true;
  case AGG_SUM:
  case AGG_COUNT:
  case AGG_UNIQUE:
  case AGG_INTEGRAL:
    break;
  }
  return quantity_add(*into, next, into, err);
}

/* ---- sets ---- */

static struct usage_set *new_set(struct usage *u, const struct meter *meter, slice customer, const slice *dimensions,
                                 struct window *window) {
  struct usage_set *set = arena_alloc(u->arena, sizeof *set);
  slice *own = arena_array(u->arena, meter->dimension_count, sizeof *own);
  for (size_t d = 0; d < meter->dimension_count; d++) {
    own[d] = arena_copy(u->arena, dimensions[d]);
  }
  *set = (struct usage_set){
      .meter = meter, .customer = arena_copy(u->arena, customer), .dimensions = own, .window = window};
  vec_push(&u->all_sets, set);
  return set;
}

/* Lengths go into the key as well: values may hold any byte. */
struct usage_set *usage_set_of(struct usage *u, const struct meter *meter, slice customer, const slice *dimensions,
                               struct window *window) {
  u->key.len = 0;
  buf_add(&u->key, (slice){(const char *)&meter->index, sizeof meter->index});
  buf_add(&u->key, customer);
  for (size_t d = 0; d < meter->dimension_count; d++) {
    uint16_t length = (uint16_t)dimensions[d].len;
    buf_add(&u->key, (slice){(const char *)&length, sizeof length});
    buf_add(&u->key, dimensions[d]);
  }
  struct usage_set *set = map_get(&u->sets, buf_slice(&u->key));
  if (set == NULL) {
    set = new_set(u, meter, customer, dimensions, window);
    *map_put(&u->sets, arena_copy(u->arena, (slice){u->key.ptr, u->key.len})) = set;
  }
  return set;
}

/* ---- bins ---- */

/* The hour of `t`, cut at the window's edges and at its cuts. */
static struct period bin_period(const struct window *w, instant t) {
  struct period p = {{t.ns - t.ns % HOUR_NS}, {t.ns - t.ns % HOUR_NS + HOUR_NS}};
  if (p.from.ns < w->period.from.ns) {
    p.from = w->period.from;
  }
  if (p.to.ns > w->period.to.ns) {
    p.to = w->period.to;
  }
  size_t low = 0, high = w->cut_count; /* low becomes the number of cuts at or before t */
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (w->cuts[middle].ns <= t.ns) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low > 0 && w->cuts[low - 1].ns > p.from.ns) {
    p.from = w->cuts[low - 1];
  }
  if (low < w->cut_count && w->cuts[low].ns < p.to.ns) {
    p.to = w->cuts[low];
  }
  return p;
}

static bool bin_holds(const struct usage_bin *bin, instant t) {
  return t.ns >= bin->from.ns && t.ns < bin->to.ns;
}

/* Number of bins that begin at or before `t`. */
static size_t bins_until(const struct usage_set *set, instant t) {
  size_t low = 0, high = set->bins.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (set->bins.items[middle].from.ns <= t.ns) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void usage_set_reserve(struct usage_set *set, size_t more) {
  if (set->bins.capacity - set->bins.count < more && set->bins.count + more > set->bins.capacity * 3 / 2) {
    set->bins.capacity = set->bins.count + more;
    set->bins.items = mem_grow(set->bins.items, set->bins.capacity, sizeof *set->bins.items);
  }
}

struct usage_bin *usage_bin_of(struct usage_set *set, instant t) {
  if (set->last < set->bins.count && bin_holds(&set->bins.items[set->last], t)) {
    return &set->bins.items[set->last];
  }
  bool at_end = set->bins.count > 0 && t.ns >= set->bins.items[set->bins.count - 1].to.ns;
  size_t at = at_end ? set->bins.count : bins_until(set, t);
  if (at > 0 && bin_holds(&set->bins.items[at - 1], t)) {
    set->last = at - 1;
    return &set->bins.items[at - 1];
  }
  struct period p = bin_period(set->window, t);
  vec_push(&set->bins, (struct usage_bin){0});
  memmove(&set->bins.items[at + 1], &set->bins.items[at], (set->bins.count - 1 - at) * sizeof *set->bins.items);
  if (set->meter->aggregation == AGG_LATEST) {
    vec_push(&set->latest, (struct usage_latest){0});
    memmove(&set->latest.items[at + 1], &set->latest.items[at],
            (set->latest.count - 1 - at) * sizeof *set->latest.items);
  }
  set->bins.items[at] = (struct usage_bin){.from = p.from, .to = p.to};
  set->last = at;
  return &set->bins.items[at];
}

/* ---- the sorted result ---- */

static int set_order(const void *a, const void *b) {
  const struct usage_set *x = *(struct usage_set *const *)a, *y = *(struct usage_set *const *)b;
  int order = slice_cmp(x->customer, y->customer);
  if (order != 0) {
    return order;
  }
  if (x->meter->index != y->meter->index) {
    return x->meter->index < y->meter->index ? -1 : 1;
  }
  for (size_t d = 0; d < x->meter->dimension_count; d++) {
    order = slice_cmp(x->dimensions[d], y->dimensions[d]);
    if (order != 0) {
      return order;
    }
  }
  return 0;
}

static size_t count_bins(const struct usage *u) {
  size_t count = 0;
  for (size_t i = 0; i < u->all_sets.count; i++) {
    count += u->all_sets.items[i]->bins.count;
  }
  return count;
}

static void write_rows(struct usage *u) {
  u->rows = mem_table(count_bins(u) + 1, sizeof *u->rows);
  for (size_t i = 0; i < u->all_sets.count; i++) {
    const struct usage_set *set = u->all_sets.items[i];
    for (size_t b = 0; b < set->bins.count; b++) {
      const struct usage_bin *bin = &set->bins.items[b];
      u->rows[u->row_count++] = (struct usage_row){.meter = set->meter,
                                                   .customer = set->customer,
                                                   .dimensions = set->dimensions,
                                                   .from = bin->from,
                                                   .to = bin->to,
                                                   .value = bin->value,
                                                   .events = bin->events};
    }
  }
}

static bool place_sights(struct usage *u, struct error *err) {
  for (size_t i = 0; i < u->all_sights.count; i++) {
    struct usage_bin *bin = usage_bin_of(u->all_sights.items[i]->set, u->all_sights.items[i]->time);
    if (!quantity_add(bin->value, QUANTITY_ONE, &bin->value, err)) {
      return false;
    }
  }
  return true;
}

bool usage_finish(struct usage *u, const struct usage_row **rows, size_t *count, struct error *err) {
  if (!u->finished) {
    if (!usage_integrate(u, err) || !place_sights(u, err)) {
      return false;
    }
    if (u->all_sets.count > 0) {
      qsort(u->all_sets.items, u->all_sets.count, sizeof *u->all_sets.items, set_order);
    }
    write_rows(u);
    u->finished = true;
  }
  *rows = u->rows;
  *count = u->row_count;
  return true;
}
