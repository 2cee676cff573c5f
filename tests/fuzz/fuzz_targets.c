/* Fuzzes the targets file of the scraper. */
#include "pull/pull.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct error err = {0};
  struct pull_targets *targets;
  if (pull_targets_parse("fuzz.yaml", (slice){(const char *)data, size}, &targets, &err)) {
    pull_targets_free(targets);
  } else {
    must(err.code != ERR_NONE && err.message[0] != 0);
  }
  return 0;
}
