/* meterhouse dunning: takes the steps that are due about overdue invoices, each once. */
#include "base/json.h"
#include "base/time.h"
#include "book/book.h"
#include "cli/cli.h"
#include "collect/collect.h"

struct report {
  bool json;
  uint64_t count;
  struct buf out; /* printed once it is on disk */
};

static void add_json(struct buf *out, const struct dunning_event *e) {
  struct json_out w;
  json_out_init(&w, out, false);
  json_open_object(&w);
  json_put_str(&w, "customer", e->customer);
  json_put_str(&w, "step", e->what);
  if (e->number.len > 0) {
    json_put_str(&w, "number", e->number);
    json_put_int(&w, "after_days", e->after_days);
  }
  json_close_object(&w);
  buf_addc(out, '\n');
}

static bool add_event(void *context, const struct dunning_event *e, struct error *err) {
  (void)err;
  struct report *r = context;
  r->count++;
  if (r->json) {
    add_json(&r->out, e);
  } else if (e->number.len > 0) {
    buf_addf(&r->out, SLICE_FMT ": invoice " SLICE_FMT ": " SLICE_FMT " (%d %s after it was due)\n",
             SLICE_ARG(e->customer), SLICE_ARG(e->number), SLICE_ARG(e->what), e->after_days,
             e->after_days == 1 ? "day" : "days");
  } else {
    buf_addf(&r->out, SLICE_FMT ": " SLICE_FMT "\n", SLICE_ARG(e->customer), SLICE_ARG(e->what));
  }
  return true;
}

static bool take_steps(struct book *book, struct report *report, struct error *err) {
  struct collect c = {book_db(book), book_ledger(book), book_catalog(book), clock_now(), arena_new()};
  bool begun = book_begin(book, err);
  bool ok = begun && collect_dunning(&c, add_event, report, err);
  if (begun && !ok) {
    book_undo(book);
  }
  ok = ok && book_commit(book, err);
  arena_free(c.arena);
  return ok;
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct book *book = NULL;
  struct report report = {.json = cli_json(args)};
  buf_init(&report.out, (size_t)1 << 30);
  bool ok = book_open(cli_value(args, "--data"), cli_value(args, "--catalog"), BOOK_WRITE, &book, &err) &&
            take_steps(book, &report, &err);
  book_close(book);
  if (ok) {
    printf(SLICE_FMT, SLICE_ARG(buf_slice(&report.out)));
  }
  if (ok && !report.json) {
    printf("%llu steps taken\n", (unsigned long long)report.count);
  }
  buf_free(&report.out);
  return ok ? CLI_EXIT_DONE : cli_fail(args, &err);
}

const struct cli_command cli_dunning = {
    .name = "dunning",
    .summary = "take the steps that are due about overdue invoices, each once",
    .example = "meterhouse dunning --data book",
    .options = {CLI_OPTION_DATA, {"--catalog", "DIR", "the catalog; remembered by the book", false}, CLI_OPTION_FORMAT},
    .run = run,
};
