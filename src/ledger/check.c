/* The ledger's invariants, by replaying every stored row beside the balances in memory. */
#include "ledger/private.h"
#include <stdlib.h>
#include <string.h>

struct check {
  struct ledger *live;
  struct ledger *replayed; /* accounts alone, without a store */
  void (*bad)(void *context, const char *what);
  void *context;
};

static void compare(struct check *c, const char *what, slice where, amount stored, amount sum) {
  char a[DECIMAL_TEXT_MAX], b[DECIMAL_TEXT_MAX];
  if (amount_cmp(stored, sum) != 0) {
    tell(c->bad, c->context, "ledger: " SLICE_FMT ": %s is %s, its entries sum to %s", SLICE_ARG(where), what,
         amount_text(stored, a), amount_text(sum, b));
  }
}

static bool replay_transfer(const struct db_row *row, void *context, struct error *err) {
  struct check *c = context;
  slice id = db_bytes(row, 0), currency = db_bytes(row, 3);
  amount value, from_after, to_after;
  struct error why = {0};
  if (!db_amount(row, 4, &value, &why) || !db_amount(row, 5, &from_after, &why) ||
      !db_amount(row, 6, &to_after, &why)) {
    tell(c->bad, c->context, "ledger: transfer " SLICE_FMT ": %s", SLICE_ARG(id), why.message);
    return true;
  }
  struct account *from = ledger_place(c->replayed, db_bytes(row, 1), currency),
                 *to = ledger_place(c->replayed, db_bytes(row, 2), currency);
  if (amount_cmp(value, AMOUNT_ZERO) <= 0 || from == to) {
    tell(c->bad, c->context, "ledger: transfer " SLICE_FMT " moves nothing", SLICE_ARG(id));
  }
  if (!amount_sub(from->balance, value, &from->balance, err) || !amount_add(to->balance, value, &to->balance, err)) {
    return false;
  }
  from->entries++;
  to->entries++;
  char where[512];
  snprintf(where, sizeof where, "transfer " SLICE_FMT ", account " SLICE_FMT, SLICE_ARG(id), SLICE_ARG(from->name));
  compare(c, "the balance after it", slice_of(where), from_after, from->balance);
  snprintf(where, sizeof where, "transfer " SLICE_FMT ", account " SLICE_FMT, SLICE_ARG(id), SLICE_ARG(to->name));
  compare(c, "the balance after it", slice_of(where), to_after, to->balance);
  return true;
}

static bool replay_hold(const struct db_row *row, void *context, struct error *err) {
  struct check *c = context;
  struct account *a = ledger_place(c->replayed, db_bytes(row, 0), db_bytes(row, 1));
  amount value;
  return db_amount(row, 2, &value, err) && amount_add(a->held, value, &a->held, err);
}

static void check_live(struct check *c) {
  for (size_t i = 0; i < c->live->accounts.count; i++) {
    const struct account *a = c->live->accounts.items[i], *r = ledger_place(c->replayed, a->name, a->currency);
    struct error why = {0};
    compare(c, "the balance", a->name, a->balance, r->balance);
    compare(c, "what is held", a->name, a->held, r->held);
    if (a->entries != r->entries) {
      tell(c->bad, c->context, "ledger: " SLICE_FMT ": the number of entries is wrong", SLICE_ARG(a->name));
    }
    if (!ledger_check_floor(a, AMOUNT_ZERO, &why)) {
      tell(c->bad, c->context, "ledger: %s", why.message);
    }
  }
}

/* Every currency sums to zero over all accounts. */
static bool check_zero(struct check *c, struct error *err) {
  for (size_t i = 0; i < c->replayed->accounts.count; i++) {
    slice currency = c->replayed->accounts.items[i]->currency;
    amount sum = AMOUNT_ZERO;
    bool first = true;
    for (size_t j = 0; j < c->replayed->accounts.count; j++) {
      const struct account *a = c->replayed->accounts.items[j];
      if (!slice_eq(a->currency, currency)) {
        continue;
      }
      first = first && j >= i;
      if (!amount_add(sum, a->balance, &sum, err)) {
        return false;
      }
    }
    if (first) {
      compare(c, "the sum of all accounts", currency, AMOUNT_ZERO, sum);
    }
  }
  return true;
}

bool ledger_check(struct ledger *l, void (*bad)(void *context, const char *what), void *context, struct error *err) {
  struct ledger replayed = {.magic = LEDGER_MAGIC, .arena = arena_new()};
  struct check c = {l, &replayed, bad, context};
  bool ok = db_query(l->db,
                     "SELECT id, from_account, to_account, currency, amount, from_balance, to_balance FROM transfer "
                     "ORDER BY sequence",
                     DB_NO_VALUES, replay_transfer, &c, err) &&
            db_query(l->db, "SELECT from_account, currency, amount FROM hold WHERE state = 'open'", DB_NO_VALUES,
                     replay_hold, &c, err);
  if (ok) {
    check_live(&c);
    ok = check_zero(&c, err);
  }
  map_free(&replayed.places);
  vec_free(&replayed.accounts);
  vec_free(&replayed.undo_log);
  arena_free(replayed.arena);
  return ok;
}
