/* Voiding: transfers are reversed, credit goes back, and the number stays used; refused while later documents rest on
 * it. */
#include "bill/private.h"

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

static bool void_found(struct arena *arena, struct db *db, struct ledger *ledger, const struct stored_invoice *i,
                       instant now, struct error *err) {
  const struct json *document;
  amount prepaid;
  if (slice_is(i->status, "void")) {
    return true;
  }
  if (!document_parse(arena, i->document, &document, err) || !document_prepaid(document, &prepaid, err)) {
    return false;
  }
  if (amount_cmp(i->paid, prepaid) != 0) {
    return error_set(err, ERR_CONFLICT, "invoice " SLICE_FMT " has payments: it can not be voided", SLICE_ARG(i->id));
  }
  return no_one_adjusts(arena, db, i->id, err) && no_one_goes_on(arena, db, i->id, err) &&
         notes_allow_void(arena, db, i, err) && commitments_can_void(arena, db, i->id, err) &&
         reverse_all(arena, ledger, i->id, document, now, err) &&
         reverse_breakage(arena, ledger, i->id, document, now, err) && credit_return(db, ledger, i->id, now, err) &&
         db_run(db, "UPDATE invoice SET status = 'void', paid = '0' WHERE id = $1", DB_VALUES(DB_T(i->id)), NULL,
                err) &&
         notes_after_void(arena, db, i, err);
}

bool invoice_void(struct db *db, struct ledger *ledger, slice id, instant now, struct error *err) {
  struct arena *arena = arena_new();
  struct stored_invoice i;
  bool ok = stored_invoice_find(arena, db, id, &i, err) && void_found(arena, db, ledger, &i, now, err);
  arena_free(arena);
  return ok;
}
