/* Charges of a plan in another currency than the customer's: converted once, as their last step. */
#include "rate/private.h"

static bool no_rate(const struct rating *rating, const struct plan *plan, instant last, struct error *err) {
  char date[TIME_TEXT_MAX];
  const char *from = plan->currency->code, *to = rating->customer->currency->code;
  return error_set(err, ERR_INVALID,
                   "no exchange rate from %s to %s is in force on %s: plan \"" SLICE_FMT
                   "\" is in %s and the customer pays in %s; add one to exchange_rates",
                   from, to, time_format_date(last, rating->customer->time_zone, date), SLICE_ARG(plan->name), from,
                   to);
}

static bool convert(struct arena *arena, const struct exchange_rate *found, struct charge *charge, struct error *err) {
  struct conversion *conversion = arena_alloc(arena, sizeof *conversion);
  *conversion = (struct conversion){found, charge->exact};
  charge->conversion = conversion;
  return amount_times_rate(conversion->exact, found->rate, ROUND_HALF_EVEN, &charge->exact, err) ||
         error_at(err, "%s:%d: charge \"" SLICE_FMT "\"", found->place.file, found->place.line,
                  SLICE_ARG(charge->name));
}

bool convert_charges(struct arena *arena, const struct catalog *catalog, const struct rating *rating,
                     const struct stretch *stretch, struct charges *charges, size_t from, struct error *err) {
  const struct plan *plan = stretch->segment->plan;
  const instant last = {rating->period.to.ns - 1};
  if (plan->currency == rating->customer->currency || from == charges->count) {
    return true;
  }
  const struct exchange_rate *found = catalog_exchange_rate(catalog, plan->currency, rating->customer->currency, last);
  if (!found) {
    return no_rate(rating, plan, last, err);
  }
  for (size_t i = from; i < charges->count; i++) {
    if (!convert(arena, found, &charges->items[i], err)) {
      return false;
    }
  }
  return true;
}
