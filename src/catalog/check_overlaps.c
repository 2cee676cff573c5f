/* Finds meters that count the same events by the same field and both have a price: usage would be billed twice. */
#include "catalog/private.h"

#define PAIRS_MAX 1000000 /* of prices looked at for two meters; beyond, they are taken to overlap */

static bool common_value(const slice *a, size_t a_count, const slice *b, size_t b_count) {
  for (size_t i = 0; i < a_count; i++) {
    for (size_t j = 0; j < b_count; j++) {
      if (slice_eq(a[i], b[j])) {
        return true;
      }
    }
  }
  return false;
}

static bool filters_meet(const struct meter *a, const struct meter *b) {
  for (size_t i = 0; i < a->filter_count; i++) {
    for (size_t j = 0; j < b->filter_count; j++) {
      const struct filter *x = &a->filters[i], *y = &b->filters[j];
      if (slice_eq(x->field, y->field) && !common_value(x->values, x->count, y->values, y->count)) {
        return false;
      }
    }
  }
  return true;
}

static bool says_so(const struct meter *a, const struct meter *b) {
  for (size_t i = 0; i < a->overlap_count; i++) {
    if (slice_eq(a->overlaps[i], b->name)) {
      return true;
    }
  }
  return false;
}

/* Do both count some event's same value, without saying that this is meant? */
static bool meters_overlap(const struct meter *a, const struct meter *b) {
  return a != b && a->aggregation == b->aggregation && slice_eq(a->event_type, b->event_type) &&
         slice_eq(a->value_field, b->value_field) && filters_meet(a, b) && !says_so(a, b) && !says_so(b, a);
}

/* A dimension is a field of the event, so what a price matches narrows it like a filter. */
static bool match_meets_filters(const struct price_rule *p, const struct meter *other) {
  for (size_t i = 0; i < p->match_count; i++) {
    for (size_t j = 0; j < other->filter_count; j++) {
      const struct match *m = &p->matches[i];
      const struct filter *f = &other->filters[j];
      if (slice_eq(p->meter->dimensions[m->dimension], f->field) &&
          !common_value(m->values, m->count, f->values, f->count)) {
        return false;
      }
    }
  }
  return true;
}

static bool is_free(const struct price_rule *p) {
  bool free_of_charge = !p->has_minimum || amount_is_zero(p->minimum);
  for (size_t i = 0; free_of_charge && i < p->tier_count; i++) {
    free_of_charge = amount_is_zero(p->tiers[i].each) && amount_is_zero(p->tiers[i].flat);
  }
  return free_of_charge;
}

static bool bill_the_same(const struct price_rule *a, const struct price_rule *b) {
  if (is_free(a) || is_free(b)) {
    return false;
  }
  for (size_t i = 0; i < a->match_count; i++) {
    for (size_t j = 0; j < b->match_count; j++) {
      const struct match *x = &a->matches[i], *y = &b->matches[j];
      if (slice_eq(a->meter->dimensions[x->dimension], b->meter->dimensions[y->dimension]) &&
          !common_value(x->values, x->count, y->values, y->count)) {
        return false;
      }
    }
  }
  return match_meets_filters(a, b->meter) && match_meets_filters(b, a->meter);
}

struct terms {
  const struct plan *plan;
  const struct meter_prices *prices;
};

static void refuse(struct loader *l, const struct price_rule *a, const struct price_rule *b) {
  struct error err;
  const struct price_rule *late = a->place.line > b->place.line ? a : b, *early = late == a ? b : a;
  (void)error_set(&err, ERR_INVALID,
                  "%s:%d: the price \"%s\" bills usage of \"%s\" on %s:%d again: meters \"%s\" and \"%s\" count the "
                  "same events; narrow a filter or a match, or write overlaps: [%s] at meter \"%s\" if this is meant",
                  late->place.file, late->place.line, shown(l, late->name), shown(l, early->name), early->place.file,
                  early->place.line, shown(l, early->meter->name), shown(l, late->meter->name),
                  shown(l, early->meter->name), shown(l, late->meter->name));
  problem_take(l, &err);
}

/* One problem for two meters is enough. */
static bool check_meters(struct loader *l, struct terms a, struct terms b) {
  bool too_many = b.prices->count > PAIRS_MAX / a.prices->count;
  for (size_t i = 0; i < a.prices->count; i++) {
    for (size_t j = 0; j < b.prices->count; j++) {
      const struct price_rule *x = &a.plan->prices[a.prices->prices[i]], *y = &b.plan->prices[b.prices->prices[j]];
      if (too_many || bill_the_same(x, y)) {
        refuse(l, x, y);
        return false;
      }
    }
  }
  return true;
}

/* Prices of `a` against those of `b`, which may be the same plan. */
static bool check_plans(struct loader *l, const struct plan *a, const struct plan *b) {
  const struct meter *fed[CATALOG_METERS_PER_TYPE_MAX];
  for (size_t i = 0; i < a->price_index->meter_count; i++) {
    const struct meter_prices *prices = &a->price_index->meters[i];
    size_t count = catalog_meters_of_type(l->catalog, prices->meter->event_type, fed, CATALOG_METERS_PER_TYPE_MAX);
    for (size_t f = 0; f < count; f++) {
      bool seen = a == b && fed[f]->index <= prices->meter->index;
      const struct meter_prices *others =
          !seen && meters_overlap(prices->meter, fed[f]) ? prices_of_meter(b->price_index, fed[f]) : NULL;
      if (others && !check_meters(l, (struct terms){a, prices}, (struct terms){b, others})) {
        return false;
      }
    }
  }
  return true;
}

/* All versions of one plan against all of another. */
static bool check_versions(struct loader *l, const struct plan *own, slice name) {
  const struct plan *end = l->catalog->plans + l->catalog->plan_count;
  for (const struct plan *p = first_version(l->catalog, name); p && p < end && slice_eq(p->name, name); p++) {
    if (!check_plans(l, own, p)) {
      return false;
    }
  }
  return true;
}

static bool check_names(struct loader *l, slice name, slice other) {
  const struct plan *end = l->catalog->plans + l->catalog->plan_count;
  for (const struct plan *p = first_version(l->catalog, name); p && p < end && slice_eq(p->name, name); p++) {
    if (!check_versions(l, p, other)) {
      return false;
    }
  }
  return true;
}

/* Thousands of customers have the same plan and add-ons: two names are looked at once. */
static bool is_new(struct loader *l, struct map *seen, slice name, slice other) {
  const char *pair = arena_printf(l->scratch, SLICE_FMT "\n" SLICE_FMT, SLICE_ARG(name), SLICE_ARG(other));
  void **slot = map_put(seen, slice_of(pair));
  bool fresh = *slot == NULL;
  *slot = l;
  return fresh;
}

static void check_part(struct loader *l, const struct contract *part, struct map *seen) {
  const struct plan *own = part->own && part->own->price_count > 0 ? part->own : NULL;
  if (own && (!check_plans(l, own, own) || !check_versions(l, own, part->plan_name))) {
    return;
  }
  for (size_t i = 0; i < part->add_on_count; i++) {
    slice name = part->add_ons[i].plan_name;
    if (own && !check_versions(l, own, name)) {
      return;
    }
    for (size_t k = 0; k <= i; k++) {
      slice other = k == 0 ? part->plan_name : part->add_ons[k - 1].plan_name;
      if (!slice_eq(name, other) && is_new(l, seen, name, other) && !check_names(l, name, other)) {
        return;
      }
    }
  }
}

void check_overlaps(struct loader *l) {
  const struct catalog *c = l->catalog;
  struct map seen = {0};
  if (l->problems.count > 0) {
    return;
  }
  for (size_t i = 0; i < c->plan_count; i++) {
    check_plans(l, &c->plans[i], &c->plans[i]);
  }
  for (size_t i = 0; i < c->customer_count; i++) {
    for (size_t k = 0; k < c->customers[i].contract_count; k++) {
      check_part(l, &c->customers[i].contracts[k], &seen);
    }
  }
  map_free(&seen);
}
