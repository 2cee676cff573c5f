/* A command that does one thing with a book: opened for it, and closed again. */
#include "book/book.h"
#include "cli/cli.h"

int cli_on_book(const struct cli_args *args, bool (*act)(const struct cli_args *, struct book *, struct error *)) {
  struct error err = {0};
  struct book *book = NULL;
  bool ok = book_open(cli_value(args, "--data"), cli_value(args, "--catalog"), BOOK_WRITE, &book, &err) &&
            act(args, book, &err);
  book_close(book);
  return ok ? CLI_EXIT_DONE : cli_fail(args, &err);
}
