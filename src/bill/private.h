/* Inside bill: the invoice document as a tree, its seal, and what several files ask of it. */
#ifndef METERHOUSE_BILL_PRIVATE_H
#define METERHOUSE_BILL_PRIVATE_H
#include "base/hash.h"
#include "base/json.h"
#include "bill/bill.h"

/* The document in its compact form, into an empty buffer. */
void invoice_to_kept(const struct invoice *invoice, struct buf *out);
/* As a member of a document: padded to the minor unit of the invoice's currency. */
void put_money(struct json_out *w, const struct invoice *i, const char *key, amount a);
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

/* ---- commitments.c ---- */
/* Lines of all kinds that commitments make; subtotal and exact follow. */
MUST_USE bool apply_commitments(struct arena *arena, const struct invoice_purse *purse, struct invoice *invoice,
                                struct invoice_tax *taxes, struct error *err);
/* ---- commitment_lines.c ---- */
/* Commitments on their way onto an invoice. `lines` has room for all that may come. */
struct settling {
  struct arena *arena;
  struct invoice *invoice;
  struct invoice_line *lines;
  size_t charged;                   /* lines of the rating: what may count */
  amount *open;                     /* parallel: what no commitment took */
  bool *beyond;                     /* parallel: charged as overage already */
  const struct invoice_tax **taxes; /* that the lines fall under, each once; NULL: not taxed */
  size_t tax_count;
  struct invoice_tax *entries;      /* the invoice's, with room for those of lines that commitments add */
  struct invoice_commitment *items; /* parallel to the rating's spans */
};
/* Lines of one tax and one interval; none for zero. `product` is empty when several count. */
MUST_USE bool line_of_drawdown(struct settling *s, const struct invoice_commitment *of, const struct invoice_tax *tax,
                               amount drawn, struct error *err);
MUST_USE bool line_of_discount(struct settling *s, const struct invoice_commitment *of, const struct invoice_tax *tax,
                               slice product, amount discount, amount covered, struct error *err);
MUST_USE bool line_of_overage(struct settling *s, const struct invoice_commitment *of, const struct invoice_tax *tax,
                              slice product, amount surcharge, amount beyond, struct error *err);
MUST_USE bool line_of_purchase(struct settling *s, const struct invoice_commitment *of, struct error *err);
/* At the end of the interval: a true-up; or a line of zero that tells what is lost or carried on. */
MUST_USE bool line_of_end(struct settling *s, const struct invoice_commitment *of, struct error *err);
/* ---- commitments_json.c ---- */
MUST_USE bool commitments_stated(struct arena *arena, const struct json *document, struct invoice_purse *out,
                                 struct error *err);
/* ---- commitments_keep.c ---- */
MUST_USE bool commitments_store(struct db *db, const struct invoice *invoice, struct error *err);
/* Refuses when a later invoice that stands has carried them on. */
MUST_USE bool commitments_can_void(struct arena *arena, struct db *db, slice invoice, struct error *err);
#define CAUSE_BREAKAGE SLICE("breakage")
#define ACCOUNT_BREAKAGE SLICE("revenue/breakage")
/* ---- taxes.c ---- */
/* Finds the tax of each line and makes prices that include it net; exact and subtotal follow. What is added to the
 * lines later names its tax itself. */
MUST_USE bool taxes_find(struct arena *arena, struct invoice *invoice, struct invoice_line *lines,
                         struct invoice_tax **taxes, struct error *err);
/* The tax of a line that is added for this product, in the invoice's period; `taxes` as from taxes_find, which keeps
 * room for two new ones a commitment. */
MUST_USE bool taxes_of_product(struct arena *arena, struct invoice *invoice, struct invoice_tax *taxes, slice product,
                               const struct invoice_tax **out, struct error *err);
/* Bases, amounts and their sum, once all lines are there. */
MUST_USE bool taxes_settle(struct invoice *invoice, struct invoice_tax *taxes, struct error *err);
/* gross x r / (1 + r), rounded once. */
MUST_USE bool tax_included(amount gross, rate of, const struct currency *currency, amount *out, struct error *err);
/* What is included, and the tax on the rest of the base, rounded once. */
MUST_USE bool tax_on(amount base, amount gross, amount included, rate of, const struct currency *currency, amount *out,
                     struct error *err);
void put_taxes(struct json_out *w, const struct invoice *i);
/* ---- coverage_json.c ---- */
void put_cover_of_fee(struct json_out *w, const struct invoice *i, const struct charge *c); /* members of its line */
void put_line_tax(struct json_out *w, const struct invoice *i, const struct invoice_line *line);
/* ---- check_taxes.c ---- */
/* Bases are sums of lines, amounts follow from bases and rates, together they are the tax. */
MUST_USE bool check_taxes(const struct json *document, slice number, told *bad, void *context, struct error *err);
/* ---- members.c ---- */
void put_members(struct json_out *w, const struct rating *rating);
MUST_USE bool keep_members(struct db *db, const struct invoice *i, struct error *err);
/* ---- keep.c ---- */
/* The next of a seller's numbers for the year that `now` lies in by the clock of `zone`; `credit`: of the series of
 * credit notes. */
MUST_USE bool invoice_next_number(struct arena *arena, struct db *db, const struct seller *seller, bool credit,
                                  instant now, const char *zone, slice *series, slice *number, struct error *err);
/* ---- notes.c ---- */
/* "paid" when nothing is open, else "finalized". */
slice settled_status(amount open);
/* One with credit notes is not voided before them, nor a note that became credit. */
MUST_USE bool notes_allow_void(struct arena *arena, struct db *db, const struct stored_invoice *i, struct error *err);
/* What a voided note took off its invoice is open again. */
MUST_USE bool notes_after_void(struct arena *arena, struct db *db, const struct stored_invoice *i, struct error *err);
MUST_USE bool notes_check(struct db *db, void (*bad)(void *context, const char *what), void *context,
                          struct error *err);
/* ---- post.c ---- */
MUST_USE bool post_invoice(struct arena *arena, struct ledger *ledger, const struct invoice *invoice,
                           struct error *err);
/* ---- stored.c ---- */
/* By id or number, with its document, as stored_invoice_copy gives it; ERR_NOT_FOUND when there is none. */
MUST_USE bool stored_invoice_find(struct arena *arena, struct db *db, slice id, struct stored_invoice *out,
                                  struct error *err);
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
