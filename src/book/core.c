/* The core thread: takes what has queued up, applies it as one batch, commits once, then answers everyone. */
#include "base/log.h"
#include "book/private.h"
#include <stdlib.h>

#define CORE_MAGIC 0x4d48434fu
#define CORE_BATCH_MAX 256

struct core {
  uint32_t magic;
  struct book *book;
  struct keeper *keeper;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  struct command *first, **last;
  size_t queued;
  bool stopping;
  void (*committed)(void *context);
  void *listener;
};

/* A queue's front becomes a batch. NULL once the core is stopping and nothing is left. */
static size_t take_batch(struct core *core, struct command *batch[CORE_BATCH_MAX]) {
  size_t count = 0;
  pthread_mutex_lock(&core->lock);
  while (core->first == NULL && !core->stopping) {
    pthread_cond_wait(&core->wake, &core->lock);
  }
  while (core->first != NULL && count < CORE_BATCH_MAX) {
    batch[count++] = core->first;
    core->first = core->first->next;
  }
  if (core->first == NULL) {
    core->last = &core->first;
  }
  core->queued -= count;
  pthread_mutex_unlock(&core->lock);
  return count;
}

static bool commit(struct core *core, struct error *err) {
  if (!book_commit(core->book, err)) {
    return false;
  }
  pthread_mutex_lock(&core->lock);
  void (*committed)(void *) = core->committed;
  pthread_mutex_unlock(&core->lock);
  if (committed) {
    committed(core->listener);
  }
  return true;
}

static void run_reader(struct core *core, struct command *c) {
  struct error err = {0};
  bool ok = c->apply(c, core->book, &err);
  c->done(c, ok ? NULL : &err);
}

static void run_alone(struct core *core, struct command *c) {
  struct error err = {0};
  bool ok = book_begin(core->book, &err);
  if (ok) {
    ok = c->apply(c, core->book, &err);
    if (ok) {
      ok = commit(core, &err);
    } else {
      book_undo(core->book);
    }
  }
  if (!ok && (err.code == ERR_IO || err.code == ERR_CORRUPT)) {
    log_line(LOG_ERROR, "core", "%s", err.message);
  }
  c->done(c, ok ? NULL : &err);
}

/* True when all of them stand, durably. */
static bool run_together(struct core *core, struct command **batch, size_t count) {
  struct error err = {0};
  if (!book_begin(core->book, &err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (!batch[i]->apply(batch[i], core->book, &err)) {
      book_undo(core->book);
      return false;
    }
  }
  return commit(core, &err);
}

/* A command may be gone once it is answered, so they are sorted out before the first answer. */
static void run_batch(struct core *core, struct command **batch, size_t count) {
  struct command *writers[CORE_BATCH_MAX], *readers[CORE_BATCH_MAX];
  size_t writer_count = 0, reader_count = 0;
  for (size_t i = 0; i < count; i++) {
    if (batch[i]->reads_only) {
      readers[reader_count++] = batch[i];
    } else {
      writers[writer_count++] = batch[i];
    }
  }
  bool together = writer_count > 1 && run_together(core, writers, writer_count);
  for (size_t i = 0; i < writer_count; i++) {
    if (together) {
      writers[i]->done(writers[i], NULL);
    } else {
      run_alone(core, writers[i]);
    }
  }
  for (size_t i = 0; i < reader_count; i++) {
    run_reader(core, readers[i]);
  }
}

static void *core_run(void *argument) {
  struct core *core = argument;
  must(core->magic == CORE_MAGIC);
  struct command *batch[CORE_BATCH_MAX];
  for (size_t count; (count = take_batch(core, batch)) > 0;) {
    run_batch(core, batch, count);
  }
  return NULL;
}

struct core *core_start(struct book *book) {
  must(book->mode == BOOK_WRITE);
  struct core *core = mem_alloc(sizeof *core);
  core->magic = CORE_MAGIC;
  core->book = book;
  core->last = &core->first;
  must(pthread_mutex_init(&core->lock, NULL) == 0);
  must(pthread_cond_init(&core->wake, NULL) == 0);
  must(pthread_create(&core->thread, NULL, core_run, core) == 0);
  core->keeper = keeper_start(book, core);
  return core;
}

void core_listen(struct core *core, void (*committed)(void *context), void *context) {
  must(core->magic == CORE_MAGIC);
  pthread_mutex_lock(&core->lock);
  core->listener = context;
  core->committed = committed;
  pthread_mutex_unlock(&core->lock);
}

bool core_submit(struct core *core, struct command *c, struct error *err) {
  must(core->magic == CORE_MAGIC);
  pthread_mutex_lock(&core->lock);
  bool taken = core->queued < CORE_QUEUE_MAX && !core->stopping;
  if (taken) {
    c->next = NULL;
    *core->last = c;
    core->last = &c->next;
    core->queued++;
    pthread_cond_signal(&core->wake);
  }
  pthread_mutex_unlock(&core->lock);
  return taken || error_set(err, ERR_LIMIT, "%d commands are waiting already: try again in a second", CORE_QUEUE_MAX);
}

void core_stop(struct core *core) {
  must(core->magic == CORE_MAGIC);
  keeper_stop(core->keeper);
  pthread_mutex_lock(&core->lock);
  core->stopping = true;
  pthread_cond_signal(&core->wake);
  pthread_mutex_unlock(&core->lock);
  pthread_join(core->thread, NULL);
  pthread_mutex_destroy(&core->lock);
  pthread_cond_destroy(&core->wake);
  core->magic = 0;
  free(core);
}
