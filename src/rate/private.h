/* What the files of the rating engine share: exact fractions, stretches of a period, runs and items of usage, steps. */
#ifndef METERHOUSE_RATE_PRIVATE_H
#define METERHOUSE_RATE_PRIVATE_H
#include "rate/rate.h"

/* ---- fraction.c: products of many factors, so that an amount is rounded once at the end of them ---- */
struct fraction {
  int128 num, den;
}; /* den > 0; not always in lowest terms */
#define FRACTION_ONE ((struct fraction){1, 1})
MUST_USE bool fraction_times(struct fraction *f, int128 num, int128 den, struct error *err);
void fraction_reduce(struct fraction *f);
static inline bool fraction_is_one(struct fraction f) {
  return f.num == f.den;
}
/* each x count x multiplier / per, rounded once, half-even. */
MUST_USE bool amount_of_usage(amount each, int128 count, int128 per, rate multiplier, amount *out, struct error *err);
MUST_USE bool amount_times_fraction(amount a, struct fraction f, amount *out, struct error *err);
MUST_USE bool quantity_times_fraction(quantity q, struct fraction f, quantity *out, struct error *err);
/* Raw units as units of the meter, half-even to 1e-9. */
MUST_USE bool quantity_units(const struct meter *meter, quantity raw, quantity *units, struct error *err);

/* ---- months.c ---- */
/* `day`: on which months begin. */
MUST_USE bool months_between(struct period p, const char *zone, int day, struct fraction *out, struct error *err);
MUST_USE bool fraction_rate(struct fraction f, rate *out, struct error *err); /* half-even to 1e-12 */

/* ---- segments.c ---- */
#define TERMS_MAX (CONTRACT_ADD_ONS_MAX + 2)
/* What holds at `t`: the contract's own first, then the plan, then add-ons, and how many times its fees count. */
size_t terms_of(const struct catalog *catalog, const struct contract *contract, instant t,
                const struct plan *terms[TERMS_MAX], quantity times[TERMS_MAX]);
/* A segment, or a gap between segments, while it is being rated. */
struct stretch {
  const struct customer *customer;
  const struct segment *segment; /* NULL: no contract or no plan version is in force */
  const struct plan *terms[TERMS_MAX];
  quantity times[TERMS_MAX];
  size_t term_count, price_count; /* prices of all terms together */
  instant from, to;
  struct fraction months;    /* share of a month */
  const char *prorated;      /* "prorated 12 of 31 days"; NULL for whole months */
  bool ordered;              /* some items are single rows, because their order in time matters */
  struct cover_span *covers; /* in force in it: the contract's own, then those of the plan */
  size_t cover_count;
  struct item *items;
  size_t count, capacity;
};
MUST_USE bool stretches_of(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                           struct period period, const struct segment *segments, size_t segment_count,
                           struct stretch **out, size_t *count, struct error *err);

/* ---- collect.c: rows become items ---- */
/* All that rows of one dimension set have in common in one stretch: what would take them. */
struct run {
  const struct meter *meter;
  const slice *dimensions;
  const struct price_rule *price; /* NULL: none matches */
  size_t slot;                    /* of the price, counted over all terms */
  rate multiplier;
  instant until;              /* the multiplier is another one from here on, where it depends on the time */
  const uint64_t *allowances; /* a bit for each that matches, counted over all terms; NULL: none */
  struct claim *claims;       /* of the stretch's covers that match */
  size_t claim_count;
};
/* A row, or all rows of a run where their order does not matter or the meter combines them. */
struct item {
  const struct run *run;
  quantity raw, included, covered; /* included: what allowances cover; covered: what reservations and plans do */
  instant from, to;
  uint32_t rows, events;
  size_t sequence; /* of its first row, settles the order of equal times */
};
/* What is left for the price. */
static inline quantity item_open(const struct item *item) {
  return (quantity){item->raw.e9 - item->included.e9 - item->covered.e9};
}
struct intake {
  struct arena *scratch;
  const struct customer *customer;
  struct period period;
  struct stretch *stretches;
  size_t stretch_count;
};
MUST_USE bool collect_items(const struct intake *intake, const struct usage_row *rows, size_t count, struct error *err);
bool meter_combines(const struct meter *meter); /* max, min, latest: rows of a run combine instead of adding */
bool error_at_price(const struct price_rule *price, struct error *err);
uint32_t count_add(uint32_t a, uint32_t b); /* stays at the highest rather than wrap */

/* ---- hours.c ---- */
/* Is `t` within the hours? Lowers *until to the next instant at which that may change. */
bool hours_hold(const struct hours *hours, instant t, instant *until);

/* The product of the multipliers that match at `t`; lowers *until to where it may become another. */
MUST_USE bool price_multiplier(const struct price_rule *price, const slice *dimensions, instant t, rate *out,
                               instant *until, struct error *err);

/* ---- allowances.c ---- */
MUST_USE bool draw_allowances(struct stretch *stretch, struct error *err);

/* Usage climbs the tiers in order of time, each part at the price of the tier it lies in. */
static inline bool price_climbs(const struct price_rule *price) {
  return price->model == PRICE_GRADUATED || price->model == PRICE_PERCENTAGE;
}

/* ---- covers.c: reservations and savings plans in force, and what they cost ---- */
/* A report on one of them, while it is being added up: quantities are raw. */
struct tally {
  struct coverage report;
  VEC(struct coverage_hour) hourly;
  VEC(struct coverage_use) uses;
};
struct cover_span {
  const struct cover *cover;
  quantity quantity; /* the cover's, as many times as an add-on is had; a savings plan's is that number */
  instant from, to;  /* within the stretch */
  struct tally *tally;
};
/* A cover that may take usage of a run; the discount is a savings plan's. */
struct claim {
  size_t cover; /* in the stretch */
  rate discount;
  quantity taken; /* raw, and for how much of a savings plan's money; until it is told to the tally */
  amount spent;
};
typedef VEC(struct tally *) tallies;
MUST_USE bool find_covers(struct arena *scratch, struct stretch *stretches, size_t count, tallies *found,
                          struct error *err);
void find_claims(struct arena *scratch, const struct stretch *stretch, struct run *run);
/* What of the fee has accrued up to t, at an even rate over time; rounded once, so that differences of it add up. */
MUST_USE bool cover_cost_until(const struct cover_span *span, instant t, amount *out, struct error *err);
/* What is paid bit by bit, up to t; the rest of the cost is paid at the start. */
MUST_USE bool cover_spread_until(const struct cover_span *span, instant t, amount *out, struct error *err);
struct charges;
struct cover_fee {
  const char *suffix; /* of its name */
  instant from, to;   /* of the fee it is part of */
  bool once;          /* one payment, not by units of time */
  bool credit;        /* likewise, given back */
  bool each_price;    /* units x price says all of it */
  amount amount;
};
MUST_USE bool add_cover_fee(struct arena *arena, const struct segment *segment, const struct cover_span *span,
                            const struct cover_fee *fee, struct charges *charges, struct error *err);
MUST_USE bool charge_covers(struct arena *arena, const struct stretch *stretch, struct charges *charges,
                            struct error *err);

/* ---- covers_paid.c: what is paid at the start of a term ---- */
/* Does it begin with a contract or phase that opens? Then what is due at its start is invoiced there. */
MUST_USE bool cover_opens(const struct customer *customer, const struct contract *part, const struct cover *cover,
                          bool *opens, struct error *err);
MUST_USE bool charge_cover_start(struct arena *arena, const struct segment *segment, const struct cover_span *span,
                                 struct charges *charges, struct error *err);
/* All that is due where the part, which opens, begins. */
MUST_USE bool charge_covers_opening(struct arena *arena, const struct catalog *catalog, const struct contract *part,
                                    struct charges *charges, struct error *err);
/* What was paid for time after a change ended the contract, given back. */
MUST_USE bool credit_unused_covers(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                                   const struct contract *part, struct charges *charges, struct error *err);
/* The share of a stretch in what was paid with an opening: it counts towards a minimum of that time. */
MUST_USE bool covers_paid_within(const struct stretch *s, amount *sum, struct error *err);

/* ---- coverage.c: hour by hour ---- */
MUST_USE bool draw_covers(struct arena *scratch, struct stretch *stretch, bool hourly, struct error *err);

/* ---- coverage_uses.c: what was covered, by price ---- */
MUST_USE bool tell_uses(const struct stretch *stretch, const struct run *run, struct error *err);
MUST_USE bool report_uses(struct arena *arena, const struct tally *tally, struct coverage *out, struct error *err);

/* ---- coverage_report.c ---- */
MUST_USE bool report_coverage(struct arena *arena, const tallies *found, struct rating *out, struct error *err);

/* ---- models.c: what one price took in one stretch becomes steps ---- */
struct steps {
  struct trace_step *items;
  size_t count, capacity;
};
struct taken {
  struct arena *arena;   /* of the result: notes */
  struct arena *scratch; /* freed after the rating */
  const struct stretch *stretch;
  const struct price_rule *price;
  const struct item *const *items;
  size_t item_count;
};
MUST_USE bool price_border(const struct price_rule *price, size_t tier, quantity *border, struct error *err); /* raw */
MUST_USE bool price_per_raw(const struct price_rule *price, quantity *per, struct error *err); /* for one `each` */
/* The first tier whose border the quantity does not pass. */
size_t price_tier(const struct price_rule *price, const quantity *borders, quantity q);
MUST_USE bool rate_taken(const struct taken *taken, struct steps *steps, struct error *err);

/* ---- fees.c ---- */
struct charges {
  struct charge *items;
  size_t count, capacity;
};
/* ---- intervals.c ---- */
instant contract_start(const struct contract *contract);
instant contract_planned_to(const struct contract *contract);
/* The neighbouring part of the same contract; NULL when there is none. */
const struct contract *part_before(const struct customer *customer, const struct contract *part);
const struct contract *part_after(const struct customer *customer, const struct contract *part);
/* Is what the part charges in advance invoiced when it begins, and not with the period that ends there? */
MUST_USE bool part_opens(const struct customer *customer, const struct contract *part, bool *opens, struct error *err);
MUST_USE bool fee_interval(const struct customer *customer, const struct contract *part, enum fee_every every,
                           instant t, struct period *out, struct error *err);
/* Which of the terms a fee belongs to: the same name in the plan and in an add-on are two fees. */
struct seat {
  enum seat_kind { SEAT_OWN, SEAT_PLAN, SEAT_ADD_ON } kind;
  slice add_on;
};
struct seat seat_of(const struct contract *part, const struct plan *const *terms, size_t index);
struct held_fee {
  const struct fee *fee; /* NULL: none */
  const struct plan *plan;
  quantity count, times;
};
quantity fee_count_in(const struct contract *part, const struct fee *fee);
bool fee_is_long(const struct fee *fee); /* charged by intervals of its own: advance.c */
/* The fee of that seat, name and kind in force at `t`. */
struct held_fee held_at(const struct catalog *catalog, const struct contract *part, instant t, struct seat seat,
                        const struct fee *like);
/* Does the part before have a fee that is charged once? Then it is not charged again. */
bool held_before(const struct catalog *catalog, const struct customer *customer, const struct contract *part,
                 struct seat seat, const struct fee *fee);
/* As it was charged for an interval that reaches into the part: a fee that goes on unchanged from the part before was
 * charged there. */
struct held_fee held_for(const struct catalog *catalog, const struct customer *customer, const struct contract *part,
                         struct period interval, struct seat seat, const struct fee *like);
bool held_same(const struct held_fee *a, const struct held_fee *b); /* the same money */

/* ---- advance.c ---- */
/* What falls due after the beginning of the period and up to its end: beginnings and ends of intervals. */
MUST_USE bool charge_long_fees(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                               struct period period, struct charges *charges, struct error *err);
/* What is due in advance at `at`, where parts open. */
MUST_USE bool charge_opening(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                             instant at, struct charges *charges, struct error *err);
MUST_USE bool held_amount(const struct held_fee *held, struct period part, struct period whole, amount *out,
                          quantity *units, struct error *err);
MUST_USE bool long_fees_within(const struct catalog *catalog, const struct stretch *s, amount *sum, struct error *err);

MUST_USE bool charge_fees(struct arena *arena, const struct catalog *catalog, const struct stretch *stretch,
                          struct charges *charges, struct error *err);
/* `from` is the first of the stretch's charges. */
MUST_USE bool charge_true_up(struct arena *arena, const struct catalog *catalog, const struct stretch *stretch,
                             struct charges *charges, size_t from, struct error *err);

/* ---- commitments.c ---- */
/* Of the rating's period; of an opening, those that begin with it. */
MUST_USE bool find_commitments(struct arena *arena, const struct catalog *catalog, struct rating *rating,
                               struct error *err);

/* ---- convert.c ---- */
/* All charges of the rating that are of plans in other currencies, into the customer's. */
MUST_USE bool convert_charges(struct arena *arena, const struct catalog *catalog, const struct rating *rating,
                              struct charges *charges, struct error *err);

/* ---- unpriced.c ---- */
MUST_USE bool list_unpriced(struct arena *arena, const struct stretch *stretches, size_t stretch_count,
                            struct rating *out, struct error *err);
#endif
