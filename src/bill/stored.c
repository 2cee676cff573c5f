/* Kept invoices, found and listed. */
#include "bill/private.h"

struct listing {
  invoice_each each;
  void *context;
};

static bool list_one(const struct db_row *row, void *context, struct error *err) {
  struct listing *l = context;
  struct stored_invoice i = {.id = db_bytes(row, 0),
                             .number = db_bytes(row, 1),
                             .customer = db_bytes(row, 2),
                             .period = db_bytes(row, 3),
                             .currency = db_bytes(row, 4),
                             .status = db_bytes(row, 5),
                             .issued = {db_int(row, 8)},
                             .due = {db_int(row, 9)},
                             .to = {db_int(row, 12)},
                             .from = {db_int(row, 13)},
                             .part = db_bytes(row, 14),
                             .catalog = db_bytes(row, 15),
                             .journal_position = (uint64_t)db_int(row, 10),
                             .corrects = db_bytes(row, 17),
                             .document = db_bytes(row, 11)};
  struct arena *arena = i.document.len > 0 ? arena_new() : NULL;
  bool ok = (arena == NULL || document_unpack(arena, i.document, &i.document, err)) &&
            db_amount(row, 6, &i.total, err) && db_amount(row, 7, &i.paid, err) &&
            db_amount(row, 16, &i.credited, err) && l->each(l->context, &i, err);
  if (arena) {
    arena_free(arena);
  }
  return ok;
}

#define COLUMNS                                                                                                        \
  "SELECT id, number, customer, period, currency, status, total, paid, issued, due, journal_position,"                 \
  " CASE WHEN $1 = 1 THEN document END, period_to, period_from, part, catalog, credited,"                              \
  " corrects FROM invoice "
#define FILTERS                                                                                                        \
  " AND ($3 = '' OR period = $3) AND ($4 = '' OR status = $4) AND ($7 = '' OR ($7 = 'credit_note') = (total LIKE "     \
  "'-%'))"                                                                                                             \
  " AND ($7 <> 'opening' OR part = 'opening') AND id > $5 ORDER BY id LIMIT $6"

/* A text of its own for each way in, so that each finds its index. */
bool invoice_list(struct db *db, const struct invoice_query *q, invoice_each each, void *context, struct error *err) {
  struct listing l = {each, context};
  int64_t limit = q->limit > INT64_MAX ? INT64_MAX : (int64_t)q->limit;
  slice by = q->id.len > 0 ? q->id : q->customer;
  const struct db_value values[] = {DB_I(q->with_document), DB_T(by),    DB_T(q->period), DB_T(q->status),
                                    DB_T(q->after_id),      DB_I(limit), DB_T(q->kind),   DB_T(q->customer)};
  size_t count = sizeof values / sizeof *values;
  if (q->id.len > 0) {
    return db_query(db, COLUMNS "WHERE (id = $2 OR number = $2) AND ($8 = '' OR customer = $8)" FILTERS, values, count,
                    list_one, &l, err);
  }
  if (q->customer.len > 0) {
    return db_query(db, COLUMNS "WHERE customer = $2" FILTERS, values, count - 1, list_one, &l, err);
  }
  return db_query(db, COLUMNS "WHERE $2 = ''" FILTERS, values, count - 1, list_one, &l, err);
}

struct stored_invoice stored_invoice_copy(struct arena *arena, const struct stored_invoice *i) {
  struct stored_invoice copy = *i;
  slice *texts[] = {&copy.id,   &copy.number, &copy.customer, &copy.currency, &copy.period,
                    &copy.part, &copy.status, &copy.catalog,  &copy.corrects, &copy.document};
  for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
    *texts[t] = arena_copy(arena, *texts[t]);
  }
  return copy;
}

struct finding {
  struct arena *arena;
  struct stored_invoice *out;
  bool found;
};

static bool take_found(void *context, const struct stored_invoice *i, struct error *err) {
  (void)err;
  struct finding *f = context;
  f->found = true;
  *f->out = stored_invoice_copy(f->arena, i);
  return true;
}

bool stored_invoice_find(struct arena *arena, struct db *db, slice id, struct stored_invoice *out, struct error *err) {
  struct finding f = {.arena = arena, .out = out};
  struct invoice_query query = {.id = id, .limit = 1, .with_document = true};
  if (!invoice_list(db, &query, take_found, &f, err)) {
    return false;
  }
  return f.found || error_set(err, ERR_NOT_FOUND, "there is no invoice \"%.*s\"", id.len > 60 ? 60 : (int)id.len,
                              id.len ? id.ptr : "");
}

bool stored_invoice_open(const struct stored_invoice *i, amount *out, struct error *err) {
  return amount_sub(i->total, i->paid, out, err) && amount_sub(*out, i->credited, out, err);
}
