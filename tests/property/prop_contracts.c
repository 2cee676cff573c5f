/* Random contracts over random years: what the engine charges in each period and at each opening must be, charge by
 * charge and to the last digit, what an oracle of rationals and its own calendar charges. The catalog passes through
 * YAML and the usage through the meter. What the generator leaves out: plans whose first version begins late, times of
 * contracts within a second (events have nanoseconds), dimensions, multipliers and coverage, which prop_rate and
 * prop_coverage have. */
#include "contracts/plain.h"
#include "contracts/stretches.h"
#include "contracts/write.h"
#include "rate/rate.h"

struct world {
  uint64_t seed;
  struct deal deal;
  struct oracle oracle;
  struct buf yaml;
  struct catalog *catalog;
  const struct customer *customer;
  struct event events[EVENTS_MAX];
  struct arena *arena; /* of the world; of one rating: */
  struct arena *scratch;
};

static _Noreturn void fail(const struct world *w, const char *what) {
  fprintf(stderr, "%.*s\nprop_contracts: SEED=%llu CASES=1: %s\n", (int)w->yaml.len, w->yaml.ptr,
          (unsigned long long)w->seed, what);
  exit(1);
}

static void expect(const struct world *w, bool ok, const struct error *err) {
  if (!ok) {
    fail(w, err->message);
  }
}

static instant at(seconds t) {
  return (instant){t * NS_PER_S};
}

/* ---- making ---- */

static void make_event(struct world *w, int i) {
  struct event_made *e = &w->oracle.events[i];
  struct deal *d = &w->deal;
  e->meter = (int)pick(d, METERS);
  e->ns = some_second(d, d->from - 20 * DAY_S, d->to + 20 * DAY_S) * NS_PER_S;
  if (chance(d, 20) && w->oracle.part_count > 0) { /* at a border, or just beside it */
    const struct naive_part *p = &w->oracle.parts[pick(d, w->oracle.part_count)];
    e->ns = (chance(d, 50) || p->to > d->to ? p->from : p->to) * NS_PER_S - (chance(d, 50) ? 1 : 0);
  }
  e->ns += chance(d, 30) ? pick(d, NS_PER_S) : 0;
  e->series = (int)pick(d, 2);
  e->value = e->meter == LEASE ? pick(d, 9) : pick(d, 3000000);
  for (int k = 0; k < i; k++) { /* two levels of a series at once would need an order */
    e->ns += w->oracle.events[k].ns == e->ns && w->oracle.events[k].meter == LEASE ? 1 : 0;
  }
}

static void write_event(struct world *w, int i) {
  static const char *const types[METERS] = {"call", "answer", "lease"};
  const struct event_made *m = &w->oracle.events[i];
  struct event_field *f = arena_array(w->arena, 2, sizeof *f);
  slice value = slice_of(m->meter == LEASE ? arena_printf(w->arena, "%lld", (long long)m->value)
                                           : arena_printf(w->arena, "%lld.%03lld", (long long)m->value / 1000,
                                                          (long long)m->value % 1000));
  f[0] = (struct event_field){SLICE("n"), value, true};
  f[1] = (struct event_field){SLICE("s"), slice_of(arena_printf(w->arena, "s%d", m->series)), false};
  w->events[i] = (struct event){.id = slice_of(arena_printf(w->arena, "e%d", i)),
                                .source = SLICE("test"),
                                .type = slice_of(types[m->meter]),
                                .subject = SLICE("cus"),
                                .time = {m->ns},
                                .fields = f,
                                .field_count = m->meter == CALLS ? 0 : 2};
}

static int by_number(const void *a, const void *b) {
  int64_t x = ((const struct event_made *)a)->ns, y = ((const struct event_made *)b)->ns;
  return (x > y) - (x < y);
}

static void make_events(struct world *w) {
  struct oracle *o = &w->oracle;
  o->event_count = (int)pick(&w->deal, EVENTS_MAX / 2);
  for (int i = 0; i < o->event_count; i++) {
    make_event(w, i);
  }
  qsort(o->events, (size_t)o->event_count, sizeof *o->events, by_number);
  for (int i = 1; i < o->event_count; i++) {
    o->events[i].ns += o->events[i].ns <= o->events[i - 1].ns ? o->events[i - 1].ns - o->events[i].ns + 1 : 0;
  }
  for (int i = 0; i < o->event_count; i++) {
    write_event(w, i);
  }
}

static bool make_world(struct world *w, uint64_t seed) {
  struct error err = {0};
  w->seed = seed;
  w->arena = arena_new();
  w->scratch = arena_new();
  make_deal(&w->deal, seed);
  make_plain(&w->deal);
  oracle_begin(&w->oracle, &w->deal);
  make_events(w);
  buf_init(&w->yaml, 1 << 20);
  write_deal(&w->yaml, &w->deal);
  const struct catalog_text text = {"deal.yaml", buf_slice(&w->yaml)};
  expect(w, catalog_parse(&text, 1, &w->catalog, &err), &err);
  w->customer = &w->catalog->customers[0];
  return true;
}

static void free_world(struct world *w) {
  catalog_free(w->catalog);
  oracle_end(&w->oracle);
  buf_free(&w->yaml);
  arena_free(w->arena);
  arena_free(w->scratch);
}

/* ---- comparing ---- */

static int by_charge(const void *a, const void *b) {
  const struct naive_charge *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  order = order ? order : (x->from > y->from) - (x->from < y->from);
  order = order ? order : (x->to > y->to) - (x->to < y->to);
  return order ? order : (x->e12 > y->e12) - (x->e12 < y->e12);
}

static void print_charges(const char *whose, const struct naive_charge *list, size_t count) {
  char text[DECIMAL_TEXT_MAX], from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
  fprintf(stderr, "%s:\n", whose);
  for (size_t i = 0; i < count; i++) {
    seconds end = list[i].to < 7000000000 ? list[i].to : 0;
    fprintf(stderr, "  %-24s %24s %s %s\n", list[i].name, amount_text((amount){list[i].e12}, text),
            time_format(at(list[i].from), from), time_format(at(end), to));
  }
}

static bool same_charge(const struct naive_charge *x, const struct naive_charge *y) {
  bool open_end = x->to > 7000000000 && y->to > 7000000000; /* a contract without an end */
  return x->kind == y->kind && strcmp(x->name, y->name) == 0 && x->from == y->from && (open_end || x->to == y->to) &&
         x->e12 == y->e12;
}

static void compare(const struct world *w, struct naive_bill *bill, const struct rating *rating, const char *what) {
  VEC(struct naive_charge) found = {0};
  int128 total = 0;
  for (size_t i = 0; i < rating->charge_count; i++) {
    const struct charge *c = &rating->charges[i];
    struct naive_charge n = {.kind = c->kind == CHARGE_USAGE ? USAGE : c->kind == CHARGE_FEE ? FEE : TRUE_UP};
    n.from = c->segment->from.ns / NS_PER_S;
    n.to = c->segment->to.ns / NS_PER_S;
    n.e12 = c->exact.e12;
    total += c->exact.e12;
    snprintf(n.name, sizeof n.name, SLICE_FMT, SLICE_ARG(c->name));
    vec_push(&found, n);
  }
  if (bill->charges.count > 0) {
    qsort(bill->charges.items, bill->charges.count, sizeof *found.items, by_charge);
  }
  if (found.count > 0) {
    qsort(found.items, found.count, sizeof *found.items, by_charge);
  }
  bool same = found.count == bill->charges.count && total == rating->total.e12;
  for (size_t i = 0; same && i < found.count; i++) {
    same = same_charge(&found.items[i], &bill->charges.items[i]);
  }
  if (!same) {
    print_charges("oracle", bill->charges.items, bill->charges.count);
    print_charges("engine", found.items, found.count);
    fail(w, what);
  }
  vec_free(&found);
}

static void compare_unpriced(const struct world *w, const struct naive_bill *bill, const struct rating *rating) {
  for (int m = 0; m < METERS; m++) {
    int128 found = 0;
    for (size_t i = 0; i < rating->unpriced_count; i++) {
      found += slice_is(rating->unpriced[i].meter->name, meter_names[m]) ? rating->unpriced[i].raw.e9 : 0;
    }
    mpq_t wanted;
    mpq_init(wanted);
    mpq_set(wanted, bill->unpriced[m]);
    times(wanted, 1000000000, 1);
    if (nearest(wanted) != found) {
      fail(w, "unpriced usage differs");
    }
    mpq_clear(wanted);
  }
}

/* ---- the engine ---- */

/* Events in another order each time: the set decides. */
static void meter_usage(struct world *w, struct period period, struct usage *usage, const struct usage_row **rows,
                        size_t *count) {
  struct error err = {0};
  const struct segment *segments;
  size_t segment_count;
  expect(w, rate_segments(w->scratch, w->catalog, w->customer, period, &segments, &segment_count, &err), &err);
  size_t max = rate_cuts_max(w->catalog, segments, segment_count);
  instant *cuts = arena_array(w->scratch, max, sizeof *cuts);
  usage_window(usage, w->customer->id, period, cuts, rate_cuts(w->catalog, segments, segment_count, cuts, max));
  size_t n = (size_t)w->oracle.event_count, first = n ? (size_t)pick(&w->deal, (int64_t)n) : 0;
  bool backwards = chance(&w->deal, 50);
  for (size_t i = 0; i < n; i++) {
    size_t k = (first + (backwards ? n - 1 - i : i)) % n;
    expect(w, usage_add(usage, &w->events[k], &err), &err);
  }
  expect(w, usage_finish(usage, rows, count, &err), &err);
}

static void check_name(const struct world *w, struct period p) {
  struct error err = {0};
  struct period again;
  char name[2 * TIME_TEXT_MAX];
  bool none;
  expect(w, billing_period_named(w->customer, slice_of(billing_period_name(w->customer, p, name)), &again, &none, &err),
         &err);
  if (none || again.from.ns != p.from.ns || again.to.ns != p.to.ns) {
    fail(w, "a period's name does not mean the period");
  }
}

static void check_period(struct world *w, struct span span) {
  struct error err = {0};
  struct period own, period = {at(span.from), at(span.to)};
  instant within = {period.from.ns + pick(&w->deal, period.to.ns - period.from.ns)};
  expect(w, billing_period_at(w->customer, within, &own, &err), &err);
  if (own.from.ns != period.from.ns || own.to.ns != period.to.ns) {
    fail(w, "the invoice period differs");
  }
  check_name(w, own);
  struct usage *usage = usage_new(w->catalog);
  const struct usage_row *rows;
  size_t count;
  struct rating rating;
  struct naive_bill bill;
  char what[200], from[TIME_TEXT_MAX];
  meter_usage(w, period, usage, &rows, &count);
  expect(w, rate_customer(w->scratch, w->catalog, w->customer, period, rows, count, &rating, &err), &err);
  bill_begin(&bill);
  oracle_period(&w->oracle, span, &bill);
  snprintf(what, sizeof what, "the period from %s differs", time_format(period.from, from));
  compare(w, &bill, &rating, what);
  compare_unpriced(w, &bill, &rating);
  bill_end(&bill);
  usage_free(usage);
  arena_reset(w->scratch);
}

/* The engine's parts are asked which of them open, the oracle's what is due then. */
static void check_openings(struct world *w) {
  struct error err = {0};
  char what[200], text[TIME_TEXT_MAX];
  if (w->customer->contract_count != (size_t)w->oracle.part_count) {
    fail(w, "the number of parts differs");
  }
  for (int i = 0; i < w->oracle.part_count; i++) {
    const struct naive_part *p = &w->oracle.parts[i];
    const struct contract *c = &w->customer->contracts[i];
    bool found;
    expect(w, rate_opens(w->customer, c, &found, &err), &err);
    bool same_end = p->to == FOREVER ? c->to.ns == INSTANT_MAX.ns : c->to.ns == at(p->to).ns;
    if (c->from.ns != at(p->from).ns || !same_end || found != opens(&w->oracle, p)) {
      fail(w, "a part of a contract differs");
    }
    if (p->from >= w->deal.to + 700 * DAY_S) {
      continue;
    }
    struct naive_bill bill;
    struct rating rating;
    bill_begin(&bill);
    oracle_opening(&w->oracle, p->from, &bill);
    expect(w, rate_opening(w->scratch, w->catalog, w->customer, c->from, &rating, &err), &err);
    snprintf(what, sizeof what, "the opening at %s differs", time_format(c->from, text));
    compare(w, &bill, &rating, what);
    bill_end(&bill);
  }
}

static void run(uint64_t seed) {
  struct world *w = mem_alloc(sizeof *w);
  make_world(w, seed);
  check_openings(w);
  for (seconds t = w->deal.from; t < w->deal.to;) {
    struct span p = own_period(&w->deal, t);
    check_period(w, p);
    t = p.to;
  }
  free_world(w);
  free(w);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 1;
  uint64_t cases = cases_text ? strtoull(cases_text, NULL, 10) : getenv("MH_SLOW") ? 20000 : 400;
  printf("prop_contracts: SEED=%llu CASES=%llu\n", (unsigned long long)seed, (unsigned long long)cases);
  for (uint64_t i = 0; i < cases; i++) {
    run(seed + i);
  }
  return 0;
}
