/* Exact fractions of 128-bit integers, reduced only when a product would leave the range. */
#include "rate/private.h"

static int128 common_divisor(int128 a, int128 b) {
  while (b != 0) {
    int128 rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static void cancel(int128 *a, int128 *b) {
  int128 divisor = common_divisor(*a, *b);
  if (divisor > 1) {
    *a /= divisor;
    *b /= divisor;
  }
}

void fraction_reduce(struct fraction *f) {
  cancel(&f->num, &f->den);
}

static bool times(struct fraction *f, int128 num, int128 den) {
  struct fraction product;
  if (__builtin_mul_overflow(f->num, num, &product.num) || __builtin_mul_overflow(f->den, den, &product.den)) {
    return false;
  }
  *f = product;
  return true;
}

bool fraction_times(struct fraction *f, int128 num, int128 den, struct error *err) {
  must(den > 0);
  if (times(f, num, den)) {
    return true;
  }
  cancel(&f->num, &f->den);
  cancel(&num, &den);
  cancel(&f->num, &den);
  cancel(&num, &f->den);
  return times(f, num, den) || error_set(err, ERR_OVERFLOW, "a product of usage and price is too large to be exact");
}

/* Price and multiplier are small where usage may be vast, so those two are multiplied and usage is left to muldiv. */
bool amount_of_usage(amount each, int128 count, int128 per, rate multiplier, amount *out, struct error *err) {
  struct fraction weighted = {each.e12, per}, factor = {multiplier.e12, RATE_ONE.e12};
  fraction_reduce(&factor);
  return fraction_times(&weighted, factor.num, factor.den, err) &&
         int128_muldiv(weighted.num, count, weighted.den, ROUND_HALF_EVEN, &out->e12, err);
}

bool amount_times_fraction(amount a, struct fraction f, amount *out, struct error *err) {
  return int128_muldiv(a.e12, f.num, f.den, ROUND_HALF_EVEN, &out->e12, err);
}

bool quantity_times_fraction(quantity q, struct fraction f, quantity *out, struct error *err) {
  return int128_muldiv(q.e9, f.num, f.den, ROUND_HALF_EVEN, &out->e9, err);
}

bool quantity_units(const struct meter *meter, quantity raw, quantity *units, struct error *err) {
  return int128_muldiv(raw.e9, QUANTITY_E9, meter->base_per_unit.e9, ROUND_HALF_EVEN, &units->e9, err);
}
