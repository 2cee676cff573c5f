/* Events into a journal block: columns, dictionaries, differences, then zstd and a checksum. */
#include "meter/block.h"
#include "meter/private.h"
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

struct encoder {
  struct arena *arena;
  struct map words, shapes; /* to one past the number */
  uint32_t word_count, shape_count;
  struct buf dictionary, shape_list, times, refs, ids, values;
};

static void put_varint(struct buf *b, uint64_t v) {
  char bytes[10];
  size_t n = 0;
  for (; v >= 0x80; v >>= 7) {
    bytes[n++] = (char)(v | 0x80);
  }
  bytes[n++] = (char)v;
  buf_add(b, (slice){bytes, n});
}

static uint64_t word_number(struct encoder *e, slice word) {
  void **place = map_put(&e->words, word);
  if (*place == NULL) {
    *place = (void *)(uintptr_t)++e->word_count;
    put_varint(&e->dictionary, word.len);
    buf_add(&e->dictionary, word);
  }
  return (uintptr_t)*place - 1;
}

/* The shape of an event: names and kinds of its fields, as their encoded bytes. */
static uint64_t shape_number(struct encoder *e, const struct event *event) {
  struct buf shape;
  buf_init(&shape, 1u << 20);
  put_varint(&shape, event->field_count);
  for (size_t i = 0; i < event->field_count; i++) {
    put_varint(&shape, word_number(e, event->fields[i].name) * 2 + event->fields[i].number);
  }
  void *known = map_get(&e->shapes, buf_slice(&shape));
  if (known == NULL) {
    known = (void *)(uintptr_t)++e->shape_count;
    *map_put(&e->shapes, arena_copy(e->arena, buf_slice(&shape))) = known;
    buf_add(&e->shape_list, buf_slice(&shape));
  }
  buf_free(&shape);
  return (uintptr_t)known - 1;
}

/* A number written the one usual way, without sign, point or leading zero, becomes an integer. */
static bool plain_whole(slice text, uint64_t *out) {
  if (text.len == 0 || text.len > 18 || (text.len > 1 && text.ptr[0] == '0')) {
    return false;
  }
  *out = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') {
      return false;
    }
    *out = *out * 10 + (uint64_t)(text.ptr[i] - '0');
  }
  return true;
}

static void put_values(struct encoder *e, const struct event *event) {
  for (size_t i = 0; i < event->field_count; i++) {
    uint64_t whole;
    if (!event->fields[i].number) {
      put_varint(&e->values, word_number(e, event->fields[i].value));
    } else if (plain_whole(event->fields[i].value, &whole)) {
      put_varint(&e->values, whole * 2);
    } else {
      put_varint(&e->values, word_number(e, event->fields[i].value) * 2 + 1);
    }
  }
}

static void put_id(struct encoder *e, slice id, slice before) {
  size_t shared = 0;
  while (shared < id.len && shared < before.len && id.ptr[shared] == before.ptr[shared]) {
    shared++;
  }
  put_varint(&e->ids, shared);
  put_varint(&e->ids, id.len - shared);
  buf_add(&e->ids, (slice){id.ptr + shared, id.len - shared});
}

static uint64_t zigzag(int64_t v) {
  return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static void put_events(struct encoder *e, const struct event *events, size_t count) {
  int64_t before_ns = 0;
  slice before_id = {0};
  for (size_t i = 0; i < count; i++) {
    put_varint(&e->times, zigzag(events[i].time.ns - before_ns));
    before_ns = events[i].time.ns;
    put_varint(&e->refs, word_number(e, events[i].source));
    put_varint(&e->refs, word_number(e, events[i].type));
    put_varint(&e->refs, word_number(e, events[i].subject));
    put_varint(&e->refs, shape_number(e, &events[i]));
    put_id(e, events[i].id, before_id);
    before_id = events[i].id;
    put_values(e, &events[i]);
  }
}

static void join(struct encoder *e, struct buf *columns) {
  put_varint(columns, e->word_count);
  buf_add(columns, buf_slice(&e->dictionary));
  put_varint(columns, e->shape_count);
  buf_add(columns, buf_slice(&e->shape_list));
  buf_add(columns, buf_slice(&e->times));
  buf_add(columns, buf_slice(&e->refs));
  buf_add(columns, buf_slice(&e->ids));
  buf_add(columns, buf_slice(&e->values));
}

static void put_fixed32(char *to, uint32_t v) {
  for (int i = 0; i < 4; i++) {
    to[i] = (char)(v >> (8 * i));
  }
}

static bool pack(const struct buf *columns, size_t count, struct buf *out, struct error *err) {
  if (columns->failed) {
    return error_set(err, ERR_LIMIT, "a journal block is larger than %u bytes", BLOCK_UNPACKED_BYTES_MAX);
  }
  size_t bound = ZSTD_compressBound(columns->len);
  char *packed = mem_alloc(BLOCK_HEAD_BYTES + bound);
  size_t size = ZSTD_compress(packed + BLOCK_HEAD_BYTES, bound, columns->ptr, columns->len, BLOCK_ZSTD_LEVEL);
  must(!ZSTD_isError(size));
  memcpy(packed, BLOCK_MAGIC, 4);
  put_fixed32(packed + 8, (uint32_t)count);
  put_fixed32(packed + 12, (uint32_t)columns->len);
  put_fixed32(packed + 4, crc32c(0, packed + 8, BLOCK_HEAD_BYTES - 8 + size));
  buf_add(out, (slice){packed, BLOCK_HEAD_BYTES + size});
  free(packed);
  return !out->failed || error_set(err, ERR_LIMIT, "a journal block is larger than its buffer");
}

bool block_encode(const struct event *events, size_t count, struct buf *out, struct error *err) {
  must(count > 0 && count <= BLOCK_EVENTS_MAX);
  struct encoder e = {.arena = arena_new()};
  struct buf *parts[] = {&e.dictionary, &e.shape_list, &e.times, &e.refs, &e.ids, &e.values};
  struct buf columns;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    buf_init(parts[i], BLOCK_UNPACKED_BYTES_MAX);
  }
  buf_init(&columns, BLOCK_UNPACKED_BYTES_MAX);
  put_events(&e, events, count);
  join(&e, &columns);
  bool ok = pack(&columns, count, out, err);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    buf_free(parts[i]);
  }
  buf_free(&columns);
  map_free(&e.words);
  map_free(&e.shapes);
  arena_free(e.arena);
  return ok;
}
