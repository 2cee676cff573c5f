/* The invoice as a PDF one would send: A4, drawn by cairo and pango from the stored document alone. */
#include "bill/private.h"
#include <cairo-pdf.h>
#include <pango/pangocairo.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_WIDTH 595.28
#define PAGE_HEIGHT 841.89
#define MARGIN 48.0
#define RIGHT (PAGE_WIDTH - MARGIN)
#define BODY_BOTTOM (PAGE_HEIGHT - 78.0)
#define LOGO_HEIGHT 42.0
#define LOGO_WIDTH 170.0

/* Columns of the table: where each ends (numbers are right-aligned) or begins. */
#define COLUMN_TEXT (MARGIN + 22)
#define COLUMN_TEXT_WIDTH 196.0
#define COLUMN_QUANTITY (MARGIN + 298)
#define COLUMN_UNIT (MARGIN + 304)
#define COLUMN_PRICE (MARGIN + 432)

struct sheet {
  cairo_t *cr;
  PangoLayout *layout;
  const struct json *document;
  const struct currency *currency;
  double y;
  int page, page_count; /* page_count 0: this run only counts */
};

enum align { LEFT, RIGHT_ALIGNED };

/* ---- text ---- */

static void style(struct sheet *s, const char *font, double grey) {
  PangoFontDescription *d = pango_font_description_from_string(font);
  pango_layout_set_font_description(s->layout, d);
  pango_font_description_free(d);
  cairo_set_source_rgb(s->cr, grey, grey, grey);
}

/* Draws at x (its right edge for RIGHT_ALIGNED) and the current y; returns the height. A width above 0 wraps. */
static double text(struct sheet *s, double x, double width, enum align align, slice words) {
  int w, h;
  pango_layout_set_width(s->layout, width > 0 ? (int)(width * PANGO_SCALE) : -1);
  pango_layout_set_wrap(s->layout, PANGO_WRAP_WORD_CHAR);
  pango_layout_set_text(s->layout, words.len ? words.ptr : "", (int)words.len);
  pango_layout_get_size(s->layout, &w, &h);
  cairo_move_to(s->cr, align == LEFT ? x : x - (double)w / PANGO_SCALE, s->y);
  pango_cairo_show_layout(s->cr, s->layout);
  return (double)h / PANGO_SCALE;
}

static void line_of(struct sheet *s, double x, double width, slice words) {
  if (words.len > 0) {
    s->y += text(s, x, width, LEFT, words);
  }
}

static void rule(struct sheet *s, double grey, double weight) {
  cairo_set_source_rgb(s->cr, grey, grey, grey);
  cairo_set_line_width(s->cr, weight);
  cairo_move_to(s->cr, MARGIN, s->y);
  cairo_line_to(s->cr, RIGHT, s->y);
  cairo_stroke(s->cr);
}

static slice at(const struct sheet *s, const char *outer, const char *inner) {
  return json_text(json_get(s->document, outer), inner);
}

static slice date_of(slice instant_text) {
  return (slice){instant_text.ptr, instant_text.len < 10 ? instant_text.len : 10};
}

/* "1234.5" of the document as "1,234.50". */
static slice money(const struct sheet *s, slice amount_words, char shown[DECIMAL_TEXT_MAX * 2]) {
  amount a;
  struct error ignored = {0};
  if (!amount_parse(amount_words, &a, &ignored)) {
    return amount_words;
  }
  return slice_of(amount_display(a, s->currency, shown));
}

/* A quantity for people: grouped, and at most 6 decimals; the document keeps them all. */
static slice shown_quantity(slice words, char out[96]) {
  size_t whole = 0, n = 0;
  while (whole < words.len && words.ptr[whole] != '.') {
    whole++;
  }
  for (size_t i = 0; i < words.len && i <= whole + 6 && n < 90; i++) {
    size_t left = whole - i;
    if (i > 0 && i < whole && left % 3 == 0) {
      out[n++] = ',';
    }
    out[n++] = words.ptr[i];
  }
  return (slice){out, n};
}

/* ---- pages ---- */

static void footer(struct sheet *s) {
  char number[64];
  double kept = s->y;
  s->y = PAGE_HEIGHT - 62;
  rule(s, 0.8, 0.5);
  s->y += 6;
  style(s, "DejaVu Sans 7", 0.4);
  double begin = s->y;
  line_of(s, MARGIN, RIGHT - MARGIN - 90, at(s, "seller", "bank"));
  line_of(s, MARGIN, RIGHT - MARGIN - 90, at(s, "seller", "footer"));
  s->y = begin;
  snprintf(number, sizeof number, "page %d of %d", s->page, s->page_count);
  text(s, RIGHT, 0, RIGHT_ALIGNED, slice_of(number));
  s->y = kept;
}

static void table_head(struct sheet *s) {
  style(s, "DejaVu Sans Bold 7.5", 0.35);
  text(s, MARGIN, 0, LEFT, SLICE("#"));
  text(s, COLUMN_TEXT, 0, LEFT, SLICE("Description"));
  text(s, COLUMN_QUANTITY, 0, RIGHT_ALIGNED, SLICE("Quantity"));
  text(s, COLUMN_UNIT, 0, LEFT, SLICE("Unit"));
  text(s, COLUMN_PRICE, 0, RIGHT_ALIGNED, SLICE("Price"));
  text(s, RIGHT, 0, RIGHT_ALIGNED, SLICE("Amount"));
  s->y += 13;
  rule(s, 0.3, 0.8);
  s->y += 5;
}

static void new_page(struct sheet *s) {
  footer(s);
  cairo_show_page(s->cr);
  s->page++;
  s->y = MARGIN;
  style(s, "DejaVu Sans 8", 0.4);
  char title[256];
  slice number = json_text(s->document, "number");
  snprintf(title, sizeof title, SLICE_FMT " · invoice " SLICE_FMT ", continued", SLICE_ARG(at(s, "seller", "name")),
           SLICE_ARG(number));
  text(s, MARGIN, 0, LEFT, slice_of(title));
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

/* ---- the head: logo or name, title, parties, dates ---- */

static bool draw_logo(struct sheet *s, const char *path) {
  if (*path == '\0' || access(path, R_OK) != 0) {
    return false;
  }
  cairo_surface_t *image = cairo_image_surface_create_from_png(path);
  bool ok = cairo_surface_status(image) == CAIRO_STATUS_SUCCESS;
  double w = ok ? cairo_image_surface_get_width(image) : 0, h = ok ? cairo_image_surface_get_height(image) : 0;
  if (w > 0 && h > 0) {
    double scale = LOGO_HEIGHT / h < LOGO_WIDTH / w ? LOGO_HEIGHT / h : LOGO_WIDTH / w;
    cairo_save(s->cr);
    cairo_translate(s->cr, MARGIN, MARGIN);
    cairo_scale(s->cr, scale, scale);
    cairo_set_source_surface(s->cr, image, 0, 0);
    cairo_paint(s->cr);
    cairo_restore(s->cr);
  }
  cairo_surface_destroy(image);
  return ok;
}

static void title(struct sheet *s, const char *logo_path) {
  s->y = MARGIN;
  if (!draw_logo(s, logo_path)) {
    style(s, "DejaVu Sans Bold 15", 0.1);
    text(s, MARGIN, 300, LEFT, at(s, "seller", "name"));
  }
  bool draft = slice_is(json_text(s->document, "status"), "draft");
  bool credit = slice_is(json_text(s->document, "type"), "credit_note");
  style(s, "DejaVu Sans Bold 18", 0.1);
  text(s, RIGHT, 0, RIGHT_ALIGNED, draft ? SLICE("DRAFT") : credit ? SLICE("CREDIT NOTE") : SLICE("INVOICE"));
  s->y += 24;
  style(s, "DejaVu Sans 10", 0.3);
  text(s, RIGHT, 0, RIGHT_ALIGNED, json_text(s->document, "number"));
  s->y = MARGIN + LOGO_HEIGHT + 26;
}

static void party(struct sheet *s, double x, double width, const char *who, const char *label) {
  const struct json *p = json_get(s->document, who), *address = json_get(p, "address");
  style(s, "DejaVu Sans Bold 7.5", 0.45);
  line_of(s, x, width, slice_of(label));
  s->y += 3;
  style(s, "DejaVu Sans Bold 9", 0.1);
  line_of(s, x, width, json_text(p, "name"));
  style(s, "DejaVu Sans 8.5", 0.2);
  for (const struct json *line = address ? address->child : NULL; line; line = line->next) {
    line_of(s, x, width, line->text);
  }
  line_of(s, x, width, json_text(p, "country"));
  line_of(s, x, width, json_text(p, "email"));
  char words[256];
  slice tax = json_text(p, "tax_id"), registration = json_text(p, "registration");
  if (tax.len > 0) {
    snprintf(words, sizeof words, "Tax id " SLICE_FMT, SLICE_ARG(tax));
    line_of(s, x, width, slice_of(words));
  }
  if (registration.len > 0) {
    snprintf(words, sizeof words, "Registration " SLICE_FMT, SLICE_ARG(registration));
    line_of(s, x, width, slice_of(words));
  }
}

static void fact(struct sheet *s, const char *label, slice words) {
  if (words.len == 0) {
    return;
  }
  style(s, "DejaVu Sans 8", 0.45);
  text(s, MARGIN + 348, 0, LEFT, slice_of(label));
  style(s, "DejaVu Sans 8.5", 0.1);
  double height = text(s, RIGHT, 0, RIGHT_ALIGNED, words);
  s->y += height + 2;
}

static void facts(struct sheet *s) {
  char period[64];
  slice from = date_of(json_text(s->document, "from")), to = date_of(json_text(s->document, "to"));
  fact(s, "Issued", date_of(json_text(s->document, "issued")));
  fact(s, "Due", date_of(json_text(s->document, "due")));
  fact(s, "Period", json_text(s->document, "period"));
  snprintf(period, sizeof period, SLICE_FMT " to " SLICE_FMT, SLICE_ARG(from), SLICE_ARG(to));
  if (json_text(s->document, "period").len > 10) {
    fact(s, "", slice_of(period));
  }
  fact(s, "Customer", at(s, "customer", "id"));
  fact(s, "Reference", at(s, "customer", "reference"));
  fact(s, "Currency", json_text(s->document, "currency"));
}

static void head(struct sheet *s, const char *logo_path) {
  title(s, logo_path);
  double top = s->y, bottom = top;
  party(s, MARGIN, 160, "seller", "FROM");
  bottom = s->y > bottom ? s->y : bottom;
  s->y = top;
  party(s, MARGIN + 172, 160, "customer", "TO");
  bottom = s->y > bottom ? s->y : bottom;
  s->y = top;
  facts(s);
  s->y = (s->y > bottom ? s->y : bottom) + 24;
}

/* ---- lines ---- */

static double text_height(struct sheet *s, double width, slice words) {
  int h;
  pango_layout_set_width(s->layout, (int)(width * PANGO_SCALE));
  pango_layout_set_wrap(s->layout, PANGO_WRAP_WORD_CHAR);
  pango_layout_set_text(s->layout, words.len ? words.ptr : "", (int)words.len);
  pango_layout_get_size(s->layout, NULL, &h);
  return (double)h / PANGO_SCALE;
}

/* "2.95", "0.55 / M" for a million, "2.95 × 0.42" under a multiplier; nothing where no one price says it all. */
static void price_words(const struct json *line, char out[160]) {
  const struct json *price = json_get(line, "unit_price");
  slice each = json_text(price, "each"), per = json_text(price, "per"), multiplier = json_text(line, "multiplier");
  out[0] = '\0';
  if (price == NULL) {
    return;
  }
  slice currency = json_text(price, "currency"); /* of a plan in another one than the document */
  int n = snprintf(out, 160, SLICE_FMT "%s" SLICE_FMT, SLICE_ARG(each), currency.len ? " " : "", SLICE_ARG(currency));
  if (multiplier.len > 0) {
    n += snprintf(out + n, (size_t)(160 - n), " × " SLICE_FMT, SLICE_ARG(multiplier));
  }
  if (slice_is(per, "1000000")) {
    snprintf(out + n, (size_t)(160 - n), " / M");
  } else if (!slice_is(per, "1")) {
    snprintf(out + n, (size_t)(160 - n), " / " SLICE_FMT, SLICE_ARG(per));
  }
}

/* ", of which 20 covered", after what stands there already. */
static void add_part(const struct json *line, const char *key, char out[200]) {
  char quantity_words[96];
  size_t n = strlen(out);
  slice words = json_text(line, key);
  if (words.len > 0) {
    snprintf(out + n, 200 - n, "%sof which " SLICE_FMT " %s", n > 0 ? ", " : "",
             SLICE_ARG(shown_quantity(words, quantity_words)), key);
  }
}

/* What stands in small under a description: the days it covers, what was included, what reservations covered. */
static void small_print(const struct json *line, char out[200]) {
  snprintf(out, 200, SLICE_FMT, SLICE_ARG(json_text(line, "dates")));
  add_part(line, "included", out);
  add_part(line, "covered", out);
}

static void draw_line(struct sheet *s, const struct json *line) {
  char quantity_words[96], price[160], amount_words[DECIMAL_TEXT_MAX * 2], small[200];
  small_print(line, small);
  style(s, "DejaVu Sans 8.5", 0.1);
  double words_height = text_height(s, COLUMN_TEXT_WIDTH, json_text(line, "description"));
  double height = words_height + (*small ? 11 : 0) + 5;
  need(s, height, true);
  style(s, "DejaVu Sans 8.5", 0.1);
  price_words(line, price);
  text(s, MARGIN, 0, LEFT, json_text(line, "number"));
  text(s, COLUMN_TEXT, COLUMN_TEXT_WIDTH, LEFT, json_text(line, "description"));
  text(s, COLUMN_QUANTITY, 0, RIGHT_ALIGNED, shown_quantity(json_text(line, "quantity"), quantity_words));
  text(s, COLUMN_UNIT, 60, LEFT, json_text(line, "unit"));
  text(s, COLUMN_PRICE, 0, RIGHT_ALIGNED, slice_of(price));
  text(s, RIGHT, 0, RIGHT_ALIGNED, money(s, json_text(line, "amount"), amount_words));
  double top = s->y;
  s->y += words_height;
  style(s, "DejaVu Sans 7", 0.45);
  text(s, COLUMN_TEXT, COLUMN_TEXT_WIDTH, LEFT, slice_of(small));
  s->y = top + height;
  rule(s, 0.88, 0.4);
  s->y += 4;
}

/* ---- totals ---- */

static void total(struct sheet *s, slice label, slice amount_words, const char *font) {
  char shown[DECIMAL_TEXT_MAX * 2];
  need(s, 16, false);
  style(s, font, 0.1);
  text(s, RIGHT - 110, 0, RIGHT_ALIGNED, label);
  text(s, RIGHT, 0, RIGHT_ALIGNED, money(s, amount_words, shown));
  s->y += 15;
}

static void totals(struct sheet *s) {
  const struct json *taxes = json_get(s->document, "taxes");
  char label[160];
  need(s, 80, false);
  s->y += 8;
  total(s, SLICE("Subtotal"), json_text(s->document, "subtotal"), "DejaVu Sans 8.5");
  for (const struct json *t = taxes ? taxes->child : NULL; t; t = t->next) {
    total(s, json_text(t, "label"), json_text(t, "amount"), "DejaVu Sans 8.5");
  }
  slice due = json_text(s->document, "amount_due");
  if (due.len > 0) {
    total(s, SLICE("Total"), json_text(s->document, "total"), "DejaVu Sans 8.5");
    total(s, SLICE("Paid in advance"), json_text(s->document, "prepaid"), "DejaVu Sans 8.5");
  }
  snprintf(label, sizeof label, "Total due in " SLICE_FMT, SLICE_ARG(json_text(s->document, "currency")));
  s->y += 3;
  total(s, slice_of(label), due.len > 0 ? due : json_text(s->document, "total"), "DejaVu Sans Bold 10.5");
  s->y += 10;
  style(s, "DejaVu Sans 7.5", 0.35);
  for (const struct json *t = taxes ? taxes->child : NULL; t; t = t->next) {
    line_of(s, MARGIN, RIGHT - MARGIN, json_text(t, "note"));
  }
}

/* How full reservations and savings plans were, and what share of the usage they covered. */
static void commitments(struct sheet *s) {
  const struct json *list = json_get(s->document, "commitments");
  for (const struct json *c = list ? list->child : NULL; c; c = c->next) {
    char used[DECIMAL_TEXT_MAX], share[DECIMAL_TEXT_MAX], words[400];
    struct error ignored = {0};
    rate utilization, coverage;
    if (!rate_parse(json_text(c, "utilization"), &utilization, &ignored)) {
      continue;
    }
    int n = snprintf(words, sizeof words, SLICE_FMT ": %s used", SLICE_ARG(json_text(c, "name")),
                     rate_percent(utilization, used));
    if (rate_parse(json_text(c, "coverage"), &coverage, &ignored)) {
      snprintf(words + n, sizeof words - (size_t)n, ", covering %s of usage", rate_percent(coverage, share));
    }
    need(s, 14, false);
    style(s, "DejaVu Sans 7.5", 0.35);
    line_of(s, MARGIN, RIGHT - MARGIN, slice_of(words));
  }
}

/* ---- the whole ---- */

static void draw(struct sheet *s, const char *logo_path) {
  const struct json *lines = json_get(s->document, "lines");
  head(s, logo_path);
  table_head(s);
  for (const struct json *line = lines ? lines->child : NULL; line; line = line->next) {
    draw_line(s, line);
  }
  totals(s);
  commitments(s);
  footer(s);
  cairo_show_page(s->cr);
}

static cairo_status_t append(void *closure, const unsigned char *data, unsigned int length) {
  struct buf *out = closure;
  if (out != NULL) {
    buf_add(out, (slice){(const char *)data, length});
  }
  return out != NULL && out->failed ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static void describe(cairo_surface_t *surface, const struct json *document) {
  char words[256];
  snprintf(words, sizeof words, "Invoice " SLICE_FMT, SLICE_ARG(json_text(document, "number")));
  cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, words);
  /* The time of issue and not of printing: the same invoice prints the same file. */
  snprintf(words, sizeof words, SLICE_FMT,
           SLICE_ARG(json_text(document, json_get(document, "issued") ? "issued" : "from")));
  cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, words);
}

/* One run over the document; returns the number of pages. `out` NULL: only to count them. */
static int run(const struct json *document, const struct currency *currency, const char *logo_path, int page_count,
               struct buf *out, bool *ok) {
  cairo_surface_t *surface = cairo_pdf_surface_create_for_stream(append, out, PAGE_WIDTH, PAGE_HEIGHT);
  describe(surface, document);
  struct sheet s = {
      .cr = cairo_create(surface), .document = document, .currency = currency, .page = 1, .page_count = page_count};
  s.layout = pango_cairo_create_layout(s.cr);
  draw(&s, logo_path);
  g_object_unref(s.layout);
  *ok = cairo_status(s.cr) == CAIRO_STATUS_SUCCESS;
  cairo_destroy(s.cr);
  cairo_surface_finish(surface);
  *ok = *ok && cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS;
  cairo_surface_destroy(surface);
  return s.page;
}

static bool print(struct arena *arena, slice bytes, slice logo_path, struct buf *out, struct error *err) {
  const struct json *document;
  bool ok;
  if (!document_parse(arena, bytes, &document, err)) {
    return false;
  }
  const struct currency *currency = currency_find(json_text(document, "currency"));
  if (currency == NULL) {
    return error_set(err, ERR_INVALID, "invoice document: its currency is not known");
  }
  const char *logo = arena_copy(arena, logo_path).ptr;
  int pages = run(document, currency, logo, 0, NULL, &ok);
  if (ok) {
    run(document, currency, logo, pages, out, &ok);
  }
  return ok || error_set(err, ERR_IO, "the PDF can not be drawn");
}

bool invoice_pdf(slice document_json, slice logo_path, struct buf *out, struct error *err) {
  struct arena *arena = arena_new();
  bool ok = print(arena, document_json, logo_path, out, err);
  arena_free(arena);
  return ok;
}
