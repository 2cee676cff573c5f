/* What a provider's message says, in its scheme's words, and acting upon it once. */
#include "collect/private.h"
#include <string.h>

struct reading {
  struct arena *arena;
  const struct provider_delivery *delivery;
  struct provider_event *out;
};

/* Another provider may use the same ids. */
static slice key_of(const struct reading *r, slice id) {
  return id.len == 0 ? id
                     : slice_of(arena_printf(r->arena, SLICE_FMT ":" SLICE_FMT, SLICE_ARG(r->delivery->provider),
                                             SLICE_ARG(id)));
}

static bool check_id(slice id, const char *what, struct error *err) {
  return (id.len > 0 && id.len <= PAYMENT_KEY_BYTES_MAX / 2) ||
         error_set(err, ERR_INVALID, "%s: an id of at most %d bytes", what, PAYMENT_KEY_BYTES_MAX / 2);
}

/* ---- scheme standard ---- */

static bool read_standard(const struct reading *r, const struct json *body, struct error *err) {
  const struct json *data = json_get(body, "data");
  struct provider_event *e = r->out;
  struct payment_request *p = &e->payment;
  slice amount_given = json_text(data, "amount");
  e->id = r->delivery->id;
  e->kind = slice_is(e->type, "payment.succeeded")  ? PROVIDER_SUCCEEDED
            : slice_is(e->type, "payment.failed")   ? PROVIDER_FAILED
            : slice_is(e->type, "payment.refunded") ? PROVIDER_REFUNDED
                                                    : PROVIDER_IGNORED;
  if (e->kind == PROVIDER_IGNORED) {
    return true;
  }
  slice id = json_text(data, "id");
  p->key = key_of(r, id);
  p->currency = json_text(data, "currency");
  p->invoice = json_text(data, "invoice");
  p->customer = json_text(data, "customer");
  p->top_up = json_text(data, "top_up");
  p->text = json_text(data, "reference");
  if (!check_id(id, "data.id", err)) {
    return false;
  }
  if (e->kind == PROVIDER_SUCCEEDED || amount_given.len > 0) {
    return amount_parse(amount_given, &p->amount, err) || error_at(err, "data.amount");
  }
  return true;
}

/* ---- scheme stripe ---- */

/* Stripe counts in minor units; for these two it keeps the two decimals they no longer have. */
static int stripe_decimals(const struct currency *currency) {
  bool special = strcmp(currency->code, "ISK") == 0 || strcmp(currency->code, "UGX") == 0;
  return special ? 2 : currency->minor_units;
}

static bool stripe_amount(const struct reading *r, const struct json *object, const char *key, amount *out,
                          struct error *err) {
  char code[4] = {0};
  quantity units;
  slice currency = json_text(object, "currency"), text = json_text(object, key);
  for (size_t i = 0; i < 3 && i < currency.len; i++) {
    char c = currency.ptr[i];
    code[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  const struct currency *known = currency.len == 3 ? currency_find(slice_of(code)) : NULL;
  if (known == NULL) {
    return error_set(err, ERR_INVALID, "data.object.currency: it is no currency");
  }
  r->out->payment.currency = slice_of(known->code);
  if (!quantity_parse(text, &units, err) || units.e9 < 0 || units.e9 % QUANTITY_E9 != 0) {
    return error_set(err, ERR_INVALID, "data.object.%s: it should be a whole number of minor units", key);
  }
  int128 scale = AMOUNT_E12;
  for (int i = 0; i < stripe_decimals(known); i++) {
    scale /= 10;
  }
  int128 count = units.e9 / QUANTITY_E9;
  if (count > INT64_MAX) {
    return error_set(err, ERR_OVERFLOW, "data.object.%s: it is too large", key);
  }
  *out = (amount){count * scale};
  return true;
}

static bool read_stripe(const struct reading *r, const struct json *body, struct error *err) {
  const struct json *object = json_get(json_get(body, "data"), "object"), *metadata = json_get(object, "metadata");
  struct provider_event *e = r->out;
  struct payment_request *p = &e->payment;
  e->id = json_text(body, "id");
  if (!check_id(e->id, "id", err)) {
    return false;
  }
  e->kind = slice_is(e->type, "payment_intent.succeeded")        ? PROVIDER_SUCCEEDED
            : slice_is(e->type, "payment_intent.payment_failed") ? PROVIDER_FAILED
            : slice_is(e->type, "charge.refunded")               ? PROVIDER_REFUNDED
                                                                 : PROVIDER_IGNORED;
  if (e->kind == PROVIDER_IGNORED) {
    return true;
  }
  bool refund = e->kind == PROVIDER_REFUNDED;
  slice id = json_text(object, refund ? "payment_intent" : "id");
  p->key = key_of(r, id);
  p->invoice = json_text(metadata, "invoice");
  p->customer = json_text(metadata, "customer");
  p->top_up = json_text(metadata, "top_up");
  p->text = json_text(object, "description");
  return check_id(id, refund ? "data.object.payment_intent" : "data.object.id", err) &&
         stripe_amount(r, object,
                       refund                          ? "amount_refunded"
                       : e->kind == PROVIDER_SUCCEEDED ? "amount_received"
                                                       : "amount",
                       &p->amount, err);
}

/* ---- both ---- */

static const struct payment_provider *config_of(const struct catalog *catalog, slice name) {
  for (size_t i = 0; i < catalog->payment_provider_count; i++) {
    if (slice_eq(catalog->payment_providers[i].name, name)) {
      return &catalog->payment_providers[i];
    }
  }
  return NULL;
}

bool provider_read(struct arena *arena, const struct catalog *catalog, const struct provider_delivery *delivery,
                   instant now, struct provider_event *out, struct error *err) {
  const struct payment_provider *config = config_of(catalog, delivery->provider);
  struct reading r = {arena, delivery, out};
  const struct json *body;
  char hex[65];
  must(config != NULL);
  *out = (struct provider_event){.payment = {.source = PAYMENT_PROVIDER, .received = now}};
  if (!json_parse(arena, delivery->body, &body, err)) {
    return error_at(err, "the body");
  }
  out->type = json_text(body, "type");
  out->digest_hex = arena_copy(arena, slice_of(digest_hex(digest_of(delivery->body), hex))).ptr;
  if (out->type.len == 0 || out->type.len > PAYMENT_KEY_BYTES_MAX) {
    return error_set(err, ERR_INVALID, "type: the body should name one");
  }
  return config->scheme == PROVIDER_STRIPE ? read_stripe(&r, body, err) : read_standard(&r, body, err);
}

/* ---- acting ---- */

struct known {
  struct arena *arena;
  bool found;
  slice digest, payment;
};

static bool take_known(const struct db_row *row, void *context, struct error *err) {
  (void)err;
  struct known *k = context;
  k->found = true;
  k->digest = arena_copy(k->arena, db_bytes(row, 0));
  k->payment = arena_copy(k->arena, db_bytes(row, 1));
  return true;
}

static bool refund(const struct collect *c, const struct payment_request *r, struct payment_result *out,
                   struct error *err) {
  struct payment p;
  bool found;
  if (!payment_find_key(c, r->source, r->key, &found, &p, err)) {
    return false;
  }
  if (!found) {
    return error_set(err, ERR_NOT_FOUND, "there is no payment \"" SLICE_FMT "\" yet", SLICE_ARG(r->key));
  }
  if (r->currency.len > 0 && !slice_eq(r->currency, p.currency)) {
    return error_set(err, ERR_CONFLICT, "payment \"" SLICE_FMT "\" is in " SLICE_FMT, SLICE_ARG(r->key),
                     SLICE_ARG(p.currency));
  }
  out->id = p.id;
  return payment_refund(c, p.id, r->amount, err);
}

static bool tell_failure(const struct collect *c, const struct payment_request *r, struct error *err) {
  const struct customer *known = r->customer.len ? catalog_customer(c->catalog, r->customer) : NULL;
  struct payment failed = {.source = r->source,
                           .key = r->key,
                           .customer = known ? known->id : (slice){0},
                           .currency = r->currency,
                           .amount = r->amount,
                           .text = r->text,
                           .top_up = r->top_up,
                           .state = SLICE("failed"),
                           .received = r->received,
                           .recorded = c->now};
  return tell_payment(c, "payment.failed", &failed, err);
}

static bool act(const struct collect *c, const struct provider_event *e, struct payment_result *out,
                struct error *err) {
  switch (e->kind) {
  case PROVIDER_SUCCEEDED:
    return payment_record(c, &e->payment, out, err);
  case PROVIDER_REFUNDED:
    return refund(c, &e->payment, out, err);
  case PROVIDER_FAILED:
    return tell_failure(c, &e->payment, err);
  case PROVIDER_IGNORED:
    break;
  }
  return true;
}

bool provider_apply(const struct collect *c, slice provider, const struct provider_event *e, struct payment_result *out,
                    struct error *err) {
  struct known k = {.arena = c->arena};
  *out = (struct payment_result){0};
  if (e->kind == PROVIDER_IGNORED) {
    return true;
  }
  if (!db_query(c->db, "SELECT digest, payment FROM provider_event WHERE provider = $1 AND id = $2",
                DB_VALUES(DB_T(provider), DB_T(e->id)), take_known, &k, err)) {
    return false;
  }
  if (k.found) {
    *out = (struct payment_result){.id = k.payment, .repeated = true};
    return slice_is(k.digest, e->digest_hex) ||
           error_set(err, ERR_CONFLICT, "the event \"" SLICE_FMT "\" came before with another body", SLICE_ARG(e->id));
  }
  return act(c, e, out, err) &&
         db_run(c->db,
                "INSERT INTO provider_event(provider, id, type, digest, payment, time) VALUES($1, $2, $3, $4, $5, $6)",
                DB_VALUES(DB_T(provider), DB_T(e->id), DB_T(e->type), DB_T(slice_of(e->digest_hex)), DB_T(out->id),
                          DB_I(c->now.ns)),
                NULL, err);
}
