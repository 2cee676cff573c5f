/* Fuzzes bodies of events: the short way and the element-wise way give what the tree of the whole gives, to the word.
 */
#include "base/json.h"
#include "meter/meter.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NOW ((instant){1})

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_event(const struct event *a, const struct event *b) {
  must(slice_eq(a->id, b->id) && slice_eq(a->source, b->source) && slice_eq(a->type, b->type) &&
       slice_eq(a->subject, b->subject) && a->time.ns == b->time.ns && a->field_count == b->field_count);
  for (size_t i = 0; i < a->field_count; i++) {
    must(slice_eq(a->fields[i].name, b->fields[i].name) && slice_eq(a->fields[i].value, b->fields[i].value) &&
         a->fields[i].number == b->fields[i].number);
  }
}

static void check_plain(struct arena *arena, slice text) {
  struct event plain, other;
  struct error err = {0};
  const struct json *json;
  size_t length;
  if (event_plain(arena, text, NOW, &plain, &length)) {
    must(json_parse(arena, (slice){text.ptr, length}, &json, &err));
    must(event_from_json(arena, json, NOW, &other, &err));
    same_event(&plain, &other);
  }
}

static void check_entry(struct arena *arena, const struct json *json, const struct event_body *body, size_t at,
                        size_t *taken) {
  const struct event_entry *entry = &body->entries[at];
  struct event other;
  struct error err = {0};
  bool ok = event_from_json(arena, json, NOW, &other, &err);
  if (ok && slice_starts(other.type, "meterhouse.")) {
    must(entry->refused != NULL);
  } else if (ok) {
    must(entry->refused == NULL);
    same_event(&body->events[(*taken)++], &other);
  } else {
    must(entry->refused != NULL && strcmp(entry->refused, err.message) == 0);
    must(slice_eq(entry->id, json_text(json, "id")));
  }
}

/* What the whole gives as one tree is what comes of it element by element. */
static void check_body(struct arena *arena, slice text) {
  static const struct catalog no_meters;
  const struct json *json;
  struct event_body body;
  struct error err = {0}, other = {0};
  bool ok = event_body_read(arena, EVENT_BODY_ANY, text, &no_meters, NOW, &body, &err);
  bool parsed = json_parse(arena, text, &json, &other);
  must(ok == parsed);
  if (!parsed) {
    error_at(&other, "the body");
    must(err.code == other.code && strcmp(err.message, other.message) == 0);
    return;
  }
  size_t taken = 0, count = json->kind == JSON_ARRAY ? json->count : 1;
  must(body.count == count);
  const struct json *one = json->kind == JSON_ARRAY ? json->child : json;
  for (size_t i = 0; i < count; i++, one = one->next) {
    check_entry(arena, one, &body, i, &taken);
  }
  must(taken == body.event_count);
}

/* Lines are as good as each alone. */
static void check_lines(struct arena *arena, slice text) {
  static const struct catalog no_meters;
  struct event_body body;
  struct error err = {0};
  must(event_body_read(arena, EVENT_BODY_LINES, text, &no_meters, NOW, &body, &err));
  size_t taken = 0;
  for (size_t i = 0; i < body.count; i++) {
    must(body.entries[i].line > 0 && (i == 0 || body.entries[i].line > body.entries[i - 1].line));
    taken += body.entries[i].refused == NULL;
  }
  must(taken == body.event_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct arena *arena = arena_new();
  slice text = {(const char *)data, size};
  check_plain(arena, text);
  check_body(arena, text);
  check_lines(arena, text);
  arena_free(arena);
  return 0;
}
