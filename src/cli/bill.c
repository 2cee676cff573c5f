/* meterhouse bill: stateless; usage files in, draft invoices out. The same rating as on the books. */
#include "base/file.h"
#include "book/book.h"
#include "cli/cli.h"
#include "documents/documents.h"
#include <stdlib.h>
#include <string.h>

#define OUTPUT_BYTES_MAX ((size_t)1 << 32)

static bool print_one(const struct cli_args *args, struct rating_set *set, const struct catalog *catalog,
                      const struct rating *rating, bool first, struct buf *out, struct error *err) {
  struct invoice invoice;
  if (!rating_set_invoice(set, catalog, rating, NULL, &invoice, err)) {
    return false;
  }
  if (cli_json(args)) {
    if (!first) {
      buf_add(out, SLICE(",\n"));
    }
    invoice_to_json(&invoice, out);
  } else {
    invoice_to_text(&invoice, out);
    buf_addc(out, '\n');
  }
  return !out->failed ||
         error_set(err, ERR_LIMIT, "the invoices are larger than %zu bytes: bill one --customer at a time",
                   OUTPUT_BYTES_MAX);
}

/* A file a customer, JSON and PDF, named by customer and period. */
static bool write_one(const char *dir, struct rating_set *set, const struct catalog *catalog,
                      const struct rating *rating, slice period, struct error *err) {
  struct invoice invoice;
  if (!rating_set_invoice(set, catalog, rating, NULL, &invoice, err)) {
    return false;
  }
  char day[TIME_TEXT_MAX] = "";
  if (rating->opening) {
    time_format_date(rating->period.from, rating->customer->time_zone, day);
  }
  char *name = arena_printf(set->arena, "%s/" SLICE_FMT "_" SLICE_FMT "%s%s", dir, SLICE_ARG(rating->customer->id),
                            SLICE_ARG(period), rating->opening ? "_opening_" : "", day);
  for (char *p = name + strlen(dir) + 1; *p; p++) {
    *p = *p == '/' ? '-' : *p;
  }
  struct buf document, pdf;
  buf_init(&document, OUTPUT_BYTES_MAX);
  buf_init(&pdf, OUTPUT_BYTES_MAX);
  invoice_to_json(&invoice, &document);
  bool ok = file_write(arena_printf(set->arena, "%s.json", name), buf_slice(&document), err) &&
            document_pdf(buf_slice(&document), catalog, &pdf, err) &&
            file_write(arena_printf(set->arena, "%s.pdf", name), buf_slice(&pdf), err);
  buf_free(&document);
  buf_free(&pdf);
  return ok;
}

static bool print_all(const struct cli_args *args, struct rating_set *set, const struct catalog *catalog, slice period,
                      struct error *err) {
  const char *dir = cli_value(args, "--out");
  if (dir && !file_make_dirs(dir, err)) {
    return false;
  }
  struct buf out;
  buf_init(&out, OUTPUT_BYTES_MAX);
  bool ok = true;
  if (cli_json(args)) {
    buf_add(&out, SLICE("[\n"));
  }
  size_t count;
  const struct rating *ratings = rating_set_all(set, &count);
  for (size_t i = 0; ok && i < count; i++) {
    ok = print_one(args, set, catalog, &ratings[i], i == 0, &out, err) &&
         (!dir || write_one(dir, set, catalog, &ratings[i], period, err));
  }
  if (cli_json(args)) {
    buf_add(&out, SLICE("\n]\n"));
  }
  ok = ok && (out.len == 0 || fwrite(out.ptr, 1, out.len, stdout) == out.len ||
              error_set(err, ERR_IO, "standard output can not be written"));
  buf_free(&out);
  return ok;
}

/* What kept this from being a whole and faithful bill goes to stderr, so that stdout holds invoices alone. */
static bool report(const struct cli_args *args, const struct rating_set *set, const struct rate_source_stats *stats) {
  struct cli_listing listing = {0};
  uint64_t unpriced = rating_set_unpriced(set, cli_list, &listing);
  size_t notes;
  const struct usage_note *unmetered = usage_unmetered(set->usage, &notes);
  for (size_t i = 0; i < notes; i++) {
    char text[512];
    snprintf(text, sizeof text, "not billed: " SLICE_FMT " (%llu events)", SLICE_ARG(unmetered[i].what),
             (unsigned long long)unmetered[i].events);
    cli_list(&listing, text);
  }
  cli_list_end(&listing);
  fprintf(stderr, "events %llu, duplicates %llu, conflicts %llu, invalid %llu, unpriced %llu\n",
          (unsigned long long)stats->events, (unsigned long long)stats->duplicates,
          (unsigned long long)stats->conflicts, (unsigned long long)stats->invalid, (unsigned long long)unpriced);
  return (unpriced == 0 || cli_flag(args, "--allow-unpriced")) && stats->conflicts + stats->invalid == 0;
}

/* --usage FILE and every further argument. */
static const char **usage_files(const struct cli_args *args, size_t *count) {
  const char **files = mem_alloc((args->rest_count + 1) * sizeof *files);
  *count = 0;
  files[(*count)++] = cli_value(args, "--usage");
  for (size_t i = 0; i < args->rest_count; i++) {
    files[(*count)++] = args->rest[i];
  }
  return files;
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct catalog *catalog = NULL;
  struct csv_map *map = NULL;
  struct rating_set set = {0};
  struct rate_source_stats stats = {0};
  struct rate_source source = {.as_of = clock_now()};
  struct cli_listing refused = {0};
  const char *map_path = cli_value(args, "--map");
  slice period = slice_of(cli_value(args, "--period"));
  source.files = usage_files(args, &source.file_count);
  bool ok =
      catalog_load(cli_value(args, "--catalog"), &catalog, &err) && (!map_path || csv_map_load(map_path, &map, &err));
  source.map = map;
  ok = ok &&
       files_rate(catalog, &source, slice_of(cli_value(args, "--customer")), period, cli_list, &refused, &set, &stats,
                  &err) &&
       rating_set_consolidate(&set, catalog, NULL, &err) && print_all(args, &set, catalog, period, &err);
  cli_list_end(&refused);
  int code = ok ? (report(args, &set, &stats) ? CLI_EXIT_DONE : CLI_EXIT_FAILED) : cli_fail(args, &err);
  if (ok) {
    rating_set_free(&set);
  }
  csv_map_free(map);
  catalog_free(catalog);
  free((void *)source.files);
  return code;
}

const struct cli_command cli_bill = {
    .name = "bill",
    .summary = "usage files in, draft invoices out, without a book",
    .rest = "FILE...",
    .rest_max = SIZE_MAX,
    .example = "meterhouse bill --catalog examples/token-api --map examples/token-api/azure.map.yaml --period 2023-11 "
               "--usage trace.csv",
    .options = {{"--catalog", "DIR", "the catalog: a folder of YAML files, or one file", true},
                {"--usage", "FILE", "events: NDJSON or JSON, or CSV with --map; plain or .gz; more may follow", true},
                {"--period", "PERIOD", "2026-10, 2026, 2026-10-05 or FROM/TO", true},
                {"--map", "MAP.yaml", "the files are CSV: which column is what", false},
                {"--customer", "ID", "this customer alone (default all)", false},
                {"--out", "DIR", "also write a JSON and a PDF file an invoice", false},
                {"--allow-unpriced", NULL, "usage that no price matches is listed but does not fail", false},
                CLI_OPTION_FORMAT},
    .run = run,
};
