/* Random entries, ends, extensions, capacities and questions beside a naive calendar: an array of moments, each with
 * what is there and what is held, filled and read moment by moment. Every answer and every word must be the same. */
#include "base/hash.h"
#include "sell/calendar.h"
#include <stdlib.h>

#define TICKS_MAX 3000 /* moments of a world; the last one goes on to INSTANT_MAX */
#define ENTRIES_MAX 1600
#define UNITS_MAX 16

struct naive_entry {
  char id[12];
  enum calendar_layer layer;
  int from, to; /* ticks; `ticks` of the world: to INSTANT_MAX */
  int64_t units_e9;
  int order;
};
struct world {
  int ticks, steps, order;
  int64_t tick_ns;
  bool fails; /* capacity may be lowered */
  bool is_step[TICKS_MAX];
  int64_t step_e9[TICKS_MAX], there_e9[TICKS_MAX], firm_e9[TICKS_MAX], spot_e9[TICKS_MAX];
  struct naive_entry entries[ENTRIES_MAX];
  int count;
  struct calendar *calendar;
};

static struct random rng;
static struct world w;

static int below(int bound) {
  return (int)random_below(&rng, (uint64_t)bound);
}

static bool one_in(int n) {
  return below(n) == 0;
}

/* 2026-09-20T00:00:00Z is tick 0. */
static instant at(int tick) {
  return tick >= w.ticks ? INSTANT_MAX : (instant){INT64_C(1789862400) * NS_PER_S + tick * w.tick_ns};
}

static int64_t random_units_e9(void) {
  int64_t whole_e9 = (1 + below(UNITS_MAX)) * (int64_t)QUANTITY_E9;
  switch (below(5)) {
  case 0:
    return whole_e9 / 8;
  case 1:
    return 1 + (int64_t)random_below(&rng, (uint64_t)QUANTITY_E9);
  default:
    return one_in(8) ? whole_e9 : whole_e9 / 4;
  }
}

/* ---- the naive calendar ---- */

static int64_t naive_left(int tick, bool beside_spot) {
  return w.there_e9[tick] - w.firm_e9[tick] - (beside_spot ? w.spot_e9[tick] : 0);
}

static bool is_beside_spot(enum calendar_layer layer, bool may_preempt) {
  return layer == CALENDAR_SPOT || !may_preempt;
}

static int64_t naive_least(int from, int to, bool beside_spot) {
  int64_t least = naive_left(from, beside_spot);
  for (int t = from; t < to && t < w.ticks; t++) {
    least = naive_left(t, beside_spot) < least ? naive_left(t, beside_spot) : least;
  }
  return least;
}

/* -1: none. A length beyond the world is one without end. */
static int naive_earliest(int64_t units_e9, int length, int after, int until, bool beside_spot) {
  int run = 0;
  for (int t = after; t < w.ticks; t++) {
    run = naive_left(t, beside_spot) >= units_e9 ? run + 1 : 0;
    bool endless = run > 0 && t == w.ticks - 1;
    if ((run == length || endless) && t - run + 1 < until) {
      return t - run + 1;
    }
  }
  return -1;
}

static void naive_hold(const struct naive_entry *e, int from, int to, int sign) {
  for (int t = from; t < to; t++) {
    *(e->layer == CALENDAR_FIRM ? &w.firm_e9[t] : &w.spot_e9[t]) += sign * e->units_e9;
  }
}

static void naive_capacity(void) {
  int64_t there_e9 = 0;
  for (int t = 0; t < w.ticks; t++) {
    there_e9 = w.is_step[t] ? w.step_e9[t] : there_e9;
    w.there_e9[t] = there_e9;
  }
}

static void naive_remove(int i) {
  naive_hold(&w.entries[i], w.entries[i].from, w.entries[i].to, -1);
  w.entries[i] = w.entries[--w.count];
}

/* ---- changes, on both ---- */

static void same_text(const char *expected, const char *said) {
  if (strcmp(expected, said) != 0) {
    fprintf(stderr, "prop_calendar: expected \"%s\", got \"%s\"\n", expected, said);
    must(false);
  }
}

static void same_span(const struct naive_entry *e, int from, int to, bool beside_spot, const char *hint,
                      const struct error *err) {
  char expected[400], end[TIME_TEXT_MAX], begin[TIME_TEXT_MAX], texts[2][DECIMAL_TEXT_MAX];
  int64_t least = naive_least(from, to, beside_spot);
  bool endless = to >= w.ticks;
  snprintf(expected, sizeof expected, "%s: %s units from %s%s%s: %s are free; %s", e->id,
           quantity_text((quantity){e->units_e9}, texts[0]), time_format(at(from), begin), endless ? " on" : " to ",
           endless ? "" : time_format(at(to), end), quantity_text((quantity){least > 0 ? least : 0}, texts[1]), hint);
  must(err->code == ERR_LIMIT);
  same_text(expected, err->message);
}

static void same_preempted(int64_t units_e9, int from, int to, quantity preempted) {
  int64_t over_e9 = units_e9 - naive_least(from, to, true);
  must(preempted.e9 == (over_e9 > 0 ? over_e9 : 0));
}

static int random_end(int from) {
  int length = one_in(4) ? w.ticks / 2 : 12;
  int to = from + 1 + below(length);
  return to >= w.ticks || one_in(12) ? w.ticks : to;
}

static void do_put(void) {
  struct naive_entry *e = &w.entries[w.count];
  *e = (struct naive_entry){.layer = one_in(3) ? CALENDAR_SPOT : CALENDAR_FIRM,
                            .from = below(w.ticks - 1),
                            .units_e9 = random_units_e9(),
                            .order = w.order++};
  e->to = random_end(e->from);
  snprintf(e->id, sizeof e->id, "e%d", e->order);
  bool may_preempt = one_in(2), beside_spot = is_beside_spot(e->layer, may_preempt);
  struct calendar_entry entry = {slice_of(e->id), e->layer, at(e->from), at(e->to), {e->units_e9}};
  struct error err = {0};
  quantity preempted = {-1};
  bool done = calendar_put(w.calendar, &entry, may_preempt, &preempted, &err);
  must(done == (naive_least(e->from, e->to, beside_spot) >= e->units_e9));
  if (done) {
    same_preempted(e->units_e9, e->from, e->to, preempted);
    must(beside_spot ? preempted.e9 == 0 : true);
    naive_hold(e, e->from, e->to, 1);
    w.count++;
    must(!calendar_put(w.calendar, &entry, may_preempt, NULL, &err) && err.code == ERR_CONFLICT);
    return;
  }
  char hint[TIME_TEXT_MAX + 40] = "there is no later time with as many", when[TIME_TEXT_MAX];
  int length = e->to >= w.ticks ? INT32_MAX : e->to - e->from;
  int start = naive_earliest(e->units_e9, length, e->from, w.ticks, beside_spot);
  if (start >= 0) {
    snprintf(hint, sizeof hint, "as many would be from %s on", time_format(at(start), when));
  }
  same_span(e, e->from, e->to, beside_spot, hint, &err);
  must(preempted.e9 == -1);
}

static void do_end(void) {
  must(!calendar_end(w.calendar, SLICE("nobody"), at(0)));
  if (w.count == 0) {
    return;
  }
  int i = below(w.count);
  struct naive_entry *e = &w.entries[i];
  int tick = one_in(4) ? below(w.ticks) : e->from + below((e->to < w.ticks ? e->to : w.ticks) - e->from + 2) - 1;
  tick = tick < 0 ? 0 : tick;
  must(calendar_end(w.calendar, slice_of(e->id), at(tick)));
  if (tick <= e->from) {
    must(calendar_find(w.calendar, slice_of(e->id)) == NULL);
    naive_remove(i);
  } else if (tick < e->to) {
    naive_hold(e, tick, e->to, -1);
    e->to = tick;
  }
}

static void do_extend(void) {
  struct error err = {0};
  must(!calendar_extend(w.calendar, SLICE("nobody"), at(1), false, NULL, &err) && err.code == ERR_NOT_FOUND);
  if (w.count == 0) {
    return;
  }
  struct naive_entry *e = &w.entries[below(w.count)];
  int to = one_in(8) ? below(w.ticks) : random_end(e->to < w.ticks ? e->to : w.ticks - 1);
  bool may_preempt = one_in(2), beside_spot = is_beside_spot(e->layer, may_preempt);
  quantity preempted = {-1};
  bool done = calendar_extend(w.calendar, slice_of(e->id), at(to), may_preempt, &preempted, &err);
  if (to <= e->to) {
    must(to == e->to ? done && preempted.e9 == 0 : !done && err.code == ERR_INVALID);
    return;
  }
  must(done == (naive_least(e->to, to, beside_spot) >= e->units_e9));
  if (done) {
    same_preempted(e->units_e9, e->to, to, preempted);
    naive_hold(e, e->to, to, 1);
    e->to = to;
    return;
  }
  char hint[TIME_TEXT_MAX + 40], when[TIME_TEXT_MAX];
  int last = e->to;
  while (naive_left(last, beside_spot) >= e->units_e9) {
    last++;
  }
  snprintf(hint, sizeof hint, "it could last to %s", time_format(at(last), when));
  same_span(e, e->to, to, beside_spot, hint, &err);
}

static void do_capacity(void) {
  int tick = w.steps == 0 ? 0 : below(w.ticks);
  int64_t units_e9 = below(2 * UNITS_MAX) * (int64_t)QUANTITY_E9 / 2;
  if (!w.fails) { /* only ever more: never below what stands at any later moment either */
    for (int t = 0; t < w.ticks; t++) {
      units_e9 = w.there_e9[t] > units_e9 ? w.there_e9[t] : units_e9;
    }
  }
  w.is_step[tick] = true;
  w.step_e9[tick] = units_e9;
  w.steps++;
  naive_capacity();
  calendar_set_capacity(w.calendar, at(tick), (quantity){units_e9});
}

static void do_forget(void) {
  int before = below(w.ticks / 4), first = 0;
  calendar_forget(w.calendar, at(before));
  for (int i = w.count; i-- > 0;) {
    if (w.entries[i].to <= before) {
      naive_remove(i);
    }
  }
  for (; first <= before && !w.is_step[first]; first++) {
  }
  for (int t = first + 1; t <= before; t++) {
    w.is_step[t] = false;
  }
  if (first <= before) {
    w.step_e9[first] = w.there_e9[before];
  }
  naive_capacity();
}

/* ---- questions, to both ---- */

static void ask_free(void) {
  int from = below(w.ticks), to = below(w.ticks + 1);
  enum calendar_layer layer = one_in(2) ? CALENDAR_SPOT : CALENDAR_FIRM;
  bool may_preempt = one_in(2);
  int64_t least = from < to ? naive_least(from, to, is_beside_spot(layer, may_preempt)) : 0;
  must(calendar_free_units(w.calendar, at(from), at(to), layer, may_preempt).e9 == (least > 0 ? least : 0));
  int64_t left = naive_left(from, true);
  must(calendar_short(w.calendar, at(from)).e9 == (left < 0 ? -left : 0));
}

static void ask_earliest(void) {
  int after = below(w.ticks), until = below(w.ticks + 1), length = 1 + below(one_in(3) ? w.ticks : 20);
  enum calendar_layer layer = one_in(2) ? CALENDAR_SPOT : CALENDAR_FIRM;
  bool may_preempt = one_in(2), endless = one_in(8);
  int64_t units_e9 = random_units_e9();
  instant start = {-1};
  bool found = calendar_earliest(w.calendar, (quantity){units_e9}, endless ? INT64_MAX : length * w.tick_ns, at(after),
                                 at(until), layer, may_preempt, &start);
  int expected =
      naive_earliest(units_e9, endless ? INT32_MAX : length, after, until, is_beside_spot(layer, may_preempt));
  must(found == (expected >= 0));
  must(!found || start.ns == at(expected).ns);
}

static void ask_sums(void) {
  int from = below(w.ticks), to = below(w.ticks);
  struct calendar_sums sums, naive = {0};
  calendar_sums(w.calendar, at(from), at(to), &sums);
  for (int t = from; t < to; t++) {
    naive.capacity_e18s += (int128)w.there_e9[t] * w.tick_ns;
    naive.firm_e18s += (int128)w.firm_e9[t] * w.tick_ns;
    naive.spot_e18s += (int128)w.spot_e9[t] * w.tick_ns;
  }
  must(memcmp(&sums, &naive, sizeof sums) == 0);
}

struct listing {
  int from, to, count, last_order;
  instant last_from;
};

static bool hear(void *context, const struct calendar_entry *entry) {
  struct listing *l = context;
  int order = 0;
  for (size_t i = 1; i < entry->id.len; i++) {
    order = order * 10 + entry->id.ptr[i] - '0';
  }
  must(entry->from.ns > l->last_from.ns || (entry->from.ns == l->last_from.ns && order > l->last_order));
  must(entry->from.ns < at(l->to).ns && entry->to.ns > at(l->from).ns);
  l->last_from = entry->from;
  l->last_order = order;
  l->count++;
  return true;
}

static void ask_list(void) {
  struct listing l = {.from = below(w.ticks), .to = below(w.ticks + 1)};
  int expected = 0;
  calendar_list(w.calendar, at(l.from), at(l.to), hear, &l);
  for (int i = 0; i < w.count; i++) {
    const struct naive_entry *e = &w.entries[i];
    const struct calendar_entry *found = calendar_find(w.calendar, slice_of(e->id));
    must(found != NULL && found->layer == e->layer && found->units.e9 == e->units_e9);
    must(found->from.ns == at(e->from).ns && found->to.ns == at(e->to).ns);
    expected += l.from < l.to && e->from < l.to && e->to > l.from;
  }
  must(l.count == expected && calendar_count(w.calendar) == (size_t)w.count);
}

/* Nothing is sold twice. */
static void check_sold_once(void) {
  for (int t = 0; t < w.ticks && !w.fails; t++) {
    must(w.firm_e9[t] <= w.there_e9[t]);
    must(calendar_free_units(w.calendar, at(t), at(t + 1), CALENDAR_FIRM, true).e9 == w.there_e9[t] - w.firm_e9[t]);
  }
}

static void one_step(void) {
  int what = below(100);
  if (what < 30 && w.count < ENTRIES_MAX) {
    do_put();
  } else if (what < 42) {
    do_end();
  } else if (what < 50) {
    do_extend();
  } else if (what < 52) {
    do_capacity();
  } else if (what < 70) {
    ask_free();
  } else if (what < 94) {
    ask_earliest();
  } else if (what < 98) {
    ask_sums();
  } else {
    ask_list();
  }
}

/* As if nothing had ever been: blocks are joined and go. */
static void drain(void) {
  while (w.count > 0) {
    int i = below(w.count);
    must(calendar_end(w.calendar, slice_of(w.entries[i].id), at(w.entries[i].from)));
    naive_remove(i);
    if (one_in(4)) {
      ask_free();
      ask_earliest();
    }
  }
  for (int t = 0; t < w.ticks; t++) {
    must(naive_left(t, true) == w.there_e9[t]);
  }
  ask_sums();
}

static void check_world(bool large) {
  static const int64_t tick_ns[] = {1, NS_PER_S, 3600 * NS_PER_S};
  w = (struct world){.ticks = large ? TICKS_MAX : 20 + below(80), .tick_ns = tick_ns[below(3)], .fails = one_in(2)};
  w.calendar = calendar_new();
  do_capacity();
  for (int step = large ? 6000 : 150; step > 0; step--) {
    one_step();
  }
  check_sold_once();
  if (one_in(2)) {
    do_forget();
    for (int step = 60; step > 0; step--) {
      one_step();
    }
  }
  if (one_in(2)) {
    drain();
  }
  ask_list();
  calendar_free(w.calendar);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 6,
           cases = cases_text ? strtoull(cases_text, NULL, 10) : 1000;
  printf("prop_calendar: SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  random_seed(&rng, seed, 0);
  for (uint64_t i = 0; i < cases; i++) {
    check_world(i % 25 == 0);
  }
  return 0;
}
