/* Payment providers: their secrets, and whether what came is signed with them. */
#include "base/file.h"
#include "collect/private.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_FILE_BYTES_MAX 4096
#define SECRET_BYTES_MAX 512
#define SIGNATURES_MAX 20 /* of one header: a provider that changes its secret sends two */

struct provider {
  const struct payment_provider *config;
  uint8_t secret[SECRET_BYTES_MAX]; /* STRIPE: the bytes of its text */
  size_t secret_len;
  struct notify_secret standard;
};
struct providers {
  struct provider *items;
  size_t count;
};

/* ---- secrets ---- */

static bool secret_text(struct arena *arena, const struct payment_provider *config, slice *out, struct error *err) {
  if (config->secret_env.len > 0) {
    const char *value = getenv(arena_printf(arena, SLICE_FMT, SLICE_ARG(config->secret_env)));
    *out = slice_trim(slice_of(value));
    return value != NULL ||
           error_set(err, ERR_INVALID, "the variable " SLICE_FMT " is not set", SLICE_ARG(config->secret_env));
  }
  const char *path = arena_printf(arena, SLICE_FMT, SLICE_ARG(config->secret_file));
  if (!file_read(arena, path, SECRET_FILE_BYTES_MAX, out, err)) {
    return false;
  }
  *out = slice_trim(*out);
  return true;
}

static bool read_secret(struct arena *arena, struct provider *p, struct error *err) {
  slice text;
  if (!secret_text(arena, p->config, &text, err)) {
    return false;
  }
  if (text.len < PROVIDER_SECRET_BYTES_MIN) {
    return error_set(err, ERR_INVALID,
                     "its secret is %s: it should have at least %d bytes, or anybody could sign payments",
                     text.len ? "too short" : "empty", PROVIDER_SECRET_BYTES_MIN);
  }
  if (p->config->scheme == PROVIDER_STANDARD) {
    return notify_secret_parse(text, &p->standard, err);
  }
  if (text.len > SECRET_BYTES_MAX) {
    return error_set(err, ERR_INVALID, "its secret is longer than %d bytes", SECRET_BYTES_MAX);
  }
  memcpy(p->secret, text.ptr, text.len);
  p->secret_len = text.len;
  return true;
}

bool providers_open(const struct catalog *catalog, struct providers **out, struct error *err) {
  struct providers *all = mem_alloc(sizeof *all);
  struct arena *arena = arena_new();
  bool ok = true;
  must(sodium_init() >= 0);
  all->count = catalog->payment_provider_count;
  all->items = mem_alloc((all->count + 1) * sizeof *all->items);
  for (size_t i = 0; i < all->count && ok; i++) {
    struct provider *p = &all->items[i];
    p->config = &catalog->payment_providers[i];
    ok = read_secret(arena, p, err) || error_at(err, "%s:%d: payment provider " SLICE_FMT, p->config->place.file,
                                                p->config->place.line, SLICE_ARG(p->config->name));
  }
  arena_free(arena);
  if (!ok) {
    providers_close(all);
    return false;
  }
  *out = all;
  return true;
}

void providers_close(struct providers *providers) {
  if (providers) {
    sodium_memzero(providers->items, (providers->count + 1) * sizeof *providers->items);
    free(providers->items);
    free(providers);
  }
}

static const struct provider *find(const struct providers *all, slice name) {
  for (size_t i = 0; i < all->count; i++) {
    if (slice_eq(all->items[i].config->name, name)) {
      return &all->items[i];
    }
  }
  return NULL;
}

/* ---- signatures ---- */

static bool no_signature(struct error *err) {
  return error_set(err, ERR_DENIED, "the signature is not that of this provider");
}

/* Lengths are no secret. */
static bool same_bytes(slice given, slice expected) {
  return given.len == expected.len && sodium_memcmp(given.ptr, expected.ptr, given.len) == 0;
}

static bool parse_seconds(slice text, int64_t *out) {
  *out = 0;
  bool digits = text.len > 0 && text.len <= 12;
  for (size_t i = 0; digits && i < text.len; i++) {
    digits = text.ptr[i] >= '0' && text.ptr[i] <= '9';
    *out = *out * 10 + (text.ptr[i] - '0');
  }
  return digits;
}

/* One of long ago may be a recording that is played again; so may one that claims to come from the future. */
static bool is_fresh(slice timestamp, instant now, int64_t *seconds, struct error *err) {
  if (!parse_seconds(timestamp, seconds)) {
    return error_set(err, ERR_DENIED, "the signature has no timestamp in seconds");
  }
  int64_t age = now.ns / NS_PER_S - *seconds;
  return (age <= PROVIDER_TOLERANCE_S && age >= -PROVIDER_TOLERANCE_S) ||
         error_set(err, ERR_DENIED, "the timestamp is more than %d s from now", PROVIDER_TOLERANCE_S);
}

/* The next part of a list, without blanks around it. */
static bool next_part(slice *list, char separator, slice *part) {
  if (list->len == 0) {
    return false;
  }
  const char *end = memchr(list->ptr, separator, list->len);
  size_t length = end ? (size_t)(end - list->ptr) : list->len, skip = length + (end != NULL);
  *part = slice_trim((slice){list->ptr, length});
  *list = (slice){list->ptr + skip, list->len - skip};
  return true;
}

static bool verify_standard(const struct provider *p, const struct provider_delivery *d, instant now,
                            struct error *err) {
  char text[NOTIFY_SIGNATURE_TEXT_MAX];
  int64_t seconds;
  slice list = d->signature, part;
  if (d->id.len == 0 || d->id.len > PAYMENT_KEY_BYTES_MAX || d->signature.len == 0) {
    return error_set(err, ERR_DENIED, "webhook-id, webhook-timestamp and webhook-signature are needed");
  }
  if (!is_fresh(d->timestamp, now, &seconds, err)) {
    return false;
  }
  slice expected = slice_of(notify_sign(&p->standard, d->id, seconds, d->body, text));
  bool found = false;
  for (int i = 0; i < SIGNATURES_MAX && next_part(&list, ' ', &part); i++) {
    found = same_bytes(part, expected) || found;
  }
  return found || no_signature(err);
}

static void stripe_sign(const struct provider *p, slice timestamp, slice body, char hex[65]) {
  crypto_auth_hmacsha256_state state;
  uint8_t mac[crypto_auth_hmacsha256_BYTES];
  crypto_auth_hmacsha256_init(&state, p->secret, p->secret_len);
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)timestamp.ptr, timestamp.len);
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)".", 1);
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)body.ptr, body.len);
  crypto_auth_hmacsha256_final(&state, mac);
  sodium_bin2hex(hex, 65, mac, sizeof mac);
}

/* "t=1492774577,v1=5257a869e7...,v0=6ffbb59b2300...": only v1 counts. */
static bool verify_stripe(const struct provider *p, const struct provider_delivery *d, instant now, struct error *err) {
  slice list = d->stripe_signature, part, timestamp = {0}, given[SIGNATURES_MAX];
  size_t count = 0;
  char hex[65];
  int64_t seconds;
  while (next_part(&list, ',', &part)) {
    if (slice_starts(part, "t=")) {
      timestamp = (slice){part.ptr + 2, part.len - 2};
    } else if (slice_starts(part, "v1=") && count < SIGNATURES_MAX) {
      given[count++] = (slice){part.ptr + 3, part.len - 3};
    }
  }
  if (count == 0) {
    return error_set(err, ERR_DENIED, "the header Stripe-Signature with a v1 signature is needed");
  }
  if (!is_fresh(timestamp, now, &seconds, err)) {
    return false;
  }
  stripe_sign(p, timestamp, d->body, hex);
  bool found = false;
  for (size_t i = 0; i < count; i++) {
    found = same_bytes(given[i], slice_of(hex)) || found;
  }
  return found || no_signature(err);
}

bool provider_verify(const struct providers *all, const struct provider_delivery *d, instant now, struct error *err) {
  const struct provider *p = find(all, d->provider);
  if (p == NULL) {
    return error_set(err, ERR_NOT_FOUND, "there is no payment provider \"%.*s\"",
                     (int)(d->provider.len > 60 ? 60 : d->provider.len), d->provider.len ? d->provider.ptr : "");
  }
  if (d->body.len > PROVIDER_BODY_BYTES_MAX) {
    return error_set(err, ERR_LIMIT, "the body has at most %zu bytes", PROVIDER_BODY_BYTES_MAX);
  }
  return p->config->scheme == PROVIDER_STRIPE ? verify_stripe(p, d, now, err) : verify_standard(p, d, now, err);
}
