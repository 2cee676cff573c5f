/* Digests, seeded hashes, checksums, ids and Philox; and the slice-keyed map. */
#include "base/hash.h"
#include "base/time.h"
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static void start_sodium(void) {
  must(sodium_init() >= 0);
}

static void sodium_ready(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  must(pthread_once(&once, start_sodium) == 0);
}

struct digest digest_of(slice bytes) {
  struct digest d;
  sodium_ready();
  must(crypto_generichash(d.bytes, sizeof d.bytes, (const unsigned char *)bytes.ptr, bytes.len, NULL, 0) == 0);
  return d;
}

char *digest_hex(struct digest d, char text[65]) {
  return sodium_bin2hex(text, 65, d.bytes, sizeof d.bytes);
}

/* ---- hashes for tables ---- */

static uint64_t fold(uint64_t a, uint64_t b) {
  unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load64(const char *p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
  return word;
}

/* Multiply and fold, eight bytes at a time; odd constants from the golden ratio and pi. */
uint64_t hash64(slice bytes, uint64_t seed) {
  const uint64_t k1 = UINT64_C(0x9e3779b97f4a7c15), k2 = UINT64_C(0x243f6a8885a308d3);
  uint64_t h = seed ^ fold(bytes.len ^ k1, k2);
  const char *p = bytes.ptr;
  size_t left = bytes.len;
  for (; left >= 8; p += 8, left -= 8) {
    h = fold(h ^ load64(p) ^ k1, k2);
  }
  uint64_t tail = 0;
  if (left > 0) {
    memcpy(&tail, p, left);
  }
  h = fold(h ^ tail ^ k2, k1 ^ left);
  return fold(h, k1);
}

static uint32_t crc_table[256];

/* Castagnoli's polynomial, reflected. */
static void fill_crc_table(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; bit++) {
      crc = (crc >> 1) ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    crc_table[i] = crc;
  }
}

static uint32_t crc_by_table(uint32_t crc, const uint8_t *p, size_t len) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  must(pthread_once(&once, fill_crc_table) == 0);
  for (size_t i = 0; i < len; i++) {
    crc = (crc >> 8) ^ crc_table[(crc ^ p[i]) & 0xff];
  }
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(uint32_t crc, const uint8_t *p, size_t len) {
  uint64_t wide = crc;
  for (; len >= 8; p += 8, len -= 8) {
    wide = __builtin_ia32_crc32di(wide, load64((const char *)p));
  }
  crc = (uint32_t)wide;
  for (; len > 0; p++, len--) {
    crc = __builtin_ia32_crc32qi(crc, *p);
  }
  return crc;
}
#endif

uint32_t crc32c(uint32_t start, const void *bytes, size_t len) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) {
    return ~crc_by_instruction(~start, bytes, len);
  }
#endif
  return ~crc_by_table(~start, bytes, len);
}

/* ---- ids ---- */

#define ID_POOL 64 /* random numbers asked of the system at once */

/* UUIDv7 (RFC 9562): 48 bits of ms, then a counter that keeps ids of one process in order, then random bits. */
char *id_new(const char *prefix, char text[ID_TEXT_MAX]) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static uint64_t last_ms, counter;
  static uint64_t pool[ID_POOL];
  static size_t left;
  sodium_ready();
  pthread_mutex_lock(&lock);
  if (left == 0) {
    randombytes_buf(pool, sizeof pool);
    left = ID_POOL;
  }
  uint64_t tail = pool[--left];
  uint64_t ms = (uint64_t)(clock_now().ns / 1000000);
  if (ms > last_ms) {
    last_ms = ms;
    counter = 0;
  } else if (++counter > 0xfff) {
    last_ms++;
    counter = 0;
  }
  uint64_t high = last_ms << 16 | 0x7000 | counter;
  pthread_mutex_unlock(&lock);
  tail = (tail & UINT64_C(0x3fffffffffffffff)) | UINT64_C(0x8000000000000000);
  int length =
      snprintf(text, ID_TEXT_MAX, "%s_%016llx%016llx", prefix, (unsigned long long)high, (unsigned long long)tail);
  must(length > 0 && length < ID_TEXT_MAX);
  return text;
}

/* ---- Philox4x32-10 ---- */

static void philox_round(uint32_t c[4], uint32_t k0, uint32_t k1) {
  uint64_t p0 = UINT64_C(0xd2511f53) * c[0], p1 = UINT64_C(0xcd9e8d57) * c[2];
  uint32_t next[4] = {(uint32_t)(p1 >> 32) ^ c[1] ^ k0, (uint32_t)p1, (uint32_t)(p0 >> 32) ^ c[3] ^ k1, (uint32_t)p0};
  memcpy(c, next, sizeof next);
}

void philox4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
  uint32_t k0 = key[0], k1 = key[1];
  memcpy(out, counter, 4 * sizeof *out);
  for (int round = 0; round < 10; round++) {
    philox_round(out, k0, k1);
    k0 += UINT32_C(0x9e3779b9);
    k1 += UINT32_C(0xbb67ae85);
  }
}

void random_seed(struct random *r, uint64_t seed, uint64_t stream) {
  *r = (struct random){.key = {(uint32_t)seed, (uint32_t)(seed >> 32)}, .used = 4};
  r->counter[2] = (uint32_t)stream;
  r->counter[3] = (uint32_t)(stream >> 32);
}

static uint32_t random_u32(struct random *r) {
  if (r->used == 4) {
    philox4x32(r->key, r->counter, r->word);
    if (++r->counter[0] == 0) {
      r->counter[1]++;
    }
    r->used = 0;
  }
  return r->word[r->used++];
}

uint64_t random_u64(struct random *r) {
  uint64_t high = random_u32(r);
  return high << 32 | random_u32(r);
}

uint64_t random_below(struct random *r, uint64_t bound) {
  must(bound > 0);
  uint64_t reject_below = (0 - bound) % bound; /* 2^64 mod bound: what would make the low results likelier */
  for (;;) {
    uint64_t x = random_u64(r);
    if (x >= reject_below) {
      return x % bound;
    }
  }
}

/* ---- map ---- */

#define MAP_SEED UINT64_C(0x6d65746572686f75)

void map_free(struct map *m) {
  free(m->slots);
  *m = (struct map){0};
}

static struct map_slot *map_slot_of(const struct map *m, slice key, uint64_t hash) {
  size_t mask = m->capacity - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    struct map_slot *s = &m->slots[i];
    if (s->hash == 0 || (s->hash == hash && slice_eq(s->key, key))) {
      return s;
    }
  }
}

static uint64_t map_hash(slice key) {
  uint64_t hash = hash64(key, MAP_SEED);
  return hash ? hash : 1; /* 0 marks an empty slot */
}

static void map_widen(struct map *m) {
  struct map wider = {.capacity = m->capacity ? m->capacity * 2 : 16, .count = m->count};
  size_t bytes;
  must(!__builtin_mul_overflow(wider.capacity, sizeof *wider.slots, &bytes));
  wider.slots = mem_alloc(bytes);
  for (size_t i = 0; i < m->capacity; i++) {
    if (m->slots[i].hash != 0) {
      *map_slot_of(&wider, m->slots[i].key, m->slots[i].hash) = m->slots[i];
    }
  }
  free(m->slots);
  *m = wider;
}

void **map_put(struct map *m, slice key) {
  if (m->count * 4 >= m->capacity * 3) {
    map_widen(m);
  }
  uint64_t hash = map_hash(key);
  struct map_slot *s = map_slot_of(m, key, hash);
  if (s->hash == 0) {
    *s = (struct map_slot){.key = key, .hash = hash};
    m->count++;
  }
  return &s->value;
}

void *map_get(const struct map *m, slice key) {
  if (m->count == 0) {
    return NULL;
  }
  return map_slot_of(m, key, map_hash(key))->value;
}

/* What was put behind a key because its own place was taken moves up, so that no search stops at the gap. */
void *map_remove(struct map *m, slice key) {
  if (m->count == 0) {
    return NULL;
  }
  struct map_slot *gap = map_slot_of(m, key, map_hash(key));
  void *value = gap->value;
  if (gap->hash == 0) {
    return NULL;
  }
  size_t mask = m->capacity - 1, empty = (size_t)(gap - m->slots);
  for (size_t i = (empty + 1) & mask; m->slots[i].hash != 0; i = (i + 1) & mask) {
    size_t home = m->slots[i].hash & mask;
    if (((i - home) & mask) >= ((i - empty) & mask)) {
      m->slots[empty] = m->slots[i];
      empty = i;
    }
  }
  m->slots[empty] = (struct map_slot){0};
  m->count--;
  return value;
}
