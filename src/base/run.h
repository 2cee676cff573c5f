/* Runs another program and waits for it: no shell, no inherited environment or files, bounded in time and output. */
#ifndef METERHOUSE_BASE_RUN_H
#define METERHOUSE_BASE_RUN_H
#include "base/base.h"

struct run_command {
  const char *program;            /* its path; nothing is searched */
  const char *const *arguments;   /* those after its name; NULL ends them */
  const char *const *environment; /* "NAME=value"; all that it gets; NULL ends them */
  int64_t timeout_ms;
  size_t output_bytes_max; /* of what it prints to either side */
};
struct run_result {
  int status; /* its exit status; 128 and the signal when one ended it */
  slice out, err;
};
/* True: it ran and ended, whatever its status. It has a process group of its own, which is killed when it ends, when it
 * takes too long (ERR_BUSY), prints too much (ERR_LIMIT), or when the calling thread dies, so that nothing it was asked
 * to do happens later. ERR_IO: it could not be started. What it printed is in the arena. */
MUST_USE bool run_program(struct arena *arena, const struct run_command *command, struct run_result *out,
                          struct error *err);
#endif
