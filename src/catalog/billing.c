/* The billing calendar of a customer: when its months and its invoice periods begin and end, and what they are called.
 */
#include "catalog/private.h"
#include <string.h>

bool billing_same(const struct billing *a, const struct billing *b) {
  return a->every == b->every && a->day == b->day && a->month == b->month && a->grace_days == b->grace_days;
}

static int months_of(enum cadence every) {
  switch (every) {
  case CADENCE_QUARTER:
    return 3;
  case CADENCE_YEAR:
    return 12;
  case CADENCE_MONTH:
    break;
  }
  return 1;
}

/* How many months a month stands behind the first of its invoice period. */
static int months_into(const struct billing *b, int month) {
  int first = b->month > 0 ? b->month : 1, length = months_of(b->every);
  return ((month - first) % length + length) % length;
}

bool billing_month_at(const struct customer *c, instant t, struct period *out, struct error *err) {
  struct month m;
  if (!time_month_at(t, c->billing.day, c->time_zone, &m, err)) {
    return false;
  }
  *out = m.span;
  return true;
}

static bool period_from(const struct customer *c, int year, int month, struct period *out, struct error *err) {
  struct month first, next;
  if (!time_month(year, month, c->billing.day, c->time_zone, &first, err) ||
      !time_month(year, month + months_of(c->billing.every), c->billing.day, c->time_zone, &next, err)) {
    return false;
  }
  *out = (struct period){first.span.from, next.span.from};
  return true;
}

bool billing_period_at(const struct customer *c, instant t, struct period *out, struct error *err) {
  struct month m;
  return time_month_at(t, c->billing.day, c->time_zone, &m, err) &&
         period_from(c, m.year, m.month - months_into(&c->billing, m.month), out, err);
}

/* "2026-10": the civil month in which a period begins. */
static bool is_month_name(slice text, int *year, int *month) {
  if (text.len != 7 || text.ptr[4] != '-') {
    return false;
  }
  for (size_t i = 0; i < text.len; i++) {
    if (i != 4 && (text.ptr[i] < '0' || text.ptr[i] > '9')) {
      return false;
    }
  }
  *year = (text.ptr[0] - '0') * 1000 + (text.ptr[1] - '0') * 100 + (text.ptr[2] - '0') * 10 + (text.ptr[3] - '0');
  *month = (text.ptr[5] - '0') * 10 + (text.ptr[6] - '0');
  return *month >= 1 && *month <= 12;
}

bool billing_period_named(const struct customer *c, slice name, struct period *out, bool *none, struct error *err) {
  int year, month;
  *none = false;
  if (!is_month_name(name, &year, &month)) {
    return time_parse_period(name, c->time_zone, out, err);
  }
  *none = months_into(&c->billing, month) != 0;
  return period_from(c, year, month, out, err);
}

char *billing_period_name(const struct customer *c, struct period p, char text[2 * TIME_TEXT_MAX]) {
  struct period own;
  struct error ignored;
  if (billing_period_at(c, p.from, &own, &ignored) && own.from.ns == p.from.ns && own.to.ns == p.to.ns) {
    struct civil first = time_civil(p.from, c->time_zone);
    snprintf(text, 2 * TIME_TEXT_MAX, "%04d-%02d", first.year, first.month);
    return text;
  }
  time_format_period(p, c->time_zone, text);
  if (strlen(text) == strlen("2026-10")) { /* a civil month, but for this customer that name means another period */
    char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
    snprintf(text, 2 * TIME_TEXT_MAX, "%s/%s", time_format_date(p.from, c->time_zone, from),
             time_format_date(p.to, c->time_zone, to));
  }
  return text;
}
