/* GET /v1/models: those that a key may call and its customer's plan has prices for, in OpenAI's shape or Anthropic's.
 */
#include "base/json.h"
#include "gateway/private.h"

static void put_openai(struct json_out *w, const struct gateway *gateway, const struct model *model) {
  slice seller = gateway->catalog->seller.party.name;
  json_open_object(w);
  json_put_str(w, "id", model->name);
  json_put_cstr(w, "object", "model");
  json_put_int(w, "created", model->created);
  json_put_str(w, "owned_by", model->owned_by.len ? model->owned_by : seller);
  if (model->context_tokens > 0) {
    json_put_int(w, "context_length", model->context_tokens);
  }
  json_put_int(w, "max_output_tokens", model->output_tokens_max);
  json_close_object(w);
}

static void put_anthropic(struct json_out *w, const struct model *model) {
  char created[TIME_TEXT_MAX];
  json_open_object(w);
  json_put_cstr(w, "type", "model");
  json_put_str(w, "id", model->name);
  json_put_str(w, "display_name", model->name);
  json_put_cstr(w, "created_at", time_format((instant){model->created * NS_PER_S}, created));
  json_close_object(w);
}

struct listing {
  struct gateway *gateway;
  struct http_request *http;
  struct key_identity who;
  struct buyer *buyer;
  struct terms *terms;
  bool anthropic;
};

static bool is_for(struct listing *l, const struct model *model) {
  const struct quote *quote;
  struct error err = {0};
  bool generates = model->doors & ~(1u << WIRE_EMBEDDINGS);
  const struct call_facts facts = {.model = model->name,
                                   .tier = slice_of(model_tier_name(TIER_DEFAULT)),
                                   .service = slice_of(model_tier_name(TIER_DEFAULT)),
                                   .door = slice_of(wire_door_name(generates ? WIRE_CHAT : WIRE_EMBEDDINGS)),
                                   .key = l->who.key_id,
                                   .project = l->who.terms ? l->who.terms->project : (slice){0}};
  if (!key_may_use_model(l->who.terms, model->name)) {
    return false;
  }
  pthread_mutex_lock(&l->buyer->lock);
  bool sold = terms_quote(l->gateway, l->buyer, l->terms, &facts, clock_now(), &quote, &err) && quote->sold;
  pthread_mutex_unlock(&l->buyer->lock);
  return sold;
}

static void put_model(struct listing *l, struct json_out *w, const struct model *model) {
  if (l->anthropic) {
    put_anthropic(w, model);
  } else {
    put_openai(w, l->gateway, model);
  }
}

static void put_list(struct listing *l, struct json_out *w) {
  const struct catalog *catalog = l->gateway->catalog;
  slice first = {0}, last = {0};
  json_open_object(w);
  if (!l->anthropic) {
    json_put_cstr(w, "object", "list");
  }
  json_key(w, "data");
  json_open_array(w);
  for (size_t i = 0; i < catalog->model_count; i++) {
    if (is_for(l, &catalog->models[i])) {
      put_model(l, w, &catalog->models[i]);
      first = first.len ? first : catalog->models[i].name;
      last = catalog->models[i].name;
    }
  }
  json_close_array(w);
  if (l->anthropic) {
    json_put_bool(w, "has_more", false);
    json_put_str(w, "first_id", first);
    json_put_str(w, "last_id", last);
  }
  json_close_object(w);
}

static void fail(struct listing *l, int status, const char *message, const char *code) {
  struct buf out;
  buf_init(&out, 1u << 16);
  wire_error(l->anthropic ? WIRE_MESSAGES : WIRE_CHAT, status, message, code, NULL, http_request_id(l->http), &out);
  http_answer(l->http, status, "application/json", buf_slice(&out));
  buf_free(&out);
}

static void answer(struct listing *l, slice name) {
  struct buf out;
  struct json_out w;
  const struct model *model = name.len ? catalog_model(l->gateway->catalog, name) : NULL;
  if (name.len > 0 && (model == NULL || !is_for(l, model))) {
    fail(l, 404, "This model does not exist or you do not have access to it.", "model_not_found");
    return;
  }
  buf_init(&out, (size_t)16 << 20);
  json_out_init(&w, &out, false);
  if (model) {
    put_model(l, &w, model);
  } else {
    put_list(l, &w);
  }
  http_answer(l->http, 200, "application/json", buf_slice(&out));
  buf_free(&out);
}

void models_arrived(struct http_request *r, void *context) {
  const struct door *door = http_route_data(r);
  struct listing l = {.gateway = door->gateway, .http = r, .anthropic = http_header(r, "anthropic-version").len > 0};
  struct error err = {0};
  (void)context;
  if (l.anthropic) {
    http_add_header(r, "request-id", http_request_id(r));
  }
  if (!key_check(l.gateway->book, key_text_of(r), &l.who, &err)) {
    fail(&l, 401, err.message, "invalid_api_key");
    return;
  }
  const struct customer *customer = catalog_customer(l.gateway->catalog, l.who.customer);
  if (!key_may(&l.who, KEY_SCOPE_MODELS, &err) || customer == NULL) {
    fail(&l, 403, customer ? err.message : "Models are called with the key of a customer.", "key_not_allowed");
    return;
  }
  l.buyer = buyer_of(l.gateway, customer);
  l.terms = buyer_terms(l.gateway, l.buyer, clock_now(), &err);
  if (l.terms == NULL) {
    fail(&l, 403, err.message, "no_contract");
    return;
  }
  answer(&l, http_param(r, "model"));
  terms_drop(l.terms);
}
