/* Usage events of what leases held: a start and a stop for each stretch, amended when the engine says otherwise. */
#include "sell/lease_private.h"
#include <stdlib.h>

/* ---- what they should say ---- */

struct wish {
  instant from, to; /* equal: nothing; to INSTANT_MAX: open */
};

static struct wish wish_of(const struct lease_run *run) {
  struct wish w = {run->from, run->to};
  if (run->to.ns != INSTANT_MAX.ns) {
    w.to.ns -= run->suspended_s * NS_PER_S;
  }
  return w;
}

static bool runs_later(const struct lease_run *a, const struct lease_run *b) {
  return a->from.ns > b->from.ns || (a->from.ns == b->from.ns && a->run > b->run);
}

size_t run_rows_latest(const struct run_rows *runs) {
  size_t latest = 0;
  for (size_t i = 1; i < runs->count; i++) {
    latest = runs_later(&runs->items[i].of, &runs->items[latest].of) ? i : latest;
  }
  return latest;
}

/* What was sold and ended by itself is charged for its minimum, in its increments; what was taken away is not. */
static int64_t filling_ns(const struct lease *lease, const struct run_rows *runs, const struct pool *pool) {
  const struct lease_run *last = &runs->items[run_rows_latest(runs)].of;
  int64_t sum = 0;
  if (lease->kind != LEASE_SOLD || last->state != ENGINE_ENDED) {
    return 0;
  }
  for (size_t i = 0; i < runs->count; i++) {
    const struct wish w = wish_of(&runs->items[i].of);
    if (w.to.ns == INSTANT_MAX.ns) {
      return 0;
    }
    sum += w.to.ns - w.from.ns;
  }
  return held_charged_ns(&pool->classes[lease->class], sum) - sum;
}

/* ---- one event ---- */

enum which { START, STOP };
struct metering {
  struct leases *leases;
  struct arena *arena;
  const struct lease *lease;
  const struct pool *pool;
  size_t *events;
};

static int by_name(const void *a, const void *b) {
  return slice_cmp(((const struct event_field *)a)->name, ((const struct event_field *)b)->name);
}

static void add_field(struct event *e, struct event_field *fields, slice name, slice value, bool number) {
  for (size_t i = 0; i < e->field_count; i++) {
    if (slice_eq(fields[i].name, name)) {
      return;
    }
  }
  if (name.len > 0 && value.len > 0) {
    fields[e->field_count++] = (struct event_field){name, value, number};
  }
}

static struct event level_event(const struct metering *m, const struct run_row *run, slice id, instant at,
                                quantity level) {
  const struct meter *meter = m->pool->meter;
  const struct held held = {m->pool, m->lease->class, run->of.units};
  char text[DECIMAL_TEXT_MAX];
  struct event_field *fields = arena_array(m->arena, meter->dimension_count + meter->filter_count + 2, sizeof *fields);
  struct event e = {.id = id,
                    .source = LEASE_SOURCE,
                    .type = meter->event_type,
                    .subject = m->lease->customer,
                    .time = at,
                    .fields = fields};
  const char *series = arena_printf(m->arena, SLICE_FMT "/%u", SLICE_ARG(m->lease->id), run->of.run);
  add_field(&e, fields, meter->value_field, arena_copy(m->arena, slice_of(quantity_text(level, text))), true);
  add_field(&e, fields, meter->series_field, slice_of(series), false);
  for (size_t i = 0; i < meter->dimension_count; i++) {
    add_field(&e, fields, meter->dimensions[i], held_field(&held, meter->dimensions[i]), false);
  }
  for (size_t i = 0; i < meter->filter_count; i++) {
    add_field(&e, fields, meter->filters[i].field, held_field(&held, meter->filters[i].field), false);
  }
  qsort(fields, e.field_count, sizeof *fields, by_name);
  return e;
}

static slice event_name(const struct metering *m, const struct run_row *run, enum which which, uint32_t made) {
  return slice_of(arena_printf(m->arena, SLICE_FMT "/%u/%s/%u", SLICE_ARG(m->lease->id), run->of.run,
                               which == START ? "start" : "stop", made));
}

static slice correction_name(const struct metering *m, const struct run_row *run, enum which which, uint32_t made) {
  return slice_of(arena_printf(m->arena, SLICE_FMT ".%u.%s.%u", SLICE_ARG(m->lease->id), run->of.run,
                               which == START ? "start" : "stop", made));
}

static bool append(const struct metering *m, const struct event *event, struct error *err) {
  struct ingest_result result;
  struct event *kept = arena_alloc(m->arena, sizeof *kept);
  *kept = *event;
  if (!book_ingest(m->leases->book, m->arena, kept, 1, &result, err)) {
    return false;
  }
  return result.verdict == EVENT_ACCEPTED ||
         error_set(err, ERR_CORRUPT, "event " SLICE_FMT " of a lease was not taken: %s", SLICE_ARG(event->id),
                   result.reason ? result.reason : verdict_name(result.verdict));
}

/* The event of version `made` stands under its own name, or as the replacement that a correction made. */
static bool standing_of(const struct metering *m, const struct run_row *run, enum which which, uint32_t made,
                        struct correction_request *r, struct error *err) {
  struct event found;
  uint64_t number = 0;
  r->source = SLICE("meterhouse");
  r->event_id =
      slice_of(arena_printf(m->arena, SLICE_FMT "/replacement", SLICE_ARG(correction_name(m, run, which, made))));
  if (!journal_find(book_journal(m->leases->book), m->arena, r->source, r->event_id, &number, &found, err)) {
    return false;
  }
  if (number == 0) {
    r->source = LEASE_SOURCE;
    r->event_id = event_name(m, run, which, made);
  }
  return true;
}

static bool correct(const struct metering *m, const struct run_row *run, enum which which, uint32_t made,
                    const struct event *instead, struct error *err) {
  struct correction_result result;
  struct correction_request r = {.id = correction_name(m, run, which, made + 1),
                                 .reason = SLICE("the engine says otherwise now"),
                                 .kind = instead ? CORRECT_AMEND : CORRECT_VOID,
                                 .events = instead,
                                 .count = instead ? 1 : 0};
  return standing_of(m, run, which, made, &r, err) && book_correct(m->leases->book, m->arena, &r, &result, err);
}

/* From what stands to what is wanted: made, amended, voided or left. */
static bool set_event(const struct metering *m, const struct run_row *run, enum which which, bool is, bool wanted,
                      instant at, uint32_t *made, struct error *err) {
  const quantity level = which == START ? run->of.units : QUANTITY_ZERO;
  const struct event e = level_event(m, run, event_name(m, run, which, *made + 1), at, level);
  if (!is && !wanted) {
    return true;
  }
  if (is ? !correct(m, run, which, *made, wanted ? &e : NULL, err) : !append(m, &e, err)) {
    return false;
  }
  (*made)++;
  (*m->events)++;
  return true;
}

/* ---- one stretch ---- */

static bool meter_run(const struct metering *m, struct run_row *run, struct wish w, struct error *err) {
  const bool started = run->held.e9 > 0, stopped = started && run->of.charged_to.ns != INSTANT_MAX.ns;
  const bool start = w.to.ns > w.from.ns, stop = start && w.to.ns != INSTANT_MAX.ns;
  const bool same_start =
      started == start && (!start || (run->of.charged_from.ns == w.from.ns && run->held.e9 == run->of.units.e9));
  const bool same_stop = stopped == stop && (!stop || run->of.charged_to.ns == w.to.ns);
  if (same_start && same_stop) {
    return true;
  }
  if ((!same_start && !set_event(m, run, START, started, start, w.from, &run->start_made, err)) ||
      (!same_stop && !set_event(m, run, STOP, stopped, stop, w.to, &run->stop_made, err))) {
    return false;
  }
  run->held = start ? run->of.units : QUANTITY_ZERO;
  run->of.charged_from = w.from;
  run->of.charged_to = start ? w.to : w.from;
  return run_write(book_db(m->leases->book), run, err);
}

bool lease_meter(struct leases *leases, struct arena *arena, const struct lease *lease, struct run_rows *runs,
                 size_t *events, struct error *err) {
  const struct pool_calendar *pool = leases_pool(leases, lease->pool);
  if (pool == NULL) {
    return error_set(err, ERR_NOT_FOUND,
                     "lease " SLICE_FMT " is of the pool " SLICE_FMT
                     ", which the catalog does not sell any more: put it back until its leases are over",
                     SLICE_ARG(lease->id), SLICE_ARG(lease->pool));
  }
  const struct metering m = {leases, arena, lease, pool->pool, events};
  const size_t last = run_rows_latest(runs);
  const int64_t filling = runs->count > 0 ? filling_ns(lease, runs, pool->pool) : 0;
  for (size_t i = 0; i < runs->count; i++) {
    struct wish w = wish_of(&runs->items[i].of);
    w.to.ns += i == last ? filling : 0;
    if (!meter_run(&m, &runs->items[i], w, err)) {
      return false;
    }
  }
  return true;
}
