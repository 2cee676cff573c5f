/* Inside pull: samples of an exposition, targets and rules, remembered series, and a scrape on its way to events. */
#ifndef METERHOUSE_PULL_PRIVATE_H
#define METERHOUSE_PULL_PRIVATE_H
#include "base/hash.h"
#include "base/time.h"
#include "pull/pull.h"

#define PULL_BODY_BYTES_MAX (16u << 20)
#define PULL_HEADER_BYTES_MAX (64u << 10)
#define PULL_SAMPLES_MAX 200000
#define PULL_LABELS_MAX 64
#define PULL_LABEL_BYTES_MAX EVENT_VALUE_BYTES_MAX
#define PULL_SERIES_BYTES_MAX 4096
#define PULL_SERIES_MAX 100000 /* remembered of one target */
#define PULL_TARGETS_MAX 1000
#define PULL_RULES_MAX 200
#define PULL_ENTRIES_MAX 10000 /* of a map of customers, a list of values */
#define PULL_RULE_BYTES_MAX (2 * EVENT_ATTRIBUTE_BYTES_MAX + 16)
#define PULL_FILE_BYTES_MAX ((size_t)8 << 20)
#define PULL_NAME_BYTES_MAX 64
#define PULL_ABSENT_INTERVALS 5 /* out of reach for so long, a gauge of `absent: zero` ends */

/* ---- exposition.c: Prometheus text 0.0.4 and OpenMetrics 1.0 ---- */
struct sample_label {
  slice name, value; /* unescaped */
};
struct sample {
  slice metric;
  const struct sample_label *labels; /* by name */
  size_t label_count;
  slice value; /* as written */
  size_t line;
};
struct exposition {
  const struct sample *samples;
  size_t count;
};
/* All or nothing: a line that is wrong, a last line without its end, or (OpenMetrics) a missing "# EOF" is ERR_INVALID
 * "line N: reason". Timestamps and exemplars are checked and left. */
MUST_USE bool exposition_parse(struct arena *arena, slice text, bool open_metrics, struct exposition *out,
                               struct error *err);
/* A written value to 1e-9, cut towards zero beyond that. False: NaN, infinite or over 1e20. */
MUST_USE bool sample_quantity(slice text, quantity *out);
slice sample_label_value(const struct sample *s, slice name); /* empty when absent */
/* metric{a="x",b="y"}: the same text for the same series, however it was written. */
slice sample_series(struct arena *arena, slice metric, const struct sample *s);

/* ---- targets.c ---- */
struct pull_pair {
  slice from, to; /* label and dimension; label value and customer; field and text */
};
struct pull_match {
  slice label;
  const slice *values;
  size_t count;
};
struct pull_rule {
  slice metric, type, field, series_field;
  slice key; /* "counter type.field" */
  bool gauge, absent_zero, new_from_zero;
  slice customer, customer_label; /* one of them */
  bool has_table;
  struct map table; /* label value -> slice of the customer */
  const struct pull_match *matches;
  size_t match_count;
  const struct pull_pair *dimensions, *constants;
  size_t dimension_count, constant_count;
};
struct pull_target {
  slice name, host, path; /* NUL-terminated */
  uint16_t port;
  duration interval, timeout;
  slice bearer_file; /* NUL-terminated; empty: none */
  const struct pull_rule *rules;
  size_t rule_count;
};
struct pull_targets {
  struct arena *arena;
  VEC(struct pull_rule *) made; /* every list of rules, for their tables */
  VEC(size_t) made_counts;
  const struct pull_target *items;
  size_t count;
};

/* ---- state.c: what is remembered of a target ---- */
struct series {
  slice rule, key;
  bool known, gauge;
  quantity value;
  instant time;
  bool has_created;
  quantity created;
  char *level_event;                /* owned */
  const struct pull_rule *taken_by; /* in the scrape numbered `seen` */
  uint64_t seen;
};
struct target_state {
  slice name;
  const struct pull_target *target; /* NULL: no longer in the file */
  struct arena *arena;
  struct map table; /* "rule\nkey" -> struct series */
  VEC(struct series *) series;
  bool has_last_good;
  instant last_good;
  uint64_t scrape; /* number of the one under way */
};
struct target_state *state_new(slice name, const struct pull_target *target);
void state_free(struct target_state *state);
/* The place of a series, made when it is new; NULL when the target has too many. */
struct series *state_place(struct target_state *state, slice rule, slice key);
/* One state a target of the file, in its order, then one for each remembered target that is not in it any more. */
struct states {
  VEC(struct target_state *) items;
};
MUST_USE bool states_load(struct db *db, const struct pull_targets *targets, struct states *out, struct error *err);
void states_free(struct states *states);

/* ---- judge.c, levels.c: samples and memory in, events and new memory out; no clock, no network, no store ---- */
struct judged_row {
  struct series *series;
  struct pull_row row;
};
struct judged {
  struct arena *arena;
  VEC(struct event) events;
  VEC(struct judged_row) rows;
  uint64_t samples, matched, unmatched, unreadable, resets;
  duration gap; /* between this good scrape and the one before, when one was missed */
};
void judged_free(struct judged *j);
/* A scrape that went well. */
MUST_USE bool judge_scrape(struct target_state *state, const struct exposition *text, instant at, struct judged *out,
                           struct error *err);
/* Levels of series that were not in the scrape now under way go to zero. */
MUST_USE bool levels_vanish(struct target_state *state, instant at, struct judged *out, struct error *err);
/* Levels of rules with `absent: zero` go to zero when the target was last seen too long before `now`. */
MUST_USE bool levels_absent(struct target_state *state, instant now, struct judged *out, struct error *err);
/* The row of a level that ends at `at`. */
MUST_USE bool level_end(struct target_state *state, struct series *series, instant at, struct judged *out,
                        struct error *err);
/* 32 hex digits that tell this event of the target from every other one. */
slice event_id(struct arena *arena, slice rule, slice series, slice subject, instant at, quantity from, quantity to);
slice event_source(struct arena *arena, slice target);
/* Hands the outcome to the writer in steps, and remembers what stands. `refused` counts events the book did not take.
 */
MUST_USE bool judged_write(struct target_state *state, const struct judged *j, bool good, instant at,
                           const struct pull_writer *writer, uint64_t *refused, struct error *err);

/* ---- fetch.c: one GET ---- */
struct event_base;
struct evdns_base;
struct fetch;
struct fetch_answer {
  slice body; /* lives until the call returns */
  bool open_metrics;
  const struct error *failure; /* NULL: it went well */
};
/* Calls `done` exactly once, later, unless fetch_cancel comes first; then it frees itself. */
struct fetch *fetch_start(struct event_base *base, struct evdns_base *dns, const struct pull_target *target,
                          void (*done)(void *context, const struct fetch_answer *answer), void *context);
void fetch_cancel(struct fetch *fetch);

/* ---- metrics.c ---- */
struct target_figures {
  slice name;
  bool tried, up;
  instant last_success, unknown_since;
  uint64_t scrapes, failures, samples, matched, unmatched, unreadable, resets, gaps, gap_seconds, events, refused;
};
void figures_print(const struct target_figures *figures, size_t count, struct buf *out);
#endif
