/* What leases cost while they run: told to the credits as unbilled, and how long credit lasts. */
#include "base/log.h"
#include "sell/lease_private.h"
#include <stdlib.h>

#define HOUR_NS (3600 * NS_PER_S)

struct accruing {
  struct leases *leases;
  struct arena *arena;
  instant now;
  size_t *count;
};

static const struct customer *payer_of(const struct customer *customer) {
  return customer->payer ? customer->payer : customer;
}

/* ---- one stretch, period by period ---- */

static bool add_unbilled(struct accruing *a, const struct customer *payer, instant period_to, amount cost,
                         struct error *err) {
  return payer->unlimited_credit || credit_unbilled_add(book_db(a->leases->book), payer->id,
                                                        slice_of(payer->currency->code), period_to, cost, err);
}

static bool accrue_span(struct accruing *a, const struct customer *customer, const struct held *held,
                        struct period span, amount *sum, struct error *err) {
  const struct customer *payer = payer_of(customer);
  for (instant t = span.from, end; t.ns < span.to.ns; t = end) {
    struct period period;
    struct held_cost cost;
    if (!billing_period_at(payer, t, &period, err)) {
      return false;
    }
    end = time_earlier(period.to, span.to);
    if (!held_cost(a->leases->catalog, customer, held, (struct period){t, end}, &cost, err) ||
        !add_unbilled(a, payer, period.to, cost.with_tax, err) || !amount_add(*sum, cost.with_tax, sum, err)) {
      return false;
    }
  }
  return true;
}

static bool accrue_run(struct accruing *a, const struct lease *lease, const struct customer *customer,
                       const struct pool *pool, struct run_row *run, amount *sum, struct error *err) {
  const struct held held = {pool, lease->class, run->held};
  const struct period span = {time_later(run->accrued_to, run->of.charged_from),
                              time_earlier(a->now, run->of.charged_to)};
  if (run->held.e9 == 0 || span.from.ns >= span.to.ns) {
    return true;
  }
  if (!accrue_span(a, customer, &held, span, sum, err)) {
    return false;
  }
  run->accrued_to = span.to;
  return run_write(book_db(a->leases->book), run, err);
}

/* ---- one lease ---- */

/* The reservations are made to cover what is spent; what was given out in advance stays as it is. */
static bool cover(struct accruing *a, const struct customer *payer, struct error *err) {
  struct book *book = a->leases->book;
  const slice currency = slice_of(payer->currency->code);
  struct credit_unbilled unbilled;
  amount granted;
  struct credit_slice_request r = {.customer = payer->id, .currency = currency};
  if (payer->unlimited_credit) {
    return true;
  }
  if (!credit_unbilled(book_db(book), payer->id, currency, &unbilled, err) ||
      !credit_line_left(book_db(book), payer, NULL, &r.line, err)) {
    return false;
  }
  r.wanted = unbilled.slice;
  return credit_slice_reserve(book_db(book), book_ledger(book), &r, a->now, &granted, err) &&
         book_credit_spent(book, payer->id, a->now, err);
}

static bool accrue_runs(struct accruing *a, struct lease *lease, const struct customer *customer,
                        const struct pool *pool, amount *sum, struct error *err) {
  struct run_rows rows;
  bool ok = run_rows_of(book_db(a->leases->book), a->arena, lease->id, &rows, err);
  for (size_t i = 0; ok && i < rows.count; i++) {
    ok = accrue_run(a, lease, customer, pool, &rows.items[i], sum, err);
  }
  vec_free(&rows);
  return ok;
}

static bool accrue_lease(struct accruing *a, slice id, struct error *err) {
  struct lease lease;
  amount sum = AMOUNT_ZERO;
  if (!lease_find(book_db(a->leases->book), a->arena, id, &lease, err)) {
    return false;
  }
  const struct customer *customer = catalog_customer(a->leases->catalog, lease.customer);
  const struct pool_calendar *pool = leases_pool(a->leases, lease.pool);
  if (customer == NULL || pool == NULL) {
    return error_set(err, ERR_INVALID, "its customer or its pool is in the catalog no more");
  }
  if (!accrue_runs(a, &lease, customer, pool->pool, &sum, err) ||
      !amount_add(lease.accrued, sum, &lease.accrued, err)) {
    return false;
  }
  *a->count += amount_is_zero(sum) ? 0 : 1;
  return (amount_cmp(lease.accrued, lease.minimum) < 0 || lease_unhold(a->leases, &lease, a->now, err)) &&
         lease_update(book_db(a->leases->book), &lease, err) && cover(a, payer_of(customer), err);
}

/* ---- all of them ---- */

struct due {
  struct arena *arena;
  VEC(slice) ids;
};

static bool take_due(const struct db_row *row, void *context, struct error *err) {
  struct due *d = context;
  (void)err;
  vec_push(&d->ids, arena_copy(d->arena, db_bytes(row, 0)));
  return true;
}

/* One that has no price any more does not keep the others from being accrued; its usage is shown as unpriced. */
static bool accrue_or_tell(struct accruing *a, slice id, struct error *err) {
  struct db *db = book_db(a->leases->book);
  struct error why = {0};
  if (!db_savepoint(db, err)) {
    return false;
  }
  if (accrue_lease(a, id, &why)) {
    return db_savepoint_release(db, err);
  }
  db_savepoint_rollback(db);
  if (why.code != ERR_INVALID) {
    *err = why;
    return false;
  }
  log_line(LOG_WARN, "leases", "lease " SLICE_FMT ": what it costs is not known: %s", SLICE_ARG(id), why.message);
  return true;
}

bool lease_accrue(struct leases *leases, instant now, size_t *count, struct error *err) {
  struct due due = {.arena = arena_new()};
  struct accruing a = {leases, due.arena, now, count};
  *count = 0;
  bool ok = db_query(book_db(leases->book),
                     "SELECT DISTINCT lease FROM lease_run WHERE held > 0 AND accrued_to < stop_at AND start_at < $1"
                     " AND accrued_to < $1 ORDER BY lease",
                     DB_VALUES(DB_I(now.ns)), take_due, &due, err);
  for (size_t i = 0; ok && i < due.ids.count; i++) {
    ok = accrue_or_tell(&a, due.ids.items[i], err);
  }
  vec_free(&due.ids);
  arena_free(due.arena);
  return ok;
}

/* ---- how long credit lasts ---- */

struct burning {
  const struct leases *leases;
  const struct customer *payer;
  instant now;
  amount sum;
};

static bool add_burn(void *context, const struct lease *l, struct error *err) {
  struct burning *b = context;
  const struct customer *customer = catalog_customer(b->leases->catalog, l->customer);
  const struct pool_calendar *pool = leases_pool(b->leases, l->pool);
  struct held_cost cost;
  if (customer == NULL || pool == NULL || payer_of(customer) != b->payer) {
    return true;
  }
  const struct held held = {pool->pool, l->class, l->units};
  return held_cost(b->leases->catalog, customer, &held, (struct period){b->now, {b->now.ns + HOUR_NS}}, &cost, err) &&
         amount_add(b->sum, cost.with_tax, &b->sum, err);
}

static bool balance_of(struct db *db, const struct customer *payer, instant now, amount *out, struct error *err) {
  const slice currency = slice_of(payer->currency->code);
  struct credit_standing standing;
  struct credit_unbilled unbilled;
  amount line, uncovered;
  return credit_standing(db, payer->id, currency, now, AMOUNT_ZERO, &standing, err) &&
         credit_unbilled(db, payer->id, currency, &unbilled, err) && credit_line_left(db, payer, NULL, &line, err) &&
         amount_add(standing.available, line, out, err) && amount_sub(*out, standing.line_used, out, err) &&
         amount_sub(unbilled.spent, unbilled.reserved, &uncovered, err) &&
         (uncovered.e12 <= 0 || amount_sub(*out, uncovered, out, err));
}

bool lease_burn(struct leases *leases, const struct customer *customer, instant now, struct lease_burn *out,
                struct error *err) {
  const struct customer *payer = payer_of(customer);
  struct burning b = {leases, payer, now, AMOUNT_ZERO};
  const struct lease_query active = {.one_state = true, .state = LEASE_ACTIVE};
  *out = (struct lease_burn){.unlimited = payer->unlimited_credit};
  if (!lease_list(book_db(leases->book), &active, add_burn, &b, err)) {
    return false;
  }
  out->hour = b.sum;
  return out->unlimited || balance_of(book_db(leases->book), payer, now, &out->balance, err);
}

/* How long it takes to burn an amount, or how long ago: towards the earlier moment. */
static bool burn_ns(amount a, amount hour, int64_t *out) {
  struct error err = {0};
  int128 ns;
  if (!int128_muldiv(a.e12, HOUR_NS, hour.e12, ROUND_FLOOR, &ns, &err)) {
    return false;
  }
  *out = ns > INSTANT_MAX.ns ? INSTANT_MAX.ns : ns < -INSTANT_MAX.ns ? -INSTANT_MAX.ns : (int64_t)ns;
  return true;
}

struct lease_outlook lease_outlook(const struct lease_burn *burn, int64_t notice_s, int64_t grace_s, instant now) {
  const struct lease_outlook fine = {LEASE_CREDIT_FINE, INSTANT_MAX, INSTANT_MAX};
  int64_t left_ns;
  if (burn->unlimited || burn->hour.e12 <= 0) {
    return fine;
  }
  if (!burn_ns(burn->balance, burn->hour, &left_ns)) {
    left_ns = burn->balance.e12 > 0 ? INSTANT_MAX.ns : -INSTANT_MAX.ns;
  }
  if (left_ns >= INSTANT_MAX.ns - now.ns) {
    return fine;
  }
  struct lease_outlook o = {.runs_out = {now.ns + left_ns > 0 ? now.ns + left_ns : 0}};
  o.stops = (instant){o.runs_out.ns + grace_s * NS_PER_S};
  o.state = left_ns > notice_s * NS_PER_S ? LEASE_CREDIT_FINE
            : left_ns > 0                 ? LEASE_CREDIT_LOW
            : o.stops.ns > now.ns         ? LEASE_CREDIT_GRACE
                                          : LEASE_CREDIT_STOP;
  return o;
}
