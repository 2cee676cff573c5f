/* The local engine as its driver: opens and closes, stops, moves ends, tells runs, nodes and samples. */
#include "sell/local.h"
#include "base/file.h"
#include "sell/local_private.h"
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define STOP_WAIT_MS 5000
#define LOCK_WAIT_MS 2000
#define LOCK_PAUSE_MS 10

static struct allocation *find(struct local *l, slice lease, struct error *err) {
  struct allocation *a = map_get(&l->by_lease, lease);
  if (!a) {
    error_set(err, ERR_NOT_FOUND, "lease \"%.*s\": nothing was started for it here",
              (int)(lease.len > 128 ? 128 : lease.len), lease.ptr);
  }
  return a;
}

/* What it was told so far; nothing yet: only its end. */
static bool current_wish(const struct allocation *a, const char *folder, struct local_wish *out, struct error *err) {
  struct error none = {0};
  *out = (struct local_wish){.ends = a->ends, .stop = INSTANT_MAX, .told = INSTANT_MAX};
  if (!wish_read(folder, out, &none) && none.code != ERR_NOT_FOUND) {
    *err = none;
    return false;
  }
  return true;
}

static bool tell_wish(const struct allocation *a, const char *folder, const struct local_wish *wish,
                      struct error *err) {
  if (!wish_write(folder, wish, err)) {
    return false;
  }
  process_signal(&a->supervisor, SIGHUP); /* unheard, it looks within a second */
  return true;
}

static bool wait_for_end(struct local *l, struct allocation *a, struct error *err) {
  for (int ms = 0; !a->ended && ms < STOP_WAIT_MS; ms += 2) {
    usleep(2000);
    if (!allocation_look(l, a, err)) {
      return false;
    }
  }
  return true;
}

static bool stop(struct engine *engine, slice lease, int64_t notice_s, struct error *err) {
  struct local *l = (struct local *)engine;
  struct allocation *a = find(l, lease, err);
  char folder[PATH_MAX];
  struct local_wish wish;
  if (!a || !allocation_look(l, a, err)) {
    return false;
  }
  if (a->ended) {
    return true;
  }
  if (!a->started) {
    return error_set(err, ERR_BUSY, "%s: is just beginning: ask again", a->lease);
  }
  allocation_folder(l, lease, folder);
  if (!current_wish(a, folder, &wish, err)) {
    return false;
  }
  instant now = local_now();
  int64_t left_s = (INSTANT_MAX.ns - now.ns) / NS_PER_S;
  notice_s = notice_s < 0 ? 0 : notice_s > left_s ? left_s : notice_s;
  instant at = {now.ns + notice_s * NS_PER_S};
  if (at.ns < wish.stop.ns) {
    wish.stop = at;
    wish.told = now;
    wish.preempts = notice_s > 0 && a->class == CLASS_SPOT;
  }
  return tell_wish(a, folder, &wish, err) && (notice_s > 0 || wait_for_end(l, a, err));
}

static bool set_end(struct engine *engine, slice lease, instant ends, struct error *err) {
  struct local *l = (struct local *)engine;
  struct allocation *a = find(l, lease, err);
  char folder[PATH_MAX];
  struct local_wish wish;
  if (!a || !allocation_look(l, a, err)) {
    return false;
  }
  if (a->ended || !a->started) {
    return error_set(err, a->ended ? ERR_CONFLICT : ERR_BUSY, "%s: %s", a->lease,
                     a->ended ? "has ended" : "is just beginning: ask again");
  }
  allocation_folder(l, lease, folder);
  if (!current_wish(a, folder, &wish, err)) {
    return false;
  }
  wish.ends = time_later(ends, local_now());
  return tell_wish(a, folder, &wish, err);
}

static int by_beginning(const void *a, const void *b) {
  const struct engine_run *x = a, *y = b;
  return x->from.ns != y->from.ns ? (x->from.ns > y->from.ns) - (x->from.ns < y->from.ns)
                                  : slice_cmp(x->lease, y->lease);
}

static bool runs(struct engine *engine, struct arena *arena, instant since, struct engine_run **out, size_t *count,
                 struct error *err) {
  struct local *l = (struct local *)engine;
  if (!allocations_look(l, err)) {
    return false;
  }
  *count = 0;
  *out = arena_array(arena, l->all.count + 1, sizeof **out);
  for (size_t i = 0; i < l->all.count; i++) {
    const struct allocation *a = l->all.items[i];
    if (!a->started || a->to.ns < since.ns) {
      continue;
    }
    (*out)[(*count)++] = (struct engine_run){.lease = arena_copy(arena, slice_of(a->lease)),
                                             .customer = arena_copy(arena, slice_of(a->customer)),
                                             .reference = local_reference(l, a, arena),
                                             .number = 1,
                                             .class = a->class,
                                             .gpu = arena_copy(arena, slice_of(a->gpu)),
                                             .pool_hint = arena_copy(arena, slice_of(l->host)),
                                             .gpus = {a->share.e9 * (int128)a->device_count},
                                             .from = a->from,
                                             .to = a->to,
                                             .state = a->state,
                                             .exit_status = a->exit_status,
                                             .nodes = arena_copy(arena, slice_of(l->host))};
  }
  qsort(*out, *count, sizeof **out, by_beginning);
  return true;
}

/* The row of a type and of whether it answers; made when it is the first. */
static struct engine_node *node_of(struct engine_node *rows, size_t *count, struct arena *arena, const struct local *l,
                                   const struct local_gpu *gpu) {
  for (size_t i = 0; i < *count; i++) {
    if (slice_is(rows[i].gpu, gpu->type) && rows[i].up == gpu->up) {
      return &rows[i];
    }
  }
  rows[*count] = (struct engine_node){.name = arena_copy(arena, slice_of(l->host)),
                                      .gpu = arena_copy(arena, slice_of(gpu->type)),
                                      .up = gpu->up,
                                      .down_since = gpu->up ? (instant){0} : gpu->down_since};
  return &rows[(*count)++];
}

static bool nodes(struct engine *engine, struct arena *arena, struct engine_node **out, size_t *count,
                  struct error *err) {
  struct local *l = (struct local *)engine;
  (void)err; /* what does not answer is told as such */
  gpus_look(&l->gpus, local_now());
  *count = 0;
  *out = arena_array(arena, l->gpus.v.count, sizeof **out);
  for (size_t i = 0; i < l->gpus.v.count; i++) {
    const struct local_gpu *gpu = &l->gpus.v.items[i];
    struct engine_node *row = node_of(*out, count, arena, l, gpu);
    row->gpus.e9 += QUANTITY_E9;
    if (!gpu->up) {
      row->down_since = time_earlier(row->down_since, gpu->down_since);
    }
  }
  return true;
}

static bool admit(struct engine *engine, slice customer, int64_t gpu_minutes, struct error *err) {
  (void)engine;
  (void)customer;
  (void)gpu_minutes;
  (void)err;
  return true; /* there are no accounts on this machine: our own control is the only one */
}

bool local_samples(struct engine *engine, struct arena *arena, struct local_sample **samples, size_t *count,
                   struct error *err) {
  struct local *l = (struct local *)engine;
  *count = 0;
  *samples = arena_array(arena, l->gpus.v.count, sizeof **samples);
  if (!l->gpus.nvml) {
    return true;
  }
  if (!allocations_look(l, err)) {
    return false;
  }
  for (size_t i = 0; i < l->gpus.v.count; i++) {
    const struct local_gpu *gpu = &l->gpus.v.items[i];
    struct nvml_reading reading;
    nvml_read(l->gpus.nvml, gpu->handle, &reading);
    if (!reading.lost) {
      (*samples)[(*count)++] = (struct local_sample){.device = arena_copy(arena, slice_of(gpu->name)),
                                                     .gpu = arena_copy(arena, slice_of(gpu->type)),
                                                     .lease = arena_copy(arena, slice_of(gpu->lease)),
                                                     .at = local_now(),
                                                     .has_duty = reading.has_duty && !gpu->part,
                                                     .has_power = reading.has_power,
                                                     .has_energy = reading.has_energy,
                                                     .duty_percent = reading.duty_percent,
                                                     .power_mw = reading.power_mw,
                                                     .energy_mj = reading.energy_mj};
    }
  }
  return true;
}

static void close_engine(struct engine *engine) {
  struct local *l = (struct local *)engine;
  allocations_free(l);
  gpus_close(&l->gpus);
  if (l->lock >= 0) {
    close(l->lock);
  }
  free(l);
}

static bool check_user(const struct local_options *options, struct error *err) {
  const struct passwd *user = options->run_as ? getpwnam(options->run_as) : NULL;
  if (options->run_as && (!user || strlen(options->run_as) >= sizeof((struct local *)0)->run_as)) {
    return error_set(err, ERR_INVALID, "run as \"%.64s\": there is no such user", options->run_as);
  }
  if (geteuid() != 0) {
    return !user || user->pw_uid == geteuid() ||
           error_set(err, ERR_DENIED, "run as %s: only root can start commands as somebody else", options->run_as);
  }
  return user || error_set(err, ERR_DENIED,
                           "commands of customers would run as root: name the user that they run as, or run this "
                           "program as another");
}

static bool take_text(char *to, size_t size, const char *what, const char *text, struct error *err) {
  return (size_t)snprintf(to, size, "%s", text ? text : "") < size ||
         error_set(err, ERR_INVALID, "%s: the path is too long", what);
}

/* Who was killed while it launched a supervisor seems to hold the lock until that one has become itself. */
static bool take_folder(struct local *l, struct error *err) {
  for (int ms = 0; ms < LOCK_WAIT_MS; ms += LOCK_PAUSE_MS) {
    l->lock = lock_take(l->folder, err);
    if (l->lock >= 0 || err->code != ERR_BUSY) {
      break;
    }
    usleep(LOCK_PAUSE_MS * 1000);
  }
  return l->lock >= 0 || error_at(err, "one engine a folder");
}

/* Absolute, because supervisors work elsewhere; open to look through, since commands of another user work below. */
static bool make_folders(struct local *l, const char *folder, struct error *err) {
  char path[PATH_MAX];
  if (!file_make_dirs(folder, err)) {
    return false;
  }
  if (!realpath(folder, path)) {
    return error_set(err, ERR_IO, "%s: %s", folder, strerror(errno));
  }
  if (!take_text(l->folder, sizeof l->folder, "folder", path, err)) {
    return false;
  }
  static const char *const below[] = {"allocations", "work"};
  for (size_t i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/%s", l->folder, below[i]);
    if (!file_make_dirs(path, err)) {
      return false;
    }
    if (chmod(path, i == 0 ? 0700 : 0711) != 0) {
      return error_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    }
  }
  return take_folder(l, err);
}

static void name_host(char host[65]) {
  char name[65] = "";
  gethostname(name, sizeof name - 1);
  size_t n = 0;
  for (const char *p = name; *p != '\0'; p++) {
    bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '-' ||
                 *p == '.' || *p == '_';
    host[n++] = plain ? *p : '-';
  }
  host[n] = '\0';
}

struct engine *local_open(const struct local_options *options, struct error *err) {
  static const struct engine_driver driver = {.name = "local",
                                              .start = local_start,
                                              .stop = stop,
                                              .set_end = set_end,
                                              .runs = runs,
                                              .nodes = nodes,
                                              .admit = admit,
                                              .close = close_engine};
  struct local *l = mem_alloc(sizeof *l);
  l->engine.driver = &driver;
  l->lock = -1;
  l->keep_s = options->keep_s > 0 ? options->keep_s : LOCAL_KEEP_S;
  name_host(l->host);
  bool ok = check_user(options, err) &&
            take_text(l->program, sizeof l->program, "program", options->program ? options->program : "/proc/self/exe",
                      err) &&
            take_text(l->run_as, sizeof l->run_as, "run as", options->run_as, err) &&
            take_text(l->cgroup, sizeof l->cgroup, "cgroup", options->cgroup, err) &&
            make_folders(l, options->folder, err) && gpus_open(&l->gpus, options, err) && allocations_load(l, err) &&
            allocations_look(l, err);
  if (!ok) {
    close_engine(&l->engine);
    return NULL;
  }
  return &l->engine;
}
