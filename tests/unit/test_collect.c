/* Collecting: signatures of providers, books of before payments had rows, money handed over, and what the check finds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "book/book.h"
#include "collect/collect.h"
#include "notify/notify.h"
#include <stdlib.h>
#include <string.h>

static const char catalog_text[] =
    "currency: EUR\nseller: {name: S, country: NL, invoice_prefix: T-}\n"
    "plans: [{name: p, fees: [{name: f, price: 10}]}]\n"
    "customers: [{id: a, plan: p, since: 2026-01-01}, {id: b, plan: p, since: 2026-01-01}]\n";

struct house {
  char dir[32];
  struct book *book;
  struct collect c;
};

static void done(bool ok, const struct error *err) {
  if (!ok) {
    fail_msg("%s", err->message);
  }
}

static void note(void *context, const char *what) {
  (void)context;
  (void)what;
}

/* Two customers with an invoice of 10 each, T-2026-000001 and 2. */
static void open_house(struct house *h) {
  struct error err = {0};
  struct close_options options = {0};
  struct close_result result;
  char path[64];
  snprintf(h->dir, sizeof h->dir, "/tmp/test_collect.XXXXXX");
  assert_non_null(mkdtemp(h->dir));
  snprintf(path, sizeof path, "%s/catalog.yaml", h->dir);
  clock_set_test((instant){INT64_C(1772323200) * NS_PER_S}); /* 1 March 2026 */
  done(file_write(path, SLICE(catalog_text), &err), &err);
  done(book_open(h->dir, path, BOOK_WRITE, &h->book, &err), &err);
  done(book_close_period(h->book, SLICE("2026-01"), &options, note, NULL, &result, &err), &err);
  h->c = (struct collect){book_db(h->book), book_ledger(h->book), book_catalog(h->book), clock_now(), arena_new()};
  done(book_begin(h->book, &err), &err);
}

static void close_house(struct house *h) {
  char command[64];
  book_undo(h->book);
  arena_free(h->c.arena);
  book_close(h->book);
  snprintf(command, sizeof command, "rm -rf %s", h->dir);
  assert_int_equal(system(command), 0);
}

static amount euros(int64_t e) {
  return (amount){e * AMOUNT_E12};
}

static slice record(struct house *h, const char *key, int64_t e, const char *customer, const char *text) {
  struct error err = {0};
  struct payment_result result;
  struct payment_request r = {.source = PAYMENT_BANK,
                              .key = slice_of(key),
                              .currency = SLICE("EUR"),
                              .amount = euros(e),
                              .received = h->c.now,
                              .customer = slice_of(customer),
                              .text = slice_of(text)};
  done(payment_record(&h->c, &r, &result, &err), &err);
  return result.id;
}

static void is(struct house *h, slice id, const char *customer, const char *state, int64_t applied) {
  struct payment p;
  struct error err = {0};
  done(payment_find(&h->c, id, &p, &err), &err);
  assert_true(slice_is(p.customer, customer));
  assert_true(slice_is(p.state, state));
  assert_int_equal(amount_cmp(p.applied, euros(applied)), 0);
}

static void found(void *context, const char *what) {
  buf_addf(context, "%s\n", what);
}

/* NULL: nothing. */
static void check_finds(struct house *h, const char *words) {
  struct buf findings;
  struct error err = {0};
  buf_init(&findings, 1u << 16);
  done(collect_check(&h->c, found, &findings, &err), &err);
  buf_addc(&findings, '\0');
  if (words == NULL) {
    assert_string_equal(findings.ptr, "");
  } else if (strstr(findings.ptr, words) == NULL) {
    fail_msg("\"%s\" is not in: %s", words, findings.ptr);
  }
  buf_free(&findings);
}

/* ---- matching ---- */

static void numbers_are_found_in_what_people_write(void **state) {
  static const char *const texts[] = {"T-2026-000001",    "invoice: t2026000001!", "/INV/T-2026-000001/2026",
                                      "(T.2026.000001).", "RF87T2026000001",       "rf87t2026000001 thanks"};
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct house h;
    open_house(&h);
    is(&h, record(&h, "k", 10, NULL, texts[i]), "a", "matched", 10);
    check_finds(&h, NULL);
    close_house(&h);
  }
}

static void others_are_not(void **state) {
  static const char *const texts[] = {"T-2026-0000011", "T-2026-00001", "RF88T2026000001", "2026 000001", ""};
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct house h;
    open_house(&h);
    is(&h, record(&h, "k", 10, NULL, texts[i]), "", "unmatched", 0);
    close_house(&h);
  }
}

/* Paid twice: the money is still the customer's, and waits there. */
static void what_is_paid_already_says_whose_it_is(void **state) {
  struct house h;
  (void)state;
  open_house(&h);
  record(&h, "k1", 10, NULL, "T-2026-000001");
  is(&h, record(&h, "k2", 10, NULL, "T-2026-000001"), "a", "unmatched", 0);
  is(&h, record(&h, "k3", 10, "b", "T-2026-000001"), "b", "matched", 10); /* not a's invoice, but its own amount */
  is(&h, record(&h, "k4", 10, "nobody", ""), "", "unmatched", 0);
  check_finds(&h, NULL);
  close_house(&h);
}

/* ---- handing over ---- */

static void money_is_handed_over_once(void **state) {
  struct house h;
  struct error err = {0};
  struct account account;
  (void)state;
  open_house(&h);
  slice id = record(&h, "k", 7, "a", "");
  is(&h, id, "a", "unmatched", 0);
  done(payment_hand_over(&h.c, id, SLICE("customer/a/credit"), SLICE("top_up:1"), &err), &err);
  is(&h, id, "a", "matched", 7);
  done(ledger_account(h.c.ledger, SLICE("customer/a/credit"), SLICE("EUR"), &account, &err), &err);
  assert_int_equal(amount_cmp(account.balance, euros(7)), 0);
  assert_false(payment_hand_over(&h.c, id, SLICE("customer/a/credit"), SLICE("top_up:1"), &err));
  assert_int_equal(err.code, ERR_CONFLICT);
  assert_false(payment_refund(&h.c, id, AMOUNT_ZERO, &err));
  assert_int_equal(err.code, ERR_CONFLICT);
  assert_non_null(strstr(err.message, "top_up:1"));
  check_finds(&h, NULL);
  close_house(&h);
}

/* ---- the check ---- */

static void broken_rows_are_found(void **state) {
  static const struct {
    const char *sql, *words;
  } breaks[] = {
      {"UPDATE payment SET applied = '9' WHERE key = 'k1'", "do not sum to what it says is applied"},
      {"UPDATE payment_allocation SET amount = '9'", "the allocations of payments are not what its transfers say"},
      {"UPDATE payment SET state = 'unmatched' WHERE key = 'k1'", "should be matched"},
      {"UPDATE payment SET customer = 'b' WHERE key = 'k2'", "its balance is not what the payments have waiting"},
      {"DELETE FROM payment WHERE key = 'k2'", "its balance"},
      {"UPDATE payment SET refunded = '99' WHERE key = 'k2'", "more is applied and refunded"},
      {"INSERT INTO dunning VALUES('inv_none', 's', 'a', 'remind', 1, 1)", "there is no such invoice"},
      {"INSERT INTO suspension VALUES('a', 1, 'inv_none')", "there is no such invoice"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
    struct house h;
    struct error err = {0};
    open_house(&h);
    record(&h, "k1", 10, NULL, "T-2026-000001");
    record(&h, "k2", 3, "a", "");
    check_finds(&h, NULL);
    done(db_run(h.c.db, breaks[i].sql, DB_NO_VALUES, NULL, &err), &err);
    check_finds(&h, breaks[i].words);
    close_house(&h);
  }
}

/* ---- books of before ---- */

/* Then an invoice was paid straight from cash, by a transfer of the payer's id. */
static void payments_of_old_books_get_rows(void **state) {
  struct house h;
  struct error err = {0};
  struct payment p;
  bool known;
  (void)state;
  open_house(&h);
  for (const char *const *sql = (const char *const[]){"DROP TABLE payment_allocation", "DROP TABLE payment", NULL};
       *sql; sql++) {
    done(db_run(h.c.db, *sql, DB_NO_VALUES, NULL, &err), &err);
  }
  done(db_run(h.c.db, "DELETE FROM migration WHERE name = 'collect-1-payments'", DB_NO_VALUES, NULL, &err), &err);
  done(invoice_pay(h.c.db, h.c.ledger, SLICE("T-2026-000001"), SLICE("cash"), SLICE("p1"), euros(4), h.c.now, &err),
       &err);
  done(book_commit(h.book, &err), &err);
  book_close(h.book);
  done(book_open(h.dir, NULL, BOOK_WRITE, &h.book, &err), &err);
  h.c.db = book_db(h.book);
  h.c.ledger = book_ledger(h.book);
  h.c.catalog = book_catalog(h.book);
  done(book_begin(h.book, &err), &err);
  done(payment_find_key(&h.c, PAYMENT_MANUAL, SLICE("p1"), &known, &p, &err), &err);
  assert_true(known);
  is(&h, p.id, "a", "matched", 4);
  check_finds(&h, NULL);
  done(payment_refund(&h.c, p.id, AMOUNT_ZERO, &err), &err);
  is(&h, p.id, "a", "refunded", 0);
  check_finds(&h, NULL);
  close_house(&h);
}

/* ---- providers ---- */

static const struct payment_provider both[] = {
    {.name = {"std", 3}, .scheme = PROVIDER_STANDARD, .secret_env = {"TEST_STANDARD", 13}},
    {.name = {"str", 3}, .scheme = PROVIDER_STRIPE, .secret_env = {"TEST_STRIPE", 11}}};

static struct providers *secrets(void) {
  struct catalog catalog = {.payment_providers = both, .payment_provider_count = 2};
  struct providers *p;
  struct error err = {0};
  setenv("TEST_STANDARD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1);
  setenv("TEST_STRIPE", "whsec_test_secret", 1);
  done(providers_open(&catalog, &p, &err), &err);
  return p;
}

static enum error_code judged(const struct providers *p, const struct provider_delivery *d, int64_t now_s) {
  struct error err = {0};
  return provider_verify(p, d, (instant){now_s * NS_PER_S}, &err) ? ERR_NONE : err.code;
}

/* The vector of the Standard Webhooks specification. */
static void standard_signatures_hold(void **state) {
  (void)state;
  struct providers *p = secrets();
  const struct provider_delivery good = {.provider = SLICE("std"),
                                         .body = SLICE("{\"test\": 2432232314}"),
                                         .id = SLICE("msg_p5jXN8AQM9LWM0D4loKWxJek"),
                                         .timestamp = SLICE("1614265330"),
                                         .signature =
                                             SLICE("v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v2,x")};
  struct provider_delivery d = good;
  assert_int_equal(judged(p, &d, 1614265330), ERR_NONE);
  assert_int_equal(judged(p, &d, 1614265330 + 300), ERR_NONE);
  assert_int_equal(judged(p, &d, 1614265330 - 300), ERR_NONE);
  assert_int_equal(judged(p, &d, 1614265330 + 301), ERR_DENIED);
  assert_int_equal(judged(p, &d, 1614265330 - 301), ERR_DENIED);
  d.body = SLICE("{\"test\": 2432232315}");
  assert_int_equal(judged(p, &d, 1614265330), ERR_DENIED);
  d = good;
  d.id = SLICE("msg_p5jXN8AQM9LWM0D4loKWxJel");
  assert_int_equal(judged(p, &d, 1614265330), ERR_DENIED);
  d = good;
  d.timestamp = SLICE("1614265331");
  assert_int_equal(judged(p, &d, 1614265330), ERR_DENIED);
  d = good;
  d.signature = SLICE("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE"); /* a byte short */
  assert_int_equal(judged(p, &d, 1614265330), ERR_DENIED);
  d.signature = (slice){0};
  assert_int_equal(judged(p, &d, 1614265330), ERR_DENIED);
  d = good;
  d.provider = SLICE("str");
  assert_int_equal(judged(p, &d, 1614265330), ERR_DENIED);
  d.provider = SLICE("other");
  assert_int_equal(judged(p, &d, 1614265330), ERR_NOT_FOUND);
  providers_close(p);
}

static void weak_secrets_are_refused(void **state) {
  static const char *const weak[] = {"", " \n", "short", "whsec_", "whsec_bm90IGxvbmcgZW5vdWdo"};
  struct catalog catalog = {.payment_providers = both, .payment_provider_count = 1};
  (void)state;
  for (size_t i = 0; i < sizeof weak / sizeof *weak; i++) {
    struct providers *p;
    struct error err = {0};
    setenv("TEST_STANDARD", weak[i], 1);
    assert_false(providers_open(&catalog, &p, &err));
    assert_non_null(strstr(err.message, "payment provider std"));
  }
}

static void stripe_amount(const char *currency, const char *units, const char *expected) {
  struct catalog catalog = {.payment_providers = both, .payment_provider_count = 2};
  struct arena *arena = arena_new();
  struct error err = {0};
  struct provider_event e;
  char text[DECIMAL_TEXT_MAX] = "refused";
  const char *body = arena_printf(arena,
                                  "{\"id\":\"evt\",\"type\":\"payment_intent.succeeded\",\"data\":{\"object\":{\"id\":"
                                  "\"pi\",\"amount_received\":%s,\"currency\":\"%s\"}}}",
                                  units, currency);
  struct provider_delivery d = {.provider = SLICE("str"), .body = slice_of(body)};
  if (provider_read(arena, &catalog, &d, (instant){1}, &e, &err)) {
    amount_text(e.payment.amount, text);
    assert_true(slice_is(e.payment.key, "str:pi"));
  }
  assert_string_equal(text, expected);
  arena_free(arena);
}

static void minor_units_are_those_of_the_currency(void **state) {
  (void)state;
  stripe_amount("eur", "1210", "12.1");
  stripe_amount("jpy", "1210", "1210");
  stripe_amount("kwd", "1210", "1.21");
  stripe_amount("isk", "1200", "12");
  stripe_amount("EUR", "1", "0.01");
  stripe_amount("eur", "1.5", "refused");
  stripe_amount("eur", "-1", "refused");
  stripe_amount("eur", "99999999999999999999999", "refused");
  stripe_amount("eurx", "1", "refused");
  stripe_amount("xx1", "1", "refused");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_are_found_in_what_people_write),
      cmocka_unit_test(others_are_not),
      cmocka_unit_test(what_is_paid_already_says_whose_it_is),
      cmocka_unit_test(money_is_handed_over_once),
      cmocka_unit_test(broken_rows_are_found),
      cmocka_unit_test(payments_of_old_books_get_rows),
      cmocka_unit_test(standard_signatures_hold),
      cmocka_unit_test(weak_secrets_are_refused),
      cmocka_unit_test(minor_units_are_those_of_the_currency),
  };
  return cmocka_run_group_tests_name("collect", tests, NULL, NULL);
}
