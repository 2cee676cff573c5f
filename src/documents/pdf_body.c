/* The table of a printed invoice over as many pages as it takes, then totals and what belongs to them. */
#include "documents/pdf.h"

/* Columns of the table: where each ends (numbers are right-aligned) or begins. */
#define COLUMN_TEXT (MARGIN + 24)
#define COLUMN_TEXT_WIDTH 190.0
#define COLUMN_QUANTITY (MARGIN + 292)
#define COLUMN_UNIT (MARGIN + 298)
#define COLUMN_UNIT_WIDTH 56.0
#define COLUMN_PRICE (MARGIN + 434)
#define COLUMN_PRICE_WIDTH 78.0
#define TOTAL_HEIGHT 15.0
#define LINE_GAP 4.0
#define GROUP_END_HEIGHT (TOTAL_HEIGHT + LINE_GAP)
#define PAGE_BODY (BODY_BOTTOM - MARGIN - 50)

/* A quantity for people: grouped, and at most 6 decimals; the document keeps them all. */
static slice shown_quantity(slice words, char out[96]) {
  size_t sign = words.len > 0 && words.ptr[0] == '-', whole = sign, n = 0;
  while (whole < words.len && words.ptr[whole] != '.') {
    whole++;
  }
  for (size_t i = 0; i < words.len && i <= whole + 6 && n < 90; i++) {
    if (i > sign && i < whole && (whole - i) % 3 == 0) {
      out[n++] = ',';
    }
    out[n++] = words.ptr[i];
  }
  return (slice){out, n};
}

/* ---- pages ---- */

static void table_head(struct sheet *s) {
  sheet_style(s, "DejaVu Sans Bold 7.5", 0.35);
  sheet_text(s, MARGIN, 0, LEFT, SLICE("#"));
  sheet_text(s, COLUMN_TEXT, 0, LEFT, SLICE("Description"));
  sheet_text(s, COLUMN_QUANTITY, 0, RIGHT_ALIGNED, SLICE("Quantity"));
  sheet_text(s, COLUMN_UNIT, 0, LEFT, SLICE("Unit"));
  sheet_text(s, COLUMN_PRICE, 0, RIGHT_ALIGNED, SLICE("Price"));
  sheet_text(s, RIGHT, 0, RIGHT_ALIGNED, SLICE("Amount"));
  s->y += 13;
  sheet_rule(s, 0.3, 0.8);
  s->y += 5;
}

static void new_page(struct sheet *s) {
  char title[512];
  slice number = json_text(s->document, "number"), seller = json_text(json_get(s->document, "seller"), "name");
  sheet_footer(s);
  cairo_show_page(s->cr);
  s->page++;
  s->y = MARGIN;
  sheet_style(s, "DejaVu Sans 8", 0.4);
  snprintf(title, sizeof title, SLICE_FMT " · %s " SLICE_FMT ", continued", SLICE_ARG(seller),
           sheet_is_credit(s) ? "credit note" : "invoice", SLICE_ARG(number));
  sheet_short(s, MARGIN, RIGHT - MARGIN, 1, slice_of(title));
  s->y += 24;
}

static void need(struct sheet *s, double height, bool in_table) {
  if (s->y + height <= BODY_BOTTOM) {
    return;
  }
  new_page(s);
  if (in_table) {
    table_head(s);
  }
}

/* ---- lines ---- */

/* "2.95", "0.55 / M" for a million, "2.95 × 0.42" under a multiplier; nothing where no one price says it all. */
static void price_words(const struct json *line, char out[160]) {
  const struct json *price = json_get(line, "unit_price");
  slice each = json_text(price, "each"), per = json_text(price, "per"), multiplier = json_text(line, "multiplier");
  slice currency = json_text(price, "currency"); /* of a plan in another one than the document's */
  char factor[80] = "";
  out[0] = '\0';
  if (price == NULL) {
    return;
  }
  if (multiplier.len > 0) {
    snprintf(factor, sizeof factor, " × " SLICE_FMT, SLICE_ARG(multiplier));
  }
  if (slice_is(per, "1000000")) {
    per = SLICE("M");
  }
  bool single = per.len == 0 || slice_is(per, "1");
  snprintf(out, 160, SLICE_FMT "%s" SLICE_FMT "%s%s" SLICE_FMT, SLICE_ARG(each), currency.len ? " " : "",
           SLICE_ARG(currency), factor, single ? "" : " / ", single ? 0 : (int)per.len, per.ptr);
}

/* What stands in small under a description: the days it covers, what was included or covered, its price with tax. */
static void small_print(const struct sheet *s, const struct json *line, char out[300]) {
  char quantity_words[2][96];
  slice part[4] = {json_text(line, "dates")}, included = json_text(line, "included"),
        covered = json_text(line, "covered");
  char words[3][128], money[DECIMAL_TEXT_MAX * 2];
  if (included.len > 0) {
    slice q = shown_quantity(included, quantity_words[0]);
    snprintf(words[0], sizeof words[0], "of which " SLICE_FMT " included", SLICE_ARG(q));
    part[1] = slice_of(words[0]);
  }
  if (covered.len > 0) {
    slice q = shown_quantity(covered, quantity_words[1]);
    snprintf(words[1], sizeof words[1], SLICE_FMT " covered by commitments", SLICE_ARG(q));
    part[2] = slice_of(words[1]);
  }
  if (json_get(line, "gross")) {
    slice gross = sheet_money(s, json_text(line, "gross"), money);
    snprintf(words[2], sizeof words[2], SLICE_FMT " with tax", SLICE_ARG(gross));
    part[3] = slice_of(words[2]);
  }
  int n = 0;
  out[0] = '\0';
  for (int i = 0; i < 4 && n < 300; i++) {
    if (part[i].len > 0) {
      n += snprintf(out + n, (size_t)(300 - n), "%s" SLICE_FMT, n ? ", " : "", SLICE_ARG(part[i]));
    }
  }
}

struct row {
  char price[160], small[300];
  double words, height;
};

static struct row measure(struct sheet *s, const struct json *line) {
  struct row row;
  small_print(s, line, row.small);
  price_words(line, row.price);
  sheet_style(s, "DejaVu Sans 8.5", 0.1);
  row.words = sheet_height(s, COLUMN_TEXT_WIDTH, json_text(line, "description"));
  double unit = sheet_height(s, COLUMN_UNIT_WIDTH, json_text(line, "unit"));
  double price = sheet_height(s, COLUMN_PRICE_WIDTH, slice_of(row.price));
  sheet_style(s, "DejaVu Sans 7", 0.45);
  double small = row.small[0] ? sheet_height(s, COLUMN_TEXT_WIDTH, slice_of(row.small)) + 2 : 0;
  row.height = row.words + small;
  row.height = row.height > unit ? row.height : unit;
  row.height = (row.height > price ? row.height : price) + 5;
  return row;
}

static void draw_line(struct sheet *s, const struct json *line, double keep_with) {
  char quantity_words[96], amount_words[DECIMAL_TEXT_MAX * 2];
  struct row row = measure(s, line);
  need(s, row.height + LINE_GAP + keep_with, true);
  sheet_style(s, "DejaVu Sans 8.5", 0.1);
  sheet_text(s, COLUMN_TEXT, COLUMN_TEXT_WIDTH, LEFT, json_text(line, "description"));
  sheet_text(s, COLUMN_QUANTITY, 0, RIGHT_ALIGNED, shown_quantity(json_text(line, "quantity"), quantity_words));
  sheet_text(s, COLUMN_UNIT, COLUMN_UNIT_WIDTH, LEFT, json_text(line, "unit"));
  sheet_text(s, COLUMN_PRICE, COLUMN_PRICE_WIDTH, RIGHT_ALIGNED, slice_of(row.price));
  sheet_text(s, RIGHT, 0, RIGHT_ALIGNED, sheet_money(s, json_text(line, "amount"), amount_words));
  double top = s->y;
  sheet_style(s, "DejaVu Sans 7", 0.45);
  s->y += 1;
  sheet_text(s, MARGIN, 0, LEFT, json_text(line, "number"));
  s->y = top + row.words;
  sheet_text(s, COLUMN_TEXT, COLUMN_TEXT_WIDTH, LEFT, slice_of(row.small));
  s->y = top + row.height;
  sheet_rule(s, 0.88, 0.4);
  s->y += LINE_GAP;
}

/* ---- lines of the customers below this one ---- */

static void group_head(struct sheet *s, slice customer) {
  need(s, 40, true);
  sheet_style(s, "DejaVu Sans Bold 8.5", 0.1);
  s->y += 4;
  s->y += sheet_short(s, MARGIN, COLUMN_PRICE - MARGIN, 1, customer) + 4;
}

static void group_end(struct sheet *s, slice customer, amount sum) {
  char label[256], sum_text[DECIMAL_TEXT_MAX * 2];
  need(s, GROUP_END_HEIGHT, true);
  snprintf(label, sizeof label, "Subtotal " SLICE_FMT, SLICE_ARG(customer));
  sheet_style(s, "DejaVu Sans Bold 8", 0.25);
  sheet_text(s, COLUMN_PRICE, COLUMN_PRICE - MARGIN, RIGHT_ALIGNED, slice_of(label));
  sheet_text(s, RIGHT, 0, RIGHT_ALIGNED, slice_of(amount_display(sum, s->currency, sum_text)));
  s->y += GROUP_END_HEIGHT;
}

static slice customer_of(const struct sheet *s, const struct json *line) {
  slice child = json_text(line, "customer");
  return child.len > 0 ? child : json_text(json_get(s->document, "customer"), "id");
}

static bool is_consolidated(const struct json *lines) {
  for (const struct json *line = lines->child; line; line = line->next) {
    if (json_get(line, "customer")) {
      return true;
    }
  }
  return false;
}

static void draw_lines(struct sheet *s, const struct json *lines, double totals_height) {
  bool grouped = is_consolidated(lines);
  amount sum = AMOUNT_ZERO;
  slice previous = {0};
  for (const struct json *line = lines->child; line; line = line->next) {
    slice customer = customer_of(s, line);
    amount a;
    struct error ignored = {0};
    if (grouped && !slice_eq(customer, previous)) {
      group_head(s, customer);
      sum = AMOUNT_ZERO;
      previous = customer;
    }
    /* The last line goes over the page with the totals, so that these never stand alone. */
    double with = line->next == NULL && totals_height < PAGE_BODY / 2 ? totals_height : 0;
    with += grouped ? GROUP_END_HEIGHT : 0;
    draw_line(s, line, with);
    bool known = amount_parse(json_text(line, "amount"), &a, &ignored) && amount_add(sum, a, &sum, &ignored);
    if (grouped && known && (line->next == NULL || !slice_eq(customer_of(s, line->next), customer))) {
      group_end(s, customer, sum);
    }
  }
}

/* ---- totals ---- */

static void total(struct sheet *s, slice label, slice amount_words, const char *font) {
  char shown[DECIMAL_TEXT_MAX * 2];
  need(s, TOTAL_HEIGHT + 1, false);
  sheet_style(s, font, 0.1);
  slice money = sheet_money(s, amount_words, shown);
  double wide = sheet_width(s, money) + 14;
  sheet_text(s, RIGHT - (wide > 110 ? wide : 110), 0, RIGHT_ALIGNED, label);
  sheet_text(s, RIGHT, 0, RIGHT_ALIGNED, money);
  s->y += TOTAL_HEIGHT;
}

static const struct json *children(const struct sheet *s, const char *key) {
  const struct json *list = json_get(s->document, key);
  return list ? list->child : NULL;
}

static void tax_lines(struct sheet *s) {
  const struct json *taxes = json_get(s->document, "taxes");
  char label[300], base[DECIMAL_TEXT_MAX * 2];
  for (const struct json *t = children(s, "taxes"); t; t = t->next) {
    slice name = json_text(t, "label");
    if (taxes->count > 1) { /* of several, each says what it is of */
      slice of = sheet_money(s, json_text(t, "base"), base);
      snprintf(label, sizeof label, SLICE_FMT " of " SLICE_FMT, SLICE_ARG(name), SLICE_ARG(of));
      name = slice_of(label);
    }
    total(s, name, json_text(t, "amount"), "DejaVu Sans 8.5");
  }
}

static void paid_in_advance(struct sheet *s, const char *total_label) {
  char label[160], negative[DECIMAL_TEXT_MAX + 1];
  slice prepaid = json_text(s->document, "prepaid"), due = json_text(s->document, "amount_due");
  total(s, slice_of(total_label), json_text(s->document, "total"),
        due.len ? "DejaVu Sans 8.5" : "DejaVu Sans Bold 10.5");
  if (prepaid.len > 0) {
    snprintf(negative, sizeof negative, "-" SLICE_FMT, SLICE_ARG(prepaid));
    total(s, SLICE("Paid from prepaid credit"), slice_of(negative), "DejaVu Sans 8.5");
  }
  if (due.len > 0) {
    snprintf(label, sizeof label, "Amount due in " SLICE_FMT, SLICE_ARG(json_text(s->document, "currency")));
    s->y += 3;
    total(s, slice_of(label), due, "DejaVu Sans Bold 10.5");
  }
}

static void notes(struct sheet *s) {
  s->y += 10;
  for (const struct json *t = children(s, "taxes"); t; t = t->next) {
    slice note = json_text(t, "note");
    sheet_style(s, "DejaVu Sans 7.5", 0.35);
    if (note.len > 0) {
      need(s, sheet_height(s, RIGHT - MARGIN, note), false);
      sheet_style(s, "DejaVu Sans 7.5", 0.35);
      sheet_line(s, MARGIN, RIGHT - MARGIN, note);
    }
  }
}

/* ---- commitments: what was left of each, used and bought ---- */

static void commitment(struct sheet *s, const struct json *c) {
  static const char *const column[] = {"opening", "bought", "drawn", "expired", "closing"};
  char shown[DECIMAL_TEXT_MAX * 2];
  need(s, TOTAL_HEIGHT, false);
  sheet_style(s, "DejaVu Sans 8", 0.2);
  sheet_short(s, MARGIN, 180, 1, json_text(c, "name"));
  for (int i = 0; i < 5; i++) {
    sheet_text(s, RIGHT - 64.0 * (4 - i), 0, RIGHT_ALIGNED, sheet_money(s, json_text(c, column[i]), shown));
  }
  s->y += TOTAL_HEIGHT - 2;
}

static void commitments(struct sheet *s) {
  static const slice label[] = {{"Opening", 7}, {"Bought", 6}, {"Drawn", 5}, {"Expired", 7}, {"Closing", 7}};
  const struct json *first = children(s, "commitments");
  if (first == NULL) {
    return;
  }
  s->y += 14;
  need(s, 3 * TOTAL_HEIGHT, false);
  sheet_style(s, "DejaVu Sans Bold 7.5", 0.35);
  sheet_text(s, MARGIN, 0, LEFT, SLICE("Commitments"));
  for (int i = 0; i < 5; i++) {
    sheet_text(s, RIGHT - 64.0 * (4 - i), 0, RIGHT_ALIGNED, label[i]);
  }
  s->y += 13;
  sheet_rule(s, 0.6, 0.5);
  s->y += 4;
  for (const struct json *c = first; c; c = c->next) {
    commitment(s, c);
  }
}

static double totals_height(const struct sheet *s) {
  const struct json *taxes = json_get(s->document, "taxes");
  return TOTAL_HEIGHT * (5 + (taxes ? taxes->count : 0)) + 20;
}

void sheet_body(struct sheet *s) {
  const struct json *lines = json_get(s->document, "lines");
  double height = totals_height(s);
  char label[160];
  bool has_due = json_get(s->document, "amount_due") != NULL;
  table_head(s);
  if (lines) {
    draw_lines(s, lines, height);
  }
  need(s, height < PAGE_BODY ? height : 80, false);
  s->y += 8;
  total(s, SLICE("Subtotal"), json_text(s->document, "subtotal"), "DejaVu Sans 8.5");
  tax_lines(s);
  s->y += 3;
  snprintf(label, sizeof label, "%s " SLICE_FMT,
           has_due              ? "Total in"
           : sheet_is_credit(s) ? "Total credited in"
                                : "Total due in",
           SLICE_ARG(json_text(s->document, "currency")));
  paid_in_advance(s, label);
  notes(s);
  commitments(s);
}
