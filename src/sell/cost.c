/* What it costs to hold units of a pool for a while, by the customer's contract. */
#include "sell/offers.h"
#include <stdlib.h>

#define HOUR_NS (3600 * NS_PER_S)

/* ---- what is held, as the meter sees it ---- */

static slice natural(const struct held *held, slice name) {
  if (slice_is(name, "class")) {
    return slice_of(pool_class_name(held->class));
  }
  if (slice_is(name, "gpu") || slice_is(name, "kind")) {
    return held->pool->kind;
  }
  return slice_is(name, "site") ? held->pool->site : slice_is(name, "pool") ? held->pool->name : (slice){0};
}

static slice among(slice wanted, const slice *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (slice_eq(values[i], wanted)) {
      return wanted;
    }
  }
  return values[0];
}

slice held_field(const struct held *held, slice name) {
  const struct pool *pool = held->pool;
  slice value = natural(held, name);
  for (size_t i = 0; i < pool->match_count; i++) {
    const struct match *m = &pool->matches[i];
    if (m->count > 0 && slice_eq(pool->meter->dimensions[m->dimension], name)) {
      return among(value, m->values, m->count);
    }
  }
  for (size_t i = 0; i < pool->meter->filter_count; i++) {
    const struct filter *f = &pool->meter->filters[i];
    if (f->count > 0 && slice_eq(f->field, name)) {
      return among(value, f->values, f->count);
    }
  }
  return value;
}

void held_dimensions(const struct held *held, slice dimensions[CATALOG_DIMENSIONS_MAX]) {
  const struct meter *meter = held->pool->meter;
  for (size_t i = 0; i < meter->dimension_count; i++) {
    dimensions[i] = held_field(held, meter->dimensions[i]);
  }
}

int64_t held_charged_ns(const struct class_terms *terms, int64_t ns) {
  int64_t step = (terms->increment_s > 0 ? terms->increment_s : 1) * NS_PER_S;
  if (ns <= 0) {
    return 0;
  }
  ns = ns > terms->minimum_s * NS_PER_S ? ns : terms->minimum_s * NS_PER_S;
  return (ns + step - 1) / step * step;
}

int64_t held_least_ns(const struct class_terms *terms) {
  return held_charged_ns(terms, NS_PER_S);
}

/* ---- the price of a stretch in which it does not change, multipliers by the hour aside ---- */

struct stretch {
  const struct catalog *catalog;
  const struct customer *customer;
  const struct held *held;
  slice dimensions[CATALOG_DIMENSIONS_MAX];
  struct segment segment; /* cut to what is asked */
  const struct price_rule *price;
};

static bool has_hours(const struct price_rule *price) {
  for (size_t i = 0; i < price->multiplier_count; i++) {
    if (price->multipliers[i].hours) {
      return true;
    }
  }
  return false;
}

static bool raw_until(const struct stretch *s, instant t, quantity *out, struct error *err) {
  return int128_muldiv(s->held->units.e9, t.ns - s->segment.from.ns, NS_PER_S, ROUND_HALF_EVEN, &out->e9, err);
}

static bool add_piece(const struct stretch *s, instant from, instant to, amount *sum, struct error *err) {
  quantity before, until;
  amount piece;
  return raw_until(s, from, &before, err) && raw_until(s, to, &until, err) &&
         quantity_sub(until, before, &until, err) &&
         rate_marginal(s->price, s->dimensions, from, before, until, &piece, err) && amount_add(*sum, piece, sum, err);
}

/* Usage comes in rows of an hour, cut where multipliers change: at each of these the price is asked anew. */
static bool sum_hours(const struct stretch *s, amount *sum, struct error *err) {
  size_t max = rate_cuts_max(s->catalog, &s->segment, 1);
  instant *cuts = mem_alloc((max + 1) * sizeof *cuts);
  size_t count = rate_cuts(s->catalog, &s->segment, 1, cuts, max), next = 0;
  bool ok = true;
  for (instant t = s->segment.from, end; ok && t.ns < s->segment.to.ns; t = end) {
    end = time_earlier((instant){(t.ns / HOUR_NS + 1) * HOUR_NS}, s->segment.to);
    while (next < count && cuts[next].ns <= t.ns) {
      next++;
    }
    end = next < count ? time_earlier(end, cuts[next]) : end;
    ok = add_piece(s, t, end, sum, err);
  }
  free(cuts);
  return ok;
}

static bool find_price(struct stretch *s, struct error *err) {
  char text[TIME_TEXT_MAX];
  const struct pool *pool = s->held->pool;
  if (s->segment.contract == NULL) {
    return error_set(err, ERR_INVALID, "customer " SLICE_FMT " has no plan in force at %s: give it a contract",
                     SLICE_ARG(s->customer->id), time_format(s->segment.from, text));
  }
  s->price = rate_price_of(s->catalog, &s->segment, pool->meter, s->dimensions);
  return s->price || error_set(err, ERR_INVALID,
                               "plan " SLICE_FMT " has no price for %s of the pool " SLICE_FMT " at %s: add one for "
                               "the meter " SLICE_FMT,
                               SLICE_ARG(s->segment.contract->plan_name), pool_class_name(s->held->class),
                               SLICE_ARG(pool->name), time_format(s->segment.from, text), SLICE_ARG(pool->meter->name));
}

static bool exchange(const struct stretch *s, amount *a, struct error *err) {
  const struct currency *from = s->segment.plan->currency, *to = s->customer->currency;
  if (strcmp(from->code, to->code) == 0) {
    return true;
  }
  const struct exchange_rate *found = catalog_exchange_rate(s->catalog, from, to, s->segment.from);
  if (found == NULL) {
    return error_set(err, ERR_INVALID, "there is no exchange rate from %s to %s", from->code, to->code);
  }
  return amount_times_rate(*a, found->rate, ROUND_HALF_EVEN, a, err);
}

static bool add_tax(const struct stretch *s, amount net, amount *gross, struct error *err) {
  const struct tax *tax;
  rate of = {0};
  if (!catalog_tax(s->catalog, s->customer, s->price->product, s->segment.from, &tax, err) ||
      (tax && !catalog_tax_rate(tax, s->segment.from, &of, err))) {
    return false;
  }
  if (s->segment.plan->prices_include_tax) {
    of.e12 = 0;
  }
  return amount_times_rate(net, (rate){RATE_ONE.e12 + of.e12}, ROUND_CEILING, gross, err);
}

static bool add_stretch(struct stretch *s, struct held_cost *out, struct error *err) {
  amount net = AMOUNT_ZERO, gross;
  const bool first = out->price == NULL;
  const quantity hour = {3600 * QUANTITY_E9}; /* value x seconds */
  if (!find_price(s, err)) {
    return false;
  }
  out->price = first ? s->price : out->price;
  if (first && (!rate_marginal(s->price, s->dimensions, s->segment.from, QUANTITY_ZERO, hour, &out->unit_hour, err) ||
                !exchange(s, &out->unit_hour, err))) {
    return false;
  }
  bool ok = has_hours(s->price) ? sum_hours(s, &net, err) : add_piece(s, s->segment.from, s->segment.to, &net, err);
  return ok && exchange(s, &net, err) && add_tax(s, net, &gross, err) &&
         amount_add(out->total, net, &out->total, err) && amount_add(out->with_tax, gross, &out->with_tax, err);
}

bool held_cost(const struct catalog *catalog, const struct customer *customer, const struct held *held,
               struct period span, struct held_cost *out, struct error *err) {
  struct stretch s = {.catalog = catalog, .customer = customer, .held = held};
  *out = (struct held_cost){0};
  if (span.from.ns >= span.to.ns) {
    return error_set(err, ERR_INVALID, "what is held for no time has no price: from should come before to");
  }
  held_dimensions(held, s.dimensions);
  for (instant t = span.from; t.ns < span.to.ns; t = s.segment.to) {
    if (!rate_segment_at(catalog, customer, t, &s.segment, err)) {
      return false;
    }
    s.segment.from = t;
    s.segment.to = time_earlier(s.segment.to, span.to);
    if (!add_stretch(&s, out, err)) {
      return false;
    }
  }
  return true;
}
