/* Who delivers what is sold: a Slurm cluster, or this machine. An engine starts, watches and stops allocations, and
 * tells what it delivered; it decides nothing about money. Each call may take long and may fail: an engine is used from
 * a thread of its own, and everything can be asked again. */
#ifndef METERHOUSE_SELL_ENGINE_H
#define METERHOUSE_SELL_ENGINE_H
#include "base/time.h"
#include "catalog/catalog.h"

#define ENGINE_ID_BYTES_MAX 128
enum engine_class { CLASS_ON_DEMAND, CLASS_RESERVED, CLASS_PRIORITY, CLASS_SPOT, ENGINE_CLASSES };
const char *engine_class_name(enum engine_class class); /* "on_demand" ... */
struct engine_request {
  slice lease;    /* our id: the engine keeps it with the allocation, and the same again is the same allocation */
  slice customer; /* whose account it runs under */
  enum engine_class class;
  slice gpu;     /* type as the engine calls it: "h100"; empty: any */
  quantity gpus; /* of each node; whole numbers, or a share below 1 where the engine has shares */
  uint32_t nodes;
  instant ends;     /* INSTANT_MAX: when it is stopped */
  int64_t notice_s; /* spot: told so long before it is pre-empted */
  slice command;    /* what runs in it; empty: it is only held, for the customer to use */
  slice directory;  /* where it runs and writes; empty: the engine's choice */
};
enum engine_state { ENGINE_UNKNOWN, ENGINE_PENDING, ENGINE_RUNNING, ENGINE_ENDED, ENGINE_PREEMPTED, ENGINE_FAILED };
const char *engine_state_name(enum engine_state state);
/* One stretch in which an allocation held GPUs; a requeued one has several. Keyed by (lease, number), or without a
 * lease by its reference. */
struct engine_run {
  slice lease;     /* empty: started past us, by the customer straight at the engine */
  slice customer;  /* by the engine's account; empty: not known */
  slice reference; /* the engine's own name of it: cluster, job id, submit time */
  uint32_t number; /* of the run, from 1 */
  enum engine_class class;
  slice gpu, pool_hint; /* type; partition or host */
  quantity gpus;        /* in all */
  instant from, to;     /* to INSTANT_MAX: it runs; suspended time is left out (suspended_s) */
  int64_t suspended_s;
  enum engine_state state;
  int exit_status;
  slice nodes; /* "gpu01,gpu02" */
};
struct engine_node {
  slice name;
  slice gpu;
  quantity gpus;
  bool up; /* answers; false since `down_since` */
  instant down_since;
};
struct engine;
struct engine_driver {
  const char *name; /* "local", "slurm" */
  /* Submits, or finds that it was: `*reference` in the arena. ERR_LIMIT: no room now. ERR_BUSY: it does not answer. */
  bool (*start)(struct engine *engine, struct arena *arena, const struct engine_request *request, slice *reference,
                struct error *err);
  /* Ends it: at once, or with `notice_s` for who can use it. Ending what has ended is fine. */
  bool (*stop)(struct engine *engine, slice lease, int64_t notice_s, struct error *err);
  /* A later or earlier end. */
  bool (*set_end)(struct engine *engine, slice lease, instant ends, struct error *err);
  /* All runs that were there at any time since `since`, as they stand now: rows change after they were first seen, so
   * it is asked again and again over overlapping stretches. */
  bool (*runs)(struct engine *engine, struct arena *arena, instant since, struct engine_run **runs, size_t *count,
               struct error *err);
  bool (*nodes)(struct engine *engine, struct arena *arena, struct engine_node **nodes, size_t *count,
                struct error *err);
  /* Makes sure a customer may use it, and within which limit of GPU-minutes (a fence behind our own control; -1: none).
   */
  bool (*admit)(struct engine *engine, slice customer, int64_t gpu_minutes, struct error *err);
  void (*close)(struct engine *engine);
};
struct engine {
  const struct engine_driver *driver;
};
/* engines are made by their own headers: local.h, slurm.h */
#endif
