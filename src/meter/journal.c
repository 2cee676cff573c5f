/* The journal: what was accepted in a transaction becomes blocks; identities are decided by the registry, which asks
 * here what a stored event says. */
#include "meter/block.h"
#include "meter/private.h"
#include "meter/registry.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define JOURNAL_MAGIC 0x4d484a4fu
#define CACHED_BLOCKS 8
#define ZSTD_LEVEL_NEW 1

const struct db_migration journal_migrations[] = {
    {"journal-2", "CREATE TABLE journal(first INTEGER PRIMARY KEY, events INTEGER NOT NULL, time_min INTEGER NOT NULL,"
                  " time_max INTEGER NOT NULL, received INTEGER NOT NULL, bytes BLOB NOT NULL);"
                  "CREATE TABLE identity_key(only INTEGER PRIMARY KEY CHECK(only = 1), bytes BLOB NOT NULL);"},
    {"correction-1",
     "CREATE TABLE correction(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,"
     " target INTEGER NOT NULL, customer TEXT NOT NULL, meter TEXT NOT NULL, time_from INTEGER NOT NULL,"
     " time_to INTEGER NOT NULL, last INTEGER NOT NULL);"},
};
const size_t journal_migration_count = sizeof journal_migrations / sizeof *journal_migrations;

/* A stored block, opened to answer what an event says. */
struct cached {
  uint64_t first, used;
  uint32_t count;
  struct arena *arena;
  struct block block;
  slice *ids;
};
struct journal {
  uint32_t magic;
  struct db *db;
  char *dir;
  uint8_t key[16];
  struct journal_options options;
  struct registry *registry;
  struct block_encoder *encoder;
  VEC(struct event) pending; /* accepted, not yet written */
  uint64_t written;          /* number of the last event in a block of the open transaction */
  uint64_t durable;
  instant received; /* of the last block */
  struct cached cache[CACHED_BLOCKS];
  uint64_t uses;
  struct arena *scratch;
};

/* ---- what a stored event says ---- */

static void cache_drop(struct journal *j) {
  for (size_t i = 0; i < CACHED_BLOCKS; i++) {
    arena_free(j->cache[i].arena);
    j->cache[i] = (struct cached){0};
  }
}

static struct cached *cache_place(struct journal *j) {
  struct cached *least = &j->cache[0];
  for (size_t i = 1; i < CACHED_BLOCKS; i++) {
    if (j->cache[i].used < least->used) {
      least = &j->cache[i];
    }
  }
  arena_free(least->arena);
  *least = (struct cached){.arena = arena_new()};
  return least;
}

static bool take_block(const struct db_row *row, void *context, struct error *err) {
  struct cached *c = context;
  c->first = (uint64_t)db_int(row, 0);
  slice bytes = arena_copy(c->arena, db_bytes(row, 1));
  if (!block_open(c->arena, bytes, &c->block, err)) {
    return error_at(err, "journal block %llu", (unsigned long long)c->first);
  }
  c->count = c->block.count;
  c->ids = arena_array(c->arena, c->count, sizeof *c->ids);
  return block_ids(c->arena, &c->block, c->ids, err) ||
         error_at(err, "journal block %llu", (unsigned long long)c->first);
}

static bool cache_find(struct journal *j, uint64_t number, struct cached **out, struct error *err) {
  for (size_t i = 0; i < CACHED_BLOCKS; i++) {
    struct cached *c = &j->cache[i];
    if (number >= c->first && number - c->first < c->count) {
      c->used = ++j->uses;
      *out = c;
      return true;
    }
  }
  struct cached *c = cache_place(j);
  if (!db_query(j->db, "SELECT first, bytes FROM journal WHERE first <= $1 ORDER BY first DESC LIMIT 1",
                DB_VALUES(DB_I((int64_t)number)), take_block, c, err)) {
    c->count = 0;
    return false;
  }
  c->used = ++j->uses;
  *out = c;
  return (c->count > 0 && number - c->first < c->count) ||
         error_set(err, ERR_CORRUPT, "event %llu is not in the journal", (unsigned long long)number);
}

static bool same_content(const struct event *a, const struct event *b) {
  if (!slice_eq(a->type, b->type) || !slice_eq(a->subject, b->subject) || a->time.ns != b->time.ns ||
      a->field_count != b->field_count) {
    return false;
  }
  for (size_t i = 0; i < a->field_count; i++) {
    if (!slice_eq(a->fields[i].name, b->fields[i].name) || !slice_eq(a->fields[i].value, b->fields[i].value) ||
        a->fields[i].number != b->fields[i].number) {
      return false;
    }
  }
  return true;
}

static enum verdict judge(const struct event *stored, const struct event *e) {
  if (!slice_eq(stored->id, e->id) || !slice_eq(stored->source, e->source)) {
    return EVENT_ACCEPTED;
  }
  return same_content(stored, e) ? EVENT_DUPLICATE : EVENT_CONFLICT;
}

static bool compare(void *context, uint64_t number, const struct event *e, enum verdict *out, struct error *err) {
  struct journal *j = context;
  if (number > j->written) {
    *out = judge(&j->pending.items[number - j->written - 1], e);
    return true;
  }
  struct cached *c;
  struct event stored;
  if (!cache_find(j, number, &c, err)) {
    return false;
  }
  uint32_t i = (uint32_t)(number - c->first);
  if (!slice_eq(c->ids[i], e->id)) {
    *out = EVENT_ACCEPTED;
    return true;
  }
  arena_reset(j->scratch);
  block_event(j->scratch, &c->block, i, &stored);
  stored.id = c->ids[i];
  *out = judge(&stored, e);
  return true;
}

static void accept(void *context, const struct event *e) {
  struct journal *j = context;
  vec_push(&j->pending, *e);
}

/* ---- opening ---- */

static bool take_key(const struct db_row *row, void *context, struct error *err) {
  slice bytes = db_bytes(row, 0);
  if (bytes.len != 16) {
    return error_set(err, ERR_CORRUPT, "the identity key has the wrong length");
  }
  memcpy(context, bytes.ptr, 16);
  return true;
}

static bool load_key(struct db *db, uint8_t key[16], struct error *err) {
  uint8_t fresh[16];
  must(sodium_init() >= 0);
  randombytes_buf(fresh, sizeof fresh);
  return db_run(db, "INSERT INTO identity_key(only, bytes) VALUES(1, $1) ON CONFLICT(only) DO NOTHING",
                DB_VALUES(DB_B(((slice){(char *)fresh, 16}))), NULL, err) &&
         db_query(db, "SELECT bytes FROM identity_key", DB_NO_VALUES, take_key, key, err);
}

static bool replay_block(void *context, struct arena **arena, const struct block_span *span, struct error *err) {
  struct registry *registry = context;
  slice *ids = arena_array(*arena, span->block->count, sizeof *ids);
  if (!block_ids(*arena, span->block, ids, err)) {
    return false;
  }
  for (uint32_t i = span->from; i < span->to; i++) {
    if (!registry_replay(registry, span->block->words[span->block->source[i]], ids[i], err)) {
      return false;
    }
  }
  return true;
}

static bool replay(void *context, uint64_t first, uint64_t last, struct registry *registry, struct error *err) {
  struct journal *j = context;
  struct journal_range range = {.after = first - 1, .until = last};
  return journal_scan_blocks(j->db, &range, replay_block, registry, err);
}

static bool take_end(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct journal *j = context;
  j->written = (uint64_t)(db_int(row, 0) + db_int(row, 1)) - 1;
  j->received.ns = db_int(row, 2);
  return true;
}

static bool open_registry(struct journal *j, struct error *err) {
  const struct registry_hooks hooks = {compare, accept, replay, j};
  return registry_open(j->dir, j->key, &j->options, &hooks, j->written, &j->registry, err);
}

static bool load(struct journal *j, struct error *err) {
  return load_key(j->db, j->key, err) &&
         db_query(j->db, "SELECT first, events, received FROM journal ORDER BY first DESC LIMIT 1", DB_NO_VALUES,
                  take_end, j, err) &&
         open_registry(j, err);
}

bool journal_open(struct db *db, const char *dir, const struct journal_options *options, struct journal **out,
                  struct error *err) {
  struct journal *j = mem_alloc(sizeof *j);
  size_t size = strlen(dir) + 1;
  j->magic = JOURNAL_MAGIC;
  j->db = db;
  j->dir = mem_alloc(size);
  memcpy(j->dir, dir, size);
  j->options = options ? *options : (struct journal_options){0};
  j->encoder = block_encoder_new();
  j->scratch = arena_new();
  if (!load(j, err)) {
    journal_close(j);
    return false;
  }
  journal_done(j);
  *out = j;
  return true;
}

void journal_close(struct journal *j) {
  if (j == NULL) {
    return;
  }
  must(j->magic == JOURNAL_MAGIC);
  registry_close(j->registry);
  block_encoder_free(j->encoder);
  cache_drop(j);
  arena_free(j->scratch);
  vec_free(&j->pending);
  free(j->dir);
  j->magic = 0;
  free(j);
}

/* ---- writing ---- */

bool journal_append(struct journal *j, const struct event *events, size_t count, enum verdict *verdicts,
                    struct error *err) {
  must(j->magic == JOURNAL_MAGIC && db_in_transaction(j->db));
  return registry_decide(j->registry, events, count, verdicts, err);
}

bool journal_find(struct journal *j, struct arena *arena, slice source, slice id, uint64_t *number, struct event *out,
                  struct error *err) {
  struct cached *c;
  if (source.len == 0 || id.len == 0 || source.len > EVENT_ATTRIBUTE_BYTES_MAX || id.len > EVENT_ATTRIBUTE_BYTES_MAX) {
    return error_set(err, ERR_INVALID, "an event is named by its source and its id, of up to %d bytes each",
                     EVENT_ATTRIBUTE_BYTES_MAX);
  }
  if (!registry_find(j->registry, source, id, number, err) || *number == 0) {
    return *number == 0 && err->code == ERR_NONE;
  }
  if (*number > j->written) {
    *out = j->pending.items[*number - j->written - 1];
    return true;
  }
  if (!cache_find(j, *number, &c, err)) {
    return false;
  }
  block_event(c->arena, &c->block, (uint32_t)(*number - c->first), out);
  out->id = c->ids[*number - c->first];
  *out = event_copy(arena, out);
  return true;
}

static bool put_block(struct journal *j, uint64_t first, const struct event *events, size_t count,
                      const struct block_receipt *receipt, struct error *err) {
  struct buf block;
  buf_init(&block, BLOCK_UNPACKED_BYTES_MAX);
  bool ok = block_encode_with(j->encoder, events, count, receipt, 1, ZSTD_LEVEL_NEW, &block, err) &&
            block_insert(j->db, first, events, count, receipt->received, buf_slice(&block), err);
  buf_free(&block);
  return ok;
}

/* Arrival never runs backwards, whatever the clock does: positions and times of arrival have one order. */
static instant arrival_now(struct journal *j) {
  instant now = clock_now();
  if (now.ns > j->received.ns) {
    j->received = now;
  }
  return j->received;
}

bool journal_flush(struct journal *j, struct error *err) {
  must(j->magic == JOURNAL_MAGIC && db_in_transaction(j->db));
  const instant received = j->pending.count > 0 ? arrival_now(j) : j->received;
  for (size_t start = 0; start < j->pending.count;) {
    size_t left = j->pending.count - start, some = left < JOURNAL_BLOCK_EVENTS ? left : JOURNAL_BLOCK_EVENTS;
    struct block_receipt receipt = {(uint32_t)some, received};
    if (!put_block(j, j->written + start + 1, j->pending.items + start, some, &receipt, err)) {
      return false;
    }
    start += some;
  }
  j->written += j->pending.count;
  j->pending.count = 0;
  return true;
}

void journal_done(struct journal *j) {
  must(j->pending.count == 0);
  j->durable = j->written;
  registry_done(j->registry);
}

void journal_undo(struct journal *j) {
  j->pending.count = 0;
  j->written = j->durable;
  cache_drop(j);
  registry_undo(j->registry);
}

uint64_t journal_count(const struct journal *j) {
  return j->written + j->pending.count;
}

void journal_memory(const struct journal *j, struct journal_memory *out) {
  registry_memory(j->registry, out);
}
