/* meterhouse check: every invariant of a book, from the checksum of a block to the last digit of an invoice. */
#include "book/book.h"
#include "cli/cli.h"

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct book *book = NULL;
  struct check_result result = {0};
  struct cli_listing listing = {0};
  bool ok = book_open(cli_value(args, "--data"), NULL, BOOK_WRITE, &book, &err) &&
            book_check(book, cli_list, &listing, &result, &err);
  book_close(book);
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
    .options = {CLI_OPTION_DATA, CLI_OPTION_FORMAT},
    .run = run,
};
