/* Reading members of a parsed tree, and writing JSON with commas and quoting taken care of. */
#include "base/json.h"
#include <string.h>

const struct json *json_get(const struct json *object, const char *key) {
  const slice wanted = slice_of(key);
  if (object == NULL || object->kind != JSON_OBJECT) {
    return NULL;
  }
  for (const struct json *member = object->child; member; member = member->next) {
    if (slice_eq(member->key, wanted)) {
      return member;
    }
  }
  return NULL;
}

slice json_text(const struct json *object, const char *key) {
  const struct json *member = json_get(object, key);
  return member && (member->kind == JSON_STRING || member->kind == JSON_NUMBER) ? member->text : (slice){0};
}

/* ---- writing ---- */

void json_out_init(struct json_out *w, struct buf *to, bool pretty) {
  *w = (struct json_out){.to = to, .pretty = pretty, .first = true};
}

static void indent(struct json_out *w) {
  if (!w->pretty) {
    return;
  }
  buf_addc(w->to, '\n');
  for (uint8_t i = 0; i < w->depth; i++) {
    buf_add(w->to, SLICE("  "));
  }
}

static bool in_object(const struct json_out *w) {
  return w->depth > 0 && w->stack[w->depth] == '{';
}

/* What goes before a value: nothing after a key, a comma between elements. */
static void before_value(struct json_out *w) {
  if (w->after_key) {
    w->after_key = false;
    return;
  }
  must(!in_object(w));
  if (!w->first) {
    buf_addc(w->to, ',');
  }
  if (w->depth > 0) {
    indent(w);
  }
  w->first = false;
}

void json_quote(struct buf *to, slice s) {
  static const char hex[] = "0123456789abcdef";
  size_t plain = 0;
  buf_addc(to, '"');
  for (size_t i = 0; i < s.len; i++) {
    unsigned char c = (unsigned char)s.ptr[i];
    if (c >= 0x20 && c != '"' && c != '\\') {
      continue;
    }
    buf_add(to, (slice){s.ptr + plain, i - plain});
    plain = i + 1;
    if (c == '"' || c == '\\') {
      buf_add(to, (slice){(const char[]){'\\', (char)c}, 2});
    } else if (c == '\n') {
      buf_add(to, SLICE("\\n"));
    } else {
      buf_add(to, (slice){(const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6});
    }
  }
  buf_add(to, (slice){s.ptr + plain, s.len - plain});
  buf_addc(to, '"');
}

static void open(struct json_out *w, char kind) {
  before_value(w);
  must(w->depth < JSON_DEPTH_MAX);
  buf_addc(w->to, kind);
  w->stack[++w->depth] = kind;
  w->first = true;
}

static void close(struct json_out *w, char opened, char kind) {
  must(w->depth > 0 && w->stack[w->depth] == opened && !w->after_key);
  w->depth--;
  if (!w->first) {
    indent(w);
  }
  buf_addc(w->to, kind);
  w->first = false;
}

void json_open_object(struct json_out *w) {
  open(w, '{');
}
void json_close_object(struct json_out *w) {
  close(w, '{', '}');
}
void json_open_array(struct json_out *w) {
  open(w, '[');
}
void json_close_array(struct json_out *w) {
  close(w, '[', ']');
}

void json_key_slice(struct json_out *w, slice key) {
  must(in_object(w) && !w->after_key);
  if (!w->first) {
    buf_addc(w->to, ',');
  }
  indent(w);
  json_quote(w->to, key);
  buf_add(w->to, w->pretty ? SLICE(": ") : SLICE(":"));
  w->first = false;
  w->after_key = true;
}

void json_key(struct json_out *w, const char *key) {
  json_key_slice(w, slice_of(key));
}

void json_raw(struct json_out *w, slice value) {
  before_value(w);
  buf_add(w->to, value);
}

void json_str(struct json_out *w, slice value) {
  before_value(w);
  json_quote(w->to, value);
}

void json_int(struct json_out *w, int64_t value) {
  before_value(w);
  buf_addf(w->to, "%lld", (long long)value);
}

void json_bool(struct json_out *w, bool value) {
  json_raw(w, value ? SLICE("true") : SLICE("false"));
}
void json_null(struct json_out *w) {
  json_raw(w, SLICE("null"));
}

void json_value(struct json_out *w, const struct json *value) {
  switch (value->kind) {
  case JSON_NULL:
    json_null(w);
    return;
  case JSON_BOOL:
    json_bool(w, value->boolean);
    return;
  case JSON_NUMBER:
    json_raw(w, value->text);
    return;
  case JSON_STRING:
    json_str(w, value->text);
    return;
  case JSON_ARRAY:
  case JSON_OBJECT:
    break;
  }
  bool object = value->kind == JSON_OBJECT;
  open(w, object ? '{' : '[');
  for (const struct json *child = value->child; child; child = child->next) {
    if (object) {
      json_key_slice(w, child->key);
    }
    json_value(w, child);
  }
  close(w, object ? '{' : '[', object ? '}' : ']');
}

void json_put_str(struct json_out *w, const char *key, slice value) {
  json_key(w, key);
  json_str(w, value);
}

void json_put_cstr(struct json_out *w, const char *key, const char *value) {
  json_put_str(w, key, slice_of(value));
}

void json_put_int(struct json_out *w, const char *key, int64_t value) {
  json_key(w, key);
  json_int(w, value);
}

void json_put_bool(struct json_out *w, const char *key, bool value) {
  json_key(w, key);
  json_bool(w, value);
}
