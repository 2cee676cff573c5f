/* Credit on the document: each grant as it stood before it was drawn on, written and read back. */
#include "bill/private.h"
#include <stdlib.h>
#include <string.h>

void put_credit(struct json_out *w, const struct credit_use *use) {
  const struct credit_grant *g = use->grant;
  json_put_str(w, "grant", g->id);
  json_put_cstr(w, "kind", credit_kind_name(g->kind));
  json_put_int(w, "priority", g->priority);
  if (g->scope_count > 0) {
    json_key(w, "scope");
    json_open_array(w);
    for (size_t i = 0; i < g->scope_count; i++) {
      json_str(w, g->scope[i]);
    }
    json_close_array(w);
  }
  json_put_instant(w, "effective", g->effective);
  if (g->expires.ns < INSTANT_MAX.ns) {
    json_put_instant(w, "expires", g->expires);
  }
  if (g->note.len > 0) {
    json_put_str(w, "note", g->note);
  }
  json_put_amount(w, "available", g->available);
}

void put_credits(struct json_out *w, const struct invoice *i) {
  json_key(w, "credits");
  json_open_array(w);
  for (size_t c = 0; c < i->credit_count; c++) {
    json_open_object(w);
    put_credit(w, &i->credits[c]);
    put_money(w, i, "amount", i->credits[c].amount);
    json_close_object(w);
  }
  json_close_array(w);
}

bool document_prepaid(const struct json *document, amount *out, struct error *err) {
  const struct json *credits = json_get(document, "credits");
  *out = AMOUNT_ZERO;
  for (const struct json *c = credits ? credits->child : NULL; c; c = c->next) {
    amount value;
    if (!document_amount(c, "amount", &value, err) || !amount_add(*out, value, out, err)) {
      return false;
    }
  }
  return true;
}

/* ---- read back ---- */

static bool take_scope(struct arena *arena, const struct json *credit, struct credit_grant *out, struct error *err) {
  const struct json *list = json_get(credit, "scope");
  size_t count = list ? list->count : 0;
  if (count > CREDIT_SCOPE_MAX) {
    return error_set(err, ERR_LIMIT, "scope: at most %d products", CREDIT_SCOPE_MAX);
  }
  slice *scope = arena_array(arena, count, sizeof *scope);
  for (const struct json *p = list ? list->child : NULL; p; p = p->next) {
    scope[out->scope_count++] = p->text;
  }
  out->scope = scope;
  return true;
}

static bool take_priority(const struct json *credit, int *out, struct error *err) {
  quantity q;
  if (!quantity_parse(json_text(credit, "priority"), &q, err) || q.e9 < 0 || q.e9 > CREDIT_PRIORITY_MAX * QUANTITY_E9) {
    return error_set(err, ERR_INVALID, "priority: expected 0 to %d", CREDIT_PRIORITY_MAX);
  }
  *out = (int)(q.e9 / QUANTITY_E9);
  return true;
}

static bool take_grant(struct arena *arena, const struct json *credit, struct credit_grant *out, struct error *err) {
  slice expires = json_text(credit, "expires");
  *out = (struct credit_grant){
      .id = json_text(credit, "grant"), .note = json_text(credit, "note"), .expires = INSTANT_MAX};
  bool ok = credit_kind_of(json_text(credit, "kind"), &out->kind, err) && take_priority(credit, &out->priority, err) &&
            take_scope(arena, credit, out, err) &&
            time_parse_rfc3339(json_text(credit, "effective"), &out->effective, err) &&
            (expires.len == 0 || time_parse_rfc3339(expires, &out->expires, err)) &&
            document_amount(credit, "available", &out->available, err);
  return ok ||
         error_at(err, "invoice document: credit \"%.*s\"", out->id.len > 60 ? 60 : (int)out->id.len, out->id.ptr);
}

/* One grant may stand on several lines, one a tax: they follow each other. */
static bool add_grant(struct arena *arena, const struct json *credit, struct credit_grant *grants, size_t *count,
                      struct error *err) {
  if (*count > 0 && slice_eq(grants[*count - 1].id, json_text(credit, "grant"))) {
    return true;
  }
  return take_grant(arena, credit, &grants[(*count)++], err);
}

bool invoice_purse_stated(struct arena *arena, slice bytes, struct invoice_purse *out, struct error *err) {
  const struct json *document;
  if (!document_parse(arena, arena_copy(arena, bytes), &document, err)) {
    return false;
  }
  const struct json *lines = json_get(document, "lines"), *credits = json_get(document, "credits");
  size_t most = (lines ? lines->count : 0) + (credits ? credits->count : 0);
  struct credit_grant *grants = arena_array(arena, most, sizeof *grants);
  *out = (struct invoice_purse){.grants = grants};
  for (const struct json *l = lines ? lines->child : NULL; l; l = l->next) {
    const struct json *credit = json_get(l, "credit");
    if (credit && !add_grant(arena, credit, grants, &out->grant_count, err)) {
      return false;
    }
  }
  for (const struct json *c = credits ? credits->child : NULL; c; c = c->next) {
    if (!add_grant(arena, c, grants, &out->grant_count, err)) {
      return false;
    }
  }
  if (out->grant_count > 0) {
    qsort(grants, out->grant_count, sizeof *grants, credit_order);
  }
  return commitments_stated(arena, document, out, err);
}
