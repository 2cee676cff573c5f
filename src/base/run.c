/* Runs another program: fork with nothing inherited, both of its outputs read at once, a deadline, its group killed. */
#include "base/run.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MAX 256
#define READ_BYTES 65536

/* A program that is under way: what it prints, why it could not begin, and itself. */
struct running {
  pid_t pid;
  int handle; /* pidfd: readable when it has ended */
  int out[2], err[2], failed[2];
  struct buf out_text, err_text;
};

static void close_one(int *fd) {
  if (*fd >= 0) {
    close(*fd);
    *fd = -1;
  }
}

static void close_all(struct running *r) {
  for (int side = 0; side < 2; side++) {
    close_one(&r->out[side]);
    close_one(&r->err[side]);
    close_one(&r->failed[side]);
  }
  close_one(&r->handle);
}

static bool open_pipes(struct running *r) {
  return pipe2(r->out, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(r->err, O_CLOEXEC | O_NONBLOCK) == 0 &&
         pipe2(r->failed, O_CLOEXEC) == 0;
}

/* In the child, where only what is safe in a signal handler may be called: other threads may have held any lock. */
static void become(const struct run_command *command, char *const *arguments, const struct running *r, pid_t parent) {
  int nothing = open("/dev/null", O_RDONLY);
  bool ready = nothing >= 0 && setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
               dup2(nothing, STDIN_FILENO) >= 0 && dup2(r->out[1], STDOUT_FILENO) >= 0 &&
               dup2(r->err[1], STDERR_FILENO) >= 0 && fcntl(STDOUT_FILENO, F_SETFL, O_WRONLY) == 0 &&
               fcntl(STDERR_FILENO, F_SETFL, O_WRONLY) == 0 &&
               close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
  if (ready) {
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < SIGRTMIN; number++) signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(command->program, arguments, (char *const *)(uintptr_t)command->environment);
  }
  int reason = errno;
  ssize_t written = write(r->failed[1], &reason, sizeof reason);
  _exit(written == (ssize_t)sizeof reason ? 126 : 127);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* All there is to read now; false: the limit is passed. At the end of it the descriptor is closed. */
static bool drain(int *fd, struct buf *to) {
  static _Thread_local char bytes[READ_BYTES];
  while (*fd >= 0 && !to->failed) {
    ssize_t got = read(*fd, bytes, sizeof bytes);
    if (got > 0) {
      buf_add(to, (slice){bytes, (size_t)got});
    } else if (got == 0) {
      close_one(fd);
    } else if (errno != EINTR) {
      break;
    }
  }
  return !to->failed;
}

/* Until it has ended; what it left in the pipes then is all that counts, whoever else may hold them open. */
static bool listen_to(struct running *r, const struct run_command *command, struct error *err) {
  int64_t end_ms = now_ms() + command->timeout_ms;
  for (bool ended = false; !ended;) {
    struct pollfd polled[3] = {
        {.fd = r->out[0], .events = POLLIN}, {.fd = r->err[0], .events = POLLIN}, {.fd = r->handle, .events = POLLIN}};
    int64_t left_ms = end_ms - now_ms();
    if (left_ms <= 0) {
      return error_set(err, ERR_BUSY, "%s did not end within %lld ms", command->program,
                       (long long)command->timeout_ms);
    }
    int ready = poll(polled, 3, left_ms > 60000 ? 60000 : (int)left_ms);
    if (ready < 0 && errno != EINTR) return error_set(err, ERR_IO, "%s: %s", command->program, strerror(errno));
    ended = ready > 0 && polled[2].revents != 0;
    if (!drain(&r->out[0], &r->out_text) || !drain(&r->err[0], &r->err_text)) {
      return error_set(err, ERR_LIMIT, "%s printed more than %zu bytes", command->program, command->output_bytes_max);
    }
  }
  return true;
}

static bool begin(struct running *r, const struct run_command *command, struct error *err) {
  const char *arguments[ARGUMENTS_MAX + 2] = {command->program};
  for (size_t i = 0; command->arguments[i]; i++) {
    if (i == ARGUMENTS_MAX) return error_set(err, ERR_LIMIT, "%s: too many arguments", command->program);
    arguments[i + 1] = command->arguments[i];
  }
  if (!open_pipes(r)) return error_set(err, ERR_IO, "%s: no pipe: %s", command->program, strerror(errno));
  pid_t parent = getpid();
  r->pid = fork();
  if (r->pid < 0) return error_set(err, ERR_IO, "%s: %s", command->program, strerror(errno));
  if (r->pid == 0) become(command, (char *const *)(uintptr_t)arguments, r, parent);
  (void)setpgid(r->pid, r->pid); /* whichever of the two comes first */
  close_one(&r->out[1]);
  close_one(&r->err[1]);
  close_one(&r->failed[1]);
  r->handle = (int)syscall(SYS_pidfd_open, r->pid, 0);
  if (r->handle < 0) return error_set(err, ERR_IO, "%s: can not be watched: %s", command->program, strerror(errno));
  return true;
}

/* The group goes before its leader is reaped: until then its number is nobody else's. */
static int finish(struct running *r) {
  int status = 0;
  if (r->pid <= 0) return 0;
  kill(-r->pid, SIGKILL);
  while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

bool run_program(struct arena *arena, const struct run_command *command, struct run_result *out, struct error *err) {
  struct running r = {.handle = -1, .out = {-1, -1}, .err = {-1, -1}, .failed = {-1, -1}};
  buf_init(&r.out_text, command->output_bytes_max);
  buf_init(&r.err_text, command->output_bytes_max);
  bool done = begin(&r, command, err) && listen_to(&r, command, err);
  int reason = 0;
  *out = (struct run_result){.status = finish(&r)};
  if (done && read(r.failed[0], &reason, sizeof reason) == (ssize_t)sizeof reason) {
    done = error_set(err, ERR_IO, "%s can not be run: %s", command->program, strerror(reason));
  }
  if (done) {
    out->out = arena_copy(arena, buf_slice(&r.out_text));
    out->err = arena_copy(arena, buf_slice(&r.err_text));
  }
  close_all(&r);
  buf_free(&r.out_text);
  buf_free(&r.err_text);
  return done;
}
