/* Processes as the kernel tells of them: who one is beyond its number, who stands below one, and how they are ended. */
#ifndef METERHOUSE_SELL_PROCESSES_H
#define METERHOUSE_SELL_PROCESSES_H
#include "base/base.h"
#include <sys/types.h>

#define BOOT_ID_MAX 40
/* A number comes again; number, boot and moment of the start (in the kernel's ticks since boot) together do not. */
struct process {
  pid_t pid;
  uint64_t start_ticks;
  char boot[BOOT_ID_MAX];
};
MUST_USE bool process_self(struct process *out, struct error *err);
bool process_lives(const struct process *process);
/* Only to the very process: false when it is gone. */
bool process_signal(const struct process *process, int signal);

/* Sends to all that descend from this process, itself left out, also from those that left its process group. With
 * `who_catch` only to processes that handle the signal: others would die of it. */
void processes_signal_below(int signal, bool who_catch);
/* Kills every process whose environment holds `mark` ("NAME=VALUE"), itself left out; returns how many. */
size_t processes_kill_marked(slice mark);
#endif
