/* Reading the ledger: accounts, entries as an account sees them, sums of an invoice's transfers. */
#include "ledger/private.h"
#include <stdlib.h>
#include <string.h>

static bool in_use(const struct account *a) {
  return a->entries > 0 || a->has_floor || !amount_is_zero(a->held);
}

bool ledger_account(struct ledger *l, slice name, slice currency, struct account *out, struct error *err) {
  const struct account *a = ledger_find(l, name, currency);
  if (a && in_use(a)) {
    *out = *a;
    return true;
  }
  return error_set(err, ERR_NOT_FOUND, "there is no account " SLICE_FMT " in " SLICE_FMT, SLICE_ARG(name),
                   SLICE_ARG(currency));
}

static int by_name(const void *a, const void *b) {
  const struct account *x = *(struct account *const *)a, *y = *(struct account *const *)b;
  int order = slice_cmp(x->name, y->name);
  return order != 0 ? order : slice_cmp(x->currency, y->currency);
}

bool ledger_accounts(struct ledger *l, slice prefix, account_each each, void *context, struct error *err) {
  if (l->accounts.count > 0) {
    qsort(l->accounts.items, l->accounts.count, sizeof *l->accounts.items, by_name);
  }
  for (size_t i = 0; i < l->accounts.count; i++) {
    const struct account *a = l->accounts.items[i];
    bool matches = a->name.len >= prefix.len && (prefix.len == 0 || memcmp(a->name.ptr, prefix.ptr, prefix.len) == 0);
    if (matches && in_use(a) && !each(context, a, err)) {
      return false;
    }
  }
  return true;
}

struct entries {
  slice account;
  entry_each each;
  void *context;
};

static bool give_entry(const struct db_row *row, void *context, struct error *err) {
  struct entries *e = context;
  bool leaving = slice_eq(db_bytes(row, 2), e->account);
  struct entry entry = {.sequence = (uint64_t)db_int(row, 0),
                        .transfer_id = db_bytes(row, 1),
                        .account = e->account,
                        .other = db_bytes(row, leaving ? 3 : 2),
                        .currency = db_bytes(row, 4),
                        .cause = db_bytes(row, 7),
                        .reference = db_bytes(row, 8),
                        .time = {db_int(row, 6)}};
  if (!db_amount(row, 5, &entry.amount, err) || !db_amount(row, leaving ? 9 : 10, &entry.balance_after, err)) {
    return false;
  }
  if (leaving) {
    entry.amount = amount_negate(entry.amount);
  }
  return e->each(e->context, &entry, err);
}

bool ledger_entries(struct ledger *l, slice account, slice currency, uint64_t after, size_t limit, entry_each each,
                    void *context, struct error *err) {
  struct entries e = {account, each, context};
  int64_t rows = limit > INT64_MAX ? INT64_MAX : (int64_t)limit;
  return db_query(
      l->db,
      "SELECT sequence, id, from_account, to_account, currency, amount, time, cause, reference, from_balance, "
      "to_balance FROM transfer"
      " WHERE (from_account = $1 OR to_account = $1) AND currency = $2 AND sequence > $3 ORDER BY sequence LIMIT $4",
      DB_VALUES(DB_T(account), DB_T(currency), DB_I((int64_t)after), DB_I(rows)), give_entry, &e, err);
}

static bool add_amount(const struct db_row *row, void *context, struct error *err) {
  amount value, *sum = context;
  return db_amount(row, 0, &value, err) && amount_add(*sum, value, sum, err);
}

bool ledger_sum(struct ledger *l, slice reference, slice cause, slice currency, amount *out, struct error *err) {
  *out = AMOUNT_ZERO;
  return db_query(l->db, "SELECT amount FROM transfer WHERE reference = $1 AND cause = $2 AND currency = $3",
                  DB_VALUES(DB_T(reference), DB_T(cause), DB_T(currency)), add_amount, out, err);
}

struct latest {
  int64_t sequence;
  amount balance;
};

static bool take_latest(const struct db_row *row, void *context, struct error *err) {
  struct latest *l = context;
  if (db_int(row, 0) < l->sequence) {
    return true;
  }
  l->sequence = db_int(row, 0);
  return db_amount(row, 1, &l->balance, err);
}

bool ledger_balance(struct db *db, slice account, slice currency, amount *out, struct error *err) {
  struct latest l = {0};
  bool ok = db_query(db,
                     "SELECT sequence, from_balance FROM transfer WHERE from_account = $1 AND currency = $2"
                     " ORDER BY sequence DESC LIMIT 1",
                     DB_VALUES(DB_T(account), DB_T(currency)), take_latest, &l, err) &&
            db_query(db,
                     "SELECT sequence, to_balance FROM transfer WHERE to_account = $1 AND currency = $2"
                     " ORDER BY sequence DESC LIMIT 1",
                     DB_VALUES(DB_T(account), DB_T(currency)), take_latest, &l, err);
  *out = l.balance;
  return ok;
}

struct holds {
  hold_each each;
  void *context;
};

static bool give_hold(const struct db_row *row, void *context, struct error *err) {
  const struct holds *h = context;
  struct open_hold hold = {
      .id = db_bytes(row, 0), .from = db_bytes(row, 1), .currency = db_bytes(row, 2), .reference = db_bytes(row, 4)};
  return db_amount(row, 3, &hold.amount, err) && h->each(h->context, &hold, err);
}

bool ledger_open_holds(struct db *db, slice cause, hold_each each, void *context, struct error *err) {
  struct holds h = {each, context};
  return db_query(db,
                  "SELECT id, from_account, currency, amount, reference FROM hold WHERE state = 'open' AND cause = $1"
                  " ORDER BY id",
                  DB_VALUES(DB_T(cause)), give_hold, &h, err);
}

bool ledger_held(struct db *db, slice account, slice currency, amount *out, struct error *err) {
  *out = AMOUNT_ZERO;
  return db_query(db, "SELECT amount FROM hold WHERE from_account = $1 AND currency = $2 AND state = 'open'",
                  DB_VALUES(DB_T(account), DB_T(currency)), add_amount, out, err);
}
