/* Sealing: a full window becomes a sorted run on a thread of its own, and runs of one size become one. */
#include "meter/registry.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct seal {
  pthread_t thread;
  bool threaded;
  atomic_bool finished;
  char *dir;
  uint64_t key_check;
  const struct recent *window;
  struct run *runs[REGISTRY_RUNS_MAX];
  size_t run_count;
  struct run *made;
  size_t merged;
  bool ok;
  struct error err;
};

/* ---- the window, sorted ---- */

struct sorted {
  struct run_entry *entries;
  size_t at;
};

/* Radix sort by bytes, from the lowest of the print's six. */
static void sort_entries(struct run_entry *entries, size_t count) {
  struct run_entry *other = mem_grow(NULL, count + 1, sizeof *other), *from = entries, *to = other;
  for (unsigned shift = 0; shift < PRINT_BITS; shift += 8) {
    size_t starts[257] = {0};
    for (size_t i = 0; i < count; i++) {
      starts[(from[i].print >> shift & 255) + 1]++;
    }
    for (size_t b = 1; b < 257; b++) {
      starts[b] += starts[b - 1];
    }
    for (size_t i = 0; i < count; i++) {
      to[starts[from[i].print >> shift & 255]++] = from[i];
    }
    struct run_entry *swap = from;
    from = to;
    to = swap;
  }
  must(from == entries);
  free(other);
}

static bool next_sorted(void *context, struct run_entry *out, struct error *err) {
  (void)err;
  struct sorted *s = context;
  *out = s->entries[s->at++];
  return true;
}

static bool seal_window(struct seal *s) {
  const struct recent *w = s->window;
  struct sorted sorted = {.entries = mem_grow(NULL, w->count + 1, sizeof *sorted.entries)};
  struct run_making making = {.dir = s->dir,
                              .first = w->first,
                              .last = w->first + w->count - 1,
                              .key_check = s->key_check,
                              .count = (uint32_t)w->count,
                              .next = next_sorted,
                              .context = &sorted};
  size_t count = 0;
  for (size_t at = 0; at < w->capacity; at++) {
    if (w->prints[at] == 0) {
      continue;
    }
    if (w->offsets[at] == w->count - 1) {
      making.last_print = w->prints[at];
    }
    sorted.entries[count++] = (struct run_entry){w->prints[at] >> (64 - PRINT_BITS), w->offsets[at]};
  }
  must(count == w->count);
  sort_entries(sorted.entries, count);
  bool ok = run_make(&making, &s->made, &s->err);
  free(sorted.entries);
  return ok;
}

/* ---- merging ---- */

struct merge {
  struct run_reader readers[REGISTRY_RUNS_MAX];
  struct run_entry heads[REGISTRY_RUNS_MAX];
  bool ended[REGISTRY_RUNS_MAX];
  size_t count;
  uint64_t first;
};

static bool next_merged(void *context, struct run_entry *out, struct error *err) {
  struct merge *m = context;
  size_t least = m->count;
  for (size_t i = 0; i < m->count; i++) {
    if (!m->ended[i] && (least == m->count || m->heads[i].print < m->heads[least].print)) {
      least = i;
    }
  }
  if (least == m->count) {
    return error_set(err, ERR_CORRUPT, "runs of identities hold fewer entries than they say");
  }
  out->print = m->heads[least].print;
  out->offset = (uint32_t)(m->readers[least].run->first + m->heads[least].offset - m->first);
  return run_read(&m->readers[least], &m->heads[least], &m->ended[least], err);
}

static bool start_merge(struct merge *m, struct run *const *runs, size_t count, struct error *err) {
  m->count = count;
  m->first = runs[0]->first;
  for (size_t i = 0; i < count; i++) {
    m->readers[i].run = runs[i];
    if (!run_read(&m->readers[i], &m->heads[i], &m->ended[i], err)) {
      return false;
    }
  }
  return true;
}

static bool merge_runs(struct seal *s, struct run *const *runs, size_t count, uint64_t total) {
  struct merge *m = mem_alloc(sizeof *m);
  struct run_making making = {.dir = s->dir,
                              .first = runs[0]->first,
                              .last = runs[count - 1]->last,
                              .last_print = runs[count - 1]->last_print,
                              .key_check = s->key_check,
                              .count = (uint32_t)total,
                              .next = next_merged,
                              .context = m};
  struct run *merged;
  bool ok = start_merge(m, runs, count, &s->err) && run_make(&making, &merged, &s->err);
  for (size_t i = 0; i < count; i++) {
    free(m->readers[i].bytes);
  }
  free(m);
  if (ok) {
    run_remove(s->made);
    s->made = merged;
  }
  return ok;
}

static unsigned size_class(uint64_t count) {
  unsigned class = 0;
  for (; count >= REGISTRY_FANOUT; count /= REGISTRY_FANOUT) {
    class ++;
  }
  return class;
}

/* As many of the last runs as are together no larger in class than what came before asks for: a number with digits of
 * REGISTRY_FANOUT, carrying. */
static size_t to_merge(const struct seal *s, uint64_t *total) {
  size_t take = 0, in_class = 1;
  uint64_t sum = s->made->count;
  unsigned class = size_class(sum);
  *total = sum;
  for (size_t i = s->run_count; i > 0; i--) {
    uint64_t count = s->runs[i - 1]->count;
    if (size_class(count) > class || sum + count > UINT32_MAX) {
      break;
    }
    sum += count;
    if (++in_class == REGISTRY_FANOUT || size_class(count) < class) {
      take = s->run_count - i + 1;
      *total = sum;
      class = size_class(sum);
      in_class = 1;
    }
  }
  return take;
}

static void *seal_run(void *context) {
  struct seal *s = context;
  s->ok = seal_window(s);
  uint64_t total = 0;
  size_t take = s->ok ? to_merge(s, &total) : 0;
  if (take > 0) {
    struct run *runs[REGISTRY_RUNS_MAX + 1];
    memcpy(runs, s->runs + s->run_count - take, take * sizeof(struct run *));
    runs[take] = s->made;
    s->merged = merge_runs(s, runs, take + 1, total) ? take : 0;
  }
  atomic_store(&s->finished, true);
  return NULL;
}

/* ---- from outside ---- */

struct seal *seal_start(const char *dir, uint64_t key_check, const struct recent *window, struct run *const *runs,
                        size_t run_count, bool wait) {
  struct seal *s = mem_alloc(sizeof *s);
  size_t size = strlen(dir) + 1;
  must(run_count <= REGISTRY_RUNS_MAX);
  s->dir = mem_alloc(size);
  memcpy(s->dir, dir, size);
  s->key_check = key_check;
  s->window = window;
  memcpy(s->runs, runs, run_count * sizeof(struct run *));
  s->run_count = run_count;
  s->threaded = !wait && pthread_create(&s->thread, NULL, seal_run, s) == 0;
  if (!s->threaded) {
    seal_run(s);
  }
  return s;
}

bool seal_finished(const struct seal *s) {
  return atomic_load(&s->finished);
}

bool seal_end(struct seal *s, struct run **run, size_t *merged, struct error *err) {
  if (s->threaded) {
    pthread_join(s->thread, NULL);
  }
  bool ok = s->ok;
  *run = s->made;
  *merged = s->merged;
  if (!ok) {
    *err = s->err;
    run_close(s->made);
    *run = NULL;
  }
  free(s->dir);
  free(s);
  return ok;
}
