/* Reads a matrix of prices: a tree of values of dimensions whose leaves are prices, one price rule for each leaf. */
#include "catalog/private.h"

#include <string.h>

struct matrix {
  struct loader *l;
  const struct price_rule *base;
  const struct yaml *name; /* NULL: called by the product */
  uint32_t dimensions[CATALOG_DIMENSIONS_MAX];
  size_t depth;
  slice values[CATALOG_DIMENSIONS_MAX]; /* on the way to the node at hand */
  bool any[CATALOG_DIMENSIONS_MAX];
  struct read_rules *rules;
};

static bool read_dimension(struct matrix *m, const struct yaml *node) {
  struct loader *l = m->l;
  slice name = name_of(l, node);
  uint32_t dimension;
  if (name.len == 0 || !dimension_of(l, node, name, m->base->meter, &dimension)) {
    return false;
  }
  for (size_t i = 0; i < m->depth; i++) {
    if (m->dimensions[i] == dimension) {
      problem(l, node, "is in the list twice");
      return false;
    }
  }
  for (size_t i = 0; i < m->base->match_count; i++) {
    if (m->base->matches[i].dimension == dimension) {
      problem(l, node, "is matched by the price itself already: leave it out of one of the two");
      return false;
    }
  }
  m->dimensions[m->depth++] = dimension;
  return true;
}

static bool read_by(struct matrix *m, const struct yaml *node) {
  if (!node || node->kind == YAML_SCALAR) {
    return node && read_dimension(m, node);
  }
  size_t count = list_count(m->l, node, m->base->meter->dimension_count);
  const struct yaml *item = count ? node->child : NULL;
  for (; item; item = item->next) {
    if (!read_dimension(m, item)) {
      return false;
    }
  }
  return m->depth > 0;
}

/* The base's own matches, then those of the levels that name a value. */
static void set_matches(const struct matrix *m, struct price_rule *rule) {
  struct match *matches = arena_array(m->l->arena, rule->match_count + m->depth, sizeof *matches);
  if (rule->match_count > 0) {
    memcpy(matches, rule->matches, rule->match_count * sizeof *matches);
  }
  for (size_t i = 0; i < m->depth; i++) {
    if (!m->any[i]) {
      slice *value = arena_alloc(m->l->arena, sizeof *value);
      *value = m->values[i];
      matches[rule->match_count++] = (struct match){m->dimensions[i], value, 1};
    }
  }
  rule->matches = matches;
}

static void add_leaf(struct matrix *m, const struct yaml *leaf) {
  struct price_rule rule = *m->base;
  if (!scalar(m->l, leaf)) {
    return;
  }
  if (leaf->text.len == 0) {
    problem(m->l, leaf, "has no price: leave the value out, so that its usage is reported, or write 0");
    return;
  }
  read_single_price(m->l, leaf, &rule);
  set_matches(m, &rule);
  rule.name =
      m->name ? price_name(m->l, rule.name, &rule, m->base->match_count) : price_name(m->l, rule.product, &rule, 0);
  rule.place = place_of(m->l, leaf);
  add_rule(m->l, m->rules, &rule, leaf);
}

/* No deeper than there are dimensions. */
static void walk(struct matrix *m, const struct yaml *node, size_t level) {
  if (level == m->depth) {
    add_leaf(m, node);
    return;
  }
  if (node->kind != YAML_MAP || node->count == 0) {
    problem(m->l, node, "expected a map of the values of \"%s\", such as {H100: ...}",
            shown(m->l, m->base->meter->dimensions[m->dimensions[level]]));
    return;
  }
  for (const struct yaml *child = node->child; child && !m->rules->full; child = child->next) {
    m->any[level] = slice_is(child->key, "*");
    m->values[level] = key_of(m->l, child);
    if (m->any[level] && child->next) {
      problem(m->l, child, "\"*\" stands for all other values: put it last");
    }
    walk(m, child, level + 1);
  }
}

void read_matrix(struct loader *l, const struct yaml *matrix, const struct price_rule *base, const struct yaml *name,
                 struct read_rules *rules) {
  static const char *const keys[] = {"by", "prices", NULL};
  struct matrix m = {.l = l, .base = base, .name = name, .rules = rules};
  if (!base->meter || !is_map_of(l, matrix, keys)) {
    return;
  }
  const struct yaml *by = needed(l, matrix, "by", "the dimensions of its levels, such as [gpu, site]");
  const struct yaml *prices = needed(l, matrix, "prices", "such as {H100: {ams1: 2.49}}");
  if (by && prices && read_by(&m, by)) {
    walk(&m, prices, 0);
  }
}
