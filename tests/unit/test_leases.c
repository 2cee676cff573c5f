/* Leases on a book: quotes, the table of moves, what engines say in any order, credit, and what it all comes to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

static void done(bool ok, const struct error *err) {
  if (!ok) {
    fail_msg("%s", err->message);
  }
}

#include "lease_world.h"

#define START "2026-10-01T00:00:00Z"

static int open_world(void **state) {
  *state = world_new(START);
  return 0;
}
static int close_world(void **state) {
  world_free(*state);
  return 0;
}

static struct error refusal;
static char quote_id[ID_TEXT_MAX], lease_id[ID_TEXT_MAX];

static void keep_id(char out[ID_TEXT_MAX], slice id) {
  snprintf(out, ID_TEXT_MAX, SLICE_FMT, SLICE_ARG(id));
}

static struct lease_quote_request request(struct world *w, const char *customer, enum pool_class class,
                                          const char *units, const char *to) {
  return (struct lease_quote_request){.customer = world_customer(w, customer),
                                      .pool = SLICE("h100"),
                                      .class = class,
                                      .units = world_units(units),
                                      .span = {{0}, world_at(to)}};
}

static bool quote(struct world *w, const struct lease_quote_request *r, struct lease_quote *out) {
  refusal = (struct error){0};
  world_begin(w);
  bool ok = lease_quote_make(w->leases, w->arena, r, clock_now(), out, &refusal);
  if (ok) {
    keep_id(quote_id, out->id);
    keep_id(lease_id, out->lease);
  }
  return world_end(w, ok);
}

static bool take(struct world *w, const char *id, const char *customer) {
  struct lease lease;
  refusal = (struct error){0};
  world_begin(w);
  return world_end(
      w, lease_quote_take(w->leases, w->arena, slice_of(id), slice_of(customer), clock_now(), &lease, &refusal));
}

static void sold(struct world *w, const char *customer, enum pool_class class, const char *units, const char *to) {
  struct lease_quote q;
  const struct lease_quote_request r = request(w, customer, class, units, to);
  done(quote(w, &r, &q), &refusal);
  done(take(w, quote_id, customer), &refusal);
}

static struct lease_followed follow(struct world *w, const struct engine_run *runs, size_t count) {
  struct lease_followed f;
  struct error err = {0};
  world_begin(w);
  bool ok = lease_follow(w->leases, w->arena, runs, count, clock_now(), &f, &err);
  done(world_end(w, ok), &err);
  return f;
}

static struct engine_run run_of(const char *lease, uint32_t number, const char *gpus, const char *from, const char *to,
                                enum engine_state state) {
  return (struct engine_run){.lease = slice_of(lease),
                             .customer = SLICE("beta"),
                             .reference = SLICE("c/1/2"),
                             .number = number,
                             .gpu = SLICE("h100"),
                             .gpus = world_units(gpus),
                             .from = world_at(from),
                             .to = to ? world_at(to) : INSTANT_MAX,
                             .state = state};
}

static void assert_state(struct world *w, const char *id, enum lease_state state) {
  struct lease l;
  struct error err = {0};
  struct arena *arena = arena_new();
  done(lease_find(book_db(w->book), arena, slice_of(id), &l, &err), &err);
  assert_string_equal(lease_state_name(l.state), lease_state_name(state));
  arena_free(arena);
}

static void assert_metered(struct world *w, const char *customer, const char *expected) {
  char text[DECIMAL_TEXT_MAX];
  assert_string_equal(quantity_text(world_metered(w, customer), text), expected);
}

static void assert_amount(amount a, const char *expected) {
  char text[DECIMAL_TEXT_MAX];
  assert_string_equal(amount_text(a, text), expected);
}

static void refused(enum error_code code, const char *part) {
  assert_string_equal(error_code_name(refusal.code), error_code_name(code));
  if (!strstr(refusal.message, part)) {
    fail_msg("\"%s\" is not in: %s", part, refusal.message);
  }
}

/* ---- quotes ---- */

static void test_quote(void **state) {
  struct world *w = *state;
  struct lease_quote q, again;
  struct lease_quote_request r = request(w, "beta", POOL_ON_DEMAND, "8", "2026-10-01T10:00:00Z");
  done(quote(w, &r, &q), &refusal);
  assert_amount(q.unit_hour, "2");
  assert_amount(q.total, "160");
  assert_amount(q.with_tax, "193.6");
  assert_amount(q.minimum, "0.322666666668"); /* 8 GPUs for a minute, and tax, rounded up */
  r.units = world_units("1");
  assert_false(quote(w, &r, &again));
  refused(ERR_LIMIT, "");
  assert_false(take(w, quote_id, "acme"));
  refused(ERR_NOT_FOUND, "there is no quote");
  done(take(w, quote_id, "beta"), &refusal);
  assert_state(w, lease_id, LEASE_PENDING);
  assert_false(take(w, quote_id, "beta"));
  refused(ERR_CONFLICT, "was used");
}

static void test_quote_expires(void **state) {
  struct world *w = *state;
  struct lease_quote q;
  char first[ID_TEXT_MAX];
  struct lease_quote_request r = request(w, "beta", POOL_ON_DEMAND, "8", "2026-10-01T10:00:00Z");
  done(quote(w, &r, &q), &refusal);
  keep_id(first, slice_of(quote_id));
  world_reopen(w);
  r.customer = world_customer(w, "beta");
  assert_false(quote(w, &r, &q));
  refused(ERR_LIMIT, "");
  clock_set_test(world_at("2026-10-01T00:10:00Z"));
  assert_false(take(w, first, "beta"));
  refused(ERR_CONFLICT, "expired");
  done(quote(w, &r, &q), &refusal);
}

static void test_quote_errors(void **state) {
  struct world *w = *state;
  struct lease_quote q;
  const struct lease_quote_request good = request(w, "beta", POOL_ON_DEMAND, "4", "2026-10-02");
  struct lease_quote_request r = good;
  r.pool = SLICE("a100");
  assert_false(quote(w, &r, &q));
  refused(ERR_INVALID, "pool: ");
  r = good;
  r.units = world_units("9");
  assert_false(quote(w, &r, &q));
  refused(ERR_INVALID, "has 8 for sale");
  r.units = world_units("6");
  assert_false(quote(w, &r, &q));
  refused(ERR_INVALID, "whole nodes");
  r.units = world_units("0.25");
  assert_false(quote(w, &r, &q));
  refused(ERR_INVALID, "not sold in such parts");
  r.units = world_units("-1");
  assert_false(quote(w, &r, &q));
  refused(ERR_INVALID, "above zero");
  r = good;
  r.span.from = world_at("2026-09-30T23:59:59Z");
  assert_false(quote(w, &r, &q));
  refused(ERR_INVALID, "in the past");
  r.span = (struct period){world_at("2026-10-03"), world_at("2026-10-02")};
  assert_false(quote(w, &r, &q));
  refused(ERR_INVALID, "hours: should be above zero");
  r.span = (struct period){{0}, INSTANT_MAX};
  assert_false(quote(w, &r, &q));
  refused(ERR_INVALID, "hours: should be at most");
  r = good;
  r.class = POOL_RESERVED;
  assert_false(quote(w, &r, &q));
  refused(ERR_INVALID, "not one of the terms");
  r.span.to = world_at("2026-11-01");
  done(quote(w, &r, &q), &refusal);
  assert_amount(q.minimum, "7201.92"); /* is due used or not: 4 x 744 h x 2, and tax */
}

static void test_spot_keeps_a_reserve(void **state) {
  struct world *w = *state;
  char spot[ID_TEXT_MAX];
  struct lease_quote q;
  struct lease_quote_request r = request(w, "beta", POOL_SPOT, "8", "2026-10-02");
  assert_false(quote(w, &r, &q));
  refused(ERR_LIMIT, "reserve");
  sold(w, "beta", POOL_SPOT, "4", "2026-10-02");
  keep_id(spot, slice_of(lease_id));
  struct lease_quote_request other = request(w, "beta", POOL_ON_DEMAND, "4", "2026-10-03");
  other.span.from = world_at("2026-10-02");
  done(quote(w, &other, &q), &refusal); /* 4 are free then, one of which stays idle */
  world_begin(w);
  assert_false(lease_extend(w->leases, slice_of(spot), world_at("2026-10-03"), clock_now(), &refusal));
  world_end(w, false);
  refused(ERR_LIMIT, "reserve");
  r = request(w, "beta", POOL_ON_DEMAND, "8", "2026-10-02");
  assert_false(quote(w, &r, &q));
  r.class = POOL_PRIORITY;
  done(quote(w, &r, &q), &refusal);
}

/* ---- moves ---- */

static void test_moves(void **state) {
  (void)state;
  const char *const allowed[LEASE_STATES] = {"0101000", "0011011", "0001111", "0010000",
                                             "0010000", "0000000", "0010000"};
  for (int from = 0; from < LEASE_STATES; from++) {
    for (int to = 0; to < LEASE_STATES; to++) {
      assert_int_equal(lease_may_move((enum lease_state)from, (enum lease_state)to), allowed[from][to] == '1');
    }
  }
}

static bool count_change(void *context, const struct lease_change *c, struct error *err) {
  (void)err;
  struct buf *text = context;
  buf_addf(text, "%s ", lease_state_name(c->to));
  return true;
}

static void assert_changes(struct world *w, const char *id, const char *expected) {
  struct buf text;
  struct error err = {0};
  buf_init(&text, 4096);
  done(lease_changes(book_db(w->book), slice_of(id), count_change, &text, &err), &err);
  buf_addc(&text, '\0');
  assert_string_equal(text.ptr, expected);
  buf_free(&text);
}

static void test_forbidden_move(void **state) {
  struct world *w = *state;
  sold(w, "beta", POOL_ON_DEMAND, "1", "2026-10-02");
  world_begin(w);
  assert_false(
      lease_move(w->leases, slice_of(lease_id), LEASE_PREEMPTED, clock_now(), (slice){0}, clock_now(), &refusal));
  world_end(w, false);
  refused(ERR_CONFLICT, "is pending: it can not become preempted");
  assert_state(w, lease_id, LEASE_PENDING);
}

/* ---- what engines say ---- */

static void test_a_life(void **state) {
  struct world *w = *state;
  sold(w, "beta", POOL_ON_DEMAND, "4", "2026-10-02");
  struct engine_run r = run_of(lease_id, 1, "4", "2026-10-01T01:00:00Z", NULL, ENGINE_RUNNING);
  clock_set_test(world_at("2026-10-01T02:00:00Z"));
  assert_int_equal(follow(w, &r, 1).events, 1);
  assert_state(w, lease_id, LEASE_ACTIVE);
  assert_metered(w, "beta", "14400");
  assert_int_equal(follow(w, &r, 1).runs, 0);
  world_reopen(w); /* down for some hours: what happened meanwhile is billed once */
  clock_set_test(world_at("2026-10-01T09:00:00Z"));
  r = run_of(lease_id, 1, "4", "2026-10-01T01:00:00Z", "2026-10-01T03:00:01Z", ENGINE_ENDED);
  assert_int_equal(follow(w, &r, 1).events, 1);
  assert_int_equal(follow(w, &r, 1).events, 0);
  assert_state(w, lease_id, LEASE_ENDED);
  assert_metered(w, "beta", "28804");
  assert_changes(w, lease_id, "pending active ended ");
  r = run_of(lease_id, 1, "4", "2026-10-01T01:00:00Z", NULL, ENGINE_RUNNING); /* an old row, seen late */
  assert_int_equal(follow(w, &r, 1).runs, 0);
  assert_state(w, lease_id, LEASE_ENDED);
}

static void test_seen_at_its_end(void **state) {
  struct world *w = *state;
  sold(w, "beta", POOL_ON_DEMAND, "1", "2026-10-02");
  clock_set_test(world_at("2026-10-01T09:00:00Z"));
  struct engine_run r = run_of(lease_id, 1, "1", "2026-10-01T01:00:00Z", "2026-10-01T02:00:00Z", ENGINE_FAILED);
  assert_int_equal(follow(w, &r, 1).moves, 2);
  assert_changes(w, lease_id, "pending active failed ");
  assert_metered(w, "beta", "3600");
}

static void test_requeued(void **state) {
  struct world *w = *state;
  sold(w, "beta", POOL_SPOT, "2", "2026-10-02");
  clock_set_test(world_at("2026-10-01T09:00:00Z"));
  const struct engine_run rows[] = {
      run_of(lease_id, 2, "2", "2026-10-01T02:00:00Z", NULL, ENGINE_RUNNING),
      run_of(lease_id, 1, "2", "2026-10-01T01:00:00Z", "2026-10-01T02:00:00Z", ENGINE_PREEMPTED)};
  follow(w, rows, 2); /* the second is seen first; one ends in the second in which the other begins */
  assert_state(w, lease_id, LEASE_ACTIVE);
  assert_metered(w, "beta", "57600");
  const struct engine_run end =
      run_of(lease_id, 2, "2", "2026-10-01T02:00:00Z", "2026-10-01T03:00:00Z", ENGINE_PREEMPTED);
  follow(w, &end, 1);
  assert_state(w, lease_id, LEASE_PREEMPTED);
  assert_metered(w, "beta", "14400");
}

static void test_rows_change(void **state) {
  struct world *w = *state;
  sold(w, "beta", POOL_ON_DEMAND, "2", "2026-10-02");
  clock_set_test(world_at("2026-10-01T09:00:00Z"));
  const char *const ends[] = {"2026-10-01T02:00:00Z", "2026-10-01T01:30:00Z", "2026-10-01T01:00:00Z",
                              "2026-10-01T04:00:00Z", "2026-10-01T03:00:00Z"};
  const char *const metered[] = {"7200", "3600", "0", "21600", "14400"};
  for (size_t i = 0; i < 5; i++) {
    struct engine_run r = run_of(lease_id, 1, "2", "2026-10-01T01:00:00Z", ends[i], ENGINE_FAILED);
    assert_true(follow(w, &r, 1).events > 0);
    assert_metered(w, "beta", metered[i]);
  }
  struct engine_run r = run_of(lease_id, 1, "1", "2026-10-01T02:00:00Z", "2026-10-01T03:00:00Z", ENGINE_FAILED);
  follow(w, &r, 1); /* another start, and fewer GPUs */
  assert_metered(w, "beta", "3600");
  r.suspended_s = 600;
  follow(w, &r, 1);
  assert_metered(w, "beta", "3000");
}

/* Rows of one poll that contradict each other: the last one told stands, and its event was made in the same batch. */
static void test_rows_change_in_one_batch(void **state) {
  struct world *w = *state;
  sold(w, "beta", POOL_ON_DEMAND, "2", "2026-10-02");
  clock_set_test(world_at("2026-10-01T09:00:00Z"));
  const struct engine_run rows[] = {
      run_of(lease_id, 1, "2", "2026-10-01T01:00:00Z", NULL, ENGINE_RUNNING),
      run_of(lease_id, 1, "2", "2026-10-01T01:00:00Z", "2026-10-01T02:00:00Z", ENGINE_FAILED),
      run_of(lease_id, 1, "2", "2026-10-01T01:00:00Z", "2026-10-01T03:00:00Z", ENGINE_FAILED)};
  follow(w, rows, 3);
  assert_metered(w, "beta", "14400");
  world_check(w);
}

static void test_minimum(void **state) {
  struct world *w = *state;
  sold(w, "beta", POOL_ON_DEMAND, "1", "2026-10-02");
  clock_set_test(world_at("2026-10-01T09:00:00Z"));
  struct engine_run r = run_of(lease_id, 1, "1", "2026-10-01T01:00:00Z", "2026-10-01T01:00:10.5Z", ENGINE_ENDED);
  follow(w, &r, 1);
  assert_metered(w, "beta", "60");
  r = run_of(lease_id, 1, "1", "2026-10-01T01:00:00Z", "2026-10-01T01:02:10.5Z", ENGINE_ENDED);
  follow(w, &r, 1);
  assert_metered(w, "beta", "131");
  r.state = ENGINE_PREEMPTED; /* taken away: as it was */
  follow(w, &r, 1);
  assert_metered(w, "beta", "130.5");
}

static void test_direct(void **state) {
  struct world *w = *state;
  clock_set_test(world_at("2026-10-01T09:00:00Z"));
  sold(w, "line", POOL_ON_DEMAND, "1", "2026-10-02");
  struct engine_run rows[5];
  for (size_t i = 0; i < 5; i++) {
    rows[i] = run_of("", 1, "1", "2026-10-01T01:00:00Z", "2026-10-01T02:00:00Z", ENGINE_ENDED);
  }
  rows[1].lease = slice_of(lease_id); /* the lease of another customer does not pay for it */
  rows[1].reference = SLICE("c/2/2");
  rows[2].customer = SLICE("nobody");
  rows[2].reference = SLICE("c/3/2");
  rows[3].gpu = SLICE("mi300");
  rows[3].reference = SLICE("c/4/2");
  rows[4].to = world_at("2026-10-01T00:30:00Z");
  struct lease_followed f = follow(w, rows, 5);
  assert_int_equal(f.direct, 2);
  assert_int_equal(f.unknown, 2);
  assert_int_equal(f.refused, 1);
  assert_metered(w, "beta", "7200");
  assert_metered(w, "line", "0");
  f = follow(w, rows, 5);
  assert_int_equal(f.direct + f.runs + f.events, 0);
  world_check(w);
}

/* ---- credit ---- */

static void give(struct world *w, const char *customer, const char *value) {
  struct error err = {0};
  bool repeated;
  struct credit_grant g = {
      .id = SLICE("g1"), .kind = CREDIT_PREPAID, .priority = 50, .effective = clock_now(), .expires = INSTANT_MAX};
  done(amount_parse(slice_of(value), &g.amount, &err), &err);
  world_begin(w);
  done(world_end(w, credit_add(book_db(w->book), book_ledger(w->book), world_customer(w, customer), &g, clock_now(),
                               &repeated, &err)),
       &err);
}

static struct lease_burn accrue(struct world *w, const char *customer, size_t expected) {
  struct error err = {0};
  struct lease_burn burn;
  size_t count;
  world_begin(w);
  done(world_end(w, lease_accrue(w->leases, clock_now(), &count, &err)), &err);
  assert_int_equal(count, expected);
  done(lease_burn(w->leases, world_customer(w, customer), clock_now(), &burn, &err), &err);
  return burn;
}

static void test_admission(void **state) {
  struct world *w = *state;
  struct lease_quote q;
  const struct lease_quote_request r = request(w, "acme", POOL_ON_DEMAND, "4", "2026-10-02");
  done(quote(w, &r, &q), &refusal);
  assert_false(take(w, quote_id, "acme"));
  refused(ERR_FUNDS, "is not covered");
  give(w, "acme", "0.2"); /* of a minimum of 4 x 1/60 x 2 x 1.21 = 0.1613 */
  done(take(w, quote_id, "acme"), &refusal);
  done(quote(w, &r, &q), &refusal);
  assert_false(take(w, quote_id, "acme"));
  refused(ERR_FUNDS, "");
}

static void test_admission_on_the_line(void **state) {
  struct world *w = *state;
  struct lease_quote q;
  struct lease_quote_request r = request(w, "line", POOL_RESERVED, "1", "2026-11-01");
  done(quote(w, &r, &q), &refusal);
  assert_false(take(w, quote_id, "line"));
  refused(ERR_FUNDS, "");
  sold(w, "line", POOL_ON_DEMAND, "1", "2026-10-02");
}

static void test_accrual(void **state) {
  struct world *w = *state;
  give(w, "acme", "10");
  sold(w, "acme", POOL_ON_DEMAND, "1", "2026-10-02");
  struct engine_run r = run_of(lease_id, 1, "1", START, NULL, ENGINE_RUNNING);
  r.customer = SLICE("acme");
  follow(w, &r, 1);
  clock_set_test(world_at("2026-10-01T01:00:00Z"));
  struct lease_burn b = accrue(w, "acme", 1);
  assert_amount(b.balance, "7.58");
  assert_amount(b.hour, "2.42");
  accrue(w, "acme", 0);
  assert_int_equal(lease_outlook(&b, 3600, 600, clock_now()).state, LEASE_CREDIT_FINE);
  clock_set_test(world_at("2026-10-01T04:00:00Z"));
  b = accrue(w, "acme", 1);
  assert_amount(b.balance, "0.32");
  assert_int_equal(lease_outlook(&b, 3600, 600, clock_now()).state, LEASE_CREDIT_LOW);
  clock_set_test(world_at("2026-10-01T04:10:00Z"));
  b = accrue(w, "acme", 1);
  assert_int_equal(lease_outlook(&b, 3600, 600, clock_now()).state, LEASE_CREDIT_GRACE);
  clock_set_test(world_at("2026-10-01T04:20:00Z"));
  b = accrue(w, "acme", 1);
  assert_int_equal(lease_outlook(&b, 3600, 600, clock_now()).state, LEASE_CREDIT_STOP);
  world_begin(w);
  done(world_end(w, lease_move(w->leases, slice_of(lease_id), LEASE_STOPPED_FOR_CREDIT, clock_now(),
                               SLICE("credit ran out"), clock_now(), &refusal)),
       &refusal);
  r.to = clock_now();
  r.state = ENGINE_ENDED;
  follow(w, &r, 1);
  assert_state(w, lease_id, LEASE_STOPPED_FOR_CREDIT);
  assert_metered(w, "acme", "15600");
  world_check(w);
}

/* Over the end of a month: each part is reserved for the invoice of its own, and that invoice draws it. */
static void test_invoiced(void **state) {
  struct world *w = *state;
  struct error err = {0};
  struct close_result closed;
  struct credit_unbilled unbilled;
  const struct close_options options = {0};
  clock_set_test(world_at("2026-10-31T22:00:00Z"));
  give(w, "acme", "10");
  sold(w, "acme", POOL_ON_DEMAND, "1", "2026-11-02");
  struct engine_run r = run_of(lease_id, 1, "1", "2026-10-31T23:00:00Z", "2026-11-01T02:00:00Z", ENGINE_ENDED);
  r.customer = SLICE("acme");
  clock_set_test(world_at("2026-11-01T03:00:00Z"));
  follow(w, &r, 1);
  assert_amount(accrue(w, "acme", 1).balance, "2.74");
  done(book_close_period(w->book, SLICE("2026-10"), &options, NULL, NULL, &closed, &err), &err);
  assert_int_equal(closed.invoices, 1);
  assert_amount(closed.sums[0].total, "2.42");
  done(credit_unbilled(book_db(w->book), SLICE("acme"), SLICE("EUR"), &unbilled, &err), &err);
  assert_amount(unbilled.spent, "4.84");
  assert_amount(unbilled.reserved, "4.84");
  assert_amount(accrue(w, "acme", 0).balance, "2.74");
  r.to = world_at("2026-11-01T01:00:00Z"); /* said too late, it comes with the next invoice */
  r.from = world_at("2026-11-01T00:00:00Z");
  follow(w, &r, 1);
  assert_metered(w, "acme", "3600");
  world_check(w);
}

static void test_outlook(void **state) {
  (void)state;
  const instant now = world_at(START);
  struct lease_burn b = {.hour = {2 * AMOUNT_E12}, .balance = {3 * AMOUNT_E12}};
  struct lease_outlook o = lease_outlook(&b, 3600, 600, now);
  assert_int_equal(o.state, LEASE_CREDIT_FINE);
  assert_true(o.runs_out.ns == now.ns + 5400 * NS_PER_S);
  b.balance.e12 = 0;
  o = lease_outlook(&b, 3600, 600, now);
  assert_int_equal(o.state, LEASE_CREDIT_GRACE);
  assert_true(o.stops.ns == now.ns + 600 * NS_PER_S);
  assert_int_equal(lease_outlook(&b, 3600, 0, now).state, LEASE_CREDIT_STOP);
  b.hour = AMOUNT_ZERO;
  assert_int_equal(lease_outlook(&b, 3600, 0, now).state, LEASE_CREDIT_FINE);
  b = (struct lease_burn){.hour = {1}, .balance = {(int128)1 << 120}};
  assert_int_equal(lease_outlook(&b, 3600, 0, now).state, LEASE_CREDIT_FINE);
  b = (struct lease_burn){.unlimited = true, .hour = {1}};
  assert_int_equal(lease_outlook(&b, 3600, 0, now).state, LEASE_CREDIT_FINE);
}

static void test_extend(void **state) {
  struct world *w = *state;
  char first[ID_TEXT_MAX];
  sold(w, "beta", POOL_ON_DEMAND, "8", "2026-10-02");
  keep_id(first, slice_of(lease_id));
  struct lease_quote q;
  struct lease_quote_request r = request(w, "beta", POOL_ON_DEMAND, "4", "2026-10-04");
  r.span.from = world_at("2026-10-03");
  done(quote(w, &r, &q), &refusal);
  world_begin(w);
  assert_false(lease_extend(w->leases, slice_of(first), world_at("2026-10-04"), clock_now(), &refusal));
  world_end(w, false);
  refused(ERR_LIMIT, "");
  world_begin(w);
  done(world_end(w, lease_extend(w->leases, slice_of(first), world_at("2026-10-03"), clock_now(), &refusal)), &refusal);
  world_reopen(w);
  size_t count;
  const struct calendar *c = leases_pools(w->leases, &count)->calendar;
  assert_true(calendar_find(c, slice_of(first))->to.ns == world_at("2026-10-03").ns);
}

int main(void) {
#define ON_A_BOOK(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)
  const struct CMUnitTest tests[] = {
      ON_A_BOOK(test_quote),
      ON_A_BOOK(test_quote_expires),
      ON_A_BOOK(test_quote_errors),
      ON_A_BOOK(test_spot_keeps_a_reserve),
      cmocka_unit_test(test_moves),
      ON_A_BOOK(test_forbidden_move),
      ON_A_BOOK(test_a_life),
      ON_A_BOOK(test_seen_at_its_end),
      ON_A_BOOK(test_requeued),
      ON_A_BOOK(test_rows_change),
      ON_A_BOOK(test_minimum),
      ON_A_BOOK(test_rows_change_in_one_batch),
      ON_A_BOOK(test_direct),
      ON_A_BOOK(test_admission),
      ON_A_BOOK(test_admission_on_the_line),
      ON_A_BOOK(test_accrual),
      cmocka_unit_test(test_outlook),
      ON_A_BOOK(test_invoiced),
      ON_A_BOOK(test_extend),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
