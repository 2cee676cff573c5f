/* Exact arithmetic: checked sums, and one multiply-divide through a 256-bit product that all else rests on. */
#include "money/money.h"

#define INT128_MAX_ ((int128)(((uint128)1 << 127) - 1))
#define INT128_MIN_ (-INT128_MAX_ - 1)

static uint128 magnitude(int128 a) {
  return a < 0 ? (uint128)0 - (uint128)a : (uint128)a;
}

/* ---- 256-bit product and its division by 128 bits ---- */

struct u256 {
  uint128 high, low;
};

static struct u256 multiply(uint128 a, uint128 b) {
  const uint128 mask = UINT64_MAX;
  uint128 a0 = a & mask, a1 = a >> 64, b0 = b & mask, b1 = b >> 64;
  uint128 p00 = a0 * b0, p01 = a0 * b1, p10 = a1 * b0, p11 = a1 * b1;
  uint128 middle = (p00 >> 64) + (p01 & mask) + (p10 & mask);
  return (struct u256){p11 + (p01 >> 64) + (p10 >> 64) + (middle >> 64), (middle << 64) | (p00 & mask)};
}

/* Shift and subtract; called only when high < divisor, so that the quotient fits. */
static uint128 divide(struct u256 n, uint128 divisor, uint128 *remainder) {
  uint128 rest = n.high, quotient = 0;
  for (int bit = 127; bit >= 0; bit--) {
    bool carry = rest >> 127;
    rest = rest << 1 | ((n.low >> bit) & 1);
    quotient <<= 1;
    if (carry || rest >= divisor) {
      rest -= divisor;
      quotient |= 1;
    }
  }
  *remainder = rest;
  return quotient;
}

/* Does the magnitude go up by one? `rest` of `divisor` was left over. */
static bool rounds_up(enum rounding how, bool negative, uint128 quotient, uint128 rest, uint128 divisor) {
  if (rest == 0) {
    return false;
  }
  uint128 other = divisor - rest;
  int half = rest > other ? 1 : rest < other ? -1 : 0;
  switch (how) {
  case ROUND_HALF_EVEN:
    return half > 0 || (half == 0 && (quotient & 1));
  case ROUND_HALF_UP:
    return half >= 0;
  case ROUND_HALF_DOWN:
    return half > 0;
  case ROUND_UP:
    return true;
  case ROUND_DOWN:
    return false;
  case ROUND_CEILING:
    return !negative;
  case ROUND_FLOOR:
    return negative;
  }
  return false;
}

static bool overflow(struct error *err) {
  return error_set(err, ERR_OVERFLOW, "the number leaves the range of exact money");
}

static bool with_sign(uint128 size, bool negative, int128 *out, struct error *err) {
  uint128 limit = (uint128)INT128_MAX_ + negative;
  if (size > limit) {
    return overflow(err);
  }
  *out = negative ? (int128)((uint128)0 - size) : (int128)size;
  return true;
}

bool int128_muldiv(int128 a, int128 b, int128 c, enum rounding how, int128 *out, struct error *err) {
  must(c != 0);
  bool negative = (a < 0) != (b < 0) ? c > 0 : c < 0;
  uint128 x = magnitude(a), y = magnitude(b), divisor = magnitude(c), product, quotient, rest;
  if (!__builtin_mul_overflow(x, y, &product)) {
    quotient = product / divisor;
    rest = product % divisor;
  } else {
    struct u256 wide = multiply(x, y);
    if (wide.high >= divisor) {
      return overflow(err);
    }
    quotient = divide(wide, divisor, &rest);
  }
  if (rounds_up(how, negative, quotient, rest, divisor) && ++quotient == 0) {
    return overflow(err);
  }
  return with_sign(quotient, negative, out, err);
}

/* ---- sums ---- */

static bool add(int128 a, int128 b, int128 *out, struct error *err) {
  int128 sum;
  if (__builtin_add_overflow(a, b, &sum)) {
    return overflow(err);
  }
  *out = sum;
  return true;
}

static bool subtract(int128 a, int128 b, int128 *out, struct error *err) {
  int128 difference;
  if (__builtin_sub_overflow(a, b, &difference)) {
    return overflow(err);
  }
  *out = difference;
  return true;
}

bool amount_add(amount a, amount b, amount *out, struct error *err) {
  return add(a.e12, b.e12, &out->e12, err);
}
bool amount_sub(amount a, amount b, amount *out, struct error *err) {
  return subtract(a.e12, b.e12, &out->e12, err);
}
bool quantity_add(quantity a, quantity b, quantity *out, struct error *err) {
  return add(a.e9, b.e9, &out->e9, err);
}
bool quantity_sub(quantity a, quantity b, quantity *out, struct error *err) {
  return subtract(a.e9, b.e9, &out->e9, err);
}

amount amount_negate(amount a) {
  must(a.e12 != INT128_MIN_);
  return (amount){-a.e12};
}

int amount_cmp(amount a, amount b) {
  return (a.e12 > b.e12) - (a.e12 < b.e12);
}
int quantity_cmp(quantity a, quantity b) {
  return (a.e9 > b.e9) - (a.e9 < b.e9);
}

/* ---- products ---- */

bool price_times(struct price p, quantity q, amount *out, struct error *err) {
  must(p.per.e9 > 0);
  return int128_muldiv(p.each.e12, q.e9, p.per.e9, ROUND_HALF_EVEN, &out->e12, err);
}

bool amount_times_rate(amount a, rate r, enum rounding how, amount *out, struct error *err) {
  return int128_muldiv(a.e12, r.e12, AMOUNT_E12, how, &out->e12, err);
}

bool quantity_times_rate(quantity q, rate r, enum rounding how, quantity *out, struct error *err) {
  return int128_muldiv(q.e9, r.e12, AMOUNT_E12, how, &out->e9, err);
}

bool rate_times(rate a, rate b, rate *out, struct error *err) {
  return int128_muldiv(a.e12, b.e12, AMOUNT_E12, ROUND_HALF_EVEN, &out->e12, err);
}

int128 quantity_packages(quantity q, quantity size) {
  must(q.e9 >= 0 && size.e9 > 0);
  return q.e9 / size.e9 + (q.e9 % size.e9 != 0);
}
