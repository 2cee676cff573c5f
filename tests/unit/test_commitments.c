/* Commitments to spend and minimums: whole terms worked out by hand, from YAML and usage to kept invoices, with every
 * balance held against documents and accounts after each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "bill/bill.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct world {
  struct arena *arena;
  struct catalog *catalog;
  struct db *db;
  struct ledger *ledger;
  const struct customer *customer;
  char path[64];
  slice last; /* id of the invoice made last */
  struct invoice invoice;
};

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
  struct world *w = mem_alloc(sizeof *w);
  struct error err = {0};
  *w = (struct world){.arena = arena_new()};
  snprintf(w->path, sizeof w->path, "/tmp/mh-commitments-%d.db", (int)getpid());
  unlink(w->path);
  step_count = 0;
  add_steps(ledger_migrations, ledger_migration_count);
  add_steps(credit_migrations, credit_migration_count);
  add_steps(bill_migrations, bill_migration_count);
  must_do(db_open(w->path, DB_READ_WRITE, &w->db, &err) && db_migrate(w->db, all_steps, step_count, &err) &&
              ledger_open(w->db, &w->ledger, &err),
          &err);
  *state = w;
  return 0;
}

static int tear_down(void **state) {
  struct world *w = *state;
  static const char *const ends[] = {"", "-wal", "-shm"};
  ledger_close(w->ledger);
  db_close(w->db);
  for (int i = 0; i < 3; i++) {
    char path[80];
    snprintf(path, sizeof path, "%s%s", w->path, ends[i]);
    unlink(path);
  }
  catalog_free(w->catalog);
  arena_free(w->arena);
  free(w);
  return 0;
}

/* Calls cost 1 each, files 1 each; "acme" is on that plan with `contract` added. */
static void load(struct world *w, const char *contract) {
  struct error err;
  const char *yaml =
      arena_printf(w->arena,
                   "currency: USD\nseller: {name: S, invoice_prefix: S-}\n"
                   "taxes: [{name: vat, label: VAT, rate: 10 %%, category: S}]\n"
                   "meters:\n  - {name: calls, event: call, value: n, unit: call, product: Calls}\n"
                   "  - {name: files, event: file, value: n, unit: file, product: Files}\n"
                   "plans: [{name: list, prices: [{meter: calls, price: 1}, {meter: files, price: 1}]}]\n"
                   "customers:\n  - id: acme\n    tax: vat\n    contracts:\n      - plan: list\n%s",
                   contract);
  const struct catalog_text text = {"test.yaml", slice_of(yaml)};
  catalog_free(w->catalog);
  w->catalog = NULL;
  must_do(catalog_parse(&text, 1, &w->catalog, &err), &err);
  w->customer = catalog_customer(w->catalog, SLICE("acme"));
}

static void use(struct world *w, struct usage *usage, instant at, const char *type, const char *count) {
  struct error err;
  struct event event;
  static unsigned id;
  char time[TIME_TEXT_MAX];
  const char *text =
      arena_printf(w->arena,
                   "{\"specversion\":\"1.0\",\"id\":\"%u\",\"source\":\"test\",\"type\":\"%s\",\"subject\":\"acme\","
                   "\"time\":\"%s\",\"data\":{\"n\":%s}}",
                   ++id, type, time_format(at, time), count);
  must_do(event_from_text(w->arena, slice_of(text), (instant){0}, &event, &err) && usage_add(usage, &event, &err),
          &err);
}

static void found(void *context, const char *what) {
  (void)context;
  fail_msg("%s", what);
}

static void finalize(struct world *w, const struct rating *rating, instant now) {
  struct error err = {0};
  struct commitment_state *states = NULL;
  size_t count = 0;
  bool existed;
  uint64_t invoices;
  char digest[65] = "";
  must_do(db_begin(w->db, &err) && commitment_states(w->arena, w->db, w->customer->id, &states, &count, &err), &err);
  const struct invoice_purse purse = {.commitments = states, .commitment_count = count};
  must_do(invoice_build(w->arena, w->catalog, rating, &purse, 0, digest, &w->invoice, &err), &err);
  if (w->invoice.line_count > 0) {
    must_do(invoice_finalize(w->arena, w->db, w->ledger, &w->invoice, now, 0, &existed, &w->last, &err), &err);
    assert_false(existed);
  }
  must_do(db_commit(w->db, &err), &err);
  ledger_done(w->ledger);
  must_do(invoice_check(w->db, w->ledger, found, NULL, &invoices, &err) &&
              commitment_check(w->db, w->ledger, found, NULL, &err) && ledger_check(w->ledger, found, NULL, &err),
          &err);
}

/* The invoice made last says the same when it is derived from what it states. */
static void assert_derived_again(struct world *w, const struct rating *rating) {
  struct error err = {0};
  struct buf document;
  struct invoice_purse purse;
  struct invoice again;
  char digest[65] = "";
  buf_init(&document, 1 << 20);
  invoice_to_json(&w->invoice, &document);
  must_do(invoice_purse_stated(w->arena, buf_slice(&document), &purse, &err) &&
              invoice_build(w->arena, w->catalog, rating, &purse, 0, digest, &again, &err) &&
              invoice_verify(buf_slice(&document), &again, found, NULL, &err),
          &err);
  buf_free(&document);
}

/* "usage 300 drawdown -300": kinds and amounts of all lines. */
static void assert_lines(struct world *w, const char *expected) {
  struct buf text;
  buf_init(&text, 10000);
  for (size_t i = 0; i < w->invoice.line_count; i++) {
    char amount_words[DECIMAL_TEXT_MAX];
    const struct invoice_line *line = &w->invoice.lines[i];
    buf_addf(&text, "%s%s %s", i ? " " : "", charge_kind_name(line->charge->kind),
             amount_text(line->amount, amount_words));
  }
  buf_addc(&text, '\0');
  assert_string_equal(buf_slice(&text).ptr, expected);
  buf_free(&text);
}

/* Invoices a period in which `calls` and `files` were used on its second day. */
static void bill(struct world *w, const char *period, const char *calls, const char *files, const char *expected) {
  struct error err = {0};
  struct period p;
  struct rating *rating = arena_alloc(w->arena, sizeof *rating);
  const struct segment *segments;
  size_t segment_count = 0, row_count;
  instant cuts[16];
  const struct usage_row *rows;
  struct usage *usage = usage_new(w->catalog);
  bool none;
  must_do(billing_period_named(w->customer, slice_of(period), &p, &none, &err) &&
              rate_segments(w->arena, w->catalog, w->customer, p, &segments, &segment_count, &err),
          &err);
  usage_window(usage, w->customer->id, p, cuts, rate_cuts(w->catalog, segments, segment_count, cuts, 16));
  use(w, usage, (instant){p.from.ns + 86400 * NS_PER_S}, "call", calls);
  use(w, usage, (instant){p.from.ns + 86400 * NS_PER_S}, "file", files);
  must_do(usage_finish(usage, &rows, &row_count, &err) &&
              rate_customer(w->arena, w->catalog, w->customer, p, rows, row_count, rating, &err),
          &err);
  finalize(w, rating, p.to);
  assert_derived_again(w, rating);
  assert_lines(w, expected);
  usage_free(usage);
}

static void open_at(struct world *w, const char *at, const char *expected) {
  struct error err = {0};
  struct rating *rating = arena_alloc(w->arena, sizeof *rating);
  instant t;
  must_do(time_parse_loose(slice_of(at), "UTC", &t, &err) &&
              rate_opening(w->arena, w->catalog, w->customer, t, rating, &err),
          &err);
  finalize(w, rating, t);
  assert_derived_again(w, rating);
  assert_lines(w, expected);
}

/* "opening+bought+carried-drawn-expired-rolled=closing, spent" of the n-th interval. */
static void assert_told(struct world *w, size_t n, const char *expected) {
  char t[8][DECIMAL_TEXT_MAX];
  assert_true(n < w->invoice.commitment_count);
  const struct invoice_commitment *c = &w->invoice.commitments[n];
  amount spent = {c->before.spent.e12 + c->drawn.e12};
  assert_string_equal(arena_printf(w->arena, "%s+%s+%s-%s-%s-%s=%s, %s", amount_text(c->before.balance, t[0]),
                                   amount_text(c->bought, t[1]), amount_text(c->carried, t[2]),
                                   amount_text(c->drawn, t[3]), amount_text(c->expired, t[4]),
                                   amount_text(c->rolled, t[5]), amount_text(c->closing, t[6]),
                                   amount_text(spent, t[7])),
                      expected);
}

static void assert_account(struct world *w, const char *name, const char *expected) {
  struct account account;
  struct error err = {0};
  char text[DECIMAL_TEXT_MAX];
  must_do(ledger_account(w->ledger, slice_of(name), SLICE("USD"), &account, &err), &err);
  assert_string_equal(amount_text(account.balance, text), expected);
}

#define POOL "customer/acme/commitment/pool"

/* ---- prepaid ---- */

static void a_year_is_bought_drawn_and_exceeded(void **state) {
  struct world *w = *state;
  load(w, "        from: 2026-01-01\n        to: 2027-01-01\n"
          "        commitments: [{name: pool, amount: 1200, overage: 110 %}]\n");
  open_at(w, "2026-01-01", "commitment 1200");
  assert_account(w, POOL, "1200");
  bill(w, "2026-01", "300", "200", "usage 300 usage 200 drawdown -500");
  assert_told(w, 0, "1200+0+0-500-0-0=700, 500");
  assert_account(w, POOL, "700");
  /* 700 are left for 900: the other 200 cost 10 % more. */
  bill(w, "2026-02", "400", "500", "usage 400 usage 500 drawdown -700 overage 20");
  assert_int_equal(w->invoice.total.e12, 242 * AMOUNT_E12);
  assert_account(w, POOL, "0");
  bill(w, "2026-03", "100", "0", "usage 100 overage 10");
  assert_account(w, "revenue/Calls", "810");
  bill(w, "2026-12", "0", "0", "");
}

static void what_is_unused_rolls_over_within_its_cap_and_expires(void **state) {
  struct world *w = *state;
  load(w,
       "        from: 2026-01-01\n        commitments: [{name: pool, amount: 1000, per: quarter, roll_over: 10 %}]\n");
  open_at(w, "2026-01-01", "commitment 1000");
  bill(w, "2026-01", "300", "0", "usage 300 drawdown -300");
  bill(w, "2026-02", "300", "0", "usage 300 drawdown -300");
  /* 250 unused: 100 of them go on, 150 are lost; the next quarter is bought. */
  bill(w, "2026-03", "150", "0", "usage 150 drawdown -150 commitment 0 commitment 1000");
  assert_told(w, 0, "400+0+0-150-150-100=0, 750");
  assert_told(w, 1, "0+1000+100-0-0-0=1100, 0");
  assert_account(w, POOL, "1100");
  assert_account(w, "revenue/breakage", "150");
  bill(w, "2026-04", "1099.5", "0", "usage 1099.5 drawdown -1099.5");
  assert_told(w, 0, "1100+0+0-1099.5-0-0=0.5, 1099.5");
}

static void a_discount_stretches_what_is_bought(void **state) {
  struct world *w = *state;
  load(w, "        from: 2026-01-01\n        to: 2027-01-01\n"
          "        commitments: [{name: pool, amount: 100, discount: 20 %, products: Calls}]\n");
  open_at(w, "2026-01-01", "commitment 100");
  bill(w, "2026-01", "50", "30", "usage 50 usage 30 drawdown -40 discount -10");
  /* 60 left pay for 75 at list. */
  bill(w, "2026-02", "100", "0", "usage 100 drawdown -60 discount -15");
  assert_told(w, 0, "60+0+0-60-0-0=0, 100");
}

static void installments_are_equal_parts(void **state) {
  struct world *w = *state;
  load(w, "        from: 2026-01-01\n        to: 2027-01-01\n"
          "        commitments: [{name: pool, amount: 100, installments: quarterly, product: Pool}]\n"
          "        changes: [{at: 2026-05-01, cancel: true}]\n");
  open_at(w, "2026-01-01", "commitment 25");
  bill(w, "2026-01", "60", "0", "usage 60 drawdown -60");
  assert_account(w, POOL, "-35"); /* drawn, and not invoiced yet */
  bill(w, "2026-02", "0", "0", "");
  bill(w, "2026-03", "10", "0", "usage 10 drawdown -10 commitment 25");
  /* Ended early: what is left of it is due, and lost. */
  bill(w, "2026-04", "0", "0", "commitment 0 commitment 50");
  assert_told(w, 0, "30+0+0-0-30-0=0, 70");
  assert_account(w, POOL, "0");
}

static void parts_that_do_not_divide_differ_by_a_cent(void **state) {
  struct world *w = *state;
  load(w, "        from: 2026-01-01\n        to: 2026-04-01\n"
          "        commitments: [{name: pool, amount: 100, installments: monthly}]\n");
  open_at(w, "2026-01-01", "commitment 33.34");
  bill(w, "2026-01", "0", "0", "commitment 33.33");
  bill(w, "2026-02", "0", "0", "commitment 33.33");
  bill(w, "2026-03", "0", "0", "commitment 0");
}

static void the_first_of_several_draws_first(void **state) {
  struct world *w = *state;
  load(w, "        from: 2026-01-01\n        to: 2027-01-01\n        commitments:\n"
          "          - {name: files only, amount: 50, products: Files, overage: 200 %}\n"
          "          - {name: pool, amount: 100, overage: 150 %}\n");
  open_at(w, "2026-01-01", "commitment 50 commitment 100");
  bill(w, "2026-01", "30", "80", "usage 30 usage 80 drawdown -50 drawdown -60");
  /* 40 are left in the pool: they pay calls first, then 10 files; 90 files are beyond both, at the price of the first.
   */
  bill(w, "2026-02", "30", "100", "usage 30 usage 100 drawdown -40 overage 90");
}

/* ---- postpaid and minimums ---- */

static void a_shortfall_is_charged_at_the_end(void **state) {
  struct world *w = *state;
  load(w, "        from: 2026-01-01\n        term: 3 months\n        renew: true\n"
          "        commitments: [{name: pool, amount: 1000, shape: postpaid, discount: 10 %, roll_over: 50}]\n");
  bill(w, "2026-01", "500", "0", "usage 500 discount -50");
  assert_told(w, 0, "0+1000+0-450-0-0=550, 450");
  bill(w, "2026-02", "100", "0", "usage 100 discount -10");
  bill(w, "2026-03", "100", "0", "usage 100 discount -10 true_up 320");
  assert_told(w, 0, "460+0+0-90-320-50=0, 630");
  assert_told(w, 1, "0+1000+50-0-0-0=1050, 0");
  /* 1050 are met by 1166.67 at list; nothing is missing at the end. */
  bill(w, "2026-04", "2000", "0", "usage 2000 discount -116.67");
  bill(w, "2026-06", "5", "0", "usage 5");
}

static void a_minimum_of_a_quarter_is_trued_up_and_prorated(void **state) {
  struct world *w = *state;
  load(w, "        from: 2026-01-01\n        minimum: {amount: 9000, per: quarter}\n"
          "        changes: [{at: 2026-05-16 12:00:00, cancel: true}]\n");
  bill(w, "2026-01", "1000", "0", "usage 1000");
  bill(w, "2026-02", "9000", "0", "usage 9000");
  bill(w, "2026-03", "1", "0", "usage 1");
  bill(w, "2026-04", "4000", "0", "usage 4000");
  /* 45.5 of 91 days: 4500. */
  bill(w, "2026-05", "100", "0", "usage 100 true_up 400");
}

static void a_minimum_counts_what_commitments_pay(void **state) {
  struct world *w = *state;
  load(w, "        from: 2026-01-01\n        to: 2026-04-01\n        minimum: {amount: 500, per: quarter, products: "
          "Calls}\n"
          "        commitments: [{name: pool, amount: 300}]\n");
  open_at(w, "2026-01-01", "commitment 300");
  bill(w, "2026-01", "300", "50", "usage 300 usage 50 drawdown -300");
  bill(w, "2026-02", "150", "0", "usage 150");
  bill(w, "2026-03", "0", "70", "usage 70 true_up 50");
}

/* ---- what stands ---- */

static void a_later_invoice_keeps_an_earlier_one_from_being_voided(void **state) {
  struct world *w = *state;
  struct error err = {0};
  load(w, "        from: 2026-01-01\n        commitments: [{name: pool, amount: 1000, per: month}]\n");
  open_at(w, "2026-01-01", "commitment 1000");
  slice opening = w->last;
  bill(w, "2026-01", "300", "0", "usage 300 drawdown -300 commitment 0 commitment 1000");
  slice january = w->last;
  must_do(db_begin(w->db, &err), &err);
  assert_false(invoice_void(w->db, w->ledger, opening, (instant){0}, &err));
  assert_int_equal(err.code, ERR_CONFLICT);
  assert_non_null(strstr(err.message, "void that one first"));
  db_rollback(w->db);
  ledger_undo(w->ledger);
  must_do(db_begin(w->db, &err) && invoice_void(w->db, w->ledger, january, (instant){1}, &err) &&
              db_commit(w->db, &err),
          &err);
  ledger_done(w->ledger);
  must_do(commitment_check(w->db, w->ledger, found, NULL, &err), &err);
  assert_account(w, POOL, "1000");
  assert_account(w, "revenue/breakage", "0");
  bill(w, "2026-01", "1000", "500", "usage 1000 usage 500 drawdown -1000 commitment 1000");
}

static void count_problem(void *context, const char *what) {
  (void)what;
  ++*(int *)context;
}

static void a_changed_state_is_found(void **state) {
  struct world *w = *state;
  struct error err = {0};
  int problems = 0;
  load(w, "        from: 2026-01-01\n        commitments: [{name: pool, amount: 1000}]\n");
  open_at(w, "2026-01-01", "commitment 1000");
  bill(w, "2026-01", "300", "0", "usage 300 drawdown -300");
  must_do(db_begin(w->db, &err) &&
              db_run(w->db, "UPDATE commitment_move SET spent = '299' WHERE step = 2", DB_NO_VALUES, NULL, &err) &&
              db_commit(w->db, &err) && commitment_check(w->db, w->ledger, count_problem, &problems, &err),
          &err);
  assert_int_equal(problems, 2); /* the document says 300, and the account has one more than that leaves */
}

/* ---- the catalog ---- */

static void assert_refused(const char *commitment, const char *message) {
  struct error err;
  struct catalog *catalog;
  char yaml[2000];
  snprintf(yaml, sizeof yaml,
           "currency: USD\nmeters: [{name: calls, event: call, value: n, unit: call}]\n"
           "plans: [{name: list, prices: [{meter: calls, price: 1}]}]\n"
           "customers: [{id: acme, contracts: [{plan: list, from: 2026-01-01, to: 2027-01-01, %s}]}]\n",
           commitment);
  const struct catalog_text text = {"test.yaml", slice_of(yaml)};
  assert_false(catalog_parse(&text, 1, &catalog, &err));
  if (!strstr(err.message, message)) {
    fail_msg("expected \"%s\" in: %s", message, err.message);
  }
}

static void wrong_commitments_are_refused_with_their_place(void **state) {
  (void)state;
  assert_refused("commitments: [{amount: 5}]", "\"name\" is missing");
  assert_refused("commitments: [{name: a}]", "\"amount\" is missing");
  assert_refused("commitments: [{name: a, amount: 0}]", "is 0");
  assert_refused("commitments: [{name: a, amount: 5, discount: 100 %}]", "is 100 %");
  assert_refused("commitments: [{name: a, amount: 5, overage: 2000 %}]", "expected 0.01 to 10");
  assert_refused("commitments: [{name: a/b, amount: 5}]", "names an account");
  assert_refused("commitments: [{name: credit, amount: 5}]", "names an account");
  assert_refused("commitments: [{name: a, amount: 5}, {name: a, amount: 6}]", "commitment");
  assert_refused("commitments: [{name: a, amount: 5, shape: postpaid, installments: monthly}]", "goes with shape");
  assert_refused("commitments: [{name: a, amount: 5, to: 2028-01-01}]", "is after the contract");
  assert_refused("commitments: [{name: a, amount: 5, from: 2025-01-01}]", "is before the contract");
  assert_refused("commitments: [{name: a, amount: 5, products: []}]", "is empty");
  assert_refused("minimum: {amount: 5}", "\"per\" is missing");
  assert_refused("minimum: {amount: 5, per: week}", "quarter");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(a_year_is_bought_drawn_and_exceeded),
      CASE(what_is_unused_rolls_over_within_its_cap_and_expires),
      CASE(a_discount_stretches_what_is_bought),
      CASE(installments_are_equal_parts),
      CASE(parts_that_do_not_divide_differ_by_a_cent),
      CASE(the_first_of_several_draws_first),
      CASE(a_shortfall_is_charged_at_the_end),
      CASE(a_minimum_of_a_quarter_is_trued_up_and_prorated),
      CASE(a_minimum_counts_what_commitments_pay),
      CASE(a_later_invoice_keeps_an_earlier_one_from_being_voided),
      CASE(a_changed_state_is_found),
      cmocka_unit_test(wrong_commitments_are_refused_with_their_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
