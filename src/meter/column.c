/* A column of numbers: one number for all, varints, or bits. */
#include "meter/column.h"
#include <stdlib.h>
#include <string.h>

#define SAMPLES 64
#define PACKED_FROM 512 /* numbers: below, the choice is not worth making */
#define WIDTH_MAX 57    /* bits that a shift within eight bytes can reach */
enum { COLUMN_VARINTS = 0, COLUMN_SAME = 1, COLUMN_PACKED = 2 };

static unsigned width_of(uint64_t v) {
  return v == 0 ? 0 : 64 - (unsigned)__builtin_clzll(v);
}

static bool all_same(const uint64_t *numbers, size_t count) {
  for (size_t i = 1; i < count; i++) {
    if (numbers[i] != numbers[0]) {
      return false;
    }
  }
  return true;
}

static int by_size(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Numbers that are nearly all different and mostly as wide as the widest hold nothing that repeats. */
static bool looks_random(const uint64_t *numbers, size_t count, unsigned width) {
  uint64_t samples[SAMPLES];
  size_t different = 1, bits = 0;
  for (size_t i = 0; i < SAMPLES; i++) {
    samples[i] = numbers[i * (count / SAMPLES)];
    bits += width_of(samples[i]);
  }
  qsort(samples, SAMPLES, sizeof *samples, by_size);
  for (size_t i = 1; i < SAMPLES; i++) {
    different += samples[i] != samples[i - 1];
  }
  return different * 4 >= (size_t)SAMPLES * 3 && (size_t)width * SAMPLES <= bits + SAMPLES * 5 / 4;
}

static void put_packed(struct buf *to, const uint64_t *numbers, size_t count, unsigned width) {
  size_t size = (count * width + 7) / 8;
  uint8_t *bytes = mem_alloc(size + 8);
  for (size_t i = 0, bit = 0; i < count; i++, bit += width) {
    uint64_t word;
    memcpy(&word, bytes + bit / 8, 8);
    word |= numbers[i] << bit % 8;
    memcpy(bytes + bit / 8, &word, 8);
  }
  buf_add(to, (slice){(const char *)bytes, size});
  free(bytes);
}

void column_put(struct buf *to, const uint64_t *numbers, size_t count) {
  uint64_t all = 0;
  if (all_same(numbers, count)) {
    put_varint(to, COLUMN_SAME);
    put_varint(to, numbers[0]);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    all |= numbers[i];
  }
  unsigned width = width_of(all);
  if (count >= PACKED_FROM && width <= WIDTH_MAX && looks_random(numbers, count, width)) {
    put_varint(to, COLUMN_PACKED);
    put_varint(to, width);
    put_packed(to, numbers, count, width);
    return;
  }
  put_varint(to, COLUMN_VARINTS);
  for (size_t i = 0; i < count; i++) {
    put_varint(to, numbers[i]);
  }
}

static void take_packed(struct varints *in, uint64_t *numbers, size_t count) {
  uint64_t width = take_varint(in);
  if (width == 0 || width > WIDTH_MAX) {
    in->broken = true;
    return;
  }
  slice packed = take_bytes(in, (count * width + 7) / 8);
  for (size_t i = 0, bit = 0; i < count && !in->broken; i++, bit += width) {
    uint64_t word = 0;
    size_t left = packed.len - bit / 8;
    memcpy(&word, packed.ptr + bit / 8, left < 8 ? left : 8);
    numbers[i] = word >> bit % 8 & ((UINT64_C(1) << width) - 1);
  }
}

void column_take(struct varints *in, uint64_t *numbers, size_t count) {
  uint64_t kind = take_varint(in), same;
  switch (kind) {
  case COLUMN_VARINTS:
    for (size_t i = 0; i < count && !in->broken; i++) {
      numbers[i] = take_varint(in);
    }
    return;
  case COLUMN_SAME:
    same = take_varint(in);
    for (size_t i = 0; i < count; i++) {
      numbers[i] = same;
    }
    return;
  case COLUMN_PACKED:
    take_packed(in, numbers, count);
    return;
  default:
    in->broken = true;
  }
}
