/* The capacity calendar: what fits, what is refused and with which words, what gives way, what is added up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sell/calendar.h"
#include <stdlib.h>

#define DAY INT64_C(1789862400) /* 2026-09-20T00:00:00Z */

static instant at(int64_t hours) {
  return (instant){(DAY + hours * 3600) * NS_PER_S};
}

static quantity units(const char *text) {
  quantity q;
  struct error err = {0};
  assert_true(quantity_parse(slice_of(text), &q, &err));
  return q;
}

static struct calendar *of_eight(void) {
  struct calendar *c = calendar_new();
  calendar_set_capacity(c, at(0), units("8"));
  return c;
}

static struct calendar_entry entry(const char *id, enum calendar_layer layer, int64_t from, int64_t to,
                                   const char *held) {
  return (struct calendar_entry){slice_of(id), layer, at(from), to < 0 ? INSTANT_MAX : at(to), units(held)};
}

static void put(struct calendar *c, const char *id, enum calendar_layer layer, int64_t from, int64_t to,
                const char *held) {
  struct error err = {0};
  struct calendar_entry e = entry(id, layer, from, to, held);
  quantity preempted = {7};
  if (!calendar_put(c, &e, false, &preempted, &err)) {
    fail_msg("%s", err.message);
  }
  assert_true(quantity_is_zero(preempted));
}

static void refused(struct calendar *c, struct calendar_entry e, bool may_preempt, enum error_code code,
                    const char *words) {
  struct error err = {0};
  size_t count = calendar_count(c);
  struct calendar_sums before, after;
  quantity preempted = {7};
  calendar_sums(c, at(-1000), at(1000), &before);
  assert_false(calendar_put(c, &e, may_preempt, &preempted, &err));
  assert_int_equal(err.code, code);
  if (strstr(err.message, words) == NULL) {
    fail_msg("expected \"%s\" in \"%s\"", words, err.message);
  }
  calendar_sums(c, at(-1000), at(1000), &after);
  assert_memory_equal(&before, &after, sizeof before);
  assert_int_equal(calendar_count(c), count);
  assert_int_equal(preempted.e9, 7);
}

static void is_free(const struct calendar *c, int64_t from, int64_t to, enum calendar_layer layer, bool may_preempt,
                    const char *expected) {
  char text[DECIMAL_TEXT_MAX];
  assert_string_equal(quantity_text(calendar_free_units(c, at(from), at(to), layer, may_preempt), text), expected);
}

static void the_last_unit_is_sold_once(void **state) {
  (void)state;
  struct calendar *c = of_eight();
  put(c, "a", CALENDAR_FIRM, 0, 10, "7");
  put(c, "b", CALENDAR_FIRM, 2, 4, "1");
  refused(c, entry("c", CALENDAR_FIRM, 3, 5, "1"), true, ERR_LIMIT,
          "c: 1 units from 2026-09-20T03:00:00Z to 2026-09-20T05:00:00Z: 0 are free; as many would be from "
          "2026-09-20T04:00:00Z on");
  refused(c, entry("c", CALENDAR_FIRM, 3, -1, "8"), true, ERR_LIMIT,
          "c: 8 units from 2026-09-20T03:00:00Z on: 0 are free; as many would be from 2026-09-20T10:00:00Z on");
  refused(c, entry("c", CALENDAR_FIRM, 5, 6, "9"), true, ERR_LIMIT, "1 are free; there is no later time with as many");
  refused(c, entry("c", CALENDAR_SPOT, 0, 3, "0.000000001"), true, ERR_LIMIT, "0 are free");
  put(c, "c", CALENDAR_FIRM, 4, 10, "1");
  put(c, "d", CALENDAR_FIRM, 10, -1, "8"); /* one ends as the other begins */
  calendar_free(c);
}

static void bad_entries_are_refused(void **state) {
  (void)state;
  struct calendar *c = of_eight();
  char id[CALENDAR_ID_BYTES_MAX + 2];
  memset(id, 'x', sizeof id - 1);
  id[sizeof id - 1] = '\0';
  put(c, "a", CALENDAR_FIRM, 0, 1, "1");
  refused(c, entry("a", CALENDAR_FIRM, 5, 6, "1"), false, ERR_CONFLICT, "a is in the calendar already");
  refused(c, entry("b", CALENDAR_FIRM, 5, 5, "1"), false, ERR_INVALID, "the end must come after the beginning");
  refused(c, entry("b", CALENDAR_FIRM, 6, 5, "1"), false, ERR_INVALID, "the end must come after the beginning");
  refused(c, entry("b", CALENDAR_FIRM, 5, 6, "0"), false, ERR_INVALID, "0 units: ask for more than 0");
  refused(c, entry("b", CALENDAR_FIRM, 5, 6, "-2"), false, ERR_INVALID, "-2 units: ask for more than 0");
  refused(c, entry("b", CALENDAR_FIRM, 5, 6, "1000000000.5"), false, ERR_INVALID, "at most 1000000000");
  refused(c, entry("", CALENDAR_FIRM, 5, 6, "1"), false, ERR_INVALID, "the id has 0 bytes");
  refused(c, entry(id, CALENDAR_FIRM, 5, 6, "1"), false, ERR_INVALID, "the id has 129 bytes: give it 1 to 128");
  struct calendar_entry e = entry("b", CALENDAR_FIRM, 0, 1, "1");
  e.from.ns = -1;
  refused(c, e, false, ERR_INVALID, "both from 1970 to 2199");
  e.from = at(0);
  e.to.ns = INT64_MAX;
  refused(c, e, false, ERR_INVALID, "both from 1970 to 2199");
  calendar_free(c);
}

static void spot_gives_way(void **state) {
  (void)state;
  struct calendar *c = of_eight();
  struct error err = {0};
  quantity preempted;
  put(c, "s", CALENDAR_SPOT, 0, -1, "6");
  put(c, "f", CALENDAR_FIRM, 0, 10, "2");
  struct calendar_entry e = entry("g", CALENDAR_FIRM, 4, 6, "5");
  refused(c, e, false, ERR_LIMIT, "5 units from 2026-09-20T04:00:00Z to 2026-09-20T06:00:00Z: 0 are free");
  is_free(c, 4, 6, CALENDAR_FIRM, true, "6");
  is_free(c, 4, 12, CALENDAR_FIRM, true, "6");
  is_free(c, 10, 12, CALENDAR_FIRM, false, "2");
  is_free(c, 10, 12, CALENDAR_SPOT, true, "2"); /* spot never takes spot's */
  assert_true(calendar_put(c, &e, true, &preempted, &err));
  assert_true(quantity_cmp(preempted, units("5")) == 0);
  assert_true(quantity_cmp(calendar_short(c, at(4)), units("5")) == 0);
  e = entry("h", CALENDAR_FIRM, 5, 7, "1"); /* 5 have to go already: 6 with it */
  assert_true(calendar_put(c, &e, true, &preempted, &err));
  assert_true(quantity_cmp(preempted, units("6")) == 0);
  assert_true(calendar_end(c, SLICE("s"), at(4)));
  assert_true(quantity_is_zero(calendar_short(c, at(4))) && quantity_is_zero(calendar_short(c, at(5))));
  e = entry("i", CALENDAR_FIRM, 7, 8, "6");
  assert_true(calendar_put(c, &e, true, &preempted, &err) && quantity_is_zero(preempted));
  calendar_free(c);
}

static void ends_leave_room(void **state) {
  (void)state;
  struct calendar *c = of_eight();
  put(c, "a", CALENDAR_FIRM, 2, -1, "8");
  assert_true(calendar_end(c, SLICE("a"), at(6)));
  assert_true(calendar_find(c, SLICE("a"))->to.ns == at(6).ns);
  assert_true(calendar_end(c, SLICE("a"), at(7))); /* it has ended before */
  assert_true(calendar_find(c, SLICE("a"))->to.ns == at(6).ns);
  put(c, "b", CALENDAR_FIRM, 6, 9, "8");
  assert_true(calendar_end(c, SLICE("b"), at(6))); /* at its beginning: never there */
  assert_null(calendar_find(c, SLICE("b")));
  assert_false(calendar_end(c, SLICE("b"), at(6)));
  put(c, "b", CALENDAR_FIRM, 6, 7, "8");
  assert_true(calendar_end(c, SLICE("a"), at(0)));
  is_free(c, 0, 6, CALENDAR_FIRM, false, "8");
  assert_int_equal(calendar_count(c), 1);
  calendar_free(c);
}

static void extensions_need_room(void **state) {
  (void)state;
  struct calendar *c = of_eight();
  struct error err = {0};
  quantity preempted = {7};
  put(c, "a", CALENDAR_FIRM, 0, 4, "4");
  put(c, "b", CALENDAR_FIRM, 6, 8, "5");
  put(c, "s", CALENDAR_SPOT, 2, 6, "4");
  assert_false(calendar_extend(c, SLICE("a"), at(7), true, &preempted, &err));
  assert_int_equal(err.code, ERR_LIMIT);
  assert_string_equal(err.message, "a: 4 units from 2026-09-20T04:00:00Z to 2026-09-20T07:00:00Z: 3 are free; it "
                                   "could last to 2026-09-20T06:00:00Z");
  assert_true(calendar_find(c, SLICE("a"))->to.ns == at(4).ns && preempted.e9 == 7);
  assert_true(calendar_extend(c, SLICE("a"), at(6), false, &preempted, &err) && quantity_is_zero(preempted));
  assert_true(calendar_extend(c, SLICE("a"), at(6), false, NULL, &err));
  assert_false(calendar_extend(c, SLICE("a"), at(5), false, NULL, &err));
  assert_int_equal(err.code, ERR_INVALID);
  assert_non_null(strstr(err.message, "it lasts to 2026-09-20T06:00:00Z: give a later end"));
  assert_false(calendar_extend(c, SLICE("z"), at(6), false, NULL, &err));
  assert_int_equal(err.code, ERR_NOT_FOUND);
  assert_true(calendar_end(c, SLICE("b"), at(0)));
  put(c, "t", CALENDAR_SPOT, 6, -1, "8");
  assert_false(calendar_extend(c, SLICE("a"), INSTANT_MAX, false, &preempted, &err));
  assert_true(calendar_extend(c, SLICE("a"), INSTANT_MAX, true, &preempted, &err));
  assert_true(quantity_cmp(preempted, units("4")) == 0);
  assert_false(calendar_extend(c, SLICE("a"), (instant){INT64_MAX}, true, NULL, &err));
  assert_int_equal(err.code, ERR_INVALID);
  calendar_free(c);
}

static void finds(const struct calendar *c, const char *wanted, int64_t length, int64_t after, int64_t until,
                  int64_t expected) {
  instant start = {0};
  int64_t length_ns = length < 0 ? INT64_MAX : length * 3600 * NS_PER_S;
  bool found = calendar_earliest(c, units(wanted), length_ns, at(after), at(until), CALENDAR_FIRM, false, &start);
  assert_int_equal(found, expected >= 0);
  assert_true(!found || start.ns == at(expected).ns);
}

static void the_earliest_start_is_found(void **state) {
  (void)state;
  struct calendar *c = of_eight();
  put(c, "a", CALENDAR_FIRM, 0, 4, "6");
  put(c, "b", CALENDAR_FIRM, 6, 9, "3");
  put(c, "c", CALENDAR_FIRM, 12, 13, "8");
  finds(c, "2", 1, 0, 24, 0);
  finds(c, "2", 100, 0, 24, 13);
  finds(c, "3", 2, 0, 24, 4);
  finds(c, "6", 2, 0, 24, 4);
  finds(c, "6", 3, 0, 24, 9); /* the gap from 4 is an hour too short */
  finds(c, "6", 4, 0, 24, 13);
  finds(c, "6", 4, 0, 13, -1); /* `until` itself is too late */
  finds(c, "6", 2, 5, 24, 9);
  finds(c, "5", 7, 5, 24, 5);
  finds(c, "8.000000001", 1, 0, 1000, -1);
  finds(c, "8", -1, 0, 24, 13);
  finds(c, "8", 1, -5, 24, 4); /* nothing is there before the first capacity */
  finds(c, "8", 1, 24, 24, -1);
  finds(c, "0", 1, 0, 24, -1);
  finds(c, "1", 0, 0, 24, -1);
  put(c, "d", CALENDAR_FIRM, 20, -1, "1");
  finds(c, "8", -1, 0, 1000, -1);
  finds(c, "7", -1, 0, 1000, 13);
  calendar_free(c);
}

static void capacity_changes_in_any_order(void **state) {
  (void)state;
  struct calendar *c = calendar_new();
  refused(c, entry("a", CALENDAR_FIRM, 0, 1, "1"), true, ERR_LIMIT, "0 are free");
  calendar_set_capacity(c, at(10), units("4"));
  calendar_set_capacity(c, at(0), units("8"));
  put(c, "a", CALENDAR_FIRM, 0, 20, "4");
  put(c, "b", CALENDAR_FIRM, 0, 10, "4");
  calendar_set_capacity(c, at(5), units("6.5")); /* hardware fails; the step at 10 stands */
  assert_true(quantity_cmp(calendar_short(c, at(5)), units("1.5")) == 0);
  assert_true(quantity_is_zero(calendar_short(c, at(4))) && quantity_is_zero(calendar_short(c, at(10))));
  is_free(c, 0, 20, CALENDAR_FIRM, true, "0");
  refused(c, entry("c", CALENDAR_FIRM, 5, 6, "0.1"), true, ERR_LIMIT, "0 are free");
  calendar_set_capacity(c, at(5), units("8"));
  calendar_set_capacity(c, at(10), units("9"));
  assert_true(quantity_is_zero(calendar_short(c, at(5))));
  is_free(c, 12, 30, CALENDAR_FIRM, true, "5");
  calendar_free(c);
}

static void sums_are_exact(void **state) {
  (void)state;
  struct calendar *c = of_eight();
  struct calendar_sums whole, first, rest;
  struct calendar_entry e = {SLICE("third"), CALENDAR_SPOT, {at(1).ns + 1}, {at(1).ns + 8}, units("0.333333333")};
  struct error err = {0};
  assert_true(calendar_put(c, &e, false, NULL, &err));
  put(c, "f", CALENDAR_FIRM, 0, -1, "0.5");
  calendar_sums(c, at(-3), at(2), &whole);
  assert_true(whole.spot_e18s == (int128)333333333 * 7);
  assert_true(whole.firm_e18s == (int128)500000000 * 7200 * NS_PER_S);
  assert_true(whole.capacity_e18s == (int128)8 * QUANTITY_E9 * 7200 * NS_PER_S);
  calendar_sums(c, at(-3), (instant){at(1).ns + 3}, &first);
  calendar_sums(c, (instant){at(1).ns + 3}, at(2), &rest);
  assert_true(first.spot_e18s + rest.spot_e18s == whole.spot_e18s && first.spot_e18s == (int128)333333333 * 2);
  assert_true(first.capacity_e18s + rest.capacity_e18s == whole.capacity_e18s);
  calendar_sums(c, at(2), at(2), &rest);
  assert_true(rest.capacity_e18s == 0 && rest.firm_e18s == 0);
  calendar_sums(c, at(2), at(1), &rest);
  assert_true(rest.capacity_e18s == 0 && rest.firm_e18s == 0);
  calendar_free(c);
}

struct listing {
  char text[64];
  size_t count, stop_at;
};
static bool note(void *context, const struct calendar_entry *e) {
  struct listing *l = context;
  memcpy(l->text + strlen(l->text), e->id.ptr, e->id.len);
  return ++l->count != l->stop_at;
}
static void lists(const struct calendar *c, int64_t from, int64_t to, size_t stop_at, const char *expected) {
  struct listing l = {.stop_at = stop_at};
  calendar_list(c, at(from), at(to), note, &l);
  assert_string_equal(l.text, expected);
}

static void entries_are_listed_and_forgotten(void **state) {
  (void)state;
  struct calendar *c = of_eight();
  put(c, "late", CALENDAR_FIRM, 5, 6, "1");
  put(c, "open", CALENDAR_FIRM, 1, -1, "1");
  put(c, "x", CALENDAR_SPOT, 1, 3, "1");
  put(c, "y", CALENDAR_SPOT, 0, 5, "1");
  lists(c, 0, 100, 0, "yopenxlate");
  lists(c, 0, 100, 2, "yopen");
  lists(c, 3, 5, 0, "yopen"); /* x ends at 3, late begins at 5 */
  lists(c, 5, 5, 0, "");
  lists(c, 200, 201, 0, "open");
  calendar_set_capacity(c, at(2), units("7"));
  calendar_set_capacity(c, at(4), units("6"));
  calendar_set_capacity(c, at(8), units("9"));
  calendar_forget(c, at(5));
  lists(c, 0, 100, 0, "openlate");
  is_free(c, 5, 6, CALENDAR_FIRM, false, "4");
  is_free(c, 6, 8, CALENDAR_FIRM, false, "5");
  is_free(c, 8, 9, CALENDAR_FIRM, false, "8");
  assert_null(calendar_find(c, SLICE("x")));
  put(c, "x", CALENDAR_FIRM, 6, 7, "5");
  calendar_set_capacity(c, at(5), units("7"));
  is_free(c, 6, 7, CALENDAR_FIRM, false, "1");
  calendar_forget(c, at(1000));
  lists(c, 0, 2000, 0, "open");
  is_free(c, 1000, 2000, CALENDAR_FIRM, false, "8");
  calendar_free(c);
}

/* Many blocks of moments, filled from both ends and emptied from the middle. */
static void a_thousand_leases_come_and_go(void **state) {
  (void)state;
  enum { LEASES = 2000 };
  struct calendar *c = of_eight();
  char id[16];
  for (int i = 0; i < LEASES; i++) {
    int hour = i % 2 ? i : 2 * LEASES - i;
    snprintf(id, sizeof id, "l%d", hour);
    put(c, id, CALENDAR_FIRM, hour, hour + 1, "8");
  }
  finds(c, "1", 1, 1, 4 * LEASES, 2); /* odd hours to LEASES, even ones above */
  finds(c, "1", 2, 1, 4 * LEASES, LEASES);
  finds(c, "8", 3, 1, 4 * LEASES, 2 * LEASES + 1);
  for (int hour = LEASES / 2 + 1; hour < LEASES; hour += 2) {
    snprintf(id, sizeof id, "l%d", hour);
    assert_true(calendar_end(c, slice_of(id), at(0)));
  }
  finds(c, "8", LEASES / 2, 0, 4 * LEASES, LEASES / 2);
  is_free(c, LEASES / 2, LEASES + 1, CALENDAR_FIRM, false, "8");
  is_free(c, LEASES / 2 - 1, LEASES, CALENDAR_FIRM, false, "0");
  struct calendar_sums sums;
  calendar_sums(c, at(0), at(3 * LEASES), &sums);
  assert_true(sums.firm_e18s == (int128)(LEASES - LEASES / 4) * 8 * 3600 * QUANTITY_E9 * NS_PER_S);
  calendar_free(c);
}

/* Each hour one smallest part less is free than in the one before: every border of a block of moments matters. */
static void no_border_hides_a_moment(void **state) {
  (void)state;
  enum { HOURS = 1200 };
  struct calendar *c = calendar_new();
  struct error err = {0};
  instant start;
  char id[16], expected[64], when[TIME_TEXT_MAX];
  calendar_set_capacity(c, at(0), (quantity){HOURS});
  for (int i = 1; i < HOURS; i++) {
    snprintf(id, sizeof id, "l%d", i);
    put(c, id, CALENDAR_FIRM, i, 2 * HOURS - i, "0.000000001");
  }
  for (int i = 1; i < HOURS; i++) {
    assert_int_equal(calendar_free_units(c, at(0), at(i), CALENDAR_FIRM, false).e9, HOURS - i + 1);
    assert_int_equal(calendar_free_units(c, at(HOURS), at(2 * HOURS - i), CALENDAR_FIRM, false).e9, 1);
    assert_true(calendar_earliest(c, (quantity){i + 1}, INT64_MAX, at(1), INSTANT_MAX, CALENDAR_FIRM, false, &start));
    assert_true(start.ns == at(i < HOURS - 1 ? HOURS + i : 2 * HOURS - 1).ns);
    /* up to the hour in which as many would no longer be free */
    struct calendar_entry e = {SLICE("x"), CALENDAR_FIRM, {at(0).ns}, {at(0).ns + 1}, {i + 1}};
    assert_true(calendar_put(c, &e, false, NULL, &err));
    assert_false(calendar_extend(c, SLICE("x"), at(2 * HOURS), false, NULL, &err));
    snprintf(expected, sizeof expected, "it could last to %s", time_format(at(HOURS - i), when));
    assert_non_null(strstr(err.message, expected));
    assert_true(calendar_extend(c, SLICE("x"), at(HOURS - i), false, NULL, &err));
    assert_true(calendar_end(c, SLICE("x"), at(0)));
  }
  calendar_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_last_unit_is_sold_once),
      cmocka_unit_test(bad_entries_are_refused),
      cmocka_unit_test(spot_gives_way),
      cmocka_unit_test(ends_leave_room),
      cmocka_unit_test(extensions_need_room),
      cmocka_unit_test(the_earliest_start_is_found),
      cmocka_unit_test(capacity_changes_in_any_order),
      cmocka_unit_test(sums_are_exact),
      cmocka_unit_test(entries_are_listed_and_forgotten),
      cmocka_unit_test(a_thousand_leases_come_and_go),
      cmocka_unit_test(no_border_hides_a_moment),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
