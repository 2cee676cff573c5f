/* The present: the current periods of every customer kept in memory beside the journal, for alerts that are told within
 * a second and entitlements that are answered without the disk. docs/alerts.md is the user's manual. */
#ifndef METERHOUSE_LIVE_LIVE_H
#define METERHOUSE_LIVE_LIVE_H
#include "base/hash.h"
#include "book/book.h"

#define LIVE_ALERTS_PER_CUSTOMER_MAX 100 /* made over the API */
#define LIVE_ALERTS_MAX 100000

/* ---- the view: it belongs to one thread that follows the journal; usage and entitlements may be asked from any ----
 */
struct live_view;
struct live_view *live_view_new(const struct catalog *catalog); /* the catalog must outlive it */
void live_view_free(struct live_view *view);                    /* NULL is fine */
/* Takes in what the journal got since the last time. With `reload` also what can not be added up is read anew (levels,
 * unique and latest values, corrected customers, periods that began); without, it waits for a later call. */
MUST_USE bool live_view_follow(struct live_view *view, struct book *reader, instant now, bool reload,
                               struct error *err);
/* Raw usage of a customer's current period as of `now`. Days and hours only where an alert or a limit watches them:
 * false when this period is not kept. */
bool live_view_usage(struct live_view *view, slice customer, slice meter, enum watch_per per, instant now,
                     quantity *raw, struct period *period);

/* ---- alerts made over the API; what changes them runs in the caller's transaction ---- */
struct live_alert {
  slice id, customer; /* of one that the catalog has, the id is its name */
  bool from_catalog;
  struct alert alert;
  instant created;
};
/* Checks and keeps it; the id is given here. ERR_CONFLICT when the customer has one of the name. */
MUST_USE bool live_alert_create(struct db *db, const struct catalog *catalog, const struct live_alert *wanted,
                                char id[ID_TEXT_MAX], struct error *err);
/* `customer` empty: whosever it is. What it has told stays told. */
MUST_USE bool live_alert_delete(struct db *db, slice id, slice customer, struct error *err);
typedef bool (*live_alert_each)(void *context, const struct live_alert *alert, struct error *err);
/* By id, after `after`; of one customer, or (empty) of all. */
MUST_USE bool live_alerts(struct db *db, const struct catalog *catalog, slice customer, slice after, size_t limit,
                          live_alert_each each, void *context, struct error *err);
/* Those that the catalog gives a customer at a time. */
MUST_USE bool live_catalog_alerts(const struct catalog *catalog, const struct customer *customer, instant t,
                                  live_alert_each each, void *context, struct error *err);
/* A percentage of what an alert stands at. */
MUST_USE bool live_threshold(const struct alert *alert, int percent, quantity *units, amount *spend, struct error *err);

/* ---- what was crossed ---- */
struct live_crossing {
  const struct customer *customer;
  slice alert, name;         /* id and name */
  const struct meter *meter; /* NULL: spend */
  enum watch_per per;
  int percent;
  const char *threshold, *value; /* decimals; in units, or money of the customer's currency */
  struct period period;
  instant time;
};
/* Keeps it and the message that tells of it, once for ever for alert, threshold and period; in the caller's
 * transaction. */
MUST_USE bool live_cross(struct db *db, const struct live_crossing *crossing, struct error *err);

/* ---- entitlements ---- */
struct live_entitlement {
  const struct meter *meter;
  bool has_access;
  const char *reason; /* why not; NULL when it has */
  quantity usage;     /* in units, as are all of these */
  bool has_included, has_limit, has_remaining, has_overage;
  quantity included, limit, remaining, overage;
  enum watch_per per;
  struct period period;
  instant as_of;
};
/* ERR_NOT_FOUND for an unknown customer or meter; ERR_BUSY while the view is not loaded yet. Never waits for the disk.
 */
MUST_USE bool live_entitlement(struct live_view *view, slice customer, slice meter, instant now,
                               struct live_entitlement *out, struct error *err);

/* ---- with the server: a thread of its own ---- */
struct live;
/* Begins to listen to the core's commits. */
MUST_USE bool live_open(struct book *book, struct core *core, struct live **out, struct error *err);
/* Loads the view and starts the thread. `crossed` is called on that thread after crossings were committed. */
void live_start(struct live *live, void (*crossed)(void *context), void *context);
void live_stop(struct live *live); /* before the core; NULL is fine */
void live_free(struct live *live); /* after the core; NULL is fine */
struct live_view *live_view_of(struct live *live);
#endif
