/* What can be had of the pools, when, and at what price. Pure: pools, their calendars and a contract in, offers out. */
#ifndef METERHOUSE_SELL_OFFERS_H
#define METERHOUSE_SELL_OFFERS_H
#include "rate/rate.h"
#include "sell/calendar.h"

/* ---- what it costs to hold units: by the prices of the customer's contract, from one moment to another ---- */
struct held {
  const struct pool *pool;
  enum pool_class class;
  quantity units;
};
struct held_cost {
  const struct price_rule *price; /* at the beginning */
  amount unit_hour;               /* of one unit, for its first hour; in the customer's currency, as the price says */
  amount total;                   /* as the prices say: without tax, unless they include it */
  amount with_tax;
};
/* Units x time priced as rating does, with the multipliers of its hours; tiers count from zero in each segment, and
 * what reservations, allowances and discounts take is not looked at. ERR_INVALID: no contract, no price, no tax or no
 * exchange rate at some moment of it; an empty span. */
MUST_USE bool held_cost(const struct catalog *catalog, const struct customer *customer, const struct held *held,
                        struct period span, struct held_cost *out, struct error *err);
/* The value of a dimension (or another field) of an event about what is held: what the pool's `match` says, and of
 * "gpu" and "kind", "class", "site", "pool" what they are. Empty: none. */
slice held_field(const struct held *held, slice name);
/* The values parallel to the meter's dimensions. */
void held_dimensions(const struct held *held, slice dimensions[CATALOG_DIMENSIONS_MAX]);
/* What is charged for, when it was held for `ns`: at least the class's minimum, in steps of its increment; ns. Zero is
 * zero. */
int64_t held_charged_ns(const struct class_terms *terms, int64_t ns);
/* The least that is charged once it has begun. */
int64_t held_least_ns(const struct class_terms *terms);

/* ---- offers ---- */
#define OFFER_SECONDS_MAX (INT64_C(5) * 366 * 86400)
#define OFFER_HORIZON_S (INT64_C(366) * 86400) /* how far ahead the earliest start is looked for */
struct pool_calendar {
  const struct pool *pool;
  const struct calendar *calendar;
};
struct offer_request {
  const struct customer *customer;
  slice gpu; /* kind of the pool, in any case of letters; empty: every kind */
  quantity units;
  int64_t seconds;
  bool one_class; /* `class` alone, instead of all that are sold */
  enum pool_class class;
  instant now, from; /* from 0: now */
};
struct offer {
  struct held held;
  bool possible;         /* false: not within OFFER_HORIZON_S of `from` */
  bool at_once;          /* at the start that was asked for */
  struct period span;    /* RESERVED: one of its terms, at least as long as asked */
  bool preempts;         /* PRIORITY: only by taking from spot */
  struct held_cost cost; /* of the span; all zero when it is not possible */
  amount minimum;        /* charged at least once it has begun, with tax */
};
/* Of each pool that suits and each class it is sold as, in their order; in the arena. ERR_INVALID: units, seconds or
 * `from` that can not be, more units than any pool sells, a share or a part of a node that is not sold. ERR_NOT_FOUND:
 * nothing of that kind or class is sold. */
MUST_USE bool offers_find(struct arena *arena, const struct catalog *catalog, const struct pool_calendar *pools,
                          size_t count, const struct offer_request *request, struct offer **offers, size_t *offer_count,
                          struct error *err);
/* Is so much sold of it at all? ERR_INVALID says what is: shares, whole nodes, how many there are. */
MUST_USE bool offer_suits(const struct pool *pool, quantity units, struct error *err);
/* How a class lies in the calendar, and what it leaves free besides itself. */
enum calendar_layer offer_layer(enum pool_class class);
bool offer_preempts(enum pool_class class);
quantity offer_spare(const struct pool *pool, enum pool_class class);
#endif
