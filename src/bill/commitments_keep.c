/* What documents did with commitments, kept beside them: the state of an interval is the sum over those that stand. */
#include "bill/private.h"
#include <stdlib.h>

slice account_commitment(struct arena *arena, slice customer, slice name) {
  return slice_of(
      arena_printf(arena, "customer/" SLICE_FMT "/commitment/" SLICE_FMT, SLICE_ARG(customer), SLICE_ARG(name)));
}

struct reading {
  struct arena *arena;
  VEC(struct commitment_state) states;
};

static bool add_column(const struct db_row *row, int column, amount *sum, struct error *err) {
  amount value;
  return db_amount(row, column, &value, err) && amount_add(*sum, value, sum, err);
}

static bool take_move(const struct db_row *row, void *context, struct error *err) {
  struct reading *r = context;
  slice name = db_bytes(row, 0);
  instant from = {db_int(row, 1)};
  struct commitment_state *last = r->states.count > 0 ? &r->states.items[r->states.count - 1] : NULL;
  if (last == NULL || last->from.ns != from.ns || !slice_eq(last->name, name)) {
    must(r->states.count == r->states.capacity || r->states.items);
    vec_push(&r->states, (struct commitment_state){.name = arena_copy(r->arena, name), .from = from});
    last = &r->states.items[r->states.count - 1];
  }
  return add_column(row, 2, &last->committed, err) && add_column(row, 3, &last->balance, err) &&
         add_column(row, 4, &last->spent, err) && add_column(row, 5, &last->billed, err);
}

bool commitment_states(struct arena *arena, struct db *db, slice customer, struct commitment_state **out, size_t *count,
                       struct error *err) {
  struct reading r = {.arena = arena};
  bool ok = db_query(db,
                     "SELECT m.name, m.interval_from, m.committed, m.balance, m.spent, m.billed FROM commitment_move m"
                     " JOIN invoice i ON i.id = m.invoice WHERE m.customer = $1 AND i.status <> 'void'"
                     " ORDER BY m.name, m.interval_from, m.step",
                     DB_VALUES(DB_T(customer)), take_move, &r, err);
  *count = r.states.count;
  *out = arena_array(arena, r.states.count, sizeof **out);
  for (size_t i = 0; i < r.states.count; i++) {
    (*out)[i] = r.states.items[i];
  }
  vec_free(&r.states);
  return ok;
}

bool commitments_store(struct db *db, const struct invoice *invoice, struct error *err) {
  for (size_t i = 0; i < invoice->commitment_count; i++) {
    const struct invoice_commitment *c = &invoice->commitments[i];
    bool prepaid = c->span->commitment->shape == COMMITMENT_PREPAID;
    amount moved;
    if (!amount_sub(c->closing, c->before.balance, &moved, err) ||
        !db_run(db,
                "INSERT INTO commitment_move(invoice, customer, name, interval_from, step, prepaid, committed, balance,"
                " spent, billed, expired) SELECT $1, $2, $3, $4, coalesce(max(step), 0) + 1, $5, $6, $7, $8, $9, $10"
                " FROM commitment_move WHERE customer = $2",
                DB_VALUES(DB_T(invoice->id), DB_T(invoice->customer->id), DB_T(c->before.name), DB_I(c->span->from.ns),
                          DB_I(prepaid), DB_A(c->bought), DB_A(moved), DB_A(c->drawn), DB_A(c->billed),
                          DB_A(c->expired)),
                NULL, err)) {
      return false;
    }
  }
  return true;
}

struct later {
  struct arena *arena;
  slice number, name;
};

static bool take_later(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct later *l = context;
  l->number = arena_copy(l->arena, db_bytes(row, 0));
  l->name = arena_copy(l->arena, db_bytes(row, 1));
  return true;
}

bool commitments_can_void(struct arena *arena, struct db *db, slice invoice, struct error *err) {
  struct later l = {.arena = arena};
  if (!db_query(db,
                "SELECT i.number, mine.name FROM commitment_move mine JOIN commitment_move later"
                " ON later.customer = mine.customer AND later.name = mine.name"
                " AND later.interval_from = mine.interval_from AND later.step > mine.step"
                " JOIN invoice i ON i.id = later.invoice WHERE mine.invoice = $1 AND later.invoice <> $1"
                " AND i.status <> 'void' ORDER BY later.step DESC LIMIT 1",
                DB_VALUES(DB_T(invoice)), take_later, &l, err)) {
    return false;
  }
  return l.number.len == 0 || error_set(err, ERR_CONFLICT,
                                        "invoice " SLICE_FMT ": commitment \"" SLICE_FMT
                                        "\" goes on from it on invoice " SLICE_FMT ": void that one first",
                                        SLICE_ARG(invoice), SLICE_ARG(l.name), SLICE_ARG(l.number));
}
