/* Hashing, ids and random numbers: BLAKE2b by libsodium, UUIDv7 ids with a prefix, Philox4x32-10. */
#ifndef METERHOUSE_BASE_HASH_H
#define METERHOUSE_BASE_HASH_H
#include "base/base.h"
struct digest {
  uint8_t bytes[32];
};
struct digest digest_of(slice bytes);        /* BLAKE2b-256 */
uint64_t hash64(slice bytes, uint64_t seed); /* for tables in memory: seeded against crafted keys */
char *digest_hex(struct digest d, char text[65]);
uint32_t crc32c(uint32_t start, const void *bytes, size_t len);

/* "inv_019a2b..." : prefix, underscore, UUIDv7 as 32 hex digits; ordered by time, unique in this process. */
#define ID_TEXT_MAX 48
char *id_new(const char *prefix, char text[ID_TEXT_MAX]);

/* Philox4x32-10 (Salmon et al. 2011): pure function of key and counter. */
void philox4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);
struct random {
  uint32_t key[2], counter[4], word[4];
  unsigned used;
};
void random_seed(struct random *r, uint64_t seed, uint64_t stream);
uint64_t random_u64(struct random *r);
uint64_t random_below(struct random *r, uint64_t bound); /* uniform in [0, bound), unbiased; bound > 0 */

/* Slice-keyed hash table; keys are not copied. Values are pointers or small integers cast by the caller. */
struct map {
  struct map_slot {
    slice key;
    uint64_t hash;
    void *value;
  } * slots;
  size_t count, capacity;
};
void map_free(struct map *m);
void **map_put(struct map *m, slice key);      /* place of the value, made if absent (NULL then) */
void *map_get(const struct map *m, slice key); /* NULL when absent */
void *map_remove(struct map *m, slice key);    /* what it was; NULL when absent. The key may be freed then */
#endif
