/* Real GPUs as NVIDIA's library tells of them, which a small library of ours plays: types, parts, blanks, lost ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "local_world.h"
#include <libgen.h>

static char library[4096 + 32];

static void done(bool ok, const struct local_world *w) {
  if (!ok) {
    fail_msg("%s", w->err.message);
  }
}

static struct local_world *open_world(const char *shows) {
  static struct local_world w;
  setenv("NVML_SIMULATED", shows, 1);
  done(world_start(&w, 1), &w);
  w.options.fake_gpus = 0;
  w.options.nvml = library;
  done(world_again(&w), &w);
  return &w;
}

static void samples(struct local_world *w, struct local_sample **out, size_t *count) {
  done(local_samples(w->engine, w->arena, out, count, &w->err), w);
}

static void whole_gpus_are_held_and_measured(void **state) {
  (void)state;
  struct local_world *w = open_world("");
  struct engine_request r = world_request("l1", "echo $CUDA_VISIBLE_DEVICES/$METERHOUSE_FAKE_GPUS");
  struct engine_run run = {0};
  struct engine_node *nodes;
  struct local_sample *s;
  size_t count;
  done(w->engine->driver->nodes(w->engine, w->arena, &nodes, &count, &w->err), w);
  assert_int_equal(count, 1);
  assert_true(slice_is(nodes[0].gpu, "h100-80gb-hbm3") && nodes[0].gpus.e9 == 2 * QUANTITY_E9 && nodes[0].up);
  r.gpu = SLICE("h100");
  done(world_run(w, &r), w);
  assert_true(world_wait_ended(w, "l1", &run));
  assert_true(slice_is(run.gpu, "h100-80gb-hbm3"));
  assert_string_equal(world_output(w, "l1", "lease.out"), "GPU-aaaa-0/\n");
  r = world_request("l2", "");
  done(world_run(w, &r), w);
  samples(w, &s, &count);
  assert_int_equal(count, 2);
  assert_true(slice_is(s[0].lease, "l2") && s[1].lease.len == 0 && slice_is(s[1].device, "GPU-aaaa-1"));
  assert_true(s[0].has_duty && s[0].duty_percent == 87 && s[0].has_power && s[0].power_mw == 612345);
  assert_true(s[0].has_energy && s[0].energy_mj == 123456789);
  r = world_request("l3", "");
  r.gpus = (quantity){QUANTITY_E9 / 2};
  assert_false(world_run(w, &r));
  assert_int_equal(w->err.code, ERR_INVALID);
  assert_non_null(strstr(w->err.message, "MIG profile"));
  r.gpus = QUANTITY_ONE;
  r.gpu = SLICE("h10");
  assert_false(world_run(w, &r));
  assert_int_equal(w->err.code, ERR_INVALID);
  world_end(w);
}

static void blanks_are_gaps(void **state) {
  (void)state;
  struct local_world *w = open_world("blank");
  struct local_sample *s;
  size_t count;
  samples(w, &s, &count);
  assert_int_equal(count, 2);
  assert_false(s[0].has_duty || s[0].has_power || s[0].has_energy);
  world_end(w);
}

static void parts_are_held_by_their_profile(void **state) {
  (void)state;
  struct local_world *w = open_world("mig");
  struct engine_request r = world_request("l1", "");
  struct engine_run run = {0};
  struct local_sample *s;
  struct engine_node *nodes;
  size_t count;
  done(w->engine->driver->nodes(w->engine, w->arena, &nodes, &count, &w->err), w);
  assert_int_equal(count, 2);
  assert_true(slice_is(nodes[0].gpu, "h100-80gb-hbm3-mig-1g.10gb") && nodes[0].gpus.e9 == 2 * QUANTITY_E9);
  r.gpu = SLICE("1g.10gb");
  done(world_run(w, &r), w);
  r = world_request("l2", "");
  r.gpu = SLICE("h100");
  done(world_run(w, &r), w);
  assert_true(world_find(w, "l2", &run));
  assert_true(slice_is(run.gpu, "h100-80gb-hbm3")); /* a whole one, never a part */
  r.lease = SLICE("l3");
  assert_false(world_run(w, &r));
  assert_int_equal(w->err.code, ERR_LIMIT);
  samples(w, &s, &count);
  assert_int_equal(count, 3);
  assert_true(slice_is(s[0].device, "MIG-bbbb-0") && slice_is(s[0].lease, "l1") && !s[0].has_duty && s[0].has_power);
  world_end(w);
}

static void a_lost_gpu_is_told_and_not_given(void **state) {
  (void)state;
  struct local_world *w = open_world("");
  struct engine_node *nodes;
  struct local_sample *s;
  size_t count;
  instant before = local_now();
  setenv("NVML_SIMULATED", "lost", 1);
  done(w->engine->driver->nodes(w->engine, w->arena, &nodes, &count, &w->err), w);
  assert_int_equal(count, 2);
  assert_true(nodes[0].up && nodes[0].gpus.e9 == QUANTITY_E9 && !nodes[1].up && nodes[1].gpus.e9 == QUANTITY_E9);
  assert_true(nodes[1].down_since.ns >= before.ns && nodes[1].down_since.ns <= local_now().ns);
  instant since = nodes[1].down_since;
  done(w->engine->driver->nodes(w->engine, w->arena, &nodes, &count, &w->err), w);
  assert_true(nodes[1].down_since.ns == since.ns);
  struct engine_request r = world_request("l1", "");
  r.gpus = (quantity){2 * QUANTITY_E9};
  assert_false(world_run(w, &r));
  assert_int_equal(w->err.code, ERR_LIMIT);
  samples(w, &s, &count);
  assert_int_equal(count, 1);
  world_end(w);
}

static void what_is_no_nvml_is_refused(void **state) {
  (void)state;
  struct error err;
  setenv("NVML_SIMULATED", "nodriver", 1);
  assert_null(nvml_open(library, &err));
  assert_int_equal(err.code, ERR_IO);
  assert_non_null(strstr(err.message, "Driver Not Loaded"));
  assert_null(nvml_open("libm.so.6", &err));
  assert_int_equal(err.code, ERR_NOT_FOUND);
  assert_non_null(strstr(err.message, "nvmlInit_v2"));
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], LOCAL_SUPERVISE) == 0) {
    return local_supervise(argv[2]);
  }
  char self[4096] = "";
  must(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
  snprintf(library, sizeof library, "%s/nvml_simulated.so", dirname(self));
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_gpus_are_held_and_measured), cmocka_unit_test(blanks_are_gaps),
      cmocka_unit_test(parts_are_held_by_their_profile),  cmocka_unit_test(a_lost_gpu_is_told_and_not_given),
      cmocka_unit_test(what_is_no_nvml_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
