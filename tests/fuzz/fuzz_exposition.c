/* Fuzzes the text of exporters: whatever is read names each series so that the name reads back as the same series. */
#include "pull/private.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(struct arena *arena, const struct sample *s) {
  struct error err = {0};
  struct exposition again;
  quantity value;
  slice series = sample_series(arena, s->metric, s);
  if (sample_quantity(s->value, &value)) {
    char text[DECIMAL_TEXT_MAX];
    quantity same;
    must(quantity_parse(slice_of(quantity_text(value, text)), &same, &err) && quantity_cmp(same, value) == 0);
  }
  if (series.len == 0) {
    return; /* too long a name */
  }
  const char *line = arena_printf(arena, SLICE_FMT " 1\n", SLICE_ARG(series));
  must(exposition_parse(arena, slice_of(line), false, &again, &err) && again.count == 1);
  must(slice_eq(sample_series(arena, again.samples[0].metric, &again.samples[0]), series));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  for (int open_metrics = 0; open_metrics < 2; open_metrics++) {
    struct arena *arena = arena_new();
    struct error err = {0};
    struct exposition text;
    if (!exposition_parse(arena, (slice){(const char *)data, size}, open_metrics != 0, &text, &err)) {
      must(err.code != ERR_NONE && err.message[0] != 0);
      text.count = 0;
    }
    for (size_t i = 0; i < text.count && i < 1000; i++) {
      read_back(arena, &text.samples[i]);
    }
    arena_free(arena);
  }
  return 0;
}
