/* Holds: reserve, then settle up to the held amount or release; each step idempotent under the hold's id. And one kind
 * that is set to an amount again and again. */
#include "ledger/private.h"
#include <stdlib.h>
#include <string.h>

struct hold {
  struct arena *arena;
  struct transfer transfer;
  amount settled;
  instant expires;
  slice state;
  bool found;
};

static bool take_hold(const struct db_row *row, void *context, struct error *err) {
  struct hold *h = context;
  h->found = true;
  h->transfer.from = arena_copy(h->arena, db_bytes(row, 0));
  h->transfer.to = arena_copy(h->arena, db_bytes(row, 1));
  h->transfer.currency = arena_copy(h->arena, db_bytes(row, 2));
  h->transfer.cause = arena_copy(h->arena, db_bytes(row, 4));
  h->transfer.reference = arena_copy(h->arena, db_bytes(row, 5));
  h->state = arena_copy(h->arena, db_bytes(row, 6));
  return db_amount(row, 3, &h->transfer.amount, err) && db_amount(row, 7, &h->settled, err);
}

static bool find_hold(struct db *db, slice id, struct hold *out, struct error *err) {
  return db_query(
      db, "SELECT from_account, to_account, currency, amount, cause, reference, state, settled FROM hold WHERE id = $1",
      DB_VALUES(DB_T(id)), take_hold, out, err);
}

static bool is_of(const struct transfer *a, const struct transfer *b) {
  return slice_eq(a->from, b->from) && slice_eq(a->to, b->to) && slice_eq(a->currency, b->currency) &&
         slice_eq(a->cause, b->cause) && slice_eq(a->reference, b->reference);
}

static bool change_held(struct ledger *l, struct account *a, amount by, bool more, struct error *err) {
  amount held;
  if (!(more ? amount_add(a->held, by, &held, err) : amount_sub(a->held, by, &held, err))) {
    return false;
  }
  must(amount_cmp(held, AMOUNT_ZERO) >= 0);
  ledger_touch(l, a);
  a->held = held;
  return true;
}

static bool new_hold(struct ledger *l, const struct transfer *t, instant expires, struct error *err) {
  struct account *a = ledger_place(l, t->from, t->currency);
  return ledger_check_floor(a, t->amount, err) &&
         db_run(l->db,
                "INSERT INTO hold(id, from_account, to_account, currency, amount, time, expires, cause, reference, "
                "state, settled)"
                " VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', '0')",
                DB_VALUES(DB_T(t->id), DB_T(t->from), DB_T(t->to), DB_T(t->currency), DB_A(t->amount), DB_I(t->time.ns),
                          DB_I(expires.ns), DB_T(t->cause), DB_T(t->reference)),
                NULL, err) &&
         change_held(l, a, t->amount, true, err);
}

bool ledger_hold(struct ledger *l, const struct transfer *t, instant expires, enum transfer_outcome *outcome,
                 struct error *err) {
  struct hold h = {.arena = arena_new()};
  must(l->magic == LEDGER_MAGIC && db_in_transaction(l->db));
  bool ok = ledger_check_transfer(t, err) && find_hold(l->db, t->id, &h, err);
  if (ok && h.found && !(is_of(&h.transfer, t) && amount_cmp(h.transfer.amount, t->amount) == 0)) {
    ok = error_set(err, ERR_CONFLICT, "hold " SLICE_FMT " was made before with other content", SLICE_ARG(t->id));
  }
  if (ok && !h.found) {
    ok = new_hold(l, t, expires, err);
  }
  *outcome = h.found ? TRANSFER_REPEATED : TRANSFER_DONE;
  arena_free(h.arena);
  return ok;
}

/* ---- one that grows and shrinks ---- */

/* More of it has to be there; less always is. */
static bool change_open(struct ledger *l, const struct transfer *t, instant expires, amount was, struct error *err) {
  struct account *a = ledger_place(l, t->from, t->currency);
  amount more;
  if (!amount_sub(t->amount, was, &more, err)) {
    return false;
  }
  bool grows = amount_cmp(more, AMOUNT_ZERO) > 0;
  bool ok = !grows || ledger_check_floor(a, more, err);
  if (ok && amount_is_zero(t->amount)) {
    ok = db_run(l->db, "DELETE FROM hold WHERE id = $1", DB_VALUES(DB_T(t->id)), NULL, err);
  } else if (ok) {
    ok = db_run(l->db, "UPDATE hold SET amount = $2, time = $3, expires = $4 WHERE id = $1",
                DB_VALUES(DB_T(t->id), DB_A(t->amount), DB_I(t->time.ns), DB_I(expires.ns)), NULL, err);
  }
  return ok && (amount_is_zero(more) || change_held(l, a, grows ? more : amount_negate(more), grows, err));
}

static bool change_found(struct ledger *l, const struct transfer *t, instant expires, const struct hold *h,
                         struct error *err) {
  if (!h->found) {
    return amount_is_zero(t->amount) || (ledger_check_transfer(t, err) && new_hold(l, t, expires, err));
  }
  if (!slice_is(h->state, "open") || !is_of(&h->transfer, t)) {
    return error_set(err, ERR_CONFLICT, "hold " SLICE_FMT " %s", SLICE_ARG(t->id),
                     slice_is(h->state, "open") ? "was made with other content" : "has ended already");
  }
  return change_open(l, t, expires, h->transfer.amount, err);
}

bool ledger_change_hold(struct ledger *l, const struct transfer *t, instant expires, struct error *err) {
  struct hold h = {.arena = arena_new()};
  must(l->magic == LEDGER_MAGIC && db_in_transaction(l->db));
  bool ok = amount_cmp(t->amount, AMOUNT_ZERO) >= 0
                ? find_hold(l->db, t->id, &h, err) && change_found(l, t, expires, &h, err)
                : error_set(err, ERR_INVALID, "hold " SLICE_FMT ": the amount should not be below 0", SLICE_ARG(t->id));
  arena_free(h.arena);
  return ok;
}

bool ledger_hold_amount(struct db *db, slice id, amount *out, struct error *err) {
  struct hold h = {.arena = arena_new()};
  bool ok = find_hold(db, id, &h, err);
  *out = ok && h.found && slice_is(h.state, "open") ? h.transfer.amount : AMOUNT_ZERO;
  arena_free(h.arena);
  return ok;
}

/* ---- ending one ---- */

static bool finish(struct ledger *l, slice id, const struct hold *h, const char *state, amount settled,
                   struct error *err) {
  return db_run(l->db, "UPDATE hold SET state = $2, settled = $3 WHERE id = $1",
                DB_VALUES(DB_T(id), DB_T(slice_of(state)), DB_A(settled)), NULL, err) &&
         change_held(l, ledger_place(l, h->transfer.from, h->transfer.currency), h->transfer.amount, false, err);
}

/* The amount was reserved, so posting it can not break the floor. */
static bool post_settled(struct ledger *l, slice id, struct hold *h, amount value, instant time, struct error *err) {
  bool repeated;
  if (amount_is_zero(value)) {
    return true;
  }
  h->transfer.id = slice_of(arena_printf(h->arena, SLICE_FMT "/settle", SLICE_ARG(id)));
  h->transfer.amount = value;
  h->transfer.time = time;
  return ledger_post(l, &h->transfer, &repeated, err);
}

static bool settle_found(struct ledger *l, slice id, struct hold *h, amount value, instant time, struct error *err) {
  if (!h->found) {
    return error_set(err, ERR_NOT_FOUND, "there is no hold " SLICE_FMT, SLICE_ARG(id));
  }
  if (slice_is(h->state, "settled") && amount_cmp(h->settled, value) == 0) {
    return true;
  }
  if (!slice_is(h->state, "open")) {
    return error_set(err, ERR_CONFLICT, "hold " SLICE_FMT " is " SLICE_FMT " already", SLICE_ARG(id),
                     SLICE_ARG(h->state));
  }
  if (amount_cmp(value, AMOUNT_ZERO) < 0 || amount_cmp(value, h->transfer.amount) > 0) {
    char held[DECIMAL_TEXT_MAX], wanted[DECIMAL_TEXT_MAX];
    return error_set(err, ERR_INVALID, "hold " SLICE_FMT " reserved %s: %s can not be settled from it", SLICE_ARG(id),
                     amount_text(h->transfer.amount, held), amount_text(value, wanted));
  }
  return finish(l, id, h, "settled", value, err) && post_settled(l, id, h, value, time, err);
}

bool ledger_settle(struct ledger *l, slice hold_id, amount value, instant time, struct error *err) {
  struct hold h = {.arena = arena_new()};
  must(db_in_transaction(l->db));
  bool ok = find_hold(l->db, hold_id, &h, err) && settle_found(l, hold_id, &h, value, time, err);
  arena_free(h.arena);
  return ok;
}

static bool release_found(struct ledger *l, slice id, const struct hold *h, struct error *err) {
  if (!h->found) {
    return error_set(err, ERR_NOT_FOUND, "there is no hold " SLICE_FMT, SLICE_ARG(id));
  }
  if (slice_is(h->state, "released")) {
    return true;
  }
  if (!slice_is(h->state, "open")) {
    return error_set(err, ERR_CONFLICT, "hold " SLICE_FMT " is settled already", SLICE_ARG(id));
  }
  return finish(l, id, h, "released", AMOUNT_ZERO, err);
}

bool ledger_release(struct ledger *l, slice hold_id, instant time, struct error *err) {
  struct hold h = {.arena = arena_new()};
  (void)time;
  must(db_in_transaction(l->db));
  bool ok = find_hold(l->db, hold_id, &h, err) && release_found(l, hold_id, &h, err);
  arena_free(h.arena);
  return ok;
}

struct expired {
  struct arena *arena;
  VEC(slice) ids;
};

static bool take_id(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct expired *e = context;
  vec_push(&e->ids, arena_copy(e->arena, db_bytes(row, 0)));
  return true;
}

static bool take_any(const struct db_row *row, void *context, struct error *err) {
  (void)row;
  (void)err;
  *(bool *)context = true;
  return true;
}

bool ledger_expiry_is_due(struct db *db, instant now, bool *due, struct error *err) {
  *due = false;
  return db_query(db, "SELECT 1 FROM hold WHERE state = 'open' AND expires <= $1 LIMIT 1", DB_VALUES(DB_I(now.ns)),
                  take_any, due, err);
}

bool ledger_expire(struct ledger *l, instant now, size_t *released, struct error *err) {
  struct expired e = {.arena = arena_new()};
  bool ok = db_query(l->db, "SELECT id FROM hold WHERE state = 'open' AND expires <= $1 ORDER BY expires, id",
                     DB_VALUES(DB_I(now.ns)), take_id, &e, err);
  *released = 0;
  for (size_t i = 0; ok && i < e.ids.count; i++) {
    ok = ledger_release(l, e.ids.items[i], now, err);
    *released += ok;
  }
  vec_free(&e.ids);
  arena_free(e.arena);
  return ok;
}
