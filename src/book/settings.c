/* Settings of a book that are times. */
#include "book/private.h"

struct found_setting {
  instant value;
  bool found;
};

static bool take_setting(const struct db_row *row, void *context, struct error *err) {
  struct found_setting *f = context;
  f->found = true;
  return time_parse_rfc3339(db_bytes(row, 0), &f->value, err);
}

bool setting_instant(struct book *book, const char *name, instant *out, bool *found, struct error *err) {
  struct found_setting f = {0};
  if (!db_query(book->db, "SELECT value FROM setting WHERE name = $1", DB_VALUES(DB_T(slice_of(name))), take_setting,
                &f, err)) {
    return false;
  }
  *out = f.value;
  *found = f.found;
  return true;
}

bool setting_keep_instant(struct book *book, const char *name, instant value, struct error *err) {
  char text[TIME_TEXT_MAX];
  return db_run(book->db, "INSERT INTO setting(name, value) VALUES($1, $2) ON CONFLICT(name) DO UPDATE SET value = $2",
                DB_VALUES(DB_T(slice_of(name)), DB_T(slice_of(time_format(value, text)))), NULL, err);
}
