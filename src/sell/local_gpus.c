/* The GPUs of this machine: which there are, which still answer, and which an allocation gets. */
#include "sell/local_private.h"
#include <ctype.h>
#include <stdlib.h>

#define NVML_LIBRARY "libnvidia-ml.so.1"
#define FAKE_TYPE "fake"

/* "NVIDIA H100 80GB HBM3" is "h100-80gb-hbm3", and "... MIG 1g.10gb" ends on "-mig-1g.10gb". */
static void type_of(const char *name, char type[NVML_TEXT_MAX]) {
  static const char maker[] = "NVIDIA ";
  size_t n = 0;
  if (strncmp(name, maker, sizeof maker - 1) == 0) {
    name += sizeof maker - 1;
  }
  for (; *name != '\0' && n + 1 < NVML_TEXT_MAX; name++) {
    bool plain = isalnum((unsigned char)*name) || *name == '.';
    if (plain || (n > 0 && type[n - 1] != '-')) {
      type[n++] = plain ? (char)tolower((unsigned char)*name) : '-';
    }
  }
  while (n > 0 && type[n - 1] == '-') {
    n--;
  }
  type[n] = '\0';
}

static bool open_real(struct local_gpus *gpus, const struct local_options *options, struct error *err) {
  gpus->nvml = nvml_open(options->nvml ? options->nvml : NVML_LIBRARY, err);
  if (!gpus->nvml) {
    return error_at(err, "no GPUs were found here (simulated ones can be had by --fake-gpus 8)");
  }
  struct nvml_gpu *list = mem_alloc(NVML_GPUS_MAX * sizeof *list);
  size_t count = 0;
  bool ok = nvml_list(gpus->nvml, list, &count, err);
  for (size_t i = 0; ok && i < count; i++) {
    struct local_gpu gpu = {.part = list[i].part, .up = true, .free_e9 = QUANTITY_E9, .handle = list[i].handle};
    memcpy(gpu.name, list[i].uuid, sizeof gpu.name);
    type_of(list[i].name, gpu.type);
    vec_push(&gpus->v, gpu);
  }
  free(list);
  return ok && (count > 0 || error_set(err, ERR_NOT_FOUND, "NVML: the driver answers and has no GPU"));
}

bool gpus_open(struct local_gpus *gpus, const struct local_options *options, struct error *err) {
  *gpus = (struct local_gpus){0};
  if (options->fake_gpus > LOCAL_FAKE_GPUS_MAX) {
    return error_set(err, ERR_INVALID, "%u simulated GPUs: at most %d", options->fake_gpus, LOCAL_FAKE_GPUS_MAX);
  }
  for (uint32_t i = 0; i < options->fake_gpus; i++) {
    struct local_gpu gpu = {.type = FAKE_TYPE, .up = true, .free_e9 = QUANTITY_E9};
    snprintf(gpu.name, sizeof gpu.name, FAKE_TYPE "-%u", i);
    vec_push(&gpus->v, gpu);
  }
  return options->fake_gpus > 0 || open_real(gpus, options, err);
}

void gpus_close(struct local_gpus *gpus) {
  nvml_close(gpus->nvml);
  vec_free(&gpus->v);
}

void gpus_look(struct local_gpus *gpus, instant now) {
  for (size_t i = 0; gpus->nvml && i < gpus->v.count; i++) {
    struct local_gpu *gpu = &gpus->v.items[i];
    struct nvml_reading reading;
    nvml_read(gpus->nvml, gpu->handle, &reading);
    if (gpu->up && reading.lost) {
      gpu->down_since = now;
    }
    gpu->up = !reading.lost;
  }
}

struct local_gpu *gpus_find(struct local_gpus *gpus, slice name) {
  for (size_t i = 0; i < gpus->v.count; i++) {
    if (slice_is(name, gpus->v.items[i].name)) {
      return &gpus->v.items[i];
    }
  }
  return NULL;
}

/* "h100" names every whole GPU whose type begins so; a part of one is named in full, or by its profile "1g.10gb". */
static bool is_of_type(const struct local_gpu *gpu, slice type) {
  if (type.len == 0) {
    return !gpu->part;
  }
  size_t len = strlen(gpu->type);
  if (slice_is(type, gpu->type)) {
    return true;
  }
  if (len <= type.len) {
    return false;
  }
  const char *end = gpu->type + len - type.len;
  return gpu->part ? memcmp(end, type.ptr, type.len) == 0 && end[-1] == '-'
                   : memcmp(gpu->type, type.ptr, type.len) == 0 && gpu->type[type.len] == '-';
}

/* The fullest one in which it fits, so that whole ones stay whole. */
static bool place_share(const struct local_gpus *gpus, slice type, quantity share, size_t *chosen, struct error *err) {
  const struct local_gpu *best = NULL;
  for (size_t i = 0; i < gpus->v.count; i++) {
    const struct local_gpu *gpu = &gpus->v.items[i];
    if (gpu->up && is_of_type(gpu, type) && gpu->free_e9 >= share.e9 && (!best || gpu->free_e9 < best->free_e9)) {
      best = gpu;
      *chosen = i;
    }
  }
  char text[DECIMAL_TEXT_MAX];
  return best || error_set(err, ERR_LIMIT, "no GPU has a share of %s free now", quantity_text(share, text));
}

/* All of one type: an allocation does not mix them. Types are tried as the driver lists them. */
static bool place_whole(const struct local_gpus *gpus, slice type, size_t wanted, size_t *chosen, struct error *err) {
  size_t most = 0;
  for (size_t first = 0; first < gpus->v.count; first++) {
    size_t count = 0;
    for (size_t i = first; i < gpus->v.count && count < wanted; i++) {
      const struct local_gpu *gpu = &gpus->v.items[i];
      if (gpu->up && gpu->free_e9 == QUANTITY_E9 && is_of_type(gpu, type) &&
          strcmp(gpu->type, gpus->v.items[first].type) == 0) {
        chosen[count++] = i;
      }
    }
    if (count == wanted) {
      return true;
    }
    most = count > most ? count : most;
  }
  return error_set(err, ERR_LIMIT, "%zu GPUs%s" SLICE_FMT " were asked for, %zu of one type are free now", wanted,
                   type.len > 0 ? " of type " : "", SLICE_ARG(type), most);
}

static bool check_wanted(const struct local_gpus *gpus, slice type, quantity wanted, struct error *err) {
  size_t known = 0;
  char text[DECIMAL_TEXT_MAX];
  for (size_t i = 0; i < gpus->v.count; i++) {
    known += is_of_type(&gpus->v.items[i], type);
  }
  if (known == 0) {
    return error_set(err, ERR_INVALID, "gpu: \"" SLICE_FMT "\" is not here: there are %s ...", SLICE_ARG(type),
                     gpus->v.items[0].type);
  }
  if (wanted.e9 <= 0 || (wanted.e9 > QUANTITY_E9 && wanted.e9 % QUANTITY_E9 != 0)) {
    return error_set(err, ERR_INVALID, "gpus: %s: a whole number, or a share below 1", quantity_text(wanted, text));
  }
  if (wanted.e9 < QUANTITY_E9 && gpus->nvml) {
    return error_set(err, ERR_INVALID,
                     "gpus: %s: a real GPU is not shared, since nothing would keep one from taking all: ask for a MIG "
                     "profile, or for whole ones",
                     quantity_text(wanted, text));
  }
  return wanted.e9 <= (int128)known * QUANTITY_E9 ||
         error_set(err, ERR_LIMIT, "gpus: %s: there are %zu in all", quantity_text(wanted, text), known);
}

bool gpus_place(const struct local_gpus *gpus, struct arena *arena, slice type, quantity wanted, size_t **chosen,
                size_t *count, struct error *err) {
  if (!check_wanted(gpus, type, wanted, err)) {
    return false;
  }
  *chosen = arena_array(arena, gpus->v.count, sizeof **chosen);
  if (wanted.e9 < QUANTITY_E9) {
    *count = 1;
    return place_share(gpus, type, wanted, *chosen, err);
  }
  *count = (size_t)(wanted.e9 / QUANTITY_E9);
  return place_whole(gpus, type, *count, *chosen, err);
}
