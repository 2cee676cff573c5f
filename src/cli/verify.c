/* meterhouse verify: derives an invoice again from usage files and holds the document against it. */
#include "base/file.h"
#include "base/json.h"
#include "book/book.h"
#include "cli/cli.h"
#include <stdlib.h>

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

static const slice *members_of(struct arena *arena, const struct json *document, size_t *count) {
  const struct json *list = json_get(document, "members");
  slice *members = arena_array(arena, list ? list->count : 0, sizeof *members);
  *count = 0;
  for (const struct json *m = list ? list->child : NULL; m; m = m->next) {
    members[(*count)++] = m->text;
  }
  return members;
}

static int by_customer(const void *a, const void *b) {
  const struct rating *x = a, *y = b;
  return slice_cmp(x->customer->id, y->customer->id);
}

/* Members without charges may have adjustments: each gets a rating. */
static void add_members(struct rating_set *set, const struct catalog *catalog, const slice *members, size_t count) {
  struct rating *all = arena_array(set->arena, set->rating_count + count, sizeof *all);
  size_t total = 0;
  for (size_t i = 0; i < set->rating_count; i++) {
    all[total++] = set->ratings[i];
  }
  for (size_t i = 0; i < count; i++) {
    const struct customer *child = catalog_customer(catalog, members[i]);
    if (child && rating_set_find(set, child->id) == NULL) {
      all[total++] = (struct rating){.customer = child, .period = set->ratings[0].period};
    }
  }
  qsort(all, total, sizeof *all, by_customer);
  set->ratings = all;
  set->rating_count = total;
}

static bool add_to_owners(struct rating_set *set, struct rating *payer, const struct charge *charges, size_t count,
                          struct error *err) {
  for (size_t i = 0; i < count; i++) {
    struct rating *owner = payer;
    for (size_t r = 0; charges[i].customer && r < set->rating_count; r++) {
      owner = set->ratings[r].customer == charges[i].customer ? &set->ratings[r] : owner;
    }
    if (!rating_add_charges(set->arena, owner, &charges[i], 1, err)) {
      return false;
    }
  }
  return true;
}

/* Adjustments rest on other periods' usage, which is not here: they are taken as stated, each held to its own before
 * and after, and to the sums and the seal. */
static bool take_adjustments(struct verification *v, const struct json *document, struct rating_set *set,
                             struct rating *rating, struct error *err) {
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
            add_to_owners(set, rating, charges, charge_count, err);
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
  size_t count;
  const slice *members = members_of(set->arena, document, &count);
  if (members_opening(set->arena, v->catalog, customer, from, members, count, rating, err) &&
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
  if (json_get(document, "corrects")) {
    return error_set(err, ERR_INVALID,
                     "this is a credit note for " SLICE_FMT ", which rests on no usage: verify that one; "
                     "`check` holds the note to it",
                     SLICE_ARG(text_at(document, "corrects", "invoice")));
  }
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
  size_t member_count;
  const slice *members = members_of(set->arena, document, &member_count);
  const struct rating *own = rating_set_find(set, customer);
  struct rating *rating = arena_alloc(set->arena, sizeof *rating);
  bool known = own != NULL || (member_count > 0 && set->rating_count > 0);
  *rating = own ? *own : (struct rating){.customer = catalog_customer(v->catalog, customer)};
  if (known) {
    rating->period = set->ratings[0].period;
    add_members(set, v->catalog, members, member_count);
  }
  if (known && take_adjustments(v, document, set, rating, err) &&
      rating_set_join(set, v->catalog, members, member_count, rating, err) &&
      take_purse(set->arena, document, &purse, err) && rating_set_invoice(set, v->catalog, rating, &purse, out, err)) {
    return true;
  }
  if (!known) {
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
