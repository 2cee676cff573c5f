/* The few questions we put to NVIDIA's management library, which is opened when it is there and never linked. */
#ifndef METERHOUSE_SELL_NVML_H
#define METERHOUSE_SELL_NVML_H
#include "base/base.h"

#define NVML_TEXT_MAX 96 /* NVML_DEVICE_NAME_V2_BUFFER_SIZE and NVML_DEVICE_UUID_V2_BUFFER_SIZE */
#define NVML_GPUS_MAX 1024
struct nvml;
/* ERR_NOT_FOUND: there is no such library, or it is not NVML; ERR_IO: it found no driver. */
MUST_USE struct nvml *nvml_open(const char *path, struct error *err);
void nvml_close(struct nvml *nvml); /* NULL is fine */

struct nvml_gpu {
  char name[NVML_TEXT_MAX], uuid[NVML_TEXT_MAX];
  bool part;    /* of a GPU (MIG): it can be held like a GPU */
  void *handle; /* of NVML's, good until nvml_close */
};
/* All GPUs; of those in MIG mode their parts instead. `list` has room for NVML_GPUS_MAX. */
MUST_USE bool nvml_list(struct nvml *nvml, struct nvml_gpu *list, size_t *count, struct error *err);

struct nvml_reading {
  bool lost; /* fell off the bus: it answers no more */
  bool has_duty, has_power, has_energy;
  uint32_t duty_percent;
  uint64_t power_mw, energy_mj;
};
void nvml_read(struct nvml *nvml, void *handle, struct nvml_reading *out);
#endif
