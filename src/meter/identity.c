/* Identity among the events of some files: an open table of keyed 128-bit hashes, each with the hash of its content. */
#include "meter/private.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct entry {
  uint64_t a, b, content; /* a = b = 0: empty */
};
struct identity {
  uint8_t key[16];
  struct entry *table;
  size_t capacity;
  uint64_t count;
};

struct identity *identity_new(const uint8_t key[16]) {
  struct identity *i = mem_alloc(sizeof *i);
  memcpy(i->key, key, sizeof i->key);
  i->capacity = 1024;
  i->table = mem_alloc(i->capacity * sizeof *i->table);
  return i;
}

void identity_free(struct identity *i) {
  if (i == NULL) {
    return;
  }
  free(i->table);
  free(i);
}

static struct entry entry_of(const struct identity *i, slice source, slice id, uint64_t content) {
  unsigned char bytes[2 * EVENT_ATTRIBUTE_BYTES_MAX + 2];
  struct entry e = {.content = content};
  must(source.len <= EVENT_ATTRIBUTE_BYTES_MAX && id.len <= EVENT_ATTRIBUTE_BYTES_MAX);
  /* Neither part holds a NUL, so the first one marks the border. */
  memcpy(bytes, source.ptr, source.len);
  bytes[source.len] = 0;
  memcpy(bytes + source.len + 1, id.ptr, id.len);
  uint64_t hash[2];
  crypto_shorthash_siphashx24((unsigned char *)hash, bytes, source.len + 1 + id.len, i->key);
  e.a = hash[0];
  e.b = hash[1] | 1; /* never the empty mark */
  return e;
}

static struct entry *slot_of(struct entry *table, size_t capacity, const struct entry *e) {
  for (size_t at = e->a & (capacity - 1);; at = (at + 1) & (capacity - 1)) {
    struct entry *slot = &table[at];
    if (slot->b == 0 || (slot->a == e->a && slot->b == e->b)) {
      return slot;
    }
  }
}

static void widen(struct identity *i) {
  size_t capacity = i->capacity * 2;
  struct entry *table = mem_alloc(capacity * sizeof *table);
  for (size_t at = 0; at < i->capacity; at++) {
    if (i->table[at].b != 0) {
      *slot_of(table, capacity, &i->table[at]) = i->table[at];
    }
  }
  free(i->table);
  i->table = table;
  i->capacity = capacity;
}

enum verdict identity_decide(struct identity *i, slice source, slice id, uint64_t content_hash) {
  struct entry e = entry_of(i, source, id, content_hash);
  struct entry *slot = slot_of(i->table, i->capacity, &e);
  if (slot->b != 0) {
    return slot->content == content_hash ? EVENT_DUPLICATE : EVENT_CONFLICT;
  }
  *slot = e;
  i->count++;
  if (i->count * 4 > i->capacity * 3) {
    widen(i);
  }
  return EVENT_ACCEPTED;
}

uint64_t identity_count(const struct identity *i) {
  return i->count;
}
