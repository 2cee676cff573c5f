/* Between the sending thread of webhooks and the core thread: what is due is read, and results are kept, by commands.
 */
#include "api/private.h"
#include "notify/notify.h"
#include <pthread.h>
#include <stdlib.h>

struct webhooks {
  struct api *api;
  struct notify_vault *vault;
  struct notify_sender *sender;
  _Atomic uint64_t due_seen;
};

/* ---- a command of the sender: it waits for the answer ---- */

struct errand {
  struct command command; /* first: the core hands back this address */
  pthread_mutex_t lock;
  pthread_cond_t wake;
  bool done, ok;
  struct error err;
  const struct notify_busy *busy;
  struct arena *arena;
  struct notify_due *due;
  const struct notify_result *results;
  size_t count;
};

static void errand_done(struct command *c, const struct error *err) {
  struct errand *e = (struct errand *)c;
  pthread_mutex_lock(&e->lock);
  e->ok = err == NULL;
  if (err) {
    e->err = *err;
  }
  e->done = true;
  pthread_cond_signal(&e->wake);
  pthread_mutex_unlock(&e->lock);
}

static bool errand_run(struct core *core, struct errand *e, struct error *err) {
  must(pthread_mutex_init(&e->lock, NULL) == 0 && pthread_cond_init(&e->wake, NULL) == 0);
  bool ok = core_submit(core, &e->command, err);
  if (ok) {
    pthread_mutex_lock(&e->lock);
    while (!e->done) {
      pthread_cond_wait(&e->wake, &e->lock);
    }
    pthread_mutex_unlock(&e->lock);
    ok = e->ok;
    *err = e->err;
  }
  pthread_cond_destroy(&e->wake);
  pthread_mutex_destroy(&e->lock);
  return ok;
}

static bool due_apply(struct command *c, struct book *book, struct error *err) {
  struct errand *e = (struct errand *)c;
  return notify_due(book_db(book), e->busy, e->count, clock_now(), e->arena, e->due, err);
}

static bool ask_due(void *context, const struct notify_busy *busy, size_t busy_count, struct arena *arena,
                    struct notify_due *out, struct error *err) {
  struct webhooks *w = context;
  struct errand e = {.command = {.apply = due_apply, .done = errand_done, .reads_only = true},
                     .busy = busy,
                     .count = busy_count,
                     .arena = arena,
                     .due = out};
  return errand_run(w->api->core, &e, err);
}

static bool report_apply(struct command *c, struct book *book, struct error *err) {
  const struct errand *e = (const struct errand *)c;
  for (size_t i = 0; i < e->count; i++) {
    if (!notify_mark(book_db(book), &e->results[i], err)) {
      return false;
    }
  }
  return true;
}

static bool report(void *context, const struct notify_result *results, size_t count, struct error *err) {
  struct webhooks *w = context;
  struct errand e = {.command = {.apply = report_apply, .done = errand_done}, .results = results, .count = count};
  return errand_run(w->api->core, &e, err);
}

/* ---- with the server ---- */

bool webhooks_start(struct api *api, struct error *err) {
  struct webhooks *w = mem_alloc(sizeof *w);
  struct notify_source source = {.context = w, .due = ask_due, .report = report};
  w->api = api;
  bool ok = notify_vault_open(book_dir(api->book), &w->vault, err) && notify_start(&source, w->vault, &w->sender, err);
  if (!ok) {
    notify_vault_close(w->vault);
    free(w);
    return false;
  }
  api->webhooks = w;
  return true;
}

void webhooks_stop(struct api *api) {
  if (api->webhooks == NULL) {
    return; /* the start failed before */
  }
  notify_stop(api->webhooks->sender);
}

void webhooks_free(struct api *api) {
  if (api->webhooks == NULL) {
    return;
  }
  notify_free(api->webhooks->sender);
  notify_vault_close(api->webhooks->vault);
  free(api->webhooks);
  api->webhooks = NULL;
}

void webhooks_committed(struct api *api) {
  uint64_t made = notify_due_made();
  if (atomic_exchange(&api->webhooks->due_seen, made) != made) {
    notify_wake(api->webhooks->sender);
  }
}

const struct notify_vault *webhooks_vault(const struct api *api) {
  return api->webhooks->vault;
}
