/* What a credit note takes off which line and which tax: of lines by amount or quantity, of all by an amount, or all.
 * docs/invoicing.md has the rules. */
#include "bill/noting.h"

/* ---- may it be credited at all? ---- */

static bool check_invoice(const struct noting *n, struct error *err) {
  const struct stored_invoice *i = &n->invoice;
  if (i->corrects.len > 0 || amount_cmp(i->total, AMOUNT_ZERO) <= 0) {
    return error_set(err, ERR_CONFLICT, SLICE_FMT " charges nothing: there is nothing to credit", SLICE_ARG(i->number));
  }
  if (!slice_is(i->status, "finalized") && !slice_is(i->status, "paid")) {
    return error_set(err, ERR_CONFLICT, "invoice " SLICE_FMT " is " SLICE_FMT ": it takes no credit note",
                     SLICE_ARG(i->number), SLICE_ARG(i->status));
  }
  return amount_cmp(n->left, AMOUNT_ZERO) > 0 ||
         error_set(err, ERR_CONFLICT, "all of invoice " SLICE_FMT " is credited already", SLICE_ARG(i->number));
}

static bool check_request(const struct note_request *r, struct error *err) {
  if (r->reason.len == 0 || r->reason.len > NOTE_REASON_BYTES_MAX) {
    return error_set(err, ERR_INVALID, "reason: expected 1 to %d bytes; it stands on the credit note",
                     NOTE_REASON_BYTES_MAX);
  }
  return r->full + r->by_amount + (r->line_count > 0) == 1 ||
         error_set(err, ERR_INVALID, "say one of: full, an amount, or lines");
}

/* More than 0, in whole minor units. */
static bool check_amount(const struct noting *n, amount value, struct error *err) {
  amount rounded;
  if (!amount_round(value, n->currency, ROUND_HALF_EVEN, &rounded, err)) {
    return false;
  }
  return (amount_cmp(value, AMOUNT_ZERO) > 0 && amount_cmp(value, rounded) == 0) ||
         error_set(err, ERR_INVALID, "amount: expected more than 0, with at most %d decimals",
                   n->currency->minor_units);
}

/* ---- lines ---- */

static bool left_of(const struct noted_line *l, amount *out, struct error *err) {
  return amount_sub(l->billed, l->credited, out, err);
}

static bool more_than_left(const struct noting *n, const char *what, slice name, amount left, struct error *err) {
  char text[DECIMAL_TEXT_MAX];
  return error_set(err, ERR_CONFLICT, "only %s is left to credit of %s " SLICE_FMT,
                   amount_text_fixed(left, n->currency->minor_units, text), what, SLICE_ARG(name));
}

/* All of the quantity takes all of the amount, whatever was rounded on the way. */
static bool take_quantity(const struct noting *n, struct noted_line *l, quantity wanted, struct error *err) {
  quantity left;
  amount left_amount, value;
  if (!quantity_sub(l->billed_quantity, l->credited_quantity, &left, err) || !left_of(l, &left_amount, err)) {
    return false;
  }
  if (wanted.e9 <= 0 || quantity_cmp(wanted, left) > 0) {
    char text[DECIMAL_TEXT_MAX];
    return error_set(err, ERR_CONFLICT, "quantity: expected more than 0 and at most %s: that is left to credit",
                     quantity_text(left, text));
  }
  if (!int128_muldiv(l->billed.e12, wanted.e9, l->billed_quantity.e9, ROUND_HALF_EVEN, &value.e12, err) ||
      !amount_round(value, n->currency, ROUND_HALF_EVEN, &value, err)) {
    return false;
  }
  bool rest = quantity_cmp(wanted, left) == 0 || amount_cmp(value, left_amount) > 0;
  l->now = rest ? left_amount : value;
  l->quantity_now = wanted;
  return !amount_is_zero(l->now) || error_set(err, ERR_INVALID, "quantity: it comes to less than the smallest coin");
}

static bool take_line(struct noting *n, const struct note_line_request *r, struct error *err) {
  char name[16];
  amount left;
  snprintf(name, sizeof name, "%u", r->line);
  struct noted_line *l = noting_line(n, slice_of(name));
  if (l == NULL || l->taken) {
    return l == NULL ? error_set(err, ERR_INVALID, "the invoice has no such line; it has %zu", n->line_count)
                     : error_set(err, ERR_INVALID, "the line is named twice");
  }
  l->taken = true;
  if (!left_of(l, &left, err)) {
    return false;
  }
  if (amount_cmp(left, AMOUNT_ZERO) <= 0) {
    return error_set(err, ERR_CONFLICT, "nothing is left to credit of it");
  }
  if (r->by == NOTE_QUANTITY) {
    return take_quantity(n, l, r->quantity, err);
  }
  l->now = r->by == NOTE_AMOUNT ? r->amount : left;
  return check_amount(n, l->now, err) &&
         (amount_cmp(l->now, left) <= 0 || more_than_left(n, "line", l->number, left, err));
}

/* The tax on all that is credited by now, less the tax that was: so several notes come to the tax of one. */
static bool tax_of_note(const struct noting *n, struct noted_tax *t, struct error *err) {
  amount net, exact, whole, left, left_net;
  if (!amount_add(t->net_credited, t->net_now, &net, err) ||
      !amount_times_rate(net, t->rate, ROUND_HALF_EVEN, &exact, err) ||
      !amount_round(exact, n->currency, ROUND_HALF_EVEN, &whole, err) ||
      !amount_sub(t->tax, t->tax_credited, &left, err) || !amount_sub(t->net, t->net_credited, &left_net, err)) {
    return false;
  }
  if (amount_cmp(net, t->net) > 0) {
    return t->json ? more_than_left(n, "what is taxed with", t->name, left_net, err)
                   : more_than_left(n, "what is not taxed on invoice", n->invoice.number, left_net, err);
  }
  whole = amount_cmp(net, t->net) == 0 ? t->tax : whole;
  if (!amount_sub(whole, t->tax_credited, &t->tax_now, err)) {
    return false;
  }
  t->tax_now = amount_cmp(t->tax_now, left) > 0 ? left : t->tax_now;
  t->tax_now = amount_cmp(t->tax_now, AMOUNT_ZERO) < 0 ? AMOUNT_ZERO : t->tax_now;
  return true;
}

static bool take_lines(struct noting *n, const struct note_request *r, struct error *err) {
  for (size_t i = 0; i < r->line_count; i++) {
    if (!take_line(n, &r->lines[i], err)) {
      return error_at(err, "line %u", r->lines[i].line);
    }
  }
  for (size_t i = 0; i < n->line_count; i++) {
    struct noted_tax *t = &n->taxes[n->lines[i].tax];
    if (!amount_add(t->net_now, n->lines[i].now, &t->net_now, err)) {
      return false;
    }
  }
  for (size_t t = 0; t < n->tax_count; t++) {
    if (!amount_is_zero(n->taxes[t].net_now) && !tax_of_note(n, &n->taxes[t], err)) {
      return false;
    }
  }
  return true;
}

/* ---- an amount, tax and all, over all that is left ---- */

static amount above_zero(amount a) {
  return amount_cmp(a, AMOUNT_ZERO) > 0 ? a : AMOUNT_ZERO;
}

/* Over the lines of one tax, by what is left of each; lines below zero stay as they are. */
static bool spread_net(struct noting *n, size_t tax, struct error *err) {
  amount *weights = arena_array(n->arena, n->line_count, sizeof *weights);
  amount *parts = arena_array(n->arena, n->line_count, sizeof *parts);
  for (size_t i = 0; i < n->line_count; i++) {
    weights[i] = AMOUNT_ZERO;
    if (n->lines[i].tax == tax && !left_of(&n->lines[i], &weights[i], err)) {
      return false;
    }
    weights[i] = above_zero(weights[i]);
  }
  if (!amount_split(n->taxes[tax].net_now, n->currency, weights, n->line_count, parts, err)) {
    return false;
  }
  for (size_t i = 0; i < n->line_count; i++) {
    n->lines[i].now = n->lines[i].tax == tax ? parts[i] : n->lines[i].now;
    n->lines[i].taken |= !amount_is_zero(n->lines[i].now);
  }
  return true;
}

/* Net and tax in the proportion in which they are left. */
static bool part_tax(struct noting *n, size_t tax, amount gross, struct error *err) {
  struct noted_tax *t = &n->taxes[tax];
  amount net, of_tax, whole;
  if (amount_is_zero(gross)) {
    return true;
  }
  if (!amount_sub(t->net, t->net_credited, &net, err) || !amount_sub(t->tax, t->tax_credited, &of_tax, err) ||
      !amount_add(net, of_tax, &whole, err) ||
      !int128_muldiv(gross.e12, net.e12, whole.e12, ROUND_HALF_EVEN, &t->net_now.e12, err) ||
      !amount_round(t->net_now, n->currency, ROUND_HALF_EVEN, &t->net_now, err) ||
      !amount_sub(gross, t->net_now, &t->tax_now, err)) {
    return false;
  }
  return amount_is_zero(t->net_now) || spread_net(n, tax, err);
}

static bool take_amount(struct noting *n, amount gross, struct error *err) {
  amount *weights = arena_array(n->arena, n->tax_count, sizeof *weights);
  amount *parts = arena_array(n->arena, n->tax_count, sizeof *parts);
  if (!check_amount(n, gross, err)) {
    return false;
  }
  if (amount_cmp(gross, n->left) > 0) {
    return more_than_left(n, "invoice", n->invoice.number, n->left, err);
  }
  for (size_t t = 0; t < n->tax_count; t++) {
    const struct noted_tax *tax = &n->taxes[t];
    amount net, of_tax, whole;
    if (!amount_sub(tax->net, tax->net_credited, &net, err) || !amount_sub(tax->tax, tax->tax_credited, &of_tax, err) ||
        !amount_add(net, of_tax, &whole, err)) {
      return false;
    }
    weights[t] = above_zero(whole);
  }
  if (!amount_split(gross, n->currency, weights, n->tax_count, parts, err)) {
    return false;
  }
  for (size_t t = 0; t < n->tax_count; t++) {
    if (!part_tax(n, t, parts[t], err)) {
      return false;
    }
  }
  return true;
}

/* What rounds to nothing on the invoice is on no line's amount, but in the accounts. */
static void take_specks(struct noting *n) {
  for (size_t i = 0; i < n->line_count; i++) {
    struct noted_line *l = &n->lines[i];
    l->taken |= amount_is_zero(l->billed) && amount_cmp(l->exact, l->exact_credited) != 0;
  }
}

/* ---- what it comes to ---- */

static bool finish_line(struct noted_line *l, struct error *err) {
  amount credited, exact = l->exact;
  if (!amount_add(l->credited, l->now, &credited, err)) {
    return false;
  }
  bool rest = amount_cmp(credited, l->billed) == 0;
  if (!rest && !int128_muldiv(l->exact.e12, credited.e12, l->billed.e12, ROUND_HALF_EVEN, &exact.e12, err)) {
    return false;
  }
  return amount_sub(exact, l->exact_credited, &l->exact_now, err) &&
         (!rest || quantity_sub(l->billed_quantity, l->credited_quantity, &l->quantity_now, err));
}

static bool finish(struct noting *n, struct error *err) {
  for (size_t i = 0; i < n->line_count; i++) {
    struct noted_line *l = &n->lines[i];
    if (l->taken && (!finish_line(l, err) || !amount_add(n->subtotal, l->now, &n->subtotal, err) ||
                     !amount_add(n->exact, l->exact_now, &n->exact, err))) {
      return false;
    }
  }
  for (size_t t = 0; t < n->tax_count; t++) {
    if (!amount_add(n->tax, n->taxes[t].tax_now, &n->tax, err)) {
      return false;
    }
  }
  if (!amount_add(n->subtotal, n->tax, &n->total, err)) {
    return false;
  }
  /* Beside lines below zero: the lines alone could come to more than the document. */
  return amount_cmp(n->total, n->left) <= 0 || more_than_left(n, "invoice", n->invoice.number, n->left, err);
}

bool noting_take(struct noting *n, const struct note_request *request, struct error *err) {
  if (!check_request(request, err) || !check_invoice(n, err)) {
    return false;
  }
  if (request->full) {
    take_specks(n);
  }
  return (request->line_count > 0 ? take_lines(n, request, err)
                                  : take_amount(n, request->full ? n->left : request->amount, err)) &&
         finish(n, err);
}
