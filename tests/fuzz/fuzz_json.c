/* Fuzzes JSON: what parses must print and parse again to the same text. */
#include "base/json.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(const struct json *json, struct buf *out) {
  struct json_out w;
  json_out_init(&w, out, false);
  json_value(&w, json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arena *arena = arena_new();
  struct error err = {0};
  const struct json *json, *again;
  struct buf first, second;
  buf_init(&first, (size_t)16 << 20);
  buf_init(&second, (size_t)16 << 20);
  if (json_parse(arena, (slice){(const char *)data, size}, &json, &err)) {
    print(json, &first);
    must(json_parse(arena, buf_slice(&first), &again, &err));
    print(again, &second);
    must(slice_eq(buf_slice(&first), buf_slice(&second)));
  } else {
    must(err.code != ERR_NONE && err.message[0] != 0);
  }
  buf_free(&first);
  buf_free(&second);
  arena_free(arena);
  return 0;
}
