/* Inside credit: grants read from the store, and the one way anything is taken of them. */
#ifndef METERHOUSE_CREDIT_PRIVATE_H
#define METERHOUSE_CREDIT_PRIVATE_H
#include "credit/credit.h"

#define POCKET_BREAKAGE SLICE("revenue/breakage")

static inline amount smaller(amount a, amount b) {
  return amount_cmp(a, b) < 0 ? a : b;
}
static inline amount larger(amount a, amount b) {
  return amount_cmp(a, b) > 0 ? a : b;
}

struct grant_list {
  struct arena *arena;
  VEC(struct credit_grant) items;
};
/* The columns take_grant reads, in this order. */
#define GRANT_COLUMNS                                                                                                  \
  "id, customer, currency, kind, amount, remaining, priority, scope, effective, expires, reference, note, created,"    \
  " source, pocket, state"
/* A db_each over GRANT_COLUMNS; the context is a struct grant_list. */
bool take_grant(const struct db_row *row, void *context, struct error *err);
bool take_integer(const struct db_row *row, void *context, struct error *err); /* a db_each; into an int64_t */
MUST_USE bool find_grant(struct arena *arena, struct db *db, slice id, struct credit_grant *out, struct error *err);
/* All grants of a customer with something left, in order, `available` set: what no hold reserves, also of expired and
 * revoked ones; nothing of those that are FUTURE and not effective at `at`. */
MUST_USE bool load_open(struct db *db, slice customer, slice currency, instant at, struct grant_list *out,
                        struct error *err);
/* One whose end has not come and that was not revoked. */
bool is_usable(const struct credit_grant *g, instant at);
/* Its end has come, and no hold stands on all that is left of it. */
bool has_expired_part(const struct credit_grant *g, instant at);
/* Sets `available` of the grants of a pocket, in order, when `held` of it is reserved. */
MUST_USE bool reserve(struct grant_list *list, slice pocket, instant at, amount held, struct error *err);
/* Those that can be spent and have something available, into the arena. */
void give_usable(struct arena *arena, const struct grant_list *list, instant at, struct credit_grants *out);

enum move_kind { MOVE_DRAW, MOVE_CONSUME, MOVE_EXPIRE, MOVE_REVOKE, MOVE_RETURN };
const char *move_kind_name(enum move_kind kind);
/* Takes from the grant (MOVE_RETURN: gives to it) and keeps that it did. */
MUST_USE bool move(struct db *db, const struct credit_grant *g, enum move_kind kind, slice reference, amount value,
                   instant now, struct error *err);
/* Takes `value` out of the grant and its pocket: expiry or revocation. */
MUST_USE bool take_out(struct db *db, struct ledger *ledger, const struct credit_grant *g, enum move_kind kind,
                       amount value, instant now, struct error *err);
/* credit_expire for one customer; *count goes up. */
MUST_USE bool expire_of(struct db *db, struct ledger *ledger, slice customer, slice currency, instant now,
                        size_t *count, struct error *err);
MUST_USE bool check_name(const char *what, slice text, size_t bytes_max, struct error *err);
/* Credit that is not effective lies apart, where no hold reaches it. */
slice future_pocket(struct arena *arena, slice customer);
/* 1 to CREDIT_ID_BYTES_MAX letters, digits and "._:-". */
MUST_USE bool check_id(const char *what, slice id, struct error *err);

/* ---- usage not invoiced yet, and the slice for running calls: one hold on each pocket for both ---- */
#define CAUSE_UNBILLED SLICE("unbilled usage")

struct unbilled_period {
  instant to;
  amount spent, reserved, was_reserved; /* as stored: `was_reserved` */
  bool over;                            /* its invoice is made: to be deleted */
};
/* What is held of a pocket, or on the line, and what is to be. */
struct unbilled_part {
  slice account;
  amount held, wanted;
};
struct unbilled {
  struct arena *arena;
  slice customer, currency;
  VEC(struct unbilled_period) periods; /* the first first */
  amount slice, was_slice;
  amount spent;                    /* sums over periods */
  struct grant_list grants;        /* as load_open */
  VEC(struct unbilled_part) parts; /* pockets in the order their grants are spent; the line is the last */
};
/* `wanted` of each part is what is held. To be freed in any case; what it names is in the arena. */
MUST_USE bool unbilled_load(struct arena *arena, struct db *db, slice customer, slice currency, instant at,
                            struct unbilled *out, struct error *err);
void unbilled_free(struct unbilled *u);
/* The sum over parts, with and without the line. */
MUST_USE bool unbilled_held(const struct unbilled *u, amount *in_pockets, amount *on_line, struct error *err);
/* Sets the holds to what is wanted, and stores periods and slice where they changed. */
MUST_USE bool unbilled_store(struct db *db, struct ledger *ledger, struct unbilled *u, instant now, struct error *err);
MUST_USE bool check_unbilled(struct db *db, struct ledger *ledger, told *bad, void *context, struct error *err);
slice line_account(struct arena *arena, slice customer); /* "customer/ID/line" */
#endif
