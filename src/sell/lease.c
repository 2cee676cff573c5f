/* The object, its calendars, and the one function by which states of leases change. */
#include "base/log.h"
#include "sell/lease_private.h"
#include <stdlib.h>

_Static_assert((int)POOL_ON_DEMAND == (int)CLASS_ON_DEMAND && (int)POOL_RESERVED == (int)CLASS_RESERVED &&
                   (int)POOL_PRIORITY == (int)CLASS_PRIORITY && (int)POOL_SPOT == (int)CLASS_SPOT &&
                   (int)POOL_CLASSES == (int)ENGINE_CLASSES,
               "classes of pools and of engines are the same");

const char *lease_state_name(enum lease_state state) {
  static const char *const names[LEASE_STATES] = {
      "quoted", "pending", "active", "ended", "preempted", "stopped_for_credit", "failed"};
  must(state < LEASE_STATES);
  return names[state];
}

#define TO(state) (1u << (state))
static const unsigned moves[LEASE_STATES] = {
    [LEASE_QUOTED] = TO(LEASE_PENDING) | TO(LEASE_ENDED),
    [LEASE_PENDING] = TO(LEASE_ACTIVE) | TO(LEASE_ENDED) | TO(LEASE_STOPPED_FOR_CREDIT) | TO(LEASE_FAILED),
    [LEASE_ACTIVE] = TO(LEASE_ENDED) | TO(LEASE_PREEMPTED) | TO(LEASE_STOPPED_FOR_CREDIT) | TO(LEASE_FAILED),
    [LEASE_ENDED] = TO(LEASE_ACTIVE),
    [LEASE_PREEMPTED] = TO(LEASE_ACTIVE),
    [LEASE_FAILED] = TO(LEASE_ACTIVE),
    [LEASE_STOPPED_FOR_CREDIT] = 0,
};

bool lease_may_move(enum lease_state from, enum lease_state to) {
  return from < LEASE_STATES && to < LEASE_STATES && (moves[from] & TO(to)) != 0;
}

/* ---- the calendars ---- */

const struct pool_calendar *leases_pools(const struct leases *leases, size_t *count) {
  *count = leases->pool_count;
  return leases->pools;
}

const struct pool_calendar *leases_pool(const struct leases *leases, slice name) {
  for (size_t i = 0; i < leases->pool_count; i++) {
    if (slice_eq(leases->pools[i].pool->name, name)) {
      return &leases->pools[i];
    }
  }
  return NULL;
}

struct calendar *calendar_of(const struct leases *leases, slice pool) {
  const struct pool_calendar *p = leases_pool(leases, pool);
  return p ? (struct calendar *)p->calendar : NULL;
}

static quantity capacity_at(const struct pool *pool, instant t) {
  quantity units = {t.ns < pool->from.ns ? 0 : pool->count.e9 - pool->owner.e9};
  for (size_t i = 0; i < pool->maintenance_count; i++) {
    const struct maintenance *m = &pool->maintenance[i];
    units.e9 -= m->from.ns <= t.ns && t.ns < m->to.ns ? m->units.e9 : 0;
  }
  return units.e9 > 0 ? units : QUANTITY_ZERO;
}

static struct calendar *calendar_of_pool(const struct pool *pool) {
  struct calendar *calendar = calendar_new();
  calendar_set_capacity(calendar, pool->from, capacity_at(pool, pool->from));
  for (size_t i = 0; i < pool->maintenance_count; i++) {
    const struct maintenance *m = &pool->maintenance[i];
    const instant borders[] = {m->from, m->to};
    for (size_t b = 0; b < 2; b++) {
      if (borders[b].ns > pool->from.ns) {
        calendar_set_capacity(calendar, borders[b], capacity_at(pool, borders[b]));
      }
    }
  }
  return calendar;
}

bool place_lease(const struct leases *leases, struct lease *lease, struct period span, struct error *err) {
  struct calendar *calendar = calendar_of(leases, lease->pool);
  const struct calendar_entry entry = {lease->id, offer_layer(lease->class), span.from, span.to, lease->units};
  lease->placed = (struct period){{0}, {0}};
  if (calendar == NULL || !calendar_put(calendar, &entry, offer_preempts(lease->class), NULL, err)) {
    return false;
  }
  lease->placed = span;
  return true;
}

struct filling {
  struct leases *leases;
  enum calendar_layer layer;
};

static bool place_again(void *context, const struct lease *lease, struct error *err) {
  const struct filling *f = context;
  struct calendar *calendar = calendar_of(f->leases, lease->pool);
  const struct calendar_entry entry = {lease->id, offer_layer(lease->class), lease->placed.from, lease->placed.to,
                                       lease->units};
  struct error why = {0};
  if (calendar == NULL || entry.layer != f->layer || entry.from.ns >= entry.to.ns) {
    return true;
  }
  if (!calendar_put(calendar, &entry, true, NULL, &why)) { /* the catalog may have fewer units now */
    log_line(LOG_WARN, "leases", "lease " SLICE_FMT " has no room in its pool any more: %s", SLICE_ARG(lease->id),
             why.message);
  }
  (void)err;
  return true;
}

/* What was placed beside each other fits beside each other: spot first, for the others may take its room. */
static bool fill(struct leases *leases, struct error *err) {
  const enum calendar_layer layers[] = {CALENDAR_SPOT, CALENDAR_FIRM};
  for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
    for (int state = LEASE_QUOTED; state <= LEASE_ACTIVE; state++) {
      const struct lease_query query = {.one_state = true, .state = (enum lease_state)state};
      struct filling f = {leases, layers[l]};
      if (!lease_list(book_db(leases->book), &query, place_again, &f, err)) {
        return false;
      }
    }
  }
  return true;
}

static void free_pools(struct leases *leases) {
  for (size_t i = 0; i < leases->pool_count; i++) {
    calendar_free((struct calendar *)leases->pools[i].calendar);
  }
  free(leases->pools);
  leases->pools = NULL;
  leases->pool_count = 0;
}

bool leases_reload(struct leases *leases, struct error *err) {
  const struct catalog *c = leases->catalog;
  free_pools(leases);
  leases->pools = mem_alloc((c->pool_count + 1) * sizeof *leases->pools);
  for (size_t i = 0; i < c->pool_count; i++) {
    if (c->pools[i].is_sold) {
      leases->pools[leases->pool_count++] = (struct pool_calendar){&c->pools[i], calendar_of_pool(&c->pools[i])};
    }
  }
  return fill(leases, err);
}

bool leases_open(struct book *book, struct leases **out, struct error *err) {
  struct leases *leases = mem_alloc(sizeof *leases);
  leases->book = book;
  leases->catalog = book_catalog(book);
  if (!leases_reload(leases, err)) {
    leases_close(leases);
    return false;
  }
  *out = leases;
  return true;
}

void leases_close(struct leases *leases) {
  if (leases) {
    free_pools(leases);
    free(leases);
  }
}

/* ---- moves ---- */

bool lease_unhold(struct leases *leases, struct lease *lease, instant now, struct error *err) {
  struct book *book = leases->book;
  if (amount_is_zero(lease->held)) {
    return true;
  }
  lease->held = AMOUNT_ZERO;
  return credit_release(book_db(book), book_ledger(book), lease->id, now, err);
}

/* What is over holds nothing any more; what runs again does, from then on, if there is room left. */
static void move_in_calendar(const struct leases *leases, struct lease *lease, enum lease_state was, instant at) {
  struct calendar *calendar = calendar_of(leases, lease->pool);
  struct error why = {0};
  if (calendar == NULL) {
    return;
  }
  if (lease->state > LEASE_ACTIVE) {
    calendar_end(calendar, lease->id, at);
  } else if (was > LEASE_ACTIVE) {
    calendar_end(calendar, lease->id, (instant){0});
    const struct period again = {at, lease->span.to.ns > at.ns ? lease->span.to : INSTANT_MAX};
    (void)!place_lease(leases, lease, again, &why);
  }
}

bool lease_move(struct leases *leases, slice id, enum lease_state to, instant at, slice why, instant now,
                struct error *err) {
  struct arena *arena = arena_new();
  struct lease lease;
  bool ok = lease_find(book_db(leases->book), arena, id, &lease, err);
  const enum lease_state was = ok ? lease.state : to;
  if (ok && !lease_may_move(was, to)) {
    ok = error_set(err, ERR_CONFLICT, "lease " SLICE_FMT " is %s: it can not become %s", SLICE_ARG(id),
                   lease_state_name(was), lease_state_name(to));
  }
  if (ok) {
    lease.state = to;
    lease.changed = now;
    lease.why = (slice){why.ptr, why.len < LEASE_WHY_BYTES_MAX ? why.len : LEASE_WHY_BYTES_MAX};
    ok = (to <= LEASE_ACTIVE || lease_unhold(leases, &lease, now, err)) &&
         move_insert(book_db(leases->book), &lease, was, at, now, err);
  }
  if (ok) {
    move_in_calendar(leases, &lease, was, at);
    ok = lease_update(book_db(leases->book), &lease, err);
  }
  arena_free(arena);
  return ok;
}

/* ---- a later end ---- */

static bool may_extend(const struct lease *lease, instant to, instant now, struct error *err) {
  char text[TIME_TEXT_MAX];
  if (lease->state != LEASE_PENDING && lease->state != LEASE_ACTIVE) {
    return error_set(err, ERR_CONFLICT, "lease " SLICE_FMT " is %s: only one that is pending or active can last longer",
                     SLICE_ARG(lease->id), lease_state_name(lease->state));
  }
  if (lease->placed.from.ns >= lease->placed.to.ns) {
    return error_set(err, ERR_LIMIT, "lease " SLICE_FMT " runs where there is no room: it can not last longer",
                     SLICE_ARG(lease->id));
  }
  if (to.ns <= lease->span.to.ns || to.ns <= now.ns) {
    return error_set(err, ERR_INVALID, "to: should be after its end, %s, and after now",
                     time_format(lease->span.to, text));
  }
  return to.ns - lease->span.from.ns <= OFFER_SECONDS_MAX * NS_PER_S ||
         error_set(err, ERR_INVALID, "to: a lease lasts at most %lld hours", (long long)(OFFER_SECONDS_MAX / 3600));
}

static bool extend(const struct leases *leases, struct lease *lease, instant to, instant now, struct error *err) {
  const struct pool_calendar *pool = leases_pool(leases, lease->pool);
  const struct period more = {lease->placed.to, to};
  if (pool == NULL) {
    return error_set(err, ERR_INVALID, "the pool " SLICE_FMT " is not sold any more", SLICE_ARG(lease->pool));
  }
  lease->span.to = lease->placed.to = to;
  lease->changed = now;
  return leaves_spare(pool, lease, more, err) &&
         calendar_extend((struct calendar *)pool->calendar, lease->id, to, offer_preempts(lease->class), NULL, err);
}

bool lease_extend(struct leases *leases, slice id, instant to, instant now, struct error *err) {
  struct arena *arena = arena_new();
  struct db *db = book_db(leases->book);
  struct lease lease;
  bool ok = lease_find(db, arena, id, &lease, err) && may_extend(&lease, to, now, err) &&
            extend(leases, &lease, to, now, err) && lease_update(db, &lease, err);
  arena_free(arena);
  return ok;
}
