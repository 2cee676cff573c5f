/* meterhouse explain: how an amount on an invoice came to be, from the usage to the rounding. */
#include "book/book.h"
#include "cli/cli.h"

#define OUTPUT_BYTES_MAX ((size_t)256 << 20)

struct explanation {
  struct book *book;
  slice what;
  struct explain_options options;
  struct buf out;
  bool found;
};

static bool explain(void *context, const struct stored_invoice *stored, struct error *err) {
  struct explanation *e = context;
  e->found = true;
  return book_explain(e->book, stored, e->what, e->options, &e->out, err);
}

static bool explain_stored(struct explanation *e, const char *name, struct error *err) {
  struct invoice_query query = {.id = slice_of(name), .limit = 1, .with_document = true};
  return invoice_list(book_db(e->book), &query, explain, e, err) &&
         (e->found || error_set(err, ERR_NOT_FOUND, "there is no invoice %s in this book", name));
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  const char *customer = cli_value(args, "--customer"), *period = cli_value(args, "--period");
  struct explanation e = {.what = slice_of(args->rest[args->rest_count - 1])};
  uint64_t events;
  if ((customer != NULL) != (period != NULL) || args->rest_count != (customer ? 1 : 2)) {
    error_set(&err, ERR_USAGE, "say INVOICE and LINE; or, of a draft, --customer ID --period PERIOD and LINE");
    return cli_fail(args, &err);
  }
  buf_init(&e.out, OUTPUT_BYTES_MAX);
  bool ok = cli_number(args, "--events", 10, 0, 1000000, &events, &err) &&
            book_open(cli_value(args, "--data"), NULL, BOOK_READ, &e.book, &err);
  e.options = (struct explain_options){.events_max = (size_t)events, .json = cli_json(args)};
  ok = ok &&
       (customer ? book_explain_draft(e.book, slice_of(customer), slice_of(period), e.what, e.options, &e.out, &err)
                 : explain_stored(&e, args->rest[0], &err));
  if (ok) {
    printf(SLICE_FMT, SLICE_ARG(buf_slice(&e.out)));
  }
  buf_free(&e.out);
  book_close(e.book);
  return ok ? CLI_EXIT_DONE : cli_fail(args, &err);
}

const struct cli_command cli_explain = {
    .name = "explain",
    .summary = "show how an amount on an invoice came to be, down to the events",
    .rest = "[INVOICE] LINE|total|tax|rounding",
    .rest_min = 1,
    .rest_max = 2,
    .example = "meterhouse explain --data book --events 5 NW-2026-000001 3",
    .options = {CLI_OPTION_DATA,
                {"--events", "N", "how many hours and events to list (default 10)", false},
                {"--customer", "ID", "instead of an invoice: the draft of this customer", false},
                {"--period", "PERIOD", "of the draft", false},
                CLI_OPTION_FORMAT},
    .run = run,
};
