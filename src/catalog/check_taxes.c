/* What must hold of taxes before anything is invoiced: a rule for every customer, both numbers for reverse charge. */
#include "catalog/private.h"

static bool is_reverse_charge(const struct tax *tax) {
  return tax && slice_is(tax->category, "AE");
}

static void check_reverse_charge(struct loader *l, const struct yaml *node, const struct customer *customer,
                                 const struct tax *tax) {
  const struct seller *seller = catalog_seller(l->catalog, customer);
  if (is_reverse_charge(tax) && (customer->party.tax_id.len == 0 || seller->party.tax_id.len == 0)) {
    problem(l, node,
            "tax \"%s\" is reverse charge: it needs the tax_id of both, and the %s has none (or give the "
            "customer another \"tax\")",
            shown(l, tax->name), customer->party.tax_id.len == 0 ? "customer" : "seller");
  }
}

/* As of the latest members of the Union; what holds at a tax point is asked again when an invoice is made. */
void check_customer_tax(struct loader *l, const struct yaml *node, const struct customer *customer) {
  const struct catalog *c = l->catalog;
  slice country = customer->party.country;
  if (customer->tax || customer->untaxed || c->tax_rule_count == 0) {
    check_reverse_charge(l, node, customer, customer->tax);
    return;
  }
  if (country.len == 0) {
    problem(l, node, "\"country\" is missing: tax_rules go by it (or give the customer a \"tax\")");
    return;
  }
  if (country_in_eu(country, INSTANT_MAX) && customer->party.tax_id.len > 0 &&
      !tax_id_well_formed(country, customer->party.tax_id)) {
    problem(l, field(node, "tax_id"), "is \"%s\", which is no VAT number such as DE123456789 or NL123456789B01",
            shown(l, customer->party.tax_id));
  }
  for (size_t i = 0; i < c->tax_rule_count; i++) {
    const struct tax_rule *rule = &c->tax_rules[i];
    if (!tax_rule_takes(rule, customer, catalog_seller(c, customer), INSTANT_MAX)) {
      continue;
    }
    check_reverse_charge(l, node, customer, rule->tax);
    if (rule->product_count == 0) {
      return;
    }
  }
  problem(l, node,
          "no rule of tax_rules takes customer \"%s\" whatever it buys: add one, such as {customer: any, tax: export}, "
          "or give the customer a \"tax\"",
          shown(l, customer->id));
}

/* ---- products ---- */

static void add_terms(struct map *products, const struct plan *plan) {
  for (size_t i = 0; plan && i < plan->price_count; i++) {
    *map_put(products, plan->prices[i].product) = products;
  }
  for (size_t i = 0; plan && i < plan->fee_count; i++) {
    *map_put(products, plan->fees[i].product) = products;
  }
  for (size_t i = 0; plan && i < plan->cover_count; i++) {
    *map_put(products, plan->covers[i].product) = products;
  }
}

static void add_all(struct map *products, const struct catalog *c) {
  *map_put(products, SLICE("minimum")) = products; /* of true-ups */
  for (size_t i = 0; i < c->meter_count; i++) {
    *map_put(products, c->meters[i].product) = products;
  }
  for (size_t i = 0; i < c->plan_count; i++) {
    add_terms(products, &c->plans[i]);
  }
  for (size_t i = 0; i < c->customer_count; i++) {
    for (size_t k = 0; k < c->customers[i].contract_count; k++) {
      add_terms(products, c->customers[i].contracts[k].own);
    }
  }
}

static void check_tax_products(struct loader *l, const struct map *products) {
  struct section section = {.key = "tax_rules"};
  for (size_t i = 0; i < l->catalog->tax_rule_count; i++) {
    const struct tax_rule *rule = &l->catalog->tax_rules[i];
    const struct yaml *node = section_next(l, &section);
    for (size_t p = 0; p < rule->product_count; p++) {
      if (map_get(products, rule->products[p]) == NULL) {
        problem(l, field(node, "products"), "nothing is sold as product \"%s\"", shown(l, rule->products[p]));
      }
    }
  }
}

void check_products(struct loader *l) {
  struct map products = {0};
  add_all(&products, l->catalog);
  check_tax_products(l, &products);
  check_commitment_products(l, &products);
  map_free(&products);
}
