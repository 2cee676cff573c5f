/* The capacity calendar of one pool: who holds how many units from when to when. Nothing is sold twice: whatever is put
 * into it fits beside all that is there, at every moment. Pure, in memory; whoever owns it fills it from the store. */
#ifndef METERHOUSE_SELL_CALENDAR_H
#define METERHOUSE_SELL_CALENDAR_H
#include "base/time.h"
#include "money/money.h"

#define CALENDAR_ENTRIES_MAX 1000000
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
void calendar_free(struct calendar *calendar);
/* So many units are there from `from` on (steps; before the first there are none). Lowering it below what is held is
 * told by calendar_short, not refused: hardware fails. */
void calendar_set_capacity(struct calendar *calendar, instant from, quantity units);
/* ERR_LIMIT says how many units are free and, when there is one, the first moment at which as many would be; nothing is
 * changed then. A FIRM entry that fits only where SPOT lies is put when `may_preempt`, and `*preempted` (may be NULL)
 * is how many units of SPOT have to go at the worst moment. ERR_CONFLICT: the id is there already. ERR_INVALID: an
 * empty span, no units. */
MUST_USE bool calendar_put(struct calendar *calendar, const struct calendar_entry *entry, bool may_preempt,
                           quantity *preempted, struct error *err);
/* Ends an entry at `at` (not after its end); at or before its beginning it is as if it had never been. False: no such
 * id.
 */
bool calendar_end(struct calendar *calendar, slice id, instant at);
/* A later end, when there is room for it: ERR_LIMIT as for put. ERR_NOT_FOUND. */
MUST_USE bool calendar_extend(struct calendar *calendar, slice id, instant to, struct error *err);
const struct calendar_entry *calendar_find(const struct calendar *calendar, slice id); /* NULL: none */
/* The least that is free over [from, to) for a layer: of FIRM with may_preempt what no FIRM entry holds. */
quantity calendar_free_units(const struct calendar *calendar, instant from, instant to, enum calendar_layer layer,
                             bool may_preempt);
/* The first start at or after `after` and before `until` from which `units` are free for `length_ns`. */
bool calendar_earliest(const struct calendar *calendar, quantity units, int64_t length_ns, instant after, instant until,
                       enum calendar_layer layer, bool may_preempt, instant *start);
/* How many units more are held at `t` than there are; zero mostly. */
quantity calendar_short(const struct calendar *calendar, instant t);
/* Units held by each layer, and capacity, added up over [from, to): unit-seconds x 1e9, for utilization and reports. */
struct calendar_sums {
  int128 capacity_e9s, firm_e9s, spot_e9s;
};
void calendar_sums(const struct calendar *calendar, instant from, instant to, struct calendar_sums *out);
typedef bool (*calendar_each)(void *context, const struct calendar_entry *entry);
/* Those that touch [from, to), in order of their beginning; false from `each` stops. */
void calendar_list(const struct calendar *calendar, instant from, instant to, calendar_each each, void *context);
/* Forgets entries that ended before `before`: what was is in the store. */
void calendar_forget(struct calendar *calendar, instant before);
#endif
