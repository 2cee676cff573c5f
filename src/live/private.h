/* Inside live: customers, their spans of time and the cells in them; what is late; what was crossed. */
#ifndef METERHOUSE_LIVE_PRIVATE_H
#define METERHOUSE_LIVE_PRIVATE_H
#include "base/hash.h"
#include "live/live.h"
#include <pthread.h>

#define LATE_MAX 200000
#define HOUR_NS (INT64_C(3600) * NS_PER_S)

/* Usage of one meter in one period, raw. Levels that are held add `ahead` over the span's `growth`, evenly. */
struct live_cell {
  quantity total, ahead;
  bool any;
};
struct live_span {
  struct period period;
  struct live_cell *cells; /* by index of the meter; NULL: no usage yet */
  struct period growth;
  bool wanted;  /* somebody watches it */
  bool stale;   /* to be loaded anew */
  bool growing; /* time alone changes it */
};
struct live_customer {
  const struct customer *customer;
  struct live_span spans[WATCH_PERS];
  bool changed;     /* its alerts are to be looked at */
  bool spend_stale; /* its spend is to be rated again */
  bool suspended;   /* under the view's lock */
};

/* An alert of the API, as the thread that follows remembers it. */
struct kept_alert {
  uint32_t customer; /* index */
  struct live_alert of;
};
/* A period that is over and got usage late. */
struct late_span {
  uint32_t customer;
  enum watch_per per;
  struct period period;
};

struct live_view {
  const struct catalog *catalog;
  pthread_rwlock_t lock; /* held to write by the thread that follows, shortly; to read by those who ask */
  struct live_customer *customers;
  size_t customer_count;
  uint64_t position; /* of the journal: taken in up to here */
  instant as_of, next_roll;
  bool loaded;
  bool has_integral;
  /* Below: of the thread that follows alone. */
  struct arena *alert_arena;
  VEC(uint32_t) suspended;       /* customers, by index */
  VEC(struct kept_alert) alerts; /* by customer */
  int64_t alerts_version;
  VEC(struct late_span) late; /* at most LATE_MAX; `late_lost` once there were more */
  bool late_lost;
  struct map late_seen; /* keys in late_arena */
  struct arena *late_arena;
  struct map crossed; /* told already; keys in crossed_arena */
  struct arena *crossed_arena;
};

/* ---- spans.c: periods, and adding up ---- */
/* The period of this kind that holds `t`, in the customer's zone. */
MUST_USE bool span_period(const struct customer *customer, enum watch_per per, instant t, struct period *out,
                          struct error *err);
void span_clear(struct live_span *span);
MUST_USE bool span_add_row(struct live_span *span, size_t meter_count, const struct usage_row *row, struct error *err);
MUST_USE bool span_usage(const struct live_span *span, const struct meter *meter, instant now, quantity *raw,
                         struct error *err);
/* Raw usage in units, rounded down so that nothing is passed before it is. */
MUST_USE bool in_units(const struct meter *meter, quantity raw, quantity *units, struct error *err);
bool adds_up(const struct meter *meter); /* from the new events alone */

/* ---- view.c ---- */
struct live_customer *view_customer(struct live_view *view, slice id); /* NULL when it is not in the catalog */
/* What was held grew on while nobody looked: periods that ended since then are looked at once more. */
MUST_USE bool view_look_back(struct live_view *view, instant since, struct error *err);
/* Has every alert been held against everything up to `position`? */
bool view_all_seen(const struct live_view *view);
/* Reads who is suspended. */
MUST_USE bool view_read_suspended(struct live_view *view, struct db *db, struct error *err);
/* Reads the API's alerts when they have changed. */
MUST_USE bool view_read_alerts(struct live_view *view, struct db *db, struct error *err);

/* ---- view_load.c ---- */
MUST_USE bool view_load_stale(struct live_view *view, struct db *db, instant now, struct error *err);
/* One kind of period of these customers; each's is `spans[i]`, which is filled. */
MUST_USE bool load_spans(const struct live_view *view, struct db *db, instant now,
                         struct live_customer *const *customers, struct live_span *const *spans, size_t count,
                         struct error *err);

/* ---- alerts.c: which hold for a customer ---- */
const struct entitlement *limit_at(const struct catalog *catalog, const struct customer *customer,
                                   const struct meter *meter, instant t);
typedef bool (*alert_each)(void *context, slice id, const struct alert *alert, struct error *err);
MUST_USE bool view_alerts(const struct live_view *view, const struct live_customer *customer, instant t,
                          alert_each each, void *context, struct error *err);
/* Does any alert, in any version of any plan, watch this kind of period; and spend? */
bool view_watches(const struct live_view *view, const struct live_customer *customer, enum watch_per per);
bool view_watches_spend(const struct live_view *view, const struct live_customer *customer);

/* ---- crossings.c ---- */
struct crossings {
  struct arena *arena;
  VEC(struct live_crossing) items;
};
/* What the alerts of a customer say to its usage in `span`; those told before are left out. */
MUST_USE bool cross_usage(struct live_view *view, const struct live_customer *customer, enum watch_per per,
                          const struct live_span *span, instant now, struct crossings *out, struct error *err);
MUST_USE bool cross_spend(struct live_view *view, const struct live_customer *customer, amount spend,
                          struct period period, instant now, struct crossings *out, struct error *err);
/* All customers whose usage changed; those that grow too when `growing`, all when `all`. */
MUST_USE bool cross_changed(struct live_view *view, instant now, bool growing, bool all, struct crossings *out,
                            struct error *err);
void crossing_told(struct live_view *view, const struct live_crossing *crossing);
void crossings_forget(struct live_view *view); /* the store knows them still */

/* ---- late.c ---- */
/* Usage came at a time before the customer's current period: every period from there to now may have changed. */
MUST_USE bool late_mark(struct live_view *view, const struct live_customer *customer, enum watch_per per, instant from,
                        instant to, struct error *err);
MUST_USE bool late_work(struct live_view *view, struct book *reader, instant now, struct crossings *out,
                        struct error *err);

/* ---- spend.c ---- */
MUST_USE bool spend_work(struct live_view *view, struct book *reader, instant now, struct crossings *out,
                         struct error *err);
void spend_stale_growing(struct live_view *view);
/* Rates customers (by index) over a period that is one month to all of them. */
struct spend_wish {
  const struct live_customer *customer;
  struct period period;
};
MUST_USE bool spend_of(struct live_view *view, struct book *reader, const struct spend_wish *wishes, size_t count,
                       instant now, struct crossings *out, struct error *err);

/* ---- keep.c ---- */
MUST_USE bool state_get(struct db *db, const char *name, int64_t otherwise, int64_t *out, struct error *err);
MUST_USE bool state_set(struct db *db, const char *name, int64_t value, struct error *err);
#endif
