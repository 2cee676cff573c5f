/* GET commitments: how full a customer's reservations and savings plans are, and what share of the usage is theirs. */
#include "api/private.h"

#define PERIOD_DAYS_MAX 366 /* every hour of it is looked at, and shown when asked */

/* What has not happened yet is not unused: a period that still runs is looked at up to now. */
static bool period_so_far(struct api_call *call, const struct customer *customer, slice *out, struct error *err) {
  struct period period;
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
  if (period.from.ns < now.ns && now.ns < period.to.ns) {
    *out = slice_of(arena_printf(call->arena, "%s/%s", time_format(period.from, from), time_format(now, to)));
  }
  return true;
}

static bool put_coverages(struct api_call *call, const struct catalog *catalog, const struct rating_set *set,
                          bool hourly, struct error *err) {
  struct rating rating = {0};
  if (set->rating_count > 0) {
    rating = set->ratings[0];
  }
  if (hourly && set->rating_count > 0 &&
      !rate_customer_hourly(set->arena, catalog, rating.customer, rating.period, set->rows, set->row_count, &rating,
                            err)) {
    return false;
  }
  list_begin(call);
  for (size_t i = 0; i < rating.coverage_count; i++) {
    coverage_put(&call->json, &rating.coverages[i]);
  }
  list_end(call, (slice){0});
  return true;
}

bool commitments_read(struct api_call *call, struct book *book, struct error *err) {
  const struct catalog *catalog = book_catalog(book);
  const struct customer *customer = catalog_customer(catalog, call->customer);
  struct rating_set set;
  slice period, hourly = http_query(call->http, "hourly");
  if (hourly.len > 0 && !slice_is(hourly, "true") && !slice_is(hourly, "false")) {
    return error_set(err, ERR_INVALID, "hourly is \"" SLICE_FMT "\": expected true or false", SLICE_ARG(hourly));
  }
  if (call->customer.len == 0) {
    return error_set(err, ERR_INVALID, "say customer= and period=2026-10");
  }
  if (customer == NULL) {
    return error_set(err, ERR_NOT_FOUND, "there is no customer \"" SLICE_FMT "\"", SLICE_ARG(call->customer));
  }
  if (!period_so_far(call, customer, &period, err) || !book_rate_some(book, &customer, 1, period, 0, &set, err)) {
    return false;
  }
  bool ok = put_coverages(call, catalog, &set, slice_is(hourly, "true"), err);
  rating_set_free(&set);
  return ok;
}
