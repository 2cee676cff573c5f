/* Documents: stored invoices (the JSON of bill) turned into what others read: PDF to send, UBL for their books, FOCUS
 * for their cost tools, CSV for their sheets. Everything here is pure: the document alone decides. docs/documents.md.
 */
#ifndef METERHOUSE_DOCUMENTS_DOCUMENTS_H
#define METERHOUSE_DOCUMENTS_DOCUMENTS_H
#include "bill/bill.h"

/* PDF (A4) from the JSON document alone, so that a stored invoice prints the same for ever. The logo is the
 * seller's in the catalog, which may be NULL. ERR_INVALID: not a document of ours. */
MUST_USE bool document_pdf(slice document_json, const struct catalog *catalog, struct buf *out, struct error *err);
/* UBL 2.1 XML after EN 16931 and Peppol BIS Billing 3, an invoice (380) or a credit note (381). ERR_INVALID names all
 * that the norm asks for and the document does not have (a draft has no number), or sums of it that do not agree. */
MUST_USE bool document_ubl(slice document_json, struct buf *out, struct error *err);

/* ---- CSV (RFC 4180, CRLF) of anything that is a list of JSON objects ----
 * Columns stand in the order they are first met; a nested object gives columns by dotted names, an array its JSON. Text
 * that a spreadsheet would take for a formula (it begins with = + - @, tab or CR and is no number) gets an apostrophe
 * in front; numbers are left as they are. */
struct csv_sheet;
struct csv_sheet *csv_sheet_new(void);
void csv_sheet_free(struct csv_sheet *sheet); /* NULL is fine */
/* Adds a row; ERR_INVALID: not a JSON object; ERR_LIMIT: more than 1024 columns. */
MUST_USE bool csv_sheet_add(struct csv_sheet *sheet, slice json_object, struct error *err);
void csv_sheet_write(const struct csv_sheet *sheet, struct buf *out);
/* The same of a whole answer {"data": [...], "next_cursor": ...}; ERR_INVALID when it is no list. The cursor (empty:
 * the list ends here) is in the arena. */
MUST_USE bool csv_from_list(struct arena *arena, slice json, struct buf *out, slice *next_cursor, struct error *err);

/* ---- FOCUS 1.4: four datasets as CSV, made from issued invoices. docs/documents.md has the mapping ----
 * The rows of an invoice sum to what is payable on it, exactly; roundings are rows of their own. */
enum focus_dataset {
  FOCUS_COST_AND_USAGE,
  FOCUS_INVOICE_DETAIL,
  FOCUS_BILLING_PERIOD,
  FOCUS_CONTRACT_COMMITMENT,
  FOCUS_DATASETS
};
const char *focus_dataset_name(enum focus_dataset dataset); /* "cost-and-usage" */
struct focus;
/* `catalog` tells list prices and minimums of contracts; it may be NULL (then list prices are the contracted ones) and
 * must outlive the result. Each dataset is held to `limit_bytes`. */
struct focus *focus_new(const struct catalog *catalog, size_t limit_bytes);
void focus_free(struct focus *focus); /* NULL is fine */
/* Adds an invoice; `status` is that of the books ("void": it stays in Invoice Detail alone). Errors: ERR_INVALID (a
 * draft, not a document of ours), ERR_LIMIT; after one the datasets are not to be used. */
MUST_USE bool focus_add(struct focus *focus, slice document_json, slice status, struct error *err);
/* The dataset with its line of names; to be asked for once all invoices are in. Lives as long as `focus`. */
slice focus_dataset(struct focus *focus, enum focus_dataset dataset);
#endif
