/* Billing: charges become an invoice whose lines, taxes and total agree to the last digit, numbered without gaps,
 * finalized exactly once. Building an invoice is pure; keeping it is one transaction. docs/invoicing.md. */
#ifndef METERHOUSE_BILL_BILL_H
#define METERHOUSE_BILL_BILL_H
#include "ledger/ledger.h"
#include "rate/rate.h"

enum invoice_status { INVOICE_DRAFT, INVOICE_FINALIZED, INVOICE_PAID, INVOICE_VOID };
const char *invoice_status_name(enum invoice_status s);

/* An invoice at the beginning of a contract or phase that holds what is charged in advance, and no usage. */
#define INVOICE_OPENING SLICE("opening")
struct invoice_line {
  uint32_t number; /* 1.. */
  const struct charge *charge;
  slice description;    /* "H100 on demand" */
  slice dates;          /* "2026-10-01 to 2026-10-15" when the segment is not the whole period, else empty */
  amount exact, amount; /* amount: exact rounded half-even to the minor unit; the rest is booked to "rounding" */
};
struct invoice_tax {
  const struct tax *tax;
  amount base, amount;
}; /* one a tax, rounded once */
struct invoice {
  slice id, number; /* number empty in a draft */
  enum invoice_status status;
  const struct catalog *catalog;
  const struct customer *customer;
  struct period period;
  slice part;          /* INVOICE_OPENING, or empty: the invoice of the period */
  instant issued, due; /* 0 in a draft */
  const struct invoice_line *lines;
  size_t line_count; /* no line for a charge of zero usage and zero amount */
  const struct invoice_tax *taxes;
  size_t tax_count;
  amount exact;                          /* sum of the lines before rounding */
  amount subtotal, rounding, tax, total; /* subtotal = sum of lines; rounding = subtotal - exact */
  instant as_of; /* levels still open were metered up to here; 0 or the end of the period and later: to its end */
  uint64_t usage_events;
  char usage_digest[65]; /* evidence: the events this was made of */
  const struct rating *rating;
};
/* Pure: a draft from a rating. Lives in the arena. */
MUST_USE bool invoice_build(struct arena *arena, const struct catalog *catalog, const struct rating *rating,
                            uint64_t usage_events, const char usage_digest[65], struct invoice *out, struct error *err);
/* Is the customer owed? Then the document is a credit note, of a series of its own. */
bool invoice_is_credit(const struct invoice *invoice);
/* Gives a draft its number and dates (due = issued + the customer's payment days). */
void invoice_issue(struct arena *arena, struct invoice *invoice, slice id, slice number, instant issued);

/* Canonical JSON document, money as strings, every line with its trace; ends with "seal": BLAKE2b-256 over the document
 * without it. Deterministic: same invoice, same bytes. */
void invoice_to_json(const struct invoice *invoice, struct buf *out);
/* For the terminal. */
void invoice_to_text(const struct invoice *invoice, struct buf *out);
/* Does `document` (bytes of an invoice's JSON, pretty or not) agree with `derived`, member by member, and its seal with
 * its content? Every difference is told to `bad` with its path, both values; false + ERR_INVALID when there was any.
 * status, issue date, id and number are taken as given but are under the seal. */
MUST_USE bool invoice_verify(slice document, const struct invoice *derived,
                             void (*bad)(void *context, const char *what), void *context, struct error *err);
/* The adjustments on a document, one span for each invoice it adjusts; and the charges as the document states them, for
 * who can not derive them. In the arena. */
MUST_USE bool invoice_adjustments(struct arena *arena, const struct catalog *catalog, slice document,
                                  struct adjustment_span **spans, size_t *span_count, struct charge **charges,
                                  size_t *charge_count, struct error *err);
/* PDF (A4) from the JSON document alone, so that a stored invoice prints the same for ever. `logo_path` may be empty.
 */
MUST_USE bool invoice_pdf(slice document_json, slice logo_path, struct buf *out, struct error *err);
/* Prints how line `number` of the document came to be: usage, price with FILE:LINE, tiers, amounts, rounding. */
MUST_USE bool invoice_explain(slice document_json, uint32_t number, struct buf *out, struct error *err);

/* ---- kept invoices ---- */
extern const struct db_migration bill_migrations[];
extern const size_t bill_migration_count;
struct stored_invoice {
  slice id, number, customer, currency, period, part, status;
  amount total, paid;
  instant issued, due, from, to; /* from, to: the period */
  slice document;                /* JSON */
  uint64_t journal_position;
};
/* One step, inside the caller's transaction: number, document, and transfers: exact charges per product from
 * "customer/ID/receivable" to "revenue/PRODUCT", tax to "tax/NAME", rounding to or from "rounding". When the customer
 * already has a finalized (not void) invoice of this period `*existed` is set and that one's id is returned: never two.
 */
MUST_USE bool invoice_finalize(struct arena *arena, struct db *db, struct ledger *ledger, struct invoice *draft,
                               instant now, uint64_t journal_position, bool *existed, slice *id, struct error *err);
MUST_USE bool invoice_pay(struct db *db, struct ledger *ledger, slice id, slice payment_id, amount amount, instant now,
                          struct error *err); /* paid when covered; over-payment refused */
MUST_USE bool
invoice_void(struct db *db, struct ledger *ledger, slice id, instant now,
             struct error *err); /* reverses its transfers; the number stays used; paid ones are refused */
struct json_out;
void stored_invoice_put(struct json_out *w,
                        const struct stored_invoice *i); /* the summary of it, without the document */
typedef bool (*invoice_each)(void *context, const struct stored_invoice *i, struct error *err);
struct invoice_query {
  slice id, customer, period, status, after_id;
  size_t limit;
  bool with_document;
}; /* empties match all; id also matches a number; by id */
MUST_USE bool invoice_list(struct db *db, const struct invoice_query *query, invoice_each each, void *context,
                           struct error *err);
/* Numbers without gaps, documents with intact seals and agreeing columns, total = its transfers, one live invoice a
 * customer and period. */
MUST_USE bool invoice_check(struct db *db, struct ledger *ledger, void (*bad)(void *context, const char *what),
                            void *context, uint64_t *invoices, struct error *err);
#endif
