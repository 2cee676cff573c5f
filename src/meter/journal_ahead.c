/* Reading ahead: one thread takes blocks from the store and opens them while the caller works on those before. */
#include "meter/block.h"
#include <pthread.h>
#include <stdlib.h>

#define AHEAD_BLOCKS 8

struct opened {
  struct arena *arena;
  struct block block;
  struct block_span span;
};
struct ahead {
  struct db *db;
  const struct journal_range *range;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct opened ring[AHEAD_BLOCKS];
  size_t produced, consumed;
  bool ended, stop, ok;
  struct error err;
};

/* The opened block stays with its arena in the ring; the scan goes on with the ring's free one. */
static bool hand_over(void *context, struct arena **arena, const struct block_span *span, struct error *err) {
  (void)err;
  struct ahead *a = context;
  pthread_mutex_lock(&a->lock);
  while (a->produced - a->consumed == AHEAD_BLOCKS && !a->stop) {
    pthread_cond_wait(&a->changed, &a->lock);
  }
  bool go_on = !a->stop;
  if (go_on) {
    struct opened *o = &a->ring[a->produced % AHEAD_BLOCKS];
    struct arena *mine = *arena;
    *arena = o->arena;
    o->arena = mine;
    o->block = *span->block;
    o->span = *span;
    o->span.block = &o->block;
    a->produced++;
    pthread_cond_signal(&a->changed);
  }
  pthread_mutex_unlock(&a->lock);
  return go_on;
}

static void *produce(void *context) {
  struct ahead *a = context;
  bool ok = journal_scan_blocks(a->db, a->range, hand_over, a, &a->err);
  pthread_mutex_lock(&a->lock);
  a->ended = true;
  a->ok = ok;
  pthread_cond_signal(&a->changed);
  pthread_mutex_unlock(&a->lock);
  return NULL;
}

static struct opened *next_opened(struct ahead *a) {
  pthread_mutex_lock(&a->lock);
  while (a->produced == a->consumed && !a->ended) {
    pthread_cond_wait(&a->changed, &a->lock);
  }
  struct opened *o = a->produced > a->consumed ? &a->ring[a->consumed % AHEAD_BLOCKS] : NULL;
  pthread_mutex_unlock(&a->lock);
  return o;
}

static void step(struct ahead *a, bool consumed, bool stop) {
  pthread_mutex_lock(&a->lock);
  a->consumed += consumed;
  a->stop |= stop;
  pthread_cond_signal(&a->changed);
  pthread_mutex_unlock(&a->lock);
}

bool journal_scan_ahead(struct db *db, const struct journal_range *range, block_each each, void *context,
                        struct error *err) {
  struct ahead *a = mem_alloc(sizeof *a);
  pthread_t thread;
  bool ok = true;
  a->db = db;
  a->range = range;
  must(pthread_mutex_init(&a->lock, NULL) == 0 && pthread_cond_init(&a->changed, NULL) == 0);
  for (size_t i = 0; i < AHEAD_BLOCKS; i++) {
    a->ring[i].arena = arena_new();
  }
  must(pthread_create(&thread, NULL, produce, a) == 0);
  for (struct opened *o; ok && (o = next_opened(a)) != NULL; step(a, true, false)) {
    ok = each(context, &o->arena, &o->span, err);
  }
  step(a, false, true);
  pthread_join(thread, NULL);
  if (ok && !a->ok) {
    *err = a->err;
    ok = false;
  }
  for (size_t i = 0; i < AHEAD_BLOCKS; i++) {
    arena_free(a->ring[i].arena);
  }
  pthread_mutex_destroy(&a->lock);
  pthread_cond_destroy(&a->changed);
  free(a);
  return ok;
}
