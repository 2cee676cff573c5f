/* What exporters say, in their own words: DCGM, vLLM, node_exporter and OpenMetrics; numbers exactly; and what is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "pull/private.h"
#include <stdlib.h>
#include <string.h>

static struct arena *arena;

static int begin(void **state) {
  (void)state;
  arena = arena_new();
  return 0;
}

static int end(void **state) {
  (void)state;
  arena_free(arena);
  return 0;
}

static struct exposition captured(const char *name, bool open_metrics) {
  struct error err = {0};
  struct exposition out = {0};
  slice text;
  const char *path = arena_printf(arena, "%s/tests/fuzz/corpus/exposition/%s", getenv("MH_ROOT"), name);
  if (!file_read(arena, path, 1u << 20, &text, &err) || !exposition_parse(arena, text, open_metrics, &out, &err)) {
    fail_msg("%s: %s", name, err.message);
  }
  return out;
}

/* The i-th sample of that metric. */
static const struct sample *find(const struct exposition *text, const char *metric, size_t i) {
  for (size_t at = 0; at < text->count; at++) {
    if (slice_is(text->samples[at].metric, metric) && i-- == 0) {
      return &text->samples[at];
    }
  }
  fail_msg("%s is not there", metric);
  return NULL;
}

static void label_is(const struct sample *s, const char *name, const char *value) {
  slice found = sample_label_value(s, slice_of(name));
  if (!slice_is(found, value)) {
    fail_msg("%s is \"" SLICE_FMT "\", not \"%s\"", name, SLICE_ARG(found), value);
  }
}

static void number_is(const char *text, const char *expected) {
  quantity q;
  char got[DECIMAL_TEXT_MAX];
  assert_true(sample_quantity(slice_of(text), &q));
  assert_string_equal(quantity_text(q, got), expected);
}

static void reads_dcgm(void **state) {
  (void)state;
  struct exposition text = captured("dcgm", false);
  assert_int_equal(text.count, 6);
  const struct sample *used = find(&text, "DCGM_FI_DEV_FB_USED", 1), *busy = find(&text, "DCGM_FI_DEV_GPU_UTIL", 0);
  label_is(used, "UUID", "GPU-0d2c9c44-6a5e-4a55-b1a1-2f8f0f3a9b21");
  label_is(used, "Hostname", "gpu-node-1");
  label_is(used, "namespace", "");
  assert_int_equal(used->label_count, 7); /* empty labels are none */
  assert_true(slice_is(used->value, "4"));
  label_is(busy, "namespace", "team-a");
  label_is(busy, "gpu", "0");
  assert_true(slice_is(busy->value, "87"));
}

static void reads_vllm(void **state) {
  (void)state;
  struct exposition text = captured("vllm", false);
  const struct sample *prompt = find(&text, "vllm:prompt_tokens_total", 0);
  label_is(prompt, "model_name", "meta-llama/Llama-3.1-8B-Instruct");
  assert_true(slice_is(prompt->value, "1.2345678e+07"));
  assert_true(slice_is(find(&text, "vllm:num_requests_running", 0)->value, "3.0"));
  label_is(find(&text, "vllm:time_to_first_token_seconds_bucket", 1), "le", "+Inf");
}

static void reads_node_exporter(void **state) {
  (void)state;
  struct exposition text = captured("node", false);
  const struct sample *odd = find(&text, "msdos_file_access_time_seconds", 0);
  label_is(find(&text, "node_cpu_seconds_total", 1), "mode", "iowait");
  label_is(odd, "path", "C:\\DIR\\FILE.TXT");
  label_is(odd, "error", "Cannot find file:\n\"FILE.TXT\"");
  assert_true(slice_is(sample_series(arena, odd->metric, odd),
                       "msdos_file_access_time_seconds{error=\"Cannot find file:\\n\\\"FILE.TXT\\\"\","
                       "path=\"C:\\\\DIR\\\\FILE.TXT\"}"));
  assert_true(slice_is(find(&text, "nothing_known", 0)->value, "NaN"));
}

static void reads_open_metrics(void **state) {
  (void)state;
  struct exposition text = captured("openmetrics", true);
  assert_int_equal(text.count, 6);
  const struct sample *tokens = find(&text, "tokens_total", 0);
  label_is(tokens, "model", "a \"b\" \\ c\nd");
  assert_int_equal(tokens->label_count, 1); /* the exemplar's are not its own */
  assert_true(slice_is(tokens->value, "17.0"));
}

static void numbers_are_exact(void **state) {
  (void)state;
  number_is("0", "0");
  number_is("17.0", "17");
  number_is("1.2345678e+07", "12345678");
  number_is("1.047384E6", "1047384");
  number_is("14.680000000000001", "14.68"); /* beyond 1e-9 it is cut */
  number_is("0.0000000019", "0.000000001");
  number_is("1e-10", "0");
  number_is("9007199254740993", "9007199254740993"); /* no double holds it */
  number_is("123456789012345678.123456789", "123456789012345678.123456789");
  number_is("-3.5", "-3.5");
  number_is("+2", "2");
  number_is(".5", "0.5");
  number_is("0e9999", "0");
  number_is("1e20", "100000000000000000000");
  quantity q;
  static const char *const none[] = {"NaN", "+Inf", "-inf", "1e300", "1e40", "100000000000000000000.1",
                                     "",    "1x",   "0x10", "--1"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    assert_false(sample_quantity(slice_of(none[i]), &q));
  }
}

static void same_series_same_name(void **state) {
  (void)state;
  struct exposition text;
  struct error err = {0};
  assert_true(exposition_parse(arena,
                               SLICE("m{b=\"2\",a=\"1\"} 1\nm { a = \"1\" , b=\"2\" , c=\"\",} 2 1700000000000\nm 3\n"),
                               false, &text, &err));
  slice first = sample_series(arena, SLICE("m"), &text.samples[0]);
  assert_true(slice_is(first, "m{a=\"1\",b=\"2\"}"));
  assert_true(slice_eq(first, sample_series(arena, SLICE("m"), &text.samples[1])));
  assert_true(slice_is(sample_series(arena, SLICE("m"), &text.samples[2]), "m"));
}

static void refused(const char *text, bool open_metrics, const char *why) {
  struct exposition out;
  struct error err = {0};
  assert_false(exposition_parse(arena, slice_of(text), open_metrics, &out, &err));
  if (strstr(err.message, why) == NULL) {
    fail_msg("%s: \"%s\" should say \"%s\"", text, err.message, why);
  }
}

static void refuses_with_a_reason(void **state) {
  (void)state;
  refused("a 1\nb 2", false, "line 2: the last line has no end");
  refused("a 1\nb{x=\"1} 2\n", false, "line 2: the quotes");
  refused("a{x=\"\\q\"} 2\n", false, "backslash");
  refused("a{x=\"1\",x=\"2\"} 2\n", false, "there twice");
  refused("a{x=1} 2\n", false, "double quotes");
  refused("a{x} 2\n", false, "labels are written");
  refused("a{x=\"1\" y=\"2\"} 2\n", false, "followed by , or }");
  refused("a\n", false, "not a number");
  refused("a one\n", false, "not a number");
  refused("a 1 soon\n", false, "timestamp");
  refused("a 1 2 3\n", false, "behind the sample");
  refused("<html>\n", false, "begins with the name");
  refused("a{x=\"\xff\"} 1\n", false, "UTF-8");
  refused("a 1\n", true, "# EOF is missing");
  refused("a 1\n# EOF\nb 1\n", true, "behind # EOF");
  refused("a 1\n\n# EOF\n", true, "blank lines");
  refused("a 1 # x\n# EOF\n", true, "exemplar");
  refused("# TYPE 1\n", false, "followed by the name");
}

static void holds_to_its_limits(void **state) {
  (void)state;
  struct buf b;
  buf_init(&b, 8u << 20);
  buf_addf(&b, "a{l=\"1\"");
  for (int i = 0; i < PULL_LABELS_MAX; i++) {
    buf_addf(&b, ",l%d=\"1\"", i);
  }
  buf_addf(&b, "} 1\n");
  buf_addc(&b, '\0');
  refused(b.ptr, false, "more than 64 labels");
  b.len = 0;
  for (int i = 0; i <= PULL_SAMPLES_MAX; i++) {
    buf_addf(&b, "a 1\n");
  }
  buf_addc(&b, '\0');
  refused(b.ptr, false, "more than 200000 samples");
  buf_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(reads_dcgm, begin, end),
      cmocka_unit_test_setup_teardown(reads_vllm, begin, end),
      cmocka_unit_test_setup_teardown(reads_node_exporter, begin, end),
      cmocka_unit_test_setup_teardown(reads_open_metrics, begin, end),
      cmocka_unit_test_setup_teardown(numbers_are_exact, begin, end),
      cmocka_unit_test_setup_teardown(same_series_same_name, begin, end),
      cmocka_unit_test_setup_teardown(refuses_with_a_reason, begin, end),
      cmocka_unit_test_setup_teardown(holds_to_its_limits, begin, end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
