/* The allocations in memory, as their files say: read at the start, looked at again before every answer. */
#include "base/file.h"
#include "base/log.h"
#include "sell/local_private.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* A supervisor that was launched and has not begun after so long never will: it gives up its own lock sooner. */
#define BEGINNING_NS (30 * NS_PER_S)

instant local_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (instant){(int64_t)now.tv_sec * NS_PER_S + now.tv_nsec};
}

void allocation_folder(const struct local *l, slice lease, char path[PATH_MAX]) {
  snprintf(path, PATH_MAX, "%s/allocations/" SLICE_FMT, l->folder, SLICE_ARG(lease));
}

static void put_text(char *to, size_t size, slice text) {
  must(text.len < size);
  snprintf(to, size, SLICE_FMT, SLICE_ARG(text));
}

struct allocation *allocation_add(struct local *l, const struct local_order *order) {
  struct allocation *a = mem_alloc(sizeof *a);
  put_text(a->lease, sizeof a->lease, order->lease);
  put_text(a->customer, sizeof a->customer, order->customer);
  put_text(a->gpu, sizeof a->gpu, order->gpu);
  put_text(a->digest, sizeof a->digest, order->digest);
  put_text(a->mark, sizeof a->mark, order->mark);
  a->class = order->class;
  a->share = order->share;
  a->ends = order->ends;
  a->device_count = order->device_count;
  a->devices = mem_alloc(order->device_count * sizeof *a->devices);
  for (size_t i = 0; i < order->device_count; i++) {
    put_text(a->devices[i], sizeof a->devices[i], order->devices[i]);
  }
  a->noticed = local_now();
  a->to = INSTANT_MAX;
  a->state = ENGINE_PENDING;
  vec_push(&l->all, a);
  *map_put(&l->by_lease, slice_of(a->lease)) = a;
  return a;
}

static void free_one(struct allocation *a) {
  free(a->devices);
  free(a);
}

void allocations_free(struct local *l) {
  for (size_t i = 0; i < l->all.count; i++) {
    free_one(l->all.items[i]);
  }
  vec_free(&l->all);
  map_free(&l->by_lease);
}

static void index_again(struct local *l) {
  map_free(&l->by_lease);
  l->by_lease = (struct map){0};
  for (size_t i = 0; i < l->all.count; i++) {
    *map_put(&l->by_lease, slice_of(l->all.items[i]->lease)) = l->all.items[i];
  }
}

static bool is_empty_text(slice s, size_t size) {
  return s.len == 0 || s.len >= size;
}

/* What was written by us fits; what somebody else put there may not. */
static bool fits(const struct local_order *order, const char *name) {
  return slice_is(order->lease, name) && !is_empty_text(order->lease, ENGINE_ID_BYTES_MAX + 1) &&
         order->customer.len <= ENGINE_ID_BYTES_MAX && !is_empty_text(order->gpu, NVML_TEXT_MAX) &&
         order->digest.len == 64 && !is_empty_text(order->mark, sizeof((struct allocation *)0)->mark);
}

static bool load_one(struct local *l, struct arena *arena, const char *name, struct error *err) {
  char folder[PATH_MAX];
  struct local_order order;
  allocation_folder(l, slice_of(name), folder);
  if (!order_read(arena, folder, &order, err)) {
    return err->code == ERR_NOT_FOUND && records_remove(folder, err);
  }
  if (!fits(&order, name)) {
    return error_set(err, ERR_CORRUPT,
                     "%s/order.json: not what was written there: remove the folder if nothing runs "
                     "for it",
                     folder);
  }
  struct allocation *a = allocation_add(l, &order);
  if (!allocation_look(l, a, err) && err->code != ERR_BUSY) {
    return false;
  }
  /* Never told to have started, so never answered for: gone, unless its supervisor is just beginning. */
  return a->started || allocation_withdraw(l, a, err) || err->code == ERR_BUSY;
}

bool allocations_load(struct local *l, struct error *err) {
  char path[PATH_MAX];
  struct arena *arena = arena_new();
  snprintf(path, sizeof path, "%s/allocations", l->folder);
  DIR *dir = opendir(path);
  const struct dirent *entry;
  bool ok = dir != NULL || error_set(err, ERR_IO, "%s: %s", path, strerror(errno));
  while (ok && (entry = readdir(dir))) {
    if (entry->d_name[0] != '.') {
      arena_reset(arena);
      ok = load_one(l, arena, entry->d_name, err);
    }
  }
  if (dir) {
    closedir(dir);
  }
  arena_free(arena);
  return ok;
}

static void take_out(struct local *l, struct allocation *a) {
  for (size_t i = 0; i < l->all.count; i++) {
    if (l->all.items[i] == a) {
      l->all.items[i] = l->all.items[--l->all.count];
      break;
    }
  }
  free_one(a);
  index_again(l);
}

bool allocation_withdraw(struct local *l, struct allocation *a, struct error *err) {
  char folder[PATH_MAX];
  struct local_started started;
  allocation_folder(l, slice_of(a->lease), folder);
  int lock = lock_take(folder, err);
  if (lock < 0) {
    return false;
  }
  /* With its lock in our hand nothing begins any more; what began before shows now. */
  bool begun = started_read(folder, &started, err);
  bool ok = begun ? error_set(err, ERR_BUSY, "%s: has just begun", a->lease)
                  : err->code == ERR_NOT_FOUND && records_remove(folder, err);
  close(lock);
  if (ok) {
    take_out(l, a);
  }
  return ok;
}

static bool read_end(struct allocation *a, const char *folder, struct error *err) {
  struct arena *arena = arena_new();
  struct local_ended ended;
  bool ok = ended_read(arena, folder, &ended, err);
  if (ok) {
    a->ended = true;
    a->to = time_later(ended.to, a->from);
    a->state = ended.state;
    a->exit_status = ended.exit_status;
  }
  arena_free(arena);
  return ok;
}

/* Killed, or the machine went down: what it held counts up to the last moment it was seen alive. */
static bool say_last_word(struct allocation *a, const char *folder, struct error *err) {
  struct local_ended ended = {.to = beat_read(folder, a->from),
                              .state = ENGINE_FAILED,
                              .exit_status = -1,
                              .reason = SLICE("what held it was killed, or the machine went down")};
  struct local_wish wish;
  struct error ignored;
  if (wish_read(folder, &wish, &ignored)) {
    ended.to = time_later(a->from, time_earlier(ended.to, time_earlier(wish.ends, wish.stop)));
  }
  struct arena *arena = arena_new();
  struct local_order order = {0};
  if (!order_read(arena, folder, &order, err)) {
    arena_free(arena);
    return false;
  }
  command_group_kill(&order);
  size_t left = 0;
  for (int i = 0; i < 50 && (left = processes_kill_marked(slice_of(a->mark))) > 0; i++) {
    usleep(10000);
  }
  command_group_remove(&order);
  arena_free(arena);
  log_line(LOG_WARN, a->lease, "its supervisor is gone without a word; it counts until its last sign of life");
  return left == 0 ? ended_write(folder, &ended, err) && read_end(a, folder, err)
                   : error_set(err, ERR_BUSY, "%s: processes that were left of it do not die", a->lease);
}

bool allocation_look(struct local *l, struct allocation *a, struct error *err) {
  char folder[PATH_MAX];
  struct local_started started;
  struct error reason = {0};
  if (a->ended) {
    return true;
  }
  allocation_folder(l, slice_of(a->lease), folder);
  if (!a->started) {
    if (!started_read(folder, &started, &reason)) {
      return reason.code == ERR_NOT_FOUND || ((*err = reason), false);
    }
    a->started = true;
    a->supervisor = started.supervisor;
    a->from = started.from;
    a->state = ENGINE_RUNNING;
  }
  if (read_end(a, folder, &reason)) {
    return true;
  }
  if (reason.code != ERR_NOT_FOUND) {
    *err = reason;
    return false;
  }
  int lock = lock_take(folder, &reason);
  if (lock < 0) {
    return reason.code == ERR_BUSY || ((*err = reason), false);
  }
  bool ok = read_end(a, folder, &reason) || say_last_word(a, folder, err);
  close(lock);
  return ok;
}

static bool forget_old(struct local *l, instant now, struct error *err) {
  char folder[PATH_MAX];
  size_t kept = 0, count = l->all.count;
  bool ok = true;
  for (size_t i = 0; i < count; i++) {
    struct allocation *a = l->all.items[i];
    allocation_folder(l, slice_of(a->lease), folder);
    if (ok && a->ended && a->to.ns < now.ns - l->keep_s * NS_PER_S && (ok = records_remove(folder, err))) {
      free_one(a);
    } else {
      l->all.items[kept++] = a;
    }
  }
  l->all.count = kept;
  if (kept < count) {
    index_again(l);
  }
  return ok;
}

static void count_free(struct local *l) {
  for (size_t i = 0; i < l->gpus.v.count; i++) {
    l->gpus.v.items[i].free_e9 = QUANTITY_E9;
    l->gpus.v.items[i].lease[0] = '\0';
  }
  for (size_t i = 0; i < l->all.count; i++) {
    const struct allocation *a = l->all.items[i];
    for (size_t d = 0; !a->ended && d < a->device_count; d++) {
      struct local_gpu *gpu = gpus_find(&l->gpus, slice_of(a->devices[d]));
      if (gpu) {
        gpu->free_e9 -= a->share.e9;
        snprintf(gpu->lease, sizeof gpu->lease, "%s", a->lease);
      }
    }
  }
}

bool allocations_look(struct local *l, struct error *err) {
  instant now = local_now();
  for (size_t i = 0; i < l->all.count; i++) {
    struct allocation *a = l->all.items[i];
    struct error busy = {0};
    /* Busy: what is left of it does not die. It keeps its GPUs, and the others are told all the same. */
    if (!allocation_look(l, a, err) && err->code != ERR_BUSY) {
      return false;
    }
    if (!a->started && now.ns - a->noticed.ns > BEGINNING_NS && allocation_withdraw(l, a, &busy)) {
      i--;
    }
  }
  if (!forget_old(l, now, err)) {
    return false;
  }
  count_free(l);
  return true;
}
