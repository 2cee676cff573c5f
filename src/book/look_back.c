/* What a changed catalog would have charged in periods that are invoiced already: told, because nothing bills it. A
 * change of contract that is dated into the past is otherwise lost without a word. */
#include "base/log.h"
#include "book/private.h"
#include <stdlib.h>

struct invoiced {
  slice customer, name, catalog;
  struct period period;
};
struct looking_back {
  struct book *book;
  struct arena *arena;
  VEC(struct invoiced) latest; /* of each customer the last period that was invoiced under another catalog */
};

static bool take_latest(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct looking_back *l = context;
  vec_push(&l->latest, (struct invoiced){.customer = arena_copy(l->arena, db_bytes(row, 0)),
                                         .name = arena_copy(l->arena, db_bytes(row, 1)),
                                         .catalog = arena_copy(l->arena, db_bytes(row, 2)),
                                         .period = {{db_int(row, 3)}, {db_int(row, 4)}}});
  return true;
}

/* Fees, purchases and minimums: what is due without any usage. */
static bool due_without_usage(struct looking_back *l, const struct catalog *catalog, const struct invoiced *i,
                              amount *out, struct error *err) {
  const struct customer *customer = catalog_customer(catalog, i->customer);
  struct rating rating;
  *out = AMOUNT_ZERO;
  if (customer == NULL) {
    return true;
  }
  if (!rate_customer(l->arena, catalog, customer, i->period, NULL, 0, &rating, err)) {
    return false;
  }
  *out = rating.total;
  return true;
}

static bool compare(struct looking_back *l, const struct invoiced *i, struct error *err) {
  const struct catalog *then;
  amount before, now, more;
  char text[DECIMAL_TEXT_MAX];
  if (!versions_find(l->book, i->catalog, &then, err) || !due_without_usage(l, then, i, &before, err) ||
      !due_without_usage(l, l->book->catalog, i, &now, err) || !amount_sub(now, before, &more, err)) {
    return false;
  }
  if (!amount_is_zero(more)) {
    bool less = amount_cmp(more, AMOUNT_ZERO) < 0;
    log_line(LOG_WARN, "catalog",
             "customer " SLICE_FMT ": as the catalog stands now, fees of %s were %s %s than invoiced; nothing bills "
             "that: date the change into a period that is open, or make a credit note",
             SLICE_ARG(i->customer), i->name.ptr, amount_text(less ? amount_negate(more) : more, text),
             less ? "less" : "more");
  }
  return true;
}

bool look_back(struct book *book, struct error *err) {
  struct looking_back l = {.book = book, .arena = arena_new()};
  bool ok = db_query(book->db,
                     "SELECT customer, period, catalog, period_from, max(period_to) FROM invoice"
                     " WHERE status <> 'void' AND part = '' AND catalog <> $1 AND catalog <> '' GROUP BY customer",
                     DB_VALUES(DB_T(book->catalog->digest_hex)), take_latest, &l, err);
  for (size_t i = 0; ok && i < l.latest.count; i++) {
    ok = compare(&l, &l.latest.items[i], err);
  }
  vec_free(&l.latest);
  arena_free(l.arena);
  return ok;
}
