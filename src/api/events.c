/* POST /api/v1/events: CloudEvents in structured, binary or batched mode, or a line each; parsed on the edge, decided
 * on the core, answered one by one after the batch is durable. */
#include "api/private.h"
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct intake {
  struct event_body body;
  enum verdict *verdicts; /* of body.events */
  uint64_t counts[4];     /* by verdict, of all entries */
};

enum mode { MODE_ANY, MODE_BATCH, MODE_BINARY, MODE_LINES };

static bool type_starts(slice type, const char *prefix) {
  size_t length = strlen(prefix);
  return type.len >= length && strncasecmp(type.ptr, prefix, length) == 0;
}

/* The mode is told by the prefix of Content-Type, whatever its case (CloudEvents HTTP binding 3). */
static enum mode mode_of(const struct api_call *call) {
  slice type = http_header(call->http, "content-type");
  if (type_starts(type, "application/cloudevents-batch")) {
    return MODE_BATCH;
  }
  if (type_starts(type, "application/cloudevents")) {
    return MODE_ANY;
  }
  if (type_starts(type, "application/x-ndjson") || type_starts(type, "application/ndjson")) {
    return MODE_LINES;
  }
  return http_header(call->http, "ce-id").len || http_header(call->http, "ce-type").len ? MODE_BINARY : MODE_ANY;
}

static bool is_utf8(slice s) {
  size_t more = 0;
  for (size_t i = 0; i < s.len; i++) {
    unsigned char c = (unsigned char)s.ptr[i];
    if (more > 0) {
      if ((c & 0xc0) != 0x80) {
        return false;
      }
      more--;
    } else if (c >= 0x80) {
      more = (c & 0xe0) == 0xc0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : (c & 0xf8) == 0xf0 ? 3 : 4;
      if (more == 4) {
        return false;
      }
    }
  }
  return more == 0;
}

/* Headers of clients that do not percent-encode arrive in Latin-1, the old default of HTTP. */
static slice latin1_to_utf8(struct arena *arena, slice s) {
  char *to = arena_alloc(arena, 2 * s.len + 1);
  size_t length = 0;
  for (size_t i = 0; i < s.len; i++) {
    unsigned char c = (unsigned char)s.ptr[i];
    if (c >= 0x80) {
      to[length++] = (char)(0xc0 | c >> 6);
      c = (unsigned char)(0x80 | (c & 0x3f));
    }
    to[length++] = (char)c;
  }
  return (slice){to, length};
}

/* A header's value, percent-decoded; an absent header adds nothing. */
static void put_header(struct api_call *call, struct json_out *w, const char *header, const char *name) {
  slice value = http_header(call->http, header);
  if (value.len == 0) {
    return;
  }
  size_t length;
  char *decoded = evhttp_uridecode(value.ptr, 0, &length);
  if (decoded) {
    value = arena_copy(call->arena, (slice){decoded, length});
  }
  free(decoded);
  json_put_str(w, name, is_utf8(value) ? value : latin1_to_utf8(call->arena, value));
}

/* Binary mode: the attributes are headers, the body is the data; put together it is a structured event. */
static bool join_binary(struct api_call *call, slice *out, struct error *err) {
  static const char *const attributes[] = {"id", "source", "specversion", "type", "subject", "time"};
  struct buf text;
  struct json_out w;
  slice body = slice_trim(http_body(call->http));
  buf_init(&text, HTTP_BODY_BYTES_MAX + HTTP_HEADER_BYTES_MAX);
  json_out_init(&w, &text, false);
  json_open_object(&w);
  for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
    char header[32];
    snprintf(header, sizeof header, "ce-%s", attributes[i]);
    put_header(call, &w, header, attributes[i]);
  }
  if (body.len > 0) {
    json_key(&w, "data");
    json_raw(&w, body);
  }
  json_close_object(&w);
  bool ok = !text.failed || error_set(err, ERR_LIMIT, "the event is larger than %d bytes", HTTP_BODY_BYTES_MAX);
  *out = arena_copy(call->arena, buf_slice(&text));
  buf_free(&text);
  return ok;
}

/* ---- on the core ---- */

/* 200 when all are in the book (now or before), 409 or 422 for a single refused event, 207 for a mixed batch. */
static int status_for(const uint64_t counts[4], size_t count) {
  if (counts[EVENT_CONFLICT] + counts[EVENT_INVALID] == 0) {
    return 200;
  }
  if (count > 1) {
    return 207;
  }
  return counts[EVENT_CONFLICT] ? 409 : 422;
}

bool events_apply(struct api_call *call, struct book *book, struct error *err) {
  struct intake *intake = call->state;
  const struct event_body *body = &intake->body;
  intake->verdicts = arena_array(call->arena, body->event_count, sizeof *intake->verdicts);
  memset(intake->counts, 0, sizeof intake->counts);
  if (body->event_count > 0 && !book_append(book, body->events, body->event_count, intake->verdicts, err)) {
    return false;
  }
  for (size_t i = 0; i < body->event_count; i++) {
    intake->counts[intake->verdicts[i]]++;
  }
  intake->counts[EVENT_INVALID] = body->count - body->event_count;
  call->status = status_for(intake->counts, body->count);
  book_count(book, intake->counts[EVENT_DUPLICATE], intake->counts[EVENT_CONFLICT], intake->counts[EVENT_INVALID]);
  return true;
}

/* ---- the answer ---- */

/* Written piece by piece: there may be a hundred thousand. */
static void put_result(struct buf *out, const struct event_entry *entry, enum verdict verdict, const char *reason) {
  buf_add(out, SLICE("{"));
  if (entry->line > 0) {
    buf_addf(out, "\"line\":%u,", entry->line);
  }
  buf_add(out, SLICE("\"id\":"));
  json_quote(out, entry->id);
  buf_add(out, SLICE(",\"status\":\""));
  buf_add(out, slice_of(verdict_name(verdict)));
  buf_add(out, SLICE("\""));
  if (reason) {
    buf_add(out, SLICE(",\"reason\":"));
    json_quote(out, slice_of(reason));
  }
  buf_add(out, SLICE("}"));
}

static void put_results(struct api_call *call, const struct intake *intake) {
  const struct event_body *body = &intake->body;
  size_t next = 0;
  for (size_t i = 0; i < body->count; i++) {
    const struct event_entry *entry = &body->entries[i];
    enum verdict verdict = EVENT_INVALID;
    const char *reason = entry->refused;
    if (reason == NULL) {
      verdict = intake->verdicts[next];
      reason = verdict == EVENT_CONFLICT ? book_why_conflict(call->arena, &body->events[next]) : NULL;
      next++;
    }
    buf_add(&call->out, i > 0 ? SLICE(",") : (slice){0});
    put_result(&call->out, entry, verdict, reason);
  }
}

static void answer(struct api_call *call) {
  const struct intake *intake = call->state;
  buf_add(&call->out, SLICE("{\"results\":["));
  put_results(call, intake);
  buf_addf(&call->out, "],\"accepted\":%llu,\"duplicate\":%llu,\"conflict\":%llu,\"invalid\":%llu}",
           (unsigned long long)intake->counts[EVENT_ACCEPTED], (unsigned long long)intake->counts[EVENT_DUPLICATE],
           (unsigned long long)intake->counts[EVENT_CONFLICT], (unsigned long long)intake->counts[EVENT_INVALID]);
}

static void count_verdicts(struct api_call *call) {
  const struct intake *intake = call->state;
  for (size_t v = 0; v < sizeof intake->counts / sizeof *intake->counts; v++) {
    atomic_fetch_add(&call->api->events[v], intake->counts[v]);
  }
}

/* ---- on the edge ---- */

bool events_prepare(struct api_call *call, struct error *err) {
  struct intake *intake = arena_alloc(call->arena, sizeof *intake);
  slice text = http_body(call->http);
  enum mode mode = mode_of(call);
  call->state = intake;
  call->answer = answer;
  call->committed = count_verdicts;
  enum event_body_form form = mode == MODE_BATCH   ? EVENT_BODY_ARRAY
                              : mode == MODE_LINES ? EVENT_BODY_LINES
                                                   : EVENT_BODY_ANY;
  return (mode != MODE_BINARY || join_binary(call, &text, err)) &&
         event_body_read(call->arena, form, text, book_catalog(call->api->book), clock_now(), &intake->body, err);
}
