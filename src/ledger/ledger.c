/* Transfers: one row each with both balances after it, unique by id, floors checked in the same step. */
#include "ledger/private.h"
#include <stdlib.h>
#include <string.h>

const struct db_migration ledger_migrations[] = {
    {"ledger-1",
     "CREATE TABLE transfer(sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, from_account TEXT NOT NULL,"
     " to_account TEXT NOT NULL, currency TEXT NOT NULL, amount TEXT NOT NULL, time INTEGER NOT NULL, cause TEXT NOT "
     "NULL,"
     " reference TEXT NOT NULL, from_balance TEXT NOT NULL, to_balance TEXT NOT NULL);"
     "CREATE INDEX transfer_from ON transfer(from_account, currency, sequence);"
     "CREATE INDEX transfer_to ON transfer(to_account, currency, sequence);"
     "CREATE INDEX transfer_reference ON transfer(reference);"
     "CREATE TABLE hold(id TEXT PRIMARY KEY, from_account TEXT NOT NULL, to_account TEXT NOT NULL, currency TEXT NOT "
     "NULL,"
     " amount TEXT NOT NULL, time INTEGER NOT NULL, expires INTEGER NOT NULL, cause TEXT NOT NULL, reference TEXT NOT "
     "NULL,"
     " state TEXT NOT NULL, settled TEXT NOT NULL);"
     "CREATE INDEX hold_open ON hold(expires) WHERE state = 'open';"
     "CREATE TABLE account_floor(name TEXT NOT NULL, currency TEXT NOT NULL, floor TEXT NOT NULL, PRIMARY KEY(name, "
     "currency));"},
    {"ledger-2-held", "CREATE INDEX hold_account ON hold(from_account, currency) WHERE state = 'open';"},
};
const size_t ledger_migration_count = sizeof ledger_migrations / sizeof *ledger_migrations;

/* ---- accounts in memory ---- */

#define PLACE_KEY_BYTES (2 * LEDGER_ID_BYTES_MAX + 320)
static slice place_key(slice name, slice currency, char text[PLACE_KEY_BYTES]) {
  int length = snprintf(text, PLACE_KEY_BYTES, SLICE_FMT "\n" SLICE_FMT, SLICE_ARG(name), SLICE_ARG(currency));
  must(length > 0 && length < PLACE_KEY_BYTES);
  return (slice){text, (size_t)length};
}

struct account *ledger_find(struct ledger *l, slice name, slice currency) {
  char text[PLACE_KEY_BYTES];
  return map_get(&l->places, place_key(name, currency, text));
}

struct account *ledger_place(struct ledger *l, slice name, slice currency) {
  char text[PLACE_KEY_BYTES];
  slice key = place_key(name, currency, text);
  struct account *a = map_get(&l->places, key);
  if (a == NULL) {
    a = arena_alloc(l->arena, sizeof *a);
    *a = (struct account){.name = arena_copy(l->arena, name), .currency = arena_copy(l->arena, currency)};
    *map_put(&l->places, arena_copy(l->arena, key)) = a;
    vec_push(&l->accounts, a);
  }
  return a;
}

void ledger_touch(struct ledger *l, struct account *a) {
  vec_push(&l->undo_log, (struct undo){a, *a});
}

void ledger_done(struct ledger *l) {
  l->undo_log.count = 0;
}

void ledger_undo(struct ledger *l) {
  while (l->undo_log.count > 0) {
    struct undo *u = &l->undo_log.items[--l->undo_log.count];
    *u->account = u->before;
  }
}

/* ---- opening ---- */

static bool load_transfer(const struct db_row *row, void *context, struct error *err) {
  struct ledger *l = context;
  struct account *from = ledger_place(l, db_bytes(row, 0), db_bytes(row, 2)),
                 *to = ledger_place(l, db_bytes(row, 1), db_bytes(row, 2));
  from->entries++;
  to->entries++;
  return db_amount(row, 3, &from->balance, err) && db_amount(row, 4, &to->balance, err);
}

static bool load_hold(const struct db_row *row, void *context, struct error *err) {
  struct account *a = ledger_place(context, db_bytes(row, 0), db_bytes(row, 1));
  amount held;
  return db_amount(row, 2, &held, err) && amount_add(a->held, held, &a->held, err);
}

static bool load_floor(const struct db_row *row, void *context, struct error *err) {
  struct account *a = ledger_place(context, db_bytes(row, 0), db_bytes(row, 1));
  a->has_floor = true;
  return db_amount(row, 2, &a->floor, err);
}

bool ledger_open(struct db *db, struct ledger **out, struct error *err) {
  struct ledger *l = mem_alloc(sizeof *l);
  l->magic = LEDGER_MAGIC;
  l->db = db;
  l->arena = arena_new();
  if (!db_query(db,
                "SELECT from_account, to_account, currency, from_balance, to_balance FROM transfer ORDER BY sequence",
                DB_NO_VALUES, load_transfer, l, err) ||
      !db_query(db, "SELECT from_account, currency, amount FROM hold WHERE state = 'open'", DB_NO_VALUES, load_hold, l,
                err) ||
      !db_query(db, "SELECT name, currency, floor FROM account_floor", DB_NO_VALUES, load_floor, l, err)) {
    ledger_close(l);
    return false;
  }
  *out = l;
  return true;
}

void ledger_close(struct ledger *l) {
  if (l == NULL) {
    return;
  }
  must(l->magic == LEDGER_MAGIC);
  map_free(&l->places);
  vec_free(&l->accounts);
  vec_free(&l->undo_log);
  arena_free(l->arena);
  l->magic = 0;
  free(l);
}

/* ---- floors ---- */

bool ledger_check_floor(const struct account *a, amount leaving, struct error *err) {
  amount after;
  char available[DECIMAL_TEXT_MAX], wanted[DECIMAL_TEXT_MAX], floor[DECIMAL_TEXT_MAX];
  if (!a->has_floor) {
    return true;
  }
  if (!amount_sub(a->balance, a->held, &after, err)) {
    return false;
  }
  amount_text(after, available);
  if (!amount_sub(after, leaving, &after, err)) {
    return false;
  }
  return amount_cmp(after, a->floor) >= 0 ||
         error_set(err, ERR_FUNDS,
                   "account " SLICE_FMT " has %s " SLICE_FMT " available: %s can not leave it, its floor is %s",
                   SLICE_ARG(a->name), available, SLICE_ARG(a->currency), amount_text(leaving, wanted),
                   amount_text(a->floor, floor));
}

bool ledger_set_floor(struct ledger *l, slice name, slice currency, bool has_floor, amount floor, struct error *err) {
  must(db_in_transaction(l->db));
  struct account *a = ledger_place(l, name, currency);
  struct account wanted = *a;
  wanted.has_floor = has_floor;
  wanted.floor = floor;
  if (!ledger_check_floor(&wanted, AMOUNT_ZERO, err)) {
    return error_at(err, "the new floor");
  }
  bool ok = has_floor ? db_run(l->db,
                               "INSERT INTO account_floor(name, currency, floor) VALUES($1, $2, $3) ON CONFLICT(name, "
                               "currency) DO UPDATE SET floor = $3",
                               DB_VALUES(DB_T(name), DB_T(currency), DB_A(floor)), NULL, err)
                      : db_run(l->db, "DELETE FROM account_floor WHERE name = $1 AND currency = $2",
                               DB_VALUES(DB_T(name), DB_T(currency)), NULL, err);
  if (!ok) {
    return false;
  }
  ledger_touch(l, a);
  *a = wanted;
  return true;
}

/* ---- transfers ---- */

static bool check_name(const char *what, slice name, struct error *err) {
  if (name.len > 0 && name.len <= 256 && memchr(name.ptr, '\n', name.len) == NULL &&
      memchr(name.ptr, '\0', name.len) == NULL) {
    return true;
  }
  return error_set(err, ERR_INVALID, "transfer: %s should have 1 to 256 bytes on one line", what);
}

bool ledger_check_transfer(const struct transfer *t, struct error *err) {
  if (t->id.len == 0 || t->id.len > LEDGER_ID_BYTES_MAX) {
    return error_set(err, ERR_INVALID, "transfer: an id has 1 to %d bytes", LEDGER_ID_BYTES_MAX);
  }
  if (!check_name("from", t->from, err) || !check_name("to", t->to, err)) {
    return false;
  }
  if (currency_find(t->currency) == NULL) {
    return error_set(err, ERR_INVALID, "transfer: \"" SLICE_FMT "\" is no currency", SLICE_ARG(t->currency));
  }
  if (slice_eq(t->from, t->to)) {
    return error_set(err, ERR_INVALID, "transfer: from and to are the same account " SLICE_FMT, SLICE_ARG(t->from));
  }
  return amount_cmp(t->amount, AMOUNT_ZERO) > 0 ||
         error_set(err, ERR_INVALID, "transfer " SLICE_FMT ": the amount should be more than zero", SLICE_ARG(t->id));
}

struct comparison {
  const struct transfer *wanted;
  bool found, same;
};

static bool compare(const struct db_row *row, void *context, struct error *err) {
  struct comparison *c = context;
  const struct transfer *t = c->wanted;
  amount kept;
  if (!db_amount(row, 3, &kept, err)) {
    return false;
  }
  c->found = true;
  c->same = slice_eq(db_bytes(row, 0), t->from) && slice_eq(db_bytes(row, 1), t->to) &&
            slice_eq(db_bytes(row, 2), t->currency) && amount_cmp(kept, t->amount) == 0 &&
            slice_eq(db_bytes(row, 4), t->cause) && slice_eq(db_bytes(row, 5), t->reference);
  return true;
}

/* The time may differ: a retry comes later. */
static bool find_repeated(struct ledger *l, const struct transfer *t, bool *repeated, struct error *err) {
  struct comparison c = {.wanted = t};
  if (!db_query(l->db,
                "SELECT from_account, to_account, currency, amount, cause, reference FROM transfer WHERE id = $1",
                DB_VALUES(DB_T(t->id)), compare, &c, err)) {
    return false;
  }
  *repeated = c.found;
  return !c.found || c.same ||
         error_set(err, ERR_CONFLICT, "transfer " SLICE_FMT " was made before with other content", SLICE_ARG(t->id));
}

bool ledger_post(struct ledger *l, const struct transfer *t, bool *repeated, struct error *err) {
  struct account *from = ledger_place(l, t->from, t->currency), *to = ledger_place(l, t->to, t->currency);
  amount from_after, to_after;
  int64_t changed = 0;
  if (!amount_sub(from->balance, t->amount, &from_after, err) || !amount_add(to->balance, t->amount, &to_after, err)) {
    return error_at(err, "transfer " SLICE_FMT, SLICE_ARG(t->id));
  }
  if (!db_run(l->db,
              "INSERT INTO transfer(id, from_account, to_account, currency, amount, time, cause, reference, "
              "from_balance, to_balance)"
              " VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT(id) DO NOTHING",
              DB_VALUES(DB_T(t->id), DB_T(t->from), DB_T(t->to), DB_T(t->currency), DB_A(t->amount), DB_I(t->time.ns),
                        DB_T(t->cause), DB_T(t->reference), DB_A(from_after), DB_A(to_after)),
              &changed, err)) {
    return false;
  }
  if (changed == 0) {
    return find_repeated(l, t, repeated, err);
  }
  *repeated = false;
  ledger_touch(l, from);
  ledger_touch(l, to);
  from->balance = from_after;
  to->balance = to_after;
  from->entries++;
  to->entries++;
  return true;
}

bool ledger_transfer(struct ledger *l, const struct transfer *t, enum transfer_outcome *outcome, struct error *err) {
  bool repeated = false;
  must(l->magic == LEDGER_MAGIC && db_in_transaction(l->db));
  if (!ledger_check_transfer(t, err)) {
    return false;
  }
  struct error funds = {0};
  bool covered = ledger_check_floor(ledger_place(l, t->from, t->currency), t->amount, &funds);
  /* A retry is answered as the first time, whatever the balance is by now. */
  if (!covered && !find_repeated(l, t, &repeated, err)) {
    return false;
  }
  if (!covered && !repeated) {
    *err = funds;
    return false;
  }
  if (covered && !ledger_post(l, t, &repeated, err)) {
    return false;
  }
  *outcome = repeated ? TRANSFER_REPEATED : TRANSFER_DONE;
  return true;
}

static void undo_to(struct ledger *l, size_t mark) {
  while (l->undo_log.count > mark) {
    struct undo *u = &l->undo_log.items[--l->undo_log.count];
    *u->account = u->before;
  }
}

bool ledger_transfer_all(struct ledger *l, const struct transfer *t, size_t count, struct error *err) {
  size_t mark = l->undo_log.count;
  if (!db_savepoint(l->db, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    enum transfer_outcome outcome;
    if (!ledger_transfer(l, &t[i], &outcome, err)) {
      db_savepoint_rollback(l->db);
      undo_to(l, mark);
      return false;
    }
  }
  return db_savepoint_release(l->db, err);
}

/* ---- reversals ---- */

struct reversal {
  struct arena *arena;
  struct transfer transfer;
  bool found;
};

static bool take_transfer(const struct db_row *row, void *context, struct error *err) {
  struct reversal *r = context;
  r->found = true;
  r->transfer.to = arena_copy(r->arena, db_bytes(row, 0));
  r->transfer.from = arena_copy(r->arena, db_bytes(row, 1));
  r->transfer.currency = arena_copy(r->arena, db_bytes(row, 2));
  return db_amount(row, 3, &r->transfer.amount, err);
}

bool ledger_reverse(struct ledger *l, slice id, instant time, slice reference, struct error *err) {
  struct reversal r = {.arena = arena_new()};
  enum transfer_outcome outcome;
  r.transfer.id = slice_of(arena_printf(r.arena, SLICE_FMT "/reversal", SLICE_ARG(id)));
  r.transfer.time = time;
  r.transfer.cause = SLICE("reversal");
  r.transfer.reference = reference;
  bool ok = db_query(l->db, "SELECT from_account, to_account, currency, amount FROM transfer WHERE id = $1",
                     DB_VALUES(DB_T(id)), take_transfer, &r, err) &&
            (r.found || error_set(err, ERR_NOT_FOUND, "there is no transfer " SLICE_FMT, SLICE_ARG(id))) &&
            ledger_transfer(l, &r.transfer, &outcome, err);
  arena_free(r.arena);
  return ok;
}
