/* Inside credit: grants read from the store, and the one way anything is taken of them. */
#ifndef METERHOUSE_CREDIT_PRIVATE_H
#define METERHOUSE_CREDIT_PRIVATE_H
#include "credit/credit.h"

#define POCKET_BREAKAGE SLICE("revenue/breakage")

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

enum move_kind { MOVE_DRAW, MOVE_CONSUME, MOVE_EXPIRE, MOVE_REVOKE, MOVE_RETURN };
const char *move_kind_name(enum move_kind kind);
/* Takes from the grant (MOVE_RETURN: gives to it) and keeps that it did. */
MUST_USE bool move(struct db *db, const struct credit_grant *g, enum move_kind kind, slice reference, amount value,
                   instant now, struct error *err);
/* Takes `value` out of the grant and its pocket: expiry or revocation. */
MUST_USE bool take_out(struct db *db, struct ledger *ledger, const struct credit_grant *g, enum move_kind kind,
                       amount value, instant now, struct error *err);
MUST_USE bool check_name(const char *what, slice text, size_t bytes_max, struct error *err);
/* Credit that is not effective lies apart, where no hold reaches it. */
slice future_pocket(struct arena *arena, slice customer);
/* 1 to CREDIT_ID_BYTES_MAX letters, digits and "._:-". */
MUST_USE bool check_id(const char *what, slice id, struct error *err);
#endif
