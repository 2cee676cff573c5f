/* The journal: one row a group commit, identities decided before it is written, checksums verified whenever it is read.
 */
#include "meter/block.h"
#include "meter/private.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define JOURNAL_MAGIC 0x4d484a4fu

const struct db_migration journal_migrations[] = {
    {"journal-1", "CREATE TABLE journal(block INTEGER PRIMARY KEY, events INTEGER NOT NULL, time_min INTEGER NOT NULL,"
                  " time_max INTEGER NOT NULL, bytes BLOB NOT NULL);"
                  "CREATE TABLE identity_key(only INTEGER PRIMARY KEY CHECK(only = 1), bytes BLOB NOT NULL);"},
};
const size_t journal_migration_count = sizeof journal_migrations / sizeof *journal_migrations;

struct journal {
  uint32_t magic;
  struct db *db;
  struct identity *identity;
  uint64_t position, durable_position;
};

/* ---- reading ---- */

struct scan {
  struct arena *arena;
  event_each each;
  void *context;
};

static bool scan_block(const struct db_row *row, void *context, struct error *err) {
  struct scan *s = context;
  struct event *events;
  size_t count;
  arena_reset(s->arena);
  if (!block_decode(s->arena, db_bytes(row, 1), &events, &count, err)) {
    return error_at(err, "journal block %lld", (long long)db_int(row, 0));
  }
  for (size_t i = 0; i < count; i++) {
    if (!s->each(s->context, &events[i], err)) {
      return false;
    }
  }
  return true;
}

bool journal_scan(struct db *db, uint64_t position, instant before, event_each each, void *context, struct error *err) {
  struct scan s = {arena_new(), each, context};
  int64_t last = position ? (int64_t)position : INT64_MAX;
  bool ok = db_query(db, "SELECT block, bytes FROM journal WHERE block <= $1 AND time_min < $2 ORDER BY block",
                     DB_VALUES(DB_I(last), DB_I(before.ns)), scan_block, &s, err);
  arena_free(s.arena);
  return ok;
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

static bool remember(void *context, const struct event *e, struct error *err) {
  struct journal *j = context;
  if (identity_decide(j->identity, e->source, e->id, event_content_hash(e)) == EVENT_ACCEPTED) {
    return true;
  }
  return error_set(err, ERR_CORRUPT, "the journal holds source \"" SLICE_FMT "\", id \"" SLICE_FMT "\" twice",
                   SLICE_ARG(e->source), SLICE_ARG(e->id));
}

static bool take_position(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(uint64_t *)context = (uint64_t)db_int(row, 0);
  return true;
}

bool journal_open(struct db *db, struct journal **out, struct error *err) {
  struct journal *j = mem_alloc(sizeof *j);
  uint8_t key[16];
  j->magic = JOURNAL_MAGIC;
  j->db = db;
  bool ok = load_key(db, key, err);
  if (ok) {
    j->identity = identity_new(key);
    ok = db_query(db, "SELECT coalesce(max(block), 0) FROM journal", DB_NO_VALUES, take_position, &j->position, err) &&
         journal_scan(db, 0, INSTANT_MAX, remember, j, err);
  }
  if (!ok) {
    journal_close(j);
    return false;
  }
  identity_done(j->identity);
  j->durable_position = j->position;
  *out = j;
  return true;
}

void journal_close(struct journal *j) {
  if (j == NULL) {
    return;
  }
  must(j->magic == JOURNAL_MAGIC);
  identity_free(j->identity);
  free(j);
}

/* ---- writing ---- */

static bool write_block(struct journal *j, const struct event *events, size_t count, struct error *err) {
  int64_t earliest = INT64_MAX, latest = 0;
  struct buf block;
  for (size_t i = 0; i < count; i++) {
    if (events[i].time.ns < earliest) {
      earliest = events[i].time.ns;
    }
    if (events[i].time.ns > latest) {
      latest = events[i].time.ns;
    }
  }
  buf_init(&block, BLOCK_UNPACKED_BYTES_MAX);
  bool ok = block_encode(events, count, &block, err) &&
            db_run(j->db, "INSERT INTO journal(block, events, time_min, time_max, bytes) VALUES($1, $2, $3, $4, $5)",
                   DB_VALUES(DB_I((int64_t)j->position + 1), DB_I((int64_t)count), DB_I(earliest), DB_I(latest),
                             DB_B(buf_slice(&block))),
                   NULL, err);
  buf_free(&block);
  j->position += ok;
  return ok;
}

bool journal_append(struct journal *j, const struct event *events, size_t count, enum verdict *verdicts,
                    struct error *err) {
  must(j->magic == JOURNAL_MAGIC && count <= BLOCK_EVENTS_MAX && db_in_transaction(j->db));
  struct event *accepted = mem_alloc(count * sizeof *accepted);
  size_t accepted_count = 0;
  for (size_t i = 0; i < count; i++) {
    verdicts[i] = identity_decide(j->identity, events[i].source, events[i].id, event_content_hash(&events[i]));
    if (verdicts[i] == EVENT_ACCEPTED) {
      accepted[accepted_count++] = events[i];
    }
  }
  bool ok = accepted_count == 0 || write_block(j, accepted, accepted_count, err);
  free(accepted);
  return ok;
}

void journal_done(struct journal *j) {
  identity_done(j->identity);
  j->durable_position = j->position;
}

void journal_undo(struct journal *j) {
  identity_undo(j->identity);
  j->position = j->durable_position;
}

uint64_t journal_count(const struct journal *j) {
  return identity_count(j->identity);
}
uint64_t journal_position(const struct journal *j) {
  return j->position;
}

/* ---- checking ---- */

struct check {
  struct arena *arena;
  struct identity *identity;
  void (*bad)(void *context, const char *what);
  void *context;
  uint64_t events;
  int64_t next_block;
};

static void complain(struct check *c, int64_t block, const char *why) {
  tell(c->bad, c->context, "journal block %lld: %s", (long long)block, why);
}

static void check_events(struct check *c, int64_t block, const struct db_row *row, const struct event *events,
                         size_t count) {
  if ((int64_t)count != db_int(row, 2)) {
    complain(c, block, "it holds another number of events than its row says");
  }
  for (size_t i = 0; i < count; i++) {
    if (events[i].time.ns < db_int(row, 3) || events[i].time.ns > db_int(row, 4)) {
      complain(c, block, "an event lies outside the times its row says");
    }
    if (identity_decide(c->identity, events[i].source, events[i].id, 0) != EVENT_ACCEPTED) {
      complain(c, block, "an identity is in the journal twice");
    }
  }
  c->events += count;
}

static bool check_block(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct check *c = context;
  int64_t block = db_int(row, 0);
  struct event *events;
  size_t count;
  struct error why = {0};
  arena_reset(c->arena);
  if (block != c->next_block) {
    complain(c, c->next_block, "is missing");
  }
  c->next_block = block + 1;
  if (block_decode(c->arena, db_bytes(row, 1), &events, &count, &why)) {
    check_events(c, block, row, events, count);
  } else {
    complain(c, block, why.message);
  }
  return true;
}

bool journal_check(struct db *db, void (*bad)(void *context, const char *what), void *context, uint64_t *events,
                   struct error *err) {
  static const uint8_t key[16] = {1};
  struct check c = {arena_new(), identity_new(key), bad, context, 0, 1};
  bool ok = db_query(db, "SELECT block, bytes, events, time_min, time_max FROM journal ORDER BY block", DB_NO_VALUES,
                     check_block, &c, err);
  *events = c.events;
  identity_free(c.identity);
  arena_free(c.arena);
  return ok;
}
