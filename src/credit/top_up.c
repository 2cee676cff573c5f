/* Top-ups: a request a customer's rule makes when credit runs low, and what became of it. */
#include "base/json.h"
#include "credit/private.h"
#include "notify/notify.h"
#include <stdlib.h>

/* ---- the rule ---- */

/* The customer's own, or that of the plan in force. */
static struct top_up_rule rule_of(const struct catalog *catalog, const struct customer *customer, instant now) {
  if (customer->watches.top_up.known) {
    return customer->watches.top_up;
  }
  for (size_t i = 0; i < customer->contract_count; i++) {
    const struct contract *c = &customer->contracts[i];
    const struct plan *plan =
        c->from.ns <= now.ns && now.ns < c->to.ns ? catalog_plan_at(catalog, c->plan_name, now) : NULL;
    if (plan) {
      return plan->watches.top_up;
    }
  }
  return (struct top_up_rule){0};
}

static bool month_of(const struct customer *customer, instant now, struct period *out, struct error *err) {
  char text[TIME_TEXT_MAX];
  time_format_date(now, customer->time_zone, text);
  text[7] = '\0'; /* 2026-10 of 2026-10-05 */
  return time_parse_period(slice_of(text), customer->time_zone, out, err);
}

struct counts {
  int64_t open, month;
};

static bool take_counts(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct counts *c = context;
  *c = (struct counts){db_int(row, 0), db_int(row, 1)};
  return true;
}

/* Is there room for another: none open, and not all of the month's asked for? */
static bool may_ask(struct db *db, const struct customer *customer, const struct top_up_rule *rule, instant now,
                    bool *out, struct error *err) {
  struct period month;
  struct counts c = {0};
  if (!month_of(customer, now, &month, err) ||
      !db_query(db,
                "SELECT (SELECT count(*) FROM top_up WHERE customer = $1 AND state = 'requested'),"
                " (SELECT count(*) FROM top_up WHERE customer = $1 AND created >= $2 AND created < $3)",
                DB_VALUES(DB_T(customer->id), DB_I(month.from.ns), DB_I(month.to.ns)), take_counts, &c, err)) {
    return false;
  }
  *out = c.open == 0 && c.month < rule->at_most;
  return true;
}

/* ---- telling ---- */

static bool tell_top_up(struct db *db, const char *type, const struct credit_top_up *t, instant now,
                        struct error *err) {
  struct buf data;
  struct json_out w;
  buf_init(&data, NOTIFY_PAYLOAD_BYTES_MAX);
  json_out_init(&w, &data, false);
  json_open_object(&w);
  json_put_str(&w, "id", t->id);
  json_put_str(&w, "customer", t->customer);
  json_put_str(&w, "currency", t->currency);
  json_put_amount(&w, "amount", t->amount);
  json_put_str(&w, "state", t->state);
  json_put_instant(&w, "created", t->created);
  json_close_object(&w);
  bool ok = notify_enqueue(db, slice_of(type), t->customer, buf_slice(&data), now, err);
  buf_free(&data);
  return ok;
}

static bool request(struct db *db, const struct customer *customer, amount value, instant now, struct error *err) {
  char id[ID_TEXT_MAX];
  struct credit_top_up t = {.id = slice_of(id_new("top", id)),
                            .customer = customer->id,
                            .currency = slice_of(customer->currency->code),
                            .state = SLICE("requested"),
                            .amount = value,
                            .created = now};
  return db_run(db,
                "INSERT INTO top_up(id, customer, currency, amount, state, created, decided)"
                " VALUES($1, $2, $3, $4, 'requested', $5, 0)",
                DB_VALUES(DB_T(t.id), DB_T(t.customer), DB_T(t.currency), DB_A(t.amount), DB_I(now.ns)), NULL, err) &&
         tell_top_up(db, "top_up.requested", &t, now, err);
}

bool credit_top_up_check(struct db *db, const struct catalog *catalog, const struct customer *customer, instant now,
                         bool *requested, struct error *err) {
  must(db_in_transaction(db));
  struct top_up_rule rule = rule_of(catalog, customer, now);
  amount available;
  bool may = false;
  *requested = false;
  if (!rule.known) {
    return true;
  }
  if (!credit_available(db, customer->id, slice_of(customer->currency->code), (slice){0}, now, &available, err)) {
    return false;
  }
  if (amount_cmp(available, rule.below) >= 0) {
    return true;
  }
  if (!may_ask(db, customer, &rule, now, &may, err) || (may && !request(db, customer, rule.amount, now, err))) {
    return error_at(err, "top-up of customer " SLICE_FMT, SLICE_ARG(customer->id));
  }
  *requested = may;
  return true;
}

bool credit_top_ups_due(struct db *db, const struct catalog *catalog, instant now, size_t *requested,
                        struct error *err) {
  *requested = 0;
  for (size_t i = 0; i < catalog->customer_count; i++) {
    bool one;
    if (!credit_top_up_check(db, catalog, &catalog->customers[i], now, &one, err)) {
      return false;
    }
    *requested += one;
  }
  return true;
}

/* ---- reading ---- */

struct reading {
  struct arena *arena;
  VEC(struct credit_top_up) list;
};

static bool take_top_up(const struct db_row *row, void *context, struct error *err) {
  struct reading *r = context;
  struct credit_top_up t = {.id = arena_copy(r->arena, db_bytes(row, 0)),
                            .customer = arena_copy(r->arena, db_bytes(row, 1)),
                            .currency = arena_copy(r->arena, db_bytes(row, 2)),
                            .state = arena_copy(r->arena, db_bytes(row, 4)),
                            .created = {db_int(row, 5)},
                            .decided = {db_int(row, 6)}};
  if (!db_amount(row, 3, &t.amount, err)) {
    return false;
  }
  vec_push(&r->list, t);
  return true;
}

bool credit_top_up_list(struct db *db, const struct credit_query *q, credit_top_up_each each, void *context,
                        struct error *err) {
  struct reading r = {.arena = arena_new()};
  int64_t limit = q->limit > INT64_MAX ? INT64_MAX : (int64_t)q->limit;
  bool ok = db_query(db,
                     "SELECT id, customer, currency, amount, state, created, decided FROM top_up"
                     " WHERE ($1 = '' OR id = $1) AND ($2 = '' OR customer = $2) AND id > $3 ORDER BY id LIMIT $4",
                     DB_VALUES(DB_T(q->id), DB_T(q->customer), DB_T(q->after_id), DB_I(limit)), take_top_up, &r, err);
  for (size_t i = 0; ok && i < r.list.count; i++) {
    ok = each(context, &r.list.items[i], err);
  }
  vec_free(&r.list);
  arena_free(r.arena);
  return ok;
}

/* ---- what became of it ---- */

struct found {
  struct arena *arena;
  struct credit_top_up top_up;
  bool found;
};

static bool keep_copy(void *context, const struct credit_top_up *t, struct error *err) {
  (void)err;
  struct found *f = context;
  f->found = true;
  f->top_up = *t;
  f->top_up.id = arena_copy(f->arena, t->id);
  f->top_up.customer = arena_copy(f->arena, t->customer);
  f->top_up.currency = arena_copy(f->arena, t->currency);
  f->top_up.state = arena_copy(f->arena, t->state);
  return true;
}

static bool find(struct db *db, slice id, struct found *out, struct error *err) {
  struct credit_query query = {.id = id, .limit = 1};
  return credit_top_up_list(db, &query, keep_copy, out, err) &&
         (out->found ||
          error_set(err, ERR_NOT_FOUND, "there is no top-up \"%.*s\"", id.len > 60 ? 60 : (int)id.len, id.ptr));
}

/* From requested to `state`; *again when it was so before. */
static bool decide(struct db *db, struct found *f, const char *state, instant now, bool *again, struct error *err) {
  *again = slice_is(f->top_up.state, state);
  if (*again) {
    return true;
  }
  if (!slice_is(f->top_up.state, "requested")) {
    return error_set(err, ERR_CONFLICT, "top-up " SLICE_FMT " is " SLICE_FMT " already", SLICE_ARG(f->top_up.id),
                     SLICE_ARG(f->top_up.state));
  }
  f->top_up.state = slice_of(state);
  return db_run(db, "UPDATE top_up SET state = $2, decided = $3 WHERE id = $1",
                DB_VALUES(DB_T(f->top_up.id), DB_T(f->top_up.state), DB_I(now.ns)), NULL, err);
}

static bool grant_paid(struct db *db, struct ledger *ledger, const struct catalog *catalog,
                       const struct credit_top_up *t, slice reference, instant now, struct error *err) {
  const struct customer *customer = catalog_customer(catalog, t->customer);
  bool repeated;
  if (customer == NULL) {
    return error_set(err, ERR_NOT_FOUND, "customer \"" SLICE_FMT "\" is not in the catalog", SLICE_ARG(t->customer));
  }
  struct credit_grant g = {.id = t->id,
                           .currency = t->currency,
                           .kind = CREDIT_PREPAID,
                           .amount = t->amount,
                           .priority = credit_priority_of(CREDIT_PREPAID),
                           .effective = now,
                           .expires = INSTANT_MAX,
                           .reference = reference,
                           .note = SLICE("top-up")};
  return credit_add(db, ledger, customer, &g, now, &repeated, err);
}

bool credit_top_up_paid(struct db *db, struct ledger *ledger, const struct catalog *catalog, slice id, slice reference,
                        instant now, struct error *err) {
  must(db_in_transaction(db));
  struct found f = {.arena = arena_new()};
  bool again = false;
  bool ok = find(db, id, &f, err) && decide(db, &f, "paid", now, &again, err) &&
            (again || (grant_paid(db, ledger, catalog, &f.top_up, reference, now, err) &&
                       tell_top_up(db, "top_up.paid", &f.top_up, now, err)));
  arena_free(f.arena);
  return ok;
}

bool credit_top_up_failed(struct db *db, slice id, instant now, struct error *err) {
  must(db_in_transaction(db));
  struct found f = {.arena = arena_new()};
  bool again = false;
  bool ok = find(db, id, &f, err) && decide(db, &f, "failed", now, &again, err) &&
            (again || tell_top_up(db, "top_up.failed", &f.top_up, now, err));
  arena_free(f.arena);
  return ok;
}
