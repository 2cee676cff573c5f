/* Fuzzes messages in front of chat: a turned request is one of chat with the same model and limit; a turned answer is
 * JSON, in a stream event by event. */
#include "base/json.h"
#include "wire/wire.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(struct arena *arena, slice text) {
  const struct json *json;
  struct error err = {0};
  must(json_parse(arena, text, &json, &err) || strstr(err.message, "deep") || strstr(err.message, "nest"));
}

static void check_request(struct arena *arena, slice body) {
  struct wire_request r, turned;
  struct error err = {0};
  const struct wire_edits edits = {.max_tokens = 64, .ask_usage = true};
  struct buf out;
  buf_init(&out, (size_t)1 << 24);
  if (wire_request_read(arena, WIRE_MESSAGES, body, &r, &err) && wire_messages_to_chat(arena, &r, &edits, &out, &err)) {
    must(!out.failed);
    check_json(arena, buf_slice(&out));
    if (wire_request_read(arena, WIRE_CHAT, buf_slice(&out), &turned, &err)) {
      must(slice_eq(turned.model, r.model) && turned.stream == r.stream && turned.usage_asked == r.stream);
      must(turned.max_tokens == (r.max_tokens > 0 && r.max_tokens < 64 ? r.max_tokens : 64));
    } else {
      must(strstr(err.message, "levels"));
    }
  } else {
    must(err.code != ERR_NONE && err.message[0] != 0);
  }
  buf_free(&out);
}

/* Comments and pairs of event and data, nothing else. */
static void check_events(struct arena *arena, slice all) {
  while (all.ptr != NULL && all.len > 0) {
    const char *end = memmem(all.ptr, all.len, "\n\n", 2);
    if (all.ptr[0] == ':') {
      return; /* the model server's own comments, with whatever line ends */
    }
    const char *data = memmem(all.ptr, all.len, "\ndata: ", 7);
    must(slice_starts(all, "event: ") && end && data && data < end);
    check_json(arena, (slice){data + 7, (size_t)(end - data) - 7});
    const size_t used = (size_t)(end - all.ptr) + 2;
    all = (slice){all.ptr + used, all.len - used};
  }
}

static void check_answer(struct arena *arena, slice sent, bool stream) {
  const struct wire_reader_options options = {
      .door = WIRE_MESSAGES, .shape = WIRE_OPENAI, .stream = stream, .model = SLICE("public"), .id = "1"};
  struct wire_reader *r = wire_reader_new(&options);
  struct error err = {0};
  struct buf out;
  buf_init(&out, (size_t)1 << 24);
  const bool followed = wire_reader_take(r, sent, &out, &err);
  struct wire_outcome o;
  wire_reader_outcome(r, &o);
  wire_reader_end(r, o.complete ? NULL : "cut", &out);
  if (stream) {
    check_events(arena, buf_slice(&out));
  } else if (followed && o.complete) {
    check_json(arena, buf_slice(&out));
  }
  wire_reader_free(r);
  buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) {
    return 0;
  }
  struct arena *arena = arena_new();
  const slice text = {(const char *)data + 1, size - 1};
  switch (data[0] % 3) {
  case 0:
    check_request(arena, text);
    break;
  case 1:
    check_answer(arena, text, true);
    break;
  default:
    check_answer(arena, text, false);
    break;
  }
  arena_free(arena);
  return 0;
}
