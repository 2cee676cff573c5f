/* A customer's export: everything its invoices are derived from, as one file. docs/explain.md. */
#include "api/private.h"
#include "base/tar.h"

static bool to_tar(void *context, const char *name, slice bytes, struct error *err) {
  struct api_call *call = context;
  char path[120];
  snprintf(path, sizeof path, "export/%s", name);
  return tar_add(&call->out, path, bytes, clock_now(), err) ||
         error_at(err, "`meterhouse export customer` writes an export of any size");
}

bool export_read(struct api_call *call, struct book *book, struct error *err) {
  struct export_sink sink = {to_tar, call};
  struct export_result result;
  if (call->customer.len == 0) {
    return error_set(err, ERR_INVALID, "say customer=ID");
  }
  if (!book_export_files(book, call->customer, sink, &result, err)) {
    return false;
  }
  tar_end(&call->out);
  return true;
}
