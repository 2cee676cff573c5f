/* Reads commitments to spend, and the minimum: how much, how often, paid when, and what holds beyond it. */
#include "catalog/private.h"

#include <string.h>

static const char *const shapes[] = {"prepaid", "postpaid", NULL};
static const char *const pers[] = {"term", "year", "quarter", "month", NULL};
static const char *const installments_names[] = {"once", "monthly", "quarterly", NULL};
static const struct { int64_t low, high; /* in percent */ } overage_range = {1, 1000};

const char *commitment_kind_name(enum commitment_kind kind) {
  return kind == COMMITMENT_SPEND ? "spend" : "minimum";
}

const char *commitment_shape_name(enum commitment_shape shape) {
  return shapes[shape];
}

const char *commitment_per_name(enum commitment_per per) {
  return pers[per];
}

const char *commitment_installments_name(enum commitment_installments installments) {
  return installments_names[installments];
}

/* Where a commitment is written, and what it may not leave: NULL for a plan. */
struct home {
  const struct contract *contract;
  const char *zone;
};

static void read_sum(struct loader *l, const struct yaml *map, struct commitment *out) {
  const struct yaml *sum = needed(l, map, "amount", "how much is committed to in each interval");
  if (amount_of(l, sum, &out->amount) && amount_is_zero(out->amount)) {
    problem(l, sum, "is 0: leave it out when nothing is committed to");
  }
}

static void read_products(struct loader *l, const struct yaml *map, struct commitment *out) {
  const struct yaml *products = field(map, "products");
  if (products && products->kind == YAML_LIST && products->count == 0) {
    problem(l, products, "is empty: no charge would count; leave it out for all");
  }
  if (products) {
    out->products = names_of(l, products, VALUES_MAX, &out->product_count);
  }
}

/* "10 %" of the amount, or an amount. */
static void read_roll_over(struct loader *l, const struct yaml *node, struct commitment *out) {
  if (node && scalar(l, node) && memchr(node->text.ptr, '%', node->text.len)) {
    rate_of(l, node, (rate){0}, RATE_ONE, &out->roll_share);
  } else {
    amount_of(l, node, &out->roll_amount);
  }
}

static void read_span(struct loader *l, const struct yaml *map, const struct home *home, struct commitment *out) {
  const struct contract *contract = home->contract;
  const struct yaml *from = field(map, "from"), *to = field(map, "to");
  char text[TIME_TEXT_MAX];
  instant_of(l, from, home->zone, &out->from);
  instant_of(l, to, home->zone, &out->to);
  if (out->to.ns <= out->from.ns) {
    problem(l, to ? to : map, "ends before it begins");
  } else if (contract && from && out->from.ns < contract->from.ns) {
    problem(l, from, "is before the contract, which begins %s", time_format(contract->from, text));
  } else if (contract && from && out->from.ns >= contract->to.ns) {
    problem(l, from, "is not before the end of the contract, %s", time_format(contract->to, text));
  } else if (contract && to && out->to.ns > contract->to.ns) {
    problem(l, to, "is after the contract, which ends %s: let the contract run as long",
            time_format(contract->to, text));
  }
}

static void read_prices_of(struct loader *l, const struct yaml *map, struct commitment *out) {
  const struct yaml *discount = field(map, "discount"), *overage = field(map, "overage");
  const rate low = {RATE_ONE.e12 * overage_range.low / 100}, high = {RATE_ONE.e12 * overage_range.high / 100};
  out->overage = RATE_ONE;
  if (rate_of(l, discount, (rate){0}, RATE_ONE, &out->discount) && out->discount.e12 == RATE_ONE.e12) {
    problem(l, discount, "is 100 %%: nothing would ever be drawn; expected less");
  }
  rate_of(l, overage, low, high, &out->overage);
}

static void read_commitment(struct loader *l, const struct yaml *map, const struct home *home, struct commitment *out) {
  static const char *const keys[] = {"name",    "product",   "amount",       "per",  "shape", "products", "discount",
                                     "overage", "roll_over", "installments", "from", "to",    NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *name = needed(l, map, "name", "it stands on the invoice and names its account");
  const struct yaml *product = field(map, "product"), *installments = field(map, "installments");
  out->name = name_of(l, name);
  out->product = product ? name_of(l, product) : SLICE("Commitment");
  if (out->name.len == 0) {
    return;
  }
  if (out->name.len > COMMITMENT_NAME_BYTES_MAX) {
    problem(l, name, "is longer than %d bytes", COMMITMENT_NAME_BYTES_MAX);
  } else if (name && (slice_is(out->name, "credit") || memchr(out->name.ptr, '/', out->name.len))) {
    problem(l, name, "names an account: it may not be \"credit\" nor hold a \"/\"");
  }
  read_sum(l, map, out);
  out->per = (enum commitment_per)choice_of(l, field(map, "per"), pers, COMMITMENT_TERM);
  out->shape = (enum commitment_shape)choice_of(l, field(map, "shape"), shapes, COMMITMENT_PREPAID);
  out->installments = (enum commitment_installments)choice_of(l, installments, installments_names, COMMITMENT_ONCE);
  if (installments && out->shape == COMMITMENT_POSTPAID) {
    problem(l, installments, "goes with shape: prepaid: a postpaid commitment is charged as it is used");
  }
  read_products(l, map, out);
  read_prices_of(l, map, out);
  read_roll_over(l, field(map, "roll_over"), out);
  read_span(l, map, home, out);
}

/* ---- minimum ---- */

static bool read_long_minimum(struct loader *l, const struct yaml *map, struct commitment *out) {
  static const char *const keys[] = {"amount", "per", "products", NULL};
  static const char *const every[] = {"year", "quarter", "month", NULL};
  static const enum commitment_per per[] = {COMMITMENT_YEAR, COMMITMENT_QUARTER, COMMITMENT_MONTH};
  if (!is_map_of(l, map, keys)) {
    return false;
  }
  out->kind = COMMITMENT_MINIMUM;
  out->name = SLICE("minimum spend");
  out->product = SLICE("minimum");
  out->shape = COMMITMENT_POSTPAID;
  out->overage = RATE_ONE;
  read_sum(l, map, out);
  out->per = per[choice_of(l, needed(l, map, "per", "quarter or year; a plain amount is of a month"), every, 0)];
  read_products(l, map, out);
  return true;
}

/* One of a quarter or year stands among the commitments; the plan then has a monthly one of nothing, which keeps a
 * contract's own instead of its plan's. */
static bool read_minimum(struct loader *l, const struct yaml *node, struct plan *out, struct commitment *commitment) {
  if (node && node->kind == YAML_MAP) {
    out->has_minimum = true;
    return read_long_minimum(l, node, commitment);
  }
  out->has_minimum = amount_of(l, node, &out->minimum);
  return false;
}

void read_commitments(struct loader *l, const struct yaml *map, const char *zone, const struct contract *contract,
                      struct plan *out) {
  const struct yaml *list = field(map, "commitments"), *minimum = field(map, "minimum");
  const struct home home = {contract, zone};
  size_t count = list_count(l, list, CATALOG_COVERS_MAX);
  struct commitment *items = arena_array(l->arena, count + 1, sizeof *items);
  struct map seen = {0};
  const struct yaml *item = count ? list->child : NULL;
  for (size_t i = 0; i < count; i++, item = item->next) {
    items[i] = (struct commitment){.to = INSTANT_MAX, .place = place_of(l, item)};
    read_commitment(l, item, &home, &items[i]);
    must_be_new(l, &seen, items[i].name, item, "commitment");
  }
  map_free(&seen);
  if (minimum) {
    items[count] = (struct commitment){.to = INSTANT_MAX, .place = place_of(l, minimum)};
  }
  if (read_minimum(l, minimum, out, &items[count])) {
    count++;
  }
  out->commitments = items;
  out->commitment_count = count;
}
