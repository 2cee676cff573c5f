/* Finds prices that usage can never reach: the first that matches wins, so a narrower one must stand before. */
#include "catalog/private.h"

static bool holds(const struct match *m, slice value) {
  for (size_t i = 0; i < m->count; i++) {
    if (slice_eq(m->values[i], value)) {
      return true;
    }
  }
  return false;
}

static bool takes_all_values(const struct match *early, const struct match *late) {
  for (size_t i = 0; i < late->count; i++) {
    if (!holds(early, late->values[i])) {
      return false;
    }
  }
  return true;
}

/* Does `early` take all usage that `late` matches? Each dimension it asks for must be one `late` asks for too. */
static bool takes_all(const struct price_rule *early, const struct price_rule *late) {
  if (early->meter != late->meter || early->match_count > late->match_count) {
    return false;
  }
  for (size_t e = 0; e < early->match_count; e++) {
    bool within = false;
    for (size_t m = 0; m < late->match_count && !within; m++) {
      within = late->matches[m].dimension == early->matches[e].dimension &&
               takes_all_values(&early->matches[e], &late->matches[m]);
    }
    if (!within) {
      return false;
    }
  }
  return true;
}

void check_prices_reachable(struct loader *l, const struct price_rule *prices, const struct yaml *const *nodes,
                            size_t count) {
  for (size_t late = 1; late < count; late++) {
    for (size_t early = 0; early < late; early++) {
      if (takes_all(&prices[early], &prices[late])) {
        problem(l, nodes[late],
                "can never apply: usage would match the price on line %d first; put the narrower price before it",
                prices[early].place.line);
        break;
      }
    }
  }
}
