/* Scraped events on their way to the core: one errand a step, waited for by pull's thread. */
#include "api/private.h"
#include "base/log.h"

struct writing {
  const struct pull_step *step;
  bool *stood;
  struct arena *arena;
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

static bool write_step(void *work, struct book *book, struct error *err) {
  struct writing *w = work;
  const struct pull_step *step = w->step;
  arena_reset(w->arena);
  struct ingest_result *results = arena_array(w->arena, step->event_count, sizeof *results);
  if (step->event_count > 0 && !book_ingest(book, w->arena, step->events, step->event_count, results, err)) {
    return false;
  }
  for (size_t i = 0; i < step->event_count; i++) {
    w->stood[i] = results[i].verdict == EVENT_ACCEPTED || results[i].verdict == EVENT_DUPLICATE;
  }
  tell_refused(step, results);
  return pull_step_keep(book_db(book), step, w->stood, err);
}

bool scrape_write(void *context, const struct pull_step *step, bool *stood, struct error *err) {
  struct api *api = context;
  struct writing writing = {.step = step, .arena = arena_new()};
  writing.stood = stood;
  bool ok = core_do(api->core, write_step, &writing, err);
  arena_free(writing.arena);
  return ok;
}
