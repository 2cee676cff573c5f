/* Money of a payment to invoices, and back: every step a transfer and a row. */
#include "collect/private.h"

static slice state_of(const struct payment *p, amount waiting) {
  if (amount_cmp(p->refunded, p->amount) == 0) {
    return SLICE("refunded");
  }
  return amount_is_zero(waiting) ? SLICE("matched") : SLICE("unmatched");
}

bool payment_update(const struct collect *c, struct payment *p, struct error *err) {
  amount waiting;
  if (!payment_waiting(p, &waiting, err)) {
    return false;
  }
  must(amount_cmp(waiting, AMOUNT_ZERO) >= 0);
  p->state = state_of(p, waiting);
  return db_run(c->db, "UPDATE payment SET customer = $2, applied = $3, refunded = $4, state = $5 WHERE id = $1",
                DB_VALUES(DB_T(p->id), DB_T(p->customer), DB_A(p->applied), DB_A(p->refunded), DB_T(p->state)), NULL,
                err);
}

static bool take_integer(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(int64_t *)context = db_int(row, 0);
  return true;
}

/* A row of `value` (negative: taken back) and the id of the transfer that goes with it. */
static bool add_row(const struct collect *c, const struct payment *p, slice target, amount value, slice *transfer,
                    struct error *err) {
  int64_t last = 0;
  if (!db_query(c->db, "SELECT coalesce(max(number), 0) FROM payment_allocation WHERE payment = $1",
                DB_VALUES(DB_T(p->id)), take_integer, &last, err)) {
    return false;
  }
  *transfer = slice_of(arena_printf(c->arena, SLICE_FMT "/%lld", SLICE_ARG(p->id), (long long)last + 1));
  return db_run(c->db,
                "INSERT INTO payment_allocation(payment, number, invoice, amount, time) VALUES($1, $2, $3, $4, $5)",
                DB_VALUES(DB_T(p->id), DB_I(last + 1), DB_T(target), DB_A(value), DB_I(c->now.ns)), NULL, err);
}

bool payment_assign(const struct collect *c, struct payment *p, slice customer, struct error *err) {
  amount waiting;
  enum transfer_outcome outcome;
  if (!payment_waiting(p, &waiting, err)) {
    return false;
  }
  struct transfer t = {.id = slice_of(arena_printf(c->arena, SLICE_FMT "/assigned", SLICE_ARG(p->id))),
                       .from = ACCOUNT_SUSPENSE,
                       .to = account_waiting(c->arena, customer),
                       .currency = p->currency,
                       .amount = waiting,
                       .time = c->now,
                       .cause = SLICE("assigned"),
                       .reference = p->id};
  p->customer = customer;
  return (amount_is_zero(waiting) || ledger_transfer(c->ledger, &t, &outcome, err)) && payment_update(c, p, err);
}

/* When that paid it in full it is told, and the customer may be served again. */
static bool after_paying(const struct collect *c, const struct stored_invoice *before, amount value, amount open,
                         struct error *err) {
  return amount_cmp(value, open) != 0 || (collect_tell_invoice(c->db, "invoice.paid", before->id, c->now, err) &&
                                          suspension_review(c, before->customer, err));
}

bool allocate(const struct collect *c, struct payment *p, const struct stored_invoice *invoice, amount most,
              struct error *err) {
  amount value, open, waiting;
  slice transfer;
  if (!invoice_open_amount(invoice, &open, err) || !payment_waiting(p, &waiting, err)) {
    return false;
  }
  value = amount_cmp(waiting, most) < 0 ? waiting : most;
  value = amount_cmp(open, value) < 0 ? open : value;
  if (amount_cmp(value, AMOUNT_ZERO) <= 0) {
    return true;
  }
  if ((p->customer.len == 0 && !payment_assign(c, p, invoice->customer, err)) ||
      !add_row(c, p, invoice->id, value, &transfer, err) ||
      !invoice_pay(c->db, c->ledger, invoice->id, account_waiting(c->arena, p->customer), transfer, value, c->now,
                   err)) {
    return false;
  }
  return amount_add(p->applied, value, &p->applied, err) && payment_update(c, p, err) &&
         after_paying(c, invoice, value, open, err);
}

static bool check_appliable(const struct payment *p, const struct stored_invoice *i, struct error *err) {
  amount open, waiting;
  if (!invoice_open_amount(i, &open, err) || !payment_waiting(p, &waiting, err)) {
    return false;
  }
  if (!slice_eq(p->currency, i->currency)) {
    return error_set(err, ERR_CONFLICT, "payment " SLICE_FMT " is in " SLICE_FMT ", the invoice in " SLICE_FMT,
                     SLICE_ARG(p->id), SLICE_ARG(p->currency), SLICE_ARG(i->currency));
  }
  if (amount_is_zero(waiting)) {
    return error_set(err, ERR_CONFLICT, "nothing of payment " SLICE_FMT " is left to apply", SLICE_ARG(p->id));
  }
  return amount_cmp(open, AMOUNT_ZERO) > 0 ||
         error_set(err, ERR_CONFLICT, "nothing is open on invoice " SLICE_FMT ": it is " SLICE_FMT,
                   SLICE_ARG(i->number), SLICE_ARG(i->status));
}

bool payment_apply(const struct collect *c, slice id, slice name, amount most, struct error *err) {
  struct payment p;
  struct stored_invoice invoice;
  bool found;
  if (!payment_find(c, id, &p, err) || !find_invoice(c, name, &found, &invoice, err)) {
    return false;
  }
  if (!found) {
    return error_set(err, ERR_NOT_FOUND, "there is no invoice \"%.*s\"", (int)(name.len > 60 ? 60 : name.len),
                     name.len ? name.ptr : "");
  }
  if (amount_cmp(most, AMOUNT_ZERO) < 0) {
    return error_set(err, ERR_INVALID, "amount: more than zero is applied");
  }
  return check_appliable(&p, &invoice, err) && allocate(c, &p, &invoice, amount_is_zero(most) ? p.amount : most, err);
}

/* ---- back ---- */

struct last_allocation {
  struct arena *arena;
  struct payment_allocation allocation;
  bool found;
};

static bool take_last(void *context, const struct payment_allocation *a, struct error *err) {
  (void)err;
  struct last_allocation *last = context;
  last->found = true;
  last->allocation =
      (struct payment_allocation){arena_copy(last->arena, a->invoice), arena_copy(last->arena, a->number), a->amount};
  return true;
}

static bool take_back(const struct collect *c, struct payment *p, const struct payment_allocation *a, amount value,
                      struct error *err) {
  slice transfer;
  if (a->number.len == 0) {
    return error_set(err, ERR_CONFLICT, "payment " SLICE_FMT " was spent on " SLICE_FMT ": refund it there",
                     SLICE_ARG(p->id), SLICE_ARG(a->invoice));
  }
  return add_row(c, p, a->invoice, amount_negate(value), &transfer, err) &&
         invoice_unpay(c->db, c->ledger, a->invoice, account_waiting(c->arena, p->customer), transfer, value, c->now,
                       err) &&
         amount_sub(p->applied, value, &p->applied, err) && payment_update(c, p, err);
}

/* Allocations are undone, the last one first, until `wanted` waits. */
static bool free_up(const struct collect *c, struct payment *p, amount wanted, struct error *err) {
  for (;;) {
    amount waiting, lacking;
    struct last_allocation last = {.arena = c->arena};
    if (!payment_waiting(p, &waiting, err) || !amount_sub(wanted, waiting, &lacking, err)) {
      return false;
    }
    if (amount_cmp(lacking, AMOUNT_ZERO) <= 0) {
      return true;
    }
    if (!payment_allocations(c->db, p->id, take_last, &last, err)) {
      return false;
    }
    must(last.found);
    amount value = amount_cmp(last.allocation.amount, lacking) < 0 ? last.allocation.amount : lacking;
    if (!take_back(c, p, &last.allocation, value, err)) {
      return false;
    }
  }
}

static bool pay_back(const struct collect *c, struct payment *p, amount total, amount value, struct error *err) {
  char text[DECIMAL_TEXT_MAX];
  enum transfer_outcome outcome;
  struct transfer t = {
      .id = slice_of(arena_printf(c->arena, SLICE_FMT "/refunded/%s", SLICE_ARG(p->id), amount_text(total, text))),
      .from = account_waiting(c->arena, p->customer),
      .to = ACCOUNT_CASH,
      .currency = p->currency,
      .amount = value,
      .time = c->now,
      .cause = CAUSE_REFUND,
      .reference = p->id};
  p->refunded = total;
  return ledger_transfer(c->ledger, &t, &outcome, err) && payment_update(c, p, err) &&
         tell_payment(c, "payment.refunded", p, err);
}

bool payment_refund(const struct collect *c, slice id, amount total, struct error *err) {
  struct payment p;
  amount value, rounded;
  if (!payment_find(c, id, &p, err)) {
    return false;
  }
  if (amount_is_zero(total)) {
    total = p.amount;
  }
  if (amount_cmp(total, AMOUNT_ZERO) < 0 || amount_cmp(total, p.amount) > 0) {
    return error_set(err, ERR_INVALID, "amount: all refunds of payment " SLICE_FMT " together are at most its amount",
                     SLICE_ARG(p.id));
  }
  if (!amount_round(total, currency_find(p.currency), ROUND_HALF_EVEN, &rounded, err) ||
      !amount_sub(total, p.refunded, &value, err)) {
    return false;
  }
  if (amount_cmp(rounded, total) != 0) {
    return error_set(err, ERR_INVALID, "amount: it has more decimals than its currency");
  }
  return amount_cmp(value, AMOUNT_ZERO) <= 0 || (free_up(c, &p, value, err) && pay_back(c, &p, total, value, err));
}

bool payment_hand_over(const struct collect *c, slice id, slice account, slice purpose, struct error *err) {
  struct payment p;
  amount waiting;
  enum transfer_outcome outcome;
  struct transfer t = {.to = account, .time = c->now, .cause = SLICE("handed over"), .reference = purpose};
  if (!payment_find(c, id, &p, err) || !payment_waiting(&p, &waiting, err)) {
    return false;
  }
  if (amount_is_zero(waiting)) {
    return error_set(err, ERR_CONFLICT, "nothing of payment " SLICE_FMT " is left", SLICE_ARG(p.id));
  }
  t.from = account_waiting(c->arena, p.customer);
  t.currency = p.currency;
  t.amount = waiting;
  return add_row(c, &p, purpose, waiting, &t.id, err) && ledger_transfer(c->ledger, &t, &outcome, err) &&
         amount_add(p.applied, waiting, &p.applied, err) && payment_update(c, &p, err);
}
