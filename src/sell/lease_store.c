/* The rows of leases, quotes, moves and runs. */
#include "sell/lease_private.h"
#include <stdlib.h>

#define LEASE_COLUMNS                                                                                                  \
  "id, customer, pool, kind, class, state, units, starts, ends, reference, created, changed, why, last_run, minimum,"  \
  " held, accrued, currency, placed_from, placed_to"

struct taking {
  struct arena *arena;
  struct lease *lease;
  bool found;
  lease_each each;
  void *context;
};

/* Slices are the row's. */
static bool read_lease(const struct db_row *row, struct lease *out, struct error *err) {
  *out = (struct lease){.id = db_bytes(row, 0),
                        .customer = db_bytes(row, 1),
                        .pool = db_bytes(row, 2),
                        .kind = (enum lease_kind)db_int(row, 3),
                        .class = (enum pool_class)db_int(row, 4),
                        .state = (enum lease_state)db_int(row, 5),
                        .units = {db_int(row, 6)},
                        .span = {{db_int(row, 7)}, {db_int(row, 8)}},
                        .reference = db_bytes(row, 9),
                        .created = {db_int(row, 10)},
                        .changed = {db_int(row, 11)},
                        .why = db_bytes(row, 12),
                        .last_run = (uint32_t)db_int(row, 13),
                        .currency = db_bytes(row, 17),
                        .placed = {{db_int(row, 18)}, {db_int(row, 19)}}};
  if (out->kind > LEASE_DIRECT || out->class >= POOL_CLASSES || out->state >= LEASE_STATES) {
    return error_set(err, ERR_CORRUPT, "lease " SLICE_FMT ": its kind, class or state is none that there is",
                     SLICE_ARG(out->id));
  }
  return db_amount(row, 14, &out->minimum, err) && db_amount(row, 15, &out->held, err) &&
         db_amount(row, 16, &out->accrued, err);
}

static void keep_lease(struct arena *arena, struct lease *l) {
  slice *const texts[] = {&l->id, &l->customer, &l->pool, &l->reference, &l->why, &l->currency};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    *texts[i] = arena_copy(arena, *texts[i]);
  }
}

static bool take_lease(const struct db_row *row, void *context, struct error *err) {
  struct taking *t = context;
  t->found = read_lease(row, t->lease, err);
  if (t->found) {
    keep_lease(t->arena, t->lease);
  }
  return t->found;
}

bool lease_find(struct db *db, struct arena *arena, slice id, struct lease *out, struct error *err) {
  struct taking t = {.arena = arena, .lease = out};
  if (!db_query(db, "SELECT " LEASE_COLUMNS " FROM lease WHERE id = $1", DB_VALUES(DB_T(id)), take_lease, &t, err)) {
    return false;
  }
  return t.found || error_set(err, ERR_NOT_FOUND, "there is no lease \"" SLICE_FMT "\"", SLICE_ARG(id));
}

bool lease_of_reference(struct db *db, struct arena *arena, slice reference, bool *found, struct lease *out,
                        struct error *err) {
  struct taking t = {.arena = arena, .lease = out};
  bool ok = db_query(db, "SELECT " LEASE_COLUMNS " FROM lease WHERE kind = 1 AND reference = $1",
                     DB_VALUES(DB_T(reference)), take_lease, &t, err);
  *found = t.found;
  return ok;
}

static bool give_lease(const struct db_row *row, void *context, struct error *err) {
  struct taking *t = context;
  struct lease lease;
  return read_lease(row, &lease, err) && t->each(t->context, &lease, err);
}

bool lease_list(struct db *db, const struct lease_query *query, lease_each each, void *context, struct error *err) {
  struct taking t = {.each = each, .context = context};
  return db_query(db,
                  "SELECT " LEASE_COLUMNS " FROM lease WHERE ($1 = '' OR customer = $1) AND id > $2"
                  " AND ($3 < 0 OR state = $3) ORDER BY id LIMIT $4",
                  DB_VALUES(DB_T(query->customer.len ? query->customer : SLICE("")),
                            DB_T(query->after.len ? query->after : SLICE("")),
                            DB_I(query->one_state ? (int64_t)query->state : -1),
                            DB_I(query->limit ? (int64_t)query->limit : -1)),
                  give_lease, &t, err);
}

/* An empty slice may have no pointer, and would be NULL. */
static struct db_value text_value(slice s) {
  return DB_T(s.len ? s : SLICE(""));
}

bool lease_insert(struct db *db, const struct lease *l, struct error *err) {
  return db_run(db,
                "INSERT INTO lease(" LEASE_COLUMNS
                ") VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
                DB_VALUES(DB_T(l->id), DB_T(l->customer), DB_T(l->pool), DB_I((int64_t)l->kind),
                          DB_I((int64_t)l->class), DB_I((int64_t)l->state), DB_I((int64_t)l->units.e9),
                          DB_I(l->span.from.ns), DB_I(l->span.to.ns), text_value(l->reference), DB_I(l->created.ns),
                          DB_I(l->changed.ns), text_value(l->why), DB_I(l->last_run), DB_A(l->minimum), DB_A(l->held),
                          DB_A(l->accrued), DB_T(l->currency), DB_I(l->placed.from.ns), DB_I(l->placed.to.ns)),
                NULL, err);
}

bool lease_update(struct db *db, const struct lease *l, struct error *err) {
  return db_run(db,
                "UPDATE lease SET state = $2, units = $3, starts = $4, ends = $5, reference = $6, changed = $7,"
                " why = $8, last_run = $9, minimum = $10, held = $11, accrued = $12, placed_from = $13, placed_to = "
                "$14 WHERE id = $1",
                DB_VALUES(DB_T(l->id), DB_I((int64_t)l->state), DB_I((int64_t)l->units.e9), DB_I(l->span.from.ns),
                          DB_I(l->span.to.ns), text_value(l->reference), DB_I(l->changed.ns), text_value(l->why),
                          DB_I(l->last_run), DB_A(l->minimum), DB_A(l->held), DB_A(l->accrued), DB_I(l->placed.from.ns),
                          DB_I(l->placed.to.ns)),
                NULL, err);
}

/* ---- quotes ---- */

struct taking_quote {
  struct arena *arena;
  struct lease_quote *quote;
  bool found;
};

static bool take_quote(const struct db_row *row, void *context, struct error *err) {
  struct taking_quote *t = context;
  struct lease_quote *q = t->quote;
  *q = (struct lease_quote){.id = arena_copy(t->arena, db_bytes(row, 0)),
                            .lease = arena_copy(t->arena, db_bytes(row, 1)),
                            .expires = {db_int(row, 2)},
                            .used = db_int(row, 3) != 0,
                            .currency = arena_copy(t->arena, db_bytes(row, 8))};
  t->found = true;
  return db_amount(row, 4, &q->unit_hour, err) && db_amount(row, 5, &q->total, err) &&
         db_amount(row, 6, &q->with_tax, err) && db_amount(row, 7, &q->minimum, err);
}

bool lease_quote_find(struct db *db, struct arena *arena, slice id, struct lease_quote *out, struct error *err) {
  struct taking_quote t = {.arena = arena, .quote = out};
  if (!db_query(db,
                "SELECT quote.id, lease, expires, used, unit_hour, total, with_tax, minimum, currency FROM quote"
                " JOIN lease ON lease.id = quote.lease WHERE quote.id = $1",
                DB_VALUES(DB_T(id)), take_quote, &t, err)) {
    return false;
  }
  return t.found || error_set(err, ERR_NOT_FOUND, "there is no quote \"" SLICE_FMT "\"", SLICE_ARG(id));
}

bool lease_quote_insert(struct db *db, const struct lease_quote *q, struct error *err) {
  return db_run(
      db, "INSERT INTO quote(id, lease, expires, used, unit_hour, total, with_tax) VALUES($1, $2, $3, 0, $4, $5, $6)",
      DB_VALUES(DB_T(q->id), DB_T(q->lease), DB_I(q->expires.ns), DB_A(q->unit_hour), DB_A(q->total),
                DB_A(q->with_tax)),
      NULL, err);
}

/* ---- moves ---- */

bool move_insert(struct db *db, const struct lease *l, enum lease_state was, instant at, instant now,
                 struct error *err) {
  return db_run(db,
                "INSERT INTO lease_move(lease, number, was, state, at, told, why)"
                " SELECT $1, 1 + count(*), $2, $3, $4, $5, $6 FROM lease_move WHERE lease = $1",
                DB_VALUES(DB_T(l->id), DB_I((int64_t)was), DB_I((int64_t)l->state), DB_I(at.ns), DB_I(now.ns),
                          text_value(l->why)),
                NULL, err);
}

struct giving {
  lease_change_each change;
  lease_run_each run;
  void *context;
};

static bool give_change(const struct db_row *row, void *context, struct error *err) {
  const struct giving *g = context;
  const struct lease_change c = {.from = (enum lease_state)db_int(row, 0),
                                 .to = (enum lease_state)db_int(row, 1),
                                 .at = {db_int(row, 2)},
                                 .told = {db_int(row, 3)},
                                 .why = db_bytes(row, 4)};
  return g->change(g->context, &c, err);
}

bool lease_changes(struct db *db, slice lease, lease_change_each each, void *context, struct error *err) {
  struct giving g = {.change = each, .context = context};
  return db_query(db, "SELECT was, state, at, told, why FROM lease_move WHERE lease = $1 ORDER BY number",
                  DB_VALUES(DB_T(lease)), give_change, &g, err);
}

/* ---- runs ---- */

static void read_run(const struct db_row *row, struct run_row *out) {
  *out = (struct run_row){.of = {.run = (uint32_t)db_int(row, 0),
                                 .reference = db_bytes(row, 1),
                                 .number = (uint32_t)db_int(row, 2),
                                 .state = (enum engine_state)db_int(row, 3),
                                 .units = {db_int(row, 4)},
                                 .from = {db_int(row, 5)},
                                 .to = {db_int(row, 6)},
                                 .suspended_s = db_int(row, 7),
                                 .nodes = db_bytes(row, 8),
                                 .exit_status = (int)db_int(row, 9),
                                 .charged_from = {db_int(row, 11)},
                                 .charged_to = {db_int(row, 13)}},
                          .held = {db_int(row, 10)},
                          .start_made = (uint32_t)db_int(row, 12),
                          .stop_made = (uint32_t)db_int(row, 14),
                          .accrued_to = {db_int(row, 15)}};
}

#define RUNS_OF                                                                                                        \
  "SELECT run, reference, number, state, units, begins, ends, suspended, nodes, exit_status, held, start_at,"          \
  " start_made, stop_at, stop_made, accrued_to FROM lease_run WHERE lease = $1 ORDER BY run"

struct taking_runs {
  struct arena *arena;
  slice lease;
  struct run_rows *rows;
};

static bool take_run(const struct db_row *row, void *context, struct error *err) {
  struct taking_runs *t = context;
  struct run_row r;
  (void)err;
  read_run(row, &r);
  r.lease = t->lease;
  r.of.reference = arena_copy(t->arena, r.of.reference);
  r.of.nodes = arena_copy(t->arena, r.of.nodes);
  vec_push(t->rows, r);
  return true;
}

bool run_rows_of(struct db *db, struct arena *arena, slice lease, struct run_rows *out, struct error *err) {
  struct taking_runs t = {arena, lease, out};
  *out = (struct run_rows){0};
  return db_query(db, RUNS_OF, DB_VALUES(DB_T(lease)), take_run, &t, err);
}

static bool give_run(const struct db_row *row, void *context, struct error *err) {
  const struct giving *g = context;
  struct run_row r;
  read_run(row, &r);
  return g->run(g->context, &r.of, err);
}

bool lease_runs(struct db *db, slice lease, lease_run_each each, void *context, struct error *err) {
  struct giving g = {.run = each, .context = context};
  return db_query(db, RUNS_OF, DB_VALUES(DB_T(lease)), give_run, &g, err);
}

bool run_write(struct db *db, const struct run_row *r, struct error *err) {
  return db_run(db,
                "INSERT INTO lease_run(lease, run, reference, number, state, units, begins, ends, suspended, nodes,"
                " exit_status, held, start_at, start_made, stop_at, stop_made, accrued_to)"
                " VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
                " ON CONFLICT(lease, run) DO UPDATE SET state = $5, units = $6, begins = $7, ends = $8,"
                " suspended = $9, nodes = $10, exit_status = $11, held = $12, start_at = $13, start_made = $14,"
                " stop_at = $15, stop_made = $16, accrued_to = $17",
                DB_VALUES(DB_T(r->lease), DB_I(r->of.run), text_value(r->of.reference), DB_I(r->of.number),
                          DB_I((int64_t)r->of.state), DB_I((int64_t)r->of.units.e9), DB_I(r->of.from.ns),
                          DB_I(r->of.to.ns), DB_I(r->of.suspended_s), text_value(r->of.nodes), DB_I(r->of.exit_status),
                          DB_I((int64_t)r->held.e9), DB_I(r->of.charged_from.ns), DB_I(r->start_made),
                          DB_I(r->of.charged_to.ns), DB_I(r->stop_made), DB_I(r->accrued_to.ns)),
                NULL, err);
}
