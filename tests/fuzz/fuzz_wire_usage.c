/* Fuzzes usage objects: what is accepted is in range, and counts the same inside of an answer. */
#include "base/json.h"
#include "wire/wire.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKENS_MAX INT64_C(1000000000000)

static void check_range(const struct wire_usage *u, enum wire_shape shape) {
  const int64_t each[] = {u->input,  u->cached,    u->cache_write, u->input_audio,
                          u->output, u->reasoning, u->output_audio};
  for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
    must(each[i] >= 0 && each[i] <= TOKENS_MAX);
  }
  must(u->reported && (shape == WIRE_ANTHROPIC || wire_usage_input(u) <= TOKENS_MAX) &&
       wire_usage_output(u) <= TOKENS_MAX);
}

static void check_inside(enum wire_door door, enum wire_shape shape, slice text, const struct wire_usage *alone) {
  const struct wire_reader_options options = {.door = door, .shape = shape, .model = SLICE("m"), .id = "1"};
  struct wire_reader *r = wire_reader_new(&options);
  struct wire_outcome o;
  struct error err = {0};
  struct buf sent, out;
  buf_init(&sent, (size_t)1 << 20);
  buf_init(&out, (size_t)1 << 20);
  buf_add(&sent, SLICE("{\"choices\":[{\"message\":{}}],\"usage\":"));
  buf_add(&sent, text);
  buf_add(&sent, SLICE("}"));
  const bool followed = wire_reader_take(r, buf_slice(&sent), &out, &err);
  wire_reader_outcome(r, &o);
  must(!followed || o.complete);
  must(o.usage.reported && memcmp(&o.usage, alone, offsetof(struct wire_usage, reported)) == 0);
  wire_reader_free(r);
  buf_free(&sent);
  buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const enum wire_door door = (enum wire_door)(data[0] % WIRE_DOORS);
  const enum wire_shape shape = door == WIRE_MESSAGES && (data[0] & 128) ? WIRE_ANTHROPIC : WIRE_OPENAI;
  const slice text = {(const char *)data + 1, size - 1};
  struct wire_usage usage = {.input = -7};
  if (wire_usage_read(door, shape, text, &usage)) {
    check_range(&usage, shape);
    check_inside(door, shape, text, &usage);
  } else {
    must(usage.input == -7);
  }
  return 0;
}
