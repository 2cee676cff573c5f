/* Bank files: telling CSV from camt.053, and ids for entries that have none. */
#include "collect/private.h"

static bool is_xml(slice bytes) {
  bytes = slice_trim(bytes);
  if (slice_starts(bytes, "\xef\xbb\xbf")) {
    bytes = slice_trim((slice){bytes.ptr + 3, bytes.len - 3});
  }
  return slice_starts(bytes, "<") || slice_starts(bytes, "\xff\xfe") || slice_starts(bytes, "\xfe\xff");
}

bool bank_file_parse(const char *name, slice bytes, const char *zone, const struct bank_hooks *hooks,
                     struct error *err) {
  if (bytes.len > BANK_FILE_BYTES_MAX) {
    return error_set(err, ERR_LIMIT, "%s: a bank file has at most %zu bytes: split it", name, BANK_FILE_BYTES_MAX);
  }
  return is_xml(bytes) ? bank_camt_parse(name, bytes, zone, hooks, err) : bank_csv_parse(name, bytes, zone, hooks, err);
}

static void add_part(struct buf *to, slice part) {
  buf_addf(to, "%zu:", part.len);
  buf_add(to, part);
}

/* Equal entries count from the top, so half a file imported before the whole gives the same ids. */
slice bank_derived_id(struct bank_ids *ids, struct arena *arena, const struct payment_request *r) {
  char text[DECIMAL_TEXT_MAX], hex[65];
  struct buf content;
  buf_init(&content, 1u << 20);
  add_part(&content, slice_of(amount_text(r->amount, text)));
  add_part(&content, r->currency);
  add_part(&content, r->customer);
  add_part(&content, r->payer);
  add_part(&content, r->text);
  buf_addf(&content, "%lld", (long long)r->received.ns);
  struct digest digest = digest_of(buf_slice(&content));
  buf_free(&content);
  slice key = {(const char *)digest.bytes, sizeof digest.bytes};
  uintptr_t seen = (uintptr_t)map_get(&ids->occurrences, key);
  *map_put(&ids->occurrences, seen ? key : arena_copy(ids->arena, key)) = (void *)(seen + 1);
  digest_hex(digest, hex);
  return slice_of(seen ? arena_printf(arena, "%.32s-%llu", hex, (unsigned long long)seen)
                       : arena_printf(arena, "%.32s", hex));
}
