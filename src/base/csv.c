/* CSV records by a small state machine; the fields of a record are copied out unquoted. */
#include "base/csv.h"
#include <string.h>

enum outcome { NEED_MORE, FIELD_ENDS, RECORD_ENDS, BROKEN };

struct cursor {
  slice text;
  size_t at;
  bool last;
  char separator;
};

static bool at_end(const struct cursor *c) {
  return c->at >= c->text.len;
}

/* What follows a field: a separator, a line end (LF or CRLF), or the end of the file. */
static enum outcome after_field(struct cursor *c, struct error *err) {
  if (at_end(c)) {
    return c->last ? RECORD_ENDS : NEED_MORE;
  }
  char ch = c->text.ptr[c->at];
  if (ch == c->separator) {
    c->at++;
    return FIELD_ENDS;
  }
  if (ch == '\r') {
    if (c->at + 1 >= c->text.len && !c->last) {
      return NEED_MORE;
    }
    c->at++;
    if (at_end(c)) {
      return RECORD_ENDS;
    }
    ch = c->text.ptr[c->at];
  }
  if (ch == '\n') {
    c->at++;
    return RECORD_ENDS;
  }
  error_set(err, ERR_INVALID, "text after a closing quote: expected a separator or the end of the line");
  return BROKEN;
}

static enum outcome quoted(struct cursor *c, struct arena *arena, slice *field, struct error *err) {
  size_t from = ++c->at, length = 0;
  for (size_t i = from; i < c->text.len; i++) {
    if (c->text.ptr[i] != '"') {
      continue;
    }
    if (i + 1 == c->text.len && !c->last) {
      return NEED_MORE;
    }
    if (i + 1 < c->text.len && c->text.ptr[i + 1] == '"') {
      i++;
      continue;
    }
    char *to = arena_alloc(arena, i - from + 1);
    for (size_t j = from; j < i; j++) {
      to[length++] = c->text.ptr[j];
      if (c->text.ptr[j] == '"') {
        j++;
      }
    }
    *field = (slice){to, length};
    c->at = i + 1;
    return after_field(c, err);
  }
  if (!c->last) {
    return NEED_MORE;
  }
  error_set(err, ERR_INVALID, "a quote is opened and never closed");
  return BROKEN;
}

static enum outcome plain(struct cursor *c, struct arena *arena, slice *field, struct error *err) {
  size_t from = c->at;
  while (!at_end(c) && c->text.ptr[c->at] != c->separator && c->text.ptr[c->at] != '\n' && c->text.ptr[c->at] != '\r') {
    c->at++;
  }
  *field = arena_copy(arena, (slice){c->text.ptr + from, c->at - from});
  return after_field(c, err);
}

/* After an error the rest of the file is kept: go on at the next line. */
static void skip_line(slice *text, uint64_t *line) {
  const char *end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;
  size_t skip = end ? (size_t)(end - text->ptr) + 1 : text->len;
  *text = (slice){text->ptr + skip, text->len - skip};
  (*line)++;
}

static int refuse(slice *text, uint64_t *line, struct error *err) {
  skip_line(text, line);
  if (err->code == ERR_NONE) {
    error_set(err, ERR_INVALID, "the record can not be read");
  }
  return -1;
}

static uint64_t count_lines(slice s) {
  uint64_t lines = 0;
  for (const char *p = s.ptr, *end = s.ptr + s.len; p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++) {
    lines++;
  }
  return lines;
}

static bool record_is_sound(slice record, struct error *err) {
  if (record.len > CSV_RECORD_BYTES_MAX) {
    return error_set(err, ERR_LIMIT, "a record is longer than %u bytes", CSV_RECORD_BYTES_MAX);
  }
  return memchr(record.ptr, '\0', record.len) == NULL || error_set(err, ERR_INVALID, "the record holds a NUL byte");
}

static void skip_blank_lines(slice *text, uint64_t *line) {
  while (text->len > 0 && (text->ptr[0] == '\n' || (text->ptr[0] == '\r' && text->len > 1 && text->ptr[1] == '\n'))) {
    skip_line(text, line);
  }
}

/* Fields until the record ends; 1, 0 or -1 as csv_next. */
static int take_fields(struct cursor *c, struct arena *arena, struct csv_record *out, struct error *err) {
  for (enum outcome o = FIELD_ENDS; o == FIELD_ENDS;) {
    if (out->count == CSV_FIELDS_MAX) {
      error_set(err, ERR_LIMIT, "a record has more than %d fields", CSV_FIELDS_MAX);
      return -1;
    }
    slice *field = &out->field[out->count++];
    o = !at_end(c) && c->text.ptr[c->at] == '"' ? quoted(c, arena, field, err) : plain(c, arena, field, err);
    if (o == NEED_MORE) {
      return 0;
    }
    if (o == BROKEN) {
      return -1;
    }
  }
  return 1;
}

int csv_next(slice *text, bool last, char separator, uint64_t *line, struct arena *arena, struct csv_record *out,
             struct error *err) {
  *err = (struct error){0};
  if (*line == 0) {
    *line = 1;
    if (slice_starts(*text, "\xef\xbb\xbf")) {
      *text = (slice){text->ptr + 3, text->len - 3};
    }
  }
  skip_blank_lines(text, line);
  if (text->len == 0) {
    return 0;
  }
  struct cursor c = {.text = *text, .last = last, .separator = separator};
  out->count = 0;
  out->line = *line;
  int taken = take_fields(&c, arena, out, err);
  if (taken == 0 && text->len > CSV_RECORD_BYTES_MAX) {
    error_set(err, ERR_LIMIT, "a record is longer than %u bytes", CSV_RECORD_BYTES_MAX);
    taken = -1;
  }
  if (taken < 0) {
    return refuse(text, line, err);
  }
  if (taken == 0) {
    return 0;
  }
  slice record = {text->ptr, c.at};
  if (!record_is_sound(record, err)) {
    return refuse(text, line, err);
  }
  *line += count_lines(record);
  *text = (slice){text->ptr + c.at, text->len - c.at};
  return 1;
}
