/* Inside ledger: accounts in memory, and the log that undoes a batch. */
#ifndef METERHOUSE_LEDGER_PRIVATE_H
#define METERHOUSE_LEDGER_PRIVATE_H
#include "base/hash.h"
#include "ledger/ledger.h"

#define LEDGER_MAGIC 0x4d484c44u

struct undo {
  struct account *account;
  struct account before;
};
struct ledger {
  uint32_t magic;
  struct db *db;
  struct arena *arena;
  struct map places; /* "name\ncurrency" to the account */
  VEC(struct account *) accounts;
  VEC(struct undo) undo_log;
};

/* The account, made in memory when it is not there yet. */
struct account *ledger_place(struct ledger *l, slice name, slice currency);
struct account *ledger_find(struct ledger *l, slice name, slice currency); /* NULL when there is none */
/* Remembers the account as it is, before it changes. */
void ledger_touch(struct ledger *l, struct account *a);
MUST_USE bool ledger_check_transfer(const struct transfer *t, struct error *err);
/* balance - held - `leaving` >= floor, or ERR_FUNDS. */
MUST_USE bool ledger_check_floor(const struct account *a, amount leaving, struct error *err);
/* Writes a transfer that passed its checks and moves the balances; *repeated when its id was there already. */
MUST_USE bool ledger_post(struct ledger *l, const struct transfer *t, bool *repeated, struct error *err);
#endif
