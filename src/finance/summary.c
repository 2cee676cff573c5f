/* The picture of a period: revenue by product and customer, cost by pool, margin and concentration. */
#include "base/hash.h"
#include "finance/private.h"
#include <stdlib.h>
#include <string.h>

/* Revenue gathered under names; the map finds the place, the list keeps it. */
struct tally {
  VEC(struct finance_share) list;
  struct map places;
};

static bool tally_add(struct tally *tally, slice name, amount value, struct error *err) {
  void **place = map_put(&tally->places, name);
  if (*place == NULL) {
    vec_push(&tally->list, (struct finance_share){.name = name});
    *place = (void *)tally->list.count; /* one past the index, so that NULL means absent */
  }
  struct finance_share *share = &tally->list.items[(size_t)*place - 1];
  share->count++;
  return amount_add(share->amount, value, &share->amount, err);
}

static int larger_first(const void *a, const void *b) {
  const struct finance_share *x = a, *y = b;
  int order = amount_cmp(y->amount, x->amount);
  return order != 0 ? order : slice_cmp(x->name, y->name);
}

static const struct finance_share *tally_finish(struct tally *tally, struct arena *arena, size_t *count) {
  *count = tally->list.count;
  struct finance_share *shares = arena_array(arena, tally->list.count, sizeof *shares);
  if (*count > 0) {
    memcpy(shares, tally->list.items, *count * sizeof *shares);
    qsort(shares, *count, sizeof *shares, larger_first);
  }
  vec_free(&tally->list);
  map_free(&tally->places);
  return shares;
}

static bool add_rating(const struct catalog *catalog, const struct rating *rating, struct tally *products,
                       struct tally *customers, struct finance_summary *out, struct error *err) {
  amount earned = AMOUNT_ZERO;
  out->unpriced += rating->unpriced_count;
  if (rating->customer->currency != catalog->currency) {
    out->skipped++;
    return true;
  }
  for (size_t i = 0; i < rating->charge_count; i++) {
    const struct charge *charge = &rating->charges[i];
    amount net;
    if (!invoice_charge_net(catalog, rating, charge, &net, err) || !amount_add(earned, net, &earned, err) ||
        (!amount_is_zero(net) && !tally_add(products, charge->product, net, err))) {
      return false;
    }
  }
  return amount_add(out->revenue, earned, &out->revenue, err) &&
         tally_add(customers, rating->customer->id, earned, err);
}

static bool add_pools(struct arena *arena, const struct catalog *catalog, const struct usage_row *rows,
                      size_t row_count, struct finance_summary *out, struct error *err) {
  struct pool_result *pools = arena_array(arena, catalog->pool_count, sizeof *pools);
  for (size_t i = 0; i < catalog->pool_count; i++) {
    if (!finance_pool(catalog, &catalog->pools[i], out->period, rows, row_count, &pools[i], err) ||
        !amount_add(out->cost, pools[i].cost.total, &out->cost, err)) {
      return false;
    }
  }
  out->pools = pools;
  out->pool_count = catalog->pool_count;
  return true;
}

/* part / whole as a rate. */
static bool share_of(amount part, amount whole, rate *out, struct error *err) {
  return int128_muldiv(part.e12, AMOUNT_E12, whole.e12, ROUND_HALF_EVEN, &out->e12, err);
}

static bool concentrate(struct finance_summary *out, struct error *err) {
  if (out->revenue.e12 <= 0) {
    return true;
  }
  for (size_t i = 0; i < out->customer_count; i++) {
    rate share, square;
    if (!share_of(out->customers[i].amount, out->revenue, &share, err) || !rate_times(share, share, &square, err)) {
      return false;
    }
    out->hhi.e12 += square.e12;
    if (i == 0) {
      out->top_share = share;
    }
  }
  return share_of(out->margin, out->revenue, &out->margin_share, err);
}

bool finance_summarize(struct arena *arena, const struct catalog *catalog, struct period period,
                       const struct rating *ratings, size_t rating_count, const struct usage_row *rows,
                       size_t row_count, struct finance_summary *out, struct error *err) {
  *out = (struct finance_summary){.period = period, .currency = catalog->currency};
  struct tally products = {0}, customers = {0};
  bool ok = true;
  for (size_t i = 0; ok && i < rating_count; i++) {
    ok = add_rating(catalog, &ratings[i], &products, &customers, out, err);
  }
  out->products = tally_finish(&products, arena, &out->product_count);
  out->customers = tally_finish(&customers, arena, &out->customer_count);
  return ok && add_pools(arena, catalog, rows, row_count, out, err) &&
         amount_sub(out->revenue, out->cost, &out->margin, err) && concentrate(out, err);
}
