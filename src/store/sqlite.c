/* The SQLite driver: WAL, synchronous FULL, prepared statements kept by the address of their text. */
#include "store/private.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define DB_MAGIC 0x4d484442u
#define STATEMENTS_MAX 256
#define BUSY_TIMEOUT_MS 10000
#define PARAMETERS_MAX 32

struct statement {
  const char *sql;
  sqlite3_stmt *prepared;
  bool running;
};
struct db {
  uint32_t magic;
  sqlite3 *handle;
  bool in_transaction;
  struct statement statements[STATEMENTS_MAX];
  size_t statement_count;
};
struct db_row {
  sqlite3_stmt *prepared;
};

static enum error_code code_of(int result) {
  switch (result & 0xff) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return ERR_BUSY;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return ERR_CORRUPT;
  case SQLITE_CONSTRAINT:
    return ERR_CONFLICT;
  case SQLITE_TOOBIG:
    return ERR_LIMIT;
  default:
    return ERR_IO;
  }
}

static bool fail(struct db *db, int result, const char *sql, struct error *err) {
  return error_set(err, code_of(result), "store: %s (in \"%.60s\")",
                   db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(result), sql);
}

static bool run_script(struct db *db, const char *sql, struct error *err) {
  int result = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
  return result == SQLITE_OK || fail(db, result, sql, err);
}

/* A killed process may have left a commit that was written but not synced. It is read as done, so it must be durable
 * before anything is answered. A checkpoint syncs the log first: a full disk stops it only after that. */
static bool sync_recovered(struct db *db, struct error *err) {
  int result = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
  if (result == SQLITE_OK || result == SQLITE_BUSY || result == SQLITE_FULL) {
    return true;
  }
  fail(db, result, "the checkpoint at opening", err);
  /* A log that could not be synced may have lost what was just read from it: closing must not copy it into the book. */
  sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  return false;
}

bool db_open(const char *path, enum db_mode mode, struct db **out, struct error *err) {
  struct db *db = mem_alloc(sizeof *db);
  db->magic = DB_MAGIC;
  int flags =
      (mode == DB_READ_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX;
  int result = sqlite3_open_v2(path, &db->handle, flags, NULL);
  bool ok = result == SQLITE_OK || fail(db, result, path, err);
  if (ok) {
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    ok = run_script(db, "PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536;", err);
  }
  if (ok && mode == DB_READ_WRITE) {
    ok = run_script(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 16384;",
                    err) &&
         sync_recovered(db, err);
  }
  if (!ok) {
    error_at(err, "%s", path);
    db_close(db);
    return false;
  }
  *out = db;
  return true;
}

void db_close(struct db *db) {
  if (db == NULL) {
    return;
  }
  must(db->magic == DB_MAGIC);
  if (db->in_transaction) {
    db_rollback(db);
  }
  for (size_t i = 0; i < db->statement_count; i++) {
    sqlite3_finalize(db->statements[i].prepared);
  }
  sqlite3_close(db->handle);
  db->magic = 0;
  free(db);
}

/* ---- statements ---- */

static bool prepare(struct db *db, const char *sql, sqlite3_stmt **out, struct error *err) {
  const char *tail;
  int result = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, out, &tail);
  if (result != SQLITE_OK) {
    return fail(db, result, sql, err);
  }
  must(*tail == '\0'); /* one statement at a time: the rest would be forgotten silently */
  return true;
}

/* The kept statement of this text, unless it is in the middle of a query further up the stack: then a fresh one. */
static bool statement_of(struct db *db, const char *sql, struct statement *fresh, struct statement **out,
                         struct error *err) {
  for (size_t i = 0; i < db->statement_count; i++) {
    if (db->statements[i].sql == sql && !db->statements[i].running) {
      *out = &db->statements[i];
      return true;
    }
  }
  *out = db->statement_count < STATEMENTS_MAX ? &db->statements[db->statement_count] : fresh;
  **out = (struct statement){.sql = sql};
  if (!prepare(db, sql, &(*out)->prepared, err)) {
    return false;
  }
  db->statement_count += *out != fresh;
  return true;
}

static int bind_decimal(sqlite3_stmt *s, int at, const struct db_value *v) {
  char text[DECIMAL_TEXT_MAX];
  if (v->kind == DB_AMOUNT) {
    amount_text((amount){v->decimal}, text);
  } else {
    quantity_text((quantity){v->decimal}, text);
  }
  return sqlite3_bind_text(s, at, text, -1, SQLITE_TRANSIENT);
}

static int bind_one(sqlite3_stmt *s, int at, const struct db_value *v) {
  const char *bytes = v->bytes.ptr ? v->bytes.ptr : "";
  switch (v->kind) {
  case DB_NULL:
    return sqlite3_bind_null(s, at);
  case DB_INT:
    return sqlite3_bind_int64(s, at, v->integer);
  case DB_TEXT:
    return sqlite3_bind_text64(s, at, bytes, v->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
  case DB_BLOB:
    return sqlite3_bind_blob64(s, at, bytes, v->bytes.len, SQLITE_STATIC);
  case DB_AMOUNT:
  case DB_QUANTITY:
    return bind_decimal(s, at, v);
  }
  return SQLITE_MISUSE;
}

/* $1 to $n by name, so that one may be used twice, as PostgreSQL has it. */
static bool bind_all(struct db *db, struct statement *s, const struct db_value *values, size_t count,
                     struct error *err) {
  must(count <= PARAMETERS_MAX && sqlite3_bind_parameter_count(s->prepared) == (int)count);
  for (size_t i = 0; i < count; i++) {
    char name[8];
    snprintf(name, sizeof name, "$%zu", i + 1);
    int at = sqlite3_bind_parameter_index(s->prepared, name);
    must(at > 0);
    int result = bind_one(s->prepared, at, &values[i]);
    if (result != SQLITE_OK) {
      return fail(db, result, s->sql, err);
    }
  }
  return true;
}

static void finish(struct statement *s, const struct statement *fresh) {
  s->running = false;
  if (s == fresh) {
    sqlite3_finalize(s->prepared);
  } else {
    sqlite3_reset(s->prepared);
    sqlite3_clear_bindings(s->prepared);
  }
}

static bool step_all(struct db *db, struct statement *s, db_each each, void *context, struct error *err) {
  struct db_row row = {s->prepared};
  for (;;) {
    int result = sqlite3_step(s->prepared);
    if (result == SQLITE_DONE) {
      return true;
    }
    if (result != SQLITE_ROW) {
      return fail(db, result, s->sql, err);
    }
    if (each && !each(&row, context, err)) {
      return err->code == ERR_NONE;
    }
  }
}

bool db_query(struct db *db, const char *sql, const struct db_value *values, size_t count, db_each each, void *context,
              struct error *err) {
  must(db->magic == DB_MAGIC);
  struct statement fresh, *s;
  if (!statement_of(db, sql, &fresh, &s, err)) {
    return false;
  }
  s->running = true;
  bool ok = bind_all(db, s, values, count, err) && step_all(db, s, each, context, err);
  finish(s, &fresh);
  return ok;
}

bool db_run(struct db *db, const char *sql, const struct db_value *values, size_t count, int64_t *changed,
            struct error *err) {
  if (!db_query(db, sql, values, count, NULL, NULL, err)) {
    return false;
  }
  if (changed) {
    *changed = sqlite3_changes64(db->handle);
  }
  return true;
}

/* ---- rows ---- */

int64_t db_int(const struct db_row *row, int column) {
  return sqlite3_column_int64(row->prepared, column);
}
bool db_is_null(const struct db_row *row, int column) {
  return sqlite3_column_type(row->prepared, column) == SQLITE_NULL;
}

slice db_bytes(const struct db_row *row, int column) {
  const char *bytes = sqlite3_column_blob(row->prepared, column);
  return (slice){bytes ? bytes : "", (size_t)sqlite3_column_bytes(row->prepared, column)};
}

bool db_amount(const struct db_row *row, int column, amount *out, struct error *err) {
  if (amount_parse(db_bytes(row, column), out, err)) {
    return true;
  }
  err->code = ERR_CORRUPT;
  return error_at(err, "store: column %d of a row", column);
}

/* ---- transactions ---- */

bool db_begin(struct db *db, struct error *err) {
  must(!db->in_transaction);
  if (!db_run(db, "BEGIN IMMEDIATE", DB_NO_VALUES, NULL, err)) {
    return false;
  }
  db->in_transaction = true;
  return true;
}

bool db_commit(struct db *db, struct error *err) {
  must(db->in_transaction);
  if (!db_run(db, "COMMIT", DB_NO_VALUES, NULL, err)) {
    db_rollback(db);
    return false;
  }
  db->in_transaction = false;
  return true;
}

/* SQLite may have rolled back by itself (full disk): then there is nothing left to do. */
void db_rollback(struct db *db) {
  if (!db->in_transaction) {
    return;
  }
  if (!sqlite3_get_autocommit(db->handle)) {
    sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
  }
  db->in_transaction = false;
}

bool db_in_transaction(const struct db *db) {
  return db->in_transaction;
}

bool db_savepoint(struct db *db, struct error *err) {
  must(db->in_transaction);
  return db_run(db, "SAVEPOINT command", DB_NO_VALUES, NULL, err);
}

bool db_savepoint_release(struct db *db, struct error *err) {
  return db_run(db, "RELEASE command", DB_NO_VALUES, NULL, err);
}

void db_savepoint_rollback(struct db *db) {
  sqlite3_exec(db->handle, "ROLLBACK TO command; RELEASE command", NULL, NULL, NULL);
}

/* ---- scripts and checks ---- */

bool db_script(struct db *db, const char *sql, struct error *err) {
  return run_script(db, sql, err);
}

static bool check_row(const struct db_row *row, void *context, struct error *err) {
  (void)context;
  slice word = db_bytes(row, 0);
  return slice_is(word, "ok") || error_set(err, ERR_CORRUPT, "store: " SLICE_FMT, SLICE_ARG(word));
}

static bool check_foreign_key(const struct db_row *row, void *context, struct error *err) {
  (void)context;
  return error_set(err, ERR_CORRUPT, "store: a row of table " SLICE_FMT " refers to one that is gone",
                   SLICE_ARG(db_bytes(row, 0)));
}

bool db_check(struct db *db, struct error *err) {
  return db_query(db, "PRAGMA integrity_check", DB_NO_VALUES, check_row, NULL, err) &&
         db_query(db, "PRAGMA foreign_key_check", DB_NO_VALUES, check_foreign_key, NULL, err);
}
