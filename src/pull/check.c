/* The targets file beside the catalog: rules that would feed nobody, or feed a meter with what it does not count. */
#include "pull/private.h"

struct checking {
  const struct catalog *catalog;
  told *note;
  void *context;
};

static bool counts_levels(enum aggregation a) {
  return a != AGG_SUM && a != AGG_COUNT;
}

static void check_meter(const struct checking *c, const struct pull_rule *rule, const struct meter *meter) {
  if (rule->gauge && !counts_levels(meter->aggregation)) {
    tell(c->note, c->context,
         "%s: a gauge gives levels, and meter " SLICE_FMT " would add them up: make it an integral, or max or latest",
         rule->metric.ptr, SLICE_ARG(meter->name));
  } else if (!rule->gauge && meter->aggregation == AGG_INTEGRAL) {
    tell(c->note, c->context,
         "%s: a counter gives increases, and meter " SLICE_FMT " takes them for levels: make it a sum",
         rule->metric.ptr, SLICE_ARG(meter->name));
  }
}

static void check_customer(const struct checking *c, const struct pull_rule *rule, slice customer) {
  if (customer.len > 0 && catalog_customer(c->catalog, customer) == NULL) {
    tell(c->note, c->context, "%s: customer " SLICE_FMT " is not in the catalog", rule->metric.ptr,
         SLICE_ARG(customer));
  }
}

static void check_rule(const struct checking *c, const struct pull_rule *rule) {
  const struct meter *meters[CATALOG_METERS_PER_TYPE_MAX];
  size_t count = catalog_meters_of_type(c->catalog, rule->type, meters, CATALOG_METERS_PER_TYPE_MAX);
  if (count == 0) {
    tell(c->note, c->context, "%s: no meter counts events of type " SLICE_FMT ": they are kept, and not billed",
         rule->metric.ptr, SLICE_ARG(rule->type));
  }
  for (size_t i = 0; i < count; i++) {
    check_meter(c, rule, meters[i]);
  }
  check_customer(c, rule, rule->customer);
  for (size_t i = 0; i < rule->table.capacity; i++) {
    if (rule->table.slots[i].hash != 0) {
      check_customer(c, rule, *(const slice *)rule->table.slots[i].value);
    }
  }
}

void pull_targets_check(const struct pull_targets *targets, const struct catalog *catalog, told *note, void *context) {
  struct checking c = {catalog, note, context};
  for (size_t list = 0; list < targets->made.count; list++) {
    for (size_t i = 0; i < targets->made_counts.items[list]; i++) {
      check_rule(&c, &targets->made.items[list][i]);
    }
  }
}
