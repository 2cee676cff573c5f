/* What is due to be sent, and what comes of an attempt: delivered, later, failed. */
#include "base/log.h"
#include "notify/private.h"
#include <string.h>

#define MINUTE_S 60
#define HOUR_S 3600
#define STATUS_GONE 410

duration notify_wait_after(int64_t attempts, slice message) {
  static const int64_t waits_s[NOTIFY_ATTEMPTS_MAX - 1] = {
      5, 5 * MINUTE_S, 30 * MINUTE_S, 2 * HOUR_S, 5 * HOUR_S, 10 * HOUR_S, 14 * HOUR_S, 20 * HOUR_S, 24 * HOUR_S};
  must(attempts >= 1 && attempts < NOTIFY_ATTEMPTS_MAX);
  int64_t wait_ns = waits_s[attempts - 1] * NS_PER_S;
  int64_t permille = 800 + (int64_t)(hash64(message, (uint64_t)attempts) % 401);
  return (duration){wait_ns / 1000 * permille};
}

/* ---- due ---- */

struct picking {
  const struct notify_busy *busy;
  size_t busy_count;
  struct arena *arena;
  struct notify_due *out;
};

static bool has_room(const struct picking *p, slice endpoint, slice message) {
  size_t of_endpoint = 0;
  for (size_t i = 0; i < p->busy_count; i++) {
    bool same = slice_is(endpoint, p->busy[i].endpoint);
    if (same && slice_is(message, p->busy[i].message)) {
      return false;
    }
    of_endpoint += same;
  }
  for (size_t i = 0; i < p->out->count; i++) {
    of_endpoint += slice_eq(endpoint, p->out->items[i].endpoint);
  }
  return of_endpoint < NOTIFY_AT_ONCE_PER_ENDPOINT && p->busy_count + p->out->count < NOTIFY_AT_ONCE;
}

static bool pick(const struct db_row *row, void *context, struct error *err) {
  struct picking *p = context;
  (void)err;
  slice endpoint = db_bytes(row, 0), message = db_bytes(row, 1);
  if (has_room(p, endpoint, message)) {
    p->out->items[p->out->count++] = (struct notify_due_one){.endpoint = arena_copy(p->arena, endpoint),
                                                             .message = arena_copy(p->arena, message),
                                                             .url = arena_copy(p->arena, db_bytes(row, 2)),
                                                             .body = arena_copy(p->arena, db_bytes(row, 3)),
                                                             .sealed = arena_copy(p->arena, db_bytes(row, 4)),
                                                             .old_sealed = arena_copy(p->arena, db_bytes(row, 5))};
  }
  return true;
}

static bool take_next(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  if (!db_is_null(row, 0)) {
    ((struct notify_due *)context)->next.ns = db_int(row, 0);
  }
  return true;
}

/* Of each endpoint a few: as many as may be busy, and as many as may be started beside those. The cross joins hold
 * SQLite to this order: begun with the deliveries, the query takes the square of their number. */
bool notify_due(struct db *db, const struct notify_busy *busy, size_t busy_count, instant now, struct arena *arena,
                struct notify_due *out, struct error *err) {
  struct picking p = {busy, busy_count, arena, out};
  *out = (struct notify_due){.next = INSTANT_MAX};
  return db_query(db,
                  "SELECT e.id, d.message, e.url, m.body, e.secret,"
                  " CASE WHEN e.old_until > $1 THEN e.old_secret END"
                  " FROM webhook_endpoint e CROSS JOIN webhook_delivery d CROSS JOIN webhook_message m"
                  " WHERE e.disabled = 0 AND d.endpoint = e.id AND d.message IN"
                  " (SELECT f.message FROM webhook_delivery f WHERE f.endpoint = e.id AND f.status = 'pending'"
                  " AND f.next_attempt <= $1 ORDER BY f.next_attempt, f.message LIMIT $2)"
                  " AND m.id = d.message ORDER BY d.next_attempt, d.message",
                  DB_VALUES(DB_I(now.ns), DB_I(2 * NOTIFY_AT_ONCE_PER_ENDPOINT)), pick, &p, err) &&
         db_query(db, "SELECT MIN(next_attempt) FROM webhook_delivery WHERE status = 'pending' AND next_attempt > $1",
                  DB_VALUES(DB_I(now.ns)), take_next, out, err);
}

/* ---- what came of it ---- */

struct kept {
  bool found, pending;
  int64_t attempts;
};

static bool take_kept(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(struct kept *)context = (struct kept){true, slice_is(db_bytes(row, 1), "pending"), db_int(row, 0)};
  return true;
}

static bool keep_outcome(struct db *db, const struct notify_result *r, const char *status, int64_t attempts,
                         instant next, struct error *err) {
  return db_run(db,
                "UPDATE webhook_delivery SET status = $3, attempts = $4, last_code = $5, last_error = $6,"
                " next_attempt = $7 WHERE endpoint = $1 AND message = $2",
                DB_VALUES(DB_T(slice_of(r->of.endpoint)), DB_T(slice_of(r->of.message)), DB_T(slice_of(status)),
                          DB_I(attempts), DB_I(r->status), DB_T(slice_of(r->error)), DB_I(next.ns)),
                NULL, err);
}

static bool endpoint_is_gone(struct db *db, const struct notify_result *r, struct error *err) {
  slice endpoint = slice_of(r->of.endpoint);
  log_line(LOG_WARN, r->of.endpoint, "answered 410: it is disabled until it is enabled again");
  return db_run(db, "UPDATE webhook_endpoint SET disabled = 1 WHERE id = $1", DB_VALUES(DB_T(endpoint)), NULL, err) &&
         db_run(db,
                "UPDATE webhook_delivery SET status = 'failed', last_error = 'the endpoint answered 410 to another "
                "message' WHERE endpoint = $1 AND status = 'pending'",
                DB_VALUES(DB_T(endpoint)), NULL, err);
}

bool notify_mark(struct db *db, const struct notify_result *r, struct error *err) {
  struct kept kept = {0};
  must(db_in_transaction(db));
  if (!db_query(db, "SELECT attempts, status FROM webhook_delivery WHERE endpoint = $1 AND message = $2",
                DB_VALUES(DB_T(slice_of(r->of.endpoint)), DB_T(slice_of(r->of.message))), take_kept, &kept, err)) {
    return false;
  }
  bool delivered = r->status >= 200 && r->status < 300;
  if (!kept.found || (!kept.pending && !delivered)) { /* the endpoint was deleted or disabled meanwhile */
    return true;
  }
  int64_t attempts = kept.attempts + 1;
  if (delivered) {
    return keep_outcome(db, r, "delivered", attempts, r->at, err);
  }
  if (r->status == STATUS_GONE) {
    return keep_outcome(db, r, "failed", attempts, r->at, err) && endpoint_is_gone(db, r, err);
  }
  if (attempts >= NOTIFY_ATTEMPTS_MAX) {
    log_line(LOG_WARN, r->of.endpoint, "message %s: given up after %lld attempts", r->of.message, (long long)attempts);
    return keep_outcome(db, r, "failed", attempts, r->at, err);
  }
  instant next = {r->at.ns + notify_wait_after(attempts, slice_of(r->of.message)).ns};
  return keep_outcome(db, r, "pending", attempts, next, err);
}
