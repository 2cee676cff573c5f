/* Collecting: payments and the invoices they pay, bank files, webhooks of payment providers, dunning, statements of
 * account. What changes the store runs in the caller's transaction. docs/payments.md is the user's manual. */
#ifndef METERHOUSE_COLLECT_COLLECT_H
#define METERHOUSE_COLLECT_COLLECT_H
#include "bill/bill.h"

extern const struct db_migration collect_migrations[];
extern const size_t collect_migration_count;

/* What nearly every call here works with. Slices that are handed out live in `arena`. */
struct collect {
  struct db *db;
  struct ledger *ledger; /* may be NULL for what only reads the store */
  const struct catalog *catalog;
  instant now;
  struct arena *arena;
};

/* ---- payments ----
 * Received money goes from "cash" to where it waits: "customer/ID/unapplied", or "suspense/bank" while nobody knows
 * whose it is (cause "payment received", reference the payment). From there allocations take it to the receivables of
 * invoices. A payment's balance there is amount - applied - refunded. */
#define PAYMENT_KEY_BYTES_MAX 200
#define PAYMENT_TEXT_BYTES_MAX 2000
#define PAYMENT_MANUAL SLICE("manual")
#define PAYMENT_BANK SLICE("bank")
#define PAYMENT_PROVIDER SLICE("provider")
#define CAUSE_RECEIVED SLICE("payment received")

struct payment {
  slice id;       /* "pay_..." */
  slice source;   /* "manual", "bank" or "provider" */
  slice key;      /* the source's own id, unique within it; a provider's begins with its name: "stripe:pi_1" */
  slice customer; /* empty: not known */
  slice currency, payer, text;
  slice top_up; /* the top-up it was made for; such a payment is not matched with invoices */
  slice state;  /* "matched": nothing waits; "unmatched": some or all of it waits; "refunded": all of it went back */
  amount amount, applied, refunded;
  instant received; /* as the source says */
  instant recorded;
};
struct payment_request {
  slice source, key, currency;
  amount amount;    /* above zero, in whole minor units */
  instant received; /* not part of what makes two requests the same */
  slice customer;   /* empty: not said */
  slice invoice;    /* id or number; empty: found by the text or the amount */
  slice top_up;
  slice payer, text;
};
struct payment_result {
  slice id;
  bool repeated; /* it was recorded before, with the same content: nothing was done */
  slice top_up; /* of a new payment that was made for one: whoever keeps top-ups is to be told, and takes the money with
                   payment_hand_over */
};
/* Records a payment once for ever by source and key, and matches it: the invoice that was named, else invoices whose
 * number is in the text, oldest due first, else the one open invoice of the customer of exactly this amount. The rest
 * waits. An invoice or customer that is not known leaves the money in suspense. Tells "invoice.paid".
 * ERR_INVALID and ERR_CONFLICT (same key, other content) come before anything was written. */
MUST_USE bool payment_record(const struct collect *c, const struct payment_request *request, struct payment_result *out,
                             struct error *err);
/* Applies what waits of a payment to an invoice (id or number): `most`, or with zero as much as is open. What was in
 * suspense becomes the invoice's customer's. ERR_CONFLICT when nothing waits, nothing is open, or currencies differ. */
MUST_USE bool payment_apply(const struct collect *c, slice id, slice invoice, amount most, struct error *err);
/* Money went back to the payer: `total` so far, all refunds together (zero: all of the payment), so the same again
 * changes nothing. What waits goes first, then allocations, the last one first: their invoices are open again. Tells
 * "payment.refunded". */
MUST_USE bool payment_refund(const struct collect *c, slice id, amount total, struct error *err);
/* Takes what waits of a payment to another account for a purpose of others, such as "top_up:ID"; recorded as an
 * allocation. Once taken, it is refunded from there and not by payment_refund (ERR_CONFLICT). */
MUST_USE bool payment_hand_over(const struct collect *c, slice id, slice account, slice purpose, struct error *err);
/* By id, or "SOURCE KEY". ERR_NOT_FOUND. In the arena. */
MUST_USE bool payment_find(const struct collect *c, slice id, struct payment *out, struct error *err);
/* By the source's own id; *found says whether there is one. */
MUST_USE bool payment_find_key(const struct collect *c, slice source, slice key, bool *found, struct payment *out,
                               struct error *err);
struct payment_query {
  slice customer, state, invoice, after_id; /* empties match all; invoice: its id */
  size_t limit;
};
typedef bool (*payment_each)(void *context, const struct payment *p, struct error *err);
/* A state that there is not is an error. */
MUST_USE bool payment_list(struct db *db, const struct payment_query *query, payment_each each, void *context,
                           struct error *err); /* by id, which is by time */
struct payment_allocation {
  slice invoice, number; /* number empty: handed over, `invoice` is the purpose */
  amount amount;         /* net of what went back */
};
typedef bool (*allocation_each)(void *context, const struct payment_allocation *a, struct error *err);
MUST_USE bool payment_allocations(struct db *db, slice payment, allocation_each each, void *context, struct error *err);
struct json_out;
/* The payment with its allocations, as lists show it. */
MUST_USE bool payment_put(const struct collect *c, struct json_out *w, const struct payment *p, struct error *err);

/* ---- bank files: CSV with a header, or camt.053 XML ---- */
#define BANK_FILE_BYTES_MAX ((size_t)64 << 20)
#define BANK_ENTRIES_MAX 1000000
struct bank_hooks {
  /* A credit that is booked; slices live for the call. False with err set stops the reading. */
  bool (*payment)(void *context, uint64_t line, const struct payment_request *request, struct error *err);
  /* An entry that can not be taken; `why` says what is wrong with it. Reading goes on. */
  void (*refused)(void *context, uint64_t line, const struct error *why);
  /* An entry that is no incoming payment: a debit, a reversal, one that is not booked. */
  void (*passed_over)(void *context, uint64_t line, const char *why);
  void *context;
};
/* Tells XML from CSV by its first byte. `zone`: for dates. Errors name `name` and the line. */
MUST_USE bool bank_file_parse(const char *name, slice bytes, const char *zone, const struct bank_hooks *hooks,
                              struct error *err);

/* ---- payment providers ---- */
#define PROVIDER_BODY_BYTES_MAX ((size_t)256 << 10)
#define PROVIDER_TOLERANCE_S 300
#define PROVIDER_SECRET_BYTES_MIN 16
struct providers; /* their secrets, read once */
/* Reads the secret of each provider of the catalog from its variable or file. One that is missing, empty or shorter
 * than PROVIDER_SECRET_BYTES_MIN is refused by name. The catalog must outlive it. */
MUST_USE bool providers_open(const struct catalog *catalog, struct providers **out, struct error *err);
void providers_close(struct providers *providers); /* NULL is fine */

struct provider_delivery {
  slice provider, body;
  slice id, timestamp, signature; /* headers webhook-id, webhook-timestamp, webhook-signature of scheme standard */
  slice stripe_signature;         /* header stripe-signature */
};
struct provider_event {
  slice id;   /* of the delivery: the same again is not acted upon twice */
  slice type; /* as the provider says */
  enum provider_event_kind { PROVIDER_IGNORED, PROVIDER_SUCCEEDED, PROVIDER_FAILED, PROVIDER_REFUNDED } kind;
  struct payment_request payment; /* REFUNDED: key, and amount: refunded so far (zero: all) */
  const char *digest_hex;         /* of the body */
};
/* Is it from the provider, and of the last five minutes? ERR_NOT_FOUND for an unknown provider, ERR_DENIED for a bad
 * signature; the comparison takes the same time wherever they differ. Safe to call from any thread. */
MUST_USE bool provider_verify(const struct providers *providers, const struct provider_delivery *delivery, instant now,
                              struct error *err);
/* What a verified body says. Types that do not concern payments are IGNORED. In the arena. */
MUST_USE bool provider_read(struct arena *arena, const struct catalog *catalog,
                            const struct provider_delivery *delivery, instant now, struct provider_event *out,
                            struct error *err);
/* Acts upon it, once for ever by its id; `out->repeated` when it was known. ERR_CONFLICT: same id, other body.
 * ERR_NOT_FOUND: a refund of a payment that has not been told of yet: the provider sends it again. */
MUST_USE bool provider_apply(const struct collect *c, slice provider, const struct provider_event *event,
                             struct payment_result *out, struct error *err);

/* ---- dunning ---- */
/* The first instant of the day that comes `days` after the day of `due`, days being those of `zone`. */
MUST_USE bool dunning_day(instant due, int days, const char *zone, instant *out, struct error *err);
/* How many of the catalog's steps an invoice that was due then has reached by now; *overdue once its due day is over.
 * Pure. None for a customer whom nobody reminds. */
MUST_USE bool dunning_reached(const struct catalog *catalog, const struct customer *customer, instant due, instant now,
                              bool *overdue, size_t *steps, struct error *err);
const char *dunning_action_name(enum dunning_action action);

struct dunning_event {
  slice customer;
  slice invoice, number; /* empty when it is the customer that is suspended or resumed */
  slice what;            /* "overdue", "remind", "warn", "suspend" (a step of an invoice); "suspended", "resumed" */
  int after_days;
  instant time;
  slice cursor; /* of a listed one: `after` for what follows it */
};
typedef bool (*dunning_each)(void *context, const struct dunning_event *e, struct error *err);
/* Takes every step that is due at c->now and was not taken before, suspends customers with an invoice that has reached
 * a suspending step, resumes those with no overdue invoice; tells "invoice.overdue", "invoice.reminder",
 * "customer.suspended", "customer.resumed". `each` (may be NULL) is called for all that was done. To be repeated as
 * often as one likes. */
MUST_USE bool collect_dunning(const struct collect *c, dunning_each each, void *context, struct error *err);
/* The steps taken, newest invoice last; customer empty: all. `after`: the cursor of the last one seen, or empty. */
MUST_USE bool dunning_list(struct db *db, slice customer, slice after, size_t limit, dunning_each each, void *context,
                           struct error *err);
/* Ends a suspension when no invoice of the customer is overdue any more: after payments and voids. */
MUST_USE bool suspension_review(const struct collect *c, slice customer, struct error *err);
/* Is the customer suspended, and since when? */
MUST_USE bool suspension_find(struct db *db, slice customer, bool *suspended, instant *since, struct error *err);
typedef bool (*suspension_each)(void *context, slice customer, instant since, struct error *err);
MUST_USE bool suspension_list(struct db *db, suspension_each each, void *context, struct error *err);

/* ---- statements of account: what a customer's receivable says, from its entries alone ---- */
enum aging { AGING_CURRENT, AGING_30, AGING_60, AGING_90, AGING_OLDER, AGING_BUCKETS };
struct statement_line {
  instant time;
  const char
      *kind;     /* "invoice", "credit_note", "void", "payment", "refund", or "credit" (prepaid money that was drawn) */
  slice number;  /* of the document */
  slice payment; /* id, of payments and refunds */
  amount amount; /* above zero: the customer owes more */
  amount balance; /* owed after it */
};
struct statement_open {
  slice number;
  instant due;
  int64_t days_overdue; /* 0: not yet */
  amount amount;        /* below zero: a credit note that nothing has used */
};
struct statement {
  const struct customer *customer;
  struct period period;
  amount opening, closing; /* owed: minus the receivable's balance at the first and after the last instant */
  const struct statement_line *lines;
  size_t line_count;
  const struct statement_open *open; /* documents not settled at the end of the period, oldest due first */
  size_t open_count;
  amount aging[AGING_BUCKETS]; /* of the open invoices; with `credits` they sum to the closing balance */
  amount credits;              /* of the open credit notes; not above zero */
  amount unapplied;            /* received and not applied at the end of the period; not part of the balance */
};
/* In the arena. Needs the ledger. ERR_NOT_FOUND: no such customer. */
MUST_USE bool statement_make(const struct collect *c, slice customer, struct period period, struct statement *out,
                             struct error *err);
void statement_put(struct json_out *w, const struct statement *s);
void statement_text(const struct statement *s, struct buf *out);

/* ---- the rest ---- */
/* Tells the webhooks that `type` happened to an invoice. */
MUST_USE bool collect_tell_invoice(struct db *db, const char *type, slice invoice, instant now, struct error *err);
/* Payments = what waits + allocations + refunds, and the ledger says the same of each account and invoice; states
 * agree; steps of dunning are of invoices that exist. Each break is told to `bad`. */
MUST_USE bool collect_check(const struct collect *c, told *bad, void *context, struct error *err);
#endif
