/* The thread that scrapes: one timer a target, on instants that are multiples of its interval. */
#include "base/log.h"
#include "pull/private.h"
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PULL_MAGIC 0x4d485055u

struct runner {
  struct pull *pull;
  struct target_state *state;
  struct event *timer;
  struct fetch *fetch; /* under way */
  instant due, at;     /* of the next scrape, and of the one under way */
  struct target_figures figures;
};
struct pull {
  uint32_t magic;
  struct pull_writer writer;
  struct states states;
  struct runner *runners; /* parallel to the states */
  struct event_base *base;
  struct evdns_base *dns;
  pthread_t thread;
  pthread_mutex_t lock; /* over the figures of all runners */
};

/* ---- figures ---- */

static void went_up(struct runner *r, const struct judged *j, uint64_t refused) {
  struct target_figures *f = &r->figures;
  bool was_up = f->tried && f->up;
  pthread_mutex_lock(&r->pull->lock);
  f->tried = f->up = true;
  f->scrapes++;
  f->last_success = r->at;
  f->samples = j->samples;
  f->matched = j->matched;
  f->unmatched = j->unmatched;
  f->unreadable = j->unreadable;
  f->resets += j->resets;
  f->gaps += j->gap.ns > 0;
  f->gap_seconds += (uint64_t)(j->gap.ns / NS_PER_S);
  f->events += j->events.count - refused;
  f->refused += refused;
  pthread_mutex_unlock(&r->pull->lock);
  if (!was_up) {
    log_line(LOG_INFO, f->name.ptr, "scrape: is up: %llu samples, %llu series taken, %llu unmatched",
             (unsigned long long)j->samples, (unsigned long long)j->matched, (unsigned long long)j->unmatched);
  }
  if (j->gap.ns > 0) {
    log_line(LOG_WARN, f->name.ptr, "scrape: not seen for %lld s before; what counters rose in between is dated now",
             (long long)(j->gap.ns / NS_PER_S));
  }
  if (j->resets > 0) {
    log_line(LOG_INFO, f->name.ptr, "scrape: counters that began anew: %llu", (unsigned long long)j->resets);
  }
}

static void went_down(struct runner *r, const struct error *why) {
  struct target_figures *f = &r->figures;
  bool was_down = f->tried && !f->up;
  char since[TIME_TEXT_MAX];
  pthread_mutex_lock(&r->pull->lock);
  f->tried = true;
  f->up = false;
  f->scrapes++;
  f->failures++;
  if (!was_down) {
    f->unknown_since = f->last_success.ns > 0 ? f->last_success : r->at;
  }
  pthread_mutex_unlock(&r->pull->lock);
  if (!was_down) {
    log_line(LOG_WARN, f->name.ptr, "scrape: is down, unknown since %s: %s", time_format(f->unknown_since, since),
             why->message);
  }
}

/* ---- a scrape ---- */

static void begin_judged(struct judged *j) {
  *j = (struct judged){.arena = arena_new()};
}

static void end_judged(struct judged *j) {
  arena_free(j->arena);
  judged_free(j);
}

static bool take_body(struct runner *r, const struct fetch_answer *answer, struct judged *j, uint64_t *refused,
                      struct error *err) {
  struct exposition text;
  return exposition_parse(j->arena, answer->body, answer->open_metrics, &text, err) &&
         judge_scrape(r->state, &text, r->at, j, err) &&
         judged_write(r->state, j, true, r->at, &r->pull->writer, refused, err);
}

/* Out of reach: levels stay as they were, but for those that are to end. */
static void end_absent(struct runner *r) {
  struct judged j;
  struct error err = {0};
  uint64_t refused = 0;
  begin_judged(&j);
  if (!levels_absent(r->state, r->at, &j, &err) ||
      !judged_write(r->state, &j, false, r->at, &r->pull->writer, &refused, &err)) {
    log_line(LOG_ERROR, r->figures.name.ptr, "scrape: %s", err.message);
  } else if (j.events.count > 0) {
    log_line(LOG_WARN, r->figures.name.ptr, "scrape: out of reach for long; levels ended: %zu", j.events.count);
  }
  end_judged(&j);
}

static void on_fetched(void *context, const struct fetch_answer *answer) {
  struct runner *r = context;
  struct judged j;
  struct error err = {0};
  uint64_t refused = 0;
  r->fetch = NULL;
  begin_judged(&j);
  if (answer->failure == NULL && take_body(r, answer, &j, &refused, &err)) {
    went_up(r, &j, refused);
  } else {
    went_down(r, answer->failure ? answer->failure : &err);
    end_absent(r);
  }
  end_judged(&j);
}

/* ---- timers ---- */

static int64_t interval_ns(const struct runner *r) {
  return r->state->target->interval.ns;
}

static void wait_for_next(struct runner *r) {
  int64_t now_ns = clock_now().ns;
  r->due.ns = (now_ns / interval_ns(r) + 1) * interval_ns(r);
  int64_t wait_us = (r->due.ns - now_ns) / 1000 + 1;
  struct timeval wait = {.tv_sec = wait_us / 1000000, .tv_usec = wait_us % 1000000};
  must(evtimer_add(r->timer, &wait) == 0);
}

/* The instant a timer was set for, unless the clock was moved meanwhile. */
static void on_timer(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  struct runner *r = context;
  int64_t now_ns = clock_now().ns, off_ns = now_ns - r->due.ns;
  bool near = off_ns > -interval_ns(r) && off_ns < interval_ns(r);
  r->at.ns = near ? r->due.ns : now_ns / interval_ns(r) * interval_ns(r);
  if (r->fetch == NULL) {
    r->fetch = fetch_start(r->pull->base, r->pull->dns, r->state->target, on_fetched, r);
  }
  wait_for_next(r);
}

/* What was taken out of the file is not looked at any more: its levels end. */
static void retire(struct runner *r) {
  struct judged j;
  struct error err = {0};
  uint64_t refused = 0;
  r->at.ns = clock_now().ns / NS_PER_S * NS_PER_S;
  r->state->scrape++;
  begin_judged(&j);
  if (!levels_vanish(r->state, r->at, &j, &err) ||
      !judged_write(r->state, &j, false, r->at, &r->pull->writer, &refused, &err)) {
    log_line(LOG_ERROR, r->state->name.ptr, "scrape: %s", err.message);
  } else if (j.events.count > 0) {
    log_line(LOG_WARN, r->state->name.ptr, "scrape: is no longer a target; levels ended: %zu", j.events.count);
  }
  end_judged(&j);
}

static void *pull_run(void *context) {
  struct pull *pull = context;
  must(pull->magic == PULL_MAGIC);
  for (size_t i = 0; i < pull->states.items.count; i++) {
    struct runner *r = &pull->runners[i];
    if (r->state->target) {
      wait_for_next(r);
    } else {
      retire(r);
    }
  }
  event_base_loop(pull->base, EVLOOP_NO_EXIT_ON_EMPTY);
  return NULL;
}

/* ---- starting and stopping ---- */

static void runner_init(struct pull *pull, size_t i) {
  struct runner *r = &pull->runners[i];
  r->pull = pull;
  r->state = pull->states.items.items[i];
  r->timer = evtimer_new(pull->base, on_timer, r);
  must(r->timer != NULL);
  r->figures.name = r->state->name;
  r->figures.last_success = r->state->last_good;
}

bool pull_start(const struct pull_targets *targets, struct db *db, const struct pull_writer *writer, struct pull **out,
                struct error *err) {
  struct pull *pull = mem_alloc(sizeof *pull);
  pull->magic = PULL_MAGIC;
  pull->writer = *writer;
  if (!states_load(db, targets, &pull->states, err)) {
    free(pull);
    return false;
  }
  must(evthread_use_pthreads() == 0);
  pull->base = event_base_new();
  must(pull->base != NULL);
  /* Without name servers names are still looked up, only one after the other. */
  pull->dns = evdns_base_new(pull->base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
  must(pthread_mutex_init(&pull->lock, NULL) == 0);
  pull->runners = mem_alloc(pull->states.items.count * sizeof *pull->runners);
  for (size_t i = 0; i < pull->states.items.count; i++) {
    runner_init(pull, i);
  }
  must(pthread_create(&pull->thread, NULL, pull_run, pull) == 0);
  *out = pull;
  return true;
}

static void stop_loop(evutil_socket_t fd, short what, void *context) {
  (void)fd;
  (void)what;
  event_base_loopbreak(((struct pull *)context)->base);
}

void pull_stop(struct pull *pull) {
  must(pull->magic == PULL_MAGIC);
  must(event_base_once(pull->base, -1, EV_TIMEOUT, stop_loop, pull, NULL) == 0);
  pthread_join(pull->thread, NULL);
  for (size_t i = 0; i < pull->states.items.count; i++) {
    struct runner *r = &pull->runners[i];
    event_free(r->timer);
    if (r->fetch) {
      fetch_cancel(r->fetch);
    }
  }
  event_base_loop(pull->base, EVLOOP_NONBLOCK); /* fetches that are answered free themselves */
  if (pull->dns) {
    evdns_base_free(pull->dns, 0);
  }
  event_base_free(pull->base);
  pthread_mutex_destroy(&pull->lock);
  states_free(&pull->states);
  free(pull->runners);
  pull->magic = 0;
  free(pull);
}

void pull_metrics(struct pull *pull, struct buf *out) {
  size_t count = 0;
  struct target_figures *figures = mem_alloc(pull->states.items.count * sizeof *figures);
  pthread_mutex_lock(&pull->lock);
  for (size_t i = 0; i < pull->states.items.count; i++) {
    if (pull->runners[i].state->target) {
      figures[count++] = pull->runners[i].figures;
    }
  }
  pthread_mutex_unlock(&pull->lock);
  figures_print(figures, count, out);
  free(figures);
}
