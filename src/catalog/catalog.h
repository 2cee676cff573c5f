/* The catalog: what is sold and to whom, as people wrote it in YAML, checked and compiled for the engine. Read-only
 * once loaded; every pointer and slice lives as long as the catalog. docs/catalog.md is the user's manual of the
 * format. */
#ifndef METERHOUSE_CATALOG_CATALOG_H
#define METERHOUSE_CATALOG_CATALOG_H
#include "base/time.h"
#include "money/money.h"

#define CATALOG_DIMENSIONS_MAX 16
#define CATALOG_TIERS_MAX 64
#define CATALOG_PERCENTS_MAX 20
#define CATALOG_PERCENT_MAX 1000
#define CATALOG_COVERS_MAX 100         /* reservations of one plan or contract; and savings plans */
#define CATALOG_WATCHES_MAX 100        /* alerts of one plan or customer; and limits */
#define CATALOG_METERS_PER_TYPE_MAX 64 /* meters fed by one event type */

struct place {
  const char *file;
  int line;
}; /* where in the YAML it stands */

enum aggregation { AGG_SUM, AGG_COUNT, AGG_MAX, AGG_MIN, AGG_LATEST, AGG_UNIQUE, AGG_INTEGRAL };

struct filter {
  slice field;
  const slice *values;
  size_t count;
}; /* event field is one of the values */

/* What is counted. For AGG_INTEGRAL the raw quantity is value x seconds and `base_per_unit` says how many of those make
 * one `unit` (over: hour gives 3600, month 730 h = 2628000); for all others it is 1. Prices, tiers and allowances are
 * written per `unit`; the engine works on raw quantities and multiplies what it compares by base_per_unit. */
struct meter {
  slice name, event_type, value_field, unit, product;
  slice series_field; /* INTEGRAL: the event field that says which level changes (a lease, a volume) */
  enum aggregation aggregation;
  quantity base_per_unit;
  const slice *dimensions;
  size_t dimension_count;
  const struct filter *filters;
  size_t filter_count;
  bool optional;         /* an event without the value counts nothing; otherwise it is refused */
  const slice *overlaps; /* meters whose events this one counts again on purpose, so that both may have a price */
  size_t overlap_count;
  uint32_t index; /* in catalog->meters */
  struct place place;
};

enum price_model {
  PRICE_PER_UNIT,
  PRICE_GRADUATED,
  PRICE_VOLUME,
  PRICE_PACKAGE,
  PRICE_STAIRSTEP,
  PRICE_FLAT,
  PRICE_PERCENTAGE /* the quantity is money of the plan's currency, a tier's `each` the part of it that is charged */
};
const char *price_model_name(enum price_model model);

struct match {
  uint32_t dimension;
  const slice *values;
  size_t count;
}; /* index into meter->dimensions; any of the values */
struct tier {
  bool last;
  quantity up_to;
  amount each;
  amount flat;
}; /* up_to in units, inclusive; `flat` once on entering */
/* A stretch of the local day on some days of the week, such as 08:00-20:00 from Monday to Friday. */
struct hours {
  int from_minute, to_minute; /* of the day, [from, to), up to 1440; from > to passes midnight */
  unsigned days;              /* bit 0 is Monday; the day on which the stretch begins */
  const char *time_zone;
};
struct multiplier {
  const struct match *matches;
  size_t match_count;
  const struct hours *hours; /* NULL: at any time */
  rate by;
};

struct price_rule {
  slice name, product;
  const struct meter *meter;
  const struct match *matches;
  size_t match_count;
  enum price_model model;
  quantity per;             /* units one `each` buys: 1000000 for a price per million; size of a package */
  const struct tier *tiers; /* PER_UNIT, PACKAGE, FLAT and a plain PERCENTAGE have one, marked last */
  size_t tier_count;
  bool has_minimum, has_maximum;
  amount minimum, maximum;              /* of the charge of a full billing month, prorated by the second otherwise */
  const struct multiplier *multipliers; /* all that match apply, multiplied */
  size_t multiplier_count;
  uint32_t index; /* in its plan version */
  struct place place;
};

enum fee_every { FEE_ONCE, FEE_MONTH, FEE_HOUR, FEE_QUARTER, FEE_YEAR };
/* Intervals of a fee: months are the customer's billing months; quarters and years count from the contract's start.
 * What a contract covers of an interval is charged by the second. */
struct fee {
  slice name, product;
  amount each;
  quantity count;       /* default 1: 64 reserved GPUs */
  enum fee_every every; /* ONCE falls where the contract first has it */
  struct place place;
  bool in_advance; /* charged when an interval begins, instead of when it has ended */
};
/* Included units of usage per month, used up before any price sees them, in order of the list. */
struct allowance {
  slice name;
  const struct meter *meter;
  const struct match *matches;
  size_t match_count;
  quantity included; /* in units */
  uint32_t index;
  struct place place;
};

/* What covers usage before its price sees it, hour by hour, for a fee that is due used or not. A reservation is
 * capacity: `quantity` units of level (INTEGRAL: 64 GPUs) or units an hour (SUM, COUNT), `each` for one of them a unit
 * of time; it covers usage unit for unit. A savings plan is money: `each` an hour, quantity 1; it covers usage at its
 * list price less the discount. docs/rating.md, Coverage. */
enum cover_kind { COVER_RESERVATION, COVER_SAVINGS_PLAN };
const char *cover_kind_name(enum cover_kind kind);
enum cover_payment { COVER_MONTHLY, COVER_UPFRONT, COVER_PARTIAL };
const char *cover_payment_name(enum cover_payment payment);
struct cover_usage {
  const struct meter *meter; /* SUM, COUNT or INTEGRAL */
  const struct match *matches;
  size_t match_count;
  rate discount; /* off the list price, above 0 and below 1; of savings plans only */
};
struct cover {
  enum cover_kind kind;
  slice name, product;
  const struct cover_usage *usage; /* the first that matches counts; a reservation has one */
  size_t usage_count;
  quantity quantity;
  amount each;
  int64_t each_s; /* seconds of the unit of time that `each` pays: 3600, or what the meter counts over */
  enum cover_payment payment;
  amount upfront;   /* PARTIAL: paid at the start; the rest evenly over the term */
  instant from, to; /* in force; 0 and INSTANT_MAX when open, which only MONTHLY may be */
  struct place place;
};

/* What a contract commits to spend, in the customer's currency, in each interval counted from where it is first in
 * force. docs/commitments.md. */
enum commitment_kind { COMMITMENT_SPEND, COMMITMENT_MINIMUM };
const char *commitment_kind_name(enum commitment_kind kind);
enum commitment_shape { COMMITMENT_PREPAID, COMMITMENT_POSTPAID };
const char *commitment_shape_name(enum commitment_shape shape);
enum commitment_per { COMMITMENT_TERM, COMMITMENT_YEAR, COMMITMENT_QUARTER, COMMITMENT_MONTH };
const char *commitment_per_name(enum commitment_per per);
enum commitment_installments { COMMITMENT_ONCE, COMMITMENT_MONTHLY, COMMITMENT_QUARTERLY };
const char *commitment_installments_name(enum commitment_installments installments);
#define COMMITMENT_NAME_BYTES_MAX 60
struct commitment {
  enum commitment_kind kind; /* MINIMUM: postpaid, counts what is charged whatever else pays for it */
  slice name, product;       /* product: of what is charged for it */
  amount amount;             /* above 0, of a whole interval */
  enum commitment_per per;
  enum commitment_shape shape;
  const slice *products; /* whose charges count; none: all */
  size_t product_count;
  rate discount;                             /* 0 to below 1, off charges that draw from it */
  rate overage;                              /* factor on charges beyond it; RATE_ONE: as priced */
  rate roll_share;                           /* of the interval's amount, and ... */
  amount roll_amount;                        /* ... this much: what at most goes into the next interval when unused */
  enum commitment_installments installments; /* PREPAID: in how many parts it is invoiced */
  instant from, to;                          /* 0 and INSTANT_MAX: as long as what it is part of */
  struct place place;
};

/* Alerts and limits watch one of a customer's periods: months and days of its time zone, hours of UTC. */
enum watch_per { WATCH_MONTH, WATCH_DAY, WATCH_HOUR, WATCH_PERS };
const char *watch_per_name(enum watch_per per);
/* Told once a period at each of `percents` of what it watches: usage of a meter, or (meter NULL) spend of the month. */
struct alert {
  slice name;
  const struct meter *meter;
  enum watch_per per;
  quantity at;         /* in units, of the meter */
  amount spend;        /* before tax */
  const int *percents; /* ascending, of `at` or `spend` */
  size_t percent_count;
  struct place place;
};
/* Usage a period that may not be passed. */
struct entitlement {
  const struct meter *meter;
  quantity limit; /* in units */
  enum watch_per per;
  struct place place;
};
/* Asks for a payment in advance when less than `below` of credit is left, at most `at_most` times a month. */
struct top_up_rule {
  bool known;
  amount below, amount;
  int at_most;
};
/* Of a plan or a customer; the customer's stand in for those of the plan with the same name, or the same meter. */
struct watches {
  const struct alert *alerts;
  size_t alert_count;
  const struct entitlement *entitlements;
  size_t entitlement_count;
  struct top_up_rule top_up;
};

/* How much may be called through the gateway; 0: no limit. */
struct call_limits {
  int64_t requests_a_minute, tokens_a_minute, concurrency;
};

struct price_index;
struct plan {
  slice name, title;
  instant valid_from; /* a plan of the same name and a later valid_from takes over at that second */
  const struct currency *currency;
  const struct price_rule *prices;
  size_t price_count;
  const struct price_index *price_index; /* behind catalog_price; NULL in a plan built by hand */
  const struct hours *const *hours;      /* each once, of all multipliers */
  size_t hours_count;
  const struct fee *fees;
  size_t fee_count;
  const struct allowance *allowances;
  size_t allowance_count;
  const struct cover *covers; /* reservations, then savings plans */
  size_t cover_count;
  bool has_minimum;
  amount minimum; /* minimum spend a month before tax, trued up; 0 when it is one of the commitments */
  const struct commitment *commitments;
  size_t commitment_count;
  bool prices_include_tax; /* its amounts are gross: the tax is taken out of them */
  struct watches watches;
  struct call_limits call_limits; /* of each customer on it */
  struct place place;
};

/* A tax whose rate changes has dated rates, by `from`; then `rate` is the last of them. */
struct dated_rate {
  instant from; /* INT64_MIN: since ever */
  rate rate;
};
struct tax {
  slice name, label, category;
  rate rate;
  slice note;
  struct place place;
  const struct dated_rate *rates;
  size_t rate_count;
}; /* category: EN 16931 S Z E AE G O */

/* Countries as a rule names them: codes, and "EU" for its members at the tax point. */
struct territory {
  bool any, eu;
  const slice *countries;
  size_t count;
};
enum tax_buyer { TAX_BUYER_ANY, TAX_BUYER_BUSINESS, TAX_BUYER_CONSUMER };
/* The first rule that matches customer, seller and product says the tax of a line; of customers without one of their
 * own. Empty lists match all. */
struct tax_rule {
  struct territory customer, seller_country;
  const slice *regions, *sellers, *products;
  size_t region_count, seller_count, product_count;
  enum tax_buyer buyer;  /* a business has a well-formed tax_id */
  const struct tax *tax; /* NULL: not taxed */
  struct place place;
};

/* What a contract adds to its plan. */
#define CONTRACT_ADD_ONS_MAX 14
struct add_on {
  slice plan_name;
  quantity count; /* its fees are charged so many times */
};
struct fee_count {
  slice fee;
  quantity count;
}; /* instead of the fee's own */
enum part_cause { PART_START, PART_PHASE, PART_CHANGE };
/* A contract, or a part of one: phases and changes cut a contract into parts that follow each other without a gap. */
struct contract {
  slice plan_name;
  instant from, to;       /* to = INSTANT_MAX when open */
  const struct plan *own; /* overrides: a plan of this contract alone, whose prices match first and whose fees,
                             allowances and minimum add to (minimum: replace) the plan's; NULL when there are none */
  struct place place;
  enum part_cause cause; /* why this part begins */
  instant start;         /* of the whole contract; 0: as `from` */
  struct time_span term; /* all zero: none */
  instant planned_to;    /* where the part would have ended had no change ended it; 0: as `to` */
  bool keeps_rest;       /* ended by a change: what was charged in advance for the rest is not credited */
  const struct add_on *add_ons;
  size_t add_on_count;
  const struct fee_count *fee_counts;
  size_t fee_count_count;
};
enum cadence { CADENCE_MONTH, CADENCE_QUARTER, CADENCE_YEAR };
/* When invoices are made. Usage, tiers and allowances count by the month in any case. */
struct billing {
  enum cadence every;
  int day;        /* 1 to 31, on which months begin; the last day of shorter months; 0: 1 */
  int month;      /* 1 to 12, in which a quarter or year begins; 0: 1 */
  int grace_days; /* after the end of a period, for late events, before its invoice is made by itself */
};
struct party {
  slice name, email, tax_id, country, registration;
  slice endpoint_scheme, endpoint_id; /* where electronic invoices go, such as 0106 and a number; may be empty */
  const slice *address;
  size_t address_count;
};
struct customer {
  slice id, group; /* group: segment for reports; may be empty */
  struct party party;
  const struct currency *currency;
  const char *time_zone;
  const struct tax *tax; /* its own, exempt ones included; NULL: by the tax rules */
  bool untaxed;          /* `tax: none`: whatever the rules say */
  slice region;          /* of the country, for tax rules; may be empty */
  const struct seller *seller;
  int payment_days;
  slice reference;              /* purchase order, shown on the invoice */
  slice parent;                 /* id of the customer it belongs to; may be empty */
  const struct customer *payer; /* its parent, on whose invoices it is; NULL: it has invoices of its own */
  struct billing billing;
  const struct contract *contracts; /* by start, not overlapping */
  size_t contract_count;
  struct watches watches;
  struct call_limits call_limits; /* instead of the plan's where above 0 */
  bool unlimited_credit;          /* `credit_line: unlimited`: usage is invoiced afterwards, whatever it comes to */
  amount credit_line; /* may be owed, unpaid invoices and unbilled usage together, besides credit; 0: prepaid */
  bool no_dunning;    /* nobody reminds this customer */
  uint32_t index;
  struct place place;
};

/* What is done about an invoice that is not paid, so many days after it was due. */
enum dunning_action { DUNNING_REMIND, DUNNING_WARN, DUNNING_SUSPEND };
struct dunning_step {
  int after_days;
  enum dunning_action action;
  struct place place;
};
/* Who tells of payments over a webhook. The catalog names where the secret is, never the secret. */
enum provider_scheme { PROVIDER_STANDARD, PROVIDER_STRIPE };
struct payment_provider {
  slice name;
  enum provider_scheme scheme;
  slice secret_env, secret_file; /* one of the two */
  struct place place;
};

/* Costs are per GPU (or unit of the pool) unless the name says otherwise; absent ones are zero. */
struct pool_cost {
  amount capex;
  rate residual;
  int life_months;
  amount opex_year;
  amount colocation_kw_month;
  amount energy_kwh;
  rate load; /* 1 when absent */
  rate pue;  /* 1 when absent */
  quantity power_kw;
  amount other_month_total;
  bool known;
};
/* How a pool is sold: docs/catalog.md, pools. */
#define POOL_SHARES_MAX 16
#define POOL_TERMS_MAX 20
#define POOL_MAINTENANCE_MAX 1000
enum pool_class { POOL_ON_DEMAND, POOL_RESERVED, POOL_PRIORITY, POOL_SPOT, POOL_CLASSES };
const char *pool_class_name(enum pool_class class); /* "on_demand" ... */
enum pool_engine { POOL_ENGINE_NONE, POOL_ENGINE_SLURM, POOL_ENGINE_LOCAL };
const char *pool_engine_name(enum pool_engine engine); /* "none", "slurm", "local" */
struct class_terms {
  bool sold;
  int64_t minimum_s, increment_s; /* charged for at least; and in steps of: 1 when not said */
  const struct time_span *terms;  /* RESERVED: for how long */
  size_t term_count;
  int64_t notice_s; /* SPOT: told so long before it ends for others */
  rate reserve;     /* SPOT: share of the pool that stays idle */
};
struct maintenance {
  instant from, to;
  quantity units; /* not there */
  slice note;
};
struct pool {
  slice name, kind, site;
  quantity count;
  const struct meter *meter; /* whose usage fills it */
  const struct match *matches;
  size_t match_count;
  instant from;           /* in service since */
  int node_gpus;          /* of a node: more than this are sold as whole nodes; 0: not said */
  const quantity *shares; /* of one unit, that are sold; each from above 0 to 1 */
  size_t share_count;
  quantity owner; /* units that are not for sale */
  const struct maintenance *maintenance;
  size_t maintenance_count;
  enum pool_engine engine;
  bool is_sold; /* by at least one class; then it has an engine, and a meter that is an integral over a series */
  struct class_terms classes[POOL_CLASSES];
  struct pool_cost cost;
  struct place place;
};
/* ---- the model gateway: docs/gateway.md ---- */
#define CATALOG_MODELS_MAX 10000
#define CATALOG_UPSTREAMS_MAX 1000
#define CATALOG_TARGETS_MAX 64 /* upstreams of one model */
/* A server of models. */
struct upstream {
  slice name;
  slice host, path; /* of `url`: path is what stands before "/v1", without a slash at its end; usually empty */
  int port;
  bool tls;
  bool anthropic;             /* `shape: anthropic`; otherwise it speaks as OpenAI does */
  slice key_env, key_file;    /* where its key is, never the key; both empty: it asks for none */
  int64_t concurrency;        /* calls at a time; 0: no limit */
  slice health;               /* path of the check; empty: none */
  int64_t timeout_s;          /* silence of the upstream in the midst of a call; default 900 */
  int64_t connect_timeout_ms; /* default 2000 */
  const struct pool *pool;    /* whose cost it is; NULL: not said */
  quantity units;             /* of the pool, such as 8 GPUs */
  uint32_t index;
  struct place place;
};
struct model_target {
  const struct upstream *upstream;
  slice model;      /* as the upstream calls it; the public name when not said */
  int64_t weight;   /* 1 to 1000 */
  int64_t priority; /* 0 to 100, the lower is used first */
  uint32_t index;   /* in the model's list */
};
/* Service tiers: bits by this order. */
enum model_tier { TIER_DEFAULT, TIER_FLEX, TIER_PRIORITY, TIER_BATCH, MODEL_TIERS };
const char *model_tier_name(enum model_tier tier); /* "default", "flex", "priority", "batch" */
struct model {
  slice name;     /* public */
  slice owned_by; /* in /v1/models; the seller's name when not said */
  const struct model_target *targets;
  size_t target_count;
  unsigned doors;            /* bit by door: chat 1, completions 2, embeddings 4, responses 8, messages 16 */
  unsigned tiers;            /* bits; TIER_DEFAULT always */
  int64_t context_tokens;    /* input and output together; 0: not said */
  int64_t output_tokens_max; /* what a call is given that says no max_tokens, and the most it may say; default 4096 */
  int64_t created;           /* seconds since 1970, for /v1/models; 0: not said */
  uint32_t index;
  struct place place;
};
struct gateway_settings {
  slice event_type; /* of the event of a call; default "model.call" */
  int64_t queue_ms; /* how long a call waits for room on an upstream; default 30000 */
};

struct invoicing {
  bool automatic; /* periods are invoiced when they have ended, by the server itself */
  instant from;   /* not what fell due before; 0: not what fell due before it was switched on */
};
/* A legal entity that sells, with number series of its own. */
struct seller {
  slice id; /* may be empty in the first, whose customers name none */
  struct party party;
  slice logo_path, invoice_prefix, bank, footer;
  struct place place;
};

/* Credits and the like: plans may be priced in them, customers pay in money by an exchange rate. */
struct virtual_currency {
  slice name;
  struct currency currency;
  struct place place;
};
/* One unit of `from` is worth `rate` units of `to`, from `on` until the next rate of the same two. */
struct exchange_rate {
  const struct currency *from, *to;
  rate rate; /* above 0 */
  instant on;
  struct place place;
};

struct catalog_text {
  const char *name;
  slice text;
};
struct catalog_index;
struct catalog {
  struct seller seller;
  struct invoicing invoicing;
  const struct currency *currency; /* default of plans and customers */
  const char *time_zone;
  const struct meter *meters;
  size_t meter_count;
  const struct plan *plans;
  size_t plan_count; /* by name, then valid_from */
  const struct customer *customers;
  size_t customer_count; /* by id */
  const struct pool *pools;
  size_t pool_count;
  const struct tax *taxes;
  size_t tax_count;
  const struct tax_rule *tax_rules; /* in the order in which they are tried */
  size_t tax_rule_count;
  const struct seller *sellers; /* those beside `seller` */
  size_t seller_count;
  const struct virtual_currency *virtual_currencies;
  size_t virtual_currency_count;
  const struct exchange_rate *exchange_rates;
  size_t exchange_rate_count;         /* by the codes of from and to, then `on` */
  const struct dunning_step *dunning; /* by days */
  size_t dunning_count;
  const struct payment_provider *payment_providers;
  size_t payment_provider_count;
  struct gateway_settings gateway;
  const struct upstream *upstreams;
  size_t upstream_count;
  const struct model *models; /* by name */
  size_t model_count;
  slice digest_hex;                 /* BLAKE2b-256 of the files' names and bytes, in name order: the catalog version */
  const struct catalog_text *texts; /* what it was read from; names without their folder */
  size_t text_count;
  const struct catalog_index *index; /* tables behind the look-ups; NULL in a catalog built by hand */
};

/* Loads every *.yaml and *.yml of a folder (or one file), in name order, as one catalog; hidden files and *.map.yaml
 * (maps of columns for the import) are passed over. All errors found are in `err`,
 * joined by newlines, at most 10, each "FILE:LINE: path: what is wrong, what was expected". */
MUST_USE bool catalog_load(const char *path, struct catalog **out, struct error *err);
/* The same from texts in memory (versions that a book keeps, tests, fuzzing). */
MUST_USE bool catalog_parse(const struct catalog_text *texts, size_t count, struct catalog **out, struct error *err);
void catalog_free(struct catalog *catalog);
/* What of the catalog's files concerns one customer: itself, the plans it names, meters, taxes, seller and exchange
 * rates, each on the line where it stood; no other customers, no pools and their costs, no upstreams, no payment
 * providers. It loads as a catalog of its own, with a digest of its own. In the arena. ERR_NOT_FOUND when the customer
 * is not in it. */
MUST_USE bool catalog_reduce(struct arena *arena, const struct catalog *catalog, slice customer,
                             struct catalog_text **texts, size_t *count, struct error *err);

/* ---- price tables of others ---- */
struct price_import {
  const char *only; /* pattern of the shell that names of models must match; NULL: all */
  slice plan, event;
  rate factor; /* on every price: 1.2 for a markup of 20 % */
};
struct price_import_result {
  size_t meters, models, prices, left_out;
};
/* The text of a catalog file (without the catalog's currency; the plan is in USD) from LiteLLM's table of prices of
 * models. Decimals are taken as text and kept exactly; each price that can not be is told to `left_out`, with its
 * model, and stands in a comment. Errors: ERR_INVALID for bad JSON, ERR_NOT_FOUND when no price is left, ERR_LIMIT. */
MUST_USE bool catalog_import_litellm(slice json, const struct price_import *options, struct buf *yaml, told *left_out,
                                     void *context, struct price_import_result *result, struct error *err);

const struct customer *catalog_customer(const struct catalog *c, slice id); /* NULL when unknown */
const struct meter *catalog_meter(const struct catalog *c, slice name);
const struct model *catalog_model(const struct catalog *c, slice name); /* NULL when unknown */
/* What is in force for a customer at `t`; NULL when nothing is. */
const struct contract *catalog_contract_at(const struct customer *customer, instant t);
const struct plan *catalog_customer_plan(const struct catalog *c, const struct customer *customer, instant t);
/* The limits of a customer at `t`: each its own, else the one of the plan it is on. */
struct call_limits catalog_call_limits(const struct catalog *c, const struct customer *customer, instant t);
/* ---- billing.c: the customer's calendar ---- */
/* Alike in every setting; whether the periods are the same also hangs on the time zones. */
bool billing_same(const struct billing *a, const struct billing *b);
/* The month (from one billing day to the next) and the invoice period that `t` lies in. */
MUST_USE bool billing_month_at(const struct customer *c, instant t, struct period *out, struct error *err);
MUST_USE bool billing_period_at(const struct customer *c, instant t, struct period *out, struct error *err);
/* "2026-10" is the invoice period that begins in that month; `*none` when the customer has none that does. Other texts
 * mean what time_parse_period says. */
MUST_USE bool billing_period_named(const struct customer *c, slice name, struct period *out, bool *none,
                                   struct error *err);
/* The name that billing_period_named reads as `p`. Returns `text`. */
char *billing_period_name(const struct customer *c, struct period p, char text[2 * TIME_TEXT_MAX]);

/* ---- tax_rules.c ---- */
/* The tax of what a customer buys of a product at `at`; NULL: none. ERR_INVALID when there are rules and none matches.
 */
MUST_USE bool catalog_tax(const struct catalog *c, const struct customer *customer, slice product, instant at,
                          const struct tax **out, struct error *err);
/* The rate in force at `at`; ERR_INVALID before the first. */
MUST_USE bool catalog_tax_rate(const struct tax *tax, instant at, rate *out, struct error *err);
/* Is the country (ISO 3166; Greece is GR) a member of the European Union at `at`? */
bool country_in_eu(slice country, instant at);
/* Members of the Union: a VAT number of any of them, as VIES writes them, blanks, dots and dashes aside. Elsewhere: 5
 * to 20 letters and digits, one of them a digit. */
bool tax_id_well_formed(slice country, slice tax_id);
/* The legal entity that sells to the customer. */
const struct seller *catalog_seller(const struct catalog *c, const struct customer *customer);
/* By its id; the first one for any other. */
const struct seller *catalog_seller_named(const struct catalog *c, slice id);

/* The version of a plan in force at `t`; NULL when none is yet. */
const struct plan *catalog_plan_at(const struct catalog *c, slice name, instant t);
/* The first price of the plan that takes usage of this meter with these dimension values; NULL when none does. */
const struct price_rule *catalog_price(const struct plan *plan, const struct meter *meter, const slice *dimensions);
/* The rate in force at `t`; NULL when none is. Only what is written counts: neither the inverse of a rate nor a way
 * over a third currency is derived. */
const struct exchange_rate *catalog_exchange_rate(const struct catalog *c, const struct currency *from,
                                                  const struct currency *to, instant t);
/* Meters fed by an event type, in the order of the catalog; there may be several. Writes at most `max` of them and
 * returns how many it wrote; CATALOG_METERS_PER_TYPE_MAX is always enough. */
size_t catalog_meters_of_type(const struct catalog *c, slice event_type, const struct meter **out, size_t max);
/* Do the dimension values (parallel to meter->dimensions, empty = absent) satisfy all matches? */
bool match_all(const struct match *matches, size_t count, const slice *dimensions);
#endif
