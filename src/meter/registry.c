/* The registry of identities: recent table, the table being sealed, sealed runs; and how they are found again at start.
 */
#include "meter/registry.h"
#include "base/file.h"
#include "base/log.h"
#include <dirent.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REGISTRY_MAGIC 0x4d485247u
#define DECIDE_AT_ONCE 64
#define FOUND_MAX 1024 /* entries of one run that share a fingerprint */

struct taken {
  uint64_t print;
  uint32_t offset;
};
struct registry {
  uint32_t magic;
  char *dir;
  uint8_t key[16];
  uint64_t key_check, mask, count, healed;
  uint32_t window_events;
  struct recent *replay_into; /* a run that is built again; NULL: the recent table */
  struct registry_hooks hooks;
  struct recent active, frozen;
  struct seal *seal; /* of `frozen` */
  struct run *runs[REGISTRY_RUNS_MAX];
  size_t run_count;
  VEC(struct taken) taken; /* since the last done or undo */
};

uint64_t registry_fingerprint(const uint8_t key[16], slice source, slice id) {
  unsigned char bytes[2 * EVENT_ATTRIBUTE_BYTES_MAX + 1];
  uint64_t print;
  must(source.len <= EVENT_ATTRIBUTE_BYTES_MAX && id.len <= EVENT_ATTRIBUTE_BYTES_MAX);
  /* Neither part holds a NUL, so the first one marks the border. */
  memcpy(bytes, source.ptr, source.len);
  bytes[source.len] = 0;
  memcpy(bytes + source.len + 1, id.ptr, id.len);
  crypto_shorthash((unsigned char *)&print, bytes, source.len + 1 + id.len, key);
  return print;
}

/* The lowest bit is always set, so that no print is the mark of an empty slot. */
static uint64_t print_of(const struct registry *r, slice source, slice id) {
  return (registry_fingerprint(r->key, source, id) & r->mask) | 1;
}

/* ---- runs come and go ---- */

static bool adopt_sealed(struct registry *r, struct error *err) {
  struct run *made;
  size_t merged;
  bool ok = seal_end(r->seal, &made, &merged, err);
  r->seal = NULL;
  if (!ok) {
    return false;
  }
  for (size_t i = 0; i < merged; i++) {
    run_remove(r->runs[--r->run_count]);
  }
  r->runs[r->run_count++] = made;
  recent_free(&r->frozen);
  return true;
}

static bool rebuild(struct registry *r, size_t place, struct error *err) {
  struct recent again;
  struct run *made = NULL;
  size_t merged;
  const struct run *damaged = r->runs[place];
  recent_init(&again, damaged->first);
  r->replay_into = &again;
  bool ok = r->hooks.replay(r->hooks.context, damaged->first, damaged->last, r, err);
  r->replay_into = NULL;
  ok = ok && seal_end(seal_start(r->dir, r->key_check, &again, r->runs, 0, true), &made, &merged, err);
  recent_free(&again);
  if (ok) {
    run_close(r->runs[place]);
    r->runs[place] = made;
  }
  return ok;
}

/* A seal may be reading the damaged run, and may leave other runs behind: it comes to its end first. */
static bool heal(struct registry *r, uint64_t first, struct error *err) {
  struct error ignored = {0};
  if (r->seal && !adopt_sealed(r, &ignored)) {
    log_line(LOG_WARN, "registry", "%s", ignored.message);
  }
  r->healed++;
  for (size_t i = 0; i < r->run_count; i++) {
    if (r->runs[i]->first == first) {
      return rebuild(r, i, err);
    }
  }
  return true;
}

/* ---- deciding ---- */

/* What is known of an identity: nothing (EVENT_ACCEPTED), or the stored event that has it. */
struct hit {
  enum verdict verdict;
  uint64_t number;
};

static bool compare(const struct registry *r, uint64_t number, const struct event *e, struct hit *out,
                    struct error *err) {
  out->number = number;
  return r->hooks.compare(r->hooks.context, number, e, &out->verdict, err);
}

static bool ask_recent(const struct registry *r, const struct recent *w, uint64_t print, const struct event *e,
                       struct hit *out, struct error *err) {
  uint32_t offset;
  if (w->count == 0) {
    return true;
  }
  size_t at = recent_home(w, print);
  while (out->verdict == EVENT_ACCEPTED && recent_next(w, print, &at, &offset)) {
    if (!compare(r, w->first + offset, e, out, err)) {
      return false;
    }
  }
  return true;
}

static bool ask_run(struct registry *r, size_t place, uint64_t print, const struct event *e, struct hit *out,
                    struct error *err) {
  uint32_t offsets[FOUND_MAX];
  size_t count;
  const struct run *run = r->runs[place];
  if (!run_maybe(run, print)) {
    return true;
  }
  if (!run_find(run, print, offsets, FOUND_MAX, &count, err)) {
    log_line(LOG_WARN, "registry", "%s; built again from the journal", err->message);
    return heal(r, run->first, err);
  }
  for (size_t i = 0; i < count && out->verdict == EVENT_ACCEPTED; i++) {
    if (!compare(r, run->first + offsets[i], e, out, err)) {
      return false;
    }
  }
  return true;
}

/* What is most likely comes first: a repeated event is mostly a recent one. */
static bool find(struct registry *r, uint64_t print, const struct event *e, struct hit *out, struct error *err) {
  *out = (struct hit){EVENT_ACCEPTED, 0};
  bool ok = ask_recent(r, &r->active, print, e, out, err) && ask_recent(r, &r->frozen, print, e, out, err);
  for (size_t i = r->run_count; i > 0 && ok && out->verdict == EVENT_ACCEPTED; i--) {
    uint64_t healed = r->healed;
    ok = ask_run(r, i - 1, print, e, out, err);
    i = healed == r->healed ? i : r->run_count + 1;
  }
  return ok;
}

static bool decide(struct registry *r, uint64_t print, const struct event *e, enum verdict *out, struct error *err) {
  struct hit match;
  if (!find(r, print, e, &match, err)) {
    return false;
  }
  *out = match.verdict;
  if (match.verdict == EVENT_ACCEPTED) {
    struct taken taken = {print, (uint32_t)r->active.count};
    recent_add(&r->active, print, taken.offset);
    vec_push(&r->taken, taken);
    r->count++;
    r->hooks.accept(r->hooks.context, e);
  }
  return true;
}

bool registry_find(struct registry *r, slice source, slice id, uint64_t *number, struct error *err) {
  const struct event probe = {.source = source, .id = id};
  struct hit match;
  if (!find(r, print_of(r, source, id), &probe, &match, err)) {
    return false;
  }
  *number = match.verdict == EVENT_ACCEPTED ? 0 : match.number;
  return true;
}

/* All the memory a few events will need is asked for first, so that waiting for it overlaps. */
static void prefetch(const struct registry *r, uint64_t print) {
  const struct recent *windows[] = {&r->active, &r->frozen};
  for (size_t i = 0; i < 2; i++) {
    if (windows[i]->capacity > 0) {
      size_t home = recent_home(windows[i], print);
      __builtin_prefetch(&windows[i]->prints[home]);
      __builtin_prefetch(&windows[i]->offsets[home]);
    }
  }
  for (size_t i = 0; i < r->run_count; i++) {
    run_prefetch(r->runs[i], print);
  }
}

bool registry_decide(struct registry *r, const struct event *events, size_t count, enum verdict *verdicts,
                     struct error *err) {
  uint64_t prints[DECIDE_AT_ONCE];
  must(r->magic == REGISTRY_MAGIC);
  for (size_t start = 0; start < count; start += DECIDE_AT_ONCE) {
    size_t some = count - start < DECIDE_AT_ONCE ? count - start : DECIDE_AT_ONCE;
    for (size_t i = 0; i < some; i++) {
      prints[i] = print_of(r, events[start + i].source, events[start + i].id);
      prefetch(r, prints[i]);
    }
    for (size_t i = 0; i < some; i++) {
      if (!decide(r, prints[i], &events[start + i], &verdicts[start + i], err)) {
        return false;
      }
    }
  }
  return true;
}

void registry_undo(struct registry *r) {
  while (r->taken.count > 0) {
    const struct taken *taken = &r->taken.items[--r->taken.count];
    recent_remove(&r->active, taken->print, taken->offset);
    r->count--;
  }
}

/* ---- sealing what is durable ---- */

static void freeze(struct registry *r) {
  r->frozen = r->active;
  recent_init(&r->active, r->frozen.first + r->frozen.count);
}

static bool seal_full_window(struct registry *r, bool wait, struct error *err) {
  if (r->seal &&
      (wait || seal_finished(r->seal) || r->active.count >= (size_t)REGISTRY_WINDOWS_MAX * r->window_events)) {
    if (!adopt_sealed(r, err)) {
      return false;
    }
  }
  if (r->seal || (r->active.count < r->window_events && r->frozen.count == 0) || r->run_count >= REGISTRY_RUNS_MAX) {
    return true;
  }
  if (r->frozen.count == 0) {
    freeze(r);
  }
  r->seal = seal_start(r->dir, r->key_check, &r->frozen, r->runs, r->run_count, wait);
  return !wait || adopt_sealed(r, err);
}

/* A run that can not be written is no loss: its window stays in memory, and it is tried again. */
void registry_done(struct registry *r) {
  struct error why = {0};
  r->taken.count = 0;
  if (!seal_full_window(r, false, &why)) {
    log_line(LOG_WARN, "registry", "identities stay in memory: %s", why.message);
  }
}

bool registry_replay(struct registry *r, slice source, slice id, struct error *err) {
  if (r->replay_into) {
    recent_add(r->replay_into, print_of(r, source, id), (uint32_t)r->replay_into->count);
    return true;
  }
  recent_add(&r->active, print_of(r, source, id), (uint32_t)r->active.count);
  r->count++;
  return r->active.count < r->window_events || seal_full_window(r, true, err);
}

/* ---- opening ---- */

static int by_first_then_longest(const void *a, const void *b) {
  const struct run *x = *(struct run *const *)a, *y = *(struct run *const *)b;
  if (x->first != y->first) {
    return x->first < y->first ? -1 : 1;
  }
  return (x->last < y->last) - (x->last > y->last);
}

static bool ends_with(const char *name, const char *end) {
  size_t length = strlen(name), wanted = strlen(end);
  return length > wanted && strcmp(name + length - wanted, end) == 0;
}

/* Files that are no good are deleted: they are only a cache. */
static size_t load_runs(struct registry *r, struct run **runs, size_t room) {
  DIR *dir = opendir(r->dir);
  size_t count = 0;
  struct arena *arena = arena_new();
  for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
    struct error why = {0};
    const char *path = arena_printf(arena, "%s/%s", r->dir, entry->d_name);
    if (ends_with(entry->d_name, ".new")) {
      unlink(path);
    }
    if (!ends_with(entry->d_name, ".run") || count == room) {
      continue;
    }
    if (run_load(path, r->key_check, &runs[count], &why)) {
      count++;
    } else {
      log_line(LOG_WARN, "registry", "%s; built again from the journal", why.message);
      unlink(path);
    }
  }
  if (dir) {
    closedir(dir);
  }
  arena_free(arena);
  return count;
}

/* A run made beside another copy of the book has the same numbers and other events: its last one must be the journal's.
 */
static bool belongs(struct registry *r, const struct run *run, uint64_t kept) {
  struct error why = {0};
  if (run->last > kept) {
    return false;
  }
  struct recent last;
  uint32_t offset;
  recent_init(&last, run->last);
  r->replay_into = &last;
  bool ok = r->hooks.replay(r->hooks.context, run->last, run->last, r, &why);
  r->replay_into = NULL;
  size_t at = recent_home(&last, run->last_print);
  ok = ok && recent_next(&last, run->last_print, &at, &offset);
  recent_free(&last);
  return ok;
}

static void adopt_runs(struct registry *r, uint64_t kept) {
  struct run *found[REGISTRY_RUNS_MAX];
  size_t count = load_runs(r, found, REGISTRY_RUNS_MAX);
  uint64_t next = 1;
  if (count > 0) {
    qsort(found, count, sizeof(struct run *), by_first_then_longest);
  }
  for (size_t i = 0; i < count; i++) {
    if (found[i]->first == next && belongs(r, found[i], kept)) {
      next = found[i]->last + 1;
      r->count += found[i]->count;
      r->runs[r->run_count++] = found[i];
    } else {
      run_remove(found[i]);
    }
  }
}

static bool start(struct registry *r, uint64_t kept, struct error *err) {
  if (!file_make_dirs(r->dir, err)) {
    return false;
  }
  recent_init(&r->active, 1);
  adopt_runs(r, kept);
  r->active.first = r->count + 1;
  return r->count == kept || r->hooks.replay(r->hooks.context, r->count + 1, kept, r, err);
}

bool registry_open(const char *dir, const uint8_t key[16], const struct journal_options *options,
                   const struct registry_hooks *hooks, uint64_t kept, struct registry **out, struct error *err) {
  struct registry *r = mem_alloc(sizeof *r);
  size_t size = strlen(dir) + 1;
  unsigned bits = options->fingerprint_bits ? options->fingerprint_bits : 64;
  must(bits >= 1 && bits <= 64);
  r->magic = REGISTRY_MAGIC;
  r->dir = mem_alloc(size);
  memcpy(r->dir, dir, size);
  memcpy(r->key, key, sizeof r->key);
  r->key_check = registry_fingerprint(key, SLICE("meterhouse"), SLICE("identities"));
  r->mask = ~UINT64_C(0) << (64 - bits);
  r->window_events = options->window_events ? options->window_events : REGISTRY_WINDOW_EVENTS;
  r->hooks = *hooks;
  if (!start(r, kept, err)) {
    registry_close(r);
    return false;
  }
  *out = r;
  return true;
}

void registry_close(struct registry *r) {
  struct error ignored = {0};
  if (r == NULL) {
    return;
  }
  must(r->magic == REGISTRY_MAGIC);
  if (r->seal && !adopt_sealed(r, &ignored)) {
    log_line(LOG_WARN, "registry", "%s", ignored.message);
  }
  for (size_t i = 0; i < r->run_count; i++) {
    run_close(r->runs[i]);
  }
  recent_free(&r->active);
  recent_free(&r->frozen);
  vec_free(&r->taken);
  free(r->dir);
  r->magic = 0;
  free(r);
}

uint64_t registry_count(const struct registry *r) {
  return r->count;
}

void registry_memory(const struct registry *r, struct journal_memory *out) {
  const size_t slot = sizeof *r->active.prints + sizeof *r->active.offsets;
  *out = (struct journal_memory){.recent_events = r->active.count + r->frozen.count,
                                 .recent_bytes = (r->active.capacity + r->frozen.capacity) * slot};
  for (size_t i = 0; i < r->run_count; i++) {
    const struct run *run = r->runs[i];
    out->older_events += run->count;
    out->older_bytes += (uint64_t)run->filter_blocks * 64 + (uint64_t)run->page_count * 8;
  }
}

bool journal_check_identities(const char *path, void (*bad)(void *context, const char *what), void *context,
                              struct error *err) {
  DIR *dir = opendir(path);
  struct arena *arena = arena_new();
  (void)err;
  for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
    struct error why = {0};
    if (ends_with(entry->d_name, ".run") && !run_check(arena_printf(arena, "%s/%s", path, entry->d_name), &why)) {
      bad(context, why.message);
    }
  }
  if (dir) {
    closedir(dir);
  }
  arena_free(arena);
  return true;
}
