/* Months that begin on any day of the calendar, and lengths of time in months, days and seconds. */
#include "base/time.h"
#include <string.h>

#define SPAN_YEARS_MAX 50
#define DURATION_MAX_NS (24 * 3600 * NS_PER_S)

/* Counted from a January, which has every day, so that the 31st comes back after a short month. */
static struct civil month_start(int year, int month, int day) {
  return time_add_months((struct civil){.year = year, .month = 1, .day = day > 0 ? day : 1}, month - 1);
}

bool time_month(int year, int month, int day, const char *zone, struct month *out, struct error *err) {
  struct civil from = month_start(year, month, day), to = month_start(year, month + 1, day);
  out->year = from.year;
  out->month = from.month;
  return time_from_civil(from, zone, &out->span.from, err) && time_from_civil(to, zone, &out->span.to, err);
}

bool time_month_at(instant t, int day, const char *zone, struct month *out, struct error *err) {
  struct civil c = time_civil(t, zone);
  if (!time_month(c.year, c.month, day, zone, out, err)) {
    return false;
  }
  if (t.ns < out->span.from.ns) {
    return time_month(c.year, c.month - 1, day, zone, out, err);
  }
  return t.ns < out->span.to.ns || time_month(c.year, c.month + 1, day, zone, out, err);
}

/* ---- spans ---- */

static bool span_of_unit(int count, slice unit, struct time_span *out) {
  static const struct {
    const char *name;
    int months, days, seconds;
  } units[] = {{"year", 12, 0, 0},   {"month", 1, 0, 0},   {"week", 0, 7, 0},  {"day", 0, 1, 0},
               {"hour", 0, 0, 3600}, {"minute", 0, 0, 60}, {"second", 0, 0, 1}};
  if (unit.len > 1 && unit.ptr[unit.len - 1] == 's') {
    unit.len--;
  }
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if (slice_is(unit, units[i].name)) {
      *out = (struct time_span){count * units[i].months, count * units[i].days, (int64_t)count * units[i].seconds};
      return true;
    }
  }
  return false;
}

static bool too_long(const struct time_span *span) {
  return span->months > SPAN_YEARS_MAX * 12 || span->days > SPAN_YEARS_MAX * 366 ||
         span->seconds > (int64_t)SPAN_YEARS_MAX * 366 * 86400;
}

bool time_parse_span(slice text, struct time_span *out, struct error *err) {
  int count = 0;
  size_t at = 0;
  for (; at < text.len && at < 6 && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
    count = count * 10 + (text.ptr[at] - '0');
  }
  slice unit = slice_trim((slice){text.ptr + at, text.len - at});
  if (count == 0 || !span_of_unit(count, unit, out)) {
    return error_set(err, ERR_INVALID, "\"%.*s\" is no length of time: expected such as 14 days, 3 months or 1 year",
                     text.len > 40 ? 40 : (int)text.len, text.ptr ? text.ptr : "");
  }
  return !too_long(out) || error_set(err, ERR_INVALID, "a length of time is at most %d years", SPAN_YEARS_MAX);
}

bool time_parse_duration(slice text, duration *out, struct error *err) {
  static const struct {
    const char *name;
    int64_t ns;
  } units[] = {
      {"ms", NS_PER_S / 1000},   {"s", NS_PER_S},           {"m", 60 * NS_PER_S},      {"h", 3600 * NS_PER_S},
      {"second", NS_PER_S},      {"seconds", NS_PER_S},     {"minute", 60 * NS_PER_S}, {"minutes", 60 * NS_PER_S},
      {"hour", 3600 * NS_PER_S}, {"hours", 3600 * NS_PER_S}};
  int64_t number = 0;
  size_t at = 0;
  for (; at < text.len && at < 9 && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
    number = number * 10 + (text.ptr[at] - '0');
  }
  slice unit = slice_trim((slice){text.ptr + at, text.len - at});
  for (size_t i = 0; at > 0 && i < sizeof units / sizeof *units; i++) {
    if (slice_is(unit, units[i].name)) {
      if (number > DURATION_MAX_NS / units[i].ns) {
        return error_set(err, ERR_INVALID, "expected at most 24 hours");
      }
      out->ns = number * units[i].ns;
      return true;
    }
  }
  return error_set(err, ERR_INVALID, "expected a time such as 15s, 500ms or 1m");
}

bool time_add_span(instant t, struct time_span span, const char *zone, instant *out, struct error *err) {
  *out = t;
  if (span.months > 0) {
    struct civil c = time_add_months(time_civil(*out, zone), span.months);
    int64_t fraction_ns = t.ns % NS_PER_S;
    if (!time_from_civil(c, zone, out, err)) {
      return false;
    }
    out->ns += fraction_ns;
  }
  if (span.days > 0) {
    struct civil c = time_civil(*out, zone);
    instant midnight, later;
    struct civil day = {.year = c.year, .month = c.month, .day = c.day};
    if (!time_from_civil(day, "UTC", &midnight, err)) {
      return false;
    }
    later.ns = midnight.ns + span.days * INT64_C(86400) * NS_PER_S;
    struct civil then = time_civil_utc(later);
    then.hour = c.hour;
    then.minute = c.minute;
    then.second = c.second;
    int64_t fraction_ns = out->ns % NS_PER_S;
    if (!time_from_civil(then, zone, out, err)) {
      return false;
    }
    out->ns += fraction_ns;
  }
  if (span.seconds > (INSTANT_MAX.ns - out->ns) / NS_PER_S) {
    return error_set(err, ERR_INVALID, "it ends after the year 2199");
  }
  out->ns += span.seconds * NS_PER_S;
  return true;
}
