/* Dunning: which steps an unpaid invoice has reached, and taking each of them once. */
#include "collect/private.h"
#include <stdlib.h>

#define DAY_NS (INT64_C(86400) * NS_PER_S)

const char *dunning_action_name(enum dunning_action action) {
  static const char *const names[] = {"remind", "warn", "suspend"};
  return names[action];
}

/* ---- days ---- */

/* Days are counted on the calendar, as a day of 23 or 25 hours is one as well. */
bool dunning_day(instant due, int days, const char *zone, instant *out, struct error *err) {
  char date[TIME_TEXT_MAX];
  instant midnight;
  if (!time_parse_loose(slice_of(time_format_date(due, zone, date)), "UTC", &midnight, err)) {
    return false;
  }
  struct civil day = time_civil_utc((instant){midnight.ns + days * DAY_NS});
  return time_from_civil(day, zone, out, err);
}

bool dunning_reached(const struct catalog *catalog, const struct customer *customer, instant due, instant now,
                     bool *overdue, size_t *steps, struct error *err) {
  instant from;
  *overdue = false;
  *steps = 0;
  if (customer->no_dunning) {
    return true;
  }
  if (!dunning_day(due, 1, customer->time_zone, &from, err)) {
    return false;
  }
  *overdue = now.ns >= from.ns;
  while (*steps < catalog->dunning_count) {
    if (!dunning_day(due, catalog->dunning[*steps].after_days, customer->time_zone, &from, err)) {
      return false;
    }
    if (now.ns < from.ns) {
      break;
    }
    ++*steps;
  }
  return true;
}

/* ---- taking the steps ---- */

struct round {
  const struct collect *c;
  dunning_each each;
  void *context;
};

static bool say(const struct round *r, const struct dunning_event *e, struct error *err) {
  return r->each == NULL || r->each(r->context, e, err);
}

/* The row is what makes it happen once. */
static bool take_step(const struct round *r, const struct stored_invoice *i, const char *what, int after_days,
                      const char *message, struct error *err) {
  int64_t rows = 0;
  const struct collect *c = r->c;
  struct dunning_event e = {.customer = i->customer,
                            .invoice = i->id,
                            .number = i->number,
                            .what = slice_of(what),
                            .after_days = after_days,
                            .time = c->now};
  const char *step = arena_printf(c->arena, "%05d %s", after_days, what);
  if (!db_run(c->db,
              "INSERT INTO dunning(invoice, step, customer, what, after_days, time) VALUES($1, $2, $3, $4, $5, $6)"
              " ON CONFLICT DO NOTHING",
              DB_VALUES(DB_T(i->id), DB_T(slice_of(step)), DB_T(i->customer), DB_T(e.what), DB_I(after_days),
                        DB_I(c->now.ns)),
              &rows, err)) {
    return false;
  }
  return rows == 0 || ((message == NULL || tell_overdue(c, message, i, &e, err)) && say(r, &e, err));
}

/* A suspending step holds as long as the invoice is open: also when its payment came back. */
static bool suspend_for(const struct round *r, const struct stored_invoice *i, struct error *err) {
  bool changed;
  struct dunning_event e = {.customer = i->customer, .what = SLICE("suspended"), .time = r->c->now};
  return suspend(r->c, i->customer, i->id, &changed, err) && (!changed || say(r, &e, err));
}

static bool look_at_invoice(const struct round *r, const struct stored_invoice *i, struct error *err) {
  const struct catalog *catalog = r->c->catalog;
  const struct customer *customer = catalog_customer(catalog, i->customer);
  bool overdue;
  size_t reached;
  if (customer == NULL) {
    return true; /* it left the catalog: nobody knows whether, and in which days, to remind it */
  }
  if (!dunning_reached(catalog, customer, i->due, r->c->now, &overdue, &reached, err)) {
    return error_at(err, "invoice " SLICE_FMT, SLICE_ARG(i->number));
  }
  if (overdue && !take_step(r, i, "overdue", 1, "invoice.overdue", err)) {
    return false;
  }
  for (size_t s = 0; s < reached; s++) {
    const struct dunning_step *step = &catalog->dunning[s];
    bool suspends = step->action == DUNNING_SUSPEND;
    if (!take_step(r, i, dunning_action_name(step->action), step->after_days, suspends ? NULL : "invoice.reminder",
                   err) ||
        (suspends && !suspend_for(r, i, err))) {
      return false;
    }
  }
  return true;
}

/* ---- resuming ---- */

struct customers {
  struct arena *arena;
  VEC(slice) ids;
};

static bool keep_customer(void *context, slice customer, instant since, struct error *err) {
  (void)since;
  (void)err;
  struct customers *all = context;
  vec_push(&all->ids, arena_copy(all->arena, customer));
  return true;
}

static bool resume_one(const struct round *r, slice customer, struct error *err) {
  bool suspended;
  instant since;
  struct dunning_event e = {.customer = customer, .what = SLICE("resumed"), .time = r->c->now};
  return suspension_review(r->c, customer, err) && suspension_find(r->c->db, customer, &suspended, &since, err) &&
         (suspended || say(r, &e, err));
}

static bool resume_all(const struct round *r, struct error *err) {
  struct customers all = {.arena = r->c->arena};
  bool ok = suspension_list(r->c->db, keep_customer, &all, err);
  for (size_t i = 0; ok && i < all.ids.count; i++) {
    ok = resume_one(r, all.ids.items[i], err);
  }
  vec_free(&all.ids);
  return ok;
}

bool collect_dunning(const struct collect *c, dunning_each each, void *context, struct error *err) {
  struct round r = {c, each, context};
  struct open_invoices open = {0};
  bool ok = resume_all(&r, err) && open_invoices_load(c, (slice){0}, (slice){0}, c->now, &open, err);
  for (size_t i = 0; ok && i < open.items.count; i++) {
    ok = look_at_invoice(&r, &open.items.items[i], err);
  }
  vec_free(&open.items);
  return ok;
}

/* ---- reading ---- */

struct listing {
  dunning_each each;
  void *context;
};

static bool list_one(const struct db_row *row, void *context, struct error *err) {
  const struct listing *l = context;
  struct dunning_event e = {.customer = db_bytes(row, 0),
                            .invoice = db_bytes(row, 1),
                            .number = db_bytes(row, 2),
                            .what = db_bytes(row, 3),
                            .after_days = (int)db_int(row, 4),
                            .time = {db_int(row, 5)},
                            .cursor = db_bytes(row, 6)};
  return l->each(l->context, &e, err);
}

bool dunning_list(struct db *db, slice customer, slice after, size_t limit, dunning_each each, void *context,
                  struct error *err) {
  struct listing l = {each, context};
  return db_query(db,
                  "SELECT d.customer, d.invoice, i.number, d.what, d.after_days, d.time,"
                  " d.invoice || ' ' || d.step FROM dunning d"
                  " JOIN invoice i ON i.id = d.invoice WHERE ($1 = '' OR d.customer = $1)"
                  " AND d.invoice || ' ' || d.step > $2 ORDER BY d.invoice, d.step LIMIT $3",
                  DB_VALUES(DB_T(customer), DB_T(after), DB_I(limit > INT64_MAX ? INT64_MAX : (int64_t)limit)),
                  list_one, &l, err);
}
