/* Instants to text and back, civil dates in zones, periods, and the clock. */
#include "base/time.h"
#include "base/json.h"
#include "base/zone.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_S INT64_C(86400)
#define YEAR_MIN 1970
#define YEAR_MAX 2199

/* ---- the civil calendar (proleptic Gregorian; days by shifted years that begin in March) ---- */

static bool is_leap(int year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_length(int year, int month) {
  static const int lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return lengths[month - 1] + (month == 2 && is_leap(year));
}

static int64_t days_from_civil(int year, int month, int day) {
  int64_t y = month <= 2 ? year - 1 : year, era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
}

static struct civil civil_from_seconds(int64_t s) {
  int64_t days = s / DAY_S, rest = s % DAY_S;
  if (rest < 0) {
    rest += DAY_S;
    days--;
  }
  int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
  int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  int64_t mp = (5 * doy + 2) / 153;
  int month = (int)(mp < 10 ? mp + 3 : mp - 9);
  return (struct civil){.year = (int)(yoe + era * 400 + (month <= 2)),
                        .month = month,
                        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
                        .hour = (int)(rest / 3600),
                        .minute = (int)(rest % 3600 / 60),
                        .second = (int)(rest % 60)};
}

struct civil time_civil_utc(instant t) {
  return civil_from_seconds(t.ns / NS_PER_S);
}

struct civil time_add_months(struct civil c, int months) {
  int index = c.year * 12 + c.month - 1 + months;
  c.year = index / 12;
  c.month = index % 12 + 1;
  int length = month_length(c.year, c.month);
  if (c.day > length) {
    c.day = length;
  }
  return c;
}

static bool check_civil(struct civil c, struct error *err) {
  if (c.year < YEAR_MIN || c.year > YEAR_MAX) {
    return error_set(err, ERR_INVALID, "the year %04d is out of range: %d to %d", c.year, YEAR_MIN, YEAR_MAX);
  }
  if (c.month < 1 || c.month > 12) {
    return error_set(err, ERR_INVALID, "there is no month %d", c.month);
  }
  if (c.day < 1 || c.day > month_length(c.year, c.month)) {
    return error_set(err, ERR_INVALID, "%04d-%02d has no day %d", c.year, c.month, c.day);
  }
  if (c.hour > 23 || c.minute > 59 || c.second > 60) {
    return error_set(err, ERR_INVALID, "%02d:%02d:%02d is no time of day", c.hour, c.minute, c.second);
  }
  return true;
}

static int64_t civil_seconds(struct civil c) {
  return days_from_civil(c.year, c.month, c.day) * DAY_S + c.hour * 3600 + c.minute * 60 + c.second;
}

/* ---- zones ---- */

bool time_zone_known(const char *zone) {
  return zone_find(zone) != NULL;
}

/* Tries the offsets before and after: the earlier instant that shows this local time; in a gap, the offset before it
 * moves the time forward by the gap. */
static int64_t local_to_utc(const struct zone *z, int64_t local_s) {
  int32_t before = zone_offset(z, local_s - DAY_S), after = zone_offset(z, local_s + DAY_S);
  int64_t first = local_s - before, second = local_s - after;
  if (zone_offset(z, first) == before) {
    return first;
  }
  if (zone_offset(z, second) == after) {
    return second;
  }
  return first;
}

bool time_from_civil(struct civil c, const char *zone, instant *out, struct error *err) {
  const struct zone *z = zone_find(zone);
  if (z == NULL) {
    return error_set(err, ERR_INVALID, "there is no time zone \"%.60s\"; they are named like Europe/Amsterdam", zone);
  }
  if (!check_civil(c, err)) {
    return false;
  }
  int64_t utc_s = local_to_utc(z, civil_seconds(c));
  if (utc_s < 0 || utc_s > INSTANT_MAX.ns / NS_PER_S) {
    return error_set(err, ERR_INVALID, "the time is out of range: %d to %d", YEAR_MIN, YEAR_MAX);
  }
  out->ns = utc_s * NS_PER_S;
  return true;
}

/* ---- reading ---- */

/* What a text said: a civil time, a fraction, and perhaps an offset. */
struct parsed_time {
  struct civil civil;
  int64_t fraction_ns;
  bool has_offset;
  int offset_s;
};

static bool take_fixed(slice *s, int digits, int *out) {
  if (s->len < (size_t)digits) {
    return false;
  }
  *out = 0;
  for (int i = 0; i < digits; i++) {
    char c = s->ptr[i];
    if (c < '0' || c > '9') {
      return false;
    }
    *out = *out * 10 + (c - '0');
  }
  *s = (slice){s->ptr + digits, s->len - (size_t)digits};
  return true;
}

static bool take_char(slice *s, const char *any) {
  if (s->len == 0 || s->ptr[0] == '\0' || strchr(any, s->ptr[0]) == NULL) {
    return false;
  }
  *s = (slice){s->ptr + 1, s->len - 1};
  return true;
}

static bool unreadable(slice text, struct error *err) {
  return error_set(err, ERR_INVALID, "\"%.*s\" is not a time: expected RFC 3339 such as 2026-10-01T00:00:00Z",
                   text.len > 60 ? 60 : (int)text.len, text.ptr ? text.ptr : "");
}

static bool take_date(slice *s, struct civil *c) {
  return take_fixed(s, 4, &c->year) && take_char(s, "-") && take_fixed(s, 2, &c->month) && take_char(s, "-") &&
         take_fixed(s, 2, &c->day);
}

static bool take_fraction(slice *s, slice text, int64_t *ns, struct error *err) {
  int digits = 0;
  *ns = 0;
  for (; s->len > 0 && s->ptr[0] >= '0' && s->ptr[0] <= '9'; digits++) {
    if (digits == 9) {
      return error_set(err, ERR_INVALID, "\"%.*s\" has more than 9 fraction digits: time is kept to the ns",
                       (int)(text.len > 60 ? 60 : text.len), text.ptr);
    }
    *ns = *ns * 10 + (s->ptr[0] - '0');
    *s = (slice){s->ptr + 1, s->len - 1};
  }
  if (digits == 0) {
    return unreadable(text, err);
  }
  for (; digits < 9; digits++) {
    *ns *= 10;
  }
  return true;
}

static bool take_offset(slice *s, struct parsed_time *p) {
  int hours, minutes;
  if (take_char(s, "Zz")) {
    p->has_offset = true;
    return true;
  }
  if (s->len == 0 || (s->ptr[0] != '+' && s->ptr[0] != '-')) {
    return s->len == 0;
  }
  int sign = s->ptr[0] == '-' ? -1 : 1;
  *s = (slice){s->ptr + 1, s->len - 1};
  if (!take_fixed(s, 2, &hours) || !take_char(s, ":") || !take_fixed(s, 2, &minutes) || hours > 23 || minutes > 59) {
    return false;
  }
  p->has_offset = true;
  p->offset_s = sign * (hours * 3600 + minutes * 60);
  return true;
}

static bool parse_time(slice text, const char *separators, struct parsed_time *p, struct error *err) {
  slice s = text;
  *p = (struct parsed_time){0};
  if (!take_date(&s, &p->civil)) {
    return unreadable(text, err);
  }
  if (s.len == 0) {
    return true;
  }
  if (!take_char(&s, separators) || !take_fixed(&s, 2, &p->civil.hour) || !take_char(&s, ":") ||
      !take_fixed(&s, 2, &p->civil.minute) || !take_char(&s, ":") || !take_fixed(&s, 2, &p->civil.second)) {
    return unreadable(text, err);
  }
  if (s.len > 0 && s.ptr[0] == '.') {
    s = (slice){s.ptr + 1, s.len - 1};
    if (!take_fraction(&s, text, &p->fraction_ns, err)) {
      return false;
    }
  }
  return (take_offset(&s, p) && s.len == 0) || unreadable(text, err);
}

static bool instant_of(const struct parsed_time *p, instant *out, struct error *err) {
  if (!check_civil(p->civil, err)) {
    return false;
  }
  int64_t s = civil_seconds(p->civil) - p->offset_s;
  if (s < 0 || s > INSTANT_MAX.ns / NS_PER_S) {
    return error_set(err, ERR_INVALID, "the time is out of range: %d to %d", YEAR_MIN, YEAR_MAX);
  }
  out->ns = s * NS_PER_S + p->fraction_ns;
  return true;
}

bool time_parse_rfc3339(slice text, instant *out, struct error *err) {
  struct parsed_time p;
  if (!parse_time(text, "Tt", &p, err)) {
    return false;
  }
  return p.has_offset ? instant_of(&p, out, err) : unreadable(text, err);
}

bool time_parse_loose(slice text, const char *zone, instant *out, struct error *err) {
  struct parsed_time p;
  if (!parse_time(text, "Tt ", &p, err)) {
    return false;
  }
  if (p.has_offset) {
    return instant_of(&p, out, err);
  }
  if (!time_from_civil(p.civil, zone, out, err)) {
    return false;
  }
  out->ns += p.fraction_ns;
  return true;
}

/* ---- writing ---- */

/* `width` digits of n, the first at `text`; returns what follows them. */
static char *put_digits(char *text, int64_t n, int width) {
  for (int i = width - 1; i >= 0; i--, n /= 10) {
    text[i] = (char)('0' + n % 10);
  }
  return text + width;
}

/* By hand: a document holds dozens of times, and printf takes longer than all the rest of them. */
char *time_format(instant t, char text[TIME_TEXT_MAX]) {
  struct civil c = time_civil_utc(t);
  const int parts[] = {c.month, c.day, c.hour, c.minute, c.second};
  char *at = put_digits(text, c.year, 4);
  for (int i = 0; i < 5; i++) {
    *at = "--T::"[i];
    at = put_digits(at + 1, parts[i], 2);
  }
  int64_t fraction = t.ns % NS_PER_S;
  if (fraction != 0) {
    *at = '.';
    at = put_digits(at + 1, fraction, 9);
    while (at[-1] == '0') {
      at--;
    }
  }
  memcpy(at, "Z", 2);
  return text;
}

instant time_earlier(instant a, instant b) {
  return a.ns < b.ns ? a : b;
}

instant time_later(instant a, instant b) {
  return a.ns > b.ns ? a : b;
}

struct civil time_civil(instant t, const char *zone) {
  const struct zone *z = zone_find(zone);
  must(z != NULL);
  int64_t s = t.ns / NS_PER_S;
  return civil_from_seconds(s + zone_offset(z, s));
}

char *time_format_date(instant t, const char *zone, char text[TIME_TEXT_MAX]) {
  struct civil c = time_civil(t, zone);
  snprintf(text, TIME_TEXT_MAX, "%04d-%02d-%02d", c.year, c.month, c.day);
  return text;
}

void json_put_instant(struct json_out *w, const char *key, instant t) {
  char text[TIME_TEXT_MAX];
  json_put_cstr(w, key, time_format(t, text));
}

/* ---- periods ---- */

static bool span(struct civil from, struct civil to, const char *zone, struct period *out, struct error *err) {
  return time_from_civil(from, zone, &out->from, err) && time_from_civil(to, zone, &out->to, err);
}

static struct civil next_day(struct civil c) {
  return civil_from_seconds(days_from_civil(c.year, c.month, c.day + 1) * DAY_S);
}

/* "2026", "2026-10" or "2026-10-05". */
static bool parse_named(slice text, const char *zone, struct period *out, struct error *err) {
  struct civil c = {.month = 1, .day = 1};
  slice s = text;
  if (text.len == 4 && take_fixed(&s, 4, &c.year)) {
    return span(c, time_add_months(c, 12), zone, out, err);
  }
  if (text.len == 7 && take_fixed(&s, 4, &c.year) && take_char(&s, "-") && take_fixed(&s, 2, &c.month)) {
    return check_civil(c, err) && span(c, time_add_months(c, 1), zone, out, err);
  }
  s = text;
  if (text.len == 10 && take_date(&s, &c)) {
    return check_civil(c, err) && span(c, next_day(c), zone, out, err);
  }
  return error_set(err, ERR_INVALID, "\"%.*s\" is not a period: expected 2026-10, 2026, 2026-10-05 or FROM/TO",
                   text.len > 60 ? 60 : (int)text.len, text.ptr ? text.ptr : "");
}

bool time_parse_period(slice text, const char *zone, struct period *out, struct error *err) {
  const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
  if (slash == NULL) {
    return parse_named(text, zone, out, err);
  }
  slice from = {text.ptr, (size_t)(slash - text.ptr)}, to = {slash + 1, text.len - from.len - 1};
  if (!time_parse_loose(from, zone, &out->from, err) || !time_parse_loose(to, zone, &out->to, err)) {
    return false;
  }
  return out->from.ns < out->to.ns || error_set(err, ERR_INVALID, "the period \"%.*s\" ends before it begins",
                                                text.len > 90 ? 90 : (int)text.len, text.ptr);
}

static bool means(const char *text, const char *zone, struct period p) {
  struct period again;
  struct error ignored;
  return time_parse_period(slice_of(text), zone, &again, &ignored) && again.from.ns == p.from.ns &&
         again.to.ns == p.to.ns;
}

char *time_format_period(struct period p, const char *zone, char text[2 * TIME_TEXT_MAX]) {
  struct civil c = time_civil(p.from, zone);
  char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
  snprintf(text, 2 * TIME_TEXT_MAX, "%04d", c.year);
  if (means(text, zone, p)) {
    return text;
  }
  snprintf(text, 2 * TIME_TEXT_MAX, "%04d-%02d", c.year, c.month);
  if (means(text, zone, p)) {
    return text;
  }
  snprintf(text, 2 * TIME_TEXT_MAX, "%04d-%02d-%02d", c.year, c.month, c.day);
  if (means(text, zone, p)) {
    return text;
  }
  snprintf(text, 2 * TIME_TEXT_MAX, "%s/%s", time_format_date(p.from, zone, from), time_format_date(p.to, zone, to));
  if (means(text, zone, p)) {
    return text;
  }
  snprintf(text, 2 * TIME_TEXT_MAX, "%s/%s", time_format(p.from, from), time_format(p.to, to));
  return text;
}

/* ---- the clock ---- */

static _Atomic int64_t test_clock_ns;

static void read_test_clock(void) {
  const char *text = getenv("METERHOUSE_TEST_CLOCK");
  struct error err;
  instant t;
  if (text && time_parse_rfc3339(slice_of(text), &t, &err)) {
    atomic_store(&test_clock_ns, t.ns);
  }
}

instant clock_now(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  must(pthread_once(&once, read_test_clock) == 0);
  int64_t set = atomic_load(&test_clock_ns);
  if (set != 0) {
    return (instant){set};
  }
  struct timespec now;
  must(clock_gettime(CLOCK_REALTIME, &now) == 0);
  return (instant){now.tv_sec * NS_PER_S + now.tv_nsec};
}

void clock_set_test(instant t) {
  atomic_store(&test_clock_ns, t.ns);
}
