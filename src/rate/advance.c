/* Fees whose intervals do not follow the months of usage: charged when an interval begins (in advance) or when it has
 * ended (quarters and years). What a change cuts off an interval that was charged is credited by the second. */
#include "rate/private.h"

struct advancing {
  struct arena *arena;
  const struct catalog *catalog;
  const struct customer *customer;
  struct period window; /* charges that fall after its `from` and not after its `to` */
  struct charges *charges;
};

static bool in_window(const struct advancing *a, instant t) {
  return t.ns > a->window.from.ns && t.ns <= a->window.to.ns;
}

/* ---- one charge ---- */

static const char *describe(struct arena *arena, struct period part, struct period whole, bool credit) {
  int64_t a = part.to.ns - part.from.ns, b = whole.to.ns - whole.from.ns, day = 86400 * NS_PER_S;
  const char *what = credit ? "unused " : "prorated ";
  char text[2][DECIMAL_TEXT_MAX];
  if (a == b) {
    return credit ? "unused" : NULL;
  }
  if (a % day == 0 && b % day == 0) {
    return arena_printf(arena, "%s%d of %d days", what, (int)(a / day), (int)(b / day));
  }
  return arena_printf(arena, "%s%s of %s seconds", what, quantity_text((quantity){a}, text[0]),
                      quantity_text((quantity){b}, text[1]));
}

bool held_amount(const struct held_fee *held, struct period part, struct period whole, amount *out, quantity *units,
                 struct error *err) {
  struct fraction share = {part.to.ns - part.from.ns, whole.to.ns - whole.from.ns};
  fraction_reduce(&share);
  if (!fraction_times(&share, held->count.e9, QUANTITY_E9, err) ||
      !fraction_times(&share, held->times.e9, QUANTITY_E9, err) ||
      !amount_times_fraction(held->fee->each, share, out, err) ||
      !quantity_times_fraction(QUANTITY_ONE, share, units, err)) {
    return error_at(err, "%s:%d: fee \"" SLICE_FMT "\"", held->fee->place.file, held->fee->place.line,
                    SLICE_ARG(held->fee->name));
  }
  return true;
}

static slice interval_name(enum fee_every every) {
  return every == FEE_YEAR ? SLICE("year") : every == FEE_QUARTER ? SLICE("quarter") : SLICE("month");
}

static bool push(struct advancing *a, const struct contract *contract, const struct held_fee *held, struct period part,
                 struct period whole, bool credit, struct error *err) {
  struct trace_step *step = arena_alloc(a->arena, sizeof *step);
  struct segment *segment = arena_alloc(a->arena, sizeof *segment);
  *segment = (struct segment){.contract = contract, .plan = held->plan, .from = part.from, .to = part.to};
  *step = (struct trace_step){
      .price = {held->fee->each, QUANTITY_ONE}, .multiplier = RATE_ONE, .from = part.from, .to = part.to};
  if (!held_amount(held, part, whole, &step->amount, &step->raw, err)) {
    return false;
  }
  slice name = held->fee->name;
  if (credit) {
    step->amount = amount_negate(step->amount);
    step->raw.e9 = -step->raw.e9;
    name = slice_of(arena_printf(a->arena, SLICE_FMT ", unused time", SLICE_ARG(name)));
  }
  step->note = describe(a->arena, part, whole, credit);
  vec_push(a->charges,
           (struct charge){.kind = CHARGE_FEE,
                           .name = name,
                           .product = held->fee->product,
                           .unit = held->fee->every == FEE_ONCE ? SLICE("") : interval_name(held->fee->every),
                           .segment = segment,
                           .fee = held->fee,
                           .raw = step->raw,
                           .units = step->raw,
                           .has_unit_price = true,
                           .unit_price = step->price,
                           .exact = step->amount,
                           .steps = step,
                           .step_count = 1});
  return true;
}

/* ---- when an interval begins ---- */

/* A fee that goes on from the part before was charged up to where that was meant to end. */
static instant charged_until(const struct advancing *a, const struct contract *part, const struct held_fee *held,
                             struct seat seat, struct period interval) {
  const struct contract *before = part_before(a->customer, part);
  if (!before || part->from.ns <= interval.from.ns) {
    return part->from;
  }
  struct held_fee running = held_for(a->catalog, a->customer, before, interval, seat, held->fee);
  bool goes_on = held_same(&running, held);
  return goes_on ? time_later(part->from, time_earlier(interval.to, contract_planned_to(before))) : part->from;
}

/* One that begins at `s`, which lies in `interval`. */
static bool begin_fee(struct advancing *a, const struct contract *part, const struct held_fee *held, struct seat seat,
                      instant s, struct period interval, struct error *err) {
  struct period covered = {s, time_earlier(interval.to, contract_planned_to(part))};
  if (held->fee->every == FEE_ONCE) {
    return held_before(a->catalog, a->customer, part, seat, held->fee) ||
           push(a, part, held, covered, covered, false, err);
  }
  if (s.ns == part->from.ns) {
    covered.from = charged_until(a, part, held, seat, interval);
  }
  return covered.from.ns >= covered.to.ns || push(a, part, held, covered, interval, false, err);
}

/* All fees in advance of one kind of interval that begin at `s`. */
static bool begin_at(struct advancing *a, const struct contract *part, enum fee_every every, instant s,
                     struct period interval, struct error *err) {
  const struct plan *terms[TERMS_MAX];
  quantity times[TERMS_MAX];
  size_t count = terms_of(a->catalog, part, s, terms, times);
  for (size_t t = 0; t < count; t++) {
    for (size_t i = 0; i < terms[t]->fee_count; i++) {
      const struct fee *fee = &terms[t]->fees[i];
      struct held_fee held = {fee, terms[t], fee_count_in(part, fee), times[t]};
      if (fee->in_advance && fee->every == every &&
          !begin_fee(a, part, &held, seat_of(part, terms, t), s, interval, err)) {
        return false;
      }
    }
  }
  return true;
}

static bool begins(struct advancing *a, const struct contract *part, enum fee_every every, bool opens,
                   struct error *err) {
  instant t = time_later(part->from, a->window.from), end = time_earlier(part->to, (instant){a->window.to.ns + 1});
  while (t.ns < end.ns) {
    struct period interval;
    if (!fee_interval(a->customer, part, every, t, &interval, err)) {
      return false;
    }
    instant s = time_later(interval.from, part->from);
    bool opening = opens && s.ns == part->from.ns;
    if (in_window(a, s) && !opening && s.ns < part->to.ns && !begin_at(a, part, every, s, interval, err)) {
      return false;
    }
    t = interval.to;
  }
  return true;
}

/* A fee that is charged once, in advance, in a part that a change began. */
static bool begins_once(struct advancing *a, const struct contract *part, bool opens, struct error *err) {
  struct period whole = {part->from, contract_planned_to(part)};
  return opens || !in_window(a, part->from) || begin_at(a, part, FEE_ONCE, part->from, whole, err);
}

/* ---- when an interval ends ---- */

static bool end_of_interval(struct advancing *a, const struct contract *part, const struct held_fee *held,
                            struct period interval, struct error *err) {
  instant x = time_earlier(interval.to, part->to);
  struct period covered = {time_later(interval.from, part->from), x};
  if (!in_window(a, x) || covered.from.ns >= x.ns) {
    return true;
  }
  return push(a, part, held, covered, interval, false, err);
}

/* Quarters and years in arrears: looked up as of the beginning of what is charged. */
static bool ends_in_arrears(struct advancing *a, const struct contract *part, enum fee_every every, struct error *err) {
  const struct plan *terms[TERMS_MAX];
  quantity times[TERMS_MAX];
  instant t = time_later(part->from, a->window.from), end = time_earlier(part->to, a->window.to);
  while (t.ns < end.ns) {
    struct period interval;
    if (!fee_interval(a->customer, part, every, t, &interval, err)) {
      return false;
    }
    size_t count = terms_of(a->catalog, part, time_later(interval.from, part->from), terms, times);
    for (size_t k = 0; k < count; k++) {
      for (size_t i = 0; i < terms[k]->fee_count; i++) {
        const struct fee *fee = &terms[k]->fees[i];
        const struct held_fee held = {fee, terms[k], fee_count_in(part, fee), times[k]};
        if (!fee->in_advance && fee->every == every && !end_of_interval(a, part, &held, interval, err)) {
          return false;
        }
      }
    }
    t = interval.to;
  }
  return true;
}

/* A change ended the part before the time it was charged for. */
static bool credit_rest(struct advancing *a, const struct contract *part, enum fee_every every, struct error *err) {
  const struct plan *terms[TERMS_MAX];
  quantity times[TERMS_MAX];
  struct period interval;
  instant last = {part->to.ns - 1};
  if (!in_window(a, part->to) || part->keeps_rest || contract_planned_to(part).ns <= part->to.ns) {
    return true;
  }
  if (!fee_interval(a->customer, part, every, last, &interval, err)) {
    return false;
  }
  struct period rest = {part->to, time_earlier(interval.to, contract_planned_to(part))};
  const struct contract *after = part_after(a->customer, part);
  size_t count = terms_of(a->catalog, part, time_later(interval.from, part->from), terms, times);
  for (size_t k = 0; rest.from.ns < rest.to.ns && k < count; k++) {
    for (size_t i = 0; i < terms[k]->fee_count; i++) {
      const struct fee *fee = &terms[k]->fees[i];
      if (!fee->in_advance || fee->every != every) {
        continue;
      }
      struct seat seat = seat_of(part, terms, k);
      struct held_fee held = held_for(a->catalog, a->customer, part, interval, seat, fee);
      struct held_fee next = after ? held_at(a->catalog, after, after->from, seat, fee) : (struct held_fee){0};
      if (held.fee && !held_same(&held, &next) && !push(a, part, &held, rest, interval, true, err)) {
        return false;
      }
    }
  }
  return true;
}

/* ---- the whole ---- */

static bool plan_has_long_fee(const struct plan *plan) {
  for (size_t i = 0; i < plan->fee_count; i++) {
    if (fee_is_long(&plan->fees[i])) {
      return true;
    }
  }
  return false;
}

static bool name_has_long_fee(const struct catalog *catalog, slice name) {
  const struct plan *plan = catalog_plan_at(catalog, name, INSTANT_MAX);
  for (; plan && slice_eq(plan->name, name); plan--) {
    if (plan_has_long_fee(plan)) {
      return true;
    }
    if (plan == catalog->plans) {
      break;
    }
  }
  return false;
}

/* Most contracts have none: then no calendar is asked. */
static bool part_has_long_fee(const struct catalog *catalog, const struct contract *part) {
  bool any = (part->own && plan_has_long_fee(part->own)) || name_has_long_fee(catalog, part->plan_name);
  for (size_t i = 0; i < part->add_on_count && !any; i++) {
    any = name_has_long_fee(catalog, part->add_ons[i].plan_name);
  }
  return any;
}

static bool charge_part(struct advancing *a, const struct contract *part, struct error *err) {
  static const enum fee_every all[] = {FEE_MONTH, FEE_QUARTER, FEE_YEAR};
  bool opens;
  if (!part_opens(a->customer, part, &opens, err) || !begins_once(a, part, opens, err)) {
    return false;
  }
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (!begins(a, part, all[i], opens, err) || (all[i] != FEE_MONTH && !ends_in_arrears(a, part, all[i], err)) ||
        !credit_rest(a, part, all[i], err)) {
      return false;
    }
  }
  return true;
}

bool charge_long_fees(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                      struct period period, struct charges *charges, struct error *err) {
  struct advancing a = {arena, catalog, customer, period, charges};
  for (size_t i = 0; i < customer->contract_count; i++) {
    const struct contract *part = &customer->contracts[i];
    bool near = part->from.ns <= period.to.ns && part->to.ns >= period.from.ns;
    if (near && part_has_long_fee(catalog, part) && !charge_part(&a, part, err)) {
      return false;
    }
  }
  return true;
}

bool charge_opening(struct arena *arena, const struct catalog *catalog, const struct customer *customer, instant at,
                    struct charges *charges, struct error *err) {
  static const enum fee_every all[] = {FEE_ONCE, FEE_MONTH, FEE_QUARTER, FEE_YEAR};
  struct advancing a = {arena, catalog, customer, {at, at}, charges};
  for (size_t i = 0; i < customer->contract_count; i++) {
    const struct contract *part = &customer->contracts[i];
    bool opens;
    if (part->from.ns != at.ns) {
      continue;
    }
    if (!part_opens(customer, part, &opens, err)) {
      return false;
    }
    for (size_t k = 0; opens && k < sizeof all / sizeof *all; k++) {
      struct period interval = {part->from, contract_planned_to(part)};
      if ((all[k] != FEE_ONCE && !fee_interval(customer, part, all[k], at, &interval, err)) ||
          !begin_at(&a, part, all[k], at, interval, err)) {
        return false;
      }
    }
  }
  return true;
}

/* What was charged for an interval counts, also where a later version of the plan no longer has it. */
static bool fees_of_interval(const struct catalog *catalog, const struct stretch *s, enum fee_every every,
                             struct period interval, instant t, amount *sum, struct error *err) {
  const struct contract *part = s->segment->contract;
  const struct plan *terms[TERMS_MAX];
  quantity times[TERMS_MAX];
  struct period covered = {t, time_earlier(interval.to, s->to)};
  size_t count = terms_of(catalog, part, time_later(interval.from, part->from), terms, times);
  for (size_t k = 0; k < count; k++) {
    for (size_t i = 0; i < terms[k]->fee_count; i++) {
      const struct fee *fee = &terms[k]->fees[i];
      amount share;
      quantity units;
      if (!fee_is_long(fee) || fee->every != every) {
        continue;
      }
      struct held_fee held = held_for(catalog, s->customer, part, interval, seat_of(part, terms, k), fee);
      if (!held_amount(&held, covered, interval, &share, &units, err) || !amount_add(*sum, share, sum, err)) {
        return false;
      }
    }
  }
  return true;
}

/* The share of a stretch, whenever it is charged: it counts towards a minimum of that time. */
bool long_fees_within(const struct catalog *catalog, const struct stretch *s, amount *sum, struct error *err) {
  static const enum fee_every all[] = {FEE_MONTH, FEE_QUARTER, FEE_YEAR};
  const struct contract *part = s->segment->contract;
  for (size_t i = 0; i < sizeof all / sizeof *all && part_has_long_fee(catalog, part); i++) {
    for (instant t = s->from; t.ns < s->to.ns;) {
      struct period interval;
      if (!fee_interval(s->customer, part, all[i], t, &interval, err) ||
          !fees_of_interval(catalog, s, all[i], interval, t, sum, err)) {
        return false;
      }
      t = interval.to;
    }
  }
  return true;
}
