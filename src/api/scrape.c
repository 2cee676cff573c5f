/* Scraped events on their way to the core: one command a step, waited for by pull's thread. */
#include "api/private.h"
#include "base/log.h"
#include <pthread.h>

struct scrape_command {
  struct command command; /* first: the core hands back this address */
  const struct pull_step *step;
  bool *stood;
  struct arena *arena;
  struct error err;
  bool finished, failed;
  pthread_mutex_t lock;
  pthread_cond_t wake;
};

static void tell_refused(const struct pull_step *step, const struct ingest_result *results) {
  size_t refused = 0;
  const char *reason = NULL;
  for (size_t i = 0; i < step->event_count; i++) {
    if (results[i].verdict == EVENT_INVALID || results[i].verdict == EVENT_CONFLICT) {
      refused++;
      reason = reason ? reason : results[i].reason;
    }
  }
  if (refused > 0) {
    log_line(LOG_WARN, "scrape", SLICE_FMT ": %zu events were refused and will be tried again, the first because: %s",
             SLICE_ARG(step->target), refused, reason);
  }
}

static bool apply(struct command *command, struct book *book, struct error *err) {
  struct scrape_command *c = (struct scrape_command *)command;
  const struct pull_step *step = c->step;
  arena_reset(c->arena);
  struct ingest_result *results = arena_array(c->arena, step->event_count, sizeof *results);
  if (step->event_count > 0 && !book_ingest(book, c->arena, step->events, step->event_count, results, err)) {
    return false;
  }
  for (size_t i = 0; i < step->event_count; i++) {
    c->stood[i] = results[i].verdict == EVENT_ACCEPTED || results[i].verdict == EVENT_DUPLICATE;
  }
  tell_refused(step, results);
  return pull_step_keep(book_db(book), step, c->stood, err);
}

static void done(struct command *command, const struct error *err) {
  struct scrape_command *c = (struct scrape_command *)command;
  pthread_mutex_lock(&c->lock);
  c->failed = err != NULL;
  if (err) {
    c->err = *err;
  }
  c->finished = true;
  pthread_cond_signal(&c->wake);
  pthread_mutex_unlock(&c->lock);
}

bool scrape_write(void *context, const struct pull_step *step, bool *stood, struct error *err) {
  struct api *api = context;
  struct scrape_command c = {.command = {.apply = apply, .done = done}, .step = step, .arena = arena_new()};
  c.stood = stood;
  must(pthread_mutex_init(&c.lock, NULL) == 0);
  must(pthread_cond_init(&c.wake, NULL) == 0);
  bool ok = core_submit(api->core, &c.command, err);
  if (ok) {
    pthread_mutex_lock(&c.lock);
    while (!c.finished) {
      pthread_cond_wait(&c.wake, &c.lock);
    }
    pthread_mutex_unlock(&c.lock);
    ok = !c.failed;
    *err = c.failed ? c.err : *err;
  }
  pthread_mutex_destroy(&c.lock);
  pthread_cond_destroy(&c.wake);
  arena_free(c.arena);
  return ok;
}
