/* The invoice of a period takes over from its reservation: what that frees, planned for a draft and done for the
 * invoice, so that both see the same credit. */
#include "credit/private.h"
#include <stdlib.h>

/* ---- what ends ---- */

/* Its usage takes what it still needs out of the slice, as the next reserve would have. *freed: all it had. */
static bool end_period(struct unbilled *u, struct unbilled_period *p, amount *freed, struct error *err) {
  amount missing, taken;
  if (!amount_sub(p->spent, p->reserved, &missing, err)) {
    return false;
  }
  taken = smaller(missing, u->slice);
  p->over = true;
  return amount_sub(u->slice, taken, &u->slice, err) && amount_add(*freed, p->reserved, freed, err) &&
         amount_add(*freed, taken, freed, err);
}

static bool free_parts(struct unbilled *u, amount freed, struct error *err) {
  for (size_t i = 0; i < u->parts.count; i++) {
    struct unbilled_part *p = &u->parts.items[i];
    amount taken = smaller(freed, p->held);
    if (!amount_sub(p->held, taken, &p->wanted, err) || !amount_sub(freed, taken, &freed, err)) {
      return false;
    }
  }
  return amount_is_zero(freed) ||
         error_set(err, ERR_CORRUPT, "customer " SLICE_FMT ": less is held than its usage has reserved: run check",
                   SLICE_ARG(u->customer));
}

/* *ends: a period is over by then. */
static bool plan_end(struct unbilled *u, instant period_to, bool *ends, struct error *err) {
  amount freed = AMOUNT_ZERO;
  *ends = false;
  for (size_t i = 0; i < u->periods.count; i++) {
    struct unbilled_period *p = &u->periods.items[i];
    if (p->to.ns > period_to.ns) {
      continue;
    }
    *ends = true;
    if (!end_period(u, p, &freed, err)) {
      return false;
    }
  }
  return free_parts(u, freed, err);
}

static instant return_end(instant now) {
  return (instant){now.ns + CREDIT_RETURN_DAYS * INT64_C(86400) * NS_PER_S};
}

/* ---- doing it ---- */

/* Its expired credit paid for usage that was made while it was good: it can be used once more. */
static bool extend(struct db *db, const struct unbilled *u, const struct unbilled_part *p, instant now,
                   struct error *err) {
  return amount_cmp(p->wanted, p->held) == 0 ||
         db_run(db,
                "UPDATE credit_grant SET expires = $4 WHERE pocket = $1 AND currency = $2 AND expires <= $3"
                " AND state = 1 AND remaining <> '0'",
                DB_VALUES(DB_T(p->account), DB_T(u->currency), DB_I(now.ns), DB_I(return_end(now).ns)), NULL, err);
}

static bool end_loaded(struct db *db, struct ledger *ledger, struct unbilled *u, instant period_to, instant now,
                       struct error *err) {
  bool ends, ok = plan_end(u, period_to, &ends, err);
  for (size_t i = 0; ok && i < u->parts.count; i++) {
    ok = extend(db, u, &u->parts.items[i], now, err);
  }
  return ok && unbilled_store(db, ledger, u, now, err);
}

static bool is_any_over(struct db *db, slice customer, slice currency, instant period_to, bool *out,
                        struct error *err) {
  int64_t count = 0;
  bool ok =
      db_query(db, "SELECT count(*) FROM credit_unbilled WHERE customer = $1 AND currency = $2 AND period_to <= $3",
               DB_VALUES(DB_T(customer), DB_T(currency), DB_I(period_to.ns)), take_integer, &count, err);
  *out = count > 0;
  return ok;
}

bool credit_unbilled_end(struct db *db, struct ledger *ledger, slice customer, slice currency, instant period_to,
                         instant now, struct error *err) {
  must(db_in_transaction(db));
  struct unbilled u = {0};
  size_t count = 0;
  bool any;
  if (!is_any_over(db, customer, currency, period_to, &any, err)) {
    return false;
  }
  struct arena *arena = arena_new();
  bool ok =
      !any ||
      (credit_activate(db, ledger, customer, now, err) && expire_of(db, ledger, customer, currency, now, &count, err) &&
       unbilled_load(arena, db, customer, currency, now, &u, err) && end_loaded(db, ledger, &u, period_to, now, err));
  unbilled_free(&u);
  arena_free(arena);
  return ok;
}

/* ---- as if it were done ---- */

static bool frees(const struct unbilled *u, slice pocket) {
  for (size_t i = 0; i < u->parts.count; i++) {
    const struct unbilled_part *p = &u->parts.items[i];
    if (slice_eq(p->account, pocket)) {
      return amount_cmp(p->wanted, p->held) < 0;
    }
  }
  return false;
}

/* expire_of and extend, on the copy. */
static bool expire_copies(struct unbilled *u, instant at, struct error *err) {
  for (size_t i = 0; i < u->grants.items.count; i++) {
    struct credit_grant *g = &u->grants.items.items[i];
    if (g->expires.ns > at.ns) {
      continue;
    }
    if (!amount_sub(g->remaining, g->available, &g->remaining, err)) {
      return false;
    }
    if (g->state != CREDIT_REVOKED && !amount_is_zero(g->remaining) && frees(u, g->pocket)) {
      g->expires = return_end(at);
    }
  }
  return true;
}

static bool free_copies(struct db *db, struct unbilled *u, instant at, struct error *err) {
  for (size_t i = 0; i < u->parts.count; i++) {
    const struct unbilled_part *p = &u->parts.items[i];
    amount held, freed;
    if (amount_cmp(p->wanted, p->held) == 0) {
      continue;
    }
    if (!ledger_held(db, p->account, u->currency, &held, err) || !amount_sub(p->held, p->wanted, &freed, err) ||
        !amount_sub(held, freed, &held, err) || !reserve(&u->grants, p->account, at, held, err)) {
      return false;
    }
  }
  return true;
}

bool credit_open_to_invoice(struct arena *arena, struct db *db, slice customer, slice currency, instant period_to,
                            instant at, struct credit_grants *out, struct error *err) {
  struct unbilled u = {0};
  bool ends = false;
  if (!is_any_over(db, customer, currency, period_to, &ends, err)) {
    return false;
  }
  if (!ends) {
    return credit_open(arena, db, customer, currency, at, out, err);
  }
  bool ok = unbilled_load(arena, db, customer, currency, at, &u, err) && plan_end(&u, period_to, &ends, err) &&
            expire_copies(&u, at, err);
  if (ok && u.grants.items.count > 0) {
    qsort(u.grants.items.items, u.grants.items.count, sizeof *u.grants.items.items, credit_order);
  }
  ok = ok && free_copies(db, &u, at, err);
  if (ok) {
    give_usable(arena, &u.grants, at, out);
  }
  unbilled_free(&u);
  return ok;
}
