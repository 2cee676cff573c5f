/* Fuzzes CSV maps and their expressions. */
#include "meter/meter.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct csv_map *map;
  struct error err = {0};
  if (csv_map_parse("fuzz.map.yaml", (slice){(const char *)data, size}, &map, &err)) {
    csv_map_free(map);
  } else {
    must(err.message[0] != 0);
  }
  return 0;
}
