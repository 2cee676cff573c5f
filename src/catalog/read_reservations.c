/* Reads reservations and savings plans: what covers usage, for a fee that is due used or not, for how long, paid how.
 */
#include "catalog/private.h"

#define HOUR_S 3600

/* Where a cover is written: in a contract, whose span it must keep to, or (contract NULL) in a plan. */
struct cover_home {
  const struct contract *contract;
  const char *zone;
};

const char *cover_kind_name(enum cover_kind kind) {
  return kind == COVER_RESERVATION ? "reservation" : "savings_plan";
}

static const char *const payments[] = {"monthly", "upfront", "partial", NULL};

const char *cover_payment_name(enum cover_payment payment) {
  return payments[payment];
}

/* ---- the usage that is covered ---- */

/* Hours of these meters add up; the highest of a month, say, belongs to no hour that could be covered. */
static const struct meter *coverable_meter(struct loader *l, const struct yaml *node) {
  const struct meter *meter = meter_named(l, node);
  if (meter && meter->aggregation != AGG_SUM && meter->aggregation != AGG_COUNT && meter->aggregation != AGG_INTEGRAL) {
    problem(l, node, "meter \"%s\" can not be covered hour by hour: only sum, count and integral can",
            shown(l, meter->name));
  }
  return meter;
}

static void read_discount(struct loader *l, const struct yaml *node, rate *out) {
  if (rate_of(l, node, (rate){0}, RATE_ONE, out) && (out->e12 == 0 || out->e12 == RATE_ONE.e12)) {
    problem(l, node, "is %s: expected more than 0 and less than 100 %%", shown(l, node->text));
  }
}

static void read_cover_usage(struct loader *l, const struct yaml *map, const struct yaml *discount,
                             struct cover_usage *out) {
  static const char *const keys[] = {"meter", "match", "discount", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *own = field(map, "discount");
  out->meter = coverable_meter(l, needed(l, map, "meter", "which usage it covers"));
  out->matches = matches_of(l, field(map, "match"), out->meter, &out->match_count);
  read_discount(l,
                own        ? own
                : discount ? discount
                           : needed(l, map, "discount", "such as 28 % off the list price"),
                &out->discount);
}

static void must_hold_some(struct loader *l, const struct yaml *node) {
  if (node && node->kind == YAML_LIST && node->count == 0) {
    problem(l, node, "is empty: it would cover nothing");
  }
}

static const char *const either_usage = "name the usage either by \"meters\" or by \"covers\"";

static void read_meters_covered(struct loader *l, const struct yaml *map, struct cover *out) {
  const struct yaml *meters = field(map, "meters"), *discount = field(map, "discount");
  bool list = meters->kind == YAML_LIST;
  size_t count = list ? list_count(l, meters, VALUES_MAX) : 1;
  struct cover_usage *usage = arena_array(l->arena, count, sizeof *usage);
  rate off = {0};
  read_discount(l, discount ? discount : needed(l, map, "discount", "such as 28 % off the list price"), &off);
  must_hold_some(l, meters);
  const struct yaml *item = list ? meters->child : meters;
  for (size_t i = 0; i < count; i++, item = item->next) {
    usage[i] = (struct cover_usage){.meter = coverable_meter(l, item), .discount = off};
  }
  out->usage = usage;
  out->usage_count = count;
}

static void read_savings_usage(struct loader *l, const struct yaml *map, struct cover *out) {
  const struct yaml *covers = field(map, "covers");
  if (field(map, "meters")) {
    if (covers) {
      problem(l, covers, "%s, not by both", either_usage);
    }
    read_meters_covered(l, map, out);
    return;
  }
  if (!covers) {
    problem(l, map, "\"covers\" is missing: %s", either_usage);
  }
  must_hold_some(l, covers);
  size_t count = list_count(l, covers, VALUES_MAX);
  struct cover_usage *usage = arena_array(l->arena, count, sizeof *usage);
  const struct yaml *item = covers && count ? covers->child : NULL;
  for (size_t i = 0; i < count && item; i++, item = item->next) {
    read_cover_usage(l, item, field(map, "discount"), &usage[i]);
  }
  out->usage = usage;
  out->usage_count = count;
}

/* ---- its time ---- */

static void read_end(struct loader *l, const struct yaml *map, const struct cover_home *home, struct cover *out) {
  const struct yaml *to = field(map, "to"), *term = field(map, "term");
  struct error err;
  if (to && term) {
    problem(l, term, "\"to\" on line %d says when it ends as well: keep one of the two", to->line);
  } else if (term && !home->contract) {
    problem(l, term, "a term belongs to a contract: write it in the customer's contracts");
  } else if (term && out->from.ns == 0) {
    problem(l, term, "needs a \"from\" to count from, here or in the contract");
  } else if (term) {
    struct time_span length;
    if (scalar(l, term) && (!time_parse_span(slice_trim(term->text), &length, &err) ||
                            !time_add_span(out->from, length, home->zone, &out->to, &err))) {
      problem(l, term, "%s", err.message);
    }
  }
  instant_of(l, to, home->zone, &out->to);
}

static void read_span(struct loader *l, const struct yaml *map, const struct cover_home *home, struct cover *out) {
  const struct contract *contract = home->contract;
  const struct yaml *from = field(map, "from"), *to = field(map, "to");
  const struct yaml *end = to ? to : field(map, "term");
  char text[TIME_TEXT_MAX];
  out->from = contract ? contract->from : (instant){0};
  out->to = contract ? contract->to : INSTANT_MAX;
  instant_of(l, from, home->zone, &out->from);
  read_end(l, map, home, out);
  if (out->to.ns <= out->from.ns) {
    problem(l, end ? end : map, "ends before it begins");
  } else if (contract && out->from.ns < contract->from.ns) {
    problem(l, from, "is before the contract, which begins %s", time_format(contract->from, text));
  } else if (contract && out->to.ns > contract->to.ns) {
    problem(l, end ? end : map, "ends after the contract, which ends %s: let the contract run as long",
            time_format(contract->to, text));
  }
}

/* ---- its payment ---- */

static bool total_of(const struct cover *c, amount *out, struct error *err) {
  int128 per_ns = (int128)c->each_s * NS_PER_S * QUANTITY_E9;
  return int128_muldiv(c->each.e12, c->quantity.e9 * (c->to.ns - c->from.ns), per_ns, ROUND_HALF_EVEN, &out->e12, err);
}

static void check_upfront(struct loader *l, const struct yaml *node, const struct cover *c) {
  struct error err;
  amount total;
  char text[DECIMAL_TEXT_MAX];
  if (!total_of(c, &total, &err)) {
    problem(l, node, "%s", err.message);
  } else if (amount_cmp(c->upfront, total) > 0) {
    problem(l, node, "is more than the whole term costs, which is %s", amount_text(total, text));
  }
}

static void read_payment(struct loader *l, const struct yaml *map, const struct cover_home *home, struct cover *out) {
  const struct yaml *payment = field(map, "payment"), *upfront = field(map, "upfront");
  out->payment = (enum cover_payment)choice_of(l, payment, payments, COVER_MONTHLY);
  if (out->payment != COVER_PARTIAL) {
    if (upfront) {
      problem(l, upfront, "goes with \"payment: partial\": the part that is paid at the start");
    }
  } else {
    amount_of(l, needed(l, map, "upfront", "the part that is paid at the start"), &out->upfront);
  }
  if (out->payment == COVER_MONTHLY) {
    return;
  }
  if (!home->contract) {
    problem(l, payment, "only a contract can be paid upfront: write it in the customer's contracts");
  } else if (out->from.ns == 0 || out->to.ns == INSTANT_MAX.ns) {
    problem(l, payment, "needs a term that is paid for: say \"from\" and \"term\" or \"to\"");
  } else if (out->payment == COVER_PARTIAL && upfront && out->to.ns > out->from.ns) {
    check_upfront(l, upfront, out);
  }
}

/* ---- the two kinds ---- */

/* Beyond these the fee of a long term leaves 128 bits. */
static const quantity quantity_max = {(int128)1000000000 * 1000000000};

static void read_name(struct loader *l, const struct yaml *map, struct cover *out) {
  const struct yaml *product = field(map, "product");
  out->name = name_of(l, needed(l, map, "name", "it stands on the invoice"));
  out->product = product ? name_of(l, product) : out->name;
}

static void read_reservation(struct loader *l, const struct yaml *map, const struct cover_home *home,
                             struct cover *out) {
  static const char *const keys[] = {"name",    "product", "meter", "match", "quantity", "price",
                                     "payment", "upfront", "from",  "to",    "term",     NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  struct cover_usage *usage = arena_alloc(l->arena, sizeof *usage);
  const struct yaml *level = needed(l, map, "quantity", "how many are reserved, such as 64 GPUs");
  read_name(l, map, out);
  usage->meter = coverable_meter(l, needed(l, map, "meter", "which usage it covers"));
  usage->matches = matches_of(l, field(map, "match"), usage->meter, &usage->match_count);
  out->usage = usage;
  out->usage_count = 1;
  if (quantity_of(l, level, &out->quantity) && quantity_cmp(out->quantity, quantity_max) > 0) {
    problem(l, level, "is more than 1000000000");
    out->quantity = QUANTITY_ONE;
  }
  amount_of(l, needed(l, map, "price", "of one for each hour, used or not"), &out->each);
  if (usage->meter && usage->meter->aggregation == AGG_INTEGRAL) {
    out->each_s = (int64_t)(usage->meter->base_per_unit.e9 / QUANTITY_E9);
  }
  read_span(l, map, home, out);
  read_payment(l, map, home, out);
}

static void read_savings_plan(struct loader *l, const struct yaml *map, const struct cover_home *home,
                              struct cover *out) {
  static const char *const keys[] = {"name",    "product", "hourly", "discount", "meters", "covers",
                                     "payment", "upfront", "from",   "to",       "term",   NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  out->kind = COVER_SAVINGS_PLAN;
  out->quantity = QUANTITY_ONE;
  read_name(l, map, out);
  amount_of(l, needed(l, map, "hourly", "what is committed to each hour, used or not"), &out->each);
  read_savings_usage(l, map, out);
  read_span(l, map, home, out);
  read_payment(l, map, home, out);
}

typedef void read_one(struct loader *l, const struct yaml *map, const struct cover_home *home, struct cover *out);

static void read_list(struct loader *l, const struct yaml *list, size_t count, read_one *read,
                      const struct cover_home *home, struct map *seen, struct cover *out) {
  const struct yaml *item = count ? list->child : NULL;
  for (size_t i = 0; i < count; i++, item = item->next) {
    out[i] = (struct cover){.each_s = HOUR_S, .place = place_of(l, item)};
    read(l, item, home, &out[i]);
    must_be_new(l, seen, out[i].name, item, "reservation or savings plan");
  }
}

void read_covers(struct loader *l, const struct yaml *map, const char *zone, const struct contract *contract,
                 struct plan *out) {
  const struct yaml *reservations = field(map, "reservations"), *plans = field(map, "savings_plans");
  const struct cover_home home = {contract, zone};
  size_t reserved = list_count(l, reservations, CATALOG_COVERS_MAX);
  size_t planned = list_count(l, plans, CATALOG_COVERS_MAX);
  struct cover *covers = arena_array(l->arena, reserved + planned, sizeof *covers);
  struct map seen = {0};
  read_list(l, reservations, reserved, read_reservation, &home, &seen, covers);
  read_list(l, plans, planned, read_savings_plan, &home, &seen, covers + reserved);
  map_free(&seen);
  out->covers = covers;
  out->cover_count = reserved + planned;
}
