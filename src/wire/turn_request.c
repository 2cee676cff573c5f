/* A request of messages as one of chat with the same meaning. What has no counterpart is refused by name. */
#include "base/json.h"
#include "wire.h"
#include <string.h>

struct turn {
  const struct wire_request *request;
  const struct wire_edits *edits;
  const struct json *body;
  struct arena *arena;
  struct json_out w;
  struct error *err;
};

static const char *const known[] = {"model",          "messages",    "system",   "max_tokens",   "stream",
                                    "stop_sequences", "temperature", "top_p",    "top_k",        "tools",
                                    "tool_choice",    "metadata",    "thinking", "service_tier", "cache_control"};

static bool check_known(const struct turn *t) {
  for (const struct json *m = t->body->child; m; m = m->next) {
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof *known && !found; i++) {
      found = slice_is(m->key, known[i]);
    }
    if (!found) {
      return error_set(t->err, ERR_INVALID, SLICE_FMT ": this model knows no such setting; leave it out",
                       (int)(m->key.len < 64 ? m->key.len : 64), m->key.ptr);
    }
  }
  return true;
}

static bool is_type(const struct json *block, const char *type) {
  return slice_is(json_text(block, "type"), type);
}

static const struct json *items(const struct json *list) {
  return list && list->kind == JSON_ARRAY ? list->child : NULL;
}

/* A value of the request as it was, for which the writer's own depth does not count. */
static void put_copy(struct turn *t, const char *key, const struct json *value) {
  struct buf text;
  struct json_out w;
  buf_init(&text, 8 * t->request->body.len + 64);
  json_out_init(&w, &text, false);
  json_value(&w, value);
  json_key(&t->w, key);
  json_raw(&t->w, buf_slice(&text));
  buf_free(&text);
}

static bool put_tool_arguments(struct turn *t, const struct json *input) {
  struct buf text;
  struct json_out w;
  if (input == NULL || input->kind != JSON_OBJECT) {
    return error_set(t->err, ERR_INVALID, "messages: the input of a tool_use must be an object");
  }
  buf_init(&text, 8 * t->request->body.len + 64);
  json_out_init(&w, &text, false);
  json_value(&w, input);
  json_put_str(&t->w, "arguments", buf_slice(&text));
  buf_free(&text);
  return true;
}

/* The texts of a list of blocks, a line each, or the one string that stands in its place. */
static slice joined_text(const struct turn *t, const struct json *content, const char *type) {
  struct buf text;
  if (content && content->kind == JSON_STRING) {
    return content->text;
  }
  buf_init(&text, t->request->body.len + 1);
  for (const struct json *block = items(content); block; block = block->next) {
    if (!is_type(block, type)) {
      continue;
    }
    if (text.len) {
      buf_addc(&text, '\n');
    }
    buf_add(&text, json_text(block, type));
  }
  const slice copy = arena_copy(t->arena, buf_slice(&text));
  buf_free(&text);
  return copy;
}

static void put_message(struct turn *t, const char *role, slice content) {
  json_open_object(&t->w);
  json_put_cstr(&t->w, "role", role);
  json_put_str(&t->w, "content", content);
  json_close_object(&t->w);
}

static bool put_image(struct turn *t, const struct json *block) {
  const struct json *source = json_get(block, "source");
  const slice media = json_text(source, "media_type"), data = json_text(source, "data");
  slice url = json_text(source, "url");
  if (is_type(source, "base64")) {
    struct buf text;
    buf_init(&text, t->request->body.len + 64);
    buf_add(&text, SLICE("data:"));
    buf_add(&text, media);
    buf_add(&text, SLICE(";base64,"));
    buf_add(&text, data);
    url = arena_copy(t->arena, buf_slice(&text));
    buf_free(&text);
  } else if (!is_type(source, "url")) {
    return error_set(t->err, ERR_INVALID, "messages: the source of an image must be base64 or url");
  }
  json_open_object(&t->w);
  json_put_cstr(&t->w, "type", "image_url");
  json_key(&t->w, "image_url");
  json_open_object(&t->w);
  json_put_str(&t->w, "url", url);
  json_close_object(&t->w);
  json_close_object(&t->w);
  return true;
}

static bool put_part(struct turn *t, const struct json *block) {
  if (is_type(block, "image")) {
    return put_image(t, block);
  }
  if (!is_type(block, "text")) {
    const slice type = json_text(block, "type");
    return error_set(t->err, ERR_INVALID, "messages: this model takes no blocks of type " SLICE_FMT " here",
                     (int)(type.len < 64 ? type.len : 64), type.len ? type.ptr : "");
  }
  json_open_object(&t->w);
  json_put_cstr(&t->w, "type", "text");
  json_put_str(&t->w, "text", json_text(block, "text"));
  json_close_object(&t->w);
  return true;
}

/* Results of tools are messages of their own, before whatever else the user says. */
static void put_tool_result(struct turn *t, const struct json *block) {
  const struct json *failed = json_get(block, "is_error");
  slice text = joined_text(t, json_get(block, "content"), "text");
  if (failed && failed->kind == JSON_BOOL && failed->boolean) {
    text = slice_of(arena_printf(t->arena, "Error: " SLICE_FMT, SLICE_ARG(text)));
  }
  json_open_object(&t->w);
  json_put_cstr(&t->w, "role", "tool");
  json_put_str(&t->w, "tool_call_id", json_text(block, "tool_use_id"));
  json_put_str(&t->w, "content", text);
  json_close_object(&t->w);
}

/* Images in the results of tools, which tool messages can not hold, go with the user's words. */
static bool put_result_images(struct turn *t, const struct json *block) {
  for (const struct json *part = items(json_get(block, "content")); part; part = part->next) {
    if (!is_type(part, "text") && !put_part(t, part)) {
      return false;
    }
  }
  return true;
}

static bool has_words(const struct json *content) {
  for (const struct json *block = items(content); block; block = block->next) {
    if (!is_type(block, "tool_result")) {
      return true;
    }
    for (const struct json *part = items(json_get(block, "content")); part; part = part->next) {
      if (!is_type(part, "text")) return true;
    }
  }
  return false;
}

static bool user_message(struct turn *t, const struct json *content) {
  for (const struct json *block = items(content); block; block = block->next) {
    if (is_type(block, "tool_result")) {
      put_tool_result(t, block);
    }
  }
  if (!has_words(content)) {
    return true;
  }
  json_open_object(&t->w);
  json_put_cstr(&t->w, "role", "user");
  json_key(&t->w, "content");
  json_open_array(&t->w);
  for (const struct json *block = items(content); block; block = block->next) {
    if (!(is_type(block, "tool_result") ? put_result_images(t, block) : put_part(t, block))) {
      return false;
    }
  }
  json_close_array(&t->w);
  json_close_object(&t->w);
  return true;
}

static bool check_assistant(struct turn *t, const struct json *content) {
  static const char *const types[] = {"text", "tool_use", "thinking", "redacted_thinking"};
  for (const struct json *block = items(content); block; block = block->next) {
    bool found = false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
      found |= is_type(block, types[i]);
    }
    if (!found) {
      const slice type = json_text(block, "type");
      return error_set(t->err, ERR_INVALID, "messages: an assistant's blocks of type " SLICE_FMT " are not known",
                       (int)(type.len < 64 ? type.len : 64), type.len ? type.ptr : "");
    }
  }
  return true;
}

static bool put_tool_calls(struct turn *t, const struct json *content) {
  bool any = false;
  for (const struct json *block = items(content); block; block = block->next) {
    if (!is_type(block, "tool_use")) {
      continue;
    }
    if (!any) {
      json_key(&t->w, "tool_calls");
      json_open_array(&t->w);
      any = true;
    }
    json_open_object(&t->w);
    json_put_str(&t->w, "id", json_text(block, "id"));
    json_put_cstr(&t->w, "type", "function");
    json_key(&t->w, "function");
    json_open_object(&t->w);
    json_put_str(&t->w, "name", json_text(block, "name"));
    if (!put_tool_arguments(t, json_get(block, "input"))) {
      return false;
    }
    json_close_object(&t->w);
    json_close_object(&t->w);
  }
  if (any) {
    json_close_array(&t->w);
  }
  return true;
}

static bool assistant_message(struct turn *t, const struct json *content) {
  if (!check_assistant(t, content)) {
    return false;
  }
  const slice text = joined_text(t, content, "text"), thoughts = joined_text(t, content, "thinking");
  json_open_object(&t->w);
  json_put_cstr(&t->w, "role", "assistant");
  json_put_str(&t->w, "content", text);
  if (thoughts.len) {
    json_put_str(&t->w, "reasoning_content", thoughts);
  }
  if (!put_tool_calls(t, content)) {
    return false;
  }
  json_close_object(&t->w);
  return true;
}

static bool put_messages(struct turn *t) {
  const struct json *messages = json_get(t->body, "messages"), *system = json_get(t->body, "system");
  if (items(messages) == NULL) {
    return error_set(t->err, ERR_INVALID, "messages: must be a list with a message at least");
  }
  json_key(&t->w, "messages");
  json_open_array(&t->w);
  const slice instructions = joined_text(t, system, "text");
  if (instructions.len) {
    put_message(t, "system", instructions);
  }
  for (const struct json *m = messages->child; m; m = m->next) {
    const slice role = json_text(m, "role");
    const struct json *content = json_get(m, "content");
    const bool assistant = slice_is(role, "assistant");
    if (!assistant && !slice_is(role, "user")) {
      return error_set(t->err, ERR_INVALID, "messages: a role must be user or assistant");
    }
    if (content == NULL || (content->kind != JSON_STRING && content->kind != JSON_ARRAY)) {
      return error_set(t->err, ERR_INVALID, "messages: content must be a string or a list of blocks");
    }
    if (content->kind == JSON_STRING) {
      put_message(t, assistant ? "assistant" : "user", content->text);
    } else if (!(assistant ? assistant_message(t, content) : user_message(t, content))) {
      return false;
    }
  }
  json_close_array(&t->w);
  return true;
}

static bool put_tools(struct turn *t) {
  const struct json *tools = json_get(t->body, "tools");
  if (items(tools) == NULL) {
    return true;
  }
  json_key(&t->w, "tools");
  json_open_array(&t->w);
  for (const struct json *tool = items(tools); tool; tool = tool->next) {
    const struct json *schema = json_get(tool, "input_schema");
    if (json_text(tool, "name").len == 0 || schema == NULL || schema->kind != JSON_OBJECT) {
      return error_set(t->err, ERR_INVALID,
                       "tools: each needs a name and an input_schema; tools that the server runs "
                       "itself are not known to this model");
    }
    json_open_object(&t->w);
    json_put_cstr(&t->w, "type", "function");
    json_key(&t->w, "function");
    json_open_object(&t->w);
    json_put_str(&t->w, "name", json_text(tool, "name"));
    if (json_text(tool, "description").len) {
      json_put_str(&t->w, "description", json_text(tool, "description"));
    }
    put_copy(t, "parameters", schema);
    json_close_object(&t->w);
    json_close_object(&t->w);
  }
  json_close_array(&t->w);
  return true;
}

static bool put_tool_choice(struct turn *t) {
  const struct json *choice = json_get(t->body, "tool_choice"), *one;
  if (choice == NULL || choice->kind == JSON_NULL) {
    return true;
  }
  json_key(&t->w, "tool_choice");
  if (is_type(choice, "tool")) {
    json_open_object(&t->w);
    json_put_cstr(&t->w, "type", "function");
    json_key(&t->w, "function");
    json_open_object(&t->w);
    json_put_str(&t->w, "name", json_text(choice, "name"));
    json_close_object(&t->w);
    json_close_object(&t->w);
  } else if (is_type(choice, "auto") || is_type(choice, "none")) {
    json_str(&t->w, json_text(choice, "type"));
  } else if (is_type(choice, "any")) {
    json_str(&t->w, SLICE("required"));
  } else {
    return error_set(t->err, ERR_INVALID, "tool_choice: its type must be auto, any, tool or none");
  }
  one = json_get(choice, "disable_parallel_tool_use");
  if (one && one->kind == JSON_BOOL) {
    json_put_bool(&t->w, "parallel_tool_calls", !one->boolean);
  }
  return true;
}

static bool check_thinking(const struct turn *t) {
  const struct json *thinking = json_get(t->body, "thinking");
  if (thinking == NULL || thinking->kind == JSON_NULL || is_type(thinking, "disabled")) {
    return true;
  }
  return error_set(t->err, ERR_INVALID, "thinking: this model takes no budget for it; leave it out");
}

static void put_settings(struct turn *t) {
  static const char *const copied[] = {"temperature", "top_p", "top_k"};
  const struct json *stop = json_get(t->body, "stop_sequences");
  const slice user = json_text(json_get(t->body, "metadata"), "user_id"), tier = t->request->tier;
  for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
    const struct json *value = json_get(t->body, copied[i]);
    if (value && value->kind != JSON_NULL) put_copy(t, copied[i], value);
  }
  if (items(stop)) {
    put_copy(t, "stop", stop);
  }
  if (user.len) {
    json_put_str(&t->w, "user", user);
  }
  if (tier.len) {
    json_put_str(&t->w, "service_tier", slice_is(tier, "standard_only") ? SLICE("default") : tier);
  }
}

static void put_limits(struct turn *t) {
  const int64_t asked = t->request->max_tokens, most = t->edits->max_tokens;
  const int64_t limit = most >= 0 && (asked < 0 || asked > most) ? most : asked;
  json_put_str(&t->w, "model", t->edits->model.len ? t->edits->model : t->request->model);
  if (limit >= 0) {
    json_put_int(&t->w, "max_tokens", limit);
  }
  if (!t->request->stream) {
    return;
  }
  json_put_bool(&t->w, "stream", true);
  if (t->edits->ask_usage) {
    json_key(&t->w, "stream_options");
    json_open_object(&t->w);
    json_put_bool(&t->w, "include_usage", true);
    json_close_object(&t->w);
  }
}

bool wire_messages_to_chat(struct arena *arena, const struct wire_request *request, const struct wire_edits *edits,
                           struct buf *out, struct error *err) {
  struct turn t = {.request = request, .edits = edits, .arena = arena, .err = err};
  if (!json_parse(arena, request->body, &t.body, err)) {
    return error_at(err, "the body");
  }
  json_out_init(&t.w, out, false);
  if (!check_known(&t) || !check_thinking(&t)) {
    return false;
  }
  json_open_object(&t.w);
  put_limits(&t);
  if (!put_messages(&t) || !put_tools(&t) || !put_tool_choice(&t)) {
    return false;
  }
  put_settings(&t);
  json_close_object(&t.w);
  return true;
}
