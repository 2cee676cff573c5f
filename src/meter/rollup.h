/* Inside meter: kept aggregates. A part holds what a stretch of the journal adds to one customer's page of hours; parts
 * add up. */
#ifndef METERHOUSE_METER_ROLLUP_H
#define METERHOUSE_METER_ROLLUP_H
#include "meter/private.h"

#define ROLLUP_PAGE_HOURS 720
#define ROLLUP_PAGE_NS (INT64_C(3600) * ROLLUP_PAGE_HOURS * NS_PER_S)
#define ROLLUP_MAGIC "MHR1"
#define ROLLUP_HEAD_BYTES 12 /* magic, crc32c of the rest, bytes unpacked; then the records under zstd */
#define ROLLUP_UNPACKED_BYTES_MAX ((uint32_t)1 << 30)

enum rollup_kind { ROLLUP_BINS = 0, ROLLUP_CHANGES = 1, ROLLUP_SIGHTS = 2 };
struct rollup_place {
  slice customer;
  enum rollup_kind kind;
  int64_t page; /* ROLLUP_PAGE_HOURS since 1970 */
};
int64_t rollup_page(instant t);
typedef bool (*rollup_take)(void *context, const struct rollup_place *place, slice bytes, struct error *err);
/* Every part of a builder of whole hours. */
MUST_USE bool rollup_export(const struct usage *usage, rollup_take take, void *context, struct error *err);
/* Adds a part to any builder: whole hours inside the customer's window; ERR_CORRUPT when it does not hold together. */
MUST_USE bool rollup_import(struct usage *usage, const struct rollup_place *place, slice bytes, struct error *err);
#endif
