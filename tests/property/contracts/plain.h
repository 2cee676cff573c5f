/* Takes out of a deal what a catalog refuses because it would have no effect: counts of fees that no plan of the
 * contract has, add-ons removed that are not there, changes that change nothing or come after the end. */
#ifndef METERHOUSE_TEST_PLAIN_H
#define METERHOUSE_TEST_PLAIN_H
#include "oracle.h"

static inline bool terms_name(const struct terms *t, int name) {
  for (int i = 0; i < t->fee_count; i++) {
    if (t->fees[i].name == name) {
      return true;
    }
  }
  return false;
}

static inline bool plan_names_fee(const struct deal *d, int plan, int name) {
  for (int v = 0; plan >= 0 && v < d->plans[plan].version_count; v++) {
    if (terms_name(&d->plans[plan].versions[v], name)) {
      return true;
    }
  }
  return false;
}

static inline bool add_ons_name(const struct deal *d, const struct add_on_terms *add_ons, int count, int name) {
  for (int i = 0; i < count; i++) {
    if (plan_names_fee(d, add_ons[i].plan, name)) {
      return true;
    }
  }
  return false;
}

static inline bool contract_names_fee(const struct deal *d, const struct contract_terms *c, int name) {
  bool any = (c->has_own && terms_name(&c->own, name)) || plan_names_fee(d, c->plan, name) ||
             add_ons_name(d, c->add_ons, c->add_on_count, name);
  for (int i = 0; i < c->phase_count; i++) {
    any = any || plan_names_fee(d, c->phases[i].plan, name);
  }
  for (int i = 0; i < c->change_count; i++) {
    const struct change_terms *x = &c->changes[i];
    any = any || plan_names_fee(d, x->plan, name) || add_ons_name(d, x->add_ons, x->add_on_count, name);
  }
  return any;
}

static inline bool adds(const struct add_on_terms *add_ons, int count, int plan) {
  for (int i = 0; i < count; i++) {
    if (add_ons[i].plan == plan) {
      return true;
    }
  }
  return false;
}

/* Is the add-on there just before change `number`? What the latest change before it that touches it says. */
static inline bool is_there(const struct deal *d, const struct contract_terms *c, int number, int add_on) {
  bool there = adds(c->add_ons, c->add_on_count, PLANS + add_on);
  seconds limit = effect_of(d, c, &c->changes[number]), latest = 0;
  for (int i = 0; i < c->change_count; i++) {
    const struct change_terms *x = &c->changes[i];
    seconds e = effect_of(d, c, x);
    bool before = e < limit || (e == limit && i < number), added = adds(x->add_ons, x->add_on_count, PLANS + add_on);
    if (before && e >= latest && (added || x->removed[add_on])) {
      there = added;
      latest = e;
    }
  }
  return there;
}

static inline void make_change_plain(struct change_terms *x, int otherwise) {
  if (x->cancels) {
    *x = (struct change_terms){.at = x->at, .when = x->when, .plan = -1, .cancels = true, .keeps = x->keeps};
    return;
  }
  bool any = x->plan >= 0 || x->add_on_count > 0 || x->removed[0] || x->removed[1];
  for (int i = 0; i < NAMES; i++) {
    any = any || x->counted[i];
  }
  x->plan = any ? x->plan : otherwise;
}

static inline void drop_late_changes(const struct deal *d, struct contract_terms *c) {
  seconds end = c->to;
  for (int i = 0; i < c->change_count; i++) {
    seconds e = effect_of(d, c, &c->changes[i]);
    end = c->changes[i].cancels && e < end ? e : end;
  }
  int kept = 0;
  for (int i = 0; i < c->change_count; i++) {
    if (c->changes[i].at < end) {
      c->changes[kept++] = c->changes[i];
    } else if (effect_of(d, c, &c->changes[i]) == end) { /* as the cancellation itself */
      c->changes[kept++] = c->changes[i];
    }
  }
  c->change_count = kept;
}

static inline void make_plain(struct deal *d) {
  for (int n = 0; n < d->contract_count; n++) {
    struct contract_terms *c = &d->contracts[n];
    for (int i = 0; i < c->change_count; i++) {
      c->changes[i].plan = c->changes[i].cancels ? -1 : c->changes[i].plan;
      c->changes[i].add_on_count = c->changes[i].cancels ? 0 : c->changes[i].add_on_count;
    }
    drop_late_changes(d, c);
    for (int i = 0; i < NAMES; i++) {
      bool named = contract_names_fee(d, c, i);
      c->counted[i] = c->counted[i] && named;
      for (int k = 0; k < c->change_count; k++) {
        c->changes[k].counted[i] = c->changes[k].counted[i] && named;
      }
    }
    for (int k = 0; k < c->change_count; k++) {
      for (int i = 0; i < ADD_ONS; i++) {
        c->changes[k].removed[i] = c->changes[k].removed[i] && is_there(d, c, k, i);
      }
      make_change_plain(&c->changes[k], c->plan);
    }
  }
}
#endif
