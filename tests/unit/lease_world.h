/* A book with a pool of GPUs on a test clock, for tests of leases. The including file has `done(ok, err)`. */
#ifndef METERHOUSE_LEASE_WORLD_H
#define METERHOUSE_LEASE_WORLD_H
#include "sell/lease.h"
#include <stdlib.h>
#include <unistd.h>

#define WORLD_METER                                                                                                    \
  "meters: [{name: gpu_hours, event: gpu.level, value: gpus, aggregation: integral, series: lease, over: hour,"        \
  " unit: GPU hour, dimensions: [gpu, class, site]}]\n"
static const char world_catalog[] =
    "currency: EUR\n"
    "seller: {name: S, country: NL, invoice_prefix: S-}\n" WORLD_METER
    "taxes: [{name: vat, label: VAT, category: S, rate: 21 %}]\n"
    "plans:\n"
    "  - name: p\n"
    "    prices:\n"
    "      - {meter: gpu_hours, match: {class: spot}, price: 0.5}\n"
    "      - {meter: gpu_hours, price: 2}\n"
    "customers:\n"
    "  - {id: acme, country: NL, tax: vat, contracts: [{plan: p, from: 2026-01-01}]}\n"
    "  - {id: beta, country: NL, tax: vat, credit_line: unlimited, contracts: [{plan: p, from: 2026-01-01}]}\n"
    "  - {id: line, country: NL, tax: vat, credit_line: 10, contracts: [{plan: p, from: 2026-01-01}]}\n"
    "pools:\n"
    "  - name: h100\n"
    "    kind: H100\n"
    "    site: ams1\n"
    "    count: 10\n"
    "    owner: 2\n"
    "    node: {gpus: 4}\n"
    "    shares: [1, 0.5]\n"
    "    meter: gpu_hours\n"
    "    match: {gpu: H100, site: ams1}\n"
    "    engine: local\n"
    "    classes:\n"
    "      on_demand: {minimum: 60 s, increment: 1 s}\n"
    "      reserved: {terms: [1 month]}\n"
    "      priority: {}\n"
    "      spot: {reserve: 10 %}\n";

struct world {
  char dir[64], catalog[96];
  struct book *book;
  struct leases *leases;
  struct arena *arena; /* of the batch that is open, or was last */
};

static inline instant world_at(const char *text) {
  instant t = {0};
  struct error err = {0};
  done(time_parse_loose(slice_of(text), "UTC", &t, &err), &err);
  return t;
}

static inline quantity world_units(const char *text) {
  quantity q = {0};
  struct error err = {0};
  done(quantity_parse(slice_of(text), &q, &err), &err);
  return q;
}

static inline void world_open(struct world *w) {
  struct error err = {0};
  done(book_open(w->dir, w->catalog, BOOK_WRITE, &w->book, &err), &err);
  done(leases_open(w->book, &w->leases, &err), &err);
}

static inline void world_shut(struct world *w) {
  leases_close(w->leases);
  book_close(w->book);
}

/* As after a crash: what was not committed is gone, memory is made anew. */
static inline void world_reopen(struct world *w) {
  world_shut(w);
  world_open(w);
}

static inline struct world *world_new(const char *start) {
  struct error err = {0};
  struct world *w = mem_alloc(sizeof *w);
  snprintf(w->dir, sizeof w->dir, "/tmp/mh_leases.XXXXXX");
  done(mkdtemp(w->dir) != NULL, &err);
  snprintf(w->catalog, sizeof w->catalog, "%s/c.yaml", w->dir);
  FILE *f = fopen(w->catalog, "w");
  done(f != NULL && fputs(world_catalog, f) >= 0 && fclose(f) == 0, &err);
  clock_set_test(world_at(start));
  w->arena = arena_new();
  world_open(w);
  return w;
}

static inline void world_free(struct world *w) {
  char command[128];
  world_shut(w);
  arena_free(w->arena);
  snprintf(command, sizeof command, "rm -rf %s", w->dir);
  free(w);
  if (system(command) != 0) {
    abort();
  }
}

static inline void world_begin(struct world *w) {
  struct error err = {0};
  arena_reset(w->arena);
  done(book_begin(w->book, &err), &err);
}

/* The batch stands, or is undone with what it did to the calendars. */
static inline bool world_end(struct world *w, bool ok) {
  struct error err = {0};
  if (ok) {
    done(book_commit(w->book, &err), &err);
  } else {
    book_undo(w->book);
    done(leases_reload(w->leases, &err), &err);
  }
  return ok;
}

static inline const struct customer *world_customer(const struct world *w, const char *id) {
  return catalog_customer(book_catalog(w->book), slice_of(id));
}

/* Units x ns that the meter has of a customer (empty: of all) until now, as value x seconds. */
static inline quantity world_metered(struct world *w, const char *customer) {
  struct error err = {0};
  struct rating_set set;
  quantity sum = QUANTITY_ZERO;
  const struct period all = {world_at("2026-01-01"), world_at("2027-12-31")};
  done(book_usage(w->book, slice_of(customer), all, (instant){0}, &set, &err), &err);
  for (size_t i = 0; i < set.row_count; i++) {
    done(quantity_add(sum, set.rows[i].value, &sum, &err), &err);
  }
  rating_set_free(&set);
  return sum;
}

static inline void world_bad(void *context, const char *what) {
  (void)context;
  const struct error err = {.message = "see stderr"};
  fprintf(stderr, "check: %s\n", what);
  done(false, &err);
}

/* All invariants of the book hold. */
static inline void world_check(struct world *w) {
  struct error err = {0};
  struct check_result result;
  done(book_check(w->book, world_bad, NULL, &result, &err), &err);
}
#endif
