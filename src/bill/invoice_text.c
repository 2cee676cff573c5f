/* The invoice for the terminal. */
#include "bill/private.h"

static const char *money(const struct invoice *i, amount a, char text[DECIMAL_TEXT_MAX * 2]) {
  return amount_display(a, i->customer->currency, text);
}

static void head(const struct invoice *i, struct buf *out) {
  char from[TIME_TEXT_MAX], last[TIME_TEXT_MAX], due[TIME_TEXT_MAX];
  if (i->status == INVOICE_DRAFT) {
    buf_addf(out, "DRAFT INVOICE\n");
  } else {
    buf_addf(out, "INVOICE " SLICE_FMT "  due %s\n", SLICE_ARG(i->number),
             time_format_date(i->due, i->customer->time_zone, due));
  }
  buf_addf(out, "from  " SLICE_FMT "\n", SLICE_ARG(catalog_seller(i->catalog, i->customer)->party.name));
  buf_addf(out, "to    " SLICE_FMT " (" SLICE_FMT ")\n", SLICE_ARG(i->customer->party.name),
           SLICE_ARG(i->customer->id));
  buf_addf(out, "for   %s to %s, %s\n\n", time_format_date(i->period.from, i->customer->time_zone, from),
           time_format_date((instant){i->period.to.ns - 1}, i->customer->time_zone, last), i->customer->currency->code);
}

static void unit_price(const struct charge *c, char text[2 * DECIMAL_TEXT_MAX]) {
  char each[DECIMAL_TEXT_MAX], per[DECIMAL_TEXT_MAX], times[DECIMAL_TEXT_MAX];
  rate multiplier;
  text[0] = '\0';
  if (!c->has_unit_price || !charge_multiplier(c, &multiplier)) {
    return;
  }
  int n = snprintf(text, 2 * DECIMAL_TEXT_MAX, "%s%s%s", amount_text(c->unit_price.each, each),
                   c->conversion ? " " : "", c->conversion ? c->conversion->rate->from->code : "");
  if (multiplier.e12 != RATE_ONE.e12) {
    n += snprintf(text + n, (size_t)(2 * DECIMAL_TEXT_MAX - n), " x %s", rate_text(multiplier, times));
  }
  if (c->unit_price.per.e9 != QUANTITY_E9) {
    snprintf(text + n, (size_t)(2 * DECIMAL_TEXT_MAX - n), " / %s", quantity_text(c->unit_price.per, per));
  }
}

static void line(const struct invoice *i, const struct invoice_line *l, struct buf *out) {
  char units[DECIMAL_TEXT_MAX], price[2 * DECIMAL_TEXT_MAX], exact[DECIMAL_TEXT_MAX],
      amount_shown[2 * DECIMAL_TEXT_MAX];
  char description[160];
  unit_price(l->charge, price);
  snprintf(description, sizeof description, SLICE_FMT "%s" SLICE_FMT "%s", SLICE_ARG(l->description),
           l->dates.len ? " (" : "", SLICE_ARG(l->dates), l->dates.len ? ")" : "");
  buf_addf(out, "%3u  %-48s %20s %-12.*s %16s %20s %14s\n", l->number, description,
           quantity_text(l->charge->units, units), (int)l->charge->unit.len, l->charge->unit.ptr, price,
           amount_text(l->exact, exact), money(i, l->amount, amount_shown));
}

static void sum(const struct invoice *i, const char *label, amount a, struct buf *out) {
  char text[2 * DECIMAL_TEXT_MAX];
  buf_addf(out, "%125s %14s\n", label, money(i, a, text));
}

static void totals(const struct invoice *i, struct buf *out) {
  char exact[DECIMAL_TEXT_MAX], rounding[DECIMAL_TEXT_MAX];
  sum(i, "subtotal", i->subtotal, out);
  for (size_t t = 0; t < i->tax_count; t++) {
    char label[256];
    snprintf(label, sizeof label, SLICE_FMT, SLICE_ARG(i->taxes[t].tax->label));
    sum(i, label, i->taxes[t].amount, out);
  }
  sum(i, "TOTAL", i->total, out);
  if (i->credit_count > 0) {
    sum(i, "paid in advance", amount_negate(i->prepaid), out);
    sum(i, "AMOUNT DUE", i->amount_due, out);
  }
  buf_addf(out, "\nexact sum of the lines %s; rounding booked %s; %llu events\n", amount_text(i->exact, exact),
           amount_text(i->rounding, rounding), (unsigned long long)i->usage_events);
}

/* Reservations and savings plans: how full they were, and what share of the usage was theirs. */
static void commitments(const struct invoice *i, struct buf *out) {
  char used[2 * DECIMAL_TEXT_MAX], of[2 * DECIMAL_TEXT_MAX], shares[2][DECIMAL_TEXT_MAX];
  for (size_t n = 0; n < i->rating->coverage_count; n++) {
    const struct coverage *c = &i->rating->coverages[n];
    bool units = c->cover->kind == COVER_RESERVATION;
    slice unit = units ? c->cover->usage[0].meter->unit : slice_of(i->customer->currency->code);
    buf_addf(out,
             "  *  " SLICE_FMT ": used %s of %s " SLICE_FMT " (%s), covering %s of usage; %u of %u hours not full\n",
             SLICE_ARG(c->cover->name), units ? quantity_text(c->used, used) : money(i, c->spent, used),
             units ? quantity_text(c->capacity, of) : money(i, c->cost, of), SLICE_ARG(unit),
             c->has_utilization ? rate_percent(c->utilization, shares[0]) : "-",
             c->has_coverage ? rate_percent(c->coverage, shares[1]) : "-", c->hours_unused, c->hours);
  }
}

void invoice_to_text(const struct invoice *i, struct buf *out) {
  head(i, out);
  buf_addf(out, "%3s  %-48s %20s %-12s %16s %20s %14s\n", "#", "description", "quantity", "unit", "price", "exact",
           "amount");
  for (size_t l = 0; l < i->line_count; l++) {
    line(i, &i->lines[l], out);
  }
  for (size_t u = 0; u < i->rating->unpriced_count; u++) {
    const struct unpriced *un = &i->rating->unpriced[u];
    char units[DECIMAL_TEXT_MAX];
    buf_addf(out, "  !  UNPRICED " SLICE_FMT ": %s " SLICE_FMT " (%s)\n", SLICE_ARG(un->meter->name),
             quantity_text(un->units, units), SLICE_ARG(un->meter->unit), un->why);
  }
  commitments(i, out);
  totals(i, out);
}
