/* Where the events of a text/event-stream begin and end, whatever its line ends are and wherever its pieces are cut. */
#ifndef METERHOUSE_WIRE_FRAME_H
#define METERHOUSE_WIRE_FRAME_H
#include "base/base.h"

enum frame_kind {
  FRAME_EVENT, /* a whole event, the blank line included */
  FRAME_PART,  /* some of one that is too long to be held */
  FRAME_LAST,  /* the end of such a one */
  FRAME_FEED   /* the line feed of a CR LF that ended the event before */
};
typedef void frame_handler(void *context, enum frame_kind kind, slice raw);
struct frame {
  frame_handler *handler;
  void *context;
  size_t event_bytes_max;
  struct buf pending; /* the event under way */
  bool in_line;       /* bytes came since the last line end */
  bool after_cr;      /* a line feed that comes now belongs to the line before */
  bool in_long, stopped;
};
void frame_start(struct frame *f, frame_handler *handler, void *context, size_t event_bytes_max);
void frame_free(struct frame *f);
void frame_take(struct frame *f, slice piece);
/* To be called by the handler: what follows is not looked at. */
void frame_stop(struct frame *f);

/* The fields of an event. `data` lies in `raw`, or when it has several lines, joined in `joined`. */
struct frame_event {
  slice name, data;
  bool is_joined, has_data;
};
void frame_fields(slice raw, struct buf *joined, struct frame_event *out);
#endif
