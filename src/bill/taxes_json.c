/* Taxes on the document: each once, and on its lines where prices include it or there are several. */
#include "bill/private.h"

void put_taxes(struct json_out *w, const struct invoice *i) {
  json_key(w, "taxes");
  json_open_array(w);
  for (size_t t = 0; t < i->tax_count; t++) {
    const struct invoice_tax *tax = &i->taxes[t];
    json_open_object(w);
    json_put_str(w, "name", tax->tax->name);
    json_put_str(w, "label", tax->tax->label);
    json_put_str(w, "category", tax->tax->category);
    json_put_rate(w, "rate", tax->rate);
    put_money(w, i, "base", tax->base);
    put_money(w, i, "amount", tax->amount);
    if (tax->has_gross) {
      put_money(w, i, "gross", tax->gross);
      put_money(w, i, "included", tax->included);
    }
    json_put_str(w, "note", tax->tax->note);
    json_close_object(w);
  }
  json_close_array(w);
}

/* With one tax that all lines are of, none needs to say so. */
static bool says_tax(const struct invoice *i) {
  bool untaxed = false;
  for (size_t l = 0; l < i->line_count && !untaxed; l++) {
    untaxed = i->lines[l].tax == NULL;
  }
  return i->tax_count > 1 || (i->tax_count == 1 && untaxed);
}

static bool has_two_rates(const struct invoice *i, const struct tax *tax) {
  size_t count = 0;
  for (size_t t = 0; t < i->tax_count; t++) {
    count += i->taxes[t].tax == tax;
  }
  return count > 1;
}

void put_line_tax(struct json_out *w, const struct invoice *i, const struct invoice_line *line) {
  if (line->has_gross) {
    json_put_amount(w, "gross_exact", line->gross_exact);
    put_money(w, i, "gross", line->gross);
  }
  if (!says_tax(i)) {
    return;
  }
  json_put_str(w, "tax", line->tax ? line->tax->tax->name : (slice){0});
  if (line->tax && has_two_rates(i, line->tax->tax)) {
    json_put_rate(w, "tax_rate", line->tax->rate);
  }
}
