/* May this customer use more of a meter? Answered from the view, without the disk. */
#include "live/private.h"

static bool add_included(const struct plan *terms, const struct meter *meter, struct live_entitlement *out,
                         struct error *err) {
  for (size_t i = 0; terms && i < terms->allowance_count; i++) {
    const struct allowance *a = &terms->allowances[i];
    if (a->meter == meter) {
      out->has_included = true;
      if (!quantity_add(out->included, a->included, &out->included, err)) {
        return false;
      }
    }
  }
  return true;
}

/* Allowances are of a month, so they say nothing to a limit of a day or an hour. */
static bool find_included(const struct live_view *v, const struct customer *c, instant now,
                          struct live_entitlement *out, struct error *err) {
  const struct contract *contract = catalog_contract_at(c, now);
  if (contract == NULL || out->per != WATCH_MONTH) {
    return true;
  }
  return add_included(contract->own, out->meter, out, err) &&
         add_included(catalog_customer_plan(v->catalog, c, now), out->meter, out, err);
}

static quantity above(quantity usage, quantity border) {
  return (quantity){usage.e9 > border.e9 ? usage.e9 - border.e9 : 0};
}

static void judge(struct live_entitlement *out, bool has_contract, bool suspended) {
  out->has_remaining = out->has_limit || out->has_included;
  out->remaining = above(out->has_limit ? out->limit : out->included, out->usage);
  out->has_overage = out->has_remaining;
  out->overage = above(out->usage, out->has_included ? out->included : out->limit);
  bool used_up = out->has_limit && quantity_is_zero(out->remaining);
  out->has_access = has_contract && !used_up && !suspended;
  out->reason = suspended       ? "suspended: invoices are overdue"
                : !has_contract ? "no contract is in force"
                : used_up       ? "the limit is used up"
                                : NULL;
}

static bool read_usage(struct live_view *v, const struct live_customer *c, instant now, struct live_entitlement *out,
                       bool *suspended, struct error *err) {
  quantity raw;
  must(pthread_rwlock_rdlock(&v->lock) == 0);
  const struct live_span *s = &c->spans[out->per];
  out->period = s->period;
  out->as_of = v->as_of;
  *suspended = c->suspended;
  bool ok = (v->loaded && s->wanted) || error_set(err, ERR_BUSY, "usage is being loaded: try again in a second");
  ok = ok && span_usage(s, out->meter, now, &raw, err) && in_units(out->meter, raw, &out->usage, err);
  must(pthread_rwlock_unlock(&v->lock) == 0);
  return ok;
}

bool live_entitlement(struct live_view *v, slice customer, slice meter, instant now, struct live_entitlement *out,
                      struct error *err) {
  const struct live_customer *c = view_customer(v, customer);
  bool suspended;
  *out = (struct live_entitlement){.meter = catalog_meter(v->catalog, meter)};
  if (c == NULL || out->meter == NULL) {
    return error_set(err, ERR_NOT_FOUND, "there is no %s \"%.*s\"", c ? "meter" : "customer",
                     c ? (int)(meter.len > 60 ? 60 : meter.len) : (int)(customer.len > 60 ? 60 : customer.len),
                     c ? meter.ptr : customer.ptr);
  }
  const struct entitlement *limit = limit_at(v->catalog, c->customer, out->meter, now);
  out->per = limit ? limit->per : WATCH_MONTH;
  out->has_limit = limit != NULL;
  out->limit = limit ? limit->limit : QUANTITY_ZERO;
  if (!find_included(v, c->customer, now, out, err) || !read_usage(v, c, now, out, &suspended, err)) {
    return false;
  }
  judge(out, catalog_contract_at(c->customer, now) != NULL, suspended);
  return true;
}
