/* What falls due and when: the ends of invoice periods, by the calendars that customers share, and the beginnings of
 * contracts and phases. Computed from the catalog alone. */
#include "book/due.h"
#include <stdlib.h>
#include <string.h>

static bool same_calendar(const struct customer *a, const struct customer *b) {
  return billing_same(&a->billing, &b->billing) && strcmp(a->time_zone, b->time_zone) == 0;
}

/* There are few calendars: most sellers have one or two. */
static struct calendar *calendar_of(struct due *due, const struct customer *customer) {
  for (size_t i = 0; i < due->calendars.count; i++) {
    if (same_calendar(due->calendars.items[i].customers.items[0], customer)) {
      return &due->calendars.items[i];
    }
  }
  vec_push(&due->calendars, (struct calendar){0});
  return &due->calendars.items[due->calendars.count - 1];
}

static bool add_openings(struct due *due, const struct customer *customer, struct error *err) {
  for (size_t i = 0; i < customer->contract_count; i++) {
    bool opens;
    if (!rate_opens(customer, &customer->contracts[i], &opens, err)) {
      return false;
    }
    if (opens) {
      vec_push(&due->openings, (struct opening){customer->contracts[i].from, customer});
    }
  }
  return true;
}

static int by_time(const void *a, const void *b) {
  const struct opening *x = a, *y = b;
  if (x->at.ns != y->at.ns) {
    return x->at.ns < y->at.ns ? -1 : 1;
  }
  return slice_cmp(x->customer->id, y->customer->id);
}

bool due_open(const struct catalog *catalog, struct due **out, struct error *err) {
  struct due *due = mem_alloc(sizeof *due);
  *out = due;
  for (size_t i = 0; i < catalog->customer_count; i++) {
    const struct customer *customer = &catalog->customers[i];
    struct calendar *calendar = calendar_of(due, customer);
    vec_push(&calendar->customers, customer);
    if (!add_openings(due, customer, err)) {
      return false;
    }
  }
  if (due->openings.count > 0) {
    qsort(due->openings.items, due->openings.count, sizeof *due->openings.items, by_time);
  }
  return true;
}

void due_close(struct due *due) {
  if (due == NULL) {
    return;
  }
  for (size_t i = 0; i < due->calendars.count; i++) {
    vec_free(&due->calendars.items[i].customers);
  }
  vec_free(&due->calendars);
  vec_free(&due->openings);
  free(due);
}

/* The first period that is due after `after`. */
static bool next_period(const struct calendar *calendar, instant after, struct period *period, instant *moment,
                        struct error *err) {
  const struct customer *c = calendar->customers.items[0];
  const struct time_span grace = {.days = c->billing.grace_days};
  instant around = {after.ns - (c->billing.grace_days + 1) * INT64_C(86400) * NS_PER_S};
  around.ns = around.ns < 0 ? 0 : around.ns;
  for (;;) {
    if (!billing_period_at(c, around, period, err) || !time_add_span(period->to, grace, c->time_zone, moment, err)) {
      return false;
    }
    if (moment->ns > after.ns) {
      return true;
    }
    around = period->to;
  }
}

/* The first opening after `after`; the count when there is none. */
static size_t next_opening(const struct due *due, instant after) {
  size_t low = 0, high = due->openings.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (due->openings.items[middle].at.ns <= after.ns) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

bool due_after(struct due *due, instant after, struct due_moment *out, struct error *err) {
  *out = (struct due_moment){.at = INSTANT_MAX, .first_opening = next_opening(due, after)};
  if (out->first_opening < due->openings.count) {
    out->at = due->openings.items[out->first_opening].at;
  }
  for (size_t i = 0; i < due->calendars.count; i++) {
    struct calendar *calendar = &due->calendars.items[i];
    if (!next_period(calendar, after, &calendar->period, &calendar->moment, err)) {
      return false;
    }
    if (calendar->moment.ns < out->at.ns) {
      out->at = calendar->moment;
    }
  }
  return true;
}
