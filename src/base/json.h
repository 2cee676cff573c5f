/* JSON: parse with simdjson into a read-only tree whose numbers stay text; write with a small checked writer. */
#ifndef METERHOUSE_BASE_JSON_H
#define METERHOUSE_BASE_JSON_H
#include "base/limits.h"

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* A node lives in the arena it was parsed into. For NUMBER `text` is the raw token as written (never a double);
 * for STRING the unescaped UTF-8. Arrays and objects keep the order of the input. */
struct json {
  enum json_kind kind;
  bool boolean;
  slice text;
  slice key;                /* name, when the parent is an object */
  const struct json *child; /* first element or member */
  const struct json *next;  /* next sibling */
  uint32_t count;           /* children */
};

#define JSON_DEPTH_MAX LIMIT_NESTING
#define JSON_MEMBERS_MAX 4096   /* per object, unless the caller splits the input first */
#define JSON_ELEMENTS_MAX 65536 /* per array */
#define JSON_VALUES_MAX LIMIT_JSON_VALUES
/* The text is one object or array. Errors: ERR_INVALID with byte offset and reason (bad UTF-8, NUL byte, duplicate key,
 * trailing bytes, depth). */
MUST_USE bool json_parse(struct arena *arena, slice text, const struct json **out, struct error *err);
const struct json *json_get(const struct json *object, const char *key); /* NULL when absent or not an object */
slice json_text(const struct json *object, const char *key);             /* string or number text; empty when absent */

void json_quote(struct buf *to, slice s); /* in quotes, escaped: for writers that place their own commas */
/* Writer: commas and quoting are its business; a misuse (value without key in an object) is a must(). */
struct json_out {
  struct buf *to;
  uint8_t depth;
  bool pretty;
  char stack[JSON_DEPTH_MAX + 1];
  bool first, after_key;
};
void json_out_init(struct json_out *w, struct buf *to, bool pretty);
void json_open_object(struct json_out *w);
void json_close_object(struct json_out *w);
void json_open_array(struct json_out *w);
void json_close_array(struct json_out *w);
void json_key(struct json_out *w, const char *key);
void json_key_slice(struct json_out *w, slice key);
void json_str(struct json_out *w, slice value);
void json_raw(struct json_out *w, slice value); /* already JSON: a number token or a whole value */
void json_int(struct json_out *w, int64_t value);
void json_bool(struct json_out *w, bool value);
void json_null(struct json_out *w);
void json_value(struct json_out *w, const struct json *value); /* copies a parsed tree */
/* key and value in one call */
void json_put_str(struct json_out *w, const char *key, slice value);
void json_put_cstr(struct json_out *w, const char *key, const char *value);
void json_put_int(struct json_out *w, const char *key, int64_t value);
void json_put_bool(struct json_out *w, const char *key, bool value);
#endif
