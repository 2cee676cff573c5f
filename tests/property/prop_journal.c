/* A journal under random batches, undone commits, restarts and damaged caches, with fingerprints short enough to
 * collide all the time: verdicts, contents, order and usage against a list kept here. */
#include "base/hash.h"
#include "meter/meter.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IDS 900
#define BATCH_MAX 40
#define STEPS 160

static const char catalog_text[] =
    "currency: EUR\n"
    "seller: {name: S, country: NL, invoice_prefix: S-}\n"
    "meters:\n"
    "  - {name: held, event: e, value: v, aggregation: integral, over: hour, unit: u, series: s, dimensions: [d]}\n"
    "  - {name: total, event: e, value: v, unit: u, dimensions: [d, s]}\n"
    "  - {name: some, event: e, value: v, unit: u, filter: {d: [d1, d2]}}\n"
    "  - {name: times, event: e, aggregation: count, unit: u}\n"
    "  - {name: peak, event: e, value: v, aggregation: max, unit: u, dimensions: [d]}\n"
    "  - {name: last, event: e, value: v, aggregation: latest, unit: u}\n"
    "  - {name: distinct, event: e, value: s, aggregation: unique, unit: u}\n"
    "plans:\n  - {name: p, prices: [{meter: total, price: 1}]}\n"
    "customers:\n  - {id: c, name: C, country: NL, plan: p}\n  - {id: b, name: B, country: NL, plan: p}\n";

struct known {
  int content; /* -1: not taken yet */
  uint64_t number;
};
struct world {
  struct random rng;
  bool corrected; /* corrections come as well */
  const struct catalog *catalog;
  char dir[64];
  struct db *db;
  struct journal *journal;
  struct journal_options options;
  struct known durable[IDS], now[IDS];
  uint64_t durable_count, count;
  struct arena *arena; /* of the open transaction */
};

static void fail(const struct error *err) {
  fprintf(stderr, "prop_journal: %s\n", err->message);
  must(false);
}

static void make_event(struct arena *arena, int id, int content, struct event *e) {
  static const char *const numbers[] = {"0", "1", "17.25", "0.5", "123456789012", "1e2", "0.000000001"};
  struct event_field *fields = arena_array(arena, 3, sizeof *fields);
  fields[0] = (struct event_field){SLICE("d"), slice_of(arena_printf(arena, "d%d", (id + content) % 4)), false};
  fields[1] = (struct event_field){SLICE("s"), slice_of(arena_printf(arena, "s%d", id % 3)), false};
  fields[2] = (struct event_field){SLICE("v"), slice_of(numbers[(id * 7 + content) % 7]), true};
  *e = (struct event){.id = slice_of(id % 2 ? arena_printf(arena, "id-%d", id)
                                            : arena_printf(arena, "0f8fad5b-d9cb-469f-a165-%012d", id)),
                      .source = slice_of(arena_printf(arena, "s/%d", id % 5)),
                      .type = id % 50 == 0 ? SLICE("unmetered") : SLICE("e"),
                      .subject = id % 4 ? SLICE("c") : SLICE("b"),
                      .time = {INT64_C(1790812800) * NS_PER_S + (int64_t)(id * 7919 % 86400) * NS_PER_S / 3 + content},
                      .fields = fields,
                      .field_count = id % 11 == 0 ? 3 : 3};
}

static void open_world(struct world *w) {
  char path[96];
  struct error err = {0};
  const struct db_migration migrations[] = {journal_migrations[0], journal_migrations[1], rollup_migrations[0]};
  snprintf(path, sizeof path, "%s/book.db", w->dir);
  if (!db_open(path, DB_READ_WRITE, &w->db, &err) ||
      !db_migrate(w->db, migrations, sizeof migrations / sizeof *migrations, &err) ||
      !journal_open(w->db, w->dir, &w->options, &w->journal, &err)) {
    fail(&err);
  }
  must(journal_count(w->journal) == w->durable_count);
}

static void close_world(struct world *w) {
  journal_close(w->journal);
  db_close(w->db);
}

static enum verdict expected(const struct world *w, int id, int content) {
  if (w->now[id].content < 0) {
    return EVENT_ACCEPTED;
  }
  return w->now[id].content == content ? EVENT_DUPLICATE : EVENT_CONFLICT;
}

static void append(struct world *w) {
  struct event events[BATCH_MAX];
  enum verdict verdicts[BATCH_MAX];
  int ids[BATCH_MAX], contents[BATCH_MAX];
  size_t count = 1 + random_below(&w->rng, BATCH_MAX);
  struct error err = {0};
  for (size_t i = 0; i < count; i++) {
    ids[i] = (int)random_below(&w->rng, IDS);
    contents[i] = (int)random_below(&w->rng, 2);
    make_event(w->arena, ids[i], contents[i], &events[i]);
  }
  if (!journal_append(w->journal, events, count, verdicts, &err)) {
    fail(&err);
  }
  for (size_t i = 0; i < count; i++) {
    must(verdicts[i] == expected(w, ids[i], contents[i]));
    if (verdicts[i] == EVENT_ACCEPTED) {
      w->now[ids[i]] = (struct known){contents[i], ++w->count};
    }
  }
}

static void aggregate(struct world *w) {
  struct rollup *rollup;
  struct error err = {0};
  struct tidy *tidy;
  if (!journal_tidy_prepare(w->db, &tidy, &err) || (tidy && !journal_tidy_write(w->db, tidy, &err))) {
    fail(&err);
  }
  journal_tidy_free(tidy);
  if (!rollup_prepare(w->db, w->catalog, 1, &rollup, &err) || (rollup && !rollup_write(w->db, rollup, &err))) {
    fail(&err);
  }
  rollup_free(rollup);
}

/* A void of any stored event, or a backfill of any stretch; its number is that of the last event. */
static void correct(struct world *w) {
  const int64_t start = INT64_C(1790812800) * NS_PER_S;
  struct error err = {0};
  bool backfill = random_below(&w->rng, 2);
  struct correction_row row = {.number = w->count,
                               .id = slice_of(arena_printf(w->arena, "c%llu", (unsigned long long)w->count)),
                               .kind = backfill ? SLICE("backfill") : SLICE("void"),
                               .target = backfill ? 0 : 1 + random_below(&w->rng, w->count),
                               .customer = random_below(&w->rng, 2) ? SLICE("c") : SLICE("b"),
                               .meter = random_below(&w->rng, 2) ? SLICE("total") : SLICE("held"),
                               .from = {start + (int64_t)random_below(&w->rng, 30000) * NS_PER_S},
                               .last = w->count};
  row.to.ns = row.from.ns + 1 + (int64_t)random_below(&w->rng, 7200) * NS_PER_S;
  for (int id = 0; id < IDS && row.target > 0; id++) {
    if (w->now[id].content >= 0 && w->now[id].number == row.target) {
      struct event target;
      make_event(w->arena, id, w->now[id].content, &target);
      row.customer = target.subject;
      row.from = target.time;
      row.to.ns = target.time.ns + 1;
    }
  }
  if (!correction_keep(w->db, &row, &err)) {
    fail(&err);
  }
}

static void transact(struct world *w) {
  struct error err = {0};
  w->arena = arena_new();
  must(db_begin(w->db, &err));
  for (size_t i = 1 + random_below(&w->rng, 3); i > 0; i--) {
    append(w);
  }
  bool flushed = random_below(&w->rng, 2) && journal_flush(w->journal, &err);
  if (flushed && w->corrected && w->count > w->durable_count && random_below(&w->rng, 3) == 0) {
    correct(w);
  }
  if (flushed && random_below(&w->rng, 4) == 0) {
    aggregate(w);
  }
  if (random_below(&w->rng, 5) == 0) {
    db_rollback(w->db);
    journal_undo(w->journal);
    memcpy(w->now, w->durable, sizeof w->now);
    w->count = w->durable_count;
  } else {
    if ((!flushed && !journal_flush(w->journal, &err)) || !db_commit(w->db, &err)) {
      fail(&err);
    }
    journal_done(w->journal);
    memcpy(w->durable, w->now, sizeof w->now);
    w->durable_count = w->count;
  }
  arena_free(w->arena);
  must(journal_count(w->journal) == w->count);
}

/* Deletes, cuts or flips a byte of some of the cached runs. */
static void damage_runs(struct world *w) {
  DIR *dir = opendir(w->dir);
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    char path[400];
    struct stat s;
    snprintf(path, sizeof path, "%s/%s", w->dir, entry->d_name);
    if (strstr(entry->d_name, ".run") == NULL || random_below(&w->rng, 3) || stat(path, &s) != 0) {
      continue;
    }
    int fd = open(path, O_RDWR);
    off_t at = (off_t)random_below(&w->rng, (uint64_t)s.st_size);
    char byte;
    must(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 4;
    switch (random_below(&w->rng, 3)) {
    case 0:
      must(unlink(path) == 0);
      break;
    case 1:
      must(ftruncate(fd, at) == 0);
      break;
    default:
      must(pwrite(fd, &byte, 1, at) == 1);
    }
    close(fd);
  }
  closedir(dir);
}

/* ---- what is there at the end ---- */

struct reading {
  struct world *w;
  struct arena *arena;
  uint64_t next;
  struct usage *one_by_one;
};

static bool take_event(void *context, const struct event *e, const struct arrival *arrival, struct error *err) {
  struct reading *r = context;
  must(arrival->number == r->next++ && arrival->received.ns > 0);
  int id = -1;
  for (int i = 0; i < IDS && id < 0; i++) {
    id = r->w->durable[i].content >= 0 && r->w->durable[i].number == arrival->number ? i : -1;
  }
  must(id >= 0);
  struct event want;
  make_event(r->arena, id, r->w->durable[id].content, &want);
  must(slice_eq(e->id, want.id) && slice_eq(e->source, want.source) &&
       event_content_hash(e) == event_content_hash(&want));
  return usage_add(r->one_by_one, e, err);
}

static struct usage *open_usage(const struct catalog *catalog, bool evidence) {
  struct usage *u = usage_new(catalog);
  const int64_t start = INT64_C(1790812800) * NS_PER_S;
  struct period period = {{start + 1800 * NS_PER_S}, {start + 25000 * NS_PER_S}};
  const instant cuts[] = {{start + 7777 * NS_PER_S}};
  if (!evidence) {
    usage_without_evidence(u);
  }
  usage_window(u, SLICE("c"), period, cuts, 1);
  usage_window(u, SLICE("b"), period, NULL, 0);
  return u;
}

static void same_rows(struct usage *a, struct usage *b) {
  const struct usage_row *x, *y;
  size_t x_count, y_count;
  struct error err = {0};
  must(usage_finish(a, &x, &x_count, &err) && usage_finish(b, &y, &y_count, &err) && x_count == y_count);
  for (size_t i = 0; i < x_count; i++) {
    must(x[i].meter == y[i].meter && slice_eq(x[i].customer, y[i].customer) && x[i].from.ns == y[i].from.ns &&
         x[i].to.ns == y[i].to.ns && x[i].value.e9 == y[i].value.e9 && x[i].events == y[i].events);
    for (size_t d = 0; d < x[i].meter->dimension_count; d++) {
      must(slice_eq(x[i].dimensions[d], y[i].dimensions[d]));
    }
  }
}

/* Which way usage is read makes no difference, at any position. */
static void check_ways(struct world *w, const struct catalog *catalog) {
  struct error err = {0};
  for (int i = 0; i < 20; i++) {
    uint64_t position = 1 + random_below(&w->rng, w->durable_count);
    struct usage *kept = open_usage(catalog, false), *events = open_usage(catalog, false);
    if (i == 0) {
      position = w->durable_count;
    }
    if (!usage_load(kept, w->db, position, &err) || !usage_from_events(events, w->db, position, &err)) {
      fail(&err);
    }
    same_rows(kept, events);
    usage_free(kept);
    usage_free(events);
  }
}

static void check_usage(struct world *w, const struct catalog *catalog) {
  struct error err = {0};
  struct journal_range all = {0};
  struct reading r = {w, arena_new(), 1, open_usage(catalog, true)};
  struct usage *with = open_usage(catalog, true), *without = open_usage(catalog, false);
  char digests[2][65];
  uint64_t events[2];
  if (!journal_scan(w->db, &all, take_event, &r, &err) || !usage_load(with, w->db, 0, &err) ||
      !usage_load(without, w->db, 0, &err)) {
    fail(&err);
  }
  must(r.next == w->durable_count + 1);
  same_rows(r.one_by_one, with);
  usage_evidence(r.one_by_one, SLICE("c"), &events[0], digests[0]);
  usage_evidence(with, SLICE("c"), &events[1], digests[1]);
  must(events[0] == events[1] && strcmp(digests[0], digests[1]) == 0);
  same_rows(with, without);
  usage_free(r.one_by_one);
  usage_free(with);
  usage_free(without);
  arena_free(r.arena);
}

static void no_bad(void *context, const char *what) {
  (void)context;
  fprintf(stderr, "prop_journal: %s\n", what);
  must(false);
}

static void check_world(struct world *w, const struct catalog *catalog) {
  struct error err = {0};
  struct journal_memory memory;
  uint64_t events;
  must(journal_check(w->db, no_bad, NULL, &events, &err) && events == w->durable_count);
  if (w->corrected) {
    check_ways(w, catalog);
    return;
  }
  check_usage(w, catalog);
  must(db_begin(w->db, &err));
  aggregate(w);
  must(db_commit(w->db, &err));
  check_usage(w, catalog);
  journal_memory(w->journal, &memory);
  must(memory.recent_events + memory.older_events == w->durable_count);
}

static void run_world(uint64_t seed, const struct catalog *catalog) {
  static const unsigned bits[] = {2, 5, 9, 64};
  struct world w = {.catalog = catalog, .dir = "/tmp/mh_journal.XXXXXX"};
  char command[96];
  random_seed(&w.rng, seed, 0);
  must(mkdtemp(w.dir) != NULL);
  w.corrected = seed % 2 == 0;
  w.options.fingerprint_bits = bits[random_below(&w.rng, 4)];
  w.options.window_events = 8 + (uint32_t)random_below(&w.rng, 120);
  for (int i = 0; i < IDS; i++) {
    w.now[i].content = w.durable[i].content = -1;
  }
  open_world(&w);
  for (int i = 0; i < STEPS; i++) {
    transact(&w);
    if (random_below(&w.rng, 12) == 0) {
      close_world(&w);
      if (random_below(&w.rng, 2)) {
        damage_runs(&w);
      }
      open_world(&w);
    }
  }
  check_world(&w, catalog);
  close_world(&w);
  snprintf(command, sizeof command, "rm -rf %s", w.dir);
  must(system(command) == 0);
}

int main(void) {
  const char *seed_text = getenv("SEED"), *cases_text = getenv("CASES");
  uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 1,
           cases = cases_text ? strtoull(cases_text, NULL, 10) : 8;
  struct catalog *catalog;
  struct error err = {0};
  struct catalog_text text = {"catalog.yaml", SLICE(catalog_text)};
  if (!catalog_parse(&text, 1, &catalog, &err)) {
    fail(&err);
  }
  for (uint64_t i = 0; i < cases; i++) {
    printf("prop_journal: SEED=%llu CASES=1\n", (unsigned long long)(seed + i));
    fflush(stdout);
    run_world(seed + i, catalog);
  }
  catalog_free(catalog);
  return 0;
}
