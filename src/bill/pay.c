/* Payments of kept invoices, and what went back of them: ledger and invoice in one step, each transfer once. */
#include "bill/private.h"

static bool set_paid(struct db *db, slice id, amount paid, amount open, struct error *err) {
  return db_run(db, "UPDATE invoice SET paid = $2, status = $3 WHERE id = $1",
                DB_VALUES(DB_T(id), DB_A(paid), DB_T(settled_status(open))), NULL, err);
}

/* Of this invoice, in its currency. `again`: it stood already. */
static bool transfer_of(struct ledger *ledger, const struct stored_invoice *i, struct transfer t, bool *again,
                        struct error *err) {
  enum transfer_outcome outcome;
  t.currency = i->currency;
  t.reference = i->id;
  if (!ledger_transfer(ledger, &t, &outcome, err)) {
    return false;
  }
  *again = outcome == TRANSFER_REPEATED;
  return true;
}

static bool book_payment(struct db *db, struct ledger *ledger, const struct stored_invoice *i, slice from,
                         slice transfer_id, amount value, instant now, struct error *err) {
  char receivable[ACCOUNT_NAME_MAX];
  struct transfer t = {.id = transfer_id,
                       .from = from,
                       .to = slice_of(account_receivable(i->customer, receivable)),
                       .amount = value,
                       .time = now,
                       .cause = CAUSE_PAYMENT};
  bool again = false;
  amount open;
  if (!transfer_of(ledger, i, t, &again, err) || again) {
    return again;
  }
  if (!slice_is(i->status, "finalized")) {
    return error_set(err, ERR_CONFLICT, "invoice " SLICE_FMT " is " SLICE_FMT ": it takes no payment", SLICE_ARG(i->id),
                     SLICE_ARG(i->status));
  }
  struct stored_invoice after = *i;
  if (!amount_add(i->paid, value, &after.paid, err) || !stored_invoice_open(&after, &open, err)) {
    return false;
  }
  if (amount_cmp(open, AMOUNT_ZERO) < 0) {
    return error_set(err, ERR_INVALID, "this payment is more than what is open on invoice " SLICE_FMT,
                     SLICE_ARG(i->id));
  }
  return set_paid(db, i->id, after.paid, open, err);
}

bool invoice_pay(struct db *db, struct ledger *ledger, slice id, slice from, slice transfer_id, amount value,
                 instant now, struct error *err) {
  struct arena *arena = arena_new();
  struct stored_invoice i;
  bool ok =
      stored_invoice_find(arena, db, id, &i, err) && book_payment(db, ledger, &i, from, transfer_id, value, now, err);
  arena_free(arena);
  return ok;
}

static bool book_refund(struct db *db, struct ledger *ledger, const struct stored_invoice *i, slice to,
                        slice transfer_id, amount value, instant now, struct error *err) {
  char receivable[ACCOUNT_NAME_MAX];
  struct transfer t = {.id = transfer_id,
                       .from = slice_of(account_receivable(i->customer, receivable)),
                       .to = to,
                       .amount = value,
                       .time = now,
                       .cause = CAUSE_REFUND};
  bool again = false;
  amount open;
  if (!transfer_of(ledger, i, t, &again, err) || again) {
    return again;
  }
  struct stored_invoice after = *i;
  if (!amount_sub(i->paid, value, &after.paid, err) || !stored_invoice_open(&after, &open, err)) {
    return false;
  }
  if (amount_cmp(after.paid, AMOUNT_ZERO) < 0) {
    return error_set(err, ERR_CONFLICT, "invoice " SLICE_FMT ": more would go back than was paid", SLICE_ARG(i->id));
  }
  return set_paid(db, i->id, after.paid, open, err);
}

bool invoice_unpay(struct db *db, struct ledger *ledger, slice id, slice to, slice transfer_id, amount value,
                   instant now, struct error *err) {
  struct arena *arena = arena_new();
  struct stored_invoice i;
  bool ok =
      stored_invoice_find(arena, db, id, &i, err) && book_refund(db, ledger, &i, to, transfer_id, value, now, err);
  arena_free(arena);
  return ok;
}
