/* Fuzzes journal blocks: hostile bytes behind a right checksum, and the round trip of what decodes. */
#include "base/hash.h"
#include "meter/meter.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The checksum would stop nearly every mutation: it is put right, so that the columns are reached. */
static void mend(char *bytes, size_t size) {
  uint32_t crc = crc32c(0, bytes + 8, size - 8);
  memcpy(bytes, "MHJ1", 4);
  for (int i = 0; i < 4; i++) {
    bytes[4 + i] = (char)(crc >> (8 * i));
  }
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

/* A real block whose bytes are changed where the input says. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct event_field fields[] = {
      {SLICE("gpu"), SLICE("H100"), false}, {SLICE("n"), SLICE("12"), true}, {SLICE("x"), SLICE("1.50"), true}};
  struct event events[3] = {{SLICE("a1"), SLICE("s"), SLICE("t"), SLICE("c"), {5}, fields, 3},
                            {SLICE("a2"), SLICE("s"), SLICE("t"), SLICE("d"), {3}, fields, 2},
                            {SLICE("b"), SLICE("r"), SLICE("u"), SLICE("c"), {9}, NULL, 0}};
  struct error err = {0};
  struct buf block;
  buf_init(&block, 1u << 20);
  must(block_encode(events, 3, &block, &err));
  for (size_t i = 0; i + 1 < size && i < 64; i += 2) {
    block.ptr[8 + data[i] % (block.len - 8)] ^= (char)data[i + 1];
  }
  mend(block.ptr, block.len);
  check(buf_slice(&block));
  check((slice){(const char *)data, size});
  buf_free(&block);
  return 0;
}
