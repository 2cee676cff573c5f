/* Reading ahead: one thread takes blocks from the store and opens them while one or two others work on those before. */
#include "meter/block.h"
#include <pthread.h>
#include <stdlib.h>

#define AHEAD_BLOCKS 8

struct opened {
  struct arena *arena;
  struct block block;
  struct block_span span;
};
/* Blocks on their way to one worker. */
struct lane {
  struct ahead *ahead;
  void *context;
  struct opened ring[AHEAD_BLOCKS];
  size_t produced, consumed;
  bool ok;
  struct error err;
};
struct ahead {
  struct db *db;
  const struct journal_range *range;
  block_each each;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  struct lane lanes[AHEAD_LANES_MAX];
  size_t lane_count;
  bool ended, stop, ok;
  struct error err;
};

static struct lane *shortest_lane(struct ahead *a) {
  struct lane *shortest = &a->lanes[0];
  for (size_t i = 1; i < a->lane_count; i++) {
    if (a->lanes[i].produced - a->lanes[i].consumed < shortest->produced - shortest->consumed) {
      shortest = &a->lanes[i];
    }
  }
  return shortest;
}

/* The opened block stays with its arena in the ring; the scan goes on with the ring's free one. */
static bool hand_over(void *context, struct arena **arena, const struct block_span *span, struct error *err) {
  (void)err;
  struct ahead *a = context;
  /* The ids still lie in the row, which is gone when the scan goes on. */
  slice packed_ids = arena_copy(*arena, span->block->packed_ids);
  pthread_mutex_lock(&a->lock);
  struct lane *lane = shortest_lane(a);
  while (lane->produced - lane->consumed == AHEAD_BLOCKS && !a->stop) {
    pthread_cond_wait(&a->changed, &a->lock);
    lane = shortest_lane(a);
  }
  bool go_on = !a->stop;
  if (go_on) {
    struct opened *o = &lane->ring[lane->produced % AHEAD_BLOCKS];
    struct arena *mine = *arena;
    *arena = o->arena;
    o->arena = mine;
    o->block = *span->block;
    o->block.packed_ids = packed_ids;
    o->span = *span;
    o->span.block = &o->block;
    lane->produced++;
    pthread_cond_broadcast(&a->changed);
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
  pthread_cond_broadcast(&a->changed);
  pthread_mutex_unlock(&a->lock);
  return NULL;
}

static struct opened *next_opened(struct lane *lane) {
  struct ahead *a = lane->ahead;
  pthread_mutex_lock(&a->lock);
  while (lane->produced == lane->consumed && !a->ended && !a->stop) {
    pthread_cond_wait(&a->changed, &a->lock);
  }
  struct opened *o = lane->produced > lane->consumed && !a->stop ? &lane->ring[lane->consumed % AHEAD_BLOCKS] : NULL;
  pthread_mutex_unlock(&a->lock);
  return o;
}

static void step(struct lane *lane, bool stop) {
  struct ahead *a = lane->ahead;
  pthread_mutex_lock(&a->lock);
  lane->consumed++;
  a->stop |= stop;
  pthread_cond_broadcast(&a->changed);
  pthread_mutex_unlock(&a->lock);
}

/* One worker that fails stops all. */
static void *work(void *context) {
  struct lane *lane = context;
  lane->ok = true;
  for (struct opened *o; lane->ok && (o = next_opened(lane)) != NULL;) {
    lane->ok = lane->ahead->each(lane->context, &o->arena, &o->span, &lane->err);
    step(lane, !lane->ok);
  }
  return NULL;
}

static void init(struct ahead *a, void *const *contexts) {
  must(pthread_mutex_init(&a->lock, NULL) == 0 && pthread_cond_init(&a->changed, NULL) == 0);
  for (size_t l = 0; l < a->lane_count; l++) {
    a->lanes[l].ahead = a;
    a->lanes[l].context = contexts[l];
    for (size_t i = 0; i < AHEAD_BLOCKS; i++) {
      a->lanes[l].ring[i].arena = arena_new();
    }
  }
}

static bool finish(struct ahead *a, struct error *err) {
  bool ok = true;
  for (size_t l = 0; l < a->lane_count; l++) {
    for (size_t i = 0; i < AHEAD_BLOCKS; i++) {
      arena_free(a->lanes[l].ring[i].arena);
    }
    if (ok && !a->lanes[l].ok) {
      *err = a->lanes[l].err;
      ok = false;
    }
  }
  if (ok && !a->ok) {
    *err = a->err;
    ok = false;
  }
  pthread_mutex_destroy(&a->lock);
  pthread_cond_destroy(&a->changed);
  free(a);
  return ok;
}

bool journal_scan_ahead(struct db *db, const struct journal_range *range, block_each each, void *const *contexts,
                        size_t lanes, struct error *err) {
  struct ahead *a = mem_alloc(sizeof *a);
  pthread_t producer, workers[AHEAD_LANES_MAX];
  must(lanes >= 1 && lanes <= AHEAD_LANES_MAX);
  a->db = db;
  a->range = range;
  a->each = each;
  a->lane_count = lanes;
  init(a, contexts);
  must(pthread_create(&producer, NULL, produce, a) == 0);
  for (size_t l = 1; l < lanes; l++) {
    must(pthread_create(&workers[l], NULL, work, &a->lanes[l]) == 0);
  }
  work(&a->lanes[0]);
  for (size_t l = 1; l < lanes; l++) {
    pthread_join(workers[l], NULL);
  }
  pthread_mutex_lock(&a->lock);
  a->stop = true;
  pthread_cond_broadcast(&a->changed);
  pthread_mutex_unlock(&a->lock);
  pthread_join(producer, NULL);
  return finish(a, err);
}
