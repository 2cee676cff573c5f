/* All limiters, by name: made on first use, dropped when nobody has used them for long. */
#include "base/hash.h"
#include "gateway/limits_private.h"
#include <stdlib.h>
#include <string.h>

#define SHARDS 64
#define CHAINS_FIRST 16
#define CHAINS_SWEPT 8 /* each time a limiter is made: nobody waits long for it */
#define IDLE_US (INT64_C(600) * 1000000)

#define LATEST_OFF_US 1000000 /* written that seldom, the time that all share stays in everyone's cache */

struct shard {
  pthread_mutex_t lock;
  struct limiter **chains;
  size_t chain_count, count, swept; /* chain_count: a power of 2 */
};
struct limiters {
  uint64_t seed;
  _Atomic int64_t latest_us; /* about the latest time that any was told; follows a clock that is set back */
  struct shard shards[SHARDS];
};

struct limiters *limiters_new(void) {
  struct limiters *all = mem_alloc(sizeof *all);
  char id[ID_TEXT_MAX];
  all->seed = hash64(slice_of(id_new("limits", id)), (uint64_t)(uintptr_t)all);
  for (size_t i = 0; i < SHARDS; i++) {
    struct shard *s = &all->shards[i];
    must(pthread_mutex_init(&s->lock, NULL) == 0);
    s->chain_count = CHAINS_FIRST;
    s->chains = mem_alloc(CHAINS_FIRST * sizeof *s->chains);
  }
  return all;
}

static void free_one(struct limiter *l) {
  pthread_mutex_destroy(&l->lock);
  free(l);
}

void limiters_free(struct limiters *all) {
  if (all == NULL) {
    return;
  }
  for (size_t i = 0; i < SHARDS; i++) {
    struct shard *s = &all->shards[i];
    for (size_t c = 0; c < s->chain_count; c++) {
      for (struct limiter *l = s->chains[c], *next; l; l = next) {
        next = l->next;
        free_one(l);
      }
    }
    free(s->chains);
    pthread_mutex_destroy(&s->lock);
  }
  free(all);
}

static struct shard *shard_of(struct limiters *all, uint64_t hash) {
  return &all->shards[hash % SHARDS];
}

static struct limiter **chain_of(const struct shard *s, uint64_t hash) {
  return &s->chains[hash / SHARDS & (s->chain_count - 1)];
}

static void grow(struct shard *s) {
  struct shard larger = {.chain_count = 2 * s->chain_count};
  larger.chains = mem_alloc(larger.chain_count * sizeof *larger.chains);
  for (size_t c = 0; c < s->chain_count; c++) {
    for (struct limiter *l = s->chains[c], *next; l; l = next) {
      struct limiter **chain = chain_of(&larger, l->hash);
      next = l->next;
      l->next = *chain;
      *chain = l;
    }
  }
  free(s->chains);
  s->chains = larger.chains;
  s->chain_count = larger.chain_count;
}

/* Without a reference nobody is in it, so its own lock is not needed. */
static bool is_idle(const struct limiter *l, int64_t now_us) {
  return l->references == 0 && l->running == 0 && now_us - l->latest_us >= IDLE_US;
}

static void sweep(struct shard *s, int64_t now_us) {
  for (int i = 0; i < CHAINS_SWEPT; i++) {
    struct limiter **at = &s->chains[s->swept++ & (s->chain_count - 1)];
    while (*at) {
      struct limiter *l = *at;
      if (is_idle(l, now_us)) {
        *at = l->next;
        s->count--;
        free_one(l);
      } else {
        at = &l->next;
      }
    }
  }
}

static struct limiter *add(struct shard *s, uint64_t hash, slice name, int64_t now_us) {
  sweep(s, now_us);
  if (s->count >= s->chain_count) {
    grow(s);
  }
  struct limiter *l = mem_alloc(sizeof *l + name.len + 1);
  struct limiter **chain = chain_of(s, hash);
  must(pthread_mutex_init(&l->lock, NULL) == 0);
  l->hash = hash;
  l->name_bytes = name.len;
  l->latest_us = now_us;
  memcpy(l->name, name.ptr, name.len);
  l->next = *chain;
  *chain = l;
  s->count++;
  return l;
}

struct limiter *limiter_of(struct limiters *all, slice name) {
  uint64_t hash = hash64(name, all->seed);
  struct shard *s = shard_of(all, hash);
  pthread_mutex_lock(&s->lock);
  struct limiter *l = *chain_of(s, hash);
  while (l && (l->hash != hash || !slice_eq((slice){l->name, l->name_bytes}, name))) {
    l = l->next;
  }
  if (l == NULL) {
    l = add(s, hash, name, all->latest_us);
  }
  l->references++;
  pthread_mutex_unlock(&s->lock);
  return l;
}

void limiter_drop(struct limiters *all, struct limiter *l) {
  struct shard *s = shard_of(all, l->hash);
  int64_t told_us = l->latest_us, off_us = told_us - all->latest_us;
  if (off_us > LATEST_OFF_US || off_us < -LATEST_OFF_US) {
    all->latest_us = told_us;
  }
  pthread_mutex_lock(&s->lock);
  must(l->references > 0);
  l->references--;
  pthread_mutex_unlock(&s->lock);
}

size_t limiters_count(struct limiters *all) {
  size_t count = 0;
  for (size_t i = 0; i < SHARDS; i++) {
    struct shard *s = &all->shards[i];
    pthread_mutex_lock(&s->lock);
    count += s->count;
    pthread_mutex_unlock(&s->lock);
  }
  return count;
}
