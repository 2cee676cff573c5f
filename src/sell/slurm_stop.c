/* Ends the jobs of a lease, or moves their end. */
#include "sell/slurm_private.h"

bool slurm_job_goes_on(slice state) {
  enum engine_state s = slurm_state(state);
  return (s == ENGINE_PENDING || s == ENGINE_RUNNING || s == ENGINE_UNKNOWN) && !slice_is(state, "COMPLETING");
}

bool slurm_jobs_of(struct slurm *slurm, struct arena *arena, slice lease, struct slurm_job **jobs, size_t *count,
                   struct error *err) {
  struct slurm_arguments arguments = {0};
  slurm_argument(&arguments, "--noheader");
  slurm_argument(&arguments, "--all");
  slurm_argument(&arguments, "--states=all");
  slurm_argument(&arguments, arena_printf(arena, "--user=%s", slurm->options.user));
  slurm_argument(&arguments, arena_printf(arena, "--name=" SLURM_JOB_NAME SLICE_FMT, SLICE_ARG(lease)));
  slurm_argument(&arguments, "--format=%A|%T|%S");
  slice out = {NULL, 0}, line;
  if (!slurm_ask(slurm, arena, "squeue", &arguments, &out, err)) return false;
  size_t lines = 0;
  for (size_t i = 0; i < out.len; i++) lines += out.ptr[i] == '\n';
  *jobs = arena_array(arena, lines + 1, sizeof **jobs);
  *count = 0;
  while (slurm_line(&out, &line)) {
    struct slurm_job job = {0};
    slice rest = slice_trim(line);
    bool good = slurm_number(slurm_until(&rest, '|'), INT64_MAX, &job.id);
    job.state = slurm_until(&rest, '|');
    if (!good || !slurm_instant(rest, &job.from)) return error_set(err, ERR_CORRUPT, "squeue: not a job's row");
    if (slice_is(job.state, "PENDING")) job.from = INSTANT_MAX; /* only foreseen */
    (*jobs)[(*count)++] = job;
  }
  return true;
}

static const char *id_text(struct arena *arena, const struct slurm_job *job) {
  return arena_printf(arena, "%llu", (unsigned long long)job->id);
}

static bool limit_time(struct slurm *slurm, struct arena *arena, const struct slurm_job *job, instant ends,
                       struct error *err) {
  struct slurm_arguments arguments = {0};
  slice out;
  instant from = job->from.ns == INSTANT_MAX.ns ? clock_now() : job->from;
  slurm_argument(&arguments, "update");
  slurm_argument(&arguments, arena_printf(arena, "JobId=%s", id_text(arena, job)));
  slurm_argument(&arguments, arena_printf(arena, "TimeLimit=%s", slurm_time_limit(arena, from, ends)));
  return slurm_ask(slurm, arena, "scontrol", &arguments, &out, err);
}

static bool give_notice(struct slurm *slurm, struct arena *arena, const struct slurm_job *job, int64_t notice_s,
                        struct error *err) {
  struct slurm_arguments arguments = {0};
  slice out;
  slurm_argument(&arguments, "--batch");
  slurm_argument(&arguments, "--signal=USR1");
  slurm_argument(&arguments, id_text(arena, job));
  return slurm_ask(slurm, arena, "scancel", &arguments, &out, err) &&
         limit_time(slurm, arena, job, (instant){clock_now().ns + notice_s * NS_PER_S}, err);
}

static bool cancel(struct slurm *slurm, struct arena *arena, const struct slurm_job *job, struct error *err) {
  struct slurm_arguments arguments = {0};
  slice out;
  slurm_argument(&arguments, id_text(arena, job));
  return slurm_ask(slurm, arena, "scancel", &arguments, &out, err);
}

/* It may have ended by itself while it was asked to. */
static bool has_ended(struct slurm *slurm, struct arena *arena, slice lease, uint64_t id) {
  struct slurm_job *jobs = NULL;
  size_t count = 0;
  struct error err = {0};
  if (!slurm_jobs_of(slurm, arena, lease, &jobs, &count, &err)) return false;
  for (size_t i = 0; i < count; i++) {
    if (jobs[i].id == id && slurm_job_goes_on(jobs[i].state)) return false;
  }
  return true;
}

bool slurm_stop(struct engine *engine, slice lease, int64_t notice_s, struct error *err) {
  struct slurm *slurm = (struct slurm *)engine;
  if (notice_s < 0 || notice_s > 86400) return error_set(err, ERR_INVALID, "notice: 0 to 86400 seconds");
  if (!slurm_check_lease(lease, err)) return false;
  struct arena *arena = arena_new();
  struct slurm_job *jobs = NULL;
  size_t count = 0;
  bool done = slurm_jobs_of(slurm, arena, lease, &jobs, &count, err);
  for (size_t i = 0; done && i < count; i++) {
    if (!slurm_job_goes_on(jobs[i].state)) continue;
    bool hears = notice_s > 0 && slurm_state(jobs[i].state) == ENGINE_RUNNING;
    done = (hears ? give_notice(slurm, arena, &jobs[i], notice_s, err) : cancel(slurm, arena, &jobs[i], err)) ||
           has_ended(slurm, arena, lease, jobs[i].id);
  }
  arena_free(arena);
  return done || error_at(err, "lease " SLICE_FMT, SLICE_ARG(lease));
}

bool slurm_set_end(struct engine *engine, slice lease, instant ends, struct error *err) {
  struct slurm *slurm = (struct slurm *)engine;
  if (!slurm_check_lease(lease, err)) return false;
  struct arena *arena = arena_new();
  struct slurm_job *jobs = NULL;
  size_t count = 0, moved = 0;
  bool done = slurm_jobs_of(slurm, arena, lease, &jobs, &count, err);
  for (size_t i = 0; done && i < count; i++) {
    if (!slurm_job_goes_on(jobs[i].state)) continue;
    done = limit_time(slurm, arena, &jobs[i], ends, err);
    moved++;
  }
  if (done && !moved) done = error_set(err, ERR_NOT_FOUND, "there is no job of it that has not ended");
  arena_free(arena);
  return done || error_at(err, "lease " SLICE_FMT, SLICE_ARG(lease));
}
