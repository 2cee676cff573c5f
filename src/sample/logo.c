/* The sample operator's logo, drawn: three bars of a meter and a roof over them. */
#include "sample/private.h"
#include <cairo.h>

#define WIDTH 240
#define HEIGHT 160

static void bars(cairo_t *cr) {
  static const double heights[] = {40, 66, 92};
  for (int i = 0; i < 3; i++) {
    cairo_rectangle(cr, 56 + i * 46, 148 - heights[i], 34, heights[i]);
    cairo_fill(cr);
  }
}

bool write_logo(const char *path, struct error *err) {
  cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, WIDTH, HEIGHT);
  cairo_t *cr = cairo_create(image);
  cairo_set_source_rgb(cr, 0.04, 0.43, 0.37);
  bars(cr);
  cairo_set_line_width(cr, 12);
  cairo_move_to(cr, 22, 66);
  cairo_line_to(cr, 120, 14);
  cairo_line_to(cr, 218, 66);
  cairo_stroke(cr);
  bool ok = cairo_surface_write_to_png(image, path) == CAIRO_STATUS_SUCCESS;
  cairo_destroy(cr);
  cairo_surface_destroy(image);
  return ok || error_set(err, ERR_IO, "%s can not be written", path);
}
