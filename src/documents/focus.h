/* Inside documents: the rows of the FOCUS datasets, as cells by column. */
#ifndef METERHOUSE_DOCUMENTS_FOCUS_H
#define METERHOUSE_DOCUMENTS_FOCUS_H
#include "documents/private.h"
#include "documents/wide.h"

/* Cost and Usage: FOCUS's columns in the order of the standard, then our own. */
#define FOCUS_COST_COLUMNS(X)                                                                                          \
  X(BilledCost)                                                                                                        \
  X(BillingAccountId)                                                                                                  \
  X(BillingAccountName)                                                                                                \
  X(BillingCurrency)                                                                                                   \
  X(BillingPeriodEnd)                                                                                                  \
  X(BillingPeriodStart)                                                                                                \
  X(ChargeCategory)                                                                                                    \
  X(ChargeClass)                                                                                                       \
  X(ChargeDescription)                                                                                                 \
  X(ChargeFrequency)                                                                                                   \
  X(ChargePeriodEnd)                                                                                                   \
  X(ChargePeriodStart)                                                                                                 \
  X(CommitmentDiscountCategory)                                                                                        \
  X(CommitmentDiscountId)                                                                                              \
  X(CommitmentDiscountName)                                                                                            \
  X(CommitmentDiscountQuantity)                                                                                        \
  X(CommitmentDiscountStatus)                                                                                          \
  X(CommitmentDiscountType)                                                                                            \
  X(CommitmentDiscountUnit)                                                                                            \
  X(ConsumedQuantity)                                                                                                  \
  X(ConsumedUnit)                                                                                                      \
  X(ContractApplied)                                                                                                   \
  X(ContractedCost)                                                                                                    \
  X(ContractedUnitPrice)                                                                                               \
  X(EffectiveCost)                                                                                                     \
  X(HostProviderName)                                                                                                  \
  X(InvoiceDetailId)                                                                                                   \
  X(InvoiceId)                                                                                                         \
  X(InvoiceIssuerName)                                                                                                 \
  X(ListCost)                                                                                                          \
  X(ListUnitPrice)                                                                                                     \
  X(PricingCategory)                                                                                                   \
  X(PricingQuantity)                                                                                                   \
  X(PricingUnit)                                                                                                       \
  X(ServiceCategory)                                                                                                   \
  X(ServiceName)                                                                                                       \
  X(ServiceProviderName)                                                                                               \
  X(ServiceSubcategory)                                                                                                \
  X(SkuId)                                                                                                             \
  X(SkuMeter)                                                                                                          \
  X(SkuPriceId)                                                                                                        \
  X(SubAccountId)                                                                                                      \
  X(SubAccountName)                                                                                                    \
  X(x_LineKind)                                                                                                        \
  X(x_PriceAt)                                                                                                         \
  X(x_Rounding)                                                                                                        \
  X(x_Tier)
#define FOCUS_DETAIL_COLUMNS(X)                                                                                        \
  X(BilledCost)                                                                                                        \
  X(BillingAccountId)                                                                                                  \
  X(BillingCurrency)                                                                                                   \
  X(BillingPeriodEnd)                                                                                                  \
  X(BillingPeriodStart)                                                                                                \
  X(ChargeCategory)                                                                                                    \
  X(InvoiceDetailCreated)                                                                                              \
  X(InvoiceDetailDescription)                                                                                          \
  X(InvoiceDetailGrain)                                                                                                \
  X(InvoiceDetailId)                                                                                                   \
  X(InvoiceDetailLastUpdated)                                                                                          \
  X(InvoiceId)                                                                                                         \
  X(InvoiceIssueDate)                                                                                                  \
  X(InvoiceIssueStatus)                                                                                                \
  X(InvoiceIssuerName)                                                                                                 \
  X(PaymentDueDate)                                                                                                    \
  X(PaymentTerms)                                                                                                      \
  X(PurchaseOrderNumber)                                                                                               \
  X(ReferenceInvoiceId)
#define FOCUS_PERIOD_COLUMNS(X)                                                                                        \
  X(BillingPeriodCreated)                                                                                              \
  X(BillingPeriodEnd)                                                                                                  \
  X(BillingPeriodLastUpdated)                                                                                          \
  X(BillingPeriodStart)                                                                                                \
  X(BillingPeriodStatus)                                                                                               \
  X(InvoiceIssuerName)
#define FOCUS_COMMITMENT_COLUMNS(X)                                                                                    \
  X(BillingCurrency)                                                                                                   \
  X(ContractCommitmentApplicability)                                                                                   \
  X(ContractCommitmentBenefitCategory)                                                                                 \
  X(ContractCommitmentCategory)                                                                                        \
  X(ContractCommitmentCost)                                                                                            \
  X(ContractCommitmentCreated)                                                                                         \
  X(ContractCommitmentDescription)                                                                                     \
  X(ContractCommitmentDiscountPercentage)                                                                              \
  X(ContractCommitmentDurationType)                                                                                    \
  X(ContractCommitmentFulfillmentInterval)                                                                             \
  X(ContractCommitmentId)                                                                                              \
  X(ContractCommitmentLastUpdated)                                                                                     \
  X(ContractCommitmentLifecycleStatus)                                                                                 \
  X(ContractCommitmentModel)                                                                                           \
  X(ContractCommitmentOfferCategory)                                                                                   \
  X(ContractCommitmentPaymentInterval)                                                                                 \
  X(ContractCommitmentPaymentModel)                                                                                    \
  X(ContractCommitmentPaymentUpfrontPercentage)                                                                        \
  X(ContractCommitmentPeriodEnd)                                                                                       \
  X(ContractCommitmentPeriodStart)                                                                                     \
  X(ContractCommitmentQuantity)                                                                                        \
  X(ContractCommitmentType)                                                                                            \
  X(ContractCommitmentUnit)                                                                                            \
  X(ContractId)                                                                                                        \
  X(ContractPeriodEnd)                                                                                                 \
  X(ContractPeriodStart)                                                                                               \
  X(InvoiceIssuerName)                                                                                                 \
  X(ServiceProviderName)

#define FOCUS_MEMBER(name) slice name;
struct focus_cost {
  FOCUS_COST_COLUMNS(FOCUS_MEMBER)
};
struct focus_detail {
  FOCUS_DETAIL_COLUMNS(FOCUS_MEMBER)
};
struct focus_period {
  FOCUS_PERIOD_COLUMNS(FOCUS_MEMBER)
};
struct focus_commitment {
  FOCUS_COMMITMENT_COLUMNS(FOCUS_MEMBER)
};
#undef FOCUS_MEMBER

struct focus {
  const struct catalog *catalog; /* for list prices and minimums; may be NULL */
  struct buf out[FOCUS_DATASETS];
  struct arena *kept; /* of what is written at the end */
  VEC(struct focus_period) periods;
  VEC(struct focus_commitment) commitments;
};

/* One invoice on its way into the datasets. */
struct focus_invoice {
  struct focus *focus;
  struct arena *arena;
  const struct json *document, *seller, *customer;
  bool credited; /* a credit note that states positive amounts: here they are negative */
  bool voided;
  slice issued, due, from, to;
};

/* ---- focus_text.c: how FOCUS writes things ---- */
slice focus_time(struct arena *arena, slice instant_text); /* to the second; empty for none */
slice focus_unit(struct arena *arena, slice unit);         /* "GPU-hour" as "GPU-Hours" */
void focus_service(slice product, slice *category, slice *subcategory);
slice focus_wide(struct arena *arena, const struct wide *w);
slice focus_decimal(struct arena *arena, struct decimal d);

/* ---- focus_price.c: a step of a line as price times quantity ---- */
struct focus_priced {
  struct decimal quantity, contracted, list; /* prices are never negative */
  slice unit;
  struct wide contracted_cost, list_cost; /* the exact products */
};
/* Of one step of the line's trace; what no unit price explains is one piece (or minus one) at the step's amount. */
MUST_USE bool focus_price_step(const struct focus_invoice *i, const struct json *line, const struct json *step,
                               struct focus_priced *out, struct error *err);
/* `total` in one piece. */
struct focus_priced focus_lump(amount total);

/* ---- focus_rows.c ---- */
MUST_USE bool focus_put_lines(struct focus_invoice *i, struct error *err);
MUST_USE bool focus_put_rest(struct focus_invoice *i, struct error *err); /* taxes, prepaid credit */
/* What all rows of the invoice have in common, and all of one line; costs are left for the caller. */
struct focus_cost focus_row_of_invoice(const struct focus_invoice *i);
struct focus_cost focus_row_of_line(const struct focus_invoice *i, const struct json *line);
/* The row of Invoice Detail that rows of Cost and Usage like `of` add up to. */
void focus_put_detail(struct focus_invoice *i, const struct focus_cost *of, amount stated);
/* ---- focus_covers.c: reservations, savings plans, and what is left of what was bought in advance ---- */
bool focus_is_cover_fee(const struct json *line);
/* The fee is a purchase, whose cost is that of what it covers. */
void focus_commit_purchase(const struct focus_invoice *i, const struct json *line, struct focus_cost *row);
/* Rows for what each covered, and for what was not used. */
MUST_USE bool focus_put_covers(struct focus_invoice *i, struct error *err);
/* Effective cost of a purchase, or of what draws from one: nothing but what expired with the line. */
slice focus_expired(const struct focus_invoice *i, const struct json *line);
/* ---- focus_commitments.c ---- */
MUST_USE bool focus_take_commitments(struct focus_invoice *i, struct error *err);
/* ---- focus.c ---- */
void focus_write_cost(struct focus *f, const struct focus_cost *row);
void focus_write_detail(struct focus *f, const struct focus_detail *row);
#endif
