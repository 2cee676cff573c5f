/* Finding the handler of a path: segments compared one by one, "{name}" takes a parameter. */
#include "http/private.h"
#include <string.h>

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

bool url_decode(struct arena *arena, slice text, slice *out, struct error *err) {
  char *to = arena_alloc(arena, text.len + 1);
  size_t length = 0;
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c == '%') {
      bool whole = text.len - i > 2;
      int high = whole ? hex_digit(text.ptr[i + 1]) : -1, low = whole ? hex_digit(text.ptr[i + 2]) : -1;
      if (high < 0 || low < 0 || (high == 0 && low == 0)) {
        return error_set(err, ERR_INVALID, "the URL holds a broken %%-escape");
      }
      c = (char)(high * 16 + low);
      i += 2;
    }
    to[length++] = c;
  }
  *out = (slice){to, length};
  return true;
}

static slice take_segment(slice *path) {
  const char *slash = memchr(path->ptr, '/', path->len);
  size_t length = slash ? (size_t)(slash - path->ptr) : path->len;
  slice segment = {path->ptr, length};
  size_t skip = length + (slash ? 1 : 0);
  path->ptr += skip;
  path->len -= skip;
  return segment;
}

static bool is_param(slice pattern) {
  return pattern.len > 2 && pattern.ptr[0] == '{' && pattern.ptr[pattern.len - 1] == '}';
}

static bool path_matches(const char *pattern_text, slice path, struct http_request *r) {
  slice pattern = slice_of(pattern_text);
  r->param_count = 0;
  while (pattern.len > 0 && path.len > 0) {
    slice wanted = take_segment(&pattern), given = take_segment(&path);
    if (is_param(wanted)) {
      struct error ignored = {0};
      must(r->param_count < HTTP_PARAMS_MAX);
      struct http_param *param = &r->params[r->param_count++];
      param->name = (slice){wanted.ptr + 1, wanted.len - 2};
      if (given.len == 0 || !url_decode(r->arena, given, &param->value, &ignored)) {
        return false;
      }
    } else if (!slice_eq(wanted, given)) {
      return false;
    }
  }
  return pattern.len == 0 && path.len == 0;
}

int route_find(const struct http_options *options, slice method, slice path, struct http_request *r) {
  int found = -1;
  for (size_t i = 0; i < options->route_count; i++) {
    if (!path_matches(options->routes[i].path, path, r)) {
      continue;
    }
    if (slice_is(method, options->routes[i].method)) {
      return (int)i;
    }
    found = -2;
  }
  return found;
}
