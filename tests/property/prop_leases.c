/* Leases under random quotes, takes, extensions and ends, engine rows in any order and again, batches that are undone
 * and books that are opened anew, beside a naive model: what the meter has is what the engine's rows say, nothing is
 * sold twice, each lease is in the one state it should be in. SEED and CASES may be set. */
#include "base/hash.h"
#include <stdio.h>
#include <stdlib.h>

static uint64_t seed_now;
#define HOLDS(condition, ...)                                                                                          \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "SEED=%llu step %d: ", (unsigned long long)seed_now, step_now);                                  \
      fprintf(stderr, __VA_ARGS__);                                                                                    \
      fprintf(stderr, " (%s, line %d)\n", #condition, __LINE__);                                                       \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)
static int step_now;

static void done(bool ok, const struct error *err) {
  HOLDS(ok, "%s", err->message);
}

#include "../unit/lease_world.h"

#define STEPS 120
#define LEASES_MAX 64
#define RUNS_MAX 200
#define CAPACITY 8
#define SPARE 1 /* of spot */
#define FOREVER INT64_MAX

struct model_lease {
  char id[ID_TEXT_MAX], quote[ID_TEXT_MAX];
  enum pool_class class;
  enum lease_state state; /* as it should be once all rows are told */
  int64_t units, from, to, expires;
  bool direct, again; /* ran again after it was over: is there whether there is room or not */
};
struct model_run {
  int lease;
  uint32_t number, seen;              /* seen: place in the order in which they were told, 0: not yet */
  int64_t units, from, to, suspended; /* to FOREVER: runs */
  enum engine_state state;
  char reference[24];
};
static struct {
  struct world *w;
  struct random rng;
  int64_t now; /* s */
  struct model_lease leases[LEASES_MAX];
  struct model_run runs[RUNS_MAX];
  int lease_count, run_count;
  int ended, requeued, refused, quoted;
} m;

static int64_t below(int64_t bound) {
  return (int64_t)random_below(&m.rng, (uint64_t)bound);
}
static instant at_s(int64_t s) {
  return s == FOREVER ? INSTANT_MAX : (instant){s * NS_PER_S};
}
static instant now_at(void) {
  return at_s(m.now);
}

/* ---- what the model says ---- */

static bool holds_at(const struct model_lease *l, int64_t t) {
  return l->from <= t && t < l->to;
}

/* Everybody who may be in the calendar. */
static int64_t held_at(int64_t t, bool certain) {
  int64_t sum = 0;
  for (int i = 0; i < m.lease_count; i++) {
    const struct model_lease *l = &m.leases[i];
    sum += holds_at(l, t) && !(certain && (l->again || l->direct)) ? l->units : 0;
  }
  return sum;
}

/* The most held over a span: it is reached where one begins. */
static int64_t most_held(int64_t from, int64_t to, bool certain) {
  int64_t most = held_at(from, certain);
  for (int i = 0; i < m.lease_count; i++) {
    const int64_t t = m.leases[i].from;
    if (t > from && t < to && held_at(t, certain) > most) {
      most = held_at(t, certain);
    }
  }
  return most;
}

static const struct model_run *last_run(int lease) {
  const struct model_run *last = NULL;
  for (int i = 0; i < m.run_count; i++) {
    const struct model_run *r = &m.runs[i];
    if (r->lease == lease && (last == NULL || r->from > last->from)) {
      last = r;
    }
  }
  return last;
}

/* Units x seconds of one lease, its minimum with it. */
static int64_t model_seconds(int lease) {
  const struct model_run *last = last_run(lease);
  int64_t sum = 0, units_sum = 0;
  bool open = false;
  for (int i = 0; i < m.run_count; i++) {
    const struct model_run *r = &m.runs[i];
    if (r->lease == lease) {
      const int64_t length = (r->to == FOREVER ? m.now : r->to - r->suspended) - r->from;
      open = open || r->to == FOREVER;
      sum += length;
      units_sum += length * r->units;
    }
  }
  const bool minimum = last && last->state == ENGINE_ENDED && !open && !m.leases[lease].direct &&
                       m.leases[lease].class == POOL_ON_DEMAND && sum > 0 && sum < 60;
  if (!minimum) {
    return units_sum;
  }
  int64_t filled = last->to - last->suspended + 60 - sum; /* what is not over yet is not metered yet */
  filled = filled < m.now ? filled : m.now;
  return units_sum + (filled - (last->to - last->suspended)) * last->units;
}

static void check(void) {
  int64_t sum = 0;
  for (int i = 0; i < m.lease_count; i++) {
    struct arena *arena = arena_new();
    struct error err = {0};
    struct lease l;
    sum += model_seconds(i);
    done(lease_find(book_db(m.w->book), arena, slice_of(m.leases[i].id), &l, &err), &err);
    HOLDS(l.state == m.leases[i].state, "lease %d (%s) is %s, not %s", i, m.leases[i].id, lease_state_name(l.state),
          lease_state_name(m.leases[i].state));
    HOLDS(most_held(m.leases[i].from, m.leases[i].from + 1, true) <= CAPACITY, "sold twice at %lld",
          (long long)m.leases[i].from);
    arena_free(arena);
  }
  const quantity metered = world_metered(m.w, "beta");
  HOLDS(metered.e9 == sum * QUANTITY_E9, "the meter has %lld s, the engine said %lld",
        (long long)(metered.e9 / QUANTITY_E9), (long long)sum);
}

/* ---- what the engine tells ---- */

static struct engine_run row_of(const struct model_run *r, bool stale) {
  const struct model_lease *l = &m.leases[r->lease];
  return (struct engine_run){.lease = l->direct ? (slice){0} : slice_of(l->id),
                             .customer = SLICE("beta"),
                             .reference = slice_of(r->reference),
                             .number = r->number,
                             .class = (enum engine_class)l->class,
                             .gpu = SLICE("h100"),
                             .gpus = {r->units * QUANTITY_E9},
                             .from = at_s(r->from),
                             .to = stale ? INSTANT_MAX : at_s(r->to),
                             .suspended_s = r->to == FOREVER || stale ? 0 : r->suspended,
                             .state = stale ? ENGINE_RUNNING : r->state};
}

static void note_direct(void *context, const struct lease *l) {
  (void)context;
  for (int i = 0; i < m.lease_count; i++) {
    for (int r = 0; r < m.run_count && m.leases[i].direct && m.leases[i].id[0] == '\0'; r++) {
      if (m.runs[r].lease == i && slice_is(l->reference, m.runs[r].reference)) {
        snprintf(m.leases[i].id, sizeof m.leases[i].id, SLICE_FMT, SLICE_ARG(l->id));
      }
    }
  }
}

static bool each_lease(void *context, const struct lease *l, struct error *err) {
  (void)err;
  if (l->kind == LEASE_DIRECT) {
    note_direct(context, l);
  }
  return true;
}

/* Undone or not, and perhaps with a new process behind it. */
static bool tell_rows(const struct engine_run *rows, size_t count, bool undo) {
  struct lease_followed f;
  struct error err = {0};
  size_t accrued;
  world_begin(m.w);
  bool ok = lease_follow(m.w->leases, m.w->arena, rows, count, now_at(), &f, &err) &&
            lease_accrue(m.w->leases, now_at(), &accrued, &err);
  done(ok, &err);
  HOLDS(f.refused == 0 && f.unknown == 0, "%zu refused, %zu unknown", f.refused, f.unknown);
  world_end(m.w, !undo);
  return f.events > 0;
}

static void follow_all(void) {
  struct engine_run rows[3 * RUNS_MAX];
  size_t count = 0;
  struct error err = {0};
  const struct lease_query all = {.limit = 0};
  for (int i = 0; i < m.run_count; i++) {
    const bool final = m.runs[i].to != FOREVER;
    rows[count++] = row_of(&m.runs[i], false);
    if (below(4) == 0) {
      rows[count++] = row_of(&m.runs[i], final && below(2) == 0);
    }
  }
  for (size_t i = count; i > 1; i--) {
    const size_t other = (size_t)below((int64_t)i);
    const struct engine_run kept = rows[i - 1];
    rows[i - 1] = rows[other];
    rows[other] = kept;
  }
  if (below(3) == 0) {
    tell_rows(rows, count, true);
    if (below(2) == 0) {
      world_reopen(m.w);
    }
  }
  tell_rows(rows, count, false);
  HOLDS(!tell_rows(rows, count, false), "the same rows again changed something");
  done(lease_list(book_db(m.w->book), &all, each_lease, NULL, &err), &err);
}

/* ---- steps ---- */

static void quote_one(void) {
  struct lease_quote q;
  struct error err = {0};
  const enum pool_class class = below(3) == 0 ? POOL_SPOT : POOL_ON_DEMAND;
  const int64_t units = below(4) == 0 ? 8 : 1 + below(4), from = m.now + (below(2) ? below(5000) : 0);
  const int64_t to = from + 1 + below(8000), spare = class == POOL_SPOT ? SPARE : 0;
  const struct lease_quote_request r = {.customer = world_customer(m.w, "beta"),
                                        .pool = SLICE("h100"),
                                        .class = class,
                                        .units = {units * QUANTITY_E9},
                                        .span = {at_s(from), at_s(to)},
                                        .valid_s = 1 + below(2000)};
  if (m.lease_count == LEASES_MAX) {
    return;
  }
  world_begin(m.w);
  bool ok = lease_quote_make(m.w->leases, m.w->arena, &r, now_at(), &q, &err);
  struct model_lease *l = &m.leases[m.lease_count];
  if (ok) {
    *l = (struct model_lease){.class = class, .units = units, .from = from, .to = to, .expires = m.now + r.valid_s};
    snprintf(l->id, sizeof l->id, SLICE_FMT, SLICE_ARG(q.lease));
    snprintf(l->quote, sizeof l->quote, SLICE_FMT, SLICE_ARG(q.id));
  }
  world_end(m.w, ok);
  if (ok) {
    m.lease_count++;
    m.quoted++;
    HOLDS(most_held(from, to, true) <= CAPACITY, "%lld units were quoted that are not there", (long long)units);
  } else {
    m.refused++;
    HOLDS(err.code == ERR_LIMIT, "%s", err.message);
    HOLDS(most_held(from, to, false) + units + spare > CAPACITY, "refused though there is room: %s", err.message);
  }
}

static void expire(void) {
  for (int i = 0; i < m.lease_count; i++) {
    struct model_lease *l = &m.leases[i];
    if (l->state == LEASE_QUOTED && l->expires <= m.now) {
      l->state = LEASE_ENDED;
      l->to = l->from;
    }
  }
}

static void take_one(struct model_lease *l) {
  struct error err = {0};
  struct lease out;
  if (l->direct) {
    return;
  }
  world_begin(m.w);
  bool ok = lease_quote_take(m.w->leases, m.w->arena, slice_of(l->quote), SLICE("beta"), now_at(), &out, &err);
  world_end(m.w, ok);
  HOLDS(ok == (l->state == LEASE_QUOTED), "%s", ok ? "taken though it was used or expired" : err.message);
  HOLDS(ok || err.code == ERR_CONFLICT, "%s", err.message);
  l->state = ok ? LEASE_PENDING : l->state;
}

static void extend_one(struct model_lease *l) {
  struct error err = {0};
  const int64_t to = l->to == FOREVER ? m.now + 10 : l->to + 1 + below(4000);
  const bool open = l->state == LEASE_PENDING || l->state == LEASE_ACTIVE;
  if (l->direct || l->again) {
    return;
  }
  world_begin(m.w);
  bool ok = lease_extend(m.w->leases, slice_of(l->id), at_s(to), now_at(), &err);
  world_end(m.w, ok);
  HOLDS(open || (!ok && err.code == ERR_CONFLICT), "extended though it is over");
  if (ok) {
    HOLDS(most_held(l->to, to, true) + l->units <= CAPACITY, "extended into what is held");
    l->to = to;
  }
}

static void cancel_one(struct model_lease *l) {
  struct error err = {0};
  if (l->state == LEASE_PENDING) {
    world_begin(m.w);
    done(world_end(m.w,
                   lease_move(m.w->leases, slice_of(l->id), LEASE_ENDED, now_at(), SLICE("cancelled"), now_at(), &err)),
         &err);
    l->state = LEASE_ENDED;
    l->to = l->to < m.now ? l->to : m.now > l->from ? m.now : l->from;
  }
}

static void start_one(int lease) {
  struct model_lease *l = &m.leases[lease];
  const struct model_run *last = last_run(lease);
  const bool first = l->state == LEASE_PENDING;
  const bool over = l->state == LEASE_PREEMPTED || l->state == LEASE_FAILED || l->state == LEASE_ENDED;
  const bool requeue = over && last && !l->direct && below(2);
  if (m.run_count == RUNS_MAX || (!first && !requeue)) {
    return;
  }
  const int64_t since = requeue ? (last->to > last->from ? last->to : last->from + 1) : m.now - 300;
  if (since > m.now) {
    return;
  }
  struct model_run *r = &m.runs[m.run_count++];
  *r = (struct model_run){.lease = lease,
                          .number = last ? last->number + 1 : 1,
                          .units = l->units,
                          .from = since < m.now ? since + below(m.now - since) : since,
                          .to = FOREVER,
                          .state = ENGINE_RUNNING};
  snprintf(r->reference, sizeof r->reference, "c/%d/1", lease);
  l->state = LEASE_ACTIVE;
  if (requeue) {
    l->again = true;
    m.requeued++;
    l->from = l->from < r->from ? l->from : r->from;
    l->to = FOREVER;
  }
}

static void start_direct(void) {
  if (m.lease_count == LEASES_MAX || m.run_count == RUNS_MAX) {
    return;
  }
  struct model_lease *l = &m.leases[m.lease_count++];
  *l = (struct model_lease){.direct = true, .units = 1 + below(2), .state = LEASE_PENDING, .to = FOREVER};
  start_one(m.lease_count - 1);
  l->from = m.runs[m.run_count - 1].from;
}

/* Ends it, or says of an end that was told that it was another. */
static void end_one(struct model_run *r) {
  static const enum engine_state states[] = {ENGINE_ENDED, ENGINE_PREEMPTED, ENGINE_FAILED};
  struct model_lease *l = &m.leases[r->lease];
  if (last_run(r->lease) != r || r->from > m.now || (r->to != FOREVER && below(3))) {
    return;
  }
  if (r->to != FOREVER) {
    l->again = true; /* where it lies in the calendar then is not asked here */
    l->to = FOREVER;
  }
  r->to = r->from + below(m.now - r->from + 1);
  r->suspended = below(3) == 0 ? below(r->to - r->from + 1) : 0;
  r->state = states[below(3)];
  m.ended++;
  l->state = r->state == ENGINE_ENDED ? LEASE_ENDED : r->state == ENGINE_FAILED ? LEASE_FAILED : LEASE_PREEMPTED;
  if (!l->again && !l->direct) {
    l->to = l->to < r->to ? l->to : r->to > l->from ? r->to : l->from;
  }
}

static void one_step(void) {
  const int any = m.lease_count ? (int)below(m.lease_count) : -1;
  m.now += below(600);
  clock_set_test(now_at());
  switch (below(9)) {
  case 0:
  case 1:
    expire();
    quote_one();
    if (m.lease_count && below(4)) {
      take_one(&m.leases[m.lease_count - 1]);
    }
    break;
  case 2:
    if (any >= 0) {
      expire();
      take_one(&m.leases[any]);
    }
    break;
  case 3:
    if (any >= 0) {
      extend_one(&m.leases[any]);
    }
    break;
  case 4:
    if (any >= 0 && below(3) == 0) {
      cancel_one(&m.leases[any]);
    }
    break;
  case 5:
    if (below(4) == 0) {
      start_direct();
    }
    break;
  case 6:
    world_reopen(m.w);
    break;
  default:
    for (int i = 0; i < 4 && any >= 0; i++) {
      start_one((int)below(m.lease_count));
      if (m.run_count > 0) {
        end_one(&m.runs[below(m.run_count)]);
      }
    }
  }
}

static void run(uint64_t seed) {
  struct error err = {0};
  memset(&m, 0, sizeof m);
  seed_now = seed;
  random_seed(&m.rng, seed, 0);
  m.w = world_new("2026-10-01T00:00:00Z");
  done(db_run(book_db(m.w->book), "PRAGMA synchronous = OFF", DB_NO_VALUES, NULL, &err), &err);
  m.now = world_at("2026-10-30T00:00:00Z").ns / NS_PER_S;
  for (step_now = 0; step_now < STEPS; step_now++) {
    size_t expired;
    one_step();
    follow_all();
    expire();
    world_begin(m.w);
    done(world_end(m.w, lease_quotes_expire(m.w->leases, now_at(), &expired, &err)), &err);
    check();
  }
  if (getenv("SHOW")) {
    printf("quoted %d refused %d leases %d runs %d ended %d requeued %d\n", m.quoted, m.refused, m.lease_count,
           m.run_count, m.ended, m.requeued);
  }
  world_check(m.w);
  world_free(m.w);
}

int main(void) {
  const char *seed = getenv("SEED"), *cases = getenv("CASES");
  uint64_t first = seed ? strtoull(seed, NULL, 10) : 1, count = cases ? strtoull(cases, NULL, 10) : 15;
  for (uint64_t s = first; s < first + count; s++) {
    run(s);
  }
  printf("%llu cases from SEED=%llu\n", (unsigned long long)count, (unsigned long long)first);
  return 0;
}
