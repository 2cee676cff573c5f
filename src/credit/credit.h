/* Credits: what a customer paid in advance, or was given, as grants with a priority, a scope of products and an end;
 * and the order in which invoices and holds spend them. Rows say which grant has how much left, the ledger holds the
 * money: the balance of a pocket is what is left of its grants, always. docs/credits.md is the user's manual. What
 * changes anything runs in the caller's transaction; what reads needs no ledger, so a reader beside the writer gives
 * the same answers. The time is always the caller's. */
#ifndef METERHOUSE_CREDIT_CREDIT_H
#define METERHOUSE_CREDIT_CREDIT_H
#include "base/hash.h"
#include "catalog/catalog.h"
#include "ledger/ledger.h"
#include "store/store.h"

#define CREDIT_ID_BYTES_MAX 64
#define CREDIT_SCOPE_MAX 20 /* products of one grant */
#define CREDIT_TEXT_BYTES_MAX 200
#define CREDIT_PRIORITY_MAX 100
#define CREDIT_GRANTS_MAX 1000 /* of one customer with something left */
#define CREDIT_RETURN_DAYS 30  /* what a void gives back may be used this long, whatever the grant's end was */

extern const struct db_migration credit_migrations[];
extern const size_t credit_migration_count;

enum credit_kind { CREDIT_PREPAID, CREDIT_PROMOTIONAL, CREDIT_REFERRAL, CREDIT_KINDS };
const char *credit_kind_name(enum credit_kind kind);                                /* "prepaid" ... */
MUST_USE bool credit_kind_of(slice name, enum credit_kind *out, struct error *err); /* ERR_INVALID names them all */
int credit_priority_of(enum credit_kind kind); /* when none is given: 50 for prepaid, 10 */

/* FUTURE: not effective yet, its money lies apart. REVOKED: taken back; what holds reserve of it goes once they end. */
enum credit_state { CREDIT_FUTURE, CREDIT_OPEN, CREDIT_REVOKED };

struct credit_grant {
  slice id, customer, currency;
  enum credit_kind kind;
  amount amount;      /* as given, > 0 */
  amount remaining;   /* what no invoice, settled hold, expiry or revocation took */
  amount available;   /* of credit_open and credit_list: remaining less what open holds reserve of it */
  int priority;       /* lower goes first */
  const slice *scope; /* products it pays, sorted, each once; none: all */
  size_t scope_count;
  instant effective, expires; /* [effective, expires); INSTANT_MAX: never */
  slice reference, note;
  instant created;
  slice source; /* account it came from: "cash", "promotion/referral" */
  slice pocket; /* account its money lies in */
  enum credit_state state;
};

/* The order in which grants are spent: priority, then the one that ends first, then the one that began first, then id.
 * Total, so that the same grants always go in the same order. For qsort over struct credit_grant. */
int credit_order(const void *a, const void *b);
/* Does it pay for this product? One without a scope pays for all; so does any when `product` is empty and it has none.
 */
bool credit_covers(const struct credit_grant *grant, slice product);

/* ---- giving and taking back ---- */
/* id, kind, amount, priority, scope (any order), effective, expires, reference, note; source empty: by kind; currency
 * empty: the customer's. The same id again changes nothing (*repeated); with other content it is ERR_CONFLICT. Prepaid
 * comes from "cash", the others from "promotion/KIND". ERR_INVALID: another currency than the customer's, a field out
 * of its limits. */
MUST_USE bool credit_add(struct db *db, struct ledger *ledger, const struct customer *customer,
                         const struct credit_grant *wanted, instant now, bool *repeated, struct error *err);
/* Ends one now: what is free of it goes where expired credit goes, the rest when the holds on it end. */
MUST_USE bool credit_end(struct db *db, struct ledger *ledger, slice id, instant now, struct error *err);
/* The same, but back where it came from: a refund of prepaid credit, a promotion withdrawn. */
MUST_USE bool credit_revoke(struct db *db, struct ledger *ledger, slice id, instant now, struct error *err);
/* Makes grants effective that have become so, and books what has expired: prepaid to "revenue/breakage", the others
 * back where they came from. What open holds reserve stays until they end. *count: grants that something was taken of.
 */
MUST_USE bool credit_expire(struct db *db, struct ledger *ledger, instant now, size_t *count, struct error *err);

/* Would that change anything? Reads alone. */
MUST_USE bool credit_is_due(struct db *db, instant now, bool *out, struct error *err);

/* ---- reading ---- */
typedef bool (*credit_each)(void *context, const struct credit_grant *g, struct error *err);
struct credit_query {
  slice id, customer, after_id;
  size_t limit;
}; /* empties match all; by id */
MUST_USE bool credit_list(struct db *db, const struct credit_query *query, credit_each each, void *context,
                          struct error *err);
struct credit_grants {
  const struct credit_grant *items;
  size_t count;
};
/* The grants that can be spent at `at`, in order, each with what is available of it; those with nothing available are
 * left out. In the arena. */
MUST_USE bool credit_open(struct arena *arena, struct db *db, slice customer, slice currency, instant at,
                          struct credit_grants *out, struct error *err);
/* The sum of that over grants that pay for `product` (empty: those without a scope alone). */
MUST_USE bool credit_available(struct db *db, slice customer, slice currency, slice product, instant at, amount *out,
                               struct error *err);

struct credit_pocket_balance {
  slice pocket;
  const slice *scope; /* of its grants */
  size_t scope_count;
  amount balance, held, available; /* available: of grants that can be spent; expired ones may wait for credit_expire */
};
struct credit_balance {
  amount available, held; /* over all pockets */
  const struct credit_pocket_balance *pockets;
  size_t pocket_count;
  struct credit_grants grants; /* as of credit_open */
};
/* What a customer has, as of `at`; pockets that grants have something in. In the arena. */
MUST_USE bool credit_balance(struct arena *arena, struct db *db, slice customer, slice currency, instant at,
                             struct credit_balance *out, struct error *err);

/* ---- invoices: they post the transfers, these keep the grants in step ---- */
struct credit_use {
  const struct credit_grant *grant;
  amount amount; /* > 0 */
};
/* Makes what is effective at `now` spendable; to be called before money leaves a pocket. */
MUST_USE bool credit_activate(struct db *db, struct ledger *ledger, slice customer, instant now, struct error *err);
/* Takes the amounts from the grants. ERR_CONFLICT when one has less available by now: the invoice is to be made anew.
 */
MUST_USE bool credit_draw(struct db *db, const struct credit_use *uses, size_t count, slice invoice, instant now,
                          struct error *err);
/* Gives back all that was drawn for an invoice; it can be used for at least CREDIT_RETURN_DAYS from now. What goes back
 * to a revoked grant is taken back again. To be called after the transfers are reversed. */
MUST_USE bool credit_return(struct db *db, struct ledger *ledger, slice invoice, instant now, struct error *err);
/* What was drawn of a grant (empty: of all) for an invoice. */
MUST_USE bool credit_drawn(struct db *db, slice grant, slice invoice, amount *out, struct error *err);

/* ---- holds: reserve, then settle up to that, or release; each idempotent under its id ---- */
struct credit_hold_request {
  slice id, customer, currency;
  slice product; /* what it is for: grants with this scope are used as well; may be empty */
  slice to;      /* account a settlement goes to: "revenue/PRODUCT", "customer/ID/receivable" */
  slice reference;
  amount amount;
  instant expires; /* ledger_expire releases it then */
};
/* ERR_FUNDS when less is available. */
MUST_USE bool credit_hold(struct db *db, struct ledger *ledger, const struct credit_hold_request *request, instant now,
                          enum transfer_outcome *outcome, struct error *err);
/* Posts `amount` of it, reduces the grants in order, frees the rest. Then credit may be low: credit_top_up_check. */
MUST_USE bool credit_settle(struct db *db, struct ledger *ledger, slice hold_id, amount amount, instant now,
                            struct error *err);
MUST_USE bool credit_release(struct db *db, struct ledger *ledger, slice hold_id, instant now, struct error *err);
/* For who settles holds of a pocket by ledger_settle itself: what left the pocket is taken from its grants, in order,
 * in the same transaction. */
MUST_USE bool credit_consume(struct db *db, slice pocket, slice currency, amount amount, slice reference, instant now,
                             struct error *err);

/* ---- usage that is not invoiced yet ----
 * What was used since the last invoice is *unbilled*: it stays reserved, on the customer's pockets and then on its
 * credit line, until the invoice of its period ends the reservation and draws exactly. A *slice* is reserved in advance
 * for calls that run; its owner divides it in memory. Between two reserves usage is covered by the slice, so always
 *   reserved + slice >= spent + what runs,   as long as what runs + what was spent since the last reserve <= granted.
 * Both are one hold a pocket (and one on the line, "customer/ID/line"), without an end: credit under it does not
 * expire. All inside the caller's transaction. A customer's slice is for one product: what was reserved of a pocket for
 * one is not looked at again when another is named later. */

/* What was used, >= 0, of the period that ends at `period_to`. Nothing is checked: the caller had it in its slice. */
MUST_USE bool credit_unbilled_add(struct db *db, slice customer, slice currency, instant period_to, amount amount,
                                  struct error *err);
struct credit_slice_request {
  slice customer, currency;
  slice product; /* credit with this scope is used as well; may be empty */
  amount wanted; /* to be reserved beyond all that is spent: for what runs, and some more */
  amount least;  /* when not even this can be had, no more is taken than is reserved already; may be 0 */
  amount line;   /* may be reserved on the credit line at most: credit_line_left; 0 without one */
};
/* Makes the reservations equal to what is spent, out of the slice, and the slice as much of `wanted` as there is:
 * pockets in the order of credit_order, then the line. `*granted` <= wanted is the slice from now on; it is less than
 * it was when `wanted` is less, or when usage took of it and there is no more. A line that is made smaller than what is
 * held on it keeps that and gives no more. ERR_INVALID: an amount below 0. */
MUST_USE bool credit_slice_reserve(struct db *db, struct ledger *ledger, const struct credit_slice_request *request,
                                   instant now, amount *granted, struct error *err);
/* Nothing runs: the slice ends, what is spent stays reserved. */
MUST_USE bool credit_slice_release(struct db *db, struct ledger *ledger, slice customer, slice currency, instant now,
                                   struct error *err);
/* The same for every customer, to be called before the first slice is given: calls that died with the process end, what
 * was settled before is spent. *count: slices that were left. */
MUST_USE bool credit_slices_recover(struct db *db, struct ledger *ledger, instant now, size_t *count,
                                    struct error *err);
/* The invoice of the period that ends at `period_to` is being made: what was spent until then is taken out of the slice
 * where it was not reserved yet, and all of it is free, for the invoice to draw. Pockets go first, in order, the line
 * last. Expired credit that it stood on can be used for CREDIT_RETURN_DAYS. */
MUST_USE bool credit_unbilled_end(struct db *db, struct ledger *ledger, slice customer, slice currency,
                                  instant period_to, instant now, struct error *err);
/* What credit_open would give after credit_unbilled_end, without changing anything: for a draft of that invoice. */
MUST_USE bool credit_open_to_invoice(struct arena *arena, struct db *db, slice customer, slice currency,
                                     instant period_to, instant at, struct credit_grants *out, struct error *err);
struct credit_unbilled {
  amount spent, reserved, slice;
  amount in_pockets, on_line; /* where reserved + slice is held */
};
MUST_USE bool credit_unbilled(struct db *db, slice customer, slice currency, struct credit_unbilled *out,
                              struct error *err);
/* As the customer sees it, when `free_of_slice` of its slice is not in use by a call: that is available, and what is
 * spent is no longer held. Without a line available + held + what of `unbilled` pockets hold = balance of the pockets.
 */
struct credit_standing {
  amount available, held, unbilled; /* held: by what runs, and by other holds */
  amount line_used;                 /* of the credit line, by usage and what runs; invoices come on top */
};
MUST_USE bool credit_standing(struct db *db, slice customer, slice currency, instant at, amount free_of_slice,
                              struct credit_standing *out, struct error *err);
/* What invoices leave of a customer's credit line: the line less what is owed on its receivable, not below 0. Not asked
 * of customers with unlimited_credit. `*owed` (may be NULL): that. */
MUST_USE bool credit_line_left(struct db *db, const struct customer *customer, amount *owed, amount *out,
                               struct error *err);

#define CREDIT_POCKET_MAX 256
/* The pocket of grants with this scope: "customer/ID/credit", or "customer/ID/credit/scope-..." */
char *credit_pocket(slice customer, const slice *scope, size_t scope_count, char name[CREDIT_POCKET_MAX]);

/* ---- top-ups: asked for when little is left, paid by whoever takes payments ---- */
struct credit_top_up {
  slice id, customer, currency, state; /* "requested", "paid", "failed" */
  amount amount;
  instant created, decided; /* decided 0: not yet */
};
/* Asks for one, by the customer's rule or the plan's, when less than its threshold is available to all products, none
 * is open, and fewer than its number were asked for this month of the customer's time zone. Tells "top_up.requested".
 */
MUST_USE bool credit_top_up_check(struct db *db, const struct catalog *catalog, const struct customer *customer,
                                  instant now, bool *requested, struct error *err);
/* The same for every customer with a rule. */
MUST_USE bool credit_top_ups_due(struct db *db, const struct catalog *catalog, instant now, size_t *requested,
                                 struct error *err);
/* The payment came: makes the prepaid grant, whose id is the top-up's, once. ERR_CONFLICT when it has failed. */
MUST_USE bool credit_top_up_paid(struct db *db, struct ledger *ledger, const struct catalog *catalog, slice id,
                                 slice reference, instant now, struct error *err);
/* It will not come. ERR_CONFLICT when it is paid. */
MUST_USE bool credit_top_up_failed(struct db *db, slice id, instant now, struct error *err);
typedef bool (*credit_top_up_each)(void *context, const struct credit_top_up *t, struct error *err);
MUST_USE bool credit_top_up_list(struct db *db, const struct credit_query *query, credit_top_up_each each,
                                 void *context, struct error *err);

/* Remaining = amount less what was taken; a pocket holds what is left of its grants and nothing else; no grant is
 * overdrawn. Each break is told to `bad`. */
MUST_USE bool credit_check(struct db *db, struct ledger *ledger, void (*bad)(void *context, const char *what),
                           void *context, struct error *err);
#endif
