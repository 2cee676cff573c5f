/* What is behind a line of an invoice: the hours of usage that its price took, and the events they were metered from,
 * read again as the journal stood when the invoice was made. docs/explain.md. */
#include "base/json.h"
#include "book/private.h"
#include <stdlib.h>
#include <string.h>

#define PLACE_TEXT_MAX 512

struct shown_event {
  uint64_t number;
  instant time;
  slice id, source;
  quantity value;
  bool matches; /* the line's price takes usage of its dimensions */
};
struct explaining {
  struct book *book;
  struct arena *arena;
  const struct stored_invoice *invoice;
  const struct catalog *catalog;
  const struct json *document, *line;
  struct explain_options options;
  struct rating_set set;
  const struct charge *charge; /* of a usage line */
  VEC(const struct usage_row *) rows;
  quantity sum;
  VEC(struct shown_event) events; /* as many as are shown */
  uint64_t event_count, after;    /* after: only later events, of an adjustment */
  struct map levels;              /* INTEGRAL: series to the level it stands at, a struct shown_event */
  instant from;
};

static bool is_late(const struct explaining *e) {
  return json_get(e->line, "adjusts") != NULL;
}

static bool adds_up(enum aggregation a) {
  return a != AGG_MAX && a != AGG_MIN && a != AGG_LATEST;
}

/* ---- the charge again ---- */

/* The file's name alone, as documents have it. */
static char *place_text(struct place place, char text[PLACE_TEXT_MAX]) {
  const char *file = place.file ? place.file : "", *slash = strrchr(file, '/');
  snprintf(text, PLACE_TEXT_MAX, "%s:%d", slash ? slash + 1 : file, place.line);
  return text;
}

/* Whose line it is: a consolidated document has lines of several. */
static slice owner_of(const struct explaining *e) {
  slice member = json_text(e->line, "customer");
  return member.len > 0 ? member : e->invoice->customer;
}

static bool is_line(const struct explaining *e, const struct charge *c) {
  char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX], at[PLACE_TEXT_MAX];
  return c->kind == CHARGE_USAGE && c->price && slice_eq(c->name, json_text(e->line, "description")) &&
         slice_is(json_text(e->line, "from"), time_format(c->segment->from, from)) &&
         slice_is(json_text(e->line, "to"), time_format(c->segment->to, to)) &&
         slice_is(json_text(e->line, "price_at"), place_text(c->price->place, at));
}

static bool rate_again(struct explaining *e, struct error *err) {
  const struct stored_invoice *i = e->invoice;
  struct rate_request request = {.customer = owner_of(e),
                                 .period = i->period,
                                 .position = i->journal_position,
                                 .no_events = i->journal_position == 0,
                                 .as_of = i->issued.ns < i->to.ns ? i->issued : INSTANT_MAX,
                                 .catalog = e->catalog,
                                 .no_evidence = true};
  if (!rate_at(e->book, &request, &e->set, err)) {
    return false;
  }
  for (size_t r = 0; r < e->set.rating_count; r++) {
    for (size_t c = 0; c < e->set.ratings[r].charge_count; c++) {
      const struct charge *charge = &e->set.ratings[r].charges[c];
      bool own = slice_eq(e->set.ratings[r].customer->id, owner_of(e));
      e->charge = own && is_line(e, charge) ? charge : e->charge;
    }
  }
  return e->charge != NULL || error_set(err, ERR_CORRUPT, "the usage no longer gives this line: see `check`");
}

static bool takes(const struct explaining *e, const slice *dimensions) {
  const struct charge *c = e->charge;
  return c == NULL || rate_price_of(e->catalog, c->segment, c->meter, dimensions) == c->price;
}

static bool take_rows(struct explaining *e, struct error *err) {
  const struct charge *c = e->charge;
  for (size_t i = 0; i < e->set.row_count; i++) {
    const struct usage_row *row = &e->set.rows[i];
    if (row->meter != c->meter || !slice_eq(row->customer, owner_of(e)) || row->from.ns < c->segment->from.ns ||
        row->from.ns >= c->segment->to.ns || !takes(e, row->dimensions)) {
      continue;
    }
    vec_push(&e->rows, row);
    if (!quantity_add(e->sum, row->value, &e->sum, err)) {
      return false;
    }
  }
  return !adds_up(c->meter->aggregation) || quantity_cmp(e->sum, c->raw) == 0 ||
         error_set(err, ERR_CORRUPT, "the hours behind this line do not sum to its quantity: see `check`");
}

/* ---- the events ---- */

static void show(struct explaining *e, const struct shown_event *event) {
  e->event_count++;
  if (e->events.count < e->options.events_max) {
    vec_push(&e->events, *event);
  }
}

static bool take_event(void *context, const struct event *event, const struct arrival *arrival, const slice *dimensions,
                       quantity value, struct error *err) {
  struct explaining *e = context;
  const struct meter *meter = catalog_meter(e->catalog, json_text(e->line, "meter"));
  (void)err;
  if (arrival->number <= e->after) {
    return true;
  }
  struct shown_event one = {.number = arrival->number, .time = event->time, .value = value};
  one.id = arena_copy(e->arena, event->id);
  one.source = arena_copy(e->arena, event->source);
  one.matches = takes(e, dimensions);
  if (meter->aggregation != AGG_INTEGRAL || meter->series_field.len == 0 || is_late(e)) {
    if (one.matches) {
      show(e, &one);
    }
    return true;
  }
  /* A change of level matters when it sets one that the price takes, or ends one. */
  slice series = arena_copy(e->arena, event_field_value(event, meter->series_field));
  struct shown_event **level = (struct shown_event **)map_put(&e->levels, series);
  bool ends = *level && (*level)->matches;
  if (event->time.ns >= e->from.ns && (one.matches || ends)) {
    show(e, &one);
  }
  if (*level == NULL) {
    *level = arena_alloc(e->arena, sizeof **level);
  }
  if (event->time.ns >= (*level)->time.ns) {
    bool before = (*level)->number > 0 && (*level)->time.ns < e->from.ns && event->time.ns >= e->from.ns;
    if (before && ends && (*level)->value.e9 > 0) {
      show(e, *level);
    }
    **level = one;
  }
  return true;
}

/* Levels that were set before the line begins, and not since. */
static void take_standing(struct explaining *e) {
  for (size_t i = 0; i < e->levels.capacity; i++) {
    const struct shown_event *level = e->levels.slots[i].value;
    if (level && level->time.ns < e->from.ns && level->matches && level->value.e9 > 0) {
      show(e, level);
    }
  }
}

static bool take_events(struct explaining *e, struct error *err) {
  struct usage_events wanted = {.customer = owner_of(e),
                                .meter = catalog_meter(e->catalog, json_text(e->line, "meter")),
                                .position = e->invoice->journal_position};
  if (wanted.meter == NULL || !time_parse_rfc3339(json_text(e->line, "from"), &e->from, err) ||
      !time_parse_rfc3339(json_text(e->line, "to"), &wanted.before, err)) {
    return error_at(err, "the line's meter and dates");
  }
  wanted.from = wanted.meter->aggregation == AGG_INTEGRAL ? (instant){0} : e->from;
  if (is_late(e)) {
    const struct json *span = json_get(e->line, "adjusts");
    quantity from, to;
    if (!quantity_parse(json_text(span, "from_event"), &from, err) ||
        !quantity_parse(json_text(span, "to_event"), &to, err)) {
      return error_at(err, "adjusts");
    }
    e->after = (uint64_t)(from.e9 / QUANTITY_E9);
    wanted.position = (uint64_t)(to.e9 / QUANTITY_E9);
  }
  if (wanted.position == 0) {
    return true;
  }
  if (!usage_events_behind(e->book->db, e->catalog, &wanted, take_event, e, err)) {
    return false;
  }
  take_standing(e);
  return true;
}

/* ---- as text ---- */

static void put_dimensions(const struct usage_row *row, struct buf *out) {
  for (size_t d = 0; d < row->meter->dimension_count; d++) {
    buf_addf(out, "  " SLICE_FMT "=" SLICE_FMT, SLICE_ARG(row->meter->dimensions[d]), SLICE_ARG(row->dimensions[d]));
  }
}

static void put_contract(const struct explaining *e, struct buf *out) {
  static const char *const causes[] = {"began", "a phase began", "changed"};
  const struct contract *part = e->charge->segment->contract;
  char at[TIME_TEXT_MAX], sum[DECIMAL_TEXT_MAX], place[PLACE_TEXT_MAX];
  buf_addf(out, "  contract   %s at %s (%s)\n", causes[part->cause], time_format(part->from, at),
           place_text(part->place, place));
  buf_addf(out, "  hours      %zu of usage", e->rows.count);
  if (adds_up(e->charge->meter->aggregation)) {
    buf_addf(out, ", which sum to %s as metered", quantity_text(e->sum, sum));
  }
  buf_addc(out, '\n');
}

static void put_rows(const struct explaining *e, struct buf *out) {
  char from[TIME_TEXT_MAX], value[DECIMAL_TEXT_MAX];
  put_contract(e, out);
  for (size_t i = 0; i < e->rows.count && i < e->options.events_max; i++) {
    const struct usage_row *row = e->rows.items[i];
    buf_addf(out, "             %s", time_format(row->from, from));
    put_dimensions(row, out);
    buf_addf(out, "  %s (%u events)\n", quantity_text(row->value, value), row->events);
  }
  if (e->rows.count > e->options.events_max) {
    buf_addf(out, "             and %zu more\n", e->rows.count - e->options.events_max);
  }
}

static void put_events(const struct explaining *e, struct buf *out) {
  char time[TIME_TEXT_MAX], value[DECIMAL_TEXT_MAX];
  buf_addf(out, "  events     %llu %s\n", (unsigned long long)e->event_count,
           is_late(e) ? "came in after that invoice" : "behind it, by their number in the journal");
  for (size_t i = 0; i < e->events.count; i++) {
    const struct shown_event *s = &e->events.items[i];
    buf_addf(out, "             %llu: %s  %s, id " SLICE_FMT " of " SLICE_FMT "%s\n", (unsigned long long)s->number,
             time_format(s->time, time), quantity_text(s->value, value), SLICE_ARG(s->id), SLICE_ARG(s->source),
             s->time.ns < e->from.ns ? ", held since" : "");
  }
  if (e->event_count > e->events.count) {
    buf_addf(out, "             and %llu more\n", (unsigned long long)(e->event_count - e->events.count));
  }
}

/* ---- as JSON ---- */

static void json_rows(const struct explaining *e, struct json_out *w) {
  char text[TIME_TEXT_MAX];
  json_key(w, "hours");
  json_open_array(w);
  for (size_t i = 0; i < e->rows.count && i < e->options.events_max; i++) {
    const struct usage_row *row = e->rows.items[i];
    json_open_object(w);
    json_put_cstr(w, "from", time_format(row->from, text));
    json_put_cstr(w, "to", time_format(row->to, text));
    json_key(w, "dimensions");
    json_open_object(w);
    for (size_t d = 0; d < row->meter->dimension_count; d++) {
      json_key_slice(w, row->meter->dimensions[d]);
      json_str(w, row->dimensions[d]);
    }
    json_close_object(w);
    json_put_quantity(w, "raw", row->value);
    json_put_int(w, "events", row->events);
    json_close_object(w);
  }
  json_close_array(w);
  json_put_int(w, "hour_count", (int64_t)e->rows.count);
  if (e->charge && adds_up(e->charge->meter->aggregation)) {
    json_put_quantity(w, "raw_sum", e->sum);
  }
}

static void json_events(const struct explaining *e, struct json_out *w) {
  char text[TIME_TEXT_MAX];
  json_key(w, "events");
  json_open_array(w);
  for (size_t i = 0; i < e->events.count; i++) {
    const struct shown_event *s = &e->events.items[i];
    json_open_object(w);
    json_put_int(w, "number", (int64_t)s->number);
    json_put_cstr(w, "time", time_format(s->time, text));
    json_put_str(w, "source", s->source);
    json_put_str(w, "id", s->id);
    json_put_quantity(w, "value", s->value);
    json_close_object(w);
  }
  json_close_array(w);
  json_put_int(w, "event_count", (int64_t)e->event_count);
}

static void put_json(const struct explaining *e, struct buf *out) {
  struct json_out w;
  json_out_init(&w, out, true);
  json_open_object(&w);
  json_put_str(&w, "invoice", e->invoice->number);
  json_key(&w, "line");
  json_value(&w, e->line);
  json_rows(e, &w);
  json_events(e, &w);
  json_close_object(&w);
  buf_addc(out, '\n');
}

/* ---- the whole ---- */

static bool look_behind(struct explaining *e, struct error *err) {
  /* A credit note takes from the document it corrects: there is nothing metered behind it. */
  bool usage = slice_is(json_text(e->line, "kind"), "usage") && json_get(e->line, "corrects") == NULL;
  if (usage && (!rate_again(e, err) || !take_rows(e, err))) {
    return false;
  }
  return (!usage && !(is_late(e) && json_text(e->line, "meter").len > 0)) || take_events(e, err);
}

static bool explain_line(struct explaining *e, uint32_t number, struct buf *out, struct error *err) {
  if (!document_parse(e->arena, e->invoice->document, &e->document, err) ||
      !document_line(e->document, number, &e->line, err) ||
      !versions_find(e->book, e->invoice->catalog, &e->catalog, err) || !look_behind(e, err)) {
    return false;
  }
  if (e->options.json) {
    put_json(e, out);
    return true;
  }
  if (!invoice_explain(e->invoice->document, number, out, err)) {
    return false;
  }
  if (e->charge) {
    put_rows(e, out);
  }
  if (e->charge || e->event_count > 0) {
    put_events(e, out);
  }
  return true;
}

bool book_explain(struct book *book, const struct stored_invoice *invoice, slice what, struct explain_options options,
                  struct buf *out, struct error *err) {
  quantity number;
  struct error ignored;
  if (!quantity_parse(what, &number, &ignored)) {
    return invoice_explain_sum(invoice->document, what, out, err);
  }
  if (number.e9 <= 0 || number.e9 % QUANTITY_E9 != 0 || number.e9 / QUANTITY_E9 > UINT32_MAX) {
    return error_set(err, ERR_INVALID, "a line is a whole number from 1");
  }
  struct explaining e = {.book = book, .arena = arena_new(), .invoice = invoice, .options = options};
  bool ok = explain_line(&e, (uint32_t)(number.e9 / QUANTITY_E9), out, err);
  if (e.set.arena) {
    rating_set_free(&e.set);
  }
  vec_free(&e.rows);
  vec_free(&e.events);
  map_free(&e.levels);
  arena_free(e.arena);
  return ok;
}

bool book_explain_draft(struct book *book, slice customer, slice period, slice what, struct explain_options options,
                        struct buf *out, struct error *err) {
  struct rating_set set;
  struct invoice invoice;
  struct buf document;
  if (!book_rate(book, customer, period, &set, err)) {
    return false;
  }
  buf_init(&document, DOCUMENT_BYTES_MAX);
  const struct rating *rating = rating_set_find(&set, customer);
  bool ok = rating != NULL || error_set(err, ERR_NOT_FOUND, "customer " SLICE_FMT " has no charges in " SLICE_FMT,
                                        SLICE_ARG(customer), SLICE_ARG(period));
  ok = ok && book_invoice(book, &set, rating, &invoice, err);
  if (ok) {
    invoice_to_json(&invoice, &document);
    struct stored_invoice draft = {.customer = customer,
                                   .period = period,
                                   .from = invoice.period.from,
                                   .to = invoice.period.to,
                                   .issued = set.as_of,
                                   .document = buf_slice(&document),
                                   .journal_position = set.journal_position};
    ok = book_explain(book, &draft, what, options, out, err);
  }
  buf_free(&document);
  rating_set_free(&set);
  return ok;
}
