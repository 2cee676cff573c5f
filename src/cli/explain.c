/* meterhouse explain: how an amount on an invoice came to be, from the usage to the rounding. */
#include "book/book.h"
#include "cli/cli.h"
#include <stdlib.h>

struct explanation {
  uint32_t line;
  struct buf out;
  bool found;
};

static bool explain(void *context, const struct stored_invoice *stored, struct error *err) {
  struct explanation *e = context;
  e->found = true;
  return invoice_explain(stored->document, e->line, &e->out, err);
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct book *book = NULL;
  struct explanation e = {0};
  char *end;
  unsigned long line = strtoul(args->rest[1], &end, 10);
  if (*end != '\0' || line == 0 || line > UINT32_MAX) {
    error_set(&err, ERR_USAGE, "LINE is the number of a line on the invoice, not \"%s\"", args->rest[1]);
    return cli_fail(args, &err);
  }
  e.line = (uint32_t)line;
  buf_init(&e.out, 16u << 20);
  struct invoice_query query = {.id = slice_of(args->rest[0]), .limit = 1, .with_document = true};
  bool ok = book_open(cli_value(args, "--data"), NULL, BOOK_READ, &book, &err) &&
            invoice_list(book_db(book), &query, explain, &e, &err) &&
            (e.found || error_set(&err, ERR_NOT_FOUND, "there is no invoice %s in this book", args->rest[0]));
  if (ok) {
    printf(SLICE_FMT, SLICE_ARG(buf_slice(&e.out)));
  }
  buf_free(&e.out);
  book_close(book);
  return ok ? CLI_EXIT_DONE : cli_fail(args, &err);
}

const struct cli_command cli_explain = {
    .name = "explain",
    .summary = "show how an amount on an invoice came to be",
    .rest = "INVOICE LINE",
    .rest_min = 2,
    .rest_max = 2,
    .example = "meterhouse explain --data book NW-2026-000001 3",
    .options = {CLI_OPTION_DATA},
    .run = run,
};
