/* meterhouse summary: what a period brought, on one screen. */
#include "base/time.h"
#include "book/book.h"
#include "cli/cli.h"

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct book *book = NULL;
  struct buf out;
  bool json = cli_json(args);
  buf_init(&out, 64u << 20);
  bool ok = book_open(cli_value(args, "--data"), NULL, BOOK_READ, &book, &err) &&
            book_summary(book, slice_of(cli_value(args, "--period")), json ? NULL : &out, json ? &out : NULL, &err);
  if (ok) {
    printf(SLICE_FMT, SLICE_ARG(buf_slice(&out)));
  }
  buf_free(&out);
  book_close(book);
  return ok ? CLI_EXIT_DONE : cli_fail(args, &err);
}

const struct cli_command cli_summary = {
    .name = "summary",
    .summary = "revenue, cost, margin, utilization and invoices of a period",
    .example = "meterhouse summary --data book --period 2026-10",
    .options = {CLI_OPTION_DATA, {"--period", "PERIOD", "2026-10, 2026, or FROM/TO", true}, CLI_OPTION_FORMAT},
    .run = run,
};
