/* Payments in the store: their table, reading them back, and showing them. */
#include "collect/private.h"
#include <stdlib.h>

const struct db_migration collect_migrations[] = {
    {"collect-1-payments",
     "CREATE TABLE payment(id TEXT PRIMARY KEY, source TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL,"
     " customer TEXT NOT NULL, currency TEXT NOT NULL, amount TEXT NOT NULL, applied TEXT NOT NULL,"
     " refunded TEXT NOT NULL, payer TEXT NOT NULL, text TEXT NOT NULL, top_up TEXT NOT NULL, state TEXT NOT NULL,"
     " received INTEGER NOT NULL, recorded INTEGER NOT NULL, UNIQUE(source, key));"
     "CREATE INDEX payment_customer ON payment(customer, id);"
     "CREATE INDEX payment_unmatched ON payment(id) WHERE state = 'unmatched';"
     "CREATE TABLE payment_allocation(payment TEXT NOT NULL REFERENCES payment(id), number INTEGER NOT NULL,"
     " invoice TEXT NOT NULL, amount TEXT NOT NULL, time INTEGER NOT NULL, PRIMARY KEY(payment, number));"
     "CREATE INDEX payment_allocation_invoice ON payment_allocation(invoice);"
     /* What was paid before payments had rows: straight from cash to the invoice. */
     "INSERT INTO payment SELECT 'pay_' || lower(hex(randomblob(16))), 'manual', t.id, 'invoice=' || i.id || '\n',"
     " i.customer, t.currency, t.amount, t.amount, '0', '', '', '', 'matched', t.time, t.time"
     " FROM transfer t JOIN invoice i ON i.id = t.reference WHERE t.cause = 'payment' ORDER BY t.sequence;"
     "INSERT INTO payment_allocation SELECT p.id, 1, t.reference, t.amount, t.time FROM payment p"
     " JOIN transfer t ON t.id = p.key;"},
    {"collect-2-open-invoices",
     "CREATE INDEX invoice_open ON invoice(customer, due) WHERE status = 'finalized';"
     "CREATE INDEX invoice_open_due ON invoice(due) WHERE status = 'finalized';"
     "CREATE INDEX invoice_plain_number ON invoice(upper(replace(replace(replace(number, '-', ''), '_', ''), '.', "
     "'')));"},
    {"collect-3-provider-events",
     "CREATE TABLE provider_event(provider TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, digest TEXT NOT NULL,"
     " payment TEXT NOT NULL, time INTEGER NOT NULL, PRIMARY KEY(provider, id));"},
    {"collect-4-dunning",
     "CREATE TABLE dunning(invoice TEXT NOT NULL, step TEXT NOT NULL, customer TEXT NOT NULL, what TEXT NOT NULL,"
     " after_days INTEGER NOT NULL, time INTEGER NOT NULL, PRIMARY KEY(invoice, step));"
     "CREATE INDEX dunning_customer ON dunning(customer, invoice);"
     "CREATE TABLE suspension(customer TEXT PRIMARY KEY, since INTEGER NOT NULL, invoice TEXT NOT NULL);"},
};
const size_t collect_migration_count = sizeof collect_migrations / sizeof *collect_migrations;

slice account_waiting(struct arena *arena, slice customer) {
  return customer.len == 0 ? ACCOUNT_SUSPENSE
                           : slice_of(arena_printf(arena, "customer/" SLICE_FMT "/unapplied", SLICE_ARG(customer)));
}

bool payment_waiting(const struct payment *p, amount *out, struct error *err) {
  return amount_sub(p->amount, p->applied, out, err) && amount_sub(*out, p->refunded, out, err);
}

/* ---- reading ---- */

#define PAYMENT_COLUMNS                                                                                                \
  "p.id, p.source, p.key, p.customer, p.currency, p.amount, p.applied, p.refunded, p.payer, p.text, p.top_up, "        \
  "p.state, p.received, p.recorded"

struct listing {
  payment_each each;
  void *context;
};

static bool take_payment(const struct db_row *row, void *context, struct error *err) {
  struct listing *l = context;
  struct payment p = {.id = db_bytes(row, 0),
                      .source = db_bytes(row, 1),
                      .key = db_bytes(row, 2),
                      .customer = db_bytes(row, 3),
                      .currency = db_bytes(row, 4),
                      .payer = db_bytes(row, 8),
                      .text = db_bytes(row, 9),
                      .top_up = db_bytes(row, 10),
                      .state = db_bytes(row, 11),
                      .received = {db_int(row, 12)},
                      .recorded = {db_int(row, 13)}};
  return db_amount(row, 5, &p.amount, err) && db_amount(row, 6, &p.applied, err) &&
         db_amount(row, 7, &p.refunded, err) && l->each(l->context, &p, err);
}

static bool known_state(slice state, struct error *err) {
  return state.len == 0 || slice_is(state, "matched") || slice_is(state, "unmatched") || slice_is(state, "refunded") ||
         error_set(err, ERR_INVALID, "state: matched, unmatched or refunded");
}

bool payment_list(struct db *db, const struct payment_query *q, payment_each each, void *context, struct error *err) {
  struct listing l = {each, context};
  if (!known_state(q->state, err)) {
    return false;
  }
  int64_t limit = q->limit > INT64_MAX ? INT64_MAX : (int64_t)q->limit;
  return db_query(db,
                  "SELECT " PAYMENT_COLUMNS " FROM payment p WHERE ($1 = '' OR p.customer = $1)"
                  " AND ($2 = '' OR p.state = $2) AND ($3 = '' OR p.id IN (SELECT payment FROM payment_allocation"
                  " WHERE invoice = $3)) AND p.id > $4 ORDER BY p.id LIMIT $5",
                  DB_VALUES(DB_T(q->customer), DB_T(q->state), DB_T(q->invoice), DB_T(q->after_id), DB_I(limit)),
                  take_payment, &l, err);
}

struct copy {
  struct arena *arena;
  struct payment *out;
  bool found;
};

static bool keep_copy(void *context, const struct payment *p, struct error *err) {
  (void)err;
  struct copy *c = context;
  c->found = true;
  *c->out = *p;
  slice *const texts[] = {&c->out->id,    &c->out->source, &c->out->key,    &c->out->customer, &c->out->currency,
                          &c->out->payer, &c->out->text,   &c->out->top_up, &c->out->state};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    *texts[i] = arena_copy(c->arena, *texts[i]);
  }
  return true;
}

bool payment_find(const struct collect *c, slice id, struct payment *out, struct error *err) {
  struct copy copy = {.arena = c->arena, .out = out};
  struct listing l = {keep_copy, &copy};
  return db_query(c->db, "SELECT " PAYMENT_COLUMNS " FROM payment p WHERE p.id = $1", DB_VALUES(DB_T(id)), take_payment,
                  &l, err) &&
         (copy.found || error_set(err, ERR_NOT_FOUND, "there is no payment \"%.*s\"", (int)(id.len > 60 ? 60 : id.len),
                                  id.len ? id.ptr : ""));
}

bool payment_find_key(const struct collect *c, slice source, slice key, bool *found, struct payment *out,
                      struct error *err) {
  struct copy copy = {.arena = c->arena, .out = out};
  struct listing l = {keep_copy, &copy};
  bool ok = db_query(c->db, "SELECT " PAYMENT_COLUMNS " FROM payment p WHERE p.source = $1 AND p.key = $2",
                     DB_VALUES(DB_T(source), DB_T(key)), take_payment, &l, err);
  *found = copy.found;
  return ok;
}

/* ---- allocations ---- */

struct allocations {
  struct arena *arena;
  VEC(struct payment_allocation) items;
};

/* What was taken back later is of the same invoice. */
static bool add_allocation(const struct db_row *row, void *context, struct error *err) {
  struct allocations *all = context;
  slice invoice = db_bytes(row, 0);
  amount value;
  if (!db_amount(row, 2, &value, err)) {
    return false;
  }
  for (size_t i = 0; i < all->items.count; i++) {
    if (slice_eq(all->items.items[i].invoice, invoice)) {
      return amount_add(all->items.items[i].amount, value, &all->items.items[i].amount, err);
    }
  }
  vec_push(&all->items, (struct payment_allocation){arena_copy(all->arena, invoice),
                                                    arena_copy(all->arena, db_bytes(row, 1)), value});
  return true;
}

bool payment_allocations(struct db *db, slice payment, allocation_each each, void *context, struct error *err) {
  struct allocations all = {.arena = arena_new()};
  bool ok = db_query(db,
                     "SELECT a.invoice, coalesce(i.number, ''), a.amount FROM payment_allocation a"
                     " LEFT JOIN invoice i ON i.id = a.invoice WHERE a.payment = $1 ORDER BY a.number",
                     DB_VALUES(DB_T(payment)), add_allocation, &all, err);
  for (size_t i = 0; ok && i < all.items.count; i++) {
    ok = amount_is_zero(all.items.items[i].amount) || each(context, &all.items.items[i], err);
  }
  vec_free(&all.items);
  arena_free(all.arena);
  return ok;
}

/* ---- showing ---- */

static bool put_allocation(void *context, const struct payment_allocation *a, struct error *err) {
  (void)err;
  struct json_out *w = context;
  json_open_object(w);
  json_put_str(w, a->number.len ? "invoice" : "purpose", a->invoice);
  if (a->number.len > 0) {
    json_put_str(w, "number", a->number);
  }
  json_put_amount(w, "amount", a->amount);
  json_close_object(w);
  return true;
}

static void put_unless_empty(struct json_out *w, const char *key, slice value) {
  if (value.len > 0) {
    json_put_str(w, key, value);
  }
}

bool payment_put(const struct collect *c, struct json_out *w, const struct payment *p, struct error *err) {
  amount waiting;
  if (!payment_waiting(p, &waiting, err)) {
    return false;
  }
  json_open_object(w);
  json_put_str(w, "id", p->id);
  json_put_str(w, "source", p->source);
  json_put_str(w, "key", p->key);
  json_put_str(w, "state", p->state);
  put_unless_empty(w, "customer", p->customer);
  json_put_str(w, "currency", p->currency);
  json_put_amount(w, "amount", p->amount);
  json_put_amount(w, "applied", p->applied);
  json_put_amount(w, "refunded", p->refunded);
  json_put_amount(w, "unapplied", waiting);
  put_unless_empty(w, "payer", p->payer);
  put_unless_empty(w, "text", p->text);
  put_unless_empty(w, "top_up", p->top_up);
  json_put_instant(w, "received", p->received);
  json_put_instant(w, "recorded", p->recorded);
  json_key(w, "allocations");
  json_open_array(w);
  bool ok = payment_allocations(c->db, p->id, put_allocation, w, err);
  json_close_array(w);
  json_close_object(w);
  return ok;
}
