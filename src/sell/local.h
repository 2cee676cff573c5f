/* The engine on this machine: GPUs of its own driver, or plainly simulated ones, held by allocations that outlive the
 * program that started them. docs/local-engine.md says what it promises. */
#ifndef METERHOUSE_SELL_LOCAL_H
#define METERHOUSE_SELL_LOCAL_H
#include "sell/engine.h"

#define LOCAL_FAKE_GPUS_MAX 1024
#define LOCAL_ALLOCATIONS_MAX 100000
#define LOCAL_COMMAND_BYTES_MAX 65536
#define LOCAL_KEEP_S INT64_C(8035200) /* 93 days */

/* Texts belong to the caller and are needed during local_open alone. */
struct local_options {
  const char *folder; /* of its state; made when it is not there. One engine a folder: a second one gets ERR_BUSY */
  uint32_t fake_gpus; /* so many simulated GPUs "fake-0", "fake-1" ... of type "fake"; 0: the real ones, through NVML */
  const char *nvml;   /* the driver's library; NULL: "libnvidia-ml.so.1" */
  const char *run_as; /* user whom commands run as; NULL: who runs this program, refused when that is root */
  const char *cgroup; /* a folder of cgroup v2 handed over to us, one below it for each allocation; NULL: none */
  const char *program; /* what holds an allocation: a program whose main calls local_supervise; NULL: this one */
  int64_t keep_s;      /* what ended is told so long; 0: LOCAL_KEEP_S */
};
/* Finds what still runs and what ended meanwhile. The engine is closed by its driver; allocations run on then. All
 * calls are to come from one thread at a time. `customer` of a request is kept and told; there are no accounts here, so
 * admit lets everyone in. Differences to engine.h: start also fails with ERR_CONFLICT for a lease that was started with
 * another request, and with ERR_INVALID for what this machine can not do. The real time counts, never a test's clock.
 */
MUST_USE struct engine *local_open(const struct local_options *options, struct error *err);

/* What the program does when it is called as `PROGRAM supervise-allocation FOLDER`, which only the engine does: it
 * holds the allocation, runs its command and keeps its time until the end. Returns the exit status. */
#define LOCAL_SUPERVISE "supervise-allocation"
int local_supervise(const char *folder);

/* What a real GPU's driver tells at one moment. What it does not tell, or tells as blank, is absent: a gap, not 0. */
struct local_sample {
  slice device; /* UUID */
  slice gpu;    /* type */
  slice lease;  /* who holds it; empty: nobody */
  instant at;
  bool has_duty, has_power, has_energy;
  uint32_t duty_percent; /* of the last moments in which some kernel ran; never there for a part of a GPU (MIG) */
  uint64_t power_mw;
  uint64_t energy_mj; /* a counter, since the driver was loaded */
};
/* One for each GPU that answers; none at all for simulated ones, since nothing was measured. In the arena. */
MUST_USE bool local_samples(struct engine *engine, struct arena *arena, struct local_sample **samples, size_t *count,
                            struct error *err);
#endif
