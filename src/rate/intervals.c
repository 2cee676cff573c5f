/* The intervals that fees are charged for, and which parts of a contract carry the same fee on. */
#include "rate/private.h"

instant contract_start(const struct contract *contract) {
  return contract->start.ns ? contract->start : contract->from;
}

instant contract_planned_to(const struct contract *contract) {
  return contract->planned_to.ns ? contract->planned_to : contract->to;
}

/* Parts of one contract follow each other without a gap. */
const struct contract *part_before(const struct customer *customer, const struct contract *part) {
  bool first = part == customer->contracts;
  return !first && part->cause != PART_START && part[-1].to.ns == part->from.ns ? part - 1 : NULL;
}

const struct contract *part_after(const struct customer *customer, const struct contract *part) {
  bool last = part + 1 == customer->contracts + customer->contract_count;
  return !last && part[1].cause != PART_START && part->to.ns == part[1].from.ns ? part + 1 : NULL;
}

bool part_opens(const struct customer *customer, const struct contract *part, bool *opens, struct error *err) {
  struct period period;
  *opens = part->cause == PART_START;
  if (part->cause != PART_PHASE) {
    return true;
  }
  if (!billing_period_at(customer, part->from, &period, err)) {
    return false;
  }
  *opens = period.from.ns != part->from.ns;
  return true;
}

/* ---- intervals ---- */

static bool nth_interval(const struct customer *customer, instant start, int months, int n, struct period *out,
                         struct error *err) {
  struct time_span from = {.months = months * n}, to = {.months = months * (n + 1)};
  return time_add_span(start, from, customer->time_zone, &out->from, err) &&
         time_add_span(start, to, customer->time_zone, &out->to, err);
}

/* Counted from the start each time, so that the 31st comes back after a short month. */
bool fee_interval(const struct customer *customer, const struct contract *part, enum fee_every every, instant t,
                  struct period *out, struct error *err) {
  if (every != FEE_QUARTER && every != FEE_YEAR) {
    return billing_month_at(customer, t, out, err);
  }
  int months = every == FEE_YEAR ? 12 : 3;
  instant start = contract_start(part);
  struct civil a = time_civil(start, customer->time_zone), b = time_civil(t, customer->time_zone);
  int n = ((b.year - a.year) * 12 + b.month - a.month) / months;
  if (!nth_interval(customer, start, months, n, out, err)) {
    return false;
  }
  if (t.ns < out->from.ns && n > 0) {
    return nth_interval(customer, start, months, n - 1, out, err);
  }
  return t.ns < out->to.ns || nth_interval(customer, start, months, n + 1, out, err);
}

/* ---- fees that are held ---- */

quantity fee_count_in(const struct contract *part, const struct fee *fee) {
  for (size_t i = 0; i < part->fee_count_count; i++) {
    if (slice_eq(part->fee_counts[i].fee, fee->name)) {
      return part->fee_counts[i].count;
    }
  }
  return fee->count;
}

bool fee_is_long(const struct fee *fee) {
  return fee->in_advance || fee->every == FEE_QUARTER || fee->every == FEE_YEAR;
}

struct seat seat_of(const struct contract *part, const struct plan *const *terms, size_t index) {
  size_t plan = part->own ? 1 : 0;
  if (index < plan) {
    return (struct seat){.kind = SEAT_OWN};
  }
  bool is_plan = index == plan && slice_eq(terms[index]->name, part->plan_name);
  return is_plan ? (struct seat){.kind = SEAT_PLAN} : (struct seat){SEAT_ADD_ON, terms[index]->name};
}

static bool seat_eq(struct seat a, struct seat b) {
  return a.kind == b.kind && slice_eq(a.add_on, b.add_on);
}

struct held_fee held_at(const struct catalog *catalog, const struct contract *part, instant t, struct seat seat,
                        const struct fee *like) {
  const struct plan *terms[TERMS_MAX];
  quantity times[TERMS_MAX];
  size_t count = terms_of(catalog, part, t, terms, times);
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; seat_eq(seat, seat_of(part, terms, i)) && k < terms[i]->fee_count; k++) {
      const struct fee *fee = &terms[i]->fees[k];
      if (fee->every == like->every && fee->in_advance == like->in_advance && slice_eq(fee->name, like->name)) {
        return (struct held_fee){fee, terms[i], fee_count_in(part, fee), times[i]};
      }
    }
  }
  return (struct held_fee){0};
}

bool held_before(const struct catalog *catalog, const struct customer *customer, const struct contract *part,
                 struct seat seat, const struct fee *fee) {
  const struct contract *before = part_before(customer, part);
  return before != NULL && held_at(catalog, before, before->from, seat, fee).fee != NULL;
}

bool held_same(const struct held_fee *a, const struct held_fee *b) {
  return a->fee && b->fee && amount_cmp(a->fee->each, b->fee->each) == 0 && quantity_cmp(a->count, b->count) == 0 &&
         quantity_cmp(a->times, b->times) == 0;
}

struct held_fee held_for(const struct catalog *catalog, const struct customer *customer, const struct contract *part,
                         struct period interval, struct seat seat, const struct fee *like) {
  instant since = time_later(part->from, interval.from);
  struct held_fee held = held_at(catalog, part, since, seat, like);
  const struct contract *before = part_before(customer, part);
  if (part->from.ns <= interval.from.ns || before == NULL) {
    return held;
  }
  struct held_fee earlier = held_for(catalog, customer, before, interval, seat, like);
  return held_same(&earlier, &held) ? earlier : held;
}
