/* The overview page: one HTML file in the binary; the numbers are put into it where no key is needed. */
#include "api/page_path.h"
#include "api/private.h"
#include <string.h>

__asm__(".section .rodata\n"
        ".global overview_page_begin\n"
        ".global overview_page_end\n"
        "overview_page_begin:\n"
        ".incbin \"" OVERVIEW_PAGE_PATH "\"\n"
        "overview_page_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char overview_page_begin[], overview_page_end[];

/* Where the numbers go: a JSON script element, in which "</" must not end it early. */
#define NUMBERS_HERE "<!--numbers-->"

static void add_numbers(struct buf *out, slice json) {
  buf_add(out, SLICE("<script type=\"application/json\" id=\"numbers\">"));
  for (size_t i = 0; i < json.len; i++) {
    if (json.ptr[i] == '<') {
      buf_add(out, SLICE("\\u003c"));
    } else {
      buf_addc(out, json.ptr[i]);
    }
  }
  buf_add(out, SLICE("</script>"));
}

static bool open_numbers(struct api_call *call, struct book *book, struct buf *json, struct error *err) {
  slice period;
  return !call->api->open_overview ||
         (book_default_period(book, http_query(call->http, "period"), call->arena, &period, err) &&
          book_summary(book, period, NULL, json, err));
}

bool page_read(struct api_call *call, struct book *book, struct error *err) {
  slice page = {overview_page_begin, (size_t)(overview_page_end - overview_page_begin)};
  const char *place = memmem(page.ptr, page.len, NUMBERS_HERE, strlen(NUMBERS_HERE));
  struct buf json;
  buf_init(&json, API_ANSWER_BYTES_MAX);
  bool ok = open_numbers(call, book, &json, err);
  must(place != NULL);
  http_add_header(call->http, "content-security-policy",
                  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
                  "img-src data:; frame-ancestors 'none'");
  size_t before = (size_t)(place - page.ptr), skip = before + strlen(NUMBERS_HERE);
  buf_add(&call->out, (slice){page.ptr, before});
  if (json.len > 0) {
    add_numbers(&call->out, buf_slice(&json));
  }
  buf_add(&call->out, (slice){page.ptr + skip, page.len - skip});
  buf_free(&json);
  return ok;
}
