/* Fuzzes decimals: what parses prints back to the same value. */
#include "money/money.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  slice text = {(const char *)data, size};
  struct error err = {0};
  char out[DECIMAL_TEXT_MAX];
  amount a, a_again;
  quantity q, q_again;
  rate r;
  if (amount_parse(text, &a, &err)) {
    must(amount_parse(slice_of(amount_text(a, out)), &a_again, &err) && a.e12 == a_again.e12);
  }
  if (quantity_parse(text, &q, &err)) {
    must(quantity_parse(slice_of(quantity_text(q, out)), &q_again, &err) && q.e9 == q_again.e9);
  }
  (void)!rate_parse(text, &r, &err);
  return 0;
}
