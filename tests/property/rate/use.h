/* Random usage of a world, cut at its borders and where local hours begin and end. */
#ifndef METERHOUSE_TESTS_RATE_USE_H
#define METERHOUSE_TESTS_RATE_USE_H
#include "local.h"
#include "world.h"

/* The rows that rate_cuts cuts lie on one side of the hours; where there is no contract it does not cut. */
static void expect_one_side(struct world *w, instant from, instant to) {
  bool in_segment = false;
  for (size_t i = 0; i < w->segment_count; i++) {
    in_segment = in_segment || (w->segments[i].from.ns <= from.ns && to.ns <= w->segments[i].to.ns);
  }
  if (!in_segment) {
    return;
  }
  bool inside = naive_within(w->hours, from);
  for (int i = 0; i < 6; i++) {
    int64_t ns = i == 0 ? to.ns - 1 : from.ns + (int64_t)random_below(&w->random, (uint64_t)(to.ns - from.ns));
    expect(w, naive_within(w->hours, (instant){ns}) == inside, "side of the hours", slice_of(w->hours->time_zone));
  }
}

static instant next_cut(const struct world *w, instant t, instant end) {
  for (size_t i = 0; i < w->border_count; i++) {
    end = w->borders[i].ns > t.ns && w->borders[i].ns < end.ns ? w->borders[i] : end;
  }
  for (size_t i = 0; i < w->cut_count; i++) {
    end = w->cuts[i].ns > t.ns && w->cuts[i].ns < end.ns ? w->cuts[i] : end;
  }
  return end;
}

/* Random hours of one dimension set, each cut at every border and every cut. */
static void make_run(struct world *w, const struct meter *meter, const slice *dimensions) {
  int64_t hour = 3600 * NS_PER_S, at = w->period.from.ns - w->period.from.ns % hour;
  size_t left = pick(w, 20);
  while (left-- > 0) {
    at += (int64_t)pick(w, 60) * hour;
    instant from = {at > w->period.from.ns ? at : w->period.from.ns};
    instant end = {at + hour < w->period.to.ns ? at + hour : w->period.to.ns};
    for (instant to; from.ns < end.ns; from = to) {
      to = next_cut(w, from, end);
      must(w->row_count < ROWS_MAX);
      w->rows[w->row_count++] = (struct usage_row){meter,
                                                   w->customer.id,
                                                   dimensions,
                                                   from,
                                                   to,
                                                   chance(w, 10) ? QUANTITY_ZERO : some_quantity(w),
                                                   1 + (uint32_t)pick(w, 5)};
      if (w->hours) {
        expect_one_side(w, from, to);
      }
    }
    at += hour;
  }
}

static void make_rows(struct world *w) {
  w->rows = arena_array(w->arena, ROWS_MAX, sizeof *w->rows);
  for (size_t m = 0; m < METERS; m++) {
    for (size_t x = 0; x < 4; x++) {
      for (size_t y = 0; y < 4; y++) {
        slice *dimensions = arena_array(w->arena, 2, sizeof *dimensions);
        dimensions[0] = slice_of(dimension_values[x]);
        dimensions[1] = slice_of(dimension_values[y]);
        if (chance(w, 40)) {
          make_run(w, &w->meters[m], dimensions);
        }
      }
    }
  }
}

#endif
