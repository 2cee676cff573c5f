/* Recording a payment: once for ever by source and key, booked to where it waits, then matched. */
#include "collect/private.h"

/* ---- is it fit to be recorded? ---- */

static bool printable(slice s) {
  for (size_t i = 0; i < s.len; i++) {
    if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f) {
      return false;
    }
  }
  return true;
}

static bool check_text(const char *what, slice s, size_t max, struct error *err) {
  return (s.len <= max && printable(s)) ||
         error_set(err, ERR_INVALID, "%s: at most %zu bytes, without line breaks and control characters", what, max);
}

static bool check_money(const struct payment_request *r, struct error *err) {
  const struct currency *currency = currency_find(r->currency);
  amount rounded;
  if (currency == NULL) {
    return error_set(err, ERR_INVALID, "currency: \"%.*s\" is none: three capital letters of ISO 4217 such as EUR",
                     (int)(r->currency.len > 20 ? 20 : r->currency.len), r->currency.len ? r->currency.ptr : "");
  }
  if (amount_cmp(r->amount, AMOUNT_ZERO) <= 0) {
    return error_set(err, ERR_INVALID, "amount: a payment is more than zero");
  }
  if (!amount_round(r->amount, currency, ROUND_HALF_EVEN, &rounded, err)) {
    return error_at(err, "amount");
  }
  return amount_cmp(rounded, r->amount) == 0 ||
         error_set(err, ERR_INVALID, "amount: %s has %d decimals, not more", currency->code, currency->minor_units);
}

static bool check_request(const struct payment_request *r, struct error *err) {
  if (r->key.len == 0) {
    return error_set(err, ERR_INVALID, "id: a payment needs one: the same id again books nothing twice");
  }
  return check_text("id", r->key, PAYMENT_KEY_BYTES_MAX, err) && check_money(r, err) &&
         check_text("customer", r->customer, PAYMENT_KEY_BYTES_MAX, err) &&
         check_text("invoice", r->invoice, PAYMENT_KEY_BYTES_MAX, err) &&
         check_text("top_up", r->top_up, PAYMENT_KEY_BYTES_MAX, err) &&
         check_text("payer", r->payer, PAYMENT_TEXT_BYTES_MAX, err) &&
         check_text("reference", r->text, PAYMENT_TEXT_BYTES_MAX, err);
}

/* ---- was it recorded before? ---- */

static void add_member(struct buf *to, const char *name, slice value) {
  if (value.len > 0) {
    buf_addf(to, "%s=" SLICE_FMT "\n", name, SLICE_ARG(value));
  }
}

/* What a repetition must say again. No member holds a line break. */
static slice canonical(struct arena *arena, const struct payment_request *r) {
  struct buf text;
  buf_init(&text, 4 * PAYMENT_KEY_BYTES_MAX + 2 * PAYMENT_TEXT_BYTES_MAX + 100);
  add_member(&text, "invoice", r->invoice);
  add_member(&text, "customer", r->customer);
  add_member(&text, "top_up", r->top_up);
  add_member(&text, "payer", r->payer);
  add_member(&text, "text", r->text);
  must(!text.failed);
  slice copy = arena_copy(arena, buf_slice(&text));
  buf_free(&text);
  return copy;
}

struct earlier {
  const struct payment_request *request;
  struct arena *arena;
  slice wanted, id;
  bool found, same;
};

static bool take_earlier(const struct db_row *row, void *context, struct error *err) {
  struct earlier *e = context;
  amount value;
  if (!db_amount(row, 2, &value, err)) {
    return false;
  }
  e->found = true;
  e->id = arena_copy(e->arena, db_bytes(row, 0));
  e->same = slice_eq(db_bytes(row, 1), e->wanted) && amount_cmp(value, e->request->amount) == 0 &&
            slice_eq(db_bytes(row, 3), e->request->currency);
  return true;
}

static bool find_earlier(const struct collect *c, const struct payment_request *r, struct earlier *out,
                         struct error *err) {
  *out = (struct earlier){.request = r, .arena = c->arena, .wanted = canonical(c->arena, r)};
  return db_query(c->db, "SELECT id, request, amount, currency FROM payment WHERE source = $1 AND key = $2",
                  DB_VALUES(DB_T(r->source), DB_T(r->key)), take_earlier, out, err) &&
         (!out->found || out->same ||
          error_set(err, ERR_CONFLICT, "payment \"" SLICE_FMT "\" was recorded before with other content as " SLICE_FMT,
                    SLICE_ARG(r->key), SLICE_ARG(out->id)));
}

/* ---- a new one ---- */

/* A customer the catalog does not have is nobody: the money waits in suspense. */
static bool whose(const struct collect *c, const struct payment_request *r, slice *customer, struct error *err) {
  struct stored_invoice invoice;
  bool found = false;
  *customer = (slice){0};
  if (r->customer.len > 0) {
    const struct customer *known = catalog_customer(c->catalog, r->customer);
    *customer = known ? known->id : (slice){0};
    return true;
  }
  if (r->invoice.len > 0 && !find_invoice(c, r->invoice, &found, &invoice, err)) {
    return false;
  }
  if (found) {
    *customer = invoice.customer;
  }
  return true;
}

static bool insert(const struct collect *c, const struct payment *p, slice request, struct error *err) {
  return db_run(c->db,
                "INSERT INTO payment(id, source, key, request, customer, currency, amount, applied, refunded, payer,"
                " text, top_up, state, received, recorded)"
                " VALUES($1, $2, $3, $4, $5, $6, $7, '0', '0', $8, $9, $10, 'unmatched', $11, $12)",
                DB_VALUES(DB_T(p->id), DB_T(p->source), DB_T(p->key), DB_T(request), DB_T(p->customer),
                          DB_T(p->currency), DB_A(p->amount), DB_T(p->payer), DB_T(p->text), DB_T(p->top_up),
                          DB_I(p->received.ns), DB_I(p->recorded.ns)),
                NULL, err);
}

static bool receive(const struct collect *c, const struct payment *p, struct error *err) {
  enum transfer_outcome outcome;
  struct transfer t = {.id = slice_of(arena_printf(c->arena, SLICE_FMT "/received", SLICE_ARG(p->id))),
                       .from = ACCOUNT_CASH,
                       .to = account_waiting(c->arena, p->customer),
                       .currency = p->currency,
                       .amount = p->amount,
                       .time = c->now,
                       .cause = CAUSE_RECEIVED,
                       .reference = p->id};
  return ledger_transfer(c->ledger, &t, &outcome, err);
}

static bool record_new(const struct collect *c, const struct payment_request *r, slice request,
                       struct payment_result *out, struct error *err) {
  char id[ID_TEXT_MAX];
  struct payment p = {.id = arena_copy(c->arena, slice_of(id_new("pay", id))),
                      .source = r->source,
                      .key = r->key,
                      .currency = r->currency,
                      .payer = r->payer,
                      .text = r->text,
                      .top_up = r->top_up,
                      .amount = r->amount,
                      .received = r->received,
                      .recorded = c->now};
  out->id = p.id;
  out->top_up = p.top_up;
  return whose(c, r, &p.customer, err) && insert(c, &p, request, err) && receive(c, &p, err) &&
         (p.top_up.len > 0 || match_payment(c, &p, r->invoice, err));
}

bool payment_record(const struct collect *c, const struct payment_request *request, struct payment_result *out,
                    struct error *err) {
  struct earlier earlier;
  *out = (struct payment_result){0};
  if (!check_request(request, err) || !find_earlier(c, request, &earlier, err)) {
    return false;
  }
  if (earlier.found) {
    *out = (struct payment_result){.id = earlier.id, .repeated = true};
    return true;
  }
  return record_new(c, request, earlier.wanted, out, err);
}
