/* meterhouse void, amend, backfill: correct what was metered. Each shows its effect in money; --preview changes
 * nothing.
 */
#include "base/file.h"
#include "base/hash.h"
#include "book/book.h"
#include "cli/cli.h"
#include <stdlib.h>

#define EVENT_FILE_BYTES_MAX EVENT_BYTES_MAX

struct correcting {
  const struct cli_args *args;
  struct arena *arena;
  struct book *book;
  struct correction_request request;
  VEC(struct event) events;
  struct cli_listing refused;
};

static slice id_of(struct correcting *c) {
  char text[ID_TEXT_MAX];
  const char *given = cli_value(c->args, "--id");
  return given ? slice_of(given) : arena_copy(c->arena, slice_of(id_new("cor", text)));
}

static bool print_effects(const struct correction_result *r, struct error *err) {
  for (size_t i = 0; i < r->effect_count; i++) {
    const struct correction_effect *e = &r->effects[i];
    char before[DECIMAL_TEXT_MAX], after[DECIMAL_TEXT_MAX], by[DECIMAL_TEXT_MAX];
    amount difference;
    if (!amount_sub(e->after, e->before, &difference, err)) {
      return false;
    }
    printf("customer " SLICE_FMT ", " SLICE_FMT ": %s becomes %s %s (%s)%s\n", SLICE_ARG(e->customer),
           SLICE_ARG(e->period), amount_text(e->before, before), amount_text(e->after, after), e->currency->code,
           amount_text(difference, by), e->invoiced ? "; it is invoiced: the next document adjusts it" : "");
  }
  return true;
}

static bool apply(struct correcting *c, struct correction_result *out, struct error *err) {
  if (!book_begin(c->book, err)) {
    return false;
  }
  if (!book_correct(c->book, c->arena, &c->request, out, err)) {
    book_undo(c->book);
    return false;
  }
  return book_commit(c->book, err);
}

static bool preview_and_apply(struct correcting *c, struct error *err) {
  struct correction_result preview, done;
  if (!book_correct_preview(c->book, c->arena, &c->request, &preview, err) || !print_effects(&preview, err)) {
    return false;
  }
  if (cli_flag(c->args, "--preview")) {
    printf("nothing was changed\n");
    return true;
  }
  if (!apply(c, &done, err)) {
    return false;
  }
  printf(done.repeated ? "correction " SLICE_FMT " was made before: nothing was changed\n"
                       : "correction " SLICE_FMT " is made\n",
         SLICE_ARG(done.id));
  return true;
}

static int finish(struct correcting *c, bool ok, struct error *err) {
  ok = ok && book_open(cli_value(c->args, "--data"), cli_value(c->args, "--catalog"), BOOK_WRITE, &c->book, err) &&
       preview_and_apply(c, err);
  int code = ok ? CLI_EXIT_DONE : cli_fail(c->args, err);
  cli_list_end(&c->refused);
  book_close(c->book);
  vec_free(&c->events);
  arena_free(c->arena);
  return code;
}

static struct correcting begin(const struct cli_args *args, enum correction_kind kind) {
  struct correcting c = {.args = args, .arena = arena_new()};
  const char *reason = cli_value(args, "--reason");
  c.request = (struct correction_request){.id = id_of(&c), .kind = kind, .reason = slice_of(reason)};
  return c;
}

static int run_void(const struct cli_args *args) {
  struct error err = {0};
  struct correcting c = begin(args, CORRECT_VOID);
  c.request.source = slice_of(cli_value(args, "--source"));
  c.request.event_id = slice_of(cli_value(args, "--event"));
  return finish(&c, true, &err);
}

static int run_amend(const struct cli_args *args) {
  struct error err = {0};
  slice text;
  struct correcting c = begin(args, CORRECT_AMEND);
  struct event *event = arena_alloc(c.arena, sizeof *event);
  c.request.source = slice_of(cli_value(args, "--source"));
  c.request.event_id = slice_of(cli_value(args, "--event"));
  c.request.events = event;
  c.request.count = 1;
  bool ok = file_read(c.arena, args->rest[0], EVENT_FILE_BYTES_MAX, &text, &err) &&
            (event_from_text(c.arena, text, (instant){0}, event, &err) || error_at(&err, "%s", args->rest[0]));
  return finish(&c, ok, &err);
}

/* ---- backfill ---- */

static bool take(void *context, const struct event *events, const uint64_t *lines, size_t count, struct error *err) {
  (void)lines;
  (void)err;
  struct correcting *c = context;
  for (size_t i = 0; i < count; i++) {
    vec_push(&c->events, event_copy(c->arena, &events[i]));
  }
  return true;
}

static bool bad(void *context, const char *file, uint64_t line, const struct error *why) {
  struct correcting *c = context;
  tell(cli_list, &c->refused, "%s:%llu: %s", file, (unsigned long long)line, why->message);
  return true;
}

static bool take_range(struct correcting *c, struct error *err) {
  const struct cli_args *args = c->args;
  return (time_parse_rfc3339(slice_of(cli_value(args, "--from")), &c->request.range.from, err) ||
          error_at(err, "--from")) &&
         (time_parse_rfc3339(slice_of(cli_value(args, "--to")), &c->request.range.to, err) || error_at(err, "--to"));
}

static int run_backfill(const struct cli_args *args) {
  struct error err = {0};
  struct csv_map *map = NULL;
  struct correcting c = begin(args, CORRECT_BACKFILL);
  const struct event_reader_hooks hooks = {take, bad, &c};
  const char *map_path = cli_value(args, "--map");
  c.request.customer = slice_of(cli_value(args, "--customer"));
  c.request.meter = slice_of(cli_value(args, "--meter"));
  bool ok = take_range(&c, &err) && (!map_path || csv_map_load(map_path, &map, &err));
  for (size_t i = 0; ok && i < args->rest_count; i++) {
    ok = events_read_file(args->rest[i], map, (instant){0}, &hooks, &err);
  }
  csv_map_free(map);
  if (ok && c.refused.count > 0) {
    ok = error_set(&err, ERR_INVALID, "the files have lines that are no events: nothing was changed");
  }
  c.request.events = c.events.items;
  c.request.count = c.events.count;
  return finish(&c, ok, &err);
}

#define OPTION_CATALOG                                                                                                 \
  { "--catalog", "DIR", "the catalog; remembered by the book", false }
#define OPTION_ID                                                                                                      \
  { "--id", "ID", "of the correction: the same again changes nothing (default: a new one)", false }
#define OPTION_REASON                                                                                                  \
  { "--reason", "TEXT", "kept with the correction", false }
#define OPTION_PREVIEW                                                                                                 \
  { "--preview", NULL, "only show what it would change, in money", false }

const struct cli_command cli_void = {
    .name = "void",
    .summary = "take an event out of usage, from now on; what was known before stays known",
    .example = "meterhouse void --data book --source gateway/eu-1 --event 7f3a --preview",
    .options = {CLI_OPTION_DATA,
                {"--source", "SOURCE", "of the event", true},
                {"--event", "ID", "of the event", true},
                OPTION_CATALOG,
                OPTION_ID,
                OPTION_REASON,
                OPTION_PREVIEW},
    .run = run_void,
};

const struct cli_command cli_amend = {
    .name = "amend",
    .summary = "let another event count instead of one that was wrong",
    .rest = "EVENT.json",
    .rest_min = 1,
    .rest_max = 1,
    .example = "meterhouse amend --data book --source gateway/eu-1 --event 7f3a right.json",
    .options = {CLI_OPTION_DATA,
                {"--source", "SOURCE", "of the wrong event", true},
                {"--event", "ID", "of the wrong event", true},
                OPTION_CATALOG,
                OPTION_ID,
                OPTION_REASON,
                OPTION_PREVIEW},
    .run = run_amend,
};

const struct cli_command cli_backfill = {
    .name = "backfill",
    .summary = "replace a stretch of a meter of a customer by the events of files",
    .rest = "[FILE...]",
    .rest_min = 0,
    .rest_max = SIZE_MAX,
    .example = "meterhouse backfill --data book --customer acme --meter gpu_hours --from 2026-10-10T00:00:00Z"
               " --to 2026-10-11T00:00:00Z --preview repaired.ndjson",
    .options = {CLI_OPTION_DATA,
                {"--customer", "ID", "whose usage", true},
                {"--meter", "NAME", "of which meter", true},
                {"--from", "TIME", "RFC 3339", true},
                {"--to", "TIME", "RFC 3339; not included", true},
                {"--map", "MAP.yaml", "the files are CSV: which column is what", false},
                OPTION_CATALOG,
                OPTION_ID,
                OPTION_REASON,
                OPTION_PREVIEW},
    .run = run_backfill,
};
