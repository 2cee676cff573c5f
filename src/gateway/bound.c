/* The most a call can come to, before it is known how its tokens split over the kinds that are priced apart. */
#include "gateway/private.h"

#define EACH_OF 1000000 /* units that the price of one is told from */

/* The tokens of one direction. Where a unit costs a price at most, all of them cost at most what they would be of the
 * dearest kind. Prices that take a step at once, a package or a flat fee, may do so for each of the kinds. */
struct most {
  amount steps;   /* sum over the kinds */
  amount dearest; /* of the others, the one kind that costs most */
};

static bool takes_steps(const struct price_rule *price) {
  bool flat = price->model != PRICE_PER_UNIT && price->model != PRICE_GRADUATED && price->model != PRICE_PERCENTAGE;
  for (size_t i = 0; i < price->tier_count && !flat; i++) {
    flat = !amount_is_zero(price->tiers[i].flat);
  }
  return flat;
}

/* Without steps: each unit as dear as the dearest. */
static bool most_by_unit(const struct part *part, quantity raw, amount *out, struct error *err) {
  if (part->price->tier_count == 1) {
    return rate_marginal_most(part->price, part->dimensions, raw, out, err);
  }
  return rate_marginal_most(part->price, part->dimensions, QUANTITY_ONE, out, err) &&
         (!__builtin_mul_overflow(out->e12, raw.e9 / QUANTITY_E9, &out->e12) ||
          error_set(err, ERR_OVERFLOW, "more tokens than can be priced"));
}

/* Of allowances no more than is left. */
static quantity beyond_allowance(const struct terms *terms, const struct part *part, int64_t count) {
  quantity raw = kind_units(count);
  int128 left = part->allowance >= 0 ? terms->allowances[part->allowance].raw.e9 : 0;
  int128 rest = raw.e9 > left ? raw.e9 - left : 0;
  return (quantity){(rest + QUANTITY_E9 - 1) / QUANTITY_E9 * QUANTITY_E9};
}

bool quote_find_each(struct quote *quote, enum kind kind, struct error *err) {
  int128 sum = 0;
  amount many;
  quote->each_e12[kind] = -1;
  for (size_t i = 0; i < quote->count; i++) {
    const struct part *p = &quote->parts[i];
    if (p->kind != kind) {
      continue;
    }
    if (p->price->model != PRICE_PER_UNIT || p->allowance >= 0) {
      return true;
    }
    if (!rate_marginal_most(p->price, p->dimensions, kind_units(EACH_OF), &many, err) ||
        !amount_times_rate(many, p->factor, ROUND_CEILING, &many, err)) {
      return false;
    }
    sum += many.e12;
  }
  quote->each_e12[kind] = (sum + EACH_OF - 1) / EACH_OF;
  return true;
}

/* With what rounding may add; nothing for what is free. */
static bool most_of_each(int128 each_e12, int64_t count, amount *out, struct error *err) {
  *out = AMOUNT_ZERO;
  return each_e12 == 0 || count == 0 ||
         (!__builtin_mul_overflow(each_e12, (int128)count, &out->e12) &&
          !__builtin_add_overflow(out->e12, (int128)PARTS_MAX, &out->e12)) ||
         error_set(err, ERR_OVERFLOW, "more tokens than can be priced");
}

static bool add_kind(const struct terms *terms, const struct quote *quote, enum kind kind, int64_t count,
                     struct most *most, struct error *err) {
  amount by_unit = AMOUNT_ZERO, one;
  bool same = quote->each_e12[kind] >= 0;
  if (same && !most_of_each(quote->each_e12[kind], count, &by_unit, err)) {
    return false;
  }
  for (size_t i = 0; i < quote->count && !same; i++) {
    const struct part *p = &quote->parts[i];
    if (p->kind != kind) {
      continue;
    }
    quantity raw = beyond_allowance(terms, p, count);
    bool steps = takes_steps(p->price);
    bool ok = steps ? rate_marginal_most(p->price, p->dimensions, raw, &one, err) : most_by_unit(p, raw, &one, err);
    amount *sum = steps ? &most->steps : &by_unit;
    if (!ok || !amount_times_rate(one, p->factor, ROUND_CEILING, &one, err) || !amount_add(*sum, one, sum, err)) {
      return false;
    }
  }
  most->dearest = amount_cmp(by_unit, most->dearest) > 0 ? by_unit : most->dearest;
  return true;
}

static bool add_bound(const struct terms *terms, const struct quote *quote, enum kind first, enum kind last,
                      int64_t count, amount *out, struct error *err) {
  struct most most = {AMOUNT_ZERO, AMOUNT_ZERO};
  for (enum kind k = first; k <= last; k++) {
    if (!add_kind(terms, quote, k, count, &most, err)) {
      return false;
    }
  }
  return amount_add(*out, most.steps, out, err) && amount_add(*out, most.dearest, out, err);
}

static int64_t most_of(enum kind kind, int64_t input_tokens, int64_t output_tokens) {
  return kind == KIND_REQUESTS ? 1 : kind_is_input(kind) ? input_tokens : output_tokens;
}

static void set_allowances_aside(struct terms *terms, const struct quote *quote, int64_t input_tokens,
                                 int64_t output_tokens, struct set_aside *aside) {
  for (size_t i = 0; i < quote->count; i++) {
    const struct part *p = &quote->parts[i];
    aside->raw[i] = QUANTITY_ZERO;
    if (p->allowance >= 0) {
      struct allowance_left *a = &terms->allowances[p->allowance];
      quantity wanted = kind_units(most_of(p->kind, input_tokens, output_tokens));
      aside->raw[i].e9 = wanted.e9 < a->raw.e9 ? wanted.e9 : a->raw.e9;
      a->raw.e9 -= aside->raw[i].e9;
    }
  }
}

bool quote_bound(struct terms *terms, const struct quote *quote, int64_t input_tokens, int64_t output_tokens,
                 struct set_aside *aside, amount *out, struct error *err) {
  *out = AMOUNT_ZERO;
  if (!add_bound(terms, quote, KIND_REQUESTS, KIND_REQUESTS, 1, out, err) ||
      !add_bound(terms, quote, KIND_INPUT, KIND_INPUT_AUDIO, input_tokens, out, err) ||
      !add_bound(terms, quote, KIND_OUTPUT, KIND_OUTPUT_AUDIO, output_tokens, out, err)) {
    return false;
  }
  set_allowances_aside(terms, quote, input_tokens, output_tokens, aside);
  return true;
}
