/* The thread that keeps the view beside the journal and hands what was crossed to the core. */
#include "base/log.h"
#include "live/private.h"
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define STEP_MS 100    /* at the latest, also when nothing is committed */
#define PAUSE_MS 20    /* at the least between two steps: commits come in crowds */
#define FAILED_MS 1000 /* before the next try */
#define GROW_MS 1000
#define SWEEP_MS 60000 /* contracts begin and end without an event */
#define KEEP_MS 5000
#define CROSSINGS_AT_ONCE 1000

/* Reading anew is paid for by what it takes: an expensive one rests as long again. */
struct pace {
  int64_t next_ms, rest_min_ms;
};

struct live {
  struct book *book, *reader;
  struct core *core;
  struct live_view *view;
  pthread_t thread;
  bool running;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  bool woken, stopping;
  void (*crossed)(void *context);
  void *context;
  struct pace reload, spend;
  int64_t next_grow_ms, next_grow_spend_ms, next_sweep_ms, next_keep_ms, day;
  uint64_t kept_position;
  instant looked; /* by the server before this one */
};

static int64_t now_ms(void) {
  struct timespec t;
  must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void rest(struct pace *pace, int64_t began_ms) {
  int64_t now = now_ms(), took = now - began_ms;
  pace->next_ms = now + (took > pace->rest_min_ms ? took : pace->rest_min_ms);
}

static bool due(int64_t *next_ms, int64_t now, int64_t every_ms) {
  if (now < *next_ms) {
    return false;
  }
  *next_ms = now + every_ms;
  return true;
}

/* ---- the core's side ---- */

/* What is kept in one go. */
struct findings {
  const struct live_crossing *crossings;
  size_t count;
  int64_t position; /* to keep; -1: none */
};

static bool write_findings(void *work, struct book *book, struct error *err) {
  const struct findings *f = work;
  for (size_t i = 0; i < f->count; i++) {
    if (!live_cross(book_db(book), &f->crossings[i], err)) {
      return false;
    }
  }
  return f->position < 0 || (state_set(book_db(book), "position", f->position, err) &&
                             state_set(book_db(book), "looked", clock_now().ns, err));
}

static bool keep_findings(struct live *live, const struct live_crossing *crossings, size_t count, int64_t position,
                          struct error *err) {
  struct findings f = {crossings, count, position};
  if (!core_do(live->core, write_findings, &f, err)) {
    return false;
  }
  if (count > 0) {
    live->crossed(live->context);
  }
  return true;
}

static bool tell_all(struct live *live, const struct crossings *found, struct error *err) {
  for (size_t at = 0; at < found->items.count;) {
    size_t left = found->items.count - at, count = left < CROSSINGS_AT_ONCE ? left : CROSSINGS_AT_ONCE;
    if (!keep_findings(live, &found->items.items[at], count, -1, err)) {
      return false;
    }
    for (size_t i = 0; i < count; i++) {
      crossing_told(live->view, &found->items.items[at + i]);
    }
    at += count;
  }
  return true;
}

/* ---- a step ---- */

static bool work_spend(struct live *live, instant now, struct crossings *found, struct error *err) {
  int64_t began = now_ms();
  if (began < live->spend.next_ms) {
    return true;
  }
  bool ok = spend_work(live->view, live->reader, now, found, err);
  rest(&live->spend, began);
  if (began >= live->next_grow_spend_ms) {
    int64_t took = now_ms() - began;
    live->next_grow_spend_ms = began + (10 * took > GROW_MS ? 10 * took : GROW_MS);
    spend_stale_growing(live->view);
  }
  return ok;
}

static void start_sweep(struct live_view *v) {
  for (size_t i = 0; i < v->customer_count; i++) {
    v->customers[i].spend_stale = true;
  }
}

static bool look(struct live *live, instant now, struct crossings *found, struct error *err) {
  struct live_view *v = live->view;
  int64_t ms = now_ms();
  bool grow = due(&live->next_grow_ms, ms, GROW_MS), sweep = due(&live->next_sweep_ms, ms, SWEEP_MS);
  if (sweep) {
    start_sweep(v);
  }
  if (now.ns / (24 * HOUR_NS) != live->day) {
    live->day = now.ns / (24 * HOUR_NS);
    crossings_forget(v);
  }
  return cross_changed(v, now, grow, sweep, found, err) && work_spend(live, now, found, err) &&
         late_work(v, live->reader, now, found, err);
}

/* Crossings that could not be kept are found again: everything is looked at once more. */
static void look_again(struct live *live) {
  live->next_sweep_ms = 0;
  for (size_t i = 0; i < live->view->customer_count; i++) {
    live->view->customers[i].changed = live->view->customers[i].spend_stale = true;
  }
}

/* Only what is looked at to the end need not be looked at after the next start. */
static bool keep_position(struct live *live, bool at_once, struct error *err) {
  const struct live_view *v = live->view;
  bool wanted = at_once || (v->position != live->kept_position && now_ms() >= live->next_keep_ms);
  if (!wanted || !view_all_seen(v)) {
    return true;
  }
  live->next_keep_ms = now_ms() + KEEP_MS;
  if (!keep_findings(live, NULL, 0, (int64_t)v->position, err)) {
    return false;
  }
  live->kept_position = v->position;
  return true;
}

static bool step(struct live *live, struct error *err) {
  struct crossings found = {.arena = arena_new()};
  instant now = clock_now();
  int64_t began = now_ms();
  bool reload = began >= live->reload.next_ms;
  bool ok = live_view_follow(live->view, live->reader, now, reload, err);
  if (reload) {
    rest(&live->reload, began);
  }
  ok = ok && look(live, now, &found, err);
  ok = ok && tell_all(live, &found, err) && keep_position(live, false, err);
  if (!ok) {
    look_again(live);
  }
  vec_free(&found.items);
  arena_free(found.arena);
  return ok;
}

/* ---- the thread ---- */

static void wait_until(struct live *live, int64_t at_ms, bool wakes) {
  const struct timespec until = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
  int result = 0;
  while (!live->stopping && !(wakes && live->woken) && result == 0) {
    result = pthread_cond_timedwait(&live->wake, &live->lock, &until);
  }
}

static bool wait_for_news(struct live *live, int64_t pause_ms) {
  int64_t now = now_ms();
  pthread_mutex_lock(&live->lock);
  wait_until(live, now + pause_ms, false);
  wait_until(live, now + (STEP_MS > pause_ms ? STEP_MS : pause_ms), true);
  live->woken = false;
  bool on = !live->stopping;
  pthread_mutex_unlock(&live->lock);
  return on;
}

static void *live_run(void *argument) {
  struct live *live = argument;
  struct error err = {0};
  int64_t pause_ms = PAUSE_MS;
  do {
    bool ok = step(live, &err);
    if (!ok && pause_ms != FAILED_MS) {
      log_line(LOG_ERROR, "live", "alerts wait: %s", err.message);
    }
    pause_ms = ok ? PAUSE_MS : FAILED_MS;
  } while (wait_for_news(live, pause_ms));
  if (!keep_position(live, true, &err)) {
    log_line(LOG_WARN, "live", "%s", err.message);
  }
  return NULL;
}

static void committed(void *context) {
  struct live *live = context;
  pthread_mutex_lock(&live->lock);
  if (!live->woken) { /* one that is pausing is not woken by every commit */
    live->woken = true;
    pthread_cond_signal(&live->wake);
  }
  pthread_mutex_unlock(&live->lock);
}

/* ---- with the server ---- */

/* What came while the server was down is new: it is followed from where the last one stopped. */
static bool start_position(struct live *live, struct error *err) {
  int64_t kept;
  uint64_t last;
  if (!journal_last(book_db(live->reader), &last, err) ||
      !state_get(book_db(live->reader), "position", (int64_t)last, &kept, err) ||
      !state_get(book_db(live->reader), "looked", clock_now().ns, &live->looked.ns, err)) {
    return false;
  }
  live->view->position = (uint64_t)kept < last ? (uint64_t)kept : last;
  return true;
}

bool live_open(struct book *book, struct core *core, struct live **out, struct error *err) {
  struct live *live = mem_alloc(sizeof *live);
  pthread_condattr_t monotonic;
  live->book = book;
  live->core = core;
  live->view = live_view_new(book_catalog(book));
  live->spend.rest_min_ms = 200;
  live->kept_position = UINT64_MAX; /* the first step says where it stands, even if that is the beginning */
  must(pthread_condattr_init(&monotonic) == 0 && pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
  must(pthread_mutex_init(&live->lock, NULL) == 0 && pthread_cond_init(&live->wake, &monotonic) == 0);
  must(pthread_condattr_destroy(&monotonic) == 0);
  if (!book_open_reader(book, &live->reader, err) || !start_position(live, err)) {
    live_free(live);
    return false;
  }
  core_listen(core, committed, live);
  *out = live;
  return true;
}

/* The first load is done before anyone asks; should it fail, the thread says so and tries again. */
void live_start(struct live *live, void (*crossed)(void *context), void *context) {
  struct error err = {0};
  live->crossed = crossed;
  live->context = context;
  if (!live_view_follow(live->view, live->reader, clock_now(), true, &err) ||
      !view_look_back(live->view, live->looked, &err)) {
    log_line(LOG_ERROR, "live", "%s", err.message);
  }
  must(pthread_create(&live->thread, NULL, live_run, live) == 0);
  live->running = true;
}

void live_stop(struct live *live) {
  if (live == NULL || !live->running) {
    return;
  }
  pthread_mutex_lock(&live->lock);
  live->stopping = true;
  pthread_cond_signal(&live->wake);
  pthread_mutex_unlock(&live->lock);
  pthread_join(live->thread, NULL);
  live->running = false;
}

void live_free(struct live *live) {
  if (live == NULL) {
    return;
  }
  book_close(live->reader);
  live_view_free(live->view);
  pthread_cond_destroy(&live->wake);
  pthread_mutex_destroy(&live->lock);
  free(live);
}

struct live_view *live_view_of(struct live *live) {
  return live->view;
}
