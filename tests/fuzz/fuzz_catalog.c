/* Hostile bytes as a catalog: it is refused with a place, or it is whole and its look-ups hold together. */
#include "catalog/catalog.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Usage that a price names is taken by it or by one before it, with the index and without. */
static void check_reached(const struct plan *plan, const struct price_rule *p) {
  slice dimensions[CATALOG_DIMENSIONS_MAX] = {{0}};
  struct plan by_hand = *plan;
  by_hand.price_index = NULL;
  for (size_t m = 0; m < p->match_count; m++) {
    dimensions[p->matches[m].dimension] = p->matches[m].values[0];
  }
  const struct price_rule *found = catalog_price(plan, p->meter, dimensions);
  must(found != NULL && found <= p && found == catalog_price(&by_hand, p->meter, dimensions));
}

static void check_multipliers(const struct price_rule *p) {
  for (size_t i = 0; i < p->multiplier_count; i++) {
    const struct hours *h = p->multipliers[i].hours;
    must(!h || (h->from_minute >= 0 && h->from_minute < 1440 && h->to_minute >= 0 && h->to_minute <= 1440 &&
                h->from_minute != h->to_minute && h->days > 0 && h->days < 128 && h->time_zone != NULL));
  }
}

static void check_plan(const struct plan *plan) {
  for (size_t i = 0; i < plan->price_count; i++) {
    const struct price_rule *p = &plan->prices[i];
    must(p->meter != NULL && p->tier_count > 0 && p->tiers[p->tier_count - 1].last && p->name.len > 0);
    must(quantity_cmp(p->per, QUANTITY_ZERO) > 0 && p->index == i);
    check_reached(plan, p);
    check_multipliers(p);
    for (size_t t = 0; t < p->tier_count; t++) {
      must(amount_cmp(p->tiers[t].each, AMOUNT_ZERO) >= 0 && amount_cmp(p->tiers[t].flat, AMOUNT_ZERO) >= 0);
      must(t < 2 || p->tiers[t].last || quantity_cmp(p->tiers[t - 1].up_to, p->tiers[t].up_to) < 0);
    }
    for (size_t m = 0; m < p->match_count; m++) {
      must(p->matches[m].dimension < p->meter->dimension_count && p->matches[m].count > 0);
    }
  }
}

static void check_customer(const struct catalog *c, const struct customer *customer) {
  must(catalog_customer(c, customer->id) == customer && customer->currency != NULL && customer->time_zone != NULL);
  for (size_t i = 0; i < customer->contract_count; i++) {
    const struct contract *contract = &customer->contracts[i];
    const struct plan *plan = catalog_plan_at(c, contract->plan_name, contract->from);
    must(contract->from.ns < contract->to.ns);
    must(plan != NULL);
    must(plan->currency == customer->currency ||
         catalog_exchange_rate(c, plan->currency, customer->currency, INSTANT_MAX) != NULL);
    must(i == 0 || customer->contracts[i - 1].to.ns <= contract->from.ns);
    if (contract->own) {
      check_plan(contract->own);
    }
  }
}

static void check_gateway(const struct catalog *c) {
  for (size_t i = 0; i < c->upstream_count; i++) {
    const struct upstream *u = &c->upstreams[i];
    must(u->index == i && u->host.len > 0 && u->port > 0 && u->port <= 65535 && u->name.len > 0);
    must(u->timeout_s > 0 && u->connect_timeout_ms > 0 && (u->pool == NULL || u->units.e9 > 0));
    must(u->path.len == 0 || (u->path.ptr[0] == '/' && u->path.ptr[u->path.len - 1] != '/'));
  }
  for (size_t i = 0; i < c->model_count; i++) {
    const struct model *m = &c->models[i];
    must(catalog_model(c, m->name) == m && m->index == i && m->target_count > 0 && m->doors != 0);
    must((m->tiers & 1U << TIER_DEFAULT) != 0 && m->output_tokens_max > 0);
    for (size_t t = 0; t < m->target_count; t++) {
      must(m->targets[t].upstream != NULL && m->targets[t].model.len > 0 && m->targets[t].weight > 0);
    }
  }
}

static void check_catalog(const struct catalog *c) {
  const struct meter *fed[CATALOG_METERS_PER_TYPE_MAX];
  for (size_t i = 0; i < c->meter_count; i++) {
    must(catalog_meter(c, c->meters[i].name) == &c->meters[i]);
    must(catalog_meters_of_type(c, c->meters[i].event_type, fed, CATALOG_METERS_PER_TYPE_MAX) > 0);
  }
  for (size_t i = 0; i < c->plan_count; i++) {
    must(catalog_plan_at(c, c->plans[i].name, c->plans[i].valid_from) == &c->plans[i]);
    check_plan(&c->plans[i]);
  }
  check_gateway(c);
  for (size_t i = 0; i < c->customer_count; i++) {
    check_customer(c, &c->customers[i]);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct catalog_text text = {"fuzz.yaml", {(const char *)data, size}};
  struct catalog *catalog;
  struct error err = {0};
  if (catalog_parse(&text, 1, &catalog, &err)) {
    check_catalog(catalog);
  } else {
    must(catalog == NULL && err.code != ERR_NONE && strncmp(err.message, "fuzz.yaml", 9) == 0);
  }
  catalog_free(catalog);
  return 0;
}
