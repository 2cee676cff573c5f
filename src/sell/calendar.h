/* The capacity calendar of one pool: who holds how many units from when to when. Nothing is sold twice: whatever is put
 * into it fits beside all that is there, at every moment. Pure, in memory; whoever owns it fills it from the store. */
#ifndef METERHOUSE_SELL_CALENDAR_H
#define METERHOUSE_SELL_CALENDAR_H
#include "base/time.h"
#include "money/money.h"

#define CALENDAR_ENTRIES_MAX 1000000
#define CALENDAR_UNITS_MAX INT64_C(1000000000) /* there, and so held, at any moment */
#define CALENDAR_ID_BYTES_MAX 128
/* SPOT gives way: it lies in what is firm's, and firm entries that need its room say how much. */
enum calendar_layer { CALENDAR_FIRM, CALENDAR_SPOT };
struct calendar_entry {
  slice id; /* of the lease, quote, reservation, maintenance window; unique in the calendar */
  enum calendar_layer layer;
  instant from, to; /* [from, to); to INSTANT_MAX: until it is ended */
  quantity units;   /* GPUs, in parts as well; > 0 */
};
struct calendar;
struct calendar *calendar_new(void);
void calendar_free(struct calendar *calendar); /* NULL is fine */
/* So many units are there from `from` until the next such step by time, in whatever order they are told; before the
 * first there are none. Lowering it below what is held is told by calendar_short, not refused: hardware fails. The
 * caller sees to it that `units` are from 0 to CALENDAR_UNITS_MAX and `from` is before INSTANT_MAX. */
void calendar_set_capacity(struct calendar *calendar, instant from, quantity units);
/* ERR_LIMIT says how many units are free and, when there is one, the first moment at which as many would be; nothing is
 * changed then. A FIRM entry that fits only where SPOT lies is put when `may_preempt`, and `*preempted` (may be NULL)
 * is how many units of SPOT have to go at the worst moment, those included that had to go already; they are held until
 * they are ended. ERR_CONFLICT: the id is there already. ERR_INVALID: an empty span or one out of the range of time, no
 * units or more than CALENDAR_UNITS_MAX, an id that is empty or too long. ERR_LIMIT as well: the calendar is full. */
MUST_USE bool calendar_put(struct calendar *calendar, const struct calendar_entry *entry, bool may_preempt,
                           quantity *preempted, struct error *err);
/* Ends an entry at `at`; at or after its end nothing changes; at or before its beginning it is as if it had never been.
 * False: no such id. */
bool calendar_end(struct calendar *calendar, slice id, instant at);
/* A later end, when there is room for it, else ERR_LIMIT, which says how many units are free and until when it could
 * last. `may_preempt` and `*preempted` as for put, over the time that is added. ERR_NOT_FOUND. ERR_INVALID: before the
 * end it has (calendar_end does that), or out of the range of time. */
MUST_USE bool calendar_extend(struct calendar *calendar, slice id, instant to, bool may_preempt, quantity *preempted,
                              struct error *err);
/* NULL: none. Good until the calendar is changed. */
const struct calendar_entry *calendar_find(const struct calendar *calendar, slice id);
size_t calendar_count(const struct calendar *calendar); /* entries, those that have ended included */
/* The least that is free over [from, to) for a layer: of FIRM with may_preempt what no FIRM entry holds. Never below
 * zero; zero when the span is empty. */
quantity calendar_free_units(const struct calendar *calendar, instant from, instant to, enum calendar_layer layer,
                             bool may_preempt);
/* The first start at or after `after` and before `until` from which `units` are free for `length_ns`, or to INSTANT_MAX
 * where that is sooner: INT64_MAX asks for room without an end. False: there is none, or units or length are not above
 * zero. */
bool calendar_earliest(const struct calendar *calendar, quantity units, int64_t length_ns, instant after, instant until,
                       enum calendar_layer layer, bool may_preempt, instant *start);
/* How many units more are held at `t` than there are: SPOT that has yet to go, or hardware that failed. Zero mostly. */
quantity calendar_short(const struct calendar *calendar, instant t);
/* Units held by each layer, and capacity, added up over [from, to): in 1e-18 unit-seconds (1e-9 units x ns), so that
 * nothing is rounded; for utilization and reports. Stretches of time add up to the whole. */
struct calendar_sums {
  int128 capacity_e18s, firm_e18s, spot_e18s;
};
void calendar_sums(const struct calendar *calendar, instant from, instant to, struct calendar_sums *out);
typedef bool (*calendar_each)(void *context, const struct calendar_entry *entry);
/* Those that touch [from, to), in order of their beginning, then of being put; false from `each` stops. `each` does not
 * change the calendar. Looks at every entry. */
void calendar_list(const struct calendar *calendar, instant from, instant to, calendar_each each, void *context);
/* Forgets entries that ended at or before `before`, and how capacity changed until then: what was is in the store, and
 * what is told of the time before `before` is no longer true. */
void calendar_forget(struct calendar *calendar, instant before);
#endif
