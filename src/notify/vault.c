/* The vault: a key in a file beside the store seals the signing secrets, so that the store alone gives nothing away. */
#include "notify/notify.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct notify_vault {
  uint8_t key[crypto_secretbox_KEYBYTES];
};

_Static_assert(NOTIFY_SEALED_BYTES_MAX ==
                   NOTIFY_SECRET_BYTES_MAX + crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES,
               "a sealed secret is its nonce, its MAC and as many bytes");

static bool sync_folder(const char *dir) {
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) {
    close(fd);
  }
  return ok;
}

/* Whole or not at all, and never readable by others, not even for a moment. */
static bool make_key(const char *dir, const char *path, uint8_t key[crypto_secretbox_KEYBYTES], struct error *err) {
  char fresh[PATH_MAX];
  snprintf(fresh, sizeof fresh, "%s.new", path);
  crypto_secretbox_keygen(key);
  unlink(fresh);
  int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  bool ok = fd >= 0 && write(fd, key, crypto_secretbox_KEYBYTES) == crypto_secretbox_KEYBYTES && fsync(fd) == 0;
  if (fd >= 0) {
    ok = close(fd) == 0 && ok;
  }
  ok = ok && rename(fresh, path) == 0 && sync_folder(dir);
  return ok || error_set(err, ERR_IO, "%s: %s", path, strerror(errno));
}

static bool read_key(const char *path, int fd, uint8_t key[crypto_secretbox_KEYBYTES], struct error *err) {
  struct stat about;
  if (fstat(fd, &about) != 0) {
    return error_set(err, ERR_IO, "%s: %s", path, strerror(errno));
  }
  if ((about.st_mode & 077) != 0) {
    return error_set(err, ERR_DENIED, "%s may be read by others: chmod 600 it", path);
  }
  return (about.st_size == crypto_secretbox_KEYBYTES &&
          read(fd, key, crypto_secretbox_KEYBYTES) == crypto_secretbox_KEYBYTES) ||
         error_set(err, ERR_CORRUPT, "%s should hold %u bytes: restore it from a backup", path,
                   crypto_secretbox_KEYBYTES);
}

static bool load_key(const char *dir, uint8_t key[crypto_secretbox_KEYBYTES], struct error *err) {
  char path[PATH_MAX];
  int length = snprintf(path, sizeof path, "%s/secret.key", dir);
  if (length < 0 || (size_t)length > sizeof path - 8) {
    return error_set(err, ERR_INVALID, "--data: the path is too long");
  }
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return errno == ENOENT ? make_key(dir, path, key, err) : error_set(err, ERR_IO, "%s: %s", path, strerror(errno));
  }
  bool ok = read_key(path, fd, key, err);
  close(fd);
  return ok;
}

bool notify_vault_open(const char *dir, struct notify_vault **out, struct error *err) {
  struct notify_vault *vault = mem_alloc(sizeof *vault);
  must(sodium_init() >= 0);
  if (!load_key(dir, vault->key, err)) {
    notify_vault_close(vault);
    return false;
  }
  *out = vault;
  return true;
}

void notify_vault_close(struct notify_vault *vault) {
  if (vault) {
    sodium_memzero(vault, sizeof *vault);
    free(vault);
  }
}

slice notify_seal(const struct notify_vault *vault, const struct notify_secret *secret,
                  uint8_t bytes[NOTIFY_SEALED_BYTES_MAX]) {
  randombytes_buf(bytes, crypto_secretbox_NONCEBYTES);
  crypto_secretbox_easy(bytes + crypto_secretbox_NONCEBYTES, secret->bytes, secret->len, bytes, vault->key);
  return (slice){(const char *)bytes, crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + secret->len};
}

bool notify_unseal(const struct notify_vault *vault, slice sealed, struct notify_secret *out, struct error *err) {
  const size_t overhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
  const uint8_t *bytes = (const uint8_t *)sealed.ptr;
  *out = (struct notify_secret){0};
  if (sealed.len <= overhead || sealed.len > NOTIFY_SEALED_BYTES_MAX ||
      crypto_secretbox_open_easy(out->bytes, bytes + crypto_secretbox_NONCEBYTES,
                                 sealed.len - crypto_secretbox_NONCEBYTES, bytes, vault->key) != 0) {
    return error_set(err, ERR_CORRUPT,
                     "the signing secret was sealed with another secret.key: restore that file or rotate the secret");
  }
  out->len = sealed.len - overhead;
  return true;
}
