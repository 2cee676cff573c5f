/* FOCUS 1.4: the four datasets as CSV, made from issued invoices one by one. */
#include "documents/focus.h"
#include <stdlib.h>
#include <string.h>

static const char *const dataset_names[FOCUS_DATASETS] = {"cost-and-usage", "invoice-detail", "billing-period",
                                                          "contract-commitment"};

const char *focus_dataset_name(enum focus_dataset dataset) {
  must((unsigned)dataset < FOCUS_DATASETS);
  return dataset_names[dataset];
}

/* Cells are as they are: an apostrophe against formulas would make another id of an id. */
static void put_row(struct buf *out, const slice *cells, size_t count) {
  for (size_t c = 0; c < count; c++) {
    if (c > 0) {
      buf_addc(out, ',');
    }
    csv_put_cell(out, cells[c], false);
  }
  buf_add(out, SLICE("\r\n"));
}

#define FOCUS_NAME(name) {#name, sizeof #name - 1},
#define CELLS_OF(row) ((const slice *)(const void *)(row)), sizeof *(row) / sizeof(slice)

static void put_names(struct focus *f) {
  static const slice cost[] = {FOCUS_COST_COLUMNS(FOCUS_NAME)};
  static const slice detail[] = {FOCUS_DETAIL_COLUMNS(FOCUS_NAME)};
  static const slice period[] = {FOCUS_PERIOD_COLUMNS(FOCUS_NAME)};
  static const slice commitment[] = {FOCUS_COMMITMENT_COLUMNS(FOCUS_NAME)};
  put_row(&f->out[FOCUS_COST_AND_USAGE], cost, sizeof cost / sizeof *cost);
  put_row(&f->out[FOCUS_INVOICE_DETAIL], detail, sizeof detail / sizeof *detail);
  put_row(&f->out[FOCUS_BILLING_PERIOD], period, sizeof period / sizeof *period);
  put_row(&f->out[FOCUS_CONTRACT_COMMITMENT], commitment, sizeof commitment / sizeof *commitment);
}

struct focus *focus_new(const struct catalog *catalog, size_t limit_bytes) {
  struct focus *f = mem_alloc(sizeof *f);
  f->catalog = catalog;
  f->kept = arena_new();
  for (int d = 0; d < FOCUS_DATASETS; d++) {
    buf_init(&f->out[d], limit_bytes);
  }
  put_names(f);
  return f;
}

void focus_free(struct focus *f) {
  if (f) {
    for (int d = 0; d < FOCUS_DATASETS; d++) {
      buf_free(&f->out[d]);
    }
    vec_free(&f->periods);
    vec_free(&f->commitments);
    arena_free(f->kept);
    free(f);
  }
}

void focus_write_cost(struct focus *f, const struct focus_cost *row) {
  put_row(&f->out[FOCUS_COST_AND_USAGE], CELLS_OF(row));
}

void focus_write_detail(struct focus *f, const struct focus_detail *row) {
  put_row(&f->out[FOCUS_INVOICE_DETAIL], CELLS_OF(row));
}

/* ---- billing periods: closed once an invoice was issued after their end ---- */

static void take_period(const struct focus_invoice *i) {
  struct focus *f = i->focus;
  slice issuer = json_text(i->seller, "name");
  bool over = slice_cmp(i->issued, i->to) >= 0; /* both are UTC to the second: as text they order like times */
  for (size_t p = 0; p < f->periods.count; p++) {
    struct focus_period *period = &f->periods.items[p];
    if (slice_eq(period->BillingPeriodStart, i->from) && slice_eq(period->BillingPeriodEnd, i->to) &&
        slice_eq(period->InvoiceIssuerName, issuer)) {
      bool earlier = slice_cmp(
          i->issued, period->BillingPeriodCreated)<0, later = slice_cmp(i->issued, period->BillingPeriodLastUpdated)> 0;
      period->BillingPeriodCreated = earlier ? arena_copy(f->kept, i->issued) : period->BillingPeriodCreated;
      period->BillingPeriodLastUpdated = later ? arena_copy(f->kept, i->issued) : period->BillingPeriodLastUpdated;
      period->BillingPeriodStatus = over ? SLICE("Closed") : period->BillingPeriodStatus;
      return;
    }
  }
  slice issued = arena_copy(f->kept, i->issued);
  vec_push(&f->periods, (struct focus_period){.BillingPeriodCreated = issued,
                                              .BillingPeriodLastUpdated = issued,
                                              .BillingPeriodStart = arena_copy(f->kept, i->from),
                                              .BillingPeriodEnd = arena_copy(f->kept, i->to),
                                              .BillingPeriodStatus = over ? SLICE("Closed") : SLICE("Open"),
                                              .InvoiceIssuerName = arena_copy(f->kept, issuer)});
}

/* ---- invoices ---- */

static bool open_invoice(struct focus_invoice *i, slice bytes, slice status, struct error *err) {
  const struct currency *currency;
  amount total;
  if (!document_open(i->arena, bytes, &i->document, &currency, err) ||
      !document_amount(i->document, "total", &total, err)) {
    return false;
  }
  if (json_text(i->document, "number").len == 0) {
    return error_set(err, ERR_INVALID, "FOCUS: a draft has no number: only issued invoices are exported");
  }
  i->seller = json_get(i->document, "seller");
  i->customer = json_get(i->document, "customer");
  i->credited = slice_is(json_text(i->document, "type"), "credit_note") && amount_cmp(total, AMOUNT_ZERO) > 0;
  i->voided = slice_is(status, "void");
  i->issued = focus_time(i->arena, json_text(i->document, "issued"));
  i->due = focus_time(i->arena, json_text(i->document, "due"));
  i->from = focus_time(i->arena, json_text(i->document, "from"));
  i->to = focus_time(i->arena, json_text(i->document, "to"));
  return (i->issued.len && i->from.len && i->to.len) ||
         error_set(err, ERR_INVALID, "FOCUS: the document does not say when it was issued and for which period");
}

static bool take(struct focus_invoice *i, slice bytes, slice status, struct error *err) {
  if (!open_invoice(i, bytes, status, err) || !focus_put_lines(i, err) || !focus_put_covers(i, err) ||
      !focus_put_rest(i, err) || !focus_take_commitments(i, err)) {
    return false;
  }
  take_period(i);
  for (int d = 0; d < FOCUS_DATASETS; d++) {
    if (i->focus->out[d].failed) {
      return error_set(err, ERR_LIMIT, "the dataset %s is larger than %zu bytes: export less at a time",
                       dataset_names[d], i->focus->out[d].limit);
    }
  }
  return true;
}

bool focus_add(struct focus *f, slice document_json, slice status, struct error *err) {
  struct focus_invoice i = {.focus = f, .arena = arena_new()};
  bool ok = take(&i, document_json, status, err);
  arena_free(i.arena);
  return ok;
}

slice focus_dataset(struct focus *f, enum focus_dataset dataset) {
  if (dataset == FOCUS_BILLING_PERIOD) {
    for (size_t p = 0; p < f->periods.count; p++) {
      put_row(&f->out[dataset], CELLS_OF(&f->periods.items[p]));
    }
    f->periods.count = 0;
  }
  if (dataset == FOCUS_CONTRACT_COMMITMENT) {
    for (size_t c = 0; c < f->commitments.count; c++) {
      put_row(&f->out[dataset], CELLS_OF(&f->commitments.items[c]));
    }
    f->commitments.count = 0;
  }
  return buf_slice(&f->out[dataset]);
}
