/* Hostile bytes as a price table: it is refused, or what is made of it loads and holds as many prices as it says. */
#include "catalog/catalog.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count_left_out(void *context, const char *what) {
  must(what[0] == '"');
  ++*(size_t *)context;
}

static void check_yaml(slice yaml, const struct price_import_result *result) {
  const struct catalog_text texts[] = {{"currency.yaml", SLICE("currency: USD\n")}, {"prices.yaml", yaml}};
  struct catalog *catalog;
  struct error err;
  if (!catalog_parse(texts, 2, &catalog, &err)) {
    fprintf(stderr, "%s\n" SLICE_FMT "\n", err.message, SLICE_ARG(yaml));
    must(false);
  }
  must(catalog->meter_count == result->meters && catalog->plan_count == 1);
  must(catalog->plans[0].price_count == result->prices && result->prices >= result->models);
  catalog_free(catalog);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const struct price_import options = {.plan = SLICE("models"), .event = SLICE("model.call"), .factor = RATE_ONE};
  struct price_import_result result;
  struct buf yaml;
  struct error err = {0};
  size_t left_out = 0;
  buf_init(&yaml, (size_t)1 << 24);
  if (catalog_import_litellm((slice){(const char *)data, size}, &options, &yaml, count_left_out, &left_out, &result,
                             &err)) {
    check_yaml(buf_slice(&yaml), &result);
  } else {
    must(err.code != ERR_NONE);
  }
  must(left_out == result.left_out);
  buf_free(&yaml);
  return 0;
}
