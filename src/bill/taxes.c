/* The tax of each line: which, at which rate, and out of which amount. Prices that include it are taken apart here: per
 * tax, of the sum, and the net amount is divided over its lines. Pure. docs/invoicing.md, Taxes. */
#include "bill/private.h"
#include <stdlib.h>

struct finding {
  struct arena *arena;
  struct invoice *invoice;
  struct invoice_tax *taxes;
  struct map found; /* product and tax point -> entry of `taxes`, or `none` */
};
static struct invoice_tax none;

/* When a charge is taxed: with the invoice's period, an adjustment with the period it adjusts. */
static bool tax_point(const struct customer *customer, struct period period, bool opening, const struct charge *charge,
                      instant *out, struct error *err) {
  bool not_one;
  if (charge->adjustment && !billing_period_named(customer, charge->adjustment->span.period, &period, &not_one, err)) {
    return false;
  }
  *out = opening ? period.from : (instant){period.to.ns - 1};
  return true;
}

static bool includes_tax(const struct charge *charge) {
  return charge->segment && charge->segment->plan && charge->segment->plan->prices_include_tax;
}

/* value x part / whole in whole minor units, rounded once. */
static bool share_of(amount value, int128 part, int128 whole, const struct currency *currency, amount *out,
                     struct error *err) {
  int128 unit = AMOUNT_E12;
  for (int i = 0; i < currency->minor_units; i++) {
    unit /= 10;
  }
  if (value.e12 % unit != 0) {
    return error_set(err, ERR_INVALID, "only whole minor units of %s are taxed", currency->code);
  }
  if (!int128_muldiv(value.e12 / unit, part, whole, ROUND_HALF_EVEN, &out->e12, err)) {
    return false;
  }
  out->e12 *= unit;
  return true;
}

bool tax_included(amount gross, rate of, const struct currency *currency, amount *out, struct error *err) {
  return share_of(gross, of.e12, AMOUNT_E12 + of.e12, currency, out, err);
}

static bool net_of(amount gross, rate of, amount *out, struct error *err) {
  return int128_muldiv(gross.e12, AMOUNT_E12, AMOUNT_E12 + of.e12, ROUND_HALF_EVEN, &out->e12, err);
}

bool invoice_charge_net(const struct catalog *catalog, const struct rating *rating, const struct charge *charge,
                        amount *out, struct error *err) {
  const struct tax *tax;
  instant at;
  rate of;
  *out = charge->exact;
  if (!includes_tax(charge)) {
    return true;
  }
  return tax_point(rating->customer, rating->period, rating->opening, charge, &at, err) &&
         catalog_tax(catalog, rating->customer, charge->product, at, &tax, err) &&
         (tax == NULL || (catalog_tax_rate(tax, at, &of, err) && net_of(charge->exact, of, out, err)));
}

/* ---- which tax ---- */

/* One entry a tax and rate: an adjustment may bring the rate of another time. */
static struct invoice_tax *entry_of(struct finding *f, const struct tax *tax, rate of) {
  struct invoice *i = f->invoice;
  for (size_t t = 0; t < i->tax_count; t++) {
    if (f->taxes[t].tax == tax && f->taxes[t].rate.e12 == of.e12) {
      return &f->taxes[t];
    }
  }
  struct invoice_tax *entry = &f->taxes[i->tax_count++];
  *entry = (struct invoice_tax){.tax = tax, .rate = of};
  return entry;
}

static bool find_one(struct finding *f, slice product, instant at, struct invoice_tax **out, struct error *err) {
  const struct invoice *i = f->invoice;
  if (i->customer->tax || i->catalog->tax_rule_count == 0) {
    product = (slice){0}; /* the same for all of them */
  }
  char *key = arena_printf(f->arena, "%lld\n" SLICE_FMT, (long long)at.ns, SLICE_ARG(product));
  void **slot = map_put(&f->found, slice_of(key));
  if (*slot == NULL) {
    const struct tax *tax;
    rate of;
    if (!catalog_tax(i->catalog, i->customer, product, at, &tax, err) ||
        (tax && !catalog_tax_rate(tax, at, &of, err))) {
      return false;
    }
    *slot = tax ? entry_of(f, tax, of) : &none;
  }
  *out = *slot == &none ? NULL : *slot;
  return true;
}

static bool find_all(struct finding *f, struct invoice_line *lines, struct error *err) {
  const struct invoice *i = f->invoice;
  for (size_t l = 0; l < i->line_count; l++) {
    struct invoice_line *line = &lines[l];
    struct invoice_tax *tax;
    instant at;
    if (!tax_point(i->customer, i->period, i->part.len > 0, line->charge, &at, err) ||
        !find_one(f, line->charge->product, at, &tax, err)) {
      return false;
    }
    line->tax = tax;
    line->has_gross = tax && tax->rate.e12 > 0 && includes_tax(line->charge);
  }
  return true;
}

/* No more entries than lines, nor than taxes have rates; an exemption is a tax of the customer's own. */
static size_t most_entries(const struct invoice *i) {
  size_t most = 1;
  for (size_t t = 0; t < i->catalog->tax_count && most < i->line_count; t++) {
    size_t rates = i->catalog->taxes[t].rate_count;
    most += rates ? rates : 1;
  }
  return (most < i->line_count ? most : i->line_count) + 2 * i->rating->commitment_count;
}

/* ---- prices that include tax ---- */

/* Divides `net` over those lines of the tax whose gross amount is above zero, or below it. */
static bool split_net(struct finding *f, const struct invoice_tax *tax, struct invoice_line *lines, bool above,
                      amount net, struct error *err) {
  const struct invoice *i = f->invoice;
  struct invoice_line **parts_of = arena_array(f->arena, i->line_count, sizeof(struct invoice_line *));
  amount *weights = arena_array(f->arena, i->line_count, sizeof *weights);
  amount *parts = arena_array(f->arena, i->line_count, sizeof *parts);
  size_t count = 0;
  for (size_t l = 0; l < i->line_count; l++) {
    int sign = amount_cmp(lines[l].gross, AMOUNT_ZERO);
    if (lines[l].tax == tax && lines[l].has_gross && (above ? sign > 0 : sign < 0)) {
      weights[count] = above ? lines[l].gross : amount_negate(lines[l].gross);
      parts_of[count++] = &lines[l];
    }
  }
  if (count == 0) {
    must(amount_is_zero(net));
    return true;
  }
  if (!amount_split(net, i->customer->currency, weights, count, parts, err)) {
    return false;
  }
  for (size_t n = 0; n < count; n++) {
    parts_of[n]->amount = parts[n];
  }
  return true;
}

struct gross_sums {
  amount above, below;
  bool any;
};

/* Keeps what the lines cost with tax, and adds it up. */
static bool take_gross(const struct invoice *i, const struct invoice_tax *tax, struct invoice_line *lines,
                       struct gross_sums *sums, struct error *err) {
  must(tax != NULL);
  for (size_t l = 0; l < i->line_count; l++) {
    struct invoice_line *line = &lines[l];
    if (line->tax != tax || !line->has_gross) {
      continue;
    }
    sums->any = true;
    line->gross = line->amount;
    line->gross_exact = line->exact;
    line->amount = AMOUNT_ZERO;
    amount *sum = amount_cmp(line->gross, AMOUNT_ZERO) < 0 ? &sums->below : &sums->above;
    if (!net_of(line->gross_exact, tax->rate, &line->exact, err) || !amount_add(*sum, line->gross, sum, err)) {
      return false;
    }
  }
  return true;
}

/* tax = round(gross x r / (1 + r)), the rest is net: so the lines and their tax come to the price that was told. */
static bool take_apart(struct finding *f, struct invoice_tax *tax, struct invoice_line *lines, struct error *err) {
  const struct currency *currency = f->invoice->customer->currency;
  struct gross_sums sums = {0};
  amount net, below = AMOUNT_ZERO, above;
  if (!take_gross(f->invoice, tax, lines, &sums, err)) {
    return false;
  }
  if (!sums.any) {
    return true;
  }
  if (!amount_add(sums.above, sums.below, &tax->gross, err) ||
      !tax_included(tax->gross, tax->rate, currency, &tax->included, err) ||
      !amount_sub(tax->gross, tax->included, &net, err) ||
      !share_of(sums.below, AMOUNT_E12, AMOUNT_E12 + tax->rate.e12, currency, &below, err)) {
    return false;
  }
  if (amount_is_zero(sums.above)) {
    below = net;
  }
  tax->has_gross = true;
  return amount_sub(net, below, &above, err) && split_net(f, tax, lines, true, above, err) &&
         split_net(f, tax, lines, false, below, err);
}

static bool add_up_again(struct invoice *i, struct error *err) {
  i->exact = i->subtotal = AMOUNT_ZERO;
  for (size_t l = 0; l < i->line_count; l++) {
    if (!amount_add(i->exact, i->lines[l].exact, &i->exact, err) ||
        !amount_add(i->subtotal, i->lines[l].amount, &i->subtotal, err)) {
      return false;
    }
  }
  return true;
}

bool taxes_find(struct arena *arena, struct invoice *invoice, struct invoice_line *lines, struct invoice_tax **taxes,
                struct error *err) {
  struct finding f = {.arena = arena, .invoice = invoice};
  f.taxes = *taxes = arena_array(arena, most_entries(invoice), sizeof **taxes);
  invoice->taxes = f.taxes;
  invoice->tax_count = 0;
  bool ok = find_all(&f, lines, err);
  for (size_t t = 0; ok && t < invoice->tax_count; t++) {
    ok = take_apart(&f, &f.taxes[t], lines, err);
  }
  map_free(&f.found);
  return ok && add_up_again(invoice, err);
}

bool taxes_of_product(struct arena *arena, struct invoice *invoice, struct invoice_tax *taxes, slice product,
                      const struct invoice_tax **out, struct error *err) {
  struct finding f = {.arena = arena, .invoice = invoice, .taxes = taxes};
  const struct charge plain = {0};
  struct invoice_tax *tax = NULL;
  instant at;
  bool ok = tax_point(invoice->customer, invoice->period, invoice->part.len > 0, &plain, &at, err) &&
            find_one(&f, product, at, &tax, err);
  map_free(&f.found);
  *out = tax;
  return ok;
}

/* ---- how much ---- */

bool tax_on(amount base, amount gross, amount included, rate of, const struct currency *currency, amount *out,
            struct error *err) {
  amount net, rest, more;
  return amount_sub(gross, included, &net, err) && amount_sub(base, net, &rest, err) &&
         share_of(rest, of.e12, AMOUNT_E12, currency, &more, err) && amount_add(included, more, out, err);
}

bool taxes_settle(struct invoice *invoice, struct invoice_tax *taxes, struct error *err) {
  for (size_t l = 0; l < invoice->line_count; l++) {
    const struct invoice_line *line = &invoice->lines[l];
    if (line->tax) {
      struct invoice_tax *tax = &taxes[line->tax - taxes];
      if (!amount_add(tax->base, line->amount, &tax->base, err)) {
        return false;
      }
    }
  }
  for (size_t t = 0; t < invoice->tax_count; t++) {
    struct invoice_tax *tax = &taxes[t];
    if (!tax_on(tax->base, tax->gross, tax->included, tax->rate, invoice->customer->currency, &tax->amount, err) ||
        !amount_add(invoice->tax, tax->amount, &invoice->tax, err)) {
      return false;
    }
  }
  return true;
}
