/* The map of a CSV file: which column is time, customer, type, id and data. YAML; docs/import.md is its manual. */
#include "base/file.h"
#include "base/yaml.h"
#include "meter/private.h"
#include <stdlib.h>
#include <string.h>

#define EVENTS_PER_ROW_MAX 16
#define MAP_BYTES_MAX ((size_t)1 << 20)

void csv_map_free(struct csv_map *map) {
  if (map == NULL) {
    return;
  }
  arena_free(map->arena);
  free(map);
}

static bool want_text(const struct yaml *node, slice *out, struct error *err) {
  if (node->kind != YAML_SCALAR || node->text.len == 0) {
    return yaml_error(err, node, "a word should stand here");
  }
  *out = node->text;
  return true;
}

/* "Column", {column: X, suffix: S}, {constant: X} or {expression: a * b}. */
static bool read_source(struct csv_map *map, const struct yaml *node, struct csv_source *out, struct error *err) {
  static const char *const keys[] = {"column", "constant", "expression", "suffix", "format", "origin", NULL};
  if (node->kind == YAML_SCALAR) {
    out->kind = SOURCE_COLUMN;
    return want_text(node, &out->text, err);
  }
  if (node->kind != YAML_MAP || !yaml_only_keys(node, keys, err)) {
    return node->kind == YAML_MAP
               ? false
               : yaml_error(err, node, "expected a column's name, or {column: ..}, {constant: ..} or {expression: ..}");
  }
  const struct yaml *column = yaml_get(node, "column"), *constant = yaml_get(node, "constant"),
                    *expression = yaml_get(node, "expression");
  if ((column != NULL) + (constant != NULL) + (expression != NULL) != 1) {
    return yaml_error(err, node, "expected one of column, constant and expression");
  }
  out->kind = column ? SOURCE_COLUMN : constant ? SOURCE_CONSTANT : SOURCE_EXPRESSION;
  const struct yaml *suffix = yaml_get(node, "suffix");
  if (suffix && !want_text(suffix, &out->suffix, err)) {
    return false;
  }
  const struct yaml *given = column ? column : constant ? constant : expression;
  if (!want_text(given, &out->text, err)) {
    return false;
  }
  if (!expression || expression_parse(map->arena, out->text, &out->expression, err)) {
    return true;
  }
  char why[sizeof err->message];
  memcpy(why, err->message, sizeof why);
  return yaml_error(err, given, "%s", why);
}

static bool read_time(struct csv_map *map, const struct yaml *node, struct csv_event *out, struct error *err) {
  static const char *const forms[] = {"auto", "seconds", "milliseconds", "nanoseconds", NULL};
  if (!read_source(map, node, &out->time, err)) {
    return false;
  }
  const struct yaml *form = yaml_get(node, "format"), *origin = yaml_get(node, "origin");
  for (size_t i = 0; form && forms[i]; i++) {
    if (slice_is(form->text, forms[i])) {
      out->form = (enum time_form)i;
      form = NULL;
    }
  }
  if (form) {
    return yaml_error(err, form, "expected auto, seconds, milliseconds or nanoseconds");
  }
  if (origin && !time_parse_loose(origin->text, "UTC", &out->origin, err)) {
    char why[sizeof err->message];
    memcpy(why, err->message, sizeof why);
    return yaml_error(err, origin, "%s", why);
  }
  return true;
}

static bool read_data(struct csv_map *map, const struct yaml *node, struct csv_event *out, struct error *err) {
  if (node->kind != YAML_MAP || node->count == 0 || node->count > EVENT_FIELDS_MAX) {
    return yaml_error(err, node, "expected 1 to %d fields, each with the column it comes from", EVENT_FIELDS_MAX);
  }
  out->fields = arena_array(map->arena, node->count, sizeof *out->fields);
  for (const struct yaml *f = node->child; f; f = f->next) {
    struct csv_field *field = &out->fields[out->field_count++];
    field->name = f->key;
    if (!read_source(map, f, &field->source, err)) {
      return false;
    }
  }
  return true;
}

/* `type: model.call` is the type itself, the usual case; `type: {column: X}` takes it from a column. */
static bool read_type(struct csv_map *map, const struct yaml *node, struct csv_event *out, struct error *err) {
  if (!read_source(map, node, &out->type, err)) {
    return false;
  }
  if (node->kind == YAML_SCALAR) {
    out->type.kind = SOURCE_CONSTANT;
  }
  return true;
}

static bool read_event(struct csv_map *map, const struct yaml *node, struct csv_event *out, struct error *err) {
  static const char *const keys[] = {"type", "time", "customer", "id", "data", NULL};
  if (node->kind != YAML_MAP) {
    return yaml_error(err, node, "expected type, time, customer and data");
  }
  if (!yaml_only_keys(node, keys, err)) {
    return false;
  }
  const struct yaml *type = yaml_get(node, "type"), *time = yaml_get(node, "time"),
                    *customer = yaml_get(node, "customer"), *id = yaml_get(node, "id"), *data = yaml_get(node, "data");
  const char *missing = !type ? "type" : !time ? "time" : !customer ? "customer" : !data ? "data" : NULL;
  if (missing) {
    return yaml_error(err, node, "%s is missing", missing);
  }
  return read_type(map, type, out, err) && read_time(map, time, out, err) &&
         read_source(map, customer, &out->customer, err) && (!id || read_source(map, id, &out->id, err)) &&
         read_data(map, data, out, err);
}

static bool read_events(struct csv_map *map, const struct yaml *list, struct error *err) {
  if (list->kind != YAML_LIST || list->count == 0 || list->count > EVENTS_PER_ROW_MAX) {
    return yaml_error(err, list, "expected a list of 1 to %d events that each row gives", EVENTS_PER_ROW_MAX);
  }
  map->events = arena_array(map->arena, list->count, sizeof *map->events);
  for (const struct yaml *e = list->child; e; e = e->next) {
    if (!read_event(map, e, &map->events[map->event_count++], err)) {
      return false;
    }
  }
  return true;
}

static bool read_skip(struct csv_map *map, const struct yaml *list, struct error *err) {
  if (list->kind != YAML_LIST) {
    return yaml_error(err, list, "expected a list of columns");
  }
  map->skip_if_empty = arena_array(map->arena, list->count, sizeof *map->skip_if_empty);
  for (const struct yaml *c = list->child; c; c = c->next) {
    if (!want_text(c, &map->skip_if_empty[map->skip_count++], err)) {
      return false;
    }
  }
  return true;
}

static bool read_separator(struct csv_map *map, const struct yaml *node, struct error *err) {
  bool tab = slice_is(node->text, "tab") || slice_is(node->text, "\\t");
  if (!tab && (node->text.len != 1 || strchr("\"\r\n", node->text.ptr[0]))) {
    return yaml_error(err, node, "expected one character, or tab");
  }
  map->separator = tab ? '\t' : node->text.ptr[0];
  return true;
}

static bool read_map(struct csv_map *map, const struct yaml *root, struct error *err) {
  static const char *const keys[] = {"source", "separator", "zone", "skip_if_empty", "events", NULL};
  if (root->kind != YAML_MAP) {
    return yaml_error(err, root, "expected the keys source, zone, skip_if_empty and events");
  }
  if (!yaml_only_keys(root, keys, err)) {
    return false;
  }
  const struct yaml *source = yaml_get(root, "source"), *separator = yaml_get(root, "separator"),
                    *zone = yaml_get(root, "zone"), *skip = yaml_get(root, "skip_if_empty"),
                    *events = yaml_get(root, "events");
  if (events == NULL) {
    return yaml_error(err, root, "events is missing: what each row gives");
  }
  if (source && !want_text(source, &map->source, err)) {
    return false;
  }
  if (separator && !read_separator(map, separator, err)) {
    return false;
  }
  if (zone) {
    map->zone = arena_printf(map->arena, SLICE_FMT, SLICE_ARG(zone->text));
  }
  if (!time_zone_known(map->zone)) {
    return yaml_error(err, zone, "there is no such time zone; they are named like Europe/Amsterdam");
  }
  return (!skip || read_skip(map, skip, err)) && read_events(map, events, err);
}

bool csv_map_parse(const char *name, slice text, struct csv_map **out, struct error *err) {
  struct csv_map *map = mem_alloc(sizeof *map);
  const struct yaml *root;
  map->arena = arena_new();
  map->separator = ',';
  map->zone = "UTC";
  if (!yaml_parse(map->arena, name, text, &root, err) || !read_map(map, root, err)) {
    csv_map_free(map);
    return false;
  }
  *out = map;
  return true;
}

bool csv_map_load(const char *path, struct csv_map **out, struct error *err) {
  struct arena *arena = arena_new();
  slice text;
  bool ok = file_read(arena, path, MAP_BYTES_MAX, &text, err) && csv_map_parse(path, text, out, err);
  arena_free(arena);
  return ok;
}
