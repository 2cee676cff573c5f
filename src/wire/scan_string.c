/* Strings of the scanner: runs of plain bytes eight at a time, escapes, UTF-8. */
#include "scan.h"
#include <string.h>

enum { PLAIN = 0, AFTER_BACKSLASH = 0xff }; /* of hex_left; else so many hex digits are to come */

void scan_string_start(struct scan *s) {
  s->escaped = false;
  s->utf8_left = 0;
  s->hex_left = PLAIN;
  s->surrogate = 0;
  s->text_bytes = 0;
  s->kept = 0;
}

static void keep(struct scan *s, const char *bytes, size_t len) {
  const size_t room = SCAN_TEXT_MAX - (size_t)s->kept, fits = len < room ? len : room;
  memcpy(s->keep + s->kept, bytes, fits);
  s->kept = (uint16_t)(s->kept + fits);
  s->text_bytes += len;
}

static void keep_code(struct scan *s, uint32_t code) {
  char b[4];
  size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = len - 1; i > 0; i--) {
    b[i] = (char)(0x80 | (code & 0x3f));
    code >>= 6;
  }
  b[0] = (char)(first[len] | code);
  keep(s, b, len);
}

/* High bits where one of eight bytes is a quote, a backslash, a control character or not ASCII; what stands behind the
 * first of them may be marked too. */
static uint64_t marks(uint64_t w) {
  const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
  const uint64_t quote = w ^ ones * '"', backslash = w ^ ones * '\\';
  return ((quote - ones) | (backslash - ones) | (w - ones * 0x20) | w) & high;
}

static const char *plain_run(const char *at, const char *end) {
  while (end - at >= 8) {
    uint64_t w;
    memcpy(&w, at, 8);
    if (marks(w)) break;
    at += 8;
  }
  while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\') {
    at++;
  }
  return at;
}

/* One byte of 0x80 or more: by the table of well-formed sequences of the Unicode standard. */
static bool take_high(struct scan *s, unsigned char c) {
  if (s->utf8_left > 0) {
    if (c < s->utf8_low || c > s->utf8_high) return false;
    s->utf8_left--;
    s->utf8_low = 0x80;
    s->utf8_high = 0xbf;
    return true;
  }
  if (c < 0xc2 || c > 0xf4) {
    return false;
  }
  s->utf8_left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
  s->utf8_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
  s->utf8_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  return true;
}

static bool lone(struct scan *s) {
  if (s->strict) {
    s->wrong = "half of a surrogate pair";
    return false;
  }
  s->surrogate = 0;
  keep(s, "\xef\xbf\xbd", 3);
  return true;
}

static bool end_hex(struct scan *s) {
  const uint32_t code = s->hex;
  const bool low = code >= 0xdc00 && code < 0xe000, high = code >= 0xd800 && code < 0xdc00;
  if (s->surrogate && low) {
    keep_code(s, 0x10000 + ((s->surrogate - 0xd800) << 10) + (code - 0xdc00));
    s->surrogate = 0;
    return true;
  }
  if (s->surrogate && !lone(s)) {
    return false;
  }
  if (high) {
    s->surrogate = code;
    return true;
  }
  if (low) {
    return lone(s);
  }
  keep_code(s, code);
  return true;
}

static bool take_hex(struct scan *s, char c) {
  uint32_t digit;
  if (c >= '0' && c <= '9') {
    digit = (uint32_t)(c - '0');
  } else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) {
    digit = (uint32_t)((c | 0x20) - 'a') + 10;
  } else {
    s->wrong = "an escape that is none";
    return false;
  }
  s->hex = s->hex << 4 | digit;
  return --s->hex_left > 0 || end_hex(s);
}

static bool take_escape(struct scan *s, char c) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (s->hex_left != AFTER_BACKSLASH) {
    return take_hex(s, c);
  }
  if (c == 'u') {
    s->hex_left = 4;
    s->hex = 0;
    return true;
  }
  const char *found = c ? strchr(from, c) : NULL;
  s->hex_left = PLAIN;
  if (!found) {
    s->wrong = "an escape that is none";
    return false;
  }
  if (s->surrogate && !lone(s)) {
    return false;
  }
  keep(s, to + (found - from), 1);
  return true;
}

/* A byte that is no plain one, and not part of an escape under way. */
static bool take_special(struct scan *s, unsigned char c) {
  if (c < 0x20) {
    s->wrong = "a control character in a string";
    return false;
  }
  if (c == '\\') {
    s->escaped = true;
    s->hex_left = AFTER_BACKSLASH;
    return true;
  }
  if (s->strict && !take_high(s, c)) {
    s->wrong = "not UTF-8";
    return false;
  }
  return true;
}

/* What must hold wherever a sequence of UTF-8 or a pair of surrogates may be under way and `c` follows. */
static bool may_follow(struct scan *s, unsigned char c) {
  if (s->utf8_left > 0 && c < 0x80) {
    s->wrong = "not UTF-8";
    return false;
  }
  return !s->surrogate || c == '\\' || lone(s);
}

const char *scan_string_take(struct scan *s, const char *at, const char *end, bool *closed, slice *text) {
  const char *run = at; /* what is not kept yet begins here */
  *closed = false;
  while (at < end) {
    if (s->hex_left != PLAIN) {
      if (!take_escape(s, *at++)) return NULL;
      run = at;
      continue;
    }
    const unsigned char c = (unsigned char)*at;
    if ((s->utf8_left > 0 || s->surrogate) && !may_follow(s, c)) {
      return NULL;
    }
    if (c == '"') {
      *closed = true;
      break;
    }
    if (c >= 0x20 && c < 0x80 && c != '\\') {
      at = plain_run(at, end);
      continue;
    }
    if (c == '\\') {
      keep(s, run, (size_t)(at - run));
    }
    if (!take_special(s, c)) return NULL;
    at++;
  }
  const size_t len = (size_t)(at - run);
  if (*closed && s->text_bytes == 0) { /* all of it in one piece, without escapes: nothing to copy */
    s->text_bytes = len;
    *text = (slice){run, len < SCAN_TEXT_MAX ? len : SCAN_TEXT_MAX};
    return at + 1;
  }
  if (s->hex_left == PLAIN) {
    keep(s, run, len);
  }
  *text = (slice){s->keep, s->kept};
  return *closed ? at + 1 : at;
}
