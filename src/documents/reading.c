/* What all kinds of document ask of an invoice's JSON. */
#include "documents/private.h"

bool document_open(struct arena *arena, slice bytes, const struct json **document, const struct currency **currency,
                   struct error *err) {
  if (!document_parse(arena, bytes, document, err)) {
    return false;
  }
  *currency = currency_find(json_text(*document, "currency"));
  return *currency != NULL || error_set(err, ERR_INVALID, "invoice document: its currency is not known");
}

slice document_date(const struct json *document, slice instant_text, bool last, char shown[TIME_TEXT_MAX]) {
  struct error ignored = {0};
  instant t;
  char zone[64];
  slice name = json_text(document, "time_zone");
  snprintf(zone, sizeof zone, SLICE_FMT, SLICE_ARG(name));
  if (!time_parse_rfc3339(instant_text, &t, &ignored)) {
    return (slice){0};
  }
  t.ns -= last && t.ns > 0 ? 1 : 0;
  return slice_of(time_format_date(t, time_zone_known(zone) ? zone : "UTC", shown));
}

bool document_amount_or_zero(const struct json *object, const char *key, amount *out, struct error *err) {
  *out = AMOUNT_ZERO;
  return json_get(object, key) == NULL || document_amount(object, key, out, err);
}
