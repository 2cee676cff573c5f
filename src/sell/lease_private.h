/* What the files of leases share: the object, and its rows. */
#ifndef METERHOUSE_SELL_LEASE_PRIVATE_H
#define METERHOUSE_SELL_LEASE_PRIVATE_H
#include "sell/lease.h"

struct leases {
  struct book *book;
  const struct catalog *catalog;
  struct pool_calendar *pools; /* their calendars are this object's */
  size_t pool_count;
};
struct calendar *calendar_of(const struct leases *leases, slice pool);
/* Into the calendar; ERR_LIMIT: no room. `placed` says what came of it. */
MUST_USE bool place_lease(const struct leases *leases, struct lease *lease, struct period span, struct error *err);
/* Does its pool keep what the class leaves idle when it holds that span as well? ERR_LIMIT. */
MUST_USE bool leaves_spare(const struct pool_calendar *pool, const struct lease *lease, struct period span,
                           struct error *err);

/* ---- rows ---- */
MUST_USE bool lease_insert(struct db *db, const struct lease *lease, struct error *err);
MUST_USE bool lease_update(struct db *db, const struct lease *lease, struct error *err);
MUST_USE bool lease_of_reference(struct db *db, struct arena *arena, slice reference, bool *found, struct lease *out,
                                 struct error *err);
MUST_USE bool lease_quote_insert(struct db *db, const struct lease_quote *quote, struct error *err);
struct run_row {
  slice lease;
  struct lease_run of;
  quantity held;                  /* units that the start event says */
  uint32_t start_made, stop_made; /* how often such an event was made or corrected; 0: never */
  instant accrued_to;             /* 0: nothing yet */
};
struct run_rows {
  struct run_row *items;
  size_t count, capacity;
};
/* All of a lease, by run. In the arena; `items` is freed with vec_free. */
MUST_USE bool run_rows_of(struct db *db, struct arena *arena, slice lease, struct run_rows *out, struct error *err);
/* The one that began last; of no rows 0. */
size_t run_rows_latest(const struct run_rows *runs);
MUST_USE bool run_write(struct db *db, const struct run_row *row, struct error *err);
MUST_USE bool move_insert(struct db *db, const struct lease *lease, enum lease_state was, instant at, instant now,
                          struct error *err);
/* Lets go of what is held of its minimum; nothing when there is none. */
MUST_USE bool lease_unhold(struct leases *leases, struct lease *lease, instant now, struct error *err);
/* Events of the lease's stretches, as its runs and its state want them; *events counts. */
MUST_USE bool lease_meter(struct leases *leases, struct arena *arena, const struct lease *lease, struct run_rows *runs,
                          size_t *events, struct error *err);
#endif
