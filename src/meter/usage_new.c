/* What is new since a position, for views that follow the journal: new events, changed levels, corrected customers. */
#include "meter/private.h"

bool usage_load_new(struct usage *u, struct db *db, uint64_t after, uint64_t until, usage_level_each each,
                    void *context, struct error *err) {
  const struct journal_range range = {.after = after, .until = until};
  if (!usage_scan_blocks(u, db, &range, err)) {
    return false;
  }
  for (size_t i = 0; i < u->changes.count; i++) {
    const struct level_change *c = &u->changes.items[i];
    each(context, c->customer, c->meter, c->time);
  }
  u->changes.count = 0;
  return true;
}

struct telling {
  usage_corrected_each each;
  void *context;
};

static bool tell_row(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  const struct telling *t = context;
  t->each(t->context, db_bytes(row, 0));
  return true;
}

bool usage_corrected(struct db *db, uint64_t after, uint64_t until, usage_corrected_each each, void *context,
                     struct error *err) {
  struct telling t = {each, context};
  return db_query(db, "SELECT DISTINCT customer FROM correction WHERE number > $1 AND number <= $2",
                  DB_VALUES(DB_I((int64_t)after), DB_I((int64_t)until)), tell_row, &t, err);
}
