/* Reads the servers of models that the gateway forwards to: where they are, what they hold, whose cost they are. */
#include "base/url.h"
#include "catalog/private.h"

#include <string.h>

#define URL_BYTES_MAX 1000
#define CONCURRENCY_MAX 1000000
#define TIMEOUT_MAX_MS (24 * INT64_C(3600) * 1000)
#define TIMEOUT_DEFAULT_MS (INT64_C(900) * 1000)
#define CONNECT_MAX_MS (INT64_C(600) * 1000)
#define CONNECT_DEFAULT_MS 2000

slice upstream_name_at(const void *upstreams, size_t i) {
  return ((const struct upstream *)upstreams)[i].name;
}

/* Clients are told a base URL that ends in "/v1", and so it is written here too: the calls add it again. */
static slice without_version(slice path) {
  static const char version[] = "/v1";
  const size_t len = sizeof version - 1;
  while (path.len > 0 && path.ptr[path.len - 1] == '/') {
    path.len--;
  }
  if (path.len >= len && memcmp(path.ptr + path.len - len, version, len) == 0) {
    path.len -= len;
  }
  return path;
}

static void read_url(struct loader *l, const struct yaml *node, struct upstream *out) {
  struct url url;
  struct error err;
  if (!node || !scalar(l, node)) {
    return;
  }
  slice text = slice_trim(node->text);
  if (text.len > URL_BYTES_MAX) {
    problem(l, node, "is %zu bytes long, at most %d are allowed", text.len, URL_BYTES_MAX);
  } else if (!url_split(text, &url, &err)) {
    problem(l, node, "expected a URL such as http://10.0.0.5:8000: %s", err.message);
  } else if (url.path.len > 0 && memchr(url.path.ptr, '?', url.path.len)) {
    problem(l, node, "expected a URL such as http://10.0.0.5:8000: leave out the query after ?");
  } else {
    out->tls = url.tls;
    out->port = url.port;
    out->host = arena_copy(l->arena, url.host);
    out->path = arena_copy(l->arena, without_version(url.path));
  }
}

static bool is_variable_name(slice name) {
  for (size_t i = 0; i < name.len; i++) {
    char c = name.ptr[i];
    bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    if (!letter && !(i > 0 && c >= '0' && c <= '9')) {
      return false;
    }
  }
  return true;
}

/* What looks like the key itself is not repeated in a message. */
static void read_key(struct loader *l, const struct yaml *map, struct upstream *out) {
  const struct yaml *key = field(map, "key"), *env = field(map, "key_env"), *file = field(map, "key_file");
  if (key) {
    problem(l, key,
            "a key does not stand in the catalog, which is kept for good: name the environment variable that "
            "holds it with \"key_env\", or its file with \"key_file\"");
  }
  if (env && file) {
    problem(l, file, "the upstream has \"key_env\" as well: keep one of the two");
  }
  out->key_env = name_of(l, env);
  if (!is_variable_name(out->key_env)) {
    problem(l, env, "is no name of an environment variable, such as VLLM_KEY: letters, digits and _, no digit first");
    out->key_env = (slice){0};
  }
  out->key_file = file_path_of(l, file);
}

static void read_health(struct loader *l, const struct yaml *node, struct upstream *out) {
  slice path = name_of(l, node);
  bool plain = path.len > 0 && path.ptr[0] == '/';
  for (size_t i = 0; plain && i < path.len; i++) {
    plain = (unsigned char)path.ptr[i] > ' ' && (unsigned char)path.ptr[i] < 0x7F && path.ptr[i] != '#';
  }
  if (path.len > 0 && !plain) {
    problem(l, node, "is \"%s\": expected a path such as /health, without blanks", shown(l, path));
    return;
  }
  out->health = path;
}

static const struct pool *pool_named(struct loader *l, const struct yaml *node) {
  slice name = name_of(l, node);
  const struct catalog *c = l->catalog;
  for (size_t i = 0; i < c->pool_count; i++) {
    if (slice_eq(c->pools[i].name, name)) {
      return &c->pools[i];
    }
  }
  if (name.len > 0) {
    problem(l, node, "there is no pool \"%s\"%s", shown(l, name),
            did_you_mean_any(l, name, pool_name_at, c->pools, c->pool_count));
  }
  return NULL;
}

/* Both or none: a cost per unit needs to know of how many. */
static void read_pool_of(struct loader *l, const struct yaml *map, struct upstream *out) {
  const struct yaml *pool = field(map, "pool"), *units = field(map, "units");
  char text[DECIMAL_TEXT_MAX];
  if (units && !pool) {
    problem(l, units, "needs a \"pool\" whose units they are");
  }
  if (!pool) {
    return;
  }
  out->pool = pool_named(l, pool);
  units = needed(l, map, "units", "how many of the pool's units, such as 8 GPUs, it runs on");
  if (quantity_of(l, units, &out->units) && out->pool && quantity_cmp(out->units, out->pool->count) > 0) {
    problem(l, units, "is more than the pool \"%s\" has: %s", shown(l, out->pool->name),
            quantity_text(out->pool->count, text));
  }
}

static void read_upstream(struct loader *l, const struct yaml *map, struct upstream *out) {
  static const char *const keys[] = {"name",   "url",         "shape",   "key_env", "key_file",        "pool", "units",
                                     "health", "concurrency", "timeout", "key",     "connect_timeout", NULL};
  static const char *const shapes[] = {"openai", "anthropic", NULL};
  if (!is_map_of(l, map, keys)) {
    return;
  }
  out->name = name_of(l, needed(l, map, "name", "models refer to an upstream by its name"));
  read_url(l, needed(l, map, "url", "where it is, such as http://10.0.0.5:8000"), out);
  out->anthropic = choice_of(l, field(map, "shape"), shapes, 0) == 1;
  read_key(l, map, out);
  out->concurrency = whole_of(l, field(map, "concurrency"), 1, CONCURRENCY_MAX, 0);
  read_health(l, field(map, "health"), out);
  out->timeout_s = duration_ms_of(l, field(map, "timeout"), 1000, TIMEOUT_MAX_MS, TIMEOUT_DEFAULT_MS) / 1000;
  out->connect_timeout_ms = duration_ms_of(l, field(map, "connect_timeout"), 1, CONNECT_MAX_MS, CONNECT_DEFAULT_MS);
  read_pool_of(l, map, out);
}

void read_upstreams(struct loader *l) {
  size_t count = section_count(l, "upstreams", CATALOG_UPSTREAMS_MAX);
  struct upstream *upstreams = arena_array(l->arena, count, sizeof *upstreams);
  struct section section = {.key = "upstreams"};
  struct map seen = {0};
  for (size_t i = 0; i < count; i++) {
    const struct yaml *node = section_next(l, &section);
    upstreams[i].place = place_of(l, node);
    upstreams[i].index = (uint32_t)i;
    read_upstream(l, node, &upstreams[i]);
    must_be_new(l, &seen, upstreams[i].name, node, "upstream");
    *map_put(&l->upstreams, upstreams[i].name) = &upstreams[i];
  }
  map_free(&seen);
  l->catalog->upstreams = upstreams;
  l->catalog->upstream_count = count;
}
