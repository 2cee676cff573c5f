/* meterhouse credit: gives, lists and ends credits. */
#include "credit/credit.h"
#include "base/hash.h"
#include "base/time.h"
#include "book/book.h"
#include "cli/cli.h"
#include <string.h>

static bool take_time(const struct cli_args *args, const char *option, const struct customer *customer,
                      instant otherwise, instant *out, struct error *err) {
  const char *text = cli_value(args, option);
  *out = otherwise;
  return text == NULL || time_parse_loose(slice_of(text), customer->time_zone, out, err) || error_at(err, "%s", option);
}

/* "GPU compute,Storage" */
static bool take_scope(const char *text, slice scope[CREDIT_SCOPE_MAX], size_t *count, struct error *err) {
  *count = 0;
  while (text && *text) {
    size_t length = strcspn(text, ",");
    if (*count == CREDIT_SCOPE_MAX) {
      return error_set(err, ERR_USAGE, "--scope: at most %d products", CREDIT_SCOPE_MAX);
    }
    scope[(*count)++] = slice_trim((slice){text, length});
    text += length + (text[length] == ',');
  }
  return true;
}

static bool take_request(const struct cli_args *args, const struct customer *customer, instant now,
                         char id[ID_TEXT_MAX], slice scope[CREDIT_SCOPE_MAX], struct credit_grant *out,
                         struct error *err) {
  const char *given = cli_value(args, "--id");
  uint64_t priority;
  *out = (struct credit_grant){.id = given ? slice_of(given) : slice_of(id_new("grt", id)),
                               .reference = slice_of(cli_value(args, "--reference")),
                               .note = slice_of(cli_value(args, "--note")),
                               .scope = scope};
  if (!credit_kind_of(slice_of(cli_value(args, "--kind")), &out->kind, err)) {
    return error_set(err, ERR_USAGE, "--kind is prepaid, promotional or referral");
  }
  if (!amount_parse(slice_of(cli_value(args, "--amount")), &out->amount, err)) {
    return error_at(err, "--amount");
  }
  if (!cli_number(args, "--priority", (uint64_t)credit_priority_of(out->kind), 0, CREDIT_PRIORITY_MAX, &priority,
                  err)) {
    return false;
  }
  out->priority = (int)priority;
  return take_scope(cli_value(args, "--scope"), scope, &out->scope_count, err) &&
         take_time(args, "--effective", customer, now, &out->effective, err) &&
         take_time(args, "--expires", customer, INSTANT_MAX, &out->expires, err);
}

static bool add(const struct cli_args *args, struct book *book, struct error *err) {
  char id[ID_TEXT_MAX];
  slice scope[CREDIT_SCOPE_MAX];
  struct credit_grant grant;
  bool repeated;
  instant now = clock_now();
  slice name = slice_of(cli_value(args, "--customer"));
  const struct customer *customer = catalog_customer(book_catalog(book), name);
  if (customer == NULL) {
    return error_set(err, ERR_USAGE, "--customer: \"" SLICE_FMT "\" is not in the catalog", SLICE_ARG(name));
  }
  if (!take_request(args, customer, now, id, scope, &grant, err) || !book_begin(book, err)) {
    return false;
  }
  if (!credit_add(book_db(book), book_ledger(book), customer, &grant, now, &repeated, err)) {
    book_undo(book);
    return false;
  }
  if (!book_commit(book, err)) {
    return false;
  }
  printf(SLICE_FMT "%s\n", SLICE_ARG(grant.id), repeated ? "  was given before: nothing was changed" : "");
  return true;
}

static bool print_credit(void *context, const struct credit_grant *g, struct error *err) {
  (void)context;
  (void)err;
  char given[DECIMAL_TEXT_MAX], remaining[DECIMAL_TEXT_MAX], when[TIME_TEXT_MAX];
  printf(SLICE_FMT "  " SLICE_FMT "  %-11s  %s of %s " SLICE_FMT "  %s%s%s  " SLICE_FMT "\n", SLICE_ARG(g->id),
         SLICE_ARG(g->customer), credit_kind_name(g->kind), amount_text(g->remaining, remaining),
         amount_text(g->amount, given), SLICE_ARG(g->currency), g->state == CREDIT_REVOKED ? "revoked  " : "",
         g->expires.ns < INSTANT_MAX.ns ? "until " : "",
         g->expires.ns < INSTANT_MAX.ns ? time_format(g->expires, when) : "", SLICE_ARG(g->note));
  return true;
}

static bool list(const struct cli_args *args, struct book *book, struct error *err) {
  struct credit_query query = {.customer = slice_of(cli_value(args, "--customer")), .limit = SIZE_MAX};
  return credit_list(book_db(book), &query, print_credit, NULL, err);
}

/* With an id ends that one; without, books all that the clock has made due. */
static bool expire(const struct cli_args *args, struct book *book, struct error *err) {
  struct credit_run run = {0};
  instant now = clock_now();
  if (!book_begin(book, err)) {
    return false;
  }
  if ((args->rest_count == 2 && !credit_end(book_db(book), book_ledger(book), slice_of(args->rest[1]), now, err)) ||
      !book_credits_due(book, now, &run, err)) {
    book_undo(book);
    return false;
  }
  if (!book_commit(book, err)) {
    return false;
  }
  printf("%zu credits expired, %zu top-ups asked for\n", run.expired + (args->rest_count == 2), run.top_ups);
  return true;
}

static bool act(const struct cli_args *args, struct book *book, struct error *err) {
  const char *action = args->rest[0];
  if (strcmp(action, "add") == 0) {
    return add(args, book, err);
  }
  if (strcmp(action, "list") == 0) {
    return list(args, book, err);
  }
  if (strcmp(action, "expire") == 0) {
    return expire(args, book, err);
  }
  return error_set(err, ERR_USAGE, "there is no `credit %s`: add, list or expire", action);
}

static int run(const struct cli_args *args) {
  return cli_on_book(args, act);
}

const struct cli_command cli_credit = {
    .name = "credit",
    .summary = "give, list and expire credits",
    .rest = "add|list|expire [ID]",
    .rest_min = 1,
    .rest_max = 2,
    .example = "meterhouse credit add --data book --customer acme --kind promotional --amount 100 --expires 2027-01-01",
    .options = {CLI_OPTION_DATA,
                {"--customer", "ID", "whose credit (add, list)", false},
                {"--kind", "KIND", "prepaid, promotional or referral", false},
                {"--amount", "AMOUNT", "in the customer's currency", false},
                {"--priority", "N", "0 to 100, the lower goes first (default 50 for prepaid, else 10)", false},
                {"--scope", "PRODUCTS", "what it pays for, separated by commas (default all)", false},
                {"--effective", "TIME", "from when it can be spent (default now)", false},
                {"--expires", "TIME", "until when (default for ever)", false},
                {"--reference", "TEXT", "of the payment, or the promotion", false},
                {"--note", "TEXT", "shown on the invoice's line", false},
                {"--id", "ID", "yours: the same again changes nothing", false},
                {"--catalog", "DIR", "the catalog; remembered by the book", false}},
    .run = run,
};
