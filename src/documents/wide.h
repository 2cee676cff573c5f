/* Inside documents: decimals wide enough for the exact product of a price and a quantity, which 128 bits do not hold.
 */
#ifndef METERHOUSE_DOCUMENTS_WIDE_H
#define METERHOUSE_DOCUMENTS_WIDE_H
#include "money/money.h"

/* An integer and how many decimals it has: 249, 2 is 2.49. */
struct decimal {
  int128 value;
  int decimals; /* 0..WIDE_DECIMALS */
};
struct decimal decimal_of_amount(amount a);
struct decimal decimal_of_quantity(quantity q);
/* Without zeros at its end; decimals stay 0 or more. */
struct decimal decimal_trim(struct decimal d);
/* false when 128 bits or the decimals do not hold the product. */
MUST_USE bool decimal_times(struct decimal a, struct decimal b, struct decimal *out);

#define WIDE_LIMBS 12    /* of nine digits each */
#define WIDE_DECIMALS 45 /* five limbs of them */
#define WIDE_TEXT_MAX (WIDE_LIMBS * 9 + 4)
/* A signed fixed-point number; zero is never negative. */
struct wide {
  bool negative;
  uint32_t limb[WIDE_LIMBS]; /* the lowest first */
};
struct wide wide_of(struct decimal d);
MUST_USE bool wide_product(struct decimal a, struct decimal b, struct wide *out);
/* false when the sum has more digits than there are. */
MUST_USE bool wide_add(const struct wide *a, const struct wide *b, struct wide *out);
struct wide wide_negate(struct wide a);
bool wide_is_zero(const struct wide *a);
/* Shortest: "-0.5", "12". Returns `text`. */
char *wide_text(const struct wide *a, char text[WIDE_TEXT_MAX]);
#endif
