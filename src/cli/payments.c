/* meterhouse payments: takes bank files in, and lists payments. */
#include "base/file.h"
#include "base/json.h"
#include "base/time.h"
#include "book/book.h"
#include "cli/cli.h"
#include "collect/collect.h"
#include <string.h>

#define PAYMENTS_PER_COMMIT 200

struct intake {
  struct book *book;
  const char *file;
  bool json;
  struct arena *arena; /* of one commit */
  size_t in_batch;
  uint64_t recorded, repeated, refused, passed_over;
  struct buf out; /* of what is not committed yet */
  struct cli_listing listing;
};

static struct collect collect_of(struct book *book, struct arena *arena) {
  return (struct collect){book_db(book), book_ledger(book), book_catalog(book), clock_now(), arena};
}

/* ---- import ---- */

static void refused(void *context, uint64_t line, const struct error *why) {
  struct intake *in = context;
  in->refused++;
  tell(cli_list, &in->listing, "%s:%llu: refused: %s", in->file, (unsigned long long)line, why->message);
}

static void passed_over(void *context, uint64_t line, const char *why) {
  struct intake *in = context;
  (void)line;
  (void)why;
  in->passed_over++;
}

/* As many decimals as the currency has; the amount is a multiple of its minor unit. */
static char *money_text(amount a, slice code, char text[DECIMAL_TEXT_MAX]) {
  const struct currency *currency = currency_find(code);
  return amount_text_fixed(a, currency ? currency->minor_units : 2, text);
}

struct targets {
  struct buf *out;
  slice currency;
};

static bool add_target(void *context, const struct payment_allocation *a, struct error *err) {
  (void)err;
  const struct targets *t = context;
  char value[DECIMAL_TEXT_MAX];
  buf_addf(t->out, " -> " SLICE_FMT " %s", SLICE_ARG(a->number.len ? a->number : a->invoice),
           money_text(a->amount, t->currency, value));
  return true;
}

static bool describe(struct intake *in, const struct collect *c, uint64_t line, const struct payment_result *result,
                     struct error *err) {
  struct payment p;
  amount left;
  char value[DECIMAL_TEXT_MAX];
  struct json_out w;
  if (!payment_find(c, result->id, &p, err) || !amount_sub(p.amount, p.applied, &left, err) ||
      !amount_sub(left, p.refunded, &left, err)) {
    return false;
  }
  if (in->json) {
    json_out_init(&w, &in->out, false);
    bool ok = payment_put(c, &w, &p, err);
    buf_addc(&in->out, '\n');
    return ok;
  }
  buf_addf(&in->out, "%s:%llu: %s " SLICE_FMT "%s" SLICE_FMT, in->file, (unsigned long long)line,
           money_text(p.amount, p.currency, value), SLICE_ARG(p.currency), p.customer.len ? " of " : "",
           SLICE_ARG(p.customer));
  struct targets targets = {&in->out, p.currency};
  if (!payment_allocations(c->db, p.id, add_target, &targets, err)) {
    return false;
  }
  if (!amount_is_zero(left)) {
    buf_addf(&in->out, " -> %s %s", p.customer.len ? "unapplied" : "suspense", money_text(left, p.currency, value));
  }
  buf_addf(&in->out, "%s\n", result->repeated ? " (was recorded before)" : "");
  return true;
}

static bool commit_batch(struct intake *in, struct error *err) {
  if (in->in_batch == 0) {
    return true;
  }
  if (!book_commit(in->book, err)) {
    return false;
  }
  printf(SLICE_FMT, SLICE_ARG(buf_slice(&in->out)));
  buf_free(&in->out);
  buf_init(&in->out, 64u << 20);
  arena_reset(in->arena);
  in->in_batch = 0;
  return true;
}

/* What is wrong with one payment was found before anything of it was written: the others go on. */
static bool take(void *context, uint64_t line, const struct payment_request *request, struct error *err) {
  struct intake *in = context;
  struct collect c = collect_of(in->book, in->arena);
  struct payment_result result;
  struct error why = {0};
  if (in->in_batch == 0 && !book_begin(in->book, err)) {
    return false;
  }
  in->in_batch++;
  if (!payment_record(&c, request, &result, &why)) {
    if (why.code != ERR_INVALID && why.code != ERR_CONFLICT) {
      *err = why;
      return false;
    }
    refused(in, line, &why);
  } else {
    in->repeated += result.repeated;
    in->recorded += !result.repeated;
    if (!describe(in, &c, line, &result, err)) {
      return false;
    }
  }
  return in->in_batch < PAYMENTS_PER_COMMIT || commit_batch(in, err);
}

static bool import_file(struct intake *in, const char *file, struct error *err) {
  struct arena *arena = arena_new();
  const char *slash = strrchr(file, '/');
  const struct bank_hooks hooks = {take, refused, passed_over, in};
  slice bytes;
  in->file = slash ? slash + 1 : file;
  bool ok = file_read(arena, file, BANK_FILE_BYTES_MAX, &bytes, err) &&
            bank_file_parse(in->file, bytes, book_catalog(in->book)->time_zone, &hooks, err) && commit_batch(in, err);
  if (!ok && in->in_batch > 0) {
    book_undo(in->book);
    in->in_batch = 0;
  }
  arena_free(arena);
  return ok;
}

static bool import_files(const struct cli_args *args, struct book *book, bool *clean, struct error *err) {
  struct intake in = {.book = book, .json = cli_json(args), .arena = arena_new()};
  bool ok = args->rest_count > 1 || error_set(err, ERR_USAGE, "`payments import` takes the names of files");
  buf_init(&in.out, 64u << 20);
  for (size_t i = 1; ok && i < args->rest_count; i++) {
    ok = import_file(&in, args->rest[i], err);
  }
  cli_list_end(&in.listing);
  if (ok && !in.json) {
    printf("%llu payments recorded, %llu were before, %llu refused, %llu entries are no incoming payments\n",
           (unsigned long long)in.recorded, (unsigned long long)in.repeated, (unsigned long long)in.refused,
           (unsigned long long)in.passed_over);
  }
  *clean = in.refused == 0;
  buf_free(&in.out);
  arena_free(in.arena);
  return ok;
}

/* ---- list ---- */

static bool print_payment(void *context, const struct payment *p, struct error *err) {
  (void)err;
  const struct book *book = context;
  char value[DECIMAL_TEXT_MAX], date[TIME_TEXT_MAX];
  printf(SLICE_FMT "  %s  %14s " SLICE_FMT "  %-9.*s  %-16.*s  " SLICE_FMT "\n", SLICE_ARG(p->id),
         time_format_date(p->received, book_catalog(book)->time_zone, date), money_text(p->amount, p->currency, value),
         SLICE_ARG(p->currency), SLICE_ARG(p->state), SLICE_ARG(p->customer), SLICE_ARG(p->text));
  return true;
}

static bool act(const struct cli_args *args, struct book *book, bool *clean, struct error *err) {
  const char *action = args->rest[0], *customer = cli_value(args, "--customer"), *state = cli_value(args, "--state");
  if (strcmp(action, "import") == 0) {
    return import_files(args, book, clean, err);
  }
  if (strcmp(action, "list") == 0) {
    struct payment_query query = {.customer = slice_of(customer), .state = slice_of(state), .limit = SIZE_MAX};
    return payment_list(book_db(book), &query, print_payment, book, err);
  }
  return error_set(err, ERR_USAGE, "there is no `payments %s`: import or list", action);
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct book *book = NULL;
  bool clean = true;
  bool ok = book_open(cli_value(args, "--data"), cli_value(args, "--catalog"), BOOK_WRITE, &book, &err) &&
            act(args, book, &clean, &err);
  book_close(book);
  return !ok ? cli_fail(args, &err) : clean ? CLI_EXIT_DONE : CLI_EXIT_FAILED;
}

const struct cli_command cli_payments = {
    .name = "payments",
    .summary = "take in bank files, each payment once, and list payments",
    .rest = "import FILE...|list",
    .rest_min = 1,
    .rest_max = SIZE_MAX,
    .example = "meterhouse payments import --data book statement-2026-11-05.xml\n"
               "  meterhouse payments list --data book --state unmatched",
    .options = {CLI_OPTION_DATA,
                {"--customer", "ID", "list: of this customer", false},
                {"--state", "STATE", "list: matched, unmatched or refunded", false},
                {"--catalog", "DIR", "the catalog; remembered by the book", false},
                CLI_OPTION_FORMAT},
    .run = run,
};
