/* Wide decimals against GMP rationals: products, sums and their text. */
#include "base/hash.h"
#include "documents/wide.h"
#include <gmp.h>
#include <stdlib.h>
#include <string.h>

static struct random rng;

static int128 any(void) {
  uint128 v = ((uint128)random_u64(&rng) << 64 | random_u64(&rng)) >> (1 + random_below(&rng, 127));
  return random_below(&rng, 2) ? -(int128)v : (int128)v;
}

static struct decimal any_decimal(void) {
  return (struct decimal){any(), (int)random_below(&rng, 23)};
}

static void to_rational(struct decimal d, mpq_t out) {
  uint128 size = d.value < 0 ? (uint128)0 - (uint128)d.value : (uint128)d.value;
  uint64_t words[2] = {(uint64_t)size, (uint64_t)(size >> 64)};
  mpz_import(mpq_numref(out), 2, -1, 8, 0, 0, words);
  if (d.value < 0) {
    mpz_neg(mpq_numref(out), mpq_numref(out));
  }
  mpz_ui_pow_ui(mpq_denref(out), 10, (unsigned)d.decimals);
  mpq_canonicalize(out);
}

/* The shortest text: no zeros it could do without, and read digit by digit it is the value. */
static void same(const struct wide *w, const mpq_t expected) {
  char text[WIDE_TEXT_MAX], digits[WIDE_TEXT_MAX];
  wide_text(w, text);
  size_t n = 0, length = strlen(text), decimals = 0;
  const char *point = strchr(text, '.');
  for (size_t i = 0; i < length; i++) {
    if (text[i] != '.') {
      digits[n++] = text[i];
    }
  }
  digits[n] = '\0';
  decimals = point ? (size_t)(text + length - point) - 1 : 0;
  const char *first = text + (text[0] == '-');
  must(point == NULL || (text[length - 1] != '0' && decimals > 0));
  must(first[0] != '0' || first[1] == '.' || first[1] == '\0');
  must(strcmp(text, "-0") != 0);
  mpq_t read;
  mpq_init(read);
  must(mpz_set_str(mpq_numref(read), digits, 10) == 0);
  mpz_ui_pow_ui(mpq_denref(read), 10, decimals);
  mpq_canonicalize(read);
  must(mpq_equal(read, expected));
  mpq_clear(read);
}

static void one_case(mpq_t x, mpq_t y, mpq_t z) {
  struct decimal a = any_decimal(), b = any_decimal(), c = any_decimal();
  struct wide product, other, sum;
  to_rational(a, x);
  to_rational(b, y);
  other = wide_of(c);
  to_rational(c, z);
  same(&other, z);
  mpq_mul(x, x, y);
  if (wide_product(a, b, &product)) {
    same(&product, x);
    must(wide_add(&product, &other, &sum));
    mpq_add(x, x, z);
    same(&sum, x);
    sum = wide_negate(sum);
    mpq_neg(x, x);
    same(&sum, x);
    struct wide back = wide_negate(sum);
    must(wide_add(&sum, &back, &sum) && wide_is_zero(&sum));
  } else { /* 108 digits, 45 of them behind the point: it must really have been too large */
    mpq_abs(x, x);
    mpz_ui_pow_ui(mpq_numref(y), 10, WIDE_LIMBS * 9 - WIDE_DECIMALS);
    mpz_set_ui(mpq_denref(y), 1);
    must(mpq_cmp(x, y) >= 0);
  }
  struct decimal narrow;
  if (decimal_times(a, b, &narrow)) {
    to_rational(narrow, z);
    to_rational(a, x);
    to_rational(b, y);
    mpq_mul(x, x, y);
    must(mpq_equal(x, z));
  }
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 1;
  uint64_t cases = cases_text ? strtoull(cases_text, NULL, 10) : 100000;
  mpq_t x, y, z;
  mpq_inits(x, y, z, NULL);
  random_seed(&rng, seed, 0);
  printf("prop_wide: SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  for (uint64_t i = 0; i < cases; i++) {
    one_case(x, y, z);
  }
  mpq_clears(x, y, z, NULL);
  return 0;
}
