/* Reads the meters: which events are counted, how, and by which dimensions. */
#include "catalog/private.h"

static const char *const aggregations[] = {"sum", "count", "max", "min", "latest", "unique", "integral", NULL};

/* `over`: how many seconds one unit of value x time lasts; a month is 730 hours. */
static const char *const spans[] = {"second", "minute", "hour", "day", "month", NULL};
static const char *const span_seconds[] = {"1", "60", "3600", "86400", "2628000"};
enum { SPAN_HOUR = 2 };

static quantity base_per_unit(struct loader *l, const struct yaml *map, enum aggregation aggregation) {
  quantity base = QUANTITY_ONE;
  struct error err;
  if (aggregation == AGG_INTEGRAL) {
    int span = choice_of(l, field(map, "over"), spans, SPAN_HOUR);
    must(quantity_parse(slice_of(span_seconds[span]), &base, &err));
  }
  return base;
}

/* Fields that the aggregation would never look at are mistakes, not decoration. */
static void refuse_idle_fields(struct loader *l, const struct yaml *map, enum aggregation aggregation) {
  const char *only_integral[] = {"over", "series"};
  for (size_t i = 0; i < 2 && aggregation != AGG_INTEGRAL; i++) {
    const struct yaml *node = field(map, only_integral[i]);
    if (node) {
      problem(l, node, "means something for aggregation: integral only, this meter's is %s", aggregations[aggregation]);
    }
  }
  const struct yaml *value = field(map, "value");
  if (value && aggregation == AGG_COUNT) {
    problem(l, value, "aggregation: count counts events and reads no value: leave it out, or use sum");
  }
}

static void read_dimensions(struct loader *l, const struct yaml *node, struct meter *out) {
  if (!node) {
    return;
  }
  struct map seen = {0};
  out->dimensions = names_of(l, node, CATALOG_DIMENSIONS_MAX, &out->dimension_count);
  for (size_t i = 0; i < out->dimension_count; i++) {
    must_be_new(l, &seen, out->dimensions[i], node, "dimension");
  }
  map_free(&seen);
}

static void read_filters(struct loader *l, const struct yaml *node, struct meter *out) {
  if (!node) {
    return;
  }
  if (node->kind != YAML_MAP || node->count > CATALOG_DIMENSIONS_MAX) {
    problem(l, node, "expected a map of up to %d fields, such as {status: ok}", CATALOG_DIMENSIONS_MAX);
    return;
  }
  struct filter *filters = arena_array(l->arena, node->count, sizeof *filters);
  for (const struct yaml *item = node->child; item; item = item->next) {
    struct filter *f = &filters[out->filter_count++];
    f->field = arena_copy(l->arena, item->key);
    f->values = names_of(l, item, VALUES_MAX, &f->count);
  }
  out->filters = filters;
}

static void read_optional(struct loader *l, const struct yaml *node, struct meter *out) {
  static const char *const answers[] = {"false", "true", NULL};
  out->optional = choice_of(l, node, answers, 0) == 1;
  if (out->optional && (out->aggregation == AGG_COUNT || out->aggregation == AGG_INTEGRAL)) {
    problem(l, node,
            "means something for meters that read a value of each event by itself, this one's aggregation is %s",
            aggregations[out->aggregation]);
  }
}

static void read_meter(struct loader *l, const struct yaml *map, struct meter *out) {
  static const char *const keys[] = {"name",       "event",  "value",   "aggregation", "over",     "unit", "series",
                                     "dimensions", "filter", "product", "optional",    "overlaps", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  const struct yaml *unit = field(map, "unit"), *product = field(map, "product");
  out->aggregation = (enum aggregation)choice_of(l, field(map, "aggregation"), aggregations, AGG_SUM);
  out->name = name_of(l, needed(l, map, "name", "prices refer to a meter by its name"));
  out->event_type = name_of(l, needed(l, map, "event", "the type of the events that feed this meter"));
  if (out->aggregation != AGG_COUNT) {
    out->value_field = name_of(l, needed(l, map, "value", "the field of the event that is metered"));
  }
  out->series_field = name_of(l, field(map, "series"));
  out->unit = unit ? name_of(l, unit) : SLICE("unit");
  out->product = product ? name_of(l, product) : out->name;
  out->base_per_unit = base_per_unit(l, map, out->aggregation);
  refuse_idle_fields(l, map, out->aggregation);
  read_dimensions(l, field(map, "dimensions"), out);
  read_filters(l, field(map, "filter"), out);
  read_optional(l, field(map, "optional"), out);
  if (field(map, "overlaps")) {
    out->overlaps = names_of(l, field(map, "overlaps"), CATALOG_METERS_PER_TYPE_MAX, &out->overlap_count);
  }
}

/* Once all meters are known by name. */
static void check_overlap_names(struct loader *l, const struct yaml *list, const struct meter *meter) {
  const struct catalog *c = l->catalog;
  for (size_t i = 0; i < meter->overlap_count; i++) {
    const struct meter *other = NULL;
    for (size_t m = 0; m < c->meter_count && !other; m++) {
      other = slice_eq(c->meters[m].name, meter->overlaps[i]) ? &c->meters[m] : NULL;
    }
    if (!other || other == meter) {
      problem(l, list, "there is no other meter \"%s\"%s", shown(l, meter->overlaps[i]),
              did_you_mean_any(l, meter->overlaps[i], meter_name_at, c->meters, c->meter_count));
    }
  }
}

static void check_type_limit(struct loader *l, struct map *per_type, slice event_type, const struct yaml *node) {
  void **slot = map_put(per_type, event_type);
  uintptr_t count = (uintptr_t)*slot + 1;
  *slot = (void *)count;
  if (count == CATALOG_METERS_PER_TYPE_MAX + 1) {
    problem(l, node, "more than %d meters count events of type \"%s\"", CATALOG_METERS_PER_TYPE_MAX,
            shown(l, event_type));
  }
}

void read_meters(struct loader *l) {
  size_t count = section_count(l, "meters", ENTRIES_MAX);
  struct meter *meters = arena_array(l->arena, count, sizeof *meters);
  struct section section = {.key = "meters"};
  struct map seen = {0}, per_type = {0};
  const struct yaml **nodes = arena_array(l->scratch, count, sizeof *nodes);
  for (size_t i = 0; i < count; i++) {
    const struct yaml *node = section_next(l, &section);
    nodes[i] = node;
    meters[i].index = (uint32_t)i;
    meters[i].place = place_of(l, node);
    read_meter(l, node, &meters[i]);
    must_be_new(l, &seen, meters[i].name, node, "meter");
    check_type_limit(l, &per_type, meters[i].event_type, node);
  }
  map_free(&seen);
  map_free(&per_type);
  l->catalog->meters = meters;
  l->catalog->meter_count = count;
  for (size_t i = 0; i < count; i++) {
    if (meters[i].overlap_count > 0) {
      check_overlap_names(l, field(nodes[i], "overlaps"), &meters[i]);
    }
  }
}

slice meter_name_at(const void *meters, size_t i) {
  return ((const struct meter *)meters)[i].name;
}

const struct meter *meter_named(struct loader *l, const struct yaml *node) {
  const struct catalog *c = l->catalog;
  if (!node || !scalar(l, node)) {
    return NULL;
  }
  const struct meter *meter = catalog_meter(c, slice_trim(node->text));
  if (!meter) {
    problem(l, node, "there is no meter \"%s\"%s", shown(l, node->text),
            did_you_mean_any(l, node->text, meter_name_at, c->meters, c->meter_count));
  }
  return meter;
}
