/* Spend of the current month: rated as an invoice preview is, for customers with an alert on it whose usage changed. */
#include "live/private.h"
#include <stdlib.h>

static bool judge_ratings(struct live_view *v, const struct rating_set *set, const struct spend_wish *wishes,
                          size_t count, instant now, struct crossings *out, struct error *err) {
  size_t r = 0;
  for (size_t i = 0; i < count; i++) {
    const struct customer *c = wishes[i].customer->customer;
    while (r < set->rating_count && set->ratings[r].customer->index < c->index) {
      r++;
    }
    bool found = r < set->rating_count && set->ratings[r].customer == c;
    if (found && !cross_spend(v, wishes[i].customer, set->ratings[r].total, wishes[i].period, now, out, err)) {
      return false;
    }
  }
  return true;
}

static bool rate_wishes(struct live_view *v, struct book *reader, const struct spend_wish *wishes, size_t count,
                        instant now, struct crossings *out, struct error *err) {
  const struct customer **customers = mem_alloc(count * sizeof *customers);
  char period[2 * TIME_TEXT_MAX];
  struct rating_set set;
  for (size_t i = 0; i < count; i++) {
    customers[i] = wishes[i].customer->customer;
  }
  billing_period_name(customers[0], wishes[0].period, period);
  bool ok = book_rate_some(reader, customers, count, slice_of(period), v->position, &set, err);
  if (ok) {
    ok = judge_ratings(v, &set, wishes, count, now, out, err);
    rating_set_free(&set);
  }
  free(customers);
  return ok;
}

static bool same_month(const struct spend_wish *a, const struct spend_wish *b) {
  char text[2][2 * TIME_TEXT_MAX];
  if (a->period.from.ns == b->period.from.ns && a->period.to.ns == b->period.to.ns) {
    return true;
  }
  billing_period_name(a->customer->customer, a->period, text[0]);
  billing_period_name(b->customer->customer, b->period, text[1]);
  return slice_is(slice_of(text[0]), text[1]);
}

/* Around the turn of a month there are two of them in the world. */
bool spend_of(struct live_view *v, struct book *reader, const struct spend_wish *wishes, size_t count, instant now,
              struct crossings *out, struct error *err) {
  VEC(struct spend_wish) same = {0}, other = {0};
  if (count == 0) {
    return true;
  }
  for (size_t i = 0; i < count; i++) {
    if (same_month(&wishes[0], &wishes[i])) {
      vec_push(&same, wishes[i]);
    } else {
      vec_push(&other, wishes[i]);
    }
  }
  bool ok = rate_wishes(v, reader, same.items, same.count, now, out, err) &&
            spend_of(v, reader, other.items, other.count, now, out, err);
  vec_free(&same);
  vec_free(&other);
  return ok;
}

bool spend_work(struct live_view *v, struct book *reader, instant now, struct crossings *out, struct error *err) {
  VEC(struct spend_wish) wishes = {0};
  for (size_t i = 0; i < v->customer_count; i++) {
    struct live_customer *c = &v->customers[i];
    if (c->spend_stale && view_watches_spend(v, c)) {
      vec_push(&wishes, (struct spend_wish){c, c->spans[WATCH_MONTH].period});
    }
  }
  bool ok = spend_of(v, reader, wishes.items, wishes.count, now, out, err);
  for (size_t i = 0; ok && i < v->customer_count; i++) {
    v->customers[i].spend_stale = false;
  }
  vec_free(&wishes);
  return ok;
}

void spend_stale_growing(struct live_view *v) {
  for (size_t i = 0; i < v->customer_count; i++) {
    v->customers[i].spend_stale |= v->customers[i].spans[WATCH_MONTH].growing;
  }
}
