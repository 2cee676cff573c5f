/* Consolidated invoices: what a customer's parent pays for joins the parent's rating, charge by charge. Who was on
 * which invoice is kept with it, so that nothing is billed twice when customers move. docs/invoicing.md. */
#include "base/hash.h"
#include "book/private.h"
#include <stdlib.h>
#include <string.h>

/* ---- one rating of several ---- */

bool rating_join(struct arena *arena, struct rating *payer, const struct customer *child, const struct rating *more,
                 struct error *err) {
  const struct customer **members = arena_array(arena, payer->member_count + 1, sizeof *members);
  if (payer->member_count > 0) {
    memcpy(members, payer->members, payer->member_count * sizeof *members);
  }
  members[payer->member_count++] = child;
  payer->members = members;
  if (more == NULL) {
    return true;
  }
  struct charge *charges = arena_array(arena, more->charge_count, sizeof *charges);
  for (size_t i = 0; i < more->charge_count; i++) {
    charges[i] = more->charges[i];
    charges[i].customer = child;
  }
  struct unpriced *unpriced = arena_array(arena, payer->unpriced_count + more->unpriced_count, sizeof *unpriced);
  struct coverage *coverages = arena_array(arena, payer->coverage_count + more->coverage_count, sizeof *coverages);
  for (size_t i = 0; i < payer->unpriced_count + more->unpriced_count; i++) {
    unpriced[i] = i < payer->unpriced_count ? payer->unpriced[i] : more->unpriced[i - payer->unpriced_count];
  }
  for (size_t i = 0; i < payer->coverage_count + more->coverage_count; i++) {
    coverages[i] = i < payer->coverage_count ? payer->coverages[i] : more->coverages[i - payer->coverage_count];
  }
  payer->unpriced = unpriced;
  payer->unpriced_count += more->unpriced_count;
  payer->coverages = coverages;
  payer->coverage_count += more->coverage_count;
  return rating_add_charges(arena, payer, charges, more->charge_count, err);
}

bool rating_set_join(const struct rating_set *set, const struct catalog *catalog, const slice *members, size_t count,
                     struct rating *payer, struct error *err) {
  for (size_t i = 0; i < count; i++) {
    const struct customer *child = catalog_customer(catalog, members[i]);
    if (child == NULL) {
      return error_set(err, ERR_INVALID, "customer " SLICE_FMT ", a member of the invoice, is not in the catalog",
                       SLICE_ARG(members[i]));
    }
    if (!rating_join(set->arena, payer, child, rating_set_find(set, members[i]), err)) {
      return false;
    }
  }
  return true;
}

bool members_opening(struct arena *arena, const struct catalog *catalog, const struct customer *payer, instant at,
                     const slice *members, size_t count, struct rating *out, struct error *err) {
  const struct rating_set none = {.arena = arena};
  bool opens = count == 0;
  for (size_t i = 0; i < payer->contract_count; i++) {
    opens |= payer->contracts[i].from.ns == at.ns;
  }
  *out = (struct rating){.customer = payer, .opening = true};
  if (opens && !rate_opening(arena, catalog, payer, at, out, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    const struct customer *child = catalog_customer(catalog, members[i]);
    struct rating *one = arena_alloc(arena, sizeof *one);
    if (child == NULL) {
      return rating_set_join(&none, catalog, &members[i], 1, out, err);
    }
    if (!rate_opening(arena, catalog, child, at, one, err) || !rating_join(arena, out, child, one, err)) {
      return false;
    }
    out->period = one->period;
  }
  return true;
}

/* ---- who joins: all whose parent pays, unless the period is billed otherwise by now ---- */

static bool take_found(const struct db_row *row, void *context, struct error *err) {
  (void)row;
  (void)err;
  *(bool *)context = true;
  return true;
}

/* An invoice of its own, one of another parent, or one of this parent that was made without it. */
static bool billed_otherwise(struct db *db, const struct customer *child, const struct rating *like, bool *out,
                             struct error *err) {
  slice part = like->opening ? INVOICE_OPENING : SLICE("");
  *out = false;
  return db == NULL ||
         db_query(db,
                  "SELECT 1 FROM invoice i WHERE i.id IN (SELECT id FROM invoice WHERE customer = $1 OR customer = $2"
                  " UNION SELECT invoice FROM invoice_member WHERE customer = $1) AND i.status <> 'void' AND i.part = "
                  "$5 AND i.period_from < $4"
                  " AND i.period_to > $3 AND ($5 = '' OR i.period_from = $3) AND (i.customer = $1"
                  " OR (i.customer = $2) <> EXISTS(SELECT 1 FROM invoice_member m WHERE m.invoice = i.id"
                  " AND m.customer = $1)) LIMIT 1",
                  DB_VALUES(DB_T(child->id), DB_T(child->payer->id), DB_I(like->period.from.ns),
                            DB_I(like->period.to.ns), DB_T(part)),
                  take_found, out, err);
}

struct folding {
  struct rating_set *set;
  struct db *db;
  struct rating *list;
  size_t count;
  struct map places; /* customer and beginning to the place in the list, from 1 */
};

static slice key_of(const struct folding *f, const struct customer *customer, const struct rating *like) {
  long long from = like->opening ? (long long)like->period.from.ns : 0;
  return slice_of(arena_printf(f->set->arena, SLICE_FMT "\n%lld", SLICE_ARG(customer->id), from));
}

static struct rating *place_of_payer(struct folding *f, const struct customer *payer, const struct rating *like,
                                     bool make) {
  void **place = map_put(&f->places, key_of(f, payer, like));
  if (*place == NULL && make) {
    f->list[f->count] = (struct rating){.customer = payer, .period = like->period, .opening = like->opening};
    *place = (void *)(uintptr_t)++f->count;
  }
  return *place ? &f->list[(uintptr_t)*place - 1] : NULL;
}

static bool fold_one(struct folding *f, const struct customer *child, const struct rating *own, struct error *err) {
  const struct rating whole = {0};
  struct rating *payer = place_of_payer(f, child->payer, own ? own : &whole, false);
  bool otherwise;
  if (own == NULL && payer == NULL) {
    return true;
  }
  if (!billed_otherwise(f->db, child, own ? own : payer, &otherwise, err)) {
    return false;
  }
  if (otherwise) {
    if (own) {
      f->list[f->count++] = *own;
    }
    return true;
  }
  return rating_join(f->set->arena, place_of_payer(f, child->payer, own ? own : &whole, true), child, own, err);
}

static int by_customer(const void *a, const void *b) {
  const struct rating *x = a, *y = b;
  int order = slice_cmp(x->customer->id, y->customer->id);
  return order != 0 ? order : (x->period.from.ns > y->period.from.ns) - (x->period.from.ns < y->period.from.ns);
}

static void begin(struct folding *f, const struct rating *ratings, size_t count) {
  f->list = arena_array(f->set->arena, count, sizeof *f->list);
  f->count = 0;
  f->places = (struct map){0};
  for (size_t i = 0; i < count; i++) {
    if (ratings[i].customer->payer == NULL) {
      f->list[f->count++] = ratings[i];
      *map_put(&f->places, key_of(f, ratings[i].customer, &ratings[i])) = (void *)(uintptr_t)f->count;
    }
  }
}

static bool fold_periods(struct folding *f, const struct catalog *catalog, struct error *err) {
  struct rating_set *set = f->set;
  bool ok = true;
  begin(f, set->ratings, set->rating_count);
  for (size_t i = 0; ok && i < catalog->customer_count; i++) {
    const struct customer *child = &catalog->customers[i];
    ok = child->payer == NULL || fold_one(f, child, rating_set_find(set, child->id), err);
  }
  map_free(&f->places);
  set->ratings = f->list;
  set->rating_count = f->count;
  if (f->count > 0) {
    qsort(f->list, f->count, sizeof *f->list, by_customer);
  }
  return ok;
}

static bool fold_openings(struct folding *f, struct error *err) {
  struct rating_set *set = f->set;
  bool ok = true;
  begin(f, set->openings, set->opening_count);
  for (size_t i = 0; ok && i < set->opening_count; i++) {
    const struct rating *one = &set->openings[i];
    ok = one->customer->payer == NULL || fold_one(f, one->customer, one, err);
  }
  map_free(&f->places);
  set->openings = f->list;
  set->opening_count = f->count;
  return ok;
}

bool rating_set_consolidate(struct rating_set *set, const struct catalog *catalog, struct db *db, struct error *err) {
  bool any = false;
  for (size_t i = 0; !any && i < catalog->customer_count; i++) {
    any = catalog->customers[i].payer != NULL;
  }
  struct folding f = {.set = set, .db = db};
  return !any || (fold_periods(&f, catalog, err) && fold_openings(&f, err));
}
