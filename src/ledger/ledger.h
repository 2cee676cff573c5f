/* The ledger: double entry, append only, exact. Transfers move money between two accounts of one currency; holds
 * reserve it in two phases; an account with a floor never falls below it, not even for an instant. docs/ledger.md
 * states the invariants. */
#ifndef METERHOUSE_LEDGER_LEDGER_H
#define METERHOUSE_LEDGER_LEDGER_H
#include "base/time.h"
#include "money/money.h"
#include "store/store.h"

#define LEDGER_ID_BYTES_MAX 128
extern const struct db_migration ledger_migrations[];
extern const size_t ledger_migration_count;

struct ledger; /* balances in memory, entries in the store */
MUST_USE bool ledger_open(struct db *db, struct ledger **out, struct error *err);
void ledger_close(struct ledger *ledger);

/* Accounts are named by path: "customer/acme/receivable", "revenue/GPU compute", "tax/nl-standard", "rounding", "cash".
 * Made on first use; the currency is part of the identity. */
struct account {
  slice name, currency;
  amount balance; /* credits minus debits: what others owe through it is negative */
  amount held;    /* sum of open holds that would leave it */
  bool has_floor;
  amount floor; /* balance - held >= floor, checked in the same step as the posting */
  uint64_t entries;
};
/* available = balance - held */
MUST_USE bool ledger_account(struct ledger *ledger, slice name, slice currency, struct account *out,
                             struct error *err); /* ERR_NOT_FOUND */
MUST_USE bool ledger_set_floor(struct ledger *ledger, slice name, slice currency, bool has_floor, amount floor,
                               struct error *err);

enum transfer_outcome { TRANSFER_DONE, TRANSFER_REPEATED };
struct transfer {
  slice id;       /* unique for ever; same id and content again = TRANSFER_REPEATED, other content = ERR_CONFLICT */
  slice from, to; /* account names; different */
  slice currency;
  amount amount; /* > 0 */
  instant time;
  slice cause;     /* "charge", "tax", "rounding", "payment", "grant", "reversal" ... */
  slice reference; /* invoice id, lease id ...; may be empty */
};
/* All inside the caller's transaction; ledger_undo gives back what was done in memory since the last ledger_done.
 * Errors: ERR_FUNDS (floor), ERR_CONFLICT, ERR_INVALID, ERR_OVERFLOW. */
MUST_USE bool ledger_transfer(struct ledger *ledger, const struct transfer *t, enum transfer_outcome *outcome,
                              struct error *err);
/* All or none. */
MUST_USE bool ledger_transfer_all(struct ledger *ledger, const struct transfer *t, size_t count, struct error *err);
/* The same amount back, id "<id>/reversal". */
MUST_USE bool ledger_reverse(struct ledger *ledger, slice id, instant time, slice reference, struct error *err);

/* Two phases: hold reserves; settle posts up to the held amount to `to` and frees the rest; release frees all. Each is
 * idempotent under its hold id. A hold past `expires` is released by ledger_expire. */
MUST_USE bool ledger_hold(struct ledger *ledger, const struct transfer *t, instant expires,
                          enum transfer_outcome *outcome, struct error *err);
MUST_USE bool ledger_settle(struct ledger *ledger, slice hold_id, amount amount, instant time, struct error *err);
MUST_USE bool ledger_release(struct ledger *ledger, slice hold_id, instant time, struct error *err);
MUST_USE bool ledger_expire(struct ledger *ledger, instant now, size_t *released, struct error *err);
MUST_USE bool ledger_expiry_is_due(struct db *db, instant now, bool *due, struct error *err);
/* Sets an open hold to `t->amount`, up or down: makes it when there is none, ends it without a trace at zero, so that a
 * reservation that grows stays one row. More than before has to be there: ERR_FUNDS. ERR_CONFLICT: a hold of that id
 * was made with other accounts, currency, cause or reference, or has ended. */
MUST_USE bool ledger_change_hold(struct ledger *ledger, const struct transfer *t, instant expires, struct error *err);
void ledger_done(struct ledger *ledger);
void ledger_undo(struct ledger *ledger);

/* Reading. `after` pages by the sequence number of the entry (0: from the start); at most `limit` rows. */
struct entry {
  uint64_t sequence;
  slice transfer_id, account, other, currency, cause, reference;
  amount amount; /* signed, as the account sees it */
  amount balance_after;
  instant time;
};
typedef bool (*account_each)(void *context, const struct account *a, struct error *err);
typedef bool (*entry_each)(void *context, const struct entry *e, struct error *err);
MUST_USE bool ledger_accounts(struct ledger *ledger, slice prefix, account_each each, void *context,
                              struct error *err); /* by name */
MUST_USE bool ledger_entries(struct ledger *ledger, slice account, slice currency, uint64_t after, size_t limit,
                             entry_each each, void *context, struct error *err);
/* Sum of transfers with this reference and cause, from account prefix to account prefix (empties match all). */
MUST_USE bool ledger_sum(struct ledger *ledger, slice reference, slice cause, slice currency, amount *out,
                         struct error *err);
/* What open holds reserve of an account, from the store alone: for who reads beside the writer. */
MUST_USE bool ledger_held(struct db *db, slice account, slice currency, amount *out, struct error *err);
/* The balance of an account, from the store alone; zero when there is none. */
MUST_USE bool ledger_balance(struct db *db, slice account, slice currency, amount *out, struct error *err);
/* What an open hold reserves, from the store alone; zero when there is none of that id. */
MUST_USE bool ledger_hold_amount(struct db *db, slice id, amount *out, struct error *err);
/* The open holds of a cause, by id, from the store alone. */
struct open_hold {
  slice id, from, currency, reference;
  amount amount;
};
typedef bool (*hold_each)(void *context, const struct open_hold *h, struct error *err);
MUST_USE bool ledger_open_holds(struct db *db, slice cause, hold_each each, void *context, struct error *err);
/* The invariants over the stored rows and the memory: every currency sums to zero; balance = sum of entries; running
 * balances chain; held = open holds; no account below its floor. Each break is told to `bad`. */
MUST_USE bool ledger_check(struct ledger *ledger, void (*bad)(void *context, const char *what), void *context,
                           struct error *err);
#endif
