/* Alerts and entitlements: what a customer is told of, and whether it may use more. docs/alerts.md. */
#include "api/private.h"
#include "live/live.h"
#include <string.h>

/* ---- showing ---- */

static void put_alert(struct json_out *w, const struct live_alert *a) {
  json_open_object(w);
  json_put_str(w, "id", a->id);
  json_put_str(w, "customer", a->customer);
  json_put_str(w, "name", a->alert.name);
  json_put_cstr(w, "source", a->from_catalog ? "catalog" : "api");
  if (a->alert.meter) {
    json_put_str(w, "meter", a->alert.meter->name);
    json_put_cstr(w, "per", watch_per_name(a->alert.per));
    json_put_quantity(w, "at", a->alert.at);
  } else {
    json_put_amount(w, "spend", a->alert.spend);
  }
  json_key(w, "at_percent");
  json_open_array(w);
  for (size_t i = 0; i < a->alert.percent_count; i++) {
    json_int(w, a->alert.percents[i]);
  }
  json_close_array(w);
  if (!a->from_catalog) {
    json_put_instant(w, "created", a->created);
  }
  json_close_object(w);
}

struct alert_page {
  struct api_call *call;
  size_t limit, written;
  slice last;
  bool more;
};

static bool put_one(void *context, const struct live_alert *a, struct error *err) {
  (void)err;
  struct alert_page *page = context;
  if (!a->from_catalog && page->written++ == page->limit) {
    page->more = true;
    return true;
  }
  if (!a->from_catalog) {
    page->last = arena_copy(page->call->arena, a->id);
  }
  put_alert(&page->call->json, a);
  return true;
}

/* Those of the catalog stand at the head of the first page, when one customer is asked for. */
bool alerts_read(struct api_call *call, struct book *book, struct error *err) {
  struct alert_page page = {.call = call};
  slice after;
  if (!call_page(call, &page.limit, &after, err)) {
    return false;
  }
  const struct catalog *catalog = book_catalog(book);
  const struct customer *customer = call->customer.len > 0 ? catalog_customer(catalog, call->customer) : NULL;
  if (call->customer.len > 0 && customer == NULL) {
    return error_set(err, ERR_NOT_FOUND, "there is no customer \"" SLICE_FMT "\"", SLICE_ARG(call->customer));
  }
  list_begin(call);
  if ((customer && after.len == 0 && !live_catalog_alerts(catalog, customer, clock_now(), put_one, &page, err)) ||
      !live_alerts(book_db(book), catalog, call->customer, after, page.limit + 1, put_one, &page, err)) {
    return false;
  }
  list_end(call, page.more ? page.last : (slice){0});
  return true;
}

/* ---- making and deleting ---- */

static bool take_percents(struct api_call *call, const struct json *body, struct alert *out, struct error *err) {
  const struct json *list = json_get(body, "at_percent");
  int *percents = arena_array(call->arena, CATALOG_PERCENTS_MAX, sizeof *percents);
  out->percents = percents;
  out->percent_count = 1;
  percents[0] = 100;
  if (list == NULL) {
    return true;
  }
  bool ok = list->kind == JSON_ARRAY && list->count <= CATALOG_PERCENTS_MAX;
  size_t count = 0;
  for (const struct json *p = ok ? list->child : NULL; p && ok; p = p->next) {
    quantity q = QUANTITY_ZERO;
    ok = p->kind == JSON_NUMBER && quantity_parse(p->text, &q, err) && q.e9 % QUANTITY_E9 == 0 && q.e9 > 0 &&
         q.e9 <= CATALOG_PERCENT_MAX * QUANTITY_E9;
    percents[count++] = ok ? (int)(q.e9 / QUANTITY_E9) : 0;
  }
  out->percent_count = count;
  return ok || error_set(err, ERR_INVALID, "at_percent: a list of up to %d whole numbers such as [50, 80, 100]",
                         CATALOG_PERCENTS_MAX);
}

static bool take_per(const struct json *body, enum watch_per *out, struct error *err) {
  slice text = json_text(body, "per");
  *out = WATCH_MONTH;
  for (enum watch_per per = WATCH_MONTH; per < WATCH_PERS; per++) {
    if (slice_is(text, watch_per_name(per))) {
      *out = per;
      return true;
    }
  }
  return text.len == 0 || error_set(err, ERR_INVALID, "per: month, day or hour");
}

static bool take_watched(const struct api_call *call, const struct json *body, struct alert *out, struct error *err) {
  slice meter = json_text(body, "meter"), at = json_text(body, "at"), spend = json_text(body, "spend");
  if ((meter.len > 0) == (spend.len > 0)) {
    return error_set(err, ERR_INVALID, "say either \"meter\" and \"at\", or \"spend\"");
  }
  if (spend.len > 0) {
    return (at.len == 0 && json_get(body, "per") == NULL)
               ? amount_parse(spend, &out->spend, err) || error_at(err, "spend")
               : error_set(err, ERR_INVALID, "spend is an amount a month: it goes without \"at\" and \"per\"");
  }
  out->meter = catalog_meter(book_catalog(call->api->book), meter);
  if (out->meter == NULL) {
    return error_set(err, ERR_INVALID, "meter: there is no \"%.*s\" in the catalog",
                     (int)(meter.len > 60 ? 60 : meter.len), meter.ptr);
  }
  return (quantity_parse(at, &out->at, err) || error_at(err, "at")) && take_per(body, &out->per, err);
}

bool alert_prepare(struct api_call *call, struct error *err) {
  const struct json *body;
  struct live_alert *a = arena_alloc(call->arena, sizeof *a);
  call->state = a;
  if (!call_body(call, &body, err)) {
    return false;
  }
  a->customer = json_text(body, "customer");
  if (a->customer.len == 0) {
    a->customer = call->who.customer;
  }
  a->alert.name = json_text(body, "name");
  return call_may_see(call, a->customer, err) && take_watched(call, body, &a->alert, err) &&
         take_percents(call, body, &a->alert, err);
}

bool alert_apply(struct api_call *call, struct book *book, struct error *err) {
  struct live_alert a = *(const struct live_alert *)call->state;
  char id[ID_TEXT_MAX];
  a.created = clock_now();
  if (!live_alert_create(book_db(book), book_catalog(book), &a, id, err)) {
    return false;
  }
  a.id = slice_of(id);
  put_alert(&call->json, &a);
  call->status = 201;
  return true;
}

/* A customer's key deletes its own; others' are as if they were not there. */
bool alert_delete_apply(struct api_call *call, struct book *book, struct error *err) {
  slice customer = call->who.role == ROLE_CUSTOMER ? call->who.customer : (slice){0};
  if (!live_alert_delete(book_db(book), http_param(call->http, "alert"), customer, err)) {
    return false;
  }
  json_open_object(&call->json);
  json_put_bool(&call->json, "deleted", true);
  json_close_object(&call->json);
  return true;
}

/* ---- entitlements ---- */

static void put_maybe(struct json_out *w, const char *key, bool has, quantity value) {
  if (has) {
    json_put_quantity(w, key, value);
  } else {
    json_key(w, key);
    json_null(w);
  }
}

static void put_entitlement(struct json_out *w, slice customer, const struct live_entitlement *e) {
  json_open_object(w);
  json_put_str(w, "customer", customer);
  json_put_str(w, "meter", e->meter->name);
  json_put_str(w, "unit", e->meter->unit);
  json_put_bool(w, "has_access", e->has_access);
  if (e->reason) {
    json_put_cstr(w, "reason", e->reason);
  }
  json_put_quantity(w, "usage", e->usage);
  put_maybe(w, "included", e->has_included, e->included);
  put_maybe(w, "limit", e->has_limit, e->limit);
  put_maybe(w, "remaining", e->has_remaining, e->remaining);
  put_maybe(w, "overage", e->has_overage, e->overage);
  json_put_cstr(w, "per", watch_per_name(e->per));
  json_key(w, "period");
  json_open_object(w);
  json_put_instant(w, "from", e->period.from);
  json_put_instant(w, "to", e->period.to);
  json_close_object(w);
  json_put_instant(w, "as_of", e->as_of);
  json_close_object(w);
}

bool entitlement_prepare(struct api_call *call, struct error *err) {
  struct live_entitlement e;
  slice meter = http_query(call->http, "meter");
  if (call->customer.len == 0 || meter.len == 0) {
    return error_set(err, ERR_INVALID, "say customer= and meter=");
  }
  if (!live_entitlement(live_view_of(call->api->live), call->customer, meter, clock_now(), &e, err)) {
    return false;
  }
  put_entitlement(&call->json, call->customer, &e);
  return true;
}
