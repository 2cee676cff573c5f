/* A library that answers like NVML, for tests of what opens it. NVML_SIMULATED holds what it is to show: "mig",
 * "blank", "lost", "nodriver", or nothing for two GPUs that work. */
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, NOT_FOUND = 6 };
struct device {
  const char *name, *uuid;
};
struct utilization {
  unsigned gpu, memory;
};
static struct device gpus[] = {{"NVIDIA H100 80GB HBM3", "GPU-aaaa-0"}, {"NVIDIA H100 80GB HBM3", "GPU-aaaa-1"}};
static struct device parts[] = {{"NVIDIA H100 80GB HBM3 MIG 1g.10gb", "MIG-bbbb-0"},
                                {"NVIDIA H100 80GB HBM3 MIG 1g.10gb", "MIG-bbbb-1"}};

static int shows(const char *what) {
  const char *said = getenv("NVML_SIMULATED");
  return said && strcmp(said, what) == 0;
}
static int is_part(const void *device) {
  return device == &parts[0] || device == &parts[1];
}
static int lost(const void *device) {
  return shows("lost") && device == &gpus[1];
}

int nvmlInit_v2(void);
int nvmlShutdown(void);
const char *nvmlErrorString(int result);
int nvmlDeviceGetCount_v2(unsigned *count);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device);
int nvmlDeviceGetName(void *device, char *text, unsigned size);
int nvmlDeviceGetUUID(void *device, char *text, unsigned size);
int nvmlDeviceGetUtilizationRates(void *device, struct utilization *out);
int nvmlDeviceGetPowerUsage(void *device, unsigned *mw);
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj);
int nvmlDeviceGetMigMode(void *device, unsigned *now, unsigned *pending);
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *count);
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **part);

int nvmlInit_v2(void) {
  return shows("nodriver") ? DRIVER_NOT_LOADED : SUCCESS;
}
int nvmlShutdown(void) {
  return SUCCESS;
}
const char *nvmlErrorString(int result) {
  return result == DRIVER_NOT_LOADED ? "Driver Not Loaded" : "Some Other Error";
}
int nvmlDeviceGetCount_v2(unsigned *count) {
  *count = 2;
  return SUCCESS;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
  *device = &gpus[index];
  return SUCCESS;
}
static int copy(const char *from, char *to, unsigned size) {
  size_t len = strlen(from);
  if (len >= size) {
    return NOT_SUPPORTED;
  }
  memcpy(to, from, len + 1);
  return SUCCESS;
}
int nvmlDeviceGetName(void *device, char *text, unsigned size) {
  return copy(((struct device *)device)->name, text, size);
}
int nvmlDeviceGetUUID(void *device, char *text, unsigned size) {
  return copy(((struct device *)device)->uuid, text, size);
}
int nvmlDeviceGetUtilizationRates(void *device, struct utilization *out) {
  out->gpu = shows("blank") ? 0xffffffffu : 87;
  return lost(device) ? GPU_IS_LOST : is_part(device) ? NOT_SUPPORTED : SUCCESS;
}
int nvmlDeviceGetPowerUsage(void *device, unsigned *mw) {
  *mw = shows("blank") ? 0xffffffffu : 612345;
  return lost(device) ? GPU_IS_LOST : SUCCESS;
}
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj) {
  *mj = shows("blank") ? 9223372036854775794ull : 123456789ull;
  return lost(device) ? GPU_IS_LOST : SUCCESS;
}
int nvmlDeviceGetMigMode(void *device, unsigned *now, unsigned *pending) {
  *now = *pending = shows("mig") && device == &gpus[0];
  return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *count) {
  (void)device;
  *count = 7;
  return SUCCESS;
}
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **part) {
  (void)device;
  if (index == 0 || index == 3) {
    *part = &parts[index == 3];
    return SUCCESS;
  }
  return NOT_FOUND;
}
