/* GET customers and plans: what the catalog's files define, read-only here. */
#include "api/private.h"
#include <string.h>

static void put_party(struct json_out *w, const struct party *p) {
  json_put_str(w, "name", p->name);
  json_put_str(w, "email", p->email);
  json_put_str(w, "tax_id", p->tax_id);
  json_put_str(w, "country", p->country);
  json_key(w, "address");
  json_open_array(w);
  for (size_t i = 0; i < p->address_count; i++) {
    json_str(w, p->address[i]);
  }
  json_close_array(w);
}

static void put_contracts(struct json_out *w, const struct customer *c) {
  json_key(w, "contracts");
  json_open_array(w);
  for (size_t i = 0; i < c->contract_count; i++) {
    json_open_object(w);
    json_put_str(w, "plan", c->contracts[i].plan_name);
    json_put_instant(w, "from", c->contracts[i].from);
    if (c->contracts[i].to.ns != INSTANT_MAX.ns) {
      json_put_instant(w, "to", c->contracts[i].to);
    }
    json_put_bool(w, "own_terms", c->contracts[i].own != NULL);
    json_close_object(w);
  }
  json_close_array(w);
}

static bool put_customer(struct json_out *w, struct db *db, const struct customer *c, struct error *err) {
  bool suspended;
  instant since;
  if (!suspension_find(db, c->id, &suspended, &since, err)) {
    return false;
  }
  json_open_object(w);
  json_put_str(w, "id", c->id);
  put_party(w, &c->party);
  json_put_str(w, "group", c->group);
  json_put_cstr(w, "currency", c->currency->code);
  json_put_cstr(w, "time_zone", c->time_zone);
  json_put_str(w, "tax", c->tax ? c->tax->name : (slice){0});
  if (c->seller && c->seller->id.len > 0) {
    json_put_str(w, "seller", c->seller->id);
  }
  json_put_int(w, "payment_days", c->payment_days);
  json_put_bool(w, "dunning", !c->no_dunning);
  json_put_cstr(w, "state", suspended ? "suspended" : "active");
  if (suspended) {
    json_put_instant(w, "suspended_since", since);
  }
  put_contracts(w, c);
  json_close_object(w);
  return true;
}

bool customers_read(struct api_call *call, struct book *book, struct error *err) {
  const struct catalog *catalog = book_catalog(book);
  size_t limit, written = 0;
  slice after, last = {0};
  if (!call_page(call, &limit, &after, err)) {
    return false;
  }
  list_begin(call);
  for (size_t i = 0; i < catalog->customer_count; i++) {
    const struct customer *c = &catalog->customers[i];
    struct error hidden = {0};
    if (slice_cmp(c->id, after) <= 0 || !call_may_see(call, c->id, &hidden)) {
      continue;
    }
    if (written == limit) {
      list_end(call, last);
      return true;
    }
    if (!put_customer(&call->json, book_db(book), c, err)) {
      return false;
    }
    last = c->id;
    written++;
  }
  list_end(call, (slice){0});
  return true;
}

bool customer_read(struct api_call *call, struct book *book, struct error *err) {
  const struct customer *c = catalog_customer(book_catalog(book), call->customer);
  if (c == NULL) {
    return error_set(err, ERR_NOT_FOUND, "there is no customer \"" SLICE_FMT "\"", SLICE_ARG(call->customer));
  }
  return put_customer(&call->json, book_db(book), c, err);
}

static void put_matches(struct json_out *w, const struct meter *meter, const struct match *matches, size_t count) {
  json_key(w, "match");
  json_open_object(w);
  for (size_t m = 0; m < count; m++) {
    json_key_slice(w, meter->dimensions[matches[m].dimension]);
    json_open_array(w);
    for (size_t v = 0; v < matches[m].count; v++) {
      json_str(w, matches[m].values[v]);
    }
    json_close_array(w);
  }
  json_close_object(w);
}

static void put_tiers(struct json_out *w, const struct price_rule *p) {
  json_key(w, "tiers");
  json_open_array(w);
  for (size_t t = 0; t < p->tier_count; t++) {
    json_open_object(w);
    if (!p->tiers[t].last) {
      json_put_quantity(w, "up_to", p->tiers[t].up_to);
    }
    json_put_amount(w, "price", p->tiers[t].each);
    if (!amount_is_zero(p->tiers[t].flat)) {
      json_put_amount(w, "flat", p->tiers[t].flat);
    }
    json_close_object(w);
  }
  json_close_array(w);
}

/* Minutes of the day as people write them. */
static void put_clock(struct json_out *w, const struct hours *h) {
  char text[32];
  snprintf(text, sizeof text, "%02d:%02d-%02d:%02d", h->from_minute / 60, h->from_minute % 60, h->to_minute / 60,
           h->to_minute % 60);
  json_put_cstr(w, "hours", text);
}

static void put_hours(struct json_out *w, const struct hours *h) {
  static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
  put_clock(w, h);
  json_key(w, "days");
  json_open_array(w);
  for (unsigned d = 0; d < 7; d++) {
    if (h->days >> d & 1) {
      json_str(w, slice_of(names[d]));
    }
  }
  json_close_array(w);
  json_put_cstr(w, "time_zone", h->time_zone);
}

static void put_multipliers(struct json_out *w, const struct price_rule *p) {
  json_key(w, "multipliers");
  json_open_array(w);
  for (size_t i = 0; i < p->multiplier_count; i++) {
    const struct multiplier *m = &p->multipliers[i];
    json_open_object(w);
    put_matches(w, p->meter, m->matches, m->match_count);
    if (m->hours) {
      put_hours(w, m->hours);
    }
    json_put_rate(w, "by", m->by);
    json_close_object(w);
  }
  json_close_array(w);
}

static void put_price_rule(struct json_out *w, const struct price_rule *p) {
  json_open_object(w);
  json_put_str(w, "name", p->name);
  json_put_str(w, "product", p->product);
  json_put_str(w, "meter", p->meter->name);
  json_put_str(w, "unit", p->meter->unit);
  put_matches(w, p->meter, p->matches, p->match_count);
  json_put_cstr(w, "model", price_model_name(p->model));
  json_put_quantity(w, "per", p->per);
  put_tiers(w, p);
  put_multipliers(w, p);
  if (p->has_minimum) {
    json_put_amount(w, "minimum", p->minimum);
  }
  if (p->has_maximum) {
    json_put_amount(w, "maximum", p->maximum);
  }
  json_close_object(w);
}

static void put_fees(struct json_out *w, const struct plan *plan) {
  static const char *const every[] = {"once", "month", "hour"};
  json_key(w, "fees");
  json_open_array(w);
  for (size_t i = 0; i < plan->fee_count; i++) {
    json_open_object(w);
    json_put_str(w, "name", plan->fees[i].name);
    json_put_amount(w, "price", plan->fees[i].each);
    json_put_quantity(w, "count", plan->fees[i].count);
    json_put_cstr(w, "every", every[plan->fees[i].every]);
    json_close_object(w);
  }
  json_close_array(w);
}

static void put_allowances(struct json_out *w, const struct plan *plan) {
  json_key(w, "allowances");
  json_open_array(w);
  for (size_t i = 0; i < plan->allowance_count; i++) {
    const struct allowance *a = &plan->allowances[i];
    json_open_object(w);
    json_put_str(w, "name", a->name);
    json_put_str(w, "meter", a->meter->name);
    put_matches(w, a->meter, a->matches, a->match_count);
    json_put_quantity(w, "included", a->included);
    json_close_object(w);
  }
  json_close_array(w);
}

static void put_covers(struct json_out *w, const struct plan *plan, enum cover_kind kind) {
  json_key(w, kind == COVER_RESERVATION ? "reservations" : "savings_plans");
  json_open_array(w);
  for (size_t i = 0; i < plan->cover_count; i++) {
    const struct cover *c = &plan->covers[i];
    if (c->kind != kind) {
      continue;
    }
    json_open_object(w);
    json_put_str(w, "name", c->name);
    json_put_quantity(w, "quantity", c->quantity);
    json_put_amount(w, kind == COVER_RESERVATION ? "price" : "hourly", c->each);
    json_key(w, "covers");
    json_open_array(w);
    for (size_t u = 0; u < c->usage_count; u++) {
      json_open_object(w);
      json_put_str(w, "meter", c->usage[u].meter->name);
      put_matches(w, c->usage[u].meter, c->usage[u].matches, c->usage[u].match_count);
      if (kind == COVER_SAVINGS_PLAN) {
        json_put_rate(w, "discount", c->usage[u].discount);
      }
      json_close_object(w);
    }
    json_close_array(w);
    json_close_object(w);
  }
  json_close_array(w);
}

static void put_plan(struct json_out *w, const struct plan *plan) {
  json_open_object(w);
  json_put_str(w, "name", plan->name);
  json_put_str(w, "title", plan->title);
  json_put_instant(w, "valid_from", plan->valid_from);
  json_put_cstr(w, "currency", plan->currency->code);
  json_key(w, "prices");
  json_open_array(w);
  for (size_t i = 0; i < plan->price_count; i++) {
    put_price_rule(w, &plan->prices[i]);
  }
  json_close_array(w);
  put_fees(w, plan);
  put_allowances(w, plan);
  put_covers(w, plan, COVER_RESERVATION);
  put_covers(w, plan, COVER_SAVINGS_PLAN);
  if (plan->has_minimum) {
    json_put_amount(w, "minimum", plan->minimum);
  }
  json_close_object(w);
}

bool plans_read(struct api_call *call, struct book *book, struct error *err) {
  const struct catalog *catalog = book_catalog(book);
  size_t limit, written = 0;
  slice after, last = {0};
  if (!call_page(call, &limit, &after, err)) {
    return false;
  }
  list_begin(call);
  /* All versions of a name go together, so a page may run over its limit by a name's versions. */
  for (size_t i = 0; i < catalog->plan_count; i++) {
    if (slice_cmp(catalog->plans[i].name, after) <= 0) {
      continue;
    }
    if (written >= limit && !slice_eq(catalog->plans[i].name, last)) {
      list_end(call, last);
      return true;
    }
    put_plan(&call->json, &catalog->plans[i]);
    last = catalog->plans[i].name;
    written++;
  }
  list_end(call, (slice){0});
  return true;
}

bool plan_read(struct api_call *call, struct book *book, struct error *err) {
  const struct catalog *catalog = book_catalog(book);
  slice name = http_param(call->http, "plan");
  bool found = false;
  list_begin(call);
  for (size_t i = 0; i < catalog->plan_count; i++) {
    if (!slice_eq(catalog->plans[i].name, name)) {
      continue;
    }
    put_plan(&call->json, &catalog->plans[i]);
    found = true;
  }
  list_end(call, (slice){0});
  return found || error_set(err, ERR_NOT_FOUND, "there is no plan \"" SLICE_FMT "\"", SLICE_ARG(name));
}
