/* Contract Commitment: what an invoice tells of commitments, and the monthly minimums of contracts. */
#include "documents/focus.h"

#define WHOLE_RANGE "2199-12-31T23:59:59Z" /* stands for an open end, which FOCUS does not know */

static void keep(struct focus *f, const struct focus_commitment *c) {
  for (size_t k = 0; k < f->commitments.count; k++) {
    if (slice_eq(f->commitments.items[k].ContractCommitmentId, c->ContractCommitmentId)) {
      f->commitments.items[k] = *c; /* the later invoice knows more */
      return;
    }
  }
  vec_push(&f->commitments, *c);
}

/* What is the same for all that are told of here: negotiated, paid as used, good for anything. */
static struct focus_commitment plain(const struct focus_invoice *i) {
  struct arena *kept = i->focus->kept;
  slice seller = arena_copy(kept, json_text(i->seller, "name"));
  return (struct focus_commitment){
      .BillingCurrency = arena_copy(kept, json_text(i->document, "currency")),
      .ContractCommitmentApplicability = SLICE("{\"IsGlobalScope\":true}"),
      .ContractCommitmentBenefitCategory = SLICE("Discount"),
      .ContractCommitmentCategory = SLICE("Spend"),
      .ContractCommitmentDurationType = SLICE("Custom"),
      .ContractCommitmentFulfillmentInterval = SLICE("Full Period"),
      .ContractCommitmentLifecycleStatus = SLICE("Active"),
      .ContractCommitmentModel = SLICE("Continuous"),
      .ContractCommitmentOfferCategory = SLICE("Negotiated"),
      .ContractCommitmentPaymentInterval = SLICE("Monthly"),
      .ContractCommitmentPaymentModel = SLICE("No Upfront"),
      .ContractCommitmentPaymentUpfrontPercentage = SLICE("0"),
      .ContractCommitmentLastUpdated = arena_copy(kept, i->issued),
      .InvoiceIssuerName = seller,
      .ServiceProviderName = seller,
  };
}

static slice or_else(slice text, slice otherwise) {
  return text.len > 0 ? text : otherwise;
}

/* ---- told by the document ---- */

static bool is_zero_text(slice amount_words) {
  amount a;
  struct error ignored = {0};
  return !amount_parse(amount_words, &a, &ignored) || amount_is_zero(a);
}

/* Reservations and savings plans by their payment, what is prepaid by its installments. */
static void paid_how(struct arena *kept, const struct json *c, struct focus_commitment *row) {
  slice payment = json_text(c, "payment"), installments = json_text(c, "installments");
  slice share = json_text(c, "upfront_share");
  if (slice_is(payment, "upfront") || slice_is(installments, "once")) {
    row->ContractCommitmentPaymentModel = SLICE("All Upfront");
    row->ContractCommitmentPaymentUpfrontPercentage = SLICE("1");
    row->ContractCommitmentPaymentInterval = SLICE("One-Time");
  } else if (slice_is(payment, "partial") && share.len > 0) {
    row->ContractCommitmentPaymentModel = SLICE("Partial Upfront");
    row->ContractCommitmentPaymentUpfrontPercentage = arena_copy(kept, share);
  } else if (slice_is(installments, "quarterly")) {
    row->ContractCommitmentPaymentInterval = SLICE("Quarterly");
  }
}

static void from_document(const struct focus_invoice *i, const struct json *c) {
  struct arena *kept = i->focus->kept;
  struct focus_commitment row = plain(i);
  slice customer = json_text(i->customer, "id"), name = json_text(c, "name"), kind = json_text(c, "kind");
  slice from = focus_time(kept, json_text(c, "from")), to = focus_time(kept, json_text(c, "to"));
  bool spend = !slice_is(kind, "reservation");
  slice bought = json_text(c, "bought"), opening = json_text(c, "opening"), member = json_text(c, "customer");
  customer = member.len > 0 ? member : customer;
  row.ContractCommitmentId =
      slice_of(arena_printf(kept, SLICE_FMT "/" SLICE_FMT, SLICE_ARG(customer), SLICE_ARG(name)));
  row.ContractId = slice_of(arena_printf(kept, SLICE_FMT, SLICE_ARG(customer)));
  row.ContractCommitmentDescription = arena_copy(kept, name);
  row.ContractCommitmentType = arena_copy(kept, or_else(kind, SLICE("spend")));
  row.ContractCommitmentCategory = spend ? SLICE("Spend") : SLICE("Usage");
  if (json_get(c, "term_from")) {
    from = focus_time(kept, json_text(c, "term_from"));
    to = focus_time(kept, json_text(c, "term_to"));
  }
  row.ContractCommitmentPeriodStart = row.ContractPeriodStart = or_else(from, arena_copy(kept, i->from));
  row.ContractCommitmentPeriodEnd = row.ContractPeriodEnd = or_else(to, arena_copy(kept, i->to));
  row.ContractCommitmentCreated = row.ContractCommitmentPeriodStart;
  paid_how(kept, c, &row);
  if (spend) {
    row.ContractCommitmentCost =
        arena_copy(kept, or_else(json_text(c, "amount"),
                                 or_else(json_text(c, "committed"), is_zero_text(bought) ? opening : bought)));
  } else {
    row.ContractCommitmentQuantity = arena_copy(kept, json_text(c, "quantity"));
    row.ContractCommitmentUnit =
        row.ContractCommitmentQuantity.len ? focus_unit(kept, json_text(c, "unit")) : (slice){0};
  }
  if (!is_zero_text(opening) && json_get(c, "closing") && is_zero_text(json_text(c, "closing"))) {
    row.ContractCommitmentLifecycleStatus = SLICE("Exhausted");
  }
  keep(i->focus, &row);
}

/* ---- minimums of the contracts in force, by the catalog ---- */

static const struct plan *with_minimum(const struct focus_invoice *i, const struct contract *contract, instant at) {
  const struct plan *plan = catalog_plan_at(i->focus->catalog, contract->plan_name, at);
  if (contract->own && contract->own->has_minimum) {
    return contract->own;
  }
  return plan && plan->has_minimum ? plan : NULL;
}

static slice time_of(struct arena *arena, instant t) {
  char text[TIME_TEXT_MAX];
  return t.ns == INSTANT_MAX.ns ? SLICE(WHOLE_RANGE)
                                : arena_copy(arena, slice_of(time_format((instant){t.ns - t.ns % NS_PER_S}, text)));
}

static void minimum(const struct focus_invoice *i, const struct customer *customer, size_t number, amount least) {
  struct arena *kept = i->focus->kept;
  const struct contract *contract = &customer->contracts[number];
  struct focus_commitment row = plain(i);
  row.ContractId = slice_of(arena_printf(kept, SLICE_FMT "/contract/%zu", SLICE_ARG(customer->id), number + 1));
  row.ContractCommitmentId = slice_of(arena_printf(kept, SLICE_FMT "/minimum", SLICE_ARG(row.ContractId)));
  row.ContractCommitmentDescription = SLICE("Minimum spend a month");
  row.ContractCommitmentType = SLICE("minimum spend");
  row.ContractCommitmentFulfillmentInterval = SLICE("Monthly");
  row.ContractCommitmentBenefitCategory = SLICE("Other");
  row.ContractCommitmentModel = SLICE("Discontinuous");
  row.ContractCommitmentCost = focus_decimal(kept, decimal_of_amount(least));
  row.ContractPeriodStart = row.ContractCommitmentPeriodStart = time_of(kept, contract->from);
  row.ContractPeriodEnd = row.ContractCommitmentPeriodEnd = time_of(kept, contract->to);
  row.ContractCommitmentCreated = row.ContractPeriodStart;
  keep(i->focus, &row);
}

bool focus_take_commitments(struct focus_invoice *i, struct error *err) {
  const struct json *list = json_get(i->document, "commitments");
  instant from, to;
  if (!time_parse_rfc3339(json_text(i->document, "from"), &from, err) ||
      !time_parse_rfc3339(json_text(i->document, "to"), &to, err)) {
    return error_at(err, "invoice document: its period");
  }
  for (const struct json *c = list ? list->child : NULL; c; c = c->next) {
    from_document(i, c);
  }
  const struct customer *customer =
      i->focus->catalog ? catalog_customer(i->focus->catalog, json_text(i->customer, "id")) : NULL;
  for (size_t n = 0; customer && n < customer->contract_count; n++) {
    const struct contract *contract = &customer->contracts[n];
    instant at = contract->from.ns > from.ns ? contract->from : from;
    const struct plan *plan =
        contract->from.ns < to.ns && contract->to.ns > from.ns ? with_minimum(i, contract, at) : NULL;
    if (plan && !amount_is_zero(plan->minimum)) {
      minimum(i, customer, n, plan->minimum);
    }
  }
  return true;
}
