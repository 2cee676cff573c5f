/* Opening a data directory as a whole: lock, store, schema, catalog, journal and ledger; and its one transaction. */
#include "base/file.h"
#include "base/log.h"
#include "book/private.h"
#include "collect/collect.h"
#include "credit/credit.h"
#include "notify/notify.h"
#include "pull/pull.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_MS 10000
#define LOCK_POLL_MS 20

static const struct db_migration book_migrations[] = {
    {"book-1-settings", "CREATE TABLE setting(name TEXT PRIMARY KEY, value TEXT NOT NULL);"},
    {"book-2-keys", "CREATE TABLE api_key(id TEXT PRIMARY KEY, role INTEGER NOT NULL, customer TEXT NOT NULL,"
                    " name TEXT NOT NULL, hash BLOB NOT NULL, created INTEGER NOT NULL, revoked INTEGER NOT NULL);"},
    {"book-3-counts", "CREATE TABLE ingest_count(name TEXT PRIMARY KEY, events INTEGER NOT NULL);"},
    {"book-4-answers", "CREATE TABLE answer(caller TEXT NOT NULL, key TEXT NOT NULL, request BLOB NOT NULL,"
                       " status INTEGER NOT NULL, type TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY(caller, key));"},
    {"book-5-backfills", "CREATE TABLE backfill(id TEXT PRIMARY KEY, customer TEXT NOT NULL, state TEXT NOT NULL,"
                         " created INTEGER NOT NULL, body BLOB NOT NULL);"},
    {"book-6-alerts",
     "CREATE TABLE alert(id TEXT PRIMARY KEY, customer TEXT NOT NULL, name TEXT NOT NULL, watched TEXT NOT NULL,"
     " per INTEGER NOT NULL, base TEXT NOT NULL, percents TEXT NOT NULL, created INTEGER NOT NULL,"
     " UNIQUE(customer, name));"
     "CREATE TABLE alert_crossing(customer TEXT NOT NULL, alert TEXT NOT NULL, watched TEXT NOT NULL,"
     " per INTEGER NOT NULL, threshold TEXT NOT NULL, period_from INTEGER NOT NULL, period_to INTEGER NOT NULL,"
     " value TEXT NOT NULL, time INTEGER NOT NULL,"
     " PRIMARY KEY(customer, alert, watched, per, threshold, period_from));"
     "CREATE TABLE live_state(name TEXT PRIMARY KEY, value INTEGER NOT NULL);"},
    {"book-7-catalogs",
     "CREATE TABLE catalog_file(hash TEXT PRIMARY KEY, bytes INTEGER NOT NULL, packed BLOB NOT NULL);"
     "CREATE TABLE catalog_version(digest TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL,"
     " seen INTEGER NOT NULL, PRIMARY KEY(digest, name));"},
    {"book-8-held", "CREATE TABLE held_invoice(customer TEXT NOT NULL, period TEXT NOT NULL, catalog TEXT NOT NULL,"
                    " PRIMARY KEY(customer, period));"},
    {"book-9-key-terms",
     "ALTER TABLE api_key ADD COLUMN scopes INTEGER NOT NULL DEFAULT 3;"
     "ALTER TABLE api_key ADD COLUMN project TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE api_key ADD COLUMN models TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE api_key ADD COLUMN expires INTEGER NOT NULL DEFAULT 7258118399999999999;"
     "ALTER TABLE api_key ADD COLUMN requests_a_minute INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE api_key ADD COLUMN tokens_a_minute INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE api_key ADD COLUMN concurrency INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE api_key ADD COLUMN spend_limit TEXT;"
     "ALTER TABLE api_key ADD COLUMN spend_per INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE api_key ADD COLUMN family TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE api_key ADD COLUMN successor TEXT NOT NULL DEFAULT '';"
     "UPDATE api_key SET family = id;"
     "UPDATE api_key SET scopes = 2 WHERE role <> 1;" /* only keys of customers call models */
     "CREATE INDEX api_key_customer ON api_key(customer, id);"
     "CREATE TABLE key_spend(family TEXT NOT NULL, period_from INTEGER NOT NULL, spent TEXT NOT NULL,"
     " PRIMARY KEY(family, period_from));"},
    {"book-11-calls",
     "CREATE TABLE call_note(id TEXT PRIMARY KEY, customer TEXT NOT NULL, currency TEXT NOT NULL,"
     " period_to INTEGER NOT NULL, gross TEXT NOT NULL, family TEXT NOT NULL, key_period INTEGER NOT NULL,"
     " event TEXT NOT NULL);"},
    {"book-12-leases", /* the room `sell` reads and writes them */
     "CREATE TABLE lease(id TEXT PRIMARY KEY, customer TEXT NOT NULL, pool TEXT NOT NULL, kind INTEGER NOT NULL,"
     " class INTEGER NOT NULL, state INTEGER NOT NULL, units INTEGER NOT NULL, starts INTEGER NOT NULL,"
     " ends INTEGER NOT NULL, reference TEXT NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL,"
     " why TEXT NOT NULL, last_run INTEGER NOT NULL, minimum TEXT NOT NULL, held TEXT NOT NULL,"
     " accrued TEXT NOT NULL, currency TEXT NOT NULL, placed_from INTEGER NOT NULL, placed_to INTEGER NOT NULL);"
     "CREATE INDEX lease_customer ON lease(customer, id);"
     "CREATE INDEX lease_state ON lease(state, id);"
     "CREATE UNIQUE INDEX lease_direct ON lease(reference) WHERE kind = 1;"
     "CREATE TABLE quote(id TEXT PRIMARY KEY, lease TEXT NOT NULL UNIQUE, expires INTEGER NOT NULL,"
     " used INTEGER NOT NULL, unit_hour TEXT NOT NULL, total TEXT NOT NULL, with_tax TEXT NOT NULL);"
     "CREATE TABLE lease_move(lease TEXT NOT NULL, number INTEGER NOT NULL, was INTEGER NOT NULL,"
     " state INTEGER NOT NULL, at INTEGER NOT NULL, told INTEGER NOT NULL, why TEXT NOT NULL,"
     " PRIMARY KEY(lease, number));"
     "CREATE TABLE lease_run(lease TEXT NOT NULL, run INTEGER NOT NULL, reference TEXT NOT NULL,"
     " number INTEGER NOT NULL, state INTEGER NOT NULL, units INTEGER NOT NULL, begins INTEGER NOT NULL,"
     " ends INTEGER NOT NULL, suspended INTEGER NOT NULL, nodes TEXT NOT NULL, exit_status INTEGER NOT NULL,"
     " held INTEGER NOT NULL, start_at INTEGER NOT NULL, start_made INTEGER NOT NULL, stop_at INTEGER NOT NULL,"
     " stop_made INTEGER NOT NULL, accrued_to INTEGER NOT NULL, PRIMARY KEY(lease, run),"
     " UNIQUE(reference, number, lease));"},
};

const char *book_path(const struct book *book, struct arena *arena, const char *name) {
  return arena_printf(arena, "%s/%s", book->dir, name);
}

static bool lock_is_held(struct book *book, const char *path, struct error *err) {
  char pid[32] = "unknown";
  ssize_t n = pread(book->lock_file, pid, sizeof pid - 1, 0);
  if (n > 0) {
    pid[n] = '\0';
  }
  return error_set(err, ERR_BUSY, "%s is held by process %s: stop it, or send the work to its HTTP address", path, pid);
}

/* The kernel drops the lock with the process, however it ends. */
static bool lock_take(struct book *book, struct error *err) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/lock", book->dir);
  book->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (book->lock_file < 0) {
    return error_set(err, ERR_IO, "%s: %s", path, strerror(errno));
  }
  for (int waited_ms = 0; flock(book->lock_file, LOCK_EX | LOCK_NB) != 0; waited_ms += LOCK_POLL_MS) {
    if (waited_ms >= LOCK_WAIT_MS) {
      return lock_is_held(book, path, err);
    }
    nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_MS * 1000000L}, NULL);
  }
  char pid[32];
  int length = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
  if (ftruncate(book->lock_file, 0) != 0 || pwrite(book->lock_file, pid, (size_t)length, 0) != length) {
    return error_set(err, ERR_IO, "%s: %s", path, strerror(errno));
  }
  return true;
}

static bool migrate(struct book *book, struct error *err) {
  const struct {
    const struct db_migration *steps;
    size_t count;
  } rooms[] = {{journal_migrations, journal_migration_count},
               {rollup_migrations, rollup_migration_count},
               {pull_migrations, pull_migration_count},
               {ledger_migrations, ledger_migration_count},
               {credit_migrations, credit_migration_count},
               {bill_migrations, bill_migration_count},
               {notify_migrations, notify_migration_count},
               {collect_migrations, collect_migration_count},
               {book_migrations, sizeof book_migrations / sizeof *book_migrations}};
  VEC(struct db_migration) all = {0};
  for (size_t r = 0; r < sizeof rooms / sizeof *rooms; r++) {
    for (size_t i = 0; i < rooms[r].count; i++) {
      vec_push(&all, rooms[r].steps[i]);
    }
  }
  bool ok = db_migrate(book->db, all.items, all.count, err);
  vec_free(&all);
  return ok;
}

struct remembered {
  char path[PATH_MAX];
};

static bool take_path(const struct db_row *row, void *context, struct error *err) {
  struct remembered *remembered = context;
  slice path = db_bytes(row, 0);
  if (path.len >= sizeof remembered->path) {
    return error_set(err, ERR_CORRUPT, "the remembered catalog path is too long");
  }
  memcpy(remembered->path, path.ptr, path.len);
  remembered->path[path.len] = '\0';
  return true;
}

static bool remember_catalog(struct book *book, const char *path, struct error *err) {
  char absolute[PATH_MAX];
  if (realpath(path, absolute) == NULL) {
    return error_set(err, ERR_IO, "catalog %s: %s", path, strerror(errno));
  }
  return db_run(book->db,
                "INSERT INTO setting(name, value) VALUES('catalog', $1) ON CONFLICT(name) DO UPDATE SET value = $1",
                DB_VALUES(DB_T(slice_of(absolute))), NULL, err);
}

static bool load_catalog(struct book *book, const char *path, struct error *err) {
  struct remembered remembered = {0};
  if (path == NULL) {
    if (!db_query(book->db, "SELECT value FROM setting WHERE name = 'catalog'", DB_NO_VALUES, take_path, &remembered,
                  err)) {
      return false;
    }
    if (remembered.path[0] == '\0') {
      snprintf(remembered.path, sizeof remembered.path, "%s/catalog", book->dir);
    }
    if (access(remembered.path, R_OK) != 0) {
      return error_set(err, ERR_NOT_FOUND, "%s: no catalog there (%s); name one with --catalog DIR", remembered.path,
                       strerror(errno));
    }
  }
  if (!catalog_load(path ? path : remembered.path, &book->catalog, err)) {
    return false;
  }
  book->owns_catalog = true;
  return path == NULL || book->mode == BOOK_READ || remember_catalog(book, path, err);
}

static bool open_journal(struct book *book, struct error *err) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/identity", book->dir);
  return journal_open(book->db, path, NULL, &book->journal, err);
}

static bool open_parts(struct book *book, const char *catalog_path, struct error *err) {
  char path[PATH_MAX];
  bool fresh;
  snprintf(path, sizeof path, "%s/book.db", book->dir);
  if (book->mode == BOOK_READ) {
    if (access(path, R_OK) != 0) {
      return error_set(err, ERR_NOT_FOUND, "%s: no book there (%s)", path, strerror(errno));
    }
    return db_open(path, DB_READ_ONLY, &book->db, err) && load_catalog(book, catalog_path, err);
  }
  return file_make_dirs(book->dir, err) && lock_take(book, err) && db_open(path, DB_READ_WRITE, &book->db, err) &&
         migrate(book, err) && load_catalog(book, catalog_path, err) && versions_keep(book, &fresh, err) &&
         (!fresh || look_back(book, err)) && open_journal(book, err) && ledger_open(book->db, &book->ledger, err) &&
         keys_load(book, err);
}

static struct book *book_new(const char *dir, enum book_mode mode) {
  struct book *book = mem_alloc(sizeof *book);
  book->magic = BOOK_MAGIC;
  book->mode = mode;
  book->lock_file = -1;
  size_t size = strlen(dir) + 1;
  book->dir = mem_alloc(size);
  memcpy(book->dir, dir, size);
  book->key_arena = arena_new();
  must(pthread_mutex_init(&book->key_lock, NULL) == 0);
  return book;
}

/* A clock that the surroundings set goes before the book's. */
static bool use_test_clock(struct book *book, struct error *err) {
  instant t;
  bool found;
  if (!book_test_clock(book, &t, &found, err)) {
    return false;
  }
  if (found && getenv("METERHOUSE_TEST_CLOCK") == NULL) {
    clock_set_test(t);
  }
  return true;
}

bool book_open(const char *dir, const char *catalog_path, enum book_mode mode, struct book **out, struct error *err) {
  if (strlen(dir) > PATH_MAX - 64) {
    return error_set(err, ERR_INVALID, "--data: the path is too long");
  }
  struct book *book = book_new(dir, mode);
  if (!open_parts(book, catalog_path, err) || !use_test_clock(book, err)) {
    book_close(book);
    return false;
  }
  *out = book;
  return true;
}

bool book_open_reader(const struct book *writer, struct book **out, struct error *err) {
  must(writer->magic == BOOK_MAGIC);
  struct book *book = book_new(writer->dir, BOOK_READ);
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/book.db", book->dir);
  if (!db_open(path, DB_READ_ONLY, &book->db, err)) {
    book_close(book);
    return false;
  }
  book->catalog = writer->catalog;
  *out = book;
  return true;
}

void book_close(struct book *book) {
  if (book == NULL) {
    return;
  }
  must(book->magic == BOOK_MAGIC);
  if (book->ledger) {
    ledger_close(book->ledger);
  }
  if (book->journal) {
    journal_close(book->journal);
  }
  db_close(book->db);
  versions_free(book);
  vec_free(&book->numbers);
  if (book->owns_catalog) {
    catalog_free(book->catalog);
  }
  keys_free(book);
  arena_free(book->key_arena);
  pthread_mutex_destroy(&book->key_lock);
  if (book->lock_file >= 0) {
    close(book->lock_file);
  }
  free(book->dir);
  book->magic = 0;
  free(book);
}

uint64_t book_place(const struct book *book, uint64_t number) {
  size_t low = 0, high = book->numbers.count;
  if (high == 0) {
    return number;
  }
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (book->numbers.items[middle] <= number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

const struct catalog *book_catalog(const struct book *book) {
  return book->catalog;
}
struct db *book_db(struct book *book) {
  return book->db;
}
struct ledger *book_ledger(struct book *book) {
  return book->ledger;
}
struct journal *book_journal(struct book *book) {
  return book->journal;
}
const char *book_dir(const struct book *book) {
  return book->dir;
}

bool book_begin(struct book *book, struct error *err) {
  must(book->mode == BOOK_WRITE);
  return db_begin(book->db, err);
}

bool book_commit(struct book *book, struct error *err) {
  if (!counts_flush(book, err) || !journal_flush(book->journal, err) || !db_commit(book->db, err)) {
    book_undo(book);
    return false;
  }
  journal_done(book->journal);
  ledger_done(book->ledger);
  keys_done(book);
  return true;
}

/* One transaction of its own, for what was prepared. */
static bool write_prepared(struct book *book, const struct rollup *rollup, const struct tidy *tidy, struct error *err) {
  if (!book_begin(book, err)) {
    return false;
  }
  if ((tidy && !journal_tidy_write(book->db, tidy, err)) || (rollup && !rollup_write(book->db, rollup, err))) {
    book_undo(book);
    return false;
  }
  return book_commit(book, err);
}

static bool tidy_up(struct book *book, struct error *err) {
  struct tidy *tidy;
  if (!journal_tidy_prepare(book->db, &tidy, err)) {
    return false;
  }
  bool ok = tidy == NULL || write_prepared(book, NULL, tidy, err);
  journal_tidy_free(tidy);
  return ok;
}

bool book_aggregate(struct book *book, struct error *err) {
  bool ok = tidy_up(book, err);
  for (struct rollup *rollup; ok;) {
    ok = rollup_prepare(book->db, book->catalog, 1, &rollup, err);
    if (ok && rollup == NULL) {
      return true;
    }
    ok = ok && write_prepared(book, rollup, NULL, err);
    rollup_free(rollup);
  }
  return false;
}

bool book_rebuild(struct book *book, struct error *err) {
  if (!book_begin(book, err)) {
    return false;
  }
  if (!db_run(book->db, "DELETE FROM rollup_state", DB_NO_VALUES, NULL, err)) {
    book_undo(book);
    return false;
  }
  return book_commit(book, err) && book_aggregate(book, err);
}

void book_undo(struct book *book) {
  book->uncounted = (struct book_stats){0};
  db_rollback(book->db);
  journal_undo(book->journal);
  ledger_undo(book->ledger);
  keys_undo(book);
}
