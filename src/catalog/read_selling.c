/* Reads how a pool is sold: by which classes, in which parts, what of it is not for sale, and who delivers it. */
#include "catalog/private.h"

#define NODE_GPUS_MAX 1024
#define CLASS_TIME_MAX_MS (24 * INT64_C(3600) * 1000)

static const char *const class_names[POOL_CLASSES + 1] = {"on_demand", "reserved", "priority", "spot", NULL};
static const char *const engine_names[] = {"none", "slurm", "local", NULL};

const char *pool_class_name(enum pool_class class) {
  must(class < POOL_CLASSES);
  return class_names[class];
}

const char *pool_engine_name(enum pool_engine engine) {
  must(engine <= POOL_ENGINE_LOCAL);
  return engine_names[engine];
}

static void read_node(struct loader *l, const struct yaml *map, struct pool *out) {
  static const char *const keys[] = {"gpus", NULL};
  if (map && is_map_of(l, map, keys)) {
    out->node_gpus = integer_of(l, needed(l, map, "gpus", "how many GPUs a node has"), 1, NODE_GPUS_MAX, 0);
  }
}

static bool has_share(const struct pool *pool, quantity share) {
  for (size_t i = 0; i < pool->share_count; i++) {
    if (quantity_cmp(pool->shares[i], share) == 0) {
      return true;
    }
  }
  return false;
}

static void read_shares(struct loader *l, const struct yaml *list, struct pool *out) {
  static const quantity whole[] = {{QUANTITY_E9}};
  out->shares = whole;
  out->share_count = 1;
  if (!list) {
    return;
  }
  quantity *shares = arena_array(l->arena, list_count(l, list, POOL_SHARES_MAX), sizeof *shares);
  out->shares = shares;
  out->share_count = 0;
  for (const struct yaml *item = list->child; item && out->share_count < POOL_SHARES_MAX; item = item->next) {
    quantity share;
    if (!quantity_of(l, item, &share)) {
      continue;
    }
    if (quantity_cmp(share, QUANTITY_ONE) > 0) {
      problem(l, item, "is a share of one unit: expected 1, or less such as 0.5");
    } else if (has_share(out, share)) {
      problem(l, item, "is there twice");
    } else {
      shares[out->share_count++] = share;
    }
  }
  if (out->share_count == 0 && list->kind == YAML_LIST && list->count == 0) {
    problem(l, list, "names no share: leave it out to sell whole units");
  }
}

static void at_most_the_pool(struct loader *l, const struct yaml *node, quantity units, const struct pool *pool) {
  char text[DECIMAL_TEXT_MAX];
  if (quantity_cmp(units, pool->count) > 0) {
    problem(l, node, "is more than the pool has: %s", quantity_text(pool->count, text));
  }
}

static void read_maintenance(struct loader *l, const struct yaml *map, const struct pool *pool,
                             struct maintenance *out) {
  static const char *const keys[] = {"from", "to", "count", "note", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const char *zone = l->catalog->time_zone;
  const struct yaml *to = needed(l, map, "to", "when the units are back");
  bool both = instant_of(l, needed(l, map, "from", "when the units are taken out"), zone, &out->from);
  both = instant_of(l, to, zone, &out->to) && both;
  if (both && out->from.ns >= out->to.ns) {
    problem(l, to, "should be after \"from\"");
  }
  const struct yaml *count = needed(l, map, "count", "how many units are taken out");
  if (quantity_of(l, count, &out->units)) {
    at_most_the_pool(l, count, out->units, pool);
  }
  out->note = text_of(l, field(map, "note"));
}

static void read_maintenances(struct loader *l, const struct yaml *list, struct pool *out) {
  size_t count = list_count(l, list, POOL_MAINTENANCE_MAX);
  struct maintenance *windows = arena_array(l->arena, count, sizeof *windows);
  const struct yaml *item = count > 0 ? list->child : NULL;
  for (size_t i = 0; i < count && item; i++, item = item->next) {
    read_maintenance(l, item, out, &windows[i]);
  }
  out->maintenance = windows;
  out->maintenance_count = count;
}

static void read_spans(struct loader *l, const struct yaml *list, struct class_terms *out) {
  size_t count = list_count(l, list, POOL_TERMS_MAX);
  struct time_span *terms = arena_array(l->arena, count, sizeof *terms);
  struct error err;
  const struct yaml *item = count > 0 ? list->child : NULL;
  for (size_t i = 0; i < count && item; i++, item = item->next) {
    if (scalar(l, item) && !time_parse_span(slice_trim(item->text), &terms[i], &err)) {
      problem(l, item, "%s", err.message);
    }
  }
  out->terms = terms;
  out->term_count = count;
}

static int64_t seconds_of(struct loader *l, const struct yaml *node, int64_t low_s, int64_t otherwise_s) {
  int64_t ms = duration_ms_of(l, node, low_s * 1000, CLASS_TIME_MAX_MS, otherwise_s * 1000);
  if (ms % 1000 != 0) {
    problem(l, node, "expected whole seconds, such as 30 s");
  }
  return ms / 1000;
}

static void read_class(struct loader *l, const struct yaml *map, enum pool_class class, struct class_terms *out) {
  static const char *const keys[] = {"minimum", "increment", NULL};
  static const char *const reserved[] = {"minimum", "increment", "terms", NULL};
  static const char *const spot[] = {"minimum", "increment", "notice", "reserve", NULL};
  if (!is_map_of(l, map, class == POOL_RESERVED ? reserved : class == POOL_SPOT ? spot : keys)) {
    return;
  }
  out->sold = true;
  out->minimum_s = seconds_of(l, field(map, "minimum"), 0, 0);
  out->increment_s = seconds_of(l, field(map, "increment"), 1, 1);
  if (class == POOL_RESERVED) {
    read_spans(l, needed(l, map, "terms", "for how long it is reserved, such as [1 month, 1 year]"), out);
  }
  out->notice_s = seconds_of(l, field(map, "notice"), 0, 0);
  rate_of(l, field(map, "reserve"), (rate){0}, RATE_ONE, &out->reserve);
}

static void check_sold(struct loader *l, const struct yaml *classes, const struct pool *pool) {
  if (!pool->meter) {
    problem(l, classes, "needs a \"meter\" that what is sold is counted by");
  } else if (pool->meter->aggregation != AGG_INTEGRAL || pool->meter->series_field.len == 0) {
    problem(l, classes,
            "needs a meter that counts for how long something is held: \"%s\" should have the aggregation "
            "integral, and a \"series\"",
            shown(l, pool->meter->name));
  }
  if (pool->engine == POOL_ENGINE_NONE) {
    problem(l, classes, "needs an \"engine\" that delivers what is sold: slurm or local");
  }
}

static void read_classes(struct loader *l, const struct yaml *map, struct pool *out) {
  if (!map || !is_map_of(l, map, class_names)) {
    return;
  }
  for (int class = 0; class < POOL_CLASSES; class ++) {
    const struct yaml *one = field(map, class_names[class]);
    if (one) {
      read_class(l, one, (enum pool_class) class, &out->classes[class]);
      out->is_sold = true;
    }
  }
  check_sold(l, map, out);
}

void read_selling(struct loader *l, const struct yaml *map, struct pool *out) {
  const struct yaml *owner = field(map, "owner");
  read_node(l, field(map, "node"), out);
  read_shares(l, field(map, "shares"), out);
  if (quantity_of(l, owner, &out->owner)) {
    at_most_the_pool(l, owner, out->owner, out);
  }
  read_maintenances(l, field(map, "maintenance"), out);
  out->engine = (enum pool_engine)choice_of(l, field(map, "engine"), engine_names, POOL_ENGINE_NONE);
  read_classes(l, field(map, "classes"), out);
}
