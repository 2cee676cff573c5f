/* On the core thread: how much of a payer's credit is reserved for its calls, out of credit paid in advance, what is
 * left of commitments, and the credit line. */
#include "bill/bill.h"
#include "credit/credit.h"
#include "gateway/private.h"

static bool counts(const struct commitment *c, slice product, instant now) {
  bool any = c->product_count == 0;
  for (size_t i = 0; i < c->product_count && !any; i++) {
    any = slice_eq(c->products[i], product);
  }
  return any && c->kind == COMMITMENT_SPEND && c->from.ns <= now.ns && now.ns < c->to.ns;
}

/* What is left of it as of the last invoice; the whole of it before the first. */
static amount left_of(const struct commitment *c, const struct commitment_state *states, size_t count) {
  const struct commitment_state *last = NULL;
  for (size_t i = 0; i < count; i++) {
    if (slice_eq(states[i].name, c->name) && (last == NULL || states[i].from.ns > last->from.ns)) {
      last = &states[i];
    }
  }
  amount left = last ? last->balance : c->amount;
  return left.e12 > 0 ? left : AMOUNT_ZERO;
}

static bool add_commitments(const struct plan *plan, const struct commitment_state *states, size_t count, slice product,
                            instant now, amount *sum, struct error *err) {
  for (size_t i = 0; plan && i < plan->commitment_count; i++) {
    const struct commitment *c = &plan->commitments[i];
    if (counts(c, product, now) && !amount_add(*sum, left_of(c, states, count), sum, err)) {
      return false;
    }
  }
  return true;
}

/* What a customer has bound itself to spend, it may spend before it is invoiced. */
static bool committed(struct book *book, const struct customer *payer, slice product, instant now, amount *sum,
                      struct error *err) {
  const struct contract *contract = catalog_contract_at(payer, now);
  struct arena *arena = arena_new();
  struct commitment_state *states;
  size_t count;
  *sum = AMOUNT_ZERO;
  bool ok = contract == NULL || (commitment_states(arena, book_db(book), payer->id, &states, &count, err) &&
                                 add_commitments(contract->own, states, count, product, now, sum, err) &&
                                 add_commitments(catalog_customer_plan(book_catalog(book), payer, now), states, count,
                                                 product, now, sum, err));
  arena_free(arena);
  return ok;
}

bool reserve_credit(struct book *book, const struct customer *payer, slice product, amount wanted, amount *granted,
                    struct error *err) {
  instant now = clock_now();
  amount line, commitments;
  if (!credit_line_left(book_db(book), payer, NULL, &line, err) ||
      !committed(book, payer, product, now, &commitments, err) || !amount_add(line, commitments, &line, err)) {
    return false;
  }
  const struct credit_slice_request request = {.customer = payer->id,
                                               .currency = slice_of(payer->currency->code),
                                               .product = product,
                                               .wanted = wanted,
                                               .line = line};
  return credit_slice_reserve(book_db(book), book_ledger(book), &request, now, granted, err) &&
         book_credit_spent(book, payer->id, now, err);
}
