/* Who is suspended, in the view: read from the store, so that entitlements are answered without it. */
#include "collect/collect.h"
#include "live/private.h"
#include <stdlib.h>

struct reading {
  struct live_view *view;
  VEC(uint32_t) found;
};

static bool take(void *context, slice customer, instant since, struct error *err) {
  (void)since;
  (void)err;
  struct reading *r = context;
  const struct live_customer *c = view_customer(r->view, customer);
  if (c) {
    vec_push(&r->found, c->customer->index);
  }
  return true;
}

bool view_read_suspended(struct live_view *v, struct db *db, struct error *err) {
  struct reading r = {.view = v};
  bool ok = suspension_list(db, take, &r, err);
  must(pthread_rwlock_wrlock(&v->lock) == 0);
  for (size_t i = 0; ok && i < v->suspended.count; i++) {
    v->customers[v->suspended.items[i]].suspended = false;
  }
  for (size_t i = 0; ok && i < r.found.count; i++) {
    v->customers[r.found.items[i]].suspended = true;
  }
  must(pthread_rwlock_unlock(&v->lock) == 0);
  v->suspended.count = ok ? 0 : v->suspended.count;
  for (size_t i = 0; ok && i < r.found.count; i++) {
    vec_push(&v->suspended, r.found.items[i]);
  }
  vec_free(&r.found);
  return ok;
}
