/* The deal as YAML, so that the reader of catalogs is part of what is tested. */
#ifndef METERHOUSE_TESTS_CONTRACTS_WRITE_H
#define METERHOUSE_TESTS_CONTRACTS_WRITE_H
#include "deal.h"

static inline void put_millionths(struct buf *out, const char *key, int64_t n) {
  buf_addf(out, ", %s: %lld.%06lld", key, (long long)(n / 1000000), (long long)(n % 1000000));
}

static inline void put_thousandths(struct buf *out, const char *key, int64_t n) {
  buf_addf(out, ", %s: %lld.%03lld", key, (long long)(n / 1000), (long long)(n % 1000));
}

static inline void put_time(struct buf *out, const char *key, seconds t) {
  struct tm utc;
  time_t at = (time_t)t;
  gmtime_r(&at, &utc);
  buf_addf(out, ", %s: \"%04d-%02d-%02dT%02d:%02d:%02dZ\"", key, utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
           utc.tm_hour, utc.tm_min, utc.tm_sec);
}

static inline void write_fee(struct buf *out, const struct fee_terms *f) {
  buf_addf(out, "{name: %s, every: %s", fee_names[f->name], every_names[f->every]);
  put_millionths(out, "price", f->price);
  put_thousandths(out, "count", f->count);
  buf_addf(out, "%s}, ", f->in_advance ? ", in_advance: true" : "");
}

static inline void write_price(struct buf *out, const struct price_terms *p) {
  bool tiered = p->model == GRADUATED || p->model == VOLUME || p->model == STAIRSTEP;
  buf_addf(out, "{meter: %s, model: %s", meter_names[p->meter], model_names[p->model]);
  if (p->per != 1 || p->model == PACKAGE) {
    buf_addf(out, ", per: %lld", (long long)p->per);
  }
  if (!tiered) {
    put_millionths(out, "price", p->each[0]);
  }
  buf_addf(out, "%s", tiered ? ", tiers: [" : "");
  for (int i = 0; tiered && i < p->tiers; i++) {
    size_t start = out->len;
    if (i + 1 < p->tiers) {
      put_thousandths(out, "up_to", p->up_to[i]);
    }
    if (p->model != STAIRSTEP) {
      put_millionths(out, "price", p->each[i]);
    }
    if (p->flat[i] > 0) {
      put_millionths(out, "flat", p->flat[i]);
    }
    out->ptr[start] = '{'; /* in place of the first comma */
    buf_addf(out, "}, ");
  }
  buf_addf(out, "%s", tiered ? "]" : "");
  if (p->minimum > 0) {
    put_millionths(out, "minimum", p->minimum);
  }
  if (p->maximum > 0) {
    put_millionths(out, "maximum", p->maximum);
  }
  buf_addf(out, "}, ");
}

/* As members of a map that has one already. */
static inline void write_terms(struct buf *out, const struct terms *t) {
  buf_addf(out, ", fees: [");
  for (int i = 0; i < t->fee_count; i++) {
    write_fee(out, &t->fees[i]);
  }
  buf_addf(out, "], prices: [");
  for (int i = 0; i < t->price_count; i++) {
    write_price(out, &t->prices[i]);
  }
  buf_addf(out, "], allowances: [");
  for (int i = 0; i < METERS; i++) {
    if (t->included[i] > 0) {
      buf_addf(out, "{meter: %s", meter_names[i]);
      put_thousandths(out, "included", t->included[i]);
      buf_addf(out, "}, ");
    }
  }
  buf_addf(out, "]");
  if (t->minimum >= 0) {
    put_millionths(out, "minimum", t->minimum);
  }
}

static inline void write_counts(struct buf *out, const int64_t counts[NAMES], const bool counted[NAMES]) {
  for (int i = 0, n = 0; i < NAMES; i++) {
    if (counted[i]) {
      buf_addf(out, "%s%s: %lld.%03lld", n++ ? ", " : ", quantities: {", fee_names[i], (long long)(counts[i] / 1000),
               (long long)(counts[i] % 1000));
    }
  }
  for (int i = 0; i < NAMES; i++) {
    if (counted[i]) {
      buf_addc(out, '}');
      break;
    }
  }
}

static inline void write_add_ons(struct buf *out, const struct add_on_terms *add_ons, int count) {
  buf_addf(out, "%s", count ? ", add_ons: [" : "");
  for (int i = 0; i < count; i++) {
    buf_addf(out, "{plan: %s", plan_names[add_ons[i].plan]);
    put_thousandths(out, "count", add_ons[i].count);
    buf_addf(out, "}, ");
  }
  buf_addf(out, "%s", count ? "]" : "");
}

static inline void write_change(struct buf *out, const struct change_terms *x) {
  static const char *const when[] = {"now", "period_end", "term_end"};
  buf_addf(out, "{when: %s", when[x->when]);
  put_time(out, "at", x->at);
  if (x->plan >= 0) {
    buf_addf(out, ", plan: %s", plan_names[x->plan]);
  }
  write_counts(out, x->counts, x->counted);
  write_add_ons(out, x->add_ons, x->add_on_count);
  if (x->removed[0] || x->removed[1]) {
    buf_addf(out, ", remove: [%s%s%s]", x->removed[0] ? plan_names[PLANS] : "",
             x->removed[0] && x->removed[1] ? ", " : "", x->removed[1] ? plan_names[PLANS + 1] : "");
  }
  buf_addf(out, "%s%s}, ", x->cancels ? ", cancel: true" : "", x->keeps ? ", credit: false" : "");
}

static inline void write_contract(struct buf *out, const struct contract_terms *c) {
  buf_addf(out, "      - {plan: %s", plan_names[c->plan]);
  if (c->from_is_date) {
    struct tm l = local_time(c->from);
    buf_addf(out, ", from: %04d-%02d-%02d", l.tm_year + 1900, l.tm_mon + 1, l.tm_mday);
  } else {
    put_time(out, "from", c->from);
  }
  if (c->term_months > 0) {
    buf_addf(out, ", term: %d months%s", c->term_months, c->renews ? ", renew: true" : "");
  } else if (c->to != FOREVER) {
    put_time(out, "to", c->to);
  }
  if (c->has_own) {
    write_terms(out, &c->own);
  }
  buf_addf(out, "%s", c->phase_count ? ", phases: [" : "");
  for (int i = 0; i < c->phase_count; i++) {
    const struct phase_terms *p = &c->phases[i];
    int n = p->months + p->days + p->hours;
    buf_addf(out, "{plan: %s, for: %d %s}, ", plan_names[p->plan], n,
             p->months ? "months"
             : p->days ? "days"
                       : "hours");
  }
  buf_addf(out, "%s", c->phase_count ? "]" : "");
  write_counts(out, c->counts, c->counted);
  write_add_ons(out, c->add_ons, c->add_on_count);
  buf_addf(out, "%s", c->change_count ? ", changes: [\n" : "");
  for (int i = 0; i < c->change_count; i++) {
    buf_addf(out, "        ");
    write_change(out, &c->changes[i]);
    buf_addf(out, "\n");
  }
  buf_addf(out, "%s}\n", c->change_count ? "]" : "");
}

static inline void write_deal(struct buf *out, const struct deal *d) {
  static const char *const cadence[] = {[1] = "month", [3] = "quarter", [12] = "year"};
  buf_addf(out, "currency: USD\nmeters:\n"
                "  - {name: calls, event: call, aggregation: count}\n"
                "  - {name: tokens, event: answer, value: n}\n"
                "  - {name: gpu_hours, event: lease, value: n, aggregation: integral, series: s}\n"
                "plans:\n");
  for (int p = 0; p < PLANS + ADD_ONS; p++) {
    for (int v = 0; v < d->plans[p].version_count; v++) {
      buf_addf(out, "  - {name: %s", plan_names[p]);
      if (d->plans[p].valid_from[v] > 0) {
        put_time(out, "valid_from", d->plans[p].valid_from[v]);
      }
      write_terms(out, &d->plans[p].versions[v]);
      buf_addf(out, "}\n");
    }
  }
  buf_addf(out, "customers:\n  - id: cus\n    time_zone: %s\n    billing: {every: %s, day: %d", d->zone,
           cadence[d->cadence_months], d->day);
  if (d->cadence_months > 1) {
    buf_addf(out, ", month: %d", d->first_month);
  }
  buf_addf(out, "}\n    contracts:\n");
  for (int i = 0; i < d->contract_count; i++) {
    write_contract(out, &d->contracts[i]);
  }
}
#endif
