/* Finds things in a loaded catalog. Sorted lists are searched by halves; meters have tables. */
#include "catalog/private.h"

const char *price_model_name(enum price_model model) {
  static const char *const names[] = {"per_unit", "graduated", "volume", "package", "stairstep", "flat", "percentage"};
  must((size_t)model < sizeof names / sizeof *names);
  return names[model];
}

const struct customer *catalog_customer(const struct catalog *c, slice id) {
  size_t low = 0, high = c->customer_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = slice_cmp(c->customers[middle].id, id);
    if (order == 0) {
      return &c->customers[middle];
    }
    low = order < 0 ? middle + 1 : low;
    high = order < 0 ? high : middle;
  }
  return NULL;
}

/* How many plans come before the version of `name` that begins at `t`. */
static size_t plans_before(const struct catalog *c, slice name, instant t) {
  size_t low = 0, high = c->plan_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = slice_cmp(c->plans[middle].name, name);
    if (order < 0 || (order == 0 && c->plans[middle].valid_from.ns < t.ns)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

const struct plan *first_version(const struct catalog *c, slice name) {
  size_t at = plans_before(c, name, (instant){INT64_MIN});
  return at < c->plan_count && slice_eq(c->plans[at].name, name) ? &c->plans[at] : NULL;
}

const struct plan *catalog_plan_at(const struct catalog *c, slice name, instant t) {
  size_t after = t.ns == INT64_MAX ? plans_before(c, name, t) : plans_before(c, name, (instant){t.ns + 1});
  return after > 0 && slice_eq(c->plans[after - 1].name, name) ? &c->plans[after - 1] : NULL;
}

/* ---- what holds for a customer ---- */

const struct contract *catalog_contract_at(const struct customer *customer, instant t) {
  for (size_t i = 0; i < customer->contract_count; i++) {
    if (t.ns >= customer->contracts[i].from.ns && t.ns < customer->contracts[i].to.ns) {
      return &customer->contracts[i];
    }
  }
  return NULL;
}

const struct plan *catalog_customer_plan(const struct catalog *c, const struct customer *customer, instant t) {
  const struct contract *contract = catalog_contract_at(customer, t);
  return contract ? catalog_plan_at(c, contract->plan_name, t) : NULL;
}

static int64_t first_said(int64_t own, int64_t of_plan) {
  return own > 0 ? own : of_plan;
}

struct call_limits catalog_call_limits(const struct catalog *c, const struct customer *customer, instant t) {
  const struct plan *plan = catalog_customer_plan(c, customer, t);
  const struct call_limits own = customer->call_limits, theirs = plan ? plan->call_limits : (struct call_limits){0};
  return (struct call_limits){.requests_a_minute = first_said(own.requests_a_minute, theirs.requests_a_minute),
                              .tokens_a_minute = first_said(own.tokens_a_minute, theirs.tokens_a_minute),
                              .concurrency = first_said(own.concurrency, theirs.concurrency)};
}

const struct model *catalog_model(const struct catalog *c, slice name) {
  size_t low = 0, high = c->model_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = slice_cmp(c->models[middle].name, name);
    if (order == 0) {
      return &c->models[middle];
    }
    low = order < 0 ? middle + 1 : low;
    high = order < 0 ? high : middle;
  }
  return NULL;
}

/* ---- meters ---- */

static struct type_meters *type_of(struct catalog_index *index, slice event_type) {
  void **slot = map_put(&index->types, event_type);
  if (!*slot) {
    *slot = arena_alloc(index->arena, sizeof(struct type_meters));
  }
  return *slot;
}

/* Counts first and fills then, so that each type gets a list of its size. */
static void index_types(const struct catalog *c, struct catalog_index *index) {
  for (size_t i = 0; i < c->meter_count; i++) {
    type_of(index, c->meters[i].event_type)->count++;
  }
  for (size_t i = 0; i < c->meter_count; i++) {
    struct type_meters *type = type_of(index, c->meters[i].event_type);
    if (!type->items) {
      type->items = arena_array(index->arena, type->count, sizeof(const struct meter *));
      type->count = 0;
    }
    type->items[type->count++] = &c->meters[i];
  }
}

void catalog_index_build(struct catalog *catalog, struct catalog_index *index) {
  for (size_t i = 0; i < catalog->meter_count; i++) {
    *map_put(&index->meters, catalog->meters[i].name) = (void *)(uintptr_t)&catalog->meters[i];
  }
  index_types(catalog, index);
  catalog->index = index;
}

const struct meter *catalog_meter(const struct catalog *c, slice name) {
  if (c->index) {
    return map_get(&c->index->meters, name);
  }
  for (size_t i = 0; i < c->meter_count; i++) {
    if (slice_eq(c->meters[i].name, name)) {
      return &c->meters[i];
    }
  }
  return NULL;
}

size_t catalog_meters_of_type(const struct catalog *c, slice event_type, const struct meter **out, size_t max) {
  size_t count = 0;
  if (c->index) {
    const struct type_meters *type = map_get(&c->index->types, event_type);
    for (; type && count < type->count && count < max; count++) {
      out[count] = type->items[count];
    }
    return count;
  }
  for (size_t i = 0; i < c->meter_count && count < max; i++) {
    if (slice_eq(c->meters[i].event_type, event_type)) {
      out[count++] = &c->meters[i];
    }
  }
  return count;
}

bool match_all(const struct match *matches, size_t count, const slice *dimensions) {
  for (size_t i = 0; i < count; i++) {
    bool found = false;
    for (size_t v = 0; v < matches[i].count && !found; v++) {
      found = slice_eq(matches[i].values[v], dimensions[matches[i].dimension]);
    }
    if (!found) {
      return false;
    }
  }
  return true;
}
