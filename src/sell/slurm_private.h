/* Inside the Slurm engine: its state, how its programs are asked, and the parsers of what they print. */
#ifndef METERHOUSE_SELL_SLURM_PRIVATE_H
#define METERHOUSE_SELL_SLURM_PRIVATE_H
#include "base/hash.h"
#include "sell/slurm.h"

#define SLURM_OUTPUT_BYTES_MAX ((size_t)256 << 20)
#define SLURM_ARGUMENTS_MAX 48
#define SLURM_GPUS_MAX 1000000
#define SLURM_NODES_MAX 100000
#define SLURM_COMMAND_BYTES_MAX ((size_t)64 << 10)
#define SLURM_TIME_LIMIT_MARGIN_S 120

/* A row of the accounting that has no end: when Slurm itself was last seen to know of it. */
struct slurm_open_row {
  uint64_t row;
  instant last_seen;
};
/* What we know of a node by asking it ourselves. */
struct slurm_pulse {
  instant last_answer; /* ns 0: never */
};
struct slurm {
  struct engine engine; /* first: an engine is one of these */
  struct arena *arena;  /* of the options, and of names that stay */
  struct slurm_options options;
  const char *environment[8];
  bool settings_fit;
  VEC(struct slurm_open_row) open_rows; /* by row */
  struct map pulses;                    /* struct slurm_pulse by the node's name */
};

/* ---- asking (slurm_ask.c) ---- */
struct slurm_arguments {
  const char *items[SLURM_ARGUMENTS_MAX + 1];
  size_t count;
};
void slurm_argument(struct slurm_arguments *to, const char *argument);
/* Runs one of the client programs; what it printed, when it ended well. What it complained of becomes an error:
 * ERR_BUSY when the cluster did not answer, ERR_LIMIT, ERR_DENIED, ERR_NOT_FOUND (account), else ERR_IO with its words.
 */
MUST_USE bool slurm_ask(struct slurm *slurm, struct arena *arena, const char *program,
                        const struct slurm_arguments *arguments, slice *out, struct error *err);
enum error_code slurm_complaint(slice words);
/* Reads digits alone; false beyond `max`. */
MUST_USE bool slurm_number(slice text, uint64_t max, uint64_t *out);
/* The next line of `rest`, without its end; false when there is none. */
bool slurm_line(slice *rest, slice *line);
/* Text up to the first `separator` of `rest`, which goes on behind it; all of it when there is none. */
slice slurm_until(slice *rest, char separator);
/* Seconds since 1970, as SLURM_TIME_FORMAT=%s makes all programs print; INSTANT_MAX for what is not known yet. */
MUST_USE bool slurm_instant(slice text, instant *out);

/* ---- rows of the accounting (slurm_rows.c) ---- */
struct slurm_row {
  uint64_t row, job;
  slice cluster, user, account, qos, partition, state, nodes, name, comment, gpu;
  slice lease; /* set by who asks, from slurm_row_lease */
  uint64_t gpus;
  bool allocated;
  instant submitted, from, to;
  int64_t suspended_s;
  int exit_status;
};
extern const char slurm_row_fields[]; /* what sacct is asked for, in this order */
/* `separator` is not to be guessed, so that no text of a customer's can end a field or begin a row. ERR_CORRUPT names
 * row and field. */
MUST_USE bool slurm_parse_rows(struct arena *arena, slice out, slice separator, struct slurm_row **rows, size_t *count,
                               struct error *err);
/* "billing=2,gres/gpu:h100=2,gres/gpu=2": each GPU once, though it is said twice. False: not such a list. */
MUST_USE bool slurm_parse_tres(struct arena *arena, slice text, uint64_t *gpus, slice *gpu);
/* "[DD-]HH:MM:SS" or "MM:SS" */
MUST_USE bool slurm_parse_elapsed(slice text, int64_t *seconds);
enum engine_state slurm_state(slice state);
/* The lease that a row is of, empty for none: by its name while it goes on, since the accounting has a job's comment
 * only from its end, and by both from then on. Only our own user's jobs are believed, since anyone may write anything.
 */
slice slurm_row_lease(const struct slurm_row *row, const char *user);
#define SLURM_JOB_NAME "meterhouse-" /* and the lease */
/* Asks sacct with a separator of its own; `selection` comes before the fields. */
MUST_USE bool slurm_ask_rows(struct slurm *slurm, struct arena *arena, const struct slurm_arguments *selection,
                             struct slurm_row **rows, size_t *count, struct error *err);

/* ---- jobs of a lease (slurm_start.c, slurm_stop.c) ---- */
MUST_USE bool slurm_check_lease(slice lease, struct error *err);
struct slurm_job {
  uint64_t id;
  slice state;
  instant from; /* INSTANT_MAX: it has not begun */
};
/* Those that Slurm still knows, by squeue. */
MUST_USE bool slurm_jobs_of(struct slurm *slurm, struct arena *arena, slice lease, struct slurm_job **jobs,
                            size_t *count, struct error *err);
bool slurm_job_goes_on(slice state);
/* "UNLIMITED" or whole minutes from `from` on, with the margin. */
const char *slurm_time_limit(struct arena *arena, instant from, instant ends);

/* ---- nodes (slurm_nodes.c, slurm_heartbeat.c) ---- */
struct slurm_node {
  slice name, address, state, gres;
  uint16_t port;
  instant reason_at; /* INSTANT_MAX: none */
  bool answers;
};
MUST_USE bool slurm_parse_nodes(struct arena *arena, slice out, struct slurm_node **nodes, size_t *count,
                                struct error *err);
/* Sets `answers` by connecting to each; those whose name can not be resolved do not. */
void slurm_ask_pulses(struct slurm_node *nodes, size_t count, int64_t timeout_ms);

/* ---- the driver's calls ---- */
bool slurm_start(struct engine *engine, struct arena *arena, const struct engine_request *request, slice *reference,
                 struct error *err);
bool slurm_stop(struct engine *engine, slice lease, int64_t notice_s, struct error *err);
bool slurm_set_end(struct engine *engine, slice lease, instant ends, struct error *err);
bool slurm_runs(struct engine *engine, struct arena *arena, instant since, struct engine_run **runs, size_t *count,
                struct error *err);
bool slurm_nodes(struct engine *engine, struct arena *arena, struct engine_node **nodes, size_t *count,
                 struct error *err);
bool slurm_admit(struct engine *engine, slice customer, int64_t gpu_minutes, struct error *err);
/* Unfit for money until settings are mended: looked at once. */
MUST_USE bool slurm_fit(struct slurm *slurm, struct error *err);
/* GPU-minutes that an account has used up of its limit, from `scontrol show assoc_mgr`. */
MUST_USE bool slurm_parse_used(slice out, slice cluster, slice account, uint64_t *minutes, struct error *err);
#endif
