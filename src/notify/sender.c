/* The sending thread: an event loop that asks what is due, keeps up to eight exchanges running, and reports. */
#include "base/log.h"
#include "notify/private.h"
#include <errno.h>
#include <event2/dns.h>
#include <event2/thread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LOOK_AGAIN_MS_MAX 60000 /* the wall clock may be set meanwhile */
#define LOOK_AGAIN_MS_MIN 5
#define STORE_RETRY_MS 1000

/* ---- the pump ---- */

static void pump_after(struct notify_sender *s, int64_t wait_ms) {
  struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
  must(evtimer_add(s->pump, &wait) == 0);
}

/* An exchange keeps its place until its result is in the store, or its message would be taken for due again. */
static bool report_ended(struct notify_sender *s, struct error *err) {
  struct notify_result results[NOTIFY_AT_ONCE];
  size_t count = 0;
  for (size_t i = 0; i < NOTIFY_AT_ONCE; i++) {
    if (s->exchanges[i].state == EXCHANGE_ENDED) {
      results[count++] = s->exchanges[i].result;
    }
  }
  if (count > 0 && !s->source.report(s->source.context, results, count, err)) {
    return false;
  }
  for (size_t i = 0; i < NOTIFY_AT_ONCE; i++) {
    if (s->exchanges[i].state == EXCHANGE_ENDED) {
      s->exchanges[i].state = EXCHANGE_FREE;
    }
  }
  return true;
}

static void start_all(struct notify_sender *s, const struct notify_due *due) {
  size_t place = 0;
  for (size_t i = 0; i < due->count; i++) {
    while (s->exchanges[place].state != EXCHANGE_FREE) {
      place++;
      must(place < NOTIFY_AT_ONCE);
    }
    exchange_start(&s->exchanges[place], &due->items[i]);
  }
}

static bool start_due(struct notify_sender *s, int64_t *wait_ms, struct error *err) {
  struct notify_busy busy[NOTIFY_AT_ONCE];
  size_t busy_count = 0;
  for (size_t i = 0; i < NOTIFY_AT_ONCE; i++) {
    if (s->exchanges[i].state == EXCHANGE_RUNS) {
      busy[busy_count++] = s->exchanges[i].result.of;
    }
  }
  struct notify_due due;
  struct arena *arena = arena_new();
  bool ok = s->source.due(s->source.context, busy, busy_count, arena, &due, err);
  if (ok) {
    start_all(s, &due);
    *wait_ms = (due.next.ns - clock_now().ns) / 1000000 + 1;
  }
  arena_free(arena);
  return ok;
}

static void on_pump(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  struct notify_sender *s = context;
  struct error err = {0};
  int64_t wait_ms = 0;
  if (!report_ended(s, &err) || !start_due(s, &wait_ms, &err)) {
    log_line(LOG_WARN, "webhooks", "%s; trying again in a second", err.message);
    wait_ms = STORE_RETRY_MS;
  }
  wait_ms = wait_ms < LOOK_AGAIN_MS_MIN ? LOOK_AGAIN_MS_MIN : wait_ms;
  pump_after(s, wait_ms < LOOK_AGAIN_MS_MAX ? wait_ms : LOOK_AGAIN_MS_MAX);
}

static void on_woken(evutil_socket_t fd, short what, void *context) {
  (void)what;
  struct notify_sender *s = context;
  uint64_t times;
  must(read((int)fd, &times, sizeof times) == sizeof times || errno == EAGAIN);
  if (atomic_load(&s->stopping)) {
    event_base_loopbreak(s->base);
  } else {
    event_active(s->pump, EV_TIMEOUT, 1);
  }
}

static void *run(void *context) {
  struct notify_sender *s = context;
  event_base_loop(s->base, EVLOOP_NO_EXIT_ON_EMPTY);
  return NULL;
}

/* ---- starting and stopping ---- */

/* On the sender's thread, when the first message goes over https: the system's certificates take a megabyte. */
SSL_CTX *sender_tls(struct notify_sender *s) {
  if (s->tls == NULL) {
    s->tls = SSL_CTX_new(TLS_client_method());
    must(s->tls != NULL && SSL_CTX_set_min_proto_version(s->tls, TLS1_2_VERSION) == 1);
    SSL_CTX_set_verify(s->tls, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_default_verify_paths(s->tls) != 1) {
      log_line(LOG_WARN, "webhooks", "no certificates to trust were found: https webhooks will fail");
    }
  }
  return s->tls;
}

/* Without a resolv.conf names of /etc/hosts and numbers still do. */
static struct evdns_base *name_server(struct event_base *base) {
  struct evdns_base *names = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS);
  return names ? names : evdns_base_new(base, 0);
}

static void make_events(struct notify_sender *s) {
  s->base = event_base_new();
  must(s->base != NULL);
  s->names = name_server(s->base);
  s->woken = event_new(s->base, s->wake_fd, EV_READ | EV_PERSIST, on_woken, s);
  s->pump = evtimer_new(s->base, on_pump, s);
  must(s->names && s->woken && s->pump && event_add(s->woken, NULL) == 0);
  for (size_t i = 0; i < NOTIFY_AT_ONCE; i++) {
    s->exchanges[i].sender = s;
    s->exchanges[i].end = exchange_event(s->base, &s->exchanges[i]);
    must(s->exchanges[i].end != NULL);
  }
}

bool notify_start(const struct notify_source *source, const struct notify_vault *vault, struct notify_sender **out,
                  struct error *err) {
  must(evthread_use_pthreads() == 0);
  int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd < 0) {
    return error_set(err, ERR_IO, "eventfd: %s", strerror(errno));
  }
  struct notify_sender *s = mem_alloc(sizeof *s);
  s->magic = NOTIFY_MAGIC;
  s->source = *source;
  s->vault = vault;
  s->wake_fd = wake_fd;
  make_events(s);
  must(pthread_create(&s->thread, NULL, run, s) == 0);
  notify_wake(s);
  *out = s;
  return true;
}

void notify_wake(struct notify_sender *sender) {
  const uint64_t once = 1;
  must(sender->magic == NOTIFY_MAGIC);
  must(write(sender->wake_fd, &once, sizeof once) == sizeof once || errno == EAGAIN);
}

void notify_stop(struct notify_sender *sender) {
  must(sender->magic == NOTIFY_MAGIC);
  atomic_store(&sender->stopping, true);
  notify_wake(sender);
  pthread_join(sender->thread, NULL);
}

void notify_free(struct notify_sender *sender) {
  must(sender->magic == NOTIFY_MAGIC && atomic_load(&sender->stopping));
  for (size_t i = 0; i < NOTIFY_AT_ONCE; i++) {
    exchange_drop(&sender->exchanges[i]);
    event_free(sender->exchanges[i].end);
  }
  event_free(sender->woken);
  event_free(sender->pump);
  evdns_base_free(sender->names, 0);
  event_base_free(sender->base);
  SSL_CTX_free(sender->tls);
  close(sender->wake_fd);
  sender->magic = 0;
  free(sender);
}
