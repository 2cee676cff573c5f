/* meterhouse check: every invariant of a book, from the checksum of a block to the last digit of an invoice. */
#include "book/book.h"
#include "cli/cli.h"

/* A book whose identities can not be read is not opened for writing; what is wrong with it can still be told. */
static bool check(const struct cli_args *args, struct cli_listing *listing, struct check_result *result,
                  struct error *err) {
  const char *dir = cli_value(args, "--data");
  struct book *book = NULL;
  bool ok = book_open(dir, NULL, BOOK_WRITE, &book, err);
  if (ok) {
    ok = (!cli_flag(args, "--rebuild") || book_rebuild(book, err)) && book_check(book, cli_list, listing, result, err);
  } else if (err->code == ERR_CORRUPT) {
    cli_list(listing, err->message);
    ok = book_open(dir, NULL, BOOK_READ, &book, err) && book_check_store(book, cli_list, listing, result, err);
    result->problems++;
  }
  book_close(book);
  return ok;
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct check_result result = {0};
  struct cli_listing listing = {0};
  bool ok = check(args, &listing, &result, &err);
  cli_list_end(&listing);
  if (!ok) {
    return cli_fail(args, &err);
  }
  if (cli_json(args)) {
    printf("{\"events\":%llu,\"accounts\":%llu,\"invoices\":%llu,\"problems\":%llu}\n",
           (unsigned long long)result.events, (unsigned long long)result.accounts, (unsigned long long)result.invoices,
           (unsigned long long)result.problems);
  } else {
    printf("%s: %llu events, %llu accounts, %llu invoices, %llu problems\n", result.problems ? "NOT CLEAN" : "clean",
           (unsigned long long)result.events, (unsigned long long)result.accounts, (unsigned long long)result.invoices,
           (unsigned long long)result.problems);
  }
  return result.problems ? CLI_EXIT_FAILED : CLI_EXIT_DONE;
}

const struct cli_command cli_check = {
    .name = "check",
    .summary = "verify all invariants of journal, ledger and invoices",
    .example = "meterhouse check --data book",
    .options = {CLI_OPTION_DATA,
                {"--rebuild", NULL, "first make the kept aggregates anew from the events", false},
                CLI_OPTION_FORMAT},
    .run = run,
};
