/* The document of a credit note: an invoice below zero that says which document it corrects and why. The parties are
 * those of that document, as they stood on it. */
#include "bill/noting.h"

struct writing {
  const struct noting *n;
  const struct note_request *request;
  slice id, number;
  instant issued;
};

static void put_below(struct json_out *w, const struct noting *n, const char *key, amount a) {
  char text[DECIMAL_TEXT_MAX];
  json_put_cstr(w, key, amount_text_fixed(amount_negate(a), n->currency->minor_units, text));
}

static bool is_among(slice key, const char *const *keys) {
  while (*keys && !slice_is(key, *keys)) {
    keys++;
  }
  return *keys != NULL;
}

/* Members as the invoice has them. */
static void copy_members(struct json_out *w, const struct json *object, const char *const *keys) {
  for (const struct json *m = object->child; m; m = m->next) {
    if (is_among(m->key, keys)) {
      json_key_slice(w, m->key);
      json_value(w, m);
    }
  }
}

static void put_line(struct json_out *w, const struct noting *n, const struct noted_line *l, int64_t number) {
  static const char *const said[] = {"kind",     "description", "dates",    "product", "meter",
                                     "customer", "tax",         "tax_rate", "unit",    NULL};
  static const char *const priced[] = {"unit_price", "multiplier", NULL}, *const when[] = {"from", "to", NULL};
  char text[DECIMAL_TEXT_MAX];
  json_open_object(w);
  json_put_int(w, "number", number);
  copy_members(w, l->json, said);
  json_put_quantity(w, "quantity", (quantity){-l->quantity_now.e9});
  if (!quantity_is_zero(l->quantity_now)) {
    copy_members(w, l->json, priced);
  }
  json_put_amount(w, "exact", amount_negate(l->exact_now));
  put_below(w, n, "amount", l->now);
  copy_members(w, l->json, when);
  json_key(w, "corrects");
  json_open_object(w);
  json_put_str(w, "line", l->number);
  json_put_cstr(w, "billed", amount_text_fixed(l->billed, n->currency->minor_units, text));
  json_put_cstr(w, "credited_before", amount_text_fixed(l->credited, n->currency->minor_units, text));
  json_close_object(w);
  json_key(w, "trace");
  json_open_array(w);
  json_close_array(w);
  json_close_object(w);
}

static void put_lines(struct json_out *w, const struct noting *n) {
  int64_t number = 1;
  json_key(w, "lines");
  json_open_array(w);
  for (size_t i = 0; i < n->line_count; i++) {
    if (n->lines[i].taken) {
      put_line(w, n, &n->lines[i], number++);
    }
  }
  json_close_array(w);
  json_key(w, "unpriced");
  json_open_array(w);
  json_close_array(w);
}

bool noted_tax_is_touched(const struct noted_tax *t) {
  return t->json && (!amount_is_zero(t->net_now) || !amount_is_zero(t->tax_now));
}

static void put_noted_taxes(struct json_out *w, const struct noting *n) {
  json_key(w, "taxes");
  json_open_array(w);
  for (size_t i = 0; i < n->tax_count; i++) {
    const struct noted_tax *t = &n->taxes[i];
    if (!noted_tax_is_touched(t)) {
      continue;
    }
    json_open_object(w);
    for (const struct json *m = t->json->child; m; m = m->next) {
      if (slice_is(m->key, "base") || slice_is(m->key, "amount")) {
        put_below(w, n, slice_is(m->key, "base") ? "base" : "amount",
                  slice_is(m->key, "base") ? t->net_now : t->tax_now);
      } else if (!slice_is(m->key, "gross") && !slice_is(m->key, "included")) { /* a note is made of net amounts */
        json_key_slice(w, m->key);
        json_value(w, m);
      }
    }
    json_close_object(w);
  }
  json_close_array(w);
}

static void put_head(struct json_out *w, const struct writing *note) {
  static const char *const copied[] = {"period", "from",   "to",       "time_zone", "currency",
                                       "entity", "seller", "customer", NULL};
  const struct noting *n = note->n;
  json_put_cstr(w, "schema", "meterhouse.invoice.1");
  json_put_cstr(w, "type", "credit_note");
  json_put_cstr(w, "status", invoice_status_name(note->id.len > 0 ? INVOICE_FINALIZED : INVOICE_DRAFT));
  if (note->id.len > 0) {
    json_put_str(w, "id", note->id);
    json_put_str(w, "number", note->number);
    json_put_instant(w, "issued", note->issued);
    json_put_instant(w, "due", note->issued);
  }
  json_key(w, "corrects");
  json_open_object(w);
  json_put_str(w, "invoice", n->invoice.number);
  json_put_str(w, "id", n->invoice.id);
  json_put_str(w, "issued", json_text(n->document, "issued"));
  json_put_str(w, "reason", note->request->reason);
  json_close_object(w);
  copy_members(w, n->document, copied);
}

static void put_document(struct json_out *w, const struct writing *note) {
  static const char *const catalog[] = {"catalog", NULL};
  const struct noting *n = note->n;
  put_head(w, note);
  put_lines(w, n);
  json_put_amount(w, "exact", amount_negate(n->exact));
  json_put_amount(w, "rounding", (amount){n->exact.e12 - n->subtotal.e12});
  put_below(w, n, "subtotal", n->subtotal);
  put_noted_taxes(w, n);
  put_below(w, n, "tax", n->tax);
  put_below(w, n, "total", n->total);
  copy_members(w, n->document, catalog);
}

void note_document(const struct noting *n, const struct note_request *request, slice id, slice number, instant issued,
                   struct buf *out) {
  const struct writing note = {n, request, id, number, issued};
  struct json_out w;
  char seal[65];
  must(out->len == 0);
  json_out_init(&w, out, false);
  json_open_object(&w);
  put_document(&w, &note);
  json_close_object(&w);
  if (!out->failed) {
    digest_hex(digest_of(buf_slice(out)), seal);
    out->len--; /* the seal goes before the last brace */
    buf_addf(out, ",\"seal\":\"%s\"}", seal);
  }
}
