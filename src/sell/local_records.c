/* The files of an allocation: small JSON texts, each replaced as a whole, so that a crash leaves the old or the new. */
#include "base/file.h"
#include "base/json.h"
#include "sell/local_private.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_BYTES_MAX (1u << 20)
#define BEAT_DIGITS 20

static bool write_record(const char *folder, const char *name, const struct buf *text, struct error *err) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return text->failed ? error_set(err, ERR_LIMIT, "%s: larger than %u bytes", path, RECORD_BYTES_MAX)
                      : file_write(path, buf_slice(text), err);
}

static void begin(struct json_out *w, struct buf *text) {
  buf_init(text, RECORD_BYTES_MAX);
  json_out_init(w, text, false);
  json_open_object(w);
}

static bool finish(struct json_out *w, struct buf *text, const char *folder, const char *name, struct error *err) {
  json_close_object(w);
  bool ok = write_record(folder, name, text, err);
  buf_free(text);
  return ok;
}

/* A record that is being read; the first thing wrong with it is kept. */
struct record {
  struct arena *arena;
  const struct json *root;
  char path[PATH_MAX];
  bool failed;
  struct error *err;
};

static bool wrong(struct record *r, const char *field) {
  if (!r->failed) {
    r->failed = true;
    error_set(r->err, ERR_CORRUPT,
              "%s: %s is missing or not what was written: mend it, or remove the folder if nothing "
              "runs for it",
              r->path, field);
  }
  return false;
}

static bool open_record(struct record *r, struct arena *arena, const char *folder, const char *name,
                        struct error *err) {
  slice text;
  *r = (struct record){.arena = arena, .err = err};
  snprintf(r->path, sizeof r->path, "%s/%s", folder, name);
  if (!file_read(arena, r->path, RECORD_BYTES_MAX, &text, err)) {
    return false;
  }
  if (!json_parse(arena, text, &r->root, err)) {
    err->code = ERR_CORRUPT;
    return error_at(err, "%s", r->path);
  }
  return true;
}

static slice get_text(struct record *r, const char *field) {
  const struct json *value = json_get(r->root, field);
  if (!value || value->kind != JSON_STRING) {
    wrong(r, field);
    return (slice){0};
  }
  return arena_copy(r->arena, value->text); /* NUL-terminated, for the system */
}

static int64_t get_whole(struct record *r, const char *field) {
  const struct json *value = json_get(r->root, field);
  quantity q;
  struct error ignored;
  if (!value || value->kind != JSON_NUMBER || !quantity_parse(value->text, &q, &ignored) || q.e9 % QUANTITY_E9 != 0 ||
      q.e9 / QUANTITY_E9 > INT64_MAX || q.e9 / QUANTITY_E9 < INT64_MIN) {
    wrong(r, field);
    return 0;
  }
  return (int64_t)(q.e9 / QUANTITY_E9);
}

static bool get_bool(struct record *r, const char *field) {
  const struct json *value = json_get(r->root, field);
  return value && value->kind == JSON_BOOL ? value->boolean : wrong(r, field);
}

static instant get_instant(struct record *r, const char *field) {
  return (instant){get_whole(r, field)};
}

static void put_instant_ns(struct json_out *w, const char *key, instant t) {
  json_put_int(w, key, t.ns);
}

bool order_write(const char *folder, const struct local_order *order, struct error *err) {
  struct buf text;
  struct json_out w;
  begin(&w, &text);
  json_put_str(&w, "lease", order->lease);
  json_put_str(&w, "customer", order->customer);
  json_put_cstr(&w, "class", engine_class_name(order->class));
  json_put_str(&w, "gpu", order->gpu);
  json_put_bool(&w, "fake", order->fake);
  json_put_quantity(&w, "share", order->share);
  json_key(&w, "devices");
  json_open_array(&w);
  for (size_t i = 0; i < order->device_count; i++) {
    json_str(&w, order->devices[i]);
  }
  json_close_array(&w);
  put_instant_ns(&w, "ends", order->ends);
  json_put_int(&w, "notice_s", order->notice_s);
  json_put_str(&w, "command", order->command);
  json_put_str(&w, "directory", order->directory);
  json_put_str(&w, "run_as", order->run_as);
  json_put_str(&w, "cgroup", order->cgroup);
  json_put_str(&w, "mark", order->mark);
  json_put_str(&w, "digest", order->digest);
  return finish(&w, &text, folder, "order.json", err);
}

static enum engine_class get_class(struct record *r) {
  slice name = get_text(r, "class");
  for (int i = 0; i < ENGINE_CLASSES; i++) {
    if (slice_is(name, engine_class_name((enum engine_class)i))) {
      return (enum engine_class)i;
    }
  }
  wrong(r, "class");
  return CLASS_ON_DEMAND;
}

static void get_devices(struct record *r, struct local_order *out) {
  const struct json *list = json_get(r->root, "devices");
  if (!list || list->kind != JSON_ARRAY || list->count == 0) {
    wrong(r, "devices");
    return;
  }
  out->devices = arena_array(r->arena, list->count, sizeof *out->devices);
  for (const struct json *d = list->child; d; d = d->next) {
    if (d->kind != JSON_STRING || d->text.len == 0 || d->text.len >= NVML_TEXT_MAX) {
      wrong(r, "devices");
      return;
    }
    out->devices[out->device_count++] = d->text;
  }
}

bool order_read(struct arena *arena, const char *folder, struct local_order *out, struct error *err) {
  struct record r;
  *out = (struct local_order){0};
  if (!open_record(&r, arena, folder, "order.json", err)) {
    return false;
  }
  out->lease = get_text(&r, "lease");
  out->customer = get_text(&r, "customer");
  out->class = get_class(&r);
  out->gpu = get_text(&r, "gpu");
  out->fake = get_bool(&r, "fake");
  struct error ignored;
  if (!quantity_parse(get_text(&r, "share"), &out->share, &ignored) || out->share.e9 <= 0) {
    wrong(&r, "share");
  }
  get_devices(&r, out);
  out->ends = get_instant(&r, "ends");
  out->notice_s = get_whole(&r, "notice_s");
  out->command = get_text(&r, "command");
  out->directory = get_text(&r, "directory");
  out->run_as = get_text(&r, "run_as");
  out->cgroup = get_text(&r, "cgroup");
  out->mark = get_text(&r, "mark");
  out->digest = get_text(&r, "digest");
  return !r.failed;
}

bool started_write(const char *folder, const struct local_started *started, struct error *err) {
  struct buf text;
  struct json_out w;
  begin(&w, &text);
  json_put_int(&w, "pid", started->supervisor.pid);
  json_put_int(&w, "start_ticks", (int64_t)started->supervisor.start_ticks);
  json_put_cstr(&w, "boot", started->supervisor.boot);
  put_instant_ns(&w, "from", started->from);
  return finish(&w, &text, folder, "started.json", err);
}

bool started_read(const char *folder, struct local_started *out, struct error *err) {
  struct arena *arena = arena_new();
  struct record r;
  bool ok = open_record(&r, arena, folder, "started.json", err);
  if (ok) {
    *out = (struct local_started){.from = get_instant(&r, "from")};
    out->supervisor.pid = (pid_t)get_whole(&r, "pid");
    out->supervisor.start_ticks = (uint64_t)get_whole(&r, "start_ticks");
    snprintf(out->supervisor.boot, BOOT_ID_MAX, SLICE_FMT, SLICE_ARG(get_text(&r, "boot")));
    ok = !r.failed;
  }
  arena_free(arena);
  return ok;
}

bool wish_write(const char *folder, const struct local_wish *wish, struct error *err) {
  struct buf text;
  struct json_out w;
  begin(&w, &text);
  put_instant_ns(&w, "ends", wish->ends);
  put_instant_ns(&w, "stop", wish->stop);
  put_instant_ns(&w, "told", wish->told);
  json_put_bool(&w, "preempts", wish->preempts);
  return finish(&w, &text, folder, "wish.json", err);
}

bool wish_read(const char *folder, struct local_wish *out, struct error *err) {
  struct arena *arena = arena_new();
  struct record r;
  bool ok = open_record(&r, arena, folder, "wish.json", err);
  if (ok) {
    *out = (struct local_wish){.ends = get_instant(&r, "ends"),
                               .stop = get_instant(&r, "stop"),
                               .told = get_instant(&r, "told"),
                               .preempts = get_bool(&r, "preempts")};
    ok = !r.failed;
  }
  arena_free(arena);
  return ok;
}

bool ended_write(const char *folder, const struct local_ended *ended, struct error *err) {
  struct buf text;
  struct json_out w;
  begin(&w, &text);
  put_instant_ns(&w, "to", ended->to);
  json_put_cstr(&w, "state", engine_state_name(ended->state));
  json_put_int(&w, "exit_status", ended->exit_status);
  json_put_str(&w, "reason", ended->reason);
  return finish(&w, &text, folder, "ended.json", err);
}

bool ended_read(struct arena *arena, const char *folder, struct local_ended *out, struct error *err) {
  struct record r;
  if (!open_record(&r, arena, folder, "ended.json", err)) {
    return false;
  }
  slice state = get_text(&r, "state");
  *out = (struct local_ended){
      .to = get_instant(&r, "to"), .exit_status = (int)get_whole(&r, "exit_status"), .reason = get_text(&r, "reason")};
  for (int i = ENGINE_ENDED; i <= ENGINE_FAILED; i++) {
    if (slice_is(state, engine_state_name((enum engine_state)i))) {
      out->state = (enum engine_state)i;
    }
  }
  return !r.failed && (out->state != ENGINE_UNKNOWN || wrong(&r, "state"));
}

/* In place and not forced to the disk: one write of few bytes is never seen in half, and a lost second is ours. */
void beat_write(int fd, instant at) {
  char text[BEAT_DIGITS + 1];
  snprintf(text, sizeof text, "%0*lld", BEAT_DIGITS, (long long)at.ns);
  ssize_t written = pwrite(fd, text, BEAT_DIGITS, 0);
  (void)written; /* a full disk: the beat before stands */
}

instant beat_read(const char *folder, instant otherwise) {
  char path[PATH_MAX], *end = NULL;
  slice text;
  struct error ignored;
  struct arena *arena = arena_new();
  snprintf(path, sizeof path, "%s/beat", folder);
  bool there = file_read(arena, path, BEAT_DIGITS, &text, &ignored) && text.len == BEAT_DIGITS;
  int64_t ns = there ? strtoll(text.ptr, &end, 10) : 0;
  bool good = there && *end == '\0' && ns >= otherwise.ns && ns <= INSTANT_MAX.ns;
  arena_free(arena);
  return good ? (instant){ns} : otherwise;
}

int lock_take(const char *folder, struct error *err) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/lock", folder);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  struct stat held, named;
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
    /* The name may be another file's by now, when the folder was removed in between. */
    if (fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino) {
      return fd;
    }
    errno = EWOULDBLOCK;
  }
  error_set(err, errno == EWOULDBLOCK ? ERR_BUSY : ERR_IO, "%s: %s", path,
            errno == EWOULDBLOCK ? "held by another process" : strerror(errno));
  if (fd >= 0) {
    close(fd);
  }
  return -1;
}

bool records_remove(const char *folder, struct error *err) {
  static const char *const names[] = {"order.json", "started.json", "wish.json", "beat", "ended.json", "log", "lock"};
  char path[PATH_MAX];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    if (unlink(path) != 0 && errno != ENOENT) {
      return error_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    }
  }
  /* What a crash left of a file that was being written keeps the folder; it is found empty of an order again. */
  return rmdir(folder) == 0 || errno == ENOENT || errno == ENOTEMPTY ||
         error_set(err, ERR_IO, "%s: %s", folder, strerror(errno));
}
