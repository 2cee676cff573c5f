/* The lines that commitments make on an invoice: drawn, discounted, beyond, bought, missing. */
#include "bill/private.h"

static const struct commitment *commitment_of(const struct invoice_commitment *c) {
  return c->span->commitment;
}

/* What of the interval lies in the period; all of it when none does. */
static const struct segment *segment_here(struct settling *s, const struct invoice_commitment *of) {
  const struct commitment_span *span = of->span;
  struct period p = s->invoice->period;
  struct segment *segment = arena_alloc(s->arena, sizeof *segment);
  *segment = *span->segment;
  if (span->from.ns < p.to.ns && span->to.ns > p.from.ns) {
    segment->from = time_later(span->from, p.from);
    segment->to = time_earlier(span->to, p.to);
  }
  return segment;
}

static slice dates_of(struct settling *s, const struct segment *segment) {
  const char *zone = s->invoice->customer->time_zone;
  char from[TIME_TEXT_MAX], last[TIME_TEXT_MAX];
  if (segment->from.ns == s->invoice->period.from.ns && segment->to.ns == s->invoice->period.to.ns) {
    return (slice){0};
  }
  time_format_date(segment->from, zone, from);
  time_format_date((instant){segment->to.ns - 1}, zone, last);
  return slice_of(arena_printf(s->arena, "%s%s%s", from, segment->to.ns < INSTANT_MAX.ns ? " to " : " on",
                               segment->to.ns < INSTANT_MAX.ns ? last : ""));
}

static struct charge *charge_of(struct settling *s, enum charge_kind kind, const struct invoice_commitment *of,
                                const char *name, const char *note) {
  struct charge *c = arena_alloc(s->arena, sizeof *c);
  struct trace_step *step = arena_alloc(s->arena, sizeof *step);
  bool whole = kind == CHARGE_COMMITMENT || kind == CHARGE_TRUE_UP;
  *c = (struct charge){.kind = kind,
                       .name = slice_of(name),
                       .product = commitment_of(of)->product,
                       .commitment = commitment_of(of),
                       .segment = whole ? of->span->segment : segment_here(s, of),
                       .steps = step,
                       .step_count = 1};
  *step = (struct trace_step){.price = {of->span->amount, QUANTITY_ONE},
                              .multiplier = RATE_ONE,
                              .from = c->segment->from,
                              .to = c->segment->to,
                              .note = note};
  return c;
}

static bool push(struct settling *s, struct charge *c, const struct invoice_tax *tax, amount value, struct error *err) {
  struct invoice *i = s->invoice;
  struct trace_step *step = arena_alloc(s->arena, sizeof *step);
  *step = c->steps[0];
  step->amount = c->exact = value;
  c->steps = step;
  s->lines[i->line_count] = (struct invoice_line){.number = (uint32_t)i->line_count + 1,
                                                  .charge = c,
                                                  .description = c->name,
                                                  .dates = dates_of(s, c->segment),
                                                  .exact = value,
                                                  .amount = value,
                                                  .tax = tax};
  i->line_count++;
  return amount_add(i->exact, value, &i->exact, err) && amount_add(i->subtotal, value, &i->subtotal, err);
}

/* A line of its own product falls under that product's tax. */
static bool push_new(struct settling *s, struct charge *c, amount value, struct error *err) {
  const struct invoice_tax *tax;
  return taxes_of_product(s->arena, s->invoice, s->entries, c->product, &tax, err) && push(s, c, tax, value, err);
}

static const char *money(const struct settling *s, amount a, char text[DECIMAL_TEXT_MAX]) {
  return amount_text_fixed(a, s->invoice->customer->currency->minor_units, text);
}

bool line_of_drawdown(struct settling *s, const struct invoice_commitment *of, const struct invoice_tax *tax,
                      amount drawn, struct error *err) {
  if (amount_is_zero(drawn)) {
    return true;
  }
  const char *what = amount_cmp(drawn, AMOUNT_ZERO) > 0 ? "drawn from" : "given back to";
  const char *name =
      arena_printf(s->arena, "%s " SLICE_FMT, amount_cmp(drawn, AMOUNT_ZERO) > 0 ? "Drawn from" : "Given back to",
                   SLICE_ARG(commitment_of(of)->name));
  return push(s, charge_of(s, CHARGE_DRAWDOWN, of, name, arena_printf(s->arena, "%s what was paid in advance", what)),
              tax, amount_negate(drawn), err);
}

bool line_of_discount(struct settling *s, const struct invoice_commitment *of, const struct invoice_tax *tax,
                      slice product, amount discount, amount covered, struct error *err) {
  char percent[DECIMAL_TEXT_MAX], base[DECIMAL_TEXT_MAX];
  if (amount_is_zero(discount)) {
    return true;
  }
  rate_percent(commitment_of(of)->discount, percent);
  struct charge *c =
      charge_of(s, CHARGE_DISCOUNT, of,
                arena_printf(s->arena, SLICE_FMT ", discount of %s", SLICE_ARG(commitment_of(of)->name), percent),
                arena_printf(s->arena, "%s of %s", percent, money(s, covered, base)));
  c->product = product.len > 0 ? product : c->product;
  return push(s, c, tax, amount_negate(discount), err);
}

bool line_of_overage(struct settling *s, const struct invoice_commitment *of, const struct invoice_tax *tax,
                     slice product, amount surcharge, amount beyond, struct error *err) {
  char percent[DECIMAL_TEXT_MAX], base[DECIMAL_TEXT_MAX];
  if (amount_is_zero(surcharge)) {
    return true;
  }
  rate_percent(commitment_of(of)->overage, percent);
  struct charge *c =
      charge_of(s, CHARGE_OVERAGE, of,
                arena_printf(s->arena, SLICE_FMT ", beyond it at %s", SLICE_ARG(commitment_of(of)->name), percent),
                arena_printf(s->arena, "%s instead of 100 %% of %s", percent, money(s, beyond, base)));
  c->product = product.len > 0 ? product : c->product;
  return push(s, c, tax, surcharge, err);
}

static const char *installment_name(struct settling *s, const struct invoice_commitment *of) {
  const struct commitment_span *span = of->span;
  slice name = commitment_of(of)->name;
  instant until = s->invoice->rating->opening ? s->invoice->period.from : s->invoice->period.to;
  size_t last = 0;
  while (last < span->installment_count && span->installments[last].due.ns <= until.ns) {
    last++;
  }
  if (span->installment_count < 2) {
    return arena_printf(s->arena, SLICE_FMT, SLICE_ARG(name));
  }
  if (span->cut && span->to.ns <= until.ns) {
    return arena_printf(s->arena, SLICE_FMT ", what is left of %zu installments", SLICE_ARG(name),
                        span->installment_count);
  }
  return arena_printf(s->arena, SLICE_FMT ", installment %zu of %zu", SLICE_ARG(name), last, span->installment_count);
}

bool line_of_purchase(struct settling *s, const struct invoice_commitment *of, struct error *err) {
  char whole[DECIMAL_TEXT_MAX], before[DECIMAL_TEXT_MAX];
  if (amount_is_zero(of->billed)) {
    return true;
  }
  const char *note = arena_printf(s->arena, "committed to %s, %s of it invoiced before",
                                  money(s, of->span->amount, whole), money(s, of->before.billed, before));
  return push_new(s, charge_of(s, CHARGE_COMMITMENT, of, installment_name(s, of), note), of->billed, err);
}

static bool true_up(struct settling *s, const struct invoice_commitment *of, struct error *err) {
  char whole[DECIMAL_TEXT_MAX], rolled[DECIMAL_TEXT_MAX];
  bool minimum = commitment_of(of)->kind == COMMITMENT_MINIMUM;
  const char *name =
      arena_printf(s->arena, SLICE_FMT "%s", SLICE_ARG(commitment_of(of)->name), minimum ? "" : ", not spent");
  bool rolls = !amount_is_zero(of->rolled);
  const char *note =
      arena_printf(s->arena, "%s %s%s%s", minimum ? "minimum" : "committed to", money(s, of->span->amount, whole),
                   rolls ? ", carried on " : "", rolls ? money(s, of->rolled, rolled) : "");
  return push_new(s, charge_of(s, CHARGE_TRUE_UP, of, name, note), of->expired, err);
}

bool line_of_end(struct settling *s, const struct invoice_commitment *of, struct error *err) {
  char expired[DECIMAL_TEXT_MAX], rolled[DECIMAL_TEXT_MAX];
  bool ends = !amount_is_zero(of->expired), rolls = !amount_is_zero(of->rolled);
  if (commitment_of(of)->shape == COMMITMENT_POSTPAID && ends) {
    return true_up(s, of, err);
  }
  if (!ends && !rolls) {
    return true;
  }
  const char *name =
      arena_printf(s->arena, SLICE_FMT ": %s%s%s%s%s", SLICE_ARG(commitment_of(of)->name),
                   ends ? money(s, of->expired, expired) : "", ends ? " expired unused" : "", ends && rolls ? ", " : "",
                   rolls ? money(s, of->rolled, rolled) : "", rolls ? " carried on" : "");
  return push_new(s, charge_of(s, CHARGE_COMMITMENT, of, name, "end of the interval"), AMOUNT_ZERO, err);
}
