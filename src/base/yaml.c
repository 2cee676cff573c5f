/* YAML through libyaml's events into a tree that knows its places. */
#include "base/yaml.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define NODES_MAX 20000000u
#define NAME_MAX_BYTES 64

struct builder {
  struct arena *arena;
  const char *file;
  struct error *err;
  yaml_parser_t parser;
  uint32_t nodes;
};

static bool fail_at(struct builder *b, yaml_mark_t mark, const char *why) {
  return error_set(b->err, ERR_INVALID, "%s:%zu: %s", b->file, mark.line + 1, why);
}

static bool next_event(struct builder *b, yaml_event_t *event) {
  if (yaml_parser_parse(&b->parser, event)) {
    return true;
  }
  const char *problem = b->parser.problem ? b->parser.problem : "not readable as YAML";
  const char *context = b->parser.context ? b->parser.context : "";
  return error_set(b->err, ERR_INVALID, "%s:%zu: YAML: %s%s%s", b->file, b->parser.problem_mark.line + 1, context,
                   *context ? ", " : "", problem);
}

static struct yaml *new_node(struct builder *b, enum yaml_kind kind, const struct yaml *parent, yaml_mark_t mark) {
  struct yaml *n = arena_alloc(b->arena, sizeof *n);
  n->kind = kind;
  n->parent = parent;
  n->file = b->file;
  n->line = (int)mark.line + 1;
  return n;
}

static bool has_tag(const yaml_event_t *e) {
  switch (e->type) {
  case YAML_SCALAR_EVENT:
    return e->data.scalar.tag != NULL || e->data.scalar.anchor != NULL;
  case YAML_SEQUENCE_START_EVENT:
    return e->data.sequence_start.tag != NULL || e->data.sequence_start.anchor != NULL;
  case YAML_MAPPING_START_EVENT:
    return e->data.mapping_start.tag != NULL || e->data.mapping_start.anchor != NULL;
  default:
    return e->type == YAML_ALIAS_EVENT;
  }
}

static bool read_scalar(struct builder *b, const yaml_event_t *e, struct yaml *node) {
  slice text = {(const char *)e->data.scalar.value, e->data.scalar.length};
  if (text.len > 0 && memchr(text.ptr, '\0', text.len)) {
    return fail_at(b, e->start_mark, "a NUL byte in a value");
  }
  node->quoted = e->data.scalar.style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
                 e->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
  bool nothing = !node->quoted && (slice_is(text, "~") || slice_is(text, "null"));
  node->text = nothing ? SLICE("") : arena_copy(b->arena, text);
  return true;
}

static bool read_node(struct builder *b, yaml_event_t *first, const struct yaml *parent, int depth, struct yaml **out);

static bool append(struct builder *b, struct yaml *parent, struct yaml **last, struct yaml *child) {
  child->index = parent->count++;
  if (++b->nodes > NODES_MAX) {
    return error_set(b->err, ERR_LIMIT, "%s:%d: more than %u values in one file", b->file, child->line, NODES_MAX);
  }
  if (*last) {
    (*last)->next = child;
  } else {
    parent->child = child;
  }
  *last = child;
  return true;
}

static bool read_list(struct builder *b, struct yaml *list, int depth) {
  struct yaml *last = NULL, *child;
  for (;;) {
    yaml_event_t e;
    if (!next_event(b, &e)) {
      return false;
    }
    if (e.type == YAML_SEQUENCE_END_EVENT) {
      yaml_event_delete(&e);
      return true;
    }
    if (!read_node(b, &e, list, depth + 1, &child) || !append(b, list, &last, child)) {
      return false;
    }
  }
}

static bool take_key(struct builder *b, const struct yaml *map, yaml_event_t *e, slice *key, yaml_mark_t *mark) {
  *mark = e->start_mark;
  if (e->type != YAML_SCALAR_EVENT || has_tag(e)) {
    fail_at(b, e->start_mark, "a key should be a plain word");
    yaml_event_delete(e);
    return false;
  }
  *key = arena_copy(b->arena, (slice){(const char *)e->data.scalar.value, e->data.scalar.length});
  yaml_event_delete(e);
  for (const struct yaml *c = map->child; c; c = c->next) {
    if (slice_eq(c->key, *key)) {
      return error_set(b->err, ERR_INVALID, "%s:%zu: the key \"%.*s\" stands twice (first on line %d)", b->file,
                       mark->line + 1, key->len > 60 ? 60 : (int)key->len, key->ptr, c->line);
    }
  }
  return true;
}

static bool read_map(struct builder *b, struct yaml *map, int depth) {
  struct yaml *last = NULL, *child;
  for (;;) {
    yaml_event_t e;
    slice key;
    yaml_mark_t mark;
    if (!next_event(b, &e)) {
      return false;
    }
    if (e.type == YAML_MAPPING_END_EVENT) {
      yaml_event_delete(&e);
      return true;
    }
    if (!take_key(b, map, &e, &key, &mark) || !next_event(b, &e) || !read_node(b, &e, map, depth + 1, &child)) {
      return false;
    }
    child->key = key;
    child->line = (int)mark.line + 1;
    if (!append(b, map, &last, child)) {
      return false;
    }
    if (map->count > 4096) {
      return error_set(b->err, ERR_LIMIT, "%s:%d: more than 4096 keys in one map", b->file, child->line);
    }
  }
}

/* Takes over `first` and deletes it. */
static bool read_node(struct builder *b, yaml_event_t *first, const struct yaml *parent, int depth, struct yaml **out) {
  enum yaml_kind kind = first->type == YAML_SEQUENCE_START_EVENT  ? YAML_LIST
                        : first->type == YAML_MAPPING_START_EVENT ? YAML_MAP
                                                                  : YAML_SCALAR;
  bool ok = true;
  if (has_tag(first)) {
    ok = fail_at(b, first->start_mark, "anchors, aliases and tags (& * !) are not used here: write the value out");
  }
  if (ok && depth > YAML_DEPTH_MAX) {
    ok = fail_at(b, first->start_mark, "nested too deeply");
  }
  struct yaml *node = ok ? new_node(b, kind, parent, first->start_mark) : NULL;
  if (ok && kind == YAML_SCALAR) {
    ok = read_scalar(b, first, node);
  }
  yaml_event_delete(first);
  if (!ok) {
    return false;
  }
  *out = node;
  if (kind == YAML_LIST) {
    return read_list(b, node, depth);
  }
  return kind == YAML_SCALAR || read_map(b, node, depth);
}

static bool expect(struct builder *b, yaml_event_type_t type, const char *why) {
  yaml_event_t e;
  if (!next_event(b, &e)) {
    return false;
  }
  bool ok = e.type == type || fail_at(b, e.start_mark, why);
  yaml_event_delete(&e);
  return ok;
}

/* One document, or none: an empty file is an empty map. */
static bool read_stream(struct builder *b, const struct yaml **out) {
  yaml_event_t e;
  struct yaml *root;
  if (!expect(b, YAML_STREAM_START_EVENT, "not YAML") || !next_event(b, &e)) {
    return false;
  }
  bool empty = e.type == YAML_STREAM_END_EVENT;
  yaml_event_delete(&e);
  if (empty) {
    *out = new_node(b, YAML_MAP, NULL, (yaml_mark_t){0});
    return true;
  }
  if (!next_event(b, &e) || !read_node(b, &e, NULL, 0, &root)) {
    return false;
  }
  *out = root;
  return expect(b, YAML_DOCUMENT_END_EVENT, "not YAML") &&
         expect(b, YAML_STREAM_END_EVENT, "a second document (---) in one file");
}

bool yaml_parse(struct arena *arena, const char *file, slice text, const struct yaml **out, struct error *err) {
  if (text.len > YAML_BYTES_MAX) {
    return error_set(err, ERR_LIMIT, "%s: larger than %u bytes", file, YAML_BYTES_MAX);
  }
  struct builder b = {.arena = arena, .err = err};
  if (slice_starts(text, "\xef\xbb\xbf")) { /* what editors put before UTF-8; libyaml takes it for text */
    text.ptr += 3;
    text.len -= 3;
  }
  b.file = arena_printf(arena, "%s", file);
  must(yaml_parser_initialize(&b.parser));
  yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&b.parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
  bool ok = read_stream(&b, out);
  yaml_parser_delete(&b.parser);
  return ok;
}

/* ---- looking around ---- */

const struct yaml *yaml_get(const struct yaml *map, const char *key) {
  if (map == NULL || map->kind != YAML_MAP) {
    return NULL;
  }
  for (const struct yaml *c = map->child; c; c = c->next) {
    if (slice_is(c->key, key)) {
      return c;
    }
  }
  return NULL;
}

static void write_path(struct buf *b, const struct yaml *node) {
  if (node->parent == NULL) {
    return;
  }
  write_path(b, node->parent);
  if (node->parent->kind == YAML_LIST) {
    buf_addf(b, "[%u]", node->index);
  } else {
    buf_addf(b, "%s%.*s", b->len ? "." : "", node->key.len > 80 ? 80 : (int)node->key.len, node->key.ptr);
  }
}

const char *yaml_path(struct arena *arena, const struct yaml *node) {
  struct buf b;
  buf_init(&b, 4096);
  write_path(&b, node);
  slice path = arena_copy(arena, buf_slice(&b));
  buf_free(&b);
  return path.ptr;
}

bool(yaml_error)(struct error *err, const struct yaml *node, const char *fmt, ...) {
  char why[480];
  va_list args;
  va_start(args, fmt);
  vsnprintf(why, sizeof why, fmt, args);
  va_end(args);
  struct buf path;
  buf_init(&path, 4096);
  write_path(&path, node);
  error_set(err, ERR_INVALID, "%s:%d: " SLICE_FMT "%s%s", node->file, node->line, SLICE_ARG(buf_slice(&path)),
            path.len ? ": " : "", why);
  buf_free(&path);
  return false;
}

/* Optimal string alignment distance: insert, delete, replace, and swap of neighbours. */
static size_t edit_distance(slice a, const char *b, size_t b_len) {
  size_t rows[3][NAME_MAX_BYTES + 1], *before = rows[0], *last = rows[1], *now = rows[2];
  for (size_t j = 0; j <= b_len; j++) {
    last[j] = j;
  }
  for (size_t i = 1; i <= a.len; i++) {
    now[0] = i;
    for (size_t j = 1; j <= b_len; j++) {
      size_t cost = a.ptr[i - 1] != b[j - 1], best = last[j - 1] + cost;
      if (last[j] + 1 < best) {
        best = last[j] + 1;
      }
      if (now[j - 1] + 1 < best) {
        best = now[j - 1] + 1;
      }
      bool swapped = i > 1 && j > 1 && a.ptr[i - 1] == b[j - 2] && a.ptr[i - 2] == b[j - 1];
      if (swapped && before[j - 2] + 1 < best) {
        best = before[j - 2] + 1;
      }
      now[j] = best;
    }
    size_t *oldest = before;
    before = last;
    last = now;
    now = oldest;
  }
  return last[b_len];
}

const char *nearest_name(slice text, const char *const *names) {
  const char *nearest = NULL;
  size_t least = text.len / 3 + 2;
  if (text.len == 0 || text.len > NAME_MAX_BYTES) {
    return NULL;
  }
  for (size_t i = 0; names[i]; i++) {
    size_t length = strlen(names[i]),
           distance = length <= NAME_MAX_BYTES ? edit_distance(text, names[i], length) : SIZE_MAX;
    if (distance < least) {
      least = distance;
      nearest = names[i];
    }
  }
  return nearest;
}

static bool is_one_of(slice key, const char *const *names) {
  for (size_t i = 0; names[i]; i++) {
    if (slice_is(key, names[i])) {
      return true;
    }
  }
  return false;
}

bool yaml_only_keys(const struct yaml *map, const char *const *names, struct error *err) {
  for (const struct yaml *c = map->child; c; c = c->next) {
    if (is_one_of(c->key, names)) {
      continue;
    }
    const char *near = nearest_name(c->key, names);
    return yaml_error(err, c, "unknown key%s%s%s", near ? ", did you mean \"" : "", near ? near : "",
                      near ? "\"?" : "");
  }
  return true;
}
