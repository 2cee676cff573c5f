/* What is taken of grants, and given back: each time a row beside the grant, so that what remains can be told again. */
#include "credit/private.h"
#include <stdlib.h>

const char *move_kind_name(enum move_kind kind) {
  static const char *const names[] = {"draw", "consume", "expire", "revoke", "return"};
  must((unsigned)kind < sizeof names / sizeof *names);
  return names[kind];
}

bool move(struct db *db, const struct credit_grant *g, enum move_kind kind, slice reference, amount value, instant now,
          struct error *err) {
  amount remaining;
  if (!(kind == MOVE_RETURN ? amount_add(g->remaining, value, &remaining, err)
                            : amount_sub(g->remaining, value, &remaining, err))) {
    return false;
  }
  must(amount_cmp(remaining, AMOUNT_ZERO) >= 0 && amount_cmp(remaining, g->amount) <= 0);
  return db_run(db, "UPDATE credit_grant SET remaining = $2 WHERE id = $1", DB_VALUES(DB_T(g->id), DB_A(remaining)),
                NULL, err) &&
         db_run(
             db, "INSERT INTO credit_move(grant_id, kind, reference, amount, time) VALUES($1, $2, $3, $4, $5)",
             DB_VALUES(DB_T(g->id), DB_T(slice_of(move_kind_name(kind))), DB_T(reference), DB_A(value), DB_I(now.ns)),
             NULL, err);
}

bool take_out(struct db *db, struct ledger *ledger, const struct credit_grant *g, enum move_kind kind, amount value,
              instant now, struct error *err) {
  struct arena *arena = arena_new();
  enum transfer_outcome outcome;
  int64_t moves = 0;
  bool breakage = kind == MOVE_EXPIRE && g->kind == CREDIT_PREPAID;
  bool ok = move(db, g, kind, (slice){0}, value, now, err) &&
            db_query(db, "SELECT count(*) FROM credit_move WHERE grant_id = $1", DB_VALUES(DB_T(g->id)), take_integer,
                     &moves, err);
  struct transfer t = {.id = slice_of(arena_printf(arena, SLICE_FMT "/%s/%lld", SLICE_ARG(g->id), move_kind_name(kind),
                                                   (long long)moves)),
                       .from = g->state == CREDIT_FUTURE ? future_pocket(arena, g->customer) : g->pocket,
                       .to = breakage ? POCKET_BREAKAGE : g->source,
                       .currency = g->currency,
                       .amount = value,
                       .time = now,
                       .cause = breakage ? SLICE("breakage") : slice_of(move_kind_name(kind)),
                       .reference = g->id};
  ok = ok && ledger_transfer(ledger, &t, &outcome, err);
  arena_free(arena);
  return ok;
}

/* ---- ending ---- */

/* What holds reserve of it stays; credit_expire takes that once they end. */
static bool take_free(struct db *db, struct ledger *ledger, const struct credit_grant *g, enum move_kind kind,
                      instant now, struct error *err) {
  struct grant_list all = {.arena = arena_new()};
  amount value = g->remaining;
  bool ok = g->state == CREDIT_FUTURE || load_open(db, g->customer, g->currency, now, &all, err);
  for (size_t i = 0; ok && i < all.items.count; i++) {
    if (slice_eq(all.items.items[i].id, g->id)) {
      value = all.items.items[i].available;
    }
  }
  ok = ok && (amount_is_zero(value) || take_out(db, ledger, g, kind, value, now, err));
  vec_free(&all.items);
  arena_free(all.arena);
  return ok;
}

static bool end_grant(struct db *db, struct ledger *ledger, slice id, enum move_kind kind, instant now,
                      struct error *err) {
  must(db_in_transaction(db));
  struct arena *arena = arena_new();
  struct credit_grant g;
  /* What holds reserve is told over all effective grants: their money has to be where they are counted. */
  bool ok = find_grant(arena, db, id, &g, err) && credit_activate(db, ledger, g.customer, now, err) &&
            find_grant(arena, db, id, &g, err) && take_free(db, ledger, &g, kind, now, err);
  if (ok) {
    enum credit_state state = kind == MOVE_REVOKE || g.state == CREDIT_REVOKED ? CREDIT_REVOKED : CREDIT_OPEN;
    instant end = time_earlier(g.expires, now);
    ok = db_run(db, "UPDATE credit_grant SET state = $2, expires = $3 WHERE id = $1",
                DB_VALUES(DB_T(g.id), DB_I((int64_t)state), DB_I(end.ns)), NULL, err);
  }
  arena_free(arena);
  return ok;
}

bool credit_end(struct db *db, struct ledger *ledger, slice id, instant now, struct error *err) {
  return end_grant(db, ledger, id, MOVE_EXPIRE, now, err);
}

bool credit_revoke(struct db *db, struct ledger *ledger, slice id, instant now, struct error *err) {
  return end_grant(db, ledger, id, MOVE_REVOKE, now, err);
}

struct owner {
  slice customer, currency;
};
struct owners {
  struct arena *arena;
  VEC(struct owner) list;
};

static bool take_owner(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct owners *o = context;
  vec_push(&o->list, (struct owner){arena_copy(o->arena, db_bytes(row, 0)), arena_copy(o->arena, db_bytes(row, 1))});
  return true;
}

bool expire_of(struct db *db, struct ledger *ledger, slice customer, slice currency, instant now, size_t *count,
               struct error *err) {
  struct grant_list all = {.arena = arena_new()};
  bool ok = load_open(db, customer, currency, now, &all, err);
  for (size_t i = 0; ok && i < all.items.count; i++) {
    const struct credit_grant *g = &all.items.items[i];
    if (has_expired_part(g, now)) {
      ok = take_out(db, ledger, g, g->state == CREDIT_REVOKED ? MOVE_REVOKE : MOVE_EXPIRE, g->available, now, err);
      *count += ok;
    }
  }
  vec_free(&all.items);
  arena_free(all.arena);
  return ok;
}

static bool load_owners(struct db *db, instant now, struct owners *out, struct error *err) {
  return db_query(db,
                  "SELECT DISTINCT customer, currency FROM credit_grant WHERE expires <= $1 AND remaining <> '0'"
                  " ORDER BY customer, currency",
                  DB_VALUES(DB_I(now.ns)), take_owner, out, err);
}

bool credit_expire(struct db *db, struct ledger *ledger, instant now, size_t *count, struct error *err) {
  struct owners owners = {.arena = arena_new()};
  *count = 0;
  bool ok = credit_activate(db, ledger, (slice){0}, now, err) && load_owners(db, now, &owners, err);
  for (size_t i = 0; ok && i < owners.list.count; i++) {
    ok = expire_of(db, ledger, owners.list.items[i].customer, owners.list.items[i].currency, now, count, err);
  }
  vec_free(&owners.list);
  arena_free(owners.arena);
  return ok;
}

static bool take_any(const struct db_row *row, void *context, struct error *err) {
  (void)row;
  (void)err;
  *(bool *)context = true;
  return true;
}

/* What holds reserve of expired credit may stand for months: that alone is nothing to do. */
static bool is_due_of(struct db *db, const struct owner *o, instant now, bool *out, struct error *err) {
  struct grant_list all = {.arena = arena_new()};
  bool ok = load_open(db, o->customer, o->currency, now, &all, err);
  for (size_t i = 0; ok && i < all.items.count; i++) {
    *out = *out || has_expired_part(&all.items.items[i], now);
  }
  vec_free(&all.items);
  arena_free(all.arena);
  return ok;
}

bool credit_is_due(struct db *db, instant now, bool *out, struct error *err) {
  struct owners owners = {.arena = arena_new()};
  *out = false;
  bool ok = db_query(db, "SELECT 1 FROM credit_grant WHERE state = 0 AND effective <= $1 LIMIT 1",
                     DB_VALUES(DB_I(now.ns)), take_any, out, err) &&
            (*out || load_owners(db, now, &owners, err));
  for (size_t i = 0; ok && !*out && i < owners.list.count; i++) {
    ok = is_due_of(db, &owners.list.items[i], now, out, err);
  }
  vec_free(&owners.list);
  arena_free(owners.arena);
  return ok;
}

/* ---- invoices ---- */

static struct credit_grant *find_open(struct credit_grants *open, slice id) {
  for (size_t i = 0; i < open->count; i++) {
    if (slice_eq(open->items[i].id, id)) {
      return (struct credit_grant *)(uintptr_t)&open->items[i]; /* in our arena */
    }
  }
  return NULL;
}

static bool draw_one(struct db *db, struct credit_grant *g, const struct credit_use *use, slice invoice, instant now,
                     struct error *err) {
  if (g == NULL || amount_cmp(use->amount, g->available) > 0) {
    return error_set(err, ERR_CONFLICT,
                     "credit " SLICE_FMT " was spent meanwhile: make the invoice anew from what is left",
                     SLICE_ARG(use->grant->id));
  }
  return move(db, g, MOVE_DRAW, invoice, use->amount, now, err) &&
         amount_sub(g->remaining, use->amount, &g->remaining, err) &&
         amount_sub(g->available, use->amount, &g->available, err);
}

bool credit_draw(struct db *db, const struct credit_use *uses, size_t count, slice invoice, instant now,
                 struct error *err) {
  must(db_in_transaction(db));
  if (count == 0) {
    return true;
  }
  struct arena *arena = arena_new();
  struct credit_grants open;
  bool ok = credit_open(arena, db, uses[0].grant->customer, uses[0].grant->currency, now, &open, err);
  for (size_t i = 0; ok && i < count; i++) {
    ok = draw_one(db, find_open(&open, uses[i].grant->id), &uses[i], invoice, now, err);
  }
  arena_free(arena);
  return ok;
}

struct drawn {
  slice grant;
  amount value;
};
struct moved {
  struct arena *arena;
  VEC(struct drawn) draws;
  bool returned;
};

static bool take_draw(const struct db_row *row, void *context, struct error *err) {
  struct moved *m = context;
  amount value;
  if (slice_is(db_bytes(row, 1), move_kind_name(MOVE_RETURN))) {
    m->returned = true;
    return true;
  }
  if (!db_amount(row, 2, &value, err)) {
    return false;
  }
  vec_push(&m->draws, (struct drawn){arena_copy(m->arena, db_bytes(row, 0)), value});
  return true;
}

static bool return_one(struct arena *arena, struct db *db, struct ledger *ledger, slice grant, amount value,
                       slice invoice, instant now, struct error *err) {
  struct credit_grant g;
  if (!find_grant(arena, db, grant, &g, err) || !move(db, &g, MOVE_RETURN, invoice, value, now, err)) {
    return false;
  }
  if (g.state == CREDIT_REVOKED) {
    return amount_add(g.remaining, value, &g.remaining, err) && take_out(db, ledger, &g, MOVE_REVOKE, value, now, err);
  }
  instant least = {now.ns + CREDIT_RETURN_DAYS * INT64_C(86400) * NS_PER_S};
  return g.expires.ns >= least.ns || db_run(db, "UPDATE credit_grant SET expires = $2 WHERE id = $1",
                                            DB_VALUES(DB_T(g.id), DB_I(least.ns)), NULL, err);
}

bool credit_return(struct db *db, struct ledger *ledger, slice invoice, instant now, struct error *err) {
  must(db_in_transaction(db));
  struct moved m = {.arena = arena_new()};
  bool ok =
      db_query(db,
               "SELECT grant_id, kind, amount FROM credit_move WHERE reference = $1 AND kind IN ('draw', 'return')"
               " ORDER BY sequence",
               DB_VALUES(DB_T(invoice)), take_draw, &m, err);
  for (size_t i = 0; ok && !m.returned && i < m.draws.count; i++) {
    ok = return_one(m.arena, db, ledger, m.draws.items[i].grant, m.draws.items[i].value, invoice, now, err);
  }
  vec_free(&m.draws);
  arena_free(m.arena);
  return ok;
}

static bool add_amount(const struct db_row *row, void *context, struct error *err) {
  amount value, *sum = context;
  return db_amount(row, 0, &value, err) && amount_add(*sum, value, sum, err);
}

bool credit_drawn(struct db *db, slice grant, slice invoice, amount *out, struct error *err) {
  *out = AMOUNT_ZERO;
  return db_query(db,
                  "SELECT amount FROM credit_move WHERE reference = $2 AND kind = 'draw'"
                  " AND ($1 = '' OR grant_id = $1)",
                  DB_VALUES(DB_T(grant), DB_T(invoice)), add_amount, out, err);
}
