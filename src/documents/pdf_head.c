/* The head of a printed invoice: logo or name, title, parties, dates; and the foot of every page. */
#include "documents/pdf.h"
#include <unistd.h>

#define LOGO_HEIGHT 42.0
#define LOGO_WIDTH 170.0
#define FACTS_LEFT (MARGIN + 344)
#define FACT_WIDTH (RIGHT - FACTS_LEFT - 50)

static slice at(const struct sheet *s, const char *outer, const char *inner) {
  return json_text(json_get(s->document, outer), inner);
}

void sheet_footer(struct sheet *s) {
  char number[64];
  double kept = s->y;
  s->y = PAGE_HEIGHT - 62;
  sheet_rule(s, 0.8, 0.5);
  s->y += 6;
  sheet_style(s, "DejaVu Sans 7", 0.4);
  double begin = s->y;
  slice bank = at(s, "seller", "bank"), footer = at(s, "seller", "footer");
  s->y += bank.len ? sheet_short(s, MARGIN, RIGHT - MARGIN - 90, 2, bank) : 0;
  s->y += footer.len ? sheet_short(s, MARGIN, RIGHT - MARGIN - 90, 3, footer) : 0;
  s->y = begin;
  snprintf(number, sizeof number, "page %d of %d", s->page, s->page_count);
  sheet_text(s, RIGHT, 0, RIGHT_ALIGNED, slice_of(number));
  s->y = kept;
}

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
    sheet_style(s, "DejaVu Sans Bold 15", 0.1);
    sheet_short(s, MARGIN, 300, 2, at(s, "seller", "name"));
  }
  bool draft = slice_is(json_text(s->document, "status"), "draft");
  sheet_style(s, "DejaVu Sans Bold 18", 0.1);
  sheet_text(s, RIGHT, 0, RIGHT_ALIGNED,
             draft                ? SLICE("DRAFT")
             : sheet_is_credit(s) ? SLICE("CREDIT NOTE")
                                  : SLICE("INVOICE"));
  s->y += 24;
  sheet_style(s, "DejaVu Sans 10", 0.3);
  sheet_text(s, RIGHT, 0, RIGHT_ALIGNED, json_text(s->document, "number"));
  s->y = MARGIN + LOGO_HEIGHT + 26;
}

static void labelled(struct sheet *s, double x, double width, const char *label, slice words) {
  char line[512];
  if (words.len > 0) {
    snprintf(line, sizeof line, "%s " SLICE_FMT, label, SLICE_ARG(words));
    sheet_line(s, x, width, slice_of(line));
  }
}

static void party(struct sheet *s, double x, double width, const char *who, const char *label) {
  const struct json *p = json_get(s->document, who), *address = json_get(p, "address");
  sheet_style(s, "DejaVu Sans Bold 7.5", 0.45);
  sheet_line(s, x, width, slice_of(label));
  s->y += 3;
  sheet_style(s, "DejaVu Sans Bold 9", 0.1);
  sheet_line(s, x, width, json_text(p, "name"));
  sheet_style(s, "DejaVu Sans 8.5", 0.2);
  for (const struct json *line = address ? address->child : NULL; line; line = line->next) {
    sheet_line(s, x, width, line->text);
  }
  sheet_line(s, x, width, json_text(p, "country"));
  sheet_line(s, x, width, json_text(p, "email"));
  labelled(s, x, width, "Tax id", json_text(p, "tax_id"));
  labelled(s, x, width, "Registration", json_text(p, "registration"));
}

static void fact(struct sheet *s, const char *label, slice words) {
  if (words.len == 0) {
    return;
  }
  sheet_style(s, "DejaVu Sans 8", 0.45);
  sheet_text(s, FACTS_LEFT, 0, LEFT, slice_of(label));
  sheet_style(s, "DejaVu Sans 8.5", 0.1);
  s->y += sheet_text(s, RIGHT, FACT_WIDTH, RIGHT_ALIGNED, words) + 2;
}

static void facts(struct sheet *s) {
  char shown[TIME_TEXT_MAX], last[TIME_TEXT_MAX], period[2 * TIME_TEXT_MAX + 8];
  slice name = json_text(s->document, "period");
  fact(s, "Issued", sheet_date(s, "issued", false, shown));
  fact(s, "Due", sheet_date(s, "due", false, shown));
  if (name.len > 10) {
    slice from = sheet_date(s, "from", false, shown), to = sheet_date(s, "to", true, last);
    snprintf(period, sizeof period, SLICE_FMT " to " SLICE_FMT, SLICE_ARG(from), SLICE_ARG(to));
    name = slice_of(period);
  }
  fact(s, "Period", name);
  fact(s, "Customer", at(s, "customer", "id"));
  fact(s, "Reference", at(s, "customer", "reference"));
  fact(s, "Corrects", at(s, "corrects", "invoice"));
  fact(s, "Reason", at(s, "corrects", "reason"));
  fact(s, "Currency", json_text(s->document, "currency"));
}

void sheet_head(struct sheet *s, const char *logo_path) {
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
