/* What is charged without usage: fees, and the true-up to the minimum spend of a plan. */
#include "rate/private.h"

/* A part begins to charge when both it and the first version of its plan are in force. */
static instant charging_since(const struct catalog *catalog, const struct segment *segment) {
  const struct plan *first = segment->plan;
  while (first > catalog->plans && slice_eq(first[-1].name, first->name)) {
    first--;
  }
  instant from = segment->contract->from;
  return from.ns > first->valid_from.ns ? from : first->valid_from;
}

static bool fee_share(const struct fee *fee, const struct stretch *stretch, quantity times, struct fraction *share,
                      struct error *err) {
  *share = FRACTION_ONE;
  if (fee->every == FEE_MONTH) {
    *share = stretch->months;
  } else if (fee->every == FEE_HOUR) {
    *share = (struct fraction){stretch->to.ns - stretch->from.ns, 3600 * NS_PER_S};
  }
  quantity count = fee_count_in(stretch->segment->contract, fee);
  return fraction_times(share, count.e9, QUANTITY_E9, err) && fraction_times(share, times.e9, QUANTITY_E9, err);
}

static slice fee_unit(enum fee_every every) {
  switch (every) {
  case FEE_MONTH:
    return SLICE("month");
  case FEE_HOUR:
    return SLICE("hour");
  case FEE_ONCE:
  case FEE_QUARTER:
  case FEE_YEAR:
    break;
  }
  return SLICE("");
}

static bool charge_fee(struct arena *arena, const struct stretch *stretch, const struct fee *fee, quantity times,
                       struct charges *charges, struct error *err) {
  struct fraction share;
  struct trace_step *step = arena_alloc(arena, sizeof *step);
  *step = (struct trace_step){
      .price = {fee->each, QUANTITY_ONE}, .multiplier = RATE_ONE, .from = stretch->from, .to = stretch->to};
  if (!fee_share(fee, stretch, times, &share, err) || !amount_times_fraction(fee->each, share, &step->amount, err) ||
      !quantity_times_fraction(QUANTITY_ONE, share, &step->raw, err)) {
    return error_at(err, "%s:%d: fee \"" SLICE_FMT "\"", fee->place.file, fee->place.line, SLICE_ARG(fee->name));
  }
  step->note = fee->every == FEE_MONTH ? stretch->prorated : NULL;
  vec_push(charges, (struct charge){.kind = CHARGE_FEE,
                                    .name = fee->name,
                                    .product = fee->product,
                                    .unit = fee_unit(fee->every),
                                    .segment = stretch->segment,
                                    .fee = fee,
                                    .raw = step->raw,
                                    .units = step->raw,
                                    .has_unit_price = true,
                                    .unit_price = step->price,
                                    .exact = step->amount,
                                    .steps = step,
                                    .step_count = 1});
  return true;
}

/* Not again in a part that carries on what the one before had. */
static bool is_new(const struct catalog *catalog, const struct stretch *stretch, size_t term, const struct fee *fee) {
  const struct contract *part = stretch->segment->contract;
  return !held_before(catalog, stretch->customer, part, seat_of(part, stretch->terms, term), fee);
}

bool charge_fees(struct arena *arena, const struct catalog *catalog, const struct stretch *stretch,
                 struct charges *charges, struct error *err) {
  instant start = charging_since(catalog, stretch->segment);
  bool starts_here = start.ns >= stretch->from.ns && start.ns < stretch->to.ns;
  for (size_t t = 0; t < stretch->term_count; t++) {
    for (size_t i = 0; i < stretch->terms[t]->fee_count; i++) {
      const struct fee *fee = &stretch->terms[t]->fees[i];
      bool due = !fee_is_long(fee) && (fee->every != FEE_ONCE || (starts_here && is_new(catalog, stretch, t, fee)));
      if (due && !charge_fee(arena, stretch, fee, stretch->times[t], charges, err)) {
        return false;
      }
    }
  }
  return true;
}

/* ---- true-up ---- */

static bool sum_charges(const struct charges *charges, size_t from, amount *sum, struct error *err) {
  *sum = AMOUNT_ZERO;
  for (size_t i = from; i < charges->count; i++) {
    if (!amount_add(*sum, charges->items[i].exact, sum, err)) {
      return false;
    }
  }
  return true;
}

static void add_true_up(struct arena *arena, const struct stretch *stretch, amount minimum, amount missing,
                        struct charges *charges) {
  char text[DECIMAL_TEXT_MAX];
  struct trace_step *step = arena_alloc(arena, sizeof *step);
  *step = (struct trace_step){.price = {minimum, QUANTITY_ONE},
                              .multiplier = RATE_ONE,
                              .amount = missing,
                              .from = stretch->from,
                              .to = stretch->to};
  step->note = arena_printf(arena, "minimum %s%s%s", amount_text(minimum, text), stretch->prorated ? ", " : "",
                            stretch->prorated ? stretch->prorated : "");
  vec_push(charges, (struct charge){.kind = CHARGE_TRUE_UP,
                                    .name = SLICE("minimum spend"),
                                    .product = SLICE("minimum"),
                                    .segment = stretch->segment,
                                    .exact = missing,
                                    .steps = step,
                                    .step_count = 1});
}

/* The contract's own minimum replaces that of the plan: the first of the terms that has one counts. */
bool charge_true_up(struct arena *arena, const struct catalog *catalog, const struct stretch *stretch,
                    struct charges *charges, size_t from, struct error *err) {
  const struct plan *plan = NULL;
  for (size_t t = 0; t < stretch->term_count && !plan; t++) {
    plan = stretch->terms[t]->has_minimum ? stretch->terms[t] : NULL;
  }
  if (!plan || amount_is_zero(plan->minimum)) {
    return true;
  }
  amount wanted, spent, missing;
  if (!amount_times_fraction(plan->minimum, stretch->months, &wanted, err) ||
      !sum_charges(charges, from, &spent, err) || !long_fees_within(catalog, stretch, &spent, err) ||
      !covers_paid_within(stretch, &spent, err) || !amount_sub(wanted, spent, &missing, err)) {
    return error_at(err, "%s:%d: minimum of plan \"" SLICE_FMT "\"", plan->place.file, plan->place.line,
                    SLICE_ARG(plan->name));
  }
  if (missing.e12 > 0) {
    add_true_up(arena, stretch, plan->minimum, missing, charges);
  }
  return true;
}
