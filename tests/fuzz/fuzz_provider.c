/* Fuzzes what claims to come from a payment provider: the first line is the header's value, the rest the body. No bytes
 * are a valid signature; and every body is read or refused. */
#include "base/time.h"
#include "collect/collect.h"
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct payment_provider configs[] = {
    {.name = {"stripe", 6}, .scheme = PROVIDER_STRIPE, .secret_env = {"FUZZ_STRIPE_SECRET", 18}},
    {.name = {"other", 5}, .scheme = PROVIDER_STANDARD, .secret_env = {"FUZZ_OTHER_SECRET", 17}}};

static void try_one(const struct catalog *catalog, const struct providers *providers, slice name, slice header,
                    slice body) {
  struct error err = {0};
  const instant now = {INT64_C(1793872800) * NS_PER_S};
  const struct provider_delivery d = {.provider = name,
                                      .body = body,
                                      .id = SLICE("msg_1"),
                                      .timestamp = SLICE("1793872800"),
                                      .signature = header,
                                      .stripe_signature = header};
  struct provider_event event;
  must(!provider_verify(providers, &d, now, &err) && err.message[0] != 0);
  struct arena *arena = arena_new();
  err = (struct error){0};
  if (provider_read(arena, catalog, &d, now, &event, &err)) {
    must(event.kind == PROVIDER_IGNORED || event.payment.key.len > 0);
  } else {
    must(err.code != ERR_NONE && err.message[0] != 0);
  }
  arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct catalog catalog = {.payment_providers = configs, .payment_provider_count = 2};
  struct providers *providers;
  struct error err = {0};
  must(setenv("FUZZ_STRIPE_SECRET", "whsec_0123456789abcdef", 1) == 0);
  must(setenv("FUZZ_OTHER_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1) == 0);
  must(providers_open(&catalog, &providers, &err));
  const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
  size_t length = line ? (size_t)(line - data) : 0, skip = length + (line != NULL);
  slice header = {(const char *)data, length}, body = {(const char *)data + skip, size - skip};
  try_one(&catalog, providers, SLICE("stripe"), header, body);
  try_one(&catalog, providers, SLICE("other"), header, body);
  providers_close(providers);
  return 0;
}
