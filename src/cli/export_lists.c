/* export csv: invoices, lines, taxes, customers, usage, accounts, ledger, payments, each a table. */
#include "cli/export.h"
#include "documents/documents.h"
#include <string.h>

/* Rows are written as JSON and become a table; `row` is emptied for each. */
struct table {
  struct export *e;
  struct csv_sheet *sheet;
  struct buf row;
  struct json_out w;
};

static void row_begin(struct table *t) {
  t->row.len = 0;
  json_out_init(&t->w, &t->row, false);
}

static bool row_end(struct table *t, struct error *err) {
  return csv_sheet_add(t->sheet, buf_slice(&t->row), err);
}

/* ---- from invoices ---- */

static bool invoice_row(void *context, const struct stored_invoice *i, struct error *err) {
  struct table *t = context;
  row_begin(t);
  stored_invoice_put(&t->w, i);
  return row_end(t, err);
}

static bool list_invoices(struct table *t, struct error *err) {
  struct invoice_query query = {.customer = t->e->customer, .period = t->e->period, .limit = SIZE_MAX};
  return invoice_list(book_db(t->e->book), &query, invoice_row, t, err);
}

/* The members of one of the document's lists, behind what says which invoice it is. The trace is of `explain`. */
static bool part_rows(struct table *t, const char *list, slice number, slice status, slice document,
                      struct error *err) {
  const struct json *tree;
  if (!document_parse(t->e->arena, document, &tree, err)) {
    return false;
  }
  const struct json *parts = json_get(tree, list);
  for (const struct json *part = parts ? parts->child : NULL; part; part = part->next) {
    row_begin(t);
    json_open_object(&t->w);
    json_put_str(&t->w, "invoice", number);
    json_put_str(&t->w, "status", status);
    json_put_str(&t->w, "billed_customer", json_text(json_get(tree, "customer"), "id"));
    json_put_str(&t->w, "period", json_text(tree, "period"));
    json_put_str(&t->w, "currency", json_text(tree, "currency"));
    for (const struct json *member = part->child; member; member = member->next) {
      if (!slice_is(member->key, "trace")) {
        json_key_slice(&t->w, member->key);
        json_value(&t->w, member);
      }
    }
    json_close_object(&t->w);
    if (!row_end(t, err)) {
      return false;
    }
  }
  arena_reset(t->e->arena);
  return true;
}

static bool line_rows(void *context, slice number, slice status, slice document, struct error *err) {
  return part_rows(context, "lines", number, status, document, err);
}
static bool tax_rows(void *context, slice number, slice status, slice document, struct error *err) {
  return part_rows(context, "taxes", number, status, document, err);
}

static bool no_invoices(const struct error *err) {
  return err->code == ERR_NOT_FOUND;
}

static bool list_parts(struct table *t, export_each *each, struct error *err) {
  struct export all = *t->e;
  all.name_count = 0;
  return export_invoices(&all, each, t, err) || no_invoices(err); /* then it is a table without rows */
}
static bool list_lines(struct table *t, struct error *err) {
  return list_parts(t, line_rows, err);
}
static bool list_taxes(struct table *t, struct error *err) {
  return list_parts(t, tax_rows, err);
}

/* ---- customers and usage ---- */

static bool list_customers(struct table *t, struct error *err) {
  const struct catalog *catalog = book_catalog(t->e->book);
  for (size_t i = 0; i < catalog->customer_count; i++) {
    const struct customer *c = &catalog->customers[i];
    if (t->e->customer.len > 0 && !slice_eq(c->id, t->e->customer)) {
      continue;
    }
    row_begin(t);
    json_open_object(&t->w);
    json_put_str(&t->w, "id", c->id);
    json_put_str(&t->w, "name", c->party.name);
    json_put_str(&t->w, "country", c->party.country);
    json_put_str(&t->w, "email", c->party.email);
    json_put_str(&t->w, "tax_id", c->party.tax_id);
    json_put_str(&t->w, "group", c->group);
    json_put_cstr(&t->w, "currency", c->currency->code);
    json_put_cstr(&t->w, "time_zone", c->time_zone);
    json_put_str(&t->w, "tax", c->tax ? c->tax->name : (slice){0});
    json_put_int(&t->w, "payment_days", c->payment_days);
    json_put_str(&t->w, "plan", c->contract_count ? c->contracts[c->contract_count - 1].plan_name : (slice){0});
    json_close_object(&t->w);
    if (!row_end(t, err)) {
      return false;
    }
  }
  return true;
}

static bool usage_row_out(struct table *t, const struct usage_row *row, struct error *err) {
  quantity units;
  if (!int128_muldiv(row->value.e9, QUANTITY_E9, row->meter->base_per_unit.e9, ROUND_HALF_EVEN, &units.e9, err)) {
    return false;
  }
  row_begin(t);
  json_open_object(&t->w);
  json_put_str(&t->w, "customer", row->customer);
  json_put_str(&t->w, "meter", row->meter->name);
  json_put_instant(&t->w, "from", row->from);
  json_put_instant(&t->w, "to", row->to);
  json_put_quantity(&t->w, "quantity", units);
  json_put_str(&t->w, "unit", row->meter->unit);
  json_put_int(&t->w, "events", (int64_t)row->events);
  json_key(&t->w, "dimensions");
  json_open_object(&t->w);
  for (size_t d = 0; d < row->meter->dimension_count; d++) {
    json_key_slice(&t->w, row->meter->dimensions[d]);
    json_str(&t->w, row->dimensions[d]);
  }
  json_close_object(&t->w);
  json_close_object(&t->w);
  return row_end(t, err);
}

static bool list_usage(struct table *t, struct error *err) {
  struct period period;
  struct rating_set set;
  if (t->e->period.len == 0) {
    return error_set(err, ERR_USAGE, "usage needs --period, such as 2026-10");
  }
  if (!time_parse_period(t->e->period, book_catalog(t->e->book)->time_zone, &period, err) ||
      !book_usage(t->e->book, t->e->customer, period, (instant){0}, &set, err)) {
    return false;
  }
  bool ok = true;
  for (size_t i = 0; ok && i < set.row_count; i++) {
    ok = usage_row_out(t, &set.rows[i], err);
  }
  rating_set_free(&set);
  return ok;
}

/* ---- the ledger ---- */

static bool account_row(void *context, const struct account *a, struct error *err) {
  struct table *t = context;
  row_begin(t);
  json_open_object(&t->w);
  json_put_str(&t->w, "name", a->name);
  json_put_str(&t->w, "currency", a->currency);
  json_put_amount(&t->w, "balance", a->balance);
  json_put_amount(&t->w, "held", a->held);
  json_put_int(&t->w, "entries", (int64_t)a->entries);
  json_close_object(&t->w);
  return row_end(t, err);
}

struct entries {
  struct table *t;
  struct ledger *ledger;
  const char *cause; /* these alone; NULL: all */
};

static bool entry_row(void *context, const struct entry *entry, struct error *err) {
  const struct entries *entries = context;
  struct table *t = entries->t;
  if (entries->cause && !slice_is(entry->cause, entries->cause)) {
    return true;
  }
  row_begin(t);
  json_open_object(&t->w);
  json_put_int(&t->w, "sequence", (int64_t)entry->sequence);
  json_put_instant(&t->w, "time", entry->time);
  json_put_str(&t->w, "transfer", entry->transfer_id);
  json_put_str(&t->w, "account", entry->account);
  json_put_str(&t->w, "other_account", entry->other);
  json_put_amount(&t->w, "amount", entry->amount);
  json_put_str(&t->w, "currency", entry->currency);
  json_put_amount(&t->w, "balance_after", entry->balance_after);
  json_put_str(&t->w, "cause", entry->cause);
  json_put_str(&t->w, "reference", entry->reference);
  json_close_object(&t->w);
  return row_end(t, err);
}

static bool account_entries(void *context, const struct account *a, struct error *err) {
  struct entries *entries = context;
  return ledger_entries(entries->ledger, a->name, a->currency, 0, SIZE_MAX, entry_row, entries, err);
}

/* The book is open to read only, so the ledger is read from its store by one of our own. */
static bool with_ledger(struct table *t, const char *cause, bool accounts_alone, struct error *err) {
  struct entries entries = {.t = t, .cause = cause};
  slice prefix = SLICE("");
  if (t->e->customer.len > 0) {
    prefix = slice_of(arena_printf(t->e->arena, "customer/" SLICE_FMT "/", SLICE_ARG(t->e->customer)));
  } else if (cause) {
    prefix = SLICE("customer/"); /* one side of each is enough */
  }
  if (!ledger_open(book_db(t->e->book), &entries.ledger, err)) {
    return false;
  }
  bool ok = accounts_alone ? ledger_accounts(entries.ledger, prefix, account_row, t, err)
                           : ledger_accounts(entries.ledger, prefix, account_entries, &entries, err);
  ledger_close(entries.ledger);
  return ok;
}
static bool list_accounts(struct table *t, struct error *err) {
  return with_ledger(t, NULL, true, err);
}
static bool list_ledger(struct table *t, struct error *err) {
  return with_ledger(t, NULL, false, err);
}
static bool list_payments(struct table *t, struct error *err) {
  return with_ledger(t, "payment", false, err);
}

/* ---- the table of tables ---- */

static const struct list {
  const char *name, *what;
  bool (*fill)(struct table *t, struct error *err);
} lists[] = {{"invoices", "number, customer, period, status, totals", list_invoices},
             {"lines", "every line of the invoices", list_lines},
             {"taxes", "every tax of the invoices", list_taxes},
             {"customers", "as the catalog has them", list_customers},
             {"usage", "by the hour, of --period", list_usage},
             {"accounts", "of the ledger, with balances", list_accounts},
             {"ledger", "every entry of every account", list_ledger},
             {"payments", "as booked on the customers' accounts", list_payments}};

void export_print_lists(void) {
  printf("\nlists for csv:\n");
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    printf("  %-10s %s\n", lists[i].name, lists[i].what);
  }
}

static const struct list *list_named(const char *name) {
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    if (strcmp(lists[i].name, name) == 0) {
      return &lists[i];
    }
  }
  return NULL;
}

bool export_csv(struct export *e, struct error *err) {
  const struct list *list = e->name_count == 1 ? list_named(e->names[0]) : NULL;
  if (list == NULL || e->book == NULL) {
    return error_set(err, ERR_USAGE,
                     "csv takes --data DIR and one list: invoices, lines, taxes, customers, usage, accounts, ledger "
                     "or payments");
  }
  struct table t = {.e = e, .sheet = csv_sheet_new()};
  struct buf out;
  buf_init(&t.row, DOCUMENT_BYTES_MAX);
  buf_init(&out, EXPORT_BYTES_MAX);
  bool ok = list->fill(&t, err);
  if (ok) {
    csv_sheet_write(t.sheet, &out);
    ok = export_write(e, NULL, buf_slice(&out), err);
  }
  csv_sheet_free(t.sheet);
  buf_free(&t.row);
  buf_free(&out);
  return ok;
}
