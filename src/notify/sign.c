/* Signatures of the Standard Webhooks specification: v1, HMAC-SHA256 under a secret written "whsec_BASE64". */
#include "notify/notify.h"
#include <sodium.h>
#include <string.h>

#define SECRET_PREFIX "whsec_"
#define SECRET_BYTES_MIN 24

void notify_secret_make(struct notify_secret *out) {
  *out = (struct notify_secret){.len = SECRET_BYTES_MIN};
  randombytes_buf(out->bytes, out->len);
}

bool notify_secret_parse(slice text, struct notify_secret *out, struct error *err) {
  size_t skip = slice_starts(text, SECRET_PREFIX) ? strlen(SECRET_PREFIX) : 0;
  *out = (struct notify_secret){0};
  if (skip == 0 ||
      sodium_base642bin(out->bytes, sizeof out->bytes, text.ptr + skip, text.len - skip, NULL, &out->len, NULL,
                        sodium_base64_VARIANT_ORIGINAL) != 0 ||
      out->len < SECRET_BYTES_MIN) {
    return error_set(err, ERR_INVALID, "a signing secret is \"whsec_\" and the base64 of %d to %d bytes",
                     SECRET_BYTES_MIN, NOTIFY_SECRET_BYTES_MAX);
  }
  return true;
}

char *notify_secret_text(const struct notify_secret *secret, char text[NOTIFY_SECRET_TEXT_MAX]) {
  const size_t prefix = strlen(SECRET_PREFIX);
  memcpy(text, SECRET_PREFIX, prefix);
  sodium_bin2base64(text + prefix, NOTIFY_SECRET_TEXT_MAX - prefix, secret->bytes, secret->len,
                    sodium_base64_VARIANT_ORIGINAL);
  return text;
}

char *notify_sign(const struct notify_secret *secret, slice id, int64_t timestamp_s, slice body,
                  char text[NOTIFY_SIGNATURE_TEXT_MAX]) {
  crypto_auth_hmacsha256_state state;
  uint8_t mac[crypto_auth_hmacsha256_BYTES];
  char time[32];
  int time_length = snprintf(time, sizeof time, ".%lld.", (long long)timestamp_s);
  must(time_length > 0 && (size_t)time_length < sizeof time);
  crypto_auth_hmacsha256_init(&state, secret->bytes, secret->len);
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)id.ptr, (unsigned long long)id.len);
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)time, (unsigned long long)time_length);
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)body.ptr, (unsigned long long)body.len);
  crypto_auth_hmacsha256_final(&state, mac);
  memcpy(text, "v1,", 3);
  sodium_bin2base64(text + 3, NOTIFY_SIGNATURE_TEXT_MAX - 3, mac, sizeof mac, sodium_base64_VARIANT_ORIGINAL);
  return text;
}
