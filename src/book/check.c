/* All invariants of a book: store, journal, ledger, invoices, and every invoice derived again from its events. */
#include "base/log.h"
#include "book/private.h"
#include "collect/collect.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct check {
  struct book *book;
  void (*bad)(void *context, const char *what);
  void *context;
  struct check_result *result;
};

static void found(void *context, const char *what) {
  struct check *check = context;
  check->result->problems++;
  check->bad(check->context, what);
}

/* One (period, journal position): the invoices of one close, which were rated from the same events. */
struct close_group {
  slice period, catalog;
  uint64_t position;
  instant as_of; /* early ones were metered up to their issue, all others to the end of the period */
};
struct groups {
  struct arena *arena;
  VEC(struct close_group) list;
};

static bool take_group(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct groups *groups = context;
  vec_push(&groups->list, (struct close_group){arena_copy(groups->arena, db_bytes(row, 0)),
                                               arena_copy(groups->arena, db_bytes(row, 3)),
                                               (uint64_t)db_int(row, 1),
                                               {db_int(row, 2)}});
  return true;
}

struct derivation {
  struct check *check;
  struct rating_set *set;
  const struct close_group *group;
  const struct catalog *catalog; /* the one it was made with */
};

struct difference {
  struct check *check;
  slice number;
};

static void differs(void *context, const char *what) {
  struct difference *difference = context;
  char text[1200];
  snprintf(text, sizeof text, "invoice " SLICE_FMT ": derived again from its events it differs: %s",
           SLICE_ARG(difference->number), what);
  found(difference->check, text);
}

/* Adjustments are worked out again over the stretches of the journal that the document names. */
static bool adjust_as_stated(struct derivation *d, const struct stored_invoice *stored, slice customer,
                             struct rating *rating, struct error *err) {
  struct adjustment_span *spans;
  struct charge *ignored;
  size_t span_count, ignored_count, own = 0;
  const struct catalog *catalog = d->catalog;
  const struct rating *found_rating = rating_set_find(d->set, customer);
  *rating = found_rating ? *found_rating
                         : (struct rating){.customer = catalog_customer(catalog, customer),
                                           .period = {stored->from, stored->to}};
  if (rating->customer == NULL) {
    return error_set(err, ERR_CORRUPT, "customer " SLICE_FMT " is no longer in the catalog", SLICE_ARG(customer));
  }
  if (!invoice_adjustments(d->set->arena, catalog, stored->document, &spans, &span_count, &ignored, &ignored_count,
                           err)) {
    return false;
  }
  for (size_t i = 0; i < span_count; i++) {
    if (slice_eq(spans[i].customer, customer)) {
      spans[own++] = spans[i];
    }
  }
  return adjust_again(d->check->book, d->set, rating, spans, own, err);
}

static bool rate_again(struct derivation *d, const struct stored_invoice *stored, struct rating *out,
                       struct error *err) {
  const slice *members;
  size_t count;
  if (!adjust_as_stated(d, stored, stored->customer, out, err) ||
      !invoice_members(d->set->arena, stored->document, &members, &count, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    struct rating *more = arena_alloc(d->set->arena, sizeof *more);
    if (!adjust_as_stated(d, stored, members[i], more, err) ||
        !rating_join(d->set->arena, out, more->customer, more, err)) {
      return false;
    }
  }
  return true;
}

static bool derive_again(void *context, const struct stored_invoice *stored, struct error *err) {
  struct derivation *d = context;
  bool of_group = stored->journal_position == d->group->position && slice_eq(stored->catalog, d->group->catalog) &&
                  (stored->issued.ns >= stored->to.ns ? d->group->as_of.ns == INSTANT_MAX.ns
                                                      : stored->issued.ns == d->group->as_of.ns);
  if (!of_group || stored->part.len > 0 || slice_is(stored->status, "void")) {
    return true;
  }
  struct difference difference = {d->check, stored->number};
  struct invoice derived;
  struct error why = {0};
  struct rating rating;
  struct invoice_purse purse;
  if (!rate_again(d, stored, &rating, err) || !invoice_purse_stated(d->set->arena, stored->document, &purse, err) ||
      !rating_set_invoice(d->set, d->catalog, &rating, &purse, &derived, err)) {
    return false;
  }
  (void)!invoice_verify(stored->document, &derived, differs, &difference, &why);
  return true;
}

static bool check_group(struct check *check, const struct close_group *group, struct error *err) {
  struct rating_set set;
  struct rate_request request = {
      .period = group->period, .position = group->position, .as_of = group->as_of, .no_events = group->position == 0};
  if (!versions_find(check->book, group->catalog, &request.catalog, err) ||
      !rate_at(check->book, &request, &set, err)) {
    return false;
  }
  struct derivation d = {check, &set, group, request.catalog};
  struct invoice_query query = {.period = group->period, .limit = SIZE_MAX, .with_document = true};
  bool ok = invoice_list(check->book->db, &query, derive_again, &d, err);
  rating_set_free(&set);
  return ok;
}

/* Openings rest on the catalog alone, and on the credit they state. */
static bool open_again(void *context, const struct stored_invoice *stored, struct error *err) {
  struct check *check = context;
  struct difference difference = {check, stored->number};
  struct rating_set set = {.arena = NULL};
  const struct catalog *catalog;
  struct invoice derived;
  struct rating *rating;
  struct invoice_purse purse;
  struct error why = {0};
  if (!slice_eq(stored->part, INVOICE_OPENING) || slice_is(stored->status, "void")) {
    return true;
  }
  if (!versions_find(check->book, stored->catalog, &catalog, err)) {
    return false;
  }
  const struct customer *customer = catalog_customer(catalog, stored->customer);
  if (customer == NULL) {
    return error_set(err, ERR_CORRUPT, "customer " SLICE_FMT " is no longer in the catalog",
                     SLICE_ARG(stored->customer));
  }
  set.arena = arena_new();
  rating = arena_alloc(set.arena, sizeof *rating);
  const slice *members;
  size_t count;
  bool ok = invoice_members(set.arena, stored->document, &members, &count, err) &&
            members_opening(set.arena, catalog, customer, stored->from, members, count, rating, err) &&
            invoice_purse_stated(set.arena, stored->document, &purse, err) &&
            rating_set_invoice(&set, catalog, rating, &purse, &derived, err);
  if (ok) {
    (void)!invoice_verify(stored->document, &derived, differs, &difference, &why);
  }
  rating_set_free(&set);
  return ok;
}

static bool check_openings(struct check *check, struct error *err) {
  struct invoice_query query = {.limit = SIZE_MAX, .with_document = true};
  return invoice_list(check->book->db, &query, open_again, check, err);
}

static bool check_derivations(struct check *check, struct error *err) {
  struct groups groups = {.arena = arena_new()};
  bool ok = db_query(check->book->db,
                     "SELECT DISTINCT period, journal_position, CASE WHEN issued < period_to THEN issued ELSE $1 END,"
                     " catalog FROM invoice WHERE part = '' ORDER BY 4, 1, 2, 3",
                     DB_VALUES(DB_I(INSTANT_MAX.ns)), take_group, &groups, err);
  for (size_t i = 0; ok && i < groups.list.count; i++) {
    ok = check_group(check, &groups.list.items[i], err);
    log_progress("closes derived again", i + 1, groups.list.count);
  }
  vec_free(&groups.list);
  arena_free(groups.arena);
  return ok;
}

static bool count_account(void *context, const struct account *a, struct error *err) {
  (void)a;
  (void)err;
  struct check_result *result = context;
  result->accounts++;
  return true;
}

static bool check_store(struct check *check, struct error *err) {
  struct book *book = check->book;
  char identities[PATH_MAX];
  snprintf(identities, sizeof identities, "%s/identity", book->dir);
  return db_check(book->db, err) && journal_check(book->db, found, check, &check->result->events, err) &&
         journal_check_identities(identities, found, check, err);
}

bool book_check_store(struct book *book, void (*bad)(void *context, const char *what), void *context,
                      struct check_result *out, struct error *err) {
  *out = (struct check_result){0};
  struct check check = {book, bad, context, out};
  return check_store(&check, err);
}

static bool check_collecting(struct check *check, struct error *err) {
  struct book *book = check->book;
  struct collect c = {book->db, book->ledger, book->catalog, clock_now(), arena_new()};
  bool ok = collect_check(&c, found, check, err);
  arena_free(c.arena);
  return ok;
}

bool book_check(struct book *book, void (*bad)(void *context, const char *what), void *context,
                struct check_result *out, struct error *err) {
  *out = (struct check_result){0};
  struct check check = {book, bad, context, out};
  if (!check_store(&check, err)) {
    return false;
  }
  /* What rests on damaged events can not be derived: the rest is still looked at. */
  bool whole = out->problems == 0;
  return (!whole || rollup_check(book->db, book->catalog, clock_now(), found, &check, err)) &&
         ledger_check(book->ledger, found, &check, err) &&
         ledger_accounts(book->ledger, (slice){0}, count_account, out, err) &&
         credit_check(book->db, book->ledger, found, &check, err) &&
         invoice_check(book->db, book->ledger, found, &check, &out->invoices, err) &&
         commitment_check(book->db, book->ledger, found, &check, err) && check_collecting(&check, err) &&
         (!whole || (check_derivations(&check, err) && check_openings(&check, err)));
}

bool check_invoices_again(struct book *book, told *bad, void *context, uint64_t *problems, struct error *err) {
  struct check_result result = {0};
  struct check check = {book, bad, context, &result};
  bool ok = check_derivations(&check, err) && check_openings(&check, err);
  *problems = result.problems;
  return ok;
}
