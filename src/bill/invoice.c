/* Builds an invoice from a rating: lines, the one rounding, taxes and totals. Pure. */
#include "bill/private.h"
#include <string.h>

const char *invoice_status_name(enum invoice_status s) {
  static const char *const names[] = {"draft", "finalized", "paid", "void"};
  must((unsigned)s < sizeof names / sizeof *names);
  return names[s];
}

bool charge_multiplier(const struct charge *c, rate *out) {
  *out = RATE_ONE;
  for (size_t i = 0; i < c->step_count; i++) {
    if (i == 0) {
      *out = c->steps[i].multiplier;
    } else if (c->steps[i].multiplier.e12 != out->e12) {
      return false;
    }
  }
  return true;
}

static bool worth_a_line(const struct charge *c) {
  return !amount_is_zero(c->exact) || !quantity_is_zero(c->raw);
}

/* The days of a charge that covers only part of the period. */
static slice dates_of(struct arena *arena, const struct rating *rating, const struct charge *c) {
  const struct segment *s = c->segment;
  if (s->from.ns == rating->period.from.ns && s->to.ns == rating->period.to.ns) {
    return (slice){0};
  }
  char from[TIME_TEXT_MAX], last[TIME_TEXT_MAX];
  time_format_date(s->from, rating->customer->time_zone, from);
  time_format_date((instant){s->to.ns - 1}, rating->customer->time_zone, last);
  return slice_of(arena_printf(arena, "%s to %s", from, last));
}

static bool add_line(struct arena *arena, const struct rating *rating, const struct charge *c,
                     struct invoice_line *line, struct invoice *out, struct error *err) {
  *line = (struct invoice_line){.number = (uint32_t)out->line_count + 1, .charge = c, .exact = c->exact};
  line->description = c->name;
  line->dates = dates_of(arena, rating, c);
  out->line_count++;
  return amount_round(c->exact, rating->customer->currency, ROUND_HALF_EVEN, &line->amount, err) &&
         amount_add(out->exact, line->exact, &out->exact, err) &&
         amount_add(out->subtotal, line->amount, &out->subtotal, err);
}

bool invoice_build(struct arena *arena, const struct catalog *catalog, const struct rating *rating,
                   const struct invoice_purse *purse, uint64_t usage_events, const char usage_digest[65],
                   struct invoice *out, struct error *err) {
  *out = (struct invoice){.catalog = catalog,
                          .customer = rating->customer,
                          .period = rating->period,
                          .part = rating->opening ? INVOICE_OPENING : SLICE(""),
                          .rating = rating,
                          .usage_events = usage_events};
  memcpy(out->usage_digest, usage_digest, sizeof out->usage_digest);
  struct invoice_line *lines = arena_array(arena, rating->charge_count, sizeof *lines);
  out->lines = lines;
  for (size_t i = 0; i < rating->charge_count; i++) {
    const struct charge *c = &rating->charges[i];
    if (worth_a_line(c) && !add_line(arena, rating, c, &lines[out->line_count], out, err)) {
      return error_at(err, "line \"" SLICE_FMT "\"", SLICE_ARG(c->name));
    }
  }
  must(amount_cmp(out->exact, rating->total) == 0);
  struct applying *applying;
  struct invoice_tax *taxes;
  return taxes_find(arena, out, lines, &taxes, err) && apply_given(arena, purse, out, &applying, err) &&
         amount_sub(out->subtotal, out->exact, &out->rounding, err) && taxes_settle(out, taxes, err) &&
         amount_add(out->subtotal, out->tax, &out->total, err) && apply_prepaid(applying, err) &&
         amount_sub(out->total, out->prepaid, &out->amount_due, err);
}

bool invoice_is_credit(const struct invoice *invoice) {
  return amount_cmp(invoice->total, AMOUNT_ZERO) < 0;
}

void invoice_issue(struct arena *arena, struct invoice *invoice, slice id, slice number, instant issued) {
  invoice->id = arena_copy(arena, id);
  invoice->number = arena_copy(arena, number);
  invoice->issued = issued;
  invoice->due = (instant){issued.ns + invoice->customer->payment_days * INT64_C(86400) * NS_PER_S};
  invoice->status = INVOICE_FINALIZED;
}
