/* Messages for webhooks about payments, reminders and suspensions, kept in the transaction of what they tell of. */
#include "collect/private.h"

static bool enqueue(struct db *db, const char *type, slice customer, struct buf *data, instant now, struct error *err) {
  bool ok = !data->failed ? notify_enqueue(db, slice_of(type), customer, buf_slice(data), now, err)
                          : error_set(err, ERR_LIMIT, "%s: the message is too long", type);
  buf_free(data);
  return ok;
}

struct telling {
  struct db *db;
  const char *type;
  instant now;
};

static bool tell_one(void *context, const struct stored_invoice *i, struct error *err) {
  const struct telling *t = context;
  struct buf data;
  struct json_out w;
  buf_init(&data, NOTIFY_PAYLOAD_BYTES_MAX);
  json_out_init(&w, &data, false);
  stored_invoice_put(&w, i);
  return enqueue(t->db, t->type, i->customer, &data, t->now, err);
}

bool collect_tell_invoice(struct db *db, const char *type, slice invoice, instant now, struct error *err) {
  struct telling t = {db, type, now};
  struct invoice_query query = {.id = invoice, .limit = 1};
  return invoice_list(db, &query, tell_one, &t, err);
}

bool tell_payment(const struct collect *c, const char *type, const struct payment *p, struct error *err) {
  struct buf data;
  struct json_out w;
  buf_init(&data, NOTIFY_PAYLOAD_BYTES_MAX);
  json_out_init(&w, &data, false);
  if (!payment_put(c, &w, p, err)) {
    buf_free(&data);
    return false;
  }
  return enqueue(c->db, type, p->customer, &data, c->now, err);
}

bool tell_customer(const struct collect *c, const char *type, slice customer, slice invoice, struct error *err) {
  struct buf data;
  struct json_out w;
  buf_init(&data, NOTIFY_PAYLOAD_BYTES_MAX);
  json_out_init(&w, &data, false);
  json_open_object(&w);
  json_put_str(&w, "customer", customer);
  if (invoice.len > 0) {
    json_put_str(&w, "invoice", invoice);
  }
  json_close_object(&w);
  return enqueue(c->db, type, customer, &data, c->now, err);
}

bool tell_overdue(const struct collect *c, const char *type, const struct stored_invoice *i,
                  const struct dunning_event *e, struct error *err) {
  struct buf data;
  struct json_out w;
  amount open;
  if (!invoice_open_amount(i, &open, err)) {
    return false;
  }
  buf_init(&data, NOTIFY_PAYLOAD_BYTES_MAX);
  json_out_init(&w, &data, false);
  json_open_object(&w);
  json_put_str(&w, "customer", i->customer);
  json_put_str(&w, "invoice", i->id);
  json_put_str(&w, "number", i->number);
  json_put_str(&w, "currency", i->currency);
  json_put_amount(&w, "amount_due", open);
  json_put_instant(&w, "due", i->due);
  json_put_str(&w, "step", e->what);
  json_put_int(&w, "after_days", e->after_days);
  json_close_object(&w);
  return enqueue(c->db, type, i->customer, &data, c->now, err);
}
