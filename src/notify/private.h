/* Inside notify: the sender's places, and one exchange with a receiver. */
#ifndef METERHOUSE_NOTIFY_PRIVATE_H
#define METERHOUSE_NOTIFY_PRIVATE_H
#include "notify/notify.h"
#include <event2/event.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#define NOTIFY_MAGIC 0x4d484e4fu

/* Does a list of types, separated by blanks, name this one? The empty list names all. */
bool events_name(slice events, slice type);
/* Counts a delivery that has become due: see notify_due_made. */
void due_was_made(void);
MUST_USE bool url_check(slice url, struct error *err);

struct evdns_base;
struct evhttp_connection;

enum exchange_state { EXCHANGE_FREE, EXCHANGE_RUNS, EXCHANGE_ENDED };
struct exchange {
  enum exchange_state state;
  struct notify_sender *sender;
  struct evhttp_connection *connection;
  SSL *tls;          /* the connection's; NULL over plain http */
  struct event *end; /* its time-out, or made active when the answer is complete */
  struct notify_result result;
};

struct notify_sender {
  uint32_t magic;
  struct notify_source source;
  const struct notify_vault *vault;
  struct event_base *base;
  struct evdns_base *names;
  SSL_CTX *tls;
  int wake_fd;
  struct event *woken, *pump;
  struct exchange exchanges[NOTIFY_AT_ONCE];
  atomic_bool stopping;
  pthread_t thread;
};

/* Sends; sooner or later, and never before it returns, the sender's pump runs with the exchange ended. */
void exchange_start(struct exchange *x, const struct notify_due_one *one);
void exchange_drop(struct exchange *x); /* hangs up; nothing is told */
struct event *exchange_event(struct event_base *base, struct exchange *x);
SSL_CTX *sender_tls(struct notify_sender *s);
#endif
