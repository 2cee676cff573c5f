/* Billing: charges become an invoice whose lines, taxes and total agree to the last digit, numbered without gaps,
 * finalized exactly once. Building an invoice is pure; keeping it is one transaction. docs/invoicing.md. */
#ifndef METERHOUSE_BILL_BILL_H
#define METERHOUSE_BILL_BILL_H
#include "credit/credit.h"
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
  const struct credit_use *credit; /* CREDIT: the grant that pays, and how much; the line is that below zero */
  const struct invoice_tax *tax;   /* one of the invoice's; NULL: not taxed */
  bool has_gross;                  /* the price includes tax: exact and amount are net, these are as priced */
  amount gross, gross_exact;
};
/* One a tax and rate, rounded once. */
struct invoice_tax {
  const struct tax *tax;
  rate rate; /* at the tax point */
  amount base, amount;
  bool has_gross;
  amount gross, included; /* sum of what its lines cost with tax; the tax in it: part of `amount` */
};
/* What a customer brings to an invoice, read by the caller as it stands. */
struct invoice_purse {
  const struct credit_grant *grants; /* that can be spent, in order: credit_open */
  size_t grant_count;
};
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
  const struct credit_use *credits;      /* paid in advance, applied to the total */
  size_t credit_count;
  amount prepaid, amount_due; /* sum of credits; total - prepaid */
  instant as_of; /* levels still open were metered up to here; 0 or the end of the period and later: to its end */
  uint64_t usage_events;
  char usage_digest[65]; /* evidence: the events this was made of */
  const struct rating *rating;
};
/* Pure: a draft from a rating and from what the customer brings (NULL: nothing). Lives in the arena.
 * Promotional and referral credit reduces what is taxed: a line below zero for each grant. Prepaid credit then pays of
 * the total. Neither goes below zero; docs/credits.md has the order. */
MUST_USE bool invoice_build(struct arena *arena, const struct catalog *catalog, const struct rating *rating,
                            const struct invoice_purse *purse, uint64_t usage_events, const char usage_digest[65],
                            struct invoice *out, struct error *err);
/* What a charge of the rating earns: its exact amount, without the tax where the plan's prices include it, to 1e-12. */
MUST_USE bool invoice_charge_net(const struct catalog *catalog, const struct rating *rating,
                                 const struct charge *charge, amount *out, struct error *err);
/* Is the customer owed? Then the document is a credit note, of a series of its own. */
bool invoice_is_credit(const struct invoice *invoice);
/* Does credit pay all of it, so that it is paid at once? */
bool invoice_is_covered(const struct invoice *invoice);
/* Gives a draft its number and dates (due = issued + the customer's payment days). */
void invoice_issue(struct arena *arena, struct invoice *invoice, slice id, slice number, instant issued);

/* Canonical JSON document, money as strings, every line with its trace; ends with "seal": BLAKE2b-256 over the document
 * without it. Deterministic: same invoice, same bytes. */
void invoice_to_json(const struct invoice *invoice, struct buf *out);
/* What a reservation or savings plan did in a period, as an element of "commitments" in documents and answers; with its
 * hours when the coverage holds them. docs/invoicing.md. */
struct json_out;
void coverage_put(struct json_out *w, const struct coverage *c);
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
/* The grants a document used, each as it stood before: what invoice_build needs to come to the same draws. In the
 * arena. */
MUST_USE bool invoice_purse_stated(struct arena *arena, slice document, struct invoice_purse *out, struct error *err);
/* The bytes of a document as a tree, for whoever reads one; ERR_INVALID when it is not one of ours. */
struct json;
#define DOCUMENT_BYTES_MAX ((size_t)256 << 20)
MUST_USE bool document_parse(struct arena *arena, slice bytes, const struct json **out, struct error *err);
/* A kept document in the form for people, one member a line; as it is when it can not be read. */
void document_print(slice document, struct buf *out);
/* A member that is money; the error names it. */
MUST_USE bool document_amount(const struct json *object, const char *key, amount *out, struct error *err);
/* The entry of the document's taxes that a line falls under: the one it names, or the only one; NULL: not taxed. */
const struct json *document_tax_of(const struct json *document, const struct json *line);
/* Prints how line `number` of the document came to be: usage, price with FILE:LINE, tiers, amounts, rounding. */
MUST_USE bool invoice_explain(slice document_json, uint32_t number, struct buf *out, struct error *err);
/* The same of "total", "tax" or "rounding": what they are made of. */
MUST_USE bool invoice_explain_sum(slice document_json, slice what, struct buf *out, struct error *err);
/* A line by its number; ERR_NOT_FOUND says how many there are. */
MUST_USE bool document_line(const struct json *document, uint32_t number, const struct json **out, struct error *err);

/* ---- kept invoices ---- */
#define ACCOUNT_NAME_MAX 256
char *account_receivable(slice customer, char name[ACCOUNT_NAME_MAX]); /* "customer/ID/receivable" */
#define CAUSE_PAYMENT SLICE("payment")
#define CAUSE_REFUND SLICE("refund")
extern const struct db_migration bill_migrations[];
extern const size_t bill_migration_count;
struct stored_invoice {
  slice id, number, customer, currency, period, part, status;
  slice catalog; /* digest of the one it was made with */
  amount total, paid;
  instant issued, due, from, to; /* from, to: the period */
  slice document;                /* JSON */
  uint64_t journal_position;
};
/* One step, inside the caller's transaction: number, document, and transfers: exact charges per product from
 * "customer/ID/receivable" to "revenue/PRODUCT", tax to "tax/NAME", rounding to or from "rounding", credit from its
 * pocket to the receivable. The credit is taken from its grants: ERR_CONFLICT when one has less by now, then the draft
 * is to be made anew. What is covered by credit is paid at once. When the customer already has a finalized (not void)
 * invoice of this period `*existed` is set and that one's id is returned: never two.
 */
MUST_USE bool invoice_finalize(struct arena *arena, struct db *db, struct ledger *ledger, struct invoice *draft,
                               instant now, uint64_t journal_position, bool *existed, slice *id, struct error *err);
/* Takes `value` from the account `from`, where received money waits, to the customer's receivable: paid when covered;
 * more than is open is refused. The same transfer again changes nothing. Cause "payment", reference the invoice. */
MUST_USE bool invoice_pay(struct db *db, struct ledger *ledger, slice id, slice from, slice transfer_id, amount value,
                          instant now, struct error *err);
/* The way back, to the account `to`, of at most what was paid: the invoice is open again. Cause "refund". */
MUST_USE bool invoice_unpay(struct db *db, struct ledger *ledger, slice id, slice to, slice transfer_id, amount value,
                            instant now, struct error *err);
MUST_USE bool invoice_void(
    struct db *db, struct ledger *ledger, slice id, instant now,
    struct error *err); /* reverses its transfers, gives credit back; the number stays used; paid ones are refused */
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
