/* The command of an allocation: its environment, its user, its folder, its cgroup. */
#include "sell/local_private.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUTPUT_NAME "lease.out"
#define NAMES_MAX 24

static bool write_word(const char *folder, const char *name, const char *word) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  bool ok = fd >= 0 && write(fd, word, strlen(word)) == (ssize_t)strlen(word);
  if (fd >= 0) {
    close(fd);
  }
  return ok;
}

bool command_group_make(const struct local_order *order, struct error *err) {
  return order->cgroup.len == 0 || mkdir(order->cgroup.ptr, 0755) == 0 || errno == EEXIST ||
         error_set(err, ERR_IO, "cgroup " SLICE_FMT ": %s: hand over a folder of cgroup v2 that we may write to",
                   SLICE_ARG(order->cgroup), strerror(errno));
}

void command_group_kill(const struct local_order *order) {
  if (order->cgroup.len > 0) {
    write_word(order->cgroup.ptr, "cgroup.kill", "1");
  }
}

void command_group_remove(const struct local_order *order) {
  if (order->cgroup.len > 0) {
    rmdir(order->cgroup.ptr);
  }
}

/* Simulated ones are called so here as well: by bare numbers a command would reach real GPUs that are not ours. */
static char *visible_devices(struct arena *arena, const struct local_order *order) {
  struct buf b;
  buf_init(&b, LOCAL_FAKE_GPUS_MAX * NVML_TEXT_MAX * 2);
  for (size_t i = 0; i < order->device_count; i++) {
    buf_addf(&b, "%s" SLICE_FMT, i > 0 ? "," : "", SLICE_ARG(order->devices[i]));
  }
  char *text = arena_printf(arena, SLICE_FMT, SLICE_ARG(buf_slice(&b)));
  buf_free(&b);
  return text;
}

static char **make_environment(struct arena *arena, const struct local_order *order, const struct passwd *user) {
  char **list = arena_array(arena, NAMES_MAX, sizeof *list), share[DECIMAL_TEXT_MAX], ends[TIME_TEXT_MAX];
  const char *devices = visible_devices(arena, order);
  size_t n = 0;
  list[n++] = arena_printf(arena, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  list[n++] = arena_printf(arena, "LANG=C.UTF-8");
  list[n++] = arena_printf(arena, "SHELL=/bin/sh");
  list[n++] = arena_printf(arena, "HOME=%s", user->pw_dir);
  list[n++] = arena_printf(arena, "USER=%s", user->pw_name);
  list[n++] = arena_printf(arena, "LOGNAME=%s", user->pw_name);
  list[n++] = arena_printf(arena, "CUDA_DEVICE_ORDER=PCI_BUS_ID");
  list[n++] = arena_printf(arena, "CUDA_VISIBLE_DEVICES=%s", devices);
  list[n++] = arena_printf(arena, "NVIDIA_VISIBLE_DEVICES=%s", order->fake ? "void" : devices);
  list[n++] = arena_printf(arena, "METERHOUSE_LEASE=" SLICE_FMT, SLICE_ARG(order->lease));
  list[n++] = arena_printf(arena, "METERHOUSE_GPU=" SLICE_FMT, SLICE_ARG(order->gpu));
  list[n++] = arena_printf(arena, "METERHOUSE_GPU_SHARE=%s", quantity_text(order->share, share));
  if (order->ends.ns < INSTANT_MAX.ns) {
    list[n++] = arena_printf(arena, "METERHOUSE_ENDS=%s", time_format(order->ends, ends));
  }
  if (order->fake) {
    list[n++] = arena_printf(arena, "METERHOUSE_FAKE_GPUS=1");
  }
  list[n++] = arena_printf(arena, SLICE_FMT, SLICE_ARG(order->mark));
  must(n < NAMES_MAX);
  return list;
}

/* In the child: what fails is named, and errno says why. */
static const char *prepare(const struct local_order *order, const struct passwd *user, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  for (int s = 1; s < NSIG; s++) {
    signal(s, SIG_DFL);
  }
  sigprocmask(SIG_SETMASK, &none, NULL);
  umask(022);
  if (setsid() < 0) {
    return "setsid";
  }
  if (order->cgroup.len > 0 && !write_word(order->cgroup.ptr, "cgroup.procs", "0")) {
    return "cgroup.procs";
  }
  if (order->run_as.len > 0 && geteuid() == 0 &&
      (initgroups(user->pw_name, user->pw_gid) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)) {
    return "becoming the user it runs as";
  }
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the user was changed, which takes it back */
  if (getppid() != parent) {
    _exit(1);
  }
  if (chdir(order->directory.ptr) != 0) {
    return order->directory.ptr;
  }
  int out = open(OUTPUT_NAME, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0640);
  if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) {
    return OUTPUT_NAME;
  }
  return close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0 ? NULL : "close_range";
}

static _Noreturn void become_command(const struct local_order *order, const struct passwd *user, pid_t parent,
                                     char **environment, int failed) {
  char reason[256];
  const char *what = prepare(order, user, parent);
  if (!what) {
    execle("/bin/sh", "sh", "-c", order->command.ptr, (char *)NULL, environment);
    what = "/bin/sh";
  }
  int length = snprintf(reason, sizeof reason, "%.180s: %s", what, strerror(errno));
  ssize_t written = write(failed, reason, length < (int)sizeof reason ? (size_t)length : sizeof reason - 1);
  (void)written; /* then it is an exit status alone */
  _exit(127);
}

/* The engine's own choice of a folder is made for the user, who may be another. */
static bool make_directory(const struct local_order *order, const struct passwd *user, struct error *err) {
  const char *work = order->directory.ptr;
  if (mkdir(work, 0700) != 0) {
    return errno == EEXIST || error_set(err, ERR_INVALID, "%s: %s", work, strerror(errno));
  }
  return geteuid() != 0 || lchown(work, user->pw_uid, user->pw_gid) == 0 ||
         error_set(err, ERR_IO, "%s: %s", work, strerror(errno));
}

bool command_start(const struct local_order *order, pid_t *pid, struct error *err) {
  *pid = 0;
  if (order->command.len == 0) {
    return true;
  }
  const struct passwd *user = order->run_as.len > 0 ? getpwnam(order->run_as.ptr) : getpwuid(geteuid());
  if (!user) {
    return error_set(err, ERR_INVALID, "the user it runs as is not known here any more");
  }
  int ends[2];
  if (!make_directory(order, user, err)) {
    return false;
  }
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return error_set(err, ERR_IO, "pipe: %s", strerror(errno));
  }
  struct arena *arena = arena_new();
  char **environment = make_environment(arena, order, user), reason[256];
  pid_t parent = getpid();
  *pid = fork();
  if (*pid == 0) {
    become_command(order, user, parent, environment, ends[1]);
  }
  close(ends[1]);
  ssize_t got = *pid < 0 ? 0 : read(ends[0], reason, sizeof reason);
  close(ends[0]);
  arena_free(arena);
  if (*pid < 0) {
    *pid = 0;
    return error_set(err, ERR_IO, "no process can be started: %s", strerror(errno));
  }
  return got <= 0 || error_set(err, ERR_INVALID, "the command could not be started: %.*s", (int)got, reason);
}
