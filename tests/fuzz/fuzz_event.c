/* Fuzzes CloudEvents: what is accepted prints back to the same event. */
#include "meter/meter.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arena *arena = arena_new();
  struct error err = {0};
  struct event e, again;
  if (event_from_text(arena, (slice){(const char *)data, size}, (instant){1}, &e, &err)) {
    struct buf text;
    buf_init(&text, (size_t)4 << 20);
    event_to_json(&e, &text);
    must(event_from_text(arena, buf_slice(&text), (instant){2}, &again, &err));
    must(event_content_hash(&e) == event_content_hash(&again) && slice_eq(e.id, again.id) &&
         slice_eq(e.source, again.source));
    buf_free(&text);
  }
  arena_free(arena);
  return 0;
}
