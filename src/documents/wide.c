/* Fixed-point decimals of 108 digits in limbs of nine. */
#include "documents/wide.h"
#include <string.h>

#define LIMB 1000000000u

struct decimal decimal_trim(struct decimal d) {
  while (d.decimals > 0 && d.value % 10 == 0) {
    d.value /= 10;
    d.decimals--;
  }
  return d;
}

struct decimal decimal_of_amount(amount a) {
  return decimal_trim((struct decimal){a.e12, 12});
}

struct decimal decimal_of_quantity(quantity q) {
  return decimal_trim((struct decimal){q.e9, 9});
}

bool decimal_times(struct decimal a, struct decimal b, struct decimal *out) {
  struct decimal product = {.decimals = a.decimals + b.decimals};
  if (__builtin_mul_overflow(a.value, b.value, &product.value) || product.decimals > WIDE_DECIMALS) {
    return false;
  }
  *out = decimal_trim(product);
  return true;
}

/* Into limbs, as an integer; returns how many. */
static int split(uint128 v, uint32_t limb[WIDE_LIMBS]) {
  int n = 0;
  for (; v > 0; v /= LIMB) {
    limb[n++] = (uint32_t)(v % LIMB);
  }
  return n;
}

/* Multiplies by 10^digits, so that an integer of that many decimals fewer gets its place. */
static bool shift_up(struct wide *w, int digits) {
  uint32_t small = 1;
  uint64_t carry = 0;
  int limbs = digits / 9;
  for (int i = 0; i < digits % 9; i++) {
    small *= 10;
  }
  for (int i = 0; i < WIDE_LIMBS; i++) {
    carry += (uint64_t)w->limb[i] * small;
    w->limb[i] = (uint32_t)(carry % LIMB);
    carry /= LIMB;
  }
  bool fits = carry == 0;
  for (int i = WIDE_LIMBS - 1; i >= 0; i--) {
    fits = fits && (i + limbs < WIDE_LIMBS || w->limb[i] == 0);
    if (i + limbs < WIDE_LIMBS) {
      w->limb[i + limbs] = w->limb[i];
    }
  }
  memset(w->limb, 0, (size_t)limbs * sizeof *w->limb);
  return fits;
}

static uint128 magnitude(int128 v) {
  return v < 0 ? -(uint128)v : (uint128)v;
}

struct wide wide_of(struct decimal d) {
  struct wide w = {.negative = d.value < 0};
  split(magnitude(d.value), w.limb);
  bool fits = shift_up(&w, WIDE_DECIMALS - d.decimals);
  must(fits); /* 39 digits and 45 decimals are 84 of 108 */
  return w;
}

bool wide_product(struct decimal a, struct decimal b, struct wide *out) {
  uint32_t x[WIDE_LIMBS], y[WIDE_LIMBS];
  int xs = split(magnitude(a.value), x), ys = split(magnitude(b.value), y), decimals = a.decimals + b.decimals;
  struct wide w = {0};
  for (int i = 0; i < xs; i++) {
    uint64_t carry = 0;
    for (int j = 0; j < ys || carry > 0; j++) {
      carry += w.limb[i + j] + (j < ys ? (uint64_t)x[i] * y[j] : 0);
      w.limb[i + j] = (uint32_t)(carry % LIMB);
      carry /= LIMB;
    }
  }
  if (decimals > WIDE_DECIMALS || !shift_up(&w, WIDE_DECIMALS - decimals)) {
    return false;
  }
  w.negative = (a.value < 0) != (b.value < 0) && !wide_is_zero(&w);
  *out = w;
  return true;
}

static int compare(const struct wide *a, const struct wide *b) {
  for (int i = WIDE_LIMBS - 1; i >= 0; i--) {
    if (a->limb[i] != b->limb[i]) {
      return a->limb[i] < b->limb[i] ? -1 : 1;
    }
  }
  return 0;
}

static bool add(const struct wide *a, const struct wide *b, struct wide *out) {
  uint32_t carry = 0;
  for (int i = 0; i < WIDE_LIMBS; i++) {
    uint32_t sum = a->limb[i] + b->limb[i] + carry;
    carry = sum >= LIMB;
    out->limb[i] = sum - carry * LIMB;
  }
  return carry == 0;
}

static void subtract(const struct wide *larger, const struct wide *smaller, struct wide *out) {
  uint32_t borrow = 0;
  for (int i = 0; i < WIDE_LIMBS; i++) {
    uint32_t less = smaller->limb[i] + borrow;
    borrow = larger->limb[i] < less;
    out->limb[i] = larger->limb[i] + borrow * LIMB - less;
  }
}

bool wide_add(const struct wide *a, const struct wide *b, struct wide *out) {
  struct wide sum = {0};
  bool fits = true;
  if (a->negative == b->negative) {
    fits = add(a, b, &sum);
    sum.negative = a->negative;
  } else {
    const struct wide *larger = compare(a, b) >= 0 ? a : b;
    subtract(larger, larger == a ? b : a, &sum);
    sum.negative = larger->negative;
  }
  sum.negative = sum.negative && !wide_is_zero(&sum);
  *out = sum;
  return fits;
}

struct wide wide_negate(struct wide a) {
  a.negative = !a.negative && !wide_is_zero(&a);
  return a;
}

bool wide_is_zero(const struct wide *a) {
  for (int i = 0; i < WIDE_LIMBS; i++) {
    if (a->limb[i] != 0) {
      return false;
    }
  }
  return true;
}

char *wide_text(const struct wide *a, char text[WIDE_TEXT_MAX]) {
  char digits[WIDE_LIMBS * 9 + 1];
  size_t whole = WIDE_LIMBS * 9 - WIDE_DECIMALS, first = 0, end = WIDE_LIMBS * 9, n = 0;
  for (int i = 0; i < WIDE_LIMBS; i++) {
    snprintf(digits + 9 * i, 10, "%09u", (unsigned)a->limb[WIDE_LIMBS - 1 - i]);
  }
  while (first + 1 < whole && digits[first] == '0') {
    first++;
  }
  while (end > whole && digits[end - 1] == '0') {
    end--;
  }
  if (a->negative) {
    text[n++] = '-';
  }
  for (size_t i = first; i < end; i++) {
    if (i == whole) {
      text[n++] = '.';
    }
    text[n++] = digits[i];
  }
  text[n] = '\0';
  return text;
}
