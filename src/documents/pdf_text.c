/* Words on a sheet: fonts, wrapping, alignment, and how amounts and dates are shown. */
#include "documents/pdf.h"

void sheet_style(struct sheet *s, const char *font, double grey) {
  PangoFontDescription *d = pango_font_description_from_string(font);
  pango_layout_set_font_description(s->layout, d);
  pango_font_description_free(d);
  cairo_set_source_rgb(s->cr, grey, grey, grey);
}

/* Cairo draws nothing at all once it has met bytes that are no UTF-8 or a code point that is no character. */
static char *printable(slice words) {
  char *valid = g_utf8_make_valid(words.len ? words.ptr : "", (gssize)words.len);
  GString *text = g_string_new(NULL);
  for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    bool none = (c < 0x20 && c != '\n' && c != '\t') || (c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF);
    g_string_append_unichar(text, none ? 0xFFFD : c);
  }
  g_free(valid);
  return g_string_free(text, FALSE);
}

static void lay_out(struct sheet *s, double width, slice words, double *w, double *h) {
  int across, down;
  pango_layout_set_width(s->layout, width > 0 ? (int)(width * PANGO_SCALE) : -1);
  pango_layout_set_wrap(s->layout, PANGO_WRAP_WORD_CHAR);
  char *text = printable(words);
  pango_layout_set_text(s->layout, text, -1);
  g_free(text);
  pango_layout_get_size(s->layout, &across, &down);
  *w = (double)across / PANGO_SCALE;
  *h = (double)down / PANGO_SCALE;
}

double sheet_text(struct sheet *s, double x, double width, enum align align, slice words) {
  double w, h;
  pango_layout_set_alignment(s->layout, align == LEFT ? PANGO_ALIGN_LEFT : PANGO_ALIGN_RIGHT);
  lay_out(s, width, words, &w, &h);
  /* A wrapped paragraph is aligned inside its width by pango, also one that is written from the right. */
  cairo_move_to(s->cr, align == LEFT ? x : x - (width > 0 ? width : w), s->y);
  pango_cairo_show_layout(s->cr, s->layout);
  return h;
}

double sheet_short(struct sheet *s, double x, double width, int lines, slice words) {
  pango_layout_set_height(s->layout, -lines);
  pango_layout_set_ellipsize(s->layout, PANGO_ELLIPSIZE_END);
  double h = sheet_text(s, x, width, LEFT, words);
  pango_layout_set_ellipsize(s->layout, PANGO_ELLIPSIZE_NONE);
  pango_layout_set_height(s->layout, -1);
  return h;
}

double sheet_height(struct sheet *s, double width, slice words) {
  double w, h;
  lay_out(s, width, words, &w, &h);
  return h;
}

double sheet_width(struct sheet *s, slice words) {
  double w, h;
  lay_out(s, 0, words, &w, &h);
  return w;
}

void sheet_line(struct sheet *s, double x, double width, slice words) {
  if (words.len > 0) {
    s->y += sheet_text(s, x, width, LEFT, words);
  }
}

void sheet_rule(struct sheet *s, double grey, double weight) {
  cairo_set_source_rgb(s->cr, grey, grey, grey);
  cairo_set_line_width(s->cr, weight);
  cairo_move_to(s->cr, MARGIN, s->y);
  cairo_line_to(s->cr, RIGHT, s->y);
  cairo_stroke(s->cr);
}

slice sheet_money(const struct sheet *s, slice amount_words, char shown[DECIMAL_TEXT_MAX * 2]) {
  amount a;
  struct error ignored = {0};
  if (!amount_parse(amount_words, &a, &ignored)) {
    return amount_words;
  }
  return slice_of(amount_display(a, s->currency, shown));
}

slice sheet_date(const struct sheet *s, const char *key, bool last, char shown[TIME_TEXT_MAX]) {
  return document_date(s->document, json_text(s->document, key), last, shown);
}

bool sheet_is_credit(const struct sheet *s) {
  return slice_is(json_text(s->document, "type"), "credit_note");
}
