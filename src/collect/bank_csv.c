/* Bank files as CSV: a header that names date, amount, currency, reference, and where there are any payer, customer,
 * id.
 */
#include "base/csv.h"
#include "collect/private.h"
#include <stdlib.h>
#include <string.h>

enum column { COLUMN_DATE, COLUMN_AMOUNT, COLUMN_CURRENCY, COLUMN_REFERENCE, COLUMN_PAYER, COLUMN_CUSTOMER, COLUMN_ID };
#define COLUMNS (COLUMN_ID + 1)
#define NEEDED (COLUMN_REFERENCE + 1)
static const char *const column_names[COLUMNS + 1] = {"date",  "amount",   "currency", "reference",
                                                      "payer", "customer", "id",       NULL};

struct reading {
  const char *name, *zone;
  const struct bank_hooks *hooks;
  char separator;
  bool has_header;
  size_t width;
  size_t at[COLUMNS]; /* where each column stands; SIZE_MAX: it is not there */
  struct bank_ids ids;
  struct arena *arena; /* of a record */
  size_t entries;
};

/* The one that stands most often in the first line. */
static char separator_of(slice text) {
  static const char candidates[] = {',', ';', '\t'};
  size_t counts[3] = {0};
  for (size_t i = 0; i < text.len && text.ptr[i] != '\n'; i++) {
    for (size_t s = 0; s < sizeof candidates; s++) {
      counts[s] += text.ptr[i] == candidates[s];
    }
  }
  size_t best = counts[1] > counts[0] ? 1 : 0;
  return candidates[counts[2] > counts[best] ? 2 : best];
}

static bool name_is(slice text, const char *name) {
  text = slice_trim(text);
  return text.len == strlen(name) && strncasecmp(text.ptr, name, text.len) == 0;
}

/* Columns of other names are the bank's own business. */
static bool take_header(struct reading *r, const struct csv_record *record, struct error *err) {
  r->has_header = true;
  r->width = record->count;
  for (size_t c = 0; c < COLUMNS; c++) {
    r->at[c] = SIZE_MAX;
    for (size_t i = 0; i < record->count; i++) {
      if (!name_is(record->field[i], column_names[c])) {
        continue;
      }
      if (r->at[c] != SIZE_MAX) {
        return error_set(err, ERR_INVALID, "%s:%llu: the header names the column \"%s\" twice", r->name,
                         (unsigned long long)record->line, column_names[c]);
      }
      r->at[c] = i;
    }
    if (c < NEEDED && r->at[c] == SIZE_MAX) {
      return error_set(
          err, ERR_INVALID,
          "%s:%llu: the header has no column \"%s\": it should have date, amount, currency, reference, and "
          "may have payer, customer, id",
          r->name, (unsigned long long)record->line, column_names[c]);
    }
  }
  return true;
}

static slice field_of(const struct reading *r, const struct csv_record *record, enum column c) {
  return r->at[c] == SIZE_MAX ? (slice){0} : slice_trim(record->field[r->at[c]]);
}

/* Where fields are parted by semicolons the comma is often the decimal one. */
static slice decimal_of(const struct reading *r, slice text) {
  const char *comma = text.len ? memchr(text.ptr, ',', text.len) : NULL;
  if (comma == NULL || r->separator == ',' || memchr(text.ptr, '.', text.len) != NULL) {
    return text;
  }
  slice copy = arena_copy(r->arena, text);
  ((char *)(uintptr_t)copy.ptr)[comma - text.ptr] = '.';
  return copy;
}

static bool fields_of(struct reading *r, const struct csv_record *record, struct payment_request *out,
                      struct error *why) {
  if (record->count != r->width) {
    return error_set(why, ERR_INVALID, "the record has %zu fields, the header has %zu", record->count, r->width);
  }
  *out = (struct payment_request){.source = PAYMENT_BANK,
                                  .key = field_of(r, record, COLUMN_ID),
                                  .currency = field_of(r, record, COLUMN_CURRENCY),
                                  .customer = field_of(r, record, COLUMN_CUSTOMER),
                                  .payer = field_of(r, record, COLUMN_PAYER),
                                  .text = field_of(r, record, COLUMN_REFERENCE)};
  if (!time_parse_loose(field_of(r, record, COLUMN_DATE), r->zone, &out->received, why)) {
    return error_at(why, "date");
  }
  return amount_parse(decimal_of(r, field_of(r, record, COLUMN_AMOUNT)), &out->amount, why) || error_at(why, "amount");
}

static bool take_record(struct reading *r, const struct csv_record *record, struct error *err) {
  struct payment_request request;
  struct error why = {0};
  if (!r->has_header) {
    return take_header(r, record, err);
  }
  if (r->entries++ == BANK_ENTRIES_MAX) {
    return error_set(err, ERR_LIMIT, "%s: at most %d entries: split it", r->name, BANK_ENTRIES_MAX);
  }
  if (!fields_of(r, record, &request, &why)) {
    r->hooks->refused(r->hooks->context, record->line, &why);
    return true;
  }
  if (amount_cmp(request.amount, AMOUNT_ZERO) <= 0) {
    r->hooks->passed_over(r->hooks->context, record->line, "it is no incoming payment");
    return true;
  }
  if (request.key.len == 0) {
    request.key = bank_derived_id(&r->ids, r->arena, &request);
  }
  return r->hooks->payment(r->hooks->context, record->line, &request, err);
}

static bool read_records(struct reading *r, slice text, struct csv_record *record, struct error *err) {
  uint64_t line = 0;
  for (;;) {
    struct error why = {0};
    arena_reset(r->arena);
    int got = csv_next(&text, true, r->separator, &line, r->arena, record, &why);
    if (got == 0) {
      return r->has_header || error_set(err, ERR_INVALID, "%s:1: the file is empty: a header was expected", r->name);
    }
    if (got < 0 && !r->has_header) {
      *err = why;
      return error_at(err, "%s", r->name);
    }
    if (got < 0) {
      r->hooks->refused(r->hooks->context, record->line, &why);
    } else if (!take_record(r, record, err)) {
      return false;
    }
  }
}

bool bank_csv_parse(const char *name, slice bytes, const char *zone, const struct bank_hooks *hooks,
                    struct error *err) {
  struct reading r = {.name = name,
                      .zone = zone,
                      .hooks = hooks,
                      .separator = separator_of(bytes),
                      .ids = {.arena = arena_new()},
                      .arena = arena_new()};
  struct csv_record *record = mem_alloc(sizeof *record);
  bool ok = read_records(&r, bytes, record, err);
  free(record);
  map_free(&r.ids.occurrences);
  arena_free(r.ids.arena);
  arena_free(r.arena);
  return ok;
}
