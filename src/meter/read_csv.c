/* CSV records to events, as the map says. A record without an id gets one from its content and its place among its
 * likes. */
#include "base/csv.h"
#include "base/file.h"
#include "base/yaml.h"
#include "meter/private.h"
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

struct reading {
  const struct csv_map *map;
  struct event_batch *batch;
  struct arena *arena; /* of the file: header, source */
  slice source;
  slice *columns;
  size_t column_count;
  struct map occurrences; /* digest of a record to how often it was seen */
};

/* ---- the header ---- */

static bool find_column(void *context, slice name, size_t *index, struct error *err) {
  const struct reading *r = context;
  const char **names = arena_array(r->arena, r->column_count + 1, sizeof *names);
  for (size_t i = 0; i < r->column_count; i++) {
    if (slice_eq(r->columns[i], name)) {
      *index = i;
      return true;
    }
    names[i] = arena_printf(r->arena, SLICE_FMT, SLICE_ARG(r->columns[i]));
  }
  const char *near = nearest_name(name, names);
  struct buf list;
  buf_init(&list, 300);
  for (size_t i = 0; i < r->column_count; i++) {
    buf_addf(&list, "%s%s", i ? ", " : "", names[i]);
  }
  error_set(err, ERR_INVALID, "%s:1: there is no column \"%.*s\"%s%s%s; the header has: " SLICE_FMT, r->batch->path,
            name.len > 60 ? 60 : (int)name.len, name.ptr, near ? ", did you mean \"" : "", near ? near : "",
            near ? "\"?" : "", SLICE_ARG(buf_slice(&list)));
  buf_free(&list);
  return false;
}

static bool bind_source(struct reading *r, struct csv_source *s, struct error *err) {
  if (s->kind == SOURCE_COLUMN) {
    return find_column(r, s->text, &s->column, err);
  }
  return s->kind != SOURCE_EXPRESSION || expression_bind(s->expression, find_column, r, err);
}

static bool bind_event(struct reading *r, struct csv_event *e, struct error *err) {
  if (!bind_source(r, &e->type, err) || !bind_source(r, &e->customer, err) || !bind_source(r, &e->id, err) ||
      !bind_source(r, &e->time, err)) {
    return false;
  }
  for (size_t i = 0; i < e->field_count; i++) {
    if (!bind_source(r, &e->fields[i].source, err)) {
      return false;
    }
  }
  return true;
}

static bool take_header(struct reading *r, const struct csv_record *record, struct error *err) {
  r->columns = arena_array(r->arena, record->count, sizeof *r->columns);
  r->column_count = record->count;
  for (size_t i = 0; i < record->count; i++) {
    r->columns[i] = arena_copy(r->arena, slice_trim(record->field[i]));
  }
  for (size_t i = 0; i < r->map->event_count; i++) {
    if (!bind_event(r, &r->map->events[i], err)) {
      return false;
    }
  }
  for (size_t i = 0; i < r->map->skip_count; i++) {
    size_t ignored;
    if (!find_column(r, r->map->skip_if_empty[i], &ignored, err)) {
      return false;
    }
  }
  return true;
}

/* ---- values ---- */

static bool source_value(struct reading *r, const struct csv_source *s, const struct csv_record *record, slice *out,
                         struct error *err) {
  struct arena *arena = r->batch->arena;
  quantity q;
  switch (s->kind) {
  case SOURCE_COLUMN:
    *out = arena_copy(arena, slice_trim(record->field[s->column]));
    break;
  case SOURCE_EXPRESSION:
    if (!expression_value(s->expression, record->field, record->count, &q, err)) {
      return false;
    }
    *out = slice_of(quantity_text(q, arena_alloc(arena, DECIMAL_TEXT_MAX)));
    break;
  case SOURCE_CONSTANT:
  case SOURCE_NONE:
    *out = arena_copy(arena, s->text);
    break;
  }
  if (s->suffix.len > 0) {
    *out = slice_of(arena_printf(arena, SLICE_FMT SLICE_FMT, SLICE_ARG(*out), SLICE_ARG(s->suffix)));
  }
  return true;
}

static bool event_time(struct reading *r, const struct csv_event *map, const struct csv_record *record, instant *out,
                       struct error *err) {
  static const int64_t unit_ns[] = {0, NS_PER_S, 1000000, 1};
  slice text;
  quantity q;
  int128 ns;
  if (!source_value(r, &map->time, record, &text, err)) {
    return false;
  }
  if (map->form == TIME_AUTO) {
    return time_parse_loose(text, r->map->zone, out, err);
  }
  if (!quantity_parse(text, &q, err) ||
      !int128_muldiv(q.e9, unit_ns[map->form], QUANTITY_E9, ROUND_HALF_EVEN, &ns, err)) {
    return false;
  }
  ns += map->origin.ns;
  if (ns < 0 || ns > INSTANT_MAX.ns) {
    return error_set(err, ERR_INVALID, "the time " SLICE_FMT " is out of range", SLICE_ARG(text));
  }
  out->ns = (int64_t)ns;
  return true;
}

/* Which of the records of equal content this one is: 0 for the first. Half a file imported before the whole gives the
 * same numbers, because they count from the top. */
static uint64_t occurrence(struct reading *r, const struct csv_record *record, struct digest *digest) {
  struct buf content;
  buf_init(&content, CSV_RECORD_BYTES_MAX * 2);
  for (size_t i = 0; i < record->count; i++) {
    buf_addf(&content, "%zu:", record->field[i].len);
    buf_add(&content, record->field[i]);
  }
  *digest = digest_of(buf_slice(&content));
  buf_free(&content);
  slice key = {(const char *)digest->bytes, sizeof digest->bytes};
  void *seen = map_get(&r->occurrences, key);
  *map_put(&r->occurrences, seen ? key : arena_copy(r->arena, key)) = (char *)seen + 1;
  return (uint64_t)(uintptr_t)seen;
}

/* 128 bits of the content's digest, the occurrence when it is not the first, and the event's place in the map. */
static slice derived_id(struct reading *r, const struct digest *digest, uint64_t seen, size_t event) {
  char hex[65];
  digest_hex(*digest, hex);
  struct arena *arena = r->batch->arena;
  const char *again = seen ? arena_printf(arena, "-%llu", (unsigned long long)seen) : "",
             *which = event ? arena_printf(arena, "/%zu", event) : "";
  return slice_of(arena_printf(arena, "%.32s%s%s", hex, again, which));
}

static bool event_fields(struct reading *r, const struct csv_event *map, const struct csv_record *record,
                         struct event *out, struct error *err) {
  struct event_field *fields = arena_array(r->batch->arena, map->field_count, sizeof *fields);
  size_t count = 0;
  for (size_t i = 0; i < map->field_count; i++) {
    slice value;
    if (!source_value(r, &map->fields[i].source, record, &value, err)) {
      return false;
    }
    if (value.len == 0) {
      continue;
    } /* an empty cell is an absent field */
    if (value.len > EVENT_VALUE_BYTES_MAX) {
      return error_set(err, ERR_LIMIT, "the value of " SLICE_FMT " has more than %d bytes",
                       SLICE_ARG(map->fields[i].name), EVENT_VALUE_BYTES_MAX);
    }
    fields[count++] = (struct event_field){.name = map->fields[i].name, .value = value};
  }
  out->fields = fields;
  out->field_count = count;
  for (size_t i = 0; i < count; i++) {
    fields[i].name = arena_copy(r->batch->arena, fields[i].name);
  }
  return event_sort_fields(fields, count, err);
}

static bool build_event(struct reading *r, const struct csv_event *map, const struct csv_record *record,
                        struct event *out, struct error *err) {
  *out = (struct event){.source = arena_copy(r->batch->arena, r->source)};
  return source_value(r, &map->type, record, &out->type, err) && event_check_attribute("type", out->type, err) &&
         source_value(r, &map->customer, record, &out->subject, err) &&
         event_check_attribute("customer", out->subject, err) && event_time(r, map, record, &out->time, err) &&
         event_fields(r, map, record, out, err);
}

/* ---- records ---- */

static bool is_skipped(const struct reading *r, const struct csv_record *record) {
  for (size_t s = 0; s < r->map->skip_count; s++) {
    for (size_t c = 0; c < r->column_count; c++) {
      if (slice_eq(r->columns[c], r->map->skip_if_empty[s]) && slice_trim(record->field[c]).len == 0) {
        return true;
      }
    }
  }
  return false;
}

static bool build_events(struct reading *r, const struct csv_record *record, struct event *events, struct error *why) {
  struct digest digest;
  if (record->count != r->column_count) {
    return error_set(why, ERR_INVALID, "the record has %zu fields, the header has %zu", record->count, r->column_count);
  }
  uint64_t seen = occurrence(r, record, &digest);
  for (size_t i = 0; i < r->map->event_count; i++) {
    const struct csv_event *map = &r->map->events[i];
    if (!build_event(r, map, record, &events[i], why)) {
      return false;
    }
    if (map->id.kind == SOURCE_NONE) {
      events[i].id = derived_id(r, &digest, seen, i);
    } else if (!source_value(r, &map->id, record, &events[i].id, why) ||
               !event_check_attribute("id", events[i].id, why)) {
      return false;
    }
  }
  return true;
}

static bool take_record(struct reading *r, const struct csv_record *record, struct error *err) {
  struct event events[16];
  struct error why = {0};
  must(r->map->event_count <= sizeof events / sizeof *events);
  if (r->columns == NULL) {
    return take_header(r, record, err);
  }
  /* The events of a record share the batch's memory: they go into one batch. */
  if (r->batch->count + r->map->event_count > EVENT_BATCH_MAX && !batch_flush(r->batch, err)) {
    return false;
  }
  if (record->count == r->column_count && is_skipped(r, record)) {
    return true;
  }
  if (!build_events(r, record, events, &why)) {
    return batch_refuse(r->batch, record->line, &why, err);
  }
  for (size_t i = 0; i < r->map->event_count; i++) {
    if (!batch_add(r->batch, &events[i], record->line, err)) {
      return false;
    }
  }
  return true;
}

static bool read_records(struct reading *r, struct file_reader *file, struct csv_record *record, struct arena *scratch,
                         struct error *err) {
  slice window = {0}, rest;
  uint64_t line = 0;
  size_t consumed = 0;
  for (int more = 1; more > 0;) {
    struct error broken = {0};
    more = file_fill(file, consumed, &window, &broken);
    rest = window;
    for (int got = 1; got != 0;) {
      struct error why = {0};
      arena_reset(scratch);
      got = csv_next(&rest, more == 0, r->map->separator, &line, scratch, record, &why);
      if (got < 0 && !batch_refuse(r->batch, record->line, &why, err)) {
        return false;
      }
      if (got > 0 && !take_record(r, record, err)) {
        return false;
      }
    }
    consumed = window.len - rest.len;
    if (more < 0) {
      *err = broken;
      return false;
    }
  }
  return r->columns != NULL ||
         error_set(err, ERR_INVALID, "%s:1: the file is empty: a header was expected", r->batch->path);
}

bool read_csv(struct file_reader *file, const struct csv_map *map, struct event_batch *batch, struct error *err) {
  struct reading r = {.map = map, .batch = batch, .arena = arena_new(), .source = map->source};
  if (r.source.len == 0) {
    r.source = slice_of(arena_printf(r.arena, "file:%s", basename(arena_printf(r.arena, "%s", batch->path))));
  }
  struct csv_record *record = mem_alloc(sizeof *record);
  struct arena *scratch = arena_new();
  bool ok = read_records(&r, file, record, scratch, err);
  free(record);
  arena_free(scratch);
  map_free(&r.occurrences);
  arena_free(r.arena);
  return ok;
}
