/* The invariants of kept invoices: numbers without gaps, seals, columns that agree with documents, total = transfers.
 */
#include "bill/private.h"
#include <string.h>

struct check {
  struct db *db;
  struct ledger *ledger;
  void (*bad)(void *context, const char *what);
  void *context;
  uint64_t invoices;
};

static bool check_column(struct check *c, const struct stored_invoice *i, const struct json *document, const char *key,
                         slice column) {
  if (slice_eq(json_text(document, key), column)) {
    return true;
  }
  tell(c->bad, c->context,
       "invoice " SLICE_FMT ": %s is \"" SLICE_FMT "\" in the store and \"" SLICE_FMT "\" in the document",
       SLICE_ARG(i->number), key, SLICE_ARG(column), SLICE_ARG(json_text(document, key)));
  return false;
}

/* Lines sum to the subtotal, with tax to the total; exact + rounding = subtotal. */
static bool check_sums(struct check *c, const struct stored_invoice *i, const struct json *document,
                       struct error *err) {
  amount lines = AMOUNT_ZERO, exact = AMOUNT_ZERO, value, subtotal, rounding, tax, total, sum, rounded;
  const struct json *list = json_get(document, "lines");
  for (const struct json *l = list ? list->child : NULL; l; l = l->next) {
    if (!document_amount(l, "amount", &value, err) || !amount_add(lines, value, &lines, err) ||
        !document_amount(l, "exact", &value, err) || !amount_add(exact, value, &exact, err)) {
      return false;
    }
  }
  if (!document_amount(document, "subtotal", &subtotal, err) ||
      !document_amount(document, "rounding", &rounding, err) || !document_amount(document, "tax", &tax, err) ||
      !document_amount(document, "total", &total, err) || !amount_add(subtotal, tax, &sum, err) ||
      !amount_add(exact, rounding, &rounded, err)) {
    return false;
  }
  if (amount_cmp(lines, subtotal) != 0) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": the lines do not sum to the subtotal", SLICE_ARG(i->number));
  }
  if (amount_cmp(rounded, subtotal) != 0) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": exact + rounding is not the subtotal", SLICE_ARG(i->number));
  }
  if (amount_cmp(sum, total) != 0) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": subtotal + tax is not the total", SLICE_ARG(i->number));
  }
  if (amount_cmp(total, i->total) != 0) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": the stored total is not the document's", SLICE_ARG(i->number));
  }
  return true;
}

/* What the ledger moved for it: charges + tax + rounding up - rounding down - credits. */
static bool check_transfers(struct check *c, const struct stored_invoice *i, struct error *err) {
  amount charges, tax, up, down, credits, sum;
  if (!ledger_sum(c->ledger, i->id, CAUSE_CHARGE, i->currency, &charges, err) ||
      !ledger_sum(c->ledger, i->id, CAUSE_TAX, i->currency, &tax, err) ||
      !ledger_sum(c->ledger, i->id, CAUSE_ROUNDING_UP, i->currency, &up, err) ||
      !ledger_sum(c->ledger, i->id, CAUSE_ROUNDING_DOWN, i->currency, &down, err) ||
      !ledger_sum(c->ledger, i->id, CAUSE_CREDIT, i->currency, &credits, err) || !amount_add(charges, tax, &sum, err) ||
      !amount_sub(sum, credits, &sum, err) || !amount_add(sum, up, &sum, err) || !amount_sub(sum, down, &sum, err)) {
    return false;
  }
  if (amount_cmp(sum, i->total) != 0) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": its transfers do not sum to its total", SLICE_ARG(i->number));
  }
  amount paid, refunded, prepaid = AMOUNT_ZERO;
  bool given_back = slice_is(i->status, "void");
  if (!ledger_sum(c->ledger, i->id, CAUSE_PAYMENT, i->currency, &paid, err) ||
      !ledger_sum(c->ledger, i->id, CAUSE_REFUND, i->currency, &refunded, err) ||
      !amount_sub(paid, refunded, &paid, err) ||
      (!given_back && !ledger_sum(c->ledger, i->id, CAUSE_PREPAID, i->currency, &prepaid, err)) ||
      !amount_add(paid, prepaid, &paid, err)) {
    return false;
  }
  if (amount_cmp(paid, i->paid) != 0) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": its payments do not sum to what it says is paid",
         SLICE_ARG(i->number));
  }
  return true;
}

/* Each grant gave what the document says, and none gave anything it does not say. */
static bool check_draw(struct check *c, const struct stored_invoice *i, const struct json *credit, amount value,
                       amount *all, struct error *err) {
  amount drawn;
  slice grant = json_text(credit, "grant");
  if (!amount_add(*all, value, all, err) || !credit_drawn(c->db, grant, i->id, &drawn, err)) {
    return false;
  }
  if (amount_cmp(drawn, value) < 0) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": it states more of credit " SLICE_FMT " than was taken of it",
         SLICE_ARG(i->number), SLICE_ARG(grant));
  }
  return true;
}

static bool check_draws(struct check *c, const struct stored_invoice *i, const struct json *document,
                        struct error *err) {
  amount value, all = AMOUNT_ZERO, drawn;
  const struct json *lines = json_get(document, "lines"), *credits = json_get(document, "credits");
  for (const struct json *l = lines ? lines->child : NULL; l; l = l->next) {
    if (json_get(l, "credit") && (!document_amount(l, "amount", &value, err) ||
                                  !check_draw(c, i, json_get(l, "credit"), amount_negate(value), &all, err))) {
      return false;
    }
  }
  for (const struct json *one = credits ? credits->child : NULL; one; one = one->next) {
    if (!document_amount(one, "amount", &value, err) || !check_draw(c, i, one, value, &all, err)) {
      return false;
    }
  }
  if (!credit_drawn(c->db, (slice){0}, i->id, &drawn, err)) {
    return false;
  }
  if (amount_cmp(drawn, all) != 0) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": the credit on it is not what was taken of grants for it",
         SLICE_ARG(i->number));
  }
  return true;
}

static bool check_due(struct check *c, const struct stored_invoice *i, const struct json *document, struct error *err) {
  amount prepaid, due, sum;
  if (!document_prepaid(document, &prepaid, err) || json_get(document, "amount_due") == NULL) {
    return err->code == ERR_NONE;
  }
  if (!document_amount(document, "amount_due", &due, err) || !amount_add(prepaid, due, &sum, err)) {
    return false;
  }
  if (amount_cmp(sum, i->total) != 0) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": credits + amount_due is not the total", SLICE_ARG(i->number));
  }
  return true;
}

static bool check_document(struct check *c, struct arena *arena, const struct stored_invoice *i, struct error *err) {
  const struct json *document;
  struct error why = {0};
  char seal[65];
  if (!document_parse(arena, i->document, &document, &why)) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": %s", SLICE_ARG(i->number), why.message);
    return true;
  }
  document_seal(document, seal);
  if (!slice_is(json_text(document, "seal"), seal)) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": the seal does not match the document", SLICE_ARG(i->number));
  }
  check_column(c, i, document, "id", i->id);
  check_column(c, i, document, "number", i->number);
  check_column(c, i, document, "period", i->period);
  check_column(c, i, document, "currency", i->currency);
  check_column(c, i, json_get(document, "customer"), "id", i->customer);
  if (!check_sums(c, i, document, &why) || !check_due(c, i, document, &why) ||
      !check_taxes(document, i->number, c->bad, c->context, &why)) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": %s", SLICE_ARG(i->number), why.message);
  }
  return check_draws(c, i, document, err) && check_transfers(c, i, err);
}

static bool check_one(void *context, const struct stored_invoice *i, struct error *err) {
  struct check *c = context;
  struct arena *arena = arena_new();
  c->invoices++;
  bool ok = check_document(c, arena, i, err);
  arena_free(arena);
  return ok;
}

static bool check_series(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  const struct check *c = context;
  slice name = db_bytes(row, 0);
  if (db_int(row, 1) != db_int(row, 2) || db_int(row, 2) != db_int(row, 3)) {
    tell(c->bad, c->context,
         "invoice numbers " SLICE_FMT "*: %lld given out, %lld kept, the highest is %lld: there is a gap",
         SLICE_ARG(name), (long long)db_int(row, 1), (long long)db_int(row, 2), (long long)db_int(row, 3));
  }
  return true;
}

static bool check_overlap(const struct db_row *row, void *context, struct error *err) {
  const struct check *c = context;
  (void)err;
  tell(c->bad, c->context, "invoices " SLICE_FMT " and " SLICE_FMT " bill the same customer for overlapping periods",
       SLICE_ARG(db_bytes(row, 0)), SLICE_ARG(db_bytes(row, 1)));
  return true;
}

bool invoice_check(struct db *db, struct ledger *ledger, void (*bad)(void *context, const char *what), void *context,
                   uint64_t *invoices, struct error *err) {
  struct check c = {db, ledger, bad, context, 0};
  struct invoice_query all = {.limit = SIZE_MAX, .with_document = true};
  bool ok =
      db_query(db,
               "SELECT s.name, s.next - 1, (SELECT count(*) FROM invoice i WHERE i.series = s.name),"
               " (SELECT coalesce(max(CAST(substr(i.number, length(s.name) + 1) AS INTEGER)), 0) FROM invoice i WHERE "
               "i.series = s.name)"
               " FROM sequence s",
               DB_NO_VALUES, check_series, &c, err) &&
      db_query(db,
               "SELECT a.number, b.number FROM invoice a JOIN invoice b ON a.customer = b.customer AND a.id < b.id"
               " AND a.period_from < b.period_to AND b.period_from < a.period_to AND a.part = '' AND b.part = '' WHERE "
               "a.status <> 'void' AND b.status "
               "<> 'void'",
               DB_NO_VALUES, check_overlap, &c, err) &&
      invoice_list(db, &all, check_one, &c, err);
  *invoices = c.invoices;
  return ok;
}
