/* Follows an answer: takes in what its events tell, hides usage that was not asked for, keeps the last event back. */
#include "base/limits.h"
#include "turned.h"
#include <stdlib.h>
#include <string.h>

static frame_handler on_frame;

static void clear(struct wire_reader *r) {
  turned_free(r->turned);
  frame_free(&r->frame);
  buf_free(&r->joined);
  buf_free(&r->kept);
}

struct wire_reader *wire_reader_again(struct wire_reader *old, const struct wire_reader_options *options) {
  struct wire_reader *r = old;
  if (r) {
    clear(r);
    memset(r, 0, sizeof *r);
  } else {
    r = mem_alloc(sizeof *r);
  }
  must(options->shape == WIRE_OPENAI || options->door == WIRE_MESSAGES);
  r->options = *options;
  r->heard = (struct heard){.door = options->door, .shape = options->shape, .stream = options->stream};
  buf_init(&r->joined, options->stream ? WIRE_EVENT_BYTES_MAX : LIMIT_BODY_BYTES);
  buf_init(&r->kept, READER_KEPT_MAX);
  if (options->door == WIRE_MESSAGES && options->shape == WIRE_OPENAI) {
    r->turned = turned_new();
  }
  if (options->stream) {
    frame_start(&r->frame, on_frame, r, WIRE_EVENT_BYTES_MAX);
  } else {
    heard_start(&r->heard);
    scan_start(&r->scan, heard_token, &r->heard, false, SCAN_DEPTH_MAX);
  }
  return r;
}

void wire_reader_free(struct wire_reader *r) {
  if (r) {
    clear(r);
    free(r);
  }
}

struct wire_reader *wire_reader_new(const struct wire_reader_options *options) {
  return wire_reader_again(NULL, options);
}

static void keep_word(char *to, size_t size, const char *word) {
  if (word[0] && strlen(word) < size) {
    memcpy(to, word, strlen(word) + 1);
  }
}

/* Text first: usage in the same event covers it. */
void reader_absorb(struct wire_reader *r, const struct heard *h) {
  keep_word(r->seen.finish, sizeof r->seen.finish, h->finish);
  keep_word(r->seen.tier, sizeof r->seen.tier, h->tier);
  keep_word(r->seen.model, sizeof r->seen.model, h->model);
  if (h->failed) {
    r->seen.failed = true;
    return;
  }
  if (h->text_bytes > 0) {
    r->text_bytes += h->text_bytes;
    r->seen.generated = true;
    r->seen.pieces++;
  }
  if (!h->usage_is_object || !usage_is_whole(&h->usage, r->options.shape)) {
    return;
  }
  if (r->options.shape == WIRE_OPENAI) {
    memset(&r->usage, 0, sizeof r->usage);
  }
  usage_merge(&r->usage, &h->usage);
  r->reported = true;
  r->text_bytes = 0;
}

static bool ends_with(const char *text, const char *end) {
  const size_t len = strlen(text), end_len = strlen(end);
  return len >= end_len && memcmp(text + len - end_len, end, end_len) == 0;
}

/* What the type of an event says; true: it is the last one. */
static bool typed_event(struct wire_reader *r, struct heard *h) {
  if (strcmp(h->type, "error") == 0) {
    h->failed = true;
  }
  if (r->options.shape == WIRE_ANTHROPIC) {
    return strcmp(h->type, "message_stop") == 0;
  }
  if (r->options.door != WIRE_RESPONSES) {
    return false;
  }
  if (ends_with(h->type, ".delta")) {
    h->text_bytes += h->delta_bytes;
  }
  if (strcmp(h->type, "response.failed") == 0) {
    r->seen.failed = true;
    return true;
  }
  return strcmp(h->type, "response.completed") == 0 || strcmp(h->type, "response.incomplete") == 0;
}

static void end_with(struct wire_reader *r, slice raw) {
  r->done = r->seen.complete = true;
  r->last_to = &r->kept;
  buf_add(&r->kept, raw);
  frame_stop(&r->frame);
}

static void pass(struct wire_reader *r, slice raw) {
  r->last_to = r->out;
  buf_add(r->out, raw);
}

/* Some of the data. When it came in several lines they are written anew. */
static void add_data(struct buf *out, slice part, bool is_joined) {
  const char *feed;
  while (is_joined && part.len > 0 && (feed = memchr(part.ptr, '\n', part.len))) {
    const size_t line = (size_t)(feed - part.ptr);
    buf_add(out, (slice){part.ptr, line});
    buf_add(out, SLICE("\ndata: "));
    part = (slice){feed + 1, part.len - line - 1};
  }
  buf_add(out, part);
}

static void before_data(struct buf *out, slice raw, const struct frame_event *e) {
  if (!e->is_joined) {
    buf_add(out, (slice){raw.ptr, (size_t)(e->data.ptr - raw.ptr)});
    return;
  }
  if (e->name.len) {
    buf_add(out, SLICE("event: "));
    buf_add(out, e->name);
    buf_addc(out, '\n');
  }
  buf_add(out, SLICE("data: "));
}

/* The event without its usage member. */
static void pass_cut(struct wire_reader *r, slice raw, const struct frame_event *e) {
  const struct heard *h = &r->heard;
  size_t at = 0;
  r->last_to = r->out;
  before_data(r->out, raw, e);
  for (size_t i = 0; i < h->cut_count; i++) {
    add_data(r->out, (slice){e->data.ptr + at, (size_t)h->cuts[i].begin - at}, e->is_joined);
    at = (size_t)h->cuts[i].end;
  }
  add_data(r->out, (slice){e->data.ptr + at, e->data.len - at}, e->is_joined);
  const char *rest = e->data.ptr + e->data.len;
  buf_add(r->out, e->is_joined ? SLICE("\n\n") : (slice){rest, (size_t)(raw.ptr + raw.len - rest)});
}

static void pass_hidden(struct wire_reader *r, slice raw, const struct frame_event *e) {
  const struct heard *h = &r->heard;
  if ((h->choices_empty && h->usage_given) || h->cuts_overflow) {
    r->last_to = NULL;
  } else if (h->cut_count > 0) {
    pass_cut(r, raw, e);
  } else {
    pass(r, raw);
  }
}

static bool scan_event(struct wire_reader *r, slice data) {
  heard_start(&r->heard);
  scan_start(&r->scan, heard_token, &r->heard, false, SCAN_DEPTH_MAX);
  return scan_whole(&r->scan, data);
}

static void broken(struct wire_reader *r, const char *why) {
  if (r->why_broken.code == ERR_NONE) {
    error_set(&r->why_broken, ERR_INVALID, "%s", why);
  }
  r->broken = true;
  frame_stop(&r->frame);
}

/* An event on its way into another shape: what carries no data goes on only when it is a comment. */
static void turn_event(struct wire_reader *r, slice raw) {
  struct frame_event e;
  frame_fields(raw, &r->joined, &e);
  r->last_to = NULL;
  if (!e.has_data) {
    if (raw.ptr[0] == ':') pass(r, raw);
    return;
  }
  if (slice_is(slice_trim(e.data), "[DONE]")) {
    turned_finish(r);
    end_with(r, (slice){0});
    r->last_to = NULL;
    if (!r->seen.failed) turned_stop(&r->kept);
    return;
  }
  if (!scan_event(r, e.data)) {
    broken(r, "the model server's stream is not JSON");
    return;
  }
  reader_absorb(r, &r->heard);
  if (!turned_event(r, e.data, &r->why_broken)) {
    broken(r, "the model server's stream can not be turned");
  }
}

/* One text and nothing else that would be taken in. */
static void remember(struct wire_reader *r, slice raw, const struct frame_event *e) {
  const struct heard *h = &r->heard;
  const bool only_text = h->texts == 1 && h->text_is_plain && h->text_bytes > 0 && h->finish[0] == 0 && !h->failed &&
                         !h->usage_given && h->cut_count == 0 && h->delta_bytes == 0 && !e->is_joined;
  const size_t before = (size_t)(e->data.ptr - raw.ptr);
  if (only_text) {
    repeat_remember(&r->repeat, raw, before + (size_t)h->text_begin, before + (size_t)h->text_end);
  }
}

static bool repeats(struct wire_reader *r, slice raw) {
  size_t text_bytes;
  if (!repeat_is(&r->repeat, raw, &text_bytes)) {
    return false;
  }
  r->text_bytes += text_bytes;
  r->seen.pieces += text_bytes > 0;
  pass(r, raw);
  return true;
}

static void event(struct wire_reader *r, slice raw) {
  struct frame_event e;
  if (r->turned) {
    turn_event(r, raw);
    return;
  }
  if (repeats(r, raw)) {
    return;
  }
  frame_fields(raw, &r->joined, &e);
  if (!e.has_data) {
    pass(r, raw);
    return;
  }
  if (r->options.shape == WIRE_OPENAI && slice_is(slice_trim(e.data), "[DONE]")) {
    end_with(r, raw);
    return;
  }
  if (!scan_event(r, e.data)) {
    pass(r, raw);
    return;
  }
  const bool last = typed_event(r, &r->heard);
  reader_absorb(r, &r->heard);
  if (last) {
    end_with(r, raw);
    return;
  }
  remember(r, raw, &e);
  if (r->options.hide_usage) {
    pass_hidden(r, raw, &e);
  } else {
    pass(r, raw);
  }
}

/* One that is too long to be held passes, but for the last of it when it ends the stream. */
static void long_event(struct wire_reader *r, enum frame_kind kind, slice raw) {
  if (!r->cut_event) {
    long_event_start(r);
  }
  long_event_take(r, raw);
  r->cut_event = kind == FRAME_PART;
  if (kind == FRAME_PART) {
    pass(r, raw);
    return;
  }
  if (!long_event_end(r)) {
    r->seen.generated = true;
    r->seen.pieces++;
    pass(r, raw);
    return;
  }
  const bool last = typed_event(r, &r->heard);
  reader_absorb(r, &r->heard);
  if (last) { /* without the very end of its blank line the event does not count yet */
    pass(r, (slice){raw.ptr, raw.len - 1});
    end_with(r, (slice){raw.ptr + raw.len - 1, 1});
  } else {
    pass(r, raw);
  }
}

static void on_frame(void *context, enum frame_kind kind, slice raw) {
  struct wire_reader *r = context;
  switch (kind) {
  case FRAME_EVENT:
    event(r, raw);
    break;
  case FRAME_PART:
  case FRAME_LAST:
    if (r->turned) {
      broken(r, "an event of the model server is too long");
      break;
    }
    long_event(r, kind, raw);
    break;
  case FRAME_FEED:
    if (r->last_to) {
      buf_add(r->last_to, raw);
    }
    break;
  }
}

bool wire_reader_take(struct wire_reader *r, slice piece, struct buf *out, struct error *err) {
  r->out = out;
  if (!r->options.stream) {
    json_answer_take(r, piece, out);
  } else {
    r->last_to = r->last_to == &r->kept ? &r->kept : r->last_to ? out : NULL;
    frame_take(&r->frame, piece);
  }
  if (r->broken) {
    *err = r->why_broken;
  }
  return !r->broken;
}

/* A server that ends its stream without the blank line behind [DONE]. */
static bool done_without_blank(const struct wire_reader *r, bool line_ended) {
  const slice rest = buf_slice(&r->frame.pending);
  struct frame_event e;
  struct buf joined;
  if (!r->options.stream || r->options.shape != WIRE_OPENAI || rest.len == 0 || rest.len > 64) {
    return false;
  }
  buf_init(&joined, 64);
  frame_fields(rest, &joined, &e);
  const bool done = e.has_data && slice_is(slice_trim(e.data), "[DONE]");
  buf_free(&joined);
  return done && (!line_ended || rest.ptr[rest.len - 1] == '\n' || rest.ptr[rest.len - 1] == '\r');
}

bool wire_reader_is_done(const struct wire_reader *r) {
  return r->options.stream ? r->done || done_without_blank(r, true) : r->seen.complete;
}

void wire_reader_outcome(const struct wire_reader *r, struct wire_outcome *out) {
  *out = r->seen;
  out->complete = !r->broken && (out->complete || done_without_blank(r, false));
  usage_settle(&r->usage, r->options.shape, &out->usage);
  const bool half_heard = !r->options.stream && !r->scan.done;
  const uint64_t text_bytes = r->text_bytes + (half_heard ? r->heard.text_bytes : 0);
  out->generated |= text_bytes > 0;
  out->usage.output += wire_estimate(text_bytes);
  out->usage.reported = r->reported && text_bytes == 0;
}

static void error_event(const struct wire_reader *r, const char *why, struct buf *out) {
  struct buf body;
  buf_init(&body, (size_t)1 << 16);
  if (r->cut_event) {
    buf_add(out, SLICE("\n\n"));
  }
  if (r->options.door == WIRE_MESSAGES) {
    buf_add(out, SLICE("event: error\n"));
  }
  wire_error(r->options.door, 500, why, NULL, NULL, r->options.id, &body);
  buf_add(out, SLICE("data: "));
  buf_add(out, buf_slice(&body));
  buf_add(out, SLICE("\n\n"));
  buf_free(&body);
}

/* What is left when nothing more comes: an event without its blank line. */
static void take_rest(struct wire_reader *r) {
  const bool done = done_without_blank(r, false), line_ended = done_without_blank(r, true);
  if (!r->options.stream || r->done || r->broken) {
    return;
  }
  if (r->frame.pending.len > 0) {
    event(r, buf_slice(&r->frame.pending));
    r->frame.pending.len = 0;
  }
  if (r->turned && !r->seen.failed && !r->broken) {
    turned_finish(r);
    r->kept.len = 0;
    turned_stop(&r->kept);
  } else if (done && !r->turned) {
    buf_add(&r->kept, line_ended ? SLICE("\n") : SLICE("\n\n"));
  }
}

void wire_reader_end(struct wire_reader *r, const char *why, struct buf *out) {
  r->out = out;
  if (why == NULL || (r->seen.failed && r->done)) {
    take_rest(r);
    buf_add(out, buf_slice(&r->kept));
    r->kept.len = 0;
  } else if (r->options.stream && !r->seen.failed) {
    error_event(r, why, out);
  }
}
