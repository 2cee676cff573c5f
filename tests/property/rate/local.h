/* Local hours of the day, as the C library knows them. */
#ifndef METERHOUSE_TESTS_RATE_LOCAL_H
#define METERHOUSE_TESTS_RATE_LOCAL_H
#include "catalog/catalog.h"

#include <stdlib.h>
#include <time.h>

static void use_zone(const char *zone) {
  setenv("TZ", zone, 1);
  tzset();
}

/* The zone is in use. */
static bool naive_within(const struct hours *h, instant t) {
  time_t seconds = (time_t)(t.ns / NS_PER_S);
  struct tm local;
  must(localtime_r(&seconds, &local) != NULL);
  int minute = local.tm_hour * 60 + local.tm_min, today = (local.tm_wday + 6) % 7, yesterday = (today + 6) % 7;
  bool passes_midnight = h->from_minute > h->to_minute;
  if (!passes_midnight) {
    return minute >= h->from_minute && minute < h->to_minute && (h->days >> today & 1);
  }
  return minute >= h->from_minute ? h->days >> today & 1 : minute < h->to_minute && (h->days >> yesterday & 1);
}

#endif
