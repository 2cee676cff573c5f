/* Inside bill: a credit note on its way, from what earlier notes left of an invoice to the document of a new one. */
#ifndef METERHOUSE_BILL_NOTING_H
#define METERHOUSE_BILL_NOTING_H
#include "bill/private.h"

/* A line of the invoice: as it was billed, what earlier notes that stand took off it, and what this one takes. None of
 * them is below zero, but for the exact amounts of lines that are. */
struct noted_line {
  const struct json *json;
  slice number;
  size_t tax; /* its place among the taxes */
  amount billed, exact;
  quantity billed_quantity;
  amount credited, exact_credited;
  quantity credited_quantity;
  bool taken;
  amount now, exact_now;
  quantity quantity_now; /* zero when only money is taken off */
};
/* Lines that are taxed alike. `net` is the sum of their amounts, below zero ones included. */
struct noted_tax {
  const struct json *json; /* NULL: not taxed */
  slice name;
  rate rate;
  amount net, tax;
  amount net_credited, tax_credited;
  amount net_now, tax_now;
};
struct noting {
  struct arena *arena;
  struct stored_invoice invoice;
  const struct json *document;
  const struct currency *currency;
  struct noted_line *lines;
  size_t line_count;
  struct noted_tax *taxes;
  size_t tax_count;
  amount granted;                           /* of earlier notes, made prepaid credit */
  amount subtotal, exact, tax, total, left; /* of this note, above zero; left: what can still be credited before it */
};

/* Reads the invoice and all notes for it that stand. ERR_NOT_FOUND; ERR_CORRUPT when they take more than there was. */
MUST_USE bool noting_load(struct arena *arena, struct db *db, slice invoice, struct noting *out, struct error *err);
/* NULL when there is none of that number. */
struct noted_line *noting_line(struct noting *n, slice number);
/* Decides what the request takes off which line and tax. ERR_INVALID or ERR_CONFLICT say what is wrong with it. */
MUST_USE bool noting_take(struct noting *n, const struct note_request *request, struct error *err);
/* The document in its compact form, into an empty buffer; id and number empty: a draft. */
void note_document(const struct noting *n, const struct note_request *request, slice id, slice number, instant issued,
                   struct buf *out);
/* Does the note say anything of this tax? */
bool noted_tax_is_touched(const struct noted_tax *t);
#endif
