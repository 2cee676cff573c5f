/* Running other programs: nothing inherited, nothing left behind, bounded in time and output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/run.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static bool sh(struct arena *arena, const char *script, int64_t timeout_ms, struct run_result *out, struct error *err) {
  const char *const arguments[] = {"-c", script, "name with blanks", "$(touch /nowhere); *", NULL};
  const char *const environment[] = {"ONLY=this", NULL};
  struct run_command command = {"/bin/sh", arguments, environment, timeout_ms, 100000};
  return run_program(arena, &command, out, err);
}

static void outputs_and_status(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  struct run_result result;
  struct error err = {0};
  assert_true(sh(arena, "echo \"$1\"; echo two >&2; exit 7", 10000, &result, &err));
  assert_true(slice_is(result.out, "$(touch /nowhere); *\n"));
  assert_true(slice_is(result.err, "two\n"));
  assert_int_equal(result.status, 7);
  assert_true(sh(arena, "kill -TERM $$", 10000, &result, &err));
  assert_int_equal(result.status, 128 + SIGTERM);
  arena_free(arena);
}

static void nothing_is_inherited(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  struct run_result result;
  struct error err = {0};
  setenv("A_SECRET", "of ours", 1);
  int open_file = open("/dev/null", O_RDONLY);
  assert_true(sh(
      arena,
      "/usr/bin/env | /bin/grep -c SECRET; echo $ONLY; /bin/ls /proc/self/fd | /usr/bin/wc -l; read x || echo no input",
      10000, &result, &err));
  assert_true(slice_is(result.out, "0\nthis\n4\nno input\n")); /* 0 1 2 and that of ls */
  close(open_file);
  arena_free(arena);
}

static void gone(const char *path) {
  char text[32] = "";
  int fd = open(path, O_RDONLY);
  assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
  close(fd);
  pid_t pid = (pid_t)strtol(text, NULL, 10);
  assert_true(pid > 1);
  for (int i = 0; i < 200 && kill(pid, 0) == 0; i++) usleep(10000);
  char line[64] = "";
  char stat[64];
  snprintf(stat, sizeof stat, "/proc/%d/stat", (int)pid);
  fd = open(stat, O_RDONLY);
  if (fd >= 0) { /* nobody may have collected it yet */
    assert_true(read(fd, line, sizeof line - 1) >= 0);
    close(fd);
    assert_non_null(strstr(line, ") Z"));
  }
}

static void too_long_is_ended_with_all_its_children(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  struct run_result result;
  struct error err = {0};
  char folder[] = "/tmp/meterhouse-run.XXXXXX";
  assert_non_null(mkdtemp(folder));
  char *pid = arena_printf(arena, "%s/pid", folder);
  assert_false(sh(arena, arena_printf(arena, "/bin/sleep 100 & echo $! >%s; wait", pid), 500, &result, &err));
  assert_int_equal(err.code, ERR_BUSY);
  gone(pid);
  /* A child that holds the pipes does not make its ended parent late, and does not outlive it. */
  assert_true(sh(arena, arena_printf(arena, "/bin/sleep 100 & echo $! >%s; echo out", pid), 20000, &result, &err));
  assert_true(slice_is(result.out, "out\n"));
  gone(pid);
  unlink(pid);
  rmdir(folder);
  arena_free(arena);
}

static void too_much_is_refused(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  struct run_result result;
  struct error err = {0};
  assert_false(sh(arena, "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done", 20000, &result, &err));
  assert_int_equal(err.code, ERR_LIMIT);
  assert_false(sh(arena, "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done >&2", 20000, &result, &err));
  assert_int_equal(err.code, ERR_LIMIT);
  arena_free(arena);
}

static void what_is_not_there_is_told(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  const char *const none[] = {NULL};
  struct run_command command = {"/nowhere/sbatch", none, none, 10000, 1000};
  struct run_result result;
  struct error err = {0};
  assert_false(run_program(arena, &command, &result, &err));
  assert_int_equal(err.code, ERR_IO);
  assert_non_null(strstr(err.message, "/nowhere/sbatch can not be run: No such file"));
  arena_free(arena);
}

/* Who is killed leaves no command that comes true later. */
static void dies_with_its_caller(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  char folder[] = "/tmp/meterhouse-run.XXXXXX";
  assert_non_null(mkdtemp(folder));
  char *pid = arena_printf(arena, "%s/pid", folder);
  pid_t caller = fork();
  if (caller == 0) {
    struct run_result result;
    struct error err = {0};
    (void)!sh(arena, arena_printf(arena, "echo $$ >%s; while :; do /bin/sleep 1; done", pid), 60000, &result, &err);
    _exit(0);
  }
  struct error err = {0};
  for (int i = 0; i < 500 && access(pid, R_OK) != 0; i++) usleep(10000);
  usleep(50000);
  kill(caller, SIGKILL);
  assert_int_equal(waitpid(caller, NULL, 0), caller);
  (void)err;
  gone(pid);
  unlink(pid);
  rmdir(folder);
  arena_free(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(outputs_and_status),
                                     cmocka_unit_test(nothing_is_inherited),
                                     cmocka_unit_test(too_long_is_ended_with_all_its_children),
                                     cmocka_unit_test(too_much_is_refused),
                                     cmocka_unit_test(what_is_not_there_is_told),
                                     cmocka_unit_test(dies_with_its_caller)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
