/* Inside meter: what its files ask of each other. */
#ifndef METERHOUSE_METER_PRIVATE_H
#define METERHOUSE_METER_PRIVATE_H
#include "base/hash.h"
#include "meter/meter.h"

#define METERS_OF_TYPE_MAX 64

/* Sorts by name; a name that is there twice is an error. */
MUST_USE bool event_sort_fields(struct event_field *fields, size_t count, struct error *err);
MUST_USE bool event_check_attribute(const char *name, slice value, struct error *err);
bool meter_filter_passes(const struct meter *meter, const struct event *e);
/* Does the event leave out a value that the meter can do without? */
bool meter_value_left_out(const struct meter *meter, const struct event *e);
MUST_USE bool meter_value(const struct meter *meter, const struct event *e, quantity *out, struct error *err);

/* ---- reading files: a batch on its way to the caller ---- */
struct event_batch {
  const struct event_reader_hooks *hooks;
  const char *path;
  struct arena *arena; /* of the events of this batch */
  struct event *events;
  uint64_t *lines;
  size_t count;
};
MUST_USE bool batch_add(struct event_batch *batch, const struct event *e, uint64_t line, struct error *err);
MUST_USE bool batch_refuse(struct event_batch *batch, uint64_t line, const struct error *why, struct error *err);
MUST_USE bool batch_flush(struct event_batch *batch, struct error *err);
struct file_reader;
MUST_USE bool read_ndjson(struct file_reader *file, struct event_batch *batch, instant now, struct error *err);
MUST_USE bool read_json_array(struct file_reader *file, struct event_batch *batch, instant now, struct error *err);
MUST_USE bool read_csv(struct file_reader *file, const struct csv_map *map, struct event_batch *batch,
                       struct error *err);

/* ---- the CSV map, compiled ---- */
struct csv_expression; /* exact decimals over columns: + - * / ( ) */
MUST_USE bool expression_parse(struct arena *arena, slice text, struct csv_expression **out, struct error *err);
/* Puts each column's index into the expression; ERR_INVALID names one that is not in the header. */
MUST_USE bool expression_bind(struct csv_expression *e,
                              bool (*find)(void *context, slice column, size_t *index, struct error *err),
                              void *context, struct error *err);
MUST_USE bool expression_value(const struct csv_expression *e, const slice *fields, size_t field_count, quantity *out,
                               struct error *err);

enum source_kind { SOURCE_NONE, SOURCE_COLUMN, SOURCE_CONSTANT, SOURCE_EXPRESSION };
struct csv_source {
  enum source_kind kind;
  slice text; /* column name or constant */
  size_t column;
  slice suffix;
  struct csv_expression *expression;
};
enum time_form { TIME_AUTO, TIME_SECONDS, TIME_MILLISECONDS, TIME_NANOSECONDS };
struct csv_field {
  slice name;
  struct csv_source source;
};
struct csv_event {
  struct csv_source type, customer, id, time;
  enum time_form form;
  instant origin;
  struct csv_field *fields;
  size_t field_count;
};
struct csv_map {
  struct arena *arena;
  slice source; /* empty: file:<name of the file> */
  char separator;
  const char *zone;
  slice *skip_if_empty;
  size_t skip_count;
  struct csv_event *events;
  size_t event_count;
};

/* ---- corrections ---- */
struct correction {
  uint64_t number; /* of the correcting event */
  uint64_t target; /* the event taken out; 0: a backfill, which takes out a meter's usage of a stretch of time */
  slice customer;
  const struct meter *meter;
  instant from, to;
  uint64_t last; /* a backfill's own events are number + 1 .. last: they count for its meter alone */
};
struct corrections {
  VEC(struct correction) items; /* backfills first, then by target */
  size_t backfills;
};
/* Those whose events have numbers after..until (0: the last). */
MUST_USE bool corrections_load(struct arena *arena, struct db *db, const struct catalog *catalog, uint64_t after,
                               uint64_t until, struct corrections *out, struct error *err);
void corrections_free(struct corrections *c);
/* Does event `number` not count for this meter? */
bool corrections_hide(const struct corrections *c, uint64_t number, slice customer, const struct meter *meter,
                      instant time);

/* ---- usage ---- */
struct usage_bin {
  instant from, to;
  quantity value;
  uint32_t events;
};
struct usage_latest {
  instant time;
  uint64_t tie;
}; /* of the value that stands in the bin beside it */
/* All rows of one customer, meter and dimension set, by time. */
struct usage_set {
  const struct meter *meter;
  slice customer;
  const slice *dimensions;
  struct window *window;
  VEC(struct usage_bin) bins;
  VEC(struct usage_latest) latest; /* AGG_LATEST only, a bin each */
  size_t last;
};
struct window {
  slice customer;
  struct period period;
  const instant *cuts;
  size_t cut_count;
  uint64_t evidence_events;
  uint64_t evidence[4];
  bool wants_evidence;
  VEC(instant) by_event; /* hours, sorted, that are read from events where others come from kept aggregates */
};
struct level_change {
  const struct meter *meter;
  slice customer, series;
  const slice *dimensions;
  instant time;
  quantity level;
  uint64_t tie, number;
  struct digest digest;
  struct window *window;
};
struct first_sight {
  struct usage_set *set;
  slice value;
  instant time;
};
struct usage {
  const struct catalog *catalog;
  struct arena *arena;
  struct map windows, sets, notes, sights, series_names;
  struct window *default_window;
  VEC(struct usage_set *) all_sets;
  VEC(struct level_change) changes;
  VEC(struct first_sight *) all_sights;
  VEC(struct usage_note) note_list;
  struct usage_row *rows;
  size_t row_count;
  struct buf key;
  instant until;
  bool finished, no_evidence;
  bool whole_hours;   /* for keeping: nothing is cut, first sights are told hour by hour */
  bool only_by_event; /* only what windows ask of events, and only_between */
  struct period only_between;
  struct corrections corrections;
};
struct window *usage_window_of(const struct usage *usage, slice customer); /* NULL when there is none */
static inline bool window_holds(const struct window *w, instant t) {
  return t.ns >= w->period.from.ns && t.ns < w->period.to.ns;
}
MUST_USE bool usage_add_to(struct usage *usage, const struct meter *meter, struct window *w, const struct event *e,
                           uint64_t number, struct error *err);
void usage_note(struct usage *usage, slice what, uint64_t events);
/* An empty builder with the same windows and corrections, and taking in what it has become. Without evidence only. */
struct usage *usage_twin(const struct usage *usage);
MUST_USE bool usage_absorb(struct usage *usage, const struct usage *twin, struct error *err);
void usage_add_sight(struct usage *usage, struct usage_set *set, slice value, instant t);
/* Finds the set and the series of a change of level, and keeps it. `change->series` is what the event says. */
void usage_add_change(struct usage *usage, const struct level_change *change, slice customer, const slice *dimensions);
void usage_add_evidence(struct window *w, const struct event *e);
static inline bool usage_hides(const struct usage *usage, uint64_t number, slice customer, const struct meter *meter,
                               instant time) {
  return usage->corrections.items.count > 0 && corrections_hide(&usage->corrections, number, customer, meter, time);
}
void usage_whole_hours(struct usage *usage); /* makes it a builder for keeping, of all customers and all time */
void usage_only(struct usage *usage, slice customer, struct period period); /* ... of one, and of whole hours */
bool window_asks_events(const struct window *w, instant t);
bool window_takes_hour(const struct window *w, instant hour);
/* The columns of a range, by the corrections set before. */
MUST_USE bool usage_scan_blocks(struct usage *usage, struct db *db, const struct journal_range *range,
                                struct error *err);
/* The same with the corrections up to `corrected`. */
MUST_USE bool usage_scan_as_of(struct usage *usage, struct db *db, const struct journal_range *range,
                               uint64_t corrected, struct error *err);
struct usage_set *usage_set_of(struct usage *usage, const struct meter *meter, slice customer, const slice *dimensions,
                               struct window *window);
void usage_set_reserve(struct usage_set *set, size_t more); /* room for so many more bins at once */
/* The bin that holds `t`: its hour, cut at the window's edges and cuts. */
struct usage_bin *usage_bin_of(struct usage_set *set, instant t);
MUST_USE bool usage_integrate(struct usage *usage, struct error *err);
void evidence_add(struct window *window, struct digest digest);
#endif
