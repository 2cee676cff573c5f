/* Exact money against GMP rationals: parsing, printing, sums, multiply-divide in every rounding, splits. */
#include "base/hash.h"
#include "money/money.h"
#include <gmp.h>
#include <stdlib.h>
#include <string.h>

static struct random rng;
static mpz_t za, zb, zc, zq, zr, limit;
static mpq_t qa, qb;

static void set_z(mpz_t z, int128 v) {
  uint128 size = v < 0 ? (uint128)0 - (uint128)v : (uint128)v;
  uint64_t words[2] = {(uint64_t)size, (uint64_t)(size >> 64)};
  mpz_import(z, 2, -1, 8, 0, 0, words);
  if (v < 0) {
    mpz_neg(z, z);
  }
}

/* Any size from 0 to 127 bits, both signs, borders included. */
static int128 any(void) {
  unsigned bits = (unsigned)random_below(&rng, 128);
  uint128 v = ((uint128)random_u64(&rng) << 64 | random_u64(&rng)) >> (127 - bits) >> 1;
  if (random_below(&rng, 16) == 0) {
    v = ((uint128)1 << bits) - 1;
  }
  if (random_below(&rng, 16) == 0) {
    v = (uint128)random_below(&rng, 20);
  }
  v &= ((uint128)1 << 127) - 1;
  return random_below(&rng, 2) ? -(int128)v : (int128)v;
}

/* The oracle's rounding of zq = za x zb / zc, spelled out from the definitions and not from the code. */
static void divide_rounded(enum rounding how) {
  int half, sign;
  mpz_tdiv_qr(zq, zr, za, zc);
  if (mpz_sgn(zr) == 0) {
    return;
  }
  sign = mpz_sgn(za) * mpz_sgn(zc);
  mpz_mul_ui(zr, zr, 2);
  half = mpz_cmpabs(zr, zc);
  bool away = false;
  if (how == ROUND_HALF_EVEN) {
    away = half > 0 || (half == 0 && mpz_odd_p(zq));
  }
  if (how == ROUND_HALF_UP) {
    away = half >= 0;
  }
  if (how == ROUND_HALF_DOWN) {
    away = half > 0;
  }
  if (how == ROUND_UP) {
    away = true;
  }
  if (how == ROUND_CEILING) {
    away = sign > 0;
  }
  if (how == ROUND_FLOOR) {
    away = sign < 0;
  }
  if (away && sign > 0) {
    mpz_add_ui(zq, zq, 1);
  }
  if (away && sign < 0) {
    mpz_sub_ui(zq, zq, 1);
  }
}

static bool fits(const mpz_t z) {
  mpz_set(zr, limit);
  if (mpz_sgn(z) < 0) {
    mpz_neg(zr, zr);
    return mpz_cmp(z, zr) >= 0;
  }
  return mpz_cmp(z, zr) < 0;
}

static void check_muldiv(void) {
  int128 a = any(), b = any(), c = any(), got = 42;
  enum rounding how = (enum rounding)random_below(&rng, 7);
  struct error err = {0};
  if (c == 0) {
    c = 1;
  }
  if (random_below(&rng, 4) == 0) {
    c = 2 * (any() >> 70) + (c > 0 ? 1 : -1);
  }
  if (c == 0) {
    c = 3;
  }
  set_z(za, a);
  set_z(zb, b);
  set_z(zc, c);
  mpz_mul(za, za, zb);
  divide_rounded(how);
  bool ok = int128_muldiv(a, b, c, how, &got, &err);
  must(ok == fits(zq));
  if (ok) {
    set_z(zb, got);
    must(mpz_cmp(zb, zq) == 0);
  } else {
    must(err.code == ERR_OVERFLOW && got == 42);
  }
}

static void check_sums(void) {
  amount a = {any()}, b = {any()}, got;
  struct error err = {0};
  set_z(za, a.e12);
  set_z(zb, b.e12);
  mpz_add(zq, za, zb);
  must(amount_add(a, b, &got, &err) == fits(zq));
  if (fits(zq)) {
    set_z(zb, got.e12);
    must(mpz_cmp(zb, zq) == 0);
  }
}

/* What is printed reads back as the same value, and says what GMP says. */
static void check_text(void) {
  amount a = {any()}, again;
  quantity q = {any()}, q_again;
  char text[DECIMAL_TEXT_MAX];
  struct error err = {0};
  must(amount_parse(slice_of(amount_text(a, text)), &again, &err) && again.e12 == a.e12);
  must(text[strlen(text) - 1] != '0' || strchr(text, '.') == NULL);
  must(amount_parse(slice_of(amount_text_fixed(a, 4, text)), &again, &err) && again.e12 == a.e12);
  must(strlen(strchr(text, '.')) >= 5);
  must(quantity_parse(slice_of(quantity_text(q, text)), &q_again, &err) && q_again.e9 == q.e9);
  rate r = {(int128)random_below(&rng, 3000000000000) - 1000000000000}, shown;
  must(rate_parse(slice_of(rate_percent(r, text)), &shown, &err) && shown.e12 % 1000000000 == 0);
  must(shown.e12 - r.e12 <= 500000000 && r.e12 - shown.e12 <= 500000000);
}

/* A decimal text put together at random means what its digits mean. */
static void check_parse(void) {
  char text[100];
  int whole = 1 + (int)random_below(&rng, 24), fraction = (int)random_below(&rng, 15),
      exponent = (int)random_below(&rng, 9) - 4, n = 0;
  struct error err = {0};
  amount got;
  if (random_below(&rng, 2)) {
    text[n++] = '-';
  }
  for (int i = 0; i < whole; i++) {
    text[n++] = (char)('0' + random_below(&rng, 10));
  }
  if (fraction) {
    text[n++] = '.';
  }
  for (int i = 0; i < fraction; i++) {
    text[n++] = (char)('0' + random_below(&rng, random_below(&rng, 2) ? 1 : 10));
  }
  text[n] = '\0';
  char digits[100];
  size_t d = 0;
  for (int i = 0; i < n; i++) {
    if (text[i] != '.') {
      digits[d++] = text[i];
    }
  }
  digits[d] = '\0';
  snprintf(text + n, sizeof text - (size_t)n, "e%d", exponent);
  must(mpz_set_str(za, digits, 10) == 0);
  int shift = exponent - fraction + 12;
  mpz_ui_pow_ui(zc, 10, (unsigned long)abs(shift));
  bool exact = true;
  if (shift >= 0) {
    mpz_mul(zq, za, zc);
  } else {
    exact = mpz_divisible_p(za, zc) != 0;
    mpz_tdiv_q(zq, za, zc);
  }
  bool ok = amount_parse(slice_of(text), &got, &err);
  must(ok == (exact && fits(zq)));
  if (ok) {
    set_z(zb, got.e12);
    must(mpz_cmp(zb, zq) == 0);
  }
}

static const char *const codes[] = {"USD", "JPY", "KWD", "CLF", "EUR", "KRW", "TND", "UYW"};

static void check_round(void) {
  const struct currency *currency = currency_find(slice_of(codes[random_below(&rng, 8)]));
  amount a = {any() >> 8}, got;
  struct error err = {0};
  enum rounding how = (enum rounding)random_below(&rng, 7);
  set_z(za, a.e12);
  mpz_ui_pow_ui(zc, 10, 12ul - currency->minor_units);
  mpz_t unit;
  mpz_init_set(unit, zc);
  divide_rounded(how);
  mpz_mul(zq, zq, unit);
  must(amount_round(a, currency, how, &got, &err));
  set_z(zb, got.e12);
  must(mpz_cmp(zb, zq) == 0);
  mpz_clear(unit);
}

/* Parts sum exactly; each is within one minor unit of weight / sum of the total. */
static void check_split(void) {
  const struct currency *currency = currency_find(slice_of(codes[random_below(&rng, 8)]));
  amount weights[24], parts[24], total, sum = AMOUNT_ZERO;
  size_t n = 1 + random_below(&rng, 24);
  struct error err = {0};
  must(amount_round((amount){any() >> 40}, currency, ROUND_DOWN, &total, &err));
  mpz_set_ui(zc, 0);
  for (size_t i = 0; i < n; i++) {
    weights[i].e12 = random_below(&rng, 5) ? (int128)random_below(&rng, UINT64_MAX) : 0;
    set_z(zb, weights[i].e12);
    mpz_add(zc, zc, zb);
  }
  if (mpz_sgn(zc) == 0) {
    return;
  }
  must(amount_split(total, currency, weights, n, parts, &err));
  int128 unit = AMOUNT_E12;
  for (int i = 0; i < currency->minor_units; i++) {
    unit /= 10;
  }
  for (size_t i = 0; i < n; i++) {
    must(amount_add(sum, parts[i], &sum, &err) && parts[i].e12 % unit == 0);
    set_z(za, total.e12);
    set_z(zb, weights[i].e12);
    mpz_mul(za, za, zb);
    mpq_set_num(qa, za);
    mpq_set_den(qa, zc);
    mpq_canonicalize(qa);
    set_z(zb, parts[i].e12);
    mpq_set_z(qb, zb);
    mpq_sub(qa, qa, qb);
    mpq_abs(qa, qa);
    set_z(zb, unit);
    mpq_set_z(qb, zb);
    must(mpq_cmp(qa, qb) < 0);
  }
  must(amount_cmp(sum, total) == 0);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 20261121,
           cases = cases_text ? strtoull(cases_text, NULL, 10) : 400000;
  printf("prop_money: SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  random_seed(&rng, seed, 0);
  mpz_inits(za, zb, zc, zq, zr, limit, NULL);
  mpq_inits(qa, qb, NULL);
  mpz_ui_pow_ui(limit, 2, 127);
  for (uint64_t i = 0; i < cases; i++) {
    check_muldiv();
    check_sums();
    check_text();
    check_parse();
    check_round();
    if (i % 8 == 0) {
      check_split();
    }
  }
  mpz_clears(za, zb, zc, zq, zr, limit, NULL);
  mpq_clears(qa, qb, NULL);
  return 0;
}
