/* NVML through dlopen. Names, results and structures are those of its documented interface, version 2 of each call. */
#include "sell/nvml.h"
#include <dlfcn.h>
#include <stdlib.h>

enum { NVML_SUCCESS = 0, NVML_GPU_IS_LOST = 15 };
#define DUTY_PERCENT_MAX 100
#define POWER_MW_MAX 100000000u                      /* 100 kW: above it is no power of a GPU, so a blank */
#define ENERGY_MJ_BLANK UINT64_C(0x7ffffffffffffff0) /* blanks of drivers and exporters are this and above */

struct utilization {
  unsigned gpu, memory;
};
struct nvml {
  void *library;
  int (*init)(void);
  int (*shutdown)(void);
  const char *(*error_text)(int result);
  int (*count)(unsigned *count);
  int (*handle)(unsigned index, void **handle);
  int (*name)(void *handle, char *text, unsigned size);
  int (*uuid)(void *handle, char *text, unsigned size);
  int (*duty)(void *handle, struct utilization *out);
  int (*power)(void *handle, unsigned *mw);
  int (*energy)(void *handle, unsigned long long *mj);
  /* these may be missing: drivers before MIG */
  int (*mig_mode)(void *handle, unsigned *now, unsigned *pending);
  int (*mig_count)(void *handle, unsigned *count);
  int (*mig_handle)(void *handle, unsigned index, void **part);
};

static bool find_calls(struct nvml *n, const char *path, struct error *err) {
  const struct {
    const char *name;
    void *place;
    bool required;
  } calls[] = {{"nvmlInit_v2", &n->init, true},
               {"nvmlShutdown", &n->shutdown, true},
               {"nvmlErrorString", &n->error_text, true},
               {"nvmlDeviceGetCount_v2", &n->count, true},
               {"nvmlDeviceGetHandleByIndex_v2", &n->handle, true},
               {"nvmlDeviceGetName", &n->name, true},
               {"nvmlDeviceGetUUID", &n->uuid, true},
               {"nvmlDeviceGetUtilizationRates", &n->duty, true},
               {"nvmlDeviceGetPowerUsage", &n->power, true},
               {"nvmlDeviceGetTotalEnergyConsumption", &n->energy, true},
               {"nvmlDeviceGetMigMode", &n->mig_mode, false},
               {"nvmlDeviceGetMaxMigDeviceCount", &n->mig_count, false},
               {"nvmlDeviceGetMigDeviceHandleByIndex", &n->mig_handle, false}};
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    void *call = dlsym(n->library, calls[i].name);
    if (!call && calls[i].required) {
      return error_set(err, ERR_NOT_FOUND, "%s: has no %s: it is not NVIDIA's management library, or a very old one",
                       path, calls[i].name);
    }
    memcpy(calls[i].place, &call, sizeof call);
  }
  return true;
}

static bool refused(const struct nvml *n, const char *what, int result, struct error *err) {
  return error_set(err, ERR_IO, "NVML: %s: %s", what, n->error_text(result));
}

struct nvml *nvml_open(const char *path, struct error *err) {
  struct nvml *n = mem_alloc(sizeof *n);
  n->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!n->library) {
    error_set(err, ERR_NOT_FOUND, "%s", dlerror());
  } else if (find_calls(n, path, err)) {
    int result = n->init();
    if (result == NVML_SUCCESS) {
      return n;
    }
    refused(n, "no driver answers", result, err);
  }
  if (n->library) {
    dlclose(n->library);
  }
  free(n);
  return NULL;
}

void nvml_close(struct nvml *n) {
  if (n) {
    n->shutdown();
    dlclose(n->library);
    free(n);
  }
}

static bool add_gpu(const struct nvml *n, void *handle, bool part, struct nvml_gpu *list, size_t *count,
                    struct error *err) {
  if (*count == NVML_GPUS_MAX) {
    return error_set(err, ERR_LIMIT, "NVML: more than %d GPUs and parts of GPUs", NVML_GPUS_MAX);
  }
  struct nvml_gpu *g = &list[*count];
  *g = (struct nvml_gpu){.part = part, .handle = handle};
  int result = n->name(handle, g->name, sizeof g->name);
  if (result == NVML_SUCCESS) {
    result = n->uuid(handle, g->uuid, sizeof g->uuid);
  }
  if (result != NVML_SUCCESS) {
    return result == NVML_GPU_IS_LOST || refused(n, "name of a GPU", result, err);
  }
  g->name[sizeof g->name - 1] = g->uuid[sizeof g->uuid - 1] = '\0';
  (*count)++;
  return true;
}

/* Whether it is split; its parts are added then. */
static bool add_parts(const struct nvml *n, void *handle, bool *split, struct nvml_gpu *list, size_t *count,
                      struct error *err) {
  unsigned now = 0, pending = 0, most = 0;
  *split = n->mig_mode && n->mig_count && n->mig_handle && n->mig_mode(handle, &now, &pending) == NVML_SUCCESS &&
           now == 1 && n->mig_count(handle, &most) == NVML_SUCCESS;
  for (unsigned i = 0; *split && i < most; i++) {
    void *part = NULL;
    if (n->mig_handle(handle, i, &part) == NVML_SUCCESS && !add_gpu(n, part, true, list, count, err)) {
      return false;
    }
  }
  return true;
}

bool nvml_list(struct nvml *n, struct nvml_gpu *list, size_t *count, struct error *err) {
  unsigned there = 0;
  int result = n->count(&there);
  *count = 0;
  if (result != NVML_SUCCESS) {
    return refused(n, "number of GPUs", result, err);
  }
  for (unsigned i = 0; i < there; i++) {
    void *handle = NULL;
    bool split = false;
    result = n->handle(i, &handle);
    if (result != NVML_SUCCESS && result != NVML_GPU_IS_LOST) {
      return refused(n, "a GPU that it counts", result, err);
    }
    if (result == NVML_SUCCESS &&
        !(add_parts(n, handle, &split, list, count, err) && (split || add_gpu(n, handle, false, list, count, err)))) {
      return false;
    }
  }
  return true;
}

void nvml_read(struct nvml *n, void *handle, struct nvml_reading *out) {
  struct utilization duty = {0};
  unsigned power = 0;
  unsigned long long energy = 0;
  int duty_result = n->duty(handle, &duty), power_result = n->power(handle, &power),
      energy_result = n->energy(handle, &energy);
  *out = (struct nvml_reading){.lost = duty_result == NVML_GPU_IS_LOST || power_result == NVML_GPU_IS_LOST ||
                                       energy_result == NVML_GPU_IS_LOST,
                               .has_duty = duty_result == NVML_SUCCESS && duty.gpu <= DUTY_PERCENT_MAX,
                               .has_power = power_result == NVML_SUCCESS && power <= POWER_MW_MAX,
                               .has_energy = energy_result == NVML_SUCCESS && energy < ENERGY_MJ_BLANK,
                               .duty_percent = duty.gpu,
                               .power_mw = power,
                               .energy_mj = energy};
}
