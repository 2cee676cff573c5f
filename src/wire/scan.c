/* The scanner's automaton: values, containers, numbers and literals; strings are in scan_string.c. */
#include "scan.h"
#include "names.h"
#include <string.h>

enum state { ANY_VALUE, FIRST_VALUE, FIRST_KEY, NEXT_KEY, COLON, AFTER, IN_STRING, IN_WORD, ENDED };

void scan_start(struct scan *s, scan_listener *listener, void *context, bool strict, uint8_t depth_max) {
  must(depth_max <= SCAN_DEPTH_MAX);
  s->listener = listener;
  s->context = context;
  s->depth_max = depth_max;
  s->strict = strict;
  s->refused = s->done = s->is_key = s->escaped = false;
  s->wrong = NULL;
  s->state = ANY_VALUE;
  s->depth = 0;
  s->arrays = s->offset = s->begin = s->text_bytes = 0;
  s->path[0] = s->path[1] = 0;
  s->utf8_left = s->hex_left = 0;
  s->surrogate = s->hex = 0;
  s->kept = 0;
}

static bool wrong(struct scan *s, const char *what) {
  s->wrong = what;
  return false;
}

static bool tell_token(struct scan *s, enum scan_kind kind, char bracket, slice text, uint64_t end) {
  const struct scan_token token = {.kind = kind,
                                   .bracket = bracket,
                                   .escaped = s->escaped,
                                   .depth = s->depth,
                                   .path = s->path,
                                   .text = text,
                                   .text_bytes = s->text_bytes,
                                   .begin = s->begin,
                                   .end = end};
  if (!s->listener(s->context, &token)) {
    s->refused = true;
  }
  return !s->refused;
}

static void value_ended(struct scan *s) {
  s->state = s->depth ? AFTER : ENDED;
  s->done = s->depth == 0;
}

static bool open(struct scan *s, char bracket) {
  s->begin = s->offset;
  if (!tell_token(s, SCAN_OPEN, bracket, (slice){0}, s->offset + 1)) {
    return false;
  }
  if (s->depth >= s->depth_max) {
    return wrong(s, "more levels of objects and arrays than are allowed");
  }
  s->opened[s->depth++] = s->offset;
  s->path[s->depth] = NAME_OTHER;
  if (bracket == '[') {
    s->arrays |= UINT64_C(1) << (s->depth - 1);
  } else {
    s->arrays &= ~(UINT64_C(1) << (s->depth - 1));
  }
  s->state = bracket == '[' ? FIRST_VALUE : FIRST_KEY;
  return true;
}

static bool in_array(const struct scan *s) {
  return s->arrays >> (s->depth - 1) & 1;
}

static bool close(struct scan *s, char bracket) {
  if (s->depth == 0 || in_array(s) != (bracket == ']')) {
    return wrong(s, "a bracket that closes nothing");
  }
  s->depth--;
  s->begin = s->opened[s->depth];
  value_ended(s);
  return tell_token(s, SCAN_CLOSE, bracket == ']' ? '[' : '{', (slice){0}, s->offset + 1);
}

static void start_string(struct scan *s, bool is_key) {
  s->begin = s->offset;
  s->is_key = is_key;
  s->state = IN_STRING;
  scan_string_start(s);
}

static bool word_byte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' || c == 'E';
}

static bool is_blank(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* One byte that is neither in a string nor in a word. */
static bool take_mark(struct scan *s, char c) {
  switch (c) {
  case ',':
    if (s->state != AFTER) break;
    s->state = in_array(s) ? ANY_VALUE : NEXT_KEY;
    return true;
  case ':':
    if (s->state != COLON) break;
    s->state = ANY_VALUE;
    return true;
  case '"':
    if (s->state != ANY_VALUE && s->state != FIRST_VALUE && s->state != FIRST_KEY && s->state != NEXT_KEY) break;
    start_string(s, s->state == FIRST_KEY || s->state == NEXT_KEY);
    return true;
  case '{':
  case '[':
    if (s->state != ANY_VALUE && s->state != FIRST_VALUE) break;
    return open(s, c);
  case '}':
  case ']':
    if (s->state != AFTER && s->state != (c == '}' ? FIRST_KEY : FIRST_VALUE)) break;
    return close(s, c);
  default:
    if ((s->state != ANY_VALUE && s->state != FIRST_VALUE) || !word_byte(c)) break;
    s->begin = s->offset;
    s->kept = 0;
    s->escaped = false;
    s->state = IN_WORD;
    return true;
  }
  return wrong(s, s->state == ENDED ? "something after the end" : "something out of place");
}

static size_t digits(slice t, size_t at) {
  while (at < t.len && t.ptr[at] >= '0' && t.ptr[at] <= '9') {
    at++;
  }
  return at;
}

static bool is_number(slice t) {
  size_t at = t.len > 0 && t.ptr[0] == '-', from = at;
  at = digits(t, at);
  if (at == from || (t.ptr[from] == '0' && at > from + 1)) {
    return false;
  }
  if (at < t.len && t.ptr[at] == '.') {
    from = at + 1;
    at = digits(t, from);
    if (at == from) return false;
  }
  if (at < t.len && (t.ptr[at] == 'e' || t.ptr[at] == 'E')) {
    from = at + 1;
    from += from < t.len && (t.ptr[from] == '+' || t.ptr[from] == '-');
    at = digits(t, from);
    if (at == from) return false;
  }
  return at == t.len;
}

static bool end_word(struct scan *s, slice text) {
  enum scan_kind kind = SCAN_NUMBER;
  if (text.ptr[0] == 't' || text.ptr[0] == 'f' || text.ptr[0] == 'n') {
    kind = slice_is(text, "true") ? SCAN_TRUE : slice_is(text, "false") ? SCAN_FALSE : SCAN_NULL;
    if (kind == SCAN_NULL && !slice_is(text, "null")) {
      return wrong(s, "an unknown word");
    }
  } else if (!is_number(text)) {
    return wrong(s, "not a number");
  }
  s->text_bytes = text.len;
  value_ended(s);
  return tell_token(s, kind, 0, text, s->offset);
}

static bool keep_word(struct scan *s, slice part) {
  if (part.len > SCAN_TEXT_MAX - (size_t)s->kept) {
    return wrong(s, "a number that is too long");
  }
  memcpy(s->keep + s->kept, part.ptr, part.len);
  s->kept = (uint16_t)(s->kept + part.len);
  return true;
}

/* A word may reach over pieces: it ends with the first byte that is none of its own. */
static const char *take_word(struct scan *s, const char *at, const char *end) {
  const char *from = at;
  while (at < end && word_byte(*at)) {
    at++;
  }
  const slice part = {from, (size_t)(at - from)};
  s->offset += part.len;
  if (at == end || s->kept > 0) {
    if (!keep_word(s, part)) return NULL;
    return at == end || end_word(s, (slice){s->keep, s->kept}) ? at : NULL;
  }
  if (part.len > SCAN_TEXT_MAX) {
    wrong(s, "a number that is too long");
    return NULL;
  }
  return end_word(s, part) ? at : NULL;
}

static const char *take_string(struct scan *s, const char *at, const char *end) {
  bool closed;
  slice text;
  const char *stop = scan_string_take(s, at, end, &closed, &text);
  if (stop == NULL) {
    return NULL;
  }
  s->offset += (uint64_t)(stop - at);
  if (!closed) {
    return stop;
  }
  if (s->is_key) {
    s->path[s->depth] = (uint8_t)wire_field_name(s->text_bytes <= SCAN_TEXT_MAX ? text : (slice){0});
    s->state = COLON;
    return tell_token(s, SCAN_KEY, 0, text, s->offset) ? stop : NULL;
  }
  value_ended(s);
  return tell_token(s, SCAN_STRING, 0, text, s->offset) ? stop : NULL;
}

bool scan_take(struct scan *s, slice piece) {
  const char *at = piece.ptr, *end = piece.ptr + piece.len;
  if (s->wrong || s->refused) {
    return false;
  }
  while (at != end) {
    if (s->state == IN_STRING || s->state == IN_WORD) {
      at = s->state == IN_STRING ? take_string(s, at, end) : take_word(s, at, end);
      if (at == NULL) return false;
      continue;
    }
    const char c = *at;
    if (!is_blank(c)) {
      if (!take_mark(s, c)) return false;
      if (s->state == IN_WORD) continue; /* which begins with this very byte */
    }
    at++;
    s->offset++;
  }
  return true;
}

bool scan_whole(struct scan *s, slice text) {
  if (!scan_take(s, text)) {
    return false;
  }
  if (s->state == IN_WORD && s->depth == 0 && !end_word(s, (slice){s->keep, s->kept})) {
    return false;
  }
  return s->done || wrong(s, s->offset ? "the text ends too early" : "the text is empty");
}

bool scan_integer(slice text, bool zeros, int64_t *out) {
  int64_t value = 0;
  size_t at = 0;
  for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
    value = value * 10 + (text.ptr[at] - '0');
    if (value > INT64_C(1000000000000)) return false;
  }
  if (at == 0) {
    return false;
  }
  if (zeros && at < text.len && text.ptr[at] == '.') {
    for (at++; at < text.len && text.ptr[at] == '0';) at++;
  }
  if (at != text.len) {
    return false;
  }
  *out = value;
  return true;
}
