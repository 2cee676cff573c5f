/* What Slurm's programs print, as recorded from 22.05.8, and as a hostile customer would have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "sell/slurm_private.h"
#include <inttypes.h>

#define SEPARATOR "<#a1b2#>"

/* Recorded rows are written with '@' where the separator stood. */
static bool parse(struct arena *arena, const char *text, struct slurm_row **rows, size_t *count, struct error *err) {
  struct buf out;
  buf_init(&out, 1 << 20);
  for (const char *c = text; *c; c++) {
    if (*c == '@') {
      buf_add(&out, SLICE(SEPARATOR));
    } else {
      buf_addc(&out, *c);
    }
  }
  slice copy = arena_copy(arena, buf_slice(&out));
  buf_free(&out);
  return slurm_parse_rows(arena, copy, SLICE(SEPARATOR), rows, count, err);
}

static const char preempted[] = "19@10@lab@root@acme-1_2e_58@spot@gpu@PREEMPTED@0:0@1795271278@1795271278@1795271282@"
                                "00:00:00@billing=16,cpu=16,gres/gpu:h100=16,gres/gpu=16,mem=16G,node=2@"
                                "billing=16,cpu=16,gres/gpu:h100=16,gres/gpu=16,mem=16G,node=2@gpu[01-02]@"
                                "meterhouse-lea_11@lea_11@\n";
static const char requeued[] = "22@10@lab@root@acme-1_2e_58@spot@gpu@PENDING@0:0@1795271282@Unknown@Unknown@00:00:00@@"
                               "billing=16,cpu=16,gres/gpu:h100=16,gres/gpu=16,mem=16G,node=2@None assigned@"
                               "meterhouse-lea_11@@\n";
static const char suspended[] = "6@6@lab@root@acme@ondemand@gpu@SUSPENDED@0:0@1795271006@1795271006@Unknown@00:00:03@"
                                "billing=1,cpu=1,gres/gpu:h100=1,gres/gpu=1,mem=100M,node=1@"
                                "billing=1,cpu=1,gres/gpu=1,mem=100M,node=1@gpu01@s2@@\n";

static void a_requeued_job_has_two_rows(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  struct slurm_row *rows = NULL;
  size_t count = 0;
  struct error err = {0};
  char both[2048];
  snprintf(both, sizeof both, "%s%s", preempted, requeued);
  assert_true(parse(arena, both, &rows, &count, &err));
  assert_int_equal(count, 2);
  assert_int_equal(rows[0].job, 10);
  assert_int_equal(rows[1].job, 10);
  assert_int_equal(rows[0].row, 19);
  assert_int_equal(rows[1].row, 22);
  assert_int_equal(rows[0].gpus, 16);
  assert_true(slice_is(rows[0].gpu, "h100"));
  assert_int_equal(rows[0].to.ns - rows[0].from.ns, 4 * NS_PER_S);
  assert_int_equal(slurm_state(rows[0].state), ENGINE_PREEMPTED);
  assert_int_equal(slurm_state(rows[1].state), ENGINE_PENDING);
  assert_false(rows[1].allocated);
  assert_int_equal(rows[1].gpus, 16); /* asked for */
  assert_int_equal(rows[1].nodes.len, 0);
  assert_true(slice_is(slurm_row_lease(&rows[0], "root"), "lea_11"));
  assert_true(slice_is(slurm_row_lease(&rows[1], "root"), "lea_11"));
  arena_free(arena);
}

static void suspended_time_is_told(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  struct slurm_row *rows = NULL;
  size_t count = 0;
  struct error err = {0};
  assert_true(parse(arena, suspended, &rows, &count, &err));
  assert_int_equal(rows[0].suspended_s, 3);
  assert_int_equal(slurm_state(rows[0].state), ENGINE_RUNNING);
  assert_int_equal(rows[0].to.ns, INSTANT_MAX.ns);
  int64_t s = 0;
  assert_true(slurm_parse_elapsed(SLICE("2-03:04:05"), &s) && s == ((2 * 24 + 3) * 60 + 4) * 60 + 5);
  assert_true(slurm_parse_elapsed(SLICE("04:05"), &s) && s == 245);
  const char *const wrong[] = {"",      "5", "1-2", "1-02:03", "-1:00:00", "1:2:3:4", "a:b", "99999999999999999999:00",
                               "1:-1:0"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_false(slurm_parse_elapsed(slice_of(wrong[i]), &s));
  arena_free(arena);
}

/* A comment or a name that looks like a row is text all the same. */
static void text_forges_no_row(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  struct slurm_row *rows = NULL;
  size_t count = 0;
  struct error err = {0};
  char text[4096];
  snprintf(
      text, sizeof text,
      "7@7@lab@mallory@globex@spot@gpu@COMPLETED@0:0@1795271006@1795271006@1795271016@00:00:00@gres/gpu=8@gres/gpu=8"
      "@gpu01@a|b\n\n\"name'@lea_1\n8|8|lab|root|acme|spot|gpu|COMPLETED|0:0|1|1|2|00:00:00|gres/gpu=1|x|y|z\n@\n%s",
      suspended);
  assert_true(parse(arena, text, &rows, &count, &err));
  assert_int_equal(count, 2);
  assert_int_equal(rows[0].row, 7);
  assert_true(slice_starts(rows[0].comment, "lea_1\n8|8|lab"));
  assert_int_equal(rows[1].row, 6);
  arena_free(arena);
}

static void only_our_own_jobs_are_leases(void **state) {
  (void)state;
  struct slurm_row row = {.user = SLICE("root"),
                          .name = SLICE("meterhouse-lea_1"),
                          .comment = SLICE("lea_1"),
                          .allocated = true,
                          .to = {5}};
  assert_true(slice_is(slurm_row_lease(&row, "root"), "lea_1"));
  assert_int_equal(slurm_row_lease(&row, "meterhouse").len, 0); /* another Unix user wrote it */
  row.comment = SLICE("lea_2");
  assert_int_equal(slurm_row_lease(&row, "root").len, 0);
  row.comment = SLICE("");
  assert_int_equal(slurm_row_lease(&row, "root").len, 0); /* ended: the comment must be there */
  row.to = INSTANT_MAX;
  assert_true(slice_is(slurm_row_lease(&row, "root"), "lea_1")); /* the accounting has it only from the end */
  row.name = SLICE("lea_1");
  assert_int_equal(slurm_row_lease(&row, "root").len, 0);
  row.name = SLICE("meterhouse-lea 1");
  assert_int_equal(slurm_row_lease(&row, "root").len, 0);
}

static void gpus_are_counted_once(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  static const struct {
    const char *text;
    uint64_t gpus;
    const char *type;
  } cases[] = {{"billing=2,cpu=2,gres/gpu:h100=2,gres/gpu=2,mem=1000M,node=1", 2, "h100"},
               {"gres/gpu=4", 4, ""},
               {"gres/gpu:a100=4", 4, "a100"},
               {"gres/gpu:a100=4,gres/gpu:h100=2,gres/gpu=6", 6, "a100+h100"},
               {"gres/gpu:a100=4,gres/gpu=6", 6, ""}, /* two of a type nobody accounts for */
               {"gres/gpu:1g.5gb=7,gres/gpu=7", 7, "1g.5gb"},
               {"cpu=2,mem=1000M", 0, ""},
               {"gres/gpumem=80G,gres/gpuutil=90,gres/gpu=1", 1, ""},
               {"", 0, ""}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint64_t gpus = 99;
    slice type = {NULL, 0};
    assert_true(slurm_parse_tres(arena, slice_of(cases[i].text), &gpus, &type));
    assert_int_equal(gpus, cases[i].gpus);
    assert_true(slice_is(type, cases[i].type));
  }
  const char *const wrong[] = {
      "gres/gpu=",   "gres/gpu=-1", "gres/gpu=2.5", "gres/gpu=99999999999999999999", "gres/gpu=1,gres/gpu=2",
      "gres/gpu:=2", "gres/gpu"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    uint64_t gpus;
    slice type;
    assert_false(slurm_parse_tres(arena, slice_of(wrong[i]), &gpus, &type));
  }
  arena_free(arena);
}

static void refuses(const char *text, const char *field) {
  struct arena *arena = arena_new();
  struct slurm_row *rows = NULL;
  size_t count = 0;
  struct error err = {0};
  assert_false(parse(arena, text, &rows, &count, &err));
  assert_int_equal(err.code, ERR_CORRUPT);
  assert_non_null(strstr(err.message, field));
  arena_free(arena);
}

/* Nothing is passed over in silence: a row that can not be read would be usage that nobody bills. */
static void other_output_is_refused(void **state) {
  (void)state;
  refuses("sacct: something else\n", "row 1, its end");
  refuses("1@2@3@\n", "row 1, its end");
  char text[4096];
  snprintf(text, sizeof text, "%s%.*s", preempted, 100, suspended);
  refuses(text, "row 2, its end");
  snprintf(text, sizeof text, "x%s", preempted);
  refuses(text, "row 1, DBIndex");
  refuses("1@x@l@u@a@q@p@RUNNING@0:0@1@1@2@00:00:00@@@n@j@c@\n", "JobIDRaw");
  refuses("1@1@l@u@a@q@p@RUNNING@0@1@1@2@00:00:00@@@n@j@c@\n", "ExitCode");
  refuses("1@1@l@u@a@q@p@RUNNING@0:0@Unknown@1@2@00:00:00@@@n@j@c@\n", "Submit");
  refuses("1@1@l@u@a@q@p@RUNNING@0:0@1@2026-11-21T00:00:00@2@00:00:00@@@n@j@c@\n", "Start");
  refuses("1@1@l@u@a@q@p@RUNNING@0:0@1@1@2@00:00:00@gres/gpu=many@@n@j@c@\n", "AllocTRES");
}

static void states_have_meanings(void **state) {
  (void)state;
  assert_int_equal(slurm_state(SLICE("CANCELLED by 1000")), ENGINE_ENDED);
  assert_int_equal(slurm_state(SLICE("NODE_FAIL")), ENGINE_FAILED);
  assert_int_equal(slurm_state(SLICE("BOOT_FAIL")), ENGINE_FAILED);
  assert_int_equal(slurm_state(SLICE("FAILED")), ENGINE_ENDED); /* of itself, with its exit status */
  assert_int_equal(slurm_state(SLICE("TIMEOUT")), ENGINE_ENDED);
  assert_int_equal(slurm_state(SLICE("NEWLY_INVENTED")), ENGINE_UNKNOWN);
}

static const char node_lines[] =
    "NodeName=gpu01 Arch=x86_64 CoresPerSocket=1  CPUAlloc=1 Gres=gpu:h100:8(S:0,2),gpu:a100:2 NodeAddr=127.0.0.1 "
    "NodeHostName=vm Port=28001 Version=22.05.8 OS=Linux 6.18 #1 SMP State=FORGED @0  State=MIXED ThreadsPerCore=1\n"
    "NodeName=gpu02 CPUTot=64 Gres=gpu:8 NodeAddr=10.0.0.2 Port=28002 State=DOWN* Partitions=gpu  "
    "Reason=Not responding State=IDLE [slurm@1795270597]\n";

static void nodes_are_read(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  struct slurm_node *nodes = NULL;
  size_t count = 0;
  struct error err = {0};
  assert_true(slurm_parse_nodes(arena, SLICE(node_lines), &nodes, &count, &err));
  assert_int_equal(count, 2);
  assert_true(slice_is(nodes[0].gres, "gpu:h100:8(S:0,2),gpu:a100:2"));
  assert_int_equal(nodes[0].port, 28001);
  assert_int_equal(nodes[0].reason_at.ns, INSTANT_MAX.ns);
  assert_true(slice_is(nodes[1].state, "DOWN*"));
  assert_int_equal(nodes[1].reason_at.ns / NS_PER_S, 1795270597);
  assert_true(slurm_parse_nodes(arena, SLICE("No nodes in the system\n"), &nodes, &count, &err));
  assert_int_equal(count, 0);
  assert_false(slurm_parse_nodes(arena, SLICE("NodeName=a\n"), &nodes, &count, &err));
  assert_int_equal(err.code, ERR_CORRUPT);
  arena_free(arena);
}

static void used_minutes_are_the_accounts_own(void **state) {
  (void)state;
  static const char out[] = "Current Association Manager state\nAssociation Records\n"
                            "ClusterName=lab Account=acme UserName=root(0) GrpTRESMins=cpu=N(0),gres/gpu=N(99)\n"
                            "ClusterName=other Account=acme UserName= GrpTRESMins=cpu=N(0),gres/gpu=N(7)\n"
                            "ClusterName=lab Account=acme UserName= Partition= GrpTRES=gres/gpu=N(3) "
                            "GrpTRESMins=cpu=N(0),gres/gpu=120(5),gres/gpu:h100=N(4) GrpTRESRunMins=gres/gpu=N(1)\n";
  uint64_t used = 0;
  struct error err = {0};
  assert_true(slurm_parse_used(SLICE(out), SLICE("lab"), SLICE("acme"), &used, &err));
  assert_int_equal(used, 5);
  assert_false(slurm_parse_used(SLICE(out), SLICE("lab"), SLICE("globex"), &used, &err));
  assert_int_equal(err.code, ERR_CORRUPT);
}

static void complaints_are_sorted(void **state) {
  (void)state;
  assert_int_equal(
      slurm_complaint(SLICE("slurm_load_jobs error: Unable to contact slurm controller (connect failure)")), ERR_BUSY);
  assert_int_equal(slurm_complaint(SLICE("sbatch: error: Batch job submission failed: Invalid account or "
                                         "account/partition combination specified")),
                   ERR_NOT_FOUND);
  assert_int_equal(slurm_complaint(SLICE("sbatch: error: Batch job submission failed: Requested node configuration is "
                                         "not available")),
                   ERR_LIMIT);
  assert_int_equal(
      slurm_complaint(SLICE("sbatch: error: Batch job submission failed: Job violates accounting/QOS policy "
                            "(job submit limit, user's size and/or time limits)")),
      ERR_LIMIT);
  assert_int_equal(slurm_complaint(SLICE("Access/permission denied")), ERR_DENIED);
  assert_int_equal(slurm_complaint(SLICE("something new")), ERR_IO);
}

static void account_is(struct arena *arena, const char *prefix, slice customer, const char *expected) {
  char account[SLURM_ACCOUNT_BYTES_MAX + 1];
  struct error err = {0};
  assert_true(slurm_account_name(prefix, customer, account, &err));
  assert_string_equal(account, expected);
  assert_true(slice_eq(slurm_account_customer(arena, prefix, slice_of(account)), customer));
}

static void accounts_are_reversible(void **state) {
  (void)state;
  struct arena *arena = arena_new();
  char account[SLURM_ACCOUNT_BYTES_MAX + 1], long_id[300];
  struct error err = {0};
  account_is(arena, "", SLICE("acme"), "acme");
  account_is(arena, "mh_", SLICE("acme"), "mh_acme");
  account_is(arena, "", SLICE("Acme_1.eu"), "_41cme_5f1_2eeu");
  account_is(arena, "", SLICE("-a,b=c d"), "_2da_2cb_3dc_20d");
  account_is(arena, NULL, SLICE("\xc3\xa9\x01"), "_c3_a9_01");
  memset(long_id, 'A', sizeof long_id);
  assert_false(slurm_account_name("", (slice){long_id, sizeof long_id}, account, &err));
  assert_int_equal(err.code, ERR_LIMIT);
  assert_false(slurm_account_name("", SLICE(""), account, &err));
  const char *const nobody[] = {"", "_", "_4", "_zz", "_61", "a_2D", "-a", "A", "a.b", "my_team"};
  for (size_t i = 0; i < sizeof nobody / sizeof *nobody; i++) {
    assert_int_equal(slurm_account_customer(arena, "", slice_of(nobody[i])).len, 0);
  }
  assert_int_equal(slurm_account_customer(arena, "mh_", SLICE("acme")).len, 0);
  assert_int_equal(slurm_account_customer(arena, "mh_", SLICE("mh_")).len, 0);
  struct random random;
  random_seed(&random, 11, 0);
  for (int i = 0; i < 2000; i++) {
    char id[48];
    size_t len = 1 + random_below(&random, sizeof id - 1);
    for (size_t j = 0; j < len; j++) id[j] = (char)random_below(&random, 256);
    assert_true(slurm_account_name("", (slice){id, len}, account, &err));
    for (const char *c = account; *c; c++) assert_non_null(strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", *c));
    assert_true(slice_eq(slurm_account_customer(arena, "", slice_of(account)), (slice){id, len}));
  }
  arena_free(arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_requeued_job_has_two_rows),
      cmocka_unit_test(suspended_time_is_told),
      cmocka_unit_test(text_forges_no_row),
      cmocka_unit_test(only_our_own_jobs_are_leases),
      cmocka_unit_test(gpus_are_counted_once),
      cmocka_unit_test(other_output_is_refused),
      cmocka_unit_test(states_have_meanings),
      cmocka_unit_test(nodes_are_read),
      cmocka_unit_test(used_minutes_are_the_accounts_own),
      cmocka_unit_test(complaints_are_sorted),
      cmocka_unit_test(accounts_are_reversible),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
