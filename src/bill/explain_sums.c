/* How the sums of an invoice came to be: total, tax, rounding; from the document alone. */
#include "bill/private.h"

static void put(struct buf *out, const char *name, slice value, slice currency) {
  if (value.len > 0) {
    buf_addf(out, "  %-10s " SLICE_FMT " " SLICE_FMT "\n", name, SLICE_ARG(value), SLICE_ARG(currency));
  }
}

static void describe_taxes(const struct json *d, struct buf *out) {
  const struct json *taxes = json_get(d, "taxes");
  for (const struct json *t = taxes ? taxes->child : NULL; t; t = t->next) {
    slice label = json_text(t, "label");
    buf_addf(out, "  tax        " SLICE_FMT ": " SLICE_FMT " x " SLICE_FMT " = " SLICE_FMT ", rounded half-even once",
             SLICE_ARG(label.len ? label : json_text(t, "name")), SLICE_ARG(json_text(t, "base")),
             SLICE_ARG(json_text(t, "rate")), SLICE_ARG(json_text(t, "amount")));
    buf_addf(out, json_text(t, "note").len ? "; " SLICE_FMT "\n" : SLICE_FMT "\n", SLICE_ARG(json_text(t, "note")));
  }
  if (taxes == NULL || taxes->count == 0) {
    buf_add(out, SLICE("  tax        none: the customer has no tax in the catalog\n"));
  }
}

static void put_total(const struct json *d, slice currency, struct buf *out) {
  const struct json *lines = json_get(d, "lines"), *credits = json_get(d, "credits");
  for (const struct json *l = lines ? lines->child : NULL; l; l = l->next) {
    buf_addf(out, "  line %-5.*s " SLICE_FMT "  " SLICE_FMT "\n", SLICE_ARG(json_text(l, "number")),
             SLICE_ARG(json_text(l, "amount")), SLICE_ARG(json_text(l, "description")));
  }
  put(out, "subtotal", json_text(d, "subtotal"), currency);
  describe_taxes(d, out);
  put(out, "total", json_text(d, "total"), currency);
  for (const struct json *c = credits ? credits->child : NULL; c; c = c->next) {
    buf_addf(out, "  paid from  credit " SLICE_FMT ": " SLICE_FMT "\n", SLICE_ARG(json_text(c, "grant")),
             SLICE_ARG(json_text(c, "amount")));
  }
  put(out, "due", json_text(d, "amount_due"), currency);
}

static bool put_rounding(const struct json *d, slice currency, struct buf *out, struct error *err) {
  const struct json *lines = json_get(d, "lines");
  char text[DECIMAL_TEXT_MAX];
  amount sum = AMOUNT_ZERO;
  for (const struct json *l = lines ? lines->child : NULL; l; l = l->next) {
    amount exact, billed, difference;
    if (!document_amount(l, "exact", &exact, err) || !document_amount(l, "amount", &billed, err) ||
        !amount_sub(billed, exact, &difference, err) || !amount_add(sum, difference, &sum, err)) {
      return false;
    }
    buf_addf(out, "  line %-5.*s " SLICE_FMT " - " SLICE_FMT " = %s  " SLICE_FMT "\n",
             SLICE_ARG(json_text(l, "number")), SLICE_ARG(json_text(l, "amount")), SLICE_ARG(json_text(l, "exact")),
             amount_text(difference, text), SLICE_ARG(json_text(l, "description")));
  }
  buf_addf(out, "  rounding   %s " SLICE_FMT ", booked to the account rounding\n", amount_text(sum, text),
           SLICE_ARG(currency));
  return true;
}

static bool explain(struct arena *arena, slice bytes, slice what, struct buf *out, struct error *err) {
  const struct json *d;
  if (!document_parse(arena, bytes, &d, err)) {
    return false;
  }
  slice number = json_text(d, "number"), currency = json_text(d, "currency");
  buf_addf(out, "invoice " SLICE_FMT ": " SLICE_FMT "\n", SLICE_ARG(number.len ? number : SLICE("(draft)")),
           SLICE_ARG(what));
  if (slice_is(what, "total")) {
    put_total(d, currency, out);
    return true;
  }
  if (slice_is(what, "tax")) {
    describe_taxes(d, out);
    put(out, "tax", json_text(d, "tax"), currency);
    return true;
  }
  return slice_is(what, "rounding")
             ? put_rounding(d, currency, out, err)
             : error_set(err, ERR_INVALID, "say the number of a line, or total, tax or rounding, not \"" SLICE_FMT "\"",
                         (int)(what.len > 60 ? 60 : what.len), what.ptr);
}

bool invoice_explain_sum(slice document, slice what, struct buf *out, struct error *err) {
  struct arena *arena = arena_new();
  bool ok = explain(arena, document, what, out, err);
  arena_free(arena);
  return ok;
}
