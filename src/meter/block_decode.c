/* A journal block back into events; every count, length and number is checked before it is believed. */
#include "meter/block.h"
#include "meter/private.h"
#include <string.h>
#include <zstd.h>

struct shape {
  const struct event_field *fields; /* names and kinds; values are filled in per event */
  size_t count;
};
struct decoder {
  struct arena *arena;
  slice rest;
  bool broken;
  slice *words;
  uint64_t word_count;
  struct shape *shapes;
  uint64_t shape_count;
};

static uint64_t take_varint(struct decoder *d) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (d->rest.len == 0) {
      break;
    }
    uint8_t byte = (uint8_t)*d->rest.ptr;
    d->rest = (slice){d->rest.ptr + 1, d->rest.len - 1};
    v |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) {
      return v;
    }
  }
  d->broken = true;
  return 0;
}

/* A count of things that take at least one byte each. */
static uint64_t take_count(struct decoder *d) {
  uint64_t n = take_varint(d);
  if (n > d->rest.len) {
    d->broken = true;
  }
  return d->broken ? 0 : n;
}

static slice take_bytes(struct decoder *d, uint64_t length) {
  if (length > d->rest.len) {
    d->broken = true;
  }
  if (d->broken) {
    return (slice){0};
  }
  slice s = {d->rest.ptr, (size_t)length};
  d->rest = (slice){d->rest.ptr + length, d->rest.len - (size_t)length};
  return s;
}

static slice word(struct decoder *d, uint64_t number) {
  if (number >= d->word_count) {
    d->broken = true;
    return (slice){0};
  }
  return d->words[number];
}

static void take_dictionary(struct decoder *d) {
  d->word_count = take_count(d);
  d->words = arena_array(d->arena, d->word_count, sizeof *d->words);
  for (uint64_t i = 0; i < d->word_count && !d->broken; i++) {
    d->words[i] = take_bytes(d, take_varint(d));
  }
}

static void take_shapes(struct decoder *d) {
  d->shape_count = take_count(d);
  d->shapes = arena_array(d->arena, d->shape_count, sizeof *d->shapes);
  for (uint64_t i = 0; i < d->shape_count && !d->broken; i++) {
    uint64_t count = take_varint(d);
    if (count > EVENT_FIELDS_MAX) {
      d->broken = true;
    }
    if (d->broken) {
      return;
    }
    struct event_field *fields = arena_array(d->arena, count, sizeof *fields);
    for (uint64_t f = 0; f < count; f++) {
      uint64_t name = take_varint(d);
      fields[f] = (struct event_field){.name = word(d, name / 2), .number = name & 1};
    }
    d->shapes[i] = (struct shape){fields, (size_t)count};
  }
}

static void take_times(struct decoder *d, struct event *events, size_t count) {
  int64_t ns = 0;
  for (size_t i = 0; i < count && !d->broken; i++) {
    uint64_t v = take_varint(d);
    int64_t difference = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
    if (__builtin_add_overflow(ns, difference, &ns) || ns < 0 || ns > INSTANT_MAX.ns) {
      d->broken = true;
    }
    events[i].time.ns = ns;
  }
}

static void take_refs(struct decoder *d, struct event *events, size_t count) {
  for (size_t i = 0; i < count && !d->broken; i++) {
    events[i].source = word(d, take_varint(d));
    events[i].type = word(d, take_varint(d));
    events[i].subject = word(d, take_varint(d));
    uint64_t shape = take_varint(d);
    if (shape >= d->shape_count || events[i].source.len > EVENT_ATTRIBUTE_BYTES_MAX) {
      d->broken = true;
    }
    if (d->broken) {
      return;
    }
    events[i].fields = d->shapes[shape].fields;
    events[i].field_count = d->shapes[shape].count;
  }
}

static void take_ids(struct decoder *d, struct event *events, size_t count) {
  slice before = {0};
  for (size_t i = 0; i < count && !d->broken; i++) {
    uint64_t shared = take_varint(d), more = take_varint(d);
    if (shared > before.len || more > EVENT_ATTRIBUTE_BYTES_MAX || shared + more > EVENT_ATTRIBUTE_BYTES_MAX) {
      d->broken = true;
    }
    slice tail = take_bytes(d, more);
    if (d->broken) {
      return;
    }
    if (shared == 0) {
      events[i].id = tail;
    } else {
      char *id = arena_alloc(d->arena, (size_t)(shared + more));
      memcpy(id, before.ptr, (size_t)shared);
      memcpy(id + shared, tail.ptr, (size_t)more);
      events[i].id = (slice){id, (size_t)(shared + more)};
    }
    before = events[i].id;
  }
}

static slice whole_text(struct decoder *d, uint64_t v) {
  char text[24];
  size_t at = sizeof text;
  do {
    text[--at] = (char)('0' + v % 10);
  } while ((v /= 10) != 0);
  return arena_copy(d->arena, (slice){text + at, sizeof text - at});
}

static void take_values(struct decoder *d, struct event *events, size_t count) {
  for (size_t i = 0; i < count && !d->broken; i++) {
    size_t fields = events[i].field_count;
    struct event_field *own = arena_array(d->arena, fields, sizeof *own);
    if (fields > 0) {
      memcpy(own, events[i].fields, fields * sizeof *own);
    }
    for (size_t f = 0; f < fields && !d->broken; f++) {
      uint64_t v = take_varint(d);
      own[f].value = !own[f].number ? word(d, v) : v & 1 ? word(d, v / 2) : whole_text(d, v / 2);
    }
    events[i].fields = own;
  }
}

static uint32_t fixed32(const char *p) {
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) {
    v |= (uint32_t)(uint8_t)p[i] << (8 * i);
  }
  return v;
}

static bool unpack(struct arena *arena, slice bytes, uint32_t *count, slice *columns, struct error *err) {
  if (bytes.len < BLOCK_HEAD_BYTES || memcmp(bytes.ptr, BLOCK_MAGIC, 4) != 0) {
    return error_set(err, ERR_CORRUPT, "not a journal block");
  }
  if (crc32c(0, bytes.ptr + 8, bytes.len - 8) != fixed32(bytes.ptr + 4)) {
    return error_set(err, ERR_CORRUPT, "the checksum does not match");
  }
  *count = fixed32(bytes.ptr + 8);
  uint32_t size = fixed32(bytes.ptr + 12);
  if (*count == 0 || *count > BLOCK_EVENTS_MAX || size > BLOCK_UNPACKED_BYTES_MAX || size < *count) {
    return error_set(err, ERR_CORRUPT, "the block's counts can not be");
  }
  /* The frame says its own size: a small block can not make us take half a gigabyte. */
  if (ZSTD_getFrameContentSize(bytes.ptr + BLOCK_HEAD_BYTES, bytes.len - BLOCK_HEAD_BYTES) != size) {
    return error_set(err, ERR_CORRUPT, "the block's size is not its columns'");
  }
  char *to = arena_alloc(arena, size);
  size_t got = ZSTD_decompress(to, size, bytes.ptr + BLOCK_HEAD_BYTES, bytes.len - BLOCK_HEAD_BYTES);
  *columns = (slice){to, size};
  return got == size || error_set(err, ERR_CORRUPT, "the columns can not be unpacked");
}

bool block_decode(struct arena *arena, slice bytes, struct event **events, size_t *count, struct error *err) {
  struct decoder d = {.arena = arena};
  uint32_t n = 0;
  if (!unpack(arena, bytes, &n, &d.rest, err)) {
    return false;
  }
  *events = arena_array(arena, n, sizeof **events);
  *count = n;
  take_dictionary(&d);
  take_shapes(&d);
  take_times(&d, *events, n);
  take_refs(&d, *events, n);
  take_ids(&d, *events, n);
  take_values(&d, *events, n);
  return (!d.broken && d.rest.len == 0) || error_set(err, ERR_CORRUPT, "the columns do not hold together");
}
