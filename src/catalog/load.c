/* Loads the files of a catalog and reads them, section by section, into one checked whole. */
#include "catalog/private.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

#define FILES_MAX 1000

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static int compare_texts(const void *a, const void *b) {
  const struct catalog_text *x = a, *y = b;
  return strcmp(base_name(x->name), base_name(y->name));
}

/* The digest of the digests of names and bytes: unambiguous where one ends and the next begins. The folder is not part
 * of it, so that a catalog may be moved. */
static slice digest_texts(struct arena *arena, const struct catalog_text *texts, size_t count) {
  struct digest *parts = arena_array(arena, 2 * count, sizeof *parts);
  char hex[65];
  for (size_t i = 0; i < count; i++) {
    parts[2 * i] = digest_of(slice_of(base_name(texts[i].name)));
    parts[2 * i + 1] = digest_of(texts[i].text);
  }
  digest_hex(digest_of((slice){(const char *)parts, 2 * count * sizeof *parts}), hex);
  return arena_copy(arena, slice_of(hex));
}

/* ---- reading ---- */

static void parse_file(struct loader *l, const struct catalog_text *text) {
  static const char *const keys[] = {"currency",
                                     "time_zone",
                                     "seller",
                                     "sellers",
                                     "invoicing",
                                     "taxes",
                                     "tax_rules",
                                     "meters",
                                     "plans",
                                     "customers",
                                     "pools",
                                     "gateway",
                                     "upstreams",
                                     "models",
                                     "dunning",
                                     "payment_providers",
                                     "virtual_currencies",
                                     "exchange_rates",
                                     NULL};
  const struct yaml *root = NULL;
  struct error err;
  slice name = arena_copy(l->arena, slice_of(text->name));
  *map_put(&l->file_names, name) = (void *)(uintptr_t)name.ptr;
  if (!yaml_parse(l->scratch, text->name, text->text, &root, &err)) {
    problem_take(l, &err);
    return;
  }
  bool empty = !root || (root->kind == YAML_SCALAR && root->text.len == 0);
  if (!empty && is_map_of(l, root, keys)) {
    l->files[l->file_count++] = root;
  }
}

static void read_sections(struct loader *l, struct catalog_index *index) {
  read_settings(l);
  read_taxes(l);
  read_meters(l);
  catalog_index_build(l->catalog, index);
  read_plans(l);
  read_tax_rules(l);
  read_customers(l);
  read_pools(l);
  read_gateway(l);
  read_upstreams(l);
  read_models(l);
  read_dunning(l);
  read_payment_providers(l);
  check_currencies(l);
  check_overlaps(l);
  check_products(l);
}

/* A file that can not be parsed stops the reading, or all that refers to it would be reported as well. */
static void read_all(struct loader *l, const struct catalog_text *texts, size_t count, struct catalog_index *index) {
  l->files = arena_array(l->scratch, count, sizeof *l->files);
  for (size_t i = 0; i < count; i++) {
    parse_file(l, &texts[i]);
  }
  if (l->problems.count == 0) {
    read_sections(l, index);
  }
}

static void keep_texts(struct arena *arena, const struct catalog_text *texts, size_t count, struct catalog *catalog) {
  struct catalog_text *kept = arena_array(arena, count, sizeof *kept);
  for (size_t i = 0; i < count; i++) {
    kept[i].name = arena_copy(arena, slice_of(base_name(texts[i].name))).ptr;
    kept[i].text = arena_copy(arena, texts[i].text);
  }
  catalog->texts = kept;
  catalog->text_count = count;
}

static struct catalog *new_catalog(struct arena **arena, struct catalog_index **index) {
  *arena = arena_new();
  *index = arena_alloc(*arena, sizeof **index);
  (*index)->arena = *arena;
  struct catalog *catalog = arena_alloc(*arena, sizeof *catalog);
  catalog->index = *index;
  return catalog;
}

bool catalog_parse(const struct catalog_text *texts, size_t count, struct catalog **out, struct error *err) {
  *out = NULL;
  if (count > FILES_MAX) {
    return error_set(err, ERR_LIMIT, "a catalog of %zu files: at most %d are read", count, FILES_MAX);
  }
  struct loader l = {.scratch = arena_new()};
  struct catalog_index *index;
  l.catalog = new_catalog(&l.arena, &index);
  buf_init(&l.problems.text, PROBLEMS_MAX * sizeof err->message);
  struct catalog_text *sorted = arena_array(l.scratch, count, sizeof *sorted);
  if (count > 0) {
    memcpy(sorted, texts, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_texts);
  }
  l.catalog->digest_hex = digest_texts(l.arena, sorted, count);
  keep_texts(l.arena, sorted, count, l.catalog);
  read_all(&l, sorted, count, index);
  bool ok = problems_report(&l.problems, err);
  buf_free(&l.problems.text);
  map_free(&l.zones);
  map_free(&l.taxes);
  map_free(&l.sellers);
  map_free(&l.upstreams);
  map_free(&l.file_names);
  arena_free(l.scratch);
  if (ok) {
    *out = l.catalog;
  } else {
    catalog_free(l.catalog);
  }
  return ok;
}

void catalog_free(struct catalog *catalog) {
  if (!catalog) {
    return;
  }
  struct catalog_index *index = (struct catalog_index *)(uintptr_t)catalog->index;
  must(index != NULL);
  map_free(&index->meters);
  map_free(&index->types);
  arena_free(index->arena);
}

/* ---- files ---- */

static bool ends_with(slice s, const char *end) {
  size_t len = strlen(end);
  return s.len > len && memcmp(s.ptr + s.len - len, end, len) == 0;
}

/* Hidden files are left behind by editors; maps tell the import about columns and may stand beside the catalog. */
static bool is_catalog_file(const char *name) {
  slice s = slice_of(name);
  bool yaml = ends_with(s, ".yaml") || ends_with(s, ".yml");
  bool map = ends_with(s, ".map.yaml") || ends_with(s, ".map.yml");
  return yaml && !map && name[0] != '.';
}

struct paths {
  const char **items;
  size_t count, capacity;
};

static bool list_folder(struct arena *arena, const char *path, struct paths *paths, struct error *err) {
  DIR *folder = opendir(path);
  if (!folder) {
    return error_set(err, ERR_IO, "%s: %s", path, strerror(errno));
  }
  const struct dirent *entry;
  while ((entry = readdir(folder)) && paths->count <= FILES_MAX) {
    if (is_catalog_file(entry->d_name)) {
      vec_push(paths, arena_printf(arena, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", entry->d_name));
    }
  }
  closedir(folder);
  return paths->count > 0 ||
         error_set(err, ERR_NOT_FOUND, "%s: the folder holds no catalog: expected files named *.yaml", path);
}

static bool list_files(struct arena *arena, const char *path, struct paths *paths, struct error *err) {
  struct stat status;
  if (path[0] == '\0' || stat(path, &status) != 0) {
    return error_set(err, ERR_NOT_FOUND, "%s: no such catalog: expected a folder with *.yaml files, or one file", path);
  }
  if (S_ISDIR(status.st_mode)) {
    return list_folder(arena, path, paths, err);
  }
  vec_push(paths, path);
  return true;
}

static bool read_files(struct arena *arena, const struct paths *paths, struct catalog_text *texts, struct error *err) {
  for (size_t i = 0; i < paths->count; i++) {
    texts[i].name = paths->items[i];
    if (!file_read(arena, paths->items[i], YAML_BYTES_MAX, &texts[i].text, err)) {
      return false;
    }
  }
  return true;
}

bool catalog_load(const char *path, struct catalog **out, struct error *err) {
  struct arena *arena = arena_new();
  struct paths paths = {0};
  *out = NULL;
  bool ok = list_files(arena, path, &paths, err);
  if (ok) {
    struct catalog_text *texts = arena_array(arena, paths.count, sizeof *texts);
    ok = read_files(arena, &paths, texts, err) && catalog_parse(texts, paths.count, out, err);
  }
  vec_free(&paths);
  arena_free(arena);
  return ok;
}
