/* Inside meter: the registry of identities of a journal. (source, id) is decided exactly and for ever in bounded
 * memory: recent events in a table (at most 24 bytes each), older ones in sealed runs of sorted fingerprints on disk,
 * each with a filter in memory (at most 2 bytes an event). A fingerprint only says where to look: the stored event
 * decides. Runs are a cache of the journal: what is missing or damaged is built again from it. docs/journal.md.
 */
#ifndef METERHOUSE_METER_REGISTRY_H
#define METERHOUSE_METER_REGISTRY_H
#include "meter/meter.h"

#define REGISTRY_WINDOW_EVENTS (1u << 20)
#define REGISTRY_WINDOWS_MAX 8 /* the recent table grows up to this many windows while a run is being sealed */
#define REGISTRY_FANOUT 4      /* runs of one size that are merged into one */
#define REGISTRY_RUNS_MAX 256

struct registry_hooks {
  /* How the stored event `number` compares with `e`: ACCEPTED another identity, DUPLICATE the same, CONFLICT the same
   * with other content. */
  bool (*compare)(void *context, uint64_t number, const struct event *e, enum verdict *out, struct error *err);
  /* `e` is taken as the next number. */
  void (*accept)(void *context, const struct event *e);
  /* Calls registry_replay for the events first..last in their order. */
  bool (*replay)(void *context, uint64_t first, uint64_t last, struct registry *registry, struct error *err);
  void *context;
};
/* `dir`: where runs are kept, made when missing. `kept`: events in the journal, numbered from 1. */
MUST_USE bool registry_open(const char *dir, const uint8_t key[16], const struct journal_options *options,
                            const struct registry_hooks *hooks, uint64_t kept, struct registry **out,
                            struct error *err);
void registry_close(struct registry *r);
/* A run that turns out to be damaged is built again from the journal on the spot. */
MUST_USE bool registry_decide(struct registry *r, const struct event *events, size_t count, enum verdict *verdicts,
                              struct error *err);
/* The number of the event with this identity; 0 when there is none. */
MUST_USE bool registry_find(struct registry *r, slice source, slice id, uint64_t *number, struct error *err);
MUST_USE bool registry_replay(struct registry *r, slice source, slice id, struct error *err);
void registry_done(struct registry *r);
void registry_undo(struct registry *r);
uint64_t registry_count(const struct registry *r);
void registry_memory(const struct registry *r, struct journal_memory *out);
uint64_t registry_fingerprint(const uint8_t key[16], slice source, slice id);

/* ---- the recent table: open addressing, fingerprints beside offsets ---- */
struct recent {
  uint64_t first;   /* number of the event at offset 0 */
  uint64_t *prints; /* 0: empty */
  uint32_t *offsets;
  size_t capacity, count;
};
void recent_init(struct recent *w, uint64_t first);
void recent_free(struct recent *w);
size_t recent_home(const struct recent *w, uint64_t print);
/* Slots that hold `print`, one after the other: `*at` begins with recent_home; false when there is no more. */
bool recent_next(const struct recent *w, uint64_t print, size_t *at, uint32_t *offset);
void recent_add(struct recent *w, uint64_t print, uint32_t offset);
void recent_remove(struct recent *w, uint64_t print, uint32_t offset);

/* ---- a sealed run: events first..last ---- */
#define PRINT_BITS 48 /* of the fingerprint are kept in a run, the upper ones */
struct run_entry {
  uint64_t print; /* PRINT_BITS wide */
  uint32_t offset;
};
struct run {
  char *path;
  int file;
  uint64_t first, last, last_print;
  uint32_t count, page_count, filter_blocks;
  uint64_t *filter;          /* 8 words a block */
  uint32_t *starts, *checks; /* first entry and checksum of each page */
  uint64_t entries_at;
};
/* Sorted entries come from `next`; the file appears whole or not at all. */
typedef bool (*run_next)(void *context, struct run_entry *out, struct error *err);
struct run_making {
  const char *dir;
  uint64_t first, last, last_print, key_check;
  uint32_t count;
  run_next next;
  void *context;
};
MUST_USE bool run_make(const struct run_making *making, struct run **out, struct error *err);
MUST_USE bool run_load(const char *path, uint64_t key_check, struct run **out, struct error *err);
/* Reads all of a run, whichever book it is of. */
MUST_USE bool run_check(const char *path, struct error *err);
void run_close(struct run *run);
void run_remove(struct run *run); /* closes and deletes the file */
void run_prefetch(const struct run *run, uint64_t print);
bool run_maybe(const struct run *run, uint64_t print);
/* Offsets of the entries with this print, of which there is room for far more than there can be; ERR_CORRUPT when the
 * page does not hold its checksum. */
MUST_USE bool run_find(const struct run *run, uint64_t print, uint32_t *offsets, size_t room, size_t *count,
                       struct error *err);
/* Reads a run from its first entry to its last. */
struct run_reader {
  const struct run *run;
  uint32_t page, at, count;
  uint8_t *bytes;
  size_t room;
};
MUST_USE bool run_read(struct run_reader *reader, struct run_entry *out, bool *end, struct error *err);

/* ---- sealing, on a thread of its own ---- */
struct seal;
/* Reads `window` and the runs there are, which stay as they are until seal_end; merges the last runs when enough are of
 * a size. `wait`: done when it returns. */
struct seal *seal_start(const char *dir, uint64_t key_check, const struct recent *window, struct run *const *runs,
                        size_t run_count, bool wait);
bool seal_finished(const struct seal *s);
/* Waits for it. `*run` stands for the window and the last `*merged` runs; NULL with err when it failed. */
bool seal_end(struct seal *s, struct run **run, size_t *merged, struct error *err);
#endif
