/* Inside base: time zones as the system's zoneinfo has them. */
#ifndef METERHOUSE_BASE_ZONE_H
#define METERHOUSE_BASE_ZONE_H
#include "base/base.h"

struct zone; /* loaded once, kept for the life of the program */
/* NULL for an unknown name. Thread-safe. */
const struct zone *zone_find(const char *name);
/* Seconds east of UTC at a UTC second. */
int32_t zone_offset(const struct zone *zone, int64_t utc_s);
#endif
