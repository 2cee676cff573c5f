/* The invariants of collecting: payments, their allocations, the ledger and the invoices agree. */
#include "collect/private.h"
#include <stdlib.h>

struct sum {
  slice name, currency;
  amount amount;
};
struct check {
  const struct collect *c;
  told *bad;
  void *context;
  VEC(struct sum) waiting; /* by account and currency */
  struct map places;       /* to the place in `waiting`, from 1 */
};

static amount *sum_of(struct check *check, slice name, slice currency) {
  slice key = slice_of(arena_printf(check->c->arena, SLICE_FMT "\n" SLICE_FMT, SLICE_ARG(name), SLICE_ARG(currency)));
  size_t place = (size_t)(uintptr_t)map_get(&check->places, key);
  if (place == 0) {
    vec_push(&check->waiting,
             (struct sum){arena_copy(check->c->arena, name), arena_copy(check->c->arena, currency), AMOUNT_ZERO});
    place = check->waiting.count;
    *map_put(&check->places, key) = (void *)(uintptr_t)place;
  }
  return &check->waiting.items[place - 1].amount;
}

static bool add_allocation(void *context, const struct payment_allocation *a, struct error *err) {
  amount *sum = context;
  return amount_add(*sum, a->amount, sum, err);
}

static bool check_payment(void *context, const struct payment *p, struct error *err) {
  struct check *check = context;
  amount allocated = AMOUNT_ZERO, waiting;
  if (!payment_allocations(check->c->db, p->id, add_allocation, &allocated, err) ||
      !payment_waiting(p, &waiting, err)) {
    return false;
  }
  if (amount_cmp(allocated, p->applied) != 0) {
    tell(check->bad, check->context, "payment " SLICE_FMT ": its allocations do not sum to what it says is applied",
         SLICE_ARG(p->id));
  }
  if (amount_cmp(waiting, AMOUNT_ZERO) < 0 || amount_cmp(p->applied, AMOUNT_ZERO) < 0 ||
      amount_cmp(p->refunded, AMOUNT_ZERO) < 0) {
    tell(check->bad, check->context, "payment " SLICE_FMT ": more is applied and refunded than was received",
         SLICE_ARG(p->id));
  }
  const char *state = amount_cmp(p->refunded, p->amount) == 0 ? "refunded"
                      : amount_is_zero(waiting)               ? "matched"
                                                              : "unmatched";
  if (!slice_is(p->state, state)) {
    tell(check->bad, check->context, "payment " SLICE_FMT ": it says it is " SLICE_FMT " and should be %s",
         SLICE_ARG(p->id), SLICE_ARG(p->state), state);
  }
  amount *sum = sum_of(check, account_waiting(check->c->arena, p->customer), p->currency);
  return amount_add(*sum, waiting, sum, err);
}

/* An account that holds nothing need not exist. */
static bool check_waiting(struct check *check, struct error *err) {
  for (size_t i = 0; i < check->waiting.count; i++) {
    const struct sum *s = &check->waiting.items[i];
    struct account account = {0};
    struct error none = {0};
    if (!ledger_account(check->c->ledger, s->name, s->currency, &account, &none) && none.code != ERR_NOT_FOUND) {
      *err = none;
      return false;
    }
    if (amount_cmp(account.balance, s->amount) != 0) {
      tell(check->bad, check->context, "account " SLICE_FMT ": its balance is not what the payments have waiting there",
           SLICE_ARG(s->name));
    }
  }
  return true;
}

static bool add_amount(const struct db_row *row, void *context, struct error *err) {
  amount value, *sum = context;
  return db_amount(row, 0, &value, err) && amount_add(*sum, value, sum, err);
}

/* What an invoice was paid by payments is what the ledger moved to it for payments. */
static bool check_invoice(void *context, const struct stored_invoice *i, struct error *err) {
  struct check *check = context;
  amount allocated = AMOUNT_ZERO, paid, refunded;
  if (!db_query(check->c->db, "SELECT amount FROM payment_allocation WHERE invoice = $1", DB_VALUES(DB_T(i->id)),
                add_amount, &allocated, err) ||
      !ledger_sum(check->c->ledger, i->id, CAUSE_PAYMENT, i->currency, &paid, err) ||
      !ledger_sum(check->c->ledger, i->id, CAUSE_REFUND, i->currency, &refunded, err) ||
      !amount_sub(paid, refunded, &paid, err)) {
    return false;
  }
  if (amount_cmp(allocated, paid) != 0) {
    tell(check->bad, check->context,
         "invoice " SLICE_FMT ": the allocations of payments are not what its transfers say", SLICE_ARG(i->number));
  }
  if (amount_cmp(i->paid, i->total) > 0 && amount_cmp(i->total, AMOUNT_ZERO) > 0) {
    tell(check->bad, check->context, "invoice " SLICE_FMT ": more is paid than its total", SLICE_ARG(i->number));
  }
  return true;
}

static bool orphan(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  const struct check *check = context;
  tell(check->bad, check->context, SLICE_FMT " " SLICE_FMT ": there is no such invoice of this customer",
       SLICE_ARG(db_bytes(row, 0)), SLICE_ARG(db_bytes(row, 1)));
  return true;
}

bool collect_check(const struct collect *c, told *bad, void *context, struct error *err) {
  struct check check = {.c = c, .bad = bad, .context = context};
  struct payment_query payments = {.limit = SIZE_MAX};
  struct invoice_query invoices = {.limit = SIZE_MAX};
  bool ok = payment_list(c->db, &payments, check_payment, &check, err) && check_waiting(&check, err) &&
            invoice_list(c->db, &invoices, check_invoice, &check, err) &&
            db_query(c->db,
                     "SELECT 'dunning step of', d.invoice FROM dunning d LEFT JOIN invoice i ON i.id = d.invoice AND"
                     " i.customer = d.customer WHERE i.id IS NULL",
                     DB_NO_VALUES, orphan, &check, err) &&
            db_query(c->db,
                     "SELECT 'suspension for', s.invoice FROM suspension s LEFT JOIN invoice i ON i.id = s.invoice AND"
                     " i.customer = s.customer WHERE i.id IS NULL",
                     DB_NO_VALUES, orphan, &check, err);
  vec_free(&check.waiting);
  map_free(&check.places);
  return ok;
}
