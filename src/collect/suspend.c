/* Suspended customers: who is, since when, and the end of it. */
#include "collect/private.h"
#include <stdlib.h>

struct found {
  bool suspended;
  instant since;
};

static bool take_since(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(struct found *)context = (struct found){true, {db_int(row, 0)}};
  return true;
}

bool suspension_find(struct db *db, slice customer, bool *suspended, instant *since, struct error *err) {
  struct found found = {0};
  bool ok = db_query(db, "SELECT since FROM suspension WHERE customer = $1", DB_VALUES(DB_T(customer)), take_since,
                     &found, err);
  *suspended = found.suspended;
  *since = found.since;
  return ok;
}

struct listing {
  suspension_each each;
  void *context;
};

static bool list_one(const struct db_row *row, void *context, struct error *err) {
  const struct listing *l = context;
  return l->each(l->context, db_bytes(row, 0), (instant){db_int(row, 1)}, err);
}

bool suspension_list(struct db *db, suspension_each each, void *context, struct error *err) {
  struct listing l = {each, context};
  return db_query(db, "SELECT customer, since FROM suspension ORDER BY customer", DB_NO_VALUES, list_one, &l, err);
}

bool suspend(const struct collect *c, slice customer, slice invoice, bool *changed, struct error *err) {
  int64_t rows = 0;
  if (!db_run(c->db, "INSERT INTO suspension(customer, since, invoice) VALUES($1, $2, $3) ON CONFLICT DO NOTHING",
              DB_VALUES(DB_T(customer), DB_I(c->now.ns), DB_T(invoice)), &rows, err)) {
    return false;
  }
  *changed = rows > 0;
  return !*changed || tell_customer(c, "customer.suspended", customer, invoice, err);
}

/* One that left the catalog, or whom nobody reminds any more, has nothing overdue. */
static bool any_overdue(const struct collect *c, slice customer, bool *overdue, struct error *err) {
  const struct customer *known = catalog_customer(c->catalog, customer);
  struct open_invoices open;
  size_t steps;
  *overdue = false;
  if (known == NULL) {
    return true;
  }
  bool ok = open_invoices_load(c, customer, (slice){0}, c->now, &open, err);
  for (size_t i = 0; ok && i < open.items.count && !*overdue; i++) {
    ok = dunning_reached(c->catalog, known, open.items.items[i].due, c->now, overdue, &steps, err);
  }
  vec_free(&open.items);
  return ok;
}

bool suspension_review(const struct collect *c, slice customer, struct error *err) {
  bool suspended, overdue;
  instant since;
  if (!suspension_find(c->db, customer, &suspended, &since, err)) {
    return false;
  }
  if (!suspended) {
    return true;
  }
  if (!any_overdue(c, customer, &overdue, err)) {
    return false;
  }
  return overdue ||
         (db_run(c->db, "DELETE FROM suspension WHERE customer = $1", DB_VALUES(DB_T(customer)), NULL, err) &&
          tell_customer(c, "customer.resumed", customer, (slice){0}, err));
}
