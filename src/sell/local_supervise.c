/* The supervisor: one process for each allocation, which holds it, keeps its time by one clock from the first moment to
 * the last, ends it when it is due, and writes down how it ended. It belongs to nobody and outlives whoever began it.
 */
#include "base/file.h"
#include "base/log.h"
#include "sell/local_private.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES 60
#define LOCK_PAUSE_US 50000
#define KILL_PAUSE_NS (20 * 1000000)
#define SHUTDOWN_NOTICE_NS (4 * NS_PER_S) /* less than what a machine that goes down leaves us */

struct supervisor {
  struct arena *arena;
  struct local_order order;
  struct local_wish wish;
  instant from;
  int64_t from_boot_ns;
  int beat;
  pid_t command;   /* 0: there is none, or it has ended */
  bool held_alone; /* without a command */
  bool told, asked_to_go, shutdown;
  struct local_ended ended;
  sigset_t signals;
};

static int64_t boot_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* The wall's clock at the beginning, and from there on the one that nobody sets: a run is as long as it lasted. */
static instant run_now(const struct supervisor *s) {
  return (instant){s->from.ns + boot_ns() - s->from_boot_ns};
}

static void say_ready(const char *text) {
  ssize_t written = write(READY_FD, text, strlen(text));
  (void)written; /* nobody listens any more: whoever comes next reads the files */
  close(READY_FD);
}

/* ---- when what is due ---- */

struct due {
  instant notice, term, kill;
};

static struct due due_of(const struct supervisor *s) {
  const struct local_wish *w = &s->wish;
  bool stops = w->stop.ns <= w->ends.ns;
  struct due d = {.kill = stops ? w->stop : w->ends};
  if (d.kill.ns == INSTANT_MAX.ns) {
    return (struct due){INSTANT_MAX, INSTANT_MAX, INSTANT_MAX};
  }
  instant begins = stops ? time_later(w->told, s->from) : s->from;
  int64_t length_ns = d.kill.ns > begins.ns ? d.kill.ns - begins.ns : 0;
  int64_t lead_ns = length_ns / 2 < TERM_LEAD_NS ? length_ns / 2 : TERM_LEAD_NS;
  int64_t notice_ns = stops ? length_ns : s->order.notice_s * NS_PER_S;
  d.term = (instant){d.kill.ns - lead_ns};
  d.notice = (instant){d.kill.ns - (notice_ns < length_ns ? notice_ns : length_ns)};
  return d;
}

static void read_wish(struct supervisor *s) {
  struct local_wish wish;
  struct error err = {0};
  if (wish_read(".", &wish, &err)) {
    s->wish = wish;
  } else if (err.code != ERR_NOT_FOUND) {
    log_line(LOG_WARN, "supervisor", "%s", err.message);
  }
}

/* A later end takes back what was said about an earlier one, as far as it can be. */
static void tell_command(struct supervisor *s, const struct due *d, instant now) {
  if (now.ns < d->notice.ns) {
    s->told = false;
  }
  if (now.ns < d->term.ns) {
    s->asked_to_go = false;
  }
  if (!s->told && now.ns >= d->notice.ns && d->notice.ns < d->kill.ns) {
    s->told = true;
    processes_signal_below(SIGUSR1, true);
  }
  if (!s->asked_to_go && now.ns >= d->term.ns) {
    s->asked_to_go = true;
    processes_signal_below(SIGTERM, false);
  }
}

/* ---- the end ---- */

static int status_of(int raw) {
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

/* Orphans of the command come to us as well. True: nothing is below us any more. */
static bool reap(struct supervisor *s) {
  int raw;
  pid_t pid;
  while ((pid = waitpid(-1, &raw, WNOHANG)) > 0) {
    if (pid == s->command) {
      s->command = 0;
      s->ended.exit_status = status_of(raw);
    }
  }
  return pid < 0 && errno == ECHILD;
}

static void end_all(struct supervisor *s) {
  const struct timespec pause = {.tv_nsec = KILL_PAUSE_NS};
  while (!reap(s)) {
    command_group_kill(&s->order);
    processes_signal_below(SIGKILL, false);
    if (sigtimedwait(&s->signals, NULL, &pause) < 0 && errno != EAGAIN && errno != EINTR) {
      break;
    }
  }
  command_group_remove(&s->order);
}

/* Never past the end that was due: what killing takes is not the customer's. */
static void note_end(struct supervisor *s, instant now, instant due) {
  s->ended.to = time_later(s->from, time_earlier(now, due));
  if (s->shutdown) {
    s->ended.state = ENGINE_FAILED;
    s->ended.reason = SLICE("the machine went down");
  } else if (s->ended.state == ENGINE_UNKNOWN) {
    bool preempted = s->wish.preempts && now.ns >= s->wish.told.ns && s->wish.stop.ns <= s->wish.ends.ns;
    s->ended.state = preempted ? ENGINE_PREEMPTED : ENGINE_ENDED;
  }
}

/* ---- its life ---- */

static void wait_for_something(struct supervisor *s, const struct due *d, instant now) {
  int64_t wait_ns = BEAT_NS;
  const instant moments[] = {d->notice, d->term, d->kill};
  for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
    if (moments[i].ns > now.ns && moments[i].ns - now.ns < wait_ns) {
      wait_ns = moments[i].ns - now.ns;
    }
  }
  const struct timespec wait = {.tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S};
  int got = sigtimedwait(&s->signals, NULL, &wait);
  s->shutdown = s->shutdown || got == SIGTERM || got == SIGINT;
}

static void hold(struct supervisor *s) {
  instant leave = INSTANT_MAX;
  for (;;) {
    instant now = run_now(s);
    read_wish(s);
    struct due d = due_of(s);
    if (s->shutdown) {
      leave = leave.ns == INSTANT_MAX.ns ? (instant){now.ns + (s->held_alone ? 0 : SHUTDOWN_NOTICE_NS)} : leave;
      d = (struct due){.notice = d.notice, .term = now, .kill = time_earlier(leave, d.kill)};
    }
    reap(s);
    if ((!s->held_alone && s->command == 0) || now.ns >= d.kill.ns) {
      note_end(s, now, d.kill);
      return;
    }
    beat_write(s->beat, now);
    tell_command(s, &d, now);
    wait_for_something(s, &d, now);
  }
}

static bool take_lock(struct error *err) {
  for (int i = 0; i < LOCK_TRIES; i++) {
    if (lock_take(".", err) >= 0) {
      return true; /* for as long as we live */
    }
    if (err->code != ERR_BUSY) {
      return false;
    }
    usleep(LOCK_PAUSE_US);
  }
  return false;
}

/* After this it has been started, once and for all. */
static bool begin(struct supervisor *s, struct error *err) {
  struct local_started started;
  sigemptyset(&s->signals);
  const int heard[] = {SIGCHLD, SIGHUP, SIGTERM, SIGINT};
  for (size_t i = 0; i < sizeof heard / sizeof *heard; i++) {
    sigaddset(&s->signals, heard[i]);
  }
  sigprocmask(SIG_SETMASK, &s->signals, NULL);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  if (!order_read(s->arena, ".", &s->order, err) || !command_group_make(&s->order, err) ||
      !process_self(&started.supervisor, err)) {
    return false;
  }
  s->wish = (struct local_wish){.ends = s->order.ends, .stop = INSTANT_MAX, .told = INSTANT_MAX};
  s->held_alone = s->order.command.len == 0;
  s->beat = open("beat", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  s->from_boot_ns = boot_ns();
  started.from = s->from = local_now();
  return (s->beat >= 0 || error_set(err, ERR_IO, "beat: %s", strerror(errno))) && started_write(".", &started, err);
}

static bool live(struct supervisor *s, struct error *err) {
  if (!begin(s, err)) {
    say_ready(err->message);
    return false;
  }
  struct error failed;
  if (!command_start(&s->order, &s->command, &failed)) {
    s->ended = (struct local_ended){
        .to = s->from, .state = ENGINE_FAILED, .exit_status = 127, .reason = slice_of(failed.message)};
    end_all(s);
    bool ok = ended_write(".", &s->ended, err);
    say_ready("ok");
    return ok;
  }
  say_ready("ok");
  hold(s);
  end_all(s);
  return ended_write(".", &s->ended, err);
}

int local_supervise(const char *folder) {
  struct supervisor s = {.arena = arena_new(), .beat = -1};
  struct error err = {0};
  bool ok = false;
  if (chdir(folder) != 0) {
    error_set(&err, ERR_IO, "%s: %s", folder, strerror(errno));
    say_ready(err.message);
  } else if (access("started.json", F_OK) == 0 || !take_lock(&err) || access("started.json", F_OK) == 0) {
    say_ready("ok"); /* somebody else has started it */
    ok = true;
  } else {
    ok = live(&s, &err);
  }
  if (!ok) {
    log_line(LOG_ERROR, "supervisor", "%s", err.message);
  }
  if (s.beat >= 0) {
    close(s.beat);
  }
  arena_free(s.arena);
  return ok ? 0 : 1;
}
