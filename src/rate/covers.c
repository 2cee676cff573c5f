/* Reservations and savings plans: which are in force when, whose usage they may take, and their fee. */
#include "rate/private.h"

/* ---- in force ---- */

static instant later(instant a, instant b) {
  return a.ns > b.ns ? a : b;
}

static instant earlier(instant a, instant b) {
  return a.ns < b.ns ? a : b;
}

/* One report for all stretches of a contract: what is in force in two of them is so in all between. */
static struct tally *tally_before(const struct stretch *before, const struct segment *segment,
                                  const struct cover *cover) {
  if (!before || !before->segment || before->segment->contract != segment->contract) {
    return NULL;
  }
  for (size_t i = 0; i < before->cover_count; i++) {
    if (before->covers[i].cover == cover) {
      return before->covers[i].tally;
    }
  }
  return NULL;
}

static void add_span(struct arena *scratch, const struct stretch *before, struct stretch *s, const struct cover *cover,
                     tallies *found) {
  struct cover_span span = {cover, later(cover->from, s->from), earlier(cover->to, s->to), NULL};
  if (span.from.ns >= span.to.ns) {
    return;
  }
  span.tally = tally_before(before, s->segment, cover);
  if (!span.tally) {
    span.tally = arena_alloc(scratch, sizeof *span.tally);
    span.tally->report = (struct coverage){.cover = cover, .from = span.from};
    vec_push(found, span.tally);
  }
  span.tally->report.to = span.to;
  s->covers[s->cover_count++] = span;
}

void find_covers(struct arena *scratch, struct stretch *stretches, size_t count, tallies *found) {
  for (size_t i = 0; i < count; i++) {
    struct stretch *s = &stretches[i];
    size_t most = 0;
    for (size_t t = 0; t < s->term_count; t++) {
      most += s->terms[t]->cover_count;
    }
    s->covers = arena_array(scratch, most, sizeof *s->covers);
    for (size_t t = 0; t < s->term_count; t++) {
      for (size_t c = 0; c < s->terms[t]->cover_count; c++) {
        add_span(scratch, i > 0 ? s - 1 : NULL, s, &s->terms[t]->covers[c], found);
      }
    }
  }
}

/* A savings plan is a discount off a price per unit: the other models have none. */
static bool has_list_price(const struct price_rule *price) {
  return price && price->model != PRICE_FLAT && price->model != PRICE_STAIRSTEP;
}

static const struct cover_usage *usage_covered(const struct cover *cover, const struct run *run) {
  for (size_t i = 0; i < cover->usage_count; i++) {
    const struct cover_usage *u = &cover->usage[i];
    if (u->meter == run->meter && match_all(u->matches, u->match_count, run->dimensions)) {
      return u;
    }
  }
  return NULL;
}

void find_claims(struct arena *scratch, const struct stretch *stretch, struct run *run) {
  struct claim *claims = NULL;
  for (size_t i = 0; i < stretch->cover_count; i++) {
    const struct cover *cover = stretch->covers[i].cover;
    const struct cover_usage *usage = usage_covered(cover, run);
    if (!usage || (cover->kind == COVER_SAVINGS_PLAN && !has_list_price(run->price))) {
      continue;
    }
    if (!claims) {
      claims = arena_array(scratch, stretch->cover_count - i, sizeof *claims);
    }
    claims[run->claim_count++] = (struct claim){i, usage->discount};
  }
  run->claims = claims;
}

/* ---- the fee ---- */

/* How many units of time, of all units reserved, lie before t. */
static bool units_until(const struct cover *cover, instant t, struct fraction *out, struct error *err) {
  *out = (struct fraction){t.ns - cover->from.ns, cover->each_s * (int128)NS_PER_S};
  return fraction_times(out, cover->quantity.e9, QUANTITY_E9, err);
}

bool cover_cost_until(const struct cover *cover, instant t, amount *out, struct error *err) {
  struct fraction units;
  return units_until(cover, t, &units, err) && amount_times_fraction(cover->each, units, out, err);
}

/* What is paid bit by bit, up to t: all of the fee, none, or what the first payment left, evenly over the term. */
static bool spread_until(const struct cover *cover, instant t, amount *out, struct error *err) {
  if (cover->payment == COVER_MONTHLY) {
    return cover_cost_until(cover, t, out, err);
  }
  amount rest = AMOUNT_ZERO;
  *out = AMOUNT_ZERO;
  if (cover->payment == COVER_UPFRONT) {
    return true;
  }
  const struct fraction share = {t.ns - cover->from.ns, cover->to.ns - cover->from.ns};
  return cover_cost_until(cover, cover->to, &rest, err) && amount_sub(rest, cover->upfront, &rest, err) &&
         amount_times_fraction(rest, share, out, err);
}

/* "64 x 744 hours x 1.45"; by the second where hours do not tell it whole. */
static const char *describe_fee(struct arena *arena, const struct cover *cover, instant from, instant to) {
  char level[DECIMAL_TEXT_MAX], time[DECIMAL_TEXT_MAX], each[DECIMAL_TEXT_MAX];
  int64_t ns = to.ns - from.ns, hour = 3600 * NS_PER_S;
  quantity_text(cover->quantity, level);
  amount_text(cover->each, each);
  const char *times = cover->kind == COVER_RESERVATION ? " x " : "";
  if (cover->kind != COVER_RESERVATION) {
    level[0] = '\0';
  }
  if (cover->each_s == 3600 && ns % hour == 0) {
    return arena_printf(arena, "%s%s%lld hours x %s", level, times, (long long)(ns / hour), each);
  }
  return arena_printf(arena, "%s%s%s seconds / %lld x %s", level, times, quantity_text((quantity){ns}, time),
                      (long long)cover->each_s, each);
}

struct cover_fee {
  const char *suffix; /* of its name */
  instant from, to;   /* of the fee it is part of */
  bool once;          /* one payment, not by units of time */
  bool each_price;    /* units x price says all of it */
  amount amount;
};

static bool add_cover_fee(struct arena *arena, const struct stretch *s, const struct cover *cover,
                          const struct cover_fee *fee, struct charges *charges, struct error *err) {
  struct fraction from, to;
  quantity units = QUANTITY_ONE, before;
  bool reserved = cover->kind == COVER_RESERVATION;
  if (!fee->once &&
      (!units_until(cover, fee->from, &from, err) || !units_until(cover, fee->to, &to, err) ||
       !quantity_times_fraction(QUANTITY_ONE, from, &before, err) ||
       !quantity_times_fraction(QUANTITY_ONE, to, &units, err) || !quantity_sub(units, before, &units, err))) {
    return false;
  }
  char upfront[DECIMAL_TEXT_MAX];
  struct trace_step *step = arena_alloc(arena, sizeof *step);
  *step = (struct trace_step){.raw = units,
                              .price = {fee->each_price ? cover->each : fee->amount, QUANTITY_ONE},
                              .multiplier = RATE_ONE,
                              .amount = fee->amount,
                              .from = fee->from,
                              .to = fee->to,
                              .note = describe_fee(arena, cover, fee->from, fee->to)};
  slice unit = fee->once ? SLICE("") : reserved ? cover->usage[0].meter->unit : SLICE("hour");
  if (!fee->once && !fee->each_price) {
    step->price = (struct price){0};
    step->note = arena_printf(arena, "%s, less %s paid at the start, evenly over the term", step->note,
                              amount_text(cover->upfront, upfront));
  }
  if (fee->once) {
    step->note = arena_printf(arena, "part of %s", step->note);
  }
  vec_push(charges,
           (struct charge){.kind = CHARGE_FEE,
                           .name = slice_of(arena_printf(arena, SLICE_FMT "%s", SLICE_ARG(cover->name), fee->suffix)),
                           .product = cover->product,
                           .unit = unit,
                           .segment = s->segment,
                           .cover = cover,
                           .raw = units,
                           .units = units,
                           .has_unit_price = fee->once || fee->each_price,
                           .unit_price = step->price,
                           .exact = fee->amount,
                           .steps = step,
                           .step_count = 1});
  return true;
}

/* Paid in the stretch that holds the start of the term. */
static bool charge_start(struct arena *arena, const struct stretch *s, const struct cover *cover,
                         struct charges *charges, struct error *err) {
  struct cover_fee fee = {.suffix = ", upfront",
                          .from = cover->from,
                          .to = cover->to,
                          .once = cover->payment == COVER_PARTIAL,
                          .each_price = cover->payment == COVER_UPFRONT,
                          .amount = cover->upfront};
  if (cover->payment == COVER_MONTHLY || cover->from.ns < s->from.ns) {
    return true;
  }
  if (cover->payment == COVER_UPFRONT && !cover_cost_until(cover, cover->to, &fee.amount, err)) {
    return false;
  }
  return add_cover_fee(arena, s, cover, &fee, charges, err);
}

static bool charge_spread(struct arena *arena, const struct stretch *s, const struct cover_span *span,
                          struct charges *charges, struct error *err) {
  amount before;
  struct cover_fee fee = {
      .suffix = "", .from = span->from, .to = span->to, .each_price = span->cover->payment == COVER_MONTHLY};
  if (span->cover->payment == COVER_UPFRONT) {
    return true;
  }
  return spread_until(span->cover, span->from, &before, err) && spread_until(span->cover, span->to, &fee.amount, err) &&
         amount_sub(fee.amount, before, &fee.amount, err) && add_cover_fee(arena, s, span->cover, &fee, charges, err);
}

bool charge_covers(struct arena *arena, const struct stretch *s, struct charges *charges, struct error *err) {
  for (size_t i = 0; i < s->cover_count; i++) {
    const struct cover *cover = s->covers[i].cover;
    if (!charge_start(arena, s, cover, charges, err) || !charge_spread(arena, s, &s->covers[i], charges, err)) {
      return error_at(err, "%s:%d: \"" SLICE_FMT "\"", cover->place.file, cover->place.line, SLICE_ARG(cover->name));
    }
  }
  return true;
}
