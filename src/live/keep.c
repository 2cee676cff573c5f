/* Alerts made over the API and crossings, in the store. */
#include "base/json.h"
#include "live/private.h"
#include "notify/notify.h"
#include <string.h>

#define NAME_BYTES_MAX 200
#define PERCENTS_TEXT_MAX 128

/* ---- numbers of our own ---- */

static bool take_value(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(int64_t *)context = db_int(row, 0);
  return true;
}

bool state_get(struct db *db, const char *name, int64_t otherwise, int64_t *out, struct error *err) {
  *out = otherwise;
  return db_query(db, "SELECT value FROM live_state WHERE name = $1", DB_VALUES(DB_T(slice_of(name))), take_value, out,
                  err);
}

bool state_set(struct db *db, const char *name, int64_t value, struct error *err) {
  return db_run(db, "INSERT INTO live_state(name, value) VALUES($1, $2) ON CONFLICT(name) DO UPDATE SET value = $2",
                DB_VALUES(DB_T(slice_of(name)), DB_I(value)), NULL, err);
}

static bool alerts_changed(struct db *db, struct error *err) {
  int64_t version;
  return state_get(db, "alerts", 0, &version, err) && state_set(db, "alerts", version + 1, err);
}

/* ---- making alerts ---- */

static bool check_percents(const struct alert *a, struct error *err) {
  bool ok = a->percent_count > 0 && a->percent_count <= CATALOG_PERCENTS_MAX;
  for (size_t i = 0; ok && i < a->percent_count; i++) {
    ok = a->percents[i] > (i > 0 ? a->percents[i - 1] : 0) && a->percents[i] <= CATALOG_PERCENT_MAX;
  }
  return ok || error_set(err, ERR_INVALID, "at_percent: expected 1 to %d whole percentages from 1 to %d, ascending",
                         CATALOG_PERCENTS_MAX, CATALOG_PERCENT_MAX);
}

static bool check_alert(const struct catalog *catalog, const struct live_alert *wanted, struct error *err) {
  const struct alert *a = &wanted->alert;
  if (catalog_customer(catalog, wanted->customer) == NULL) {
    return error_set(err, ERR_INVALID, "customer: there is no \"%.*s\" in the catalog",
                     wanted->customer.len > 60 ? 60 : (int)wanted->customer.len, wanted->customer.ptr);
  }
  if (a->name.len == 0 || a->name.len > NAME_BYTES_MAX) {
    return error_set(err, ERR_INVALID, "name: expected 1 to %d bytes", NAME_BYTES_MAX);
  }
  if (a->meter ? a->at.e9 <= 0 : a->spend.e12 <= 0) {
    return error_set(err, ERR_INVALID, "%s: expected more than 0", a->meter ? "at" : "spend");
  }
  return check_percents(a, err);
}

struct counts {
  int64_t customer, all, named;
};

static bool take_counts(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct counts *c = context;
  *c = (struct counts){db_int(row, 0), db_int(row, 1), db_int(row, 2)};
  return true;
}

static bool check_room(struct db *db, const struct live_alert *wanted, struct error *err) {
  struct counts c = {0};
  if (!db_query(db,
                "SELECT (SELECT count(*) FROM alert WHERE customer = $1), (SELECT count(*) FROM alert),"
                " (SELECT count(*) FROM alert WHERE customer = $1 AND name = $2)",
                DB_VALUES(DB_T(wanted->customer), DB_T(wanted->alert.name)), take_counts, &c, err)) {
    return false;
  }
  if (c.named > 0) {
    return error_set(err, ERR_CONFLICT, "name: the customer has an alert of this name; delete that one first");
  }
  return (c.customer < LIVE_ALERTS_PER_CUSTOMER_MAX && c.all < LIVE_ALERTS_MAX) ||
         error_set(err, ERR_LIMIT, "there are %lld alerts of this customer and %lld in all: at most %d and %d",
                   (long long)c.customer, (long long)c.all, LIVE_ALERTS_PER_CUSTOMER_MAX, LIVE_ALERTS_MAX);
}

bool live_alert_create(struct db *db, const struct catalog *catalog, const struct live_alert *wanted,
                       char id[ID_TEXT_MAX], struct error *err) {
  const struct alert *a = &wanted->alert;
  struct buf percents;
  must(db_in_transaction(db));
  if (!check_alert(catalog, wanted, err) || !check_room(db, wanted, err)) {
    return false;
  }
  buf_init(&percents, PERCENTS_TEXT_MAX);
  for (size_t i = 0; i < a->percent_count; i++) {
    buf_addf(&percents, "%s%d", i ? " " : "", a->percents[i]);
  }
  bool ok =
      db_run(db,
             "INSERT INTO alert(id, customer, name, watched, per, base, percents, created)"
             " VALUES($1, $2, $3, $4, $5, $6, $7, $8)",
             DB_VALUES(DB_T(slice_of(id_new("alr", id))), DB_T(wanted->customer), DB_T(a->name),
                       DB_T(a->meter ? a->meter->name : (slice){0}), DB_I((int64_t)a->per),
                       a->meter ? DB_Q(a->at) : DB_A(a->spend), DB_T(buf_slice(&percents)), DB_I(wanted->created.ns)),
             NULL, err);
  buf_free(&percents);
  return ok && alerts_changed(db, err);
}

bool live_alert_delete(struct db *db, slice id, slice customer, struct error *err) {
  int64_t changed = 0;
  must(db_in_transaction(db));
  if (!db_run(db, "DELETE FROM alert WHERE id = $1 AND ($2 = '' OR customer = $2)", DB_VALUES(DB_T(id), DB_T(customer)),
              &changed, err)) {
    return false;
  }
  if (changed == 0) {
    return error_set(err, ERR_NOT_FOUND,
                     "there is no alert \"%.*s\" made over the API; those of the catalog are changed there",
                     id.len > 60 ? 60 : (int)id.len, id.ptr);
  }
  return alerts_changed(db, err);
}

/* ---- reading alerts ---- */

struct reading {
  const struct catalog *catalog;
  live_alert_each each;
  void *context;
};

static size_t parse_percents(slice text, int percents[CATALOG_PERCENTS_MAX]) {
  size_t count = 0;
  for (size_t i = 0; i < text.len && count < CATALOG_PERCENTS_MAX; i++) {
    int value = 0;
    for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++) {
      value = value * 10 + (text.ptr[i] - '0');
    }
    percents[count++] = value;
  }
  return count;
}

/* An alert on a meter that is gone is given with no meter and no spend: it can not be crossed. */
static bool take_alert(const struct db_row *row, void *context, struct error *err) {
  const struct reading *r = context;
  int percents[CATALOG_PERCENTS_MAX];
  slice watched = db_bytes(row, 3);
  struct live_alert a = {.id = db_bytes(row, 0), .customer = db_bytes(row, 1), .created = {db_int(row, 7)}};
  a.alert.name = db_bytes(row, 2);
  a.alert.meter = watched.len > 0 ? catalog_meter(r->catalog, watched) : NULL;
  a.alert.per = (enum watch_per)db_int(row, 4);
  a.alert.percents = percents;
  a.alert.percent_count = parse_percents(db_bytes(row, 6), percents);
  bool ok = watched.len > 0 ? quantity_parse(db_bytes(row, 5), &a.alert.at, err)
                            : amount_parse(db_bytes(row, 5), &a.alert.spend, err);
  return ok && r->each(r->context, &a, err);
}

bool live_alerts(struct db *db, const struct catalog *catalog, slice customer, slice after, size_t limit,
                 live_alert_each each, void *context, struct error *err) {
  struct reading r = {catalog, each, context};
  return db_query(db,
                  "SELECT id, customer, name, watched, per, base, percents, created FROM alert"
                  " WHERE ($1 = '' OR customer = $1) AND id > $2 ORDER BY id LIMIT $3",
                  DB_VALUES(DB_T(customer), DB_T(after), DB_I((int64_t)limit)), take_alert, &r, err);
}

/* ---- crossings ---- */

static void put_crossing(struct json_out *w, const struct live_crossing *x) {
  json_open_object(w);
  json_put_str(w, "alert", x->alert);
  json_put_str(w, "name", x->name);
  json_put_str(w, "customer", x->customer->id);
  if (x->meter) {
    json_put_str(w, "meter", x->meter->name);
    json_put_str(w, "unit", x->meter->unit);
  } else {
    json_put_cstr(w, "spend", "month");
    json_put_cstr(w, "currency", x->customer->currency->code);
  }
  json_put_cstr(w, "per", watch_per_name(x->per));
  json_put_int(w, "percent", x->percent);
  json_put_cstr(w, "threshold", x->threshold);
  json_put_cstr(w, "value", x->value);
  json_key(w, "period");
  json_open_object(w);
  json_put_instant(w, "from", x->period.from);
  json_put_instant(w, "to", x->period.to);
  json_close_object(w);
  json_put_instant(w, "time", x->time);
  json_close_object(w);
}

static bool tell_crossing(struct db *db, const struct live_crossing *x, struct error *err) {
  struct buf payload;
  struct json_out w;
  buf_init(&payload, NOTIFY_PAYLOAD_BYTES_MAX);
  json_out_init(&w, &payload, false);
  put_crossing(&w, x);
  bool ok = notify_enqueue(db, SLICE("alert.crossed"), x->customer->id, buf_slice(&payload), x->time, err);
  buf_free(&payload);
  return ok;
}

bool live_cross(struct db *db, const struct live_crossing *x, struct error *err) {
  int64_t kept = 0;
  must(db_in_transaction(db));
  slice watched = x->meter ? x->meter->name : (slice){0};
  return db_run(db,
                "INSERT INTO alert_crossing(customer, alert, watched, per, threshold, period_from, period_to, value,"
                " time) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
                DB_VALUES(DB_T(x->customer->id), DB_T(x->alert), DB_T(watched), DB_I((int64_t)x->per),
                          DB_T(slice_of(x->threshold)), DB_I(x->period.from.ns), DB_I(x->period.to.ns),
                          DB_T(slice_of(x->value)), DB_I(x->time.ns)),
                &kept, err) &&
         (kept == 0 || tell_crossing(db, x, err));
}
