/* The body of a request as events: one, a JSON array, or a line each. Every element is judged on its own. */
#include "base/json.h"
#include "meter/private.h"
#include <string.h>

#define BYTES_OF_AN_EVENT 128 /* for a first guess at how many there are */
#define RESERVED_TYPES "meterhouse."

struct body_reader {
  struct arena *arena, *scratch; /* scratch: of a single event's tree */
  const struct catalog *catalog;
  instant now;
  struct event_body *out;
  size_t capacity;
};

/* ---- entries ---- */

static void *grow(struct arena *arena, const void *old, size_t count, size_t capacity, size_t size) {
  void *wider = arena_array(arena, capacity, size);
  if (count > 0) {
    memcpy(wider, old, count * size);
  }
  return wider;
}

static struct event_entry *new_entry(struct body_reader *r) {
  struct event_body *b = r->out;
  if (b->count == r->capacity) {
    r->capacity *= 2;
    b->events = grow(r->arena, b->events, b->event_count, r->capacity, sizeof *b->events);
    b->entries = grow(r->arena, b->entries, b->count, r->capacity, sizeof *b->entries);
  }
  return &b->entries[b->count++];
}

static void refuse(struct body_reader *r, slice id, uint32_t line, const struct error *why) {
  *new_entry(r) = (struct event_entry){
      .id = arena_copy(r->arena, id), .refused = arena_printf(r->arena, "%s", why->message), .line = line};
}

/* What can be read may still not be taken: types of our own, and what the meters miss. */
static void admit(struct body_reader *r, const struct event *e, uint32_t line) {
  struct error why = {0};
  if (slice_starts(e->type, RESERVED_TYPES)) {
    error_set(&why, ERR_INVALID, "type: names that begin with \"" RESERVED_TYPES "\" are reserved");
    refuse(r, e->id, line, &why);
  } else if (!event_check(e, r->catalog, &why)) {
    refuse(r, e->id, line, &why);
  } else {
    struct event_entry *entry = new_entry(r);
    *entry = (struct event_entry){.id = e->id, .line = line};
    r->out->events[r->out->event_count++] = *e;
  }
}

static void start_over(struct body_reader *r, size_t capacity) {
  r->capacity = capacity;
  *r->out = (struct event_body){.events = arena_array(r->arena, capacity, sizeof(struct event)),
                                .entries = arena_array(r->arena, capacity, sizeof(struct event_entry))};
}

/* ---- the long way: a tree of one event ---- */

static void copy_event(struct arena *arena, struct event *e) {
  struct event_field *fields = arena_array(arena, e->field_count, sizeof *fields);
  e->id = arena_copy(arena, e->id);
  e->source = arena_copy(arena, e->source);
  e->type = arena_copy(arena, e->type);
  e->subject = arena_copy(arena, e->subject);
  for (size_t i = 0; i < e->field_count; i++) {
    fields[i] = (struct event_field){arena_copy(arena, e->fields[i].name), arena_copy(arena, e->fields[i].value),
                                     e->fields[i].number};
  }
  e->fields = fields;
}

static void take_tree(struct body_reader *r, const struct json *json, uint32_t line) {
  struct event e;
  struct error why = {0};
  if (event_from_json(r->scratch, json, r->now, &e, &why)) {
    copy_event(r->arena, &e);
    admit(r, &e, line);
  } else {
    refuse(r, json_text(json, "id"), line, &why);
  }
}

static void refuse_long(struct body_reader *r, uint32_t line) {
  struct error why = {0};
  error_set(&why, ERR_LIMIT, "an event has at most %d bytes", EVENT_BYTES_MAX);
  refuse(r, (slice){0}, line, &why);
}

/* False when the text is not one JSON object or array. */
static bool take_slowly(struct body_reader *r, slice text, uint32_t line, struct error *why) {
  const struct json *json;
  arena_reset(r->scratch);
  if (text.len > EVENT_BYTES_MAX) {
    refuse_long(r, line);
    return true;
  }
  if (!json_parse(r->scratch, text, &json, why)) {
    return false;
  }
  take_tree(r, json, line);
  return true;
}

/* ---- arrays ---- */

static bool is_blank(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static size_t skip_blanks(slice text, size_t at) {
  while (at < text.len && is_blank(text.ptr[at])) {
    at++;
  }
  return at;
}

/* Where the element ends that begins at `at`: at the comma or bracket behind it. 0 when it nests so deeply that the
 * array around it might count. */
static size_t element_end(slice text, size_t at) {
  int depth = 0;
  bool in_string = false;
  for (; at < text.len; at++) {
    char c = text.ptr[at];
    if (in_string) {
      at += c == '\\';
      in_string = c != '"';
      continue;
    }
    if (depth == 0 && (c == ',' || c == ']')) {
      return at;
    }
    in_string = c == '"';
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    if (depth < 0 || depth >= JSON_DEPTH_MAX) {
      return 0;
    }
  }
  return 0;
}

static bool take_element(struct body_reader *r, slice text, size_t *at) {
  struct event e;
  struct error ignored = {0};
  size_t length;
  slice rest = {text.ptr + *at, text.len - *at};
  if (event_plain(r->arena, rest, r->now, &e, &length)) {
    admit(r, &e, 0);
    *at += length;
    return true;
  }
  size_t end = element_end(text, *at);
  if (end == 0 || !take_slowly(r, (slice){rest.ptr, end - *at}, 0, &ignored)) {
    return false;
  }
  *at = end;
  return true;
}

/* False for whatever is unusual about the array itself: the tree of the whole decides then, and says what is wrong. */
static bool take_array(struct body_reader *r, slice text) {
  size_t at = skip_blanks(text, 1);
  bool more = !(at < text.len && text.ptr[at] == ']');
  while (more) {
    if (r->out->count == EVENT_BATCH_MAX || !take_element(r, text, &at)) {
      return false;
    }
    at = skip_blanks(text, at);
    if (at == text.len || (text.ptr[at] != ',' && text.ptr[at] != ']')) {
      return false;
    }
    more = text.ptr[at] == ',';
    at = more ? skip_blanks(text, at + 1) : at;
  }
  return skip_blanks(text, at + 1) == text.len;
}

static bool take_whole_tree(struct body_reader *r, slice text, bool want_array, struct error *err) {
  const struct json *json;
  arena_reset(r->scratch);
  if (!json_parse(r->scratch, text, &json, err)) {
    return error_at(err, "the body");
  }
  if (want_array && json->kind != JSON_ARRAY) {
    return error_set(err, ERR_INVALID, "a batch is a JSON array of events");
  }
  if (json->kind != JSON_ARRAY) {
    take_tree(r, json, 0);
    return true;
  }
  if (json->count > EVENT_BATCH_MAX) {
    return error_set(err, ERR_LIMIT, "a batch has at most %d events, this one %u: split it", EVENT_BATCH_MAX,
                     json->count);
  }
  for (const struct json *one = json->child; one; one = one->next) {
    take_tree(r, one, 0);
  }
  return true;
}

static bool take_json(struct body_reader *r, slice text, bool want_array, struct error *err) {
  size_t length, begin = skip_blanks(text, 0);
  slice rest = {text.ptr + begin, text.len - begin};
  struct event e;
  if (rest.len > 0 && rest.ptr[0] == '[') {
    if (take_array(r, rest)) {
      return true;
    }
    start_over(r, r->capacity);
  } else if (!want_array && event_plain(r->arena, rest, r->now, &e, &length) && length == rest.len) {
    admit(r, &e, 0);
    return true;
  } else if (!want_array && rest.len > EVENT_BYTES_MAX) {
    refuse_long(r, 0);
    return true;
  }
  return take_whole_tree(r, text, want_array, err);
}

/* ---- lines ---- */

static void take_line(struct body_reader *r, slice line, uint32_t number) {
  struct event e;
  struct error why = {0};
  size_t length;
  if (event_plain(r->arena, line, r->now, &e, &length) && length == line.len) {
    admit(r, &e, number);
  } else if (!take_slowly(r, line, number, &why)) {
    refuse(r, (slice){0}, number, &why);
  }
}

static bool take_lines(struct body_reader *r, slice text, struct error *err) {
  uint32_t number = 0;
  while (text.len > 0) {
    const char *end = memchr(text.ptr, '\n', text.len);
    slice line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
    size_t used = line.len + (end ? 1 : 0);
    number++;
    if (number > LIMIT_STREAM_LINES) {
      return error_set(err, ERR_LIMIT, "an NDJSON body has at most %d lines: split it", LIMIT_STREAM_LINES);
    }
    if (skip_blanks(line, 0) < line.len) {
      take_line(r, line, number);
    }
    text = (slice){text.ptr + used, text.len - used};
  }
  return true;
}

bool event_body_read(struct arena *arena, enum event_body_form form, slice text, const struct catalog *catalog,
                     instant now, struct event_body *out, struct error *err) {
  struct body_reader r = {.arena = arena, .scratch = arena_new(), .catalog = catalog, .now = now, .out = out};
  size_t guess = text.len / BYTES_OF_AN_EVENT + 1;
  start_over(&r, guess < EVENT_BATCH_MAX ? guess : EVENT_BATCH_MAX);
  bool ok = form == EVENT_BODY_LINES ? take_lines(&r, text, err) : take_json(&r, text, form == EVENT_BODY_ARRAY, err);
  arena_free(r.scratch);
  return ok;
}
