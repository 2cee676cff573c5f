/* Reservations and savings plans in FOCUS: their fee is a purchase without effective cost; what they covered, and what
 * was not used, are rows that carry it. Of what was bought in advance to be spent, what expires carries its own. */
#include "documents/focus.h"

/* ---- what is the same for all rows of one ---- */

struct told {
  slice customer, name, kind;
};

static slice id_of(const struct focus_invoice *i, const struct told *c) {
  return slice_of(arena_printf(i->arena, SLICE_FMT "/" SLICE_FMT, SLICE_ARG(c->customer), SLICE_ARG(c->name)));
}

static bool is_reservation(const struct told *c) {
  return slice_is(c->kind, "reservation");
}

static slice customer_of(const struct focus_invoice *i, const struct json *object) {
  slice member = json_text(object, "customer");
  return member.len > 0 ? member : json_text(i->customer, "id");
}

static void name_commitment(const struct focus_invoice *i, const struct told *c, slice amount_of, slice unit,
                            struct focus_cost *row) {
  bool units = is_reservation(c);
  row->CommitmentDiscountId = id_of(i, c);
  row->CommitmentDiscountName = c->name;
  row->CommitmentDiscountCategory = units ? SLICE("Usage") : SLICE("Spend");
  row->CommitmentDiscountType = units ? SLICE("Reservation") : SLICE("Savings Plan");
  row->CommitmentDiscountQuantity = amount_of;
  row->CommitmentDiscountUnit = units ? focus_unit(i->arena, unit) : unit;
}

/* ---- the fee ---- */

/* A fee that is gross, or in another currency than the document, keeps its cost: what it covered is told of in that. */
bool focus_is_cover_fee(const struct json *line) {
  return slice_is(json_text(line, "kind"), "fee") && json_get(line, "commitment_kind") &&
         json_get(line, "gross") == NULL && json_get(line, "converted") == NULL;
}

void focus_commit_purchase(const struct focus_invoice *i, const struct json *line, struct focus_cost *row) {
  const struct told c = {customer_of(i, line), json_text(line, "commitment"), json_text(line, "commitment_kind")};
  name_commitment(i, &c, json_text(line, "commitment_quantity"), json_text(line, "commitment_unit"), row);
  row->EffectiveCost = SLICE("0");
}

/* ---- what was covered ---- */

struct covering {
  struct focus_invoice *i;
  struct told commitment;
  const struct json *element;
  bool shifted; /* its costs are the document's: net, and in its currency */
  slice unit;   /* of CommitmentDiscountQuantity */
  size_t number;
};

static slice cost_of(const struct covering *c, slice cost) {
  return c->shifted ? cost : SLICE("0");
}

/* Rows that no line of the document stands for. */
static struct focus_cost row_of_element(const struct covering *c) {
  struct focus_cost row = focus_row_of_invoice(c->i);
  struct arena *arena = c->i->arena;
  slice product = json_text(c->element, "product");
  if (product.len > 0) {
    row.ServiceName = product;
    focus_service(product, &row.ServiceCategory, &row.ServiceSubcategory);
  }
  row.ChargePeriodStart = focus_time(arena, json_text(c->element, "from"));
  row.ChargePeriodEnd = focus_time(arena, json_text(c->element, "to"));
  row.InvoiceDetailId = slice_of(arena_printf(arena, "commitment/%zu", c->number));
  row.SkuMeter = c->commitment.kind;
  row.SkuId = slice_of(
      arena_printf(arena, SLICE_FMT "/" SLICE_FMT, SLICE_ARG(c->commitment.kind), SLICE_ARG(c->commitment.name)));
  row.SubAccountId = row.SubAccountName = json_text(c->element, "customer");
  row.x_LineKind = c->commitment.kind;
  return row;
}

static void finish(const struct covering *c, const struct focus_priced *p, const char *status, struct focus_cost *row) {
  struct arena *arena = c->i->arena;
  bool used = slice_is(slice_of(status), "Used");
  slice name = row->ChargeDescription;
  row->ChargeCategory = SLICE("Usage");
  row->ChargeFrequency = SLICE("Usage-Based");
  row->ChargeDescription = slice_of(used ? arena_printf(arena, SLICE_FMT " (covered by " SLICE_FMT ")", SLICE_ARG(name),
                                                        SLICE_ARG(c->commitment.name))
                                         : arena_printf(arena, SLICE_FMT ", unused", SLICE_ARG(c->commitment.name)));
  row->CommitmentDiscountStatus = slice_of(status);
  row->BilledCost = SLICE("0");
  row->PricingCategory = SLICE("Committed");
  row->PricingQuantity = focus_decimal(arena, p->quantity);
  row->PricingUnit = p->unit;
  row->ContractedUnitPrice = focus_decimal(arena, p->contracted);
  row->ListUnitPrice = focus_decimal(arena, p->list);
  row->ContractedCost = focus_wide(arena, &p->contracted_cost);
  row->ListCost = focus_wide(arena, &p->list_cost);
}

static const struct json *line_numbered(const struct focus_invoice *i, slice number) {
  const struct json *lines = json_get(i->document, "lines");
  for (const struct json *l = number.len > 0 && lines ? lines->child : NULL; l; l = l->next) {
    if (slice_eq(json_text(l, "number"), number)) {
      return l;
    }
  }
  return NULL;
}

/* How much of which commitment, as FOCUS's object of it. */
static slice applied(const struct covering *c, slice taken) {
  struct buf text;
  struct json_out w;
  bool units = is_reservation(&c->commitment);
  buf_init(&text, 1u << 16);
  json_out_init(&w, &text, false);
  json_open_object(&w);
  json_key(&w, "Elements");
  json_open_array(&w);
  json_open_object(&w);
  json_put_str(&w, "ContractId", c->commitment.customer);
  json_put_str(&w, "ContractCommitmentId", id_of(c->i, &c->commitment));
  json_put_str(&w, units ? "ContractCommitmentAppliedQuantity" : "ContractCommitmentAppliedCost", taken);
  if (units) {
    json_put_str(&w, "ContractCommitmentAppliedUnit", focus_unit(c->i->arena, c->unit));
  }
  json_close_object(&w);
  json_close_array(&w);
  json_close_object(&w);
  slice out = arena_copy(c->i->arena, buf_slice(&text));
  buf_free(&text);
  return out;
}

/* `use` is written like a step of its line, with the price that the usage would have had. */
static bool put_use(const struct covering *c, const struct json *use, struct error *err) {
  struct focus_priced p;
  const struct json *line = line_numbered(c->i, json_text(use, "line"));
  struct focus_cost row = line ? focus_row_of_line(c->i, line) : row_of_element(c);
  slice units = json_text(use, "quantity"), cost = json_text(use, "cost");
  slice plan = json_text(line, "plan");
  if (!focus_price_step(c->i, line ? line : use, use, &p, err)) {
    return error_at(err, "invoice document: commitment \"" SLICE_FMT "\"", SLICE_ARG(c->commitment.name));
  }
  row.ChargeDescription = line ? row.ChargeDescription : json_text(use, "meter");
  finish(c, &p, "Used", &row);
  slice taken = is_reservation(&c->commitment) ? units : cost;
  name_commitment(c->i, &c->commitment, taken, c->unit, &row);
  row.EffectiveCost = cost_of(c, cost);
  row.ContractApplied = applied(c, taken);
  row.ConsumedQuantity = units;
  row.ConsumedUnit = focus_unit(c->i->arena, json_text(use, "unit"));
  row.SkuPriceId =
      slice_of(arena_printf(c->i->arena, SLICE_FMT "/" SLICE_FMT "/0", SLICE_ARG(plan), SLICE_ARG(row.SkuId)));
  focus_write_cost(c->i->focus, &row);
  return true;
}

static void put_unused(const struct covering *c) {
  struct focus_cost row = row_of_element(c);
  struct focus_priced nothing = focus_lump(AMOUNT_ZERO);
  slice unused = json_text(c->element, "unused");
  row.ChargeDescription = c->commitment.name;
  finish(c, &nothing, "Unused", &row);
  name_commitment(c->i, &c->commitment, unused, c->unit, &row);
  row.EffectiveCost = cost_of(c, json_text(c->element, "unused_cost"));
  row.ContractApplied = applied(c, unused);
  row.SkuPriceId = row.SkuId;
  focus_write_cost(c->i->focus, &row);
}

static bool put_covering(struct covering *c, struct error *err) {
  const struct json *uses = json_get(c->element, "uses");
  bool all_have_lines = true;
  for (const struct json *u = uses->child; u; u = u->next) {
    all_have_lines = all_have_lines && json_get(u, "line");
    if (!put_use(c, u, err)) {
      return false;
    }
  }
  amount unused_cost, unused;
  if (!document_amount(c->element, "unused_cost", &unused_cost, err) ||
      !document_amount(c->element, "unused", &unused, err)) {
    return false;
  }
  bool any_unused = !amount_is_zero(unused) || !amount_is_zero(unused_cost);
  if (any_unused) {
    put_unused(c);
  }
  if (any_unused || !all_have_lines) {
    struct focus_cost row = row_of_element(c);
    row.ChargeCategory = SLICE("Usage");
    row.ChargeDescription = c->commitment.name;
    focus_put_detail(c->i, &row, AMOUNT_ZERO);
  }
  return true;
}

bool focus_put_covers(struct focus_invoice *i, struct error *err) {
  const struct json *list = json_get(i->document, "commitments");
  size_t number = 0;
  for (const struct json *e = list ? list->child : NULL; e; e = e->next) {
    number++;
    if (i->voided || json_get(e, "uses") == NULL) {
      continue;
    }
    slice currency = json_text(e, "currency"), unit = json_text(e, "unit");
    struct covering c = {.i = i,
                         .commitment = {customer_of(i, e), json_text(e, "name"), json_text(e, "kind")},
                         .element = e,
                         .shifted = currency.len == 0 && json_get(e, "prices_include_tax") == NULL,
                         .number = number};
    slice money = currency.len > 0 ? currency : json_text(i->document, "currency");
    c.unit = is_reservation(&c.commitment) ? unit : money;
    if (!put_covering(&c, err)) {
      return false;
    }
  }
  return true;
}

/* ---- bought in advance ---- */

slice focus_expired(const struct focus_invoice *i, const struct json *line) {
  const struct json *list = json_get(i->document, "commitments");
  amount stated;
  struct error ignored = {0};
  if (!slice_is(json_text(line, "kind"), "commitment") || !document_amount(line, "amount", &stated, &ignored) ||
      !amount_is_zero(stated)) {
    return SLICE("0");
  }
  for (const struct json *c = list ? list->child : NULL; c; c = c->next) {
    if (json_get(c, "expired") && slice_eq(json_text(c, "name"), json_text(line, "commitment")) &&
        slice_eq(json_text(c, "from"), json_text(line, "from"))) {
      return json_text(c, "expired");
    }
  }
  return SLICE("0");
}
