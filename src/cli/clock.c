/* meterhouse clock: gives an empty book a test clock, and moves it on through all that falls due. */
#include "base/time.h"
#include "book/book.h"
#include "cli/cli.h"

static bool set_clock(struct book *book, const char *text, struct error *err) {
  instant t;
  return (time_parse_loose(slice_of(text), book_catalog(book)->time_zone, &t, err) || error_at(err, "--set")) &&
         book_set_test_clock(book, t, err);
}

/* "1 year" from where the clock stands, on the calendar on which --set is read, or a time to go to. */
static bool target_of(const struct cli_args *args, struct book *book, instant now, instant *out, struct error *err) {
  struct time_span span;
  const char *by = cli_value(args, "--advance"), *to = cli_value(args, "--to");
  if (by) {
    return (time_parse_span(slice_of(by), &span, err) &&
            time_add_span(now, span, book_catalog(book)->time_zone, out, err)) ||
           error_at(err, "--advance");
  }
  if (!time_parse_loose(slice_of(to), book_catalog(book)->time_zone, out, err)) {
    return error_at(err, "--to");
  }
  return out->ns > now.ns || error_set(err, ERR_INVALID, "--to: a clock does not go back");
}

static bool advance(const struct cli_args *args, struct book *book, struct cli_listing *listing,
                    struct due_result *result, struct error *err) {
  instant now, target;
  bool found;
  if (!book_test_clock(book, &now, &found, err)) {
    return false;
  }
  if (!found) {
    return error_set(err, ERR_INVALID, "this book has no test clock; an empty one is given one by --set 2026-01-01");
  }
  struct due_writer writer = book_due_writer(book);
  struct due_notes notes = {cli_list, listing};
  return target_of(args, book, now, &target, err) && book_run_due(book, target, &writer, notes, result, err);
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct book *book = NULL;
  struct due_result result = {0};
  struct cli_listing listing = {0};
  const char *set = cli_value(args, "--set");
  bool moves = cli_value(args, "--advance") || cli_value(args, "--to");
  if (cli_value(args, "--advance") && cli_value(args, "--to")) {
    error_set(&err, ERR_INVALID, "--advance and --to say the same thing: keep one");
    return cli_fail(args, &err);
  }
  bool ok = book_open(cli_value(args, "--data"), cli_value(args, "--catalog"), BOOK_WRITE, &book, &err) &&
            (!set || set_clock(book, set, &err)) && (!moves || advance(args, book, &listing, &result, &err));
  char text[TIME_TEXT_MAX];
  instant now = clock_now();
  book_close(book);
  cli_list_end(&listing);
  if (!ok) {
    return cli_fail(args, &err);
  }
  printf("%s: %llu invoices finalized, %llu held back\n", time_format(now, text), (unsigned long long)result.invoices,
         (unsigned long long)result.held);
  return CLI_EXIT_DONE;
}

const struct cli_command cli_clock = {
    .name = "clock",
    .summary = "a test book's own clock: set it, or move it on through all that falls due",
    .example = "meterhouse clock --data book --catalog catalog --set 2026-01-01 && meterhouse clock --data book "
               "--advance \"1 year\"",
    .options = {CLI_OPTION_DATA,
                {"--catalog", "DIR", "the catalog; remembered by the book", false},
                {"--set", "TIME", "give an empty book a clock that stands at this time", false},
                {"--advance", "SPAN", "such as \"90 days\", \"1 month\", \"3 years\"", false},
                {"--to", "TIME", "move it to this time", false}},
    .run = run,
};
