/* What was delivered: rows of the accounting as runs, each lease's numbered from its first, open ones held against what
 * Slurm itself knows. */
#include "sell/slurm_private.h"
#include <stdlib.h>

#define IDS_EACH_ASK 1000

struct gathering {
  struct slurm *slurm;
  struct arena *arena;
  instant since;
  VEC(struct slurm_row) rows;
};

static int by_job(const void *a, const void *b) {
  const struct slurm_row *x = a, *y = b;
  if (x->job != y->job) return x->job < y->job ? -1 : 1;
  if (x->submitted.ns != y->submitted.ns) return x->submitted.ns < y->submitted.ns ? -1 : 1;
  return x->row < y->row ? -1 : x->row > y->row;
}

static bool ask_since(struct gathering *g, instant since, const char *jobs, struct slurm_row **rows, size_t *count,
                      struct error *err) {
  struct slurm_arguments selection = {0};
  struct civil c = time_civil_utc(since);
  slurm_argument(&selection, arena_printf(g->arena, "--starttime=%04d-%02d-%02dT%02d:%02d:%02d", c.year, c.month, c.day,
                                          c.hour, c.minute, c.second));
  slurm_argument(&selection, jobs ? arena_printf(g->arena, "--jobs=%s", jobs) : "--allusers");
  if (!slurm_ask_rows(g->slurm, g->arena, &selection, rows, count, err)) return false;
  for (size_t i = 0; i < *count; i++) (*rows)[i].lease = slurm_row_lease(&(*rows)[i], g->slurm->options.user);
  return true;
}

/* All rows of the jobs that hold leases, however old: the number of a run must not depend on what was asked. */
static bool complete_leases(struct gathering *g, const struct slurm_row *rows, size_t count, struct map *leases,
                            struct error *err) {
  uint64_t last = UINT64_MAX;
  for (size_t i = 0; i < count;) {
    struct buf ids;
    buf_init(&ids, (size_t)IDS_EACH_ASK * 24);
    for (size_t asked = 0; i < count && asked < IDS_EACH_ASK; i++) {
      slice lease = rows[i].lease;
      if (!lease.len || rows[i].job == last) continue;
      *map_put(leases, lease) = g;
      last = rows[i].job;
      buf_addf(&ids, "%s%llu", asked++ ? "," : "", (unsigned long long)last);
    }
    struct slurm_row *more = NULL;
    size_t more_count = 0;
    const char *list = arena_copy(g->arena, buf_slice(&ids)).ptr;
    bool any = ids.len > 0;
    buf_free(&ids);
    if (any && !ask_since(g, (instant){0}, list, &more, &more_count, err)) return false;
    for (size_t j = 0; j < more_count; j++) {
      slice lease = more[j].lease;
      if (lease.len && map_get(leases, lease)) vec_push(&g->rows, more[j]);
    }
  }
  return true;
}

static bool gather(struct gathering *g, struct error *err) {
  struct slurm_row *rows = NULL;
  size_t count = 0;
  if (!ask_since(g, g->since, NULL, &rows, &count, err)) return false;
  qsort(rows, count, sizeof *rows, by_job);
  struct map leases = {0};
  bool done = complete_leases(g, rows, count, &leases, err);
  for (size_t i = 0; done && i < count; i++) {
    slice lease = rows[i].lease;
    if (!lease.len || !map_get(&leases, lease)) vec_push(&g->rows, rows[i]);
  }
  map_free(&leases);
  return done;
}

static int by_id(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

struct known {
  uint64_t *ids;
  size_t count;
};

/* The jobs that Slurm knows, its ended ones of the last minutes included. */
static bool ask_known(struct gathering *g, struct known *known, struct error *err) {
  struct slurm_arguments arguments = {0};
  const char *const words[] = {"--noheader", "--all", "--array", "--states=all", "--format=%A"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) slurm_argument(&arguments, words[i]);
  slice out = {NULL, 0}, line;
  if (!slurm_ask(g->slurm, g->arena, "squeue", &arguments, &out, err)) return false;
  size_t lines = 0;
  for (size_t i = 0; i < out.len; i++) lines += out.ptr[i] == '\n';
  known->ids = arena_array(g->arena, lines + 1, sizeof *known->ids);
  while (slurm_line(&out, &line)) {
    uint64_t id;
    if (!slurm_number(slice_trim(line), INT64_MAX, &id))
      return error_set(err, ERR_CORRUPT, "squeue: not a job's number");
    known->ids[known->count++] = id;
  }
  if (known->count) qsort(known->ids, known->count, sizeof *known->ids, by_id);
  return true;
}

static bool is_open(const struct slurm_row *row) {
  return row->allocated && row->to.ns == INSTANT_MAX.ns && row->from.ns != INSTANT_MAX.ns;
}

static int by_row(const void *a, const void *b) {
  const struct slurm_open_row *x = a, *y = b;
  return x->row < y->row ? -1 : x->row > y->row;
}

static instant seen_before(const struct slurm *slurm, uint64_t row, instant otherwise) {
  struct slurm_open_row key = {.row = row};
  const struct slurm_open_row *found =
      slurm->open_rows.count ? bsearch(&key, slurm->open_rows.items, slurm->open_rows.count, sizeof key, by_row) : NULL;
  return found ? found->last_seen : otherwise;
}

/* A row without an end whose job Slurm has forgotten, or started anew: the end was lost on the way to the accounting.
 * What is said then is the least that is certain. Rows are in order of by_job. */
static bool end_runaways(struct gathering *g, struct error *err) {
  struct slurm *slurm = g->slurm;
  struct known known = {0};
  instant now = clock_now();
  if (!ask_known(g, &known, err)) return false;
  __typeof__(slurm->open_rows) still = {0};
  for (size_t i = 0; i < g->rows.count; i++) {
    struct slurm_row *row = &g->rows.items[i];
    if (!is_open(row)) continue;
    const struct slurm_row *later = i + 1 < g->rows.count && row[1].job == row->job ? row + 1 : NULL;
    struct slurm_open_row seen = {row->row, seen_before(slurm, row->row, row->from)};
    if (later || !known.count || !bsearch(&row->job, known.ids, known.count, sizeof row->job, by_id)) {
      row->to = time_later(row->from, later ? time_earlier(later->submitted, seen.last_seen) : seen.last_seen);
      row->state = SLICE("UNKNOWN");
    } else {
      seen.last_seen = time_later(now, row->from);
    }
    vec_push(&still, seen);
  }
  if (still.count) qsort(still.items, still.count, sizeof *still.items, by_row);
  vec_free(&slurm->open_rows);
  memcpy(&slurm->open_rows, &still, sizeof still);
  return true;
}

static enum engine_class class_of(const struct slurm *slurm, slice qos) {
  for (int i = 0; i < ENGINE_CLASSES; i++) {
    if (slurm->options.qos[i] && slice_is(qos, slurm->options.qos[i])) return (enum engine_class)i;
  }
  return CLASS_ON_DEMAND;
}

static void set_span(struct engine_run *run, const struct slurm_row *row) {
  bool began = row->allocated && row->from.ns != INSTANT_MAX.ns;
  run->from = row->from;
  run->to = row->to;
  if (run->state == ENGINE_PENDING) {
    run->from = run->to = INSTANT_MAX;
  } else if (!began) {
    instant at = row->to.ns != INSTANT_MAX.ns ? row->to : row->submitted;
    run->from = run->to = at;
  } else if (run->to.ns < run->from.ns) {
    run->to = run->from;
  }
}

static struct engine_run run_of(struct gathering *g, const struct slurm_row *row) {
  const struct slurm *slurm = g->slurm;
  struct engine_run run = {
      .lease = row->lease,
      .customer = slurm_account_customer(g->arena, slurm->options.account_prefix, row->account),
      .number = 1,
      .class = class_of(slurm, row->qos),
      .gpu = row->gpu,
      .pool_hint = row->partition,
      .gpus = {(int128)row->gpus * QUANTITY_E9},
      .suspended_s = row->suspended_s,
      .state = slurm_state(row->state),
      .exit_status = row->exit_status,
      .nodes = row->nodes,
  };
  run.reference = slice_of(arena_printf(g->arena, SLICE_FMT "/%llu/%lld/%llu", SLICE_ARG(row->cluster),
                                        (unsigned long long)row->job, (long long)(row->submitted.ns / NS_PER_S),
                                        (unsigned long long)row->row));
  if (!run.gpu.len && slurm->options.gpus[0] && !slurm->options.gpus[1]) run.gpu = slice_of(slurm->options.gpus[0]);
  set_span(&run, row);
  return run;
}

/* By lease, which the name begins with for all of them; then as they were submitted. */
static int by_lease(const void *a, const void *b) {
  const struct slurm_row *x = a, *y = b;
  int order = slice_cmp(x->name, y->name);
  if (order) return order;
  if (x->submitted.ns != y->submitted.ns) return x->submitted.ns < y->submitted.ns ? -1 : 1;
  return x->row < y->row ? -1 : x->row > y->row;
}

static void tell_runs(struct gathering *g, struct engine_run **runs, size_t *count) {
  qsort(g->rows.items, g->rows.count, sizeof *g->rows.items, by_lease);
  *runs = arena_array(g->arena, g->rows.count + 1, sizeof **runs);
  *count = 0;
  slice lease = {NULL, 0};
  uint32_t number = 0;
  for (size_t i = 0; i < g->rows.count; i++) {
    const struct slurm_row *row = &g->rows.items[i];
    struct engine_run run = run_of(g, row);
    if (!row->gpus) continue;
    if (run.lease.len) {
      number = slice_eq(lease, run.lease) ? number + 1 : 1;
      lease = run.lease;
      run.number = number;
    }
    if (run.to.ns >= g->since.ns) (*runs)[(*count)++] = run;
  }
}

bool slurm_runs(struct engine *engine, struct arena *arena, instant since, struct engine_run **runs, size_t *count,
                struct error *err) {
  struct gathering g = {.slurm = (struct slurm *)engine, .arena = arena, .since = since};
  g.since.ns = since.ns < 0 ? 0 : time_earlier(since, clock_now()).ns;
  bool done = slurm_fit(g.slurm, err) && gather(&g, err);
  if (done && g.rows.count) {
    qsort(g.rows.items, g.rows.count, sizeof *g.rows.items, by_job);
    done = end_runaways(&g, err);
  }
  *runs = NULL;
  *count = 0;
  if (done && g.rows.count) tell_runs(&g, runs, count);
  vec_free(&g.rows);
  return done;
}
