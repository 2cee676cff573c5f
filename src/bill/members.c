/* Who is on a consolidated invoice besides the customer who pays it: on the document, and kept beside it. */
#include "bill/private.h"

void put_members(struct json_out *w, const struct rating *rating) {
  if (rating->member_count == 0) {
    return;
  }
  json_key(w, "members");
  json_open_array(w);
  for (size_t i = 0; i < rating->member_count; i++) {
    json_str(w, rating->members[i]->id);
  }
  json_close_array(w);
}

bool keep_members(struct db *db, const struct invoice *i, struct error *err) {
  for (size_t m = 0; m < i->rating->member_count; m++) {
    if (!db_run(db, "INSERT INTO invoice_member(invoice, customer) VALUES($1, $2)",
                DB_VALUES(DB_T(i->id), DB_T(i->rating->members[m]->id)), NULL, err)) {
      return false;
    }
  }
  return true;
}

bool invoice_members(struct arena *arena, slice bytes, const slice **out, size_t *count, struct error *err) {
  const struct json *document;
  if (!document_parse(arena, arena_copy(arena, bytes), &document, err)) {
    return false;
  }
  const struct json *list = json_get(document, "members");
  slice *members = arena_array(arena, list ? list->count : 0, sizeof *members);
  *count = 0;
  for (const struct json *m = list ? list->child : NULL; m; m = m->next) {
    members[(*count)++] = m->text;
  }
  *out = members;
  return true;
}
