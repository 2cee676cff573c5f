/* Hours of the local day, by the clock on the wall: also on the days when it is put forward or back. */
#include "base/zone.h"
#include "rate/private.h"

#define DAY_S INT64_C(86400)

static bool on_day(const struct hours *h, int64_t day) {
  int64_t weekday = ((day + 3) % 7 + 7) % 7; /* day 0, 1 January 1970, was a Thursday; Monday is 0 */
  return h->days >> weekday & 1;
}

/* The stretch that began on a day goes on after midnight under that day's name. */
static bool within(const struct hours *h, int64_t local_s) {
  int64_t day = local_s >= 0 ? local_s / DAY_S : -((DAY_S - 1 - local_s) / DAY_S), second = local_s - day * DAY_S;
  int64_t from = h->from_minute * INT64_C(60), to = h->to_minute * INT64_C(60);
  if (from < to) {
    return second >= from && second < to && on_day(h, day);
  }
  return (second >= from && on_day(h, day)) || (second < to && on_day(h, day - 1));
}

/* Seconds until the local clock next shows this minute of the day, at least 1. */
static int64_t until_minute(int64_t local_s, int minute) {
  int64_t ahead = (minute * INT64_C(60) - local_s) % DAY_S;
  return ahead > 0 ? ahead : ahead + DAY_S;
}

/* The first second in (from, to] with another offset than `from`; clocks change at most once a day. */
static int64_t clock_change(const struct zone *zone, int64_t from, int64_t to) {
  int32_t offset = zone_offset(zone, from);
  while (to - from > 1) {
    int64_t middle = from + (to - from) / 2;
    if (zone_offset(zone, middle) == offset) {
      from = middle;
    } else {
      to = middle;
    }
  }
  return to;
}

bool hours_hold(const struct hours *hours, instant t, instant *until) {
  const struct zone *zone = zone_find(hours->time_zone);
  must(zone != NULL);
  int64_t utc_s = t.ns / NS_PER_S, local_s = utc_s + zone_offset(zone, utc_s);
  int64_t from = until_minute(local_s, hours->from_minute), to = until_minute(local_s, hours->to_minute);
  int64_t next_s = utc_s + (from < to ? from : to);
  if (zone_offset(zone, next_s) != zone_offset(zone, utc_s)) {
    next_s = clock_change(zone, utc_s, next_s);
  }
  if (next_s * NS_PER_S < until->ns) {
    until->ns = next_s * NS_PER_S;
  }
  return within(hours, local_s);
}
