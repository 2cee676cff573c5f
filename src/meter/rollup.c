/* Kept aggregates: what the meters say by customer and hour, written behind the journal and always to be had again from
 * it. docs/metering.md. */
#include "meter/rollup.h"
#include "base/hash.h"
#include <stdlib.h>
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

/* ---- preparing: on any connection, while the writer goes on ---- */

struct step {
  enum { FORGET_PAGES, FORGET_PLACE, KEEP_PART } what;
  struct rollup_place place; /* FORGET_PAGES: from place.page to last_page, of every kind */
  int64_t last_page;
  uint64_t part;
  slice bytes;
};
struct rollup {
  struct arena *arena;
  struct db *db;
  const struct catalog *catalog;
  struct digest meters;
  uint64_t from, to, part;
  VEC(struct step) steps;
};

static slice copy_customer(struct rollup *r, slice customer) {
  return arena_copy(r->arena, customer);
}

static bool forgotten(const struct rollup *r, const struct rollup_place *place) {
  for (size_t i = 0; i < r->steps.count; i++) {
    const struct step *s = &r->steps.items[i];
    if (s->what == FORGET_PAGES && slice_eq(s->place.customer, place->customer) && place->page >= s->place.page &&
        place->page <= s->last_page) {
      return true;
    }
  }
  return false;
}

static bool add_part(void *context, const struct rollup_place *place, slice bytes, struct error *err) {
  (void)err;
  struct rollup *r = context;
  struct step step = {.what = KEEP_PART, .place = *place, .part = r->part, .bytes = arena_copy(r->arena, bytes)};
  step.place.customer = copy_customer(r, place->customer);
  vec_push(&r->steps, step);
  return true;
}

static bool take_count(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(int64_t *)context = db_int(row, 0);
  return true;
}

struct reading_parts {
  struct usage *usage;
  const struct rollup_place *place;
};

static bool read_part(const struct db_row *row, void *context, struct error *err) {
  struct reading_parts *r = context;
  return rollup_import(r->usage, r->place, db_bytes(row, 0), err);
}

static bool merge_with_kept(struct rollup *r, const struct rollup_place *place, slice bytes, struct error *err) {
  struct usage *u = usage_new(r->catalog);
  struct reading_parts reading = {u, place};
  struct step forget = {.what = FORGET_PLACE, .place = *place};
  usage_whole_hours(u);
  forget.place.customer = copy_customer(r, place->customer);
  vec_push(&r->steps, forget);
  bool ok = db_query(r->db, "SELECT bytes FROM rollup WHERE customer = $1 AND kind = $2 AND page = $3 ORDER BY part",
                     DB_VALUES(DB_T(place->customer), DB_I((int64_t)place->kind), DB_I(place->page)), read_part,
                     &reading, err) &&
            rollup_import(u, place, bytes, err) && rollup_export(u, add_part, r, err);
  usage_free(u);
  return ok;
}

/* Many small parts become one. */
static bool add_or_merge(void *context, const struct rollup_place *place, slice bytes, struct error *err) {
  struct rollup *r = context;
  int64_t parts = 0;
  if (!db_query(r->db, "SELECT count(*) FROM rollup WHERE customer = $1 AND kind = $2 AND page = $3",
                DB_VALUES(DB_T(place->customer), DB_I((int64_t)place->kind), DB_I(place->page)), take_count, &parts,
                err)) {
    return false;
  }
  return parts + 1 < PARTS_MAX || forgotten(r, place) ? add_part(context, place, bytes, err)
                                                      : merge_with_kept(r, place, bytes, err);
}

/* What a correction touches is read again, up to where the aggregates stood. */
static bool read_pages_again(struct rollup *r, const struct correction *c, struct error *err) {
  int64_t first = rollup_page(c->from), last = rollup_page((instant){c->to.ns - 1});
  struct step forget = {.what = FORGET_PAGES, .place = {copy_customer(r, c->customer), 0, first}, .last_page = last};
  struct period pages = {{first * ROLLUP_PAGE_NS}, {(last + 1) * ROLLUP_PAGE_NS}};
  struct journal_range range = {.until = r->from, .from = pages.from, .before = pages.to};
  struct usage *u = usage_new(r->catalog);
  vec_push(&r->steps, forget);
  usage_whole_hours(u);
  usage_only(u, c->customer, pages);
  r->part = r->to * 2;
  bool ok = r->from == 0 || (usage_scan_as_of(u, r->db, &range, r->to, err) && rollup_export(u, add_part, r, err));
  usage_free(u);
  return ok;
}

static bool apply_corrections(struct rollup *r, struct error *err) {
  struct corrections fresh;
  bool ok = corrections_load(r->arena, r->db, r->catalog, r->from, r->to, &fresh, err);
  for (size_t i = 0; ok && i < fresh.items.count; i++) {
    ok = read_pages_again(r, &fresh.items.items[i], err);
  }
  corrections_free(&fresh);
  return ok;
}

static bool prepare(struct rollup *r, struct error *err) {
  struct journal_range range = {.after = r->from, .until = r->to};
  struct usage *u = usage_new(r->catalog);
  usage_whole_hours(u);
  bool ok = apply_corrections(r, err) && usage_scan_as_of(u, r->db, &range, r->to, err);
  r->part = r->to * 2 + 1;
  ok = ok && rollup_export(u, add_or_merge, r, err);
  usage_free(u);
  return ok;
}

bool rollup_prepare(struct db *db, const struct catalog *catalog, uint64_t lag_min, struct rollup **out,
                    struct error *err) {
  uint64_t at, last;
  *out = NULL;
  if (!rollup_position(db, catalog, &at, err) || !journal_last(db, &last, err)) {
    return false;
  }
  if (at == last || last - at < lag_min) {
    return true;
  }
  struct rollup *r = mem_alloc(sizeof *r);
  r->arena = arena_new();
  r->db = db;
  r->catalog = catalog;
  r->meters = digest_meters(catalog);
  r->from = at;
  r->to = last - at > CHUNK_EVENTS ? at + CHUNK_EVENTS : last;
  if (!prepare(r, err)) {
    rollup_free(r);
    return false;
  }
  *out = r;
  return true;
}

void rollup_free(struct rollup *r) {
  if (r == NULL) {
    return;
  }
  vec_free(&r->steps);
  arena_free(r->arena);
  free(r);
}

/* ---- writing what was prepared ---- */

static bool take_step(struct db *db, const struct step *s, struct error *err) {
  const struct rollup_place *p = &s->place;
  switch (s->what) {
  case FORGET_PAGES:
    return db_run(db, "DELETE FROM rollup WHERE customer = $1 AND page >= $2 AND page <= $3",
                  DB_VALUES(DB_T(p->customer), DB_I(p->page), DB_I(s->last_page)), NULL, err);
  case FORGET_PLACE:
    return db_run(db, "DELETE FROM rollup WHERE customer = $1 AND kind = $2 AND page = $3",
                  DB_VALUES(DB_T(p->customer), DB_I((int64_t)p->kind), DB_I(p->page)), NULL, err);
  case KEEP_PART:
    break;
  }
  return db_run(
      db, "INSERT INTO rollup(customer, kind, page, part, bytes) VALUES($1, $2, $3, $4, $5)",
      DB_VALUES(DB_T(p->customer), DB_I((int64_t)p->kind), DB_I(p->page), DB_I((int64_t)s->part), DB_B(s->bytes)), NULL,
      err);
}

bool rollup_write(struct db *db, const struct rollup *r, struct error *err) {
  uint64_t at;
  slice meters = {(const char *)r->meters.bytes, sizeof r->meters.bytes};
  if (!rollup_position(db, r->catalog, &at, err)) {
    return false;
  }
  if (at != r->from) {
    return error_set(err, ERR_BUSY, "the aggregates have gone on meanwhile");
  }
  if (at == 0 && !db_run(db, "DELETE FROM rollup", DB_NO_VALUES, NULL, err)) {
    return false;
  }
  for (size_t i = 0; i < r->steps.count; i++) {
    if (!take_step(db, &r->steps.items[i], err)) {
      return false;
    }
  }
  return db_run(db,
                "INSERT INTO rollup_state(only, position, meters) VALUES(1, $1, $2)"
                " ON CONFLICT(only) DO UPDATE SET position = $1, meters = $2",
                DB_VALUES(DB_I((int64_t)r->to), DB_B(meters)), NULL, err);
}
