/* Usage that is not invoiced yet, and slices for what runs: what is reserved of which pocket, when, and for how long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "credit/credit.h"
#include "notify/notify.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char catalog_text[] =
    "currency: EUR\n"
    "seller: {name: S, invoice_prefix: T-}\n"
    "meters:\n  - {name: calls, event: call, value: n, unit: call}\n"
    "plans:\n  - {name: p, prices: [{meter: calls, price: 1}], auto_top_up: {below: 20, amount: 100, at_most: 2}}\n"
    "customers:\n  - {id: acme, plan: p}\n";

#define ACME SLICE("acme")
#define EUR SLICE("EUR")

static struct arena *arena;
static struct catalog *catalog;
static struct db *db;
static struct ledger *ledger;
static char dir[32];
static int today;

static void done(bool ok, const struct error *err) {
  if (!ok) {
    fail_msg("%s", err->message);
  }
}

static void migrate(const struct db_migration *steps, size_t count) {
  struct error err = {0};
  static struct db_migration all[64];
  static size_t all_count;
  all_count = steps == ledger_migrations ? 0 : all_count;
  memcpy(&all[all_count], steps, count * sizeof *steps);
  all_count += count;
  if (steps == credit_migrations) {
    done(db_migrate(db, all, all_count, &err), &err);
  }
}

static int set_up(void **state) {
  (void)state;
  struct error err = {0};
  struct catalog_text text = {"catalog.yaml", SLICE(catalog_text)};
  char path[64];
  memcpy(dir, "/tmp/test_unbilled.XXXXXX", sizeof "/tmp/test_unbilled.XXXXXX");
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/db", dir);
  arena = arena_new();
  today = 0;
  done(catalog_parse(&text, 1, &catalog, &err) && db_open(path, DB_READ_WRITE, &db, &err), &err);
  migrate(ledger_migrations, ledger_migration_count);
  migrate(notify_migrations, notify_migration_count);
  migrate(credit_migrations, credit_migration_count);
  done(ledger_open(db, &ledger, &err) && db_begin(db, &err), &err);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  char command[80];
  db_rollback(db);
  ledger_close(ledger);
  db_close(db);
  catalog_free(catalog);
  arena_free(arena);
  snprintf(command, sizeof command, "rm -rf %s", dir);
  return system(command);
}

static instant day(int n) {
  return (instant){(INT64_C(20000) + n) * 86400 * NS_PER_S};
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

/* `product` NULL: for all of them. */
static void give(const char *id, const char *value, int priority, int expires, const char *product) {
  struct error err = {0};
  bool repeated = false;
  slice scope = slice_of(product);
  struct credit_grant g = {.id = slice_of(id),
                           .kind = CREDIT_PREPAID,
                           .amount = money(value),
                           .priority = priority,
                           .scope = &scope,
                           .scope_count = product != NULL,
                           .effective = day(0),
                           .expires = expires ? day(expires) : INSTANT_MAX};
  done(credit_add(db, ledger, catalog_customer(catalog, ACME), &g, day(today), &repeated, &err), &err);
}

static void spend(int period_to, const char *value) {
  struct error err = {0};
  done(credit_unbilled_add(db, ACME, EUR, day(period_to), money(value), &err), &err);
}

static void assert_granted(const char *product, const char *wanted, const char *least, const char *line,
                           const char *expected) {
  struct error err = {0};
  amount granted = AMOUNT_ZERO;
  struct credit_slice_request r = {.customer = ACME,
                                   .currency = EUR,
                                   .product = slice_of(product),
                                   .wanted = money(wanted),
                                   .least = money(least),
                                   .line = money(line)};
  done(credit_slice_reserve(db, ledger, &r, day(today), &granted, &err), &err);
  assert_money(granted, expected);
}

static void assert_unbilled(const char *spent, const char *reserved, const char *slice_left, const char *on_line) {
  struct error err = {0};
  struct credit_unbilled u;
  done(credit_unbilled(db, ACME, EUR, &u, &err), &err);
  assert_money(u.spent, spent);
  assert_money(u.reserved, reserved);
  assert_money(u.slice, slice_left);
  assert_money(u.on_line, on_line);
}

static void assert_available(const char *product, const char *expected) {
  struct error err = {0};
  amount a;
  done(credit_available(db, ACME, EUR, slice_of(product), day(today), &a, &err), &err);
  assert_money(a, expected);
}

static void end_period(int period_to) {
  struct error err = {0};
  done(credit_unbilled_end(db, ledger, ACME, EUR, day(period_to), day(today), &err), &err);
}

static void bad_thing(void *context, const char *what) {
  (void)what;
  (*(int *)context)++;
}
static int problems(void) {
  struct error err = {0};
  int count = 0;
  done(credit_check(db, ledger, bad_thing, &count, &err) && ledger_check(ledger, bad_thing, &count, &err), &err);
  return count;
}

/* ---- the ledger's hold that grows ---- */

static void a_hold_is_set_up_and_down_under_one_id(void **state) {
  (void)state;
  struct error err = {0};
  struct account a;
  struct transfer t = {.id = SLICE("h"),
                       .from = SLICE("customer/acme/credit"),
                       .to = SLICE("x"),
                       .currency = EUR,
                       .time = day(0),
                       .amount = money("4"),
                       .cause = SLICE("c"),
                       .reference = SLICE("r")};
  give("g", "10", 50, 0, NULL);
  const char *const steps[] = {"4", "10", "7", "7", "0", "2"};
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    t.amount = money(steps[i]);
    done(ledger_change_hold(ledger, &t, INSTANT_MAX, &err) && ledger_account(ledger, t.from, EUR, &a, &err), &err);
    assert_money(a.held, steps[i]);
    assert_int_equal(problems(), 0);
  }
  t.amount = money("10.000000000001");
  assert_false(ledger_change_hold(ledger, &t, INSTANT_MAX, &err));
  assert_int_equal(err.code, ERR_FUNDS);
  t.amount = money("-1");
  assert_false(ledger_change_hold(ledger, &t, INSTANT_MAX, &err));
  assert_int_equal(err.code, ERR_INVALID);
  t.amount = money("3");
  t.reference = SLICE("other");
  assert_false(ledger_change_hold(ledger, &t, INSTANT_MAX, &err));
  assert_int_equal(err.code, ERR_CONFLICT);
  done(ledger_settle(ledger, t.id, money("1"), day(1), &err), &err);
  t.reference = SLICE("r");
  assert_false(ledger_change_hold(ledger, &t, INSTANT_MAX, &err));
  assert_non_null(strstr(err.message, "has ended already"));
}

static void a_batch_undone_leaves_no_hold(void **state) {
  (void)state;
  struct error err = {0};
  give("g", "10", 50, 0, NULL);
  done(db_commit(db, &err) && db_begin(db, &err), &err);
  ledger_done(ledger);
  assert_granted("", "6", "0", "5", "6");
  spend(31, "2");
  db_rollback(db);
  ledger_undo(ledger);
  done(db_begin(db, &err), &err);
  assert_available("", "10");
  assert_unbilled("0", "0", "0", "0");
  assert_int_equal(problems(), 0);
}

/* ---- slices ---- */

static void usage_is_taken_out_of_the_slice(void **state) {
  (void)state;
  give("g", "10", 50, 0, NULL);
  assert_granted("", "4", "0", "0", "4");
  spend(31, "1.5");
  spend(31, "1");
  assert_unbilled("2.5", "0", "4", "0"); /* the slice covers it */
  assert_available("", "6");
  assert_granted("", "4", "0", "0", "4");
  assert_unbilled("2.5", "2.5", "4", "0");
  assert_available("", "3.5");
  assert_granted("", "100", "0", "0", "7.5");
  assert_available("", "0");
  spend(31, "7");
  assert_granted("", "100", "0", "0", "0.5");
  assert_granted("", "0.2", "0", "0", "0.2");
  assert_available("", "0.3");
  assert_int_equal(problems(), 0);
}

static void what_can_not_be_had_in_full_is_left_when_less_is_of_no_use(void **state) {
  (void)state;
  give("g", "10", 50, 0, NULL);
  assert_granted("", "3", "0", "0", "3");
  assert_granted("", "20", "11", "0", "3");
  assert_available("", "7");
  assert_granted("", "20", "10", "0", "10");
}

static void scoped_credit_goes_first_then_the_pocket_then_the_line(void **state) {
  (void)state;
  give("all", "10", 50, 0, NULL);
  give("api", "5", 10, 0, "API");
  give("gpu", "7", 10, 0, "GPU");
  assert_granted("API", "6", "0", "20", "6");
  assert_available("GPU", "16");
  assert_available("API", "9");
  assert_granted("API", "40", "0", "20", "35");
  assert_unbilled("0", "0", "35", "20");
  assert_available("GPU", "7");
  assert_granted("API", "16", "0", "20", "16"); /* back from the line first */
  assert_unbilled("0", "0", "16", "1");
  give("more", "100", 50, 0, NULL); /* what lies on the line moves to what was paid in */
  assert_granted("API", "16", "0", "20", "16");
  assert_unbilled("0", "0", "16", "0");
  assert_int_equal(problems(), 0);
}

static void a_smaller_line_keeps_what_is_held_and_gives_no_more(void **state) {
  (void)state;
  assert_granted("", "10", "0", "30", "10");
  spend(31, "4");
  assert_granted("", "10", "0", "2", "6");
  assert_unbilled("4", "4", "6", "10");
  spend(31, "6");
  assert_granted("", "10", "0", "2", "0");
  assert_unbilled("10", "10", "0", "10");
  assert_granted("", "10", "0", "12", "2");
  assert_int_equal(problems(), 0);
}

static void usage_beyond_the_slice_is_reserved_as_far_as_there_is(void **state) {
  (void)state;
  give("g", "10", 50, 0, NULL);
  assert_granted("", "4", "0", "0", "4");
  spend(31, "12");
  assert_granted("", "4", "0", "0", "0");
  assert_unbilled("12", "10", "0", "0");
  assert_int_equal(problems(), 0);
  end_period(31);
  assert_available("", "10");
  assert_unbilled("0", "0", "0", "0");
}

static void a_start_ends_slices_and_keeps_what_is_spent(void **state) {
  (void)state;
  struct error err = {0};
  size_t count = 0;
  give("g", "10", 50, 0, NULL);
  assert_granted("", "8", "0", "0", "8");
  spend(31, "3");
  spend(62, "1");
  ledger_close(ledger);
  done(ledger_open(db, &ledger, &err) && credit_slices_recover(db, ledger, day(1), &count, &err), &err);
  assert_int_equal(count, 1);
  assert_unbilled("4", "4", "0", "0");
  assert_available("", "6");
  done(credit_slices_recover(db, ledger, day(1), &count, &err), &err);
  assert_int_equal(count, 0);
  assert_int_equal(problems(), 0);
}

/* ---- the end of a period ---- */

static void the_end_of_a_period_leaves_the_slice_as_its_owner_counts_it(void **state) {
  (void)state;
  give("g", "100", 50, 0, NULL);
  assert_granted("", "10", "0", "0", "10");
  spend(31, "6");
  assert_granted("", "10", "0", "0", "10");
  spend(31, "2"); /* of the slice: 8 are free */
  spend(62, "1"); /* 7 */
  end_period(31);
  assert_unbilled("1", "0", "8", "0");
  assert_available("", "92");
  end_period(31);
  assert_unbilled("1", "0", "8", "0");
  assert_granted("", "10", "0", "0", "10");
  assert_unbilled("1", "1", "10", "0");
  assert_int_equal(problems(), 0);
}

/* The view before and the credit after are the same. */
static struct credit_grants assert_same_view(int period_to) {
  struct error err = {0};
  struct credit_grants before, after;
  done(credit_open_to_invoice(arena, db, ACME, EUR, day(period_to), day(today), &before, &err), &err);
  end_period(period_to);
  done(credit_open(arena, db, ACME, EUR, day(today), &after, &err), &err);
  assert_int_equal(before.count, after.count);
  for (size_t i = 0; i < before.count; i++) {
    assert_true(slice_eq(before.items[i].id, after.items[i].id));
    assert_true(before.items[i].expires.ns == after.items[i].expires.ns);
    assert_int_equal(amount_cmp(before.items[i].available, after.items[i].available), 0);
  }
  assert_int_equal(problems(), 0);
  return after;
}

static void credit_does_not_expire_under_usage_and_pays_for_it(void **state) {
  (void)state;
  struct error err = {0};
  size_t count = 0;
  bool due = false;
  give("old", "10", 50, 5, NULL);
  give("new", "10", 50, 40, NULL);
  assert_granted("", "6", "0", "0", "6");
  spend(31, "6");
  today = 10;
  done(credit_expire(db, ledger, day(today), &count, &err) && credit_is_due(db, day(today), &due, &err), &err);
  assert_false(due); /* what is left of it is reserved: the clock has nothing to do */
  assert_available("", "10");
  assert_granted("", "0", "0", "0", "0");
  today = 31;
  struct credit_grants g = assert_same_view(31);
  assert_int_equal(g.count, 2);
  assert_true(slice_is(g.items[1].id, "old")); /* its end is later now */
  assert_money(g.items[1].available, "6");
  assert_true(g.items[1].expires.ns == day(31 + CREDIT_RETURN_DAYS).ns);
  assert_available("", "16");
  today = 31 + CREDIT_RETURN_DAYS;
  assert_available("", "0");
}

static void expired_credit_is_not_kept_by_a_later_reserve(void **state) {
  (void)state;
  give("old", "10", 50, 5, NULL);
  give("new", "10", 50, 0, NULL);
  assert_granted("", "3", "0", "0", "3");
  today = 6;
  assert_granted("", "100", "0", "0", "13"); /* 3 of the old one, all of the new */
  assert_available("", "0");
  assert_int_equal(problems(), 0);
}

static void what_is_revoked_does_not_come_back(void **state) {
  (void)state;
  struct error err = {0};
  give("g", "10", 50, 0, NULL);
  assert_granted("", "4", "0", "0", "4");
  spend(31, "4");
  done(credit_revoke(db, ledger, SLICE("g"), day(2), &err), &err);
  today = 31;
  assert_int_equal(assert_same_view(31).count, 0);
  size_t count = 0;
  done(credit_expire(db, ledger, day(today), &count, &err), &err);
  assert_int_equal(count, 1);
}

static void a_draft_sees_what_expires_unbooked_as_gone(void **state) {
  (void)state;
  give("gone", "10", 10, 5, "API"); /* first in order, and nothing stands on it */
  give("b", "10", 20, 8, NULL);
  give("c", "10", 20, 0, "API");
  assert_granted("", "7", "0", "0", "7");
  spend(31, "5");
  today = 31;
  assert_int_equal(assert_same_view(31).count, 2);
}

/* ---- what others see ---- */

static void a_top_up_is_asked_for_by_what_is_not_reserved(void **state) {
  (void)state;
  struct error err = {0};
  bool requested = false;
  give("g", "50", 50, 0, NULL);
  assert_granted("", "30", "0", "0", "30");
  done(credit_top_up_check(db, catalog, catalog_customer(catalog, ACME), day(1), &requested, &err), &err);
  assert_false(requested); /* 20 are left, and it is asked for below 20 */
  assert_granted("", "30.01", "0", "0", "30.01");
  done(credit_top_up_check(db, catalog, catalog_customer(catalog, ACME), day(1), &requested, &err), &err);
  assert_true(requested);
}

static void assert_standing(const char *free_of_slice, const char *available, const char *held, const char *unbilled,
                            const char *line_used) {
  struct error err = {0};
  struct credit_standing s;
  done(credit_standing(db, ACME, EUR, day(today), money(free_of_slice), &s, &err), &err);
  assert_money(s.available, available);
  assert_money(s.held, held);
  assert_money(s.unbilled, unbilled);
  assert_money(s.line_used, line_used);
}

static void available_held_and_unbilled_are_the_balance(void **state) {
  (void)state;
  give("g", "50", 50, 0, NULL);
  assert_granted("", "20", "0", "0", "20");
  spend(31, "5");
  assert_standing("0", "30", "15", "5", "0");
  assert_standing("12", "42", "3", "5", "0");
  assert_granted("", "20", "0", "0", "20");
  assert_standing("17", "42", "3", "5", "0"); /* a reserve changes nothing of it */
  assert_granted("", "60", "0", "30", "60");  /* 50 in the pocket, 15 on the line */
  assert_standing("57", "42", "3", "5", "0");
  assert_standing("7", "0", "45", "5", "8");
}

static void no_amount_is_below_zero(void **state) {
  (void)state;
  struct error err = {0};
  amount granted = AMOUNT_ZERO;
  struct credit_slice_request r = {.customer = ACME, .currency = EUR, .wanted = money("-1")};
  assert_false(credit_slice_reserve(db, ledger, &r, day(0), &granted, &err));
  assert_int_equal(err.code, ERR_INVALID);
  assert_false(credit_unbilled_add(db, ACME, EUR, day(31), money("-1"), &err));
  assert_int_equal(err.code, ERR_INVALID);
}

static void check_names_a_reservation_that_is_not_held(void **state) {
  (void)state;
  struct error err = {0};
  give("g", "50", 50, 0, NULL);
  assert_granted("", "20", "0", "0", "20");
  spend(31, "5");
  assert_int_equal(problems(), 0);
  done(db_run(db, "UPDATE credit_unbilled SET reserved = '6'", DB_NO_VALUES, NULL, &err), &err);
  assert_int_equal(problems(), 2); /* more than was spent; more than is held */
  done(db_run(db, "DELETE FROM credit_unbilled", DB_NO_VALUES, NULL, &err) &&
           db_run(db, "DELETE FROM credit_slice", DB_NO_VALUES, NULL, &err),
       &err);
  assert_int_equal(problems(), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
      CASE(a_hold_is_set_up_and_down_under_one_id),
      CASE(a_batch_undone_leaves_no_hold),
      CASE(usage_is_taken_out_of_the_slice),
      CASE(what_can_not_be_had_in_full_is_left_when_less_is_of_no_use),
      CASE(scoped_credit_goes_first_then_the_pocket_then_the_line),
      CASE(a_smaller_line_keeps_what_is_held_and_gives_no_more),
      CASE(usage_beyond_the_slice_is_reserved_as_far_as_there_is),
      CASE(a_start_ends_slices_and_keeps_what_is_spent),
      CASE(the_end_of_a_period_leaves_the_slice_as_its_owner_counts_it),
      CASE(credit_does_not_expire_under_usage_and_pays_for_it),
      CASE(expired_credit_is_not_kept_by_a_later_reserve),
      CASE(what_is_revoked_does_not_come_back),
      CASE(a_draft_sees_what_expires_unbooked_as_gone),
      CASE(a_top_up_is_asked_for_by_what_is_not_reserved),
      CASE(available_held_and_unbilled_are_the_balance),
      CASE(no_amount_is_below_zero),
      CASE(check_names_a_reservation_that_is_not_held),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
