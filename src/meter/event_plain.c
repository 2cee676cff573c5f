/* The short way to an event: CloudEvents as nearly everyone writes them, read in one pass without a tree. Whatever is
 * not plain (an escape, a list, anything wrong) is left to the long way, which accepts the same events and knows what
 * to say of the others. */
#include "meter/private.h"
#include <string.h>

#define KEYS_MAX (2 * EVENT_FIELDS_MAX)
#define PLAIN_DEPTH_MAX 8

/* Compared in place, as the length is known. */
#define IS(key, literal) ((key).len == sizeof(literal) - 1 && memcmp((key).ptr, (literal), sizeof(literal) - 1) == 0)

struct reader {
  struct arena *arena;
  const char *at, *end;
  struct event_field fields[EVENT_FIELDS_MAX];
  slice keys[KEYS_MAX]; /* of the objects that are open */
  size_t field_count, key_count;
};

/* ---- tokens ---- */

static void skip_blanks(struct reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r')) {
    r->at++;
  }
}

static bool take(struct reader *r, char wanted) {
  skip_blanks(r);
  if (r->at == r->end || *r->at != wanted) {
    return false;
  }
  r->at++;
  return true;
}

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* The upper bit of each byte that may be special: quote, backslash, control or not ASCII. A byte after the first may
 * be marked wrongly; the first never is. */
static uint64_t special_bytes(uint64_t word) {
  uint64_t quote = word ^ EACH_BYTE('"'), backslash = word ^ EACH_BYTE('\\');
  uint64_t found =
      ((quote - EACH_BYTE(1)) & ~quote) | ((backslash - EACH_BYTE(1)) & ~backslash) | (word - EACH_BYTE(0x20)) | word;
  return found & EACH_BYTE(0x80);
}

static const char *skip_ordinary(const char *at, const char *end) {
  while (end - at >= 8) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t special = special_bytes(word);
    if (special) {
      return at + __builtin_ctzll(special) / 8;
    }
    at += 8;
  }
  while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80) {
    at++;
  }
  return at;
}

/* Length of the well-formed UTF-8 sequence that begins here; 0 when there is none (Unicode 15, table 3-7). */
static size_t utf8_sequence(const char *at, const char *end) {
  const unsigned char *p = (const unsigned char *)at;
  size_t left = (size_t)(end - at), length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
  if (p[0] < 0xc2 || p[0] > 0xf4 || left < length) {
    return 0;
  }
  unsigned char low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
  unsigned char high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
  bool good = p[1] >= low && p[1] <= high;
  for (size_t i = 2; i < length; i++) {
    good = good && (p[i] & 0xc0) == 0x80;
  }
  return good ? length : 0;
}

static bool take_string(struct reader *r, slice *out) {
  if (!take(r, '"')) {
    return false;
  }
  const char *begin = r->at;
  for (;;) {
    r->at = skip_ordinary(r->at, r->end);
    if (r->at == r->end) {
      return false;
    }
    if (*r->at == '"') {
      *out = (slice){begin, (size_t)(r->at++ - begin)};
      return true;
    }
    size_t length = (unsigned char)*r->at >= 0x80 ? utf8_sequence(r->at, r->end) : 0;
    if (length == 0) {
      return false;
    }
    r->at += length;
  }
}

static bool take_digits(struct reader *r) {
  const char *begin = r->at;
  while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
    r->at++;
  }
  return r->at > begin;
}

/* RFC 8259, section 6. */
static bool take_number(struct reader *r, slice *out) {
  const char *begin = r->at;
  r->at += *r->at == '-';
  const char *whole = r->at;
  if (!take_digits(r) || (*whole == '0' && r->at - whole > 1)) {
    return false;
  }
  if (r->at < r->end && *r->at == '.') {
    r->at++;
    if (!take_digits(r)) {
      return false;
    }
  }
  if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
    r->at++;
    r->at += r->at < r->end && (*r->at == '+' || *r->at == '-');
    if (!take_digits(r)) {
      return false;
    }
  }
  *out = (slice){begin, (size_t)(r->at - begin)};
  return true;
}

static bool take_word(struct reader *r, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0) {
    return false;
  }
  r->at += length;
  return true;
}

/* The next byte that is not blank; 0 at the end. */
static char peek(struct reader *r) {
  skip_blanks(r);
  return r->at < r->end ? *r->at : '\0';
}

/* ---- objects ---- */

/* A name that is there twice in an object is for the long way to refuse. */
static bool take_key(struct reader *r, size_t siblings_from, slice *key) {
  if (r->key_count == KEYS_MAX || !take_string(r, key) || !take(r, ':')) {
    return false;
  }
  for (size_t i = siblings_from; i < r->key_count; i++) {
    if (r->keys[i].len == key->len && memcmp(r->keys[i].ptr, key->ptr, key->len) == 0) {
      return false;
    }
  }
  r->keys[r->key_count++] = *key;
  return true;
}

/* After a member: another one, or the end of the object. */
static bool take_comma(struct reader *r, bool *more) {
  char c = peek(r);
  *more = c == ',';
  r->at += c == ',' || c == '}';
  return c == ',' || c == '}';
}

/* A value that stands alone: its text, and whether it is a number. Null is as good as absent. */
static bool take_scalar(struct reader *r, slice *text, bool *number, bool *null) {
  char c = peek(r);
  *number = c == '-' || (c >= '0' && c <= '9');
  *null = c == 'n';
  switch (c) {
  case '"':
    return take_string(r, text);
  case 't':
    *text = SLICE("true");
    return take_word(r, "true");
  case 'f':
    *text = SLICE("false");
    return take_word(r, "false");
  case 'n':
    return take_word(r, "null");
  default:
    return *number && take_number(r, text);
  }
}

static bool add_field(struct reader *r, slice name, slice value, bool number) {
  if (r->field_count == EVENT_FIELDS_MAX || name.len == 0 || name.len > EVENT_ATTRIBUTE_BYTES_MAX ||
      value.len > EVENT_VALUE_BYTES_MAX) {
    return false;
  }
  r->fields[r->field_count++] = (struct event_field){name, value, number};
  return true;
}

static bool take_fields(struct reader *r, slice prefix, int depth);

static bool take_field(struct reader *r, slice prefix, slice key, int depth) {
  slice name = key, value;
  bool number, null;
  if (prefix.len > 0) {
    name = slice_of(arena_printf(r->arena, SLICE_FMT "." SLICE_FMT, SLICE_ARG(prefix), SLICE_ARG(key)));
  }
  if (peek(r) == '{') {
    return depth < PLAIN_DEPTH_MAX && name.len > 0 && take_fields(r, name, depth + 1);
  }
  return take_scalar(r, &value, &number, &null) && (null || add_field(r, name, value, number));
}

static bool take_fields(struct reader *r, slice prefix, int depth) {
  const size_t siblings_from = r->key_count;
  if (!take(r, '{')) {
    return false;
  }
  bool more = peek(r) != '}';
  r->at += !more;
  while (more) {
    slice key;
    if (!take_key(r, siblings_from, &key) || !take_field(r, prefix, key, depth) || !take_comma(r, &more)) {
      return false;
    }
  }
  r->key_count = siblings_from;
  return true;
}

/* ---- the event ---- */

static bool take_attribute(struct reader *r, slice *out) {
  return take_string(r, out) && out->len > 0 && out->len <= EVENT_ATTRIBUTE_BYTES_MAX;
}

static bool take_time(struct reader *r, instant *out) {
  slice text;
  struct error ignored;
  return take_string(r, &text) && time_parse_rfc3339(text, out, &ignored);
}

static bool take_content_type(struct reader *r) {
  slice text;
  return take_string(r, &text) && (text.len == 0 || memmem(text.ptr, text.len, "json", 4) != NULL);
}

static bool take_version(struct reader *r, bool *right) {
  slice text;
  *right = take_string(r, &text) && IS(text, "1.0");
  return *right;
}

static bool take_data(struct reader *r) {
  return peek(r) == 'n' ? take_word(r, "null") : take_fields(r, (slice){0}, 0);
}

struct seen {
  bool version, time;
};

static bool take_member(struct reader *r, slice key, struct event *out, struct seen *seen) {
  slice text;
  bool number, null;
  if (IS(key, "id")) {
    return take_attribute(r, &out->id);
  }
  if (IS(key, "source")) {
    return take_attribute(r, &out->source);
  }
  if (IS(key, "type")) {
    return take_attribute(r, &out->type);
  }
  if (IS(key, "subject")) {
    return take_attribute(r, &out->subject);
  }
  if (IS(key, "time")) {
    seen->time = true;
    return take_time(r, &out->time);
  }
  if (IS(key, "data")) {
    return take_data(r);
  }
  if (IS(key, "specversion")) {
    return take_version(r, &seen->version);
  }
  if (IS(key, "datacontenttype")) {
    return take_content_type(r);
  }
  return !IS(key, "data_base64") && take_scalar(r, &text, &number, &null);
}

static bool take_members(struct reader *r, struct event *out, struct seen *seen) {
  const size_t siblings_from = r->key_count;
  bool more = true;
  if (!take(r, '{')) {
    return false;
  }
  while (more) {
    slice key;
    if (!take_key(r, siblings_from, &key) || !take_member(r, key, out, seen) || !take_comma(r, &more)) {
      return false;
    }
  }
  return true;
}

/* By name; false when a name is there twice. There are few, and they often come sorted. */
static bool sort_fields(struct event_field *fields, size_t count) {
  for (size_t i = 1; i < count; i++) {
    struct event_field moved = fields[i];
    size_t to = i;
    int order = 1;
    while (to > 0 && (order = slice_cmp(fields[to - 1].name, moved.name)) > 0) {
      fields[to] = fields[to - 1];
      to--;
    }
    if (order == 0) {
      return false;
    }
    fields[to] = moved;
  }
  return true;
}

bool event_plain(struct arena *arena, slice text, instant now, struct event *out, size_t *length) {
  struct reader r;
  struct seen seen = {0};
  r.arena = arena;
  r.at = text.ptr;
  r.end = text.ptr + text.len;
  r.field_count = r.key_count = 0;
  *out = (struct event){.time = now};
  if (!take_members(&r, out, &seen) || !seen.version || (!seen.time && now.ns == 0) || out->id.len == 0 ||
      out->source.len == 0 || out->type.len == 0 || out->subject.len == 0 || !sort_fields(r.fields, r.field_count)) {
    return false;
  }
  struct event_field *fields = arena_array(arena, r.field_count, sizeof *fields);
  if (r.field_count > 0) {
    memcpy(fields, r.fields, r.field_count * sizeof *fields);
  }
  out->fields = fields;
  out->field_count = r.field_count;
  if (r.at - text.ptr > EVENT_BYTES_MAX) {
    return false;
  }
  skip_blanks(&r);
  *length = (size_t)(r.at - text.ptr);
  return true;
}
