/* Webhooks of payment providers: verified on the edge, acted upon on the core. */
#include "api/private.h"

bool provider_hook_prepare(struct api_call *call, struct error *err) {
  struct provider_event *event = arena_alloc(call->arena, sizeof *event);
  const struct provider_delivery delivery = {.provider = http_param(call->http, "provider"),
                                             .body = http_body(call->http),
                                             .id = http_header(call->http, "webhook-id"),
                                             .timestamp = http_header(call->http, "webhook-timestamp"),
                                             .signature = http_header(call->http, "webhook-signature"),
                                             .stripe_signature = http_header(call->http, "stripe-signature")};
  call->state = event;
  return provider_verify(call->api->providers, &delivery, clock_now(), err) &&
         provider_read(call->arena, book_catalog(call->api->book), &delivery, clock_now(), event, err);
}

bool provider_hook_apply(struct api_call *call, struct book *book, struct error *err) {
  struct collect c = call_collect(call, book);
  const struct provider_event *event = call->state;
  struct payment_result result;
  struct json_out *w = &call->json;
  if (!provider_apply(&c, http_param(call->http, "provider"), event, &result, err)) {
    return false;
  }
  json_open_object(w);
  json_put_bool(w, "ignored", event->kind == PROVIDER_IGNORED);
  json_put_bool(w, "repeated", result.repeated);
  if (result.id.len > 0) {
    json_put_str(w, "payment", result.id);
  }
  json_close_object(w);
  return true;
}
