/* Instants and durations in ns, RFC 3339, civil calendars and time zones; the clock, real or set by a test. */
#ifndef METERHOUSE_BASE_TIME_H
#define METERHOUSE_BASE_TIME_H
#include "base/base.h"

/* Distinct types, so that an instant is never added to an instant. Range: 1970-01-01 to 2199-12-31 UTC. */
typedef struct instant {
  int64_t ns;
} instant; /* ns since 1970-01-01T00:00:00Z */
typedef struct duration {
  int64_t ns;
} duration;
#define NS_PER_S INT64_C(1000000000)
#define INSTANT_MAX ((instant){INT64_C(7258118399999999999)})

instant time_earlier(instant a, instant b);
instant time_later(instant a, instant b);

struct period {
  instant from, to;
}; /* [from, to) */

/* "2026-10-01T00:00:00.123456789Z" or with +hh:mm; a leap second :60 counts as the next second; at most 9 fraction
 * digits. Errors: ERR_INVALID names what is wrong (29 February of a common year, year out of range ...). */
MUST_USE bool time_parse_rfc3339(slice text, instant *out, struct error *err);
/* As above, and also "YYYY-MM-DD HH:MM:SS[.f]" and "YYYY-MM-DD", read in `zone` when no offset is given. */
MUST_USE bool time_parse_loose(slice text, const char *zone, instant *out, struct error *err);
#define TIME_TEXT_MAX 40
/* Shortest RFC 3339 UTC text: no fraction when it is zero. Returns `text`. */
char *time_format(instant t, char text[TIME_TEXT_MAX]);
char *time_format_date(instant t, const char *zone, char text[TIME_TEXT_MAX]); /* YYYY-MM-DD in that zone */

struct civil {
  int year, month, day, hour, minute, second;
};
struct civil time_civil_utc(instant t);
/* Zone: an IANA name ("Europe/Amsterdam") or "UTC". A local time that does not exist moves forward by the gap; one
 * that exists twice is the first. Errors: ERR_INVALID for an unknown zone or a date out of range. */
MUST_USE bool time_from_civil(struct civil c, const char *zone, instant *out, struct error *err);
MUST_USE bool time_zone_known(const char *zone);
/* "2026-10", "2026", "2026-10-05", "2026-10-01/2026-11-01" or two RFC 3339 instants with '/', in `zone`. */
MUST_USE bool time_parse_period(slice text, const char *zone, struct period *out, struct error *err);
/* Writes the shortest of those texts that means the same period. */
char *time_format_period(struct period p, const char *zone, char text[2 * TIME_TEXT_MAX]);
/* Adds whole months; the day is held to the month's last (31 January + 1 month = 28/29 February). */
struct civil time_add_months(struct civil c, int months);

/* The civil date and time that clocks in `zone` show. */
struct civil time_civil(instant t, const char *zone);

/* A month that begins on a given day of the civil month (year, month): on its last day where it has fewer. */
struct month {
  int year, month;
  struct period span;
};
/* `month` may lie outside 1 to 12: -1 is November of the year before. `day` 0 means 1. */
MUST_USE bool time_month(int year, int month, int day, const char *zone, struct month *out, struct error *err);
/* The one that `t` lies in. */
MUST_USE bool time_month_at(instant t, int day, const char *zone, struct month *out, struct error *err);
/* A length of time as contracts state it; months count on the calendar of a zone. */
struct time_span {
  int months, days;
  int64_t seconds;
};
/* "14 days", "3 months", "1 year", "36 hours"; above zero, at most 50 years. */
MUST_USE bool time_parse_span(slice text, struct time_span *out, struct error *err);
/* "30 s", "500ms", "2 minutes": a whole number of ms, s, m, h, or of seconds, minutes or hours; at most 24 hours. */
MUST_USE bool time_parse_duration(slice text, duration *out, struct error *err);
/* Months first, the day held to the last of the month; then days, at the same time of day; then seconds. */
MUST_USE bool time_add_span(instant t, struct time_span span, const char *zone, instant *out, struct error *err);

/* As a member of an object that is being written. */
struct json_out;
void json_put_instant(struct json_out *w, const char *key, instant t);

/* The clock: real unless a test sets it (also by METERHOUSE_TEST_CLOCK, an RFC 3339 text, read once). */
instant clock_now(void);
void clock_set_test(instant t);

#endif
