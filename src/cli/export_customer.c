/* meterhouse export customer: all that a customer's invoices are derived from, for `verify --export`. */
#include "cli/export.h"

bool export_customer(struct export *e, struct error *err) {
  struct export_result result;
  if (e->book == NULL || e->customer.len == 0 || e->out == NULL) {
    return error_set(err, ERR_USAGE, "say --data DIR, --customer ID and --out FOLDER");
  }
  if (!book_export_customer(e->book, e->customer, e->out, &result, err)) {
    return false;
  }
  printf("%s: %llu events, %llu corrections, %llu invoices of customer " SLICE_FMT "\n", e->out,
         (unsigned long long)result.events, (unsigned long long)result.corrections, (unsigned long long)result.invoices,
         SLICE_ARG(e->customer));
  return true;
}
