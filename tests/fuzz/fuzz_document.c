/* Fuzzes what is made of an invoice document that someone else may have written: UBL, FOCUS, CSV, and now and then a
 * PDF. */
#include "documents/documents.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define OUTPUT_BYTES_MAX ((size_t)64 << 20)
#define PDF_EVERY 16 /* drawing takes a thousand times longer than the rest */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void refused(const struct error *err) {
  must(err->code != ERR_NONE && err->message[0] != 0);
}

static void datasets(slice text) {
  struct error err = {0};
  struct focus *focus = focus_new(NULL, OUTPUT_BYTES_MAX);
  if (focus_add(focus, text, SLICE("finalized"), &err)) {
    for (int d = 0; d < FOCUS_DATASETS; d++) {
      must(focus_dataset(focus, (enum focus_dataset)d).len > 0);
    }
  } else {
    refused(&err);
  }
  focus_free(focus);
}

static void table(slice text) {
  struct error err = {0};
  struct csv_sheet *sheet = csv_sheet_new();
  struct buf out;
  buf_init(&out, OUTPUT_BYTES_MAX);
  if (csv_sheet_add(sheet, text, &err)) {
    csv_sheet_write(sheet, &out);
  } else {
    refused(&err);
  }
  csv_sheet_free(sheet);
  buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  slice text = {(const char *)data, size};
  struct buf out;
  struct error err = {0};
  buf_init(&out, OUTPUT_BYTES_MAX);
  if (!document_ubl(text, &out, &err)) {
    refused(&err);
    must(out.len == 0 || err.code == ERR_INVALID);
  }
  out.len = 0;
  err = (struct error){0};
  if (size % PDF_EVERY == 0 && !document_pdf(text, NULL, &out, &err)) {
    must(err.code == ERR_INVALID); /* what is a document can be drawn, whatever stands in it */
  }
  buf_free(&out);
  datasets(text);
  table(text);
  return 0;
}
