/* Reads the targets file: what is scraped, how often, and which series become which events. */
#include "base/file.h"
#include "base/url.h"
#include "base/yaml.h"
#include "pull/private.h"
#include <stdlib.h>
#include <string.h>

#define INTERVAL_MIN (1 * NS_PER_S)
#define INTERVAL_MAX (3600 * NS_PER_S)
#define TIMEOUT_MIN (NS_PER_S / 10)
#define INTERVAL_DEFAULT (15 * NS_PER_S)
#define TIMEOUT_DEFAULT (10 * NS_PER_S)
#define URL_BYTES_MAX 1000
#define FIELDS_MAX 32 /* of one event, besides notes */

struct reader {
  struct pull_targets *targets;
  struct arena *arena;   /* of the targets */
  struct arena *scratch; /* of the YAML tree */
};

static const struct yaml *field(const struct yaml *map, const char *key) {
  const struct yaml *node = yaml_get(map, key);
  bool null = node && node->kind == YAML_SCALAR && node->text.len == 0 && !node->quoted;
  return null ? NULL : node;
}

static bool is_map(const struct yaml *node, const char *const *keys, struct error *err) {
  return node->kind == YAML_MAP ? yaml_only_keys(node, keys, err) : yaml_error(err, node, "expected keys and values");
}

static bool is_list(const struct yaml *node, size_t max, struct error *err) {
  if (node->kind != YAML_LIST || node->count == 0) {
    return yaml_error(err, node, "expected a list, each item after a \"- \"");
  }
  return node->count <= max || yaml_error(err, node, "has %u items, at most %zu are allowed", node->count, max);
}

static bool text_of(struct reader *r, const struct yaml *node, size_t max, slice *out, struct error *err) {
  if (node->kind != YAML_SCALAR || node->text.len == 0 || node->text.len > max) {
    return yaml_error(err, node, "expected one text of 1 to %zu bytes", max);
  }
  for (size_t i = 0; i < node->text.len; i++) {
    if ((unsigned char)node->text.ptr[i] < 0x20 || node->text.ptr[i] == 0x7F) {
      return yaml_error(err, node, "holds a control character or a line break");
    }
  }
  *out = arena_copy(r->arena, node->text);
  return true;
}

static bool needed(struct reader *r, const struct yaml *map, const char *key, size_t max, slice *out,
                   struct error *err) {
  const struct yaml *node = field(map, key);
  return node ? text_of(r, node, max, out, err) : yaml_error(err, map, "\"%s\" is missing", key);
}

static bool optional(struct reader *r, const struct yaml *map, const char *key, size_t max, slice *out,
                     struct error *err) {
  const struct yaml *node = field(map, key);
  return node == NULL || text_of(r, node, max, out, err);
}

static bool duration_of(const struct yaml *node, int64_t low, int64_t high, duration *out, struct error *err) {
  struct error wrong;
  if (!time_parse_duration(node->text, out, &wrong)) {
    return yaml_error(err, node, "%s", wrong.message);
  }
  return (out->ns >= low && out->ns <= high) || yaml_error(err, node, "should be from %lld ms to %lld s",
                                                           (long long)(low / 1000000), (long long)(high / NS_PER_S));
}

/* ---- rules ---- */

static bool pairs_of(struct reader *r, const struct yaml *node, size_t max, const struct pull_pair **out, size_t *count,
                     struct error *err) {
  if (node == NULL) {
    return true;
  }
  if (node->kind != YAML_MAP || node->count > max) {
    return yaml_error(err, node, "expected up to %zu keys and values", max);
  }
  struct pull_pair *pairs = arena_array(r->arena, node->count, sizeof *pairs);
  for (const struct yaml *one = node->child; one; one = one->next) {
    struct pull_pair *pair = &pairs[(*count)++];
    pair->from = arena_copy(r->arena, one->key);
    if (one->key.len == 0 || one->key.len > EVENT_ATTRIBUTE_BYTES_MAX) {
      return yaml_error(err, one, "a name has 1 to %d bytes", EVENT_ATTRIBUTE_BYTES_MAX);
    }
    if (!text_of(r, one, EVENT_ATTRIBUTE_BYTES_MAX, &pair->to, err)) {
      return false;
    }
  }
  *out = pairs;
  return true;
}

/* One value or a list of values. */
static bool values_of(struct reader *r, const struct yaml *node, struct pull_match *out, struct error *err) {
  if (node->kind == YAML_LIST && !is_list(node, PULL_ENTRIES_MAX, err)) {
    return false;
  }
  size_t count = node->kind == YAML_LIST ? node->count : 1;
  slice *values = arena_array(r->arena, count, sizeof *values);
  for (const struct yaml *one = node->kind == YAML_LIST ? node->child : node; out->count < count; one = one->next) {
    if (!text_of(r, one, PULL_LABEL_BYTES_MAX, &values[out->count++], err)) {
      return false;
    }
  }
  out->values = values;
  return true;
}

static bool matches_of(struct reader *r, const struct yaml *node, struct pull_rule *rule, struct error *err) {
  if (node == NULL) {
    return true;
  }
  if (node->kind != YAML_MAP || node->count > PULL_LABELS_MAX) {
    return yaml_error(err, node, "expected labels with the values they should have, such as {model: llama-3}");
  }
  struct pull_match *matches = arena_array(r->arena, node->count, sizeof *matches);
  for (const struct yaml *one = node->child; one; one = one->next) {
    struct pull_match *match = &matches[rule->match_count++];
    match->label = arena_copy(r->arena, one->key);
    if (!values_of(r, one, match, err)) {
      return false;
    }
  }
  rule->matches = matches;
  return true;
}

static bool table_of(struct reader *r, const struct yaml *node, struct pull_rule *rule, struct error *err) {
  const struct pull_pair *pairs = NULL;
  size_t count = 0;
  rule->has_table = node != NULL;
  if (!pairs_of(r, node, PULL_ENTRIES_MAX, &pairs, &count, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    *map_put(&rule->table, pairs[i].from) = (void *)(uintptr_t)&pairs[i].to;
  }
  return true;
}

/* A customer, or {label: name} with a table of its values. */
static bool customer_of(struct reader *r, const struct yaml *node, struct pull_rule *rule, struct error *err) {
  static const char *const keys[] = {"label", "map", NULL};
  if (node->kind == YAML_SCALAR) {
    return text_of(r, node, EVENT_ATTRIBUTE_BYTES_MAX, &rule->customer, err);
  }
  return is_map(node, keys, err) && needed(r, node, "label", EVENT_ATTRIBUTE_BYTES_MAX, &rule->customer_label, err) &&
         table_of(r, field(node, "map"), rule, err);
}

static bool one_of(const struct yaml *map, const char *key, const char *no, const char *yes, bool must_be, bool *out,
                   struct error *err) {
  const struct yaml *node = field(map, key);
  if (node == NULL) {
    return !must_be || yaml_error(err, map, "\"%s\" is missing: %s or %s", key, no, yes);
  }
  *out = slice_is(node->text, yes);
  return *out || slice_is(node->text, no) || yaml_error(err, node, "expected %s or %s", no, yes);
}

/* Every name of the event's data once, and none of those that pull writes itself. */
static bool names_differ(struct reader *r, const struct yaml *node, const struct pull_rule *rule, struct error *err) {
  slice *names = arena_array(r->scratch, 2 + rule->dimension_count + rule->constant_count, sizeof *names);
  size_t count = 0;
  names[count++] = rule->field;
  for (size_t i = 0; i < rule->dimension_count; i++) {
    names[count++] = rule->dimensions[i].to;
  }
  for (size_t i = 0; i < rule->constant_count; i++) {
    names[count++] = rule->constants[i].from;
  }
  if (rule->series_field.len > 0) {
    names[count++] = rule->series_field;
  }
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < i; k++) {
      if (slice_eq(names[i], names[k])) {
        return yaml_error(err, node, "two things are called \"" SLICE_FMT "\" in the event", SLICE_ARG(names[i]));
      }
    }
    if (slice_starts(names[i], "scrape_")) {
      return yaml_error(err, node, "\"" SLICE_FMT "\": names that begin with scrape_ are taken", SLICE_ARG(names[i]));
    }
  }
  return true;
}

static bool check_rule(struct reader *r, const struct yaml *node, struct pull_rule *rule, struct error *err) {
  if (!rule->gauge && field(node, "absent")) {
    return yaml_error(err, field(node, "absent"), "belongs to gauges: a counter has no level that could end");
  }
  if (rule->gauge && field(node, "new_series")) {
    return yaml_error(err, field(node, "new_series"), "belongs to counters: a gauge shows its level at first sight");
  }
  rule->key = slice_of(arena_printf(r->arena, "%s " SLICE_FMT "." SLICE_FMT, rule->gauge ? "gauge" : "counter",
                                    SLICE_ARG(rule->type), SLICE_ARG(rule->field)));
  return names_differ(r, node, rule, err);
}

static bool rule_of(struct reader *r, const struct yaml *node, struct pull_rule *rule, struct error *err) {
  static const char *const keys[] = {"metric",     "match", "as",     "type",   "field",      "customer",
                                     "dimensions", "set",   "series", "absent", "new_series", NULL};
  if (!is_map(node, keys, err) || !needed(r, node, "metric", EVENT_ATTRIBUTE_BYTES_MAX, &rule->metric, err) ||
      !one_of(node, "as", "counter", "gauge", true, &rule->gauge, err) ||
      !needed(r, node, "type", EVENT_ATTRIBUTE_BYTES_MAX, &rule->type, err) ||
      !needed(r, node, "field", EVENT_ATTRIBUTE_BYTES_MAX, &rule->field, err) ||
      !matches_of(r, field(node, "match"), rule, err)) {
    return false;
  }
  if (field(node, "customer") == NULL) {
    return yaml_error(err, node, "\"customer\" is missing: a customer, or {label: NAME}");
  }
  return customer_of(r, field(node, "customer"), rule, err) &&
         pairs_of(r, field(node, "dimensions"), FIELDS_MAX, &rule->dimensions, &rule->dimension_count, err) &&
         pairs_of(r, field(node, "set"), FIELDS_MAX - 4, &rule->constants, &rule->constant_count, err) &&
         (rule->dimension_count + rule->constant_count <= FIELDS_MAX ||
          yaml_error(err, node, "has more than %d dimensions and constants", FIELDS_MAX)) &&
         optional(r, node, "series", EVENT_ATTRIBUTE_BYTES_MAX, &rule->series_field, err) &&
         one_of(node, "absent", "keep", "zero", false, &rule->absent_zero, err) &&
         one_of(node, "new_series", "remember", "from_zero", false, &rule->new_from_zero, err) &&
         check_rule(r, node, rule, err);
}

static bool rules_of(struct reader *r, const struct yaml *list, const struct pull_rule **out, size_t *count,
                     struct error *err) {
  if (!is_list(list, PULL_RULES_MAX, err)) {
    return false;
  }
  struct pull_rule *rules = arena_array(r->arena, list->count, sizeof *rules);
  vec_push(&r->targets->made, rules);
  vec_push(&r->targets->made_counts, (size_t)list->count);
  for (const struct yaml *one = list->child; one; one = one->next) {
    if (!rule_of(r, one, &rules[(*count)++], err)) {
      return false;
    }
  }
  *out = rules;
  return true;
}

/* ---- targets ---- */

static bool url_of(struct reader *r, const struct yaml *node, slice text, struct pull_target *t, struct error *err) {
  struct url url;
  struct error wrong;
  if (!slice_starts(text, "http://")) {
    return yaml_error(err, node, "expected http://HOST:PORT/PATH; only plain http is spoken");
  }
  if (!url_split(text, &url, &wrong)) {
    return yaml_error(err, node, "expected http://HOST:PORT/PATH, without a user, blanks or #: %s", wrong.message);
  }
  t->host = arena_copy(r->arena, url.host);
  t->port = url.port;
  t->path = url.path.len > 0 ? arena_copy(r->arena, url.path) : SLICE("/metrics");
  return true;
}

static bool name_is_plain(slice name) {
  for (size_t i = 0; i < name.len; i++) {
    char c = name.ptr[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || memchr("._-", c, 3))) {
      return false;
    }
  }
  return true;
}

static bool times_of(const struct yaml *node, struct pull_target *t, struct error *err) {
  const struct yaml *interval = field(node, "interval"), *timeout = field(node, "timeout");
  t->interval.ns = INTERVAL_DEFAULT;
  if (interval && !duration_of(interval, INTERVAL_MIN, INTERVAL_MAX, &t->interval, err)) {
    return false;
  }
  t->timeout.ns = TIMEOUT_DEFAULT < t->interval.ns ? TIMEOUT_DEFAULT : t->interval.ns;
  return timeout == NULL || duration_of(timeout, TIMEOUT_MIN, t->interval.ns, &t->timeout, err);
}

static bool target_of(struct reader *r, const struct yaml *node, const struct pull_target *common,
                      struct pull_target *t, struct error *err) {
  static const char *const keys[] = {"name", "url", "interval", "timeout", "bearer_file", "rules", NULL};
  slice url;
  if (!is_map(node, keys, err) || !needed(r, node, "name", PULL_NAME_BYTES_MAX, &t->name, err) ||
      !needed(r, node, "url", URL_BYTES_MAX, &url, err) || !url_of(r, field(node, "url"), url, t, err) ||
      !times_of(node, t, err) || !optional(r, node, "bearer_file", URL_BYTES_MAX, &t->bearer_file, err)) {
    return false;
  }
  if (!name_is_plain(t->name)) {
    return yaml_error(err, field(node, "name"), "a name is made of letters, digits and . _ -");
  }
  if (field(node, "rules")) {
    return rules_of(r, field(node, "rules"), &t->rules, &t->rule_count, err);
  }
  t->rules = common->rules;
  t->rule_count = common->rule_count;
  return t->rule_count > 0 || yaml_error(err, node, "\"rules\" is missing, here and at the top of the file");
}

static bool targets_of(struct reader *r, const struct yaml *root, struct error *err) {
  static const char *const keys[] = {"targets", "rules", NULL};
  struct pull_target common = {0};
  struct map names = {0};
  if (!is_map(root, keys, err) ||
      (field(root, "rules") && !rules_of(r, field(root, "rules"), &common.rules, &common.rule_count, err))) {
    return false;
  }
  const struct yaml *list = field(root, "targets");
  if (list == NULL || !is_list(list, PULL_TARGETS_MAX, err)) {
    return list != NULL ? false : yaml_error(err, root, "\"targets\" is missing");
  }
  struct pull_target *items = arena_array(r->arena, list->count, sizeof *items);
  bool ok = true;
  for (const struct yaml *one = list->child; one && ok; one = one->next) {
    struct pull_target *t = &items[r->targets->count++];
    ok = target_of(r, one, &common, t, err);
    if (ok && map_get(&names, t->name)) {
      ok = yaml_error(err, one, "the name \"" SLICE_FMT "\" is taken by another target", SLICE_ARG(t->name));
    }
    *map_put(&names, t->name) = t;
  }
  r->targets->items = items;
  map_free(&names);
  return ok;
}

bool pull_targets_parse(const char *name, slice text, struct pull_targets **out, struct error *err) {
  struct reader r = {.targets = mem_alloc(sizeof *r.targets), .arena = arena_new(), .scratch = arena_new()};
  const struct yaml *root = NULL;
  r.targets->arena = r.arena;
  bool ok = yaml_parse(r.scratch, name, text, &root, err) &&
            (root != NULL || error_set(err, ERR_INVALID, "%s: is empty; \"targets\" is missing", name)) &&
            targets_of(&r, root, err);
  arena_free(r.scratch);
  if (!ok) {
    pull_targets_free(r.targets);
    return false;
  }
  *out = r.targets;
  return true;
}

bool pull_targets_load(const char *path, struct pull_targets **out, struct error *err) {
  struct arena *arena = arena_new();
  slice text;
  bool ok = file_read(arena, path, PULL_FILE_BYTES_MAX, &text, err) && pull_targets_parse(path, text, out, err);
  arena_free(arena);
  return ok;
}

void pull_targets_free(struct pull_targets *targets) {
  if (targets == NULL) {
    return;
  }
  for (size_t i = 0; i < targets->made.count; i++) {
    for (size_t k = 0; k < targets->made_counts.items[i]; k++) {
      map_free(&targets->made.items[i][k].table);
    }
  }
  vec_free(&targets->made);
  vec_free(&targets->made_counts);
  arena_free(targets->arena);
  free(targets);
}
