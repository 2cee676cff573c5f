/* The local engine with simulated GPUs: what is held, how commands run and end, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "local_world.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#define MS INT64_C(1000000)

static void done(bool ok, const struct local_world *w) {
  if (!ok) {
    fail_msg("%s", w->err.message);
  }
}

static void refused(bool ok, struct local_world *w, enum error_code code, const char *words) {
  assert_false(ok);
  if (w->err.code != code || !strstr(w->err.message, words)) {
    fail_msg("not \"%s\" (%s): %s", words, error_code_name(code), w->err.message);
  }
  w->err = (struct error){0};
}

static struct local_world *open_world(uint32_t gpus) {
  static struct local_world w;
  done(world_start(&w, gpus), &w);
  return &w;
}

static bool stop(struct local_world *w, const char *lease, int64_t notice_s) {
  return w->engine->driver->stop(w->engine, slice_of(lease), notice_s, &w->err);
}

static void a_command_runs_with_its_gpus_and_nothing_of_ours(void **state) {
  (void)state;
  setenv("SECRET_OF_OURS", "hush", 1);
  struct local_world *w = open_world(8);
  struct engine_request r = world_request("l1", "env; pwd; echo \"it's\" $((1+1)) >&2; exit 7");
  struct engine_run run = {0};
  r.gpus = (quantity){2 * QUANTITY_E9};
  instant before = local_now();
  done(world_run(w, &r), w);
  assert_true(world_wait_ended(w, "l1", &run));
  instant after = local_now();
  const char *out = world_output(w, "l1", "lease.out");
  assert_non_null(strstr(out, "CUDA_VISIBLE_DEVICES=fake-0,fake-1\n"));
  assert_non_null(strstr(out, "METERHOUSE_FAKE_GPUS=1\n"));
  assert_non_null(strstr(out, "METERHOUSE_LEASE=l1\n"));
  assert_non_null(strstr(out, "/work/l1\n"));
  assert_non_null(strstr(out, "it's 2\n"));
  assert_null(strstr(out, "SECRET_OF_OURS"));
  assert_int_equal(run.state, ENGINE_ENDED);
  assert_int_equal(run.exit_status, 7);
  assert_true(run.gpus.e9 == 2 * QUANTITY_E9);
  assert_true(slice_is(run.gpu, "fake"));
  assert_true(slice_is(run.customer, "acme"));
  assert_int_equal(run.number, 1);
  assert_true(run.from.ns >= before.ns && run.to.ns > run.from.ns && run.to.ns <= after.ns);
  world_end(w);
}

static void the_same_lease_is_the_same_allocation(void **state) {
  (void)state;
  struct local_world *w = open_world(1);
  struct engine_request r = world_request("l1", "echo once >>count");
  struct engine_run run = {0};
  slice first, again;
  done(w->engine->driver->start(w->engine, w->arena, &r, &first, &w->err), w);
  done(w->engine->driver->start(w->engine, w->arena, &r, &again, &w->err), w);
  assert_true(slice_eq(first, again));
  assert_true(world_wait_ended(w, "l1", &run));
  done(w->engine->driver->start(w->engine, w->arena, &r, &again, &w->err), w);
  assert_true(slice_eq(first, again));
  assert_true(slice_eq(first, run.reference));
  assert_string_equal(world_output(w, "l1", "count"), "once\n");
  r.command = SLICE("echo twice >>count");
  refused(world_run(w, &r), w, ERR_CONFLICT, "another request");
  world_end(w);
}

static void gpus_are_held_until_the_stop(void **state) {
  (void)state;
  struct local_world *w = open_world(2);
  struct engine_request r = world_request("h1", ""), more = world_request("h2", ""), all = world_request("h3", "");
  struct engine_run run = {0};
  r.gpus = more.gpus = (quantity){QUANTITY_E9 / 2};
  all.gpus = (quantity){2 * QUANTITY_E9};
  done(world_run(w, &r), w);
  done(world_run(w, &more), w);
  refused(world_run(w, &all), w, ERR_LIMIT, "1 of one type are free now");
  more.lease = SLICE("h4");
  more.gpus = QUANTITY_ONE;
  done(world_run(w, &more), w); /* two halves share one GPU, so the other is whole */
  more.lease = SLICE("h5");
  more.gpus = (quantity){1};
  refused(world_run(w, &more), w, ERR_LIMIT, "no GPU has a share of 0.000000001 free");
  done(stop(w, "h1", 0), w);
  done(stop(w, "h1", 0), w);
  assert_true(world_find(w, "h1", &run));
  assert_int_equal(run.state, ENGINE_ENDED);
  assert_true(run.gpus.e9 == QUANTITY_E9 / 2);
  done(world_run(w, &more), w);
  refused(stop(w, "nobody", 0), w, ERR_NOT_FOUND, "nothing was started");
  world_end(w);
}

static void notice_reaches_who_listens(void **state) {
  (void)state;
  struct local_world *w = open_world(2);
  struct engine_request r = world_request("spot", "trap 'echo noted' USR1; trap 'echo gone; exit 3' TERM; echo ready; "
                                                  "while :; do sleep 0.05; done");
  struct engine_run run = {0}, deaf = {0};
  r.class = CLASS_SPOT;
  done(world_run(w, &r), w);
  r.lease = SLICE("deaf");
  r.command = SLICE("trap '' TERM; echo ready; while :; do sleep 0.05; done");
  done(world_run(w, &r), w);
  world_wait_output(w, "spot", "lease.out", "ready");
  world_wait_output(w, "deaf", "lease.out", "ready");
  instant said = local_now();
  done(stop(w, "spot", 2), w);
  done(stop(w, "deaf", 2), w);
  instant said_by = local_now();
  assert_non_null(strstr(world_wait_output(w, "spot", "lease.out", "noted"), "noted"));
  assert_true(world_wait_ended(w, "spot", &run));
  assert_true(world_wait_ended(w, "deaf", &deaf));
  const char *out = world_output(w, "spot", "lease.out");
  assert_true(strncmp(out, "ready\nnoted\n", 12) == 0);
  assert_non_null(strstr(out, "gone\n"));
  assert_int_equal(run.state, ENGINE_PREEMPTED);
  assert_int_equal(run.exit_status, 3);
  assert_true(run.to.ns >= said.ns + 1000 * MS && run.to.ns < said_by.ns + 2000 * MS);
  assert_int_equal(deaf.exit_status, 128 + SIGKILL);
  /* to the very nanosecond that was said, although killing takes its time */
  assert_true(deaf.to.ns >= said.ns + 2000 * MS && deaf.to.ns <= said_by.ns + 2000 * MS);
  world_end(w);
}

static bool alive(const char *pid_text) {
  return kill((pid_t)strtol(pid_text, NULL, 10), 0) == 0;
}

static void nothing_of_a_command_is_left(void **state) {
  (void)state;
  struct local_world *w = open_world(1);
  struct engine_request r = world_request("l1", "setsid sh -c 'echo $$ >daemon; exec sleep 600' & sleep 600 & "
                                                "while [ ! -s daemon ]; do sleep 0.02; done; echo ready; wait");
  struct engine_run run = {0};
  done(world_run(w, &r), w);
  world_wait_output(w, "l1", "lease.out", "ready");
  const char *daemon = world_output(w, "l1", "daemon");
  assert_true(alive(daemon));
  done(stop(w, "l1", 0), w);
  assert_true(world_find(w, "l1", &run));
  assert_int_equal(run.state, ENGINE_ENDED);
  assert_false(alive(daemon));
  /* what a command leaves behind when it ends by itself goes as well */
  r.lease = SLICE("l2");
  r.command = SLICE("setsid sleep 600 & echo $! >daemon");
  done(world_run(w, &r), w);
  assert_true(world_wait_ended(w, "l2", &run));
  assert_int_equal(run.exit_status, 0);
  assert_false(alive(world_output(w, "l2", "daemon")));
  world_end(w);
}

static void ends_are_kept_to_the_nanosecond(void **state) {
  (void)state;
  struct local_world *w = open_world(3);
  struct engine_request r = world_request("held", ""), c = world_request("runs", "sleep 600");
  struct engine_run run = {0};
  const instant end = {local_now().ns + 1500 * MS + 123};
  r.ends = c.ends = end;
  done(world_run(w, &r), w);
  done(world_run(w, &c), w);
  r.lease = SLICE("longer");
  done(world_run(w, &r), w);
  done(w->engine->driver->set_end(w->engine, SLICE("longer"), (instant){end.ns + 700 * MS}, &w->err), w);
  assert_true(world_wait_ended(w, "held", &run));
  assert_true(run.to.ns == end.ns);
  assert_int_equal(run.state, ENGINE_ENDED);
  assert_true(world_wait_ended(w, "runs", &run));
  assert_true(run.to.ns <= end.ns && run.to.ns > run.from.ns);
  assert_true(world_find(w, "longer", &run));
  assert_int_equal(run.state, ENGINE_RUNNING);
  assert_true(world_wait_ended(w, "longer", &run));
  assert_true(run.to.ns == end.ns + 700 * MS);
  refused(w->engine->driver->set_end(w->engine, SLICE("held"), INSTANT_MAX, &w->err), w, ERR_CONFLICT, "has ended");
  /* asked again after its end, it is still the same */
  r.lease = SLICE("held");
  done(world_run(w, &r), w);
  r.lease = SLICE("late");
  refused(world_run(w, &r), w, ERR_INVALID, "in the past");
  /* an earlier end */
  r.ends = INSTANT_MAX;
  done(world_run(w, &r), w);
  done(w->engine->driver->set_end(w->engine, SLICE("late"), (instant){0}, &w->err), w);
  assert_true(world_wait_ended(w, "late", &run));
  assert_true(run.to.ns >= run.from.ns && run.to.ns <= local_now().ns);
  world_end(w);
}

static void hostile_requests_are_refused(void **state) {
  (void)state;
  struct local_world *w = open_world(2);
  struct engine_request good = world_request("ok", ""), r = good;
  char *endless = mem_alloc(LOCAL_COMMAND_BYTES_MAX + 1);
  memset(endless, 'x', LOCAL_COMMAND_BYTES_MAX + 1);
  const char *const ids[] = {"", "../up", ".hidden", "a/b", "a b", "a\nb"};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    r.lease = slice_of(ids[i]);
    refused(world_run(w, &r), w, ERR_INVALID, "lease:");
  }
  r.lease = (slice){endless, ENGINE_ID_BYTES_MAX + 1};
  refused(world_run(w, &r), w, ERR_INVALID, "lease:");
  const struct {
    int128 gpus;
    enum error_code code;
  } counts[] = {{0, ERR_INVALID},
                {-QUANTITY_E9, ERR_INVALID},
                {3 * QUANTITY_E9 / 2, ERR_INVALID},
                {3 * QUANTITY_E9, ERR_LIMIT},
                {(int128)1 << 120, ERR_INVALID}};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    r = good;
    r.gpus.e9 = counts[i].gpus;
    refused(world_run(w, &r), w, counts[i].code, "gpus:");
  }
  r = good;
  r.gpu = SLICE("h100");
  refused(world_run(w, &r), w, ERR_INVALID, "\"h100\" is not here");
  r = good;
  r.nodes = 2;
  refused(world_run(w, &r), w, ERR_INVALID, "nodes");
  r = good;
  r.command = (slice){endless, LOCAL_COMMAND_BYTES_MAX + 1};
  refused(world_run(w, &r), w, ERR_LIMIT, "command");
  r.command = (slice){"a\0b", 3};
  refused(world_run(w, &r), w, ERR_INVALID, "command");
  r.command = SLICE("\xff\xfe");
  refused(world_run(w, &r), w, ERR_INVALID, "command");
  r.command = SLICE("true");
  r.directory = SLICE("etc");
  refused(world_run(w, &r), w, ERR_INVALID, "directory");
  r = good;
  r.notice_s = -1;
  refused(world_run(w, &r), w, ERR_INVALID, "notice_s");
  done(world_run(w, &good), w);
  free(endless);
  world_end(w);
}

static void what_can_not_be_started_is_not_billed(void **state) {
  (void)state;
  struct local_world *w = open_world(1);
  struct engine_request r = world_request("l1", "true");
  struct engine_run run = {0};
  r.directory = SLICE("/nowhere/at/all");
  refused(world_run(w, &r), w, ERR_INVALID, "/nowhere/at/all");
  refused(world_run(w, &r), w, ERR_INVALID, "/nowhere/at/all");
  assert_true(world_find(w, "l1", &run));
  assert_int_equal(run.state, ENGINE_FAILED);
  assert_true(run.to.ns == run.from.ns);
  r = world_request("l2", "");
  done(world_run(w, &r), w); /* its GPU is free again */
  world_end(w);
}

static void one_engine_a_folder_and_not_as_root(void **state) {
  (void)state;
  struct local_world *w = open_world(1);
  refused(local_open(&w->options, &w->err) != NULL, w, ERR_BUSY, "one engine a folder");
  struct local_options o = w->options;
  o.run_as = "no-such-user-here";
  refused(local_open(&o, &w->err) != NULL, w, ERR_INVALID, "no such user");
  o.run_as = NULL;
  if (geteuid() == 0) {
    refused(local_open(&o, &w->err) != NULL, w, ERR_DENIED, "would run as root");
  }
  o = w->options;
  o.fake_gpus = LOCAL_FAKE_GPUS_MAX + 1;
  world_close(w);
  refused(local_open(&o, &w->err) != NULL, w, ERR_INVALID, "at most 1024");
  o.fake_gpus = 0;
  o.nvml = "/nowhere/libnvidia-ml.so.1";
  refused(local_open(&o, &w->err) != NULL, w, ERR_NOT_FOUND, "--fake-gpus 8");
  done(world_again(w), w);
  world_end(w);
}

static void commands_run_as_the_user_who_was_named(void **state) {
  (void)state;
  if (geteuid() != 0) {
    skip();
  }
  struct local_world *w = open_world(1);
  struct engine_request r = world_request("l1", "id -un; cat ../../allocations/l1/order.json || echo kept out");
  struct engine_run run = {0};
  done(world_run(w, &r), w);
  assert_true(world_wait_ended(w, "l1", &run));
  const char *out = world_output(w, "l1", "lease.out");
  assert_true(strncmp(out, "nobody\n", 7) == 0);
  assert_non_null(strstr(out, "kept out"));
  world_end(w);
}

static void what_ended_long_ago_is_forgotten(void **state) {
  (void)state;
  struct local_world *w = open_world(1);
  struct engine_request r = world_request("l1", "true");
  struct engine_run run = {0};
  struct engine_run *runs;
  size_t count;
  done(world_run(w, &r), w);
  assert_true(world_wait_ended(w, "l1", &run));
  done(w->engine->driver->runs(w->engine, w->arena, (instant){run.to.ns + 1}, &runs, &count, &w->err), w);
  assert_int_equal(count, 0);
  done(w->engine->driver->runs(w->engine, w->arena, run.to, &runs, &count, &w->err), w);
  assert_int_equal(count, 1);
  w->options.keep_s = 1;
  done(world_again(w), w);
  world_pause_ms(1200);
  assert_false(world_find(w, "l1", &run));
  done(world_again(w), w);
  assert_false(world_find(w, "l1", &run));
  world_end(w);
}

static void nodes_tell_the_simulated_as_such(void **state) {
  (void)state;
  struct local_world *w = open_world(8);
  struct engine_node *nodes;
  struct local_sample *samples;
  size_t count;
  done(w->engine->driver->nodes(w->engine, w->arena, &nodes, &count, &w->err), w);
  assert_int_equal(count, 1);
  assert_true(slice_is(nodes[0].gpu, "fake") && nodes[0].up && nodes[0].gpus.e9 == 8 * QUANTITY_E9);
  done(local_samples(w->engine, w->arena, &samples, &count, &w->err), w);
  assert_int_equal(count, 0);
  done(w->engine->driver->admit(w->engine, SLICE("acme"), -1, &w->err), w);
  world_end(w);
}

static void a_cgroup_is_used_where_it_may_be(void **state) {
  (void)state;
  char folder[] = "/sys/fs/cgroup/unified/test_local.XXXXXX", own[] = "/sys/fs/cgroup/test_local.XXXXXX";
  const char *made = mkdtemp(folder) ? folder : mkdtemp(own);
  char path[128];
  snprintf(path, sizeof path, "%s/cgroup.kill", made ? made : "");
  if (!made || access(path, W_OK) != 0) {
    if (made) {
      rmdir(made);
    }
    skip();
  }
  struct local_world *w = open_world(1);
  w->options.cgroup = made;
  done(world_again(w), w);
  struct engine_request r = world_request("l1", "cat /proc/self/cgroup; sleep 600");
  done(world_run(w, &r), w);
  assert_non_null(strstr(world_wait_output(w, "l1", "lease.out", "/l1"), "/l1\n"));
  done(stop(w, "l1", 0), w);
  /* also when what held it is killed, and the command has taken its mark off */
  struct local_started started;
  struct engine_run run = {0};
  r.lease = SLICE("l2");
  r.command = SLICE("exec env -i sleep 600");
  done(world_run(w, &r), w);
  snprintf(path, sizeof path, "%s/allocations/l2", w->folder);
  done(started_read(path, &started, &w->err), w);
  assert_true(process_signal(&started.supervisor, SIGKILL));
  assert_true(world_wait_ended(w, "l2", &run));
  assert_int_equal(run.state, ENGINE_FAILED);
  world_end(w);
  assert_int_equal(rmdir(made), 0);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], LOCAL_SUPERVISE) == 0) {
    return local_supervise(argv[2]);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_command_runs_with_its_gpus_and_nothing_of_ours),
      cmocka_unit_test(the_same_lease_is_the_same_allocation),
      cmocka_unit_test(gpus_are_held_until_the_stop),
      cmocka_unit_test(notice_reaches_who_listens),
      cmocka_unit_test(nothing_of_a_command_is_left),
      cmocka_unit_test(ends_are_kept_to_the_nanosecond),
      cmocka_unit_test(hostile_requests_are_refused),
      cmocka_unit_test(what_can_not_be_started_is_not_billed),
      cmocka_unit_test(one_engine_a_folder_and_not_as_root),
      cmocka_unit_test(commands_run_as_the_user_who_was_named),
      cmocka_unit_test(what_ended_long_ago_is_forgotten),
      cmocka_unit_test(nodes_tell_the_simulated_as_such),
      cmocka_unit_test(a_cgroup_is_used_where_it_may_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
