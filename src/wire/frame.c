/* Cuts a text/event-stream into events, and events into fields, by the rules of the HTML standard. */
#include "frame.h"
#include <string.h>

void frame_start(struct frame *f, frame_handler *handler, void *context, size_t event_bytes_max) {
  *f = (struct frame){.handler = handler, .context = context, .event_bytes_max = event_bytes_max};
  buf_init(&f->pending, event_bytes_max);
}

void frame_free(struct frame *f) {
  buf_free(&f->pending);
}

void frame_stop(struct frame *f) {
  f->stopped = true;
}

/* The next line end in [at, end), or `end`. */
static const char *line_end(const char *at, const char *end) {
  const char *feed = memchr(at, '\n', (size_t)(end - at));
  const char *until = feed ? feed : end;
  const char *cr = memchr(at, '\r', (size_t)(until - at));
  return cr ? cr : until;
}

/* Behind the blank line that ends the event, or NULL when it is not in [at, end). */
static const char *event_end(struct frame *f, const char *at, const char *end) {
  while (at < end) {
    if (*at != '\n' && *at != '\r') {
      f->in_line = true;
      f->after_cr = false;
      at = line_end(at, end);
      continue;
    }
    const bool second_half = *at == '\n' && f->after_cr, blank = !f->in_line;
    f->after_cr = *at++ == '\r';
    if (second_half) {
      continue;
    }
    f->in_line = false;
    if (blank) {
      return at;
    }
  }
  return NULL;
}

static void hand_over(struct frame *f, slice raw) {
  if (f->in_long) {
    f->in_long = false;
    f->handler(f->context, FRAME_LAST, raw);
  } else if (f->pending.len + raw.len > f->event_bytes_max) {
    f->handler(f->context, FRAME_PART, buf_slice(&f->pending));
    f->pending.len = 0;
    f->handler(f->context, FRAME_LAST, raw);
  } else if (f->pending.len > 0) {
    buf_add(&f->pending, raw);
    f->handler(f->context, FRAME_EVENT, buf_slice(&f->pending));
    f->pending.len = 0;
  } else {
    f->handler(f->context, FRAME_EVENT, raw);
  }
}

static void hold(struct frame *f, slice raw) {
  if (!f->in_long && f->pending.len + raw.len <= f->event_bytes_max) {
    buf_add(&f->pending, raw);
    return;
  }
  f->in_long = true;
  f->handler(f->context, FRAME_PART, buf_slice(&f->pending));
  f->pending.len = 0;
  f->handler(f->context, FRAME_PART, raw);
}

void frame_take(struct frame *f, slice piece) {
  const char *at = piece.ptr, *end = piece.ptr + piece.len;
  while (at < end) {
    const bool between = !f->in_line && f->pending.len == 0 && !f->in_long;
    if (f->after_cr && between && *at == '\n') {
      f->after_cr = false;
      f->handler(f->context, FRAME_FEED, (slice){at++, 1});
      continue;
    }
    if (f->stopped) {
      f->after_cr = false;
      return;
    }
    const char *stop = event_end(f, at, end);
    if (stop == NULL) {
      hold(f, (slice){at, (size_t)(end - at)});
      return;
    }
    hand_over(f, (slice){at, (size_t)(stop - at)});
    at = stop;
  }
}

static slice after_colon(slice line, size_t colon) {
  slice value = {line.ptr + colon + 1, line.len - colon - 1};
  if (value.len > 0 && value.ptr[0] == ' ') {
    value.ptr++;
    value.len--;
  }
  return value;
}

static void field(slice line, struct buf *joined, struct frame_event *out) {
  if (slice_starts(line, "data:")) {
    const slice value = after_colon(line, 4);
    if (!out->has_data) {
      out->data = value;
      out->has_data = true;
      return;
    }
    if (!out->is_joined) {
      joined->len = 0;
      buf_add(joined, out->data);
      out->is_joined = true;
    }
    buf_addc(joined, '\n');
    buf_add(joined, value);
    out->data = buf_slice(joined);
  } else if (slice_starts(line, "event:")) {
    out->name = after_colon(line, 5);
  }
}

void frame_fields(slice raw, struct buf *joined, struct frame_event *out) {
  const char *at = raw.ptr, *end = raw.ptr + raw.len;
  *out = (struct frame_event){0};
  while (at < end) {
    const char *stop = line_end(at, end);
    field((slice){at, (size_t)(stop - at)}, joined, out);
    at = stop + (stop < end);
  }
}
