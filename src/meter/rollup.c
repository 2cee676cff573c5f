/* Kept aggregates: what the meters say by customer and hour, written behind the journal and always to be had again from
 * it. docs/metering.md. */
#include "meter/rollup.h"
#include "base/hash.h"
#include <string.h>

#define PARTS_MAX 8
#define CHUNK_EVENTS (UINT64_C(16) << 20)

const struct db_migration rollup_migrations[] = {
    {"rollup-1", "CREATE TABLE rollup(customer TEXT NOT NULL, kind INTEGER NOT NULL, page INTEGER NOT NULL,"
                 " part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY(customer, kind, page, part));"
                 "CREATE TABLE rollup_state(only INTEGER PRIMARY KEY CHECK(only = 1), position INTEGER NOT NULL,"
                 " meters BLOB NOT NULL);"},
};
const size_t rollup_migration_count = sizeof rollup_migrations / sizeof *rollup_migrations;

/* ---- state ---- */

/* Everything an aggregate depends on besides the events. */
static struct digest digest_meters(const struct catalog *catalog) {
  struct buf b;
  buf_init(&b, 16u << 20);
  for (size_t i = 0; i < catalog->meter_count; i++) {
    const struct meter *m = &catalog->meters[i];
    buf_addf(&b, "%zu:" SLICE_FMT "\n" SLICE_FMT "\n" SLICE_FMT "\n" SLICE_FMT "\n%d\n", i, SLICE_ARG(m->name),
             SLICE_ARG(m->event_type), SLICE_ARG(m->value_field), SLICE_ARG(m->series_field), (int)m->aggregation);
    for (size_t d = 0; d < m->dimension_count; d++) {
      buf_addf(&b, "d %zu " SLICE_FMT "\n", m->dimensions[d].len, SLICE_ARG(m->dimensions[d]));
    }
    for (size_t f = 0; f < m->filter_count; f++) {
      buf_addf(&b, "f %zu " SLICE_FMT "\n", m->filters[f].field.len, SLICE_ARG(m->filters[f].field));
      for (size_t v = 0; v < m->filters[f].count; v++) {
        buf_addf(&b, "v %zu " SLICE_FMT "\n", m->filters[f].values[v].len, SLICE_ARG(m->filters[f].values[v]));
      }
    }
  }
  struct digest d = digest_of(buf_slice(&b));
  buf_free(&b);
  return d;
}

struct state {
  uint64_t position;
  struct digest meters;
};

static bool take_state(const struct db_row *row, void *context, struct error *err) {
  struct state *s = context;
  slice meters = db_bytes(row, 1);
  if (meters.len != sizeof s->meters.bytes) {
    return error_set(err, ERR_CORRUPT, "the state of the aggregates has the wrong length");
  }
  s->position = (uint64_t)db_int(row, 0);
  memcpy(s->meters.bytes, meters.ptr, meters.len);
  return true;
}

bool rollup_position(struct db *db, const struct catalog *catalog, uint64_t *out, struct error *err) {
  struct state s = {0};
  struct digest now = digest_meters(catalog);
  if (!db_query(db, "SELECT position, meters FROM rollup_state", DB_NO_VALUES, take_state, &s, err)) {
    return false;
  }
  *out = memcmp(s.meters.bytes, now.bytes, sizeof now.bytes) == 0 ? s.position : 0;
  return true;
}

static bool set_state(struct db *db, const struct catalog *catalog, uint64_t position, struct error *err) {
  struct digest meters = digest_meters(catalog);
  slice bytes = {(const char *)meters.bytes, sizeof meters.bytes};
  return db_run(db,
                "INSERT INTO rollup_state(only, position, meters) VALUES(1, $1, $2)"
                " ON CONFLICT(only) DO UPDATE SET position = $1, meters = $2",
                DB_VALUES(DB_I((int64_t)position), DB_B(bytes)), NULL, err);
}

/* ---- writing ---- */

struct writing {
  struct db *db;
  const struct catalog *catalog;
  uint64_t part;
  bool merging;
};

struct counting {
  int64_t parts;
};

static bool take_count(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  ((struct counting *)context)->parts = db_int(row, 0);
  return true;
}

static bool write_part(void *context, const struct rollup_place *place, slice bytes, struct error *err);

struct reading_parts {
  struct usage *usage;
  const struct rollup_place *place;
};

static bool read_part(const struct db_row *row, void *context, struct error *err) {
  struct reading_parts *r = context;
  return rollup_import(r->usage, r->place, db_bytes(row, 0), err);
}

/* Many small parts become one. */
static bool merge_parts(const struct writing *w, const struct rollup_place *place, struct error *err) {
  struct usage *u = usage_new(w->catalog);
  struct reading_parts reading = {u, place};
  struct writing merged = {w->db, w->catalog, w->part, true};
  usage_whole_hours(u);
  bool ok = db_query(w->db, "SELECT bytes FROM rollup WHERE customer = $1 AND kind = $2 AND page = $3 ORDER BY part",
                     DB_VALUES(DB_T(place->customer), DB_I((int64_t)place->kind), DB_I(place->page)), read_part,
                     &reading, err) &&
            db_run(w->db, "DELETE FROM rollup WHERE customer = $1 AND kind = $2 AND page = $3",
                   DB_VALUES(DB_T(place->customer), DB_I((int64_t)place->kind), DB_I(place->page)), NULL, err) &&
            rollup_export(u, write_part, &merged, err);
  usage_free(u);
  return ok;
}

static bool write_part(void *context, const struct rollup_place *place, slice bytes, struct error *err) {
  const struct writing *w = context;
  struct counting counting = {0};
  if (!db_run(w->db, "INSERT INTO rollup(customer, kind, page, part, bytes) VALUES($1, $2, $3, $4, $5)",
              DB_VALUES(DB_T(place->customer), DB_I((int64_t)place->kind), DB_I(place->page), DB_I((int64_t)w->part),
                        DB_B(bytes)),
              NULL, err)) {
    return false;
  }
  if (w->merging) {
    return true;
  }
  return db_query(w->db, "SELECT count(*) FROM rollup WHERE customer = $1 AND kind = $2 AND page = $3",
                  DB_VALUES(DB_T(place->customer), DB_I((int64_t)place->kind), DB_I(place->page)), take_count,
                  &counting, err) &&
         (counting.parts < PARTS_MAX || merge_parts(w, place, err));
}

/* ---- corrections: what they touch is read again ---- */

static bool forget_pages(struct db *db, slice customer, int64_t from, int64_t to, struct error *err) {
  return db_run(db, "DELETE FROM rollup WHERE customer = $1 AND page >= $2 AND page <= $3",
                DB_VALUES(DB_T(customer), DB_I(from), DB_I(to)), NULL, err);
}

static bool read_pages_again(const struct writing *w, const struct correction *c, uint64_t until, uint64_t corrected,
                             struct error *err) {
  int64_t first = rollup_page(c->from), last = rollup_page((instant){c->to.ns - 1});
  struct period pages = {{first * ROLLUP_PAGE_NS}, {(last + 1) * ROLLUP_PAGE_NS}};
  struct journal_range range = {.until = until, .from = pages.from, .before = pages.to};
  struct usage *u = usage_new(w->catalog);
  usage_whole_hours(u);
  usage_only(u, c->customer, pages);
  bool ok = forget_pages(w->db, c->customer, first, last, err) &&
            (until == 0 ||
             (usage_scan_as_of(u, w->db, &range, corrected, err) && rollup_export(u, write_part, (void *)w, err)));
  usage_free(u);
  return ok;
}

static bool apply_corrections(const struct writing *w, uint64_t from, uint64_t to, struct error *err) {
  struct arena *arena = arena_new();
  struct corrections fresh;
  bool ok = corrections_load(arena, w->db, w->catalog, from, to, &fresh, err);
  for (size_t i = 0; ok && i < fresh.items.count; i++) {
    ok = read_pages_again(w, &fresh.items.items[i], from, to, err);
  }
  corrections_free(&fresh);
  arena_free(arena);
  return ok;
}

/* ---- going on from where it stands ---- */

static bool add_chunk(struct writing *w, uint64_t from, uint64_t to, struct error *err) {
  struct journal_range range = {.after = from, .until = to};
  struct usage *u = usage_new(w->catalog);
  usage_whole_hours(u);
  w->part = to;
  bool ok = apply_corrections(w, from, to, err) && usage_scan_as_of(u, w->db, &range, to, err) &&
            rollup_export(u, write_part, w, err) && set_state(w->db, w->catalog, to, err);
  usage_free(u);
  return ok;
}

bool rollup_update(struct db *db, const struct catalog *catalog, uint64_t *position, struct error *err) {
  struct writing w = {.db = db, .catalog = catalog};
  uint64_t at, last;
  if (!rollup_position(db, catalog, &at, err) || !journal_last(db, &last, err)) {
    return false;
  }
  if (at == 0 && !db_run(db, "DELETE FROM rollup", DB_NO_VALUES, NULL, err)) {
    return false;
  }
  while (at < last) {
    uint64_t to = last - at > CHUNK_EVENTS ? at + CHUNK_EVENTS : last;
    if (!add_chunk(&w, at, to, err)) {
      return false;
    }
    at = to;
  }
  *position = at;
  return true;
}
