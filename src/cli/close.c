/* meterhouse close: finalizes a period on the books; safe to repeat and to interrupt. */
#include "base/json.h"
#include "base/time.h"
#include "book/book.h"
#include "cli/cli.h"

static void print_json(const struct close_result *r) {
  struct buf out;
  struct json_out w;
  char text[DECIMAL_TEXT_MAX];
  buf_init(&out, 1u << 16);
  json_out_init(&w, &out, true);
  json_open_object(&w);
  json_put_int(&w, "finalized", (int64_t)r->invoices);
  json_put_int(&w, "already_finalized", (int64_t)r->already);
  json_put_int(&w, "without_charges", (int64_t)r->empty);
  json_put_int(&w, "later", (int64_t)r->later);
  json_put_int(&w, "unpriced", (int64_t)r->unpriced);
  json_key(&w, "sums");
  json_open_array(&w);
  for (size_t i = 0; i < r->sum_count; i++) {
    json_open_object(&w);
    json_put_cstr(&w, "currency", r->sums[i].currency);
    json_put_int(&w, "invoices", (int64_t)r->sums[i].invoices);
    json_put_cstr(&w, "subtotal", amount_text(r->sums[i].subtotal, text));
    json_put_cstr(&w, "tax", amount_text(r->sums[i].tax, text));
    json_put_cstr(&w, "total", amount_text(r->sums[i].total, text));
    json_close_object(&w);
  }
  json_close_array(&w);
  json_close_object(&w);
  printf(SLICE_FMT "\n", SLICE_ARG(buf_slice(&out)));
  buf_free(&out);
}

static void print_text(const struct close_result *r) {
  printf("%llu invoices finalized, %llu were already, %llu customers without charges\n",
         (unsigned long long)r->invoices, (unsigned long long)r->already, (unsigned long long)r->empty);
  if (r->later > 0) {
    printf("%llu customers' periods end later: close again then\n", (unsigned long long)r->later);
  }
  for (size_t i = 0; i < r->sum_count; i++) {
    char subtotal[DECIMAL_TEXT_MAX * 2], tax[DECIMAL_TEXT_MAX * 2], total[DECIMAL_TEXT_MAX * 2];
    const struct currency *currency = currency_find(slice_of(r->sums[i].currency));
    printf("%s: %s + tax %s = %s\n", r->sums[i].currency, amount_display(r->sums[i].subtotal, currency, subtotal),
           amount_display(r->sums[i].tax, currency, tax), amount_display(r->sums[i].total, currency, total));
  }
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct book *book = NULL;
  struct close_result result;
  struct cli_listing listing = {0};
  struct close_options options = {.allow_unpriced = cli_flag(args, "--allow-unpriced"),
                                  .pdf = !cli_flag(args, "--no-pdf"),
                                  .early = cli_flag(args, "--early")};
  bool ok = book_open(cli_value(args, "--data"), cli_value(args, "--catalog"), BOOK_WRITE, &book, &err) &&
            book_close_period(book, slice_of(cli_value(args, "--period")), &options, cli_list, &listing, &result, &err);
  book_close(book);
  cli_list_end(&listing);
  if (!ok) {
    return cli_fail(args, &err);
  }
  if (cli_json(args)) {
    print_json(&result);
  } else {
    print_text(&result);
  }
  return CLI_EXIT_DONE;
}

const struct cli_command cli_close = {
    .name = "close",
    .summary = "finalize a period's invoices on the books, each exactly once",
    .example = "meterhouse close --data book --period 2026-10",
    .options = {CLI_OPTION_DATA,
                {"--period", "PERIOD", "2026-10, in each customer's own time zone", true},
                {"--catalog", "DIR", "the catalog; remembered by the book", false},
                {"--allow-unpriced", NULL, "usage that no price matches is listed but does not stop the close", false},
                {"--early", NULL, "close although the period has not ended", false},
                {"--no-pdf", NULL, "do not print the PDFs now", false},
                CLI_OPTION_FORMAT},
    .run = run,
};
