/* Holds on credit: one hold may lie on several pockets; what settles is taken from the grants of each, in order. */
#include "credit/private.h"
#include <stdlib.h>

#define CAUSE_CONSUMED SLICE("credit used")

/* ---- what leaves a pocket leaves its grants ---- */

bool credit_consume(struct db *db, slice pocket, slice currency, amount value, slice reference, instant now,
                    struct error *err) {
  must(db_in_transaction(db));
  struct grant_list list = {.arena = arena_new()};
  bool ok = db_query(db,
                     "SELECT " GRANT_COLUMNS " FROM credit_grant"
                     " WHERE pocket = $1 AND currency = $2 AND remaining <> '0' AND state <> 0",
                     DB_VALUES(DB_T(pocket), DB_T(currency)), take_grant, &list, err);
  if (list.items.count > 0) {
    qsort(list.items.items, list.items.count, sizeof *list.items.items, credit_order);
  }
  for (size_t i = 0; ok && i < list.items.count && !amount_is_zero(value); i++) {
    const struct credit_grant *g = &list.items.items[i];
    amount taken = amount_cmp(value, g->remaining) < 0 ? value : g->remaining;
    ok = move(db, g, MOVE_CONSUME, reference, taken, now, err) && amount_sub(value, taken, &value, err);
  }
  if (ok && !amount_is_zero(value)) {
    char text[DECIMAL_TEXT_MAX];
    ok = error_set(err, ERR_CORRUPT, "the grants of " SLICE_FMT " do not hold %s that left it: run check",
                   SLICE_ARG(pocket), amount_text(value, text));
  }
  vec_free(&list.items);
  arena_free(list.arena);
  return ok;
}

/* ---- a hold's rows ---- */

struct part {
  slice pocket;
  amount amount;
};
struct kept_hold {
  struct arena *arena;
  slice customer, currency, product, to, reference, state;
  amount amount, settled;
  bool found;
  VEC(struct part) parts;
};

static bool take_hold(const struct db_row *row, void *context, struct error *err) {
  struct kept_hold *h = context;
  h->found = true;
  h->customer = arena_copy(h->arena, db_bytes(row, 0));
  h->currency = arena_copy(h->arena, db_bytes(row, 1));
  h->product = arena_copy(h->arena, db_bytes(row, 2));
  h->to = arena_copy(h->arena, db_bytes(row, 3));
  h->reference = arena_copy(h->arena, db_bytes(row, 4));
  h->state = arena_copy(h->arena, db_bytes(row, 6));
  return db_amount(row, 5, &h->amount, err) && db_amount(row, 7, &h->settled, err);
}

static bool take_part(const struct db_row *row, void *context, struct error *err) {
  struct kept_hold *h = context;
  struct part p = {.pocket = arena_copy(h->arena, db_bytes(row, 0))};
  if (!db_amount(row, 1, &p.amount, err)) {
    return false;
  }
  vec_push(&h->parts, p);
  return true;
}

static bool load_hold(struct db *db, slice id, struct kept_hold *out, struct error *err) {
  return db_query(
             db,
             "SELECT customer, currency, product, to_account, reference, amount, state, settled FROM credit_hold WHERE "
             "id = $1",
             DB_VALUES(DB_T(id)), take_hold, out, err) &&
         db_query(db, "SELECT pocket, amount FROM credit_hold_part WHERE hold = $1 ORDER BY part", DB_VALUES(DB_T(id)),
                  take_part, out, err);
}

static void kept_hold_free(struct kept_hold *h) {
  vec_free(&h->parts);
  arena_free(h->arena);
}

static slice part_id(struct arena *arena, slice hold, size_t part) {
  return slice_of(arena_printf(arena, SLICE_FMT "/part/%zu", SLICE_ARG(hold), part + 1));
}

/* ---- making one ---- */

static void add_part(struct kept_hold *h, slice pocket, amount value) {
  for (size_t i = 0; i < h->parts.count; i++) {
    if (slice_eq(h->parts.items[i].pocket, pocket)) {
      h->parts.items[i].amount.e12 += value.e12; /* below the whole, which is an amount */
      return;
    }
  }
  vec_push(&h->parts, (struct part){pocket, value});
}

/* Grants in order, as far as the amount goes; what they give is put together by pocket. */
static bool divide(struct db *db, const struct credit_hold_request *r, instant now, struct kept_hold *out,
                   struct error *err) {
  struct credit_grants open;
  amount left = r->amount, had;
  if (!credit_open(out->arena, db, r->customer, r->currency, now, &open, err)) {
    return false;
  }
  for (size_t i = 0; i < open.count && !amount_is_zero(left); i++) {
    const struct credit_grant *g = &open.items[i];
    if (!credit_covers(g, r->product)) {
      continue;
    }
    amount taken = amount_cmp(left, g->available) < 0 ? left : g->available;
    add_part(out, g->pocket, taken);
    if (!amount_sub(left, taken, &left, err)) {
      return false;
    }
  }
  char has[DECIMAL_TEXT_MAX], wanted[DECIMAL_TEXT_MAX];
  return amount_is_zero(left) ||
         (amount_sub(r->amount, left, &had, err) &&
          error_set(err, ERR_FUNDS,
                    "customer " SLICE_FMT " has %s " SLICE_FMT " of credit available for this: %s can not be held",
                    SLICE_ARG(r->customer), amount_text(had, has), SLICE_ARG(r->currency),
                    amount_text(r->amount, wanted)));
}

static bool hold_parts(struct db *db, struct ledger *ledger, const struct credit_hold_request *r, instant now,
                       const struct kept_hold *h, struct error *err) {
  for (size_t i = 0; i < h->parts.count; i++) {
    const struct part *p = &h->parts.items[i];
    enum transfer_outcome outcome;
    struct transfer t = {.id = part_id(h->arena, r->id, i),
                         .from = p->pocket,
                         .to = r->to,
                         .currency = r->currency,
                         .amount = p->amount,
                         .time = now,
                         .cause = CAUSE_CONSUMED,
                         .reference = r->reference};
    if (!ledger_hold(ledger, &t, r->expires, &outcome, err) ||
        !db_run(db, "INSERT INTO credit_hold_part(hold, part, pocket, amount) VALUES($1, $2, $3, $4)",
                DB_VALUES(DB_T(r->id), DB_I((int64_t)i), DB_T(p->pocket), DB_A(p->amount)), NULL, err)) {
      return false;
    }
  }
  return db_run(db,
                "INSERT INTO credit_hold(id, customer, currency, product, to_account, reference, amount, state,"
                " settled) VALUES($1, $2, $3, $4, $5, $6, $7, 'open', '0')",
                DB_VALUES(DB_T(r->id), DB_T(r->customer), DB_T(r->currency), DB_T(r->product), DB_T(r->to),
                          DB_T(r->reference), DB_A(r->amount)),
                NULL, err);
}

static bool check_same(const struct kept_hold *h, const struct credit_hold_request *r, struct error *err) {
  bool same = slice_eq(h->customer, r->customer) && slice_eq(h->currency, r->currency) &&
              slice_eq(h->product, r->product) && slice_eq(h->to, r->to) && slice_eq(h->reference, r->reference) &&
              amount_cmp(h->amount, r->amount) == 0;
  return same ||
         error_set(err, ERR_CONFLICT, "hold " SLICE_FMT " was made before with other content", SLICE_ARG(r->id));
}

bool credit_hold(struct db *db, struct ledger *ledger, const struct credit_hold_request *r, instant now,
                 enum transfer_outcome *outcome, struct error *err) {
  must(db_in_transaction(db));
  struct kept_hold h = {.arena = arena_new()};
  bool ok = check_id("hold id", r->id, err) &&
            (amount_cmp(r->amount, AMOUNT_ZERO) > 0 ||
             error_set(err, ERR_INVALID, "hold " SLICE_FMT ": expected an amount above 0", SLICE_ARG(r->id))) &&
            load_hold(db, r->id, &h, err);
  *outcome = h.found ? TRANSFER_REPEATED : TRANSFER_DONE;
  if (ok && h.found) {
    ok = check_same(&h, r, err);
  } else if (ok) {
    ok = credit_activate(db, ledger, r->customer, now, err) && divide(db, r, now, &h, err) &&
         hold_parts(db, ledger, r, now, &h, err);
  }
  kept_hold_free(&h);
  return ok;
}

/* ---- ending one ---- */

static bool set_state(struct db *db, slice id, const char *state, amount settled, struct error *err) {
  return db_run(db, "UPDATE credit_hold SET state = $2, settled = $3 WHERE id = $1",
                DB_VALUES(DB_T(id), DB_T(slice_of(state)), DB_A(settled)), NULL, err);
}

static bool settle_parts(struct db *db, struct ledger *ledger, slice id, const struct kept_hold *h, amount value,
                         instant now, struct error *err) {
  for (size_t i = 0; i < h->parts.count; i++) {
    const struct part *p = &h->parts.items[i];
    amount taken = amount_cmp(value, p->amount) < 0 ? value : p->amount;
    if (!ledger_settle(ledger, part_id(h->arena, id, i), taken, now, err) ||
        (!amount_is_zero(taken) && !credit_consume(db, p->pocket, h->currency, taken, id, now, err)) ||
        !amount_sub(value, taken, &value, err)) {
      return false;
    }
  }
  return true;
}

static bool settle_found(struct db *db, struct ledger *ledger, slice id, const struct kept_hold *h, amount value,
                         instant now, struct error *err) {
  if (slice_is(h->state, "settled") && amount_cmp(h->settled, value) == 0) {
    return true;
  }
  if (!slice_is(h->state, "open")) {
    return error_set(err, ERR_CONFLICT, "hold " SLICE_FMT " is " SLICE_FMT " already", SLICE_ARG(id),
                     SLICE_ARG(h->state));
  }
  if (amount_cmp(value, AMOUNT_ZERO) < 0 || amount_cmp(value, h->amount) > 0) {
    char held[DECIMAL_TEXT_MAX], wanted[DECIMAL_TEXT_MAX];
    return error_set(err, ERR_INVALID, "hold " SLICE_FMT " reserved %s: %s can not be settled from it", SLICE_ARG(id),
                     amount_text(h->amount, held), amount_text(value, wanted));
  }
  return credit_activate(db, ledger, h->customer, now, err) && settle_parts(db, ledger, id, h, value, now, err) &&
         set_state(db, id, "settled", value, err);
}

static bool found_hold(struct db *db, slice id, struct kept_hold *h, struct error *err) {
  return load_hold(db, id, h, err) &&
         (h->found || error_set(err, ERR_NOT_FOUND, "there is no hold " SLICE_FMT, SLICE_ARG(id)));
}

bool credit_settle(struct db *db, struct ledger *ledger, slice id, amount value, instant now, struct error *err) {
  must(db_in_transaction(db));
  struct kept_hold h = {.arena = arena_new()};
  bool ok = found_hold(db, id, &h, err) && settle_found(db, ledger, id, &h, value, now, err);
  kept_hold_free(&h);
  return ok;
}

bool credit_release(struct db *db, struct ledger *ledger, slice id, instant now, struct error *err) {
  must(db_in_transaction(db));
  struct kept_hold h = {.arena = arena_new()};
  bool ok = found_hold(db, id, &h, err);
  if (ok && slice_is(h.state, "settled")) {
    ok = error_set(err, ERR_CONFLICT, "hold " SLICE_FMT " is settled already", SLICE_ARG(id));
  }
  for (size_t i = 0; ok && i < h.parts.count; i++) {
    ok = ledger_release(ledger, part_id(h.arena, id, i), now, err);
  }
  ok = ok && set_state(db, id, "released", AMOUNT_ZERO, err);
  kept_hold_free(&h);
  return ok;
}
