/* Usage that is not invoiced yet: what was spent by period, what is reserved for it, and the holds that reserve it. */
#include "credit/private.h"
#include <stdlib.h>

/* ---- spending ---- */

static bool take_amount(const struct db_row *row, void *context, struct error *err) {
  return db_amount(row, 0, context, err);
}

bool credit_unbilled_add(struct db *db, slice customer, slice currency, instant period_to, amount value,
                         struct error *err) {
  must(db_in_transaction(db));
  amount spent = AMOUNT_ZERO;
  if (amount_cmp(value, AMOUNT_ZERO) < 0) {
    return error_set(err, ERR_INVALID, "customer " SLICE_FMT ": usage should not cost less than 0",
                     SLICE_ARG(customer));
  }
  return db_query(db, "SELECT spent FROM credit_unbilled WHERE customer = $1 AND currency = $2 AND period_to = $3",
                  DB_VALUES(DB_T(customer), DB_T(currency), DB_I(period_to.ns)), take_amount, &spent, err) &&
         amount_add(spent, value, &spent, err) &&
         db_run(db,
                "INSERT INTO credit_unbilled(customer, currency, period_to, spent, reserved) VALUES($1, $2, $3, $4,"
                " '0') ON CONFLICT(customer, currency, period_to) DO UPDATE SET spent = $4",
                DB_VALUES(DB_T(customer), DB_T(currency), DB_I(period_to.ns), DB_A(spent)), NULL, err);
}

/* ---- as it stands ---- */

slice line_account(struct arena *arena, slice customer) {
  return slice_of(arena_printf(arena, "customer/" SLICE_FMT "/line", SLICE_ARG(customer)));
}

/* An account's name can be longer than an id of the ledger; its digest can not. */
static slice hold_id(struct arena *arena, slice account, slice currency) {
  char hex[65];
  slice key = slice_of(arena_printf(arena, SLICE_FMT "\n" SLICE_FMT, SLICE_ARG(account), SLICE_ARG(currency)));
  return slice_of(arena_printf(arena, "unbilled/%s", digest_hex(digest_of(key), hex)));
}

static bool take_period(const struct db_row *row, void *context, struct error *err) {
  struct unbilled *u = context;
  struct unbilled_period p = {.to = {db_int(row, 0)}};
  if (!db_amount(row, 1, &p.spent, err) || !db_amount(row, 2, &p.reserved, err) ||
      !amount_add(u->spent, p.spent, &u->spent, err)) {
    return false;
  }
  p.was_reserved = p.reserved;
  vec_push(&u->periods, p);
  return true;
}

static bool add_part(struct db *db, struct unbilled *u, slice account, struct error *err) {
  struct unbilled_part p = {.account = account};
  if (!ledger_hold_amount(db, hold_id(u->arena, account, u->currency), &p.held, err)) {
    return false;
  }
  p.wanted = p.held;
  vec_push(&u->parts, p);
  return true;
}

static bool load_parts(struct db *db, struct unbilled *u, instant at, struct error *err) {
  for (size_t i = 0; i < u->grants.items.count; i++) {
    const struct credit_grant *g = &u->grants.items.items[i];
    bool known = g->state == CREDIT_FUTURE && g->effective.ns > at.ns; /* its money lies apart */
    for (size_t p = 0; p < u->parts.count && !known; p++) {
      known = slice_eq(u->parts.items[p].account, g->pocket);
    }
    if (!known && !add_part(db, u, g->pocket, err)) {
      return false;
    }
  }
  return add_part(db, u, line_account(u->arena, u->customer), err);
}

bool unbilled_load(struct arena *arena, struct db *db, slice customer, slice currency, instant at, struct unbilled *out,
                   struct error *err) {
  *out = (struct unbilled){.arena = arena, .customer = customer, .currency = currency, .grants = {.arena = arena}};
  bool ok = db_query(db,
                     "SELECT period_to, spent, reserved FROM credit_unbilled WHERE customer = $1 AND currency = $2"
                     " ORDER BY period_to",
                     DB_VALUES(DB_T(customer), DB_T(currency)), take_period, out, err) &&
            db_query(db, "SELECT amount FROM credit_slice WHERE customer = $1 AND currency = $2",
                     DB_VALUES(DB_T(customer), DB_T(currency)), take_amount, &out->slice, err) &&
            load_open(db, customer, currency, at, &out->grants, err) && load_parts(db, out, at, err);
  out->was_slice = out->slice;
  return ok;
}

void unbilled_free(struct unbilled *u) {
  vec_free(&u->periods);
  vec_free(&u->parts);
  vec_free(&u->grants.items);
  *u = (struct unbilled){0};
}

bool unbilled_held(const struct unbilled *u, amount *in_pockets, amount *on_line, struct error *err) {
  size_t line = u->parts.count - 1;
  *in_pockets = AMOUNT_ZERO;
  *on_line = u->parts.items[line].held;
  for (size_t i = 0; i < line; i++) {
    if (!amount_add(*in_pockets, u->parts.items[i].held, in_pockets, err)) {
      return false;
    }
  }
  return true;
}

/* ---- changing it ---- */

static bool store_part(struct ledger *ledger, const struct unbilled *u, const struct unbilled_part *p, instant now,
                       struct error *err) {
  struct transfer t = {
      .id = hold_id(u->arena, p->account, u->currency),
      .from = p->account,
      .to = slice_of(arena_printf(u->arena, "customer/" SLICE_FMT "/receivable", SLICE_ARG(u->customer))),
      .currency = u->currency,
      .amount = p->wanted,
      .time = now,
      .cause = CAUSE_UNBILLED,
      .reference = u->customer};
  return amount_cmp(p->held, p->wanted) == 0 || ledger_change_hold(ledger, &t, INSTANT_MAX, err);
}

static bool store_period(struct db *db, const struct unbilled *u, const struct unbilled_period *p, struct error *err) {
  if (p->over) {
    return db_run(db, "DELETE FROM credit_unbilled WHERE customer = $1 AND currency = $2 AND period_to = $3",
                  DB_VALUES(DB_T(u->customer), DB_T(u->currency), DB_I(p->to.ns)), NULL, err);
  }
  return amount_cmp(p->reserved, p->was_reserved) == 0 ||
         db_run(db, "UPDATE credit_unbilled SET reserved = $4 WHERE customer = $1 AND currency = $2 AND period_to = $3",
                DB_VALUES(DB_T(u->customer), DB_T(u->currency), DB_I(p->to.ns), DB_A(p->reserved)), NULL, err);
}

static bool store_slice(struct db *db, const struct unbilled *u, struct error *err) {
  if (amount_cmp(u->slice, u->was_slice) == 0) {
    return true;
  }
  if (amount_is_zero(u->slice)) {
    return db_run(db, "DELETE FROM credit_slice WHERE customer = $1 AND currency = $2",
                  DB_VALUES(DB_T(u->customer), DB_T(u->currency)), NULL, err);
  }
  return db_run(db,
                "INSERT INTO credit_slice(customer, currency, amount) VALUES($1, $2, $3)"
                " ON CONFLICT(customer, currency) DO UPDATE SET amount = $3",
                DB_VALUES(DB_T(u->customer), DB_T(u->currency), DB_A(u->slice)), NULL, err);
}

bool unbilled_store(struct db *db, struct ledger *ledger, struct unbilled *u, instant now, struct error *err) {
  for (size_t i = 0; i < u->parts.count; i++) {
    if (!store_part(ledger, u, &u->parts.items[i], now, err)) {
      return false;
    }
  }
  for (size_t i = 0; i < u->periods.count; i++) {
    if (!store_period(db, u, &u->periods.items[i], err)) {
      return false;
    }
  }
  return store_slice(db, u, err);
}

/* ---- reading ---- */

bool credit_unbilled(struct db *db, slice customer, slice currency, struct credit_unbilled *out, struct error *err) {
  struct arena *arena = arena_new();
  struct unbilled u;
  *out = (struct credit_unbilled){0};
  bool ok = unbilled_load(arena, db, customer, currency, INSTANT_MAX, &u, err) &&
            unbilled_held(&u, &out->in_pockets, &out->on_line, err);
  for (size_t i = 0; ok && i < u.periods.count; i++) {
    ok = amount_add(out->reserved, u.periods.items[i].reserved, &out->reserved, err);
  }
  out->spent = u.spent;
  out->slice = u.slice;
  unbilled_free(&u);
  arena_free(arena);
  return ok;
}

/* Usage lies on the pockets first; of what is beyond it, the line is the first to be free. */
static bool stand(const struct credit_unbilled *u, const struct credit_balance *b, amount free_of_slice,
                  struct credit_standing *out, struct error *err) {
  amount spent_in_pockets = smaller(u->spent, u->in_pockets), spent_on_line, line_rest, pocket_rest, line_free,
         pocket_free;
  if (!amount_sub(u->spent, spent_in_pockets, &spent_on_line, err) ||
      !amount_sub(u->on_line, smaller(spent_on_line, u->on_line), &line_rest, err) ||
      !amount_sub(u->in_pockets, spent_in_pockets, &pocket_rest, err)) {
    return false;
  }
  line_free = smaller(larger(free_of_slice, AMOUNT_ZERO), line_rest);
  if (!amount_sub(free_of_slice, line_free, &pocket_free, err)) {
    return false;
  }
  pocket_free = smaller(larger(pocket_free, AMOUNT_ZERO), pocket_rest);
  out->unbilled = u->spent;
  return amount_add(b->available, pocket_free, &out->available, err) &&
         amount_sub(b->held, spent_in_pockets, &out->held, err) &&
         amount_sub(out->held, pocket_free, &out->held, err) && amount_sub(u->on_line, line_free, &out->line_used, err);
}

bool credit_standing(struct db *db, slice customer, slice currency, instant at, amount free_of_slice,
                     struct credit_standing *out, struct error *err) {
  struct arena *arena = arena_new();
  struct credit_unbilled u;
  struct credit_balance b;
  *out = (struct credit_standing){0};
  bool ok = credit_unbilled(db, customer, currency, &u, err) &&
            credit_balance(arena, db, customer, currency, at, &b, err) && stand(&u, &b, free_of_slice, out, err);
  arena_free(arena);
  return ok;
}

bool credit_line_left(struct db *db, const struct customer *customer, amount *owed, amount *out, struct error *err) {
  struct arena *arena = arena_new();
  amount balance, due = AMOUNT_ZERO;
  slice receivable = slice_of(arena_printf(arena, "customer/" SLICE_FMT "/receivable", SLICE_ARG(customer->id)));
  bool ok = ledger_balance(db, receivable, slice_of(customer->currency->code), &balance, err);
  arena_free(arena);
  if (ok && amount_cmp(balance, AMOUNT_ZERO) < 0) {
    due = amount_negate(balance);
  }
  if (owed) {
    *owed = due;
  }
  *out = AMOUNT_ZERO;
  return ok && (amount_cmp(due, customer->credit_line) >= 0 || amount_sub(customer->credit_line, due, out, err));
}
