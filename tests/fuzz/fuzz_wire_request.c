/* Fuzzes requests: what is accepted is JSON, and written with edits it is read again with those edits and no others. */
#include "base/json.h"
#include "wire/wire.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_written(struct arena *arena, const struct wire_request *r, const struct wire_edits *edits,
                          bool plain) {
  struct wire_request again;
  struct error err = {0};
  const struct json *json;
  struct buf out;
  buf_init(&out, (size_t)1 << 22);
  wire_request_write(r, edits, &out);
  must(!out.failed && wire_request_read(arena, r->door, buf_slice(&out), &again, &err));
  must(!plain || json_parse(arena, buf_slice(&out), &json, &err));
  must(slice_eq(again.model, edits->model.len ? edits->model : r->model));
  must(slice_eq(again.tier, r->tier) && slice_eq(again.session, r->session) && again.prefix == r->prefix);
  must(again.choices == r->choices && again.stream == r->stream && again.parts_not_text == r->parts_not_text);
  if (edits->max_tokens < 0 || r->door == WIRE_EMBEDDINGS) {
    must(again.max_tokens == r->max_tokens);
  } else {
    must(again.max_tokens ==
         (r->max_tokens < 0 || r->max_tokens > edits->max_tokens ? edits->max_tokens : r->max_tokens));
  }
  const bool asks = r->stream && edits->ask_usage && (r->door == WIRE_CHAT || r->door == WIRE_COMPLETIONS);
  must(again.usage_asked == (asks || r->usage_asked));
  buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) {
    return 0;
  }
  struct arena *arena = arena_new();
  struct error err = {0}, ignored = {0};
  struct wire_request r;
  const struct json *json;
  const slice body = {(const char *)data + 1, size - 1};
  const enum wire_door door = (enum wire_door)(data[0] % WIRE_DOORS);
  const bool plain =
      !memchr(body.ptr, 0, body.len) && json_parse(arena, body, &json, &ignored) && json->kind == JSON_OBJECT;
  if (!wire_request_read(arena, door, body, &r, &err)) {
    must(err.code == ERR_INVALID && err.message[0] != 0);
    must(!plain || !strstr(err.message, "not valid JSON"));
  } else {
    must(r.choices >= 1 && r.model.len > 0 && r.input_tokens_max >= 0 && (r.max_tokens == -1 || r.max_tokens > 0));
    must(!plain || slice_eq(json_text(json, "model"), r.model));
    const struct wire_edits edits = {.model = data[0] & 8 ? SLICE("other") : (slice){0},
                                     .max_tokens = data[0] & 16 ? 5 : -1,
                                     .ask_usage = (data[0] & 32) != 0};
    check_written(arena, &r, &edits, plain);
  }
  arena_free(arena);
  return 0;
}
