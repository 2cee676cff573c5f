/* The Slurm engine over programs of the test's own, which print what was recorded and fail as real ones do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "sell/slurm.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct world {
  struct arena *arena;
  char folder[64];
  struct engine *engine;
};

static const char *path_of(const struct world *w, const char *name) {
  return arena_printf(w->arena, "%s/%s", w->folder, name);
}

static void put(const struct world *w, const char *name, const char *text) {
  struct error err = {0};
  assert_true(file_write(path_of(w, name), slice_of(text), &err));
}

/* A program that notes its arguments in NAME.log and goes on as `body` says; D is the folder. */
static void program(const struct world *w, const char *name, const char *body) {
  put(w, name, arena_printf(w->arena, "#!/bin/sh\nD=%s\necho \"$*\" >>$D/%s.log\n%s\n", w->folder, name, body));
  assert_int_equal(chmod(path_of(w, name), 0755), 0);
}

static slice logged(const struct world *w, const char *name) {
  slice text;
  struct error err = {0};
  bool there = file_read(w->arena, path_of(w, arena_printf(w->arena, "%s.log", name)), 1 << 20, &text, &err);
  return there && text.ptr ? arena_copy(w->arena, text) : SLICE("");
}

/* Its text is never NULL. */
static const char *log_text(const struct world *w, const char *name) {
  const char *text = logged(w, name).ptr;
  return text ? text : "";
}

static const char config[] = "ClusterName = lab\nAccountingStorageType   = accounting_storage/slurmdbd\n"
                             "AccountingStoreFlags    = job_comment,job_extra\n"
                             "AccountingStorageTRES   = cpu,mem,gres/gpu,gres/gpu:h100\n"
                             "AccountingStorageEnforce = associations,limits,qos,safe\nPreemptType = preempt/qos\n"
                             "SlurmctldParameters     = preempt_send_user_signal\n";

/* Rows are kept with '@' for the separator: those asked for by number in `jobs`, the others in `rows`. */
static const char sacct[] = "f=rows\nfor a; do case $a in --delimiter=*) d=${a#*=};; --jobs=*) f=jobs;; esac; done\n"
                            "sed \"s/@/$d/g\" $D/$f";

static int begin(void **state) {
  struct world *w = mem_alloc(sizeof *w);
  w->arena = arena_new();
  snprintf(w->folder, sizeof w->folder, "/tmp/meterhouse-slurm.XXXXXX");
  assert_non_null(mkdtemp(w->folder));
  program(w, "sacct", sacct);
  program(w, "squeue", "cat $D/queue");
  program(w, "scontrol", "cat $D/config");
  program(w, "sacctmgr", "printf 'ondemand|spot\\nspot|\\n'");
  program(w, "sbatch", "echo 77");
  program(w, "scancel", "");
  put(w, "config", config);
  put(w, "rows", "");
  put(w, "jobs", "");
  put(w, "queue", "");
  static const char *const gpus[] = {"h100", NULL};
  const struct slurm_options options = {.programs = w->folder,
                                        .cluster = "lab",
                                        .user = "root",
                                        .qos = {[CLASS_ON_DEMAND] = "ondemand", [CLASS_SPOT] = "spot"},
                                        .requeues = {[CLASS_SPOT] = true},
                                        .gpus = gpus,
                                        .timeout_ms = 5000};
  struct error err = {0};
  w->engine = slurm_open(&options, &err);
  assert_non_null(w->engine);
  clock_set_test((instant){1795271400 * NS_PER_S});
  *state = w;
  return 0;
}

static int end(void **state) {
  struct world *w = *state;
  static const char *const names[] = {"sacct", "squeue", "scontrol", "sacctmgr", "sbatch", "scancel"};
  w->engine->driver->close(w->engine);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    unlink(path_of(w, names[i]));
    unlink(path_of(w, arena_printf(w->arena, "%s.log", names[i])));
  }
  unlink(path_of(w, "config"));
  unlink(path_of(w, "rows"));
  unlink(path_of(w, "jobs"));
  unlink(path_of(w, "queue"));
  rmdir(w->folder);
  arena_free(w->arena);
  free(w);
  return 0;
}

#define ROW(row, job, user, state, submit, start, end, name, comment)                                                  \
  row "@" job "@lab@" user "@acme@spot@gpu@" state "@0:0@" submit "@" start "@" end                                    \
      "@00:00:00@gres/gpu:h100=2,gres/gpu=2@gres/gpu=2@gpu01@" name "@" comment "@\n"
#define FIRST ROW("1", "5", "root", "PREEMPTED", "1795270000", "1795270010", "1795270100", "meterhouse-lea_1", "lea_1")
#define SECOND ROW("4", "5", "root", "RUNNING", "1795270100", "1795270300", "Unknown", "meterhouse-lea_1", "")
#define PAST_US ROW("3", "6", "root", "COMPLETED", "1795270200", "1795270200", "1795270260", "train", "lea_1")
#define FORGED ROW("2", "7", "mallory", "RUNNING", "1795270050", "1795270060", "Unknown", "meterhouse-lea_1", "lea_1")
#define RECYCLED                                                                                                       \
  ROW("9", "5", "root", "COMPLETED", "1695270000", "1695270010", "1695270100", "meterhouse-lea_0", "lea_0")

static size_t runs(struct world *w, int64_t since_s, struct engine_run **run) {
  size_t count = 0;
  struct error err = {0};
  if (!w->engine->driver->runs(w->engine, w->arena, (instant){since_s * NS_PER_S}, run, &count, &err)) {
    fail_msg("%s", err.message);
  }
  return count;
}

/* Also when the first run lies before what is asked for, and when the number of the job was another's once. */
static void a_runs_number_does_not_depend_on_the_question(void **state) {
  struct world *w = *state;
  struct engine_run *run = NULL;
  put(w, "rows", SECOND PAST_US);
  put(w, "jobs", RECYCLED FIRST SECOND);
  put(w, "queue", "5\n6\n");
  assert_int_equal(runs(w, 1795270200, &run), 2);
  const struct engine_run *lease = run[0].lease.len ? &run[0] : &run[1], *other = lease == run ? &run[1] : &run[0];
  assert_true(slice_is(lease->lease, "lea_1"));
  assert_int_equal(lease->number, 2);
  assert_int_equal(lease->state, ENGINE_RUNNING);
  assert_int_equal(lease->to.ns, INSTANT_MAX.ns);
  assert_true(slice_is(lease->reference, "lab/5/1795270100/4"));
  assert_int_equal(lease->class, CLASS_SPOT);
  assert_true(slice_is(lease->customer, "acme"));
  /* What was submitted past us has no lease, whatever its comment says. */
  assert_int_equal(other->lease.len, 0);
  assert_true(slice_is(other->reference, "lab/6/1795270200/3"));
  put(w, "rows", FIRST SECOND PAST_US);
  assert_int_equal(runs(w, 1795270000, &run), 3);
  assert_int_equal(run[0].number, 1);
  assert_int_equal(run[0].to.ns, 1795270100 * NS_PER_S);
  assert_int_equal(run[1].number, 2);
  struct engine_run *again = NULL;
  assert_int_equal(runs(w, 1795270000, &again), 3);
  for (int i = 0; i < 3; i++) {
    assert_true(slice_eq(run[i].reference, again[i].reference) && run[i].number == again[i].number);
    assert_true(run[i].from.ns == again[i].from.ns && run[i].to.ns == again[i].to.ns);
  }
}

static void anothers_comment_is_not_a_lease(void **state) {
  struct world *w = *state;
  struct engine_run *run = NULL;
  put(w, "rows", FORGED);
  put(w, "jobs", FORGED);
  put(w, "queue", "7\n");
  assert_int_equal(runs(w, 1795270000, &run), 1);
  assert_int_equal(run[0].lease.len, 0);
  assert_true(slice_is(run[0].customer, "acme"));
}

/* Asked from after midnight, what began before is one run from its beginning: sacct alone would begin at 00:00. */
static void midnight_parts_nothing(void **state) {
  struct world *w = *state;
  struct engine_run *run = NULL;
  const char *row = ROW("1", "5", "root", "COMPLETED", "1795219190", "1795219190", "1795219230", "train", "");
  put(w, "rows", row);
  clock_set_test((instant){1795219300 * NS_PER_S});
  assert_int_equal(runs(w, 1795219220, &run), 1); /* 2026-11-21T00:00:20Z */
  assert_int_equal(run[0].from.ns, 1795219190 * NS_PER_S);
  assert_int_equal(run[0].to.ns - run[0].from.ns, 40 * NS_PER_S);
  assert_non_null(strstr(log_text(w, "sacct"), "--starttime=2026-11-21T00:00:20 "));
  assert_non_null(strstr(log_text(w, "sacct"), " --duplicates "));
}

static int listener(uint16_t *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 128) == 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
  *port = ntohs(address.sin_port);
  return fd;
}

static const struct engine_node *node(struct world *w, const char *name) {
  struct engine_node *nodes = NULL;
  size_t count = 0;
  struct error err = {0};
  assert_true(w->engine->driver->nodes(w->engine, w->arena, &nodes, &count, &err));
  for (size_t i = 0; i < count; i++) {
    if (slice_is(nodes[i].name, name)) return &nodes[i];
  }
  return NULL;
}

/* Slurm says IDLE all the while: we see it die, and since when it has been silent. */
static void a_dead_node_is_seen_by_our_own_heartbeat(void **state) {
  struct world *w = *state;
  uint16_t port = 0;
  int fd = listener(&port);
  put(w, "config",
      arena_printf(w->arena,
                   "NodeName=gpu01 Gres=gpu:h100:8(S:0,1),gpu:a100:2,shard:4 NodeAddr=127.0.0.1 Port=%u State=IDLE\n"
                   "NodeName=gpu02 Gres=gpu:8 NodeAddr=127.0.0.1 Port=%u State=DOWN* Partitions=gpu  "
                   "Reason=Not responding [slurm@1795270000]\n"
                   "NodeName=gpu03 Gres=gpu:8 NodeAddr=127.0.0.1 Port=%u State=IDLE+DRAIN\n"
                   "NodeName=cpu01 Gres=(null) NodeAddr=127.0.0.1 Port=%u State=IDLE\n",
                   port, port, port, port));
  assert_true(node(w, "gpu01")->up);
  assert_true(slice_is(node(w, "gpu01")->gpu, "h100"));
  assert_true(node(w, "gpu01")->gpus.e9 == 8 * QUANTITY_E9);
  assert_true(slice_is(node(w, "gpu01")[1].gpu, "a100"));
  assert_false(node(w, "gpu02")->up);
  assert_int_equal(node(w, "gpu02")->down_since.ns, 1795270000 * NS_PER_S);
  assert_true(node(w, "gpu03")->up);
  assert_true(node(w, "gpu03")->gpus.e9 == 0);
  assert_null(node(w, "cpu01"));
  close(fd);
  clock_set_test((instant){1795271460 * NS_PER_S});
  assert_false(node(w, "gpu01")->up);
  assert_int_equal(node(w, "gpu01")->down_since.ns, 1795271400 * NS_PER_S);
  clock_set_test((instant){1795271520 * NS_PER_S});
  assert_int_equal(node(w, "gpu01")->down_since.ns, 1795271400 * NS_PER_S);
}

/* The accounting lost its end: what is told ends when Slurm was last seen to know it, and the truth is taken later. */
static void a_runaway_does_not_run_for_ever(void **state) {
  struct world *w = *state;
  struct engine_run *run = NULL;
  put(w, "rows", SECOND);
  put(w, "jobs", FIRST SECOND);
  put(w, "queue", "5\n");
  assert_int_equal(runs(w, 1795270200, &run), 1);
  assert_int_equal(run[0].state, ENGINE_RUNNING);
  clock_set_test((instant){1795275000 * NS_PER_S});
  put(w, "queue", "12\n");
  assert_int_equal(runs(w, 1795270200, &run), 1);
  assert_int_equal(run[0].state, ENGINE_UNKNOWN);
  assert_int_equal(run[0].to.ns, 1795271400 * NS_PER_S);
  assert_int_equal(run[0].number, 2);
  const char *mended =
      ROW("4", "5", "root", "COMPLETED", "1795270100", "1795270300", "1795272000", "meterhouse-lea_1", "lea_1");
  put(w, "rows", mended);
  put(w, "jobs", arena_printf(w->arena, "%s%s", FIRST, mended));
  assert_int_equal(runs(w, 1795270200, &run), 1);
  assert_int_equal(run[0].state, ENGINE_ENDED);
  assert_int_equal(run[0].to.ns, 1795272000 * NS_PER_S);
}

/* A row that stays open while the job has begun anew ended when it was put back into the queue, at the latest. */
static void a_run_ends_before_the_next(void **state) {
  struct world *w = *state;
  struct engine_run *run = NULL;
  const char *open = ROW("1", "5", "root", "RUNNING", "1795270000", "1795270010", "Unknown", "meterhouse-lea_1", "");
  put(w, "rows", arena_printf(w->arena, "%s%s", open, SECOND));
  put(w, "jobs", arena_printf(w->arena, "%s%s", SECOND, open));
  put(w, "queue", "5\n");
  assert_int_equal(runs(w, 1795270000, &run), 2);
  assert_int_equal(run[0].state, ENGINE_UNKNOWN);
  assert_true(run[0].to.ns <= run[1].from.ns);
  assert_int_equal(run[1].state, ENGINE_RUNNING);
}

static struct engine_request request(void) {
  return (struct engine_request){.lease = SLICE("lea_1"),
                                 .customer = SLICE("acme"),
                                 .class = CLASS_SPOT,
                                 .gpu = SLICE("h100"),
                                 .gpus = {2 * QUANTITY_E9},
                                 .nodes = 1,
                                 .ends = INSTANT_MAX};
}

static bool start(struct world *w, const struct engine_request *r, slice *reference, struct error *err) {
  *err = (struct error){0};
  return w->engine->driver->start(w->engine, w->arena, r, reference, err);
}

static void a_lease_is_submitted_once(void **state) {
  struct world *w = *state;
  struct engine_request r = request();
  slice reference;
  struct error err;
  assert_true(start(w, &r, &reference, &err));
  assert_true(slice_is(reference, "lab/77"));
  slice first = logged(w, "sbatch");
  assert_non_null(strstr(log_text(w, "sbatch"), "--comment=lea_1 "));
  assert_non_null(strstr(log_text(w, "sbatch"), "--mem=2048M "));
  assert_non_null(strstr(log_text(w, "sbatch"), "--gres=gpu:h100:2 "));
  /* known in the queue; or only in the accounting, long ended */
  put(w, "queue", "77|RUNNING|1795270000\n");
  assert_true(start(w, &r, &reference, &err));
  put(w, "queue", "");
  put(w, "rows", FIRST);
  assert_true(start(w, &r, &reference, &err));
  assert_true(slice_is(reference, "lab/5"));
  assert_int_equal(logged(w, "sbatch").len, first.len);
  /* where one of the two does not answer, nobody knows: nothing is submitted */
  program(w, "sacct",
          "echo 'sacct: error: slurm_persist_conn_open: Something happened: Connection refused' >&2; exit 1");
  assert_false(start(w, &r, &reference, &err));
  assert_int_equal(err.code, ERR_BUSY);
  program(w, "squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1");
  assert_false(start(w, &r, &reference, &err));
  assert_int_equal(err.code, ERR_BUSY);
  assert_int_equal(logged(w, "sbatch").len, first.len);
}

static void what_never_answers_is_given_up(void **state) {
  struct world *w = *state;
  struct engine_request r = request();
  slice reference;
  struct error err;
  w->engine->driver->close(w->engine);
  const struct slurm_options hurried = {
      .programs = w->folder, .cluster = "lab", .user = "root", .qos = {[CLASS_SPOT] = "spot"}, .timeout_ms = 300};
  w->engine = slurm_open(&hurried, &err);
  program(w, "sbatch", "sleep 60");
  program(w, "sacctmgr", "printf 'spot|\\n'");
  assert_false(start(w, &r, &reference, &err));
  assert_int_equal(err.code, ERR_BUSY);
  assert_non_null(strstr(err.message, "did not end within 300 ms"));
  program(w, "sbatch", "printf '77\\033[31m oops'");
  assert_false(start(w, &r, &reference, &err));
  assert_int_equal(err.code, ERR_CORRUPT);
}

static void bad_requests_are_refused(void **state) {
  struct world *w = *state;
  slice reference;
  struct error err;
#define REFUSED(change, expected)                                                                                      \
  do {                                                                                                                 \
    struct engine_request r = request();                                                                               \
    r.change;                                                                                                          \
    assert_false(start(w, &r, &reference, &err));                                                                      \
    assert_int_equal(err.code, expected);                                                                              \
  } while (0)
  REFUSED(lease = SLICE("lea 1"), ERR_INVALID);
  REFUSED(lease = SLICE("-x"), ERR_INVALID);
  REFUSED(lease = SLICE(""), ERR_INVALID);
  REFUSED(gpu = SLICE("b200"), ERR_NOT_FOUND);
  REFUSED(class = CLASS_PRIORITY, ERR_NOT_FOUND);
  REFUSED(gpus.e9 = QUANTITY_E9 / 2, ERR_INVALID);
  REFUSED(gpus.e9 = 0, ERR_INVALID);
  REFUSED(gpus.e9 = -QUANTITY_E9, ERR_INVALID);
  REFUSED(nodes = 0, ERR_INVALID);
  REFUSED(notice_s = -1, ERR_INVALID);
  REFUSED(ends.ns = 1, ERR_INVALID);
  REFUSED(directory = SLICE("here"), ERR_INVALID);
  REFUSED(directory = SLICE("/a\nb"), ERR_INVALID);
  REFUSED(command = ((slice){"a\0b", 3}), ERR_LIMIT);
  assert_int_equal(logged(w, "sbatch").len, 0);
}

static void note(void *context, const char *what) {
  struct buf *to = context;
  buf_addf(to, "%s\n", what);
}

static void unfit_settings_are_named(void **state) {
  struct world *w = *state;
  struct engine_request r = request();
  slice reference;
  struct error err;
  struct buf found;
  buf_init(&found, 10000);
  assert_true(slurm_check_settings(w->engine, note, &found, &err));
  assert_int_equal(found.len, 0);
  w->engine->driver->close(w->engine);
  const struct slurm_options options = {
      .programs = w->folder, .cluster = "lab", .user = "root", .qos = {"ondemand", NULL, "priority", "spot"}};
  w->engine = slurm_open(&options, &err);
  put(w, "config",
      "ClusterName = lab\nAccountingStorageType = accounting_storage/slurmdbd\n"
      "AccountingStorageTRES = cpu,mem,gres/gpu\nAccountingStorageEnforce = associations,limits,qos\n");
  program(w, "sacctmgr", "printf 'ondemand|\\nspot|\\n'");
  assert_true(slurm_check_settings(w->engine, note, &found, &err));
  buf_addc(&found, 0);
  const char *const expected[] = {"AccountingStoreFlags lacks job_comment",
                                  "AccountingStorageEnforce lacks safe",
                                  "PreemptType lacks preempt/qos",
                                  "preempt_send_user_signal",
                                  "QOS priority is not there",
                                  "QOS ondemand does not pre-empt spot"};
  for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) assert_non_null(strstr(found.ptr, expected[i]));
  buf_free(&found);
  assert_false(start(w, &r, &reference, &err));
  assert_int_equal(err.code, ERR_INVALID);
  assert_non_null(strstr(err.message, "job_comment"));
  put(w, "config", config);
  assert_true(start(w, &r, &reference, &err));
}

static void options_are_looked_at(void **state) {
  (void)state;
  struct error err;
  const struct slurm_options wrong[] = {
      {.user = "root", .qos = {"a"}},
      {.cluster = "lab", .qos = {"a"}},
      {.cluster = "lab", .user = "root"},
      {.cluster = "lab,other", .user = "root", .qos = {"a"}},
      {.cluster = "lab", .user = "root", .qos = {"a", "a"}},
      {.cluster = "lab", .user = "root", .qos = {"a b"}},
      {.cluster = "lab", .user = "root", .qos = {"a"}, .account_prefix = "Caps"},
      {.cluster = "lab", .user = "root", .qos = {"a"}, .directory = "here"},
      {.cluster = "lab", .user = "-root", .qos = {"a"}},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    err = (struct error){0};
    assert_null(slurm_open(&wrong[i], &err));
    assert_int_equal(err.code, ERR_INVALID);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_runs_number_does_not_depend_on_the_question, begin, end),
      cmocka_unit_test_setup_teardown(midnight_parts_nothing, begin, end),
      cmocka_unit_test_setup_teardown(a_dead_node_is_seen_by_our_own_heartbeat, begin, end),
      cmocka_unit_test_setup_teardown(anothers_comment_is_not_a_lease, begin, end),
      cmocka_unit_test_setup_teardown(a_runaway_does_not_run_for_ever, begin, end),
      cmocka_unit_test_setup_teardown(a_run_ends_before_the_next, begin, end),
      cmocka_unit_test_setup_teardown(a_lease_is_submitted_once, begin, end),
      cmocka_unit_test_setup_teardown(what_never_answers_is_given_up, begin, end),
      cmocka_unit_test_setup_teardown(bad_requests_are_refused, begin, end),
      cmocka_unit_test_setup_teardown(unfit_settings_are_named, begin, end),
      cmocka_unit_test(options_are_looked_at),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
