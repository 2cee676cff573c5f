/* What keys with a spend limit have spent, by period. */
#include "book/private.h"

static bool take_spent(const struct db_row *row, void *context, struct error *err) {
  return db_amount(row, 0, context, err);
}

bool key_spend_read(struct book *book, slice family, instant period_from, amount *out, struct error *err) {
  *out = AMOUNT_ZERO;
  return db_query(book->db, "SELECT spent FROM key_spend WHERE family = $1 AND period_from = $2",
                  DB_VALUES(DB_T(family), DB_I(period_from.ns)), take_spent, out, err);
}

bool key_spend_add(struct book *book, slice family, instant period_from, amount more, struct error *err) {
  amount spent;
  return key_spend_read(book, family, period_from, &spent, err) && amount_add(spent, more, &spent, err) &&
         db_run(book->db,
                "INSERT INTO key_spend(family, period_from, spent) VALUES($1, $2, $3)"
                " ON CONFLICT(family, period_from) DO UPDATE SET spent = $3",
                DB_VALUES(DB_T(family), DB_I(period_from.ns), DB_A(spent)), NULL, err);
}
