/* POST /api/v1/events: CloudEvents in structured, binary or batched mode; parsed on the edge, decided on the core,
 * answered one by one after the batch is durable. */
#include "api/private.h"
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct intake {
  struct event *events;
  struct ingest_result *parsed; /* INVALID with a reason where parsing failed already */
  slice *ids;                   /* as far as they could be read */
  size_t count;
};

enum mode { MODE_STRUCTURED, MODE_BATCH, MODE_BINARY };

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
    return MODE_STRUCTURED;
  }
  return http_header(call->http, "ce-id").len || http_header(call->http, "ce-type").len ? MODE_BINARY : MODE_STRUCTURED;
}

static void add(struct api_call *call, struct intake *intake, const struct json *json) {
  struct error why = {0};
  size_t i = intake->count++;
  intake->ids[i] = json_text(json, "id");
  if (!event_from_json(call->arena, json, clock_now(), &intake->events[i], &why)) {
    intake->parsed[i] = (struct ingest_result){EVENT_INVALID, arena_printf(call->arena, "%s", why.message)};
  }
}

static bool size_intake(struct api_call *call, struct intake *intake, size_t count, struct error *err) {
  if (count > EVENT_BATCH_MAX) {
    return error_set(err, ERR_LIMIT, "a batch has at most %d events, this one %zu: split it", EVENT_BATCH_MAX, count);
  }
  intake->events = arena_array(call->arena, count, sizeof *intake->events);
  intake->parsed = arena_array(call->arena, count, sizeof *intake->parsed);
  intake->ids = arena_array(call->arena, count, sizeof *intake->ids);
  return true;
}

static bool read_json(struct api_call *call, struct intake *intake, enum mode mode, struct error *err) {
  const struct json *json;
  if (!json_parse(call->arena, http_body(call->http), &json, err)) {
    return error_at(err, "the body");
  }
  if (mode == MODE_BATCH && json->kind != JSON_ARRAY) {
    return error_set(err, ERR_INVALID, "a batch is a JSON array of events");
  }
  if (json->kind != JSON_ARRAY) {
    if (!size_intake(call, intake, 1, err)) {
      return false;
    }
    add(call, intake, json);
    return true;
  }
  if (!size_intake(call, intake, json->count, err)) {
    return false;
  }
  for (const struct json *one = json->child; one; one = one->next) {
    add(call, intake, one);
  }
  return true;
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
static bool read_binary(struct api_call *call, struct intake *intake, struct error *err) {
  static const char *const attributes[] = {"id", "source", "specversion", "type", "subject", "time"};
  struct buf text;
  struct json_out w;
  slice body = slice_trim(http_body(call->http));
  const struct json *json;
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
  bool ok =
      size_intake(call, intake, 1, err) &&
      (json_parse(call->arena, arena_copy(call->arena, buf_slice(&text)), &json, err) || error_at(err, "the body"));
  buf_free(&text);
  if (ok) {
    add(call, intake, json);
  }
  return ok;
}

bool events_prepare(struct api_call *call, struct error *err) {
  struct intake *intake = arena_alloc(call->arena, sizeof *intake);
  enum mode mode = mode_of(call);
  call->state = intake;
  return mode == MODE_BINARY ? read_binary(call, intake, err) : read_json(call, intake, mode, err);
}

/* The parsed ones go to the book; the others keep their reason. */
static bool ingest(struct api_call *call, struct book *book, const struct intake *intake, struct ingest_result *results,
                   struct error *err) {
  struct event *events = arena_array(call->arena, intake->count, sizeof *events);
  size_t *place = arena_array(call->arena, intake->count, sizeof *place);
  struct ingest_result *decided = arena_array(call->arena, intake->count, sizeof *decided);
  size_t count = 0;
  for (size_t i = 0; i < intake->count; i++) {
    results[i] = intake->parsed[i];
    if (intake->parsed[i].reason) {
      continue;
    }
    place[count] = i;
    events[count++] = intake->events[i];
  }
  if (count > 0 && !book_ingest(book, call->arena, events, count, decided, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    results[place[i]] = decided[i];
  }
  return true;
}

static void put_result(struct json_out *w, slice id, const struct ingest_result *result) {
  json_open_object(w);
  json_put_str(w, "id", id);
  json_put_cstr(w, "status", verdict_name(result->verdict));
  if (result->reason) {
    json_put_cstr(w, "reason", result->reason);
  }
  json_close_object(w);
}

static void count_up(struct api *api, const uint64_t counts[4]) {
  atomic_fetch_add(&api->events_accepted, counts[EVENT_ACCEPTED]);
  atomic_fetch_add(&api->events_duplicate, counts[EVENT_DUPLICATE]);
  atomic_fetch_add(&api->events_conflict, counts[EVENT_CONFLICT]);
  atomic_fetch_add(&api->events_invalid, counts[EVENT_INVALID]);
}

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
  const struct intake *intake = call->state;
  struct ingest_result *results = arena_array(call->arena, intake->count, sizeof *results);
  uint64_t counts[4] = {0};
  if (!ingest(call, book, intake, results, err)) {
    return false;
  }
  json_open_object(&call->json);
  json_key(&call->json, "results");
  json_open_array(&call->json);
  for (size_t i = 0; i < intake->count; i++) {
    put_result(&call->json, intake->ids[i], &results[i]);
    counts[results[i].verdict]++;
  }
  json_close_array(&call->json);
  json_put_int(&call->json, "accepted", (int64_t)counts[EVENT_ACCEPTED]);
  json_put_int(&call->json, "duplicate", (int64_t)counts[EVENT_DUPLICATE]);
  json_put_int(&call->json, "conflict", (int64_t)counts[EVENT_CONFLICT]);
  json_put_int(&call->json, "invalid", (int64_t)counts[EVENT_INVALID]);
  json_close_object(&call->json);
  call->status = status_for(counts, intake->count);
  count_up(call->api, counts);
  return book_count(book, counts[EVENT_DUPLICATE], counts[EVENT_CONFLICT], counts[EVENT_INVALID], err);
}
