/* Idempotency: what a key was answered is kept with the work itself, in one transaction, and replayed for ever. */
#include "api/private.h"
#include <string.h>

struct lookup {
  struct api_call *call;
  bool found, same;
};

static bool take(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct lookup *l = context;
  slice request = db_bytes(row, 0),
        mine = {(const char *)l->call->request_digest.bytes, sizeof l->call->request_digest.bytes};
  l->found = true;
  l->same = slice_eq(request, mine);
  l->call->status = (int)db_int(row, 1);
  buf_add(&l->call->out, db_bytes(row, 2));
  return true;
}

bool answer_find(struct api_call *call, struct book *book, bool *found, struct error *err) {
  struct lookup l = {.call = call};
  if (!db_query(book_db(book), "SELECT request, status, body FROM answer WHERE caller = $1 AND key = $2",
                DB_VALUES(DB_T(call->who.key_id), DB_T(call->idempotency_key)), take, &l, err)) {
    return false;
  }
  *found = l.found;
  if (l.found && !l.same) {
    return error_set(err, ERR_REUSED, "this Idempotency-Key was used before with another request: use a new key");
  }
  return true;
}

bool answer_keep(struct api_call *call, struct book *book, struct error *err) {
  slice request = {(const char *)call->request_digest.bytes, sizeof call->request_digest.bytes};
  return db_run(
      book_db(book),
      "INSERT INTO answer(caller, key, request, status, type, body) VALUES($1, $2, $3, $4, 'application/json', $5)",
      DB_VALUES(DB_T(call->who.key_id), DB_T(call->idempotency_key), DB_B(request), DB_I(call->status),
                DB_B(buf_slice(&call->out))),
      NULL, err);
}
