/* Messages: kept with the facts they tell of, with a delivery for each endpoint that wants them; and replays. */
#include "base/json.h"
#include "notify/private.h"
#include <string.h>

#define TEST_TYPE "webhook.test"

static _Atomic uint64_t due_made;

uint64_t notify_due_made(void) {
  return atomic_load(&due_made);
}
void due_was_made(void) {
  atomic_fetch_add(&due_made, 1);
}

/* ---- deliveries ---- */

/* Due now, from the first attempt, whether it is new or comes again. */
static bool make_due(struct db *db, slice endpoint, slice message, instant now, struct error *err) {
  due_was_made();
  return db_run(db,
                "INSERT INTO webhook_delivery(endpoint, message, status, attempts, last_code, last_error, next_attempt)"
                " VALUES($1, $2, 'pending', 0, 0, '', $3) ON CONFLICT(endpoint, message) DO UPDATE SET"
                " status = 'pending', attempts = 0, next_attempt = $3",
                DB_VALUES(DB_T(endpoint), DB_T(message), DB_I(now.ns)), NULL, err);
}

struct spreading {
  struct db *db;
  slice type, message;
  instant now;
};

static bool spread_to(const struct db_row *row, void *context, struct error *err) {
  const struct spreading *s = context;
  return !events_name(db_bytes(row, 1), s->type) || make_due(s->db, db_bytes(row, 0), s->message, s->now, err);
}

/* ---- messages ---- */

static bool is_known(slice type) {
  size_t i = 0;
  while (notify_types[i] && !slice_is(type, notify_types[i])) {
    i++;
  }
  return notify_types[i] != NULL;
}

static bool keep_message(struct db *db, slice id, slice type, slice customer, slice payload_json, instant now,
                         struct error *err) {
  struct buf body;
  struct json_out w;
  must(is_known(type));
  if (payload_json.len > NOTIFY_PAYLOAD_BYTES_MAX) {
    return error_set(err, ERR_LIMIT, "a message of type " SLICE_FMT " has %zu bytes of data, over %zu", SLICE_ARG(type),
                     payload_json.len, NOTIFY_PAYLOAD_BYTES_MAX);
  }
  buf_init(&body, NOTIFY_PAYLOAD_BYTES_MAX + 256);
  json_out_init(&w, &body, false);
  json_open_object(&w);
  json_put_str(&w, "type", type);
  json_put_instant(&w, "timestamp", now);
  json_key(&w, "data");
  json_raw(&w, payload_json);
  json_close_object(&w);
  bool ok = db_run(db, "INSERT INTO webhook_message(id, type, customer, time, body) VALUES($1, $2, $3, $4, $5)",
                   DB_VALUES(DB_T(id), DB_T(type), DB_T(customer), DB_I(now.ns), DB_T(buf_slice(&body))), NULL, err);
  buf_free(&body);
  return ok;
}

bool notify_enqueue(struct db *db, slice type, slice customer, slice payload_json, instant now, struct error *err) {
  char id[ID_TEXT_MAX];
  must(db_in_transaction(db));
  struct spreading s = {db, type, slice_of(id_new("msg", id)), now};
  return keep_message(db, s.message, type, customer, payload_json, now, err) &&
         db_query(db,
                  "SELECT id, events FROM webhook_endpoint WHERE disabled = 0 AND (customer = '' OR customer = $1)"
                  " ORDER BY id",
                  DB_VALUES(DB_T(customer)), spread_to, &s, err);
}

/* ---- one endpoint ---- */

struct target {
  bool found, disabled;
  char customer[512], events[1024];
};

static bool take_target(void *context, const struct notify_endpoint *e, struct error *err) {
  struct target *t = context;
  if (e->customer.len >= sizeof t->customer || e->events.len >= sizeof t->events) {
    return error_set(err, ERR_CORRUPT, "webhook " SLICE_FMT ": its filter is too long", SLICE_ARG(e->id));
  }
  snprintf(t->customer, sizeof t->customer, SLICE_FMT, SLICE_ARG(e->customer));
  snprintf(t->events, sizeof t->events, SLICE_FMT, SLICE_ARG(e->events));
  t->disabled = e->disabled;
  return true;
}

static bool find_target(struct db *db, slice endpoint, struct target *t, struct error *err) {
  *t = (struct target){0};
  must(db_in_transaction(db));
  if (endpoint.len == 0) {
    return error_set(err, ERR_NOT_FOUND, "a webhook needs to be named");
  }
  return notify_endpoints(db, endpoint, take_target, t, err) &&
         (!t->disabled ||
          error_set(err, ERR_CONFLICT, "webhook " SLICE_FMT " is disabled since it answered 410: enable it first",
                    SLICE_ARG(endpoint)));
}

bool notify_enqueue_test(struct db *db, slice endpoint, instant now, char id[ID_TEXT_MAX], struct error *err) {
  struct target t;
  char data[128];
  if (!find_target(db, endpoint, &t, err)) {
    return false;
  }
  snprintf(data, sizeof data, "{\"webhook\":\"%.*s\"}", (int)endpoint.len, endpoint.ptr);
  slice message = slice_of(id_new("msg", id));
  return keep_message(db, message, SLICE(TEST_TYPE), (slice){0}, slice_of(data), now, err) &&
         make_due(db, endpoint, message, now, err);
}

struct replay {
  struct db *db;
  const struct target *target;
  slice endpoint;
  instant now;
  int64_t count;
};

static bool suits(const struct target *t, slice type, slice customer) {
  return events_name(slice_of(t->events), type) && (t->customer[0] == '\0' || slice_is(customer, t->customer));
}

/* id, type, customer, and whether it was for this endpoint before. */
static bool replay_one(const struct db_row *row, void *context, struct error *err) {
  struct replay *r = context;
  bool before = db_int(row, 3) != 0, test = slice_is(db_bytes(row, 1), TEST_TYPE);
  if (!before && (test || !suits(r->target, db_bytes(row, 1), db_bytes(row, 2)))) {
    return true;
  }
  if (r->count++ >= NOTIFY_REPLAY_MAX) {
    return error_set(err, ERR_LIMIT, "more than %d messages to replay: give a later \"since\"", NOTIFY_REPLAY_MAX);
  }
  return make_due(r->db, r->endpoint, db_bytes(row, 0), r->now, err);
}

bool notify_replay_message(struct db *db, slice endpoint, slice message, instant now, struct error *err) {
  struct target t;
  struct replay r = {.db = db, .target = &t, .endpoint = endpoint, .now = now};
  return find_target(db, endpoint, &t, err) &&
         db_query(db,
                  "SELECT m.id, m.type, m.customer, EXISTS(SELECT 1 FROM webhook_delivery d WHERE d.endpoint = $1 AND "
                  "d.message = m.id) FROM webhook_message m WHERE m.id = $2",
                  DB_VALUES(DB_T(endpoint), DB_T(message)), replay_one, &r, err) &&
         (r.count == 1 || error_set(err, ERR_NOT_FOUND, "there is no message \"%.*s\" for this webhook",
                                    message.len > 60 ? 60 : (int)message.len, message.ptr));
}

bool notify_replay_since(struct db *db, slice endpoint, instant since, instant now, int64_t *count, struct error *err) {
  struct target t;
  struct replay r = {.db = db, .target = &t, .endpoint = endpoint, .now = now};
  bool ok = find_target(db, endpoint, &t, err) &&
            db_query(db,
                     "SELECT m.id, m.type, m.customer, EXISTS(SELECT 1 FROM webhook_delivery d WHERE d.endpoint = $1 "
                     "AND d.message = m.id) FROM webhook_message m WHERE m.time >= $2 ORDER BY m.time, m.id",
                     DB_VALUES(DB_T(endpoint), DB_I(since.ns)), replay_one, &r, err);
  *count = r.count;
  return ok;
}

/* ---- reading ---- */

struct reading {
  notify_delivery_each each;
  void *context;
};

static bool take_delivery(const struct db_row *row, void *context, struct error *err) {
  const struct reading *reading = context;
  struct notify_delivery d = {.message = db_bytes(row, 0),
                              .type = db_bytes(row, 1),
                              .status = db_bytes(row, 2),
                              .attempts = db_int(row, 3),
                              .last_code = db_int(row, 4),
                              .last_error = db_bytes(row, 5),
                              .created = {db_int(row, 6)},
                              .next_attempt = {db_int(row, 7)}};
  return reading->each(reading->context, &d, err);
}

static bool ignore_endpoint(void *context, const struct notify_endpoint *e, struct error *err) {
  (void)context;
  (void)e;
  (void)err;
  return true;
}

bool notify_deliveries(struct db *db, slice endpoint, slice status, slice before, size_t limit,
                       notify_delivery_each each, void *context, struct error *err) {
  struct reading reading = {each, context};
  return notify_endpoints(db, endpoint, ignore_endpoint, NULL, err) &&
         db_query(db,
                  "SELECT d.message, m.type, d.status, d.attempts, d.last_code, d.last_error, m.time, d.next_attempt"
                  " FROM webhook_delivery d JOIN webhook_message m ON m.id = d.message WHERE d.endpoint = $1"
                  " AND ($2 = '' OR d.status = $2) AND ($3 = '' OR d.message < $3) ORDER BY d.message DESC LIMIT $4",
                  DB_VALUES(DB_T(endpoint), DB_T(status), DB_T(before), DB_I((int64_t)limit)), take_delivery, &reading,
                  err);
}
