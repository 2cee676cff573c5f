/* Fuzzes times and periods: what parses prints back to the same instant. */
#include "base/time.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  slice text = {(const char *)data, size};
  struct error err = {0};
  instant t, again;
  struct period p, p_again;
  char out[TIME_TEXT_MAX], period[2 * TIME_TEXT_MAX];
  if (time_parse_rfc3339(text, &t, &err)) {
    must(time_parse_rfc3339(slice_of(time_format(t, out)), &again, &err) && t.ns == again.ns);
  }
  (void)!time_parse_loose(text, "Europe/Amsterdam", &t, &err);
  if (time_parse_period(text, "America/New_York", &p, &err)) {
    must(time_parse_period(slice_of(time_format_period(p, "America/New_York", period)), "America/New_York", &p_again,
                           &err));
    must(p.from.ns == p_again.from.ns && p.to.ns == p_again.to.ns);
  }
  return 0;
}
