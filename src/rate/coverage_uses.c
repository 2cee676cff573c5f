/* What reservations and savings plans covered, price by price, and which part of their fee that is. */
#include "rate/private.h"

static bool same_use(const struct coverage_use *use, const struct stretch *s, const struct run *run) {
  return use->segment == s->segment && use->meter == run->meter && use->price == run->price &&
         use->multiplier.e12 == run->multiplier.e12;
}

/* From the last: runs of one price tend to follow each other. */
static struct coverage_use *use_of(const struct stretch *s, const struct run *run, struct tally *tally) {
  for (size_t i = tally->uses.count; i-- > 0;) {
    if (same_use(&tally->uses.items[i], s, run)) {
      return &tally->uses.items[i];
    }
  }
  vec_push(&tally->uses,
           (struct coverage_use){
               .segment = s->segment, .meter = run->meter, .price = run->price, .multiplier = run->multiplier});
  return &tally->uses.items[tally->uses.count - 1];
}

bool tell_uses(const struct stretch *stretch, const struct run *run, struct error *err) {
  for (size_t i = 0; i < run->claim_count; i++) {
    struct claim *claim = &run->claims[i];
    if (claim->taken.e9 == 0 && claim->spent.e12 == 0) {
      continue;
    }
    struct coverage_use *use = use_of(stretch, run, stretch->covers[claim->cover].tally);
    if (!quantity_add(use->raw, claim->taken, &use->raw, err) ||
        !amount_add(use->cost, claim->spent, &use->cost, err)) {
      return false;
    }
    claim->taken = QUANTITY_ZERO;
    claim->spent = AMOUNT_ZERO;
  }
  return true;
}

/* ---- the shares of the fee ---- */

/* The first `raw` of the capacity; differences of it add up. */
static bool cost_of_first(const struct coverage *c, quantity raw, amount *out, struct error *err) {
  *out = AMOUNT_ZERO;
  return raw.e9 == 0 || int128_muldiv(c->cost.e12, raw.e9, c->capacity.e9, ROUND_HALF_EVEN, &out->e12, err);
}

static bool share_cost(const struct coverage *c, struct coverage_use *use, quantity *before, struct error *err) {
  amount from, to;
  return cost_of_first(c, *before, &from, err) && quantity_add(*before, use->raw, before, err) &&
         cost_of_first(c, *before, &to, err) && amount_sub(to, from, &use->cost, err);
}

static bool price_use(struct coverage_use *use, struct error *err) {
  const struct price_rule *price = use->price;
  use->has_list = price && price->model != PRICE_FLAT && price->model != PRICE_STAIRSTEP;
  return !use->has_list ||
         (int128_muldiv(price->per.e9, price->meter->base_per_unit.e9, QUANTITY_E9, ROUND_HALF_EVEN, &use->per_raw.e9,
                        err) &&
          amount_of_usage(price->tiers[0].each, use->raw.e9, use->per_raw.e9, use->multiplier, &use->list, err));
}

bool report_uses(struct arena *arena, const struct tally *tally, struct coverage *out, struct error *err) {
  struct coverage_use *uses = arena_array(arena, tally->uses.count, sizeof *uses);
  quantity before = QUANTITY_ZERO;
  out->unused = out->cost;
  for (size_t i = 0; i < tally->uses.count; i++) {
    struct coverage_use *use = &uses[i];
    *use = tally->uses.items[i];
    if ((out->cover->kind == COVER_RESERVATION && !share_cost(out, use, &before, err)) || !price_use(use, err) ||
        !quantity_units(use->meter, use->raw, &use->units, err) ||
        !amount_sub(out->unused, use->cost, &out->unused, err)) {
      return false;
    }
  }
  out->uses = uses;
  out->use_count = tally->uses.count;
  return true;
}
