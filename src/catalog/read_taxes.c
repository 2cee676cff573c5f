/* Reads the taxes, with their dated rates, and the rules that say which of them a customer pays. */
#include "catalog/private.h"

#include <stdlib.h>

#define DATED_RATES_MAX 100
#define RULES_MAX 1000

static const char *const categories[] = {"S", "Z", "E", "AE", "G", "O", NULL};

slice tax_name_at(const void *taxes, size_t i) {
  return ((const struct tax *)taxes)[i].name;
}

const struct tax *tax_named(struct loader *l, const struct yaml *node) {
  if (!node || !scalar(l, node) || slice_is(slice_trim(node->text), NO_TAX)) {
    return NULL;
  }
  const struct tax *tax = map_get(&l->taxes, slice_trim(node->text));
  if (!tax) {
    problem(l, node, "there is no tax \"%s\"%s", shown(l, node->text),
            did_you_mean_any(l, node->text, tax_name_at, l->catalog->taxes, l->catalog->tax_count));
  }
  return tax;
}

/* ---- taxes ---- */

static int by_date(const void *a, const void *b) {
  const struct dated_rate *x = a, *y = b;
  return (x->from.ns > y->from.ns) - (x->from.ns < y->from.ns);
}

static void check_rate(struct loader *l, const struct yaml *node, int category, rate r) {
  if ((category == 0) != (r.e12 > 0)) {
    problem(l, node,
            "category %s %s (EN 16931: S standard, Z zero, E exempt, AE reverse charge, "
            "G export, O out of scope)",
            categories[category], category == 0 ? "needs a rate above 0" : "needs a rate of 0");
  }
}

static void read_rates(struct loader *l, const struct yaml *list, int category, struct tax *out) {
  static const char *const keys[] = {"from", "rate", NULL};
  size_t count = list_count(l, list, DATED_RATES_MAX);
  struct dated_rate *rates = arena_array(l->arena, count, sizeof *rates);
  const struct yaml *item = list->child;
  for (size_t i = 0; i < count; i++, item = item->next) {
    rates[i].from.ns = INT64_MIN;
    if (is_map_of(l, item, keys)) {
      instant_of(l, field(item, "from"), l->catalog->time_zone, &rates[i].from);
      if (rate_of(l, needed(l, item, "rate", "such as 21 % or 0.21"), (rate){0}, RATE_ONE, &rates[i].rate)) {
        check_rate(l, item, category, rates[i].rate);
      }
    }
  }
  if (count == 0) {
    problem(l, list, "expected a list such as [{rate: 19 %%}, {from: 2027-01-01, rate: 20 %%}]");
    return;
  }
  qsort(rates, count, sizeof *rates, by_date);
  for (size_t i = 1; i < count; i++) {
    if (rates[i].from.ns == rates[i - 1].from.ns) {
      problem(l, list, "two rates begin at the same time: give each but the first a \"from\" of its own");
    }
  }
  out->rates = rates;
  out->rate_count = count;
  out->rate = rates[count - 1].rate;
}

static void read_tax(struct loader *l, const struct yaml *map, struct tax *out) {
  static const char *const keys[] = {"name", "label", "rate", "rates", "category", "note", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *category = field(map, "category"), *rates = field(map, "rates");
  const struct yaml *label = field(map, "label");
  out->name = name_of(l, needed(l, map, "name", "customers refer to a tax by its name"));
  out->label = label ? name_of(l, label) : out->name;
  int choice = choice_of(l, category, categories, 0);
  out->category = slice_of(categories[choice]);
  out->note = text_of(l, field(map, "note"));
  if (slice_is(out->name, NO_TAX)) {
    problem(l, map, "\"%s\" is what a customer without tax says: give the tax another name", NO_TAX);
  }
  if (rates && field(map, "rate")) {
    problem(l, rates, "the tax has \"rate\" as well: keep one of the two");
  } else if (rates) {
    read_rates(l, rates, choice, out);
  } else if (rate_of(l, needed(l, map, "rate", "such as 21 % or 0.21"), (rate){0}, RATE_ONE, &out->rate)) {
    check_rate(l, category ? category : map, choice, out->rate);
  }
}

void read_taxes(struct loader *l) {
  size_t count = section_count(l, "taxes", ENTRIES_MAX);
  struct tax *taxes = arena_array(l->arena, count, sizeof *taxes);
  struct section section = {.key = "taxes"};
  struct map seen = {0};
  for (size_t i = 0; i < count; i++) {
    const struct yaml *node = section_next(l, &section);
    taxes[i].place = place_of(l, node);
    read_tax(l, node, &taxes[i]);
    must_be_new(l, &seen, taxes[i].name, node, "tax");
    *map_put(&l->taxes, taxes[i].name) = &taxes[i];
  }
  map_free(&seen);
  l->catalog->taxes = taxes;
  l->catalog->tax_count = count;
}

const struct tax *exemption_of(struct loader *l, const struct yaml *map) {
  static const char *const keys[] = {"reason", "certificate", NULL};
  struct tax *out = arena_alloc(l->arena, sizeof *out);
  *out = (struct tax){.name = SLICE("exempt"), .label = SLICE("Exempt"), .category = SLICE("E")};
  out->place = place_of(l, map);
  if (!is_map_of(l, map, keys)) {
    return out;
  }
  slice reason = name_of(l, needed(l, map, "reason", "it stands on the invoice: why there is no tax"));
  slice certificate = name_of(l, field(map, "certificate"));
  out->note = certificate.len == 0 ? reason
                                   : slice_of(arena_printf(l->arena, SLICE_FMT " (certificate " SLICE_FMT ")",
                                                           SLICE_ARG(reason), SLICE_ARG(certificate)));
  return out;
}

/* ---- rules ---- */

static bool is_code(slice text) {
  return text.len == 2 && text.ptr[0] >= 'A' && text.ptr[0] <= 'Z' && text.ptr[1] >= 'A' && text.ptr[1] <= 'Z';
}

/* Codes are kept; "EU" and "any" are said by flags of their own. */
static void territory_of(struct loader *l, const struct yaml *node, struct territory *out) {
  size_t count;
  if (!node) {
    out->any = true;
    return;
  }
  const slice *names = names_of(l, node, VALUES_MAX, &count);
  slice *codes = arena_array(l->arena, count, sizeof *codes);
  for (size_t i = 0; i < count; i++) {
    if (slice_is(names[i], "any")) {
      out->any = true;
    } else if (slice_is(names[i], "EU")) {
      out->eu = true;
    } else if (is_code(names[i])) {
      codes[out->count++] = names[i];
    } else {
      problem(l, node, "is \"%s\", expected two capital letters as of ISO 3166, such as NL, or EU, or any",
              shown(l, names[i]));
    }
  }
  out->countries = codes;
}

static const slice *list_of(struct loader *l, const struct yaml *map, const char *key, size_t *count) {
  const struct yaml *node = field(map, key);
  *count = 0;
  return node ? names_of(l, node, VALUES_MAX, count) : NULL;
}

static void check_rule_sellers(struct loader *l, const struct yaml *node, const struct tax_rule *rule) {
  for (size_t i = 0; i < rule->seller_count; i++) {
    if (map_get(&l->sellers, rule->sellers[i]) == NULL) {
      problem(l, node, "there is no seller with the id \"%s\"%s", shown(l, rule->sellers[i]),
              did_you_mean_any(l, rule->sellers[i], seller_id_at, l->catalog->sellers, l->catalog->seller_count));
    }
  }
}

static void read_rule(struct loader *l, const struct yaml *map, struct tax_rule *out) {
  static const char *const keys[] = {"customer", "region",   "seller", "seller_country",
                                     "business", "products", "tax",    NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *business = field(map, "business");
  territory_of(l, needed(l, map, "customer", "a country such as NL, a list of them, EU, or any"), &out->customer);
  territory_of(l, field(map, "seller_country"), &out->seller_country);
  out->regions = list_of(l, map, "region", &out->region_count);
  out->sellers = list_of(l, map, "seller", &out->seller_count);
  out->products = list_of(l, map, "products", &out->product_count);
  check_rule_sellers(l, field(map, "seller"), out);
  if (business) {
    out->buyer = flag_of(l, business, false) ? TAX_BUYER_BUSINESS : TAX_BUYER_CONSUMER;
  }
  out->tax = tax_named(l, needed(l, map, "tax", "a name of \"taxes\", or none"));
}

void read_tax_rules(struct loader *l) {
  size_t count = section_count(l, "tax_rules", RULES_MAX);
  struct tax_rule *rules = arena_array(l->arena, count, sizeof *rules);
  struct section section = {.key = "tax_rules"};
  for (size_t i = 0; i < count; i++) {
    const struct yaml *node = section_next(l, &section);
    rules[i].place = place_of(l, node);
    read_rule(l, node, &rules[i]);
  }
  l->catalog->tax_rules = rules;
  l->catalog->tax_rule_count = count;
}
