/* Splitting an amount by largest remainder (Hamilton's method): parts of whole minor units that sum exactly. */
#include "money/money.h"
#include <stdlib.h>

#define PARTS_MAX 100000

struct share {
  size_t index;
  int128 remainder; /* of total x weight / sum: what was cut off, comparable across shares */
};

static int larger_remainder(const void *a, const void *b) {
  const struct share *x = a, *y = b;
  if (x->remainder != y->remainder) {
    return x->remainder > y->remainder ? -1 : 1;
  }
  return x->index < y->index ? -1 : 1;
}

static bool sum_weights(const amount *weights, size_t n, amount *sum, struct error *err) {
  *sum = AMOUNT_ZERO;
  for (size_t i = 0; i < n; i++) {
    if (weights[i].e12 < 0) {
      return error_set(err, ERR_INVALID, "a weight of a split is negative");
    }
    if (!amount_add(*sum, weights[i], sum, err)) {
      return false;
    }
  }
  return sum->e12 > 0 || error_set(err, ERR_INVALID, "a split needs a weight above zero");
}

static bool minor_units_of(amount total, const struct currency *currency, int128 *units, int128 *unit,
                           struct error *err) {
  *unit = AMOUNT_E12;
  for (int i = 0; i < currency->minor_units; i++) {
    *unit /= 10;
  }
  *units = total.e12 / *unit;
  return total.e12 % *unit == 0 ||
         error_set(err, ERR_INVALID, "only whole minor units of %s can be split", currency->code);
}

/* The remainder of units x weight / sum, found as a difference: modulo 2^128 it is exact, being below sum. */
static int128 remainder_of(int128 units, int128 weight, int128 quotient, int128 sum) {
  return (int128)((uint128)units * (uint128)weight - (uint128)quotient * (uint128)sum);
}

static bool split_units(int128 units, const amount *weights, int128 sum, size_t n, amount *parts, struct share *shares,
                        struct error *err) {
  int128 left = units;
  for (size_t i = 0; i < n; i++) {
    int128 quotient;
    if (!int128_muldiv(units, weights[i].e12, sum, ROUND_DOWN, &quotient, err)) {
      return false;
    }
    parts[i].e12 = quotient;
    shares[i] = (struct share){i, remainder_of(units, weights[i].e12, quotient, sum)};
    left -= quotient;
  }
  qsort(shares, n, sizeof *shares, larger_remainder);
  must(left >= 0 && (uint128)left <= n);
  for (size_t i = 0; i < (size_t)left; i++) {
    parts[shares[i].index].e12++;
  }
  return true;
}

bool amount_split(amount total, const struct currency *currency, const amount *weights, size_t n, amount *parts,
                  struct error *err) {
  amount sum;
  int128 units, unit;
  if (n == 0 || n > PARTS_MAX) {
    return error_set(err, ERR_INVALID, "a split has 1 to %d parts", PARTS_MAX);
  }
  if (!sum_weights(weights, n, &sum, err) || !minor_units_of(total, currency, &units, &unit, err)) {
    return false;
  }
  bool negative = units < 0;
  struct share *shares = mem_alloc(n * sizeof *shares);
  bool ok = split_units(negative ? -units : units, weights, sum.e12, n, parts, shares, err);
  free(shares);
  for (size_t i = 0; ok && i < n; i++) {
    parts[i].e12 *= negative ? -unit : unit;
  }
  return ok;
}
