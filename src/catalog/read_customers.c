/* Reads the customers and their contracts: who buys on which plan, from when to when, and on which terms of their own.
 */
#include "catalog/private.h"

#include <stdlib.h>

slice tax_name_at(const void *taxes, size_t i) {
  return ((const struct tax *)taxes)[i].name;
}

static const struct tax *tax_named(struct loader *l, const struct map *taxes, const struct yaml *node) {
  if (!node || !scalar(l, node)) {
    return NULL;
  }
  const struct tax *tax = map_get(taxes, slice_trim(node->text));
  if (!tax) {
    problem(l, node, "there is no tax \"%s\"%s", shown(l, node->text),
            did_you_mean_any(l, node->text, tax_name_at, l->catalog->taxes, l->catalog->tax_count));
  }
  return tax;
}

/* ---- contracts ---- */

static const struct plan *plan_named(struct loader *l, const struct yaml *node, const struct customer *customer) {
  const struct catalog *c = l->catalog;
  if (!node || !scalar(l, node)) {
    return NULL;
  }
  const struct plan *plan = first_version(c, slice_trim(node->text));
  if (!plan) {
    problem(l, node, "there is no plan \"%s\"%s", shown(l, node->text),
            did_you_mean_any(l, node->text, plan_name_at, c->plans, c->plan_count));
  } else if (plan->currency != customer->currency && !any_exchange_rate(c, plan->currency, customer->currency)) {
    problem(l, node,
            "plan \"%s\" is in %s but the customer pays in %s: both must be the same, or exchange_rates must hold a "
            "rate from %s to %s",
            shown(l, plan->name), plan->currency->code, customer->currency->code, plan->currency->code,
            customer->currency->code);
  }
  return plan;
}

/* Dates count in the customer's time zone, in which the customer is billed. */
static void read_term(struct loader *l, const struct yaml *map, const char *from_key, const struct plan *first,
                      const struct customer *customer, struct contract *out) {
  const struct yaml *from = field(map, from_key), *to = field(map, "to");
  char text[TIME_TEXT_MAX];
  out->from = first ? first->valid_from : (instant){0};
  out->to = INSTANT_MAX;
  bool has_from = instant_of(l, from, customer->time_zone, &out->from);
  instant_of(l, to, customer->time_zone, &out->to);
  if (has_from && first && out->from.ns < first->valid_from.ns) {
    problem(l, from,
            "plan \"%s\" is valid from %s only (%s:%d): begin the contract then, or leave the plan's first "
            "valid_from out",
            shown(l, first->name), time_format(first->valid_from, text), first->place.file, first->place.line);
  }
  if (out->to.ns <= out->from.ns) {
    problem(l, to ? to : map, "the contract ends before it begins");
  }
}

static const struct plan *own_terms(struct loader *l, const struct yaml *map, const struct contract *contract,
                                    const struct plan *first, const struct customer *customer) {
  if (!field(map, "prices") && !field(map, "fees") && !field(map, "allowances") && !field(map, "minimum")) {
    return NULL;
  }
  struct plan *own = arena_alloc(l->arena, sizeof *own);
  own->name = contract->plan_name;
  own->title = first ? first->title : contract->plan_name;
  own->valid_from = contract->from;
  own->currency = first ? first->currency : customer->currency;
  own->place = contract->place;
  read_terms(l, map, own);
  return own;
}

static void read_contract(struct loader *l, const struct yaml *map, const struct customer *customer,
                          struct contract *out) {
  static const char *const keys[] = {"plan", "from", "to", TERMS_KEYS, NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct plan *first = plan_named(l, needed(l, map, "plan", "which prices hold"), customer);
  out->plan_name = first ? first->name : (slice){0};
  read_term(l, map, "from", first, customer, out);
  out->own = own_terms(l, map, out, first, customer);
}

struct read_contract {
  struct contract contract;
  const struct yaml *node;
};

static int compare_contracts(const void *a, const void *b) {
  const struct read_contract *x = a, *y = b;
  int order = (x->contract.from.ns > y->contract.from.ns) - (x->contract.from.ns < y->contract.from.ns);
  return order != 0 ? order : (x->node->line > y->node->line) - (x->node->line < y->node->line);
}

static void read_contracts(struct loader *l, const struct yaml *list, struct customer *out) {
  size_t count = list_count(l, list, CONTRACTS_MAX);
  struct read_contract *read = arena_array(l->scratch, count, sizeof *read);
  struct contract *contracts = arena_array(l->arena, count, sizeof *contracts);
  const struct yaml *item = count ? list->child : NULL;
  for (size_t i = 0; i < count; i++, item = item->next) {
    read[i].node = item;
    read[i].contract.place = place_of(l, item);
    read_contract(l, item, out, &read[i].contract);
  }
  if (count > 0) {
    qsort(read, count, sizeof *read, compare_contracts);
  }
  for (size_t i = 0; i < count; i++) {
    contracts[i] = read[i].contract;
    if (i > 0 && contracts[i - 1].to.ns > contracts[i].from.ns) {
      problem(l, read[i].node, "overlaps the contract on line %d: end that one where this one begins",
              contracts[i - 1].place.line);
    }
  }
  out->contracts = contracts;
  out->contract_count = count;
}

/* `plan: on-demand` and `since:` say in short what a list of one contract says. */
static void read_short_contract(struct loader *l, const struct yaml *map, struct customer *out) {
  const struct yaml *plan = field(map, "plan"), *since = field(map, "since");
  if (!plan) {
    if (since) {
      problem(l, since, "goes with the short form \"plan:\"; in a list of contracts each has its own \"from\"");
    }
    return;
  }
  struct contract *contract = arena_alloc(l->arena, sizeof *contract);
  const struct plan *first = plan_named(l, plan, out);
  contract->place = place_of(l, plan);
  contract->plan_name = first ? first->name : (slice){0};
  read_term(l, map, "since", first, out, contract);
  out->contracts = contract;
  out->contract_count = 1;
}

/* ---- customers ---- */

static void read_customer(struct loader *l, const struct yaml *map, const struct map *taxes, struct customer *out) {
  static const char *const keys[] = {"id",           "name",      "address",   "country",      "email",     "tax_id",
                                     "registration", "tax",       "group",     "currency",     "time_zone", "plan",
                                     "since",        "contracts", "reference", "payment_days", WATCH_KEYS,  NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *contracts = field(map, "contracts"), *plan = field(map, "plan");
  out->id = name_of(l, needed(l, map, "id", "the subject of the customer's events"));
  party_of(l, map, &out->party);
  if (out->party.name.len == 0) {
    out->party.name = out->id;
  }
  out->group = name_of(l, field(map, "group"));
  out->currency = currency_of(l, field(map, "currency"), l->catalog->currency);
  out->time_zone = zone_of(l, field(map, "time_zone"), l->catalog->time_zone);
  out->tax = tax_named(l, taxes, field(map, "tax"));
  out->payment_days = integer_of(l, field(map, "payment_days"), 0, 365, 30);
  out->reference = name_of(l, field(map, "reference"));
  read_watches(l, map, &out->watches);
  if (plan && contracts) {
    problem(l, contracts, "the customer has \"plan\" on line %d as well: keep one of the two forms", plan->line);
  } else if (contracts) {
    read_contracts(l, contracts, out);
  }
  if (!contracts || plan) {
    read_short_contract(l, map, out);
  }
}

static int compare_customers(const void *a, const void *b) {
  return slice_cmp(((const struct customer *)a)->id, ((const struct customer *)b)->id);
}

static void index_taxes(const struct catalog *c, struct map *taxes) {
  for (size_t i = 0; i < c->tax_count; i++) {
    *map_put(taxes, c->taxes[i].name) = (void *)(uintptr_t)&c->taxes[i];
  }
}

void read_customers(struct loader *l) {
  size_t count = section_count(l, "customers", CUSTOMERS_MAX);
  struct customer *customers = arena_array(l->arena, count, sizeof *customers);
  struct section section = {.key = "customers"};
  struct map seen = {0}, taxes = {0};
  index_taxes(l->catalog, &taxes);
  for (size_t i = 0; i < count; i++) {
    const struct yaml *node = section_next(l, &section);
    customers[i].place = place_of(l, node);
    read_customer(l, node, &taxes, &customers[i]);
    must_be_new(l, &seen, customers[i].id, node, "customer");
  }
  map_free(&seen);
  map_free(&taxes);
  if (count > 0) {
    qsort(customers, count, sizeof *customers, compare_customers);
  }
  for (size_t i = 0; i < count; i++) {
    customers[i].index = (uint32_t)i;
  }
  l->catalog->customers = customers;
  l->catalog->customer_count = count;
}
