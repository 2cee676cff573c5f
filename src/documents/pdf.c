/* The invoice as a PDF one would send: A4, drawn by cairo and pango from the stored document alone. */
#include "documents/pdf.h"
#include <stdlib.h>

static cairo_status_t append(void *closure, const unsigned char *data, unsigned int length) {
  struct buf *out = closure;
  if (out != NULL) {
    buf_add(out, (slice){(const char *)data, length});
  }
  return out != NULL && out->failed ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static void describe(cairo_surface_t *surface, const struct json *document) {
  char words[256];
  bool credit = slice_is(json_text(document, "type"), "credit_note");
  snprintf(words, sizeof words, "%s " SLICE_FMT, credit ? "Credit note" : "Invoice",
           SLICE_ARG(json_text(document, "number")));
  cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_TITLE, words);
  /* The time of issue and not of printing: the same invoice prints the same file. */
  snprintf(words, sizeof words, SLICE_FMT,
           SLICE_ARG(json_text(document, json_get(document, "issued") ? "issued" : "from")));
  cairo_pdf_surface_set_metadata(surface, CAIRO_PDF_METADATA_CREATE_DATE, words);
}

static void draw(struct sheet *s, const char *logo_path) {
  sheet_head(s, logo_path);
  sheet_body(s);
  sheet_footer(s);
  cairo_show_page(s->cr);
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

static bool print(struct arena *arena, slice bytes, const struct catalog *catalog, struct buf *out, struct error *err) {
  const struct json *document;
  const struct currency *currency;
  bool ok;
  if (!document_open(arena, bytes, &document, &currency, err)) {
    return false;
  }
  slice seller = json_text(json_get(document, "seller"), "id");
  const char *logo = catalog ? arena_copy(arena, catalog_seller_named(catalog, seller)->logo_path).ptr : "";
  int pages = run(document, currency, logo, 0, NULL, &ok);
  if (ok) {
    run(document, currency, logo, pages, out, &ok);
  }
  return ok || error_set(err, ERR_IO, "the PDF can not be drawn");
}

bool document_pdf(slice document_json, const struct catalog *catalog, struct buf *out, struct error *err) {
  struct arena *arena = arena_new();
  bool ok = print(arena, document_json, catalog, out, err);
  arena_free(arena);
  return ok;
}
