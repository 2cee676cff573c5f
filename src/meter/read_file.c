/* Events from a file: finds out what the file is, and hands its events on in batches. */
#include "base/file.h"
#include "meter/private.h"
#include <stdlib.h>
#include <string.h>

#define BATCH_ARENA_BYTES_MAX ((size_t)64 << 20)

static bool batch_empty(struct event_batch *b) {
  arena_reset(b->arena);
  b->count = 0;
  return true;
}

bool batch_flush(struct event_batch *b, struct error *err) {
  if (b->count == 0) {
    return batch_empty(b);
  }
  return b->hooks->take(b->hooks->context, b->events, b->lines, b->count, err) && batch_empty(b);
}

bool batch_add(struct event_batch *b, const struct event *e, uint64_t line, struct error *err) {
  b->events[b->count] = *e;
  b->lines[b->count++] = line;
  return b->count < EVENT_BATCH_MAX || batch_flush(b, err);
}

/* What refused events left in the arena is given back in time, however many of them there are. */
bool batch_refuse(struct event_batch *b, uint64_t line, const struct error *why, struct error *err) {
  if (!b->hooks->bad(b->hooks->context, b->path, line, why)) {
    return error_set(err, ERR_INVALID, "%s:%llu: %s", b->path, (unsigned long long)line, why->message);
  }
  return arena_used_bytes(b->arena) < BATCH_ARENA_BYTES_MAX || batch_flush(b, err);
}

/* The first byte that is not blank tells JSON arrays from NDJSON. */
static bool starts_array(struct file_reader *file, bool *array, struct error *err) {
  slice window;
  *array = false;
  for (int more = 1;;) {
    more = file_fill(file, 0, &window, err);
    slice trimmed = slice_trim(window);
    *array = trimmed.len > 0 && trimmed.ptr[0] == '[';
    if (trimmed.len > 0 || more == 0) {
      return true;
    }
    if (more < 0) {
      return false;
    }
  }
}

static bool read_any(struct file_reader *file, const struct csv_map *map, struct event_batch *batch, instant now,
                     struct error *err) {
  bool array;
  if (map) {
    return read_csv(file, map, batch, err);
  }
  if (!starts_array(file, &array, err)) {
    return false;
  }
  return array ? read_json_array(file, batch, now, err) : read_ndjson(file, batch, now, err);
}

bool events_read_file(const char *path, const struct csv_map *map, instant now, const struct event_reader_hooks *hooks,
                      struct error *err) {
  struct file_reader *file = file_open(path, err);
  if (file == NULL) {
    return false;
  }
  struct event_batch batch = {.hooks = hooks, .path = path, .arena = arena_new()};
  batch.events = mem_alloc(EVENT_BATCH_MAX * sizeof *batch.events);
  batch.lines = mem_alloc(EVENT_BATCH_MAX * sizeof *batch.lines);
  bool ok = read_any(file, map, &batch, now, err);
  /* What was read before the damage is good and kept. */
  struct error later = {0};
  bool kept = batch_flush(&batch, ok ? err : &later);
  free(batch.events);
  free(batch.lines);
  arena_free(batch.arena);
  file_close(file);
  return ok && kept;
}
