/* Integral meters in random worlds, beside sweeps over GMP rationals: several series and sources, leases that move
 * between dimensions, zones, cuts, moments that are now, periods metered in parts. */
#include "base/hash.h"
#include "meter/meter.h"
#include <gmp.h>
#include <stdlib.h>
#include <string.h>

#define CHANGES_MAX 48
#define CUTS_MAX 5
#define SERIES 4
#define KINDS 3
#define HOUR_NS (INT64_C(3600) * NS_PER_S)

static const char catalog_text[] =
    "currency: EUR\n"
    "meters:\n"
    "  - {name: held, event: e, value: v, aggregation: integral, unit: u, series: s, dimensions: [d]}\n"
    "  - {name: pool, event: e, value: v, aggregation: integral, unit: u, dimensions: [d, s], overlaps: held}\n"
    "plans:\n  - {name: p, prices: [{meter: held, price: 1}, {meter: pool, price: 1}]}\n"
    "customers:\n  - {id: c, plan: p}\n";

static const char *const zones[] = {"UTC", "Europe/Amsterdam", "America/New_York", "Asia/Kolkata",
                                    "Australia/Lord_Howe"};
static const char *const periods[] = {
    "2026-03",    "2026-10",    "2026-10-25", "2026-03-29",
    "2026-11-01", "2026-10-04", "2024-02-29", "2026-10-24T23:30:00.000000001Z/2026-10-25T01:17:00.999999999Z"};

struct change {
  int64_t time_ns, level_e9;
  int series, kind, source;
  char id[8];
};
struct world {
  struct change changes[CHANGES_MAX];
  size_t count;
  struct period period;
  instant until, cuts[CUTS_MAX];
  size_t cut_count;
};
struct rows {
  struct usage *usage;
  const struct usage_row *rows;
  size_t count;
};

static struct random rng;

static int64_t between(int64_t from, int64_t to) {
  return from + (int64_t)random_below(&rng, (uint64_t)(to - from));
}

static int by_time(const void *a, const void *b) {
  const instant *x = a, *y = b;
  return (x->ns > y->ns) - (x->ns < y->ns);
}

/* Often an edge, where mistakes live. */
static int64_t some_time(const struct world *w, size_t i) {
  const struct period *p = &w->period;
  int64_t length = p->to.ns - p->from.ns, any = between(p->from.ns - length / 2, p->to.ns + length / 4 + 2);
  switch (random_below(&rng, 10)) {
  case 0:
    return p->from.ns + between(-1, 2);
  case 1:
    return p->to.ns + between(-1, 2);
  case 2:
    return any / HOUR_NS * HOUR_NS;
  case 3:
    return i > 0 ? w->changes[random_below(&rng, i)].time_ns : any;
  case 4:
  case 5:
  case 6:
    return any / NS_PER_S * NS_PER_S;
  default:
    return any;
  }
}

static int64_t some_level(const struct world *w, size_t i) {
  static const int64_t levels[] = {0, 0, 0, 250000000, 142857143, 1000000000, 8000000000, 1};
  size_t pick = random_below(&rng, 12);
  if (pick < sizeof levels / sizeof *levels) {
    return levels[pick];
  }
  return i > 0 && pick == 8 ? w->changes[i - 1].level_e9 : between(0, INT64_C(20000000000));
}

static void make_world(struct world *w) {
  struct error err = {0};
  const char *zone = zones[random_below(&rng, sizeof zones / sizeof *zones)];
  const char *period = periods[random_below(&rng, sizeof periods / sizeof *periods)];
  must(time_parse_period(slice_of(period), zone, &w->period, &err));
  w->count = random_below(&rng, CHANGES_MAX + 1);
  for (size_t i = 0; i < w->count; i++) {
    struct change *c = &w->changes[i];
    *c = (struct change){.time_ns = some_time(w, i), .level_e9 = some_level(w, i)};
    c->series = (int)random_below(&rng, SERIES);
    c->kind = (int)random_below(&rng, KINDS);
    c->source = (int)random_below(&rng, 3);
    snprintf(c->id, sizeof c->id, "i%zu", i);
  }
  w->until = random_below(&rng, 3) ? INSTANT_MAX : (instant){some_time(w, w->count)};
  w->cut_count = 0;
  for (size_t i = random_below(&rng, CUTS_MAX + 1); i > 0; i--) {
    w->cuts[w->cut_count++].ns = between(w->period.from.ns + 1, w->period.to.ns);
  }
  qsort(w->cuts, w->cut_count, sizeof *w->cuts, by_time);
}

static void add_change(struct usage *u, const struct change *c) {
  char d[4], s[4], v[40], source[4];
  struct error err = {0};
  snprintf(d, sizeof d, "d%d", c->kind % 10);
  snprintf(s, sizeof s, "s%d", c->series % 10);
  snprintf(v, sizeof v, "%lld.%09lld", (long long)(c->level_e9 / NS_PER_S), (long long)(c->level_e9 % NS_PER_S));
  snprintf(source, sizeof source, "x%d", c->source % 10);
  const struct event_field fields[] = {
      {SLICE("d"), slice_of(d), false}, {SLICE("s"), slice_of(s), false}, {SLICE("v"), slice_of(v), true}};
  const struct event e = {.id = slice_of(c->id),
                          .source = slice_of(source),
                          .type = SLICE("e"),
                          .subject = SLICE("c"),
                          .time = {c->time_ns},
                          .fields = fields,
                          .field_count = 3};
  must(usage_add(u, &e, &err));
}

/* In a new random order each time. */
static struct rows meter(const struct catalog *catalog, const struct world *w, struct period period, bool cut) {
  struct rows r = {.usage = usage_new(catalog)};
  size_t order[CHANGES_MAX];
  struct error err = {0};
  usage_until(r.usage, w->until);
  usage_window(r.usage, SLICE("c"), period, w->cuts, cut ? w->cut_count : 0);
  for (size_t i = 0; i < w->count; i++) {
    size_t j = random_below(&rng, i + 1);
    order[i] = order[j];
    order[j] = i;
  }
  for (size_t i = 0; i < w->count; i++) {
    add_change(r.usage, &w->changes[order[i]]);
  }
  must(usage_finish(r.usage, &r.rows, &r.count, &err));
  return r;
}

/* What one meter's rows of a kind (and of a series, of the pool) sum to; -1: any. */
static int128 sum_of(const struct rows *r, const char *meter_name, int kind, int series) {
  int128 sum = 0;
  for (size_t i = 0; i < r->count; i++) {
    const struct usage_row *row = &r->rows[i];
    if (slice_is(row->meter->name, meter_name) && (kind < 0 || row->dimensions[0].ptr[1] == '0' + kind) &&
        (series < 0 || row->dimensions[1].ptr[1] == '0' + series)) {
      sum += row->value.e9;
    }
  }
  return sum;
}

/* ---- the model ---- */

/* Is this a change of the same level? Of `held` a series is one, whatever its kind; of the pool each kind is. */
static bool same_level(const struct change *a, const struct change *b, bool pool) {
  return a->series == b->series && (!pool || a->kind == b->kind);
}

static bool tied(const struct world *w, bool pool) {
  for (size_t i = 0; i < w->count; i++) {
    for (size_t j = 0; j < i; j++) {
      if (w->changes[i].time_ns == w->changes[j].time_ns && same_level(&w->changes[i], &w->changes[j], pool)) {
        return true;
      }
    }
  }
  return false;
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* Level x length of what change `i` holds inside the period, in e9 x ns. */
static void add_area(const struct world *w, size_t i, bool pool, mpz_t sum) {
  const struct change *c = &w->changes[i];
  int64_t from = c->time_ns > w->period.from.ns ? c->time_ns : w->period.from.ns;
  int64_t to = least(w->period.to.ns, w->until.ns);
  for (size_t j = 0; j < w->count; j++) {
    if (w->changes[j].time_ns > c->time_ns && same_level(c, &w->changes[j], pool)) {
      to = least(to, w->changes[j].time_ns);
    }
  }
  if (from < to) {
    mpz_t piece;
    mpz_init_set_si(piece, c->level_e9);
    mpz_mul_si(piece, piece, to - from);
    mpz_add(sum, sum, piece);
    mpz_clear(piece);
  }
}

/* |sum / 10^9 - got| <= allowed, as rationals: `sum` is in e9 x ns, `got` in e9 x s, `allowed` in halves of 1e-9. */
static void must_be_near(const mpz_t sum, int128 got, size_t allowed) {
  mpq_t off, limit;
  mpq_inits(off, limit, NULL);
  must(got >= 0 && got <= INT64_MAX);
  mpz_set_si(mpq_numref(off), (long)got);
  mpz_mul_ui(mpq_numref(off), mpq_numref(off), 1000000000);
  mpz_sub(mpq_numref(off), mpq_numref(off), sum);
  mpz_set_ui(mpq_denref(off), 1000000000);
  mpq_canonicalize(off);
  mpq_abs(off, off);
  mpq_set_ui(limit, allowed, 2);
  mpq_canonicalize(limit);
  must(mpq_cmp(off, limit) <= 0);
  mpq_clears(off, limit, NULL);
}

/* A stretch is off by half of 1e-9 at either of its ends at most. */
static void check_against_model(const struct world *w, const struct rows *r) {
  mpz_t sum;
  mpz_init(sum);
  for (int kind = 0; kind < KINDS && !tied(w, false); kind++) {
    mpz_set_ui(sum, 0);
    for (size_t i = 0; i < w->count; i++) {
      if (w->changes[i].kind == kind) {
        add_area(w, i, false, sum);
      }
    }
    must_be_near(sum, sum_of(r, "held", kind, -1), 2 * w->count);
  }
  for (int set = 0; set < KINDS * SERIES && !tied(w, true); set++) {
    mpz_set_ui(sum, 0);
    for (size_t i = 0; i < w->count; i++) {
      if (w->changes[i].kind == set % KINDS && w->changes[i].series == set / KINDS) {
        add_area(w, i, true, sum);
      }
    }
    must_be_near(sum, sum_of(r, "pool", set % KINDS, set / KINDS), 2 * w->count);
  }
  mpz_clear(sum);
}

/* ---- what holds whatever the world ---- */

static void check_shape(const struct world *w, const struct rows *r) {
  for (size_t i = 0; i < r->count; i++) {
    const struct usage_row *row = &r->rows[i];
    must(row->value.e9 >= 0 && row->events <= w->count);
    must(row->from.ns >= w->period.from.ns && row->from.ns < row->to.ns && row->to.ns <= w->period.to.ns);
    must(row->from.ns < w->until.ns);
    must(row->from.ns / HOUR_NS == (row->to.ns - 1) / HOUR_NS);
    for (size_t c = 0; c < w->cut_count; c++) {
      must(w->cuts[c].ns <= row->from.ns || w->cuts[c].ns >= row->to.ns);
    }
  }
}

static void must_be_same(const struct rows *a, const struct rows *b) {
  must(a->count == b->count);
  for (size_t i = 0; i < a->count; i++) {
    const struct usage_row *x = &a->rows[i], *y = &b->rows[i];
    must(x->meter == y->meter && x->from.ns == y->from.ns && x->to.ns == y->to.ns && x->events == y->events);
    must(x->value.e9 == y->value.e9);
    for (size_t d = 0; d < x->meter->dimension_count; d++) {
      must(slice_eq(x->dimensions[d], y->dimensions[d]));
    }
  }
}

/* The period without cuts, and its parts between the cuts metered one at a time: to the last digit the same sums. */
static void check_partition(const struct catalog *catalog, const struct world *w, const struct rows *cut) {
  int128 sums[2][KINDS] = {{0}};
  static const char *const names[] = {"held", "pool"};
  struct rows whole = meter(catalog, w, w->period, false);
  instant from = w->period.from;
  for (size_t i = 0; i <= w->cut_count; i++) {
    instant to = i < w->cut_count ? w->cuts[i] : w->period.to;
    if (from.ns < to.ns) {
      struct rows part = meter(catalog, w, (struct period){from, to}, false);
      for (int m = 0; m < 2; m++) {
        for (int kind = 0; kind < KINDS; kind++) {
          sums[m][kind] += sum_of(&part, names[m], kind, -1);
        }
      }
      usage_free(part.usage);
    }
    from = to;
  }
  for (int m = 0; m < 2; m++) {
    for (int kind = 0; kind < KINDS; kind++) {
      must(sums[m][kind] == sum_of(&whole, names[m], kind, -1));
      must(sums[m][kind] == sum_of(cut, names[m], kind, -1));
    }
  }
  usage_free(whole.usage);
}

/* What is repeated while it holds changes no sum. */
static void check_repeats(const struct catalog *catalog, const struct world *w, const struct rows *r) {
  struct world more = *w;
  if (w->count == 0 || w->count == CHANGES_MAX || tied(w, false) || tied(w, true)) {
    return;
  }
  struct change again = w->changes[random_below(&rng, w->count)];
  int64_t end = INT64_MAX;
  for (size_t i = 0; i < w->count; i++) {
    if (w->changes[i].series == again.series && w->changes[i].time_ns > again.time_ns) {
      end = least(end, w->changes[i].time_ns);
    }
  }
  int64_t last = least(end, w->period.to.ns + HOUR_NS);
  if (last <= again.time_ns + 1) {
    return;
  }
  again.time_ns = between(again.time_ns + 1, last);
  snprintf(again.id, sizeof again.id, "again");
  more.changes[more.count++] = again;
  struct rows repeated = meter(catalog, &more, w->period, true);
  must(r->count == repeated.count);
  for (size_t i = 0; i < r->count; i++) {
    must(r->rows[i].from.ns == repeated.rows[i].from.ns && r->rows[i].value.e9 == repeated.rows[i].value.e9);
  }
  usage_free(repeated.usage);
}

static void check_world(const struct catalog *catalog) {
  struct world w;
  make_world(&w);
  struct rows r = meter(catalog, &w, w.period, true), again = meter(catalog, &w, w.period, true);
  check_shape(&w, &r);
  must_be_same(&r, &again);
  check_against_model(&w, &r);
  check_partition(catalog, &w, &r);
  check_repeats(catalog, &w, &r);
  usage_free(r.usage);
  usage_free(again.usage);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 17,
           cases = cases_text ? strtoull(cases_text, NULL, 10) : 400;
  struct catalog *catalog;
  struct error err = {0};
  struct catalog_text text = {"catalog.yaml", SLICE(catalog_text)};
  printf("prop_integral: SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  random_seed(&rng, seed, 0);
  if (!catalog_parse(&text, 1, &catalog, &err)) {
    fprintf(stderr, "%s\n", err.message);
  }
  must(err.code == ERR_NONE);
  for (uint64_t i = 0; i < cases; i++) {
    check_world(catalog);
  }
  catalog_free(catalog);
  return 0;
}
