/* Commitments on an invoice: charges draw from what was bought or count towards what is to be spent, what falls due is
 * bought, what has ended is settled. Pure; docs/commitments.md has the rules. */
#include "bill/private.h"
#include <stdlib.h>

static amount lesser(amount a, amount b) {
  return amount_cmp(a, b) < 0 ? a : b;
}

static amount greater(amount a, amount b) {
  return amount_cmp(a, b) > 0 ? a : b;
}

static bool is_minimum(const struct invoice_commitment *c) {
  return c->span->commitment->kind == COMMITMENT_MINIMUM;
}

static bool is_prepaid(const struct invoice_commitment *c) {
  return c->span->commitment->shape == COMMITMENT_PREPAID;
}

/* An opening holds no usage yet: nothing of it ends. */
static bool ends_here(const struct settling *s, const struct invoice_commitment *c) {
  return !s->invoice->rating->opening && c->span->to.ns <= s->invoice->period.to.ns;
}

/* ---- what counts ---- */

static bool counts_product(const struct commitment *c, slice product) {
  bool any = c->product_count == 0;
  for (size_t i = 0; i < c->product_count && !any; i++) {
    any = slice_eq(c->products[i], product);
  }
  return any;
}

/* Late usage counts where it is charged, everything else where its time meets the interval's. */
static bool counts(const struct settling *s, const struct invoice_commitment *c, const struct invoice_line *line) {
  const struct charge *charge = line->charge;
  bool in_time = charge->segment->from.ns < c->span->to.ns && charge->segment->to.ns > c->span->from.ns;
  switch (charge->kind) {
  case CHARGE_USAGE:
  case CHARGE_FEE:
    return in_time && counts_product(c->span->commitment, charge->product);
  case CHARGE_ADJUSTMENT:
    return c->span->from.ns < s->invoice->period.to.ns && counts_product(c->span->commitment, charge->product);
  case CHARGE_DISCOUNT:
  case CHARGE_OVERAGE:
    return in_time && is_minimum(c) && counts_product(c->span->commitment, charge->product);
  case CHARGE_TRUE_UP:
  case CHARGE_CREDIT:
  case CHARGE_COMMITMENT:
  case CHARGE_DRAWDOWN:
    break;
  }
  return false;
}

/* The lines of one tax that count, and their product when it is one. */
struct pick {
  const struct invoice_tax *tax;
  amount sum;
  slice product;
  bool several;
};

static bool pick_line(struct pick *pick, const struct invoice_line *line, amount value, struct error *err) {
  slice product = line->charge->product;
  pick->several = pick->several || (pick->product.len > 0 && !slice_eq(pick->product, product));
  pick->product = pick->several ? (slice){0} : product;
  return amount_add(pick->sum, value, &pick->sum, err);
}

static bool pick_open(const struct settling *s, const struct invoice_commitment *c, struct pick *pick,
                      struct error *err) {
  for (size_t l = 0; l < s->charged; l++) {
    const struct invoice_line *line = &s->lines[l];
    if (line->tax == pick->tax && !amount_is_zero(s->open[l]) && counts(s, c, line) &&
        !pick_line(pick, line, s->open[l], err)) {
      return false;
    }
  }
  return true;
}

/* ---- drawing ---- */

/* From the first line on, those of the sign of `covered`: together they come to it or more. */
static bool cover_lines(struct settling *s, const struct invoice_commitment *c, const struct invoice_tax *tax,
                        amount covered, struct error *err) {
  bool back = amount_cmp(covered, AMOUNT_ZERO) < 0;
  for (size_t l = 0; l < s->charged && !amount_is_zero(covered); l++) {
    struct invoice_line *line = &s->lines[l];
    bool same_way = amount_cmp(s->open[l], AMOUNT_ZERO) == (back ? -1 : 1);
    if (!same_way || line->tax != tax || !counts(s, c, line)) {
      continue;
    }
    amount part = back ? greater(s->open[l], covered) : lesser(s->open[l], covered);
    if (!amount_sub(s->open[l], part, &s->open[l], err) || !amount_sub(covered, part, &covered, err) ||
        (is_prepaid(c) && !amount_add(line->drawn, part, &line->drawn, err))) {
      return false;
    }
  }
  must(amount_is_zero(covered));
  return true;
}

/* What charges of `drawn` cost before the discount. */
static bool undiscounted(const struct settling *s, const struct commitment *c, amount drawn, amount *out,
                         struct error *err) {
  return int128_muldiv(drawn.e12, RATE_ONE.e12, RATE_ONE.e12 - c->discount.e12, ROUND_HALF_EVEN, &out->e12, err) &&
         amount_round(*out, s->invoice->customer->currency, ROUND_HALF_EVEN, out, err);
}

/* How much of `sum` there is money for, and what it takes of it: no more than is left; of a negative sum no more comes
 * back than was drawn. */
static bool fit(const struct settling *s, const struct invoice_commitment *c, amount sum, amount left, amount *covered,
                amount *drawn, struct error *err) {
  const struct commitment *commitment = c->span->commitment;
  amount discount, least;
  left = greater(left, AMOUNT_ZERO);
  if (!amount_times_rate(sum, commitment->discount, ROUND_HALF_EVEN, &discount, err) ||
      !amount_round(discount, s->invoice->customer->currency, ROUND_HALF_EVEN, &discount, err) ||
      !amount_sub(sum, discount, drawn, err) || !amount_add(c->before.spent, c->drawn, &least, err)) {
    return false;
  }
  least = amount_negate(greater(least, AMOUNT_ZERO));
  *covered = sum;
  if (amount_cmp(*drawn, left) > 0) {
    *drawn = left;
    return undiscounted(s, commitment, left, covered, err) && ((*covered = lesser(*covered, sum)), true);
  }
  if (amount_cmp(*drawn, least) < 0) {
    *drawn = least;
    return undiscounted(s, commitment, least, covered, err) && ((*covered = greater(*covered, sum)), true);
  }
  return true;
}

/* What is left before this document's draws, and after them. */
static bool balance_of(const struct invoice_commitment *c, amount *out, struct error *err) {
  return amount_add(c->before.balance, c->bought, out, err) && amount_add(*out, c->carried, out, err) &&
         amount_sub(*out, c->drawn, out, err);
}

static bool draw_taxed(struct settling *s, struct invoice_commitment *c, const struct invoice_tax *tax,
                       struct error *err) {
  struct pick pick = {.tax = tax};
  amount left, covered, drawn, discount;
  if (!pick_open(s, c, &pick, err) || !balance_of(c, &left, err) || !fit(s, c, pick.sum, left, &covered, &drawn, err) ||
      !amount_sub(covered, drawn, &discount, err)) {
    return false;
  }
  return cover_lines(s, c, tax, covered, err) && amount_add(c->drawn, drawn, &c->drawn, err) &&
         amount_add(c->eligible, pick.sum, &c->eligible, err) && amount_add(c->covered, covered, &c->covered, err) &&
         (!is_prepaid(c) || line_of_drawdown(s, c, tax, drawn, err)) &&
         line_of_discount(s, c, tax, pick.product, discount, covered, err);
}

/* A minimum counts all that is charged, also what commitments pay; more than it asks for is kept in mind, so that what
 * is given back later does not make it short. */
static bool count_spent(struct settling *s, struct invoice_commitment *c, struct error *err) {
  for (size_t l = 0; l < s->invoice->line_count; l++) {
    if (counts(s, c, &s->lines[l]) && !amount_add(c->drawn, s->lines[l].amount, &c->drawn, err)) {
      return false;
    }
  }
  c->eligible = c->covered = c->drawn;
  return true;
}

/* ---- beginning and ending ---- */

static const struct commitment_state *state_of(const struct invoice_purse *purse, const struct commitment_span *span) {
  for (size_t i = 0; purse && i < purse->commitment_count; i++) {
    const struct commitment_state *state = &purse->commitments[i];
    if (state->from.ns == span->from.ns && slice_eq(state->name, span->commitment->name)) {
      return state;
    }
  }
  return NULL;
}

/* Less than before when the catalog has changed, but never so that what was drawn already is missing. */
static bool begin(struct settling *s, const struct invoice_purse *purse, size_t n, struct error *err) {
  struct invoice_commitment *c = &s->items[n];
  c->span = &s->invoice->rating->commitments[n];
  const struct commitment_state *state = state_of(purse, c->span);
  c->before = state ? *state : (struct commitment_state){.name = c->span->commitment->name, .from = c->span->from};
  if (!amount_sub(c->span->amount, c->before.committed, &c->bought, err)) {
    return false;
  }
  if (!is_minimum(c) && amount_cmp(c->before.balance, AMOUNT_ZERO) >= 0) {
    c->bought = greater(c->bought, amount_negate(c->before.balance));
  }
  c->carried = c->span->follows ? s->items[n - 1].rolled : AMOUNT_ZERO;
  return true;
}

/* What falls due up to the end of the period, or with an opening; all of it once a change has ended the contract. */
static bool bill(struct settling *s, struct invoice_commitment *c, struct error *err) {
  const struct commitment_span *span = c->span;
  instant until = s->invoice->rating->opening ? s->invoice->period.from : s->invoice->period.to;
  bool all = span->cut && ends_here(s, c);
  amount due = AMOUNT_ZERO;
  for (size_t i = 0; i < span->installment_count; i++) {
    if ((all || span->installments[i].due.ns <= until.ns) &&
        !amount_add(due, span->installments[i].amount, &due, err)) {
      return false;
    }
  }
  return !is_prepaid(c) || amount_sub(due, c->before.billed, &c->billed, err);
}

static bool end(struct settling *s, size_t n, struct error *err) {
  struct invoice_commitment *c = &s->items[n];
  const struct rating *rating = s->invoice->rating;
  if (!balance_of(c, &c->closing, err)) {
    return false;
  }
  if (!ends_here(s, c) || amount_cmp(c->closing, AMOUNT_ZERO) <= 0) {
    return true;
  }
  bool goes_on = n + 1 < rating->commitment_count && rating->commitments[n + 1].follows;
  c->rolled = goes_on ? lesser(c->closing, c->span->roll_most) : AMOUNT_ZERO;
  return amount_sub(c->closing, c->rolled, &c->expired, err) && ((c->closing = AMOUNT_ZERO), true);
}

/* A document that is verified may state any amounts before: the sums are made where they can fail. */
static bool sum_up(struct invoice_commitment *c, struct error *err) {
  return amount_add(c->before.spent, c->drawn, &c->spent, err) &&
         amount_add(c->spent, c->closing, &c->available, err) &&
         amount_add(c->available, c->expired, &c->available, err) &&
         amount_add(c->available, c->rolled, &c->available, err) &&
         amount_add(c->before.committed, c->bought, &c->unbilled, err) &&
         amount_sub(c->unbilled, c->before.billed, &c->unbilled, err) &&
         amount_sub(c->unbilled, c->billed, &c->unbilled, err);
}

static bool apply_one(struct settling *s, const struct invoice_purse *purse, size_t n, struct error *err) {
  struct invoice_commitment *c = &s->items[n];
  bool ok = begin(s, purse, n, err) && bill(s, c, err) && (!is_minimum(c) || count_spent(s, c, err));
  for (size_t t = 0; ok && !is_minimum(c) && t < s->tax_count; t++) {
    ok = draw_taxed(s, c, s->taxes[t], err);
  }
  ok = ok && end(s, n, err) && sum_up(c, err) && line_of_end(s, c, err) && line_of_purchase(s, c, err);
  return ok || error_at(err, "commitment \"" SLICE_FMT "\"", SLICE_ARG(c->span->commitment->name));
}

/* ---- beyond ---- */

static bool counts_any(const struct settling *s, size_t first, size_t last, const struct invoice_line *line) {
  bool any = false;
  for (size_t n = first; n < last && !any; n++) {
    any = counts(s, &s->items[n], line);
  }
  return any;
}

/* What no commitment took, at the price that the first one it counts for asks beyond itself. */
static bool charge_beyond(struct settling *s, size_t first, size_t last, const struct invoice_tax *tax,
                          struct error *err) {
  const struct commitment *c = s->items[first].span->commitment;
  struct pick pick = {.tax = tax};
  amount surcharge;
  for (size_t l = 0; l < s->charged; l++) {
    const struct invoice_line *line = &s->lines[l];
    if (s->beyond[l] || line->tax != tax || !counts_any(s, first, last, line)) {
      continue;
    }
    s->beyond[l] = true;
    if (!amount_is_zero(s->open[l]) && !pick_line(&pick, line, s->open[l], err)) {
      return false;
    }
  }
  if (amount_cmp(pick.sum, AMOUNT_ZERO) <= 0) {
    return true;
  }
  rate more = {c->overage.e12 - RATE_ONE.e12};
  return amount_times_rate(pick.sum, more, ROUND_HALF_EVEN, &surcharge, err) &&
         amount_round(surcharge, s->invoice->customer->currency, ROUND_HALF_EVEN, &surcharge, err) &&
         line_of_overage(s, &s->items[first], tax, pick.product, surcharge, pick.sum, err);
}

static bool charge_overage(struct settling *s, struct error *err) {
  size_t count = s->invoice->rating->commitment_count;
  for (size_t first = 0, last; first < count; first = last) {
    const struct commitment *c = s->items[first].span->commitment;
    for (last = first + 1; last < count && s->items[last].span->follows; last++) {
    }
    if (c->kind == COMMITMENT_MINIMUM || c->overage.e12 == RATE_ONE.e12) {
      continue;
    }
    for (size_t t = 0; t < s->tax_count; t++) {
      if (!charge_beyond(s, first, last, s->taxes[t], err)) {
        return error_at(err, "commitment \"" SLICE_FMT "\"", SLICE_ARG(c->name));
      }
    }
  }
  return true;
}

/* ---- the whole ---- */

static void start(struct settling *s) {
  struct invoice *i = s->invoice;
  size_t spans = i->rating->commitment_count;
  s->charged = i->line_count;
  s->open = arena_array(s->arena, s->charged, sizeof *s->open);
  s->beyond = arena_array(s->arena, s->charged, sizeof *s->beyond);
  s->taxes = arena_array(s->arena, s->charged, sizeof *s->taxes);
  s->items = arena_array(s->arena, spans, sizeof *s->items);
  for (size_t l = 0; l < s->charged; l++) {
    const struct invoice_tax *tax = i->lines[l].tax;
    size_t t = 0;
    while (t < s->tax_count && s->taxes[t] != tax) {
      t++;
    }
    s->taxes[t] = tax;
    s->tax_count += t == s->tax_count;
    s->open[l] = i->lines[l].amount;
  }
  /* Of each interval an end, a purchase, and for each tax a drawdown, a discount and an overage. */
  s->lines = arena_array(s->arena, s->charged + spans * (2 + 3 * s->tax_count), sizeof *s->lines);
  for (size_t l = 0; l < s->charged; l++) {
    s->lines[l] = i->lines[l];
  }
  i->lines = s->lines;
}

static bool apply_kind(struct settling *s, const struct invoice_purse *purse, enum commitment_kind kind,
                       struct error *err) {
  for (size_t n = 0; n < s->invoice->rating->commitment_count; n++) {
    if (s->invoice->rating->commitments[n].commitment->kind == kind && !apply_one(s, purse, n, err)) {
      return false;
    }
  }
  return true;
}

bool apply_commitments(struct arena *arena, const struct invoice_purse *purse, struct invoice *invoice,
                       struct invoice_tax *taxes, struct error *err) {
  struct settling s = {.arena = arena, .invoice = invoice, .entries = taxes};
  if (invoice->rating->commitment_count == 0) {
    return true;
  }
  start(&s);
  for (size_t n = 0; n < invoice->rating->commitment_count; n++) {
    s.items[n].span = &invoice->rating->commitments[n];
  }
  invoice->commitments = s.items;
  invoice->commitment_count = invoice->rating->commitment_count;
  return apply_kind(&s, purse, COMMITMENT_SPEND, err) && charge_overage(&s, err) &&
         apply_kind(&s, purse, COMMITMENT_MINIMUM, err);
}
