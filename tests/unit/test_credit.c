/* Credit: who pays first, of what, and how much of an invoice; and the rules that ask for more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bill/bill.h"
#include "notify/notify.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char catalog_text[] =
    "currency: EUR\n"
    "seller: {name: S, invoice_prefix: T-}\n"
    "taxes: [{name: vat, label: VAT, rate: 21 %, category: S}]\n"
    "meters:\n  - {name: calls, event: call, value: n, unit: call}\n"
    "plans:\n  - {name: p, prices: [{meter: calls, price: 1}], auto_top_up: {below: 20, amount: 100, at_most: 2}}\n"
    "  - {name: yen, currency: JPY, prices: [{meter: calls, price: 1}]}\n"
    "customers:\n  - {id: acme, plan: p, tax: vat}\n  - {id: bolt, plan: p}\n"
    "  - {id: crow, plan: p, auto_top_up: {below: 5, amount: 50}}\n  - {id: dai, plan: yen, currency: JPY}\n";

static struct arena *arena;
static struct catalog *catalog;
static struct db *db;
static struct ledger *ledger;
static char dir[] = "/tmp/test_credit.XXXXXX";

static void must_do(bool ok, const struct error *err) {
  if (!ok) {
    fail_msg("%s", err->message);
  }
}

static struct db_migration all_steps[64];
static size_t step_count;
static void add_steps(const struct db_migration *steps, size_t count) {
  memcpy(&all_steps[step_count], steps, count * sizeof *steps);
  step_count += count;
}

static int set_up(void **state) {
  (void)state;
  struct error err = {0};
  struct catalog_text text = {"catalog.yaml", SLICE(catalog_text)};
  char path[64];
  memcpy(dir, "/tmp/test_credit.XXXXXX", sizeof dir);
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/db", dir);
  arena = arena_new();
  step_count = 0;
  add_steps(ledger_migrations, ledger_migration_count);
  add_steps(notify_migrations, notify_migration_count);
  add_steps(credit_migrations, credit_migration_count);
  add_steps(bill_migrations, bill_migration_count);
  must_do(catalog_parse(&text, 1, &catalog, &err) && db_open(path, DB_READ_WRITE, &db, &err) &&
              db_migrate(db, all_steps, step_count, &err) && ledger_open(db, &ledger, &err) && db_begin(db, &err),
          &err);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  db_rollback(db);
  ledger_close(ledger);
  db_close(db);
  catalog_free(catalog);
  arena_free(arena);
  for (int i = 0; i < 3; i++) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    char path[80];
    snprintf(path, sizeof path, "%s/db%s", dir, ends[i]);
    unlink(path);
  }
  rmdir(dir);
  return 0;
}

static instant day(int n) {
  return (instant){(INT64_C(20000) + n) * 86400 * NS_PER_S};
}
static amount money(const char *text) {
  amount a;
  struct error err = {0};
  must_do(amount_parse(slice_of(text), &a, &err), &err);
  return a;
}
static void assert_money(amount a, const char *expected) {
  char text[DECIMAL_TEXT_MAX];
  assert_string_equal(amount_text(a, text), expected);
}
static const struct customer *customer(const char *id) {
  return catalog_customer(catalog, slice_of(id));
}

static struct credit_grant wanted(const char *id, enum credit_kind kind, const char *value) {
  return (struct credit_grant){.id = slice_of(id),
                               .kind = kind,
                               .amount = money(value),
                               .priority = credit_priority_of(kind),
                               .effective = day(0),
                               .expires = INSTANT_MAX};
}
static void give(const char *to, const struct credit_grant *g) {
  struct error err = {0};
  bool repeated;
  must_do(credit_add(db, ledger, customer(to), g, day(0), &repeated, &err), &err);
}
static void refused(const char *to, const struct credit_grant *g, enum error_code code, const char *words) {
  struct error err = {0};
  bool repeated;
  assert_false(credit_add(db, ledger, customer(to), g, day(0), &repeated, &err));
  assert_int_equal(err.code, code);
  assert_non_null(strstr(err.message, words));
}

/* ---- invoices by hand: lines of a product and an amount ---- */

struct line {
  const char *product, *exact;
};
static struct rating *rating_of(const char *who, int on_day, const struct line *lines, size_t count) {
  struct rating *r = arena_alloc(arena, sizeof *r);
  struct charge *charges = arena_array(arena, count, sizeof *charges);
  struct segment *segment = arena_alloc(arena, sizeof *segment);
  struct error err = {0};
  *r = (struct rating){.customer = customer(who), .charges = charges, .charge_count = count};
  r->period = (struct period){day(on_day), day(on_day + 1)};
  *segment = (struct segment){.plan = &catalog->plans[0], .from = r->period.from, .to = r->period.to};
  for (size_t i = 0; i < count; i++) {
    charges[i] = (struct charge){.kind = CHARGE_USAGE,
                                 .name = slice_of(lines[i].product),
                                 .product = slice_of(lines[i].product),
                                 .segment = segment,
                                 .exact = money(lines[i].exact)};
    must_do(amount_add(r->total, charges[i].exact, &r->total, &err), &err);
  }
  return r;
}
static struct invoice draft(const char *who, int on_day, const struct line *lines, size_t count) {
  struct invoice i;
  struct credit_grants open;
  struct error err = {0};
  const struct customer *c = customer(who);
  char digest[65] = "";
  must_do(credit_open(arena, db, c->id, slice_of(c->currency->code), day(5), &open, &err), &err);
  struct invoice_purse purse = {.grants = open.items, .grant_count = open.count};
  must_do(invoice_build(arena, catalog, rating_of(who, on_day, lines, count), &purse, 0, digest, &i, &err), &err);
  return i;
}
#define DRAFT(who, day, ...)                                                                                           \
  draft(who, day, (const struct line[]){__VA_ARGS__}, sizeof((const struct line[]){__VA_ARGS__}) / sizeof(struct line))

static void assert_available(const char *who, const char *product, const char *expected) {
  amount a;
  struct error err = {0};
  const struct customer *c = customer(who);
  must_do(credit_available(db, c->id, slice_of(c->currency->code), slice_of(product), day(5), &a, &err), &err);
  assert_money(a, expected);
}

/* ---- order ---- */

static void the_order_is_priority_then_end_then_beginning_then_id(void **state) {
  (void)state;
  struct credit_grant g[5] = {wanted("e", CREDIT_PREPAID, "1"), wanted("d", CREDIT_PROMOTIONAL, "1"),
                              wanted("c", CREDIT_PROMOTIONAL, "1"), wanted("b", CREDIT_PROMOTIONAL, "1"),
                              wanted("a", CREDIT_PROMOTIONAL, "1")};
  g[1].expires = day(9);
  g[2].effective = day(-1);
  g[3].priority = 9;
  qsort(g, 5, sizeof *g, credit_order);
  const char expected[] = "bdcae";
  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(g[i].id.ptr[0], expected[i]);
  }
}

static void what_is_wrong_with_a_request_is_named(void **state) {
  (void)state;
  struct credit_grant g = wanted("g", CREDIT_PREPAID, "5");
  g.currency = SLICE("USD");
  refused("acme", &g, ERR_INVALID, "pays in EUR");
  g = wanted("g/1", CREDIT_PREPAID, "5");
  refused("acme", &g, ERR_INVALID, "id: expected 1 to 64");
  g = wanted("g", CREDIT_PREPAID, "0");
  refused("acme", &g, ERR_INVALID, "more than 0");
  g = wanted("g", CREDIT_PREPAID, "5");
  g.priority = 101;
  refused("acme", &g, ERR_INVALID, "0 to 100");
  g = wanted("g", CREDIT_PREPAID, "5");
  g.expires = g.effective;
  refused("acme", &g, ERR_INVALID, "after effective");
  slice scope[CREDIT_SCOPE_MAX + 1];
  for (size_t i = 0; i <= CREDIT_SCOPE_MAX; i++) {
    scope[i] = SLICE("GPU");
  }
  g = wanted("g", CREDIT_PREPAID, "5");
  g.scope = scope;
  g.scope_count = CREDIT_SCOPE_MAX + 1;
  refused("acme", &g, ERR_LIMIT, "at most 20 products");
  scope[0] = SLICE("");
  g.scope_count = 1;
  refused("acme", &g, ERR_INVALID, "a product has a name");
}

static void a_scope_in_another_order_is_the_same_request(void **state) {
  (void)state;
  struct error err = {0};
  bool repeated;
  slice one[] = {SLICE("GPU"), SLICE("API"), SLICE("GPU")}, other[] = {SLICE("API"), SLICE("GPU")};
  struct credit_grant g = wanted("g", CREDIT_PROMOTIONAL, "5");
  g.scope = one;
  g.scope_count = 3;
  give("acme", &g);
  g.scope = other;
  g.scope_count = 2;
  must_do(credit_add(db, ledger, customer("acme"), &g, day(1), &repeated, &err), &err);
  assert_true(repeated);
  g.scope_count = 1;
  refused("acme", &g, ERR_CONFLICT, "with other content");
}

/* ---- on an invoice ---- */

static void given_credit_lowers_what_is_taxed_and_prepaid_pays_the_total(void **state) {
  (void)state;
  struct credit_grant promo = wanted("promo", CREDIT_PROMOTIONAL, "30"),
                      prepaid = wanted("prepaid", CREDIT_PREPAID, "50");
  give("acme", &promo);
  give("acme", &prepaid);
  struct invoice i = DRAFT("acme", 1, {"GPU", "100"}, {"API", "30"});
  assert_int_equal(i.line_count, 3);
  assert_int_equal(i.lines[2].charge->kind, CHARGE_CREDIT);
  assert_money(i.lines[2].amount, "-30");
  assert_money(i.subtotal, "100");
  assert_money(i.tax, "21");
  assert_money(i.total, "121");
  assert_money(i.prepaid, "50");
  assert_money(i.amount_due, "71");
}

static void a_scoped_grant_pays_its_products_alone(void **state) {
  (void)state;
  slice api[] = {SLICE("API")};
  struct credit_grant promo = wanted("promo", CREDIT_PROMOTIONAL, "50"),
                      prepaid = wanted("prepaid", CREDIT_PREPAID, "500");
  promo.scope = prepaid.scope = api;
  promo.scope_count = prepaid.scope_count = 1;
  give("acme", &promo);
  give("acme", &prepaid);
  /* 40 of API is all the promotion can pay; GPU's share of the total with tax is all of 121. */
  struct invoice i = DRAFT("acme", 1, {"GPU", "100"}, {"API", "40"});
  assert_money(i.subtotal, "100");
  assert_money(i.lines[2].amount, "-40");
  assert_true(slice_is(i.lines[2].charge->product, "API"));
  assert_money(i.prepaid, "0");
  assert_money(i.amount_due, "121");
  /* 60 of API left after the promotion's 50 is taxed: 72.60 of the 193.60. */
  i = DRAFT("acme", 1, {"GPU", "100"}, {"API", "110"});
  assert_money(i.total, "193.6");
  assert_money(i.prepaid, "72.6");
  assert_available("acme", "API", "550");
  assert_available("acme", "GPU", "0");
}

static void credit_never_brings_an_invoice_below_zero(void **state) {
  (void)state;
  struct credit_grant promo = wanted("promo", CREDIT_REFERRAL, "1000");
  give("acme", &promo);
  struct invoice i = DRAFT("acme", 1, {"GPU", "0.004"}, {"API", "12.345"});
  assert_money(i.subtotal, "0");
  assert_money(i.total, "0");
  assert_true(invoice_is_covered(&i));
  i = DRAFT("acme", 1, {"GPU", "-5"}, {"API", "3"}); /* a credit note draws nothing */
  assert_int_equal(i.line_count, 2);
  assert_money(i.subtotal, "-2");
  i = DRAFT("acme", 1, {"GPU", "-5"}, {"API", "8"});
  assert_money(i.lines[2].amount, "-3");
  assert_money(i.subtotal, "0");
}

static void less_than_a_cent_stays_in_the_grant(void **state) {
  (void)state;
  struct credit_grant g = wanted("g", CREDIT_PREPAID, "1.009");
  give("bolt", &g);
  struct invoice i = DRAFT("bolt", 1, {"GPU", "10"});
  assert_money(i.prepaid, "1");
  g = wanted("yen", CREDIT_PREPAID, "70.9");
  give("dai", &g);
  i = DRAFT("dai", 1, {"GPU", "100"});
  assert_money(i.prepaid, "70");
  assert_money(i.amount_due, "30");
}

static void a_lease_on_hold_is_not_spent_by_an_invoice(void **state) {
  (void)state;
  struct error err = {0};
  enum transfer_outcome outcome;
  struct credit_grant g = wanted("g", CREDIT_PREPAID, "100");
  give("bolt", &g);
  struct credit_hold_request hold = {.id = SLICE("lease-1"),
                                     .customer = SLICE("bolt"),
                                     .currency = SLICE("EUR"),
                                     .to = SLICE("revenue/GPU"),
                                     .amount = money("60"),
                                     .expires = day(9)};
  must_do(credit_hold(db, ledger, &hold, day(0), &outcome, &err), &err);
  struct invoice i = DRAFT("bolt", 1, {"GPU", "90"});
  assert_money(i.prepaid, "40");
  must_do(credit_settle(db, ledger, SLICE("lease-1"), money("12.5"), day(1), &err), &err);
  assert_available("bolt", "", "87.5");
  assert_false(credit_settle(db, ledger, SLICE("lease-1"), money("12.6"), day(1), &err));
  assert_int_equal(err.code, ERR_CONFLICT);
}

static void what_a_hold_reserves_does_not_expire_under_it(void **state) {
  (void)state;
  struct error err = {0};
  enum transfer_outcome outcome;
  size_t count;
  struct credit_grant g = wanted("g", CREDIT_PREPAID, "10");
  struct account breakage;
  g.expires = day(2);
  give("bolt", &g);
  struct credit_hold_request hold = {.id = SLICE("h"),
                                     .customer = SLICE("bolt"),
                                     .currency = SLICE("EUR"),
                                     .to = SLICE("revenue/GPU"),
                                     .amount = money("4"),
                                     .expires = day(9)};
  must_do(credit_hold(db, ledger, &hold, day(0), &outcome, &err), &err);
  must_do(credit_expire(db, ledger, day(3), &count, &err), &err);
  assert_int_equal(count, 1);
  must_do(ledger_account(ledger, SLICE("revenue/breakage"), SLICE("EUR"), &breakage, &err), &err);
  assert_money(breakage.balance, "6");
  must_do(credit_settle(db, ledger, SLICE("h"), money("3"), day(3), &err), &err);
  must_do(credit_expire(db, ledger, day(3), &count, &err), &err);
  must_do(ledger_account(ledger, SLICE("revenue/breakage"), SLICE("EUR"), &breakage, &err), &err);
  assert_money(breakage.balance, "7");
}

/* ---- what went wrong elsewhere ---- */

static bool finalize(struct invoice *i, slice *id, struct error *err) {
  bool existed;
  return invoice_finalize(arena, db, ledger, i, day(5), 1, &existed, id, err);
}

static void one_credit_is_never_spent_on_two_invoices(void **state) {
  (void)state;
  struct error err = {0};
  slice id;
  struct credit_grant g = wanted("g", CREDIT_PREPAID, "100");
  give("bolt", &g);
  struct invoice first = DRAFT("bolt", 1, {"GPU", "80"}), second = DRAFT("bolt", 2, {"GPU", "80"});
  assert_money(second.prepaid, "80"); /* both saw all of it */
  must_do(finalize(&first, &id, &err), &err);
  assert_false(finalize(&second, &id, &err));
  assert_int_equal(err.code, ERR_CONFLICT);
  second = DRAFT("bolt", 2, {"GPU", "80"});
  must_do(finalize(&second, &id, &err), &err);
  assert_money(second.amount_due, "60");
  assert_available("bolt", "", "0");
}

static void finalizing_twice_spends_credit_once(void **state) {
  (void)state;
  struct error err = {0};
  slice id, again;
  bool existed;
  struct credit_grant g = wanted("g", CREDIT_PROMOTIONAL, "100");
  give("bolt", &g);
  struct invoice one = DRAFT("bolt", 1, {"GPU", "30"}), two = DRAFT("bolt", 1, {"GPU", "30"});
  must_do(finalize(&one, &id, &err), &err);
  must_do(invoice_finalize(arena, db, ledger, &two, day(5), 1, &existed, &again, &err), &err);
  assert_true(existed && slice_eq(id, again));
  assert_available("bolt", "", "70");
}

static void a_void_gives_credit_back_once_and_for_a_while(void **state) {
  (void)state;
  struct error err = {0};
  slice id;
  struct credit_grant g = wanted("g", CREDIT_PREPAID, "100");
  size_t count;
  amount left;
  g.expires = day(6);
  give("bolt", &g);
  struct invoice i = DRAFT("bolt", 1, {"GPU", "30"});
  must_do(finalize(&i, &id, &err), &err);
  must_do(credit_expire(db, ledger, day(7), &count, &err), &err);
  must_do(invoice_void(db, ledger, id, day(8), &err) && invoice_void(db, ledger, id, day(8), &err), &err);
  must_do(credit_available(db, SLICE("bolt"), SLICE("EUR"), SLICE(""), day(8), &left, &err), &err);
  assert_money(left, "30");
  must_do(credit_expire(db, ledger, day(8 + CREDIT_RETURN_DAYS), &count, &err), &err);
  assert_int_equal(count, 1);
}

static void a_payment_still_keeps_an_invoice_from_being_voided(void **state) {
  (void)state;
  struct error err = {0};
  slice id;
  struct credit_grant g = wanted("g", CREDIT_PREPAID, "10");
  give("bolt", &g);
  struct invoice i = DRAFT("bolt", 1, {"GPU", "30"});
  must_do(finalize(&i, &id, &err), &err);
  assert_false(invoice_pay(db, ledger, id, SLICE("cash"), SLICE("p0"), money("20.01"), day(6), &err));
  must_do(invoice_pay(db, ledger, id, SLICE("cash"), SLICE("p1"), money("20"), day(6), &err), &err);
  assert_false(invoice_void(db, ledger, id, day(6), &err));
  assert_int_equal(err.code, ERR_CONFLICT);
}

/* ---- top-ups ---- */

static bool asks(const char *who, instant now) {
  struct error err = {0};
  bool requested;
  must_do(credit_top_up_check(db, catalog, customer(who), now, &requested, &err), &err);
  return requested;
}

static bool take_id(void *context, const struct credit_top_up *t, struct error *err) {
  (void)err;
  *(slice *)context = arena_copy(arena, t->id);
  return true;
}

static void top_ups_are_asked_for_one_at_a_time_and_so_often_a_month(void **state) {
  (void)state;
  struct error err = {0};
  slice id = {0};
  struct credit_query query = {.customer = SLICE("crow"), .limit = 10};
  struct credit_grant g = wanted("g", CREDIT_PREPAID, "19.99");
  give("bolt", &g);
  assert_true(asks("bolt", day(5))); /* the plan's rule: below 20 */
  give("crow",
       &(struct credit_grant){
           .id = SLICE("c"), .amount = money("5"), .priority = 50, .effective = day(0), .expires = INSTANT_MAX});
  assert_false(asks("crow", day(5))); /* its own: below 5 */
  must_do(credit_end(db, ledger, SLICE("c"), day(5), &err), &err);
  assert_true(asks("crow", day(5)));
  assert_false(asks("crow", day(5))); /* one is open */
  must_do(credit_top_up_list(db, &query, take_id, &id, &err), &err);
  must_do(credit_top_up_paid(db, ledger, catalog, id, SLICE("card"), day(5), &err), &err);
  must_do(credit_top_up_paid(db, ledger, catalog, id, SLICE("card"), day(5), &err), &err);
  assert_available("crow", "", "50");
  assert_false(credit_top_up_failed(db, id, day(5), &err));
  assert_int_equal(err.code, ERR_CONFLICT);
  query.customer = SLICE("bolt"); /* at_most 2: the second fails, there is no third this month */
  must_do(credit_top_up_list(db, &query, take_id, &id, &err) && credit_top_up_failed(db, id, day(5), &err), &err);
  assert_true(asks("bolt", day(5)));
  query.after_id = id;
  must_do(credit_top_up_list(db, &query, take_id, &id, &err) && credit_top_up_failed(db, id, day(5), &err), &err);
  assert_false(asks("bolt", day(6)));
  assert_true(asks("bolt", day(40)));
}

static void the_rule_is_read_with_its_errors(void **state) {
  (void)state;
  struct error err = {0};
  struct catalog *c = NULL;
  struct catalog_text text = {"catalog.yaml", SLICE("currency: EUR\ncustomers:\n"
                                                    "  - {id: a, auto_top_up: {below: 0, amount: 5}}\n"
                                                    "  - {id: b, auto_top_up: {amount: 5, at_most: 0}}\n")};
  assert_false(catalog_parse(&text, 1, &c, &err));
  assert_non_null(strstr(err.message, "catalog.yaml:3"));
  assert_non_null(strstr(err.message, "is 0: expected more"));
  assert_non_null(strstr(err.message, "\"below\" is missing"));
  assert_non_null(strstr(err.message, "from 1 to 1000"));
}

/* ---- documents of others ---- */

static void a_document_with_impossible_credit_is_refused(void **state) {
  (void)state;
  static const char *const credits[] = {
      "{\"grant\":\"g\",\"kind\":\"gift\",\"priority\":1,\"effective\":\"2026-01-01T00:00:00Z\",\"available\":\"1\"}",
      "{\"grant\":\"g\",\"kind\":\"prepaid\",\"priority\":-1,\"effective\":\"2026-01-01T00:00:00Z\",\"available\":"
      "\"1\"}",
      "{\"grant\":\"g\",\"kind\":\"prepaid\",\"priority\":1,\"available\":\"1\"}",
      "{\"grant\":\"g\",\"kind\":\"prepaid\",\"priority\":1,\"effective\":\"2026-01-01T00:00:00Z\"}",
      "{\"grant\":\"g\",\"kind\":\"prepaid\",\"priority\":1,\"effective\":\"2026-01-01T00:00:00Z\",\"available\":\"1\","
      "\"scope\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21]}",
      "\"g\""};
  for (size_t i = 0; i < sizeof credits / sizeof *credits; i++) {
    struct error err = {0};
    struct invoice_purse purse;
    const char *document =
        arena_printf(arena, "{\"schema\":\"meterhouse.invoice.1\",\"lines\":[],\"credits\":[%s]}", credits[i]);
    assert_false(invoice_purse_stated(arena, slice_of(document), &purse, &err));
    assert_true(err.code == ERR_INVALID || err.code == ERR_LIMIT);
  }
}

/* ---- check ---- */

static void count_bad(void *context, const char *what) {
  (void)what;
  (*(int *)context)++;
}

static void check_names_what_does_not_agree(void **state) {
  (void)state;
  struct error err = {0};
  int bad = 0;
  uint64_t invoices;
  slice id;
  struct credit_grant g = wanted("g", CREDIT_PREPAID, "100");
  give("bolt", &g);
  struct invoice i = DRAFT("bolt", 1, {"GPU", "30"});
  must_do(finalize(&i, &id, &err), &err);
  must_do(credit_check(db, ledger, count_bad, &bad, &err) &&
              invoice_check(db, ledger, count_bad, &bad, &invoices, &err),
          &err);
  assert_int_equal(bad, 0);
  must_do(db_run(db, "UPDATE credit_grant SET remaining = '71'", DB_NO_VALUES, NULL, &err), &err);
  must_do(credit_check(db, ledger, count_bad, &bad, &err), &err);
  assert_int_equal(bad, 2); /* the grant by its moves, the pocket by its grants */
  must_do(db_run(db, "UPDATE credit_move SET amount = '29'", DB_NO_VALUES, NULL, &err), &err);
  bad = 0;
  must_do(invoice_check(db, ledger, count_bad, &bad, &invoices, &err), &err);
  assert_int_equal(bad, 2); /* that credit, and the sum of all */
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
      CASE(the_order_is_priority_then_end_then_beginning_then_id),
      CASE(what_is_wrong_with_a_request_is_named),
      CASE(a_scope_in_another_order_is_the_same_request),
      CASE(given_credit_lowers_what_is_taxed_and_prepaid_pays_the_total),
      CASE(a_scoped_grant_pays_its_products_alone),
      CASE(credit_never_brings_an_invoice_below_zero),
      CASE(less_than_a_cent_stays_in_the_grant),
      CASE(a_lease_on_hold_is_not_spent_by_an_invoice),
      CASE(what_a_hold_reserves_does_not_expire_under_it),
      CASE(one_credit_is_never_spent_on_two_invoices),
      CASE(finalizing_twice_spends_credit_once),
      CASE(a_void_gives_credit_back_once_and_for_a_while),
      CASE(a_payment_still_keeps_an_invoice_from_being_voided),
      CASE(top_ups_are_asked_for_one_at_a_time_and_so_often_a_month),
      CASE(the_rule_is_read_with_its_errors),
      CASE(a_document_with_impossible_credit_is_refused),
      CASE(check_names_what_does_not_agree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
