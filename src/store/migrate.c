/* Schema steps: each run once, in order, in a transaction of its own, and remembered. */
#include "store/private.h"
#include <string.h>

static bool see_step(const struct db_row *row, void *context, struct error *err) {
  (void)row;
  (void)err;
  *(bool *)context = true;
  return true;
}

static bool step_is_done(struct db *db, const char *name, bool *done, struct error *err) {
  *done = false;
  return db_query(db, "SELECT 1 FROM migration WHERE name = $1", DB_VALUES(DB_T(slice_of(name))), see_step, done, err);
}

static bool run_step(struct db *db, const struct db_migration *step, struct error *err) {
  if (!db_begin(db, err)) {
    return false;
  }
  if (!db_script(db, step->sql, err) ||
      !db_run(db, "INSERT INTO migration(name) VALUES($1)", DB_VALUES(DB_T(slice_of(step->name))), NULL, err)) {
    db_rollback(db);
    return error_at(err, "schema step %s", step->name);
  }
  return db_commit(db, err);
}

struct known_steps {
  const struct db_migration *steps;
  size_t count;
};

static bool step_is_known(const struct db_row *row, void *context, struct error *err) {
  const struct known_steps *known = context;
  slice name = db_bytes(row, 0);
  for (size_t i = 0; i < known->count; i++) {
    if (slice_is(name, known->steps[i].name)) {
      return true;
    }
  }
  return error_set(err, ERR_INVALID,
                   "this book was written by a newer program (schema step " SLICE_FMT "): update this one",
                   SLICE_ARG(name));
}

bool db_migrate(struct db *db, const struct db_migration *steps, size_t count, struct error *err) {
  struct known_steps known = {steps, count};
  if (!db_script(db, "CREATE TABLE IF NOT EXISTS migration(name TEXT PRIMARY KEY)", err) ||
      !db_query(db, "SELECT name FROM migration", DB_NO_VALUES, step_is_known, &known, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    bool done;
    if (!step_is_done(db, steps[i].name, &done, err) || (!done && !run_step(db, &steps[i], err))) {
      return false;
    }
  }
  return true;
}
