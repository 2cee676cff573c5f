/* meterhouse export: invoices as PDF, UBL or JSON, a month as FOCUS, anything listed as CSV. */
#include "cli/export.h"
#include "base/file.h"
#include "documents/documents.h"
#include <string.h>

bool export_write(struct export *e, const char *name, slice bytes, struct error *err) {
  if (e->out == NULL) {
    return fwrite(bytes.ptr, 1, bytes.len, stdout) == bytes.len ||
           error_set(err, ERR_IO, "standard output can not be written");
  }
  if (name == NULL) {
    return file_write(e->out, bytes, err);
  }
  return file_make_dirs(e->out, err) && file_write(arena_printf(e->arena, "%s/%s", e->out, name), bytes, err);
}

/* ---- which invoices ---- */

struct walk {
  export_each *each;
  void *context;
  uint64_t found;
};

static bool take_stored(void *context, const struct stored_invoice *i, struct error *err) {
  struct walk *walk = context;
  walk->found++;
  return walk->each(walk->context, i->number, i->status, i->document, err);
}

static bool none_found(const struct export *e, struct error *err) {
  if (e->period.len > 0) {
    return error_set(err, ERR_NOT_FOUND,
                     "there are no such invoices in this book; --period is one that stands on an invoice, such as "
                     "2026-10 for what begins in October, not \"" SLICE_FMT "\"",
                     SLICE_ARG(e->period));
  }
  return error_set(err, ERR_NOT_FOUND, "there are no such invoices in this book");
}

static bool from_book(struct export *e, struct walk *walk, struct error *err) {
  struct invoice_query query = {.customer = e->customer, .period = e->period, .limit = SIZE_MAX, .with_document = true};
  if (e->name_count == 0) {
    return invoice_list(book_db(e->book), &query, take_stored, walk, err) && (walk->found > 0 || none_found(e, err));
  }
  for (size_t i = 0; i < e->name_count; i++) {
    query = (struct invoice_query){.id = slice_of(e->names[i]), .limit = 1, .with_document = true};
    walk->found = 0;
    if (!invoice_list(book_db(e->book), &query, take_stored, walk, err)) {
      return false;
    }
    if (walk->found == 0) {
      return error_set(err, ERR_NOT_FOUND, "there is no invoice %s in this book", e->names[i]);
    }
  }
  return true;
}

/* A file holds one document, or a list of them as `bill --format json` prints. */
static bool take_file(struct export *e, const char *path, struct walk *walk, struct error *err) {
  slice bytes;
  const struct json *tree;
  if (!file_read(e->arena, path, DOCUMENT_BYTES_MAX, &bytes, err) || !json_parse(e->arena, bytes, &tree, err)) {
    return error_at(err, "%s", path);
  }
  for (const struct json *one = tree->kind == JSON_ARRAY ? tree->child : tree; one; one = one->next) {
    struct buf text;
    struct json_out w;
    buf_init(&text, DOCUMENT_BYTES_MAX);
    json_out_init(&w, &text, true);
    json_value(&w, one);
    slice number = json_text(one, "number"), customer = json_text(json_get(one, "customer"), "id");
    bool ok =
        walk->each(walk->context, number.len ? number : customer, json_text(one, "status"), buf_slice(&text), err) ||
        error_at(err, "%s", path);
    buf_free(&text);
    if (!ok) {
      return false;
    }
  }
  return true;
}

bool export_invoices(struct export *e, export_each *each, void *context, struct error *err) {
  struct walk walk = {.each = each, .context = context};
  if (e->book) {
    return from_book(e, &walk, err);
  }
  for (size_t i = 0; i < e->name_count; i++) {
    if (!take_file(e, e->names[i], &walk, err)) {
      return false;
    }
  }
  return e->name_count > 0 || error_set(err, ERR_USAGE, "say --data DIR, or name files of invoice documents");
}

/* ---- documents, one by one ---- */

struct documents {
  struct export *e;
  const char *kind;
  uint64_t seen, failed;
  struct cli_listing refused;
};

static bool render(struct documents *d, slice document, struct buf *out, struct error *err) {
  const struct catalog *catalog = d->e->book ? book_catalog(d->e->book) : NULL;
  if (strcmp(d->kind, "pdf") == 0) {
    return document_pdf(document, catalog, out, err);
  }
  if (strcmp(d->kind, "ubl") == 0) {
    return document_ubl(document, out, err);
  }
  document_print(document, out);
  return true;
}

/* One that can not be rendered is told of, and the others are written all the same. */
static bool write_document(void *context, slice number, slice status, slice document, struct error *err) {
  (void)status;
  struct documents *d = context;
  struct error refused = {0};
  if (d->seen++ > 0 && d->e->out == NULL) {
    return error_set(err, ERR_USAGE, "there are several invoices: say --out DIR");
  }
  struct buf bytes;
  buf_init(&bytes, EXPORT_BYTES_MAX);
  char *name =
      arena_printf(d->e->arena, SLICE_FMT ".%s", SLICE_ARG(number), strcmp(d->kind, "ubl") == 0 ? "xml" : d->kind);
  for (char *p = name; *p; p++) {
    *p = *p == '/' ? '-' : *p;
  }
  bool rendered = render(d, document, &bytes, &refused);
  bool ok = !rendered || export_write(d->e, name, buf_slice(&bytes), err);
  buf_free(&bytes);
  if (!rendered) {
    d->failed++;
    cli_list(&d->refused, arena_printf(d->e->arena, SLICE_FMT ": %s", SLICE_ARG(number), refused.message));
  }
  return ok;
}

bool export_documents(struct export *e, struct error *err) {
  struct documents d = {.e = e, .kind = e->args->rest[0]};
  bool ok = export_invoices(e, write_document, &d, err);
  cli_list_end(&d.refused);
  return ok && (d.failed == 0 || error_set(err, ERR_INVALID, "%llu of %llu invoices were not written",
                                           (unsigned long long)d.failed, (unsigned long long)d.seen));
}

/* ---- the command ---- */

static export_kind *kind_named(const char *name) {
  static const struct {
    const char *name;
    export_kind *run;
  } kinds[] = {{"pdf", export_documents}, {"ubl", export_documents}, {"json", export_documents},
               {"csv", export_csv},       {"focus", export_focus},   {"customer", export_customer}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (strcmp(kinds[i].name, name) == 0) {
      return kinds[i].run;
    }
  }
  return NULL;
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  const char *data = cli_value(args, "--data");
  struct export e = {.args = args,
                     .arena = arena_new(),
                     .out = cli_value(args, "--out"),
                     .customer = slice_of(cli_value(args, "--customer")),
                     .period = slice_of(cli_value(args, "--period")),
                     .names = args->rest + 1,
                     .name_count = args->rest_count - 1};
  export_kind *kind = kind_named(args->rest[0]);
  bool ok = (kind || error_set(&err, ERR_USAGE, "the kinds are pdf, ubl, json, csv, focus and customer, not \"%s\"",
                               args->rest[0])) &&
            (!data || book_open(data, NULL, BOOK_READ, &e.book, &err)) && kind(&e, &err);
  book_close(e.book);
  arena_free(e.arena);
  return ok ? CLI_EXIT_DONE : cli_fail(args, &err);
}

const struct cli_command cli_export = {
    .name = "export",
    .summary = "invoices as PDF, UBL or JSON, a month as FOCUS, lists as CSV, a customer's all to verify",
    .rest = "pdf|ubl|json|csv|focus|customer [INVOICE...|FILE.json...|LIST]",
    .rest_min = 1,
    .rest_max = SIZE_MAX,
    .example = "meterhouse export ubl --data book --period 2026-10 --out ubl",
    .options = {{"--data", "DIR", "the book; without it the arguments are files of invoice documents", false},
                {"--period", "PERIOD", "invoices, usage or datasets of this period", false},
                {"--customer", "ID", "of this customer alone", false},
                {"--dataset", "NAME",
                 "focus: cost-and-usage, invoice-detail, billing-period, contract-commitment or all", false},
                {"--out", "PATH",
                 "a folder for documents, datasets and a customer, a file for csv (default standard output)", false}},
    .run = run,
    .print_more = export_print_lists,
};
