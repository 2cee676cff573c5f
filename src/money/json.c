/* Amounts, quantities and rates as members of a JSON object: decimal strings, never JSON numbers. */
#include "base/json.h"
#include "money/money.h"

void json_put_amount(struct json_out *w, const char *key, amount a) {
  char text[DECIMAL_TEXT_MAX];
  json_put_cstr(w, key, amount_text(a, text));
}

void json_put_quantity(struct json_out *w, const char *key, quantity q) {
  char text[DECIMAL_TEXT_MAX];
  json_put_cstr(w, key, quantity_text(q, text));
}

void json_put_rate(struct json_out *w, const char *key, rate r) {
  char text[DECIMAL_TEXT_MAX];
  json_put_cstr(w, key, rate_text(r, text));
}
