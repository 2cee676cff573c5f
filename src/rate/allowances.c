/* Included units: drawn by usage in the order of time before any price sees it. */
#include "rate/private.h"

#include <stdlib.h>

static int by_time(const void *a, const void *b) {
  const struct item *x = a, *y = b;
  if (x->from.ns != y->from.ns) {
    return x->from.ns < y->from.ns ? -1 : 1;
  }
  return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static void sort_items(struct stretch *stretch) {
  for (size_t i = 1; stretch->ordered && i < stretch->count; i++) {
    if (by_time(&stretch->items[i - 1], &stretch->items[i]) > 0) {
      qsort(stretch->items, stretch->count, sizeof *stretch->items, by_time);
      return;
    }
  }
}

/* What is included in this stretch, raw: per month, by its share of one. */
static bool included_raw(const struct stretch *stretch, const struct allowance *a, quantity *out, struct error *err) {
  struct fraction share = stretch->months;
  return fraction_times(&share, a->meter->base_per_unit.e9, QUANTITY_E9, err) &&
         quantity_times_fraction(a->included, share, out, err);
}

static void draw(struct stretch *stretch, size_t bit, quantity remaining) {
  for (size_t i = 0; i < stretch->count && remaining.e9 > 0; i++) {
    struct item *item = &stretch->items[i];
    const uint64_t *bits = item->run->allowances;
    if (bits && (bits[bit / 64] >> (bit % 64) & 1)) {
      quantity open = {item->raw.e9 - item->included.e9};
      quantity taken = quantity_cmp(open, remaining) < 0 ? open : remaining;
      item->included.e9 += taken.e9;
      remaining.e9 -= taken.e9;
    }
  }
}

bool draw_allowances(struct stretch *stretch, struct error *err) {
  size_t bit = 0;
  sort_items(stretch);
  for (size_t t = 0; t < stretch->term_count; t++) {
    for (size_t i = 0; i < stretch->terms[t]->allowance_count; i++, bit++) {
      const struct allowance *a = &stretch->terms[t]->allowances[i];
      quantity included;
      if (!included_raw(stretch, a, &included, err)) {
        return error_at(err, "%s:%d: allowance \"" SLICE_FMT "\"", a->place.file, a->place.line, SLICE_ARG(a->name));
      }
      draw(stretch, bit, included);
    }
  }
  return true;
}
