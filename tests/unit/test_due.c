/* What falls due by itself: at whose midnight, in which order, what is held back, what a hold past its time gives back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "book/book.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char catalog_text[] =
    "currency: EUR\n"
    "seller: {name: S, country: NL, invoice_prefix: S-}\n"
    "meters: [{name: calls, event: e, value: v, unit: call, dimensions: [kind]}]\n"
    "plans:\n"
    "  - name: p\n"
    "    prices: [{meter: calls, match: {kind: known}, price: 1}]\n"
    "    fees: [{name: Base, price: 31}]\n"
    "customers:\n"
    "  - {id: east, country: NL, time_zone: Asia/Tokyo, contracts: [{plan: p, from: 2026-10-01}]}\n"
    "  - {id: graced, country: NL, billing: {grace_days: 3}, contracts: [{plan: p, from: 2026-10-01}]}\n"
    "  - {id: middle, country: NL, contracts: [{plan: p, from: 2026-10-01}]}\n"
    "  - {id: west, country: NL, time_zone: America/New_York, contracts: [{plan: p, from: 2026-10-01}]}\n";

struct house {
  char dir[64];
  struct book *book;
  unsigned noted;
};

static void done(bool ok, const struct error *err) {
  if (!ok) {
    fail_msg("%s", err->message);
  }
}

static instant at(const char *text) {
  instant t;
  struct error err = {0};
  done(time_parse_rfc3339(slice_of(text), &t, &err), &err);
  return t;
}

static void open_house(struct house *h, const char *more, const char *clock) {
  struct error err = {0};
  char path[96];
  *h = (struct house){.dir = "/tmp/test_due.XXXXXX"};
  assert_non_null(mkdtemp(h->dir));
  snprintf(path, sizeof path, "%s/c.yaml", h->dir);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fprintf(f, "%s%s", more, catalog_text);
  assert_int_equal(fclose(f), 0);
  done(book_open(h->dir, path, BOOK_WRITE, &h->book, &err), &err);
  if (clock) {
    done(book_set_test_clock(h->book, at(clock), &err), &err);
  }
}

static void amend_price(struct house *h) {
  struct error err = {0};
  char command[160];
  book_close(h->book);
  snprintf(command, sizeof command, "sed -i 's/kind: known/kind: [known, odd]/' %s/c.yaml", h->dir);
  assert_int_equal(system(command), 0);
  done(book_open(h->dir, NULL, BOOK_WRITE, &h->book, &err), &err);
}

static void close_house(struct house *h) {
  char command[160];
  book_close(h->book);
  snprintf(command, sizeof command, "rm -rf %s", h->dir);
  assert_int_equal(system(command), 0);
}

static void note(void *context, const char *what) {
  struct house *h = context;
  assert_non_null(strstr(what, "held back"));
  h->noted++;
}

static struct due_result run(struct house *h, const char *until) {
  struct error err = {0};
  struct due_result result;
  struct due_writer writer = book_due_writer(h->book);
  done(book_run_due(h->book, at(until), &writer, (struct due_notes){note, h}, &result, &err), &err);
  return result;
}

static bool take_customer(void *context, const struct stored_invoice *i, struct error *err) {
  (void)err;
  snprintf((char *)context + strlen(context), 200 - strlen(context), SLICE_FMT " ", SLICE_ARG(i->customer));
  return true;
}

/* Customers of the invoices there are, in the order they were made. */
static void assert_invoiced(struct house *h, const char *expected) {
  struct error err = {0};
  char found[200] = "";
  struct invoice_query query = {.limit = SIZE_MAX};
  done(invoice_list(book_db(h->book), &query, take_customer, found, &err), &err);
  assert_string_equal(found, expected);
}

static void use(struct house *h, const char *id, const char *customer, const char *kind) {
  struct error err = {0};
  struct arena *arena = arena_new();
  struct ingest_result result;
  const struct json *json;
  struct event event;
  char text[400];
  snprintf(text, sizeof text,
           "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"s\",\"type\":\"e\",\"subject\":\"%s\",\"time\":"
           "\"2026-10-05T00:00:00Z\",\"data\":{\"v\":1,\"kind\":\"%s\"}}",
           id, customer, kind);
  done(json_parse(arena, slice_of(text), &json, &err) && event_from_json(arena, json, (instant){0}, &event, &err),
       &err);
  done(book_begin(h->book, &err) && book_ingest(h->book, arena, &event, 1, &result, &err) && book_commit(h->book, &err),
       &err);
  assert_int_equal(result.verdict, EVENT_ACCEPTED);
  arena_free(arena);
}

static void test_each_at_its_own_midnight(void **state) {
  (void)state;
  struct house h;
  open_house(&h, "", "2026-10-01T00:00:00Z");
  assert_int_equal(run(&h, "2026-10-31T14:59:59Z").invoices, 0);
  assert_int_equal(run(&h, "2026-10-31T15:00:00Z").invoices, 1);
  assert_invoiced(&h, "east ");
  assert_int_equal(run(&h, "2026-11-01T03:59:59Z").invoices, 1); /* New York is still on summer time */
  assert_int_equal(run(&h, "2026-11-01T04:00:00Z").invoices, 1);
  assert_int_equal(run(&h, "2026-11-03T23:59:59Z").invoices, 0);
  assert_int_equal(run(&h, "2026-11-04T00:00:00Z").invoices, 1);
  assert_invoiced(&h, "east middle west graced ");
  close_house(&h);
}

static void test_one_leap_or_many_steps(void **state) {
  (void)state;
  struct house h;
  open_house(&h, "", "2026-10-01T00:00:00Z");
  struct due_result result = run(&h, "2028-02-29T12:00:00Z");
  assert_int_equal(result.invoices, 4 * 16);
  assert_true(result.until.ns == at("2028-02-29T12:00:00Z").ns);
  assert_int_equal(run(&h, "2028-02-29T12:00:00Z").invoices, 0);
  close_house(&h);
}

static void test_usage_without_a_price_holds_back_its_own_alone(void **state) {
  (void)state;
  struct house h;
  open_house(&h, "", "2026-10-01T00:00:00Z");
  use(&h, "1", "middle", "odd");
  use(&h, "2", "west", "known");
  struct due_result result = run(&h, "2026-11-02T00:00:00Z");
  assert_int_equal(result.invoices, 2);
  assert_int_equal(result.held, 1);
  assert_int_equal(h.noted, 1);
  assert_invoiced(&h, "east west ");
  amend_price(&h); /* and the same book goes on with a catalog that knows the odd ones */
  result = run(&h, "2026-11-02T01:00:00Z");
  assert_int_equal(result.invoices, 1);
  assert_int_equal(result.held, 0);
  assert_invoiced(&h, "east west middle ");
  assert_int_equal(run(&h, "2026-11-03T01:00:00Z").invoices, 0);
  close_house(&h);
}

static void test_by_real_time_only_where_the_catalog_says(void **state) {
  (void)state;
  struct house h;
  clock_set_test(at("2026-11-10T00:00:00Z"));
  open_house(&h, "", NULL);
  assert_int_equal(run(&h, "2026-11-10T00:00:00Z").invoices, 0);
  close_house(&h);
  open_house(&h, "invoicing: {automatic: true, from: 2026-11-01}\n", NULL);
  /* Tokyo's October ended before `from`. */
  assert_int_equal(run(&h, "2026-11-10T00:00:00Z").invoices, 3);
  assert_int_equal(run(&h, "2026-11-10T00:00:00Z").invoices, 0);
  close_house(&h);
}

static void test_a_hold_past_its_time_is_released(void **state) {
  (void)state;
  struct house h;
  struct error err = {0};
  struct account account;
  enum transfer_outcome outcome;
  open_house(&h, "", "2026-10-01T00:00:00Z");
  struct ledger *ledger = book_ledger(h.book);
  struct transfer in = {.id = SLICE("in"),
                        .from = SLICE("cash"),
                        .to = SLICE("customer/middle/wallet"),
                        .currency = SLICE("EUR"),
                        .amount = {5 * AMOUNT_E12},
                        .time = at("2026-10-01T00:00:00Z"),
                        .cause = SLICE("grant")};
  struct transfer held = in;
  held.id = SLICE("hold");
  held.from = in.to;
  held.to = SLICE("revenue/x");
  done(book_begin(h.book, &err) && ledger_transfer(ledger, &in, &outcome, &err) &&
           ledger_hold(ledger, &held, at("2026-10-02T06:00:00Z"), &outcome, &err) && book_commit(h.book, &err),
       &err);
  run(&h, "2026-10-02T05:00:00Z");
  done(ledger_account(ledger, in.to, in.currency, &account, &err), &err);
  assert_true(account.held.e12 == held.amount.e12);
  run(&h, "2026-10-02T06:00:00Z");
  done(ledger_account(ledger, in.to, in.currency, &account, &err), &err);
  assert_true(amount_is_zero(account.held));
  close_house(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_at_its_own_midnight),
      cmocka_unit_test(test_one_leap_or_many_steps),
      cmocka_unit_test(test_usage_without_a_price_holds_back_its_own_alone),
      cmocka_unit_test(test_by_real_time_only_where_the_catalog_says),
      cmocka_unit_test(test_a_hold_past_its_time_is_released),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
