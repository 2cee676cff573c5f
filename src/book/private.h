/* Inside book: the opened directory. */
#ifndef METERHOUSE_BOOK_PRIVATE_H
#define METERHOUSE_BOOK_PRIVATE_H
#include "base/hash.h"
#include "book/book.h"
#include <pthread.h>
#include <stdatomic.h>

#define BOOK_MAGIC 0x4d48424bu

/* Never changed once it is in the map: a change puts another in its place. */
struct stored_key {
  struct key_info info;
  uint8_t hash[32];
};

struct book {
  uint32_t magic;
  enum book_mode mode;
  char *dir;
  int lock_file;
  struct db *db;
  struct catalog *catalog;
  bool owns_catalog;
  struct journal *journal;
  struct ledger *ledger;
  struct arena *key_arena;
  pthread_mutex_t key_lock;             /* edge threads check keys while the core makes them */
  struct map keys;                      /* of stored_key by id */
  VEC(struct stored_key *) staged_keys; /* of the open batch */
  struct book_stats uncounted;          /* of the open batch */
  VEC(struct catalog *) versions;       /* earlier ones that were asked for */
  VEC(uint64_t) numbers;                /* of an export: what its events are numbered by in the documents, ascending */
};
/* Where in this book's journal the event of that number stands, or the last before it; 0: before the first. */
uint64_t book_place(const struct book *book, uint64_t number);
/* The folder of an export. */
#define EXPORT_VERSION 1
#define EXPORT_MANIFEST "export.json"
#define EXPORT_EVENTS "events.ndjson"
#define EXPORT_NUMBER "number"
#define EXPORT_MANIFEST_BYTES_MAX ((size_t)256 << 20)

MUST_USE bool counts_flush(struct book *book, struct error *err);
/* Counts by upper bound, the last one unbounded. */
#define HISTOGRAM_BOUNDS_MAX 12
struct histogram {
  uint64_t bounds[HISTOGRAM_BOUNDS_MAX];
  size_t bound_count;
  _Atomic uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1], sum;
};
void histogram_add(struct histogram *h, uint64_t value);
struct core_figures {
  _Atomic size_t queued, queued_bytes;
  _Atomic uint64_t refused;
  struct histogram commit_us, batch_commands, batch_events;
};
void core_figures_start(struct core_figures *f);
struct core_figures *core_figures_of(struct core *core);

/* ---- versions.c ---- */
/* Keeps the files of the catalog in use, in a transaction of its own; `*fresh` when the book had not seen them. */
MUST_USE bool versions_keep(struct book *book, bool *fresh, struct error *err);
/* Warns of what the catalog in use would have charged in periods invoiced under another. */
MUST_USE bool look_back(struct book *book, struct error *err);
/* The catalog with that digest (empty: the one in use); lives as long as the book. */
MUST_USE bool versions_find(struct book *book, slice digest, const struct catalog **out, struct error *err);
void versions_free(struct book *book);

MUST_USE bool keys_load(struct book *book, struct error *err);
void keys_free(struct book *book);
/* Has what the batch wrote of this key count once it is committed. */
MUST_USE bool keys_stage(struct book *book, slice id, struct error *err);
void keys_done(struct book *book);
void keys_undo(struct book *book);
/* As the store has it, the open batch included; ERR_NOT_FOUND. */
MUST_USE bool keys_fetch(struct book *book, struct arena *arena, slice id, struct stored_key **out, struct error *err);
/* ---- key_terms.c ---- */
/* Fills in what a request left open and checks the whole. */
MUST_USE bool key_terms_settle(const struct key_request *request, struct key_terms *out, struct error *err);
/* May a key of these terms come from one of `bounds`? ERR_DENIED names what is wider. */
MUST_USE bool key_terms_within(const struct key_terms *terms, const struct key_terms *bounds, struct error *err);
/* Columns from `first` on, as KEY_TERMS_COLUMNS names them. */
#define KEY_TERMS_COLUMNS                                                                                              \
  "scopes, project, models, expires, requests_a_minute, tokens_a_minute, concurrency, spend_limit, spend_per"
MUST_USE bool key_terms_read(struct arena *arena, const struct db_row *row, int first, struct key_terms *out,
                             struct error *err);
slice key_models_text(struct arena *arena, const struct key_terms *terms);
/* As book_rate, over the journal up to event `position` (0: all of it), as of a given time. */
struct rate_request {
  slice customer, period;
  const struct customer *const *some; /* by id; these alone, whatever `customer` says */
  size_t some_count;
  uint64_t position;
  instant as_of;
  const struct catalog *catalog; /* NULL: the one in use */
  bool no_events;                /* as of before the first event: of fees alone, whatever `position` says */
  bool no_evidence;              /* no invoice is to be made of it */
  bool from_events;              /* past the kept aggregates */
};
MUST_USE bool rate_at(struct book *book, const struct rate_request *request, struct rating_set *out, struct error *err);
/* Keeps the aggregates near the end of the journal while the core runs. Stopped before the core. */
struct keeper *keeper_start(struct book *book, struct core *core);
void keeper_stop(struct keeper *keeper);
/* Adds to the ratings of a period what came in for invoiced periods since, of the customers the request is about. */
MUST_USE bool adjust(struct book *book, const struct rate_request *request, struct rating_set *set, struct error *err);
/* `more` NULL: a member without charges. */
MUST_USE bool rating_join(struct arena *arena, struct rating *payer, const struct customer *child,
                          const struct rating *more, struct error *err);
/* What an invoice is to be made of: the ratings as of now with their adjustments. */
MUST_USE bool rate_due(struct book *book, const struct customer *const *some, size_t count, slice period,
                       struct rating_set *out, struct error *err);
/* close.c: inside a batch, finalizes the invoice of one rating, unless it exists. */
MUST_USE bool finalize_rating(struct book *book, struct rating_set *set, const struct rating *rating,
                              struct close_result *out, struct error *err);

/* Settings that are times: "due_until", "test_clock". */
MUST_USE bool setting_instant(struct book *book, const char *name, instant *out, bool *found, struct error *err);
MUST_USE bool setting_keep_instant(struct book *book, const char *name, instant value, struct error *err);

/* ---- scheduler.c ---- */
struct scheduler *scheduler_start(struct book *book, struct core *core);
void scheduler_stop(struct scheduler *scheduler);
/* The same adjustments as a document names them, worked out again. */
MUST_USE bool adjust_again(struct book *book, struct rating_set *set, struct rating *rating,
                           const struct adjustment_span *spans, size_t count, struct error *err);
/* check.c: every invoice that stands derived again from its events, openings from their catalogs. */
MUST_USE bool check_invoices_again(struct book *book, told *bad, void *context, uint64_t *problems, struct error *err);
const char *book_path(const struct book *book, struct arena *arena, const char *name);
#endif
