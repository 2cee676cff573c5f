/* A random catalog of one customer, first as plain numbers for the oracle, then as YAML for the engine. */
#ifndef METERHOUSE_TESTS_CONTRACTS_DEAL_H
#define METERHOUSE_TESTS_CONTRACTS_DEAL_H
#include "base/hash.h"
#include "calendar.h"

enum { NAMES = 4, METERS = 3, PLANS = 3, ADD_ONS = 2, VERSIONS = 3, TIERS = 3, PHASES = 3, CHANGES = 8, CONTRACTS = 2 };
enum every { ONCE, MONTH, HOUR, QUARTER, YEAR };
enum naive_model { PER_UNIT, GRADUATED, VOLUME, PACKAGE, STAIRSTEP, FLAT };
enum when { NOW, PERIOD_END, TERM_END };
enum { CALLS, TOKENS, LEASE };

static const char *const fee_names[NAMES] = {"Base", "Seats", "Support", "Setup"};
static const char *const meter_names[METERS] = {"calls", "tokens", "gpu_hours"};
static const char *const plan_names[PLANS + ADD_ONS] = {"p0", "p1", "p2", "a0", "a1"};
static const char *const every_names[] = {"once", "month", "hour", "quarter", "year"};
static const char *const model_names[] = {"per_unit", "graduated", "volume", "package", "stairstep", "flat"};

/* Money in millionths, quantities in thousandths. */
struct fee_terms {
  int name;
  enum every every;
  bool in_advance;
  int64_t price, count;
};
struct price_terms {
  int meter;
  enum naive_model model;
  int64_t per; /* units */
  int tiers;
  int64_t up_to[TIERS], each[TIERS], flat[TIERS];
  int64_t minimum, maximum; /* 0: none */
};
struct terms {
  struct fee_terms fees[NAMES];
  struct price_terms prices[METERS];
  int fee_count, price_count;
  int64_t included[METERS];
  int64_t minimum; /* below 0: none */
};
struct plan_terms {
  struct terms versions[VERSIONS];
  seconds valid_from[VERSIONS];
  int version_count;
};
struct add_on_terms {
  int plan; /* index into plan_names */
  int64_t count;
};
struct change_terms {
  seconds at;
  enum when when;
  int plan; /* below 0: as before */
  int64_t counts[NAMES];
  bool counted[NAMES], removed[ADD_ONS];
  struct add_on_terms add_ons[ADD_ONS];
  int add_on_count;
  bool cancels, keeps;
};
struct phase_terms {
  int plan;
  int months, days, hours; /* one of them */
};
struct contract_terms {
  seconds from, to; /* FOREVER: open; of a term, worked out by the oracle */
  bool from_is_date;
  int term_months;
  bool renews, has_own;
  int plan;
  struct terms own;
  struct phase_terms phases[PHASES];
  int phase_count;
  int64_t counts[NAMES];
  bool counted[NAMES];
  struct add_on_terms add_ons[ADD_ONS];
  int add_on_count;
  struct change_terms changes[CHANGES];
  int change_count;
};
struct deal {
  struct random random;
  const char *zone;
  int day, cadence_months, first_month;
  struct plan_terms plans[PLANS + ADD_ONS];
  struct contract_terms contracts[CONTRACTS];
  int contract_count;
  seconds from, to; /* what is looked at */
};

static inline int64_t pick(struct deal *d, int64_t bound) {
  return (int64_t)random_below(&d->random, (uint64_t)bound);
}

static inline bool chance(struct deal *d, int percent) {
  return pick(d, 100) < percent;
}

static inline seconds some_second(struct deal *d, seconds from, seconds to) {
  return from + pick(d, to - from);
}

/* ---- terms ---- */

/* Few prices, so that a fee often goes on unchanged from plan to plan. */
static inline int64_t some_price(struct deal *d) {
  static const int64_t few[] = {310000000, 620000000, 99990000, 1, 7};
  return chance(d, 75) ? few[pick(d, 3)] : chance(d, 50) ? few[3 + pick(d, 2)] : pick(d, 100000000000);
}

static inline int64_t some_count(struct deal *d) {
  return chance(d, 70) ? 1000 * (1 + pick(d, 3)) : pick(d, 20000);
}

static inline void make_fee(struct deal *d, int name, struct fee_terms *f) {
  static const enum every usual[NAMES] = {MONTH, MONTH, QUARTER, ONCE};
  f->name = name;
  f->every = chance(d, 65) ? usual[name] : (enum every)pick(d, 5);
  f->in_advance = f->every != HOUR && chance(d, name == 0 ? 85 : 45);
  f->price = some_price(d);
  f->count = chance(d, 60) ? 1000 : some_count(d);
}

static inline void make_price(struct deal *d, int meter, struct price_terms *p) {
  *p = (struct price_terms){.meter = meter, .model = (enum naive_model)pick(d, 6), .per = 1, .tiers = 1};
  bool tiered = p->model == GRADUATED || p->model == VOLUME || p->model == STAIRSTEP;
  if (p->model == PER_UNIT || p->model == GRADUATED || p->model == VOLUME || p->model == PACKAGE) {
    p->per = chance(d, 50) ? 1 : 1 + pick(d, 999);
  }
  p->tiers = tiered ? 1 + (int)pick(d, TIERS) : 1;
  int64_t border = 0;
  for (int i = 0; i < p->tiers; i++) {
    border += 1 + pick(d, chance(d, 50) ? 20000 : 2000000);
    p->up_to[i] = border;
    p->each[i] = p->model == STAIRSTEP ? 0 : pick(d, 5000000);
    p->flat[i] = p->model == STAIRSTEP || (tiered && chance(d, 30)) ? 1 + pick(d, 9000000) : 0;
  }
  if (chance(d, 20)) {
    p->minimum = 1 + pick(d, 50000000);
  }
  if (chance(d, 20)) {
    p->maximum = p->minimum + 1 + pick(d, 50000000);
  }
}

static inline void make_terms(struct deal *d, struct terms *t, int fee_percent, int price_percent) {
  *t = (struct terms){.minimum = chance(d, 25) ? pick(d, 2000) * 1000000 : -1};
  for (int i = 0; i < NAMES; i++) {
    if (chance(d, fee_percent)) {
      make_fee(d, i, &t->fees[t->fee_count++]);
    }
  }
  for (int i = 0; i < METERS; i++) {
    if (chance(d, price_percent)) {
      make_price(d, i, &t->prices[t->price_count++]);
    }
    t->included[i] = chance(d, 25) ? 1 + pick(d, 100000) : 0;
  }
}

static inline void make_plans(struct deal *d) {
  for (int p = 0; p < PLANS + ADD_ONS; p++) {
    struct plan_terms *plan = &d->plans[p];
    plan->version_count = 1 + (int)pick(d, VERSIONS);
    for (int v = 0; v < plan->version_count; v++) {
      bool again = v > 0 && chance(d, 30); /* a version that changes little */
      plan->versions[v] = plan->versions[v > 0 ? v - 1 : 0];
      if (again) {
        plan->versions[v].minimum = chance(d, 50) ? 500000000 : -1;
      } else {
        make_terms(d, &plan->versions[v], p < PLANS ? 55 : 30, p < PLANS ? 75 : 40);
      }
      plan->valid_from[v] = v == 0 ? 0 : some_second(d, d->from, d->to) + v;
      if (v > 1 && plan->valid_from[v] <= plan->valid_from[v - 1]) {
        plan->valid_from[v] = plan->valid_from[v - 1] + 1 + pick(d, 40 * DAY_S);
      }
    }
  }
}

/* ---- contracts ---- */

static inline int some_add_ons(struct deal *d, struct add_on_terms out[ADD_ONS], int percent) {
  int count = 0;
  int first = (int)pick(d, ADD_ONS);
  for (int i = 0; i < ADD_ONS; i++) {
    if (chance(d, percent)) {
      out[count++] = (struct add_on_terms){PLANS + (first + i) % ADD_ONS, some_count(d)};
    }
  }
  return count;
}

static inline void some_counts(struct deal *d, int64_t counts[NAMES], bool counted[NAMES], int percent) {
  for (int i = 0; i < NAMES; i++) {
    counted[i] = chance(d, percent);
    counts[i] = counted[i] ? some_count(d) : 0;
  }
}

static inline void make_change(struct deal *d, const struct contract_terms *c, seconds until, struct change_terms *x) {
  *x = (struct change_terms){.plan = chance(d, 50) ? (int)pick(d, PLANS) : -1};
  x->at = some_second(d, c->from + 1, until);
  if (chance(d, 30)) { /* where a month begins, which is where much else does */
    seconds month = month_around(x->at, d->day).from;
    x->at = month > c->from ? month : x->at;
  }
  if (c->term_months > 0 && chance(d, 20)) { /* at the end of a term, which is then over */
    seconds end = add_months(c->from, c->term_months * (1 + (int)pick(d, 3)));
    x->at = end < until ? end : x->at;
  }
  x->when = chance(d, 60) ? NOW : c->term_months > 0 && chance(d, 40) ? TERM_END : PERIOD_END;
  some_counts(d, x->counts, x->counted, 15);
  x->add_on_count = some_add_ons(d, x->add_ons, 15);
  for (int i = 0; i < ADD_ONS; i++) {
    x->removed[i] = chance(d, 20);
  }
  x->cancels = chance(d, 8);
  x->keeps = chance(d, 20);
}

static inline void make_phases(struct deal *d, struct contract_terms *c) {
  c->phase_count = chance(d, 60) ? 0 : 1 + (int)pick(d, PHASES);
  for (int i = 0; i < c->phase_count; i++) {
    struct phase_terms *p = &c->phases[i];
    *p = (struct phase_terms){.plan = (int)pick(d, PLANS)};
    switch (pick(d, 3)) {
    case 0:
      p->months = 1 + (int)pick(d, 4);
      break;
    case 1:
      p->days = 1 + (int)pick(d, 60);
      break;
    default:
      p->hours = 1 + (int)pick(d, 1000);
    }
  }
}

/* Around a moment of the following year at which clocks go back: seconds that exist twice. */
static inline seconds near_clock_change(struct deal *d, seconds t) {
  for (int day = 0; day < 366; day++, t += DAY_S) {
    if (local_time(t).tm_gmtoff > local_time(t + DAY_S).tm_gmtoff) {
      seconds low = t, high = t + DAY_S;
      while (high - low > 1) {
        seconds middle = (low + high) / 2;
        *(local_time(middle).tm_gmtoff == local_time(t).tm_gmtoff ? &low : &high) = middle;
      }
      return high - 7200 + pick(d, 14400);
    }
  }
  return t;
}

static inline void make_contract(struct deal *d, seconds from, seconds to, struct contract_terms *c) {
  *c = (struct contract_terms){.plan = (int)pick(d, PLANS), .from = some_second(d, from, from + (to - from) / 2)};
  if (chance(d, 50)) {
    struct tm l = local_time(c->from);
    int day = chance(d, 30) ? d->day < 28 ? d->day : 28 : l.tm_mday;
    seconds date = clocks_show(l.tm_year + 1900, l.tm_mon + 1, day, 0);
    c->from_is_date = date >= from;
    c->from = c->from_is_date ? date : c->from;
  } else if (chance(d, 40)) {
    seconds near = near_clock_change(d, from);
    c->from = near > from && near < to - 2 ? near : c->from;
  }
  c->to = chance(d, 40) ? some_second(d, c->from + 2, to) : to;
  if (chance(d, 40)) {
    c->term_months = 1 + (int)pick(d, 14);
    c->renews = chance(d, 60);
    seconds end = add_months(c->from, c->term_months);
    c->to = c->renews ? FOREVER : end;
  }
  if (to == d->to && c->term_months == 0 && chance(d, 50)) {
    c->to = FOREVER;
  }
  c->has_own = chance(d, 40);
  if (c->has_own) {
    make_terms(d, &c->own, 25, 25);
  }
  make_phases(d, c);
  some_counts(d, c->counts, c->counted, 15);
  c->add_on_count = some_add_ons(d, c->add_ons, 25);
  c->change_count = chance(d, 25) ? 0 : 1 + (int)pick(d, CHANGES);
  for (int i = 0; i < c->change_count; i++) {
    make_change(d, c, c->to < to ? c->to : to, &c->changes[i]);
  }
}

static inline void make_deal(struct deal *d, uint64_t seed) {
  static const char *const zones[] = {"UTC",
                                      "Europe/Amsterdam",
                                      "America/New_York",
                                      "Asia/Kolkata",
                                      "Asia/Kathmandu",
                                      "Australia/Lord_Howe",
                                      "America/Havana",
                                      "Pacific/Kiritimati"};
  *d = (struct deal){.cadence_months = 1, .first_month = 1};
  random_seed(&d->random, seed, 0);
  d->zone = zones[pick(d, 8)];
  use_zone(d->zone);
  d->day = chance(d, 50) ? 1 : 1 + (int)pick(d, 31);
  if (chance(d, 35)) {
    d->cadence_months = chance(d, 60) ? 3 : 12;
    d->first_month = 1 + (int)pick(d, 12);
  }
  d->from = clocks_show(2023 + (int)pick(d, 3), 1 + (int)pick(d, 12), 1, 0);
  d->to = add_months(d->from, 4 + (int)pick(d, 33));
  make_plans(d);
  d->contract_count = 1 + chance(d, 40);
  seconds middle = d->contract_count == 2 ? some_second(d, d->from + 40 * DAY_S, d->to - 40 * DAY_S) : d->to;
  make_contract(d, d->from, middle, &d->contracts[0]);
  if (d->contract_count == 2) {
    struct contract_terms *first = &d->contracts[0];
    if (first->to > middle) { /* a renewing or long one ends for the next */
      first->to = middle;
      first->term_months = 0;
      first->renews = false;
      first->change_count = 0;
    }
    make_contract(d, middle, d->to, &d->contracts[1]);
    if (chance(d, 50)) {
      d->contracts[1].from_is_date = false;
      d->contracts[1].from = first->to;
      d->contracts[1].change_count = 0;
      d->contracts[1].to = d->contracts[1].term_months > 0 ? d->contracts[1].to : FOREVER;
      if (d->contracts[1].term_months > 0 && !d->contracts[1].renews) {
        d->contracts[1].to = add_months(first->to, d->contracts[1].term_months);
      }
    }
  }
}
#endif
