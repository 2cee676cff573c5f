/* Reads a request: what it asks for, checked, and where its editable values stand. */
#include "request.h"
#include "base/limits.h"
#include <string.h>

_Static_assert(REQUEST_DEPTH_MAX == LIMIT_NESTING, "the documented limit");
_Static_assert(NAME_COUNT <= 128, "names seen are kept in two words");

enum name request_limit_name(enum request_limit limit) {
  static const enum name names[] = {[BY_MAX_TOKENS] = NAME_MAX_TOKENS,
                                    [BY_MAX_COMPLETION_TOKENS] = NAME_MAX_COMPLETION_TOKENS,
                                    [BY_MAX_OUTPUT_TOKENS] = NAME_MAX_OUTPUT_TOKENS,
                                    [BY_N_PREDICT] = NAME_N_PREDICT};
  return names[limit];
}

enum request_limit request_limit_of(enum name name) {
  enum request_limit limit = BY_MAX_TOKENS;
  while (limit < REQUEST_LIMITS && request_limit_name(limit) != name) {
    limit++;
  }
  return limit;
}

bool request_limit_binds(enum wire_door door, enum request_limit limit) {
  if (door == WIRE_RESPONSES) {
    return limit == BY_MAX_OUTPUT_TOKENS;
  }
  return limit == BY_MAX_TOKENS || (door == WIRE_CHAT && limit == BY_MAX_COMPLETION_TOKENS);
}

struct reading {
  struct arena *arena;
  struct wire_request *out;
  struct places *places;
  struct prompt prompt;
  uint64_t seen[2]; /* names of the top level */
  int64_t n, n_cmpl, best_of;
  slice user, user_id, cache_key;
  bool usage_seen;
  struct error *err;
};

static bool matters(enum name name) {
  switch (name) {
  case NAME_MODEL:
  case NAME_STREAM:
  case NAME_STREAM_OPTIONS:
  case NAME_N:
  case NAME_N_CMPL:
  case NAME_BEST_OF:
  case NAME_PROMPT:
  case NAME_INPUT:
  case NAME_MESSAGES:
  case NAME_SYSTEM:
  case NAME_INSTRUCTIONS:
  case NAME_SERVICE_TIER:
  case NAME_PROMPT_CACHE_KEY:
  case NAME_USER:
  case NAME_METADATA:
    return true;
  default:
    return request_limit_of(name) < REQUEST_LIMITS;
  }
}

/* Some servers read names of any case: what they would take for one that matters is refused. */
static bool check_case(const struct scan_token *t, struct error *err) {
  char small[SCAN_TEXT_MAX];
  for (size_t i = 0; i < t->text.len; i++) {
    const char c = t->text.ptr[i];
    small[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
  }
  const enum name meant = wire_field_name((slice){small, t->text.len});
  if (meant == NAME_OTHER || !matters(meant)) {
    return true;
  }
  return error_set(err, ERR_INVALID, "%s: the name must be written in small letters", name_text(meant));
}

static bool top_name(struct reading *r, const struct scan_token *t) {
  const enum name name = t->path[1];
  const uint64_t bit = UINT64_C(1) << (name % 64);
  if (name == NAME_OTHER) {
    return check_case(t, r->err);
  }
  if (!matters(name)) {
    return true;
  }
  if (t->escaped) {
    return error_set(r->err, ERR_INVALID, "%s: the name must be written without escapes", name_text(name));
  }
  if (r->seen[name / 64] & bit) {
    return error_set(r->err, ERR_INVALID, "%s: given twice; give it once", name_text(name));
  }
  r->seen[name / 64] |= bit;
  return true;
}

static bool expected(struct reading *r, const struct scan_token *t, const char *what) {
  return error_set(r->err, ERR_INVALID, "%s: must be %s", name_text(t->path[1]), what);
}

static bool read_name(struct reading *r, const struct scan_token *t, slice *out) {
  if (t->kind == SCAN_NULL) {
    return true;
  }
  if (t->kind != SCAN_STRING || t->text_bytes == 0 || t->text_bytes > WIRE_NAME_BYTES_MAX) {
    return expected(r, t, "a string of 1 to 256 bytes");
  }
  *out = arena_copy(r->arena, t->text);
  return true;
}

static void read_session(struct reading *r, const struct scan_token *t, slice *out) {
  if (t->kind == SCAN_STRING) {
    *out = arena_copy(r->arena, t->text);
  }
}

static bool read_count(struct reading *r, const struct scan_token *t, int64_t *out) {
  if (t->kind == SCAN_NULL) {
    return true;
  }
  if (t->kind != SCAN_NUMBER || !scan_integer(t->text, false, out) || *out < 1 || *out > WIRE_CHOICES_MAX) {
    return expected(r, t, "a whole number from 1 to 128, or null");
  }
  return true;
}

static bool read_limit(struct reading *r, const struct scan_token *t, enum request_limit limit) {
  int64_t value = -1;
  if (t->kind != SCAN_NULL && (t->kind != SCAN_NUMBER || !scan_integer(t->text, false, &value) || value < 1)) {
    return expected(r, t, "a whole number from 1 to 1000000000000, or null");
  }
  r->places->limits[limit] = (struct place){(size_t)t->begin, (size_t)t->end};
  r->places->limit_values[limit] = value;
  return true;
}

static bool read_stream(struct reading *r, const struct scan_token *t) {
  if (t->kind != SCAN_TRUE && t->kind != SCAN_FALSE && t->kind != SCAN_NULL) {
    return expected(r, t, "true, false or null");
  }
  r->out->stream = t->kind == SCAN_TRUE;
  return true;
}

static bool read_stream_options(struct reading *r, const struct scan_token *t) {
  struct places *p = r->places;
  if (t->kind != SCAN_NULL && !(t->kind == SCAN_CLOSE && t->bracket == '{')) {
    return expected(r, t, "an object or null");
  }
  p->stream_options = (struct place){(size_t)t->begin, (size_t)t->end};
  p->options_null = t->kind == SCAN_NULL;
  return true;
}

static bool top_value(struct reading *r, const struct scan_token *t) {
  const enum name name = t->path[1];
  const enum request_limit limit = request_limit_of(name);
  if (limit < REQUEST_LIMITS) {
    return read_limit(r, t, limit);
  }
  switch (name) {
  case NAME_MODEL:
    r->places->model = (struct place){(size_t)t->begin, (size_t)t->end};
    return read_name(r, t, &r->out->model);
  case NAME_SERVICE_TIER:
    return read_name(r, t, &r->out->tier);
  case NAME_PROMPT_CACHE_KEY:
    read_session(r, t, &r->cache_key);
    return true;
  case NAME_USER:
    read_session(r, t, &r->user);
    return true;
  case NAME_N:
    return read_count(r, t, &r->n);
  case NAME_N_CMPL:
    return read_count(r, t, &r->n_cmpl);
  case NAME_BEST_OF:
    return read_count(r, t, &r->best_of);
  case NAME_STREAM:
    return read_stream(r, t);
  case NAME_STREAM_OPTIONS:
    return read_stream_options(r, t);
  default:
    return true;
  }
}

static bool second_level(struct reading *r, const struct scan_token *t) {
  if (t->path[1] == NAME_METADATA && t->path[2] == NAME_USER_ID && t->kind == SCAN_STRING) {
    read_session(r, t, &r->user_id);
  }
  if (t->path[1] != NAME_STREAM_OPTIONS) {
    return true;
  }
  r->places->options_empty = false;
  if (t->path[2] != NAME_INCLUDE_USAGE) {
    return true;
  }
  if (t->kind == SCAN_KEY) {
    const bool again = r->usage_seen || t->escaped;
    r->usage_seen = true;
    return !again || error_set(r->err, ERR_INVALID, "stream_options.include_usage: give it once, without escapes");
  }
  if (t->kind != SCAN_TRUE && t->kind != SCAN_FALSE && t->kind != SCAN_NULL) {
    return error_set(r->err, ERR_INVALID, "stream_options.include_usage: must be true, false or null");
  }
  r->out->usage_asked = t->kind == SCAN_TRUE;
  r->places->include_usage = (struct place){(size_t)t->begin, (size_t)t->end};
  return true;
}

static bool heard(void *context, const struct scan_token *t) {
  struct reading *r = context;
  prompt_token(&r->prompt, t);
  if (t->depth == 0) {
    if (t->bracket != '{') {
      return error_set(r->err, ERR_INVALID, "the body must be one JSON object");
    }
    r->places->inside = t->kind == SCAN_OPEN ? (size_t)t->end : r->places->inside;
    return true;
  }
  if (t->depth == 1 && t->kind == SCAN_KEY) {
    return top_name(r, t);
  }
  if (t->depth == 1 && t->kind == SCAN_OPEN && t->path[1] == NAME_STREAM_OPTIONS) {
    r->places->options_empty = true;
  }
  if (t->depth == 1) {
    return t->kind == SCAN_OPEN || top_value(r, t);
  }
  return t->depth != 2 || second_level(r, t);
}

/* The largest, for servers differ on which counts; but none, when none is given that binds. */
static int64_t largest_limit(const struct reading *r) {
  int64_t largest = -1;
  bool binds = false;
  for (enum request_limit i = BY_MAX_TOKENS; i < REQUEST_LIMITS; i++) {
    if (r->places->limits[i].end && r->places->limit_values[i] >= 0) {
      binds |= request_limit_binds(r->out->door, i);
      largest = r->places->limit_values[i] > largest ? r->places->limit_values[i] : largest;
    }
  }
  return binds ? largest : -1;
}

static void settle(struct reading *r) {
  struct wire_request *out = r->out;
  if (out->door != WIRE_EMBEDDINGS) {
    const int64_t n = r->n > r->n_cmpl ? r->n : r->n_cmpl;
    out->choices = n > r->best_of ? n : r->best_of;
  }
  out->max_tokens = largest_limit(r);
  out->session = r->cache_key.len ? r->cache_key : r->user.len ? r->user : r->user_id;
  prompt_end(&r->prompt);
}

bool wire_request_read(struct arena *arena, enum wire_door door, slice body, struct wire_request *out,
                       struct error *err) {
  struct scan scan;
  struct places *places = arena_alloc(arena, sizeof *places);
  *out = (struct wire_request){.door = door, .body = body, .max_tokens = -1, .choices = 1, .places = places};
  struct reading r = {.arena = arena, .out = out, .places = places, .n = 1, .n_cmpl = 1, .best_of = 1, .err = err};
  r.prompt = (struct prompt){.out = out, .body = body};
  scan_start(&scan, heard, &r, true, REQUEST_DEPTH_MAX);
  if (!scan_whole(&scan, body)) {
    if (scan.refused) {
      return false;
    }
    return error_set(err, ERR_INVALID, "the body is not valid JSON: %s at byte %llu", scan.wrong,
                     (unsigned long long)scan.offset);
  }
  if (out->model.len == 0) {
    return error_set(err, ERR_INVALID, "model: must be given, as a string");
  }
  settle(&r);
  return true;
}
