/* CSV after RFC 4180, as files are met: quotes, CRLF, BOM, ';' or tab; one record at a time from any reader. */
#ifndef METERHOUSE_BASE_CSV_H
#define METERHOUSE_BASE_CSV_H
#include "base/base.h"
#define CSV_FIELDS_MAX 1024
#define CSV_RECORD_BYTES_MAX (1u << 20)
struct csv_record {
  slice field[CSV_FIELDS_MAX];
  size_t count;
  uint64_t line; /* first line of the record, 1-based */
};
/* Takes one record from the front of `text` (advanced past it; fields point into `arena`). Returns 1 a record, 0 no
 * complete record yet (more bytes needed; at `last` the rest is a record), -1 error: unclosed quote, NUL byte, limits;
 * after an error `text` stands at the next line, so that the rest of the file is kept. Blank lines are skipped. */
int csv_next(slice *text, bool last, char separator, uint64_t *line, struct arena *arena, struct csv_record *out,
             struct error *err);
#endif
