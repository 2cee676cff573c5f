/* The invariants of usage that is not invoiced: what its rows say is reserved is what its holds hold. */
#include "credit/private.h"
#include <stdlib.h>

struct sums {
  slice customer, currency;
  amount rows, held;
};
struct check {
  struct ledger *ledger;
  told *bad;
  void *context;
  struct arena *arena;
  struct map by_customer; /* "customer\ncurrency" to sums */
  VEC(struct sums *) all;
};

static struct sums *sums_of(struct check *c, slice customer, slice currency) {
  slice key = slice_of(arena_printf(c->arena, SLICE_FMT "\n" SLICE_FMT, SLICE_ARG(customer), SLICE_ARG(currency)));
  void **place = map_put(&c->by_customer, key);
  if (*place == NULL) {
    struct sums *s = arena_alloc(c->arena, sizeof *s);
    *s = (struct sums){.customer = arena_copy(c->arena, customer), .currency = arena_copy(c->arena, currency)};
    *place = s;
    vec_push(&c->all, s);
  }
  return *place;
}

static bool add_period(const struct db_row *row, void *context, struct error *err) {
  struct check *c = context;
  amount spent, reserved;
  struct sums *s = sums_of(c, db_bytes(row, 0), db_bytes(row, 1));
  if (!db_amount(row, 2, &spent, err) || !db_amount(row, 3, &reserved, err)) {
    return false;
  }
  if (amount_cmp(reserved, AMOUNT_ZERO) < 0 || amount_cmp(reserved, spent) > 0) {
    char has[DECIMAL_TEXT_MAX], most[DECIMAL_TEXT_MAX];
    tell(c->bad, c->context, "credit: customer " SLICE_FMT " has %s reserved for %s of usage", SLICE_ARG(s->customer),
         amount_text(reserved, has), amount_text(spent, most));
  }
  return amount_add(s->rows, reserved, &s->rows, err);
}

static bool add_slice(const struct db_row *row, void *context, struct error *err) {
  struct check *c = context;
  amount value;
  struct sums *s = sums_of(c, db_bytes(row, 0), db_bytes(row, 1));
  if (!db_amount(row, 2, &value, err)) {
    return false;
  }
  if (amount_cmp(value, AMOUNT_ZERO) <= 0) {
    tell(c->bad, c->context, "credit: customer " SLICE_FMT " has a slice that is not above 0", SLICE_ARG(s->customer));
  }
  return amount_add(s->rows, value, &s->rows, err);
}

static bool add_hold(void *context, const struct open_hold *h, struct error *err) {
  struct check *c = context;
  struct sums *s = sums_of(c, h->reference, h->currency);
  return amount_add(s->held, h->amount, &s->held, err);
}

/* Nothing is ever moved from or to the line: holds stand on it, and its floor bounds them. */
static bool check_line(struct check *c, const struct sums *s, struct error *err) {
  struct account a = {0};
  struct error none = {0};
  if (!ledger_account(c->ledger, line_account(c->arena, s->customer), s->currency, &a, &none)) {
    if (none.code == ERR_NOT_FOUND) {
      return true;
    }
    *err = none;
    return false;
  }
  if (!amount_is_zero(a.balance) || !a.has_floor) {
    tell(c->bad, c->context, "credit: account " SLICE_FMT " should have a floor and a balance of 0", SLICE_ARG(a.name));
  }
  return true;
}

static bool check_sums(struct check *c, struct error *err) {
  for (size_t i = 0; i < c->all.count; i++) {
    const struct sums *s = c->all.items[i];
    char rows[DECIMAL_TEXT_MAX], held[DECIMAL_TEXT_MAX];
    if (amount_cmp(s->rows, s->held) != 0) {
      tell(c->bad, c->context, "credit: customer " SLICE_FMT " has %s reserved for usage, its holds are of %s",
           SLICE_ARG(s->customer), amount_text(s->rows, rows), amount_text(s->held, held));
    }
    if (!check_line(c, s, err)) {
      return false;
    }
  }
  return true;
}

bool check_unbilled(struct db *db, struct ledger *ledger, told *bad, void *context, struct error *err) {
  struct check c = {.ledger = ledger, .bad = bad, .context = context, .arena = arena_new()};
  bool ok = db_query(db, "SELECT customer, currency, spent, reserved FROM credit_unbilled", DB_NO_VALUES, add_period,
                     &c, err) &&
            db_query(db, "SELECT customer, currency, amount FROM credit_slice", DB_NO_VALUES, add_slice, &c, err) &&
            ledger_open_holds(db, CAUSE_UNBILLED, add_hold, &c, err) && check_sums(&c, err);
  vec_free(&c.all);
  map_free(&c.by_customer);
  arena_free(c.arena);
  return ok;
}
