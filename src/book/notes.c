/* Credit notes on the book: made, and told like any other document. */
#include "book/private.h"
#include "collect/collect.h"

/* An invoice that a note settles is told as paid, and its customer may be served again. */
static bool settled(struct book *book, struct arena *arena, const struct note_result *note, instant now,
                    struct error *err) {
  const struct collect c = {book->db, book->ledger, book->catalog, now, arena};
  return book_tell_invoice(book, "invoice.paid", note->invoice, err) && suspension_review(&c, note->customer, err);
}

bool book_credit_note(struct book *book, struct arena *arena, const struct note_request *request,
                      struct note_result *out, struct error *err) {
  const struct note_keeping k = {book->db, book->ledger, book->catalog, clock_now()};
  return note_create(arena, &k, request, out, err) &&
         (out->repeated || (book_tell_invoice(book, "invoice.finalized", out->id, err) &&
                            (!out->settled || settled(book, arena, out, k.now, err))));
}
