/* Most events of a stream are the one before with other text: those need not be scanned again. */
#ifndef METERHOUSE_WIRE_REPEAT_H
#define METERHOUSE_WIRE_REPEAT_H
#include "base/base.h"

#define REPEAT_BYTES_MAX 1024
struct repeat {
  size_t len, from, to; /* text[from, to) is what differs; len 0: nothing is remembered */
  char text[REPEAT_BYTES_MAX];
};
/* An event that was scanned, whose only effect is its one text without escapes at [from, to). */
void repeat_remember(struct repeat *r, slice raw, size_t from, size_t to);
/* Is this the same with other text, without escapes? Of so many bytes. */
bool repeat_is(const struct repeat *r, slice raw, size_t *text_bytes);
#endif
