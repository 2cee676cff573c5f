/* Customers' accounts in Slurm: names there and back. */
#include "sell/slurm.h"

static const char hexadecimal[] = "0123456789abcdef";

static bool stands(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

bool slurm_account_name(const char *prefix, slice customer, char account[SLURM_ACCOUNT_BYTES_MAX + 1],
                        struct error *err) {
  if (!customer.len) return error_set(err, ERR_INVALID, "a customer without an id can have no account");
  size_t len = prefix ? strlen(prefix) : 0;
  if (len > SLURM_ACCOUNT_BYTES_MAX) return error_set(err, ERR_LIMIT, "the prefix of accounts is too long");
  memcpy(account, prefix ? prefix : "", len);
  for (size_t i = 0; i < customer.len; i++) {
    unsigned char c = (unsigned char)customer.ptr[i];
    /* '-' first would be read as an option somewhere. */
    bool plain = stands((char)c) && !(c == '-' && len == 0);
    if (len + (plain ? 1 : 3) > SLURM_ACCOUNT_BYTES_MAX) {
      return error_set(err, ERR_LIMIT,
                       "customer " SLICE_FMT "...: the name of its account would have more than %d bytes",
                       (int)(customer.len < 40 ? customer.len : 40), customer.ptr, SLURM_ACCOUNT_BYTES_MAX);
    }
    if (plain) {
      account[len++] = (char)c;
    } else {
      account[len++] = '_';
      account[len++] = hexadecimal[c >> 4];
      account[len++] = hexadecimal[c & 15];
    }
  }
  account[len] = 0;
  return true;
}

static int digit_of(char c) {
  const char *at = c ? strchr(hexadecimal, c) : NULL;
  return at ? (int)(at - hexadecimal) : -1;
}

slice slurm_account_customer(struct arena *arena, const char *prefix, slice account) {
  const slice nobody = {NULL, 0};
  size_t skip = prefix ? strlen(prefix) : 0;
  if (account.len <= skip || account.len > SLURM_ACCOUNT_BYTES_MAX || (skip && !slice_starts(account, prefix))) {
    return nobody;
  }
  char *text = arena_alloc(arena, account.len + 1);
  size_t len = 0;
  for (size_t i = skip; i < account.len; i++) {
    if (account.ptr[i] != '_') {
      text[len++] = account.ptr[i];
      continue;
    }
    int high = i + 2 < account.len ? digit_of(account.ptr[i + 1]) : -1;
    int low = high >= 0 ? digit_of(account.ptr[i + 2]) : -1;
    if (low < 0) return nobody;
    text[len++] = (char)(high * 16 + low);
    i += 2;
  }
  /* One customer has one account: another way of writing it is somebody else's. */
  char again[SLURM_ACCOUNT_BYTES_MAX + 1];
  struct error err;
  bool same = slurm_account_name(prefix, (slice){text, len}, again, &err) && slice_is(account, again);
  return same ? (slice){text, len} : nobody;
}
