/* Usage that is not invoiced yet on a whole book: drafts are what is finalized, whatever was reserved; closing needs no
 * gateway; the payer's credit pays. */
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
    "meters: [{name: calls, event: e, value: v, unit: call}]\n"
    "plans:\n"
    "  - {name: p, prices: [{meter: calls, price: 1}]}\n"
    "  - {name: f, prices: [{meter: calls, price: 1}], fees: [{name: Base, price: 30, in_advance: true}]}\n"
    "customers:\n"
    "  - {id: acme, country: NL, contracts: [{plan: p, from: 2026-10-01}]}\n"
    "  - {id: fees, country: NL, contracts: [{plan: f, from: 2026-10-01}]}\n";

struct house {
  char dir[64];
  struct book *book;
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
static amount money(const char *text) {
  amount a;
  struct error err = {0};
  done(amount_parse(slice_of(text), &a, &err), &err);
  return a;
}
static void assert_money(amount a, const char *expected) {
  char text[DECIMAL_TEXT_MAX];
  assert_string_equal(amount_text(a, text), expected);
}

static int open_house(void **state) {
  struct error err = {0};
  struct house *h = mem_alloc(sizeof *h);
  char path[96];
  *h = (struct house){.dir = "/tmp/test_unbilled_book.XXXXXX"};
  assert_non_null(mkdtemp(h->dir));
  snprintf(path, sizeof path, "%s/c.yaml", h->dir);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(catalog_text, f);
  assert_int_equal(fclose(f), 0);
  done(book_open(h->dir, path, BOOK_WRITE, &h->book, &err), &err);
  done(book_set_test_clock(h->book, at("2026-10-01T00:00:00Z"), &err), &err);
  *state = h;
  return 0;
}

static int close_house(void **state) {
  struct house *h = *state;
  char command[160];
  book_close(h->book);
  snprintf(command, sizeof command, "rm -rf %s", h->dir);
  free(h);
  return system(command);
}

static void give(struct house *h, const char *customer, const char *id, const char *value, const char *expires) {
  struct error err = {0};
  bool repeated = false;
  struct credit_grant g = {.id = slice_of(id),
                           .kind = CREDIT_PREPAID,
                           .amount = money(value),
                           .priority = 50,
                           .effective = clock_now(),
                           .expires = expires ? at(expires) : INSTANT_MAX};
  done(book_begin(h->book, &err) &&
           credit_add(book_db(h->book), book_ledger(h->book),
                      catalog_customer(book_catalog(h->book), slice_of(customer)), &g, clock_now(), &repeated, &err) &&
           book_commit(h->book, &err),
       &err);
}

/* A call that was sold: its event and its cost in one batch. */
static void sell(struct house *h, const char *customer, const char *id, const char *time, const char *calls,
                 const char *period_to) {
  struct error err = {0};
  struct arena *arena = arena_new();
  struct ingest_result result;
  const struct json *json;
  struct event event;
  char text[400];
  snprintf(text, sizeof text,
           "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"s\",\"type\":\"e\",\"subject\":\"%s\",\"time\":\"%s\","
           "\"data\":{\"v\":%s}}",
           id, customer, time, calls);
  done(json_parse(arena, slice_of(text), &json, &err) && event_from_json(arena, json, (instant){0}, &event, &err) &&
           book_begin(h->book, &err) && book_ingest(h->book, arena, &event, 1, &result, &err) &&
           credit_unbilled_add(book_db(h->book), slice_of(customer), SLICE("EUR"), at(period_to), money(calls), &err) &&
           book_commit(h->book, &err),
       &err);
  assert_int_equal(result.verdict, EVENT_ACCEPTED);
  arena_free(arena);
}

static void reserve(struct house *h, const char *customer, const char *wanted, const char *expected) {
  struct error err = {0};
  amount granted = AMOUNT_ZERO;
  struct credit_slice_request r = {
      .customer = slice_of(customer), .currency = SLICE("EUR"), .product = SLICE("calls"), .wanted = money(wanted)};
  done(book_begin(h->book, &err) &&
           credit_slice_reserve(book_db(h->book), book_ledger(h->book), &r, clock_now(), &granted, &err) &&
           book_commit(h->book, &err),
       &err);
  assert_money(granted, expected);
}

static void assert_unbilled(struct house *h, const char *customer, const char *spent, const char *reserved,
                            const char *slice_left) {
  struct error err = {0};
  struct credit_unbilled u;
  done(credit_unbilled(book_db(h->book), slice_of(customer), SLICE("EUR"), &u, &err), &err);
  assert_money(u.spent, spent);
  assert_money(u.reserved, reserved);
  assert_money(u.slice, slice_left);
}

static void assert_available(struct house *h, const char *customer, const char *expected) {
  struct error err = {0};
  amount a;
  done(credit_available(book_db(h->book), slice_of(customer), SLICE("EUR"), (slice){0}, clock_now(), &a, &err), &err);
  assert_money(a, expected);
}

static void bad_thing(void *context, const char *what) {
  (void)context;
  fail_msg("%s", what);
}
static void assert_clean(struct house *h) {
  struct error err = {0};
  struct check_result result;
  done(book_check(h->book, bad_thing, NULL, &result, &err), &err);
}

/* Finalizes the period of one customer; the draft before had the same credit, to the cent. */
static void invoice(struct house *h, const char *customer, const char *prepaid, const char *due) {
  struct error err = {0};
  struct rating_set set;
  struct invoice draft, final;
  bool existed = false;
  slice id;
  done(book_rate(h->book, slice_of(customer), SLICE("2026-10"), &set, &err), &err);
  const struct rating *rating = rating_set_find(&set, slice_of(customer));
  assert_non_null(rating);
  done(book_invoice(h->book, &set, rating, &draft, &err), &err);
  done(book_begin(h->book, &err) && book_finalize(h->book, &set, rating, &final, &existed, &id, &err) &&
           book_commit(h->book, &err),
       &err);
  assert_false(existed);
  assert_int_equal(amount_cmp(draft.prepaid, final.prepaid), 0);
  assert_int_equal(amount_cmp(draft.amount_due, final.amount_due), 0);
  assert_money(final.prepaid, prepaid);
  assert_money(final.amount_due, due);
  rating_set_free(&set);
}

static void test_a_draft_is_what_is_finalized(void **state) {
  struct house *h = *state;
  give(h, "acme", "wire", "50", NULL);
  reserve(h, "acme", "40", "40");
  sell(h, "acme", "e1", "2026-10-02T00:00:00Z", "25", "2026-11-01T00:00:00Z");
  reserve(h, "acme", "40", "25");
  sell(h, "acme", "e2", "2026-10-03T00:00:00Z", "10", "2026-11-01T00:00:00Z");
  assert_available(h, "acme", "0");
  assert_clean(h);
  clock_set_test(at("2026-11-01T00:00:05Z"));
  sell(h, "acme", "e3", "2026-11-01T00:00:03Z", "3", "2026-12-01T00:00:00Z");
  invoice(h, "acme", "35", "0");
  assert_unbilled(h, "acme", "3", "0", "15"); /* of 25: 10 went to October; 3 of the 15 are used */
  assert_available(h, "acme", "0");
  assert_clean(h);
}

static void test_a_close_needs_no_gateway(void **state) {
  struct house *h = *state;
  struct error err = {0};
  struct close_result result;
  const struct close_options options = {0};
  give(h, "acme", "wire", "50", NULL);
  reserve(h, "acme", "30", "30");
  sell(h, "acme", "e1", "2026-10-02T00:00:00Z", "25", "2026-11-01T00:00:00Z");
  clock_set_test(at("2026-11-02T00:00:00Z"));
  done(book_close_period(h->book, SLICE("2026-10"), &options, bad_thing, NULL, &result, &err), &err);
  assert_unbilled(h, "acme", "0", "0", "5");
  assert_available(h, "acme", "20");
  /* What comes in late is of the next invoice: closing again leaves its reservation alone. */
  sell(h, "acme", "e2", "2026-10-30T00:00:00Z", "2", "2026-11-01T00:00:00Z");
  done(book_close_period(h->book, SLICE("2026-10"), &options, bad_thing, NULL, &result, &err), &err);
  assert_int_equal(result.invoices, 0);
  assert_unbilled(h, "acme", "2", "0", "5");
  assert_clean(h);
}

static void test_credit_that_expired_under_usage_pays_for_it(void **state) {
  struct house *h = *state;
  struct error err = {0};
  struct credit_run run;
  give(h, "acme", "wire", "50", "2026-10-20T00:00:00Z");
  reserve(h, "acme", "30", "30");
  sell(h, "acme", "e1", "2026-10-02T00:00:00Z", "25", "2026-11-01T00:00:00Z");
  clock_set_test(at("2026-10-25T00:00:00Z"));
  done(book_begin(h->book, &err) && book_credits_due(h->book, clock_now(), &run, &err) && book_commit(h->book, &err),
       &err);
  assert_int_equal(run.expired, 1); /* 20 of it */
  assert_int_equal(run.released, 0);
  clock_set_test(at("2026-11-01T00:00:05Z"));
  invoice(h, "acme", "25", "0");
  assert_clean(h);
}

static void test_a_fee_in_advance_takes_nothing_that_is_reserved(void **state) {
  struct house *h = *state;
  struct error err = {0};
  struct rating_set set;
  struct invoice made;
  bool existed = false;
  slice id;
  give(h, "fees", "wire", "50", NULL);
  reserve(h, "fees", "40", "40");
  sell(h, "fees", "e1", "2026-10-02T00:00:00Z", "25", "2026-11-01T00:00:00Z");
  done(book_rate(h->book, SLICE("fees"), SLICE("2026-10"), &set, &err), &err);
  assert_int_equal(set.opening_count, 1);
  done(book_begin(h->book, &err) && book_finalize(h->book, &set, &set.openings[0], &made, &existed, &id, &err) &&
           book_commit(h->book, &err),
       &err);
  assert_money(made.prepaid, "10");
  assert_unbilled(h, "fees", "25", "0", "40");
  rating_set_free(&set);
  assert_clean(h);
}

static void test_a_void_gives_back_and_nothing_breaks(void **state) {
  struct house *h = *state;
  struct error err = {0};
  struct rating_set set;
  struct invoice made;
  bool existed = false;
  slice id;
  give(h, "acme", "wire", "50", NULL);
  reserve(h, "acme", "30", "30");
  sell(h, "acme", "e1", "2026-10-02T00:00:00Z", "25", "2026-11-01T00:00:00Z");
  clock_set_test(at("2026-11-01T00:00:05Z"));
  done(book_rate(h->book, SLICE("acme"), SLICE("2026-10"), &set, &err), &err);
  done(book_begin(h->book, &err) &&
           book_finalize(h->book, &set, rating_set_find(&set, SLICE("acme")), &made, &existed, &id, &err) &&
           invoice_void(book_db(h->book), book_ledger(h->book), id, clock_now(), &err) && book_commit(h->book, &err),
       &err);
  rating_set_free(&set);
  assert_available(h, "acme", "45");
  assert_clean(h);
  invoice(h, "acme", "25", "0");
  assert_clean(h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_house, close_house)
      CASE(test_a_draft_is_what_is_finalized),
      CASE(test_a_close_needs_no_gateway),
      CASE(test_credit_that_expired_under_usage_pays_for_it),
      CASE(test_a_fee_in_advance_takes_nothing_that_is_reserved),
      CASE(test_a_void_gives_back_and_nothing_breaks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
