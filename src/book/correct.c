/* Corrections: void an event, amend it, or replace a stretch of a meter of a customer. Each is an event itself, so that
 * every earlier state can still be asked for. docs/corrections.md. */
#include "book/private.h"
#include <stdlib.h>
#include <string.h>

#define CORRECTION_SOURCE SLICE("meterhouse")
#define EFFECT_PERIODS_MAX 36

static const char *const kind_names[] = {"void", "amend", "backfill"};

struct correcting {
  struct book *book;
  struct arena *arena;
  const struct correction_request *request;
  struct event target; /* void, amend */
  uint64_t target_number;
};

/* ---- what is asked, held against the book ---- */

static bool find_target(struct correcting *c, struct error *err) {
  const struct correction_request *r = c->request;
  bool corrected;
  if (!journal_find(c->book->journal, c->arena, r->source, r->event_id, &c->target_number, &c->target, err)) {
    return false;
  }
  if (c->target_number == 0) {
    return error_set(err, ERR_NOT_FOUND, "there is no event with source \"" SLICE_FMT "\", id \"" SLICE_FMT "\"",
                     SLICE_ARG(r->source), SLICE_ARG(r->event_id));
  }
  if (slice_starts(c->target.type, "meterhouse.")) {
    return error_set(err, ERR_INVALID, "a correction can not be corrected: make the next one");
  }
  if (!correction_of(c->book->db, c->target_number, &corrected, err)) {
    return false;
  }
  return !corrected || error_set(err, ERR_CONFLICT,
                                 "this event was voided or amended before; its replacement has source "
                                 "\"meterhouse\" and the id of that correction");
}

static bool check_replacement(const struct correcting *c, const struct event *e, struct error *err) {
  if (!event_check(e, c->book->catalog, err)) {
    return error_at(err, "event \"" SLICE_FMT "\"", SLICE_ARG(e->id));
  }
  return true;
}

static bool check_backfill(const struct correcting *c, struct error *err) {
  const struct correction_request *r = c->request;
  const struct meter *meter = catalog_meter(c->book->catalog, r->meter);
  if (meter == NULL) {
    return error_set(err, ERR_NOT_FOUND, "meter: there is no \"" SLICE_FMT "\" in the catalog", SLICE_ARG(r->meter));
  }
  if (catalog_customer(c->book->catalog, r->customer) == NULL) {
    return error_set(err, ERR_NOT_FOUND, "customer: there is no \"" SLICE_FMT "\" in the catalog",
                     SLICE_ARG(r->customer));
  }
  if (r->range.from.ns >= r->range.to.ns) {
    return error_set(err, ERR_INVALID, "from should come before to");
  }
  for (size_t i = 0; i < r->count; i++) {
    const struct event *e = &r->events[i];
    if (!slice_eq(e->subject, r->customer) || !slice_eq(e->type, meter->event_type) || e->time.ns < r->range.from.ns ||
        e->time.ns >= r->range.to.ns) {
      return error_set(err, ERR_INVALID,
                       "event \"" SLICE_FMT "\": should be of customer " SLICE_FMT ", of type " SLICE_FMT
                       ", and between from and to",
                       SLICE_ARG(e->id), SLICE_ARG(r->customer), SLICE_ARG(meter->event_type));
    }
    if (!check_replacement(c, e, err)) {
      return false;
    }
  }
  return true;
}

/* ---- the events it is kept as ---- */

static void add_text(struct event *e, struct event_field *fields, const char *name, slice value) {
  if (value.len > 0) {
    fields[e->field_count++] = (struct event_field){slice_of(name), value, false};
  }
}

static struct event correcting_event(const struct correcting *c) {
  const struct correction_request *r = c->request;
  char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
  bool backfill = r->kind == CORRECT_BACKFILL;
  struct event_field *fields = arena_array(c->arena, 8, sizeof *fields);
  struct event e = {.id = r->id,
                    .source = CORRECTION_SOURCE,
                    .type = slice_of(arena_printf(c->arena, "meterhouse.%s", kind_names[r->kind])),
                    .subject = backfill ? r->customer : c->target.subject,
                    .time = clock_now(),
                    .fields = fields};
  if (backfill) {
    add_text(&e, fields, "from", arena_copy(c->arena, slice_of(time_format(r->range.from, from))));
  } else {
    add_text(&e, fields, "id", r->event_id);
  }
  add_text(&e, fields, "meter", r->meter);
  add_text(&e, fields, "reason", r->reason);
  add_text(&e, fields, "source", r->source);
  if (backfill) {
    add_text(&e, fields, "to", arena_copy(c->arena, slice_of(time_format(r->range.to, to))));
  }
  return e;
}

static bool append_all(const struct correcting *c, const struct event *events, size_t count, struct error *err) {
  enum verdict *verdicts = arena_array(c->arena, count, sizeof *verdicts);
  if (count > 0 && !journal_append(c->book->journal, events, count, verdicts, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (verdicts[i] != EVENT_ACCEPTED) {
      return error_set(err, ERR_CONFLICT,
                       "event \"" SLICE_FMT "\" of source \"" SLICE_FMT
                       "\" is in the journal already: the events of a correction are new ones",
                       SLICE_ARG(events[i].id), SLICE_ARG(events[i].source));
    }
  }
  return true;
}

/* An integral meter's levels are cut off at the start and set again at the end: within the stretch only what the
 * backfill says is true, after it all is as it was. */
static bool levels_of(const struct correcting *c, instant at, bool unchanged, struct event **events, size_t *count,
                      struct error *err) {
  const struct correction_request *r = c->request;
  const struct period until = {{0}, {at.ns + 1}};
  struct usage *u = usage_new(c->book->catalog);
  usage_without_evidence(u);
  usage_window(u, r->customer, until, NULL, 0);
  bool ok = usage_load(u, c->book->db, 0, err) &&
            usage_levels(u, c->arena, catalog_meter(c->book->catalog, r->meter), at, unchanged, events, count, err);
  usage_free(u);
  return ok;
}

static void name_level(const struct correcting *c, struct event *e, const char *what, size_t number, instant at) {
  e->id = slice_of(arena_printf(c->arena, SLICE_FMT "/%s/%zu", SLICE_ARG(c->request->id), what, number));
  e->source = CORRECTION_SOURCE;
  e->time = at;
}

static bool same_level(const struct meter *meter, const struct event *a, const struct event *b) {
  bool same = slice_eq(event_field_value(a, meter->series_field), event_field_value(b, meter->series_field));
  for (size_t d = 0; same && meter->series_field.len == 0 && d < meter->dimension_count; d++) {
    same = slice_eq(event_field_value(a, meter->dimensions[d]), event_field_value(b, meter->dimensions[d]));
  }
  return same;
}

static bool is_among(const struct meter *meter, const struct event *one, const struct event *events, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (same_level(meter, one, &events[i])) {
      return true;
    }
  }
  return false;
}

/* Does the backfill itself say what this series is at its start? */
static bool starts_anew(const struct correcting *c, const struct meter *meter, const struct event *level) {
  for (size_t i = 0; i < c->request->count; i++) {
    const struct event *e = &c->request->events[i];
    if (e->time.ns == c->request->range.from.ns && same_level(meter, e, level)) {
      return true;
    }
  }
  return false;
}

/* Levels that the backfill sets, and that are nothing after its end: `held` are those that are something then. */
static bool append_ends(const struct correcting *c, const struct meter *meter, const struct event *held,
                        size_t held_count, struct error *err) {
  const struct correction_request *r = c->request;
  struct event *ends = arena_array(c->arena, r->count, sizeof *ends);
  size_t count = 0;
  for (size_t i = 0; i < r->count; i++) {
    if (is_among(meter, &r->events[i], held, held_count) || is_among(meter, &r->events[i], ends, count)) {
      continue;
    }
    struct event end = event_copy(c->arena, &r->events[i]);
    for (size_t f = 0; f < end.field_count; f++) {
      struct event_field *field = (struct event_field *)&end.fields[f];
      if (slice_eq(field->name, meter->value_field)) {
        field->value = SLICE("0");
      }
    }
    name_level(c, &end, "end", count, r->range.to);
    ends[count++] = end;
  }
  return append_all(c, ends, count, err);
}

static bool append_cuts(const struct correcting *c, const struct meter *meter, struct event *levels, size_t count,
                        struct error *err) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    struct event_field *fields = (struct event_field *)levels[i].fields;
    if (starts_anew(c, meter, &levels[i])) {
      continue;
    }
    for (size_t f = 0; f < levels[i].field_count; f++) {
      fields[f].value = fields[f].number ? SLICE("0") : fields[f].value;
    }
    name_level(c, &levels[i], "cut", kept, c->request->range.from);
    levels[kept++] = levels[i];
  }
  return append_all(c, levels, kept, err);
}

static bool append_levels(const struct correcting *c, struct error *err) {
  const struct correction_request *r = c->request;
  const struct meter *meter = catalog_meter(c->book->catalog, r->meter);
  const instant just_after = {r->range.to.ns + 1};
  struct event *before, *after, *held;
  size_t before_count, after_count, held_count;
  if (meter->aggregation != AGG_INTEGRAL) {
    return true;
  }
  if (!levels_of(c, r->range.from, false, &before, &before_count, err) ||
      !levels_of(c, r->range.to, true, &after, &after_count, err) ||
      !levels_of(c, just_after, false, &held, &held_count, err)) {
    return false;
  }
  for (size_t i = 0; i < after_count; i++) {
    name_level(c, &after[i], "resume", i, r->range.to);
  }
  return append_cuts(c, meter, before, before_count, err) && append_all(c, after, after_count, err) &&
         append_ends(c, meter, held, held_count, err);
}

static bool append_replacements(const struct correcting *c, struct error *err) {
  const struct correction_request *r = c->request;
  if (r->kind == CORRECT_BACKFILL) {
    return append_levels(c, err) && append_all(c, r->events, r->count, err);
  }
  if (r->kind == CORRECT_AMEND) {
    struct event *replacement = arena_alloc(c->arena, sizeof *replacement);
    *replacement = r->events[0];
    replacement->source = CORRECTION_SOURCE;
    replacement->id = slice_of(arena_printf(c->arena, SLICE_FMT "/replacement", SLICE_ARG(r->id)));
    return append_all(c, replacement, 1, err);
  }
  return true;
}

static bool keep(const struct correcting *c, uint64_t number, struct error *err) {
  const struct correction_request *r = c->request;
  bool backfill = r->kind == CORRECT_BACKFILL;
  struct correction_row row = {.number = number,
                               .id = r->id,
                               .kind = slice_of(kind_names[r->kind]),
                               .target = c->target_number,
                               .customer = backfill ? r->customer : c->target.subject,
                               .meter = r->meter,
                               .from = backfill ? r->range.from : c->target.time,
                               .to = backfill ? r->range.to : (instant){c->target.time.ns + 1},
                               .last = backfill ? journal_count(c->book->journal) : number};
  return correction_keep(c->book->db, &row, err);
}

/* ---- once ---- */

static bool same_request(const struct event *kept, const struct event *now) {
  bool same = slice_eq(kept->type, now->type) && kept->field_count == now->field_count;
  for (size_t i = 0; same && i < kept->field_count; i++) {
    same = slice_eq(kept->fields[i].name, now->fields[i].name) && slice_eq(kept->fields[i].value, now->fields[i].value);
  }
  return same;
}

static bool repeated(struct correcting *c, struct correction_result *out, struct error *err) {
  struct event kept, now;
  if (!journal_find(c->book->journal, c->arena, CORRECTION_SOURCE, c->request->id, &out->number, &kept, err)) {
    return false;
  }
  now = correcting_event(c);
  out->repeated = out->number > 0;
  return !out->repeated || same_request(&kept, &now) ||
         error_set(err, ERR_CONFLICT, "correction \"" SLICE_FMT "\" was made before, and said something else",
                   SLICE_ARG(c->request->id));
}

bool book_correct(struct book *book, struct arena *arena, const struct correction_request *request,
                  struct correction_result *out, struct error *err) {
  struct correcting c = {.book = book, .arena = arena, .request = request};
  *out = (struct correction_result){.id = request->id};
  if (request->id.len == 0 || request->id.len > CORRECTION_ID_BYTES_MAX) {
    return error_set(err, ERR_INVALID, "id: a correction has one, of up to %d bytes", CORRECTION_ID_BYTES_MAX);
  }
  if (!repeated(&c, out, err) || out->repeated) {
    return out->repeated && err->code == ERR_NONE;
  }
  bool ok = request->kind == CORRECT_BACKFILL ? check_backfill(&c, err) : find_target(&c, err);
  if (!ok || (request->kind == CORRECT_AMEND && !check_replacement(&c, &request->events[0], err))) {
    return false;
  }
  struct event *event = arena_alloc(arena, sizeof *event);
  *event = correcting_event(&c);
  if (!append_all(&c, event, 1, err)) {
    return false;
  }
  out->number = journal_count(book->journal);
  return append_replacements(&c, err) && keep(&c, out->number, err);
}

/* ---- its effect in money ---- */

struct effects {
  struct book *book;
  struct arena *arena;
  VEC(struct correction_effect) list;
};

static bool rate_effect(struct effects *e, struct correction_effect *effect, amount *total, struct error *err) {
  struct rating_set set;
  const struct rate_request request = {
      .customer = effect->customer, .period = effect->period, .as_of = clock_now(), .no_evidence = true};
  if (!rate_at(e->book, &request, &set, err)) {
    return false;
  }
  const struct rating *rating = rating_set_find(&set, effect->customer);
  *total = rating ? rating->total : AMOUNT_ZERO;
  rating_set_free(&set);
  return true;
}

static bool take_any(void *context, const struct stored_invoice *i, struct error *err) {
  (void)err;
  *(bool *)context |= !slice_is(i->status, "void");
  return true;
}

/* Every invoice period of the customer that the stretch touches. */
static bool list_periods(struct effects *e, slice customer, struct period range, struct error *err) {
  const struct customer *known = catalog_customer(e->book->catalog, customer);
  for (instant t = range.from; known && t.ns < range.to.ns && e->list.count < EFFECT_PERIODS_MAX;) {
    char name[2 * TIME_TEXT_MAX];
    struct period period;
    struct correction_effect effect = {.customer = customer, .currency = known->currency};
    if (!billing_period_at(known, t, &period, err)) {
      return false;
    }
    effect.period = arena_copy(e->arena, slice_of(billing_period_name(known, period, name)));
    struct invoice_query query = {.customer = customer, .period = effect.period, .limit = 10};
    if (!invoice_list(e->book->db, &query, take_any, &effect.invoiced, err) ||
        !rate_effect(e, &effect, &effect.before, err)) {
      return false;
    }
    vec_push(&e->list, effect);
    t = period.to;
  }
  return true;
}

/* A level once set holds on: what corrects it may reach up to now. */
static struct period reach(const struct event *e, instant now) {
  return (struct period){e->time, {time_later(e->time, now).ns + 1}};
}

static bool list_effects(struct effects *e, const struct correction_request *r, struct error *err) {
  struct event target = {0};
  uint64_t number;
  if (r->kind == CORRECT_BACKFILL) {
    return list_periods(e, r->customer, r->range, err);
  }
  if (!journal_find(e->book->journal, e->arena, r->source, r->event_id, &number, &target, err)) {
    return false;
  }
  if (number == 0) {
    return true;
  }
  instant now = clock_now();
  struct period range = reach(&target, now);
  bool same_customer = r->kind == CORRECT_AMEND && slice_eq(r->events[0].subject, target.subject);
  if (same_customer && r->events[0].time.ns < range.from.ns) {
    range.from = r->events[0].time;
  }
  return list_periods(e, target.subject, range, err) &&
         (r->kind == CORRECT_VOID || same_customer ||
          list_periods(e, r->events[0].subject, reach(&r->events[0], now), err));
}

static bool try_out(struct effects *e, const struct correction_request *r, struct correction_result *out,
                    struct error *err) {
  bool ok =
      list_effects(e, r, err) && book_correct(e->book, e->arena, r, out, err) && journal_flush(e->book->journal, err);
  for (size_t i = 0; ok && i < e->list.count; i++) {
    ok = rate_effect(e, &e->list.items[i], &e->list.items[i].after, err);
  }
  return ok;
}

bool book_correct_preview(struct book *book, struct arena *arena, const struct correction_request *request,
                          struct correction_result *out, struct error *err) {
  struct effects e = {.book = book, .arena = arena};
  if (!book_begin(book, err)) {
    return false;
  }
  bool ok = try_out(&e, request, out, err);
  book_undo(book);
  if (ok && e.list.count > 0) {
    struct correction_effect *effects = arena_array(arena, e.list.count, sizeof *effects);
    memcpy(effects, e.list.items, e.list.count * sizeof *effects);
    out->effects = effects;
    out->effect_count = e.list.count;
  }
  vec_free(&e.list);
  return ok;
}
