/* Holds commitments against the documents that tell of them and the accounts they are kept in. */
#include "base/hash.h"
#include "bill/private.h"
#include <stdlib.h>
#include <string.h>

struct check {
  struct db *db;
  struct ledger *ledger;
  void (*bad)(void *context, const char *what);
  void *context;
  struct arena *arena;
  struct map accounts; /* name and currency -> what should be left in it */
  VEC(struct expected *) expected;
};
struct expected {
  slice name, currency;
  amount left;
  bool seen;
};

/* ---- documents ---- */

/* One move, or the sum of those before it. */
struct sums {
  amount committed, balance, spent, billed, expired;
  uint64_t rows;
};

static bool take_sums(const struct db_row *row, void *context, struct error *err) {
  struct sums *s = context;
  amount *const to[] = {&s->committed, &s->balance, &s->spent, &s->billed, &s->expired};
  s->rows++;
  for (int i = 0; i < 5; i++) {
    amount value;
    if (!db_amount(row, i, &value, err) || !amount_add(*to[i], value, to[i], err)) {
      return false;
    }
  }
  return true;
}

static bool read_move(struct check *c, slice invoice, slice name, instant from, struct sums *move, struct sums *earlier,
                      struct error *err) {
  return db_query(c->db,
                  "SELECT committed, balance, spent, billed, expired FROM commitment_move"
                  " WHERE invoice = $1 AND name = $2 AND interval_from = $3",
                  DB_VALUES(DB_T(invoice), DB_T(name), DB_I(from.ns)), take_sums, move, err) &&
         db_query(c->db,
                  "SELECT m.committed, m.balance, m.spent, m.billed, m.expired FROM commitment_move mine"
                  " JOIN commitment_move m ON m.customer = mine.customer AND m.name = mine.name"
                  " AND m.interval_from = mine.interval_from AND m.step < mine.step"
                  " JOIN invoice i ON i.id = m.invoice WHERE i.status <> 'void' AND mine.invoice = $1"
                  " AND mine.name = $2 AND mine.interval_from = $3",
                  DB_VALUES(DB_T(invoice), DB_T(name), DB_I(from.ns)), take_sums, earlier, err);
}

static bool stated(const struct json *c, const char *key, amount *out, struct error *err) {
  *out = AMOUNT_ZERO;
  return json_get(c, key) == NULL || document_amount(c, key, out, err);
}

static bool same(amount a, amount b) {
  return amount_cmp(a, b) == 0;
}

static bool check_element(struct check *c, const struct stored_invoice *i, const struct json *element,
                          struct error *err) {
  const struct json *before = json_get(element, "before");
  struct sums move = {0}, earlier = {0};
  instant from;
  slice name = json_text(element, "name");
  amount opening, closing, bought, drawn, billed, expired, committed = AMOUNT_ZERO, spent = AMOUNT_ZERO,
                                                           billed_before = AMOUNT_ZERO;
  if (!time_parse_rfc3339(json_text(element, "from"), &from, err) || !stated(element, "opening", &opening, err) ||
      !stated(element, "closing", &closing, err) || !stated(element, "bought", &bought, err) ||
      !stated(element, "drawn", &drawn, err) || !stated(element, "billed", &billed, err) ||
      !stated(element, "expired", &expired, err) ||
      (before && (!stated(before, "committed", &committed, err) || !stated(before, "spent", &spent, err) ||
                  !stated(before, "billed", &billed_before, err))) ||
      !read_move(c, i->id, name, from, &move, &earlier, err)) {
    return false;
  }
  amount moved;
  if (!amount_sub(closing, opening, &moved, err)) {
    return false;
  }
  if (move.rows != 1 || !same(move.committed, bought) || !same(move.balance, moved) || !same(move.spent, drawn) ||
      !same(move.billed, billed) || !same(move.expired, expired)) {
    tell(c->bad, c->context, "invoice " SLICE_FMT ": what is kept of commitment " SLICE_FMT " is not what it states",
         SLICE_ARG(i->number), SLICE_ARG(name));
  }
  if (!same(earlier.balance, opening) || !same(earlier.committed, committed) || !same(earlier.spent, spent) ||
      !same(earlier.billed, billed_before)) {
    tell(c->bad, c->context,
         "invoice " SLICE_FMT ": commitment " SLICE_FMT " does not open with what the invoices before it left",
         SLICE_ARG(i->number), SLICE_ARG(name));
  }
  return true;
}

static bool take_count(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(int64_t *)context = db_int(row, 0);
  return true;
}

static bool check_document(void *context, const struct stored_invoice *i, struct error *err) {
  struct check *c = context;
  struct arena *arena = arena_new();
  const struct json *document;
  struct error why = {0};
  int64_t kept = 0, told_of = 0;
  bool ok = true;
  /* One that can not be read is told of by invoice_check. */
  if (!slice_is(i->status, "void") && document_parse(arena, i->document, &document, &why)) {
    const struct json *list = json_get(document, "commitments");
    for (const struct json *e = list ? list->child : NULL; ok && e; e = e->next) {
      told_of += commitment_is_spend(e);
      ok = !commitment_is_spend(e) || check_element(c, i, e, err);
    }
    ok = ok && db_query(c->db, "SELECT count(*) FROM commitment_move WHERE invoice = $1", DB_VALUES(DB_T(i->id)),
                        take_count, &kept, err);
    if (ok && kept != told_of) {
      tell(c->bad, c->context, "invoice " SLICE_FMT ": it tells of %lld intervals of commitments, %lld are kept",
           SLICE_ARG(i->number), (long long)told_of, (long long)kept);
    }
  }
  arena_free(arena);
  return ok;
}

/* ---- accounts ---- */

static bool take_expected(const struct db_row *row, void *context, struct error *err) {
  struct check *c = context;
  slice account = account_commitment(c->arena, db_bytes(row, 0), db_bytes(row, 1));
  slice currency = arena_copy(c->arena, db_bytes(row, 2));
  slice key = slice_of(arena_printf(c->arena, SLICE_FMT "\n" SLICE_FMT, SLICE_ARG(account), SLICE_ARG(currency)));
  void **place = map_put(&c->accounts, key);
  amount billed, drawn, expired;
  if (*place == NULL) {
    struct expected *fresh = arena_alloc(c->arena, sizeof *fresh);
    *fresh = (struct expected){.name = account, .currency = currency};
    vec_push(&c->expected, fresh);
    *place = fresh;
  }
  struct expected *e = *place;
  return db_amount(row, 3, &billed, err) && db_amount(row, 4, &drawn, err) && db_amount(row, 5, &expired, err) &&
         amount_add(e->left, billed, &e->left, err) && amount_sub(e->left, drawn, &e->left, err) &&
         amount_sub(e->left, expired, &e->left, err);
}

static bool check_account(void *context, const struct account *a, struct error *err) {
  (void)err;
  struct check *c = context;
  struct expected *e = NULL;
  char text[2][DECIMAL_TEXT_MAX];
  if (!memmem(a->name.ptr, a->name.len, "/commitment/", strlen("/commitment/"))) {
    return true;
  }
  for (size_t i = 0; i < c->expected.count && !e; i++) {
    bool same_account = slice_eq(c->expected.items[i]->name, a->name);
    e = same_account && slice_eq(c->expected.items[i]->currency, a->currency) ? c->expected.items[i] : NULL;
  }
  amount left = e ? e->left : AMOUNT_ZERO;
  if (e) {
    e->seen = true;
  }
  if (!same(left, a->balance)) {
    tell(c->bad, c->context, "account " SLICE_FMT ": it holds %s, its invoices leave %s", SLICE_ARG(a->name),
         amount_text(a->balance, text[0]), amount_text(left, text[1]));
  }
  return true;
}

static bool check_accounts(struct check *c, struct error *err) {
  char text[DECIMAL_TEXT_MAX];
  bool ok = db_query(c->db,
                     "SELECT m.customer, m.name, i.currency, m.billed, m.spent, m.expired FROM commitment_move m"
                     " JOIN invoice i ON i.id = m.invoice WHERE m.prepaid = 1 AND i.status <> 'void'",
                     DB_NO_VALUES, take_expected, c, err) &&
            ledger_accounts(c->ledger, SLICE("customer/"), check_account, c, err);
  for (size_t i = 0; ok && i < c->expected.count; i++) {
    const struct expected *e = c->expected.items[i];
    if (!e->seen && !amount_is_zero(e->left)) {
      tell(c->bad, c->context, "account " SLICE_FMT " is missing: its invoices leave %s", SLICE_ARG(e->name),
           amount_text(e->left, text));
    }
  }
  return ok;
}

bool commitment_check(struct db *db, struct ledger *ledger, void (*bad)(void *context, const char *what), void *context,
                      struct error *err) {
  struct check c = {.db = db, .ledger = ledger, .bad = bad, .context = context, .arena = arena_new()};
  struct invoice_query all = {.limit = SIZE_MAX, .with_document = true};
  bool ok = invoice_list(db, &all, check_document, &c, err) && check_accounts(&c, err);
  map_free(&c.accounts);
  vec_free(&c.expected);
  arena_free(c.arena);
  return ok;
}
