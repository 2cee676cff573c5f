/* Backfills that wait for a decision: the request as it came, until it is applied or dropped. */
#include "book/private.h"

static bool put_row(const struct db_row *row, void *context, struct error *err) {
  struct backfill_list *l = context;
  struct backfill b = {.id = db_bytes(row, 0),
                       .customer = db_bytes(row, 1),
                       .state = db_bytes(row, 2),
                       .created = {db_int(row, 3)},
                       .body = db_bytes(row, 4)};
  return l->each(l->context, &b, err);
}

bool backfill_create(struct book *book, slice id, slice customer, slice body, instant now, struct error *err) {
  int64_t changed = 0;
  if (!db_run(book->db,
              "INSERT INTO backfill(id, customer, state, created, body) VALUES($1, $2, 'draft', $3, $4)"
              " ON CONFLICT(id) DO NOTHING",
              DB_VALUES(DB_T(id), DB_T(customer), DB_I(now.ns), DB_B(body)), &changed, err)) {
    return false;
  }
  return changed == 1 || error_set(err, ERR_CONFLICT, "there is a backfill \"" SLICE_FMT "\" already", SLICE_ARG(id));
}

bool backfill_each(struct book *book, slice id, slice after, size_t limit, const struct backfill_list *list,
                   struct error *err) {
  return db_query(book->db,
                  "SELECT id, customer, state, created, body FROM backfill WHERE ($1 = '' OR id = $1) AND id > $2"
                  " ORDER BY id LIMIT $3",
                  DB_VALUES(DB_T(id), DB_T(after), DB_I((int64_t)limit)), put_row, (void *)(uintptr_t)list, err);
}

bool backfill_decide(struct book *book, slice id, const char *state, struct error *err) {
  int64_t changed = 0;
  if (!db_run(book->db, "UPDATE backfill SET state = $2 WHERE id = $1 AND state IN ('draft', $2)",
              DB_VALUES(DB_T(id), DB_T(slice_of(state))), &changed, err)) {
    return false;
  }
  return changed == 1 || error_set(err, ERR_CONFLICT, "backfill \"" SLICE_FMT "\" was decided before", SLICE_ARG(id));
}
