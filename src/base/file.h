/* Files as bytes: whole small files, atomic replace, and a line reader that also opens .gz. */
#ifndef METERHOUSE_BASE_FILE_H
#define METERHOUSE_BASE_FILE_H
#include "base/base.h"
MUST_USE bool file_read(struct arena *arena, const char *path, size_t limit_bytes, slice *out, struct error *err);
/* Temporary file, fsync, rename, fsync of the folder: a reader sees the old or the new bytes, never half. */
MUST_USE bool file_write(const char *path, slice bytes, struct error *err);
MUST_USE bool file_make_dirs(const char *path, struct error *err); /* like mkdir -p */

/* Streams a plain or gzip file (told by its magic bytes; "-" is standard input) in chunks. */
struct file_reader;
MUST_USE struct file_reader *file_open(const char *path, struct error *err);
void file_close(struct file_reader *r);
/* Makes at least one more chunk available; `*window` is all unread bytes, owned by the reader until the next call.
 * Returns 1 more to come, 0 this is the end of the file, -1 error (truncated gzip: what was readable is in the window
 * first). */
int file_fill(struct file_reader *r, size_t consumed_bytes, slice *window, struct error *err);
/* Next line without its end; lines over `limit_bytes` are skipped whole and reported as -1 with ERR_LIMIT, reading may
 * go on. 1 a line, 0 end, -1 error (ERR_LIMIT: go on; others: stop). `*line_number` is 1-based. */
int file_line(struct file_reader *r, size_t limit_bytes, slice *line, uint64_t *line_number, struct error *err);
#endif
