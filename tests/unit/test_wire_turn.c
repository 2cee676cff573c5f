/* Messages in front of chat: requests turned, answers turned back, whole and in streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "wire/wire.h"
#include <string.h>

static bool turn(const char *text, const struct wire_edits *edits, struct buf *out, struct error *err) {
  struct arena *arena = arena_new();
  struct wire_request request;
  bool done = wire_request_read(arena, WIRE_MESSAGES, slice_of(text), &request, err) &&
              wire_messages_to_chat(arena, &request, edits, out, err);
  arena_free(arena);
  return done;
}

static void assert_text(struct buf *out, const char *wanted) {
  if (!slice_is(buf_slice(out), wanted)) {
    fail_msg("found\n" SLICE_FMT "\nwanted\n%s", SLICE_ARG(buf_slice(out)), wanted);
  }
  out->len = 0;
}

static void requests(void **state) {
  (void)state;
  static const struct {
    const char *sent;
    struct wire_edits edits;
    const char *turned;
  } cases[] = {
      {"{\"model\":\"c\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
       {.max_tokens = -1},
       "{\"model\":\"c\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"},
      {"{\"model\":\"c\",\"max_tokens\":100,\"stream\":true,\"system\":[{\"type\":\"text\",\"text\":\"be\","
       "\"cache_control\":{}},{\"type\":\"text\",\"text\":\"kind\"}],\"messages\":[{\"role\":\"user\",\"content\":"
       "\"hi\"}],"
       "\"stop_sequences\":[\"x\"],\"temperature\":0.50,\"top_k\":4,\"metadata\":{\"user_id\":\"u\"}}",
       {.model = SLICE("qwen"), .max_tokens = 60, .ask_usage = true},
       "{\"model\":\"qwen\",\"max_tokens\":60,\"stream\":true,\"stream_options\":{\"include_usage\":true},\"messages\":"
       "["
       "{\"role\":\"system\",\"content\":\"be\\nkind\"},{\"role\":\"user\",\"content\":\"hi\"}],\"temperature\":0.50,"
       "\"top_k\":4,\"stop\":[\"x\"],\"user\":\"u\"}"},
      {"{\"model\":\"c\",\"max_tokens\":9,\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":"
       "\"object\"}}],\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\",\"disable_parallel_tool_use\":true},"
       "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"image\","
       "\"source\":"
       "{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"AA==\"}}]},{\"role\":\"assistant\",\"content\":[{"
       "\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"\"},{\"type\":\"text\",\"text\":\"ok\"},{\"type\":"
       "\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{\"a\":[1,\"b\"]}}]},{\"role\":\"user\",\"content\":[{"
       "\"type\":"
       "\"tool_result\",\"tool_use_id\":\"t1\",\"is_error\":true,\"content\":[{\"type\":\"text\",\"text\":\"no\"},{"
       "\"type\":"
       "\"image\",\"source\":{\"type\":\"url\",\"url\":\"http://i\"}}]},{\"type\":\"text\",\"text\":\"go on\"}]}]}",
       {.max_tokens = -1},
       "{\"model\":\"c\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
       "\"see\"},"
       "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AA==\"}}]},{\"role\":\"assistant\","
       "\"content\":\"ok\",\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"t1\",\"type\":\"function\","
       "\"function\":{"
       "\"name\":\"f\",\"arguments\":\"{\\\"a\\\":[1,\\\"b\\\"]}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"t1\","
       "\"content\":\"Error: no\"},{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
       "\"http://i\"}},{\"type\":\"text\",\"text\":\"go "
       "on\"}]}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
       "\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}}],\"tool_choice\":{\"type\":\"function\","
       "\"function\":{\"name\":\"f\"}},\"parallel_tool_calls\":false}"},
  };
  struct buf out;
  buf_init(&out, 1 << 16);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error err = {0};
    if (!turn(cases[i].sent, &cases[i].edits, &out, &err)) {
      fail_msg("%s: %s", cases[i].sent, err.message);
    }
    assert_text(&out, cases[i].turned);
  }
  buf_free(&out);
}

static void no_counterpart(void **state) {
  (void)state;
  static const struct {
    const char *sent, *says;
  } cases[] = {
      {"{\"model\":\"c\"}", "messages:"},
      {"{\"model\":\"c\",\"messages\":[]}", "messages:"},
      {"{\"model\":\"c\",\"messages\":[1]}", "role"},
      {"{\"model\":\"c\",\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]}", "role"},
      {"{\"model\":\"c\",\"messages\":[{\"role\":\"user\"}]}", "content"},
      {"{\"model\":\"c\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"document\"}]}]}", "document"},
      {"{\"model\":\"c\",\"messages\":[{\"role\":\"user\",\"content\":[{}]}]}", "blocks"},
      {"{\"model\":\"c\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":"
       "\"file\"}}]}]}",
       "source"},
      {"{\"model\":\"c\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"input\":1}]}]}",
       "input"},
      {"{\"model\":\"c\",\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"server_tool_use\"}]}]}",
       "server_tool_use"},
      {"{\"model\":\"c\",\"container\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "container:"},
      {"{\"model\":\"c\",\"thinking\":{\"type\":\"enabled\"},\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
       "thinking:"},
      {"{\"model\":\"c\",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"w\"}],\"messages\":[{\"role\":"
       "\"user\","
       "\"content\":\"x\"}]}",
       "tools:"},
      {"{\"model\":\"c\",\"tool_choice\":{},\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "tool_choice:"},
      {"{\"model\":\"c\",\"messages\":[],\"messages\":[]}", "messages: given twice"},
  };
  struct buf out;
  buf_init(&out, 1 << 16);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error err = {0};
    const struct wire_edits edits = {.max_tokens = -1};
    out.len = 0;
    if (turn(cases[i].sent, &edits, &out, &err) || !strstr(err.message, cases[i].says)) {
      fail_msg("%s: %s", cases[i].sent, err.message);
    }
    assert_int_equal(err.code, ERR_INVALID);
  }
  buf_free(&out);
}

static struct wire_reader *reader(bool stream) {
  const struct wire_reader_options options = {
      .door = WIRE_MESSAGES, .shape = WIRE_OPENAI, .stream = stream, .model = SLICE("public"), .id = "7"};
  return wire_reader_new(&options);
}

#define CHUNK(delta, finish)                                                                                           \
  "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":" finish "}]}\n\n"
#define EVENT(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"
#define START                                                                                                          \
  EVENT("message_start",                                                                                               \
        ",\"message\":{\"id\":\"msg_7\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"public\",\"content\":" \
        "[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":0,\"cache_creation_input_tokens\"" \
        ":0,\"cache_read_input_tokens\":0,\"output_tokens\":0}}")
#define BEGIN(index, block) EVENT("content_block_start", ",\"index\":" index ",\"content_block\":" block)
#define DELTA(index, delta) EVENT("content_block_delta", ",\"index\":" index ",\"delta\":" delta)
#define CLOSE(index) EVENT("content_block_stop", ",\"index\":" index)
#define USAGE(in, cached, out)                                                                                         \
  "\"usage\":{\"input_tokens\":" in ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":" cached           \
  ",\"output_tokens\":" out "}"
#define STOP EVENT("message_stop", "")

static void a_stream(void **state) {
  (void)state;
  struct wire_reader *r = reader(true);
  struct wire_outcome o;
  struct error err = {0};
  struct buf out;
  buf_init(&out, 1 << 16);
  assert_true(wire_reader_take(
      r,
      SLICE(CHUNK("{\"role\":\"assistant\",\"content\":\"\"}",
                  "null") ": wait\n\n" CHUNK("{\"reasoning_content\":\"hm\"}", "null")
                CHUNK("{\"content\":\"a\\nb\"}", "null") CHUNK("{\"content\":\"c\"}", "null") CHUNK(
                    "{\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}",
                    "null") CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]}", "null")
                    CHUNK("{}", "\"tool_calls\"") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":50,"
                                                  "\"completion_tokens\":9,\"prompt_tokens_details\":{\"cached_"
                                                  "tokens\":48}}}\n\ndata: [DONE]\n\n"),
      &out, &err));
  wire_reader_outcome(r, &o);
  assert_true(o.complete && o.usage.reported && o.usage.cached == 48 && o.pieces == 5);
  assert_text(&out,
              START ": wait\n\n" BEGIN("0", "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
                  DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}") CLOSE("0")
                      BEGIN("1", "{\"type\":\"text\",\"text\":\"\"}")
                          DELTA("1", "{\"type\":\"text_delta\",\"text\":\"a\\nb\"}")
                              DELTA("1", "{\"type\":\"text_delta\",\"text\":\"c\"}") CLOSE("1")
                                  BEGIN("2", "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}")
                                      DELTA("2", "{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}") CLOSE("2")
                                          EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_"
                                                                 "sequence\":null}," USAGE("2", "48", "9")));
  wire_reader_end(r, NULL, &out);
  assert_text(&out, STOP);
  wire_reader_free(r);
  buf_free(&out);
}

static void stop_reasons(void **state) {
  (void)state;
  static const struct {
    const char *choice, *reason;
  } cases[] = {
      {"\"finish_reason\":\"stop\"", "\"end_turn\",\"stop_sequence\":null"},
      {"\"finish_reason\":\"length\"", "\"max_tokens\",\"stop_sequence\":null"},
      {"\"finish_reason\":\"content_filter\"", "\"refusal\",\"stop_sequence\":null"},
      {"\"finish_reason\":\"stop\",\"stop_reason\":\"E\\\"D\"", "\"stop_sequence\",\"stop_sequence\":\"E\\\"D\""},
      {"\"finish_reason\":\"stop\",\"stop_reason\":151643", "\"end_turn\",\"stop_sequence\":null"}};
  for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
    const bool stream = i % 2;
    struct wire_reader *r = reader(stream);
    struct error err = {0};
    struct buf sent, out;
    buf_init(&sent, 1 << 12);
    buf_init(&out, 1 << 12);
    buf_addf(&sent, stream ? "data: {\"choices\":[{\"delta\":{},%s}]}\n\ndata: [DONE]\n\n" : "{\"choices\":[{%s}]}",
             cases[i / 2].choice);
    assert_true(wire_reader_take(r, buf_slice(&sent), &out, &err));
    wire_reader_end(r, NULL, &out);
    buf_addc(&out, 0);
    if (!strstr(out.ptr, cases[i / 2].reason)) {
      fail_msg("%s gave %s", cases[i / 2].choice, out.ptr);
    }
    wire_reader_free(r);
    buf_free(&sent);
    buf_free(&out);
  }
}

static void a_whole_answer(void **state) {
  (void)state;
  struct wire_reader *r = reader(false);
  struct error err = {0};
  struct buf out;
  buf_init(&out, 1 << 16);
  assert_true(wire_reader_take(
      r,
      SLICE("{\"choices\":[{\"message\":{\"reasoning_content\":\"hm\",\"content\":\"hi\",\"tool_calls\":[{\"id\":\"t\","
            "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},{\"id\":\"u\",\"function\":{\"name\":\"g\","
            "\"arguments\":\"oops\"}}]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":5,"
            "\"completion_tokens\":6}} \n"),
      &out, &err));
  wire_reader_end(r, NULL, &out);
  assert_text(&out,
              "{\"id\":\"msg_7\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"public\",\"content\":[{"
              "\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"\"},{\"type\":\"text\",\"text\":\"hi\"},{"
              "\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\":1}},{\"type\":\"tool_use\","
              "\"id\":\"u\",\"name\":\"g\",\"input\":{\"arguments\":\"oops\"}}],\"stop_reason\":\"tool_use\","
              "\"stop_sequence\":null," USAGE("5", "0", "6") "}");
  wire_reader_free(r);
  buf_free(&out);
}

static void failures(void **state) {
  (void)state;
  struct wire_reader *r = reader(true);
  struct wire_outcome o;
  struct error err = {0};
  struct buf out;
  buf_init(&out, 1 << 16);
  assert_true(wire_reader_take(r, SLICE("data: {\"error\":{\"message\":\"full\",\"type\":\"x\"}}\n\ndata: [DONE]\n\n"),
                               &out, &err));
  wire_reader_outcome(r, &o);
  assert_true(o.failed && !o.generated);
  wire_reader_end(r, NULL, &out);
  assert_text(&out, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"full\"},"
                    "\"request_id\":\"7\"}\n\n");
  wire_reader_free(r);
  r = reader(true);
  assert_false(wire_reader_take(r, SLICE("data: <html>\n\n"), &out, &err));
  assert_int_equal(err.code, ERR_INVALID);
  wire_reader_end(r, "bad answer", &out);
  assert_true(slice_starts(buf_slice(&out), "event: error\n"));
  wire_reader_free(r);
  err = (struct error){0};
  out.len = 0;
  r = reader(false);
  assert_false(wire_reader_take(r, SLICE("{\"choices\":[]}"), &out, &err));
  assert_int_equal(out.len, 0);
  wire_reader_free(r);
  buf_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(requests),       cmocka_unit_test(no_counterpart),
                                     cmocka_unit_test(a_stream),       cmocka_unit_test(stop_reasons),
                                     cmocka_unit_test(a_whole_answer), cmocka_unit_test(failures)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
