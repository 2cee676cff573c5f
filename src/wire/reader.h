/* One answer under way: what is known of it, and what is kept back. */
#ifndef METERHOUSE_WIRE_READER_H
#define METERHOUSE_WIRE_READER_H
#include "frame.h"
#include "heard.h"
#include "repeat.h"

#define READER_KEPT_MAX (WIRE_EVENT_BYTES_MAX + 64)
struct wire_reader {
  slice unheard; /* passed, and not heard yet */
  struct wire_reader_options options;
  struct wire_outcome seen; /* all but its usage */
  struct usage_fields usage;
  uint64_t text_bytes; /* that passed since the last usage */
  bool reported, done, failed_reading, cut_event;
  uint8_t prefix_seen; /* of a line of an event that is too long: how much of "data:" */
  bool broken;         /* it can not be turned; nothing more is sent */
  struct error why_broken;
  struct frame frame;
  struct scan scan;
  struct heard heard;
  struct repeat repeat; /* of the last event with text */
  struct buf joined, kept;
  struct buf *out, *last_to; /* of the piece under way; where the last event went, NULL: nowhere */
  struct turned *turned;     /* an answer of chat becomes one of messages; NULL: it passes as it is */
};
/* Takes in what one JSON text of the answer told. */
void reader_absorb(struct wire_reader *r, const struct heard *h);

/* Events longer than WIRE_EVENT_BYTES_MAX, in long_event.c. */
void long_event_start(struct wire_reader *r);
void long_event_take(struct wire_reader *r, slice part);
bool long_event_end(struct wire_reader *r); /* true: it was JSON, and has been heard */

/* One JSON text, in json_answer.c: it passes, its last byte that is not blank kept back; or it is gathered and turned.
 */
void json_answer_take(struct wire_reader *r, slice piece, struct buf *out);
#endif
