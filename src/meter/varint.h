/* Inside meter: LEB128 integers, written to a buffer and read from bytes that may be broken. */
#ifndef METERHOUSE_METER_VARINT_H
#define METERHOUSE_METER_VARINT_H
#include "base/base.h"

static inline void put_varint(struct buf *b, uint64_t v) {
  char bytes[10];
  size_t n = 0;
  for (; v >= 0x80; v >>= 7) {
    bytes[n++] = (char)(v | 0x80);
  }
  bytes[n++] = (char)v;
  buf_add(b, (slice){bytes, n});
}

static inline void put_string(struct buf *b, slice s) {
  put_varint(b, s.len);
  buf_add(b, s);
}

/* Small when the number is small, whichever its sign. */
static inline uint64_t zigzag(int64_t v) {
  return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t unzigzag(uint64_t v) {
  return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Once broken, everything it gives is 0 or empty. */
struct varints {
  const uint8_t *at, *end;
  bool broken;
};

static inline struct varints varints_of(slice bytes) {
  return (struct varints){(const uint8_t *)bytes.ptr, (const uint8_t *)bytes.ptr + bytes.len, false};
}

static inline size_t varints_left(const struct varints *in) {
  return (size_t)(in->end - in->at);
}

static inline uint64_t take_varint(struct varints *in) {
  if (in->at < in->end && *in->at < 0x80) {
    return *in->at++;
  }
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
    uint8_t byte = *in->at++;
    v |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) {
      return v;
    }
  }
  in->broken = true;
  return 0;
}

static inline slice take_bytes(struct varints *in, uint64_t length) {
  if (in->broken || length > varints_left(in)) {
    in->broken = true;
    return (slice){0};
  }
  slice s = {(const char *)in->at, (size_t)length};
  in->at += length;
  return s;
}

static inline slice take_string(struct varints *in) {
  return take_bytes(in, take_varint(in));
}

/* A count of things that take at least one byte each. */
static inline uint32_t take_count(struct varints *in) {
  uint64_t n = take_varint(in);
  if (n > varints_left(in) || n > UINT32_MAX) {
    in->broken = true;
  }
  return in->broken ? 0 : (uint32_t)n;
}
#endif
