/* Between the sending thread of webhooks and the core thread: what is due is read, and results are kept, there.
 */
#include "api/private.h"
#include "notify/notify.h"
#include <stdlib.h>

struct webhooks {
  struct api *api;
  struct notify_vault *vault;
  struct notify_sender *sender;
  _Atomic uint64_t due_seen;
};

/* ---- what the sender asks of the core ---- */

struct asking {
  const struct notify_busy *busy;
  size_t busy_count;
  struct arena *arena;
  struct notify_due *due;
};

static bool read_due(void *work, struct book *book, struct error *err) {
  const struct asking *a = work;
  return notify_due(book_db(book), a->busy, a->busy_count, clock_now(), a->arena, a->due, err);
}

static bool ask_due(void *context, const struct notify_busy *busy, size_t busy_count, struct arena *arena,
                    struct notify_due *out, struct error *err) {
  struct webhooks *w = context;
  struct asking asking = {busy, busy_count, arena, out};
  return core_ask(w->api->core, read_due, &asking, err);
}

struct reporting {
  const struct notify_result *results;
  size_t count;
};

static bool mark_results(void *work, struct book *book, struct error *err) {
  const struct reporting *r = work;
  for (size_t i = 0; i < r->count; i++) {
    if (!notify_mark(book_db(book), &r->results[i], err)) {
      return false;
    }
  }
  return true;
}

static bool report(void *context, const struct notify_result *results, size_t count, struct error *err) {
  struct webhooks *w = context;
  struct reporting reporting = {results, count};
  return core_do(w->api->core, mark_results, &reporting, err);
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
