/* Slices: credit reserved in advance for calls that run, as much of it as there is; and what is spent, out of them. */
#include "credit/private.h"
#include <stdlib.h>

static struct unbilled_part *part_of(struct unbilled *u, slice account) {
  for (size_t i = 0; i < u->parts.count; i++) {
    if (slice_eq(u->parts.items[i].account, account)) {
      return &u->parts.items[i];
    }
  }
  return NULL;
}

/* ---- how much of which pocket ---- */

/* More: of grants in order, then of the line. */
static bool spread_more(struct unbilled *u, slice product, instant at, amount left, amount line, struct error *err) {
  struct unbilled_part *on_line = &u->parts.items[u->parts.count - 1];
  for (size_t i = 0; i < u->grants.items.count; i++) {
    const struct credit_grant *g = &u->grants.items.items[i];
    if (!is_usable(g, at) || !credit_covers(g, product)) {
      continue;
    }
    struct unbilled_part *p = part_of(u, g->pocket);
    amount taken = smaller(left, g->available);
    if (!amount_add(p->wanted, taken, &p->wanted, err) || !amount_sub(left, taken, &left, err)) {
      return false;
    }
  }
  on_line->wanted = smaller(left, larger(line, on_line->held));
  return true;
}

/* Less: the line first, then the pockets that go last. */
static bool spread_less(struct unbilled *u, amount excess, struct error *err) {
  u->parts.items[u->parts.count - 1].wanted = AMOUNT_ZERO;
  for (size_t i = u->parts.count - 1; i-- > 0;) {
    struct unbilled_part *p = &u->parts.items[i];
    amount taken = smaller(excess, p->wanted);
    if (!amount_sub(p->wanted, taken, &p->wanted, err) || !amount_sub(excess, taken, &excess, err)) {
      return false;
    }
  }
  return true;
}

/* What is held on the line moves to pockets as soon as they have it. */
static bool spread(struct unbilled *u, const struct credit_slice_request *r, instant at, amount target,
                   struct error *err) {
  amount in_pockets, on_line, left;
  for (size_t i = 0; i < u->parts.count; i++) {
    u->parts.items[i].wanted = u->parts.items[i].held;
  }
  if (!unbilled_held(u, &in_pockets, &on_line, err) || !amount_sub(target, in_pockets, &left, err)) {
    return false;
  }
  return amount_cmp(left, AMOUNT_ZERO) >= 0 ? spread_more(u, r->product, at, left, r->line, err)
                                            : spread_less(u, amount_negate(left), err);
}

static bool sum_wanted(const struct unbilled *u, amount *out, struct error *err) {
  *out = AMOUNT_ZERO;
  for (size_t i = 0; i < u->parts.count; i++) {
    if (!amount_add(*out, u->parts.items[i].wanted, out, err)) {
      return false;
    }
  }
  return true;
}

/* Usage first, the oldest first; the slice is the rest. */
static bool divide(struct unbilled *u, amount held, struct error *err) {
  for (size_t i = 0; i < u->periods.count; i++) {
    struct unbilled_period *p = &u->periods.items[i];
    p->reserved = smaller(p->spent, held);
    if (!amount_sub(held, p->reserved, &held, err)) {
      return false;
    }
  }
  u->slice = held;
  return true;
}

static bool plan(struct unbilled *u, const struct credit_slice_request *r, instant at, struct error *err) {
  amount target, least, held, had, in_pockets, on_line;
  if (!amount_add(u->spent, r->wanted, &target, err) || !amount_add(u->spent, r->least, &least, err) ||
      !spread(u, r, at, target, err) || !sum_wanted(u, &held, err)) {
    return false;
  }
  if (amount_cmp(held, least) < 0) {
    if (!unbilled_held(u, &in_pockets, &on_line, err) || !amount_add(in_pockets, on_line, &had, err) ||
        !spread(u, r, at, larger(u->spent, smaller(had, target)), err) || !sum_wanted(u, &held, err)) {
      return false;
    }
  }
  return divide(u, held, err);
}

/* ---- doing it ---- */

/* The line's account can be overdrawn as far as may be owed, or as far as is held already. */
static bool set_line_floor(struct ledger *ledger, const struct unbilled *u, amount line, struct error *err) {
  const struct unbilled_part *p = &u->parts.items[u->parts.count - 1];
  struct account a = {0};
  struct error none = {0};
  amount floor = amount_negate(larger(line, larger(p->wanted, p->held)));
  if (ledger_account(ledger, p->account, u->currency, &a, &none) ? amount_cmp(a.floor, floor) == 0
                                                                 : amount_is_zero(floor)) {
    return true;
  }
  return ledger_set_floor(ledger, p->account, u->currency, true, floor, err);
}

static bool has_expired(const struct unbilled *u, instant now) {
  bool expired = false;
  for (size_t i = 0; i < u->grants.items.count && !expired; i++) {
    expired = has_expired_part(&u->grants.items.items[i], now);
  }
  return expired;
}

/* A hold stands on the first grants of a pocket: those that have expired go first, so that it does not keep them. */
static bool load_current(struct arena *arena, struct db *db, struct ledger *ledger,
                         const struct credit_slice_request *r, instant now, struct unbilled *out, struct error *err) {
  size_t count = 0;
  *out = (struct unbilled){0};
  if (!credit_activate(db, ledger, r->customer, now, err) ||
      !unbilled_load(arena, db, r->customer, r->currency, now, out, err)) {
    return false;
  }
  if (!has_expired(out, now)) {
    return true;
  }
  unbilled_free(out);
  return expire_of(db, ledger, r->customer, r->currency, now, &count, err) &&
         unbilled_load(arena, db, r->customer, r->currency, now, out, err);
}

bool credit_slice_reserve(struct db *db, struct ledger *ledger, const struct credit_slice_request *r, instant now,
                          amount *granted, struct error *err) {
  must(db_in_transaction(db));
  *granted = AMOUNT_ZERO;
  if (amount_cmp(r->wanted, AMOUNT_ZERO) < 0 || amount_cmp(r->least, AMOUNT_ZERO) < 0 ||
      amount_cmp(r->line, AMOUNT_ZERO) < 0) {
    return error_set(err, ERR_INVALID, "slice of customer " SLICE_FMT ": no amount should be below 0",
                     SLICE_ARG(r->customer));
  }
  struct arena *arena = arena_new();
  struct unbilled u;
  bool ok = load_current(arena, db, ledger, r, now, &u, err) && plan(&u, r, now, err) &&
            set_line_floor(ledger, &u, r->line, err) && unbilled_store(db, ledger, &u, now, err);
  if (ok) {
    *granted = u.slice;
  }
  unbilled_free(&u);
  arena_free(arena);
  return ok;
}

bool credit_slice_release(struct db *db, struct ledger *ledger, slice customer, slice currency, instant now,
                          struct error *err) {
  const struct credit_slice_request none = {.customer = customer, .currency = currency};
  amount granted;
  return credit_slice_reserve(db, ledger, &none, now, &granted, err);
}

/* ---- at the start ---- */

struct holder {
  slice customer, currency;
};
struct holders {
  struct arena *arena;
  VEC(struct holder) list;
};

static bool take_holder(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct holders *h = context;
  vec_push(&h->list, (struct holder){arena_copy(h->arena, db_bytes(row, 0)), arena_copy(h->arena, db_bytes(row, 1))});
  return true;
}

bool credit_slices_recover(struct db *db, struct ledger *ledger, instant now, size_t *count, struct error *err) {
  must(db_in_transaction(db));
  struct holders h = {.arena = arena_new()};
  bool ok = db_query(db,
                     "SELECT customer, currency FROM credit_slice"
                     " UNION SELECT customer, currency FROM credit_unbilled WHERE spent <> reserved ORDER BY 1, 2",
                     DB_NO_VALUES, take_holder, &h, err);
  *count = 0;
  for (size_t i = 0; ok && i < h.list.count; i++) {
    ok = credit_slice_release(db, ledger, h.list.items[i].customer, h.list.items[i].currency, now, err);
    *count += ok;
  }
  vec_free(&h.list);
  arena_free(h.arena);
  return ok;
}
