/* Inside meter: a column of numbers in a block. As varints, which zstd then shortens; or, where there is nothing to
 * shorten, in just as many bits as the largest needs. */
#ifndef METERHOUSE_METER_COLUMN_H
#define METERHOUSE_METER_COLUMN_H
#include "meter/varint.h"

void column_put(struct buf *to, const uint64_t *numbers, size_t count);
/* Breaks `in` on anything unexpected. */
void column_take(struct varints *in, uint64_t *numbers, size_t count);
#endif
