/* Inside bill: the invoice document as a tree, its seal, and what several files ask of it. */
#ifndef METERHOUSE_BILL_PRIVATE_H
#define METERHOUSE_BILL_PRIVATE_H
#include "base/hash.h"
#include "base/json.h"
#include "bill/bill.h"

/* BLAKE2b-256 over the compact form of the document without its member "seal". */
void document_seal(const struct json *document, char seal_hex[65]);
/* "2.49 per GPU-hour", "0.55 per 1000000 tokens" for people, from a line's unit_price. */
void describe_price(const struct json *price, slice unit, struct buf *out);

/* The one multiplier of all steps; false when usage of one line was multiplied differently: then no one price says it
 * all. */
bool charge_multiplier(const struct charge *charge, rate *out);

#define ACCOUNT_NAME_MAX 256
char *account_receivable(slice customer, char name[ACCOUNT_NAME_MAX]);
char *account_revenue(slice product, char name[ACCOUNT_NAME_MAX]);
char *account_tax(slice tax, char name[ACCOUNT_NAME_MAX]);
#define CAUSE_CHARGE SLICE("charge")
#define CAUSE_TAX SLICE("tax")
#define CAUSE_CREDIT SLICE("credit")               /* a negative line or tax, the other way round */
#define CAUSE_ROUNDING_UP SLICE("rounding up")     /* the customer owes more than the exact sum */
#define CAUSE_ROUNDING_DOWN SLICE("rounding down") /* ... less */
#define CAUSE_PAYMENT SLICE("payment")
#endif
