/* Documents: stored invoices (the JSON of bill) turned into what others read: PDF to send, UBL for their books, FOCUS
 * for their cost tools, CSV for their sheets. Everything here is pure: the document alone decides. docs/documents.md.
 */
#ifndef METERHOUSE_DOCUMENTS_DOCUMENTS_H
#define METERHOUSE_DOCUMENTS_DOCUMENTS_H
#include "bill/bill.h"

/* PDF (A4) from the JSON document alone, so that a stored invoice prints the same for ever. `logo_path` may be empty.
 * ERR_INVALID: not a document of ours. */
MUST_USE bool document_pdf(slice document_json, slice logo_path, struct buf *out, struct error *err);
#endif
