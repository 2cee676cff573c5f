/* Credit on the book: drafts that use it, finalizing with it, and what the clock makes due. */
#include "book/private.h"
#include "credit/credit.h"

/* An invoice of a period has what is reserved for its usage as well; an opening holds none. */
static bool credit_of(struct book *book, struct rating_set *set, const struct rating *rating, struct credit_grants *out,
                      struct error *err) {
  slice id = rating->customer->id, currency = slice_of(rating->customer->currency->code);
  return rating->opening
             ? credit_open(set->arena, book->db, id, currency, set->as_of, out, err)
             : credit_open_to_invoice(set->arena, book->db, id, currency, rating->period.to, set->as_of, out, err);
}

/* Nothing is to be billed for the period: nothing stays reserved for it. */
static bool end_empty(struct book *book, const struct rating *rating, instant now, struct error *err) {
  return rating->opening ||
         credit_unbilled_end(book->db, book->ledger, rating->customer->id, slice_of(rating->customer->currency->code),
                             rating->period.to, now, err);
}

bool book_invoice(struct book *book, struct rating_set *set, const struct rating *rating, struct invoice *out,
                  struct error *err) {
  const struct customer *customer = rating->customer;
  struct credit_grants grants;
  if (!credit_of(book, set, rating, &grants, err)) {
    return false;
  }
  struct commitment_state *commitments;
  size_t commitment_count;
  if (!commitment_states(set->arena, book->db, customer->id, &commitments, &commitment_count, err)) {
    return false;
  }
  const struct invoice_purse purse = {.grants = grants.items,
                                      .grant_count = grants.count,
                                      .commitments = commitments,
                                      .commitment_count = commitment_count};
  return rating_set_invoice(set, book->catalog, rating, &purse, out, err);
}

bool book_finalize(struct book *book, struct rating_set *set, const struct rating *rating, struct invoice *out,
                   bool *existed, slice *id, struct error *err) {
  *existed = false;
  *id = (slice){0};
  if (!book_invoice(book, set, rating, out, err)) {
    return false;
  }
  if (out->line_count == 0) {
    return end_empty(book, rating, set->as_of, err);
  }
  if (!invoice_finalize(set->arena, book->db, book->ledger, out, set->as_of, set->journal_position, existed, id, err)) {
    return false;
  }
  bool covered = invoice_is_covered(out);
  return *existed || (book_tell_invoice(book, "invoice.finalized", *id, err) &&
                      (!covered || book_tell_invoice(book, "invoice.paid", *id, err)) &&
                      book_credit_spent(book, rating->customer->id, set->as_of, err));
}

bool book_credit_spent(struct book *book, slice customer, instant now, struct error *err) {
  const struct customer *known = catalog_customer(book->catalog, customer);
  bool requested;
  return known == NULL || credit_top_up_check(book->db, book->catalog, known, now, &requested, err);
}

bool book_credits_due(struct book *book, instant now, struct credit_run *out, struct error *err) {
  *out = (struct credit_run){0};
  /* Holds first: what they reserved may be what expires. */
  return ledger_expire(book->ledger, now, &out->released, err) &&
         credit_expire(book->db, book->ledger, now, &out->expired, err) &&
         credit_top_ups_due(book->db, book->catalog, now, &out->top_ups, err);
}
