/* What can be spent now: a customer's grants in order, less what open holds reserve of their pockets. */
#include "credit/private.h"
#include <stdlib.h>

bool is_usable(const struct credit_grant *g, instant at) {
  return g->state != CREDIT_REVOKED && g->effective.ns <= at.ns && at.ns < g->expires.ns;
}

bool has_expired_part(const struct credit_grant *g, instant at) {
  return g->expires.ns <= at.ns && !amount_is_zero(g->available);
}

/* Settling takes from the grants of a pocket in order, so a hold stands on the first ones: they go `held` deep. */
bool reserve(struct grant_list *list, slice pocket, instant at, amount held, struct error *err) {
  for (size_t i = 0; i < list->items.count; i++) {
    struct credit_grant *g = &list->items.items[i];
    if (!slice_eq(g->pocket, pocket) || (g->state == CREDIT_FUTURE && g->effective.ns > at.ns)) {
      continue;
    }
    amount taken = amount_cmp(held, g->remaining) < 0 ? held : g->remaining;
    if (!amount_sub(g->remaining, taken, &g->available, err) || !amount_sub(held, taken, &held, err)) {
      return false;
    }
  }
  return true;
}

static bool is_first_of_pocket(const struct grant_list *list, size_t at) {
  for (size_t i = 0; i < at; i++) {
    if (slice_eq(list->items.items[i].pocket, list->items.items[at].pocket)) {
      return false;
    }
  }
  return true;
}

bool load_open(struct db *db, slice customer, slice currency, instant at, struct grant_list *out, struct error *err) {
  if (!db_query(db,
                "SELECT " GRANT_COLUMNS " FROM credit_grant WHERE customer = $1 AND currency = $2 AND remaining <> '0'",
                DB_VALUES(DB_T(customer), DB_T(currency)), take_grant, out, err)) {
    return false;
  }
  if (out->items.count > 0) {
    qsort(out->items.items, out->items.count, sizeof *out->items.items, credit_order);
  }
  for (size_t i = 0; i < out->items.count; i++) {
    amount held;
    slice pocket = out->items.items[i].pocket;
    if (is_first_of_pocket(out, i) &&
        (!ledger_held(db, pocket, currency, &held, err) || !reserve(out, pocket, at, held, err))) {
      return false;
    }
  }
  return true;
}

void give_usable(struct arena *arena, const struct grant_list *list, instant at, struct credit_grants *out) {
  struct credit_grant *items = arena_array(arena, list->items.count + 1, sizeof *items);
  *out = (struct credit_grants){.items = items};
  for (size_t i = 0; i < list->items.count; i++) {
    const struct credit_grant *g = &list->items.items[i];
    if (is_usable(g, at) && !amount_is_zero(g->available)) {
      items[out->count++] = *g;
    }
  }
}

bool credit_open(struct arena *arena, struct db *db, slice customer, slice currency, instant at,
                 struct credit_grants *out, struct error *err) {
  struct grant_list list = {.arena = arena};
  bool ok = load_open(db, customer, currency, at, &list, err);
  if (ok) {
    give_usable(arena, &list, at, out);
  }
  vec_free(&list.items);
  return ok;
}

bool credit_available(struct db *db, slice customer, slice currency, slice product, instant at, amount *out,
                      struct error *err) {
  struct arena *arena = arena_new();
  struct credit_grants grants;
  *out = AMOUNT_ZERO;
  bool ok = credit_open(arena, db, customer, currency, at, &grants, err);
  for (size_t i = 0; ok && i < grants.count; i++) {
    ok = !credit_covers(&grants.items[i], product) || amount_add(*out, grants.items[i].available, out, err);
  }
  arena_free(arena);
  return ok;
}

/* ---- the balance ---- */

static struct credit_pocket_balance *pocket_of(struct credit_pocket_balance *pockets, size_t *count,
                                               const struct credit_grant *g) {
  for (size_t i = 0; i < *count; i++) {
    if (slice_eq(pockets[i].pocket, g->pocket)) {
      return &pockets[i];
    }
  }
  pockets[*count] =
      (struct credit_pocket_balance){.pocket = g->pocket, .scope = g->scope, .scope_count = g->scope_count};
  return &pockets[(*count)++];
}

static bool add_to_pocket(struct credit_balance *b, struct credit_pocket_balance *p, const struct credit_grant *g,
                          bool usable, struct error *err) {
  amount held;
  return amount_sub(g->remaining, g->available, &held, err) && amount_add(p->held, held, &p->held, err) &&
         amount_add(b->held, held, &b->held, err) && amount_add(p->balance, g->remaining, &p->balance, err) &&
         (!usable || (amount_add(p->available, g->available, &p->available, err) &&
                      amount_add(b->available, g->available, &b->available, err)));
}

bool credit_balance(struct arena *arena, struct db *db, slice customer, slice currency, instant at,
                    struct credit_balance *out, struct error *err) {
  struct grant_list list = {.arena = arena};
  bool ok = load_open(db, customer, currency, at, &list, err);
  struct credit_pocket_balance *pockets = arena_array(arena, list.items.count, sizeof *pockets);
  struct credit_grant *grants = arena_array(arena, list.items.count, sizeof *grants);
  *out = (struct credit_balance){.pockets = pockets, .grants = {.items = grants}};
  for (size_t i = 0; ok && i < list.items.count; i++) {
    const struct credit_grant *g = &list.items.items[i];
    bool usable = is_usable(g, at);
    if (g->state == CREDIT_FUTURE && !usable) {
      continue;
    }
    ok = add_to_pocket(out, pocket_of(pockets, &out->pocket_count, g), g, usable, err);
    if (usable && !amount_is_zero(g->available)) {
      grants[out->grants.count++] = *g;
    }
  }
  vec_free(&list.items);
  return ok;
}
