/* Invoices that are held back because usage has no price: kept in mind, and tried again when the catalog has changed
 * and once an hour, since a correction may have taken the usage out. */
#include "book/due.h"
#include <stdlib.h>

struct holding {
  const struct rating *const *ratings;
  size_t count;
};

static bool write_held(void *work, struct book *book, struct error *err) {
  const struct holding *h = work;
  for (size_t i = 0; i < h->count; i++) {
    const struct customer *customer = h->ratings[i]->customer;
    char name[2 * TIME_TEXT_MAX];
    billing_period_name(customer, h->ratings[i]->period, name);
    if (!db_run(book->db,
                "INSERT INTO held_invoice(customer, period, catalog) VALUES($1, $2, $3)"
                " ON CONFLICT(customer, period) DO UPDATE SET catalog = $3",
                DB_VALUES(DB_T(customer->id), DB_T(slice_of(name)), DB_T(book->catalog->digest_hex)), NULL, err)) {
      return false;
    }
  }
  return true;
}

bool held_keep(const struct due_writer *writer, const struct rating *const *ratings, size_t count, struct error *err) {
  struct holding work = {ratings, count};
  return count == 0 || writer->write(writer->context, write_held, &work, err);
}

static bool take_held(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct held_list *list = context;
  vec_push(&list->items, (struct held){.customer = arena_copy(list->arena, db_bytes(row, 0)),
                                       .period = arena_copy(list->arena, db_bytes(row, 1))});
  return true;
}

bool held_load(struct book *reader, bool all, struct held_list *out, struct error *err) {
  return db_query(reader->db,
                  "SELECT customer, period FROM held_invoice WHERE $1 = 1 OR catalog <> $2 ORDER BY period, customer",
                  DB_VALUES(DB_I(all), DB_T(reader->catalog->digest_hex)), take_held, out, err);
}

static bool write_let_go(void *work, struct book *book, struct error *err) {
  const struct held *h = work;
  return db_run(book->db, "DELETE FROM held_invoice WHERE customer = $1 AND period = $2",
                DB_VALUES(DB_T(h->customer), DB_T(h->period)), NULL, err);
}

bool held_let_go(const struct due_writer *writer, struct held *held, struct error *err) {
  return writer->write(writer->context, write_let_go, held, err);
}
