/* Keeping invoices: numbering without gaps, finalizing once, paying, voiding. Each is one step inside the caller's
 * transaction, moving document and ledger together. */
#include "bill/private.h"
#include <stdlib.h>
#include <string.h>

const struct db_migration bill_migrations[] = {
    {"bill-1-sequence", "CREATE TABLE sequence(name TEXT PRIMARY KEY, next INTEGER NOT NULL);"},
    {"bill-2-invoice",
     "CREATE TABLE invoice(id TEXT PRIMARY KEY, number TEXT NOT NULL UNIQUE, series TEXT NOT NULL,"
     " customer TEXT NOT NULL, period TEXT NOT NULL, period_from INTEGER NOT NULL, period_to INTEGER NOT NULL,"
     " currency TEXT NOT NULL, status TEXT NOT NULL, total TEXT NOT NULL, paid TEXT NOT NULL,"
     " issued INTEGER NOT NULL, due INTEGER NOT NULL, document BLOB NOT NULL, journal_position INTEGER NOT NULL);"
     "CREATE UNIQUE INDEX invoice_live ON invoice(customer, period) WHERE status <> 'void';"
     "CREATE INDEX invoice_period ON invoice(period, id);"},
    {"bill-3-adjustment", "CREATE TABLE invoice_adjustment(carrier TEXT NOT NULL, invoice TEXT NOT NULL,"
                          " from_event INTEGER NOT NULL, to_event INTEGER NOT NULL, as_of INTEGER NOT NULL,"
                          " PRIMARY KEY(carrier, invoice));"},
    {"bill-4-part", "ALTER TABLE invoice ADD COLUMN part TEXT NOT NULL DEFAULT '';"
                    "ALTER TABLE invoice ADD COLUMN catalog TEXT NOT NULL DEFAULT '';"
                    "DROP INDEX invoice_live;"
                    "CREATE UNIQUE INDEX invoice_live ON invoice(customer, period, part) WHERE status <> 'void';"
                    "CREATE INDEX invoice_customer ON invoice(customer, id);"},
    {"bill-5-note", "ALTER TABLE invoice ADD COLUMN credited TEXT NOT NULL DEFAULT '0';"
                    "ALTER TABLE invoice ADD COLUMN corrects TEXT NOT NULL DEFAULT '';"
                    "CREATE INDEX invoice_corrects ON invoice(corrects);"
                    "CREATE TABLE credit_note(key TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, request TEXT NOT NULL,"
                    " granted TEXT NOT NULL);"},
    {"bill-6-member", "CREATE TABLE invoice_member(invoice TEXT NOT NULL, customer TEXT NOT NULL,"
                      " PRIMARY KEY(invoice, customer));"
                      "CREATE INDEX invoice_member_customer ON invoice_member(customer);"
                      "CREATE TABLE invoice_adjusted(carrier TEXT NOT NULL, invoice TEXT NOT NULL, customer TEXT NOT"
                      " NULL, from_event INTEGER NOT NULL, to_event INTEGER NOT NULL, as_of INTEGER NOT NULL,"
                      " PRIMARY KEY(carrier, invoice, customer));"
                      "INSERT INTO invoice_adjusted SELECT a.carrier, a.invoice, i.customer, a.from_event, a.to_event,"
                      " a.as_of FROM invoice_adjustment a JOIN invoice i ON i.id = a.invoice;"
                      "DROP TABLE invoice_adjustment;"
                      "ALTER TABLE invoice_adjusted RENAME TO invoice_adjustment;"},
    {"bill-5-commitment", "CREATE TABLE commitment_move(invoice TEXT NOT NULL, customer TEXT NOT NULL,"
                          " name TEXT NOT NULL, interval_from INTEGER NOT NULL, step INTEGER NOT NULL,"
                          " prepaid INTEGER NOT NULL, committed TEXT NOT NULL, balance TEXT NOT NULL,"
                          " spent TEXT NOT NULL, billed TEXT NOT NULL, expired TEXT NOT NULL,"
                          " PRIMARY KEY(invoice, name, interval_from));"
                          "CREATE INDEX commitment_customer ON commitment_move(customer, name, interval_from, step);"},
};
const size_t bill_migration_count = sizeof bill_migrations / sizeof *bill_migrations;

/* ---- numbering ---- */

static bool take_integer(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(int64_t *)context = db_int(row, 0);
  return true;
}

/* "NW-2026-000001": one series a seller and year; the number is taken in the transaction that uses it, so none is lost.
 */
bool invoice_next_number(struct arena *arena, struct db *db, const struct seller *seller, bool credit, instant now,
                         const char *zone, slice *series, slice *number, struct error *err) {
  int64_t next = 0;
  *series = slice_of(arena_printf(arena, SLICE_FMT "%s%d-", SLICE_ARG(seller->invoice_prefix), credit ? "CN-" : "",
                                  time_civil(now, zone).year));
  if (!db_run(db, "INSERT INTO sequence(name, next) VALUES($1, 2) ON CONFLICT(name) DO UPDATE SET next = next + 1",
              DB_VALUES(DB_T(*series)), NULL, err) ||
      !db_query(db, "SELECT next - 1 FROM sequence WHERE name = $1", DB_VALUES(DB_T(*series)), take_integer, &next,
                err)) {
    return false;
  }
  *number = slice_of(arena_printf(arena, SLICE_FMT "%06lld", SLICE_ARG(*series), (long long)next));
  return true;
}

/* ---- is there one already? ---- */

struct overlap {
  struct arena *arena;
  slice id, period;
  bool found;
};

static bool take_overlap(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct overlap *o = context;
  o->found = true;
  o->id = arena_copy(o->arena, db_bytes(row, 0));
  o->period = arena_copy(o->arena, db_bytes(row, 1));
  return true;
}

/* The same period again is the invoice that exists; a period that overlaps another's would bill usage twice. Openings
 * hold no usage: those of several phases may overlap. */
static bool find_existing(struct arena *arena, struct db *db, const struct invoice *draft, slice period, bool *existed,
                          slice *id, struct error *err) {
  struct overlap o = {.arena = arena};
  if (!db_query(db,
                "SELECT id, period FROM invoice WHERE (customer = $1 OR id IN (SELECT invoice FROM invoice_member WHERE"
                " customer = $1)) AND status <> 'void' AND part = $4"
                " AND period_from < $3 AND period_to > $2 AND (part = '' OR period_from = $2) LIMIT 1",
                DB_VALUES(DB_T(draft->customer->id), DB_I(draft->period.from.ns), DB_I(draft->period.to.ns),
                          DB_T(draft->part)),
                take_overlap, &o, err)) {
    return false;
  }
  *existed = o.found;
  *id = o.id;
  if (o.found && !slice_eq(o.period, period)) {
    return error_set(err, ERR_CONFLICT,
                     "period " SLICE_FMT " overlaps invoice " SLICE_FMT " of period " SLICE_FMT
                     ": its usage would be billed twice",
                     SLICE_ARG(period), SLICE_ARG(o.id), SLICE_ARG(o.period));
  }
  return true;
}

/* ---- posting ---- */

struct posting {
  struct arena *arena;
  const struct invoice *invoice;
  slice receivable;
  VEC(struct transfer) transfers;
};

/* Moves `value` from the receivable; a negative one moves the other way. Nothing for zero. */
static void post(struct posting *p, const char *what, slice to, amount value, slice cause) {
  if (amount_is_zero(value)) {
    return;
  }
  bool back = amount_cmp(value, AMOUNT_ZERO) < 0;
  vec_push(&p->transfers,
           (struct transfer){
               .id = slice_of(arena_printf(p->arena, SLICE_FMT "/%s", SLICE_ARG(p->invoice->id), what)),
               .from = back ? to : p->receivable,
               .to = back ? p->receivable : to,
               .currency = slice_of(p->invoice->customer->currency->code),
               .amount = back ? amount_negate(value) : value,
               .time = p->invoice->issued,
               .cause = back && (slice_eq(cause, CAUSE_CHARGE) || slice_eq(cause, CAUSE_TAX)) ? CAUSE_CREDIT : cause,
               .reference = p->invoice->id});
}

/* Bought is owed to the customer until usage is paid from it: revenue is what usage earned. */
static slice account_of_line(struct posting *p, const struct invoice_line *line) {
  const struct charge *c = line->charge;
  char account[ACCOUNT_NAME_MAX];
  if (line->credit) {
    return line->credit->grant->pocket;
  }
  if (c->kind == CHARGE_COMMITMENT || c->kind == CHARGE_DRAWDOWN) {
    return account_commitment(p->arena, p->invoice->customer->id, c->commitment->name);
  }
  return arena_copy(p->arena, slice_of(account_revenue(c->product, account)));
}

static void post_lines(struct posting *p) {
  for (size_t i = 0; i < p->invoice->line_count; i++) {
    const struct invoice_line *line = &p->invoice->lines[i];
    slice to = account_of_line(p, line);
    post(p, arena_printf(p->arena, "line/%u", line->number), to, line->exact, CAUSE_CHARGE);
  }
}

static void post_taxes(struct posting *p) {
  for (size_t i = 0; i < p->invoice->tax_count; i++) {
    char account[ACCOUNT_NAME_MAX];
    slice to = arena_copy(p->arena, slice_of(account_tax(p->invoice->taxes[i].tax->name, account)));
    post(p, arena_printf(p->arena, "tax/%zu", i + 1), to, p->invoice->taxes[i].amount, CAUSE_TAX);
  }
}

static void post_prepaid(struct posting *p) {
  for (size_t i = 0; i < p->invoice->credit_count; i++) {
    const struct credit_use *use = &p->invoice->credits[i];
    post(p, arena_printf(p->arena, "prepaid/%zu", i + 1), use->grant->pocket, amount_negate(use->amount),
         CAUSE_PREPAID);
  }
}

/* What was bought and is lost: numbered as the documents' commitments to spend are. */
static void post_breakage(struct posting *p) {
  for (size_t i = 0; i < p->invoice->commitment_count; i++) {
    const struct invoice_commitment *c = &p->invoice->commitments[i];
    if (c->span->commitment->shape == COMMITMENT_PREPAID && !amount_is_zero(c->expired)) {
      vec_push(&p->transfers,
               (struct transfer){
                   .id = slice_of(arena_printf(p->arena, SLICE_FMT "/breakage/%zu", SLICE_ARG(p->invoice->id), i + 1)),
                   .from = account_commitment(p->arena, p->invoice->customer->id, c->span->commitment->name),
                   .to = ACCOUNT_BREAKAGE,
                   .currency = slice_of(p->invoice->customer->currency->code),
                   .amount = c->expired,
                   .time = p->invoice->issued,
                   .cause = CAUSE_BREAKAGE,
                   .reference = p->invoice->id});
    }
  }
}

static bool post_all(struct arena *arena, struct ledger *ledger, const struct invoice *invoice, struct error *err) {
  char account[ACCOUNT_NAME_MAX];
  struct posting p = {.arena = arena, .invoice = invoice};
  p.receivable = arena_copy(arena, slice_of(account_receivable(invoice->customer->id, account)));
  post_lines(&p);
  post(&p, "rounding", SLICE("rounding"), invoice->rounding,
       amount_cmp(invoice->rounding, AMOUNT_ZERO) > 0 ? CAUSE_ROUNDING_UP : CAUSE_ROUNDING_DOWN);
  post_taxes(&p);
  post_prepaid(&p);
  post_breakage(&p);
  bool ok = p.transfers.count == 0 || ledger_transfer_all(ledger, p.transfers.items, p.transfers.count, err);
  vec_free(&p.transfers);
  return ok;
}

static bool store(struct db *db, const struct invoice *i, slice series, slice period, uint64_t position,
                  enum invoice_status status, struct error *err) {
  struct buf document;
  buf_init(&document, DOCUMENT_BYTES_MAX);
  invoice_to_kept(i, &document);
  slice packed = {0};
  bool ok = !document.failed ||
            error_set(err, ERR_LIMIT, "the invoice document is larger than %zu bytes", DOCUMENT_BYTES_MAX);
  ok = ok && document_pack(buf_slice(&document), &packed, err) &&
       db_run(db,
              "INSERT INTO invoice(id, number, series, customer, period, period_from, period_to, currency, "
              "status, total, paid,"
              " issued, due, document, journal_position, part, catalog) VALUES($1, $2, $3, $4, $5, $6, $7, $8,"
              " $16, $9, $17, $10, $11, $12, $13, $14, $15)",
              DB_VALUES(DB_T(i->id), DB_T(i->number), DB_T(series), DB_T(i->customer->id), DB_T(period),
                        DB_I(i->period.from.ns), DB_I(i->period.to.ns), DB_T(slice_of(i->customer->currency->code)),
                        DB_A(i->total), DB_I(i->issued.ns), DB_I(i->due.ns), DB_B(packed), DB_I((int64_t)position),
                        DB_T(i->part), DB_T(i->catalog->digest_hex), DB_T(slice_of(invoice_status_name(status))),
                        DB_A(i->prepaid)),
              NULL, err);
  free((void *)(uintptr_t)packed.ptr);
  buf_free(&document);
  return ok;
}

/* Each adjusted invoice once: the lines of one are of one stretch. */
static bool keep_adjustments(struct db *db, const struct invoice *i, struct error *err) {
  for (size_t l = 0; l < i->line_count; l++) {
    const struct adjustment *a = i->lines[l].charge->adjustment;
    if (a == NULL) {
      continue;
    }
    const struct adjustment_span *s = &a->span;
    if (!db_run(db,
                "INSERT INTO invoice_adjustment(carrier, invoice, customer, from_event, to_event, as_of)"
                " SELECT $1, id, $6, $3, $4, $5 FROM invoice WHERE number = $2 ON CONFLICT DO NOTHING",
                DB_VALUES(DB_T(i->id), DB_T(s->invoice), DB_I((int64_t)s->from_event), DB_I((int64_t)s->to_event),
                          DB_I(s->as_of_after.ns), DB_T(s->customer)),
                NULL, err)) {
      return false;
    }
  }
  return true;
}

bool invoice_finalize(struct arena *arena, struct db *db, struct ledger *ledger, struct invoice *draft, instant now,
                      uint64_t journal_position, bool *existed, slice *id, struct error *err) {
  must(draft->status == INVOICE_DRAFT && db_in_transaction(db));
  char period_text[2 * TIME_TEXT_MAX], id_text[ID_TEXT_MAX];
  slice period = slice_of(billing_period_name(draft->customer, draft->period, period_text));
  if (!find_existing(arena, db, draft, period, existed, id, err)) {
    return false;
  }
  if (*existed) {
    return true;
  }
  slice series, number;
  size_t use_count;
  const struct credit_use *uses = credit_uses(arena, draft, &use_count);
  if (use_count > 0 && !credit_activate(db, ledger, draft->customer->id, now, err)) {
    return false;
  }
  if (!invoice_next_number(arena, db, catalog_seller(draft->catalog, draft->customer), invoice_is_credit(draft), now,
                           draft->catalog->time_zone, &series, &number, err)) {
    return false;
  }
  invoice_issue(arena, draft, slice_of(id_new("inv", id_text)), number, now);
  *id = draft->id;
  enum invoice_status status = invoice_is_covered(draft) ? INVOICE_PAID : INVOICE_FINALIZED;
  return credit_draw(db, uses, use_count, draft->id, now, err) && post_all(arena, ledger, draft, err) &&
         store(db, draft, series, period, journal_position, status, err) && keep_adjustments(db, draft, err) &&
         keep_members(db, draft, err) && commitments_store(db, draft, err);
}

/* ---- reading ---- */

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
  struct arena *arena = arena_new();
  bool ok = document_unpack(arena, db_bytes(row, 11), &i.document, err) && db_amount(row, 6, &i.total, err) &&
            db_amount(row, 7, &i.paid, err) && db_amount(row, 16, &i.credited, err) && l->each(l->context, &i, err);
  arena_free(arena);
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

/* A copy that outlives the query. */
struct found_invoice {
  struct arena *arena;
  struct stored_invoice invoice;
  bool found;
};

static bool keep_copy(void *context, const struct stored_invoice *i, struct error *err) {
  (void)err;
  struct found_invoice *f = context;
  f->found = true;
  f->invoice = *i;
  f->invoice.id = arena_copy(f->arena, i->id);
  f->invoice.customer = arena_copy(f->arena, i->customer);
  f->invoice.currency = arena_copy(f->arena, i->currency);
  f->invoice.status = arena_copy(f->arena, i->status);
  f->invoice.corrects = arena_copy(f->arena, i->corrects);
  f->invoice.document = arena_copy(f->arena, i->document);
  return true;
}

static bool find(struct db *db, slice id, struct found_invoice *out, struct error *err) {
  struct invoice_query query = {.id = id, .limit = 1, .with_document = true};
  return invoice_list(db, &query, keep_copy, out, err) &&
         (out->found || error_set(err, ERR_NOT_FOUND, "there is no invoice \"" SLICE_FMT "\"", SLICE_ARG(id)));
}

/* ---- paying and voiding ---- */

bool stored_invoice_open(const struct stored_invoice *i, amount *out, struct error *err) {
  return amount_sub(i->total, i->paid, out, err) && amount_sub(*out, i->credited, out, err);
}

static bool set_paid(struct db *db, slice id, amount paid, amount open, struct error *err) {
  return db_run(db, "UPDATE invoice SET paid = $2, status = $3 WHERE id = $1",
                DB_VALUES(DB_T(id), DB_A(paid), DB_T(settled_status(open))), NULL, err);
}

static bool book_payment(struct db *db, struct ledger *ledger, const struct stored_invoice *i, slice from,
                         slice transfer_id, amount value, instant now, struct error *err) {
  char receivable[ACCOUNT_NAME_MAX];
  struct transfer t = {.id = transfer_id,
                       .from = from,
                       .to = slice_of(account_receivable(i->customer, receivable)),
                       .currency = i->currency,
                       .amount = value,
                       .time = now,
                       .cause = CAUSE_PAYMENT,
                       .reference = i->id};
  enum transfer_outcome outcome;
  amount open;
  if (!ledger_transfer(ledger, &t, &outcome, err)) {
    return false;
  }
  if (outcome == TRANSFER_REPEATED) {
    return true;
  }
  if (!slice_is(i->status, "finalized")) {
    return error_set(err, ERR_CONFLICT, "invoice " SLICE_FMT " is " SLICE_FMT ": it takes no payment", SLICE_ARG(i->id),
                     SLICE_ARG(i->status));
  }
  struct stored_invoice after = *i;
  if (!amount_add(i->paid, value, &after.paid, err) || !stored_invoice_open(&after, &open, err)) {
    return false;
  }
  if (amount_cmp(open, AMOUNT_ZERO) < 0) {
    return error_set(err, ERR_INVALID, "this payment is more than what is open on invoice " SLICE_FMT,
                     SLICE_ARG(i->id));
  }
  return set_paid(db, i->id, after.paid, open, err);
}

bool invoice_pay(struct db *db, struct ledger *ledger, slice id, slice from, slice transfer_id, amount value,
                 instant now, struct error *err) {
  struct found_invoice f = {.arena = arena_new()};
  bool ok = find(db, id, &f, err) && book_payment(db, ledger, &f.invoice, from, transfer_id, value, now, err);
  arena_free(f.arena);
  return ok;
}

static bool book_refund(struct db *db, struct ledger *ledger, const struct stored_invoice *i, slice to,
                        slice transfer_id, amount value, instant now, struct error *err) {
  char receivable[ACCOUNT_NAME_MAX];
  struct transfer t = {.id = transfer_id,
                       .from = slice_of(account_receivable(i->customer, receivable)),
                       .to = to,
                       .currency = i->currency,
                       .amount = value,
                       .time = now,
                       .cause = CAUSE_REFUND,
                       .reference = i->id};
  enum transfer_outcome outcome;
  amount open;
  if (!ledger_transfer(ledger, &t, &outcome, err)) {
    return false;
  }
  if (outcome == TRANSFER_REPEATED) {
    return true;
  }
  struct stored_invoice after = *i;
  if (!amount_sub(i->paid, value, &after.paid, err) || !stored_invoice_open(&after, &open, err)) {
    return false;
  }
  if (amount_cmp(after.paid, AMOUNT_ZERO) < 0) {
    return error_set(err, ERR_CONFLICT, "invoice " SLICE_FMT ": more would go back than was paid", SLICE_ARG(i->id));
  }
  return set_paid(db, i->id, after.paid, open, err);
}

bool invoice_unpay(struct db *db, struct ledger *ledger, slice id, slice to, slice transfer_id, amount value,
                   instant now, struct error *err) {
  struct found_invoice f = {.arena = arena_new()};
  bool ok = find(db, id, &f, err) && book_refund(db, ledger, &f.invoice, to, transfer_id, value, now, err);
  arena_free(f.arena);
  return ok;
}

static bool reverse_one(struct arena *arena, struct ledger *ledger, slice id, const char *what, instant now,
                        struct error *err) {
  slice transfer = slice_of(arena_printf(arena, SLICE_FMT "/%s", SLICE_ARG(id), what));
  slice reference = slice_of(arena_printf(arena, SLICE_FMT "/void", SLICE_ARG(id)));
  return ledger_reverse(ledger, transfer, now, reference, err);
}

/* The document says which transfers finalizing made: one for each amount that is not zero. */
static bool reverse_all(struct arena *arena, struct ledger *ledger, slice id, const struct json *document, instant now,
                        struct error *err) {
  const struct json *lines = json_get(document, "lines"), *taxes = json_get(document, "taxes");
  amount value;
  for (const struct json *l = lines ? lines->child : NULL; l; l = l->next) {
    if (!document_amount(l, "exact", &value, err)) {
      return false;
    }
    const char *what = arena_printf(arena, "line/" SLICE_FMT, SLICE_ARG(json_text(l, "number")));
    if (!amount_is_zero(value) && !reverse_one(arena, ledger, id, what, now, err)) {
      return false;
    }
  }
  unsigned number = 1;
  for (const struct json *t = taxes ? taxes->child : NULL; t; t = t->next, number++) {
    if (!document_amount(t, "amount", &value, err)) {
      return false;
    }
    if (!amount_is_zero(value) && !reverse_one(arena, ledger, id, arena_printf(arena, "tax/%u", number), now, err)) {
      return false;
    }
  }
  const struct json *credits = json_get(document, "credits");
  number = 1;
  for (const struct json *c = credits ? credits->child : NULL; c; c = c->next, number++) {
    if (!reverse_one(arena, ledger, id, arena_printf(arena, "prepaid/%u", number), now, err)) {
      return false;
    }
  }
  return document_amount(document, "rounding", &value, err) &&
         (amount_is_zero(value) || reverse_one(arena, ledger, id, "rounding", now, err));
}

static bool reverse_breakage(struct arena *arena, struct ledger *ledger, slice id, const struct json *document,
                             instant now, struct error *err) {
  const struct json *commitments = json_get(document, "commitments");
  unsigned number = 0;
  for (const struct json *c = commitments ? commitments->child : NULL; c; c = c->next) {
    amount expired;
    if (!commitment_is_spend(c)) {
      continue;
    }
    number++;
    if (!document_amount(c, "expired", &expired, err)) {
      return false;
    }
    bool lost = slice_is(json_text(c, "shape"), commitment_shape_name(COMMITMENT_PREPAID)) && !amount_is_zero(expired);
    if (lost && !reverse_one(arena, ledger, id, arena_printf(arena, "breakage/%u", number), now, err)) {
      return false;
    }
  }
  return true;
}

struct carrier {
  struct arena *arena;
  slice number;
};

static bool take_carrier(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct carrier *c = context;
  c->number = arena_copy(c->arena, db_bytes(row, 0));
  return true;
}

/* Its period invoiced anew would hold what a later document has adjusted already. */
static bool no_one_adjusts(struct arena *arena, struct db *db, slice id, struct error *err) {
  struct carrier c = {.arena = arena};
  if (!db_query(db,
                "SELECT i.number FROM invoice_adjustment j JOIN invoice i ON i.id = j.carrier"
                " WHERE j.invoice = $1 AND i.status <> 'void' LIMIT 1",
                DB_VALUES(DB_T(id)), take_carrier, &c, err)) {
    return false;
  }
  return c.number.len == 0 ||
         error_set(err, ERR_CONFLICT, "invoice " SLICE_FMT " is adjusted by " SLICE_FMT ": void that one first",
                   SLICE_ARG(id), SLICE_ARG(c.number));
}

/* What it adjusted would be adjusted again from the beginning, over what a later document has accounted for. */
static bool no_one_goes_on(struct arena *arena, struct db *db, slice id, struct error *err) {
  struct carrier c = {.arena = arena};
  if (!db_query(db,
                "SELECT i.number FROM invoice_adjustment own JOIN invoice_adjustment j ON j.invoice = own.invoice"
                " JOIN invoice i ON i.id = j.carrier WHERE own.carrier = $1 AND i.id <> $1 AND i.status <> 'void'"
                " AND (j.to_event, j.as_of) > (own.to_event, own.as_of) ORDER BY i.number DESC LIMIT 1",
                DB_VALUES(DB_T(id)), take_carrier, &c, err)) {
    return false;
  }
  return c.number.len == 0 ||
         error_set(err, ERR_CONFLICT,
                   "invoice " SLICE_FMT " adjusts one that " SLICE_FMT " adjusts further: void that one first",
                   SLICE_ARG(id), SLICE_ARG(c.number));
}

static bool void_found(struct db *db, struct ledger *ledger, const struct found_invoice *f, instant now,
                       struct error *err) {
  const struct stored_invoice *i = &f->invoice;
  const struct json *document;
  amount prepaid;
  if (slice_is(i->status, "void")) {
    return true;
  }
  if (!document_parse(f->arena, i->document, &document, err) || !document_prepaid(document, &prepaid, err)) {
    return false;
  }
  if (amount_cmp(i->paid, prepaid) != 0) {
    return error_set(err, ERR_CONFLICT, "invoice " SLICE_FMT " has payments: it can not be voided", SLICE_ARG(i->id));
  }
  return no_one_adjusts(f->arena, db, i->id, err) && no_one_goes_on(f->arena, db, i->id, err) &&
         notes_allow_void(f->arena, db, i, err) && commitments_can_void(f->arena, db, i->id, err) &&
         reverse_all(f->arena, ledger, i->id, document, now, err) &&
         reverse_breakage(f->arena, ledger, i->id, document, now, err) && credit_return(db, ledger, i->id, now, err) &&
         db_run(db, "UPDATE invoice SET status = 'void', paid = '0' WHERE id = $1", DB_VALUES(DB_T(i->id)), NULL,
                err) &&
         notes_after_void(f->arena, db, i, err);
}

bool invoice_void(struct db *db, struct ledger *ledger, slice id, instant now, struct error *err) {
  struct found_invoice f = {.arena = arena_new()};
  bool ok = find(db, id, &f, err) && void_found(db, ledger, &f, now, err);
  arena_free(f.arena);
  return ok;
}
