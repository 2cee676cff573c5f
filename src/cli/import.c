/* meterhouse import: events from files into the book, each exactly once, a durable batch at a time. */
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "book/book.h"
#include "cli/cli.h"

struct totals {
  uint64_t accepted, duplicates, conflicts, invalid;
};

struct intake {
  struct book *book;
  struct arena *arena;
  const char *file;
  struct totals file_totals, totals;
  struct cli_listing refused;
};

static void refuse(struct intake *intake, const char *file, uint64_t line, const char *verdict, const char *why) {
  char text[1200];
  snprintf(text, sizeof text, "%s:%llu: %s: %s", file, (unsigned long long)line, verdict, why);
  cli_list(&intake->refused, text);
}

static void count_results(struct intake *intake, const struct ingest_result *results, const uint64_t *lines,
                          size_t count, struct totals *batch) {
  for (size_t i = 0; i < count; i++) {
    switch (results[i].verdict) {
    case EVENT_ACCEPTED:
      batch->accepted++;
      break;
    case EVENT_DUPLICATE:
      batch->duplicates++;
      break;
    case EVENT_CONFLICT:
      batch->conflicts++;
      break;
    case EVENT_INVALID:
      batch->invalid++;
      break;
    }
    if (results[i].reason) {
      refuse(intake, intake->file, lines[i], verdict_name(results[i].verdict), results[i].reason);
    }
  }
}

static void add_totals(struct totals *to, const struct totals *from) {
  to->accepted += from->accepted;
  to->duplicates += from->duplicates;
  to->conflicts += from->conflicts;
  to->invalid += from->invalid;
}

/* One batch, one commit: when this returns true its events are durable. */
static bool take(void *context, const struct event *events, const uint64_t *lines, size_t count, struct error *err) {
  struct intake *intake = context;
  arena_reset(intake->arena);
  struct ingest_result *results = arena_array(intake->arena, count, sizeof *results);
  struct totals batch = {0};
  if (!book_begin(intake->book, err)) {
    return false;
  }
  if (!book_ingest(intake->book, intake->arena, events, count, results, err)) {
    book_undo(intake->book);
    return false;
  }
  count_results(intake, results, lines, count, &batch);
  book_count(intake->book, batch.duplicates, batch.conflicts, batch.invalid);
  if (!book_commit(intake->book, err)) {
    return false;
  }
  add_totals(&intake->file_totals, &batch);
  log_progress("events", intake->totals.accepted + intake->file_totals.accepted, 0);
  return true;
}

static bool bad(void *context, const char *file, uint64_t line, const struct error *why) {
  struct intake *intake = context;
  intake->file_totals.invalid++;
  refuse(intake, file, line, "invalid", why->message);
  return true;
}

static void print_totals(const char *name, const struct totals *t, bool json) {
  if (!json) {
    printf("%s: %llu accepted, %llu duplicate, %llu conflict, %llu invalid\n", name, (unsigned long long)t->accepted,
           (unsigned long long)t->duplicates, (unsigned long long)t->conflicts, (unsigned long long)t->invalid);
    return;
  }
  struct buf out;
  struct json_out w;
  buf_init(&out, 1u << 16);
  json_out_init(&w, &out, false);
  json_open_object(&w);
  json_put_cstr(&w, "file", name);
  json_put_int(&w, "accepted", (int64_t)t->accepted);
  json_put_int(&w, "duplicate", (int64_t)t->duplicates);
  json_put_int(&w, "conflict", (int64_t)t->conflicts);
  json_put_int(&w, "invalid", (int64_t)t->invalid);
  json_close_object(&w);
  printf(SLICE_FMT "\n", SLICE_ARG(buf_slice(&out)));
  buf_free(&out);
}

/* The line that says a file is in: it must not wait in a buffer, for whoever reads it counts on it. */
static bool import_file(struct intake *intake, const char *file, const struct csv_map *map, bool json,
                        struct error *err) {
  intake->file = file;
  intake->file_totals = (struct totals){0};
  struct event_reader_hooks hooks = {take, bad, intake};
  bool ok = events_read_file(file, map, clock_now(), &hooks, err);
  add_totals(&intake->totals, &intake->file_totals);
  log_progress("events", intake->totals.accepted, intake->totals.accepted);
  print_totals(file, &intake->file_totals, json);
  fflush(stdout);
  return ok;
}

static bool import_all(struct intake *intake, const struct cli_args *args, const struct csv_map *map,
                       struct error *err) {
  bool json = cli_json(args), ok = true;
  for (size_t i = 0; ok && i < args->rest_count; i++) {
    ok = import_file(intake, args->rest[i], map, json, err);
  }
  if (args->rest_count > 1) {
    print_totals("total", &intake->totals, json);
  }
  cli_list_end(&intake->refused);
  return ok;
}

static int run(const struct cli_args *args) {
  struct error err = {0};
  struct intake intake = {.arena = arena_new()};
  struct csv_map *map = NULL;
  const char *map_path = cli_value(args, "--map");
  bool ok = (!map_path || csv_map_load(map_path, &map, &err)) &&
            book_open(cli_value(args, "--data"), cli_value(args, "--catalog"), BOOK_WRITE, &intake.book, &err) &&
            import_all(&intake, args, map, &err) && book_aggregate(intake.book, &err);
  book_close(intake.book);
  csv_map_free(map);
  arena_free(intake.arena);
  if (!ok) {
    return cli_fail(args, &err);
  }
  return intake.totals.conflicts + intake.totals.invalid == 0 ? CLI_EXIT_DONE : CLI_EXIT_FAILED;
}

const struct cli_command cli_import = {
    .name = "import",
    .summary = "take usage events from files into a book, each exactly once",
    .rest = "FILE...",
    .rest_min = 1,
    .rest_max = SIZE_MAX,
    .example = "meterhouse import --data book --catalog catalog usage-2026-10.ndjson.gz\n"
               "  meterhouse import --data book --map examples/openb/openb.map.yaml pods.csv",
    .options = {CLI_OPTION_DATA,
                {"--catalog", "DIR", "the catalog; remembered by the book", false},
                {"--map", "MAP.yaml", "the files are CSV: which column is what", false},
                CLI_OPTION_FORMAT},
    .run = run,
};
