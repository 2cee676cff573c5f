/* Grants as rows of the store: their names, their order, and reading them. */
#include "credit/private.h"
#include <stdlib.h>
#include <string.h>

const struct db_migration credit_migrations[] = {
    {"credit-1-grant",
     "CREATE TABLE credit_grant(id TEXT PRIMARY KEY, customer TEXT NOT NULL, currency TEXT NOT NULL, kind TEXT NOT "
     "NULL,"
     " amount TEXT NOT NULL, remaining TEXT NOT NULL, priority INTEGER NOT NULL, scope TEXT NOT NULL,"
     " effective INTEGER NOT NULL, expires INTEGER NOT NULL, reference TEXT NOT NULL, note TEXT NOT NULL,"
     " created INTEGER NOT NULL, source TEXT NOT NULL, pocket TEXT NOT NULL, state INTEGER NOT NULL,"
     " asked_end INTEGER NOT NULL);"
     "CREATE INDEX credit_grant_customer ON credit_grant(customer, id);"
     "CREATE INDEX credit_grant_left ON credit_grant(customer, currency) WHERE remaining <> '0';"
     "CREATE INDEX credit_grant_pocket ON credit_grant(pocket, currency) WHERE remaining <> '0';"
     "CREATE INDEX credit_grant_end ON credit_grant(expires) WHERE remaining <> '0';"
     "CREATE INDEX credit_grant_future ON credit_grant(effective) WHERE state = 0;"
     "CREATE TABLE credit_move(sequence INTEGER PRIMARY KEY, grant_id TEXT NOT NULL, kind TEXT NOT NULL,"
     " reference TEXT NOT NULL, amount TEXT NOT NULL, time INTEGER NOT NULL);"
     "CREATE INDEX credit_move_grant ON credit_move(grant_id);"
     "CREATE INDEX credit_move_reference ON credit_move(reference);"},
    {"credit-2-hold",
     "CREATE TABLE credit_hold(id TEXT PRIMARY KEY, customer TEXT NOT NULL, currency TEXT NOT NULL, product TEXT NOT "
     "NULL, to_account TEXT NOT NULL, reference TEXT NOT NULL, amount TEXT NOT NULL, state TEXT NOT NULL,"
     " settled TEXT NOT NULL);"
     "CREATE TABLE credit_hold_part(hold TEXT NOT NULL, part INTEGER NOT NULL, pocket TEXT NOT NULL, amount TEXT NOT "
     "NULL, PRIMARY KEY(hold, part));"},
    {"credit-3-top-up",
     "CREATE TABLE top_up(id TEXT PRIMARY KEY, customer TEXT NOT NULL, currency TEXT NOT NULL, amount TEXT NOT NULL,"
     " state TEXT NOT NULL, created INTEGER NOT NULL, decided INTEGER NOT NULL);"
     "CREATE UNIQUE INDEX top_up_open ON top_up(customer) WHERE state = 'requested';"
     "CREATE INDEX top_up_customer ON top_up(customer, created);"},
    {"credit-4-unbilled",
     "CREATE TABLE credit_unbilled(customer TEXT NOT NULL, currency TEXT NOT NULL, period_to INTEGER NOT NULL,"
     " spent TEXT NOT NULL, reserved TEXT NOT NULL, PRIMARY KEY(customer, currency, period_to));"
     "CREATE TABLE credit_slice(customer TEXT NOT NULL, currency TEXT NOT NULL, amount TEXT NOT NULL,"
     " PRIMARY KEY(customer, currency));"},
};
const size_t credit_migration_count = sizeof credit_migrations / sizeof *credit_migrations;

/* ---- names ---- */

static const char *const kinds[CREDIT_KINDS] = {"prepaid", "promotional", "referral"};

const char *credit_kind_name(enum credit_kind kind) {
  must((unsigned)kind < CREDIT_KINDS);
  return kinds[kind];
}

bool credit_kind_of(slice name, enum credit_kind *out, struct error *err) {
  for (unsigned k = 0; k < CREDIT_KINDS; k++) {
    if (slice_is(name, kinds[k])) {
      *out = (enum credit_kind)k;
      return true;
    }
  }
  return error_set(err, ERR_INVALID, "kind: expected prepaid, promotional or referral");
}

int credit_priority_of(enum credit_kind kind) {
  return kind == CREDIT_PREPAID ? 50 : 10;
}

/* A scope in the name itself could pass the length of an account's name; its digest can not. */
char *credit_pocket(slice customer, const slice *scope, size_t scope_count, char name[CREDIT_POCKET_MAX]) {
  int length = snprintf(name, CREDIT_POCKET_MAX, "customer/" SLICE_FMT "/credit", SLICE_ARG(customer));
  must(length > 0 && length < CREDIT_POCKET_MAX - 32); /* the catalog holds ids to 200 bytes */
  if (scope_count > 0) {
    struct buf products;
    char hex[65];
    buf_init(&products, CREDIT_SCOPE_MAX * (CREDIT_TEXT_BYTES_MAX + 1));
    for (size_t i = 0; i < scope_count; i++) {
      buf_add(&products, scope[i]);
      buf_addc(&products, '\n');
    }
    digest_hex(digest_of(buf_slice(&products)), hex);
    snprintf(name + length, (size_t)(CREDIT_POCKET_MAX - length), "/scope-%.16s", hex);
    buf_free(&products);
  }
  return name;
}

/* ---- order and scope ---- */

static int by_instant(instant a, instant b) {
  return (a.ns > b.ns) - (a.ns < b.ns);
}

int credit_order(const void *a, const void *b) {
  const struct credit_grant *x = a, *y = b;
  int order = (x->priority > y->priority) - (x->priority < y->priority);
  order = order != 0 ? order : by_instant(x->expires, y->expires);
  order = order != 0 ? order : by_instant(x->effective, y->effective);
  return order != 0 ? order : slice_cmp(x->id, y->id);
}

bool credit_covers(const struct credit_grant *g, slice product) {
  for (size_t i = 0; i < g->scope_count; i++) {
    if (slice_eq(g->scope[i], product)) {
      return true;
    }
  }
  return g->scope_count == 0;
}

/* ---- reading ---- */

static void take_scope(struct arena *arena, slice text, struct credit_grant *out) {
  slice *scope = arena_array(arena, CREDIT_SCOPE_MAX, sizeof *scope);
  while (text.len > 0 && out->scope_count < CREDIT_SCOPE_MAX) {
    const char *end = memchr(text.ptr, '\n', text.len);
    size_t len = end ? (size_t)(end - text.ptr) : text.len, skip = len + (end != NULL);
    scope[out->scope_count++] = (slice){text.ptr, len};
    text = (slice){text.ptr + skip, text.len - skip};
  }
  out->scope = scope;
}

bool take_grant(const struct db_row *row, void *context, struct error *err) {
  struct grant_list *list = context;
  struct arena *arena = list->arena;
  struct credit_grant g = {.id = arena_copy(arena, db_bytes(row, 0)),
                           .customer = arena_copy(arena, db_bytes(row, 1)),
                           .currency = arena_copy(arena, db_bytes(row, 2)),
                           .priority = (int)db_int(row, 6),
                           .effective = {db_int(row, 8)},
                           .expires = {db_int(row, 9)},
                           .reference = arena_copy(arena, db_bytes(row, 10)),
                           .note = arena_copy(arena, db_bytes(row, 11)),
                           .created = {db_int(row, 12)},
                           .source = arena_copy(arena, db_bytes(row, 13)),
                           .pocket = arena_copy(arena, db_bytes(row, 14)),
                           .state = (enum credit_state)db_int(row, 15)};
  take_scope(arena, arena_copy(arena, db_bytes(row, 7)), &g);
  if (!credit_kind_of(db_bytes(row, 3), &g.kind, err) || !db_amount(row, 4, &g.amount, err) ||
      !db_amount(row, 5, &g.remaining, err)) {
    return error_at(err, "credit " SLICE_FMT, SLICE_ARG(g.id));
  }
  vec_push(&list->items, g);
  return true;
}

bool find_grant(struct arena *arena, struct db *db, slice id, struct credit_grant *out, struct error *err) {
  struct grant_list list = {.arena = arena};
  bool ok = db_query(db, "SELECT " GRANT_COLUMNS " FROM credit_grant WHERE id = $1", DB_VALUES(DB_T(id)), take_grant,
                     &list, err);
  if (ok && list.items.count == 0) {
    ok = error_set(err, ERR_NOT_FOUND, "there is no credit \"%.*s\"", id.len > 60 ? 60 : (int)id.len, id.ptr);
  }
  if (ok) {
    *out = list.items.items[0];
  }
  vec_free(&list.items);
  return ok;
}

bool take_integer(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(int64_t *)context = db_int(row, 0);
  return true;
}

/* What holds leave of a grant is told by its customer's grants together: holds take from pockets, not from grants. They
 * are kept from one grant to the next of the same customer. */
struct siblings {
  struct arena *arena;
  slice customer, currency;
  struct grant_list list;
};

static void siblings_end(struct siblings *s) {
  vec_free(&s->list.items);
  arena_free(s->arena);
  *s = (struct siblings){0};
}

static bool load_siblings(struct db *db, const struct credit_grant *g, struct siblings *s, struct error *err) {
  if (s->arena && slice_eq(s->customer, g->customer) && slice_eq(s->currency, g->currency)) {
    return true;
  }
  siblings_end(s);
  s->arena = s->list.arena = arena_new();
  s->customer = arena_copy(s->arena, g->customer);
  s->currency = arena_copy(s->arena, g->currency);
  return load_open(db, g->customer, g->currency, (instant){0}, &s->list, err);
}

static bool set_available(struct db *db, struct siblings *s, struct credit_grant *g, struct error *err) {
  if (amount_is_zero(g->remaining)) {
    return true;
  }
  if (!load_siblings(db, g, s, err)) {
    return false;
  }
  for (size_t i = 0; i < s->list.items.count; i++) {
    if (slice_eq(s->list.items.items[i].id, g->id)) {
      g->available = s->list.items.items[i].available;
    }
  }
  return true;
}

bool credit_list(struct db *db, const struct credit_query *q, credit_each each, void *context, struct error *err) {
  struct grant_list list = {.arena = arena_new()};
  struct siblings siblings = {0};
  int64_t limit = q->limit > INT64_MAX ? INT64_MAX : (int64_t)q->limit;
  bool ok = db_query(db,
                     "SELECT " GRANT_COLUMNS " FROM credit_grant WHERE ($1 = '' OR id = $1)"
                     " AND ($2 = '' OR customer = $2) AND id > $3 ORDER BY id LIMIT $4",
                     DB_VALUES(DB_T(q->id), DB_T(q->customer), DB_T(q->after_id), DB_I(limit)), take_grant, &list, err);
  for (size_t i = 0; ok && i < list.items.count; i++) {
    ok = set_available(db, &siblings, &list.items.items[i], err) && each(context, &list.items.items[i], err);
  }
  siblings_end(&siblings);
  vec_free(&list.items);
  arena_free(list.arena);
  return ok;
}
