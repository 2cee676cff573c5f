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
/* An interval of a commitment before a document: from the store, or as the document states it. */
struct commitment_state {
  slice name;
  instant from;     /* of the interval */
  amount committed; /* sum of what documents told of as bought */
  amount balance;   /* left to draw; of postpaid ones and minimums: to spend */
  amount spent;     /* drawn so far */
  amount billed;    /* prepaid: invoiced so far */
};
/* What a document does with an interval. balance before + bought + carried - drawn - expired - rolled = closing. */
struct invoice_commitment {
  const struct commitment_span *span;
  struct commitment_state before;
  amount bought;  /* committed to, when it begins here; later by how much the catalog has changed it since */
  amount carried; /* into it, from the interval before */
  amount billed;  /* prepaid: invoiced here */
  amount drawn;   /* of eligible charges, less discount; negative gives back what was drawn */
  amount expired; /* at its end: lost when prepaid, else charged */
  amount rolled;  /* at its end: into the next */
  amount closing;
  amount eligible;  /* charges here that count */
  amount covered;   /* the part of them that drew, before the discount */
  amount spent;     /* so far in the interval */
  amount available; /* all there was to spend in it: spent + closing + expired + rolled */
  amount unbilled;  /* prepaid: committed to, and not invoiced yet */
};
struct invoice_line {
  uint32_t number; /* 1.. */
  const struct charge *charge;
  slice description;    /* "H100 on demand" */
  slice dates;          /* "2026-10-01 to 2026-10-15" when the segment is not the whole period, else empty */
  amount exact, amount; /* amount: exact rounded half-even to the minor unit; the rest is booked to "rounding" */
  const struct credit_use *credit; /* CREDIT: the grant that pays, and how much; the line is that below zero */
  amount drawn;                    /* part of the amount that commitments pay, by lines of their own */
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
  const struct commitment_state *commitments; /* those that have begun: commitment_states */
  size_t commitment_count;
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
  amount prepaid, amount_due;                   /* sum of credits; total - prepaid */
  const struct invoice_commitment *commitments; /* parallel to the rating's, less what has nothing to tell */
  size_t commitment_count;
  instant as_of; /* levels still open were metered up to here; 0 or the end of the period and later: to its end */
  uint64_t usage_events;
  char usage_digest[65]; /* evidence: the events this was made of */
  const struct rating *rating;
};
/* Pure: a draft from a rating and from what the customer brings (NULL: nothing). Lives in the arena.
 * Commitments are drawn from, bought and settled first: docs/commitments.md.
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
 * hours when the coverage holds them; of an invoice (else NULL) with what it covered line by line, and the share of its
 * fee that fell to each. docs/invoicing.md. */
struct json_out;
void coverage_put(struct json_out *w, const struct invoice *invoice, const struct coverage *c);
/* The same of a commitment to spend or a minimum. */
void commitment_put(struct json_out *w, const struct invoice *invoice, const struct invoice_commitment *c);
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
/* The grants a document used and the commitments it tells of, each as it stood before: what invoice_build needs to come
 * to the same draws. In the arena. */
MUST_USE bool invoice_purse_stated(struct arena *arena, slice document, struct invoice_purse *out, struct error *err);
/* The ids of the customers on a consolidated document besides the one who pays. In the arena. */
MUST_USE bool invoice_members(struct arena *arena, slice document, const slice **out, size_t *count, struct error *err);
/* The bytes of a document as a tree, for whoever reads one; ERR_INVALID when it is not one of ours. */
struct json;
#define DOCUMENT_BYTES_MAX ((size_t)256 << 20)
MUST_USE bool document_parse(struct arena *arena, slice bytes, const struct json **out, struct error *err);
/* A kept document in the form for people, one member a line; as it is when it can not be read. */
void document_print(slice document, struct buf *out);
/* A member that is money; the error names it. */
MUST_USE bool document_amount(const struct json *object, const char *key, amount *out, struct error *err);
/* Is this element of a document's "commitments" one to spend or a minimum, and no reservation or savings plan? */
bool commitment_is_spend(const struct json *element);
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
/* "customer/ID/commitment/NAME": bought and not yet drawn; below zero when more was drawn than is invoiced so far. */
slice account_commitment(struct arena *arena, slice customer, slice name);
#define CAUSE_PAYMENT SLICE("payment")
#define CAUSE_REFUND SLICE("refund")
extern const struct db_migration bill_migrations[];
extern const size_t bill_migration_count;
struct stored_invoice {
  slice id, number, customer, currency, period, part, status;
  slice catalog; /* digest of the one it was made with */
  amount total, paid;
  amount credited;               /* by credit notes for it, less what of them became prepaid credit */
  slice corrects;                /* a credit note for another document: that one's id */
  instant issued, due, from, to; /* from, to: the period */
  slice document;                /* JSON */
  uint64_t journal_position;
};
/* The customer's commitments as the invoices that stand leave them, those that have begun. In the arena. */
MUST_USE bool commitment_states(struct arena *arena, struct db *db, slice customer, struct commitment_state **out,
                                size_t *count, struct error *err);
/* One step, inside the caller's transaction: number, document, and transfers: exact charges per product from
 * "customer/ID/receivable" to "revenue/PRODUCT", tax to "tax/NAME", rounding to or from "rounding", credit from its
 * pocket to the receivable; what commitments buy and draw to and from account_commitment, what expires of them from
 * there to "revenue/breakage". What was reserved for
 * its usage ends first (credit_unbilled_end). The credit is taken from its grants: ERR_CONFLICT when one has less by
 * now, then the draft is to be made anew. What is covered by credit is paid at once. When the customer already has a
 * finalized (not void) invoice of this period `*existed` is set and that one's id is returned: never two.
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
MUST_USE bool
invoice_void(struct db *db, struct ledger *ledger, slice id, instant now,
             struct error *err); /* reverses its transfers, gives credit back; the number stays used; paid ones are
                                   refused, and those whose commitments a later one has carried on */
void stored_invoice_put(struct json_out *w,
                        const struct stored_invoice *i); /* the summary of it, without the document */
/* One that outlives the query: its texts and its document, if it was asked for, in the arena. */
struct stored_invoice stored_invoice_copy(struct arena *arena, const struct stored_invoice *i);
/* total - paid - credited; below zero: what the customer is owed of it. */
MUST_USE bool stored_invoice_open(const struct stored_invoice *i, amount *out, struct error *err);
typedef bool (*invoice_each)(void *context, const struct stored_invoice *i, struct error *err);
struct invoice_query {
  slice id, customer, period, status, after_id;
  slice kind; /* "invoice", "credit_note" (below zero), "opening" */
  size_t limit;
  bool with_document;
}; /* empties match all; id also matches a number; by id */
MUST_USE bool invoice_list(struct db *db, const struct invoice_query *query, invoice_each each, void *context,
                           struct error *err);
/* Commitments: the moves kept are those the documents tell, each opens with what the one before left, and the accounts
 * hold what is left of what was invoiced. */
MUST_USE bool commitment_check(struct db *db, struct ledger *ledger, void (*bad)(void *context, const char *what),
                               void *context, struct error *err);

/* ---- credit notes: docs/invoicing.md ---- */
#define NOTE_REASON_BYTES_MAX 500
struct note_line_request {
  uint32_t line; /* its number on the invoice */
  enum { NOTE_REST, NOTE_AMOUNT, NOTE_QUANTITY } by;
  amount amount; /* before tax */
  quantity quantity;
};
struct note_request {
  slice id;      /* the caller's: the same again changes nothing */
  slice invoice; /* id or number */
  slice reason;
  bool full;      /* what is left of all */
  bool by_amount; /* `amount`, tax and all, over what is left in proportion */
  amount amount;
  const struct note_line_request *lines; /* else these */
  size_t line_count;
  bool to_credit; /* what was paid too much by then becomes prepaid credit */
};
struct note_keeping {
  struct db *db;
  struct ledger *ledger;
  const struct catalog *catalog;
  instant now;
};
struct note_result {
  slice id, number;        /* the note's: it is a stored invoice of a total below zero */
  slice invoice, customer; /* the id of the one it corrects */
  bool repeated;           /* made before; nothing was changed */
  bool settled;            /* nothing is open on that one any more */
};
/* One step inside the caller's transaction: number, document, transfers, prepaid credit. Never more than what is left
 * of a line, a tax or the invoice: ERR_CONFLICT. ERR_INVALID and ERR_NOT_FOUND say what is wrong with the request. */
MUST_USE bool note_create(struct arena *arena, const struct note_keeping *k, const struct note_request *request,
                          struct note_result *out, struct error *err);
/* The document it would be, as a draft; reads alone. */
MUST_USE bool note_preview(struct arena *arena, struct db *db, const struct note_request *request, struct buf *document,
                           struct error *err);

/* Numbers without gaps, documents with intact seals and agreeing columns, total = its transfers, one live invoice a
 * customer and period. */
MUST_USE bool invoice_check(struct db *db, struct ledger *ledger, void (*bad)(void *context, const char *what),
                            void *context, uint64_t *invoices, struct error *err);
#endif
