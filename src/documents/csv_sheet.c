/* Any list of JSON objects as CSV (RFC 4180): columns in the order they are first met, nested objects by dotted names.
 */
#include "documents/private.h"
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 1024
#define COLUMN_NAME_BYTES_MAX 256

struct cell {
  slice text;
  bool is_words; /* not a number, not true or false: could be taken for a formula */
};
struct row {
  struct cell *cells; /* parallel to the columns known when it was added */
  size_t count;
};
struct csv_sheet {
  struct arena *arena;
  VEC(slice) columns;
  VEC(struct row) rows;
  VEC(struct cell) current;
  size_t expected; /* the column after the one that was met last: rows are mostly alike */
};

struct csv_sheet *csv_sheet_new(void) {
  struct csv_sheet *s = mem_alloc(sizeof *s);
  s->arena = arena_new();
  return s;
}

void csv_sheet_free(struct csv_sheet *s) {
  if (s) {
    arena_free(s->arena);
    vec_free(&s->columns);
    vec_free(&s->rows);
    vec_free(&s->current);
    free(s);
  }
}

static bool column_of(struct csv_sheet *s, slice name, size_t *out, struct error *err) {
  size_t count = s->columns.count;
  for (size_t i = 0; i < count; i++) {
    size_t at = (s->expected + i) % count;
    if (slice_eq(s->columns.items[at], name)) {
      *out = at;
      return true;
    }
  }
  if (count == COLUMNS_MAX) {
    return error_set(err, ERR_LIMIT, "a table has at most %d columns", COLUMNS_MAX);
  }
  *out = count;
  vec_push(&s->columns, arena_copy(s->arena, name));
  return true;
}

/* Money and quantities are strings in JSON; a minus sign before digits alone is one of a number. */
static bool is_number(slice text) {
  size_t i = text.len > 0 && text.ptr[0] == '-', digits = 0, points = 0;
  for (; i < text.len; i++) {
    digits += text.ptr[i] >= '0' && text.ptr[i] <= '9';
    points += text.ptr[i] == '.';
  }
  size_t sign = text.len > 0 && text.ptr[0] == '-';
  return digits > 0 && points <= 1 && digits + points + sign == text.len;
}

static slice compact(struct csv_sheet *s, const struct json *value) {
  struct buf text;
  struct json_out w;
  buf_init(&text, DOCUMENT_BYTES_MAX);
  json_out_init(&w, &text, false);
  json_value(&w, value);
  slice kept = arena_copy(s->arena, buf_slice(&text));
  buf_free(&text);
  return kept;
}

static struct cell cell_of(struct csv_sheet *s, const struct json *value) {
  switch (value->kind) {
  case JSON_NULL:
    return (struct cell){0};
  case JSON_BOOL:
    return (struct cell){.text = value->boolean ? SLICE("true") : SLICE("false")};
  case JSON_NUMBER:
    return (struct cell){.text = value->text};
  case JSON_STRING:
    return (struct cell){.text = value->text, .is_words = !is_number(value->text)};
  case JSON_ARRAY:
  case JSON_OBJECT:
    break;
  }
  return (struct cell){.text = value->count ? compact(s, value) : (slice){0}, .is_words = true};
}

static bool add_members(struct csv_sheet *s, const char *prefix, const struct json *object, struct error *err) {
  for (const struct json *member = object->child; member; member = member->next) {
    char name[COLUMN_NAME_BYTES_MAX];
    int length = snprintf(name, sizeof name, "%s" SLICE_FMT, prefix, SLICE_ARG(member->key));
    if (length >= (int)sizeof name) {
      return error_set(err, ERR_LIMIT, "the name of a column has at most %d bytes", COLUMN_NAME_BYTES_MAX - 1);
    }
    if (member->kind == JSON_OBJECT && length + 1 < (int)sizeof name) {
      memcpy(name + length, ".", 2);
      if (!add_members(s, name, member, err)) {
        return false;
      }
      continue;
    }
    size_t column;
    if (!column_of(s, slice_of(name), &column, err)) {
      return false;
    }
    while (s->current.count <= column) {
      vec_push(&s->current, (struct cell){0});
    }
    s->current.items[column] = cell_of(s, member);
    s->expected = column + 1;
  }
  return true;
}

static bool add_row(struct csv_sheet *s, const struct json *object, struct error *err) {
  s->current.count = 0;
  s->expected = 0;
  if (object->kind != JSON_OBJECT) {
    return error_set(err, ERR_INVALID, "a row of a table should be a JSON object");
  }
  if (!add_members(s, "", object, err)) {
    return false;
  }
  struct row row = {.cells = arena_array(s->arena, s->current.count, sizeof *row.cells), .count = s->current.count};
  if (row.count > 0) {
    memcpy(row.cells, s->current.items, row.count * sizeof *row.cells);
  }
  vec_push(&s->rows, row);
  return true;
}

bool csv_sheet_add(struct csv_sheet *s, slice json_object, struct error *err) {
  const struct json *object;
  return json_parse(s->arena, json_object, &object, err) && add_row(s, object, err);
}

void csv_put_cell(struct buf *out, slice text, bool is_words) {
  bool formula = is_words && text.len > 0 && memchr("=+-@\t\r", text.ptr[0], 6) != NULL, quoted = false;
  for (size_t i = 0; i < text.len && !quoted; i++) {
    quoted = memchr(",\"\r\n", text.ptr[i], 4) != NULL;
  }
  if (quoted) {
    buf_addc(out, '"');
  }
  if (formula) {
    buf_addc(out, '\'');
  }
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] == '"') {
      buf_addc(out, '"');
    }
    buf_addc(out, text.ptr[i]);
  }
  if (quoted) {
    buf_addc(out, '"');
  }
}

void csv_sheet_write(const struct csv_sheet *s, struct buf *out) {
  for (size_t c = 0; c < s->columns.count; c++) {
    buf_add(out, c ? SLICE(",") : SLICE(""));
    csv_put_cell(out, s->columns.items[c], true);
  }
  buf_add(out, SLICE("\r\n"));
  for (size_t r = 0; r < s->rows.count; r++) {
    const struct row *row = &s->rows.items[r];
    for (size_t c = 0; c < s->columns.count; c++) {
      buf_add(out, c ? SLICE(",") : SLICE(""));
      if (c < row->count) {
        csv_put_cell(out, row->cells[c].text, row->cells[c].is_words);
      }
    }
    buf_add(out, SLICE("\r\n"));
  }
}

bool csv_from_list(struct arena *arena, slice list, struct buf *out, slice *next_cursor, struct error *err) {
  struct csv_sheet *s = csv_sheet_new();
  const struct json *tree;
  bool ok = json_parse(s->arena, list, &tree, err);
  const struct json *data = ok ? json_get(tree, "data") : NULL;
  if (ok && (data == NULL || data->kind != JSON_ARRAY)) {
    ok = error_set(err, ERR_INVALID, "only a list can be given as CSV");
  }
  for (const struct json *one = ok ? data->child : NULL; ok && one; one = one->next) {
    ok = add_row(s, one, err);
  }
  if (ok) {
    csv_sheet_write(s, out);
    *next_cursor = arena_copy(arena, json_text(tree, "next_cursor"));
  }
  csv_sheet_free(s);
  return ok;
}
