/* Inside meter: the layout of a journal block, shared by the encoder and the decoder. docs/journal.md writes it down.
 */
#ifndef METERHOUSE_METER_BLOCK_H
#define METERHOUSE_METER_BLOCK_H
#include "meter/meter.h"

#define BLOCK_MAGIC "MHJ1"
/* magic 4, crc32c of all that follows 4, events 4, unpacked bytes 4 (little-endian), then the columns under zstd. */
#define BLOCK_HEAD_BYTES 16
#define BLOCK_EVENTS_MAX 65536
#define BLOCK_UNPACKED_BYTES_MAX ((uint32_t)512 << 20)
#define BLOCK_ZSTD_LEVEL 3

/* Columns in this order:
 *   dictionary  count, then each string as length and bytes (sources, types, subjects, field names, repeated values)
 *   shapes      count, then each shape: number of fields, and for each field name x 2 + is-number
 *   time        first as is, then zigzag differences
 *   source, type, subject, shape    dictionary or shape numbers
 *   id          bytes shared with the id before, length of the rest, the rest
 *   values      event by event, field by field: strings as dictionary numbers; numbers as whole x 2, or dictionary x 2
 * + 1 All integers are LEB128 varints. */
#endif
