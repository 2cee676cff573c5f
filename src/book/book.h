/* The book: one data directory opened as a whole (store, catalog, journal, ledger, invoices), with one writer at a
 * time. Commands change it inside batches; views read a snapshot beside the writer. docs/book.md describes the
 * directory. */
#ifndef METERHOUSE_BOOK_BOOK_H
#define METERHOUSE_BOOK_BOOK_H
#include "finance/finance.h"

struct book;
enum book_mode { BOOK_WRITE, BOOK_READ };
/* Opens DIR/book.db, makes it when it is missing (BOOK_WRITE). `catalog_path` NULL: the one remembered from the last
 * time, or DIR/catalog. BOOK_WRITE takes DIR/lock, waiting up to 10 s, then ERR_BUSY with the pid that holds it. */
MUST_USE bool book_open(const char *dir, const char *catalog_path, enum book_mode mode, struct book **out,
                        struct error *err);
void book_close(struct book *book);
/* A second, read-only connection of the same book for another thread; shares its catalog and must be closed before it.
 */
MUST_USE bool book_open_reader(const struct book *writer, struct book **out, struct error *err);
const struct catalog *book_catalog(const struct book *book);
struct db *book_db(struct book *book);
struct ledger *book_ledger(struct book *book);   /* BOOK_WRITE only */
struct journal *book_journal(struct book *book); /* BOOK_WRITE only */
const char *book_dir(const struct book *book);

/* ---- writing: everything between begin and commit is one durable step ---- */
MUST_USE bool book_begin(struct book *book, struct error *err);
MUST_USE bool book_commit(struct book *book,
                          struct error *err); /* on false all of the batch is undone, memory included */
void book_undo(struct book *book);
/* Merges small blocks and brings the kept aggregates up to the end of the journal, in transactions of its own.
 * Questions are answered right without it, only slower. */
MUST_USE bool book_aggregate(struct book *book, struct error *err);

struct ingest_result {
  enum verdict verdict;
  const char *reason; /* INVALID and CONFLICT: in the arena */
};
/* Checks against the catalog and appends. `results[i]` belongs to events[i]. */
MUST_USE bool book_ingest(struct book *book, struct arena *arena, const struct event *events, size_t count,
                          struct ingest_result *results, struct error *err);

/* The same for events that were checked against the catalog already, which must live until the batch is committed. */
MUST_USE bool book_append(struct book *book, const struct event *events, size_t count, enum verdict *verdicts,
                          struct error *err);
const char *book_why_conflict(struct arena *arena, const struct event *e); /* to tell a caller */

/* ---- corrections: docs/corrections.md ---- */
#define CORRECTION_ID_BYTES_MAX 64
struct correction_request {
  slice id; /* the caller's: the same again changes nothing */
  slice reason;
  enum correction_kind { CORRECT_VOID, CORRECT_AMEND, CORRECT_BACKFILL } kind;
  slice source, event_id;     /* VOID, AMEND: the event that no longer counts */
  const struct event *events; /* AMEND: the one that counts instead; its source and id are given to it. BACKFILL: all */
  size_t count;
  slice customer, meter; /* BACKFILL: within `range` only its events count for this meter of this customer */
  struct period range;
};
struct correction_effect {
  slice customer, period;
  const struct currency *currency;
  amount before, after; /* exact, before tax */
  bool invoiced;        /* then the difference comes as an adjustment on the next invoice, or as a credit note */
};
struct correction_result {
  slice id;
  uint64_t number; /* of the correcting event */
  bool repeated;   /* it was made before */
  const struct correction_effect *effects;
  size_t effect_count; /* of a preview */
};
/* Inside a batch. ERR_NOT_FOUND, ERR_CONFLICT or ERR_INVALID say what is wrong with it; then the batch must be undone.
 */
MUST_USE bool book_correct(struct book *book, struct arena *arena, const struct correction_request *request,
                           struct correction_result *out, struct error *err);
/* Outside of any: does it, looks at what comes of it, undoes it. */
MUST_USE bool book_correct_preview(struct book *book, struct arena *arena, const struct correction_request *request,
                                   struct correction_result *out, struct error *err);

/* Backfills that wait: `body` is the request as it came. Inside a batch. */
struct backfill {
  slice id, customer, state; /* "draft", "applied", "dropped" */
  instant created;
  slice body;
};
struct backfill_list {
  bool (*each)(void *context, const struct backfill *b, struct error *err);
  void *context;
};
MUST_USE bool backfill_create(struct book *book, slice id, slice customer, slice body, instant now, struct error *err);
MUST_USE bool backfill_each(struct book *book, slice id, slice after, size_t limit, const struct backfill_list *list,
                            struct error *err);
/* From draft to `state`; ERR_CONFLICT when it was decided otherwise before. */
MUST_USE bool backfill_decide(struct book *book, slice id, const char *state, struct error *err);

/* ---- reading: usage and ratings from the journal as it stands ---- */
/* What the meters say over a period; freed with rating_set_free. */
struct rating_set {
  struct arena *arena;
  struct usage *usage;
  const struct usage_row *rows;
  size_t row_count;
  struct rating *ratings;
  size_t rating_count; /* by customer, those with charges, unpriced usage or reservations in force */
  const struct rating *openings;
  size_t opening_count; /* by customer: what contracts that begin in the period charge in advance, invoiced then */
  const struct late_unpriced {
    const struct customer *customer;
    struct unpriced usage;
  } * late_unpriced; /* came in after its period's invoice, and no price takes it */
  size_t late_unpriced_count;
  uint64_t journal_position;
  instant as_of; /* levels still open were metered up to here */
};
/* As of now: a lease that still runs counts up to now, not to the end of the period.
 * Rates `customer` (empty: all) over a period named like "2026-10" (each customer in its own time zone). */
MUST_USE bool book_rate(struct book *book, slice customer, slice period, struct rating_set *out, struct error *err);
/* Totals of these customers alone (sorted by id) up to event `position` (0: the last); no invoice is made of them. */
MUST_USE bool book_rate_some(struct book *book, const struct customer *const *customers, size_t count, slice period,
                             uint64_t position, struct rating_set *out, struct error *err);
/* All customers from the events themselves, past every aggregate that is kept: what book_rate must agree with. */
MUST_USE bool book_rerate(struct book *book, slice period, struct rating_set *out, struct error *err);
void rating_set_free(struct rating_set *set);
/* The same from files alone, without a book: for `bill` and `verify`. */
struct rate_source {
  instant as_of;
  const char *const *files;
  size_t file_count;
  const struct csv_map *map;
};
struct rate_source_stats {
  uint64_t events, duplicates, conflicts, invalid;
};
MUST_USE bool files_rate(const struct catalog *catalog, const struct rate_source *source, slice customer, slice period,
                         void (*bad)(void *context, const char *what), void *context, struct rating_set *out,
                         struct rate_source_stats *stats, struct error *err);
/* Tells each kind of usage that no price took ("unpriced: customer ..") to `note`; returns their number. */
uint64_t rating_set_unpriced(const struct rating_set *set, void (*note)(void *context, const char *what),
                             void *context);
/* Openings and ratings in one list, in the set's arena. */
const struct rating *rating_set_all(const struct rating_set *set, size_t *count);
/* By id; NULL when there is none. */
const struct rating *rating_set_find(const struct rating_set *set, slice customer);
/* Joins ratings of customers with those of the parents who pay for them; `db` NULL: whatever was invoiced so far. The
 * ratings of a book come joined, those of files do not. */
MUST_USE bool rating_set_consolidate(struct rating_set *set, const struct catalog *catalog, struct db *db,
                                     struct error *err);
/* Joins the ratings of these members of a document with `payer`. */
MUST_USE bool rating_set_join(const struct rating_set *set, const struct catalog *catalog, const slice *members,
                              size_t count, struct rating *payer, struct error *err);
/* rate_opening of all of them, joined; the payer's own when it begins then. */
MUST_USE bool members_opening(struct arena *arena, const struct catalog *catalog, const struct customer *payer,
                              instant at, const slice *members, size_t count, struct rating *out, struct error *err);
/* Adds charges (an invoice's adjustments) to a rating and its total. */
MUST_USE bool rating_add_charges(struct arena *arena, struct rating *rating, const struct charge *more, size_t count,
                                 struct error *err);
/* A draft invoice of one rating of the set; `purse` NULL: from usage alone. */
MUST_USE bool rating_set_invoice(struct rating_set *set, const struct catalog *catalog, const struct rating *rating,
                                 const struct invoice_purse *purse, struct invoice *out, struct error *err);
/* The same with the credit that the customer has on the book at the time of the set: what finalizing would give. */
MUST_USE bool book_invoice(struct book *book, struct rating_set *set, const struct rating *rating, struct invoice *out,
                           struct error *err);
/* Makes that draft anew from the credit there is and finalizes it, tells "invoice.finalized" (and "invoice.paid" when
 * credit covers it), and asks for a top-up when little is left. Inside a batch. See invoice_finalize; a draft without
 * lines is left alone (*id empty), but nothing stays reserved for its usage. */
MUST_USE bool book_finalize(struct book *book, struct rating_set *set, const struct rating *rating, struct invoice *out,
                            bool *existed, slice *id, struct error *err);
/* What is due on credits by the clock: future grants become effective, expired ones are booked, top-ups are asked for.
 * Inside a batch; again at the same time it changes nothing. */
struct credit_run {
  size_t released, expired, top_ups; /* holds, credits, requests made */
};
MUST_USE bool book_credits_due(struct book *book, instant now, struct credit_run *out, struct error *err);
/* After credit of one customer was spent or ended: asks for a top-up if its rule says so. Inside a batch. */
MUST_USE bool book_credit_spent(struct book *book, slice customer, instant now, struct error *err);
/* note_create, and tells "invoice.finalized" for the note and "invoice.paid" for an invoice it settles. Inside a batch.
 */
MUST_USE bool book_credit_note(struct book *book, struct arena *arena, const struct note_request *request,
                               struct note_result *out, struct error *err);
/* Hourly rows for queries: period as instants, same for all customers; empty customer = all. `as_of` 0: now; otherwise
 * the state of the book as it was then. */
MUST_USE bool book_usage(struct book *book, slice customer, struct period period, instant as_of, struct rating_set *out,
                         struct error *err);

/* ---- closing ---- */
struct close_result {
  uint64_t invoices, already, empty, unpriced;
  uint64_t later; /* customers whose period of that name has not ended yet */
  struct close_sum {
    char currency[4];
    uint64_t invoices;
    amount subtotal, tax, total;
  } sums[8];
  size_t sum_count;
};
struct close_options {
  bool allow_unpriced;
  bool pdf;
  bool early; /* close before the period has ended */
};
/* Finalizes every customer's invoice of the period in one step each; repeatable: a second run finds them and changes
 * nothing. PDFs are written to DIR/invoices/NUMBER.pdf afterwards. Unpriced usage fails before anything is finalized
 * unless allowed. */
MUST_USE bool book_close_period(struct book *book, slice period, const struct close_options *options,
                                void (*note)(void *context, const char *what), void *context, struct close_result *out,
                                struct error *err);
/* Tells the webhooks that `type` (such as "invoice.finalized") happened to an invoice. Inside a batch. */
MUST_USE bool book_tell_invoice(struct book *book, const char *type, slice invoice, struct error *err);
/* Writes the PDF of a stored invoice when it is missing; returns its path in the arena. */
MUST_USE bool book_invoice_pdf(struct book *book, struct arena *arena, slice invoice_id, const char **path,
                               struct error *err);

/* ---- what falls due by itself: docs/schedule.md ---- */
/* Has `apply` done inside a durable batch; on another thread perhaps, but it returns when that is over. */
struct due_writer {
  bool (*write)(void *context, bool (*apply)(void *work, struct book *book, struct error *err), void *work,
                struct error *err);
  void *context;
};
struct due_writer book_due_writer(struct book *book); /* batches of this book's own */
struct due_notes {
  void (*note)(void *context, const char *what); /* NULL: to the log */
  void *context;
};
struct due_result {
  uint64_t invoices, held; /* finalized; held back because usage has no price */
  instant until;           /* all that fell due up to then is done */
};
/* Does what fell due since the last time up to `now`: invoices of periods that ended (where the catalog says
 * invoicing: {automatic: true}) and openings of contracts. Repeatable at any point. On a book with a test clock it
 * moves that clock from moment to moment up to `now`, and invoices are made in any case. */
MUST_USE bool book_run_due(struct book *reader, instant now, const struct due_writer *writer, struct due_notes notes,
                           struct due_result *out, struct error *err);
/* Gives a book that holds nothing yet a clock of its own, which moves only when book_run_due moves it. */
MUST_USE bool book_set_test_clock(struct book *book, instant t, struct error *err);
/* The time of the book's test clock; `*found` when it has one. */
MUST_USE bool book_test_clock(struct book *book, instant *out, bool *found, struct error *err);

/* ---- the whole ---- */
struct check_result {
  uint64_t events, invoices, accounts, problems;
};
/* Makes the kept aggregates anew from the events. */
MUST_USE bool book_rebuild(struct book *book, struct error *err);
/* Only what needs no more than the store, on a BOOK_READ one: for a book that is too damaged to be opened for writing.
 */
MUST_USE bool book_check_store(struct book *book, void (*bad)(void *context, const char *what), void *context,
                               struct check_result *out, struct error *err);
MUST_USE bool book_check(struct book *book, void (*bad)(void *context, const char *what), void *context,
                         struct check_result *out, struct error *err);

/* ---- why: docs/explain.md ---- */
struct explain_options {
  size_t events_max; /* how many hours and events are listed; all are counted */
  bool json;
};
/* How an amount of an invoice came to be. `what` is the number of a line: its trace, the hours of usage that its price
 * took, which sum to its quantity (ERR_CORRUPT otherwise), and the events behind them; or "total", "tax", "rounding".
 */
MUST_USE bool book_explain(struct book *book, const struct stored_invoice *invoice, slice what,
                           struct explain_options options, struct buf *out, struct error *err);
/* The same of what would be invoiced now. */
MUST_USE bool book_explain_draft(struct book *book, slice customer, slice period, slice what,
                                 struct explain_options options, struct buf *out, struct error *err);

/* ---- one customer's book to go: docs/explain.md ---- */
struct export_result {
  uint64_t events, corrections, invoices, voided; /* voided: those of the invoices that no longer stand */
  uint64_t differences;
};
/* Writes all that the customer's invoices are derived from into the folder `dir`, which is made: events with their
 * numbers, invoices, the part of each catalog that concerns it, and a list of these. ERR_NOT_FOUND: no such customer.
 */
MUST_USE bool book_export_customer(struct book *book, slice customer, const char *dir, struct export_result *out,
                                   struct error *err);
/* The same to whoever takes files, one at a time; names are relative, with '/' in between. */
struct export_sink {
  bool (*file)(void *context, const char *name, slice bytes, struct error *err);
  void *context;
};
MUST_USE bool book_export_files(struct book *book, slice customer, struct export_sink sink, struct export_result *out,
                                struct error *err);
/* Derives every invoice of such a folder again, adjustments included, without any book; each difference is told to
 * `bad`. ERR_INVALID when there is one, or when the folder is not a whole export. Works in a folder of its own under
 * $TMPDIR. */
MUST_USE bool book_export_verify(const char *dir, told *bad, void *context, struct export_result *out,
                                 struct error *err);

/* Counts kept per import for the summary. */
struct book_stats {
  uint64_t events, duplicates, conflicts, invalid, blocks, journal_bytes;
};
MUST_USE bool book_stats(struct book *book, struct book_stats *out, struct error *err);
/* Inside a batch; written with it. */
void book_count(struct book *book, uint64_t duplicates, uint64_t conflicts, uint64_t invalid);

/* The picture of a period as text for the terminal and as JSON for the API and the first page. */
MUST_USE bool book_summary(struct book *book, slice period, struct buf *text, struct buf *json, struct error *err);

/* `wanted` if it names a period; else that of the newest invoice; else the current month. In the arena. */
MUST_USE bool book_default_period(struct book *book, slice wanted, struct arena *arena, slice *out, struct error *err);

/* ---- keys (roles) ---- */
enum role { ROLE_NONE, ROLE_CUSTOMER, ROLE_INVESTOR, ROLE_OPERATOR };
const char *role_name(enum role r);
/* What a key may be used for, and how much; as it was made. */
enum { KEY_SCOPE_MODELS = 1, KEY_SCOPE_MANAGE = 2 }; /* calling models; the management API */
#define KEY_MODELS_MAX 100
struct key_terms {
  unsigned scopes;
  slice project;       /* in the events of its calls; may be empty */
  const slice *models; /* it may call: names, or beginnings that end in "*"; none: all */
  size_t model_count;
  instant expires;           /* INSTANT_MAX: never; a rotated key ends when its overlap does */
  struct call_limits limits; /* of this key, beside those of its customer; 0: none */
  bool has_spend_limit;
  amount spend_limit;       /* in the customer's currency, with tax, of calls settled in one period */
  enum watch_per spend_per; /* WATCH_MONTH or WATCH_DAY, of the customer's time zone */
};
struct key_identity {
  enum role role;
  slice customer;
  slice key_id;
  slice family;                  /* the first of the keys that were rotated into this one: limits and spend are counted
                                    by it, so that no overlap doubles them */
  const struct key_terms *terms; /* lives as long as the book */
};
#define KEY_TEXT_MAX 96
#define KEYS_MAX 100000           /* in force at a time */
#define KEYS_OF_CUSTOMER_MAX 1000 /* the same, of one customer */
#define KEY_NAME_BYTES_MAX 200    /* of the key, of its project and of each model */
#define KEY_OVERLAP_S_MAX (90 * 86400)
struct key_request {
  enum role role;
  slice customer; /* for ROLE_CUSTOMER only */
  slice name;
  struct key_terms terms; /* scopes 0: all that its role may have; expires 0: never */
  /* Whose key asks for it; NULL: the operator. A customer's key makes keys of its own customer alone, and none that may
   * do more than itself: what the terms leave open is as in its own, what is wider is ERR_DENIED. */
  const struct key_identity *maker;
};
struct key_made {
  char id[64], text[KEY_TEXT_MAX];
};
/* Inside a batch: made, changed and revoked keys count once it is committed. Makes a key "mh_<id>_<secret>", shown
 * once: only its BLAKE2b hash is stored. Only keys of customers call models, so only they take terms besides `expires`.
 * ERR_INVALID names the term. */
MUST_USE bool key_create(struct book *book, const struct key_request *request, struct key_made *out, struct error *err);
/* Another key with the same name, customer, terms and family; the old one ends `overlap_s` from now, or when it would
 * have. ERR_CONFLICT when it is not in force or was rotated before; `maker` as in a request: a key that may do more
 * than the maker is not its to rotate. */
MUST_USE bool key_rotate(struct book *book, slice key_id, int64_t overlap_s, const struct key_identity *maker,
                         struct key_made *out, struct error *err);
/* A customer's `maker` revokes keys of its customer alone; others are ERR_NOT_FOUND. */
MUST_USE bool key_revoke(struct book *book, slice key_id, const struct key_identity *maker, struct error *err);
/* Who has this text; from any thread. Constant-time compare of the hash; ROLE_NONE + ERR_DENIED when unknown, revoked
 * or expired, which is told to whoever has the whole text alone. Reads memory loaded at open and kept current. */
MUST_USE bool key_check(struct book *book, slice key_text, struct key_identity *out, struct error *err);
/* May it be used for this scope? ERR_DENIED says what it is for. The doors of models ask for KEY_SCOPE_MODELS, all
 * others for KEY_SCOPE_MANAGE. */
MUST_USE bool key_may(const struct key_identity *who, unsigned scope, struct error *err);
bool key_may_use_model(const struct key_terms *terms, slice model);
/* Of a key by its id, in force or not; empty when there is none. From any thread; lives as long as the book. */
slice key_family(struct book *book, slice key_id);
const char *key_scope_name(unsigned scope); /* "models", "manage" */

struct key_info {
  slice id, customer, name, family;
  slice successor; /* it was rotated into; may be empty */
  enum role role;
  instant created;
  bool revoked;
  struct key_terms terms;
};
struct key_query {
  slice customer; /* empty: all */
  slice after;    /* ids above it */
  size_t limit;   /* 0: all */
};
typedef bool (*key_each)(void *context, const struct key_info *key, struct error *err);
/* By id, which is by age to the millisecond. */
MUST_USE bool key_list(struct book *book, const struct key_query *query, key_each each, void *context,
                       struct error *err);
/* What was settled on keys of a family in the period that begins then; kept for those with a spend limit. Inside a
 * batch. */
MUST_USE bool key_spend_add(struct book *book, slice family, instant period_from, amount more, struct error *err);
MUST_USE bool key_spend_read(struct book *book, slice family, instant period_from, amount *out, struct error *err);

/* ---- the core thread: commands from many threads, applied in batches, answered after the batch is durable ---- */
struct core;
struct command {
  struct command *next; /* the queue's */
  /* Runs on the core thread inside the batch's transaction. When one command of a batch fails the batch is undone and
   * each of its commands runs again alone, so apply may run twice: it must not keep results of a first run. */
  bool (*apply)(struct command *c, struct book *book, struct error *err);
  /* Runs on the core thread after the batch is durable or failed; `err` is NULL when the command's work stands. */
  void (*done)(struct command *c, const struct error *err);
  bool reads_only; /* needs no transaction */
  size_t bytes;    /* of memory it holds while it waits */
};
struct core *core_start(struct book *book);
/* `committed` is called on the core thread after each commit; it must be quick. To be said once. */
void core_listen(struct core *core, void (*committed)(void *context), void *context);
/* Has `apply` done on the core thread, inside a durable batch, and waits for it; not to be called on that thread. It
 * may run twice, as a command's. */
MUST_USE bool core_do(struct core *core, bool (*apply)(void *work, struct book *book, struct error *err), void *work,
                      struct error *err);
/* The same for work that only reads: outside any transaction. */
MUST_USE bool core_ask(struct core *core, bool (*apply)(void *work, struct book *book, struct error *err), void *work,
                       struct error *err);
struct due_writer core_due_writer(struct core *core);
/* ERR_LIMIT when too many or too large ones are waiting: answer 429. */
MUST_USE bool core_submit(struct core *core, struct command *c, struct error *err);
void core_stop(struct core *core); /* finishes what is queued, then joins */
/* The queue, and what was committed, as Prometheus metrics; from any thread. */
void core_metrics(struct core *core, struct buf *out);
#endif
