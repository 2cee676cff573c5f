/* The core thread: takes what has queued up, applies it as one batch, commits once, then answers everyone. */
#include "base/limits.h"
#include "base/log.h"
#include "book/private.h"
#include <stdlib.h>
#include <time.h>

#define CORE_MAGIC 0x4d48434fu
#define CORE_BATCH_MAX 256
#define GATHER_US 200

struct core {
  uint32_t magic;
  struct book *book;
  struct keeper *keeper;
  struct scheduler *scheduler;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  struct command *first, **last;
  bool stopping;
  void (*committed)(void *context);
  void *listener;
  size_t last_batch; /* commands in it */
  struct core_figures figures;
};

struct core_figures *core_figures_of(struct core *core) {
  return &core->figures;
}

/* When fewer wait than the last batch had, the others are probably on their way: a moment for them makes one commit of
 * what would be many, each with a block of its own. A caller alone never waits. Called with the lock held. */
static void gather(struct core *core) {
  if (core->figures.queued < core->last_batch && !core->stopping) {
    pthread_mutex_unlock(&core->lock);
    nanosleep(&(struct timespec){.tv_nsec = GATHER_US * 1000L}, NULL);
    pthread_mutex_lock(&core->lock);
  }
}

/* A queue's front becomes a batch, of at least one command. 0 once the core is stopping and nothing is left. */
static size_t take_batch(struct core *core, struct command *batch[CORE_BATCH_MAX]) {
  size_t count = 0, bytes = 0;
  pthread_mutex_lock(&core->lock);
  while (core->first == NULL && !core->stopping) {
    pthread_cond_wait(&core->wake, &core->lock);
  }
  gather(core);
  while (core->first != NULL && count < CORE_BATCH_MAX &&
         (count == 0 || bytes + core->first->bytes <= LIMIT_COMMIT_BYTES)) {
    bytes += core->first->bytes;
    batch[count++] = core->first;
    core->first = core->first->next;
  }
  if (core->first == NULL) {
    core->last = &core->first;
  }
  core->last_batch = count;
  core->figures.queued -= count;
  core->figures.queued_bytes -= bytes;
  pthread_mutex_unlock(&core->lock);
  return count;
}

static void tell_listener(struct core *core) {
  pthread_mutex_lock(&core->lock);
  void (*committed)(void *) = core->committed;
  pthread_mutex_unlock(&core->lock);
  if (committed) {
    committed(core->listener);
  }
}

static void run_reader(struct core *core, struct command *c) {
  struct error err = {0};
  bool ok = c->apply(c, core->book, &err);
  c->done(c, ok ? NULL : &err);
}

/* The monotonic clock, not clock_now: a test clock may stand still. */
static uint64_t now_us(void) {
  struct timespec t;
  must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool commit(struct core *core, uint64_t begun_us, size_t commands, uint64_t events_before, struct error *err) {
  uint64_t events = journal_count(core->book->journal) - events_before;
  if (!book_commit(core->book, err)) {
    return false;
  }
  histogram_add(&core->figures.commit_us, now_us() - begun_us);
  histogram_add(&core->figures.batch_commands, commands);
  histogram_add(&core->figures.batch_events, events);
  tell_listener(core);
  return true;
}

static void run_alone(struct core *core, struct command *c) {
  struct error err = {0};
  const uint64_t begun_us = now_us();
  const uint64_t events_before = journal_count(core->book->journal);
  bool ok = book_begin(core->book, &err);
  if (ok) {
    ok = c->apply(c, core->book, &err);
    if (ok) {
      ok = commit(core, begun_us, 1, events_before, &err);
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
  const uint64_t begun_us = now_us();
  const uint64_t events_before = journal_count(core->book->journal);
  if (!book_begin(core->book, &err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (!batch[i]->apply(batch[i], core->book, &err)) {
      book_undo(core->book);
      return false;
    }
  }
  return commit(core, begun_us, count, events_before, &err);
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
  core_figures_start(&core->figures);
  must(pthread_mutex_init(&core->lock, NULL) == 0);
  must(pthread_cond_init(&core->wake, NULL) == 0);
  must(pthread_create(&core->thread, NULL, core_run, core) == 0);
  core->keeper = keeper_start(book, core);
  core->scheduler = scheduler_start(book, core);
  pthread_setname_np(core->thread, "core");
  return core;
}

void core_listen(struct core *core, void (*committed)(void *context), void *context) {
  must(core->magic == CORE_MAGIC);
  pthread_mutex_lock(&core->lock);
  core->listener = context;
  core->committed = committed;
  pthread_mutex_unlock(&core->lock);
}

static bool has_room(const struct core *core, const struct command *c) {
  const struct core_figures *f = &core->figures;
  return !core->stopping && f->queued < LIMIT_QUEUE_COMMANDS &&
         (f->queued == 0 || f->queued_bytes + c->bytes <= LIMIT_QUEUE_BYTES);
}

bool core_submit(struct core *core, struct command *c, struct error *err) {
  must(core->magic == CORE_MAGIC);
  pthread_mutex_lock(&core->lock);
  bool taken = has_room(core, c), sleeps = core->first == NULL;
  if (taken) {
    c->next = NULL;
    *core->last = c;
    core->last = &c->next;
    core->figures.queued++;
    core->figures.queued_bytes += c->bytes;
  } else {
    core->figures.refused++;
  }
  pthread_mutex_unlock(&core->lock);
  if (taken && sleeps) {
    pthread_cond_signal(&core->wake);
  }
  return taken || error_set(err, ERR_LIMIT, "too many requests are waiting to be written: try again in %d s",
                            LIMIT_RETRY_AFTER_S);
}

void core_stop(struct core *core) {
  must(core->magic == CORE_MAGIC);
  scheduler_stop(core->scheduler);
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
