/* Doing what has fallen due, moment by moment: invoices of periods that ended, openings of contracts, and the chores of
 * the day. The same for the clock of the wall, which looks now and then, and for a test clock, which is moved on. */
#include "base/log.h"
#include "book/due.h"
#include "collect/collect.h"
#include <stdlib.h>
#include <string.h>

#define INVOICES_PER_STEP 256 /* others wait for the core meanwhile */
#define DUNNING_EVERY_NS (INT64_C(3600) * NS_PER_S)
#define DAY_NS (INT64_C(86400) * NS_PER_S)

struct running {
  struct book *reader;
  const struct due_writer *writer;
  struct due *due;
  struct due_notes notes;
  struct due_result *result;
  bool first; /* ever: where looking began must be kept */
};

/* ---- writing ---- */

static bool write(const struct running *r, bool (*apply)(void *work, struct book *book, struct error *err), void *work,
                  struct error *err) {
  return r->writer->write(r->writer->context, apply, work, err);
}

struct invoices {
  struct rating_set *set;
  const struct rating *const *ratings;
  size_t count;
  struct close_result result;
};

static bool write_invoices(void *work, struct book *book, struct error *err) {
  struct invoices *w = work;
  w->result = (struct close_result){0};
  for (size_t i = 0; i < w->count; i++) {
    if (!finalize_rating(book, w->set, w->ratings[i], &w->result, err)) {
      return false;
    }
  }
  return true;
}

struct mark {
  instant until;
  bool simulated;
  bool credits; /* some begin or expire */
  bool dunning;
};

static bool dun(struct book *book, instant now, struct error *err) {
  struct collect c = {book->db, book->ledger, book->catalog, now, arena_new()};
  bool ok = collect_dunning(&c, NULL, NULL, err) && setting_keep_instant(book, "dunned", now, err);
  arena_free(c.arena);
  return ok;
}

static bool write_mark(void *work, struct book *book, struct error *err) {
  const struct mark *m = work;
  struct credit_run run;
  return (!m->credits || book_credits_due(book, m->until, &run, err)) && (!m->dunning || dun(book, m->until, err)) &&
         setting_keep_instant(book, "due_until", m->until, err) &&
         (!m->simulated || setting_keep_instant(book, "test_clock", m->until, err));
}

/* ---- invoices ---- */

static void note(const struct running *r, const char *what) {
  if (r->notes.note) {
    r->notes.note(r->notes.context, what);
  } else {
    log_line(LOG_WARN, "due", "%s", what);
  }
}

/* Usage without a price holds an invoice back (held.c): it is never free by accident. */
static bool held_back(struct running *r, const struct rating *rating) {
  if (rating->unpriced_count == 0) {
    return false;
  }
  char text[512], name[2 * TIME_TEXT_MAX];
  snprintf(text, sizeof text,
           "the invoice of customer " SLICE_FMT " for %s is held back: %zu kinds of usage have no price",
           SLICE_ARG(rating->customer->id), billing_period_name(rating->customer, rating->period, name),
           rating->unpriced_count);
  note(r, text);
  r->result->held++;
  return true;
}

static bool finalize_all(struct running *r, struct rating_set *set, const struct rating *const *ratings, size_t count,
                         struct error *err) {
  for (size_t first = 0; first < count; first += INVOICES_PER_STEP) {
    struct invoices work = {.set = set,
                            .ratings = ratings + first,
                            .count = count - first < INVOICES_PER_STEP ? count - first : INVOICES_PER_STEP};
    if (!write(r, write_invoices, &work, err)) {
      return false;
    }
    r->result->invoices += work.result.invoices;
    log_progress("invoices", first + work.count, count);
  }
  return true;
}

/* `*held`: how many of them are held back. */
static bool invoice_customers(struct running *r, const struct customer *const *customers, size_t customer_count,
                              slice period, size_t *held, struct error *err) {
  struct rating_set set;
  size_t count = 0;
  *held = 0;
  if (!rate_due(r->reader, customers, customer_count, period, &set, err)) {
    return false;
  }
  const struct rating **ratings = arena_array(set.arena, set.rating_count, sizeof *ratings);
  const struct rating **waiting = arena_array(set.arena, set.rating_count, sizeof *waiting);
  for (size_t i = 0; i < set.rating_count; i++) {
    if (held_back(r, &set.ratings[i])) {
      waiting[(*held)++] = &set.ratings[i];
    } else {
      ratings[count++] = &set.ratings[i];
    }
  }
  bool ok = finalize_all(r, &set, ratings, count, err) && held_keep(r->writer, waiting, *held, err);
  rating_set_free(&set);
  return ok;
}

static bool end_period(struct running *r, const struct calendar *calendar, struct error *err) {
  char name[2 * TIME_TEXT_MAX];
  size_t held;
  billing_period_name(calendar->customers.items[0], calendar->period, name);
  return invoice_customers(r, calendar->customers.items, calendar->customers.count, slice_of(name), &held, err);
}

static bool try_held_again(struct running *r, struct held *h, struct error *err) {
  const struct customer *customer = catalog_customer(r->reader->catalog, h->customer);
  size_t held = 0;
  return (customer == NULL || invoice_customers(r, &customer, 1, h->period, &held, err)) &&
         (held > 0 || held_let_go(r->writer, h, err));
}

static bool try_all_held_again(struct running *r, bool all, struct error *err) {
  struct held_list list = {.arena = arena_new()};
  bool ok = held_load(r->reader, all, &list, err);
  for (size_t i = 0; ok && i < list.items.count; i++) {
    ok = try_held_again(r, &list.items.items[i], err);
  }
  vec_free(&list.items);
  arena_free(list.arena);
  return ok;
}

static bool finalize_openings(struct running *r, struct rating_set *set, const struct rating *const *ratings,
                              size_t count, struct error *err) {
  struct rating *openings = arena_array(set->arena, count, sizeof *openings);
  for (size_t i = 0; i < count; i++) {
    openings[i] = *ratings[i];
  }
  set->openings = openings;
  set->opening_count = count;
  if (!rating_set_consolidate(set, r->reader->catalog, r->reader->db, err)) {
    return false;
  }
  const struct rating **joined = arena_array(set->arena, set->opening_count, sizeof *joined);
  for (size_t i = 0; i < set->opening_count; i++) {
    joined[i] = &set->openings[i];
  }
  return finalize_all(r, set, joined, set->opening_count, err);
}

static bool open_contracts(struct running *r, const struct due_moment *moment, struct error *err) {
  struct rating_set set = {.arena = arena_new(), .as_of = clock_now()};
  VEC(const struct rating *) ratings = {0};
  bool ok = true;
  for (size_t i = moment->first_opening; ok && i < r->due->openings.count; i++) {
    const struct opening *opening = &r->due->openings.items[i];
    struct rating *rating = arena_alloc(set.arena, sizeof *rating);
    if (opening->at.ns != moment->at.ns) {
      break;
    }
    ok = rate_opening(set.arena, r->reader->catalog, opening->customer, opening->at, rating, err);
    if (ok && rating->charge_count + rating->commitment_count > 0) {
      vec_push(&ratings, rating);
    }
  }
  ok = ok && finalize_openings(r, &set, ratings.items, ratings.count, err);
  vec_free(&ratings);
  rating_set_free(&set);
  return ok;
}

/* ---- moments ---- */

static bool invoice_moment(struct running *r, const struct due_moment *moment, struct error *err) {
  for (size_t i = 0; i < r->due->calendars.count; i++) {
    const struct calendar *calendar = &r->due->calendars.items[i];
    if (calendar->moment.ns == moment->at.ns && !end_period(r, calendar, err)) {
      return false;
    }
  }
  return open_contracts(r, moment, err);
}

/* Of the catalog's time zone: reminders fall due at the beginning of a day there. */
static bool next_midnight(const struct running *r, instant t, instant *out, struct error *err) {
  const char *zone = r->reader->catalog->time_zone;
  struct civil day = time_civil(t, zone);
  day.hour = day.minute = day.second = 0;
  return time_from_civil(day, zone, out, err) && time_add_span(*out, (struct time_span){.days = 1}, zone, out, err);
}

/* Reminders go by days: once an hour is soon enough, wherever a customer's day begins. */
static bool dunning_is_due(struct book *reader, instant now, bool *due, struct error *err) {
  instant last;
  bool found;
  if (!setting_instant(reader, "dunned", &last, &found, err)) {
    return false;
  }
  *due = !found || now.ns - last.ns >= DUNNING_EVERY_NS;
  return true;
}

/* One step: to the next moment, to the next midnight of a simulated day, or to `now`. */
static bool step(struct running *r, instant until, instant now, bool simulated, instant *reached, struct error *err) {
  struct due_moment moment = {.at = INSTANT_MAX};
  if (r->due && !due_after(r->due, until, &moment, err)) {
    return false;
  }
  instant to = moment.at.ns < now.ns ? moment.at : now, midnight;
  if (simulated) {
    if (!next_midnight(r, until, &midnight, err)) {
      return false;
    }
    to = midnight.ns < to.ns ? midnight : to;
    clock_set_test(to);
  }
  bool due = r->due && moment.at.ns == to.ns;
  if (due && !invoice_moment(r, &moment, err)) {
    return false;
  }
  struct mark mark = {.until = to, .simulated = simulated};
  *reached = to;
  bool holds;
  if (!credit_is_due(r->reader->db, to, &mark.credits, err) || !dunning_is_due(r->reader, to, &mark.dunning, err) ||
      !ledger_expiry_is_due(r->reader->db, to, &holds, err)) {
    return false;
  }
  mark.credits |= holds || mark.dunning;
  bool nothing = !due && !simulated && !r->first && !mark.credits && !mark.dunning;
  return nothing || write(r, write_mark, &mark, err);
}

static bool run_steps(struct running *r, instant from, instant now, bool simulated, struct error *err) {
  instant at = from;
  while (at.ns < now.ns) {
    if (!step(r, at, now, simulated, &at, err)) {
      return false;
    }
    log_progress("days", (uint64_t)((at.ns - from.ns) / DAY_NS), (uint64_t)((now.ns - from.ns) / DAY_NS));
  }
  r->result->until = at;
  return true;
}

/* Where looking begins: after what was done before; else where the catalog says, or now. */
static bool begin_from(struct running *r, instant now, instant *from, struct error *err) {
  bool found;
  instant start = r->reader->catalog->invoicing.from;
  if (!setting_instant(r->reader, "due_until", from, &found, err)) {
    return false;
  }
  if (!found) {
    *from = start.ns ? (instant){start.ns - 1} : (instant){now.ns - 1};
  }
  r->first = !found;
  return true;
}

bool book_run_due(struct book *reader, instant now, const struct due_writer *writer, struct due_notes notes,
                  struct due_result *out, struct error *err) {
  *out = (struct due_result){0};
  struct running r = {.reader = reader, .writer = writer, .notes = notes, .result = out};
  instant from, clock;
  bool simulated;
  if (!setting_instant(reader, "test_clock", &clock, &simulated, err) || !begin_from(&r, now, &from, err)) {
    return false;
  }
  bool invoices = simulated || reader->catalog->invoicing.automatic, hourly;
  bool ok = dunning_is_due(reader, now, &hourly, err) &&
            (!invoices || (due_open(reader->catalog, &r.due, err) && try_all_held_again(&r, hourly, err))) &&
            run_steps(&r, from, now, simulated, err);
  due_close(r.due);
  return ok;
}
