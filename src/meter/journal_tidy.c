/* Tidying: blocks of commits with few events become one, prepared on any connection and written by the one that writes.
 */
#include "meter/block.h"
#include "meter/private.h"
#include <stdlib.h>

#define SMALL_BLOCK_EVENTS (JOURNAL_BLOCK_EVENTS / 4)
#define SMALL_BLOCKS_MAX 256
#define LOOK_AT_BLOCKS 8192
#define ZSTD_LEVEL_MERGED 3

bool block_insert(struct db *db, uint64_t first, const struct event *events, size_t count, instant received,
                  slice bytes, struct error *err) {
  int64_t earliest = INT64_MAX, latest = 0;
  for (size_t i = 0; i < count; i++) {
    earliest = events[i].time.ns < earliest ? events[i].time.ns : earliest;
    latest = events[i].time.ns > latest ? events[i].time.ns : latest;
  }
  return db_run(db,
                "INSERT INTO journal(first, events, time_min, time_max, received, bytes)"
                " VALUES($1, $2, $3, $4, $5, $6)",
                DB_VALUES(DB_I((int64_t)first), DB_I((int64_t)count), DB_I(earliest), DB_I(latest), DB_I(received.ns),
                          DB_B(bytes)),
                NULL, err);
}

/* ---- which ---- */

struct small {
  uint64_t first;
  uint32_t events;
};
struct merged {
  uint64_t first;
  int64_t blocks;
  const struct event *events;
  size_t count;
  instant received;
  slice bytes;
};
struct tidying {
  struct arena *arena;
  VEC(struct small) small; /* the last blocks of the journal, the last one first */
  bool ended;
  VEC(struct merged) merged;
  struct block_encoder *encoder;
  VEC(struct event) events; /* of the block at hand */
  VEC(struct block_receipt) receipts;
};

static bool take_small(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct tidying *t = context;
  struct small s = {(uint64_t)db_int(row, 0), (uint32_t)db_int(row, 1)};
  t->ended |= s.events >= SMALL_BLOCK_EVENTS;
  if (!t->ended) {
    vec_push(&t->small, s);
  }
  return true;
}

/* ---- making one of several ---- */

static void add_receipt(struct tidying *t, const struct block_receipt *receipt) {
  must(t->receipts.items != NULL || t->receipts.capacity == 0);
  if (t->receipts.count > 0 && t->receipts.items[t->receipts.count - 1].received.ns == receipt->received.ns) {
    t->receipts.items[t->receipts.count - 1].events += receipt->events;
    return;
  }
  vec_push(&t->receipts, *receipt);
}

static bool gather(const struct db_row *row, void *context, struct error *err) {
  struct tidying *t = context;
  struct block b;
  slice bytes = arena_copy(t->arena, db_bytes(row, 1));
  if (!block_open(t->arena, bytes, &b, err)) {
    return error_at(err, "journal block %lld", (long long)db_int(row, 0));
  }
  slice *ids = arena_array(t->arena, b.count, sizeof *ids);
  if (!block_ids(t->arena, &b, ids, err)) {
    return error_at(err, "journal block %lld", (long long)db_int(row, 0));
  }
  for (uint32_t i = 0; i < b.count; i++) {
    struct event e;
    block_event(t->arena, &b, i, &e);
    e.id = ids[i];
    vec_push(&t->events, e);
  }
  for (uint32_t i = 0; i < b.receipt_count; i++) {
    add_receipt(t, &b.receipts[i]);
  }
  return true;
}

static bool merge(struct tidying *t, struct db *db, uint64_t first, uint64_t last, size_t blocks, struct error *err) {
  struct buf bytes;
  t->events.count = t->receipts.count = 0;
  buf_init(&bytes, BLOCK_UNPACKED_BYTES_MAX);
  bool ok = db_query(db, "SELECT first, bytes FROM journal WHERE first >= $1 AND first <= $2 ORDER BY first",
                     DB_VALUES(DB_I((int64_t)first), DB_I((int64_t)last)), gather, t, err) &&
            block_encode_with(t->encoder, t->events.items, t->events.count, t->receipts.items, t->receipts.count,
                              ZSTD_LEVEL_MERGED, &bytes, err);
  if (ok) {
    struct event *events = arena_array(t->arena, t->events.count, sizeof *events);
    for (size_t i = 0; i < t->events.count; i++) {
      events[i].time = t->events.items[i].time;
    }
    vec_push(&t->merged, (struct merged){.first = first,
                                         .blocks = (int64_t)blocks,
                                         .events = events,
                                         .count = t->events.count,
                                         .received = t->receipts.items[t->receipts.count - 1].received,
                                         .bytes = arena_copy(t->arena, buf_slice(&bytes))});
  }
  buf_free(&bytes);
  return ok;
}

/* From the oldest on: as many as fit one block; the last few wait until they are enough. */
static bool merge_groups(struct tidying *t, struct db *db, struct error *err) {
  size_t start = t->small.count, events = 0;
  for (size_t i = t->small.count; i > 0; i--) {
    const struct small *s = &t->small.items[i - 1];
    size_t blocks = start - i;
    if (events + s->events > JOURNAL_BLOCK_EVENTS || blocks == SMALL_BLOCKS_MAX) {
      if (blocks > 1 && !merge(t, db, t->small.items[start - 1].first, t->small.items[i].first, blocks, err)) {
        return false;
      }
      start = i;
      events = 0;
    }
    events += s->events;
  }
  return true;
}

/* ---- from outside ---- */

struct tidy {
  struct arena *arena;
  struct merged *merged;
  size_t count;
};

bool journal_tidy_prepare(struct db *db, struct tidy **out, struct error *err) {
  struct tidying t = {.arena = arena_new(), .encoder = block_encoder_new()};
  *out = NULL;
  bool ok = db_query(db, "SELECT first, events FROM journal ORDER BY first DESC LIMIT $1",
                     DB_VALUES(DB_I(LOOK_AT_BLOCKS)), take_small, &t, err) &&
            merge_groups(&t, db, err);
  if (ok && t.merged.count > 0) {
    *out = mem_alloc(sizeof **out);
    **out = (struct tidy){t.arena, t.merged.items, t.merged.count};
    t.arena = NULL;
    t.merged.items = NULL;
  }
  vec_free(&t.small);
  vec_free(&t.merged);
  vec_free(&t.events);
  vec_free(&t.receipts);
  block_encoder_free(t.encoder);
  arena_free(t.arena);
  return ok;
}

/* The blocks must still be the ones that were read: only one tidies at a time. */
static bool replace(struct db *db, const struct merged *m, struct error *err) {
  int64_t deleted = 0;
  if (!db_run(db, "DELETE FROM journal WHERE first >= $1 AND first < $2",
              DB_VALUES(DB_I((int64_t)m->first), DB_I((int64_t)(m->first + m->count))), &deleted, err)) {
    return false;
  }
  if (deleted != m->blocks) {
    return error_set(err, ERR_BUSY, "the journal was tidied by another");
  }
  return block_insert(db, m->first, m->events, m->count, m->received, m->bytes, err);
}

bool journal_tidy_write(struct db *db, const struct tidy *tidy, struct error *err) {
  for (size_t i = 0; i < tidy->count; i++) {
    if (!replace(db, &tidy->merged[i], err)) {
      return false;
    }
  }
  return true;
}

void journal_tidy_free(struct tidy *tidy) {
  if (tidy == NULL) {
    return;
  }
  free(tidy->merged);
  arena_free(tidy->arena);
  free(tidy);
}
