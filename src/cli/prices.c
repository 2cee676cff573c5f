/* meterhouse prices: turns a price table of others into a file of a catalog, and proves that it loads. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/yaml.h"
#include "catalog/catalog.h"
#include "cli/cli.h"

static bool read_options(const struct cli_args *args, struct price_import *out, struct error *err) {
  const char *markup = cli_value(args, "--markup"), *plan = cli_value(args, "--plan"),
             *event = cli_value(args, "--event");
  rate more = {0};
  if (strcmp(cli_value(args, "--from"), "litellm") != 0) {
    return error_set(err, ERR_USAGE, "--from is litellm, the table that is known, not \"%s\"",
                     cli_value(args, "--from"));
  }
  if (markup && (!rate_parse(slice_of(markup), &more, err) || more.e12 < 0 || more.e12 > 10 * AMOUNT_E12)) {
    return error_set(err, ERR_USAGE, "--markup is a rate from 0 to 1000 %%, such as 20%%, not \"%s\"", markup);
  }
  *out = (struct price_import){.only = cli_value(args, "--only"),
                               .plan = slice_of(plan ? plan : "models"),
                               .event = slice_of(event ? event : "model.call"),
                               .factor = {RATE_ONE.e12 + more.e12}};
  return true;
}

/* With a currency for the whole, which another file of the catalog says. */
static bool must_load(slice yaml, const char *name, struct error *err) {
  const struct catalog_text texts[] = {{"currency.yaml", SLICE("currency: USD\n")}, {name, yaml}};
  struct catalog *catalog;
  if (!catalog_parse(texts, 2, &catalog, err)) {
    return error_at(err, "the prices make no catalog");
  }
  catalog_free(catalog);
  return true;
}

static bool convert(const struct cli_args *args, struct arena *arena, struct buf *yaml, struct cli_listing *listing,
                    struct price_import_result *result, struct error *err) {
  const char *to = cli_value(args, "--out");
  struct price_import options;
  slice json;
  return read_options(args, &options, err) && file_read(arena, args->rest[0], YAML_BYTES_MAX, &json, err) &&
         (catalog_import_litellm(json, &options, yaml, cli_list, listing, result, err) ||
          error_at(err, "%s", args->rest[0])) &&
         must_load(buf_slice(yaml), to ? to : "(output)", err) && (!to || file_write(to, buf_slice(yaml), err));
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct price_import_result result;
  struct cli_listing listing = {0};
  struct buf yaml;
  struct arena *arena = arena_new();
  buf_init(&yaml, YAML_BYTES_MAX);
  bool ok = convert(args, arena, &yaml, &listing, &result, &err);
  cli_list_end(&listing);
  int code = ok ? CLI_EXIT_DONE : cli_fail(args, &err);
  if (ok) {
    fprintf(cli_value(args, "--out") ? stdout : stderr, "%zu prices of %zu models on %zu meters; left out: %zu\n",
            result.prices, result.models, result.meters, result.left_out);
  }
  if (ok && !cli_value(args, "--out")) {
    fwrite(yaml.ptr, 1, yaml.len, stdout);
  }
  buf_free(&yaml);
  arena_free(arena);
  return code;
}

const struct cli_command cli_prices = {
    .name = "prices",
    .summary = "make a catalog file of a price table of language models",
    .rest = "TABLE.json",
    .rest_min = 1,
    .rest_max = 1,
    .example = "meterhouse prices --from litellm --out catalog/models.yaml --markup 20% --only 'gpt-4o*' prices.json",
    .options = {{"--from", "litellm", "the form of the table", true},
                {"--out", "FILE", "the catalog file to write (default: to the terminal)", false},
                {"--markup", "RATE", "added to every price, such as 20%", false},
                {"--only", "PATTERN", "models whose name matches: * any text, ? any letter, [abc]", false},
                {"--plan", "NAME", "of the plan (default models)", false},
                {"--event", "TYPE", "of the calls (default model.call)", false}},
    .run = run,
};
