/* Closing a period: rate everyone, finalize each invoice once, then print the PDFs. Safe to repeat and to interrupt. */
#include "base/file.h"
#include "base/log.h"
#include "book/private.h"
#include "documents/documents.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Invoices finalized by one commit: what a disk takes to make it durable is then little beside the work. */
#define CLOSE_BATCH 1024

/* What a close turns into invoices: openings, then periods. Customers differ in time zones and billing days: what has
 * not ended yet is left for later. */
struct picked {
  const struct rating **items;
  size_t count;
};

static bool pick_due(const struct rating_set *set, bool early, struct picked *out, struct close_result *result,
                     struct error *err) {
  instant first = INSTANT_MAX;
  out->items = arena_array(set->arena, set->opening_count + set->rating_count, sizeof *out->items);
  for (size_t i = 0; i < set->opening_count; i++) {
    if (early || set->openings[i].period.from.ns <= set->as_of.ns) {
      out->items[out->count++] = &set->openings[i];
    }
  }
  for (size_t i = 0; i < set->rating_count; i++) {
    instant end = set->ratings[i].period.to;
    if (early || end.ns <= set->as_of.ns) {
      out->items[out->count++] = &set->ratings[i];
    } else {
      result->later++;
      first = time_earlier(end, first);
    }
  }
  if (out->count == 0 && result->later > 0) {
    char end[TIME_TEXT_MAX];
    return error_set(err, ERR_INVALID, "the period ends only at %s; --early closes it all the same",
                     time_format(first, end));
  }
  return true;
}

static void describe_unpriced(const struct customer *customer, const struct unpriced *u, char text[512]) {
  char units[DECIMAL_TEXT_MAX];
  int n = snprintf(text, 512, "unpriced: customer " SLICE_FMT ", %s " SLICE_FMT " of meter " SLICE_FMT,
                   SLICE_ARG(customer->id), quantity_text(u->units, units), SLICE_ARG(u->meter->unit),
                   SLICE_ARG(u->meter->name));
  for (size_t d = 0; d < u->meter->dimension_count && n > 0 && n < 400; d++) {
    n += snprintf(text + n, (size_t)(512 - n), ", " SLICE_FMT "=%.60s", SLICE_ARG(u->meter->dimensions[d]),
                  u->dimensions[d].len ? u->dimensions[d].ptr : "-");
  }
  if (n > 0 && n < 512) {
    snprintf(text + n, (size_t)(512 - n), ": %s", u->why);
  }
}

uint64_t rating_set_unpriced(const struct rating_set *set, void (*note)(void *context, const char *what),
                             void *context) {
  uint64_t count = 0;
  for (size_t i = 0; i < set->rating_count; i++) {
    for (size_t u = 0; u < set->ratings[i].unpriced_count; u++, count++) {
      char text[512];
      describe_unpriced(set->ratings[i].customer, &set->ratings[i].unpriced[u], text);
      note(context, text);
    }
  }
  for (size_t i = 0; i < set->late_unpriced_count; i++, count++) {
    char text[512];
    describe_unpriced(set->late_unpriced[i].customer, &set->late_unpriced[i].usage, text);
    note(context, text);
  }
  return count;
}

static bool add_to_sums(struct close_result *out, const struct invoice *invoice, struct error *err) {
  const char *code = invoice->customer->currency->code;
  size_t i = 0;
  while (i < out->sum_count && strcmp(out->sums[i].currency, code) != 0) {
    i++;
  }
  if (i == out->sum_count) {
    if (i == sizeof out->sums / sizeof *out->sums) {
      return error_set(err, ERR_LIMIT, "more currencies than one close can sum up");
    }
    memcpy(out->sums[out->sum_count++].currency, code, sizeof out->sums[i].currency);
  }
  struct close_sum *sum = &out->sums[i];
  sum->invoices++;
  return amount_add(sum->subtotal, invoice->subtotal, &sum->subtotal, err) &&
         amount_add(sum->tax, invoice->tax, &sum->tax, err) && amount_add(sum->total, invoice->total, &sum->total, err);
}

static bool count_one(struct book *book, struct rating_set *set, const struct rating *rating, struct close_result *out,
                      struct error *err) {
  struct invoice invoice;
  bool existed;
  slice id;
  if (!book_finalize(book, set, rating, &invoice, &existed, &id, err)) {
    return error_at(err, "customer " SLICE_FMT, SLICE_ARG(rating->customer->id));
  }
  if (invoice.line_count == 0) {
    out->empty++;
    return true;
  }
  if (existed) {
    out->already++;
    return true;
  }
  out->invoices++;
  return add_to_sums(out, &invoice, err);
}

/* In an arena of its own: a run of a hundred thousand would otherwise keep all of them in memory. */
bool finalize_rating(struct book *book, struct rating_set *set, const struct rating *rating, struct close_result *out,
                     struct error *err) {
  struct rating_set one = *set;
  one.arena = arena_new();
  bool ok = count_one(book, &one, rating, out, err);
  arena_free(one.arena);
  return ok;
}

static bool finalize_batch(struct book *book, struct rating_set *set, const struct picked *due, size_t first,
                           size_t last, struct close_result *out, struct error *err) {
  struct close_result before = *out;
  if (!book_begin(book, err)) {
    return false;
  }
  for (size_t i = first; i < last; i++) {
    if (!finalize_rating(book, set, due->items[i], out, err)) {
      book_undo(book);
      *out = before;
      return false;
    }
  }
  return book_commit(book, err);
}

static bool finalize_all(struct book *book, struct rating_set *set, const struct picked *due, struct close_result *out,
                         struct error *err) {
  for (size_t first = 0; first < due->count; first += CLOSE_BATCH) {
    size_t last = first + CLOSE_BATCH < due->count ? first + CLOSE_BATCH : due->count;
    if (!finalize_batch(book, set, due, first, last, out, err)) {
      return false;
    }
    log_progress("invoices", last, due->count);
  }
  return true;
}

/* ---- PDFs ---- */

struct pdf_job {
  struct book *book;
  struct arena *arena;
  const char *path;
  uint64_t done;
};

static bool print_pdf(void *context, const struct stored_invoice *stored, struct error *err) {
  struct pdf_job *job = context;
  job->path = arena_printf(job->arena, "%s/invoices/" SLICE_FMT ".pdf", job->book->dir, SLICE_ARG(stored->number));
  job->done++;
  if (access(job->path, R_OK) == 0) {
    return true;
  }
  struct buf pdf;
  buf_init(&pdf, 64u << 20);
  bool ok =
      document_pdf(stored->document, job->book->catalog, &pdf, err) && file_write(job->path, buf_slice(&pdf), err);
  buf_free(&pdf);
  return ok;
}

static bool print_pdfs(struct book *book, struct arena *arena, const struct invoice_query *query, struct pdf_job *job,
                       struct error *err) {
  *job = (struct pdf_job){.book = book, .arena = arena};
  return file_make_dirs(book_path(book, arena, "invoices"), err) && invoice_list(book->db, query, print_pdf, job, err);
}

bool book_invoice_pdf(struct book *book, struct arena *arena, slice invoice_id, const char **path, struct error *err) {
  struct pdf_job job;
  struct invoice_query query = {.id = invoice_id, .limit = 1, .with_document = true};
  if (!print_pdfs(book, arena, &query, &job, err)) {
    return false;
  }
  *path = job.path;
  return job.done > 0 || error_set(err, ERR_NOT_FOUND, "there is no invoice \"" SLICE_FMT "\"", SLICE_ARG(invoice_id));
}

bool book_close_period(struct book *book, slice period, const struct close_options *options,
                       void (*note)(void *context, const char *what), void *context, struct close_result *out,
                       struct error *err) {
  *out = (struct close_result){0};
  struct rating_set set;
  if (!book_rate(book, (slice){0}, period, &set, err)) {
    return false;
  }
  struct picked due = {0};
  bool ok = pick_due(&set, options->early, &due, out, err);
  if (ok) {
    out->unpriced = rating_set_unpriced(&set, note, context);
  }
  if (ok && out->unpriced > 0 && !options->allow_unpriced) {
    ok = error_set(err, ERR_INVALID,
                   "%llu kinds of usage have no price, nothing was finalized: price them in the catalog, or close with "
                   "--allow-unpriced",
                   (unsigned long long)out->unpriced);
  }
  ok = ok && finalize_all(book, &set, &due, out, err);
  if (ok && options->pdf) {
    struct pdf_job job;
    struct invoice_query query = {.period = period, .limit = SIZE_MAX, .with_document = true};
    ok = print_pdfs(book, set.arena, &query, &job, err);
  }
  rating_set_free(&set);
  return ok;
}
