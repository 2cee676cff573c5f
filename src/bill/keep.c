/* Keeping invoices: numbering without gaps, finalizing once. One step inside the caller's transaction that moves
 * document and ledger together. */
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

/* ---- finalizing ---- */

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
  /* What is billed in advance is no usage: an opening leaves the reservation as it is. */
  if (draft->part.len == 0 &&
      !credit_unbilled_end(db, ledger, draft->customer->id, slice_of(draft->customer->currency->code), draft->period.to,
                           now, err)) {
    return false;
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
  return credit_draw(db, uses, use_count, draft->id, now, err) && post_invoice(arena, ledger, draft, err) &&
         store(db, draft, series, period, journal_position, status, err) && keep_adjustments(db, draft, err) &&
         keep_members(db, draft, err) && commitments_store(db, draft, err);
}
