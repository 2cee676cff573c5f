/* A step of a line's trace as unit price times quantity, both decimals that end, so that the product is exact. */
#include "documents/focus.h"
#include <string.h>

static bool quantity_in(const struct json *object, const char *key, quantity otherwise, quantity *out) {
  struct error ignored = {0};
  *out = otherwise;
  return json_get(object, key) == NULL || quantity_parse(json_text(object, key), out, &ignored);
}

static bool rate_in(const struct json *object, const char *key, rate *out) {
  struct error ignored = {0};
  *out = RATE_ONE;
  return json_get(object, key) == NULL || rate_parse(json_text(object, key), out, &ignored);
}

/* How often ten divides a number that is a power of it; -1 for any other. */
static int power_of_ten(int128 v) {
  int power = 0;
  while (v > 9 && v % 10 == 0) {
    v /= 10;
    power++;
  }
  return v == 1 ? power : -1;
}

/* ---- the list price: the plan's, where the contract has its own ---- */

/* "plans.yaml:12" on the document against FILE:LINE in the catalog. */
static bool stands_at(struct place place, slice price_at) {
  char text[512];
  const char *slash = place.file ? strrchr(place.file, '/') : NULL;
  snprintf(text, sizeof text, "%s:%d", slash ? slash + 1 : place.file ? place.file : "", place.line);
  return slice_is(price_at, text);
}

static const struct price_rule *own_price(const struct focus_invoice *i, const struct json *line) {
  slice child = json_text(line, "customer"), price_at = json_text(line, "price_at");
  const struct customer *customer =
      catalog_customer(i->focus->catalog, child.len ? child : json_text(i->customer, "id"));
  for (size_t c = 0; customer && c < customer->contract_count; c++) {
    const struct plan *own = customer->contracts[c].own;
    for (size_t p = 0; own && p < own->price_count; p++) {
      if (stands_at(own->prices[p].place, price_at)) {
        return &own->prices[p];
      }
    }
  }
  return NULL;
}

static bool has_value(const struct match *m, slice value) {
  for (size_t v = 0; v < m->count; v++) {
    if (slice_eq(m->values[v], value)) {
      return true;
    }
  }
  return false;
}

/* Would `rule` take all that `narrow` takes? Then each of its matches is met by every value of one of the other's. */
static bool covers(const struct price_rule *rule, const struct price_rule *narrow) {
  for (size_t m = 0; m < rule->match_count; m++) {
    const struct match *same = NULL;
    for (size_t n = 0; n < narrow->match_count && !same; n++) {
      same = narrow->matches[n].dimension == rule->matches[m].dimension ? &narrow->matches[n] : NULL;
    }
    for (size_t v = 0; same && v < same->count; v++) {
      if (!has_value(&rule->matches[m], same->values[v])) {
        return false;
      }
    }
    if (same == NULL) {
      return false;
    }
  }
  return true;
}

/* The price of the plan that would have taken the usage, had the contract none of its own for it. */
static const struct price_rule *plan_price(const struct focus_invoice *i, const struct json *line) {
  instant from;
  struct error ignored = {0};
  const struct price_rule *own = i->focus->catalog ? own_price(i, line) : NULL;
  if (own == NULL || !time_parse_rfc3339(json_text(line, "from"), &from, &ignored)) {
    return NULL;
  }
  const struct plan *plan = catalog_plan_at(i->focus->catalog, json_text(line, "plan"), from);
  for (size_t p = 0; plan && p < plan->price_count; p++) {
    const struct price_rule *rule = &plan->prices[p];
    if (rule->meter == own->meter && covers(rule, own)) {
      return rule->model == PRICE_PER_UNIT ? rule : NULL;
    }
  }
  return NULL;
}

/* For the same number of units as the contract's, times the same multiplier; the contract's where there is none. */
static struct decimal list_price(const struct focus_invoice *i, const struct json *line, quantity per, rate multiplier,
                                 struct decimal contracted) {
  const struct price_rule *rule = plan_price(i, line);
  struct decimal list;
  if (rule == NULL || rule->per.e9 != per.e9 ||
      !decimal_times(decimal_of_amount(rule->tiers[0].each), decimal_trim((struct decimal){multiplier.e12, 12}),
                     &list)) {
    return contracted;
  }
  return list;
}

/* ---- the step ---- */

struct focus_priced focus_lump(amount total) {
  bool negative = amount_cmp(total, AMOUNT_ZERO) < 0;
  struct focus_priced p = {.quantity = {negative ? -1 : 1, 0},
                           .contracted = decimal_of_amount(negative ? amount_negate(total) : total),
                           .unit = SLICE("Units")};
  p.list = p.contracted;
  p.contracted_cost = p.list_cost = wide_of(decimal_of_amount(total));
  return p;
}

/* The quantity is rounded to nine decimals; how far the product may be from the amount for that: one billionth of the
 * price, and of the last digit. */
static bool explains(const struct focus_priced *p, amount total) {
  struct wide stated = wide_negate(wide_of(decimal_of_amount(total))), slack, rest;
  struct wide last = wide_of((struct decimal){1, 12});
  struct decimal billionth = {p->contracted.value, p->contracted.decimals + 9};
  if (billionth.decimals > WIDE_DECIMALS || !wide_add(&p->contracted_cost, &stated, &rest)) {
    return false;
  }
  slack = wide_of(billionth);
  rest.negative = false;
  struct wide room;
  if (!wide_add(&slack, &last, &room)) {
    return false;
  }
  room = wide_negate(room);
  return wide_add(&rest, &room, &rest) && (rest.negative || wide_is_zero(&rest));
}

static slice pricing_unit(const struct focus_invoice *i, const struct json *line, int power) {
  slice unit = focus_unit(i->arena, json_text(line, "unit"));
  if (power == 0) {
    return unit;
  }
  char *text = arena_printf(i->arena, "1%0*d " SLICE_FMT, power, 0, SLICE_ARG(unit));
  return slice_of(text);
}

/* Billable units over `per`, where that is a whole power of ten: then the quotient ends. */
static bool units_of(const struct json *line, const struct json *step, quantity per_raw, struct decimal *out,
                     quantity *per, int *power) {
  quantity raw, included, covered, base;
  struct error ignored = {0};
  if (!quantity_in(step, "raw", QUANTITY_ZERO, &raw) || !quantity_in(step, "included", QUANTITY_ZERO, &included) ||
      !quantity_in(step, "covered", QUANTITY_ZERO, &covered) ||
      !quantity_in(line, "raw_per_unit", QUANTITY_ONE, &base) || base.e9 <= 0 ||
      !quantity_sub(raw, included, &raw, &ignored) || !quantity_sub(raw, covered, &raw, &ignored) ||
      !int128_muldiv(raw.e9, QUANTITY_E9, base.e9, ROUND_HALF_EVEN, &raw.e9, &ignored) ||
      !int128_muldiv(per_raw.e9, QUANTITY_E9, base.e9, ROUND_HALF_EVEN, &per->e9, &ignored)) {
    return false;
  }
  *power = per->e9 % QUANTITY_E9 == 0 ? power_of_ten(per->e9 / QUANTITY_E9) : -1;
  *out = decimal_trim((struct decimal){raw.e9, 9 + (*power > 0 ? *power : 0)});
  return *power >= 0;
}

static bool by_unit(const struct focus_invoice *i, const struct json *line, const struct json *step, amount total,
                    struct focus_priced *p) {
  const struct json *price = json_get(step, "price");
  amount each;
  quantity per_raw, per;
  rate multiplier;
  int power;
  struct error ignored = {0};
  if (price == NULL || !amount_parse(json_text(price, "each"), &each, &ignored) || each.e12 < 0 ||
      !quantity_in(price, "per", QUANTITY_ONE, &per_raw) || !rate_in(step, "multiplier", &multiplier) ||
      multiplier.e12 < 0 || !units_of(line, step, per_raw, &p->quantity, &per, &power) ||
      !decimal_times(decimal_of_amount(each), decimal_trim((struct decimal){multiplier.e12, 12}), &p->contracted)) {
    return false;
  }
  p->unit = pricing_unit(i, line, power);
  p->list = list_price(i, line, per, multiplier, p->contracted);
  return wide_product(p->contracted, p->quantity, &p->contracted_cost) &&
         wide_product(p->list, p->quantity, &p->list_cost) && explains(p, total);
}

bool focus_price_step(const struct focus_invoice *i, const struct json *line, const struct json *step,
                      struct focus_priced *out, struct error *err) {
  amount total;
  if (!document_amount(step, "amount", &total, err)) {
    return false;
  }
  if (!by_unit(i, line, step, total, out)) {
    *out = focus_lump(total);
  }
  return true;
}
