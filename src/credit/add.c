/* Giving credit: a request is checked, written once, and its money put into a pocket that can not be overdrawn. */
#include "credit/private.h"
#include <stdlib.h>
#include <string.h>

/* ---- checks ---- */

bool check_id(const char *what, slice id, struct error *err) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-";
  bool ok = id.len > 0 && id.len <= CREDIT_ID_BYTES_MAX;
  for (size_t i = 0; ok && i < id.len; i++) {
    ok = id.ptr[i] != '\0' && strchr(allowed, id.ptr[i]) != NULL;
  }
  return ok || error_set(err, ERR_INVALID, "%s: expected 1 to %d letters, digits and any of \"._:-\"", what,
                         CREDIT_ID_BYTES_MAX);
}

bool check_name(const char *what, slice text, size_t bytes_max, struct error *err) {
  bool ok = text.len <= bytes_max;
  for (size_t i = 0; ok && i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    ok = c >= 0x20 && c != 0x7F;
  }
  return ok || error_set(err, ERR_INVALID, "%s: expected one line of at most %zu bytes", what, bytes_max);
}

static bool check_scope(const struct credit_grant *g, struct error *err) {
  if (g->scope_count > CREDIT_SCOPE_MAX) {
    return error_set(err, ERR_LIMIT, "scope: at most %d products", CREDIT_SCOPE_MAX);
  }
  for (size_t i = 0; i < g->scope_count; i++) {
    if (g->scope[i].len == 0) {
      return error_set(err, ERR_INVALID, "scope: a product has a name; leave scope out to pay for all of them");
    }
    if (!check_name("scope", g->scope[i], CREDIT_TEXT_BYTES_MAX, err)) {
      return false;
    }
  }
  return true;
}

static bool check_grant(const struct customer *customer, const struct credit_grant *g, struct error *err) {
  if (g->currency.len > 0 && !slice_is(g->currency, customer->currency->code)) {
    return error_set(err, ERR_INVALID, "currency: customer " SLICE_FMT " pays in %s, so its credit is in %s",
                     SLICE_ARG(customer->id), customer->currency->code, customer->currency->code);
  }
  if (amount_cmp(g->amount, AMOUNT_ZERO) <= 0) {
    return error_set(err, ERR_INVALID, "amount: expected more than 0");
  }
  if (g->priority < 0 || g->priority > CREDIT_PRIORITY_MAX) {
    return error_set(err, ERR_INVALID, "priority: expected 0 to %d; the lower goes first", CREDIT_PRIORITY_MAX);
  }
  if (g->expires.ns <= g->effective.ns) {
    return error_set(err, ERR_INVALID, "expires: it should come after effective");
  }
  return check_id("id", g->id, err) && check_scope(g, err) &&
         check_name("reference", g->reference, CREDIT_TEXT_BYTES_MAX, err) &&
         check_name("note", g->note, CREDIT_TEXT_BYTES_MAX, err);
}

static bool check_room(struct db *db, const struct credit_grant *g, struct error *err) {
  int64_t count = 0;
  return db_query(db, "SELECT count(*) FROM credit_grant WHERE customer = $1 AND currency = $2 AND remaining <> '0'",
                  DB_VALUES(DB_T(g->customer), DB_T(g->currency)), take_integer, &count, err) &&
         (count <= CREDIT_GRANTS_MAX ||
          error_set(err, ERR_LIMIT, "customer " SLICE_FMT " has %d credits with something left: no more than that",
                    SLICE_ARG(g->customer), CREDIT_GRANTS_MAX));
}

/* ---- the row ---- */

static int by_bytes(const void *a, const void *b) {
  return slice_cmp(*(const slice *)a, *(const slice *)b);
}

/* As it will be stored: scope sorted and each product once, defaults filled in. */
static struct credit_grant complete(struct arena *arena, const struct customer *customer,
                                    const struct credit_grant *wanted, instant now) {
  struct credit_grant g = *wanted;
  slice *scope = arena_array(arena, g.scope_count + 1, sizeof *scope);
  char pocket[CREDIT_POCKET_MAX];
  g.scope_count = 0;
  if (wanted->scope_count > 0) {
    slice *sorted = arena_array(arena, wanted->scope_count, sizeof *sorted);
    memcpy(sorted, wanted->scope, wanted->scope_count * sizeof *sorted);
    qsort(sorted, wanted->scope_count, sizeof *sorted, by_bytes);
    for (size_t i = 0; i < wanted->scope_count; i++) {
      if (i == 0 || !slice_eq(sorted[i], sorted[i - 1])) {
        scope[g.scope_count++] = sorted[i];
      }
    }
  }
  g.scope = scope;
  g.customer = customer->id;
  g.currency = slice_of(customer->currency->code);
  g.remaining = g.amount;
  g.created = now;
  g.pocket = arena_copy(arena, slice_of(credit_pocket(customer->id, scope, g.scope_count, pocket)));
  if (g.source.len == 0) {
    g.source = g.kind == CREDIT_PREPAID ? SLICE("cash")
                                        : slice_of(arena_printf(arena, "promotion/%s", credit_kind_name(g.kind)));
  }
  g.state = g.effective.ns > now.ns ? CREDIT_FUTURE : CREDIT_OPEN;
  return g;
}

static slice joined_scope(struct arena *arena, const struct credit_grant *g) {
  slice text = {0};
  for (size_t i = 0; i < g->scope_count; i++) {
    text =
        slice_of(arena_printf(arena, SLICE_FMT "%s" SLICE_FMT, SLICE_ARG(text), i ? "\n" : "", SLICE_ARG(g->scope[i])));
  }
  return text;
}

static bool insert(struct arena *arena, struct db *db, const struct credit_grant *g, int64_t *inserted,
                   struct error *err) {
  return db_run(db,
                "INSERT INTO credit_grant(" GRANT_COLUMNS
                ", asked_end) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
                " $13, $14, $15, $16, $10) ON CONFLICT(id) DO NOTHING",
                DB_VALUES(DB_T(g->id), DB_T(g->customer), DB_T(g->currency), DB_T(slice_of(credit_kind_name(g->kind))),
                          DB_A(g->amount), DB_A(g->remaining), DB_I(g->priority), DB_T(joined_scope(arena, g)),
                          DB_I(g->effective.ns), DB_I(g->expires.ns), DB_T(g->reference), DB_T(g->note),
                          DB_I(g->created.ns), DB_T(g->source), DB_T(g->pocket), DB_I((int64_t)g->state)),
                inserted, err);
}

/* The beginning may differ: left out it is now, and a retry comes later. */
static bool is_same(const struct credit_grant *kept, int64_t asked_end, const struct credit_grant *g) {
  return slice_eq(kept->customer, g->customer) && slice_eq(kept->currency, g->currency) && kept->kind == g->kind &&
         amount_cmp(kept->amount, g->amount) == 0 && kept->priority == g->priority &&
         slice_eq(kept->pocket, g->pocket) && slice_eq(kept->reference, g->reference) &&
         slice_eq(kept->source, g->source) && asked_end == g->expires.ns;
}

/* The end is held against the one that was asked for: since then it may have been moved. */
static bool check_repeated(struct arena *arena, struct db *db, const struct credit_grant *g, struct error *err) {
  struct credit_grant kept;
  int64_t asked_end = 0;
  return find_grant(arena, db, g->id, &kept, err) &&
         db_query(db, "SELECT asked_end FROM credit_grant WHERE id = $1", DB_VALUES(DB_T(g->id)), take_integer,
                  &asked_end, err) &&
         (is_same(&kept, asked_end, g) ||
          error_set(err, ERR_CONFLICT, "credit " SLICE_FMT " was given before with other content", SLICE_ARG(g->id)));
}

/* ---- its money ---- */

slice future_pocket(struct arena *arena, slice customer) {
  return slice_of(arena_printf(arena, "customer/" SLICE_FMT "/credit/future", SLICE_ARG(customer)));
}

static bool transfer_in(struct arena *arena, struct ledger *ledger, const struct credit_grant *g, slice from, slice to,
                        const char *what, instant now, struct error *err) {
  enum transfer_outcome outcome;
  struct transfer t = {.id = slice_of(arena_printf(arena, SLICE_FMT "/%s", SLICE_ARG(g->id), what)),
                       .from = from,
                       .to = to,
                       .currency = g->currency,
                       .amount = g->amount,
                       .time = now,
                       .cause = SLICE("grant"),
                       .reference = g->id};
  return ledger_set_floor(ledger, to, g->currency, true, AMOUNT_ZERO, err) &&
         ledger_transfer(ledger, &t, &outcome, err);
}

bool credit_add(struct db *db, struct ledger *ledger, const struct customer *customer,
                const struct credit_grant *wanted, instant now, bool *repeated, struct error *err) {
  must(db_in_transaction(db));
  struct arena *arena = arena_new();
  int64_t inserted = 0;
  bool ok = check_grant(customer, wanted, err);
  struct credit_grant g = ok ? complete(arena, customer, wanted, now) : (struct credit_grant){0};
  ok = ok && insert(arena, db, &g, &inserted, err);
  *repeated = ok && inserted == 0;
  if (ok && *repeated) {
    ok = check_repeated(arena, db, &g, err);
  } else if (ok) {
    slice to = g.state == CREDIT_FUTURE ? future_pocket(arena, customer->id) : g.pocket;
    ok = check_room(db, &g, err) && transfer_in(arena, ledger, &g, g.source, to, "grant", now, err);
  }
  arena_free(arena);
  return ok;
}

static bool activate_all(struct db *db, struct ledger *ledger, struct grant_list *list, instant now,
                         struct error *err) {
  for (size_t i = 0; i < list->items.count; i++) {
    const struct credit_grant *g = &list->items.items[i];
    if (!transfer_in(list->arena, ledger, g, future_pocket(list->arena, g->customer), g->pocket, "effective", now,
                     err) ||
        !db_run(db, "UPDATE credit_grant SET state = 1 WHERE id = $1", DB_VALUES(DB_T(g->id)), NULL, err)) {
      return false;
    }
  }
  return true;
}

bool credit_activate(struct db *db, struct ledger *ledger, slice customer, instant now, struct error *err) {
  must(db_in_transaction(db));
  struct grant_list list = {.arena = arena_new()};
  bool ok = db_query(db,
                     "SELECT " GRANT_COLUMNS " FROM credit_grant WHERE state = 0 AND effective <= $1"
                     " AND ($2 = '' OR customer = $2) ORDER BY effective, id",
                     DB_VALUES(DB_I(now.ns), DB_T(customer)), take_grant, &list, err) &&
            activate_all(db, ledger, &list, now, err);
  vec_free(&list.items);
  arena_free(list.arena);
  return ok;
}
