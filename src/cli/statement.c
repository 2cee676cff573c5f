/* meterhouse statement: a customer's statement of account. */
#include "base/json.h"
#include "base/time.h"
#include "book/book.h"
#include "cli/cli.h"
#include "collect/collect.h"

static bool take_period(const struct cli_args *args, const struct catalog *catalog, slice customer, struct period *out,
                        struct error *err) {
  const struct customer *known = catalog_customer(catalog, customer);
  const char *from = cli_value(args, "--from"), *to = cli_value(args, "--to");
  if (known == NULL) {
    return error_set(err, ERR_NOT_FOUND, "there is no customer \"" SLICE_FMT "\"", SLICE_ARG(customer));
  }
  /* Up to and with this instant. */
  *out = (struct period){{0}, {clock_now().ns + 1}};
  if (from && !time_parse_loose(slice_of(from), known->time_zone, &out->from, err)) {
    return error_at(err, "--from");
  }
  if (to && !time_parse_loose(slice_of(to), known->time_zone, &out->to, err)) {
    return error_at(err, "--to");
  }
  return out->from.ns < out->to.ns || error_set(err, ERR_USAGE, "--from should come before --to");
}

static void print(const struct statement *s, bool json) {
  struct buf out;
  struct json_out w;
  buf_init(&out, (size_t)1 << 30);
  if (json) {
    json_out_init(&w, &out, true);
    statement_put(&w, s);
    buf_addc(&out, '\n');
  } else {
    statement_text(s, &out);
  }
  printf(SLICE_FMT, SLICE_ARG(buf_slice(&out)));
  buf_free(&out);
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct book *book = NULL;
  struct arena *arena = arena_new();
  slice customer = slice_of(args->rest[0]);
  bool ok = book_open(cli_value(args, "--data"), cli_value(args, "--catalog"), BOOK_WRITE, &book, &err);
  if (ok) {
    struct collect c = {book_db(book), book_ledger(book), book_catalog(book), clock_now(), arena};
    struct period period;
    struct statement statement;
    ok =
        take_period(args, c.catalog, customer, &period, &err) && statement_make(&c, customer, period, &statement, &err);
    if (ok) {
      print(&statement, cli_json(args));
    }
  }
  book_close(book);
  arena_free(arena);
  return ok ? CLI_EXIT_DONE : cli_fail(args, &err);
}

const struct cli_command cli_statement = {
    .name = "statement",
    .summary = "a customer's statement of account: balances, documents, payments, aging",
    .rest = "CUSTOMER",
    .rest_min = 1,
    .rest_max = 1,
    .example = "meterhouse statement --data book --from 2026-10-01 --to 2026-11-01 acme",
    .options = {CLI_OPTION_DATA,
                {"--from", "DATE", "first day, in the customer's time zone; default: the beginning", false},
                {"--to", "DATE", "the day after the last one; default: now", false},
                {"--catalog", "DIR", "the catalog; remembered by the book", false},
                CLI_OPTION_FORMAT},
    .run = run,
};
