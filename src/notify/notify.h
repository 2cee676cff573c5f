/* Webhooks after the Standard Webhooks specification: messages kept with the facts they tell of, signed, sent, retried
 * and replayed. docs/webhooks.md is the receiver's side of it. */
#ifndef METERHOUSE_NOTIFY_NOTIFY_H
#define METERHOUSE_NOTIFY_NOTIFY_H
#include "base/hash.h"
#include "base/time.h"
#include "store/store.h"

#define NOTIFY_ENDPOINTS_MAX 100
#define NOTIFY_URL_BYTES_MAX 2048
#define NOTIFY_PAYLOAD_BYTES_MAX ((size_t)64 << 10)
#define NOTIFY_REPLAY_MAX 10000
#define NOTIFY_AT_ONCE 8
#define NOTIFY_AT_ONCE_PER_ENDPOINT 4 /* one that hangs does not take all the places */
#define NOTIFY_ANSWER_BYTES_MAX (64 << 10)
#define NOTIFY_TIMEOUT_S 15
#define NOTIFY_ATTEMPTS_MAX 10
#define NOTIFY_OLD_SECRET_S (24 * 3600) /* after a rotation */

extern const struct db_migration notify_migrations[];
extern const size_t notify_migration_count;
/* Every type of message there is, NULL-terminated: a new one is added to this list in endpoints.c. */
extern const char *const notify_types[];

/* ---- signing ---- */
#define NOTIFY_SECRET_BYTES_MAX 64
#define NOTIFY_SECRET_TEXT_MAX 96    /* "whsec_" and base64 */
#define NOTIFY_SIGNATURE_TEXT_MAX 48 /* "v1," and base64 of 32 bytes */
struct notify_secret {
  uint8_t bytes[NOTIFY_SECRET_BYTES_MAX];
  size_t len;
};
void notify_secret_make(struct notify_secret *out);
MUST_USE bool notify_secret_parse(slice text, struct notify_secret *out, struct error *err); /* 24 to 64 bytes */
char *notify_secret_text(const struct notify_secret *secret, char text[NOTIFY_SECRET_TEXT_MAX]);
/* HMAC-SHA256 of "ID.TIMESTAMP.BODY". Returns `text`. */
char *notify_sign(const struct notify_secret *secret, slice id, int64_t timestamp_s, slice body,
                  char text[NOTIFY_SIGNATURE_TEXT_MAX]);

/* ---- the vault: secrets are stored sealed (XSalsa20-Poly1305) with the key in DIR/secret.key, never in the store ----
 */
#define NOTIFY_SEALED_BYTES_MAX (NOTIFY_SECRET_BYTES_MAX + 40)
struct notify_vault;
/* Makes the key file (mode 0600) when it is missing; refuses one that others may read. Safe to use from threads. */
MUST_USE bool notify_vault_open(const char *dir, struct notify_vault **out, struct error *err);
void notify_vault_close(struct notify_vault *vault); /* NULL is fine */
/* Returns the sealed bytes, in `bytes`. */
slice notify_seal(const struct notify_vault *vault, const struct notify_secret *secret,
                  uint8_t bytes[NOTIFY_SEALED_BYTES_MAX]);
MUST_USE bool notify_unseal(const struct notify_vault *vault, slice sealed, struct notify_secret *out,
                            struct error *err);

/* ---- endpoints; what changes them runs in the caller's transaction ---- */
struct notify_endpoint {
  slice id, url;
  slice events;   /* types separated by blanks; empty: all */
  slice customer; /* empty: messages about any customer, and about none */
  instant created;
  bool disabled; /* it answered 410 */
};
/* Checks and keeps `wanted` (id and created are given here); the secret's text leaves the house this once. */
MUST_USE bool notify_endpoint_create(struct db *db, const struct notify_vault *vault,
                                     const struct notify_endpoint *wanted, instant now, char id[ID_TEXT_MAX],
                                     char secret_text[NOTIFY_SECRET_TEXT_MAX], struct error *err);
/* A new secret; for NOTIFY_OLD_SECRET_S messages carry a signature by the old one as well. */
MUST_USE bool notify_endpoint_rotate(struct db *db, const struct notify_vault *vault, slice id, instant now,
                                     char secret_text[NOTIFY_SECRET_TEXT_MAX], struct error *err);
MUST_USE bool notify_endpoint_enable(struct db *db, slice id, struct error *err);
MUST_USE bool notify_endpoint_delete(struct db *db, slice id, struct error *err); /* its deliveries go with it */
typedef bool (*notify_endpoint_each)(void *context, const struct notify_endpoint *e, struct error *err);
/* All by age, or the one of this id (ERR_NOT_FOUND). */
MUST_USE bool notify_endpoints(struct db *db, slice id, notify_endpoint_each each, void *context, struct error *err);

/* ---- messages; inside the caller's transaction, so that a message is kept with the fact it tells of ---- */
/* Keeps {"type", "timestamp": now, "data": payload_json} and a delivery for each endpoint that wants it. After the
 * commit the sender is to be woken. `customer` is empty when the message concerns none. */
MUST_USE bool notify_enqueue(struct db *db, slice type, slice customer, slice payload_json, instant now,
                             struct error *err);
/* How many deliveries this process has made due; when the number has moved there is a reason to wake the sender. */
uint64_t notify_due_made(void);
/* A "webhook.test" for this endpoint alone, whatever it subscribed to. */
MUST_USE bool notify_enqueue_test(struct db *db, slice endpoint, instant now, char id[ID_TEXT_MAX], struct error *err);
/* Makes deliveries of this endpoint due again, from their first attempt: one message it was sent or would be sent, or
 * all since a time. */
MUST_USE bool notify_replay_message(struct db *db, slice endpoint, slice message, instant now, struct error *err);
MUST_USE bool notify_replay_since(struct db *db, slice endpoint, instant since, instant now, int64_t *count,
                                  struct error *err);

struct notify_delivery {
  slice message, type, status; /* "pending", "delivered" or "failed" */
  int64_t attempts, last_code; /* code 0: there was no answer */
  slice last_error;
  instant created, next_attempt; /* next_attempt: while pending */
};
typedef bool (*notify_delivery_each)(void *context, const struct notify_delivery *d, struct error *err);
/* Newest first, older than the message `before` (empty: from the newest), of one status (empty: any). */
MUST_USE bool notify_deliveries(struct db *db, slice endpoint, slice status, slice before, size_t limit,
                                notify_delivery_each each, void *context, struct error *err);

/* ---- sending ---- */
/* The wait after that many attempts (1 to NOTIFY_ATTEMPTS_MAX - 1), longer or shorter by up to a fifth, always the same
 * for one message. */
duration notify_wait_after(int64_t attempts, slice message);

struct notify_busy {
  char endpoint[ID_TEXT_MAX], message[ID_TEXT_MAX];
};
struct notify_due {
  struct notify_due_one {
    slice endpoint, message, url, body;
    slice sealed, old_sealed; /* old: empty when it no longer counts */
  } items[NOTIFY_AT_ONCE];
  size_t count;
  instant next; /* when the next one is due; INSTANT_MAX: nothing waits */
};
/* What may be sent now beside `busy`, within the limits of concurrency. Slices in the arena. */
MUST_USE bool notify_due(struct db *db, const struct notify_busy *busy, size_t busy_count, instant now,
                         struct arena *arena, struct notify_due *out, struct error *err);
struct notify_result {
  struct notify_busy of;
  int status; /* HTTP; 0: no answer, `error` says why */
  char error[200];
  instant at;
};
/* 2xx: delivered. 410: the endpoint is disabled and what waits for it has failed. Else tried again later, or failed. */
MUST_USE bool notify_mark(struct db *db, const struct notify_result *result, struct error *err);

/* The thread that sends. It reads and writes the store only through these, called on its own thread; they may block. */
struct notify_source {
  void *context;
  bool (*due)(void *context, const struct notify_busy *busy, size_t busy_count, struct arena *arena,
              struct notify_due *out, struct error *err);
  bool (*report)(void *context, const struct notify_result *results, size_t count, struct error *err);
};
struct notify_sender;
MUST_USE bool notify_start(const struct notify_source *source, const struct notify_vault *vault,
                           struct notify_sender **out, struct error *err);
void notify_wake(struct notify_sender *sender); /* from any thread; never blocks */
/* What is on its way is cut off, stays pending, and is sent after the next start. Waking stays harmless until free. */
void notify_stop(struct notify_sender *sender);
void notify_free(struct notify_sender *sender);
#endif
