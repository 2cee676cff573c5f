/* The local engine when something is killed: the program that asked, the process that holds, both at once; and files as
 * a crash leaves them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "local_world.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define MS INT64_C(1000000)
#define CRASHES 25

static void done(bool ok, const struct local_world *w) {
  if (!ok) {
    fail_msg("%s", w->err.message);
  }
}

static struct local_world *open_world(uint32_t gpus) {
  static struct local_world w;
  done(world_start(&w, gpus), &w);
  return &w;
}

static void path_of(const struct local_world *w, const char *lease, const char *name, char path[256]) {
  snprintf(path, 256, "%s/allocations/%s%s%s", w->folder, lease, name[0] != '\0' ? "/" : "", name);
}

static struct process supervisor_of(const struct local_world *w, const char *lease) {
  struct local_started started;
  struct error err;
  char path[256];
  path_of(w, lease, "", path);
  assert_true(started_read(path, &started, &err));
  return started.supervisor;
}

static void put_file(const struct local_world *w, const char *lease, const char *name, const char *text) {
  char path[256];
  struct error err;
  path_of(w, lease, name, path);
  assert_true(file_write(path, slice_of(text), &err));
}

/* Or dead and not yet collected by whoever does that for orphans. */
static bool is_gone(struct local_world *w, pid_t pid) {
  char path[64];
  slice text;
  snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
  return !file_read(w->arena, path, 4096, &text, &w->err) || strstr(text.ptr, ") Z ");
}

/* Its end is its last sign of life, never later than the kill; what it had started is gone, its GPU free. */
static void a_killed_supervisor_counts_to_its_last_beat(void **state) {
  (void)state;
  struct local_world *w = open_world(1);
  struct engine_request r = world_request("l1", "setsid sleep 600 & echo $! >daemon; echo ready; wait");
  struct engine_run run = {0}, again = {0};
  done(world_run(w, &r), w);
  world_wait_output(w, "l1", "lease.out", "ready");
  pid_t daemon = (pid_t)strtol(world_output(w, "l1", "daemon"), NULL, 10);
  world_pause_ms(1300);
  instant before = local_now();
  struct process supervisor = supervisor_of(w, "l1");
  assert_true(process_signal(&supervisor, SIGKILL));
  instant killed_by = local_now();
  world_pause_ms(200); /* nobody looks for a while: that is not billed */
  assert_true(world_wait_ended(w, "l1", &run));
  assert_int_equal(run.state, ENGINE_FAILED);
  assert_true(run.to.ns > run.from.ns && run.to.ns <= killed_by.ns);
  assert_true(run.to.ns > before.ns - 1500 * MS);
  assert_true(is_gone(w, daemon));
  done(world_again(w), w);
  assert_true(world_find(w, "l1", &again));
  assert_true(again.to.ns == run.to.ns && again.from.ns == run.from.ns);
  r = world_request("l2", "");
  done(world_run(w, &r), w);
  world_end(w);
}

static void what_ended_meanwhile_is_found_with_its_time(void **state) {
  (void)state;
  struct local_world *w = open_world(2);
  struct engine_request r = world_request("l1", "sleep 0.1; exit 4"), hold = world_request("l2", "");
  struct engine_run run = {0}, held = {0}, again = {0};
  done(world_run(w, &r), w);
  done(world_run(w, &hold), w);
  assert_true(world_find(w, "l2", &held));
  world_close(w);
  world_pause_ms(1500);
  instant opened = local_now();
  done(world_again(w), w);
  assert_true(world_find(w, "l1", &run));
  assert_int_equal(run.exit_status, 4);
  assert_int_equal(run.state, ENGINE_ENDED);
  assert_true(run.to.ns - run.from.ns >= 100 * MS && run.to.ns < opened.ns - 500 * MS);
  assert_true(world_find(w, "l2", &again));
  assert_int_equal(again.state, ENGINE_RUNNING);
  assert_true(again.from.ns == held.from.ns && slice_eq(again.reference, held.reference));
  world_end(w);
}

/* Asks for it as the program would, until it is killed. */
static pid_t start_in_a_child(struct local_world *w, const struct engine_request *r) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    struct engine *engine = local_open(&w->options, &w->err);
    slice reference;
    if (engine && engine->driver->start(engine, w->arena, r, &reference, &w->err)) {
      world_pause_ms(5000);
    }
    _exit(1);
  }
  return pid;
}

static void nothing_starts_twice_whenever_we_are_killed(void **state) {
  (void)state;
  struct local_world *w = open_world(4);
  char lease[32];
  for (int i = 0; i < CRASHES; i++) {
    snprintf(lease, sizeof lease, "l%d", i);
    struct engine_request r = world_request(lease, "echo once >>count; sleep 0.1");
    struct engine_run run = {0}, again = {0};
    int raw;
    world_close(w);
    pid_t pid = start_in_a_child(w, &r);
    world_pause_ms(i * 2);
    assert_int_equal(kill(pid, SIGKILL), 0);
    waitpid(pid, &raw, 0);
    assert_true(WIFSIGNALED(raw));
    done(world_again(w), w);
    bool asked = false;
    for (int tries = 0; !asked && tries < 50; tries++) {
      asked = world_run(w, &r);
      assert_true(asked || w->err.code == ERR_BUSY);
    }
    assert_true(asked);
    assert_true(world_wait_ended(w, lease, &run));
    assert_string_equal(world_output(w, lease, "count"), "once\n");
    done(world_again(w), w);
    assert_true(world_find(w, lease, &again));
    assert_true(again.from.ns == run.from.ns && again.to.ns == run.to.ns);
  }
  world_end(w);
}

static pid_t supervise_by_hand(const struct local_world *w, const char *lease) {
  char path[256];
  path_of(w, lease, "", path);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    close(READY_FD);
    execl("/proc/self/exe", "test", LOCAL_SUPERVISE, path, (char *)NULL);
    _exit(127);
  }
  return pid;
}

/* An order is there, and several are told to carry it out: only one does. */
static void of_many_supervisors_one_begins(void **state) {
  (void)state;
  struct local_world *w = open_world(1);
  struct engine_request r = world_request("model", "true");
  struct engine_run run = {0};
  char from[256], text_path[256];
  slice order;
  done(world_run(w, &r), w);
  assert_true(world_wait_ended(w, "model", &run));
  r = world_request("many", "echo once >>count; sleep 0.3");
  path_of(w, "model", "order.json", from);
  done(file_read(w->arena, from, 1 << 20, &order, &w->err), w);
  path_of(w, "many", "", text_path);
  assert_int_equal(mkdir(text_path, 0700), 0);
  /* the model's order with another lease, command and folder */
  struct local_order o;
  path_of(w, "model", "", from);
  done(order_read(w->arena, from, &o, &w->err), w);
  o.lease = r.lease;
  o.command = r.command;
  o.directory = slice_of(arena_printf(w->arena, "%s/work/many", w->folder));
  done(order_write(text_path, &o, &w->err), w);
  pid_t pids[6];
  for (size_t i = 0; i < 6; i++) {
    pids[i] = supervise_by_hand(w, "many");
  }
  for (size_t i = 0; i < 6; i++) {
    int raw;
    waitpid(pids[i], &raw, 0);
    assert_true(WIFEXITED(raw));
    assert_int_equal(WEXITSTATUS(raw), 0);
  }
  assert_string_equal(world_output(w, "many", "count"), "once\n");
  world_end(w);
}

static void an_order_that_was_never_begun_is_withdrawn(void **state) {
  (void)state;
  struct local_world *w = open_world(1);
  struct engine_request r = world_request("l1", "");
  struct engine_run run = {0};
  char path[256], other[256];
  struct local_order o;
  done(world_run(w, &r), w);
  path_of(w, "l1", "", path);
  done(order_read(w->arena, path, &o, &w->err), w);
  done(w->engine->driver->stop(w->engine, r.lease, 0, &w->err), w);
  o.lease = SLICE("l2");
  path_of(w, "l2", "", other);
  assert_int_equal(mkdir(other, 0700), 0);
  done(order_write(other, &o, &w->err), w);
  path_of(w, "l3", "", path);
  assert_int_equal(mkdir(path, 0700), 0); /* killed before the order was written */
  put_file(w, "l1", "wish.json.77.tmp", "{\"en");
  done(world_again(w), w);
  assert_int_equal(access(other, F_OK), -1);
  assert_int_equal(access(path, F_OK), -1);
  assert_false(world_find(w, "l2", &run));
  r = world_request("l2", "");
  done(world_run(w, &r), w);
  world_end(w);
}

static void a_number_that_came_again_is_not_taken_for_it(void **state) {
  (void)state;
  struct local_world *w = open_world(1);
  struct engine_request r = world_request("l1", "");
  struct engine_run run = {0};
  char folder[256];
  done(world_run(w, &r), w);
  struct process supervisor = supervisor_of(w, "l1");
  assert_true(process_lives(&supervisor));
  struct process other_boot = supervisor;
  other_boot.boot[0] = other_boot.boot[0] == '0' ? '1' : '0';
  assert_false(process_lives(&other_boot));
  pid_t bystander = fork();
  if (bystander == 0) {
    execl("/bin/sleep", "sleep", "60", (char *)NULL);
    _exit(127);
  }
  world_close(w);
  assert_true(process_signal(&supervisor, SIGKILL));
  while (process_lives(&supervisor)) {
    world_pause_ms(5);
  }
  struct local_started forged = {.supervisor = supervisor, .from = local_now()};
  forged.supervisor.pid = bystander;
  path_of(w, "l1", "", folder);
  done(started_write(folder, &forged, &w->err), w);
  done(world_again(w), w);
  assert_true(world_find(w, "l1", &run));
  assert_int_equal(run.state, ENGINE_FAILED);
  done(w->engine->driver->stop(w->engine, r.lease, 0, &w->err), w);
  assert_false(process_signal(&forged.supervisor, SIGKILL));
  assert_int_equal(waitpid(bystander, NULL, WNOHANG), 0);
  kill(bystander, SIGKILL);
  waitpid(bystander, NULL, 0);
  world_end(w);
}

static void a_wish_is_found_without_a_signal(void **state) {
  (void)state;
  struct local_world *w = open_world(1);
  struct engine_request r = world_request("l1", "sleep 600");
  struct engine_run run = {0};
  char folder[256];
  done(world_run(w, &r), w);
  instant now = local_now();
  path_of(w, "l1", "", folder);
  done(wish_write(folder, &(struct local_wish){.ends = INSTANT_MAX, .stop = now, .told = now}, &w->err), w);
  assert_true(world_wait_ended(w, "l1", &run));
  assert_true(run.to.ns == now.ns);
  world_end(w);
}

static void a_machine_that_goes_down_ends_it_orderly(void **state) {
  (void)state;
  struct local_world *w = open_world(1);
  struct engine_request r =
      world_request("l1", "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
  struct engine_run run = {0};
  done(world_run(w, &r), w);
  world_wait_output(w, "l1", "lease.out", "ready");
  struct process supervisor = supervisor_of(w, "l1");
  instant asked = local_now();
  assert_true(process_signal(&supervisor, SIGTERM));
  assert_true(world_wait_ended(w, "l1", &run));
  assert_int_equal(run.state, ENGINE_FAILED);
  assert_true(run.to.ns >= asked.ns && run.to.ns <= local_now().ns);
  assert_non_null(strstr(world_output(w, "l1", "lease.out"), "saved"));
  world_end(w);
}

static void broken_records_are_named(void **state) {
  (void)state;
  struct local_world *w = open_world(1);
  struct engine_request r = world_request("l1", "");
  char path[256];
  slice good;
  done(world_run(w, &r), w);
  done(w->engine->driver->stop(w->engine, r.lease, 0, &w->err), w);
  static const char *const names[] = {"order.json", "started.json", "ended.json"};
  static const char *const broken[] = {"", "{", "{}", "[]", "{\"lease\":1}", "\xff"};
  for (size_t i = 0; i < 3; i++) {
    path_of(w, "l1", names[i], path);
    done(file_read(w->arena, path, 1 << 20, &good, &w->err), w);
    for (size_t j = 0; j < sizeof broken / sizeof *broken; j++) {
      put_file(w, "l1", names[i], broken[j]);
      assert_false(world_again(w));
      assert_int_equal(w->err.code, ERR_CORRUPT);
      assert_non_null(strstr(w->err.message, names[i]));
    }
    done(file_write(path, good, &w->err), w);
  }
  done(world_again(w), w);
  world_end(w);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], LOCAL_SUPERVISE) == 0) {
    return local_supervise(argv[2]);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_killed_supervisor_counts_to_its_last_beat),
      cmocka_unit_test(what_ended_meanwhile_is_found_with_its_time),
      cmocka_unit_test(nothing_starts_twice_whenever_we_are_killed),
      cmocka_unit_test(of_many_supervisors_one_begins),
      cmocka_unit_test(an_order_that_was_never_begun_is_withdrawn),
      cmocka_unit_test(a_number_that_came_again_is_not_taken_for_it),
      cmocka_unit_test(a_wish_is_found_without_a_signal),
      cmocka_unit_test(a_machine_that_goes_down_ends_it_orderly),
      cmocka_unit_test(broken_records_are_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
