/* Fuzzes journal blocks: hostile bytes behind a right checksum, and the round trip of what decodes. */
#include "base/hash.h"
#include "meter/meter.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EVENTS 600 /* enough for columns of bits */

static uint32_t get32(const char *p) {
  uint32_t v;
  memcpy(&v, p, 4);
  return v;
}

static void put32(char *p, uint32_t v) {
  memcpy(p, &v, 4);
}

static void check(slice bytes) {
  struct arena *arena = arena_new();
  struct event *events, *again;
  size_t count, count_again;
  struct error err = {0};
  if (block_decode(arena, bytes, &events, &count, &err)) {
    struct buf out;
    buf_init(&out, (size_t)256 << 20);
    must(block_encode(events, count, &out, &err) && block_decode(arena, buf_slice(&out), &again, &count_again, &err));
    must(count == count_again);
    for (size_t i = 0; i < count; i++) {
      must(slice_eq(events[i].id, again[i].id) && events[i].time.ns == again[i].time.ns);
    }
    buf_free(&out);
  }
  arena_free(arena);
}

/* Packed anew with the columns changed where the input says, under a right checksum: so the columns are reached. */
static void check_changed(slice block, const uint8_t *data, size_t size) {
  uint32_t columns = get32(block.ptr + 12), packed = get32(block.ptr + 16), ids = get32(block.ptr + 24);
  size_t bound = ZSTD_compressBound(columns);
  char *raw = mem_alloc(columns), *bytes = mem_alloc(32 + bound + ids);
  must(ZSTD_decompress(raw, columns, block.ptr + 32, packed) == columns);
  for (size_t i = 0; i + 2 < size && i < 96; i += 3) {
    raw[(data[i] | (size_t)data[i + 1] << 8) % columns] ^= (char)data[i + 2];
  }
  size_t again = ZSTD_compress(bytes + 32, bound, raw, columns, 1);
  must(!ZSTD_isError(again));
  memcpy(bytes, block.ptr, 32);
  put32(bytes + 16, (uint32_t)again);
  memcpy(bytes + 32 + again, block.ptr + 32 + packed, ids);
  put32(bytes + 4, crc32c(0, bytes + 8, 24 + again + ids));
  check((slice){bytes, 32 + again + ids});
  free(raw);
  free(bytes);
}

static slice real_block(void) {
  static struct buf block;
  struct event_field fields[] = {
      {SLICE("gpu"), SLICE("H100"), false}, {SLICE("n"), {0}, true}, {SLICE("x"), SLICE("1.50"), true}};
  struct arena *arena = arena_new();
  struct event *events = arena_array(arena, EVENTS, sizeof *events);
  struct error err = {0};
  if (block.len > 0) {
    arena_free(arena);
    return buf_slice(&block);
  }
  for (size_t i = 0; i < EVENTS; i++) {
    struct event_field *own = arena_array(arena, 3, sizeof *own);
    memcpy(own, fields, sizeof fields);
    own[1].value = slice_of(arena_printf(arena, "%zu", i * 2654435761u % 8192));
    events[i] = (struct event){.id = slice_of(arena_printf(arena, "a%zu", i)),
                               .source = SLICE("s"),
                               .type = i % 50 ? SLICE("t") : SLICE("u"),
                               .subject = i % 3 ? SLICE("c") : SLICE("d"),
                               .time = {(int64_t)(i * 1000 + i * 7919 % 997)},
                               .fields = own,
                               .field_count = i % 7 ? 3 : 2};
  }
  buf_init(&block, 1u << 20);
  must(block_encode(events, EVENTS, &block, &err));
  arena_free(arena);
  return buf_slice(&block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  check_changed(real_block(), data, size);
  check((slice){(const char *)data, size});
  return 0;
}
