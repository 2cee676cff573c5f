/* Reading the journal: ranges of blocks, their events, and the check of the whole. */
#include "meter/block.h"
#include "meter/private.h"
#include "meter/registry.h"
#include <stdlib.h>
#include <string.h>

struct block_scan {
  const struct journal_range *range;
  uint64_t until;
  struct arena *arena;
  block_each each;
  void *context;
};

static bool scan_row(const struct db_row *row, void *context, struct error *err) {
  struct block_scan *s = context;
  struct block b;
  arena_reset(s->arena);
  struct block_span span = {.first = (uint64_t)db_int(row, 0), .block = &b};
  if (!block_open(s->arena, db_bytes(row, 1), &b, err)) {
    return error_at(err, "journal block %llu", (unsigned long long)span.first);
  }
  span.from = s->range->after >= span.first ? (uint32_t)(s->range->after - span.first + 1) : 0;
  span.to = s->until - span.first < b.count ? (uint32_t)(s->until - span.first + 1) : b.count;
  return span.from >= span.to || s->each(s->context, &s->arena, &span, err);
}

bool journal_scan_blocks(struct db *db, const struct journal_range *range, block_each each, void *context,
                         struct error *err) {
  struct block_scan s = {.range = range,
                         .until = range->until ? range->until : INT64_MAX,
                         .arena = arena_new(),
                         .each = each,
                         .context = context};
  instant before = range->before.ns ? range->before : (instant){INT64_MAX};
  bool ok = db_query(db,
                     "SELECT first, bytes FROM journal WHERE first <= $1 AND first > $2 AND first + events > $3"
                     " AND time_min < $4 AND time_max >= $5 ORDER BY first",
                     DB_VALUES(DB_I((int64_t)s.until), DB_I((int64_t)range->after - BLOCK_EVENTS_MAX),
                               DB_I((int64_t)range->after + 1), DB_I(before.ns), DB_I(range->from.ns)),
                     scan_row, &s, err);
  arena_free(s.arena);
  return ok;
}

struct event_scan {
  event_each each;
  void *context;
};

static bool scan_span(void *context, struct arena **kept, const struct block_span *span, struct error *err) {
  struct arena *arena = *kept;
  const struct event_scan *s = context;
  slice *ids = arena_array(arena, span->block->count, sizeof *ids);
  if (!block_ids(arena, span->block, ids, err)) {
    return error_at(err, "journal block %llu", (unsigned long long)span->first);
  }
  for (uint32_t i = span->from; i < span->to; i++) {
    struct event e;
    struct arrival arrival = {span->first + i, block_received(span->block, i)};
    block_event(arena, span->block, i, &e);
    e.id = ids[i];
    if (!s->each(s->context, &e, &arrival, err)) {
      return false;
    }
  }
  return true;
}

bool journal_scan(struct db *db, const struct journal_range *range, event_each each, void *context, struct error *err) {
  struct event_scan s = {each, context};
  return journal_scan_blocks(db, range, scan_span, &s, err);
}

/* ---- as of a time ---- */

struct position_search {
  instant received;
  struct arena *arena;
  uint64_t position;
};

static bool take_position(const struct db_row *row, void *context, struct error *err) {
  struct position_search *s = context;
  struct block b;
  if (!block_open(s->arena, db_bytes(row, 1), &b, err)) {
    return error_at(err, "journal block %lld", (long long)db_int(row, 0));
  }
  s->position = (uint64_t)db_int(row, 0) - 1;
  for (uint32_t i = 0; i < b.receipt_count && b.receipts[i].received.ns <= s->received.ns; i++) {
    s->position += b.receipts[i].events;
  }
  return true;
}

static bool take_last(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(uint64_t *)context = (uint64_t)db_int(row, 0);
  return true;
}

bool journal_last(struct db *db, uint64_t *position, struct error *err) {
  return db_query(db, "SELECT coalesce(max(first + events) - 1, 0) FROM journal", DB_NO_VALUES, take_last, position,
                  err);
}

/* Arrival never runs backwards, so the first block that ends later than asked holds the border. */
bool journal_position_at(struct db *db, instant received, uint64_t *position, struct error *err) {
  struct position_search s = {received, arena_new(), UINT64_MAX};
  bool ok = db_query(db, "SELECT first, bytes FROM journal WHERE received > $1 ORDER BY first LIMIT 1",
                     DB_VALUES(DB_I(received.ns)), take_position, &s, err);
  if (ok && s.position == UINT64_MAX) {
    ok = journal_last(db, &s.position, err);
  }
  *position = s.position;
  arena_free(s.arena);
  return ok;
}

/* ---- checking ---- */

struct check {
  struct arena *arena;
  void (*bad)(void *context, const char *what);
  void *context;
  uint64_t events, next;
  VEC(uint64_t) prints;
};
static const uint8_t check_key[16] = {1};

static void complain(struct check *c, uint64_t block, const char *why) {
  tell(c->bad, c->context, "journal block %llu: %s", (unsigned long long)block, why);
}

static void check_events(struct check *c, const struct db_row *row, const struct block *b, const slice *ids) {
  uint64_t first = (uint64_t)db_int(row, 0);
  if (b->count != db_int(row, 2)) {
    complain(c, first, "it holds another number of events than its row says");
  }
  for (uint32_t i = 0; i < b->count; i++) {
    if (b->times_ns[i] < db_int(row, 3) || b->times_ns[i] > db_int(row, 4)) {
      complain(c, first, "an event lies outside the times its row says");
      break;
    }
  }
  for (uint32_t i = 0; i < b->count; i++) {
    vec_push(&c->prints, registry_fingerprint(check_key, b->words[b->source[i]], ids[i]));
  }
  c->events += b->count;
}

static bool check_block(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct check *c = context;
  uint64_t first = (uint64_t)db_int(row, 0);
  struct block b;
  struct error why = {0};
  arena_reset(c->arena);
  if (first != c->next) {
    complain(c, first, "events before it are missing");
  }
  c->next = first + (uint64_t)db_int(row, 2);
  if (!block_open(c->arena, db_bytes(row, 1), &b, &why)) {
    complain(c, first, why.message);
    return true;
  }
  slice *ids = arena_array(c->arena, b.count, sizeof *ids);
  if (block_ids(c->arena, &b, ids, &why)) {
    check_events(c, row, &b, ids);
  } else {
    complain(c, first, why.message);
  }
  return true;
}

static int print_order(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Sixty-four keyed bits: two events with one print are one identity. */
static void check_unique(struct check *c) {
  uint64_t twice = 0;
  if (c->prints.count > 0) {
    qsort(c->prints.items, c->prints.count, sizeof *c->prints.items, print_order);
  }
  for (size_t i = 1; i < c->prints.count; i++) {
    twice += c->prints.items[i] == c->prints.items[i - 1];
  }
  if (twice > 0) {
    tell(c->bad, c->context, "journal: %llu identities are there twice", (unsigned long long)twice);
  }
}

bool journal_check(struct db *db, void (*bad)(void *context, const char *what), void *context, uint64_t *events,
                   struct error *err) {
  struct check c = {.arena = arena_new(), .bad = bad, .context = context, .next = 1};
  bool ok = db_query(db, "SELECT first, bytes, events, time_min, time_max FROM journal ORDER BY first", DB_NO_VALUES,
                     check_block, &c, err);
  if (ok) {
    check_unique(&c);
  }
  *events = c.events;
  vec_free(&c.prints);
  arena_free(c.arena);
  return ok;
}
