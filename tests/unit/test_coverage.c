/* Reservations and savings plans: each case of docs/rating.md, from YAML and events to charges, worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rating_world.h"

#include <stdlib.h>
#include <string.h>

#define GPUS                                                                                                           \
  "meters:\n"                                                                                                          \
  "  - {name: gpus, event: lease, value: n, aggregation: integral, over: hour, unit: GPU-hour, series: lease, "        \
  "dimensions: [gpu, class]}\n"                                                                                        \
  "  - {name: calls, event: call, value: n, unit: call, dimensions: [region]}\n"
#define LIST_PLAN                                                                                                      \
  "plans:\n"                                                                                                           \
  "  - name: list\n"                                                                                                   \
  "    prices:\n"                                                                                                      \
  "      - {name: H100, meter: gpus, match: {gpu: H100}, price: 2, multipliers: [{match: {class: priority}, by: "      \
  "1.25}, {match: {class: spot}, by: 0.5}]}\n"                                                                         \
  "      - {name: L40S, meter: gpus, match: {gpu: L40S}, price: 1}\n"                                                  \
  "      - {name: call, meter: calls, price: 0.01}\n"

/* A catalog whose only customer is "acme", on the list plan with `terms` in its contract. */
static void load(struct world *w, const char *zone, const char *plans, const char *contract) {
  struct error err;
  const char *yaml = arena_printf(w->arena,
                                  "currency: USD\n" GPUS "%s"
                                  "customers:\n  - id: acme\n    time_zone: %s\n    contracts:\n      - plan: list\n%s",
                                  plans, zone, contract);
  const struct catalog_text text = {"test.yaml", slice_of(yaml)};
  if (!catalog_parse(&text, 1, &w->catalog, &err)) {
    fail_msg("%s", err.message);
  }
  w->customer = catalog_customer(w->catalog, SLICE("acme"));
}

static void open_period(struct world *w, const char *period) {
  struct error err;
  const struct segment *segments;
  size_t count;
  instant cuts[8];
  assert_true(time_parse_period(slice_of(period), w->customer->time_zone, &w->period, &err));
  assert_true(rate_segments(w->arena, w->catalog, w->customer, w->period, &segments, &count, &err));
  w->usage = usage_new(w->catalog);
  usage_window(w->usage, w->customer->id, w->period, cuts, rate_cuts(w->catalog, segments, count, cuts, 8));
}

/* The first hours of October, so that sums stay small. */
static void open_hours(struct world *w, const char *contract, int hours) {
  load(w, "UTC", LIST_PLAN, contract);
  open_period(w, arena_printf(w->arena, "2026-10-01T00:00:00Z/2026-10-01T%02d:00:00Z", hours));
}

static void add(struct world *w, const char *type, const char *time, const char *data) {
  struct error err;
  struct event event;
  const char *text =
      arena_printf(w->arena,
                   "{\"specversion\":\"1.0\",\"id\":\"%u\",\"source\":\"test\",\"type\":\"%s\",\"subject\":\"acme\","
                   "\"time\":\"%s\",\"data\":{%s}}",
                   ++w->events, type, time, data);
  if (!event_from_text(w->arena, slice_of(text), (instant){0}, &event, &err) || !usage_add(w->usage, &event, &err)) {
    fail_msg("%s", err.message);
  }
}

/* A lease of n GPUs between two times of 1 October. */
static void lease(struct world *w, const char *from, const char *to, int n, const char *gpu, const char *class_name) {
  const char *name = arena_printf(w->arena, "l%u", w->events);
  for (int end = 0; end < 2; end++) {
    add(w, "lease", arena_printf(w->arena, "2026-10-01T%sZ", end ? to : from),
        arena_printf(w->arena, "\"n\":%d,\"gpu\":\"%s\",\"class\":\"%s\",\"lease\":\"%s\"", end ? 0 : n, gpu,
                     class_name, name));
  }
}

static void calls(struct world *w, const char *time, int n) {
  add(w, "call", arena_printf(w->arena, "2026-10-01T%sZ", time), arena_printf(w->arena, "\"n\":%d", n));
}

static void rate_world(struct world *w) {
  struct error err;
  const struct usage_row *rows;
  size_t count;
  if (!usage_finish(w->usage, &rows, &count, &err) ||
      !rate_customer_hourly(w->arena, w->catalog, w->customer, w->period, rows, count, &w->rating, &err)) {
    fail_msg("%s", err.message);
  }
}

/* "name=amount", with the covered units of usage after a colon. */
static void assert_charges(const struct world *w, const char *expected) {
  char text[DECIMAL_TEXT_MAX], covered[DECIMAL_TEXT_MAX];
  struct buf all;
  buf_init(&all, 4096);
  for (size_t i = 0; i < w->rating.charge_count; i++) {
    const struct charge *c = &w->rating.charges[i];
    buf_addf(&all, "%s" SLICE_FMT "=%s", i ? " " : "", SLICE_ARG(c->name), amount_text(c->exact, text));
    if (c->covered_units.e9 > 0) {
      buf_addf(&all, ":%s", quantity_text(c->covered_units, covered));
    }
  }
  const char *found = arena_copy(w->arena, buf_slice(&all)).ptr;
  buf_free(&all);
  assert_string_equal(found, expected);
}

/* "used/capacity of matching, utilization, coverage, hours not full/hours". */
static void assert_reserved(const struct world *w, size_t at, const char *expected) {
  char t[5][DECIMAL_TEXT_MAX], found[400];
  assert_true(at < w->rating.coverage_count);
  const struct coverage *c = &w->rating.coverages[at];
  assert_int_equal(c->cover->kind, COVER_RESERVATION);
  snprintf(found, sizeof found, "%s/%s of %s, %s, %s, %u/%u", quantity_text(c->used, t[0]),
           quantity_text(c->capacity, t[1]), quantity_text(c->matching, t[2]),
           c->has_utilization ? rate_text(c->utilization, t[3]) : "-",
           c->has_coverage ? rate_text(c->coverage, t[4]) : "-", c->hours_unused, c->hours);
  assert_string_equal(found, expected);
}

/* The same in money: "spent/cost, list of matching list, saved, hours not full/hours". */
static void assert_saved(const struct world *w, size_t at, const char *expected) {
  char t[5][DECIMAL_TEXT_MAX], found[400];
  assert_true(at < w->rating.coverage_count);
  const struct coverage *c = &w->rating.coverages[at];
  assert_int_equal(c->cover->kind, COVER_SAVINGS_PLAN);
  snprintf(found, sizeof found, "%s/%s, %s of %s, saved %s, %u/%u", amount_text(c->spent, t[0]),
           amount_text(c->cost, t[1]), amount_text(c->list, t[2]), amount_text(c->matching_list, t[3]),
           amount_text(c->saved, t[4]), c->hours_unused, c->hours);
  assert_string_equal(found, expected);
}

#define BLOCK(quantity, price)                                                                                         \
  "{name: block, meter: gpus, match: {gpu: H100}, quantity: " quantity ", price: " price "}"

/* ---- reservations ---- */

static void a_reservation_is_due_used_or_not(void **state) {
  struct world *w = *state;
  load(w, "UTC", LIST_PLAN, "        reservations: [" BLOCK("64", "1.45") "]\n");
  open_period(w, "2026-10");
  rate_world(w);
  assert_charges(w, "block=69043.2");
  assert_string_equal(w->rating.charges[0].steps[0].note, "64 x 744 hours x 1.45");
  assert_reserved(w, 0, "0/47616 of 0, 0, -, 744/744");
  assert_int_equal(w->rating.coverages[0].saved.e12, -w->rating.total.e12);
}

static void unused_hours_are_lost(void **state) {
  struct world *w = *state;
  open_hours(w, "        reservations: [" BLOCK("4", "1") "]\n", 4);
  lease(w, "00:00:00", "02:00:00", 8, "H100", "on_demand");
  rate_world(w);
  assert_charges(w, "block=16 H100=16:8");
  assert_reserved(w, 0, "8/16 of 16, 0.5, 0.5, 2/4");
  assert_int_equal(w->rating.coverages[0].hourly_count, 4);
  assert_int_equal(w->rating.coverages[0].hourly[1].used.e9, 4 * QUANTITY_E9);
  assert_int_equal(w->rating.coverages[0].hourly[2].used.e9, 0);
}

static void the_dearest_usage_is_covered_first(void **state) {
  struct world *w = *state;
  open_hours(w, "        reservations: [" BLOCK("3", "1") "]\n", 1);
  lease(w, "00:00:00", "01:00:00", 2, "H100", "spot");
  lease(w, "00:00:00", "01:00:00", 2, "H100", "on_demand");
  lease(w, "00:00:00", "01:00:00", 2, "H100", "priority");
  rate_world(w);
  /* Priority whole, one of two on demand: 1 x 2 + 2 x 2 x 0.5 is left. */
  assert_charges(w, "block=3 H100=4:3");
  assert_int_equal(w->rating.coverages[0].list.e12, 7 * AMOUNT_E12);
}

static void nothing_is_covered_twice(void **state) {
  struct world *w = *state;
  open_hours(w,
             "        reservations:\n"
             "          - {name: spot, meter: gpus, match: {gpu: H100, class: spot}, quantity: 2, price: 0.5}\n"
             "          - {name: any, meter: gpus, match: {gpu: H100}, quantity: 3, price: 1}\n",
             2);
  lease(w, "00:00:00", "01:00:00", 3, "H100", "spot");
  lease(w, "00:00:00", "01:00:00", 2, "H100", "on_demand");
  lease(w, "01:00:00", "02:00:00", 1, "H100", "spot");
  rate_world(w);
  /* Hour 0: "any" takes 2 on demand, "spot" 2 spot, "any" the third. Hour 1: "spot" stands first in the list. */
  assert_charges(w, "spot=2 any=6 H100=0:6");
  assert_reserved(w, 0, "3/4 of 4, 0.75, 0.75, 1/2");
  assert_reserved(w, 1, "3/6 of 6, 0.5, 0.5, 1/2");
}

static void a_part_of_an_hour_has_a_part_of_the_capacity(void **state) {
  struct world *w = *state;
  open_hours(w,
             "        reservations: [{name: block, meter: gpus, quantity: 2, price: 1, from: 2026-10-01 00:30:00, "
             "to: 2026-10-01 02:15:00}]\n",
             3);
  lease(w, "00:00:00", "02:10:00", 3, "H100", "on_demand");
  rate_world(w);
  /* 1 + 2 + 0.5 of it; in the last hour 3 GPUs run for 10 minutes: 0.5 as well. 6.5 in all. */
  assert_charges(w, "block=3.5 H100=6:3.5");
  assert_reserved(w, 0, "3.5/3.5 of 6.5, 1, 0.538461538462, 0/3");
}

static void a_meter_of_counts_is_covered_by_the_hour(void **state) {
  struct world *w = *state;
  open_hours(w, "        reservations: [{name: calls, meter: calls, quantity: 100, price: 0.004}]\n", 2);
  calls(w, "00:10:00", 70);
  calls(w, "01:10:00", 130);
  rate_world(w);
  assert_charges(w, "calls=0.8 call=0.3:170");
  assert_reserved(w, 0, "170/200 of 200, 0.85, 0.85, 1/2");
}

static void allowances_come_before(void **state) {
  struct world *w = *state;
  open_hours(w,
             "        allowances: [{meter: calls, included: 2232}]\n"
             "        reservations: [{name: calls, meter: calls, quantity: 100, price: 0.004}]\n",
             1);
  calls(w, "00:10:00", 150); /* 2232 x 1/744 = 3 are included */
  rate_world(w);
  assert_charges(w, "calls=0.4 call=0.47:100");
  assert_int_equal(w->rating.charges[1].included_units.e9, 3 * QUANTITY_E9);
  assert_int_equal(w->rating.charges[1].steps[0].covered.e9, 100 * QUANTITY_E9);
  assert_reserved(w, 0, "100/100 of 147, 1, 0.680272108844, 0/1");
}

static void covered_usage_climbs_no_tier(void **state) {
  struct world *w = *state;
  load(w, "UTC",
       "plans: [{name: list, prices: [{name: call, meter: calls, model: graduated, tiers: [{up_to: 50, price: 1}, "
       "{price: 0.5}]}]}]\n",
       "        reservations: [{name: calls, meter: calls, quantity: 100, price: 0.004}]\n");
  open_period(w, "2026-10-01T00:00:00Z/2026-10-01T02:00:00Z");
  calls(w, "00:10:00", 140);
  calls(w, "01:10:00", 130);
  rate_world(w);
  assert_charges(w, "calls=0.8 call=60:200"); /* 40, then 30: 50 x 1 + 20 x 0.5 */
}

static void covered_usage_needs_no_price(void **state) {
  struct world *w = *state;
  open_hours(w, "        reservations: [{name: block, meter: gpus, quantity: 4, price: 1}]\n", 1);
  lease(w, "00:00:00", "01:00:00", 3, "B200", "on_demand");
  lease(w, "00:00:00", "01:00:00", 2, "L40S", "on_demand");
  rate_world(w);
  /* What has a price is covered first; of the 3 without one 2 are. */
  assert_charges(w, "block=4 L40S=0:2");
  assert_int_equal(w->rating.unpriced_count, 1);
  assert_int_equal(w->rating.unpriced[0].units.e9, QUANTITY_E9);
}

static void months_are_as_long_as_the_clocks_make_them(void **state) {
  struct world *w = *state;
  load(w, "Europe/Amsterdam", LIST_PLAN, "        reservations: [" BLOCK("2", "1") "]\n");
  open_period(w, "2026-10");
  rate_world(w);
  assert_charges(w, "block=1490"); /* 745 hours */
  assert_reserved(w, 0, "0/1490 of 0, 0, -, 745/745");
  usage_free(w->usage);
  open_period(w, "2026-03");
  rate_world(w);
  assert_charges(w, "block=1486"); /* 743 hours */
}

static void a_zone_of_half_hours_shares_the_hours_at_its_borders(void **state) {
  struct world *w = *state;
  load(w, "Asia/Kolkata", LIST_PLAN, "        reservations: [" BLOCK("2", "1") "]\n");
  open_period(w, "2026-10-02");
  lease(w, "18:00:00", "19:00:00", 8, "H100", "on_demand");
  rate_world(w);
  /* The day begins at 18:30 UTC: 1 of the 4 GPU-hours that fall in it, 24 hours in 25 pieces. */
  assert_charges(w, "block=48 H100=6:1");
  assert_reserved(w, 0, "1/48 of 4, 0.020833333333, 0.25, 24/25");
}

static void a_change_of_the_plan_cuts_the_hour_not_the_report(void **state) {
  struct world *w = *state;
  load(w, "UTC",
       "plans:\n"
       "  - {name: list, prices: [{name: old, meter: gpus, price: 2}]}\n"
       "  - {name: list, valid_from: 2026-10-01 00:15:00, prices: [{name: new, meter: gpus, price: 4}]}\n",
       "        reservations: [" BLOCK("4", "1") "]\n");
  open_period(w, "2026-10-01T00:00:00Z/2026-10-01T01:00:00Z");
  lease(w, "00:00:00", "01:00:00", 5, "H100", "on_demand");
  rate_world(w);
  assert_charges(w, "block=1 old=0.5:1 block=3 new=3:3");
  assert_int_equal(w->rating.coverage_count, 1);
  assert_reserved(w, 0, "4/4 of 5, 1, 0.8, 0/2");
}

static void reservations_of_a_plan_hold_for_its_contracts(void **state) {
  struct world *w = *state;
  load(w, "UTC",
       "plans: [{name: list, prices: [{name: H100, meter: gpus, price: 2}], reservations: [" BLOCK("1", "1") "]}]\n",
       "        from: 2026-10-01 02:00:00\n        reservations: [{name: own, meter: gpus, quantity: 1, price: 1}]\n");
  open_period(w, "2026-10-01T00:00:00Z/2026-10-01T04:00:00Z");
  lease(w, "02:00:00", "04:00:00", 3, "H100", "on_demand");
  rate_world(w);
  assert_charges(w, "own=2 block=2 H100=4:4");
}

static void an_add_on_reserves_as_often_as_it_is_had(void **state) {
  struct world *w = *state;
  load(w, "UTC", LIST_PLAN "  - {name: pack, reservations: [" BLOCK("2", "1") "]}\n",
       "        from: 2026-10-01\n        add_ons: [{plan: pack, count: 3}]\n"
       "        changes: [{at: 2026-10-01 02:00:00, add_ons: [{plan: pack, count: 1}]}]\n");
  open_period(w, "2026-10-01T00:00:00Z/2026-10-01T04:00:00Z");
  lease(w, "00:00:00", "04:00:00", 8, "H100", "on_demand");
  rate_world(w);
  assert_charges(w, "block=12 H100=8:12 block=4 H100=24:4");
  assert_string_equal(w->rating.charges[0].steps[0].note, "6 x 2 hours x 1");
  assert_int_equal(w->rating.coverage_count, 1);
  assert_reserved(w, 0, "16/16 of 32, 1, 0.5, 0/4");
}

static void a_change_of_plan_keeps_the_contract_s_reservation(void **state) {
  struct world *w = *state;
  load(w, "UTC", LIST_PLAN "  - {name: other, prices: [{name: other, meter: gpus, price: 3}]}\n",
       "        from: 2026-10-01\n"
       "        reservations: [{name: block, meter: gpus, quantity: 2, price: 1, payment: upfront, to: 2026-10-02}]\n"
       "        changes: [{at: 2026-10-01 01:30:00, plan: other}]\n");
  open_period(w, "2026-10-01T00:00:00Z/2026-10-01T03:00:00Z");
  lease(w, "00:00:00", "03:00:00", 3, "H100", "on_demand");
  rate_world(w);
  assert_charges(w, "H100=3:3 other=4.5:3");
  assert_int_equal(w->rating.coverage_count, 1);
  assert_reserved(w, 0, "6/6 of 9, 1, 0.666666666667, 0/4");
}

static void a_fee_beyond_all_numbers_is_an_error_with_its_place(void **state) {
  struct world *w = *state;
  struct error err = {0};
  load(w, "UTC", LIST_PLAN,
       "        reservations: [{name: block, meter: gpus, quantity: 1000000000, price: 10000000000000000000000}]\n");
  assert_true(time_parse_period(SLICE("2026-10"), "UTC", &w->period, &err));
  assert_false(rate_customer(w->arena, w->catalog, w->customer, w->period, NULL, 0, &w->rating, &err));
  assert_int_equal(err.code, ERR_OVERFLOW);
  assert_non_null(strstr(err.message, "test.yaml:"));
  assert_non_null(strstr(err.message, "\"block\""));
}

/* ---- payment ---- */

/* Rates every month of the term without usage; the sum of the fees must be `total`. */
static void assert_term(struct world *w, const char *contract, const char *first, const char *total) {
  struct error err;
  amount sum = AMOUNT_ZERO;
  char text[DECIMAL_TEXT_MAX];
  load(w, "Europe/Amsterdam", LIST_PLAN, contract);
  for (int month = 0; month < 16; month++) {
    struct period p;
    struct rating r;
    snprintf(text, sizeof text, "%d-%02d", 2025 + (11 + month) / 12, (11 + month) % 12 + 1);
    assert_true(time_parse_period(slice_of(text), w->customer->time_zone, &p, &err));
    assert_true(rate_customer(w->arena, w->catalog, w->customer, p, NULL, 0, &r, &err));
    assert_true(amount_add(sum, r.total, &sum, &err));
    if (month == 1) {
      assert_string_equal(amount_text(r.total, text), first);
    }
  }
  assert_string_equal(amount_text(sum, text), total);
}

#define TERM(payment)                                                                                                  \
  "        reservations: [{name: block, meter: gpus, quantity: 3, price: 1.234567, from: 2026-01-15 10:20:07, "        \
  "term: 1 year, " payment "}]\n"
/* A year of 8760 hours: 3 x 8760 x 1.234567 = 32444.42076. January: 13:39:53 and 16 days, 1431593 seconds. */
static void payments_of_a_term_add_up(void **state) {
  assert_term(*state, TERM("payment: monthly"), "1472.831229359167", "32444.42076");
}

static void a_term_paid_at_its_start_is_one_charge(void **state) {
  assert_term(*state, TERM("payment: upfront"), "32444.42076", "32444.42076");
}

static void a_part_paid_at_the_start_leaves_the_rest_for_the_months(void **state) {
  /* 22444.42076 x 1431593 / 31536000 = 1018.876067005032 */
  assert_term(*state, TERM("payment: partial, upfront: 10000"), "11018.876067005032", "32444.42076");
}

static void the_first_payment_stands_apart(void **state) {
  struct world *w = *state;
  load(w, "UTC", LIST_PLAN,
       "        reservations: [{name: block, meter: gpus, quantity: 1, price: 1, from: 2026-10-01, to: 2027-10-01, "
       "payment: partial, upfront: 4380}]\n");
  open_period(w, "2026-10");
  rate_world(w);
  assert_charges(w, "block, upfront=4380 block=372");
  assert_string_equal(w->rating.charges[1].steps[0].note,
                      "1 x 744 hours x 1, less 4380 paid at the start, evenly over the term");
  assert_int_equal(w->rating.coverages[0].cost.e12, 744 * AMOUNT_E12);
}

static void open_contract(struct world *w) {
  struct error err;
  if (!rate_opening(w->arena, w->catalog, w->customer, w->customer->contracts[0].from, &w->rating, &err)) {
    fail_msg("%s", err.message);
  }
}

/* A year of 8760 hours from the start of the contract: 8760 x 2; half of 8760, the rest evenly over the year. */
static void what_is_due_at_the_start_is_on_the_opening_invoice(void **state) {
  struct world *w = *state;
  load(w, "UTC", LIST_PLAN,
       "        from: 2026-10-01\n        reservations:\n"
       "          - {name: all, meter: gpus, quantity: 1, price: 2, term: 1 year, payment: upfront}\n"
       "          - {name: part, meter: gpus, quantity: 1, price: 1, term: 1 year, payment: partial, upfront: 4380}\n"
       "          - {name: later, meter: gpus, quantity: 1, price: 1, from: 2026-10-02, to: 2026-10-03, payment: "
       "upfront}\n");
  open_contract(w);
  assert_charges(w, "all, upfront=17520 part, upfront=4380");
  open_period(w, "2026-10");
  rate_world(w);
  assert_charges(w, "part=372 later, upfront=24");
}

/* What was paid for October with the opening counts: 744 x 2; 12 are missing. */
static void what_was_paid_at_the_start_counts_towards_minimums(void **state) {
  struct world *w = *state;
  load(w, "UTC", LIST_PLAN,
       "        from: 2026-10-01\n        minimum: 1500\n        reservations: [{name: all, meter: gpus, quantity: 1, "
       "price: 2, term: 1 year, payment: upfront}]\n");
  open_period(w, "2026-10");
  rate_world(w);
  assert_charges(w, "minimum spend=12");
}

#define CANCELLED(credit)                                                                                              \
  "        from: 2026-10-01\n        reservations:\n"                                                                  \
  "          - {name: all, meter: gpus, quantity: 3, price: 2, to: 2026-10-31, payment: upfront}\n"                    \
  "          - {name: part, meter: gpus, quantity: 1, price: 1, to: 2026-10-31, payment: partial, upfront: 360}\n"     \
  "          - {name: over, meter: gpus, quantity: 1, price: 1, to: 2026-10-11, payment: upfront}\n"                   \
  "        changes: [{at: 2026-10-21, cancel: true" credit "}]\n"
/* 30 days, 10 of them unused: 3 x 2 x 240 = 1440 of 4320; of 720 half was paid at once: a third of 360. */
static void unused_time_of_a_cancelled_contract_is_given_back(void **state) {
  struct world *w = *state;
  load(w, "UTC", LIST_PLAN, CANCELLED(""));
  open_contract(w);
  assert_charges(w, "all, upfront=4320 part, upfront=360 over, upfront=240");
  open_period(w, "2026-10");
  rate_world(w);
  assert_charges(w, "part=240 all, unused time=-1440 part, unused time=-120");
}

static void unused_time_is_kept_where_a_change_says_so(void **state) {
  struct world *w = *state;
  load(w, "UTC", LIST_PLAN, CANCELLED(", credit: false"));
  open_period(w, "2026-10");
  rate_world(w);
  assert_charges(w, "part=240");
}

/* 4 x 1 hour of the fee 4; in its first hour 3 H100 and 1 L40S, in the second 2, in the others none: 6 of 16 units. */
static void what_is_covered_bears_its_share_of_the_fee(void **state) {
  struct world *w = *state;
  load(w, "UTC", LIST_PLAN,
       "        from: 2026-10-01\n        reservations: [{name: block, meter: gpus, quantity: 4, price: 1}]\n");
  open_period(w, "2026-10-01T00:00:00Z/2026-10-01T04:00:00Z");
  lease(w, "00:00:00", "01:00:00", 3, "H100", "on_demand");
  lease(w, "00:00:00", "01:00:00", 1, "L40S", "on_demand");
  lease(w, "01:00:00", "02:00:00", 2, "H100", "priority");
  rate_world(w);
  const struct coverage *c = &w->rating.coverages[0];
  amount cost = AMOUNT_ZERO;
  assert_int_equal(c->use_count, 3);
  for (size_t i = 0; i < 3; i++) {
    const struct coverage_use *use = &c->uses[i];
    bool priority = use->multiplier.e12 != RATE_ONE.e12, l40s = slice_is(use->price->name, "L40S");
    assert_int_equal(use->units.e9, (priority ? 2 : l40s ? 1 : 3) * QUANTITY_E9);
    assert_int_equal(use->list.e12, (priority ? 5 : l40s ? 1 : 6) * AMOUNT_E12);
    cost.e12 += use->cost.e12;
  }
  assert_int_equal(cost.e12, 6 * AMOUNT_E12);
  assert_int_equal(c->unused.e12, 10 * AMOUNT_E12);
}

static void a_term_from_leap_day_ends_in_february(void **state) {
  struct world *w = *state;
  load(w, "America/New_York", LIST_PLAN,
       "        from: 2028-01-01\n"
       "        reservations: [{name: block, meter: gpus, quantity: 1, price: 1, from: 2028-02-29, term: 1 year}]\n");
  char text[TIME_TEXT_MAX];
  assert_string_equal(time_format(w->customer->contracts[0].own->covers[0].to, text), "2029-02-28T05:00:00Z");
}

/* ---- savings plans ---- */

#define SAVINGS(hourly, more) "        savings_plans: [{name: plan, hourly: " hourly ", " more "}]\n"

static void a_savings_plan_pays_at_its_discount(void **state) {
  struct world *w = *state;
  open_hours(w, SAVINGS("6", "discount: 25 %, meters: gpus"), 3);
  lease(w, "00:00:00", "01:00:00", 4, "H100", "on_demand"); /* 4 x 1.50 = 6: all of it */
  lease(w, "01:00:00", "02:00:00", 6, "H100", "on_demand"); /* 9: 4 of 6, 2 at 2 */
  lease(w, "02:00:00", "03:00:00", 2, "L40S", "on_demand"); /* 1.50 of 6 */
  rate_world(w);
  assert_charges(w, "plan=18 H100=4:8 L40S=0:2");
  assert_saved(w, 0, "13.5/18, 18 of 22, saved 0, 1/3");
}

static void the_highest_discount_goes_first(void **state) {
  struct world *w = *state;
  open_hours(
      w, SAVINGS("3", "covers: [{meter: gpus, match: {gpu: L40S}, discount: 50 %}, {meter: gpus, discount: 25 %}]"), 1);
  lease(w, "00:00:00", "01:00:00", 2, "H100", "on_demand"); /* 2 x 1.50 */
  lease(w, "00:00:00", "01:00:00", 3, "L40S", "on_demand"); /* 3 x 0.50 first; 1.50 is left: one H100 */
  rate_world(w);
  assert_charges(w, "plan=3 H100=2:1 L40S=0:3");
  assert_saved(w, 0, "3/3, 5 of 7, saved 2, 0/1");
}

static void savings_plans_see_what_reservations_left(void **state) {
  struct world *w = *state;
  open_hours(w, "        reservations: [" BLOCK("2", "1") "]\n" SAVINGS("3", "discount: 25 %, meters: [gpus, calls]"),
             1);
  lease(w, "00:00:00", "01:00:00", 3, "H100", "on_demand"); /* 2 reserved; 1 x 1.50 of the plan */
  calls(w, "00:30:00", 300);                                /* 1.50 / 0.0075 = 200 of 300 */
  rate_world(w);
  assert_charges(w, "block=2 plan=3 H100=0:3 call=1:200");
  assert_saved(w, 1, "3/3, 4 of 5, saved 1, 0/1");
}

static void a_part_of_a_unit_is_paid_by_the_last_of_the_money(void **state) {
  struct world *w = *state;
  open_hours(w, SAVINGS("1", "discount: 30 %, meters: gpus"), 1);
  lease(w, "00:00:00", "01:00:00", 1, "H100", "priority"); /* 2.50 x 0.7 = 1.75 an hour: 1 pays 2057.142857142 s */
  rate_world(w);
  assert_charges(w, "plan=1 H100=1.071428571429:0.571428571");
  assert_saved(w, 0, "1/1, 1.428571428571 of 2.5, saved 0.428571428571, 0/1");
}

static void free_usage_spends_nothing_of_a_plan(void **state) {
  struct world *w = *state;
  load(w, "UTC",
       "plans: [{name: list, prices: [{name: call, meter: calls, price: 0}, {meter: gpus, model: flat, price: 9}]}]\n",
       SAVINGS("1", "discount: 30 %, meters: [calls, gpus]"));
  open_period(w, "2026-10-01T00:00:00Z/2026-10-01T01:00:00Z");
  calls(w, "00:30:00", 300);
  lease(w, "00:00:00", "01:00:00", 1, "H100", "on_demand");
  rate_world(w);
  assert_charges(w, "plan=1 call=0 gpus=9");
  assert_saved(w, 0, "0/1, 0 of 0, saved -1, 1/1");
}

/* ---- the catalog ---- */

static void assert_refused(const char *contract, const char *plan, const char *message) {
  struct error err;
  struct catalog *catalog;
  char yaml[4000];
  snprintf(yaml, sizeof yaml,
           "currency: USD\n" GPUS "  - {name: peak, event: call, value: n, aggregation: max}\n"
           "plans:\n  - {name: list, prices: [{meter: gpus, price: 2}]%s}\n"
           "customers: [{id: acme, contracts: [{plan: list, from: 2026-01-01, to: 2027-01-01, %s}]}]\n",
           plan, contract);
  const struct catalog_text text = {"test.yaml", slice_of(yaml)};
  assert_false(catalog_parse(&text, 1, &catalog, &err));
  if (!strstr(err.message, message)) {
    fail_msg("expected \"%s\" in: %s", message, err.message);
  }
  assert_non_null(strstr(err.message, "test.yaml:"));
}

#define RESERVE(more) "reservations: [{name: b, meter: gpus, quantity: 1, price: 1, " more "}]"

static void what_makes_no_sense_is_refused(void **state) {
  (void)state;
  assert_refused("reservations: [{name: b, meter: peak, quantity: 1, price: 1}]", "",
                 "can not be covered hour by hour");
  assert_refused("reservations: [{name: b, meter: gpus, quantity: 0, price: 1}]", "", "more than 0");
  assert_refused("reservations: [{name: b, meter: gpus, quantity: 2000000000, price: 1}]", "", "more than 1000000000");
  assert_refused("reservations: [{name: b, meter: gpus, price: 1}]", "", "\"quantity\" is missing");
  assert_refused(RESERVE("term: 1w"), "", "no length of time");
  assert_refused(RESERVE("term: 99 years"), "", "50 years");
  assert_refused(RESERVE("term: 2 years"), "", "ends after the contract");
  assert_refused(RESERVE("from: 2025-12-31"), "", "before the contract");
  assert_refused(RESERVE("from: 2026-03-01, to: 2026-03-01"), "", "ends before it begins");
  assert_refused(RESERVE("to: 2026-06-01, term: 6 months"), "", "keep one of the two");
  assert_refused(RESERVE("upfront: 10"), "", "goes with \"payment: partial\"");
  assert_refused(RESERVE("payment: partial"), "", "\"upfront\" is missing");
  assert_refused(RESERVE("payment: partial, upfront: 8761"), "", "the whole term costs, which is 8760");
  assert_refused(RESERVE("payment: yearly"), "", "monthly");
  assert_refused(RESERVE("surprise: 1"), "", "surprise");
  assert_refused("minimum: 1", ", " RESERVE("payment: upfront"), "only a contract can be paid upfront");
  assert_refused("minimum: 1", ", " RESERVE("term: 1 year"), "belongs to a contract");
  assert_refused("reservations: [{name: b, meter: gpus, quantity: 1, price: 1}, {name: b, meter: gpus, quantity: 1, "
                 "price: 1}]",
                 "", "\"b\"");
  assert_refused("savings_plans: [{name: s, hourly: 1, discount: 20 %}]", "", "\"covers\" is missing");
  assert_refused("savings_plans: [{name: s, hourly: 1, discount: 100 %, meters: gpus}]", "", "less than 100 %");
  assert_refused("savings_plans: [{name: s, hourly: 1, meters: gpus}]", "", "\"discount\" is missing");
  assert_refused("savings_plans: [{name: s, hourly: 1, discount: 20 %, meters: []}]", "", "cover nothing");
  assert_refused("savings_plans: [{name: s, hourly: 1, discount: 20 %, meters: gpus, covers: [{meter: gpus}]}]", "",
                 "not by both");
  assert_refused("savings_plans: [{name: s, hourly: 1, discount: 20 %, meters: [peak]}]", "",
                 "can not be covered hour by hour");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_reservation_is_due_used_or_not, set_up, tear_down),
      cmocka_unit_test_setup_teardown(unused_hours_are_lost, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_dearest_usage_is_covered_first, set_up, tear_down),
      cmocka_unit_test_setup_teardown(nothing_is_covered_twice, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_part_of_an_hour_has_a_part_of_the_capacity, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_meter_of_counts_is_covered_by_the_hour, set_up, tear_down),
      cmocka_unit_test_setup_teardown(allowances_come_before, set_up, tear_down),
      cmocka_unit_test_setup_teardown(covered_usage_climbs_no_tier, set_up, tear_down),
      cmocka_unit_test_setup_teardown(covered_usage_needs_no_price, set_up, tear_down),
      cmocka_unit_test_setup_teardown(months_are_as_long_as_the_clocks_make_them, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_zone_of_half_hours_shares_the_hours_at_its_borders, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_change_of_the_plan_cuts_the_hour_not_the_report, set_up, tear_down),
      cmocka_unit_test_setup_teardown(reservations_of_a_plan_hold_for_its_contracts, set_up, tear_down),
      cmocka_unit_test_setup_teardown(an_add_on_reserves_as_often_as_it_is_had, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_change_of_plan_keeps_the_contract_s_reservation, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_fee_beyond_all_numbers_is_an_error_with_its_place, set_up, tear_down),
      cmocka_unit_test_setup_teardown(payments_of_a_term_add_up, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_term_paid_at_its_start_is_one_charge, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_part_paid_at_the_start_leaves_the_rest_for_the_months, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_first_payment_stands_apart, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_due_at_the_start_is_on_the_opening_invoice, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_was_paid_at_the_start_counts_towards_minimums, set_up, tear_down),
      cmocka_unit_test_setup_teardown(unused_time_of_a_cancelled_contract_is_given_back, set_up, tear_down),
      cmocka_unit_test_setup_teardown(unused_time_is_kept_where_a_change_says_so, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_covered_bears_its_share_of_the_fee, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_term_from_leap_day_ends_in_february, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_savings_plan_pays_at_its_discount, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_highest_discount_goes_first, set_up, tear_down),
      cmocka_unit_test_setup_teardown(savings_plans_see_what_reservations_left, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_part_of_a_unit_is_paid_by_the_last_of_the_money, set_up, tear_down),
      cmocka_unit_test_setup_teardown(free_usage_spends_nothing_of_a_plan, set_up, tear_down),
      cmocka_unit_test(what_makes_no_sense_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
