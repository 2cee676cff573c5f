/* Inside documents: what several kinds of document ask of an invoice's JSON. */
#ifndef METERHOUSE_DOCUMENTS_PRIVATE_H
#define METERHOUSE_DOCUMENTS_PRIVATE_H
#include "base/json.h"
#include "documents/documents.h"

/* The document as a tree, its currency known. */
MUST_USE bool document_open(struct arena *arena, slice bytes, const struct json **document,
                            const struct currency **currency, struct error *err);
/* An instant of the document as YYYY-MM-DD in its time zone; `last`: the day before, for an end that is exclusive.
 * Empty for no instant. */
slice document_date(const struct json *document, slice instant_text, bool last, char shown[TIME_TEXT_MAX]);
/* A member that is money, zero when it is absent. */
MUST_USE bool document_amount_or_zero(const struct json *object, const char *key, amount *out, struct error *err);
/* One cell, quoted where needed; `is_words`: guarded against being taken for a formula. */
void csv_put_cell(struct buf *out, slice text, bool is_words);
#endif
