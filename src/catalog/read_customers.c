/* Reads the customers: who buys, where, in which currency, and when invoices are made. */
#include "catalog/private.h"

#include <stdlib.h>

/* ---- when invoices are made ---- */

static void read_billing(struct loader *l, const struct yaml *map, struct billing *out) {
  static const char *const keys[] = {"every", "day", "month", "grace_days", NULL};
  static const char *const every[] = {"month", "quarter", "year", NULL};
  *out = (struct billing){.day = 1, .month = 1};
  if (!map || !is_map_of(l, map, keys)) {
    return;
  }
  out->every = (enum cadence)choice_of(l, field(map, "every"), every, CADENCE_MONTH);
  out->day = integer_of(l, field(map, "day"), 1, 31, 1);
  out->month = integer_of(l, field(map, "month"), 1, 12, 1);
  out->grace_days = integer_of(l, field(map, "grace_days"), 0, 60, 0);
  if (out->every == CADENCE_MONTH && field(map, "month")) {
    problem(l, field(map, "month"), "has no meaning for every: month: it says in which month a quarter or year begins");
  }
}

/* ---- customers ---- */

/* Exempt, of a tax of its own, of none at all, or as the rules say. */
static void read_customer_tax(struct loader *l, const struct yaml *map, struct customer *out) {
  const struct yaml *tax = field(map, "tax"), *exempt = field(map, "tax_exempt");
  out->region = name_of(l, field(map, "region"));
  out->seller = seller_named(l, field(map, "seller"), map);
  if (tax && exempt) {
    problem(l, exempt, "the customer has \"tax\" on line %d as well: keep one of the two", tax->line);
  } else if (exempt) {
    out->tax = exemption_of(l, exempt);
  } else if (tax) {
    out->tax = tax_named(l, tax);
    out->untaxed = out->tax == NULL;
  }
  check_customer_tax(l, map, out);
}

static void read_customer(struct loader *l, const struct yaml *map, struct customer *out) {
  static const char *const keys[] = {"id",           "name",         "address",  "country",  "email",     "tax_id",
                                     "registration", "tax",          "group",    "currency", "time_zone", "contracts",
                                     "reference",    "payment_days", "billing",  "endpoint", "plan",      "since",
                                     "dunning",      "tax_exempt",   "region",   "seller",   "parent",    "pays",
                                     "calls",        "credit_line",  WATCH_KEYS, NULL};
  static const char *const on_or_off[] = {"true", "false", NULL};
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
  read_customer_tax(l, map, out);
  out->payment_days = integer_of(l, field(map, "payment_days"), 0, 365, 30);
  out->reference = name_of(l, field(map, "reference"));
  out->no_dunning = choice_of(l, field(map, "dunning"), on_or_off, 0) == 1;
  read_watches(l, map, &out->watches);
  read_call_limits(l, field(map, "calls"), &out->call_limits);
  read_credit_line(l, field(map, "credit_line"), out);
  read_billing(l, field(map, "billing"), &out->billing);
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

void read_customers(struct loader *l) {
  size_t count = section_count(l, "customers", CUSTOMERS_MAX);
  struct customer *customers = arena_array(l->arena, count, sizeof *customers);
  struct section section = {.key = "customers"};
  struct map seen = {0};
  for (size_t i = 0; i < count; i++) {
    const struct yaml *node = section_next(l, &section);
    customers[i].place = place_of(l, node);
    read_customer(l, node, &customers[i]);
    must_be_new(l, &seen, customers[i].id, node, "customer");
  }
  map_free(&seen);
  if (count > 0) {
    qsort(customers, count, sizeof *customers, compare_customers);
  }
  for (size_t i = 0; i < count; i++) {
    customers[i].index = (uint32_t)i;
  }
  read_parents(l, customers, count);
  l->catalog->customers = customers;
  l->catalog->customer_count = count;
}
