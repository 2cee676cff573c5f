/* A few threads for work that would hold up an edge: summaries, PDFs. A bounded queue, so that load shows as 429. */
#include "http/private.h"
#include <stdlib.h>

#define WORKERS_MAX 8
#define WORK_QUEUE_MAX 256

struct job {
  void (*run)(struct http_request *r, void *context);
  struct http_request *request;
  void *context;
};

struct workers {
  pthread_t threads[WORKERS_MAX];
  unsigned thread_count;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  struct job queue[WORK_QUEUE_MAX];
  size_t first, count;
  bool stopping;
};

static bool take_job(struct workers *w, struct job *job) {
  pthread_mutex_lock(&w->lock);
  while (w->count == 0 && !w->stopping) {
    pthread_cond_wait(&w->wake, &w->lock);
  }
  bool any = w->count > 0;
  if (any) {
    *job = w->queue[w->first];
    w->first = (w->first + 1) % WORK_QUEUE_MAX;
    w->count--;
  }
  pthread_mutex_unlock(&w->lock);
  return any;
}

static void *work(void *context) {
  struct workers *w = context;
  for (struct job job; take_job(w, &job);) {
    job.run(job.request, job.context);
  }
  return NULL;
}

struct workers *workers_start(unsigned threads) {
  must(threads > 0 && threads <= WORKERS_MAX);
  struct workers *w = mem_alloc(sizeof *w);
  w->thread_count = threads;
  must(pthread_mutex_init(&w->lock, NULL) == 0);
  must(pthread_cond_init(&w->wake, NULL) == 0);
  for (unsigned i = 0; i < threads; i++) {
    must(pthread_create(&w->threads[i], NULL, work, w) == 0);
  }
  return w;
}

bool workers_add(struct workers *w, void (*run)(struct http_request *r, void *context), struct http_request *r,
                 void *context, struct error *err) {
  pthread_mutex_lock(&w->lock);
  bool taken = w->count < WORK_QUEUE_MAX && !w->stopping;
  if (taken) {
    w->queue[(w->first + w->count++) % WORK_QUEUE_MAX] = (struct job){run, r, context};
    pthread_cond_signal(&w->wake);
  }
  pthread_mutex_unlock(&w->lock);
  return taken || error_set(err, ERR_LIMIT, "%d requests of this kind are waiting already: try again in a second",
                            WORK_QUEUE_MAX);
}

void workers_stop(struct workers *w) {
  pthread_mutex_lock(&w->lock);
  w->stopping = true;
  pthread_cond_broadcast(&w->wake);
  pthread_mutex_unlock(&w->lock);
  for (unsigned i = 0; i < w->thread_count; i++) {
    pthread_join(w->threads[i], NULL);
  }
  pthread_mutex_destroy(&w->lock);
  pthread_cond_destroy(&w->wake);
  free(w);
}
