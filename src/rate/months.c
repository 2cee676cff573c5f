/* What share of a month a stretch of time is, by the second. */
#include "rate/private.h"

static int64_t month_seconds(const struct month *m) {
  int64_t ns = m->span.to.ns - m->span.from.ns;
  must(ns > 0 && ns % NS_PER_S == 0);
  return ns / NS_PER_S;
}

/* a/A + c/C + whole months between, over the common denominator A x C; months are whole seconds long. */
bool months_between(struct period p, const char *zone, int day, struct fraction *out, struct error *err) {
  struct month first, last;
  if (p.to.ns < p.from.ns) {
    return error_set(err, ERR_INVALID, "a share of a month was asked for a time that ends before it begins");
  }
  if (p.to.ns == p.from.ns) {
    *out = (struct fraction){0, 1};
    return true;
  }
  if (!time_month_at(p.from, day, zone, &first, err) || !time_month_at((instant){p.to.ns - 1}, day, zone, &last, err)) {
    return false;
  }
  int64_t first_seconds = month_seconds(&first), last_seconds = month_seconds(&last);
  int between = (last.year - first.year) * 12 + last.month - first.month - 1;
  if (between < 0) {
    *out = (struct fraction){p.to.ns - p.from.ns, (int128)first_seconds * NS_PER_S};
  } else {
    int128 lengths = (int128)first_seconds * last_seconds;
    out->num = between * lengths * NS_PER_S + (int128)(first.span.to.ns - p.from.ns) * last_seconds +
               (int128)(p.to.ns - last.span.from.ns) * first_seconds;
    out->den = lengths * NS_PER_S;
  }
  fraction_reduce(out);
  return true;
}

bool fraction_rate(struct fraction f, rate *out, struct error *err) {
  return int128_muldiv(RATE_ONE.e12, f.num, f.den, ROUND_HALF_EVEN, &out->e12, err);
}

bool rate_months(instant from, instant to, const char *zone, rate *out, struct error *err) {
  struct fraction months;
  return months_between((struct period){from, to}, zone, 1, &months, err) && fraction_rate(months, out, err);
}
