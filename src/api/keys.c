/* API keys: list, make, revoke. The text of a key leaves the house once, in the answer that made it. */
#include "api/private.h"

static bool put_key(void *context, slice id, enum role role, slice customer, slice name, instant created, bool revoked,
                    struct error *err) {
  (void)err;
  struct json_out *w = context;
  json_open_object(w);
  json_put_str(w, "id", id);
  json_put_cstr(w, "role", role_name(role));
  if (customer.len > 0) {
    json_put_str(w, "customer", customer);
  }
  json_put_str(w, "name", name);
  json_put_instant(w, "created", created);
  json_put_bool(w, "revoked", revoked);
  json_close_object(w);
  return true;
}

bool keys_read(struct api_call *call, struct book *book, struct error *err) {
  list_begin(call);
  if (!key_list(book, put_key, &call->json, err)) {
    return false;
  }
  list_end(call, (slice){0});
  return true;
}

struct wanted_key {
  enum role role;
  slice customer, name;
};

bool key_prepare(struct api_call *call, struct error *err) {
  const struct json *body;
  struct wanted_key *k = arena_alloc(call->arena, sizeof *k);
  if (!call_body(call, &body, err)) {
    return false;
  }
  slice role = json_text(body, "role");
  for (enum role r = ROLE_CUSTOMER; r <= ROLE_OPERATOR; r++) {
    if (slice_is(role, role_name(r))) {
      k->role = r;
    }
  }
  k->customer = json_text(body, "customer");
  k->name = json_text(body, "name");
  call->state = k;
  if (call->idempotency_key.len > 0) {
    return error_set(err, ERR_INVALID, "making a key takes no Idempotency-Key: its text is not kept to be replayed");
  }
  return k->role != ROLE_NONE || error_set(err, ERR_INVALID, "role: operator, customer or investor");
}

bool key_apply(struct api_call *call, struct book *book, struct error *err) {
  const struct wanted_key *k = call->state;
  char text[96];
  if (!key_create(book, k->role, k->customer, k->name, text, err)) {
    return false;
  }
  json_open_object(&call->json);
  json_put_cstr(&call->json, "key", text);
  json_put_cstr(&call->json, "role", role_name(k->role));
  if (k->customer.len > 0) {
    json_put_str(&call->json, "customer", k->customer);
  }
  json_close_object(&call->json);
  call->status = 201;
  return true;
}

bool key_revoke_apply(struct api_call *call, struct book *book, struct error *err) {
  if (!key_revoke(book, http_param(call->http, "key"), err)) {
    return false;
  }
  json_open_object(&call->json);
  json_put_bool(&call->json, "revoked", true);
  json_close_object(&call->json);
  return true;
}
