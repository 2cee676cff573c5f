/* The engine that is a Slurm cluster, used through its client programs (sbatch, scancel, scontrol, squeue, sinfo,
 * sacct, sacctmgr; 22.05 and later). What the cluster has to be set to is told in docs/slurm.md and checked by
 * slurm_check_settings. Of one engine's calls only one may be under way at a time. */
#ifndef METERHOUSE_SELL_SLURM_H
#define METERHOUSE_SELL_SLURM_H
#include "sell/engine.h"

/* Every text is copied by slurm_open. NULL and 0 mean the default in brackets. */
struct slurm_options {
  const char *programs;            /* folder of the client programs [/usr/bin] */
  const char *conf;                /* path of slurm.conf [the programs' own] */
  const char *cluster;             /* ClusterName; must be said */
  const char *partition;           /* where leases run [the cluster's default] */
  const char *user;                /* Unix user of all leases; must be said */
  const char *account_prefix;      /* in front of customers' accounts [""]: see slurm_account_name */
  const char *qos[ENGINE_CLASSES]; /* by class; a class without one is not sold here; at least one */
  bool requeues[ENGINE_CLASSES];   /* a run that was pre-empted or whose node died is started again by Slurm */
  const char *const *gpus;         /* GRES types there are, as in slurm.conf, ended by NULL [any] */
  const char *directory;           /* where a lease runs that says nothing [/tmp] */
  uint32_t cpus_each_gpu;          /* [1] */
  uint32_t memory_mb_each_gpu;     /* [1024]; always said to Slurm, which else gives all memory of a node to one job */
  int64_t timeout_ms;              /* of each program that is run [30 s] */
  int64_t heartbeat_ms;            /* how long a node's slurmd may take to answer nodes() [1 s] */
  int64_t look_back_s;             /* how far back start() looks whether it was submitted [90 days] */
};
/* Looks at the options alone; the cluster may be down. ERR_INVALID names the option. close() frees it. */
MUST_USE struct engine *slurm_open(const struct slurm_options *options, struct error *err);

/* What of the cluster's settings makes it unfit for selling is told one by one, each with what to write where. False:
 * it could not be asked. start() and runs() refuse with the first of them that touches money, until it is mended. */
MUST_USE bool slurm_check_settings(struct engine *engine, told *to, void *context, struct error *err);

/* What is particular to Slurm in the calls of engine.h.
 *
 * start: `reference` is CLUSTER/JOB. Asked again for a lease, it finds the job in the queue or in the accounting, and
 * submits nothing. After ERR_BUSY it is not known whether it was submitted: ask again. Slurm queues what has no room,
 * so a lease may be PENDING for long; ERR_LIMIT means that it could never run. A time limit two minutes behind `ends`
 * is there in case nobody calls stop; it is never the end that was sold. Where an account has a limit of GPU-minutes
 * and Slurm is set to `safe`, a lease that could overrun it waits: one without an end does so for ever.
 *
 * stop: notice is USR1 to the lease's shell, with the time limit behind it; call again without notice at the end.
 *
 * runs: `reference` is CLUSTER/JOB/SUBMITTED/ROW and unique; for what was started past us it is the key, and `number`
 * is 1. A lease is only believed of jobs of our own user. PENDING: from and to are INSTANT_MAX; a row that never held
 * anything is an empty span. FAILED is the cluster's doing (node, boot), ENDED with an exit status the customer's.
 * UNKNOWN: the accounting has no end for a job that Slurm does not know any more; `to` is when it was last known to
 * run, until the accounting is mended. `gpu` with several types in one job: "a100+h100". `class` is by QOS,
 * on_demand for one that is not in the options. Whole seconds. `exit_status` of what was cancelled may come later.
 *
 * nodes: `up` is what the node itself answers, asked at its slurmd's port, and what Slurm thinks of it. `down_since` is
 * when it last answered us; of a node that never did, when Slurm gave it up. Several types in one node are several
 * rows. Drained nodes answer, but hold nothing that could be sold: gpus is 0.
 *
 * admit: an account of the customer with our user in it, allowed all QOS of the options; the limit counts from now. */

/* The account of a customer: prefix, then letters a to z, digits and '-' as they are, each other byte as '_' and two
 * hexadecimal digits, because Slurm folds capitals and has no other characters. ERR_LIMIT: over 200 bytes. */
#define SLURM_ACCOUNT_BYTES_MAX 200
MUST_USE bool slurm_account_name(const char *prefix, slice customer, char account[SLURM_ACCOUNT_BYTES_MAX + 1],
                                 struct error *err);
/* Back again, in the arena; empty when no customer has such an account. */
slice slurm_account_customer(struct arena *arena, const char *prefix, slice account);
#endif
