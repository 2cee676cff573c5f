/* Puts a sample together: folder, people, catalog, usage. */
#include "sample/sample.h"
#include "base/file.h"
#include "sample/private.h"
#include <dirent.h>
#include <string.h>

const struct sample_pool sample_pools[SAMPLE_POOLS] = {
    {"b200-osl1", "B200", "osl1", 64, 86, "4.99", "4.79", "61000", "1.7"},
    {"h200-osl1", "H200", "osl1", 128, 82, "3.49", "3.29", "52000", "1.3"},
    {"h100-ams1", "H100", "ams1", 512, 84, "2.95", "2.85", "47000", "1.275"},
    {"a100-iad1", "A100", "iad1", 256, 71, "1.49", "1.39", "15000", "0.8"},
    {"l40s-ams1", "L40S", "ams1", 192, 64, "0.99", "0.95", "9500", "0.55"},
};
const struct model sample_models[SAMPLE_MODELS] = {
    {"llama-3.3-70b", "0.59", "0.15", "0.79", 40},
    {"qwen-2.5-72b", "0.55", "0.14", "0.85", 22},
    {"deepseek-r1", "0.55", "0.14", "2.19", 18},
    {"mistral-small-24b", "0.10", "0.03", "0.30", 15},
    {"bge-m3", "0.02", "0.02", "0", 5},
};

unsigned pool_count(const struct world *w, unsigned pool) {
  uint64_t count = (uint64_t)sample_pools[pool].count_per_40 * w->options.customers / 40;
  return (unsigned)(count ? count : 1);
}

static bool is_ours(const char *name) {
  static const char *const ours[] = {".", "..", "catalog", "usage", "period", NULL};
  for (size_t i = 0; ours[i]; i++) {
    if (strcmp(name, ours[i]) == 0) {
      return true;
    }
  }
  return false;
}

/* A folder of somebody's own files is not written into. */
static bool folder_is_free(const char *path, struct error *err) {
  DIR *dir = opendir(path);
  if (dir == NULL) {
    return true;
  }
  const struct dirent *entry;
  while ((entry = readdir(dir)) != NULL && is_ours(entry->d_name)) {
  }
  bool ok = entry == NULL ||
            error_set(err, ERR_INVALID, "%s holds other files (%s): name a new folder with --out", path, entry->d_name);
  closedir(dir);
  return ok;
}

/* From the first of the month over `days` days; the month is the last one that has ended unless one is named. */
static bool choose_period(struct world *w, struct error *err) {
  struct civil now = time_civil_utc(clock_now());
  now.day = 1;
  struct civil last = time_add_months(now, -1);
  snprintf(w->month, sizeof w->month, "%04d-%02d", last.year, last.month);
  if (w->options.period) {
    if (strlen(w->options.period) != 7) {
      return error_set(err, ERR_USAGE, "--period is a month such as 2026-10, not \"%s\"", w->options.period);
    }
    snprintf(w->month, sizeof w->month, "%s", w->options.period);
  }
  if (!time_parse_period(slice_of(w->month), "UTC", &w->period, err)) {
    return false;
  }
  w->period.to.ns = w->period.from.ns + (int64_t)w->options.days * 86400 * NS_PER_S;
  return true;
}

static bool write_all(struct world *w, struct error *err) {
  const char *out = w->options.out_dir;
  return folder_is_free(out, err) && choose_period(w, err) &&
         file_make_dirs(arena_printf(w->arena, "%s/catalog", out), err) &&
         file_make_dirs(arena_printf(w->arena, "%s/usage", out), err) && (make_people(w), write_catalog(w, err)) &&
         write_logo(arena_printf(w->arena, "%s/catalog/logo.png", out), err) && write_usage(w, err) &&
         file_write(arena_printf(w->arena, "%s/period", out), slice_of(arena_printf(w->arena, "%s\n", w->month)), err);
}

bool sample_write(const struct sample_options *options, struct sample_result *out, struct error *err) {
  struct world w = {.options = *options, .arena = arena_new(), .result = out};
  *out = (struct sample_result){0};
  bool ok = write_all(&w, err);
  memcpy(out->period, w.month, sizeof out->period);
  arena_free(w.arena);
  return ok;
}
