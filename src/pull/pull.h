/* Pull: counters and gauges of Prometheus exporters become usage events with stable ids. Counter resets, missed scrapes
 * and crashes neither lose nor double anything; what could not be seen is said. docs/pull.md describes the targets file
 * and what each kind of series means. */
#ifndef METERHOUSE_PULL_PULL_H
#define METERHOUSE_PULL_PULL_H
#include "meter/meter.h"

/* ---- the targets file ---- */
struct pull_targets;
/* ERR_INVALID "FILE:LINE: path: reason"; every key that is not known is an error. */
MUST_USE bool pull_targets_load(const char *path, struct pull_targets **out, struct error *err);
/* From text (tests, fuzzing); `name` is what errors call the file. */
MUST_USE bool pull_targets_parse(const char *name, slice text, struct pull_targets **out, struct error *err);
void pull_targets_free(struct pull_targets *targets); /* NULL is fine */
/* Tells what is likely not meant: events that no meter of the catalog counts, levels that a meter would add up,
 * customers that are not in it. */
void pull_targets_check(const struct pull_targets *targets, const struct catalog *catalog, told *note, void *context);

/* ---- one scrape, as it goes into the book ---- */
#define PULL_NO_EVENT SIZE_MAX
/* What is remembered of a series. */
struct pull_row {
  slice rule, series; /* "counter type.field", and the series in canonical text: metric{label="value",...} */
  bool gauge;
  quantity value;
  instant time; /* counter: when it last rose; gauge: of its last level event */
  bool has_created;
  quantity created;  /* counter: seconds since 1970 at which its exporter says it began */
  slice level_event; /* gauge: its last level event as JSON, so that it can be ended later */
  size_t event;      /* index of the event it goes with, or PULL_NO_EVENT */
};
struct pull_step {
  slice target;
  const struct event *events;
  size_t event_count; /* at most EVENT_BATCH_MAX */
  const struct pull_row *rows;
  size_t row_count;
  bool good;    /* the target answered and this is the last step of that scrape */
  instant when; /* of the scrape */
};
/* Stores the rows without an event and those whose event stood; inside the transaction that took the events. */
MUST_USE bool pull_step_keep(struct db *db, const struct pull_step *step, const bool *stood, struct error *err);

extern const struct db_migration pull_migrations[];
extern const size_t pull_migration_count;

/* ---- running ---- */
/* Whoever owns the book's writer. `write` keeps events and rows (by pull_step_keep) in one durable step and waits for
 * it; stood[i] tells whether event i is in the book, now or since before. Called on pull's own thread. */
struct pull_writer {
  bool (*write)(void *context, const struct pull_step *step, bool *stood, struct error *err);
  void *context;
};
struct pull;
/* Reads what is remembered from `db`, then scrapes on a thread of its own. `targets` must outlive it. */
MUST_USE bool pull_start(const struct pull_targets *targets, struct db *db, const struct pull_writer *writer,
                         struct pull **out, struct error *err);
/* What was seen and what was not, as Prometheus text; from any thread. */
void pull_metrics(struct pull *pull, struct buf *out);
void pull_stop(struct pull *pull); /* the writer must still be working */
#endif
