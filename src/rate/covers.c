/* Reservations and savings plans: which are in force when, whose usage they may take, and their fee. */
#include "rate/private.h"

#include <string.h>

/* ---- in force ---- */

static bool error_at_cover(const struct cover *cover, struct error *err) {
  return error_at(err, "%s:%d: \"" SLICE_FMT "\"", cover->place.file, cover->place.line, SLICE_ARG(cover->name));
}

/* One report for all stretches that follow on each other: plan versions, parts of a contract. */
static struct tally *tally_before(const struct stretch *before, const struct stretch *s, const struct cover *cover) {
  if (!before || !before->segment || before->to.ns != s->from.ns) {
    return NULL;
  }
  for (size_t i = 0; i < before->cover_count; i++) {
    if (before->covers[i].cover == cover) {
      return before->covers[i].tally;
    }
  }
  return NULL;
}

static bool add_span(struct arena *scratch, const struct stretch *before, struct stretch *s, quantity times,
                     const struct cover *cover, tallies *found, struct error *err) {
  struct cover_span span = {
      .cover = cover, .from = time_later(cover->from, s->from), .to = time_earlier(cover->to, s->to)};
  const struct fraction had = {times.e9, QUANTITY_E9};
  if (span.from.ns >= span.to.ns) {
    return true;
  }
  if (!quantity_times_fraction(cover->quantity, had, &span.quantity, err)) {
    return error_at_cover(cover, err);
  }
  span.tally = tally_before(before, s, cover);
  if (!span.tally) {
    span.tally = arena_alloc(scratch, sizeof *span.tally);
    span.tally->report = (struct coverage){.cover = cover, .from = span.from};
    vec_push(found, span.tally);
  }
  span.tally->report.to = span.to;
  s->covers[s->cover_count++] = span;
  return true;
}

bool find_covers(struct arena *scratch, struct stretch *stretches, size_t count, tallies *found, struct error *err) {
  for (size_t i = 0; i < count; i++) {
    struct stretch *s = &stretches[i];
    size_t most = 0;
    for (size_t t = 0; t < s->term_count; t++) {
      most += s->terms[t]->cover_count;
    }
    s->covers = arena_array(scratch, most, sizeof *s->covers);
    for (size_t t = 0; t < s->term_count; t++) {
      for (size_t c = 0; c < s->terms[t]->cover_count; c++) {
        if (!add_span(scratch, i > 0 ? s - 1 : NULL, s, s->times[t], &s->terms[t]->covers[c], found, err)) {
          return false;
        }
      }
    }
  }
  return true;
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
static bool units_until(const struct cover_span *span, instant t, struct fraction *out, struct error *err) {
  *out = (struct fraction){t.ns - span->cover->from.ns, span->cover->each_s * (int128)NS_PER_S};
  return fraction_times(out, span->quantity.e9, QUANTITY_E9, err);
}

bool cover_cost_until(const struct cover_span *span, instant t, amount *out, struct error *err) {
  struct fraction units;
  return units_until(span, t, &units, err) && amount_times_fraction(span->cover->each, units, out, err);
}

/* What is paid bit by bit, up to t: all of the fee, none, or what the first payment left, evenly over the term. */
static bool spread_until(const struct cover_span *span, instant t, amount *out, struct error *err) {
  const struct cover *cover = span->cover;
  if (cover->payment == COVER_MONTHLY) {
    return cover_cost_until(span, t, out, err);
  }
  amount rest = AMOUNT_ZERO;
  *out = AMOUNT_ZERO;
  if (cover->payment == COVER_UPFRONT) {
    return true;
  }
  const struct fraction share = {t.ns - cover->from.ns, cover->to.ns - cover->from.ns};
  return cover_cost_until(span, cover->to, &rest, err) && amount_sub(rest, cover->upfront, &rest, err) &&
         amount_times_fraction(rest, share, out, err);
}

/* "64 x 744 hours x 1.45"; by the second where hours do not tell it whole. */
static const char *describe_fee(struct arena *arena, const struct cover_span *span, instant from, instant to) {
  const struct cover *cover = span->cover;
  char level[DECIMAL_TEXT_MAX], time[DECIMAL_TEXT_MAX], each[DECIMAL_TEXT_MAX];
  int64_t ns = to.ns - from.ns, hour = 3600 * NS_PER_S;
  bool one = cover->kind == COVER_SAVINGS_PLAN && quantity_cmp(span->quantity, QUANTITY_ONE) == 0;
  const char *times = one ? "" : " x ";
  quantity_text(span->quantity, level);
  amount_text(cover->each, each);
  level[one ? 0 : strlen(level)] = '\0';
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

static bool add_cover_fee(struct arena *arena, const struct stretch *s, const struct cover_span *span,
                          const struct cover_fee *fee, struct charges *charges, struct error *err) {
  const struct cover *cover = span->cover;
  struct fraction from, to;
  quantity units = QUANTITY_ONE, before;
  bool reserved = cover->kind == COVER_RESERVATION;
  if (!fee->once &&
      (!units_until(span, fee->from, &from, err) || !units_until(span, fee->to, &to, err) ||
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
                              .note = describe_fee(arena, span, fee->from, fee->to)};
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
static bool charge_start(struct arena *arena, const struct stretch *s, const struct cover_span *span,
                         struct charges *charges, struct error *err) {
  const struct cover *cover = span->cover;
  struct cover_fee fee = {.suffix = ", upfront",
                          .from = cover->from,
                          .to = cover->to,
                          .once = cover->payment == COVER_PARTIAL,
                          .each_price = cover->payment == COVER_UPFRONT,
                          .amount = cover->upfront};
  if (cover->payment == COVER_MONTHLY || cover->from.ns < s->from.ns) {
    return true;
  }
  if (cover->payment == COVER_UPFRONT && !cover_cost_until(span, cover->to, &fee.amount, err)) {
    return false;
  }
  return add_cover_fee(arena, s, span, &fee, charges, err);
}

static bool charge_spread(struct arena *arena, const struct stretch *s, const struct cover_span *span,
                          struct charges *charges, struct error *err) {
  amount before;
  struct cover_fee fee = {
      .suffix = "", .from = span->from, .to = span->to, .each_price = span->cover->payment == COVER_MONTHLY};
  if (span->cover->payment == COVER_UPFRONT) {
    return true;
  }
  return spread_until(span, span->from, &before, err) && spread_until(span, span->to, &fee.amount, err) &&
         amount_sub(fee.amount, before, &fee.amount, err) && add_cover_fee(arena, s, span, &fee, charges, err);
}

bool charge_covers(struct arena *arena, const struct stretch *s, struct charges *charges, struct error *err) {
  for (size_t i = 0; i < s->cover_count; i++) {
    if (!charge_start(arena, s, &s->covers[i], charges, err) || !charge_spread(arena, s, &s->covers[i], charges, err)) {
      return error_at_cover(s->covers[i].cover, err);
    }
  }
  return true;
}
