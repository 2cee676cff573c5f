/* Fuzzes CSV: progress at every call, whatever the bytes. */
#include "base/csv.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arena *arena = arena_new();
  struct csv_record *record = mem_alloc(sizeof *record);
  slice text = {(const char *)data, size};
  uint64_t line = 0;
  for (;;) {
    struct error err = {0};
    size_t before = text.len;
    int got = csv_next(&text, true, size % 2 ? (char)0x2c : (char)0x3b, &line, arena, record, &err);
    if (got == 0) {
      break;
    }
    must(text.len < before);
    must(got > 0 || err.message[0] != 0);
  }
  free(record);
  arena_free(arena);
  return 0;
}
