/* The invoice as UBL 2.1 after EN 16931 and Peppol BIS Billing 3: invoice (380) or credit note (381). */
#include "documents/ubl.h"

#define CUSTOMIZATION "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
#define PROFILE "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"
#define UBL_NAMESPACE "urn:oasis:names:specification:ubl:schema:xsd:"
#define REFERENCES_MAX 100

void ubl_put_amount(struct ubl *u, const char *element, amount a) {
  char text[DECIMAL_TEXT_MAX];
  xml_text_with(u->xml, element, "currencyID", u->currency->code, slice_of(amount_text_fixed(a, u->decimals, text)));
}

void ubl_put_optional(struct ubl *u, const char *element, slice text) {
  if (text.len > 0) {
    xml_text(u->xml, element, text);
  }
}

slice ubl_date(struct ubl *u, const struct json *object, const char *key, bool last) {
  char shown[TIME_TEXT_MAX];
  slice date = document_date(u->document, json_text(object, key), last, shown);
  return arena_copy(u->arena, date);
}

/* ---- taxes ---- */

struct reason {
  const char *category, *code, *text;
};

static const struct reason *reason_of(slice category) {
  static const struct reason reasons[] = {{"AE", "VATEX-EU-AE", "Reverse charge"},
                                          {"G", "VATEX-EU-G", "Export outside the EU"},
                                          {"O", "VATEX-EU-O", "Not subject to VAT"},
                                          {"E", NULL, "Exempt from VAT"}};
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
    if (slice_is(category, reasons[i].category)) {
      return &reasons[i];
    }
  }
  return NULL;
}

void ubl_put_tax_category(struct ubl *u, const char *element, const struct ubl_category *c, bool with_reason) {
  char percent[DECIMAL_TEXT_MAX];
  const struct reason *reason = reason_of(c->code);
  xml_open(u->xml, element);
  xml_text(u->xml, "cbc:ID", c->code);
  if (!slice_is(c->code, "O")) {
    xml_text(u->xml, "cbc:Percent", slice_of(rate_text((rate){c->rate.e12 * 100}, percent)));
  }
  if (with_reason && reason) {
    if (reason->code) {
      xml_text(u->xml, "cbc:TaxExemptionReasonCode", slice_of(reason->code));
    }
    xml_text(u->xml, "cbc:TaxExemptionReason", c->note.len ? c->note : slice_of(reason->text));
  }
  xml_open(u->xml, "cac:TaxScheme");
  xml_text(u->xml, "cbc:ID", SLICE("VAT"));
  xml_close(u->xml);
  xml_close(u->xml);
}

static void put_taxes(struct ubl *u) {
  xml_open(u->xml, "cac:TaxTotal");
  ubl_put_amount(u, "cbc:TaxAmount", u->tax);
  for (size_t i = 0; i < u->category_count; i++) {
    const struct ubl_category *c = &u->categories[i];
    xml_open(u->xml, "cac:TaxSubtotal");
    ubl_put_amount(u, "cbc:TaxableAmount", c->base);
    ubl_put_amount(u, "cbc:TaxAmount", c->tax);
    ubl_put_tax_category(u, "cac:TaxCategory", c, true);
    xml_close(u->xml);
  }
  xml_close(u->xml);
}

static void put_totals(struct ubl *u) {
  xml_open(u->xml, "cac:LegalMonetaryTotal");
  ubl_put_amount(u, "cbc:LineExtensionAmount", u->lines);
  ubl_put_amount(u, "cbc:TaxExclusiveAmount", u->lines);
  ubl_put_amount(u, "cbc:TaxInclusiveAmount", u->total);
  if (!amount_is_zero(u->prepaid)) {
    ubl_put_amount(u, "cbc:PrepaidAmount", u->prepaid);
  }
  if (!amount_is_zero(u->rounding)) {
    ubl_put_amount(u, "cbc:PayableRoundingAmount", u->rounding);
  }
  ubl_put_amount(u, "cbc:PayableAmount", u->due);
  xml_close(u->xml);
}

/* ---- the head ---- */

/* UBL shows two decimals at most; a currency of three says its exact amount in words. */
static void put_notes(struct ubl *u) {
  slice reason = json_text(json_get(u->document, "corrects"), "reason");
  slice due = json_text(u->document, json_get(u->document, "amount_due") ? "amount_due" : "total");
  bool rounded = u->currency->minor_units > 2;
  if (reason.len == 0 && !rounded) {
    return;
  }
  char *words = arena_printf(u->arena, SLICE_FMT "%s", SLICE_ARG(reason), reason.len && rounded ? ". " : "");
  if (rounded) {
    words = arena_printf(u->arena, "%sAmounts are rounded to 2 decimals; exactly, %s " SLICE_FMT " is %s.", words,
                         u->currency->code, SLICE_ARG(due), u->credit ? "credited" : "due");
  }
  xml_text(u->xml, "cbc:Note", slice_of(words));
}

static void put_identity(struct ubl *u) {
  slice reference = json_text(u->customer, "reference"), due = ubl_date(u, u->document, "due", false);
  xml_text(u->xml, "cbc:CustomizationID", SLICE(CUSTOMIZATION));
  xml_text(u->xml, "cbc:ProfileID", SLICE(PROFILE));
  xml_text(u->xml, "cbc:ID", json_text(u->document, "number"));
  xml_text(u->xml, "cbc:IssueDate", ubl_date(u, u->document, "issued", false));
  if (!u->credit) {
    ubl_put_optional(u, "cbc:DueDate", due);
  }
  xml_text(u->xml, u->credit ? "cbc:CreditNoteTypeCode" : "cbc:InvoiceTypeCode",
           u->credit ? SLICE("381") : SLICE("380"));
  put_notes(u);
  xml_text(u->xml, "cbc:DocumentCurrencyCode", slice_of(u->currency->code));
  xml_text(u->xml, "cbc:BuyerReference", reference.len ? reference : json_text(u->customer, "id"));
  xml_open(u->xml, "cac:InvoicePeriod");
  xml_text(u->xml, "cbc:StartDate", ubl_date(u, u->document, "from", false));
  xml_text(u->xml, "cbc:EndDate", ubl_date(u, u->document, "to", true));
  xml_close(u->xml);
  if (reference.len > 0) {
    xml_open(u->xml, "cac:OrderReference");
    xml_text(u->xml, "cbc:ID", reference);
    xml_close(u->xml);
  }
}

static void put_reference(struct ubl *u, slice invoice, slice issued) {
  xml_open(u->xml, "cac:BillingReference");
  xml_open(u->xml, "cac:InvoiceDocumentReference");
  xml_text(u->xml, "cbc:ID", invoice);
  ubl_put_optional(u, "cbc:IssueDate", issued);
  xml_close(u->xml);
  xml_close(u->xml);
}

/* The document that this one corrects, and those its adjustments are of, each once. */
static void put_references(struct ubl *u) {
  const struct json *corrects = json_get(u->document, "corrects"), *lines = json_get(u->document, "lines");
  slice said[REFERENCES_MAX];
  size_t count = 0;
  if (corrects) {
    said[count++] = json_text(corrects, "invoice");
    put_reference(u, said[0], ubl_date(u, corrects, "issued", false));
  }
  for (const struct json *line = lines->child; line && count < REFERENCES_MAX; line = line->next) {
    slice invoice = json_text(json_get(line, "adjusts"), "invoice");
    size_t i = 0;
    while (i < count && !slice_eq(said[i], invoice)) {
      i++;
    }
    if (invoice.len > 0 && i == count) {
      said[count++] = invoice;
      put_reference(u, invoice, (slice){0});
    }
  }
}

static void put_payment(struct ubl *u) {
  slice bank = json_text(u->seller, "bank"), iban = ubl_iban(u->arena, bank);
  slice due = ubl_date(u, u->document, "due", false);
  if (iban.len > 0) {
    xml_open(u->xml, "cac:PaymentMeans");
    xml_text(u->xml, "cbc:PaymentMeansCode", SLICE("30"));
    xml_text(u->xml, "cbc:PaymentID", json_text(u->document, "number"));
    xml_open(u->xml, "cac:PayeeFinancialAccount");
    xml_text(u->xml, "cbc:ID", iban);
    xml_close(u->xml);
    xml_close(u->xml);
  }
  if (due.len > 0 || bank.len > 0) {
    const char *words = arena_printf(u->arena, "%s" SLICE_FMT "%s" SLICE_FMT, due.len ? "Due " : "", SLICE_ARG(due),
                                     due.len && bank.len ? ". " : "", SLICE_ARG(bank));
    xml_open(u->xml, "cac:PaymentTerms");
    xml_text(u->xml, "cbc:Note", slice_of(words));
    xml_close(u->xml);
  }
}

/* ---- the whole ---- */

static bool put_document(struct ubl *u, struct error *err) {
  const char *kind = u->credit ? "CreditNote" : "Invoice";
  xml_open(u->xml, kind);
  xml_attribute(u->xml, "xmlns", arena_printf(u->arena, UBL_NAMESPACE "%s-2", kind));
  xml_attribute(u->xml, "xmlns:cac", UBL_NAMESPACE "CommonAggregateComponents-2");
  xml_attribute(u->xml, "xmlns:cbc", UBL_NAMESPACE "CommonBasicComponents-2");
  put_identity(u);
  put_references(u);
  ubl_put_party(u, "cac:AccountingSupplierParty", u->seller, true);
  ubl_put_party(u, "cac:AccountingCustomerParty", u->customer, false);
  put_payment(u);
  put_taxes(u);
  put_totals(u);
  bool ok = ubl_put_lines(u, err);
  xml_close(u->xml);
  return ok;
}

static bool convert(struct ubl *u, slice bytes, struct buf *out, struct error *err) {
  if (!document_open(u->arena, bytes, &u->document, &u->currency, err)) {
    return false;
  }
  u->seller = json_get(u->document, "seller");
  u->customer = json_get(u->document, "customer");
  u->credit = slice_is(json_text(u->document, "type"), "credit_note");
  u->decimals = u->currency->minor_units < 2 ? u->currency->minor_units : 2;
  if (!ubl_sums(u, err) || !ubl_parties_complete(u, err)) {
    return false;
  }
  u->xml = xml_new(u->arena);
  bool written = put_document(u, err);
  struct error ignored = {0};
  return xml_end(u->xml, out, written ? err : &ignored) && written;
}

bool document_ubl(slice document_json, struct buf *out, struct error *err) {
  struct ubl u = {.arena = arena_new()};
  bool ok = convert(&u, document_json, out, err);
  arena_free(u.arena);
  return ok;
}
