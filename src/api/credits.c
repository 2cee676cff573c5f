/* Credits: give, list, end; and the balance a customer can spend. */
#include "api/private.h"
#include "credit/credit.h"
#include <string.h>

/* ---- answers ---- */

static const char *state_of(const struct credit_grant *g, instant now) {
  if (g->state == CREDIT_REVOKED) {
    return "revoked";
  }
  if (now.ns >= g->expires.ns) {
    return "expired";
  }
  if (amount_is_zero(g->remaining)) {
    return "spent";
  }
  return g->effective.ns > now.ns ? "future" : "open";
}

static void put_names(struct json_out *w, const char *key, const slice *names, size_t count) {
  json_key(w, key);
  json_open_array(w);
  for (size_t i = 0; i < count; i++) {
    json_str(w, names[i]);
  }
  json_close_array(w);
}

static void put_credit(struct json_out *w, const struct credit_grant *g, instant now) {
  json_open_object(w);
  json_put_str(w, "id", g->id);
  json_put_str(w, "customer", g->customer);
  json_put_cstr(w, "kind", credit_kind_name(g->kind));
  json_put_cstr(w, "state", state_of(g, now));
  json_put_str(w, "currency", g->currency);
  json_put_amount(w, "amount", g->amount);
  json_put_amount(w, "remaining", g->remaining);
  json_put_amount(w, "available", strcmp(state_of(g, now), "open") == 0 ? g->available : AMOUNT_ZERO);
  json_put_int(w, "priority", g->priority);
  put_names(w, "scope", g->scope, g->scope_count);
  json_put_instant(w, "effective", g->effective);
  if (g->expires.ns < INSTANT_MAX.ns) {
    json_put_instant(w, "expires", g->expires);
  }
  json_put_str(w, "reference", g->reference);
  json_put_str(w, "note", g->note);
  json_put_str(w, "pocket", g->pocket);
  json_put_instant(w, "created", g->created);
  json_close_object(w);
}

struct credits {
  struct list_page page;
  slice customer; /* of the last one */
};

static bool put_one(void *context, const struct credit_grant *g, struct error *err) {
  struct credits *list = context;
  struct api_call *call = list->page.call;
  if (!call_may_see(call, g->customer, err)) {
    return false;
  }
  if (page_takes(&list->page, g->id)) {
    put_credit(&call->json, g, clock_now());
    list->customer = arena_copy(call->arena, g->customer);
  }
  return true;
}

bool credits_read(struct api_call *call, struct book *book, struct error *err) {
  struct credits list = {0};
  struct credit_query query = {.customer = call->customer};
  if (!page_begin(call, &list.page, &query.after_id, err)) {
    return false;
  }
  query.limit = list.page.limit + 1;
  if (!credit_list(book_db(book), &query, put_one, &list, err)) {
    return false;
  }
  page_end(&list.page);
  return true;
}

static bool answer_one(struct api_call *call, struct book *book, slice id, struct error *err) {
  struct credits list = {.page = {.call = call, .limit = 1}};
  struct credit_query query = {.id = id, .limit = 1};
  return credit_list(book_db(book), &query, put_one, &list, err) &&
         (list.page.written > 0 || error_set(err, ERR_NOT_FOUND, "there is no credit \"%.*s\"",
                                             id.len > 60 ? 60 : (int)id.len, id.len ? id.ptr : ""));
}

bool credit_read(struct api_call *call, struct book *book, struct error *err) {
  return answer_one(call, book, http_param(call->http, "credit"), err);
}

/* ---- giving ---- */

struct wanted {
  slice customer;
  struct credit_grant grant;
  bool from_now;
};

static bool take_scope(struct arena *arena, const struct json *body, struct credit_grant *out, struct error *err) {
  const struct json *list = json_get(body, "scope");
  if (list == NULL) {
    return true;
  }
  bool ok = list->kind == JSON_ARRAY && list->count <= CREDIT_SCOPE_MAX;
  slice *scope = arena_array(arena, CREDIT_SCOPE_MAX, sizeof *scope);
  for (const struct json *p = ok ? list->child : NULL; p && ok; p = p->next) {
    ok = p->kind == JSON_STRING;
    scope[out->scope_count++] = p->text;
  }
  out->scope = scope;
  return ok || error_set(err, ERR_INVALID, "scope: a list of at most %d names of products", CREDIT_SCOPE_MAX);
}

static bool take_priority(const struct json *body, struct credit_grant *out, struct error *err) {
  slice text = json_text(body, "priority");
  quantity q;
  out->priority = credit_priority_of(out->kind);
  if (text.len == 0) {
    return true;
  }
  if (!quantity_parse(text, &q, err) || q.e9 < 0 || q.e9 % QUANTITY_E9 != 0 ||
      q.e9 > CREDIT_PRIORITY_MAX * QUANTITY_E9) {
    return error_set(err, ERR_INVALID, "priority: expected a whole number from 0 to %d; the lower goes first",
                     CREDIT_PRIORITY_MAX);
  }
  out->priority = (int)(q.e9 / QUANTITY_E9);
  return true;
}

static bool take_times(const struct json *body, struct wanted *out, struct error *err) {
  slice effective = json_text(body, "effective"), expires = json_text(body, "expires");
  out->from_now = effective.len == 0;
  out->grant.expires = INSTANT_MAX;
  if (effective.len > 0 && !time_parse_rfc3339(effective, &out->grant.effective, err)) {
    return error_at(err, "effective");
  }
  return expires.len == 0 || time_parse_rfc3339(expires, &out->grant.expires, err) || error_at(err, "expires");
}

bool credit_prepare(struct api_call *call, struct error *err) {
  const struct json *body;
  struct wanted *want = arena_alloc(call->arena, sizeof *want);
  char id[ID_TEXT_MAX];
  call->state = want;
  if (!call_body(call, &body, err)) {
    return false;
  }
  want->customer = json_text(body, "customer");
  struct credit_grant *g = &want->grant;
  *g = (struct credit_grant){.id = json_text(body, "id"),
                             .currency = json_text(body, "currency"),
                             .reference = json_text(body, "reference"),
                             .note = json_text(body, "note")};
  if (g->id.len == 0) {
    g->id = arena_copy(call->arena, slice_of(id_new("grt", id)));
  }
  return credit_kind_of(json_text(body, "kind"), &g->kind, err) &&
         (amount_parse(json_text(body, "amount"), &g->amount, err) || error_at(err, "amount")) &&
         take_priority(body, g, err) && take_scope(call->arena, body, g, err) && take_times(body, want, err);
}

bool credit_apply(struct api_call *call, struct book *book, struct error *err) {
  const struct wanted *want = call->state;
  const struct customer *customer = catalog_customer(book_catalog(book), want->customer);
  struct credit_grant g = want->grant;
  instant now = clock_now();
  bool repeated;
  if (customer == NULL) {
    return error_set(err, ERR_INVALID, "customer: there is no \"%.*s\" in the catalog",
                     want->customer.len > 60 ? 60 : (int)want->customer.len,
                     want->customer.len ? want->customer.ptr : "");
  }
  if (want->from_now) {
    g.effective = now;
  }
  if (!credit_add(book_db(book), book_ledger(book), customer, &g, now, &repeated, err) ||
      !answer_one(call, book, g.id, err)) {
    return false;
  }
  call->status = repeated ? 200 : 201;
  return true;
}

/* ---- ending ---- */

typedef bool ending(struct db *db, struct ledger *ledger, slice id, instant now, struct error *err);

static bool end_one(struct api_call *call, struct book *book, ending *end, struct error *err) {
  slice id = http_param(call->http, "credit");
  struct credit_query query = {.id = id, .limit = 1};
  instant now = clock_now();
  struct credits list = {.page = {.call = call, .limit = 1}};
  if (!end(book_db(book), book_ledger(book), id, now, err) ||
      !credit_list(book_db(book), &query, put_one, &list, err)) {
    return false;
  }
  return book_credit_spent(book, list.customer, now, err);
}

bool credit_expire_apply(struct api_call *call, struct book *book, struct error *err) {
  return end_one(call, book, credit_end, err);
}

bool credit_revoke_apply(struct api_call *call, struct book *book, struct error *err) {
  return end_one(call, book, credit_revoke, err);
}

/* ---- balance ---- */

static void put_pockets(struct json_out *w, const struct credit_balance *b) {
  json_key(w, "pockets");
  json_open_array(w);
  for (size_t i = 0; i < b->pocket_count; i++) {
    const struct credit_pocket_balance *p = &b->pockets[i];
    json_open_object(w);
    json_put_str(w, "pocket", p->pocket);
    put_names(w, "scope", p->scope, p->scope_count);
    json_put_amount(w, "balance", p->balance);
    json_put_amount(w, "held", p->held);
    json_put_amount(w, "available", p->available);
    json_close_object(w);
  }
  json_close_array(w);
}

static bool put_line(struct json_out *w, struct db *db, const struct customer *customer, amount used,
                     struct error *err) {
  amount owed, left;
  if (!customer->unlimited_credit && amount_is_zero(customer->credit_line)) {
    return true;
  }
  if (!credit_line_left(db, customer, &owed, &left, err) || !amount_add(used, owed, &owed, err) ||
      !amount_sub(left, used, &left, err)) {
    return false;
  }
  json_key(w, "line");
  json_open_object(w);
  if (customer->unlimited_credit) {
    json_put_bool(w, "unlimited", true);
  } else {
    json_put_amount(w, "limit", customer->credit_line);
    json_put_amount(w, "available", amount_cmp(left, AMOUNT_ZERO) > 0 ? left : AMOUNT_ZERO);
  }
  json_put_amount(w, "used", owed);
  json_close_object(w);
  return true;
}

/* `free_of_slice`: what of the customer's slice no running call has. */
static bool put_standing(struct json_out *w, struct db *db, const struct customer *customer, instant now,
                         amount free_of_slice, struct error *err) {
  struct credit_standing s;
  if (!credit_standing(db, customer->id, slice_of(customer->currency->code), now, free_of_slice, &s, err)) {
    return false;
  }
  json_put_amount(w, "available", s.available);
  json_put_amount(w, "held", s.held);
  json_put_amount(w, "unbilled", s.unbilled);
  return put_line(w, db, customer, s.line_used, err);
}

bool balance_read(struct api_call *call, struct book *book, struct error *err) {
  const struct customer *customer = catalog_customer(book_catalog(book), call->customer);
  struct credit_balance b;
  struct json_out *w = &call->json;
  instant now = clock_now();
  if (customer == NULL) {
    return error_set(err, call->customer.len == 0 ? ERR_INVALID : ERR_NOT_FOUND,
                     "say customer=: the id of one in the catalog");
  }
  if (!credit_balance(call->arena, book_db(book), customer->id, slice_of(customer->currency->code), now, &b, err)) {
    return false;
  }
  amount free_of_slice = gateway_free_credit(call->api->gateway, customer->id);
  json_open_object(w);
  json_put_str(w, "customer", customer->id);
  json_put_cstr(w, "currency", customer->currency->code);
  if (!put_standing(w, book_db(book), customer, now, free_of_slice, err)) {
    return false;
  }
  put_pockets(w, &b);
  json_key(w, "credits"); /* in the order they are spent */
  json_open_array(w);
  for (size_t i = 0; i < b.grants.count; i++) {
    put_credit(w, &b.grants.items[i], now);
  }
  json_close_array(w);
  json_put_instant(w, "as_of", now);
  json_close_object(w);
  return true;
}
