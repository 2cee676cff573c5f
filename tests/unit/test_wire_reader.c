/* Answers followed: usage, ends and text of recorded streams, what the client gets of them, and what waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../property/wire/streams.h"
#include <string.h>

static struct wire_reader *reader_of(const struct recorded *c) {
  const struct wire_reader_options options = {.door = c->door,
                                              .shape = c->shape,
                                              .stream = c->stream,
                                              .hide_usage = c->hide,
                                              .model = SLICE("public"),
                                              .id = "call_1"};
  return wire_reader_new(&options);
}

static void take(struct wire_reader *r, const char *sent, struct buf *out) {
  struct error err = {0};
  assert_true(wire_reader_take(r, slice_of(sent), out, &err));
}

static void assert_text(const char *name, slice found, const char *wanted) {
  if (!slice_is(found, wanted)) {
    fail_msg("%s: found\n%.*s\nwanted\n%s", name, SLICE_ARG(found), wanted);
  }
}

static void same_usage(const char *name, const struct wire_usage *a, const struct wire_usage *b) {
  if (a->input != b->input || a->cached != b->cached || a->cache_write != b->cache_write ||
      a->input_audio != b->input_audio || a->output != b->output || a->reasoning != b->reasoning ||
      a->output_audio != b->output_audio || a->reported != b->reported) {
    fail_msg("%s: usage %lld %lld %lld %lld / %lld %lld %lld, reported %d", name, (long long)a->input,
             (long long)a->cached, (long long)a->cache_write, (long long)a->input_audio, (long long)a->output,
             (long long)a->reasoning, (long long)a->output_audio, a->reported);
  }
}

static void recorded_streams(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof recordings / sizeof *recordings; i++) {
    const struct recorded *c = &recordings[i];
    struct wire_reader *r = reader_of(c);
    struct wire_outcome o;
    struct buf out;
    buf_init(&out, 1 << 20);
    take(r, c->sent, &out);
    const size_t before = out.len;
    wire_reader_outcome(r, &o);
    same_usage(c->name, &o.usage, &c->usage);
    assert_string_equal(o.finish, c->finish);
    assert_string_equal(o.tier, c->tier);
    assert_string_equal(o.model, c->model);
    if (o.complete != c->complete || o.failed != c->failed || o.generated != c->generated || o.pieces != c->pieces) {
      fail_msg("%s: complete %d, failed %d, generated %d, pieces %d", c->name, o.complete, o.failed, o.generated,
               (int)o.pieces);
    }
    wire_reader_end(r, NULL, &out);
    assert_text(c->name, (slice){out.ptr + before, out.len - before}, c->kept);
    assert_text(c->name, buf_slice(&out), c->passed ? c->passed : c->sent);
    buf_free(&out);
    wire_reader_free(r);
  }
}

static void cut_streams_end_with_an_error(void **state) {
  (void)state;
  const struct recorded chat = {.door = WIRE_CHAT, .stream = true};
  const struct recorded messages = {.door = WIRE_MESSAGES, .shape = WIRE_ANTHROPIC, .stream = true};
  struct wire_outcome o;
  struct buf out;
  buf_init(&out, 1 << 20);
  struct wire_reader *r = reader_of(&chat);
  take(r, VLLM(VLLM_WORD("content", "abc"), "") "data: {\"half", &out);
  out.len = 0;
  wire_reader_end(r, "the model server closed", &out);
  assert_text("chat", buf_slice(&out),
              "data: {\"error\":{\"message\":\"the model server closed\",\"type\":\"server_error\",\"param\":null,"
              "\"code\":null}}\n\n");
  wire_reader_outcome(r, &o);
  assert_false(o.complete);
  assert_int_equal(o.usage.output, 1);
  wire_reader_free(r);
  r = reader_of(&messages);
  take(r, ANTHROPIC_STREAM, &out);
  out.len = 0;
  wire_reader_end(r, "gone", &out);
  assert_text("messages", buf_slice(&out),
              "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"gone\"},"
              "\"request_id\":\"call_1\"}\n\n");
  wire_reader_free(r);
  buf_free(&out);
}

/* message_start tells one token of output: who leaves before message_delta pays for what passed. */
static void text_behind_the_last_usage_counts(void **state) {
  (void)state;
  const struct recorded messages = {.door = WIRE_MESSAGES, .shape = WIRE_ANTHROPIC, .stream = true};
  struct wire_reader *r = reader_of(&messages);
  struct wire_outcome o;
  struct buf out;
  buf_init(&out, 1 << 20);
  take(r,
       ANTHROPIC("message_start", ",\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}")
           ANTHROPIC("content_block_delta", ",\"delta\":{\"text\":\"0123456789abcdef\"}"),
       &out);
  wire_reader_outcome(r, &o);
  assert_int_equal(o.usage.input, 5);
  assert_int_equal(o.usage.output, 5);
  assert_false(o.usage.reported);
  buf_free(&out);
  wire_reader_free(r);
}

static void a_failed_stream_is_told_once(void **state) {
  (void)state;
  const struct recorded chat = {.door = WIRE_CHAT, .stream = true};
  struct wire_reader *r = reader_of(&chat);
  struct buf out;
  buf_init(&out, 1 << 20);
  take(r, UPSTREAM_ERROR, &out);
  assert_text("passed", buf_slice(&out), UPSTREAM_ERROR);
  out.len = 0;
  wire_reader_end(r, "the stream was cut", &out);
  assert_int_equal(out.len, 0);
  wire_reader_free(r);
  buf_free(&out);
}

/* An event that is too long to be held passes as it comes, in whatever pieces; the next one is held again. */
static void events_too_long(void **state) {
  (void)state;
  const struct recorded chat = {.door = WIRE_CHAT, .stream = true, .hide = true};
  const size_t long_bytes = WIRE_EVENT_BYTES_MAX + 100;
  struct buf sent, out;
  buf_init(&sent, 4 << 20);
  buf_init(&out, 4 << 20);
  buf_add(&sent, SLICE("data: {\"usage\":{\"prompt_tokens\":1},\"choices\":[{\"text\":\""));
  for (size_t i = 0; i < long_bytes; i++) {
    buf_addc(&sent, 'x');
  }
  buf_add(&sent, SLICE("\"}]}\n\n" VLLM("", VLLM_USAGE("4")) DONE));
  const size_t wanted = sent.len - sizeof(VLLM("", VLLM_USAGE("4"))) + 1;
  for (size_t piece = 1000; piece <= 4 << 20; piece *= 64) {
    struct wire_reader *r = reader_of(&chat);
    struct wire_outcome o;
    struct error err = {0};
    out.len = 0;
    for (size_t at = 0; at < sent.len; at += piece) {
      const size_t len = sent.len - at < piece ? sent.len - at : piece;
      assert_true(wire_reader_take(r, (slice){sent.ptr + at, len}, &out, &err));
    }
    wire_reader_outcome(r, &o);
    assert_int_equal(o.usage.input, 9);
    assert_true(o.complete && o.generated && wire_reader_is_done(r));
    wire_reader_end(r, NULL, &out);
    assert_int_equal(out.len, wanted);
    wire_reader_free(r);
  }
  buf_free(&sent);
  buf_free(&out);
}

/* The last event of a response repeats the client's instructions, so the client can make it as long as it likes. */
static void usage_in_a_long_event(void **state) {
  (void)state;
  const struct recorded responses = {.door = WIRE_RESPONSES, .stream = true};
  struct buf sent, out;
  buf_init(&sent, 4 << 20);
  buf_init(&out, 4 << 20);
  buf_add(&sent,
          SLICE(RESPONSE_STREAM "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{"
                                "\"instructions\":\""));
  for (size_t i = 0; i < WIRE_EVENT_BYTES_MAX; i++) {
    buf_addc(&sent, 'x');
  }
  buf_add(&sent, SLICE("\",\"usage\":{\"input_tokens\":7,\"output_tokens\":9}}}\r\ndata: \r\n\r\n"));
  for (size_t piece = 999; piece <= 4 << 20; piece *= 64) {
    struct wire_reader *r = reader_of(&responses);
    struct wire_outcome o;
    struct error err = {0};
    out.len = 0;
    for (size_t at = 0; at < sent.len; at += piece) {
      const size_t len = sent.len - at < piece ? sent.len - at : piece;
      assert_true(wire_reader_take(r, (slice){sent.ptr + at, len}, &out, &err));
    }
    wire_reader_outcome(r, &o);
    assert_true(o.complete && o.usage.reported && o.usage.input == 7 && o.usage.output == 9);
    assert_true(out.len < sent.len);
    wire_reader_end(r, NULL, &out);
    assert_true(slice_eq(buf_slice(&out), buf_slice(&sent)));
    wire_reader_free(r);
  }
  buf_free(&sent);
  buf_free(&out);
}

static void usage_objects(void **state) {
  (void)state;
  static const struct {
    enum wire_door door;
    enum wire_shape shape;
    const char *text;
    bool good;
    struct wire_usage usage;
  } cases[] = {
      {WIRE_CHAT, WIRE_OPENAI, OPENAI_USAGE, true, {30, 64, 0, 6, 8, 12, 0, true}},
      {WIRE_CHAT, WIRE_OPENAI, "null", false, {0}},
      {WIRE_CHAT, WIRE_OPENAI, "{}", false, {0}},
      {WIRE_CHAT, WIRE_OPENAI, "{\"prompt_tokens\":null,\"completion_tokens\":3}", false, {0}},
      {WIRE_CHAT, WIRE_OPENAI, "{\"prompt_tokens\":\"3\"}", false, {0}},
      {WIRE_CHAT, WIRE_OPENAI, "{\"prompt_tokens\":3.5}", false, {0}},
      {WIRE_CHAT, WIRE_OPENAI, "{\"prompt_tokens\":3e2}", false, {0}},
      {WIRE_CHAT, WIRE_OPENAI, "{\"prompt_tokens\":1000000000001}", false, {0}},
      {WIRE_CHAT,
       WIRE_OPENAI,
       "{\"prompt_tokens\":1000000000000.00}",
       true,
       {.input = 1000000000000, .reported = true}},
      {WIRE_CHAT, WIRE_OPENAI, "{\"prompt_tokens\":3,\"prompt_tokens_details\":[1]}", false, {0}},
      {WIRE_CHAT,
       WIRE_OPENAI,
       "{\"prompt_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":5}}",
       true,
       {.cached = 3, .reported = true}},
      {WIRE_RESPONSES,
       WIRE_OPENAI,
       "{\"input_tokens\":3,\"output_tokens\":2}",
       true,
       {.input = 3, .output = 2, .reported = true}},
      {WIRE_MESSAGES,
       WIRE_ANTHROPIC,
       "{\"input_tokens\":3,\"cache_read_input_tokens\":50,\"output_tokens\":2}",
       true,
       {.input = 3, .cached = 50, .output = 2, .reported = true}},
      {WIRE_MESSAGES,
       WIRE_OPENAI,
       "{\"prompt_tokens\":3,\"completion_tokens\":2}",
       true,
       {.input = 3, .output = 2, .reported = true}},
      {WIRE_CHAT, WIRE_OPENAI, "{\"prompt_tokens\":3", false, {0}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct wire_usage u = {.input = 77};
    if (wire_usage_read(cases[i].door, cases[i].shape, slice_of(cases[i].text), &u) != cases[i].good) {
      fail_msg("%s: taken or refused wrongly", cases[i].text);
    }
    if (cases[i].good) {
      same_usage(cases[i].text, &u, &cases[i].usage);
    } else {
      assert_int_equal(u.input, 77);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(recorded_streams),
                                     cmocka_unit_test(cut_streams_end_with_an_error),
                                     cmocka_unit_test(text_behind_the_last_usage_counts),
                                     cmocka_unit_test(a_failed_stream_is_told_once),
                                     cmocka_unit_test(events_too_long),
                                     cmocka_unit_test(usage_in_a_long_event),
                                     cmocka_unit_test(usage_objects)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
