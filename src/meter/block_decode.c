/* A journal block back into columns and events; every count, length and number is checked before it is believed. */
#include "meter/block.h"
#include "meter/column.h"
#include "meter/private.h"
#include <string.h>
#include <zstd.h>

struct decoder {
  struct arena *arena;
  struct varints in;
  struct block *block;
  uint64_t *scratch; /* a number an event */
};

static slice word(struct decoder *d, uint64_t number) {
  if (number >= d->block->word_count) {
    d->in.broken = true;
    return (slice){0};
  }
  return d->block->words[number];
}

static void take_words(struct decoder *d) {
  uint32_t count = take_count(&d->in);
  slice *words = arena_array(d->arena, count, sizeof *words);
  for (uint32_t i = 0; i < count && !d->in.broken; i++) {
    words[i] = take_bytes(&d->in, take_varint(&d->in));
  }
  d->block->words = words;
  d->block->word_count = count;
}

static void take_form(struct decoder *d, struct block_form *form) {
  form->type = word(d, take_varint(&d->in));
  uint64_t count = take_varint(&d->in), fields = take_varint(&d->in);
  if (fields > EVENT_FIELDS_MAX || count > d->block->count) {
    d->in.broken = true;
  }
  if (d->in.broken) {
    return;
  }
  form->count = (uint32_t)count;
  struct event_field *names = arena_array(d->arena, fields, sizeof *names);
  for (uint64_t f = 0; f < fields; f++) {
    uint64_t name = take_varint(&d->in);
    names[f] = (struct event_field){.name = word(d, name / 2), .number = name & 1};
  }
  form->fields = names;
  form->field_count = (size_t)fields;
  form->codes = arena_array(d->arena, fields, sizeof *form->codes);
}

static void take_forms(struct decoder *d) {
  uint32_t count = take_count(&d->in);
  struct block_form *forms = arena_array(d->arena, count, sizeof *forms);
  for (uint32_t i = 0; i < count && !d->in.broken; i++) {
    take_form(d, &forms[i]);
  }
  d->block->forms = forms;
  d->block->form_count = count;
}

static void take_receipts(struct decoder *d) {
  uint32_t count = take_count(&d->in);
  uint64_t events = 0;
  struct block_receipt *receipts = arena_array(d->arena, count, sizeof *receipts);
  for (uint32_t i = 0; i < count && !d->in.broken; i++) {
    uint64_t n = take_varint(&d->in), received = take_varint(&d->in);
    if (n > d->block->count || received > (uint64_t)INSTANT_MAX.ns) {
      d->in.broken = true;
      return;
    }
    receipts[i] = (struct block_receipt){(uint32_t)n, {(int64_t)received}};
    events += n;
  }
  d->in.broken |= events != d->block->count;
  d->block->receipts = receipts;
  d->block->receipt_count = count;
}

static void take_times(struct decoder *d) {
  uint64_t unit = take_varint(&d->in);
  uint32_t count = d->block->count;
  int64_t now = 0, *times = arena_array(d->arena, count, sizeof *times);
  if (unit != 1 && unit != 1000 && unit != 1000000 && unit != (uint64_t)NS_PER_S) {
    d->in.broken = true;
  }
  d->scratch[0] = take_varint(&d->in);
  if (count > 1 && !d->in.broken) {
    column_take(&d->in, d->scratch + 1, count - 1);
  }
  for (uint32_t i = 0; i < count && !d->in.broken; i++) {
    if (__builtin_add_overflow(now, unzigzag(d->scratch[i]), &now) || now < 0 || now > INSTANT_MAX.ns / (int64_t)unit) {
      d->in.broken = true;
      return;
    }
    times[i] = now * (int64_t)unit;
  }
  d->block->times_ns = times;
}

static const uint32_t *take_numbers(struct decoder *d, uint32_t bound) {
  uint32_t *numbers = arena_array(d->arena, d->block->count, sizeof *numbers);
  if (!d->in.broken) {
    column_take(&d->in, d->scratch, d->block->count);
  }
  for (uint32_t i = 0; i < d->block->count && !d->in.broken; i++) {
    d->in.broken |= d->scratch[i] >= bound;
    numbers[i] = (uint32_t)d->scratch[i];
  }
  return numbers;
}

/* Counts along the forms where each event stands; what a form says of itself must come out. */
static void take_places(struct decoder *d) {
  struct block *b = d->block;
  uint32_t *place = arena_array(d->arena, b->count, sizeof *place);
  uint32_t *seen = arena_array(d->arena, b->form_count, sizeof *seen);
  for (uint32_t i = 0; i < b->count && !d->in.broken; i++) {
    place[i] = seen[b->form[i]]++;
  }
  for (uint32_t f = 0; f < b->form_count && !d->in.broken; f++) {
    d->in.broken |= seen[f] != b->forms[f].count;
  }
  b->place = place;
}

static bool code_holds(const struct block *b, bool number, uint64_t code) {
  if (!number) {
    return code < b->word_count;
  }
  switch (code & 3) {
  case CODE_WHOLE:
    return true;
  case CODE_WORD:
    return code >> 2 < b->word_count;
  case CODE_DECIMAL:
    return (code >> 2 & 15) >= 1 && (code >> 2 & 15) <= CODE_PLACES_MAX;
  }
  return false;
}

static void take_codes(struct decoder *d, const struct block_form *form, size_t field) {
  uint64_t *codes = arena_array(d->arena, form->count, sizeof *codes);
  bool number = form->fields[field].number;
  uint64_t whole = take_varint(&d->in);
  d->in.broken |= whole > number;
  if (form->count > 0 && !d->in.broken) {
    column_take(&d->in, codes, form->count);
  }
  for (uint32_t i = 0; i < form->count && !d->in.broken; i++) {
    d->in.broken |= whole ? codes[i] >> 62 != 0 : !code_holds(d->block, number, codes[i]);
    codes[i] = whole ? codes[i] << 2 : codes[i];
  }
  form->codes[field] = codes;
}

static void take_columns(struct decoder *d) {
  struct block *b = d->block;
  d->scratch = arena_array(d->arena, b->count, sizeof *d->scratch);
  take_words(d);
  take_forms(d);
  take_receipts(d);
  take_times(d);
  b->form = take_numbers(d, b->form_count);
  b->subject = take_numbers(d, b->word_count);
  b->source = take_numbers(d, b->word_count);
  take_places(d);
  for (uint32_t i = 0; i < b->form_count && !d->in.broken; i++) {
    for (size_t f = 0; f < b->forms[i].field_count && !d->in.broken; f++) {
      take_codes(d, &b->forms[i], f);
    }
  }
}

/* ---- unpacking ---- */

static uint32_t fixed32(const char *p) {
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) {
    v |= (uint32_t)(uint8_t)p[i] << (8 * i);
  }
  return v;
}

/* The frame says its own size: a small block can not make us take half a gigabyte. */
static bool unpack(struct arena *arena, slice packed, uint32_t size, slice *out, struct error *err) {
  if (size > BLOCK_UNPACKED_BYTES_MAX || ZSTD_getFrameContentSize(packed.ptr, packed.len) != size) {
    return error_set(err, ERR_CORRUPT, "the block's size is not its columns'");
  }
  char *to = arena_alloc(arena, size);
  *out = (slice){to, size};
  return ZSTD_decompress(to, size, packed.ptr, packed.len) == size ||
         error_set(err, ERR_CORRUPT, "the columns can not be unpacked");
}

static bool take_head(slice bytes, struct block *b, slice *packed, uint32_t *columns_bytes, struct error *err) {
  if (bytes.len < BLOCK_HEAD_BYTES || memcmp(bytes.ptr, BLOCK_MAGIC, 4) != 0) {
    return error_set(err, ERR_CORRUPT, "not a journal block");
  }
  if (crc32c(0, bytes.ptr + 8, bytes.len - 8) != fixed32(bytes.ptr + 4)) {
    return error_set(err, ERR_CORRUPT, "the checksum does not match");
  }
  uint32_t columns_packed = fixed32(bytes.ptr + 16), ids_packed = fixed32(bytes.ptr + 24),
           kind = fixed32(bytes.ptr + 28);
  b->count = fixed32(bytes.ptr + 8);
  *columns_bytes = fixed32(bytes.ptr + 12);
  b->ids_bytes = fixed32(bytes.ptr + 20);
  b->ids_kind = kind == BLOCK_IDS_UUID ? BLOCK_IDS_UUID : BLOCK_IDS_FRONT;
  if (b->count == 0 || b->count > BLOCK_EVENTS_MAX || kind > BLOCK_IDS_UUID ||
      (uint64_t)BLOCK_HEAD_BYTES + columns_packed + ids_packed != bytes.len) {
    return error_set(err, ERR_CORRUPT, "the block's counts can not be");
  }
  *packed = (slice){bytes.ptr + BLOCK_HEAD_BYTES, columns_packed};
  b->packed_ids = (slice){packed->ptr + columns_packed, ids_packed};
  return true;
}

bool block_open(struct arena *arena, slice bytes, struct block *out, struct error *err) {
  slice packed, columns;
  uint32_t columns_bytes;
  *out = (struct block){0};
  if (!take_head(bytes, out, &packed, &columns_bytes, err) || !unpack(arena, packed, columns_bytes, &columns, err)) {
    return false;
  }
  struct decoder d = {.arena = arena, .in = varints_of(columns), .block = out};
  take_columns(&d);
  return (!d.in.broken && d.in.at == d.in.end) || error_set(err, ERR_CORRUPT, "the columns do not hold together");
}

/* ---- ids ---- */

static void write_uuid(const char bytes[16], char text[36]) {
  static const char digits[] = "0123456789abcdef";
  for (size_t at = 0, i = 0; i < 16; i++) {
    if (at == 8 || at == 13 || at == 18 || at == 23) {
      text[at++] = '-';
    }
    text[at++] = digits[(uint8_t)bytes[i] >> 4];
    text[at++] = digits[bytes[i] & 15];
  }
}

static bool take_uuids(struct arena *arena, const struct block *b, slice *ids, struct error *err) {
  if (b->packed_ids.len != (size_t)b->count * 16 || b->ids_bytes != b->packed_ids.len) {
    return error_set(err, ERR_CORRUPT, "the ids have the wrong length");
  }
  char *text = arena_array(arena, b->count, 36);
  for (uint32_t i = 0; i < b->count; i++) {
    write_uuid(b->packed_ids.ptr + (size_t)i * 16, text + (size_t)i * 36);
    ids[i] = (slice){text + (size_t)i * 36, 36};
  }
  return true;
}

static void take_ids(struct decoder *d, slice *ids, uint32_t count) {
  slice before = {0};
  for (uint32_t i = 0; i < count && !d->in.broken; i++) {
    uint64_t shared = take_varint(&d->in), more = take_varint(&d->in);
    if (shared > before.len || more > EVENT_ATTRIBUTE_BYTES_MAX || shared + more > EVENT_ATTRIBUTE_BYTES_MAX) {
      d->in.broken = true;
    }
    slice tail = take_bytes(&d->in, more);
    if (d->in.broken) {
      return;
    }
    if (shared == 0) {
      ids[i] = tail;
    } else {
      char *id = arena_alloc(d->arena, (size_t)(shared + more));
      memcpy(id, before.ptr, (size_t)shared);
      memcpy(id + shared, tail.ptr, (size_t)more);
      ids[i] = (slice){id, (size_t)(shared + more)};
    }
    before = ids[i];
  }
}

bool block_ids(struct arena *arena, const struct block *b, slice *ids, struct error *err) {
  slice bytes;
  if (b->ids_kind == BLOCK_IDS_UUID) {
    return take_uuids(arena, b, ids, err);
  }
  if (!unpack(arena, b->packed_ids, b->ids_bytes, &bytes, err)) {
    return false;
  }
  struct decoder d = {.arena = arena, .in = varints_of(bytes)};
  take_ids(&d, ids, b->count);
  return (!d.in.broken && d.in.at == d.in.end) || error_set(err, ERR_CORRUPT, "the ids do not hold together");
}

/* ---- events ---- */

static slice number_text(struct arena *arena, uint64_t digits, unsigned places) {
  char text[32];
  size_t at = sizeof text;
  for (unsigned written = 0; digits != 0 || written <= places; written++) {
    if (places > 0 && written == places) {
      text[--at] = '.';
    }
    text[--at] = (char)('0' + digits % 10);
    digits /= 10;
  }
  return arena_copy(arena, (slice){text + at, sizeof text - at});
}

static slice value_text(struct arena *arena, const struct block *b, bool number, uint64_t code) {
  if (!number) {
    return b->words[code];
  }
  switch (code & 3) {
  case CODE_WORD:
    return b->words[code >> 2];
  case CODE_DECIMAL:
    return number_text(arena, code >> 6, (unsigned)(code >> 2 & 15));
  default:
    return number_text(arena, code >> 2, 0);
  }
}

void block_event(struct arena *arena, const struct block *b, uint32_t i, struct event *out) {
  must(i < b->count);
  const struct block_form *form = &b->forms[b->form[i]];
  struct event_field *fields = arena_array(arena, form->field_count, sizeof *fields);
  for (size_t f = 0; f < form->field_count; f++) {
    fields[f] = form->fields[f];
    fields[f].value = value_text(arena, b, fields[f].number, form->codes[f][b->place[i]]);
  }
  *out = (struct event){.source = b->words[b->source[i]],
                        .type = form->type,
                        .subject = b->words[b->subject[i]],
                        .time = {b->times_ns[i]},
                        .fields = fields,
                        .field_count = form->field_count};
}

instant block_received(const struct block *b, uint32_t i) {
  uint64_t until = 0;
  for (uint32_t r = 0; r < b->receipt_count; r++) {
    until += b->receipts[r].events;
    if (i < until) {
      return b->receipts[r].received;
    }
  }
  return INSTANT_MAX;
}

bool block_quantity(const struct block *b, uint64_t code, quantity *out, struct error *err) {
  static const int64_t scale[] = {1000000000, 100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1};
  unsigned places = (unsigned)(code >> 2 & 15);
  if ((code & 3) == CODE_WHOLE) {
    out->e9 = (int128)(code >> 2) * scale[0];
    return true;
  }
  if ((code & 3) == CODE_DECIMAL && places <= 9) {
    out->e9 = (int128)(code >> 6) * scale[places];
    return true;
  }
  if ((code & 3) == CODE_WORD) {
    return quantity_parse(b->words[code >> 2], out, err);
  }
  struct arena *arena = arena_new();
  bool ok = quantity_parse(number_text(arena, code >> 6, places), out, err);
  arena_free(arena);
  return ok;
}

bool block_decode(struct arena *arena, slice bytes, struct event **events, size_t *count, struct error *err) {
  struct block b;
  if (!block_open(arena, bytes, &b, err)) {
    return false;
  }
  slice *ids = arena_array(arena, b.count, sizeof *ids);
  if (!block_ids(arena, &b, ids, err)) {
    return false;
  }
  *events = arena_array(arena, b.count, sizeof **events);
  *count = b.count;
  for (uint32_t i = 0; i < b.count; i++) {
    block_event(arena, &b, i, &(*events)[i]);
    (*events)[i].id = ids[i];
  }
  return true;
}
