/* meterhouse key: makes, lists and revokes API keys. A key is shown once; only its hash is kept. */
#include "base/time.h"
#include "book/book.h"
#include "cli/cli.h"
#include <string.h>

static enum role role_of(const char *text) {
  for (enum role r = ROLE_CUSTOMER; r <= ROLE_OPERATOR; r++) {
    if (text && strcmp(text, role_name(r)) == 0) {
      return r;
    }
  }
  return ROLE_NONE;
}

static bool create(const struct cli_args *args, struct book *book, struct error *err) {
  enum role role = role_of(cli_value(args, "--role"));
  char secret[96];
  if (role == ROLE_NONE) {
    return error_set(err, ERR_USAGE, "--role is operator, customer or investor");
  }
  if (!book_begin(book, err)) {
    return false;
  }
  if (!key_create(book, role, slice_of(cli_value(args, "--customer")), slice_of(cli_value(args, "--name")), secret,
                  err)) {
    book_undo(book);
    return false;
  }
  if (!book_commit(book, err)) {
    return false;
  }
  printf("%s\n", secret);
  return true;
}

static bool print_key(void *context, slice id, enum role role, slice customer, slice name, instant created,
                      bool revoked, struct error *err) {
  (void)context;
  (void)err;
  char when[TIME_TEXT_MAX];
  printf(SLICE_FMT "  %-8s  %-12.*s  %s%s  " SLICE_FMT "\n", SLICE_ARG(id), role_name(role), (int)customer.len,
         customer.ptr, time_format(created, when), revoked ? "  revoked" : "", SLICE_ARG(name));
  return true;
}

static bool revoke(const struct cli_args *args, struct book *book, struct error *err) {
  if (args->rest_count != 2) {
    return error_set(err, ERR_USAGE, "`key revoke` takes the id of a key; `key list` shows them");
  }
  if (!book_begin(book, err)) {
    return false;
  }
  if (!key_revoke(book, slice_of(args->rest[1]), err)) {
    book_undo(book);
    return false;
  }
  return book_commit(book, err);
}

static bool act(const struct cli_args *args, struct book *book, struct error *err) {
  const char *action = args->rest[0];
  if (strcmp(action, "create") == 0) {
    return create(args, book, err);
  }
  if (strcmp(action, "list") == 0) {
    return key_list(book, print_key, NULL, err);
  }
  if (strcmp(action, "revoke") == 0) {
    return revoke(args, book, err);
  }
  return error_set(err, ERR_USAGE, "there is no `key %s`: create, list or revoke", action);
}

static int run(const struct cli_args *args) {
  return cli_on_book(args, act);
}

const struct cli_command cli_key = {
    .name = "key",
    .summary = "create, list and revoke API keys",
    .rest = "create|list|revoke [ID]",
    .rest_min = 1,
    .rest_max = 2,
    .example = "meterhouse key create --data book --role customer --customer acme --name ci",
    .options = {CLI_OPTION_DATA,
                {"--role", "ROLE", "operator, customer or investor", false},
                {"--customer", "ID", "whose key it is (role customer)", false},
                {"--name", "TEXT", "a reminder of what it is for", false},
                {"--catalog", "DIR", "the catalog; remembered by the book", false}},
    .run = run,
};
