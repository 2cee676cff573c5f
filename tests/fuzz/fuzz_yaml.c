/* Fuzzes YAML. */
#include "base/yaml.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arena *arena = arena_new();
  struct error err = {0};
  const struct yaml *root;
  if (!yaml_parse(arena, "fuzz.yaml", (slice){(const char *)data, size}, &root, &err)) {
    must(err.code != ERR_NONE && err.message[0] != 0);
  }
  arena_free(arena);
  return 0;
}
