/* What the files of the catalog share while YAML becomes a catalog: the loader, its problems, and readers of fields. */
#ifndef METERHOUSE_CATALOG_PRIVATE_H
#define METERHOUSE_CATALOG_PRIVATE_H
#include "base/hash.h"
#include "base/yaml.h"
#include "catalog/catalog.h"

#define PROBLEMS_MAX 10
#define NAME_BYTES_MAX 200
#define TEXT_BYTES_MAX 2000
#define LINES_MAX 20    /* of an address */
#define VALUES_MAX 1000 /* in one list of values to match */
#define PRICES_PER_PLAN_MAX 50000
#define PRICES_MAX 500000 /* of all plans and contracts */
#define HOURS_MAX 100     /* different stretches of hours in one plan */
#define RATES_MAX 1000000 /* exchange rates */
#define CUSTOMERS_MAX 1000000
#define CONTRACTS_MAX 1000 /* of one customer */
#define TOP_UPS_A_MONTH_DEFAULT 5
#define TOP_UPS_A_MONTH_MAX 1000
#define ENTRIES_MAX 10000 /* of any other list */

/* Tables over the catalog that make its look-ups quick; lives with it. */
struct catalog_index {
  struct arena *arena; /* holds the whole catalog, this included */
  struct map meters;   /* name -> struct meter */
  struct map types;    /* event type -> struct type_meters */
};
struct type_meters {
  const struct meter **items;
  size_t count;
};
void catalog_index_build(struct catalog *catalog, struct catalog_index *index);

struct problems {
  size_t count; /* found; text holds the first PROBLEMS_MAX */
  struct buf text;
};

struct loader {
  struct arena *arena;   /* of the catalog */
  struct arena *scratch; /* of the trees and of all that is only needed while loading */
  struct catalog *catalog;
  const struct yaml **files; /* the root of each file; NULL for an empty one */
  size_t file_count;
  struct problems problems;
  struct map file_names; /* -> char * that lives as long as the catalog, for places */
  struct map zones;      /* name -> char *, each looked up in the system once */
  struct map taxes;      /* name -> struct tax */
  struct map sellers;    /* id -> struct seller */
  struct map upstreams;  /* name -> struct upstream */
  size_t price_count;
};

/* ---- problems.c ---- */
void problem(struct loader *l, const struct yaml *node, const char *fmt, ...) PRINTF_LIKE(3, 4);
void problem_take(struct loader *l, const struct error *err); /* one that already names its place */
/* Fills err from what was found; true when nothing was. */
MUST_USE bool problems_report(struct problems *p, struct error *err);
/* At most 60 bytes of a text, for a message. */
const char *shown(struct loader *l, slice text);
/* ": did you mean \"x\"?" or "" when nothing is near. */
const char *did_you_mean(struct loader *l, slice text, const char *const *names);
/* The same over `count` names, the i-th given by `name_at`. */
const char *did_you_mean_any(struct loader *l, slice text, slice (*name_at)(const void *items, size_t i),
                             const void *items, size_t count);
/* Notes a problem when the name was seen before in `seen`; empty names are let pass. */
void must_be_new(struct loader *l, struct map *seen, slice name, const struct yaml *node, const char *what);

/* ---- fields.c: a field that is missing or wrong is noted as a problem and read as empty or zero; reading goes on ----
 */
/* True for a map with no other keys than these. */
bool is_map_of(struct loader *l, const struct yaml *node, const char *const *keys);
const struct yaml *field(const struct yaml *map, const char *key); /* NULL when absent or null */
const struct yaml *needed(struct loader *l, const struct yaml *map, const char *key, const char *why);
bool scalar(struct loader *l, const struct yaml *node);
slice name_of(struct loader *l, const struct yaml *node); /* one line of 1 to NAME_BYTES_MAX bytes; node may be NULL */
slice text_of(struct loader *l, const struct yaml *node); /* lines allowed, up to TEXT_BYTES_MAX; node may be NULL */
/* One value, or a list of values. */
const slice *names_of(struct loader *l, const struct yaml *node, size_t max, size_t *count);
bool amount_of(struct loader *l, const struct yaml *node, amount *out);     /* not negative */
bool quantity_of(struct loader *l, const struct yaml *node, quantity *out); /* above zero */
bool rate_of(struct loader *l, const struct yaml *node, rate low, rate high, rate *out);
/* The key of a node as a value to match; "" when it is not fit for one. */
slice key_of(struct loader *l, const struct yaml *node);
int integer_of(struct loader *l, const struct yaml *node, int low, int high, int otherwise);
int64_t whole_of(struct loader *l, const struct yaml *node, int64_t low, int64_t high, int64_t otherwise);
bool instant_of(struct loader *l, const struct yaml *node, const char *zone, instant *out);
const struct currency *currency_of(struct loader *l, const struct yaml *node, const struct currency *otherwise);
const char *zone_of(struct loader *l, const struct yaml *node, const char *otherwise);
/* Index into the NULL-terminated names. */
int choice_of(struct loader *l, const struct yaml *node, const char *const *names, int otherwise);
bool flag_of(struct loader *l, const struct yaml *node, bool otherwise); /* true or false */
struct place place_of(struct loader *l, const struct yaml *node);
void party_of(struct loader *l, const struct yaml *map, struct party *out);

/* The items of a list, none when it is absent; a problem when it is no list or longer than `max`. */
size_t list_count(struct loader *l, const struct yaml *list, size_t max);
/* The same for a section that may stand in several files. */
size_t section_count(struct loader *l, const char *key, size_t max);
struct section {
  const char *key;
  size_t file;
  const struct yaml *item;
};
const struct yaml *section_next(const struct loader *l, struct section *s);

/* ---- one file a section ---- */
void read_settings(struct loader *l);
void read_virtual_currencies(struct loader *l);
void read_exchange_rates(struct loader *l);
void read_taxes(struct loader *l);
void read_tax_rules(struct loader *l);
void read_sellers(struct loader *l);
void read_meters(struct loader *l);
void read_plans(struct loader *l);
void read_customers(struct loader *l);
void read_pools(struct loader *l);
/* ---- read_selling.c: what `map`, a pool, says of selling it; its meter and count are read before ---- */
void read_selling(struct loader *l, const struct yaml *map, struct pool *out);
void read_gateway(struct loader *l);
void read_upstreams(struct loader *l);
void read_models(struct loader *l);
void read_dunning(struct loader *l);
void read_payment_providers(struct loader *l);

const struct yaml *setting(struct loader *l, const char *key); /* one that may stand in one file only */
/* A file named in the catalog, from the folder of the file that names it. */
slice file_path_of(struct loader *l, const struct yaml *node);
const struct meter *meter_named(struct loader *l, const struct yaml *node); /* NULL and a problem when unknown */
/* Of ISO 4217 or one of the catalog's virtual ones. */
const struct currency *any_currency_of(struct loader *l, const struct yaml *node, const struct currency *otherwise);
/* What holds together in a contract, its plan, its own terms and its add-ons, has one currency. */
void check_currencies(struct loader *l);
/* Is there any rate between the two, of whatever date? */
bool any_exchange_rate(const struct catalog *c, const struct currency *from, const struct currency *to);

/* ---- read_taxes.c ---- */
/* What a rule, or a customer, calls the tax that is none. */
#define NO_TAX "none"
/* NULL for NO_TAX, and for what is not there: then a problem is noted. */
const struct tax *tax_named(struct loader *l, const struct yaml *node);
/* The tax of a customer that is exempt, as a tax of its own. */
const struct tax *exemption_of(struct loader *l, const struct yaml *map);

/* ---- read_sellers.c ---- */
/* The entity that `node` names; the first one when it is NULL. */
const struct seller *seller_named(struct loader *l, const struct yaml *node, const struct yaml *customer);

/* ---- check_taxes.c ---- */
/* What must hold of a customer once it is read: some rule takes it, reverse charge has both numbers. */
void check_customer_tax(struct loader *l, const struct yaml *node, const struct customer *customer);
/* Products that tax rules and commitments name are sold by someone. */
void check_products(struct loader *l);

/* ---- tax_rules.c ---- */
/* Does the rule take this customer, whatever it buys? */
bool tax_rule_takes(const struct tax_rule *rule, const struct customer *customer, const struct seller *seller,
                    instant at);

/* ---- read_reservations.c ---- */
#define COVER_KEYS "reservations", "savings_plans"
/* `contract`: whose they are, NULL for those of a plan; dates count in `zone`. */
void read_covers(struct loader *l, const struct yaml *map, const char *zone, const struct contract *contract,
                 struct plan *out);

/* ---- read_commitments.c ---- */
/* `contract`: whose they are, NULL for those of a plan; dates count in `zone`. Reads `minimum` too. */
void read_commitments(struct loader *l, const struct yaml *map, const char *zone, const struct contract *contract,
                      struct plan *out);

/* ---- read_contracts.c ---- */
#define CONTRACT_FEE_COUNTS_MAX 100
void read_contracts(struct loader *l, const struct yaml *list, struct customer *out);
void read_short_contract(struct loader *l, const struct yaml *map, struct customer *out);

/* ---- contract_parts.c: a contract as written becomes parts ---- */
struct phase {
  const struct yaml *node;
  slice plan_name;
  struct time_span length;
};
enum change_when { CHANGE_NOW, CHANGE_PERIOD_END, CHANGE_TERM_END };
struct change {
  const struct yaml *node;
  size_t index;       /* as written */
  instant at, effect; /* decided; in force */
  enum change_when when;
  slice plan_name; /* empty: as before */
  const struct fee_count *fee_counts;
  size_t fee_count_count;
  const struct add_on *add_ons; /* added, or with another count */
  size_t add_on_count;
  const slice *removed;
  size_t removed_count;
  bool cancels, keeps_rest;
};
struct contract_draft {
  const struct yaml *node;
  struct contract base;
  instant end; /* with a cancellation taken into account */
  bool has_term;
  struct time_span term;
  struct phase *phases;
  size_t phase_count;
  struct change *changes;
  size_t change_count;
};
struct parts {
  struct contract *items;
  size_t count, capacity;
};
/* ---- check_contracts.c: what is written would otherwise be passed over ---- */
/* A change changes something, or cancels and nothing else. */
void check_change(struct loader *l, const struct change *change);
/* The add-ons it removes are there before it. */
void check_removed(struct loader *l, const struct change *change, const struct contract *before);
/* Nothing is changed after a cancellation; `draft` has been cut. */
void check_changes_in_time(struct loader *l, const struct contract_draft *draft);
/* Fees whose counts are set are in one of the contract's plans. */
void check_fee_counts(struct loader *l, const struct contract_draft *draft);
/* Of the products that a commitment counts at least one is sold; `products` holds all that are. */
void check_commitment_products(struct loader *l, const struct map *products);

void contract_cut(struct loader *l, const struct customer *customer, struct contract_draft *draft, struct parts *out);

/* ---- read_prices.c: what plans and contracts have in common ---- */
#define TERMS_KEYS "prices", "fees", "allowances", "minimum", "commitments", COVER_KEYS
void read_terms(struct loader *l, const struct yaml *map, struct plan *out);
const struct match *matches_of(struct loader *l, const struct yaml *node, const struct meter *meter, size_t *count);
/* Index of the dimension of that name; a problem at `node` when there is none. */
bool dimension_of(struct loader *l, const struct yaml *node, slice name, const struct meter *meter, uint32_t *out);
/* A price without a name is called by `first` and the values of its matches from the `skip`th on: "GPU compute H100".
 */
slice price_name(struct loader *l, slice first, const struct price_rule *p, size_t skip);
struct read_rule {
  struct price_rule rule;
  const struct yaml *node;
};
/* The prices of a plan while they are read. */
struct read_rules {
  struct read_rule *items;
  size_t count, capacity;
  bool full;
};
void add_rule(struct loader *l, struct read_rules *rules, const struct price_rule *rule, const struct yaml *node);

/* ---- read_models.c ---- */
void read_model(struct loader *l, const struct yaml *map, struct price_rule *out);
/* One price for all, from the scalar that holds it. */
void read_single_price(struct loader *l, const struct yaml *price, struct price_rule *out);
void read_limits(struct loader *l, const struct yaml *map, struct price_rule *out);

/* ---- read_multipliers.c ---- */
void read_multipliers(struct loader *l, const struct yaml *list, struct price_rule *out);
/* Gathers the hours of all prices, each once. */
void gather_hours(struct loader *l, const struct yaml *list, struct plan *plan);

/* ---- read_matrix.c ---- */
/* Adds a price for each leaf of `matrix`, all else as `base` says. `name` is NULL when the base has none of its own. */
void read_matrix(struct loader *l, const struct yaml *matrix, const struct price_rule *base, const struct yaml *name,
                 struct read_rules *rules);

/* ---- read_watches.c: what plans and customers have in common ---- */
#define WATCH_KEYS "alerts", "entitlements", "auto_top_up"
void read_watches(struct loader *l, const struct yaml *map, struct watches *out);

/* ---- read_calls.c: what plans and customers say of calls through the gateway ---- */
void read_call_limits(struct loader *l, const struct yaml *map, struct call_limits *out);
void read_credit_line(struct loader *l, const struct yaml *node, struct customer *out);
/* "30 s", within these bounds; ms. */
int64_t duration_ms_of(struct loader *l, const struct yaml *node, int64_t low_ms, int64_t high_ms, int64_t otherwise);

/* ---- price_index.c: the prices of a plan by meter and by the value of one of the dimensions they match ---- */
struct keyed_price {
  slice value;
  uint32_t price; /* index in the plan */
};
struct dimension_prices {
  uint32_t dimension;
  const struct keyed_price *items; /* by value, then price */
  size_t count;
};
struct meter_prices {
  const struct meter *meter;
  const uint32_t *prices; /* all of them, ascending */
  size_t count;
  uint32_t broad; /* the first that takes any usage; UINT32_MAX when there is none */
  const struct dimension_prices *dimensions;
  size_t dimension_count;
};
struct price_index {
  const struct meter_prices *meters; /* by meter->index */
  size_t meter_count;
};
/* Every price has a meter. */
const struct price_index *price_index_build(struct arena *arena, const struct price_rule *prices, size_t count);
const struct meter_prices *prices_of_meter(const struct price_index *index, const struct meter *meter);

/* ---- check_prices.c ---- */
/* A price that usage can never reach, because earlier ones take all of it, is a problem. `rules` are the plan's. */
void check_prices_reachable(struct loader *l, const struct plan *plan, const struct read_rules *rules);

/* ---- check_overlaps.c ---- */
/* Two meters that count the same, both priced for one customer, would bill usage twice. */
void check_overlaps(struct loader *l);

/* ---- lookup.c ---- */
/* The first version of a plan, NULL when there is none of that name. */
const struct plan *first_version(const struct catalog *catalog, slice name);
slice plan_name_at(const void *plans, size_t i);
slice meter_name_at(const void *meters, size_t i);
slice tax_name_at(const void *taxes, size_t i);
slice pool_name_at(const void *pools, size_t i);
slice upstream_name_at(const void *upstreams, size_t i);
slice seller_id_at(const void *sellers, size_t i);
void read_parents(struct loader *l, struct customer *customers, size_t count);
#endif
