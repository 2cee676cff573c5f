/* A whole chat completion as a message, and what both it and streams need: stop reasons, usage, names. */
#include "base/json.h"
#include "turned.h"
#include <string.h>

const char *turned_stop_reason(const char *finish, bool stopped_by_sequence, bool used_tools) {
  if (strcmp(finish, "length") == 0) {
    return "max_tokens";
  }
  if (strcmp(finish, "content_filter") == 0) {
    return "refusal";
  }
  if (strcmp(finish, "tool_calls") == 0 || strcmp(finish, "function_call") == 0 || used_tools) {
    return "tool_use";
  }
  return stopped_by_sequence ? "stop_sequence" : "end_turn";
}

void turned_usage(const struct wire_usage *u, struct json_out *w) {
  json_key(w, "usage");
  json_open_object(w);
  json_put_int(w, "input_tokens", u->input + u->input_audio);
  json_put_int(w, "cache_creation_input_tokens", u->cache_write);
  json_put_int(w, "cache_read_input_tokens", u->cached);
  json_put_int(w, "output_tokens", wire_usage_output(u));
  json_close_object(w);
}

void turned_head(const struct wire_reader *r, struct json_out *w) {
  char id[WIRE_NAME_BYTES_MAX];
  snprintf(id, sizeof id, "msg_%s", r->options.id ? r->options.id : "");
  json_put_cstr(w, "id", id);
  json_put_cstr(w, "type", "message");
  json_put_cstr(w, "role", "assistant");
  json_put_str(w, "model", r->options.model);
}

static void text_block(struct json_out *w, const char *type, slice text) {
  json_open_object(w);
  json_put_cstr(w, "type", type);
  json_put_str(w, type, text);
  if (strcmp(type, "thinking") == 0) {
    json_put_cstr(w, "signature", "");
  }
  json_close_object(w);
}

/* Arguments are JSON in a string. What is no object, for models err, becomes one with the text in it. */
static void tool_input(struct arena *arena, slice arguments, struct json_out *w) {
  const struct json *parsed = NULL;
  struct error err = {0};
  json_key(w, "input");
  if (slice_trim(arguments).len == 0) {
    json_raw(w, SLICE("{}"));
  } else if (json_parse(arena, arguments, &parsed, &err) && parsed->kind == JSON_OBJECT) {
    json_raw(w, slice_trim(arguments));
  } else {
    json_open_object(w);
    json_put_str(w, "arguments", arguments);
    json_close_object(w);
  }
}

static bool tool_block(struct arena *arena, const struct json *call, struct json_out *w) {
  const struct json *function = json_get(call, "function");
  if (function == NULL) {
    return false;
  }
  json_open_object(w);
  json_put_cstr(w, "type", "tool_use");
  json_put_str(w, "id", json_text(call, "id"));
  json_put_str(w, "name", json_text(function, "name"));
  tool_input(arena, json_text(function, "arguments"), w);
  json_close_object(w);
  return true;
}

static bool content(struct arena *arena, const struct json *message, struct json_out *w) {
  static const char *const thoughts[] = {"reasoning_content", "reasoning"}, *const texts[] = {"content", "refusal"};
  const struct json *calls = json_get(message, "tool_calls");
  bool used_tools = false;
  for (size_t i = 0; i < 2; i++) {
    const slice text = json_text(message, thoughts[i]);
    if (text.len) {
      text_block(w, "thinking", text);
      break;
    }
  }
  for (size_t i = 0; i < 2; i++) {
    const slice text = json_text(message, texts[i]);
    if (text.len) text_block(w, "text", text);
  }
  for (const struct json *call = calls ? calls->child : NULL; call; call = call->next) {
    used_tools |= tool_block(arena, call, w);
  }
  return used_tools;
}

static void write_message(struct wire_reader *r, struct arena *arena, const struct json *choice, struct buf *out) {
  struct json_out w;
  struct wire_outcome o;
  const struct json *stop = json_get(choice, "stop_reason"); /* some servers say which stop sequence it was */
  const bool by_sequence = stop && stop->kind == JSON_STRING;
  wire_reader_outcome(r, &o);
  json_out_init(&w, out, false);
  json_open_object(&w);
  turned_head(r, &w);
  json_key(&w, "content");
  json_open_array(&w);
  const bool used_tools = content(arena, json_get(choice, "message"), &w);
  json_close_array(&w);
  const char *reason = turned_stop_reason(o.finish, by_sequence, used_tools);
  json_put_cstr(&w, "stop_reason", reason);
  json_key(&w, "stop_sequence");
  if (strcmp(reason, "stop_sequence") == 0) {
    json_str(&w, stop->text);
  } else {
    json_null(&w);
  }
  turned_usage(&o.usage, &w);
  json_close_object(&w);
}

bool turned_answer(struct wire_reader *r, slice body, struct buf *out, struct error *err) {
  struct arena *arena = arena_new();
  const struct json *json;
  bool done = json_parse(arena, body, &json, err);
  if (done && r->seen.failed) {
    wire_error_from(WIRE_MESSAGES, 500, body, r->options.id, out);
  } else if (done) {
    const struct json *choices = json_get(json, "choices");
    if (choices && choices->kind == JSON_ARRAY && choices->child) {
      write_message(r, arena, choices->child, out);
    } else {
      done = error_set(err, ERR_INVALID, "the model server's answer has no choices");
    }
  }
  arena_free(arena);
  return done;
}
