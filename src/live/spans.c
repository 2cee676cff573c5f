/* A customer's periods, and usage added up in one of them. */
#include "live/private.h"
#include <stdlib.h>
#include <string.h>

/* ---- periods ---- */

bool span_period(const struct customer *customer, enum watch_per per, instant t, struct period *out,
                 struct error *err) {
  if (per == WATCH_HOUR) {
    out->from.ns = t.ns - t.ns % HOUR_NS;
    out->to.ns = out->from.ns + HOUR_NS;
    return true;
  }
  if (per == WATCH_MONTH) {
    return billing_month_at(customer, t, out, err);
  }
  char date[TIME_TEXT_MAX];
  return time_parse_period(slice_of(time_format_date(t, customer->time_zone, date)), customer->time_zone, out, err);
}

void span_clear(struct live_span *span) {
  free(span->cells);
  span->cells = NULL;
  span->growing = false;
}

/* ---- adding up ---- */

bool adds_up(const struct meter *meter) {
  switch (meter->aggregation) {
  case AGG_SUM:
  case AGG_COUNT:
  case AGG_MAX:
  case AGG_MIN:
    return true;
  case AGG_LATEST:
  case AGG_UNIQUE:
  case AGG_INTEGRAL:
    break;
  }
  return false;
}

bool span_add_row(struct live_span *span, size_t meter_count, const struct usage_row *row, struct error *err) {
  if (span->cells == NULL) {
    span->cells = mem_alloc(meter_count * sizeof *span->cells);
  }
  struct live_cell *cell = &span->cells[row->meter->index];
  const struct period *g = &span->growth;
  if (row->meter->aggregation == AGG_INTEGRAL && row->from.ns >= g->from.ns) {
    span->growing = true;
    cell->any = true;
    return quantity_add(cell->ahead, row->value, &cell->ahead, err);
  }
  bool first = !cell->any;
  cell->any = true;
  return usage_combine(row->meter->aggregation, &cell->total, row->value, first, err);
}

bool span_usage(const struct live_span *span, const struct meter *meter, instant now, quantity *raw,
                struct error *err) {
  *raw = QUANTITY_ZERO;
  if (span->cells == NULL) {
    return true;
  }
  const struct live_cell *cell = &span->cells[meter->index];
  const struct period *g = &span->growth;
  quantity grown = QUANTITY_ZERO;
  if (!quantity_is_zero(cell->ahead)) {
    int64_t until = now.ns < g->to.ns ? now.ns : g->to.ns;
    int64_t passed = until > g->from.ns ? until - g->from.ns : 0;
    if (!int128_muldiv(cell->ahead.e9, passed, g->to.ns - g->from.ns, ROUND_DOWN, &grown.e9, err)) {
      return false;
    }
  }
  return quantity_add(cell->total, grown, raw, err);
}

bool in_units(const struct meter *meter, quantity raw, quantity *units, struct error *err) {
  return int128_muldiv(raw.e9, QUANTITY_E9, meter->base_per_unit.e9, ROUND_DOWN, &units->e9, err);
}
