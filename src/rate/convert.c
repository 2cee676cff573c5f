/* Charges of a plan in another currency than the customer's: converted once, as their last step. */
#include "rate/private.h"

static bool no_rate(const struct rating *rating, const struct plan *plan, instant moment, struct error *err) {
  char date[TIME_TEXT_MAX];
  const char *from = plan->currency->code, *to = rating->customer->currency->code;
  return error_set(err, ERR_INVALID,
                   "no exchange rate from %s to %s is in force on %s: plan \"" SLICE_FMT
                   "\" is in %s and the customer pays in %s; add one to exchange_rates",
                   from, to, time_format_date(moment, rating->customer->time_zone, date), SLICE_ARG(plan->name), from,
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

/* An opening charges in advance: it can not wait for the rate of its end. */
static instant moment_of_rate(const struct rating *rating) {
  return rating->opening ? rating->period.from : (instant){rating->period.to.ns - 1};
}

bool convert_charges(struct arena *arena, const struct catalog *catalog, const struct rating *rating,
                     struct charges *charges, struct error *err) {
  const struct currency *to = rating->customer->currency;
  instant moment = moment_of_rate(rating);
  for (size_t i = 0; i < charges->count; i++) {
    const struct plan *plan = charges->items[i].segment->plan;
    if (plan->currency == to) {
      continue;
    }
    const struct exchange_rate *found = catalog_exchange_rate(catalog, plan->currency, to, moment);
    if (!found) {
      return no_rate(rating, plan, moment, err);
    }
    if (!convert(arena, found, &charges->items[i], err)) {
      return false;
    }
  }
  return true;
}
