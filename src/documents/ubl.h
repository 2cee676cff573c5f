/* Inside documents: an invoice on its way to UBL: sums by category in two decimals, then the elements. */
#ifndef METERHOUSE_DOCUMENTS_UBL_H
#define METERHOUSE_DOCUMENTS_UBL_H
#include "documents/private.h"
#include "documents/xml.h"

/* A tax breakdown (BG-23): one for each pair of category and rate. */
struct ubl_category {
  slice code; /* S Z E AE G O */
  rate rate;
  slice note; /* why no tax is charged */
  amount base, tax;
};
struct ubl {
  struct arena *arena;
  struct xml *xml;
  const struct json *document, *seller, *customer;
  const struct currency *currency;
  int decimals;    /* of amounts: the currency's, but 2 at most */
  bool credit;     /* a credit note */
  bool turned;     /* its amounts are negative in the document and positive in UBL */
  bool out_of_tax; /* every line is of category O: no tax numbers may be named */
  struct ubl_category *categories;
  size_t category_count;
  amount lines, tax, total, prepaid, rounding, due; /* of UBL: turned, and in its decimals */
};

/* ---- ubl_sums.c: what the totals say; ERR_INVALID when the document's do not agree ---- */
MUST_USE bool ubl_sums(struct ubl *u, struct error *err);
/* The category of a line; never NULL after ubl_sums. */
const struct ubl_category *ubl_category_of(const struct ubl *u, const struct json *line);
/* A member's amount, turned and rounded. */
MUST_USE bool ubl_amount(const struct ubl *u, const struct json *object, const char *key, amount *out,
                         struct error *err);

/* ---- ubl_party.c ---- */
/* What EN 16931 asks of both parties and the catalog left out; one message for all. */
MUST_USE bool ubl_parties_complete(const struct ubl *u, struct error *err);
void ubl_put_party(struct ubl *u, const char *element, const struct json *party, bool is_seller);
/* The IBAN within a bank's words, without blanks; empty when there is none. In the arena. */
slice ubl_iban(struct arena *arena, slice words);

/* ---- ubl_line.c ---- */
MUST_USE bool ubl_put_lines(struct ubl *u, struct error *err);

/* ---- what they share (ubl.c) ---- */
void ubl_put_amount(struct ubl *u, const char *element, amount a);
void ubl_put_optional(struct ubl *u, const char *element, slice text); /* nothing for no text */
void ubl_put_tax_category(struct ubl *u, const char *element, const struct ubl_category *c, bool with_reason);
/* "2026-10-01" of a member. */
slice ubl_date(struct ubl *u, const struct json *object, const char *key, bool last);
#endif
