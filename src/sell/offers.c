/* What can be had of the pools, and when: each pool that suits, each class it is sold as. */
#include "sell/offers.h"
#include <strings.h>

/* ---- what is sold at all ---- */

static bool is_whole(quantity q) {
  return q.e9 % QUANTITY_E9 == 0;
}

static bool has_share(const struct pool *pool, quantity share) {
  for (size_t i = 0; i < pool->share_count; i++) {
    if (quantity_cmp(pool->shares[i], share) == 0) {
      return true;
    }
  }
  return false;
}

static quantity for_sale(const struct pool *pool) {
  return (quantity){pool->count.e9 - pool->owner.e9};
}

bool offer_suits(const struct pool *pool, quantity units, struct error *err) {
  char text[2][DECIMAL_TEXT_MAX];
  const int128 node = pool->node_gpus * QUANTITY_E9;
  if (units.e9 <= 0) {
    return error_set(err, ERR_INVALID, "count: is %s, should be above zero", quantity_text(units, text[0]));
  }
  if (quantity_cmp(units, for_sale(pool)) > 0) {
    return error_set(err, ERR_INVALID, "count: is %s, the pool " SLICE_FMT " has %s for sale",
                     quantity_text(units, text[0]), SLICE_ARG(pool->name), quantity_text(for_sale(pool), text[1]));
  }
  if (!has_share(pool, is_whole(units) ? QUANTITY_ONE : units)) {
    return error_set(err, ERR_INVALID, "count: is %s, the pool " SLICE_FMT " is not sold in such parts: see its shares",
                     quantity_text(units, text[0]), SLICE_ARG(pool->name));
  }
  return node == 0 || units.e9 <= node || units.e9 % node == 0 ||
         error_set(err, ERR_INVALID, "count: is %s, more than %d of the pool " SLICE_FMT " are sold as whole nodes",
                   quantity_text(units, text[0]), pool->node_gpus, SLICE_ARG(pool->name));
}

enum calendar_layer offer_layer(enum pool_class class) {
  return class == POOL_SPOT ? CALENDAR_SPOT : CALENDAR_FIRM;
}

bool offer_preempts(enum pool_class class) {
  return class == POOL_PRIORITY;
}

quantity offer_spare(const struct pool *pool, enum pool_class class) {
  quantity spare = QUANTITY_ZERO;
  struct error err = {0};
  if (class == POOL_SPOT) { /* a share up to 1 of a count that was checked */
    must(quantity_times_rate(pool->count, pool->classes[class].reserve, ROUND_UP, &spare, &err));
  }
  return spare;
}

/* ---- one pool, one class ---- */

struct finding {
  const struct catalog *catalog;
  const struct offer_request *request;
  instant from;
};

/* A reservation is of the shortest of its terms that is long enough; false when none is. */
static bool term_after(const struct finding *f, const struct class_terms *terms, instant from, instant least,
                       instant *to, bool *found, struct error *err) {
  *found = false;
  for (size_t i = 0; i < terms->term_count; i++) {
    instant end;
    if (!time_add_span(from, terms->terms[i], f->request->customer->time_zone, &end, err)) {
      return false;
    }
    if (end.ns >= least.ns && (!*found || end.ns < to->ns)) {
      *to = end;
      *found = true;
    }
  }
  return true;
}

static bool price_offer(const struct finding *f, struct offer *o, struct error *err) {
  struct held_cost least;
  const struct class_terms *terms = &o->held.pool->classes[o->held.class];
  const struct period shortest = {o->span.from, {o->span.from.ns + held_least_ns(terms)}};
  if (!held_cost(f->catalog, f->request->customer, &o->held, o->span, &o->cost, err) ||
      !held_cost(f->catalog, f->request->customer, &o->held, shortest, &least, err)) {
    return false;
  }
  o->minimum = o->held.class == POOL_RESERVED ? o->cost.with_tax : least.with_tax; /* is due used or not */
  return true;
}

/* Where it fits. A term's length hangs on where it begins: what was found for one length is tried again. */
static bool place(const struct finding *f, const struct pool_calendar *p, struct offer *o, bool *sold,
                  struct error *err) {
  const enum pool_class class = o->held.class;
  const struct class_terms *terms = &p->pool->classes[class];
  const instant until = {f->from.ns + OFFER_HORIZON_S * NS_PER_S};
  const quantity needed = {o->held.units.e9 + offer_spare(p->pool, class).e9};
  *sold = true;
  for (instant start = f->from; start.ns < until.ns; start = o->span.from) {
    o->span = (struct period){start, {start.ns + f->request->seconds * NS_PER_S}};
    if (class == POOL_RESERVED && !term_after(f, terms, start, o->span.to, &o->span.to, sold, err)) {
      return false;
    }
    if (!*sold) {
      return true;
    }
    instant first;
    if (!calendar_earliest(p->calendar, needed, o->span.to.ns - start.ns, start, until, offer_layer(class),
                           offer_preempts(class), &first)) {
      return true;
    }
    if (first.ns == start.ns) {
      o->possible = true;
      o->at_once = start.ns == f->from.ns;
      o->preempts = offer_preempts(class) &&
                    quantity_cmp(calendar_free_units(p->calendar, start, o->span.to, CALENDAR_FIRM, false), needed) < 0;
      return price_offer(f, o, err);
    }
    o->span.from = first;
  }
  return true;
}

/* ---- all of them ---- */

static bool same_kind(slice a, slice b) {
  return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

static bool check_request(const struct offer_request *r, struct error *err) {
  char text[2][TIME_TEXT_MAX];
  if (r->units.e9 <= 0) {
    return error_set(err, ERR_INVALID, "count: should be above zero");
  }
  if (r->seconds <= 0 || r->seconds > OFFER_SECONDS_MAX) {
    return error_set(err, ERR_INVALID, "hours: should be above zero, and at most %lld",
                     (long long)(OFFER_SECONDS_MAX / 3600));
  }
  if (r->from.ns != 0 && r->from.ns < r->now.ns) {
    return error_set(err, ERR_INVALID, "from: %s is in the past, it is %s", time_format(r->from, text[0]),
                     time_format(r->now, text[1]));
  }
  const int64_t most_ns = (OFFER_SECONDS_MAX + OFFER_HORIZON_S) * 2 * NS_PER_S;
  return time_later(r->from, r->now).ns < INSTANT_MAX.ns - most_ns ||
         error_set(err, ERR_INVALID, "from: is too far ahead");
}

static bool wanted(const struct offer_request *r, const struct pool *pool, int class) {
  return pool->classes[class].sold && (!r->one_class || (int)r->class == class);
}

static bool sells(const struct offer_request *r, const struct pool *pool) {
  bool any = false;
  for (int class = 0; class < POOL_CLASSES; class ++) {
    any = any || wanted(r, pool, class);
  }
  return any && (r->gpu.len == 0 || same_kind(pool->kind, r->gpu));
}

static bool offers_of(const struct finding *f, const struct pool_calendar *p, struct offer *offers, size_t *count,
                      struct error *err) {
  for (int class = 0; class < POOL_CLASSES; class ++) {
    bool sold;
    struct offer o = {.held = {p->pool, (enum pool_class) class, f->request->units}};
    if (!wanted(f->request, p->pool, class)) {
      continue;
    }
    if (!place(f, p, &o, &sold, err)) {
      return false;
    }
    if (sold) {
      o.span = o.possible ? o.span : (struct period){f->from, f->from};
      offers[(*count)++] = o;
    }
  }
  return true;
}

bool offers_find(struct arena *arena, const struct catalog *catalog, const struct pool_calendar *pools, size_t count,
                 const struct offer_request *request, struct offer **offers, size_t *offer_count, struct error *err) {
  struct finding f = {catalog, request, request->from.ns ? request->from : request->now};
  size_t sold = 0, suited = 0;
  struct error why = {0};
  *offer_count = 0;
  if (!check_request(request, err)) {
    return false;
  }
  *offers = arena_array(arena, count * POOL_CLASSES, sizeof **offers);
  for (size_t i = 0; i < count; i++) {
    if (!sells(request, pools[i].pool)) {
      continue;
    }
    sold++;
    if (!offer_suits(pools[i].pool, request->units, &why)) {
      continue;
    }
    suited++;
    if (!offers_of(&f, &pools[i], *offers, offer_count, err)) {
      return false;
    }
  }
  if (sold == 0) {
    return error_set(err, ERR_NOT_FOUND, "no pool sells \"" SLICE_FMT "\"%s%s", SLICE_ARG(request->gpu),
                     request->one_class ? " as " : "", request->one_class ? pool_class_name(request->class) : "");
  }
  if (suited == 0) {
    *err = why;
    return false;
  }
  return *offer_count > 0 || error_set(err, ERR_INVALID, "hours: is longer than any term that is reserved");
}
