/* The invoice document read back: parsing, its seal, its amounts, and the names of the accounts it moves. */
#include "bill/private.h"
#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

#define PACK_LEVEL 1

/* Documents are text that repeats itself: packed they take a tenth. What begins with '{' was kept before they were. */
bool document_pack(slice document, slice *packed, struct error *err) {
  size_t room = ZSTD_compressBound(document.len);
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static ZSTD_CCtx *context; /* making one takes longer than packing a document */
  char *bytes = mem_alloc(room);
  pthread_mutex_lock(&lock);
  context = context ? context : ZSTD_createCCtx();
  must(context);
  size_t size = ZSTD_compressCCtx(context, bytes, room, document.ptr, document.len, PACK_LEVEL);
  pthread_mutex_unlock(&lock);
  *packed = (slice){bytes, size};
  if (ZSTD_isError(size)) {
    free(bytes);
    return error_set(err, ERR_IO, "packing an invoice document: %s", ZSTD_getErrorName(size));
  }
  return true;
}

bool document_unpack(struct arena *arena, slice kept, slice *document, struct error *err) {
  *document = kept;
  if (kept.len == 0 || kept.ptr[0] == '{') {
    return true;
  }
  unsigned long long size = ZSTD_getFrameContentSize(kept.ptr, kept.len);
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > DOCUMENT_BYTES_MAX) {
    return error_set(err, ERR_CORRUPT, "a kept invoice document is damaged");
  }
  char *bytes = arena_alloc(arena, (size_t)size + 1);
  if (ZSTD_decompress(bytes, (size_t)size, kept.ptr, kept.len) != size) {
    return error_set(err, ERR_CORRUPT, "a kept invoice document is damaged");
  }
  *document = (slice){bytes, (size_t)size};
  return true;
}

void document_print(slice document, struct buf *out) {
  struct arena *arena = arena_new();
  const struct json *tree;
  struct error ignored = {0};
  struct json_out w;
  if (json_parse(arena, document, &tree, &ignored)) {
    json_out_init(&w, out, true);
    json_value(&w, tree);
  } else {
    buf_add(out, document);
  }
  arena_free(arena);
}

bool document_parse(struct arena *arena, slice bytes, const struct json **out, struct error *err) {
  if (bytes.len > DOCUMENT_BYTES_MAX) {
    return error_set(err, ERR_LIMIT, "an invoice document has at most %zu bytes", DOCUMENT_BYTES_MAX);
  }
  if (!json_parse(arena, bytes, out, err)) {
    return error_at(err, "invoice document");
  }
  if (!slice_is(json_text(*out, "schema"), "meterhouse.invoice.1")) {
    return error_set(err, ERR_INVALID,
                     "this is not an invoice document: \"schema\" should be \"meterhouse.invoice.1\"");
  }
  return true;
}

void document_seal(const struct json *document, char seal_hex[65]) {
  struct buf bytes;
  struct json_out w;
  buf_init(&bytes, DOCUMENT_BYTES_MAX);
  json_out_init(&w, &bytes, false);
  json_open_object(&w);
  for (const struct json *member = document->child; member; member = member->next) {
    if (slice_is(member->key, "seal")) {
      continue;
    }
    json_key_slice(&w, member->key);
    json_value(&w, member);
  }
  json_close_object(&w);
  digest_hex(digest_of(buf_slice(&bytes)), seal_hex);
  buf_free(&bytes);
}

bool document_amount(const struct json *object, const char *key, amount *out, struct error *err) {
  return amount_parse(json_text(object, key), out, err) || error_at(err, "invoice document: %s", key);
}

const struct json *document_tax_of(const struct json *document, const struct json *line) {
  const struct json *taxes = json_get(document, "taxes");
  slice name = json_text(line, "tax"), at = json_text(line, "tax_rate");
  if (json_get(line, "tax") == NULL) {
    return taxes && taxes->count == 1 ? taxes->child : NULL;
  }
  for (const struct json *t = taxes ? taxes->child : NULL; t; t = t->next) {
    if (slice_eq(json_text(t, "name"), name) && (at.len == 0 || slice_eq(json_text(t, "rate"), at))) {
      return t;
    }
  }
  return NULL;
}

void describe_price(const struct json *price, slice unit, struct buf *out) {
  slice each = json_text(price, "each"), per = json_text(price, "per"), currency = json_text(price, "currency");
  buf_addf(out, SLICE_FMT "%s" SLICE_FMT " per ", SLICE_ARG(each), currency.len ? " " : "", SLICE_ARG(currency));
  if (!slice_is(per, "1")) {
    buf_addf(out, SLICE_FMT " ", SLICE_ARG(per));
  }
  buf_add(out, unit);
}

static char *account_name(const char *format_prefix, slice name, const char *suffix, char out[ACCOUNT_NAME_MAX]) {
  int length = snprintf(out, ACCOUNT_NAME_MAX, "%s" SLICE_FMT "%s", format_prefix, SLICE_ARG(name), suffix);
  must(length > 0 && length < ACCOUNT_NAME_MAX); /* the catalog holds names to 200 bytes */
  return out;
}

char *account_receivable(slice customer, char name[ACCOUNT_NAME_MAX]) {
  return account_name("customer/", customer, "/receivable", name);
}
char *account_revenue(slice product, char name[ACCOUNT_NAME_MAX]) {
  return account_name("revenue/", product, "", name);
}
char *account_tax(slice tax, char name[ACCOUNT_NAME_MAX]) {
  return account_name("tax/", tax, "", name);
}
