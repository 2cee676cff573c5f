/* An event that is too long to be held is heard while it passes, so that none can hide its usage by its length. */
#include "reader.h"

static const char prefix[] = "data:";
enum { PREFIX_BYTES = sizeof prefix - 1, OTHER_FIELD = 0xff };

void long_event_start(struct wire_reader *r) {
  heard_start(&r->heard);
  scan_start(&r->scan, heard_token, &r->heard, false, SCAN_DEPTH_MAX);
  r->prefix_seen = 0;
  r->failed_reading = false;
}

/* Behind the line end or the part, whichever comes first. */
static size_t line_rest(slice part, size_t at) {
  while (at < part.len && part.ptr[at] != '\n' && part.ptr[at] != '\r') {
    at++;
  }
  return at;
}

void long_event_take(struct wire_reader *r, slice part) {
  for (size_t at = 0; at < part.len;) {
    const char c = part.ptr[at];
    if (c == '\n' || c == '\r') {
      r->prefix_seen = 0;
      at++;
    } else if (r->prefix_seen < PREFIX_BYTES) {
      r->prefix_seen = c == prefix[r->prefix_seen] ? (uint8_t)(r->prefix_seen + 1) : OTHER_FIELD;
      at++;
    } else {
      const size_t end = line_rest(part, at);
      if (r->prefix_seen != OTHER_FIELD && !r->failed_reading) {
        r->failed_reading = !scan_take(&r->scan, (slice){part.ptr + at, end - at});
      }
      at = end;
    }
  }
}

bool long_event_end(struct wire_reader *r) {
  return !r->failed_reading && r->scan.done;
}
