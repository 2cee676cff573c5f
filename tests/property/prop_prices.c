/* Random price lists written as YAML: the index finds what a walk over the list finds, a matrix is its leaves in order,
 * and a price is refused exactly when a walk shows that nothing is left for it. */
#include "base/hash.h"
#include "catalog/catalog.h"

#include <stdlib.h>
#include <string.h>

enum { DIMENSIONS = 3, VALUES = 6, LISTED_MAX = 3, RULES_MAX = 64, TEXT_MAX = 60000 };

/* What the list says, kept apart from the catalog. */
struct rule {
  unsigned meter;
  unsigned takes[DIMENSIONS]; /* a bit for each value; 0: any */
};

struct world {
  struct random random;
  struct rule rules[RULES_MAX];
  size_t rule_count;
  struct buf text;
  uint64_t seed, number;
};

static const char *const dimension_names[DIMENSIONS] = {"x", "y", "z"};
static const char *const value_names[VALUES] = {"", "a", "b", "c", "d", "a b"};

static void expect(const struct world *w, bool holds, const char *what) {
  if (!holds) {
    fprintf(stderr, "SEED=%llu case %llu: %s\n" SLICE_FMT "\n", (unsigned long long)w->seed,
            (unsigned long long)w->number, what, SLICE_ARG(buf_slice(&w->text)));
    exit(1);
  }
}

static size_t pick(struct world *w, size_t bound) {
  return (size_t)random_below(&w->random, bound);
}

static bool chance(struct world *w, unsigned percent) {
  return pick(w, 100) < percent;
}

/* ---- the list ---- */

static unsigned write_values(struct world *w) {
  unsigned taken = 0;
  size_t count = 1 + pick(w, LISTED_MAX);
  buf_addc(&w->text, '[');
  for (size_t i = 0; i < count; i++) {
    size_t value = pick(w, VALUES);
    buf_addf(&w->text, "%s\"%s\"", i ? ", " : "", value_names[value]);
    taken |= 1u << value;
  }
  buf_addc(&w->text, ']');
  return taken;
}

static void write_match(struct world *w, struct rule *rule, unsigned but_not) {
  bool first = true;
  buf_addf(&w->text, ", match: {");
  for (unsigned d = 0; d < DIMENSIONS; d++) {
    if (!(but_not >> d & 1) && chance(w, 60)) {
      buf_addf(&w->text, "%s%s: ", first ? "" : ", ", dimension_names[d]);
      rule->takes[d] = write_values(w);
      first = false;
    }
  }
  buf_addc(&w->text, '}');
}

static void write_levels(struct world *w, const struct rule *rule, const unsigned *by, size_t depth) {
  if (depth == 0) {
    w->rules[w->rule_count++] = *rule;
    buf_addf(&w->text, "%zu", w->rule_count);
    return;
  }
  buf_addc(&w->text, '{');
  unsigned used = 0;
  for (size_t i = 0, count = 1 + pick(w, 2); i < count || used == 0; i++) {
    size_t value = pick(w, VALUES);
    if (used >> value & 1) {
      continue;
    }
    struct rule deeper = *rule;
    deeper.takes[*by] = 1u << value;
    buf_addf(&w->text, "%s\"%s\": ", used ? ", " : "", value_names[value]);
    used |= 1u << value;
    write_levels(w, &deeper, by + 1, depth - 1);
  }
  if (chance(w, 40)) {
    struct rule deeper = *rule;
    deeper.takes[*by] = 0;
    buf_addf(&w->text, ", \"*\": ");
    write_levels(w, &deeper, by + 1, depth - 1);
  }
  buf_addc(&w->text, '}');
}

static void write_matrix(struct world *w, struct rule *rule) {
  unsigned by[DIMENSIONS] = {0, 1, 2}, mask = 0;
  size_t depth = 1 + pick(w, DIMENSIONS);
  for (size_t i = 0; i < DIMENSIONS; i++) {
    size_t other = pick(w, DIMENSIONS);
    unsigned swap = by[i];
    by[i] = by[other];
    by[other] = swap;
  }
  for (size_t i = 0; i < depth; i++) {
    mask |= 1u << by[i];
  }
  write_match(w, rule, mask);
  buf_addf(&w->text, ", matrix: {by: [");
  for (size_t i = 0; i < depth; i++) {
    buf_addf(&w->text, "%s%s", i ? ", " : "", dimension_names[by[i]]);
  }
  buf_addf(&w->text, "], prices: ");
  write_levels(w, rule, by, depth);
  buf_addc(&w->text, '}');
}

static void write_list(struct world *w) {
  buf_addf(&w->text, "currency: USD\nmeters:\n");
  for (unsigned m = 0; m < 2; m++) {
    buf_addf(&w->text, "  - {name: m%u, event: e%u, value: n, dimensions: [x, y, z]}\n", m, m);
  }
  buf_addf(&w->text, "plans:\n  - name: p\n    prices:\n");
  for (size_t i = 0, count = 1 + pick(w, 8); i < count; i++) {
    struct rule rule = {.meter = (unsigned)pick(w, 2)};
    buf_addf(&w->text, "      - {meter: m%u", rule.meter);
    if (chance(w, 40) && w->rule_count + 27 < RULES_MAX) {
      write_matrix(w, &rule);
    } else if (w->rule_count < RULES_MAX) {
      write_match(w, &rule, 0);
      w->rules[w->rule_count++] = rule;
      buf_addf(&w->text, ", price: %zu", w->rule_count);
    }
    buf_addf(&w->text, "}\n");
  }
}

/* ---- the walk ---- */

static bool takes(const struct rule *r, unsigned meter, const size_t values[DIMENSIONS]) {
  for (size_t d = 0; d < DIMENSIONS; d++) {
    if (r->takes[d] && (values[d] == VALUES || !(r->takes[d] >> values[d] & 1))) {
      return false;
    }
  }
  return r->meter == meter;
}

static size_t first_taker(const struct world *w, unsigned meter, const size_t values[DIMENSIONS]) {
  size_t i = 0;
  while (i < w->rule_count && !takes(&w->rules[i], meter, values)) {
    i++;
  }
  return i;
}

/* Some usage for which this rule is the first; VALUES stands for a value that no list names. */
static bool is_reached(const struct world *w, size_t rule) {
  size_t v[DIMENSIONS];
  for (v[0] = 0; v[0] <= VALUES; v[0]++) {
    for (v[1] = 0; v[1] <= VALUES; v[1]++) {
      for (v[2] = 0; v[2] <= VALUES; v[2]++) {
        if (first_taker(w, w->rules[rule].meter, v) == rule) {
          return true;
        }
      }
    }
  }
  return false;
}

/* ---- comparing ---- */

static void compare_usage(const struct world *w, const struct catalog *c, const size_t v[DIMENSIONS]) {
  const struct plan *plan = &c->plans[0];
  struct plan by_hand = *plan;
  slice values[DIMENSIONS];
  by_hand.price_index = NULL;
  for (size_t d = 0; d < DIMENSIONS; d++) {
    values[d] = v[d] < VALUES ? slice_of(value_names[v[d]]) : SLICE("no such value");
  }
  for (unsigned m = 0; m < 2; m++) {
    size_t first = first_taker(w, m, v);
    const struct price_rule *expected = first < w->rule_count ? &plan->prices[first] : NULL;
    expect(w, catalog_price(plan, &c->meters[m], values) == expected, "the index finds another price");
    expect(w, catalog_price(&by_hand, &c->meters[m], values) == expected, "the walk finds another price");
  }
}

static void compare(const struct world *w, const struct catalog *c) {
  size_t v[DIMENSIONS];
  expect(w, c->plans[0].price_count == w->rule_count, "another number of prices");
  for (size_t i = 0; i < w->rule_count; i++) {
    int128 each = (int128)(i + 1) * AMOUNT_E12;
    expect(w, c->plans[0].prices[i].tiers[0].each.e12 == each && c->plans[0].prices[i].index == i, "another price");
  }
  for (v[0] = 0; v[0] <= VALUES; v[0]++) {
    for (v[1] = 0; v[1] <= VALUES; v[1]++) {
      for (v[2] = 0; v[2] <= VALUES; v[2]++) {
        compare_usage(w, c, v);
      }
    }
  }
}

static bool run_case(uint64_t seed, uint64_t number) {
  struct world w = {.seed = seed, .number = number};
  struct catalog *catalog;
  struct error err;
  bool reached = true;
  random_seed(&w.random, seed, number);
  buf_init(&w.text, TEXT_MAX);
  write_list(&w);
  for (size_t i = 0; i < w.rule_count; i++) {
    reached = reached && is_reached(&w, i);
  }
  const struct catalog_text text = {"random.yaml", buf_slice(&w.text)};
  bool ok = catalog_parse(&text, 1, &catalog, &err);
  expect(&w, ok == reached, ok ? "a price that nothing reaches was taken" : err.message);
  expect(&w, ok || strstr(err.message, "can never apply") != NULL, err.message);
  if (ok) {
    compare(&w, catalog);
  }
  catalog_free(catalog);
  buf_free(&w.text);
  return ok;
}

static uint64_t number_from(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text ? strtoull(text, NULL, 10) : otherwise;
}

int main(void) {
  uint64_t seed = number_from("SEED", 20261121), cases = number_from("CASES", 3000), loaded = 0;
  printf("SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  for (uint64_t i = 0; i < cases; i++) {
    loaded += run_case(seed, i);
  }
  printf("%llu lists loaded, %llu refused\n", (unsigned long long)loaded, (unsigned long long)(cases - loaded));
  return (loaded > 0 && loaded < cases) || cases < 100 ? 0 : 1;
}
