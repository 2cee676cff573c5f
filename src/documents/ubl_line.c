/* A line of an invoice in UBL: quantity and price where they explain the amount, else one piece at the amount. */
#include "documents/ubl.h"

struct priced {
  quantity billed;   /* negative where the amount is */
  amount each;       /* never negative */
  quantity per;      /* price is for so many units */
  const char *code;  /* UN/ECE recommendation 20 */
  bool told_by_unit; /* billed x each / per is the amount */
};

/* Units that have a code of their own; everything else is counted in pieces and named beside. */
static const char *unit_code(slice unit) {
  static const struct {
    const char *unit, *code;
  } known[] = {{"hour", "HUR"},   {"h", "HUR"},   {"day", "DAY"},           {"month", "MON"},    {"minute", "MIN"},
               {"second", "SEC"}, {"kWh", "KWH"}, {"MWh", "MWH"},           {"GB", "E34"},       {"TB", "E35"},
               {"MB", "4L"},      {"kB", "2P"},   {"gigabyte", "E34"},      {"terabyte", "E35"}, {"megabyte", "4L"},
               {"byte", "AD"},    {"KB", "2P"},   {"kilowatt hour", "KWH"}, {"week", "WEE"},     {"year", "ANN"}};
  static const char suffix[] = "-hour";
  size_t tail = sizeof suffix - 1;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (slice_is(unit, known[i].unit)) {
      return known[i].code;
    }
  }
  if (unit.len > tail && slice_is((slice){unit.ptr + unit.len - tail, tail}, suffix)) {
    return "HUR";
  }
  return "C62";
}

static bool quantity_or_zero(const struct json *line, const char *key, quantity *out) {
  struct error ignored = {0};
  *out = QUANTITY_ZERO;
  return json_get(line, key) == NULL || quantity_parse(json_text(line, key), out, &ignored);
}

/* What was paid for: without what was included or covered. */
static bool billed_quantity(const struct ubl *u, const struct json *line, quantity *out) {
  quantity whole, included, covered;
  struct error ignored = {0};
  if (json_get(line, "quantity") == NULL || !quantity_or_zero(line, "quantity", &whole) ||
      !quantity_or_zero(line, "included", &included) || !quantity_or_zero(line, "covered", &covered) ||
      !quantity_sub(whole, included, out, &ignored) || !quantity_sub(*out, covered, out, &ignored)) {
    return false;
  }
  out->e9 = u->turned ? -out->e9 : out->e9;
  return true;
}

static bool unit_price(const struct json *line, struct priced *p) {
  const struct json *price = json_get(line, "unit_price");
  struct error ignored = {0};
  rate multiplier = RATE_ONE;
  if (price == NULL || !amount_parse(json_text(price, "each"), &p->each, &ignored) ||
      !quantity_parse(json_text(price, "per"), &p->per, &ignored) || p->per.e9 <= 0) {
    return false;
  }
  if (json_get(line, "multiplier") && !rate_parse(json_text(line, "multiplier"), &multiplier, &ignored)) {
    return false;
  }
  return amount_times_rate(p->each, multiplier, ROUND_HALF_EVEN, &p->each, &ignored) && p->each.e12 >= 0;
}

/* Tiers, minimums and shares of a month have no one price; then one piece costs the amount. */
static struct priced price_line(const struct ubl *u, const struct json *line, amount net) {
  struct priced p = {.code = unit_code(json_text(line, "unit"))};
  struct currency shown = {.minor_units = (uint8_t)u->decimals};
  struct error ignored = {0};
  amount product;
  p.told_by_unit = billed_quantity(u, line, &p.billed) && unit_price(line, &p) &&
                   price_times((struct price){p.each, p.per}, p.billed, &product, &ignored) &&
                   amount_round(product, &shown, ROUND_HALF_EVEN, &product, &ignored) && amount_cmp(product, net) == 0;
  if (!p.told_by_unit) {
    bool negative = amount_cmp(net, AMOUNT_ZERO) < 0;
    p.billed = negative ? (quantity){-QUANTITY_E9} : QUANTITY_ONE;
    p.each = negative ? amount_negate(net) : net;
    p.per = QUANTITY_ONE;
    p.code = "C62";
  }
  return p;
}

static void say(struct buf *words, const char *before, slice value, const char *after, slice unit) {
  if (value.len > 0) {
    buf_addf(words, "%s%s" SLICE_FMT "%s" SLICE_FMT, words->len ? "; " : "", before, SLICE_ARG(value), after,
             SLICE_ARG(unit));
  }
}

/* What quantity and price do not say. */
static void put_note(struct ubl *u, const struct json *line, const struct priced *p) {
  struct buf words;
  slice unit = json_text(line, "unit"), none = SLICE("");
  buf_init(&words, 4096);
  if (!p->told_by_unit) {
    say(&words, "", json_text(line, "quantity"), " ", unit);
  }
  say(&words, "", json_text(line, "included"), " included of ", json_text(line, "quantity"));
  say(&words, "", json_text(line, "covered"), " covered by commitments of ", json_text(line, "quantity"));
  say(&words, "", json_text(line, "dates"), "", none);
  say(&words, "adjusts ", json_text(json_get(line, "adjusts"), "invoice"), "", none);
  ubl_put_optional(u, "cbc:Note", buf_slice(&words));
  buf_free(&words);
}

/* The days of a line, where they lie within those of the invoice: what is adjusted lies before them. */
static void put_period(struct ubl *u, const struct json *line) {
  slice from = ubl_date(u, line, "from", false), to = ubl_date(u, line, "to", true);
  slice first = ubl_date(u, u->document, "from", false), last = ubl_date(u, u->document, "to", true);
  if (from.len == 0 || to.len == 0 || slice_cmp(from, first) < 0 || slice_cmp(to, last) > 0) {
    return;
  }
  xml_open(u->xml, "cac:InvoicePeriod");
  xml_text(u->xml, "cbc:StartDate", from);
  xml_text(u->xml, "cbc:EndDate", to);
  xml_close(u->xml);
}

static void put_item(struct ubl *u, const struct json *line, const struct priced *p) {
  slice name = json_text(line, "description"), unit = json_text(line, "unit"), meter = json_text(line, "meter");
  bool unit_unsaid = p->told_by_unit && slice_is(slice_of(p->code), "C62") && unit.len > 0;
  xml_open(u->xml, "cac:Item");
  xml_text(u->xml, "cbc:Name", name.len ? name : SLICE("Charge"));
  if (meter.len > 0) {
    xml_open(u->xml, "cac:SellersItemIdentification");
    xml_text(u->xml, "cbc:ID", meter);
    xml_close(u->xml);
  }
  ubl_put_tax_category(u, "cac:ClassifiedTaxCategory", ubl_category_of(u, line), false);
  if (unit_unsaid) {
    xml_open(u->xml, "cac:AdditionalItemProperty");
    xml_text(u->xml, "cbc:Name", SLICE("Unit"));
    xml_text(u->xml, "cbc:Value", unit);
    xml_close(u->xml);
  }
  xml_close(u->xml);
}

static void put_price(struct ubl *u, const struct priced *p) {
  char text[DECIMAL_TEXT_MAX];
  xml_open(u->xml, "cac:Price");
  xml_text_with(u->xml, "cbc:PriceAmount", "currencyID", u->currency->code, slice_of(amount_text(p->each, text)));
  if (p->per.e9 != QUANTITY_E9) {
    xml_text_with(u->xml, "cbc:BaseQuantity", "unitCode", p->code, slice_of(quantity_text(p->per, text)));
  }
  xml_close(u->xml);
}

static bool put_line(struct ubl *u, const struct json *line, struct error *err) {
  char text[DECIMAL_TEXT_MAX];
  amount net;
  if (!ubl_amount(u, line, "amount", &net, err)) {
    return false;
  }
  struct priced p = price_line(u, line, net);
  xml_open(u->xml, u->credit ? "cac:CreditNoteLine" : "cac:InvoiceLine");
  xml_text(u->xml, "cbc:ID", json_text(line, "number"));
  put_note(u, line, &p);
  xml_text_with(u->xml, u->credit ? "cbc:CreditedQuantity" : "cbc:InvoicedQuantity", "unitCode", p.code,
                slice_of(quantity_text(p.billed, text)));
  ubl_put_amount(u, "cbc:LineExtensionAmount", net);
  ubl_put_optional(u, "cbc:AccountingCost", json_text(line, "customer"));
  put_period(u, line);
  put_item(u, line, &p);
  put_price(u, &p);
  xml_close(u->xml);
  return true;
}

bool ubl_put_lines(struct ubl *u, struct error *err) {
  const struct json *lines = json_get(u->document, "lines");
  for (const struct json *line = lines->child; line; line = line->next) {
    if (!put_line(u, line, err)) {
      return false;
    }
  }
  return true;
}
