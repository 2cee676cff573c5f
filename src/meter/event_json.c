/* CloudEvents 1.0.2 as JSON: structured events in, canonical structured events out. */
#include "base/json.h"
#include "meter/private.h"
#include <string.h>
#include <strings.h>

bool event_check_attribute(const char *name, slice value, struct error *err) {
  if (value.len == 0) {
    return error_set(err, ERR_INVALID, "%s: is missing or empty", name);
  }
  if (value.len > EVENT_ATTRIBUTE_BYTES_MAX) {
    return error_set(err, ERR_INVALID, "%s: has %zu bytes, at most %d are allowed", name, value.len,
                     EVENT_ATTRIBUTE_BYTES_MAX);
  }
  if (memchr(value.ptr, '\0', value.len)) {
    return error_set(err, ERR_INVALID, "%s: holds a NUL byte", name);
  }
  return true;
}

static bool take_attribute(const struct json *json, const char *name, slice *out, struct error *err) {
  const struct json *member = json_get(json, name);
  if (member && member->kind != JSON_STRING) {
    return error_set(err, ERR_INVALID, "%s: should be a string", name);
  }
  *out = member ? member->text : (slice){0};
  return event_check_attribute(name, *out, err);
}

static bool check_version(const struct json *json, struct error *err) {
  slice version = json_text(json, "specversion");
  if (!slice_is(version, "1.0")) {
    return error_set(err, ERR_INVALID, "specversion: should be \"1.0\", is \"%.*s\"",
                     version.len > 20 ? 20 : (int)version.len, version.ptr ? version.ptr : "");
  }
  slice type = json_text(json, "datacontenttype");
  if (type.len > 0 && memmem(type.ptr, type.len, "json", 4) == NULL) {
    return error_set(err, ERR_INVALID, "datacontenttype: only JSON data is read");
  }
  return json_get(json, "data_base64") == NULL ||
         error_set(err, ERR_INVALID, "data_base64: binary data is not read; send data as JSON");
}

struct flattening {
  struct arena *arena;
  struct event_field fields[EVENT_FIELDS_MAX];
  size_t count;
};

static bool add_field(struct flattening *f, slice name, slice value, bool number, struct error *err) {
  if (f->count == EVENT_FIELDS_MAX) {
    return error_set(err, ERR_LIMIT, "data: has more than %d fields", EVENT_FIELDS_MAX);
  }
  if (name.len == 0 || name.len > EVENT_ATTRIBUTE_BYTES_MAX) {
    return error_set(err, ERR_INVALID, "data: a field's name has 1 to %d bytes", EVENT_ATTRIBUTE_BYTES_MAX);
  }
  if (value.len > EVENT_VALUE_BYTES_MAX) {
    return error_set(err, ERR_LIMIT, "data." SLICE_FMT ": has %zu bytes, at most %d are allowed", SLICE_ARG(name),
                     value.len, EVENT_VALUE_BYTES_MAX);
  }
  f->fields[f->count++] = (struct event_field){name, value, number};
  return true;
}

/* Nested objects become dotted names; null is as good as absent; a list has no single value and is refused. */
static bool flatten(struct flattening *f, const struct json *object, slice prefix, struct error *err) {
  for (const struct json *m = object->child; m; m = m->next) {
    slice name = m->key;
    if (prefix.len > 0) {
      name = slice_of(arena_printf(f->arena, SLICE_FMT "." SLICE_FMT, SLICE_ARG(prefix), SLICE_ARG(m->key)));
    }
    bool ok = true;
    switch (m->kind) {
    case JSON_NULL:
      break;
    case JSON_BOOL:
      ok = add_field(f, name, m->boolean ? SLICE("true") : SLICE("false"), false, err);
      break;
    case JSON_NUMBER:
    case JSON_STRING:
      ok = add_field(f, name, m->text, m->kind == JSON_NUMBER, err);
      break;
    case JSON_OBJECT:
      ok = flatten(f, m, name, err);
      break;
    case JSON_ARRAY:
      ok = error_set(err, ERR_INVALID, "data." SLICE_FMT ": a list has no single value", SLICE_ARG(name));
      break;
    }
    if (!ok) {
      return false;
    }
  }
  return true;
}

static bool take_data(struct arena *arena, const struct json *json, struct event *out, struct error *err) {
  const struct json *data = json_get(json, "data");
  struct flattening f = {.arena = arena};
  if (data == NULL || data->kind == JSON_NULL) {
    return true;
  }
  if (data->kind != JSON_OBJECT) {
    return error_set(err, ERR_INVALID, "data: should be an object");
  }
  if (!flatten(&f, data, (slice){0}, err) || !event_sort_fields(f.fields, f.count, err)) {
    return false;
  }
  struct event_field *fields = arena_array(arena, f.count, sizeof *fields);
  if (f.count > 0) {
    memcpy(fields, f.fields, f.count * sizeof *fields);
  }
  out->fields = fields;
  out->field_count = f.count;
  return true;
}

bool event_from_json(struct arena *arena, const struct json *json, instant now, struct event *out, struct error *err) {
  *out = (struct event){.time = now};
  if (json->kind != JSON_OBJECT) {
    return error_set(err, ERR_INVALID, "an event should be a JSON object");
  }
  if (!check_version(json, err) || !take_attribute(json, "id", &out->id, err) ||
      !take_attribute(json, "source", &out->source, err) || !take_attribute(json, "type", &out->type, err) ||
      !take_attribute(json, "subject", &out->subject, err)) {
    return false;
  }
  const struct json *time = json_get(json, "time");
  if (time == NULL && now.ns == 0) {
    return error_set(err, ERR_INVALID, "time: is missing");
  }
  if (time && !time_parse_rfc3339(json_text(json, "time"), &out->time, err)) {
    return error_at(err, "time");
  }
  return take_data(arena, json, out, err);
}

bool event_from_text(struct arena *arena, slice json_text_bytes, instant now, struct event *out, struct error *err) {
  const struct json *json;
  size_t length;
  if (json_text_bytes.len > EVENT_BYTES_MAX) {
    return error_set(err, ERR_LIMIT, "an event has at most %d bytes", EVENT_BYTES_MAX);
  }
  slice kept = arena_copy(arena, json_text_bytes);
  if (event_plain(arena, kept, now, out, &length) && length == kept.len) {
    return true;
  }
  return json_parse(arena, json_text_bytes, &json, err) && event_from_json(arena, json, now, out, err);
}

/* Field names stay dotted: reading them back gives the same flat names. */
void event_to_json(const struct event *e, struct buf *out) {
  struct json_out w;
  char time[TIME_TEXT_MAX];
  json_out_init(&w, out, false);
  json_open_object(&w);
  json_put_cstr(&w, "specversion", "1.0");
  json_put_str(&w, "id", e->id);
  json_put_str(&w, "source", e->source);
  json_put_str(&w, "type", e->type);
  json_put_str(&w, "subject", e->subject);
  json_put_cstr(&w, "time", time_format(e->time, time));
  json_key(&w, "data");
  json_open_object(&w);
  for (size_t i = 0; i < e->field_count; i++) {
    json_key_slice(&w, e->fields[i].name);
    if (e->fields[i].number) {
      json_raw(&w, e->fields[i].value);
    } else {
      json_str(&w, e->fields[i].value);
    }
  }
  json_close_object(&w);
  json_close_object(&w);
}
