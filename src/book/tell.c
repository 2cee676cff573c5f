/* What happened to an invoice, as a message for webhooks, inside the transaction that made it happen. */
#include "base/json.h"
#include "book/private.h"
#include "notify/notify.h"

struct telling {
  struct db *db;
  slice type;
};

static bool tell_one(void *context, const struct stored_invoice *i, struct error *err) {
  const struct telling *t = context;
  struct buf data;
  struct json_out w;
  buf_init(&data, NOTIFY_PAYLOAD_BYTES_MAX);
  json_out_init(&w, &data, false);
  stored_invoice_put(&w, i);
  bool ok = !data.failed ? notify_enqueue(t->db, t->type, i->customer, buf_slice(&data), clock_now(), err)
                         : error_set(err, ERR_LIMIT, "invoice " SLICE_FMT " is too long to tell", SLICE_ARG(i->id));
  buf_free(&data);
  return ok;
}

bool book_tell_invoice(struct book *book, const char *type, slice invoice, struct error *err) {
  struct telling t = {book_db(book), slice_of(type)};
  struct invoice_query query = {.id = invoice, .limit = 1};
  return invoice_list(t.db, &query, tell_one, &t, err);
}
