/* The local engine's inside: its GPUs, its allocations in memory, and the files of an allocation.
 *
 * FOLDER/lock                      held by the one engine of the folder
 * FOLDER/allocations/LEASE/        the working folder of the supervisor, the process that holds this allocation:
 *   order.json                     what was asked for and which GPUs it got; there before anything is started
 *   lock                           held by the supervisor while it lives
 *   started.json                   the supervisor, and since when it runs; there before the command is started
 *   wish.json                      when it is to end, by now; ours to write
 *   beat                           the last moment at which the supervisor was seen alive, written each second
 *   ended.json                     how and when it ended; the last word
 *   log                            what the supervisor had to say
 * FOLDER/work/LEASE/               where the command runs, unless the request says where */
#ifndef METERHOUSE_SELL_LOCAL_PRIVATE_H
#define METERHOUSE_SELL_LOCAL_PRIVATE_H
#include "base/hash.h"
#include "sell/local.h"
#include "sell/nvml.h"
#include "sell/processes.h"
#include <limits.h>

#define BEAT_NS NS_PER_S
#define TERM_LEAD_NS (5 * NS_PER_S) /* between TERM and KILL, or half of what there is when that is less */
#define READY_FD 3                  /* of a supervisor: where it says that it holds, or why it does not */

/* ---- records (local_records.c): files of an allocation; `folder` is its own, "." for the supervisor ---- */
struct local_order {
  slice lease, customer;
  enum engine_class class;
  slice gpu; /* type given */
  bool fake;
  quantity share; /* of each device */
  slice *devices;
  size_t device_count;
  instant ends;
  int64_t notice_s;
  slice command, directory, run_as, cgroup;
  slice mark;   /* NAME=VALUE in the environment of all that runs in it */
  slice digest; /* of the request: the same lease with another one is refused */
};
struct local_started {
  struct process supervisor;
  instant from;
};
/* The end is the earlier of `ends` and `stop`; by a stop it was told at `told`. */
struct local_wish {
  instant ends, stop, told;
  bool preempts;
};
struct local_ended {
  instant to;
  enum engine_state state;
  int exit_status;
  slice reason; /* empty: as it should be */
};
MUST_USE bool order_write(const char *folder, const struct local_order *order, struct error *err);
MUST_USE bool order_read(struct arena *arena, const char *folder, struct local_order *out, struct error *err);
MUST_USE bool started_write(const char *folder, const struct local_started *started, struct error *err);
MUST_USE bool wish_write(const char *folder, const struct local_wish *wish, struct error *err);
MUST_USE bool ended_write(const char *folder, const struct local_ended *ended, struct error *err);
/* ERR_NOT_FOUND: not there (yet); ERR_CORRUPT names the file. */
MUST_USE bool started_read(const char *folder, struct local_started *out, struct error *err);
MUST_USE bool wish_read(const char *folder, struct local_wish *out, struct error *err);
MUST_USE bool ended_read(struct arena *arena, const char *folder, struct local_ended *out, struct error *err);
void beat_write(int fd, instant at);
instant beat_read(const char *folder, instant otherwise);
/* The lock of an allocation or of the engine: a descriptor, or -1 and ERR_BUSY (someone lives) or ERR_IO. */
int lock_take(const char *folder, struct error *err);
/* Removes what belongs to an allocation, its order first: without one the rest means nothing. */
MUST_USE bool records_remove(const char *folder, struct error *err);

/* ---- GPUs (local_gpus.c) ---- */
struct local_gpu {
  char name[NVML_TEXT_MAX]; /* UUID, or "fake-3" */
  char type[NVML_TEXT_MAX];
  bool part, up;
  instant down_since;
  int128 free_e9;
  char lease[ENGINE_ID_BYTES_MAX + 1]; /* the last that was put on it; empty: it is free */
  void *handle;
};
struct local_gpus {
  VEC(struct local_gpu) v;
  struct nvml *nvml; /* NULL: simulated */
};
MUST_USE bool gpus_open(struct local_gpus *gpus, const struct local_options *options, struct error *err);
void gpus_close(struct local_gpus *gpus);
/* Asks each real GPU whether it still answers. */
void gpus_look(struct local_gpus *gpus, instant now);
struct local_gpu *gpus_find(struct local_gpus *gpus, slice name); /* NULL: it is gone */
/* Which ones to take for `wanted` of a type: indices in the arena. ERR_LIMIT says how many are free, ERR_INVALID what
 * can not be had here. */
MUST_USE bool gpus_place(const struct local_gpus *gpus, struct arena *arena, slice type, quantity wanted,
                         size_t **chosen, size_t *count, struct error *err);

/* ---- allocations in memory (local_allocations.c) ---- */
struct allocation {
  char lease[ENGINE_ID_BYTES_MAX + 1], customer[ENGINE_ID_BYTES_MAX + 1], gpu[NVML_TEXT_MAX], digest[65];
  char mark[ID_TEXT_MAX + 32];
  enum engine_class class;
  quantity share;
  instant ends; /* as first asked for */
  char (*devices)[NVML_TEXT_MAX];
  size_t device_count;
  bool started, ended;
  instant noticed; /* when an allocation that has not started was first seen */
  struct process supervisor;
  instant from, to;
  enum engine_state state;
  int exit_status;
};
struct local {
  struct engine engine;
  char folder[PATH_MAX - 512], program[PATH_MAX], run_as[64], cgroup[PATH_MAX - 512], host[65];
  int lock;
  int64_t keep_s;
  struct local_gpus gpus;
  VEC(struct allocation *) all;
  struct map by_lease;
};
instant local_now(void); /* the real clock, whatever a test says */
void allocation_folder(const struct local *l, slice lease, char path[PATH_MAX]);
MUST_USE bool allocations_load(struct local *l, struct error *err);
void allocations_free(struct local *l);
struct allocation *allocation_add(struct local *l, const struct local_order *order);
MUST_USE bool allocation_withdraw(struct local *l, struct allocation *a, struct error *err);
/* Sees what became of one; of a supervisor that is gone without a word it writes the last word. */
MUST_USE bool allocation_look(struct local *l, struct allocation *a, struct error *err);
/* Looks at all, forgets those that ended long ago, and counts what is free of each GPU. */
MUST_USE bool allocations_look(struct local *l, struct error *err);

/* ---- starting (local_start.c) ---- */
bool local_start(struct engine *engine, struct arena *arena, const struct engine_request *request, slice *reference,
                 struct error *err);
slice local_reference(const struct local *l, const struct allocation *a, struct arena *arena);

/* ---- the command (local_command.c) ---- */
/* Starts it in a session of its own, as the order's user; with nothing of our environment. `*pid` 0: there is none.
 * ERR_INVALID says why it could not be started. */
MUST_USE bool command_start(const struct local_order *order, pid_t *pid, struct error *err);
MUST_USE bool command_group_make(const struct local_order *order, struct error *err); /* in cgroup v2, when asked for */
void command_group_kill(const struct local_order *order);
void command_group_remove(const struct local_order *order);
#endif
