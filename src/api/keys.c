/* API keys: list, make, rotate, revoke. The text of a key leaves the house once, in the answer that made it. A
 * customer's key does so with the keys of its own customer. */
#include "api/private.h"
#include <string.h>

/* ---- showing ---- */

static void put_limits(struct json_out *w, const struct call_limits *l) {
  if (l->requests_a_minute == 0 && l->tokens_a_minute == 0 && l->concurrency == 0) {
    return;
  }
  json_key(w, "limits");
  json_open_object(w);
  if (l->requests_a_minute > 0) {
    json_put_int(w, "requests_a_minute", l->requests_a_minute);
  }
  if (l->tokens_a_minute > 0) {
    json_put_int(w, "tokens_a_minute", l->tokens_a_minute);
  }
  if (l->concurrency > 0) {
    json_put_int(w, "concurrency", l->concurrency);
  }
  json_close_object(w);
}

static void put_scopes(struct json_out *w, unsigned scopes) {
  json_key(w, "scopes");
  json_open_array(w);
  for (unsigned scope = KEY_SCOPE_MODELS; scope <= KEY_SCOPE_MANAGE; scope <<= 1) {
    if (scopes & scope) {
      json_str(w, slice_of(key_scope_name(scope)));
    }
  }
  json_close_array(w);
}

static void put_terms(struct json_out *w, const struct key_terms *terms) {
  put_scopes(w, terms->scopes);
  if (terms->project.len > 0) {
    json_put_str(w, "project", terms->project);
  }
  if (terms->model_count > 0) {
    json_key(w, "models");
    json_open_array(w);
    for (size_t i = 0; i < terms->model_count; i++) {
      json_str(w, terms->models[i]);
    }
    json_close_array(w);
  }
  if (terms->expires.ns != INSTANT_MAX.ns) {
    json_put_instant(w, "expires", terms->expires);
  }
  put_limits(w, &terms->limits);
  if (terms->has_spend_limit) {
    json_key(w, "spend_limit");
    json_open_object(w);
    json_put_amount(w, "amount", terms->spend_limit);
    json_put_cstr(w, "per", watch_per_name(terms->spend_per));
    json_close_object(w);
  }
}

static bool put_key(void *context, const struct key_info *key, struct error *err) {
  (void)err;
  struct list_page *page = context;
  struct json_out *w = &page->call->json;
  if (!page_takes(page, key->id)) {
    return true;
  }
  json_open_object(w);
  json_put_str(w, "id", key->id);
  json_put_cstr(w, "role", role_name(key->role));
  if (key->customer.len > 0) {
    json_put_str(w, "customer", key->customer);
  }
  json_put_str(w, "name", key->name);
  json_put_instant(w, "created", key->created);
  json_put_bool(w, "revoked", key->revoked);
  put_terms(w, &key->terms);
  if (!slice_eq(key->family, key->id)) {
    json_put_str(w, "family", key->family);
  }
  if (key->successor.len > 0) {
    json_put_str(w, "rotated_to", key->successor);
  }
  json_close_object(w);
  return true;
}

bool keys_read(struct api_call *call, struct book *book, struct error *err) {
  struct list_page page;
  struct key_query query = {.customer = call->customer};
  if (!page_begin(call, &page, &query.after, err)) {
    return false;
  }
  query.limit = page.limit + 1;
  if (!key_list(book, &query, put_key, &page, err)) {
    return false;
  }
  page_end(&page);
  return true;
}

/* ---- reading what is wanted ---- */

/* A member that is there has to be of this kind: a limit that is not understood must not become none. */
static bool take_member(const struct json *body, const char *name, enum json_kind kind, const char *wanted,
                        const struct json **out, struct error *err) {
  *out = json_get(body, name);
  return *out == NULL || (*out)->kind == kind || error_set(err, ERR_INVALID, "%s: %s", name, wanted);
}

static bool knows_members(const struct json *object, const char *where, const char *const *names, struct error *err) {
  for (const struct json *m = object->child; m; m = m->next) {
    size_t i = 0;
    while (names[i] && !slice_is(m->key, names[i])) {
      i++;
    }
    if (names[i] == NULL) {
      return error_set(err, ERR_INVALID, "%s\"%.*s\" is not known", where, m->key.len > 60 ? 60 : (int)m->key.len,
                       m->key.ptr);
    }
  }
  return true;
}

static bool take_scopes(const struct json *body, unsigned *out, struct error *err) {
  const struct json *list;
  if (!take_member(body, "scopes", JSON_ARRAY, "a list of \"models\" and \"manage\"", &list, err)) {
    return false;
  }
  for (const struct json *s = list ? list->child : NULL; s; s = s->next) {
    unsigned scope = slice_is(s->text, key_scope_name(KEY_SCOPE_MODELS))   ? KEY_SCOPE_MODELS
                     : slice_is(s->text, key_scope_name(KEY_SCOPE_MANAGE)) ? KEY_SCOPE_MANAGE
                                                                           : 0;
    if (scope == 0) {
      return error_set(err, ERR_INVALID, "scopes: \"models\", \"manage\", or both");
    }
    *out |= scope;
  }
  return list == NULL || *out != 0 || error_set(err, ERR_INVALID, "scopes: a key needs one; leave it out for both");
}

static bool take_models(struct arena *arena, const struct json *body, struct key_terms *out, struct error *err) {
  const struct json *list;
  if (!take_member(body, "models", JSON_ARRAY, "a list of names", &list, err)) {
    return false;
  }
  if (list == NULL) {
    return true;
  }
  if (list->count == 0 || list->count > KEY_MODELS_MAX) {
    return error_set(err, ERR_INVALID, "models: a list of 1 to %d names; leave it out for all", KEY_MODELS_MAX);
  }
  slice *models = arena_array(arena, list->count, sizeof *models);
  for (const struct json *m = list->child; m; m = m->next) {
    if (m->kind != JSON_STRING) {
      return error_set(err, ERR_INVALID, "models: a list of names");
    }
    models[out->model_count++] = m->text;
  }
  out->models = models;
  return true;
}

static bool take_count(const struct json *from, const char *name, int64_t *out, struct error *err) {
  const struct json *n = json_get(from, name);
  quantity q = QUANTITY_ZERO;
  if (n == NULL) {
    return true;
  }
  if (n->kind != JSON_NUMBER || !quantity_parse(n->text, &q, err) || q.e9 <= 0 || q.e9 % QUANTITY_E9 != 0 ||
      q.e9 / QUANTITY_E9 > INT64_MAX) {
    return error_set(err, ERR_INVALID, "limits.%s: a whole number above zero; leave it out for none", name);
  }
  *out = (int64_t)(q.e9 / QUANTITY_E9);
  return true;
}

static bool take_limits(const struct json *body, struct call_limits *out, struct error *err) {
  static const char *const names[] = {"requests_a_minute", "tokens_a_minute", "concurrency", NULL};
  const struct json *from;
  if (!take_member(body, "limits", JSON_OBJECT, "an object with requests_a_minute, tokens_a_minute, concurrency", &from,
                   err)) {
    return false;
  }
  return from == NULL ||
         (knows_members(from, "limits: ", names, err) && take_count(from, names[0], &out->requests_a_minute, err) &&
          take_count(from, names[1], &out->tokens_a_minute, err) && take_count(from, names[2], &out->concurrency, err));
}

static bool take_spend_limit(const struct json *body, struct key_terms *out, struct error *err) {
  static const char *const names[] = {"amount", "per", NULL};
  const struct json *limit;
  if (!take_member(body, "spend_limit", JSON_OBJECT, "an object with amount and per", &limit, err)) {
    return false;
  }
  if (limit == NULL) {
    return true;
  }
  slice per = json_text(limit, "per");
  out->has_spend_limit = true;
  out->spend_per = slice_is(per, "day") ? WATCH_DAY : WATCH_MONTH;
  if (per.len > 0 && !slice_is(per, "day") && !slice_is(per, "month")) {
    return error_set(err, ERR_INVALID, "spend_limit.per: month or day");
  }
  return knows_members(limit, "spend_limit: ", names, err) &&
         (amount_parse(json_text(limit, "amount"), &out->spend_limit, err) || error_at(err, "spend_limit.amount"));
}

static bool take_terms(struct api_call *call, const struct json *body, struct key_terms *out, struct error *err) {
  const struct json *expires, *project;
  if (!take_member(body, "expires", JSON_STRING, "an RFC 3339 time", &expires, err) ||
      !take_member(body, "project", JSON_STRING, "a text", &project, err)) {
    return false;
  }
  if (expires && !time_parse_loose(expires->text, book_catalog(call->api->book)->time_zone, &out->expires, err)) {
    return error_at(err, "expires");
  }
  out->project = project ? project->text : (slice){0};
  return take_scopes(body, &out->scopes, err) && take_models(call->arena, body, out, err) &&
         take_limits(body, &out->limits, err) && take_spend_limit(body, out, err);
}

/* ---- making ---- */

static bool refuse_idempotency_key(const struct api_call *call, struct error *err) {
  return call->idempotency_key.len == 0 ||
         error_set(err, ERR_INVALID, "making a key takes no Idempotency-Key: its text is not kept to be replayed");
}

static enum role role_named(slice name) {
  for (enum role r = ROLE_CUSTOMER; r <= ROLE_OPERATOR; r++) {
    if (slice_is(name, role_name(r))) {
      return r;
    }
  }
  return ROLE_NONE;
}

bool key_prepare(struct api_call *call, struct error *err) {
  static const char *const names[] = {"role",   "customer", "name",   "scopes",      "project",
                                      "models", "expires",  "limits", "spend_limit", NULL};
  const struct json *body;
  struct key_request *k = arena_alloc(call->arena, sizeof *k);
  call->state = k;
  if (!call_body(call, &body, err) || !knows_members(body, "", names, err) || !refuse_idempotency_key(call, err)) {
    return false;
  }
  bool own = call->who.role == ROLE_CUSTOMER;
  slice role = json_text(body, "role");
  *k = (struct key_request){.role = own && role.len == 0 ? ROLE_CUSTOMER : role_named(role),
                            .customer = json_text(body, "customer"),
                            .name = json_text(body, "name"),
                            .maker = &call->who};
  if (own && k->customer.len == 0) {
    k->customer = call->who.customer;
  }
  if (k->role == ROLE_NONE) {
    return error_set(err, ERR_INVALID, "role: operator, customer or investor");
  }
  return take_terms(call, body, &k->terms, err);
}

static void answer_made(struct api_call *call, const struct key_made *made) {
  json_open_object(&call->json);
  json_put_cstr(&call->json, "id", made->id);
  json_put_cstr(&call->json, "key", made->text);
}

bool key_apply(struct api_call *call, struct book *book, struct error *err) {
  const struct key_request *k = call->state;
  struct key_made made;
  if (!key_create(book, k, &made, err)) {
    return false;
  }
  answer_made(call, &made);
  json_put_cstr(&call->json, "role", role_name(k->role));
  if (k->customer.len > 0) {
    json_put_str(&call->json, "customer", k->customer);
  }
  json_close_object(&call->json);
  call->status = 201;
  return true;
}

/* ---- rotating and revoking ---- */

bool key_rotate_prepare(struct api_call *call, struct error *err) {
  static const char *const names[] = {"overlap", NULL};
  int64_t *overlap_s = arena_alloc(call->arena, sizeof *overlap_s);
  const struct json *body;
  quantity q = QUANTITY_ZERO;
  call->state = overlap_s;
  if (!refuse_idempotency_key(call, err)) {
    return false;
  }
  if (http_body(call->http).len == 0) {
    return true;
  }
  if (!call_body(call, &body, err) || !knows_members(body, "", names, err)) {
    return false;
  }
  const struct json *overlap = json_get(body, "overlap");
  if (overlap == NULL) {
    return true;
  }
  if (overlap->kind != JSON_NUMBER || !quantity_parse(overlap->text, &q, err) || q.e9 % QUANTITY_E9 != 0 ||
      q.e9 / QUANTITY_E9 > KEY_OVERLAP_S_MAX || q.e9 < 0) {
    return error_set(err, ERR_INVALID, "overlap: whole seconds from 0 to %d", KEY_OVERLAP_S_MAX);
  }
  *overlap_s = (int64_t)(q.e9 / QUANTITY_E9);
  return true;
}

bool key_rotate_apply(struct api_call *call, struct book *book, struct error *err) {
  const int64_t *overlap_s = call->state;
  struct key_made made;
  if (!key_rotate(book, http_param(call->http, "key"), *overlap_s, &call->who, &made, err)) {
    return false;
  }
  answer_made(call, &made);
  json_close_object(&call->json);
  call->status = 201;
  return true;
}

bool key_revoke_apply(struct api_call *call, struct book *book, struct error *err) {
  if (!key_revoke(book, http_param(call->http, "key"), &call->who, err)) {
    return false;
  }
  json_open_object(&call->json);
  json_put_bool(&call->json, "revoked", true);
  json_close_object(&call->json);
  return true;
}
