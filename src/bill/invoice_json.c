/* The invoice as a canonical JSON document under a seal. */
#include "bill/private.h"
#include <string.h>

/* Amounts on the invoice are padded to the currency's minor unit. */
void put_money(struct json_out *w, const struct invoice *i, const char *key, amount a) {
  char text[DECIMAL_TEXT_MAX];
  json_put_cstr(w, key, amount_text_fixed(a, i->customer->currency->minor_units, text));
}

static void put_place(struct json_out *w, const char *key, struct place place) {
  char text[512];
  /* The file's name alone: the same catalog in another folder gives the same document. */
  const char *file = place.file ? place.file : "", *slash = strrchr(file, '/');
  if (slash) {
    file = slash + 1;
  }
  snprintf(text, sizeof text, "%s:%d", file, place.line);
  json_put_cstr(w, key, text);
}

static void put_party(struct json_out *w, const struct party *party) {
  json_put_str(w, "name", party->name);
  json_key(w, "address");
  json_open_array(w);
  for (size_t i = 0; i < party->address_count; i++) {
    json_str(w, party->address[i]);
  }
  json_close_array(w);
  json_put_str(w, "country", party->country);
  json_put_str(w, "tax_id", party->tax_id);
  json_put_str(w, "registration", party->registration);
  json_put_str(w, "email", party->email);
  if (party->endpoint_id.len > 0) {
    json_key(w, "endpoint");
    json_open_object(w);
    json_put_str(w, "scheme", party->endpoint_scheme);
    json_put_str(w, "id", party->endpoint_id);
    json_close_object(w);
  }
}

static void put_parties(struct json_out *w, const struct invoice *i) {
  const struct seller *seller = catalog_seller(i->catalog, i->customer);
  json_key(w, "seller");
  json_open_object(w);
  if (seller->id.len > 0) {
    json_put_str(w, "id", seller->id);
  }
  put_party(w, &seller->party);
  json_put_str(w, "bank", seller->bank);
  json_put_str(w, "footer", seller->footer);
  json_close_object(w);
  json_key(w, "customer");
  json_open_object(w);
  json_put_str(w, "id", i->customer->id);
  put_party(w, &i->customer->party);
  json_put_str(w, "reference", i->customer->reference);
  json_close_object(w);
}

static void put_price(struct json_out *w, const char *key, struct price price) {
  json_key(w, key);
  json_open_object(w);
  json_put_amount(w, "each", price.each);
  json_put_quantity(w, "per", price.per);
  json_close_object(w);
}

static void put_step(struct json_out *w, const struct trace_step *s) {
  json_open_object(w);
  json_put_int(w, "tier", s->tier);
  json_put_quantity(w, "raw", s->raw);
  if (!quantity_is_zero(s->included)) {
    json_put_quantity(w, "included", s->included);
  }
  if (!quantity_is_zero(s->covered)) {
    json_put_quantity(w, "covered", s->covered);
  }
  if (s->price.per.e9 > 0) {
    put_price(w, "price", s->price);
  }
  if (s->multiplier.e12 != RATE_ONE.e12) {
    json_put_rate(w, "multiplier", s->multiplier);
  }
  json_put_amount(w, "amount", s->amount);
  json_put_instant(w, "from", s->from);
  json_put_instant(w, "to", s->to);
  json_put_int(w, "rows", s->rows);
  json_put_int(w, "events", s->events);
  if (s->note) {
    json_put_cstr(w, "note", s->note);
  }
  json_close_object(w);
}

static void put_unit_price(struct json_out *w, const struct charge *c) {
  rate multiplier;
  if (!c->has_unit_price || !charge_multiplier(c, &multiplier)) {
    return;
  }
  json_key(w, "unit_price");
  json_open_object(w);
  json_put_amount(w, "each", c->unit_price.each);
  json_put_quantity(w, "per", c->unit_price.per);
  if (c->conversion) {
    json_put_cstr(w, "currency", c->conversion->rate->from->code);
  }
  json_close_object(w);
  if (c->price && multiplier.e12 != RATE_ONE.e12) {
    json_put_rate(w, "multiplier", multiplier);
  }
}

static void put_origin(struct json_out *w, const struct charge *c) {
  json_put_str(w, "plan", c->segment->plan->name);
  json_put_instant(w, "plan_valid_from", c->segment->plan->valid_from);
  if (c->price) {
    json_put_cstr(w, "model", price_model_name(c->price->model));
    put_place(w, "price_at", c->price->place);
  }
  if (c->fee) {
    put_place(w, "price_at", c->fee->place);
  }
  if (c->cover) {
    put_place(w, "price_at", c->cover->place);
  }
  if (c->commitment) {
    json_put_str(w, "commitment", c->commitment->name);
    put_place(w, "price_at", c->commitment->place);
  }
}

static void put_adjustment(struct json_out *w, const struct adjustment *a) {
  json_key(w, "adjusts");
  json_open_object(w);
  json_put_str(w, "period", a->span.period);
  json_put_str(w, "invoice", a->span.invoice);
  json_put_str(w, "catalog", a->span.catalog);
  json_put_int(w, "from_event", (int64_t)a->span.from_event);
  json_put_int(w, "to_event", (int64_t)a->span.to_event);
  json_put_instant(w, "as_of_before", a->span.as_of_before);
  json_put_instant(w, "as_of_after", a->span.as_of_after);
  json_put_quantity(w, "quantity_before", a->units_before);
  json_put_quantity(w, "quantity_after", a->units_after);
  json_put_amount(w, "exact_before", a->exact_before);
  json_put_amount(w, "exact_after", a->exact_after);
  json_close_object(w);
}

/* The steps are in the plan's currency; this is how the line came to be in the customer's. */
static void put_conversion(struct json_out *w, const struct invoice *i, const struct conversion *c) {
  char on[TIME_TEXT_MAX];
  json_key(w, "converted");
  json_open_object(w);
  json_put_cstr(w, "from", c->rate->from->code);
  json_put_amount(w, "exact", c->exact);
  json_put_rate(w, "rate", c->rate->rate);
  json_put_cstr(w, "on", time_format_date(c->rate->on, i->catalog->time_zone, on));
  put_place(w, "rate_at", c->rate->place);
  json_close_object(w);
}

static void put_line(struct json_out *w, const struct invoice *i, const struct invoice_line *line) {
  const struct charge *c = line->charge;
  json_open_object(w);
  json_put_int(w, "number", line->number);
  json_put_cstr(w, "kind", charge_kind_name(c->kind));
  json_put_str(w, "description", line->description);
  if (line->dates.len > 0) {
    json_put_str(w, "dates", line->dates);
  }
  if (c->customer) {
    json_put_str(w, "customer", c->customer->id);
  }
  json_put_str(w, "product", c->product);
  if (c->meter) {
    json_put_str(w, "meter", c->meter->name);
  }
  json_put_quantity(w, "quantity", c->units);
  json_put_str(w, "unit", c->unit);
  if (!quantity_is_zero(c->included_units)) {
    json_put_quantity(w, "included", c->included_units);
  }
  if (!quantity_is_zero(c->covered_units)) {
    json_put_quantity(w, "covered", c->covered_units);
  }
  if (c->meter && c->meter->base_per_unit.e9 != QUANTITY_E9) {
    json_put_quantity(w, "raw_quantity", c->raw);
    json_put_quantity(w, "raw_per_unit", c->meter->base_per_unit);
  }
  put_unit_price(w, c);
  if (c->conversion) {
    put_conversion(w, i, c->conversion);
  }
  json_put_amount(w, "exact", line->exact);
  put_money(w, i, "amount", line->amount);
  put_line_tax(w, i, line);
  json_put_instant(w, "from", c->segment->from);
  json_put_instant(w, "to", c->segment->to);
  if (c->segment->plan) {
    put_origin(w, c);
  }
  if (line->credit) {
    json_key(w, "credit");
    json_open_object(w);
    put_credit(w, line->credit);
    json_close_object(w);
  }
  if (c->adjustment) {
    put_adjustment(w, c->adjustment);
  }
  json_key(w, "trace");
  json_open_array(w);
  for (size_t s = 0; s < c->step_count; s++) {
    put_step(w, &c->steps[s]);
  }
  json_close_array(w);
  json_close_object(w);
}

static void put_unpriced(struct json_out *w, const struct rating *rating) {
  json_key(w, "unpriced");
  json_open_array(w);
  for (size_t i = 0; i < rating->unpriced_count; i++) {
    const struct unpriced *u = &rating->unpriced[i];
    json_open_object(w);
    json_put_str(w, "meter", u->meter->name);
    json_key(w, "dimensions");
    json_open_object(w);
    for (size_t d = 0; d < u->meter->dimension_count; d++) {
      json_key_slice(w, u->meter->dimensions[d]);
      json_str(w, u->dimensions[d]);
    }
    json_close_object(w);
    json_put_quantity(w, "quantity", u->units);
    json_put_str(w, "unit", u->meter->unit);
    json_put_int(w, "events", u->events);
    json_put_cstr(w, "why", u->why);
    json_close_object(w);
  }
  json_close_array(w);
}

static void put_commitments(struct json_out *w, const struct invoice *i) {
  const struct rating *rating = i->rating;
  if (rating->coverage_count + i->commitment_count == 0) {
    return;
  }
  json_key(w, "commitments");
  json_open_array(w);
  for (size_t n = 0; n < rating->coverage_count; n++) {
    coverage_put(w, &rating->coverages[n]);
  }
  for (size_t n = 0; n < i->commitment_count; n++) {
    commitment_put(w, i, &i->commitments[n]);
  }
  json_close_array(w);
}

static void put_totals(struct json_out *w, const struct invoice *i) {
  json_put_amount(w, "exact", i->exact);
  json_put_amount(w, "rounding", i->rounding);
  put_money(w, i, "subtotal", i->subtotal);
  put_taxes(w, i);
  put_money(w, i, "tax", i->tax);
  put_money(w, i, "total", i->total);
  if (i->credit_count > 0) {
    put_credits(w, i);
    put_money(w, i, "prepaid", i->prepaid);
    put_money(w, i, "amount_due", i->amount_due);
  }
}

static void put_head(struct json_out *w, const struct invoice *i) {
  char period[2 * TIME_TEXT_MAX];
  json_put_cstr(w, "schema", "meterhouse.invoice.1");
  if (invoice_is_credit(i)) {
    json_put_cstr(w, "type", "credit_note");
  }
  if (i->catalog->seller_count > 0) {
    json_put_str(w, "entity", catalog_seller(i->catalog, i->customer)->party.name);
  }
  json_put_cstr(w, "status", invoice_status_name(i->status));
  if (i->status != INVOICE_DRAFT) {
    json_put_str(w, "id", i->id);
    json_put_str(w, "number", i->number);
    json_put_instant(w, "issued", i->issued);
    json_put_instant(w, "due", i->due);
  }
  json_put_cstr(w, "period", billing_period_name(i->customer, i->period, period));
  if (i->part.len > 0) {
    json_put_str(w, "part", i->part);
  }
  json_put_instant(w, "from", i->period.from);
  json_put_instant(w, "to", i->period.to);
  if (i->as_of.ns != 0 && i->as_of.ns < i->period.to.ns) {
    json_put_instant(w, "metered_until", i->as_of);
  }
  json_put_cstr(w, "time_zone", i->customer->time_zone);
  json_put_cstr(w, "currency", i->customer->currency->code);
  put_members(w, i->rating);
}

static void put_document(struct json_out *w, const struct invoice *i) {
  put_head(w, i);
  put_parties(w, i);
  json_key(w, "lines");
  json_open_array(w);
  for (size_t l = 0; l < i->line_count; l++) {
    put_line(w, i, &i->lines[l]);
  }
  json_close_array(w);
  put_unpriced(w, i->rating);
  put_totals(w, i);
  put_commitments(w, i);
  json_key(w, "usage");
  json_open_object(w);
  json_put_int(w, "events", (int64_t)i->usage_events);
  json_put_cstr(w, "digest", i->usage_digest);
  json_close_object(w);
  json_put_str(w, "catalog", i->catalog->digest_hex);
}

void invoice_to_kept(const struct invoice *i, struct buf *out) {
  struct json_out w;
  char seal[65];
  must(out->len == 0);
  json_out_init(&w, out, false);
  json_open_object(&w);
  put_document(&w, i);
  json_close_object(&w);
  if (!out->failed) {
    digest_hex(digest_of(buf_slice(out)), seal);
    out->len--; /* the seal goes before the last brace */
    buf_addf(out, ",\"seal\":\"%s\"}", seal);
  }
}

void invoice_to_json(const struct invoice *invoice, struct buf *out) {
  struct buf kept;
  buf_init(&kept, DOCUMENT_BYTES_MAX);
  invoice_to_kept(invoice, &kept);
  out->failed |= kept.failed;
  document_print(buf_slice(&kept), out);
  buf_free(&kept);
}

void stored_invoice_put(struct json_out *w, const struct stored_invoice *i) {
  json_open_object(w);
  json_put_str(w, "id", i->id);
  json_put_str(w, "number", i->number);
  json_put_str(w, "customer", i->customer);
  json_put_str(w, "period", i->period);
  if (i->part.len > 0) {
    json_put_str(w, "part", i->part);
  }
  json_put_str(w, "status", i->status);
  json_put_str(w, "currency", i->currency);
  json_put_amount(w, "total", i->total);
  json_put_amount(w, "paid", i->paid);
  if (!amount_is_zero(i->credited)) {
    json_put_amount(w, "credited", i->credited);
  }
  if (i->corrects.len > 0) {
    json_put_str(w, "corrects", i->corrects);
  }
  json_put_instant(w, "issued", i->issued);
  json_put_instant(w, "due", i->due);
  json_close_object(w);
}
