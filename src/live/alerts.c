/* Which alerts and limits hold for a customer: its own, those of the plan in force, those made over the API. */
#include "live/private.h"

static const struct entitlement *limit_in(const struct watches *w, const struct meter *meter) {
  for (size_t i = 0; i < w->entitlement_count; i++) {
    if (w->entitlements[i].meter == meter) {
      return &w->entitlements[i];
    }
  }
  return NULL;
}

const struct entitlement *limit_at(const struct catalog *catalog, const struct customer *customer,
                                   const struct meter *meter, instant t) {
  const struct entitlement *own = limit_in(&customer->watches, meter);
  const struct plan *plan = own ? NULL : catalog_customer_plan(catalog, customer, t);
  return plan ? limit_in(&plan->watches, meter) : own;
}

/* ---- those of the catalog ---- */

static bool has_name(const struct watches *w, slice name) {
  for (size_t i = 0; i < w->alert_count; i++) {
    if (slice_eq(w->alerts[i].name, name)) {
      return true;
    }
  }
  return false;
}

static bool each_of_catalog(const struct catalog *catalog, const struct customer *customer, instant t, alert_each each,
                            void *context, struct error *err) {
  const struct watches *own = &customer->watches;
  const struct plan *plan = catalog_customer_plan(catalog, customer, t);
  for (size_t i = 0; i < own->alert_count; i++) {
    if (!each(context, own->alerts[i].name, &own->alerts[i], err)) {
      return false;
    }
  }
  for (size_t i = 0; plan && i < plan->watches.alert_count; i++) {
    const struct alert *a = &plan->watches.alerts[i];
    if (!has_name(own, a->name) && !each(context, a->name, a, err)) {
      return false;
    }
  }
  return true;
}

struct telling {
  const struct customer *customer;
  live_alert_each each;
  void *context;
};

static bool tell_one(void *context, slice id, const struct alert *alert, struct error *err) {
  const struct telling *t = context;
  const struct live_alert a = {.id = id, .customer = t->customer->id, .from_catalog = true, .alert = *alert};
  return t->each(t->context, &a, err);
}

bool live_catalog_alerts(const struct catalog *catalog, const struct customer *customer, instant t,
                         live_alert_each each, void *context, struct error *err) {
  struct telling telling = {customer, each, context};
  return each_of_catalog(catalog, customer, t, tell_one, &telling, err);
}

/* ---- and those of the API ---- */

static size_t first_of_api(const struct live_view *v, uint32_t customer) {
  size_t low = 0, high = v->alerts.count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (v->alerts.items[middle].customer < customer) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

bool view_alerts(const struct live_view *v, const struct live_customer *c, instant t, alert_each each, void *context,
                 struct error *err) {
  if (!each_of_catalog(v->catalog, c->customer, t, each, context, err)) {
    return false;
  }
  uint32_t index = c->customer->index;
  for (size_t i = first_of_api(v, index); i < v->alerts.count && v->alerts.items[i].customer == index; i++) {
    const struct live_alert *a = &v->alerts.items[i].of;
    if (!each(context, a->id, &a->alert, err)) {
      return false;
    }
  }
  return true;
}

/* ---- what is watched at all ---- */

static bool watches(const struct watches *w, bool spend, enum watch_per per) {
  for (size_t i = 0; i < w->alert_count; i++) {
    const struct alert *a = &w->alerts[i];
    if (spend ? a->meter == NULL : a->meter != NULL && a->per == per) {
      return true;
    }
  }
  for (size_t i = 0; !spend && i < w->entitlement_count; i++) {
    if (w->entitlements[i].per == per) {
      return true;
    }
  }
  return false;
}

static bool plan_watches(const struct catalog *c, slice name, bool spend, enum watch_per per) {
  const struct plan *last = catalog_plan_at(c, name, INSTANT_MAX);
  for (const struct plan *p = last; p && p >= c->plans && slice_eq(p->name, name); p--) {
    if (watches(&p->watches, spend, per)) {
      return true;
    }
  }
  return false;
}

static bool watched(const struct live_view *v, const struct live_customer *c, bool spend, enum watch_per per) {
  const struct customer *customer = c->customer;
  if (watches(&customer->watches, spend, per)) {
    return true;
  }
  for (size_t i = 0; i < customer->contract_count; i++) {
    if (plan_watches(v->catalog, customer->contracts[i].plan_name, spend, per)) {
      return true;
    }
  }
  for (size_t i = first_of_api(v, customer->index); i < v->alerts.count; i++) {
    const struct kept_alert *k = &v->alerts.items[i];
    if (k->customer != customer->index) {
      break;
    }
    if (spend ? k->of.alert.meter == NULL : k->of.alert.meter != NULL && k->of.alert.per == per) {
      return true;
    }
  }
  return false;
}

bool view_watches(const struct live_view *v, const struct live_customer *c, enum watch_per per) {
  return watched(v, c, false, per);
}

bool view_watches_spend(const struct live_view *v, const struct live_customer *c) {
  return watched(v, c, true, WATCH_MONTH);
}
