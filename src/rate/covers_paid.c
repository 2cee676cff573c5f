/* Reservations and savings plans that are paid at the start of their term: on the opening invoice of the contract or
 * phase they begin with, given back by the second where a change ends the contract before the term. */
#include "rate/private.h"

static bool error_at_cover(const struct cover *cover, struct error *err) {
  return error_at(err, "%s:%d: \"" SLICE_FMT "\"", cover->place.file, cover->place.line, SLICE_ARG(cover->name));
}

bool cover_opens(const struct customer *customer, const struct contract *part, const struct cover *cover, bool *opens,
                 struct error *err) {
  *opens = false;
  return cover->payment == COVER_MONTHLY || cover->from.ns != part->from.ns || part_opens(customer, part, opens, err);
}

/* Only a contract's own can be paid at the start: it is had once. */
static struct cover_span own_span(const struct cover *cover) {
  return (struct cover_span){.cover = cover, .quantity = cover->quantity, .from = cover->from, .to = cover->to};
}

static const struct segment *segment_of(struct arena *arena, const struct catalog *catalog, const struct contract *part,
                                        instant at, instant from, instant to) {
  struct segment *segment = arena_alloc(arena, sizeof *segment);
  const struct plan *plan = catalog_plan_at(catalog, part->plan_name, at);
  *segment = (struct segment){.contract = part, .plan = plan ? plan : part->own, .from = from, .to = to};
  return segment;
}

/* What of the cost up to t is paid at the start of the term. */
static bool paid_until(const struct cover_span *span, instant t, amount *out, struct error *err) {
  amount spread;
  return cover_cost_until(span, t, out, err) && cover_spread_until(span, t, &spread, err) &&
         amount_sub(*out, spread, out, err);
}

static bool paid_between(const struct cover_span *span, instant from, instant to, amount *out, struct error *err) {
  amount before;
  return paid_until(span, from, &before, err) && paid_until(span, to, out, err) && amount_sub(*out, before, out, err);
}

bool charge_cover_start(struct arena *arena, const struct segment *segment, const struct cover_span *span,
                        struct charges *charges, struct error *err) {
  const struct cover *cover = span->cover;
  struct cover_fee fee = {.suffix = ", upfront",
                          .from = cover->from,
                          .to = cover->to,
                          .once = cover->payment == COVER_PARTIAL,
                          .each_price = cover->payment == COVER_UPFRONT};
  return paid_until(span, cover->to, &fee.amount, err) && add_cover_fee(arena, segment, span, &fee, charges, err);
}

bool charge_covers_opening(struct arena *arena, const struct catalog *catalog, const struct contract *part,
                           struct charges *charges, struct error *err) {
  for (size_t i = 0; part->own && i < part->own->cover_count; i++) {
    const struct cover *cover = &part->own->covers[i];
    const struct cover_span span = own_span(cover);
    if (cover->payment == COVER_MONTHLY || cover->from.ns != part->from.ns) {
      continue;
    }
    const struct segment *segment = segment_of(arena, catalog, part, part->from, cover->from, cover->to);
    if (!charge_cover_start(arena, segment, &span, charges, err)) {
      return error_at_cover(cover, err);
    }
  }
  return true;
}

static bool credit_cover(struct arena *arena, const struct catalog *catalog, const struct contract *part,
                         const struct cover *cover, struct charges *charges, struct error *err) {
  const struct cover_span span = own_span(cover);
  const instant last = {part->to.ns - 1};
  struct cover_fee fee = {.suffix = ", unused time", .from = part->to, .to = cover->to, .once = true, .credit = true};
  if (!paid_between(&span, part->to, cover->to, &fee.amount, err)) {
    return false;
  }
  fee.amount = amount_negate(fee.amount);
  return amount_is_zero(fee.amount) ||
         add_cover_fee(arena, segment_of(arena, catalog, part, last, part->to, cover->to), &span, &fee, charges, err);
}

bool credit_unused_covers(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                          const struct contract *part, struct charges *charges, struct error *err) {
  const struct contract *after = part_after(customer, part);
  bool cut = contract_planned_to(part).ns > part->to.ns && !part->keeps_rest;
  bool goes_on = after && after->own == part->own;
  for (size_t i = 0; cut && !goes_on && part->own && i < part->own->cover_count; i++) {
    const struct cover *cover = &part->own->covers[i];
    bool running = cover->from.ns < part->to.ns && cover->to.ns > part->to.ns;
    if (running && cover->payment != COVER_MONTHLY && !credit_cover(arena, catalog, part, cover, charges, err)) {
      return error_at_cover(cover, err);
    }
  }
  return true;
}

bool covers_paid_within(const struct stretch *s, amount *sum, struct error *err) {
  for (size_t i = 0; i < s->cover_count; i++) {
    const struct cover_span *span = &s->covers[i];
    const struct contract *part = s->segment->contract;
    amount paid;
    while (part_before(s->customer, part) && part->from.ns > span->cover->from.ns) {
      part = part_before(s->customer, part);
    }
    bool opens;
    if (!cover_opens(s->customer, part, span->cover, &opens, err) ||
        (opens && (!paid_between(span, span->from, span->to, &paid, err) || !amount_add(*sum, paid, sum, err)))) {
      return false;
    }
  }
  return true;
}
