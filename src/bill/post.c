/* The transfers of an invoice: from the receivable to what its lines, taxes and credits are of. */
#include "bill/private.h"
#include <stdlib.h>

struct posting {
  struct arena *arena;
  const struct invoice *invoice;
  slice receivable;
  VEC(struct transfer) transfers;
};

/* Moves `value` from the receivable; a negative one moves the other way. Nothing for zero. */
static void post(struct posting *p, const char *what, slice to, amount value, slice cause) {
  if (amount_is_zero(value)) {
    return;
  }
  bool back = amount_cmp(value, AMOUNT_ZERO) < 0;
  vec_push(&p->transfers,
           (struct transfer){
               .id = slice_of(arena_printf(p->arena, SLICE_FMT "/%s", SLICE_ARG(p->invoice->id), what)),
               .from = back ? to : p->receivable,
               .to = back ? p->receivable : to,
               .currency = slice_of(p->invoice->customer->currency->code),
               .amount = back ? amount_negate(value) : value,
               .time = p->invoice->issued,
               .cause = back && (slice_eq(cause, CAUSE_CHARGE) || slice_eq(cause, CAUSE_TAX)) ? CAUSE_CREDIT : cause,
               .reference = p->invoice->id});
}

/* Bought is owed to the customer until usage is paid from it: revenue is what usage earned. */
static slice account_of_line(struct posting *p, const struct invoice_line *line) {
  const struct charge *c = line->charge;
  char account[ACCOUNT_NAME_MAX];
  if (line->credit) {
    return line->credit->grant->pocket;
  }
  if (c->kind == CHARGE_COMMITMENT || c->kind == CHARGE_DRAWDOWN) {
    return account_commitment(p->arena, p->invoice->customer->id, c->commitment->name);
  }
  return arena_copy(p->arena, slice_of(account_revenue(c->product, account)));
}

static void post_lines(struct posting *p) {
  for (size_t i = 0; i < p->invoice->line_count; i++) {
    const struct invoice_line *line = &p->invoice->lines[i];
    slice to = account_of_line(p, line);
    post(p, arena_printf(p->arena, "line/%u", line->number), to, line->exact, CAUSE_CHARGE);
  }
}

static void post_taxes(struct posting *p) {
  for (size_t i = 0; i < p->invoice->tax_count; i++) {
    char account[ACCOUNT_NAME_MAX];
    slice to = arena_copy(p->arena, slice_of(account_tax(p->invoice->taxes[i].tax->name, account)));
    post(p, arena_printf(p->arena, "tax/%zu", i + 1), to, p->invoice->taxes[i].amount, CAUSE_TAX);
  }
}

static void post_prepaid(struct posting *p) {
  for (size_t i = 0; i < p->invoice->credit_count; i++) {
    const struct credit_use *use = &p->invoice->credits[i];
    post(p, arena_printf(p->arena, "prepaid/%zu", i + 1), use->grant->pocket, amount_negate(use->amount),
         CAUSE_PREPAID);
  }
}

/* What was bought and is lost: numbered as the documents' commitments to spend are. */
static void post_breakage(struct posting *p) {
  for (size_t i = 0; i < p->invoice->commitment_count; i++) {
    const struct invoice_commitment *c = &p->invoice->commitments[i];
    if (c->span->commitment->shape == COMMITMENT_PREPAID && !amount_is_zero(c->expired)) {
      vec_push(&p->transfers,
               (struct transfer){
                   .id = slice_of(arena_printf(p->arena, SLICE_FMT "/breakage/%zu", SLICE_ARG(p->invoice->id), i + 1)),
                   .from = account_commitment(p->arena, p->invoice->customer->id, c->span->commitment->name),
                   .to = ACCOUNT_BREAKAGE,
                   .currency = slice_of(p->invoice->customer->currency->code),
                   .amount = c->expired,
                   .time = p->invoice->issued,
                   .cause = CAUSE_BREAKAGE,
                   .reference = p->invoice->id});
    }
  }
}

bool post_invoice(struct arena *arena, struct ledger *ledger, const struct invoice *invoice, struct error *err) {
  char account[ACCOUNT_NAME_MAX];
  struct posting p = {.arena = arena, .invoice = invoice};
  p.receivable = arena_copy(arena, slice_of(account_receivable(invoice->customer->id, account)));
  post_lines(&p);
  post(&p, "rounding", SLICE("rounding"), invoice->rounding,
       amount_cmp(invoice->rounding, AMOUNT_ZERO) > 0 ? CAUSE_ROUNDING_UP : CAUSE_ROUNDING_DOWN);
  post_taxes(&p);
  post_prepaid(&p);
  post_breakage(&p);
  bool ok = p.transfers.count == 0 || ledger_transfer_all(ledger, p.transfers.items, p.transfers.count, err);
  vec_free(&p.transfers);
  return ok;
}
