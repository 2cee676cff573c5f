/* Endpoints: who wants which messages where, with their sealed secrets; and the tables of this room. */
#include "notify/private.h"
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

const struct db_migration notify_migrations[] = {
    {"notify-1",
     "CREATE TABLE webhook_endpoint(id TEXT PRIMARY KEY, url TEXT NOT NULL, events TEXT NOT NULL, customer TEXT NOT "
     "NULL,"
     " secret BLOB NOT NULL, old_secret BLOB, old_until INTEGER NOT NULL, created INTEGER NOT NULL,"
     " disabled INTEGER NOT NULL);"
     "CREATE TABLE webhook_message(id TEXT PRIMARY KEY, type TEXT NOT NULL, customer TEXT NOT NULL, time INTEGER NOT "
     "NULL,"
     " body TEXT NOT NULL);"
     "CREATE INDEX webhook_message_time ON webhook_message(time);"
     "CREATE TABLE webhook_delivery(endpoint TEXT NOT NULL REFERENCES webhook_endpoint(id),"
     " message TEXT NOT NULL REFERENCES webhook_message(id), status TEXT NOT NULL, attempts INTEGER NOT NULL,"
     " last_code INTEGER NOT NULL, last_error TEXT NOT NULL, next_attempt INTEGER NOT NULL,"
     " PRIMARY KEY(endpoint, message));"
     "CREATE INDEX webhook_delivery_due ON webhook_delivery(endpoint, next_attempt) WHERE status = 'pending';"
     "CREATE INDEX webhook_delivery_next ON webhook_delivery(next_attempt) WHERE status = 'pending';"},
};
const size_t notify_migration_count = sizeof notify_migrations / sizeof *notify_migrations;

const char *const notify_types[] = {
    "alert.crossed", "customer.resumed", "customer.suspended", "invoice.finalized", "invoice.overdue",
    "invoice.paid",  "invoice.reminder", "invoice.voided",     "payment.failed",    "payment.refunded",
    "top_up.failed", "top_up.paid",      "top_up.requested",   "webhook.test",      NULL};

/* ---- what may be asked for ---- */

static slice take_word(slice *words) {
  slice word = {words->ptr, 0};
  while (word.len < words->len && word.ptr[word.len] != ' ') {
    word.len++;
  }
  size_t skip = word.len + (word.len < words->len);
  *words = (slice){words->ptr + skip, words->len - skip};
  return word;
}

bool events_name(slice events, slice type) {
  bool named = events.len == 0;
  while (!named && events.len > 0) {
    named = slice_eq(take_word(&events), type);
  }
  return named;
}

static bool no_such_type(slice word, struct error *err) {
  struct buf all;
  buf_init(&all, 400);
  for (size_t i = 0; notify_types[i]; i++) {
    buf_addf(&all, "%s%s", i ? ", " : "", notify_types[i]);
  }
  error_set(err, ERR_INVALID, "events: there is no \"%.*s\"; there are " SLICE_FMT,
            (int)(word.len > 60 ? 60 : word.len), word.len ? word.ptr : "", SLICE_ARG(buf_slice(&all)));
  buf_free(&all);
  return false;
}

static bool events_check(slice events, struct error *err) {
  if (events.len > 1000) {
    return error_set(err, ERR_INVALID, "events: at most 1000 bytes");
  }
  while (events.len > 0) {
    slice word = take_word(&events);
    size_t i = 0;
    while (notify_types[i] && !slice_is(word, notify_types[i])) {
      i++;
    }
    if (notify_types[i] == NULL) {
      return no_such_type(word, err);
    }
  }
  return true;
}

static bool url_parts_check(const struct evhttp_uri *uri, struct error *err) {
  const char *scheme = evhttp_uri_get_scheme(uri), *host = evhttp_uri_get_host(uri);
  if (scheme == NULL || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
    return error_set(err, ERR_INVALID, "url: it should begin with https:// or http://");
  }
  if (evhttp_uri_get_userinfo(uri) != NULL) {
    return error_set(err, ERR_INVALID, "url: leave out user and password: messages are signed");
  }
  if (evhttp_uri_get_fragment(uri) != NULL) {
    return error_set(err, ERR_INVALID, "url: leave out the fragment after #");
  }
  return (host != NULL && host[0] != '\0') || error_set(err, ERR_INVALID, "url: it names no host");
}

bool url_check(slice url, struct error *err) {
  char text[NOTIFY_URL_BYTES_MAX + 1];
  if (url.len == 0 || url.len > NOTIFY_URL_BYTES_MAX || memchr(url.ptr, '\0', url.len)) {
    return error_set(err, ERR_INVALID, "url: 1 to %d bytes", NOTIFY_URL_BYTES_MAX);
  }
  snprintf(text, sizeof text, SLICE_FMT, SLICE_ARG(url));
  struct evhttp_uri *uri = evhttp_uri_parse(text);
  bool ok = uri ? url_parts_check(uri, err) : error_set(err, ERR_INVALID, "url: it is not a URL");
  if (uri) {
    evhttp_uri_free(uri);
  }
  return ok;
}

/* ---- making and changing ---- */

static bool take_count(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(int64_t *)context = db_int(row, 0);
  return true;
}

static bool has_place(struct db *db, struct error *err) {
  int64_t count = 0;
  return db_query(db, "SELECT COUNT(*) FROM webhook_endpoint", DB_NO_VALUES, take_count, &count, err) &&
         (count < NOTIFY_ENDPOINTS_MAX ||
          error_set(err, ERR_LIMIT, "there are %d webhooks already: delete some", NOTIFY_ENDPOINTS_MAX));
}

bool notify_endpoint_create(struct db *db, const struct notify_vault *vault, const struct notify_endpoint *wanted,
                            instant now, char id[ID_TEXT_MAX], char secret_text[NOTIFY_SECRET_TEXT_MAX],
                            struct error *err) {
  struct notify_secret secret;
  uint8_t sealed[NOTIFY_SEALED_BYTES_MAX];
  if (!url_check(wanted->url, err) || !events_check(wanted->events, err) || !has_place(db, err)) {
    return false;
  }
  id_new("hook", id);
  notify_secret_make(&secret);
  notify_secret_text(&secret, secret_text);
  return db_run(db,
                "INSERT INTO webhook_endpoint(id, url, events, customer, secret, old_secret, old_until, created, "
                "disabled) VALUES($1, $2, $3, $4, $5, NULL, 0, $6, 0)",
                DB_VALUES(DB_T(slice_of(id)), DB_T(wanted->url), DB_T(wanted->events), DB_T(wanted->customer),
                          DB_B(notify_seal(vault, &secret, sealed)), DB_I(now.ns)),
                NULL, err);
}

static bool was_there(slice id, int64_t changed, struct error *err) {
  return changed > 0 || error_set(err, ERR_NOT_FOUND, "there is no webhook \"" SLICE_FMT "\"", SLICE_ARG(id));
}

bool notify_endpoint_rotate(struct db *db, const struct notify_vault *vault, slice id, instant now,
                            char secret_text[NOTIFY_SECRET_TEXT_MAX], struct error *err) {
  struct notify_secret secret;
  uint8_t sealed[NOTIFY_SEALED_BYTES_MAX];
  int64_t changed = 0;
  notify_secret_make(&secret);
  notify_secret_text(&secret, secret_text);
  return db_run(db, "UPDATE webhook_endpoint SET old_secret = secret, old_until = $2, secret = $3 WHERE id = $1",
                DB_VALUES(DB_T(id), DB_I(now.ns + NOTIFY_OLD_SECRET_S * NS_PER_S),
                          DB_B(notify_seal(vault, &secret, sealed))),
                &changed, err) &&
         was_there(id, changed, err);
}

bool notify_endpoint_enable(struct db *db, slice id, struct error *err) {
  int64_t changed = 0;
  return db_run(db, "UPDATE webhook_endpoint SET disabled = 0 WHERE id = $1", DB_VALUES(DB_T(id)), &changed, err) &&
         was_there(id, changed, err);
}

bool notify_endpoint_delete(struct db *db, slice id, struct error *err) {
  int64_t changed = 0;
  return db_run(db, "DELETE FROM webhook_delivery WHERE endpoint = $1", DB_VALUES(DB_T(id)), NULL, err) &&
         db_run(db, "DELETE FROM webhook_endpoint WHERE id = $1", DB_VALUES(DB_T(id)), &changed, err) &&
         was_there(id, changed, err);
}

/* ---- reading ---- */

struct reading {
  notify_endpoint_each each;
  void *context;
  int64_t count;
};

static bool take_endpoint(const struct db_row *row, void *context, struct error *err) {
  struct reading *reading = context;
  struct notify_endpoint e = {.id = db_bytes(row, 0),
                              .url = db_bytes(row, 1),
                              .events = db_bytes(row, 2),
                              .customer = db_bytes(row, 3),
                              .created = {db_int(row, 4)},
                              .disabled = db_int(row, 5) != 0};
  reading->count++;
  return reading->each(reading->context, &e, err);
}

bool notify_endpoints(struct db *db, slice id, notify_endpoint_each each, void *context, struct error *err) {
  struct reading reading = {each, context, 0};
  return db_query(db,
                  "SELECT id, url, events, customer, created, disabled FROM webhook_endpoint"
                  " WHERE $1 = '' OR id = $1 ORDER BY id",
                  DB_VALUES(DB_T(id)), take_endpoint, &reading, err) &&
         (id.len == 0 || was_there(id, reading.count, err));
}
