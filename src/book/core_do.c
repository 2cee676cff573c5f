/* Work handed to the core thread by a thread that waits for it. */
#include "book/private.h"

struct errand {
  struct command command; /* first: the core hands back this address */
  bool (*apply)(void *work, struct book *book, struct error *err);
  void *work;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  bool done, ok;
  struct error err;
};

static bool errand_apply(struct command *c, struct book *book, struct error *err) {
  struct errand *e = (struct errand *)c;
  return e->apply(e->work, book, err);
}

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

static bool run_errand(struct core *core, bool (*apply)(void *work, struct book *book, struct error *err), void *work,
                       bool reads_only, struct error *err) {
  struct errand e = {
      .command = {.apply = errand_apply, .done = errand_done, .reads_only = reads_only}, .apply = apply, .work = work};
  must(pthread_mutex_init(&e.lock, NULL) == 0 && pthread_cond_init(&e.wake, NULL) == 0);
  bool ok = core_submit(core, &e.command, err);
  if (ok) {
    pthread_mutex_lock(&e.lock);
    while (!e.done) {
      pthread_cond_wait(&e.wake, &e.lock);
    }
    pthread_mutex_unlock(&e.lock);
    ok = e.ok;
    if (!ok) {
      *err = e.err;
    }
  }
  pthread_cond_destroy(&e.wake);
  pthread_mutex_destroy(&e.lock);
  return ok;
}

bool core_do(struct core *core, bool (*apply)(void *work, struct book *book, struct error *err), void *work,
             struct error *err) {
  return run_errand(core, apply, work, false, err);
}

bool core_ask(struct core *core, bool (*apply)(void *work, struct book *book, struct error *err), void *work,
              struct error *err) {
  return run_errand(core, apply, work, true, err);
}

static bool write_by_core(void *context, bool (*apply)(void *work, struct book *book, struct error *err), void *work,
                          struct error *err) {
  return core_do(context, apply, work, err);
}

struct due_writer core_due_writer(struct core *core) {
  return (struct due_writer){write_by_core, core};
}
