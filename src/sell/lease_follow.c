/* Leases follow what the engine says it ran: rows may come again, changed, late and in any order. */
#include "base/log.h"
#include "sell/lease_private.h"
#include <stdlib.h>
#include <strings.h>

struct following {
  struct leases *leases;
  struct arena *arena;
  instant now;
  struct lease_followed *out;
};

static struct db *db_of(const struct following *f) {
  return book_db(f->leases->book);
}

/* ---- rows that can not be ---- */

static bool is_final(enum engine_state state) {
  return state == ENGINE_ENDED || state == ENGINE_PREEMPTED || state == ENGINE_FAILED;
}

static const char *what_is_wrong(const struct engine_run *r) {
  if (r->state > ENGINE_FAILED || r->class >= ENGINE_CLASSES) {
    return "a state or class that there is not";
  }
  if (r->from.ns <= 0 || r->from.ns > r->to.ns || r->to.ns > INSTANT_MAX.ns) {
    return "an end before its start, or no start";
  }
  if ((r->to.ns == INSTANT_MAX.ns) == is_final(r->state)) {
    return "a state that does not go with its end";
  }
  if (r->gpus.e9 < 0 || r->gpus.e9 > CALENDAR_UNITS_MAX * QUANTITY_E9) {
    return "a number of GPUs that can not be";
  }
  if (r->suspended_s < 0 || r->suspended_s > (r->to.ns - r->from.ns) / NS_PER_S) {
    return "been suspended for longer than it ran";
  }
  if (r->reference.len > ENGINE_ID_BYTES_MAX || r->lease.len > ENGINE_ID_BYTES_MAX) {
    return "a name that is too long";
  }
  return r->reference.len == 0 && r->lease.len == 0 ? "no name" : NULL;
}

static bool refuse(const struct following *f, const struct engine_run *r, const char *why) {
  f->out->refused++;
  log_line(LOG_WARN, "leases", "run %u of \"" SLICE_FMT "\" (lease \"" SLICE_FMT "\") is left out: it has %s",
           r->number, SLICE_ARG(r->reference), SLICE_ARG(r->lease), why);
  return true;
}

static bool nobody(const struct following *f, const struct engine_run *r, const char *why) {
  f->out->unknown++;
  log_line(LOG_WARN, "leases", "run %u of \"" SLICE_FMT "\" of customer \"" SLICE_FMT "\" is not billed: %s", r->number,
           SLICE_ARG(r->reference), SLICE_ARG(r->customer), why);
  return true;
}

/* ---- whose it is ---- */

static const struct pool *pool_of(const struct following *f, const struct engine_run *r) {
  const struct pool *by_kind = NULL;
  for (size_t i = 0; i < f->leases->pool_count; i++) {
    const struct pool *p = f->leases->pools[i].pool;
    if (r->pool_hint.len > 0 && slice_eq(p->name, r->pool_hint)) {
      return p;
    }
    if (by_kind == NULL && p->kind.len == r->gpu.len &&
        (r->gpu.len == 0 || strncasecmp(p->kind.ptr, r->gpu.ptr, r->gpu.len) == 0)) {
      by_kind = p;
    }
  }
  return by_kind;
}

/* A run under the name of a lease counts for it only if it is its customer's: names can be written by anyone. */
static bool find_sold(const struct following *f, const struct engine_run *r, bool *found, struct lease *out,
                      struct error *err) {
  struct error why = {0};
  *found = false;
  if (r->lease.len == 0) {
    return true;
  }
  if (!lease_find(db_of(f), f->arena, r->lease, out, &why)) {
    *err = why.code == ERR_NOT_FOUND ? *err : why;
    return why.code == ERR_NOT_FOUND;
  }
  *found = out->kind == LEASE_SOLD && out->state != LEASE_QUOTED &&
           (r->customer.len == 0 || slice_eq(r->customer, out->customer));
  return true;
}

/* Room for what runs; when there is none it runs all the same, and is told. */
static void place_direct(const struct following *f, struct lease *lease) {
  struct error why = {0};
  if (!place_lease(f->leases, lease, lease->span, &why)) {
    f->out->unplaced++;
    log_line(LOG_WARN, "leases", "lease " SLICE_FMT " runs beyond what is free: %s", SLICE_ARG(lease->id), why.message);
  }
}

static bool make_direct(const struct following *f, const struct engine_run *r, const struct customer *customer,
                        const struct pool *pool, struct lease *out, struct error *err) {
  char id[ID_TEXT_MAX];
  *out = (struct lease){.id = arena_copy(f->arena, slice_of(id_new("lea", id))),
                        .customer = customer->id,
                        .pool = pool->name,
                        .kind = LEASE_DIRECT,
                        .class = (enum pool_class)r->class,
                        .state = LEASE_PENDING,
                        .units = r->gpus,
                        .span = {r->from, INSTANT_MAX},
                        .reference = r->reference,
                        .created = f->now,
                        .changed = f->now,
                        .currency = slice_of(customer->currency->code)};
  f->out->direct++;
  place_direct(f, out);
  return lease_insert(db_of(f), out, err);
}

/* *whose->id empty: nobody's. */
static bool find_lease(const struct following *f, const struct engine_run *r, struct lease *whose, struct error *err) {
  bool found;
  struct lease none = {0};
  if (!find_sold(f, r, &found, whose, err)) {
    return false;
  }
  if (found) {
    return true;
  }
  *whose = none;
  if (r->reference.len == 0) {
    return refuse(f, r, "no name at the engine, and no lease of this customer");
  }
  if (!lease_of_reference(db_of(f), f->arena, r->reference, &found, whose, err)) {
    return false;
  }
  if (found) {
    return true;
  }
  *whose = none;
  const struct customer *customer = catalog_customer(f->leases->catalog, r->customer);
  const struct pool *pool = pool_of(f, r);
  if (customer == NULL || pool == NULL) {
    return nobody(f, r, customer ? "no pool that is sold has such GPUs" : "no such customer");
  }
  return make_direct(f, r, customer, pool, whose, err);
}

/* ---- what it says ---- */

static bool says_the_same(const struct lease_run *a, const struct engine_run *r) {
  return a->state == r->state && a->units.e9 == r->gpus.e9 && a->from.ns == r->from.ns && a->to.ns == r->to.ns &&
         a->suspended_s == r->suspended_s && a->exit_status == r->exit_status;
}

static struct run_row *row_of(struct run_rows *rows, const struct engine_run *r) {
  for (size_t i = 0; i < rows->count; i++) {
    if (rows->items[i].of.number == r->number && slice_eq(rows->items[i].of.reference, r->reference)) {
      return &rows->items[i];
    }
  }
  return NULL;
}

/* True in *changed when the row is new or says something else. What has ended does not run again under its number: a
 * row that says so is an old one. */
static bool take_row(const struct following *f, const struct lease *lease, const struct engine_run *r,
                     struct run_rows *rows, bool *changed, struct error *err) {
  struct run_row *row = row_of(rows, r);
  *changed = false;
  if (row && (says_the_same(&row->of, r) || (is_final(row->of.state) && !is_final(r->state)))) {
    return true;
  }
  if (row == NULL) {
    if (rows->count >= LEASE_RUNS_MAX) {
      return refuse(f, r, "more runs before it than a lease may have");
    }
    vec_push(rows, (struct run_row){.lease = lease->id,
                                    .of = {.run = (uint32_t)rows->count + 1,
                                           .reference = r->reference,
                                           .number = r->number,
                                           .charged_from = r->from,
                                           .charged_to = r->from}});
    row = &rows->items[rows->count - 1];
  }
  row->of.state = r->state;
  row->of.units = r->gpus;
  row->of.from = r->from;
  row->of.to = r->to;
  row->of.suspended_s = r->suspended_s;
  row->of.nodes = r->nodes;
  row->of.exit_status = r->exit_status;
  *changed = true;
  f->out->runs++;
  return run_write(db_of(f), row, err);
}

/* ---- the state that follows ---- */

static enum lease_state state_of(enum engine_state state) {
  return state == ENGINE_ENDED       ? LEASE_ENDED
         : state == ENGINE_PREEMPTED ? LEASE_PREEMPTED
         : state == ENGINE_FAILED    ? LEASE_FAILED
                                     : LEASE_ACTIVE;
}

static bool move(const struct following *f, struct lease *lease, enum lease_state to, instant at, struct error *err) {
  lease->state = to;
  f->out->moves++;
  return lease_move(f->leases, lease->id, to, at, SLICE("the engine says so"), f->now, err);
}

/* Through `active` wherever it was not: each stretch is a move in and a move out. One stopped for want of credit stays
 * so, whatever the engine still says of it. */
static bool settle_state(const struct following *f, struct lease *lease, const struct run_rows *rows,
                         struct error *err) {
  const struct lease_run *last = &rows->items[run_rows_latest(rows)].of;
  const enum lease_state target = state_of(last->state);
  const bool another = last->run != lease->last_run;
  if (lease->state == LEASE_STOPPED_FOR_CREDIT || (lease->state == target && !another)) {
    return true;
  }
  lease->last_run = last->run;
  lease->reference = lease->kind == LEASE_SOLD ? last->reference : lease->reference;
  lease->units = lease->kind == LEASE_DIRECT ? last->units : lease->units;
  if (!lease_update(db_of(f), lease, err)) {
    return false;
  }
  if (lease->state != LEASE_ACTIVE && !move(f, lease, LEASE_ACTIVE, last->from, err)) {
    return false;
  }
  return target == LEASE_ACTIVE || move(f, lease, target, last->to, err);
}

static bool follow_one(const struct following *f, const struct engine_run *r, struct error *err) {
  struct lease lease;
  struct run_rows rows = {0};
  bool changed = false;
  const char *wrong = what_is_wrong(r);
  if (r->state == ENGINE_UNKNOWN || r->state == ENGINE_PENDING) {
    return true;
  }
  if (wrong) {
    return refuse(f, r, wrong);
  }
  if (r->gpus.e9 == 0) {
    return true;
  }
  if (!find_lease(f, r, &lease, err)) {
    return false;
  }
  if (lease.id.len == 0) {
    return true;
  }
  if (leases_pool(f->leases, lease.pool) == NULL) {
    return nobody(f, r, "the catalog does not sell its pool any more: put it back until its leases are over");
  }
  bool ok = run_rows_of(db_of(f), f->arena, lease.id, &rows, err) && take_row(f, &lease, r, &rows, &changed, err) &&
            (!changed || (settle_state(f, &lease, &rows, err) &&
                          lease_meter(f->leases, f->arena, &lease, &rows, &f->out->events, err)));
  vec_free(&rows);
  return ok;
}

bool lease_follow(struct leases *leases, struct arena *arena, const struct engine_run *runs, size_t count, instant now,
                  struct lease_followed *out, struct error *err) {
  struct following f = {leases, arena, now, out};
  *out = (struct lease_followed){0};
  for (size_t i = 0; i < count; i++) {
    if (!follow_one(&f, &runs[i], err)) {
      return error_at(err, "run %u of \"" SLICE_FMT "\"", runs[i].number, SLICE_ARG(runs[i].reference));
    }
  }
  return true;
}
