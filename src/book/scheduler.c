/* The scheduler: a thread beside the core that looks every few seconds whether something has fallen due, works it out
 * from a connection of its own and has the core write it. */
#include "base/log.h"
#include "book/private.h"
#include <stdlib.h>
#include <time.h>

#define LOOK_EVERY_S 10

struct scheduler {
  struct book *book;
  struct core *core;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t stop;
  bool stopping;
};

static bool write_by_core(void *context, bool (*apply)(void *work, struct book *book, struct error *err), void *work,
                          struct error *err) {
  struct scheduler *s = context;
  pthread_mutex_lock(&s->lock);
  bool stopping = s->stopping;
  pthread_mutex_unlock(&s->lock);
  if (stopping) { /* what is left undone is found again at the next start */
    return error_set(err, ERR_BUSY, "the server is stopping");
  }
  return core_do(s->core, apply, work, err);
}

/* False when it is time to stop. */
static bool wait_a_while(struct scheduler *s) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += LOOK_EVERY_S;
  pthread_mutex_lock(&s->lock);
  if (!s->stopping) {
    pthread_cond_timedwait(&s->stop, &s->lock, &until);
  }
  bool go_on = !s->stopping;
  pthread_mutex_unlock(&s->lock);
  return go_on;
}

static void *scheduler_run(void *context) {
  struct scheduler *s = context;
  struct due_writer writer = {write_by_core, s};
  struct book *reader;
  struct error err = {0};
  if (!book_open_reader(s->book, &reader, &err)) {
    log_line(LOG_ERROR, "due", "%s", err.message);
    return NULL;
  }
  while (wait_a_while(s)) {
    struct due_result result;
    if (!book_run_due(reader, clock_now(), &writer, (struct due_notes){0}, &result, &err)) {
      log_line(LOG_WARN, "due", "%s", err.message);
    } else if (result.invoices > 0) {
      log_line(LOG_INFO, "due", "%llu invoices finalized", (unsigned long long)result.invoices);
    }
  }
  book_close(reader);
  return NULL;
}

struct scheduler *scheduler_start(struct book *book, struct core *core) {
  struct scheduler *s = mem_alloc(sizeof *s);
  s->book = book;
  s->core = core;
  must(pthread_mutex_init(&s->lock, NULL) == 0 && pthread_cond_init(&s->stop, NULL) == 0);
  must(pthread_create(&s->thread, NULL, scheduler_run, s) == 0);
  return s;
}

void scheduler_stop(struct scheduler *s) {
  pthread_mutex_lock(&s->lock);
  s->stopping = true;
  pthread_cond_signal(&s->stop);
  pthread_mutex_unlock(&s->lock);
  pthread_join(s->thread, NULL);
  pthread_mutex_destroy(&s->lock);
  pthread_cond_destroy(&s->stop);
  free(s);
}
