/* Writes tar streams: a block of 512 bytes before each file, and files filled up to whole blocks. */
#include "base/tar.h"
#include <string.h>

#define BLOCK_BYTES 512
#define FILE_BYTES_MAX ((uint64_t)1 << 33)

struct header {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2];
  char user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};

static void octal(char *field, size_t size, uint64_t value) {
  field[size - 1] = '\0';
  for (size_t i = size - 1; i > 0; i--, value /= 8) {
    field[i - 1] = (char)('0' + value % 8);
  }
}

static void fill_up(struct buf *out, size_t len) {
  static const char zeros[BLOCK_BYTES] = {0};
  buf_add(out, (slice){zeros, (BLOCK_BYTES - len % BLOCK_BYTES) % BLOCK_BYTES});
}

/* The sum of all bytes, those of the sum itself counted as blanks. */
static void seal(struct header *h) {
  const unsigned char *bytes = (const unsigned char *)h;
  uint64_t sum = 0;
  memset(h->checksum, ' ', sizeof h->checksum);
  for (size_t i = 0; i < sizeof *h; i++) {
    sum += bytes[i];
  }
  octal(h->checksum, 7, sum);
}

bool tar_add(struct buf *out, const char *name, slice bytes, instant modified, struct error *err) {
  struct header h = {.type = '0', .magic = "ustar", .version = {'0', '0'}};
  _Static_assert(sizeof h == BLOCK_BYTES, "a header is one block");
  size_t length = strlen(name);
  if (length == 0 || length > sizeof h.name || bytes.len >= FILE_BYTES_MAX) {
    return error_set(err, ERR_LIMIT, "\"%.120s\" does not fit into a tar file", name);
  }
  memcpy(h.name, name, length);
  octal(h.mode, sizeof h.mode, 0644);
  octal(h.uid, sizeof h.uid, 0);
  octal(h.gid, sizeof h.gid, 0);
  octal(h.size, sizeof h.size, bytes.len);
  octal(h.mtime, sizeof h.mtime, (uint64_t)(modified.ns / NS_PER_S));
  seal(&h);
  buf_add(out, (slice){(const char *)&h, sizeof h});
  buf_add(out, bytes);
  fill_up(out, bytes.len);
  return !out->failed || error_set(err, ERR_LIMIT, "the files are too large for one answer");
}

void tar_end(struct buf *out) {
  static const char zeros[2 * BLOCK_BYTES] = {0};
  buf_add(out, (slice){zeros, sizeof zeros});
}
