/* Corrections: events taken out of usage by a later event. Which stored event counts for which meter, as of any
 * position of the journal. */
#include "meter/private.h"
#include <stdlib.h>

struct loading {
  struct corrections *corrections;
  const struct catalog *catalog;
  struct arena *arena;
};

static bool take_row(const struct db_row *row, void *context, struct error *err) {
  struct loading *l = context;
  struct correction c = {.number = (uint64_t)db_int(row, 0),
                         .target = (uint64_t)db_int(row, 1),
                         .customer = arena_copy(l->arena, db_bytes(row, 2)),
                         .from = {db_int(row, 4)},
                         .to = {db_int(row, 5)},
                         .last = (uint64_t)db_int(row, 6)};
  if (c.target == 0) {
    c.meter = catalog_meter(l->catalog, db_bytes(row, 3));
    if (c.meter == NULL) {
      slice name = db_bytes(row, 3);
      return error_set(err, ERR_CORRUPT, "a backfill is of meter \"" SLICE_FMT "\", which the catalog no longer has",
                       SLICE_ARG(name));
    }
  }
  vec_push(&l->corrections->items, c);
  return true;
}

static int by_target(const void *a, const void *b) {
  const struct correction *x = a, *y = b;
  return (x->target > y->target) - (x->target < y->target);
}

bool corrections_load(struct arena *arena, struct db *db, const struct catalog *catalog, uint64_t after, uint64_t until,
                      struct corrections *out, struct error *err) {
  struct loading l = {out, catalog, arena};
  *out = (struct corrections){0};
  if (!db_query(db,
                "SELECT number, target, customer, meter, time_from, time_to, last FROM correction"
                " WHERE number > $1 AND number <= $2",
                DB_VALUES(DB_I((int64_t)after), DB_I(until ? (int64_t)until : INT64_MAX)), take_row, &l, err)) {
    return false;
  }
  if (out->items.count > 0) {
    qsort(out->items.items, out->items.count, sizeof *out->items.items, by_target);
  }
  while (out->backfills < out->items.count && out->items.items[out->backfills].target == 0) {
    out->backfills++;
  }
  return true;
}

void corrections_free(struct corrections *c) {
  vec_free(&c->items);
  c->backfills = 0;
}

static bool is_target(const struct corrections *c, uint64_t number) {
  size_t low = c->backfills, high = c->items.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (c->items.items[middle].target < number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < c->items.count && c->items.items[low].target == number;
}

bool corrections_hide(const struct corrections *c, uint64_t number, slice customer, const struct meter *meter,
                      instant time) {
  for (size_t i = 0; i < c->backfills; i++) {
    const struct correction *b = &c->items.items[i];
    if (number > b->number && number <= b->last) {
      if (meter != b->meter) {
        return true;
      }
    } else if (number < b->number && meter == b->meter && time.ns >= b->from.ns && time.ns < b->to.ns &&
               slice_eq(customer, b->customer)) {
      return true;
    }
  }
  return is_target(c, number);
}

/* ---- keeping ---- */

bool correction_keep(struct db *db, const struct correction_row *c, struct error *err) {
  return db_run(db,
                "INSERT INTO correction(number, id, kind, target, customer, meter, time_from, time_to, last)"
                " VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                DB_VALUES(DB_I((int64_t)c->number), DB_T(c->id), DB_T(c->kind), DB_I((int64_t)c->target),
                          DB_T(c->customer), DB_T(c->meter), DB_I(c->from.ns), DB_I(c->to.ns), DB_I((int64_t)c->last)),
                NULL, err);
}

struct listing {
  correction_each each;
  void *context;
};

static bool list_one(const struct db_row *row, void *context, struct error *err) {
  const struct listing *l = context;
  struct correction_row c = {.number = (uint64_t)db_int(row, 0),
                             .id = db_bytes(row, 1),
                             .kind = db_bytes(row, 2),
                             .target = (uint64_t)db_int(row, 3),
                             .customer = db_bytes(row, 4),
                             .meter = db_bytes(row, 5),
                             .from = {db_int(row, 6)},
                             .to = {db_int(row, 7)},
                             .last = (uint64_t)db_int(row, 8)};
  return l->each(l->context, &c, err);
}

bool correction_list(struct db *db, slice customer, uint64_t before, size_t limit, correction_each each, void *context,
                     struct error *err) {
  struct listing l = {each, context};
  return db_query(db,
                  "SELECT number, id, kind, target, customer, meter, time_from, time_to, last FROM correction"
                  " WHERE ($1 = '' OR customer = $1) AND ($2 = 0 OR number < $2) ORDER BY number DESC LIMIT $3",
                  DB_VALUES(DB_T(customer), DB_I((int64_t)before), DB_I((int64_t)limit)), list_one, &l, err);
}

static bool take_found(const struct db_row *row, void *context, struct error *err) {
  (void)row;
  (void)err;
  *(bool *)context = true;
  return true;
}

bool correction_of(struct db *db, uint64_t number, bool *found, struct error *err) {
  *found = false;
  return db_query(db, "SELECT 1 FROM correction WHERE target = $1 AND target > 0 LIMIT 1",
                  DB_VALUES(DB_I((int64_t)number)), take_found, found, err);
}
