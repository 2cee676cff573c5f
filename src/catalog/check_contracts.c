/* Checks of contracts as they were written: what a change, a count or a commitment names must be there to be changed,
 * counted or drawn; otherwise it would be passed over without a word. */
#include "catalog/private.h"

/* ---- a change by itself ---- */

void check_change(struct loader *l, const struct change *c) {
  bool changes = c->plan_name.len > 0 || c->fee_count_count > 0 || c->add_on_count > 0 || c->removed_count > 0;
  if (c->cancels && changes) {
    problem(l, c->node, "cancels, and changes something else: after a cancellation nothing is left to change");
  } else if (!c->cancels && !changes && !field(c->node, "plan")) {
    problem(l, c->node, "changes nothing: say plan, quantities, add_ons, remove or cancel");
  }
}

/* ---- what it finds when it takes effect ---- */

static slice add_on_name_at(const void *items, size_t i) {
  return ((const struct add_on *)items)[i].plan_name;
}

void check_removed(struct loader *l, const struct change *c, const struct contract *before) {
  for (size_t i = 0; i < c->removed_count; i++) {
    bool found = false;
    for (size_t k = 0; k < before->add_on_count; k++) {
      found |= slice_eq(before->add_ons[k].plan_name, c->removed[i]);
    }
    if (!found) {
      problem(l, field(c->node, "remove"), "the contract has no add-on \"%s\" at that time%s", shown(l, c->removed[i]),
              did_you_mean_any(l, c->removed[i], add_on_name_at, before->add_ons, before->add_on_count));
    }
  }
}

/* What was decided before the end but would take effect later is history; what was decided later is a mistake. */
void check_changes_in_time(struct loader *l, const struct contract_draft *draft) {
  char text[TIME_TEXT_MAX];
  for (size_t i = 0; i < draft->change_count; i++) {
    const struct change *c = &draft->changes[i];
    if (c->at.ns >= draft->end.ns && c->effect.ns > draft->end.ns) {
      problem(l, field(c->node, "at"), "the contract ended %s by a cancellation: write a new contract from then",
              time_format(draft->end, text));
    }
  }
}

/* ---- counts of fees ---- */

static bool terms_have(const struct plan *terms, slice fee) {
  for (size_t i = 0; terms && i < terms->fee_count; i++) {
    if (slice_eq(terms->fees[i].name, fee)) {
      return true;
    }
  }
  return false;
}

static bool plan_has(const struct catalog *c, slice plan, slice fee) {
  bool any = false;
  for (const struct plan *p = first_version(c, plan); p && p < c->plans + c->plan_count && slice_eq(p->name, plan);
       p++) {
    any |= terms_have(p, fee);
  }
  return any;
}

/* In any phase or after any change: a count may be set for a plan that comes later. Add-ons have counts of their own.
 */
static bool contract_has_fee(const struct loader *l, const struct contract_draft *d, slice fee) {
  bool any = terms_have(d->base.own, fee) || plan_has(l->catalog, d->base.plan_name, fee);
  for (size_t i = 0; i < d->phase_count; i++) {
    any |= plan_has(l->catalog, d->phases[i].plan_name, fee);
  }
  for (size_t i = 0; i < d->change_count; i++) {
    any |= plan_has(l->catalog, d->changes[i].plan_name, fee);
  }
  for (size_t i = 0; i < d->base.add_on_count; i++) {
    any |= plan_has(l->catalog, d->base.add_ons[i].plan_name, fee);
  }
  for (size_t i = 0; i < d->change_count; i++) {
    for (size_t k = 0; k < d->changes[i].add_on_count; k++) {
      any |= plan_has(l->catalog, d->changes[i].add_ons[k].plan_name, fee);
    }
  }
  return any;
}

static void check_counts(struct loader *l, const struct contract_draft *d, const struct yaml *map,
                         const struct fee_count *counts, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!contract_has_fee(l, d, counts[i].fee)) {
      problem(l, map, "none of the contract's plans has a fee \"%s\": quantities go by the names of fees",
              shown(l, counts[i].fee));
    }
  }
}

void check_fee_counts(struct loader *l, const struct contract_draft *d) {
  check_counts(l, d, field(d->node, "quantities"), d->base.fee_counts, d->base.fee_count_count);
  for (size_t i = 0; i < d->change_count; i++) {
    const struct change *c = &d->changes[i];
    check_counts(l, d, field(c->node, "quantities"), c->fee_counts, c->fee_count_count);
  }
}

/* ---- products of commitments ---- */

/* One is enough: the others may be those of add-ons that this customer does not have. */
static void check_commitments_of(struct loader *l, const struct map *products, const struct plan *terms) {
  for (size_t i = 0; terms && i < terms->commitment_count; i++) {
    const struct commitment *c = &terms->commitments[i];
    bool any = c->product_count == 0;
    for (size_t p = 0; p < c->product_count; p++) {
      any |= map_get(products, c->products[p]) != NULL;
    }
    if (!any) {
      struct error err = {0};
      error_set(&err, ERR_INVALID, "%s:%d: \"%s\" counts products, but nothing is sold as product \"%s\"",
                c->place.file, c->place.line, shown(l, c->name), shown(l, c->products[0]));
      problem_take(l, &err);
    }
  }
}

void check_commitment_products(struct loader *l, const struct map *products) {
  const struct catalog *c = l->catalog;
  for (size_t i = 0; i < c->plan_count; i++) {
    check_commitments_of(l, products, &c->plans[i]);
  }
  for (size_t i = 0; i < c->customer_count; i++) {
    const struct plan *seen = NULL; /* the parts of one contract share its terms */
    for (size_t k = 0; k < c->customers[i].contract_count; k++) {
      const struct plan *own = c->customers[i].contracts[k].own;
      check_commitments_of(l, products, own != seen ? own : NULL);
      seen = own;
    }
  }
}
