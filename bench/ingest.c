/* Ingest, figures: a book filled with events of random ids, then opened, asked and rated again. One JSON line each.
 * usage: ingest-bench FOLDER EVENTS [EVENTS_A_COMMIT]; with 0 events only what is in the FOLDER is asked. */
#include "base/file.h"
#include "base/hash.h"
#include "book/book.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define CUSTOMERS 1000
#define MODELS 4
#define BATCH_MAX 65536

static double seconds_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(bool ok, const struct error *err) {
  if (!ok) {
    fprintf(stderr, "ingest-bench: %s\n", err->message);
  }
  must(ok);
}

static void write_catalog(const char *path) {
  struct buf b;
  struct error err = {0};
  buf_init(&b, 1u << 24);
  buf_add(&b, SLICE("currency: USD\n"
                    "seller: {name: Bench, country: NL, invoice_prefix: B-}\n"
                    "meters:\n"
                    "  - {name: input, event: model.usage, value: input_tokens, unit: token, dimensions: [model]}\n"
                    "  - {name: output, event: model.usage, value: output_tokens, unit: token, dimensions: [model]}\n"
                    "plans:\n"
                    "  - name: p\n"
                    "    prices:\n"
                    "      - {name: in, meter: input, price: 0.55, per: 1000000}\n"
                    "      - {name: out, meter: output, price: 2.19, per: 1000000}\n"
                    "customers:\n"));
  for (int i = 0; i < CUSTOMERS; i++) {
    buf_addf(&b, "  - {id: c%06d, name: C%d, country: NL, plan: p}\n", i, i);
  }
  check(file_write(path, buf_slice(&b), &err), &err);
  buf_free(&b);
}

static void random_uuid(struct random *r, char text[37]) {
  uint64_t a = random_u64(r), b = random_u64(r);
  snprintf(text, 37, "%08x-%04x-4%03x-a%03x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff),
           (unsigned)(a & 0xfff), (unsigned)(b >> 48 & 0xfff), (unsigned long long)(b & 0xffffffffffff));
}

/* A month of calls in order of time, a few seconds apart at most, by a thousand customers. */
static void make_batch(struct arena *arena, struct random *r, struct event *events, size_t count, uint64_t first,
                       uint64_t total) {
  static const char *const models[MODELS] = {"llama-70b", "qwen-32b", "mixtral", "phi-4"};
  const int64_t start = INT64_C(1790812800), month_ms = INT64_C(30) * 86400 * 1000; /* 2026-10-01 */
  for (size_t i = 0; i < count; i++) {
    struct event_field *fields = arena_array(arena, 3, sizeof *fields);
    char *id = arena_alloc(arena, 37);
    uint64_t number = first + i;
    random_uuid(r, id);
    fields[0] = (struct event_field){SLICE("input_tokens"),
                                     slice_of(arena_printf(arena, "%u", (unsigned)random_below(r, 8000))), true};
    fields[1] = (struct event_field){SLICE("model"), slice_of(models[random_below(r, MODELS)]), false};
    fields[2] = (struct event_field){SLICE("output_tokens"),
                                     slice_of(arena_printf(arena, "%u", (unsigned)random_below(r, 2000))), true};
    int64_t ms = (int64_t)((unsigned __int128)number * (uint64_t)month_ms / total) + (int64_t)random_below(r, 2000);
    events[i] = (struct event){.id = {id, 36},
                               .source = SLICE("gateway/eu-1"),
                               .type = SLICE("model.usage"),
                               .subject = slice_of(arena_printf(arena, "c%06u", (unsigned)random_below(r, CUSTOMERS))),
                               .time = {(start * 1000 + ms) * 1000000},
                               .fields = fields,
                               .field_count = 3};
  }
}

struct filling {
  struct book *book;
  struct random random;
  uint64_t total;
  size_t batch;
};

/* Only the time inside the book counts, not that of making up events. */
static void fill(struct filling *f, uint64_t first, uint64_t count, double *wall_s, double *cpu_s) {
  struct arena *arena = arena_new();
  struct error err = {0};
  *wall_s = *cpu_s = 0;
  for (uint64_t done = 0; done < count;) {
    size_t some = count - done < f->batch ? (size_t)(count - done) : f->batch;
    arena_reset(arena);
    struct event *events = arena_array(arena, some, sizeof *events);
    struct ingest_result *results = arena_array(arena, some, sizeof *results);
    make_batch(arena, &f->random, events, some, first + done, f->total);
    double wall = seconds_of(CLOCK_MONOTONIC), cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    check(book_begin(f->book, &err) && book_ingest(f->book, arena, events, some, results, &err) &&
              book_commit(f->book, &err),
          &err);
    *wall_s += seconds_of(CLOCK_MONOTONIC) - wall;
    *cpu_s += seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    done += some;
  }
  arena_free(arena);
}

static double file_bytes(const char *folder, const char *name) {
  char path[512];
  struct stat s;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return stat(path, &s) == 0 ? (double)s.st_size : 0;
}

static void report_fill(const char *folder, struct filling *f) {
  double first_rate = 0;
  for (uint64_t done = 0; done < f->total;) {
    uint64_t some = f->total - done < 1000000 ? f->total - done : 1000000;
    double wall, cpu;
    fill(f, done, some, &wall, &cpu);
    done += some;
    first_rate = first_rate > 0 ? first_rate : (double)some / wall;
    uint64_t stored = done;
    bool tell_it = stored <= 2000000 || stored % 10000000 == 0 || stored == f->total;
    if (tell_it) {
      struct journal_memory m;
      journal_memory(book_journal(f->book), &m);
      printf("{\"bench\":\"ingest\",\"stored\":%llu,\"events_per_s\":%.0f,\"of_first_million\":%.2f,"
             "\"cpu_ns_per_event\":%.0f,\"recent_bytes_per_event\":%.1f,\"older_bytes_per_event\":%.2f,"
             "\"store_bytes_per_event\":%.1f}\n",
             (unsigned long long)stored, (double)some / wall, (double)some / wall / first_rate,
             cpu / (double)some * 1e9, m.recent_events ? (double)m.recent_bytes / (double)m.recent_events : 0,
             m.older_events ? (double)m.older_bytes / (double)m.older_events : 0,
             file_bytes(folder, "book.db") / (double)stored);
      fflush(stdout);
    }
  }
}

static void report_time(const char *what, double seconds, double events) {
  printf("{\"bench\":\"%s\",\"seconds\":%.3f,\"events_per_s\":%.0f}\n", what, seconds, events / seconds);
  fflush(stdout);
}

static void ask(struct book *book, slice customer, const char *what) {
  struct rating_set set;
  struct error err = {0};
  struct period year = {{INT64_C(1767225600) * NS_PER_S}, {INT64_C(1798761600) * NS_PER_S}}; /* 2026 */
  double begin = seconds_of(CLOCK_MONOTONIC);
  check(book_usage(book, customer, year, (instant){0}, &set, &err), &err);
  double seconds = seconds_of(CLOCK_MONOTONIC) - begin;
  printf("{\"bench\":\"%s\",\"seconds\":%.3f,\"rows\":%zu}\n", what, seconds, set.row_count);
  fflush(stdout);
  rating_set_free(&set);
}

static void rate_again(struct book *book, uint64_t events) {
  struct rating_set set;
  struct error err = {0};
  double begin = seconds_of(CLOCK_MONOTONIC);
  check(book_rerate(book, SLICE("2026-10"), &set, &err), &err);
  report_time("re-rate", seconds_of(CLOCK_MONOTONIC) - begin, (double)events);
  rating_set_free(&set);
}

int main(int argc, char **argv) {
  char dir[256], catalog[300];
  struct error err = {0};
  if (argc < 3 || strlen(argv[1]) > 200) {
    fprintf(stderr, "usage: ingest-bench FOLDER EVENTS [EVENTS_A_COMMIT]\n");
    return 2;
  }
  struct filling f = {.total = strtoull(argv[2], NULL, 10),
                      .batch = argc > 3 ? (size_t)strtoul(argv[3], NULL, 10) : 8192};
  if (f.batch == 0 || f.batch > BATCH_MAX) {
    fprintf(stderr, "ingest-bench: EVENTS_A_COMMIT is a number from 1 to %d\n", BATCH_MAX);
    return 2;
  }
  snprintf(dir, sizeof dir, "%s/book", argv[1]);
  snprintf(catalog, sizeof catalog, "%s/catalog.yaml", argv[1]);
  check(file_make_dirs(argv[1], &err), &err);
  write_catalog(catalog);
  check(book_open(dir, catalog, BOOK_WRITE, &f.book, &err), &err);
  random_seed(&f.random, 42, 0);
  report_fill(dir, &f);
  book_close(f.book);
  double begin = seconds_of(CLOCK_MONOTONIC);
  check(book_open(dir, catalog, BOOK_WRITE, &f.book, &err), &err);
  f.total = journal_count(book_journal(f.book));
  report_time("open", seconds_of(CLOCK_MONOTONIC) - begin, (double)f.total);
  begin = seconds_of(CLOCK_MONOTONIC);
  check(book_aggregate(f.book, &err), &err);
  report_time("aggregate", seconds_of(CLOCK_MONOTONIC) - begin, (double)f.total);
  ask(f.book, SLICE("c000007"), "usage of one customer over a year");
  ask(f.book, (slice){0}, "usage of all customers over a year");
  rate_again(f.book, f.total);
  book_close(f.book);
  return 0;
}
