/* The outcome of a scrape on its way into the book, and what is remembered once it stands there. */
#include "pull/private.h"
#include <stdlib.h>
#include <string.h>

static void remember(const struct judged_row *judged) {
  struct series *series = judged->series;
  const struct pull_row *row = &judged->row;
  char *level_event = mem_alloc(row->level_event.len + 1);
  memcpy(level_event, row->level_event.len > 0 ? row->level_event.ptr : "", row->level_event.len);
  free(series->level_event);
  series->known = true;
  series->gauge = row->gauge;
  series->value = row->value;
  series->time = row->time;
  series->has_created = row->has_created;
  series->created = row->created;
  series->level_event = level_event;
}

/* Rows [first, until) and their events, which stand in the same order. */
struct part {
  size_t first, until, first_event, until_event;
};

static bool write_part(struct target_state *state, const struct judged *j, const struct part *part, bool good,
                       instant at, const struct pull_writer *writer, uint64_t *refused, struct error *err) {
  size_t row_count = part->until - part->first, event_count = part->until_event - part->first_event;
  struct pull_row *rows = arena_array(j->arena, row_count, sizeof *rows);
  bool *stood = arena_array(j->arena, event_count, sizeof *stood);
  for (size_t i = 0; i < row_count; i++) {
    rows[i] = j->rows.items[part->first + i].row;
    if (rows[i].event != PULL_NO_EVENT) {
      rows[i].event -= part->first_event;
    }
  }
  struct pull_step step = {.target = state->name,
                           .events = event_count > 0 ? j->events.items + part->first_event : NULL,
                           .event_count = event_count,
                           .rows = rows,
                           .row_count = row_count,
                           .good = good,
                           .when = at};
  if (!writer->write(writer->context, &step, stood, err)) {
    return false;
  }
  for (size_t i = 0; i < row_count; i++) {
    if (rows[i].event == PULL_NO_EVENT || stood[rows[i].event]) {
      remember(&j->rows.items[part->first + i]);
    } else {
      ++*refused;
    }
  }
  return true;
}

/* The next part: as many rows as one batch takes. */
static void next_part(const struct judged *j, struct part *part) {
  part->first = part->until;
  part->first_event = part->until_event;
  while (part->until < j->rows.count && part->until - part->first < EVENT_BATCH_MAX) {
    part->until_event += j->rows.items[part->until++].row.event != PULL_NO_EVENT;
  }
}

bool judged_write(struct target_state *state, const struct judged *j, bool good, instant at,
                  const struct pull_writer *writer, uint64_t *refused, struct error *err) {
  struct part part = {0};
  do {
    next_part(j, &part);
    bool last = part.until == j->rows.count;
    if ((part.until > part.first || good) && !write_part(state, j, &part, good && last, at, writer, refused, err)) {
      return false;
    }
  } while (part.until < j->rows.count);
  if (good) {
    state->has_last_good = true;
    state->last_good = at;
  }
  return true;
}
