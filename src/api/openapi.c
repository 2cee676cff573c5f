/* The OpenAPI 3.1 document, made from the table of endpoints. */
#include "api/private.h"
#include <string.h>

static void put_parameter(struct json_out *w, slice name, const char *in) {
  json_open_object(w);
  json_put_str(w, "name", name);
  json_put_cstr(w, "in", in);
  json_put_bool(w, "required", strcmp(in, "path") == 0);
  json_key(w, "schema");
  json_open_object(w);
  json_put_cstr(w, "type", "string");
  json_close_object(w);
  json_close_object(w);
}

static void put_path_parameters(struct json_out *w, const char *path) {
  for (const char *open = strchr(path, '{'); open; open = strchr(open + 1, '{')) {
    const char *close = strchr(open, '}');
    must(close != NULL);
    put_parameter(w, (slice){open + 1, (size_t)(close - open - 1)}, "path");
  }
}

static void put_query_parameters(struct json_out *w, const char *names) {
  while (names && *names) {
    size_t length = strcspn(names, " ");
    put_parameter(w, (slice){names, length}, "query");
    names += length + (names[length] == ' ');
  }
}

static void put_content(struct json_out *w, const char *type) {
  json_key(w, "content");
  json_open_object(w);
  json_key(w, type);
  json_open_object(w);
  json_close_object(w);
  json_close_object(w);
}

static void put_response(struct json_out *w, const char *status, const char *description, const char *type) {
  json_key(w, status);
  json_open_object(w);
  json_put_cstr(w, "description", description);
  put_content(w, type);
  json_close_object(w);
}

static void put_access(struct json_out *w, unsigned allow) {
  json_key(w, "security");
  json_open_array(w);
  if (!(allow & ALLOW_PUBLIC)) {
    json_open_object(w);
    json_key(w, "key");
    json_open_array(w);
    json_close_array(w);
    json_close_object(w);
  }
  json_close_array(w);
  json_key(w, "x-roles");
  json_open_array(w);
  for (enum role r = ROLE_CUSTOMER; r <= ROLE_OPERATOR; r++) {
    static const unsigned bits[] = {0, ALLOW_CUSTOMER, ALLOW_INVESTOR, ALLOW_OPERATOR};
    if (allow & (bits[r] | ALLOW_PUBLIC)) {
      json_str(w, slice_of(role_name(r)));
    }
  }
  json_close_array(w);
}

static void put_operation(struct json_out *w, const struct api_endpoint *e) {
  char method[8];
  size_t length = strlen(e->method);
  must(length < sizeof method);
  for (size_t i = 0; i <= length; i++) {
    method[i] = (char)(e->method[i] | (e->method[i] ? 0x20 : 0));
  }
  json_key(w, method);
  json_open_object(w);
  json_put_cstr(w, "summary", e->summary);
  json_key(w, "parameters");
  json_open_array(w);
  put_path_parameters(w, e->path);
  put_query_parameters(w, e->query);
  if (!e->reads_only) {
    put_parameter(w, SLICE("Idempotency-Key"), "header");
  }
  json_close_array(w);
  if (e->body) {
    json_key(w, "requestBody");
    json_open_object(w);
    json_put_cstr(w, "description", e->body);
    put_content(w, "application/json");
    json_close_object(w);
  }
  json_key(w, "responses");
  json_open_object(w);
  put_response(w, "200", "Done", e->answer_type ? e->answer_type : "application/json");
  put_response(w, "default", "A problem (RFC 9457) with a stable code", "application/problem+json");
  json_close_object(w);
  put_access(w, e->allow);
  json_close_object(w);
}

/* Endpoints of one path stand together in the document. */
static void put_paths(struct json_out *w) {
  json_key(w, "paths");
  json_open_object(w);
  for (size_t i = 0; i < api_endpoint_count; i++) {
    bool seen = false;
    for (size_t j = 0; j < i; j++) {
      seen = seen || strcmp(api_endpoints[i].path, api_endpoints[j].path) == 0;
    }
    if (seen) {
      continue;
    }
    json_key(w, api_endpoints[i].path);
    json_open_object(w);
    for (size_t j = i; j < api_endpoint_count; j++) {
      if (strcmp(api_endpoints[i].path, api_endpoints[j].path) == 0) {
        put_operation(w, &api_endpoints[j]);
      }
    }
    json_close_object(w);
  }
  json_close_object(w);
}

static void put_security(struct json_out *w) {
  json_key(w, "components");
  json_open_object(w);
  json_key(w, "securitySchemes");
  json_open_object(w);
  json_key(w, "key");
  json_open_object(w);
  json_put_cstr(w, "type", "http");
  json_put_cstr(w, "scheme", "bearer");
  json_close_object(w);
  json_close_object(w);
  json_close_object(w);
}

bool openapi_prepare(struct api_call *call, struct error *err) {
  (void)err;
  struct json_out *w = &call->json;
  w->pretty = true;
  json_open_object(w);
  json_put_cstr(w, "openapi", "3.1.0");
  json_key(w, "info");
  json_open_object(w);
  json_put_cstr(w, "title", "Meterhouse");
  json_put_cstr(w, "version", "1");
  json_close_object(w);
  put_paths(w);
  put_security(w);
  json_close_object(w);
  return true;
}
