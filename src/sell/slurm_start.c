/* Submits the job of a lease, once: looks in the queue and in the accounting before. */
#include "sell/slurm_private.h"

#define NODES_MAX 10000
#define GPUS_EACH_NODE_MAX 1024
#define NOTICE_S_MAX 65535 /* what --signal takes */

bool slurm_check_lease(slice lease, struct error *err) {
  bool good = lease.len > 0 && lease.len <= ENGINE_ID_BYTES_MAX;
  for (size_t i = 0; good && i < lease.len; i++) {
    char c = lease.ptr[i];
    good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (i && memchr("_-.", c, 3));
  }
  return good || error_set(err, ERR_INVALID, "a lease's id has up to %d letters, digits, '_', '-' and '.'",
                           ENGINE_ID_BYTES_MAX);
}

/* What gets into an argument of a program, as one line. */
static bool printable(slice text) {
  for (size_t i = 0; i < text.len; i++) {
    if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f) return false;
  }
  return true;
}

static bool check_gpu(const struct slurm *slurm, slice gpu, struct error *err) {
  const char *const *types = slurm->options.gpus;
  if (!gpu.len) return true;
  for (size_t i = 0; types[i]; i++) {
    if (slice_is(gpu, types[i])) return true;
  }
  if (types[0]) {
    return error_set(err, ERR_NOT_FOUND, "cluster %s has no GPUs of type " SLICE_FMT, slurm->options.cluster,
                     (int)(gpu.len < 40 ? gpu.len : 40), gpu.ptr);
  }
  for (size_t i = 0; i < gpu.len; i++) {
    char c = gpu.ptr[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || memchr("_-.", c, 3))) {
      return error_set(err, ERR_INVALID, "a type of GPU has letters, digits, '_', '-' and '.'");
    }
  }
  return gpu.len <= ENGINE_ID_BYTES_MAX || error_set(err, ERR_INVALID, "a type of GPU has up to 128 bytes");
}

static bool check_request(const struct slurm *slurm, const struct engine_request *r, struct error *err) {
  if (!slurm_check_lease(r->lease, err) || !check_gpu(slurm, r->gpu, err)) return false;
  must(r->class >= 0 && r->class < ENGINE_CLASSES);
  if (!slurm->options.qos[r->class]) {
    return error_set(err, ERR_NOT_FOUND, "cluster %s sells no %s: name a QOS for it", slurm->options.cluster,
                     engine_class_name(r->class));
  }
  if (r->gpus.e9 <= 0 || r->gpus.e9 % QUANTITY_E9 != 0 || r->gpus.e9 / QUANTITY_E9 > GPUS_EACH_NODE_MAX) {
    return error_set(err, ERR_INVALID,
                     "gpus: whole GPUs of each node, 1 to %d: a share of one is its own type in Slurm",
                     GPUS_EACH_NODE_MAX);
  }
  if (!r->nodes || r->nodes > NODES_MAX) return error_set(err, ERR_INVALID, "nodes: 1 to %d", NODES_MAX);
  if (r->notice_s < 0 || r->notice_s > NOTICE_S_MAX) {
    return error_set(err, ERR_INVALID, "notice: 0 to %d seconds", NOTICE_S_MAX);
  }
  if (r->command.len > SLURM_COMMAND_BYTES_MAX || (r->command.len && memchr(r->command.ptr, 0, r->command.len))) {
    return error_set(err, ERR_LIMIT, "command: up to %zu bytes, none of them zero", SLURM_COMMAND_BYTES_MAX);
  }
  if (r->directory.len && (r->directory.ptr[0] != '/' || r->directory.len > 1024 || !printable(r->directory))) {
    return error_set(err, ERR_INVALID, "directory: an absolute path of up to 1024 bytes");
  }
  return r->ends.ns > clock_now().ns || error_set(err, ERR_INVALID, "the end of the lease has passed");
}

const char *slurm_time_limit(struct arena *arena, instant from, instant ends) {
  if (ends.ns == INSTANT_MAX.ns) return "UNLIMITED";
  int64_t seconds = ends.ns > from.ns ? (ends.ns - from.ns + NS_PER_S - 1) / NS_PER_S : 0;
  return arena_printf(arena, "%lld", (long long)((seconds + SLURM_TIME_LIMIT_MARGIN_S + 59) / 60));
}

/* The number of the job that accounting has under the lease, 0 for none. */
static bool find_accounted(struct slurm *slurm, struct arena *arena, slice lease, uint64_t *job, struct error *err) {
  struct slurm_arguments selection = {0};
  instant now = clock_now();
  int64_t back_ns = slurm->options.look_back_s > now.ns / NS_PER_S ? 0 : now.ns - slurm->options.look_back_s * NS_PER_S;
  struct civil c = time_civil_utc((instant){back_ns});
  struct slurm_row *rows = NULL;
  size_t count = 0;
  slurm_argument(&selection, arena_printf(arena, "--starttime=%04d-%02d-%02d", c.year, c.month, c.day));
  slurm_argument(&selection, arena_printf(arena, "--name=" SLURM_JOB_NAME SLICE_FMT, SLICE_ARG(lease)));
  slurm_argument(&selection, arena_printf(arena, "--user=%s", slurm->options.user));
  if (!slurm_ask_rows(slurm, arena, &selection, &rows, &count, err)) return false;
  for (size_t i = 0; i < count && !*job; i++) {
    if (slice_eq(slurm_row_lease(&rows[i], slurm->options.user), lease)) *job = rows[i].job;
  }
  return true;
}

static bool find_job(struct slurm *slurm, struct arena *arena, slice lease, uint64_t *job, struct error *err) {
  struct slurm_job *jobs = NULL;
  size_t count = 0;
  *job = 0;
  if (!slurm_jobs_of(slurm, arena, lease, &jobs, &count, err)) return false;
  if (count) *job = jobs[0].id;
  return count || find_accounted(slurm, arena, lease, job, err);
}

/* Slurm reads options in a script's comments up to its first command: that is ours, so a customer's text sets none. It
 * also keeps USR1, which tells of a coming end, from ending a command that does not listen for it. */
static const char *script(struct arena *arena, slice command) {
  if (!command.len) return "trap '' USR1\nexec sleep infinity\n";
  return arena_printf(arena, "trap : USR1\n" SLICE_FMT "\n", SLICE_ARG(command));
}

static void add_shape(struct slurm *slurm, struct arena *arena, const struct engine_request *r,
                      struct slurm_arguments *to) {
  unsigned gpus = (unsigned)(r->gpus.e9 / QUANTITY_E9);
  slurm_argument(to, arena_printf(arena, "--nodes=%u", r->nodes));
  slurm_argument(to, "--ntasks-per-node=1");
  slurm_argument(to,
                 arena_printf(arena, "--cpus-per-task=%llu", (unsigned long long)slurm->options.cpus_each_gpu * gpus));
  slurm_argument(to, arena_printf(arena, "--mem=%lluM", (unsigned long long)slurm->options.memory_mb_each_gpu * gpus));
  slurm_argument(to, r->gpu.len ? arena_printf(arena, "--gres=gpu:" SLICE_FMT ":%u", SLICE_ARG(r->gpu), gpus)
                                : arena_printf(arena, "--gres=gpu:%u", gpus));
}

static bool submit(struct slurm *slurm, struct arena *arena, const struct engine_request *r, uint64_t *job,
                   struct error *err) {
  struct slurm_arguments a = {0};
  const struct slurm_options *o = &slurm->options;
  char account[SLURM_ACCOUNT_BYTES_MAX + 1];
  if (!slurm_account_name(o->account_prefix, r->customer, account, err)) return false;
  slurm_argument(&a, "--parsable");
  slurm_argument(&a, arena_printf(arena, "--account=%s", account));
  slurm_argument(&a, arena_printf(arena, "--qos=%s", o->qos[r->class]));
  slurm_argument(&a, arena_printf(arena, "--job-name=" SLURM_JOB_NAME SLICE_FMT, SLICE_ARG(r->lease)));
  slurm_argument(&a, arena_printf(arena, "--comment=" SLICE_FMT, SLICE_ARG(r->lease)));
  slurm_argument(&a, arena_printf(arena, "--time=%s", slurm_time_limit(arena, clock_now(), r->ends)));
  slurm_argument(&a, o->requeues[r->class] ? "--requeue" : "--no-requeue");
  slurm_argument(&a, "--export=PATH,HOME");
  slurm_argument(&a, "--open-mode=append");
  slurm_argument(&a, r->directory.len ? "--output=slurm-%j.out" : "--output=/dev/null");
  slurm_argument(&a, r->directory.len ? arena_printf(arena, "--chdir=" SLICE_FMT, SLICE_ARG(r->directory))
                                      : arena_printf(arena, "--chdir=%s", o->directory));
  if (o->partition) slurm_argument(&a, arena_printf(arena, "--partition=%s", o->partition));
  if (r->notice_s) slurm_argument(&a, arena_printf(arena, "--signal=B:USR1@%lld", (long long)r->notice_s));
  add_shape(slurm, arena, r, &a);
  slurm_argument(&a, arena_printf(arena, "--wrap=%s", script(arena, r->command)));
  slice out = {NULL, 0};
  if (!slurm_ask(slurm, arena, "sbatch", &a, &out, err)) return false;
  slice rest = slice_trim(out); /* "1234" or "1234;cluster" */
  return slurm_number(slurm_until(&rest, ';'), INT64_MAX, job) ||
         error_set(err, ERR_CORRUPT, "sbatch did not answer with a job's number");
}

bool slurm_start(struct engine *engine, struct arena *arena, const struct engine_request *request, slice *reference,
                 struct error *err) {
  struct slurm *slurm = (struct slurm *)engine;
  uint64_t job = 0;
  if (!check_request(slurm, request, err) || !slurm_fit(slurm, err) ||
      !find_job(slurm, arena, request->lease, &job, err)) {
    return false;
  }
  if (!job && !submit(slurm, arena, request, &job, err)) {
    return error_at(err, "lease " SLICE_FMT, SLICE_ARG(request->lease));
  }
  *reference = slice_of(arena_printf(arena, "%s/%llu", slurm->options.cluster, (unsigned long long)job));
  return true;
}
