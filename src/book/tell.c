/* What happened to an invoice, as a message for webhooks, inside the transaction that made it happen. */
#include "book/private.h"
#include "collect/collect.h"

bool book_tell_invoice(struct book *book, const char *type, slice invoice, struct error *err) {
  return collect_tell_invoice(book_db(book), type, invoice, clock_now(), err);
}
