/* Finds the price of usage among thousands: by meter, then by the value of one dimension, the one that tells most. */
#include "catalog/private.h"

#include <stdlib.h>

/* ---- building ---- */

struct building {
  struct arena *arena, *scratch;
  const struct price_rule *prices;
  const uint32_t *of_meter; /* prices of the meter at hand */
  size_t count;
};

static const struct match *match_on(const struct price_rule *p, uint32_t dimension) {
  for (size_t i = 0; i < p->match_count; i++) {
    if (p->matches[i].dimension == dimension) {
      return &p->matches[i];
    }
  }
  return NULL;
}

static int by_value(const void *a, const void *b) {
  const struct keyed_price *x = a, *y = b;
  int order = slice_cmp(x->value, y->value);
  return order != 0 ? order : (x->price > y->price) - (x->price < y->price);
}

/* All values that prices match on a dimension, sorted; `keys` (parallel to of_meter) limits it to prices of that key.
 */
static struct keyed_price *values_on(const struct building *b, struct arena *arena, uint32_t dimension,
                                     const uint32_t *keys, size_t *count) {
  *count = 0;
  for (size_t i = 0; i < b->count; i++) {
    const struct match *m = match_on(&b->prices[b->of_meter[i]], dimension);
    *count += m && (!keys || keys[i] == dimension) ? m->count : 0;
  }
  struct keyed_price *items = arena_array(arena, *count, sizeof *items);
  size_t at = 0;
  for (size_t i = 0; i < b->count; i++) {
    const struct match *m = match_on(&b->prices[b->of_meter[i]], dimension);
    for (size_t v = 0; m && (!keys || keys[i] == dimension) && v < m->count; v++) {
      items[at++] = (struct keyed_price){m->values[v], b->of_meter[i]};
    }
  }
  if (*count > 0) {
    qsort(items, *count, sizeof *items, by_value);
  }
  return items;
}

static size_t distinct_values(const struct building *b, uint32_t dimension) {
  size_t count, distinct = 0;
  const struct keyed_price *items = values_on(b, b->scratch, dimension, NULL, &count);
  for (size_t i = 0; i < count; i++) {
    distinct += i == 0 || !slice_eq(items[i - 1].value, items[i].value);
  }
  return distinct;
}

/* For each price the dimension it is found by: of those it matches, the one with the most different values. */
static const uint32_t *choose_keys(const struct building *b, size_t dimension_count) {
  size_t distinct[CATALOG_DIMENSIONS_MAX] = {0};
  for (uint32_t d = 0; d < dimension_count; d++) {
    distinct[d] = distinct_values(b, d);
  }
  uint32_t *keys = arena_array(b->scratch, b->count, sizeof *keys);
  for (size_t i = 0; i < b->count; i++) {
    const struct price_rule *p = &b->prices[b->of_meter[i]];
    keys[i] = UINT32_MAX;
    for (size_t m = 0; m < p->match_count; m++) {
      uint32_t d = p->matches[m].dimension;
      keys[i] = keys[i] == UINT32_MAX || distinct[d] > distinct[keys[i]] ? d : keys[i];
    }
  }
  return keys;
}

static uint32_t first_broad(const struct building *b) {
  for (size_t i = 0; i < b->count; i++) {
    if (b->prices[b->of_meter[i]].match_count == 0) {
      return b->of_meter[i];
    }
  }
  return UINT32_MAX;
}

static struct meter_prices build_meter(const struct building *b) {
  const struct meter *meter = b->prices[b->of_meter[0]].meter;
  struct meter_prices out = {.meter = meter, .prices = b->of_meter, .count = b->count};
  const uint32_t *keys = choose_keys(b, meter->dimension_count);
  struct dimension_prices *dimensions = arena_array(b->arena, meter->dimension_count, sizeof *dimensions);
  for (uint32_t d = 0; d < meter->dimension_count; d++) {
    struct dimension_prices *at = &dimensions[out.dimension_count];
    at->dimension = d;
    at->items = values_on(b, b->arena, d, keys, &at->count);
    out.dimension_count += at->count > 0;
  }
  out.dimensions = dimensions;
  out.broad = first_broad(b);
  return out;
}

static int by_meter(const void *a, const void *b) {
  const struct price_rule *const *x = a, *const *y = b;
  if ((*x)->meter != (*y)->meter) {
    return (*x)->meter->index < (*y)->meter->index ? -1 : 1;
  }
  return (*x > *y) - (*x < *y);
}

static uint32_t *sorted_by_meter(struct arena *arena, struct arena *scratch, const struct price_rule *prices,
                                 size_t count) {
  const struct price_rule **sorted = arena_array(scratch, count, sizeof *sorted);
  uint32_t *indices = arena_array(arena, count, sizeof *indices);
  for (size_t i = 0; i < count; i++) {
    sorted[i] = &prices[i];
  }
  if (count > 0) {
    qsort(sorted, count, sizeof *sorted, by_meter);
  }
  for (size_t i = 0; i < count; i++) {
    indices[i] = (uint32_t)(sorted[i] - prices);
  }
  return indices;
}

const struct price_index *price_index_build(struct arena *arena, const struct price_rule *prices, size_t count) {
  struct arena *scratch = arena_new();
  const uint32_t *sorted = sorted_by_meter(arena, scratch, prices, count);
  struct price_index *index = arena_alloc(arena, sizeof *index);
  size_t meters = 0;
  for (size_t i = 0; i < count; i++) {
    meters += i == 0 || prices[sorted[i]].meter != prices[sorted[i - 1]].meter;
  }
  struct meter_prices *list = arena_array(arena, meters, sizeof *list);
  for (size_t from = 0, to; from < count; from = to) {
    for (to = from + 1; to < count && prices[sorted[to]].meter == prices[sorted[from]].meter; to++) {
    }
    const struct building b = {arena, scratch, prices, sorted + from, to - from};
    list[index->meter_count++] = build_meter(&b);
  }
  index->meters = list;
  arena_free(scratch);
  return index;
}

/* ---- looking up ---- */

const struct meter_prices *prices_of_meter(const struct price_index *index, const struct meter *meter) {
  size_t low = 0, high = index->meter_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const struct meter *found = index->meters[middle].meter;
    if (found == meter) {
      return &index->meters[middle];
    }
    if (found->index < meter->index) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return NULL;
}

static bool takes(const struct price_rule *p, const slice *dimensions) {
  return match_all(p->matches, p->match_count, dimensions);
}

static size_t first_of_value(const struct dimension_prices *d, slice value) {
  size_t low = 0, high = d->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (slice_cmp(d->items[middle].value, value) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/* Lowers *best to the first price among those of this value that takes it. */
static void look_on(const struct plan *plan, const struct dimension_prices *d, const slice *dimensions,
                    uint32_t *best) {
  slice value = dimensions[d->dimension];
  for (size_t i = first_of_value(d, value); i < d->count && slice_eq(d->items[i].value, value); i++) {
    if (d->items[i].price >= *best) {
      return;
    }
    if (takes(&plan->prices[d->items[i].price], dimensions)) {
      *best = d->items[i].price;
      return;
    }
  }
}

static const struct price_rule *look_at_each(const struct plan *plan, const struct meter *meter,
                                             const slice *dimensions) {
  for (size_t i = 0; i < plan->price_count; i++) {
    if (plan->prices[i].meter == meter && takes(&plan->prices[i], dimensions)) {
      return &plan->prices[i];
    }
  }
  return NULL;
}

const struct price_rule *catalog_price(const struct plan *plan, const struct meter *meter, const slice *dimensions) {
  if (!plan->price_index) {
    return look_at_each(plan, meter, dimensions);
  }
  const struct meter_prices *prices = prices_of_meter(plan->price_index, meter);
  if (!prices) {
    return NULL;
  }
  uint32_t best = prices->broad;
  for (size_t i = 0; i < prices->dimension_count; i++) {
    look_on(plan, &prices->dimensions[i], dimensions, &best);
  }
  return best == UINT32_MAX ? NULL : &plan->prices[best];
}
