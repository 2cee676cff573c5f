/* Decimal text in and out, without ever rounding but in percents for people. */
#include "money/money.h"
#include <string.h>

#define TEXT_BYTES_MAX 128
#define EXPONENT_MAX 100

/* A number as it was written: digits without leading zeros, and the power of ten of the last one. */
struct written {
  bool negative;
  uint128 digits;
  int exponent;
};

static bool bad(struct error *err, slice text, const char *why) {
  int shown = text.len > 60 ? 60 : (int)text.len;
  return error_set(err, ERR_INVALID, "\"%.*s\" is not a decimal number: %s", shown, text.ptr ? text.ptr : "", why);
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool push_digit(struct written *w, unsigned digit, slice text, struct error *err) {
  if (!__builtin_mul_overflow(w->digits, (uint128)10, &w->digits) &&
      !__builtin_add_overflow(w->digits, (uint128)digit, &w->digits)) {
    return true;
  }
  int shown = text.len > 60 ? 60 : (int)text.len;
  return error_set(err, ERR_OVERFLOW, "\"%.*s\" has more digits than exact money holds", shown, text.ptr);
}

/* Zeros of a fraction wait until another digit follows: trailing ones say nothing. */
static bool take_digits(slice *rest, struct written *w, bool fraction, size_t *count, struct error *err, slice text) {
  int waiting = 0;
  for (*count = 0; rest->len > 0 && is_digit(rest->ptr[0]); rest->ptr++, rest->len--, (*count)++) {
    unsigned digit = (unsigned)(rest->ptr[0] - '0');
    waiting++;
    if (fraction && digit == 0) {
      continue;
    }
    for (; waiting > 0; waiting--) {
      if (fraction) {
        w->exponent--;
      }
      if (!push_digit(w, waiting == 1 ? digit : 0, text, err)) {
        return false;
      }
    }
  }
  return true;
}

static bool take_exponent(slice *rest, struct written *w, slice text, struct error *err) {
  if (rest->len == 0 || (rest->ptr[0] != 'e' && rest->ptr[0] != 'E')) {
    return true;
  }
  size_t i = 1;
  bool negative = i < rest->len && rest->ptr[i] == '-';
  if (i < rest->len && (rest->ptr[i] == '-' || rest->ptr[i] == '+')) {
    i++;
  }
  if (i >= rest->len) {
    return bad(err, text, "the exponent is missing");
  }
  int exponent = 0;
  for (; i < rest->len && is_digit(rest->ptr[i]); i++) {
    exponent = exponent * 10 + (rest->ptr[i] - '0');
    if (exponent > EXPONENT_MAX) {
      return error_set(err, ERR_OVERFLOW, "\"%.*s\": the exponent is out of range", text.len > 60 ? 60 : (int)text.len,
                       text.ptr);
    }
  }
  *rest = (slice){rest->ptr + i, rest->len - i};
  w->exponent += negative ? -exponent : exponent;
  return true;
}

static bool read_written(slice text, struct written *w, struct error *err) {
  slice rest = text;
  size_t whole, fraction = 0;
  *w = (struct written){0};
  if (text.len == 0) {
    return bad(err, text, "it is empty");
  }
  if (text.len > TEXT_BYTES_MAX) {
    return bad(err, text, "it is longer than 128 bytes");
  }
  if (rest.ptr[0] == '-') {
    w->negative = true;
    rest = (slice){rest.ptr + 1, rest.len - 1};
  }
  if (!take_digits(&rest, w, false, &whole, err, text)) {
    return false;
  }
  if (whole == 0) {
    return bad(err, text, "it should begin with a digit, after a minus at most");
  }
  if (rest.len > 0 && rest.ptr[0] == '.') {
    rest = (slice){rest.ptr + 1, rest.len - 1};
    if (!take_digits(&rest, w, true, &fraction, err, text)) {
      return false;
    }
    if (fraction == 0) {
      return bad(err, text, "a digit should follow the point");
    }
  }
  if (!take_exponent(&rest, w, text, err)) {
    return false;
  }
  return rest.len == 0 || bad(err, text, "write it as 1234.50 or 1e-6, without blanks or separators");
}

/* digits x 10^exponent at 10^-decimals; false when digits would be lost. */
static bool scale_to(slice text, struct written w, int decimals, int128 *out, struct error *err) {
  int shift = w.exponent + decimals, shown = text.len > 60 ? 60 : (int)text.len;
  for (; w.digits != 0 && shift < 0; shift++) {
    if (w.digits % 10 != 0) {
      return error_set(err, ERR_INVALID, "\"%.*s\" has more than %d decimals", shown, text.ptr, decimals);
    }
    w.digits /= 10;
  }
  for (; w.digits != 0 && shift > 0; shift--) {
    if (__builtin_mul_overflow(w.digits, (uint128)10, &w.digits)) {
      return error_set(err, ERR_OVERFLOW, "\"%.*s\" is out of range", shown, text.ptr);
    }
  }
  if (w.digits >> 127) {
    return error_set(err, ERR_OVERFLOW, "\"%.*s\" is out of range", shown, text.ptr);
  }
  *out = w.negative ? -(int128)w.digits : (int128)w.digits;
  return true;
}

static bool parse(slice text, int decimals, int128 *out, struct error *err) {
  struct written w;
  return read_written(text, &w, err) && scale_to(text, w, decimals, out, err);
}

bool amount_parse(slice text, amount *out, struct error *err) {
  return parse(text, 12, &out->e12, err);
}
bool quantity_parse(slice text, quantity *out, struct error *err) {
  return parse(text, 9, &out->e9, err);
}

bool rate_parse(slice text, rate *out, struct error *err) {
  struct written w;
  slice number = text;
  bool percent = text.len > 0 && text.ptr[text.len - 1] == '%';
  if (percent) {
    number = slice_trim((slice){text.ptr, text.len - 1});
  }
  if (!read_written(number, &w, err)) {
    return false;
  }
  if (percent) {
    w.exponent -= 2;
  }
  return scale_to(text, w, 12, &out->e12, err);
}

/* ---- printing ---- */

/* All digits of a number, the last one first; at least `least`. Divides in 64 bits, which is many times faster. */
static int digits_of(uint128 size, int least, char digits[DECIMAL_TEXT_MAX]) {
  const uint64_t chunk_size = UINT64_C(1000000000000000000);
  int count = 0;
  do {
    uint64_t chunk = (uint64_t)size;
    bool more = size >= chunk_size;
    if (more) {
      chunk = (uint64_t)(size % chunk_size);
    }
    size = more ? size / chunk_size : 0;
    for (int i = 0; more ? i < 18 : chunk != 0; i++, chunk /= 10) {
      digits[count++] = (char)('0' + (int)(chunk % 10));
    }
  } while (size != 0);
  while (count < least) {
    digits[count++] = '0';
  }
  return count;
}

static char *print(int128 value, int decimals, int decimals_min, char text[DECIMAL_TEXT_MAX]) {
  char digits[DECIMAL_TEXT_MAX];
  uint128 size = value < 0 ? (uint128)0 - (uint128)value : (uint128)value;
  int count = digits_of(size, decimals + 1, digits), at = 0, dropped = 0;
  while (dropped < decimals - decimals_min && digits[dropped] == '0') {
    dropped++;
  }
  if (value < 0) {
    text[at++] = '-';
  }
  while (count > dropped) {
    text[at++] = digits[--count];
    if (count == decimals && count > dropped) {
      text[at++] = '.';
    }
  }
  must(at < DECIMAL_TEXT_MAX);
  text[at] = '\0';
  return text;
}

char *amount_text(amount a, char text[DECIMAL_TEXT_MAX]) {
  return print(a.e12, 12, 0, text);
}
char *quantity_text(quantity q, char text[DECIMAL_TEXT_MAX]) {
  return print(q.e9, 9, 0, text);
}
char *rate_text(rate r, char text[DECIMAL_TEXT_MAX]) {
  return print(r.e12, 12, 0, text);
}

char *amount_text_fixed(amount a, int decimals, char text[DECIMAL_TEXT_MAX]) {
  must(decimals >= 0 && decimals <= 12);
  return print(a.e12, 12, decimals, text);
}

/* A rate that would leave the range in thousandths has none that people could read. */
char *rate_percent(rate r, char text[DECIMAL_TEXT_MAX]) {
  int128 tenths = 0;
  struct error ignored = {0};
  (void)!int128_muldiv(r.e12, 1000, RATE_ONE.e12, ROUND_HALF_EVEN, &tenths, &ignored);
  print(tenths, 1, 1, text);
  size_t length = strlen(text);
  snprintf(text + length, DECIMAL_TEXT_MAX - length, " %%");
  return text;
}
