/* The store: one SQL text for every driver, prepared once, bound by type, inside explicit transactions.
 * SQLite is the driver today; the interface holds nothing that PostgreSQL could not do ($1 parameters, no rowid
 * tricks). */
#ifndef METERHOUSE_STORE_STORE_H
#define METERHOUSE_STORE_STORE_H
#include "money/money.h"

struct db;
struct db_row; /* the current row of a running statement */

enum db_mode { DB_READ_WRITE, DB_READ_ONLY };
/* Opens (creates, for READ_WRITE) the SQLite file: WAL, synchronous FULL, foreign keys on, busy timeout 10 s. */
MUST_USE bool db_open(const char *path, enum db_mode mode, struct db **out, struct error *err);
void db_close(struct db *db); /* NULL is fine; an open transaction is rolled back */

/* A value to bind. Amounts and quantities are stored as decimal text, instants as integers (ns). */
struct db_value {
  enum { DB_NULL, DB_INT, DB_TEXT, DB_BLOB, DB_AMOUNT, DB_QUANTITY } kind;
  int64_t integer;
  slice bytes;
  int128 decimal;
};
#define DB_I(x) ((struct db_value){.kind = DB_INT, .integer = (x)})
#define DB_T(x) ((struct db_value){.kind = DB_TEXT, .bytes = (x)})
#define DB_B(x) ((struct db_value){.kind = DB_BLOB, .bytes = (x)})
#define DB_A(x) ((struct db_value){.kind = DB_AMOUNT, .decimal = (x).e12})
#define DB_Q(x) ((struct db_value){.kind = DB_QUANTITY, .decimal = (x).e9})
#define DB_N ((struct db_value){.kind = DB_NULL})

/* Runs one statement to its end ($1.. bound from `values`); the prepared form is cached by the text's address, so pass
 * string literals. `*changed` (may be NULL) gets the number of rows changed. */
MUST_USE bool db_run(struct db *db, const char *sql, const struct db_value *values, size_t count, int64_t *changed,
                     struct error *err);
/* Calls `each` a row until it returns false (it then has set err) or the rows end. A row's slices live for that call.
 */
typedef bool (*db_each)(const struct db_row *row, void *context, struct error *err);
MUST_USE bool db_query(struct db *db, const char *sql, const struct db_value *values, size_t count, db_each each,
                       void *context, struct error *err);
int64_t db_int(const struct db_row *row, int column);
slice db_bytes(const struct db_row *row, int column); /* text or blob; empty for NULL */
bool db_is_null(const struct db_row *row, int column);
MUST_USE bool db_amount(const struct db_row *row, int column, amount *out, struct error *err);
/* Sugar: `db_run(db, sql, DB_VALUES(DB_I(1), DB_T(name)), NULL, err)` */
#define DB_VALUES(...)                                                                                                 \
  (const struct db_value[]){__VA_ARGS__}, sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)
#define DB_NO_VALUES NULL, 0

/* One writer: transactions do not nest; a savepoint inside one undoes a single command of a batch. */
MUST_USE bool db_begin(struct db *db, struct error *err);
MUST_USE bool db_commit(struct db *db, struct error *err); /* durable when it returns true; false = nothing happened */
void db_rollback(struct db *db);
bool db_in_transaction(const struct db *db);
MUST_USE bool db_savepoint(struct db *db, struct error *err);
MUST_USE bool db_savepoint_release(struct db *db, struct error *err);
void db_savepoint_rollback(struct db *db);

/* Schema steps in order, each run once ever and remembered by its name; a database from a newer program is refused. */
struct db_migration {
  const char *name;
  const char *sql;
};
MUST_USE bool db_migrate(struct db *db, const struct db_migration *steps, size_t count, struct error *err);
/* PRAGMA integrity_check and friends; ERR_CORRUPT names what is wrong. */
MUST_USE bool db_check(struct db *db, struct error *err);
#endif
