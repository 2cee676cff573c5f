/* Whole small files, atomic replacement, and a reader of chunks and lines that opens .gz by its magic bytes. */
#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define CHUNK_BYTES ((size_t)256 << 10)

static bool io_error(struct error *err, const char *path) {
  return error_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
}

static bool write_all(int fd, slice bytes) {
  while (bytes.len > 0) {
    ssize_t n = write(fd, bytes.ptr, bytes.len);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return false;
    }
    bytes = (slice){bytes.ptr + n, bytes.len - (size_t)n};
  }
  return true;
}

static ssize_t read_some(int fd, char *to, size_t size) {
  ssize_t n;
  do {
    n = read(fd, to, size);
  } while (n < 0 && errno == EINTR);
  return n;
}

bool file_read(struct arena *arena, const char *path, size_t limit_bytes, slice *out, struct error *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return io_error(err, path);
  }
  struct buf b;
  char chunk[16384];
  ssize_t n;
  buf_init(&b, limit_bytes);
  while ((n = read_some(fd, chunk, sizeof chunk)) > 0 && !b.failed) {
    buf_add(&b, (slice){chunk, (size_t)n});
  }
  bool ok = n >= 0 || io_error(err, path);
  close(fd);
  if (ok && b.failed) {
    ok = error_set(err, ERR_LIMIT, "%s: larger than %zu bytes", path, limit_bytes);
  }
  if (ok) {
    *out = arena_copy(arena, buf_slice(&b));
  }
  buf_free(&b);
  return ok;
}

/* The new name is durable only once its folder is. */
static bool sync_folder(const char *path) {
  char copy[PATH_MAX];
  snprintf(copy, sizeof copy, "%s", path);
  int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) {
    close(fd);
  }
  return ok;
}

bool file_write(const char *path, slice bytes, struct error *err) {
  char temporary[PATH_MAX];
  int length = snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
  if (length < 0 || (size_t)length >= sizeof temporary) {
    return error_set(err, ERR_INVALID, "%.100s...: the path is too long", path);
  }
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) {
    return io_error(err, temporary);
  }
  bool ok = write_all(fd, bytes) && fsync(fd) == 0;
  ok = close(fd) == 0 && ok;
  ok = ok && rename(temporary, path) == 0 && sync_folder(path);
  if (!ok) {
    io_error(err, path);
    unlink(temporary);
  }
  return ok;
}

bool file_make_dirs(const char *path, struct error *err) {
  char copy[PATH_MAX];
  size_t length = strlen(path);
  if (length == 0 || length >= sizeof copy) {
    return error_set(err, ERR_INVALID, "\"%.100s\" is no path for a folder", path);
  }
  memcpy(copy, path, length + 1);
  for (char *p = copy + 1;; p++) {
    if (*p != '/' && *p != '\0') {
      continue;
    }
    char kept = *p;
    *p = '\0';
    if (mkdir(copy, 0755) != 0 && errno != EEXIST) {
      return io_error(err, copy);
    }
    *p = kept;
    if (kept == '\0') {
      break;
    }
  }
  struct stat st;
  if (stat(path, &st) != 0) {
    return io_error(err, path);
  }
  return S_ISDIR(st.st_mode) || error_set(err, ERR_IO, "%s: is not a folder", path);
}

/* ---- the reader ---- */

struct file_reader {
  char *path;
  int fd;
  bool gzip, member_open, at_end;
  z_stream z;
  char *packed; /* gzip input not yet unpacked: z.next_in points into it */
  char *bytes;
  size_t begin, end, capacity; /* unread bytes are [begin, end) */
  uint64_t line;
  bool skipping; /* inside a line that was too long */
};

/* Appends raw bytes of the file to `bytes`; -1 on error. */
static void make_room(struct file_reader *r) {
  if (r->begin > 0) {
    memmove(r->bytes, r->bytes + r->begin, r->end - r->begin);
    r->end -= r->begin;
    r->begin = 0;
  }
  if (r->capacity - r->end < CHUNK_BYTES) {
    r->capacity = r->capacity ? r->capacity * 2 : 2 * CHUNK_BYTES;
    r->bytes = mem_grow(r->bytes, r->capacity, 1);
  }
}

static int fill_plain(struct file_reader *r, struct error *err) {
  ssize_t n = read_some(r->fd, r->bytes + r->end, CHUNK_BYTES);
  if (n < 0) {
    io_error(err, r->path);
    return -1;
  }
  r->end += (size_t)n;
  return n > 0;
}

static int damaged(struct file_reader *r, const char *why, struct error *err) {
  error_set(err, ERR_INVALID, "%s: %s", r->path, why);
  return -1;
}

/* One more piece of packed input; 0 at the end of the file. */
static int refill_packed(struct file_reader *r, struct error *err) {
  ssize_t n = read_some(r->fd, r->packed, CHUNK_BYTES);
  if (n < 0) {
    io_error(err, r->path);
    return -1;
  }
  r->z.next_in = (Bytef *)r->packed;
  r->z.avail_in = (uInt)n;
  return n > 0;
}

/* Unpacks until there is something to show; a file may hold several gzip members, one after another. */
static int fill_gzip(struct file_reader *r, struct error *err) {
  for (;;) {
    if (r->z.avail_in == 0) {
      int more = refill_packed(r, err);
      if (more < 0) {
        return -1;
      }
      if (more == 0) {
        return r->member_open ? damaged(r, "the gzip data is cut short", err) : 0;
      }
    }
    r->member_open = true;
    r->z.next_out = (Bytef *)r->bytes + r->end;
    r->z.avail_out = (uInt)CHUNK_BYTES;
    int state = inflate(&r->z, Z_NO_FLUSH);
    size_t made = CHUNK_BYTES - r->z.avail_out;
    r->end += made;
    if (state == Z_STREAM_END) {
      r->member_open = false;
      must(inflateReset(&r->z) == Z_OK);
    } else if (state != Z_OK && state != Z_BUF_ERROR) {
      return damaged(r, "the gzip data is damaged", err);
    }
    if (made > 0) {
      return 1;
    }
  }
}

struct file_reader *file_open(const char *path, struct error *err) {
  bool standard_input = strcmp(path, "-") == 0;
  int fd = standard_input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    io_error(err, path);
    return NULL;
  }
  struct file_reader *r = mem_alloc(sizeof *r);
  size_t length = strlen(path) + 1;
  r->path = mem_alloc(length);
  memcpy(r->path, path, length);
  r->fd = fd;
  r->packed = mem_alloc(CHUNK_BYTES);
  make_room(r);
  int more = refill_packed(r, err);
  if (more < 0) {
    file_close(r);
    return NULL;
  }
  r->gzip = r->z.avail_in >= 2 && (unsigned char)r->packed[0] == 0x1f && (unsigned char)r->packed[1] == 0x8b;
  if (r->gzip) {
    must(inflateInit2(&r->z, 16 + MAX_WBITS) == Z_OK);
  } else {
    memcpy(r->bytes, r->packed, r->z.avail_in);
    r->end = r->z.avail_in;
  }
  return r;
}

void file_close(struct file_reader *r) {
  if (r == NULL) {
    return;
  }
  if (r->gzip) {
    inflateEnd(&r->z);
  }
  close(r->fd);
  free(r->packed);
  free(r->bytes);
  free(r->path);
  free(r);
}

int file_fill(struct file_reader *r, size_t consumed_bytes, slice *window, struct error *err) {
  must(consumed_bytes <= r->end - r->begin);
  r->begin += consumed_bytes;
  make_room(r);
  int more = r->at_end ? 0 : r->gzip ? fill_gzip(r, err) : fill_plain(r, err);
  r->at_end = more <= 0;
  *window = (slice){r->bytes + r->begin, r->end - r->begin};
  return more;
}

/* ---- lines ---- */

static slice without_return(const char *begin, size_t length) {
  return (slice){begin, length - (length > 0 && begin[length - 1] == '\r')};
}

static int line_too_long(struct file_reader *r, size_t limit_bytes, uint64_t line_number, struct error *err) {
  error_set(err, ERR_LIMIT, "%s:%llu: the line is longer than %zu bytes", r->path, (unsigned long long)line_number,
            limit_bytes);
  return -1;
}

/* Looks in the window only; -2 when the line does not end there. */
static int line_in_window(struct file_reader *r, size_t limit_bytes, slice *line, struct error *err) {
  const char *begin = r->bytes + r->begin, *end = memchr(begin, '\n', r->end - r->begin);
  size_t length = end ? (size_t)(end - begin) : r->end - r->begin;
  if (end == NULL && length <= limit_bytes && !r->skipping) {
    return -2;
  }
  bool too_long = r->skipping || length > limit_bytes;
  r->begin += length + (end != NULL);
  if (end == NULL) {
    r->skipping = true;
    return -2;
  }
  r->skipping = false;
  *line = without_return(begin, length);
  return too_long ? line_too_long(r, limit_bytes, r->line, err) : 1;
}

static int last_line(struct file_reader *r, size_t limit_bytes, slice *line, struct error *err) {
  size_t length = r->end - r->begin;
  bool skipped = r->skipping;
  *line = without_return(r->bytes + r->begin, length);
  r->begin = r->end;
  r->skipping = false;
  if (skipped) {
    return line_too_long(r, limit_bytes, r->line, err);
  }
  return length > 0;
}

int file_line(struct file_reader *r, size_t limit_bytes, slice *line, uint64_t *line_number, struct error *err) {
  r->line++;
  *line_number = r->line;
  for (;;) {
    slice window;
    int found = r->end > r->begin ? line_in_window(r, limit_bytes, line, err) : -2;
    if (found != -2) {
      return found;
    }
    if (r->at_end) {
      return last_line(r, limit_bytes, line, err);
    }
    if (file_fill(r, 0, &window, err) < 0) {
      r->begin = r->end; /* half a line is not worth reading */
      return -1;
    }
  }
}
