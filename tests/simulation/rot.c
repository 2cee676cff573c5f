/* Bit rot at rest: one bit of a closed book flips; the damaged block is named, and the others are still read. */
#include "sim.h"
#include <string.h>

#define NEEDLE_BYTES 24
#define NEEDLE_TRIES 50

struct block {
  uint64_t number, events, journal_events;
  struct arena *arena;
  slice bytes;
};

static bool take_block(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct block *b = context;
  b->number = (uint64_t)db_int(row, 0);
  b->events = (uint64_t)db_int(row, 1);
  b->bytes = arena_copy(b->arena, db_bytes(row, 2));
  return true;
}

static bool take_total(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  ((struct block *)context)->journal_events = (uint64_t)db_int(row, 0);
  return true;
}

static void choose_block(struct sim *s, struct block *out) {
  struct error err = {0};
  struct db *db = book_db(s->book);
  *out = (struct block){.arena = s->arena};
  bool ok = db_query(db, "SELECT coalesce(sum(events), 0) FROM journal", DB_NO_VALUES, take_total, out, &err) &&
            db_query(db, "SELECT first, events, bytes FROM journal ORDER BY (first * $1) % 1009 LIMIT 1",
                     DB_VALUES(DB_I(1 + (int64_t)draw(s, 1000))), take_block, out, &err);
  expect(s, ok, "blocks: %s", err.message);
}

/* A piece that lies on one page is found as it is in the file. */
static bool damage(struct sim *s, const struct block *block, const char *path) {
  for (int i = 0; i < NEEDLE_TRIES && block->bytes.len > NEEDLE_BYTES; i++) {
    size_t at = (size_t)draw(s, block->bytes.len - NEEDLE_BYTES);
    if (disk_rot(s->disk, path, (slice){block->bytes.ptr + at, NEEDLE_BYTES})) {
      return true;
    }
  }
  return false;
}

struct complaints {
  char block[48];
  unsigned count, of_block;
};

static void complain(void *context, const char *what) {
  struct complaints *c = context;
  c->count++;
  c->of_block += strstr(what, c->block) != NULL;
}

/* A book that refuses to open must say why; its journal is then checked without it. */
static void check_without_book(struct sim *s, const char *path, const struct block *block, struct complaints *c) {
  struct db *db;
  struct error err = {0};
  uint64_t events;
  expect(s, db_open(path, DB_READ_ONLY, &db, &err) && journal_check(db, complain, c, &events, &err),
         "the journal can not be checked: %s", err.message);
  expect(s, events == block->journal_events - block->events, "of %llu good events %llu were read",
         (unsigned long long)(block->journal_events - block->events), (unsigned long long)events);
  db_close(db);
}

static void block_is_named(struct sim *s, const char *path, const struct block *block) {
  struct complaints c = {0};
  struct error err = {0};
  struct check_result result;
  snprintf(c.block, sizeof c.block, "journal block %llu:", (unsigned long long)block->number);
  if (book_open(s->data, s->catalog, BOOK_WRITE, &s->book, &err)) {
    expect(s, book_check(s->book, complain, &c, &result, &err) || err.code == ERR_CORRUPT, "check: %s", err.message);
    book_close(s->book);
  } else {
    expect(s, err.code == ERR_CORRUPT && strstr(err.message, c.block), "the damage of %s is not named: %s (%s)",
           c.block, err.message, error_code_name(err.code));
  }
  s->book = NULL;
  note(s, "named: %s %s", c.block, err.message);
  check_without_book(s, path, block, &c);
  expect(s, c.of_block > 0, "the damage of %s was not seen", c.block);
}

/* A bit anywhere in the file: either somebody complains, or no event differs. */
static void nothing_changes_silently(struct sim *s) {
  struct complaints c = {"journal", 0, 0};
  struct error err = {0};
  struct check_result result;
  if (!book_open(s->data, s->catalog, BOOK_WRITE, &s->book, &err)) {
    note(s, "refused: %s", err.message);
    s->book = NULL;
    return;
  }
  if (book_check(s->book, complain, &c, &result, &err) && result.problems == 0) {
    verify_events(s, book_db(s->book));
  }
  note(s, "%u complaints; %s", c.count, err.message);
}

void rot_and_verify(struct sim *s) {
  char path[160];
  struct block block;
  choose_block(s, &block);
  book_close(s->book);
  s->book = NULL;
  snprintf(path, sizeof path, "%s/book.db", s->data);
  if (chance(s, 50) && damage(s, &block, path)) {
    block_is_named(s, path, &block);
  } else if (disk_rot_anywhere(s->disk, path)) {
    nothing_changes_silently(s);
  }
}
