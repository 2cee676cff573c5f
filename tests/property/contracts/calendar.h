/* A calendar of its own for the oracle of contracts, on the C library's time zones: nothing of base/time.c. */
#ifndef METERHOUSE_TESTS_CONTRACTS_CALENDAR_H
#define METERHOUSE_TESTS_CONTRACTS_CALENDAR_H
#include "base/base.h"

#include <stdlib.h>
#include <time.h>

/* Times are seconds of UTC; the zone is that of the process. */
typedef int64_t seconds;
#define DAY_S 86400
#define FOREVER INT64_MAX

static inline void use_zone(const char *zone) {
  setenv("TZ", zone, 1);
  tzset();
}

static inline struct tm local_time(seconds t) {
  time_t at = (time_t)t;
  struct tm local;
  must(localtime_r(&at, &local) != NULL);
  return local;
}

/* The first moment at which clocks show it; where they skip it, as much later as they skip. */
static inline seconds clocks_show(int year, int month, int day, int second_of_day) {
  struct tm shown = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
  seconds wanted = (seconds)timegm(&shown) + second_of_day, found = FOREVER;
  long before = local_time(wanted - DAY_S).tm_gmtoff, after = local_time(wanted + DAY_S).tm_gmtoff;
  if (local_time(wanted - before).tm_gmtoff == before) {
    found = wanted - before;
  }
  if (local_time(wanted - after).tm_gmtoff == after && wanted - after < found) {
    found = wanted - after;
  }
  return found != FOREVER ? found : wanted - before;
}

static inline int days_in(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

/* Months are counted from year 0, so that they can be added. */
static inline seconds month_day(int months, int day, int second_of_day) {
  int year = months / 12, month = months % 12 + 1;
  return clocks_show(year, month, day < days_in(year, month) ? day : days_in(year, month), second_of_day);
}

static inline int months_of_time(seconds t) {
  struct tm l = local_time(t);
  return (l.tm_year + 1900) * 12 + l.tm_mon;
}

static inline int second_of_day(seconds t) {
  struct tm l = local_time(t);
  return l.tm_hour * 3600 + l.tm_min * 60 + l.tm_sec;
}

static inline seconds add_months(seconds t, int months) {
  return months == 0 ? t : month_day(months_of_time(t) + months, local_time(t).tm_mday, second_of_day(t));
}

/* At the same time of day. */
static inline seconds add_days(seconds t, int days) {
  struct tm l = local_time(t), then = {.tm_year = l.tm_year, .tm_mon = l.tm_mon, .tm_mday = l.tm_mday + days};
  time_t normal = timegm(&then);
  gmtime_r(&normal, &then);
  return clocks_show(then.tm_year + 1900, then.tm_mon + 1, then.tm_mday, second_of_day(t));
}

struct span {
  seconds from, to;
};

/* The month that t lies in, of those that begin on `day`. */
static inline int month_holding(seconds t, int day) {
  int m = months_of_time(t) + 1;
  while (month_day(m, day, 0) > t) {
    m--;
  }
  return m;
}

static inline struct span month_around(seconds t, int day) {
  int m = month_holding(t, day);
  return (struct span){month_day(m, day, 0), month_day(m + 1, day, 0)};
}

/* The invoice period of `length` months, one of which begins in the calendar month `first` (1 to 12). */
static inline struct span period_around(seconds t, int day, int length, int first) {
  int m = month_holding(t, day);
  while ((m % 12 + 1 - first + 12) % length != 0) {
    m--;
  }
  return (struct span){month_day(m, day, 0), month_day(m + length, day, 0)};
}
#endif
