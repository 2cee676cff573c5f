/* Usage of random events in random order of arrival, beside a naive model: integrals by GMP rationals, the rest by
 * brute force. */
#include "base/hash.h"
#include "meter/meter.h"
#include <gmp.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX 60
#define CUTS_MAX 3

static const char catalog_text[] =
    "currency: EUR\n"
    "seller: {name: S, country: NL, invoice_prefix: S-}\n"
    "meters:\n"
    "  - {name: held, event: e, value: v, aggregation: integral, over: hour, unit: u, series: s, dimensions: [d]}\n"
    "  - {name: total, event: e, value: v, unit: u, dimensions: [d]}\n"
    "  - {name: times, event: e, aggregation: count, unit: u}\n"
    "  - {name: peak, event: e, value: v, aggregation: max, unit: u, dimensions: [d]}\n"
    "  - {name: low, event: e, value: v, aggregation: min, unit: u}\n"
    "  - {name: last, event: e, value: v, aggregation: latest, unit: u}\n"
    "  - {name: distinct, event: e, value: s, aggregation: unique, unit: u}\n"
    "plans:\n  - {name: p, prices: [{meter: total, price: 1}]}\n"
    "customers:\n  - {id: c, name: C, country: NL, plan: p}\n";

struct sample {
  int64_t time_ns;
  int level_thousandths, series, dimension;
  char id[8];
};
struct world {
  struct sample samples[EVENTS_MAX];
  size_t count;
  struct period period;
  instant cuts[CUTS_MAX];
  size_t cut_count;
};

static struct random rng;

static int by_time(const void *a, const void *b) {
  const instant *x = a, *y = b;
  return (x->ns > y->ns) - (x->ns < y->ns);
}

static void make_world(struct world *w) {
  int64_t base = INT64_C(1790000000) * NS_PER_S;
  w->period.from.ns = base + (int64_t)random_below(&rng, 7200) * NS_PER_S + (int64_t)random_below(&rng, 3);
  w->period.to.ns =
      w->period.from.ns + 1 + (int64_t)random_below(&rng, 6 * 3600) * NS_PER_S + (int64_t)random_below(&rng, 1000);
  w->count = random_below(&rng, EVENTS_MAX);
  for (size_t i = 0; i < w->count; i++) {
    struct sample *s = &w->samples[i];
    int64_t span = w->period.to.ns - base + 3600 * NS_PER_S;
    s->time_ns = base + (int64_t)random_below(&rng, (uint64_t)span);
    if (random_below(&rng, 4) == 0) {
      s->time_ns = s->time_ns / (3600 * NS_PER_S) * (3600 * NS_PER_S);
    }
    if (random_below(&rng, 10) == 0) {
      s->time_ns = w->period.from.ns;
    }
    if (random_below(&rng, 10) == 0) {
      s->time_ns = w->period.to.ns;
    }
    if (i > 0 && random_below(&rng, 8) == 0) {
      s->time_ns = w->samples[i - 1].time_ns;
    }
    s->level_thousandths = random_below(&rng, 3) ? (int)random_below(&rng, 9000) : 0;
    s->series = (int)random_below(&rng, 3);
    s->dimension = (int)random_below(&rng, 2);
    snprintf(s->id, sizeof s->id, "i%zu", i);
  }
  w->cut_count = 0;
  for (size_t i = random_below(&rng, CUTS_MAX + 1); i > 0; i--) {
    int64_t length = w->period.to.ns - w->period.from.ns;
    if (length > 2) {
      w->cuts[w->cut_count++].ns = w->period.from.ns + 1 + (int64_t)random_below(&rng, (uint64_t)length - 1);
    }
  }
  qsort(w->cuts, w->cut_count, sizeof *w->cuts, by_time);
}

static void make_event(const struct sample *s, struct event_field fields[3], char texts[3][16], struct event *e) {
  snprintf(texts[0], 16, "d%d", s->dimension);
  snprintf(texts[1], 16, "s%d", s->series);
  snprintf(texts[2], 16, "%d.%03d", s->level_thousandths / 1000, s->level_thousandths % 1000);
  fields[0] = (struct event_field){SLICE("d"), slice_of(texts[0]), false};
  fields[1] = (struct event_field){SLICE("s"), slice_of(texts[1]), false};
  fields[2] = (struct event_field){SLICE("v"), slice_of(texts[2]), true};
  *e = (struct event){.id = slice_of(s->id),
                      .source = SLICE("x"),
                      .type = SLICE("e"),
                      .subject = SLICE("c"),
                      .time = {s->time_ns},
                      .fields = fields,
                      .field_count = 3};
}

/* All events in a shuffled order. */
static struct usage *meter(const struct catalog *catalog, const struct world *w, const struct usage_row **rows,
                           size_t *count) {
  size_t order[EVENTS_MAX];
  struct error err = {0};
  struct usage *u = usage_new(catalog);
  usage_window(u, SLICE("c"), w->period, w->cuts, w->cut_count);
  for (size_t i = 0; i < w->count; i++) {
    size_t j = random_below(&rng, i + 1);
    order[i] = order[j];
    order[j] = i;
  }
  for (size_t i = 0; i < w->count; i++) {
    struct event_field fields[3];
    char texts[3][16];
    struct event e;
    make_event(&w->samples[order[i]], fields, texts, &e);
    must(usage_add(u, &e, &err));
  }
  must(usage_finish(u, rows, count, &err));
  return u;
}

static bool within(const struct world *w, int64_t t) {
  return t >= w->period.from.ns && t < w->period.to.ns;
}

/* Rows are an hour or less, lie in the period, cross no cut, and come in order. */
static void check_shape(const struct world *w, const struct usage_row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const struct usage_row *r = &rows[i];
    must(r->from.ns < r->to.ns && within(w, r->from.ns) && r->to.ns <= w->period.to.ns && r->value.e9 >= 0);
    must(r->from.ns / (3600 * NS_PER_S) == (r->to.ns - 1) / (3600 * NS_PER_S));
    for (size_t c = 0; c < w->cut_count; c++) {
      must(w->cuts[c].ns <= r->from.ns || w->cuts[c].ns >= r->to.ns);
    }
    bool same_set = i > 0 && rows[i - 1].meter == r->meter && rows[i - 1].dimensions == r->dimensions;
    must(!same_set || rows[i - 1].to.ns <= r->from.ns);
  }
}

/* Which of two changes at one instant stands is the meter's secret, but must not depend on the order of arrival: worlds
 * with ties are only compared with themselves. */
static bool has_ties(const struct world *w) {
  for (size_t i = 0; i < w->count; i++) {
    for (size_t j = 0; j < i; j++) {
      if (w->samples[i].time_ns == w->samples[j].time_ns) {
        return true;
      }
    }
  }
  return false;
}

/* The area in [from, to) of what holds dimension d, as an exact rational of value x seconds. */
static void naive_area(const struct world *w, int d, int64_t from, int64_t to, mpq_t out) {
  mpq_t piece;
  mpq_init(piece);
  mpq_set_ui(out, 0, 1);
  for (size_t i = 0; i < w->count; i++) {
    const struct sample *s = &w->samples[i];
    int64_t end = INT64_MAX, begin = s->time_ns > from ? s->time_ns : from;
    for (size_t j = 0; j < w->count; j++) {
      const struct sample *next = &w->samples[j];
      if (next->series == s->series && next->time_ns > s->time_ns && next->time_ns < end) {
        end = next->time_ns;
      }
    }
    if (end > to) {
      end = to;
    }
    if (s->dimension != d || begin >= end) {
      continue;
    }
    mpq_set_si(piece, s->level_thousandths, 1000);
    mpz_mul_si(mpq_numref(piece), mpq_numref(piece), end - begin);
    mpz_mul_ui(mpq_denref(piece), mpq_denref(piece), 1000000000);
    mpq_canonicalize(piece);
    mpq_add(out, out, piece);
  }
  mpq_clear(piece);
}

static double off_by(mpq_t exact, int128 e9) {
  mpq_t got;
  mpq_init(got);
  mpz_set_si(mpq_numref(got), (long)e9);
  mpz_set_ui(mpq_denref(got), 1000000000);
  mpq_canonicalize(got);
  mpq_sub(got, got, exact);
  double d = mpq_get_d(got);
  mpq_clear(got);
  return d < 0 ? -d : d;
}

/* Over the whole period a dimension's rows sum to its area, within half of 1e-9 for each stretch of constant level. */
static void check_integral(const struct world *w, const struct usage_row *rows, size_t count) {
  mpq_t area;
  mpq_init(area);
  for (int d = 0; d < 2; d++) {
    int128 sum = 0;
    for (size_t i = 0; i < count; i++) {
      if (slice_is(rows[i].meter->name, "held") && rows[i].dimensions[0].ptr[1] == '0' + d) {
        sum += rows[i].value.e9;
      }
    }
    naive_area(w, d, w->period.from.ns, w->period.to.ns, area);
    must(off_by(area, sum) <= 0.5e-9 * (double)(w->count + 1));
  }
  mpq_clear(area);
}

static int128 over_rows(const char *meter_name, int d, const struct usage_row *rows, size_t count, bool *any) {
  quantity value = QUANTITY_ZERO;
  struct error err = {0};
  *any = false;
  for (size_t i = 0; i < count; i++) {
    if (!slice_is(rows[i].meter->name, meter_name) || (d >= 0 && rows[i].dimensions[0].ptr[1] != '0' + d)) {
      continue;
    }
    must(usage_combine(rows[i].meter->aggregation, &value, rows[i].value, !*any, &err));
    *any = true;
  }
  return value.e9;
}

static void check_others(const struct world *w, const struct usage_row *rows, size_t count) {
  int128 total[2] = {0}, peak[2] = {-1, -1}, low = -1, last = -1;
  int64_t last_time = -1;
  int times = 0, seen = 0;
  bool any;
  for (size_t i = 0; i < w->count; i++) {
    const struct sample *s = &w->samples[i];
    int128 value = (int128)s->level_thousandths * 1000000;
    if (!within(w, s->time_ns)) {
      continue;
    }
    times++;
    seen |= 1 << s->series;
    total[s->dimension] += value;
    if (value > peak[s->dimension]) {
      peak[s->dimension] = value;
    }
    if (low < 0 || value < low) {
      low = value;
    }
    if (s->time_ns > last_time) {
      last_time = s->time_ns;
      last = value;
    }
  }
  for (int d = 0; d < 2; d++) {
    must(over_rows("total", d, rows, count, &any) == total[d]);
    int128 got = over_rows("peak", d, rows, count, &any);
    must(any == (peak[d] >= 0) && (!any || got == peak[d]));
  }
  must(over_rows("times", -1, rows, count, &any) == times * QUANTITY_E9);
  must(over_rows("distinct", -1, rows, count, &any) == __builtin_popcount((unsigned)seen) * QUANTITY_E9);
  int128 got = over_rows("low", -1, rows, count, &any);
  must(any == (low >= 0) && (!any || got == low));
  got = over_rows("last", -1, rows, count, &any);
  must(any == (last >= 0) && (!any || got == last || has_ties(w)));
}

static void check_same(const struct usage_row *a, size_t a_count, const struct usage_row *b, size_t b_count) {
  must(a_count == b_count);
  for (size_t i = 0; i < a_count; i++) {
    must(a[i].meter == b[i].meter && a[i].from.ns == b[i].from.ns && a[i].to.ns == b[i].to.ns &&
         a[i].value.e9 == b[i].value.e9 && a[i].events == b[i].events);
    for (size_t d = 0; d < a[i].meter->dimension_count; d++) {
      must(slice_eq(a[i].dimensions[d], b[i].dimensions[d]));
    }
  }
}

static void check_world(const struct catalog *catalog) {
  struct world w;
  const struct usage_row *rows, *again;
  size_t count, again_count;
  uint64_t events, events_again;
  char digest[65], digest_again[65];
  make_world(&w);
  struct usage *first = meter(catalog, &w, &rows, &count), *second = meter(catalog, &w, &again, &again_count);
  check_shape(&w, rows, count);
  check_same(rows, count, again, again_count);
  usage_evidence(first, SLICE("c"), &events, digest);
  usage_evidence(second, SLICE("c"), &events_again, digest_again);
  must(events == events_again && strcmp(digest, digest_again) == 0);
  if (!has_ties(&w)) {
    check_integral(&w, rows, count);
  }
  check_others(&w, rows, count);
  usage_free(first);
  usage_free(second);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 11,
           cases = cases_text ? strtoull(cases_text, NULL, 10) : 4000;
  printf("prop_usage: SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  random_seed(&rng, seed, 0);
  struct catalog *catalog;
  struct error err = {0};
  struct catalog_text text = {"catalog.yaml", SLICE(catalog_text)};
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
