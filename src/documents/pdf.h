/* Inside documents: the sheet a PDF is drawn on, and the parts of the page. Lengths are points from the top left. */
#ifndef METERHOUSE_DOCUMENTS_PDF_H
#define METERHOUSE_DOCUMENTS_PDF_H
#include "documents/private.h"
#include <cairo-pdf.h>
#include <pango/pangocairo.h>

#define PAGE_WIDTH 595.28
#define PAGE_HEIGHT 841.89
#define MARGIN 48.0
#define RIGHT (PAGE_WIDTH - MARGIN)
#define BODY_BOTTOM (PAGE_HEIGHT - 78.0)

struct sheet {
  cairo_t *cr;
  PangoLayout *layout;
  const struct json *document;
  const struct currency *currency;
  double y;
  int page, page_count; /* page_count 0: this run only counts */
};
enum align { LEFT, RIGHT_ALIGNED };

/* ---- words (pdf_text.c) ---- */
void sheet_style(struct sheet *s, const char *font, double grey);
/* Draws at x (its right edge for RIGHT_ALIGNED) and the current y; returns the height. A width above 0 wraps. */
double sheet_text(struct sheet *s, double x, double width, enum align align, slice words);
/* The same in at most `lines` lines, the rest cut with an ellipsis. */
double sheet_short(struct sheet *s, double x, double width, int lines, slice words);
/* How high the words would be within a width, and how wide on one line. */
double sheet_width(struct sheet *s, slice words);
double sheet_height(struct sheet *s, double width, slice words);
/* Draws and moves down; nothing for no words. */
void sheet_line(struct sheet *s, double x, double width, slice words);
void sheet_rule(struct sheet *s, double grey, double weight);
/* "1234.5" of the document as "1,234.50". */
slice sheet_money(const struct sheet *s, slice amount_words, char shown[DECIMAL_TEXT_MAX * 2]);
/* A member's instant as a date where the customer is; `last`: the day before, for an end that is exclusive. */
slice sheet_date(const struct sheet *s, const char *key, bool last, char shown[TIME_TEXT_MAX]);
/* "INVOICE", "CREDIT NOTE"; "DRAFT" has no number yet. */
bool sheet_is_credit(const struct sheet *s);

/* ---- parts of the document ---- */
void sheet_head(struct sheet *s, const char *logo_path); /* pdf_head.c */
void sheet_body(struct sheet *s);                        /* pdf_body.c: lines and totals */
void sheet_footer(struct sheet *s);
#endif
