/* Keeping credit notes: one step that numbers one, stores it, moves its money and takes it off what is open of the
 * invoice. */
#include "bill/noting.h"
#include <stdlib.h>

#define NOTE_KEY_BYTES_MAX 100

/* ---- requests ---- */

static bool check_key(slice key, struct error *err) {
  bool ok = key.len > 0 && key.len <= NOTE_KEY_BYTES_MAX;
  for (size_t i = 0; ok && i < key.len; i++) {
    ok = key.ptr[i] > 0x20 && key.ptr[i] < 0x7F;
  }
  return ok || error_set(err, ERR_INVALID,
                         "id: a credit note needs one of 1 to %d characters without blanks; again with the same id "
                         "credits nothing twice",
                         NOTE_KEY_BYTES_MAX);
}

/* What is kept to tell a retry from another request under the same id. */
static void digest_request(const struct noting *n, const struct note_request *r, char hex[65]) {
  struct buf text;
  char amount_words[DECIMAL_TEXT_MAX], quantity_words[DECIMAL_TEXT_MAX];
  buf_init(&text, (size_t)1 << 24);
  buf_addf(&text, SLICE_FMT "\n" SLICE_FMT "\n%d %d %d %s\n", SLICE_ARG(n->invoice.id), SLICE_ARG(r->reason), r->full,
           r->to_credit, r->by_amount, amount_text(r->amount, amount_words));
  for (size_t i = 0; i < r->line_count; i++) {
    const struct note_line_request *l = &r->lines[i];
    buf_addf(&text, "%u %d %s %s\n", l->line, (int)l->by, amount_text(l->amount, amount_words),
             quantity_text(l->quantity, quantity_words));
  }
  digest_hex(digest_of(buf_slice(&text)), hex);
  buf_free(&text);
}

struct earlier {
  struct arena *arena;
  slice id, digest, number;
};

static bool take_earlier(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct earlier *e = context;
  e->id = arena_copy(e->arena, db_bytes(row, 0));
  e->digest = arena_copy(e->arena, db_bytes(row, 1));
  e->number = arena_copy(e->arena, db_bytes(row, 2));
  return true;
}

static bool find_earlier(struct noting *n, struct db *db, const struct note_request *request, const char digest[65],
                         struct note_result *out, struct error *err) {
  struct earlier e = {.arena = n->arena};
  if (!db_query(db,
                "SELECT n.id, n.request, i.number FROM credit_note n JOIN invoice i ON i.id = n.id WHERE n.key = $1",
                DB_VALUES(DB_T(request->id)), take_earlier, &e, err)) {
    return false;
  }
  out->repeated = e.id.len > 0;
  out->id = e.id;
  out->number = e.number;
  return !out->repeated || slice_is(e.digest, digest) ||
         error_set(err, ERR_CONFLICT, "id: credit note " SLICE_FMT " was made with it of another request",
                   SLICE_ARG(e.number));
}

/* ---- its money ---- */

struct crediting {
  const struct noting *n;
  slice id, receivable;
  instant now;
  VEC(struct transfer) transfers;
};

/* `value` of what was charged goes back from `account` to the receivable; one below zero goes the other way. */
static void move_back(struct crediting *c, const char *what, slice account, amount value, slice cause) {
  bool back = amount_cmp(value, AMOUNT_ZERO) > 0;
  if (amount_is_zero(value)) {
    return;
  }
  vec_push(&c->transfers,
           (struct transfer){.id = slice_of(arena_printf(c->n->arena, SLICE_FMT "/%s", SLICE_ARG(c->id), what)),
                             .from = back ? account : c->receivable,
                             .to = back ? c->receivable : account,
                             .currency = c->n->invoice.currency,
                             .amount = back ? value : amount_negate(value),
                             .time = c->now,
                             .cause = cause,
                             .reference = c->id});
}

static slice cause_of(amount value, slice charged) {
  return amount_cmp(value, AMOUNT_ZERO) > 0 ? CAUSE_CREDIT : charged;
}

static bool move_all(const struct noting *n, struct ledger *ledger, slice id, instant now, struct error *err) {
  struct crediting c = {.n = n, .id = id, .now = now};
  char account[ACCOUNT_NAME_MAX];
  unsigned number = 0;
  amount rounding;
  c.receivable = arena_copy(n->arena, slice_of(account_receivable(n->invoice.customer, account)));
  for (size_t i = 0; i < n->line_count; i++) {
    const struct noted_line *l = &n->lines[i];
    if (l->taken) {
      slice revenue = arena_copy(n->arena, slice_of(account_revenue(json_text(l->json, "product"), account)));
      move_back(&c, arena_printf(n->arena, "line/%u", ++number), revenue, l->exact_now,
                cause_of(l->exact_now, CAUSE_CHARGE));
    }
  }
  number = 0;
  for (size_t i = 0; i < n->tax_count; i++) {
    const struct noted_tax *t = &n->taxes[i];
    if (noted_tax_is_touched(t)) {
      move_back(&c, arena_printf(n->arena, "tax/%u", ++number),
                arena_copy(n->arena, slice_of(account_tax(t->name, account))), t->tax_now,
                cause_of(t->tax_now, CAUSE_TAX));
    }
  }
  bool ok = amount_sub(n->subtotal, n->exact, &rounding, err);
  move_back(&c, "rounding", SLICE("rounding"), ok ? rounding : AMOUNT_ZERO,
            amount_cmp(rounding, AMOUNT_ZERO) > 0 ? CAUSE_ROUNDING_DOWN : CAUSE_ROUNDING_UP);
  ok = ok && (c.transfers.count == 0 || ledger_transfer_all(ledger, c.transfers.items, c.transfers.count, err));
  vec_free(&c.transfers);
  return ok;
}

/* What was paid too much by now, of this note's total, becomes prepaid credit. */
static bool grant(const struct noting *n, const struct note_keeping *k, const struct note_result *note, amount *granted,
                  struct error *err) {
  const struct customer *customer = catalog_customer(k->catalog, n->invoice.customer);
  char account[ACCOUNT_NAME_MAX];
  amount open;
  bool repeated;
  if (!stored_invoice_open(&n->invoice, &open, err) || !amount_sub(n->total, open, granted, err)) {
    return false;
  }
  *granted = amount_cmp(*granted, n->total) > 0 ? n->total : *granted;
  if (amount_cmp(*granted, AMOUNT_ZERO) <= 0) {
    return error_set(err, ERR_CONFLICT,
                     "to: nothing is left of this note to become credit: more than that is open on "
                     "invoice " SLICE_FMT,
                     SLICE_ARG(n->invoice.number));
  }
  if (customer == NULL) {
    return error_set(err, ERR_CONFLICT, "to: customer " SLICE_FMT " is no longer in the catalog",
                     SLICE_ARG(n->invoice.customer));
  }
  struct credit_grant wanted = {.id = note->id,
                                .kind = CREDIT_PREPAID,
                                .amount = *granted,
                                .priority = credit_priority_of(CREDIT_PREPAID),
                                .effective = k->now,
                                .expires = INSTANT_MAX,
                                .reference = note->number,
                                .source = slice_of(account_receivable(n->invoice.customer, account))};
  return credit_add(k->db, k->ledger, customer, &wanted, k->now, &repeated, err);
}

/* ---- its rows ---- */

slice settled_status(amount open) {
  return amount_cmp(open, AMOUNT_ZERO) > 0 ? SLICE("finalized") : SLICE("paid");
}

static bool set_credited(struct db *db, const struct stored_invoice *invoice, amount credited, bool *settled,
                         struct error *err) {
  struct stored_invoice after = *invoice;
  amount open;
  after.credited = credited;
  if (!stored_invoice_open(&after, &open, err)) {
    return false;
  }
  slice status = settled_status(open);
  *settled = slice_is(invoice->status, "finalized") && slice_is(status, "paid");
  return db_run(db, "UPDATE invoice SET credited = $2, status = $3 WHERE id = $1",
                DB_VALUES(DB_T(invoice->id), DB_A(credited), DB_T(status)), NULL, err);
}

static bool store(const struct noting *n, const struct note_keeping *k, const struct note_request *request,
                  slice series, slice document, struct note_result *note, amount granted, const char digest[65],
                  struct error *err) {
  const struct stored_invoice *i = &n->invoice;
  const char *part = arena_printf(n->arena, "note/" SLICE_FMT, SLICE_ARG(request->id));
  amount credited;
  return db_run(k->db,
                "INSERT INTO invoice(id, number, series, customer, period, period_from, period_to, currency, status,"
                " total, paid, issued, due, document, journal_position, part, catalog, corrects)"
                " VALUES($1, $2, $3, $4, $5, $6, $7, $8, 'finalized', $9, '0', $10, $10, $11, $12, $13, $14, $15)",
                DB_VALUES(DB_T(note->id), DB_T(note->number), DB_T(series), DB_T(i->customer), DB_T(i->period),
                          DB_I(i->from.ns), DB_I(i->to.ns), DB_T(i->currency), DB_A(amount_negate(n->total)),
                          DB_I(k->now.ns), DB_B(document), DB_I((int64_t)i->journal_position), DB_T(slice_of(part)),
                          DB_T(json_text(n->document, "catalog")), DB_T(i->id)),
                NULL, err) &&
         db_run(k->db, "INSERT INTO credit_note(key, id, request, granted) VALUES($1, $2, $3, $4)",
                DB_VALUES(DB_T(request->id), DB_T(note->id), DB_T(slice_of(digest)), DB_A(granted)), NULL, err) &&
         amount_add(i->credited, n->total, &credited, err) && amount_sub(credited, granted, &credited, err) &&
         set_credited(k->db, i, credited, &note->settled, err);
}

static bool write_document(const struct noting *n, const struct note_request *request, slice id, slice number,
                           instant issued, struct buf *out, struct error *err) {
  note_document(n, request, id, number, issued, out);
  return !out->failed || error_set(err, ERR_LIMIT, "the credit note is larger than %zu bytes", DOCUMENT_BYTES_MAX);
}

/* Who sold it, as the document says; the default when that entity is no longer in the catalog. */
static const struct seller *seller_of(const struct noting *n, const struct catalog *catalog) {
  const struct seller *named = catalog_seller_named(catalog, json_text(json_get(n->document, "seller"), "id"));
  return named ? named : &catalog->seller;
}

static bool make(struct noting *n, const struct note_keeping *k, const struct note_request *request,
                 const char digest[65], struct note_result *out, struct error *err) {
  char id[ID_TEXT_MAX];
  slice series, packed = {0};
  struct buf document;
  amount granted = AMOUNT_ZERO;
  if (!noting_take(n, request, err) || !invoice_next_number(n->arena, k->db, seller_of(n, k->catalog), true, k->now,
                                                            k->catalog->time_zone, &series, &out->number, err)) {
    return false;
  }
  out->id = arena_copy(n->arena, slice_of(id_new("inv", id)));
  buf_init(&document, DOCUMENT_BYTES_MAX);
  bool ok = write_document(n, request, out->id, out->number, k->now, &document, err) &&
            move_all(n, k->ledger, out->id, k->now, err) && (!request->to_credit || grant(n, k, out, &granted, err)) &&
            document_pack(buf_slice(&document), &packed, err) &&
            store(n, k, request, series, packed, out, granted, digest, err);
  free((void *)(uintptr_t)packed.ptr);
  buf_free(&document);
  return ok;
}

bool note_create(struct arena *arena, const struct note_keeping *k, const struct note_request *request,
                 struct note_result *out, struct error *err) {
  must(db_in_transaction(k->db));
  struct noting n;
  char digest[65];
  *out = (struct note_result){0};
  if (!check_key(request->id, err) || !noting_load(arena, k->db, request->invoice, &n, err)) {
    return false;
  }
  out->invoice = n.invoice.id;
  out->customer = n.invoice.customer;
  digest_request(&n, request, digest);
  return find_earlier(&n, k->db, request, digest, out, err) &&
         (out->repeated || make(&n, k, request, digest, out, err));
}

bool note_preview(struct arena *arena, struct db *db, const struct note_request *request, struct buf *document,
                  struct error *err) {
  struct noting n;
  struct buf kept;
  buf_init(&kept, DOCUMENT_BYTES_MAX);
  bool ok = noting_load(arena, db, request->invoice, &n, err) && noting_take(&n, request, err) &&
            write_document(&n, request, (slice){0}, (slice){0}, (instant){0}, &kept, err);
  if (ok) {
    document_print(buf_slice(&kept), document);
  }
  buf_free(&kept);
  return ok;
}

/* ---- voiding ---- */

static bool take_name(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct earlier *e = context;
  e->number = arena_copy(e->arena, db_bytes(row, 0));
  return true;
}

bool notes_allow_void(struct arena *arena, struct db *db, const struct stored_invoice *i, struct error *err) {
  struct earlier of = {.arena = arena}, granted = {.arena = arena};
  if (!db_query(db, "SELECT number FROM invoice WHERE corrects = $1 AND status <> 'void' LIMIT 1",
                DB_VALUES(DB_T(i->id)), take_name, &of, err) ||
      !db_query(db, "SELECT granted FROM credit_note WHERE id = $1 AND granted <> '0'", DB_VALUES(DB_T(i->id)),
                take_name, &granted, err)) {
    return false;
  }
  if (of.number.len > 0) {
    return error_set(err, ERR_CONFLICT, "invoice " SLICE_FMT " is credited by " SLICE_FMT ": void that one first",
                     SLICE_ARG(i->id), SLICE_ARG(of.number));
  }
  return granted.number.len == 0 ||
         error_set(err, ERR_CONFLICT, "credit note " SLICE_FMT " became prepaid credit: it can not be voided",
                   SLICE_ARG(i->id));
}

bool notes_after_void(struct arena *arena, struct db *db, const struct stored_invoice *i, struct error *err) {
  struct noting n;
  amount credited;
  bool settled;
  return i->corrects.len == 0 ||
         (noting_load(arena, db, i->corrects, &n, err) && amount_add(n.invoice.credited, i->total, &credited, err) &&
          set_credited(db, &n.invoice, credited, &settled, err));
}

/* ---- checking ---- */

struct note_check {
  struct db *db;
  void (*bad)(void *context, const char *what);
  void *context;
};

static bool check_noted(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  const struct note_check *c = context;
  struct arena *arena = arena_new();
  struct noting n;
  struct error why = {0};
  amount known, sum;
  if (!noting_load(arena, c->db, db_bytes(row, 0), &n, &why) ||
      !amount_add(n.invoice.credited, n.granted, &known, &why) || !amount_add(known, n.left, &sum, &why)) {
    tell(c->bad, c->context, "%s", why.message);
  } else if (amount_cmp(sum, n.invoice.total) != 0) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": what it says is credited is not the sum of its credit notes",
         SLICE_ARG(n.invoice.number));
  }
  arena_free(arena);
  return true;
}

bool notes_check(struct db *db, void (*bad)(void *context, const char *what), void *context, struct error *err) {
  struct note_check check = {db, bad, context};
  return db_query(db,
                  "SELECT DISTINCT corrects FROM invoice WHERE corrects <> '' UNION SELECT id FROM invoice"
                  " WHERE credited <> '0'",
                  DB_NO_VALUES, check_noted, &check, err);
}
