/* Inside cli: the kinds of export, one file each. */
#ifndef METERHOUSE_CLI_EXPORT_H
#define METERHOUSE_CLI_EXPORT_H
#include "base/json.h"
#include "book/book.h"
#include "cli/cli.h"

struct export {
  const struct cli_args *args;
  struct arena *arena;
  struct book *book; /* NULL without --data */
  const char *out;   /* --out; NULL: standard output */
  slice customer, period;
  const char *const *names; /* what follows the kind */
  size_t name_count;
};
typedef bool export_kind(struct export *e, struct error *err);
export_kind export_documents, export_csv, export_focus, export_customer;

/* To the file of that name in the folder --out (NULL: to the file --out itself), or to standard output. */
MUST_USE bool export_write(struct export *e, const char *name, slice bytes, struct error *err);
/* Each invoice of the book that was asked for: by name, or by --period and --customer. Or of the files named. */
typedef bool export_each(void *context, slice number, slice status, slice document, struct error *err);
MUST_USE bool export_invoices(struct export *e, export_each *each, void *context, struct error *err);
void export_print_lists(void); /* for the help */
#define EXPORT_BYTES_MAX ((size_t)1 << 32)
#endif
