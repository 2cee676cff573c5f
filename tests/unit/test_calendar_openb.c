/* A GPU cluster's trace through the calendar in simulated time: GPU-seconds equal the trace's and the meter's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/csv.h"
#include "base/file.h"
#include "meter/meter.h"
#include "sell/calendar.h"
#include "sell/engine.h"
#include <stdlib.h>
#include <unistd.h>

#define ORIGIN_S INT64_C(1688169600) /* 2023-07-01T00:00:00Z, as examples/openb/openb.map.yaml sets it */
#define SECONDS_MAX (180 * 86400)
#define FILE_BYTES_MAX (16u << 20)

enum { NAME, NUM_GPU = 3, GPU_MILLI, QOS = 6, DELETED = 9, SCHEDULED = 10, COLUMNS };

struct pod {
  slice name;
  enum engine_class class;
  int64_t milli, scheduled_s, deleted_s;
};
/* A pod begins or ends. */
struct turn {
  int64_t at_s;
  bool begins;
  const struct pod *pod;
};
struct trace {
  struct arena *arena;
  VEC(struct pod) pods; /* that held GPUs */
  struct turn *turns;   /* in order of time, ends before beginnings */
  size_t rows, cluster_gpus;
  int128 firm_ms, spot_ms; /* thousandths of GPUs x seconds */
};

/* What a quality of service is sold as. Guaranteed has its room set aside; what is latency sensitive or asks for a
 * part of what it may use (Burstable) has a claim to what it holds; best effort lies in what is left. */
static enum engine_class class_of(slice qos) {
  if (slice_is(qos, "Guaranteed")) {
    return CLASS_RESERVED;
  }
  if (slice_is(qos, "BE")) {
    return CLASS_SPOT;
  }
  assert_true(slice_is(qos, "LS") || slice_is(qos, "Burstable"));
  return CLASS_ON_DEMAND;
}

static const char *shared_file(struct trace *t, const char *name) {
  const char *shared = getenv("MH_SHARED");
  return shared ? arena_printf(t->arena, "%s/data/openb/%s", shared, name)
                : arena_printf(t->arena, "%s/../shared/data/openb/%s", getenv("MH_ROOT"), name);
}

static int64_t number(slice text) {
  char *end;
  int64_t n = strtoll(text.ptr, &end, 10);
  assert_true(text.len > 0 && end == text.ptr + text.len);
  return n;
}

static void take_pod(struct trace *t, const struct csv_record *r) {
  assert_int_equal(r->count, COLUMNS);
  t->rows++;
  if (r->field[SCHEDULED].len == 0 || r->field[DELETED].len == 0) {
    return; /* it waited until the end of the trace */
  }
  struct pod pod = {.name = r->field[NAME],
                    .class = class_of(r->field[QOS]),
                    .milli = number(r->field[NUM_GPU]) * number(r->field[GPU_MILLI]),
                    .scheduled_s = number(r->field[SCHEDULED]),
                    .deleted_s = number(r->field[DELETED])};
  if (pod.milli == 0) {
    return; /* processors alone */
  }
  assert_true(pod.scheduled_s < pod.deleted_s && pod.deleted_s < SECONDS_MAX);
  *(pod.class == CLASS_SPOT ? &t->spot_ms : &t->firm_ms) += (int128)pod.milli * (pod.deleted_s - pod.scheduled_s);
  vec_push(&t->pods, pod);
}

static void take_node(struct trace *t, const struct csv_record *r) {
  t->cluster_gpus += (size_t)number(r->field[3]);
}

static void read_rows(struct trace *t, const char *path, void (*take)(struct trace *t, const struct csv_record *r)) {
  struct error err = {0};
  slice text;
  uint64_t line = 1;
  struct csv_record *r = arena_alloc(t->arena, sizeof *r);
  assert_true(file_read(t->arena, path, FILE_BYTES_MAX, &text, &err));
  assert_int_equal(csv_next(&text, true, ',', &line, t->arena, r, &err), 1); /* the head */
  while (csv_next(&text, true, ',', &line, t->arena, r, &err) == 1) {
    take(t, r);
  }
  assert_int_equal(err.code, ERR_NONE);
}

static int by_time(const void *a, const void *b) {
  const struct turn *x = a, *y = b;
  int order = (x->at_s > y->at_s) - (x->at_s < y->at_s);
  return order != 0 ? order : (int)x->begins - (int)y->begins;
}

static bool read_trace(struct trace *t) {
  *t = (struct trace){.arena = arena_new()};
  const char *path = shared_file(t, "openb_pod_list_default.csv");
  if (access(path, R_OK) != 0) {
    print_message("skipped: %s is not there\n", path);
    arena_free(t->arena);
    return false;
  }
  read_rows(t, path, take_pod);
  read_rows(t, shared_file(t, "openb_node_list_gpu_node.csv"), take_node);
  assert_int_equal(t->rows, 8152);
  t->turns = arena_array(t->arena, t->pods.count * 2, sizeof *t->turns);
  for (size_t i = 0; i < t->pods.count; i++) {
    const struct pod *p = &t->pods.items[i];
    t->turns[2 * i] = (struct turn){p->scheduled_s, true, p};
    t->turns[2 * i + 1] = (struct turn){p->deleted_s, false, p};
  }
  qsort(t->turns, t->pods.count * 2, sizeof *t->turns, by_time);
  return true;
}

static void free_trace(struct trace *t) {
  vec_free(&t->pods);
  arena_free(t->arena);
}

/* ---- the replay ---- */

struct replay {
  struct calendar *calendar;
  VEC(const struct pod *) spot; /* as they began, those that have ended too */
  size_t gave_way, pods_gone, spot_refused;
  int128 spot_ms; /* what spot had, counted here */
};

static instant at_s(int64_t seconds) {
  return (instant){(ORIGIN_S + seconds) * NS_PER_S};
}

static bool is_running(const struct replay *r, const struct pod *p, instant now) {
  const struct calendar_entry *e = calendar_find(r->calendar, p->name);
  assert_non_null(e);
  return e->to.ns > now.ns;
}

/* Who came last goes first, until nobody is in the way. One that goes in the second it began was never there. */
static void make_way(struct replay *r, instant now) {
  r->gave_way++;
  while (!quantity_is_zero(calendar_short(r->calendar, now))) {
    assert_true(r->spot.count > 0);
    const struct pod *last = r->spot.items[--r->spot.count];
    if (is_running(r, last, now)) {
      r->spot_ms -= (int128)last->milli * (at_s(last->deleted_s).ns - now.ns) / NS_PER_S;
      r->pods_gone++;
      assert_true(calendar_end(r->calendar, last->name, now));
    }
  }
}

static void begin(struct replay *r, const struct pod *p, instant now) {
  struct error err = {0};
  bool firm = p->class != CLASS_SPOT;
  quantity in_the_way = QUANTITY_ZERO, units = {p->milli * (QUANTITY_E9 / 1000)};
  struct calendar_entry e = {p->name, firm ? CALENDAR_FIRM : CALENDAR_SPOT, now, INSTANT_MAX, units};
  if (!calendar_put(r->calendar, &e, firm, &in_the_way, &err)) {
    assert_int_equal(err.code, ERR_LIMIT);
    assert_false(firm);
    r->spot_refused++;
    return;
  }
  if (!firm) {
    r->spot_ms += (int128)p->milli * (p->deleted_s - p->scheduled_s);
    vec_push(&r->spot, p);
  } else if (!quantity_is_zero(in_the_way)) {
    make_way(r, now);
  }
}

static struct replay replay_trace(const struct trace *t, size_t gpus) {
  struct replay r = {.calendar = calendar_new()};
  calendar_set_capacity(r.calendar, at_s(0), (quantity){(int128)gpus * QUANTITY_E9});
  for (size_t i = 0; i < t->pods.count * 2; i++) {
    const struct turn *turn = &t->turns[i];
    instant now = at_s(turn->at_s);
    if (turn->begins) {
      begin(&r, turn->pod, now);
    } else {
      bool known = calendar_end(r.calendar, turn->pod->name, now);
      assert_true(known || turn->pod->class == CLASS_SPOT);
    }
    assert_true(quantity_is_zero(calendar_short(r.calendar, now)));
  }
  return r;
}

static void end_replay(struct replay *r) {
  calendar_free(r->calendar);
  vec_free(&r->spot);
}

static struct calendar_sums all_sums(const struct replay *r) {
  struct calendar_sums sums;
  calendar_sums(r->calendar, at_s(0), at_s(SECONDS_MAX), &sums);
  return sums;
}

/* ---- the meter's word ---- */

static bool meter_event(void *context, const struct event *events, const uint64_t *lines, size_t count,
                        struct error *err) {
  (void)lines;
  for (size_t i = 0; i < count; i++) {
    if (!usage_add(context, &events[i], err)) {
      return false;
    }
  }
  return true;
}

static bool no_bad_line(void *context, const char *file, uint64_t line, const struct error *why) {
  (void)context;
  fail_msg("%s:%llu: %s", file, (unsigned long long)line, why->message);
  return false;
}

static void meter_trace(struct trace *t, quantity *firm, quantity *spot) {
  struct error err = {0};
  struct catalog *catalog;
  struct csv_map *map;
  const struct usage_row *rows;
  size_t count;
  const char *folder = arena_printf(t->arena, "%s/examples/openb", getenv("MH_ROOT"));
  assert_true(catalog_load(folder, &catalog, &err));
  assert_true(csv_map_load(arena_printf(t->arena, "%s/openb.map.yaml", folder), &map, &err));
  struct usage *usage = usage_new(catalog);
  usage_window(usage, SLICE("openb"), (struct period){at_s(0), at_s(SECONDS_MAX)}, NULL, 0);
  struct event_reader_hooks hooks = {meter_event, no_bad_line, usage};
  assert_true(events_read_file(shared_file(t, "openb_pod_list_default.csv"), map, at_s(SECONDS_MAX), &hooks, &err));
  assert_true(usage_finish(usage, &rows, &count, &err));
  assert_true(count > 0);
  for (size_t i = 0; i < count; i++) {
    assert_true(slice_is(rows[i].meter->name, "gpu_hours"));
    quantity *sum = class_of(rows[i].dimensions[0]) == CLASS_SPOT ? spot : firm;
    assert_true(quantity_add(*sum, rows[i].value, sum, &err));
  }
  usage_free(usage);
  csv_map_free(map);
  catalog_free(catalog);
}

/* ---- tests ---- */

static void the_calendar_holds_what_the_trace_and_the_meter_say(void **state) {
  (void)state;
  struct trace t;
  if (!read_trace(&t)) {
    skip();
  }
  struct replay r = replay_trace(&t, t.cluster_gpus);
  struct calendar_sums sums = all_sums(&r);
  quantity firm = QUANTITY_ZERO, spot = QUANTITY_ZERO;
  meter_trace(&t, &firm, &spot);
  assert_true(sums.firm_e18s == t.firm_ms * 1000000 * NS_PER_S);
  assert_true(sums.spot_e18s == t.spot_ms * 1000000 * NS_PER_S);
  assert_true(sums.firm_e18s == firm.e9 * NS_PER_S);
  assert_true(sums.spot_e18s == spot.e9 * NS_PER_S);
  assert_true(sums.capacity_e18s == (int128)t.cluster_gpus * SECONDS_MAX * QUANTITY_E9 * NS_PER_S);
  assert_int_equal(calendar_count(r.calendar), t.pods.count);
  assert_int_equal(r.gave_way + r.spot_refused, 0);
  print_message("%zu pods with GPUs on %zu GPUs: spot had to give way %zu times\n", t.pods.count, t.cluster_gpus,
                r.gave_way);
  end_replay(&r);
  free_trace(&t);
}

/* As few GPUs as all that is firm needs at its highest: spot has to go, firm has every second it had. */
static void spot_gives_way_on_a_small_cluster(void **state) {
  (void)state;
  struct trace t;
  if (!read_trace(&t)) {
    skip();
  }
  int64_t held_milli = 0, most_milli = 0;
  for (size_t i = 0; i < t.pods.count * 2; i++) {
    if (t.turns[i].pod->class != CLASS_SPOT) {
      held_milli += t.turns[i].begins ? t.turns[i].pod->milli : -t.turns[i].pod->milli;
      most_milli = held_milli > most_milli ? held_milli : most_milli;
    }
  }
  size_t gpus = (size_t)(most_milli + 999) / 1000;
  struct replay r = replay_trace(&t, gpus);
  struct calendar_sums sums = all_sums(&r);
  assert_true(sums.firm_e18s == t.firm_ms * 1000000 * NS_PER_S);
  assert_true(sums.spot_e18s == r.spot_ms * 1000000 * NS_PER_S);
  assert_true(r.spot_ms < t.spot_ms);
  /* as a plain running total gives them */
  assert_int_equal(gpus, 62);
  assert_int_equal(r.gave_way, 2);
  assert_int_equal(r.pods_gone, 5);
  assert_int_equal(r.spot_refused, 1);
  assert_true(sums.firm_e18s + sums.spot_e18s <= sums.capacity_e18s);
  print_message("%zu GPUs: spot had to give way %zu times, %zu pods went, %zu found no room\n", gpus, r.gave_way,
                r.pods_gone, r.spot_refused);
  end_replay(&r);
  free_trace(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_calendar_holds_what_the_trace_and_the_meter_say),
      cmocka_unit_test(spot_gives_way_on_a_small_cluster),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
