/* Rating: usage and a contract in, charges out. A pure function: no clock, no store, no global, so that the preview,
 * the invoice, the re-rating of a past month and `verify` are one and the same. docs/rating.md explains each model. */
#ifndef METERHOUSE_RATE_RATE_H
#define METERHOUSE_RATE_RATE_H
#include "meter/meter.h"

/* A stretch of a billing period under one contract and one plan version; the version changes at the second. */
struct segment {
  const struct contract *contract;
  const struct plan *plan;
  instant from, to;
};
/* The segments of a customer's period in time order (gaps where there is no contract). In the arena. */
MUST_USE bool rate_segments(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                            struct period period, const struct segment **segments, size_t *count, struct error *err);
/* Where usage rows must be cut for this customer: the inner borders of the segments, and the borders of hours with
 * multipliers that are not on a full hour of UTC. Sorted. rate_cuts_max says for how many there should be room. */
size_t rate_cuts(const struct catalog *catalog, const struct segment *segments, size_t count, instant *cuts,
                 size_t max);
size_t rate_cuts_max(const struct catalog *catalog, const struct segment *segments, size_t count);

/* The price that takes usage of these dimensions in a segment, as rating does: the contract's own first, then the
 * plan's, then the add-ons'. NULL: none does. */
const struct price_rule *rate_price_of(const struct catalog *catalog, const struct segment *segment,
                                       const struct meter *meter, const slice *dimensions);

/* The segment that `t` lies in, of the billing month around it: from `from` to `to` prices do not change (multipliers
 * by the hour aside), and usage counts together for tiers and packages. Without a contract or plan in force `contract`
 * is NULL, and that is so from `from` to `to`. */
MUST_USE bool rate_segment_at(const struct catalog *catalog, const struct customer *customer, instant t,
                              struct segment *out, struct error *err);

/* ---- marginal.c: what more usage costs, for whoever can not wait for the rating. docs/rating.md, What more usage
 * costs
 * ---- */
/* What `raw` more units, as metered at `at`, cost under a price that has taken `before` of them in the same segment:
 * the charge of all less the charge of those before, each as rate_customer has it, without the price's minimum and
 * maximum. Below zero where more makes all of it cheaper. In the plan's currency. Usage that allowances, reservations
 * and savings plans take is part of neither. Where multipliers differ from one unit to the next, prices by package,
 * step or flat count each multiplier's apart, `before` too; all others take what was before as though at the multiplier
 * of `at`, which is off by at most 1e-12 a tier, but more for a volume price that changes tiers. ERR_INVALID below
 * zero, ERR_OVERFLOW. */
MUST_USE bool rate_marginal(const struct price_rule *price, const slice *dimensions, instant at, quantity before,
                            quantity raw, amount *out, struct error *err);
/* As much as that can be at most, for `raw` or fewer units, whatever came before (up to 1e15 units) and at any hour. At
 * most 2e-12 a tier above what it really can be; zero for what is free. */
MUST_USE bool rate_marginal_most(const struct price_rule *price, const slice *dimensions, quantity raw, amount *out,
                                 struct error *err);

enum charge_kind {
  CHARGE_USAGE,
  CHARGE_FEE,
  CHARGE_TRUE_UP,
  CHARGE_ADJUSTMENT,
  CHARGE_CREDIT,
  /* of commitments, made when an invoice is settled: */
  CHARGE_COMMITMENT, /* bought in advance */
  CHARGE_DRAWDOWN,   /* below zero: other lines are paid from what was bought */
  CHARGE_DISCOUNT,   /* below zero: on lines that draw from a commitment */
  CHARGE_OVERAGE     /* on lines beyond one */
};
const char *charge_kind_name(enum charge_kind kind);

/* One step of how a charge came to be: so many raw units at this price gave that amount. */
struct trace_step {
  uint32_t tier;      /* index of the tier, 0 when there is only one */
  quantity raw;       /* as metered (INTEGRAL: value x seconds) */
  quantity included;  /* part of raw that an allowance covered: it costs nothing here */
  quantity covered;   /* part of raw that reservations and savings plans covered: likewise */
  struct price price; /* per raw units: unit price and `per` x base_per_unit */
  rate multiplier;    /* product of those that matched; RATE_ONE when none */
  amount amount;      /* to 1e-12 */
  instant from, to;   /* of the usage rows behind it */
  uint32_t rows, events;
  const char *note; /* "minimum 10", "maximum 100", "tier 2 entered: flat 5", "prorated 12 of 31 days"; may be NULL */
};
/* A closed period of a customer, as its events stood at two positions of the journal. */
struct adjustment_span {
  slice customer, period, invoice; /* number of the invoice that is adjusted */
  slice catalog;                   /* digest of the catalog it was made with, which prices what came in later too */
  uint64_t from_event, to_event;   /* accounted for before; accounted for by this adjustment */
  instant as_of_before, as_of_after;
};
/* What later events made of a charge that was invoiced. The charge's own numbers are the difference. */
struct adjustment {
  struct adjustment_span span;
  quantity units_before, units_after;
  amount exact_before, exact_after;
};
/* How a charge of a plan in another currency became one in the customer's: once, as its last step. */
struct conversion {
  const struct exchange_rate *rate; /* in force at the last moment of the period */
  amount exact;                     /* in the plan's currency: the sum of the steps */
};
/* One charge: all usage of a customer that one price took in one segment, or a fee, or a true-up. */
struct charge {
  enum charge_kind kind;
  slice name, product, unit;
  const struct segment *segment;
  const struct price_rule *price;      /* USAGE */
  const struct fee *fee;               /* FEE */
  const struct cover *cover;           /* FEE of a reservation or savings plan, then `fee` is NULL */
  const struct commitment *commitment; /* COMMITMENT, DRAWDOWN, DISCOUNT, OVERAGE, TRUE_UP of one */
  const struct meter *meter;           /* USAGE, ADJUSTMENT */
  const struct adjustment *adjustment; /* ADJUSTMENT */
  quantity raw;                        /* all of it; FEE: count (x prorated share x hours) */
  quantity units;                      /* raw / base_per_unit, half-even to 1e-9: for people */
  quantity included_units, covered_units;
  bool has_unit_price;     /* one price for all of it */
  struct price unit_price; /* per unit as written in the catalog (before the multiplier) */
  amount exact;            /* to 1e-12, half-even, once per step; in the customer's currency */
  const struct trace_step *steps;
  size_t step_count;
  const struct conversion *conversion; /* NULL: the plan is in the customer's currency */
  const struct customer *customer;     /* on a consolidated invoice, whose it is; NULL: the rating's own */
};
/* Usage that no price took: reported, never free by accident. */
struct unpriced {
  const struct meter *meter;
  const slice *dimensions;
  instant from, to;
  quantity raw;
  quantity units;
  uint32_t events;
  const char *why;
};

/* What one hour of UTC, or the part of it in force, brought of a reservation (units) or savings plan (amounts). */
struct coverage_hour {
  instant from, to;
  quantity capacity, used;
  amount committed, spent;
};
/* What it covered of the usage that one price took in one segment, at one multiplier. */
struct coverage_use {
  const struct segment *segment;
  const struct meter *meter;
  const struct price_rule *price; /* NULL: no price would have taken it */
  rate multiplier;
  quantity raw, units; /* covered; units half-even to 1e-9 */
  bool has_list;       /* there is a price per unit: the one of the first tier, for `per_raw` */
  quantity per_raw;
  amount list; /* raw at that price times the multiplier */
  amount cost; /* share of the fee: of a reservation as its share of the capacity, of a savings plan what it took */
};
/* What a reservation or savings plan did in the period. Units of a reservation are those of its meter, half-even to
 * 1e-9; a savings plan counts in money. What is not `used` or `spent` in its hour is lost. */
struct coverage {
  const struct cover *cover;
  const struct customer *customer;
  const struct segment *segment; /* the first it is in force in: its plan says the currency of the amounts */
  instant from, to;              /* in force within the period */
  quantity capacity, used;       /* reservation: units available, units covered */
  quantity matching;             /* reservation: usage it would cover, after allowances */
  amount cost;          /* of the time in force at an even rate, whenever it is paid; savings plan: committed */
  amount spent;         /* savings plan: used of it */
  amount list;          /* what the covered usage costs at list: first tier, multipliers, no minimums */
  amount saved;         /* list - cost: negative when too little was covered */
  amount matching_list; /* savings plan: list price of usage it would cover, after allowances and reservations */
  uint32_t hours, hours_unused; /* in force; of which not used in full */
  bool has_utilization, has_coverage;
  rate utilization;                /* used / capacity, spent / cost */
  rate coverage;                   /* used / matching, list / matching_list */
  const struct coverage_use *uses; /* the costs of all and `unused` sum to `cost` */
  size_t use_count;
  amount unused; /* of the cost, for what was not used */
  const struct coverage_hour *hourly;
  size_t hourly_count; /* 0 unless rate_customer_hourly was asked */
};

/* An interval of a commitment, as the catalog has it. */
#define COMMITMENT_SPANS_MAX 1000        /* of one period */
#define COMMITMENT_INSTALLMENTS_MAX 1200 /* of one interval */
struct installment {
  instant due;
  amount amount;
};
struct commitment_span {
  const struct commitment *commitment;
  const struct segment *segment; /* of its lines: the contract and plan, from `from` to `to` */
  instant from, to;              /* `to`: earlier than planned when a change ended the contract */
  bool cut;                      /* it was */
  amount amount; /* committed to, of a shorter interval its share by the second; to the minor unit. A change that ends
                    the contract lessens a minimum, and no other commitment */
  amount roll_most;                       /* at most so much of it goes into the next */
  bool follows;                           /* the span before is the interval before of the same commitment */
  const struct installment *installments; /* PREPAID: sum to `amount` */
  size_t installment_count;
};

struct rating {
  const struct customer *customer;
  struct period period;
  bool opening;                 /* holds only what is due in advance where a contract or phase begins */
  const struct charge *charges; /* fees, reservations and plans, then usage in the order of the plan, then true-ups,
                                   segment by segment; last fees whose intervals began (in advance) or ended */
  size_t charge_count;
  const struct unpriced *unpriced;
  size_t unpriced_count;
  const struct coverage
      *coverages; /* one for each reservation and savings plan in force, and stretch of time without a gap */
  size_t coverage_count;
  const struct commitment_span *commitments; /* in force, or beginning at the end of the period; in their order, those
                                                of the contract before its plan's, intervals in order of time */
  size_t commitment_count;
  amount total;
  const struct customer *const *members; /* whom it was joined with, by id: a consolidated invoice */
  size_t member_count;
};
/* `rows`: this customer's usage, cut at rate_cuts, sorted as usage_finish gives them. Everything returned lives in the
 * arena (and the catalog). Errors: ERR_OVERFLOW naming customer, price and its FILE:LINE. */
MUST_USE bool rate_customer(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                            struct period period, const struct usage_row *rows, size_t row_count, struct rating *out,
                            struct error *err);
/* The same rating, with what each hour brought of reservations and savings plans: 100 bytes for each and hour. */
MUST_USE bool rate_customer_hourly(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                                   struct period period, const struct usage_row *rows, size_t row_count,
                                   struct rating *out, struct error *err);
/* What is due in advance at `at` (charges, and commitments that begin), the beginning of a contract or of a phase
 * inside a period (rate_opens): an invoice of its own, whose period runs from there to the end of the invoice period.
 * Everything else that is charged in advance comes with the period that ends where its interval begins. */
MUST_USE bool rate_opening(struct arena *arena, const struct catalog *catalog, const struct customer *customer,
                           instant at, struct rating *out, struct error *err);
MUST_USE bool rate_opens(const struct customer *customer, const struct contract *part, bool *opens, struct error *err);
/* The share of a month that [from, to) is, by the second: sum over the civil months it touches (in `zone`) of covered /
 * length of that month, as an exact fraction to 1e-12 half-even. A whole month is exactly 1. */
MUST_USE bool rate_months(instant from, instant to, const char *zone, rate *out, struct error *err);
#endif
