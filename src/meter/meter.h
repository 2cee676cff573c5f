/* The meter: events in, each identity decided for ever, kept in a journal of blocks, summed to usage by the hour.
 * docs/metering.md describes identity, the journal and the meters. */
#ifndef METERHOUSE_METER_METER_H
#define METERHOUSE_METER_METER_H
#include "base/limits.h"
#include "catalog/catalog.h"
#include "store/store.h"

/* ---- events (CloudEvents 1.0.2) ---- */
#define EVENT_BYTES_MAX LIMIT_EVENT_BYTES
#define EVENT_FIELDS_MAX LIMIT_EVENT_FIELDS
#define EVENT_ATTRIBUTE_BYTES_MAX LIMIT_ATTRIBUTE_BYTES /* id, source, type, subject, field names */
#define EVENT_VALUE_BYTES_MAX LIMIT_VALUE_BYTES
#define EVENT_BATCH_MAX LIMIT_BATCH_EVENTS

struct event_field {
  slice name, value;
  bool number;
}; /* data, flattened with dots; sorted by name */
struct event {
  slice id, source, type, subject; /* subject = customer id */
  instant time;
  const struct event_field *fields;
  size_t field_count;
};
enum verdict { EVENT_ACCEPTED, EVENT_DUPLICATE, EVENT_CONFLICT, EVENT_INVALID };
const char *verdict_name(enum verdict v);

struct json;
/* One structured CloudEvent. ERR_INVALID names the attribute and what was expected. `now` stands in for a missing time.
 */
MUST_USE bool event_from_json(struct arena *arena, const struct json *json, instant now, struct event *out,
                              struct error *err);
MUST_USE bool event_from_text(struct arena *arena, slice json_text, instant now, struct event *out, struct error *err);
/* Against the catalog: every meter fed by the type finds its value (present, decimal, not negative) and its series. An
 * event no meter wants is valid, and counted as unmetered in every usage report. */
MUST_USE bool event_check(const struct event *e, const struct catalog *catalog, struct error *err);
slice event_field_value(const struct event *e, slice name); /* empty when absent */
/* Structured CloudEvents JSON, one line, canonical: parses back to the same event. */
void event_to_json(const struct event *e, struct buf *out);
struct event event_copy(struct arena *arena, const struct event *e);
uint64_t event_content_hash(const struct event *e); /* type, subject, time, fields: what conflict means */

/* ---- bodies of requests: many events in one text, which must outlive them ---- */
struct event_entry {
  slice id;            /* as far as it could be read */
  const char *refused; /* why it is not to be taken; NULL: it is the next of `events` */
  uint32_t line;       /* of EVENT_BODY_LINES */
};
struct event_body {
  struct event *events; /* those to be taken, in order; checked against the catalog */
  size_t event_count;
  struct event_entry *entries; /* all */
  size_t count;
};
enum event_body_form { EVENT_BODY_ANY, EVENT_BODY_ARRAY, EVENT_BODY_LINES }; /* ANY: one event or an array */
/* A bad event does not spoil the others. False when there is no telling them apart: ERR_INVALID, or ERR_LIMIT for too
 * many. Types that begin with "meterhouse." are reserved and refused. */
MUST_USE bool event_body_read(struct arena *arena, enum event_body_form form, slice text, const struct catalog *catalog,
                              instant now, struct event_body *out, struct error *err);
/* The short way that event_body_read takes first, for tests: an event in its usual form at the start of the text, whose
 * length is told with the blanks behind it; false says nothing but that event_from_text is to look at it. Slices point
 * into the text. */
bool event_plain(struct arena *arena, slice text, instant now, struct event *out, size_t *length);

/* ---- files: NDJSON, JSON array of events, CSV with a map; each plain or .gz ---- */
struct csv_map; /* which column is what; format in docs/import.md */
/* From text (tests, fuzzing); `name` is what errors call the file. */
MUST_USE bool csv_map_parse(const char *name, slice text, struct csv_map **out, struct error *err);
MUST_USE bool csv_map_load(const char *path, struct csv_map **out, struct error *err);
void csv_map_free(struct csv_map *map);
/* Calls `take` with batches of up to EVENT_BATCH_MAX events (valid until it returns); `bad` with each refused line or
 * record: the rest of the input is kept. Either returning false stops. A damaged file gives its good part, then false
 * with err. */
struct event_reader_hooks {
  bool (*take)(void *context, const struct event *events, const uint64_t *lines, size_t count, struct error *err);
  bool (*bad)(void *context, const char *file, uint64_t line, const struct error *why);
  void *context;
};
MUST_USE bool events_read_file(const char *path, const struct csv_map *map, instant now,
                               const struct event_reader_hooks *hooks, struct error *err);

/* ---- identity among the events of some files, in memory; a journal keeps its own (below) ---- */
struct identity;
struct identity *identity_new(const uint8_t key[16]); /* SipHash key: ids can not be crafted to collide */
void identity_free(struct identity *identity);
/* ACCEPTED and remembered, DUPLICATE or CONFLICT. */
enum verdict identity_decide(struct identity *identity, slice source, slice id, uint64_t content_hash);
uint64_t identity_count(const struct identity *identity);

/* ---- journal: compressed columnar blocks with checksums, a row each; events are numbered from 1 as they were
 * accepted. (source, id) is decided for ever: docs/journal.md ---- */
struct journal;
struct registry;
#define JOURNAL_BLOCK_EVENTS                                                                                           \
  8192 /* a block holds up to this many; journal_tidy_prepare merges small ones towards it                             \
        */
extern const struct db_migration journal_migrations[];
extern const size_t journal_migration_count;
/* For tests: fewer bits force collisions, a smaller window seals sooner. 0 is the default. */
struct journal_options {
  unsigned fingerprint_bits;
  uint32_t window_events;
};
/* Opens over a migrated store. Sealed identities are cached in files of `dir`, which is made when missing; what is not
 * there or damaged is built again from the journal. `options` may be NULL. */
MUST_USE bool journal_open(struct db *db, const char *dir, const struct journal_options *options, struct journal **out,
                           struct error *err);
void journal_close(struct journal *journal);
/* Decides every event (verdicts[i]) inside the caller's transaction. Accepted ones are written by journal_flush and
 * must live until then. */
MUST_USE bool journal_append(struct journal *journal, const struct event *events, size_t count, enum verdict *verdicts,
                             struct error *err);
/* Writes what was accepted, as one block or several, before the transaction is committed; then comes journal_done, or
 * journal_undo when it failed: what was accepted since the last journal_done is forgotten. */
MUST_USE bool journal_flush(struct journal *journal, struct error *err);
/* The event of this identity, copied to the arena, and its number; number 0 when there is none. */
MUST_USE bool journal_find(struct journal *journal, struct arena *arena, slice source, slice id, uint64_t *number,
                           struct event *out, struct error *err);
void journal_done(struct journal *journal);
void journal_undo(struct journal *journal);
uint64_t journal_count(const struct journal *journal); /* events accepted; the number of the last one */
/* Small blocks are merged in two steps, as aggregates are kept: prepared on any connection, written inside the writer's
 * transaction. `*out` is NULL when there is nothing to do. One at a time. */
struct tidy;
MUST_USE bool journal_tidy_prepare(struct db *db, struct tidy **out, struct error *err);
MUST_USE bool journal_tidy_write(struct db *db, const struct tidy *tidy, struct error *err);
void journal_tidy_free(struct tidy *tidy);
struct journal_memory {
  uint64_t recent_events, recent_bytes, older_events, older_bytes;
};
void journal_memory(const struct journal *journal, struct journal_memory *out);

/* What to read: all of it when zero. */
struct journal_range {
  uint64_t after, until; /* numbers: after < n <= until (0: the last) */
  instant from, before; /* only blocks that touch this stretch of event time; before 0: no end. Others may come along */
};
/* Calls `each` event of the range by number, block by block. Checksums are verified. Number and time of arrival come
 * along. */
struct arrival {
  uint64_t number;
  instant received;
};
typedef bool (*event_each)(void *context, const struct event *e, const struct arrival *arrival, struct error *err);
MUST_USE bool journal_scan(struct db *db, const struct journal_range *range, event_each each, void *context,
                           struct error *err);
MUST_USE bool journal_last(struct db *db, uint64_t *position,
                           struct error *err); /* number of the last event; 0: none */
/* The number of the last event that had arrived by then. */
MUST_USE bool journal_position_at(struct db *db, instant received, uint64_t *position, struct error *err);
/* Every block: checksum, decode, count, identities unique. Bad blocks are named through `bad`; the others are still
 * read. */
MUST_USE bool journal_check(struct db *db, void (*bad)(void *context, const char *what), void *context,
                            uint64_t *events, struct error *err);
/* Every page of the cached identities in `dir`: what is damaged is named; it is built again when the journal is opened
 * or needs it. */
MUST_USE bool journal_check_identities(const char *dir, void (*bad)(void *context, const char *what), void *context,
                                       struct error *err);
/* The block codec, for tests and fuzzing. encode: count >= 1. decode: ERR_CORRUPT on anything unexpected. */
MUST_USE bool block_encode(const struct event *events, size_t count, struct buf *out, struct error *err);
MUST_USE bool block_decode(struct arena *arena, slice bytes, struct event **events, size_t *count, struct error *err);

/* ---- corrections: kept beside the journal, by the number of the event that says so ---- */
struct correction_row {
  uint64_t number; /* of the correcting event */
  slice id, kind;  /* "void", "amend", "backfill" */
  uint64_t target; /* void, amend: the event that no longer counts; 0: a backfill */
  slice customer, meter;
  instant from, to; /* what it touches; a backfill: within it `meter` no longer counts earlier events */
  uint64_t last;    /* a backfill's own events follow its number up to here, and count for `meter` alone */
};
MUST_USE bool correction_keep(struct db *db, const struct correction_row *row, struct error *err);
typedef bool (*correction_each)(void *context, const struct correction_row *row, struct error *err);
/* Newest first; of one customer unless empty; numbered below `before` unless 0. */
MUST_USE bool correction_list(struct db *db, slice customer, uint64_t before, size_t limit, correction_each each,
                              void *context, struct error *err);
/* Does a correction take out event `number` already? */
MUST_USE bool correction_of(struct db *db, uint64_t number, bool *found, struct error *err);

/* ---- usage: what the meters say, by customer, meter, dimensions and hour (UTC), cut also where the caller asks ----
 */
struct usage_row {
  const struct meter *meter;
  slice customer;
  const slice *dimensions; /* parallel to meter->dimensions; empty = absent */
  instant from, to;        /* one hour or, at a cut, less */
  quantity value;          /* raw (INTEGRAL: value x seconds); UNIQUE: values first seen here, so that hours add up */
  uint32_t events;
};
struct usage; /* a builder that ends as sorted rows */
struct usage *usage_new(const struct catalog *catalog);
void usage_free(struct usage *usage);
/* Events of this customer count within `period`; rows do not cross `cuts` (sorted, inside the period). An empty
 * customer id is the default for all customers without a window of their own; without any, others are counted as
 * `outside`. */
void usage_window(struct usage *usage, slice customer, struct period period, const instant *cuts, size_t cut_count);
/* Levels still open end here if that is before the end of the window: what has not happened yet is not usage. */
void usage_until(struct usage *usage, instant until);
/* Copies what it needs. Order of events does not matter: the result depends on the set alone. */
MUST_USE bool usage_add(struct usage *usage, const struct event *e, struct error *err);
/* Before any window: the digests of events are not taken, which is most of the work of a scan. */
void usage_without_evidence(struct usage *usage);
/* Adds what the journal holds up to event `position` (0: the last), corrections up to there applied. Whole hours come
 * from the aggregates that rollup_update keeps, where no evidence is wanted; the result is the same. */
MUST_USE bool usage_load(struct usage *usage, struct db *db, uint64_t position, struct error *err);
/* Adds only the events after..until, before any correction. Levels are not integrated: each change of one is told
 * instead. Whose usage was corrected meanwhile usage_corrected says: it is to be loaded anew. */
typedef void (*usage_level_each)(void *context, slice customer, const struct meter *meter, instant time);
MUST_USE bool usage_load_new(struct usage *usage, struct db *db, uint64_t after, uint64_t until, usage_level_each each,
                             void *context, struct error *err);
typedef void (*usage_corrected_each)(void *context, slice customer);
MUST_USE bool usage_corrected(struct db *db, uint64_t after, uint64_t until, usage_corrected_each each, void *context,
                              struct error *err);
/* The same from the events alone. */
MUST_USE bool usage_from_events(struct usage *usage, struct db *db, uint64_t position, struct error *err);
/* The kept aggregates follow the journal in two steps: prepared on any connection while the writer goes on, then
 * written inside the writer's transaction. One at a time; made anew when the catalog's meters have changed. */
extern const struct db_migration rollup_migrations[];
extern const size_t rollup_migration_count;
/* Where they stand: the number of an event; 0 when there are none or the meters have changed since. */
MUST_USE bool rollup_position(struct db *db, const struct catalog *catalog, uint64_t *out, struct error *err);
struct rollup;
/* `*out` is NULL when they lag less than `lag_min` events behind; otherwise some millions of events further. */
MUST_USE bool rollup_prepare(struct db *db, const struct catalog *catalog, uint64_t lag_min, struct rollup **out,
                             struct error *err);
MUST_USE bool rollup_write(struct db *db, const struct rollup *rollup, struct error *err);
void rollup_free(struct rollup *rollup);
/* Reads all usage up to `now` both ways and names the customers whose aggregates differ. */
MUST_USE bool rollup_check(struct db *db, const struct catalog *catalog, instant now,
                           void (*bad)(void *context, const char *what), void *context, struct error *err);
/* What the series of an integral meter stood at just before `at` (`unchanged`: without those that change at it): events
 * that would set these levels again, without id, source and time. Before usage_finish. In the arena. */
MUST_USE bool usage_levels(struct usage *usage, struct arena *arena, const struct meter *meter, instant at,
                           bool unchanged, struct event **events, size_t *count, struct error *err);
/* The events that count for one meter of a customer between `from` and `before`, as the journal stood at event
 * `position` (0: the last), corrections applied, by number. `value` is what the event says (COUNT, UNIQUE: 1);
 * `dimensions` are parallel to the meter's. For showing what is behind an amount. */
struct usage_events {
  slice customer;
  const struct meter *meter;
  uint64_t position;
  instant from, before;
};
typedef bool (*usage_event_each)(void *context, const struct event *e, const struct arrival *arrival,
                                 const slice *dimensions, quantity value, struct error *err);
MUST_USE bool usage_events_behind(struct db *db, const struct catalog *catalog, const struct usage_events *wanted,
                                  usage_event_each each, void *context, struct error *err);
/* Sorts and closes; rows by customer, meter, dimensions, from. Owned by `usage`. Levels still open run to the end of
 * the period. */
MUST_USE bool usage_finish(struct usage *usage, const struct usage_row **rows, size_t *count, struct error *err);
/* How the rows of one customer, meter and dimension set combine over a longer time: adds, or max/min/latest. */
MUST_USE bool usage_combine(enum aggregation aggregation, quantity *into, quantity next, bool first, struct error *err);
struct usage_note {
  slice what;
  uint64_t events;
}; /* "type x: no meter", "customer y: unknown" */
const struct usage_note *usage_unmetered(const struct usage *usage, size_t *count);
/* Order-independent digest and count of one customer's events that fall in its window (invoice evidence). */
void usage_evidence(const struct usage *usage, slice customer, uint64_t *events, char digest_hex[65]);
#endif
