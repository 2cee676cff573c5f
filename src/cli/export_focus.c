/* export focus: the datasets of FOCUS 1.4, each a file NAME.csv in the folder --out. */
#include "cli/export.h"
#include "documents/documents.h"
#include <string.h>

static bool add_invoice(void *context, slice number, slice status, slice document, struct error *err) {
  return focus_add(context, document, status, err) || error_at(err, SLICE_FMT, SLICE_ARG(number));
}

/* FOCUS_DATASETS stands for all of them. */
static bool dataset_named(const char *name, int *out, struct error *err) {
  *out = FOCUS_DATASETS;
  if (name == NULL || strcmp(name, "all") == 0) {
    return true;
  }
  for (int d = 0; d < FOCUS_DATASETS; d++) {
    if (strcmp(name, focus_dataset_name((enum focus_dataset)d)) == 0) {
      *out = d;
      return true;
    }
  }
  return error_set(
      err, ERR_USAGE,
      "--dataset is cost-and-usage, invoice-detail, billing-period, contract-commitment or all, not \"%s\"", name);
}

bool export_focus(struct export *e, struct error *err) {
  int wanted;
  if (!dataset_named(cli_value(e->args, "--dataset"), &wanted, err)) {
    return false;
  }
  if (wanted == FOCUS_DATASETS && e->out == NULL) {
    return error_set(err, ERR_USAGE, "there are four datasets: say --out DIR, or one --dataset");
  }
  struct focus *focus = focus_new(e->book ? book_catalog(e->book) : NULL, EXPORT_BYTES_MAX);
  bool ok = export_invoices(e, add_invoice, focus, err);
  for (int d = 0; ok && d < FOCUS_DATASETS; d++) {
    if (wanted == d || wanted == FOCUS_DATASETS) {
      enum focus_dataset dataset = (enum focus_dataset)d;
      const char *name = arena_printf(e->arena, "%s.csv", focus_dataset_name(dataset));
      ok = export_write(e, name, focus_dataset(focus, dataset), err);
    }
  }
  focus_free(focus);
  return ok;
}
