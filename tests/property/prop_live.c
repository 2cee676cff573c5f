/* The live view beside usage read from scratch: random events, late ones, corrections, edges of hours, days and months,
 * in three zones, followed in steps of any size. */
#include "base/hash.h"
#include "live/live.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEPS 60
#define BATCH_MAX 12
#define START_S INT64_C(1793404800) /* 2026-10-31T00:00:00Z: all months end soon */

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
    "  - {name: planned, event: f, value: v, unit: u}\n"
    "plans:\n"
    "  - name: p\n"
    "    prices: [{meter: total, price: 1}]\n"
    "    alerts: [{name: d, meter: total, per: day, at: 1}, {name: h, meter: total, per: hour, at: 1}]\n"
    "customers:\n"
    "  - {id: a, name: A, country: NL, plan: p}\n"
    "  - {id: b, name: B, country: NL, plan: p, time_zone: Asia/Kathmandu}\n"
    "  - {id: c, name: C, country: NL, plan: p, time_zone: America/New_York}\n";
static const char *const customers[] = {"a", "b", "c"};

struct world {
  struct random rng;
  char dir[64], catalog_path[96];
  struct book *book, *reader;
  struct live_view *view;
  instant now;
  unsigned next_id;
  slice customers[STEPS * BATCH_MAX + 1]; /* of each event, by number */
};

static void done(bool ok, const struct error *err) {
  if (!ok) {
    fprintf(stderr, "prop_live: %s\n", err->message);
    must(false);
  }
}

static void open_world(struct world *w, uint64_t seed) {
  struct error err = {0};
  *w = (struct world){.dir = "/tmp/prop_live.XXXXXX", .now = {START_S * NS_PER_S}};
  random_seed(&w->rng, seed, 1);
  must(mkdtemp(w->dir) != NULL);
  snprintf(w->catalog_path, sizeof w->catalog_path, "%s/c.yaml", w->dir);
  FILE *f = fopen(w->catalog_path, "w");
  must(f && fputs(catalog_text, f) >= 0 && fclose(f) == 0);
  done(book_open(w->dir, w->catalog_path, BOOK_WRITE, &w->book, &err), &err);
  done(book_open_reader(w->book, &w->reader, &err), &err);
  w->view = live_view_new(book_catalog(w->book));
}

static void close_world(struct world *w) {
  char command[128];
  live_view_free(w->view);
  book_close(w->reader);
  book_close(w->book);
  snprintf(command, sizeof command, "rm -rf %s", w->dir);
  must(system(command) == 0);
}

/* Mostly of now, often at an edge, sometimes of weeks ago. */
static instant random_time(struct world *w) {
  static const int64_t edges_s[] = {3600, 86400, 900};
  int64_t s = w->now.ns / NS_PER_S;
  switch (random_below(&w->rng, 6)) {
  case 0:
    s -= (int64_t)random_below(&w->rng, 40 * 86400);
    break;
  case 1:
    s -= (int64_t)random_below(&w->rng, 60);
    break;
  default:
    s -= (int64_t)random_below(&w->rng, 4000);
  }
  if (random_below(&w->rng, 3) == 0) {
    int64_t edge = edges_s[random_below(&w->rng, 3)];
    s -= s % edge;
  }
  return (instant){s * NS_PER_S - (random_below(&w->rng, 5) == 0)};
}

static void make_event(struct world *w, struct arena *arena, struct event *e) {
  struct event_field *fields = arena_array(arena, 3, sizeof *fields);
  bool future = random_below(&w->rng, 12) == 0;
  fields[0].name = SLICE("d");
  fields[0].value = slice_of(arena_printf(arena, "d%u", (unsigned)random_below(&w->rng, 2)));
  fields[1].name = SLICE("s");
  fields[1].value = slice_of(arena_printf(arena, "s%u", (unsigned)random_below(&w->rng, 4)));
  fields[2] = (struct event_field){
      SLICE("v"), slice_of(arena_printf(arena, "%u.%03u", (unsigned)random_below(&w->rng, 9), w->next_id % 1000)),
      true};
  *e = (struct event){.id = slice_of(arena_printf(arena, "i%u", w->next_id++)),
                      .source = SLICE("x"),
                      .type = future ? SLICE("f") : SLICE("e"),
                      .subject = slice_of(customers[random_below(&w->rng, 3)]),
                      .time = future ? (instant){w->now.ns + (int64_t)random_below(&w->rng, 5000) * NS_PER_S}
                                     : random_time(w),
                      .fields = fields,
                      .field_count = 3};
}

/* Takes an earlier event out, as a correction does: in the transaction of the event that says so. */
static void correct(struct world *w, struct error *err) {
  uint64_t count = journal_count(book_journal(w->book));
  uint64_t target = 1 + random_below(&w->rng, count);
  char id[24];
  snprintf(id, sizeof id, "%llu", (unsigned long long)count);
  const struct correction_row row = {.number = count,
                                     .id = slice_of(id),
                                     .kind = SLICE("void"),
                                     .target = target,
                                     .customer = w->customers[target],
                                     .to = INSTANT_MAX};
  done(correction_keep(book_db(w->book), &row, err), err);
}

static void take_batch(struct world *w) {
  struct error err = {0};
  struct arena *arena = arena_new();
  size_t count = 1 + random_below(&w->rng, BATCH_MAX);
  struct event *events = arena_array(arena, count, sizeof *events);
  struct ingest_result *results = arena_array(arena, count, sizeof *results);
  for (size_t i = 0; i < count; i++) {
    make_event(w, arena, &events[i]);
  }
  done(book_begin(w->book, &err), &err);
  done(book_ingest(w->book, arena, events, count, results, &err), &err);
  for (size_t i = 0; i < count; i++) {
    must(results[i].verdict == EVENT_ACCEPTED);
    w->customers[journal_count(book_journal(w->book)) - count + 1 + i] =
        catalog_customer(book_catalog(w->book), events[i].subject)->id;
  }
  if (random_below(&w->rng, 4) == 0) {
    correct(w, &err);
  }
  done(book_commit(w->book, &err), &err);
  if (random_below(&w->rng, 8) == 0) {
    done(book_aggregate(w->book, &err), &err);
  }
  arena_free(arena);
}

static quantity total_of(const struct meter *meter, const struct usage_row *rows, size_t count) {
  quantity total = QUANTITY_ZERO;
  struct error err;
  bool first = true;
  for (size_t i = 0; i < count; i++) {
    if (rows[i].meter == meter) {
      must(usage_combine(meter->aggregation, &total, rows[i].value, first, &err));
      first = false;
    }
  }
  return total;
}

static void compare_one(struct world *w, const char *customer, enum watch_per per) {
  const struct catalog *catalog = book_catalog(w->book);
  struct error err = {0};
  struct period period;
  quantity live;
  must(live_view_usage(w->view, slice_of(customer), SLICE("total"), per, w->now, &live, &period));
  must(w->now.ns >= period.from.ns && w->now.ns < period.to.ns);
  struct usage *usage = usage_new(catalog);
  const struct usage_row *rows;
  size_t count;
  usage_without_evidence(usage);
  usage_until(usage, w->now);
  usage_window(usage, slice_of(customer), period, NULL, 0);
  done(usage_load(usage, book_db(w->book), 0, &err) && usage_finish(usage, &rows, &count, &err), &err);
  for (size_t m = 0; m < catalog->meter_count; m++) {
    const struct meter *meter = &catalog->meters[m];
    quantity scratch = total_of(meter, rows, count);
    must(live_view_usage(w->view, slice_of(customer), meter->name, per, w->now, &live, &period));
    int128 difference = live.e9 - scratch.e9;
    /* Between two loads the share of each level is rounded down, once. */
    int128 allowed = meter->aggregation == AGG_INTEGRAL ? 50 : 0;
    if (difference > allowed || difference < -allowed) {
      char text[2][DECIMAL_TEXT_MAX], when[TIME_TEXT_MAX];
      fprintf(stderr, "prop_live: at %s customer %s, %s a %s: live %s, from scratch %s\n", time_format(w->now, when),
              customer, meter->name.ptr, watch_per_name(per), quantity_text(live, text[0]),
              quantity_text(scratch, text[1]));
      must(false);
    }
  }
  usage_free(usage);
}

static void compare(struct world *w) {
  for (size_t c = 0; c < 3; c++) {
    for (enum watch_per per = WATCH_MONTH; per < WATCH_PERS; per++) {
      compare_one(w, customers[c], per);
    }
  }
}

static void run_case(uint64_t seed) {
  struct world w;
  struct error err = {0};
  open_world(&w, seed);
  for (int i = 0; i < STEPS; i++) {
    if (random_below(&w.rng, 3) > 0) {
      take_batch(&w);
    }
    bool reload = random_below(&w.rng, 3) > 0;
    done(live_view_follow(w.view, w.reader, w.now, reload, &err), &err);
    if (reload) {
      compare(&w);
    }
    w.now.ns += (int64_t)random_below(&w.rng, 4 * 3600) * NS_PER_S / (random_below(&w.rng, 2) ? 1 : 60);
  }
  close_world(&w);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 1;
  unsigned long cases = cases_text ? strtoul(cases_text, NULL, 10) : 10;
  printf("prop_live: SEED=%llu CASES=%lu\n", (unsigned long long)seed, cases);
  for (unsigned long i = 0; i < cases; i++) {
    run_case(seed + i);
  }
  return 0;
}
