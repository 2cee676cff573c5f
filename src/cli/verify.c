/* meterhouse verify: derives an invoice again from usage files and holds the document against it. */
#include "base/file.h"
#include "base/json.h"
#include "book/book.h"
#include "cli/cli.h"

struct verification {
  const struct cli_args *args;
  struct catalog *catalog;
  struct csv_map *map;
  struct arena *arena;
  struct cli_listing listing;
  uint64_t verified;
};

static slice text_at(const struct json *document, const char *outer, const char *inner) {
  return json_text(json_get(document, outer), inner);
}

/* Credit rests on the book, which is not here: what was available is taken as stated, the draws are derived from it. */
static bool take_purse(struct arena *arena, const struct json *document, struct invoice_purse *purse,
                       struct error *err) {
  struct buf bytes;
  struct json_out w;
  buf_init(&bytes, DOCUMENT_BYTES_MAX);
  json_out_init(&w, &bytes, false);
  json_value(&w, document);
  bool ok = invoice_purse_stated(arena, buf_slice(&bytes), purse, err);
  buf_free(&bytes);
  return ok;
}

/* Adjustments rest on other periods' usage, which is not here: they are taken as stated, each held to its own before
 * and after, and to the sums and the seal. */
static bool take_adjustments(struct verification *v, const struct json *document, struct rating_set *set,
                             struct error *err) {
  struct adjustment_span *spans;
  struct charge *charges;
  size_t span_count, charge_count;
  struct buf bytes;
  struct json_out w;
  buf_init(&bytes, DOCUMENT_BYTES_MAX);
  json_out_init(&w, &bytes, false);
  json_value(&w, document);
  bool ok = invoice_adjustments(set->arena, v->catalog, buf_slice(&bytes), &spans, &span_count, &charges, &charge_count,
                                err) &&
            rating_add_charges(set->arena, &set->ratings[0], charges, charge_count, err);
  buf_free(&bytes);
  return ok;
}

/* An opening rests on the catalog alone, and on the credit it states. */
static bool derive_opening(struct verification *v, const struct json *document, struct rating_set *set,
                           struct invoice *out, struct error *err) {
  slice id = text_at(document, "customer", "id");
  const struct customer *customer = catalog_customer(v->catalog, id);
  instant from;
  struct rating *rating;
  if (customer == NULL) {
    return error_set(err, ERR_INVALID, "customer " SLICE_FMT " is not in the catalog", SLICE_ARG(id));
  }
  if (!time_parse_rfc3339(json_text(document, "from"), &from, err)) {
    return error_at(err, "from");
  }
  *set = (struct rating_set){.arena = arena_new()};
  rating = arena_alloc(set->arena, sizeof *rating);
  struct invoice_purse purse;
  if (rate_opening(set->arena, v->catalog, customer, from, rating, err) &&
      take_purse(set->arena, document, &purse, err) && rating_set_invoice(set, v->catalog, rating, &purse, out, err)) {
    return true;
  }
  rating_set_free(set);
  return false;
}

/* The invoice that the usage files give for the document's customer and period. */
static bool derive(struct verification *v, const struct json *document, struct rating_set *set, struct invoice *out,
                   struct error *err) {
  const struct cli_args *args = v->args;
  slice customer = text_at(document, "customer", "id"), period = json_text(document, "period");
  if (json_text(document, "part").len > 0) {
    return derive_opening(v, document, set, out, err);
  }
  if (customer.len == 0 || period.len == 0) {
    return error_set(err, ERR_INVALID, "this is not an invoice: customer.id and period are missing");
  }
  const char **files = arena_array(v->arena, args->rest_count + 1, sizeof *files);
  size_t count = 0;
  files[count++] = cli_value(args, "--usage");
  for (size_t i = 0; i + 1 < args->rest_count; i++) {
    files[count++] = args->rest[i];
  }
  struct rate_source source = {INSTANT_MAX, files, count, v->map};
  struct rate_source_stats stats;
  slice until = json_text(document, "metered_until");
  if (until.len > 0 && !time_parse_rfc3339(until, &source.as_of, err)) {
    return error_at(err, "metered_until");
  }
  if (!files_rate(v->catalog, &source, customer, period, cli_list, &v->listing, set, &stats, err)) {
    return false;
  }
  struct invoice_purse purse;
  if (set->rating_count == 1 && take_adjustments(v, document, set, err) &&
      take_purse(set->arena, document, &purse, err) &&
      rating_set_invoice(set, v->catalog, &set->ratings[0], &purse, out, err)) {
    return true;
  }
  if (set->rating_count != 1) {
    error_set(err, ERR_INVALID, "the usage gives customer " SLICE_FMT " no charges in " SLICE_FMT, SLICE_ARG(customer),
              SLICE_ARG(period));
  }
  rating_set_free(set);
  return false;
}

static bool verify_one(struct verification *v, const struct json *document, struct error *err) {
  struct rating_set set;
  struct invoice derived;
  if (!derive(v, document, &set, &derived, err)) {
    return false;
  }
  struct buf bytes;
  struct json_out w;
  buf_init(&bytes, DOCUMENT_BYTES_MAX);
  json_out_init(&w, &bytes, false);
  json_value(&w, document);
  bool ok = invoice_verify(buf_slice(&bytes), &derived, cli_list, &v->listing, err);
  buf_free(&bytes);
  rating_set_free(&set);
  v->verified += ok;
  return ok;
}

static bool verify_all(struct verification *v, struct error *err) {
  slice text;
  const struct json *document;
  const char *path = v->args->rest[v->args->rest_count - 1];
  if (!file_read(v->arena, path, DOCUMENT_BYTES_MAX, &text, err)) {
    return false;
  }
  if (!json_parse(v->arena, text, &document, err)) {
    return error_at(err, "%s", path);
  }
  if (document->kind != JSON_ARRAY) {
    return verify_one(v, document, err) || error_at(err, "%s", path);
  }
  if (document->count == 0) {
    return error_set(err, ERR_INVALID, "%s: holds no invoice", path);
  }
  for (const struct json *one = document->child; one; one = one->next) {
    if (!verify_one(v, one, err)) {
      return error_at(err, "%s: " SLICE_FMT, path, SLICE_ARG(text_at(one, "customer", "id")));
    }
  }
  return true;
}

/* Everything in an export, adjustments and credit included. */
static int verify_export(const struct cli_args *args) {
  struct error err = {0};
  struct export_result result;
  struct cli_listing listing = {0};
  bool ok = args->rest_count == 0 || error_set(&err, ERR_USAGE, "--export names all there is to verify");
  ok = ok && book_export_verify(cli_value(args, "--export"), cli_list, &listing, &result, &err);
  cli_list_end(&listing);
  if (!ok) {
    return cli_fail(args, &err);
  }
  printf("verified: %llu invoices from %llu events and %llu corrections, every digit; %llu of them voided since\n",
         (unsigned long long)result.invoices, (unsigned long long)result.events, (unsigned long long)result.corrections,
         (unsigned long long)result.voided);
  return CLI_EXIT_DONE;
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  if (cli_value(args, "--export")) {
    return verify_export(args);
  }
  if (!cli_value(args, "--catalog") || !cli_value(args, "--usage") || args->rest_count == 0) {
    error_set(&err, ERR_USAGE, "say --catalog DIR --usage FILE INVOICE.json, or --export DIR");
    return cli_fail(args, &err);
  }
  struct verification v = {.args = args, .arena = arena_new()};
  const char *map_path = cli_value(args, "--map");
  bool ok = catalog_load(cli_value(args, "--catalog"), &v.catalog, &err) &&
            (!map_path || csv_map_load(map_path, &v.map, &err)) && verify_all(&v, &err);
  cli_list_end(&v.listing);
  csv_map_free(v.map);
  catalog_free(v.catalog);
  arena_free(v.arena);
  if (!ok) {
    return cli_fail(args, &err);
  }
  printf("verified: %llu invoice%s, every digit\n", (unsigned long long)v.verified, v.verified == 1 ? "" : "s");
  return CLI_EXIT_DONE;
}

const struct cli_command cli_verify = {
    .name = "verify",
    .summary = "derive an invoice again from its usage; exit 1 on any difference",
    .rest = "[FILE...] INVOICE.json",
    .rest_min = 0,
    .rest_max = SIZE_MAX,
    .example = "meterhouse verify --catalog catalog --usage usage-2026-10.ndjson.gz invoice.json",
    .options = {{"--catalog", "DIR", "the catalog the invoice was made with", false},
                {"--usage", "FILE", "the events; further files may stand before INVOICE.json", false},
                {"--map", "MAP.yaml", "the usage is CSV: which column is what", false},
                {"--export", "DIR", "instead: all invoices of a customer's export, offline", false}},
    .run = run,
};
