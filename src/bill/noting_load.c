/* What is left of an invoice to be credited: its lines and taxes less what its credit notes took off them. */
#include "bill/noting.h"

/* ---- the invoice ---- */

static size_t tax_of(const struct noting *n, const struct json *line) {
  const struct json *tax = document_tax_of(n->document, line);
  size_t t = 0;
  while (t + 1 < n->tax_count && n->taxes[t].json != tax) {
    t++;
  }
  return t;
}

/* The last one is for lines that are not taxed. */
static bool take_taxes(struct noting *n, struct error *err) {
  const struct json *taxes = json_get(n->document, "taxes");
  n->taxes = arena_array(n->arena, (taxes ? taxes->count : 0) + 1, sizeof *n->taxes);
  for (const struct json *t = taxes ? taxes->child : NULL; t; t = t->next) {
    struct noted_tax *tax = &n->taxes[n->tax_count++];
    *tax = (struct noted_tax){.json = t, .name = json_text(t, "name")};
    if (!rate_parse(json_text(t, "rate"), &tax->rate, err) || !document_amount(t, "amount", &tax->tax, err)) {
      return error_at(err, "tax " SLICE_FMT, SLICE_ARG(tax->name));
    }
  }
  n->taxes[n->tax_count++] = (struct noted_tax){0};
  return true;
}

static bool take_lines(struct noting *n, struct error *err) {
  const struct json *lines = json_get(n->document, "lines");
  n->lines = arena_array(n->arena, lines ? lines->count : 0, sizeof *n->lines);
  for (const struct json *l = lines ? lines->child : NULL; l; l = l->next) {
    struct noted_line *line = &n->lines[n->line_count++];
    *line = (struct noted_line){.json = l, .number = json_text(l, "number"), .tax = tax_of(n, l)};
    struct noted_tax *tax = &n->taxes[line->tax];
    if (!document_amount(l, "amount", &line->billed, err) || !document_amount(l, "exact", &line->exact, err) ||
        !quantity_parse(json_text(l, "quantity"), &line->billed_quantity, err) ||
        !amount_add(tax->net, line->billed, &tax->net, err)) {
      return error_at(err, "line " SLICE_FMT, SLICE_ARG(line->number));
    }
  }
  return true;
}

/* ---- its notes ---- */

/* Lines are numbered in their order, from 1. */
struct noted_line *noting_line(struct noting *n, slice number) {
  quantity q;
  struct error ignored = {0};
  if (!quantity_parse(number, &q, &ignored) || q.e9 <= 0 || q.e9 / QUANTITY_E9 > (int128)n->line_count) {
    return NULL;
  }
  struct noted_line *line = &n->lines[q.e9 / QUANTITY_E9 - (q.e9 >= QUANTITY_E9)];
  return slice_eq(line->number, number) ? line : NULL;
}

/* A note's own values are below zero. */
static bool subtract(const struct json *object, const char *key, amount *sum, struct error *err) {
  amount value;
  return document_amount(object, key, &value, err) && amount_sub(*sum, value, sum, err);
}

static bool add_line(struct noting *n, const struct json *l, struct error *err) {
  slice number = json_text(json_get(l, "corrects"), "line");
  struct noted_line *line = noting_line(n, number);
  quantity q;
  if (line == NULL) {
    return error_set(err, ERR_CORRUPT, "it credits line \"" SLICE_FMT "\", which the invoice has not",
                     SLICE_ARG(number));
  }
  return subtract(l, "amount", &line->credited, err) && subtract(l, "exact", &line->exact_credited, err) &&
         subtract(l, "amount", &n->taxes[line->tax].net_credited, err) &&
         quantity_parse(json_text(l, "quantity"), &q, err) &&
         quantity_sub(line->credited_quantity, q, &line->credited_quantity, err);
}

static bool add_tax(struct noting *n, const struct json *t, struct error *err) {
  for (size_t i = 0; i + 1 < n->tax_count; i++) {
    if (slice_eq(n->taxes[i].name, json_text(t, "name")) &&
        slice_eq(json_text(n->taxes[i].json, "rate"), json_text(t, "rate"))) {
      return subtract(t, "amount", &n->taxes[i].tax_credited, err);
    }
  }
  return error_set(err, ERR_CORRUPT, "it credits tax \"" SLICE_FMT "\", which the invoice has not",
                   SLICE_ARG(json_text(t, "name")));
}

static bool add_note(const struct db_row *row, void *context, struct error *err) {
  struct noting *n = context;
  const struct json *note;
  slice bytes;
  amount granted;
  if (!document_unpack(n->arena, db_bytes(row, 1), &bytes, err) ||
      !document_parse(n->arena, arena_copy(n->arena, bytes), &note, err) || !db_amount(row, 2, &granted, err) ||
      !amount_add(n->granted, granted, &n->granted, err)) {
    return error_at(err, "credit note " SLICE_FMT, SLICE_ARG(db_bytes(row, 0)));
  }
  const struct json *lines = json_get(note, "lines"), *taxes = json_get(note, "taxes");
  bool ok = true;
  for (const struct json *l = lines ? lines->child : NULL; ok && l; l = l->next) {
    ok = add_line(n, l, err);
  }
  for (const struct json *t = taxes ? taxes->child : NULL; ok && t; t = t->next) {
    ok = add_tax(n, t, err);
  }
  return ok || error_at(err, "credit note " SLICE_FMT, SLICE_ARG(db_bytes(row, 0)));
}

/* ---- what is left ---- */

static bool too_much(const struct noting *n, const char *what, slice name, struct error *err) {
  return error_set(err, ERR_CORRUPT, "credit notes take more off %s " SLICE_FMT " of invoice " SLICE_FMT " than it had",
                   what, SLICE_ARG(name), SLICE_ARG(n->invoice.number));
}

static bool sum_left(struct noting *n, struct error *err) {
  for (size_t i = 0; i < n->line_count; i++) {
    const struct noted_line *l = &n->lines[i];
    if (!amount_is_zero(l->credited) && amount_cmp(l->credited, l->billed) > 0) {
      return too_much(n, "line", l->number, err);
    }
  }
  for (size_t t = 0; t < n->tax_count; t++) {
    const struct noted_tax *tax = &n->taxes[t];
    amount net, of_tax;
    if (!amount_sub(tax->net, tax->net_credited, &net, err) || !amount_sub(tax->tax, tax->tax_credited, &of_tax, err) ||
        !amount_add(n->left, net, &n->left, err) || !amount_add(n->left, of_tax, &n->left, err)) {
      return false;
    }
    bool noted = !amount_is_zero(tax->net_credited) || !amount_is_zero(tax->tax_credited);
    if (noted && (amount_cmp(net, AMOUNT_ZERO) < 0 || amount_cmp(of_tax, AMOUNT_ZERO) < 0)) {
      return too_much(n, "tax", tax->name, err);
    }
  }
  return true;
}

bool noting_load(struct arena *arena, struct db *db, slice invoice, struct noting *out, struct error *err) {
  *out = (struct noting){.arena = arena};
  if (!stored_invoice_find(arena, db, invoice, &out->invoice, err)) {
    return false;
  }
  out->currency = currency_find(out->invoice.currency);
  if (out->currency == NULL) {
    return error_set(err, ERR_CORRUPT, "invoice " SLICE_FMT ": its currency " SLICE_FMT " is not known",
                     SLICE_ARG(out->invoice.number), SLICE_ARG(out->invoice.currency));
  }
  return document_parse(arena, out->invoice.document, &out->document, err) && take_taxes(out, err) &&
         take_lines(out, err) &&
         db_query(db,
                  "SELECT i.number, i.document, n.granted FROM invoice i JOIN credit_note n ON n.id = i.id"
                  " WHERE i.corrects = $1 AND i.status <> 'void' ORDER BY i.id",
                  DB_VALUES(DB_T(out->invoice.id)), add_note, out, err) &&
         sum_left(out, err);
}
