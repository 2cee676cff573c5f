/* Quotes: priced, held in the calendar, used once; and what has to be there before a lease begins. */
#include "sell/lease_private.h"
#include <stdlib.h>

/* ---- making one ---- */

static bool is_a_term(const struct customer *customer, const struct class_terms *terms, struct period span) {
  struct error err = {0};
  for (size_t i = 0; i < terms->term_count; i++) {
    instant end;
    if (time_add_span(span.from, terms->terms[i], customer->time_zone, &end, &err) && end.ns == span.to.ns) {
      return true;
    }
  }
  return false;
}

static bool check_span(const struct lease_quote_request *r, const struct pool *pool, struct period span, instant now,
                       struct error *err) {
  char text[2][TIME_TEXT_MAX];
  if (span.from.ns < now.ns) {
    return error_set(err, ERR_INVALID, "from: %s is in the past, it is %s", time_format(span.from, text[0]),
                     time_format(now, text[1]));
  }
  if (span.from.ns >= span.to.ns) {
    return error_set(err, ERR_INVALID, "hours: should be above zero");
  }
  if (span.to.ns - span.from.ns > OFFER_SECONDS_MAX * NS_PER_S) {
    return error_set(err, ERR_INVALID, "hours: should be at most %lld", (long long)(OFFER_SECONDS_MAX / 3600));
  }
  return r->class != POOL_RESERVED || is_a_term(r->customer, &pool->classes[POOL_RESERVED], span) ||
         error_set(err, ERR_INVALID, "to: %s is not one of the terms the pool " SLICE_FMT " is reserved for",
                   time_format(span.to, text[0]), SLICE_ARG(pool->name));
}

static bool check_request(const struct lease_quote_request *r, const struct pool_calendar *pool, struct period span,
                          instant now, struct error *err) {
  if (pool == NULL) {
    return error_set(err, ERR_INVALID, "pool: there is none \"" SLICE_FMT "\" that is sold", SLICE_ARG(r->pool));
  }
  if (r->class >= POOL_CLASSES || !pool->pool->classes[r->class].sold) {
    return error_set(err, ERR_INVALID, "class: the pool " SLICE_FMT " is not sold as %s", SLICE_ARG(r->pool),
                     r->class < POOL_CLASSES ? pool_class_name(r->class) : "that");
  }
  if (r->valid_s < 0 || r->valid_s > LEASE_QUOTE_S_MAX) {
    return error_set(err, ERR_INVALID, "valid: should be above zero, and at most %d seconds", LEASE_QUOTE_S_MAX);
  }
  return offer_suits(pool->pool, r->units, err) && check_span(r, pool->pool, span, now, err);
}

bool leaves_spare(const struct pool_calendar *pool, const struct lease *l, struct period span, struct error *err) {
  const quantity spare = offer_spare(pool->pool, l->class);
  const quantity free = calendar_free_units(pool->calendar, span.from, span.to, offer_layer(l->class), false);
  char text[2][DECIMAL_TEXT_MAX];
  return spare.e9 == 0 || free.e9 >= l->units.e9 + spare.e9 ||
         error_set(err, ERR_LIMIT, "count: %s are free of " SLICE_FMT ", %s of which stay idle as its reserve",
                   quantity_text(free, text[0]), SLICE_ARG(l->pool), quantity_text(spare, text[1]));
}

static bool price_quote(const struct leases *leases, const struct customer *customer, const struct held *held,
                        struct period span, struct lease_quote *out, struct error *err) {
  struct held_cost all, least;
  const struct period shortest = {span.from, {span.from.ns + held_least_ns(&held->pool->classes[held->class])}};
  if (!held_cost(leases->catalog, customer, held, span, &all, err) ||
      !held_cost(leases->catalog, customer, held, shortest, &least, err)) {
    return false;
  }
  out->unit_hour = all.unit_hour;
  out->total = all.total;
  out->with_tax = all.with_tax;
  out->minimum = held->class == POOL_RESERVED ? all.with_tax : least.with_tax;
  return true;
}

static slice new_id(struct arena *arena, const char *prefix) {
  char text[ID_TEXT_MAX];
  return arena_copy(arena, slice_of(id_new(prefix, text)));
}

bool lease_quote_make(struct leases *leases, struct arena *arena, const struct lease_quote_request *r, instant now,
                      struct lease_quote *out, struct error *err) {
  const struct pool_calendar *pool = leases_pool(leases, r->pool);
  const struct period span = {r->span.from.ns == 0 ? now : r->span.from, r->span.to};
  size_t expired;
  *out = (struct lease_quote){0};
  if (!check_request(r, pool, span, now, err) || !lease_quotes_expire(leases, now, &expired, err)) {
    return false;
  }
  const struct held held = {pool->pool, r->class, r->units};
  if (!price_quote(leases, r->customer, &held, span, out, err)) {
    return false;
  }
  out->id = new_id(arena, "quo");
  out->lease = new_id(arena, "lea");
  out->currency = slice_of(r->customer->currency->code);
  out->expires.ns = now.ns + (r->valid_s ? r->valid_s : LEASE_QUOTE_S) * NS_PER_S;
  struct lease lease = {.id = out->lease,
                        .customer = r->customer->id,
                        .pool = r->pool,
                        .class = r->class,
                        .state = LEASE_QUOTED,
                        .units = r->units,
                        .span = span,
                        .created = now,
                        .changed = now,
                        .minimum = out->minimum,
                        .currency = out->currency};
  return leaves_spare(pool, &lease, span, err) && place_lease(leases, &lease, span, err) &&
         lease_insert(book_db(leases->book), &lease, err) && lease_quote_insert(book_db(leases->book), out, err);
}

/* ---- those that nobody took ---- */

struct expired {
  struct arena *arena;
  VEC(slice) leases;
};

static bool take_expired(const struct db_row *row, void *context, struct error *err) {
  struct expired *e = context;
  (void)err;
  vec_push(&e->leases, arena_copy(e->arena, db_bytes(row, 0)));
  return true;
}

bool lease_quotes_expire(struct leases *leases, instant now, size_t *count, struct error *err) {
  struct expired e = {.arena = arena_new()};
  bool ok = db_query(book_db(leases->book),
                     "SELECT lease.id FROM lease JOIN quote ON quote.lease = lease.id"
                     " WHERE lease.state = 0 AND quote.expires <= $1 ORDER BY lease.id",
                     DB_VALUES(DB_I(now.ns)), take_expired, &e, err);
  for (size_t i = 0; ok && i < e.leases.count; i++) { /* at 0: it never was */
    ok = lease_move(leases, e.leases.items[i], LEASE_ENDED, (instant){0}, SLICE("the quote was not used in time"), now,
                    err);
  }
  *count = e.leases.count;
  vec_free(&e.leases);
  arena_free(e.arena);
  return ok;
}

/* ---- credit that must be there ---- */

struct waiting {
  const struct leases *leases;
  const struct customer *payer;
  amount sum;
};

static bool add_waiting(void *context, const struct lease *l, struct error *err) {
  struct waiting *w = context;
  const struct customer *customer = catalog_customer(w->leases->catalog, l->customer);
  amount on_line;
  if (customer == NULL || (customer->payer ? customer->payer : customer) != w->payer) {
    return true;
  }
  return amount_sub(l->minimum, l->held, &on_line, err) && amount_add(w->sum, on_line, &w->sum, err);
}

/* What is left of the credit line, beside what leases that wait for their start have promised of it. */
static bool line_left(const struct leases *leases, const struct customer *payer, instant now, amount *out,
                      struct error *err) {
  const struct lease_query pending = {.one_state = true, .state = LEASE_PENDING};
  struct db *db = book_db(leases->book);
  struct waiting w = {leases, payer, AMOUNT_ZERO};
  struct credit_standing standing;
  return credit_line_left(db, payer, NULL, out, err) &&
         credit_standing(db, payer->id, slice_of(payer->currency->code), now, AMOUNT_ZERO, &standing, err) &&
         lease_list(db, &pending, add_waiting, &w, err) && amount_sub(*out, standing.line_used, out, err) &&
         amount_sub(*out, w.sum, out, err);
}

static bool hold(struct leases *leases, const struct customer *payer, slice product, struct lease *lease, instant now,
                 struct error *err) {
  struct book *book = leases->book;
  enum transfer_outcome outcome;
  char to[256];
  if (amount_is_zero(lease->held)) {
    return true;
  }
  snprintf(to, sizeof to, "revenue/" SLICE_FMT, SLICE_ARG(product));
  const struct credit_hold_request r = {.id = lease->id,
                                        .customer = payer->id,
                                        .currency = slice_of(payer->currency->code),
                                        .product = product,
                                        .to = slice_of(to),
                                        .reference = lease->id,
                                        .amount = lease->held,
                                        .expires = INSTANT_MAX};
  return credit_hold(book_db(book), book_ledger(book), &r, now, &outcome, err);
}

static bool admit(struct leases *leases, struct lease *lease, instant now, struct error *err) {
  const struct customer *customer = catalog_customer(leases->catalog, lease->customer);
  const struct pool_calendar *pool = leases_pool(leases, lease->pool);
  if (customer == NULL || pool == NULL) {
    return error_set(err, ERR_CONFLICT, "the customer or the pool of this quote is in the catalog no more");
  }
  const struct customer *payer = customer->payer ? customer->payer : customer;
  const slice product = pool->pool->meter->product;
  amount free, line, short_of;
  char text[2][DECIMAL_TEXT_MAX];
  if (payer->unlimited_credit) {
    return true;
  }
  if (!credit_available(book_db(leases->book), payer->id, slice_of(payer->currency->code), product, now, &free, err) ||
      !line_left(leases, payer, now, &line, err)) {
    return false;
  }
  lease->held = amount_cmp(free, lease->minimum) < 0 ? free : lease->minimum;
  if (!amount_sub(lease->minimum, lease->held, &short_of, err)) {
    return false;
  }
  if (short_of.e12 > 0 && amount_cmp(line, short_of) < 0) {
    return error_set(err, ERR_FUNDS, "the minimum charge is %s %s with tax, %s of it is not covered: add credit",
                     amount_text(lease->minimum, text[0]), payer->currency->code, amount_text(short_of, text[1]));
  }
  return hold(leases, payer, product, lease, now, err);
}

/* ---- taking one ---- */

static bool check_quote(const struct lease_quote *q, instant now, struct error *err) {
  char text[TIME_TEXT_MAX];
  if (q->used) {
    return error_set(err, ERR_CONFLICT, "quote " SLICE_FMT " was used: lease " SLICE_FMT " came of it",
                     SLICE_ARG(q->id), SLICE_ARG(q->lease));
  }
  return now.ns < q->expires.ns || error_set(err, ERR_CONFLICT, "quote " SLICE_FMT " expired at %s: ask for another",
                                             SLICE_ARG(q->id), time_format(q->expires, text));
}

bool lease_quote_take(struct leases *leases, struct arena *arena, slice quote, slice customer, instant now,
                      struct lease *out, struct error *err) {
  struct db *db = book_db(leases->book);
  struct lease_quote q;
  if (!lease_quote_find(db, arena, quote, &q, err) || !lease_find(db, arena, q.lease, out, err)) {
    return false;
  }
  if (!slice_eq(out->customer, customer)) {
    return error_set(err, ERR_NOT_FOUND, "there is no quote \"" SLICE_FMT "\"", SLICE_ARG(quote));
  }
  return check_quote(&q, now, err) && admit(leases, out, now, err) && lease_update(db, out, err) &&
         db_run(db, "UPDATE quote SET used = 1 WHERE id = $1", DB_VALUES(DB_T(quote)), NULL, err) &&
         lease_move(leases, q.lease, LEASE_PENDING, now, SLICE("the quote was taken"), now, err) &&
         lease_find(db, arena, q.lease, out, err);
}
