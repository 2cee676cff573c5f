/* Credit on an invoice: given credit as lines below zero before tax, prepaid credit against the total. Pure. */
#include "bill/private.h"
#include <stdlib.h>

/* What is left to pay of one product under one tax. */
struct share {
  slice product;
  const struct invoice_tax *tax; /* NULL: not taxed */
  amount open;
};
struct applying {
  struct arena *arena;
  const struct invoice_purse *purse;
  struct invoice *invoice;
  struct share *shares;
  size_t share_count;
  amount left;     /* of all shares together; lines below zero make it less than their sum */
  amount *weights; /* both parallel to shares */
  amount *parts;
};

static bool add_share(struct applying *a, struct map *places, const struct invoice_line *line, struct error *err) {
  const struct invoice_tax *tax = line->tax;
  slice product = line->charge->product;
  slice key = slice_of(
      arena_printf(a->arena, "%zu\n" SLICE_FMT, tax ? (size_t)(tax - a->invoice->taxes) + 1 : 0, SLICE_ARG(product)));
  void **place = map_put(places, key);
  if (*place == NULL) {
    *place = &a->shares[a->share_count++];
    *(struct share *)*place = (struct share){.product = product, .tax = tax};
  }
  struct share *s = *place;
  return amount_add(s->open, line->amount, &s->open, err);
}

static bool start(struct applying *a, struct error *err) {
  const struct invoice *i = a->invoice;
  struct map places = {0};
  bool ok = true;
  a->shares = arena_array(a->arena, i->line_count, sizeof *a->shares);
  a->weights = arena_array(a->arena, i->line_count, sizeof *a->weights);
  a->parts = arena_array(a->arena, i->line_count, sizeof *a->parts);
  for (size_t l = 0; ok && l < i->line_count; l++) {
    ok = add_share(a, &places, &i->lines[l], err);
  }
  for (size_t s = 0; s < a->share_count; s++) {
    if (amount_cmp(a->shares[s].open, AMOUNT_ZERO) < 0) {
      a->shares[s].open = AMOUNT_ZERO;
    }
  }
  map_free(&places);
  return ok;
}

static amount least(amount a, amount b) {
  return amount_cmp(a, b) < 0 ? a : b;
}

/* What the grant pays: no more than it has, than its products come to, than is left; parts say of which shares. */
static bool take(struct applying *a, const struct credit_grant *g, amount *taken, struct error *err) {
  const struct currency *currency = a->invoice->customer->currency;
  amount base = AMOUNT_ZERO, whole;
  for (size_t s = 0; s < a->share_count; s++) {
    a->weights[s] = credit_covers(g, a->shares[s].product) ? a->shares[s].open : AMOUNT_ZERO;
    if (!amount_add(base, a->weights[s], &base, err)) {
      return false;
    }
  }
  if (!amount_round(g->available, currency, ROUND_DOWN, &whole, err)) {
    return false;
  }
  *taken = least(whole, least(base, a->left));
  if (amount_cmp(*taken, AMOUNT_ZERO) <= 0) {
    *taken = AMOUNT_ZERO;
    return true;
  }
  if (!amount_split(*taken, currency, a->weights, a->share_count, a->parts, err)) {
    return false;
  }
  for (size_t s = 0; s < a->share_count; s++) {
    if (!amount_sub(a->shares[s].open, a->parts[s], &a->shares[s].open, err)) {
      return false;
    }
    must(amount_cmp(a->shares[s].open, AMOUNT_ZERO) >= 0);
  }
  return amount_sub(a->left, *taken, &a->left, err);
}

/* ---- given credit: lines ---- */

static struct charge *credit_charge(struct applying *a, const struct credit_grant *g) {
  struct segment *segment = arena_alloc(a->arena, sizeof *segment);
  struct charge *c = arena_alloc(a->arena, sizeof *c);
  const char *what = g->kind == CREDIT_REFERRAL ? "Referral credit" : "Promotional credit";
  *segment = (struct segment){.from = a->invoice->period.from, .to = a->invoice->period.to};
  *c = (struct charge){
      .kind = CHARGE_CREDIT,
      .name = slice_of(g->note.len > 0 ? arena_printf(a->arena, "%s: " SLICE_FMT, what, SLICE_ARG(g->note)) : what),
      .segment = segment};
  return c;
}

static bool add_line(struct applying *a, const struct credit_grant *g, amount value, slice product,
                     const struct invoice_tax *tax, struct invoice_line *line, struct error *err) {
  struct invoice *i = a->invoice;
  struct charge *c = credit_charge(a, g);
  struct credit_use *use = arena_alloc(a->arena, sizeof *use);
  *use = (struct credit_use){.grant = g, .amount = value};
  c->product = product;
  c->exact = amount_negate(value);
  *line = (struct invoice_line){.number = (uint32_t)i->line_count + 1,
                                .charge = c,
                                .description = c->name,
                                .exact = c->exact,
                                .amount = c->exact,
                                .credit = use,
                                .tax = tax};
  i->line_count++;
  return amount_add(i->exact, c->exact, &i->exact, err) && amount_add(i->subtotal, c->exact, &i->subtotal, err);
}

/* A line for each tax the grant's parts fall under; it names the product when there is but one. */
static bool add_lines(struct applying *a, const struct credit_grant *g, struct invoice_line *lines, struct error *err) {
  for (size_t first = 0; first < a->share_count; first++) {
    amount value = a->parts[first];
    slice product = a->shares[first].product;
    if (amount_is_zero(value)) {
      continue;
    }
    for (size_t s = first + 1; s < a->share_count; s++) {
      if (a->shares[s].tax != a->shares[first].tax || amount_is_zero(a->parts[s])) {
        continue;
      }
      if (!amount_add(value, a->parts[s], &value, err)) {
        return false;
      }
      a->parts[s] = AMOUNT_ZERO;
      product = (slice){0};
    }
    if (!add_line(a, g, value, product, a->shares[first].tax, &lines[a->invoice->line_count], err)) {
      return false;
    }
  }
  return true;
}

/* Room for the lines there are and those that may come. */
static struct invoice_line *more_lines(struct applying *a, size_t grant_count) {
  struct invoice *i = a->invoice;
  size_t taxes = i->tax_count + 1;
  size_t each = taxes < a->share_count ? taxes : a->share_count;
  struct invoice_line *lines = arena_array(a->arena, i->line_count + grant_count * each, sizeof *lines);
  for (size_t l = 0; l < i->line_count; l++) {
    lines[l] = i->lines[l];
  }
  return lines;
}

static bool is_given(const struct credit_grant *g) {
  return g->kind != CREDIT_PREPAID;
}

bool apply_given(struct arena *arena, const struct invoice_purse *purse, struct invoice *invoice, struct applying **out,
                 struct error *err) {
  *out = NULL;
  if (purse == NULL || purse->grant_count == 0 || amount_cmp(invoice->subtotal, AMOUNT_ZERO) <= 0) {
    return true;
  }
  struct applying *a = arena_alloc(arena, sizeof *a);
  *a = (struct applying){.arena = arena, .purse = purse, .invoice = invoice, .left = invoice->subtotal};
  *out = a;
  if (!start(a, err)) {
    return false;
  }
  struct invoice_line *lines = more_lines(a, purse->grant_count);
  invoice->lines = lines;
  for (size_t g = 0; g < purse->grant_count; g++) {
    const struct credit_grant *grant = &purse->grants[g];
    amount taken = AMOUNT_ZERO;
    if (is_given(grant) &&
        (!take(a, grant, &taken, err) || (!amount_is_zero(taken) && !add_lines(a, grant, lines, err)))) {
      return error_at(err, "credit " SLICE_FMT, SLICE_ARG(grant->id));
    }
  }
  return true;
}

/* ---- prepaid credit: a payment ---- */

/* Tax is put on what given credit left of each share, and the total is divided by that. */
static bool share_total(struct applying *a, struct error *err) {
  const struct invoice *i = a->invoice;
  bool any = false;
  for (size_t s = 0; s < a->share_count; s++) {
    const struct share *share = &a->shares[s];
    amount tax = AMOUNT_ZERO;
    if ((share->tax && !amount_times_rate(share->open, share->tax->rate, ROUND_HALF_EVEN, &tax, err)) ||
        !amount_add(share->open, tax, &a->weights[s], err)) {
      return false;
    }
    any = any || !amount_is_zero(a->weights[s]);
  }
  if (!any) {
    a->left = AMOUNT_ZERO;
    return true;
  }
  if (!amount_split(i->total, i->customer->currency, a->weights, a->share_count, a->parts, err)) {
    return false;
  }
  for (size_t s = 0; s < a->share_count; s++) {
    a->shares[s].open = a->parts[s];
  }
  return true;
}

bool apply_prepaid(struct applying *a, struct error *err) {
  if (a == NULL || amount_cmp(a->invoice->total, AMOUNT_ZERO) <= 0) {
    return true;
  }
  const struct invoice_purse *purse = a->purse;
  struct invoice *invoice = a->invoice;
  struct credit_use *uses = arena_array(a->arena, purse->grant_count, sizeof *uses);
  a->left = invoice->total;
  invoice->credits = uses;
  if (!share_total(a, err)) {
    return false;
  }
  for (size_t g = 0; g < purse->grant_count; g++) {
    const struct credit_grant *grant = &purse->grants[g];
    amount taken = AMOUNT_ZERO;
    if (is_given(grant)) {
      continue;
    }
    if (!take(a, grant, &taken, err) || !amount_add(invoice->prepaid, taken, &invoice->prepaid, err)) {
      return error_at(err, "credit " SLICE_FMT, SLICE_ARG(grant->id));
    }
    if (!amount_is_zero(taken)) {
      uses[invoice->credit_count++] = (struct credit_use){.grant = grant, .amount = taken};
    }
  }
  return true;
}

const struct credit_use *credit_uses(struct arena *arena, const struct invoice *invoice, size_t *count) {
  struct credit_use *uses = arena_array(arena, invoice->line_count + invoice->credit_count, sizeof *uses);
  *count = 0;
  for (size_t l = 0; l < invoice->line_count; l++) {
    if (invoice->lines[l].credit) {
      uses[(*count)++] = *invoice->lines[l].credit;
    }
  }
  for (size_t c = 0; c < invoice->credit_count; c++) {
    uses[(*count)++] = invoice->credits[c];
  }
  return uses;
}

bool invoice_is_covered(const struct invoice *invoice) {
  bool any = invoice->credit_count > 0;
  for (size_t l = 0; l < invoice->line_count; l++) {
    any = any || invoice->lines[l].credit != NULL;
  }
  return any && amount_is_zero(invoice->amount_due);
}
