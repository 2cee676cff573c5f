/* NDJSON by the line, and JSON arrays element by element, both in bounded memory. */
#include "base/file.h"
#include "meter/private.h"
#include <string.h>

/* One event's text; a bad one is refused and the rest goes on. */
static bool take_text(struct event_batch *batch, slice text, uint64_t line, instant now, struct error *err) {
  struct event e;
  struct error why = {0};
  if (event_from_text(batch->arena, text, now, &e, &why)) {
    return batch_add(batch, &e, line, err);
  }
  return batch_refuse(batch, line, &why, err);
}

bool read_ndjson(struct file_reader *file, struct event_batch *batch, instant now, struct error *err) {
  for (;;) {
    slice line;
    uint64_t number;
    struct error why = {0};
    int got = file_line(file, EVENT_BYTES_MAX, &line, &number, &why);
    if (got == 0) {
      return true;
    }
    if (got < 0 && why.code != ERR_LIMIT) {
      *err = why;
      return false;
    }
    bool ok = got < 0 ? batch_refuse(batch, number, &why, err)
                      : slice_trim(line).len == 0 || take_text(batch, line, number, now, err);
    if (!ok) {
      return false;
    }
  }
}

/* Finds the elements of the top-level array without reading into them: depth by brackets, strings skipped. */
struct scanner {
  struct file_reader *file;
  struct event_batch *batch;
  instant now;
  slice window;
  size_t at;
  uint64_t line, element_line;
  int more;
};

static bool scan_fill(struct scanner *s, size_t keep_from, struct error *err) {
  if (s->more <= 0) {
    return false;
  }
  s->more = file_fill(s->file, keep_from, &s->window, err);
  s->at -= keep_from;
  return s->at < s->window.len;
}

/* The next byte that is not blank; 0 at the end. */
static char scan_next(struct scanner *s, struct error *err) {
  for (;;) {
    if (s->at == s->window.len && !scan_fill(s, s->at, err)) {
      return 0;
    }
    char c = s->window.ptr[s->at];
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
      return c;
    }
    s->line += c == '\n';
    s->at++;
  }
}

static bool cut_short(const struct scanner *s, struct error *err) {
  if (err->code != ERR_NONE) {
    return false;
  }
  return error_set(err, ERR_INVALID, "%s:%llu: the JSON array is cut short", s->batch->path,
                   (unsigned long long)s->line);
}

/* Moves past one element; *too_long when it does not fit an event (its bytes are then not kept). */
static bool scan_element(struct scanner *s, size_t *begin, bool *too_long, struct error *err) {
  int depth = 0;
  bool in_string = false, escaped = false;
  *too_long = false;
  for (;; s->at++) {
    if (s->at - *begin > EVENT_BYTES_MAX) {
      *too_long = true;
      *begin = s->at;
    }
    if (s->at == s->window.len) {
      size_t kept = *begin;
      *begin = 0;
      if (!scan_fill(s, kept, err)) {
        return cut_short(s, err);
      }
    }
    char c = s->window.ptr[s->at];
    s->line += c == '\n';
    if (in_string) {
      in_string = escaped || c != '"';
      escaped = !escaped && c == '\\';
      continue;
    }
    if (depth == 0 && (c == ',' || c == ']')) {
      return true;
    }
    in_string = c == '"';
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
  }
}

static bool take_element(struct scanner *s, struct error *err) {
  size_t begin = s->at;
  bool too_long;
  uint64_t line = s->line;
  if (!scan_element(s, &begin, &too_long, err)) {
    return false;
  }
  if (!too_long) {
    return take_text(s->batch, (slice){s->window.ptr + begin, s->at - begin}, line, s->now, err);
  }
  struct error why = {0};
  error_set(&why, ERR_LIMIT, "an event has at most %u bytes", EVENT_BYTES_MAX);
  return batch_refuse(s->batch, line, &why, err);
}

bool read_json_array(struct file_reader *file, struct event_batch *batch, instant now, struct error *err) {
  struct scanner s = {.file = file, .batch = batch, .now = now, .line = 1, .more = 1};
  if (scan_next(&s, err) != '[') {
    return cut_short(&s, err);
  }
  s.at++;
  char c = scan_next(&s, err);
  bool empty = c == ']';
  while (!empty) {
    if (c == 0 || !take_element(&s, err)) {
      return cut_short(&s, err);
    }
    if (s.window.ptr[s.at++] == ']') {
      break;
    }
    c = scan_next(&s, err);
  }
  s.at += empty;
  if (scan_next(&s, err) == 0) {
    return err->code == ERR_NONE;
  }
  return error_set(err, ERR_INVALID, "%s:%llu: more text after the JSON array", batch->path,
                   (unsigned long long)s.line);
}
