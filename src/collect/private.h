/* Inside collect: accounts, rows, and the steps payments are made of. */
#ifndef METERHOUSE_COLLECT_PRIVATE_H
#define METERHOUSE_COLLECT_PRIVATE_H
#include "base/hash.h"
#include "base/json.h"
#include "collect/collect.h"
#include "notify/notify.h"

#define ACCOUNT_CASH SLICE("cash")
#define ACCOUNT_SUSPENSE SLICE("suspense/bank")

/* Where the money of a payment waits. In the arena. */
slice account_waiting(struct arena *arena, slice customer);
/* amount - applied - refunded */
MUST_USE bool payment_waiting(const struct payment *p, amount *out, struct error *err);
/* Writes applied, refunded, customer and the state that follows from them. */
MUST_USE bool payment_update(const struct collect *c, struct payment *p, struct error *err);
/* Takes up to `most` of what waits of `p` to `invoice`; *p follows. Nothing when one of the two has nothing. */
MUST_USE bool allocate(const struct collect *c, struct payment *p, const struct stored_invoice *invoice, amount most,
                       struct error *err);
/* The payment becomes this customer's, and with it what waits in suspense. */
MUST_USE bool payment_assign(const struct collect *c, struct payment *p, slice customer, struct error *err);

/* An invoice by id or number; *found. In the arena, without its document. */
MUST_USE bool find_invoice(const struct collect *c, slice name, bool *found, struct stored_invoice *out,
                           struct error *err);
MUST_USE bool invoice_open_amount(const struct stored_invoice *i, amount *out, struct error *err);
/* Finalized and not paid: of one customer (empty: all), of one currency (empty: any), due before `due`; oldest due
 * first. */
struct open_invoices {
  struct arena *arena;
  VEC(struct stored_invoice) items; /* vec_free it */
};
MUST_USE bool open_invoices_load(const struct collect *c, slice customer, slice currency, instant due,
                                 struct open_invoices *out, struct error *err);
/* match.c: applies a new payment to what it seems to be for. */
MUST_USE bool match_payment(const struct collect *c, struct payment *p, slice named_invoice, struct error *err);

/* tell.c */
MUST_USE bool tell_payment(const struct collect *c, const char *type, const struct payment *p, struct error *err);
MUST_USE bool tell_customer(const struct collect *c, const char *type, slice customer, slice invoice,
                            struct error *err);
MUST_USE bool tell_overdue(const struct collect *c, const char *type, const struct stored_invoice *i,
                           const struct dunning_event *e, struct error *err);

/* bank_csv.c, bank_camt.c */
MUST_USE bool bank_csv_parse(const char *name, slice bytes, const char *zone, const struct bank_hooks *hooks,
                             struct error *err);
MUST_USE bool bank_camt_parse(const char *name, slice bytes, const char *zone, const struct bank_hooks *hooks,
                              struct error *err);
/* The id of an entry that has none: its content's digest, and which of the equal ones in this file it is. */
struct bank_ids {
  struct arena *arena;
  struct map occurrences;
};
slice bank_derived_id(struct bank_ids *ids, struct arena *arena, const struct payment_request *r);

/* suspend.c */
MUST_USE bool suspend(const struct collect *c, slice customer, slice invoice, bool *changed, struct error *err);
#endif
