/* How one line of an invoice came to be, told from its trace. */
#include "bill/private.h"

bool document_line(const struct json *document, uint32_t number, const struct json **out, struct error *err) {
  char wanted[16];
  snprintf(wanted, sizeof wanted, "%u", number);
  const struct json *lines = json_get(document, "lines");
  for (const struct json *l = lines ? lines->child : NULL; l; l = l->next) {
    if (slice_is(json_text(l, "number"), wanted)) {
      *out = l;
      return true;
    }
  }
  return error_set(err, ERR_NOT_FOUND, "this invoice has no line %u; it has %u lines", number,
                   lines ? lines->count : 0);
}

static void head(const struct json *document, const struct json *line, struct buf *out) {
  slice number = json_text(document, "number"), unit = json_text(line, "unit");
  buf_addf(out, "invoice " SLICE_FMT ", line " SLICE_FMT ": " SLICE_FMT "\n",
           SLICE_ARG(number.len ? number : SLICE("(draft)")), SLICE_ARG(json_text(line, "number")),
           SLICE_ARG(json_text(line, "description")));
  buf_addf(out, "  customer   " SLICE_FMT "\n", SLICE_ARG(json_text(json_get(document, "customer"), "id")));
  buf_addf(out, "  from       " SLICE_FMT " to " SLICE_FMT "\n", SLICE_ARG(json_text(line, "from")),
           SLICE_ARG(json_text(line, "to")));
  if (json_text(line, "plan").len) {
    buf_addf(out, "  plan       " SLICE_FMT ", version of " SLICE_FMT "\n", SLICE_ARG(json_text(line, "plan")),
             SLICE_ARG(json_text(line, "plan_valid_from")));
  }
  if (json_text(line, "price_at").len) {
    buf_addf(out, "  price      " SLICE_FMT " " SLICE_FMT " (" SLICE_FMT ")\n", SLICE_ARG(json_text(line, "model")),
             SLICE_ARG(json_text(line, "kind")), SLICE_ARG(json_text(line, "price_at")));
  }
  if (json_text(line, "meter").len) {
    buf_addf(out, "  meter      " SLICE_FMT "\n", SLICE_ARG(json_text(line, "meter")));
  }
  buf_addf(out, "  quantity   " SLICE_FMT " " SLICE_FMT, SLICE_ARG(json_text(line, "quantity")), SLICE_ARG(unit));
  if (json_text(line, "included").len) {
    buf_addf(out, ", of which " SLICE_FMT " included", SLICE_ARG(json_text(line, "included")));
  }
  if (json_text(line, "covered").len) {
    buf_addf(out, ", of which " SLICE_FMT " covered by commitments", SLICE_ARG(json_text(line, "covered")));
  }
  if (json_text(line, "raw_quantity").len) {
    buf_addf(out, " = " SLICE_FMT " as metered / " SLICE_FMT, SLICE_ARG(json_text(line, "raw_quantity")),
             SLICE_ARG(json_text(line, "raw_per_unit")));
  }
  buf_addc(out, '\n');
  if (json_get(line, "unit_price")) {
    buf_add(out, SLICE("  at         "));
    describe_price(json_get(line, "unit_price"), unit, out);
    if (json_text(line, "multiplier").len) {
      buf_addf(out, " x " SLICE_FMT, SLICE_ARG(json_text(line, "multiplier")));
    }
    buf_addc(out, '\n');
  }
}

static void step(const struct json *s, struct buf *out) {
  const struct json *price = json_get(s, "price");
  buf_addf(out, "  step       tier " SLICE_FMT ": " SLICE_FMT " metered", SLICE_ARG(json_text(s, "tier")),
           SLICE_ARG(json_text(s, "raw")));
  if (json_text(s, "included").len) {
    buf_addf(out, ", " SLICE_FMT " of it included", SLICE_ARG(json_text(s, "included")));
  }
  if (json_text(s, "covered").len) {
    buf_addf(out, ", " SLICE_FMT " of it covered", SLICE_ARG(json_text(s, "covered")));
  }
  if (price) {
    buf_addf(out, " x " SLICE_FMT " / " SLICE_FMT, SLICE_ARG(json_text(price, "each")),
             SLICE_ARG(json_text(price, "per")));
  }
  if (json_text(s, "multiplier").len) {
    buf_addf(out, " x " SLICE_FMT, SLICE_ARG(json_text(s, "multiplier")));
  }
  buf_addf(out, " = " SLICE_FMT "\n", SLICE_ARG(json_text(s, "amount")));
  buf_addf(out, "             " SLICE_FMT " to " SLICE_FMT ", " SLICE_FMT " usage rows, " SLICE_FMT " events",
           SLICE_ARG(json_text(s, "from")), SLICE_ARG(json_text(s, "to")), SLICE_ARG(json_text(s, "rows")),
           SLICE_ARG(json_text(s, "events")));
  if (json_text(s, "note").len) {
    buf_addf(out, "; " SLICE_FMT, SLICE_ARG(json_text(s, "note")));
  }
  buf_addc(out, '\n');
}

static void adjustment(const struct json *document, const struct json *line, struct buf *out) {
  const struct json *a = json_get(line, "adjusts");
  slice unit = json_text(line, "unit"), currency = json_text(document, "currency");
  if (a == NULL) {
    return;
  }
  buf_addf(out,
           "  adjusts    invoice " SLICE_FMT " of " SLICE_FMT ": events " SLICE_FMT " to " SLICE_FMT
           " of the journal came after it\n",
           SLICE_ARG(json_text(a, "invoice")), SLICE_ARG(json_text(a, "period")), SLICE_ARG(json_text(a, "from_event")),
           SLICE_ARG(json_text(a, "to_event")));
  buf_addf(out, "  before     " SLICE_FMT " " SLICE_FMT " = " SLICE_FMT " " SLICE_FMT "\n",
           SLICE_ARG(json_text(a, "quantity_before")), SLICE_ARG(unit), SLICE_ARG(json_text(a, "exact_before")),
           SLICE_ARG(currency));
  buf_addf(out, "  after      " SLICE_FMT " " SLICE_FMT " = " SLICE_FMT " " SLICE_FMT "\n",
           SLICE_ARG(json_text(a, "quantity_after")), SLICE_ARG(unit), SLICE_ARG(json_text(a, "exact_after")),
           SLICE_ARG(currency));
}

static void conversion(const struct json *document, const struct json *line, struct buf *out) {
  const struct json *c = json_get(line, "converted");
  slice from = json_text(c, "from"), by = json_text(c, "rate");
  if (c == NULL) {
    return;
  }
  buf_addf(out,
           "  converted  " SLICE_FMT " " SLICE_FMT " x " SLICE_FMT " " SLICE_FMT " per " SLICE_FMT " of " SLICE_FMT
           " (" SLICE_FMT ")\n",
           SLICE_ARG(json_text(c, "exact")), SLICE_ARG(from), SLICE_ARG(by), SLICE_ARG(json_text(document, "currency")),
           SLICE_ARG(from), SLICE_ARG(json_text(c, "on")), SLICE_ARG(json_text(c, "rate_at")));
}

static void credit(const struct json *line, struct buf *out) {
  const struct json *c = json_get(line, "credit");
  if (c != NULL) {
    buf_addf(out,
             "  paid from  credit " SLICE_FMT " (" SLICE_FMT ", priority " SLICE_FMT "), of which " SLICE_FMT
             " were available\n",
             SLICE_ARG(json_text(c, "grant")), SLICE_ARG(json_text(c, "kind")), SLICE_ARG(json_text(c, "priority")),
             SLICE_ARG(json_text(c, "available")));
  }
}

/* Which tax, and how it comes out of a price that includes it. */
static void taxed(const struct json *document, const struct json *line, struct buf *out) {
  const struct json *tax = document_tax_of(document, line);
  slice rate_text = json_text(tax, "rate"), currency = json_text(document, "currency");
  if (tax == NULL) {
    return;
  }
  if (json_get(line, "gross")) {
    buf_addf(out,
             "  with tax   " SLICE_FMT " " SLICE_FMT ", rounded half-even to " SLICE_FMT "; without: / (1 + " SLICE_FMT
             ")\n",
             SLICE_ARG(json_text(line, "gross_exact")), SLICE_ARG(currency), SLICE_ARG(json_text(line, "gross")),
             SLICE_ARG(rate_text));
  }
  buf_addf(out, "  tax        " SLICE_FMT " (" SLICE_FMT ", rate " SLICE_FMT ")\n", SLICE_ARG(json_text(tax, "label")),
           SLICE_ARG(json_text(tax, "category")), SLICE_ARG(rate_text));
}

static void corrects(const struct json *document, const struct json *line, struct buf *out) {
  const struct json *c = json_get(line, "corrects");
  if (c != NULL) {
    buf_addf(out,
             "  credits    line " SLICE_FMT " of invoice " SLICE_FMT ", billed " SLICE_FMT ", of which " SLICE_FMT
             " were credited before\n",
             SLICE_ARG(json_text(c, "line")), SLICE_ARG(json_text(json_get(document, "corrects"), "invoice")),
             SLICE_ARG(json_text(c, "billed")), SLICE_ARG(json_text(c, "credited_before")));
  }
}

static bool tail(const struct json *document, const struct json *line, struct buf *out, struct error *err) {
  amount exact, billed, rounding;
  char text[DECIMAL_TEXT_MAX];
  if (!document_amount(line, "exact", &exact, err) || !document_amount(line, "amount", &billed, err) ||
      !amount_sub(billed, exact, &rounding, err)) {
    return false;
  }
  slice currency = json_text(document, "currency");
  taxed(document, line, out);
  buf_addf(out, "  exact      " SLICE_FMT " " SLICE_FMT "\n", SLICE_ARG(json_text(line, "exact")), SLICE_ARG(currency));
  buf_addf(out, "  amount     " SLICE_FMT " " SLICE_FMT ", %s (%s booked to rounding)\n",
           SLICE_ARG(json_text(line, "amount")), SLICE_ARG(currency),
           json_get(line, "gross") ? "its share of what the lines of this tax come to without it" : "rounded half-even",
           amount_text(rounding, text));
  return true;
}

static bool explain(struct arena *arena, slice bytes, uint32_t number, struct buf *out, struct error *err) {
  const struct json *document;
  if (!document_parse(arena, bytes, &document, err)) {
    return false;
  }
  const struct json *line, *trace;
  if (!document_line(document, number, &line, err)) {
    return false;
  }
  trace = json_get(line, "trace");
  head(document, line, out);
  for (const struct json *s = trace ? trace->child : NULL; s; s = s->next) {
    step(s, out);
  }
  conversion(document, line, out);
  adjustment(document, line, out);
  credit(line, out);
  corrects(document, line, out);
  return tail(document, line, out, err);
}

bool invoice_explain(slice document_json, uint32_t number, struct buf *out, struct error *err) {
  struct arena *arena = arena_new();
  bool ok = explain(arena, document_json, number, out, err);
  arena_free(arena);
  return ok;
}
