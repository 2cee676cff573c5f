/* Fuzzes bank files, CSV and camt.053 XML: whatever the bytes, every entry is taken, refused with a reason, or passed
 * over. */
#include "base/time.h"
#include "collect/collect.h"
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool payment(void *context, uint64_t line, const struct payment_request *r, struct error *err) {
  size_t *count = context;
  (void)err;
  must(line > 0 && r->key.len > 0 && slice_eq(r->source, PAYMENT_BANK));
  must(r->text.len == 0 || r->text.ptr != NULL);
  ++*count;
  return true;
}

static void refused(void *context, uint64_t line, const struct error *why) {
  (void)context;
  must(line > 0 && why->code != ERR_NONE && why->message[0] != 0);
}

static void passed_over(void *context, uint64_t line, const char *why) {
  (void)context;
  must(line > 0 && why[0] != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct error err = {0};
  size_t count = 0;
  const struct bank_hooks hooks = {payment, refused, passed_over, &count};
  if (!bank_file_parse("fuzz", (slice){(const char *)data, size}, "Europe/Amsterdam", &hooks, &err)) {
    must(err.code != ERR_NONE && err.message[0] != 0);
  }
  return 0;
}
