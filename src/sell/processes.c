/* Reads /proc: stat for parents and beginnings, status for signals that are caught, environ for marks. */
#include "sell/processes.h"
#include "base/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define STAT_BYTES_MAX 4096
#define ENVIRON_BYTES_MAX (4u << 20)
/* Fields of /proc/PID/stat that stand after the name, counted from the state, which is 0 (proc(5): 3). */
enum { FIELD_PARENT = 1, FIELD_START = 19 };

struct kin {
  pid_t pid, parent;
  bool below;
};
struct all_kin {
  VEC(struct kin) v;
};

static bool read_boot(char boot[BOOT_ID_MAX], struct error *err) {
  struct arena *arena = arena_new();
  slice text;
  bool ok = file_read(arena, "/proc/sys/kernel/random/boot_id", STAT_BYTES_MAX, &text, err);
  if (ok) {
    snprintf(boot, BOOT_ID_MAX, SLICE_FMT, SLICE_ARG(slice_trim(text)));
  }
  arena_free(arena);
  return ok;
}

/* False: there is no such process. The name may hold blanks and brackets, so the last bracket ends it. */
static bool read_stat(pid_t pid, pid_t *parent, uint64_t *start_ticks) {
  char path[64], text[STAT_BYTES_MAX];
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) {
    close(fd);
  }
  if (n <= 0) {
    return false;
  }
  text[n] = '\0';
  char *at = strrchr(text, ')'), *rest = NULL;
  int field = 0;
  for (char *word = at ? strtok_r(at + 1, " ", &rest) : NULL; word; word = strtok_r(NULL, " ", &rest), field++) {
    if (field == FIELD_PARENT) {
      *parent = (pid_t)strtol(word, NULL, 10);
    } else if (field == FIELD_START) {
      *start_ticks = strtoull(word, NULL, 10);
      return true;
    }
  }
  return false;
}

bool process_self(struct process *out, struct error *err) {
  pid_t parent;
  *out = (struct process){.pid = getpid()};
  return read_boot(out->boot, err) &&
         (read_stat(out->pid, &parent, &out->start_ticks) ||
          error_set(err, ERR_IO, "/proc/%ld/stat: can not be read: is /proc mounted?", (long)out->pid));
}

bool process_lives(const struct process *process) {
  char boot[BOOT_ID_MAX];
  pid_t parent;
  uint64_t start_ticks;
  struct error ignored;
  return read_boot(boot, &ignored) && strcmp(boot, process->boot) == 0 &&
         read_stat(process->pid, &parent, &start_ticks) && start_ticks == process->start_ticks;
}

bool process_signal(const struct process *process, int signal) {
  int fd = pidfd_open(process->pid, 0);
  if (fd < 0) {
    return false;
  }
  /* Looked at after it was opened: were the number another's by now, the descriptor would be that one's too. */
  bool sent = process_lives(process) && pidfd_send_signal(fd, signal, NULL, 0) == 0;
  close(fd);
  return sent;
}

static void list_all(struct all_kin *all) {
  DIR *proc = opendir("/proc");
  const struct dirent *entry;
  while (proc && (entry = readdir(proc))) {
    struct kin kin = {.pid = (pid_t)strtol(entry->d_name, NULL, 10)};
    uint64_t start_ticks;
    if (kin.pid > 0 && read_stat(kin.pid, &kin.parent, &start_ticks)) {
      vec_push(&all->v, kin);
    }
  }
  if (proc) {
    closedir(proc);
  }
}

static int by_pid(const void *a, const void *b) {
  const struct kin *x = a, *y = b;
  return (x->pid > y->pid) - (x->pid < y->pid);
}

static void mark_below(struct all_kin *all, pid_t root) {
  bool more = all->v.count > 0;
  if (more) {
    qsort(all->v.items, all->v.count, sizeof *all->v.items, by_pid);
  }
  while (more) {
    more = false;
    for (size_t i = 0; i < all->v.count; i++) {
      struct kin *child = &all->v.items[i];
      const struct kin *parent =
          bsearch(&(struct kin){.pid = child->parent}, all->v.items, all->v.count, sizeof *all->v.items, by_pid);
      if (!child->below && (child->parent == root || (parent && parent->below))) {
        child->below = more = true;
      }
    }
  }
}

static bool catches(pid_t pid, int signal) {
  char path[64];
  struct arena *arena = arena_new();
  slice text;
  struct error ignored;
  snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
  const char *line = file_read(arena, path, 65536, &text, &ignored) ? strstr(text.ptr, "\nSigCgt:") : NULL;
  bool caught = line && (strtoull(line + sizeof "\nSigCgt:" - 1, NULL, 16) >> (signal - 1) & 1);
  arena_free(arena);
  return caught;
}

void processes_signal_below(int signal, bool who_catch) {
  struct all_kin all = {0};
  list_all(&all);
  mark_below(&all, getpid());
  for (size_t i = 0; i < all.v.count; i++) {
    if (all.v.items[i].below && (!who_catch || catches(all.v.items[i].pid, signal))) {
      kill(all.v.items[i].pid, signal);
    }
  }
  vec_free(&all.v);
}

static bool marked(struct arena *arena, pid_t pid, slice mark) {
  char path[64];
  slice text;
  struct error ignored;
  snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
  if (!file_read(arena, path, ENVIRON_BYTES_MAX, &text, &ignored)) {
    return false;
  }
  while (text.len > 0) {
    size_t len = strnlen(text.ptr, text.len);
    if (slice_eq((slice){text.ptr, len}, mark)) {
      return true;
    }
    size_t step = len < text.len ? len + 1 : len;
    text = (slice){text.ptr + step, text.len - step};
  }
  return false;
}

size_t processes_kill_marked(slice mark) {
  struct all_kin all = {0};
  struct arena *arena = arena_new();
  size_t killed = 0;
  list_all(&all);
  for (size_t i = 0; i < all.v.count; i++) {
    pid_t pid = all.v.items[i].pid;
    int fd = pid == getpid() ? -1 : pidfd_open(pid, 0);
    if (fd >= 0) {
      killed += marked(arena, pid, mark) && pidfd_send_signal(fd, SIGKILL, NULL, 0) == 0;
      close(fd);
      arena_reset(arena);
    }
  }
  arena_free(arena);
  vec_free(&all.v);
  return killed;
}
