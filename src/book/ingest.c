/* Taking events in: against the catalog first, then identity and journal; and the counts of what was refused. */
#include "book/private.h"
#include <stdlib.h>

const char *book_why_conflict(struct arena *arena, const struct event *e) {
  return arena_printf(arena, "source \"" SLICE_FMT "\", id \"" SLICE_FMT "\" was accepted before with other content",
                      SLICE_ARG(e->source), SLICE_ARG(e->id));
}

bool book_ingest(struct book *book, struct arena *arena, const struct event *events, size_t count,
                 struct ingest_result *results, struct error *err) {
  struct event *valid = arena_array(arena, count, sizeof *valid);
  size_t *place = arena_array(arena, count, sizeof *place);
  enum verdict *verdicts = arena_array(arena, count, sizeof *verdicts);
  size_t valid_count = 0;
  for (size_t i = 0; i < count; i++) {
    struct error why = {0};
    results[i] = (struct ingest_result){.verdict = EVENT_INVALID};
    if (event_check(&events[i], book->catalog, &why)) {
      place[valid_count] = i;
      valid[valid_count++] = events[i];
    } else {
      results[i].reason = arena_printf(arena, "%s", why.message);
    }
  }
  if (valid_count > 0 && !journal_append(book->journal, valid, valid_count, verdicts, err)) {
    return false;
  }
  for (size_t i = 0; i < valid_count; i++) {
    results[place[i]].verdict = verdicts[i];
    if (verdicts[i] == EVENT_CONFLICT) {
      results[place[i]].reason = book_why_conflict(arena, &valid[i]);
    }
  }
  return true;
}

bool book_append(struct book *book, const struct event *events, size_t count, enum verdict *verdicts,
                 struct error *err) {
  return journal_append(book->journal, events, count, verdicts, err);
}

static bool add_count(struct book *book, const char *name, uint64_t events, struct error *err) {
  if (events == 0) {
    return true;
  }
  return db_run(book->db,
                "INSERT INTO ingest_count(name, events) VALUES($1, $2)"
                " ON CONFLICT(name) DO UPDATE SET events = events + $2",
                DB_VALUES(DB_T(slice_of(name)), DB_I((int64_t)events)), NULL, err);
}

void book_count(struct book *book, uint64_t duplicates, uint64_t conflicts, uint64_t invalid) {
  book->uncounted.duplicates += duplicates;
  book->uncounted.conflicts += conflicts;
  book->uncounted.invalid += invalid;
}

bool counts_flush(struct book *book, struct error *err) {
  const struct book_stats counts = book->uncounted;
  book->uncounted = (struct book_stats){0};
  return add_count(book, "duplicates", counts.duplicates, err) && add_count(book, "conflicts", counts.conflicts, err) &&
         add_count(book, "invalid", counts.invalid, err);
}

static bool take_count(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct book_stats *stats = context;
  slice name = db_bytes(row, 0);
  uint64_t events = (uint64_t)db_int(row, 1);
  if (slice_is(name, "duplicates")) {
    stats->duplicates = events;
  }
  if (slice_is(name, "conflicts")) {
    stats->conflicts = events;
  }
  if (slice_is(name, "invalid")) {
    stats->invalid = events;
  }
  return true;
}

static bool take_journal(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct book_stats *stats = context;
  stats->events = (uint64_t)db_int(row, 0);
  stats->blocks = (uint64_t)db_int(row, 1);
  stats->journal_bytes = (uint64_t)db_int(row, 2);
  return true;
}

bool book_stats(struct book *book, struct book_stats *out, struct error *err) {
  *out = (struct book_stats){0};
  return db_query(book->db, "SELECT name, events FROM ingest_count", DB_NO_VALUES, take_count, out, err) &&
         db_query(book->db, "SELECT coalesce(sum(events), 0), count(*), coalesce(sum(length(bytes)), 0) FROM journal",
                  DB_NO_VALUES, take_journal, out, err);
}
