/* The totals of an invoice as EN 16931 adds them up: lines, a breakdown by category and rate, tax, what is due. */
#include "documents/ubl.h"

static bool to_decimals(const struct ubl *u, amount a, amount *out, struct error *err) {
  struct currency shown = {.minor_units = (uint8_t)u->decimals};
  return amount_round(a, &shown, ROUND_HALF_EVEN, out, err);
}

bool ubl_amount(const struct ubl *u, const struct json *object, const char *key, amount *out, struct error *err) {
  amount a;
  if (!document_amount_or_zero(object, key, &a, err) || !to_decimals(u, a, out, err)) {
    return false;
  }
  if (u->turned) {
    *out = amount_negate(*out);
  }
  return true;
}

static slice code_of(const struct json *tax) {
  slice code = json_text(tax, "category");
  return code.len > 0 ? code : SLICE("S");
}

/* What is not taxed is out of scope (O) when nothing is taxed; O may not stand beside others, so there it is exempt. */
static slice untaxed_code(const struct ubl *u) {
  const struct json *taxes = json_get(u->document, "taxes");
  return taxes && taxes->count > 0 ? SLICE("E") : SLICE("O");
}

static struct ubl_category *find(const struct ubl *u, slice code, rate of) {
  for (size_t i = 0; i < u->category_count; i++) {
    if (slice_eq(u->categories[i].code, code) && u->categories[i].rate.e12 == of.e12) {
      return &u->categories[i];
    }
  }
  return NULL;
}

static bool rate_of(const struct json *tax, rate *out, struct error *err) {
  *out = (rate){0};
  return tax == NULL || rate_parse(json_text(tax, "rate"), out, err) || error_at(err, "invoice document: taxes: rate");
}

const struct ubl_category *ubl_category_of(const struct ubl *u, const struct json *line) {
  const struct json *tax = document_tax_of(u->document, line);
  struct error ignored = {0};
  rate of;
  bool known = rate_of(tax, &of, &ignored);
  must(known);
  return find(u, tax ? code_of(tax) : untaxed_code(u), of);
}

static bool known_code(slice code) {
  static const char *const codes[] = {"S", "Z", "E", "AE", "G", "O", NULL};
  for (size_t i = 0; codes[i]; i++) {
    if (slice_is(code, codes[i])) {
      return true;
    }
  }
  return false;
}

static bool category_for(struct ubl *u, const struct json *tax, struct ubl_category **out, struct error *err) {
  rate of;
  slice code = tax ? code_of(tax) : untaxed_code(u);
  if (!rate_of(tax, &of, err)) {
    return false;
  }
  if (!known_code(code) || (of.e12 != 0) != slice_is(code, "S")) {
    return error_set(err, ERR_INVALID,
                     "UBL: tax \"" SLICE_FMT "\" has category " SLICE_FMT
                     " and its rate does not go with it: S has a rate above 0, Z E AE G O have 0",
                     SLICE_ARG(json_text(tax, "name")), SLICE_ARG(code));
  }
  *out = find(u, code, of);
  if (*out == NULL) {
    *out = &u->categories[u->category_count++];
    **out = (struct ubl_category){.code = code, .rate = of, .note = json_text(tax, "note")};
  }
  return true;
}

static bool add_lines(struct ubl *u, struct error *err) {
  const struct json *lines = json_get(u->document, "lines");
  for (const struct json *line = lines ? lines->child : NULL; line; line = line->next) {
    struct ubl_category *category;
    amount a;
    if (!category_for(u, document_tax_of(u->document, line), &category, err) ||
        !ubl_amount(u, line, "amount", &a, err) || !amount_add(category->base, a, &category->base, err) ||
        !amount_add(u->lines, a, &u->lines, err)) {
      return false;
    }
  }
  return u->category_count > 0 || error_set(err, ERR_INVALID, "UBL: the invoice has no lines, it needs at least one");
}

static bool add_taxes(struct ubl *u, struct error *err) {
  const struct json *taxes = json_get(u->document, "taxes");
  for (const struct json *t = taxes ? taxes->child : NULL; t; t = t->next) {
    struct ubl_category *category;
    amount a;
    if (!category_for(u, t, &category, err) || !ubl_amount(u, t, "amount", &a, err) ||
        !amount_add(category->tax, a, &category->tax, err) || !amount_add(u->tax, a, &u->tax, err)) {
      return false;
    }
  }
  return true;
}

static bool same(const char *what, amount here, amount there, struct error *err) {
  return amount_cmp(here, there) == 0 ||
         error_set(err, ERR_INVALID, "UBL: the document's %s does not agree with its lines and taxes", what);
}

/* The base of each category is the sum of its lines; a document that taxed another sum can not be told in UBL. */
static bool bases_agree(const struct ubl *u, struct error *err) {
  const struct json *taxes = json_get(u->document, "taxes");
  for (size_t i = 0; i < u->category_count; i++) {
    amount stated = AMOUNT_ZERO, base;
    bool taxed = false;
    for (const struct json *t = taxes ? taxes->child : NULL; t; t = t->next) {
      rate of;
      if (!rate_of(t, &of, err) || !ubl_amount(u, t, "base", &base, err)) {
        return false;
      }
      if (find(u, code_of(t), of) == &u->categories[i]) {
        taxed = true;
        if (!amount_add(stated, base, &stated, err)) {
          return false;
        }
      }
    }
    if (taxed && !same("taxable base", stated, u->categories[i].base, err)) {
      return false;
    }
  }
  return true;
}

static bool as_stated(const struct ubl *u, struct error *err) {
  amount subtotal, tax, total;
  return ubl_amount(u, u->document, "subtotal", &subtotal, err) && ubl_amount(u, u->document, "tax", &tax, err) &&
         ubl_amount(u, u->document, "total", &total, err) && same("subtotal", subtotal, u->lines, err) &&
         same("tax", tax, u->tax, err) && same("total", total, u->total, err) &&
         same("amount due", u->rounding, AMOUNT_ZERO, err) && bases_agree(u, err);
}

bool ubl_sums(struct ubl *u, struct error *err) {
  const struct json *taxes = json_get(u->document, "taxes");
  const char *due = json_get(u->document, "amount_due") ? "amount_due" : "total";
  amount total;
  if (!document_amount(u->document, "total", &total, err)) {
    return false;
  }
  u->turned = u->credit && amount_cmp(total, AMOUNT_ZERO) < 0;
  u->categories = arena_array(u->arena, (taxes ? taxes->count : 0) + 1, sizeof *u->categories);
  amount remains, before;
  if (!add_lines(u, err) || !add_taxes(u, err) || !amount_add(u->lines, u->tax, &u->total, err) ||
      !ubl_amount(u, u->document, "prepaid", &u->prepaid, err) || !ubl_amount(u, u->document, due, &u->due, err) ||
      !amount_sub(u->total, u->prepaid, &before, err) || !amount_sub(u->due, before, &remains, err)) {
    return false;
  }
  u->rounding = remains;
  u->out_of_tax = u->category_count == 1 && slice_is(u->categories[0].code, "O");
  /* A currency of three decimals is rounded line by line; its sums differ by what was rounded. */
  return u->currency->minor_units > 2 || as_stated(u, err);
}
