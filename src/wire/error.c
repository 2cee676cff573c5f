/* Doors by name, and errors in the shape that the clients of a door know. */
#include "base/json.h"
#include "wire.h"
#include <string.h>

#define ERROR_BYTES_MAX ((size_t)4096)
#define WORD_BYTES_MAX ((size_t)128) /* of a type, a code, a param */
#define MESSAGE_BYTES_MAX ((size_t)2048)

static const struct door {
  const char *name, *path;
} doors[WIRE_DOORS] = {[WIRE_CHAT] = {"chat", "/v1/chat/completions"},
                       [WIRE_COMPLETIONS] = {"completions", "/v1/completions"},
                       [WIRE_EMBEDDINGS] = {"embeddings", "/v1/embeddings"},
                       [WIRE_RESPONSES] = {"responses", "/v1/responses"},
                       [WIRE_MESSAGES] = {"messages", "/v1/messages"}};

const char *wire_door_name(enum wire_door door) {
  return doors[door].name;
}

const char *wire_door_path(enum wire_door door) {
  return doors[door].path;
}

bool wire_door_of(slice name, enum wire_door *out) {
  for (enum wire_door door = WIRE_CHAT; door < WIRE_DOORS; door++) {
    if (slice_is(name, doors[door].name)) {
      *out = door;
      return true;
    }
  }
  return false;
}

static const char *openai_type(int status) {
  switch (status) {
  case 401:
    return "authentication_error";
  case 402:
    return "insufficient_quota";
  case 403:
    return "permission_error";
  case 404:
    return "not_found_error";
  case 429:
    return "rate_limit_error";
  default:
    return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

static const char *anthropic_type(int status) {
  switch (status) {
  case 401:
    return "authentication_error";
  case 402:
    return "billing_error";
  case 403:
    return "permission_error";
  case 404:
    return "not_found_error";
  case 413:
    return "request_too_large";
  case 429:
    return "rate_limit_error";
  case 503:
  case 529:
    return "overloaded_error";
  case 504:
    return "timeout_error";
  default:
    return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

struct said {
  slice message, type, code, param;
  bool code_is_number;
};

static void put_word(struct json_out *w, const char *key, slice word) {
  json_key(w, key);
  if (word.ptr == NULL) {
    json_null(w);
  } else {
    json_str(w, word);
  }
}

static void write_openai(const struct said *said, struct json_out *w) {
  json_open_object(w);
  json_key(w, "error");
  json_open_object(w);
  json_put_str(w, "message", said->message);
  json_put_str(w, "type", said->type);
  put_word(w, "param", said->param);
  if (said->code_is_number) {
    json_key(w, "code");
    json_raw(w, said->code);
  } else {
    put_word(w, "code", said->code);
  }
  json_close_object(w);
  json_close_object(w);
}

static void write_anthropic(const struct said *said, const char *request_id, struct json_out *w) {
  json_open_object(w);
  json_put_cstr(w, "type", "error");
  json_key(w, "error");
  json_open_object(w);
  json_put_str(w, "type", said->type);
  json_put_str(w, "message", said->message);
  json_close_object(w);
  put_word(w, "request_id", slice_of(request_id));
  json_close_object(w);
}

static void write_said(enum wire_door door, const struct said *said, const char *request_id, struct buf *out) {
  struct json_out w;
  json_out_init(&w, out, false);
  if (door == WIRE_MESSAGES) {
    write_anthropic(said, request_id, &w);
  } else {
    write_openai(said, &w);
  }
}

/* Cut where a character begins. */
static slice cut(slice text, size_t len) {
  if (text.len <= len) {
    return text;
  }
  while (len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80) {
    len--;
  }
  return (slice){text.ptr, len};
}

/* Escapes may make six bytes of one, so the message is halved until all fits. */
static void write_bounded(enum wire_door door, struct said said, const char *request_id, struct buf *out) {
  struct buf body;
  said.message = cut(said.message, MESSAGE_BYTES_MAX);
  said.type = cut(said.type, WORD_BYTES_MAX);
  said.code = cut(said.code, WORD_BYTES_MAX);
  said.param = cut(said.param, WORD_BYTES_MAX);
  do {
    buf_init(&body, ERROR_BYTES_MAX);
    write_said(door, &said, request_id, &body);
    const bool fits = !body.failed;
    if (fits) {
      buf_add(out, buf_slice(&body));
    }
    buf_free(&body);
    if (fits) {
      return;
    }
    said.message = cut(said.message, said.message.len / 2);
    request_id = said.message.len ? request_id : NULL;
  } while (true);
}

void wire_error(enum wire_door door, int status, const char *message, const char *code, const char *param,
                const char *request_id, struct buf *out) {
  const struct said said = {.message = slice_of(message),
                            .type = slice_of(door == WIRE_MESSAGES ? anthropic_type(status) : openai_type(status)),
                            .code = slice_of(code),
                            .param = slice_of(param)};
  write_bounded(door, said, request_id, out);
}

static slice text_of(const struct json *object, const char *key) {
  const struct json *member = json_get(object, key);
  return member && member->kind == JSON_STRING && member->text.len ? member->text : (slice){0};
}

static bool is_anthropic_type(slice type) {
  static const int statuses[] = {400, 401, 402, 403, 404, 413, 429, 500, 503, 504};
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    if (slice_is(type, anthropic_type(statuses[i]))) {
      return true;
    }
  }
  return false;
}

/* {"error":{...}}, {"error":"..."}, {"object":"error","message":...} and {"detail":"..."} are about. */
static void read_said(const struct json *body, enum wire_door door, struct said *said) {
  const struct json *error = json_get(body, "error");
  const struct json *from = error && error->kind == JSON_OBJECT ? error : body;
  const slice message = text_of(from, "message"), type = text_of(from, "type");
  const struct json *code = json_get(from, "code");
  if (message.len) {
    said->message = message;
  } else if (error && error->kind == JSON_STRING && error->text.len) {
    said->message = error->text;
  } else if (text_of(body, "detail").len) {
    said->message = text_of(body, "detail");
  } else {
    return;
  }
  if (type.len && (door != WIRE_MESSAGES || is_anthropic_type(type))) {
    said->type = type;
  }
  said->param = text_of(from, "param");
  if (code && code->kind == JSON_STRING) {
    said->code = code->text;
  } else if (code && code->kind == JSON_NUMBER && code->text.len <= 20) {
    said->code = code->text;
    said->code_is_number = true;
  }
}

void wire_error_from(enum wire_door door, int status, slice body, const char *request_id, struct buf *out) {
  char otherwise[64];
  struct arena *arena = arena_new();
  struct error err = {0};
  const struct json *json = NULL;
  snprintf(otherwise, sizeof otherwise, "the model server answered with status %d", status);
  struct said said = {.message = slice_of(otherwise),
                      .type = slice_of(door == WIRE_MESSAGES ? anthropic_type(status) : openai_type(status))};
  if (body.len > 0 && json_parse(arena, body, &json, &err)) {
    read_said(json, door, &said);
  }
  write_bounded(door, said, request_id, out);
  arena_free(arena);
}
