/* Are the kept aggregates what the events say? Both ways of reading, held against each other customer by customer. */
#include "base/hash.h"
#include "meter/rollup.h"
#include <stdlib.h>

struct sum {
  slice customer;
  uint64_t rows, digest;
};
typedef VEC(struct sum) sums;

static uint64_t hash_row(const struct usage_row *r) {
  uint64_t h = r->meter->index;
  for (size_t d = 0; d < r->meter->dimension_count; d++) {
    h = hash64(r->dimensions[d], h + r->dimensions[d].len);
  }
  const uint64_t rest[] = {(uint64_t)r->value.e9, (uint64_t)(r->value.e9 >> 64), (uint64_t)r->from.ns,
                           (uint64_t)r->to.ns, r->events};
  return hash64((slice){(const char *)rest, sizeof rest}, h);
}

/* Rows come by customer. */
static void add_up(struct arena *arena, const struct usage_row *rows, size_t count, sums *out) {
  for (size_t i = 0; i < count; i++) {
    if (out->count == 0 || !slice_eq(out->items[out->count - 1].customer, rows[i].customer)) {
      vec_push(out, (struct sum){.customer = arena_copy(arena, rows[i].customer)});
    }
    struct sum *s = &out->items[out->count - 1];
    s->rows++;
    s->digest = hash64((slice){(const char *)&s->digest, sizeof s->digest}, hash_row(&rows[i]));
  }
}

static bool read_one_way(struct arena *arena, struct db *db, const struct catalog *catalog, uint64_t position,
                         instant now, bool from_events, sums *out, struct error *err) {
  const struct period all = {{0}, {now.ns}};
  const struct usage_row *rows;
  size_t count;
  struct usage *u = usage_new(catalog);
  usage_without_evidence(u);
  usage_until(u, now);
  usage_window(u, (slice){0}, all, NULL, 0);
  bool ok = (from_events ? usage_from_events(u, db, position, err) : usage_load(u, db, position, err)) &&
            usage_finish(u, &rows, &count, err);
  if (ok) {
    add_up(arena, rows, count, out);
  }
  usage_free(u);
  return ok;
}

static void compare(const sums *kept, const sums *events, void (*bad)(void *context, const char *what), void *context) {
  static const struct sum beyond = {0};
  for (size_t k = 0, e = 0; k < kept->count || e < events->count;) {
    const struct sum *a = k < kept->count ? &kept->items[k] : &beyond;
    const struct sum *b = e < events->count ? &events->items[e] : &beyond;
    int order = a == &beyond ? 1 : b == &beyond ? -1 : slice_cmp(a->customer, b->customer);
    k += order <= 0;
    e += order >= 0;
    if (order != 0 || a->rows != b->rows || a->digest != b->digest) {
      slice customer = order <= 0 ? a->customer : b->customer;
      tell(bad, context, "aggregates: those of customer " SLICE_FMT " are not what the events say",
           SLICE_ARG(customer));
    }
  }
}

bool rollup_check(struct db *db, const struct catalog *catalog, instant now,
                  void (*bad)(void *context, const char *what), void *context, struct error *err) {
  struct arena *arena = arena_new();
  sums kept = {0}, events = {0};
  uint64_t position, last;
  struct error why = {0};
  bool ok = rollup_position(db, catalog, &position, err) && journal_last(db, &last, err);
  if (ok && position > 0) {
    ok = read_one_way(arena, db, catalog, last, now, true, &events, err);
    if (ok && read_one_way(arena, db, catalog, last, now, false, &kept, &why)) {
      compare(&kept, &events, bad, context);
    } else if (ok) {
      bad(context, why.message);
    }
  }
  vec_free(&kept);
  vec_free(&events);
  arena_free(arena);
  return ok;
}
