/* What reservations and savings plans did, as JSON: on documents and in answers of the API. */
#include "bill/private.h"

static void put_units(struct json_out *w, const struct coverage *c) {
  const struct meter *meter = c->cover->usage[0].meter;
  json_put_str(w, "meter", meter->name);
  json_put_str(w, "unit", meter->unit);
  json_put_quantity(w, "quantity", c->cover->quantity);
  json_put_quantity(w, "capacity", c->capacity);
  json_put_quantity(w, "used", c->used);
  json_put_quantity(w, "unused", (quantity){c->capacity.e9 - c->used.e9});
  json_put_quantity(w, "matching", c->matching);
}

static void put_spend(struct json_out *w, const struct coverage *c) {
  json_put_amount(w, "hourly", c->cover->each);
  json_put_amount(w, "committed", c->cost);
  json_put_amount(w, "used", c->spent);
  json_put_amount(w, "unused", (amount){c->cost.e12 - c->spent.e12});
  json_put_amount(w, "matching", c->matching_list);
}

/* ---- uses: each as a step of its line's trace is written, so that it can be priced like one ---- */

static const struct invoice_line *line_of(const struct invoice *i, const struct coverage_use *use) {
  for (size_t l = 0; l < i->line_count; l++) {
    const struct charge *c = i->lines[l].charge;
    if (c->kind == CHARGE_USAGE && c->price == use->price && c->segment == use->segment) {
      return &i->lines[l];
    }
  }
  return NULL;
}

static void put_use(struct json_out *w, const struct invoice *i, const struct coverage_use *use) {
  const struct invoice_line *line = use->price ? line_of(i, use) : NULL;
  json_open_object(w);
  if (line) {
    json_put_int(w, "line", line->number);
  }
  json_put_str(w, "meter", use->meter->name);
  json_put_quantity(w, "quantity", use->units);
  json_put_str(w, "unit", use->meter->unit);
  json_put_quantity(w, "raw", use->raw);
  if (use->has_list && use->price) {
    json_key(w, "price");
    json_open_object(w);
    json_put_amount(w, "each", use->price->tiers[0].each);
    json_put_quantity(w, "per", use->per_raw);
    json_close_object(w);
  }
  if (use->multiplier.e12 != RATE_ONE.e12) {
    json_put_rate(w, "multiplier", use->multiplier);
  }
  json_put_amount(w, "amount", use->list);
  json_put_amount(w, "cost", use->cost);
  json_close_object(w);
}

/* Unit x unit of time; 0 when that is open or beyond all numbers. */
static quantity units_within(const struct cover *cover, instant from, instant to) {
  quantity out = QUANTITY_ZERO;
  struct error ignored = {0};
  bool bounded = from.ns > 0 && to.ns < INSTANT_MAX.ns;
  if (!bounded || !int128_muldiv(cover->quantity.e9, to.ns - from.ns, (int128)cover->each_s * NS_PER_S, ROUND_HALF_EVEN,
                                 &out.e9, &ignored)) {
    return QUANTITY_ZERO;
  }
  return out;
}

/* Which part of the whole fee was due at the start; nothing when that can not be told. */
static void put_upfront_share(struct json_out *w, const struct cover *cover) {
  amount whole;
  rate share;
  struct error ignored = {0};
  if (cover->payment == COVER_PARTIAL &&
      int128_muldiv(cover->each.e12, units_within(cover, cover->from, cover->to).e9, QUANTITY_E9, ROUND_HALF_EVEN,
                    &whole.e12, &ignored) &&
      whole.e12 > 0 &&
      int128_muldiv(cover->upfront.e12, RATE_ONE.e12, whole.e12, ROUND_HALF_EVEN, &share.e12, &ignored)) {
    json_put_rate(w, "upfront_share", share);
  }
}

void put_cover_of_fee(struct json_out *w, const struct invoice *i, const struct charge *c) {
  const struct cover *cover = c->cover;
  const struct trace_step *step = &c->steps[0];
  /* One payment of several is not by units: then those of its time, turned when it is given back. */
  quantity units = c->unit.len > 0 ? c->units : units_within(cover, step->from, step->to);
  units.e9 = c->unit.len == 0 && c->units.e9 < 0 ? -units.e9 : units.e9;
  bool reserved = cover->kind == COVER_RESERVATION;
  struct error ignored = {0};
  json_put_str(w, "commitment", cover->name);
  json_put_cstr(w, "commitment_kind", cover_kind_name(cover->kind));
  if (reserved) {
    json_put_quantity(w, "commitment_quantity", units);
    json_put_str(w, "commitment_unit", cover->usage[0].meter->unit);
    return;
  }
  amount money;
  if (int128_muldiv(cover->each.e12, units.e9, QUANTITY_E9, ROUND_HALF_EVEN, &money.e12, &ignored)) {
    json_put_amount(w, "commitment_quantity", money);
    json_put_cstr(w, "commitment_unit", c->conversion ? c->conversion->rate->from->code : i->customer->currency->code);
  }
}

static void put_uses(struct json_out *w, const struct invoice *i, const struct coverage *c) {
  const struct plan *plan = c->segment->plan;
  const struct cover *cover = c->cover;
  json_put_str(w, "product", cover->product);
  if (cover->from.ns > 0 && cover->to.ns < INSTANT_MAX.ns) {
    json_put_instant(w, "term_from", cover->from);
    json_put_instant(w, "term_to", cover->to);
  }
  put_upfront_share(w, cover);
  if (c->customer != i->customer) {
    json_put_str(w, "customer", c->customer->id);
  }
  if (plan->currency != i->customer->currency) {
    json_put_cstr(w, "currency", plan->currency->code);
  }
  if (plan->prices_include_tax) {
    json_put_bool(w, "prices_include_tax", true);
  }
  json_put_amount(w, "unused_cost", c->unused);
  json_key(w, "uses");
  json_open_array(w);
  for (size_t u = 0; u < c->use_count; u++) {
    put_use(w, i, &c->uses[u]);
  }
  json_close_array(w);
}

static void put_hours(struct json_out *w, const struct coverage *c) {
  json_key(w, "hourly_use");
  json_open_array(w);
  for (size_t i = 0; i < c->hourly_count; i++) {
    const struct coverage_hour *h = &c->hourly[i];
    json_open_object(w);
    json_put_instant(w, "from", h->from);
    json_put_instant(w, "to", h->to);
    if (c->cover->kind == COVER_RESERVATION) {
      json_put_quantity(w, "capacity", h->capacity);
      json_put_quantity(w, "used", h->used);
    } else {
      json_put_amount(w, "committed", h->committed);
      json_put_amount(w, "used", h->spent);
    }
    json_close_object(w);
  }
  json_close_array(w);
}

void coverage_put(struct json_out *w, const struct invoice *invoice, const struct coverage *c) {
  json_open_object(w);
  json_put_str(w, "name", c->cover->name);
  json_put_cstr(w, "kind", cover_kind_name(c->cover->kind));
  json_put_cstr(w, "payment", cover_payment_name(c->cover->payment));
  json_put_instant(w, "from", c->from);
  json_put_instant(w, "to", c->to);
  if (c->cover->kind == COVER_RESERVATION) {
    put_units(w, c);
  } else {
    put_spend(w, c);
  }
  json_put_amount(w, "cost", c->cost);
  json_put_amount(w, "list_cost", c->list);
  json_put_amount(w, "saved", c->saved);
  json_put_int(w, "hours", c->hours);
  json_put_int(w, "hours_unused", c->hours_unused);
  if (c->has_utilization) {
    json_put_rate(w, "utilization", c->utilization);
  }
  if (c->has_coverage) {
    json_put_rate(w, "coverage", c->coverage);
  }
  if (invoice) {
    put_uses(w, invoice, c);
  }
  if (c->hourly_count > 0) {
    put_hours(w, c);
  }
  json_close_object(w);
}
