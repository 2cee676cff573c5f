/* A book's own clock, for tests: years go by in seconds, through the same code as real ones. */
#include "book/private.h"
#include <stdlib.h>

bool book_test_clock(struct book *book, instant *out, bool *found, struct error *err) {
  return setting_instant(book, "test_clock", out, found, err);
}

static bool take_count(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  *(int64_t *)context = db_int(row, 0);
  return true;
}

/* Books of real time must not be moved: their invoices would be made of days that have not been. */
static bool is_empty(struct book *book, struct error *err) {
  uint64_t events;
  int64_t invoices = 0;
  if (!journal_last(book->db, &events, err) ||
      !db_query(book->db, "SELECT count(*) FROM invoice", DB_NO_VALUES, take_count, &invoices, err)) {
    return false;
  }
  return (events == 0 && invoices == 0) ||
         error_set(err, ERR_CONFLICT,
                   "a test clock is given to an empty book only: this one holds %llu events and %lld "
                   "invoices",
                   (unsigned long long)events, (long long)invoices);
}

static bool write_here(void *context, bool (*apply)(void *work, struct book *book, struct error *err), void *work,
                       struct error *err) {
  struct book *book = context;
  if (!book_begin(book, err)) {
    return false;
  }
  if (!apply(work, book, err)) {
    book_undo(book);
    return false;
  }
  return book_commit(book, err);
}

static bool start_clock(void *work, struct book *book, struct error *err) {
  instant t = *(const instant *)work;
  /* A contract may begin at that very moment. */
  return setting_keep_instant(book, "test_clock", t, err) &&
         setting_keep_instant(book, "due_until", (instant){t.ns - 1}, err);
}

bool book_set_test_clock(struct book *book, instant t, struct error *err) {
  if (!is_empty(book, err) || !write_here(book, start_clock, &t, err)) {
    return false;
  }
  clock_set_test(t);
  return true;
}

struct due_writer book_due_writer(struct book *book) {
  return (struct due_writer){write_here, book};
}
