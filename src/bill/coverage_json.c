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

void coverage_put(struct json_out *w, const struct coverage *c) {
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
  if (c->hourly_count > 0) {
    put_hours(w, c);
  }
  json_close_object(w);
}
