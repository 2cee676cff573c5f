/* What reservations and savings plans did in a period: raw tallies become units, shares and savings. */
#include "rate/private.h"

static bool share_of(int128 part, int128 whole, bool *known, rate *out, struct error *err) {
  *known = whole > 0;
  return whole <= 0 || int128_muldiv(part, RATE_ONE.e12, whole, ROUND_HALF_EVEN, &out->e12, err);
}

/* Shares are of the raw numbers; only then units are rounded for people. */
static bool find_shares(struct coverage *c, struct error *err) {
  bool units = c->cover->kind == COVER_RESERVATION;
  return share_of(units ? c->used.e9 : c->spent.e12, units ? c->capacity.e9 : c->cost.e12, &c->has_utilization,
                  &c->utilization, err) &&
         share_of(units ? c->used.e9 : c->list.e12, units ? c->matching.e9 : c->matching_list.e12, &c->has_coverage,
                  &c->coverage, err);
}

static bool to_units(struct coverage *c, struct error *err) {
  const struct meter *meter = c->cover->usage[0].meter;
  return quantity_units(meter, c->capacity, &c->capacity, err) && quantity_units(meter, c->used, &c->used, err) &&
         quantity_units(meter, c->matching, &c->matching, err);
}

static bool keep_hours(struct arena *arena, const struct tally *tally, struct coverage *c, struct error *err) {
  struct coverage_hour *hours = arena_array(arena, tally->hourly.count, sizeof *hours);
  const struct meter *meter = c->cover->usage[0].meter;
  for (size_t i = 0; i < tally->hourly.count; i++) {
    hours[i] = tally->hourly.items[i];
    if (!quantity_units(meter, hours[i].capacity, &hours[i].capacity, err) ||
        !quantity_units(meter, hours[i].used, &hours[i].used, err)) {
      return false;
    }
  }
  c->hourly = hours;
  c->hourly_count = tally->hourly.count;
  return true;
}

bool report_coverage(struct arena *arena, const tallies *found, struct rating *out, struct error *err) {
  struct coverage *list = arena_array(arena, found->count, sizeof *list);
  for (size_t i = 0; i < found->count; i++) {
    struct coverage *c = &list[i];
    *c = found->items[i]->report;
    if (!find_shares(c, err) || !report_uses(arena, found->items[i], c, err) || !to_units(c, err) ||
        !keep_hours(arena, found->items[i], c, err) || !amount_sub(c->list, c->cost, &c->saved, err)) {
      return error_at(err, "coverage of \"" SLICE_FMT "\"", SLICE_ARG(c->cover->name));
    }
  }
  out->coverages = list;
  out->coverage_count = found->count;
  return true;
}
