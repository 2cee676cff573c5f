/* The rows of an invoice in FOCUS: each step of a line, what rounding made of the line, taxes, prepaid credit. */
#include "documents/focus.h"

struct kind {
  const char *kind, *category, *frequency;
  bool by_steps;    /* a row a step, at its unit price */
  bool shifts_cost; /* a purchase that covers other charges, or what draws from one: no effective cost of its own */
};

static const struct kind *kind_of(const struct json *line) {
  static const struct kind kinds[] = {
      {"usage", "Usage", "Usage-Based", true, false},       {"fee", "Purchase", "Recurring", true, false},
      {"true_up", "Purchase", "Recurring", true, false},    {"commitment", "Purchase", "One-Time", false, true},
      {"drawdown", "Credit", "One-Time", false, true},      {"credit", "Credit", "One-Time", false, false},
      {"adjustment", "Usage", "Usage-Based", false, false}, {"discount", "Credit", "One-Time", false, false},
      {"overage", "Purchase", "One-Time", false, false}};
  static const struct kind other = {"", "Adjustment", "One-Time", false, false};
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    if (slice_is(json_text(line, "kind"), kinds[k].kind)) {
      return &kinds[k];
    }
  }
  return &other;
}

static bool is_correction(const struct focus_invoice *i, const struct json *line) {
  return i->credited || json_get(i->document, "corrects") || slice_is(json_text(line, "kind"), "adjustment");
}

/* ---- what all rows of an invoice, and all of a line, have in common ---- */

struct focus_cost focus_row_of_invoice(const struct focus_invoice *i) {
  slice seller = json_text(i->seller, "name");
  return (struct focus_cost){.BillingAccountId = json_text(i->customer, "id"),
                             .BillingAccountName = json_text(i->customer, "name"),
                             .BillingCurrency = json_text(i->document, "currency"),
                             .BillingPeriodStart = i->from,
                             .BillingPeriodEnd = i->to,
                             .ChargePeriodStart = i->from,
                             .ChargePeriodEnd = i->to,
                             .HostProviderName = seller,
                             .InvoiceIssuerName = seller,
                             .ServiceProviderName = seller,
                             .InvoiceId = json_text(i->document, "number"),
                             .ServiceName = SLICE("Billing"),
                             .ServiceCategory = SLICE("Other"),
                             .ServiceSubcategory = SLICE("Other (Other)"),
                             .x_Rounding = SLICE("false")};
}

static slice sku_of(const struct focus_invoice *i, const struct json *line) {
  slice meter = json_text(line, "meter"), name = json_text(line, "description");
  slice first = meter.len ? meter : json_text(line, "kind");
  return slice_of(arena_printf(i->arena, SLICE_FMT "/" SLICE_FMT, SLICE_ARG(first), SLICE_ARG(name)));
}

/* A fee's unit is its interval; what is charged once has none of these. */
static bool recurs(slice unit) {
  static const char *const intervals[] = {"hour", "month", "quarter", "year", NULL};
  for (size_t n = 0; intervals[n]; n++) {
    if (slice_is(unit, intervals[n])) {
      return true;
    }
  }
  return false;
}

struct focus_cost focus_row_of_line(const struct focus_invoice *i, const struct json *line) {
  struct focus_cost row = focus_row_of_invoice(i);
  slice from = focus_time(i->arena, json_text(line, "from")), to = focus_time(i->arena, json_text(line, "to"));
  slice product = json_text(line, "product"), meter = json_text(line, "meter");
  const struct kind *kind = kind_of(line);
  row.ChargeCategory = slice_of(kind->category);
  row.ChargeFrequency = slice_of(kind->frequency);
  if (slice_is(json_text(line, "kind"), "fee") && !recurs(json_text(line, "unit"))) {
    row.ChargeFrequency = SLICE("One-Time");
  }
  row.ChargePeriodStart = from.len ? from : i->from;
  row.ChargePeriodEnd = to.len ? to : i->to;
  row.ChargeDescription = json_text(line, "description");
  row.InvoiceDetailId = json_text(line, "number");
  if (product.len > 0) {
    row.ServiceName = product;
    focus_service(product, &row.ServiceCategory, &row.ServiceSubcategory);
  }
  row.SkuId = sku_of(i, line);
  row.SkuMeter = meter.len ? meter : json_text(line, "kind");
  row.SubAccountId = row.SubAccountName = json_text(line, "customer");
  row.x_LineKind = json_text(line, "kind");
  row.x_PriceAt = json_text(line, "price_at");
  return row;
}

/* All four costs are one amount: what is neither discounted nor covered. */
static void same_costs(const struct focus_invoice *i, struct focus_cost *row, const struct wide *cost) {
  row->BilledCost = row->ListCost = row->ContractedCost = row->EffectiveCost = focus_wide(i->arena, cost);
}

/* ---- a line by its steps ---- */

/* What commitments covered has rows of its own: focus_covers.c. */
static void put_consumed(const struct focus_invoice *i, const struct json *line, const struct json *step,
                         struct focus_cost *row) {
  quantity raw, covered = QUANTITY_ZERO, base = QUANTITY_ONE;
  struct error ignored = {0};
  if (!slice_is(row->ChargeCategory, "Usage")) {
    return;
  }
  if (!quantity_parse(json_text(step, "raw"), &raw, &ignored) ||
      (json_get(line, "raw_per_unit") && !quantity_parse(json_text(line, "raw_per_unit"), &base, &ignored)) ||
      (json_get(step, "covered") && !quantity_parse(json_text(step, "covered"), &covered, &ignored)) ||
      !quantity_sub(raw, covered, &raw, &ignored) || base.e9 <= 0 ||
      !int128_muldiv(raw.e9, QUANTITY_E9, base.e9, ROUND_HALF_EVEN, &raw.e9, &ignored)) {
    raw = QUANTITY_ZERO;
  }
  row->ConsumedQuantity = focus_decimal(i->arena, decimal_of_quantity(raw));
  row->ConsumedUnit = focus_unit(i->arena, json_text(line, "unit"));
}

/* What is spread over what a fee covers has to be the fee: without the last digit that a rounded quantity leaves. */
static bool exactly(const struct json *step, struct focus_priced *p, struct error *err) {
  amount total;
  struct wide stated, rest;
  if (!document_amount(step, "amount", &total, err)) {
    return false;
  }
  stated = wide_negate(wide_of(decimal_of_amount(total)));
  if (!wide_add(&p->contracted_cost, &stated, &rest) || !wide_is_zero(&rest)) {
    *p = focus_lump(total);
  }
  return true;
}

static bool wholly_covered(const struct json *step, const struct focus_priced *p) {
  return json_get(step, "covered") && slice_eq(json_text(step, "covered"), json_text(step, "raw")) &&
         wide_is_zero(&p->contracted_cost);
}

static bool put_step(struct focus_invoice *i, const struct json *line, const struct json *step, struct wide *sum,
                     struct error *err) {
  struct focus_priced p;
  struct focus_cost row = focus_row_of_line(i, line);
  const bool fee = focus_is_cover_fee(line);
  slice tier = json_text(step, "tier"), note = json_text(step, "note"), plan = json_text(line, "plan");
  if (!focus_price_step(i, line, step, &p, err) || (fee && !exactly(step, &p, err))) {
    return false;
  }
  if (wholly_covered(step, &p)) {
    return true;
  }
  put_consumed(i, line, step, &row);
  row.PricingQuantity = focus_decimal(i->arena, p.quantity);
  row.PricingUnit = p.unit;
  row.PricingCategory = SLICE("Standard");
  row.ContractedUnitPrice = focus_decimal(i->arena, p.contracted);
  row.ListUnitPrice = focus_decimal(i->arena, p.list);
  row.ContractedCost = row.BilledCost = row.EffectiveCost = focus_wide(i->arena, &p.contracted_cost);
  row.ListCost = focus_wide(i->arena, &p.list_cost);
  row.SkuPriceId = slice_of(arena_printf(i->arena, SLICE_FMT "/" SLICE_FMT "/" SLICE_FMT, SLICE_ARG(plan),
                                         SLICE_ARG(row.SkuId), SLICE_ARG(tier)));
  row.x_Tier = tier;
  if (fee) {
    focus_commit_purchase(i, line, &row);
  }
  if (note.len > 0) {
    slice name = row.ChargeDescription;
    row.ChargeDescription =
        slice_of(arena_printf(i->arena, SLICE_FMT " (" SLICE_FMT ")", SLICE_ARG(name), SLICE_ARG(note)));
  }
  focus_write_cost(i->focus, &row);
  return wide_add(sum, &p.contracted_cost, sum) ||
         error_set(err, ERR_OVERFLOW, "line " SLICE_FMT " has too many digits", SLICE_ARG(row.InvoiceDetailId));
}

/* What the invoice states less what the steps come to, in a row of its own. */
static bool put_rounding(struct focus_invoice *i, const struct json *line, amount stated, const struct wide *sum,
                         struct error *err) {
  struct wide exact = wide_of(decimal_of_amount(stated)), less = wide_negate(*sum), rest;
  if (!wide_add(&exact, &less, &rest)) {
    return error_set(err, ERR_OVERFLOW, "a line has too many digits");
  }
  if (wide_is_zero(&rest)) {
    return true;
  }
  struct focus_cost row = focus_row_of_line(i, line);
  slice name = row.ChargeDescription;
  row.ChargeCategory = SLICE("Adjustment");
  row.ChargeFrequency = SLICE("One-Time");
  row.ChargeDescription = slice_of(arena_printf(i->arena, "Rounding of " SLICE_FMT, SLICE_ARG(name)));
  row.SkuId = row.SkuMeter = (slice){0};
  row.x_Rounding = SLICE("true");
  same_costs(i, &row, &rest);
  focus_write_cost(i->focus, &row);
  return true;
}

static bool put_steps(struct focus_invoice *i, const struct json *line, amount stated, struct error *err) {
  const struct json *trace = json_get(line, "trace");
  struct wide sum = {0};
  for (const struct json *step = trace->child; step; step = step->next) {
    if (!put_step(i, line, step, &sum, err)) {
      return false;
    }
  }
  return put_rounding(i, line, stated, &sum, err);
}

/* ---- a line as a whole ---- */

static slice not_covered(const struct focus_invoice *i, const struct json *line) {
  quantity all, covered;
  struct error ignored = {0};
  if (!quantity_parse(json_text(line, "quantity"), &all, &ignored) ||
      !quantity_parse(json_text(line, "covered"), &covered, &ignored) || !quantity_sub(all, covered, &all, &ignored)) {
    return json_text(line, "quantity");
  }
  return focus_decimal(i->arena, decimal_of_quantity(all));
}

/* Sold at a price and not a correction: such a row must name one. */
static void price_whole(const struct focus_invoice *i, const struct json *line, amount stated, struct focus_cost *row) {
  struct focus_priced p = focus_lump(stated);
  slice plan = json_text(line, "plan");
  row->PricingQuantity = focus_decimal(i->arena, p.quantity);
  row->PricingUnit = p.unit;
  row->PricingCategory = SLICE("Standard");
  row->ListUnitPrice = row->ContractedUnitPrice = focus_decimal(i->arena, p.contracted);
  row->SkuPriceId = slice_of(arena_printf(i->arena, SLICE_FMT "/" SLICE_FMT, SLICE_ARG(plan), SLICE_ARG(row->SkuId)));
  if (slice_is(row->ChargeCategory, "Usage")) {
    row->ConsumedQuantity = not_covered(i, line);
    row->ConsumedUnit = focus_unit(i->arena, json_text(line, "unit"));
  }
}

static void put_whole(struct focus_invoice *i, const struct json *line, amount stated, bool correction) {
  struct focus_cost row = focus_row_of_line(i, line);
  struct wide cost = wide_of(decimal_of_amount(stated));
  same_costs(i, &row, &cost);
  bool sold = slice_is(row.ChargeCategory, "Usage") || slice_is(row.ChargeCategory, "Purchase");
  if (correction) {
    row.ChargeClass = SLICE("Correction");
  } else if (sold) {
    price_whole(i, line, stated, &row);
  } else {
    row.SkuId = row.SkuMeter = (slice){0};
  }
  if (kind_of(line)->shifts_cost) {
    row.EffectiveCost = focus_expired(i, line);
  }
  focus_write_cost(i->focus, &row);
}

/* ---- Invoice Detail: a row a line of the document ---- */

/* What tells this line from the others of the invoice. */
static void put_grain(const struct focus_cost *of, struct buf *out) {
  struct json_out w;
  json_out_init(&w, out, false);
  json_open_object(&w);
  json_put_str(&w, "ServiceName", of->ServiceName);
  if (of->SkuId.len > 0) {
    json_put_str(&w, "SkuId", of->SkuId);
    json_put_str(&w, "SkuMeter", of->SkuMeter);
  }
  if (of->SubAccountId.len > 0) {
    json_put_str(&w, "SubAccountId", of->SubAccountId);
  }
  json_close_object(&w);
}

static slice payment_terms(const struct focus_invoice *i) {
  instant issued, due;
  struct error ignored = {0};
  if (!time_parse_rfc3339(i->issued, &issued, &ignored) || !time_parse_rfc3339(i->due, &due, &ignored)) {
    return SLICE("On receipt");
  }
  int64_t days = (due.ns - issued.ns) / (86400 * NS_PER_S);
  return slice_of(arena_printf(i->arena, "Net %lld days", (long long)days));
}

void focus_put_detail(struct focus_invoice *i, const struct focus_cost *of, amount stated) {
  struct buf grain;
  struct wide cost = wide_of(decimal_of_amount(stated));
  slice corrects = json_text(json_get(i->document, "corrects"), "invoice");
  buf_init(&grain, 1u << 16);
  put_grain(of, &grain);
  struct focus_detail row = {
      .BilledCost = focus_wide(i->arena, &cost),
      .BillingAccountId = of->BillingAccountId,
      .BillingCurrency = of->BillingCurrency,
      .BillingPeriodStart = i->from,
      .BillingPeriodEnd = i->to,
      .ChargeCategory = of->ChargeCategory,
      .InvoiceDetailCreated = i->issued,
      .InvoiceDetailLastUpdated = i->issued,
      .InvoiceDetailDescription = of->ChargeDescription,
      .InvoiceDetailGrain = buf_slice(&grain),
      .InvoiceDetailId = of->InvoiceDetailId,
      .InvoiceId = of->InvoiceId,
      .InvoiceIssueDate = i->issued,
      .InvoiceIssueStatus = i->voided ? SLICE("Voided") : SLICE("Issued"),
      .InvoiceIssuerName = of->InvoiceIssuerName,
      .PaymentDueDate = i->due,
      .PaymentTerms = payment_terms(i),
      .PurchaseOrderNumber = json_text(i->customer, "reference"),
      .ReferenceInvoiceId = corrects.len ? corrects : of->InvoiceId,
  };
  focus_write_detail(i->focus, &row);
  buf_free(&grain);
}

/* ---- all of an invoice ---- */

static bool stated_amount(const struct focus_invoice *i, const struct json *object, const char *key, amount *out,
                          struct error *err) {
  if (!document_amount(object, key, out, err)) {
    return false;
  }
  *out = i->credited ? amount_negate(*out) : *out;
  return true;
}

static bool put_line(struct focus_invoice *i, const struct json *line, struct error *err) {
  amount stated;
  const struct json *trace = json_get(line, "trace");
  bool correction = is_correction(i, line);
  if (!stated_amount(i, line, "amount", &stated, err)) {
    return false;
  }
  struct focus_cost row = focus_row_of_line(i, line);
  focus_put_detail(i, &row, stated);
  if (i->voided) {
    return true; /* nothing is owed for it */
  }
  if (kind_of(line)->by_steps && !correction && trace && trace->child && json_get(line, "gross") == NULL &&
      json_get(line, "converted") == NULL) {
    return put_steps(i, line, stated, err);
  }
  put_whole(i, line, stated, correction);
  return true;
}

bool focus_put_lines(struct focus_invoice *i, struct error *err) {
  const struct json *lines = json_get(i->document, "lines");
  for (const struct json *line = lines ? lines->child : NULL; line; line = line->next) {
    if (!put_line(i, line, err)) {
      return false;
    }
  }
  return true;
}

static void put_plain(struct focus_invoice *i, const char *category, slice description, const char *detail_id,
                      amount stated) {
  struct focus_cost row = focus_row_of_invoice(i);
  struct wide cost = wide_of(decimal_of_amount(stated));
  row.ChargeCategory = slice_of(category);
  row.ChargeFrequency = SLICE("One-Time");
  row.ChargeDescription = description;
  row.ChargeClass = i->credited || json_get(i->document, "corrects") ? SLICE("Correction") : (slice){0};
  row.InvoiceDetailId = slice_of(detail_id);
  row.x_LineKind = slice_of(category);
  same_costs(i, &row, &cost);
  focus_put_detail(i, &row, stated);
  if (!i->voided) {
    focus_write_cost(i->focus, &row);
  }
}

/* A tax may stand there twice, at two rates; then the rate tells them apart. */
static const char *tax_id_of(const struct focus_invoice *i, const struct json *tax) {
  const struct json *taxes = json_get(i->document, "taxes");
  slice name = json_text(tax, "name"), at = json_text(tax, "rate");
  for (const struct json *t = taxes->child; t; t = t->next) {
    if (t != tax && slice_eq(json_text(t, "name"), name)) {
      return arena_printf(i->arena, "tax/" SLICE_FMT "/" SLICE_FMT, SLICE_ARG(name), SLICE_ARG(at));
    }
  }
  return arena_printf(i->arena, "tax/" SLICE_FMT, SLICE_ARG(name));
}

/* What is payable is what is left after prepaid credit, as on the invoice. */
bool focus_put_rest(struct focus_invoice *i, struct error *err) {
  const struct json *taxes = json_get(i->document, "taxes");
  amount stated;
  for (const struct json *t = taxes ? taxes->child : NULL; t; t = t->next) {
    if (!stated_amount(i, t, "amount", &stated, err)) {
      return false;
    }
    put_plain(i, "Tax", json_text(t, "label"), tax_id_of(i, t), stated);
  }
  if (json_get(i->document, "prepaid") == NULL) {
    return true;
  }
  if (!stated_amount(i, i->document, "prepaid", &stated, err)) {
    return false;
  }
  put_plain(i, "Credit", SLICE("Paid from prepaid credit"), "prepaid", amount_negate(stated));
  return true;
}
