/* Finds prices that usage can never reach: the first that matches wins, so a narrower one must stand before. */
#include "catalog/private.h"

#define COMBINATIONS_MAX 4096 /* of the values of one price; beyond, it is not looked into */

/* The price's own values, one of each list at a time. */
struct combinations {
  const struct price_rule *price;
  size_t at[CATALOG_DIMENSIONS_MAX];
  slice dimensions[CATALOG_DIMENSIONS_MAX];
};

static size_t combination_count(const struct price_rule *p) {
  size_t count = 1;
  for (size_t i = 0; i < p->match_count && count <= COMBINATIONS_MAX; i++) {
    count *= p->matches[i].count;
  }
  return count;
}

/* Where the price takes any value stands one that no price can name: values hold no control characters. */
static void first_combination(const struct price_rule *p, struct combinations *c) {
  *c = (struct combinations){.price = p};
  for (size_t d = 0; d < CATALOG_DIMENSIONS_MAX; d++) {
    c->dimensions[d] = SLICE("\x01");
  }
  for (size_t i = 0; i < p->match_count; i++) {
    c->dimensions[p->matches[i].dimension] = p->matches[i].values[0];
  }
}

static bool next_combination(struct combinations *c) {
  for (size_t i = 0; i < c->price->match_count; i++) {
    const struct match *m = &c->price->matches[i];
    c->at[i] = c->at[i] + 1 < m->count ? c->at[i] + 1 : 0;
    c->dimensions[m->dimension] = m->values[c->at[i]];
    if (c->at[i] != 0) {
      return true;
    }
  }
  return false;
}

/* Up to two prices that take what `late` matches; none when something is left for it. */
static size_t takers(const struct plan *plan, const struct price_rule *late, const struct price_rule *early[2]) {
  struct combinations c;
  size_t count = 0;
  if (combination_count(late) > COMBINATIONS_MAX) {
    return 0;
  }
  first_combination(late, &c);
  do {
    const struct price_rule *first = catalog_price(plan, late->meter, c.dimensions);
    must(first != NULL && first <= late);
    if (first == late) {
      return 0;
    }
    if (count == 0 || (count == 1 && early[0] != first)) {
      early[count++] = first;
    }
  } while (next_combination(&c));
  return count;
}

void check_prices_reachable(struct loader *l, const struct plan *plan, const struct read_rules *rules) {
  for (size_t late = 1; late < plan->price_count; late++) {
    const struct price_rule *early[2];
    size_t count = takers(plan, &plan->prices[late], early);
    if (count == 1) {
      problem(l, rules->items[late].node,
              "can never apply: usage would match the price on line %d first; put the narrower price before it",
              early[0]->place.line);
    } else if (count > 1) {
      problem(l, rules->items[late].node,
              "can never apply: the prices on lines %d and %d, among those before it, take all its usage",
              early[0]->place.line, early[1]->place.line);
    }
  }
}
