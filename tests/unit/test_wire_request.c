/* Requests read, refused and edited; errors in the shape of each door. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "wire/wire.h"
#include <stdlib.h>
#include <string.h>

static struct arena *arena;

static int set_up(void **state) {
  (void)state;
  arena = arena_new();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  arena_free(arena);
  return 0;
}

static struct wire_request read_one(enum wire_door door, const char *body) {
  struct wire_request request;
  struct error err = {0};
  if (!wire_request_read(arena, door, slice_of(body), &request, &err)) {
    fail_msg("%s: %s", body, err.message);
  }
  return request;
}

static void what_is_read(void **state) {
  (void)state;
  struct wire_request r = read_one(
      WIRE_CHAT, "{\"model\":\"gl\\u00fcck\",\"stream\":true,\"stream_options\":{\"x\":[],\"include_usage\":true},"
                 "\"max_tokens\":1,\"max_completion_tokens\":10000,\"n\":3,\"service_tier\":\"flex\","
                 "\"user\":\"u\",\"prompt_cache_key\":\"k\",\"messages\":[{\"max_tokens\":7,\"n\":200}]}");
  assert_true(slice_is(r.model, "glück") && slice_is(r.tier, "flex") && slice_is(r.session, "k"));
  assert_true(r.stream && r.usage_asked);
  assert_int_equal(r.max_tokens, 10000);
  assert_int_equal(r.choices, 3);
  assert_int_equal(r.input_tokens_max, r.body.len);
  r = read_one(WIRE_MESSAGES, "{\"metadata\":{\"user_id\":\"s\"},\"model\":\"m\",\"stream\":null,\"max_tokens\":null}");
  assert_true(slice_is(r.session, "s") && !r.stream && !r.usage_asked && r.max_tokens == -1 && r.choices == 1);
}

/* A small limit that the server does not know is none: it would hold little and generate much. */
static void limits_that_bind(void **state) {
  (void)state;
  assert_int_equal(read_one(WIRE_CHAT, "{\"model\":\"m\",\"n_predict\":1}").max_tokens, -1);
  assert_int_equal(read_one(WIRE_CHAT, "{\"model\":\"m\",\"max_output_tokens\":1}").max_tokens, -1);
  assert_int_equal(read_one(WIRE_COMPLETIONS, "{\"model\":\"m\",\"max_completion_tokens\":1}").max_tokens, -1);
  assert_int_equal(read_one(WIRE_RESPONSES, "{\"model\":\"m\",\"max_tokens\":1}").max_tokens, -1);
  assert_int_equal(read_one(WIRE_RESPONSES, "{\"model\":\"m\",\"max_output_tokens\":1}").max_tokens, 1);
  assert_int_equal(read_one(WIRE_CHAT, "{\"model\":\"m\",\"max_completion_tokens\":2}").max_tokens, 2);
  assert_int_equal(read_one(WIRE_CHAT, "{\"model\":\"m\",\"max_tokens\":2,\"n_predict\":900}").max_tokens, 900);
}

static void prompts_of_completions(void **state) {
  (void)state;
  static const struct {
    const char *prompt;
    int64_t choices;
  } cases[] = {{"\"a\"", 4}, {"null", 4}, {"[]", 4}, {"[1,2,3]", 4}, {"[\"a\",\"b\"]", 8}, {"[[1,2],[3],[4]]", 12}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct wire_request r =
        read_one(WIRE_COMPLETIONS,
                 arena_printf(arena, "{\"model\":\"m\",\"n\":2,\"best_of\":4,\"prompt\":%s}", cases[i].prompt));
    assert_int_equal(r.choices, cases[i].choices);
  }
  assert_int_equal(read_one(WIRE_EMBEDDINGS, "{\"model\":\"m\",\"n\":9,\"input\":[\"a\",\"b\"]}").choices, 1);
}

/* Data of images is not counted byte by byte, but only where nobody reads it as text. */
static void parts_that_are_not_text(void **state) {
  (void)state;
  const char *image =
      "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{"
      "\"url\":\"data:image/png;base64,AAAAAAAAAAAAAAAAAAAA\"}},{\"type\":\"text\",\"text\":\"data:\"}]}]}";
  struct wire_request r = read_one(WIRE_CHAT, image);
  assert_int_equal(r.parts_not_text, 1);
  assert_int_equal(r.input_tokens_max, strlen(image) - 42 + 4096);
  const char *text =
      "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"url\":\"data:AAAA\","
      "\"text\":\"x\"},{\"type\":\"document\",\"source\":{\"type\":\"text\",\"data\":\"long\"}}]}],"
      "\"tools\":[{\"type\":\"image\",\"url\":\"data:AAAA\"}]}";
  r = read_one(WIRE_MESSAGES, text);
  assert_int_equal(r.parts_not_text, 1);
  assert_int_equal(r.input_tokens_max, strlen(text) + 4096);
  const char *source =
      "{\"model\":\"m\",\"messages\":[{\"content\":[{\"source\":{\"type\":\"base64\",\"data\":\"AAAA\"},"
      "\"type\":\"image\"}]}]}";
  assert_int_equal(read_one(WIRE_MESSAGES, source).input_tokens_max, strlen(source) - 4 + 4096);
}

static uint64_t prefix_of(const char *messages) {
  return read_one(WIRE_CHAT, arena_printf(arena, "{\"model\":\"m\",\"messages\":%s}", messages)).prefix;
}

static void conversations_begin_alike(void **state) {
  (void)state;
  const uint64_t first = prefix_of("[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"a\"}]");
  assert_true(first == prefix_of("[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"a\"},"
                                 "{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"user\",\"content\":\"c\"}]"));
  assert_true(first != prefix_of("[{\"role\":\"system\",\"content\":\"t\"},{\"role\":\"user\",\"content\":\"a\"}]"));
  assert_true(first != prefix_of("[{\"role\":\"user\",\"content\":\"a\"}]"));
}

static void refusals(void **state) {
  (void)state;
  static const struct {
    const char *body, *says;
  } cases[] = {
      {"", "empty"},
      {"[]", "one JSON object"},
      {"\"x\"", "one JSON object"},
      {"{\"model\":\"m\"", "ends too early"},
      {"{\"model\":\"m\"} x", "after the end"},
      {"{\"model\":\"m\",}", "out of place"},
      {"{\"model\":\"\xff\"}", "UTF-8"},
      {"{\"model\":\"m\",\"a\":\"\xc3\"}", "UTF-8"},
      {"{\"model\":\"m\",\"a\":\"\xed\xa0\x80\"}", "UTF-8"},
      {"{\"model\":\"m\",\"a\":\"\\ud800\"}", "surrogate"},
      {"{\"model\":\"m\",\"a\":\"\n\"}", "control"},
      {"{\"model\":\"m\",\"a\":01}", "number"},
      {"{\"model\":\"m\",\"a\":nul}", "word"},
      {"{\"model\":\"m\",\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", "levels"},
      {"{}", "model: must be given"},
      {"{\"model\":null}", "model: must be given"},
      {"{\"model\":\"\"}", "model: must be a string"},
      {"{\"model\":{}}", "model: must be a string"},
      {"{\"model\":\"m\",\"max_tokens\":0}", "max_tokens: must be a whole number"},
      {"{\"model\":\"m\",\"max_tokens\":-5}", "max_tokens: must be"},
      {"{\"model\":\"m\",\"max_tokens\":1.5}", "max_tokens: must be"},
      {"{\"model\":\"m\",\"max_tokens\":1e9}", "max_tokens: must be"},
      {"{\"model\":\"m\",\"max_tokens\":\"9\"}", "max_tokens: must be"},
      {"{\"model\":\"m\",\"max_tokens\":[9]}", "max_tokens: must be"},
      {"{\"model\":\"m\",\"max_completion_tokens\":99999999999999999999}", "max_completion_tokens: must be"},
      {"{\"model\":\"m\",\"n_predict\":-1}", "n_predict: must be"},
      {"{\"model\":\"m\",\"n\":0}", "n: must be"},
      {"{\"model\":\"m\",\"n\":129}", "n: must be"},
      {"{\"model\":\"m\",\"stream\":1}", "stream: must be"},
      {"{\"model\":\"m\",\"stream_options\":[]}", "stream_options: must be"},
      {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":1}}", "include_usage: must be"},
      {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":true,\"include_usage\":false}}", "once"},
      {"{\"model\":\"m\",\"max_tokens\":1,\"max_tokens\":9}", "max_tokens: given twice"},
      {"{\"model\":\"m\",\"max\\u005ftokens\":9}", "max_tokens: the name must be written without escapes"},
      {"{\"model\":\"m\",\"Max_Tokens\":9}", "max_tokens: the name must be written in small letters"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct wire_request request;
    struct error err = {0};
    if (wire_request_read(arena, WIRE_CHAT, slice_of(cases[i].body), &request, &err) ||
        !strstr(err.message, cases[i].says)) {
      fail_msg("%s: %s", cases[i].body, err.message);
    }
    assert_int_equal(err.code, ERR_INVALID);
  }
}

static void edits(void **state) {
  (void)state;
  static const struct {
    enum wire_door door;
    const char *body;
    struct wire_edits edits;
    const char *written;
  } cases[] = {
      {WIRE_CHAT, " { \"model\" : \"m\" } ", {.max_tokens = -1}, " { \"model\" : \"m\" } "},
      {WIRE_CHAT, "{\"model\":\"m\"}", {.max_tokens = 5}, "{\"max_tokens\":5,\"model\":\"m\"}"},
      {WIRE_RESPONSES, "{\"model\":\"m\"}", {.max_tokens = 5}, "{\"max_output_tokens\":5,\"model\":\"m\"}"},
      {WIRE_EMBEDDINGS, "{\"model\":\"m\"}", {.model = SLICE("x"), .max_tokens = 5}, "{\"model\":\"x\"}"},
      {WIRE_CHAT, "{\"model\":\"m\"}", {.model = SLICE("a\"b"), .max_tokens = -1}, "{\"model\":\"a\\\"b\"}"},
      {WIRE_CHAT,
       "{\"max_completion_tokens\":10000,\"max_tokens\": 1 ,\"model\":\"m\"}",
       {.max_tokens = 50},
       "{\"max_completion_tokens\":50,\"max_tokens\": 1 ,\"model\":\"m\"}"},
      {WIRE_CHAT,
       "{\"max_tokens\":null,\"n_predict\":100,\"model\":\"m\"}",
       {.max_tokens = 50},
       "{\"max_tokens\":50,\"n_predict\":50,\"model\":\"m\"}"},
      {WIRE_CHAT,
       "{\"n_predict\":1,\"max_output_tokens\":null,\"model\":\"m\"}",
       {.max_tokens = 50},
       "{\"max_tokens\":50,\"n_predict\":1,\"max_output_tokens\":null,\"model\":\"m\"}"},
      {WIRE_CHAT, "{\"max_tokens\":null,\"model\":\"m\"}", {.max_tokens = 50}, "{\"max_tokens\":50,\"model\":\"m\"}"},
      {WIRE_CHAT, "{\"max_tokens\":7,\"model\":\"m\"}", {.max_tokens = 50}, "{\"max_tokens\":7,\"model\":\"m\"}"},
      {WIRE_CHAT, "{\"model\":\"m\"}", {.max_tokens = -1, .ask_usage = true}, "{\"model\":\"m\"}"},
      {WIRE_CHAT,
       "{\"model\":\"m\",\"stream\":true}",
       {.max_tokens = -1, .ask_usage = true},
       "{\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"stream\":true}"},
      {WIRE_COMPLETIONS,
       "{\"model\":\"m\",\"stream\":true,\"stream_options\":null}",
       {.max_tokens = -1, .ask_usage = true},
       "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
      {WIRE_CHAT,
       "{\"model\":\"m\",\"stream\":true,\"stream_options\":{ }}",
       {.max_tokens = -1, .ask_usage = true},
       "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true }}"},
      {WIRE_CHAT,
       "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"y\":{\"include_usage\":true}}}",
       {.max_tokens = -1, .ask_usage = true},
       "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true,\"y\":{\"include_usage\":true}}}"},
      {WIRE_CHAT,
       "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":false}}",
       {.model = SLICE("x"), .max_tokens = 3, .ask_usage = true},
       "{\"max_tokens\":3,\"model\":\"x\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
      {WIRE_RESPONSES,
       "{\"model\":\"m\",\"stream\":true}",
       {.max_tokens = -1, .ask_usage = true},
       "{\"model\":\"m\",\"stream\":true}"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct wire_request r = read_one(cases[i].door, cases[i].body);
    struct buf out;
    buf_init(&out, 4096);
    wire_request_write(&r, &cases[i].edits, &out);
    if (!slice_is(buf_slice(&out), cases[i].written)) {
      fail_msg("%s became " SLICE_FMT, cases[i].body, SLICE_ARG(buf_slice(&out)));
    }
    buf_free(&out);
  }
}

static void assert_error(struct buf *out, const char *wanted) {
  if (!slice_is(buf_slice(out), wanted)) {
    fail_msg("found " SLICE_FMT " wanted %s", SLICE_ARG(buf_slice(out)), wanted);
  }
  out->len = 0;
}

static void errors(void **state) {
  (void)state;
  struct buf out;
  buf_init(&out, 1 << 16);
  wire_error(WIRE_CHAT, 429, "slow \"down\"", "rate_limit_exceeded", NULL, "r", &out);
  assert_error(&out, "{\"error\":{\"message\":\"slow \\\"down\\\"\",\"type\":\"rate_limit_error\",\"param\":null,"
                     "\"code\":\"rate_limit_exceeded\"}}");
  wire_error(WIRE_MESSAGES, 402, "empty", "x", "y", "r", &out);
  assert_error(&out, "{\"type\":\"error\",\"error\":{\"type\":\"billing_error\",\"message\":\"empty\"},"
                     "\"request_id\":\"r\"}");
  wire_error_from(WIRE_CHAT, 400,
                  SLICE("{\"object\":\"error\",\"message\":\"too long\",\"type\":\"BadRequestError\",\"code\":400}"),
                  "r", &out);
  assert_error(&out, "{\"error\":{\"message\":\"too long\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}}");
  wire_error_from(WIRE_MESSAGES, 404, SLICE("{\"error\":{\"message\":\"no model\",\"type\":\"NotFoundError\"}}"), "r",
                  &out);
  assert_error(&out, "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":\"no model\"},"
                     "\"request_id\":\"r\"}");
  wire_error_from(WIRE_CHAT, 502, SLICE("<html>bad gateway</html>"), "r", &out);
  assert_error(&out, "{\"error\":{\"message\":\"the model server answered with status 502\",\"type\":\"server_error\","
                     "\"param\":null,\"code\":null}}");
  wire_error_from(WIRE_CHAT, 500, SLICE("{\"error\":\"plain\"}"), "r", &out);
  assert_error(&out, "{\"error\":{\"message\":\"plain\",\"type\":\"server_error\",\"param\":null,\"code\":null}}");
  buf_free(&out);
}

static void long_errors_are_cut(void **state) {
  (void)state;
  struct buf body, out;
  struct error err = {0};
  const struct json *json;
  buf_init(&body, 1 << 20);
  buf_init(&out, 1 << 20);
  buf_add(&body, SLICE("{\"error\":{\"message\":\""));
  for (size_t i = 0; i < 5000; i++) {
    buf_add(&body, i % 2 ? SLICE("\\u0001") : SLICE("ü"));
  }
  buf_add(&body, SLICE("\"}}"));
  wire_error_from(WIRE_CHAT, 400, buf_slice(&body), "r", &out);
  assert_true(out.len <= 4096 && out.len > 1000);
  assert_true(json_parse(arena, buf_slice(&out), &json, &err));
  buf_free(&body);
  buf_free(&out);
}

static void doors(void **state) {
  (void)state;
  enum wire_door door;
  assert_true(wire_door_of(SLICE("responses"), &door) && door == WIRE_RESPONSES);
  assert_false(wire_door_of(SLICE("resp"), &door));
  assert_string_equal(wire_door_path(WIRE_MESSAGES), "/v1/messages");
  assert_string_equal(wire_door_name(WIRE_EMBEDDINGS), "embeddings");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_read),
                                     cmocka_unit_test(limits_that_bind),
                                     cmocka_unit_test(prompts_of_completions),
                                     cmocka_unit_test(parts_that_are_not_text),
                                     cmocka_unit_test(conversations_begin_alike),
                                     cmocka_unit_test(refusals),
                                     cmocka_unit_test(edits),
                                     cmocka_unit_test(errors),
                                     cmocka_unit_test(long_errors_are_cut),
                                     cmocka_unit_test(doors)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
