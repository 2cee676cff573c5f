/* Files in one stream, as tar (POSIX ustar). */
#ifndef METERHOUSE_BASE_TAR_H
#define METERHOUSE_BASE_TAR_H
#include "base/time.h"

/* Appends a plain file, readable by all, with a relative name of at most 100 bytes and less than 8 GiB; ERR_LIMIT
 * otherwise, or when `out` is full. */
MUST_USE bool tar_add(struct buf *out, const char *name, slice bytes, instant modified, struct error *err);
/* The two empty blocks at the end. */
void tar_end(struct buf *out);
#endif
