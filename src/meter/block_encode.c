/* Events into a journal block: columns, dictionaries, differences, then zstd and a checksum. */
#include "meter/block.h"
#include "meter/column.h"
#include "meter/private.h"
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define ENCODER_MAGIC 0x4d48424eu
#define CODE_LEVEL_ONCE 3

struct form {
  uint32_t type, count;
  const struct event_field *like; /* an event's fields: their names and kinds are the form's */
  size_t field_count;
  slice *last_text; /* of each field, with its code: most values come again and again */
  uint64_t *last_code;
  struct column {
    uint64_t *codes;
    size_t capacity;
  } * columns;
};
struct block_encoder {
  uint32_t magic;
  struct arena *arena;
  ZSTD_CCtx *zstd;
  struct map words, forms; /* to one past the number */
  uint32_t word_count;
  VEC(struct form) form_list;
  VEC(uint32_t) form, subject, source;
  struct buf dictionary, columns, ids;
  uint64_t *scratch;
  size_t scratch_capacity;
};

struct block_encoder *block_encoder_new(void) {
  struct block_encoder *e = mem_alloc(sizeof *e);
  e->magic = ENCODER_MAGIC;
  e->arena = arena_new();
  e->zstd = ZSTD_createCCtx();
  must(e->zstd != NULL);
  buf_init(&e->dictionary, BLOCK_UNPACKED_BYTES_MAX);
  buf_init(&e->columns, BLOCK_UNPACKED_BYTES_MAX);
  buf_init(&e->ids, BLOCK_UNPACKED_BYTES_MAX);
  return e;
}

static void drop_columns(struct block_encoder *e) {
  for (size_t i = 0; i < e->form_list.count; i++) {
    for (size_t f = 0; f < e->form_list.items[i].field_count; f++) {
      free(e->form_list.items[i].columns[f].codes);
    }
  }
  e->form_list.count = 0;
}

void block_encoder_free(struct block_encoder *e) {
  if (e == NULL) {
    return;
  }
  must(e->magic == ENCODER_MAGIC);
  drop_columns(e);
  vec_free(&e->form_list);
  vec_free(&e->form);
  vec_free(&e->subject);
  vec_free(&e->source);
  buf_free(&e->dictionary);
  buf_free(&e->columns);
  buf_free(&e->ids);
  map_free(&e->words);
  map_free(&e->forms);
  ZSTD_freeCCtx(e->zstd);
  free(e->scratch);
  arena_free(e->arena);
  free(e);
}

static void map_empty(struct map *m) {
  if (m->capacity > 1024) {
    map_free(m);
  } else if (m->count > 0) {
    memset(m->slots, 0, m->capacity * sizeof *m->slots);
    m->count = 0;
  }
}

static void start(struct block_encoder *e) {
  drop_columns(e);
  arena_reset(e->arena);
  map_empty(&e->words);
  map_empty(&e->forms);
  e->word_count = 0;
  e->form.count = e->subject.count = e->source.count = 0;
  e->dictionary.len = e->columns.len = e->ids.len = 0;
  e->dictionary.failed = e->columns.failed = e->ids.failed = false;
}

static uint32_t word_number(struct block_encoder *e, slice word) {
  void **place = map_put(&e->words, word);
  if (*place == NULL) {
    *place = (void *)(uintptr_t)++e->word_count;
    put_string(&e->dictionary, word);
  }
  return (uint32_t)((uintptr_t)*place - 1);
}

/* ---- forms ---- */

static bool fits_form(const struct form *form, const struct event *event) {
  if (form->field_count != event->field_count) {
    return false;
  }
  if (form->like == event->fields) {
    return true;
  }
  for (size_t i = 0; i < event->field_count; i++) {
    if (form->like[i].number != event->fields[i].number || !slice_eq(form->like[i].name, event->fields[i].name)) {
      return false;
    }
  }
  return true;
}

static uint32_t new_form(struct block_encoder *e, const struct event *event, uint32_t type) {
  struct form form = {.type = type, .like = event->fields, .field_count = event->field_count};
  form.last_text = arena_array(e->arena, event->field_count, sizeof *form.last_text);
  form.last_code = arena_array(e->arena, event->field_count, sizeof *form.last_code);
  form.columns = arena_array(e->arena, event->field_count, sizeof *form.columns);
  vec_push(&e->form_list, form);
  return (uint32_t)e->form_list.count - 1;
}

static uint32_t form_number(struct block_encoder *e, const struct event *event, uint32_t type) {
  struct buf key;
  buf_init(&key, 1u << 20);
  put_varint(&key, type);
  for (size_t i = 0; i < event->field_count; i++) {
    put_varint(&key, (uint64_t)word_number(e, event->fields[i].name) * 2 + event->fields[i].number);
  }
  void *known = map_get(&e->forms, buf_slice(&key));
  if (known == NULL) {
    known = (void *)(uintptr_t)(new_form(e, event, type) + 1);
    *map_put(&e->forms, arena_copy(e->arena, buf_slice(&key))) = known;
  }
  buf_free(&key);
  return (uint32_t)((uintptr_t)known - 1);
}

/* ---- values ---- */

/* A number written the one usual way, so that writing it again gives the same text. */
static bool plain_number(slice text, uint64_t *code) {
  uint64_t digits = 0;
  size_t point = text.len;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] == '.' && point == text.len && i > 0) {
      point = i;
    } else if (text.ptr[i] >= '0' && text.ptr[i] <= '9') {
      digits = digits * 10 + (uint64_t)(text.ptr[i] - '0');
    } else {
      return false;
    }
  }
  size_t places = point < text.len ? text.len - point - 1 : 0;
  size_t limit = point < text.len ? CODE_DIGITS_MAX + 1 : CODE_DIGITS_MAX;
  bool usual = text.len > 0 && text.len <= limit && (point == 1 || text.ptr[0] != '0');
  if (!usual || (point < text.len && (places == 0 || places > CODE_PLACES_MAX))) {
    return false;
  }
  *code = point < text.len ? (digits * 16 + places) * 4 + CODE_DECIMAL : digits * 4 + CODE_WHOLE;
  return true;
}

static uint64_t code_of(struct block_encoder *e, const struct event_field *field) {
  uint64_t code;
  if (!field->number) {
    return word_number(e, field->value);
  }
  return plain_number(field->value, &code) ? code : (uint64_t)word_number(e, field->value) * 4 + CODE_WORD;
}

static void put_values(struct block_encoder *e, struct form *form, const struct event *event) {
  for (size_t f = 0; f < event->field_count; f++) {
    struct column *column = &form->columns[f];
    if (form->count == 0 || !slice_eq(event->fields[f].value, form->last_text[f])) {
      form->last_code[f] = code_of(e, &event->fields[f]);
      form->last_text[f] = event->fields[f].value;
    }
    if (form->count == column->capacity) {
      column->capacity = column->capacity ? column->capacity * 2 : 64;
      column->codes = mem_grow(column->codes, column->capacity, sizeof *column->codes);
    }
    column->codes[form->count] = form->last_code[f];
  }
  form->count++;
}

/* Runs of events from one place are alike: what the one before had is looked at first. */
static void put_events(struct block_encoder *e, const struct event *events, size_t count) {
  uint32_t type = 0;
  for (size_t i = 0; i < count; i++) {
    const struct event *event = &events[i], *before = i > 0 ? event - 1 : NULL;
    bool same_type = before && slice_eq(event->type, before->type);
    bool same_source = before && slice_eq(event->source, before->source);
    bool same_subject = before && slice_eq(event->subject, before->subject);
    type = same_type ? type : word_number(e, event->type);
    uint32_t form = before ? e->form.items[i - 1] : 0;
    if (!same_type || !fits_form(&e->form_list.items[form], event)) {
      form = form_number(e, event, type);
    }
    vec_push(&e->form, form);
    vec_push(&e->source, same_source ? e->source.items[i - 1] : word_number(e, event->source));
    vec_push(&e->subject, same_subject ? e->subject.items[i - 1] : word_number(e, event->subject));
    put_values(e, &e->form_list.items[form], event);
  }
}

/* ---- columns ---- */

static void put_forms(struct block_encoder *e) {
  put_varint(&e->columns, e->form_list.count);
  for (size_t i = 0; i < e->form_list.count; i++) {
    const struct form *form = &e->form_list.items[i];
    put_varint(&e->columns, form->type);
    put_varint(&e->columns, form->count);
    put_varint(&e->columns, form->field_count);
    for (size_t f = 0; f < form->field_count; f++) {
      put_varint(&e->columns, (uint64_t)word_number(e, form->like[f].name) * 2 + form->like[f].number);
    }
  }
}

/* The names of the forms must be words before the dictionary is written. */
static void name_forms(struct block_encoder *e) {
  for (size_t i = 0; i < e->form_list.count; i++) {
    for (size_t f = 0; f < e->form_list.items[i].field_count; f++) {
      word_number(e, e->form_list.items[i].like[f].name);
    }
  }
}

static void put_receipts(struct buf *to, const struct block_receipt *receipts, size_t count) {
  put_varint(to, count);
  for (size_t i = 0; i < count; i++) {
    put_varint(to, receipts[i].events);
    put_varint(to, (uint64_t)receipts[i].received.ns);
  }
}

/* Most clocks tell seconds, milliseconds or microseconds: the coarsest unit that loses nothing. */
static int64_t time_unit_ns(const struct event *events, size_t count) {
  int64_t unit = NS_PER_S;
  for (size_t i = 0; i < count && unit > 1; i++) {
    while (events[i].time.ns % unit != 0) {
      unit /= 1000;
    }
  }
  return unit;
}

static uint64_t *scratch_of(struct block_encoder *e, size_t count) {
  if (e->scratch_capacity < count) {
    e->scratch_capacity = count;
    e->scratch = mem_grow(e->scratch, count, sizeof *e->scratch);
  }
  return e->scratch;
}

static void put_times(struct block_encoder *e, const struct event *events, size_t count) {
  int64_t unit = time_unit_ns(events, count), before = 0;
  uint64_t *steps = scratch_of(e, count);
  for (size_t i = 0; i < count; i++) {
    int64_t now = events[i].time.ns / unit;
    steps[i] = zigzag(now - before);
    before = now;
  }
  put_varint(&e->columns, (uint64_t)unit);
  put_varint(&e->columns, steps[0]);
  if (count > 1) {
    column_put(&e->columns, steps + 1, count - 1);
  }
}

static void put_numbers(struct block_encoder *e, const uint32_t *numbers, size_t count) {
  uint64_t *wide = scratch_of(e, count);
  for (size_t i = 0; i < count; i++) {
    wide[i] = numbers[i];
  }
  column_put(&e->columns, wide, count);
}

/* Most number columns hold whole numbers alone: then the kind is said once and not in each code. */
static void put_codes(struct block_encoder *e, const uint64_t *codes, size_t count, bool number) {
  bool whole = number;
  for (size_t i = 0; i < count && whole; i++) {
    whole = (codes[i] & 3) == CODE_WHOLE;
  }
  put_varint(&e->columns, whole);
  if (!whole) {
    column_put(&e->columns, codes, count);
    return;
  }
  uint64_t *numbers = scratch_of(e, count);
  for (size_t i = 0; i < count; i++) {
    numbers[i] = codes[i] >> 2;
  }
  column_put(&e->columns, numbers, count);
}

static void put_columns(struct block_encoder *e, const struct event *events, size_t count,
                        const struct block_receipt *receipts, size_t receipt_count) {
  name_forms(e);
  put_varint(&e->columns, e->word_count);
  buf_add(&e->columns, buf_slice(&e->dictionary));
  put_forms(e);
  put_receipts(&e->columns, receipts, receipt_count);
  put_times(e, events, count);
  put_numbers(e, e->form.items, count);
  put_numbers(e, e->subject.items, count);
  put_numbers(e, e->source.items, count);
  for (size_t i = 0; i < e->form_list.count; i++) {
    const struct form *form = &e->form_list.items[i];
    for (size_t f = 0; f < form->field_count; f++) {
      put_codes(e, form->columns[f].codes, form->count, form->like[f].number);
    }
  }
}

/* ---- ids ---- */

static bool hex_value(char c, unsigned *out) {
  *out = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 16;
  return *out < 16;
}

static bool uuid_bytes(slice id, char bytes[16]) {
  size_t at = 0;
  if (id.len != 36) {
    return false;
  }
  for (size_t i = 0; i < 36; i++) {
    unsigned high, low;
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (id.ptr[i] != '-') {
        return false;
      }
      continue;
    }
    if (!hex_value(id.ptr[i], &high) || !hex_value(id.ptr[i + 1], &low)) {
      return false;
    }
    bytes[at++] = (char)(high << 4 | low);
    i++;
  }
  return true;
}

static bool put_uuids(struct block_encoder *e, const struct event *events, size_t count) {
  char bytes[16];
  for (size_t i = 0; i < count; i++) {
    if (!uuid_bytes(events[i].id, bytes)) {
      e->ids.len = 0;
      return false;
    }
    buf_add(&e->ids, (slice){bytes, sizeof bytes});
  }
  return true;
}

static void put_ids(struct block_encoder *e, const struct event *events, size_t count) {
  slice before = {0};
  for (size_t i = 0; i < count; i++) {
    slice id = events[i].id;
    size_t shared = 0;
    while (shared < id.len && shared < before.len && id.ptr[shared] == before.ptr[shared]) {
      shared++;
    }
    put_varint(&e->ids, shared);
    put_varint(&e->ids, id.len - shared);
    buf_add(&e->ids, (slice){id.ptr + shared, id.len - shared});
    before = id;
  }
}

/* ---- the whole ---- */

static void put_fixed32(char *to, uint32_t v) {
  for (int i = 0; i < 4; i++) {
    to[i] = (char)(v >> (8 * i));
  }
}

static size_t compress(struct block_encoder *e, char *to, size_t room, const struct buf *from, int level) {
  size_t size = ZSTD_compressCCtx(e->zstd, to, room, from->ptr, from->len, level);
  must(!ZSTD_isError(size));
  return size;
}

static bool pack(struct block_encoder *e, size_t count, enum block_ids kind, int level, struct buf *out,
                 struct error *err) {
  if (e->columns.failed || e->ids.failed || e->dictionary.failed) {
    return error_set(err, ERR_LIMIT, "a journal block is larger than %u bytes", BLOCK_UNPACKED_BYTES_MAX);
  }
  size_t columns_bound = ZSTD_compressBound(e->columns.len);
  size_t room = BLOCK_HEAD_BYTES + columns_bound + ZSTD_compressBound(e->ids.len);
  char *packed = mem_grow(NULL, room, 1);
  size_t columns_size = compress(e, packed + BLOCK_HEAD_BYTES, columns_bound, &e->columns, level);
  size_t at = BLOCK_HEAD_BYTES + columns_size, ids_size = e->ids.len;
  if (kind == BLOCK_IDS_UUID) {
    memcpy(packed + at, e->ids.ptr, e->ids.len);
  } else {
    ids_size = compress(e, packed + at, room - at, &e->ids, level);
  }
  memcpy(packed, BLOCK_MAGIC, 4);
  const uint32_t words[] = {(uint32_t)count,      (uint32_t)e->columns.len, (uint32_t)columns_size,
                            (uint32_t)e->ids.len, (uint32_t)(ids_size),     (uint32_t)kind};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    put_fixed32(packed + 8 + 4 * i, words[i]);
  }
  put_fixed32(packed + 4, crc32c(0, packed + 8, at + ids_size - 8));
  buf_add(out, (slice){packed, at + ids_size});
  free(packed);
  return !out->failed || error_set(err, ERR_LIMIT, "a journal block is larger than its buffer");
}

bool block_encode_with(struct block_encoder *e, const struct event *events, size_t count,
                       const struct block_receipt *receipts, size_t receipt_count, int level, struct buf *out,
                       struct error *err) {
  must(e->magic == ENCODER_MAGIC && count > 0 && count <= BLOCK_EVENTS_MAX);
  start(e);
  put_events(e, events, count);
  put_columns(e, events, count, receipts, receipt_count);
  enum block_ids kind = put_uuids(e, events, count) ? BLOCK_IDS_UUID : BLOCK_IDS_FRONT;
  if (kind == BLOCK_IDS_FRONT) {
    put_ids(e, events, count);
  }
  return pack(e, count, kind, level, out, err);
}

bool block_encode(const struct event *events, size_t count, struct buf *out, struct error *err) {
  struct block_encoder *e = block_encoder_new();
  struct block_receipt receipt = {.events = (uint32_t)count};
  bool ok = block_encode_with(e, events, count, &receipt, 1, CODE_LEVEL_ONCE, out, err);
  block_encoder_free(e);
  return ok;
}
