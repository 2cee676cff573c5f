/* YAML for people: libyaml events into a tree that knows file, line and path of every node, with strict limits. */
#ifndef METERHOUSE_BASE_YAML_H
#define METERHOUSE_BASE_YAML_H
#include "base/base.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };
struct yaml {
  enum yaml_kind kind;
  slice text; /* scalar as written ("0.55" stays text); empty for ~ and null */
  slice key;  /* when the parent is a map */
  const char *file;
  int line; /* 1-based */
  const struct yaml *child, *next, *parent;
  uint32_t index, count; /* place in the parent, children */
  bool quoted;
};
#define YAML_BYTES_MAX (64u << 20)
#define YAML_DEPTH_MAX 24
/* Errors: ERR_INVALID "FILE:LINE: reason": syntax, duplicate key, alias and anchor (refused), limits, NUL, not UTF-8.
 */
MUST_USE bool yaml_parse(struct arena *arena, const char *file, slice text, const struct yaml **out, struct error *err);
const struct yaml *yaml_get(const struct yaml *map, const char *key);
/* "plans[2].prices[0].model": the path of a node, in the arena. */
const char *yaml_path(struct arena *arena, const struct yaml *node);
/* error_set with "FILE:LINE: path: " in front. */
bool yaml_error(struct error *err, const struct yaml *node, const char *fmt, ...) PRINTF_LIKE(3, 4);
#define yaml_error(...) error_said((yaml_error)(__VA_ARGS__))
/* Every key of `map` must be in the NULL-terminated list; else an error that suggests the nearest name. */
MUST_USE bool yaml_only_keys(const struct yaml *map, const char *const *names, struct error *err);
/* Nearest name by edit distance, or NULL when none is near: for "did you mean". */
const char *nearest_name(slice text, const char *const *names);
#endif
