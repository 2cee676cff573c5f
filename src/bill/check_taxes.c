/* The taxes of a kept document held against its lines. */
#include "bill/private.h"

struct tax_sums {
  amount base, gross;
  bool any;
};

static bool add_lines(const struct json *document, const struct json *tax, struct tax_sums *out, struct error *err) {
  const struct json *lines = json_get(document, "lines");
  amount value;
  for (const struct json *l = lines ? lines->child : NULL; l; l = l->next) {
    if (document_tax_of(document, l) != tax) {
      continue;
    }
    out->any = true;
    if (!document_amount(l, "amount", &value, err) || !amount_add(out->base, value, &out->base, err)) {
      return false;
    }
    if (json_get(l, "gross") &&
        (!document_amount(l, "gross", &value, err) || !amount_add(out->gross, value, &out->gross, err))) {
      return false;
    }
  }
  return true;
}

static bool gross_of(const struct json *tax, amount *gross, amount *included, struct error *err) {
  *gross = *included = AMOUNT_ZERO;
  return json_get(tax, "gross") == NULL ||
         (document_amount(tax, "gross", gross, err) && document_amount(tax, "included", included, err));
}

/* A document that corrects another gives back what that one taxed, which need not be what its own base comes to. */
static bool check_amount(const struct json *document, const struct json *tax, slice number, told *bad, void *context,
                         struct error *err) {
  amount base, stated, gross, included, expected;
  rate of;
  const struct currency *currency = currency_find(json_text(document, "currency"));
  if (json_get(document, "corrects") || currency == NULL) {
    return true;
  }
  if (!rate_parse(json_text(tax, "rate"), &of, err) || !document_amount(tax, "base", &base, err) ||
      !document_amount(tax, "amount", &stated, err) || !gross_of(tax, &gross, &included, err)) {
    return false;
  }
  struct error inexact = {0};
  if (!tax_included(gross, of, currency, &expected, &inexact) || amount_cmp(expected, included) != 0) {
    tell(bad, context, "invoice " SLICE_FMT ": tax " SLICE_FMT " included in prices is not what they come to",
         SLICE_ARG(number), SLICE_ARG(json_text(tax, "name")));
  }
  if (!tax_on(base, gross, included, of, currency, &expected, &inexact) || amount_cmp(expected, stated) != 0) {
    tell(bad, context, "invoice " SLICE_FMT ": tax " SLICE_FMT " is not its rate of its base", SLICE_ARG(number),
         SLICE_ARG(json_text(tax, "name")));
  }
  return true;
}

static bool check_tax(const struct json *document, const struct json *tax, slice number, told *bad, void *context,
                      struct error *err) {
  struct tax_sums sums = {0};
  amount base, gross, included;
  if (!add_lines(document, tax, &sums, err) || !document_amount(tax, "base", &base, err) ||
      !gross_of(tax, &gross, &included, err)) {
    return false;
  }
  if (!sums.any || amount_cmp(sums.base, base) != 0) {
    tell(bad, context, "invoice " SLICE_FMT ": the lines of tax " SLICE_FMT " do not sum to its base",
         SLICE_ARG(number), SLICE_ARG(json_text(tax, "name")));
  }
  if (amount_cmp(sums.gross, gross) != 0) {
    tell(bad, context, "invoice " SLICE_FMT ": the gross lines of tax " SLICE_FMT " do not sum to what it states",
         SLICE_ARG(number), SLICE_ARG(json_text(tax, "name")));
  }
  return check_amount(document, tax, number, bad, context, err);
}

bool check_taxes(const struct json *document, slice number, told *bad, void *context, struct error *err) {
  const struct json *taxes = json_get(document, "taxes");
  amount all = AMOUNT_ZERO, value, stated;
  for (const struct json *t = taxes ? taxes->child : NULL; t; t = t->next) {
    if (!check_tax(document, t, number, bad, context, err) || !document_amount(t, "amount", &value, err) ||
        !amount_add(all, value, &all, err)) {
      return false;
    }
  }
  if (!document_amount(document, "tax", &stated, err)) {
    return false;
  }
  if (amount_cmp(all, stated) != 0) {
    tell(bad, context, "invoice " SLICE_FMT ": the taxes do not sum to its tax", SLICE_ARG(number));
  }
  return true;
}
