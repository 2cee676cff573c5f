/* What is remembered of each series between scrapes, in memory and in the store. */
#include "pull/private.h"
#include <stdlib.h>
#include <string.h>

const struct db_migration pull_migrations[] = {
    {"pull-1", "CREATE TABLE pull_target(name TEXT PRIMARY KEY, last_good INTEGER NOT NULL);"
               "CREATE TABLE pull_series(target TEXT NOT NULL, rule TEXT NOT NULL, series TEXT NOT NULL,"
               " gauge INTEGER NOT NULL, value TEXT NOT NULL, time INTEGER NOT NULL, created TEXT,"
               " level_event TEXT NOT NULL, PRIMARY KEY(target, rule, series));"},
};
const size_t pull_migration_count = sizeof pull_migrations / sizeof *pull_migrations;

/* ---- in memory ---- */

struct target_state *state_new(slice name, const struct pull_target *target) {
  struct target_state *state = mem_alloc(sizeof *state);
  state->arena = arena_new();
  state->name = arena_copy(state->arena, name);
  state->target = target;
  return state;
}

void state_free(struct target_state *state) {
  for (size_t i = 0; i < state->series.count; i++) {
    free(state->series.items[i]->level_event);
  }
  vec_free(&state->series);
  map_free(&state->table);
  arena_free(state->arena);
  free(state);
}

struct series *state_place(struct target_state *state, slice rule, slice key) {
  char text[PULL_RULE_BYTES_MAX + PULL_SERIES_BYTES_MAX + 2];
  int length = snprintf(text, sizeof text, SLICE_FMT "\n" SLICE_FMT, SLICE_ARG(rule), SLICE_ARG(key));
  must(length > 0 && (size_t)length < sizeof text);
  struct series *series = map_get(&state->table, (slice){text, (size_t)length});
  if (series == NULL && state->series.count < PULL_SERIES_MAX) {
    series = arena_alloc(state->arena, sizeof *series);
    slice both = arena_copy(state->arena, (slice){text, (size_t)length});
    series->rule = (slice){both.ptr, rule.len};
    series->key = (slice){both.ptr + rule.len + 1, key.len};
    *map_put(&state->table, both) = series;
    vec_push(&state->series, series);
  }
  return series;
}

/* ---- in the store ---- */

bool pull_step_keep(struct db *db, const struct pull_step *step, const bool *stood, struct error *err) {
  for (size_t i = 0; i < step->row_count; i++) {
    const struct pull_row *row = &step->rows[i];
    if (row->event != PULL_NO_EVENT && !stood[row->event]) {
      continue;
    }
    if (!db_run(db,
                "INSERT INTO pull_series(target, rule, series, gauge, value, time, created, level_event)"
                " VALUES($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT(target, rule, series) DO UPDATE"
                " SET gauge = $4, value = $5, time = $6, created = $7, level_event = $8",
                DB_VALUES(DB_T(step->target), DB_T(row->rule), DB_T(row->series), DB_I(row->gauge), DB_Q(row->value),
                          DB_I(row->time.ns), row->has_created ? DB_Q(row->created) : DB_N, DB_T(row->level_event)),
                NULL, err)) {
      return false;
    }
  }
  return !step->good || db_run(db,
                               "INSERT INTO pull_target(name, last_good) VALUES($1, $2)"
                               " ON CONFLICT(name) DO UPDATE SET last_good = $2",
                               DB_VALUES(DB_T(step->target), DB_I(step->when.ns)), NULL, err);
}

struct loading {
  struct states *states;
  struct map by_name;
};

static struct target_state *named(struct loading *l, slice name) {
  struct target_state *state = map_get(&l->by_name, name);
  if (state == NULL) {
    state = state_new(name, NULL);
    vec_push(&l->states->items, state);
    *map_put(&l->by_name, state->name) = state;
  }
  return state;
}

static bool load_target(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct target_state *state = named(context, db_bytes(row, 0));
  state->has_last_good = true;
  state->last_good.ns = db_int(row, 1);
  return true;
}

static char *copy_text(slice s) {
  char *copy = mem_alloc(s.len + 1);
  memcpy(copy, s.len > 0 ? s.ptr : "", s.len);
  return copy;
}

static bool load_series(const struct db_row *row, void *context, struct error *err) {
  struct target_state *state = named(context, db_bytes(row, 0));
  slice rule = db_bytes(row, 1), key = db_bytes(row, 2);
  if (rule.len > PULL_RULE_BYTES_MAX || key.len > PULL_SERIES_BYTES_MAX) {
    return error_set(err, ERR_CORRUPT, "pull_series: a name of target " SLICE_FMT " is too long",
                     SLICE_ARG(state->name));
  }
  struct series *series = state_place(state, rule, key);
  if (series == NULL) {
    return error_set(err, ERR_CORRUPT, "pull_series: target " SLICE_FMT " has over %d series", SLICE_ARG(state->name),
                     PULL_SERIES_MAX);
  }
  series->known = true;
  series->gauge = db_int(row, 3) != 0;
  series->time.ns = db_int(row, 5);
  series->has_created = !db_is_null(row, 6);
  series->level_event = copy_text(db_bytes(row, 7));
  if (!quantity_parse(db_bytes(row, 4), &series->value, err) ||
      (series->has_created && !quantity_parse(db_bytes(row, 6), &series->created, err))) {
    err->code = ERR_CORRUPT;
    return error_at(err, "pull_series: " SLICE_FMT, SLICE_ARG(key));
  }
  return true;
}

bool states_load(struct db *db, const struct pull_targets *targets, struct states *out, struct error *err) {
  struct loading l = {.states = out};
  *out = (struct states){0};
  for (size_t i = 0; i < targets->count; i++) {
    struct target_state *state = state_new(targets->items[i].name, &targets->items[i]);
    vec_push(&out->items, state);
    *map_put(&l.by_name, state->name) = state;
  }
  bool ok = db_query(db, "SELECT name, last_good FROM pull_target", DB_NO_VALUES, load_target, &l, err) &&
            db_query(db, "SELECT target, rule, series, gauge, value, time, created, level_event FROM pull_series",
                     DB_NO_VALUES, load_series, &l, err);
  map_free(&l.by_name);
  if (!ok) {
    states_free(out);
  }
  return ok;
}

void states_free(struct states *states) {
  for (size_t i = 0; i < states->items.count; i++) {
    state_free(states->items.items[i]);
  }
  vec_free(&states->items);
}
