/* Inside bill: the invoice document as a tree, its seal, and what several files ask of it. */
#ifndef METERHOUSE_BILL_PRIVATE_H
#define METERHOUSE_BILL_PRIVATE_H
#include "base/hash.h"
#include "base/json.h"
#include "bill/bill.h"

/* The document in its compact form, into an empty buffer. */
void invoice_to_kept(const struct invoice *invoice, struct buf *out);
/* As it is kept in the store. `packed` is the caller's to free. */
MUST_USE bool document_pack(slice document, slice *packed, struct error *err);
MUST_USE bool document_unpack(struct arena *arena, slice kept, slice *document, struct error *err);
/* BLAKE2b-256 over the compact form of the document without its member "seal". */
void document_seal(const struct json *document, char seal_hex[65]);
/* "2.49 per GPU-hour", "0.55 per 1000000 tokens" for people, from a line's unit_price. */
void describe_price(const struct json *price, slice unit, struct buf *out);

/* The one multiplier of all steps; false when usage of one line was multiplied differently: then no one price says it
 * all. */
bool charge_multiplier(const struct charge *charge, rate *out);

char *account_revenue(slice product, char name[ACCOUNT_NAME_MAX]);
char *account_tax(slice tax, char name[ACCOUNT_NAME_MAX]);
#define CAUSE_CHARGE SLICE("charge")
#define CAUSE_TAX SLICE("tax")
#define CAUSE_CREDIT SLICE("credit")               /* a negative line or tax, the other way round */
#define CAUSE_ROUNDING_UP SLICE("rounding up")     /* the customer owes more than the exact sum */
#define CAUSE_ROUNDING_DOWN SLICE("rounding down") /* ... less */
#define CAUSE_PREPAID SLICE("prepaid")             /* credit paid in advance, applied to the total */

/* ---- taxes.c ---- */
/* Finds the tax of each line and makes prices that include it net; exact and subtotal follow. What is added to the
 * lines later names its tax itself. */
MUST_USE bool taxes_find(struct arena *arena, struct invoice *invoice, struct invoice_line *lines,
                         struct invoice_tax **taxes, struct error *err);
/* Bases, amounts and their sum, once all lines are there. */
MUST_USE bool taxes_settle(struct invoice *invoice, struct invoice_tax *taxes, struct error *err);
/* gross x r / (1 + r), rounded once. */
MUST_USE bool tax_included(amount gross, rate of, const struct currency *currency, amount *out, struct error *err);
/* What is included, and the tax on the rest of the base, rounded once. */
MUST_USE bool tax_on(amount base, amount gross, amount included, rate of, const struct currency *currency, amount *out,
                     struct error *err);
void put_taxes(struct json_out *w, const struct invoice *i);
void put_line_tax(struct json_out *w, const struct invoice *i, const struct invoice_line *line);
/* ---- check_taxes.c ---- */
/* Bases are sums of lines, amounts follow from bases and rates, together they are the tax. */
MUST_USE bool check_taxes(const struct json *document, slice number, told *bad, void *context, struct error *err);

/* ---- credits.c ---- */
struct applying; /* credit on its way onto an invoice; NULL when there is none to apply */
/* Lines of kind credit, for what is taxed; subtotal and exact follow. */
MUST_USE bool apply_given(struct arena *arena, const struct invoice_purse *purse, struct invoice *invoice,
                          struct applying **out, struct error *err);
/* Prepaid credit against the total, once taxes are known. */
MUST_USE bool apply_prepaid(struct applying *a, struct error *err);
/* All draws of an invoice, of lines and of the total. */
const struct credit_use *credit_uses(struct arena *arena, const struct invoice *invoice, size_t *count);
/* ---- credits_json.c ---- */
void put_credit(struct json_out *w, const struct credit_use *use);
void put_credits(struct json_out *w, const struct invoice *invoice);
/* Sum of prepaid credit on a document; zero when it has none. */
MUST_USE bool document_prepaid(const struct json *document, amount *out, struct error *err);
#endif
