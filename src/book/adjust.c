/* Adjustments: what came in for a period after its invoice, late or corrected, billed or credited by the next document.
 * An invoice accounts for the events up to its position; the difference that later ones make to its period is the
 * adjustment. docs/invoicing.md. */
#include "book/private.h"
#include <stdlib.h>
#include <string.h>

#define CACHED_SETS 8

/* An invoice that stands, and up to where its period has been accounted for by which document. */
struct closed {
  slice id, number, customer, period, catalog;
  struct period range;
  uint64_t position;
  instant as_of;               /* levels were metered up to here */
  uint64_t late_min, late_max; /* numbers of events that came in for it afterwards; 0: none */
};
struct covered {
  slice invoice, customer;
  uint64_t from, to;
  instant as_of;
};
/* One more rating of a period as it stood at a position, for everyone: customers closed together share it. */
struct rated {
  slice period, catalog;
  uint64_t position;
  instant as_of;
  struct rating_set set;
};
struct adjusting {
  struct book *book;
  struct rating_set *set;
  struct arena *arena;                /* the set's */
  slice customer;                     /* the only one; empty: all, */
  const struct customer *const *some; /* or these alone, by id */
  size_t some_count;
  VEC(struct closed) closed;
  VEC(struct covered) covered;
  VEC(struct late_unpriced) unpriced;
  struct rated cache[CACHED_SETS];
  size_t cached;
};

/* ---- what is closed, and what is accounted for ---- */

static bool is_asked_for(const struct adjusting *a, slice customer) {
  if (a->customer.len > 0 && !slice_eq(a->customer, customer)) {
    const struct customer *child = catalog_customer(a->book->catalog, customer);
    return child && child->payer && slice_eq(child->payer->id, a->customer);
  }
  size_t low = 0, high = a->some_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = slice_cmp(a->some[middle]->id, customer);
    if (order == 0) {
      return true;
    }
    low = order < 0 ? middle + 1 : low;
    high = order < 0 ? high : middle;
  }
  return a->some == NULL;
}

static bool pays_for_others(const struct adjusting *a) {
  const struct catalog *catalog = a->book->catalog;
  bool pays = false;
  for (size_t i = 0; !pays && i < catalog->customer_count; i++) {
    pays = catalog->customers[i].payer && slice_eq(catalog->customers[i].payer->id, a->customer);
  }
  return pays;
}

static bool take_closed(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct adjusting *a = context;
  if (!is_asked_for(a, db_bytes(row, 2))) {
    return true;
  }
  struct closed c = {.id = arena_copy(a->arena, db_bytes(row, 0)),
                     .number = arena_copy(a->arena, db_bytes(row, 1)),
                     .customer = arena_copy(a->arena, db_bytes(row, 2)),
                     .period = arena_copy(a->arena, db_bytes(row, 3)),
                     .range = {{db_int(row, 4)}, {db_int(row, 5)}},
                     .as_of = {db_int(row, 6)},
                     .position = (uint64_t)db_int(row, 7),
                     .catalog = arena_copy(a->arena, db_bytes(row, 8))};
  vec_push(&a->closed, c);
  return true;
}

static bool take_covered(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct adjusting *a = context;
  struct covered c = {.invoice = arena_copy(a->arena, db_bytes(row, 0)),
                      .from = (uint64_t)db_int(row, 1),
                      .to = (uint64_t)db_int(row, 2),
                      .as_of = {db_int(row, 3)},
                      .customer = arena_copy(a->arena, db_bytes(row, 4))};
  vec_push(&a->covered, c);
  return true;
}

static bool load_closed(struct adjusting *a, struct error *err) {
  return db_query(a->book->db,
                  "SELECT id, number, customer, period, period_from, period_to, issued, journal_position, catalog FROM "
                  "invoice WHERE status <> 'void' AND part = '' UNION ALL"
                  " SELECT i.id, i.number, m.customer, i.period, i.period_from, i.period_to, i.issued,"
                  " i.journal_position, i.catalog FROM invoice i JOIN invoice_member m ON m.invoice = i.id"
                  " WHERE i.status <> 'void' AND i.part = '' ORDER BY 5, 1, 3",
                  DB_NO_VALUES, take_closed, a, err) &&
         db_query(a->book->db,
                  "SELECT j.invoice, j.from_event, j.to_event, j.as_of, j.customer FROM invoice_adjustment j"
                  " JOIN invoice i ON i.id = j.carrier WHERE i.status <> 'void' ORDER BY j.from_event",
                  DB_NO_VALUES, take_covered, a, err);
}

/* ---- what came in afterwards ---- */

struct looking {
  struct adjusting *a;
  size_t first, count; /* the closed ones of one position and period */
};

static void mark(struct closed *c, uint64_t number) {
  c->late_min = c->late_min == 0 || number < c->late_min ? number : c->late_min;
  c->late_max = number > c->late_max ? number : c->late_max;
}

static void mark_customer(struct adjusting *a, slice customer, uint64_t number, instant time) {
  for (size_t i = 0; i < a->closed.count; i++) {
    struct closed *c = &a->closed.items[i];
    if (number > c->position && time.ns < c->range.to.ns && slice_eq(c->customer, customer)) {
      mark(c, number);
    }
  }
}

/* A level set late holds into later periods; a sum counts in its own alone. */
static bool matters(const struct catalog *catalog, const struct event *e, const struct closed *c) {
  const struct meter *meters[CATALOG_METERS_PER_TYPE_MAX];
  size_t count = catalog_meters_of_type(catalog, e->type, meters, CATALOG_METERS_PER_TYPE_MAX);
  for (size_t i = 0; i < count; i++) {
    if (e->time.ns >= c->range.from.ns || meters[i]->aggregation == AGG_INTEGRAL) {
      return true;
    }
  }
  return false;
}

static bool look_at_event(void *context, const struct event *e, const struct arrival *arrival, struct error *err) {
  (void)err;
  struct looking *l = context;
  for (size_t i = l->first; i < l->first + l->count; i++) {
    struct closed *c = &l->a->closed.items[i];
    if (arrival->number > c->position && e->time.ns < c->range.to.ns && slice_eq(c->customer, e->subject) &&
        matters(l->a->book->catalog, e, c)) {
      mark(c, arrival->number);
    }
  }
  return true;
}

static bool look_at_correction(void *context, const struct correction_row *row, struct error *err) {
  (void)err;
  mark_customer(context, row->customer, row->number, row->from);
  return true;
}

static bool same_close(const struct closed *x, const struct closed *y) {
  return x->position == y->position && x->range.to.ns == y->range.to.ns;
}

static int by_close(const void *a, const void *b) {
  const struct closed *x = a, *y = b;
  if (x->position != y->position) {
    return x->position < y->position ? -1 : 1;
  }
  return (x->range.to.ns > y->range.to.ns) - (x->range.to.ns < y->range.to.ns);
}

/* Blocks that hold nothing of a closed period's time are not even opened. */
static bool find_late(struct adjusting *a, struct error *err) {
  if (a->closed.count > 0) {
    qsort(a->closed.items, a->closed.count, sizeof *a->closed.items, by_close);
  }
  for (size_t i = 0; i < a->closed.count;) {
    struct looking l = {a, i, 0};
    struct closed *first = &a->closed.items[i];
    struct journal_range range = {
        .after = first->position, .until = a->set->journal_position, .before = first->range.to};
    for (; i < a->closed.count && same_close(first, &a->closed.items[i]); i++) {
      l.count++;
    }
    if (range.after < range.until && !journal_scan(a->book->db, &range, look_at_event, &l, err)) {
      return false;
    }
  }
  slice only = pays_for_others(a) ? SLICE("") : a->customer;
  return correction_list(a->book->db, only, a->set->journal_position + 1, INT32_MAX, look_at_correction, a, err);
}

/* ---- a period as it stood ---- */

static struct rated *cache_place(struct adjusting *a) {
  struct rated *place = &a->cache[a->cached++ % CACHED_SETS];
  if (place->set.arena) {
    rating_set_free(&place->set);
  }
  *place = (struct rated){0};
  return place;
}

/* At position 0 there were fees, but no usage. */
static bool rated_at(struct adjusting *a, const struct adjustment_span *span, bool after, const struct rating **out,
                     struct error *err) {
  uint64_t position = after ? span->to_event : span->from_event;
  instant as_of = after ? span->as_of_after : span->as_of_before;
  *out = NULL;
  for (size_t i = 0; i < CACHED_SETS; i++) {
    struct rated *r = &a->cache[i];
    if (r->position == position && r->as_of.ns == as_of.ns && slice_eq(r->period, span->period) &&
        slice_eq(r->catalog, span->catalog)) {
      *out = rating_set_find(&r->set, span->customer);
      return true;
    }
  }
  struct rated *r = cache_place(a);
  struct rate_request request = {.customer = a->customer,
                                 .period = span->period,
                                 .position = position,
                                 .as_of = as_of,
                                 .no_events = position == 0,
                                 .no_evidence = true};
  if (!versions_find(a->book, span->catalog, &request.catalog, err) || !rate_at(a->book, &request, &r->set, err)) {
    return false;
  }
  r->period = span->period;
  r->catalog = span->catalog;
  r->position = position;
  r->as_of = as_of;
  *out = rating_set_find(&r->set, span->customer);
  return true;
}

/* ---- the differences ---- */

typedef VEC(struct charge) charges;

static bool same_charge(const struct charge *x, const struct charge *y) {
  return x->kind == y->kind && x->price == y->price && x->fee == y->fee && x->cover == y->cover &&
         slice_eq(x->name, y->name) && x->segment->from.ns == y->segment->from.ns &&
         x->segment->to.ns == y->segment->to.ns;
}

static const struct charge *find_charge(const struct rating *rating, const struct charge *like) {
  for (size_t i = 0; rating && i < rating->charge_count; i++) {
    if (same_charge(&rating->charges[i], like)) {
      return &rating->charges[i];
    }
  }
  return NULL;
}

/* Copies what outlives the set it was rated in: plans, prices and meters are the catalog's. */
static bool add_difference(struct adjusting *a, const struct adjustment_span *span, const struct charge *before,
                           const struct charge *after, charges *out, struct error *err) {
  const struct charge *one = after ? after : before;
  must(one != NULL);
  struct adjustment *adjustment = arena_alloc(a->arena, sizeof *adjustment);
  struct segment *segment = arena_alloc(a->arena, sizeof *segment);
  *adjustment = (struct adjustment){.span = *span,
                                    .units_before = before ? before->units : QUANTITY_ZERO,
                                    .units_after = after ? after->units : QUANTITY_ZERO,
                                    .exact_before = before ? before->exact : AMOUNT_ZERO,
                                    .exact_after = after ? after->exact : AMOUNT_ZERO};
  *segment = *one->segment;
  struct charge c = {.kind = CHARGE_ADJUSTMENT,
                     .name = slice_of(arena_printf(a->arena, "Adjustment " SLICE_FMT ": " SLICE_FMT,
                                                   SLICE_ARG(span->period), SLICE_ARG(one->name))),
                     .product = one->product,
                     .unit = one->unit,
                     .segment = segment,
                     .meter = one->meter,
                     .adjustment = adjustment};
  quantity raw_before = before ? before->raw : QUANTITY_ZERO, raw_after = after ? after->raw : QUANTITY_ZERO;
  if (!amount_sub(adjustment->exact_after, adjustment->exact_before, &c.exact, err) ||
      !quantity_sub(adjustment->units_after, adjustment->units_before, &c.units, err) ||
      !quantity_sub(raw_after, raw_before, &c.raw, err)) {
    return false;
  }
  if (!amount_is_zero(c.exact) || !quantity_is_zero(c.raw)) {
    vec_push(out, c);
  }
  return true;
}

static bool same_usage(const struct unpriced *x, const struct unpriced *y) {
  bool same = x->meter == y->meter && quantity_cmp(x->raw, y->raw) == 0;
  for (size_t d = 0; same && d < x->meter->dimension_count; d++) {
    same = slice_eq(x->dimensions[d], y->dimensions[d]);
  }
  return same;
}

static bool known_unpriced(const struct rating *before, const struct unpriced *u) {
  for (size_t i = 0; before && i < before->unpriced_count; i++) {
    if (same_usage(&before->unpriced[i], u)) {
      return true;
    }
  }
  return false;
}

/* Late usage without a price is told like any other: it is never free by accident. */
static void note_unpriced(struct adjusting *a, const struct rating *before, const struct rating *after) {
  for (size_t i = 0; after && i < after->unpriced_count; i++) {
    struct late_unpriced late = {after->customer, after->unpriced[i]};
    slice *dimensions = arena_array(a->arena, late.usage.meter->dimension_count, sizeof *dimensions);
    if (known_unpriced(before, &late.usage)) {
      continue;
    }
    for (size_t d = 0; d < late.usage.meter->dimension_count; d++) {
      dimensions[d] = arena_copy(a->arena, late.usage.dimensions[d]);
    }
    late.usage.dimensions = dimensions;
    vec_push(&a->unpriced, late);
  }
}

static bool difference(struct adjusting *a, const struct adjustment_span *span, charges *out, struct error *err) {
  const struct rating *before, *after;
  /* The second may push the first out of the cache only after CACHED_SETS more. */
  if (!rated_at(a, span, false, &before, err) || !rated_at(a, span, true, &after, err)) {
    return false;
  }
  note_unpriced(a, before, after);
  for (size_t i = 0; after && i < after->charge_count; i++) {
    if (!add_difference(a, span, find_charge(before, &after->charges[i]), &after->charges[i], out, err)) {
      return false;
    }
  }
  for (size_t i = 0; before && i < before->charge_count; i++) {
    if (find_charge(after, &before->charges[i]) == NULL &&
        !add_difference(a, span, &before->charges[i], NULL, out, err)) {
      return false;
    }
  }
  return true;
}

/* The stretches of the journal that no standing document has accounted for. */
static bool differences_of(struct adjusting *a, const struct closed *c, charges *out, struct error *err) {
  bool early = c->as_of.ns < c->range.to.ns;
  struct adjustment_span span = {.customer = c->customer,
                                 .period = c->period,
                                 .invoice = c->number,
                                 .catalog = c->catalog,
                                 .from_event = c->position,
                                 .as_of_before = c->as_of,
                                 .as_of_after = a->set->as_of};
  for (size_t i = 0; i < a->covered.count; i++) {
    const struct covered *k = &a->covered.items[i];
    if (slice_eq(k->invoice, c->id) && slice_eq(k->customer, c->customer) && k->from == span.from_event) {
      span.from_event = k->to;
      span.as_of_before = k->as_of;
      early = k->as_of.ns < c->range.to.ns;
    }
  }
  span.to_event = a->set->journal_position;
  bool late = c->late_max > span.from_event;
  if (!late && !(early && span.as_of_after.ns > span.as_of_before.ns)) {
    return true;
  }
  return difference(a, &span, out, err);
}

/* ---- into the ratings ---- */

bool rating_add_charges(struct arena *arena, struct rating *rating, const struct charge *more, size_t count,
                        struct error *err) {
  struct charge *all = arena_array(arena, rating->charge_count + count, sizeof *all);
  if (rating->charge_count > 0) {
    memcpy(all, rating->charges, rating->charge_count * sizeof *all);
  }
  for (size_t i = 0; i < count; i++) {
    all[rating->charge_count + i] = more[i];
    if (!amount_add(rating->total, more[i].exact, &rating->total, err)) {
      return false;
    }
  }
  rating->charges = all;
  rating->charge_count += count;
  return true;
}

/* The customer's rating in the set; a new, empty one in its place when there was nothing to charge. */
static struct rating *rating_for(struct adjusting *a, slice customer, slice period, struct error *err) {
  struct rating_set *set = a->set;
  size_t at = 0;
  while (at < set->rating_count && slice_cmp(set->ratings[at].customer->id, customer) < 0) {
    at++;
  }
  if (at < set->rating_count && slice_eq(set->ratings[at].customer->id, customer)) {
    return &set->ratings[at];
  }
  struct rating fresh = {.customer = catalog_customer(a->book->catalog, customer)};
  bool none = false;
  if (fresh.customer == NULL || !billing_period_named(fresh.customer, period, &fresh.period, &none, err) || none) {
    return NULL;
  }
  memmove(&set->ratings[at + 1], &set->ratings[at], (set->rating_count - at) * sizeof *set->ratings);
  set->ratings[at] = fresh;
  set->rating_count++;
  return &set->ratings[at];
}

static bool adjust_all(struct adjusting *a, slice period, struct error *err) {
  for (size_t i = 0; i < a->closed.count; i++) {
    const struct closed *c = &a->closed.items[i];
    charges more = {0};
    if (slice_eq(c->period, period)) {
      continue;
    }
    bool ok = differences_of(a, c, &more, err);
    struct rating *rating = ok && more.count > 0 ? rating_for(a, c->customer, period, err) : NULL;
    ok = ok && err->code == ERR_NONE &&
         (rating == NULL || rating_add_charges(a->arena, rating, more.items, more.count, err));
    vec_free(&more);
    if (!ok) {
      return error_at(err, "adjusting invoice " SLICE_FMT, SLICE_ARG(c->number));
    }
  }
  return true;
}

static void adjusting_end(struct adjusting *a) {
  for (size_t i = 0; i < CACHED_SETS; i++) {
    if (a->cache[i].set.arena) {
      rating_set_free(&a->cache[i].set);
    }
  }
  vec_free(&a->closed);
  vec_free(&a->covered);
  vec_free(&a->unpriced);
}

bool adjust(struct book *book, const struct rate_request *request, struct rating_set *set, struct error *err) {
  slice period = request->period;
  struct adjusting a = {.book = book,
                        .set = set,
                        .arena = set->arena,
                        .customer = request->customer,
                        .some = request->some,
                        .some_count = request->some_count};
  bool ok = load_closed(&a, err) && (a.closed.count == 0 || (find_late(&a, err) && adjust_all(&a, period, err)));
  if (ok && a.unpriced.count > 0) {
    struct late_unpriced *kept = arena_array(a.arena, a.unpriced.count, sizeof *kept);
    memcpy(kept, a.unpriced.items, a.unpriced.count * sizeof *kept);
    set->late_unpriced = kept;
    set->late_unpriced_count = a.unpriced.count;
  }
  adjusting_end(&a);
  return ok;
}

bool adjust_again(struct book *book, struct rating_set *set, struct rating *rating, const struct adjustment_span *spans,
                  size_t count, struct error *err) {
  struct adjusting a = {.book = book, .set = set, .arena = set->arena, .customer = rating->customer->id};
  charges more = {0};
  bool ok = true;
  for (size_t i = 0; ok && i < count; i++) {
    ok = difference(&a, &spans[i], &more, err);
  }
  ok = ok && rating_add_charges(set->arena, rating, more.items, more.count, err);
  vec_free(&more);
  adjusting_end(&a);
  return ok;
}
