/* Ingest, figures: a book filled with events of random ids, then opened, asked and rated again. One JSON line each.
 * usage: ingest-bench FOLDER EVENTS [EVENTS_A_COMMIT]; with 0 events only what is in the FOLDER is asked. */
#include "base/file.h"
#include "book/book.h"
#include "calls.h"
#include "measure.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BATCH_MAX 65536

struct filling {
  struct book *book;
  struct random random;
  uint64_t total;
  size_t batch;
};

/* Only what happens inside the book counts, not the making up of events. */
static struct measure fill(struct filling *f, uint64_t first, uint64_t count) {
  struct arena *arena = arena_new();
  struct error err = {0};
  struct measure sum = {0};
  for (uint64_t done = 0; done < count;) {
    size_t some = count - done < f->batch ? (size_t)(count - done) : f->batch;
    arena_reset(arena);
    struct event *events = arena_array(arena, some, sizeof *events);
    struct ingest_result *results = arena_array(arena, some, sizeof *results);
    calls_make(arena, &f->random, events, some, first + done, f->total);
    struct measure begin = measure_now();
    measure_check(book_begin(f->book, &err) && book_ingest(f->book, arena, events, some, results, &err) &&
                      book_commit(f->book, &err),
                  &err);
    measure_add(&sum, &begin);
    done += some;
  }
  arena_free(arena);
  return sum;
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
    struct measure took = fill(f, done, some);
    done += some;
    first_rate = first_rate > 0 ? first_rate : (double)some / took.wall_s;
    uint64_t stored = done;
    bool tell_it = stored <= 2000000 || stored % 10000000 == 0 || stored == f->total;
    if (tell_it) {
      struct journal_memory m;
      journal_memory(book_journal(f->book), &m);
      printf("{\"bench\":\"ingest\",\"stored\":%llu,\"events_per_s\":%.0f,\"of_first_million\":%.2f,"
             "\"cpu_ns_per_event\":%.0f,\"recent_bytes_per_event\":%.1f,\"older_bytes_per_event\":%.2f,"
             "\"store_bytes_per_event\":%.1f",
             (unsigned long long)stored, (double)some / took.wall_s, (double)some / took.wall_s / first_rate,
             took.cpu_s / (double)some * 1e9, m.recent_events ? (double)m.recent_bytes / (double)m.recent_events : 0,
             m.older_events ? (double)m.older_bytes / (double)m.older_events : 0,
             file_bytes(folder, "book.db") / (double)stored);
      if (measure_counts_instructions()) {
        printf(",\"instructions_per_event\":%.0f", took.instructions / (double)some);
      }
      printf("}\n");
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
  double begin = measure_wall_s();
  measure_check(book_usage(book, customer, year, (instant){0}, &set, &err), &err);
  double seconds = measure_wall_s() - begin;
  printf("{\"bench\":\"%s\",\"seconds\":%.3f,\"rows\":%zu}\n", what, seconds, set.row_count);
  fflush(stdout);
  rating_set_free(&set);
}

static void rate_again(struct book *book, uint64_t events) {
  struct rating_set set;
  struct error err = {0};
  double begin = measure_wall_s();
  measure_check(book_rerate(book, SLICE("2026-10"), &set, &err), &err);
  report_time("re-rate", measure_wall_s() - begin, (double)events);
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
  measure_check(file_make_dirs(argv[1], &err), &err);
  calls_write_catalog(catalog);
  measure_check(book_open(dir, catalog, BOOK_WRITE, &f.book, &err), &err);
  random_seed(&f.random, 42, 0);
  report_fill(dir, &f);
  book_close(f.book);
  double begin = measure_wall_s();
  measure_check(book_open(dir, catalog, BOOK_WRITE, &f.book, &err), &err);
  f.total = journal_count(book_journal(f.book));
  report_time("open", measure_wall_s() - begin, (double)f.total);
  begin = measure_wall_s();
  measure_check(book_aggregate(f.book, &err), &err);
  report_time("aggregate", measure_wall_s() - begin, (double)f.total);
  ask(f.book, SLICE("c000007"), "usage of one customer over a year");
  ask(f.book, (slice){0}, "usage of all customers over a year");
  rate_again(f.book, f.total);
  book_close(f.book);
  return 0;
}
