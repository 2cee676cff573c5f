/* The limits of what comes in over HTTP, in one table: the code uses these values, `serve --help`, GET /api/v1/limits
 * and docs/http-api.md show them. */
#ifndef METERHOUSE_BASE_LIMITS_H
#define METERHOUSE_BASE_LIMITS_H
#include "base/base.h"

/* CONSTANT, name, value, status on breach (0: the connection is closed or waits), what it bounds */
#define LIMITS(X)                                                                                                      \
  X(LIMIT_BODY_BYTES, "body_bytes", 16 << 20, 413, "a request's body, also once unpacked")                             \
  X(LIMIT_BATCH_EVENTS, "batch_events", 10000, 413, "events of a JSON batch")                                          \
  X(LIMIT_STREAM_LINES, "stream_lines", 100000, 413, "lines of an NDJSON body")                                        \
  X(LIMIT_EVENT_BYTES, "event_bytes", 256 << 10, 422, "one event's JSON")                                              \
  X(LIMIT_EVENT_FIELDS, "event_fields", 64, 422,                                                                       \
    "fields of an event's data, nested ones counted by their dotted names")                                            \
  X(LIMIT_ATTRIBUTE_BYTES, "attribute_bytes", 256, 422, "id, source, type, subject and names of fields")               \
  X(LIMIT_VALUE_BYTES, "value_bytes", 1024, 422, "the value of a field")                                               \
  X(LIMIT_NESTING, "nesting", 32, 413, "levels of objects and arrays in a body")                                       \
  X(LIMIT_JSON_VALUES, "json_values", 1 << 20, 413, "values in one JSON text")                                         \
  X(LIMIT_HEADER_BYTES, "header_bytes", 64 << 10, 400, "a request's line and headers")                                 \
  X(LIMIT_IDEMPOTENCY_KEY_BYTES, "idempotency_key_bytes", 200, 400, "an Idempotency-Key")                              \
  X(LIMIT_QUEUE_COMMANDS, "queue_commands", 4096, 429, "requests that wait to be written")                             \
  X(LIMIT_QUEUE_BYTES, "queue_bytes", 64 << 20, 429, "memory of the requests that wait to be written")                 \
  X(LIMIT_COMMIT_BYTES, "commit_bytes", 16 << 20, 0, "what is written in one step, so that none waits long for it")    \
  X(LIMIT_BODIES_BYTES, "bodies_bytes", 256 << 20, 0,                                                                  \
    "all bodies under way; beyond it, what is sent waits to be read")                                                  \
  X(LIMIT_CONNECTIONS, "connections", 16384, 0, "open connections; further ones wait to be accepted")                  \
  X(LIMIT_REQUEST_TIMEOUT_S, "request_timeout_seconds", 120, 0, "silence in the midst of a request or between two")    \
  X(LIMIT_RETRY_AFTER_S, "retry_after_seconds", 1, 429, "what Retry-After says with 429 and 503")

#define LIMIT_CONSTANT(constant, name, value, status, what) constant = (value),
enum limit_value { LIMITS(LIMIT_CONSTANT) };
#undef LIMIT_CONSTANT

struct limit {
  const char *name;
  int64_t value;
  int status;
  const char *what;
};
extern const struct limit limits[];
extern const size_t limit_count;
#endif
