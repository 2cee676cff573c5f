/* Coverage: hour by hour, usage is taken by the reservations and savings plans in force, the largest discount first. */
#include "rate/private.h"

#include <stdlib.h>

#define HOUR_NS (3600 * NS_PER_S)
#define COMPARED_UNITS ((int128)1000000 * QUANTITY_E9) /* list prices are compared for a million units */

/* What a cover still has in the hour at hand. */
struct room {
  bool in_force;
  instant from, to;
  quantity capacity, units; /* reservation, raw: of the hour, and left of it */
  amount committed, money;  /* savings plan */
};
/* A cover that may take an item in the hour at hand; the larger saving goes first. */
struct bid {
  struct item *item;
  size_t cover;
  enum cover_kind kind;
  rate discount;
  int128 saving;
};
struct hourly {
  struct stretch *stretch;
  struct item **items; /* that any cover may take, by hour */
  size_t count, next;
  struct room *rooms; /* parallel to the stretch's covers */
  VEC(struct bid) bids;
  bool keep;
};

static bool error_at_cover(const struct cover *cover, struct error *err) {
  return error_at(err, "%s:%d: %s \"" SLICE_FMT "\"", cover->place.file, cover->place.line,
                  cover->kind == COVER_RESERVATION ? "reservation" : "savings plan", SLICE_ARG(cover->name));
}

/* ---- list prices ---- */

/* Raw units at the price of the first tier, times its multipliers, times `part`. Zero where units have no price. */
static bool list_price(const struct item *item, quantity raw, rate part, amount *out, struct error *err) {
  const struct price_rule *price = item->run->price;
  rate weight;
  int128 per;
  *out = AMOUNT_ZERO;
  if (!price || price->model == PRICE_FLAT || price->model == PRICE_STAIRSTEP) {
    return true;
  }
  bool ok = rate_times(item->run->multiplier, part, &weight, err) &&
            int128_muldiv(price->per.e9, price->meter->base_per_unit.e9, QUANTITY_E9, ROUND_HALF_EVEN, &per, err) &&
            amount_of_usage(price->tiers[0].each, raw.e9, per, weight, out, err);
  return ok || error_at_price(price, err);
}

/* The most raw units, rounded down, that `money` pays at that price; the price is above zero. */
static bool paid_by(const struct item *item, amount money, rate part, quantity *out, struct error *err) {
  const struct price_rule *price = item->run->price;
  rate weight;
  struct fraction units = {price->per.e9, QUANTITY_E9}, factor = {RATE_ONE.e12, 1};
  if (!rate_times(item->run->multiplier, part, &weight, err)) {
    return error_at_price(price, err);
  }
  factor.den = weight.e12;
  fraction_reduce(&factor);
  bool ok = fraction_times(&units, price->meter->base_per_unit.e9, price->tiers[0].each.e12, err) &&
            fraction_times(&units, factor.num, factor.den, err) &&
            int128_muldiv(money.e12, units.num, units.den, ROUND_FLOOR, &out->e9, err);
  return ok || error_at_price(price, err);
}

/* ---- bids ---- */

static int by_saving(const void *a, const void *b) {
  const struct bid *x = a, *y = b;
  if (x->kind != y->kind) {
    return x->kind < y->kind ? -1 : 1;
  }
  if (x->saving != y->saving) {
    return x->saving > y->saving ? -1 : 1;
  }
  if (x->cover != y->cover) {
    return x->cover < y->cover ? -1 : 1;
  }
  return x->item->sequence < y->item->sequence ? -1 : x->item->sequence > y->item->sequence;
}

static bool add_bids(struct hourly *h, struct item *item, struct error *err) {
  amount list;
  if (!list_price(item, (quantity){COMPARED_UNITS}, RATE_ONE, &list, err)) {
    return false;
  }
  for (size_t i = 0; i < item->run->claim_count; i++) {
    const struct claim *claim = &item->run->claims[i];
    struct bid bid = {item, claim->cover, h->stretch->covers[claim->cover].cover->kind, claim->discount, list.e12};
    if (bid.kind == COVER_SAVINGS_PLAN) {
      bid.saving = claim->discount.e12;
    }
    /* What costs nothing is not worth the money of a plan. */
    if (h->rooms[claim->cover].in_force && (bid.kind == COVER_RESERVATION || list.e12 > 0)) {
      vec_push(&h->bids, bid);
    }
  }
  return true;
}

static bool take_units(struct room *room, struct item *item, struct coverage *report, struct error *err) {
  quantity open = item_open(item), taken = quantity_cmp(open, room->units) < 0 ? open : room->units;
  amount list;
  if (!list_price(item, taken, RATE_ONE, &list, err) || !amount_add(report->list, list, &report->list, err)) {
    return false;
  }
  room->units.e9 -= taken.e9;
  item->covered.e9 += taken.e9;
  return true;
}

/* All that is open when the money is enough; otherwise what it pays, and then nothing is left of it. */
static bool take_money(struct room *room, const struct bid *bid, struct coverage *report, struct error *err) {
  struct item *item = bid->item;
  quantity open = item_open(item), taken = open;
  rate part = {RATE_ONE.e12 - bid->discount.e12};
  amount cost, list;
  if (!list_price(item, open, part, &cost, err)) {
    return false;
  }
  if (amount_cmp(cost, room->money) > 0) {
    cost = room->money;
    if (!paid_by(item, cost, part, &taken, err)) {
      return false;
    }
    taken = quantity_cmp(open, taken) < 0 ? open : taken;
  }
  if (!list_price(item, taken, RATE_ONE, &list, err) || !amount_add(report->list, list, &report->list, err)) {
    return false;
  }
  room->money.e12 -= cost.e12;
  item->covered.e9 += taken.e9;
  return true;
}

static bool take(struct hourly *h, const struct bid *bid, struct error *err) {
  struct room *room = &h->rooms[bid->cover];
  struct coverage *report = &h->stretch->covers[bid->cover].tally->report;
  if (item_open(bid->item).e9 == 0) {
    return true;
  }
  if (bid->kind == COVER_RESERVATION) {
    return room->units.e9 == 0 || take_units(room, bid->item, report, err);
  }
  return room->money.e12 == 0 || take_money(room, bid, report, err);
}

static bool note_matching(struct hourly *h, const struct bid *bid, struct error *err) {
  struct coverage *report = &h->stretch->covers[bid->cover].tally->report;
  quantity open = item_open(bid->item);
  amount list;
  if (bid->kind == COVER_RESERVATION) {
    return quantity_add(report->matching, open, &report->matching, err);
  }
  return list_price(bid->item, open, RATE_ONE, &list, err) &&
         amount_add(report->matching_list, list, &report->matching_list, err);
}

/* Bids of one kind: reservations see all that allowances left, savings plans what reservations left as well. */
static bool settle_kind(struct hourly *h, size_t *at, enum cover_kind kind, struct error *err) {
  size_t first = *at, end = first;
  for (; end < h->bids.count && h->bids.items[end].kind == kind; end++) {
    if (!note_matching(h, &h->bids.items[end], err)) {
      return false;
    }
  }
  for (*at = first; *at < end; ++*at) {
    if (!take(h, &h->bids.items[*at], err)) {
      return error_at_cover(h->stretch->covers[h->bids.items[*at].cover].cover, err);
    }
  }
  return true;
}

static bool settle_bids(struct hourly *h, struct error *err) {
  size_t at = 0;
  if (h->bids.count > 1) {
    qsort(h->bids.items, h->bids.count, sizeof *h->bids.items, by_saving);
  }
  return settle_kind(h, &at, COVER_RESERVATION, err) && settle_kind(h, &at, COVER_SAVINGS_PLAN, err);
}

/* ---- the hour ---- */

/* A level lasts for seconds; what is counted comes by the hour. Parts of 1e-9 are not there to be used. */
static bool open_units(const struct cover_span *span, struct room *room, struct error *err) {
  bool level = span->cover->usage[0].meter->aggregation == AGG_INTEGRAL;
  int128 per_ns = (int128)(level ? 1 : 3600) * NS_PER_S;
  return int128_muldiv(span->quantity.e9, room->to.ns - room->from.ns, per_ns, ROUND_FLOOR, &room->capacity.e9, err);
}

/* Differences of what has accrued, so that the hours add up to the fee. */
static bool open_money(const struct cover_span *span, struct room *room, struct error *err) {
  amount before;
  return cover_cost_until(span, room->from, &before, err) && cover_cost_until(span, room->to, &room->committed, err) &&
         amount_sub(room->committed, before, &room->committed, err);
}

static bool open_rooms(struct hourly *h, instant hour, struct error *err) {
  for (size_t i = 0; i < h->stretch->cover_count; i++) {
    const struct cover_span *span = &h->stretch->covers[i];
    struct room *room = &h->rooms[i];
    *room = (struct room){.from = hour, .to = {hour.ns + HOUR_NS}};
    if (span->from.ns > room->from.ns) {
      room->from = span->from;
    }
    if (span->to.ns < room->to.ns) {
      room->to = span->to;
    }
    room->in_force = room->from.ns < room->to.ns;
    bool reserved = span->cover->kind == COVER_RESERVATION;
    if (room->in_force && !(reserved ? open_units : open_money)(span, room, err)) {
      return error_at_cover(span->cover, err);
    }
    room->units = room->capacity;
    room->money = room->committed;
  }
  return true;
}

static bool close_rooms(struct hourly *h, struct error *err) {
  for (size_t i = 0; i < h->stretch->cover_count; i++) {
    const struct room *room = &h->rooms[i];
    struct tally *tally = h->stretch->covers[i].tally;
    struct coverage *r = &tally->report;
    struct coverage_hour hour = {.from = room->from,
                                 .to = room->to,
                                 .capacity = room->capacity,
                                 .used = {room->capacity.e9 - room->units.e9},
                                 .committed = room->committed,
                                 .spent = {room->committed.e12 - room->money.e12}};
    if (!room->in_force) {
      continue;
    }
    if (!quantity_add(r->capacity, hour.capacity, &r->capacity, err) ||
        !quantity_add(r->used, hour.used, &r->used, err) || !amount_add(r->spent, hour.spent, &r->spent, err)) {
      return error_at_cover(r->cover, err);
    }
    r->hours++;
    r->hours_unused += room->units.e9 > 0 || room->money.e12 > 0;
    if (h->keep) {
      vec_push(&tally->hourly, hour);
    }
  }
  return true;
}

static bool cover_hour(struct hourly *h, instant hour, struct error *err) {
  if (!open_rooms(h, hour, err)) {
    return false;
  }
  h->bids.count = 0;
  for (; h->next < h->count && h->items[h->next]->from.ns < hour.ns + HOUR_NS; h->next++) {
    if (!add_bids(h, h->items[h->next], err)) {
      return false;
    }
  }
  return settle_bids(h, err) && close_rooms(h, err);
}

/* ---- the stretch ---- */

static int by_time(const void *a, const void *b) {
  const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
  if (x->from.ns != y->from.ns) {
    return x->from.ns < y->from.ns ? -1 : 1;
  }
  return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static void find_items(struct arena *scratch, struct hourly *h) {
  struct stretch *s = h->stretch;
  h->items = arena_array(scratch, s->count, sizeof *h->items);
  for (size_t i = 0; i < s->count; i++) {
    if (s->items[i].run->claim_count > 0) {
      h->items[h->count++] = &s->items[i];
    }
  }
  if (h->count > 1) {
    qsort(h->items, h->count, sizeof *h->items, by_time);
  }
}

static struct period in_force(const struct stretch *s) {
  struct period p = {s->covers[0].from, s->covers[0].to};
  for (size_t i = 1; i < s->cover_count; i++) {
    p.from = time_earlier(s->covers[i].from, p.from);
    p.to = time_later(s->covers[i].to, p.to);
  }
  return p;
}

static bool add_cost(const struct cover_span *span, struct error *err) {
  amount before, cost;
  struct coverage *report = &span->tally->report;
  return cover_cost_until(span, span->from, &before, err) && cover_cost_until(span, span->to, &cost, err) &&
         amount_sub(cost, before, &cost, err) && amount_add(report->cost, cost, &report->cost, err);
}

bool draw_covers(struct arena *scratch, struct stretch *stretch, bool hourly, struct error *err) {
  struct hourly h = {.stretch = stretch, .keep = hourly};
  bool ok = true;
  if (stretch->cover_count == 0) {
    return true;
  }
  struct period p = in_force(stretch);
  find_items(scratch, &h);
  h.rooms = arena_array(scratch, stretch->cover_count, sizeof *h.rooms);
  instant hour = {p.from.ns - p.from.ns % HOUR_NS};
  while (h.next < h.count && h.items[h.next]->to.ns <= hour.ns) {
    h.next++;
  }
  for (; ok && hour.ns < p.to.ns; hour.ns += HOUR_NS) {
    ok = cover_hour(&h, hour, err);
  }
  for (size_t i = 0; ok && i < stretch->cover_count; i++) {
    ok = add_cost(&stretch->covers[i], err) || error_at_cover(stretch->covers[i].cover, err);
  }
  vec_free(&h.bids);
  return ok;
}
