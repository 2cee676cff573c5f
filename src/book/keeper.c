/* The keeper: a thread beside the core that prepares the kept aggregates and merged blocks from its own connection and
 * has the core write them, so that no commit waits for more than the writing. */
#include "base/log.h"
#include "book/private.h"
#include <stdlib.h>
#include <time.h>

#define LOOK_EVERY_MS 500
#define LAG_EVENTS (UINT64_C(1) << 18)
#define QUIET_LOOKS 4 /* after so many looks without a new event even a short lag is made up for */

struct keeper {
  struct book *book;
  struct core *core;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool stopping;
};
struct writing {
  const struct rollup *rollup; /* either of the two */
  const struct tidy *tidy;
};

static bool apply(void *work, struct book *book, struct error *err) {
  const struct writing *w = work;
  return w->rollup ? rollup_write(book->db, w->rollup, err) : journal_tidy_write(book->db, w->tidy, err);
}

/* What could not be written is prepared again at the next look. */
static void write_by_core(struct keeper *k, const struct rollup *rollup, const struct tidy *tidy) {
  struct writing writing = {rollup, tidy};
  struct error err = {0};
  if (!core_do(k->core, apply, &writing, &err)) {
    log_line(LOG_WARN, "keeper", "%s", err.message);
  }
}

/* False when it is time to stop. */
static bool wait_a_while(struct keeper *k) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += LOOK_EVERY_MS * 1000000L;
  until.tv_sec += until.tv_nsec / 1000000000L;
  until.tv_nsec %= 1000000000L;
  pthread_mutex_lock(&k->lock);
  if (!k->stopping) {
    pthread_cond_timedwait(&k->changed, &k->lock, &until);
  }
  bool go_on = !k->stopping;
  pthread_mutex_unlock(&k->lock);
  return go_on;
}

static bool keep(struct keeper *k, struct book *reader, uint64_t lag, struct error *err) {
  struct rollup *rollup;
  if (!rollup_prepare(reader->db, reader->catalog, lag, &rollup, err)) {
    return false;
  }
  if (rollup) {
    write_by_core(k, rollup, NULL);
  }
  rollup_free(rollup);
  return true;
}

static bool tidy(struct keeper *k, struct book *reader, struct error *err) {
  struct tidy *tidy;
  if (!journal_tidy_prepare(reader->db, &tidy, err)) {
    return false;
  }
  if (tidy) {
    write_by_core(k, NULL, tidy);
  }
  journal_tidy_free(tidy);
  return true;
}

static void *keeper_run(void *context) {
  struct keeper *k = context;
  struct book *reader;
  struct error err = {0};
  uint64_t before = 0, now = 0;
  if (!book_open_reader(k->book, &reader, &err)) {
    log_line(LOG_ERROR, "keeper", "%s", err.message);
    return NULL;
  }
  for (int quiet = 0; wait_a_while(k);) {
    bool ok = journal_last(reader->db, &now, &err);
    quiet = now == before ? quiet + 1 : 0;
    before = now;
    ok = ok && tidy(k, reader, &err) && keep(k, reader, quiet == QUIET_LOOKS ? 1 : LAG_EVENTS, &err);
    if (!ok) {
      log_line(LOG_WARN, "keeper", "%s", err.message);
    }
  }
  book_close(reader);
  return NULL;
}

struct keeper *keeper_start(struct book *book, struct core *core) {
  struct keeper *k = mem_alloc(sizeof *k);
  k->book = book;
  k->core = core;
  must(pthread_mutex_init(&k->lock, NULL) == 0 && pthread_cond_init(&k->changed, NULL) == 0);
  must(pthread_create(&k->thread, NULL, keeper_run, k) == 0);
  return k;
}

void keeper_stop(struct keeper *k) {
  pthread_mutex_lock(&k->lock);
  k->stopping = true;
  pthread_cond_broadcast(&k->changed);
  pthread_mutex_unlock(&k->lock);
  pthread_join(k->thread, NULL);
  pthread_mutex_destroy(&k->lock);
  pthread_cond_destroy(&k->changed);
  free(k);
}
