/* The invariants of credit: what remains of grants by their moves, and pockets by their grants. */
#include "credit/private.h"
#include <stdlib.h>
#include <string.h>

struct check {
  struct db *db;
  struct ledger *ledger;
  void (*bad)(void *context, const char *what);
  void *context;
  struct arena *arena;
  struct map left; /* "pocket\ncurrency" to an amount: what its grants say is in it */
};

static bool subtract_move(const struct db_row *row, void *context, struct error *err) {
  amount value, *left = context;
  if (!db_amount(row, 1, &value, err)) {
    return false;
  }
  return slice_is(db_bytes(row, 0), move_kind_name(MOVE_RETURN)) ? amount_add(*left, value, left, err)
                                                                 : amount_sub(*left, value, left, err);
}

static amount *pocket_of(struct check *c, slice pocket, slice currency) {
  slice key = slice_of(arena_printf(c->arena, SLICE_FMT "\n" SLICE_FMT, SLICE_ARG(pocket), SLICE_ARG(currency)));
  void **place = map_put(&c->left, key);
  if (*place == NULL) {
    *place = arena_alloc(c->arena, sizeof(amount));
  }
  return *place;
}

static bool check_grant(struct check *c, const struct credit_grant *g, struct error *err) {
  amount left = g->amount;
  char stored[DECIMAL_TEXT_MAX], wanted[DECIMAL_TEXT_MAX];
  if (!db_query(c->db, "SELECT kind, amount FROM credit_move WHERE grant_id = $1", DB_VALUES(DB_T(g->id)),
                subtract_move, &left, err)) {
    return false;
  }
  if (amount_cmp(left, g->remaining) != 0) {
    tell(c->bad, c->context, "credit " SLICE_FMT ": %s remain, what was taken of it leaves %s", SLICE_ARG(g->id),
         amount_text(g->remaining, stored), amount_text(left, wanted));
  }
  if (amount_cmp(g->remaining, AMOUNT_ZERO) < 0 || amount_cmp(g->remaining, g->amount) > 0) {
    tell(c->bad, c->context, "credit " SLICE_FMT ": %s remain of %s", SLICE_ARG(g->id),
         amount_text(g->remaining, stored), amount_text(g->amount, wanted));
  }
  slice pocket = g->state == CREDIT_FUTURE ? future_pocket(c->arena, g->customer) : g->pocket;
  amount *in_pocket = pocket_of(c, pocket, g->currency);
  return amount_add(*in_pocket, g->remaining, in_pocket, err);
}

/* Ends a name "customer/ID/credit" with what credit_pocket and future_pocket put there? */
static bool is_pocket(slice name) {
  static const char *const ends[] = {"/credit", "/credit/future", "/credit/scope-................"}; /* dots: digits */
  for (size_t e = 0; slice_starts(name, "customer/") && e < sizeof ends / sizeof *ends; e++) {
    size_t length = strlen(ends[e]), at = 0;
    const char *tail = name.len > length ? name.ptr + name.len - length : NULL;
    while (tail && at < length && (ends[e][at] == tail[at] || ends[e][at] == '.')) {
      at++;
    }
    if (tail && at == length) {
      return true;
    }
  }
  return false;
}

static bool check_pocket(void *context, const struct account *a, struct error *err) {
  (void)err;
  struct check *c = context;
  if (!is_pocket(a->name)) {
    return true;
  }
  const amount *left = pocket_of(c, a->name, a->currency);
  char has[DECIMAL_TEXT_MAX], wanted[DECIMAL_TEXT_MAX];
  if (amount_cmp(*left, a->balance) != 0) {
    tell(c->bad, c->context, "credit: account " SLICE_FMT " holds %s, its credits have %s left", SLICE_ARG(a->name),
         amount_text(a->balance, has), amount_text(*left, wanted));
  }
  if (!a->has_floor || !amount_is_zero(a->floor)) {
    tell(c->bad, c->context, "credit: account " SLICE_FMT " could be overdrawn: its floor is not 0",
         SLICE_ARG(a->name));
  }
  return true;
}

bool credit_check(struct db *db, struct ledger *ledger, void (*bad)(void *context, const char *what), void *context,
                  struct error *err) {
  struct check c = {.db = db, .ledger = ledger, .bad = bad, .context = context, .arena = arena_new()};
  struct grant_list list = {.arena = c.arena};
  bool ok =
      db_query(db, "SELECT " GRANT_COLUMNS " FROM credit_grant ORDER BY id", DB_NO_VALUES, take_grant, &list, err);
  for (size_t i = 0; ok && i < list.items.count; i++) {
    ok = check_grant(&c, &list.items.items[i], err);
  }
  ok = ok && ledger_accounts(ledger, SLICE("customer/"), check_pocket, &c, err) &&
       check_unbilled(db, ledger, bad, context, err);
  vec_free(&list.items);
  map_free(&c.left);
  arena_free(c.arena);
  return ok;
}
