/* GET commitments: how full a customer's reservations and savings plans are, and what share of the usage is theirs;
 * what is drawn of commitments to spend, and what is left. */
#include "api/private.h"
#include <string.h>

#define PERIOD_DAYS_MAX 366 /* every hour of it is looked at, and shown when asked */

/* What has not happened yet is not unused: a period that still runs is looked at up to now. */
static bool period_so_far(struct api_call *call, const struct customer *customer, slice *out, slice *invoiced,
                          struct error *err) {
  struct period period;
  char name[2 * TIME_TEXT_MAX];
  instant now = clock_now();
  char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX];
  *out = http_query(call->http, "period");
  if (out->len == 0) {
    return error_set(err, ERR_INVALID, "say period=2026-10");
  }
  bool none;
  if (!billing_period_named(customer, *out, &period, &none, err)) {
    return error_at(err, "period");
  }
  if (period.to.ns - period.from.ns > PERIOD_DAYS_MAX * INT64_C(86400) * NS_PER_S) {
    return error_set(err, ERR_INVALID, "period is longer than %d days", PERIOD_DAYS_MAX);
  }
  *invoiced = arena_copy(call->arena, slice_of(billing_period_name(customer, period, name)));
  if (period.from.ns < now.ns && now.ns < period.to.ns) {
    *out = slice_of(arena_printf(call->arena, "%s/%s", time_format(period.from, from), time_format(now, to)));
  }
  return true;
}

/* ---- commitments to spend ---- */

struct stated {
  struct api_call *call;
  bool found;
};

static bool put_stated(void *context, const struct stored_invoice *i, struct error *err) {
  struct stated *s = context;
  const struct json *document;
  if (slice_is(i->status, "void") || i->part.len > 0 || s->found) {
    return true;
  }
  if (!document_parse(s->call->arena, arena_copy(s->call->arena, i->document), &document, err)) {
    return false;
  }
  const struct json *list = json_get(document, "commitments");
  for (const struct json *c = list ? list->child : NULL; c; c = c->next) {
    if (commitment_is_spend(c)) {
      json_value(&s->call->json, c);
    }
  }
  s->found = true;
  return true;
}

/* As an invoice made now would tell it. */
static bool put_drafted(struct api_call *call, struct book *book, const struct rating_set *set,
                        const struct rating *rating, struct error *err) {
  struct invoice invoice;
  struct commitment_state *states;
  size_t count;
  char digest[65] = "";
  if (!commitment_states(set->arena, book_db(book), rating->customer->id, &states, &count, err)) {
    return false;
  }
  const struct invoice_purse purse = {.commitments = states, .commitment_count = count};
  if (!invoice_build(set->arena, book_catalog(book), rating, &purse, 0, digest, &invoice, err)) {
    return false;
  }
  for (size_t i = 0; i < invoice.commitment_count; i++) {
    commitment_put(&call->json, &invoice, &invoice.commitments[i]);
  }
  return true;
}

/* A period that is invoiced has drawn already: its invoice tells. */
static bool put_spends(struct api_call *call, struct book *book, const struct rating_set *set,
                       const struct rating *rating, slice invoiced, struct error *err) {
  struct stated stated = {.call = call};
  struct invoice_query query = {
      .customer = call->customer, .period = invoiced, .limit = SIZE_MAX, .with_document = true};
  if (rating->commitment_count == 0) {
    return true;
  }
  return invoice_list(book_db(book), &query, put_stated, &stated, err) &&
         (stated.found || put_drafted(call, book, set, rating, err));
}

static bool put_all(struct api_call *call, struct book *book, const struct rating_set *set, bool hourly, slice invoiced,
                    struct error *err) {
  struct rating rating = {0};
  if (set->rating_count > 0) {
    rating = set->ratings[0];
  }
  if (hourly && set->rating_count > 0 &&
      !rate_customer_hourly(set->arena, book_catalog(book), rating.customer, rating.period, set->rows, set->row_count,
                            &rating, err)) {
    return false;
  }
  list_begin(call);
  for (size_t i = 0; i < rating.coverage_count; i++) {
    coverage_put(&call->json, NULL, &rating.coverages[i]);
  }
  if (set->rating_count > 0 && !put_spends(call, book, set, &rating, invoiced, err)) {
    return false;
  }
  list_end(call, (slice){0});
  return true;
}

bool commitments_read(struct api_call *call, struct book *book, struct error *err) {
  const struct catalog *catalog = book_catalog(book);
  const struct customer *customer = catalog_customer(catalog, call->customer);
  struct rating_set set;
  slice period, invoiced, hourly = http_query(call->http, "hourly");
  if (hourly.len > 0 && !slice_is(hourly, "true") && !slice_is(hourly, "false")) {
    return error_set(err, ERR_INVALID, "hourly is \"" SLICE_FMT "\": expected true or false", SLICE_ARG(hourly));
  }
  if (call->customer.len == 0) {
    return error_set(err, ERR_INVALID, "say customer= and period=2026-10");
  }
  if (customer == NULL) {
    return error_set(err, ERR_NOT_FOUND, "there is no customer \"" SLICE_FMT "\"", SLICE_ARG(call->customer));
  }
  if (!period_so_far(call, customer, &period, &invoiced, err) ||
      !book_rate_some(book, &customer, 1, period, 0, &set, err)) {
    return false;
  }
  bool ok = put_all(call, book, &set, slice_is(hourly, "true"), invoiced, err);
  rating_set_free(&set);
  return ok;
}
