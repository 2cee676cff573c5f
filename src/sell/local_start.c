/* Starting: the order is written, then a supervisor is launched that outlives us; nothing is started twice, since the
 * supervisor takes the allocation's lock and finds out whether it was started before. */
#include "base/file.h"
#include "base/json.h"
#include "sell/local_private.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READY_TIMEOUT_MS 15000
#define READY_BYTES_MAX 512
#define NOTICE_S_MAX INT64_C(604800)
#define DIRECTORY_BYTES_MAX 3000

static bool is_id(slice s) {
  for (size_t i = 0; i < s.len; i++) {
    char c = s.ptr[i];
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
                 (c == '.' && i > 0);
    if (!plain) {
      return false;
    }
  }
  return s.len > 0 && s.len <= ENGINE_ID_BYTES_MAX;
}

/* It is kept as JSON, which has no room for other bytes; neither has the system for a NUL byte. */
static bool is_text(slice text, const char *field, struct error *err) {
  struct arena *arena = arena_new();
  struct buf b;
  const struct json *root;
  buf_init(&b, (size_t)LOCAL_COMMAND_BYTES_MAX * 8);
  buf_addc(&b, '[');
  json_quote(&b, text);
  buf_addc(&b, ']');
  bool ok =
      !b.failed && (text.len == 0 || !memchr(text.ptr, '\0', text.len)) && json_parse(arena, buf_slice(&b), &root, err);
  buf_free(&b);
  arena_free(arena);
  return ok || error_set(err, ERR_INVALID, "%s: holds bytes that are no UTF-8 text", field);
}

static bool check_request(const struct engine_request *r, struct error *err) {
  if (!is_id(r->lease)) {
    return error_set(err, ERR_INVALID, "lease: 1 to %d letters, digits, '_', '-' and '.'", ENGINE_ID_BYTES_MAX);
  }
  if (r->customer.len > ENGINE_ID_BYTES_MAX) {
    return error_set(err, ERR_INVALID, "customer: longer than %d bytes", ENGINE_ID_BYTES_MAX);
  }
  if (r->class >= ENGINE_CLASSES) {
    return error_set(err, ERR_INVALID, "class: there are %d", ENGINE_CLASSES);
  }
  if (r->nodes > 1) {
    return error_set(err, ERR_INVALID, "nodes: %u: this machine is one", r->nodes);
  }
  if (r->notice_s < 0 || r->notice_s > NOTICE_S_MAX) {
    return error_set(err, ERR_INVALID, "notice_s: 0 to %lld", (long long)NOTICE_S_MAX);
  }
  if (r->command.len > LOCAL_COMMAND_BYTES_MAX) {
    return error_set(err, ERR_LIMIT, "command: longer than %d bytes", LOCAL_COMMAND_BYTES_MAX);
  }
  if (r->directory.len > DIRECTORY_BYTES_MAX || (r->directory.len > 0 && r->directory.ptr[0] != '/')) {
    return error_set(err, ERR_INVALID, "directory: a path from the root of at most %d bytes", DIRECTORY_BYTES_MAX);
  }
  return is_text(r->customer, "customer", err) && is_text(r->command, "command", err) &&
         is_text(r->directory, "directory", err);
}

/* Of every part that makes it another request, each with its length before it. */
static void digest_request(const struct engine_request *r, char text[65]) {
  const slice parts[] = {r->lease, r->customer, r->gpu, r->command, r->directory};
  char share[DECIMAL_TEXT_MAX];
  struct buf b;
  buf_init(&b, 1u << 20);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    buf_addf(&b, "%zu:", parts[i].len);
    buf_add(&b, parts[i]);
  }
  buf_addf(&b, "%s %s %lld %lld", engine_class_name(r->class), quantity_text(r->gpus, share), (long long)r->ends.ns,
           (long long)r->notice_s);
  must(!b.failed);
  digest_hex(digest_of(buf_slice(&b)), text);
  buf_free(&b);
}

slice local_reference(const struct local *l, const struct allocation *a, struct arena *arena) {
  return slice_of(arena_printf(arena, "%s/%ld-%llu", l->host, (long)a->supervisor.pid,
                               (unsigned long long)a->supervisor.start_ticks));
}

/* In the second child, which belongs to nobody; only calls that are safe while other threads hold locks. */
static void become_supervisor(const struct local *l, char *const argv[], int ready, int log) {
  static char *const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  int nothing = open("/dev/null", O_RDWR);
  if (nothing >= 0 && dup2(nothing, 0) >= 0 && dup2(nothing, 1) >= 0 && dup2(log, 2) >= 0 &&
      dup2(ready, READY_FD) >= 0 && close_range(READY_FD + 1, ~0u, 0) == 0) {
    execve(l->program, argv, environment);
  }
  _exit(127);
}

static bool launch(const struct local *l, char *folder, int ready, int log, struct error *err) {
  static char name[] = "meterhouse", word[] = LOCAL_SUPERVISE;
  char *const argv[] = {name, word, folder, NULL};
  int status = 0;
  pid_t pid = fork();
  if (pid == 0) {
    setsid();
    pid_t second = fork();
    if (second == 0) {
      become_supervisor(l, argv, ready, log);
    }
    _exit(second < 0 ? 1 : 0);
  }
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return (pid > 0 && status == 0) || error_set(err, ERR_IO, "no process can be started: %s", strerror(errno));
}

/* What the supervisor says until it closes the pipe: "ok", or why not. ERR_BUSY: nothing in time. */
static bool hear(int ready, struct error *err) {
  char said[READY_BYTES_MAX];
  size_t len = 0;
  int64_t until_ms = local_now().ns / 1000000 + READY_TIMEOUT_MS;
  while (len + 1 < sizeof said) {
    int64_t left_ms = until_ms - local_now().ns / 1000000;
    struct pollfd p = {.fd = ready, .events = POLLIN};
    int n = left_ms > 0 ? poll(&p, 1, (int)left_ms) : 0;
    if (n == 0) {
      return error_set(err, ERR_BUSY, "its supervisor has not begun in %d s: ask again", READY_TIMEOUT_MS / 1000);
    }
    ssize_t got = n > 0 ? read(ready, said + len, sizeof said - 1 - len) : -1;
    if (got == 0) {
      break;
    }
    if (got < 0 && errno != EINTR) {
      return error_set(err, ERR_IO, "its supervisor can not be heard: %s", strerror(errno));
    }
    len += got > 0 ? (size_t)got : 0;
  }
  said[len] = '\0';
  return strcmp(said, "ok") == 0 || error_set(err, ERR_INVALID, "%s", len > 0 ? said : "its supervisor did not begin");
}

static bool launch_and_hear(const struct local *l, char *folder, struct error *err) {
  char path[PATH_MAX + 8];
  int ends[2] = {-1, -1};
  snprintf(path, sizeof path, "%s/log", folder);
  int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  /* Above what the supervisor's own descriptors will be, so that no dup2 falls upon another. */
  int log = file < 0 ? -1 : fcntl(file, F_DUPFD_CLOEXEC, READY_FD + 1);
  bool piped = log >= 0 && pipe2(ends, O_CLOEXEC) == 0;
  int ready = piped ? fcntl(ends[1], F_DUPFD_CLOEXEC, READY_FD + 1) : -1;
  bool ok = ready >= 0 || error_set(err, ERR_IO, "%s: %s", path, strerror(errno));
  ok = ok && launch(l, folder, ready, log, err);
  const int open_now[] = {file, log, ready, ends[1]};
  for (size_t i = 0; i < sizeof open_now / sizeof *open_now; i++) {
    if (open_now[i] >= 0) {
      close(open_now[i]);
    }
  }
  ok = ok && hear(ends[0], err);
  if (ends[0] >= 0) {
    close(ends[0]);
  }
  return ok;
}

static bool begin(struct local *l, struct allocation *a, struct error *err) {
  char folder[PATH_MAX];
  struct error later = {0};
  allocation_folder(l, slice_of(a->lease), folder);
  bool heard = launch_and_hear(l, folder, err);
  if (!allocation_look(l, a, &later) || (!heard && a->started)) {
    return error_set(err, later.code ? later.code : ERR_BUSY, "%s",
                     later.code ? later.message : "it has only just begun");
  }
  /* One that is only late may yet begin, and is asked about again. */
  if (!heard && err->code != ERR_BUSY && !allocation_withdraw(l, a, &later)) {
    return false;
  }
  return heard && (a->started || error_set(err, ERR_CORRUPT, "%s: has begun and left no record", folder));
}

static bool make_order(struct local *l, struct arena *arena, const struct engine_request *r, const char *digest,
                       struct local_order *out, struct error *err) {
  size_t *chosen, count;
  if (!gpus_place(&l->gpus, arena, r->gpu, r->gpus, &chosen, &count, err)) {
    return false;
  }
  char id[ID_TEXT_MAX];
  *out = (struct local_order){.lease = r->lease,
                              .customer = r->customer,
                              .class = r->class,
                              .gpu = slice_of(l->gpus.v.items[chosen[0]].type),
                              .fake = l->gpus.nvml == NULL,
                              .share = r->gpus.e9 < QUANTITY_E9 ? r->gpus : QUANTITY_ONE,
                              .devices = arena_array(arena, count, sizeof(slice)),
                              .device_count = count,
                              .ends = r->ends,
                              .notice_s = r->notice_s,
                              .command = r->command,
                              .directory = r->directory,
                              .run_as = slice_of(l->run_as),
                              .digest = slice_of(digest)};
  for (size_t i = 0; i < count; i++) {
    out->devices[i] = slice_of(l->gpus.v.items[chosen[i]].name);
  }
  out->mark = slice_of(arena_printf(arena, "METERHOUSE_ALLOCATION=%s", id_new("alloc", id)));
  if (r->directory.len == 0) {
    out->directory = slice_of(arena_printf(arena, "%s/work/" SLICE_FMT, l->folder, SLICE_ARG(r->lease)));
  }
  if (l->cgroup[0] != '\0') {
    out->cgroup = slice_of(arena_printf(arena, "%s/" SLICE_FMT, l->cgroup, SLICE_ARG(r->lease)));
  }
  return true;
}

static struct allocation *add_new(struct local *l, struct arena *arena, const struct engine_request *r,
                                  const char *digest, struct error *err) {
  struct local_order order;
  char folder[PATH_MAX];
  if (l->all.count >= LOCAL_ALLOCATIONS_MAX) {
    error_set(err, ERR_LIMIT, "%s: holds %d allocations: keep those that ended for a shorter time", l->folder,
              LOCAL_ALLOCATIONS_MAX);
    return NULL;
  }
  if (r->ends.ns <= local_now().ns) {
    error_set(err, ERR_INVALID, "ends: lies in the past");
    return NULL;
  }
  if (!make_order(l, arena, r, digest, &order, err)) {
    return NULL;
  }
  allocation_folder(l, r->lease, folder);
  if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
    error_set(err, ERR_IO, "%s: %s", folder, strerror(errno));
    return NULL;
  }
  return order_write(folder, &order, err) ? allocation_add(l, &order) : NULL;
}

bool local_start(struct engine *engine, struct arena *arena, const struct engine_request *request, slice *reference,
                 struct error *err) {
  struct local *l = (struct local *)engine;
  char digest[65], folder[PATH_MAX];
  if (!check_request(request, err) || !allocations_look(l, err)) {
    return false;
  }
  digest_request(request, digest);
  gpus_look(&l->gpus, local_now());
  struct allocation *a = map_get(&l->by_lease, request->lease);
  if (a && strcmp(a->digest, digest) != 0) {
    return error_set(err, ERR_CONFLICT, "%s: was started with another request", a->lease);
  }
  if (!a && !(a = add_new(l, arena, request, digest, err))) {
    return false;
  }
  if (!a->started && !begin(l, a, err)) {
    return error_at(err, SLICE_FMT, SLICE_ARG(request->lease));
  }
  allocation_folder(l, request->lease, folder);
  struct local_ended ended;
  struct error ignored;
  if (a->state == ENGINE_FAILED && a->to.ns == a->from.ns && ended_read(arena, folder, &ended, &ignored)) {
    return error_set(err, ERR_INVALID, "%s: " SLICE_FMT, a->lease, SLICE_ARG(ended.reason));
  }
  *reference = local_reference(l, a, arena);
  return true;
}
