/* Exact money: amounts, quantities, prices and rates as scaled 128-bit integers, currencies, rounding, splitting.
 * No binary floating point comes near any of them. The scales are those of the design: an amount is counted in 1e-12 of
 * the currency's major unit, a quantity in 1e-9 of a unit. Distinct struct types keep them from being mixed. */
#ifndef METERHOUSE_MONEY_MONEY_H
#define METERHOUSE_MONEY_MONEY_H
#include "base/base.h"

typedef __int128 int128;
typedef unsigned __int128 uint128;

typedef struct amount {
  int128 e12;
} amount;
typedef struct quantity {
  int128 e9;
} quantity;
typedef struct rate {
  int128 e12;
} rate; /* a plain factor: 0.21 is 21 %, 1.05 a multiplier; 1 is RATE_ONE */
/* `each` for every `per` units: 0.55 per 1000000 tokens. per > 0. */
struct price {
  amount each;
  quantity per;
};

#define AMOUNT_ZERO ((amount){0})
#define QUANTITY_ZERO ((quantity){0})
#define AMOUNT_E12 ((int128)1000000000000)
#define QUANTITY_E9 ((int128)1000000000)
#define RATE_ONE ((rate){AMOUNT_E12})
#define QUANTITY_ONE ((quantity){QUANTITY_E9})
#define DECIMAL_TEXT_MAX 56

/* ---- text ----
 * "-12.50", "0.000000000001", "1e-6", "3E+2" (a float literal counts as its text). No blanks, no plus sign before the
 * first digit, no thousands separators, no inf or nan. More decimals than the scale holds are an error unless they are
 * zeros: a value is never rounded while it is read. Errors: ERR_INVALID, ERR_OVERFLOW. Texts over 128 bytes are
 * refused. */
MUST_USE bool amount_parse(slice text, amount *out, struct error *err);
MUST_USE bool quantity_parse(slice text, quantity *out, struct error *err);
MUST_USE bool rate_parse(slice text, rate *out, struct error *err); /* also "21 %" and "21%" = 0.21 */
/* Shortest text that parses back to the same value: "10.47149794", "-0.5", "3". Returns `text`. */
char *amount_text(amount a, char text[DECIMAL_TEXT_MAX]);
char *quantity_text(quantity q, char text[DECIMAL_TEXT_MAX]);
char *rate_text(rate r, char text[DECIMAL_TEXT_MAX]);
/* "84.3 %", half-even, for people. */
char *rate_percent(rate r, char text[DECIMAL_TEXT_MAX]);
/* At least `decimals` decimals: amount_text_fixed(10.5, 2) = "10.50"; more only if the value needs them. */
char *amount_text_fixed(amount a, int decimals, char text[DECIMAL_TEXT_MAX]);

/* As a member of an object that is being written: a decimal string. */
struct json_out;
void json_put_amount(struct json_out *w, const char *key, amount a);
void json_put_quantity(struct json_out *w, const char *key, quantity q);
void json_put_rate(struct json_out *w, const char *key, rate r);

/* ---- arithmetic: false + ERR_OVERFLOW instead of a wrap; *out is untouched then ---- */
MUST_USE bool amount_add(amount a, amount b, amount *out, struct error *err);
MUST_USE bool amount_sub(amount a, amount b, amount *out, struct error *err);
MUST_USE bool quantity_add(quantity a, quantity b, quantity *out, struct error *err);
MUST_USE bool quantity_sub(quantity a, quantity b, quantity *out, struct error *err);
amount amount_negate(amount a);     /* must() not be the minimum, which no parser or sum yields */
int amount_cmp(amount a, amount b); /* -1, 0, 1 */
int quantity_cmp(quantity a, quantity b);
static inline bool amount_is_zero(amount a) {
  return a.e12 == 0;
}
static inline bool quantity_is_zero(quantity q) {
  return q.e9 == 0;
}

enum rounding { ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_HALF_DOWN, ROUND_UP, ROUND_DOWN, ROUND_CEILING, ROUND_FLOOR };
/* half_up and half_down are away from and towards zero; up/down likewise (java.math.RoundingMode, IEEE 754-2019 4.3).
 */

/* a x b / c of plain integers through a 256-bit product, rounded once. c != 0. The one primitive below all others. */
MUST_USE bool int128_muldiv(int128 a, int128 b, int128 c, enum rounding how, int128 *out, struct error *err);
/* quantity x price: each x q / per, to 1e-12 half-even (exact unless the division by `per` does not terminate there).
 */
MUST_USE bool price_times(struct price p, quantity q, amount *out, struct error *err);
MUST_USE bool amount_times_rate(amount a, rate r, enum rounding how, amount *out, struct error *err);
MUST_USE bool quantity_times_rate(quantity q, rate r, enum rounding how, quantity *out, struct error *err);
MUST_USE bool rate_times(rate a, rate b, rate *out, struct error *err);
/* How many whole packages of `size` cover q: ceiling of q / size; q >= 0, size > 0. */
int128 quantity_packages(quantity q, quantity size);

/* ---- currencies (ISO 4217) ---- */
struct currency {
  char code[9]; /* three letters of ISO 4217; virtual ones have 3 to 8 */
  uint8_t minor_units;
  char symbol[8];
};                                                /* minor_units 0, 2, 3 or 4 */
const struct currency *currency_find(slice code); /* exact upper-case code; NULL when unknown */
/* To the currency's minor unit. */
MUST_USE bool amount_round(amount a, const struct currency *currency, enum rounding how, amount *out,
                           struct error *err);
/* "1,234.50" with grouping, padded to the minor unit, for people (documents, terminal); never parsed back. */
char *amount_display(amount a, const struct currency *currency, char text[DECIMAL_TEXT_MAX * 2]);

/* ---- splitting ----
 * Splits `total` (a multiple of the minor unit) over n weights >= 0, not all zero, by largest remainder: parts are
 * multiples of the minor unit, sum exactly to total, each within one minor unit of its fair share; ties go to the lower
 * index. Hamilton's method. n <= 100000. Errors: ERR_INVALID (negative or all-zero weights), ERR_OVERFLOW. */
MUST_USE bool amount_split(amount total, const struct currency *currency, const amount *weights, size_t n,
                           amount *parts, struct error *err);
#endif
